/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_BUCKET_H
#define CH_LEDGER_BUCKET_H

/*
 * The bucket (struct obj_cgroup): what a byte-sized object references instead of an account.
 *
 * Its bytes add up, whenever nobody is in the middle of something: charged_pages = objects + byte stocks + rest.
 */

#include <chargehand/ledger.h>

#include "counter.h"
#include "rcu.h"
#include "slot.h"

/*
 * `count` is one per object, and this for the maker and for each stock that has the bucket: a stock keeps the objects
 * it charged and uncharged to itself, in either direction, without ever making the count look like 0.
 */
#define BUCKET_BIAS ((int64_t)1 << 48)
/* Stocks pass on what they have kept beyond this, so that a bias is never used up. */
#define BUCKET_KEPT_MAX ((int64_t)1 << 32)
/* At once, and in all. */
#define BUCKET_BULK_MAX ((int64_t)1 << 56)
#define BUCKET_OBJECTS_MAX ((int64_t)1 << 61)

struct ch_bucket {
        ch_account *account;            /* RCU; changes when that account is removed */
        slot_s64 count;
        counter_u64 charged_pages;
        counter_u64 rest_bytes;         /* nr_charged_bytes: what flushed stocks had left */
        ch_ledger *ledger;
        ch_account *made_on;            /* a reference */
        struct cds_list_head list;      /* on its account, tree lock */
        struct ch_bucket *next_dead;
};

/* For the count went to 0: returns what it still has charged, and frees it. Not from a reader section, nor with a slot held. */
void bucket_bury(ch_bucket *dead);

static inline ch_account *bucket_get_account(const ch_bucket *bucket)
{
        return __atomic_load_n(&bucket->account, __ATOMIC_ACQUIRE);
}

#endif
