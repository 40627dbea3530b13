// SPDX-License-Identifier: GPL-2.0-only
/*
 * One chunk of a move: take folios, and, after a grace period, give them the other tag.
 *
 * Between the two walks every folio is locked and off the LRU, so that nobody maps it for the first time,
 * migrates, splits, reclaims or frees it. It may lose mappings, ours too: the second walk looks again.
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/rmap.h>

#include "chargehand.h"

enum {
	TAKE_GO_ON = 0,
	TAKE_STOP = 1, /* the chunk is full; come back to this address */
};

/* What the walk found at one place. */
struct spot {
	struct page *page;
	unsigned long addr;
	unsigned int mapped; /* page table entries, one after the other; 0: a PMD */
	unsigned int total;  /* with those that follow after a gap, of the same folio */
};

static unsigned long spot_bytes(const struct spot *spot)
{
	return spot->mapped ? spot->mapped * PAGE_SIZE : HPAGE_PMD_SIZE;
}

static int left(struct chargehand_batch *batch, const struct spot *spot, unsigned int reason)
{
	batch->left_bytes[reason] += spot_bytes(spot);
	return TAKE_GO_ON;
}

/* Whose is it? True if it is `from`'s; else it has been counted. */
static bool is_ours(struct chargehand_batch *batch, struct folio *folio, const struct spot *spot, int *stop)
{
	struct mem_cgroup *memcg;
	bool ours = false;

	if (batch->from_tags)
		return folio->memcg_data == batch->from_tags[folio_nid(folio)];
	rcu_read_lock();
	memcg = chargehand_folio_memcg(folio);
	if (!batch->from) {
		if (memcg && chargehand_memcg_id(memcg) == batch->from_id && css_tryget(&memcg->css)) {
			batch->from = memcg;
			*stop = TAKE_STOP;
		}
	} else if (memcg == batch->from) {
		ours = true;
	} else if (memcg == batch->to) {
		batch->already_bytes += spot_bytes(spot);
	} else if (memcg) {
		batch->elsewhere_bytes += spot_bytes(spot);
	}
	rcu_read_unlock();
	return ours;
}

/* References of a large folio that are not accounted for by the mappings seen; for dry runs, where nothing
 * is locked. */
static bool has_other_refs(struct folio *folio, const struct spot *spot)
{
	int expected = spot->mapped ? spot->total : 1;

	if (!folio_test_large(folio))
		return false;
	if (!folio_test_anon(folio))
		return spot->mapped &&
		       folio_ref_count(folio) > expected + folio_nr_pages(folio) + folio_has_private(folio);
	return folio_ref_count(folio) > expected;
}

/* Why it cannot be moved, as far as that can be seen without its lock; < 0: it can. */
static int why_left(struct chargehand_batch *batch, struct folio *folio, const struct spot *spot, u32 kind,
		    bool shared)
{
	bool anon = folio_test_anon(folio);

	switch (kind) {
	case CHARGEHAND_KIND_KSM:
		return CHARGEHAND_LEFT_KSM;
	case CHARGEHAND_KIND_OTHER:
	case CHARGEHAND_KIND_HUGETLB:
		return CHARGEHAND_LEFT_OTHER;
	}
	if (!(batch->kinds & CHARGEHAND_KIND_BIT(kind)))
		return CHARGEHAND_LEFT_NOT_ASKED;
	if (folio_test_hwpoison(folio) || folio->memcg_data & CHARGEHAND_TAG_FLAGS)
		return CHARGEHAND_LEFT_OTHER;
	if (shared && (!(batch->flags & CHARGEHAND_MOVE_SHARED) || (anon && folio_test_large(folio))))
		return CHARGEHAND_LEFT_SHARED;
	if (kind == CHARGEHAND_KIND_FILE && folio_test_dirty(folio))
		return CHARGEHAND_LEFT_DIRTY;
	if (!batch->retag && has_other_refs(folio, spot))
		return spot->mapped ? CHARGEHAND_LEFT_LARGE : CHARGEHAND_LEFT_PINNED;
	return batch->no_room ? CHARGEHAND_LEFT_NO_ROOM : -1;
}

