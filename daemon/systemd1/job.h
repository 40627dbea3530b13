/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_JOB_H
#define CHD_SYSTEMD1_JOB_H

/*
 * Jobs of units: the promise that JobRemoved comes, exactly once. At most one per unit. Numbers
 * only grow, also over restarts: the live ones stand in a mapped file of the state directory, so
 * that a daemon that was killed can tell the waiting clients after its restart ("canceled").
 */

#include <stdint.h>

#include "unit.h"

typedef enum UnitJobType { UNIT_JOB_START, UNIT_JOB_STOP, UNIT_JOB_TYPE_MAX_ } UnitJobType;
typedef enum UnitJobResult {
        UNIT_JOB_DONE,
        UNIT_JOB_CANCELED,
        UNIT_JOB_TIMEOUT,
        UNIT_JOB_FAILED,
        UNIT_JOB_SKIPPED,
        UNIT_JOB_RESULT_MAX_
} UnitJobResult;

typedef struct UnitJobs UnitJobs;

struct UnitJob {
        UnitJob *prev, *next;
        Unit *unit;
        uint32_t id;
        uint8_t type, running; /* running: 1, else waiting */
        uint32_t slot;         /* in the mapped file */
};

int unit_jobs_new(Face *face, int state_fd, UnitJobs **ret);
UnitJobs *unit_jobs_free(UnitJobs *jobs);
/* Sends JobNew. A start job under way is canceled by a stop job (JobRemoved "canceled"). */
int unit_job_add(Unit *unit, UnitJobType type, UnitJob **ret);
/* Sends PropertiesChanged of the unit, then JobRemoved; frees. The unit may be collected afterwards
 * by the caller. */
void unit_job_end(UnitJob *job, UnitJobResult result);
UnitJob *unit_jobs_find(const UnitJobs *jobs, uint32_t id);
UnitJob *unit_jobs_first(const UnitJobs *jobs);
size_t unit_jobs_count(const UnitJobs *jobs);
uint64_t unit_jobs_total(const UnitJobs *jobs); /* ever installed */
/* Jobs of an earlier life of the daemon: JobRemoved "canceled" for each. Once the name is ours. */
void unit_jobs_tell_stale(UnitJobs *jobs);
const char *unit_job_type_to_string(unsigned type);     /* "start" */
const char *unit_job_result_to_string(unsigned result); /* "done" */
/* "/org/freedesktop/systemd1/job/N" into a buffer */
#define UNIT_JOB_PATH_MAX 48
const char *unit_job_path(uint32_t id, char buffer[static UNIT_JOB_PATH_MAX]);

#endif
