/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics by slot, and items that move from account to account without losing an update. */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "stat.h"
#include "util.h"

enum { SPINS = 128 }; /* a holder of an item's lock that is not done by then is not on a CPU */

size_t stat_get_stride(uint32_t n_kinds)
{
        size_t bytes = sizeof(AccountLine) + n_kinds * sizeof(int64_t);

        return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static int lines_alloc(const ch_ledger *ledger, uint8_t **ret)
{
        size_t bytes = ledger->stat_stride * ledger->max_slots;
        uint8_t *lines = aligned_alloc(CACHE_LINE, bytes);

        if (!lines)
                return -ENOMEM;
        memset(lines, 0, bytes);
        *ret = lines;
        return 0;
}

static AccountLine *line_at(const ch_ledger *ledger, uint8_t *lines, uint32_t index)
{
        return (AccountLine *)(void *)(lines + ledger->stat_stride * index);
}

/* Where to add under an item's lock, in a section: the lines that the sums are made of, also while
 * the account is being removed. */
static AccountLine *own_line(const ch_account *account, const ch_slot *slot)
{
        return (AccountLine *)(void *)(account->own_lines + slot->stat_offset);
}

/* The lines of all removed accounts: marked, and never written to. */
int stat_init_ledger(ch_ledger *ledger)
{
        int r;

        ledger->stat_stride = stat_get_stride(ledger->n_kinds);
        r = lines_alloc(ledger, &ledger->removed_lines);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < ledger->max_slots; i++)
                line_at(ledger, ledger->removed_lines, i)->on_move = 1;
        return 0;
}

void stat_done_ledger(ch_ledger *ledger)
{
        free(ledger->removed_lines);
        ledger->removed_lines = NULL;
}

int stat_init_account(ch_account *account)
{
        int r = lines_alloc(account->ledger, &account->own_lines);

        if (r < 0)
                return r;
        account->lines = account->own_lines;
        account->stat_base = calloc(account->ledger->n_kinds + 1, sizeof(int64_t));
        if (!account->stat_base) {
                stat_done_account(account);
                return -ENOMEM;
        }
        return 0;
}

void stat_done_account(ch_account *account)
{
        free(account->own_lines);
        free(account->stat_base);
        account->own_lines = account->lines = NULL;
        account->stat_base = NULL;
}

/* Sums */

/* Under the tree lock. */
static int64_t sum_lines(const ch_account *account, uint32_t kind)
{
        uint64_t sum = 0;

        if (!account->own_lines)
                return 0;
        for (uint32_t i = 0; i < account->ledger->max_slots; i++)
                sum += (uint64_t)slot_load(
                        &line_at(account->ledger, account->own_lines, i)->stats[kind]);
        return (int64_t)(sum + (uint64_t)account->stat_base[kind]);
}

void stat_mark_removed(ch_account *account)
{
        __atomic_store_n(&account->lines, account->ledger->removed_lines, __ATOMIC_RELEASE);
}

void stat_reparent(ch_account *account)
{
        for (uint32_t kind = 0; kind < account->ledger->n_kinds; kind++)
                account->parent->stat_base[kind] += sum_lines(account, kind);
        free(account->own_lines);
        free(account->stat_base);
        account->own_lines = NULL;
        account->stat_base = NULL;
}

/* The next of those at and below `top`, each after its parent; NULL after the last. */
static const ch_account *next_below(const ch_account *account, const ch_account *top)
{
        const struct cds_list_head *next;

        if (account->children.next != &account->children)
                return caa_container_of(account->children.next, ch_account, sibling);
        for (; account != top; account = account->parent) {
                next = account->sibling.next;
                if (next != &account->parent->children)
                        return caa_container_of(next, ch_account, sibling);
        }
        return NULL;
}

_public_ int64_t ch_stat_read(const ch_account *account, uint32_t kind, int recursive)
{
        const ch_account *at = account;
        uint64_t sum = 0;

        if (!account || kind >= account->ledger->n_kinds)
                return 0;
        (void)pthread_mutex_lock(&account->ledger->tree_lock);
        for (; at; at = recursive ? next_below(at, account) : NULL)
                sum += (uint64_t)sum_lines(at, kind);
        (void)pthread_mutex_unlock(&account->ledger->tree_lock);
        return (int64_t)sum;
}

/* Items */

_public_ void ch_item_init(ch_item *item, ch_account *account)
{
        *item = (ch_item){ .account_ = account };
}

_public_ ch_account *ch_item_get_account(const ch_item *item)
{
        return account_get_living(__atomic_load_n(&item->account_, __ATOMIC_ACQUIRE));
}

