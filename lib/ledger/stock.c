/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page stocks and byte stocks of a slot: filling, emptying, flushing.
 *
 * What a stocked page references: nothing. A page is a number, in the usage of an account and of
 * all above; the stock that has it references the account once, by having an entry for it, and the
 * byte stock references the bucket once. Objects reference the bucket, never pages or accounts. So
 * nobody has to balance a reference that was taken per miss of a stock with objects that come and
 * go: Gushchin's first problem with charging whole pages for parts of them.
 */

#include <errno.h>

#include "account.h"
#include "ledger.h"
#include "stock.h"

static PageStock *find_pages(ch_slot *slot, const ch_account *account)
{
        for (unsigned i = 0; i < PAGE_WAYS; i++)
                if (slot->pages[i].account == account)
                        return &slot->pages[i];
        return NULL;
}

void stock_count_error(ch_ledger *ledger)
{
        (void)__atomic_add_fetch(&ledger->n_errors, 1, __ATOMIC_RELAXED);
}

static void flush_pages(PageStock *stock)
{
        ch_account *account = stock->account;

        if (!account)
                return;
        if (stock->pages > 0 && counter_uncharge(&account->counter, stock->pages) < 0)
                stock_count_error(account->ledger);
        slot_store(&stock->pages, 0);
        slot_store(&stock->account, NULL);
        (void)ch_account_unref(account);
}

static PageStock *install_pages(ch_slot *slot, ch_account *account)
{
        PageStock *stock = find_pages(slot, NULL);

        if (!stock) {
                stock = &slot->pages[slot->next_page_victim++ % PAGE_WAYS];
                flush_pages(stock);
        }
        slot_store(&stock->account, ch_account_ref(account));
        return stock;
}

uint64_t stock_count_pages(const ch_slot *slot, const ch_account *account)
{
        for (unsigned i = 0; slot && i < PAGE_WAYS; i++)
                if (slot->pages[i].account == account)
                        return slot->pages[i].pages;
        return 0;
}

/* A batch at once, as try_charge_memcg(): the next charges cost no atomic. */
static int take_batch(ch_slot *slot, ch_account *account, uint64_t pages)
{
        PageStock *stock;
        Counter *refused;
        int r;

        if (pages >= slot->batch_pages)
                return -ENOSPC;
        r = counter_charge(&account->counter, slot->batch_pages, COUNTER_LIMITED, &refused);
        if (r < 0)
                return r;
        stock = find_pages(slot, account);
        if (!stock)
                stock = install_pages(slot, account);
        slot_store(&stock->pages, stock->pages + slot->batch_pages - pages);
        return 0;
}

int stock_take_pages(ch_slot *slot, ch_account *account, uint64_t pages, StockMode mode,
                     Counter **ret_refused)
{
        PageStock *stock = slot ? find_pages(slot, account) : NULL;
        uint64_t have = 0;
        int r;

        if (stock && stock->pages >= pages) {
                slot_store(&stock->pages, stock->pages - pages);
                return 0;
        }
        if (slot && mode == STOCK_BATCH && take_batch(slot, account, pages) == 0)
                return 0;
        if (stock && mode != STOCK_BATCH)
                have = stock->pages;
        r = counter_charge(&account->counter, pages - have,
                           mode == STOCK_FORCED ? COUNTER_FORCED : COUNTER_LIMITED, ret_refused);
        if (r == 0 && have > 0)
                slot_store(&stock->pages, 0);
        return r;
}

int stock_put_pages(ch_slot *slot, ch_account *account, uint64_t pages)
{
        PageStock *stock = slot ? find_pages(slot, account) : NULL;
        uint64_t total;
        int r;

        if (!slot || (!stock && pages >= slot->batch_pages))
                return counter_uncharge(&account->counter, pages);
        if (!stock)
                stock = install_pages(slot, account);
        total = stock->pages + pages;
        if (total > 2 * (uint64_t)slot->batch_pages) {
                r = counter_uncharge(&account->counter, total - slot->batch_pages);
                if (r < 0)
                        return r;
                total = slot->batch_pages;
        }
        slot_store(&stock->pages, total);
        return 0;
}

/* Pages to the page stock of `to`, or to the counter if that is NULL. */
static void flush_bytes(ch_slot *slot, ByteStock *stock, ch_slot *to, ch_bucket **dead)
{
        ch_bucket *bucket = stock->bucket;
        uint64_t pages = stock->bytes >> slot->page_shift,
                 rest = stock->bytes - (pages << slot->page_shift);

        slot_store(&stock->bytes, 0);
        slot_store(&stock->bucket, NULL);
        if (rest > 0)
                pages += bucket_add_rest(bucket, rest, &slot->rest_bytes);
        if (pages > 0 && (bucket_take_charged(bucket, pages) < 0 ||
                          stock_put_pages(to, bucket_get_account(bucket), pages) < 0))
                stock_count_error(bucket->ledger);
        if (!bucket_drop_holder(bucket))
                return;
        bucket->next_dead = *dead;
        *dead = bucket;
}

ByteStock *stock_get_bytes(ch_slot *slot, ch_bucket *bucket, ch_bucket **dead)
{
        ByteStock *stock = stock_find_bytes(slot, bucket);

        if (stock)
                return stock;
        stock = stock_find_bytes(slot, NULL);
        if (!stock) {
                stock = &slot->bytes[slot->next_byte_victim++ % BYTE_WAYS];
                flush_bytes(slot, stock, slot, dead);
        }
        (void)__atomic_add_fetch(&bucket->state, BUCKET_HOLDER, __ATOMIC_RELAXED);
        slot_store(&stock->bytes, bucket_take_rest(bucket, BUCKET_ALL_REST, &slot->rest_bytes));
        slot_store(&stock->bucket, bucket);
        return stock;
}

void stock_flush(ch_slot *slot, const ch_account *top, ch_bucket **dead)
{
        for (unsigned i = 0; i < BYTE_WAYS; i++) {
                ByteStock *stock = &slot->bytes[i];

                if (stock->bucket &&
                    (!top || account_is_below(bucket_get_account(stock->bucket), top)))
                        flush_bytes(slot, stock, NULL, dead);
        }
        for (unsigned i = 0; i < PAGE_WAYS; i++)
                if (slot->pages[i].account &&
                    (!top || account_is_below(slot->pages[i].account, top)))
                        flush_pages(&slot->pages[i]);
}

uint64_t stock_count_bytes(const ch_slot *slot)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < BYTE_WAYS; i++)
                sum += slot_load(&slot->bytes[i].bytes);
        for (unsigned i = 0; i < PAGE_WAYS; i++)
                sum += slot_load(&slot->pages[i].pages) << slot->page_shift;
        return sum;
}
