// SPDX-License-Identifier: GPL-2.0-only
/* What a mapped page is: its kind of memory, and whether others map it too. */

#include "chargehand.h"

u32 chargehand_kind_of(struct folio *folio, bool pmd_mapped)
{
	if (folio_is_zone_device(folio))
		return CHARGEHAND_KIND_OTHER;
	if (folio_test_hugetlb(folio))
		return CHARGEHAND_KIND_HUGETLB;
	if (folio_test_ksm(folio))
		return CHARGEHAND_KIND_KSM;
	if (folio_test_anon(folio))
		return pmd_mapped ? CHARGEHAND_KIND_ANON_THP : CHARGEHAND_KIND_ANON;
	return folio_test_swapbacked(folio) ? CHARGEHAND_KIND_SHMEM : CHARGEHAND_KIND_FILE;
}

/*
 * Counters of one page and of the whole: both are kept on all kernels that were reviewed (7.2 would not
 * keep the former with CONFIG_NO_PAGE_MAPCOUNT, which compat.h refuses).
 */
bool chargehand_page_shared(struct page *page, bool pmd_mapped)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_large(folio))
		return atomic_read(&folio->_mapcount) > 0;
	if (pmd_mapped)
		return folio_entire_mapcount(folio) > 1;
	return atomic_read(&page->_mapcount) > 0 || folio_entire_mapcount(folio) > 0;
}
