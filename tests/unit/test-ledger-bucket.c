/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects on buckets: sizes, stocks, bulk, what is refused, and what is wrong with an uncharge. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include <chargehand/ledger.h>

#include "ledger/slot.h"
#include "util.h"

#define PAGE  4096
#define BATCH 64
#define TOP   ((uint64_t)1 << 63)

/* root ── group, a bucket on it, and two slots */
typedef struct Fixture {
        ch_ledger *ledger;
        ch_account *group;
        ch_bucket *bucket;
        ch_slot *slot, *other;
} Fixture;

static uint64_t usage(const ch_account *account)
{
        ch_account_figures figures;

        ch_account_get_figures(account, &figures);
        return figures.usage_pages;
}

static uint64_t failures(const ch_account *account)
{
        ch_account_figures figures;

        ch_account_get_figures(account, &figures);
        return figures.failures;
}

static int setup(void **state)
{
        static Fixture fixture;
        ch_ledger_options options = { .page_bytes = PAGE, .max_slots = 3 };

        fixture = (Fixture){};
        assert_int_equal(ch_ledger_new(&options, &fixture.ledger), 0);
        assert_int_equal(ch_account_new(ch_ledger_get_root(fixture.ledger), &fixture.group), 0);
        assert_int_equal(ch_bucket_new(fixture.group, &fixture.bucket), 0);
        assert_int_equal(ch_slot_get(fixture.ledger, &fixture.slot), 0);
        assert_int_equal(ch_slot_get(fixture.ledger, &fixture.other), 0);
        *state = &fixture;
        return 0;
}

/* All of it back, and nothing left anywhere. */
static void finish(Fixture *f, uint64_t n_errors)
{
        f->slot = ch_slot_put(f->slot);
        f->other = ch_slot_put(f->other);
        f->bucket = ch_bucket_unref(f->bucket);
        ch_ledger_drain(f->ledger, NULL);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), 0);
        assert_int_equal(usage(f->group), 0);
        assert_int_equal(ch_ledger_get_n_errors(f->ledger), n_errors);
        assert_int_equal(ch_account_remove(f->group), 0);
        assert_int_equal(usage(ch_ledger_get_root(f->ledger)), 0);
        assert_int_equal(ch_ledger_free(f->ledger), 0);
}

static const struct {
        uint64_t bytes, pages;
} sizes[] = {
        {1,              1         },
        { 100,           1         },
        { 4095,          1         },
        { 4096,          1         },
        { 4097,          2         },
        { 8192,          2         },
        { 12289,         4         },
        { 1 << 20,       256       },
        { (1 << 20) + 1, 257       },
        { TOP - 1,       TOP / PAGE},
        { TOP,           TOP / PAGE},
};

/* Each size through a slot, and without one: drained, usage is whole pages of what is charged, and
 * nothing else. */
static void test_sizes(void **state)
{
        Fixture *f = *state;

        for (size_t i = 0; i < 2 * ELEMENTSOF(sizes); i++) {
                ch_slot *slot = i % 2 ? f->slot : NULL;
                uint64_t bytes = sizes[i / 2].bytes;

                assert_int_equal(ch_bucket_charge(slot, f->bucket, bytes, NULL), 0);
                assert_true(usage(f->group) * PAGE - ch_ledger_get_slack_bytes(f->ledger) == bytes);
                ch_ledger_drain(f->ledger, NULL);
                assert_true(usage(f->group) == sizes[i / 2].pages);
                assert_true(usage(ch_ledger_get_root(f->ledger)) == sizes[i / 2].pages);
                assert_int_equal(ch_ledger_get_slack_bytes(f->ledger),
                                 (PAGE - bytes % PAGE) % PAGE);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, bytes), 0);
                ch_ledger_drain(f->ledger, f->group);
                assert_int_equal(usage(f->group), 0);
                assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), 0);
        }
        finish(f, 0);
}

