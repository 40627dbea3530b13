/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PAGES_DECODE_H
#define CH_PAGES_DECODE_H

/* From entries of /proc/PID/pagemap to runs of pages that are alike; pure but for the tables it
 * asks for. */

#include <stddef.h>

#include "pages.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PFN_MASK  ((UINT64_C(1) << 55) - 1)
#define PM_EXCLUSIVE (UINT64_C(1) << 56)
#define PM_GUARD     (UINT64_C(1) << 58)
#define PM_FILE      (UINT64_C(1) << 61)
#define PM_SWAP      (UINT64_C(1) << 62)
#define PM_PRESENT   (UINT64_C(1) << 63)
/* what a run's kind and flags follow from; soft-dirty and write-protection do not matter */
#define PM_KEY_MASK  (PM_PRESENT | PM_SWAP | PM_FILE | PM_EXCLUSIVE)

/* include/uapi/linux/kernel-page-flags.h */
#define KPF_SWAPBACKED    (UINT64_C(1) << 14)
#define KPF_COMPOUND_HEAD (UINT64_C(1) << 15)
#define KPF_COMPOUND_TAIL (UINT64_C(1) << 16)
#define KPF_HUGE          (UINT64_C(1) << 17)
#define KPF_THP           (UINT64_C(1) << 22)
#define KPF_ZERO_PAGE     (UINT64_C(1) << 24)

enum {
        PAGE_SHIFT_4K = 12,
        HUGE_PAGES = 512,    /* small pages of a huge one; x86-64 and arm64 with 4 KiB pages */
        WINDOW_PAGES = 4096, /* at most so many ids are read at once: 32 KiB, which stay in the
                                first cache */
        WINDOW_GAP = 32, /* reading so many ids for nothing costs less than another system call */
};

typedef enum PageTable { TABLE_GROUP, TABLE_FLAGS } PageTable;

typedef struct PageSource {
        /* n entries of kpagecgroup or kpageflags from `pfn` on; what is not memory reads 0. < 0
         * stops. */
        int (*read)(PageTable table, uint64_t pfn, size_t n, uint64_t *ret, void *userdata);
        void *userdata;
} PageSource;

typedef struct PageDecoder {
        PageSource source;
        pagerun_func func;
        void *userdata;
        int want_pfns;          /* PFNS_* */
        int pmd_mapped;         /* 1, 0 as PAGEMAP_SCAN says; -1 to be guessed from the pages */
        uint32_t mapping_flags;
        uint64_t zero_pfn;      /* the zero page, once met; 0 */
        PageRun run;            /* being built; empty if start == end */
        uint64_t run_step; /* PFN distance that prolongs it: 1, or 0 where PFNs do not matter */
        uint64_t run_key;  /* entries of these bits (PM_KEY_MASK) and the run's group prolong it; 0
                              none do */
        uint64_t *ids;          /* WINDOW_PAGES */
        uint64_t *flags;        /* WINDOW_PAGES, once it is needed */
        uint64_t low;           /* PFN of the first in the window */
        size_t n_window;
        int have_flags;
} PageDecoder;

int decoder_init(PageDecoder *decoder, const PageSource *source);
void decoder_done(PageDecoder *decoder);
void decoder_start(PageDecoder *decoder, uint32_t mapping_flags, pagerun_func func, void *userdata);
/* n entries of the pages from `address` on, in order of addresses. */
int decoder_feed(PageDecoder *decoder, const uint64_t *entries, size_t n, uint64_t address);
/* Emit what is left. */
int decoder_finish(PageDecoder *decoder);

#endif
