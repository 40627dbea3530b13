/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PFNSET_H
#define CH_PFNSET_H

/* A sparse set of page frame numbers (or swap slots): 4 KiB for each 128 MiB of memory that is in
 * use. */

#include <stddef.h>
#include <stdint.h>

typedef struct PfnChunk {
        uint64_t number;        /* PFN >> 15 */
        uint64_t *bits;         /* NULL: free slot */
} PfnChunk;

typedef struct PfnSet {
        PfnChunk *chunks;       /* open addressing */
        size_t n, n_allocated;  /* power of two */
} PfnSet;

/* Add n numbers from `first` on. *ret_new: how many were not in it. -ENOMEM: some may have been
 * added. */
int pfnset_add(PfnSet *set, uint64_t first, uint64_t n, uint64_t *ret_new);
void pfnset_done(PfnSet *set);

#endif
