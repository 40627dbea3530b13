/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page counters: limits at every level, undoing, figures, and protection against values computed by
 * hand from the kernel's formula. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "ledger/counter.h"
#include "util.h"

enum { DEPTH = 6 };

static void init_chain(Counter chain[DEPTH])
{
        for (int i = 0; i < DEPTH; i++)
                counter_init(&chain[i], i > 0 ? &chain[i - 1] : NULL);
}

static void assert_usages(const Counter chain[DEPTH], uint64_t pages)
{
        for (int i = 0; i < DEPTH; i++)
                assert_int_equal(chain[i].usage, pages);
}

/* A limit at each level in turn: that one refuses, and nothing is left behind on either side of it.
 */
static void test_refused_at_each_level(void **state)
{
        for (int level = 0; level < DEPTH; level++) {
                Counter chain[DEPTH], *refused = NULL;

                init_chain(chain);
                counter_set_max(&chain[level], 10);
                assert_int_equal(counter_charge(&chain[DEPTH - 1], 10, COUNTER_LIMITED, &refused),
                                 0);
                assert_usages(chain, 10);
                assert_int_equal(counter_charge(&chain[DEPTH - 1], 1, COUNTER_LIMITED, &refused),
                                 -ENOSPC);
                assert_ptr_equal(refused, &chain[level]);
                assert_usages(chain, 10);
                for (int i = 0; i < DEPTH; i++)
                        assert_int_equal(chain[i].watermark, 10);
                assert_int_equal(counter_uncharge(&chain[DEPTH - 1], 10), 0);
                assert_usages(chain, 0);
        }
}

static void test_forced(void **state)
{
        Counter chain[DEPTH], *refused = NULL;

        init_chain(chain);
        counter_set_max(&chain[2], 3);
        assert_int_equal(counter_charge(&chain[DEPTH - 1], 7, COUNTER_FORCED, &refused), 0);
        assert_usages(chain, 7);
        /* over its limit: not one page more, until it fits */
        assert_int_equal(counter_charge(&chain[DEPTH - 1], 1, COUNTER_LIMITED, &refused), -ENOSPC);
        assert_ptr_equal(refused, &chain[2]);
        assert_int_equal(counter_uncharge(&chain[DEPTH - 1], 5), 0);
        assert_int_equal(counter_charge(&chain[DEPTH - 1], 1, COUNTER_LIMITED, &refused), 0);
        assert_int_equal(chain[0].watermark, 7);
}

static void test_bounds(void **state)
{
        Counter chain[DEPTH], *refused = NULL;

        init_chain(chain);
        assert_int_equal(counter_charge(&chain[DEPTH - 1], COUNTER_MAX, COUNTER_LIMITED, &refused),
                         0);
        assert_int_equal(counter_charge(&chain[DEPTH - 1], 1, COUNTER_FORCED, &refused), -ENOSPC);
        assert_int_equal(counter_charge(&chain[0], UINT64_MAX, COUNTER_FORCED, &refused), -ENOSPC);
        assert_usages(chain, COUNTER_MAX);
        assert_int_equal(counter_uncharge(&chain[DEPTH - 1], COUNTER_MAX), 0);
        assert_usages(chain, 0);
}

/* More than is there, at the level itself or further up, changes nothing. */
static void test_underflow(void **state)
{
        Counter chain[DEPTH], *refused = NULL;

        init_chain(chain);
        assert_int_equal(counter_uncharge(&chain[DEPTH - 1], 1), -ERANGE);
        assert_int_equal(counter_charge(&chain[DEPTH - 1], 5, COUNTER_LIMITED, &refused), 0);
        assert_int_equal(counter_uncharge(&chain[DEPTH - 1], 6), -ERANGE);
        assert_usages(chain, 5);
        assert_int_equal(counter_uncharge(&chain[1], 2), 0); /* somebody's mistake */
        assert_int_equal(counter_uncharge(&chain[DEPTH - 1], 5), -ERANGE);
        assert_int_equal(chain[DEPTH - 1].usage, 5);
        assert_int_equal(chain[2].usage, 5);
        assert_int_equal(chain[1].usage, 3);
        assert_int_equal(chain[0].usage, 3);
}

/*
 *      root ── p ─┬─ a
 *                 └─ b
 * Each row: min of p, a, b; usage of p's own, of a, of b; what mm/page_counter.c makes of it.
 */
#define BIT(n) ((uint64_t)1 << (n))

