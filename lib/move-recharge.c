/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which charges are moved when: once, again until they are there (lazy), or back. */

#include "error.h"
#include "move.h"
#include "util.h"

enum {
        LAZY_PAUSE_USEC = 50000,
        LAZY_PAUSE_MAX_USEC = 2000000,
        LAZY_FRUITLESS_MAX = 6, /* rounds without progress */
};

static int scan_again(ch_move *m, Charges *c, int back, ch_error **err)
{
        charges_done(c);
        return plan_scan_charges(m->plan, back, c, err);
}

static int choose(ch_move *m, Charges *c, ch_error **err)
{
        int r = charges_choose(c, m->plan->options.max_growth_permyriad);

        return r < 0 ? error_errno(err, r, NULL, "recharging") : 0;
}

static int recharge(ch_move *m, Charges *c, ch_error **err)
{
        int r;

        r = scan_again(m, c, 0, err);
        if (r >= 0)
                r = choose(m, c, err);
        if (r < 0)
                return r;
        r = move_charges(m, c, err);
        m->moved_bytes += charges_moved_bytes(c);
        return r;
}

/* Has the module left what others may move? */
static int has_rest(const Charges *c)
{
        uint64_t large = 0;

        for (size_t i = 0; i < c->n_retags; i++)
                large += c->retags[i].left[CH_KIND_ANON][CH_REASON_LARGE] +
                         c->retags[i].left[CH_KIND_ANON_THP][CH_REASON_LARGE];
        return c->module_failed || (large && (c->backends & 1u << CH_BACKEND_COLLAPSE)) ||
               (c->n_retags && c->staying[CH_KIND_FILE][CH_REASON_BACKEND] &&
                (c->backends & 1u << CH_BACKEND_REFAULT));
}

/* By kind: what is left of an address space is read again without the module, and moved as if there were none. Beyond the plan, so that a
 * lack of room for it is none of the move's. */
static int recharge_rest(ch_move *m, ch_error **err)
{
        _cleanup_(error_freep) ch_error *reason = NULL;
        ch_module *module = plan_get_module(m->plan);
        int beyond = !m->charges.module_failed, r;

        m->plan->module = NULL;
        r = recharge(m, &m->rest, &reason);
        if (beyond)
                m->plan->module = module;
        if (beyond && r == -ENOSPC) {
                ch_error_free(TAKE_PTR(m->error));
                return 0;
        }
        return r < 0 ? (error_copy(err, reason), r) : r;
}

static int recharge_once(ch_move *m, ch_error **err)
{
        int r;

        r = recharge(m, &m->charges, err);
        if (r >= 0 && has_rest(&m->charges))
                r = recharge_rest(m, err);
        return r;
}

uint64_t move_left_bytes(const ch_move *m)
{
        return charges_left_bytes(&m->charges) +
               (m->charges.module_failed ? charges_left_bytes(&m->rest) : 0);
}

/* Again, with growing pauses, as long as there is something to move and something moves now and
 * then. */
static int recharge_lazily(ch_move *m, ch_error **err)
{
        uint64_t pause = LAZY_PAUSE_USEC;
        unsigned fruitless = 0;

        for (;;) {
                _cleanup_(error_freep) ch_error *reason = NULL;
                uint64_t before = m->moved_bytes;
                int r;

                ch_error_free(TAKE_PTR(m->error));
                r = recharge_once(m, &reason);
                if (r < 0 && r != -ENOSPC)
                        return error_copy(err, reason), r;
                if (r >= 0 && move_left_bytes(m) == 0)
                        return 0;
                fruitless = m->moved_bytes > before ? 0 : fruitless + 1;
                if (fruitless >= LAZY_FRUITLESS_MAX)
                        return r < 0 ? (error_copy(err, reason), r) : 0;
                r = move_sleep(m, pause);
                if (r < 0)
                        return r;
                pause = min_u64(2 * pause, LAZY_PAUSE_MAX_USEC);
        }
}

int move_recharge(ch_move *m, ch_error **err)
{
        return m->plan->options.policy == CH_POLICY_LAZY ? recharge_lazily(m, err)
                                                         : recharge_once(m, err);
}

/* Was the block touched on the way there? Blocks of one mm are in order of addresses. */
static int was_moved(const Charges *there, pid_t pid, uint64_t start)
{
        for (size_t i = 0; i < there->n_mms; i++) {
                const ChargeMm *mm = &there->mms[i];
                uint32_t low = mm->first_block, high = mm->first_block + mm->n_blocks;

                if (mm->pid != pid)
                        continue;
                while (low < high) {
                        uint32_t middle = low + (high - low) / 2;

                        if (there->blocks[middle].start < start)
                                low = middle + 1;
                        else
                                high = middle;
                }
                return low < mm->first_block + mm->n_blocks && there->blocks[low].start == start &&
                       (there->blocks[low].flags & BLOCK_TRIED);
        }
        return 0;
}

/* Did the module move anything of this address space? */
static int was_retagged(const Charges *there, pid_t pid)
{
        for (size_t i = 0; i < there->n_retags; i++)
                if (there->mms[there->retags[i].mm].pid == pid && (there->retags[i].flags & RETAG_TRIED))
                        return 1;
        return 0;
}

/* What was on the target's account before the move stays there. */
static void keep_untouched(const ch_move *m, Charges *back)
{
        for (size_t i = 0; i < back->n_blocks; i++) {
                Block *b = &back->blocks[i];
                pid_t pid = back->mms[b->mm].pid;

                if (!was_moved(&m->charges, pid, b->start) && !was_moved(&m->rest, pid, b->start))
                        b->n_shares = 0;
        }
        for (size_t i = 0; i < back->n_mms; i++) {
                ChargeMm *mm = &back->mms[i];

                if (was_retagged(&m->charges, mm->pid))
                        continue;
                for (uint32_t k = 0; k < mm->n_retags; k++)
                        memset(back->retags[mm->first_retag + k].movable, 0, sizeof(back->retags->movable));
                mm->n_retags = 0;
        }
}

int move_recharge_back(ch_move *m, int all, ch_error **err)
{
        int r;

        r = scan_again(m, &m->back, 1, err);
        if (r < 0)
                return r;
        if (!all)
                keep_untouched(m, &m->back);
        r = choose(m, &m->back, err);
        if (r < 0)
                return r;
        r = move_charges(m, &m->back, err);
        m->returned_bytes = charges_moved_bytes(&m->back);
        return r;
}
