/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what; bad requests to move; and moves on a real hierarchy without controllers, where
 * there is one. */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "names.h"
#include "real-env.h"
#include "util.h"

#define NOBODY 65534
#define OTHER  1 /* a uid that the user database knows: dbus-daemon refuses others */

static void give(Env *env, const char *path, uid_t uid)
{
        char full[384];

        (void)snprintf(full, sizeof(full), "%s%s", env->root, path);
        assert_int_equal(chown(full, uid, (gid_t)-1), 0);
}

static void expect_as(Env *env, uid_t uid, const char *kind, const char *member, const char *path)
{
        char error[128];
        int r;

        if (streq(member, "CreateGroup"))
                r = env_call_as(env, uid, error, member, "sa{sv}a{sv}", path, 0, 0);
        else if (streq(member, "RemoveGroup"))
                r = env_call_as(env, uid, error, member, "sa{sv}", path, 0);
        else if (streq(member, "SetProperties"))
                r = env_call_as(env, uid, error, member, "sa{sv}a{sv}", path, 1, "TasksMax", "s",
                                "10", 0);
        else if (streq(member, "Kill"))
                r = env_call_as(env, uid, error, member, "si", path, 15);
        else if (streq(member, "ListGroups"))
                r = env_call_as(env, uid, error, member, "su", path, 0);
        else if (streq(member, "Reload"))
                r = env_call_as(env, uid, error, member, NULL);
        else
                r = env_call_as(env, uid, error, member, "s", path);
        if (r != (kind != NULL) || (kind && !strstr(error, kind)))
                fail_msg("%s(%s) as uid %d: '%s', want '%s'", member, path, (int)uid, error,
                         kind ? kind : "");
}

static void test_who_may(void **state)
{
        static const char *const changing[] = { "CreateGroup", "RemoveGroup", "SetProperties",
                                                "Kill",        "Thaw",        "OpenGroup",
                                                "Reload" };
        Env *env = *state;
        char path[384];
        struct stat st;

        if (getuid() != 0)
                skip(); /* only root can be somebody else */
        give(env, "/web", NOBODY);
        env_start_daemon(env, NULL);
        for (size_t i = 0; i < ELEMENTSOF(changing); i++) {
                expect_as(env, NOBODY, "NotPermitted", changing[i],
                          streq(changing[i], "CreateGroup") ? "/db/x" : "/db");
                if (!streq(changing[i], "Reload"))
                        expect_as(env, OTHER, "NotPermitted", changing[i],
                                  streq(changing[i], "CreateGroup") ? "/web/x" : "/web/api");
        }
        assert_false(fake_exists(env->fake, "/db/x"));
        expect_as(env, NOBODY, NULL, "ListGroups", "/");
        expect_as(env, NOBODY, NULL, "GetGroup", "/db");
        /* in its own subtree */
        expect_as(env, NOBODY, NULL, "CreateGroup", "/web/x");
        (void)snprintf(path, sizeof(path), "%s/web/x", env->root);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_uid, NOBODY);
        expect_as(env, NOBODY, NULL, "RemoveGroup", "/web/x");
        expect_as(env, NOBODY, NULL, "SetProperties", "/web/api");
        expect_as(env, NOBODY, NULL, "OpenGroup", "/web/api");
        expect_as(env, NOBODY, NULL, "Thaw", "/web/api");
        /* the limits of what was delegated are not its own */
        expect_as(env, NOBODY, "NotPermitted", "SetProperties", "/web");
        expect_as(env, NOBODY, "NotPermitted", "CreateGroup", "/y");
}

static void test_who_may_delegate(void **state)
{
        Env *env = *state;
        char error[128];

        if (getuid() != 0)
                skip();
        give(env, "/web", NOBODY);
        env_start_daemon(env, NULL);
        assert_int_equal(env_call_as(env, NOBODY, error, "CreateGroup", "sa{sv}a{sv}", "/web/x", 0,
                                     1, "uid", "u", (uint32_t)OTHER),
                         1);
        assert_non_null(strstr(error, "NotPermitted"));
        assert_false(fake_exists(env->fake, "/web/x"));
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", "/web/x", 0, 2, "uid", "u",
                                      (uint32_t)OTHER, "gid", "u", (uint32_t)OTHER));
        expect_as(env, OTHER, NULL, "CreateGroup", "/web/x/y");
}

