/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_MOVE_H
#define CH_MOVE_H

/* Inside of a move in progress, shared by move*.c and recover.c. The public face is
 * include/chargehand/move.h. */

#include <stdatomic.h>

#include <chargehand/move.h>

#include "json-build.h"
#include "plan.h"

typedef enum MoveState {
        MOVE_FINISHED,
        MOVE_PARTLY,
        MOVE_ROLLED_BACK,
        MOVE_REFUSED,
        MOVE_FAILED,
        MOVE_STATE_MAX_,
} MoveState;

/* Pages that the module is about to move: kept where it cannot be told afterwards whose they were. */
typedef struct Trail {
        pid_t pid;
        uint64_t group_id; /* who paid */
        struct chargehand_range range;
} Trail;

struct ch_move {
        ch_plan *plan;
        ch_move_hooks hooks;
        atomic_int cancelled;
        int uncancellable;                    /* rolling back */
        uint64_t started_usec, deadline_usec; /* 0 none */
        uint64_t processes_usec, charges_usec, elapsed_usec;
        uint64_t progress_usec; /* last told */
        uint64_t rate_usec;     /* when the next batch may begin, under a rate limit */
        unsigned rounds;

        ch_step step;
        json_object *record; /* for the journal; only kept if there is one */
        size_t n_recorded;   /* members that are in it */

        pid_t *strangers; /* sorted: were in the target before */
        size_t n_strangers;
        int target_was_empty;

        Charges charges; /* of the set, as found once the processes had moved */
        Charges rest;    /* what the module left of it, for the other backends */
        Charges back;    /* of a rollback */
        Trail *trails;   /* for a rollback: who paid for what */
        size_t n_trails, n_trails_allocated;
        uint64_t moved_by[CH_BACKEND_MAX_][CH_KIND_MAX_];
        Charges after;   /* measured at the end */
        uint64_t planned_bytes, moved_bytes, returned_bytes, failed_bytes;

        MoveState state;
        ch_error *error; /* why it did not go as planned */
};

/* 0, -ECANCELED, -ETIMEDOUT */
int move_interrupted(const ch_move *move);
/* Sleep, but not past a cancel or the deadline: as move_interrupted(). */
int move_sleep(const ch_move *move, uint64_t usec);
/* Tell the journal; its refusal is a failure of the step. */
int move_enter(ch_move *move, ch_step step, ch_error **err);
void move_progress(ch_move *move, uint64_t done, uint64_t total, int force);

/* move-procs.c: all processes to the target, until none is left in a source. -EBUSY…: the kernel
 * refused one. */
int move_processes(ch_move *move, ch_error **err);
/* All processes back to where each came from; whatever joined the set meanwhile goes with its
 * parent. */
int move_processes_back(ch_move *move, ch_error **err);
/* move-verify.c: read membership back: outcomes. Returns the number of live processes that are not
 * in the target; they are pending again, or refused if this was the `final` try. */
int move_verify(ch_move *move, int final, ch_error **err);
/* Remember who is in the target before anything happens. */
int move_note_strangers(ch_move *move, ch_error **err);
int move_is_stranger(const ch_move *move, pid_t pid);
/* move-freeze.c: stop the sources that are wholly part of the move, so that nothing forks any more.
 * Frozen processes can be moved, and run again in a target that is not frozen. */
int move_freeze(ch_move *move, ch_error **err);
/* Never leaves a source frozen. */
int move_thaw(ch_move *move);

/* move-charges.c: 0, -ENOSPC a limit is in the way, -ECANCELED, -ETIMEDOUT, -EPERM. */
int move_charges(ch_move *move, Charges *charges, ch_error **err);
/* Bytes that are charged to the destination now and were not when they were scanned. */
uint64_t charges_moved_bytes(const Charges *charges);
/* Bytes that were chosen and are not there. */
uint64_t charges_left_bytes(const Charges *charges);

/* move-retag.c: by the module, what one address space has, in slices. 0; -ENOSPC, -ECANCELED, -ETIMEDOUT, -ESRCH; -EOPNOTSUPP: the module
 * cannot do it after all. Adds to *done_bytes. */
int move_retag(ch_move *move, Charges *charges, ChargeMm *mm, uint64_t *done_bytes, ch_error **err);
/* move-trail.c: remember who pays for what is about to be moved, where that matters for a rollback. */
int move_keep_trail(ch_move *move, const Charges *charges, const ChargeMm *mm, ch_error **err);
/* Would a rollback that gives all to the process's own group give it to the wrong one? Pure. */
int move_needs_trail(const Charges *charges, const ChargeMm *mm);
/* Of what move_keep_trail() kept: whether there is any for this process. */
int move_has_trail(const ch_move *move, pid_t pid);

/* Scan the set again, now that it is in place, choose, and recharge; LAZY until nothing is left. As
 * move_charges(). */
int move_recharge(ch_move *move, ch_error **err);
/* Bytes that were to be moved by the last move_recharge() and were not. */
uint64_t move_left_bytes(const ch_move *move);
/* Charges that were moved to the target, or all of the set's there if `all`, back to where each
 * process is. */
int move_recharge_back(ch_move *move, int all, ch_error **err);

/* move-room.c: reclaim in the target. -ENOSPC: it was not enough. */
int move_make_room(ch_move *move, ch_error **err);
/* move.c */
int move_roll_back(ch_move *move, int all_charges, ch_error **err);
int move_finish_charges(ch_move *move, ch_error **err);
/* Measure and close, for a move that is done (result >= 0) or whose policy keeps what was done. As
 * ch_move_run(). */
int move_end(ch_move *move, int result, ch_error **err);

/* move-record.c */
int record_update(ch_move *move);

static inline void ch_move_freep(ch_move **move)
{
        (void)ch_move_free(*move);
}

#endif
