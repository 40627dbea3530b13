/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl explain: why a process is where it is, what limits it there, and who pays for its
 * memory. */

#include "figures.h"

static const struct {
        const char *key, *limit, *current, *what, *unit_hint;
} limit_rows[] = {
        { "memory.max",  "memory_max",  "memory_current", "may use", "memory" },
        { "memory.high", "memory_high", "memory_current", "is slowed down above", "memory" },
        { "pids.max",    "tasks_max",   "tasks",          "may have", "tasks" },
};

/* The lowest finite limit on the way up, the one that is met first. */
static struct json_object *tightest(struct json_object *limits, const char *key)
{
        struct json_object *best = NULL;

        for (size_t i = 0; i < json_object_array_length(limits); i++) {
                struct json_object *row = json_object_array_get_idx(limits, i),
                                   *value = jget(row, key);

                if (!json_object_is_type(value, json_type_int))
                        continue;
                if (!best || jnumber(row, key) < jnumber(best, key))
                        best = row;
        }
        return best;
}

/* {file: {group, limit, current}} of the limits that bind */
static int add_binding(struct json_object *object, struct json_object *limits)
{
        struct json_object *binding = json_object_new_object();

        for (size_t i = 0; binding && i < ELEMENTSOF(limit_rows); i++) {
                struct json_object *row = tightest(limits, limit_rows[i].limit), *entry;

                if (!row)
                        continue;
                entry = json_object_new_object();
                if (jadd(binding, limit_rows[i].key, entry) < 0 ||
                    jadd(entry, "group", json_object_get(jget(row, "group"))) < 0 ||
                    jadd(entry, "limit", json_object_get(jget(row, limit_rows[i].limit))) < 0)
                        return -ENOMEM;
                if (jget(row, limit_rows[i].current))
                        (void)jadd(entry, "current",
                                   json_object_get(jget(row, limit_rows[i].current)));
        }
        return jadd(object, "binding", binding);
}

/* {group, bytes} summed over kinds, of the map's rows, largest first */
static int add_payers(struct json_object *object, struct json_object *map)
{
        _cleanup_(json_putp) struct json_object *sums = json_object_new_object();

        for (size_t i = 0; sums && i < jcount(map, "rows"); i++) {
                struct json_object *row = json_object_array_get_idx(jget(map, "rows"), i);
                const char *group = jtext(row, "group");
                uint64_t sum = jnumber(sums, group) + jnumber(row, "bytes");

                if (jadd(sums, group, json_object_new_uint64(sum)) < 0)
                        return -ENOMEM;
        }
        return jadd(object, "payers", sums ? json_object_get(sums) : NULL);
}

static int gather(Cli *cli, pid_t pid, struct json_object *why)
{
        _cleanup_(json_putp) struct json_object *group = NULL;
        _cleanup_(freep) char *path = NULL;
        struct json_object *limits = NULL, *parent;
        int r = cli->access->group_of_pid(cli, pid, &path);

        if (r == CTL_OK)
                r = access_group(cli, path, &group);
        if (r == CTL_OK)
                r = figures_ancestors(cli, path, &limits);
        if (r != CTL_OK)
                return r;
        parent = figures_process((pid_t)jnumber(why, "ppid"));
        if (parent) {
                _cleanup_(freep) char *parent_group = NULL;

                if (cli_open_tree_beside(cli) &&
                    ch_tree_path_of_pid(cli->tree, (pid_t)jnumber(parent, "pid"), &parent_group,
                                        NULL) >= 0)
                        (void)jadd(parent, "group", jstring(parent_group));
                (void)jadd(why, "parent", parent);
        }
        if (jadd(why, "group", json_object_get(group)) < 0 || jadd(why, "limits", limits) < 0 ||
            add_binding(why, limits) < 0)
                return cli_fail_memory(cli);
        if (access_try_owner(cli, pid, why) < 0 ||
            access_try_map(cli, &(Target){ .pid = pid }, why) < 0 ||
            (jget(why, "map") && add_payers(why, jget(why, "map")) < 0))
                return cli_fail_memory(cli);
        return CTL_OK;
}

