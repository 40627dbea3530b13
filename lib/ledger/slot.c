/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots: who may touch the stocks, the pool that threads take them from. */

#include <sched.h>
#include <time.h>

#include "ledger.h"
#include "slot.h"
#include "util.h"

#define SPINS  64 /* a section is some tens of instructions */
#define YIELDS 64 /* its owner lost the CPU inside: let it run */

void slot_init(ch_slot *slot, ch_ledger *ledger, uint32_t index)
{
        *slot = (ch_slot){
                .claimed = ledger->fenced,
                .fenced = ledger->fenced,
                .index = index,
                .page_shift = ledger->page_shift,
                .batch_pages = ledger->batch_pages,
                .n_kinds = ledger->fenced ? 0 : ledger->n_kinds,
                .stat_offset = index * ledger->stat_stride,
                .ledger = ledger,
        };
        (void)pthread_mutex_init(&slot->lock, NULL);
}

void slot_done(ch_slot *slot)
{
        (void)pthread_mutex_destroy(&slot->lock);
}

SlotHold slot_enter_claimed(ch_slot *slot)
{
        (void)pthread_mutex_lock(&slot->lock);
        return SLOT_LOCKED;
}

void slot_exit_claimed(ch_slot *slot)
{
        (void)pthread_mutex_unlock(&slot->lock);
}

void slot_announce(ch_slot *slot)
{
        (void)__atomic_add_fetch(&slot->claimed, 1, __ATOMIC_SEQ_CST);
}

void slot_wait(const ch_slot *slot)
{
        static const struct timespec pause = { .tv_nsec = 50 * 1000 };

        for (unsigned n = 0; __atomic_load_n(&slot->reading, __ATOMIC_SEQ_CST); n++)
                if (n > SPINS + YIELDS)
                        (void)nanosleep(&pause, NULL);
                else if (n > SPINS)
                        (void)sched_yield();
}

void slot_hold(ch_slot *slot)
{
        slot_wait(slot);
        (void)pthread_mutex_lock(&slot->lock);
}

void slot_release(ch_slot *slot)
{
        (void)pthread_mutex_unlock(&slot->lock);
        (void)__atomic_sub_fetch(&slot->claimed, 1, __ATOMIC_SEQ_CST);
}

_public_ int ch_slot_get(ch_ledger *ledger, ch_slot **ret)
{
        ch_slot *slot;

        if (!ledger || !ret)
                return -EINVAL;
        (void)pthread_mutex_lock(&ledger->slot_lock);
        while (!ledger->free_slots)
                (void)pthread_cond_wait(&ledger->slot_freed, &ledger->slot_lock);
        slot = TAKE_PTR(ledger->free_slots); /* the last one put back: its stocks are the likeliest
                                                to serve again */
        ledger->free_slots = TAKE_PTR(slot->next_free);
        ledger->n_slots_used++;
        (void)pthread_mutex_unlock(&ledger->slot_lock);
        *ret = slot;
        return 0;
}

_public_ ch_slot *ch_slot_put(ch_slot *slot)
{
        ch_ledger *ledger;

        if (!slot)
                return NULL;
        ledger = slot->ledger;
        (void)pthread_mutex_lock(&ledger->slot_lock);
        slot->next_free = ledger->free_slots;
        ledger->free_slots = slot;
        ledger->n_slots_used--;
        (void)pthread_cond_signal(&ledger->slot_freed);
        (void)pthread_mutex_unlock(&ledger->slot_lock);
        return NULL;
}
