// SPDX-License-Identifier: GPL-2.0-only
/*
 * One folio from one account to another, in place.
 *
 * The caller holds what makes this safe (docs/kmod.md): the folio's lock, the folio off the LRU, the lock
 * of the page table that maps it, and a grace period since the folio was locked. Page counters are room.c's.
 * Statistics are added up per node and written once per batch: sums do not mind the order.
 */

#include "chargehand.h"

/* The statistics that a folio carries along; rows of struct chargehand_delta. */
enum {
	DELTA_ANON_MAPPED,
	DELTA_ANON_THPS,
	DELTA_FILE_PAGES,
	DELTA_FILE_MAPPED,
	DELTA_SHMEM,
	DELTA_SHMEM_THPS,
	DELTA_FILE_THPS,
	DELTA_SHMEM_PMDMAPPED,
	DELTA_FILE_PMDMAPPED,
	DELTA_SWAPCACHE,
	DELTA_MAX_,
};

static const enum node_stat_item delta_items[] = {
	[DELTA_ANON_MAPPED] = NR_ANON_MAPPED,
	[DELTA_ANON_THPS] = NR_ANON_THPS,
	[DELTA_FILE_PAGES] = NR_FILE_PAGES,
	[DELTA_FILE_MAPPED] = NR_FILE_MAPPED,
	[DELTA_SHMEM] = NR_SHMEM,
	[DELTA_SHMEM_THPS] = NR_SHMEM_THPS,
	[DELTA_FILE_THPS] = NR_FILE_THPS,
	[DELTA_SHMEM_PMDMAPPED] = NR_SHMEM_PMDMAPPED,
	[DELTA_FILE_PMDMAPPED] = NR_FILE_PMDMAPPED,
	[DELTA_SWAPCACHE] = NR_SWAPCACHE,
};
static_assert(DELTA_MAX_ == CHARGEHAND_DELTAS);

/* mem_cgroup_lruvec() wants a symbol that is not exported. */
static struct lruvec *lruvec_of(struct mem_cgroup *memcg, int nid)
{
	struct lruvec *lruvec = &memcg->nodeinfo[nid]->lruvec;

	/* Set by whoever is first. */
	if (unlikely(lruvec->pgdat != NODE_DATA(nid)))
		lruvec->pgdat = NODE_DATA(nid);
	return lruvec;
}

/* A page of our own that carries the target's tag for a moment: the kernel allocates by it what a group
 * must have before huge pages come. */
static int prepare_node(unsigned long tag, int nid)
{
	struct page *page = alloc_pages_node(nid, GFP_KERNEL, 0);
	struct folio *folio;
	int r;

	if (!page)
		return -ENOMEM;
	folio = page_folio(page);
	folio->memcg_data = tag;
	r = chargehand_alloc_queue(folio);
	folio->memcg_data = 0;
	folio_put(folio);
	return r;
}

int chargehand_retag_init(struct chargehand_retag *retag, struct mem_cgroup *from, struct mem_cgroup *to)
{
	int nid, r;

	*retag = (struct chargehand_retag){ .from = from, .to = to };
	retag->deltas = kvcalloc(nr_node_ids, sizeof(*retag->deltas), GFP_KERNEL);
	retag->tags = kvcalloc(nr_node_ids, sizeof(*retag->tags), GFP_KERNEL);
	if (!retag->deltas || !retag->tags) {
		chargehand_retag_done(retag);
		return -ENOMEM;
	}
	for_each_node_state(nid, N_MEMORY) {
		retag->tags[nid] = chargehand_tag_get(to, nid);
		/* None: the target's objects have gone to its parent. */
		r = retag->tags[nid] ? prepare_node(retag->tags[nid], nid) : -ENODEV;
		if (r < 0) {
			chargehand_retag_done(retag);
			return r;
		}
	}
	return 0;
}

void chargehand_retag_done(struct chargehand_retag *retag)
{
	int nid;

	for (nid = 0; retag->tags && nid < nr_node_ids; nid++)
		if (retag->tags[nid])
			chargehand_tag_put(retag->tags[nid]);
	kvfree(retag->tags);
	kvfree(retag->deltas);
	*retag = (struct chargehand_retag){};
}

static void add_anon(struct chargehand_delta *delta, struct folio *folio, const struct chargehand_item *item)
{
	long nr = folio_nr_pages(folio);

	/* A huge page that is mapped whole counts in full, else page by page; all that map it are here. */
	delta->pages[DELTA_ANON_MAPPED] += item->mapped ? item->mapped : nr;
	if (!item->mapped)
		delta->pages[DELTA_ANON_THPS] += nr;
	if (folio_test_swapcache(folio))
		delta->pages[DELTA_SWAPCACHE] += nr;
}

static void add_file(struct chargehand_delta *delta, struct folio *folio, const struct chargehand_item *item)
{
	bool shmem = folio_test_swapbacked(folio);
	long nr = folio_nr_pages(folio);

	delta->pages[DELTA_FILE_PAGES] += nr;
	delta->pages[DELTA_FILE_MAPPED] += item->mapped ? item->mapped : nr;
	if (shmem)
		delta->pages[DELTA_SHMEM] += nr;
	if (folio_test_pmd_mappable(folio))
		delta->pages[shmem ? DELTA_SHMEM_THPS : DELTA_FILE_THPS] += nr;
	if (!item->mapped && CHARGEHAND_PMDMAPPED_PER_MEMCG)
		delta->pages[shmem ? DELTA_SHMEM_PMDMAPPED : DELTA_FILE_PMDMAPPED] += nr;
}

