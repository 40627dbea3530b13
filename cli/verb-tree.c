/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl tree: the groups, and with --all their processes, drawn as a tree. */

#include "figures.h"

static const Column columns[] = {
        { "label",        "GROUP",  UNIT_TEXT,   COLUMN_ELIDE },
        { "state",        "STATE",  UNIT_TEXT,   COLUMN_PAINT },
        { "processes",    "PROCS",  UNIT_NUMBER },
        { "memory_bytes", "MEMORY", UNIT_BYTES },
        { "memory_max",   "MAX",    UNIT_LIMIT },
        { "uid",          "OWNER",  UNIT_USER,   COLUMN_MORE },
};

enum { MAX_DEPTH = 256 };

/* A line of the drawing. */
typedef struct Node {
        unsigned depth;
        int is_last;            /* of its siblings */
        char *name;
        struct json_object *row;
} Node;

typedef struct Drawing {
        Node *nodes;
        size_t n, allocated;
} Drawing;

static void drawing_done(Drawing *drawing)
{
        for (size_t i = 0; i < drawing->n; i++)
                free(drawing->nodes[i].name);
        free(drawing->nodes);
}

/* Takes the name. */
static int drawing_add(Drawing *drawing, unsigned depth, char *name, struct json_object *row)
{
        if (!name)
                return -ENOMEM;
        if (drawing->n == drawing->allocated) {
                size_t allocated = drawing->allocated ? drawing->allocated * 2 : 64;
                Node *nodes = realloc(drawing->nodes, allocated * sizeof(*nodes));

                if (!nodes) {
                        free(name);
                        return -ENOMEM;
                }
                drawing->nodes = nodes;
                drawing->allocated = allocated;
        }
        drawing->nodes[drawing->n++] = (Node){ .depth = depth < MAX_DEPTH ? depth : MAX_DEPTH - 1,
                                               .name = name,
                                               .row = row };
        return 0;
}

static unsigned path_depth(const char *path)
{
        unsigned depth = 0;

        if (streq(path, "/"))
                return 0;
        for (; *path; path++)
                depth += *path == '/';
        return depth;
}

static int add_processes(Cli *cli, Drawing *drawing, unsigned depth, struct json_object *row)
{
        struct json_object *processes = figures_processes(cli, jtext(row, "path"));
        size_t n = json_object_array_length(processes);

        if (jadd(row, "members", processes) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct json_object *process = json_object_array_get_idx(processes, i);
                char *name = NULL;

                if (asprintf(&name, "%s %s", jtext(process, "pid"), jtext(process, "comm")) < 0)
                        name = NULL;
                if (drawing_add(drawing, depth + 1, name, process) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int drawing_fill(Cli *cli, Drawing *drawing, struct json_object *rows)
{
        size_t n = json_object_array_length(rows);
        unsigned top = n ? path_depth(jtext(json_object_array_get_idx(rows, 0), "path")) : 0;

        for (size_t i = 0; i < n; i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);
                const char *path = jtext(row, "path"), *name = strrchr(path, '/');
                unsigned depth = path_depth(path) - top;

                if (drawing_add(drawing, depth, strdup(depth && name ? name + 1 : path), row) < 0)
                        return -ENOMEM;
                if (cli->options.all && add_processes(cli, drawing, depth, row) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* From the end: the first one seen of a depth is the last of its siblings. */
static void find_last_siblings(Drawing *drawing)
{
        int seen[MAX_DEPTH + 1] = { 0 };
        unsigned deepest = 0;

        for (size_t i = drawing->n; i-- > 0;) {
                Node *node = &drawing->nodes[i];

                node->is_last = !seen[node->depth];
                seen[node->depth] = 1;
                for (unsigned d = node->depth + 1; d <= deepest; d++)
                        seen[d] = 0;
                deepest = node->depth;
        }
}

static int draw_labels(Drawing *drawing, int utf8)
{
        int more[MAX_DEPTH + 1] = { 0 }; /* does the line of this depth go on below? */

        for (size_t i = 0; i < drawing->n; i++) {
                Node *node = &drawing->nodes[i];
                _cleanup_(freep) char *label = NULL;
                size_t size = 0;
                FILE *f = open_memstream(&label, &size);

                if (!f)
                        return -ENOMEM;
                for (unsigned d = 1; d < node->depth; d++)
                        fputs(!more[d] ? "  " : utf8 ? "│ " : "| ", f);
                if (node->depth)
                        fputs(node->is_last ? (utf8 ? "└─" : "`-") : (utf8 ? "├─" : "|-"), f);
                fputs(node->name, f);
                more[node->depth] = !node->is_last;
                if (fclose(f) != 0 || jadd(node->row, "label", json_object_new_string(label)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int drawing_print(Cli *cli, const Drawing *drawing)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();

        for (size_t i = 0; rows && i < drawing->n; i++)
                if (json_object_array_add(rows, json_object_get(drawing->nodes[i].row)) < 0)
                        return -ENOMEM;
        return rows ? TABLE(cli, columns, rows) : -ENOMEM;
}

/* Nested JSON: each group has its `groups`. */
static int print_nested(Cli *cli, struct json_object *rows)
{
        struct json_object *open[MAX_DEPTH] = { NULL };
        size_t n = json_object_array_length(rows);
        unsigned top = n ? path_depth(jtext(json_object_array_get_idx(rows, 0), "path")) : 0;

        for (size_t i = 0; i < n; i++) {
                struct json_object *row = json_object_array_get_idx(rows, i),
                                   *groups = json_object_new_array();
                unsigned depth = path_depth(jtext(row, "path")) - top;

                if (jadd(row, "groups", groups) < 0 || depth >= MAX_DEPTH)
                        return cli_fail_memory(cli);
                open[depth] = groups;
                if (depth && open[depth - 1] &&
                    json_object_array_add(open[depth - 1], json_object_get(row)) < 0)
                        return cli_fail_memory(cli);
        }
        if (n)
                (void)print_json(cli, json_object_array_get_idx(rows, 0));
        return CTL_OK;
}

int verb_tree(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *rows = NULL;
        _cleanup_(drawing_done) Drawing drawing = { 0 };
        const char *below = argc ? argv[0] : "/";
        int r;

        r = group_check(cli, below);
        if (r == CTL_OK)
                r = cli->access->list(cli, below, (unsigned)cli->options.depth, &rows);
        if (r == CTL_OK)
                r = figures_add(cli, rows);
        if (r != CTL_OK)
                return r;
        if (drawing_fill(cli, &drawing, rows) < 0)
                return cli_fail_memory(cli);
        if (cli->options.json != JSON_OFF)
                return print_nested(cli, rows);
        find_last_siblings(&drawing);
        if (draw_labels(&drawing, cli->style.utf8) < 0)
                return cli_fail_memory(cli);
        pager_start(cli);
        return drawing_print(cli, &drawing) < 0 ? cli_fail_memory(cli) : CTL_OK;
}
