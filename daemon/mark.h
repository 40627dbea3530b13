/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_MARK_H
#define CHD_MARK_H

/*
 * The mark of groups that Chargehand made or adopted, kept in the group itself as an extended
 * attribute, so that it outlives the daemon: trusted.chargehand.managed, or user.chargehand.managed
 * (kernel 5.7) where CAP_SYS_ADMIN is missing. Beside it, in chargehand.claim, the memory that is
 * set aside for the group (claim.h).
 */

#include <stddef.h>
#include <stdint.h>

enum { MARK_CLAIMED = 2 };

/* Of a pair of attributes, "trusted." (0) and "user." (1): the latter may be written by whoever owns
 * the directory, and counts only where that is us. */
int mark_counts(int group_fd, size_t name);
/* 0, 1, or MARK_CLAIMED: managed, and has a claim. What cannot be read counts as not managed. */
int mark_is_managed(int group_fd);
/* -ENOTSUP where the file system has neither. */
int mark_set_managed(int group_fd);
/* The same for a group that was just made and has no claim yet: nothing is read. */
int mark_set_new(int group_fd);
/* It is not ours any more; one with a claim stays ours. */
void mark_clear_managed(int group_fd);
/* Bytes; 0 removes it. A group with a claim is managed. -ENOTSUP. */
int mark_set_claim(int group_fd, uint64_t bytes);
/* -ENODATA: none */
int mark_get_claim(int group_fd, uint64_t *ret);

#endif
