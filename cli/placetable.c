/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints a placement: the candidates with the terms that count, and what was chosen and why. */

#include <ctype.h>

#include <chargehand/place.h>

#include "placetable.h"

static const Column front_columns[] = {
        { "group",        "GROUP",   UNIT_TEXT,  COLUMN_MIDDLE },
        { "score",        "SCORE",   UNIT_NUMBER },
        { "fits",         "FITS",    UNIT_YES,   COLUMN_PAINT },
        { "free_bytes",   "FREE",    UNIT_LIMIT },
        { "needed_bytes", "NEEDED",  UNIT_BYTES, COLUMN_MORE },
        { "claimed_bytes", "CLAIMED", UNIT_BYTES, COLUMN_MORE },
        { "limited_by",   "LIMITED BY", UNIT_TEXT, COLUMN_MIDDLE | COLUMN_HIDE_EMPTY },
        { "left_bytes",   "LEFT BEHIND", UNIT_BYTES, COLUMN_MORE },
        { "shared_apart_bytes", "SHARED APART", UNIT_BYTES, COLUMN_MORE },
};

enum { COLUMNS_MAX = ELEMENTSOF(front_columns) + CH_PLACE_TERM_MAX_ };

typedef struct TermNames {
        char heads[CH_PLACE_TERM_MAX_][24];
} TermNames;

static void upper(const char *word, char ret[24])
{
        size_t i = 0;

        for (; i < 23 && word[i]; i++)
                ret[i] = (char)toupper((unsigned char)word[i]);
        ret[i] = '\0';
}

/* Terms without a weight do not count; with --all they are shown too. */
static size_t choose_columns(struct json_object *weights, Column *columns, TermNames *names)
{
        size_t n = ELEMENTSOF(front_columns);

        memcpy(columns, front_columns, sizeof(front_columns));
        for (size_t i = 0; i < CH_PLACE_TERM_MAX_; i++) {
                const char *word = ch_place_term_to_string((ch_place_term)i);

                upper(word, names->heads[i]);
                columns[n++] = (Column){ word, names->heads[i], UNIT_NUMBER,
                                         jnumber(weights, word) ? 0 : COLUMN_MORE };
        }
        return n;
}

/* The rows with their terms beside the rest: a column is one member. */
static struct json_object *flatten(struct json_object *candidates)
{
        struct json_object *rows = json_object_new_array();
        size_t n = candidates ? json_object_array_length(candidates) : 0;

        for (size_t i = 0; rows && i < n; i++) {
                struct json_object *candidate = json_object_array_get_idx(candidates, i);
                struct json_object *row = json_object_new_object();
                int r = row ? 0 : -ENOMEM;

                for (int nested = 0; r >= 0 && nested < 2; nested++) {
                        struct json_object *from = nested ? jget(candidate, "terms") : candidate;

                        if (!from)
                                continue;
                        json_object_object_foreach(from, key, value) {
                                if (r >= 0 && value)
                                        r = jadd(row, key, json_object_get(value));
                        }
                }
                if (r < 0 || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        json_object_put(rows);
                        return NULL;
                }
        }
        return rows;
}

/* A sentence for each: a column of them would be shortened beyond use. */
static void print_reasons(Cli *cli, struct json_object *candidates)
{
        size_t n = candidates ? json_object_array_length(candidates) : 0, shown = 0;

        for (size_t i = 0; i < n; i++) {
                struct json_object *candidate = json_object_array_get_idx(candidates, i);

                if (!cli->options.all && shown == 10) {
                        printf("  … and %zu more; --all shows them\n", n - i);
                        return;
                }
                if (!jtext(candidate, "reason")[0])
                        continue;
                shown++;
                printf("  %s%s%s: %s\n", paint_bold(&cli->style), jtext(candidate, "group"),
                       paint_off(&cli->style), jtext(candidate, "reason"));
        }
}

static void print_verdict(Cli *cli, struct json_object *placement)
{
        struct json_object *refusal = jget(placement, "refusal");
        const char *chosen = jtext(placement, "chosen"), *path = jtext(refusal, "path");

        if (chosen[0])
                printf("\n%sChosen%s: %s\n", paint_word(&cli->style, "finished"),
                       paint_off(&cli->style), chosen);
        else
                printf("\n%sRefused%s: %s%s%s\n", paint_word(&cli->style, "refused"),
                       paint_off(&cli->style), path, path[0] ? ": " : "", jtext(refusal, "cause"));
}

int place_print(Cli *cli, struct json_object *placement)
{
        struct json_object *request = jget(placement, "request");
        struct json_object *candidates = jget(placement, "candidates");
        _cleanup_(json_putp) struct json_object *rows = flatten(candidates);
        Column columns[COLUMNS_MAX];
        TermNames names;
        size_t n = choose_columns(jget(request, "weights"), columns, &names);

        if (!rows ||
            table_print(stdout, &cli->style, columns, n, rows, cli->options.all) < 0)
                return -ENOMEM;
        putchar('\n');
        print_reasons(cli, candidates);
        print_verdict(cli, placement);
        return 0;
}

int place_exit(struct json_object *placement)
{
        ch_error_kind kind = CH_ERROR_NO_ROOM;

        if (jtext(placement, "chosen")[0])
                return CTL_OK;
        (void)ch_error_kind_from_name(jtext(jget(placement, "refusal"), "kind"), &kind);
        return ch_error_kind_to_exit(kind);
}
