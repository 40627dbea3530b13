/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of a move, as JSON; the schema is in include/chargehand/move.h. */

#include <stdio.h>

#include "move.h"
#include "util.h"

static const char *const state_words[] = {
        [MOVE_FINISHED] = "finished",       [MOVE_PARTLY] = "partly done",
        [MOVE_ROLLED_BACK] = "rolled back", [MOVE_REFUSED] = "refused",
        [MOVE_FAILED] = "failed",
};

static int add_note(json_object *o, const Member *member)
{
        _cleanup_(freep) char *note = NULL;
        int r = 0;

        if (member->outcome == CH_OUTCOME_RETURNED && member->found)
                r = asprintf(&note, "its group is gone; it is in %s, the nearest ancestor",
                             member->found);
        else if (member->found)
                r = asprintf(&note, "it is in %s: someone else moves it too", member->found);
        else if (member->errnum)
                r = asprintf(&note, "%s", strerror(member->errnum));
        if (r < 0)
                return -ENOMEM;
        return json_add_string(o, "note", note ? note : "");
}

static const char *group_now(const ch_move *m, const Member *member)
{
        if (member->found)
                return member->found;
        if (member->outcome == CH_OUTCOME_MOVED || member->outcome == CH_OUTCOME_ALREADY)
                return ch_group_get_path(m->plan->target);
        return member->source == SOURCE_NONE ? "" : m->plan->members.sources[member->source].path;
}

static int add_process(const ch_move *m, json_object *array, size_t slot)
{
        const ch_process *process = ch_procset_get(m->plan->set, slot);
        const Member *member = &m->plan->members.items[slot];
        json_object *o = json_append_object(array);

        if (json_add_u64(o, "pid", (uint64_t)process->pid) < 0 ||
            json_add_string(o, "comm", process->comm) < 0 ||
            json_add_string(o, "outcome", ch_outcome_to_string(member->outcome)) < 0 ||
            json_add_string(o, "group", group_now(m, member)) < 0)
                return -ENOMEM;
        return add_note(o, member);
}

static int add_processes(const ch_move *m, json_object *root)
{
        json_object *array = json_add_array(root, "processes");
        uint64_t counts[CH_OUTCOME_MAX_] = { 0 };

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < m->plan->members.n; i++) {
                counts[m->plan->members.items[i].outcome]++;
                if (add_process(m, array, i) < 0)
                        return -ENOMEM;
        }
        if (json_add_u64(root, "moved", counts[CH_OUTCOME_MOVED] + counts[CH_OUTCOME_ALREADY]) <
                    0 ||
            json_add_u64(root, "exited", counts[CH_OUTCOME_EXITED] + counts[CH_OUTCOME_ZOMBIE]) < 0)
                return -ENOMEM;
        return json_add_u64(root, "failed", counts[CH_OUTCOME_REFUSED]);
}

static uint64_t elsewhere_bytes(const ch_move *m, const Charges *c, ch_kind kind)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < c->n_rows; i++)
                if (c->rows[i].kind == kind && c->rows[i].group_id != m->plan->target_memcg_id &&
                    c->rows[i].group_id != CH_GROUP_ID_NONE)
                        bytes += c->rows[i].bytes;
        return bytes;
}

/* File pages that were dropped come back elsewhere: the maps tell. */
static uint64_t refaulted_bytes(const ch_move *m)
{
        if (!m->after.n_mms || m->state == MOVE_ROLLED_BACK)
                return 0;
        return sub_u64(elsewhere_bytes(m, &m->plan->charges, CH_KIND_FILE),
                       elsewhere_bytes(m, &m->after, CH_KIND_FILE) + m->moved_by[CH_BACKEND_MODULE][CH_KIND_FILE]);
}

static uint32_t backends_of(const ch_move *m, int kind)
{
        uint32_t bits = kind == CH_KIND_FILE && refaulted_bytes(m) ? 1u << CH_BACKEND_REFAULT : 0;

        for (unsigned i = 0; i < CH_BACKEND_MAX_; i++)
                if (m->moved_by[i][kind])
                        bits |= 1u << i;
        return bits;
}

static int add_backends(const ch_move *m, json_object *root)
{
        uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_];

        memcpy(sums, m->moved_by, sizeof(sums));
        sums[CH_BACKEND_REFAULT][CH_KIND_FILE] = refaulted_bytes(m);
        return json_add_backend_sums(root, sums);
}

