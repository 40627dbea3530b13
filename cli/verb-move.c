/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl move: move processes with their memory, and tell what became of each. */

#include "job.h"
#include "movetable.h"
#include "plantable.h"
#include "request.h"

static const Column row_columns[] = {
        { "kind",         "KIND",   UNIT_TEXT },
        { "backend",      "HOW",    UNIT_TEXT },
        { "before_bytes", "BEFORE", UNIT_BYTES },
        { "moved_bytes",  "MOVED",  UNIT_BYTES },
        { "left_bytes",   "LEFT",   UNIT_BYTES },
};

static const Column process_columns[] = {
        { "pid",     "PID",     UNIT_NUMBER },
        { "comm",    "COMMAND", UNIT_TEXT },
        { "outcome", "OUTCOME", UNIT_TEXT, COLUMN_PAINT },
        { "group",   "GROUP",   UNIT_TEXT, COLUMN_MIDDLE },
        { "note",    "NOTE",    UNIT_TEXT, COLUMN_ELIDE | COLUMN_HIDE_EMPTY },
};

/* Exit codes of a job's end; a failed one's is that of its error. */
static const struct {
        const char *state;
        int code;
} end_codes[] = {
        { "finished", CTL_OK },
        { "partly done", CTL_PARTLY },
        { "rolled back", CTL_FAILED },
        { "cancelled", CTL_FAILED },
};

static int is_kept(const JobEnd *end)
{
        return streq(end->state, "finished") || streq(end->state, "partly done");
}

/* Those that are not plainly "moved"; with --all every one. */
static int print_processes(Cli *cli, struct json_object *result)
{
        _cleanup_(json_putp) struct json_object *shown = json_object_new_array();
        struct json_object *processes = jget(result, "processes");

        for (size_t i = 0; shown && i < jcount(result, "processes"); i++) {
                struct json_object *process = json_object_array_get_idx(processes, i);

                if (!cli->options.all && streq(jtext(process, "outcome"), "moved"))
                        continue;
                if (json_object_array_add(shown, json_object_get(process)) < 0)
                        return -ENOMEM;
        }
        if (!shown)
                return -ENOMEM;
        if (json_object_array_length(shown) == 0)
                return 0;
        putchar('\n');
        return TABLE(cli, process_columns, shown);
}

/* "64.0 MiB of 64.0 MiB charged there", or that nothing was to be. */
static void print_charged(Cli *cli, struct json_object *result)
{
        _cleanup_(freep) char *moved = format_bytes(&cli->style, jnumber(result, "moved_bytes"));
        _cleanup_(freep) char *planned =
                format_bytes(&cli->style, jnumber(result, "planned_bytes"));

        if (streq(jtext(result, "policy"), "stay"))
                printf("their memory stays where it is charged");
        else if (jnumber(result, "planned_bytes") == 0)
                printf("no memory was to be recharged");
        else
                printf("%s of %s charged there", moved, planned);
}

static void print_summary(Cli *cli, const JobEnd *end)
{
        struct json_object *result = end->result;
        _cleanup_(freep) char *moved = format_bytes(&cli->style, jnumber(result, "moved_bytes"));
        _cleanup_(freep) char *back = format_bytes(&cli->style, jnumber(result, "returned_bytes"));
        _cleanup_(freep) char *time = format_usec(&cli->style, jnumber(result, "elapsed_usec"));
        uint64_t n = jnumber(result, "moved");
        const char *state = end->state;

        printf("%s%s%s", paint_word(&cli->style, state), state, paint_off(&cli->style));
        if (is_kept(end)) {
                printf(": %zu process%s in %s, ", (size_t)n, n == 1 ? "" : "es",
                       jtext(result, "target"));
                print_charged(cli, result);
                printf(", %s", time);
        } else if (streq(state, "rolled back") || streq(state, "cancelled")) {
                printf(": processes are back where they were, %s of %s that had moved are back, %s",
                       back, moved, time);
        }
        putchar('\n');
}

int move_print(Cli *cli, const JobEnd *end)
{
        print_summary(cli, end);
        if (!is_kept(end) &&
            !cli->options.all) /* nothing has changed: what would have moved is of no interest */
                return print_processes(cli, end->result);
        if (jcount(end->result, "rows")) {
                putchar('\n');
                if (TABLE(cli, row_columns, jget(end->result, "rows")) < 0)
                        return -ENOMEM;
        }
        if (plan_print_staying(cli, jget(end->result, "staying")) < 0)
                return -ENOMEM;
        return print_processes(cli, end->result);
}

int move_end_code(Cli *cli, const JobEnd *end)
{
        struct json_object *error = jget(end->result, "error");
        ch_error_kind kind = CH_ERROR_FAILED;
        int code = -1;

        for (size_t i = 0; i < ELEMENTSOF(end_codes); i++)
                if (streq(end_codes[i].state, end->state))
                        code = end_codes[i].code;
        if (code < 0) {
                (void)ch_error_kind_from_name(jtext(error, "kind"), &kind);
                code = ch_error_kind_to_exit(kind);
        }
        if (code != CTL_OK && jtext(error, "cause")[0] && !end->interrupted)
                return cli_fail(cli, code, jtext(error, "path"), "%s", jtext(error, "cause"));
        return code;
}

static int start_move(Cli *cli, const MoveSpec *spec, uint32_t *ret_id, char **ret_object)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        const char *object = NULL;
        int r = bus_new_call(cli, "Move", &call);

        if (r == CTL_OK)
                r = request_append(cli, spec, call);
        if (r == CTL_OK)
                r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_read(reply, "uo", ret_id, &object);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the answer");
        *ret_object = strdup(object);
        return *ret_object ? CTL_OK : cli_fail_memory(cli);
}

int verb_move(Cli *cli, int argc, char **argv)
{
        _cleanup_(request_done) MoveSpec spec = { 0 };
        _cleanup_(job_end_done) JobEnd end = { .state = "" };
        _cleanup_(freep) char *object = NULL;
        uint32_t id = 0;
        int r;

        r = request_parse(cli, argc, argv, &spec);
        if (r == CTL_OK && cli->options.dry_run)
                return plan_run(cli, &spec);
        if (r == CTL_OK)
                r = job_watch_begin(cli);
        if (r == CTL_OK)
                r = start_move(cli, &spec, &id, &object);
        if (r == CTL_OK)
                r = job_wait(cli, id, object, &end);
        if (r != CTL_OK)
                return r;
        if (!print_json(cli, end.result) && !cli->options.quiet && move_print(cli, &end) < 0)
                return cli_fail_memory(cli);
        return move_end_code(cli, &end);
}
