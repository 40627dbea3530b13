/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mm registry, case by case, beside a model of the kernel: the same owners, the same payers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"
#include "registry-play.h"
#include "registry.h"
#include "util.h"

/*
 * Who takes over: init has P, which has two children and a sibling that share with it, and somebody
 * of another family, who is the oldest of them:
 *
 *      1 ── other ─ ─ (made by P's forker, reparented)
 *      └── P ── child, late
 *      └── sibling
 */
static void test_order(void **state)
{
        Fixture *f = *state;
        pid_t top = do_fork(f, 1, 0, 0), p, sibling, child, late;

        do_exec(f, top, 0);
        p = do_fork(f, top, CLONE_VM, 0);
        sibling = do_fork(f, p, CLONE_VM | CLONE_PARENT, 0);
        child = do_fork(f, p, CLONE_VM, 0);
        late = do_fork(f, p, CLONE_VM, 0);
        settle(f);
        assert_int_equal(info_of(f, late).owner, top);
        /* of top's children p is the first */
        do_exit(f, top);
        settle(f);
        assert_int_equal(info_of(f, late).owner, p);
        /* p is a child of init now, as is its sibling: but children come first */
        do_exit(f, p);
        settle(f);
        assert_int_equal(info_of(f, late).owner, child);
        /* all that is left has been given to init, the sibling before the children */
        do_exit(f, child);
        settle(f);
        assert_int_equal(info_of(f, late).owner, sibling);
        do_exit(f, sibling);
        settle(f);
        assert_int_equal(info_of(f, late).owner, late);
        assert_int_equal(info_of(f, late).n_users, 1);
}

/* Nobody is near: then the oldest of all, whatever family. */
static void test_everyone(void **state)
{
        Fixture *f = *state;
        pid_t maker = do_fork(f, 1, 0, 0), a, b, c;
        ch_registry_figures before, after;

        do_exec(f, maker, 0);
        a = do_fork(f, maker, CLONE_VM, 0);
        f->world.processes[a].is_reaper = 1;
        b = do_fork(f, a, CLONE_VM, 0);
        c = do_fork(f, b, CLONE_VM, 0);
        settle(f);
        do_exit(f, b);
        do_exit(f, maker);
        settle(f);
        assert_int_equal(info_of(f, c).owner, a);
        do_exec(f, a, 0);
        settle(f);
        assert_int_equal(info_of(f, c).owner, c);
        for (int i = 0; i < 50; i++)
                (void)do_fork(f, 1, 0, 0);
        (void)do_fork(f, c, CLONE_VM, 0);
        tell_all(f);
        ch_registry_get_figures(f->registry, &before);
        do_exit(f, c);
        settle(f);
        ch_registry_get_figures(f->registry, &after);
        assert_int_equal(after.searched - before.searched, 1);
}

/* vfork and exec: the child borrows the mm and leaves it; an owner that executes hands it on. */
static void test_exec(void **state)
{
        Fixture *f = *state;
        pid_t parent = do_fork(f, 1, 0, 2), child = do_fork(f, parent, CLONE_VM, 0);
        uint64_t id;

        settle(f);
        id = info_of(f, parent).id;
        do_exec(f, child, 0);
        settle(f);
        assert_int_equal(info_of(f, parent).id, id);
        assert_int_not_equal(info_of(f, child).id, id);
        assert_int_equal(info_of(f, child).owner, child);
        assert_string_equal(info_of(f, child).group, "/g2");

        child = do_fork(f, parent, CLONE_VM, 0);
        settle(f);
        do_exec(f, parent, 0);
        tell_all(f);
        assert_int_equal(f->n_changes, 1);
        assert_int_equal(f->changes[0].cause, CH_OWNER_CAUSE_EXEC);
        assert_int_equal(info_of(f, child).id, id);
        assert_int_equal(info_of(f, child).owner, child);
        settle(f);
}

