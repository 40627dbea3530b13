/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_MEMBERS_H
#define CH_MEMBERS_H

/*
 * Where each process of a set comes from and what became of it. Members run parallel to the slots
 * of the procset; groups are read as a whole (one cgroup.procs instead of one /proc/PID/cgroup per
 * process).
 */

#include <stdint.h>
#include <sys/types.h>

#include <chargehand/move.h>

#define SOURCE_NONE   UINT32_MAX
#define SOURCE_TARGET 0 /* the target of a plan is its first source */

/* A group that members come from. */
typedef struct Source {
        char *path;        /* in the tree; outside: as /proc/PID/cgroup shows it */
        uint64_t id;       /* inode number */
        uint64_t memcg_id; /* of the group whose account it is: itself or the nearest ancestor with
                              memory on */
        uint32_t n_inside; /* members of the set */
        uint32_t n_others; /* others that were in it when it was last read */
        int dir_fd;
        int procs_fd; /* cgroup.procs for writing, -EBADF until needed */
        int outside;  /* not in the tree */
        int frozen_by_us;
} Source;

typedef struct Member {
        uint32_t source; /* index, SOURCE_NONE */
        ch_outcome outcome;
        int errnum;        /* of a write that was refused */
        unsigned n_writes; /* after which it was seen where it came from */
        char *found;       /* group it was found in, where that is unexpected */
} Member;

typedef struct Members {
        Member *items; /* by slot of the procset */
        size_t n, n_allocated;
        Source *sources;
        size_t n_sources, n_sources_allocated;
} Members;

/* Catch up with processes that joined the set. Those that are gone, zombies or kernel threads get
 * their outcome. */
int members_sync(Members *members, ch_tree *tree, const ch_procset *set, ch_error **err);
/* The same without looking for their groups. */
int members_append(Members *members, const ch_procset *set);
/* Index of the source with this path, made if need be (the group must exist): -ENODEV. */
int members_add_source(Members *members, ch_tree *tree, const char *path, uint32_t *ret,
                       ch_error **err);
/* The same for a group that may be gone by now. */
int members_add_past_source(Members *members, ch_tree *tree, const char *path, int outside,
                            uint32_t *ret, ch_error **err);
/* Is the whole group part of the move? */
int source_is_whole(const Source *source);
/* Kept open; back to back writes are much cheaper than spaced ones. Returns the fd. */
int source_open_procs(Source *source, ch_error **err);
void members_done(Members *members);

/* Pids in the cgroup.procs of a directory, those of other pid namespaces left out. Caller frees. */
int procs_read(int dir_fd, pid_t **ret, size_t *ret_n);
/* The group that pays for what is in the group `dir_fd`: inode number of the nearest with a memory
 * controller. */
int memcg_id_of(int dir_fd, uint64_t *ret);

#endif