/* True if it carries the new tag now, and is unlocked; else *reason. */
static bool move_item(struct chargehand_batch *batch, struct chargehand_item *item, int *reason)
{
	struct folio *folio = item->folio;
	int r = chargehand_retag_folio(batch->retag, item);

	if (r < 0) {
		*reason = -1 - r;
		return false;
	}
	item->state = CHARGEHAND_ITEM_MOVED;
	batch->moved_bytes[item->kind] += folio_size(folio);
	batch->moved += folio_nr_pages(folio);
	if (item->counted)
		batch->counted += folio_nr_pages(folio);
	if (!item->alone && (item->shared || !folio_test_anon(folio)))
		batch->wait = true;
	folio_unlock(folio);
	return true;
}

static int note_item(struct chargehand_batch *batch, const struct chargehand_item *item)
{
	unsigned long bytes = folio_size(item->folio) - item->first * PAGE_SIZE;

	return batch->note ? batch->note(batch->userdata, item->addr, item->addr + bytes) : 0;
}

/*
 * Is all that refers to a folio the mappings here, the caches it is in, and us? Whoever takes a mapping away,
 * or ends writeback, gives its reference back when the statistics are written, so nobody is still at it; and
 * nobody else can map it but by its lock. No grace period is needed then.
 */
static bool is_alone(const struct chargehand_item *item)
{
	struct folio *folio = item->folio;
	int expected = (item->mapped ? item->mapped : 1) + 1;

	if (folio_test_swapcache(folio))
		return false;
	if (!folio_test_anon(folio))
		expected += folio_nr_pages(folio) + folio_has_private(folio);
	return folio_ref_count(folio) == expected;
}

/* A folio that has been locked and taken off the LRU. */
static int add_item(struct chargehand_batch *batch, struct chargehand_item item)
{
	int reason;

	batch->items[batch->n_items] = item;
	batch->taken += folio_nr_pages(item.folio);
	if (item.alone && move_item(batch, &batch->items[batch->n_items], &reason))
		return note_item(batch, &batch->items[batch->n_items++]);
	batch->items[batch->n_items++].alone = false;
	batch->n_waiting++;
	return 0;
}

static int take_folio(struct chargehand_batch *batch, const struct spot *spot)
{
	struct folio *folio = page_folio(spot->page);
	u32 kind = chargehand_kind_of(folio, !spot->mapped);
	bool shared = chargehand_page_shared(spot->page, !spot->mapped);
	int stop = TAKE_GO_ON, reason;
	struct chargehand_item item;

	/* What follows after a gap in a folio that has been taken already. */
	if (batch->n_items && batch->items[batch->n_items - 1].folio == folio)
		return TAKE_GO_ON;
	if (!is_ours(batch, folio, spot, &stop))
		return stop;
	reason = why_left(batch, folio, spot, kind, shared);
	if (reason >= 0)
		return left(batch, spot, reason);
	if (!batch->retag) {
		batch->moved_bytes[kind] += spot_bytes(spot);
		return TAKE_GO_ON;
	}
	if (batch->taken + folio_nr_pages(folio) > batch->budget) {
		batch->spent = true;
		return TAKE_STOP;
	}
	if (batch->n_items == batch->chunk || batch->taken + folio_nr_pages(folio) > batch->room) {
		/* A huge page may need more than there ever is; what is smaller may still fit. */
		if (!batch->n_items && !batch->full)
			return left(batch, spot, CHARGEHAND_LEFT_NO_ROOM);
		batch->full = batch->n_items < batch->chunk;
		return TAKE_STOP;
	}
	if (!folio_trylock(folio))
		return left(batch, spot, CHARGEHAND_LEFT_BUSY);
	/* Only now it stays what it is: KSM, other mappers, writeback and migration want the lock. */
	if (chargehand_kind_of(folio, !spot->mapped) != kind ||
	    chargehand_page_shared(spot->page, !spot->mapped) != shared ||
	    folio_test_writeback(folio) || !chargehand_isolate(folio)) {
		folio_unlock(folio);
		return left(batch, spot, CHARGEHAND_LEFT_BUSY);
	}
	item = (struct chargehand_item){
		.folio = folio,
		.tag = folio->memcg_data,
		.addr = spot->addr,
		.first = folio_page_idx(folio, spot->page),
		.mapped = spot->total,
		.kind = kind,
		.shared = shared,
	};
	item.alone = is_alone(&item);
	return add_item(batch, item);
}

