/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finishes or undoes a move whose mover died, from the journal's last record. */

#include <fcntl.h>

#include "error.h"
#include "group.h"
#include "move.h"
#include "procset.h"
#include "util.h"

static int bad_record(const char *what, ch_error **err)
{
        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, "",
                         "the journal's record has no usable '%s'", what);
}

/* An older daemon wrote numbers: all are as good then. */
static void read_backends(json_object *options, uint32_t *ret)
{
        json_object *array = json_get_array(options, "backends");

        if (!array)
                return;
        *ret = 0;
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                const char *word = json_object_get_string(json_object_array_get_idx(array, i));
                ch_backend backend;

                if (word && ch_backend_from_string(word, &backend) >= 0)
                        *ret |= 1u << backend;
        }
}

static int read_options(json_object *record, ch_move_options *ret, ch_error **err)
{
        const char *policy = json_get_string(record, "policy");
        json_object *options;

        if (!policy || ch_policy_from_string(policy, &ret->policy) < 0)
                return bad_record("policy", err);
        if (json_object_object_get_ex(record, "options", &options)) {
                read_backends(options, &ret->backends);
                ret->with_shared = json_get_u64(options, "with_shared") != 0;
                ret->max_growth_permyriad = (uint32_t)json_get_u64(options, "max_growth_permyriad");
                ret->rate_bytes_per_sec = json_get_u64(options, "rate_bytes_per_sec");
        }
        return 0;
}

