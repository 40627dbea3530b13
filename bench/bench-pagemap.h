/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_PAGEMAP_H
#define BENCH_PAGEMAP_H

/*
 * The floor of all maps made in user space: bare pread loops over pagemap and kpagecgroup. They read each entry of
 * pagemap and, for each run of consecutive page frames, the entries of kpagecgroup, and sum nothing up.
 */

#include <stdint.h>
#include <sys/types.h>

typedef struct Pagemap Pagemap;

/* NULL: not to be opened; errno says why. */
Pagemap *pagemap_new(pid_t pid);
void pagemap_free(Pagemap *pagemap);
/* Reads the addresses; how long it took, in µs. 0: it failed. */
uint64_t pagemap_time(Pagemap *pagemap, uint64_t start, uint64_t end);

#endif
