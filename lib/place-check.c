/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people write about a placement: candidates, weights, nodes. Pure. */

#include <stdio.h>

#include "error.h"
#include "place.h"
#include "util.h"

enum {
        WEIGHT_MAX = 10000,
};

/* Byte order, but '/' before everything else, so that a group's descendants follow it at once. */
static int compare_paths(const void *a, const void *b)
{
        const unsigned char *x = *(const unsigned char *const *)a;
        const unsigned char *y = *(const unsigned char *const *)b;

        for (; *x && *x == *y; x++, y++)
                ;
        if (*x == *y)
                return 0;
        if (*x == '\0' || *y == '\0')
                return *x == '\0' ? -1 : 1;
        if (*x == '/' || *y == '/')
                return *x == '/' ? -1 : 1;
        return *x < *y ? -1 : 1;
}

static int check_neighbours(const char *above, const char *below, ch_error **err)
{
        if (streq(above, below))
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, above,
                                 "'%s' is a candidate twice ('%s'); name each group once", above,
                                 below);
        if (ch_path_is_below(below, above))
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, below,
                                 "candidate '%s' is below candidate '%s': whatever is charged to "
                                 "the one counts for the other; name groups that are beside each "
                                 "other",
                                 below, above);
        return 0;
}

static int check_each(const char *const *groups, size_t n, ch_error **err)
{
        for (size_t i = 0; i < n; i++) {
                int r;

                if (!groups[i])
                        return error_set(err, CH_ERROR_BAD_PATH, EINVAL, NULL,
                                         "candidate %zu has no name", i + 1);
                r = ch_path_check(groups[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

_public_ int ch_place_check_candidates(const char *const *groups, size_t n, ch_error **err)
{
        _cleanup_(freep) const char **sorted = NULL;
        int r;

        if (n == 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "there is no candidate; name groups, or a pool that has some");
        r = check_each(groups, n, err);
        if (r < 0)
                return r;
        sorted = reallocarray(NULL, n, sizeof(*sorted));
        if (!sorted)
                return error_errno(err, ENOMEM, NULL, "comparing candidates");
        memcpy(sorted, groups, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), compare_paths);
        for (size_t i = 1; i < n; i++) {
                r = check_neighbours(sorted[i - 1], sorted[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int bad_weight(const char *word, size_t length, const char *why, ch_error **err)
{
        char shown[64];

        (void)snprintf(shown, sizeof(shown), "%.*s", (int)min_u64(length, 60), word);
        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                         "'%s': %s; weights are written as \"headroom:3 sharing:10\"", shown, why);
}

static int find_term(const char *word, size_t length)
{
        for (int i = 0; i < CH_PLACE_TERM_MAX_; i++) {
                const char *known = ch_place_term_to_string((ch_place_term)i);

                if (strlen(known) == length && strncmp(known, word, length) == 0)
                        return i;
        }
        return -ENOENT;
}

static int parse_weight(const char *word, size_t length, uint64_t seen, ch_place_weights *ret,
                        ch_error **err)
{
        size_t name = strcspn(word, ":");
        const char *end;
        uint64_t value;
        int term;

        if (name >= length)
                return bad_weight(word, length, "there is no ':' and weight behind it", err);
        term = find_term(word, name);
        if (term < 0)
                return bad_weight(word, length,
                                  "no term of that name (headroom, fullness, charges, sharing, "
                                  "pressure, cpu, nodes)",
                                  err);
        if (seen & UINT64_C(1) << term)
                return bad_weight(word, length, "the term has a weight already", err);
        if (parse_u64(word + name + 1, &value, &end) < 0 || end != word + length)
                return bad_weight(word, length, "the weight is not a number", err);
        if (value > WEIGHT_MAX)
                return bad_weight(word, length, "the weight is over 10000", err);
        ret->weight[term] = (uint32_t)value;
        return term;
}

_public_ int ch_place_weights_parse(const char *text, ch_place_weights *ret, ch_error **err)
{
        static const char separators[] = " \t\n,";
        ch_place_weights weights = { 0 };
        uint64_t seen = 0, sum = 0;

        for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
                size_t length = strcspn(p, separators);
                int term = parse_weight(p, length, seen, &weights, err);

                if (term < 0)
                        return term;
                seen |= UINT64_C(1) << term;
                sum += weights.weight[term];
                p += length;
        }
        if (seen && sum == 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "'%.60s': all weights are 0, so nothing would count; leave them "
                                 "out to have those of the policy",
                                 text);
        *ret = weights;
        return 0;
}

static uint64_t bits_between(unsigned first, unsigned last)
{
        uint64_t up_to = last == 63 ? UINT64_MAX : (UINT64_C(1) << (last + 1)) - 1;

        return up_to & ~((UINT64_C(1) << first) - 1);
}

_public_ int ch_place_nodes_parse(const char *text, uint64_t *ret)
{
        uint64_t nodes = 0;
        const char *p = text;

        while (*p && *p != '\n') {
                uint64_t first, last;
                int r = parse_u64(p, &first, &p);

                last = first;
                if (r >= 0 && *p == '-')
                        r = parse_u64(p + 1, &last, &p);
                if (r < 0)
                        return r;
                if (first > last || (*p && *p != ',' && *p != '\n') || (*p == ',' && !p[1]))
                        return -EINVAL;
                if (last >= CH_PLACE_NODES)
                        return -ERANGE;
                nodes |= bits_between((unsigned)first, (unsigned)last);
                p += *p == ',';
        }
        if (*p && p[1])
                return -EINVAL;
        *ret = nodes;
        return 0;
}

_public_ const char *ch_place_nodes_format(uint64_t nodes, char buffer[CH_PLACE_NODES_FORMAT_MAX])
{
        size_t length = 0;

        buffer[0] = '\0';
        for (unsigned i = 0; i < CH_PLACE_NODES; i++) {
                unsigned last = i;

                if (!(nodes >> i & 1))
                        continue;
                while (last + 1 < CH_PLACE_NODES && (nodes >> (last + 1) & 1))
                        last++;
                length +=
                        (size_t)snprintf(buffer + length, CH_PLACE_NODES_FORMAT_MAX - length,
                                         last > i ? "%s%u-%u" : "%s%u", length ? "," : "", i, last);
                i = last;
        }
        return buffer;
}
