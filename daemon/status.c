/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects what Status and Snapshot tell. */

#include <json-c/json.h>

#include <chargehand/module.h>

#include "auth.h"
#include "claim.h"
#include "ownership.h"
#include "status.h"
#include "util.h"

static void add_text(json_object *object, const char *key, const char *text)
{
        json_object_object_add(object, key, json_object_new_string(text ? text : ""));
}

static void add_number(json_object *object, const char *key, uint64_t number)
{
        json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_truth(json_object *object, const char *key, int truth)
{
        json_object_object_add(object, key, json_object_new_boolean(truth));
}

/* It may come and go while we run. */
static void add_module(json_object *object)
{
        ch_module_status status;
        json_object *module;

        ch_module_get_status(&status);
        if (ch_module_status_to_json(&status, &module) >= 0)
                json_object_object_add(object, "module", module);
}

static json_object *warnings_of(const Conf *conf)
{
        json_object *array = json_object_new_array();

        for (size_t i = 0; i < conf->n_warnings; i++)
                json_object_array_add(array, json_object_new_string(conf->warnings[i]));
        return array;
}

int status_to_json(Manager *manager, json_object **ret)
{
        json_object *status = json_object_new_object(), *kernel, *claims, *pools, *watches, *workers;
        json_object *ownership;
        int r;

        if (!status)
                return -ENOMEM;
        add_text(status, "version", manager_version());
        add_number(status, "pid", (uint64_t)getpid());
        add_text(status, "root", ch_tree_get_root(manager->tree));
        add_text(status, "mode", mode_to_string(manager->conf->mode));
        add_text(status, "state_directory", manager->conf->state_directory);
        add_text(status, "bus", manager->conf->bus);
        r = ch_probe_to_json(&manager->probe, &kernel);
        if (r >= 0)
                json_object_object_add(status, "kernel", kernel);
        add_module(status);
        add_number(status, "groups", manager->groups->n);
        add_number(status, "scan_usec", manager->scan_usec);
        add_number(status, "jobs", manager->jobs->n_live);
        claims = json_object_new_array();
        if (claims && claims_append_json(manager->claims, claims) >= 0)
                json_object_object_add(status, "claims", claims);
        if (claims_stats_to_json(manager->claims, "", &claims) >= 0)
                json_object_object_add(status, "claimed", claims);
        if (pools_to_json(&manager->conf->pools, manager->groups, &pools) >= 0)
                json_object_object_add(status, "pools", pools);
        if (ownership_to_json(manager->ownership, &ownership) >= 0)
                json_object_object_add(status, "ownership", ownership);
        watches = json_object_new_object();
        add_number(watches, "active", watches_count(manager->watches));
        add_truth(watches, "complete", watches_is_complete(manager->watches));
        add_truth(watches, "scanning", watches_is_scanning(manager->watches));
        add_number(watches, "rescans", watches_count_rescans(manager->watches));
        json_object_object_add(status, "watches", watches);
        workers = json_object_new_object();
        add_number(workers, "threads",
                   pool_n_threads(manager->workers) + pool_n_threads(manager->movers));
        add_number(workers, "queued",
                   pool_n_queued(manager->workers) + pool_n_queued(manager->movers));
        json_object_object_add(status, "workers", workers);
        add_number(status, "clients", clients_count(manager->clients));
        add_number(status, "requests", pool_n_active(manager->workers));
        json_object_object_add(status, "warnings", warnings_of(manager->conf));
        *ret = status;
        return 0;
}

static json_object *jobs_to_json(const Jobs *jobs)
{
        json_object *array = json_object_new_array();

        for (const Job *job = jobs->first; array && job; job = job->next) {
                json_object *row = json_object_new_object();

                add_number(row, "id", job->id);
                add_text(row, "type", job->type);
                add_text(row, "state", job_state_to_string(job->state));
                add_text(row, "group", job->group);
                add_number(row, "uid", job->uid);
                json_object_array_add(array, row);
        }
        return array;
}

void snapshot_free(Snapshot *snapshot)
{
        if (!snapshot)
                return;
        for (size_t i = 0; i < snapshot->n; i++)
                free(snapshot->rows[i].path);
        free(snapshot->rows);
        json_object_put(snapshot->json);
        free(snapshot);
}

int snapshot_new(Manager *manager, Snapshot **ret)
{
        Snapshot *snapshot = calloc(1, sizeof(*snapshot));
        Groups *groups = manager->groups;

        if (!snapshot)
                return -ENOMEM;
        watches_settle(manager->watches);
        snapshot->rows = calloc(groups->n + 1, sizeof(SnapshotRow));
        snapshot->json = json_object_new_object();
        for (Group *group = groups->root; snapshot->rows && group;
             group = group_next(groups->root, group, 0))
                snapshot->rows[snapshot->n++] = (SnapshotRow){
                        .path = strdup(group->path),
                        .id = group->id,
                        .uid = group->uid,
                        .flags = group->flags,
                };
        if (!snapshot->rows || !snapshot->json) {
                snapshot_free(snapshot);
                return -ENOMEM;
        }
        add_text(snapshot->json, "version", manager_version());
        add_text(snapshot->json, "root", ch_tree_get_root(manager->tree));
        json_object_object_add(snapshot->json, "jobs", jobs_to_json(manager->jobs));
        *ret = snapshot;
        return 0;
}

/* Values that the kernel gives a new group say nothing: no limit, nothing switched on, the middle
 * weight. */
static int is_plain(const ch_attr *attr, const ch_value *value)
{
        switch (attr->type) {
        case CH_ATTR_LIMIT:
                return value->number == CH_LIMIT_MAX ||
                       (value->number == 0 && !attr->min && attr->unit != CH_UNIT_BYTES);
        case CH_ATTR_PAIR:
                return value->number == CH_LIMIT_MAX;
        case CH_ATTR_NUMBER:
                return value->number == 0 || (attr->unit == CH_UNIT_WEIGHT && value->number == 100);
        case CH_ATTR_SIGNED:
                return value->snumber == 0;
        case CH_ATTR_BOOL:
                return value->number == 0;
        case CH_ATTR_FLAT:
                return value->n_nested == 0 || value->nested[0].n_entries == 0;
        case CH_ATTR_TEXT:
                return !value->text || !*value->text;
        case CH_ATTR_LIST:
                return value->n_words == 0;
        default:
                return value->n_nested == 0;
        }
}

static json_object *properties_of(ch_group *group)
{
        json_object *object = json_object_new_object();

        for (size_t i = 0; object && i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                ch_value value = CH_VALUE_INIT;
                char *text;

                if (attr->access != CH_ACCESS_RW ||
                    (attr->flags & (CH_ATTR_PLACEMENT | CH_ATTR_TEMPLATE)) ||
                    attr->type == CH_ATTR_PSI || ch_group_read(group, attr, &value, NULL) < 0)
                        continue;
                if (!is_plain(attr, &value) && ch_value_format(attr, &value, &text) >= 0) {
                        add_text(object, attr->file, text);
                        free(text);
                }
                ch_value_done(&value);
        }
        return object;
}

int snapshot_fill(Snapshot *snapshot, ch_tree *tree)
{
        json_object *array = json_object_new_array();

        if (!array)
                return -ENOMEM;
        json_object_object_add(snapshot->json, "groups", array);
        for (size_t i = 0; i < snapshot->n; i++) {
                const SnapshotRow *row = &snapshot->rows[i];
                json_object *object;
                ch_group *group;

                if (!row->path || ch_tree_open_group(tree, row->path, &group, NULL) < 0)
                        continue;
                object = json_object_new_object();
                add_text(object, "path", row->path);
                add_number(object, "id", row->id);
                add_number(object, "uid", row->uid);
                add_truth(object, "managed", (row->flags & GROUP_MANAGED) != 0);
                add_truth(object, "populated", (row->flags & GROUP_POPULATED) != 0);
                add_truth(object, "frozen", (row->flags & GROUP_FROZEN) != 0);
                json_object_object_add(object, "properties", properties_of(group));
                json_object_array_add(array, object);
                ch_group_unref(group);
        }
        return 0;
}
