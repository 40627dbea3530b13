/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_OWNERSHIP_H
#define CHD_OWNERSHIP_H

/*
 * Who owns which address space, and whose group pays for it: the library's registry, fed by the process connector on a
 * thread of its own, since reading all processes again after lost events takes as long as there are processes.
 *
 * Where there is no connector nothing is tracked: asked, all processes are read then and there.
 *
 * What the registry cannot know by itself: that somebody wrote to cgroup.procs. It is told of what the daemon moves; what
 * others move is found when somebody asks (the owner's group is read from the kernel in each ownership_get()), and at the
 * latest when all is read again, every StrayInterval= or so (OWNERSHIP_RESYNC_SHARE).
 */

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include <chargehand/registry.h>
#include <chargehand/tree.h>

struct json_object;
typedef struct Ownership Ownership;

/* The reading of all processes takes at most one part in so many of the thread's time. */
#define OWNERSHIP_RESYNC_SHARE 100
/* Changes that wait for the loop; what comes beyond is counted, and said in Status and the log. */
#define OWNERSHIP_CHANGES_MAX 1024

typedef enum Track { TRACK_AUTO, TRACK_YES, TRACK_NO } Track;

typedef struct OwnerChange {
        pid_t from, to;
        uint64_t mm;
        ch_owner_cause cause;
        char *group; /* that pays now; "" outside the tree */
} OwnerChange;

typedef struct OwnershipOptions {
        sd_event *event;
        ch_tree *tree;
        Track track;
        uint64_t resync_usec;
        unsigned buffer_bytes; /* of the connector's socket; 0: the library's choice */
        void (*changed)(const OwnerChange *change, void *userdata); /* on the loop */
        void *userdata;
} OwnershipOptions;

/* What is said of one process. */
typedef struct OwnerAnswer {
        pid_t pid, owner;
        uint64_t mm; /* 0: not tracked */
        char *group, *last_group, *own_group; /* "" outside the tree */
        pid_t *users;
        size_t n_users;
        int tracked; /* 0: found by reading all processes now */
} OwnerAnswer;

/* Fails only for want of memory: a host without connector is an ordinary one. */
int ownership_new(const OwnershipOptions *options, Ownership **ret);
Ownership *ownership_free(Ownership *ownership);

/* Any thread; NULL is nobody who keeps account. These were just moved: where they are is read from the kernel. */
void ownership_look_at(Ownership *ownership, const pid_t *pids, size_t n);
/* A group is gone. */
void ownership_forget_group(Ownership *ownership, uint64_t id);
/* On a worker: waits while all processes are being read. Takes in first what the kernel has told until now. NoSuchProcess,
 * BadProcess (it has no address space). */
int ownership_get(Ownership *ownership, pid_t pid, OwnerAnswer *ret, ch_error **err);
void owner_answer_done(OwnerAnswer *answer);
/* On the loop; does not wait: figures of the last turn of the thread. {tracking, reason, processes, mms, …} */
int ownership_to_json(Ownership *ownership, struct json_object **ret);

#endif
