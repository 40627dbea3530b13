/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * org.chargehand1.Group: one object per group, with a property for each row of the attribute table.
 */

#include <stdio.h>

#include "bus.h"
#include "methods.h"
#include "names.h"
#include "value-bus.h"

/* What the find function hands to the handlers. One at a time: all run on the loop. */
typedef struct Found {
        Bus *bus;
        const Group *group;
} Found;

static Found found;

char *group_bus_path(const char *path)
{
        char *object = NULL;

        return sd_bus_path_encode(CH_BUS_GROUP_PREFIX, path, &object) < 0 ? NULL : object;
}

static Group *group_of_object(const Bus *bus, const char *object)
{
        _cleanup_(freep) char *path = NULL;

        if (sd_bus_path_decode(object, CH_BUS_GROUP_PREFIX, &path) <= 0)
                return NULL;
        return groups_get(bus->manager->groups, path);
}

static int find_group(sd_bus *connection, const char *object, const char *interface, void *userdata,
                      void **ret, sd_bus_error *error)
{
        found = (Found){ .bus = userdata, .group = group_of_object(userdata, object) };
        *ret = &found;
        return found.group != NULL;
}

static const struct {
        const char *member;
        request_func begin;
} methods[] = {
        {"SetProperties", method_set_properties},
        { "Kill",         method_kill          },
        { "Freeze",       method_freeze        },
        { "Thaw",         method_thaw          },
        { "ChargeMap",    method_charge_map    },
};

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *member = sd_bus_message_get_member(message);
        const Found *at = userdata;

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(methods[i].member, member))
                        return request_start(at->bus->manager, message, methods[i].begin,
                                             at->group->path);
        return 0;
}

static int get_fixed_text(sd_bus *bus, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", ((const Found *)userdata)->group->path);
}

static int get_id(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "t", ((const Found *)userdata)->group->id);
}

static int get_uid(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "u", ((const Found *)userdata)->group->uid);
}

static int get_flag(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        uint32_t flag = *property == 'M'   ? GROUP_MANAGED
                        : *property == 'P' ? GROUP_POPULATED
                                           : GROUP_FROZEN;

        return sd_bus_message_append(reply, "b",
                                     (((const Found *)userdata)->group->flags & flag) != 0);
}

/* Appends the bare value of an attribute as it is now. */
static int append_attribute(ch_tree *tree, const char *path, const ch_attr *attr,
                            sd_bus_message *reply, ch_error **err)
{
        ch_value value = CH_VALUE_INIT;
        ch_group *group;
        int r;

        if (attr->access == CH_ACCESS_W)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, 0, path, "%s can be written only",
                                 attr->name);
        r = ch_tree_open_group(tree, path, &group, err);
        if (r < 0)
                return r;
        r = ch_group_read(group, attr, &value, err);
        if (r >= 0)
                r = value_bus_append(reply, attr, &value);
        ch_value_done(&value);
        ch_group_unref(group);
        return r;
}

static int get_attribute(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *bus_error)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        const ch_attr *attr =
                ch_attr_find(streq(property, "Charged") ? "memory.current" : property);
        const Found *at = userdata;
        int r;

        r = append_attribute(at->bus->manager->tree, at->group->path, attr, reply, &error);
        return r < 0 && error ? bus_error_from(bus_error, error, r) : r;
}

/* Only seen by introspection: Properties.Set is taken by on_message(), which can answer later. */
static int set_attribute(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *value, void *userdata, sd_bus_error *error)
{
        return sd_bus_error_setf(error, CH_BUS_ERROR_PREFIX "NotSupported", "use SetProperties");
}

int method_property_set(Request *request)
{
        Settings settings = { 0 };
        const char *interface, *name;
        int r;

        r = sd_bus_message_read(request->message, "ss", &interface, &name);
        if (r >= 0)
                r = settings_read_one(request->message, name, &settings, &request->error);
        if (r >= 0)
                r = method_apply_settings(request, TAKE_PTR(settings.items), settings.n, 0);
        else
                settings_done(&settings);
        return r;
}

/* The prefix itself is no group, but can be introspected. */
static int refuse_missing(sd_bus_message *message)
{
        _cleanup_(freep) char *path = NULL;

        if (sd_bus_message_is_method_call(message, NULL, NULL) <= 0 ||
            sd_bus_path_decode(sd_bus_message_get_path(message), CH_BUS_GROUP_PREFIX, &path) <= 0)
                return 0;
        (void)sd_bus_reply_method_errorf(message, CH_BUS_ERROR_PREFIX "NoSuchGroup",
                                         "%s: no such group", path);
        return 1;
}

