/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_COMPAT_CALLS_H
#define CHARGEHAND_COMPAT_CALLS_H

/* The part of compat.h that calls private functions: one name for what each kernel calls its own way. */

#include "symbols.h"

/* Take a folio off the LRU, with a reference. */
static inline bool chargehand_isolate(struct folio *folio)
{
#if CHARGEHAND_KERNEL == 601
	return !chargehand_call(folio_isolate_lru)(folio);
#else
	return chargehand_call(folio_isolate_lru)(folio);
#endif
}

/* Lock the page table below a PMD; NULL: there is none (any more), or it is a huge page. */
static inline pte_t *chargehand_pte_lock(struct mm_struct *mm, pmd_t *pmd, unsigned long addr,
					 spinlock_t **ptl)
{
#if CHARGEHAND_KERNEL == 601
	/* What was a page table once stays one while mmap_lock is held; pmd_trans_unstable() is not to be had. */
	pmd_t value = READ_ONCE(*pmd);

	if (!pmd_present(value) || pmd_leaf(value) || pmd_bad(value))
		return NULL;
	return pte_offset_map_lock(mm, pmd, addr, ptl);
#elif CHARGEHAND_KERNEL == 612
	return chargehand_call(__pte_offset_map_lock)(mm, pmd, addr, ptl);
#else
	return chargehand_call(pte_offset_map_lock)(mm, pmd, addr, ptl);
#endif
}

/* Counters of the node and of the group. */
static inline void chargehand_mod_lruvec(struct lruvec *lruvec, enum node_stat_item item, long pages)
{
#if CHARGEHAND_KERNEL == 702
	chargehand_call(mod_lruvec_state)(lruvec, item, pages);
#else
	unsigned long flags;

	local_irq_save(flags);
	chargehand_call(__mod_lruvec_state)(lruvec, item, pages);
	local_irq_restore(flags);
#endif
}

#if CHARGEHAND_SWAP_RECORDS
static inline void chargehand_mod_swap(struct mem_cgroup *memcg, int pages)
{
	unsigned long flags;

	local_irq_save(flags);
	chargehand_call(__mod_memcg_state)(memcg, MEMCG_SWAP, pages);
	local_irq_restore(flags);
}
#endif

/* Items that a kernel keeps per group beyond those of all. */
#if CHARGEHAND_KERNEL == 601
#define CHARGEHAND_PMDMAPPED_PER_MEMCG 1
#else
#define CHARGEHAND_PMDMAPPED_PER_MEMCG 0
#endif

/*
 * What is stored in folio->memcg_data: 6.1 and 6.12 the memory cgroup, with a reference to its css a folio;
 * 7.2 the object cgroup of the folio's node, likewise.
 */
#if CHARGEHAND_KERNEL == 702
static inline unsigned long chargehand_tag_get(struct mem_cgroup *memcg, int nid)
{
	struct obj_cgroup *objcg;

	rcu_read_lock();
	objcg = rcu_dereference(memcg->nodeinfo[nid]->objcg);
	if (objcg && !obj_cgroup_tryget(objcg))
		objcg = NULL;
	rcu_read_unlock();
	return (unsigned long)objcg;
}

static inline void chargehand_tag_get_more(unsigned long tag, unsigned int n)
{
	obj_cgroup_get_many((struct obj_cgroup *)tag, n);
}

static inline void chargehand_tag_put(unsigned long tag)
{
	obj_cgroup_put((struct obj_cgroup *)tag);
}

/* Does memory with this tag count in page counters? That of the root does not. */
static inline bool chargehand_tag_is_counted(unsigned long tag)
{
	return !obj_cgroup_is_root((struct obj_cgroup *)tag);
}
#else
static inline unsigned long chargehand_tag_get(struct mem_cgroup *memcg, int nid)
{
	css_get(&memcg->css);
	return (unsigned long)memcg;
}

static inline void chargehand_tag_get_more(unsigned long tag, unsigned int n)
{
	css_get_many(&((struct mem_cgroup *)tag)->css, n);
}

static inline void chargehand_tag_put(unsigned long tag)
{
	css_put(&((struct mem_cgroup *)tag)->css);
}

static inline bool chargehand_tag_is_counted(unsigned long tag)
{
	return ((struct mem_cgroup *)tag)->css.parent;
}
#endif

/*
 * Take an anonymous large folio off its group's queue of those to be split, while its references are
 * frozen; *partly: what chargehand_requeue() must know. True if it was on it.
 */
static inline bool chargehand_unqueue(struct folio *folio, bool *partly)
{
#if CHARGEHAND_KERNEL == 601
	struct list_head *link = page_deferred_list(&folio->page);
	struct deferred_split *queue = &folio_memcg(folio)->deferred_split_queue;
	unsigned long flags;
	bool was;

	*partly = true;
	spin_lock_irqsave(&queue->split_queue_lock, flags);
	was = !list_empty(link);
	if (was) {
		list_del_init(link);
		queue->split_queue_len--;
	}
	spin_unlock_irqrestore(&queue->split_queue_lock, flags);
	return was;
#else
	*partly = folio_test_partially_mapped(folio);
	return chargehand_call(__folio_unqueue_deferred_split)(folio);
#endif
}

static inline void chargehand_requeue(struct folio *folio, bool partly)
{
#if CHARGEHAND_KERNEL == 601
	chargehand_call(deferred_split_huge_page)(&folio->page);
#else
	chargehand_call(deferred_split_folio)(folio, partly);
#endif
}

/* Is it worth asking? Folios of order 1 have no room for the link; 6.1 has none but of huge page size. */
static inline bool chargehand_has_queue(struct folio *folio)
{
	return folio_order(folio) > 1;
}

/*
 * 7.2 keeps the queue as a list_lru, whose lists a group gets when the first huge page is charged to it;
 * without them removing the group later warns. `folio` is a page of our own that carries the tag.
 */
static inline int chargehand_alloc_queue(struct folio *folio)
{
#if CHARGEHAND_KERNEL == 702
	return chargehand_call(folio_memcg_alloc_deferred)(folio);
#else
	return 0;
#endif
}

#endif
