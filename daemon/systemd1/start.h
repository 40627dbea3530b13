/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_START_H
#define CHD_SYSTEMD1_START_H

/*
 * Starting a unit: its group is made, set up and filled in one go by one task on a worker; before
 * and after it only the loop touches the unit.
 */

#include "face.h"

typedef struct Start {
        Task task; /* the first member: the task is the start */
        Face *face;
        Unit *unit;
        /* the worker's from here on; of the unit it reads name and path, which do not change */
        UnitDir *slice; /* where it is known: a reference */
        char *text;     /* for the extended attribute */
        uint64_t claim_bytes; /* memory to be set aside */
        PropertySet set;      /* a copy of what it was given */
        char *user, *group;   /* to whom it is given; NULL: nobody */
        char *subgroup;       /* for the processes */
        pid_t *pids;
        size_t n_pids;
        int delegate, can_ask; /* can_ask: somebody else may put in processes that we may not */
        /* what came out */
        int result;
        size_t n_attached;
        pid_t *outside; /* that we may not move */
        size_t n_outside, outside_allocated;
        int slice_fd; /* when the tree had to be walked: of the slice */
        uint32_t controllers;
        int walked;
        uint32_t uid;
        uint64_t oom_kills;
} Start;

/* Any thread: the uid that a process runs under. -ESRCH. */
int start_read_uid(pid_t pid, uid_t *ret);
/* Right before a process is moved for a caller: it may have ended since all were checked, and its
 * number be another's. */
int start_may_move(uint32_t caller, pid_t pid);

/* Any thread: the task's run(). */
void start_run(Task *task);
void start_free(Start *start);
/* Any thread: takes away a group that is empty. 0; -EBUSY: it is not. */
int start_remove_group(ch_tree *tree, const char *path);

/* The group of a slice is made if it is not there; no job, nobody waits. */
void start_slice(Face *face, const char *name);
/* Users=: user@UID.service for each, which belongs to that user. */
void start_users(Face *face);

/* ---- adopt.c: the extended attribute of a unit's group, which outlives the daemon ---- */
char *start_make_text(const Unit *unit); /* NULL: out of memory */
int unit_mark_write(int group_fd, const char *text, const char *unit); /* `unit` is for the log */
int unit_mark_read(int group_fd, char **ret);
void unit_mark_clear(int group_fd); /* with the mark of managed groups */

#endif
