/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data read directly from the kernel's files, through libchargehand. */

#include <signal.h>
#include <sys/stat.h>

#include <chargehand/probe.h>
#include <chargehand/registry.h>

#include "access.h"
#include "place-request.h"
#include "request.h"

typedef struct ListWalk {
        Cli *cli;
        struct json_object *rows;
        unsigned max_depth;     /* 0 = all */
        unsigned last_depth;
        struct json_object *last;
} ListWalk;

/* populated and frozen, as cgroup.events has them; the root has no such file: it is populated. */
static int add_events(ListWalk *walk, const char *path, struct json_object *row)
{
        _cleanup_(group_unrefp) ch_group *group = NULL;
        const ch_attr *attr = ch_attr_find("cgroup.events");
        ch_value events = CH_VALUE_INIT;
        uint64_t populated = streq(path, "/"), frozen = 0;

        if (ch_tree_open_group(walk->cli->tree, path, &group, NULL) >= 0 && attr &&
            ch_group_read(group, attr, &events, NULL) >= 0) {
                (void)ch_value_flat_get(&events, "populated", &populated);
                (void)ch_value_flat_get(&events, "frozen", &frozen);
        }
        ch_value_done(&events);
        if (jadd(row, "populated", json_object_new_boolean(populated != 0)) < 0)
                return -ENOMEM;
        return jadd(row, "frozen", json_object_new_boolean(frozen != 0));
}

static int list_entry(const ch_walk_entry *entry, void *userdata)
{
        ListWalk *walk = userdata;
        struct json_object *row;
        struct stat st = { 0 };

        if (entry->depth > walk->last_depth && walk->last)
                (void)jadd(walk->last, "has_children", json_object_new_boolean(1));
        if (walk->max_depth && entry->depth > walk->max_depth)
                return 1;
        row = json_object_new_object();
        if (!row || json_object_array_add(walk->rows, row) < 0) {
                json_object_put(row);
                return -ENOMEM;
        }
        (void)fstat(entry->fd, &st);
        if (jadd(row, "path", jstring(entry->path)) < 0 ||
            jadd(row, "id", json_object_new_uint64(entry->id)) < 0 ||
            jadd(row, "uid", json_object_new_uint64(st.st_uid)) < 0 ||
            add_events(walk, entry->path, row) < 0 ||
            jadd(row, "has_children", json_object_new_boolean(0)) < 0)
                return -ENOMEM;
        walk->last = row;
        walk->last_depth = entry->depth;
        return 0;
}

static int direct_list(Cli *cli, const char *below, unsigned depth, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();
        _cleanup_(error_freep) ch_error *error = NULL;
        ListWalk walk = { .cli = cli, .rows = rows, .max_depth = depth };

        if (!rows)
                return cli_fail_memory(cli);
        if (ch_tree_walk(cli->tree, below, list_entry, &walk, &error) < 0)
                return cli_fail_error(cli, error);
        *ret = TAKE_PTR(rows);
        return CTL_OK;
}

static int unknown_attribute(Cli *cli, const char *name)
{
        const char *near = ch_attr_suggest(name);

        if (near)
                return cli_fail(cli, CTL_USAGE, name,
                                "no attribute of that name; did you mean '%s'?", near);
        return cli_fail(cli, CTL_USAGE, name,
                        "no attribute of that name; 'chargectl help attributes' lists them");
}

static int read_property(ch_group *group, const ch_attr *attr, struct json_object *into,
                         ch_error **err)
{
        struct json_object *value = NULL;
        ch_value raw = CH_VALUE_INIT;
        int r = ch_group_read(group, attr, &raw, err);

        if (r >= 0)
                r = ch_value_to_json(attr, &raw, &value);
        ch_value_done(&raw);
        return r < 0 ? r : jadd(into, attr->name, value);
}

static int direct_properties(Cli *cli, const char *path, const char *const *names, size_t n,
                             struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        _cleanup_(group_unrefp) ch_group *group = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;
        size_t count = n ? n : ch_attr_count();

        if (!object)
                return cli_fail_memory(cli);
        if (ch_tree_open_group(cli->tree, path, &group, &error) < 0)
                return cli_fail_error(cli, error);
        for (size_t i = 0; i < count; i++) {
                const ch_attr *attr = n ? ch_attr_find(names[i]) : ch_attr_get(i);

                if (!attr)
                        return unknown_attribute(cli, names[i]);
                if (attr->access == CH_ACCESS_W && n != 1)
                        continue;
                if (read_property(group, attr, object, n == 1 ? &error : NULL) < 0 && n == 1)
                        return cli_fail_error(cli, error);
        }
        *ret = TAKE_PTR(object);
        return CTL_OK;
}

static int direct_group_of_pid(Cli *cli, pid_t pid, char **ret)
{
        _cleanup_(error_freep) ch_error *error = NULL;

        return ch_tree_path_of_pid(cli->tree, pid, ret, &error) < 0 ? cli_fail_error(cli, error)
                                                                    : CTL_OK;
}

static int map_target(Cli *cli, ch_map *map, const Target *target, int with_tree, ch_error **err)
{
        _cleanup_(procset_freep) ch_procset *set = NULL;
        _cleanup_(group_unrefp) ch_group *group = NULL;
        int r;

        if (target->group) {
                r = ch_tree_open_group(cli->tree, target->group, &group, err);
                return r < 0 ? r : ch_map_add_group(map, group, err);
        }
        r = ch_procset_new(&set);
        if (r < 0)
                return r;
        r = with_tree ? ch_procset_add_tree(set, target->pid, err)
                      : ch_procset_add_pid(set, target->pid, err);
        return r < 0 ? r : ch_map_add_set(map, set, err);
}

