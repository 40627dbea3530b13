/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts: their life, their limits, page charges, and reparenting.
 *
 * Reparenting costs one pointer per bucket. The counters need nothing: a page that is charged to
 * the account is in its parent's usage already. Everything that was charged stays where it is,
 * above the removed account, and whoever uncharges it climbs from the parent.
 */

#include "account.h"
#include "bucket.h"
#include "ledger.h"
#include "stat.h"
#include "stock.h"
#include "util.h"

static void free_account(ch_account *account)
{
        stat_done_account(account);
        free(account);
}

int account_alloc(ch_ledger *ledger, ch_account *parent, ch_account **ret)
{
        ch_account *account = aligned_alloc(CACHE_LINE, sizeof(*account));

        if (!account)
                return -ENOMEM;
        *account = (ch_account){ .ledger = ledger, .parent = parent, .refs = 1 };
        if (stat_init_account(account) < 0) {
                free(account);
                return -ENOMEM;
        }
        counter_init(&account->counter, parent ? &parent->counter : NULL);
        CDS_INIT_LIST_HEAD(&account->children);
        CDS_INIT_LIST_HEAD(&account->sibling);
        CDS_INIT_LIST_HEAD(&account->buckets);
        (void)__atomic_add_fetch(&ledger->n_accounts, 1, __ATOMIC_RELAXED);
        *ret = account;
        return 0;
}

_public_ int ch_account_new(ch_account *parent, ch_account **ret)
{
        ch_account *account;
        int r;

        if (!parent || !ret)
                return -EINVAL;
        r = account_alloc(parent->ledger, parent, &account);
        if (r < 0)
                return r;
        (void)ch_account_ref(parent);
        (void)pthread_mutex_lock(&parent->ledger->tree_lock);
        if (account_is_removed(parent))
                r = -ESTALE;
        else
                cds_list_add_tail(&account->sibling, &parent->children);
        (void)pthread_mutex_unlock(&parent->ledger->tree_lock);
        if (r < 0) {
                (void)ch_account_unref(account);
                return r;
        }
        *ret = account;
        return 0;
}

_public_ ch_account *ch_account_ref(ch_account *account)
{
        (void)__atomic_add_fetch(&account->refs, 1, __ATOMIC_RELAXED);
        return account;
}

_public_ ch_account *ch_account_unref(ch_account *account)
{
        while (account && __atomic_sub_fetch(&account->refs, 1, __ATOMIC_ACQ_REL) == 0) {
                ch_account *parent = account->parent;
                ch_ledger *ledger = account->ledger;

                free_account(account);
                (void)__atomic_sub_fetch(&ledger->n_accounts, 1, __ATOMIC_RELEASE);
                account = parent;
        }
        return NULL;
}

_public_ ch_account *ch_account_get_parent(const ch_account *account)
{
        return account ? account->parent : NULL;
}

/* Readers who come later find the parent. */
static void repoint_buckets(ch_account *from, ch_account *to)
{
        ch_bucket *bucket;

        cds_list_for_each_entry(bucket, &from->buckets, list)
                __atomic_store_n(&bucket->account, to, __ATOMIC_RELEASE);
        cds_list_splice(&from->buckets, &to->buckets);
        CDS_INIT_LIST_HEAD(&from->buckets);
}

static int begin_remove(ch_account *account)
{
        ch_ledger *ledger = account->ledger;
        int r = 0;

        (void)pthread_mutex_lock(&ledger->tree_lock);
        if (account_is_removed(account))
                r = -EALREADY;
        else if (!account->parent || !cds_list_empty(&account->children))
                r = -EBUSY;
        else {
                __atomic_store_n(&account->removed, 1, __ATOMIC_RELEASE);
                stat_mark_removed(account);
                repoint_buckets(account, account->parent);
        }
        (void)pthread_mutex_unlock(&ledger->tree_lock);
        return r;
}

/*
 * In this order:
 * 1. flag and pointers. Charges and uncharges that began before may still land on the account: they
 * land on all above, too.
 * 2. the grace period of those without a slot, and then of each slot, which from then on gets no
 * pages of it into its stock.
 * 3. with it, what the slot has in stock of it is given back, which climbs from it for the last
 * time. Byte stocks stay: they are the buckets'.
 * 4. what is left in its usage is what the parent has inherited.
 */
_public_ int ch_account_remove(ch_account *account)
{
        ch_ledger *ledger;
        int r;

        if (!account)
                return -EINVAL;
        ledger = account->ledger;
        (void)pthread_mutex_lock(&ledger->remove_lock);
        r = begin_remove(account);
        if (r == 0) {
                rcu_wait();
                ledger_drain(ledger, account);
                (void)pthread_mutex_lock(&ledger->tree_lock);
                stat_reparent(account);
                counter_detach(&account->counter);
                cds_list_del(&account->sibling);
                (void)pthread_mutex_unlock(&ledger->tree_lock);
        }
        (void)pthread_mutex_unlock(&ledger->remove_lock);
        if (r == 0)
                (void)ch_account_unref(account);
        return r;
}

