/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_COMMON_H
#define CTL_COMMON_H

/* Helper macros and clean-up functions of chargectl, which sees of the library only its public
 * headers. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json.h>

#include <chargehand/error.h>
#include <chargehand/map.h>
#include <chargehand/move.h>
#include <chargehand/process.h>
#include <chargehand/spawn.h>
#include <chargehand/tree.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define TAKE_PTR(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/*
 * The exit codes, stable. Functions of chargectl that say "returns an exit code" have already told
 * the person what is wrong where it is not CTL_OK.
 */
#define CTL_EXIT_CODES(X)                                                                          \
        X(OK,            0, "done")                                                                \
        X(FAILED,        1, "failed; nothing is half done unless the message says so")             \
        X(USAGE,         2, "wrong usage: an unknown verb, option, value or path")                 \
        X(NOTHING,       3, "nothing found: no such process or job, or an empty list")             \
        X(NO_GROUP,      4, "no such group")                                                       \
        X(NOT_PERMITTED, 5, "not permitted")                                                       \
        X(PARTLY,        6, "partly done: the output says which part")                             \
        X(TRY_AGAIN,    75, "try again: busy, out of time, or the daemon is not there")             \
        X(BAD_PROGRAM, 126, "run: the program cannot be executed")                                 \
        X(NO_PROGRAM,  127, "run: there is no such program")

enum {
#define CTL_EXIT_ENUM_(id, code, doc) CTL_##id = code,
        CTL_EXIT_CODES(CTL_EXIT_ENUM_)
#undef CTL_EXIT_ENUM_
};

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void json_putp(struct json_object **object)
{
        json_object_put(*object);
}

static inline void error_freep(ch_error **error)
{
        ch_error_free(*error);
}

static inline void group_unrefp(ch_group **group)
{
        ch_group_unref(*group);
}

static inline void procset_freep(ch_procset **set)
{
        ch_procset_free(*set);
}

static inline int streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

#endif
