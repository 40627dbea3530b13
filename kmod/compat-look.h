/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_COMPAT_LOOK_H
#define CHARGEHAND_COMPAT_LOOK_H

/* The part of compat.h that MAP alone needs: reading what page tables and folios say. */

#include <linux/hugetlb.h>

#include "compat.h"

/* The page that a migration entry is about. */
static inline struct page *chargehand_leaf_page(swp_entry_t entry)
{
#if CHARGEHAND_KERNEL == 702
	return softleaf_to_page(entry);
#else
	return pfn_swap_entry_to_page(entry);
#endif
}

/* No page table below: a huge page, or one that is migrated. */
static inline bool chargehand_pmd_is_leaf(pmd_t pmd)
{
	return pmd_leaf(pmd) || (!pmd_none(pmd) && !pmd_present(pmd));
}

/* First page of such a one; NULL: it has no struct page. */
static inline struct page *chargehand_pmd_page(pmd_t pmd)
{
	if (pmd_present(pmd))
		return pfn_valid(pmd_pfn(pmd)) ? pmd_page(pmd) : NULL;
#if CHARGEHAND_KERNEL == 702
	return softleaf_to_page(softleaf_from_pmd(pmd));
#else
	return pfn_swap_entry_to_page(pmd_to_swp_entry(pmd));
#endif
}

static inline pte_t chargehand_huge_pte(struct mm_struct *mm, unsigned long addr, pte_t *pte)
{
#if CHARGEHAND_KERNEL == 601
	return huge_ptep_get(pte);
#else
	return huge_ptep_get(mm, addr, pte);
#endif
}

#endif
