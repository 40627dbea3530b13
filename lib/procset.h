/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PROCSET_H
#define CH_PROCSET_H

/* Inside of a set of processes, shared by procset*.c and mm.c. */

#include <chargehand/process.h>

#include "procstat.h"

#define CH_MM_NONE UINT32_MAX   /* ch_process.mm: no address space */

/*
 * Tasks with one mm show equal values of these in /proc/PID/stat; they are fixed from exec on (but
 * for PR_SET_MM, which changes them for all sharers at once), unlike vsize, which may change
 * between two reads. fork copies them and ASLR makes them differ between programs: what is left for
 * kcmp are forked relatives.
 */
typedef struct MmKey {
        uint64_t start_stack, start_code, end_code;
} MmKey;

/* What the scans need to know about a process and users of the set do not. */
typedef struct ProcNote {
        MmKey key;              /* when it was added */
        pid_t pgrp, session;
        uint8_t expand;         /* its children belong to the set */
        uint8_t orphans_sought; /* it exited, and what it left to init has been looked for */
} ProcNote;

struct ch_procset {
        int proc_fd;            /* /proc */
        int fd_max; /* pidfds from this number on are not kept: start_ticks guards instead */
        int has_children;       /* CONFIG_PROC_CHILDREN: 1, 0, -1 not known yet */
        ch_process *items;
        ProcNote *notes;        /* parallel to items */
        size_t n, n_allocated, n_notes_allocated;
        size_t low_expanded;    /* lowest slot that `expand` was newly set for */
        uint32_t *index;        /* open addressing by pid → slot + 1; 0 free */
        size_t n_index;         /* power of two */
        ch_mm *mms;
        size_t n_mms, n_mms_allocated;
};

/* Add by pid: 1 added, 0 was there, -ESRCH. `rooted`: named by the caller, errors are told. */
int procset_add(ch_procset *set, pid_t pid, int rooted, int expand, ch_error **err);
/* Slot of a pid, -ENOENT. */
ssize_t procset_find_slot(const ch_procset *set, pid_t pid);
/* 1 alive; 0 not, and flagged. */
int procset_check_alive(ch_procset *set, size_t slot);
/* Bring what was added from `first` on into an order with parents before children; slots before
 * stay as they are. */
int procset_order(ch_procset *set, size_t first);

#endif
