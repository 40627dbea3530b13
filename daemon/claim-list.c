/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells what is claimed. */

#include <json-c/json.h>
#include <time.h>

#include "claim-internal.h"
#include "util.h"

static void add_text(json_object *object, const char *key, const char *text)
{
        json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(json_object *object, const char *key, uint64_t number)
{
        json_object_object_add(object, key, json_object_new_uint64(number));
}

static uint64_t open_bytes(const Claim *claim)
{
        return sub_u64(claim->bytes, claim->done);
}

static json_object *row_of(const Claim *claim, uint64_t now)
{
        json_object *row = json_object_new_object();

        add_number(row, "claim", claim->id);
        add_text(row, "kind", claim_kind_to_string(claim->kind));
        add_text(row, "group", claim->node->path);
        add_text(row, "made_for", claim->made_for);
        add_number(row, "bytes", claim->bytes);
        add_number(row, "open_bytes", open_bytes(claim));
        add_number(row, "uid", claim->uid);
        add_number(row, "pid", claim->pid);
        add_number(row, "age_usec", sub_u64(now, claim->since_usec));
        add_text(row, "note", claim->note);
        add_number(row, "job", claim->job);
        return row;
}

int claims_list(Claims *claims, const char *group, json_object **ret)
{
        _cleanup_(claim_uses_done) ClaimUses uses = { 0 };
        json_object *array = json_object_new_array();
        struct timespec time;
        uint64_t now;

        if (!array)
                return -ENOMEM;
        (void)clock_gettime(CLOCK_BOOTTIME, &time);
        now = (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
        claim_uses_read(claims, &uses);
        pthread_mutex_lock(&claims->lock);
        claim_uses_apply(claims, &uses);
        for (const Claim *claim = claims->first; claim; claim = claim->next)
                if (!group || ch_path_is_below(claim->node->path, group))
                        json_object_array_add(array, row_of(claim, now));
        pthread_mutex_unlock(&claims->lock);
        *ret = array;
        return 0;
}

int claims_stats_to_json(Claims *claims, const char *group, json_object **ret)
{
        json_object *object = json_object_new_object();
        const ClaimNode *node;

        if (!object)
                return -ENOMEM;
        pthread_mutex_lock(&claims->lock);
        node = claim_node_find(&claims->nodes, group);
        for (ClaimKind kind = 0; node && kind < CLAIM_KIND_MAX_; kind++) {
                int64_t number = ch_stat_read(node->account, CLAIM_STAT_NUMBER(kind), 1);
                json_object *figures = number > 0 ? json_object_new_object() : NULL;

                if (!figures)
                        continue;
                add_number(figures, "number", (uint64_t)number);
                add_number(figures, "bytes",
                           (uint64_t)ch_stat_read(node->account, CLAIM_STAT_BYTES(kind), 1));
                json_object_object_add(object, claim_kind_to_string(kind), figures);
        }
        pthread_mutex_unlock(&claims->lock);
        *ret = object;
        return 0;
}

static json_object *short_row(const char *group, uint64_t bytes)
{
        json_object *row = json_object_new_object();

        add_text(row, "group", group);
        add_number(row, "bytes", bytes);
        return row;
}

int claims_append_json(Claims *claims, json_object *array)
{
        pthread_mutex_lock(&claims->lock);
        for (const Claim *claim = claims->first; claim; claim = claim->next) {
                uint64_t bytes = sub_u64(claim->bytes, claim->told_done);
                json_object *row;

                if (claim->kind != CLAIM_JOB || bytes == 0)
                        continue;
                row = short_row(claim->node->path, bytes);
                add_number(row, "job", claim->job);
                json_object_array_add(array, row);
        }
        for (ClaimNode *node = claims->nodes.machine; node;
             node = claim_node_next(claims->nodes.machine, node))
                if (node->own)
                        json_object_array_add(array, short_row(node->path, node->own->bytes));
        for (const Claim *claim = claims->first; claim; claim = claim->next) {
                json_object *row;

                if (claim->kind == CLAIM_JOB || claim->kind == CLAIM_GROUP)
                        continue;
                row = short_row(claim->node->path, claim->bytes);
                add_number(row, "claim", claim->id);
                add_text(row, "kind", claim_kind_to_string(claim->kind));
                json_object_array_add(array, row);
        }
        pthread_mutex_unlock(&claims->lock);
        return 0;
}
