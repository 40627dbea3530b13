/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For a rollback: who paid for which pages. Mostly that need not be kept: the group that the process comes from paid for all of an address
 * space, and nothing of it was charged to the target before; then everything there goes back to that group. Otherwise the pages are read
 * before they are moved.
 */

#include "error.h"
#include "move.h"
#include "util.h"

enum {
        ROOT_ID = 1, /* of the hierarchy's root, fs/kernfs/dir.c */
};

typedef struct TrailWalk {
        ch_move *move;
        const ChargeMm *mm;
} TrailWalk;

int move_has_trail(const ch_move *m, pid_t pid)
{
        for (size_t i = 0; i < m->n_trails; i++)
                if (m->trails[i].pid == pid)
                        return 1;
        return 0;
}

/* Whose swap it is user space cannot read: it goes with the process. */
static int add_run(const PageRun *run, void *userdata)
{
        const TrailWalk *walk = userdata;
        ch_move *m = walk->move;
        Trail *last = m->n_trails ? &m->trails[m->n_trails - 1] : NULL;

        if (run->group_id == walk->mm->dest_id || run->kind == CH_KIND_UNCHARGED || run->kind == CH_KIND_HUGETLB)
                return 0;
        if (last && last->pid == walk->mm->pid && last->group_id == run->group_id && last->range.end == run->start) {
                last->range.end = run->end;
                return 0;
        }
        if (array_reserve(&m->trails, &m->n_trails_allocated, m->n_trails + 1, sizeof(*m->trails)) < 0)
                return -ENOMEM;
        m->trails[m->n_trails++] = (Trail){
                .pid = walk->mm->pid,
                .group_id = run->group_id,
                .range = { .start = run->start, .end = run->end },
        };
        return 0;
}

static int read_trail(TrailWalk *walk, ch_error **err)
{
        _cleanup_(freep) Mapping *mappings = NULL;
        PageReader *reader = NULL;
        size_t n;
        int r;

        r = mappings_read_fast(walk->mm->pid, &mappings, &n, err);
        if (r >= 0)
                r = pagereader_new(walk->mm->pid, &reader, err);
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (!(mappings[i].flags & MAPPING_VDSO))
                        r = pagereader_walk(reader, &mappings[i], mappings[i].start, mappings[i].end, add_run, walk, err);
        (void)pagereader_free(reader);
        return r;
}

/* Nothing can be given back to the root, which has no account: what it paid for goes to the process's own group anyhow. */
int move_needs_trail(const Charges *c, const ChargeMm *mm)
{
        unsigned n_payers = 0, n_others = 0;

        for (uint32_t i = 0; i < mm->n_retags; i++) {
                uint64_t id = c->retags[mm->first_retag + i].group_id;

                n_payers += id != ROOT_ID;
                n_others += id != ROOT_ID && id != mm->home_id;
        }
        return mm->n_retags && (mm->already_bytes > 0 || n_payers > 1 || n_others);
}

int move_keep_trail(ch_move *m, const Charges *c, const ChargeMm *mm, ch_error **err)
{
        TrailWalk walk = { .move = m, .mm = mm };

        if (m->plan->options.policy != CH_POLICY_RESERVE || !move_needs_trail(c, mm) || move_has_trail(m, mm->pid))
                return 0;
        return read_trail(&walk, err);
}
