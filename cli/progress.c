/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A progress bar, or plain lines where there is no terminal. */

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "progress.h"

enum { BAR_WIDTH = 24 };

static uint64_t now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void progress_init(Progress *progress, const Style *style, int quiet)
{
        const char *term = getenv("TERM");

        *progress = (Progress){
                .f = stderr, .style = *style, .quiet = quiet, .begin_usec = now_usec()
        };
        progress->style.columns =
                isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 ? 80 : 0;
}

void progress_draw(FILE *f, const Style *style, const char *step, uint64_t done, uint64_t total,
                   uint64_t elapsed_usec)
{
        _cleanup_(freep) char *done_text = format_bytes(style, done < total ? done : total);
        _cleanup_(freep) char *total_text = format_bytes(style, total);
        int percent =
                total ? (int)((double)(done < total ? done : total) * 100 / (double)total) : 0;
        int filled = percent * BAR_WIDTH / 100;

        fprintf(f, "%-10s ", step);
        if (total) {
                for (int i = 0; i < BAR_WIDTH; i++)
                        fputs(i < filled ? (style->utf8 ? "█" : "#") : (style->utf8 ? "░" : "."),
                              f);
                fprintf(f, " %3d%%  %s of %s", percent, done_text, total_text);
        }
        if (elapsed_usec >= 1000000)
                fprintf(f, "  %" PRIu64 " s", elapsed_usec / 1000000);
}

void progress_update(Progress *progress, const char *step, uint64_t done, uint64_t total)
{
        int is_new = strncmp(progress->step, step, sizeof(progress->step) - 1) != 0;

        if (progress->quiet || !step[0])
                return;
        snprintf(progress->step, sizeof(progress->step), "%s", step);
        if (progress->style.columns == 0) {
                if (is_new)
                        fprintf(progress->f, "%s…\n", step);
                return;
        }
        fputs("\r\x1b[K", progress->f);
        progress_draw(progress->f, &progress->style, step, done, total,
                      now_usec() - progress->begin_usec);
        fflush(progress->f);
        progress->drawn = 1;
}

void progress_end(Progress *progress)
{
        if (progress->drawn)
                fputs("\r\x1b[K", progress->f);
        fflush(progress->f);
        progress->drawn = 0;
}
