/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_VTABLES_H
#define CHD_SYSTEMD1_VTABLES_H

/* The objects of the face: what they answer at once, and how they look in a signal. */

#include "face.h"

/* Each adds its objects to a connection; the face is their userdata. */
int manager_vtable_add(Face *face, sd_bus *bus);
int unit_vtable_add(Face *face, sd_bus *bus);
int job_vtable_add(Face *face, sd_bus *bus);
/* The end, when no connection is left: subscribers, lists under way, tables that were made once. */
void vtables_done(Face *face);
void face_forget_subscribers(Face *face);
void unit_vtable_done(void);
void lists_drop(void);

const char *unit_interface_of(UnitKind kind);
/* {sv} of what clients want to be told of, into the open array of PropertiesChanged. */
int unit_append_changed(sd_bus_message *signal, const char *interface, const void *unit);
int job_append_changed(sd_bus_message *signal, const char *interface, const void *job);

/* ---- methods-read.c: nothing changes, everybody may ---- */
/* NULL: no such unit is loaded, or a slice that is not there. */
Unit *units_find_active(Face *face, const char *name);
int method_get_unit(Request *request);
int method_load_unit(Request *request);
int method_get_unit_by_pid(Request *request);
int method_get_unit_by_pidfd(Request *request);
int method_get_unit_by_control_group(Request *request);
int method_get_unit_by_invocation_id(Request *request);
int method_get_unit_processes(Request *request);
/* StartUnit and the like: nothing here can be started but by StartTransientUnit. */
int method_refuse_start(Request *request);
int method_get_unit_job(Request *request);
/* There is one job per unit, and none waits for another. */
int method_get_job_neighbours(Request *request);

/* ---- list.c ---- */
int method_list_units(Request *request);
int method_list_units_filtered(Request *request);
int method_list_units_by_patterns(Request *request);
int method_list_units_by_names(Request *request);
int method_list_unit_jobs(Request *request);

#endif
