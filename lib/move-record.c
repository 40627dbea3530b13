/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's record of a move: enough to finish or to undo it by someone who knows nothing else.
 */

#include "move.h"
#include "util.h"

enum {
        RECORD_VERSION = 1,
};

/* By name: their order may change with a new version of the daemon. */
static int add_backends(json_object *o, uint32_t backends)
{
        json_object *array = json_add_array(o, "backends");

        for (unsigned i = 0; array && i < CH_BACKEND_MAX_; i++)
                if ((backends & 1u << i) && json_append_string(array, ch_backend_to_string((ch_backend)i)) < 0)
                        return -ENOMEM;
        return array ? 0 : -ENOMEM;
}

static int add_options(json_object *record, const ch_move_options *options)
{
        json_object *o = json_object_new_object();

        if (json_add(record, "options", o) < 0 || add_backends(o, options->backends) < 0 ||
            json_add_u64(o, "with_shared", (uint64_t) !!options->with_shared) < 0 ||
            json_add_u64(o, "max_growth_permyriad", options->max_growth_permyriad) < 0)
                return -ENOMEM;
        return json_add_u64(o, "rate_bytes_per_sec", options->rate_bytes_per_sec);
}

static int record_new(const ch_move *m, json_object **ret)
{
        const ch_plan *plan = m->plan;
        _cleanup_(json_putp) json_object *record = json_object_new_object();

        if (json_add_u64(record, "version", RECORD_VERSION) < 0 ||
            json_add_string(record, "policy", ch_policy_to_string(plan->options.policy)) < 0 ||
            json_add_string(record, "target", ch_group_get_path(plan->target)) < 0 ||
            json_add_u64(record, "target_id", ch_group_get_id(plan->target)) < 0 ||
            json_add_bool(record, "target_was_empty", m->target_was_empty) < 0 ||
            json_add_u64(record, "with_tree", (uint64_t) !!plan->with_tree) < 0 ||
            (plan->group && json_add_string(record, "group", plan->group) < 0) ||
            !json_add_array(record, "sources") || add_options(record, &plan->options) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(record);
        return 0;
}

/* Those that joined since the last time. */
static int add_sources(ch_move *m)
{
        json_object *array = json_get_array(m->record, "sources");

        for (; m->n_recorded < m->plan->members.n; m->n_recorded++) {
                const Member *member = &m->plan->members.items[m->n_recorded];
                const ch_process *process = ch_procset_get(m->plan->set, m->n_recorded);
                json_object *o;

                if (member->source == SOURCE_NONE)
                        continue;
                o = json_append_object(array);
                if (json_add_u64(o, "pid", (uint64_t)process->pid) < 0 ||
                    json_add_u64(o, "start_ticks", process->start_ticks) < 0 ||
                    json_add_string(o, "group", m->plan->members.sources[member->source].path) <
                            0 ||
                    json_add_u64(o, "outside",
                                 (uint64_t)m->plan->members.sources[member->source].outside) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_frozen(ch_move *m)
{
        json_object *array = json_add_array(m->record, "frozen");

        for (size_t i = 0; i < m->plan->members.n_sources; i++)
                if (m->plan->members.sources[i].frozen_by_us &&
                    json_append_string(array, m->plan->members.sources[i].path) < 0)
                        return -ENOMEM;
        return array ? 0 : -ENOMEM;
}

int record_update(ch_move *m)
{
        int r = 0;

        if (!m->hooks.journal)
                return 0;
        if (!m->record)
                r = record_new(m, &m->record);
        if (r >= 0)
                r = add_sources(m);
        if (r >= 0)
                r = add_frozen(m);
        return r < 0 ? r : json_add_string(m->record, "step", ch_step_to_string(m->step));
}
