/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Place: read on the loop, chosen and claimed on a worker, handed to a job or a lease on the loop.
 */

#include <json-c/json.h>

#include "access.h"
#include "bus.h"
#include "claim.h"
#include "json-bus.h"
#include "lease.h"
#include "methods.h"
#include "move-keys-bus.h"
#include "placement.h"

typedef struct PlaceCall {
        MoveKeys keys;
        char **candidates;
        char *pool, *policy, *weights, *nodes, *note;
        uint64_t bytes;
        uint32_t cpus_milli;
        int dry_run, has_bytes, has_move_keys;

        ch_move_request what;
        Placement placement;
        Leases *leases;
        Lease *lease; /* on the group chosen, not yet the caller's */
} PlaceCall;

/* clang-format off */
static const OptionRow place_rows[] = {
        MOVE_KEYS_ROWS(PlaceCall, keys, offsetof(PlaceCall, has_move_keys)),
        { "bytes",      "t",     offsetof(PlaceCall, bytes), offsetof(PlaceCall, has_bytes) },
        { "cpus_milli", "u",     offsetof(PlaceCall, cpus_milli) },
        { "nodes",      "s",     offsetof(PlaceCall, nodes) },
        { "candidates", "as",    offsetof(PlaceCall, candidates) },
        { "pool",       "s",     offsetof(PlaceCall, pool) },
        { "placement",  "s",     offsetof(PlaceCall, policy) },
        { "weights",    "a{su}", offsetof(PlaceCall, weights) },
        { "dry_run",    "b",     offsetof(PlaceCall, dry_run) },
        { "note",       "s",     offsetof(PlaceCall, note) },
};
/* clang-format on */

static void place_call_free(void *data)
{
        PlaceCall *call = data;

        (void)lease_free(call->lease);
        placement_done(&call->placement);
        move_keys_done(&call->keys);
        for (char **path = call->candidates; path && *path; path++)
                free(*path);
        free(call->candidates);
        free(call->pool);
        free(call->policy);
        free(call->weights);
        free(call->nodes);
        free(call->note);
        free(call);
}

static int has_processes(const PlaceCall *call)
{
        return call->keys.pids.n || call->keys.pidfds.n || call->keys.group;
}

static int read_bytes(PlaceCall *call, ch_error **err)
{
        if (call->has_bytes && call->bytes == 0)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, "bytes",
                                 "0 bytes need no place: name what will be needed");
        if (call->bytes > PLACEMENT_BYTES_MAX)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, "bytes", "%llu is more than 2^63",
                                 (unsigned long long)call->bytes);
        if (has_processes(call))
                return 0;
        if (!call->has_bytes)
                return error_set(
                        err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                        "what is to be placed? Processes (pids, pidfds or group), or bytes "
                        "that will be needed");
        if (call->has_move_keys)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "tree, policy, backends, with_shared, max_growth_permyriad, rate_bytes_per_sec "
                                 "and timeout_usec go with processes, not with bytes alone");
        return 0;
}

static int read_nodes(PlaceCall *call, ch_error **err)
{
        if (!call->nodes || ch_place_nodes_parse(call->nodes, &call->placement.request.nodes) >= 0)
                return 0;
        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, call->nodes,
                         "not a list of NUMA nodes from 0 to %d, such as 0-1,3",
                         CH_PLACE_NODES - 1);
}

static int find_pool(const Conf *conf, const char *name, const ConfPool **ret, ch_error **err)
{
        _cleanup_(freep) char *names = conf_pools_names(&conf->pools);

        *ret = conf_pools_find(&conf->pools, name);
        if (*ret)
                return 0;
        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, name,
                         "no such pool: %s%s; a section [Pool %s] of the configuration makes it",
                         conf->pools.n ? "there are " : "the configuration has none",
                         names ? names : "", name);
}

static int read_named(Request *request, PlaceCall *call)
{
        Candidates *candidates = &call->placement.candidates;
        int r = 0;

        for (char **path = call->candidates; r >= 0 && *path; path++) {
                r = ch_path_check(*path, &request->error);
                if (r >= 0 && !groups_get(request->manager->groups, *path))
                        r = error_set(&request->error, CH_ERROR_NO_SUCH_GROUP, 0, *path,
                                      "no such group");
                if (r >= 0)
                        r = candidates_append(candidates, *path);
                if (r == -E2BIG)
                        r = error_set(&request->error, CH_ERROR_BAD_VALUE, E2BIG, "candidates",
                                      "more than %d", CANDIDATES_MAX);
        }
        return r;
}

static int read_candidates(Request *request, PlaceCall *call, const ConfPool *pool)
{
        const Conf *conf = request->manager->conf;
        Candidates *candidates = &call->placement.candidates;
        int r;

        if ((call->candidates != NULL) + (pool != NULL) != 1) {
                _cleanup_(freep) char *names = conf_pools_names(&conf->pools);

                return error_set(&request->error, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "exactly one of candidates and pool is needed; pools: %s",
                                 names && *names ? names : "none");
        }
        watches_settle(request->manager->watches);
        r = pool ? pool_match(pool, request->manager->groups, candidates, &request->error)
                 : read_named(request, call);
        return r < 0 ? r
                     : ch_place_check_candidates((const char *const *)candidates->paths,
                                                 candidates->n, &request->error);
}

