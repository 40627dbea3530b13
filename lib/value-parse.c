/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses what the kernel wrote into an interface file, one parser per type. */

#include "error.h"
#include "util.h"
#include "value.h"

typedef int (*ParseFunc)(const ch_attr *attr, const char *text, ch_value *value);

static int is_end(const char *p)
{
        return *p == '\0' || (*p == '\n' && p[1] == '\0');
}

/* One number, "max" where `max_allowed`; *ret_end behind it. */
static int parse_number(const char *text, int max_allowed, uint64_t *ret, const char **ret_end)
{
        if (max_allowed && strncmp(text, "max", 3) == 0) {
                *ret = CH_LIMIT_MAX;
                *ret_end = text + 3;
                return 0;
        }
        return parse_u64(text, ret, ret_end);
}

int parse_hundredths(const char *text, uint64_t *ret, const char **ret_end)
{
        uint64_t whole;
        unsigned hundredths = 0;
        const char *p;
        int r = parse_u64(text, &whole, &p);

        if (r < 0)
                return r;
        if (whole > UINT64_MAX / 100 - 1)
                return -ERANGE;
        if (*p == '.') {
                p++;
                for (unsigned scale = 10; *p >= '0' && *p <= '9'; p++, scale /= 10)
                        hundredths += (unsigned)(*p - '0') * scale;
        }
        *ret = whole * 100 + hundredths;
        *ret_end = p;
        return 0;
}

static int parse_plain(const ch_attr *attr, const char *text, ch_value *value)
{
        const char *end;
        int r = parse_number(text, attr->type == CH_ATTR_LIMIT, &value->number, &end);

        if (r < 0)
                return r;
        return is_end(end) ? 0 : -EINVAL;
}

/* cpu.uclamp.min: "12.34" or "max" */
static int parse_limit(const ch_attr *attr, const char *text, ch_value *value)
{
        const char *end;
        int r;

        if (attr->unit != CH_UNIT_PERMYRIAD || *text == 'm')
                return parse_plain(attr, text, value);
        r = parse_hundredths(text, &value->number, &end);
        if (r < 0)
                return r;
        return is_end(end) ? 0 : -EINVAL;
}

static int parse_bool(const ch_attr *attr, const char *text, ch_value *value)
{
        int r = parse_plain(attr, text, value);

        if (r < 0)
                return r;
        return value->number <= 1 ? 0 : -EINVAL;
}

static int parse_signed(const ch_attr *attr, const char *text, ch_value *value)
{
        uint64_t number;
        int negative = *text == '-';
        const char *end;
        int r = parse_u64(text + negative, &number, &end);

        if (r < 0)
                return r;
        if (number > INT64_MAX)
                return -ERANGE;
        value->snumber = negative ? -(int64_t)number : (int64_t)number;
        return is_end(end) ? 0 : -EINVAL;
}

/* Free text and words: kept as they are but for the last newline. An ENUM may carry more than the
 * row's words when read ("root invalid (…)"), so it is checked only when written. */
static int parse_text(const ch_attr *attr, const char *text, ch_value *value)
{
        size_t length = strlen(text);

        if (length > 0 && text[length - 1] == '\n')
                length--;
        value->text = strndup(text, length);
        return value->text ? 0 : -ENOMEM;
}

static int parse_list(const ch_attr *attr, const char *text, ch_value *value)
{
        for (;;) {
                size_t length;

                text += strspn(text, " \t\n");
                length = strcspn(text, " \t\n");
                if (length == 0)
                        return 0;
                if (value_add_word(value, text, length) < 0)
                        return -ENOMEM;
                text += length;
        }
}

static int parse_pair(const ch_attr *attr, const char *text, ch_value *value)
{
        const char *end;
        int r = parse_number(text, 1, &value->number, &end);

        if (r < 0)
                return r;
        if (*end != ' ')
                return -EINVAL;
        r = parse_u64(end + 1, &value->second, &end);
        if (r < 0)
                return r;
        return is_end(end) ? 0 : -EINVAL;
}

/* Some kernels (6.18) show a hugetlb limit that was never set as the largest page counter rounded
 * down to the huge page, of which the largest is 16 GiB. */
#define HUGETLB_NO_LIMIT ((uint64_t)INT64_MAX - (16ULL << 30))

