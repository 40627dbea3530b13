/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trees on a fake hierarchy: opening, walking, creating, removing, and all that must not work. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <chargehand/tree.h>

#include "error.h"
#include "fake-cgroup.h"
#include "group.h"
#include "util.h"

typedef struct Fixture {
        FakeCgroup *fake;
        ch_tree *tree;
} Fixture;

static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->fake = fake_new("cpu memory pids");
        assert_int_equal(
                ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS, &fixture->tree, NULL), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        Fixture *fixture = *state;

        ch_tree_unref(fixture->tree);
        fake_free(fixture->fake);
        free(fixture);
        return 0;
}

static void test_open_refuses(void **state)
{
        static const struct {
                const char *root;
                uint64_t flags;
                int errnum;
                const char *cause;
        } rows[] = {
                { "sys/fs/cgroup", 0, EINVAL, "absolute path" },
                { "/does/not/exist", 0, ENOENT, "" },
                { "/proc/self/status", CH_TREE_ANY_FS, ENOTDIR, "" },
                { "/proc", 0, EINVAL, "not a cgroup2 file system" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(error_freep) ch_error *error = NULL;
                ch_tree *tree = NULL;

                assert_int_equal(ch_tree_open(rows[i].root, rows[i].flags, &tree, &error),
                                 -rows[i].errnum);
                assert_null(tree);
                assert_non_null(strstr(ch_error_get_cause(error), rows[i].cause));
                assert_true(*ch_error_get_path(error));
        }
}

static void test_open_group(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_group_unrefp) ch_group *root = NULL;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        _cleanup_(ch_group_unrefp) ch_group *by_id = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_group *none = NULL;

        fake_add(fixture->fake, "/web/api", "memory");
        assert_int_equal(ch_tree_open_group(fixture->tree, "/", &root, NULL), 0);
        assert_string_equal(ch_group_get_path(root), "/");
        assert_int_equal(ch_tree_open_group(fixture->tree, "/web/api", &group, NULL), 0);
        assert_string_equal(ch_group_get_path(group), "/web/api");
        assert_ptr_equal(ch_group_get_tree(group), fixture->tree);
        assert_true(ch_group_get_fd(group) >= 0);

        assert_int_equal(
                ch_tree_open_group_by_id(fixture->tree, ch_group_get_id(group), &by_id, NULL), 0);
        assert_string_equal(ch_group_get_path(by_id), "/web/api");
        assert_int_equal(ch_tree_open_group_by_id(fixture->tree, 1, &none, &error), -ENODEV);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NO_SUCH_GROUP);
        assert_non_null(strstr(ch_error_get_cause(error), "id 1"));
}

static void test_open_group_refuses(void **state)
{
        Fixture *fixture = *state;
        static const struct {
                const char *path;
                int errnum;
                ch_error_kind kind;
        } rows[] = {
                { "/none", ENODEV, CH_ERROR_NO_SUCH_GROUP },
                { "/web/none", ENODEV, CH_ERROR_NO_SUCH_GROUP },
                { "/../etc", EINVAL, CH_ERROR_BAD_PATH },
                { "/web/../../etc", EINVAL, CH_ERROR_BAD_PATH },
                { "/out", ELOOP, CH_ERROR_BAD_PATH },
                { "/out/ssl", ELOOP, CH_ERROR_BAD_PATH },
                { "/web/file", ENODEV, CH_ERROR_NO_SUCH_GROUP },
        };

        fake_add(fixture->fake, "/web", "memory");
        fake_set(fixture->fake, "/web", "file", "");
        assert_int_equal(symlinkat("/etc", ch_tree_get_fd(fixture->tree), "out"), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(error_freep) ch_error *error = NULL;
                ch_group *group = NULL;

                assert_int_equal(ch_tree_open_group(fixture->tree, rows[i].path, &group, &error),
                                 -rows[i].errnum);
                assert_int_equal(ch_error_get_kind(error), rows[i].kind);
                assert_string_equal(ch_error_get_path(error), rows[i].path);
                assert_null(group);
        }
}

typedef struct Seen {
        char text[1024];
        const char *skip; /* below this */
        const char *stop; /* at this */
} Seen;

