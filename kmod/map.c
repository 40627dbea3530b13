// SPDX-License-Identifier: GPL-2.0-only
/* MAP: walks the page tables of an address space and sums up by (group charged, kind). Only looks. */

#include <linux/ktime.h>
#include <linux/pagewalk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "compat-look.h"
#include "rows.h"
#include "session.h"

enum {
	ROWS_MAX = 65536, /* of the caller */
	CHUNK_ENTRIES = 16384,
	TABLE_ENTRIES = PTRS_PER_PTE,
};
#define CHUNK_BYTES (1UL << 30)

/* Numbers that may have been counted before: looked up when the locks are dropped. */
struct later {
	unsigned long first; /* page frame, or swp_entry_t */
	u32 n;
	u32 row;
};

struct look {
	struct chargehand_rows rows;
	struct chargehand_session *session; /* NULL: each mapping counts */
	struct later *later;		    /* CHUNK_ENTRIES, the session's */
	u32 n_later;
	u32 entries;			    /* of this chunk */
	unsigned long resume;		    /* where this chunk ended */
	u64 resident, lock_max_nsec;
	/* The last group met of each kind, and its row; only good inside one RCU read side. */
	struct {
		struct mem_cgroup *memcg;
		struct chargehand_map_row *row;
	} last[CHARGEHAND_KINDS];
	/* Most pages are small, anonymous, mapped here alone, and charged as the one before: so many were met
	 * since that one, and are on nobody's account yet. */
	unsigned long alike_tag; /* memcg_data; 0: none was met */
	struct chargehand_map_row *alike_row;
	u32 n_alike;
};

static void forget_last(struct look *look)
{
	memset(look->last, 0, sizeof(look->last));
	look->alike_tag = 0;
	look->n_alike = 0;
}

static bool is_plain(struct folio *folio)
{
	return !folio_test_large(folio) && folio_test_anon(folio) && !folio_test_ksm(folio) &&
	       !folio_is_zone_device(folio) && atomic_read(&folio->_mapcount) == 0;
}

/* Every entry comes here first, so this calls nothing. A special one may have no page. */
static bool is_alike(const struct look *look, pte_t pte)
{
	struct folio *folio;

	if (!look->alike_tag || !pte_present(pte) || pte_special(pte))
		return false;
	folio = page_folio(pfn_to_page(pte_pfn(pte)));
	return READ_ONCE(folio->memcg_data) == look->alike_tag && is_plain(folio);
}

/* From now on others may be like this one, which was counted. */
static void remember_alike(struct look *look, struct folio *folio, struct chargehand_map_row *row)
{
	if (!is_plain(folio))
		return;
	look->alike_tag = READ_ONCE(folio->memcg_data);
	look->alike_row = row;
}

static void count_alike(struct look *look)
{
	u64 bytes = (u64)look->n_alike << PAGE_SHIFT;

	if (!bytes)
		return;
	look->alike_row->bytes += bytes;
	look->alike_row->bytes_mapped += bytes;
	look->resident += bytes;
	look->n_alike = 0;
}

static void count(struct look *look, struct chargehand_map_row *row, unsigned long first, u32 n, u64 bytes,
		  bool shared)
{
	bool is_swap = row->kind == CHARGEHAND_KIND_SWAP;
	struct later *last;

	row->bytes_mapped += bytes;
	if (!is_swap)
		look->resident += bytes;
	if (!look->session || !shared) {
		row->bytes += bytes;
		/* whether a swap slot is shared is not to be seen */
		row->bytes_shared += shared && !is_swap ? bytes : 0;
		return;
	}
	last = look->n_later ? &look->later[look->n_later - 1] : NULL;
	if (last && last->row == row - look->rows.rows && last->first + last->n == first) {
		last->n += n;
		return;
	}
	look->later[look->n_later++] = (struct later){ .first = first, .n = n, .row = row - look->rows.rows };
}

