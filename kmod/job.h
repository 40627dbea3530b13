/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_JOB_H
#define CHARGEHAND_JOB_H

/* One MOVE at work: chunks, passes and budgets. move.c sets it up, and a second one for the way back. */

#include "chargehand.h"

/* Addresses that were moved, in the order of the walks. */
struct chargehand_runs {
	struct chargehand_range *list;
	unsigned int n, room;
};

struct chargehand_job {
	struct mm_struct *mm;
	struct mem_cgroup *from, *to;
	const struct chargehand_range *ranges;
	unsigned int n_ranges;
	u64 max_bytes, max_nsec;
	bool stop_at_limit; /* end at the first page that has no room, instead of trying smaller ones */
	bool insist;	    /* on the way back: nothing stops it, and no limit counts */

	struct chargehand_batch batch;
	struct chargehand_retag retag;
	struct chargehand_room room;
	struct chargehand_runs runs;

	u64 started;
	u64 resume; /* in and out */
	u32 stop;   /* CHARGEHAND_STOP_* */
	u32 chunks;
};

/* 0 with job->stop set, or < 0. */
int chargehand_job_run(struct chargehand_job *job);
/* Set job->from to the group with batch.from_id, with a reference, if a page from `resume` on is charged to it. */
int chargehand_job_find(struct chargehand_job *job, unsigned long resume);
/* Bytes that have changed their account. */
u64 chargehand_job_moved(const struct chargehand_job *job);
void chargehand_job_done(struct chargehand_job *job);

#endif