/* Only the owner's group pays; the last attached is remembered beside it. */
static void test_attach(void **state)
{
        Fixture *f = *state;
        pid_t owner = do_fork(f, 1, 0, 2), other = do_fork(f, owner, CLONE_VM, 0);

        settle(f);
        do_attach(f, other, 3);
        assert_int_equal(info_of(f, owner).group_id, 2);
        assert_int_equal(info_of(f, owner).last_group_id, 3);
        assert_string_equal(info_of(f, other).last_group, "/g3");
        settle(f);
        do_attach(f, owner, 4);
        assert_int_equal(info_of(f, other).group_id, 4);
        assert_int_equal(info_of(f, other).last_group_id, 4);
        /* no move: the kernel attaches nothing */
        do_attach(f, other, 3);
        assert_int_equal(info_of(f, other).last_group_id, 4);
        settle(f);
        /* the owner goes, and with it who pays */
        do_exit(f, owner);
        settle(f);
        assert_int_equal(info_of(f, other).group_id, 3);
        assert_int_equal(info_of(f, other).last_group_id, 4);
}

/* CLONE_INTO_CGROUP: a new mm is paid by the child's group, one that is shared still by its
 * owner's. */
static void test_fork_into_group(void **state)
{
        Fixture *f = *state;
        pid_t parent = do_fork(f, 1, 0, 2), child = do_fork(f, parent, 0, 5);
        pid_t sharer = do_fork(f, parent, CLONE_VM, 6);

        settle(f);
        assert_int_equal(info_of(f, child).group_id, 5);
        assert_int_equal(info_of(f, sharer).group_id, 2);
        assert_int_equal(info_of(f, parent).last_group_id, 6);
}

/* Attached by someone else: noticed at the next exec of it, or fork. */
static void test_attached_by_others(void **state)
{
        Fixture *f = *state;
        pid_t a = do_fork(f, 1, 0, 2), b = do_fork(f, 1, 0, 2);

        settle(f);
        world_attach(&f->world, a, 3);
        world_attach(&f->world, b, 4);
        do_exec(f, a, 0);
        (void)do_fork(f, b, 0, 0);
        settle(f);
        assert_int_equal(info_of(f, a).group_id, 3);
        assert_int_equal(info_of(f, b).group_id, 4);
        world_attach(&f->world, a, 5);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        settle(f);
}

static void test_forget_group(void **state)
{
        Fixture *f = *state;
        pid_t owner = do_fork(f, 1, 0, 2), other = do_fork(f, owner, CLONE_VM, 3);
        ch_registry_figures figures;

        settle(f);
        do_exit(f, other);
        settle(f);
        assert_int_equal(info_of(f, owner).last_group_id, 3);
        assert_int_equal(ch_registry_forget_group(f->registry, 3), 0);
        assert_int_equal(ch_registry_forget_group(f->registry, 3), 0);
        assert_int_equal(ch_registry_forget_group(f->registry, 99), 0);
        assert_int_equal(info_of(f, owner).last_group_id, 0);
        assert_string_equal(info_of(f, owner).last_group, "");
        assert_int_equal(info_of(f, owner).group_id, 2);
        ch_registry_get_figures(f->registry, &figures);
        assert_int_equal(figures.groups, 2);
        /* a new one of the same number is another */
        do_attach(f, owner, 3);
        assert_string_equal(info_of(f, owner).group, "/g3");
        assert_string_equal(info_of(f, owner).last_group, "/g3");
}

/* The exit was lost, and another process has the pid. */
static void test_pid_reuse(void **state)
{
        Fixture *f = *state;
        pid_t old = do_fork(f, 1, 0, 2), sharer = do_fork(f, old, CLONE_VM, 3), new;

        settle(f);
        world_exit(&f->world, old);
        f->world.last_pid = old - 1;
        new = do_fork(f, 1, 0, 4);
        assert_int_equal(new, old);
        tell_all(f);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, sharer).owner, sharer);
        assert_int_equal(info_of(f, new).group_id, 4);

        world_exit(&f->world, new);
        f->world.last_pid = old - 1;
        assert_int_equal(world_fork(&f->world, 1, 0, 5), old);
        do_exec(f, old, 0);
        tell_all(f);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, old).group_id, 5);
}

