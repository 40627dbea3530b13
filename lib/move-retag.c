/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recharging by the kernel module: what one group pays for in one address space, in slices short enough to be cancelled, and again for pages
 * that were busy. What moved is what the module says: it counts pages as it moves them.
 */

#include "error.h"
#include "move.h"
#include "retag.h"
#include "units.h"
#include "util.h"

enum {
        SLICE_USEC = 100000, /* a cancel is noticed in time */
        PASSES = 5,
        PASS_PAUSE_USEC = 10000, /* for pages that were busy; doubles */
};

/* Reasons that a dry move cannot foresee. */
static const ch_reason failures[] = { CH_REASON_PINNED, CH_REASON_BUSY, CH_REASON_NO_ROOM };

typedef struct Sweep {
        ch_move *move;
        Charges *charges;
        ChargeMm *mm;
        Retag *retag;
        ch_module *module;
        int pidfd, from_fd, to_fd;
        uint64_t *done_bytes;
        uint64_t room_bytes; /* of the slice under way; UINT64_MAX: it was not asked for */
        int room_is_tight;   /* the slice was given no more than that */
        ch_error **err;
} Sweep;

static int no_room(const Sweep *s, const char *group)
{
        return error_set(s->err, CH_ERROR_NO_ROOM, ENOSPC, group,
                         "memory.max or memory.high of it or of an ancestor is reached; raise it, free memory there, or move with "
                         "policy 'partial' or 'lazy'");
}

/* The module looks at memory.max only, and at the moment only: memory.high is kept here. */
static int find_room(Sweep *s)
{
        _cleanup_(freep) char *group = NULL;
        int r;

        s->room_bytes = UINT64_MAX;
        if (s->move->uncancellable)
                return 0;
        r = plan_read_free(s->move->plan, &s->room_bytes, &group);
        if (r < 0)
                return r;
        return s->room_bytes < s->charges->page_bytes ? no_room(s, group ? group : "") : 0;
}

/* Bytes that the next slice may move; 0 for no limit. One huge page is always allowed by the rate. */
static uint64_t slice_bytes(Sweep *s)
{
        uint64_t rate = s->move->uncancellable ? 0 : s->move->plan->options.rate_bytes_per_sec;
        uint64_t bytes = UINT64_MAX;

        if (rate) {
                bytes = (uint64_t)((double)rate * SLICE_USEC / 1e6);
                if (bytes < s->charges->huge_bytes)
                        bytes = s->charges->huge_bytes;
        }
        s->room_is_tight = s->room_bytes < bytes;
        bytes = min_u64(bytes, s->room_bytes);
        return bytes == UINT64_MAX ? 0 : bytes & ~(s->charges->page_bytes - 1);
}

static int keep_rate(Sweep *s)
{
        uint64_t now = now_usec();

        return s->move->rate_usec > now ? move_sleep(s->move, s->move->rate_usec - now) : 0;
}

static void count(Sweep *s, const struct chargehand_move *arg)
{
        uint64_t rate = s->move->plan->options.rate_bytes_per_sec, bytes = 0;

        for (unsigned i = 0; i < CHARGEHAND_KINDS; i++) {
                ch_kind kind = module_kind(i);

                s->retag->moved[kind] += arg->moved[i];
                bytes += arg->moved[i];
                if (!s->move->uncancellable)
                        s->move->moved_by[CH_BACKEND_MODULE][kind] += arg->moved[i];
        }
        for (size_t i = 0; i < CHARGEHAND_LEFTS; i++)
                for (size_t k = 0; k < ELEMENTSOF(failures); k++)
                        if (retag_reason((unsigned)i) == failures[k] && i != CHARGEHAND_LEFT_OTHER)
                                s->retag->failed_bytes[failures[k]] += arg->left[i];
        if (rate)
                s->move->rate_usec = now_usec() + (uint64_t)((double)bytes * 1e6 / (double)rate);
        *s->done_bytes += bytes;
        move_progress(s->move, *s->done_bytes, s->charges->movable_bytes, 0);
}

