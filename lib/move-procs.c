/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes processes into groups until none is left where it should not be.
 *
 * A child is born in its parent's group, and a fork is over before the parent is moved or begins
 * after it: so what was forked before the parent moved is in one of the groups that are left, and
 * nowhere else. Reading those groups again is therefore enough to find it, and costs one read per
 * group instead of several per process.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "group.h"
#include "move.h"
#include "path.h"
#include "procset.h"
#include "util.h"

enum {
        STORM_ROUNDS = 8,    /* scans that found new processes before the source is frozen */
        LIVENESS_BATCH = 64, /* processes written between two looks at their pidfds */
        REWRITES_MAX = 500,  /* of one process that keeps turning up where it should not be */
        REWRITE_PAUSE_USEC = 1000,
        ANCESTORS_MAX = 16, /* that are exiting at the same time */
};

/* One direction. */
typedef struct Transfer {
        ch_move *move;
        int back;
        size_t n_pending, n_joined;
        size_t n_leaving; /* found on their way out for the first time: they may have forked since
                             the list was read */
        pid_t *leaving;
        size_t n_leaving_all, n_leaving_allocated;
        int write_errno; /* of the last write that was refused */
} Transfer;

static int is_pending(const Transfer *t, const Member *member)
{
        if (member->source == SOURCE_NONE || member->source == SOURCE_TARGET)
                return 0;
        return member->outcome == (t->back ? CH_OUTCOME_MOVED : CH_OUTCOME_PENDING);
}

static int write_pid(int fd, pid_t pid)
{
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", (int)pid);

        return pwrite(fd, text, (size_t)n, 0) < 0 ? -errno : 0;
}

/* Its group is gone: the nearest ancestor that takes it, and tell. */
static int return_to_ancestor(ch_move *m, size_t slot)
{
        Member *member = &m->plan->members.items[slot];
        _cleanup_(freep) char *path = strdup(m->plan->members.sources[member->source].path);
        pid_t pid = ch_procset_get(m->plan->set, slot)->pid;

        while (path && path[1]) {
                _cleanup_(closep) int fd = -EBADF;
                _cleanup_(closep) int procs_fd = -EBADF;
                char *up;

                if (path_parent(path, &up) < 0)
                        return -ENOMEM;
                free(path);
                path = up;
                fd = tree_open_dir(m->plan->tree, path, NULL);
                if (fd >= 0)
                        procs_fd = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
                if (procs_fd < 0 || write_pid(procs_fd, pid) < 0)
                        continue;
                free(member->found);
                member->found = TAKE_PTR(path);
                return 0;
        }
        return -ENODEV;
}

static int write_member(Transfer *t, size_t slot)
{
        ch_move *m = t->move;
        Member *member = &m->plan->members.items[slot];
        Source *source = &m->plan->members.sources[t->back ? member->source : SOURCE_TARGET];
        int r = source_open_procs(source, NULL);

        if (r >= 0)
                r = write_pid(r, ch_procset_get(m->plan->set, slot)->pid);
        if (t->back && (r == -ENODEV || r == -ENOENT))
                r = return_to_ancestor(m, slot);
        if (r == -ESRCH) {
                member->outcome = CH_OUTCOME_EXITED;
                return 0;
        }
        if (r < 0) {
                member->outcome = CH_OUTCOME_REFUSED;
                member->errnum = t->write_errno = -r;
                return r == -ENODEV || r == -ENOENT ? -ENODEV : 0;
        }
        member->outcome = t->back ? CH_OUTCOME_RETURNED : CH_OUTCOME_MOVED;
        return 0;
}

/* The process ended while it was written, and its pid had a new owner by then: that one goes where
 * it was born. */
