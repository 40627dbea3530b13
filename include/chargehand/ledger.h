/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_LEDGER_H
#define CHARGEHAND_LEDGER_H

/*
 * The ledger: the kernel's accounting model above the kernel. Accounts (one per group) with
 * hierarchical page counters, per-CPU-like stocks in front of them, byte-sized objects on buckets
 * that can be reparented in one step, and statistics that take no lock unless an account is under
 * way to another group.
 *
 * Sources: mm/page_counter.c; Weiner and Gushchin 2019, "mm: memcg/slab: charge individual slab
 * objects instead of pages" (objects, buckets, reparenting); Kamezawa 2010, "memcg: fix race in
 * file_mapped accounting" (ON_MOVE). docs/accounting.md tells how they hang together.
 *
 * Thread rule: every function may be called from any thread at any time, unless said. A slot is
 * used by one thread at a time. Nothing here makes a system call, but for what is marked "waits for
 * a grace period" (membarrier, and the time the slowest reader takes: microseconds).
 *
 * Units: counters count pages of ch_ledger_options.page_bytes, up to 2^52 - 1 (with pages of 4 KiB
 * just below 2^64 bytes): a charge beyond that is refused like one beyond a limit. Objects are
 * bytes. Sizes of 0 and over 2^63 are -ERANGE.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ch_ledger ch_ledger;
typedef struct ch_account ch_account;
typedef struct ch_bucket ch_bucket;
typedef struct ch_slot ch_slot;

#define CH_PAGES_MAX UINT64_MAX /* no limit */

typedef struct ch_ledger_options {
        uint64_t page_bytes;    /* 0: the machine's page size; a power of 2 */
        uint32_t batch_pages;   /* that a stock takes at once; 0: 64, as MEMCG_CHARGE_BATCH */
        uint32_t max_slots;     /* 0: one per CPU of the machine, at least 4 */
        uint32_t n_kinds;       /* kinds of statistics; 0: none */
        uint32_t recursive_protection; /* 1: as with the mount option memory_recursiveprot */
} ch_ledger_options;

/* NULL: all defaults. -EINVAL: no such page size (up to 2^30), batch (2^20 pages), number of slots
 * (4094) or kinds (4096). -ENOMEM. */
int ch_ledger_new(const ch_ledger_options *options, ch_ledger **ret);
/* All objects must be uncharged, all buckets and references dropped, slots put back, and all
 * accounts but the root removed; else -EBUSY, and nothing is freed. NULL is no error. Waits for a
 * grace period. */
int ch_ledger_free(ch_ledger *ledger);

/*
 * A slot is what a CPU is in the kernel: it has a page stock, a byte stock and statistics of its
 * own. One is taken for a while by a thread (a worker may keep it for life); what it has in stock
 * stays with it when it is put back. Waits (a condition variable) while all max_slots are taken.
 */
int ch_slot_get(ch_ledger *ledger, ch_slot **ret);
ch_slot *ch_slot_put(ch_slot *slot); /* NULL */

/*
 * Bytes by which counters exceed what objects sum up to, now: stocks of all slots and the rest of
 * the last page of each bucket. A charge is never refused because of what is in stock. At most
 * max_slots × (4 accounts × 2 batches + 8 buckets × 2 pages), and a page for each bucket.
 */
uint64_t ch_ledger_get_slack_bytes(const ch_ledger *ledger);
/* Give back what the stocks of all slots hold for `account` and below (NULL: all). Waits for a
 * grace period. */
void ch_ledger_drain(ch_ledger *ledger, ch_account *account);

/* Accounts. The root always is. A new one holds a reference on its parent. */
ch_account *ch_ledger_get_root(ch_ledger *ledger); /* no reference is taken */
int ch_account_new(ch_account *parent, ch_account **ret);
ch_account *ch_account_ref(ch_account *account);
ch_account *ch_account_unref(ch_account *account); /* NULL */
ch_account *ch_account_get_parent(const ch_account *account); /* NULL for the root; no reference */
/*
 * The group is gone: its buckets (with all their objects) and its statistics go to the parent in
 * one step, without touching an object. Later charges and uncharges through a bucket land at the
 * parent. -EBUSY: it has children, or is the root; -EALREADY: removed before. Waits for a grace
 * period. Takes the creator's reference; others stay valid, reading only.
 */
int ch_account_remove(ch_account *account);

/* Limits and protection, in pages. Setting a limit below the usage is allowed: charges are refused
 * until it fits. */
void ch_account_set_max(ch_account *account, uint64_t pages);
void ch_account_set_protection(ch_account *account, uint64_t min_pages, uint64_t low_pages);

typedef struct ch_account_figures {
        uint64_t usage_pages;     /* with all below, with stocks */
        uint64_t max_pages;
        uint64_t watermark_pages; /* highest usage there was, without charges refused further up */
        uint64_t failures;        /* charges refused by this account's limit, each counted once */
        uint64_t min_pages, low_pages;
} ch_account_figures;
/* Lock-free; each figure is right for itself, together they are not a snapshot. */
void ch_account_get_figures(const ch_account *account, ch_account_figures *ret);
/*
 * Effective protection below `root` (NULL: the ledger's root), as
 * page_counter_calculate_protection(): 0 for the root itself, for an account that is not below it,
 * and for one that uses nothing (where the kernel leaves what it computed last). A removed account
 * protects nothing.
 */
