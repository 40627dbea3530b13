/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bad input to MAP and INFO of chargehand.ko, and what comes of it: a table. Exit code 1 if any differs. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kmod/uapi/chargehand.h"
#include "util.h"

enum {
        PAGE = 4096,
        RANGES_MAX = 4096,
        FAR = 8192,     /* the struct is this long, and one byte at its end is set */
};

static int device_fd = -EBADF, file_fd = -EBADF, dead_fd = -EBADF, kthread_fd = -EBADF;

static _Noreturn void die(const char *what)
{
        (void)fprintf(stderr, "prog-module-errors: %s: %s\n", what, strerror(errno));
        exit(2);
}

static int open_pidfd(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        if (fd < 0)
                die("pidfd_open");
        return fd;
}

/* A process that has ended and is not waited for, so that its number is still its own. */
static int open_dead(void)
{
        pid_t pid = fork();
        siginfo_t info;

        if (pid == 0)
                _exit(0);
        if (pid < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
                die("fork");
        return open_pidfd(pid);
}

/* ---- MAP ---- */

#define NOWHERE UINT64_C(0x10) /* no address of ours */

typedef struct MapCase {
        const char *name;
        int error;
        struct chargehand_map map;              /* size 0: the right one; n_rows 0: room for all */
        struct chargehand_range ranges[3];      /* given if map.n_ranges is set and map.ranges is not */
        int *fd;                                /* instead of the caller's own address space */
} MapCase;

static const MapCase map_cases[] = {
        { "plain", 0, {}, {}, NULL },
        { "unique", 0, { .flags = CHARGEHAND_MAP_UNIQUE }, {}, NULL },
        { "continue alone", EINVAL, { .flags = CHARGEHAND_MAP_CONTINUE }, {}, NULL },
        { "unknown flag", EINVAL, { .flags = 4 }, {}, NULL },
        { "highest flag", EINVAL, { .flags = 1U << 31 }, {}, NULL },
        { "reserved", EINVAL, { .reserved = 1 }, {}, NULL },
        { "size 4", EINVAL, { .size = 4 }, {}, NULL },
        { "size one less", EINVAL, { .size = sizeof(struct chargehand_map) - 1 }, {}, NULL },
        { "size beyond a page", EINVAL, { .size = PAGE + 1 }, {}, NULL },
        { "size 2^32-1", EINVAL, { .size = UINT32_MAX }, {}, NULL },
        { "longer, zero there", 0, { .size = PAGE - 8 }, {}, NULL },
        { "longer, not zero there", E2BIG, { .size = PAGE }, {}, NULL },
        { "too many rows", EINVAL, { .n_rows = 65537 }, {}, NULL },
        { "one row", ENOSPC, { .n_rows = 1 }, {}, NULL },
        { "rows nowhere", EFAULT, { .rows = NOWHERE }, {}, NULL },
        { "fd -2", EBADF, { .pidfd = -2 }, {}, NULL },
        { "fd not open", EBADF, { .pidfd = 12345 }, {}, NULL },
        { "fd of a file", EBADF, {}, {}, &file_fd },
        { "fd of the device", EBADF, {}, {}, &device_fd },
        { "exited", ESRCH, {}, {}, &dead_fd },
        { "kernel thread", EINVAL, {}, {}, &kthread_fd },
        { "ranges without number", EINVAL, { .ranges = NOWHERE }, {}, NULL },
        { "ranges nowhere", EFAULT, { .n_ranges = 1, .ranges = NOWHERE }, {}, NULL },
        { "too many ranges", EINVAL, { .n_ranges = RANGES_MAX + 1 }, {}, NULL },
        { "one range", 0, { .n_ranges = 1 }, { { 0, PAGE } }, NULL },
        { "adjacent", 0, { .n_ranges = 2 }, { { 0, PAGE }, { PAGE, 2 * PAGE } }, NULL },
        { "overlapping", EINVAL, { .n_ranges = 2 }, { { 0, 2 * PAGE }, { PAGE, 3 * PAGE } }, NULL },
        { "not sorted", EINVAL, { .n_ranges = 2 }, { { 2 * PAGE, 3 * PAGE }, { 0, PAGE } }, NULL },
        { "empty", EINVAL, { .n_ranges = 1 }, { { PAGE, PAGE } }, NULL },
        { "backwards", EINVAL, { .n_ranges = 1 }, { { 2 * PAGE, PAGE } }, NULL },
        { "start not aligned", EINVAL, { .n_ranges = 1 }, { { 1, PAGE } }, NULL },
        { "end not aligned", EINVAL, { .n_ranges = 1 }, { { 0, PAGE + 1 } }, NULL },
        { "kernel addresses", EINVAL, { .n_ranges = 1 }, { { 0, UINT64_MAX - PAGE + 1 } }, NULL },
        { "upper half", EINVAL, { .n_ranges = 1 },
          { { UINT64_C(0xffff800000000000), UINT64_C(0xffff800000001000) } }, NULL },
};

static int report(const char *command, const char *name, int got, int want)
{
        if (got == want)
                return 1;
        (void)printf("%s, %s: got %s, want %s\n", command, name, got ? strerror(got) : "success",
                     want ? strerror(want) : "success");
        return 0;
}

static int try_map(const MapCase *c)
{
        static struct chargehand_map_row rows[1024];
        static struct chargehand_range ranges[RANGES_MAX + 1];
        static union {
                struct chargehand_map map;
                unsigned char bytes[FAR];
        } arg;
        int r;

        memset(&arg, 0, sizeof(arg));
        arg.map = c->map;
        if (!arg.map.size)
                arg.map.size = sizeof(arg.map);
        if (!arg.map.n_rows)
                arg.map.n_rows = ELEMENTSOF(rows);
        if (!arg.map.rows)
                arg.map.rows = (uintptr_t)rows;
        if (!arg.map.pidfd)
                arg.map.pidfd = c->fd ? *c->fd : CHARGEHAND_SELF;
        memcpy(ranges, c->ranges, sizeof(c->ranges));
        if (arg.map.n_ranges && !arg.map.ranges)
                arg.map.ranges = (uintptr_t)ranges;
        arg.bytes[PAGE - 1] = 1;
        r = ioctl(device_fd, CHARGEHAND_IOC_MAP, &arg) < 0 ? errno : 0;
        return report("MAP", c->name, r, c->error);
}

/* ---- INFO ---- */

typedef struct InfoCase {
        const char *name;
        int error;
        struct chargehand_info info;
        int *fd;
} InfoCase;

static const InfoCase info_cases[] = {
        { "plain", 0, {}, NULL },
        { "flags", EINVAL, { .flags = 1 }, NULL },
        { "reserved", EINVAL, { .reserved = 1 }, NULL },
        { "size 0 bytes known", EINVAL, { .size = 1 }, NULL },
        { "size beyond a page", EINVAL, { .size = PAGE + 1 }, NULL },
        { "longer, not zero there", E2BIG, { .size = PAGE }, NULL },
        { "pids without number", EINVAL, { .pids = NOWHERE }, NULL },
        { "number without pids", EINVAL, { .n_pids = 1 }, NULL },
        { "pids nowhere", EFAULT, { .n_pids = 1, .pids = NOWHERE }, NULL },
        { "fd -2", EBADF, { .pidfd = -2 }, NULL },
        { "fd of a file", EBADF, {}, &file_fd },
        { "exited", ESRCH, {}, &dead_fd },
        { "kernel thread", EINVAL, {}, &kthread_fd },
};

static int try_info(const InfoCase *c)
{
        static union {
                struct chargehand_info info;
                unsigned char bytes[FAR];
        } arg;
        int r;

        memset(&arg, 0, sizeof(arg));
        arg.info = c->info;
        if (!arg.info.size)
                arg.info.size = sizeof(arg.info);
        if (!arg.info.pidfd)
                arg.info.pidfd = c->fd ? *c->fd : CHARGEHAND_SELF;
        arg.bytes[PAGE - 1] = 1;
        r = ioctl(device_fd, CHARGEHAND_IOC_INFO, &arg) < 0 ? errno : 0;
        return report("INFO", c->name, r, c->error);
}

/* The struct itself: nowhere, and half of it there. */
static int try_pointers(unsigned long command, const char *name)
{
        char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint32_t size = sizeof(struct chargehand_info); /* the longer of the two */
        int ok;

        if (pages == MAP_FAILED || munmap(pages + PAGE, PAGE) < 0)
                die("mmap");
        memcpy(pages + PAGE - 8, &size, sizeof(size));
        ok = report(name, "nowhere", ioctl(device_fd, command, NOWHERE) < 0 ? errno : 0, EFAULT);
        ok &= report(name, "half mapped", ioctl(device_fd, command, pages + PAGE - 8) < 0 ? errno : 0,
                     EFAULT);
        (void)munmap(pages, PAGE);
        return ok;
}

int main(void)
{
        int ok = 1;

        device_fd = open(CHARGEHAND_DEVICE, O_RDWR | O_CLOEXEC);
        file_fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        if (device_fd < 0 || file_fd < 0)
                die(CHARGEHAND_DEVICE);
        dead_fd = open_dead();
        kthread_fd = open_pidfd(2);
        for (size_t i = 0; i < ELEMENTSOF(map_cases); i++)
                ok &= try_map(&map_cases[i]);
        for (size_t i = 0; i < ELEMENTSOF(info_cases); i++)
                ok &= try_info(&info_cases[i]);
        ok &= try_pointers(CHARGEHAND_IOC_MAP, "MAP") & try_pointers(CHARGEHAND_IOC_INFO, "INFO");
        ok &= report("command 0", "any", ioctl(device_fd, 0, NULL) < 0 ? errno : 0, ENOTTY);
        ok &= report("a command of nobody", "any",
                     ioctl(device_fd, _IO(0xCE, 4), NULL) < 0 ? errno : 0, ENOTTY);
        return ok ? 0 : 1;
}
