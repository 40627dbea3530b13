/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_BUCKET_H
#define CH_LEDGER_BUCKET_H

/*
 * The bucket (struct obj_cgroup): what a byte-sized object references instead of an account.
 *
 * Its bytes add up, whenever nobody is in the middle of something: charged pages = objects + byte
 * stocks + rest. That is its count of references as well. An object has a byte at least, so as long
 * as there is one a page is charged; when all are gone and no stock has the bucket, all is rest,
 * and a rest gives back whole pages. What keeps a bucket alive is its maker, the stocks that have
 * it, and charged pages: one word, and no object has to count for itself.
 */

#include <chargehand/ledger.h>

#include "counter.h"
#include "rcu.h"
#include "slot.h"

struct ch_bucket {
        ch_account *account;    /* RCU; changes when that account is removed */
        counter_u64 state;      /* holders (maker, stocks) above, charged pages below; 0: dead */
        counter_u64 rest_bytes; /* nr_charged_bytes: what flushed stocks had left, below a page */
        ch_ledger *ledger;
        ch_account *made_on;    /* a reference */
        struct cds_list_head list; /* on its account, tree lock */
        struct ch_bucket *next_dead;
};

#define BUCKET_HOLDER ((uint64_t)1 << COUNTER_BITS)
#define BUCKET_HOLDERS_MAX ((1U << (64 - COUNTER_BITS)) - 1)

static inline uint64_t bucket_get_charged(const ch_bucket *bucket)
{
        return counter_read(&bucket->state) & (BUCKET_HOLDER - 1);
}

/* Where it is now. Between reader_enter() and reader_exit(). */
static inline ch_account *bucket_get_account(const ch_bucket *bucket)
{
        return __atomic_load_n(&bucket->account, __ATOMIC_ACQUIRE);
}

/* So many charged pages less. 1: that was all, and nobody holds it: bucket_bury(). -ERANGE: it has
 * not so many. */
int bucket_take_charged(ch_bucket *bucket, uint64_t pages);
/* A holder less. 1 as above. */
int bucket_drop_holder(ch_bucket *bucket);
/* Adds to the rest, and to *sum. Returns the whole pages that it makes up now: they are the
 * caller's. */
uint64_t bucket_add_rest(ch_bucket *bucket, uint64_t bytes, slot_s64 *sum);
/* All of the rest, or as much as is asked for if there is that. Takes it from *sum. */
uint64_t bucket_take_rest(ch_bucket *bucket, uint64_t bytes, slot_s64 *sum);
#define BUCKET_ALL_REST UINT64_MAX

/* A list by next_dead. Not from a reader section, nor with a slot held. */
void bucket_bury(ch_bucket *dead);

#endif
