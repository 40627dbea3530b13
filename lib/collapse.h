/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_COLLAPSE_H
#define CH_COLLAPSE_H

/*
 * The collapse backend: process_madvise(MADV_COLLAPSE) copies a 2 MiB block onto the account of the
 * process's group.
 *
 * Measured on 6.1 and 7.2: return values say little (an already huge block counts as done wherever
 * it is charged), so the callers measure again; -EBUSY does mean that the group's limit is reached.
 * Nothing is OOM-killed: the kernel gives up.
 */

#include <stdint.h>

#include "charges.h"

/* Try what collapsing does here, on memory of our own (some 4 MiB for a moment). `pidfd` is a
 * process that will be worked on: without the right to it (CAP_SYS_NICE, ptrace access) the backend
 * is not available. */
void collapse_find_traits(int pidfd, uint64_t huge_bytes, uint64_t page_bytes, CollapseTraits *ret);

/* Split the huge page that (partly) is this block. */
int collapse_split(int pidfd, const Charges *charges, const Block *block);
/* Collapse blocks of one address space, in order of addresses. 0 the kernel has tried all; -EBUSY a
 * limit of the group or an ancestor is reached, -ENOMEM no free huge page, -ESRCH gone, -EPERM.
 * Takes milliseconds per block under emulation, a fraction of one natively. */
int collapse_blocks(int pidfd, const Charges *charges, Block *const *blocks, size_t n);
/* Drop clean file pages: the refault backend. */
int refault_drop(int pidfd, const Drop *drop);

/* errno comes back negative. */
int sys_process_madvise(int pidfd, uint64_t start, uint64_t bytes, int advice);

#endif
