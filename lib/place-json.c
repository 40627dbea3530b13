/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A placement as JSON, for printing and for the bus; the schema is in include/chargehand/place.h.
 */

#include "json-build.h"
#include "place-report.h"
#include "util.h"

static int add_nodes(json_object *object, uint64_t nodes)
{
        char list[CH_PLACE_NODES_FORMAT_MAX];

        return json_add_string(object, "nodes", ch_place_nodes_format(nodes, list));
}

static int add_by_term(json_object *object, const char *key, const uint32_t *values)
{
        json_object *inner = json_object_new_object();

        if (json_add(object, key, inner) < 0)
                return -ENOMEM;
        for (int i = 0; i < CH_PLACE_TERM_MAX_; i++)
                if (json_add_u64(inner, ch_place_term_to_string((ch_place_term)i), values[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static int add_request(json_object *root, const ch_place_request *request)
{
        json_object *object = json_object_new_object();
        ch_place_weights weights;

        ch_place_weights_get(&request->weights, request->policy, &weights);
        if (json_add(root, "request", object) < 0 ||
            json_add_u64(object, "bytes", request->bytes) < 0 ||
            json_add_u64(object, "cpus_milli", request->cpus_milli) < 0 ||
            add_nodes(object, request->nodes) < 0 ||
            json_add_string(object, "policy", ch_place_policy_to_string(request->policy)) < 0)
                return -ENOMEM;
        return add_by_term(object, "weights", weights.weight);
}

static int add_pressure(json_object *object, const ch_place_facts *facts)
{
        json_object *inner = json_object_new_object();

        if (json_add(object, "pressure", inner) < 0 ||
            json_add_u64(inner, "memory", facts->pressure_permyriad[0]) < 0 ||
            json_add_u64(inner, "cpu", facts->pressure_permyriad[1]) < 0)
                return -ENOMEM;
        return json_add_u64(inner, "io", facts->pressure_permyriad[2]);
}

static int add_room(json_object *object, const ch_place_score *score)
{
        const ch_place_level *level = &score->level;

        if (json_add_u64(object, "short_bytes", score->short_bytes) < 0 ||
            json_add_string(object, "limited_by", level->path ? level->path : "") < 0 ||
            json_add_string(object, "limit", level->limit ? level->limit : "") < 0 ||
            json_add_limit(object, "limit_bytes", level->limit_bytes) < 0 ||
            json_add_u64(object, "used_bytes", level->used_bytes) < 0 ||
            json_add_u64(object, "cache_bytes", level->cache_bytes) < 0 ||
            json_add_u64(object, "claimed_bytes", level->claimed_bytes) < 0 ||
            json_add_limit(object, "free_bytes", score->free_bytes) < 0)
                return -ENOMEM;
        return json_add_u64(object, "needed_bytes", score->needed_bytes);
}

static int add_memory(json_object *object, const ch_place_facts *facts)
{
        const struct {
                const char *key;
                uint64_t bytes;
        } rows[] = {
                {"here_bytes",          facts->here_bytes        },
                { "movable_bytes",      facts->movable_bytes     },
                { "left_bytes",         facts->left_bytes        },
                { "shared_here_bytes",  facts->shared_here_bytes },
                { "shared_apart_bytes", facts->shared_apart_bytes},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (json_add_u64(object, rows[i].key, rows[i].bytes) < 0)
                        return -ENOMEM;
        return 0;
}

static int add_candidate(json_object *array, const ch_place_score *score,
                         const ch_place_facts *facts)
{
        json_object *object = json_append_object(array);

        if (json_add_string(object, "group", score->group) < 0 ||
            json_add_bool(object, "fits", score->fits) < 0 ||
            json_add_u64(object, "score", score->score) < 0 ||
            add_by_term(object, "terms", score->terms) < 0 ||
            json_add_string(object, "reason", score->reason) < 0 || add_room(object, score) < 0 ||
            add_memory(object, facts) < 0 || add_pressure(object, facts) < 0 ||
            json_add_limit(object, "cpus_milli",
                           facts->cpus_milli == UINT32_MAX ? UINT64_MAX : facts->cpus_milli) < 0)
                return -ENOMEM;
        return add_nodes(object, facts->nodes);
}

static int fill(json_object *root, const ch_place_request *request, const ch_place_report *report,
                const ch_place_score *scores)
{
        int has_chosen = report->n > 0 && scores[0].fits;
        json_object *array;

        if (add_request(root, request) < 0 ||
            json_add_u64(root, "resident_bytes", report->source.resident_bytes) < 0 ||
            json_add_u64(root, "shared_bytes", report->source.shared_bytes) < 0 ||
            json_object_object_add(root, "chosen",
                                   has_chosen ? json_object_new_string(scores[0].group) : NULL) < 0)
                return -ENOMEM;
        array = json_add_array(root, "candidates");
        for (size_t i = 0; i < report->n; i++)
                if (add_candidate(array, &scores[i], &report->facts[scores[i].index]) < 0)
                        return -ENOMEM;
        return array ? 0 : -ENOMEM;
}

_public_ int ch_place_to_json(const ch_place_request *request, const ch_place_report *report,
                              const ch_place_score *scores, struct json_object **ret)
{
        _cleanup_(json_putp) json_object *root = json_object_new_object();

        if (!root || fill(root, request, report, scores) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(root);
        return 0;
}
