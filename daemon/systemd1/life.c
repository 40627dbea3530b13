/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of units when their groups come, change, run empty and go. */

#include <fcntl.h>
#include <stdio.h>

#include "life.h"
#include "log.h"
#include "start.h"
#include "stop.h"
#include "util.h"

enum { EVENTS_MAX = 256 };

/* A small file below a unit's group. */
static int read_group_file(const Unit *unit, const char *file, char *ret, size_t size)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = -EBADF;
        ssize_t n;

        if (asprintf(&path, "%s/%s", unit->path + 1, file) < 0)
                return -ENOMEM;
        fd = openat(ch_tree_get_fd(unit->face->manager->tree), path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, ret, size - 1);
        if (n < 0)
                return -errno;
        ret[n] = '\0';
        return 0;
}

int life_is_populated(const Unit *unit)
{
        char text[EVENTS_MAX];

        if (read_group_file(unit, "cgroup.events", text, sizeof(text)) >= 0)
                return strstr(text, "populated 1") != NULL;
        /* a plain directory tells nothing */
        return (ch_tree_get_flags(unit->face->manager->tree) & CH_TREE_ANY_FS) &&
               groups_get(unit->face->manager->groups, unit->path) != NULL;
}

int life_minds_oom(const Unit *unit)
{
        const PropertySet *set = &unit->properties;

        if (unit->kind != UNIT_SCOPE)
                return 0;
        return property_is_set(set, PROP_OOM_POLICY)
                       ? !streq(property_get_text(set, PROP_OOM_POLICY), "continue")
                       : !property_get_bool(set, PROP_DELEGATE);
}

static int was_oom_killed(const Unit *unit)
{
        char text[EVENTS_MAX];
        const char *found;
        uint64_t n;

        return life_minds_oom(unit) &&
               read_group_file(unit, "memory.events", text, sizeof(text)) >= 0 &&
               (found = strstr(text, "oom_kill ")) &&
               parse_u64(found + strlen("oom_kill "), &n, &(const char *){ NULL }) >= 0 &&
               n > unit->oom_kills;
}

/* It may be known from before it was marked as ours. */
static void take_in(Groups *groups, const char *path)
{
        Group *group = groups_get(groups, path);

        if (group && !(group->flags & GROUP_MANAGED))
                (void)groups_refresh(groups, group);
}

void life_group_made(Unit *unit)
{
        Manager *manager = unit->face->manager;
        size_t length = (size_t)(strrchr(unit->path, '/') - unit->path);
        _cleanup_(freep) char *parent = NULL;

        /* slices, and the slice of a scope, at once: they are asked for */
        if (unit->kind == UNIT_SLICE) {
                take_in(manager->groups, unit->path);
                return;
        }
        parent = length > 0 ? strndup(unit->path, length) : NULL;
        if (parent)
                take_in(manager->groups, parent);
        if (!groups_find(manager->groups, unit->path))
                watches_expect(manager->watches, unit->path);
}

void life_group_filled(Unit *unit)
{
        Groups *groups = unit->face->manager->groups;
        Group *group = groups_find(groups, unit->path);

        /* one that is new to the model is looked at when it is taken in. In one that is used again
         * the model must see the processes, or their end would be no change. */
        if (!group)
                return;
        if (groups_refresh_events(groups, group) < 0) { /* that was one before */
                watches_expect(unit->face->manager->watches, unit->path);
                life_check_empty(unit);
        } else if (!(group->flags & GROUP_POPULATED)) {
                life_check_empty(unit);
        }
}

static void forget_group(const Unit *unit)
{
        Groups *groups = unit->face->manager->groups;
        Group *group = groups_find(groups, unit->path);

        /* somebody may have made it again meanwhile: what the tree says counts */
        if (group)
                (void)groups_refresh(groups, group);
}

void life_slice_ended(Unit *unit)
{
        PropertySet empty = { 0 };

        /* the next one of that name begins anew */
        property_set_done(&unit->properties);
        unit->properties = empty;
        unit->flags &= ~(uint32_t)UNIT_TRANSIENT;
        unit_close(unit);
}

void life_unit_ended(Unit *unit, UnitResult result, LifeGroup group)
{
        Face *face = unit->face;
        int failed = unit->result != UNIT_SUCCESS || result != UNIT_SUCCESS;

        unit->timer = sd_event_source_disable_unref(unit->timer);
        unit->flags &= ~(uint32_t)(UNIT_FROZEN | UNIT_FREEZE);
        unit_set_state(unit, failed ? UNIT_FAILED : UNIT_DEAD, result);
        unit->uid = UINT32_MAX;
        if (unit->job)
                unit_job_end(unit->job, UNIT_JOB_DONE);
        if (failed)
                log_info("%s: failed with result '%s'", unit->name,
                         unit_result_to_string(unit->result));
        if (unit->kind == UNIT_SLICE)
                life_slice_ended(unit);
        if (group == LIFE_GROUP_REMOVED || (group == LIFE_GROUP_LEFT && unit->kind == UNIT_SLICE))
                forget_group(unit);
        if (group == LIFE_GROUP_LINGERS)
                lingering_add(face->lingering, unit->name, unit->path);
        if (unit->kind == UNIT_SCOPE)
                stop_tell_slices(unit);
        unit_flush(unit);
        unit_collect(unit);
}

