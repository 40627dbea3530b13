/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_ACCOUNT_H
#define CH_LEDGER_ACCOUNT_H

/*
 * An account: a page counter, a place in the hierarchy, the buckets that are on it and its
 * statistics.
 *
 * References: the creator's one until ch_account_remove(); one of each child on its parent, for
 * life; one of each bucket on the account it was made on, for life; one of each stock that has its
 * pages. So the chain from any bucket or item upwards is there as long as they are, and re-pointing
 * a bucket moves no reference. What a removed account keeps in memory until then is this struct.
 */

#include <chargehand/ledger.h>

#include "counter.h"
#include "rcu.h"
#include "slot.h"

/* One per slot and account. `on_move` is the flag that the slot's owner looks at before it takes no
 * lock. */
typedef struct AccountLine {
        uint32_t on_move;
        int64_t stats[] __attribute__((aligned(8)));
} AccountLine;

struct ch_account {
        Counter counter;                        /* first: a Counter * is an account */
        ch_ledger *ledger;
        ch_account *parent;                     /* NULL: root; never changes */
        uint32_t refs;
        uint32_t removed;                       /* set once, under the tree lock */
        struct cds_list_head children, sibling; /* tree lock */
        struct cds_list_head buckets;           /* tree lock */
        /* stat.c */
        uint8_t *lines;         /* AccountLine for each slot, at slot->stat_offset: own_lines or
                                 * the ledger's removed_lines */
        uint8_t *own_lines;     /* NULL: its sums have gone to the parent */
        int64_t *stat_base;     /* from removed children, n_kinds; tree lock */
        uint32_t movers;        /* begun and not ended; written under the tree lock */
} __attribute__((aligned(CACHE_LINE)));

static inline ch_account *account_of_counter(Counter *counter)
{
        return (ch_account *)counter;
}

static inline int account_is_removed(const ch_account *account)
{
        return (int)__atomic_load_n(&account->removed, __ATOMIC_ACQUIRE);
}

/* Itself or the nearest ancestor that was not removed: who has inherited what was charged and
 * counted there. */
static inline ch_account *account_get_living(ch_account *account)
{
        while (account_is_removed(account))
                account = account->parent;
        return account;
}

/* Itself counts as below. */
static inline int account_is_below(const ch_account *account, const ch_account *top)
{
        while (account && account != top)
                account = account->parent;
        return account == top;
}

int account_alloc(ch_ledger *ledger, ch_account *parent, ch_account **ret);
/* A charge was refused for good: counts it and hands the reference on. */
void account_refuse(ch_account *refused, ch_account **ret_refused);

#endif