/* Those of the call, else those of the pool; the weights of a pool belong to its policy. */
static int read_policy(PlaceCall *call, const ConfPool *pool, ch_error **err)
{
        ch_place_request *what = &call->placement.request;

        what->policy = pool ? pool->policy : CH_PLACE_POLICY_SPREAD;
        if (call->policy && ch_place_policy_from_string(call->policy, &what->policy) < 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, call->policy,
                                 "no such placement: spread, pack or affinity");
        if (pool && !call->policy)
                what->weights = pool->weights;
        return call->weights ? ch_place_weights_parse(call->weights, &what->weights, err) : 0;
}

static int read_processes(Request *request, PlaceCall *call)
{
        int r;

        if (!has_processes(call))
                return 0;
        if (call->keys.tree && call->keys.group)
                return error_set(&request->error, CH_ERROR_BAD_VALUE, EINVAL, "tree",
                                 "goes with pids and pidfds: a group is placed with its members");
        r = move_keys_check(&call->keys, request->manager->conf, request->uid, &request->error);
        if (r < 0)
                return r;
        call->keys.options.claimed = claims_claimed;
        call->keys.options.claimed_userdata = request->manager->claims;
        call->what = (ch_move_request){
                .pids = call->keys.targets,
                .n_pids = call->keys.n_targets,
                .with_tree = call->keys.tree,
                .group = call->keys.group,
        };
        call->placement.what = &call->what;
        call->placement.options = &call->keys.options;
        return 0;
}

static int read_call(Request *request, PlaceCall *call)
{
        const Conf *conf = request->manager->conf;
        ch_error **err = &request->error;
        const ConfPool *pool = NULL;
        int r;

        move_keys_init(&call->keys, conf);
        r = options_read(request->message, place_rows, ELEMENTSOF(place_rows), call, err);
        if (r >= 0 && call->note && strlen(call->note) > CLAIM_NOTE_MAX)
                r = error_set(err, CH_ERROR_BAD_VALUE, ERANGE, "note", "longer than %d bytes",
                              CLAIM_NOTE_MAX);
        if (r >= 0)
                r = read_bytes(call, err);
        if (r >= 0)
                r = read_nodes(call, err);
        if (r >= 0 && call->pool)
                r = find_pool(conf, call->pool, &pool, err);
        if (r >= 0)
                r = read_policy(call, pool, err);
        if (r >= 0)
                r = read_candidates(request, call, pool);
        return r < 0 ? r : read_processes(request, call);
}

static int place_work(Request *request)
{
        PlaceCall *call = request->data;
        Placement *placement = &call->placement;
        int r;

        r = placement_work(placement, &request->error);
        if (r >= 0 && placement->what)
                return move_keys_check_pidfds(&call->keys, &request->error);
        if (r < 0 || call->dry_run)
                return r;
        r = lease_new(call->leases, placement->claim, &call->lease, &request->error);
        placement->claim = 0; /* the lease's now, or released */
        return r;
}

/* The report, and what goes beside it. `lease` < 0: none. */
static int reply(Request *request, json_object *json, const Job *job, int lease)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *object = job ? job_bus_path(job->id) : NULL;
        int r;

        if (job && !object)
                return -ENOMEM;
        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = json_bus_append_entries(reply, json);
        if (r >= 0 && job)
                r = sd_bus_message_append(reply, "{sv}{sv}", "job", "u", job->id, "object", "o",
                                          object);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ah", lease >= 0, lease);
        return r < 0 ? r : request_send(request, reply);
}

static int hand_to_job(Request *request, PlaceCall *call)
{
        Placement *placement = &call->placement;
        JobRoom room = { .claim = placement->claim };
        Job *job;
        int r;

        r = method_check_job_limit(request);
        if (r < 0)
                return r;
        r = jobs_add_move(request->manager->jobs, TAKE_PTR(placement->plan), placement->chosen,
                          request->uid, &room, &job, &request->error);
        if (r < 0)
                return r; /* placement_done() gives the room back, unless the job has done so */
        placement->claim = 0;
        return reply(request, placement->json, job, -EBADF);
}

static int hand_to_lease(Request *request, PlaceCall *call)
{
        Lease *lease = call->lease;
        int r;

        r = lease_start(lease);
        if (r < 0)
                return r;
        call->lease = NULL;
        r = reply(request, call->placement.json, NULL, lease_get_fd(lease));
        lease_let_go(lease);
        return r;
}

static int place_finish(Request *request)
{
        PlaceCall *call = request->data;

        if (!request->message)
                return 0; /* told that it timed out, or gone: place_call_free() gives the room back
                           */
        if (call->dry_run)
                return reply(request, call->placement.json, NULL, -EBADF);
        return call->placement.what ? hand_to_job(request, call) : hand_to_lease(request, call);
}

int method_place(Request *request)
{
        Manager *manager = request->manager;
        PlaceCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = place_call_free;
        request->flags |= REQUEST_WAITS;
        call->placement.claims = manager->claims;
        call->leases = manager->leases;
        r = read_call(request, call);
        if (r < 0)
                return r;
        call->placement.tree = manager->tree;
        call->placement.uid = request->uid;
        call->placement.pid = request->client->pid;
        call->placement.inside_only = manager->inside_only;
        call->placement.request.bytes = call->bytes;
        call->placement.request.cpus_milli = call->cpus_milli;
        call->placement.max_claims =
                manager->conf->claims_per_user * (uid_is_master(request->uid) ? 10 : 1);
        call->placement.note = call->note;
        call->placement.dry_run = call->dry_run;
        if (call->dry_run)
                request->flags |= REQUEST_READ_ONLY;
        return request_defer(request, place_work, place_finish);
}