void ch_account_get_protection(const ch_account *account, const ch_account *root,
                               uint64_t *ret_emin_pages, uint64_t *ret_elow_pages);

/*
 * Page charges. try_charge climbs to the root and undoes itself at the ancestor that refuses:
 * -ENOSPC, with that one in *ret_refused (a reference; may be NULL). Before it refuses, stocks
 * below the refusing ancestor are drained once (a grace period), so a refusal is exact. `slot` may
 * be NULL: then no stock is used. -ESTALE: the account was removed. While a charge climbs, levels
 * below the one that will refuse it show it for a moment; none is ever over its limit by it.
 */
int ch_account_try_charge(ch_slot *slot, ch_account *account, uint64_t pages,
                          ch_account **ret_refused);
/* Past all limits; for putting back what was moved. Of a removed account: its nearest ancestor that
 * was not, which has all that was charged. -ERANGE: more than counters count. */
int ch_account_charge(ch_slot *slot, ch_account *account, uint64_t pages);
/* Of a removed account: as above. -ERANGE: more than is charged there, with all below; nothing is
 * changed. */
int ch_account_uncharge(ch_slot *slot, ch_account *account, uint64_t pages);

/*
 * Buckets (obj_cgroup). A bucket is made on an account and outlives it: when the account is removed
 * it is the parent's. It is freed when its maker has dropped it and its last object is uncharged.
 */
int ch_bucket_new(ch_account *account, ch_bucket **ret);
ch_bucket *ch_bucket_unref(ch_bucket *bucket); /* the maker's; NULL */
/* The account it is on now; a reference. */
ch_account *ch_bucket_get_account(ch_bucket *bucket);
/*
 * Charge one object of `bytes` (1 to 2^63): it holds the bucket. From the byte stock if it has
 * them, else whole pages from the page stock or the counter, whose rest goes into the byte stock;
 * whole pages of larger objects do not pass through the byte stock. -ENOSPC as
 * ch_account_try_charge(), with the account that refused.
 */
int ch_bucket_charge(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, ch_account **ret_refused);
/* n objects of the same size at once; all or nothing. */
int ch_bucket_charge_bulk(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, uint64_t n,
                          ch_account **ret_refused);
/*
 * -ERANGE: more than is charged there; nothing is changed. As long as one slot is used for a bucket
 * that is every byte too many. What other slots have in stock looks like charged, and so does the
 * rest of a page to a caller without a slot: that is found when the bucket is freed
 * (ch_ledger_get_n_errors() counts it).
 */
int ch_bucket_uncharge(ch_slot *slot, ch_bucket *bucket, uint64_t bytes);
int ch_bucket_uncharge_bulk(ch_slot *slot, ch_bucket *bucket, uint64_t bytes, uint64_t n);
/* Uncharges of more than was charged that were found late. 0 in a correct program. */
uint64_t ch_ledger_get_n_errors(const ch_ledger *ledger);

/*
 * Statistics (ON_MOVE). An item is anything that is counted on an account and may be moved to
 * another: a page there, a lease or an mm here. Its holder embeds a ch_item and keeps beside it how
 * much it contributes to each kind.
 */
typedef struct ch_item {
        ch_account *account_; /* atomic; read it by ch_item_get_account() */
        uint32_t lock_;       /* taken only while a move is under way */
} ch_item;
/* Takes no reference: the holder keeps one by its bucket. */
void ch_item_init(ch_item *item, ch_account *account);
/* The account it is on now: one that was not removed. No reference: good as long as what keeps the
 * item's account. */
ch_account *ch_item_get_account(const ch_item *item);
/*
 * Add `delta` to the item's account and to *own, the item's own contribution. Updates of one item
 * and kind are serialised by its holder; those of different items are not, and take no lock unless
 * the account is marked ON_MOVE in this slot. Kinds that there are not are ignored.
 */
void ch_stat_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own);
/*
 * Marks the account ON_MOVE in all slots and waits for a grace period; then items may be moved, by
 * any number of threads, until as many ends, each of which waits for one too. -ESTALE: the account
 * was removed; its items are its heir's.
 */
int ch_stat_begin_move(ch_account *from);
void ch_stat_end_move(ch_account *from);
/* Between the two: takes all of own[0..n_kinds) from the item's account to `to`. Exact, also
 * against concurrent updates. -EINVAL: `from` is not marked, or is not the item's account. */
int ch_stat_move(ch_slot *slot, ch_item *item, ch_account *to, const int64_t *own);
/* Merged over the slots; with `recursive` != 0 with all below. */
int64_t ch_stat_read(const ch_account *account, uint32_t kind, int recursive);

#ifdef __cplusplus
}
#endif
#endif
