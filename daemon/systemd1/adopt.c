/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units outlive the daemon in their groups: an extended attribute says what they were given. */

#include <stdio.h>
#include <sys/xattr.h>

#include "life.h"
#include "log.h"
#include "mark.h"
#include "start.h"
#include "util.h"

/* What fits into one attribute of cgroupfs, with room for what others keep there */
#define TEXT_MAX 49152

/* "VERSION STATE UID INVOCATION", a newline, and the properties */
#define HEAD_VERSION 1

static const char *const names[] = { "trusted.chargehand.unit", "user.chargehand.unit" };

int unit_mark_write(int group_fd, const char *text, const char *unit)
{
        size_t size = strlen(text);
        int r = -ENOTSUP;

        if (size > TEXT_MAX) {
                log_warning(
                        "%s: what it was given is too long to be kept (%zu bytes of %d): after a "
                        "restart of chargehandd it is not known any more",
                        unit, size, TEXT_MAX);
                return -E2BIG;
        }
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (fsetxattr(group_fd, names[i], text, size, 0) >= 0)
                        return 0;
                r = -errno;
        }
        return r;
}

void unit_mark_clear(int group_fd)
{
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void)fremovexattr(group_fd, names[i]);
        mark_clear_managed(group_fd);
}

int unit_mark_read(int group_fd, char **ret)
{
        _cleanup_(freep) char *text = malloc(TEXT_MAX + 1);

        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                ssize_t n = fgetxattr(group_fd, names[i], text, TEXT_MAX);

                if (n <= 0 || !mark_counts(group_fd, i))
                        continue;
                text[n] = '\0';
                *ret = TAKE_PTR(text);
                return 0;
        }
        return -ENODATA;
}

char *start_make_text(const Unit *unit)
{
        _cleanup_(freep) char *properties = NULL;
        char id[2 * sizeof(unit->invocation_id) + 1], *text;

        if (property_set_to_text(&unit->properties, &properties) < 0)
                return NULL;
        for (size_t i = 0; i < sizeof(unit->invocation_id); i++)
                (void)snprintf(id + 2 * i, 3, "%02x", unit->invocation_id[i]);
        if (asprintf(&text, "%d %c %u %s\n%s", HEAD_VERSION,
                     unit->state == UNIT_ABANDONED ? 'a' : 'r', unit->uid, id, properties) < 0)
                return NULL;
        return text;
}

static int read_head(Unit *unit, const char *text, const char **ret_rest)
{
        const char *end = strchr(text, '\n');
        unsigned version, uid;
        char state, id[33];

        if (!end || sscanf(text, "%u %c %u %32s", &version, &state, &uid, id) != 4 ||
            version != HEAD_VERSION || strlen(id) != 2 * sizeof(unit->invocation_id))
                return -EINVAL;
        for (size_t i = 0; i < sizeof(unit->invocation_id); i++)
                if (sscanf(id + 2 * i, "%2hhx", &unit->invocation_id[i]) != 1)
                        return -EINVAL;
        unit->uid = uid;
        if (state == 'a')
                unit->flags |= UNIT_WAS_ABANDONED;
        *ret_rest = end + 1;
        return 0;
}

static int take_text(Unit *unit, const char *text)
{
        uint8_t id[sizeof(unit->invocation_id)];
        const char *rest;
        int r = read_head(unit, text, &rest);

        if (r >= 0)
                r = property_set_from_text(rest, &unit->properties);
        if (r < 0)
                return r;
        memcpy(id, unit->invocation_id, sizeof(id));
        unit_set_state(unit, unit->flags & UNIT_WAS_ABANDONED ? UNIT_ABANDONED : UNIT_RUNNING,
                       UNIT_SUCCESS);
        memcpy(unit->invocation_id, id, sizeof(id));
        unit->flags |= UNIT_TRANSIENT | UNIT_ADOPTED;
        return 0;
}

static int adopt_unit(Face *face, const Group *group, const char *name, const char *slice,
                      const char *text)
{
        Unit *unit = units_find(face->units, name);
        UnitKind kind;
        int r = unit_name_to_kind(name, &kind);

        if (r >= 0 && !unit)
                r = units_add(face->units, name, kind, slice, &unit);
        if (r < 0)
                return r;
        if (!streq(unit->path, group->path))
                return -EINVAL;
        r = take_text(unit, text);
        if (r < 0) {
                log_warning("%s: what it was given cannot be read: %s", name, strerror(-r));
                if (unit->kind == UNIT_SLICE)
                        unit_set_state(unit, UNIT_RUNNING, UNIT_SUCCESS);
        }
        unit_check(unit);
        if (r >= 0 && unit->kind == UNIT_SCOPE) {
                unit->oom_kills = group->oom_kills;
                start_arm_runtime(unit);
                life_check_empty(unit);
        }
        return r;
}

static int adopt_group(Face *face, Group *group)
{
        _cleanup_(freep) char *name = NULL, *slice = NULL, *text = NULL;
        ch_group *opened;
        int r = unit_name_from_group(group->path, &name, &slice);

        if (r < 0 || streq(group->path, "/"))
                return 0;
        r = ch_tree_open_group(face->manager->tree, group->path, &opened, NULL);
        if (r < 0)
                return 0; /* gone meanwhile */
        if (group->flags & GROUP_MANAGED)
                (void)unit_mark_read(ch_group_get_fd(opened), &text);
        ch_group_unref(opened);
        if (!text) {
                life_group_added(group, face);
                return 0;
        }
        r = adopt_unit(face, group, name, slice, text);
        return r == -ENOMEM ? r : 0;
}

int life_adopt(Face *face)
{
        Group *root = face->manager->groups->root;
        size_t n = 0;

        for (Group *group = root; group; group = group_next(root, group, 0)) {
                int r = adopt_group(face, group);

                if (r < 0)
                        return r;
        }
        for (Unit *unit = units_first(face->units); unit; unit = unit->next)
                n += unit->kind == UNIT_SCOPE;
        if (n > 0)
                log_info("%zu scopes of an earlier life are here", n);
        return 0;
}
