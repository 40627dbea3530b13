/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Status, Snapshot and Reload. */

#include <json-c/json.h>

#include "bus.h"
#include "configured.h"
#include "json-bus.h"
#include "methods.h"
#include "status.h"

static int reply_json(Request *request, json_object *json)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = request_new_reply(request, &reply);
        if (r >= 0 && reply)
                r = json_bus_append(reply, json);
        return r < 0 || !reply ? r : request_send(request, reply);
}

int method_status(Request *request)
{
        json_object *status;
        int r;

        r = status_to_json(request->manager, &status);
        if (r < 0)
                return r;
        r = reply_json(request, status);
        json_object_put(status);
        return r;
}

static int snapshot_work(Request *request)
{
        return snapshot_fill(request->data, request->manager->tree);
}

static int snapshot_finish(Request *request)
{
        return reply_json(request, ((Snapshot *)request->data)->json);
}

static void free_snapshot(void *data)
{
        snapshot_free(data);
}

int method_snapshot(Request *request)
{
        Snapshot *snapshot;
        int r;

        r = snapshot_new(request->manager, &snapshot);
        if (r < 0)
                return r;
        request->data = snapshot;
        request->free_data = free_snapshot;
        request->flags |= REQUEST_READ_ONLY;
        return request_defer(request, snapshot_work, snapshot_finish);
}

static int reload_work(Request *request)
{
        return configured_apply(request->data);
}

static int reload_finish(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        Configured *configured = request->data;
        int r;

        configured_finish(request->manager, configured);
        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < configured->conf->n_warnings; i++)
                r = sd_bus_message_append(reply, "s", configured->conf->warnings[i]);
        for (size_t i = 0; r >= 0 && i < configured->n_warnings; i++)
                r = sd_bus_message_append(reply, "s", configured->warnings[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

static void free_configured(void *data)
{
        configured_free(data);
}

int method_reload(Request *request)
{
        Configured *configured;
        int r;

        if (!uid_is_master(request->uid))
                return error_set(&request->error, CH_ERROR_NOT_PERMITTED, 0, NULL,
                                 "only root may reload, not uid %u", request->uid);
        r = manager_reload(request->manager, &request->error);
        if (r >= 0)
                r = configured_new(request->manager, &configured);
        if (r < 0)
                return r;
        request->data = configured;
        request->free_data = free_configured;
        return request_defer(request, reload_work, reload_finish);
}