static uint64_t moved_bytes(const struct chargehand_move *arg)
{
        uint64_t bytes = 0;

        for (unsigned i = 0; i < CHARGEHAND_KINDS; i++)
                bytes += arg->moved[i];
        return bytes;
}

/* 1: go on where it ended; 0 it is at the end. */
static int slice_end(Sweep *s, const struct chargehand_move *arg)
{
        switch (arg->stop) {
        case CHARGEHAND_STOP_TIME:
        case CHARGEHAND_STOP_SIGNAL:
                return 1;
        case CHARGEHAND_STOP_BYTES:
                /* a huge page is next, and does not fit */
                if (moved_bytes(arg) == 0 && s->room_is_tight)
                        return no_room(s, ch_group_get_path(s->move->plan->target));
                return 1;
        case CHARGEHAND_STOP_NO_ROOM:
                return no_room(s, ch_group_get_path(s->move->plan->target));
        case CHARGEHAND_STOP_TARGET_GONE:
                return error_set(s->err, CH_ERROR_NO_SUCH_GROUP, ENODEV, ch_group_get_path(s->move->plan->target),
                                 "the group was removed while charges moved there; its processes keep their old charges");
        default:
                return 0;
        }
}

/* Going back is past limits: what was there before has a right to its place. */
static int command(Sweep *s, struct chargehand_move *arg)
{
        int r;

        if (s->move->uncancellable)
                arg->flags |= CHARGEHAND_MOVE_FORCE;
        r = ch_module_move(s->module, arg, NULL);
        if (retag_is_nothing(arg, r))
                arg->stop = CHARGEHAND_STOP_DONE;
        else if (r < 0 && r != -EINTR)
                return r;
        return 0;
}

static int run_slices(Sweep *s, const struct chargehand_move *template)
{
        struct chargehand_move arg = *template;
        int r;

        arg.max_nsec = SLICE_USEC * UINT64_C(1000);
        do {
                r = move_interrupted(s->move);
                if (r >= 0)
                        r = keep_rate(s);
                if (r >= 0)
                        r = find_room(s);
                if (r < 0)
                        return r;
                arg.max_bytes = slice_bytes(s);
                r = command(s, &arg);
                if (r < 0)
                        return r;
                s->retag->flags |= RETAG_TRIED;
                count(s, &arg);
                r = slice_end(s, &arg);
        } while (r > 0);
        return r;
}

static struct chargehand_move new_arg(const Sweep *s, uint32_t kinds, uint32_t flags)
{
        struct chargehand_move arg = {
                .pidfd = s->pidfd,
                .to_fd = s->to_fd,
                .kinds = kinds & retag_kinds(s->module, s->move->plan->options.with_shared),
                .flags = flags,
        };

        retag_set_from(&arg, s->from_fd, s->retag->group_id);
        return arg;
}

static int run_ranges(Sweep *s, const struct chargehand_range *ranges, size_t n, uint32_t kinds)
{
        struct chargehand_move arg = new_arg(s, kinds, CHARGEHAND_MOVE_SHARED);
        int r = 0;

        for (size_t at = 0; at < n && arg.kinds && r >= 0; at += RETAG_RANGES_MAX) {
                arg.ranges = (uint64_t)(uintptr_t)&ranges[at];
                arg.n_ranges = (uint32_t)min_u64(RETAG_RANGES_MAX, n - at);
                r = run_slices(s, &arg);
        }
        return r;
}

static int run_pass(Sweep *s)
{
        uint32_t flags = s->move->plan->options.with_shared ? CHARGEHAND_MOVE_SHARED : 0;
        struct chargehand_move arg = new_arg(s, CHARGEHAND_MOVE_KINDS, flags);
        int r;

        memset(s->retag->failed_bytes, 0, sizeof(s->retag->failed_bytes));
        r = run_slices(s, &arg);
        if (r >= 0)
                r = run_ranges(s, &s->charges->ranges[s->mm->first_range], s->mm->n_ranges, RETAG_SHARED_KINDS);
        return r;
}

