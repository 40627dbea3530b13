/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_H
#define CH_LEDGER_H

/*
 * The ledger's inside: slots, the root, the locks.
 *
 * Order of locks: remove_lock, tree_lock; a slot's lock inside of none and around none; none of
 * them in a reader section. Nobody waits for a grace period with the tree lock or a slot's lock.
 */

#include <pthread.h>
#include <stdint.h>

#include <chargehand/ledger.h>

#include "account.h"
#include "slot.h"

struct ch_ledger {
        uint64_t page_bytes;
        uint32_t page_shift;
        uint32_t batch_pages;
        uint32_t max_slots;
        uint32_t n_kinds;
        uint32_t recursive_protection;
        uint32_t fenced;                /* no membarrier(): owners of slots pay for the barrier */
        size_t stat_stride;             /* of an AccountLine */
        uint8_t *removed_lines;         /* stat.c: what updates find at removed accounts */

        ch_slot *slots;
        ch_account *root;
        pthread_mutex_t remove_lock;    /* one removal at a time */
        pthread_mutex_t tree_lock;      /* children, buckets, removed */

        pthread_mutex_t slot_lock;
        pthread_cond_t slot_freed;
        ch_slot *free_slots;
        uint32_t n_slots_used;

        uint32_t n_accounts;            /* with those that were removed and are referenced still */
        uint32_t n_buckets;
        slot_s64 rest_bytes;            /* of buckets' rests, what was added without a slot */
        counter_u64 n_errors;
};

/* Every CPU of this process has passed a full barrier. */
void ledger_barrier(ch_ledger *ledger);
/* Every slot was seen outside of its section: what was set before is seen by all sections from now
 * on. Not from inside of one. */
void ledger_synchronize(ch_ledger *ledger);
/* Empties the stocks of `top` and below (NULL: all). After it every slot has been outside of its
 * section once. */
void ledger_drain(ch_ledger *ledger, const ch_account *top);
/* The same before a charge is refused; at once if there is nothing in stock. */
void ledger_drain_for(const ch_account *refused);

#endif
