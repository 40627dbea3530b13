/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl list: one line for each group. */

#include "figures.h"

static const Column columns[] = {
        { "path",         "GROUP",   UNIT_TEXT,   COLUMN_MIDDLE },
        { "state",        "STATE",   UNIT_TEXT,   COLUMN_PAINT },
        { "processes",    "PROCS",   UNIT_NUMBER },
        { "tasks",        "TASKS",   UNIT_NUMBER, COLUMN_MORE },
        { "memory_bytes", "MEMORY",  UNIT_BYTES },
        { "memory_max",   "MAX",     UNIT_LIMIT },
        { "swap_bytes",   "SWAP",    UNIT_BYTES,  COLUMN_MORE },
        { "uid",          "OWNER",   UNIT_USER },
        { "managed",      "MANAGED", UNIT_YES,    COLUMN_HIDE_EMPTY },
        { "id",           "ID",      UNIT_NUMBER, COLUMN_MORE },
};

int verb_list(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *rows = NULL;
        const char *below = argc ? argv[0] : "/";
        uint64_t processes = 0;
        size_t n;
        int r;

        r = group_check(cli, below);
        if (r == CTL_OK)
                r = cli->access->list(cli, below, (unsigned)cli->options.depth, &rows);
        if (r == CTL_OK)
                r = figures_add(cli, rows);
        if (r != CTL_OK || print_json(cli, rows))
                return r;

        n = json_object_array_length(rows);
        for (size_t i = 0; i < n; i++)
                processes += jnumber(json_object_array_get_idx(rows, i), "processes");
        pager_start(cli);
        if (TABLE(cli, columns, rows) < 0)
                return cli_fail_memory(cli);
        table_footer(stdout, &cli->style, "%zu group%s, %zu process%s.", PLURAL(n),
                     (size_t)processes, processes == 1 ? "" : "es");
        return CTL_OK;
}
