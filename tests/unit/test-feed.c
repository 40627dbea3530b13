/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process connector of this host: what real processes do arrives in the mm registry. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chargehand/registry.h>

#include "error.h"
#include "util.h"

enum { STACK_BYTES = 64 << 10, SHARERS_MAX = 4, DEADLINE_USEC = 20000000, CHANGES_MAX = 64 };

typedef struct Change {
        pid_t from, to;
        ch_owner_cause cause;
} Change;

/* What processes of a test tell each other. */
typedef struct Board {
        pid_t sharers[SHARERS_MAX];
        int step;
        char stacks[SHARERS_MAX][STACK_BYTES] __attribute__((aligned(16)));
} Board;

typedef struct Fixture {
        ch_tree *tree;
        ch_registry *registry;
        ch_feed *feed;
        Board *board;
        pid_t child;                 /* ours that shares; ended with the test, however that ends */
        Change changes[CHANGES_MAX]; /* the last of them */
        size_t n_changes;
} Fixture;

static void on_owner(const ch_mm_info *mm, pid_t from, pid_t to, ch_owner_cause cause,
                     void *userdata)
{
        Fixture *f = userdata;

        assert_int_equal(mm->owner, to);
        f->changes[f->n_changes++ % CHANGES_MAX] = (Change){ from, to, cause };
}

static int was_told(const Fixture *f, pid_t from, pid_t to, ch_owner_cause cause)
{
        for (size_t i = 0; i < f->n_changes && i < CHANGES_MAX; i++)
                if (f->changes[i].from == from && f->changes[i].to == to &&
                    f->changes[i].cause == cause)
                        return 1;
        return 0;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        ch_registry_options options = { .owner_changed = on_owner, .userdata = f };

        assert_non_null(f);
        assert_int_equal(ch_tree_open("/proc", CH_TREE_ANY_FS, &f->tree, NULL), 0);
        options.tree = f->tree;
        assert_int_equal(ch_registry_new(&options, &f->registry, NULL), 0);
        assert_int_equal(ch_feed_new(f->registry, &f->feed, NULL), 0);
        f->board = mmap(NULL, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0);
        assert_ptr_not_equal(f->board, MAP_FAILED);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        for (size_t i = 0; i < SHARERS_MAX; i++)
                if (f->board->sharers[i] > 0)
                        (void)kill(f->board->sharers[i], SIGKILL);
        if (f->child > 0) {
                (void)kill(f->child, SIGKILL);
                (void)waitpid(f->child, NULL, 0);
        }
        (void)munmap(f->board, sizeof(Board));
        (void)ch_feed_free(f->feed);
        (void)ch_registry_free(f->registry);
        (void)ch_tree_unref(f->tree);
        free(f);
        return 0;
}

/* Takes what there is, and waits for more at most until the deadline. */
static void pump(const Fixture *f, uint64_t deadline)
{
        struct pollfd poller = { .fd = ch_feed_get_fd(f->feed), .events = POLLIN };

        assert_true(now_usec() < deadline);
        (void)poll(&poller, 1, 100);
        assert_true(ch_feed_process(f->feed, 10000, NULL) >= 0);
}

static void wait_owner(const Fixture *f, pid_t pid, pid_t owner, uint32_t n_users)
{
        uint64_t deadline = now_usec() + DEADLINE_USEC;
        ch_mm_info info;

        while (ch_registry_get_mm(f->registry, pid, &info) < 0 || info.owner != owner ||
               info.n_users != n_users)
                pump(f, deadline);
}

static void wait_gone(const Fixture *f, pid_t pid)
{
        uint64_t deadline = now_usec() + DEADLINE_USEC;
        ch_mm_info info;

        while (ch_registry_get_mm(f->registry, pid, &info) != -ESRCH)
                pump(f, deadline);
}

static int read_step(Board *board)
{
        return __atomic_load_n(&board->step, __ATOMIC_SEQ_CST);
}

static void wait_step(Board *board, int step)
{
        uint64_t deadline = now_usec() + DEADLINE_USEC;

        while (read_step(board) < step) {
                assert_true(now_usec() < deadline);
                (void)usleep(500);
        }
}

static void set_step(Board *board, int step)
{
        __atomic_store_n(&board->step, step, __ATOMIC_SEQ_CST);
}

/* Nothing but system calls: the stack is small and the memory another's. */
__attribute__((no_sanitize("address", "undefined"))) static int share_and_wait(void *arg)
{
        for (;;)
                (void)syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
        return arg != NULL;
}

