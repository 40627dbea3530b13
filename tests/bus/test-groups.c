/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups over the bus: made, listed, found, removed; each signal once; bad paths. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "names.h"
#include "util.h"

static void make(Env *env, const char *path, const char *option)
{
        sd_bus_message_unref(
                option ? env_call(env, "CreateGroup", "sa{sv}a{sv}", path, 0, 1, option, "b", 1)
                       : env_call(env, "CreateGroup", "sa{sv}a{sv}", path, 0, 0));
}

/* "PATH FLAGS" of each row, in order */
static char *list(Env *env, const char *below, uint32_t depth)
{
        _cleanup_(reply_freep) sd_bus_message *reply =
                env_call(env, "ListGroups", "su", below, depth);
        const char *path, *object;
        uint32_t uid, flags;
        uint64_t id;
        char *text = strdup("");

        assert_true(sd_bus_message_enter_container(reply, 'a', "(sotuu)") > 0);
        while (sd_bus_message_read(reply, "(sotuu)", &path, &object, &id, &uid, &flags) > 0) {
                char *longer;

                assert_true(id > 0);
                assert_true(asprintf(&longer, "%s%s %u;", text, path, flags) >= 0);
                free(text);
                text = longer;
        }
        return text;
}

static void expect_list(Env *env, const char *below, uint32_t depth, const char *want)
{
        _cleanup_(freep) char *got = list(env, below, depth);

        assert_string_equal(got, want);
}

static void test_create_list_remove(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        const char *object, *path;

        env_start_daemon(env, NULL);
        expect_list(env, "/", 0, "/ 8;/db 0;/web 8;/web/api 0;");
        reply = env_call(env, "CreateGroup", "sa{sv}a{sv}", "/web/b", 0, 0);
        assert_true(sd_bus_message_read(reply, "o", &object) > 0);
        assert_string_equal(object, CH_BUS_GROUP_PREFIX "/_2fweb_2fb");
        assert_true(fake_exists(env->fake, "/web/b"));
        assert_true(sd_bus_path_decode(object, CH_BUS_GROUP_PREFIX, (char **)&path) > 0);
        assert_string_equal(path, "/web/b");
        free((char *)path);
        make(env, "/web/a/x/y", "parents");
        expect_list(env, "/web", 0, "/web 8;/web/a 9;/web/a/x 9;/web/a/x/y 1;/web/api 0;/web/b 1;");
        expect_list(env, "/", 1, "/ 8;/db 0;/web 8;");
        expect_list(env, "/web", 2, "/web 8;/web/a 9;/web/a/x 9;/web/api 0;/web/b 1;");
        env_settle(env);
        assert_int_equal(env_count(env, "GroupNew", "/web/b"), 1);
        assert_int_equal(env_count(env, "GroupNew", "/web/a"), 1);
        assert_int_equal(env_count(env, "GroupNew", "/web/a/x/y"), 1);

        sd_bus_message_unref(
                env_call(env, "RemoveGroup", "sa{sv}", "/web/b", 1, "dry_run", "b", 1));
        assert_true(fake_exists(env->fake, "/web/b"));
        sd_bus_message_unref(env_call(env, "RemoveGroup", "sa{sv}", "/web/b", 0));
        assert_false(fake_exists(env->fake, "/web/b"));
        env_call_fails(env, "NotEmpty", "/web/a", "RemoveGroup", "sa{sv}", "/web/a", 0);
        sd_bus_message_unref(
                env_call(env, "RemoveGroup", "sa{sv}", "/web/a", 1, "recursive", "b", 1));
        expect_list(env, "/", 0, "/ 8;/db 0;/web 8;/web/api 0;");
        env_settle(env);
        assert_int_equal(env_count(env, "GroupRemoved", "/web/b"), 1);
        assert_int_equal(env_count(env, "GroupRemoved", "/web/a/x"), 1);
        assert_int_equal(env_count(env, "GroupRemoved", "/web"), 0);
}

static void test_errors(void **state)
{
        Env *env = *state;

        env_start_daemon(env, NULL);
        env_call_fails(env, "GroupExists", "/web", "CreateGroup", "sa{sv}a{sv}", "/web", 0, 0);
        env_call_fails(env, "NoSuchGroup", "/x", "CreateGroup", "sa{sv}a{sv}", "/x/y", 0, 0);
        env_call_fails(env, "NoSuchGroup", "/x", "GetGroup", "s", "/x");
        env_call_fails(env, "NoSuchGroup", "/x", "RemoveGroup", "sa{sv}", "/x", 0);
        env_call_fails(env, "NoSuchGroup", "/x", "Freeze", "s", "/x");
        env_call_fails(env, "NoSuchGroup", "/x", "Kill", "si", "/x", 9);
        env_call_fails(env, "NoSuchGroup", "/x", "OpenGroup", "s", "/x");
        env_call_fails(env, "NoSuchGroup", "/x", "ListGroups", "su", "/x", 0);
        env_call_fails(env, "Foreign", "rmdir", "RemoveGroup", "sa{sv}", "/db", 0);
        assert_true(fake_exists(env->fake, "/db"));
        env_call_fails(env, "NotEmpty", "/", "RemoveGroup", "sa{sv}", "/", 0);
        env_call_fails(env, "BadValue", "recursif", "RemoveGroup", "sa{sv}", "/db", 1, "recursif",
                       "b", 1);
        env_call_fails(env, "BadValue", "parents", "CreateGroup", "sa{sv}a{sv}", "/x", 0, 1,
                       "parents", "s", "yes");
        assert_false(fake_exists(env->fake, "/x"));
        /* what is taken over becomes ours */
        make(env, "/db", "exist_ok");
        expect_list(env, "/db", 0, "/db 1;");
}

