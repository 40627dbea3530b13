/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics: every update is counted once, on the account that its item is on, whatever moves or
 * is removed meanwhile. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <chargehand/ledger.h>

#include "util.h"

enum { KINDS = 3, SLOTS = 4, UPDATES = 20000, ROUNDS = 40 };

typedef struct Env {
        ch_ledger *ledger;
        ch_account *root, *a, *b;
        ch_slot *slot;
} Env;

static int setup(void **state)
{
        static Env env;
        ch_ledger_options options = { .n_kinds = KINDS, .max_slots = SLOTS };

        assert_return_code(ch_ledger_new(&options, &env.ledger), 0);
        env.root = ch_ledger_get_root(env.ledger);
        assert_return_code(ch_account_new(env.root, &env.a), 0);
        assert_return_code(ch_account_new(env.root, &env.b), 0);
        assert_return_code(ch_slot_get(env.ledger, &env.slot), 0);
        *state = &env;
        return 0;
}

static int teardown(void **state)
{
        Env *env = *state;

        env->slot = ch_slot_put(env->slot);
        for (ch_account **account = (ch_account *[]){ env->a, env->b, NULL }; *account; account++)
                assert_return_code(ch_account_remove(*account), 0);
        assert_return_code(ch_ledger_free(env->ledger), 0);
        return 0;
}

static void test_kinds_are_apart(void **state)
{
        Env *env = *state;
        int64_t own[KINDS] = { 0 };
        ch_item item;

        ch_item_init(&item, env->a);
        assert_ptr_equal(ch_item_get_account(&item), env->a);
        ch_stat_update(env->slot, &item, 0, 5, &own[0]);
        ch_stat_update(env->slot, &item, 2, 7, &own[2]);
        ch_stat_update(env->slot, &item, 2, -3, &own[2]);
        assert_int_equal(own[0], 5);
        assert_int_equal(own[1], 0);
        assert_int_equal(own[2], 4);
        for (uint32_t kind = 0; kind < KINDS; kind++) {
                assert_int_equal(ch_stat_read(env->a, kind, 0), own[kind]);
                assert_int_equal(ch_stat_read(env->b, kind, 1), 0);
                assert_int_equal(ch_stat_read(env->root, kind, 0), 0);
                assert_int_equal(ch_stat_read(env->root, kind, 1), own[kind]);
        }
        assert_int_equal(ch_stat_read(env->a, KINDS, 1), 0);
}

/* A kind that there is not touches nothing, not even what the item's holder has. */
static void test_unknown_kinds_are_ignored(void **state)
{
        Env *env = *state;
        int64_t own = 0;
        ch_item item;

        ch_item_init(&item, env->a);
        ch_stat_update(env->slot, &item, KINDS, 5, &own);
        ch_stat_update(env->slot, &item, UINT32_MAX, 5, &own);
        assert_int_equal(own, 0);
        for (uint32_t kind = 0; kind < KINDS; kind++)
                assert_int_equal(ch_stat_read(env->root, kind, 1), 0);
}

static void test_slots_are_summed(void **state)
{
        Env *env = *state;
        ch_slot *other;
        int64_t own = 0;
        ch_item item;

        assert_return_code(ch_slot_get(env->ledger, &other), 0);
        ch_item_init(&item, env->b);
        ch_stat_update(env->slot, &item, 1, 10, &own);
        ch_stat_update(other, &item, 1, -10, &own);
        ch_stat_update(other, &item, 1, 1, &own);
        assert_int_equal(ch_stat_read(env->b, 1, 0), 1);
        other = ch_slot_put(other);
        assert_int_equal(ch_stat_read(env->b, 1, 0), 1);
}

