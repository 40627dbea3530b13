/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures of groups and processes for the tables. */

#include "figures.h"

static const struct {
        const char *attr;
        const char *key;
} list_figures[] = {
        { "MemoryCurrent", "memory_bytes" },
        { "MemoryMax", "memory_max" },
        { "MemorySwapCurrent", "swap_bytes" },
        { "TasksCurrent", "tasks" },
};

static const struct {
        const char *attr;
        const char *key;
} ancestor_figures[] = {
        { "MemoryCurrent", "memory_current" },
        { "MemoryHigh", "memory_high" },
        { "MemoryMax", "memory_max" },
        { "MemorySwapMax", "swap_max" },
        { "TasksCurrent", "tasks" },
        { "TasksMax", "tasks_max" },
};

static void add_attribute(ch_group *group, struct json_object *row, const char *name,
                          const char *key)
{
        const ch_attr *attr = ch_attr_find(name);
        ch_value value = CH_VALUE_INIT;
        struct json_object *json = NULL;

        if (attr && ch_group_read(group, attr, &value, NULL) >= 0 &&
            ch_value_to_json(attr, &value, &json) >= 0)
                (void)jadd(row, key, json);
        ch_value_done(&value);
}

static int add_state(struct json_object *row)
{
        const char *state = jbool(row, "frozen")      ? "frozen"
                            : jbool(row, "populated") ? "populated"
                                                      : "empty";

        return jadd(row, "state", json_object_new_string(state));
}

int figures_add(Cli *cli, struct json_object *rows)
{
        size_t n = json_object_array_length(rows);
        int have_tree = cli_open_tree_beside(cli);

        for (size_t i = 0; i < n; i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);
                _cleanup_(group_unrefp) ch_group *group = NULL;
                _cleanup_(freep) pid_t *pids = NULL;
                size_t n_pids = 0;

                if (add_state(row) < 0)
                        return cli_fail_memory(cli);
                if (!have_tree ||
                    ch_tree_open_group(cli->tree, jtext(row, "path"), &group, NULL) < 0)
                        continue;
                if (ch_group_read_procs(group, &pids, &n_pids, NULL) >= 0)
                        (void)jadd(row, "processes", json_object_new_uint64(n_pids));
                for (size_t j = 0; j < ELEMENTSOF(list_figures); j++)
                        add_attribute(group, row, list_figures[j].attr, list_figures[j].key);
        }
        return CTL_OK;
}

static struct json_object *process_to_json(const ch_process *process)
{
        struct json_object *row = json_object_new_object();
        const char *state = process->flags & CH_PROCESS_ZOMBIE    ? "zombie"
                            : process->flags & CH_PROCESS_KTHREAD ? "kernel thread"
                                                                  : NULL;

        if (!row)
                return NULL;
        if (jadd(row, "pid", json_object_new_int(process->pid)) < 0 ||
            jadd(row, "comm", jstring(process->comm)) < 0 ||
            jadd(row, "uid", json_object_new_uint64(process->uid)) < 0 ||
            jadd(row, "ppid", json_object_new_int(process->ppid)) < 0 ||
            (state && jadd(row, "state", json_object_new_string(state)) < 0)) {
                json_object_put(row);
                return NULL;
        }
        return row;
}

struct json_object *figures_process(pid_t pid)
{
        _cleanup_(procset_freep) ch_procset *set = NULL;

        if (ch_procset_new(&set) < 0 || ch_procset_add_pid(set, pid, NULL) < 0)
                return NULL;
        return process_to_json(ch_procset_get(set, 0));
}

struct json_object *figures_processes(Cli *cli, const char *path)
{
        _cleanup_(procset_freep) ch_procset *set = NULL;
        _cleanup_(group_unrefp) ch_group *group = NULL;
        struct json_object *rows = json_object_new_array();

        if (!rows || !cli_open_tree_beside(cli) ||
            ch_tree_open_group(cli->tree, path, &group, NULL) < 0 || ch_procset_new(&set) < 0)
                return rows;
        (void)ch_procset_add_group(set, group, 0, NULL);
        for (size_t i = 0; i < ch_procset_size(set); i++) {
                struct json_object *row = process_to_json(ch_procset_get(set, i));

                if (row && json_object_array_add(rows, row) < 0)
                        json_object_put(row);
        }
        return rows;
}

/* One group's row: the properties under our keys. */
static struct json_object *ancestor_row(Cli *cli, const char *group)
{
        const char *names[ELEMENTSOF(ancestor_figures)];
        _cleanup_(json_putp) struct json_object *properties = NULL;
        struct json_object *row = json_object_new_object();

        for (size_t i = 0; i < ELEMENTSOF(ancestor_figures); i++)
                names[i] = ancestor_figures[i].attr;
        properties = access_try_properties(cli, group, names, ELEMENTSOF(names));
        if (!row || !properties || jadd(row, "group", jstring(group)) < 0)
                return row;
        for (size_t i = 0; i < ELEMENTSOF(ancestor_figures); i++) {
                struct json_object *value = jget(properties, ancestor_figures[i].attr);

                if (value)
                        (void)jadd(row, ancestor_figures[i].key, json_object_get(value));
        }
        return row;
}

int figures_ancestors(Cli *cli, const char *group, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();
        _cleanup_(freep) char *path = strdup(group);

        if (!rows || !path)
                return cli_fail_memory(cli);
        for (;;) {
                struct json_object *row = ancestor_row(cli, path);
                char *slash = strrchr(path, '/');

                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return cli_fail_memory(cli);
                }
                if (streq(path, "/"))
                        break;
                slash[slash == path] = '\0'; /* "/web" → "/", "/web/api" → "/web" */
        }
        *ret = TAKE_PTR(rows);
        return CTL_OK;
}
