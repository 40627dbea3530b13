/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger: made and freed, its barrier, draining of all slots, and its own figures. */

#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "bucket.h"
#include "ledger.h"
#include "stat.h"
#include "stock.h"
#include "util.h"

#define BATCH_PAGES    64U /* MEMCG_CHARGE_BATCH */
#define BATCH_MAX      (1U << 20)
#define SLOTS_MIN      4U
#define SLOTS_MAX      (BUCKET_HOLDERS_MAX - 1)
#define PAGE_BYTES_MAX ((uint64_t)1 << 30)
#define KINDS_MAX      4096U

static int membarrier(int command)
{
        return (int)syscall(SYS_membarrier, command, 0, 0);
}

void ledger_barrier(ch_ledger *ledger)
{
        if (!ledger->fenced && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
                return;
        full_fence();
}

void ledger_synchronize(ch_ledger *ledger)
{
        ledger_barrier(ledger);
        for (uint32_t i = 0; i < ledger->max_slots; i++)
                slot_wait(&ledger->slots[i]);
}

void ledger_drain(ch_ledger *ledger, const ch_account *top)
{
        for (uint32_t i = 0; i < ledger->max_slots; i++)
                slot_announce(&ledger->slots[i]);
        ledger_barrier(ledger);
        for (uint32_t i = 0; i < ledger->max_slots; i++) {
                ch_bucket *dead = NULL;

                slot_hold(&ledger->slots[i]);
                stock_flush(&ledger->slots[i], top, &dead);
                slot_release(&ledger->slots[i]);
                bucket_bury(dead);
        }
}

void ledger_drain_for(const ch_account *refused)
{
        ch_ledger *ledger = refused->ledger;

        for (uint32_t i = 0; i < ledger->max_slots; i++)
                if (stock_count_bytes(&ledger->slots[i]) > 0) {
                        ledger_drain(ledger, refused);
                        return;
                }
}

_public_ void ch_ledger_drain(ch_ledger *ledger, ch_account *account)
{
        ledger_drain(ledger, account);
}

static int set_options(ch_ledger *ledger, const ch_ledger_options *options)
{
        long machine_pages = sysconf(_SC_PAGESIZE), machine_cpus = sysconf(_SC_NPROCESSORS_CONF);

        *ledger = (ch_ledger){
                .page_bytes = options->page_bytes ?: (uint64_t)machine_pages,
                .batch_pages = options->batch_pages ?: BATCH_PAGES,
                .max_slots = options->max_slots,
                .n_kinds = options->n_kinds,
                .recursive_protection = options->recursive_protection,
        };
        if (ledger->max_slots == 0)
                ledger->max_slots = (uint32_t)(machine_cpus < (long)SLOTS_MIN   ? (long)SLOTS_MIN
                                               : machine_cpus > (long)SLOTS_MAX ? (long)SLOTS_MAX
                                                                                : machine_cpus);
        if (ledger->page_bytes & (ledger->page_bytes - 1) || ledger->page_bytes > PAGE_BYTES_MAX ||
            ledger->batch_pages > BATCH_MAX || ledger->max_slots > SLOTS_MAX ||
            ledger->n_kinds > KINDS_MAX || ledger->recursive_protection > 1)
                return -EINVAL;
        ledger->page_shift = (uint32_t)__builtin_ctzll(ledger->page_bytes);
        ledger->fenced = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) < 0;
        return 0;
}

static void free_ledger(ch_ledger *ledger)
{
        for (uint32_t i = 0; ledger->slots && i < ledger->max_slots; i++)
                slot_done(&ledger->slots[i]);
        free(ledger->slots);
        (void)ch_account_unref(ledger->root);
        stat_done_ledger(ledger);
        (void)pthread_mutex_destroy(&ledger->remove_lock);
        (void)pthread_mutex_destroy(&ledger->tree_lock);
        (void)pthread_mutex_destroy(&ledger->slot_lock);
        (void)pthread_cond_destroy(&ledger->slot_freed);
        free(ledger);
}

static int fill_ledger(ch_ledger *ledger)
{
        int r;

        (void)pthread_mutex_init(&ledger->remove_lock, NULL);
        (void)pthread_mutex_init(&ledger->tree_lock, NULL);
        (void)pthread_mutex_init(&ledger->slot_lock, NULL);
        (void)pthread_cond_init(&ledger->slot_freed, NULL);
        r = stat_init_ledger(ledger);
        if (r < 0)
                return r;
        r = account_alloc(ledger, NULL, &ledger->root);
        if (r < 0)
                return r;
        ledger->slots = aligned_alloc(SLOT_ALIGN, ledger->max_slots * sizeof(*ledger->slots));
        if (!ledger->slots)
                return -ENOMEM;
        for (uint32_t i = ledger->max_slots; i > 0; i--) {
                slot_init(&ledger->slots[i - 1], ledger, i - 1);
                ledger->slots[i - 1].next_free = ledger->free_slots;
                ledger->free_slots = &ledger->slots[i - 1];
        }
        return 0;
}

_public_ int ch_ledger_new(const ch_ledger_options *options, ch_ledger **ret)
{
        static const ch_ledger_options defaults = {};
        ch_ledger *ledger;
        int r;

        if (!ret)
                return -EINVAL;
        ledger = malloc(sizeof(*ledger));
        if (!ledger)
                return -ENOMEM;
        r = set_options(ledger, options ?: &defaults);
        if (r < 0) {
                free(ledger);
                return r;
        }
        r = fill_ledger(ledger);
        if (r < 0) {
                free_ledger(ledger);
                return r;
        }
        *ret = ledger;
        return 0;
}

static int is_in_use(ch_ledger *ledger)
{
        uint32_t n_buckets, n_slots_used;

        (void)pthread_mutex_lock(&ledger->tree_lock);
        n_buckets = ledger->n_buckets;
        (void)pthread_mutex_unlock(&ledger->tree_lock);
        (void)pthread_mutex_lock(&ledger->slot_lock);
        n_slots_used = ledger->n_slots_used;
        (void)pthread_mutex_unlock(&ledger->slot_lock);
        return n_buckets > 0 || n_slots_used > 0 ||
               __atomic_load_n(&ledger->n_accounts, __ATOMIC_ACQUIRE) > 1 ||
               counter_read(&ledger->root->counter.usage) > 0;
}

_public_ int ch_ledger_free(ch_ledger *ledger)
{
        if (!ledger)
                return 0;
        ledger_drain(ledger, NULL);
        if (is_in_use(ledger))
                return -EBUSY;
        free_ledger(ledger);
        return 0;
}

_public_ uint64_t ch_ledger_get_slack_bytes(const ch_ledger *ledger)
{
        int64_t rests = __atomic_load_n(&ledger->rest_bytes, __ATOMIC_RELAXED);
        uint64_t sum = 0;

        for (uint32_t i = 0; i < ledger->max_slots; i++) {
                sum += stock_count_bytes(&ledger->slots[i]);
                rests += slot_load(&ledger->slots[i].rest_bytes);
        }
        return sum + (rests > 0 ? (uint64_t)rests : 0);
}

_public_ uint64_t ch_ledger_get_n_errors(const ch_ledger *ledger)
{
        return counter_read(&ledger->n_errors);
}

_public_ ch_account *ch_ledger_get_root(ch_ledger *ledger)
{
        return ledger ? ledger->root : NULL;
}
