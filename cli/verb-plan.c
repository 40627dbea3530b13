/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl plan: what a move would do, what stays and why, and whether there is room. */

#include "plantable.h"
#include "request.h"

static const Column process_columns[] = {
        { "pid",   "PID",     UNIT_NUMBER },
        { "comm",  "COMMAND", UNIT_TEXT },
        { "uid",   "USER",    UNIT_USER },
        { "group", "FROM",    UNIT_TEXT, COLUMN_MIDDLE },
        { "note",  "NOTE",    UNIT_TEXT, COLUMN_ELIDE | COLUMN_HIDE_EMPTY },
};

static const Column mm_columns[] = {
        { "pid",     "SHARED ADDRESS SPACE OF", UNIT_NUMBER },
        { "inside",  "IN THE MOVE",    UNIT_NUMBER },
        { "outside", "OUTSIDE",        UNIT_NUMBER },
        { "pays",    "WHO PAYS AFTERWARDS", UNIT_TEXT, COLUMN_ELIDE },
        { "note",    "NOTE",           UNIT_TEXT, COLUMN_ELIDE | COLUMN_HIDE_EMPTY },
};

static const Column row_columns[] = {
        { "group",         "CHARGED TO", UNIT_TEXT,  COLUMN_MIDDLE },
        { "kind",          "KIND",       UNIT_TEXT },
        { "bytes",         "SIZE",       UNIT_BYTES },
        { "movable_bytes", "MOVES",      UNIT_BYTES },
        { "backend",       "HOW",        UNIT_TEXT },
};

static const Column staying_columns[] = {
        { "kind",   "STAYS",  UNIT_TEXT },
        { "bytes",  "SIZE",   UNIT_BYTES },
        { "reason", "WHY",    UNIT_TEXT },
};

static const Column room_columns[] = {
        { "group",         "ROOM IN", UNIT_TEXT,  COLUMN_MIDDLE },
        { "limit",         "LIMIT",   UNIT_TEXT },
        { "limit_bytes",   "SET TO",  UNIT_LIMIT },
        { "current_bytes", "IN USE",  UNIT_BYTES },
        { "claimed_bytes", "CLAIMED", UNIT_BYTES, COLUMN_MORE },
        { "free_bytes",    "FREE",    UNIT_LIMIT },
        { "needed_bytes",  "NEEDED",  UNIT_BYTES },
        { "short_bytes",   "SHORT",   UNIT_BYTES },
};

enum { SHOWN_PROCESSES = 10 };

/* The way out for each reason once: a column of it would be shortened beyond use. */
static int print_advice(Cli *cli, struct json_object *staying)
{
        _cleanup_(json_putp) struct json_object *told = json_object_new_object();

        for (size_t i = 0; told && i < json_object_array_length(staying); i++) {
                struct json_object *row = json_object_array_get_idx(staying, i);
                const char *reason = jtext(row, "reason"), *advice = jtext(row, "advice");

                if (!advice[0] || jget(told, reason))
                        continue;
                printf("  %s%s%s: %s\n", paint_bold(&cli->style), reason, paint_off(&cli->style),
                       advice);
                if (jadd(told, reason, json_object_new_boolean(1)) < 0)
                        return -ENOMEM;
        }
        return told ? 0 : -ENOMEM;
}

int plan_print_staying(Cli *cli, struct json_object *staying)
{
        if (!staying || json_object_array_length(staying) == 0)
                return 0;
        putchar('\n');
        if (TABLE(cli, staying_columns, staying) < 0)
                return -ENOMEM;
        return print_advice(cli, staying);
}

static int print_processes(Cli *cli, struct json_object *plan)
{
        _cleanup_(json_putp) struct json_object *shown = json_object_new_array();
        struct json_object *processes = jget(plan, "processes");
        size_t n = jcount(plan, "processes"), limit = cli->options.all ? n : SHOWN_PROCESSES;

        if (n == 0)
                return 0;
        for (size_t i = 0; shown && i < n && i < limit; i++)
                if (json_object_array_add(
                            shown, json_object_get(json_object_array_get_idx(processes, i))) < 0)
                        return -ENOMEM;
        if (!shown || TABLE(cli, process_columns, shown) < 0)
                return -ENOMEM;
        n = jnumber(plan, "n_processes") > n ? jnumber(plan, "n_processes") : n;
        if (n > json_object_array_length(shown))
                printf("… and %zu more; --all shows them\n", n - json_object_array_length(shown));
        return 0;
}

