/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_REQUEST_H
#define CHD_REQUEST_H

/*
 * A method call from its arrival to its answer: the caller is made known, limits are counted, work
 * is done on a worker if it may block, the deadline is kept. Whatever happens there is one answer,
 * or none if the caller has gone.
 */

#include <systemd/sd-bus.h>

#include "auth.h"
#include "error.h"
#include "manager.h"
#include "util.h"

typedef struct Request Request;
/* >= 0, or < 0 with request->error. */
typedef int (*request_func)(Request *request);

enum {
        REQUEST_READ_ONLY = 1 << 0, /* need not be done when the caller has gone */
        REQUEST_NO_DEADLINE = 1 << 1,
        REQUEST_WAITS = 1 << 2, /* work() waits for what others do: see TaskLane */
};

struct Request {
        Task task;
        Manager *manager;
        Client *client;
        Request *client_prev, *client_next; /* in client->requests */
        Request *waiting_next;              /* in client->waiting */
        sd_bus_message
                *message; /* NULL once answered or the caller has gone; never used by workers */
        uint32_t uid;     /* the caller's, once known; its pid is client->pid */
        uint32_t flags;
        request_func begin;  /* on the loop: reads the arguments; answers, or defers */
        request_func work;   /* on a worker: no message, no model */
        request_func finish; /* on the loop: answers */
        char *path; /* the group it is about, once known; the object's for org.chargehand1.Group */
        void *data; /* of the method */
        void (*free_data)(void *data);
        ch_error *error;
        sd_bus_error bus_error; /* where it is set the answer is this one, as it stands */
        uint64_t wait_usec; /* how long work() may wait: a little less than the deadline, so that it
                               can tell */
        int result;         /* of work() */
        int deferred;
        sd_event_source *deadline;
};

/* From a vtable or object handler. `path` may be NULL. Always 1: the message is taken. */
int request_start(Manager *manager, sd_bus_message *message, request_func begin, const char *path);
/* begin() ends with this to go on on a worker. */
int request_defer(Request *request, request_func work, request_func finish);
/* finish() may end with request_defer() again, or with this where the answer depends on somebody
 * else; then request_resolve() ends it, once. */
void request_hold(Request *request);
void request_resolve(Request *request, int r);
/* The answer, with sd-bus types. */
int request_reply(Request *request, const char *types, ...);
/* For answers that take more than a format: sd_bus_message_new_method_return(), filled, then sent.
 * 0 in *ret: nobody waits. */
int request_new_reply(Request *request, sd_bus_message **ret);
int request_send(Request *request, sd_bus_message *reply);
/* Calls on behalf of the bus layer */
void request_resume(Request *request, int known, uint32_t uid);
void request_drop_message(Request *request);
/* finish() that answers with nothing */
int request_finish_empty(Request *request);
/* The error for what sd-bus said while arguments were read. */
int request_bad_arguments(Request *request, int r, const char *what);

/* "org.chargehand1.Error.Kind", "PATH: cause" */
int bus_error_from(sd_bus_error *bus_error, const ch_error *error, int r);

static inline void message_unrefp(sd_bus_message **message)
{
        sd_bus_message_unref(*message);
}

#endif
