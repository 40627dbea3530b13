/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buckets: byte-sized objects on top of page counters.
 *
 * An object may be larger than a page (Gushchin's third problem: per-CPU allocations are): its
 * whole pages are charged as pages, and only what is over goes through the byte stock. No page has
 * to belong to an object for that; the bucket has charged so many pages, and they are its objects',
 * its stocks' and its rest's together.
 */

#include "account.h"
#include "ledger.h"
#include "stock.h"
#include "util.h"

#define BYTES_MAX ((uint64_t)1 << 63)
/* Above this a byte stock gives back whole pages, but one: whoever charges and uncharges in turn
 * meets no border. */
#define STOCK_PAGES_MAX 2

_public_ int ch_bucket_new(ch_account *account, ch_bucket **ret)
{
        ch_bucket *bucket;

        if (!account || !ret)
                return -EINVAL;
        bucket = calloc(1, sizeof(*bucket));
        if (!bucket)
                return -ENOMEM;
        *bucket = (ch_bucket){ .account = account,
                               .state = BUCKET_HOLDER,
                               .ledger = account->ledger };
        (void)pthread_mutex_lock(&account->ledger->tree_lock);
        if (account_is_removed(account)) {
                (void)pthread_mutex_unlock(&account->ledger->tree_lock);
                free(bucket);
                return -ESTALE;
        }
        bucket->made_on = ch_account_ref(account);
        cds_list_add_tail(&bucket->list, &account->buckets);
        account->ledger->n_buckets++;
        (void)pthread_mutex_unlock(&account->ledger->tree_lock);
        *ret = bucket;
        return 0;
}

int bucket_take_charged(ch_bucket *bucket, uint64_t pages)
{
        uint64_t state = counter_read(&bucket->state);

        do {
                if (pages > (state & (BUCKET_HOLDER - 1)))
                        return -ERANGE;
        } while (!__atomic_compare_exchange_n(&bucket->state, &state, state - pages, 0,
                                              __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        return state == pages;
}

/* The last one to let go has acquired what others did with the bucket before they let go. */
int bucket_drop_holder(ch_bucket *bucket)
{
        return __atomic_sub_fetch(&bucket->state, BUCKET_HOLDER, __ATOMIC_ACQ_REL) == 0;
}

/* In one step: who gives the last bytes of an object, and no whole page, holds the bucket by
 * nothing afterwards; others may make the page whole, give it back and free the bucket. Released
 * here, and acquired by them. */
uint64_t bucket_add_rest(ch_bucket *bucket, uint64_t bytes, slot_s64 *sum)
{
        uint32_t shift = bucket->ledger->page_shift;
        uint64_t rest = counter_read(&bucket->rest_bytes), whole;

        do {
                whole = (rest + bytes) >> shift;
        } while (!__atomic_compare_exchange_n(&bucket->rest_bytes, &rest,
                                              rest + bytes - (whole << shift), 0, __ATOMIC_ACQ_REL,
                                              __ATOMIC_RELAXED));
        (void)__atomic_add_fetch(sum, (int64_t)(bytes - (whole << shift)), __ATOMIC_RELAXED);
        return whole;
}

uint64_t bucket_take_rest(ch_bucket *bucket, uint64_t bytes, slot_s64 *sum)
{
        uint64_t rest = counter_read(&bucket->rest_bytes), taken;

        do {
                taken = bytes == BUCKET_ALL_REST ? rest : bytes;
                if (taken > rest || taken == 0)
                        return 0;
        } while (!__atomic_compare_exchange_n(&bucket->rest_bytes, &rest, rest - taken, 0,
                                              __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        (void)__atomic_sub_fetch(sum, (int64_t)taken, __ATOMIC_RELAXED);
        return taken;
}

void bucket_bury(ch_bucket *dead)
{
        while (dead) {
                ch_bucket *bucket = dead;
                ch_ledger *ledger = bucket->ledger;

                dead = bucket->next_dead;
                if (bucket->rest_bytes > 0) { /* of no page: more was uncharged than charged */
                        stock_count_error(ledger);
                        (void)__atomic_sub_fetch(&ledger->rest_bytes, (int64_t)bucket->rest_bytes,
                                                 __ATOMIC_RELAXED);
                }
                (void)pthread_mutex_lock(&ledger->tree_lock);
                cds_list_del(&bucket->list);
                ledger->n_buckets--;
                (void)pthread_mutex_unlock(&ledger->tree_lock);
                (void)ch_account_unref(bucket->made_on);
                free(bucket);
        }
}

_public_ ch_bucket *ch_bucket_unref(ch_bucket *bucket)
{
        if (bucket && bucket_drop_holder(bucket))
                bucket_bury(bucket);
        return NULL;
}

_public_ ch_account *ch_bucket_get_account(ch_bucket *bucket)
{
        ch_account *account;

        if (!bucket)
                return NULL;
        rcu_enter();
        account = ch_account_ref(bucket_get_account(bucket));
        rcu_exit();
        return account;
}

static int check_total(const ch_bucket *bucket, uint64_t bytes)
{
        if (!bucket)
                return -EINVAL;
        return bytes == 0 || bytes > BYTES_MAX ? -ERANGE : 0;
}

/* Pages for the bucket, wherever it is now. */
static int charge_pages(ch_slot *slot, ch_bucket *bucket, uint64_t pages, StockMode mode,
                        Counter **ret_refused)
{
        int r = stock_take_pages(slot, bucket_get_account(bucket), pages, mode, ret_refused);

        if (r == 0)
                (void)__atomic_add_fetch(&bucket->state, pages, __ATOMIC_RELAXED);
        return r;
}

static int charge_slow(ch_slot *slot, ch_bucket *bucket, uint64_t total, StockMode mode,
                       Counter **ret_refused, ch_bucket **dead)
{
        ByteStock *stock = stock_get_bytes(slot, bucket, dead);
        uint64_t pages = total >> slot->page_shift, rest = total - (pages << slot->page_shift),
                 left;
        int r;

        if (stock->bytes >= total) { /* the bucket had a rest */
                pages = 0;
                left = stock->bytes - total;
        } else if (stock->bytes >= rest) {
                left = stock->bytes - rest;
        } else {
                pages++;
                left = stock->bytes + ((uint64_t)1 << slot->page_shift) - rest;
        }
        if (pages > 0) {
                r = charge_pages(slot, bucket, pages, mode, ret_refused);
                if (r < 0)
                        return r;
        }
        slot_store(&stock->bytes, left);
        return 0;
}

/* The rest has grown by this; whole pages that it makes up go back. The bucket is held. */
static void give_rest(ch_bucket *bucket, uint64_t bytes)
{
        uint64_t pages = bucket_add_rest(bucket, bytes, &bucket->ledger->rest_bytes);

        if (pages > 0 && (bucket_take_charged(bucket, pages) < 0 ||
                          counter_uncharge(&bucket_get_account(bucket)->counter, pages) < 0))
                stock_count_error(bucket->ledger);
}

static int charge_slotless(ch_bucket *bucket, uint64_t total, Counter **ret_refused)
{
        uint32_t shift = bucket->ledger->page_shift;
        uint64_t pages = total >> shift, rest = total - (pages << shift), over = 0, taken = 0;
        int r;

        if (rest > 0)
                taken = bucket_take_rest(bucket, rest, &bucket->ledger->rest_bytes);
        if (rest > taken) {
                pages++;
                over = ((uint64_t)1 << shift) - rest;
        }
        if (pages > 0) {
                r = charge_pages(NULL, bucket, pages, STOCK_EXACT, ret_refused);
                if (r < 0) {
                        if (taken > 0)
                                give_rest(bucket, taken);
                        return r;
                }
        }
        if (over > 0)
                give_rest(bucket, over);
        return 0;
}

/* One try. -ENOSPC: *ret_refused is a reference. */
static int try_once(ch_slot *slot, ch_bucket *bucket, uint64_t total, StockMode mode,
                    ch_account **ret_refused)
{
        SlotHold hold = reader_enter(slot);
        Counter *refused = NULL;
        ch_bucket *dead = NULL;
        int r;

        if (slot)
                r = charge_slow(slot, bucket, total, mode, &refused, &dead);
        else
                r = charge_slotless(bucket, total, &refused);
        if (r == -ENOSPC)
                *ret_refused = ch_account_ref(account_of_counter(refused));
        reader_exit(slot, hold);
        bucket_bury(dead);
        return r;
}

/* What the hit could not do: also all that is wrong about the arguments. */
static __attribute__((noinline)) int charge_total(ch_slot *slot, ch_bucket *bucket, uint64_t total,
                                                  ch_account **ret_refused)
{
        ch_account *refused;
        int r = check_total(bucket, total);

        if (r < 0)
                return r;
        r = try_once(slot, bucket, total, STOCK_BATCH, &refused);
        if (r != -ENOSPC)
                return r;
        /* What other slots have in stock may be what is missing. */
        ledger_drain_for(refused);
        (void)ch_account_unref(refused);
        r = try_once(slot, bucket, total, STOCK_EXACT, &refused);
        if (r == -ENOSPC)
                account_refuse(refused, ret_refused);
        return r;
}

/* The hit: nothing shared is written, nothing waits. No bytes are none, and no bucket has any. */
static inline int charge_from_stock(ch_slot *slot, ch_bucket *bucket, uint64_t total)
{
        ByteStock *stock;
        int hit;

        if (!slot || !slot_try_enter(slot))
                return 0;
        stock = stock_find_bytes(slot, bucket);
        hit = stock && total - 1 < stock->bytes;
        if (__builtin_expect(hit, 1))
                slot_store(&stock->bytes, stock->bytes - total);
        slot_read_exit(slot);
        return hit;
}

_public_ int ch_bucket_charge(ch_slot *slot, ch_bucket *bucket, uint64_t bytes,
                              ch_account **ret_refused)
{
        if (charge_from_stock(slot, bucket, bytes))
                return 0;
        return charge_total(slot, bucket, bytes, ret_refused);
}

_public_ int ch_bucket_charge_bulk(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, uint64_t n,
                                   ch_account **ret_refused)
{
        uint64_t total;

        if (__builtin_mul_overflow(bytes, n, &total))
                return -ERANGE;
        return ch_bucket_charge(slot, bucket, total, ret_refused);
}

/* Are so many bytes (not 0) within what the bucket has charged? With one slot in use that is
 * exactly all that can be uncharged. */
static inline int is_charged(const ch_bucket *bucket, uint64_t bytes, uint32_t shift)
{
        return (bytes - 1) >> shift < bucket_get_charged(bucket);
}

static int uncharge_slow(ch_slot *slot, ch_bucket *bucket, uint64_t total, ch_bucket **dead)
{
        ByteStock *stock = stock_get_bytes(slot, bucket, dead);
        uint32_t shift = slot->page_shift;
        uint64_t pages = total >> shift, bytes = stock->bytes + (total - (pages << shift));
        int r;

        if (!is_charged(bucket, stock->bytes + total, shift))
                return -ERANGE;
        if (bytes > (uint64_t)STOCK_PAGES_MAX << shift) {
                uint64_t back = (bytes >> shift) - 1;

                pages += back;
                bytes -= back << shift;
        }
        if (pages > 0) {
                r = bucket_take_charged(bucket, pages);
                if (r < 0)
                        return r;
                if (stock_put_pages(slot, bucket_get_account(bucket), pages) < 0)
                        stock_count_error(bucket->ledger);
        }
        slot_store(&stock->bytes, bytes);
        return 0;
}

/* The pages of the object that goes hold the bucket until the last step. */
static int uncharge_slotless(ch_bucket *bucket, uint64_t total, ch_bucket **dead)
{
        uint32_t shift = bucket->ledger->page_shift;
        uint64_t pages = total >> shift, rest = total - (pages << shift);
        int r;

        if (!is_charged(bucket, total, shift))
                return -ERANGE;
        if (rest > 0)
                pages += bucket_add_rest(bucket, rest, &bucket->ledger->rest_bytes);
        if (pages == 0)
                return 0;
        if (counter_uncharge(&bucket_get_account(bucket)->counter, pages) < 0)
                stock_count_error(bucket->ledger);
        r = bucket_take_charged(bucket, pages);
        if (r < 0)
                stock_count_error(bucket->ledger);
        *dead = r > 0 ? bucket : NULL;
        return 0;
}

static __attribute__((noinline)) int uncharge_total(ch_slot *slot, ch_bucket *bucket,
                                                    uint64_t total)
{
        ch_bucket *dead = NULL;
        SlotHold hold;
        int r = check_total(bucket, total);

        if (r < 0)
                return r;
        hold = reader_enter(slot);
        r = slot ? uncharge_slow(slot, bucket, total, &dead)
                 : uncharge_slotless(bucket, total, &dead);
        reader_exit(slot, hold);
        bucket_bury(dead);
        return r;
}

static inline int uncharge_to_stock(ch_slot *slot, ch_bucket *bucket, uint64_t total)
{
        ByteStock *stock;
        uint64_t bytes;
        int hit = 0;

        if (!slot || !bucket || total - 1 >= BYTES_MAX || !slot_try_enter(slot))
                return 0;
        stock = stock_find_bytes(slot, bucket);
        if (__builtin_expect(stock != NULL, 1)) {
                bytes = stock->bytes + total;
                hit = (bytes - 1) >> slot->page_shift < STOCK_PAGES_MAX &&
                      is_charged(bucket, bytes, slot->page_shift);
                if (__builtin_expect(hit, 1))
                        slot_store(&stock->bytes, bytes);
        }
        slot_read_exit(slot);
        return hit;
}

_public_ int ch_bucket_uncharge(ch_slot *slot, ch_bucket *bucket, uint64_t bytes)
{
        if (uncharge_to_stock(slot, bucket, bytes))
                return 0;
        return uncharge_total(slot, bucket, bytes);
}

_public_ int ch_bucket_uncharge_bulk(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, uint64_t n)
{
        uint64_t total;

        if (__builtin_mul_overflow(bytes, n, &total))
                return -ERANGE;
        return ch_bucket_uncharge(slot, bucket, total);
}
