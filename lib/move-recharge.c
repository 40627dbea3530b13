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

static int recharge_once(ch_move *m, ch_error **err)
{
        int r;

        r = scan_again(m, &m->charges, 0, err);
        if (r >= 0)
                r = choose(m, &m->charges, err);
        if (r < 0)
                return r;
        r = move_charges(m, &m->charges, err);
        m->moved_bytes += charges_moved_bytes(&m->charges);
        return r;
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
                if (r >= 0 && charges_left_bytes(&m->charges) == 0)
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

/* What was on the target's account before the move stays there. */
static void keep_untouched(const Charges *there, Charges *back)
{
        for (size_t i = 0; i < back->n_blocks; i++) {
                Block *b = &back->blocks[i];

                if (!was_moved(there, back->mms[b->mm].pid, b->start))
                        b->n_shares = 0;
        }
}

int move_recharge_back(ch_move *m, int all, ch_error **err)
{
        int r;

        r = scan_again(m, &m->back, 1, err);
        if (r < 0)
                return r;
        if (!all)
                keep_untouched(&m->charges, &m->back);
        r = choose(m, &m->back, err);
        if (r < 0)
                return r;
        r = move_charges(m, &m->back, err);
        m->returned_bytes = charges_moved_bytes(&m->back);
        return r;
}