static int see(const ch_walk_entry *entry, void *userdata)
{
        Seen *seen = userdata;
        size_t used = strlen(seen->text);
        struct stat st;

        assert_int_equal(fstat(entry->fd, &st), 0);
        assert_int_equal(st.st_ino, entry->id);
        snprintf(seen->text + used, sizeof(seen->text) - used, "%s:%u ", entry->path, entry->depth);
        if (seen->stop && streq(entry->path, seen->stop))
                return -EINTR;
        return seen->skip && streq(entry->path, seen->skip);
}

static void test_walk_is_in_order(void **state)
{
        Fixture *fixture = *state;
        Seen all = { 0 }, below = { 0 }, skipping = { .skip = "/b" }, stopping = { .stop = "/a" };

        fake_add(fixture->fake, "/b/y", "");
        fake_add(fixture->fake, "/b/x/z", "");
        fake_add(fixture->fake, "/a", "");
        fake_add(fixture->fake, "/Z", "");
        assert_int_equal(symlinkat("b", ch_tree_get_fd(fixture->tree), "link"), 0);
        assert_int_equal(ch_tree_walk(fixture->tree, "/", see, &all, NULL), 0);
        assert_string_equal(all.text, "/:0 /Z:1 /a:1 /b:1 /b/x:2 /b/x/z:3 /b/y:2 ");
        assert_int_equal(ch_tree_walk(fixture->tree, "/b", see, &below, NULL), 0);
        assert_string_equal(below.text, "/b:0 /b/x:1 /b/x/z:2 /b/y:1 ");
        assert_int_equal(ch_tree_walk(fixture->tree, "/", see, &skipping, NULL), 0);
        assert_string_equal(skipping.text, "/:0 /Z:1 /a:1 /b:1 ");
        assert_int_equal(ch_tree_walk(fixture->tree, "/", see, &stopping, NULL), -EINTR);
        assert_string_equal(stopping.text, "/:0 /Z:1 /a:1 ");
        assert_int_equal(ch_tree_walk(fixture->tree, "/none", see, &all, NULL), -ENODEV);
        assert_int_equal(ch_tree_walk(fixture->tree, "/b/../a", see, &all, NULL), -EINVAL);
}

static int remove_others(const ch_walk_entry *entry, void *userdata)
{
        ch_tree *tree = userdata;

        if (streq(entry->path, "/a"))
                assert_int_equal(ch_tree_remove_group(tree, "/b", CH_REMOVE_RECURSIVE, NULL), 0);
        assert_string_not_equal(entry->path, "/b");
        return 0;
}

static void test_walk_passes_over_what_vanishes(void **state)
{
        Fixture *fixture = *state;

        fake_add(fixture->fake, "/a", "");
        fake_add(fixture->fake, "/b/c", "");
        assert_int_equal(ch_tree_walk(fixture->tree, "/", remove_others, fixture->tree, NULL), 0);
}

static int count_fds(void)
{
        int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static int check_fds(const ch_walk_entry *entry, void *userdata)
{
        /* the start and one per level below it */
        assert_int_equal(count_fds(), *(int *)userdata + 1 + (int)entry->depth);
        return 0;
}

static void test_walk_holds_one_fd_per_level(void **state)
{
        Fixture *fixture = *state;
        int before;

        for (int i = 0; i < 20; i++) {
                char path[32];

                snprintf(path, sizeof(path), "/g%d/x/y", i);
                fake_add(fixture->fake, path, "");
        }
        before = count_fds();
        assert_int_equal(ch_tree_walk(fixture->tree, "/", check_fds, &before, NULL), 0);
        assert_int_equal(count_fds(), before);
}

static void test_create(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        _cleanup_(error_freep) ch_error *exists = NULL;
        _cleanup_(error_freep) ch_error *orphan = NULL;

        assert_int_equal(ch_tree_create_group(fixture->tree, "/a", 0, &group, NULL), 1);
        assert_string_equal(ch_group_get_path(group), "/a");
        assert_int_equal(ch_tree_create_group(fixture->tree, "/a", 0, NULL, &exists), -EEXIST);
        assert_int_equal(ch_error_get_kind(exists), CH_ERROR_GROUP_EXISTS);
        assert_int_equal(ch_tree_create_group(fixture->tree, "/a", CH_CREATE_EXIST_OK, NULL, NULL),
                         0);
        assert_int_equal(ch_tree_create_group(fixture->tree, "/", CH_CREATE_EXIST_OK, NULL, NULL),
                         0);

        assert_int_equal(ch_tree_create_group(fixture->tree, "/b/c/d", 0, NULL, &orphan), -ENODEV);
        assert_non_null(strstr(ch_error_get_cause(orphan), "parent does not exist"));
        assert_false(fake_exists(fixture->fake, "/b"));
        assert_int_equal(
                ch_tree_create_group(fixture->tree, "/b/c/d", CH_CREATE_PARENTS, NULL, NULL), 1);
        assert_true(fake_exists(fixture->fake, "/b/c/d"));
}

static void test_create_refuses(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_tree_unrefp) ch_tree *reader = NULL;

        assert_int_equal(symlinkat("/etc", ch_tree_get_fd(fixture->tree), "out"), 0);
        assert_int_equal(
                ch_tree_create_group(fixture->tree, "/out/x", CH_CREATE_PARENTS, NULL, NULL),
                -ELOOP);
        assert_int_equal(ch_tree_create_group(fixture->tree, "/memory.x", 0, NULL, NULL), -EINVAL);
        assert_int_equal(
                ch_tree_create_group(fixture->tree, "/a/../b", CH_CREATE_PARENTS, NULL, NULL),
                -EINVAL);
        assert_int_equal(ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS | CH_TREE_READ_ONLY,
                                      &reader, NULL),
                         0);
        assert_int_equal(ch_tree_create_group(reader, "/a", 0, NULL, NULL), -EROFS);
        assert_int_equal(ch_tree_remove_group(reader, "/out", 0, NULL), -EROFS);
        assert_false(fake_exists(fixture->fake, "/a"));
}

