/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hierarchical page counters: mm/page_counter.c above the kernel. */

#include <errno.h>
#include <stddef.h>

#include "counter.h"

#define MAX_DEPTH_HERE 64 /* levels that counter_protection() keeps on its stack at a time */

void counter_init(Counter *counter, Counter *parent)
{
        *counter = (Counter){ .parent = parent, .max = UINT64_MAX };
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* What of this level is protected changed: the difference goes to the parent. Whoever exchanges a
 * value passes on exactly the step that he saw, so concurrent steps add up. */
static void tell_parent(uint64_t amount, uint64_t *told, uint64_t *sum)
{
        uint64_t before = counter_read(told);

        if (amount == before)
                return;
        before = __atomic_exchange_n(told, amount, __ATOMIC_RELAXED);
        (void)__atomic_add_fetch(sum, amount - before, __ATOMIC_RELAXED);
}

static void propagate_protected(Counter *counter, uint64_t usage)
{
        Counter *parent = counter->parent;

        if (!parent)
                return;
        tell_parent(min_of(usage, counter_read(&counter->min)), &counter->min_usage,
                    &parent->children_min_usage);
        tell_parent(min_of(usage, counter_read(&counter->low)), &counter->low_usage,
                    &parent->children_low_usage);
}

static int charge_level(Counter *counter, uint64_t pages, uint64_t max)
{
        uint64_t usage = counter_read(&counter->usage);

        do {
                if (usage > max || pages > max - usage)
                        return -ENOSPC;
        } while (!__atomic_compare_exchange_n(&counter->usage, &usage, usage + pages, 0,
                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        propagate_protected(counter, usage + pages);
        return 0;
}

static int uncharge_level(Counter *counter, uint64_t pages)
{
        uint64_t usage = counter_read(&counter->usage);

        do {
                if (pages > usage)
                        return -ERANGE;
        } while (!__atomic_compare_exchange_n(&counter->usage, &usage, usage - pages, 0,
                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        propagate_protected(counter, usage - pages);
        return 0;
}

/* Only for a charge that was granted at all levels: a refused one leaves no mark below. */
static void raise_watermark(Counter *counter)
{
        uint64_t usage = counter_read(&counter->usage);
        uint64_t watermark = counter_read(&counter->watermark);

        while (usage > watermark)
                if (__atomic_compare_exchange_n(&counter->watermark, &watermark, usage, 0,
                                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                        return;
}

int counter_charge(Counter *counter, uint64_t pages, CounterMode mode, Counter **ret_refused)
{
        Counter *c;

        for (c = counter; c; c = c->parent) {
                uint64_t max = mode == COUNTER_FORCED ? COUNTER_MAX
                                                      : min_of(counter_read(&c->max), COUNTER_MAX);

                if (charge_level(c, pages, max) < 0)
                        break;
        }
        if (c) {
                for (Counter *undo = counter; undo != c; undo = undo->parent)
                        (void)uncharge_level(undo, pages);
                *ret_refused = c;
                return -ENOSPC;
        }
        for (c = counter; c; c = c->parent)
                raise_watermark(c);
        return 0;
}

int counter_uncharge(Counter *counter, uint64_t pages)
{
        Counter *c;

        for (c = counter; c; c = c->parent)
                if (uncharge_level(c, pages) < 0)
                        break;
        if (!c)
                return 0;
        /* Past the limits, for it was there before. */
        for (Counter *undo = counter; undo != c; undo = undo->parent)
                (void)charge_level(undo, pages, UINT64_MAX);
        return -ERANGE;
}

void counter_set_max(Counter *counter, uint64_t pages)
{
        __atomic_store_n(&counter->max, pages, __ATOMIC_RELAXED);
}

void counter_set_protection(Counter *counter, uint64_t min_pages, uint64_t low_pages)
{
        __atomic_store_n(&counter->min, min_pages, __ATOMIC_RELAXED);
        __atomic_store_n(&counter->low, low_pages, __ATOMIC_RELAXED);
        for (Counter *c = counter; c; c = c->parent)
                propagate_protected(c, counter_read(&c->usage));
}

void counter_detach(Counter *counter)
{
        counter_set_protection(counter, 0, 0);
        __atomic_store_n(&counter->usage, 0, __ATOMIC_RELAXED);
}

/* a * b / c, with a <= c or b <= c: the result fits */
static uint64_t muldiv(uint64_t a, uint64_t b, uint64_t c)
{
#ifdef __SIZEOF_INT128__
        return (uint64_t)((unsigned __int128)a * b / c);
#else
        while (a && b > UINT64_MAX / a) { /* the kernel's own product is no wider than a long */
                b >>= 1;
                c >>= 1;
        }
        return c ? a * b / c : 0;
#endif
}

/*
 * effective_protection(): protection that all siblings claim and use beyond what their parent
 * affords is handed out in proportion to what they use of it; with `recursive`, what of the
 * parent's nobody claims is handed out in proportion to usage that is not protected yet.
 */
static uint64_t effective(uint64_t usage, uint64_t parent_usage, uint64_t setting,
                          uint64_t parent_effective, uint64_t siblings_protected, int recursive)
{
        uint64_t claim = min_of(usage, setting);

        if (siblings_protected > parent_effective)
                return muldiv(min_of(claim, siblings_protected), parent_effective,
                              siblings_protected);
        if (recursive && parent_effective > siblings_protected &&
            parent_usage > siblings_protected && usage > claim)
                claim += muldiv(parent_effective - siblings_protected,
                                min_of(usage - claim, parent_usage - siblings_protected),
                                parent_usage - siblings_protected);
        return claim;
}

/* One step down, from the parent's effective protection. */
static CounterProtection step_down(const Counter *c, const Counter *root, CounterProtection above,
                                   int recursive)
{
        uint64_t usage = counter_read(&c->usage), parent_usage;

        if (usage == 0)
                return (CounterProtection){};
        if (c->parent == root) /* a child of the root gets what it was set to */
                return (CounterProtection){ .min = counter_read(&c->min),
                                            .low = counter_read(&c->low) };
        parent_usage = counter_read(&c->parent->usage);
        return (CounterProtection){
                .min = effective(usage, parent_usage, counter_read(&c->min), above.min,
                                 counter_read(&c->parent->children_min_usage), recursive),
                .low = effective(usage, parent_usage, counter_read(&c->low), above.low,
                                 counter_read(&c->parent->children_low_usage), recursive),
        };
}

CounterProtection counter_protection(const Counter *counter, const Counter *root, int recursive)
{
        CounterProtection protection = {};
        const Counter *path[MAX_DEPTH_HERE];
        const Counter *top = root;

        /* Deeper trees are walked in pieces, each from the ancestor where the one before ended. */
        while (top != counter) {
                const Counter *c;
                size_t depth = 0;

                for (c = counter; c && c != top; c = c->parent)
                        path[depth++ % MAX_DEPTH_HERE] = c;
                if (!c)
                        return (CounterProtection){};
                for (size_t n = depth < MAX_DEPTH_HERE ? depth : MAX_DEPTH_HERE; n > 0; n--) {
                        top = path[--depth % MAX_DEPTH_HERE];
                        protection = step_down(top, root, protection, recursive);
                }
        }
        return protection;
}