/* Their forks were lost without a word: read when somebody speaks of them, with those above them.
 */
static void test_unknown(void **state)
{
        Fixture *f = *state;
        pid_t a = world_fork(&f->world, 1, 0, 2), b = world_fork(&f->world, a, CLONE_VM, 0);
        pid_t c = world_fork(&f->world, b, CLONE_VM, 0), d = do_fork(f, c, CLONE_VM, 0);
        ch_mm_info info;

        tell_all(f);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, d).n_users, 4);
        do_exit(f, c);
        do_exit(f, a);
        tell_all(f);
        check_exactly(f, 0);

        a = world_fork(&f->world, 1, 0, 3);
        do_exec(f, a, 0);
        b = world_fork(&f->world, 1, 0, 3);
        do_attach(f, b, 4);
        tell_all(f);
        check_exactly(f, 0);
        /* who never was, or is not any more */
        assert_int_equal(ch_registry_exec(f->registry, 120), 0);
        assert_int_equal(ch_registry_exit(f->registry, 120), 0);
        assert_int_equal(ch_registry_fork(f->registry, 1, 120), 0);
        assert_int_equal(ch_registry_attach(f->registry, 120, "/g1", 1), 0);
        assert_int_equal(ch_registry_get_mm(f->registry, 120, &info), -ESRCH);
        assert_int_equal(ch_registry_get_users(f->registry, 120, NULL, 0), -ESRCH);
        check_exactly(f, 0);
}

/* The oldest of those who share takes over, though it became known after the others. */
static void test_unknown_is_older(void **state)
{
        Fixture *f = *state;
        pid_t maker = do_fork(f, 1, 0, 2), between = do_fork(f, maker, CLONE_VM, 0), old, young;

        tell_all(f);
        old = world_fork(&f->world, between, CLONE_VM, 3);
        young = do_fork(f, between, CLONE_VM, 4);
        do_exec(f, between, 0);
        tell_all(f);
        do_attach(f, old, 5);
        assert_int_equal(info_of(f, young).n_users, 3);
        do_exit(f, maker);
        tell_all(f);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, young).owner, old);
}

static void test_kernel_thread(void **state)
{
        Fixture *f = *state;
        pid_t pid = world_fork(&f->world, 1, 0, 0);
        ch_mm_info info;

        f->world.mms[f->world.processes[pid].mm] = (WorldMm){};
        f->world.processes[pid].mm = -1;
        assert_int_equal(ch_registry_fork(f->registry, 1, pid), 0);
        assert_int_equal(ch_registry_get_mm(f->registry, pid, &info), -ENODATA);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        assert_int_equal(ch_registry_get_mm(f->registry, pid, &info), -ENODATA);
        /* its end was told of before: it lives */
        assert_int_equal(ch_registry_exit(f->registry, pid), 0);
        assert_int_equal(ch_registry_get_mm(f->registry, pid, &info), -ENODATA);
        f->world.processes[pid].lives = 0;
        assert_int_equal(ch_registry_exit(f->registry, pid), 0);
        assert_int_equal(ch_registry_get_mm(f->registry, pid, &info), -ESRCH);
}

/* A thread that is not the last is not the process. */
static void test_threads(void **state)
{
        Fixture *f = *state;
        pid_t pid = do_fork(f, 1, 0, 2);
        unsigned n_reads;

        settle(f);
        registry_thread_fork(f->registry, pid);
        n_reads = f->world.n_reads;
        assert_int_equal(registry_thread_exit(f->registry, pid, 1000), 0);
        assert_int_equal(f->world.n_reads, n_reads);
        assert_int_equal(registry_thread_exit(f->registry, pid, pid), 0);
        settle(f);
        assert_int_equal(registry_thread_exit(f->registry, pid, 1001), 0);
        settle(f);
        world_exit(&f->world, pid);
        assert_int_equal(registry_thread_exit(f->registry, pid, 1002), 0);
        settle(f);

        /* without threads nothing is read */
        pid = do_fork(f, 1, 0, 2);
        tell_all(f);
        world_exit(&f->world, pid);
        n_reads = f->world.n_reads;
        assert_int_equal(registry_thread_exit(f->registry, pid, pid), 0);
        assert_int_equal(f->world.n_reads, n_reads);
        settle(f);
}

