/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_UNIT_H
#define CHD_SYSTEMD1_UNIT_H

/*
 * Units: what clients of org.freedesktop.systemd1 know groups as. On the loop's thread only. Looked
 * up by name and by group path in O(1); nothing here walks all units for one call.
 *
 * A scope exists from StartTransientUnit until it is dead (or failed and reset). Its group may
 * outlive it (ScopeLinger=). A slice exists while its group does, or while it was given properties.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "../group.h"
#include "name.h"
#include "property.h"

typedef struct Face Face;
typedef struct Unit Unit;
typedef struct Units Units;
typedef struct UnitJob UnitJob;
typedef struct UnitStop UnitStop; /* stop.c: what a stop under way needs */

typedef enum UnitState {
        UNIT_DEAD,
        UNIT_STARTING, /* the start job is at work */
        UNIT_RUNNING,  /* slices: active */
        UNIT_ABANDONED,
        UNIT_STOP_SIGTERM,
        UNIT_STOP_SIGKILL,
        UNIT_FAILED,
        UNIT_STATE_MAX_
} UnitState;

typedef enum UnitResult {
        UNIT_SUCCESS,
        UNIT_RESOURCES, /* no process was left to put in */
        UNIT_TIMED_OUT,
        UNIT_OOM_KILL,
        UNIT_RESULT_MAX_
} UnitResult;

enum {
        UNIT_TRANSIENT = 1 << 0,
        UNIT_PERPETUAL = 1 << 1,  /* -.slice, the default slice */
        UNIT_FROZEN = 1 << 2,     /* the kernel says so */
        UNIT_FREEZE = 1 << 11,    /* FreezeUnit asked for it */
        UNIT_TOLD = 1 << 3,       /* UnitNew was sent */
        UNIT_CHANGED = 1 << 4,    /* PropertiesChanged is due at the end of the turn */
        UNIT_REFERENCED = 1 << 5, /* RefUnit or AddRef: see Unit.refs */
        UNIT_ADOPTED = 1 << 6,    /* found in the tree at start */
        UNIT_WAS_ABANDONED = 1 << 7,
        UNIT_QUEUED = 1 << 8,   /* in Units.changed */
        UNIT_COUNTED = 1 << 10, /* in its slice's n_children */
        UNIT_CANCELED = 1 << 9, /* its start is to be undone when it is done */
};

/* Directory of a slice, kept open: what is started in it takes no walk down the tree. */
typedef struct UnitDir {
        unsigned n_refs; /* the loop's */
        int fd;
        uint32_t controllers; /* those of systemd's set that are known to be enabled in it */
} UnitDir;

struct Unit {
        Face *face;
        Unit *prev, *next;           /* in Units */
        Unit *name_next, *path_next; /* in the buckets of Units */
        uint64_t name_hash, path_hash;
        Unit *changed_next;
        UnitDir *directory; /* slices; NULL: not open */
        UnitKind kind;
        uint8_t state, result; /* UnitState, UnitResult */
        uint32_t flags;
        uint32_t uid;        /* whom it is delegated to: User=, or the user of user@UID.service */
        uint32_t owner;      /* who had it made */
        uint64_t awaited;       /* by stops of slices above, a bit for each level of the tree */
        unsigned n_children; /* a slice: units that were started in it */
        unsigned n_tasks;    /* at work on a worker: it must not be freed */
        UnitJob *job;        /* under way */
        UnitStop *stop;
        sd_event_source *timer; /* the end of a stop's patience, or RuntimeMaxUSec */
        PropertySet properties;
        char **refs;        /* unique names of clients that hold it; NULL-terminated or NULL */
        uint64_t oom_kills; /* of the group when it became a unit */
        uint64_t inactive_exit_usec, active_enter_usec, active_exit_usec, inactive_enter_usec,
                state_change_usec; /* CLOCK_REALTIME; *Monotonic is derived */
        uint8_t invocation_id[16];
        char *slice; /* name of the slice it is in; "-.slice" has none: NULL */
        char *path;  /* of the group within the tree */
        char name[];
};

int units_new(Face *face, Units **ret);
Units *units_free(Units *units);
Unit *units_find(const Units *units, const char *name);
/* The unit whose own group this is. */
Unit *units_find_by_path(const Units *units, const char *path);
/* The deepest unit on the way of a group path: "/a.slice/x.scope/container" → x.scope. */
Unit *units_find_above(const Units *units, const char *path);
/* A new one, UNIT_DEAD, with `slice` (copied; NULL for slices: follows from the name). Sends
 * UnitNew. */
int units_add(Units *units, const char *name, UnitKind kind, const char *slice, Unit **ret);
/* Sends UnitRemoved and frees. */
void units_remove(Units *units, Unit *unit);
size_t units_count(const Units *units);
Unit *units_first(const Units *units); /* then unit->next; in order of creation */
/*
 * As the original loads units on demand: a slice with a valid name always exists (made here, dead
 * or active as its group is); -.slice too. Others: -ENOENT where there is none.
 */
int units_load(Units *units, const char *name, Unit **ret);

/* Changes the state, sets time stamps, and has clients told at the end of the loop turn. */
void unit_set_state(Unit *unit, UnitState state, UnitResult result);
void unit_changed(Unit *unit); /* PropertiesChanged is due */
/* Something that held it is gone: unit_collect() at the end of the turn. */
void unit_check(Unit *unit);
/* All that is due at the end of the turn: telling, and dropping what nothing holds. */
void units_flush(Units *units);
int unit_is_active(const Unit *unit); /* running, abandoned, stopping; slices: active */
/* PropertiesChanged now, where it is due. */
void unit_flush(Unit *unit);
/* Drop it if nothing holds it any more: dead (or failed with CollectMode=inactive-or-failed), no
 * job, no references, not perpetual. The unit may be gone afterwards. */
void unit_collect(Unit *unit);
const char *unit_active_state(
        const Unit *unit); /* "active", "activating", "deactivating", "failed", "inactive" */
const char *unit_sub_state(const Unit *unit); /* "running", "stop-sigterm", "dead", "active" … */
const char *unit_freezer_state(const Unit *unit); /* "running", "frozen", "frozen-by-parent" */
int unit_is_frozen_above(const Unit *unit);       /* a slice it is in was asked to freeze */
const char *unit_load_state(const Unit *unit);    /* "loaded" */
const char *unit_result_to_string(
        UnitResult result); /* "success", "resources", "timeout", "oom-kill" */

/* References of clients: RefUnit, AddRef; each counts. -ENOMEM, -ENOBUFS too many; -ENOENT it has
 * none. */
int unit_ref(Unit *unit, const char *client);
int unit_unref(Unit *unit, const char *client);
/* All references of a client that has gone. */
void units_drop_client(Units *units, const char *client);
/* The bus was restarted: of all that were on it. */
void units_drop_bus_clients(Units *units);

/* Who had it made: counted. */
void unit_set_owner(Unit *unit, uint32_t uid);
size_t units_count_owned(const Units *units, uint32_t uid);

UnitDir *unit_dir_new(int fd, uint32_t controllers); /* takes the fd; NULL: out of memory */
UnitDir *unit_dir_ref(UnitDir *directory);
UnitDir *unit_dir_unref(UnitDir *directory);
void unit_close(Unit *unit); /* its directory is not there any more */

#endif
