/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_WATCH_H
#define CHD_WATCH_H

/*
 * Keeps the model in line with the tree by inotify: the directory, cgroup.events and memory.events
 * of each group. Where watches run out (fs.inotify.max_user_watches), or events are lost, the tree
 * is read again instead (rescan.h).
 */

#include <systemd/sd-event.h>

#include "group.h"

typedef struct Watches Watches;

int watches_new(sd_event *event, Groups *groups, uint64_t rescan_usec, Watches **ret);
/* 0 and nothing is freed while the tree is being read again: left to the end of the process. */
int watches_free(Watches *watches);
/* For the end: a reading under way is given up. */
void watches_stop(Watches *watches);
/* Watch a group again after controllers were enabled. */
void watches_add(Watches *watches, Group *group);
/* Watch a group that is new in the model; `fd` is its directory. */
void watches_add_open(Watches *watches, Group *group, int fd);
/*
 * New directories are taken into the model a moment later: what is gone by then, as a short run's
 * group is, costs nothing.
 */
void watches_expect(Watches *watches, const char *path); /* as if inotify had told */
/* For those who look at the model as a whole: takes in at once what is new. */
void watches_settle(Watches *watches);
void watches_remove(Watches *watches, Group *group);
size_t watches_count(const Watches *watches);
/* 0 when some group is not watched and the tree is read at intervals instead */
int watches_is_complete(const Watches *watches);
int watches_is_scanning(const Watches *watches); /* the tree is being read again */
uint64_t watches_count_rescans(const Watches *watches);

#endif
