/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process on the stage: touches memory when it is told to, and tells when it has. */

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "placement-stage.h"
#include "util.h"

#define AREA_BYTES (UINT64_C(256) << 20)

typedef struct Order {
        uint64_t from_bytes, to_bytes;
        enum { ORDER_GROW, ORDER_TOUCH } kind;
} Order;

static volatile char *map_area(int fd)
{
        void *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE,
                          fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED, fd, 0);

        if (area == MAP_FAILED)
                wrong("mmap: %s", strerror(errno));
        (void)madvise(area, AREA_BYTES, MADV_NOHUGEPAGE);
        return area;
}

static void touch(volatile char *area, uint64_t from_bytes, uint64_t to_bytes)
{
        if (to_bytes > AREA_BYTES)
                wrong("%llu bytes are more than a process on the stage has",
                      (unsigned long long)to_bytes);
        for (uint64_t at = from_bytes; at < to_bytes; at += PAGE_BYTES)
                area[at] = 1;
}

static _Noreturn void act(int fd, int segment_fd, uint64_t touched_bytes)
{
        volatile char *own = map_area(-1), *segment = segment_fd < 0 ? NULL : map_area(segment_fd);
        uint64_t has_bytes = 0;
        Order order = {};
        char sum = 0;

        for (uint64_t at = 0; at < touched_bytes; at += PAGE_BYTES)
                sum = (char)(sum ^ segment[at]);
        do {
                if (order.kind == ORDER_TOUCH) {
                        touch(segment, order.from_bytes, order.to_bytes);
                } else if (order.to_bytes < has_bytes) {
                        (void)madvise((void *)(uintptr_t)(own + order.to_bytes),
                                      has_bytes - order.to_bytes, MADV_DONTNEED);
                        has_bytes = order.to_bytes;
                } else {
                        touch(own, has_bytes, order.to_bytes);
                        has_bytes = order.to_bytes;
                }
                if (send(fd, &sum, 1, MSG_NOSIGNAL) != 1)
                        break;
        } while (recv(fd, &order, sizeof(order), 0) == sizeof(order));
        _exit(0);
}

/* Until it has done what it was told; the end of the line: it was killed. */
static int wait_done(Actor *actor)
{
        char done;

        if (recv(actor->fd, &done, 1, 0) == 1)
                return 0;
        actor_end(actor);
        return -ESRCH;
}

void actor_start(Actor *actor, int segment_fd, uint64_t touched_bytes)
{
        int fds[2];

        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), "socketpair");
        actor->pid = fork();
        must(actor->pid, "fork");
        if (actor->pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)close(fds[0]);
                act(fds[1], segment_fd, touched_bytes);
        }
        (void)close(fds[1]);
        actor->fd = fds[0];
        must(wait_done(actor), "a process that starts");
}

static int give(Actor *actor, const Order *order)
{
        if (actor->pid == 0)
                return -ESRCH;
        if (send(actor->fd, order, sizeof(*order), MSG_NOSIGNAL) != sizeof(*order)) {
                actor_end(actor);
                return -ESRCH;
        }
        return wait_done(actor);
}

int actor_grow(Actor *actor, uint64_t private_bytes)
{
        return give(actor, &(Order){ .kind = ORDER_GROW, .to_bytes = private_bytes });
}

int actor_touch(Actor *actor, uint64_t from_bytes, uint64_t to_bytes)
{
        return give(
                actor,
                &(Order){ .kind = ORDER_TOUCH, .from_bytes = from_bytes, .to_bytes = to_bytes });
}

void actor_end(Actor *actor)
{
        if (actor->pid == 0)
                return;
        (void)kill(actor->pid, SIGKILL);
        (void)waitpid(actor->pid, NULL, 0);
        actor->fd = safe_close(actor->fd);
        actor->pid = 0;
}