static void test_bad_requests(void **state)
{
        Env *env = *state;

        env_start_daemon(env, NULL);
        env_call_fails(env, "BadValue", "target", "Move", "a{sv}", 1, "pids", "au", 1, 1);
        env_call_fails(env, "BadValue", "exactly one", "Move", "a{sv}", 1, "target", "s", "/web");
        env_call_fails(env, "BadValue", "exactly one", "PlanMove", "a{sv}", 3, "target", "s",
                       "/web", "group", "s", "/db", "pids", "au", 1, 1);
        env_call_fails(env, "BadValue", "colour", "PlanMove", "a{sv}", 1, "colour", "s", "red");
        env_call_fails(env, "BadValue", "'au'", "PlanMove", "a{sv}", 2, "target", "s", "/web",
                       "pids", "s", "1");
        env_call_fails(env, "BadValue", "fast", "PlanMove", "a{sv}", 3, "target", "s", "/web",
                       "pids", "au", 1, 1, "policy", "s", "fast");
        env_call_fails(env, "BadValue", "magic", "PlanMove", "a{sv}", 3, "target", "s", "/web",
                       "pids", "au", 1, 1, "backends", "as", 1, "magic");
        env_call_fails(env, "NoSuchProcess", NULL, "PlanMove", "a{sv}", 4, "target", "s", "/web",
                       "pids", "au", 1, 4194311, "backends", "as", 1, "module", "with_shared", "b", 1);
        env_call_fails(env, "BadValue", "with_shared", "PlanMove", "a{sv}", 3, "target", "s", "/web",
                       "pids", "au", 1, 1, "with_shared", "s", "yes");
        env_call_fails(env, "BadProcess", NULL, "Move", "a{sv}", 2, "target", "s", "/web", "pids",
                       "au", 1, 0);
        env_call_fails(env, "NoSuchProcess", NULL, "Move", "a{sv}", 2, "target", "s", "/web",
                       "pids", "au", 1, 4194311);
        env_call_fails(env, "NoSuchGroup", "/none", "PlanMove", "a{sv}", 2, "target", "s", "/web",
                       "group", "s", "/none");
        env_call_fails(env, "NoSuchGroup", "/none", "Move", "a{sv}", 2, "target", "s", "/none",
                       "pids", "au", 1, getpid());
        env_call_fails(env, "BadValue", "exactly one", "ChargeMap", "a{sv}", 0);
        env_call_fails(env, "NoSuchProcess", NULL, "ChargeMap", "a{sv}", 1, "pid", "u", 4194311);
        env_call_fails(env, "NoSuchGroup", "/none", "ChargeMap", "a{sv}", 1, "group", "s", "/none");
}

static void test_real_move(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL, *job = NULL;
        Env *env = *state;
        const char *object, *text;
        char root[128];
        uint32_t id;
        pid_t pid;

        if (!real_start(env, root, NULL))
                skip(); /* no cgroup v2 at /sys/fs/cgroup/unified, or not root */
        real_create(env, "/a/b");
        real_create(env, "/c");
        pid = real_sleeper(root, "/a/b", 0);
        env_wait_signal(env, "PropertiesChanged", NULL, 1);
        real_expect_group(env, pid, "/a/b");
        reply = env_call(env, "Move", "a{sv}", 3, "pids", "au", 1, (uint32_t)pid, "target", "s",
                         "/c", "policy", "s", "stay");
        assert_true(sd_bus_message_read(reply, "uo", &id, &object) > 0);
        env_wait_signal(env, "JobRemoved", NULL, 1);
        assert_int_equal(env_count(env, "JobNew", NULL), 1);
        real_expect_group(env, pid, "/c");
        job = env_object_call(env, object, "org.freedesktop.DBus.Properties", "Get", "ss",
                              CH_BUS_JOB_INTERFACE, "State");
        assert_true(sd_bus_message_read(job, "v", "s", &text) > 0);
        assert_string_equal(text, "finished");
        sd_bus_message_unref(env_object_call(env, object, CH_BUS_JOB_INTERFACE, "Cancel",
                                             NULL)); /* too late is no error */
        env_call_fails(env, "NotEmpty", "/c", "RemoveGroup", "sa{sv}", "/c", 0);
        env_call_fails(env, "BadProcess", NULL, "Move", "a{sv}", 3, "pids", "au", 1, 2, "target",
                       "s", "/c", "policy", "s", "stay");
        real_kill(pid);
        real_end(env, root);
}