static int is_keyed_limit(const ch_attr *attr)
{
        return (attr->flags & CH_ATTR_TEMPLATE) && (attr->flags & CH_ATTR_KEYEDMAX);
}

static int parse_flat_line(const ch_attr *attr, const char *line, size_t length, ch_value *value)
{
        const char *space = memrchr(line, ' ', length);
        const char *end;
        uint64_t number;
        int r;

        if (!space || space == line)
                return -EINVAL;
        r = parse_number(space + 1, (attr->flags & CH_ATTR_KEYEDMAX) != 0, &number, &end);
        if (r < 0)
                return r;
        if (end != line + length)
                return -EINVAL;
        if (is_keyed_limit(attr) && number >= HUGETLB_NO_LIMIT)
                number = CH_LIMIT_MAX;
        return value_add_entry(value, 0, line, (size_t)(space - line), number);
}

static int parse_flat(const ch_attr *attr, const char *text, ch_value *value)
{
        while (*text) {
                size_t length = strcspn(text, "\n");
                int r = length ? parse_flat_line(attr, text, length, value) : 0;

                if (r < 0)
                        return r;
                text += length + (text[length] == '\n');
        }
        return 0;
}

/* SUB=NUMBER; averages of PSI are percent with two decimals, kept in 1/10,000. Elsewhere decimals
 * (io.stat of the cost model) are cut off. */
static int parse_sub(const ch_attr *attr, const char *word, size_t length, ch_value *value)
{
        const char *equals = memchr(word, '=', length);
        size_t key_length = (size_t)(equals - word);
        const char *end;
        uint64_t number;
        int r;

        if (key_length == 0)
                return -EINVAL;
        if (attr->type == CH_ATTR_PSI && strncmp(word, "avg", 3) == 0)
                r = parse_hundredths(equals + 1, &number, &end);
        else
                r = parse_number(equals + 1, 1, &number, &end);
        if (r < 0)
                return r;
        if (*end == '.' && attr->type == CH_ATTR_NESTED)
                end += 1 + strspn(end + 1, "0123456789");
        if (end != word + length)
                return -EINVAL;
        return value_add_entry(value, value->n_nested - 1, word, key_length, number);
}

/*
 * A word without '=' opens an element, wherever it stands: some kernels print a device without
 * statistics in io.stat and no newline behind it. Pairs before any key belong to the element "".
 */
static int parse_nested(const ch_attr *attr, const char *text, ch_value *value)
{
        for (;;) {
                size_t length;
                int r = 0;

                text += strspn(text, " \t\n");
                length = strcspn(text, " \t\n");
                if (length == 0)
                        return 0;
                if (!memchr(text, '=', length))
                        r = value_add_nested(value, text, length);
                else if (value->n_nested == 0)
                        r = value_add_nested(value, "", 0);
                if (r == 0 && memchr(text, '=', length))
                        r = parse_sub(attr, text, length, value);
                if (r < 0)
                        return r;
                text += length;
        }
}

/* clang-format off */
static const ParseFunc parsers[CH_ATTR_TYPE_MAX_] = {
        [CH_ATTR_NUMBER] = parse_plain,
        [CH_ATTR_SIGNED] = parse_signed,
        [CH_ATTR_LIMIT]  = parse_limit,
        [CH_ATTR_BOOL]   = parse_bool,
        [CH_ATTR_ENUM]   = parse_text,
        [CH_ATTR_TEXT]   = parse_text,
        [CH_ATTR_LIST]   = parse_list,
        [CH_ATTR_PAIR]   = parse_pair,
        [CH_ATTR_FLAT]   = parse_flat,
        [CH_ATTR_NESTED] = parse_nested,
        [CH_ATTR_PSI]    = parse_nested,
};
/* clang-format on */

_public_ int ch_value_parse(const ch_attr *attr, const char *text, ch_value *ret, ch_error **err)
{
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
        int r = value_init(&value, attr->type);

        if (r >= 0)
                r = parsers[attr->type](attr, text, &value);
        if (r == -ENOMEM)
                return error_set(err, CH_ERROR_NO_MEMORY, ENOMEM, attr->file, "out of memory");
        if (r < 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, attr->file,
                                 "the kernel's text '%.60s' is not what Chargehand expects here",
                                 text);
        *ret = value;
        value = (ch_value)CH_VALUE_INIT;
        return 0;
}
