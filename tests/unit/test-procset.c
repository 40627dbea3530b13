/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process sets on real children: trees with threads that fork, orphans, zombies, reused pids,
 * shared address spaces. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "error.h"
#include "procset.h"
#include "util.h"

enum { PIDS_MAX = 64 };

/* Shared with the children: they write their pids here, so that the parent knows the whole tree. */
typedef struct Board {
        int n;
        pid_t pids[PIDS_MAX];
} Board;

typedef struct Fixture {
        Board *board;
        pid_t root;             /* of the tree, our child; 0 none */
} Fixture;

static void post(Board *board)
{
        board->pids[__atomic_fetch_add(&board->n, 1, __ATOMIC_SEQ_CST)] = getpid();
}

/* Polls with a deadline, never a guessed sleep. */
static void wait_posts(const Board *board, int n)
{
        uint64_t deadline = now_usec() + 10000000;

        while (__atomic_load_n(&board->n, __ATOMIC_SEQ_CST) < n) {
                assert_true(now_usec() < deadline);
                (void)usleep(1000);
        }
}

static _Noreturn void rest(Board *board)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        post(board);
        for (;;)
                (void)pause();
}

static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->board = mmap(NULL, sizeof(Board), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        *state = fixture;
        return fixture->board == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
        Fixture *fixture = *state;

        for (int i = 0; i < fixture->board->n; i++)
                if (fixture->board->pids[i] > 0)
                        (void)kill(fixture->board->pids[i], SIGKILL);
        if (fixture->root > 0) {
                (void)kill(fixture->root, SIGKILL);
                (void)waitpid(fixture->root, NULL, 0);
        }
        (void)munmap(fixture->board, sizeof(Board));
        free(fixture);
        return 0;
}

static void procset_freep(ch_procset **set)
{
        (void)ch_procset_free(*set);
}

static void assert_has_all(const ch_procset *set, const Board *board)
{
        for (int i = 0; i < board->n; i++)
                assert_non_null(ch_procset_find(set, board->pids[i]));
}

static void assert_parents_first(const ch_procset *set)
{
        for (size_t i = 0; i < ch_procset_size(set); i++)
                for (size_t j = i + 1; j < ch_procset_size(set); j++)
                        assert_int_not_equal(ch_procset_get(set, i)->ppid,
                                             ch_procset_get(set, j)->pid);
}

static void test_stat_with_brackets_in_comm(void **state)
{
        static const char text[] = "42 (a) S (b) Z 7 6 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 3 0 "
                                   "987654 4096 10 18446744073709551615 111 222 333 0 0";
        ProcStat stat;

        assert_int_equal(procstat_parse(text, sizeof(text) - 1, &stat), 0);
        assert_int_equal(stat.pid, 42);
        assert_string_equal(stat.comm, "a) S (b");
        assert_int_equal(stat.state, 'Z');
        assert_int_equal(stat.ppid, 7);
        assert_int_equal(stat.session, 5);
        assert_int_equal(stat.n_threads, 3);
        assert_int_equal(stat.start_ticks, 987654);
        assert_int_equal(stat.vsize_bytes, 4096);
        assert_int_equal(stat.start_stack, 333);
        assert_true(procstat_is_zombie(&stat));
        assert_false(procstat_is_kthread(&stat));
}

static void test_stat_cut_short(void **state)
{
        static const char text[] = "42 (a) S 7 6 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 3 0 987654 "
                                   "4096 10 1 111 222 333 0";
        ProcStat stat;

        for (size_t n = 0; n < sizeof(text) - 6; n++)
                assert_int_equal(procstat_parse(text, n, &stat), -EINVAL);
}

static void test_bad_pids(void **state)
{
        _cleanup_(procset_freep) ch_procset *set = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;

        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, 0, &error), -EINVAL);
        assert_non_null(strstr(ch_error_get_cause(error), "'0'"));
        assert_int_equal(ch_procset_add_pid(set, -1, NULL), -EINVAL);
        assert_int_equal(ch_procset_add_tree(set, 0, NULL), -EINVAL);
        assert_int_equal(ch_procset_add_pid(set, 0x7ffffff0, NULL), -ESRCH);
        assert_int_equal(ch_procset_add_tree(set, 0x7ffffff0, NULL), -ESRCH);
        assert_int_equal(ch_procset_add_pidfd(set, -1, NULL), -EBADF);
        assert_int_equal(ch_procset_add_pidfd(set, STDERR_FILENO, NULL), -EBADF);
        assert_int_equal(ch_procset_size(set), 0);
        assert_null(ch_procset_get(set, 0));
        assert_null(ch_procset_free(NULL));
}