/* Held for some additions by threads that wait for nobody: spinning is short, unless the holder
 * lost its CPU. */
static void item_lock(ch_item *item)
{
        for (unsigned spins = 0; __atomic_exchange_n(&item->lock_, 1, __ATOMIC_ACQUIRE); spins++)
                while (__atomic_load_n(&item->lock_, __ATOMIC_RELAXED))
                        if (++spins >= SPINS)
                                (void)sched_yield();
}

static void item_unlock(ch_item *item)
{
        __atomic_store_n(&item->lock_, 0, __ATOMIC_RELEASE);
}

static int has_movers(const ch_account *account)
{
        return __atomic_load_n(&account->movers, __ATOMIC_RELAXED) > 0;
}

/*
 * The account that has inherited `account`. Items of removed accounts are put there for good, but
 * not past one on which a move began before its removal: the mover could not tell any more that
 * they are its own, and nothing would hold off updates.
 */
static ch_account *settle(ch_item *item)
{
        ch_account *account = item->account_, *from = account;

        while (account_is_removed(account) && !has_movers(account))
                account = account->parent;
        if (account != from)
                __atomic_store_n(&item->account_, account, __ATOMIC_RELEASE);
        return account_get_living(account);
}

void stat_update_locked(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own)
{
        item_lock(item);
        stat_add(own_line(settle(item), slot), kind, delta);
        *own = (int64_t)((uint64_t)*own + (uint64_t)delta);
        item_unlock(item);
        slot_read_exit(slot);
}

void stat_update_slow(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own)
{
        if (kind >= slot->ledger->n_kinds)
                return;
        slot_read_enter(slot);
        stat_update_held(slot, item, kind, delta, own);
}

_public_ void ch_stat_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta,
                             int64_t *own)
{
        stat_update(slot, item, kind, delta, own);
}

/* Moves */

/* Under the tree lock, for accounts that were not removed. */
static void mark(ch_account *account, uint32_t one)
{
        for (uint32_t i = 0; i < account->ledger->max_slots; i++) {
                AccountLine *line = line_at(account->ledger, account->own_lines, i);

                __atomic_store_n(&line->on_move, line->on_move + one, __ATOMIC_RELEASE);
        }
}

_public_ int ch_stat_begin_move(ch_account *from)
{
        int removed;

        if (!from)
                return -EINVAL;
        (void)pthread_mutex_lock(&from->ledger->tree_lock);
        removed = account_is_removed(from);
        if (!removed) {
                __atomic_store_n(&from->movers, from->movers + 1, __ATOMIC_RELAXED);
                mark(from, 1);
        }
        (void)pthread_mutex_unlock(&from->ledger->tree_lock);
        if (removed)
                return -ESTALE;
        /* also where another move has marked it already: its own grace period may not be over */
        ledger_synchronize(from->ledger);
        return 0;
}

_public_ void ch_stat_end_move(ch_account *from)
{
        if (!from)
                return;
        /* who has read the account that an item left must see the mark still */
        ledger_synchronize(from->ledger);
        (void)pthread_mutex_lock(&from->ledger->tree_lock);
        if (has_movers(from)) {
                __atomic_store_n(&from->movers, from->movers - 1, __ATOMIC_RELAXED);
                if (!account_is_removed(from))
                        mark(from, (uint32_t)-1);
        }
        (void)pthread_mutex_unlock(&from->ledger->tree_lock);
}

/* Somebody began to move `account`, or one that has inherited it: then its updates take the item's
 * lock. */
static int is_on_move(const ch_account *account)
{
        while (!has_movers(account) && account_is_removed(account))
                account = account->parent;
        return has_movers(account);
}

static void take_along(ch_slot *slot, const ch_account *from, const ch_account *to,
                       const int64_t *own)
{
        AccountLine *source = own_line(from, slot), *target = own_line(to, slot);

        for (uint32_t kind = 0; kind < from->ledger->n_kinds; kind++) {
                stat_add(source, kind, (int64_t)(0 - (uint64_t)own[kind]));
                stat_add(target, kind, own[kind]);
        }
}

_public_ int ch_stat_move(ch_slot *slot, ch_item *item, ch_account *to, const int64_t *own)
{
        int r = -EINVAL;

        if (!slot || !item || !to || !own || to->ledger != slot->ledger)
                return -EINVAL;
        slot_read_enter(slot);
        item_lock(item);
        if (is_on_move(item->account_)) {
                to = account_get_living(to);
                take_along(slot, account_get_living(item->account_), to, own);
                __atomic_store_n(&item->account_, to, __ATOMIC_RELEASE);
                r = 0;
        }
        item_unlock(item);
        slot_read_exit(slot);
        return r;
}