static int take_swap(struct chargehand_batch *batch, swp_entry_t entry, unsigned long addr)
{
	bool asked = batch->kinds & CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SWAP);
	bool dry = !batch->retag || !asked;
	int r;

	if (!batch->from)
		return TAKE_GO_ON;
	r = chargehand_swap_move(entry, batch->from, batch->to, batch->forced, dry);
	if (r == 0 && !asked)
		batch->left_bytes[CHARGEHAND_LEFT_NOT_ASKED] += PAGE_SIZE;
	else if (r == 0)
		batch->moved_bytes[CHARGEHAND_KIND_SWAP] += PAGE_SIZE;
	else if (r == 1)
		batch->already_bytes += PAGE_SIZE;
	else if (r == -ENOENT)
		batch->elsewhere_bytes += PAGE_SIZE;
	else
		batch->left_bytes[-1 - r] += PAGE_SIZE;
	if (r == 0 && !dry && batch->note)
		return batch->note(batch->userdata, addr, addr + PAGE_SIZE);
	return TAKE_GO_ON;
}

/* The entries from here on that map the pages of the same folio in their order: how many there are, and how
 * many before the first gap. */
static void measure_large(struct spot *spot, pte_t *ptep, unsigned long addr, unsigned long end)
{
	struct folio *folio = page_folio(spot->page);
	unsigned long i, n = folio_nr_pages(folio) - folio_page_idx(folio, spot->page);

	n = min(n, (end - addr) >> PAGE_SHIFT);
	spot->total = 1;
	for (i = 1; i < n; i++) {
		pte_t pte = ptep_get(ptep + i);

		if (!pte_present(pte) || pte_pfn(pte) != page_to_pfn(spot->page) + i)
			continue;
		if (spot->mapped == i)
			spot->mapped++;
		spot->total++;
	}
}

/* Returns how many entries it has dealt with in *n. */
static int take_pte(struct chargehand_batch *batch, struct vm_area_struct *vma, pte_t *ptep, unsigned long addr,
		    unsigned long end, unsigned int *n)
{
	struct spot spot = { .addr = addr, .mapped = 1, .total = 1 };
	pte_t pte = ptep_get(ptep);
	swp_entry_t entry;

	*n = 1;
	if (pte_none(pte))
		return TAKE_GO_ON;
	if (!pte_present(pte)) {
		switch (chargehand_leaf_of(pte, &entry)) {
		case CHARGEHAND_LEAF_SWAP:
			return take_swap(batch, entry, addr);
		case CHARGEHAND_LEAF_MIGRATION:
			/* Whose it is nobody can tell now. */
			return left(batch, &spot, CHARGEHAND_LEFT_BUSY);
		default:
			return TAKE_GO_ON;
		}
	}
	spot.page = chargehand_call(vm_normal_page)(vma, addr, pte);
	if (!spot.page)
		return TAKE_GO_ON;
	if (folio_test_large(page_folio(spot.page)))
		measure_large(&spot, ptep, addr, end);
	*n = spot.mapped;
	return take_folio(batch, &spot);
}

