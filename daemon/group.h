/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_GROUP_H
#define CHD_GROUP_H

/*
 * The model of the tree: one small struct per group, changed only by what was read back from
 * cgroupfs. No fds are kept. Used on the loop's thread only; workers use the library's ch_tree.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/tree.h>

#include "hash.h"

typedef struct Group Group;
typedef struct Groups Groups;

enum {
        /* the first four are the flags of Manager.ListGroups (dbus/names.h) */
        GROUP_MANAGED = 1 << 0,
        GROUP_POPULATED = 1 << 1,
        GROUP_FROZEN = 1 << 2,
        GROUP_UNSORTED = 1 << 4, /* children are not in order of their names */
        GROUP_CLAIMED = 1 << 5,  /* had a claim (claim.h) when it was last read */
        /* what has to be told to the bus at the end of this loop turn */
        GROUP_CHANGED_POPULATED = 1 << 8,
        GROUP_CHANGED_FROZEN = 1 << 9,
        GROUP_CHANGED_MANAGED = 1 << 10,
        GROUP_CHANGED_EVENTS = 1 << 11, /* memory.events */
        GROUP_CHANGED = 0xff00,
};

enum { WATCH_DIRECTORY, WATCH_EVENTS, WATCH_MEMORY, WATCH_MAX_ };

struct Group {
        Group *parent, *first_child, *last_child, *prev, *next;
        Group *hash_next;
        Group *changed_next; /* in Groups.changed while a GROUP_CHANGED_ bit is set */
        uint64_t id;         /* inode number */
        uint64_t oom_kills;  /* of memory.events.local (before 5.2: memory.events) */
        uint64_t hash;
        uint32_t uid;
        uint32_t flags;
        int32_t watches[WATCH_MAX_]; /* inotify descriptors, 0: none */
        char path[];
};

/* What the files of a group say of it; may be read on any thread. */
typedef struct GroupFacts {
        uint32_t flags, known; /* GROUP_MANAGED, _POPULATED, _FROZEN; those that were told */
        uint32_t uid;
        int has_uid;
} GroupFacts;

typedef struct GroupsObserver {
        void (*added)(Group *group, void *userdata);
        void (*removed)(Group *group, void *userdata); /* still whole; freed afterwards */
        void (*changed)(Groups *groups,
                        void *userdata); /* the list of changed groups is no longer empty */
        void (*oom)(Group *group, uint64_t count, void *userdata);
        void *userdata;
        /* a new group, before anything is read of it: what changes from now on must not be missed */
        void (*opened)(Group *group, int fd, void *userdata);
        /* a group that came and went before it was taken in (watch.h) */
        void (*missed)(const char *path, void *userdata);
} GroupsObserver;

struct Groups {
        ch_tree *tree;
        Group *root;
        Group **buckets;
        size_t n_buckets, n;
        Group *changed;
        GroupsObserver observer;
        int quiet; /* first scan: nobody is told */
};

int groups_new(ch_tree *tree, const GroupsObserver *observer, Groups **ret);
Groups *groups_free(Groups *groups);
Group *groups_find(const Groups *groups, const char *path);
/* As groups_find(), but looks into the tree for a group that nobody told us of yet. NULL: no such
 * group. */
Group *groups_get(Groups *groups, const char *path);
/* Read a group from the tree into the model, with its missing ancestors. -ENODEV. */
int groups_add(Groups *groups, const char *path, Group **ret);
/* With all below. */
void groups_remove(Groups *groups, Group *group);
/* Adds and refreshes `path` and what is below, at most `max` groups: -E2BIG when there are more.
 * What is gone is left to rescan.h. */
int groups_scan(Groups *groups, const char *path, size_t max, ch_error **err);
/* Read cgroup.events, owner and mark again. -ENODEV: gone, and removed from the model. */
int groups_refresh(Groups *groups, Group *group);
/* Only cgroup.events. */
int groups_refresh_events(Groups *groups, Group *group);
/* Read memory.events: tells the observer of new kills. */
void groups_refresh_memory(Groups *groups, Group *group);
/* Takes a group off the list of changes; *ret_bits is what changed. NULL: none left. */
Group *groups_pop_changed(Groups *groups, uint32_t *ret_bits);

/* Any thread; `fd` is the group's directory. */
void group_facts_read(int fd, GroupFacts *ret);
int group_oom_kills_read(int fd, uint64_t *ret); /* -ENOENT: nothing is counted here */
/* Would groups_refresh() find something new? */
int group_facts_differ(const Group *group, const GroupFacts *facts);

/* Pre-order, siblings by name; NULL after the last one of `start`'s subtree. `skip` != 0 passes
 * over what is below `group`. */
Group *group_next(Group *start, Group *group, int skip);
const char *group_name(const Group *group); /* last component; "" for the root */
/* Flags as of Manager.ListGroups */
uint32_t group_list_flags(const Group *group);

#endif
