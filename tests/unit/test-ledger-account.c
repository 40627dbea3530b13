/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accounts: page charges, removal with everything that may be on them at that time, slots, and the
 * ledger's end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <chargehand/ledger.h>

#include "ledger/ledger.h"
#include "util.h"

#define PAGE  4096
#define BATCH 64

/* root ── a ── b ── c */
typedef struct Fixture {
        ch_ledger *ledger;
        ch_account *root, *a, *b, *c;
        ch_slot *slot, *other;
} Fixture;

static uint64_t usage(const ch_account *account)
{
        ch_account_figures figures;

        ch_account_get_figures(account, &figures);
        return figures.usage_pages;
}

static int setup(void **state)
{
        static Fixture fixture;
        ch_ledger_options options = { .page_bytes = PAGE, .max_slots = 4, .n_kinds = 1 };

        fixture = (Fixture){};
        assert_int_equal(ch_ledger_new(&options, &fixture.ledger), 0);
        fixture.root = ch_ledger_get_root(fixture.ledger);
        assert_int_equal(ch_account_new(fixture.root, &fixture.a), 0);
        assert_int_equal(ch_account_new(fixture.a, &fixture.b), 0);
        assert_int_equal(ch_account_new(fixture.b, &fixture.c), 0);
        assert_int_equal(ch_slot_get(fixture.ledger, &fixture.slot), 0);
        assert_int_equal(ch_slot_get(fixture.ledger, &fixture.other), 0);
        *state = &fixture;
        return 0;
}

static void finish(Fixture *f)
{
        f->slot = ch_slot_put(f->slot);
        f->other = ch_slot_put(f->other);
        ch_ledger_drain(f->ledger, NULL);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), 0);
        assert_int_equal(usage(f->root), 0);
        assert_int_equal(ch_ledger_get_n_errors(f->ledger), 0);
        if (f->c)
                assert_int_equal(ch_account_remove(f->c), 0);
        if (f->b)
                assert_int_equal(ch_account_remove(f->b), 0);
        if (f->a)
                assert_int_equal(ch_account_remove(f->a), 0);
        assert_int_equal(ch_ledger_free(f->ledger), 0);
}

static void test_page_charges(void **state)
{
        Fixture *f = *state;
        ch_account *refused = NULL;
        ch_account_figures figures;

        ch_account_set_max(f->b, 100);
        assert_int_equal(ch_account_try_charge(f->slot, f->c, 30, NULL), 0);
        assert_int_equal(usage(f->c), BATCH);
        assert_int_equal(ch_account_try_charge(f->slot, f->c, 34, NULL), 0);
        assert_int_equal(usage(f->root), BATCH);
        /* no room for a batch: as many as are asked for */
        assert_int_equal(ch_account_try_charge(f->slot, f->c, 1, NULL), 0);
        assert_int_equal(usage(f->root), BATCH + 1);
        assert_int_equal(ch_account_try_charge(f->other, f->c, 36, &refused), -ENOSPC);
        assert_ptr_equal(refused, f->b);
        refused = ch_account_unref(refused);
        ch_account_get_figures(f->b, &figures);
        assert_int_equal(figures.failures, 1);
        assert_int_equal(figures.max_pages, 100);
        assert_int_equal(figures.watermark_pages, BATCH + 1);
        assert_int_equal(ch_account_charge(f->other, f->c, 36), 0);
        assert_int_equal(usage(f->b), 101);
        assert_int_equal(ch_account_uncharge(f->slot, f->c, 102), -ERANGE);
        assert_int_equal(ch_account_uncharge(NULL, f->c, 102), -ERANGE);
        assert_int_equal(usage(f->b), 101);
        assert_int_equal(ch_account_uncharge(f->slot, f->c, 51), 0);
        assert_int_equal(ch_account_uncharge(f->slot, f->c, 51),
                         -ERANGE); /* what is in stock is nobody's */
        assert_int_equal(ch_account_uncharge(f->slot, f->c, 50), 0);
        assert_int_equal(ch_account_try_charge(NULL, f->c, 0, NULL), -ERANGE);
        assert_int_equal(ch_account_try_charge(NULL, f->c, UINT64_MAX, NULL), -ERANGE);
        assert_int_equal(ch_account_charge(NULL, f->c, UINT64_MAX), -ERANGE);
        assert_int_equal(ch_account_uncharge(NULL, f->c, 0), -ERANGE);
        assert_int_equal(ch_account_try_charge(NULL, NULL, 1, NULL), -EINVAL);
        finish(f);
}

