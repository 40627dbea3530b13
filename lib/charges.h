/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_CHARGES_H
#define CH_CHARGES_H

/*
 * What of a set's memory is charged where, cut into what a backend can move: what one group pays for
 * in one address space (module), 2 MiB blocks of anonymous memory (recharge; collapse, if they are
 * whole) and ranges of clean file pages (refault); the rest stays, with a reason.
 */

#include <stdint.h>
#include <sys/types.h>

#include <chargehand/move.h>

#include "pages.h"
#include "uapi/chargehand.h"

enum {
        BLOCK_HUGE = 1 << 0,   /* (partly) huge: must be split before it is collapsed */
        BLOCK_CHOSEN = 1 << 1, /* to be collapsed */
        BLOCK_THIN = 1 << 2,   /* and split again afterwards, which gives its holes back */
        BLOCK_TRIED = 1 << 3,
        BLOCK_FINISHED = 1 << 4, /* nothing of it is charged elsewhere any more */
        BLOCK_RECHARGE = 1 << 5, /* by MADV_RECHARGE: nothing is copied, split or filled */
};

/* One huge-page-aligned piece of one anonymous mapping, or what there is of it at the mapping's ends. Page
 * counts; never more than fits a huge page. */
typedef struct Block {
        uint64_t start;
        uint32_t mm;           /* index into Charges.mms */
        uint32_t mapping;      /* index into Charges.mappings */
        uint32_t there;        /* charged to the destination */
        uint32_t elsewhere;    /* charged to another group */
        uint32_t unknown;      /* resident, but the kernel named no group */
        uint32_t shared;       /* mapped by another address space too: collapsing copies them */
        uint32_t swapped;      /* collapsing swaps them in */
        uint32_t before_there; /* `there` when it was scanned */
        uint32_t first_share, n_shares;
        uint32_t flags;   /* BLOCK_* */
        ch_reason reason; /* why it is not chosen */
} Block;

/* Pages of one block charged to one group other than the destination. */
typedef struct Share {
        uint64_t group_id;
        ch_kind kind;
        uint32_t pages;
} Share;

/* Clean file pages of one group that may be dropped. */
typedef struct Drop {
        uint64_t start, end;
        uint64_t group_id;
        uint32_t mm;
} Drop;

/* What one group pays for in one address space, to be moved by the module. Bytes; each page of the set
 * counts once. */
typedef struct Retag {
        uint64_t group_id;
        uint32_t mm;                       /* index into Charges.mms */
        uint32_t flags;                    /* RETAG_* */
        uint64_t bytes[CH_KIND_MAX_];      /* that could be moved, going by their kind */
        uint64_t movable[CH_KIND_MAX_];    /* that a dry move would move */
        uint64_t left[CH_KIND_MAX_][CH_REASON_MAX_];  /* as the dry move saw them: once per mapping */
        uint64_t moved[CH_KIND_MAX_];      /* by now */
        uint64_t failed_bytes[CH_REASON_MAX_]; /* of the last pass: what could have been moved and was not */
} Retag;

enum {
        RETAG_TRIED = 1 << 0,
        RETAG_FINISHED = 1 << 1, /* a pass has seen all of it */
};

typedef struct ChargeRow {
        uint64_t group_id;
        ch_kind kind;
        uint64_t bytes, movable_bytes;
        uint32_t backends; /* bits of those that would move it */
} ChargeRow;

/* One address space. */
typedef struct ChargeMm {
        pid_t pid;
        uint64_t dest_id;  /* group that should pay */
        uint64_t home_id;  /* group that should pay after a rollback; 0: not known */
        int foreign_owner; /* a process outside the set pays: nothing can be moved */
        int forbids_huge;  /* PR_SET_THP_DISABLE */
        uint32_t first_block, n_blocks;
        uint32_t first_drop, n_drops;
        int by_module;           /* it was read and is moved by the module: no blocks and drops */
        uint64_t already_bytes;  /* by_module: charged to the destination */
        uint32_t first_retag, n_retags;
        uint32_t first_range, n_ranges; /* of pages that only address spaces of the move map */
} ChargeMm;

