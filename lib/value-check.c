/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks values against the range, words and access of their row, and says what a row takes. */

#include <inttypes.h>
#include <stdio.h>

#include "error.h"
#include "util.h"
#include "value.h"

static const char *unit_form(ch_attr_unit unit)
{
        switch (unit) {
        case CH_UNIT_BYTES:
                return "a size in bytes, or with K, M, G or T (powers of 1024)";
        case CH_UNIT_USEC:
                return "a time in µs, or with us, ms or s";
        case CH_UNIT_PERMYRIAD:
                return "a percentage from 0 to 100 such as 12.5";
        default:
                return NULL;
        }
}

/* "member, root or isolated" out of "member|root|isolated" */
static void describe_words(const char *values, char *buffer, size_t size)
{
        size_t used = (size_t)snprintf(buffer, size, "one of ");

        for (const char *p = values; *p && used + 2 < size; p++) {
                if (*p == '|')
                        buffer[used++] = ',';
                buffer[used++] = *p == '|' ? ' ' : *p;
        }
        buffer[used] = '\0';
}

static void describe_number(const ch_attr *attr, char *buffer, size_t size)
{
        const char *form = unit_form(attr->unit);
        const char *or_max = attr->type == CH_ATTR_LIMIT ? ", or max" : "";

        if (form)
                snprintf(buffer, size, "%s%s", form, or_max);
        else if (attr->max == UINT64_MAX)
                snprintf(buffer, size, "a whole number%s", or_max);
        else
                snprintf(buffer, size, "a whole number from %" PRId64 " to %" PRIu64 "%s",
                         attr->min, attr->max, or_max);
}

static void describe_flat(const ch_attr *attr, char *buffer, size_t size)
{
        if (attr->unit == CH_UNIT_WEIGHT)
                snprintf(buffer, size,
                         "a weight from %" PRId64 " to %" PRIu64
                         ", or MAJOR:MINOR WEIGHT for a device",
                         attr->min, attr->max);
        else
                snprintf(buffer, size, "KEY VALUE, the value a number or max");
}

void value_describe(const ch_attr *attr, char *buffer, size_t size)
{
        switch (attr->type) {
        case CH_ATTR_BOOL:
                snprintf(buffer, size, "%s",
                         attr->min == 1 ? "1 or yes" : "yes or no, on or off, 1 or 0");
                break;
        case CH_ATTR_ENUM:
                describe_words(attr->values, buffer, size);
                break;
        case CH_ATTR_LIST:
                snprintf(buffer, size, "words separated by spaces");
                break;
        case CH_ATTR_TEXT:
                snprintf(buffer, size,
                         streq(attr->controller, "cpuset")
                                 ? "a list of what this machine has, such as 0-3,8"
                                 : "one line of text");
                break;
        case CH_ATTR_PAIR:
                snprintf(buffer, size,
                         "a percentage of one CPU such as 50%%, or QUOTA PERIOD in µs, quota from "
                         "1ms or max, period 1ms to 1s");
                break;
        case CH_ATTR_FLAT:
                describe_flat(attr, buffer, size);
                break;
        case CH_ATTR_NESTED:
        case CH_ATTR_PSI:
                snprintf(buffer, size, "KEY SUB=VALUE…, such as 8:0 rbps=1M wbps=max");
                break;
        default:
                describe_number(attr, buffer, size);
        }
}

int value_check_writable(const ch_attr *attr, ch_error **err)
{
        if (attr->access != CH_ACCESS_R)
                return 0;
        return error_set(err, CH_ERROR_READ_ONLY, 0, attr->file,
                         "%s can only be read: the kernel computes it", attr->name);
}

static int out_of_range(const ch_attr *attr, const ch_value *value, ch_error **err)
{
        _cleanup_(freep) char *text = NULL;
        char want[160];

        value_describe(attr, want, sizeof(want));
        if (ch_value_format(attr, value, &text) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, attr->file, "out of memory");
        return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, attr->file,
                         "%s cannot be '%.80s': give %s", attr->name, text, want);
}

