/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buckets: byte-sized objects on top of page counters.
 *
 * An object may be larger than a page (Gushchin's third problem: per-CPU allocations are): its whole pages are charged as
 * pages, and only what is over goes through the byte stock. No page has to belong to an object for that; the bucket
 * has charged so many pages, and they are its objects', its stocks' and its rest's together.
 */

#include "account.h"
#include "ledger.h"
#include "stock.h"
#include "util.h"

#define BYTES_MAX ((uint64_t)1 << 63)

_public_ int ch_bucket_new(ch_account *account, ch_bucket **ret)
{
        ch_bucket *bucket;

        if (!account || !ret)
                return -EINVAL;
        bucket = calloc(1, sizeof(*bucket));
        if (!bucket)
                return -ENOMEM;
        *bucket = (ch_bucket){ .account = account, .count = BUCKET_BIAS, .ledger = account->ledger };
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

/* Objects and stocks are gone: what is charged is the rest, whole pages. If it is not, somebody uncharged other sizes
 * than he charged; it is given back all the same, so that the account is whole. */
static void settle(ch_bucket *bucket)
{
        uint64_t pages = bucket->charged_pages, rest = bucket->rest_bytes;

        if (bucket->count != 0 || pages << bucket->ledger->page_shift != rest)
                stock_count_error(bucket->ledger);
        (void)__atomic_sub_fetch(&bucket->ledger->rest_bytes, (int64_t)rest, __ATOMIC_RELAXED);
        if (pages == 0)
                return;
        rcu_enter();
        if (counter_uncharge(&bucket_get_account(bucket)->counter, pages) < 0)
                stock_count_error(bucket->ledger);
        rcu_exit();
}

void bucket_bury(ch_bucket *dead)
{
        while (dead) {
                ch_bucket *bucket = dead;
                ch_ledger *ledger = bucket->ledger;

                dead = bucket->next_dead;
                settle(bucket);
                (void)pthread_mutex_lock(&ledger->tree_lock);
                cds_list_del(&bucket->list);
                ledger->n_buckets--;
                (void)pthread_mutex_unlock(&ledger->tree_lock);
                (void)ch_account_unref(bucket->made_on);
                free(bucket);
        }
}

/* Without a slot. Returns the bucket if that was the last one who had it, for bucket_bury(). */
static ch_bucket *let_go(ch_bucket *bucket, int64_t count)
{
        int64_t before = __atomic_fetch_sub(&bucket->count, count, __ATOMIC_ACQ_REL);

        return before > 0 && before <= count ? bucket : NULL;
}

_public_ ch_bucket *ch_bucket_unref(ch_bucket *bucket)
{
        if (bucket)
                bucket_bury(let_go(bucket, BUCKET_BIAS));
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

static int check_size(uint64_t bytes, uint64_t n, uint64_t *ret_total)
{
        if (bytes == 0 || n == 0 || n > (uint64_t)BUCKET_BULK_MAX || __builtin_mul_overflow(bytes, n, ret_total) ||
            *ret_total > BYTES_MAX)
                return -ERANGE;
        return 0;
}

/* Pages for the bucket, wherever it is now. */
static int charge_pages(ch_slot *slot, ch_bucket *bucket, uint64_t pages, StockMode mode, Counter **ret_refused)
{
        int r = stock_take_pages(slot, bucket_get_account(bucket), pages, mode, ret_refused);

        if (r == 0)
                (void)__atomic_add_fetch(&bucket->charged_pages, pages, __ATOMIC_RELAXED);
        return r;
}

static int charge_slow(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n, StockMode mode,
                       Counter **ret_refused, ch_bucket **dead)
{
        ByteStock *stock = stock_get_bytes(slot, bucket, dead);
        uint64_t pages = total >> slot->page_shift, rest = total - (pages << slot->page_shift), left;
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
        stock_keep_objects(stock, (int64_t)n);
        return 0;
}

/* Of the rest, if it is enough for what is over whole pages. */
static int take_rest(ch_bucket *bucket, uint64_t bytes)
{
        uint64_t rest = counter_read(&bucket->rest_bytes);

        do {
                if (bytes > rest)
                        return 0;
        } while (!__atomic_compare_exchange_n(&bucket->rest_bytes, &rest, rest - bytes, 0, __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED));
        (void)__atomic_sub_fetch(&bucket->ledger->rest_bytes, (int64_t)bytes, __ATOMIC_RELAXED);
        return 1;
}

/* The rest has grown by this; whole pages that it makes up go back. */
static void give_rest(ch_bucket *bucket, uint64_t bytes)
{
        uint64_t pages = stock_add_rest(bucket, bytes, &bucket->ledger->rest_bytes);

        if (pages > 0 && (stock_take_charged(bucket, pages) < 0 ||
                          counter_uncharge(&bucket_get_account(bucket)->counter, pages) < 0))
                stock_count_error(bucket->ledger);
}

static int charge_slotless(ch_bucket *bucket, uint64_t total, uint64_t n, Counter **ret_refused)
{
        uint32_t shift = bucket->ledger->page_shift;
        uint64_t pages = total >> shift, rest = total - (pages << shift), over = 0;
        int r, from_rest = rest > 0 && take_rest(bucket, rest);

        if (rest > 0 && !from_rest) {
                pages++;
                over = ((uint64_t)1 << shift) - rest;
        }
        if (pages > 0) {
                r = charge_pages(NULL, bucket, pages, STOCK_EXACT, ret_refused);
                if (r < 0) {
                        if (from_rest)
                                give_rest(bucket, rest);
                        return r;
                }
        }
        if (over > 0)
                give_rest(bucket, over);
        (void)__atomic_add_fetch(&bucket->count, (int64_t)n, __ATOMIC_RELAXED);
        return 0;
}

/* One try. -ENOSPC: *ret_refused is a reference. */
static int try_once(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n, StockMode mode,
                    ch_account **ret_refused)
{
        SlotHold hold = slot ? slot_enter(slot) : SLOT_READING;
        Counter *refused = NULL;
        ch_bucket *dead = NULL;
        int r;

        rcu_enter();
        if (__atomic_load_n(&bucket->count, __ATOMIC_RELAXED) > BUCKET_OBJECTS_MAX)
                r = -ERANGE;
        else if (slot)
                r = charge_slow(slot, bucket, total, n, mode, &refused, &dead);
        else
                r = charge_slotless(bucket, total, n, &refused);
        if (r == -ENOSPC)
                *ret_refused = ch_account_ref(account_of_counter(refused));
        rcu_exit();
        if (slot)
                slot_exit(slot, hold);
        bucket_bury(dead);
        return r;
}

static __attribute__((noinline)) int charge_total(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n,
                                                  ch_account **ret_refused)
{
        ch_account *refused;
        int r;

        r = try_once(slot, bucket, total, n, STOCK_BATCH, &refused);
        if (r != -ENOSPC)
                return r;
        /* What other slots have in stock may be what is missing. */
        ledger_drain_for(refused);
        (void)ch_account_unref(refused);
        r = try_once(slot, bucket, total, n, STOCK_EXACT, &refused);
        if (r == -ENOSPC)
                account_refuse(refused, ret_refused);
        return r;
}

/* The hit: nothing shared is written, nothing waits. */
static inline int charge_from_stock(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n)
{
        SlotHold hold = slot_enter(slot);
        ByteStock *stock = stock_find_bytes(slot, bucket);
        int hit = stock && stock->bytes >= total;

        if (__builtin_expect(hit, 1)) {
                slot_store(&stock->bytes, stock->bytes - total);
                slot_store(&stock->objects, stock->objects + (int64_t)n);
        }
        slot_exit(slot, hold);
        return hit;
}

_public_ int ch_bucket_charge(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, ch_account **ret_refused)
{
        if (!bucket)
                return -EINVAL;
        if (bytes == 0 || bytes > BYTES_MAX)
                return -ERANGE;
        if (slot && charge_from_stock(slot, bucket, bytes, 1))
                return 0;
        return charge_total(slot, bucket, bytes, 1, ret_refused);
}

_public_ int ch_bucket_charge_bulk(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, uint64_t n,
                                   ch_account **ret_refused)
{
        uint64_t total;

        if (!bucket)
                return -EINVAL;
        if (check_size(bytes, n, &total) < 0)
                return -ERANGE;
        if (slot && charge_from_stock(slot, bucket, total, n))
                return 0;
        return charge_total(slot, bucket, total, n, ret_refused);
}

/* Are so many bytes within what the bucket has charged? With one slot in use that is exactly all that can be uncharged. */
static inline int is_charged(const ch_bucket *bucket, uint64_t bytes, uint32_t shift)
{
        uint64_t mask = ((uint64_t)1 << shift) - 1;

        return (bytes + mask) >> shift <= counter_read(&bucket->charged_pages);
}

static int uncharge_slow(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n, ch_bucket **dead)
{
        ByteStock *stock = stock_get_bytes(slot, bucket, dead);
        uint32_t shift = slot->page_shift;
        uint64_t pages = total >> shift, bytes = stock->bytes + (total - (pages << shift));
        int r;

        if (!is_charged(bucket, stock->bytes + total, shift))
                return -ERANGE;
        if (bytes > (uint64_t)2 << shift) { /* one page stays: whoever charges and uncharges in turn meets no border */
                uint64_t back = (bytes >> shift) - 1;

                pages += back;
                bytes -= back << shift;
        }
        if (pages > 0) {
                r = stock_take_charged(bucket, pages);
                if (r < 0)
                        return r;
                if (stock_put_pages(slot, bucket_get_account(bucket), pages) < 0)
                        stock_count_error(bucket->ledger);
        }
        slot_store(&stock->bytes, bytes);
        stock_keep_objects(stock, -(int64_t)n);
        return 0;
}

static int uncharge_slotless(ch_bucket *bucket, uint64_t total, uint64_t n, ch_bucket **dead)
{
        uint32_t shift = bucket->ledger->page_shift;
        uint64_t pages = total >> shift, rest = total - (pages << shift);
        int r;

        if (!is_charged(bucket, total, shift))
                return -ERANGE;
        if (pages > 0) {
                r = stock_take_charged(bucket, pages);
                if (r < 0)
                        return r;
                if (counter_uncharge(&bucket_get_account(bucket)->counter, pages) < 0)
                        stock_count_error(bucket->ledger);
        }
        if (rest > 0)
                give_rest(bucket, rest);
        *dead = let_go(bucket, (int64_t)n);
        return 0;
}

static __attribute__((noinline)) int uncharge_total(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n)
{
        SlotHold hold = slot ? slot_enter(slot) : SLOT_READING;
        ch_bucket *dead = NULL;
        int r;

        rcu_enter();
        r = slot ? uncharge_slow(slot, bucket, total, n, &dead) : uncharge_slotless(bucket, total, n, &dead);
        rcu_exit();
        if (slot)
                slot_exit(slot, hold);
        bucket_bury(dead);
        return r;
}

static inline int uncharge_to_stock(ch_slot *slot, ch_bucket *bucket, uint64_t total, uint64_t n)
{
        SlotHold hold = slot_enter(slot);
        ByteStock *stock = stock_find_bytes(slot, bucket);
        int hit = 0;

        if (__builtin_expect(stock != NULL, 1)) {
                uint64_t bytes = stock->bytes + total;

                hit = bytes <= (uint64_t)2 << slot->page_shift && is_charged(bucket, bytes, slot->page_shift);
                if (__builtin_expect(hit, 1)) {
                        slot_store(&stock->bytes, bytes);
                        slot_store(&stock->objects, stock->objects - (int64_t)n);
                }
        }
        slot_exit(slot, hold);
        return hit;
}

_public_ int ch_bucket_uncharge(ch_slot *slot, ch_bucket *bucket, uint64_t bytes)
{
        if (!bucket)
                return -EINVAL;
        if (bytes == 0 || bytes > BYTES_MAX)
                return -ERANGE;
        if (slot && uncharge_to_stock(slot, bucket, bytes, 1))
                return 0;
        return uncharge_total(slot, bucket, bytes, 1);
}

_public_ int ch_bucket_uncharge_bulk(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, uint64_t n)
{
        uint64_t total;

        if (!bucket)
                return -EINVAL;
        if (check_size(bytes, n, &total) < 0)
                return -ERANGE;
        if (slot && uncharge_to_stock(slot, bucket, total, n))
                return 0;
        return uncharge_total(slot, bucket, total, n);
}
