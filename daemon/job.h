/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_JOB_H
#define CHD_JOB_H

/*
 * Jobs: moves, and the recovery of moves that a crash interrupted. A job runs on the movers' pool;
 * its progress and end come back to the loop, where the model below lives. What moves under way will
 * still need in their targets is claimed there (claim.h).
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <chargehand/move.h>

#include "claim.h"
#include "hash.h"
#include "worker.h"

struct json_object;
typedef struct Job Job;
typedef struct Jobs Jobs;

typedef enum JobState {
        JOB_WAITING,
        JOB_RUNNING,
        JOB_CANCELLING,
        JOB_FINISHED,
        JOB_PARTLY_DONE,
        JOB_ROLLED_BACK,
        JOB_CANCELLED,
        JOB_FAILED,
        JOB_STATE_MAX_
} JobState;
const char *job_state_to_string(JobState state);
int job_state_is_end(JobState state);

struct Job {
        Task task;
        Jobs *jobs;
        Job *prev, *next; /* in Jobs, oldest first */
        uint32_t id;
        uint32_t uid;
        const char *type; /* "move", "recover" */
        char *group;      /* the target */
        JobState state;

        /* written by the worker, read by the loop */
        atomic_int step;
        atomic_uint_fast64_t bytes_done, bytes_total;
        atomic_int begun; /* run() has been entered */

        /* the worker's until done() */
        ch_move *move;
        struct json_object *record; /* type recover: what the journal had */
        ch_error *error;
        int status;        /* of ch_move_run() */
        int in_membership; /* holds Jobs.membership */

        struct json_object *result;
        pid_t *pids; /* that are being moved */
        size_t n_pids;
        uint64_t claim, lease; /* numbers of claims (claim.h): its own, and the lease that it was given; 0: none */
        uint64_t below_lease;  /* its claim between a lease that is on a group above the target, and the target */
        uint64_t lease_bytes;  /* of the lease that count for the target */
        int told_step; /* what the bus was told last */
        uint64_t told_done;
        JobState told_state;
};

typedef struct JobsObserver {
        void (*added)(Job *job, void *userdata);
        void (*progressed)(Job *job,
                           void *userdata); /* step, bytes or state differ from what was told */
        void (*ended)(Job *job, void *userdata);
        void (*forgotten)(Job *job, void *userdata); /* before the oldest ended one is freed */
        void *userdata;
} JobsObserver;

typedef struct JobsOptions {
        ch_tree *tree;
        Pool *pool;
        Claims *claims;
        int state_fd; /* StateDirectory: the journal is moves/N.json in it */
        unsigned history;
        unsigned kill_at_step;
        int parallel_writes; /* favordynmods: membership writes of several jobs may overlap */
        JobsObserver observer;
} JobsOptions;

struct Jobs {
        JobsOptions options;
        Job *first, *last;
        Hash by_id;
        uint32_t next_id;
        unsigned n_live, n_ended;
        pthread_mutex_t lock;       /* of the list */
        pthread_mutex_t membership; /* one writer of cgroup.procs at a time */
        atomic_uint n_journalled;
};

int jobs_new(const JobsOptions *options, Jobs **ret);
/* Jobs still at work are left to the end of the process. */
Jobs *jobs_free(Jobs *jobs);
Job *jobs_get(const Jobs *jobs, uint32_t id);
/* Claims that a move may use; 0: none. */
typedef struct JobRoom {
        uint64_t lease; /* its room counts as free; whoever started the move ends it when that has finished in full */
        uint64_t claim; /* made for the move: becomes the job's own and ends with it, also on failure */
} JobRoom;
/*
 * Start a move; takes the plan, also on failure. `room` may be NULL. Busy: another job moves one of the processes, or uses the lease.
 */
int jobs_add_move(Jobs *jobs, ch_plan *plan, const char *target, uint32_t uid, const JobRoom *room,
                  Job **ret, ch_error **err);
/* Start a recovery from a journal record (a reference is taken) under its old number. */
int jobs_add_recovery(Jobs *jobs, uint32_t id, uint32_t uid, struct json_object *record, Job **ret,
                      ch_error **err);
/* 1 it was asked to end, 0 it had ended. */
int job_cancel(Job *job);
void jobs_cancel_all(Jobs *jobs);
/* On the loop, whenever the pool was woken. */
void jobs_check_progress(Jobs *jobs);
#endif
