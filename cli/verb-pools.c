/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl pools: the pools of the configuration, their groups, and the room there is. */

#include "bus.h"
#include "access.h"

static const Column columns[] = {
        { "pool",          "POOL",       UNIT_TEXT },
        { "policy",        "POLICY",     UNIT_TEXT },
        { "group",         "GROUP",      UNIT_TEXT,  COLUMN_MIDDLE },
        { "free_bytes",    "FREE",       UNIT_LIMIT },
        { "claimed_bytes", "CLAIMED",    UNIT_BYTES },
        { "limited_by",    "LIMITED BY", UNIT_TEXT,  COLUMN_MIDDLE },
        { "note",          "NOTE",       UNIT_TEXT,  COLUMN_ELIDE | COLUMN_HIDE_EMPTY },
};

static const char *const figures[] = { "group", "free_bytes", "claimed_bytes", "limited_by" };

/* What a placement of one byte would find: the groups with the room there is, after claims. */
static int ask_room(Cli *cli, const char *pool, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(cli, "Place", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "a{sv}", 3, "pool", "s", pool, "bytes", "t", UINT64_C(1),
                                  "dry_run", "b", 1);
        return r < 0 ? bus_fail_errno(cli, r, "Place") : bus_call_report(cli, call, ret);
}

static int add_row(struct json_object *rows, struct json_object *pool, struct json_object *candidate,
                   const char *note)
{
        struct json_object *row = json_object_new_object();
        int r = row ? json_object_array_add(rows, row) : -ENOMEM;

        if (r < 0) {
                json_object_put(row);
                return -ENOMEM;
        }
        r = jadd(row, "pool", json_object_get(jget(pool, "name")));
        if (r >= 0)
                r = jadd(row, "policy", json_object_get(jget(pool, "policy")));
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(figures); i++)
                if (jget(candidate, figures[i]))
                        r = jadd(row, figures[i], json_object_get(jget(candidate, figures[i])));
        return r < 0 || !note ? r : jadd(row, "note", jstring(note));
}

static int add_pool(Cli *cli, struct json_object *rows, struct json_object *pool)
{
        _cleanup_(json_putp) struct json_object *placement = NULL;
        struct json_object *candidates;
        int r;

        cli->hush++;
        r = ask_room(cli, jtext(pool, "name"), &placement);
        cli->hush--;
        if (r != CTL_OK)
                return add_row(rows, pool, NULL, cli->hushed ? cli->hushed : "");
        candidates = jget(placement, "candidates");
        for (size_t i = 0; i < jcount(placement, "candidates"); i++) {
                struct json_object *candidate = json_object_array_get_idx(candidates, i);
                int fits = jbool(candidate, "fits");

                if (add_row(rows, pool, candidate, fits ? NULL : jtext(candidate, "reason")) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int verb_pools(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *status = NULL, *rows = json_object_new_array();
        struct json_object *pools;
        size_t n = 0, n_pools;
        int r = cli->access->status(cli, &status);

        if (r != CTL_OK)
                return r;
        pools = jget(status, "pools");
        n_pools = jcount(status, "pools");
        for (size_t i = 0; rows && i < n_pools; i++) {
                struct json_object *pool = json_object_array_get_idx(pools, i);

                if (argc > 0 && !streq(jtext(pool, "name"), argv[0]))
                        continue;
                n++;
                if (add_pool(cli, rows, pool) < 0)
                        return cli_fail_memory(cli);
        }
        if (argc > 0 && n == 0)
                return cli_fail(cli, CTL_NOTHING, argv[0],
                                "no such pool: a section [Pool %s] of the configuration makes it", argv[0]);
        if (!rows || (!print_json(cli, rows) && TABLE(cli, columns, rows) < 0))
                return cli_fail_memory(cli);
        if (!cli->options.json)
                table_footer(stdout, &cli->style, "%zu pool%s.", PLURAL(n));
        return CTL_OK;
}
