/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_ACCESS_H
#define CHD_ACCESS_H

/*
 * Who may do what, beside root: the uid that owns a group's directory acts in that group and below,
 * with processes of its own uid. It follows the kernel's delegation rules: the limits of the
 * delegated group itself belong to who delegated it, and a process may be moved only between groups
 * whose common ancestor one owns. All functions read the tree, so they may run on a worker; 0 or
 * NotPermitted.
 */

#include <stdint.h>

#include <chargehand/move.h>
#include <chargehand/process.h>
#include <chargehand/tree.h>

/* To act in a group that may not exist yet. */
int access_check_group(ch_tree *tree, const char *path, uint32_t uid, ch_error **err);
/* To write these files: one owns a group above it, or the file. */
int access_check_settings(ch_tree *tree, const char *path, const ch_setting *settings, size_t n,
                          uint32_t uid, ch_error **err);
/* To look at, freeze or kill: all run under the uid. */
int access_check_processes(const ch_procset *set, uint32_t uid, ch_error **err);
/* The members of a group and of those below. */
int access_check_members(ch_tree *tree, const char *path, uint32_t uid, ch_error **err);
/* Mode delegated: all live in the tree. Foreign, also for root. */
int access_check_inside(ch_tree *tree, const ch_procset *set, ch_error **err);
/* To move them to a target. */
int access_check_move(ch_tree *tree, const ch_procset *set, const char *target, uint32_t uid,
                      ch_error **err);

#endif
