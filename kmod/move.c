// SPDX-License-Identifier: GPL-2.0-only
/* MOVE: check what is asked for, set the job up, run it, and run it backwards if it was all or nothing. */

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "job.h"

struct move {
	struct chargehand_move arg;
	struct chargehand_range *ranges;
	struct chargehand_range all;
	struct chargehand_job there, back;
};

static int check(const struct chargehand_move *arg)
{
	if (arg->flags & ~CHARGEHAND_MOVE_FLAGS)
		return -EINVAL;
	if (!arg->kinds || arg->kinds & ~CHARGEHAND_MOVE_KINDS)
		return -EINVAL;
	if (arg->from_fd < -1 || (arg->from_fd == -1) != !!arg->from_id)
		return -EINVAL;
	if (arg->chunk_pages && (arg->chunk_pages < CHARGEHAND_CHUNK_MIN || arg->chunk_pages > CHARGEHAND_CHUNK_MAX))
		return -EINVAL;
	if (arg->resume & ~PAGE_MASK || arg->resume > TASK_SIZE_MAX)
		return -EINVAL;
	if (arg->max_bytes && arg->max_bytes < PAGE_SIZE)
		return -EINVAL;
	return arg->flags & CHARGEHAND_MOVE_DRY ? 0 : chargehand_gate_move();
}

/* Fds to objects, with references. */
static int resolve(struct move *move)
{
	struct chargehand_job *job = &move->there;
	int r;

	r = chargehand_ranges_get(move->arg.ranges, move->arg.n_ranges, &move->ranges);
	if (r < 0)
		return r;
	move->all = (struct chargehand_range){ .start = 0, .end = TASK_SIZE_MAX };
	job->ranges = move->ranges ?: &move->all;
	job->n_ranges = move->ranges ? move->arg.n_ranges : 1;
	r = chargehand_memcg_get(move->arg.to_fd, &job->to);
	if (r < 0)
		return r;
	if (chargehand_memcg_is_root(job->to))
		return -EINVAL;
	if (move->arg.from_fd >= 0)
		r = chargehand_memcg_get(move->arg.from_fd, &job->from);
	else
		r = chargehand_memcg_get_by_id(move->arg.from_id, &job->from);
	/* By its id a group may be gone, or on its way out: then it is looked for among the pages. */
	if (r < 0 && (move->arg.from_fd >= 0 || (r != -ENOENT && r != -ENODEV)))
		return r;
	if (job->from == job->to || move->arg.from_id == chargehand_memcg_id(job->to))
		return -EINVAL;
	return chargehand_mm_get(move->arg.pidfd, &job->mm);
}

static void batch_init(struct chargehand_job *job, const struct move *move)
{
	job->batch = (struct chargehand_batch){
		.mm = job->mm,
		.from = job->from,
		.to = job->to,
		.from_id = move->arg.from_id,
		.kinds = move->arg.kinds,
		.flags = move->arg.flags,
		.chunk = move->arg.chunk_pages ?: CHARGEHAND_CHUNK_DEFAULT,
	};
}

/* A group that was removed is known by its pages only. 1: nothing is charged to it from where we begin. */
static int find_from(struct move *move)
{
	struct chargehand_job *job = &move->there;
	int r;

	if (job->from)
		return 0;
	batch_init(job, move);
	job->batch.chunk = CHARGEHAND_CHUNK_MAX;
	r = chargehand_job_find(job, move->arg.resume);
	return r < 0 ? r : !job->from;
}

/* All that the way there and the way back need, so that neither fails for want of memory. */
static int prepare(struct move *move)
{
	struct chargehand_job *there = &move->there, *back = &move->back;
	int r;

	batch_init(there, move);
	there->max_bytes = move->arg.max_bytes;
	there->max_nsec = move->arg.max_nsec;
	there->resume = move->arg.resume;
	there->stop_at_limit = move->arg.flags & CHARGEHAND_MOVE_ALL;
	chargehand_room_init(&there->room, there->from, there->to, move->arg.flags & CHARGEHAND_MOVE_FORCE);
	there->batch.forced = there->room.forced;
	if (move->arg.flags & CHARGEHAND_MOVE_DRY)
		return 0;

	there->batch.items = kvmalloc_array(there->batch.chunk, sizeof(*there->batch.items), GFP_KERNEL);
	if (!there->batch.items)
		return -ENOMEM;
	r = chargehand_retag_init(&there->retag, there->from, there->to);
	if (r < 0)
		return r;
	there->batch.retag = &there->retag;

	back->mm = there->mm;
	back->from = there->to;
	back->to = there->from;
	back->insist = true;
	batch_init(back, move);
	back->batch.flags = CHARGEHAND_MOVE_SHARED;
	back->batch.forced = true;
	back->batch.from_tags = there->retag.tags;
	back->batch.items = there->batch.items;
	chargehand_room_init(&back->room, back->from, back->to, true);
	r = chargehand_retag_init(&back->retag, back->from, back->to);
	/* A group on its way out takes nothing back on 7.2: its parent has its pages by now. */
	if (r < 0 && r != -ENODEV)
		return r;
	back->batch.retag = r < 0 ? NULL : &back->retag;
	return 0;
}