/* Another slot's stock of a group far below the one that refuses is found; that of a group
 * elsewhere is not touched. */
static void test_refusal_is_exact(void **state)
{
        Fixture *f = *state;
        ch_account *elsewhere;

        assert_int_equal(ch_account_new(f->root, &elsewhere), 0);
        ch_account_set_max(f->a, 100);
        assert_int_equal(ch_account_try_charge(f->other, f->c, 1, NULL), 0);
        assert_int_equal(ch_account_try_charge(f->other, elsewhere, 1, NULL), 0);
        assert_int_equal(usage(f->a), BATCH);
        assert_int_equal(ch_account_try_charge(NULL, f->a, 99, NULL), 0);
        assert_int_equal(usage(f->a), 100);
        assert_int_equal(usage(elsewhere), BATCH);
        assert_int_equal(ch_account_try_charge(f->slot, f->b, 1, NULL), -ENOSPC);
        assert_int_equal(ch_account_uncharge(NULL, f->a, 99), 0);
        assert_int_equal(ch_account_uncharge(NULL, f->c, 1), 0);
        assert_int_equal(ch_account_uncharge(f->other, elsewhere, 1), 0);
        assert_int_equal(ch_account_remove(elsewhere), 0);
        finish(f);
}

static void test_remove_refused(void **state)
{
        Fixture *f = *state;
        ch_account *child, *kept = ch_account_ref(f->c);
        ch_bucket *bucket;

        assert_int_equal(ch_account_remove(f->root), -EBUSY);
        assert_int_equal(ch_account_remove(f->b), -EBUSY);
        assert_int_equal(ch_account_remove(NULL), -EINVAL);
        assert_int_equal(ch_account_remove(f->c), 0);
        assert_int_equal(ch_account_remove(kept), -EALREADY);
        /* it is read, and no more */
        assert_ptr_equal(ch_account_get_parent(kept), f->b);
        assert_int_equal(ch_account_new(kept, &child), -ESTALE);
        assert_int_equal(ch_bucket_new(kept, &bucket), -ESTALE);
        assert_int_equal(ch_account_try_charge(f->slot, kept, 1, NULL), -ESTALE);
        assert_int_equal(ch_account_try_charge(NULL, kept, 1, NULL), -ESTALE);
        assert_int_equal(usage(kept), 0);
        kept = ch_account_unref(kept);
        f->c = NULL;
        finish(f);
}

/* Objects and stocks of both slots are on c, then c goes, and b: a has all of it, not a byte more
 * or less. */
static void test_reparent(void **state)
{
        Fixture *f = *state;
        ch_bucket *bucket, *second;
        ch_account *kept = ch_account_ref(f->c), *now;

        assert_int_equal(ch_bucket_new(f->c, &bucket), 0);
        assert_int_equal(ch_bucket_new(f->c, &second), 0);
        assert_int_equal(ch_bucket_charge(f->slot, bucket, 5000, NULL), 0);
        assert_int_equal(ch_bucket_charge(f->other, bucket, 70, NULL), 0);
        assert_int_equal(ch_bucket_charge(f->other, second, 300 * PAGE, NULL), 0);
        assert_int_equal(usage(f->c), 2 * BATCH + 300);
        assert_int_equal(ch_account_remove(f->c), 0);
        /* pages in stock went back; pages of objects and byte stocks are b's, and were so before */
        assert_int_equal(usage(f->b), 2 + 1 + 300);
        assert_int_equal(usage(f->root), 2 + 1 + 300);
        assert_int_equal(usage(kept), 0);
        assert_int_equal(ch_ledger_get_slack_bytes(f->ledger), 3 * PAGE - 5070);
        now = ch_bucket_get_account(bucket);
        assert_ptr_equal(now, f->b);
        now = ch_account_unref(now);

        assert_int_equal(ch_account_remove(f->b), 0);
        now = ch_bucket_get_account(second);
        assert_ptr_equal(now, f->a);
        now = ch_account_unref(now);
        assert_int_equal(usage(f->a), 303);
        /* new objects land at a, old ones are uncharged there; a limit of it counts */
        ch_account_set_max(f->a, 303); /* of which byte stocks can give back one */
        assert_int_equal(ch_bucket_charge(f->slot, second, PAGE, NULL), 0);
        assert_int_equal(ch_bucket_charge(f->slot, second, PAGE, &now), -ENOSPC);
        assert_ptr_equal(now, f->a);
        now = ch_account_unref(now);
        assert_int_equal(ch_bucket_uncharge(f->other, bucket, 5000), 0);
        assert_int_equal(ch_bucket_uncharge(f->other, bucket, 70), 0);
        assert_int_equal(ch_bucket_uncharge(f->slot, second, 300 * PAGE), 0);
        ch_ledger_drain(f->ledger, f->a);
        assert_int_equal(usage(f->a), 1);
        assert_int_equal(ch_bucket_uncharge(f->slot, second, PAGE), 0);
        bucket = ch_bucket_unref(bucket);
        second = ch_bucket_unref(second);
        kept = ch_account_unref(kept);
        f->b = f->c = NULL;
        finish(f);
}