static int direct_map(Cli *cli, const Target *target, int with_tree, struct json_object **ret)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_map *map = NULL;
        int r;

        r = ch_map_new(cli->tree, &map, &error);
        if (r >= 0)
                r = map_target(cli, map, target, with_tree, &error);
        if (r >= 0)
                r = ch_map_to_json(map, ret);
        ch_map_free(map);
        return r < 0 ? cli_fail_error(cli, error) : CTL_OK;
}

static struct json_object *users_to_json(const ch_registry *registry, pid_t pid)
{
        ssize_t n = ch_registry_get_users(registry, pid, NULL, 0);
        _cleanup_(freep) pid_t *pids = n > 0 ? calloc((size_t)n, sizeof(pid_t)) : NULL;
        struct json_object *array = pids ? json_object_new_array() : NULL;

        if (!array)
                return NULL;
        (void)ch_registry_get_users(registry, pid, pids, (size_t)n);
        for (ssize_t i = 0; i < n; i++)
                (void)json_object_array_add(array, json_object_new_int(pids[i]));
        return array;
}

static int owner_to_json(Cli *cli, const ch_registry *registry, pid_t pid, const ch_mm_info *mm,
                         struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        _cleanup_(freep) char *own = NULL;

        (void)ch_tree_path_of_pid(cli->tree, pid, &own, NULL);
        if (!object || jadd(object, "pid", json_object_new_int(pid)) < 0 ||
            jadd(object, "mm", json_object_new_int(0)) < 0 ||
            jadd(object, "owner", json_object_new_int(mm->owner)) < 0 ||
            jadd(object, "group", jstring(mm->group ? mm->group : "")) < 0 ||
            jadd(object, "last_group", jstring(mm->last_group ? mm->last_group : "")) < 0 ||
            jadd(object, "own_group", jstring(own ? own : "")) < 0 ||
            jadd(object, "users", users_to_json(registry, pid)) < 0 ||
            jadd(object, "source", jstring("kernel")) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(object);
        return 0;
}

/* All processes are read for it. */
static int direct_owner(Cli *cli, pid_t pid, struct json_object **ret)
{
        ch_registry_options options = { .tree = cli->tree };
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_registry *registry = NULL;
        char text[16];
        ch_mm_info mm;
        int r;

        (void)snprintf(text, sizeof(text), "%d", (int)pid);
        r = ch_registry_new(&options, &registry, &error);
        if (r >= 0)
                r = ch_registry_resync(registry, &error);
        if (r < 0) {
                ch_registry_free(registry);
                return cli_fail_error(cli, error);
        }
        r = ch_registry_get_mm(registry, pid, &mm);
        if (r >= 0)
                r = owner_to_json(cli, registry, pid, &mm, ret);
        ch_registry_free(registry);
        if (r == -ESRCH && kill(pid, 0) < 0 && errno == ESRCH)
                return cli_fail(cli, CTL_NOTHING, text, "no process has that pid");
        if (r == -ESRCH || r == -ENODATA)
                return cli_fail(cli, CTL_FAILED, text,
                                "it has no address space of its own: a kernel thread, a zombie, or a thread of "
                                "another process");
        return r < 0 ? cli_fail_memory(cli) : CTL_OK;
}

static int direct_plan(Cli *cli, const MoveSpec *spec, struct json_object **ret)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_move_options options = CH_MOVE_OPTIONS_INIT;
        ch_move_request request = {
                .pids = spec->pids,
                .n_pids = spec->n_pids,
                .with_tree = spec->with_tree,
                .group = spec->group,
                .target = spec->target,
        };
        ch_plan *plan = NULL;
        int r;

        r = request_options(cli, &options);
        if (r != CTL_OK)
                return r;
        r = ch_plan_new(cli->tree, &request, &options, &plan, &error);
        if (r >= 0)
                r = ch_plan_to_json(plan, ret);
        ch_plan_free(plan);
        return r < 0 ? cli_fail_error(cli, error) : CTL_OK;
}

static int count_group(const ch_walk_entry *entry, void *userdata)
{
        ++*(uint64_t *)userdata;
        return 0;
}

static int direct_status(Cli *cli, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        struct json_object *kernel = NULL, *module = NULL;
        ch_module_status module_status;
        uint64_t groups = 0;
        ch_probe probe;

        if (!object || ch_probe_run(cli->tree, &probe) < 0 || ch_probe_to_json(&probe, &kernel) < 0)
                return cli_fail_memory(cli);
        (void)ch_tree_walk(cli->tree, "/", count_group, &groups, NULL);
        ch_module_get_status(&module_status);
        if (jadd(object, "kernel", kernel) < 0 || ch_module_status_to_json(&module_status, &module) < 0 ||
            jadd(object, "module", module) < 0 ||
            jadd(object, "root", jstring(ch_tree_get_root(cli->tree))) < 0 ||
            jadd(object, "mode", json_object_new_string("direct")) < 0 ||
            jadd(object, "groups", json_object_new_uint64(groups)) < 0)
                return cli_fail_memory(cli);
        *ret = TAKE_PTR(object);
        return CTL_OK;
}

const Access access_direct = {
        .list = direct_list,
        .properties = direct_properties,
        .group_of_pid = direct_group_of_pid,
        .map = direct_map,
        .owner = direct_owner,
        .plan = direct_plan,
        .place = place_directly,
        .status = direct_status,
};