static int take_ptes(struct chargehand_batch *batch, pmd_t *pmd, unsigned long addr, unsigned long end,
		     struct mm_walk *walk)
{
	int r = TAKE_GO_ON;
	unsigned int n;
	spinlock_t *ptl;
	pte_t *start, *pte;

	start = pte = chargehand_pte_lock(walk->mm, pmd, addr, &ptl);
	if (!pte)
		return TAKE_GO_ON; /* gone, or huge just now: the next pass sees it */
	for (; addr != end; addr += n * PAGE_SIZE, pte += n) {
		if (batch->n_looked >= batch->chunk) {
			r = TAKE_STOP;
			break;
		}
		r = take_pte(batch, walk->vma, pte, addr, end, &n);
		if (r)
			break;
		batch->n_looked += n;
	}
	batch->end = addr;
	pte_unmap_unlock(start, ptl);
	cond_resched();
	return r;
}

/* True if the PMD was a huge page; *r tells what came of it. */
static bool take_huge(struct chargehand_batch *batch, pmd_t *pmd, unsigned long addr, unsigned long end,
		      struct mm_walk *walk, int *r)
{
	struct spot spot = { .addr = addr };
	spinlock_t *ptl = pmd_lock(walk->mm, pmd);
	bool huge = pmd_present(*pmd) && pmd_trans_huge(*pmd);

	if (huge) {
		spot.page = pmd_page(*pmd);
		if (end - addr == HPAGE_PMD_SIZE)
			*r = take_folio(batch, &spot);
		else
			batch->left_bytes[CHARGEHAND_LEFT_LARGE] += end - addr;
		batch->n_looked++;
	} else if (!pmd_present(*pmd) && !pmd_none(*pmd)) {
		batch->left_bytes[CHARGEHAND_LEFT_BUSY] += end - addr;
		huge = true;
	}
	spin_unlock(ptl);
	return huge;
}

static int take_pmd(pmd_t *pmd, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	struct chargehand_batch *batch = walk->private;
	int r = TAKE_GO_ON;

	batch->end = addr;
	if (batch->n_looked >= batch->chunk)
		return TAKE_STOP;
	if (take_huge(batch, pmd, addr, end, walk, &r)) {
		walk->action = ACTION_CONTINUE;
		if (r == TAKE_GO_ON)
			batch->end = end;
		return r;
	}
	return take_ptes(batch, pmd, addr, end, walk);
}

/* Memory of devices, whose pages may be mapped without their lock, and hugetlb, which is not charged as memory. */
static int take_test(unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	if (walk->vma->vm_flags & (VM_PFNMAP | VM_IO | VM_MIXEDMAP | VM_HUGETLB))
		return 1;
	return vma_is_dax(walk->vma);
}

static const struct mm_walk_ops take_ops = {
	.pmd_entry = take_pmd,
	.test_walk = take_test,
	CHARGEHAND_WALK_READ_LOCKED
};

int chargehand_batch_take(struct chargehand_batch *batch, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	int r;

	mmap_assert_locked(batch->mm);
	batch->n_items = batch->n_waiting = batch->n_looked = batch->next_item = 0;
	batch->taken = batch->moved = batch->counted = 0;
	batch->full = batch->wait = batch->spent = false;
	batch->end = end;
	vma = find_vma(batch->mm, start);
	if (!vma || vma->vm_start >= end)
		return 0;
	start = max(start, vma->vm_start);
	end = min(end, start + CHARGEHAND_CHUNK_SPAN);
	batch->end = start;
	r = chargehand_call(walk_page_range)(batch->mm, start, end, &take_ops, batch);
	if (r == TAKE_GO_ON)
		batch->end = end;
	return min(r, 0);
}

