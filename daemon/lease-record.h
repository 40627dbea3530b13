/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_LEASE_RECORD_H
#define CHD_LEASE_RECORD_H

/* The records of leases: ID.json in a directory. They need not outlive a reboot. */

#include "claim.h"

/* Whole, or as it was before. */
int lease_record_write(int dir_fd, const ClaimRecord *record);
/* -ESTALE: of an earlier boot. -EINVAL: it is no record. To be freed by claim_record_done(). */
int lease_record_read(int dir_fd, uint64_t claim, ClaimRecord *ret);
void lease_record_remove(int dir_fd, uint64_t claim);
/* Takes away records without a FIFO beside them. */
void lease_record_tidy(int dir_fd);

#endif