static void test_moves(void **state)
{
        Env *env = *state;
        int64_t own[KINDS] = { 0 };
        ch_item item, stays;
        int64_t stays_own = 0;

        ch_item_init(&item, env->a);
        ch_item_init(&stays, env->a);
        ch_stat_update(env->slot, &item, 0, 5, &own[0]);
        ch_stat_update(env->slot, &item, 1, -2, &own[1]);
        ch_stat_update(env->slot, &stays, 0, 100, &stays_own);
        assert_int_equal(ch_stat_move(env->slot, &item, env->b, own), -EINVAL);

        assert_return_code(ch_stat_begin_move(env->a), 0);
        ch_stat_update(env->slot, &item, 0, 1, &own[0]);
        assert_int_equal(ch_stat_read(env->a, 0, 0), 106);
        assert_return_code(ch_stat_move(env->slot, &item, env->b, own), 0);
        assert_ptr_equal(ch_item_get_account(&item), env->b);
        assert_int_equal(ch_stat_move(env->slot, &item, env->a, own),
                         -EINVAL); /* b is not marked */
        ch_stat_update(env->slot, &item, 0, 1, &own[0]);
        ch_stat_end_move(env->a);

        assert_int_equal(ch_stat_read(env->a, 0, 0), 100);
        assert_int_equal(ch_stat_read(env->a, 1, 0), 0);
        assert_int_equal(ch_stat_read(env->b, 0, 0), 7);
        assert_int_equal(ch_stat_read(env->b, 1, 0), -2);
        assert_int_equal(ch_stat_move(env->slot, &stays, env->b, own), -EINVAL);
}

static void test_two_movers_of_one_account(void **state)
{
        Env *env = *state;
        int64_t own[KINDS] = { 0 };
        ch_item item;

        ch_item_init(&item, env->a);
        ch_stat_update(env->slot, &item, 0, 5, &own[0]);
        assert_return_code(ch_stat_begin_move(env->a), 0);
        assert_return_code(ch_stat_begin_move(env->a), 0);
        ch_stat_end_move(env->a);
        assert_return_code(ch_stat_move(env->slot, &item, env->b, own), 0);
        ch_stat_end_move(env->a);
        ch_stat_end_move(env->a); /* one too many: no mark below zero */
        assert_return_code(ch_stat_begin_move(env->a), 0);
        ch_stat_end_move(env->a);
        assert_int_equal(ch_stat_read(env->a, 0, 0), 0);
        assert_int_equal(ch_stat_read(env->b, 0, 0), 5);
}

static void test_bad_arguments(void **state)
{
        Env *env = *state;
        int64_t own[KINDS] = { 0 };
        ch_ledger *other;
        ch_item item;

        assert_return_code(ch_ledger_new(NULL, &other), 0);
        ch_item_init(&item, env->a);
        assert_int_equal(ch_stat_begin_move(NULL), -EINVAL);
        ch_stat_end_move(NULL);
        assert_int_equal(ch_stat_move(NULL, &item, env->b, own), -EINVAL);
        assert_int_equal(ch_stat_move(env->slot, NULL, env->b, own), -EINVAL);
        assert_int_equal(ch_stat_move(env->slot, &item, NULL, own), -EINVAL);
        assert_int_equal(ch_stat_move(env->slot, &item, env->b, NULL), -EINVAL);
        assert_return_code(ch_stat_begin_move(env->a), 0);
        assert_int_equal(ch_stat_move(env->slot, &item, ch_ledger_get_root(other), own), -EINVAL);
        ch_stat_end_move(env->a);
        assert_int_equal(ch_stat_read(NULL, 0, 1), 0);
        assert_return_code(ch_ledger_free(other), 0);
}

/* A removed account is what its buckets are held by: as holders of items do, they are kept. */
typedef struct Line {
        ch_account *account[3];
        ch_bucket *bucket[3];
} Line;

/* One below the other below a. */
static void make_line(Env *env, Line *line)
{
        for (size_t i = 0; i < ELEMENTSOF(line->account); i++) {
                assert_return_code(
                        ch_account_new(i > 0 ? line->account[i - 1] : env->a, &line->account[i]),
                        0);
                assert_return_code(ch_bucket_new(line->account[i], &line->bucket[i]), 0);
        }
}

static void drop_line(Line *line)
{
        for (size_t i = 0; i < ELEMENTSOF(line->account); i++)
                line->bucket[i] = ch_bucket_unref(line->bucket[i]);
}

