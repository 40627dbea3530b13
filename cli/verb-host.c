/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl probe, snapshot, reload: the host and the daemon as a whole. */

#include "access.h"
#include "bus.h"

static const Column probe_columns[] = {
        { "name",   "FEATURE", UNIT_TEXT },
        { "state",  "STATE",   UNIT_TEXT, COLUMN_PAINT },
        { "advice", "WHAT IS LOST, AND THE WAY OUT", UNIT_TEXT, COLUMN_HIDE_EMPTY },
};

static int probe_rows(struct json_object *features, struct json_object *rows)
{
        json_object_object_foreach(features, name, feature) {
                struct json_object *row = json_object_new_object();
                int available = jbool(feature, "available");

                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return -ENOMEM;
                }
                if (jadd(row, "name", json_object_new_string(name)) < 0 ||
                    jadd(row, "state",
                         json_object_new_string(available ? "available" : "missing")) < 0 ||
                    (!available &&
                     jadd(row, "advice", json_object_new_string(jtext(feature, "advice"))) < 0))
                        return -ENOMEM;
        }
        return 0;
}

int verb_probe(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *status = NULL, *rows = json_object_new_array();
        _cleanup_(freep) char *page = NULL, *huge = NULL;
        struct json_object *kernel;
        int r = cli->access->status(cli, &status);

        if (r != CTL_OK)
                return r;
        kernel = jget(status, "kernel");
        if (print_json(cli, kernel))
                return CTL_OK;
        page = format_bytes(&cli->style, jnumber(kernel, "page_bytes"));
        huge = format_bytes(&cli->style, jnumber(kernel, "huge_page_bytes"));
        if (!rows || (jget(kernel, "features") && probe_rows(jget(kernel, "features"), rows) < 0) ||
            TABLE(cli, probe_columns, rows) < 0)
                return cli_fail_memory(cli);
        table_footer(stdout, &cli->style,
                     "Kernel %s, %s CPUs, pages of %s, huge pages of %s: %s. Seen by %s.",
                     jtext(kernel, "kernel"), jtext(kernel, "cpus"), page, huge,
                     jtext(kernel, "thp")[0] ? jtext(kernel, "thp") : "not built in",
                     cli->bus ? "the daemon" : "chargectl itself");
        return CTL_OK;
}

int verb_snapshot(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(json_putp) struct json_object *snapshot = NULL;
        int r = bus_new_call(cli, "Snapshot", &call);

        if (r == CTL_OK)
                r = bus_call_report(cli, call, &snapshot);
        if (r != CTL_OK || print_json(cli, snapshot))
                return r;
        pager_start(cli);
        puts(json_object_to_json_string_ext(snapshot, JSON_C_TO_STRING_PRETTY |
                                                              JSON_C_TO_STRING_SPACED |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
        return CTL_OK;
}

int verb_reload(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(json_putp) struct json_object *warnings = NULL;
        int r = bus_new_call(cli, "Reload", &call);

        if (r == CTL_OK)
                r = bus_call_report(cli, call, &warnings);
        if (r != CTL_OK || print_json(cli, warnings))
                return r;
        for (size_t i = 0; i < json_object_array_length(warnings); i++)
                note(cli, "%s", json_object_get_string(json_object_array_get_idx(warnings, i)));
        if (!cli->options.quiet)
                puts("reloaded");
        return CTL_OK;
}