static void test_adding_twice(void **state)
{
        _cleanup_(procset_freep) ch_procset *set = NULL;
        const ch_process *self;

        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, getpid(), NULL), 1);
        assert_int_equal(ch_procset_add_pid(set, getpid(), NULL), 0);
        self = ch_procset_get(set, 0);
        assert_int_equal(self->pid, getpid());
        assert_int_equal(self->ppid, getppid());
        assert_int_equal(self->uid, geteuid());
        assert_int_equal(self->flags, CH_PROCESS_ROOTED);
        assert_true(self->pidfd >= 0);
        assert_int_equal(ch_procset_add_pidfd(set, self->pidfd, NULL), 0);
        assert_int_equal(ch_procset_size(set), 1);
}

/* root ─ a ─ b; each forks and rests. */
static _Noreturn void chain(Board *board, int depth)
{
        while (depth > 0 && fork() == 0)
                depth--;
        rest(board);
}

static void test_tree(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;

        fixture->root = fork();
        if (fixture->root == 0)
                chain(fixture->board, 2);
        wait_posts(fixture->board, 3);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 3);
        assert_has_all(set, fixture->board);
        assert_parents_first(set);
        assert_int_equal(ch_procset_rescan(set, NULL), 0);
        assert_int_equal(ch_procset_update(set), 3);
        assert_true(ch_procset_get(set, 0)->flags & CH_PROCESS_ROOTED);
        assert_false(ch_procset_get(set, 1)->flags & CH_PROCESS_ROOTED);
}

static void test_tree_without_children_files(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;

        fixture->root = fork();
        if (fixture->root == 0)
                chain(fixture->board, 4);
        wait_posts(fixture->board, 5);
        assert_int_equal(ch_procset_new(&set), 0);
        set->has_children = 0; /* as without CONFIG_PROC_CHILDREN */
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 5);
        assert_has_all(set, fixture->board);
        assert_parents_first(set);
}

static void *forking_thread(void *userdata)
{
        if (fork() == 0)
                rest(userdata);
        for (;;)
                (void)pause();
        return NULL;
}

static void test_children_of_threads(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        pthread_t thread;

        fixture->root = fork();
        if (fixture->root == 0) {
                for (int i = 0; i < 3; i++)
                        (void)pthread_create(&thread, NULL, forking_thread, fixture->board);
                rest(fixture->board);
        }
        wait_posts(fixture->board, 4);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 4);
        assert_has_all(set, fixture->board);
}

static void test_large_tree(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;

        fixture->root = fork();
        if (fixture->root == 0) {
                for (int i = 0; i < PIDS_MAX - 1; i++)
                        if (fork() == 0)
                                rest(fixture->board);
                rest(fixture->board);
        }
        wait_posts(fixture->board, PIDS_MAX);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), PIDS_MAX);
        assert_has_all(set, fixture->board);
        assert_parents_first(set);
        assert_int_equal(ch_procset_rescan(set, NULL), 0);
}

/* The tree's parts given as they come, children before parents. */
static void test_many_trees_at_once(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        pid_t pids[4];

        fixture->root = fork();
        if (fixture->root == 0)
                chain(fixture->board, 3);
        wait_posts(fixture->board, 4);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 4);
        for (int i = 0; i < 4; i++)
                pids[i] = ch_procset_get(set, (size_t)(3 - i))->pid;
        set = ch_procset_free(set);

        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_trees(set, pids, 4, NULL), 4);
        assert_parents_first(set);
        assert_int_equal(ch_procset_add_trees(set, pids, 4, NULL), 0);
        assert_int_equal(ch_procset_add_trees(set, (const pid_t[]){ pids[0], -3 }, 2, NULL),
                         -EINVAL);
        set = ch_procset_free(set);

        /* one that is there already without its children: they join when its tree is asked for */
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, pids[2], NULL), 1);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 3);
        assert_has_all(set, fixture->board);
        set = ch_procset_free(set);

        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, fixture->root, NULL), 1);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 3);
        assert_has_all(set, fixture->board);
}

static void test_late_children_are_found(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        int go[2];

        assert_int_equal(pipe(go), 0);
        fixture->root = fork();
        if (fixture->root == 0) {
                char c;

                post(fixture->board);
                if (read(go[0], &c, 1) == 1 && fork() == 0)
                        chain(fixture->board, 1);
                for (;;)
                        (void)pause();
        }
        wait_posts(fixture->board, 1);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 1);
        assert_int_equal(write(go[1], "x", 1), 1);
        wait_posts(fixture->board, 3);
        assert_int_equal(ch_procset_rescan(set, NULL), 2);
        assert_has_all(set, fixture->board);
        (void)close(go[0]);
        (void)close(go[1]);
}

