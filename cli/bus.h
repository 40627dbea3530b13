/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_BUS_H
#define CTL_BUS_H

/* Calls to the daemon. All functions return an exit code and tell what went wrong. */

#include "cli.h"
#include "names.h"

/* Connect to --address, $CHARGEHAND_ADDRESS or the system bus. `quiet`: failing is not told. */
int bus_connect(Cli *cli, int quiet);
/* The address that was named, NULL for the system bus. */
const char *bus_address(Cli *cli);
/* Is the daemon's name owned (or can it be started by the bus)? */
int bus_has_daemon(Cli *cli);

/* A method call to the manager object. */
int bus_new_call(Cli *cli, const char *method, sd_bus_message **ret);
int bus_new_call_at(Cli *cli, const char *path, const char *interface, const char *method,
                    sd_bus_message **ret);
/* Send, wait for the answer (--timeout, else 90 s), tell an error. ret_reply may be NULL. */
int bus_call(Cli *cli, sd_bus_message *call, sd_bus_message **ret_reply);
/* The same for calls answered by a{sv}: as plain JSON. */
int bus_call_report(Cli *cli, sd_bus_message *call, struct json_object **ret);
/* All properties of an object, as plain JSON. */
int bus_get_all(Cli *cli, const char *path, const char *interface, struct json_object **ret);
/* What a bus error means: tells it and returns the exit code. */
int bus_fail(Cli *cli, const sd_bus_error *error, int r);
/* For results of sd_bus_message_append() and the like. */
int bus_fail_errno(Cli *cli, int r, const char *what);
/* Path of a group's object; caller frees. NULL without memory. */
char *bus_group_object(const char *path);

/* variant.c: one complete value at the message's position. */
typedef enum JsonForm {
        FORM_PLAIN,     /* variants disappear: {"MemoryMax": 5} */
        FORM_LOSSLESS,  /* variants say their type: {"MemoryMax": {"type": "t", "data": 5}} */
} JsonForm;
int json_from_message(sd_bus_message *m, JsonForm form, struct json_object **ret);
/* All values of a message: {"type": "so", "data": ["/a", "/b"]} */
int json_from_body(sd_bus_message *m, struct json_object **ret);
/* Append words as busctl reads them: a signature and then its values, arrays and dicts preceded by
 * their number of elements, variants by their signature. Returns the number of words used, -EINVAL
 * with the reason in *ret_why (static text). */
int message_append_words(sd_bus_message *m, const char *signature, char **words, size_t n,
                         const char **ret_why);

#endif
