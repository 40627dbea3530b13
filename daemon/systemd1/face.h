/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_FACE_H
#define CHD_SYSTEMD1_FACE_H

/*
 * The face that container runtimes know as org.freedesktop.systemd1: owns its connection to the
 * bus, the private socket, the units and their jobs. The rest of the daemon knows face_new() and
 * the observer that it registers with the manager.
 *
 *   methods-*.c ─▶ start.c, stop.c (workers) ─▶ life.c ─▶ unit.c, job.c ─▶ signal.c ─▶ bus, peers
 *                                 group model (inotify) ─▶ life.c
 */

#include "../link.h"
#include "../manager.h"
#include "../request.h"
#include "job.h"
#include "unit.h"

typedef struct Private Private; /* private.h */

struct Face {
        Manager *manager;
        Link *link;        /* NULL: no bus */
        Private *private_; /* NULL: no private socket */
        Units *units;
        UnitJobs *jobs;
        sd_event_source *changes; /* deferred: PropertiesChanged at the end of the turn */
        struct Subscriber *subscribers;
        char *default_slice;
        char *control_group;         /* Manager.ControlGroup: "" or the tree's prefix */
        uint32_t controllers;        /* internal to start.c */
        unsigned n_directories;      /* slices that are kept open */
        struct Lingering *lingering; /* life.c: directories of dead scopes, oldest first */
        int directory_made;          /* /run/systemd/system is ours */
        int is_user;                 /* a user's instance */
        int refused;                 /* the name on the bus will never be ours */
        int stopping;
        /*
         * A user's instance: has processes that it may not move itself put into the group `path` by
         * the system's. On the loop; done() is called once, also on it. NULL: there is nobody to
         * ask.
         */
        int (*attach_outside)(Face *face, const char *path, const pid_t *pids, size_t n,
                              void (*done)(int r, void *userdata), void *userdata);
};

/* Registers with the manager. Needs tree, model and configuration. */
int face_new(Manager *manager, Face **ret, ch_error **err);
Face *face_free(Face *face);

/* vtables and their userdata, for the bus and for each private peer (manager-vtable.c) */
int face_add_objects(Face *face, sd_bus *bus);

/* ---- start.c, stop.c, life.c (core) ---- */
/* begin() of the methods that change something; each is request_start()ed by a vtable handler. */
int method_start_transient_unit(Request *request);
int method_stop_unit(Request *request);
int method_set_unit_properties(Request *request);
int method_reset_failed_unit(Request *request);
int method_reset_failed(Request *request);
int method_attach_processes(Request *request);
int method_kill_unit(Request *request);
int method_freeze_unit(Request *request);
int method_thaw_unit(Request *request);
int method_abandon_scope(Request *request);
int method_ref_unit(Request *request);
int method_unref_unit(Request *request);
int method_cancel_unit_job(Request *request); /* SD1: by id, or the job object's Cancel() */
int method_clear_jobs(Request *request);
/* The same by object: request->path is the unit's name then, else the name is the first argument.
 */

/* Observers of the model (manager.h) */
void life_group_added(Group *group, void *userdata);
void life_group_removed(Group *group, void *userdata);
void life_group_missed(const char *path, void *userdata);
void life_group_changed(Group *group, uint32_t bits, void *userdata);
void life_group_oom(Group *group, uint64_t count, void *userdata);
/* A client left the bus or the private socket: its references go. */
void life_client_gone(Face *face, const char *client);
/* Units of an earlier life: scopes that carry our mark, slices on the way. Once at start. (adopt.c)
 */
int life_adopt(Face *face);

/* ---- signal.c (read) ---- */
/* Signals on the bus and to every private peer. JobRemoved always; the others when somebody
 * subscribed, or is a private peer. */
void face_emit_job_new(Face *face, const UnitJob *job);
void face_emit_job_removed(Face *face, uint32_t id, const char *unit, const char *result);
void face_emit_unit_new(Face *face, const Unit *unit);
void face_emit_unit_removed(Face *face, const Unit *unit);
/* Unit, and Scope or Slice */
void face_emit_unit_changed(Face *face, const Unit *unit);
void face_emit_job_changed(Face *face, const UnitJob *job);
int method_subscribe(Request *request);
int method_unsubscribe(Request *request);

/* ---- helpers of all methods ---- */
/* The face whose method this is. */
Face *face_of(const Request *request);
/* Sets request->bus_error, which goes out as it is; returns < 0. */
int face_fail(Request *request, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Absolute path "/a.slice/x.scope" that clients expect: control_group + path ("" for the root). */
char *face_control_group_of(const Face *face, const char *path);
/* The calling client's unit; NULL: none */
Unit *face_unit_of_pid(Face *face, pid_t pid);

#endif