/* Pages that were charged to the account itself: whoever puts them back, or more of them, reaches
 * who has them now. */
static void test_reparent_pages(void **state)
{
        Fixture *f = *state;
        ch_account *kept = ch_account_ref(f->c);

        assert_int_equal(ch_account_try_charge(f->slot, f->c, 5, NULL), 0);
        assert_int_equal(ch_account_remove(f->c), 0);
        assert_int_equal(ch_account_remove(f->b), 0);
        assert_int_equal(usage(f->a), 5);
        assert_int_equal(ch_account_charge(f->slot, kept, 2), 0);
        assert_int_equal(usage(f->a), 7);
        assert_int_equal(ch_account_uncharge(f->other, kept, 8), -ERANGE);
        assert_int_equal(ch_account_uncharge(f->other, kept, 7), 0);
        kept = ch_account_unref(kept);
        f->b = f->c = NULL;
        finish(f);
}

/* A removed account protects nothing any more, and what it did not protect is its siblings'. */
static void test_protection(void **state)
{
        Fixture *f = *state;
        ch_account *sibling;
        uint64_t emin, elow;

        assert_int_equal(ch_account_new(f->b, &sibling), 0);
        ch_account_set_protection(f->a, 100, 100);
        ch_account_set_protection(f->b, 100, 50);
        ch_account_set_protection(f->c, 80, 80);
        ch_account_set_protection(sibling, 60, 0);
        assert_int_equal(ch_account_try_charge(NULL, f->c, 80, NULL), 0);
        assert_int_equal(ch_account_try_charge(NULL, sibling, 60, NULL), 0);
        ch_account_get_protection(sibling, NULL, &emin, &elow);
        assert_int_equal(emin, 42); /* 60 * 100 / 140 */
        assert_int_equal(elow, 0);
        ch_account_get_protection(f->c, f->b, &emin, NULL);
        assert_int_equal(emin, 80);
        assert_int_equal(ch_account_remove(f->c), 0);
        ch_account_get_protection(sibling, NULL, &emin, NULL);
        assert_int_equal(emin, 60);
        assert_int_equal(ch_account_uncharge(NULL, f->b, 80), 0);
        assert_int_equal(ch_account_uncharge(NULL, sibling, 60), 0);
        assert_int_equal(ch_account_remove(sibling), 0);
        f->c = NULL;
        finish(f);
}