static void tell_placement(Cli *cli, struct json_object *why)
{
        struct json_object *group = jget(why, "group"), *parent = jget(why, "parent");
        _cleanup_(freep) char *owner = cell_format(&cli->style, UNIT_USER, jget(group, "uid"));

        printf("%s%s%s, pid %s, is in %s%s%s.\n", paint_bold(&cli->style), jtext(why, "comm"),
               paint_off(&cli->style), jtext(why, "pid"), paint_bold(&cli->style),
               jtext(group, "path"), paint_off(&cli->style));
        if (jget(group, "managed"))
                printf("  The group %s; it belongs to %s.\n",
                       jbool(group, "managed") ? "was made, or taken over, by Chargehand"
                                               : "was made by someone else than Chargehand",
                       owner);
        else
                printf("  The group belongs to %s; who made it only the daemon knows.\n", owner);
        if (!jtext(parent, "group")[0])
                return;
        if (streq(jtext(parent, "group"), jtext(group, "path")))
                printf("  Its parent, %s (pid %s), is there too: it was born there, or they were "
                       "moved together.\n",
                       jtext(parent, "comm"), jtext(parent, "pid"));
        else
                printf("  Its parent, %s (pid %s), is in %s: someone moved the process, or its "
                       "parent since.\n",
                       jtext(parent, "comm"), jtext(parent, "pid"), jtext(parent, "group"));
}

static void tell_limits(Cli *cli, struct json_object *why)
{
        struct json_object *binding = jget(why, "binding");
        int any = 0;

        puts("\nWhat limits it:");
        for (size_t i = 0; i < ELEMENTSOF(limit_rows); i++) {
                struct json_object *entry = jget(binding, limit_rows[i].key);
                Unit unit = streq(limit_rows[i].unit_hint, "memory") ? UNIT_LIMIT : UNIT_NUMBER;
                _cleanup_(freep) char *limit = cell_format(&cli->style, unit, jget(entry, "limit"));
                _cleanup_(freep) char *current =
                        cell_format(&cli->style, unit, jget(entry, "current"));

                if (!entry)
                        continue;
                any = 1;
                printf("  %s of %s: everything there together %s %s%s, %s now.\n",
                       limit_rows[i].key, jtext(entry, "group"), limit_rows[i].what, limit,
                       unit == UNIT_NUMBER ? " tasks" : "", current);
        }
        if (!any)
                puts("  Nothing: no limit on memory or tasks is set from its group up to the "
                     "root.");
}

/* Where the address space is somebody else's, the group of the process does not say who pays. */
static void tell_owner(Cli *cli, struct json_object *why)
{
        struct json_object *owner = jget(why, "owner"), *process;
        const char *payer = jtext(owner, "group");

        if (!owner || (jnumber(owner, "owner") == jnumber(why, "pid") &&
                       streq(payer, jtext(jget(why, "group"), "path"))))
                return;
        process = figures_process((pid_t)jnumber(owner, "owner"));
        printf("\nIts address space is shared, and owned by %s (pid %s): %s pays for what it touches "
               "from now on.\n",
               process ? jtext(process, "comm") : "a process", jtext(owner, "owner"),
               *payer ? payer : "a group outside the hierarchy");
        json_object_put(process);
}

static void tell_payers(Cli *cli, struct json_object *why)
{
        struct json_object *payers = jget(why, "payers");
        const char *own = jtext(jget(why, "group"), "path");
        int elsewhere = 0;

        if (!payers) {
                printf("\nWho pays for its memory cannot be told: %s\n", jtext(why, "map_error"));
                return;
        }
        puts("\nWho pays for its memory:");
        json_object_object_foreach(payers, group, bytes) {
                _cleanup_(freep) char *size = cell_format(&cli->style, UNIT_BYTES, bytes);
                int is_own = streq(group, own), nobody = streq(group, "-");

                printf("  %10s  %s%s\n", size, nobody ? "nobody, or not to be told (swap)" : group,
                       is_own ? " (its own group)" : "");
                elsewhere |= !is_own && !nobody;
        }
        if (elsewhere)
                puts("  Memory stays on the account of the group that it was first used in; "
                     "'chargectl move' takes it along.");
}

int verb_explain(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *why = NULL;
        Target target;
        int r = target_parse(cli, argv[0], &target);

        if (r != CTL_OK)
                return r;
        if (!target.pid)
                return cli_fail(cli, CTL_USAGE, argv[0],
                                "explain takes a pid; for a group see 'chargectl status %s'",
                                argv[0]);
        why = figures_process(target.pid);
        if (!why)
                return cli_fail(cli, CTL_NOTHING, argv[0], "no process has that pid");
        r = gather(cli, target.pid, why);
        if (r != CTL_OK || print_json(cli, why))
                return r;
        tell_placement(cli, why);
        tell_limits(cli, why);
        tell_owner(cli, why);
        tell_payers(cli, why);
        return CTL_OK;
}