static void test_long_names(void **state)
{
        Fixture *fixture = *state;
        char path[600] = "/made/by/us/";

        memset(path + strlen(path), 'x', 250);
        assert_int_equal(ch_tree_create_group(fixture->tree, path, CH_CREATE_PARENTS, NULL, NULL),
                         1);
        assert_true(fake_exists(fixture->fake, path));
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/made", CH_REMOVE_RECURSIVE, NULL),
                         0);
        assert_false(fake_exists(fixture->fake, "/made"));
}

static void test_remove(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *busy = NULL;
        _cleanup_(error_freep) ch_error *children = NULL;
        _cleanup_(error_freep) ch_error *below = NULL;

        fake_add(fixture->fake, "/a/b", "memory");
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/", 0, NULL), -EBUSY);
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/none", 0, NULL), -ENODEV);
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/a", 0, &children), -EBUSY);
        assert_non_null(strstr(ch_error_get_cause(children), "groups below it"));
        fake_set(fixture->fake, "/a/b", "cgroup.procs", "17\n18\n");
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/a/b", 0, &busy), -EBUSY);
        assert_int_equal(ch_error_get_kind(busy), CH_ERROR_NOT_EMPTY);
        assert_non_null(strstr(ch_error_get_cause(busy), "2 processes are left in it (17, …)"));
        fake_set(fixture->fake, "/a", "cgroup.events", "populated 1\nfrozen 0\n");
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/a", CH_REMOVE_RECURSIVE, &below),
                         -EBUSY);
        assert_non_null(strstr(ch_error_get_cause(below), "in groups below it"));
        assert_true(fake_exists(fixture->fake, "/a/b"));

        fake_set(fixture->fake, "/a", "cgroup.events", "populated 0\nfrozen 0\n");
        fake_set(fixture->fake, "/a/b", "cgroup.procs", "");
        assert_int_equal(ch_tree_remove_group(fixture->tree, "/a", CH_REMOVE_RECURSIVE, NULL), 0);
        assert_false(fake_exists(fixture->fake, "/a"));
}

static void test_pid_of_nobody(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *error = NULL;
        char *path = NULL;

        assert_int_equal(ch_tree_path_of_pid(fixture->tree, 0x7ffffff0, &path, &error), -ESRCH);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NO_SUCH_PROCESS);
        assert_non_null(strstr(ch_error_get_cause(error), "2147483632"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open_refuses),
                cmocka_unit_test_setup_teardown(test_open_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_open_group_refuses, setup, teardown),
                cmocka_unit_test_setup_teardown(test_walk_is_in_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_walk_passes_over_what_vanishes, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_walk_holds_one_fd_per_level, setup, teardown),
                cmocka_unit_test_setup_teardown(test_create, setup, teardown),
                cmocka_unit_test_setup_teardown(test_create_refuses, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_names, setup, teardown),
                cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pid_of_nobody, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
