/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan as JSON, for printing and for the bus; the schema is in include/chargehand/move.h. */

#include <stdio.h>

#include "json-build.h"
#include "plan.h"
#include "util.h"

int json_add_backends(json_object *o, uint32_t backends)
{
        char names[64] = "";

        for (unsigned i = 0; i < CH_BACKEND_MAX_; i++)
                if (backends & 1u << i)
                        (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", *names ? ", " : "",
                                       ch_backend_to_string((ch_backend)i));
        return json_add_string(o, "backend", names);
}

static int add_kinds(json_object *root, const char *key, const uint64_t sums[CH_KIND_MAX_])
{
        json_object *o = NULL;

        for (unsigned kind = 0; kind < CH_KIND_MAX_; kind++) {
                if (sums[kind] == 0)
                        continue;
                if (!o) {
                        o = json_object_new_object();
                        if (json_add(root, key, o) < 0)
                                return -ENOMEM;
                }
                if (json_add_u64(o, ch_kind_to_string((ch_kind)kind), sums[kind]) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int json_add_backend_sums(json_object *root, uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_])
{
        json_object *o = json_object_new_object();
        int r = json_add(root, "backends", o);

        for (unsigned i = 0; i < CH_BACKEND_MAX_ && r >= 0; i++)
                r = add_kinds(o, ch_backend_to_string((ch_backend)i), sums[i]);
        return r;
}

static int add_backends(const ch_plan *plan, json_object *root)
{
        uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_] = { 0 };

        charges_sum_backends(&plan->charges, sums);
        return json_add_backend_sums(root, sums);
}

static const char *process_note(const Member *member)
{
        return member->outcome == CH_OUTCOME_PENDING ? "" : ch_outcome_to_string(member->outcome);
}

static int add_processes(const ch_plan *plan, json_object *root)
{
        json_object *array = json_add_array(root, "processes");

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < plan->members.n; i++) {
                const ch_process *process = ch_procset_get(plan->set, i);
                const Member *member = &plan->members.items[i];
                json_object *o = json_append_object(array);

                if (json_add_u64(o, "pid", (uint64_t)process->pid) < 0 ||
                    json_add_string(o, "comm", process->comm) < 0 ||
                    json_add_u64(o, "uid", process->uid) < 0 ||
                    json_add_string(o, "group",
                                    member->source == SOURCE_NONE
                                            ? ""
                                            : plan->members.sources[member->source].path) < 0 ||
                    json_add_string(o, "note", process_note(member)) < 0)
                        return -ENOMEM;
        }
        return json_add_u64(root, "n_processes", plan->members.n);
}

static const char *mm_note(const ch_mm *mm)
{
        if (mm->owner && !mm->owner_inside)
                return "an owner outside the move pays: its charges stay";
        return mm->n_outside ? "shared with processes outside the move; the owner is inside, so "
                               "its charges move"
                             : "shared within the move";
}

static int add_mm(json_object *array, const ch_plan *plan, const ch_mm *mm)
{
        json_object *o = json_append_object(array);
        const char *pays = mm->owner_inside ? ch_group_get_path(plan->target) : "";
        _cleanup_(freep) char *outside = NULL;

        if (mm->owner && !mm->owner_inside &&
            ch_tree_path_of_pid(plan->tree, mm->owner, &outside, NULL) >= 0)
                pays = outside;
        if (json_add_u64(o, "pid", (uint64_t)mm->pid) < 0 ||
            json_add_u64(o, "inside", mm->n_inside) < 0 ||
            json_add_u64(o, "outside", mm->n_outside) < 0 ||
            json_add_u64(o, "outside_pid", (uint64_t)mm->outside_pid) < 0 ||
            json_add_u64(o, "owner", (uint64_t)mm->owner) < 0 ||
            json_add_bool(o, "owner_inside", mm->owner_inside) < 0 ||
            json_add_string(o, "pays", pays) < 0)
                return -ENOMEM;
        return json_add_string(o, "note", mm_note(mm));
}

