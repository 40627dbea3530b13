/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The charge map around its pages: rows, sums, names of groups, JSON; members of a group as a set.
 * No root needed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include <json-c/json.h>

#include "error.h"
#include "fake-cgroup.h"
#include "map.h"
#include "util.h"

typedef struct Fixture {
        FakeCgroup *fake;
        ch_tree *tree;
        ch_map *map;
} Fixture;

/* ch_map_new() wants CAP_SYS_ADMIN, for the pages: here is a map that nobody adds pages to. */
static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->fake = fake_new("memory pids");
        fake_add(fixture->fake, "/web", "memory pids");
        fake_add(fixture->fake, "/web/api", "memory pids");
        assert_int_equal(
                ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS, &fixture->tree, NULL), 0);
        fixture->map = calloc(1, sizeof(*fixture->map));
        fixture->map->tree = ch_tree_ref(fixture->tree);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        Fixture *fixture = *state;

        (void)ch_map_free(fixture->map);
        (void)ch_tree_unref(fixture->tree);
        fake_free(fixture->fake);
        free(fixture);
        return 0;
}

static uint64_t id_of(Fixture *fixture, const char *path)
{
        ch_group *group;
        uint64_t id;

        assert_int_equal(ch_tree_open_group(fixture->tree, path, &group, NULL), 0);
        id = ch_group_get_id(group);
        (void)ch_group_unref(group);
        return id;
}

static void add_row(ch_map *map, uint64_t id, ch_kind kind, uint64_t bytes)
{
        ch_map_row *row = map_get_row(map, id, kind);

        row->bytes += bytes;
        row->bytes_mapped += 2 * bytes;
        map_sort(map);
}

static void test_rows_and_sums(void **state)
{
        Fixture *fixture = *state;
        ch_map *map = fixture->map;

        assert_int_equal(ch_map_n_rows(map), 0);
        assert_null(ch_map_get_row(map, 0));
        assert_int_equal(ch_map_sum(map, CH_GROUP_ID_ANY, CH_KIND_ANY), 0);
        add_row(map, 7, CH_KIND_ANON, 100);
        add_row(map, 8, CH_KIND_ANON, 300);
        add_row(map, 7, CH_KIND_FILE, 200);
        add_row(map, 7, CH_KIND_ANON, 50);
        assert_int_equal(ch_map_n_rows(map), 3);
        assert_int_equal(ch_map_get_row(map, 0)->bytes, 300);
        assert_int_equal(ch_map_get_row(map, 1)->bytes, 200);
        assert_int_equal(ch_map_get_row(map, 2)->bytes, 150);
        assert_null(ch_map_get_row(map, 3));
        assert_int_equal(ch_map_sum(map, 7, CH_KIND_ANY), 350);
        assert_int_equal(ch_map_sum(map, CH_GROUP_ID_ANY, CH_KIND_ANON), 450);
        assert_int_equal(ch_map_sum(map, 8, CH_KIND_FILE), 0);
}

static void assert_name(ch_map *map, uint64_t id, const char *want)
{
        char *name = NULL;

        assert_int_equal(ch_map_name_group(map, id, &name), 0);
        assert_string_equal(name, want);
        free(name);
}

static void test_names(void **state)
{
        Fixture *fixture = *state;
        uint64_t id = id_of(fixture, "/web/api");
        ch_map alone = {};

        assert_name(fixture->map, CH_GROUP_ID_NONE, "-");
        assert_name(fixture->map, id, "/web/api");
        assert_name(fixture->map, id, "/web/api");
        assert_name(fixture->map, id_of(fixture, "/"), "/");
        assert_name(fixture->map, 999999999, "(removed 999999999)");
        assert_name(&alone, 5, "(id 5)");
        for (size_t i = 0; i < alone.n_names; i++)
                free(alone.names[i].name);
        free(alone.names);
}

static void test_kind_words(void **state)
{
        assert_string_equal(ch_kind_to_string(CH_KIND_ANON_THP), "anon_thp");
        assert_string_equal(ch_kind_to_string(CH_KIND_SWAP), "swap");
        assert_string_equal(ch_kind_to_string(CH_KIND_MAX_), "unknown");
}

static struct json_object *get(struct json_object *object, const char *key)
{
        struct json_object *value = NULL;

        assert_true(json_object_object_get_ex(object, key, &value));
        return value;
}

