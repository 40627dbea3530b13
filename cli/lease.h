/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_LEASE_H
#define CTL_LEASE_H

/* Leases of room: file descriptors that hold a claim as long as they are open. */

#include "cli.h"

/* From the "ah" at the message's position: a copy of the first, -EBADF where it is empty. Returns an exit code. */
int lease_read(Cli *cli, sd_bus_message *reply, int *ret_fd);
/* Until one of program_block_signals(), which must be in force, comes, or CLOCK_MONOTONIC has come to `until_usec`; where that is
 * UINT64_MAX also until the standard input ends, where that is a pipe or socket. */
void lease_hold(uint64_t until_usec);
/* CLOCK_MONOTONIC in so long; UINT64_MAX: never. */
uint64_t lease_until(uint64_t usec);

#endif