static void give_back_impostor(ch_move *m, const ch_process *process)
{
        _cleanup_(ch_group_unrefp) ch_group *home = NULL;
        _cleanup_(closep) int procs_fd = -EBADF;
        ProcStat stat;

        if (procstat_read(m->plan->set->proc_fd, process->pid, &stat) < 0 ||
            stat.start_ticks == process->start_ticks)
                return;
        if (ch_tree_open_group_of_pid(m->plan->tree, stat.ppid, &home, NULL) < 0)
                return;
        procs_fd = openat(ch_group_get_fd(home), "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (procs_fd >= 0 && write_pid(procs_fd, stat.pid) == 0)
                (void)plan_warn(m->plan,
                                "pid %d was reused during the move; its new owner is in %s again",
                                (int)stat.pid, ch_group_get_path(home));
}

/* Mark those of the batch that have ended. One system call for all that have pidfds. */
static void look_at_batch(ch_move *m, const size_t *slots, size_t n, int written)
{
        struct pollfd polls[LIVENESS_BATCH];

        for (size_t i = 0; i < n; i++)
                polls[i] = (struct pollfd){ .fd = ch_procset_get(m->plan->set, slots[i])->pidfd,
                                            .events = POLLIN };
        if (poll(polls, n, 0) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                const ch_process *process = ch_procset_get(m->plan->set, slots[i]);
                Member *member = &m->plan->members.items[slots[i]];

                if (process->pidfd >= 0 ? !polls[i].revents : ch_process_is_alive(process))
                        continue;
                if (written && member->outcome != CH_OUTCOME_EXITED)
                        give_back_impostor(m, process);
                member->outcome = CH_OUTCOME_EXITED;
        }
}

static int write_batch(Transfer *t, const size_t *slots, size_t n)
{
        int r = 0;

        look_at_batch(t->move, slots, n, 0);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (t->move->plan->members.items[slots[i]].outcome != CH_OUTCOME_EXITED)
                        r = write_member(t, slots[i]);
        look_at_batch(t->move, slots, n, 1);
        return r;
}

/* Back to back: writes that are spaced out wait for an RCU grace period each. */
static int write_pending(Transfer *t)
{
        const Members *ms = &t->move->plan->members;
        size_t slots[LIVENESS_BATCH], n = 0;
        int r = 0;

        for (size_t i = 0; i < ms->n && r >= 0; i++) {
                if (!is_pending(t, &ms->items[i]))
                        continue;
                slots[n++] = i;
                if (n < LIVENESS_BATCH)
                        continue;
                r = write_batch(t, slots, n);
                n = 0;
        }
        return r < 0 || n == 0 ? r : write_batch(t, slots, n);
}

/* A child of init or of a subreaper, whose parent has ended: ours if a member leads its process
 * group or session, and was there first. Returns the slot of that member. */
static ssize_t find_leader(const ch_procset *set, const ProcStat *stat)
{
        const pid_t leaders[] = { stat->pgrp, stat->session };

        for (size_t i = 0; i < ELEMENTSOF(leaders); i++) {
                ssize_t slot = procset_find_slot(set, leaders[i]);

                if (slot >= 0 && stat->start_ticks >= set->items[slot].start_ticks)
                        return slot;
        }
        return -ENOENT;
}

static int is_same_program(const ch_procset *set, pid_t a, pid_t b)
{
        char path[PROC_PATH_MAX];
        struct stat x, y;

        return fstatat(set->proc_fd, proc_path(path, a, "/exe"), &x, 0) == 0 &&
               fstatat(set->proc_fd, proc_path(path, b, "/exe"), &y, 0) == 0 &&
               x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* Of the job (process group and session) of one that was named, and born since the plan was made or
 * by a fork without exec. */
static int is_of_job(const ch_procset *set, const ProcStat *stat, uint64_t made_ticks)
{
        for (size_t i = 0; i < set->n; i++) {
                if (!(set->items[i].flags & CH_PROCESS_ROOTED) ||
                    set->notes[i].pgrp != stat->pgrp || set->notes[i].session != stat->session ||
                    stat->start_ticks < set->items[i].start_ticks)
                        continue;
                if (stat->start_ticks >= made_ticks ||
                    is_same_program(set, set->items[i].pid, stat->pid))
                        return 1;
        }
        return 0;
}

/* The slot of the nearest ancestor that is a member, past those that are just exiting. -ENOENT: an
 * orphan, which init or a subreaper has taken (they are of another session); -ECHILD: the child of
 * a stranger. */
static ssize_t find_ancestor(const ch_procset *set, const ProcStat *stat)
{
        pid_t ppid = stat->ppid;

        for (unsigned i = 0; i < ANCESTORS_MAX; i++) {
                ssize_t slot = procset_find_slot(set, ppid);
                ProcStat parent;

                if (slot >= 0)
                        return slot;
                if (procstat_read(set->proc_fd, ppid, &parent) < 0 ||
                    parent.session != stat->session)
                        return -ENOENT;
                if (!procstat_is_exiting(&parent))
                        return -ECHILD;
                ppid = parent.ppid;
        }
        return -ECHILD;
}

/* Does a process that was found in a group, and is not in the set, belong to the move? Then *ret is
 * where it comes from. -ESRCH if it has ended. */
static int belongs(const Transfer *t, uint32_t group, pid_t pid, uint32_t *ret)
{
        const ch_plan *plan = t->move->plan;
        const Source *source = &plan->members.sources[group];
        ProcStat stat;
        ssize_t slot;

        *ret = group;
        if (!t->back && plan->group)
                return streq(source->path, plan->group);
        if (!t->back && !plan->with_tree)
                return 0;
        if (procstat_read(plan->set->proc_fd, pid, &stat) < 0 || procstat_is_exiting(&stat))
                return -ESRCH;
        slot = find_ancestor(plan->set, &stat);
        if (slot == -ECHILD)
                return 0;
        if (slot < 0)
                slot = find_leader(plan->set, &stat);
        if (t->back && slot >= 0)
                *ret = plan->members.items[slot].source;
        if (slot >= 0)
                return *ret != SOURCE_NONE && (!t->back || *ret != SOURCE_TARGET);
        if (t->back) {
                *ret = plan->members.n ? plan->members.items[0].source : SOURCE_NONE;
                return t->move->target_was_empty && *ret != SOURCE_NONE && *ret != SOURCE_TARGET;
        }
        /* its parents ended before they could be told */
        return (source_is_whole(source) && stat.start_ticks >= plan->made_ticks) ||
               is_of_job(plan->set, &stat, plan->made_ticks);
}

static int note_leaving(Transfer *t, pid_t pid)
{
        for (size_t i = 0; i < t->n_leaving_all; i++)
                if (t->leaving[i] == pid)
                        return 0;
        if (array_reserve(&t->leaving, &t->n_leaving_allocated, t->n_leaving_all + 1,
                          sizeof(*t->leaving)) < 0)
                return -ENOMEM;
        t->leaving[t->n_leaving_all++] = pid;
        t->n_leaving++;
        return 0;
}

static int join(Transfer *t, pid_t pid, uint32_t source, ch_error **err)
{
        ch_plan *plan = t->move->plan;
        size_t before = ch_procset_size(plan->set);
        Member *member;
        int r;

        r = procset_add(plan->set, pid, 0, 1, NULL);
        if (r == -ESRCH || ch_procset_size(plan->set) == before)
                return note_leaving(t, pid);
        if (r < 0)
                return error_errno(err, r, "/proc", "adding a process");
        r = members_append(&plan->members, plan->set);
        if (r < 0)
                return error_errno(err, r, "/proc", "adding a process");
        member = &plan->members.items[before];
        if (member->outcome != CH_OUTCOME_PENDING)
                return note_leaving(t, pid);
        member->source = source;
        member->outcome = t->back ? CH_OUTCOME_MOVED : CH_OUTCOME_PENDING;
        plan->members.sources[source].n_inside++;
        t->n_pending++;
        t->n_joined++;
        return 0;
}

/* A member that is (still, or again) where it should not be. The kernel passes over one that is
 * just exiting without a word: it goes away by itself soon. */
static int seen(Transfer *t, size_t slot)
{
        Member *member = &t->move->plan->members.items[slot];
        const ch_procset *set = t->move->plan->set;
        ProcStat stat;

        if (member->source == SOURCE_NONE || member->source == SOURCE_TARGET)
                return 0;
        if (procstat_read(set->proc_fd, set->items[slot].pid, &stat) < 0 ||
            procstat_is_exiting(&stat)) {
                member->outcome = CH_OUTCOME_EXITED;
                return note_leaving(t, set->items[slot].pid);
        }
        if (member->outcome == CH_OUTCOME_KTHREAD || member->outcome == CH_OUTCOME_REFUSED)
                return 0;
        if (member->n_writes++ >= REWRITES_MAX) {
                member->outcome = CH_OUTCOME_REFUSED;
                member->errnum = t->write_errno = EBUSY;
                return 0;
        }
        member->outcome = t->back ? CH_OUTCOME_MOVED : CH_OUTCOME_PENDING;
        t->n_pending++;
        return 0;
}

/* One that is not in the set. */
static int consider(Transfer *t, uint32_t group, pid_t pid, uint32_t *n_others, ch_error **err)
{
        uint32_t source;
        int r = belongs(t, group, pid, &source);

        if (r == -ESRCH)
                return note_leaving(t, pid);
        if (r > 0)
                return join(t, pid, source, err);
        ++*n_others;
        return 0;
}

static int scan_group(Transfer *t, uint32_t group, ch_error **err)
{
        ch_plan *plan = t->move->plan;
        _cleanup_(freep) pid_t *pids = NULL;
        uint32_t n_others = 0;
        size_t n;
        int r;

        r = procs_read(plan->members.sources[group].dir_fd, &pids, &n);
        if (r == -ENODEV || r == -ENOENT)
                return 0; /* a source that is gone is empty */
        if (r < 0)
                return error_errno(err, r, plan->members.sources[group].path,
                                   "reading cgroup.procs");
        for (size_t i = 0; i < n; i++) {
                ssize_t slot = procset_find_slot(plan->set, pids[i]);

                if (slot >= 0 && ch_process_is_alive(&plan->set->items[slot]))
                        r = seen(t, (size_t)slot);
                else if (t->back && move_is_stranger(t->move, pids[i]))
                        r = 0;
                else
                        r = consider(t, group, pids[i], &n_others, err);
                if (r < 0)
                        return error_errno(err, r, plan->members.sources[group].path,
                                           "scanning cgroup.procs");
        }
        plan->members.sources[group].n_others = n_others;
        return 0;
}

/* What it finds is written in the next round; a child that is listed before its parent is found in
 * the one after. */
static int scan(Transfer *t, ch_error **err)
{
        uint32_t n = (uint32_t)t->move->plan->members.n_sources;
        int r = 0;

        t->n_pending = t->n_joined = t->n_leaving = 0;
        if (t->back)
                return scan_group(t, SOURCE_TARGET, err);
        for (uint32_t i = SOURCE_TARGET + 1; i < n && r >= 0; i++)
                r = scan_group(t, i, err);
        return r;
}

static int refused(const Transfer *t, ch_error **err)
{
        const ch_plan *plan = t->move->plan;
        const char *target = ch_group_get_path(plan->target);

        for (size_t i = 0; i < plan->members.n; i++) {
                const Member *member = &plan->members.items[i];
                const ch_process *process = ch_procset_get(plan->set, i);

                if (member->outcome != CH_OUTCOME_REFUSED)
                        continue;
                return error_set(
                        err,
                        member->errnum == EACCES ? CH_ERROR_NOT_PERMITTED : CH_ERROR_BAD_TARGET,
                        member->errnum, target, "the kernel does not take %d (%s): %s%s",
                        (int)process->pid, process->comm, strerror(member->errnum),
                        member->errnum == EBUSY
                                ? " (controllers are enabled for the groups below, or it is put "
                                  "back by someone else)"
                        : member->errnum == EINVAL
                                ? " (a real-time process under the cpu controller, or a kernel "
                                  "thread)"
                                : "");
        }
        return 0;
}

/* Newcomers are journalled before they are touched. */
static int begin_round(Transfer *t, ch_error **err)
{
        ch_move *m = t->move;

        m->rounds++;
        if (m->rounds > 1 || t->back)
                return move_enter(m, m->step, err);
        return 0;
}

static int transfer(Transfer *t, ch_error **err)
{
        ch_move *m = t->move;
        unsigned first = m->rounds;
        int r;

        do {
                r = move_interrupted(m);
                if (r >= 0 && m->rounds > first && (m->rounds - first) % STORM_ROUNDS == 0 &&
                    !t->back)
                        r = move_freeze(m, err);
                if (r >= 0)
                        r = begin_round(t, err);
                if (r >= 0)
                        r = write_pending(t);
                if (r == -ENODEV)
                        return error_gone(err, ch_group_get_path(m->plan->target));
                if (r >= 0)
                        r = scan(t, err);
                if (r >= 0 && t->n_pending && !t->n_joined && !t->n_leaving)
                        r = move_sleep(m, REWRITE_PAUSE_USEC);
                if (r < 0)
                        return r;
                if (m->rounds - first >= m->plan->options.max_rounds)
                        return error_set(err, CH_ERROR_TIMED_OUT, EAGAIN,
                                         ch_group_get_path(m->plan->target),
                                         "processes fork faster than they can be moved: %u scans "
                                         "found new ones; freeze "
                                         "the source first",
                                         m->plan->options.max_rounds);
        } while (t->n_pending || t->n_leaving);
        return 0;
}

int move_processes(ch_move *m, ch_error **err)
{
        Transfer t = { .move = m };
        int r, thawed;

        r = transfer(&t, err);
        free(t.leaving);
        thawed = move_thaw(m);
        if (r < 0)
                return r;
        if (thawed < 0)
                return error_errno(err, thawed, ch_group_get_path(m->plan->target),
                                   "thawing the source");
        return t.write_errno ? refused(&t, err) : 0;
}

int move_processes_back(ch_move *m, ch_error **err)
{
        Transfer t = { .move = m, .back = 1 };
        int r = transfer(&t, err);

        free(t.leaving);
        return r < 0 ? r : t.write_errno ? refused(&t, err) : 0;
}