static void test_json(void **state)
{
        Fixture *fixture = *state;
        struct json_object *object, *row;

        add_row(fixture->map, id_of(fixture, "/web"), CH_KIND_ANON, 8192);
        add_row(fixture->map, CH_GROUP_ID_NONE, CH_KIND_SWAP, 4096);
        assert_int_equal(map_set_target(fixture->map, "%d", 42), 0);
        assert_int_equal(ch_map_to_json(fixture->map, &object), 0);
        assert_string_equal(json_object_get_string(get(object, "target")), "42");
        assert_int_equal(json_object_get_uint64(get(object, "total_bytes")), 8192);
        assert_int_equal(json_object_get_uint64(get(object, "swap_bytes")), 4096);
        assert_int_equal(json_object_get_uint64(get(object, "exited")), 0);
        assert_false(json_object_object_get_ex(object, "figures", NULL));
        assert_int_equal(json_object_array_length(get(object, "rows")), 2);
        row = json_object_array_get_idx(get(object, "rows"), 0);
        assert_string_equal(json_object_get_string(get(row, "group")), "/web");
        assert_string_equal(json_object_get_string(get(row, "kind")), "anon");
        assert_int_equal(json_object_get_uint64(get(row, "bytes")), 8192);
        assert_int_equal(json_object_get_uint64(get(row, "bytes_mapped")), 16384);
        assert_int_equal(json_object_get_uint64(get(row, "bytes_shared")), 0);
        (void)json_object_put(object);
}

/* A group without members: what it is charged for is all left behind. */
static void test_figures_of_an_empty_group(void **state)
{
        Fixture *fixture = *state;
        ch_group_figures figures;
        struct json_object *object;
        ch_group *group;

        fake_set(fixture->fake, "/web", "memory.current", "1048576\n");
        fake_set(fixture->fake, "/web", "memory.stat",
                 "anon 400000\nfile 300000\nkernel 5000\nshmem 100000\n");
        fake_set(fixture->fake, "/web", "memory.swap.current", "8192\n");
        fake_set(fixture->fake, "/web", "cgroup.procs", "");
        fake_set(fixture->fake, "/web/api", "cgroup.procs", "");
        assert_int_equal(ch_tree_open_group(fixture->tree, "/web", &group, NULL), 0);
        assert_int_equal(ch_map_get_group_figures(fixture->map, &figures), -ENODATA);
        assert_int_equal(ch_map_add_group(fixture->map, group, NULL), 0);
        assert_int_equal(ch_map_get_group_figures(fixture->map, &figures), 0);
        assert_int_equal(figures.current_bytes, 1048576);
        assert_int_equal(figures.anon_bytes, 400000);
        assert_int_equal(figures.kernel_bytes, 5000);
        assert_int_equal(figures.swap_bytes, 8192);
        assert_int_equal(figures.left_behind_bytes, 500000);
        assert_int_equal(figures.own_bytes, 0);
        assert_int_equal(ch_map_to_json(fixture->map, &object), 0);
        assert_string_equal(json_object_get_string(get(object, "target")), "/web");
        assert_int_equal(json_object_get_uint64(get(get(object, "figures"), "left_behind_bytes")),
                         500000);
        (void)json_object_put(object);
        (void)ch_group_unref(group);
}

static void test_figures_without_the_memory_controller(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_group_figures figures;
        ch_group *group;

        fake_add(fixture->fake, "/plain", "");
        fake_set(fixture->fake, "/plain", "cgroup.procs", "");
        assert_int_equal(ch_tree_open_group(fixture->tree, "/plain", &group, NULL), 0);
        assert_int_equal(ch_map_add_group(fixture->map, group, &error), -EOPNOTSUPP);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_CONTROLLER_OFF);
        assert_int_equal(ch_map_get_group_figures(fixture->map, &figures), -ENODATA);
        (void)ch_group_unref(group);
}

static void test_members_of_a_group(void **state)
{
        Fixture *fixture = *state;
        ch_procset *set;
        ch_group *group;
        char text[64];

        /* one that is there, and one that has just exited */
        (void)snprintf(text, sizeof(text), "%d\n2147483632\n", getpid());
        fake_set(fixture->fake, "/web", "cgroup.procs", text);
        (void)snprintf(text, sizeof(text), "%d\n", getppid());
        fake_set(fixture->fake, "/web/api", "cgroup.procs", text);
        assert_int_equal(ch_tree_open_group(fixture->tree, "/web", &group, NULL), 0);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_group(set, group, 0, NULL), 1);
        assert_int_equal(ch_procset_get(set, 0)->pid, getpid());
        assert_false(ch_procset_get(set, 0)->flags & CH_PROCESS_ROOTED);
        set = ch_procset_free(set);

        assert_int_equal(ch_procset_new(&set), 0);
        assert_int_equal(ch_procset_add_group(set, group, 1, NULL), 2);
        assert_int_equal(ch_procset_get(set, 0)->pid,
                         getppid()); /* the parent, although its group comes later */
        assert_int_equal(ch_procset_get(set, 1)->pid, getpid());
        (void)ch_procset_free(set);
        (void)ch_group_unref(group);
}

#define ON_FIXTURE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kind_words),
                ON_FIXTURE(test_rows_and_sums),
                ON_FIXTURE(test_names),
                ON_FIXTURE(test_json),
                ON_FIXTURE(test_figures_of_an_empty_group),
                ON_FIXTURE(test_figures_without_the_memory_controller),
                ON_FIXTURE(test_members_of_a_group),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