static pid_t clone_sharer(Board *board, size_t i, int flags)
{
        board->sharers[i] = clone(share_and_wait, board->stacks[i] + STACK_BYTES,
                                  CLONE_VM | SIGCHLD | flags, NULL);
        return board->sharers[i];
}

static void reap(Fixture *f, pid_t pid)
{
        if (f->child == pid)
                f->child = 0;
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The owner has two that share with it, exits, and the first of them does: the kernel's order. */
static void test_sharers(void **state)
{
        Fixture *f = *state;
        Board *board = f->board;
        pid_t owner = f->child = fork();

        if (owner == 0) {
                if (clone_sharer(board, 0, 0) < 0 || clone_sharer(board, 1, 0) < 0)
                        _exit(1);
                set_step(board, 1);
                (void)share_and_wait(NULL);
        }
        wait_step(board, 1);
        wait_owner(f, owner, owner, 3);
        reap(f, owner);
        wait_owner(f, board->sharers[1], board->sharers[0], 2);
        assert_true(was_told(f, owner, board->sharers[0], CH_OWNER_CAUSE_EXIT));
        (void)kill(board->sharers[0], SIGKILL);
        wait_owner(f, board->sharers[1], board->sharers[1], 1);
        assert_true(was_told(f, board->sharers[0], board->sharers[1], CH_OWNER_CAUSE_EXIT));
        (void)kill(board->sharers[1], SIGKILL);
        wait_gone(f, board->sharers[1]);
}

/* An owner that becomes another program leaves the memory to who shares it. */
static void test_exec(void **state)
{
        Fixture *f = *state;
        Board *board = f->board;
        pid_t owner = f->child = fork();
        ch_mm_info info;

        if (owner == 0) {
                char *const argv[] = { "sleep", "1000", NULL };

                (void)clone_sharer(board, 0, 0);
                set_step(board, 1);
                while (read_step(board) < 2)
                        (void)usleep(500);
                (void)execvp("sleep", argv);
                _exit(1);
        }
        wait_step(board, 1);
        wait_owner(f, owner, owner, 2);
        set_step(board, 2);
        wait_owner(f, board->sharers[0], board->sharers[0], 1);
        assert_true(was_told(f, owner, board->sharers[0], CH_OWNER_CAUSE_EXEC));
        assert_int_equal(ch_registry_get_mm(f->registry, owner, &info), 0);
        assert_int_equal(info.owner, owner);
        assert_int_equal(info.n_users, 1);
        reap(f, owner);
        (void)kill(board->sharers[0], SIGKILL);
        wait_gone(f, owner);
        wait_gone(f, board->sharers[0]);
}

/* Borrowed until the exec, whether the events are read before or after it. */
static void test_vfork(void **state)
{
        Fixture *f = *state;
        char *const argv[] = { "sleep", "1000", NULL };
        ch_mm_info info;
        pid_t pid = vfork();

        if (pid == 0) {
                (void)execvp("sleep", argv);
                _exit(1);
        }
        assert_true(pid > 0);
        wait_owner(f, pid, pid, 1);
        assert_int_equal(ch_registry_get_mm(f->registry, getpid(), &info), 0);
        assert_int_equal(info.owner, getpid());
        assert_int_equal(info.n_users, 1);
        reap(f, pid);
        wait_gone(f, pid);
}

/* One of the threads of the process, which goes on without its first. */
static void *run_on(void *arg)
{
        Board *board = arg;

        set_step(board, 1);
        while (read_step(board) < 2)
                (void)usleep(500);
        (void)clone_sharer(board, 0, 0);
        set_step(board, 3);
        while (read_step(board) < 4)
                (void)usleep(500);
        return NULL;
}

/* Neither the exit of the first thread is the end of a process, nor does it hide what the others
 * share. */
static void test_first_thread_exits(void **state)
{
        Fixture *f = *state;
        Board *board = f->board;
        pid_t pid = f->child = fork();
        ch_mm_info info;

        if (pid == 0) {
                pthread_t thread;

                if (pthread_create(&thread, NULL, run_on, board) != 0)
                        _exit(1);
                (void)syscall(SYS_exit, 0);
        }
        wait_step(board, 1);
        wait_owner(f, pid, pid, 1);
        /* is it a zombie by now? */
        for (uint64_t deadline = now_usec() + DEADLINE_USEC;;) {
                char path[64], *text, *end;

                (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
                assert_int_equal(read_file_at(-1, path, 4096, &text, NULL), 0);
                end = strrchr(text, ')');
                assert_non_null(end);
                if (end[2] == 'Z') {
                        free(text);
                        break;
                }
                free(text);
                pump(f, deadline);
        }
        set_step(board, 2);
        wait_step(board, 3);
        wait_owner(f, board->sharers[0], pid, 2);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        assert_int_equal(ch_registry_get_mm(f->registry, board->sharers[0], &info), 0);
        assert_int_equal(info.owner, pid);
        assert_int_equal(info.n_users, 2);
        set_step(board, 4);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        f->child = 0;
        wait_owner(f, board->sharers[0], board->sharers[0], 1);
        (void)kill(board->sharers[0], SIGKILL);
        wait_gone(f, board->sharers[0]);
}

/* With no room for events, they are lost: it notices and agrees with /proc again. */
static void test_lost(void **state)
{
        Fixture *f = *state;
        Board *board = f->board;
        int small = 1, fd = ch_feed_get_fd(f->feed);
        uint64_t deadline = now_usec() + DEADLINE_USEC;
        ch_registry_figures figures;
        pid_t owner;

        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        for (int i = 0; i < 50; i++) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
        }
        owner = f->child = fork();
        if (owner == 0) {
                (void)clone_sharer(board, 0, 0);
                set_step(board, 1);
                (void)share_and_wait(NULL);
        }
        wait_step(board, 1);
        do {
                pump(f, deadline);
                ch_registry_get_figures(f->registry, &figures);
        } while (figures.lost == 0);
        assert_true(figures.resyncs >= 2);
        wait_owner(f, board->sharers[0], owner, 2);
        reap(f, owner);
        small = 1 << 20;
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &small, sizeof(small)), 0);
        (void)kill(board->sharers[0], SIGKILL);
        wait_gone(f, owner);
}

