/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Forks N processes that exit at once, and then leaves K that stay, each with a CLONE_VM sharer:
 *
 *     prog-forks N K READY
 *
 * The pids of those that stay go to READY as "OWNER SHARER" lines, whole when the file is there.
 */

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "util.h"

static char stack[65536] __attribute__((aligned(64)));

static int wait_main(void *userdata)
{
        for (;;)
                (void)pause();
        return 0;
}

static pid_t make_pair(int fd)
{
        pid_t pid = fork(), sharer;

        if (pid != 0)
                return pid;
        sharer = clone(wait_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
        if (write(fd, &sharer, sizeof(sharer)) != sizeof(sharer))
                _exit(1);
        return wait_main(NULL);
}

static int write_pairs(const char *path, unsigned n)
{
        char temporary[256];
        FILE *file;
        int fds[2];

        (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
        file = fopen(temporary, "we");
        if (!file || pipe(fds) < 0)
                return -errno;
        for (unsigned i = 0; i < n; i++) {
                pid_t pid = make_pair(fds[1]), sharer;

                if (pid < 0 || read(fds[0], &sharer, sizeof(sharer)) != sizeof(sharer))
                        return -EIO;
                (void)fprintf(file, "%d %d\n", (int)pid, (int)sharer);
        }
        if (fclose(file) < 0 || rename(temporary, path) < 0)
                return -errno;
        return 0;
}

int main(int argc, char **argv)
{
        if (argc != 4) {
                (void)fprintf(stderr, "usage: prog-forks N K READY\n");
                return 2;
        }
        for (unsigned long i = strtoul(argv[1], NULL, 10); i > 0; i--) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                if (pid < 0 || waitpid(pid, NULL, 0) != pid)
                        return 1;
        }
        if (write_pairs(argv[3], (unsigned)strtoul(argv[2], NULL, 10)) < 0)
                return 1;
        return wait_main(NULL);
}
