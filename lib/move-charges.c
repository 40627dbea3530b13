/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recharging: has the module move what it can, collapses the chosen blocks in batches, drops file pages, and counts what came of it.
 *
 * Nothing is believed but the map: every batch is counted before it is begun (a block may have got
 * holes) and after. What is left, because a page was in use for a moment, is tried again a few
 * times.
 */

#include "collapse.h"
#include "error.h"
#include "move.h"
#include "recharge.h"
#include "units.h"
#include "util.h"

enum {
        BATCH_MAX = 32, /* blocks */
        BATCH_FIRST = 2,
        BATCH_USEC = 25000,       /* a batch is to take so long: a cancel is noticed in time */
        RATE_BATCH_USEC = 100000, /* a batch is to be no more than the rate allows in so long */
        PASSES = 5,
        PASS_PAUSE_USEC = 10000, /* for pages on their way through per-CPU lists; doubles */
};

typedef struct Recharge {
        ch_move *move;
        Charges *charges;
        ChargeMm *mm;
        int pidfd;
        PageReader *reader;
        Block *batch[BATCH_MAX];
        size_t n, size;       /* blocks in the batch, and how many it is to have */
        uint64_t growth_left; /* bytes that blocks may have lost since they were scanned */
        uint64_t done_bytes;
} Recharge;

uint64_t charges_moved_bytes(const Charges *c)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < c->n_blocks; i++)
                if (c->blocks[i].flags & BLOCK_TRIED)
                        bytes += sub_u64(c->blocks[i].there, c->blocks[i].before_there) *
                                 c->page_bytes;
        for (size_t i = 0; i < c->n_retags * CH_KIND_MAX_; i++)
                bytes += c->retags[i / CH_KIND_MAX_].moved[i % CH_KIND_MAX_];
        return bytes;
}

uint64_t charges_left_bytes(const Charges *c)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < c->n_blocks; i++)
                if ((c->blocks[i].flags & (BLOCK_CHOSEN | BLOCK_FINISHED)) == BLOCK_CHOSEN)
                        bytes += c->blocks[i].elsewhere * c->page_bytes;
        for (size_t i = 0; i < c->n_retags * CH_REASON_MAX_; i++)
                bytes += c->retags[i / CH_REASON_MAX_].failed_bytes[i % CH_REASON_MAX_];
        return bytes;
}

/* What is charged to the target more than now, at least for a moment. */
static uint64_t block_need(const Charges *c, const Block *b)
{
        if (b->flags & BLOCK_RECHARGE)
                return b->elsewhere * c->page_bytes;
        return c->huge_bytes - b->there * c->page_bytes;
}

/* Is there room for the batch, as limits and usage are now? What does not fit is left out, for a later pass. */
static int check_room(Recharge *x)
{
        uint64_t slack = room_slack_bytes(x->charges), need = slack, room;
        char free_text[CH_FORMAT_MAX], need_text[CH_FORMAT_MAX];
        _cleanup_(freep) char *group = NULL;
        size_t fits = 0;
        int r;

        if (x->move->uncancellable)
                return 0;
        r = plan_read_free(x->move->plan, &room, &group);
        if (r < 0)
                return r;
        while (fits < x->n && need + block_need(x->charges, x->batch[fits]) <= room)
                need += block_need(x->charges, x->batch[fits++]);
        if (fits) {
                x->n = fits;
                return 0;
        }
        need = slack + block_need(x->charges, x->batch[0]);
        return error_set(&x->move->error, CH_ERROR_NO_ROOM, ENOSPC, group ? group : "",
                         "only %s are free below its limit, %s are needed for the next step; raise "
                         "memory.max and memory.high "
                         "there",
                         ch_format_bytes(room, free_text), ch_format_bytes(need, need_text));
}

/* Count again, and leave out what is done, gone, or has got more holes than the plan allows. */
static int recount(Recharge *x)
{
        Charges *c = x->charges;
        size_t kept = 0;

        for (size_t i = 0; i < x->n; i++) {
                Block *b = x->batch[i];
                uint32_t before = block_cost(c, b), after;
                uint64_t grown;
                int r = charges_measure_block(c, x->reader, b, NULL);

                if (r < 0)
                        return r;
                if (b->elsewhere == 0) {
                        b->flags |= BLOCK_TRIED | BLOCK_FINISHED;
                        continue;
                }
                after = block_cost(c, b);
                grown = (uint64_t)sub_u64(after, before) * c->page_bytes;
                if (grown > x->growth_left && !(b->flags & BLOCK_THIN)) {
                        b->reason = CH_REASON_SPARSE;
                        b->flags &= ~(uint32_t)BLOCK_CHOSEN;
                        continue;
                }
                if (!(b->flags & BLOCK_THIN))
                        x->growth_left -= grown;
                x->batch[kept++] = b;
        }
        x->n = kept;
        return 0;
}