_public_ void ch_account_set_max(ch_account *account, uint64_t pages)
{
        counter_set_max(&account->counter, pages);
}

_public_ void ch_account_set_protection(ch_account *account, uint64_t min_pages, uint64_t low_pages)
{
        ch_ledger *ledger = account->ledger;

        /* A removed one protects nothing, ever. */
        (void)pthread_mutex_lock(&ledger->tree_lock);
        if (!account_is_removed(account))
                counter_set_protection(&account->counter, min_pages, low_pages);
        (void)pthread_mutex_unlock(&ledger->tree_lock);
}

_public_ void ch_account_get_figures(const ch_account *account, ch_account_figures *ret)
{
        const Counter *counter = &account->counter;

        *ret = (ch_account_figures){
                .usage_pages = counter_read(&counter->usage),
                .max_pages = counter_read(&counter->max),
                .watermark_pages = counter_read(&counter->watermark),
                .failures = counter_read(&counter->failures),
                .min_pages = counter_read(&counter->min),
                .low_pages = counter_read(&counter->low),
        };
}

_public_ void ch_account_get_protection(const ch_account *account, const ch_account *root,
                                        uint64_t *ret_emin_pages, uint64_t *ret_elow_pages)
{
        const ch_ledger *ledger = account->ledger;
        CounterProtection protection;

        protection = counter_protection(&account->counter,
                                        root ? &root->counter : &ledger->root->counter,
                                        (int)ledger->recursive_protection);
        if (ret_emin_pages)
                *ret_emin_pages = protection.min;
        if (ret_elow_pages)
                *ret_elow_pages = protection.low;
}

void account_refuse(ch_account *refused, ch_account **ret_refused)
{
        (void)__atomic_add_fetch(&refused->counter.failures, 1, __ATOMIC_RELAXED);
        if (ret_refused)
                *ret_refused = refused;
        else
                (void)ch_account_unref(refused);
}

static int check_pages(const ch_account *account, uint64_t pages)
{
        if (!account)
                return -EINVAL;
        return pages == 0 || pages > COUNTER_MAX ? -ERANGE : 0;
}

/* One try. -ENOSPC: *ret_refused is a reference. */
static int try_once(ch_slot *slot, ch_account *account, uint64_t pages, StockMode mode,
                    ch_account **ret_refused)
{
        SlotHold hold = reader_enter(slot);
        Counter *refused;
        int r;

        if (mode == STOCK_FORCED)
                r = stock_take_pages(slot, account_get_living(account), pages, mode, &refused);
        else if (account_is_removed(account))
                r = -ESTALE;
        else
                r = stock_take_pages(slot, account, pages, mode, &refused);
        if (r == -ENOSPC)
                *ret_refused = ch_account_ref(account_of_counter(refused));
        reader_exit(slot, hold);
        return r;
}

_public_ int ch_account_try_charge(ch_slot *slot, ch_account *account, uint64_t pages,
                                   ch_account **ret_refused)
{
        ch_account *refused;
        int r = check_pages(account, pages);

        if (r < 0)
                return r;
        r = try_once(slot, account, pages, STOCK_BATCH, &refused);
        if (r != -ENOSPC)
                return r;
        ledger_drain_for(refused);
        (void)ch_account_unref(refused);
        r = try_once(slot, account, pages, STOCK_EXACT, &refused);
        if (r == -ENOSPC)
                account_refuse(refused, ret_refused);
        return r;
}

_public_ int ch_account_charge(ch_slot *slot, ch_account *account, uint64_t pages)
{
        ch_account *refused;
        int r = check_pages(account, pages);

        if (r < 0)
                return r;
        r = try_once(slot, account, pages, STOCK_FORCED, &refused);
        if (r != -ENOSPC)
                return r;
        (void)ch_account_unref(refused);
        return -ERANGE; /* beyond COUNTER_MAX */
}

_public_ int ch_account_uncharge(ch_slot *slot, ch_account *account, uint64_t pages)
{
        SlotHold hold;
        int r = check_pages(account, pages);

        if (r < 0)
                return r;
        hold = reader_enter(slot);
        account = account_get_living(account);
        /* What this slot has in stock is no longer charged by anybody. */
        if (pages >
            sub_u64(counter_read(&account->counter.usage), stock_count_pages(slot, account)))
                r = -ERANGE;
        else
                r = stock_put_pages(slot, account, pages);
        reader_exit(slot, hold);
        return r;
}
