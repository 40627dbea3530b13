/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_STATUS_H
#define CHD_STATUS_H

/* What Status and Snapshot tell, as JSON. */

#include "manager.h"

struct json_object;

/* On the loop; does not block. */
int status_to_json(Manager *manager, struct json_object **ret);

/* A copy of the model that a worker can use. */
typedef struct SnapshotRow {
        char *path;
        uint64_t id;
        uint32_t uid, flags;
} SnapshotRow;
typedef struct Snapshot {
        SnapshotRow *rows;
        size_t n;
        struct json_object *json; /* version, root, jobs; then groups */
} Snapshot;
int snapshot_new(Manager *manager, Snapshot **ret);
void snapshot_free(Snapshot *snapshot);
/* On a worker: reads the attributes of each group that can be written and are not at their kernel
 * default. Groups that are gone are left out. */
int snapshot_fill(Snapshot *snapshot, ch_tree *tree);

#endif