static void test_bad_sizes(void **state)
{
        Fixture *f = *state;

        for (int i = 0; i < 2; i++) {
                ch_slot *slot = i ? f->slot : NULL;

                assert_int_equal(ch_bucket_charge(slot, f->bucket, 0, NULL), -ERANGE);
                assert_int_equal(ch_bucket_charge(slot, f->bucket, TOP + 1, NULL), -ERANGE);
                assert_int_equal(ch_bucket_charge(slot, f->bucket, UINT64_MAX, NULL), -ERANGE);
                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, 100, 0, NULL), -ERANGE);
                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, 0, 100, NULL), -ERANGE);
                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, TOP, 2, NULL), -ERANGE);
                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, TOP / 2 + 1, 2, NULL),
                                 -ERANGE);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, 0), -ERANGE);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, TOP + 1), -ERANGE);
                assert_int_equal(ch_bucket_uncharge_bulk(slot, f->bucket, UINT64_MAX, 2), -ERANGE);
                assert_int_equal(ch_bucket_charge(slot, NULL, 1, NULL), -EINVAL);
                assert_int_equal(ch_bucket_charge(slot, NULL, PAGE, NULL), -EINVAL);
                assert_int_equal(ch_bucket_uncharge(slot, NULL, 1), -EINVAL);
        }
        assert_int_equal(usage(f->group), 0);
        finish(f, 0);
}

/* A hit touches no counter; a batch is in stock after a miss, and over two batches all but one go
 * back. */
static void test_stocks(void **state)
{
        Fixture *f = *state;
        int i;

        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1000, NULL), 0);
        assert_int_equal(usage(f->group), BATCH);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), BATCH * PAGE - 1000);
        for (i = 1; i < BATCH * PAGE / 1000; i++)
                assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1000, NULL), 0);
        assert_int_equal(usage(f->group), BATCH);
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1000, NULL), 0);
        assert_int_equal(usage(f->group), 2 * BATCH);
        for (; i >= 0; i--)
                assert_int_equal(ch_bucket_uncharge(f->slot, f->bucket, 1000), 0);
        assert_in_range(usage(f->group), 1, 2 * BATCH + 2);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), usage(f->group) * PAGE);
        /* an object of many pages and a bit: straight from the counter, the bit from the stock */
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1000 * PAGE + 1, NULL), 0);
        assert_int_equal(ch_bucket_uncharge(f->slot, f->bucket, 1000 * PAGE + 1), 0);
        assert_in_range(usage(f->group), 1, 2 * BATCH + 2);
        finish(f, 0);
}

/* More buckets in turn than a slot has ways: each keeps its rest, and gets it back. */
static void test_many_buckets(void **state)
{
        Fixture *f = *state;
        ch_bucket *buckets[3 * BYTE_WAYS];

        for (size_t i = 0; i < ELEMENTSOF(buckets); i++)
                assert_int_equal(ch_bucket_new(f->group, &buckets[i]), 0);
        for (int round = 0; round < 4; round++)
                for (size_t i = 0; i < ELEMENTSOF(buckets); i++)
                        assert_int_equal(ch_bucket_charge(f->slot, buckets[i], 1000, NULL), 0);
        ch_ledger_drain(f->ledger, NULL);
        assert_int_equal(usage(f->group), ELEMENTSOF(buckets)); /* 4 × 1000 in a page each */
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), ELEMENTSOF(buckets) * (PAGE - 4000));
        for (int round = 0; round < 4; round++)
                for (size_t i = 0; i < ELEMENTSOF(buckets); i++)
                        assert_int_equal(
                                ch_bucket_uncharge(round % 2 ? f->other : NULL, buckets[i], 1000),
                                0);
        for (size_t i = 0; i < ELEMENTSOF(buckets); i++)
                buckets[i] = ch_bucket_unref(buckets[i]);
        finish(f, 0);
}

/* Rests that two slots flush make up pages: those go back at once. */
static void test_rests_make_pages(void **state)
{
        Fixture *f = *state;

        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1000, NULL), 0);
        assert_int_equal(ch_bucket_charge(f->other, f->bucket, 1000, NULL), 0);
        ch_ledger_drain(f->ledger, NULL);
        assert_int_equal(usage(f->group), 1);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), PAGE - 2000);
        /* the rest serves whoever comes next */
        assert_int_equal(ch_bucket_charge(NULL, f->bucket, PAGE - 2000, NULL), 0);
        assert_int_equal(usage(f->group), 1);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), 0);
        assert_int_equal(ch_bucket_uncharge(NULL, f->bucket, PAGE - 2000), 0);
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, PAGE - 2000, NULL), 0);
        assert_int_equal(usage(f->group), 1);
        assert_int_equal(ch_bucket_uncharge_bulk(f->other, f->bucket, PAGE / 2, 2), 0);
        finish(f, 0);
}

