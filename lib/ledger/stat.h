/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_STAT_H
#define CH_LEDGER_STAT_H

/*
 * Statistics while accounts move: Kamezawa's ON_MOVE of 2010, with the grace period that it lacked.
 *
 *      update                                  mover
 *        enter section                           mark the account's line of every slot
 *        account = item's account                grace period: who saw no mark has left
 *        line marked: lock item, look again      lock item; take own[] along; item's account = to;
 * unlock add to line and own                     grace period: who saw the old account has seen the
 * mark leave section                           unmark
 *
 * A removed account is marked for good: its items find their way to the parent under their lock,
 * one by one, when they are next updated. lib/ledger/model/on-move.pml is this protocol with
 * everything that can be left out of it.
 */

#include <chargehand/ledger.h>

#include "account.h"
#include "ledger.h"
#include "slot.h"

size_t stat_get_stride(uint32_t n_kinds);
int stat_init_ledger(ch_ledger *ledger);
void stat_done_ledger(ch_ledger *ledger);
int stat_init_account(ch_account *account);
void stat_done_account(ch_account *account);

/* With the tree lock held, when `removed` is set; the removal's grace period comes next. */
void stat_mark_removed(ch_account *account);
/* After that grace period, with the tree lock held, while `account` is in its parent's list still.
 */
void stat_reparent(ch_account *account);

static inline AccountLine *stat_get_line(const ch_account *account, const ch_slot *slot)
{
        uint8_t *lines = __atomic_load_n(&account->lines, __ATOMIC_ACQUIRE);

        return (AccountLine *)(void *)(lines + slot->stat_offset);
}

/* Written by the one thread that uses the slot, read by others. */
static inline void stat_add(AccountLine *line, uint32_t kind, int64_t delta)
{
        slot_store(&line->stats[kind],
                   (int64_t)((uint64_t)slot_load(&line->stats[kind]) + (uint64_t)delta));
}

/* All that is not the common case: fenced slots, kinds that there are not. */
void stat_update_slow(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own);
/* From inside of the section, which it leaves. */
void stat_update_locked(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own);

/* In the section. */
static inline void stat_update_held(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta,
                                    int64_t *own)
{
        AccountLine *line = stat_get_line(__atomic_load_n(&item->account_, __ATOMIC_ACQUIRE), slot);

        if (__builtin_expect(__atomic_load_n(&line->on_move, __ATOMIC_ACQUIRE), 0)) {
                stat_update_locked(slot, item, kind, delta, own);
                return;
        }
        stat_add(line, kind, delta);
        *own = (int64_t)((uint64_t)*own + (uint64_t)delta);
        slot_read_exit(slot);
}

/* ch_stat_update(), for callers of our own in hot loops. */
static inline void stat_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta,
                               int64_t *own)
{
        if (__builtin_expect(kind >= slot->n_kinds, 0)) {
                stat_update_slow(slot, item, kind, delta, own);
                return;
        }
        slot_read_enter_unfenced(slot);
        stat_update_held(slot, item, kind, delta, own);
}

#endif
