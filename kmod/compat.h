/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_COMPAT_H
#define CHARGEHAND_COMPAT_H

/*
 * All that differs between the kernels that were reviewed, and nothing else; no other file looks at a
 * version. docs/kmod.md says how a new kernel is reviewed.
 */

#include <linux/mm.h>
#include <linux/memcontrol.h>
#include <linux/pagewalk.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/version.h>

/* The windows: Debian's 6.1, 6.12 and 7.2. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define CHARGEHAND_KERNEL 601
#define CHARGEHAND_RELEASE "6.1"
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define CHARGEHAND_KERNEL 612
#define CHARGEHAND_RELEASE "6.12"
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define CHARGEHAND_KERNEL 702
#define CHARGEHAND_RELEASE "7.2"
#include <linux/leafops.h>
#else
#error "chargehand: this kernel was not reviewed (6.1, 6.12, 7.2 were); see docs/kmod.md"
#endif

#if !IS_ENABLED(CONFIG_MEMCG) || !IS_ENABLED(CONFIG_X86_64)
#error "chargehand: wants x86-64 with CONFIG_MEMCG"
#endif
#if IS_ENABLED(CONFIG_PREEMPT_RT) || IS_ENABLED(CONFIG_NO_PAGE_MAPCOUNT) || IS_ENABLED(CONFIG_RANDSTRUCT_FULL)
#error "chargehand: not reviewed for PREEMPT_RT, NO_PAGE_MAPCOUNT, RANDSTRUCT; see docs/kmod.md"
#endif

/*
 * Private functions: X(use, return type, name, arguments, prototype as BTF tells it).
 * use: LOOK, MOVE or SWAP, enum chargehand_use in symbols.h.
 */
#define CHARGEHAND_SYMBOLS_COMMON(X)                                                               \
	X(LOOK, int, walk_page_range,                                                              \
	  (struct mm_struct *mm, unsigned long start, unsigned long end,                           \
	   const struct mm_walk_ops *ops, void *private),                                          \
	  "int (struct mm_struct *, unsigned long, unsigned long, const struct mm_walk_ops *, void *)") \
	X(LOOK, struct page *, vm_normal_page,                                                     \
	  (struct vm_area_struct *vma, unsigned long addr, pte_t pte),                             \
	  "struct page * (struct vm_area_struct *, unsigned long, pte_t)")                         \
	X(LOOK, struct pid *, pidfd_get_pid, (unsigned int fd, unsigned int *flags),               \
	  "struct pid * (unsigned int, unsigned int *)")                                           \
	X(MOVE, void, folio_putback_lru, (struct folio *folio), "void (struct folio *)")           \
	X(MOVE, void, lru_add_drain_all, (void), "void (void)")                                    \
	X(MOVE, bool, page_counter_try_charge,                                                     \
	  (struct page_counter *counter, unsigned long nr_pages, struct page_counter **fail),      \
	  "bool (struct page_counter *, unsigned long, struct page_counter **)")                   \
	X(MOVE, void, page_counter_charge, (struct page_counter *counter, unsigned long nr_pages), \
	  "void (struct page_counter *, unsigned long)")                                           \
	X(MOVE, void, page_counter_uncharge, (struct page_counter *counter, unsigned long nr_pages), \
	  "void (struct page_counter *, unsigned long)")                                           \
	X(MOVE, bool, folio_free_swap, (struct folio *folio), "bool (struct folio *)")

#if CHARGEHAND_KERNEL == 601
#define CHARGEHAND_SYMBOLS_KERNEL(X)                                                               \
	X(MOVE, int, folio_isolate_lru, (struct folio *folio), "int (struct folio *)")             \
	X(MOVE, void, __mod_lruvec_state,                                                          \
	  (struct lruvec *lruvec, enum node_stat_item idx, int val),                               \
	  "void (struct lruvec *, enum node_stat_item, int)")                                      \
	X(MOVE, void, deferred_split_huge_page, (struct page *page), "void (struct page *)")       \
	X(SWAP, void, __mod_memcg_state, (struct mem_cgroup *memcg, int idx, int val),             \
	  "void (struct mem_cgroup *, int, int)")                                                  \
	CHARGEHAND_SYMBOLS_SWAP_RECORD(X)
