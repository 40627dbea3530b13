/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_LOG_H
#define CHD_LOG_H

/* The daemon's log: the journal where stderr leads there, else lines on stderr. One line per event,
 * where it happens. */

#include <syslog.h>

#include <chargehand/error.h>

void log_set_max_level(int level); /* LOG_ERR … LOG_DEBUG */
void log_at(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "WHAT: PATH: CAUSE", with GROUP= and KIND= as journal fields. Returns -errno of the error. */
int log_failure(int level, const char *what, const ch_error *error);

#define log_error(...)   log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_DEBUG, __VA_ARGS__)

#endif