static void test_real_control(void **state)
{
        Env *env = *state;
        char root[128];
        pid_t pid;
        int status;

        if (!real_start(env, root, NULL))
                skip();
        real_create(env, "/k");
        pid = real_sleeper(root, "/k", 0);
        sd_bus_message_unref(env_call(env, "Freeze", "s", "/k"));
        env_wait_signal(env, "PropertiesChanged", CH_BUS_GROUP_INTERFACE, 1);
        sd_bus_message_unref(env_call(env, "Thaw", "s", "/k"));
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        sd_bus_message_unref(env_object_call(env, CH_BUS_GROUP_PREFIX "/_2fk",
                                             CH_BUS_GROUP_INTERFACE, "Kill", "i", SIGTERM));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        real_end(env, root);
}

static int move_as(Env *env, uid_t uid, pid_t pid, const char *target, char error[128])
{
        return env_call_as(env, uid, error, "Move", "a{sv}", 3, "pids", "au", 1, (uint32_t)pid,
                           "target", "s", target, "policy", "s", "stay");
}

static void create_as(Env *env, uid_t uid, const char *path)
{
        char error[128];

        assert_int_equal(env_call_as(env, uid, error, "CreateGroup", "sa{sv}a{sv}", path, 0, 0), 0);
}

/* Holds up the job of that number where it writes its journal: it waits for us to read. */
static void block_journal(const Env *env, unsigned job, char ret[128])
{
        (void)snprintf(ret, 128, "%s/state/moves/%u.tmp", env->dir, job);
        assert_int_equal(mkfifo(ret, 0600), 0);
}

static void unblock_journal(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char buffer[4096];

        assert_true(fd >= 0);
        while (read(fd, buffer, sizeof(buffer)) > 0)
                ;
        (void)close(fd);
}

/* JobsPerUser=1: a second job waits for the first one's end, but not for the jobs of others. */
static void test_job_limit(void **state)
{
        Env *env = *state;
        char root[128], path[128], argument[160], error[128];
        pid_t first, second;
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/conf", env->dir);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs("[Daemon]\nJobsPerUser=1\n", file) >= 0 && fclose(file) == 0);
        (void)snprintf(argument, sizeof(argument), "--config=%s", path);
        if (!real_start(env, root, argument))
                skip();
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", "/j", 0, 2, "uid", "u",
                                      NOBODY, "gid", "u", NOBODY));
        create_as(env, NOBODY, "/j/a");
        create_as(env, NOBODY, "/j/b");
        first = real_sleeper(root, "/j/a", NOBODY);
        second = real_sleeper(root, "/j/a", NOBODY);
        block_journal(env, 1, path);
        assert_int_equal(move_as(env, NOBODY, first, "/j/b", error), 0);
        assert_int_equal(move_as(env, NOBODY, second, "/j/b", error), 1);
        assert_string_equal(error, CH_BUS_ERROR_PREFIX "LimitReached");
        real_expect_group(env, second, "/j/a");
        assert_int_equal(move_as(env, 0, second, "/j/b", error), 0);
        env_wait_signal(env, "JobRemoved", "2", 1);
        real_expect_group(env, second, "/j/b");
        assert_int_equal(env_count(env, "JobRemoved", "1"), 0);
        unblock_journal(path);
        env_wait_signal(env, "JobRemoved", "1", 1);
        assert_int_equal(move_as(env, NOBODY, second, "/j/a", error), 0);
        env_wait_signal(env, "JobRemoved", "3", 1);
        real_expect_group(env, second, "/j/a");
        real_kill(first);
        real_kill(second);
        real_end(env, root);
}

const struct CMUnitTest move_tests[] = {
        cmocka_unit_test_setup_teardown(test_who_may, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_who_may_delegate, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_real_move, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_real_control, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_job_limit, env_setup, env_teardown),
};
const size_t n_move_tests = ELEMENTSOF(move_tests);
