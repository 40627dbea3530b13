// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swapped pages: the record that names the group which pays.
 *
 * On 6.1 and 6.12 the record is an id beside the swap map. While an entry is in a page table that we hold
 * the lock of it cannot be freed, so its record changes only by our own hand. On 7.2 the record is inside
 * the swap table, behind private locks and layouts: it is not touched there, and cannot be read.
 */

#include "chargehand.h"

#if CHARGEHAND_SWAP_RECORDS

/* Two moves of one entry, by way of two page tables that share it. */
static DEFINE_SPINLOCK(record_lock);

/*
 * The kernel gives back the records of a large folio in the swap cache all at once, by the name in the
 * first: they go together or stay. A large folio comes into the swap cache before any page table has its
 * entries, so that who finds none under the lock of the page table will find none.
 */
static bool is_of_large_folio(swp_entry_t entry)
{
	struct folio *folio = chargehand_call(swap_cache_get_folio)(entry, NULL, 0);
	bool large;

	if (IS_ERR_OR_NULL(folio))
		return false;
	large = folio_test_large(folio);
	folio_put(folio);
	return large;
}

/* The counter is charged already. A record holds a reference to the id, which must not be dead. */
static int record_move(swp_entry_t entry, struct mem_cgroup *from, struct mem_cgroup *to)
{
	int r = -1 - CHARGEHAND_LEFT_SWAP;

	spin_lock(&record_lock);
	if (chargehand_call(lookup_swap_cgroup_id)(entry) == from->id.id && refcount_inc_not_zero(&to->id.ref)) {
		/* Whoever reads the page in between these two, by readahead, finds no name, and pays himself. */
		chargehand_call(__mem_cgroup_uncharge_swap)(entry, 1);
		chargehand_call(swap_cgroup_record)(entry, to->id.id, 1);
		chargehand_mod_swap(to, 1);
		r = 0;
	}
	spin_unlock(&record_lock);
	return r;
}

int chargehand_swap_move(swp_entry_t entry, struct mem_cgroup *from, struct mem_cgroup *to, bool forced, bool dry)
{
	bool counts = !chargehand_memcg_is_root(to);
	struct page_counter *full;
	unsigned short id;
	int r;

	if (!chargehand_knows_swap())
		return -1 - CHARGEHAND_LEFT_SWAP;
	id = chargehand_call(lookup_swap_cgroup_id)(entry);
	if (id && id == to->id.id)
		return 1;
	if (!id || id != from->id.id)
		return -ENOENT;
	if (!(chargehand_move_kinds() & CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SWAP)))
		return -1 - CHARGEHAND_LEFT_SWAP;
	if (is_of_large_folio(entry))
		return -1 - CHARGEHAND_LEFT_SWAP;
	if (dry)
		return 0;
	if (counts && forced)
		chargehand_call(page_counter_charge)(&to->swap, 1);
	else if (counts && !chargehand_call(page_counter_try_charge)(&to->swap, 1, &full))
		return -1 - CHARGEHAND_LEFT_SWAP;
	r = record_move(entry, from, to);
	if (r < 0 && counts)
		chargehand_call(page_counter_uncharge)(&to->swap, 1);
	return r;
}

u64 chargehand_swap_group(swp_entry_t entry, bool *known, bool *dying)
{
	struct mem_cgroup *memcg;
	unsigned short id;
	u64 group = 0;

	*known = chargehand_knows_swap();
	*dying = false;
	if (!*known)
		return 0;
	id = chargehand_call(lookup_swap_cgroup_id)(entry);
	rcu_read_lock();
	memcg = id ? chargehand_call(mem_cgroup_from_id)(id) : NULL;
	if (memcg) {
		group = chargehand_memcg_id(memcg);
		*dying = !chargehand_memcg_is_online(memcg);
	}
	rcu_read_unlock();
	return group;
}

#else

int chargehand_swap_move(swp_entry_t entry, struct mem_cgroup *from, struct mem_cgroup *to, bool forced, bool dry)
{
	return -1 - CHARGEHAND_LEFT_SWAP;
}

u64 chargehand_swap_group(swp_entry_t entry, bool *known, bool *dying)
{
	*known = *dying = false;
	return 0;
}

#endif
