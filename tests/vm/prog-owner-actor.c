/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processes of prog-owner: they touch memory, clone, execute and exit as they are told. Sharers
 * of an address space share this file's variables too; only one of them acts at a time. */

#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "prog-owner.h"

#define PAGE        UINT64_C(4096)
#define TABLE_BYTES (UINT64_C(2) << 20) /* that one page table maps */
#define STACK_BYTES 65536

Channel channels[N_ACTORS];
static char *area;
static char stacks[N_ACTORS][2][STACK_BYTES] __attribute__((aligned(64)));
static int argument_slot[N_ACTORS] = { 0, 1, 2, 3, 4, 5 };

static void answer(int slot, int r)
{
        Reply reply = { .r = r,
                        .pid = (pid_t)syscall(SYS_getpid),
                        .tid = (pid_t)syscall(SYS_gettid),
                        .address = (uint64_t)(uintptr_t)area };

        if (write(channels[slot].reply[1], &reply, sizeof(reply)) != sizeof(reply))
                _exit(3);
}

static void write_area(void)
{
        for (uint64_t at = 0; at < TOUCH_BYTES; at += PAGE)
                *(volatile uint64_t *)(area + at) += at + 1;
}

static int touch(void)
{
        area = mmap(NULL, TOUCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED || madvise(area, TOUCH_BYTES, MADV_NOHUGEPAGE) < 0)
                return -errno;
        write_area();
        return 0;
}

static int clear(void)
{
        int r = area ? munmap(area, TOUCH_BYTES) : 0;

        area = NULL;
        return r < 0 ? -errno : 0;
}

/* Memory that is pinned for long is copied at fork, not at the first write. */
static int pin(void)
{
        struct io_uring_params parameters = { 0 };
        struct iovec vec = { area, TOUCH_BYTES };
        long fd = syscall(SYS_io_uring_setup, 4, &parameters);

        if (fd < 0)
                return -errno;
        return syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &vec, 1) < 0 ? -errno
                                                                                        : 0;
}

static int touch_sparse(void)
{
        char *start = mmap(NULL, SPARSE_PAGES * TABLE_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (start == MAP_FAILED || madvise(start, SPARSE_PAGES * TABLE_BYTES, MADV_NOHUGEPAGE) < 0)
                return -errno;
        for (uint64_t i = 0; i < SPARSE_PAGES; i++)
                *(volatile char *)(start + i * TABLE_BYTES) = 1;
        return 0;
}

/* The pid. */
static int clone_sharer(int slot, int level, int (*entry)(void *), int flags)
{
        pid_t pid = clone(entry, stacks[slot][level] + STACK_BYTES, CLONE_VM | flags,
                          &argument_slot[slot]);

        return pid < 0 ? -errno : pid;
}

/* Makes the stranger and goes: it has another parent then. */
static int between_main(void *userdata)
{
        int slot = *(int *)userdata;

        (void)clone_sharer(slot, 0, actor_main, SIGCHLD);
        (void)syscall(SYS_exit_group, 0);
        return 0;
}

static int fork_into(const Command *command)
{
        struct clone_args args = { .exit_signal = SIGCHLD };
        long pid;

        if (command->kind == KIND_INTO) {
                args.flags = CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)group_open(command->group);
        }
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0)
                _exit(actor_main(&argument_slot[command->slot]));
        return pid < 0 ? -errno : 0;
}

static int do_clone(const Command *command)
{
        static const int flags[KIND_MAX_] = {
                [KIND_CHILD] = SIGCHLD,
                [KIND_SIBLING] = CLONE_PARENT | SIGCHLD,
                [KIND_VFORK] = CLONE_VFORK | SIGCHLD,
                [KIND_THREAD] =
                        CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
        };
        int r;

        if (command->kind == KIND_FORK || command->kind == KIND_INTO)
                return fork_into(command);
        if (command->kind != KIND_STRANGER)
                return clone_sharer(command->slot, 0, actor_main, flags[command->kind]);
        r = clone_sharer(command->slot, 1, between_main, SIGCHLD);
        return r < 0 ? r : waitpid(r, NULL, 0);
}

static int do_exec(int slot)
{
        char text[3][16];

        (void)snprintf(text[0], sizeof(text[0]), "%d", slot);
        (void)snprintf(text[1], sizeof(text[1]), "%d", channels[slot].command[0]);
        (void)snprintf(text[2], sizeof(text[2]), "%d", channels[slot].reply[1]);
        (void)execl("/proc/self/exe", "prog-owner", "--actor", text[0], text[1], text[2], NULL);
        return -errno;
}

static int act(int slot, const Command *command)
{
        switch (command->op) {
        case OP_CLEAR:
                return clear();
        case OP_TOUCH:
                return touch();
        case OP_WRITE:
                write_area();
                return 0;
        case OP_PIN:
                return pin();
        case OP_SPARSE:
                return touch_sparse();
        case OP_AREA:
                return 0;
        case OP_CLONE:
                return do_clone(command);
        case OP_EXEC:
                return do_exec(slot);
        case OP_EXIT:
                (void)syscall(SYS_exit_group, 0);
                return -EIO;
        case OP_LEAVE:
                (void)syscall(SYS_exit, 0);
                return -EIO;
        }
        return -EINVAL;
}

int actor_main(void *userdata)
{
        int slot = *(int *)userdata;
        Command command;

        answer(slot, 0);
        while (read(channels[slot].command[0], &command, sizeof(command)) == sizeof(command))
                answer(slot, act(slot, &command));
        return 0;
}
