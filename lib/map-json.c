/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A charge map as JSON, in the words of include/chargehand/map.h. */

#include <json-c/json.h>

#include "map.h"
#include "util.h"

static void json_putp(struct json_object **object)
{
        (void)json_object_put(*object);
}

static int add(struct json_object *object, const char *key, struct json_object *value)
{
        if (!value)
                return -ENOMEM;
        if (json_object_object_add(object, key, value) == 0)
                return 0;
        (void)json_object_put(value);
        return -ENOMEM;
}

static int add_u64(struct json_object *object, const char *key, uint64_t value)
{
        return add(object, key, json_object_new_uint64(value));
}

typedef struct NumberRow {
        const char *key;
        size_t offset;
} NumberRow;

static const NumberRow row_numbers[] = {
        { "group_id",     offsetof(ch_map_row, group_id) },
        { "bytes",        offsetof(ch_map_row, bytes) },
        { "bytes_mapped", offsetof(ch_map_row, bytes_mapped) },
        { "bytes_shared", offsetof(ch_map_row, bytes_shared) },
};

static const NumberRow figure_numbers[] = {
        { "current_bytes",     offsetof(ch_group_figures, current_bytes) },
        { "anon_bytes",        offsetof(ch_group_figures, anon_bytes) },
        { "file_bytes",        offsetof(ch_group_figures, file_bytes) },
        { "shmem_bytes",       offsetof(ch_group_figures, shmem_bytes) },
        { "kernel_bytes",      offsetof(ch_group_figures, kernel_bytes) },
        { "swap_bytes",        offsetof(ch_group_figures, swap_bytes) },
        { "own_bytes",         offsetof(ch_group_figures, own_bytes) },
        { "elsewhere_bytes",   offsetof(ch_group_figures, elsewhere_bytes) },
        { "left_behind_bytes", offsetof(ch_group_figures, left_behind_bytes) },
};

static int add_numbers(struct json_object *object, const void *base, const NumberRow *rows,
                       size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t value = *(const uint64_t *)((const char *)base + rows[i].offset);

                if (add_u64(object, rows[i].key, value) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int row_to_json(ch_map *map, const ch_map_row *row, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        _cleanup_(freep) char *name = NULL;

        if (!object || ch_map_name_group(map, row->group_id, &name) < 0 ||
            add(object, "group", json_object_new_string(name)) < 0 ||
            add(object, "kind", json_object_new_string(ch_kind_to_string(row->kind))) < 0 ||
            add_numbers(object, row, row_numbers, ELEMENTSOF(row_numbers)) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(object);
        return 0;
}

static int add_rows(ch_map *map, struct json_object *object)
{
        struct json_object *array = json_object_new_array();

        if (add(object, "rows", array) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < map->n_rows; i++) {
                struct json_object *row;

                if (row_to_json(map, &map->rows[i], &row) < 0)
                        return -ENOMEM;
                if (json_object_array_add(array, row) < 0) {
                        (void)json_object_put(row);
                        return -ENOMEM;
                }
        }
        return 0;
}

static int add_figures(const ch_map *map, struct json_object *object)
{
        struct json_object *figures;

        if (!map->has_figures)
                return 0;
        figures = json_object_new_object();
        if (add(object, "figures", figures) < 0)
                return -ENOMEM;
        return add_numbers(figures, &map->figures, figure_numbers, ELEMENTSOF(figure_numbers));
}

_public_ int ch_map_to_json(ch_map *map, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        uint64_t swap_bytes = ch_map_sum(map, CH_GROUP_ID_ANY, CH_KIND_SWAP);
        uint64_t total_bytes = ch_map_sum(map, CH_GROUP_ID_ANY, CH_KIND_ANY) - swap_bytes;

        if (!object ||
            add(object, "target", json_object_new_string(map->target ? map->target : "")) < 0 ||
            add_u64(object, "processes", map->n_processes) < 0 ||
            add_u64(object, "mms", map->n_members) < 0 ||
            add_u64(object, "exited", map->n_exited) < 0 || add_rows(map, object) < 0 ||
            add_u64(object, "total_bytes", total_bytes) < 0 ||
            add_u64(object, "swap_bytes", swap_bytes) < 0 || add_figures(map, object) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(object);
        return 0;
}
