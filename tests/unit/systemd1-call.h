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

#define INVALID  "org.freedesktop.DBus.Error.InvalidArgs: "
#define FAILED   "Failed to set unit properties: "
#define RANGE(n) INVALID "Value specified in " n " is out of range"
#define MAX      UINT64_MAX

typedef struct Call Call;

static inline void set_donep(PropertySet *set)
{
        property_set_done(set);
}

static inline void changes_donep(PropertyChanges *changes)
{
        property_changes_done(changes);
}

static inline void writes_donep(FileWrites *writes)
{
        file_writes_done(writes);
}

/* What several of the tests give: a call with one of each rare type. */
void call_add_rare(Call *call);

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
/* It is refused, with this error, and leaves nothing. */
void assert_refused(Call *call, UnitKind kind, int is_new, const char *error);
/* What is to be written: "file=text; file=text", in order */
void assert_writes(const PropertySet *set, const PropertySet *changes, const char *expected);
/* Reads the call as for a live scope, merges it and compares what is to be written. */
void assert_set(Call *call, PropertySet *set, const char *writes);
/* An empty message to append to, and what is in it, from its beginning. Freed with the call. */
sd_bus_message *call_reply(Call *call);
sd_bus_message *call_reply_read(Call *call);

#endif
