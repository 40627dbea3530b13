/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PlanMove, Move and ChargeMap: read on the loop, worked out on a worker. */

#include <json-c/json.h>

#include <chargehand/map.h>
#include <chargehand/move.h>

#include "access.h"
#include "bus.h"
#include "claim.h"
#include "json-bus.h"
#include "lease.h"
#include "methods.h"
#include "move-keys-bus.h"
#include "options-bus.h"

typedef struct MoveCall {
        MoveKeys keys;
        char *target;
        int lease_fd; /* -EBADF: none */

        ch_plan *plan;
        json_object *json;
        int carry_out;
        uint64_t lease; /* the claim */
} MoveCall;

static const OptionRow move_rows[] = {
        MOVE_KEYS_ROWS(MoveCall, keys, 0),
        {"target", "s", offsetof(MoveCall, target)},
        { "lease", "h", offsetof(MoveCall, lease_fd)},
};

static void move_call_free(void *data)
{
        MoveCall *call = data;

        move_keys_done(&call->keys);
        safe_close(call->lease_fd);
        free(call->target);
        ch_plan_free(call->plan);
        json_object_put(call->json);
        free(call);
}

static int read_call(Request *request, MoveCall *call)
{
        const Conf *conf = request->manager->conf;
        ch_error **err = &request->error;
        int r;

        move_keys_init(&call->keys, conf);
        r = options_read(request->message, move_rows, ELEMENTSOF(move_rows), call, err);
        if (r < 0)
                return r;
        if (!call->target)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL, "target is missing");
        request->path = strdup(call->target);
        r = ch_path_check(call->target, err);
        if (r >= 0)
                r = move_keys_check(&call->keys, conf, request->uid, err);
        call->keys.options.claimed = claims_claimed;
        call->keys.options.claimed_userdata = request->manager->claims;
        return r;
}

static int check_plan(Request *request, const MoveCall *call)
{
        const ch_procset *set = ch_plan_get_processes(call->plan);
        ch_tree *tree = request->manager->tree;
        int r;

        r = move_keys_check_pidfds(&call->keys, &request->error);
        if (r >= 0 && request->manager->inside_only)
                r = access_check_inside(tree, set, &request->error);
        if (r < 0)
                return r;
        if (!call->carry_out)
                return access_check_processes(set, request->uid, &request->error);
        if (ch_procset_find(set, getpid()))
                return error_set(&request->error, CH_ERROR_BAD_PROCESS, 0, NULL,
                                 "process %d is chargehandd itself: it does not move itself",
                                 (int)getpid());
        return access_check_move(tree, set, call->target, request->uid, &request->error);
}

static int plan_work(Request *request)
{
        MoveCall *call = request->data;
        ch_move_request what = {
                .pids = call->keys.targets,
                .n_pids = call->keys.n_targets,
                .with_tree = call->keys.tree,
                .group = call->keys.group,
                .target = call->target,
        };
        int r;

        /* so that an empty set tells nothing about groups of others */
        r = what.group ? access_check_group(request->manager->tree, what.group, request->uid,
                                            &request->error)
                       : 0;
        if (r >= 0 && call->lease_fd >= 0)
                r = lease_find(request->manager->claims, call->lease_fd, &call->lease,
                               &request->error);
        claims_act_for(call->target);
        claims_act_with(call->lease, 0);
        if (r >= 0)
                r = ch_plan_new(request->manager->tree, &what, &call->keys.options, &call->plan,
                                &request->error);
        claims_act_with(0, 0);
        claims_act_for(NULL);
        if (r >= 0)
                r = check_plan(request, call);
        if (r >= 0 && !call->carry_out)
                r = ch_plan_to_json(call->plan, &call->json);
        return r;
}

static int reply_json(Request *request, json_object *json)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = request_new_reply(request, &reply);
        if (r >= 0 && reply)
                r = json_bus_append(reply, json);
        return r < 0 || !reply ? r : request_send(request, reply);
}

static int plan_finish(Request *request)
{
        return reply_json(request, ((MoveCall *)request->data)->json);
}

int method_check_job_limit(Request *request)
{
        const Jobs *jobs = request->manager->jobs;
        unsigned n = 0, limit = request->manager->conf->jobs_per_user *
                                (uid_is_master(request->uid) ? 10 : 1);

        for (const Job *job = jobs->first; job; job = job->next)
                n += !job_state_is_end(job->state) && job->uid == request->uid;
        if (n < limit)
                return 0;
        return error_set(&request->error, CH_ERROR_LIMIT_REACHED, 0, NULL,
                         "uid %u has %u jobs that have not ended: wait for some, or cancel them "
                         "(JobsPerUser=)",
                         request->uid, n);
}

