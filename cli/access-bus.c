/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data from the daemon. */

#include "access.h"
#include "bus.h"
#include "place-request.h"
#include "request.h"

static int add_list_row(struct json_object *rows, sd_bus_message *m)
{
        const char *path, *object;
        uint64_t id;
        uint32_t uid, flags;
        struct json_object *row;
        int r = sd_bus_message_read(m, "(sotuu)", &path, &object, &id, &uid, &flags);

        if (r <= 0)
                return r;
        row = json_object_new_object();
        if (!row || json_object_array_add(rows, row) < 0) {
                json_object_put(row);
                return -ENOMEM;
        }
        if (jadd(row, "path", json_object_new_string(path)) < 0 ||
            jadd(row, "id", json_object_new_uint64(id)) < 0 ||
            jadd(row, "uid", json_object_new_uint64(uid)) < 0 ||
            jadd(row, "populated", json_object_new_boolean(flags & CH_LIST_POPULATED)) < 0 ||
            jadd(row, "frozen", json_object_new_boolean(flags & CH_LIST_FROZEN)) < 0 ||
            jadd(row, "has_children", json_object_new_boolean(flags & CH_LIST_CHILDREN)) < 0 ||
            jadd(row, "managed", json_object_new_boolean(flags & CH_LIST_MANAGED)) < 0)
                return -ENOMEM;
        return 1;
}

static int bus_list(Cli *cli, const char *below, unsigned depth, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();
        int r = bus_new_call(cli, "ListGroups", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "su", below, (uint32_t)depth);
        if (r < 0 || !rows)
                return bus_fail_errno(cli, r, "ListGroups");
        r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sotuu)");
        while (r > 0)
                r = add_list_row(rows, reply);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the answer");
        *ret = TAKE_PTR(rows);
        return CTL_OK;
}

/* The bus has UINT64_MAX where the library's JSON, and the kernel, say "max". */
static struct json_object *name_max(struct json_object *value)
{
        if (json_object_is_type(value, json_type_int) &&
            json_object_get_uint64(value) == UINT64_MAX)
                return json_object_new_string("max");
        return NULL;
}

static void name_max_members(struct json_object *object)
{
        json_object_object_foreach(object, key, value) {
                struct json_object *max = name_max(value);

                if (max)
                        (void)json_object_object_add(object, key, max); /* replaced in place */
                else if (json_object_is_type(value, json_type_object))
                        name_max_members(value);
                else if (json_object_is_type(value, json_type_array) &&
                         json_object_array_length(value) == 2) {
                        max = name_max(json_object_array_get_idx(value, 0));
                        if (max)
                                (void)json_object_array_put_idx(value, 0, max);
                }
        }
}

static int bus_properties(Cli *cli, const char *group, const char *const *names, size_t n,
                          struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "GetProperties", &call);

        if (r != CTL_OK)
                return r;
        if (n > 1) /* one that the group does not have would fail them all: ask for what there is */
                n = 0;
        r = sd_bus_message_append(call, "s", group);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "s");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(call, "s", names[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0)
                return bus_fail_errno(cli, r, "GetProperties");
        r = bus_call_report(cli, call, ret);
        if (r == CTL_OK)
                name_max_members(*ret);
        return r;
}

static int bus_group_of_pid(Cli *cli, pid_t pid, char **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        const char *path = NULL;
        int r = bus_new_call(cli, "GetGroupByPID", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "u", (uint32_t)pid);
        if (r < 0)
                return bus_fail_errno(cli, r, "GetGroupByPID");
        r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_read(reply, "so", &path, NULL);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the answer");
        *ret = strdup(path);
        return *ret ? CTL_OK : cli_fail_memory(cli);
}

static int bus_map(Cli *cli, const Target *target, int with_tree, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "ChargeMap", &call);

        if (r != CTL_OK)
                return r;
        if (target->group)
                r = sd_bus_message_append(call, "a{sv}", 1, "group", "s", target->group);
        else
                r = sd_bus_message_append(call, "a{sv}", 2, "pid", "u", (uint32_t)target->pid,
                                          "tree", "b", with_tree);
        return r < 0 ? bus_fail_errno(cli, r, "ChargeMap") : bus_call_report(cli, call, ret);
}

static int bus_owner(Cli *cli, pid_t pid, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "GetOwner", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "u", (uint32_t)pid);
        return r < 0 ? bus_fail_errno(cli, r, "GetOwner") : bus_call_report(cli, call, ret);
}

static int bus_plan(Cli *cli, const MoveSpec *spec, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "PlanMove", &call);

        if (r == CTL_OK)
                r = request_append(cli, spec, call);
        return r == CTL_OK ? bus_call_report(cli, call, ret) : r;
}

static int bus_place(Cli *cli, const PlaceSpec *spec, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "Place", &call);

        if (r == CTL_OK)
                r = place_request_append(cli, spec, 1, call);
        return r == CTL_OK ? bus_call_report(cli, call, ret) : r;
}

static int bus_status(Cli *cli, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "Status", &call);

        return r == CTL_OK ? bus_call_report(cli, call, ret) : r;
}

const Access access_bus = {
        .list = bus_list,
        .properties = bus_properties,
        .group_of_pid = bus_group_of_pid,
        .map = bus_map,
        .owner = bus_owner,
        .plan = bus_plan,
        .place = bus_place,
        .status = bus_status,
};