static int run_retag(Sweep *s)
{
        uint64_t pause = PASS_PAUSE_USEC;
        int r = 0;

        for (unsigned pass = 0; pass < PASSES && r >= 0; pass++) {
                if (pass) {
                        r = move_sleep(s->move, pause);
                        pause *= 2;
                }
                if (r >= 0)
                        r = run_pass(s);
                if (s->retag->failed_bytes[CH_REASON_BUSY] == 0)
                        break;
        }
        if (r >= 0)
                s->retag->flags |= RETAG_FINISHED;
        return r;
}

static int compare_trails(const void *a, const void *b)
{
        const Trail *x = a, *y = b;

        if (x->pid != y->pid)
                return x->pid < y->pid ? -1 : 1;
        if (x->group_id != y->group_id)
                return x->group_id < y->group_id ? -1 : 1;
        return x->range.start < y->range.start ? -1 : x->range.start > y->range.start;
}

/* Trails of one process and one payer, as ranges. Returns how many. */
static size_t gather(const ch_move *m, size_t first, struct chargehand_range *ranges)
{
        const Trail *head = &m->trails[first];
        size_t n = 0;

        while (first + n < m->n_trails && m->trails[first + n].pid == head->pid &&
               m->trails[first + n].group_id == head->group_id) {
                ranges[n] = m->trails[first + n].range;
                n++;
        }
        return n;
}

/* To who paid; where that cannot be (it is gone, or is the root, which has no account) to the process's own. */
static int return_ranges(Sweep *s, uint64_t group_id, const struct chargehand_range *ranges, size_t n)
{
        _cleanup_(closep) int fd = -EBADF;
        int home_fd = s->to_fd, r = -EINVAL;

        if (group_id != s->mm->dest_id)
                fd = plan_open_memcg(s->move->plan, group_id);
        if (fd >= 0) {
                s->to_fd = fd;
                r = run_ranges(s, ranges, n, CHARGEHAND_MOVE_KINDS);
                s->to_fd = home_fd;
        }
        return r == -EINVAL || r == -ENODEV ? run_ranges(s, ranges, n, CHARGEHAND_MOVE_KINDS) : r;
}

/* By the addresses: as much as possible. */
static int run_trails(Sweep *s)
{
        ch_move *m = s->move;
        _cleanup_(freep) struct chargehand_range *ranges = calloc(m->n_trails, sizeof(*ranges));
        int result = 0;
        size_t n;

        if (!ranges)
                return -ENOMEM;
        qsort(m->trails, m->n_trails, sizeof(*m->trails), compare_trails);
        for (size_t i = 0; i < m->n_trails; i += n) {
                int r = 0;

                n = gather(m, i, ranges);
                if (m->trails[i].pid == s->mm->pid)
                        r = return_ranges(s, m->trails[i].group_id, ranges, n);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}

int move_retag(ch_move *m, Charges *c, ChargeMm *mm, uint64_t *done_bytes, ch_error **err)
{
        _cleanup_(closep) int pidfd = -EBADF, to_fd = -EBADF;
        int by_trail = m->uncancellable && move_has_trail(m, mm->pid);
        Sweep s = { .move = m,
                    .charges = c,
                    .mm = mm,
                    .module = plan_get_module(m->plan),
                    .done_bytes = done_bytes,
                    .err = err };
        int r;

        r = plan_open_process(m->plan, mm->pid, &pidfd);
        if (r < 0)
                return r;
        to_fd = plan_open_memcg(m->plan, mm->dest_id);
        if (to_fd < 0)
                return to_fd;
        s.pidfd = pidfd;
        s.to_fd = to_fd;
        if (!m->uncancellable)
                r = move_keep_trail(m, c, mm, err);
        for (uint32_t i = 0; i < mm->n_retags && r >= 0; i++) {
                _cleanup_(closep) int from_fd = -EBADF;

                s.retag = &c->retags[mm->first_retag + i];
                s.from_fd = from_fd = plan_open_memcg(m->plan, s.retag->group_id);
                r = by_trail ? run_trails(&s) : run_retag(&s);
        }
        return r;
}
