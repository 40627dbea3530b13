/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl status: the daemon and the host, a group, or a process, for a person to read. */

#include <stdarg.h>

#include "figures.h"
#include "maptable.h"

static const Column limit_columns[] = {
        { "group",          "LIMITS UP TO THE ROOT", UNIT_TEXT,   COLUMN_MIDDLE },
        { "memory_current", "MEMORY",     UNIT_BYTES },
        { "memory_high",    "HIGH",       UNIT_LIMIT },
        { "memory_max",     "MAX",        UNIT_LIMIT },
        { "swap_max",       "SWAP MAX",   UNIT_LIMIT,  COLUMN_MORE },
        { "tasks",          "TASKS",      UNIT_NUMBER },
        { "tasks_max",      "TASKS MAX",  UNIT_NUMBER },
};

static const Column process_columns[] = {
        { "pid",   "PID",     UNIT_NUMBER },
        { "comm",  "COMMAND", UNIT_TEXT },
        { "uid",   "USER",    UNIT_USER },
        { "state", "STATE",   UNIT_TEXT, COLUMN_PAINT | COLUMN_HIDE_EMPTY },
};

enum { SHOWN_PROCESSES = 10 };

static void field(Cli *cli, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void field(Cli *cli, const char *name, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        printf("%s%12s%s: ", paint_bold(&cli->style), name, paint_off(&cli->style));
        vprintf(format, args);
        putchar('\n');
        va_end(args);
}

static void field_missing_features(Cli *cli, struct json_object *kernel)
{
        struct json_object *features = jget(kernel, "features");

        if (!features)
                return;
        json_object_object_foreach(features, name, feature) {
                if (jbool(feature, "available"))
                        continue;
                field(cli, "Missing", "%s%s%s: %s", paint_word(&cli->style, "missing"), name,
                      paint_off(&cli->style), jtext(feature, "advice"));
        }
}

/* "move", or why not, and the way out. */
static void field_module(Cli *cli, struct json_object *module)
{
        const char *state = jtext(module, "state"), *reason = jtext(module, "reason"), *advice = jtext(module, "advice");

        if (!module)
                return;
        field(cli, "Module", "%s%s%s%s%s%s%s", paint_word(&cli->style, state), state, paint_off(&cli->style),
              reason[0] ? ": " : "", reason, advice[0] ? "; " : "", advice);
}

static void field_ownership(Cli *cli, struct json_object *ownership)
{
        if (jbool(ownership, "tracking"))
                field(cli, "Ownership", "%s address spaces of %s processes, %s shared; owners changed %s times",
                      jtext(ownership, "mms"), jtext(ownership, "processes"),
                      jtext(ownership, "shared"), jtext(ownership, "owner_changes"));
        else if (ownership)
                field(cli, "Ownership", "not tracked: %s", jtext(ownership, "reason"));
}

static int status_host(Cli *cli)
{
        _cleanup_(json_putp) struct json_object *status = NULL;
        struct json_object *kernel;
        int r = cli->access->status(cli, &status);

        if (r != CTL_OK || print_json(cli, status))
                return r;
        kernel = jget(status, "kernel");
        if (cli->bus)
                field(cli, "Daemon", "chargehandd %s, pid %s", jtext(status, "version"),
                      jtext(status, "pid"));
        else
                field(cli, "Daemon", "not asked: read directly from the kernel's files");
        field(cli, "Hierarchy", "%s%s%s%s", jtext(status, "root"), cli->bus ? " (mode " : "",
              cli->bus ? jtext(status, "mode") : "", cli->bus ? ")" : "");
        field(cli, "Groups", "%s", jtext(status, "groups"));
        if (jget(status, "jobs"))
                field(cli, "Jobs", "%s", jtext(status, "jobs"));
        for (size_t i = 0; i < jcount(status, "claims"); i++) {
                struct json_object *claim = json_object_array_get_idx(jget(status, "claims"), i);
                _cleanup_(freep) char *bytes = format_bytes(&cli->style, jnumber(claim, "bytes"));

                field(cli, "Claim", "%s in %s%s%s", bytes, jtext(claim, "group"),
                      jget(claim, "job")     ? " by job "
                      : jget(claim, "claim") ? " by claim "
                                             : "",
                      jget(claim, "job") ? jtext(claim, "job") : jtext(claim, "claim"));
        }
        field_ownership(cli, jget(status, "ownership"));
        field(cli, "Kernel", "%s, %s CPUs, huge pages '%s'", jtext(kernel, "kernel"),
              jtext(kernel, "cpus"), jtext(kernel, "thp"));
        field_module(cli, jget(status, "module"));
        field_missing_features(cli, kernel);
        for (size_t i = 0; i < jcount(status, "warnings"); i++)
                field(cli, "Warning", "%s",
                      json_object_get_string(
                              json_object_array_get_idx(jget(status, "warnings"), i)));
        return CTL_OK;
}

static int print_processes(Cli *cli, struct json_object *processes)
{
        _cleanup_(json_putp) struct json_object *first = json_object_new_array();
        size_t n = json_object_array_length(processes),
               shown = cli->options.all || n <= SHOWN_PROCESSES ? n : SHOWN_PROCESSES;

        if (n == 0)
                return 0;
        for (size_t i = 0; first && i < shown; i++)
                if (json_object_array_add(
                            first, json_object_get(json_object_array_get_idx(processes, i))) < 0)
                        return -ENOMEM;
        putchar('\n');
        if (!first || TABLE(cli, process_columns, first) < 0)
                return -ENOMEM;
        if (shown < n)
                printf("… and %zu more; --all shows them\n", n - shown);
        return 0;
}

static int print_map(Cli *cli, struct json_object *status, const char *title)
{
        struct json_object *map = jget(status, "map");

        if (!map) {
                printf("\n%s cannot be told: %s\n", title, jtext(status, "map_error"));
                return 0;
        }
        if (jcount(map, "rows"))
                printf("\n%s:\n", title);
        if (map_print_rows(cli, map) < 0)
                return -ENOMEM;
        if (!jget(map, "figures"))
                return 0;
        putchar('\n');
        return map_print_figures(cli, jget(map, "figures"));
}

static int print_limits(Cli *cli, struct json_object *limits)
{
        putchar('\n');
        return TABLE(cli, limit_columns, limits);
}

static int status_group(Cli *cli, const char *path)
{
        _cleanup_(json_putp) struct json_object *group = NULL;
        _cleanup_(freep) char *owner = NULL;
        struct json_object *limits = NULL, *one;
        int r = access_group(cli, path, &group);

        if (r == CTL_OK)
                r = figures_ancestors(cli, path, &limits);
        if (r != CTL_OK)
                return r;
        one = json_object_new_array();
        if (one && json_object_array_add(one, json_object_get(group)) == 0)
                r = figures_add(cli, one);
        json_object_put(one);
        if (r != CTL_OK || jadd(group, "limits", limits) < 0 ||
            jadd(group, "members", figures_processes(cli, path)) < 0 ||
            access_try_map(cli, &(Target){ .group = path }, group) < 0)
                return r != CTL_OK ? r : cli_fail_memory(cli);
        if (print_json(cli, group))
                return CTL_OK;

        owner = cell_format(&cli->style, UNIT_USER, jget(group, "uid"));
        field(cli, "Group", "%s%s%s", paint_bold(&cli->style), path, paint_off(&cli->style));
        field(cli, "State", "%s%s%s", paint_word(&cli->style, jtext(group, "state")),
              jtext(group, "state"), paint_off(&cli->style));
        field(cli, "Id", "%s", jtext(group, "id"));
        field(cli, "Owner", "%s", owner ? owner : "-");
        if (jget(group, "managed"))
                field(cli, "Managed", "%s",
                      jbool(group, "managed") ? "yes" : "no: made by someone else");
        field(cli, "Processes", "%zu", jcount(group, "members"));
        if (print_processes(cli, jget(group, "members")) < 0 ||
            print_limits(cli, jget(group, "limits")) < 0 ||
            print_map(cli, group, "Memory of its processes") < 0)
                return cli_fail_memory(cli);
        return CTL_OK;
}

static int status_process(Cli *cli, pid_t pid)
{
        _cleanup_(json_putp) struct json_object *status = figures_process(pid);
        _cleanup_(freep) char *group = NULL, *owner = NULL;
        struct json_object *limits = NULL;
        int r;

        if (!status) {
                char text[16];

                snprintf(text, sizeof(text), "%d", (int)pid);
                return cli_fail(cli, CTL_NOTHING, text, "no process has that pid");
        }
        r = cli->access->group_of_pid(cli, pid, &group);
        if (r == CTL_OK)
                r = figures_ancestors(cli, group, &limits);
        if (r != CTL_OK)
                return r;
        if (jadd(status, "group", jstring(group)) < 0 || jadd(status, "limits", limits) < 0 ||
            access_try_map(cli, &(Target){ .pid = pid }, status) < 0)
                return cli_fail_memory(cli);
        if (print_json(cli, status))
                return CTL_OK;

        owner = cell_format(&cli->style, UNIT_USER, jget(status, "uid"));
        field(cli, "Process", "%s%s%s, pid %d", paint_bold(&cli->style), jtext(status, "comm"),
              paint_off(&cli->style), (int)pid);
        field(cli, "User", "%s", owner ? owner : "-");
        field(cli, "Group", "%s", group);
        if (print_limits(cli, jget(status, "limits")) < 0 ||
            print_map(cli, status, "Its memory") < 0)
                return cli_fail_memory(cli);
        return CTL_OK;
}

int verb_status(Cli *cli, int argc, char **argv)
{
        Target target;
        int r;

        if (argc == 0)
                return status_host(cli);
        r = target_parse(cli, argv[0], &target);
        if (r != CTL_OK)
                return r;
        return target.pid ? status_process(cli, target.pid) : status_group(cli, target.group);
}