void life_check_empty(Unit *unit)
{
        if (unit->kind != UNIT_SCOPE || unit->n_tasks > (unit->stop != NULL) ||
            !unit_is_active(unit))
                return;
        if (unit->stop)
                stop_look(unit);
        else if (!life_is_populated(unit))
                life_unit_ended(unit, was_oom_killed(unit) ? UNIT_OOM_KILL : UNIT_SUCCESS,
                                LIFE_GROUP_LINGERS);
}

/* ---- the model ---- */

static int ends_with(const char *text, const char *end)
{
        size_t length = strlen(text), n = strlen(end);

        return length > n && streq(text + length - n, end);
}

/* Whoever made it: a slice that is there is a unit. */
static Unit *slice_of_group(Face *face, const Group *group)
{
        _cleanup_(freep) char *name = NULL;
        Unit *unit = units_find_by_path(face->units, group->path);

        if (unit || !ends_with(group->path, ".slice") ||
            unit_name_from_group(group->path, &name, NULL) < 0 ||
            units_load(face->units, name, &unit) < 0)
                return unit;
        return unit;
}

/* What a scope left behind with processes in it (KillMode=none) runs empty in the end. */
static void check_left(Face *face, const Group *group)
{
        _cleanup_(freep) char *name = NULL, *text = NULL;
        ch_group *opened;

        if ((group->flags & GROUP_POPULATED) || !(group->flags & GROUP_MANAGED) ||
            !ends_with(group->path, ".scope") ||
            unit_name_from_group(group->path, &name, NULL) < 0 || units_find(face->units, name) ||
            ch_tree_open_group(face->manager->tree, group->path, &opened, NULL) < 0)
                return;
        if (unit_mark_read(ch_group_get_fd(opened), &text) >= 0)
                lingering_add(face->lingering, name, group->path);
        ch_group_unref(opened);
}

static void check_slice(Unit *unit, const Group *group)
{
        if (unit->kind == UNIT_SLICE && unit->state == UNIT_DEAD && (group->flags & GROUP_MANAGED))
                unit_set_state(unit, UNIT_RUNNING, UNIT_SUCCESS);
}

void life_group_added(Group *group, void *userdata)
{
        Unit *unit = slice_of_group(userdata, group);

        if (!unit)
                check_left(userdata, group);
        if (unit)
                check_slice(unit, group);
        /* a scope that ended before it was watched */
        if (unit && unit->kind == UNIT_SCOPE && !(group->flags & GROUP_POPULATED))
                life_check_empty(unit);
        else if (unit && unit->kind == UNIT_SCOPE && group->oom_kills > unit->oom_kills)
                life_group_oom(group, group->oom_kills, userdata);
}

void life_group_removed(Group *group, void *userdata)
{
        Face *face = userdata;
        Unit *unit = units_find_by_path(face->units, group->path);

        if (!unit || !unit_is_active(unit))
                return;
        if (unit->stop)
                stop_look(unit);
        else if (unit->kind == UNIT_SCOPE && !life_is_populated(unit)) /* it may be there anew */
                life_unit_ended(unit, UNIT_SUCCESS, LIFE_GROUP_GONE);
        else if (unit->kind == UNIT_SLICE && !(unit->flags & UNIT_PERPETUAL))
                life_unit_ended(unit, UNIT_SUCCESS, LIFE_GROUP_GONE);
        else if (unit->kind == UNIT_SLICE)
                unit_close(unit);
}

void life_group_missed(const char *path, void *userdata)
{
        Face *face = userdata;
        Unit *unit = units_find_by_path(face->units, path);

        if (unit && !unit->stop)
                life_check_empty(unit);
}

void life_group_changed(Group *group, uint32_t bits, void *userdata)
{
        Face *face = userdata;
        Unit *unit = units_find_by_path(face->units, group->path);

        if (!unit) {
                if (bits & GROUP_CHANGED_POPULATED)
                        check_left(face, group);
                return;
        }
        if (bits & GROUP_CHANGED_MANAGED)
                check_slice(unit, group);
        if (bits & GROUP_CHANGED_FROZEN) {
                unit->flags &= ~(uint32_t)UNIT_FROZEN;
                if (group->flags & GROUP_FROZEN)
                        unit->flags |= UNIT_FROZEN;
                unit_changed(unit);
        }
        if ((bits & GROUP_CHANGED_POPULATED) && !(group->flags & GROUP_POPULATED))
                life_check_empty(unit);
}

void life_group_oom(Group *group, uint64_t count, void *userdata)
{
        Face *face = userdata;
        Unit *unit = units_find_above(face->units, group->path);

        if (unit && unit_is_active(unit) && life_minds_oom(unit))
                stop_unit(unit, UNIT_OOM_KILL);
}

void life_client_gone(Face *face, const char *client)
{
        units_drop_client(face->units, client);
}