/* A page mapped here; `page` is NULL for what is no page of the usual sort, such as the zero page. */
static void count_page(struct look *look, struct page *page, unsigned long pfn, unsigned long bytes,
		       bool pmd_mapped, bool shared)
{
	struct folio *folio = page ? page_folio(page) : NULL;
	struct mem_cgroup *memcg = folio ? chargehand_folio_memcg(folio) : NULL;
	u32 kind = folio ? chargehand_kind_of(folio, pmd_mapped) : CHARGEHAND_KIND_OTHER;

	if (!memcg && kind != CHARGEHAND_KIND_HUGETLB)
		kind = CHARGEHAND_KIND_OTHER;
	/* nobody counts the mappings of the zero page */
	if (kind == CHARGEHAND_KIND_OTHER)
		shared = true;
	if (!look->last[kind].row || look->last[kind].memcg != memcg) {
		u64 id = memcg ? chargehand_memcg_id(memcg) : 0;
		u32 flags = memcg && !chargehand_memcg_is_online(memcg) ? CHARGEHAND_ROW_DYING : 0;

		look->last[kind].memcg = memcg;
		look->last[kind].row = chargehand_rows_get(&look->rows, id, kind, flags);
	}
	count(look, look->last[kind].row, pfn, bytes >> PAGE_SHIFT, bytes, shared);
	if (kind == CHARGEHAND_KIND_ANON)
		remember_alike(look, folio, look->last[kind].row);
}

static void count_swap(struct look *look, swp_entry_t entry)
{
	bool known, dying;
	u64 id = chargehand_swap_group(entry, &known, &dying);
	u32 flags = (known ? 0 : CHARGEHAND_ROW_UNKNOWN) | (dying ? CHARGEHAND_ROW_DYING : 0);

	count(look, chargehand_rows_get(&look->rows, id, CHARGEHAND_KIND_SWAP, flags), entry.val, 1, PAGE_SIZE,
	      true);
}

static void count_entry(struct look *look, struct vm_area_struct *vma, unsigned long addr, pte_t pte)
{
	struct page *page;
	swp_entry_t entry;

	if (pte_present(pte)) {
		page = chargehand_call(vm_normal_page)(vma, addr, pte);
		count_page(look, page, pte_pfn(pte), PAGE_SIZE, false,
			   page && chargehand_page_shared(page, false));
		return;
	}
	switch (chargehand_leaf_of(pte, &entry)) {
	case CHARGEHAND_LEAF_SWAP:
		count_swap(look, entry);
		break;
	case CHARGEHAND_LEAF_MIGRATION:
		/* locked, and kept by whoever migrates it; how often it is mapped cannot be seen now */
		page = chargehand_leaf_page(entry);
		count_page(look, page, page_to_pfn(page), PAGE_SIZE, false, true);
		break;
	case CHARGEHAND_LEAF_OTHER:
		/* device memory, poison: the number stands for one page as well */
		count_page(look, NULL, swp_offset(entry), PAGE_SIZE, false, true);
		break;
	case CHARGEHAND_LEAF_NONE:
		break;
	}
}

/* Is the chunk over? Each step adds at most one page table: one row, one number to look up later per entry. */
static bool is_over(struct look *look, unsigned long addr)
{
	if (look->entries + TABLE_ENTRIES <= CHUNK_ENTRIES && look->rows.n + TABLE_ENTRIES <= look->rows.room)
		return false;
	look->resume = addr;
	return true;
}

/* A huge page, or one on its way. True if it was; false: look for a page table. */
static bool count_pmd(struct look *look, struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr,
		      unsigned long end)
{
	unsigned long pfn;
	struct page *page;
	spinlock_t *ptl;
	bool is_huge;

	/* without the lock first: most are page tables */
	if (!chargehand_pmd_is_leaf(READ_ONCE(*pmd)))
		return false;
	ptl = pmd_lock(vma->vm_mm, pmd);
	is_huge = chargehand_pmd_is_leaf(*pmd);
	if (is_huge) {
		rcu_read_lock();
		page = chargehand_pmd_page(*pmd);
		pfn = (page ? page_to_pfn(page) : pmd_pfn(*pmd)) + ((addr & ~PMD_MASK) >> PAGE_SHIFT);
		count_page(look, page, pfn, end - addr, true,
			   page && (!pmd_present(*pmd) || chargehand_page_shared(page, true)));
		rcu_read_unlock();
	}
	spin_unlock(ptl);
	return is_huge;
}

