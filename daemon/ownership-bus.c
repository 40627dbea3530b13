/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetOwner and OwnerChanged. */

#include "bus.h"
#include "methods.h"
#include "names.h"
#include "ownership.h"

typedef struct OwnerCall {
        uint32_t pid;
        OwnerAnswer answer;
} OwnerCall;

static void owner_call_free(void *data)
{
        OwnerCall *call = data;

        owner_answer_done(&call->answer);
        free(call);
}

static int owner_work(Request *request)
{
        OwnerCall *call = request->data;

        return ownership_get(request->manager->ownership, (pid_t)call->pid, &call->answer,
                             &request->error);
}

static int append_users(sd_bus_message *reply, const OwnerAnswer *answer)
{
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "users");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "au");
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'u', answer->users,
                                                answer->n_users * sizeof(uint32_t));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_answer(sd_bus_message *reply, const OwnerAnswer *answer)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "pid", "u", (uint32_t)answer->pid,
                                          "mm", "t", answer->mm, "owner", "u",
                                          (uint32_t)answer->owner);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "group", "s", answer->group,
                                          "last_group", "s", answer->last_group, "own_group", "s",
                                          answer->own_group, "source", "s",
                                          answer->tracked ? "registry" : "kernel");
        if (r >= 0)
                r = append_users(reply, answer);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int owner_finish(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        OwnerCall *call = request->data;
        int r;

        r = request_new_reply(request, &reply);
        if (r >= 0 && reply)
                r = append_answer(reply, &call->answer);
        return r < 0 || !reply ? r : request_send(request, reply);
}

int method_get_owner(Request *request)
{
        OwnerCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = owner_call_free;
        request->flags |= REQUEST_READ_ONLY;
        r = sd_bus_message_read(request->message, "u", &call->pid);
        if (r < 0)
                return request_bad_arguments(request, r, "pid");
        if (call->pid == 0 || call->pid > INT32_MAX)
                return error_set(&request->error, CH_ERROR_NO_SUCH_PROCESS, 0, NULL,
                                 "no process has pid %u", call->pid);
        return request_defer(request, owner_work, owner_finish);
}

void bus_emit_owner_changed(Bus *bus, const OwnerChange *change)
{
        if (bus_has_name(bus))
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "OwnerChanged", "uutss", (uint32_t)change->from,
                                         (uint32_t)change->to, change->mm, change->group,
                                         ch_owner_cause_to_string(change->cause));
}
