/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

/* Tables printed from JSON: the columns are data, the rows are an array of objects. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_object;

/* How things are to look; filled once from the options and the terminal. */
typedef struct Style {
        int columns;    /* width of the terminal; 0 = not a terminal, nothing is shortened */
        int colour;
        int no_legend;
        int full;       /* shorten nothing */
        int raw;        /* bytes, µs and numbers as they are */
        int utf8;       /* may draw "├─" and "…" */
} Style;

typedef enum Unit {
        UNIT_TEXT,
        UNIT_NUMBER,
        UNIT_BYTES,     /* 12.3 MiB */
        UNIT_LIMIT,     /* bytes, or "max" */
        UNIT_PERMYRIAD, /* 12.3% */
        UNIT_USEC,      /* 1.24 s */
        UNIT_USER,      /* uid → name */
        UNIT_WORDS,     /* array of strings, with spaces between */
        UNIT_YES,       /* boolean: yes or no */
} Unit;

enum {
        COLUMN_ELIDE  = 1 << 0, /* may be shortened at the end */
        COLUMN_MIDDLE = 1 << 1, /* may be shortened in the middle: paths */
        COLUMN_PAINT  = 1 << 2, /* words such as "frozen" or "failed" have a colour */
        COLUMN_MORE   = 1 << 3, /* only with --all */
        COLUMN_HIDE_EMPTY = 1 << 4, /* left out where no row has it */
};

typedef struct Column {
        const char *key;        /* member of each row; the JSON name */
        const char *head;       /* in upper case */
        Unit unit;
        uint32_t flags;
} Column;

/* Print rows (an array of objects) under these columns; a missing or null member is "-". Returns 0
 * or -ENOMEM. */
int table_print(FILE *f, const Style *style, const Column *columns, size_t n_columns,
                struct json_object *rows, int all);
/* A line below a table: after an empty one, and not with --no-legend. */
void table_footer(FILE *f, const Style *style, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The text of one value, caller frees; NULL without memory. A NULL value is "-". */
char *cell_format(const Style *style, Unit unit, struct json_object *value);
char *format_bytes(const Style *style, uint64_t bytes);
char *format_usec(const Style *style, uint64_t usec);
/* Columns that a text takes on a terminal. */
int text_width(const char *text);
/* A copy with control characters and broken UTF-8 as \xNN; caller frees. */
char *text_escape(const char *text);
/* The escape sequence that colours a word such as "failed", "" for none or without colours; end
 * with paint_off(). */
const char *paint_word(const Style *style, const char *word);
const char *paint_bold(const Style *style);
const char *paint_dim(const Style *style);
const char *paint_off(const Style *style);

#endif
