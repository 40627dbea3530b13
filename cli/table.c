/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables: cells are formatted, columns measured, shortened on a terminal if they must be, and
 * printed. */

#include <stdarg.h>
#include <stdio.h>

#include "common.h"
#include "table.h"

enum { GAP = 2, LEAST_WIDTH = 8 };

typedef struct Grid {
        const Style *style;
        const Column **columns; /* those that are shown */
        size_t n_columns;
        size_t n_rows;
        char **cells;           /* row by row */
        int *widths;
} Grid;

static void grid_done(Grid *grid)
{
        for (size_t i = 0; grid->cells && i < grid->n_rows * grid->n_columns; i++)
                free(grid->cells[i]);
        free(grid->cells);
        free(grid->columns);
        free(grid->widths);
}

static int is_right(const Column *column)
{
        return column->unit >= UNIT_NUMBER && column->unit <= UNIT_USEC;
}

static int has_any(struct json_object *rows, const char *key)
{
        size_t n = json_object_array_length(rows);

        for (size_t i = 0; i < n; i++) {
                struct json_object *value =
                        json_object_object_get(json_object_array_get_idx(rows, i), key);

                if (value && (!json_object_is_type(value, json_type_string) ||
                              json_object_get_string(value)[0]))
                        return 1;
        }
        return 0;
}

static int grid_choose(Grid *grid, const Column *columns, size_t n, struct json_object *rows,
                       int all)
{
        grid->columns = calloc(n, sizeof(*grid->columns));
        if (!grid->columns)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if ((columns[i].flags & COLUMN_MORE) && !all)
                        continue;
                if ((columns[i].flags & COLUMN_HIDE_EMPTY) && !has_any(rows, columns[i].key))
                        continue;
                grid->columns[grid->n_columns++] = &columns[i];
        }
        return 0;
}

static int grid_fill(Grid *grid, struct json_object *rows)
{
        size_t n_rows = json_object_array_length(rows);

        grid->cells = calloc(n_rows * grid->n_columns + 1, sizeof(char *));
        grid->widths = calloc(grid->n_columns + 1, sizeof(int));
        if (!grid->cells || !grid->widths)
                return -ENOMEM;
        grid->n_rows = n_rows;
        for (size_t r = 0; r < n_rows; r++) {
                struct json_object *row = json_object_array_get_idx(rows, r);

                for (size_t c = 0; c < grid->n_columns; c++) {
                        const Column *column = grid->columns[c];
                        char *cell = cell_format(grid->style, column->unit,
                                                 json_object_object_get(row, column->key));
                        int width;

                        if (!cell)
                                return -ENOMEM;
                        grid->cells[r * grid->n_columns + c] = cell;
                        width = text_width(cell);
                        if (width > grid->widths[c])
                                grid->widths[c] = width;
                }
        }
        for (size_t c = 0; !grid->style->no_legend && c < grid->n_columns; c++) {
                int width = text_width(grid->columns[c]->head);

                if (width > grid->widths[c])
                        grid->widths[c] = width;
        }
        return 0;
}

/* Take the excess from the widest columns that may give, until the line fits. */
static void grid_shrink(Grid *grid)
{
        int total = -GAP;

        if (grid->style->columns <= 0 || grid->style->full)
                return;
        for (size_t c = 0; c < grid->n_columns; c++)
                total += grid->widths[c] + GAP;
        for (; total > grid->style->columns; total--) {
                int *widest = NULL;

                for (size_t c = 0; c < grid->n_columns; c++)
                        if ((grid->columns[c]->flags & (COLUMN_ELIDE | COLUMN_MIDDLE)) &&
                            grid->widths[c] > LEAST_WIDTH && (!widest || grid->widths[c] > *widest))
                                widest = &grid->widths[c];
                if (!widest)
                        return;
                (*widest)--;
        }
}

/* Bytes at the start of `text` that fit into `width` columns. */
static size_t prefix_bytes(const char *text, int width)
{
        size_t length = 0, total = strlen(text);

        while (length < total) {
                size_t next = length + 1;
                char saved[8] = "";

                while (next < total && (text[next] & 0xc0) == 0x80)
                        next++;
                memcpy(saved, text + length,
                       next - length < sizeof(saved) ? next - length : sizeof(saved) - 1);
                width -= text_width(saved);
                if (width < 0)
                        break;
                length = next;
        }
        return length;
}

/* Print a cell shortened to `width` columns. */
static void print_elided(FILE *f, const Grid *grid, const Column *column, const char *cell,
                         int width)
{
        const char *dots = grid->style->utf8 ? "…" : "~";
        int tail = column->flags & COLUMN_MIDDLE ? (width - 1) / 2 : 0;
        const char *end = cell + strlen(cell);
        int end_width = 0;

        while (end > cell && end_width < tail) {
                do
                        end--;
                while (end > cell && (*end & 0xc0) == 0x80);
                end_width = text_width(end);
        }
        fprintf(f, "%.*s%s%s", (int)prefix_bytes(cell, width - 1 - end_width), cell, dots, end);
}

static void print_cell(FILE *f, const Grid *grid, size_t c, const char *cell)
{
        const Column *column = grid->columns[c];
        int width = text_width(cell), pad = grid->widths[c] - width;
        const char *colour = column->flags & COLUMN_PAINT ? paint_word(grid->style, cell) : "";

        if (pad > 0 && is_right(column))
                fprintf(f, "%*s", pad, "");
        fputs(colour, f);
        if (pad < 0)
                print_elided(f, grid, column, cell, grid->widths[c]);
        else
                fputs(cell, f);
        if (colour[0])
                fputs(paint_off(grid->style), f);
        if (c + 1 == grid->n_columns)
                return;
        fprintf(f, "%*s", GAP + (pad > 0 && !is_right(column) ? pad : 0), "");
}

static void grid_print(FILE *f, const Grid *grid)
{
        if (!grid->style->no_legend) {
                fputs(paint_bold(grid->style), f);
                for (size_t c = 0; c < grid->n_columns; c++)
                        print_cell(f, grid, c, grid->columns[c]->head);
                fprintf(f, "%s\n", paint_off(grid->style));
        }
        for (size_t r = 0; r < grid->n_rows; r++) {
                for (size_t c = 0; c < grid->n_columns; c++)
                        print_cell(f, grid, c, grid->cells[r * grid->n_columns + c]);
                fputc('\n', f);
        }
}

int table_print(FILE *f, const Style *style, const Column *columns, size_t n_columns,
                struct json_object *rows, int all)
{
        _cleanup_(grid_done) Grid grid = { .style = style };

        if (grid_choose(&grid, columns, n_columns, rows, all) < 0 || grid_fill(&grid, rows) < 0)
                return -ENOMEM;
        grid_shrink(&grid);
        grid_print(f, &grid);
        return 0;
}

void table_footer(FILE *f, const Style *style, const char *format, ...)
{
        va_list args;

        if (style->no_legend)
                return;
        va_start(args, format);
        fputc('\n', f);
        vfprintf(f, format, args);
        fputc('\n', f);
        va_end(args);
}
