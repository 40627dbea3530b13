/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PlanMove, Move and ChargeMap: read on the loop, worked out on a worker. */

#include <json-c/json.h>
#include <poll.h>

#include <chargehand/map.h>
#include <chargehand/move.h>

#include "access.h"
#include "bus.h"
#include "claim.h"
#include "json-bus.h"
#include "methods.h"
#include "options-bus.h"

typedef struct MoveCall {
        Numbers pids, pidfds;
        char *group, *target, *policy;
        char **backends;
        uint32_t max_growth_permyriad;
        uint64_t rate_bytes_per_sec, timeout_usec;
        int tree;

        ch_move_options options;
        pid_t *targets; /* of pids and pidfds */
        size_t n_targets;
        ch_plan *plan;
        json_object *json;
        int carry_out;
} MoveCall;

static const OptionRow move_rows[] = {
        {"pids",                  "au", offsetof(MoveCall, pids)                },
        { "pidfds",               "ah", offsetof(MoveCall, pidfds)              },
        { "group",                "s",  offsetof(MoveCall, group)               },
        { "tree",                 "b",  offsetof(MoveCall, tree)                },
        { "target",               "s",  offsetof(MoveCall, target)              },
        { "policy",               "s",  offsetof(MoveCall, policy)              },
        { "backends",             "as", offsetof(MoveCall, backends)            },
        { "max_growth_permyriad", "u",  offsetof(MoveCall, max_growth_permyriad)},
        { "rate_bytes_per_sec",   "t",  offsetof(MoveCall, rate_bytes_per_sec)  },
        { "timeout_usec",         "t",  offsetof(MoveCall, timeout_usec)        },
};

static void move_call_free(void *data)
{
        MoveCall *call = data;

        for (size_t i = 0; i < call->pidfds.n; i++)
                safe_close((int)call->pidfds.items[i]);
        for (char **word = call->backends; word && *word; word++)
                free(*word);
        free(call->backends);
        free(call->pids.items);
        free(call->pidfds.items);
        free(call->group);
        free(call->target);
        free(call->policy);
        free(call->targets);
        ch_plan_free(call->plan);
        json_object_put(call->json);
        free(call);
}

static int read_policy(MoveCall *call, const Conf *conf, ch_error **err)
{
        ch_policy policy = conf->policy;

        if (call->policy && ch_policy_from_string(call->policy, &policy) < 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, call->policy,
                                 "no such policy: reserve, stay, lazy or partial");
        call->options.policy = policy;
        return 0;
}

static int read_backends(MoveCall *call, const Conf *conf, ch_error **err)
{
        uint32_t bits = 0;

        for (char **word = call->backends; word && *word; word++) {
                ch_backend backend;

                if (ch_backend_from_string(*word, &backend) < 0)
                        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, *word,
                                         "no such backend: collapse or refault");
                bits |= 1U << backend;
        }
        call->options.backends = call->backends ? bits : conf->backends;
        return 0;
}

/* What a pidfd stands for, as a pid; that it was not reused is checked when the plan is made. */
static int resolve_pidfd(int fd, pid_t *ret, ch_error **err)
{
        ch_procset *set;
        int r;

        r = ch_procset_new(&set);
        if (r < 0)
                return r;
        r = ch_procset_add_pidfd(set, fd, err);
        if (r >= 0)
                *ret = ch_procset_get(set, 0)->pid;
        ch_procset_free(set);
        return r;
}

static int read_processes(MoveCall *call, ch_error **err)
{
        int sources = (call->pids.n > 0) + (call->pidfds.n > 0) + (call->group != NULL), r = 0;

        if (sources != 1)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "exactly one of pids, pidfds and group is needed (%d given)",
                                 sources);
        call->targets = calloc(call->pids.n + call->pidfds.n + 1, sizeof(pid_t));
        if (!call->targets)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < call->pids.n; i++) {
                if (call->pids.items[i] == 0 || call->pids.items[i] > INT32_MAX)
                        r = error_set(err, CH_ERROR_BAD_PROCESS, 0, NULL, "pid %u is no process",
                                      call->pids.items[i]);
                else
                        call->targets[call->n_targets++] = (pid_t)call->pids.items[i];
        }
        for (size_t i = 0; r >= 0 && i < call->pidfds.n; i++)
                r = resolve_pidfd((int)call->pidfds.items[i], &call->targets[call->n_targets++],
                                  err);
        return r;
}

static int read_call(Request *request, MoveCall *call)
{
        const Conf *conf = request->manager->conf;
        ch_error **err = &request->error;
        int r;

        call->max_growth_permyriad = conf->max_growth_permyriad;
        call->rate_bytes_per_sec = conf->rate_bytes_per_sec;
        call->timeout_usec = conf->timeout_usec;
        r = options_read(request->message, move_rows, ELEMENTSOF(move_rows), call, err);
        if (r < 0)
                return r;
        if (!call->target)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL, "target is missing");
        request->path = strdup(call->target);
        call->options = (ch_move_options)CH_MOVE_OPTIONS_INIT;
        call->options.max_growth_permyriad = call->max_growth_permyriad;
        call->options.rate_bytes_per_sec = call->rate_bytes_per_sec;
        call->options.timeout_usec = call->timeout_usec;
        call->options.reclaim_bytes = conf->reclaim_bytes;
        call->options.claimed = claims_claimed;
        call->options.claimed_userdata = request->manager->claims;
        r = ch_path_check(call->target, err);
        if (r >= 0 && call->group)
                r = ch_path_check(call->group, err);
        if (r >= 0)
                r = read_policy(call, conf, err);
        if (r >= 0)
                r = read_backends(call, conf, err);
        return r < 0 ? r : read_processes(call, err);
}

/* The pidfds still live after the plan was made by pid: the pids were theirs all the time. */
static int check_pidfds(const MoveCall *call, ch_error **err)
{
        for (size_t i = 0; i < call->pidfds.n; i++) {
                struct pollfd p = { .fd = (int)call->pidfds.items[i], .events = POLLIN };

                if (poll(&p, 1, 0) != 0)
                        return error_set(err, CH_ERROR_NO_SUCH_PROCESS, 0, NULL,
                                         "process %d has exited", (int)call->targets[i]);
        }
        return 0;
}

static int check_plan(Request *request, const MoveCall *call)
{
        const ch_procset *set = ch_plan_get_processes(call->plan);
        ch_tree *tree = request->manager->tree;
        int r;

        r = check_pidfds(call, &request->error);
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
                .pids = call->targets,
                .n_pids = call->n_targets,
                .with_tree = call->tree,
                .group = call->group,
                .target = call->target,
        };
        int r;

        /* so that an empty set tells nothing about groups of others */
        r = call->group ? access_check_group(request->manager->tree, call->group, request->uid,
                                             &request->error)
                        : 0;
        claims_act_for(call->target);
        if (r >= 0)
                r = ch_plan_new(request->manager->tree, &what, &call->options, &call->plan,
                                &request->error);
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

static int check_job_limit(Request *request)
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
        Job *job;
        int r;

        if (!request->message)
                return 0; /* told that it timed out, or gone: nothing is begun behind the caller's
                             back */
        if (ch_plan_get_refusal(call->plan))
                return error_copy(&request->error, ch_plan_get_refusal(call->plan));
        r = check_job_limit(request);
        if (r < 0)
                return r;
        r = jobs_add_move(request->manager->jobs, TAKE_PTR(call->plan), call->target, request->uid,
                          &job, &request->error);
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
