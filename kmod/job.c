// SPDX-License-Identifier: GPL-2.0-only
/*
 * A move at work: chunk by chunk, pass by pass, within its budgets.
 *
 * A chunk: room in the target, take, a grace period, commit, settle. mmap_lock is held for reading from the
 * first to the second walk, and dropped between chunks.
 */

#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mmap_lock.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "job.h"

enum {
	PASSES = 3, /* what was busy is looked at again that often */
	PASSES_BACK = 20, /* the way back, a millisecond apart */
};

/* ---- where it has been ---- */

/* Called under spinlocks: runs_reserve() has made room. */
static int runs_note(void *userdata, unsigned long start, unsigned long end)
{
	struct chargehand_runs *runs = userdata;

	if (runs->n && runs->list[runs->n - 1].end == start) {
		runs->list[runs->n - 1].end = end;
		return 0;
	}
	if (WARN_ON_ONCE(runs->n == runs->room))
		return -ENOMEM;
	runs->list[runs->n++] = (struct chargehand_range){ .start = start, .end = end };
	return 0;
}

static int runs_reserve(struct chargehand_runs *runs, unsigned int more)
{
	struct chargehand_range *list;
	unsigned int room = max(runs->n + more, 2 * runs->room);

	if (runs->n + more <= runs->room)
		return 0;
	list = kvmalloc_array(room, sizeof(*list), GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	if (runs->n)
		memcpy(list, runs->list, runs->n * sizeof(*list));
	kvfree(runs->list);
	runs->list = list;
	runs->room = room;
	return 0;
}

/* ---- one chunk ---- */

static void settle(struct chargehand_job *job)
{
	struct chargehand_batch *batch = &job->batch;

	chargehand_retag_flush(&job->retag);
	chargehand_room_commit(&job->room, batch->moved, batch->counted);
	/* Others look at a shared folio under page-table locks of their own: they are to have forgotten
	 * whose it was before it is on another's list. */
	if (batch->wait)
		synchronize_rcu_expedited();
	chargehand_batch_release(batch);
}

static int chunk(struct chargehand_job *job, unsigned long start, unsigned long end)
{
	struct chargehand_batch *batch = &job->batch;
	u64 begun, waited;
	int r;

	if (job->insist)
		mmap_read_lock(job->mm);
	else if (mmap_read_lock_killable(job->mm))
		return -EINTR;
	begun = ktime_get_ns();
	r = chargehand_batch_take(batch, start, end);
	if (r >= 0 && batch->n_waiting) {
		waited = ktime_get_ns();
		synchronize_rcu_expedited();
		batch->grace_nsec += ktime_get_ns() - waited;
		r = chargehand_batch_commit(batch);
	}
	mmap_read_unlock(job->mm);
	begun = ktime_get_ns() - begun;
	batch->lock_max_nsec = max(batch->lock_max_nsec, begun);
	batch->lock_total_nsec += begun;
	if (batch->retag)
		settle(job);
	return r;
}

/* ---- budgets ---- */

u64 chargehand_job_moved(const struct chargehand_job *job)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < CHARGEHAND_KINDS; i++)
		sum += job->batch.moved_bytes[i];
	return sum;
}

/* Pages that may still be moved. */
static unsigned long budget(const struct chargehand_job *job)
{
	u64 moved = chargehand_job_moved(job);

	if (!job->max_bytes)
		return ULONG_MAX;
	return moved < job->max_bytes ? (job->max_bytes - moved) >> PAGE_SHIFT : 0;
}

/* CHARGEHAND_STOP_* that is due before the next chunk; DONE if none. */
static u32 why_stop(const struct chargehand_job *job)
{
	if (job->insist)
		return CHARGEHAND_STOP_DONE;
	if (signal_pending(current))
		return CHARGEHAND_STOP_SIGNAL;
	if (!chargehand_memcg_is_online(job->to))
		return CHARGEHAND_STOP_TARGET_GONE;
	if (job->mm != current->mm && atomic_read(&job->mm->mm_users) == 1)
		return CHARGEHAND_STOP_EXIT;
	if (job->batch.spent || !budget(job))
		return CHARGEHAND_STOP_BYTES;
	/* However slow it is, there is progress. */
	if (job->chunks && job->max_nsec && ktime_get_ns() - job->started >= job->max_nsec)
		return CHARGEHAND_STOP_TIME;
	if (job->batch.no_room && job->stop_at_limit)
		return CHARGEHAND_STOP_NO_ROOM;
	return CHARGEHAND_STOP_DONE;
}