/* What collapsing does on this kernel, found by trying. */
typedef struct CollapseTraits {
        int sought; /* it was tried */
        int available;
        int gives_back; /* splitting a huge page frees its zero-filled pages (6.12 and newer) */
        int read_only;  /* collapses mappings without write access too (6.8 and newer) */
} CollapseTraits;

typedef struct Charges {
        uint64_t page_bytes, huge_bytes;
        uint32_t backends; /* bits 1 << CH_BACKEND_x that are allowed */
        CollapseTraits traits;
        int recharge; /* 0 not asked for, 1 the kernel has MADV_RECHARGE, -1 it has not */
        int with_shared;
        uint64_t growth_limit_bytes; /* set by charges_choose() */
        int module_failed;           /* it refused to move what it said it would */
        uint64_t only_from_id;       /* if not 0, only what this group pays is to be moved */

        ChargeMm *mms;
        size_t n_mms, mms_allocated;
        Mapping *mappings;
        size_t n_mappings, mappings_allocated;
        Block *blocks;
        size_t n_blocks, blocks_allocated;
        Share *shares;
        size_t n_shares, shares_allocated;
        Drop *drops;
        size_t n_drops, drops_allocated;
        Retag *retags;
        size_t n_retags, retags_allocated;
        struct chargehand_range *ranges; /* by address space, then by address */
        size_t n_ranges, ranges_allocated;
        ChargeRow *rows;
        size_t n_rows, rows_allocated;
        uint64_t staying[CH_KIND_MAX_][CH_REASON_MAX_]; /* bytes */

        uint64_t movable_bytes, staying_bytes, already_bytes, growth_bytes, resident_bytes,
                anon_bytes;
        uint64_t thin_bytes; /* holes filled for a moment by blocks that are split again */
} Charges;

#define CHARGES_INIT                                                                               \
        {                                                                                          \
                .huge_bytes = 2 << 20, .page_bytes = 4096                                          \
        }

/* The row of (group, kind), made if it is not there. -ENOMEM */
int charges_get_row(Charges *charges, uint64_t group_id, ch_kind kind, ChargeRow **ret);
/* Open an entry for one more address space. -ENOMEM */
int charges_add_mm(Charges *charges, const ChargeMm *mm);

/* Where it ends: whole ones are as long as a huge page. Pure. */
uint64_t block_end(const Charges *charges, const Block *block);
int block_is_whole(const Charges *charges, const Block *block);
/* Cost in pages: by how much the resident set grows when the block is collapsed. Pure. */
uint32_t block_cost(const Charges *charges, const Block *block);

/* Read one address space and append its blocks, ranges and rows. -ESRCH when it is gone: nothing is
 * added. */
int charges_scan(Charges *charges, const ChargeMm *mm, ch_error **err);
/* Enter one run of pages as charges_scan() does; for tests. Pure. */
int charges_add_run(Charges *charges, const PageRun *run);
/* Tell the mapping that the runs to come belong to. Pure. */
int charges_add_mapping(Charges *charges, const Mapping *mapping);
/* Count one block again. */
int charges_measure_block(Charges *charges, PageReader *reader, Block *block, ch_error **err);
/* Choose the blocks that are collapsed, those with the fewest holes first, until the resident set
 * would grow by more than `max_growth_permyriad`; sum up. Pure. */
int charges_choose(Charges *charges, uint32_t max_growth_permyriad);
/* What is to be moved by which backend; adds to `sums`. Pure. */
void charges_sum_backends(const Charges *charges, uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_]);
/* Bytes of the plan that `group_id` pays for now and the destination would pay for afterwards.
 * Pure. */
uint64_t charges_sum_from(const Charges *charges, uint64_t group_id);
void charges_done(Charges *charges);

static inline void charges_donep(Charges *charges)
{
        charges_done(charges);
}

/* NULL if nothing can be done about it. */
const char *reason_get_advice(ch_reason reason);
int step_from_string(const char *word, ch_step *ret);

#endif