static int move_finish(Request *request)
{
        _cleanup_(freep) char *object = NULL;
        MoveCall *call = request->data;
        JobRoom room = { .lease = call->lease };
        Job *job;
        int r;

        if (!request->message)
                return 0; /* told that it timed out, or gone: nothing is begun behind the caller's
                             back */
        if (ch_plan_get_refusal(call->plan))
                return error_copy(&request->error, ch_plan_get_refusal(call->plan));
        r = method_check_job_limit(request);
        if (r < 0)
                return r;
        r = jobs_add_move(request->manager->jobs, TAKE_PTR(call->plan), call->target, request->uid,
                          &room, &job, &request->error);
        if (r < 0)
                return r;
        object = job_bus_path(job->id);
        return object ? request_reply(request, "uo", job->id, object) : -ENOMEM;
}

static int begin_move(Request *request, int carry_out)
{
        MoveCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = move_call_free;
        call->carry_out = carry_out;
        call->lease_fd = -EBADF;
        request->flags |= REQUEST_WAITS;
        r = read_call(request, call);
        return r < 0 ? r : request_defer(request, plan_work, carry_out ? move_finish : plan_finish);
}

int method_plan_move(Request *request)
{
        request->flags |= REQUEST_READ_ONLY;
        return begin_move(request, 0);
}

int method_move(Request *request)
{
        return begin_move(request, 1);
}

typedef struct MapCall {
        uint32_t pid;
        int tree;
        char *group;
        json_object *json;
} MapCall;

static const OptionRow map_rows[] = {
        {"pid",    "u", offsetof(MapCall, pid)  },
        { "tree",  "b", offsetof(MapCall, tree) },
        { "group", "s", offsetof(MapCall, group)},
};

static void map_call_free(void *data)
{
        MapCall *call = data;

        json_object_put(call->json);
        free(call->group);
        free(call);
}

static int map_processes(Request *request, const MapCall *call, ch_map *map)
{
        ch_procset *set;
        int r;

        r = ch_procset_new(&set);
        if (r < 0)
                return r;
        r = call->tree ? ch_procset_add_tree(set, (pid_t)call->pid, &request->error)
                       : ch_procset_add_pid(set, (pid_t)call->pid, &request->error);
        if (r >= 0)
                r = access_check_processes(set, request->uid, &request->error);
        if (r >= 0)
                r = ch_map_add_set(map, set, &request->error);
        ch_procset_free(set);
        return r;
}

static int map_group(Request *request, const MapCall *call, ch_map *map)
{
        ch_tree *tree = request->manager->tree;
        ch_group *group;
        int r;

        r = access_check_group(tree, call->group, request->uid, &request->error);
        if (r >= 0)
                r = access_check_members(tree, call->group, request->uid, &request->error);
        if (r >= 0)
                r = ch_tree_open_group(tree, call->group, &group, &request->error);
        if (r < 0)
                return r;
        r = ch_map_add_group(map, group, &request->error);
        ch_group_unref(group);
        return r;
}

static int map_work(Request *request)
{
        MapCall *call = request->data;
        ch_map *map;
        int r;

        r = ch_map_new(request->manager->tree, &map, &request->error);
        if (r < 0)
                return r;
        r = call->group ? map_group(request, call, map) : map_processes(request, call, map);
        if (r >= 0)
                r = ch_map_to_json(map, &call->json);
        ch_map_free(map);
        return r;
}

static int map_finish(Request *request)
{
        return reply_json(request, ((MapCall *)request->data)->json);
}

static int check_map_call(Request *request, const MapCall *call)
{
        if ((call->pid != 0) + (call->group != NULL) != 1)
                return error_set(&request->error, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "exactly one of pid and group is needed");
        if (call->pid > INT32_MAX)
                return error_set(&request->error, CH_ERROR_NO_SUCH_PROCESS, 0, NULL,
                                 "no process has pid %u", call->pid);
        return call->group ? ch_path_check(call->group, &request->error) : 0;
}

int method_charge_map(Request *request)
{
        MapCall *call = calloc(1, sizeof(*call));
        int r = 0;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = map_call_free;
        request->flags |= REQUEST_READ_ONLY | REQUEST_WAITS;
        if (request->path)
                call->group = strdup(request->path);
        else
                r = options_read(request->message, map_rows, ELEMENTSOF(map_rows), call,
                                 &request->error);
        if (r >= 0)
                r = check_map_call(request, call);
        return r < 0 ? r : request_defer(request, map_work, map_finish);
}
