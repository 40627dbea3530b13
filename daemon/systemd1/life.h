/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_LIFE_H
#define CHD_SYSTEMD1_LIFE_H

/* What becomes of units when their groups change; what the files of core share. */

#include "face.h"

/* The group of a unit was made or set up by us: the model learns of it. */
void life_group_made(Unit *unit);
/* Processes were put in. The unit may be gone afterwards. */
void life_group_filled(Unit *unit);
/* Reads cgroup.events again and acts when nobody is left. */
void life_check_empty(Unit *unit);
/* 1 or 0: "populated" of the group now; 0 where there is none. */
int life_is_populated(const Unit *unit);
typedef enum LifeGroup {
        LIFE_GROUP_GONE,    /* the model knows already */
        LIFE_GROUP_REMOVED, /* by us */
        LIFE_GROUP_LINGERS, /* for readers of memory.events */
        LIFE_GROUP_LEFT,    /* with what is in it */
} LifeGroup;
/* The end of a unit: state, job, model. The unit may be gone afterwards. */
void life_unit_ended(Unit *unit, UnitResult result, LifeGroup group);

/* What a slice was given goes: the next one of that name begins anew. */
void life_slice_ended(Unit *unit);

/* ---- directories of dead scopes, kept for those who read memory.events after the end ---- */
typedef struct Lingering Lingering;
int lingering_new(Face *face, Lingering **ret);
Lingering *lingering_free(Lingering *lingering);
/* Kept for ScopeLinger=; the oldest goes early where there are too many. */
void lingering_add(Lingering *lingering, const char *name, const char *path);
/* The directory is used again by a unit of that name. */
void lingering_forget(Lingering *lingering, const char *name, const char *path);
/* Taken away now, if there is one. */
void lingering_remove(Lingering *lingering, const char *name);
/* A whole slice goes, with all that is below it. */
void lingering_forget_below(Lingering *lingering, const char *path);

/* ---- start.c, for methods ---- */
int method_check_mode(Request *request, const char *mode, UnitJobType type);
void start_arm_runtime(Unit *unit);

/* On any thread: AccessDenied, with the words of request->error. */
int face_deny(Request *request);
/* The unit that the call names, or the object's: NoSuchUnit "not loaded". */
int method_find_unit(Request *request, Unit **ret);
/* The same for methods that load what they name: NoSuchUnit "not found". */
int method_load_existing(Request *request, const char *name, Unit **ret);
/* AccessDenied to all but root and who had the unit made. */
int method_require_owner(Request *request, const Unit *unit);
/* Whether oom_kill ends the unit. */
int life_minds_oom(const Unit *unit);

#endif
