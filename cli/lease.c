/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holding a lease while somebody wants it. */

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bus.h"
#include "lease.h"
#include "program.h"

int lease_read(Cli *cli, sd_bus_message *reply, int *ret_fd)
{
        int fd, r = sd_bus_message_enter_container(reply, 'a', "h");

        *ret_fd = -EBADF;
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the lease");
        if (r == 0)
                return CTL_OK;
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? bus_fail_errno(cli, -errno, "reading the lease") : CTL_OK;
}

static uint64_t now_usec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t lease_until(uint64_t usec)
{
        uint64_t now = now_usec();

        return usec > UINT64_MAX - now ? UINT64_MAX : now + usec;
}

/* A pipe or a socket that ends is somebody who is done; a terminal, a file and /dev/null say
 * nothing. */
static int input_may_end(void)
{
        struct stat st;

        return fstat(STDIN_FILENO, &st) >= 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Does it go on? What comes is read away. */
static int input_goes_on(const struct pollfd *input)
{
        char buffer[4096];

        if (!input->revents)
                return 1;
        return read(input->fd, buffer, sizeof(buffer)) > 0;
}

void lease_hold(uint64_t until_usec)
{
        int input = until_usec == UINT64_MAX && input_may_end() ? STDIN_FILENO : -1;
        struct pollfd fds[] = { { .fd = -1, .events = POLLIN }, { .fd = input, .events = POLLIN } };
        sigset_t set;

        program_block_signals(&set);
        fds[0].fd = signalfd(-1, &set, SFD_CLOEXEC);
        for (;;) {
                uint64_t now = now_usec();
                uint64_t left = until_usec > now ? (until_usec - now) / 1000 + 1 : 0;
                int n;

                if (until_usec != UINT64_MAX && left == 0)
                        break;
                n = poll(fds, ELEMENTSOF(fds),
                         until_usec == UINT64_MAX ? -1 : (int)(left < 3600000 ? left : 3600000));
                if (n < 0 || fds[0].revents || !input_goes_on(&fds[1]))
                        break;
        }
        if (fds[0].fd >= 0)
                (void)close(fds[0].fd);
}
