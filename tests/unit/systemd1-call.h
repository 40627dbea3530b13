/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_SYSTEMD1_CALL_H
#define CH_TESTS_SYSTEMD1_CALL_H

/* Calls with lists of properties, made and read without a bus: over one end of a socket pair. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "../../daemon/systemd1/property-row.h"

typedef struct Call Call;

/* An open list a(sv) */
Call *call_new(void);
Call *call_free(Call *call);
static inline void call_freep(Call **call)
{
        call_free(*call);
}
/* One property; the value by sd_bus_message_append()'s rules. */
void call_add(Call *call, const char *name, const char *signature, ...);
void call_addv(Call *call, const char *name, const char *signature, va_list ap);
void call_add_bytes(Call *call, const char *name, const void *bytes, size_t size);
/* The message, closed and at its beginning; read it once. */
sd_bus_message *call_message(Call *call);
/* What property_changes_read() makes of it, for a new scope; 0 in PIDs is the parent process. */
int call_read(Call *call, UnitKind kind, int is_new, PropertyChanges *ret);
/* "NAME: MESSAGE" of the error that call_read() gave, "" if none */
const char *call_error(Call *call);
/* An empty message to append to, and what is in it, from its beginning. Freed with the call. */
sd_bus_message *call_reply(Call *call);
sd_bus_message *call_reply_read(Call *call);

#endif