/* Everything that is left keeps the ledger, one after the other. */
static void test_free_refused(void **state)
{
        Fixture *f = *state;
        ch_account *kept = ch_account_ref(f->c);
        ch_bucket *bucket;

        assert_int_equal(ch_bucket_new(f->c, &bucket), 0);
        assert_int_equal(ch_bucket_charge(f->slot, bucket, 1, NULL), 0);
        bucket = (ch_bucket_unref(bucket), bucket);
        assert_int_equal(ch_ledger_free(f->ledger), -EBUSY); /* slots, accounts, an object */
        assert_int_equal(ch_account_remove(f->c), 0);
        assert_int_equal(ch_account_remove(f->b), 0);
        assert_int_equal(ch_account_remove(f->a), 0);
        assert_int_equal(ch_bucket_charge(f->other, bucket, 10, NULL), 0);
        f->slot = ch_slot_put(f->slot);
        f->other = ch_slot_put(f->other);
        assert_int_equal(ch_ledger_free(f->ledger), -EBUSY); /* an object */
        assert_int_equal(ch_bucket_uncharge(NULL, bucket, 11), 0);
        assert_int_equal(ch_ledger_free(f->ledger), -EBUSY); /* a reference */
        kept = ch_account_unref(kept);
        assert_int_equal(ch_account_charge(NULL, f->root, 1), 0);
        assert_int_equal(ch_ledger_free(f->ledger), -EBUSY); /* pages of the root's own */
        assert_int_equal(ch_account_uncharge(NULL, f->root, 1), 0);
        assert_int_equal(ch_slot_get(f->ledger, &f->slot), 0);
        assert_int_equal(ch_ledger_free(f->ledger), -EBUSY); /* a slot */
        f->slot = ch_slot_put(f->slot);
        assert_int_equal(ch_ledger_free(f->ledger), 0);
        assert_int_equal(ch_ledger_free(NULL), 0);
}

static void test_bad_options(void **state)
{
        static const ch_ledger_options bad[] = {
                { .page_bytes = 4095 },    { .page_bytes = (uint64_t)1 << 40 },
                { .max_slots = 1 << 20 },  { .batch_pages = UINT32_MAX },
                { .n_kinds = UINT32_MAX }, { .recursive_protection = 2 },
        };
        ch_ledger *ledger;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(ch_ledger_new(&bad[i], &ledger), -EINVAL);
        assert_int_equal(ch_ledger_new(NULL, NULL), -EINVAL);
        assert_int_equal(ch_ledger_new(NULL, &ledger), 0);
        assert_int_equal(ch_ledger_free(ledger), 0);
}

static int put_back;

static void *take_a_slot(void *arg)
{
        ch_slot *slot;

        assert_int_equal(ch_slot_get(arg, &slot), 0);
        assert_true(__atomic_load_n(&put_back, __ATOMIC_ACQUIRE));
        return slot;
}

/* Whoever comes when all are taken gets the one that is put back. */
static void test_slots_exhausted(void **state)
{
        ch_ledger_options options = { .max_slots = 1 };
        ch_ledger *ledger;
        pthread_t thread;
        ch_slot *slot;
        void *got;

        assert_int_equal(ch_ledger_new(&options, &ledger), 0);
        assert_int_equal(ch_slot_get(ledger, &slot), 0);
        assert_int_equal(pthread_create(&thread, NULL, take_a_slot, ledger), 0);
        __atomic_store_n(&put_back, 1, __ATOMIC_RELEASE);
        assert_null(ch_slot_put(slot));
        assert_int_equal(pthread_join(thread, &got), 0);
        assert_ptr_equal(got, slot);
        assert_null(ch_slot_put(slot));
        assert_int_equal(ch_ledger_free(ledger), 0);
}

enum { N_THREADS = 3, N_BUCKETS = 6, N_HELD = 32, N_GENERATIONS = 300 };

/* Buckets that one thread makes on short-lived accounts, and that all others charge. */
static struct {
        ch_ledger *ledger;
        pthread_mutex_t lock[N_BUCKETS];
        ch_bucket *buckets[N_BUCKETS];
        int stop, failed;
} shared;

static void fail_if(int wrong)
{
        if (wrong)
                __atomic_store_n(&shared.failed, 1, __ATOMIC_RELAXED);
}

/* Each keeps some objects, replaced at random: they outlive accounts, their parents and their
 * buckets' makers. */
