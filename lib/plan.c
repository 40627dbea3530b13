/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a plan: which processes, from where, with which charges, and is there room. Changes
 * nothing. */

#include <stdio.h>
#include <time.h>

#include "error.h"
#include "group.h"
#include "plan.h"
#include "util.h"

enum {
        WARNINGS_MAX = 64,
};

int plan_warn(ch_plan *plan, const char *format, ...)
{
        va_list args;
        char *text;
        int r;

        if (plan->n_warnings >= WARNINGS_MAX)
                return 0;
        if (array_reserve(&plan->warnings, &plan->n_warnings_allocated, plan->n_warnings + 1,
                          sizeof(*plan->warnings)) < 0)
                return -ENOMEM;
        va_start(args, format);
        r = vasprintf(&text, format, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        plan->warnings[plan->n_warnings++] = text;
        return 0;
}

static int bad_pid(pid_t pid, ch_error **err)
{
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        return error_set(err, CH_ERROR_BAD_PROCESS, EINVAL, path,
                         "pid '%d' names no single process; give the pid of the process to move",
                         (int)pid);
}

/* All at once but for init: a tree by tree resolution looks at each process of the host over and
 * over. */
static int resolve_trees(ch_plan *plan, const ch_move_request *request, ch_error **err)
{
        for (size_t i = 0, end; i < request->n_pids; i = end + 1) {
                int r;

                for (end = i; end < request->n_pids && request->pids[end] != 1; end++)
                        ;
                r = ch_procset_add_trees(plan->set, request->pids + i, end - i, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int resolve_pids(ch_plan *plan, const ch_move_request *request, ch_error **err)
{
        for (size_t i = 0; i < request->n_pids; i++) {
                pid_t pid = request->pids[i];
                int r;

                if (pid <= 0)
                        return bad_pid(pid, err);
                /* the whole host would be init's tree; plan_check() says no to init itself */
                r = request->with_tree && pid != 1 ? 0 : ch_procset_add_pid(plan->set, pid, err);
                if (r < 0)
                        return r;
        }
        return request->with_tree ? resolve_trees(plan, request, err) : 0;
}

static int resolve_group(ch_plan *plan, const char *path, ch_error **err)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        uint32_t index;
        int r;

        r = ch_tree_open_group(plan->tree, path, &group, err);
        if (r < 0)
                return r;
        plan->group = strdup(path);
        if (!plan->group)
                return error_errno(err, ENOMEM, path, "planning");
        r = members_add_source(&plan->members, plan->tree, path, &index, err);
        return r < 0 ? r : ch_procset_add_group(plan->set, group, 0, err);
}

static int resolve(ch_plan *plan, const ch_move_request *request, ch_error **err)
{
        int r;

        r = ch_procset_new(&plan->set);
        if (r < 0)
                return error_errno(err, r, NULL, "planning");
        r = request->group ? resolve_group(plan, request->group, err)
                           : resolve_pids(plan, request, err);
        return r < 0 ? r : members_sync(&plan->members, plan->tree, plan->set, err);
}

static int check_request(const ch_move_request *request, ch_error **err)
{
        if (!request->target)
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, "",
                                 "no target was named; name a group such as /web");
        if (request->group ? request->n_pids > 0 : request->n_pids == 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, request->target,
                                 "name either processes or one group to be moved there");
        return 0;
}

/* The target is the first source as well: what is there already needs no move. */
static int open_target(ch_plan *plan, const char *path, ch_error **err)
{
        uint32_t index;
        int r;

        r = ch_tree_open_group(plan->tree, path, &plan->target, err);
        if (r < 0)
                return r;
        r = members_add_source(&plan->members, plan->tree, path, &index, err);
        if (r < 0)
                return r;
        plan->target_memcg_id = plan->members.sources[SOURCE_TARGET].memcg_id;
        return 0;
}

/* Without the map (no right to it, no such file) only the processes can be moved: that is a
 * refusal, not a failure. */
static int map_charges(ch_plan *plan, ch_error **err)
{
        _cleanup_(error_freep) ch_error *reason = NULL;
        int r;

        r = plan_scan_charges(plan, 0, &plan->charges, &reason);
        if (r == -ENOMEM)
                return error_copy(err, reason);
        if (r < 0) {
                (void)error_set(
                        &plan->refusal, ch_error_get_kind(reason), -r, ch_error_get_path(reason),
                        "the charges cannot be mapped: %s; policy 'stay' moves the processes alone",
                        ch_error_get_cause(reason));
                return 0;
        }
        r = charges_choose(&plan->charges, plan->options.max_growth_permyriad);
        if (r >= 0)
                r = plan_find_payers(plan);
        return r < 0 ? error_errno(err, r, NULL, "planning") : 0;
}

/* As field 22 of /proc/PID/stat, rounded down. */
static uint64_t now_ticks(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * (uint64_t)sysconf(_SC_CLK_TCK);
}

static int make(ch_plan *plan, const ch_move_request *request, ch_error **err)
{
        int r;

        r = open_target(plan, request->target, err);
        if (r < 0)
                return r;
        r = resolve(plan, request, err);
        if (r < 0)
                return r;
        r = plan_check(plan, err);
        if (r < 0)
                return r;
        if (plan->charges_on && !plan->refusal) {
                r = map_charges(plan, err);
                if (r < 0)
                        return r;
        }
        r = plan_find_lca(plan);
        if (r < 0)
                return error_errno(err, r, request->target, "planning");
        return plan->charges_on && !plan->refusal ? plan_find_room(plan, err) : 0;
}

_public_ int ch_plan_new(ch_tree *tree, const ch_move_request *request,
                         const ch_move_options *options, ch_plan **ret, ch_error **err)
{
        static const ch_move_options defaults = CH_MOVE_OPTIONS_INIT;
        _cleanup_(ch_plan_freep) ch_plan *plan = NULL;
        int r;

        r = check_request(request, err);
        if (r < 0)
                return r;
        plan = calloc(1, sizeof(*plan));
        if (!plan)
                return error_errno(err, ENOMEM, request->target, "planning");
        plan->tree = ch_tree_ref(tree);
        plan->options = options ? *options : defaults;
        plan->with_tree = request->with_tree;
        plan->charges = (Charges)CHARGES_INIT;
        plan->made_ticks = now_ticks();
        r = make(plan, request, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(plan);
        return 0;
}

_public_ ch_plan *ch_plan_free(ch_plan *plan)
{
        if (!plan)
                return NULL;
        for (size_t i = 0; i < plan->n_rooms; i++)
                free(plan->rooms[i].group);
        for (size_t i = 0; i < plan->n_payers; i++)
                free(plan->payers[i].path);
        for (size_t i = 0; i < plan->n_warnings; i++)
                free(plan->warnings[i]);
        free(plan->rooms);
        free(plan->payers);
        free(plan->warnings);
        free(plan->lca);
        free(plan->group);
        charges_done(&plan->charges);
        (void)ch_module_free(plan->own_module);
        members_done(&plan->members);
        (void)ch_procset_free(plan->set);
        (void)ch_group_unref(plan->target);
        (void)ch_tree_unref(plan->tree);
        ch_error_free(plan->refusal);
        free(plan);
        return NULL;
}

_public_ const ch_error *ch_plan_get_refusal(const ch_plan *plan)
{
        return plan->refusal;
}

_public_ const ch_procset *ch_plan_get_processes(const ch_plan *plan)
{
        return plan->set;
}

_public_ uint64_t ch_plan_get_movable_bytes(const ch_plan *plan)
{
        return plan->charges.movable_bytes;
}

_public_ uint64_t ch_plan_get_staying_bytes(const ch_plan *plan)
{
        return plan->charges.staying_bytes;
}

_public_ uint64_t ch_plan_get_reclaim_bytes(const ch_plan *plan)
{
        return plan->reclaim_bytes;
}
