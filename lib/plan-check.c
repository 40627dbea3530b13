/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What speaks against a move before any memory is looked at: the kind of the target and of the
 * processes. */

#include <stdio.h>

#include "error.h"
#include "group.h"
#include "plan.h"
#include "procstat.h"
#include "util.h"

/* Controllers that do not mind processes in an inner group (cgroup-v2.rst, "Threads"). */
static const char *const threaded_controllers[] = { "cpu", "cpuset", "perf_event", "pids" };

/* The first of the words that is a controller for which no process may be in an inner group. */
static int find_domain_controller(const char *words, char *buffer, size_t size)
{
        for (const char *p = words; *p;) {
                size_t n = strcspn(p, " \n");
                int threaded = n == 0;

                for (size_t i = 0; i < ELEMENTSOF(threaded_controllers); i++)
                        threaded |= strlen(threaded_controllers[i]) == n &&
                                    strncmp(p, threaded_controllers[i], n) == 0;
                if (!threaded && n < size) {
                        memcpy(buffer, p, n);
                        buffer[n] = '\0';
                        return 1;
                }
                p += n;
                p += strspn(p, " \n");
        }
        return 0;
}

int group_check_takes_processes(const char *path, const ch_group_state *state, ch_error **err)
{
        char controller[64];

        if (state->threaded)
                return error_set(err, CH_ERROR_BAD_TARGET, EOPNOTSUPP, path,
                                 "cgroup.type is not 'domain': a threaded group takes threads, not "
                                 "processes; name a "
                                 "group that is no part of a threaded subtree");
        if (!state->is_root &&
            find_domain_controller(state->subtree_control, controller, sizeof(controller)))
                return error_set(err, CH_ERROR_BAD_TARGET, EBUSY, path,
                                 "cgroup.subtree_control enables '%s' for the groups below, so "
                                 "processes may only be in "
                                 "its leaves; name a leaf, or make one, such as %s/main",
                                 controller, path[1] ? path : "");
        return 0;
}

/* Frozen sources and a frozen target go together; a running process would stop without anyone
 * having asked for it. */
static int check_frozen(ch_plan *plan, const ch_group_state *state)
{
        const char *path = ch_group_get_path(plan->target);
        size_t n_running = 0;

        for (size_t i = SOURCE_TARGET + 1; i < plan->members.n_sources; i++) {
                const Source *source = &plan->members.sources[i];
                _cleanup_(freep) char *events = NULL;

                n_running++;
                if (read_file_at(source->dir_fd, "cgroup.events", 4096, &events, NULL) < 0)
                        continue;
                if (!strstr(events, "frozen 1"))
                        continue;
                n_running--;
                if (!state->frozen &&
                    plan_warn(plan, "%s is frozen; its processes will run again in %s",
                              source->path, path) < 0)
                        return -ENOMEM;
        }
        if (state->frozen && n_running > 0)
                return error_set(&plan->refusal, CH_ERROR_BAD_TARGET, EBUSY, path,
                                 "the target is frozen and would stop the processes; thaw it first "
                                 "(cgroup.freeze)");
        return 0;
}

static int refuse_process(ch_plan *plan, const ch_process *process, const char *why)
{
        char path[PROC_PATH_MAX];

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)process->pid);
        return error_set(&plan->refusal, CH_ERROR_BAD_PROCESS, EPERM, path, "%d (%s) %s",
                         (int)process->pid, process->comm, why);
}

/* Those that were named must be movable; what a tree or a group brings along is passed over and
 * reported. */
static int check_process(ch_plan *plan, const ch_process *process)
{
        if (!(process->flags & CH_PROCESS_ROOTED) && process->pid != 1)
                return 0;
        if (process->pid == 1)
                return refuse_process(plan, process,
                                      "is init; leave it where it is and move its children");
        if (process->flags & CH_PROCESS_KTHREAD)
                return refuse_process(plan, process,
                                      "is a kernel thread; those stay in the root group");
        if (process->flags & CH_PROCESS_ZOMBIE)
                return refuse_process(
                        plan, process,
                        "is a zombie: nothing of it is left to move; its parent must reap it");
        return 0;
}

