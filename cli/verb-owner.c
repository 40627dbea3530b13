/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl owner: who shares the address space of a process, who of them owns it, and whose group
 * pays. */

#include "figures.h"

static const Column columns[] = {
        { "pid",      "PID",     UNIT_NUMBER },
        { "comm",     "COMMAND", UNIT_TEXT },
        { "uid",      "USER",    UNIT_USER },
        { "group",    "GROUP",   UNIT_TEXT, COLUMN_MIDDLE },
        { "is_owner", "OWNER",   UNIT_YES },
};

/* "" is a group outside the hierarchy. */
static const char *shown_group(const char *group)
{
        return *group ? group : "(outside the hierarchy)";
}

/* {pid, comm, uid, group, is_owner} of one who shares it; NULL when it has gone meanwhile. */
static struct json_object *sharer_to_json(Cli *cli, pid_t pid, pid_t owner)
{
        struct json_object *row = figures_process(pid);
        _cleanup_(freep) char *group = NULL;

        if (!row)
                return NULL;
        if (cli_open_tree_beside(cli))
                (void)ch_tree_path_of_pid(cli->tree, pid, &group, NULL);
        json_object_object_del(row, "ppid");
        if (group && jadd(row, "group", jstring(group)) < 0)
                return row;
        (void)jadd(row, "is_owner", json_object_new_boolean(pid == owner));
        return row;
}

static int add_sharers(Cli *cli, struct json_object *owner)
{
        struct json_object *rows = json_object_new_array(), *users = jget(owner, "users");

        for (size_t i = 0; rows && i < jcount(owner, "users"); i++) {
                pid_t pid = json_object_get_int(json_object_array_get_idx(users, i));
                struct json_object *row = sharer_to_json(cli, pid, (pid_t)jnumber(owner, "owner"));

                if (row && json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        json_object_put(rows);
                        return -ENOMEM;
                }
        }
        return jadd(owner, "sharers", rows);
}

static void tell(Cli *cli, struct json_object *owner)
{
        const char *group = jtext(owner, "group"), *own = jtext(owner, "own_group"),
                   *last = jtext(owner, "last_group");
        pid_t pid = (pid_t)jnumber(owner, "owner");
        struct json_object *process = figures_process(pid);

        printf("%s%s%s pays for the memory of pid %s: ", paint_bold(&cli->style),
               shown_group(group), paint_off(&cli->style), jtext(owner, "pid"));
        if (pid == (pid_t)jnumber(owner, "pid"))
                puts("it owns its address space.");
        else
                printf("its address space is owned by pid %d%s%s%s.\n", (int)pid,
                       process ? " (" : "", jtext(process, "comm"), process ? ")" : "");
        if (!streq(own, group))
                printf("  It is in %s itself, which pays for none of what it touches.\n",
                       shown_group(own));
        if (!streq(last, group))
                printf("  The sharer that was moved last is in %s.\n", shown_group(last));
        json_object_put(process);
}

int verb_owner(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *owner = NULL;
        Target target;
        int r = target_parse(cli, argv[0], &target);

        if (r == CTL_OK && !target.pid)
                return cli_fail(cli, CTL_USAGE, argv[0], "owner takes a pid");
        if (r == CTL_OK)
                r = cli->access->owner(cli, target.pid, &owner);
        if (r != CTL_OK)
                return r;
        if (add_sharers(cli, owner) < 0)
                return cli_fail_memory(cli);
        if (print_json(cli, owner))
                return CTL_OK;
        tell(cli, owner);
        putchar('\n');
        if (TABLE(cli, columns, jget(owner, "sharers")) < 0)
                return cli_fail_memory(cli);
        if (streq(jtext(owner, "source"), "kernel"))
                note(cli,
                     "nothing keeps track here: the owner is the oldest process that shares it");
        return CTL_OK;
}
