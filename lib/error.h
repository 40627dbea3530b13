/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_ERROR_H
#define CH_LIB_ERROR_H

/* How the library fills a ch_error. The public face is include/chargehand/error.h. */

#include <chargehand/error.h>

/*
 * Fill *err (if err is not NULL and *err is NULL) and return -errnum (errnum > 0; 0 takes the kind's own errno):
 *     return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, path, "…", …);
 * `path` may be NULL. Sentences start in lower case, name the value in '…', end without a full stop.
 */
int error_set(ch_error **err, ch_error_kind kind, int errnum, const char *path, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
/* For a plain errno of a system call on `path`: picks the kind from the errno, adds strerror. `what` is "open", "write"… */
int error_errno(ch_error **err, int errnum, const char *path, const char *what);
int error_copy(ch_error **err, const ch_error *from);

static inline void error_freep(ch_error **error)
{
        ch_error_free(*error);
}

#endif
