/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods that change a group: create, remove, set, kill, freeze, thaw. Their work is done on a
 * worker. */

#include "access.h"
#include "bus.h"
#include "control.h"
#include "create.h"
#include "methods.h"
#include "options-bus.h"
#include "value-bus.h"

typedef struct CreateCall {
        CreateOptions options;
        Settings settings;
} CreateCall;

static const OptionRow create_options[] = {
        {"parents",   "b", offsetof(CreateOptions, parents) },
        { "exist_ok", "b", offsetof(CreateOptions, exist_ok)},
        { "dry_run",  "b", offsetof(CreateOptions, dry_run) },
        { "uid",      "u", offsetof(CreateOptions, uid)     },
        { "gid",      "u", offsetof(CreateOptions, gid)     },
        { "claim",    "t", offsetof(CreateOptions, claim_bytes)},
};

static void create_call_free(void *data)
{
        CreateCall *call = data;

        settings_done(&call->settings);
        free(call);
}

static int create_work(Request *request)
{
        CreateCall *call = request->data;
        ch_tree *tree = request->manager->tree;
        int r;

        r = access_check_group(tree, request->path, request->uid, &request->error);
        if (r < 0)
                return r;
        return create_group(tree, request->path, &call->options, call->settings.items,
                            call->settings.n, &request->error);
}

static int create_finish(Request *request)
{
        _cleanup_(freep) char *object = group_bus_path(request->path);
        const CreateCall *call = request->data;
        Group *group = NULL;

        if (!object)
                return -ENOMEM;
        if (!call->options.dry_run) {
                group = groups_get(request->manager->groups, request->path);
                if (group)
                        (void)groups_refresh(request->manager->groups, group);
        }
        return request_reply(request, "o", object);
}

int method_create_group(Request *request)
{
        CreateCall *call;
        int r;

        r = method_read_path(request);
        if (r < 0)
                return r;
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = create_call_free;
        call->options =
                (CreateOptions){ .uid = UINT32_MAX, .gid = UINT32_MAX, .owner = UINT32_MAX,
                                 .claim_bytes = UINT64_MAX };
        r = settings_read(request->message, &call->settings, &request->error);
        if (r >= 0)
                r = options_read(request->message, create_options, ELEMENTSOF(create_options),
                                 &call->options, &request->error);
        if (r < 0)
                return r;
        if (!uid_is_master(request->uid)) {
                if (call->options.uid != UINT32_MAX || call->options.gid != UINT32_MAX)
                        return error_set(&request->error, CH_ERROR_NOT_PERMITTED, 0, request->path,
                                         "only root may delegate a group (options uid and gid)");
                if (call->options.claim_bytes != UINT64_MAX)
                        return error_set(&request->error, CH_ERROR_NOT_PERMITTED, 0, request->path,
                                         "only root may set memory aside (option claim): it is "
                                         "taken from everybody");
                call->options.owner = request->uid;
        }
        if (call->options.claim_bytes != UINT64_MAX)
                call->options.claims = request->manager->claims;
        call->options.controllers = !streq(request->manager->conf->controllers, "none");
        return request_defer(request, create_work, create_finish);
}

typedef struct RemoveCall {
        int recursive, dry_run;
} RemoveCall;

static const OptionRow remove_options[] = {
        {"recursive", "b", offsetof(RemoveCall, recursive)},
        { "dry_run",  "b", offsetof(RemoveCall, dry_run)  },
};

static int remove_work(Request *request)
{
        const RemoveCall *call = request->data;
        ch_tree *tree = request->manager->tree;
        int r;

        r = access_check_group(tree, request->path, request->uid, &request->error);
        if (r >= 0)
                r = create_remove(tree, request->path, call->recursive, call->dry_run,
                                  &request->error);
        return r;
}

static int remove_finish(Request *request)
{
        Group *group = groups_find(request->manager->groups, request->path);

        if (group)
                (void)groups_refresh(request->manager->groups, group);
        return request_reply(request, NULL);
}

int method_remove_group(Request *request)
{
        RemoveCall *call = calloc(1, sizeof(*call));
        int r;

        request->data = call;
        request->free_data = free;
        r = call ? method_read_path(request) : -ENOMEM;
        if (r >= 0)
                r = options_read(request->message, remove_options, ELEMENTSOF(remove_options), call,
                                 &request->error);
        return r < 0 ? r : request_defer(request, remove_work, remove_finish);
}

typedef struct SetCall {
        ch_setting *settings;
        size_t n;
        int dry_run;
        int from_property;
} SetCall;

