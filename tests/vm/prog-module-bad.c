/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bad input to the three commands: each gets the error that uapi/chargehand.h promises, and nothing
 * changes.
 *
 *     prog-module-bad [V1-DIRECTORY]      a mounted cgroup v1 hierarchy, if there is one
 */

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "prog-module.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

enum {
        EXEC_CALLS = 300,
};

typedef struct Bad {
        Stage stage;
        int device;
        Holder holder;
        struct chargehand_move good; /* a request that would move something */
        Group plain, removed;        /* without the memory controller; not there any more */
} Bad;

static void expect(const char *what, int got, int want)
{
        if (got != want)
                failed("%s: %s, want %s", what, got < 0 ? strerror(-got) : "done",
                       want < 0 ? strerror(-want) : "done");
}

static int raw(const Bad *bad, unsigned long command, const void *argument)
{
        return ioctl(bad->device, command, argument) < 0 ? -errno : 0;
}

/* ---- the struct ---- */

static void test_sizes(const Bad *bad)
{
        static const struct {
                unsigned long command;
                uint32_t size;
        } commands[] = {
                { CHARGEHAND_IOC_MOVE, sizeof(struct chargehand_move) },
                { CHARGEHAND_IOC_MAP,  sizeof(struct chargehand_map)  },
                { CHARGEHAND_IOC_INFO, sizeof(struct chargehand_info) },
        };
        _Alignas(8) static char buffer[2 * PAGE];
        char *edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (edge == MAP_FAILED || mprotect(edge + PAGE, PAGE, PROT_NONE) < 0)
                die("mmap: %s", strerror(errno));
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                uint32_t *size = (uint32_t *)buffer, known = commands[i].size;
                const unsigned long command = commands[i].command;
                static const uint32_t wrong[] = { 0, 1, 4, 8, PAGE + 8, 2 * PAGE, UINT32_MAX };

                memset(buffer, 0, sizeof(buffer));
                for (size_t k = 0; k < ELEMENTSOF(wrong); k++) {
                        *size = wrong[k];
                        expect("a wrong size", raw(bad, command, buffer), -EINVAL);
                }
                *size = known - 1;
                expect("one byte too few", raw(bad, command, buffer), -EINVAL);
                *size = known + 8;
                buffer[known + 7] = 1;
                expect("more than is known", raw(bad, command, buffer), -E2BIG);
                *size = PAGE;
                expect("more than is known", raw(bad, command, buffer), -E2BIG);
                expect("no pointer", raw(bad, command, NULL), -EFAULT);
                expect("an address of the kernel's", raw(bad, command, (void *)(-4096L)), -EFAULT);
                expect("nothing mapped", raw(bad, command, edge + PAGE), -EFAULT);
                memcpy(edge + PAGE - 8, &known, sizeof(known));
                expect("half a struct", raw(bad, command, edge + PAGE - 8), -EFAULT);
        }
        expect("no such command", raw(bad, _IO(0xCE, 0), buffer), -ENOTTY);
        expect("no such command", raw(bad, _IO(0xCE, 4), buffer), -ENOTTY);
        expect("no such command", raw(bad, _IO(0xCF, 1), buffer), -ENOTTY);
        expect("no such command", raw(bad, _IOWR(0xCE, 1, int), buffer), -ENOTTY);
        (void)munmap(edge, 2 * PAGE);
}

/* A longer struct of zeros, from a newer caller, works; so does what the outputs held at entry. */
static void test_longer(const Bad *bad)
{
        struct {
                struct chargehand_move move;
                uint64_t more[4];
        } longer = { .move = bad->good };
        struct chargehand_move rubbish = bad->good;

        longer.move.size = sizeof(longer);
        longer.move.flags = CHARGEHAND_MOVE_DRY;
        expect("a longer struct of zeros", raw(bad, CHARGEHAND_IOC_MOVE, &longer), 0);
        memset(&rubbish.stop, 0xa5, sizeof(rubbish) - offsetof(struct chargehand_move, stop));
        rubbish.flags = CHARGEHAND_MOVE_DRY;
        expect("rubbish in the outputs", device_move(bad->device, &rubbish), 0);
        if (rubbish.stop != longer.move.stop || sum_moved(&rubbish) != sum_moved(&longer.move))
                failed("rubbish in the outputs: it comes back");
}

/* ---- the fields of MOVE ---- */

