/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_RECHARGE_H
#define CH_RECHARGE_H

/*
 * The recharge backend: process_madvise(MADV_RECHARGE), of kernels with the patches of kmod/patches, charges anonymous memory and shared
 * memory to the group of the process, where it is. Swap, page cache, KSM pages and huge pages that others map stay.
 *
 * Where the kernel has no such advice it says -EINVAL, on every kernel: the number is none of upstream's.
 */

#include "charges.h"

/* Tried on a page of our own. `pidfd` is a process that will be worked on: without the right to it (CAP_SYS_NICE, ptrace access) the backend
 * is not available. */
int recharge_is_known(int pidfd);

/* Recharge blocks of one address space, in order of addresses. 0 the kernel has tried all, which does not promise that all of it moved;
 * -EBUSY a limit of the group or an ancestor is reached, -ESRCH gone, -EPERM. A grace period a MiB of small pages, some microseconds a huge
 * page. */
int recharge_blocks(int pidfd, const Charges *charges, Block *const *blocks, size_t n);

#endif