static void adapt_size(Recharge *x, uint64_t usec)
{
        uint64_t each = usec / (x->n ? x->n : 1) + 1;

        x->size = (size_t)min_u64(BATCH_MAX, BATCH_USEC / each + 1);
}

/* Bytes per second; 0 for no limit. Bringing charges back is never slowed down. */
static uint64_t rate_limit(const Recharge *x)
{
        return x->move->uncancellable ? 0 : x->move->plan->options.rate_bytes_per_sec;
}

/* A block may be dearer than the whole batch was thought to be; one is always allowed. */
static size_t batch_size(const Recharge *x)
{
        uint64_t rate = rate_limit(x), allowed;

        if (rate == 0)
                return x->size;
        allowed = (uint64_t)((double)rate * RATE_BATCH_USEC / 1e6) / x->charges->huge_bytes;
        return (size_t)min_u64(x->size, allowed ? allowed : 1);
}

/* Wait as long as the bytes of the batch may take under the rate limit. */
static int keep_rate(Recharge *x)
{
        uint64_t rate = rate_limit(x), now = now_usec();
        int r = 0;

        if (rate == 0)
                return 0;
        if (x->move->rate_usec > now)
                r = move_sleep(x->move, x->move->rate_usec - now);
        now = now_usec();
        x->move->rate_usec =
                now + (uint64_t)((double)(x->n * x->charges->huge_bytes) * 1e6 / (double)rate);
        return r;
}

static int collapse_batch(const Recharge *x, Block *const *batch, size_t n)
{
        const Charges *c = x->charges;
        int r;

        for (size_t i = 0; i < n; i++)
                if (batch[i]->flags & BLOCK_HUGE)
                        (void)collapse_split(x->pidfd, c, batch[i]);
        r = collapse_blocks(x->pidfd, c, batch, n);
        for (size_t i = 0; i < n; i++)
                if (batch[i]->flags & BLOCK_THIN)
                        (void)collapse_split(x->pidfd, c, batch[i]);
        return r;
}

static int do_batch(const Recharge *x)
{
        Block *in_place[BATCH_MAX], *copied[BATCH_MAX];
        size_t n_in_place = 0, n_copied = 0;
        int r = 0;

        for (size_t i = 0; i < x->n; i++)
                if (x->batch[i]->flags & BLOCK_RECHARGE)
                        in_place[n_in_place++] = x->batch[i];
                else
                        copied[n_copied++] = x->batch[i];
        if (n_in_place)
                r = recharge_blocks(x->pidfd, x->charges, in_place, n_in_place);
        if (r >= 0 && n_copied)
                r = collapse_batch(x, copied, n_copied);
        return r;
}

/* Of which kind most of it was. */
static ch_kind block_kind(const Charges *c, const Block *b)
{
        const Share *most = NULL;

        for (uint32_t i = 0; i < b->n_shares; i++)
                if (!most || c->shares[b->first_share + i].pages > most->pages)
                        most = &c->shares[b->first_share + i];
        return most ? most->kind : CH_KIND_ANON;
}

static int count_batch(Recharge *x)
{
        for (size_t i = 0; i < x->n; i++) {
                Block *b = x->batch[i];
                ch_backend by = b->flags & BLOCK_RECHARGE ? CH_BACKEND_RECHARGE : CH_BACKEND_COLLAPSE;
                uint32_t there = b->there;
                uint64_t moved;
                int r;

                b->flags |= BLOCK_TRIED;
                r = charges_measure_block(x->charges, x->reader, b, NULL);
                if (r < 0)
                        return r;
                if (b->elsewhere == 0)
                        b->flags |= BLOCK_FINISHED;
                moved = sub_u64(b->there, there) * x->charges->page_bytes;
                x->done_bytes += moved;
                if (!x->move->uncancellable)
                        x->move->moved_by[by][block_kind(x->charges, b)] += moved;
        }
        return 0;
}

static int run_batch(Recharge *x)
{
        uint64_t started;
        int r, refused;

        r = move_interrupted(x->move);
        if (r >= 0)
                r = recount(x);
        if (r >= 0 && x->n)
                r = check_room(x);
        if (r >= 0 && x->n)
                r = keep_rate(x);
        if (r < 0 || x->n == 0) {
                x->n = 0;
                return r;
        }
        started = now_usec();
        refused = do_batch(x);
        r = count_batch(x);
        adapt_size(x, now_usec() - started);
        x->n = 0;
        move_progress(x->move, x->done_bytes, x->charges->movable_bytes, 0);
        if (refused == -EBUSY && !x->move->uncancellable)
                return error_set(&x->move->error, CH_ERROR_NO_ROOM, ENOSPC,
                                 ch_group_get_path(x->move->plan->target),
                                 "the kernel found no room for the charges below memory.max of the "
                                 "target or of an "
                                 "ancestor; raise the limit");
        if (refused == -ESRCH || refused == -EPERM)
                return refused;
        return r;
}