#elif CHARGEHAND_KERNEL == 612
#define CHARGEHAND_SYMBOLS_KERNEL(X)                                                               \
	X(LOOK, pte_t *, __pte_offset_map_lock,                                                    \
	  (struct mm_struct *mm, pmd_t *pmd, unsigned long addr, spinlock_t **ptlp),               \
	  "pte_t * (struct mm_struct *, pmd_t *, unsigned long, spinlock_t **)")                   \
	X(MOVE, bool, folio_isolate_lru, (struct folio *folio), "bool (struct folio *)")           \
	X(MOVE, void, __mod_lruvec_state,                                                          \
	  (struct lruvec *lruvec, enum node_stat_item idx, int val),                               \
	  "void (struct lruvec *, enum node_stat_item, int)")                                      \
	X(MOVE, bool, __folio_unqueue_deferred_split, (struct folio *folio), "bool (struct folio *)") \
	X(MOVE, void, deferred_split_folio, (struct folio *folio, bool partially_mapped),          \
	  "void (struct folio *, bool)")                                                           \
	X(SWAP, void, __mod_memcg_state,                                                           \
	  (struct mem_cgroup *memcg, enum memcg_stat_item idx, int val),                           \
	  "void (struct mem_cgroup *, enum memcg_stat_item, int)")                                 \
	CHARGEHAND_SYMBOLS_SWAP_RECORD(X)
#else
#define CHARGEHAND_SYMBOLS_KERNEL(X)                                                               \
	X(LOOK, pte_t *, pte_offset_map_lock,                                                      \
	  (struct mm_struct *mm, pmd_t *pmd, unsigned long addr, spinlock_t **ptlp),               \
	  "pte_t * (struct mm_struct *, pmd_t *, unsigned long, spinlock_t **)")                   \
	X(MOVE, bool, folio_isolate_lru, (struct folio *folio), "bool (struct folio *)")           \
	X(MOVE, void, mod_lruvec_state,                                                            \
	  (struct lruvec *lruvec, enum node_stat_item idx, int val),                               \
	  "void (struct lruvec *, enum node_stat_item, int)")                                      \
	X(MOVE, bool, __folio_unqueue_deferred_split, (struct folio *folio), "bool (struct folio *)") \
	X(MOVE, void, deferred_split_folio, (struct folio *folio, bool partially_mapped),          \
	  "void (struct folio *, bool)")                                                           \
	X(MOVE, int, folio_memcg_alloc_deferred, (struct folio *folio), "int (struct folio *)")
#endif

#define CHARGEHAND_SYMBOLS_SWAP_RECORD(X)                                                          \
	X(SWAP, unsigned short, lookup_swap_cgroup_id, (swp_entry_t ent),                          \
	  "unsigned short (swp_entry_t)")                                                          \
	X(SWAP, unsigned short, swap_cgroup_record,                                                \
	  (swp_entry_t ent, unsigned short id, unsigned int nr_ents),                              \
	  "unsigned short (swp_entry_t, unsigned short, unsigned int)")                            \
	X(SWAP, struct folio *, swap_cache_get_folio,                                              \
	  (swp_entry_t entry, struct vm_area_struct *vma, unsigned long addr),                     \
	  "struct folio * (swp_entry_t, struct vm_area_struct *, unsigned long)")                  \
	X(SWAP, void, __mem_cgroup_uncharge_swap, (swp_entry_t entry, unsigned int nr_pages),      \
	  "void (swp_entry_t, unsigned int)")                                                      \
	X(SWAP, struct mem_cgroup *, mem_cgroup_from_id, (unsigned short id),                      \
	  "struct mem_cgroup * (unsigned short)")

#define CHARGEHAND_SYMBOLS(X) CHARGEHAND_SYMBOLS_COMMON(X) CHARGEHAND_SYMBOLS_KERNEL(X)

/*
 * Layouts that the code relies on: X(use, type, member). gate.c compares what this module was compiled with
 * (offsetof, sizeof) with the kernel's BTF.
 */