static void test_bad_paths(void **state)
{
        static const char *const paths[] = {
                "",
                "web",
                "/web/",
                "//web",
                "/web/..",
                "/../etc",
                "/web/./api",
                "/web/cgroup.procs",
                "/memory.x",
                "/a\nb",
                "/a\177b",
        };
        Env *env = *state;
        char long_name[300] = "/", long_path[4200];

        env_start_daemon(env, NULL);
        memset(long_name + 1, 'n', 256);
        for (size_t i = 0; i + 2 < sizeof(long_path); i += 2)
                memcpy(long_path + i, "/p", 3);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                env_call_fails(env, "BadPath", NULL, "CreateGroup", "sa{sv}a{sv}", paths[i], 0, 1,
                               "parents", "b", 1);
                env_call_fails(env, "BadPath", NULL, "GetGroup", "s", paths[i]);
                env_call_fails(env, "BadPath", NULL, "SetProperties", "sa{sv}a{sv}", paths[i], 0,
                               0);
                env_call_fails(env, "BadPath", NULL, "PlanMove", "a{sv}", 2, "pids", "au", 1, 1,
                               "target", "s", paths[i]);
        }
        env_call_fails(env, "BadPath", NULL, "CreateGroup", "sa{sv}a{sv}", long_name, 0, 0);
        env_call_fails(env, "BadPath", NULL, "CreateGroup", "sa{sv}a{sv}", long_path, 0, 1,
                       "parents", "b", 1);
        expect_list(env, "/", 0, "/ 8;/db 0;/web 8;/web/api 0;");
}

static void test_symlink_out(void **state)
{
        Env *env = *state;
        char path[384], outside[] = "/tmp/chargehand-outside-XXXXXX";

        env_start_daemon(env, NULL);
        (void)snprintf(path, sizeof(path), "%s/out", env->root);
        assert_non_null(mkdtemp(outside));
        assert_int_equal(symlink(outside, path), 0);
        env_call_fails(env, "BadPath", NULL, "GetProperties", "sas", "/out", 0);
        env_call_fails(env, "BadPath", NULL, "CreateGroup", "sa{sv}a{sv}", "/out/x", 0, 0);
        assert_int_equal(rmdir(outside), 0); /* with nothing in it */
}

/* Others make and remove groups too; a whole subtree at once, faster than the watches are there. */
static void test_groups_of_others(void **state)
{
        Env *env = *state;
        char path[384];

        env_start_daemon(env, NULL);
        fake_add(env->fake, "/o/p/q/r", "memory");
        env_wait_signal(env, "GroupNew", "/o/p/q/r", 1);
        env_settle(env);
        assert_int_equal(env_count(env, "GroupNew", "/o"), 1);
        assert_int_equal(env_count(env, "GroupNew", "/o/p"), 1);
        assert_int_equal(env_count(env, "GroupNew", "/o/p/q/r"), 1);
        (void)snprintf(path, sizeof(path), "rm -r %s/o", env->root);
        assert_int_equal(system(path), 0);
        env_wait_signal(env, "GroupRemoved", "/o", 1);
        env_settle(env);
        assert_int_equal(env_count(env, "GroupRemoved", "/o/p/q/r"), 1);
        expect_list(env, "/", 0, "/ 8;/db 0;/web 8;/web/api 0;");
}

static void test_open_and_pids(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *opened = NULL;
        Env *env = *state;
        struct stat by_fd, by_path;
        char path[384];
        int fd;

        env_start_daemon(env, NULL);
        opened = env_call(env, "OpenGroup", "s", "/web/api");
        assert_true(sd_bus_message_read(opened, "h", &fd) > 0);
        (void)snprintf(path, sizeof(path), "%s/web/api", env->root);
        assert_int_equal(fstat(fd, &by_fd), 0);
        assert_int_equal(stat(path, &by_path), 0);
        assert_true(by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev);
        env_call_fails(env, "NoSuchProcess", NULL, "GetGroupByPID", "u", 0);
        env_call_fails(env, "NoSuchProcess", NULL, "GetGroupByPID", "u", 4194304 + 7);
        env_call_fails(env, "BadValue", "pidfd", "GetGroupByPIDFD", "h", fd);
}

/* The mark is in the group: a new daemon knows what an old one made. */
static void test_restart(void **state)
{
        Env *env = *state;
        _cleanup_(freep) char *before = NULL;
        char path[384];

        env_start_daemon(env, NULL);
        make(env, "/mine", NULL);
        (void)snprintf(path, sizeof(path), "%s/mine", env->root);
        if (getxattr(path, "trusted.chargehand.managed", NULL, 0) < 0 &&
            getxattr(path, "user.chargehand.managed", NULL, 0) < 0)
                skip(); /* this file system keeps no extended attributes */
        before = list(env, "/", 0);
        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
        env_start_daemon(env, NULL);
        expect_list(env, "/", 0, before);
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        env_start_daemon(env, NULL);
        expect_list(env, "/", 0, before);
}

const struct CMUnitTest group_tests[] = {
        cmocka_unit_test_setup_teardown(test_create_list_remove, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_errors, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_bad_paths, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_symlink_out, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_groups_of_others, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_open_and_pids, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_restart, env_setup, env_teardown),
};
const size_t n_group_tests = ELEMENTSOF(group_tests);
