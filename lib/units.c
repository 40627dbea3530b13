/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and times as people write and read them, without floating point on the way in. */

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "units.h"
#include "util.h"

enum { FRACTION_MAX = 1000000 }; /* digits behind the point beyond this change nothing that counts */

/* Longer words first where one begins another. */
static const UnitSuffix byte_suffixes[] = {
        { "KiB", UINT64_C(1) << 10 }, { "MiB", UINT64_C(1) << 20 }, { "GiB", UINT64_C(1) << 30 },
        { "TiB", UINT64_C(1) << 40 }, { "PiB", UINT64_C(1) << 50 }, { "K", UINT64_C(1) << 10 },
        { "M", UINT64_C(1) << 20 },   { "G", UINT64_C(1) << 30 },   { "T", UINT64_C(1) << 40 },
        { "P", UINT64_C(1) << 50 },   { "B", 1 },                   { NULL, 0 },
};
static const UnitSuffix usec_suffixes[] = {
        { "us", 1 },       { "µs", 1 },        { "ms", 1000 },           { "min", 60000000 },
        { "m", 60000000 }, { "sec", 1000000 }, { "s", 1000000 },         { "h", UINT64_C(3600000000) },
        { NULL, 0 },
};

static const UnitSuffix percent_suffixes[] = { { "%", 100 }, { NULL, 0 } };

static int is_max(const char *text)
{
        return strcasecmp(text, "max") == 0 || strcasecmp(text, "infinity") == 0;
}

/* The word ends where letters do: "5mx" is not five minutes. */
static const UnitSuffix *find_suffix(const UnitSuffix *suffixes, const char *p)
{
        for (; suffixes->word; suffixes++) {
                size_t length = strlen(suffixes->word);

                if (strncasecmp(p, suffixes->word, length) == 0 && strchr(" \t", p[length]))
                        return suffixes;
        }
        return NULL;
}

static int parse_fraction(const char **p, uint64_t *ret_fraction, uint64_t *ret_scale)
{
        uint64_t fraction = 0, scale = 1;

        if (**p == '.') {
                (*p)++;
                if (**p < '0' || **p > '9')
                        return -EINVAL;
                for (; **p >= '0' && **p <= '9'; (*p)++)
                        if (scale < FRACTION_MAX) {
                                fraction = fraction * 10 + (unsigned)(**p - '0');
                                scale *= 10;
                        }
        }
        *ret_fraction = fraction;
        *ret_scale = scale;
        return 0;
}

static int parse_one(const char **text, const UnitSuffix *suffixes, uint64_t plain, uint64_t *ret)
{
        uint64_t whole, fraction, scale, factor = plain, value;
        const UnitSuffix *suffix;
        const char *p;
        int r = parse_u64(*text, &whole, &p);

        if (r >= 0)
                r = parse_fraction(&p, &fraction, &scale);
        if (r < 0)
                return r;
        suffix = find_suffix(suffixes, p);
        if (suffix) {
                factor = suffix->factor;
                p += strlen(suffix->word);
        } else if (!strchr(" \t", *p)) {
                return -EINVAL;
        }
        if (scale > 1 && factor == 1)
                return -EINVAL; /* 1.5 bytes */
        /* factor <= 2^50, scale <= 10^6: in two parts the fraction cannot overflow */
        fraction = factor / scale * fraction + factor % scale * fraction / scale;
        if (__builtin_mul_overflow(whole, factor, &value) || __builtin_add_overflow(value, fraction, &value) ||
            value == UINT64_MAX)
                return -ERANGE;
        *text = p + strspn(p, " \t");
        *ret = value;
        return 0;
}

_public_ int ch_parse_bytes(const char *text, uint64_t *ret)
{
        uint64_t value;
        int r;

        if (is_max(text)) {
                *ret = UINT64_MAX;
                return 0;
        }
        r = parse_one(&text, byte_suffixes, 1, &value);
        if (r < 0)
                return r;
        if (*text)
                return -EINVAL;
        *ret = value;
        return 0;
}

_public_ int ch_parse_usec(const char *text, uint64_t plain_usec, uint64_t *ret)
{
        uint64_t sum = 0, value;

        if (is_max(text)) {
                *ret = UINT64_MAX;
                return 0;
        }
        do {
                int r = parse_one(&text, usec_suffixes, plain_usec, &value);

                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, value, &sum))
                        return -ERANGE;
        } while (*text);
        *ret = sum;
        return 0;
}

_public_ int ch_parse_permyriad(const char *text, uint64_t *ret)
{
        uint64_t value;
        int r = parse_one(&text, percent_suffixes, 100, &value);

        if (r < 0)
                return r;
        if (*text)
                return -EINVAL;
        *ret = value;
        return 0;
}

_public_ const char *ch_format_bytes(uint64_t bytes, char buffer[CH_FORMAT_MAX])
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double size = (double)bytes;
        size_t unit = 0;

        /* 1023.95 would print as 1024.0 */
        while (size >= (unit ? 1023.95 : 1024.0) && unit + 1 < ELEMENTSOF(units)) {
                size /= 1024;
                unit++;
        }
        if (bytes == UINT64_MAX)
                (void)snprintf(buffer, CH_FORMAT_MAX, "max");
        else if (unit)
                (void)snprintf(buffer, CH_FORMAT_MAX, "%.1f %s", size, units[unit]);
        else
                (void)snprintf(buffer, CH_FORMAT_MAX, "%" PRIu64 " B", bytes);
        return buffer;
}