/* Room in the target for the next chunk, and to remember what it does. */
static int prepare_chunk(struct chargehand_job *job)
{
	struct chargehand_batch *batch = &job->batch;
	unsigned long want = (unsigned long)batch->chunk * CHARGEHAND_CHUNK_HUGE;

	if (!batch->retag)
		return 0;
	batch->budget = budget(job);
	/* No more than there can be; memory.peak of the target sees it. */
	if (!chargehand_memcg_is_root(job->from))
		want = min(want, page_counter_read(&job->from->memory));
	/* Who allocates in the target meanwhile is not to run into its limit because of a reserve. */
	if (!job->room.forced)
		want = min(want, max(job->room.reserved + chargehand_room_free(job->to) / 2,
				     (unsigned long)HPAGE_PMD_NR));
	batch->room = chargehand_room_reserve(&job->room, min(max(want, 1UL), batch->budget));
	batch->no_room = !batch->room;
	/* What is off the LRU cannot be reclaimed: a group that needs to is to find enough else. */
	batch->room = min(batch->room, max3(chargehand_room_free(job->from) / 2,
					    page_counter_read(&job->from->memory) / 8,
					    (unsigned long)HPAGE_PMD_NR));
	if (!batch->note)
		return 0;
	return runs_reserve(&job->runs, batch->chunk);
}

/* ---- passes ---- */

static int run_range(struct chargehand_job *job, unsigned long start, unsigned long end)
{
	int r;

	while (start < end) {
		job->resume = start;
		r = prepare_chunk(job);
		if (r < 0)
			return r;
		job->stop = why_stop(job);
		if (job->stop != CHARGEHAND_STOP_DONE)
			return 0;
		r = chunk(job, start, end);
		if (r < 0)
			return r;
		if (job->batch.from != job->from)
			return 0; /* found what was looked for */
		job->chunks++;
		start = job->batch.end;
		cond_resched();
	}
	job->resume = end;
	return 0;
}

static int run_pass(struct chargehand_job *job, unsigned long resume)
{
	unsigned int i;
	int r;

	memset(job->batch.left_bytes, 0, sizeof(job->batch.left_bytes));
	job->batch.elsewhere_bytes = 0;
	for (i = 0; i < job->n_ranges; i++) {
		unsigned long start = max_t(unsigned long, job->ranges[i].start, resume);

		if (start >= job->ranges[i].end)
			continue;
		r = run_range(job, start, job->ranges[i].end);
		if (r < 0 || job->stop != CHARGEHAND_STOP_DONE || job->batch.from != job->from)
			return r;
	}
	return 0;
}

int chargehand_job_run(struct chargehand_job *job)
{
	unsigned long resume = job->resume;
	u64 already = 0;
	int i, r = 0;

	job->started = ktime_get_ns();
	job->chunks = 0;
	if (job->batch.retag && !job->insist) {
		job->batch.note = runs_note;
		job->batch.userdata = &job->runs;
	}
	for (i = 0; i < (job->insist ? PASSES_BACK : PASSES); i++) {
		if (i && job->insist)
			usleep_range(1000, 2000); /* a page is busy for as long as somebody else's chunk, or I/O */
		/* Pages in a CPU's batch are on no list yet, and cannot be taken. */
		if (job->batch.retag)
			chargehand_call(lru_add_drain_all)();
		r = run_pass(job, resume);
		/* Later passes see what the first has moved. */
		if (!i)
			already = job->batch.already_bytes;
		if (r < 0 || job->stop != CHARGEHAND_STOP_DONE || !job->batch.retag ||
		    !job->batch.left_bytes[CHARGEHAND_LEFT_BUSY])
			break;
	}
	job->batch.already_bytes = already;
	if (!r && job->stop == CHARGEHAND_STOP_DONE && job->batch.left_bytes[CHARGEHAND_LEFT_NO_ROOM])
		job->stop = CHARGEHAND_STOP_NO_ROOM;
	return r;
}

int chargehand_job_find(struct chargehand_job *job, unsigned long resume)
{
	int r;

	/* Stops at the first page, with `end` short of what was asked for: look whether it was found. */
	job->started = ktime_get_ns();
	r = run_pass(job, resume);
	job->from = job->batch.from;
	return r;
}

void chargehand_job_done(struct chargehand_job *job)
{
	chargehand_room_done(&job->room);
	chargehand_retag_done(&job->retag);
	kvfree(job->runs.list);
	job->runs = (struct chargehand_runs){};
}