static void switch_tag(struct chargehand_retag *retag, struct chargehand_item *item)
{
	struct folio *folio = item->folio;
	unsigned long old = folio->memcg_data, new = retag->tags[folio_nid(folio)];

	item->counted = chargehand_tag_is_counted(old);
	/* A reference a folio; the old one is never the last while the caller holds the group. */
	chargehand_tag_get_more(new, 1);
	WRITE_ONCE(folio->memcg_data, new);
	chargehand_tag_put(old);
}

/* Somebody else has a reference: a guess who. */
static int why_not_frozen(struct folio *folio, const struct chargehand_item *item)
{
	if (item->shared)
		return CHARGEHAND_LEFT_SHARED;
	/* Its other pages may be mapped elsewhere, or outside of the range asked for. */
	if (item->mapped && item->mapped < folio_nr_pages(folio))
		return CHARGEHAND_LEFT_LARGE;
	return CHARGEHAND_LEFT_PINNED;
}

/*
 * Anonymous large folio: if its references are those of the page table entries that we hold the lock of,
 * and ours, nobody else maps it, has pinned it, or is about to split it.
 */
static int retag_large_anon(struct chargehand_retag *retag, struct chargehand_item *item)
{
	struct folio *folio = item->folio;
	int expected = (item->mapped ? item->mapped : 1) + 1;
	bool queued = false, partly = false;

	if (folio_test_swapcache(folio))
		return -1 - CHARGEHAND_LEFT_BUSY;
	if (!folio_ref_freeze(folio, expected))
		return -1 - why_not_frozen(folio, item);
	if (chargehand_has_queue(folio))
		queued = chargehand_unqueue(folio, &partly);
	add_anon(&retag->deltas[folio_nid(folio)], folio, item);
	switch_tag(retag, item);
	folio_ref_unfreeze(folio, expected);
	if (queued)
		chargehand_requeue(folio, partly);
	return 0;
}

/*
 * Page cache. The lock of the mapping's pages keeps out who would make the folio dirty, and count that.
 * Large folios that are mapped by pages: all mappings must be those here, as above; references are then
 * one a page from the cache, the private data, the mappings and ours. Mapped whole, the one mapping that we
 * hold keeps all pages counted as mapped.
 */
static int retag_file(struct chargehand_retag *retag, struct chargehand_item *item)
{
	struct folio *folio = item->folio;
	struct address_space *mapping = folio->mapping;
	bool freeze = folio_test_large(folio) && item->mapped;
	int expected = folio_nr_pages(folio) + item->mapped + folio_has_private(folio) + 1;
	unsigned long flags;
	int r = 0;

	if (!mapping || folio_test_swapcache(folio))
		return -1 - CHARGEHAND_LEFT_BUSY;
	xa_lock_irqsave(&mapping->i_pages, flags);
	if (folio_test_writeback(folio))
		r = -1 - CHARGEHAND_LEFT_BUSY;
	else if (!folio_test_swapbacked(folio) && folio_test_dirty(folio))
		r = -1 - CHARGEHAND_LEFT_DIRTY;
	else if (freeze && !folio_ref_freeze(folio, expected))
		r = -1 - CHARGEHAND_LEFT_LARGE;
	if (!r) {
		add_file(&retag->deltas[folio_nid(folio)], folio, item);
		switch_tag(retag, item);
		if (freeze)
			folio_ref_unfreeze(folio, expected);
	}
	xa_unlock_irqrestore(&mapping->i_pages, flags);
	return r;
}

int chargehand_retag_folio(struct chargehand_retag *retag, struct chargehand_item *item)
{
	struct folio *folio = item->folio;

	VM_BUG_ON_FOLIO(!folio_test_locked(folio), folio);
	VM_BUG_ON_FOLIO(folio_test_lru(folio), folio);

	/* Looked at for a second time: the grace period has seen the end of whoever ended it before. */
	if (WARN_ON_ONCE(folio->memcg_data != item->tag) || folio_test_writeback(folio))
		return -1 - CHARGEHAND_LEFT_BUSY;
	/* On a node whose memory was plugged in since chargehand_retag_init(). */
	if (!retag->tags[folio_nid(folio)])
		return -1 - CHARGEHAND_LEFT_BUSY;
	if (!folio_test_anon(folio))
		return retag_file(retag, item);
	if (folio_test_large(folio))
		return retag_large_anon(retag, item);
	/* Swap that nobody needs any more goes; what others still need is to name the same group. */
	if (folio_test_swapcache(folio) && !chargehand_call(folio_free_swap)(folio))
		(void)chargehand_swap_move(chargehand_folio_swap(folio), retag->from, retag->to, true, false);
	add_anon(&retag->deltas[folio_nid(folio)], folio, item);
	switch_tag(retag, item);
	return 0;
}

void chargehand_retag_flush(struct chargehand_retag *retag)
{
	int nid, i;

	for_each_node_state(nid, N_MEMORY) {
		struct chargehand_delta *delta = &retag->deltas[nid];
		struct lruvec *from = lruvec_of(retag->from, nid);
		struct lruvec *to = lruvec_of(retag->to, nid);

		for (i = 0; i < DELTA_MAX_; i++) {
			if (!delta->pages[i])
				continue;
			chargehand_mod_lruvec(from, delta_items[i], -delta->pages[i]);
			chargehand_mod_lruvec(to, delta_items[i], delta->pages[i]);
		}
		*delta = (struct chargehand_delta){};
	}
}