static void set_call_free(void *data)
{
        SetCall *call = data;
        Settings settings = { .items = call->settings, .n = call->n };

        settings_done(&settings);
        free(call);
}

static int set_work(Request *request)
{
        SetCall *call = request->data;
        ch_tree *tree = request->manager->tree;
        ch_group *group;
        int r;

        r = ch_tree_open_group(tree, request->path, &group, &request->error);
        if (r < 0)
                return r;
        r = access_check_settings(tree, request->path, call->settings, call->n, request->uid,
                                  &request->error);
        for (size_t i = 0; r >= 0 && i < call->n; i++)
                if (streq(call->settings[i].attr->id, "CGROUP_FREEZE") &&
                    call->settings[i].value.number)
                        r = control_check_not_self(tree, request->path, "freeze", &request->error);
        if (r >= 0)
                r = create_apply(group, call->settings, call->n, call->dry_run, &request->error);
        ch_group_unref(group);
        return r;
}

static int set_finish(Request *request)
{
        const SetCall *call = request->data;
        Group *group = groups_find(request->manager->groups, request->path);

        if (group) /* a controller may have been enabled */
                watches_add(request->manager->watches, group);
        return call->from_property ? request_reply(request, NULL)
                                   : request_reply(request, "u", (uint32_t)request->result);
}

/* Takes the settings. */
int method_apply_settings(Request *request, ch_setting *settings, size_t n, int dry_run)
{
        SetCall *call = calloc(1, sizeof(*call));

        if (!call) {
                settings_done(&(Settings){ .items = settings, .n = n });
                return -ENOMEM;
        }
        *call = (SetCall){ .settings = settings,
                           .n = n,
                           .dry_run = dry_run,
                           .from_property = request->begin == method_property_set };
        request->data = call;
        request->free_data = set_call_free;
        return request_defer(request, set_work, set_finish);
}

int method_set_properties(Request *request)
{
        static const OptionRow rows[] = {
                {"dry_run", "b", 0}
        };
        Settings settings = { 0 };
        int of_group = request->path != NULL, dry_run = 0, r;

        r = method_read_path(request);
        if (r >= 0)
                r = settings_read(request->message, &settings, &request->error);
        if (r >= 0 && !of_group)
                r = options_read(request->message, rows, ELEMENTSOF(rows), &dry_run,
                                 &request->error);
        if (r < 0) {
                settings_done(&settings);
                return r;
        }
        return method_apply_settings(request, settings.items, settings.n, dry_run);
}

static int check_control(Request *request)
{
        ch_tree *tree = request->manager->tree;
        int r;

        r = access_check_group(tree, request->path, request->uid, &request->error);
        return r < 0 ? r : access_check_members(tree, request->path, request->uid, &request->error);
}

static int kill_work(Request *request)
{
        uint32_t only_uid = uid_is_master(request->uid) ? UINT32_MAX : request->uid;
        int r = check_control(request);

        return r < 0 ? r
                     : control_kill(request->manager->tree, request->path, *(int *)request->data,
                                    only_uid, request->wait_usec, &request->error);
}

int method_kill(Request *request)
{
        int *signum = calloc(1, sizeof(int)), r;

        request->data = signum;
        request->free_data = free;
        r = signum ? method_read_path(request) : -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_read(request->message, "i", signum);
        request->flags |= REQUEST_WAITS;
        return r < 0 ? r : request_defer(request, kill_work, request_finish_empty);
}

static int freeze_work(Request *request)
{
        int r = check_control(request);

        return r < 0 ? r
                     : control_freeze(request->manager->tree, request->path, 1, request->wait_usec,
                                      &request->error);
}

static int thaw_work(Request *request)
{
        int r = check_control(request);

        return r < 0 ? r
                     : control_freeze(request->manager->tree, request->path, 0, request->wait_usec,
                                      &request->error);
}

static int freeze_finish(Request *request)
{
        Group *group = groups_find(request->manager->groups, request->path);

        if (group)
                (void)groups_refresh(request->manager->groups, group);
        return request_reply(request, NULL);
}

int method_freeze(Request *request)
{
        int r = method_read_path(request);

        request->flags |= REQUEST_WAITS;
        return r < 0 ? r : request_defer(request, freeze_work, freeze_finish);
}

int method_thaw(Request *request)
{
        int r = method_read_path(request);

        request->flags |= REQUEST_WAITS;
        return r < 0 ? r : request_defer(request, thaw_work, freeze_finish);
}
