/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_PROCESS_H
#define CHARGEHAND_PROCESS_H

/*
 * Sets of processes, each held by a pidfd so that a reused pid is never taken for the process meant,
 * and which of them share an address space (mm).
 *
 * Thread rule: one thread at a time per set. Nothing here blocks for long.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <chargehand/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ch_procset ch_procset;

enum {
        CH_PROCESS_KTHREAD = 1 << 0, /* PF_KTHREAD in /proc/PID/stat */
        CH_PROCESS_ZOMBIE  = 1 << 1, /* state Z or X */
        CH_PROCESS_EXITED  = 1 << 2, /* gone since it was added */
        CH_PROCESS_ROOTED  = 1 << 3, /* named by the caller, not found as a child */
        CH_PROCESS_NO_MM   = 1 << 4, /* no address space any more (exiting) */
};

typedef struct ch_process {
        pid_t pid;
        int pidfd;              /* -EBADF where pidfds ran out: start_ticks guards instead */
        pid_t ppid;
        uint64_t start_ticks;   /* /proc/PID/stat field 22, clock ticks since boot */
        uint32_t uid;           /* effective uid: owner of /proc/PID */
        uint32_t flags;         /* CH_PROCESS_* */
        uint32_t mm;            /* index of its address space in the set, see ch_procset_find_mms() */
        char comm[16];
} ch_process;

int ch_procset_new(ch_procset **ret);
ch_procset *ch_procset_free(ch_procset *set);

/* A pointer from ch_procset_get() or _find() is valid until the next add or rescan; indexes of those added stay as they are. */

/* Add one process. -ESRCH none of that pid, -EINVAL pid <= 0. Adding it twice is no error (0; 1 when added).
 * Kernel threads and zombies are added and flagged; who moves decides. */
int ch_procset_add_pid(ch_procset *set, pid_t pid, ch_error **err);
/* Takes a pidfd (duplicated). -EBADF not a pidfd, -ESRCH. */
int ch_procset_add_pidfd(ch_procset *set, int pidfd, ch_error **err);
/* Add a process and all its descendants: children of all its threads (/proc/PID/task/TID/children, or one scan of /proc by
 * parent where that is cheaper), again until one scan finds nothing new. Returns the number added. -ESRCH when
 * the first is gone. A tree that forks faster than it can be scanned ends it after 100 scans: ch_procset_rescan()
 * then does not return 0.
 *
 * What is certain: whoever was a descendant before the call and still is after it is in the set. Children of
 * a descendant that exits meanwhile are given to init or a subreaper, and the kernel does not tell whose they
 * were: they are found if they are in the process group or session of a member that leads it, or if the subreaper is
 * in the set. One that left its session as well (a daemon that forks twice) is found only through the group it is in
 * (ch_procset_add_group()), which the mover uses as well where the tree is alone in its group. */
int ch_procset_add_tree(ch_procset *set, pid_t pid, ch_error **err);
/* The same for several at once: for many pids far cheaper than one by one. An error leaves those before it in the set. */
int ch_procset_add_trees(ch_procset *set, const pid_t *pids, size_t n, ch_error **err);
/* Add the members of a group, with `recursive` != 0 also of the groups below. Returns the number added. */
int ch_procset_add_group(ch_procset *set, ch_group *group, int recursive, ch_error **err);
/* One more scan for new descendants of all in the set (fork races). Returns the number added, 0 = converged. */
int ch_procset_rescan(ch_procset *set, ch_error **err);
/* Mark those that exited meanwhile (poll on the pidfds). Returns how many are alive. */
int ch_procset_update(ch_procset *set);

size_t ch_procset_size(const ch_procset *set);
/* In the order of adding; within one call parents before children. NULL past the end. */
const ch_process *ch_procset_get(const ch_procset *set, size_t index);
const ch_process *ch_procset_find(const ch_procset *set, pid_t pid);
/* 1 if the process is alive and still the same, 0 if it exited. */
int ch_process_is_alive(const ch_process *process);

/* An address space and who shares it. */
typedef struct ch_mm {
        pid_t pid;              /* a live process of the set that has it: its owner where that is in the set */
        uint32_t n_inside;      /* processes of the set with this mm */
        uint32_t n_outside;     /* processes outside the set with this mm (CLONE_VM, vfork in flight) */
        pid_t outside_pid;      /* one of those, 0 if none */
        pid_t owner;            /* who pays: the kernel charges the group of the mm's owner, the thread group leader
                                   that has had it longest; the best that user space can tell (oldest start
                                   time, and for equal ones the parent). 0 unknown */
        int owner_inside;       /* is the owner in the set? */
} ch_mm;
/* Find sharing by kcmp(KCMP_VM), also with processes outside the set (prefiltered by /proc/PID/stat, so the cost is one
 * stat read per process of the host). Fills ch_process.mm. Needs ptrace access: -EPERM. */
int ch_procset_find_mms(ch_procset *set, ch_error **err);
size_t ch_procset_n_mms(const ch_procset *set);
const ch_mm *ch_procset_get_mm(const ch_procset *set, size_t index);

#ifdef __cplusplus
}
#endif
#endif