/*
 * Before the vtables: writes may take long and need the caller's credentials, and sd-bus would have
 * setters answer at once; GetAll leaves out what is not there.
 */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        const Group *group;
        int is_set =
                sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Set");
        int is_all =
                sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "GetAll");
        const char *interface;

        group = group_of_object(bus, sd_bus_message_get_path(message));
        if (!group)
                return refuse_missing(message);
        if ((is_set <= 0 || !sd_bus_message_has_signature(message, "ssv")) &&
            (is_all <= 0 || !sd_bus_message_has_signature(message, "s")))
                return 0;
        if (sd_bus_message_read(message, "s", &interface) < 0 ||
            (!streq(interface, CH_BUS_GROUP_INTERFACE) && *interface))
                return sd_bus_message_rewind(message, 1) < 0 ? -EIO : 0;
        if (sd_bus_message_rewind(message, 1) < 0)
                return 0;
        return request_start(bus->manager, message,
                             is_set > 0 ? method_property_set : method_property_get_all,
                             group->path);
}

static const sd_bus_vtable fixed_rows[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_NAMES("SetProperties", "a{sv}", SD_BUS_PARAM(properties), "u",
                                 SD_BUS_PARAM(changed), on_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("Kill", "i", SD_BUS_PARAM(signal), NULL, , on_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Freeze", NULL, NULL, on_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Thaw", NULL, NULL, on_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("ChargeMap", NULL, , "a{sv}", SD_BUS_PARAM(map), on_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Path", "s", get_fixed_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Id", "t", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Uid", "u", get_uid, 0, 0),
        SD_BUS_PROPERTY("Managed", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Populated", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Frozen", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Charged", "t", get_attribute, 0, 0),
};

/* cgroup.events and memory.events are the files that are watched */
static uint64_t change_flag(const ch_attr *attr)
{
        return streq(attr->id, "CGROUP_EVENTS") || streq(attr->id, "MEMORY_EVENTS")
                       ? SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
                       : 0;
}

int group_bus_make_vtable(sd_bus_vtable **ret)
{
        sd_bus_vtable *rows = calloc(ELEMENTSOF(fixed_rows) + ch_attr_count() + 1, sizeof(*rows)),
                      *row;

        if (!rows)
                return -ENOMEM;
        memcpy(rows, fixed_rows, sizeof(fixed_rows));
        row = rows + ELEMENTSOF(fixed_rows);
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                const char *signature = ch_attr_type_signature(attr->type);
                int writable = attr->access != CH_ACCESS_R && !(attr->flags & CH_ATTR_PLACEMENT);

                if (writable)
                        *row++ = (sd_bus_vtable)SD_BUS_WRITABLE_PROPERTY(
                                attr->name, signature, get_attribute, set_attribute, 0,
                                SD_BUS_VTABLE_UNPRIVILEGED | change_flag(attr));
                else if (attr->access != CH_ACCESS_W)
                        *row++ = (sd_bus_vtable)SD_BUS_PROPERTY(
                                attr->name, signature, get_attribute, 0, change_flag(attr));
        }
        *row = (sd_bus_vtable)SD_BUS_VTABLE_END;
        *ret = rows;
        return 0;
}

void group_bus_emit_changed(Bus *bus, const Group *group, uint32_t bits)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? group_bus_path(group->path) : NULL;
        const ch_attr *memory_events = ch_attr_find("memory.events"),
                      *events = ch_attr_find("cgroup.events");
        const char *names[8];
        size_t n = 0;

        if (!object)
                return;
        if (bits & GROUP_CHANGED_POPULATED)
                names[n++] = "Populated";
        if (bits & GROUP_CHANGED_FROZEN)
                names[n++] = "Frozen";
        if ((bits & (GROUP_CHANGED_POPULATED | GROUP_CHANGED_FROZEN)) && events && group->parent)
                names[n++] = events->name;
        if (bits & GROUP_CHANGED_MANAGED)
                names[n++] = "Managed";
        if ((bits & GROUP_CHANGED_EVENTS) && memory_events)
                names[n++] = memory_events->name;
        names[n] = NULL;
        (void)sd_bus_emit_properties_changed_strv(bus->bus, object, CH_BUS_GROUP_INTERFACE,
                                                  (char **)names);
}

static int enumerate(sd_bus *connection, const char *prefix, void *userdata, char ***ret,
                     sd_bus_error *error)
{
        const Manager *manager = ((const Bus *)userdata)->manager;
        const Groups *groups = manager->groups;
        char **paths;
        size_t n = 0;

        watches_settle(manager->watches);
        paths = calloc(groups->n + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        for (Group *group = groups->root; group && n < groups->n;
             group = group_next(groups->root, group, 0)) {
                paths[n] = group_bus_path(group->path);
                if (!paths[n++])
                        break;
        }
        *ret = paths;
        return 1;
}

int group_bus_add(Bus *bus)
{
        int r;

        r = sd_bus_add_fallback(bus->bus, NULL, CH_BUS_GROUP_PREFIX, on_message, bus);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus->bus, NULL, CH_BUS_GROUP_PREFIX, enumerate, bus);
        if (r < 0)
                return r;
        return sd_bus_add_fallback_vtable(bus->bus, NULL, CH_BUS_GROUP_PREFIX,
                                          CH_BUS_GROUP_INTERFACE, bus->group_vtable, find_group,
                                          bus);
}
