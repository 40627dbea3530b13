/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_COUNTER_H
#define CH_LEDGER_COUNTER_H

/*
 * mm/page_counter.c: a usage that every ancestor's usage includes, limits, and what of it is
 * protected. Reads take no lock; writes are atomic per level.
 *
 * Unlike the kernel's, a level is charged by compare-and-swap instead of add-then-look: no usage is
 * ever over its limit by a charge that will be undone, and of two charges of which one fits one is
 * granted. What a charge took below the level that refuses is there for a moment; readers may see
 * it, and so may a charge that fails because of it.
 */

#include <stdint.h>

/* As PAGE_COUNTER_MAX, limit or no limit: no usage is ever beyond this. With pages of 4 KiB that is
 * 2^64 bytes. */
#define COUNTER_BITS 52
#define COUNTER_MAX (((uint64_t)1 << COUNTER_BITS) - 1)

typedef uint64_t counter_u64 __attribute__((aligned(8))); /* lock-free on 32 bit too */

typedef struct Counter {
        struct Counter *parent;
        counter_u64 usage, max, watermark, failures;
        counter_u64 min, low;
        /* min(usage, min) and min(usage, low) as last told to the parent, and what the children
         * told */
        counter_u64 min_usage, low_usage;
        counter_u64 children_min_usage, children_low_usage;
} Counter;

typedef enum CounterMode {
        COUNTER_LIMITED,
        COUNTER_FORCED,         /* past the limits, up to COUNTER_MAX */
} CounterMode;

void counter_init(Counter *counter, Counter *parent);
/* -ENOSPC: nothing is charged, *ret_refused is the level that refused. */
int counter_charge(Counter *counter, uint64_t pages, CounterMode mode, Counter **ret_refused);
/* -ERANGE: more than is charged at some level; nothing is changed. */
int counter_uncharge(Counter *counter, uint64_t pages);
void counter_set_max(Counter *counter, uint64_t pages);
void counter_set_protection(Counter *counter, uint64_t min_pages, uint64_t low_pages);
/* No longer of any level above: what it had stays there. Nobody may charge or uncharge it
 * meanwhile. */
void counter_detach(Counter *counter);

typedef struct CounterProtection {
        uint64_t min, low;
} CounterProtection;
/*
 * page_counter_calculate_protection() from below `root` down to `counter`. {0, 0} for the root
 * itself, for what is not below it and for what uses nothing (where the kernel leaves what it last
 * computed). `recursive`: as the mount option memory_recursiveprot.
 */
CounterProtection counter_protection(const Counter *counter, const Counter *root, int recursive);

static inline uint64_t counter_read(const uint64_t *figure)
{
        return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

#endif