static void test_removal_takes_sums_to_the_parent(void **state)
{
        Env *env = *state;
        int64_t own[3][KINDS] = { { 0 } };
        ch_item item[3];
        Line line;

        make_line(env, &line);
        for (size_t i = 0; i < 3; i++) {
                ch_item_init(&item[i], line.account[i]);
                ch_stat_update(env->slot, &item[i], 0, 1 << i, &own[i][0]);
        }
        assert_int_equal(ch_stat_read(line.account[0], 0, 1), 7);
        for (size_t i = 3; i-- > 0;) {
                ch_account_ref(line.account[i]);
                assert_return_code(ch_account_remove(line.account[i]), 0);
                assert_int_equal(ch_stat_read(line.account[i], 0, 1), 0);
                assert_int_equal(ch_stat_read(env->a, 0, 1), 7);
                assert_int_equal(ch_stat_begin_move(line.account[i]), -ESTALE);
                ch_account_unref(line.account[i]);
        }
        assert_int_equal(ch_stat_read(env->a, 0, 0), 7);

        for (size_t i = 0; i < 3; i++) {
                assert_ptr_equal(ch_item_get_account(&item[i]), env->a);
                ch_stat_update(env->slot, &item[i], 0, 8, &own[i][0]);
                ch_stat_update(env->slot, &item[i], 0, 8, &own[i][0]);
        }
        assert_int_equal(ch_stat_read(env->a, 0, 0), 7 + 48);
        assert_return_code(ch_stat_begin_move(env->a), 0);
        for (size_t i = 0; i < 3; i++)
                assert_return_code(ch_stat_move(env->slot, &item[i], env->b, own[i]), 0);
        ch_stat_end_move(env->a);
        assert_int_equal(ch_stat_read(env->a, 0, 1), 0);
        assert_int_equal(ch_stat_read(env->b, 0, 1), 7 + 48);
        drop_line(&line);
}

/* The mover began before the removal: its items are still its own, also after an update in between.
 */
static void test_removal_under_a_mover(void **state)
{
        Env *env = *state;
        int64_t own[2][KINDS] = { { 0 } };
        ch_item item[2];
        Line line;

        make_line(env, &line);
        for (size_t i = 0; i < 2; i++) {
                ch_item_init(&item[i], line.account[2 - i]); /* the leaf, and the one above it */
                ch_stat_update(env->slot, &item[i], 1, 10, &own[i][1]);
        }
        assert_return_code(ch_account_remove(line.account[2]), 0);
        assert_return_code(ch_stat_begin_move(line.account[1]), 0);
        assert_return_code(ch_account_remove(line.account[1]), 0);
        for (size_t i = 0; i < 2; i++)
                ch_stat_update(env->slot, &item[i], 1, 1, &own[i][1]);
        assert_int_equal(ch_stat_read(line.account[0], 1, 0), 22);
        for (size_t i = 0; i < 2; i++)
                assert_return_code(ch_stat_move(env->slot, &item[i], env->b, own[i]), 0);
        ch_stat_end_move(line.account[1]);
        assert_int_equal(ch_stat_read(env->a, 1, 1), 0);
        assert_int_equal(ch_stat_read(env->b, 1, 1), 22);
        assert_return_code(ch_account_remove(line.account[0]), 0);
        drop_line(&line);
}

static void test_move_to_a_removed_account(void **state)
{
        Env *env = *state;
        int64_t own[KINDS] = { 0 };
        ch_item item;
        Line line;

        make_line(env, &line);
        for (size_t i = 3; i-- > 0;)
                assert_return_code(ch_account_remove(line.account[i]), 0);
        ch_item_init(&item, env->b);
        ch_stat_update(env->slot, &item, 0, 4, &own[0]);
        assert_return_code(ch_stat_begin_move(env->b), 0);
        assert_return_code(ch_stat_move(env->slot, &item, line.account[2], own), 0);
        ch_stat_end_move(env->b);
        assert_ptr_equal(ch_item_get_account(&item), env->a);
        assert_int_equal(ch_stat_read(env->a, 0, 0), 4);
        assert_int_equal(ch_stat_read(env->b, 0, 0), 0);
        drop_line(&line);
}

static void test_no_kinds(void **state)
{
        ch_ledger_options options = { 0 };
        ch_ledger *ledger;
        ch_slot *slot;
        int64_t own = 0;
        ch_item item;

        assert_return_code(ch_ledger_new(&options, &ledger), 0);
        assert_return_code(ch_slot_get(ledger, &slot), 0);
        ch_item_init(&item, ch_ledger_get_root(ledger));
        ch_stat_update(slot, &item, 0, 1, &own);
        assert_int_equal(own, 0);
        assert_int_equal(ch_stat_read(ch_ledger_get_root(ledger), 0, 1), 0);
        ch_slot_put(slot);
        assert_return_code(ch_ledger_free(ledger), 0);
}

/* Threads */

typedef struct Shared {
        Env *env;
        ch_item item[2];
        int64_t own[2][KINDS];
        uint32_t running;
} Shared;

