/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CLAIM_H
#define CHD_CLAIM_H

/*
 * Claims: memory that is set aside in a group before anybody uses it. They count as taken in that group and in every group
 * above it, whenever somebody asks for room: another claim, the plan of a move, a placement. A claim is no limit, and the
 * kernel knows nothing of it: memory.min and memory.low protect what is in use.
 *
 *   group      for the group itself, from CreateGroup. What it still has open of it (the claim less memory.current) counts. Nested: what
 *              groups below claim comes out of the claim of the one above as far as that goes. Kept in the group as an extended
 *              attribute beside the mark (mark.h), found again after a restart, ends with the group.
 *   lease      for whoever holds a file descriptor (lease.h). Counts in full until it is released. Goes to the parent when the group
 *              goes.
 *   job        what a move under way will still charge to its target
 *   placement  taken while a place is chosen, then handed to a job or a lease
 *
 * A claim is granted if there is room in the group and in each above: memory.max less memory.current less what others have claimed
 * there; at the top, MemAvailable of the machine. Check and charge are one step under one lock, so claims made at the same time never
 * get the same room. memory.current may read too high by the kernel's stock, 64 pages per CPU: claims err on the safe side.
 *
 * Any thread; none waits for another while files are read. What reads files says so: on a worker.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/tree.h>

typedef struct Claims Claims;
typedef struct Manager Manager;
struct json_object;

/*   id          word         doc */
#define CLAIM_KINDS(X)                                                                             \
        X(GROUP,     "group",     "of a group, for itself")                                        \
        X(LEASE,     "lease",     "held by a file descriptor")                                     \
        X(JOB,       "job",       "of a move under way")                                           \
        X(PLACEMENT, "placement", "while a place is being chosen")

typedef enum ClaimKind {
#define CLAIM_ENUM_(id, word, doc) CLAIM_##id,
        CLAIM_KINDS(CLAIM_ENUM_)
#undef CLAIM_ENUM_
        CLAIM_KIND_MAX_
} ClaimKind;
const char *claim_kind_to_string(ClaimKind kind);

#define CLAIM_BYTES_MAX (UINT64_C(1) << 63)
#define CLAIM_NOTE_MAX 128

typedef struct ClaimsOptions {
        ch_tree *tree;
        void (*changed)(void *userdata); /* claims_pop_change() has something; any thread; NULL: nobody asks */
        void *userdata;
} ClaimsOptions;

int claims_new(const ClaimsOptions *options, Claims **ret);
Claims *claims_free(Claims *claims);

/* Of the bytes claimed, so many are charged already to `group` or below it: they need no room there, nor above it. */
typedef struct ClaimInside {
        const char *group;
        uint64_t bytes;
} ClaimInside;

typedef struct ClaimRequest {
        const char *group; /* that is to have the room */
        uint64_t bytes;    /* 1 to CLAIM_BYTES_MAX */
        const ClaimInside *inside;
        size_t n_inside;
        ClaimKind kind; /* any but CLAIM_GROUP */
        uint32_t uid, pid, job;
        const char *note; /* NULL: none */
        unsigned max_per_uid; /* leases and placements of the uid; 0: any number */
        int dry_run;          /* check only: no claim is made */
} ClaimRequest;

/* Reads files. NoRoom, which names the group that is too small and by how much; NoSuchGroup, ControllerOff, LimitReached, BadValue.
 * The number of the claim, from 1 up. */
int claims_reserve(Claims *claims, const ClaimRequest *request, uint64_t *ret_id, ch_error **err);
/* Past all limits: what was granted before, or must be seen by others in any case. Reads no file. The group need not exist. */
int claims_add(Claims *claims, const ClaimRequest *request, uint64_t *ret_id);
/* -ENOENT: ended before. */
int claims_release(Claims *claims, uint64_t id);
/* The claim, of whatever kind, is this job's from now on: kind job, ends by claims_release(). -ENOENT. */
int claims_give_to_job(Claims *claims, uint64_t id, uint32_t job);
/* So much of it is charged by now, hence no longer open. */
void claims_set_done(Claims *claims, uint64_t id, uint64_t bytes);

/* Of groups, as CreateGroup has them. */

/*
 * Does a claim of so many bytes fit, in the group at `path` (which need not exist yet, nor the groups above it) and in
 * each above? `own_max`: what memory.max of the group itself is going to be; NULL: as it is. Reads files. 0, or NoRoom.
 */
int claims_check(Claims *claims, const char *path, uint64_t bytes, const uint64_t *own_max,
                 ch_error **err);
/* The same, and sets it, in place of an earlier one. 0 bytes: ends the claim. `ret_before` (may be NULL): the earlier one. Reads and
 * writes files. */
