/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CLAIM_H
#define CHD_CLAIM_H

/*
 * Claims of groups: memory that is set aside for a group when it is made, before it uses any. What a group still has open of
 * its claim (the claim less memory.current) counts as taken in every group above it, beside what moves under way have
 * claimed (job.h), whenever somebody asks for room: another claim, the plan of a move. It is no limit, and the kernel knows nothing
 * of it: memory.min and memory.low protect what is in use.
 *
 * Claims nest: what groups below claim comes out of the claim of the one above as far as that goes.
 *
 * A claim is kept in the group itself, as an extended attribute beside the mark (mark.h), ends with the group, and is
 * found again after a restart.
 *
 * Any thread, unless said; none waits for another while files are read. What reads files says so: on a worker.
 */

#include <stdint.h>

#include <chargehand/tree.h>

typedef struct Claims Claims;
typedef struct Manager Manager;
struct json_object;

typedef struct ClaimsOptions {
        ch_tree *tree;
        uint64_t (*moves)(const char *group_path, void *userdata); /* claimed below by moves */
        void *userdata;
} ClaimsOptions;

int claims_new(const ClaimsOptions *options, Claims **ret);
Claims *claims_free(Claims *claims);

/*
 * Does a claim of so many bytes fit, in the group at `path` (which need not exist yet, nor the groups above it) and in
 * each above? memory.max less memory.current less what others have claimed; at the top, what the machine has available.
 * `own_max`: what memory.max of the group itself is going to be; NULL: as it is. Reads files. 0, or NoRoom, which names
 * the group that is too small and by how much.
 */
int claims_check(Claims *claims, const char *path, uint64_t bytes, const uint64_t *own_max,
                 ch_error **err);
/* The same, and sets it, in place of an earlier one: between check and set nobody else gets the room. 0 bytes: ends the claim.
 * `ret_before` (may be NULL): the earlier one. Reads and writes files. */
int claims_take(Claims *claims, ch_group *group, uint64_t bytes, const uint64_t *own_max,
                uint64_t *ret_before, ch_error **err);
/* Sets without a check: what was there before. Writes a file. */
void claims_put_back(Claims *claims, ch_group *group, uint64_t bytes);
/* A group that is known to have one, at the start of the daemon. Reads a file. */
void claims_load(Claims *claims, const char *path);
/* The group is gone. */
void claims_drop(Claims *claims, const char *path);
/* ch_claimed_func with Claims as userdata: what groups and moves have claimed at `group_path` and below, less the claims
 * of the group that this thread acts for and of those above it: they are there for it. Reads files. */
uint64_t claims_claimed(const char *group_path, void *userdata);
/* The target of the plan or move that this thread is about; NULL: none. The text must last. */
void claims_act_for(const char *path);
/* {group, bytes} of each, appended. */
int claims_append_json(Claims *claims, struct json_object *array);

/*
 * For whoever makes a group by another way than CreateGroup, once it is there and its memory.max is set: on a worker.
 * NoRoom: nothing was set. ControllerOff: memory is not accounted there. The claim ends with the group; claims_drop() ends it
 * for a group that is removed before the loop has seen it, but that is no must.
 */
int claim_check_and_set(Manager *manager, const char *path, uint64_t bytes, ch_error **err);

#endif
