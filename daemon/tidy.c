/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waits until enough groups have gone to make it worth the while. */

#include <malloc.h>

#include "tidy.h"
#include "util.h"

/* Some 600 bytes a group: below that it is nothing to speak of. */
#define GONE_MIN 64
/* Many go at once, and the last of them matter too. */
#define WAIT_USEC 50000

struct Tidy {
        sd_event_source *timer;
        size_t n_gone;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Tidy *tidy = userdata;

        tidy->n_gone = 0;
        (void)malloc_trim(0);
        return 0;
}

int tidy_new(sd_event *event, Tidy **ret)
{
        Tidy *tidy = calloc(1, sizeof(*tidy));
        int r;

        if (!tidy)
                return -ENOMEM;
        r = sd_event_add_time(event, &tidy->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer, tidy);
        if (r >= 0)
                r = sd_event_source_set_enabled(tidy->timer, SD_EVENT_OFF);
        if (r < 0) {
                tidy_free(tidy);
                return r;
        }
        *ret = tidy;
        return 0;
}

Tidy *tidy_free(Tidy *tidy)
{
        if (!tidy)
                return NULL;
        sd_event_source_unref(tidy->timer);
        free(tidy);
        return NULL;
}

void tidy_count(Tidy *tidy)
{
        if (!tidy || ++tidy->n_gone != GONE_MIN)
                return;
        (void)sd_event_source_set_time_relative(tidy->timer, WAIT_USEC);
        (void)sd_event_source_set_enabled(tidy->timer, SD_EVENT_ONESHOT);
}
