/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_LEASE_H
#define CHD_LEASE_H

/*
 * Leases: claims that last as long as somebody holds a file descriptor. It is the write end of a FIFO, StateDirectory/claims/ID,
 * of which the daemon keeps the read end: EPOLLHUP says that all copies are closed, or that all holders are dead. Beside it, ID.json is the
 * record by which the next life of the daemon finds the claim again; a FIFO without a writer is one whose holder let go meanwhile.
 * The holder sees POLLERR when the daemon ends the lease, and for as long as no daemon runs.
 */

#include <stdint.h>

#include <chargehand/error.h>

#include "claim.h"

typedef struct Lease Lease;
typedef struct Leases Leases;
typedef struct Manager Manager;

int leases_new(Manager *manager, Leases **ret, ch_error **err);
/* They live on: the next life finds them. */
Leases *leases_free(Leases *leases);
/* Those of an earlier life, before anything else may claim. */
void leases_load(Leases *leases);

/*
 * A claim becomes a lease in two steps. On a worker: FIFO and record, on the disk when it returns. Then on the loop: it is watched from now on.
 * The answer takes the fd; lease_let_go() closes our own copy of it, and if the answer never arrives that was the last one.
 */
int lease_new(Leases *leases, uint64_t claim, Lease **ret, ch_error **err);
/* Before lease_start(): as if it had never been; the claim too. Any thread. */
Lease *lease_free(Lease *lease);
int lease_start(Lease *lease);
int lease_get_fd(const Lease *lease); /* the holder's end */
void lease_let_go(Lease *lease);

/* On the loop: ends it though copies of its fd are still open. -ENOENT. */
int leases_end(Leases *leases, uint64_t claim);
/* On the loop: the records of leases that went to another group are written again, by a worker. */
void leases_save_moved(Leases *leases);

/* Which lease an fd stands for. NoSuchClaim. */
int lease_find(Claims *claims, int fd, uint64_t *ret_claim, ch_error **err);

#endif