/* Kinds of rest that MOVE_ALL does not mind. */
static bool has_rest(const struct chargehand_batch *batch)
{
	static const u8 reasons[] = {
		CHARGEHAND_LEFT_SHARED, CHARGEHAND_LEFT_PINNED, CHARGEHAND_LEFT_SWAP,
		CHARGEHAND_LEFT_LARGE,	CHARGEHAND_LEFT_DIRTY,	CHARGEHAND_LEFT_NO_ROOM,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (batch->left_bytes[reasons[i]])
			return true;
	return false;
}

static int run(struct move *move)
{
	struct chargehand_job *there = &move->there, *back = &move->back;
	bool all = move->arg.flags & CHARGEHAND_MOVE_ALL;
	int r = chargehand_job_run(there);

	/* Short of memory half-way: what was done is told, the caller may go on from there. */
	if (r == -ENOMEM && there->chunks && !all) {
		there->stop = CHARGEHAND_STOP_TIME;
		r = 0;
	}
	if (!r && all && there->stop == CHARGEHAND_STOP_DONE && has_rest(&there->batch))
		there->stop = CHARGEHAND_STOP_REST;
	if (!there->batch.retag || !back->batch.retag)
		return r;
	if (there->stop != CHARGEHAND_STOP_TARGET_GONE && !(all && (r < 0 || there->stop != CHARGEHAND_STOP_DONE)))
		return r;
	/* The reserve is not needed any more, and the way back charges what it needs. */
	chargehand_room_done(&there->room);
	back->ranges = there->runs.list;
	back->n_ranges = there->runs.n;
	(void)chargehand_job_run(back);
	return r;
}

/* What is charged to `to` now: a page may have come back as another kind than it went. */
static void count_net(u64 moved[CHARGEHAND_KINDS], const struct chargehand_batch *there,
		      const struct chargehand_batch *back)
{
	u64 rest = 0, n;
	int i;

	for (i = 0; i < CHARGEHAND_KINDS; i++) {
		n = min(there->moved_bytes[i], back->moved_bytes[i]);
		moved[i] = there->moved_bytes[i] - n;
		rest += back->moved_bytes[i] - n;
	}
	for (i = 0; i < CHARGEHAND_KINDS; i++) {
		n = min(moved[i], rest);
		moved[i] -= n;
		rest -= n;
	}
}

static void report(struct move *move)
{
	const struct chargehand_job *there = &move->there, *back = &move->back;
	struct chargehand_move *arg = &move->arg;

	arg->stop = there->stop;
	arg->resume = there->resume;
	arg->chunks = there->chunks;
	arg->already = there->batch.already_bytes;
	arg->elsewhere = there->batch.elsewhere_bytes;
	arg->returned = chargehand_job_moved(back);
	count_net(arg->moved, &there->batch, &back->batch);
	memcpy(arg->left, there->batch.left_bytes, sizeof(arg->left));
	arg->lock_max_nsec = max(there->batch.lock_max_nsec, back->batch.lock_max_nsec);
	arg->lock_total_nsec = there->batch.lock_total_nsec + back->batch.lock_total_nsec;
	arg->grace_total_nsec = there->batch.grace_nsec + back->batch.grace_nsec;
}

static void done(struct move *move)
{
	kvfree(move->there.batch.items);
	chargehand_job_done(&move->back);
	chargehand_job_done(&move->there);
	if (move->there.mm)
		mmput(move->there.mm);
	if (move->there.from)
		chargehand_memcg_put(move->there.from);
	if (move->there.to)
		chargehand_memcg_put(move->there.to);
	kvfree(move->ranges);
	kvfree(move);
}

long chargehand_move(void __user *user)
{
	struct move *move = kvzalloc(sizeof(*move), GFP_KERNEL);
	int r;

	if (!move)
		return -ENOMEM;
	r = chargehand_struct_in(&move->arg, sizeof(move->arg), CHARGEHAND_MOVE_SIZE_VER0, user);
	if (!r)
		r = check(&move->arg);
	if (!r)
		r = resolve(move);
	if (!r)
		r = find_from(move);
	if (!r)
		r = prepare(move);
	if (!r)
		r = run(move);
	if (r == 1)
		r = 0; /* nothing to do, and looking for it has set the rest */
	if (!r || r == -EINTR) {
		report(move);
		if (chargehand_struct_out(user, &move->arg, sizeof(move->arg)) < 0)
			r = -EFAULT;
	}
	if (!r && move->arg.stop == CHARGEHAND_STOP_SIGNAL)
		r = -EINTR;
	done(move);
	return r;
}