static int print_part(Cli *cli, struct json_object *plan, const char *key, const Column *columns,
                      size_t n_columns)
{
        if (jcount(plan, key) == 0)
                return 0;
        putchar('\n');
        return table_print(stdout, &cli->style, columns, n_columns, jget(plan, key),
                           cli->options.all);
}

static void print_verdict(Cli *cli, struct json_object *plan)
{
        _cleanup_(freep) char *moves = format_bytes(&cli->style, jnumber(plan, "movable_bytes"));
        _cleanup_(freep) char *stays = format_bytes(&cli->style, jnumber(plan, "staying_bytes"));
        _cleanup_(freep) char *already = format_bytes(&cli->style, jnumber(plan, "already_bytes"));
        _cleanup_(freep) char *reclaim = format_bytes(&cli->style, jnumber(plan, "reclaim_bytes"));
        _cleanup_(freep) char *growth = format_bytes(&cli->style, jnumber(plan, "growth_bytes"));
        struct json_object *refusal = jget(plan, "refusal");

        printf("\n");
        for (size_t i = 0; i < jcount(plan, "warnings"); i++)
                printf("warning: %s\n", json_object_get_string(json_object_array_get_idx(
                                                jget(plan, "warnings"), i)));
        if (!jbool(plan, "feasible")) {
                const char *path = jtext(refusal, "path");

                printf("%sRefused%s: %s%s%s\n", paint_word(&cli->style, "refused"),
                       paint_off(&cli->style), path, path[0] ? ": " : "", jtext(refusal, "cause"));
                return;
        }
        printf("%sCan be carried out%s: %s move, %s stay%s%s%s.\n",
               paint_word(&cli->style, "finished"), paint_off(&cli->style), moves, stays,
               jnumber(plan, "already_bytes") ? ", " : "",
               jnumber(plan, "already_bytes") ? already : "",
               jnumber(plan, "already_bytes") ? " are charged to the target already" : "");
        if (jnumber(plan, "growth_bytes"))
                printf("Memory grows by up to %s, where small holes are filled.\n", growth);
        if (jnumber(plan, "reclaim_bytes"))
                printf("%s must be reclaimed in the target first.\n", reclaim);
}

int plan_print(Cli *cli, struct json_object *plan)
{
        size_t n = jnumber(plan, "n_processes") ? jnumber(plan, "n_processes")
                                                : jcount(plan, "processes");

        printf("Move %zu process%s to %s%s%s, policy %s.\n\n", n, n == 1 ? "" : "es",
               paint_bold(&cli->style), jtext(plan, "target"), paint_off(&cli->style),
               jtext(plan, "policy"));
        if (print_processes(cli, plan) < 0 ||
            print_part(cli, plan, "mms", mm_columns, ELEMENTSOF(mm_columns)) < 0 ||
            print_part(cli, plan, "rows", row_columns, ELEMENTSOF(row_columns)) < 0 ||
            plan_print_staying(cli, jget(plan, "staying")) < 0 ||
            print_part(cli, plan, "room", room_columns, ELEMENTSOF(room_columns)) < 0)
                return -ENOMEM;
        print_verdict(cli, plan);
        return 0;
}

int plan_exit(struct json_object *plan)
{
        ch_error_kind kind = CH_ERROR_FAILED;

        if (jbool(plan, "feasible"))
                return CTL_OK;
        (void)ch_error_kind_from_name(jtext(jget(plan, "refusal"), "kind"), &kind);
        return ch_error_kind_to_exit(kind);
}

int plan_run(Cli *cli, const MoveSpec *spec)
{
        _cleanup_(json_putp) struct json_object *plan = NULL;
        int r = cli->access->plan(cli, spec, &plan);

        if (r != CTL_OK)
                return r;
        if (!print_json(cli, plan) && !cli->options.quiet && plan_print(cli, plan) < 0)
                return cli_fail_memory(cli);
        return plan_exit(plan);
}

int verb_plan(Cli *cli, int argc, char **argv)
{
        _cleanup_(request_done) MoveSpec spec = { 0 };
        int r = request_parse(cli, argc, argv, &spec);

        return r == CTL_OK ? plan_run(cli, &spec) : r;
}
