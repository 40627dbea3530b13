/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_MARK_H
#define CHD_MARK_H

/*
 * The mark of groups that Chargehand made or adopted, kept in the group itself as an extended
 * attribute, so that it outlives the daemon: trusted.chargehand.managed, or user.chargehand.managed
 * (kernel 5.7) where CAP_SYS_ADMIN is missing.
 */

/* 1 or 0; what cannot be read counts as not managed. */
int mark_is_managed(int group_fd);
/* -ENOTSUP where the file system has neither. */
int mark_set_managed(int group_fd);

#endif
