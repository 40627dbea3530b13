/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process trees: children of all threads, again until nothing new is found, and orphans of those
 * that exited. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "error.h"
#include "procset.h"
#include "util.h"

enum {
        SCAN_MEMBERS_MIN = 64,  /* small trees are asked member by member, whatever the size of the host */
        SCAN_ROUNDS_MAX = 100,  /* a tree that forks faster than it is scanned is left to the caller's rescans */
};

/* Pids found in one pass; they are added after the reading, so that the file is not held open
 * meanwhile. */
typedef struct PidList {
        pid_t *pids;
        size_t n, n_allocated;
} PidList;

static void pidlist_done(PidList *list)
{
        free(list->pids);
}

static int pidlist_append(PidList *list, pid_t pid)
{
        if (array_reserve(&list->pids, &list->n_allocated, list->n + 1, sizeof(*list->pids)) < 0)
                return -ENOMEM;
        list->pids[list->n++] = pid;
        return 0;
}

/* Numbers separated by blanks; one may be cut by the end of the buffer, `carry` keeps what is read
 * of it. */
static int parse_children(const char *text, size_t size, uint64_t *carry, PidList *list)
{
        for (size_t i = 0; i < size; i++) {
                if (text[i] >= '0' && text[i] <= '9') {
                        *carry = *carry * 10 + (uint64_t)(text[i] - '0');
                        continue;
                }
                if (*carry && pidlist_append(list, (pid_t)*carry) < 0)
                        return -ENOMEM;
                *carry = 0;
        }
        return 0;
}

