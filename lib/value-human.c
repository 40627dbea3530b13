/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses what a person wrote ("512M", "50%", "yes"), and checks values against their row. */

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "error.h"
#include "units.h"
#include "util.h"
#include "value.h"

typedef int (*HumanFunc)(const ch_attr *attr, const char *text, ch_value *value);

static const char *const yes_words[] = { "1", "yes", "true", "on" };
static const char *const no_words[] = { "0", "no", "false", "off" };

static int is_max(const char *word)
{
        return strcasecmp(word, "max") == 0 || strcasecmp(word, "infinity") == 0;
}

/* A number in the unit's own words; "max" is for the callers to allow. */
static int parse_in_unit(ch_attr_unit unit, const char *word, uint64_t *ret)
{
        if (is_max(word))
                return -EINVAL;
        if (unit == CH_UNIT_BYTES)
                return ch_parse_bytes(word, ret);
        return unit == CH_UNIT_USEC ? ch_parse_usec(word, 1, ret) : parse_u64(word, ret, NULL);
}

/* "12.5%" → 1250 */
static int parse_percent(const char *word, uint64_t *ret)
{
        const char *end;
        int r = parse_hundredths(word, ret, &end);

        if (r < 0)
                return r;
        return streq(end, "%") ? 0 : -EINVAL;
}

static int human_number(const ch_attr *attr, const char *word, ch_value *value)
{
        if (attr->type == CH_ATTR_LIMIT && is_max(word)) {
                value->number = CH_LIMIT_MAX;
                return 0;
        }
        if (attr->unit == CH_UNIT_PERMYRIAD && strchr(word, '%'))
                return parse_percent(word, &value->number);
        if (attr->unit == CH_UNIT_PERMYRIAD) {
                const char *end;
                int r = parse_hundredths(word, &value->number, &end);

                return r < 0 ? r : *end ? -EINVAL : 0;
        }
        return parse_in_unit(attr->unit, word, &value->number);
}

static int human_bool(const ch_attr *attr, const char *word, ch_value *value)
{
        for (size_t i = 0; i < ELEMENTSOF(yes_words); i++) {
                if (strcasecmp(word, yes_words[i]) == 0) {
                        value->number = 1;
                        return 0;
                }
                if (strcasecmp(word, no_words[i]) == 0)
                        return 0;
        }
        return -EINVAL;
}

static int human_list(const ch_attr *attr, const char *text, ch_value *value)
{
        for (;;) {
                size_t length;

                text += strspn(text, " \t\n,");
                length = strcspn(text, " \t\n,");
                if (length == 0)
                        return 0;
                if (value_add_word(value, text, length) < 0)
                        return -ENOMEM;
                text += length;
        }
}

/* cpu.max: "50%" of one CPU, "max", or QUOTA, each with a period behind it or the kernel's first
 * one. */
static int human_pair(const ch_attr *attr, const char *text, ch_value *value)
{
        _cleanup_(freep) char *copy = strdup(text);
        char *quota, *period, *rest = NULL;
        int r;

        if (!copy)
                return -ENOMEM;
        quota = strtok_r(copy, " \t", &rest);
        period = strtok_r(NULL, " \t", &rest);
        if (!quota || strtok_r(NULL, " \t", &rest))
                return -EINVAL;
        value->second = CPU_PERIOD_DEFAULT_USEC;
        if (period) {
                r = parse_in_unit(CH_UNIT_USEC, period, &value->second);
                if (r < 0)
                        return r;
        }
        if (is_max(quota)) {
                value->number = CH_LIMIT_MAX;
                return 0;
        }
        if (!strchr(quota, '%'))
                return parse_in_unit(CH_UNIT_USEC, quota, &value->number);
        r = parse_percent(quota, &value->number);
        if (r < 0)
                return r;
        if (value->second > CPU_PERIOD_MAX_USEC || value->number > UINT64_MAX / CPU_PERIOD_MAX_USEC)
                return -ERANGE;
        value->number = value->number * value->second / 10000;
        return 0;
}

static int human_keyed_number(const ch_attr *attr, const char *key, const char *word, uint64_t *ret)
{
        size_t length = strlen(key);

        if (is_max(word)) {
                *ret = CH_LIMIT_MAX;
                return 0;
        }
        /* io.max mixes bytes per second with requests per second */
        if (length >= 4 && streq(key + length - 4, "iops"))
                return parse_in_unit(CH_UNIT_COUNT, word, ret);
        return parse_in_unit(attr->unit, word, ret);
}