static const struct {
        const char *what;
        uint64_t p_min, a_min, b_min, p_own, a_usage, b_usage;
        int recursive;
        uint64_t p_emin, a_emin, b_emin;
} rows[] = {
        { "claims fit", 100, 40, 30, 0, 50, 50, 0, 100, 40, 30 },
        /* 80 + 60 claimed and used of 100: 80 * 100 / 140, 60 * 100 / 140 */
        { "overcommitted", 100, 80, 60, 0, 80, 60, 0, 100, 57, 42 },
        /* b uses 20 of its 60: 80 + 20 are just afforded */
        { "claimed, not used", 100, 80, 60, 0, 80, 20, 0, 100, 80, 20 },
        { "the same, recursive", 100, 80, 60, 0, 80, 20, 1, 100, 80, 20 },
        { "not recursive: the rest is nobody's", 1000, 300, 0, 0, 400, 500, 0, 1000, 300, 0 },
        /* unclaimed 700 over 600 unprotected pages: 300 + 700 * 100 / 600, 700 * 500 / 600 */
        { "recursive: by unprotected usage", 1000, 300, 0, 0, 400, 500, 1, 1000, 416, 583 },
        /* 200 - 0 unclaimed; of 400 pages 100 and 200 are theirs: 200 * 100 / 400, 200 * 200 / 400 */
        { "recursive: the parent's own pages count", 200, 0, 0, 100, 100, 200, 1, 200, 50, 100 },
        { "no usage, no protection", 100, 50, 50, 0, 0, 70, 0, 100, 0, 50 },
        { "a child of the root gets all that it was set to", 100, 0, 0, 10, 0, 0, 0, 100, 0, 0 },
        { "nothing from above", 0, 50, 50, 0, 60, 60, 0, 0, 0, 0 },
        { "nothing from above, recursive", 0, 50, 50, 0, 60, 60, 1, 0, 0, 0 },
        /* (2^40 * 2^50) / 2^50 has no room in 64 bits on the way */
        { "large", BIT(40), BIT(49), BIT(49), 0, BIT(49), BIT(49), 0, BIT(40), BIT(39), BIT(39) },
};

/* min and low by the same formula; test_nested() has different ones. */
static void test_protection(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Counter root, p, a, b, *refused;
                CounterProtection of_p, of_a, of_b;

                counter_init(&root, NULL);
                counter_init(&p, &root);
                counter_init(&a, &p);
                counter_init(&b, &p);
                counter_set_protection(&p, rows[i].p_min, rows[i].p_min);
                counter_set_protection(&a, rows[i].a_min, rows[i].a_min / 2);
                /* set before and after it is charged */
                assert_int_equal(counter_charge(&p, rows[i].p_own, COUNTER_LIMITED, &refused), 0);
                assert_int_equal(counter_charge(&a, rows[i].a_usage, COUNTER_LIMITED, &refused), 0);
                assert_int_equal(counter_charge(&b, rows[i].b_usage, COUNTER_LIMITED, &refused), 0);
                counter_set_protection(&a, rows[i].a_min, rows[i].a_min);
                counter_set_protection(&b, rows[i].b_min, rows[i].b_min);
                of_p = counter_protection(&p, &root, rows[i].recursive);
                of_a = counter_protection(&a, &root, rows[i].recursive);
                of_b = counter_protection(&b, &root, rows[i].recursive);
                if (of_p.min != rows[i].p_emin || of_a.min != rows[i].a_emin ||
                    of_b.min != rows[i].b_emin)
                        fail_msg("%s: %llu %llu %llu", rows[i].what, (unsigned long long)of_p.min,
                                 (unsigned long long)of_a.min, (unsigned long long)of_b.min);
                assert_int_equal(of_p.low, of_p.min);
                assert_int_equal(of_a.low, of_a.min);
                assert_int_equal(of_b.low, of_b.min);
        }
}

/*
 *      root ── p (50 of 200) ─┬─ q (100) ── leaf (100)
 *                             └─ r (100)
 * q gets 100 * 50 / 200, and the leaf no more than q.
 */