typedef struct Updater {
        Shared *shared;
        uint32_t kind;
        pthread_t thread;
} Updater;

static void *update(void *userdata)
{
        Updater *updater = userdata;
        Shared *shared = updater->shared;
        uint32_t kind = updater->kind;
        ch_slot *slot;

        if (ch_slot_get(shared->env->ledger, &slot) < 0)
                return NULL;
        for (int i = 0; i < UPDATES; i++)
                ch_stat_update(slot, &shared->item[i & 1], kind, 1, &shared->own[i & 1][kind]);
        ch_slot_put(slot);
        (void)__atomic_sub_fetch(&shared->running, 1, __ATOMIC_RELEASE);
        return NULL;
}

static void start(Shared *shared, Updater *updater)
{
        shared->running = 2;
        for (uint32_t i = 0; i < 2; i++) {
                updater[i] = (Updater){ .shared = shared, .kind = i };
                assert_int_equal(pthread_create(&updater[i].thread, NULL, update, &updater[i]), 0);
        }
}

static void finish(Shared *shared, Updater *updater)
{
        for (uint32_t i = 0; i < 2; i++)
                assert_int_equal(pthread_join(updater[i].thread, NULL), 0);
        assert_int_equal(shared->running, 0);
        for (uint32_t i = 0; i < 2; i++)
                for (uint32_t kind = 0; kind < 2; kind++)
                        assert_int_equal(shared->own[i][kind], UPDATES / 2);
}

/* Items go to and fro while two threads update them; in the end each account has what its items
 * own. */
static void test_moves_under_updates(void **state)
{
        Env *env = *state;
        Shared shared = { .env = env };
        Updater updater[2];

        ch_item_init(&shared.item[0], env->a);
        ch_item_init(&shared.item[1], env->b);
        start(&shared, updater);
        for (int i = 0; i < ROUNDS || __atomic_load_n(&shared.running, __ATOMIC_ACQUIRE) > 0; i++) {
                ch_item *item = &shared.item[i & 1];
                ch_account *from = ch_item_get_account(item),
                           *to = from == env->a ? env->b : env->a;

                assert_return_code(ch_stat_begin_move(from), 0);
                assert_return_code(ch_stat_move(env->slot, item, to, shared.own[i & 1]), 0);
                ch_stat_end_move(from);
        }
        finish(&shared, updater);
        for (uint32_t kind = 0; kind < 2; kind++) {
                int64_t a = 0, b = 0;

                for (int i = 0; i < 2; i++)
                        *(ch_item_get_account(&shared.item[i]) == env->a ? &a : &b) +=
                                shared.own[i][kind];
                assert_int_equal(ch_stat_read(env->a, kind, 0), a);
                assert_int_equal(ch_stat_read(env->b, kind, 0), b);
        }
}

/* A line of accounts is removed from below the updates; what they count is never short by more than
 * they have not counted yet. */
static void test_removals_under_updates(void **state)
{
        Env *env = *state;
        Shared shared = { .env = env };
        Updater updater[2];
        Line line;

        make_line(env, &line);
        ch_item_init(&shared.item[0], line.account[2]);
        ch_item_init(&shared.item[1], line.account[1]);
        start(&shared, updater);
        for (size_t i = 3; i-- > 0;) {
                int64_t before = ch_stat_read(env->a, 0, 1);

                assert_return_code(ch_account_remove(line.account[i]), 0);
                assert_true(ch_stat_read(env->a, 0, 1) >= before);
        }
        finish(&shared, updater);
        for (uint32_t kind = 0; kind < 2; kind++)
                assert_int_equal(ch_stat_read(env->a, kind, 0), UPDATES);
        drop_line(&line);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_kinds_are_apart, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unknown_kinds_are_ignored, setup, teardown),
                cmocka_unit_test_setup_teardown(test_slots_are_summed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_movers_of_one_account, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_arguments, setup, teardown),
                cmocka_unit_test_setup_teardown(test_removal_takes_sums_to_the_parent, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removal_under_a_mover, setup, teardown),
                cmocka_unit_test_setup_teardown(test_move_to_a_removed_account, setup, teardown),
                cmocka_unit_test(test_no_kinds),
                cmocka_unit_test_setup_teardown(test_moves_under_updates, setup, teardown),
                cmocka_unit_test_setup_teardown(test_removals_under_updates, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
