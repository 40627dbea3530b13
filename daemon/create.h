/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CREATE_H
#define CHD_CREATE_H

/* Makes, adopts, delegates, sets and removes groups. May block in the kernel: on a worker. */

#include <stdint.h>

#include <chargehand/tree.h>

#include "claim.h"

typedef struct CreateOptions {
        int parents, exist_ok, dry_run;
        uint32_t uid, gid; /* delegate; UINT32_MAX: no */
        uint32_t owner;  /* everything in it belongs to this uid, as if it had made it; UINT32_MAX:
                            no */
        int controllers; /* enable those of the root all the way down */
        Claims *claims;  /* NULL: no claim is set or changed */
        uint64_t claim_bytes;
} CreateOptions;

/* 1 made, 0 was there (exist_ok) and is managed now. Fails as a whole: a group that cannot be set
 * is removed again. */
int create_group(ch_tree *tree, const char *path, const CreateOptions *options,
                 const ch_setting *settings, size_t n, ch_error **err);
/* The settings that need a controller get it enabled above; then all or nothing. Returns the files
 * changed. */
int create_apply(ch_group *group, const ch_setting *settings, size_t n, int dry_run,
                 ch_error **err);
/* Foreign: no one of it and the groups above is managed. */
int create_remove(ch_tree *tree, const char *path, int recursive, int dry_run, ch_error **err);

#endif