typedef struct Field {
        const char *what;
        size_t offset;
        size_t size;
        uint64_t value;
        int want;
} Field;
#define FIELD(what, field, value, want)                                                            \
        { what, offsetof(struct chargehand_move, field),                                           \
          sizeof(((struct chargehand_move *)NULL)->field), value, want }

static const Field fields[] = {
        FIELD("an unknown flag", flags, 1u << 31, -EINVAL),
        FIELD("all flags", flags, UINT32_MAX, -EINVAL),
        FIELD("no kind", kinds, 0, -EINVAL),
        FIELD("a kind that does not move", kinds, CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_KSM), -EINVAL),
        FIELD("a kind that is none", kinds, 1u << 31 | 1, -EINVAL),
        FIELD("a chunk too small", chunk_pages, 511, -EINVAL),
        FIELD("a chunk too large", chunk_pages, 16385, -EINVAL),
        FIELD("ranges without a number", ranges, 4096, -EINVAL),
        FIELD("a number without ranges", n_ranges, 1, -EINVAL),
        FIELD("an id beside a source", from_id, 1, -EINVAL),
        FIELD("neither id nor source", from_fd, UINT32_MAX, -EINVAL),
        FIELD("a source that is not open", from_fd, 1000, -EBADF),
        FIELD("a negative source", from_fd, (uint32_t)-100, -EINVAL),
        FIELD("a target that is not open", to_fd, 1000, -EBADF),
        FIELD("a negative target", to_fd, UINT32_MAX, -EBADF),
        FIELD("a process that is not open", pidfd, 1000, -EBADF),
        FIELD("a negative process", pidfd, (uint32_t)-2, -EBADF),
        FIELD("an unaligned resume", resume, 4097, -EINVAL),
        FIELD("a resume beyond all", resume, UINT64_MAX << 12, -EINVAL),
};

static void test_fields(const Bad *bad)
{
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                struct chargehand_move move = bad->good;

                memcpy((char *)&move + fields[i].offset, &fields[i].value, fields[i].size);
                expect(fields[i].what, device_move(bad->device, &move), fields[i].want);
        }
}

static void test_ranges(const Bad *bad)
{
        static const struct {
                const char *what;
                struct chargehand_range ranges[2];
                uint32_t n;
        } rows[] = {
                { "an empty range",         { { 0x10000, 0x10000 } },                       1 },
                { "a range backwards",      { { 0x20000, 0x10000 } },                       1 },
                { "an unaligned start",     { { 0x10001, 0x20000 } },                       1 },
                { "an unaligned end",       { { 0x10000, 0x20fff } },                       1 },
                { "beyond the user's part", { { 0x10000, UINT64_C(1) << 63 } },             1 },
                { "the kernel's part",      { { UINT64_C(0xffffffff80000000),
                                                UINT64_C(0xffffffff80200000) } },           1 },
                { "ranges not sorted",      { { 0x40000, 0x50000 }, { 0x10000, 0x20000 } }, 2 },
                { "ranges overlapping",     { { 0x10000, 0x30000 }, { 0x20000, 0x40000 } }, 2 },
        };
        static struct chargehand_range many[4097];
        struct chargehand_move move;
        struct chargehand_map map;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                move = bad->good;
                move.ranges = (uintptr_t)rows[i].ranges;
                move.n_ranges = rows[i].n;
                expect(rows[i].what, device_move(bad->device, &move), -EINVAL);
                map = (struct chargehand_map){ .size = sizeof(map),
                                               .pidfd = CHARGEHAND_SELF,
                                               .ranges = (uintptr_t)rows[i].ranges,
                                               .n_ranges = rows[i].n };
                expect(rows[i].what, device_map(bad->device, &map), -EINVAL);
        }
        for (uint32_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (struct chargehand_range){ (i + 1) * UINT64_C(0x2000),
                                                     (i + 1) * UINT64_C(0x2000) + PAGE };
        move = bad->good;
        move.flags = CHARGEHAND_MOVE_DRY;
        move.ranges = (uintptr_t)many;
        move.n_ranges = 4096;
        expect("as many ranges as may be", device_move(bad->device, &move), 0);
        move.n_ranges = 4097;
        expect("one range too many", device_move(bad->device, &move), -EINVAL);
        move.n_ranges = UINT32_MAX;
        expect("far too many ranges", device_move(bad->device, &move), -EINVAL);
        move.n_ranges = 2;
        move.ranges = 8;
        expect("ranges nowhere", device_move(bad->device, &move), -EFAULT);
        move.ranges = UINT64_MAX - 15;
        expect("ranges in the kernel", device_move(bad->device, &move), -EFAULT);
}

