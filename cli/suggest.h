/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_SUGGEST_H
#define CTL_SUGGEST_H

/* "Did you mean": the nearest of some words. */

#include <stddef.h>

typedef struct Suggest {
        const char *word;       /* what was typed */
        const char *best;       /* nearest so far, NULL if none is near */
        unsigned distance;
} Suggest;

Suggest suggest_begin(const char *word);
void suggest_offer(Suggest *suggest, const char *candidate);

#endif