/* By the map before and after: kinds may turn into each other, as collapsed pages do. */
static int add_rows(const ch_move *m, json_object *root)
{
        const Charges *after = m->after.n_mms ? &m->after : &m->plan->charges;
        json_object *array = json_add_array(root, "rows");

        if (!array)
                return -ENOMEM;
        for (int kind = 0; kind < CH_KIND_MAX_; kind++) {
                uint64_t before = elsewhere_bytes(m, &m->plan->charges, (ch_kind)kind);
                uint64_t left = elsewhere_bytes(m, after, (ch_kind)kind);
                json_object *o;

                if (before == 0 && left == 0)
                        continue;
                o = json_append_object(array);
                if (json_add_string(o, "kind", ch_kind_to_string((ch_kind)kind)) < 0 ||
                    json_add_backends(o, backends_of(m, kind)) < 0 ||
                    json_add_u64(o, "before_bytes", before) < 0 ||
                    json_add_u64(o, "moved_bytes", sub_u64(before, left)) < 0 ||
                    json_add_u64(o, "left_bytes", left) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static uint64_t pinned_bytes(const Charges *c)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < c->n_retags; i++)
                bytes += c->retags[i].failed_bytes[CH_REASON_PINNED];
        return bytes;
}

/* Why bytes stay that could have been moved. */
static ch_reason staying_reason(const ch_move *m, const ChargeRow *row)
{
        int by_module = (row->backends & 1u << CH_BACKEND_MODULE) != 0;

        if (by_module && m->error && ch_error_get_kind(m->error) == CH_ERROR_NO_ROOM)
                return CH_REASON_NO_ROOM;
        if (m->state != MOVE_FINISHED && !m->failed_bytes)
                return CH_REASON_NOT_REACHED;
        return by_module ? CH_REASON_BUSY : CH_REASON_FAILED;
}

/* What stays is what the last map says; what was chosen and did not move has its own reason. */
static int add_staying(const ch_move *m, json_object *root)
{
        Charges sums = m->after.n_mms ? m->after : m->plan->charges;
        uint64_t pinned = pinned_bytes(&m->charges);

        for (size_t i = 0; m->after.n_mms && i < sums.n_rows; i++) {
                const ChargeRow *row = &sums.rows[i];
                uint64_t known = row->backends & 1u << CH_BACKEND_MODULE ? min_u64(pinned, row->movable_bytes) : 0;

                pinned -= known;
                sums.staying[row->kind][CH_REASON_PINNED] += known;
                sums.staying[row->kind][staying_reason(m, row)] += row->movable_bytes - known;
        }
        return charges_staying_to_json(&sums, root);
}

static int add_figures(const ch_move *m, json_object *root)
{
        const struct {
                const char *key;
                uint64_t value;
        } * f;

        f = (const __typeof__(*f)[]){
                {"moved_bytes",            m->moved_bytes + refaulted_bytes(m)},
                { "returned_bytes",        m->returned_bytes              },
                { "planned_bytes",         m->planned_bytes               },
                { "resident_before_bytes", m->plan->charges.resident_bytes},
                { "resident_after_bytes",  m->after.resident_bytes        },
                { "elapsed_usec",          m->elapsed_usec                },
                { "processes_usec",        m->processes_usec              },
                { "charges_usec",          m->charges_usec                },
                { "rounds",                m->rounds                      },
                { NULL,                    0                              },
        };
        for (; f->key; f++)
                if (json_add_u64(root, f->key, f->value) < 0)
                        return -ENOMEM;
        return 0;
}

static int fill(const ch_move *m, json_object *root)
{
        if (json_add_string(root, "target", ch_group_get_path(m->plan->target)) < 0 ||
            json_add_string(root, "policy", ch_policy_to_string(m->plan->options.policy)) < 0 ||
            json_add_string(root, "state", state_words[m->state]) < 0 ||
            (m->error && json_add_error(root, "error", m->error) < 0))
                return -ENOMEM;
        if (add_processes(m, root) < 0 || add_rows(m, root) < 0 || add_staying(m, root) < 0 ||
            add_backends(m, root) < 0)
                return -ENOMEM;
        return add_figures(m, root);
}

_public_ int ch_move_to_json(const ch_move *m, struct json_object **ret)
{
        json_object *root = json_object_new_object();

        if (!root || fill(m, root) < 0) {
                (void)json_object_put(root);
                return -ENOMEM;
        }
        *ret = root;
        return 0;
}