#define CHARGEHAND_MEMBERS_COMMON(X)                                                               \
	X(LOOK, mem_cgroup, css)                                                                   \
	X(LOOK, cgroup_subsys_state, cgroup)                                                       \
	X(LOOK, cgroup_subsys_state, flags)                                                        \
	X(LOOK, cgroup_subsys_state, refcnt)                                                       \
	X(LOOK, cgroup_subsys_state, parent)                                                       \
	X(LOOK, cgroup, kn)                                                                        \
	X(LOOK, kernfs_node, id)                                                                   \
	X(MOVE, mem_cgroup, memory)                                                                \
	X(MOVE, page_counter, usage)                                                               \
	X(MOVE, page_counter, max)                                                                 \
	X(MOVE, page_counter, parent)                                                              \
	X(MOVE, mem_cgroup_per_node, lruvec)                                                       \
	X(MOVE, lruvec, pgdat)                                                                     \
	X(LOOK, folio, flags)                                                                      \
	X(LOOK, folio, mapping)                                                                    \
	X(LOOK, folio, _mapcount)                                                                  \
	X(LOOK, folio, _refcount)                                                                  \
	X(LOOK, folio, memcg_data)                                                                 \
	X(MOVE, folio, lru)                                                                        \
	X(LOOK, mm_struct, mmap_lock)                                                              \
	X(LOOK, mm_struct, owner)                                                                  \
	X(LOOK, mm_struct, mm_users)                                                               \
	X(LOOK, task_struct, mm)                                                                   \
	X(LOOK, vm_area_struct, vm_start)                                                          \
	X(LOOK, vm_area_struct, vm_flags)                                                          \
	X(LOOK, vm_area_struct, vm_mm)                                                             \
	X(MOVE, address_space, i_pages)                                                            \
	X(LOOK, mm_walk_ops, pmd_entry)                                                            \
	X(LOOK, mm_walk_ops, hugetlb_entry)                                                        \
	X(LOOK, mm_walk_ops, test_walk)                                                            \
	X(LOOK, mm_walk, mm)                                                                       \
	X(LOOK, mm_walk, vma)                                                                      \
	X(LOOK, mm_walk, action)                                                                   \
	X(LOOK, mm_walk, private)
#if CHARGEHAND_KERNEL == 601
#define CHARGEHAND_MEMBERS(X)                                                                      \
	CHARGEHAND_MEMBERS_COMMON(X)                                                               \
	X(LOOK, page, ptl)                                                                         \
	X(LOOK, page, compound_mapcount)                                                           \
	X(MOVE, page, deferred_list)                                                               \
	X(SWAP, mem_cgroup, swap)                                                                  \
	X(SWAP, mem_cgroup, id)                                                                    \
	X(MOVE, mem_cgroup, deferred_split_queue)                                                  \
	X(MOVE, deferred_split, split_queue_lock)                                                  \
	X(MOVE, deferred_split, split_queue_len)
#elif CHARGEHAND_KERNEL == 612
#define CHARGEHAND_MEMBERS(X)                                                                      \
	CHARGEHAND_MEMBERS_COMMON(X)                                                               \
	X(LOOK, ptdesc, ptl)                                                                       \
	X(LOOK, folio, _entire_mapcount)                                                           \
	X(MOVE, folio, _deferred_list)                                                             \
	X(SWAP, mem_cgroup, swap)                                                                  \
	X(SWAP, mem_cgroup, id)                                                                    \
	X(LOOK, mm_walk_ops, walk_lock)
#else
#define CHARGEHAND_MEMBERS(X)                                                                      \
	CHARGEHAND_MEMBERS_COMMON(X)                                                               \
	X(LOOK, ptdesc, ptl)                                                                       \
	X(LOOK, folio, _entire_mapcount)                                                           \
	X(MOVE, folio, _deferred_list)                                                             \
	X(LOOK, mm_walk_ops, walk_lock)                                                            \
	X(MOVE, mem_cgroup_per_node, objcg)                                                        \
	X(LOOK, obj_cgroup, refcnt)                                                                \
	X(LOOK, obj_cgroup, memcg)                                                                 \
	X(MOVE, obj_cgroup, is_root)
#endif
/* The same of arrays at the end of a struct, which have no size. */
#define CHARGEHAND_ARRAYS(X) X(MOVE, mem_cgroup, nodeinfo)