/* All blocks of one address space that are chosen and not done, once. Returns how many are left. */
static int run_pass(Recharge *x, size_t *ret_left)
{
        Charges *c = x->charges;
        size_t left = 0;
        int r = 0;

        x->n = 0;
        for (uint32_t i = 0; i < x->mm->n_blocks && r >= 0; i++) {
                Block *b = &c->blocks[x->mm->first_block + i];

                if ((b->flags & (BLOCK_CHOSEN | BLOCK_FINISHED)) != BLOCK_CHOSEN)
                        continue;
                x->batch[x->n++] = b;
                if (x->n >= batch_size(x))
                        r = run_batch(x);
        }
        if (r >= 0 && x->n)
                r = run_batch(x);
        for (uint32_t i = 0; i < x->mm->n_blocks; i++)
                left += (c->blocks[x->mm->first_block + i].flags &
                         (BLOCK_CHOSEN | BLOCK_FINISHED)) == BLOCK_CHOSEN;
        *ret_left = left;
        return r;
}

static int run_mm(Recharge *x)
{
        uint64_t pause = PASS_PAUSE_USEC;
        size_t left = 1;
        int r = 0;

        for (unsigned pass = 0; pass < PASSES && left && r >= 0; pass++) {
                if (pass) {
                        r = move_sleep(x->move, pause);
                        pause *= 2;
                }
                if (r >= 0)
                        r = run_pass(x, &left);
        }
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < x->mm->n_drops; i++) {
                r = move_interrupted(x->move);
                if (r < 0)
                        return r;
                (void)refault_drop(x->pidfd, &x->charges->drops[x->mm->first_drop + i]);
        }
        return 0;
}

/* What the module refuses after all is left to the other backends. A process that exits takes its charges with it. */
static int retag_result(Charges *c, int r)
{
        static const int refusals[] = { EPERM, EINVAL, EROFS, ENOENT, ENOTTY, E2BIG, EBADF };

        for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
                if (r == -refusals[i]) {
                        c->module_failed = 1;
                        return 0;
                }
        return r == -ESRCH ? 0 : r;
}

static int charge_mm(Recharge *x)
{
        _cleanup_(closep) int pidfd = -EBADF;
        PageReader *reader = NULL;
        int r;

        if (x->mm->n_retags) {
                r = move_retag(x->move, x->charges, x->mm, &x->done_bytes, &x->move->error);
                return retag_result(x->charges, r);
        }
        if (x->mm->n_blocks == 0 && x->mm->n_drops == 0)
                return 0;
        r = plan_open_process(x->move->plan, x->mm->pid, &pidfd);
        if (r >= 0)
                r = pagereader_new(x->mm->pid, &reader, NULL);
        x->pidfd = pidfd;
        x->reader = reader;
        if (r >= 0)
                r = run_mm(x);
        (void)pagereader_free(reader);
        return r == -ESRCH ? 0 : r; /* a process that exits takes its charges with it */
}

/* What was chosen and is not there after all. */
static void settle(Charges *c, int interrupted)
{
        for (size_t i = 0; i < c->n_blocks; i++) {
                Block *b = &c->blocks[i];

                if ((b->flags & (BLOCK_CHOSEN | BLOCK_FINISHED)) == BLOCK_CHOSEN)
                        b->reason = interrupted && !(b->flags & BLOCK_TRIED) ? CH_REASON_NOT_REACHED
                                                                             : CH_REASON_FAILED;
        }
}

int move_charges(ch_move *m, Charges *c, ch_error **err)
{
        Recharge x = { .move = m, .charges = c, .size = BATCH_FIRST };
        int r = 0;

        x.growth_left = sub_u64(c->growth_limit_bytes, c->growth_bytes);
        move_progress(m, 0, c->movable_bytes, 1);
        for (size_t i = 0; i < c->n_mms && r >= 0; i++) {
                x.mm = &c->mms[i];
                r = charge_mm(&x);
        }
        settle(c, r < 0);
        move_progress(m, x.done_bytes, c->movable_bytes, 1);
        if (r == -ENOSPC)
                return error_copy(err, m->error);
        if (r < 0 && r != -ECANCELED && r != -ETIMEDOUT)
                return error_errno(err, r, ch_group_get_path(m->plan->target), "recharging");
        return r;
}
