/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mm registry beside a model of the kernel that searches everything, through thousands of
 * random steps. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "registry-play.h"
#include "util.h"

enum { STEPS = 5000, SEEDS = 4, KEY_TRIES = 16 };

static unsigned roll(Fixture *f, unsigned below)
{
        f->random ^= f->random << 13;
        f->random ^= f->random >> 7;
        f->random ^= f->random << 17;
        return (unsigned)(f->random >> 33) % below;
}

static pid_t any(Fixture *f)
{
        return f->world.all[roll(f, (unsigned)f->world.n)];
}

static unsigned count_key(const World *world, uint64_t key)
{
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(world->mms); i++)
                n += world->mms[i].n_users && world->mms[i].key == key;
        return n;
}

/* CLONE_PARENT hides the forking task from the connector. It is found by the key, but where the key
 * is that of many, which the next resync mends. */
static int is_hidden(Fixture *f, pid_t forker)
{
        const WorldMm *own = world_mm(&f->world, forker);

        return own != world_mm(&f->world, f->world.processes[forker].parent) &&
               count_key(&f->world, own->key) > KEY_TRIES;
}

static void random_fork(Fixture *f)
{
        pid_t forker = any(f);
        int flags =
                (roll(f, 2) ? CLONE_VM : 0) | (forker > 1 && roll(f, 5) == 0 ? CLONE_PARENT : 0);

        if (flags == (CLONE_VM | CLONE_PARENT) && is_hidden(f, forker))
                flags = 0;
        (void)do_fork(f, forker, flags, roll(f, 6) == 0 ? 1 + roll(f, WORLD_GROUPS) : 0);
}

static void random_step(Fixture *f, int may_attach)
{
        unsigned what = roll(f, 100);
        pid_t pid = any(f);

        if (what < 45) {
                random_fork(f);
        } else if (what < 55) {
                do_exec(f, pid, roll(f, 10) == 0 ? 7 + roll(f, 3) : 0);
        } else if (what < 90) {
                if (pid > 1)
                        do_exit(f, pid);
        } else if (what < 93) {
                f->world.processes[pid].is_reaper = 1;
        } else if (may_attach) {
                do_attach(f, pid, 1 + roll(f, WORLD_GROUPS));
        } else {
                world_attach(&f->world, pid, 1 + roll(f, WORLD_GROUPS));
        }
}

/* Each event told at once: everything is as the model that searches all has it, after every step.
 */
static void test_random_exact(void **state)
{
        Fixture *f = *state;

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                restart(f, seed);
                f->world.per_tick = seed % 2 ? 1 : 5;
                for (int i = 0; i < STEPS; i++) {
                        random_step(f, 1);
                        settle(f);
                }
        }
}

/* Told late: what is gone by then cannot be asked any more, but nothing is left over, and a resync
 * makes the rest good. */
static void test_random_late(void **state)
{
        Fixture *f = *state;

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                restart(f, seed);
                for (int i = 0; i < STEPS / 10; i++) {
                        ch_registry_figures figures;

                        for (unsigned n = roll(f, 30); n > 0; n--)
                                random_step(f, 0);
                        tell_all(f);
                        f->world.n_changes = f->n_changes = 0;
                        ch_registry_get_figures(f->registry, &figures);
                        assert_int_equal(figures.processes, f->world.n);
                        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
                        check_sharing(f);
                        f->n_changes = 0;
                }
        }
}

/* Has this mm been owned by its maker all the time? Then no loss of events may hide it. */
static void check_owners_that_stayed(Fixture *f, const uint64_t *mm_was_owned_by)
{
        for (size_t i = 0; i < f->world.n; i++) {
                const WorldMm *mm = world_mm(&f->world, f->world.all[i]);
                pid_t before = (pid_t)mm_was_owned_by[mm - f->world.mms];

                if (before && before == mm->owner)
                        assert_int_equal(info_of(f, f->world.all[i]).owner, mm->owner);
        }
}

/* Some told, some lost, some told again after the resync saw them: it comes to agree. */
static void test_random_lost(void **state)
{
        Fixture *f = *state;

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                restart(f, seed);
                for (int i = 0; i < STEPS / 10; i++) {
                        for (unsigned n = roll(f, 40); n > 0; n--) {
                                random_step(f, 0);
                                if (roll(f, 15) == 0)
                                        f->n_queue = 0;
                        }
                        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
                        check_sharing(f);
                        tell_all(f);
                        check_sharing(f);
                        f->world.n_changes = f->n_changes = 0;
                }
        }
}

/* An owner that lives through lost events stays the owner. */
static void test_owners_stay(void **state)
{
        Fixture *f = *state;

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                restart(f, seed);
                for (int i = 0; i < STEPS / 10; i++) {
                        uint64_t owners[WORLD_PIDS + 1] = {};
                        uint64_t ticks[WORLD_PIDS + 1];

                        for (size_t k = 0; k < f->world.n; k++) {
                                pid_t pid = f->world.all[k];

                                ticks[pid] = f->world.processes[pid].start_ticks;
                                if (info_of(f, pid).owner == world_mm(&f->world, pid)->owner)
                                        owners[f->world.processes[pid].mm] =
                                                (uint64_t)world_mm(&f->world, pid)->owner;
                        }
                        for (unsigned n = roll(f, 10); n > 0; n--)
                                random_step(f, 0);
                        f->n_queue = 0;
                        for (size_t k = 0; k <= WORLD_PIDS; k++)
                                if (owners[k] &&
                                    (!f->world.processes[owners[k]].lives ||
                                     f->world.processes[owners[k]].start_ticks != ticks[owners[k]]))
                                        owners[k] = 0;
                        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
                        check_owners_that_stayed(f, owners);
                        f->world.n_changes = f->n_changes = 0;
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_random_exact, setup, teardown),
                cmocka_unit_test_setup_teardown(test_random_late, setup, teardown),
                cmocka_unit_test_setup_teardown(test_random_lost, setup, teardown),
                cmocka_unit_test_setup_teardown(test_owners_stay, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
