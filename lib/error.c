/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors with a kind, a path and a cause a person can act on. */

#include <stdio.h>

#include "error.h"
#include "util.h"

struct ch_error {
        ch_error_kind kind;
        int errnum;
        char *path;
        char *cause;
};

typedef struct KindRow {
        const char *name;
        int errnum;
        int exit_code;
} KindRow;

static const KindRow kind_rows[] = {
#define ROW(id, word, num, code, doc) [CH_ERROR_##id] = { .name = word, .errnum = num, .exit_code = code },
        CH_ERROR_KINDS(ROW)
#undef ROW
};

/* Plain errnos of system calls → kinds; whatever is not here is FAILED. */
static const struct {
        int errnum;
        ch_error_kind kind;
} errno_rows[] = {
        { ENODEV,    CH_ERROR_NO_SUCH_GROUP },
        { ENOENT,    CH_ERROR_NO_SUCH_GROUP },
        { ESRCH,     CH_ERROR_NO_SUCH_PROCESS },
        { EEXIST,    CH_ERROR_GROUP_EXISTS },
        { EACCES,    CH_ERROR_NOT_PERMITTED },
        { EPERM,     CH_ERROR_NOT_PERMITTED },
        { EROFS,     CH_ERROR_READ_ONLY },
        { ENOMEM,    CH_ERROR_NO_MEMORY },
        { ETIMEDOUT, CH_ERROR_TIMED_OUT },
        { EAGAIN,    CH_ERROR_BUSY },
        { EBUSY,     CH_ERROR_NOT_EMPTY },
        { ENOTSUP,   CH_ERROR_NOT_SUPPORTED },
        { ENOSYS,    CH_ERROR_NOT_SUPPORTED },
        { ERANGE,    CH_ERROR_BAD_VALUE },
        { EINVAL,    CH_ERROR_BAD_VALUE },
        { ELOOP,     CH_ERROR_BAD_PATH },
        { EXDEV,     CH_ERROR_BAD_PATH },
};

int error_set(ch_error **err, ch_error_kind kind, int errnum, const char *path, const char *format, ...)
{
        ch_error *error;
        va_list args;

        if (errnum <= 0)
                errnum = kind_rows[kind].errnum;
        if (!err || *err)
                return -errnum;

        error = calloc(1, sizeof(*error));
        if (!error)
                return -errnum;
        error->kind = kind;
        error->errnum = errnum;
        error->path = path ? strdup(path) : NULL;
        va_start(args, format);
        if (vasprintf(&error->cause, format, args) < 0)
                error->cause = NULL;
        va_end(args);
        *err = error;
        return -errnum;
}

int error_errno(ch_error **err, int errnum, const char *path, const char *what)
{
        ch_error_kind kind = CH_ERROR_FAILED;

        if (errnum < 0)
                errnum = -errnum;
        for (size_t i = 0; i < ELEMENTSOF(errno_rows); i++)
                if (errno_rows[i].errnum == errnum)
                        kind = errno_rows[i].kind;
        return error_set(err, kind, errnum, path, "%s failed: %s", what, strerror(errnum));
}

int error_copy(ch_error **err, const ch_error *from)
{
        return error_set(err, ch_error_get_kind(from), ch_error_get_errno(from), ch_error_get_path(from), "%s",
                         ch_error_get_cause(from));
}

_public_ ch_error_kind ch_error_get_kind(const ch_error *error)
{
        return error ? error->kind : CH_ERROR_FAILED;
}

_public_ int ch_error_get_errno(const ch_error *error)
{
        return error ? error->errnum : EIO;
}

_public_ const char *ch_error_get_path(const ch_error *error)
{
        return error && error->path ? error->path : "";
}

_public_ const char *ch_error_get_cause(const ch_error *error)
{
        return error && error->cause ? error->cause : "";
}

_public_ void ch_error_free(ch_error *error)
{
        if (!error)
                return;
        free(error->path);
        free(error->cause);
        free(error);
}

_public_ const char *ch_error_kind_to_name(ch_error_kind kind)
{
        return (unsigned)kind < ELEMENTSOF(kind_rows) ? kind_rows[kind].name : "Failed";
}

_public_ int ch_error_kind_to_exit(ch_error_kind kind)
{
        return (unsigned)kind < ELEMENTSOF(kind_rows) ? kind_rows[kind].exit_code : EXIT_FAILURE;
}

_public_ int ch_error_kind_from_name(const char *name, ch_error_kind *ret)
{
        const char *dot = strrchr(name, '.');

        if (dot)
                name = dot + 1;
        for (size_t i = 0; i < ELEMENTSOF(kind_rows); i++)
                if (streq(kind_rows[i].name, name)) {
                        *ret = (ch_error_kind)i;
                        return 0;
                }
        return -ENOENT;
}
