/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_FIGURES_H
#define CTL_FIGURES_H

/* Figures of a group that list, tree and status show beside its name. */

#include "access.h"

/* Add to each row of access->list(): state, and where the hierarchy can be read: processes, tasks,
 * memory_bytes, memory_max, swap_bytes. Returns an exit code. */
int figures_add(Cli *cli, struct json_object *rows);
/* [{pid, comm, uid, state}] of the group's own members; empty where they cannot be read. */
struct json_object *figures_processes(Cli *cli, const char *group);
/* {pid, comm, uid, ppid}: what /proc says; NULL when there is no such process. */
struct json_object *figures_process(pid_t pid);
/* From the group up to the root: [{group, memory_current, memory_high, memory_max, swap_max, tasks,
 * tasks_max}] */
int figures_ancestors(Cli *cli, const char *group, struct json_object **ret);

#endif