static void test_nested(void **state)
{
        Counter root, p, q, r, leaf, *refused;

        counter_init(&root, NULL);
        counter_init(&p, &root);
        counter_init(&q, &p);
        counter_init(&r, &p);
        counter_init(&leaf, &q);
        counter_set_protection(&p, 50, 150);
        counter_set_protection(&q, 100, 100);
        counter_set_protection(&r, 100, 50);
        counter_set_protection(&leaf, 100, 0);
        assert_int_equal(counter_charge(&leaf, 100, COUNTER_LIMITED, &refused), 0);
        assert_int_equal(counter_charge(&r, 100, COUNTER_LIMITED, &refused), 0);
        assert_int_equal(p.children_min_usage, 200);
        assert_int_equal(p.children_low_usage, 150);
        assert_int_equal(counter_protection(&q, &root, 0).min, 25);
        assert_int_equal(counter_protection(&leaf, &root, 0).min, 25);
        /* low: claims of 100 and 50 are afforded; the leaf claims none, and gets q's only if it is
         * recursive */
        assert_int_equal(counter_protection(&q, &root, 0).low, 100);
        assert_int_equal(counter_protection(&leaf, &root, 0).low, 0);
        assert_int_equal(counter_protection(&leaf, &root, 1).low, 100);
        /* seen from p, its children are children of the root */
        assert_int_equal(counter_protection(&q, &p, 0).min, 100);
        assert_int_equal(counter_protection(&p, &p, 0).min, 0);
        assert_int_equal(counter_protection(&p, &q, 0).min, 0); /* not below */
        /* what is uncharged is told upwards */
        assert_int_equal(counter_uncharge(&leaf, 70), 0);
        assert_int_equal(p.children_min_usage, 130);
        assert_int_equal(q.children_min_usage, 30);
        counter_detach(&r);
        assert_int_equal(p.children_min_usage, 30);
        assert_int_equal(p.usage, 130);
}

/* Deeper than the stack of counter_protection(): the protection of the top goes all the way down.
 */
static void test_deep(void **state)
{
        static Counter chain[300];
        Counter *refused;

        counter_init(&chain[0], NULL);
        for (size_t i = 1; i < ELEMENTSOF(chain); i++) {
                counter_init(&chain[i], &chain[i - 1]);
                counter_set_protection(&chain[i], i == 1 ? 40 : 1000, 0);
        }
        assert_int_equal(
                counter_charge(&chain[ELEMENTSOF(chain) - 1], 60, COUNTER_LIMITED, &refused), 0);
        for (size_t i = 1; i < ELEMENTSOF(chain); i++)
                assert_int_equal(counter_protection(&chain[i], &chain[0], 0).min, 40);
}

enum { N_THREADS = 4, N_ROUNDS = 50000, LIMIT = 7 };

static struct {
        Counter root, leaf[N_THREADS];
        uint64_t granted;
        int exceeded;
} shared;

static void *charge_and_uncharge(void *arg)
{
        Counter *leaf = arg, *refused;

        for (int i = 0; i < N_ROUNDS; i++) {
                uint64_t pages = 1 + (uint64_t)i % 3;

                if (counter_charge(leaf, pages, COUNTER_LIMITED, &refused) < 0)
                        continue;
                if (__atomic_add_fetch(&shared.granted, pages, __ATOMIC_RELAXED) > LIMIT)
                        __atomic_store_n(&shared.exceeded, 1, __ATOMIC_RELAXED);
                (void)__atomic_sub_fetch(&shared.granted, pages, __ATOMIC_RELAXED);
                if (counter_uncharge(leaf, pages) < 0)
                        __atomic_store_n(&shared.exceeded, 1, __ATOMIC_RELAXED);
        }
        return NULL;
}

/* What is granted at the same time is never over the limit, and all of it comes back. */
static void test_concurrent(void **state)
{
        pthread_t threads[N_THREADS];

        counter_init(&shared.root, NULL);
        counter_set_max(&shared.root, LIMIT);
        for (int i = 0; i < N_THREADS; i++) {
                counter_init(&shared.leaf[i], &shared.root);
                counter_set_protection(&shared.leaf[i], 2, 1);
                assert_int_equal(
                        pthread_create(&threads[i], NULL, charge_and_uncharge, &shared.leaf[i]), 0);
        }
        for (int i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(shared.exceeded);
        assert_int_equal(shared.root.usage, 0);
        assert_int_equal(shared.root.children_min_usage, 0);
        assert_int_equal(shared.root.children_low_usage, 0);
        assert_in_range(shared.root.watermark, 1, LIMIT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused_at_each_level),
                cmocka_unit_test(test_forced),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_underflow),
                cmocka_unit_test(test_protection),
                cmocka_unit_test(test_nested),
                cmocka_unit_test(test_deep),
                cmocka_unit_test(test_concurrent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