static int check_processes(ch_plan *plan)
{
        size_t n_already = 0, n_live = 0;

        for (size_t i = 0; i < ch_procset_size(plan->set); i++) {
                const ch_process *process = ch_procset_get(plan->set, i);
                Member *member = &plan->members.items[i];
                const Source *source;

                if (check_process(plan, process) < 0)
                        return 0;
                if (member->source == SOURCE_NONE)
                        continue;
                n_live++;
                source = &plan->members.sources[member->source];
                if (member->source == SOURCE_TARGET) {
                        member->outcome = CH_OUTCOME_ALREADY;
                        n_already++;
                }
                if (source->outside &&
                    plan_warn(plan, "%d (%s) is outside this hierarchy, in %s", (int)process->pid,
                              process->comm, source->path) < 0)
                        return -ENOMEM;
        }
        if (n_live == 0)
                return plan_warn(plan, "there is no process to move");
        if (n_already == n_live)
                return plan_warn(plan,
                                 "all processes are in %s already; only charges remain to be moved",
                                 ch_group_get_path(plan->target));
        return 0;
}

int memory_is_on(const ch_tree *tree)
{
        _cleanup_(freep) char *words = NULL;

        if (faccessat(ch_tree_get_fd(tree), "memory.current", F_OK, 0) == 0)
                return 1;
        return read_file_at(ch_tree_get_fd(tree), "cgroup.controllers", 4096, &words, NULL) >= 0 &&
               words_contain(words, "memory");
}

static int check_memory(ch_plan *plan)
{
        const char *path = ch_group_get_path(plan->target);
        int own = faccessat(ch_group_get_fd(plan->target), "memory.current", F_OK, 0) == 0;

        if (plan->options.policy == CH_POLICY_STAY)
                return 0;
        if (!memory_is_on(plan->tree))
                return plan_warn(plan, "the memory controller is not on in this hierarchy: there "
                                       "are no charges to move "
                                       "(boot with cgroup_no_v1=memory)");
        plan->charges_on = 1;
        for (size_t i = 0; !own && path[1] && i < plan->members.n_sources; i++) {
                _cleanup_(error_freep) ch_error *why = NULL;

                if (plan->members.sources[i].memcg_id == plan->target_memcg_id)
                        continue;
                (void)error_controller_off(plan->tree, path, "memory", &why);
                return error_set(&plan->refusal, CH_ERROR_CONTROLLER_OFF, 0,
                                 *ch_error_get_path(why) ? ch_error_get_path(why) : path,
                                 "%s has no account of its own, so no charges can be moved to it: "
                                 "%s; or move with "
                                 "policy 'stay'",
                                 path, ch_error_get_cause(why));
        }
        return 0;
}

int plan_check(ch_plan *plan, ch_error **err)
{
        ch_group_state state = { 0 };
        int r;

        r = ch_group_read_state(plan->target, &state, err);
        if (r < 0)
                return r;
        r = check_processes(plan);
        if (r >= 0 && !plan->refusal)
                (void)group_check_takes_processes(ch_group_get_path(plan->target), &state,
                                                  &plan->refusal);
        if (r >= 0 && !plan->refusal)
                r = check_frozen(plan, &state);
        if (r >= 0 && !plan->refusal)
                r = check_memory(plan);
        ch_group_state_done(&state);
        if (plan->refusal)
                return 0;
        return r < 0 ? error_errno(err, r, ch_group_get_path(plan->target), "planning") : 0;
}

int plan_find_lca(ch_plan *plan)
{
        _cleanup_(freep) char *lca = strdup(ch_group_get_path(plan->target));

        if (!lca)
                return -ENOMEM;
        for (size_t i = 0; i < plan->members.n_sources; i++) {
                const Source *source = &plan->members.sources[i];
                char *next;
                int r;

                r = ch_path_lca(lca, source->outside ? "/" : source->path, &next);
                if (r < 0)
                        return r;
                free(lca);
                lca = next;
        }
        free(plan->lca);
        plan->lca = TAKE_PTR(lca);
        return 0;
}
