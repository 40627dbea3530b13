/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_STOCK_H
#define CH_LEDGER_STOCK_H

/*
 * What a slot has in stock, of pages (struct memcg_stock_pcp) and of bytes (struct obj_stock). All
 * of this between reader_enter() and reader_exit() unless said, `slot` being the one that is held.
 *
 * There are several ways of each, where the kernel had one for long: a thread that serves two
 * groups in turn does not flush and refill at every turn. A byte stock that needs a page takes it
 * from the page stock of its account, so that on a switch the usual miss of the one is a hit of the
 * other.
 */

#include "bucket.h"
#include "counter.h"
#include "slot.h"

typedef enum StockMode {
        STOCK_BATCH,            /* a miss charges a batch, if that fits */
        STOCK_EXACT,            /* a miss charges what is missing: the last try */
        STOCK_FORCED,           /* the same, past the limits */
} StockMode;

/* -ENOSPC: *ret_refused. `slot` may be NULL: then all is charged to the counter. */
int stock_take_pages(ch_slot *slot, ch_account *account, uint64_t pages, StockMode mode,
                     Counter **ret_refused);
/* Over two batches all but one go back to the counter. -ERANGE: more than is charged. `slot` may be
 * NULL. */
int stock_put_pages(ch_slot *slot, ch_account *account, uint64_t pages);
/* Of the account, in this slot. 0 with NULL. */
uint64_t stock_count_pages(const ch_slot *slot, const ch_account *account);

/* The bucket's byte stock in this slot, made if it is not there: another one is flushed for it, and
 * may be put before *dead, the list that bucket_bury() gets when the slot is let go. */
ByteStock *stock_get_bytes(ch_slot *slot, ch_bucket *bucket, ch_bucket **dead);
/* Both stocks of all that is at `top` or below (NULL: all), to the counters. */
void stock_flush(ch_slot *slot, const ch_account *top, ch_bucket **dead);
/* For figures: without holding the slot. */
uint64_t stock_count_bytes(const ch_slot *slot);

/* The hit: no call, the slot is held, no reader section. */
static inline ByteStock *stock_find_bytes(ch_slot *slot, const ch_bucket *bucket)
{
#pragma GCC unroll 8
        for (ByteStock *stock = slot->bytes; stock < slot->bytes + BYTE_WAYS; stock++)
                if (stock->bucket == bucket)
                        return stock;
        return NULL;
}

void stock_count_error(ch_ledger *ledger);

#endif
