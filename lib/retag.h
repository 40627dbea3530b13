/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_RETAG_H
#define CH_RETAG_H

/*
 * The module backend's half of a plan: what one group pays for in one address space, and what of it a move would move, as the module itself
 * says (MAP, then a dry MOVE for each group and kind).
 */

#include "charges.h"
#include "module.h"

enum {
        RETAG_RANGES_MAX = 4096, /* in one command */
};
/* Kinds of pages of which it matters who else maps them. */
#define RETAG_SHARED_KINDS (CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON) | CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_FILE))

/* An address space and the account that should pay for it. -ESRCH. */
typedef int (*retag_open_func)(const ChargeMm *mm, int *ret_pidfd, int *ret_to_fd, void *userdata);
/* The directory of a group by its id; < 0 where it cannot be opened from here. */
typedef int (*retag_group_func)(uint64_t id, void *userdata);

typedef struct RetagScan {
        ch_module *module;
        Charges *charges;
        retag_open_func open;        /* for retag_finish() */
        retag_group_func open_group; /* may be NULL */
        void *userdata;
        int with_shared; /* shared memory and pages that others map are asked for as well */
        size_t n_mapped; /* address spaces so far: pages of the next count once over all of them */
        ModuleRows rows;
} RetagScan;

/* Read one address space; `to_fd` is the directory of the group mm->dest_id, -EBADF if nothing is to be moved there. -ESRCH: gone, nothing is
 * added. Other errors: nothing is added, the module cannot be used for it. */
int retag_scan(RetagScan *scan, const ChargeMm *mm, int pidfd, int to_fd, ch_error **err);
/* When all are read: find the pages that several address spaces map, but none outside of the move, and ask for them as well. Then settle. */
int retag_finish(RetagScan *scan, ch_error **err);
/* Say whose pages are meant: by its directory, or (`from_fd` < 0: a removed group, or one outside of the tree) by its id. */
void retag_set_from(struct chargehand_move *move, int from_fd, uint64_t id);
/* A group that is known by its id only is looked for among the pages: the module says -ENOENT where it pays for none of them. */
int retag_is_nothing(const struct chargehand_move *move, int r);
/* What is not movable stays: fills Charges.staying. Pure. */
void retag_settle(Charges *charges);
void retag_scan_done(RetagScan *scan);

/* retag-shared.c: fills ranges of the address spaces that the module has read. Each page is given to the first that maps it. */
int retag_find_shared(Charges *charges, ch_error **err);
/* The counting behind it, over made-up pages in tests. */
typedef struct SharedPages SharedPages;
int sharedpages_new(SharedPages **ret);
SharedPages *sharedpages_free(SharedPages *pages);
int sharedpages_count(SharedPages *pages, uint64_t pfn);
/* 1: all `mapcount` mappings were counted, and it was not taken before; now it is. */
int sharedpages_take(SharedPages *pages, uint64_t pfn, uint64_t mapcount);

/* Bits of the module's kinds that a move asks for. */
uint32_t retag_kinds(const ch_module *module, int with_shared);
/* The library's word for a CHARGEHAND_LEFT_x. _MAX_: not told. */
ch_reason retag_reason(unsigned left);

#endif