static int look_at_pmd(pmd_t *pmd, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	struct look *look = walk->private;
	pte_t *start, *pte;
	spinlock_t *ptl;

	if (is_over(look, addr))
		return 1;
	look->entries++;
	forget_last(look);
	if (count_pmd(look, walk->vma, pmd, addr, end))
		return 0;
	start = chargehand_pte_lock(walk->mm, pmd, addr, &ptl);
	if (!start) {
		/* empty by now; or became huge: the next call sees it */
		if (chargehand_pmd_is_leaf(READ_ONCE(*pmd)))
			walk->action = ACTION_AGAIN;
		return 0;
	}
	rcu_read_lock();
	look->entries += (end - addr) >> PAGE_SHIFT;
	for (pte = start; addr < end; pte++, addr += PAGE_SIZE) {
		pte_t value = ptep_get(pte);

		if (is_alike(look, value)) {
			look->n_alike++;
		} else if (!pte_none(value)) {
			count_alike(look);
			count_entry(look, walk->vma, addr, value);
		}
	}
	count_alike(look);
	rcu_read_unlock();
	pte_unmap_unlock(start, ptl);
	return 0;
}

static int look_at_hugetlb(pte_t *pte, unsigned long hmask, unsigned long addr, unsigned long end,
			   struct mm_walk *walk)
{
	struct look *look = walk->private;
	struct page *page;
	spinlock_t *ptl;
	pte_t value;

	if (is_over(look, addr))
		return 1;
	look->entries++;
	forget_last(look);
	ptl = huge_pte_lock(hstate_vma(walk->vma), walk->mm, pte);
	value = chargehand_huge_pte(walk->mm, addr, pte);
	if (pte_present(value)) {
		page = compound_head(pte_page(value));
		rcu_read_lock();
		count_page(look, page, pte_pfn(value) + ((addr & ~hmask) >> PAGE_SHIFT), end - addr, true,
			   chargehand_page_shared(page, true));
		rcu_read_unlock();
	}
	spin_unlock(ptl);
	return 0;
}

static const struct mm_walk_ops look_ops = {
	.pmd_entry = look_at_pmd,
	.hugetlb_entry = look_at_hugetlb,
	CHARGEHAND_WALK_READ_LOCKED
};

/* What was met in this chunk and may have been met before. */
static int count_later(struct look *look)
{
	u32 i;

	for (i = 0; i < look->n_later; i++) {
		const struct later *later = &look->later[i];
		struct chargehand_map_row *row = &look->rows.rows[later->row];
		bool is_swap = row->kind == CHARGEHAND_KIND_SWAP;
		long added = chargehand_set_add(is_swap ? &look->session->slots : &look->session->pages,
						later->first, later->n);

		if (added < 0)
			return added;
		row->bytes += (u64)added << PAGE_SHIFT;
		row->bytes_shared += is_swap ? 0 : (u64)added << PAGE_SHIFT;
	}
	look->n_later = 0;
	return 0;
}

/* From *at on, as far as one hold of mmap_lock goes. */
static int look_at_chunk(struct look *look, struct mm_struct *mm, unsigned long *at, unsigned long end)
{
	struct vm_area_struct *vma;
	u64 begin;
	int ret = 0;

	ret = chargehand_rows_reserve(&look->rows, 2 * TABLE_ENTRIES);
	if (ret < 0)
		return ret;
	look->entries = 0;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	begin = ktime_get_ns();
	/* what is not mapped may be 47 bits wide: step over it */
	vma = find_vma(mm, *at);
	look->resume = end;
	if (vma && vma->vm_start < end) {
		*at = max(*at, vma->vm_start);
		look->resume = min(end, *at + CHUNK_BYTES);
		ret = chargehand_call(walk_page_range)(mm, *at, look->resume, &look_ops, look);
	}
	mmap_read_unlock(mm);
	look->lock_max_nsec = max(look->lock_max_nsec, ktime_get_ns() - begin);
	*at = look->resume;
	return ret < 0 ? ret : count_later(look);
}

