/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PAGES_H
#define CH_PAGES_H

/*
 * Reads the resident pages of one address space: mappings (smaps), and runs of pages that are alike (same group
 * charged, same kind, same flags). The charge map and the mover both stand on this.
 */

#include <stdint.h>
#include <sys/types.h>

#include <chargehand/error.h>
#include <chargehand/map.h>

typedef struct Mapping {
        uint64_t start, end;            /* bytes */
        uint64_t rss_bytes, anon_bytes, anon_huge_bytes, swap_bytes, locked_bytes, shared_bytes, hugetlb_bytes;
        uint32_t flags;                 /* MAPPING_* */
        char name[48];                  /* shortened tail of the path, for messages */
} Mapping;

enum {
        MAPPING_SHARED     = 1 << 0,    /* MAP_SHARED ("sh") */
        MAPPING_FILE       = 1 << 1,    /* backed by a file or tmpfs object (inode != 0) */
        MAPPING_SHMEM      = 1 << 2,    /* that object is shared memory: memfd, SysV, tmpfs, shared anonymous */
        MAPPING_LOCKED     = 1 << 3,    /* "lo" */
        MAPPING_HUGETLB    = 1 << 4,    /* "ht" */
        MAPPING_SPECIAL    = 1 << 5,    /* "io" or "pf": device memory, never touched */
        MAPPING_NOHUGEPAGE = 1 << 6,    /* "nh" */
        MAPPING_WRITABLE   = 1 << 7,
        MAPPING_THP_OK     = 1 << 8,    /* THPeligible: 1. Up to 6.5 it does not say that a mapping is too small, from
                                           6.8 on it also counts sizes below 2 MiB: a hint, not a promise */
        MAPPING_VDSO       = 1 << 9,    /* [vdso], [vvar], [vsyscall] */
        MAPPING_UNSURE     = 1 << 10,   /* file on no block device and no tmpfs that is mounted: shared memory or not,
                                           the page reader finds out */
        MAPPING_FIGURES    = 1 << 11,   /* the figures above are there (smaps) */
};

/* All mappings with smaps figures. -ESRCH gone, -EPERM. Caller frees the array. */
int mappings_read(pid_t pid, Mapping **ret, size_t *ret_n, ch_error **err);
/* The same without figures, and of the flags only SHARED, FILE, SHMEM, WRITABLE, VDSO, UNSURE (maps): the kernel need not
 * walk the page tables for it. */
int mappings_read_fast(pid_t pid, Mapping **ret, size_t *ret_n, ch_error **err);

typedef struct PageRun {
        uint64_t start, end;            /* virtual addresses */
        uint64_t pfn;                   /* of the first page; where swapped: a number of the swap slot */
        uint64_t group_id;              /* charged to; 0 none or not known (swap) */
        ch_kind kind;
        uint32_t flags;                 /* PAGERUN_* */
} PageRun;

enum {
        PAGERUN_HUGE      = 1 << 0,     /* mapped by a PMD entry (or part of such a page) */
        PAGERUN_COMPOUND  = 1 << 1,     /* of a large folio; set only where that had to be found out */
        PAGERUN_EXCLUSIVE = 1 << 2,     /* pagemap bit 56: mapped once only */
        PAGERUN_SWAPPED   = 1 << 3,
};

typedef struct PageReader PageReader;

/* Opens pagemap, kpagecgroup, kpageflags. One per address space; buffers are reused. */
int pagereader_new(pid_t pid, PageReader **ret, ch_error **err);
PageReader *pagereader_free(PageReader *reader);
/* Calls `func` for each run of resident or swapped pages in [start, end) of the mapping, in order of addresses; holes are
 * passed over. < 0 from func stops. -ESRCH when the process is gone. A run never crosses the range given; whether runs are
 * split where the PFNs are not consecutive is set by pagereader_want_pfns(). */
typedef int (*pagerun_func)(const PageRun *run, void *userdata);
int pagereader_walk(PageReader *reader, const Mapping *mapping, uint64_t start, uint64_t end, pagerun_func func,
                    void *userdata, ch_error **err);
enum {
        PFNS_NONE   = 0,                /* the default: runs may be made of scattered pages */
        PFNS_ALL    = 1,
        PFNS_SHARED = 2,                /* only of runs that are not PAGERUN_EXCLUSIVE */
};
void pagereader_want_pfns(PageReader *reader, int want);

#endif
