/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of processes held by pidfd: adding, finding, liveness. Trees are in procset-tree.c, groups
 * in procset-group.c. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "error.h"
#include "procset.h"
#include "util.h"

/* So many file descriptors are left to the library and its user: a set that takes all of them could
 * not even be read. */
enum { FD_HEADROOM = 64 };

/* linux/pidfd.h is newer than bookworm's libc headers */
static int sys_pidfd_open(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int sys_pidfd_send_signal(int pidfd, int signal)
{
        return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* -EBADF where they run out, -ESRCH. */
static int open_pidfd(const ch_procset *set, pid_t pid)
{
        int pidfd = sys_pidfd_open(pid);

        if (pidfd >= set->fd_max)
                return safe_close(pidfd);
        if (pidfd >= 0)
                return pidfd;
        if (errno == EMFILE || errno == ENFILE || errno == ENOSYS)
                return -EBADF;
        /* the id of a thread is EINVAL, from 6.15 on ENOENT */
        return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
}

_public_ int ch_procset_new(ch_procset **ret)
{
        ch_procset *set = calloc(1, sizeof(*set));
        struct rlimit limit;

        if (!set)
                return -ENOMEM;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
                limit.rlim_cur = INT_MAX;
        set->fd_max = (int)sub_u64(limit.rlim_cur, FD_HEADROOM);
        set->has_children = -1;
        set->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (set->proc_fd < 0) {
                int r = -errno;

                free(set);
                return r;
        }
        *ret = set;
        return 0;
}

_public_ ch_procset *ch_procset_free(ch_procset *set)
{
        if (!set)
                return NULL;
        for (size_t i = 0; i < set->n; i++)
                (void)safe_close(set->items[i].pidfd);
        (void)safe_close(set->proc_fd);
        free(set->items);
        free(set->notes);
        free(set->index);
        free(set->mms);
        free(set);
        return NULL;
}

static size_t hash_pid(const ch_procset *set, pid_t pid)
{
        return ((uint32_t)pid * 2654435761u) & (set->n_index - 1);
}

ssize_t procset_find_slot(const ch_procset *set, pid_t pid)
{
        if (set->n_index == 0)
                return -ENOENT;
        for (size_t at = hash_pid(set, pid); set->index[at]; at = (at + 1) & (set->n_index - 1))
                if (set->items[set->index[at] - 1].pid == pid)
                        return (ssize_t)set->index[at] - 1;
        return -ENOENT;
}

static void index_insert(ch_procset *set, size_t slot)
{
        size_t at = hash_pid(set, set->items[slot].pid);

        while (set->index[at] && set->items[set->index[at] - 1].pid != set->items[slot].pid)
                at = (at + 1) & (set->n_index - 1);
        set->index[at] = (uint32_t)slot + 1;
}

static int index_rebuild(ch_procset *set, size_t n_index)
{
        uint32_t *index = calloc(n_index, sizeof(*index));

        if (!index)
                return -ENOMEM;
        free(set->index);
        set->index = index;
        set->n_index = n_index;
        for (size_t i = 0; i < set->n; i++)
                index_insert(set, i);
        return 0;
}

static int reserve_slot(ch_procset *set)
{
        if (array_reserve(&set->items, &set->n_allocated, set->n + 1, sizeof(*set->items)) < 0 ||
            array_reserve(&set->notes, &set->n_notes_allocated, set->n + 1,
                          sizeof(*set->notes)) < 0)
                return -ENOMEM;
        if (2 * (set->n + 1) <= set->n_index)
                return 0;
        return index_rebuild(set, set->n_index ? 2 * set->n_index : 64);
}

static void fill_process(ch_process *process, const ProcStat *stat, uint32_t uid)
{
        process->pid = stat->pid;
        process->ppid = stat->ppid;
        process->start_ticks = stat->start_ticks;
        process->uid = uid;
        process->mm = CH_MM_NONE;
        memcpy(process->comm, stat->comm, sizeof(process->comm));
        if (procstat_is_kthread(stat))
                process->flags |= CH_PROCESS_KTHREAD;
        if (procstat_is_zombie(stat))
                process->flags |= CH_PROCESS_ZOMBIE;
        if (stat->vsize_bytes == 0)
                process->flags |= CH_PROCESS_NO_MM;
}

/*
 * What /proc says of the process that `pidfd` is, or of whoever has the pid now where there is no
 * pidfd. The pid cannot be given to another while the one of the pidfd has not been reaped, hence
 * the probe after the reads.
 */
static int describe(ch_procset *set, pid_t pid, int pidfd, ProcStat *ret, uint32_t *ret_uid)
{
        char path[PROC_PATH_MAX];
        struct stat st;
        int r;

        r = procstat_read(set->proc_fd, pid, ret);
        if (r < 0)
                return r;
        /* the directory shows the effective uid even of undumpable processes, unlike the files in
         * it */
        if (fstatat(set->proc_fd, proc_path(path, pid, ""), &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        if (pidfd >= 0 && sys_pidfd_send_signal(pidfd, 0) < 0 && errno == ESRCH)
                return -ESRCH;
        *ret_uid = st.st_uid;
        return 0;
}

static int append(ch_procset *set, const ProcStat *stat, uint32_t uid, int *pidfd, int rooted,
                  int expand)
{
        ch_process process = { .pidfd = -EBADF };
        int r;

        r = reserve_slot(set);
        if (r < 0)
                return r;
        fill_process(&process, stat, uid);
        if (rooted)
                process.flags |= CH_PROCESS_ROOTED;
        process.pidfd = TAKE_FD(*pidfd);
        set->items[set->n] = process;
        set->notes[set->n] = (ProcNote){
                .key = { .start_stack = stat->start_stack, .start_code = stat->start_code,
                         .end_code = stat->end_code },
                .pgrp = stat->pgrp,
                .session = stat->session,
                .expand = !!expand,
        };
        set->n++;
        index_insert(set, set->n - 1);
        set->n_mms = 0; /* what was found out about sharing is out of date */
        return 1;
}

/* Does the pid still belong to the process that was added under it? A zombie keeps it until it is
 * reaped. */
static int is_still_known(ch_procset *set, size_t slot)
{
        ch_process *process = &set->items[slot];
        ProcStat stat;
        int same;

        if (process->pidfd >= 0)
                same = sys_pidfd_send_signal(process->pidfd, 0) >= 0 || errno != ESRCH;
        else
                same = procstat_read(set->proc_fd, process->pid, &stat) >= 0 &&
                       stat.start_ticks == process->start_ticks;
        if (!same)
                process->flags |= CH_PROCESS_EXITED;
        return same;
}

static int no_such_process(pid_t pid, ch_error **err)
{
        char path[PROC_PATH_MAX];

        return error_set(
                err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, proc_path(path, pid, ""),
                "no process has pid %d, or it is the id of a thread: give the pid of its process",
                pid);
}

int procset_add(ch_procset *set, pid_t pid, int rooted, int expand, ch_error **err)
{
        ssize_t slot = procset_find_slot(set, pid);
        _cleanup_(closep) int pidfd = -EBADF;
        ProcStat stat;
        uint32_t uid = 0;
        int r;

        if (slot >= 0 && is_still_known(set, (size_t)slot)) {
                set->items[slot].flags |= rooted ? CH_PROCESS_ROOTED : 0;
                if (expand && !set->notes[slot].expand) {
                        set->notes[slot].expand = 1;
                        set->low_expanded = min_u64(set->low_expanded, (uint64_t)slot);
                }
                return 0;
        }
        pidfd = open_pidfd(set, pid);
        r = pidfd < 0 && pidfd != -EBADF ? pidfd : describe(set, pid, pidfd, &stat, &uid);
        if (r >= 0)
                r = append(set, &stat, uid, &pidfd, rooted, expand);
        if (r == -ESRCH)
                return no_such_process(pid, rooted ? err : NULL);
        if (r < 0)
                return error_errno(err, -r, "/proc", "reading a process");
        return r;
}

_public_ int ch_procset_add_pid(ch_procset *set, pid_t pid, ch_error **err)
{
        if (pid <= 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "'%d' is not a pid: pids are above 0", pid);
        return procset_add(set, pid, 1, 0, err);
}

/* "Pid:" of /proc/self/fdinfo/FD; -1 there says that the process is gone, 0 that it is of another
 * pid namespace. */
static int pid_of_pidfd(int pidfd, pid_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        const char *line, *rest;
        char path[64];
        uint64_t pid;
        int r;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        r = read_file_at(AT_FDCWD, path, 65536, &text, NULL);
        if (r < 0)
                return -EBADF;
        line = strstr(text, "\nPid:");
        if (!line)
                return -EBADF;
        line += strlen("\nPid:");
        line += strspn(line, " \t");
        if (parse_u64(line, &pid, &rest) < 0 || pid == 0)
                return -ESRCH;
        *ret = (pid_t)pid;
        return 0;
}

_public_ int ch_procset_add_pidfd(ch_procset *set, int pidfd, ch_error **err)
{
        pid_t pid;
        int r;

        r = pidfd < 0 ? -EBADF : pid_of_pidfd(pidfd, &pid);
        if (r == -EBADF)
                return error_set(err, CH_ERROR_BAD_VALUE, EBADF, NULL,
                                 "file descriptor %d is not a pidfd: make one with pidfd_open(2)",
                                 pidfd);
        if (r == -ESRCH)
                return error_set(
                        err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, NULL,
                        "the process of pidfd %d is gone, or lives in another pid namespace",
                        pidfd);
        r = procset_add(set, pid, 1, 0, err);
        if (r < 0)
                return r;
        /* added by number: right only if the pid was still that of the caller's pidfd afterwards */
        if (sys_pidfd_send_signal(pidfd, 0) >= 0 || errno != ESRCH)
                return r;
        if (r > 0)
                (void)safe_close(set->items[--set->n].pidfd);
        r = index_rebuild(set, set->n_index);
        return r < 0 ? r : no_such_process(pid, err);
}

_public_ int ch_process_is_alive(const ch_process *process)
{
        struct pollfd poll_fd = { .fd = process->pidfd, .events = POLLIN };
        _cleanup_(closep) int proc_fd = -EBADF;
        ProcStat stat;

        if (process->flags & CH_PROCESS_EXITED)
                return 0;
        /* readable once the process is a zombie: it has ended, whoever may still have to reap it */
        if (process->pidfd >= 0)
                return poll(&poll_fd, 1, 0) <= 0;
        proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (procstat_read(proc_fd, process->pid, &stat) < 0)
                return 0;
        return stat.start_ticks == process->start_ticks && !procstat_is_zombie(&stat);
}

int procset_check_alive(ch_procset *set, size_t slot)
{
        ch_process *process = &set->items[slot];

        if (ch_process_is_alive(process))
                return 1;
        /* a zombie at the time of adding stays one; EXITED is what went meanwhile */
        if (!(process->flags & CH_PROCESS_ZOMBIE))
                process->flags |= CH_PROCESS_EXITED;
        return 0;
}

_public_ int ch_procset_update(ch_procset *set)
{
        int n_alive = 0;

        for (size_t i = 0; i < set->n; i++)
                n_alive += procset_check_alive(set, i);
        return n_alive;
}

_public_ size_t ch_procset_size(const ch_procset *set)
{
        return set->n;
}

_public_ const ch_process *ch_procset_get(const ch_procset *set, size_t index)
{
        return index < set->n ? &set->items[index] : NULL;
}

_public_ const ch_process *ch_procset_find(const ch_procset *set, pid_t pid)
{
        ssize_t slot = procset_find_slot(set, pid);

        return slot >= 0 ? &set->items[slot] : NULL;
}

/* Ancestors of the process that were added from `first` on. */
static unsigned depth_of(const ch_procset *set, size_t first, size_t slot)
{
        unsigned depth = 0;

        while (depth < set->n) {
                ssize_t parent = procset_find_slot(set, set->items[slot].ppid);

                if (parent < (ssize_t)first)
                        break;
                slot = (size_t)parent;
                depth++;
        }
        return depth;
}

typedef struct OrderKey {
        unsigned depth;
        size_t slot;
} OrderKey;

static int compare_order(const void *a, const void *b)
{
        const OrderKey *x = a, *y = b;

        if (x->depth != y->depth)
                return x->depth < y->depth ? -1 : 1;
        return x->slot < y->slot ? -1 : x->slot > y->slot;
}

int procset_order(ch_procset *set, size_t first)
{
        _cleanup_(freep) ch_process *items = NULL;
        _cleanup_(freep) ProcNote *notes = NULL;
        _cleanup_(freep) OrderKey *keys = NULL;
        size_t n = set->n - first;

        if (n < 2)
                return 0;
        items = reallocarray(NULL, n, sizeof(*items));
        notes = reallocarray(NULL, n, sizeof(*notes));
        keys = reallocarray(NULL, n, sizeof(*keys));
        if (!items || !notes || !keys)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                keys[i] = (OrderKey){ .depth = depth_of(set, first, first + i), .slot = first + i };
        qsort(keys, n, sizeof(*keys), compare_order);
        for (size_t i = 0; i < n; i++) {
                items[i] = set->items[keys[i].slot];
                notes[i] = set->notes[keys[i].slot];
        }
        memcpy(set->items + first, items, n * sizeof(*items));
        memcpy(set->notes + first, notes, n * sizeof(*notes));
        return index_rebuild(set, set->n_index);
}