static int look_at_range(struct look *look, struct mm_struct *mm, unsigned long at, unsigned long end)
{
	int ret;

	while (at < end) {
		ret = look_at_chunk(look, mm, &at, end);
		if (ret < 0)
			return ret;
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int look_at_mm(struct look *look, const struct chargehand_map *map)
{
	struct chargehand_range *ranges;
	struct mm_struct *mm;
	u32 i;
	int ret;

	ret = chargehand_ranges_get(map->ranges, map->n_ranges, &ranges);
	if (ret < 0)
		return ret;
	ret = chargehand_mm_get(map->pidfd, &mm);
	if (ret < 0)
		goto out;
	if (!ranges)
		ret = look_at_range(look, mm, 0, TASK_SIZE_MAX);
	for (i = 0; i < map->n_ranges && !ret; i++)
		ret = look_at_range(look, mm, ranges[i].start, ranges[i].end);
	mmput(mm);
out:
	kvfree(ranges);
	return ret;
}

static long map_with(struct look *look, struct chargehand_map *map, void __user *arg)
{
	u32 room = map->n_rows;
	int ret;

	ret = look_at_mm(look, map);
	if (ret < 0)
		return ret;
	map->n_rows = look->rows.n;
	map->resident = look->resident;
	map->lock_max_nsec = look->lock_max_nsec;
	if (look->rows.n <= room &&
	    copy_to_user(u64_to_user_ptr(map->rows), look->rows.rows, look->rows.n * sizeof(*look->rows.rows)))
		return -EFAULT;
	ret = chargehand_struct_out(arg, map, sizeof(*map));
	if (ret < 0)
		return ret;
	return look->rows.n <= room ? 0 : -ENOSPC;
}

static long map_unique(struct look *look, struct chargehand_session *session, struct chargehand_map *map,
		       void __user *arg)
{
	long ret;

	if (mutex_lock_interruptible(&session->lock))
		return -EINTR;
	/* kept for the next call: a job may have thousands of processes */
	if (!session->scratch)
		session->scratch = kvmalloc_array(CHUNK_ENTRIES, sizeof(*look->later), GFP_KERNEL_ACCOUNT);
	if (!session->scratch) {
		ret = -ENOMEM;
		goto out;
	}
	look->session = session;
	look->later = session->scratch;
	if (!(map->flags & CHARGEHAND_MAP_CONTINUE))
		chargehand_session_forget(session);
	ret = map_with(look, map, arg);
	/* a call that failed told nothing: the pages it saw are still to be counted */
	chargehand_session_settle(session, ret == 0);
out:
	mutex_unlock(&session->lock);
	return ret;
}

long chargehand_map(struct chargehand_session *session, void __user *arg)
{
	struct chargehand_map map;
	struct look *look;
	long ret;

	ret = chargehand_struct_in(&map, sizeof(map), CHARGEHAND_MAP_SIZE_VER0, arg);
	if (ret < 0)
		return ret;
	if (map.flags & ~CHARGEHAND_MAP_FLAGS || map.reserved || map.n_rows > ROWS_MAX ||
	    (map.flags & CHARGEHAND_MAP_FLAGS) == CHARGEHAND_MAP_CONTINUE)
		return -EINVAL;
	look = kzalloc(sizeof(*look), GFP_KERNEL_ACCOUNT);
	if (!look)
		return -ENOMEM;
	ret = map.flags & CHARGEHAND_MAP_UNIQUE ? map_unique(look, session, &map, arg)
						: map_with(look, &map, arg);
	chargehand_rows_done(&look->rows);
	kfree(look);
	return ret;
}
