/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nearest of some words, by edit distance; a prefix counts as near. */

#include <string.h>

#include "suggest.h"

enum { MAX_LENGTH = 32 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned m = a < b ? a : b;

        return m < c ? m : c;
}

static unsigned edit_distance(const char *a, const char *b)
{
        unsigned row[MAX_LENGTH + 1];
        size_t la = strlen(a), lb = strlen(b);

        if (la > MAX_LENGTH || lb > MAX_LENGTH)
                return MAX_LENGTH;
        for (size_t j = 0; j <= lb; j++)
                row[j] = (unsigned)j;
        for (size_t i = 1; i <= la; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= lb; j++) {
                        unsigned above = row[j];

                        row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
                        diagonal = above;
                }
        }
        return row[lb];
}

Suggest suggest_begin(const char *word)
{
        return (Suggest){ .word = word, .distance = (unsigned)strlen(word) / 3 + 2 };
}

void suggest_offer(Suggest *suggest, const char *candidate)
{
        unsigned distance = edit_distance(suggest->word, candidate);
        size_t length = strlen(suggest->word);

        if (length >= 2 && strncmp(suggest->word, candidate, length) == 0)
                distance = 1;
        if (distance < suggest->distance) {
                suggest->distance = distance;
                suggest->best = candidate;
        }
}
