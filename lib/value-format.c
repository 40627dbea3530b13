/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes typed values as the text that the kernel takes. */

#include <inttypes.h>
#include <stdio.h>

#include "util.h"
#include "value.h"

typedef void (*FormatFunc)(const ch_attr *attr, const ch_value *value, FILE *out);

static void put_number(FILE *out, uint64_t number, int max_allowed)
{
        if (max_allowed && number == CH_LIMIT_MAX)
                fputs("max", out);
        else
                fprintf(out, "%" PRIu64, number);
}

static void put_hundredths(FILE *out, uint64_t number)
{
        fprintf(out, "%" PRIu64 ".%02" PRIu64, number / 100, number % 100);
}

static void format_plain(const ch_attr *attr, const ch_value *value, FILE *out)
{
        put_number(out, value->number, 0);
}

static void format_limit(const ch_attr *attr, const ch_value *value, FILE *out)
{
        if (attr->unit == CH_UNIT_PERMYRIAD && value->number != CH_LIMIT_MAX)
                put_hundredths(out, value->number);
        else
                put_number(out, value->number, 1);
}

static void format_signed(const ch_attr *attr, const ch_value *value, FILE *out)
{
        fprintf(out, "%" PRId64, value->snumber);
}

static void format_text(const ch_attr *attr, const ch_value *value, FILE *out)
{
        fputs(value->text ? value->text : "", out);
}

static void format_list(const ch_attr *attr, const ch_value *value, FILE *out)
{
        for (size_t i = 0; i < value->n_words; i++)
                fprintf(out, "%s%s", i ? " " : "", value->words[i]);
}

static void format_pair(const ch_attr *attr, const ch_value *value, FILE *out)
{
        put_number(out, value->number, 1);
        fprintf(out, " %" PRIu64, value->second);
}

static void format_flat(const ch_attr *attr, const ch_value *value, FILE *out)
{
        const ch_nested *flat = value->n_nested ? &value->nested[0] : NULL;

        for (size_t i = 0; flat && i < flat->n_entries; i++) {
                fprintf(out, "%s%s ", i ? "\n" : "", flat->entries[i].key);
                put_number(out, flat->entries[i].value, (attr->flags & CH_ATTR_KEYEDMAX) != 0);
        }
}

static void format_nested(const ch_attr *attr, const ch_value *value, FILE *out)
{
        for (size_t i = 0; i < value->n_nested; i++) {
                const ch_nested *element = &value->nested[i];
                int has_key = element->key && *element->key;

                fprintf(out, "%s%s", i ? "\n" : "", has_key ? element->key : "");
                for (size_t j = 0; j < element->n_entries; j++) {
                        const ch_entry *entry = &element->entries[j];

                        fprintf(out, "%s%s=", j || has_key ? " " : "", entry->key);
                        if (attr->type == CH_ATTR_PSI && strncmp(entry->key, "avg", 3) == 0)
                                put_hundredths(out, entry->value);
                        else
                                put_number(out, entry->value, 1);
                }
        }
}

/* clang-format off */
static const FormatFunc formatters[CH_ATTR_TYPE_MAX_] = {
        [CH_ATTR_NUMBER] = format_plain,
        [CH_ATTR_SIGNED] = format_signed,
        [CH_ATTR_LIMIT]  = format_limit,
        [CH_ATTR_BOOL]   = format_plain,
        [CH_ATTR_ENUM]   = format_text,
        [CH_ATTR_TEXT]   = format_text,
        [CH_ATTR_LIST]   = format_list,
        [CH_ATTR_PAIR]   = format_pair,
        [CH_ATTR_FLAT]   = format_flat,
        [CH_ATTR_NESTED] = format_nested,
        [CH_ATTR_PSI]    = format_nested,
};
/* clang-format on */

_public_ int ch_value_format(const ch_attr *attr, const ch_value *value, char **ret)
{
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return -ENOMEM;
        formatters[attr->type](attr, value, out);
        if (fclose(out) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}
