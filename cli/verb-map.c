/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl map: on which group's account a process's or a group's memory is. */

#include "figures.h"
#include "maptable.h"

static const Column columns[] = {
        { "group",            "CHARGED TO", UNIT_TEXT,      COLUMN_MIDDLE },
        { "kind",             "KIND",       UNIT_TEXT },
        { "bytes",            "SIZE",       UNIT_BYTES },
        { "bytes_shared",     "SHARED",     UNIT_BYTES },
        { "bytes_mapped",     "MAPPED",     UNIT_BYTES,     COLUMN_MORE },
        { "share_permyriad",  "SHARE",      UNIT_PERMYRIAD },
        { "group_id",         "ID",         UNIT_NUMBER,    COLUMN_MORE },
};

static const Column figure_columns[] = {
        { "what",  "OF THE GROUP", UNIT_TEXT },
        { "bytes", "SIZE",         UNIT_BYTES },
        { "doc",   "WHAT IT IS",   UNIT_TEXT, COLUMN_ELIDE },
};

static const struct {
        const char *key, *what, *doc;
} figure_rows[] = {
        { "current_bytes",     "in all",         "memory.current" },
        { "anon_bytes",        "anonymous",      "memory.stat anon" },
        { "shmem_bytes",       "shared memory",  "memory.stat shmem" },
        { "file_bytes",        "page cache",     "memory.stat file, shared memory included" },
        { "kernel_bytes",      "kernel",         "memory.stat kernel: cannot be moved" },
        { "swap_bytes",        "swap",           "memory.swap.current" },
        { "own_bytes",         "own",            "charged here and mapped by its own processes" },
        { "elsewhere_bytes",   "elsewhere",      "its processes' memory that is charged to other groups" },
        { "left_behind_bytes", "left behind",    "charged here, but no process of the group uses it" },
};

int map_print_rows(Cli *cli, struct json_object *map)
{
        struct json_object *rows = jget(map, "rows");
        size_t n = jcount(map, "rows");
        uint64_t total = 0;

        for (size_t i = 0; i < n; i++)
                total += jnumber(json_object_array_get_idx(rows, i), "bytes");
        for (size_t i = 0; i < n; i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);
                double share = total ? (double)jnumber(row, "bytes") * 10000 / (double)total : 0;

                if (jadd(row, "share_permyriad", json_object_new_uint64((uint64_t)(share + 0.5))) <
                    0)
                        return -ENOMEM;
        }
        return n ? TABLE(cli, columns, rows) : 0;
}

int map_print_figures(Cli *cli, struct json_object *figures)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();

        for (size_t i = 0; rows && i < ELEMENTSOF(figure_rows); i++) {
                struct json_object *value = jget(figures, figure_rows[i].key), *row;

                if (!value)
                        continue;
                row = json_object_new_object();
                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return -ENOMEM;
                }
                if (jadd(row, "what", json_object_new_string(figure_rows[i].what)) < 0 ||
                    jadd(row, "doc", json_object_new_string(figure_rows[i].doc)) < 0 ||
                    jadd(row, "bytes", json_object_get(value)) < 0)
                        return -ENOMEM;
        }
        return rows ? TABLE(cli, figure_columns, rows) : -ENOMEM;
}

/* "313.5 MiB of 3 processes (2 address spaces), 12.0 MiB of it in swap; 1 exited meanwhile." */
static void print_footer(Cli *cli, struct json_object *map)
{
        _cleanup_(freep) char *total = format_bytes(&cli->style, jnumber(map, "total_bytes"));
        _cleanup_(freep) char *swap = format_bytes(&cli->style, jnumber(map, "swap_bytes"));
        uint64_t processes = jnumber(map, "processes"), mms = jnumber(map, "mms"),
                 exited = jnumber(map, "exited");
        char spaces[64] = "", swapped[64] = "", gone[64] = "";

        if (mms && mms != processes)
                snprintf(spaces, sizeof(spaces), " with %zu address space%s", PLURAL(mms));
        if (jnumber(map, "swap_bytes"))
                snprintf(swapped, sizeof(swapped), ", and %s in swap", swap ? swap : "");
        if (exited)
                snprintf(gone, sizeof(gone), "; %zu exited meanwhile", (size_t)exited);
        table_footer(stdout, &cli->style, "%s in memory%s, of %zu process%s%s%s.",
                     total ? total : "", swapped, (size_t)processes, processes == 1 ? "" : "es",
                     spaces, gone);
}

int verb_map(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *map = NULL;
        Target target;
        int r;

        r = target_parse(cli, argv[0], &target);
        if (r == CTL_OK && target.group && cli->options.tree)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--tree goes with a pid; a group's map has all its members anyway");
        if (r == CTL_OK)
                r = cli->access->map(cli, &target, cli->options.tree, &map);
        if (r != CTL_OK || print_json(cli, map))
                return r;

        if (map_print_rows(cli, map) < 0)
                return cli_fail_memory(cli);
        if (jcount(map, "rows"))
                print_footer(cli, map);
        else
                printf("No memory is mapped by %s%s.\n",
                       target.group ? "processes in " : "process ", argv[0]);
        if (!jget(map, "figures"))
                return CTL_OK;
        putchar('\n');
        return map_print_figures(cli, jget(map, "figures")) < 0 ? cli_fail_memory(cli) : CTL_OK;
}