static int read_children(const ch_procset *set, pid_t pid, pid_t tid, PidList *list)
{
        char path[PROC_PATH_MAX], text[4096];
        _cleanup_(closep) int fd = -EBADF;
        uint64_t carry = 0;

        fd = openat(set->proc_fd, proc_task_path(path, pid, tid, "/children"),
                    O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        for (;;) {
                ssize_t n = read(fd, text, sizeof(text));

                if (n < 0)
                        return errno == ESRCH ? -ESRCH : -errno;
                if (n == 0)
                        return 0;
                if (parse_children(text, (size_t)n, &carry, list) < 0)
                        return -ENOMEM;
        }
}

typedef struct ThreadScan {
        const ch_procset *set;
        pid_t pid;
        PidList *list;
} ThreadScan;

static int scan_thread(pid_t tid, void *userdata)
{
        ThreadScan *scan = userdata;
        int r = read_children(scan->set, scan->pid, tid, scan->list);

        return r == -ESRCH ? 0 : r; /* a thread that ended hands its children to its siblings */
}

/* Children belong to the thread that forked them. The link count of PID/task is the number of
 * threads + 2, which spares most processes the listing. */
static int scan_process(const ch_procset *set, pid_t pid, PidList *list)
{
        ThreadScan scan = { .set = set, .pid = pid, .list = list };
        char path[PROC_PATH_MAX];
        struct stat st;
        int r;

        if (fstatat(set->proc_fd, proc_path(path, pid, "/task"), &st, 0) < 0)
                return errno == ENOENT || errno == ESRCH ? 0 : -errno; /* it ended meanwhile */
        if (st.st_nlink <= 3)
                r = read_children(set, pid, pid, list);
        else
                r = proc_foreach_pid(set->proc_fd, path, scan_thread, &scan);
        return r == -ESRCH ? 0 : r;
}

static int probe_children_file(ch_procset *set)
{
        char path[PROC_PATH_MAX];

        if (set->has_children < 0)
                set->has_children = faccessat(set->proc_fd,
                                              proc_task_path(path, getpid(), getpid(), "/children"),
                                              F_OK, 0) == 0;
        return set->has_children;
}

static int add_found(ch_procset *set, const PidList *list, ch_error **err)
{
        int n_added = 0;

        for (size_t i = 0; i < list->n; i++) {
                int r = procset_add(set, list->pids[i], 0, 1, err);

                if (r == -ESRCH)
                        continue;
                if (r < 0)
                        return r;
                n_added += r;
        }
        return n_added;
}

typedef struct HostScan {
        ch_procset *set;
        PidList *list;
        int by_parent;          /* children of members */
        int orphans;            /* of members that exited */
} HostScan;

/*
 * Whose child was it, that now is a child of init or of a subreaper? The kernel does not tell. It
 * belongs to us for certain where it is still in the process group or the session of a member that
 * led it; setsid() and setpgid() hide it.
 */
static int is_our_orphan(const ch_procset *set, const ProcStat *stat)
{
        const pid_t leaders[] = { stat->pgrp, stat->session };

        for (size_t i = 0; i < ELEMENTSOF(leaders); i++) {
                ssize_t slot = procset_find_slot(set, leaders[i]);

                if (slot >= 0 && set->notes[slot].expand &&
                    stat->start_ticks >= set->items[slot].start_ticks)
                        return 1;
        }
        return 0;
}

static int scan_host_process(pid_t pid, void *userdata)
{
        HostScan *scan = userdata;
        ProcStat stat;
        ssize_t parent;
        int ours;

        if (procset_find_slot(scan->set, pid) >= 0 ||
            procstat_read(scan->set->proc_fd, pid, &stat) < 0)
                return 0;
        parent = procset_find_slot(scan->set, stat.ppid);
        ours = (scan->by_parent && parent >= 0 && scan->set->notes[parent].expand) ||
               (scan->orphans && is_our_orphan(scan->set, &stat));
        return ours ? pidlist_append(scan->list, pid) : 0;
}

/* All of /proc, again as long as it finds something: a child may be listed before its parent. */
static int scan_host(ch_procset *set, int by_parent, int orphans, ch_error **err)
{
        int n_added = 0, r = 1;

        for (int round = 0; r > 0 && round < SCAN_ROUNDS_MAX; round++) {
                _cleanup_(pidlist_done) PidList list = {};
                HostScan scan = {
                        .set = set, .list = &list, .by_parent = by_parent, .orphans = orphans
                };

                r = proc_foreach_pid(set->proc_fd, ".", scan_host_process, &scan);
                if (r < 0)
                        return error_errno(err, r, "/proc", "scanning processes");
                r = add_found(set, &list, err);
                if (r < 0)
                        return r;
                n_added += r;
        }
        return n_added;
}

/* Is it cheaper to look through /proc once than to ask each of `n_pending` members for its
 * children? Half of the host's threads is about where the two meet: the scan reads one small file
 * of each process that is not in the set. */
static int is_scan_cheaper(size_t n_pending)
{
        struct sysinfo info;

        return n_pending >= SCAN_MEMBERS_MIN && sysinfo(&info) == 0 && 2 * n_pending >= info.procs;
}

/* One pass over the members from `first` on, and over those that it finds, a generation at a time:
 * parents come before children. */
static int scan_members(ch_procset *set, size_t first, ch_error **err)
{
        size_t generation_end = first;
        int n_added = 0, n_generations = 0, r;

        for (size_t i = first; i < set->n && n_generations <= SCAN_ROUNDS_MAX; i++) {
                _cleanup_(pidlist_done) PidList list = {};

                if (i == generation_end && is_scan_cheaper(set->n - i)) {
                        r = scan_host(set, 1, 0, err);
                        return r < 0 ? r : n_added + r;
                }
                if (i == generation_end) {
                        generation_end = set->n;
                        n_generations++;
                }
                if (!set->notes[i].expand ||
                    (set->items[i].flags & (CH_PROCESS_EXITED | CH_PROCESS_KTHREAD)))
                        continue;
                r = scan_process(set, set->items[i].pid, &list);
                if (r < 0)
                        return error_errno(err, r, "/proc", "reading the children of a process");
                r = add_found(set, &list, err);
                if (r < 0)
                        return r;
                n_added += r;
        }
        return n_added;
}

/* Has a member exited since orphans were last sought? */
static int take_exited(ch_procset *set, size_t first)
{
        int found = 0;

        for (size_t i = first; i < set->n; i++) {
                if (!set->notes[i].expand || set->notes[i].orphans_sought)
                        continue;
                if (procset_check_alive(set, i))
                        continue;
                set->notes[i].orphans_sought = 1;
                found = 1;
        }
        return found;
}

static int scan_once(ch_procset *set, size_t first, ch_error **err)
{
        int n_added, r;

        n_added = probe_children_file(set) ? scan_members(set, first, err)
                                           : scan_host(set, 1, 0, err);
        if (n_added < 0 || !take_exited(set, first))
                return n_added;
        r = scan_host(set, 0, 1, err);
        return r < 0 ? r : n_added + r;
}

_public_ int ch_procset_add_trees(ch_procset *set, const pid_t *pids, size_t n, ch_error **err)
{
        size_t first = set->n, low;
        int n_added = 0, n_rounds = 0, r;

        for (size_t i = 0; i < n; i++)
                if (pids[i] <= 0)
                        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                         "'%d' is not a pid: pids are above 0", pids[i]);
        set->low_expanded = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
                r = procset_add(set, pids[i], 1, 1, err);
                if (r < 0)
                        return r;
                n_added += r;
        }
        /* members that were there before are looked at only if their children did not belong to the
         * set until now */
        do {
                low = min_u64(first, set->low_expanded);
                r = scan_once(set, low, err);
                n_added += r > 0 ? r : 0;
        } while (n_rounds++ < SCAN_ROUNDS_MAX && (r > 0 || (r == 0 && set->low_expanded < low)));
        if (r >= 0)
                r = procset_order(set, first);
        return r < 0 ? r : n_added;
}

_public_ int ch_procset_add_tree(ch_procset *set, pid_t pid, ch_error **err)
{
        return ch_procset_add_trees(set, &pid, 1, err);
}

_public_ int ch_procset_rescan(ch_procset *set, ch_error **err)
{
        size_t first = set->n;
        int n_added, r;

        for (size_t i = 0; i < set->n; i++)
                set->notes[i].expand = 1;
        n_added = scan_once(set, 0, err);
        r = procset_order(set, first);
        return r < 0 ? r : n_added;
}