static void test_bulk_all_or_nothing(void **state)
{
        Fixture *f = *state;
        ch_account *refused = NULL;

        ch_account_set_max(f->group, 10);
        for (int i = 0; i < 2; i++) {
                ch_slot *slot = i ? f->slot : NULL;

                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, PAGE / 2, 20, NULL), 0);
                assert_int_equal(usage(f->group), 10);
                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, 1, 1, &refused), -ENOSPC);
                assert_ptr_equal(refused, f->group);
                refused = ch_account_unref(refused);
                assert_int_equal(ch_bucket_uncharge_bulk(slot, f->bucket, PAGE / 2, 20), 0);
                ch_ledger_drain(f->ledger, NULL);
                assert_int_equal(usage(f->group), 0);
                assert_int_equal(ch_bucket_charge_bulk(slot, f->bucket, PAGE / 2, 21, NULL),
                                 -ENOSPC);
                assert_int_equal(usage(f->group), 0);
        }
        assert_int_equal(failures(f->group),
                         4); /* one for each refusal, however often it was tried */
        finish(f, 0);
}

/* What is in another slot's stock does not make a charge fail that would fit. */
static void test_refusal_is_exact(void **state)
{
        Fixture *f = *state;
        ch_account *refused = NULL;
        ch_bucket *second;

        ch_account_set_max(f->group, BATCH);
        assert_int_equal(ch_bucket_new(f->group, &second), 0);
        assert_int_equal(ch_bucket_charge(f->other, second, PAGE, NULL), 0);
        assert_int_equal(usage(f->group), BATCH);
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, (BATCH - 1) * PAGE, NULL), 0);
        assert_int_equal(usage(f->group), BATCH);
        assert_int_equal(failures(f->group), 0);
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1, &refused), -ENOSPC);
        assert_ptr_equal(refused, f->group);
        refused = ch_account_unref(refused);
        /* a page that was in a byte stock elsewhere is found, too */
        assert_int_equal(ch_bucket_uncharge(f->other, second, PAGE), 0);
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 1, NULL), 0);
        assert_int_equal(usage(f->group), BATCH);
        assert_int_equal(ch_bucket_uncharge(NULL, f->bucket, (BATCH - 1) * PAGE), 0);
        assert_int_equal(ch_bucket_uncharge(NULL, f->bucket, 1), 0);
        second = ch_bucket_unref(second);
        finish(f, 0);
}

/* The objects keep the bucket after its maker has dropped it. */
static void test_objects_keep_bucket(void **state)
{
        Fixture *f = *state;
        ch_bucket *bucket;

        for (int i = 0; i < 4; i++) {
                assert_int_equal(ch_bucket_new(f->group, &bucket), 0);
                assert_int_equal(ch_bucket_charge(i & 1 ? f->slot : NULL, bucket, 5000, NULL), 0);
                assert_null(ch_bucket_unref(bucket));
                assert_int_equal(ch_bucket_charge(i & 1 ? f->slot : NULL, bucket, 10, NULL), 0);
                ch_ledger_drain(f->ledger, NULL);
                assert_int_equal(ch_bucket_uncharge(i & 2 ? f->other : NULL, bucket, 5000), 0);
                ch_ledger_drain(f->ledger, NULL);
                assert_int_equal(usage(f->group), 1);
                assert_int_equal(ch_bucket_uncharge(i & 2 ? f->other : NULL, bucket, 10), 0);
        }
        finish(f, 0);
}

/* With one slot in use every byte too many is told at once; so it is without one, beyond the pages.
 */