/* root leads a process group; its child forks and exits after it was added: the grandchild is
 * init's (or a subreaper's) now. */
static void test_orphan_in_the_process_group(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        int go[2];

        assert_int_equal(pipe(go), 0);
        fixture->root = fork();
        if (fixture->root == 0) {
                char c;

                (void)setpgid(0, 0);
                if (fork() == 0) {
                        post(fixture->board);
                        if (read(go[0], &c, 1) == 1 && fork() > 0)
                                _exit(0);
                        post(fixture->board);
                        for (;;)
                                (void)pause();
                }
                rest(fixture->board);
        }
        wait_posts(fixture->board, 2);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 2);
        assert_int_equal(write(go[1], "x", 1), 1);
        wait_posts(fixture->board, 3);
        for (uint64_t deadline = now_usec() + 10000000; ch_procset_update(set) > 1;)
                assert_true(now_usec() < deadline);
        assert_int_equal(ch_procset_rescan(set, NULL), 1);
        assert_has_all(set, fixture->board);
        assert_int_equal(ch_procset_rescan(set, NULL), 0);
        (void)close(go[0]);
        (void)close(go[1]);
}

/* Forks and exits as fast as it can, each child going on in its parent's place: adding the tree must come to an end. */
static _Noreturn void storm(void)
{
        for (uint64_t deadline = now_usec() + 3000000; now_usec() < deadline;)
                if (fork() > 0)
                        _exit(0);
        _exit(0);
}

static void test_fork_storm_ends(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;

        fixture->root = fork();
        if (fixture->root == 0) {
                (void)setpgid(0, 0);
                (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
                (void)signal(SIGCHLD, SIG_IGN);
                if (fork() == 0)
                        storm();
                rest(fixture->board);
        }
        wait_posts(fixture->board, 1);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_true(ch_procset_add_tree(set, fixture->root, NULL) >= 1);
        assert_true(ch_procset_rescan(set, NULL) >= 0);
        assert_non_null(ch_procset_find(set, fixture->root));
        (void)kill(-fixture->root, SIGKILL);
}

static void test_zombie(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        siginfo_t info;

        fixture->root = fork();
        if (fixture->root == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t)fixture->root, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 1);
        assert_int_equal(ch_procset_add_pid(set, fixture->root, NULL), 0);
        assert_int_equal(ch_procset_rescan(set, NULL), 0);
        assert_true(ch_procset_get(set, 0)->flags & CH_PROCESS_ZOMBIE);
        assert_true(ch_procset_get(set, 0)->flags & CH_PROCESS_NO_MM);
        assert_false(ch_procset_get(set, 0)->flags & CH_PROCESS_EXITED);
        assert_int_equal(ch_procset_update(set), 0);
        assert_int_equal(ch_procset_find_mms(set, NULL), 0);
        assert_int_equal(ch_procset_n_mms(set), 0);
        assert_int_equal(waitpid(fixture->root, NULL, 0), fixture->root);
        assert_int_equal(ch_procset_add_pid(set, fixture->root, NULL), -ESRCH);
        fixture->root = 0;
}

static void test_exited(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;

        fixture->root = fork();
        if (fixture->root == 0)
                rest(fixture->board);
        wait_posts(fixture->board, 1);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, fixture->root, NULL), 1);
        assert_int_equal(ch_process_is_alive(ch_procset_get(set, 0)), 1);
        (void)kill(fixture->root, SIGKILL);
        assert_int_equal(waitpid(fixture->root, NULL, 0), fixture->root);
        fixture->board->n = 0;
        fixture->root = 0;
        assert_int_equal(ch_process_is_alive(ch_procset_get(set, 0)), 0);
        assert_int_equal(ch_procset_update(set), 0);
        assert_true(ch_procset_get(set, 0)->flags & CH_PROCESS_EXITED);
}

/* Without pidfds the start time guards: the same pid with another start time is another process. */
static void test_start_time_guards_without_pidfds(void **state)
{
        _cleanup_(procset_freep) ch_procset *set = NULL;
        struct rlimit limit, none;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = limit;
        none.rlim_cur = 32; /* room for files to be read, none for pidfds that stay */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, getpid(), NULL), 1);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_true(ch_procset_get(set, 0)->pidfd < 0);
        assert_int_equal(ch_process_is_alive(ch_procset_get(set, 0)), 1);
        assert_int_equal(ch_procset_add_pid(set, getpid(), NULL), 0);

        set->items[0].start_ticks -=
                1; /* as if the pid had been someone else's when it was added */
        assert_int_equal(ch_process_is_alive(ch_procset_get(set, 0)), 0);
        assert_int_equal(ch_procset_add_pid(set, getpid(), NULL), 1);
        assert_int_equal(ch_procset_size(set), 2);
        assert_ptr_equal(ch_procset_find(set, getpid()), ch_procset_get(set, 1));
}