static int add_mms(const ch_plan *plan, json_object *root)
{
        json_object *array = json_add_array(root, "mms");

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < ch_procset_n_mms(plan->set); i++) {
                const ch_mm *mm = ch_procset_get_mm(plan->set, i);

                if (mm->n_inside < 2 && mm->n_outside == 0)
                        continue;
                if (add_mm(array, plan, mm) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_row(json_object *array, const ChargeRow *row, const char *group)
{
        json_object *o = json_append_object(array);

        if (json_add_string(o, "group", group) < 0 ||
            json_add_string(o, "kind", ch_kind_to_string(row->kind)) < 0 ||
            json_add_u64(o, "bytes", row->bytes) < 0 ||
            json_add_u64(o, "movable_bytes", row->movable_bytes) < 0)
                return -ENOMEM;
        return json_add_backends(o, row->backends);
}

static void map_freep(ch_map **map)
{
        (void)ch_map_free(*map);
}

static int add_rows(const ch_plan *plan, json_object *root)
{
        _cleanup_(map_freep) ch_map *names = NULL;
        json_object *array = json_add_array(root, "rows");

        if (!array)
                return -ENOMEM;
        /* an empty map, for the way it names groups that are removed or not in the tree */
        if (plan->charges.n_rows && ch_map_new(plan->tree, &names, NULL) < 0)
                return 0;
        for (size_t i = 0; i < plan->charges.n_rows; i++) {
                const ChargeRow *row = &plan->charges.rows[i];
                _cleanup_(freep) char *name = NULL;

                if (ch_map_name_group(names, row->group_id, &name) < 0 ||
                    add_row(array, row, name) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int charges_staying_to_json(const Charges *c, json_object *root)
{
        json_object *array = json_add_array(root, "staying");

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < CH_KIND_MAX_ * (size_t)CH_REASON_MAX_; i++) {
                size_t kind = i / CH_REASON_MAX_, reason = i % CH_REASON_MAX_;
                const char *advice = reason_get_advice((ch_reason)reason);
                json_object *o;

                if (c->staying[kind][reason] == 0)
                        continue;
                o = json_append_object(array);
                if (json_add_string(o, "kind", ch_kind_to_string((ch_kind)kind)) < 0 ||
                    json_add_string(o, "reason", ch_reason_to_string((ch_reason)reason)) < 0 ||
                    json_add_u64(o, "bytes", c->staying[kind][reason]) < 0 ||
                    json_add_string(o, "advice", advice ? advice : "") < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_rooms(const ch_plan *plan, json_object *root)
{
        json_object *array = json_add_array(root, "room");

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < plan->n_rooms; i++) {
                const Room *room = &plan->rooms[i];
                json_object *o = json_append_object(array);

                if (json_add_string(o, "group", room->group) < 0 ||
                    json_add_string(o, "limit", room->limit) < 0 ||
                    json_add_limit(o, "limit_bytes", room->limit_bytes) < 0 ||
                    json_add_u64(o, "current_bytes", room->current_bytes) < 0 ||
                    json_add_u64(o, "claimed_bytes", room->claimed_bytes) < 0 ||
                    json_add_limit(o, "free_bytes", room->free_bytes) < 0 ||
                    json_add_u64(o, "needed_bytes", room->needed_bytes) < 0 ||
                    json_add_u64(o, "short_bytes", room->short_bytes) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_sums(const ch_plan *plan, json_object *root)
{
        const Charges *c = &plan->charges;
        const struct {
                const char *key;
                uint64_t value;
        } sums[] = {
                {"movable_bytes",   c->movable_bytes   },
                { "staying_bytes",  c->staying_bytes   },
                { "already_bytes",  c->already_bytes   },
                { "growth_bytes",   c->growth_bytes    },
                { "reclaim_bytes",  plan->reclaim_bytes},
                { "resident_bytes", c->resident_bytes  },
                { "anon_bytes",     c->anon_bytes      },
        };

        for (size_t i = 0; i < ELEMENTSOF(sums); i++)
                if (json_add_u64(root, sums[i].key, sums[i].value) < 0)
                        return -ENOMEM;
        return 0;
}

static int add_warnings(const ch_plan *plan, json_object *root)
{
        json_object *array = json_add_array(root, "warnings");

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < plan->n_warnings; i++)
                if (json_append_string(array, plan->warnings[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static int fill(const ch_plan *plan, json_object *root)
{
        if (json_add_string(root, "target", ch_group_get_path(plan->target)) < 0 ||
            json_add_string(root, "lca", plan->lca) < 0 ||
            json_add_string(root, "policy", ch_policy_to_string(plan->options.policy)) < 0 ||
            json_add_bool(root, "feasible", !plan->refusal) < 0 ||
            (plan->refusal && json_add_error(root, "refusal", plan->refusal) < 0))
                return -ENOMEM;
        if (add_processes(plan, root) < 0 || add_mms(plan, root) < 0 || add_rows(plan, root) < 0 ||
            charges_staying_to_json(&plan->charges, root) < 0 || add_rooms(plan, root) < 0 ||
            add_backends(plan, root) < 0 || add_sums(plan, root) < 0)
                return -ENOMEM;
        return add_warnings(plan, root);
}

_public_ int ch_plan_to_json(const ch_plan *plan, struct json_object **ret)
{
        json_object *root = json_object_new_object();

        if (!root || fill(plan, root) < 0) {
                json_object_put(root);
                return -ENOMEM;
        }
        *ret = root;
        return 0;
}