/* ---- groups ---- */

static void test_groups(const Bad *bad, const char *v1)
{
        const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        const int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int attribute = openat(bad->stage.b.fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        const int root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int old = v1 ? open(v1, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;
        const int path_only = open(bad->stage.poke.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        const struct {
                const char *what;
                int fd, as_from, as_to;
        } rows[] = {
                { "a file",              file,                -EBADF,  -EBADF  },
                { "another directory",   directory,           -EBADF,  -EBADF  },
                { "an attribute's file", attribute,           -EBADF,  -EBADF  },
                { "a pidfd",             bad->holder.pidfd,   -EBADF,  -EBADF  },
                { "the root",            root,                1,       -EINVAL },
                { "no controller",       bad->plain.fd,       -ENOENT, -ENOENT },
                { "a removed group",     bad->removed.fd,     -ENODEV, -ENODEV },
                { "an O_PATH fd",        path_only,           1,       0       },
                { "a v1 group",          old,                 -EINVAL, -EINVAL },
        };
        struct chargehand_move move;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (rows[i].fd < 0)
                        continue;
                move = bad->good;
                move.flags = CHARGEHAND_MOVE_DRY;
                move.from_fd = rows[i].fd;
                if (rows[i].as_from <= 0)
                        expect(rows[i].what, device_move(bad->device, &move), rows[i].as_from);
                else
                        (void)printf("-- %s as source: %d\n", rows[i].what,
                                     device_move(bad->device, &move));
                move = bad->good;
                move.flags = rows[i].as_to < 0 ? 0 : CHARGEHAND_MOVE_DRY;
                move.to_fd = rows[i].fd;
                if (rows[i].as_to <= 0)
                        expect(rows[i].what, device_move(bad->device, &move), rows[i].as_to);
                else
                        (void)printf("-- %s as target: %d\n", rows[i].what,
                                     device_move(bad->device, &move));
        }
        move = bad->good;
        move.to_fd = move.from_fd;
        expect("from a group to itself", device_move(bad->device, &move), -EINVAL);
        move = bad->good;
        move.from_fd = -1;
        move.from_id = bad->stage.b.id;
        expect("from a group to itself by id", device_move(bad->device, &move), -EINVAL);
        move.from_id = UINT64_C(0xdeadbeef00);
        expect("an id that is nobody's", device_move(bad->device, &move), 0);
        if (sum_moved(&move) != 0)
                failed("an id that is nobody's: something moved");
        (void)safe_close(file);
        (void)safe_close(directory);
        (void)safe_close(attribute);
        (void)safe_close(root);
        (void)safe_close(old);
        (void)safe_close(path_only);
}

/* ---- processes ---- */

/* All three commands about one process. */
static void expect_process(const Bad *bad, const char *what, int pidfd, int want)
{
        struct chargehand_info info = { .size = sizeof(info), .pidfd = pidfd };
        struct chargehand_map_row rows[64];
        struct chargehand_map map = {
                .size = sizeof(map), .pidfd = pidfd, .rows = (uintptr_t)rows, .n_rows = 64
        };
        struct chargehand_move move = bad->good;

        move.pidfd = pidfd;
        move.flags = CHARGEHAND_MOVE_DRY;
        expect(what, device_info(bad->device, &info), want);
        expect(what, device_map(bad->device, &map), want);
        expect(what, device_move(bad->device, &move), want);
}

static int sleeping_thread(void *unused)
{
        for (;;)
                (void)pause();
        return 0;
}

static void test_processes(const Bad *bad)
{
        static char stack[64 * 1024] __attribute__((aligned(16)));
        const int kernel = pidfd_of(2), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        const int event = (int)syscall(SYS_eventfd2, 0, O_CLOEXEC);
        pid_t pid;
        int fd, tid;

        expect_process(bad, "a kernel thread", kernel, -EINVAL);
        expect_process(bad, "a device as a process", null, -EBADF);
        expect_process(bad, "an eventfd as a process", event, -EBADF);
        expect_process(bad, "a directory as a process", bad->stage.a.fd, -EBADF);
        expect_process(bad, "a closed fd as a process", 1000, -EBADF);
        expect_process(bad, "the caller", CHARGEHAND_SELF, 0);

        pid = fork();
        if (pid == 0)
                _exit(0);
        fd = pidfd_of(pid);
        (void)waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
        expect_process(bad, "a zombie", fd, -ESRCH);
        (void)waitpid(pid, NULL, 0);
        expect_process(bad, "one that has exited", fd, -ESRCH);
        (void)safe_close(fd);

        tid = clone(sleeping_thread, stack + sizeof(stack),
                    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL);
        fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
        if (fd >= 0)
                expect_process(bad, "a thread", fd, 0);
        (void)safe_close(fd);
        (void)safe_close(kernel);
        (void)safe_close(null);
        (void)safe_close(event);
}

/* One that executes itself all the time: it is there, or between two address spaces. */
static void test_exec(const Bad *bad)
{
        struct chargehand_info info;
        struct chargehand_move move;
        pid_t pid = fork();
        int fd, gone = 0;

        if (pid == 0) {
                (void)execl("/proc/self/exe", "prog-module-bad", "--exec-again", NULL);
                _exit(127);
        }
        fd = pidfd_of(pid);
        for (int i = 0; i < EXEC_CALLS; i++) {
                int r;

                info = (struct chargehand_info){ .size = sizeof(info), .pidfd = fd };
                r = device_info(bad->device, &info);
                gone += r == -ESRCH;
                if (r < 0 && r != -ESRCH)
                        failed("INFO of one that executes: %s", strerror(-r));
                move = bad->good;
                move.pidfd = fd;
                r = device_move(bad->device, &move);
                gone += r == -ESRCH;
                if (r < 0 && r != -ESRCH)
                        failed("MOVE of one that executes: %s", strerror(-r));
        }
        (void)printf("-- %d of %d calls met it between two address spaces\n", gone, 2 * EXEC_CALLS);
        if (gone > EXEC_CALLS)
                failed("one that executes is hardly ever there");
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)safe_close(fd);
}

/* ---- MAP and INFO ---- */

static void test_map(const Bad *bad)
{
        struct chargehand_map_row rows[64];
        const struct chargehand_map good = { .size = sizeof(good),
                                             .pidfd = CHARGEHAND_SELF,
                                             .rows = (uintptr_t)rows,
                                             .n_rows = 64 };
        struct chargehand_map map = good;
        uint32_t need;

        map.flags = 1u << 31;
        expect("MAP: an unknown flag", device_map(bad->device, &map), -EINVAL);
        map = good;
        map.flags = CHARGEHAND_MAP_CONTINUE;
        expect("MAP: CONTINUE alone", device_map(bad->device, &map), -EINVAL);
        map = good;
        map.reserved = 1;
        expect("MAP: a reserved field", device_map(bad->device, &map), -EINVAL);
        map = good;
        map.n_rows = 65537;
        expect("MAP: too many rows", device_map(bad->device, &map), -EINVAL);
        map = good;
        map.n_rows = 0;
        expect("MAP: no room at all", device_map(bad->device, &map), -ENOSPC);
        need = map.n_rows;
        map = good;
        map.n_rows = need - 1;
        memset(rows, 0xa5, sizeof(rows));
        expect("MAP: one row too few", device_map(bad->device, &map), -ENOSPC);
        if (map.n_rows != need || rows[0].bytes != UINT64_C(0xa5a5a5a5a5a5a5a5))
                failed("MAP: one row too few: %u rows are needed, or %u", map.n_rows, need);
        map = good;
        map.n_rows = need;
        expect("MAP: just room enough", device_map(bad->device, &map), 0);
        map = good;
        map.rows = 8;
        expect("MAP: rows nowhere", device_map(bad->device, &map), -EFAULT);
        map.rows = 0;
        expect("MAP: no rows", device_map(bad->device, &map), -EFAULT);
}

static void test_info(const Bad *bad)
{
        uint32_t pids[4] = { 0 };
        const struct chargehand_info good = {
                .size = sizeof(good), .pidfd = CHARGEHAND_SELF, .pids = (uintptr_t)pids, .n_pids = 4
        };
        struct chargehand_info info = good;

        expect("INFO", device_info(bad->device, &info), 0);
        if (info.n_pids < 1 || pids[0] != (uint32_t)getpid() || info.abi != CHARGEHAND_ABI)
                failed("INFO: %u pids, the first is %u, abi %u", info.n_pids, pids[0], info.abi);
        info = good;
        info.flags = 1;
        expect("INFO: a flag", device_info(bad->device, &info), -EINVAL);
        info = good;
        info.pids = 8;
        expect("INFO: pids nowhere", device_info(bad->device, &info), -EFAULT);
        info = good;
        info.n_pids = 0;
        expect("INFO: pids without a number", device_info(bad->device, &info), -EINVAL);
}

/* ---- rights ---- */

static void drop_admin(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                _exit(2);
        data[0].effective &= ~(1u << CAP_SYS_ADMIN);
        if (syscall(SYS_capset, &header, data) < 0)
                _exit(2);
}

static void enter_user_namespace(void)
{
        if (unshare(CLONE_NEWUSER) < 0)
                _exit(2);
}

static void become_tester(void)
{
        if (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0)
                _exit(2);
}

/* With a device that was opened before, and opening it. */
static void test_rights(const Bad *bad, const char *what, void (*lose)(void), int want_open)
{
        struct chargehand_info info = { .size = sizeof(info), .pidfd = CHARGEHAND_SELF };
        struct chargehand_map map = { .size = sizeof(map), .pidfd = CHARGEHAND_SELF };
        struct chargehand_move move = bad->good;
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                int code = 0;

                lose();
                code |= device_info(bad->device, &info) != -EPERM;
                code |= (device_map(bad->device, &map) != -EPERM) << 1;
                code |= (device_move(bad->device, &move) != -EPERM) << 2;
                code |= (open(CHARGEHAND_DEVICE, O_RDWR | O_CLOEXEC) >= 0 || errno != want_open) << 3;
                _exit(code << 2);
        }
        (void)waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                failed("%s: %#x (INFO 4, MAP 8, MOVE 10, open 20 not refused)", what,
                       (unsigned)WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
        Picture a[2], b[2], parent[2];
        Bad bad = { 0 };

        if (argc == 2 && streq(argv[1], "--exec-again")) {
                (void)execl("/proc/self/exe", "prog-module-bad", "--exec-again", NULL);
                return 127;
        }
        shape_main(argc, argv);
        bad.device = device_open();
        stage_open(&bad.stage, "/m");
        bad.plain = group_new("/plain/below");
        group_set(&(Group){ .path = "/plain", .fd = open("/sys/fs/cgroup/plain", O_RDONLY) },
                  "cgroup.subtree_control", "-memory");
        bad.removed = group_new("/removed");
        if (rmdir(bad.removed.path) < 0)
                die("rmdir: %s", strerror(errno));
        if (holder_start(&bad.holder, &bad.stage.a, "small", 4 * MIB) < 0)
                die("no small pages");
        bad.good = move_new(bad.holder.pidfd, bad.stage.a.fd, bad.stage.b.fd,
                            move_kinds(bad.device) & ANON_KINDS);
        stage_picture(&bad.stage, &bad.stage.a, &a[0]);
        stage_picture(&bad.stage, &bad.stage.b, &b[0]);
        stage_picture(&bad.stage, &bad.stage.parent, &parent[0]);
        test_sizes(&bad);
        test_longer(&bad);
        test_fields(&bad);
        test_ranges(&bad);
        test_groups(&bad, argc > 1 ? argv[1] : NULL);
        test_processes(&bad);
        test_map(&bad);
        test_info(&bad);
        test_rights(&bad, "without CAP_SYS_ADMIN", drop_admin, EPERM);
        test_rights(&bad, "in a user namespace", enter_user_namespace, EPERM);
        test_rights(&bad, "an unprivileged user", become_tester, EACCES);
        stage_picture(&bad.stage, &bad.stage.a, &a[1]);
        stage_picture(&bad.stage, &bad.stage.b, &b[1]);
        stage_picture(&bad.stage, &bad.stage.parent, &parent[1]);
        expect_same("the source", a);
        expect_same("the target", b);
        expect_same("the parent", parent);
        test_exec(&bad);
        holder_check(&bad.holder, "after all");
        holder_stop(&bad.holder);
        (void)group_remove(&bad.plain);
        stage_close(&bad.stage);
        return failures() != 0;
}
