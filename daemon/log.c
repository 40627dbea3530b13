/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes log lines to the journal or to stderr. */

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-journal.h>

#include "log.h"
#include "util.h"

static int max_level = LOG_INFO;

void log_set_max_level(int level)
{
        max_level = level;
}

/* systemd sets JOURNAL_STREAM where stderr is a journal stream */
static int have_journal(void)
{
        return getenv("JOURNAL_STREAM") != NULL;
}

void log_at(int level, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list args;

        if (level > max_level)
                return;
        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        if (!text)
                return;
        if (have_journal() && sd_journal_print(level, "%s", text) >= 0)
                return;
        fprintf(stderr, "chargehandd: %s\n", text);
}

int log_failure(int level, const char *what, const ch_error *error)
{
        const char *path = ch_error_get_path(error), *cause = ch_error_get_cause(error);
        const char *kind = ch_error_kind_to_name(ch_error_get_kind(error));

        if (level > max_level)
                return -ch_error_get_errno(error);
        if (!have_journal() || sd_journal_send("MESSAGE=%s: %s%s%s", what, path, *path ? ": " : "",
                                               cause, "PRIORITY=%i", level, "CHARGEHAND_GROUP=%s",
                                               path, "CHARGEHAND_ERROR=%s", kind, NULL) < 0)
                fprintf(stderr, "chargehandd: %s: %s%s%s\n", what, path, *path ? ": " : "", cause);
        return -ch_error_get_errno(error);
}