/* After a storm it knows what a registry knows that reads everything now. */
static void test_storm(void **state)
{
        Fixture *f = *state;
        ch_registry_options options = { .tree = f->tree };
        ch_registry *fresh;
        pid_t pids[200];
        uint64_t deadline = now_usec() + DEADLINE_USEC;

        for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                pids[i] = fork();
                if (pids[i] == 0) {
                        pid_t child = i % 2 ? vfork() : fork();

                        if (child == 0)
                                _exit(0);
                        (void)waitpid(child, NULL, 0);
                        if (i % 4 == 0)
                                _exit(0);
                        (void)share_and_wait(NULL);
                }
                assert_true(pids[i] > 0);
                if (i % 50 == 0)
                        pump(f, deadline);
        }
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                if (i % 4)
                        wait_owner(f, pids[i], pids[i], 1);
                else
                        wait_gone(f, pids[i]);
        assert_int_equal(ch_registry_new(&options, &fresh, NULL), 0);
        assert_int_equal(ch_registry_resync(fresh, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                ch_mm_info a = {}, b = {};

                assert_int_equal(ch_registry_get_mm(f->registry, pids[i], &a),
                                 ch_registry_get_mm(fresh, pids[i], &b));
                assert_int_equal(a.owner, b.owner);
        }
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                reap(f, pids[i]);
        (void)ch_registry_free(fresh);
}

/* Is there a connector for us here? */
static int find_out(void)
{
        ch_registry_options options = {};
        ch_registry *registry = NULL;
        ch_feed *feed = NULL;
        ch_error *error = NULL;
        int r;

        if (ch_tree_open("/proc", CH_TREE_ANY_FS, &options.tree, NULL) < 0)
                return -EIO;
        r = ch_registry_new(&options, &registry, &error);
        if (r >= 0)
                r = ch_feed_new(registry, &feed, &error);
        if (r < 0)
                (void)printf("skipped: %s\n", ch_error_get_cause(error));
        ch_error_free(error);
        (void)ch_feed_free(feed);
        (void)ch_registry_free(registry);
        (void)ch_tree_unref(options.tree);
        return r;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_sharers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
                cmocka_unit_test_setup_teardown(test_vfork, setup, teardown),
                cmocka_unit_test_setup_teardown(test_first_thread_exits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
                cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
        };
        int r = find_out();

        if (r == -ENOTSUP || r == -EOPNOTSUPP || r == -EPERM || r == -EACCES)
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
