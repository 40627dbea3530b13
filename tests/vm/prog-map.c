/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints the charge map of a process, a tree or a group as lines for awk:
 *
 *     prog-map pid PID… | tree PID | group PATH | json PID
 *
 *     row GROUP KIND BYTES MAPPED SHARED
 *     mm PID INSIDE OUTSIDE OUTSIDE_PID OWNER OWNER_INSIDE
 *     figure NAME BYTES
 */

#include <stdio.h>

#include <json-c/json.h>

#include <chargehand/map.h>

#include "util.h"

static void die(const char *what, const ch_error *err)
{
        (void)fprintf(stderr, "prog-map: %s: %s\n", what, ch_error_get_cause(err));
        exit(1);
}

static void add_processes(ch_map *map, char **pids, int with_tree)
{
        ch_error *err = NULL;
        ch_procset *set;

        if (ch_procset_new(&set) < 0)
                die("/proc", NULL);
        for (; *pids; pids++) {
                pid_t pid = (pid_t)strtol(*pids, NULL, 10);

                if ((with_tree ? ch_procset_add_tree : ch_procset_add_pid)(set, pid, &err) < 0)
                        die(*pids, err);
        }
        if (ch_map_add_set(map, set, &err) < 0)
                die("map", err);
        for (size_t i = 0; i < ch_procset_n_mms(set); i++) {
                const ch_mm *mm = ch_procset_get_mm(set, i);

                (void)printf("mm %d %u %u %d %d %d\n", mm->pid, mm->n_inside, mm->n_outside,
                             mm->outside_pid, mm->owner, mm->owner_inside);
        }
        (void)ch_procset_free(set);
}

static void add_group(ch_map *map, ch_tree *tree, const char *path)
{
        ch_group_figures figures;
        ch_error *err = NULL;
        ch_group *group;

        if (ch_tree_open_group(tree, path, &group, &err) < 0 ||
            ch_map_add_group(map, group, &err) < 0 || ch_map_get_group_figures(map, &figures) < 0)
                die(path, err);
        (void)printf("figure current %llu\nfigure anon %llu\nfigure shmem %llu\nfigure own %llu\n"
                     "figure elsewhere %llu\nfigure left_behind %llu\n",
                     (unsigned long long)figures.current_bytes,
                     (unsigned long long)figures.anon_bytes,
                     (unsigned long long)figures.shmem_bytes, (unsigned long long)figures.own_bytes,
                     (unsigned long long)figures.elsewhere_bytes,
                     (unsigned long long)figures.left_behind_bytes);
        (void)ch_group_unref(group);
}

static void print_rows(ch_map *map)
{
        for (size_t i = 0; i < ch_map_n_rows(map); i++) {
                const ch_map_row *row = ch_map_get_row(map, i);
                char *name;

                if (ch_map_name_group(map, row->group_id, &name) < 0)
                        die("name", NULL);
                (void)printf("row %s %s %llu %llu %llu\n", name, ch_kind_to_string(row->kind),
                             (unsigned long long)row->bytes, (unsigned long long)row->bytes_mapped,
                             (unsigned long long)row->bytes_shared);
                free(name);
        }
}

static void print_json(ch_map *map)
{
        struct json_object *object;

        if (ch_map_to_json(map, &object) < 0)
                die("json", NULL);
        (void)puts(json_object_to_json_string(object));
        (void)json_object_put(object);
}

int main(int argc, char **argv)
{
        const char *verb = argc > 2 ? argv[1] : "";
        ch_error *err = NULL;
        ch_tree *tree;
        ch_map *map = NULL;

        if (ch_tree_open(NULL, 0, &tree, &err) < 0 || ch_map_new(tree, &map, &err) < 0)
                die("open", err);
        if (streq(verb, "group"))
                add_group(map, tree, argv[2]);
        else
                add_processes(map, argv + 2, streq(verb, "tree"));
        if (streq(verb, "json"))
                print_json(map);
        else
                print_rows(map);
        (void)ch_map_free(map);
        (void)ch_tree_unref(tree);
        return 0;
}