int claims_take(Claims *claims, ch_group *group, uint64_t bytes, const uint64_t *own_max,
                uint64_t *ret_before, ch_error **err);
/* Sets without a check: what was there before. Writes a file. */
void claims_put_back(Claims *claims, ch_group *group, uint64_t bytes);
/* A group that is known to have one, at the start of the daemon. Reads a file. */
void claims_load(Claims *claims, const char *path);
/* The group is gone: its own claim ends, what else was claimed in it counts in its parent. Nothing happens to a group of another id that
 * was made at the path meanwhile; 0: whatever it was. */
void claims_drop(Claims *claims, const char *path, uint64_t group_id);

/*
 * For whoever makes a group by another way than CreateGroup, once it is there and its memory.max is set: on a worker.
 * NoRoom: nothing was set. ControllerOff: memory is not accounted there. The claim ends with the group; claims_drop() ends it
 * for a group that is removed before the loop has seen it, but that is no must.
 */
int claim_check_and_set(Manager *manager, const char *path, uint64_t bytes, ch_error **err);

/* Who asks. */

/* ch_claimed_func with Claims as userdata: what is claimed at `group_path` and below, less what this thread may use. Reads files. */
uint64_t claims_claimed(const char *group_path, void *userdata);
/* The same in two parts, for whoever asks for many groups: what groups use of their claims is read, and then only reckoned with. */
void claims_refresh(Claims *claims);
uint64_t claims_claimed_as_read(const char *group_path, void *userdata);
/* The target of the plan, move or placement that this thread is about; NULL: none. Claims of that group and of those above it do not stand
 * in its way, nor in that of claims_reserve(): they are there for it. The text must last. */
void claims_act_for(const char *path);
/* Claims whose room this thread may use, beside that: a lease, and the job's own, which also takes no notice of jobs that came
 * later. 0: none. */
void claims_act_with(uint64_t lease, uint64_t own);

/* What there is. */

/* Rows of ListClaims: an array. `group` may be NULL, else those in it and below. Reads files. */
int claims_list(Claims *claims, const char *group, struct json_object **ret);
/* {lease: {number, bytes}, …}: of each kind that there is at the group and below; "" is the machine. */
int claims_stats_to_json(Claims *claims, const char *group, struct json_object **ret);
/* {group, bytes} of each claim of a group, {group, bytes, job} of each job, {group, bytes, claim, kind} of the rest: appended. */
int claims_append_json(Claims *claims, struct json_object *array);

/* What came and went, in order; one at a time. 0: nothing more. `group` is to be freed. */
typedef struct ClaimChange {
        uint64_t id, bytes;
        char *group;
        ClaimKind kind;
        int is_new;
} ClaimChange;
int claims_pop_change(Claims *claims, ClaimChange *ret);

/* Leases, for lease.c. */

/* A claim as the record of a lease has it. */
typedef struct ClaimRecord {
        uint64_t id, bytes, group_id, since_usec; /* CLOCK_BOOTTIME */
        char *group, *made_for, *note;
        uint32_t uid, pid;
} ClaimRecord;
void claim_record_done(ClaimRecord *record);
/* -ENOENT */
int claims_get_record(Claims *claims, uint64_t id, ClaimRecord *ret);
/* A claim of kind placement becomes a lease, known by the inode of its FIFO. -ENOENT. */
int claims_make_lease(Claims *claims, uint64_t id, uint64_t dev, uint64_t ino);
/* A lease of an earlier life of the daemon, under its old number; where its group is gone, at the nearest above that is still there. Past
 * all limits. Reads files. */
int claims_load_lease(Claims *claims, const ClaimRecord *record, uint64_t dev, uint64_t ino);
/* -ENOENT: none is known by that inode. */
int claims_find_lease(Claims *claims, uint64_t dev, uint64_t ino, uint64_t *ret_id);
/* A job is going to use it: nobody else may. In *ret_bytes what of it counts for the target, in *ret_group (to be freed; may be NULL) the
 * group that it is on: the target, or one above it where *ret_bytes > 0. NoSuchClaim, Busy. */
int claims_use_lease(Claims *claims, uint64_t id, const char *target, uint32_t job,
                     uint64_t *ret_bytes, char **ret_group, ch_error **err);
/* The job has ended: back to the holder; where that one let go meanwhile the claim ends. */
void claims_unuse_lease(Claims *claims, uint64_t id);
/* The holder let go. A lease that a job uses ends with the job. */
void claims_end_lease(Claims *claims, uint64_t id);
/* The next lease whose group changed since its record was written; 0: none. */
uint64_t claims_pop_moved_lease(Claims *claims);

#endif
