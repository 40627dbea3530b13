/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Method calls from arrival to answer. */

#include <stdio.h>

#include "bus.h"
#include "log.h"
#include "names.h"
#include "request.h"

int bus_error_from(sd_bus_error *bus_error, const ch_error *error, int r)
{
        const char *path = ch_error_get_path(error), *cause = ch_error_get_cause(error);
        _cleanup_(freep) char *name = NULL;

        if (!error)
                cause = strerror(r < 0 ? -r : EIO);
        if (asprintf(&name, CH_BUS_ERROR_PREFIX "%s",
                     ch_error_kind_to_name(ch_error_get_kind(error))) < 0)
                return -ENOMEM;
        return sd_bus_error_setf(bus_error, name, "%s%s%s", path, *path ? ": " : "", cause);
}

static void answer_error(Request *request, const ch_error *error, int r)
{
        sd_bus_error bus_error = SD_BUS_ERROR_NULL;

        if (!request->message)
                return;
        (void)bus_error_from(&bus_error, error, r);
        (void)sd_bus_reply_method_error(request->message, &bus_error);
        sd_bus_error_free(&bus_error);
        request_drop_message(request);
}

/* The request's own words; not while a worker may still be writing them. */
static void answer_own_error(Request *request, int r)
{
        if (!sd_bus_error_is_set(&request->bus_error)) {
                answer_error(request, request->error, r);
        } else if (request->message) {
                (void)sd_bus_reply_method_error(request->message, &request->bus_error);
                request_drop_message(request);
        }
}

void request_drop_message(Request *request)
{
        request->message = sd_bus_message_unref(request->message);
        if (request->flags & REQUEST_READ_ONLY)
                task_cancel(&request->task);
}

static void count_user(Request *request, int by)
{
        User *user;

        if (clients_get_user(request->manager->clients, request->uid, &user) >= 0)
                user->n_requests += (unsigned)by;
}

static void request_free(Request *request)
{
        Client *client = request->client;

        if (client) {
                *(request->client_prev ? &request->client_prev->client_next : &client->requests) =
                        request->client_next;
                if (request->client_next)
                        request->client_next->client_prev = request->client_prev;
                client->n_requests--;
                client_unref(client);
        }
        sd_event_source_unref(request->deadline);
        sd_bus_message_unref(request->message);
        if (request->free_data)
                request->free_data(request->data);
        ch_error_free(request->error);
        sd_bus_error_free(&request->bus_error);
        free(request->path);
        free(request);
}

static void on_run(Task *task)
{
        Request *request = (Request *)task;

        request->result = request->work(request);
}

static void request_end(Request *request, int r)
{
        if (r < 0)
                answer_own_error(request, r);
        count_user(request, -1);
        request_free(request);
}

static void on_done(Task *task)
{
        Request *request = (Request *)task;
        int r = request->result;

        request->deadline = sd_event_source_disable_unref(request->deadline);
        request->deferred = 0;
        if (r >= 0 && !(atomic_load(&task->cancelled) && !request->message))
                r = request->finish(request);
        if (r < 0 || !request->deferred)
                request_end(request, r);
}

void request_hold(Request *request)
{
        request->deferred = 1;
}

void request_resolve(Request *request, int r)
{
        request_end(request, r);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Request *request = userdata;

        error_set(&error, CH_ERROR_TIMED_OUT, 0, request->path,
                  "not done within %llu s; the kernel may still finish it (RequestTimeout=)",
                  (unsigned long long)(request->manager->conf->request_timeout_usec / 1000000));
        answer_error(request, error, -ETIMEDOUT);
        return 0;
}

int request_defer(Request *request, request_func work, request_func finish)
{
        Manager *manager = request->manager;
        int r;

        request->work = work;
        request->finish = finish;
        request->wait_usec = manager->conf->request_timeout_usec / 10 * 9;
        request->task.run = on_run;
        request->task.done = on_done;
        if (request->flags & REQUEST_WAITS)
                request->task.lane = uid_is_master(request->uid) ? TASK_WAITS : TASK_WAITS_FOR_USER;
        r = pool_submit(manager->workers, &request->task);
        if (r < 0)
                return error_errno(&request->error, r, request->path, "starting a worker");
        request->deferred = 1;
        if (!(request->flags & REQUEST_NO_DEADLINE))
                (void)sd_event_add_time_relative(
                        manager->event, &request->deadline, CLOCK_MONOTONIC,
                        manager->conf->request_timeout_usec, 0, on_deadline, request);
        return 0;
}