/* Do as many entries still map what was taken? */
static bool same_ptes(pte_t *ptep, const struct chargehand_item *item)
{
	unsigned long pfn = folio_pfn(item->folio) + item->first;
	unsigned int i, n = folio_nr_pages(item->folio) - item->first, found = 0;

	/* The page table may end before the folio does. */
	n = min_t(unsigned int, n, PTRS_PER_PTE - pte_index(item->addr));
	for (i = 0; i < n && found < item->mapped; i++) {
		pte_t pte = ptep_get(ptep + i);

		if (pte_present(pte) && pte_pfn(pte) == pfn + i)
			found++;
		else if (!i)
			return false;
	}
	return found == item->mapped;
}

static int commit_item(struct chargehand_batch *batch, struct chargehand_item *item, bool same)
{
	int reason = CHARGEHAND_LEFT_BUSY;

	if (same && move_item(batch, item, &reason))
		return note_item(batch, item);
	item->state = CHARGEHAND_ITEM_KEPT;
	batch->left_bytes[reason] += folio_size(item->folio);
	return 0;
}

/* The next one below that address that still waits. */
static struct chargehand_item *item_before(struct chargehand_batch *batch, unsigned long end)
{
	while (batch->next_item < batch->n_items &&
	       batch->items[batch->next_item].state != CHARGEHAND_ITEM_TAKEN)
		batch->next_item++;
	if (batch->next_item == batch->n_items || batch->items[batch->next_item].addr >= end)
		return NULL;
	return &batch->items[batch->next_item++];
}

static int commit_huge(struct chargehand_batch *batch, pmd_t *pmd, struct chargehand_item *item,
		       struct mm_walk *walk)
{
	spinlock_t *ptl = pmd_lock(walk->mm, pmd);
	bool same = pmd_present(*pmd) && pmd_trans_huge(*pmd) && pmd_pfn(*pmd) == folio_pfn(item->folio);
	int r = commit_item(batch, item, same);

	spin_unlock(ptl);
	return r;
}

static int commit_pmd(pmd_t *pmd, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	struct chargehand_batch *batch = walk->private;
	struct chargehand_item *item;
	spinlock_t *ptl;
	pte_t *pte;
	int r = 0;

	walk->action = ACTION_CONTINUE;
	/* Of places that have no page tables any more. */
	while ((item = item_before(batch, addr)))
		commit_item(batch, item, false);
	if (batch->next_item == batch->n_items)
		return TAKE_STOP;
	item = item_before(batch, end);
	if (!item)
		return 0;
	if (!item->mapped)
		return commit_huge(batch, pmd, item, walk);
	pte = chargehand_pte_lock(walk->mm, pmd, addr, &ptl);
	for (; item && !r; item = item_before(batch, end))
		r = commit_item(batch, item, pte && same_ptes(pte + ((item->addr - addr) >> PAGE_SHIFT), item));
	if (pte)
		pte_unmap_unlock(pte, ptl);
	cond_resched();
	return r;
}

static const struct mm_walk_ops commit_ops = {
	.pmd_entry = commit_pmd,
	.test_walk = take_test,
	CHARGEHAND_WALK_READ_LOCKED
};

int chargehand_batch_commit(struct chargehand_batch *batch)
{
	unsigned int last = batch->n_items - 1;
	int r;

	mmap_assert_locked(batch->mm);
	if (!batch->n_waiting)
		return 0;
	r = chargehand_call(walk_page_range)(batch->mm, batch->items[0].addr,
					     PAGE_ALIGN(batch->items[last].addr + 1), &commit_ops, batch);
	return min(r, 0);
}

void chargehand_batch_release(struct chargehand_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->n_items; i++) {
		struct chargehand_item *item = &batch->items[i];

		if (item->state == CHARGEHAND_ITEM_TAKEN)
			batch->left_bytes[CHARGEHAND_LEFT_BUSY] += folio_size(item->folio);
		if (item->state != CHARGEHAND_ITEM_MOVED)
			folio_unlock(item->folio);
		chargehand_call(folio_putback_lru)(item->folio);
	}
	batch->n_items = 0;
}
