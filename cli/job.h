/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_JOB_H
#define CTL_JOB_H

/* Waiting for a job of the daemon. */

#include "bus.h"

typedef struct JobEnd {
        char state[32];                 /* one of CH_JOB_STATES that ends */
        struct json_object *result;     /* ch_move_to_json(); NULL if it could not be read */
        int interrupted;                /* Ctrl-C was pressed and the job asked to end */
} JobEnd;

/* Listen for the ends of jobs; to be called before the job is started, so that none is missed. */
int job_watch_begin(Cli *cli);
/* Show progress until the job ends. Ctrl-C cancels it and waits for the rollback; a second one
 * leaves it to the daemon. */
int job_wait(Cli *cli, uint32_t id, const char *object, JobEnd *ret);
void job_end_done(JobEnd *end);

#endif