static void *charge_all_over(void *arg)
{
        struct {
                ch_bucket *bucket;
                uint64_t bytes;
        } held[N_HELD] = {};
        uint64_t seed = (uintptr_t)arg;
        ch_slot *slot = NULL;

        if (seed > 0)
                fail_if(ch_slot_get(shared.ledger, &slot) < 0);
        for (unsigned i = 0; !__atomic_load_n(&shared.stop, __ATOMIC_RELAXED); i++) {
                unsigned at = i % N_HELD, which;

                seed = seed * 6364136223846793005U + 1442695040888963407U;
                if (held[at].bucket)
                        fail_if(ch_bucket_uncharge(slot, held[at].bucket, held[at].bytes) < 0);
                which = (unsigned)(seed >> 33) % N_BUCKETS;
                held[at].bytes = 1 + (seed >> 40) % (i % 16 ? 500 : 3 * PAGE);
                (void)pthread_mutex_lock(&shared.lock[which]);
                held[at].bucket = shared.buckets[which];
                fail_if(held[at].bucket &&
                        ch_bucket_charge(slot, held[at].bucket, held[at].bytes, NULL) < 0);
                (void)pthread_mutex_unlock(&shared.lock[which]);
        }
        for (unsigned at = 0; at < N_HELD; at++)
                if (held[at].bucket)
                        fail_if(ch_bucket_uncharge(slot, held[at].bucket, held[at].bytes) < 0);
        (void)ch_slot_put(slot);
        return NULL;
}

/* The maker drops the old one and puts a new one in its place. */
static void replace_bucket(unsigned which, ch_bucket *with)
{
        ch_bucket *old;

        (void)pthread_mutex_lock(&shared.lock[which]);
        old = shared.buckets[which];
        shared.buckets[which] = with;
        (void)pthread_mutex_unlock(&shared.lock[which]);
        (void)ch_bucket_unref(old);
}

/* Charge, uncharge, remove, all at the same time: at the end there is nothing, and nothing was ever
 * missing. */
static void test_concurrent_reparent(void **state)
{
        ch_ledger_options options = { .page_bytes = PAGE, .max_slots = N_THREADS };
        pthread_t threads[N_THREADS];
        ch_account *root, *parent, *child;
        ch_bucket *bucket;

        shared.stop = shared.failed = 0;
        assert_int_equal(ch_ledger_new(&options, &shared.ledger), 0);
        root = ch_ledger_get_root(shared.ledger);
        for (unsigned i = 0; i < N_BUCKETS; i++)
                (void)pthread_mutex_init(&shared.lock[i], NULL);
        for (uintptr_t i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, charge_all_over, (void *)i), 0);
        for (unsigned i = 0; i < N_GENERATIONS; i++) {
                assert_int_equal(ch_account_new(root, &parent), 0);
                assert_int_equal(ch_account_new(parent, &child), 0);
                assert_int_equal(ch_bucket_new(child, &bucket), 0);
                replace_bucket(i % N_BUCKETS, bucket);
                assert_int_equal(ch_bucket_new(parent, &bucket), 0);
                replace_bucket((i + 1) % N_BUCKETS, bucket);
                assert_int_equal(ch_account_remove(parent), -EBUSY);
                assert_int_equal(ch_account_remove(child), 0);
                assert_int_equal(ch_account_remove(parent), 0);
        }
        __atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (unsigned i = 0; i < N_BUCKETS; i++)
                replace_bucket(i, NULL);
        assert_false(shared.failed);
        ch_ledger_drain(shared.ledger, NULL);
        assert_int_equal(usage(root), 0);
        assert_int_equal(ch_ledger_get_slack_bytes(shared.ledger), 0);
        assert_int_equal(ch_ledger_get_n_errors(shared.ledger), 0);
        assert_int_equal(ch_ledger_free(shared.ledger), 0);
}

/* A sandbox that knows no membarrier(), for good: the last test. */
static int forbid_membarrier(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

/* Then owners of slots pay for the order themselves, and all is as exact. */
static void test_without_membarrier(void **state)
{
        ch_ledger *ledger;

        if (forbid_membarrier())
                skip();
        assert_int_equal(ch_ledger_new(NULL, &ledger), 0);
        assert_true(ledger->fenced);
        assert_int_equal(ch_ledger_free(ledger), 0);
        test_concurrent_reparent(state);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_page_charges, setup),
                cmocka_unit_test_setup(test_refusal_is_exact, setup),
                cmocka_unit_test_setup(test_remove_refused, setup),
                cmocka_unit_test_setup(test_reparent, setup),
                cmocka_unit_test_setup(test_reparent_pages, setup),
                cmocka_unit_test_setup(test_protection, setup),
                cmocka_unit_test_setup(test_free_refused, setup),
                cmocka_unit_test(test_bad_options),
                cmocka_unit_test(test_slots_exhausted),
                cmocka_unit_test(test_concurrent_reparent),
                cmocka_unit_test(test_without_membarrier),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
