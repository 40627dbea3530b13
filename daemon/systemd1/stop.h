/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_STOP_H
#define CHD_SYSTEMD1_STOP_H

/*
 * Stopping a unit: signals from a worker, then waiting in the loop for its processes (by pidfd,
 * since the kernel announces an empty group up to 10 ms late), patience, SIGKILL, patience.
 */

#include "face.h"

/* Begins a stop, with or without a job; one that is under way gets the result. The unit may be gone
 * afterwards. */
void stop_unit(Unit *unit, UnitResult result);
/* Something happened to the group of a unit that is being stopped. */
void stop_look(Unit *unit);
/* A unit has ended, or will not for now: slices above it may wait for that. */
void stop_tell_slices(Unit *unit);
UnitStop *stop_free(UnitStop *stop);
/* On a worker: may the caller, who is not root, act on the group request->path and its members? */
int method_check_members_work(Request *request);

/* ---- stop-work.c: any thread ---- */
#define STOP_PIDFDS_MAX 16

typedef struct StopWork {
        ch_tree *tree;
        const char *path;
        int signal;   /* 0: only look */
        int hang_up;  /* SIGHUP after it */
        int use_kill; /* cgroup.kill may be used */
        int thaw;
        int keep; /* the group is not removed */
        int only_remove; /* a slice: take away what is empty */
        /* what came out */
        int killed; /* there was somebody to signal */
        int empty;  /* nobody is left */
        int removed;
        int pidfds[STOP_PIDFDS_MAX]; /* of some that are still there; the caller's */
        unsigned n_pidfds;
} StopWork;

void stop_work_run(StopWork *work);
/* Signals all members of a group and below; < 0, or how many there were. */
int stop_signal_tree(int group_fd, int signal);

#endif
