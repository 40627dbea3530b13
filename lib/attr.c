/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attribute table, made from attr.def, and its look-ups. */

#include <ctype.h>
#include <string.h>

#include <chargehand/attr.h>

#include "util.h"

/* A row's own members come after the defaults and win: that is the point. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

static const ch_attr rows[] = {
#define ATTR(row_id, row_file, row_name, row_controller, row_type, row_unit, row_access, row_since, row_doc, ...) \
        {                                                                                          \
                .id = #row_id,                                                                     \
                .file = row_file,                                                                  \
                .name = row_name,                                                                  \
                .controller = #row_controller,                                                     \
                .type = CH_ATTR_##row_type,                                                        \
                .unit = CH_UNIT_##row_unit,                                                        \
                .access = CH_ACCESS_##row_access,                                                  \
                .since = row_since,                                                                \
                .doc = row_doc,                                                                    \
                .max = UINT64_MAX,                                                                 \
                __VA_ARGS__                                                                        \
        },
#include "attr.def"
#undef ATTR
};

static const char *const signatures[] = {
#define ROW(id, signature, doc) [CH_ATTR_##id] = signature,
        CH_ATTR_TYPES(ROW)
#undef ROW
};

/* Longest name that is compared; anything longer is no misspelling of ours. */
enum { NAME_MAX_LEN = 63 };

/* Edit distance, case ignored: insert, delete, replace cost 1 each. Both texts within NAME_MAX_LEN. */
static unsigned edit_distance(const char *a, const char *b)
{
        unsigned row[NAME_MAX_LEN + 1];
        size_t n = strlen(b);

        for (size_t j = 0; j <= n; j++)
                row[j] = (unsigned)j;
        for (size_t i = 0; a[i]; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned)i + 1;
                for (size_t j = 0; j < n; j++) {
                        unsigned same = tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);
                        unsigned best = diagonal + !same;

                        diagonal = row[j + 1];
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (diagonal + 1 < best)
                                best = diagonal + 1;
                        row[j + 1] = best;
                }
        }
        return row[n];
}

_public_ size_t ch_attr_count(void)
{
        return ELEMENTSOF(rows);
}

_public_ const ch_attr *ch_attr_get(size_t index)
{
        return index < ELEMENTSOF(rows) ? &rows[index] : NULL;
}

_public_ const ch_attr *ch_attr_find(const char *name_or_file)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (streq(rows[i].name, name_or_file) || streq(rows[i].file, name_or_file))
                        return &rows[i];
        return NULL;
}

_public_ const char *ch_attr_suggest(const char *name)
{
        int is_file = strchr(name, '.') != NULL;
        size_t length = strlen(name);
        const char *best = NULL;
        unsigned limit;

        if (length == 0 || length > NAME_MAX_LEN)
                return NULL;
        limit = length < 6 ? 1 : (unsigned)(length / 4);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *candidate = is_file ? rows[i].file : rows[i].name;
                unsigned distance = edit_distance(name, candidate);

                if (distance > limit || (best && distance == limit))
                        continue;
                limit = distance;
                best = candidate;
        }
        return best;
}

_public_ const char *ch_attr_type_signature(ch_attr_type type)
{
        return (unsigned)type < ELEMENTSOF(signatures) ? signatures[type] : "s";
}