/*
 * The first thread of an owner exits, others live: to the kernel that is the exit of the task that
 * owned. A child of that thread takes over; of another thread's children the older process goes
 * first, which is the owner's own.
 */
static void test_first_thread(void **state)
{
        Fixture *f = *state;
        pid_t owner = do_fork(f, 1, 0, 2), child, sibling;

        settle(f);
        registry_thread_fork(f->registry, owner);
        child = world_fork(&f->world, owner, CLONE_VM, 3);
        assert_int_equal(registry_fork(f->registry, owner, 1000, child), 0);
        assert_int_equal(registry_thread_exit(f->registry, owner, owner), 0);
        assert_int_equal(info_of(f, child).owner, owner);
        assert_int_equal(f->n_changes, 0);
        world_exit(&f->world, owner);
        assert_int_equal(registry_thread_exit(f->registry, owner, 1000), 0);
        settle(f);

        owner = do_fork(f, 1, 0, 2);
        settle(f);
        registry_thread_fork(f->registry, owner);
        child = do_fork(f, owner, CLONE_VM, 3);
        tell_all(f);
        assert_int_equal(registry_thread_exit(f->registry, owner, owner), 0);
        assert_int_equal(info_of(f, owner).owner, child);
        assert_int_equal(info_of(f, owner).n_users, 2);
        assert_int_equal(info_of(f, owner).group_id, 3);
        assert_int_equal(f->n_changes, 1);
        f->n_changes = 0;
        world_exit(&f->world, owner);
        assert_int_equal(registry_thread_exit(f->registry, owner, 1000), 0);
        assert_int_equal(info_of(f, child).owner, child);
        f->world.n_changes = 0;
        settle(f);

        /* a younger sibling: 6.1 does not see the other threads there, 6.11 does */
        for (int since = 0; since <= 1; since++) {
                f->registry->threads_are_siblings = since;
                owner = do_fork(f, 1, 0, 2);
                do_exec(f, owner, 0);
                sibling = do_fork(f, owner, CLONE_VM | CLONE_PARENT, 3);
                settle(f);
                registry_thread_fork(f->registry, owner);
                assert_int_equal(registry_thread_exit(f->registry, owner, owner), 0);
                assert_int_equal(info_of(f, owner).owner, since ? owner : sibling);
                f->n_changes = 0;
                world_exit(&f->world, owner);
                assert_int_equal(registry_thread_exit(f->registry, owner, 1000), 0);
                f->world.n_changes = f->n_changes = 0;
                settle(f);
        }
}

/* Somebody left by exec unseen: the rest keep the mm, also when the new program cannot be told by
 * its key. */
static void test_resync_splits(void **state)
{
        Fixture *f = *state;
        pid_t a = do_fork(f, 1, 0, 2), b = do_fork(f, a, CLONE_VM, 3),
              c = do_fork(f, a, CLONE_VM, 4);
        uint64_t id;

        settle(f);
        id = info_of(f, a).id;
        world_exec(&f->world, c, world_mm(&f->world, c)->key);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, a).id, id);
        assert_int_equal(f->n_changes, 0);
        /* the owner leaves, with a child that shares its new one */
        world_exec(&f->world, a, 0);
        c = world_fork(&f->world, a, CLONE_VM, 5);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, b).id, id);
        assert_int_equal(info_of(f, c).owner, a);
        assert_int_equal(f->n_changes, 1);
        assert_int_equal(f->changes[0].from, a);
        assert_int_equal(f->changes[0].to, b);
        assert_int_equal(f->changes[0].cause, CH_OWNER_CAUSE_RESYNC);
}

