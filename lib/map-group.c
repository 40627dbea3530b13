/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups in a charge map: what a group's own files say against what its members map, and names for
 * ids. */

#include <stdio.h>

#include "error.h"
#include "map.h"
#include "util.h"

/* The ids of a group and of the groups below it: all that is charged in its subtree. */
typedef struct IdList {
        uint64_t *ids;
        size_t n, n_allocated;
} IdList;

static void idlist_done(IdList *list)
{
        free(list->ids);
}

static void group_unrefp(ch_group **group)
{
        (void)ch_group_unref(*group);
}

static int collect_id(const ch_walk_entry *entry, void *userdata)
{
        IdList *list = userdata;

        if (array_reserve(&list->ids, &list->n_allocated, list->n + 1, sizeof(*list->ids)) < 0)
                return -ENOMEM;
        list->ids[list->n++] = entry->id;
        return 0;
}

static int idlist_has(const IdList *list, uint64_t id)
{
        for (size_t i = 0; i < list->n; i++)
                if (list->ids[i] == id)
                        return 1;
        return 0;
}

/* memory.stat keys → figures. */
static const struct {
        const char *key;
        size_t offset;
} stat_rows[] = {
        { "anon",   offsetof(ch_group_figures, anon_bytes) },
        { "file",   offsetof(ch_group_figures, file_bytes) },
        { "shmem",  offsetof(ch_group_figures, shmem_bytes) },
        { "kernel", offsetof(ch_group_figures, kernel_bytes) },
};

/* "kernel" is there from 5.18 on; what lacks reads 0. */
static int read_stat(ch_group *group, ch_group_figures *figures, ch_error **err)
{
        ch_value value = CH_VALUE_INIT;
        int r;

        r = ch_group_read(group, ch_attr_find("memory.stat"), &value, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(stat_rows); i++)
                (void)ch_value_flat_get(&value, stat_rows[i].key,
                                        (uint64_t *)((char *)figures + stat_rows[i].offset));
        ch_value_done(&value);
        return 0;
}

static int read_number(ch_group *group, const char *file, uint64_t *ret, ch_error **err)
{
        ch_value value = CH_VALUE_INIT;
        int r;

        r = ch_group_read(group, ch_attr_find(file), &value, err);
        if (r < 0)
                return r;
        *ret = value.number;
        ch_value_done(&value);
        return 0;
}

static int read_figures(ch_group *group, ch_group_figures *ret, ch_error **err)
{
        ch_group_figures figures = {};
        int r;

        r = read_stat(group, &figures, err);
        if (r >= 0)
                r = read_number(group, "memory.current", &figures.current_bytes, err);
        if (r < 0)
                return r;
        /* absent without CONFIG_SWAP, or with swapaccount=0 */
        (void)read_number(group, "memory.swap.current", &figures.swap_bytes, NULL);
        *ret = figures;
        return 0;
}

/* What the members map, by who is charged; swap has no group and counts for neither side. */
static void add_mapped(const ch_map *map, const IdList *ids, ch_group_figures *figures)
{
        uint64_t own_swap_backed = 0;

        for (size_t i = 0; i < map->n_rows; i++) {
                const ch_map_row *row = &map->rows[i];

                if (row->group_id == CH_GROUP_ID_NONE)
                        continue;
                if (!idlist_has(ids, row->group_id)) {
                        figures->elsewhere_bytes += row->bytes;
                        continue;
                }
                figures->own_bytes += row->bytes;
                if (row->kind == CH_KIND_ANON || row->kind == CH_KIND_ANON_THP ||
                    row->kind == CH_KIND_SHMEM)
                        own_swap_backed += row->bytes;
        }
        figures->left_behind_bytes =
                sub_u64(figures->anon_bytes + figures->shmem_bytes, own_swap_backed);
}

static int add_members(ch_map *map, ch_group *group, ch_error **err)
{
        ch_procset *set;
        int r;

        r = ch_procset_new(&set);
        if (r < 0)
                return error_errno(err, r, "/proc", "open");
        r = ch_procset_add_group(set, group, 1, err);
        if (r > 0)
                r = ch_map_add_set(map, set, err);
        (void)ch_procset_free(set);
        return r;
}

