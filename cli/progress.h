/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

/* Progress of a long job: a bar on a terminal, one plain line for each step otherwise. On stderr,
 * so that stdout is the result. */

#include <stdint.h>
#include <stdio.h>

#include "table.h"

typedef struct Progress {
        FILE *f;
        Style style;            /* of stderr */
        int quiet;
        int drawn;              /* a bar is on the screen */
        uint64_t begin_usec;
        char step[32];          /* the last one told */
} Progress;

void progress_init(Progress *progress, const Style *style, int quiet);
void progress_update(Progress *progress, const char *step, uint64_t done, uint64_t total);
/* Wipe the bar. */
void progress_end(Progress *progress);
/* The bar itself, without colours: "charges  ██████░░░░  61%  180.0 MiB of 295.0 MiB"; for the
 * test. */
void progress_draw(FILE *f, const Style *style, const char *step, uint64_t done, uint64_t total,
                   uint64_t elapsed_usec);

#endif
