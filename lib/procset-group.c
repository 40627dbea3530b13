/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of a group, and of the groups below it, as a set of processes. */

#include "error.h"
#include "procset.h"
#include "util.h"

typedef struct GroupScan {
        ch_procset *set;
        ch_tree *tree;
        ch_error **err;
        int n_added;
} GroupScan;

static void group_unrefp(ch_group **group)
{
        (void)ch_group_unref(*group);
}

static int add_members(ch_procset *set, ch_group *group, ch_error **err)
{
        _cleanup_(freep) pid_t *pids = NULL;
        int n_added = 0, r;
        size_t n;

        r = ch_group_read_procs(group, &pids, &n, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = procset_add(set, pids[i], 0, 0, err);
                if (r < 0 && r != -ESRCH)
                        return r;
                n_added += r > 0;
        }
        return n_added;
}

/* Groups that go away meanwhile have no members any more. */
static int add_entry(const ch_walk_entry *entry, void *userdata)
{
        GroupScan *scan = userdata;
        _cleanup_(group_unrefp) ch_group *group = NULL;
        int r;

        r = ch_tree_open_group(scan->tree, entry->path, &group, NULL);
        if (r == -ENODEV)
                return 0;
        if (r < 0)
                return error_errno(scan->err, r, entry->path, "opening the group");
        r = add_members(scan->set, group, NULL);
        if (r < 0 && r != -ENODEV)
                return error_errno(scan->err, r, entry->path, "reading cgroup.procs");
        scan->n_added += r > 0 ? r : 0;
        return 0;
}

_public_ int ch_procset_add_group(ch_procset *set, ch_group *group, int recursive, ch_error **err)
{
        GroupScan scan = { .set = set, .tree = ch_group_get_tree(group), .err = err };
        size_t first = set->n;
        int r;

        if (recursive) {
                r = ch_tree_walk(scan.tree, ch_group_get_path(group), add_entry, &scan, err);
        } else {
                r = add_members(set, group, err);
                scan.n_added = r > 0 ? r : 0;
        }
        if (r < 0)
                return r;
        r = procset_order(set, first);
        return r < 0 ? r : scan.n_added;
}
