/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the simulator's programs end when something is wrong. */

#include <stdarg.h>

#include "placement.h"
#include "util.h"

void wrong(const char *format, ...)
{
        va_list ap;

        (void)fputs("bench-placement: ", stderr);
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fputc('\n', stderr);
        exit(1);
}

void must(int r, const char *what)
{
        if (r < 0)
                wrong("%s: %s", what, strerror(r == -1 ? errno : -r));
}

void *must_alloc(void *memory)
{
        if (!memory)
                wrong("out of memory");
        return memory;
}