static void test_uncharge_too_much(void **state)
{
        Fixture *f = *state;

        for (int i = 0; i < 2; i++) {
                ch_slot *slot = i ? f->slot : NULL;
                uint64_t slack;

                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, 1), -ERANGE);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, TOP), -ERANGE);
                assert_int_equal(ch_bucket_charge(slot, f->bucket, 2 * PAGE, NULL), 0);
                slack = ch_ledger_get_slack_bytes(f->ledger);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, 2 * PAGE + 1), -ERANGE);
                assert_int_equal(ch_bucket_uncharge_bulk(slot, f->bucket, PAGE, 3), -ERANGE);
                assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), slack);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, 2 * PAGE), 0);
                assert_int_equal(ch_bucket_uncharge(slot, f->bucket, 1), -ERANGE);
        }
        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 100, NULL), 0);
        assert_int_equal(ch_bucket_uncharge(f->slot, f->bucket, 100), 0);
        assert_int_equal(ch_bucket_uncharge(f->slot, f->bucket, 100), -ERANGE);
        finish(f, 0);
}

/* Through another slot it is found when all stocks are together, and the account is whole all the
 * same. */
static void test_uncharge_too_much_elsewhere(void **state)
{
        Fixture *f = *state;

        assert_int_equal(ch_bucket_charge(f->slot, f->bucket, 100, NULL), 0);
        assert_int_equal(ch_bucket_uncharge(f->other, f->bucket, 100), 0);
        assert_int_equal(ch_bucket_uncharge(f->other, f->bucket, 100), 0);
        finish(f, 1);
}

enum { N_OBJECTS = 64, N_ROUNDS = 40000 };

/* Objects that one thread has charged and another will uncharge. */
static struct {
        Fixture *f;
        uint64_t sizes[N_OBJECTS];
        int failed;
} handed;

static uint64_t next_random(uint64_t *seed)
{
        *seed = *seed * 6364136223846793005U + 1442695040888963407U;
        return *seed >> 33;
}

static void *swap_objects(void *arg)
{
        uint64_t seed = (uintptr_t)arg;
        ch_slot *slot = NULL;

        if (seed != 3 && ch_slot_get(handed.f->ledger, &slot) < 0)
                handed.failed = 1;
        for (int i = 0; i < N_ROUNDS; i++) {
                uint64_t bytes = 1 + next_random(&seed) % (next_random(&seed) % 8 ? 600 : 20000);

                if (ch_bucket_charge(slot, handed.f->bucket, bytes, NULL) < 0)
                        bytes = 0;
                bytes = __atomic_exchange_n(&handed.sizes[next_random(&seed) % N_OBJECTS], bytes,
                                            __ATOMIC_ACQ_REL);
                if (bytes > 0 && ch_bucket_uncharge(slot, handed.f->bucket, bytes) < 0)
                        __atomic_store_n(&handed.failed, 1, __ATOMIC_RELAXED);
                if (i % 1000 == 0)
                        ch_ledger_drain(handed.f->ledger, NULL);
        }
        (void)ch_slot_put(slot);
        return NULL;
}

/* Objects charged here and uncharged there, at a limit, under draining: all refusals are right, all
 * comes back. */
static void test_concurrent(void **state)
{
        Fixture *f = *state;
        pthread_t threads[4];

        f->slot = ch_slot_put(f->slot);
        f->other = ch_slot_put(f->other);
        ch_account_set_max(f->group, 60);
        handed.f = f;
        for (uintptr_t i = 0; i < ELEMENTSOF(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, swap_objects, (void *)i), 0);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(handed.failed);
        for (size_t i = 0; i < N_OBJECTS; i++)
                if (handed.sizes[i] > 0)
                        assert_int_equal(ch_bucket_uncharge(NULL, f->bucket, handed.sizes[i]), 0);
        finish(f, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_sizes, setup),
                cmocka_unit_test_setup(test_bad_sizes, setup),
                cmocka_unit_test_setup(test_stocks, setup),
                cmocka_unit_test_setup(test_many_buckets, setup),
                cmocka_unit_test_setup(test_rests_make_pages, setup),
                cmocka_unit_test_setup(test_bulk_all_or_nothing, setup),
                cmocka_unit_test_setup(test_refusal_is_exact, setup),
                cmocka_unit_test_setup(test_objects_keep_bucket, setup),
                cmocka_unit_test_setup(test_uncharge_too_much, setup),
                cmocka_unit_test_setup(test_uncharge_too_much_elsewhere, setup),
                cmocka_unit_test_setup(test_concurrent, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
