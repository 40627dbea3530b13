/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_MAP_H
#define CH_MAP_H

/* Inside of a charge map, shared by map*.c. */

#include <chargehand/map.h>

#include "module.h"
#include "pages.h"
#include "pfnset.h"

/* A process that was added, so that an address space is not added twice. */
typedef struct MapMember {
        pid_t pid;
        uint64_t start_ticks, start_stack;
} MapMember;

typedef struct MapName {
        uint64_t group_id;
        char *name;
} MapName;

struct ch_map {
        ch_tree *tree;
        ch_map_row *rows;
        size_t n_rows, n_rows_allocated;
        ch_module *module;              /* that reads address spaces; NULL: /proc */
        ch_module *own_module;          /* that was opened for this map */
        ModuleRows module_rows;
        PfnSet pages, swaps;            /* of pages that are not exclusive to one mapping */
        MapMember *members;
        size_t n_members, n_members_allocated;
        size_t n_processes, n_exited;
        MapName *names;
        size_t n_names, n_names_allocated;
        char *target;                   /* what the map is of: group path or pid */
        ch_group_figures figures;
        int has_figures;
};

/* The row of (group, kind), made if it is not there. NULL: no memory. */
ch_map_row *map_get_row(ch_map *map, uint64_t group_id, ch_kind kind);
void map_sort(ch_map *map);
/* map-module.c. -EOPNOTSUPP: it cannot, and the map is read from /proc from now on. */
void map_find_module(ch_map *map);
int map_add_by_module(ch_map *map, const ch_process *process, ch_error **err);
int map_set_target(ch_map *map, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