_public_ int ch_map_add_group(ch_map *map, ch_group *group, ch_error **err)
{
        _cleanup_(idlist_done) IdList ids = {};
        ch_group_figures figures;
        int r;

        r = map_set_target(map, "%s", ch_group_get_path(group));
        if (r >= 0)
                r = add_members(map, group, err);
        if (r >= 0)
                r = ch_tree_walk(ch_group_get_tree(group), ch_group_get_path(group), collect_id,
                                 &ids, err);
        /* read last: what the members touch meanwhile is then rather in the figures than missing
         * from them */
        if (r >= 0)
                r = read_figures(group, &figures, err);
        if (r < 0)
                return r;
        add_mapped(map, &ids, &figures);
        map->figures = figures;
        map->has_figures = 1;
        return 0;
}

_public_ int ch_map_get_group_figures(const ch_map *map, ch_group_figures *ret)
{
        if (!map->has_figures)
                return -ENODATA;
        *ret = map->figures;
        return 0;
}

/* An id that is not below our root may still be a live group of the host: look from the hierarchy's
 * own root. */
static int name_outside(ch_map *map, uint64_t id, char **ret)
{
        const char *root = ch_tree_get_root(map->tree), *prefix = ch_tree_get_prefix(map->tree);
        size_t n_root = strlen(root), n_prefix = strlen(prefix);
        _cleanup_(group_unrefp) ch_group *group = NULL;
        _cleanup_(freep) char *mount = NULL;
        ch_tree *whole = NULL;
        int r;

        if (n_prefix == 0 || n_prefix >= n_root || !streq(root + n_root - n_prefix, prefix))
                return -ENODEV;
        mount = strndup(root, n_root - n_prefix);
        if (!mount)
                return -ENOMEM;
        r = ch_tree_open(mount, CH_TREE_READ_ONLY, &whole, NULL);
        if (r < 0)
                return r;
        r = ch_tree_open_group_by_id(whole, id, &group, NULL);
        if (r >= 0 && asprintf(ret, "(outside %s)", ch_group_get_path(group)) < 0)
                r = -ENOMEM;
        (void)ch_tree_unref(whole);
        return r;
}

static int make_name(ch_map *map, uint64_t id, char **ret)
{
        _cleanup_(group_unrefp) ch_group *group = NULL;
        int r;

        if (id == CH_GROUP_ID_NONE)
                return asprintf(ret, "-") < 0 ? -ENOMEM : 0;
        if (!map->tree)
                return asprintf(ret, "(id %llu)", (unsigned long long)id) < 0 ? -ENOMEM : 0;
        r = ch_tree_open_group_by_id(map->tree, id, &group, NULL);
        if (r >= 0)
                return asprintf(ret, "%s", ch_group_get_path(group)) < 0 ? -ENOMEM : 0;
        if (r == -ENOMEM || name_outside(map, id, ret) >= 0)
                return r == -ENOMEM ? r : 0;
        return asprintf(ret, "(removed %llu)", (unsigned long long)id) < 0 ? -ENOMEM : 0;
}

static const char *find_name(const ch_map *map, uint64_t id)
{
        for (size_t i = 0; i < map->n_names; i++)
                if (map->names[i].group_id == id)
                        return map->names[i].name;
        return NULL;
}

_public_ int ch_map_name_group(ch_map *map, uint64_t group_id, char **ret)
{
        const char *known = find_name(map, group_id);
        _cleanup_(freep) char *name = NULL;
        char *copy;
        int r;

        if (!known) {
                r = make_name(map, group_id, &name);
                if (r < 0)
                        return r;
                if (array_reserve(&map->names, &map->n_names_allocated, map->n_names + 1,
                                  sizeof(*map->names)) < 0)
                        return -ENOMEM;
                known = name;
                map->names[map->n_names++] =
                        (MapName){ .group_id = group_id, .name = TAKE_PTR(name) };
        }
        copy = strdup(known);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}