/* The mover may have died with a source frozen. */
static void thaw_all(ch_tree *tree, json_object *record)
{
        json_object *frozen = json_get_array(record, "frozen");

        for (size_t i = 0; frozen && i < json_object_array_length(frozen); i++) {
                const char *path = json_object_get_string(json_object_array_get_idx(frozen, i));
                _cleanup_(closep) int dir_fd = path ? tree_open_dir(tree, path, NULL) : -EBADF;
                _cleanup_(closep) int fd = -EBADF;

                if (dir_fd >= 0)
                        fd = openat(dir_fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
                if (fd >= 0)
                        (void)!write(fd, "0", 1);
        }
}

/* The same process still, by its start time. Its source may be gone: then the member remembers the
 * path all the same. */
static int add_recorded(ch_plan *plan, json_object *entry, ch_error **err)
{
        pid_t pid = (pid_t)json_get_u64(entry, "pid");
        const char *group = json_get_string(entry, "group");
        size_t before = ch_procset_size(plan->set);
        const ch_process *process;
        Member *member;
        int r;

        if (pid <= 0 || !group)
                return bad_record("sources", err);
        r = procset_add(plan->set, pid, 0, 1, NULL);
        if (r == -ESRCH || ch_procset_size(plan->set) == before)
                return 0;
        if (r < 0)
                return error_errno(err, r, "/proc", "adding a process");
        r = members_append(&plan->members, plan->set);
        if (r < 0)
                return error_errno(err, r, "/proc", "adding a process");
        process = ch_procset_get(plan->set, before);
        member = &plan->members.items[before];
        if (process->start_ticks != json_get_u64(entry, "start_ticks"))
                member->outcome = CH_OUTCOME_EXITED;
        else if (member->outcome == CH_OUTCOME_PENDING)
                return members_add_past_source(&plan->members, plan->tree, group,
                                               !!json_get_u64(entry, "outside"), &member->source,
                                               err);
        return 0;
}

static int add_processes(ch_plan *plan, json_object *record, ch_error **err)
{
        json_object *sources = json_get_array(record, "sources");

        if (!sources)
                return bad_record("sources", err);
        for (size_t i = 0; i < json_object_array_length(sources); i++) {
                int r = add_recorded(plan, json_object_array_get_idx(sources, i), err);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int open_target(ch_plan *plan, json_object *record, ch_error **err)
{
        const char *path = json_get_string(record, "target");
        uint32_t index;
        int r;

        if (!path)
                return bad_record("target", err);
        r = ch_tree_open_group(plan->tree, path, &plan->target, err);
        if (r < 0)
                return r;
        if (ch_group_get_id(plan->target) != json_get_u64(record, "target_id"))
                return error_set(err, CH_ERROR_NO_SUCH_GROUP, ENODEV, path,
                                 "the group was removed and made anew since the move began; its "
                                 "processes are gone");
        r = members_add_source(&plan->members, plan->tree, path, &index, err);
        if (r >= 0)
                plan->target_memcg_id = plan->members.sources[SOURCE_TARGET].memcg_id;
        return r;
}

static int fill_plan(ch_plan *plan, json_object *record, ch_error **err)
{
        const char *group = json_get_string(record, "group");
        int r;

        r = read_options(record, &plan->options, err);
        if (r >= 0)
                r = open_target(plan, record, err);
        if (r < 0)
                return r;
        if (ch_procset_new(&plan->set) < 0 || (group && !(plan->group = strdup(group))))
                return error_errno(err, ENOMEM, NULL, "recovering");
        plan->with_tree = (int)json_get_u64(record, "with_tree");
        plan->charges_on = plan->options.policy != CH_POLICY_STAY && memory_is_on(plan->tree);
        r = add_processes(plan, record, err);
        if (r < 0)
                return r;
        r = plan_find_lca(plan);
        return r < 0 ? error_errno(err, r, NULL, "recovering") : 0;
}

/* Where everyone is now decides what has to be done, not what the record thinks. */
static int mark_places(ch_move *m)
{
        Members *ms = &m->plan->members;
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;
        int r;

        r = procs_read(ms->sources[SOURCE_TARGET].dir_fd, &pids, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                ssize_t slot = procset_find_slot(m->plan->set, pids[i]);

                if (slot < 0 || ms->items[slot].outcome != CH_OUTCOME_PENDING)
                        continue;
                ms->items[slot].outcome = ms->items[slot].source == SOURCE_TARGET
                                                  ? CH_OUTCOME_ALREADY
                                                  : CH_OUTCOME_MOVED;
        }
        for (size_t i = 0; i < ms->n; i++)
                if (ms->items[i].outcome == CH_OUTCOME_PENDING)
                        ms->items[i].outcome = CH_OUTCOME_RETURNED;
        return 0;
}

static int load(ch_tree *tree, json_object *record, const ch_move_hooks *hooks, ch_move **ret,
                ch_error **err)
{
        static const ch_move_options defaults = CH_MOVE_OPTIONS_INIT;
        _cleanup_(ch_plan_freep) ch_plan *plan = calloc(1, sizeof(*plan));
        _cleanup_(ch_move_freep) ch_move *m = NULL;
        int r;

        if (!plan)
                return error_errno(err, ENOMEM, NULL, "recovering");
        plan->tree = ch_tree_ref(tree);
        plan->options = defaults;
        plan->charges = (Charges)CHARGES_INIT;
        r = fill_plan(plan, record, err);
        if (r >= 0)
                r = ch_move_new(plan, hooks, &m, err);
        if (r < 0)
                return r;
        (void)TAKE_PTR(plan);
        m->record = json_object_get(record);
        m->n_recorded = m->plan->members.n;
        m->target_was_empty =
                json_object_get_boolean(json_object_object_get(record, "target_was_empty"));
        r = mark_places(m);
        if (r < 0)
                return error_errno(err, r, ch_group_get_path(m->plan->target),
                                   "reading cgroup.procs");
        *ret = TAKE_PTR(m);
        return 0;
}

/* Children born since are in the target by birth. */
static int add_newcomers(ch_move *m, ch_error **err)
{
        Members *ms = &m->plan->members;
        size_t first = ms->n;
        int r;

        if (!m->plan->with_tree && !m->plan->group)
                return 0;
        r = ch_procset_rescan(m->plan->set, err);
        if (r < 0)
                return r;
        r = members_append(ms, m->plan->set);
        if (r < 0)
                return error_errno(err, r, NULL, "recovering");
        for (size_t i = first; i < ms->n; i++)
                if (ms->items[i].outcome == CH_OUTCOME_PENDING) {
                        ms->items[i].outcome = CH_OUTCOME_ALREADY;
                        ms->items[i].source = SOURCE_TARGET;
                }
        return 0;
}

/* All processes had arrived: the charges follow, as far as they had not yet. */
static int finish(ch_move *m, ch_error **err)
{
        int r = add_newcomers(m, err);

        if (r >= 0 && m->plan->charges_on) {
                r = plan_scan_charges(m->plan, 0, &m->plan->charges, err);
                if (r >= 0)
                        r = charges_choose(&m->plan->charges,
                                           m->plan->options.max_growth_permyriad);
                if (r >= 0)
                        r = plan_find_payers(m->plan);
                m->planned_bytes = m->plan->charges.movable_bytes;
                if (r >= 0)
                        r = move_finish_charges(m, err);
        }
        return r < 0 && m->plan->options.policy == CH_POLICY_RESERVE ? r : move_end(m, r, err);
}

static int recover(ch_move *m, ch_step step, ch_error **err)
{
        int r;

        m->started_usec = now_usec();
        if (step == CH_STEP_DONE) {
                m->state = MOVE_FINISHED;
                return 0;
        }
        if (step == CH_STEP_CHARGES || step == CH_STEP_MEASURE) {
                r = finish(m, &m->error);
                if (r >= 0)
                        return r;
        }
        r = move_roll_back(m, step > CH_STEP_VERIFY, err);
        return r < 0 ? r : 0;
}

/* With the target gone nobody can be in it: nothing is left to be undone. */
static int target_is_gone(json_object *record, const ch_error *reason, json_object **ret)
{
        static const char *const zeros[] = { "moved",       "exited",         "failed",
                                             "moved_bytes", "returned_bytes", "planned_bytes" };
        _cleanup_(json_putp) json_object *root = json_object_new_object();
        const char *target = json_get_string(record, "target"),
                   *policy = json_get_string(record, "policy");

        if (!root || json_add_string(root, "target", target ? target : "") < 0 ||
            json_add_string(root, "policy", policy ? policy : "") < 0 ||
            json_add_string(root, "state", "rolled back") < 0 ||
            json_add_error(root, "error", reason) < 0 || !json_add_array(root, "processes") ||
            !json_add_array(root, "rows") || !json_add_array(root, "staying"))
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(zeros); i++)
                if (json_add_u64(root, zeros[i], 0) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(root);
        return 0;
}

_public_ int ch_move_recover(ch_tree *tree, struct json_object *record, const ch_move_hooks *hooks,
                             struct json_object **result, ch_error **err)
{
        _cleanup_(ch_move_freep) ch_move *m = NULL;
        const char *word = json_get_string(record, "step");
        _cleanup_(error_freep) ch_error *reason = NULL;
        ch_step step;
        int r;

        if (!word || step_from_string(word, &step) < 0)
                return bad_record("step", err);
        thaw_all(tree, record);
        r = load(tree, record, hooks, &m, &reason);
        if (r == -ENODEV && result && target_is_gone(record, reason, result) >= 0)
                return 0;
        if (r < 0)
                return error_copy(err, reason);
        r = recover(m, step, err);
        m->elapsed_usec = now_usec() - m->started_usec;
        if (result) {
                int r2 = ch_move_to_json(m, result);

                if (r2 < 0)
                        return error_errno(err, r2, ch_group_get_path(m->plan->target),
                                           "recovering");
        }
        return r;
}