/* Values that the code relies on: X(use, type, enumerator). */
#define CHARGEHAND_ENUMS_COMMON(X)                                                                 \
	X(MOVE, node_stat_item, NR_ANON_MAPPED)                                                    \
	X(MOVE, node_stat_item, NR_FILE_MAPPED)                                                    \
	X(MOVE, node_stat_item, NR_FILE_PAGES)                                                     \
	X(MOVE, node_stat_item, NR_SHMEM)                                                          \
	X(MOVE, node_stat_item, NR_SHMEM_THPS)                                                     \
	X(MOVE, node_stat_item, NR_SHMEM_PMDMAPPED)                                                \
	X(MOVE, node_stat_item, NR_FILE_THPS)                                                      \
	X(MOVE, node_stat_item, NR_FILE_PMDMAPPED)                                                 \
	X(MOVE, node_stat_item, NR_ANON_THPS)                                                      \
	X(MOVE, node_stat_item, NR_SWAPCACHE)                                                      \
	X(LOOK, page_walk_action, ACTION_CONTINUE)                                                 \
	X(LOOK, pageflags, PG_locked)                                                              \
	X(LOOK, pageflags, PG_lru)                                                                 \
	X(LOOK, pageflags, PG_head)                                                                \
	X(LOOK, pageflags, PG_writeback)                                                           \
	X(MOVE, pageflags, PG_dirty)                                                               \
	X(MOVE, pageflags, PG_swapcache)                                                           \
	X(LOOK, pageflags, PG_swapbacked)
#if CHARGEHAND_KERNEL == 702
#define CHARGEHAND_ENUMS(X) CHARGEHAND_ENUMS_COMMON(X)
#else
#define CHARGEHAND_ENUMS(X) CHARGEHAND_ENUMS_COMMON(X) X(SWAP, memcg_stat_item, MEMCG_SWAP)
#endif

/* ---- small things that differ ---- */

/* 6.1 and 6.12 keep the group of a swapped page by functions that can be called; 7.2 inside the swap table. */
#define CHARGEHAND_SWAP_RECORDS (CHARGEHAND_KERNEL != 702)

/* The group that a folio of any sort is charged to, NULL if none. RCU keeps it. */
static inline struct mem_cgroup *chargehand_folio_memcg(struct folio *folio)
{
#if CHARGEHAND_KERNEL == 601
	return page_memcg_check(&folio->page);
#else
	return folio_memcg_check(folio);
#endif
}

/* Low bits of folio->memcg_data: with any of them the folio is not an ordinary page of a program. */
#if CHARGEHAND_KERNEL == 601
#define CHARGEHAND_TAG_FLAGS MEMCG_DATA_FLAGS_MASK
#else
#define CHARGEHAND_TAG_FLAGS OBJEXTS_FLAGS_MASK
#endif

/* Where a folio in the swap cache is swapped to. */
static inline swp_entry_t chargehand_folio_swap(struct folio *folio)
{
#if CHARGEHAND_KERNEL == 601
	return folio_swap_entry(folio);
#else
	return folio->swap;
#endif
}

#if CHARGEHAND_KERNEL == 601
#define CHARGEHAND_WALK_READ_LOCKED
#else
#define CHARGEHAND_WALK_READ_LOCKED .walk_lock = PGWALK_RDLOCK,
#endif

/* What a page table entry holds that is not present. */
enum chargehand_leaf {
	CHARGEHAND_LEAF_NONE,	   /* nothing, or a marker of userfaultfd */
	CHARGEHAND_LEAF_SWAP,
	CHARGEHAND_LEAF_MIGRATION, /* a page on its way: come again */
	CHARGEHAND_LEAF_OTHER,	   /* device memory, poison */
};

static inline enum chargehand_leaf chargehand_leaf_of(pte_t pte, swp_entry_t *entry)
{
#if CHARGEHAND_KERNEL == 702
	softleaf_t leaf = softleaf_from_pte(pte);

	*entry = leaf;
	if (softleaf_is_none(leaf))
		return CHARGEHAND_LEAF_NONE;
	if (softleaf_is_swap(leaf))
		return CHARGEHAND_LEAF_SWAP;
	if (softleaf_is_marker(leaf))
		return CHARGEHAND_LEAF_NONE;
	return softleaf_is_migration(leaf) ? CHARGEHAND_LEAF_MIGRATION : CHARGEHAND_LEAF_OTHER;
#else
	if (pte_none(pte))
		return CHARGEHAND_LEAF_NONE;
	*entry = pte_to_swp_entry(pte);
	if (!non_swap_entry(*entry))
		return CHARGEHAND_LEAF_SWAP;
	if (is_pte_marker_entry(*entry))
		return CHARGEHAND_LEAF_NONE;
	return is_migration_entry(*entry) ? CHARGEHAND_LEAF_MIGRATION : CHARGEHAND_LEAF_OTHER;
#endif
}

#endif
