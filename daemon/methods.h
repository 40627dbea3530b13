/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_METHODS_H
#define CHD_METHODS_H

/* The methods of the bus interfaces: each reads its arguments on the loop, and answers or defers.
 * Those that the Group interface shares find the group in request->path; else the path is their
 * first argument. */

#include "request.h"

/* manager-bus.c */
int method_get_group(Request *request);
int method_get_group_by_pid(Request *request);
int method_get_group_by_pidfd(Request *request);
int method_list_groups(Request *request);
int method_open_group(Request *request);
int method_list_jobs(Request *request);
int method_get_job(Request *request);
int method_cancel_job(Request *request);

/* methods-group-bus.c */
int method_create_group(Request *request);
int method_remove_group(Request *request);
int method_set_properties(Request *request);
int method_kill(Request *request);
int method_freeze(Request *request);
int method_thaw(Request *request);

/* methods-move-bus.c */
int method_plan_move(Request *request);
int method_move(Request *request);
int method_charge_map(Request *request);
/* JobsPerUser=: LimitReached. */
int method_check_job_limit(Request *request);

/* placement-bus.c */
int method_place(Request *request);

/* methods-claim-bus.c */
int method_reserve(Request *request);
int method_release(Request *request);
int method_list_claims(Request *request);

/* methods-status-bus.c */
int method_status(Request *request);
int method_snapshot(Request *request);
int method_reload(Request *request);

/* ownership-bus.c */
int method_get_owner(Request *request);

/* methods-read-bus.c */
int method_get_properties(Request *request);
int method_property_get_all(
        Request *request); /* org.freedesktop.DBus.Properties.GetAll of a group */

/* group-bus.c: Properties.Set of a group */
int method_property_set(Request *request);

/* The path argument, checked, into request->path, unless it is there already. */
int method_read_path(Request *request);
/* The model's group for request->path: NoSuchGroup. */
int method_find_group(Request *request, Group **ret);
/* Who of the settings would stop the daemon itself. */
int method_apply_settings(Request *request, ch_setting *settings, size_t n, int dry_run);

#endif