static int share_mm(void *userdata)
{
        Fixture *fixture = userdata;

        post(fixture->board);
        for (;;)
                (void)pause();
        return 0;
}

static char stacks[2][16384] __attribute__((aligned(16)));

/* root and two CLONE_VM children share one mm; a forked child has its own. */
static void start_sharers(Fixture *fixture)
{
        fixture->root = fork();
        if (fixture->root == 0) {
                (void)clone(share_mm, stacks[0] + sizeof(stacks[0]), CLONE_VM | SIGCHLD, fixture);
                (void)clone(share_mm, stacks[1] + sizeof(stacks[1]), CLONE_VM | SIGCHLD, fixture);
                if (fork() == 0)
                        rest(fixture->board);
                rest(fixture->board);
        }
        wait_posts(fixture->board, 4);
}

static void test_mm_sharing_inside(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        const ch_mm *shared;

        start_sharers(fixture);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 4);
        assert_int_equal(ch_procset_find_mms(set, NULL), 0);
        assert_int_equal(ch_procset_n_mms(set), 2);
        shared = ch_procset_get_mm(set, ch_procset_find(set, fixture->root)->mm);
        assert_int_equal(shared->n_inside, 3);
        assert_int_equal(shared->n_outside, 0);
        assert_int_equal(shared->owner, fixture->root);
        assert_int_equal(shared->pid, fixture->root);
        assert_true(shared->owner_inside);
}

static void test_mm_shared_with_outside(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        const ch_mm *mm;
        pid_t sharer = 0;

        start_sharers(fixture);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 4);
        assert_int_equal(ch_procset_find_mms(set, NULL), 0);
        for (size_t i = 1; i < 4; i++)
                if (ch_procset_get(set, i)->mm == ch_procset_get(set, 0)->mm)
                        sharer = ch_procset_get(set, i)->pid;
        set = ch_procset_free(set);

        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_pid(set, sharer, NULL), 1);
        assert_int_equal(ch_procset_find_mms(set, NULL), 0);
        assert_int_equal(ch_procset_n_mms(set), 1);
        mm = ch_procset_get_mm(set, 0);
        assert_int_equal(mm->pid, sharer);
        assert_int_equal(mm->n_inside, 1);
        assert_int_equal(mm->n_outside, 2);
        assert_int_equal(mm->owner, fixture->root);
        assert_false(mm->owner_inside);
        assert_int_not_equal(mm->outside_pid, 0);
}

static void test_many_forked_mms_are_told_apart(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(procset_freep) ch_procset *set = NULL;

        fixture->root = fork();
        if (fixture->root == 0) {
                for (int i = 0; i < 40; i++)
                        if (fork() == 0)
                                rest(fixture->board);
                rest(fixture->board);
        }
        wait_posts(fixture->board, 41);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_tree(set, fixture->root, NULL), 41);
        assert_int_equal(ch_procset_find_mms(set, NULL), 0);
        assert_int_equal(ch_procset_n_mms(set), 41);
        for (size_t i = 0; i < 41; i++) {
                assert_int_equal(ch_procset_get_mm(set, i)->n_inside, 1);
                assert_int_equal(ch_procset_get_mm(set, i)->n_outside, 0);
        }
        assert_null(ch_procset_get_mm(set, 41));
}

#define ON_CHILDREN(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stat_with_brackets_in_comm),
                cmocka_unit_test(test_stat_cut_short),
                cmocka_unit_test(test_bad_pids),
                cmocka_unit_test(test_adding_twice),
                cmocka_unit_test(test_start_time_guards_without_pidfds),
                ON_CHILDREN(test_tree),
                ON_CHILDREN(test_tree_without_children_files),
                ON_CHILDREN(test_children_of_threads),
                ON_CHILDREN(test_large_tree),
                ON_CHILDREN(test_many_trees_at_once),
                ON_CHILDREN(test_late_children_are_found),
                ON_CHILDREN(test_orphan_in_the_process_group),
                ON_CHILDREN(test_fork_storm_ends),
                ON_CHILDREN(test_zombie),
                ON_CHILDREN(test_exited),
                ON_CHILDREN(test_mm_sharing_inside),
                ON_CHILDREN(test_mm_shared_with_outside),
                ON_CHILDREN(test_many_forked_mms_are_told_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
