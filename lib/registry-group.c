/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups of the mm registry: one object for each that something refers to. */

#include "registry.h"
#include "util.h"

static int set_path(ch_registry *registry, Group *group, const char *path)
{
        char *copy;

        if (group->path && streq(group->path, path))
                return 0;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        if (group->path)
                registry->path_bytes -= strlen(group->path) + 1;
        registry->path_bytes += strlen(copy) + 1;
        free(group->path);
        group->path = copy;
        return 0;
}

static int add(ch_registry *registry, uint64_t id, const char *path, Group **ret)
{
        Group *group = calloc(1, sizeof(*group));

        if (!group)
                return -ENOMEM;
        group->id = id;
        if (set_path(registry, group, path) < 0 || hash_put(&registry->groups, id, group) < 0) {
                if (group->path)
                        registry->path_bytes -= strlen(group->path) + 1;
                free(group->path);
                free(group);
                return -ENOMEM;
        }
        *ret = group;
        return 0;
}

int group_intern(ch_registry *registry, uint64_t id, const char *path, Group **ret)
{
        Group *group = id ? hash_get(&registry->groups, id) : NULL;
        int r;

        if (!id) {
                *ret = NULL;
                return 0;
        }
        if (!path)
                path = "";
        /* a path that differs: a 32-bit kernel gave the number to another group */
        r = group ? set_path(registry, group, path) : add(registry, id, path, &group);
        if (r < 0)
                return r;
        *ret = group_ref_interned(group);
        return 0;
}

Group *group_unref_interned(ch_registry *registry, Group *group)
{
        if (!group || --group->n_refs > 0)
                return NULL;
        group_forget(registry, group->id);
        free(group);
        return NULL;
}

void group_forget(ch_registry *registry, uint64_t id)
{
        Group *group = id ? hash_remove(&registry->groups, id) : NULL;

        if (!group)
                return;
        registry->path_bytes -= strlen(group->path) + 1;
        free(group->path);
        group->path = NULL;
        group->id = 0;
}