static int number_in_range(const ch_attr *attr, uint64_t number)
{
        return (attr->min <= 0 || number >= (uint64_t)attr->min) && number <= attr->max;
}

static int word_is_listed(const char *values, const char *word)
{
        size_t length = strlen(word);

        for (const char *p = values; *p; p += strcspn(p, "|"), p += *p == '|')
                if (strcspn(p, "|") == length && strncmp(p, word, length) == 0)
                        return 1;
        return 0;
}

/* Text goes to the kernel in one write: a second line would be a second meaning. */
static int text_is_plain(const char *text)
{
        for (const char *p = text ? text : ""; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return 0;
        return 1;
}

static int key_is_plain(const char *key)
{
        return key && *key && text_is_plain(key) && !strchr(key, ' ');
}

static int words_are_plain(const ch_value *value)
{
        for (size_t i = 0; i < value->n_words; i++)
                if (!key_is_plain(value->words[i]))
                        return 0;
        return 1;
}

static int flat_in_range(const ch_attr *attr, const ch_value *value)
{
        if (value->n_nested != 1)
                return 0;
        for (size_t i = 0; i < value->nested[0].n_entries; i++) {
                const ch_entry *entry = &value->nested[0].entries[i];
                int is_max = entry->value == CH_LIMIT_MAX && (attr->flags & CH_ATTR_KEYEDMAX);

                if (!key_is_plain(entry->key) || (!is_max && !number_in_range(attr, entry->value)))
                        return 0;
                if (entry->value == CH_LIMIT_MAX && !is_max)
                        return 0;
                /* the key becomes part of a file name */
                if ((attr->flags & CH_ATTR_TEMPLATE) && strpbrk(entry->key, "/."))
                        return 0;
        }
        return 1;
}

static int nested_in_range(const ch_value *value)
{
        for (size_t i = 0; i < value->n_nested; i++) {
                if (!key_is_plain(value->nested[i].key))
                        return 0;
                for (size_t j = 0; j < value->nested[i].n_entries; j++)
                        if (!key_is_plain(value->nested[i].entries[j].key) ||
                            strchr(value->nested[i].entries[j].key, '='))
                                return 0;
        }
        return 1;
}

static int in_range(const ch_attr *attr, const ch_value *value)
{
        switch (attr->type) {
        case CH_ATTR_NUMBER:
                return value->number != UINT64_MAX && number_in_range(attr, value->number);
        case CH_ATTR_LIMIT:
                return value->number == CH_LIMIT_MAX || number_in_range(attr, value->number);
        case CH_ATTR_BOOL:
                return value->number <= 1 && number_in_range(attr, value->number);
        case CH_ATTR_SIGNED:
                return value->snumber >= attr->min &&
                       value->snumber <= (int64_t)min_u64(attr->max, INT64_MAX);
        case CH_ATTR_PAIR:
                return (value->number == CH_LIMIT_MAX || number_in_range(attr, value->number)) &&
                       value->second >= CPU_PERIOD_MIN_USEC && value->second <= CPU_PERIOD_MAX_USEC;
        case CH_ATTR_ENUM:
                return value->text && word_is_listed(attr->values, value->text);
        case CH_ATTR_TEXT:
                return text_is_plain(value->text);
        case CH_ATTR_LIST:
                return words_are_plain(value);
        case CH_ATTR_FLAT:
                return flat_in_range(attr, value);
        default:
                return nested_in_range(value);
        }
}

_public_ int ch_value_check(const ch_attr *attr, const ch_value *value, ch_error **err)
{
        int r = value_check_writable(attr, err);

        if (r < 0)
                return r;
        if (value->type != attr->type)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, attr->file,
                                 "%s is of another type: give %s", attr->name,
                                 ch_attr_type_signature(attr->type));
        return in_range(attr, value) ? 0 : out_of_range(attr, value, err);
}