static int human_entry(const ch_attr *attr, size_t index, const char *key, const char *word,
                       ch_value *value)
{
        uint64_t number;
        int r = human_keyed_number(attr, key, word, &number);

        return r < 0 ? r : value_add_entry(value, index, key, strlen(key), number);
}

/* "KEY VALUE KEY VALUE…"; one VALUE alone is that of "default" where the file has such a key
 * (weights). */
static int human_flat(const ch_attr *attr, const char *text, ch_value *value)
{
        _cleanup_(freep) char *copy = strdup(text);
        char *rest = NULL, *key;

        if (!copy)
                return -ENOMEM;
        key = strtok_r(copy, " \t\n,", &rest);
        if (!key)
                return -EINVAL;
        while (key) {
                char *word = strtok_r(NULL, " \t\n,", &rest);
                int r;

                if (!word && (value->nested[0].n_entries > 0 || attr->unit != CH_UNIT_WEIGHT))
                        return -EINVAL;
                r = word ? human_entry(attr, 0, key, word, value)
                         : human_entry(attr, 0, "default", key, value);
                if (r < 0)
                        return r;
                key = word ? strtok_r(NULL, " \t\n,", &rest) : NULL;
        }
        return 0;
}

/* "8:0 rbps=1M wbps=max 8:16 …" */
static int human_nested(const ch_attr *attr, const char *text, ch_value *value)
{
        _cleanup_(freep) char *copy = strdup(text);
        char *rest = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *word = strtok_r(copy, " \t\n,", &rest); word;
             word = strtok_r(NULL, " \t\n,", &rest)) {
                char *equals = strchr(word, '=');
                int r;

                if (!equals) {
                        r = value_add_nested(value, word, strlen(word));
                } else if (equals == word || value->n_nested == 0) {
                        r = -EINVAL;
                } else {
                        *equals = '\0';
                        r = human_entry(attr, value->n_nested - 1, word, equals + 1, value);
                }
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < value->n_nested; i++)
                if (value->nested[i].n_entries == 0)
                        return -EINVAL;
        return value->n_nested ? 0 : -EINVAL;
}

static int human_as_kernel(const ch_attr *attr, const char *text, ch_value *value)
{
        ch_value_done(value);
        return ch_value_parse(attr, text, value, NULL);
}

/* clang-format off */
static const HumanFunc humans[CH_ATTR_TYPE_MAX_] = {
        [CH_ATTR_NUMBER] = human_number,
        [CH_ATTR_SIGNED] = human_as_kernel,
        [CH_ATTR_LIMIT]  = human_number,
        [CH_ATTR_BOOL]   = human_bool,
        [CH_ATTR_ENUM]   = human_as_kernel,
        [CH_ATTR_TEXT]   = human_as_kernel,
        [CH_ATTR_LIST]   = human_list,
        [CH_ATTR_PAIR]   = human_pair,
        [CH_ATTR_FLAT]   = human_flat,
        [CH_ATTR_NESTED] = human_nested,
        [CH_ATTR_PSI]    = human_as_kernel,
};
/* clang-format on */

_public_ int ch_value_parse_human(const ch_attr *attr, const char *text, ch_value *ret,
                                  ch_error **err)
{
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
        char want[160];
        int r;

        r = value_check_writable(attr, err);
        if (r < 0)
                return r;
        r = value_init(&value, attr->type);
        if (r >= 0)
                r = humans[attr->type](attr, text, &value);
        if (r == -ENOMEM)
                return error_set(err, CH_ERROR_NO_MEMORY, ENOMEM, attr->file, "out of memory");
        if (r < 0) {
                value_describe(attr, want, sizeof(want));
                return error_set(err, CH_ERROR_BAD_VALUE, -r, attr->file,
                                 "%s cannot be '%.80s': give %s", attr->name, text, want);
        }
        value.type = attr->type;
        r = ch_value_check(attr, &value, err);
        if (r < 0)
                return r;
        *ret = value;
        value = (ch_value)CH_VALUE_INIT;
        return 0;
}
