/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_SLOT_H
#define CH_LEDGER_SLOT_H

/*
 * A slot is what a CPU is in the kernel: stocks that one thread uses without lock or atomic
 * read-modify-write, and that others may empty.
 *
 * Kamezawa's scheme of 2010 (a flag per CPU and a grace period) does both jobs, stocks here and
 * statistics in stat.c:
 *
 *      owner                                   others
 *        reading = 1                             claimed += 1
 *        if claimed: reading = 0; lock           membarrier()            every CPU has seen it, or
 * is seen reading use the stocks                          wait until reading == 0 reading = 0, or
 * unlock                  lock; use the stocks; unlock claimed -= 1
 *
 * membarrier() stands for the barrier that the owner would need between its store and its load.
 * Without that system call
 * (`fenced`) slots are claimed for good: owners take the lock; the bare section pays for the
 * barrier. Whoever sees reading == 0 has acquired what the owner released with it, so all of this
 * is order that C11, and ThreadSanitizer, know.
 */

#include <pthread.h>
#include <stdint.h>

#include <chargehand/ledger.h>

#include "rcu.h"

#define CACHE_LINE 64
/* x86 fetches lines in pairs, POWER's have 128 bytes: slots do not disturb each other at this
 * distance */
#define SLOT_ALIGN 128

#ifndef BYTE_WAYS
#define BYTE_WAYS 8
#endif
#ifndef PAGE_WAYS
#define PAGE_WAYS 4
#endif

typedef uint64_t slot_u64 __attribute__((aligned(8)));
typedef int64_t slot_s64 __attribute__((aligned(8)));

/* Bytes charged to a bucket but to no object. A holder of the bucket, however many bytes. */
typedef struct ByteStock {
        ch_bucket *bucket;
        slot_u64 bytes;
} ByteStock;

/* Pages charged to an account, that no bucket has. Holds one reference on the account, however many
 * pages. */
typedef struct PageStock {
        ch_account *account;
        slot_u64 pages;
} PageStock;

/* Fields of the owner are read by others, relaxed, for figures; they are written by whoever holds
 * the slot (above). */
struct ch_slot {
        uint32_t reading;       /* owner is inside */
        uint32_t claimed;       /* others are waiting to come in */
        uint32_t fenced;        /* no membarrier(); constant */
        uint32_t index;         /* constant, and so are the next four */
        uint32_t page_shift;
        uint32_t batch_pages;
        uint32_t n_kinds;       /* that need no fence: 0 if fenced */
        size_t stat_offset;     /* of this slot's line in an account's statistics */
        ByteStock bytes[BYTE_WAYS];
        PageStock pages[PAGE_WAYS];
        uint32_t next_byte_victim, next_page_victim;
        slot_s64 rest_bytes;    /* of buckets: put there minus taken; the sum over slots means something */
        ch_ledger *ledger;
        pthread_mutex_t lock;   /* instead of `reading` while claimed */
        struct ch_slot *next_free;
} __attribute__((aligned(SLOT_ALIGN)));

#define slot_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define slot_store(p, value) __atomic_store_n((p), (value), __ATOMIC_RELAXED)

void slot_init(ch_slot *slot, ch_ledger *ledger, uint32_t index);
void slot_done(ch_slot *slot);

/* For who has seen that the slot is not fenced. */
static inline void slot_read_enter_unfenced(ch_slot *slot)
{
        __atomic_store_n(&slot->reading, 1, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the other half is membarrier() */
}

/* The bare section: no lock, no wait and no call of the user's inside. Does not nest. */
static inline void slot_read_enter(ch_slot *slot)
{
        if (__builtin_expect(slot->fenced, 0)) {
                (void)__atomic_exchange_n(&slot->reading, 1, __ATOMIC_SEQ_CST);
                return;
        }
        slot_read_enter_unfenced(slot);
}

static inline void slot_read_exit(ch_slot *slot)
{
        __atomic_store_n(&slot->reading, 0, __ATOMIC_RELEASE);
}

typedef enum SlotHold {
        SLOT_READING,
        SLOT_LOCKED,
} SlotHold;

SlotHold slot_enter_claimed(ch_slot *slot);
void slot_exit_claimed(ch_slot *slot);

/* The owner, to use the stocks, where there is another way: 0 if the slot is claimed. Left by
 * slot_read_exit(). */
static inline int slot_try_enter(ch_slot *slot)
{
        __atomic_store_n(&slot->reading, 1, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* as above */
        if (__builtin_expect(!__atomic_load_n(&slot->claimed, __ATOMIC_SEQ_CST), 1))
                return 1;
        slot_read_exit(slot);
        return 0;
}

/* The owner, in any case. */
static inline SlotHold slot_enter(ch_slot *slot)
{
        return slot_try_enter(slot) ? SLOT_READING : slot_enter_claimed(slot);
}

static inline void slot_exit(ch_slot *slot, SlotHold hold)
{
        if (__builtin_expect(hold == SLOT_LOCKED, 0))
                slot_exit_claimed(slot);
        else
                slot_read_exit(slot);
}

/* With a slot or, if that is NULL, without: bucket → account and all above it stay until
 * reader_exit(). */
static inline SlotHold reader_enter(ch_slot *slot)
{
        if (slot)
                return slot_enter(slot);
        rcu_enter();
        return SLOT_READING;
}

static inline void reader_exit(ch_slot *slot, SlotHold hold)
{
        if (slot)
                slot_exit(slot, hold);
        else
                rcu_exit();
}

/* Others. All slots are announced, one barrier serves them, then they are held one after the other.
 */
void slot_announce(ch_slot *slot);
void slot_hold(ch_slot *slot);
void slot_release(ch_slot *slot);
/* Until the owner is seen outside of its section. Only after a barrier. */
void slot_wait(const ch_slot *slot);

#endif
