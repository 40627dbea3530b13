/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reserve, Release and ListClaims. */

#include <fcntl.h>
#include <json-c/json.h>

#include "access.h"
#include "bus.h"
#include "claim.h"
#include "json-bus.h"
#include "lease.h"
#include "methods.h"
#include "options-bus.h"

typedef struct ReserveCall {
        uint64_t bytes;
        char *note;
        int dry_run;

        uint32_t pid;
        unsigned max_per_uid;
        uint64_t claim;
        Lease *lease; /* until it is started */
} ReserveCall;

static const OptionRow reserve_rows[] = {
        {"note",     "s", offsetof(ReserveCall, note)   },
        { "dry_run", "b", offsetof(ReserveCall, dry_run)},
};

static void reserve_call_free(void *data)
{
        ReserveCall *call = data;

        lease_free(call->lease);
        free(call->note);
        free(call);
}

static int reserve_work(Request *request)
{
        Manager *manager = request->manager;
        ReserveCall *call = request->data;
        /* a placement, so to speak: it is nobody's yet */
        ClaimRequest what = { .group = request->path,
                              .bytes = call->bytes,
                              .kind = CLAIM_PLACEMENT,
                              .uid = request->uid,
                              .pid = call->pid,
                              .note = call->note,
                              .max_per_uid = call->max_per_uid,
                              .dry_run = call->dry_run };
        int r;

        r = access_check_group(manager->tree, request->path, request->uid, &request->error);
        if (r >= 0)
                r = claims_reserve(manager->claims, &what, &call->claim, &request->error);
        if (r < 0 || call->dry_run)
                return r;
        return lease_new(manager->leases, call->claim, &call->lease, &request->error);
}

static int reserve_finish(Request *request)
{
        ReserveCall *call = request->data;
        Lease *lease = TAKE_PTR(call->lease);
        int r;

        if (!lease)
                return request_reply(request, "tah", UINT64_C(0), 0);
        r = lease_start(lease);
        if (r < 0)
                return r;
        r = request_reply(request, "tah", call->claim, 1, lease_get_fd(lease));
        lease_let_go(lease);
        return r;
}

int method_reserve(Request *request)
{
        const Manager *manager = request->manager;
        ReserveCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = reserve_call_free;
        call->pid = (uint32_t)request->client->pid;
        call->max_per_uid = manager->conf->claims_per_user * (uid_is_master(request->uid) ? 10 : 1);
        r = method_read_path(request);
        if (r >= 0 && (r = sd_bus_message_read(request->message, "t", &call->bytes)) < 0)
                return request_bad_arguments(request, r, "bytes");
        if (r >= 0)
                r = options_read(request->message, reserve_rows, ELEMENTSOF(reserve_rows), call,
                                 &request->error);
        return r < 0 ? r : request_defer(request, reserve_work, reserve_finish);
}

typedef struct ReleaseCall {
        int fd;
        uint64_t claim;
} ReleaseCall;

static void release_call_free(void *data)
{
        safe_close(((ReleaseCall *)data)->fd);
        free(data);
}

static int release_work(Request *request)
{
        ReleaseCall *call = request->data;

        return lease_find(request->manager->claims, call->fd, &call->claim, &request->error);
}

static int release_finish(Request *request)
{
        const ReleaseCall *call = request->data;

        if (leases_end(request->manager->leases, call->claim) < 0)
                return error_set(&request->error, CH_ERROR_NO_SUCH_CLAIM, 0, "lease",
                                 "claim %llu has been released",
                                 (unsigned long long)call->claim);
        return request_reply(request, NULL);
}

/* Whoever holds the fd may let go of it. */
int method_release(Request *request)
{
        ReleaseCall *call = calloc(1, sizeof(*call));
        int fd, r;

        if (!call)
                return -ENOMEM;
        call->fd = -EBADF;
        request->data = call;
        request->free_data = release_call_free;
        r = sd_bus_message_read(request->message, "h", &fd);
        if (r < 0)
                return request_bad_arguments(request, r, "lease");
        call->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return call->fd < 0 ? -errno : request_defer(request, release_work, release_finish);
}

static void free_json(void *data)
{
        json_object_put(data);
}

static int list_work(Request *request)
{
        json_object *array;
        int r;

        r = claims_list(request->manager->claims, NULL, &array);
        if (r >= 0)
                request->data = array;
        return r;
}

static int list_finish(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        json_object *array = request->data;
        int r;

        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(array); i++)
                r = json_bus_append(reply, json_object_array_get_idx(array, i));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

int method_list_claims(Request *request)
{
        request->free_data = free_json;
        request->flags |= REQUEST_READ_ONLY;
        return request_defer(request, list_work, list_finish);
}
