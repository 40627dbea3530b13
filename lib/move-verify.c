/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads membership back: one read of the target's cgroup.procs verifies all; only who is missing is
 * asked alone. */

#include "error.h"
#include "move.h"
#include "procset.h"
#include "util.h"

static int compare_pids(const void *a, const void *b)
{
        const pid_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

int move_note_strangers(ch_move *m, ch_error **err)
{
        const Source *target = &m->plan->members.sources[SOURCE_TARGET];
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n, kept = 0;
        int r;

        r = procs_read(target->dir_fd, &pids, &n);
        if (r < 0)
                return error_errno(err, r, target->path, "reading cgroup.procs");
        m->target_was_empty = n == 0;
        for (size_t i = 0; i < n; i++)
                if (procset_find_slot(m->plan->set, pids[i]) < 0)
                        pids[kept++] = pids[i];
        if (kept > 1)
                qsort(pids, kept, sizeof(*pids), compare_pids);
        free(m->strangers);
        m->strangers = TAKE_PTR(pids);
        m->n_strangers = kept;
        return 0;
}

int move_is_stranger(const ch_move *m, pid_t pid)
{
        return m->n_strangers &&
               bsearch(&pid, m->strangers, m->n_strangers, sizeof(pid), compare_pids);
}

/* Not in the target's list: ended, a zombie, or in another group. */
static int verify_missing(ch_move *m, size_t slot, int final)
{
        const ch_process *process = ch_procset_get(m->plan->set, slot);
        Member *member = &m->plan->members.items[slot];
        _cleanup_(freep) char *path = NULL;
        ProcStat stat;

        if (!ch_process_is_alive(process) ||
            procstat_read(m->plan->set->proc_fd, process->pid, &stat) < 0 ||
            procstat_is_exiting(&stat) ||
            ch_tree_path_of_pid(m->plan->tree, process->pid, &path, NULL) == -ESRCH) {
                member->outcome = CH_OUTCOME_EXITED;
                return 0;
        }
        /* its leader has exited, other threads live on: the list leaves it out */
        if (path && streq(path, ch_group_get_path(m->plan->target)))
                return 0;
        member->outcome = CH_OUTCOME_PENDING;
        if (!final)
                return 1;
        member->outcome = CH_OUTCOME_REFUSED;
        free(member->found);
        member->found = TAKE_PTR(path);
        return 1;
}

int move_verify(ch_move *m, int final, ch_error **err)
{
        const Source *target = &m->plan->members.sources[SOURCE_TARGET];
        Members *ms = &m->plan->members;
        _cleanup_(freep) uint8_t *present = NULL;
        _cleanup_(freep) pid_t *pids = NULL;
        int missing = 0, r;
        size_t n;

        r = procs_read(target->dir_fd, &pids, &n);
        if (r < 0)
                return error_errno(err, r, target->path, "reading cgroup.procs");
        present = calloc(ms->n + 1, 1);
        if (!present)
                return error_errno(err, ENOMEM, target->path, "verifying");
        for (size_t i = 0; i < n; i++) {
                ssize_t slot = procset_find_slot(m->plan->set, pids[i]);

                if (slot >= 0 && (size_t)slot < ms->n)
                        present[slot] = 1;
        }
        for (size_t i = 0; i < ms->n; i++)
                if (!present[i] && (ms->items[i].outcome == CH_OUTCOME_MOVED ||
                                    ms->items[i].outcome == CH_OUTCOME_ALREADY))
                        missing += verify_missing(m, i, final);
        return missing;
}