/* As likely one as the other: the owner is believed to have stayed. */
static void test_resync_tie(void **state)
{
        Fixture *f = *state;
        pid_t owner, other;
        uint64_t id;

        f->world.last_pid = 49;
        owner = do_fork(f, 1, 0, 2);
        f->world.last_pid = 19;
        other = do_fork(f, owner, CLONE_VM, 0);
        settle(f);
        id = info_of(f, owner).id;
        world_exec(&f->world, other, world_mm(&f->world, other)->key);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, owner).id, id);
        assert_int_not_equal(info_of(f, other).id, id);
}

/* Many went unseen: one change is told, to one who is there. */
static void test_resync_gone(void **state)
{
        Fixture *f = *state;
        pid_t owner = do_fork(f, 1, 0, 2), last = 0;

        for (int i = 0; i < 20; i++)
                last = do_fork(f, owner, CLONE_VM, 0);
        settle(f);
        for (pid_t pid = owner; pid < last; pid++)
                world_exit(&f->world, pid);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        check_exactly(f, 0);
        assert_int_equal(f->n_changes, 1);
        assert_int_equal(f->changes[0].from, owner);
        assert_int_equal(f->changes[0].to, last);
}

/* The resync saw the exec already, and who shares the new mm: told after it, it changes nothing. */
static void test_told_again(void **state)
{
        Fixture *f = *state;
        pid_t a = do_fork(f, 1, 0, 2), b = do_fork(f, a, CLONE_VM, 0), c;

        settle(f);
        do_exec(f, a, 0);
        c = do_fork(f, a, CLONE_VM, 0);
        do_exit(f, b);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        check_exactly(f, 0);
        tell_all(f);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, c).n_users, 2);
}

/* All of one tick, and the pids came round: the maker is the parent, whatever the numbers. */
static void test_resync_one_tick(void **state)
{
        Fixture *f = *state;
        pid_t a, b, c;

        f->world.per_tick = 100;
        f->world.last_pid = 59;
        a = world_fork(&f->world, 1, 0, 2);
        f->world.last_pid = 19;
        b = world_fork(&f->world, a, CLONE_VM, 0);
        f->world.last_pid = 39;
        c = world_fork(&f->world, b, CLONE_VM, 0);
        assert_true(b < c && c < a);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        check_exactly(f, 0);
        assert_int_equal(info_of(f, c).owner, a);
}

static void test_bad(void **state)
{
        Fixture *f = *state;
        ch_registry_options options = {};
        ch_registry *registry = NULL;
        ch_error *error = NULL;
        pid_t users[1];

        assert_int_equal(ch_registry_new(&options, &registry, &error), -EINVAL);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_BAD_VALUE);
        ch_error_free(error);
        assert_null(ch_registry_free(NULL));
        assert_null(ch_feed_free(NULL));
        assert_string_equal(ch_owner_cause_to_string(CH_OWNER_CAUSE_RESYNC), "resync");
        assert_null(ch_owner_cause_to_string(CH_OWNER_CAUSE_MAX_));
        (void)do_fork(f, 1, CLONE_VM, 0);
        tell_all(f);
        assert_int_equal(ch_registry_get_users(f->registry, 1, users, 1), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_everyone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
                cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
                cmocka_unit_test_setup_teardown(test_fork_into_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_attached_by_others, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forget_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pid_reuse, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unknown_is_older, setup, teardown),
                cmocka_unit_test_setup_teardown(test_kernel_thread, setup, teardown),
                cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
                cmocka_unit_test_setup_teardown(test_first_thread, setup, teardown),
                cmocka_unit_test_setup_teardown(test_resync_splits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_resync_tie, setup, teardown),
                cmocka_unit_test_setup_teardown(test_resync_gone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_told_again, setup, teardown),
                cmocka_unit_test_setup_teardown(test_resync_one_tick, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