/* Root and the daemon's own uid are not held back by other clients of theirs; each connection is by
 * itself. */
static int check_limits(Request *request)
{
        const Conf *conf = request->manager->conf;
        User *user;
        int r;

        if (request->manager->stopping)
                return error_set(&request->error, CH_ERROR_BUSY, 0, NULL,
                                 "chargehandd is about to end");
        r = clients_get_user(request->manager->clients, request->uid, &user);
        if (r < 0)
                return r;
        if (user->n_requests > conf->requests_per_user && !uid_is_master(request->uid))
                return error_set(&request->error, CH_ERROR_LIMIT_REACHED, 0, NULL,
                                 "uid %u has %u unanswered calls: wait for some (RequestsPerUser=)",
                                 request->uid, user->n_requests - 1);
        return 0;
}

void request_resume(Request *request, int known, uint32_t uid)
{
        int r;

        request->uid = known ? uid : UINT32_MAX;
        count_user(request, 1);
        if (!known)
                r = error_set(&request->error, CH_ERROR_NOT_PERMITTED, 0, NULL,
                              "the bus does not say who the caller is");
        else
                r = check_limits(request);
        if (r >= 0)
                r = request->begin(request);
        if (r < 0 || !request->deferred)
                request_end(request, r);
}

int request_start(Manager *manager, sd_bus_message *message, request_func begin, const char *path)
{
        const char *sender = client_name_of(message);
        Request *request = calloc(1, sizeof(*request));
        int r;

        if (!request || !sender)
                goto fail;
        request->manager = manager;
        request->begin = begin;
        request->path = path ? strdup(path) : NULL;
        if ((path && !request->path) ||
            clients_get(manager->clients, sd_bus_message_get_bus(message), sender,
                        &request->client) < 0)
                goto fail;
        request->client_next = request->client->requests;
        if (request->client_next)
                request->client_next->client_prev = request;
        request->client->requests = request;
        request->message = sd_bus_message_ref(message);
        if (++request->client->n_requests > manager->conf->requests_per_client) {
                r = error_set(&request->error, CH_ERROR_LIMIT_REACHED, 0, NULL,
                              "%u calls of this connection are unanswered: wait for some "
                              "(RequestsPerClient=)",
                              request->client->n_requests - 1);
                answer_error(request, request->error, r);
                request_free(request);
                return 1;
        }
        r = client_identify(request->client, request);
        if (r < 0) {
                answer_error(request, NULL, r);
                request_free(request);
        }
        return 1;
fail:
        (void)sd_bus_reply_method_errorf(message, CH_BUS_ERROR_PREFIX "NoMemory", "out of memory");
        if (request)
                free(request->path);
        free(request);
        return 1;
}

int request_new_reply(Request *request, sd_bus_message **ret)
{
        *ret = NULL;
        if (!request->message)
                return 0;
        return sd_bus_message_new_method_return(request->message, ret);
}

int request_send(Request *request, sd_bus_message *reply)
{
        int r = sd_bus_send(NULL, reply, NULL);

        request_drop_message(request);
        return r == -ENOTCONN ? 0 : r;
}

int request_reply(Request *request, const char *types, ...)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        va_list args;
        int r;

        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        va_start(args, types);
        r = types && *types ? sd_bus_message_appendv(reply, types, args) : 0;
        va_end(args);
        return r < 0 ? r : request_send(request, reply);
}

int request_finish_empty(Request *request)
{
        return request_reply(request, NULL);
}

int request_bad_arguments(Request *request, int r, const char *what)
{
        return error_set(&request->error, CH_ERROR_BAD_VALUE, EINVAL, what,
                         "cannot be read from the message: %s", strerror(-r));
}
