/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl jobs and cancel. */

#include "job.h"

static const Column columns[] = {
        { "id",          "JOB",   UNIT_NUMBER },
        { "type",        "TYPE",  UNIT_TEXT },
        { "state",       "STATE", UNIT_TEXT,  COLUMN_PAINT },
        { "group",       "GROUP", UNIT_TEXT,  COLUMN_MIDDLE },
        { "step",        "STEP",  UNIT_TEXT },
        { "bytes_done",  "DONE",  UNIT_BYTES },
        { "bytes_total", "OF",    UNIT_BYTES },
        { "uid",         "USER",  UNIT_USER },
};

static const struct {
        const char *property, *key;
} job_members[] = {
        { "Id", "id" },     { "Type", "type" },   { "State", "state" },          { "Group", "group" },
        { "Step", "step" }, { "Uid", "uid" },     { "BytesDone", "bytes_done" }, { "BytesTotal", "bytes_total" },
        { "Result", "result" },
};

/* One job as an object with our keys; NULL if it is gone. */
static struct json_object *job_row(Cli *cli, const char *object)
{
        _cleanup_(json_putp) struct json_object *properties = NULL;
        struct json_object *row = NULL;

        if (bus_get_all(cli, object, CH_BUS_JOB_INTERFACE, &properties) != CTL_OK)
                return NULL;
        row = json_object_new_object();
        for (size_t i = 0; row && i < ELEMENTSOF(job_members); i++) {
                struct json_object *value = jget(properties, job_members[i].property);

                if (value)
                        (void)jadd(row, job_members[i].key, json_object_get(value));
        }
        return row;
}

static int list_jobs(Cli *cli, struct json_object *rows)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        const char *object;
        int r = bus_new_call(cli, "ListJobs", &call);

        if (r == CTL_OK)
                r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(uosss)");
        while (r >= 0 &&
               (r = sd_bus_message_read(reply, "(uosss)", NULL, &object, NULL, NULL, NULL)) > 0) {
                struct json_object *row = job_row(cli, object);

                if (row && json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return cli_fail_memory(cli);
                }
        }
        return r < 0 ? bus_fail_errno(cli, r, "reading the answer") : CTL_OK;
}

int verb_jobs(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();
        size_t n;
        int r;

        if (!rows)
                return cli_fail_memory(cli);
        r = list_jobs(cli, rows);
        if (r != CTL_OK || print_json(cli, rows))
                return r;
        n = json_object_array_length(rows);
        if (n == 0) {
                if (!cli->options.quiet)
                        puts("No jobs.");
                return CTL_OK;
        }
        if (TABLE(cli, columns, rows) < 0)
                return cli_fail_memory(cli);
        table_footer(stdout, &cli->style, "%zu job%s.", PLURAL(n));
        return CTL_OK;
}

static int cancel_one(Cli *cli, const char *word, struct json_object *told)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        struct json_object *entry = json_object_new_object();
        char *end = NULL;
        unsigned long id = strtoul(word, &end, 10);
        int r;

        if (!entry || json_object_array_add(told, entry) < 0) {
                json_object_put(entry);
                return cli_fail_memory(cli);
        }
        if (end == word || *end || id == 0 || id > UINT32_MAX)
                return cli_fail(cli, CTL_USAGE, word,
                                "not a job number; 'chargectl jobs' lists them");
        r = bus_new_call(cli, cli->options.dry_run ? "GetJob" : "CancelJob", &call);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "u", (uint32_t)id);
        if (r < 0)
                return bus_fail_errno(cli, r, "building the request");
        r = bus_call(cli, call, NULL);
        if (r != CTL_OK)
                return r;
        if (jadd(entry, "job", json_object_new_uint64(id)) < 0 ||
            jadd(entry, "action", json_object_new_string("cancelled")) < 0 ||
            jadd(entry, "dry_run", json_object_new_boolean(cli->options.dry_run)) < 0)
                return cli_fail_memory(cli);
        if (!cli->options.quiet && cli->options.json == JSON_OFF)
                printf("job %lu: %s\n", id,
                       cli->options.dry_run ? "would be cancelled" : "asked to end");
        return CTL_OK;
}

int verb_cancel(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *told = json_object_new_array();
        int r = told ? CTL_OK : cli_fail_memory(cli);

        for (int i = 0; i < argc && r == CTL_OK; i++)
                r = cancel_one(cli, argv[i], told);
        if (r == CTL_OK)
                (void)print_json(cli, told);
        return r;
}
