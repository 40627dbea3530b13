/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes over the bus: typed, all or nothing, with clear errors; changes that the kernel
 * announces. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "names.h"
#include "util.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define WEB        CH_BUS_GROUP_PREFIX "/_2fweb"
#define API        CH_BUS_GROUP_PREFIX "/_2fweb_2fapi"

static void expect_file(Env *env, const char *path, const char *file, const char *want)
{
        _cleanup_(freep) char *got = fake_get(env->fake, path, file);

        assert_non_null(got);
        got[strcspn(got, "\n")] = '\0';
        assert_string_equal(got, want);
}

static void test_set(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *two = NULL, *none = NULL;
        Env *env = *state;
        uint32_t n;

        env_start_daemon(env, NULL);
        two = env_call(env, "SetProperties", "sa{sv}a{sv}", "/web", 2, "MemoryMax", "s", "1.5G",
                       "TasksMax", "t", (uint64_t)77, 0);
        assert_true(sd_bus_message_read(two, "u", &n) > 0);
        assert_int_equal(n, 2);
        expect_file(env, "/web", "memory.max", "1610612736");
        expect_file(env, "/web", "pids.max", "77");
        none = env_call(env, "SetProperties", "sa{sv}a{sv}", "/web", 1, "MemoryMax", "s", "1536M",
                        0);
        assert_true(sd_bus_message_read(none, "u", &n) > 0);
        assert_int_equal(n, 0);
        sd_bus_message_unref(env_call(env, "SetProperties", "sa{sv}a{sv}", "/web", 1, "MemoryMax",
                                      "t", (uint64_t)4096, 1, "dry_run", "b", 1));
        expect_file(env, "/web", "memory.max", "1610612736");
        /* file names, any whole number, "max" and UINT64_MAX */
        sd_bus_message_unref(env_call(env, "SetProperties", "sa{sv}a{sv}", "/web", 2, "memory.high",
                                      "u", 65536U, "TasksMax", "t", UINT64_MAX, 0));
        expect_file(env, "/web", "memory.high", "65536");
        expect_file(env, "/web", "pids.max", "max");
        sd_bus_message_unref(env_call(env, "SetProperties", "sa{sv}a{sv}", "/web", 1, "CPUMax",
                                      "(tt)", (uint64_t)50000, (uint64_t)100000, 0));
        expect_file(env, "/web", "cpu.max", "50000 100000");
}

static void test_set_errors(void **state)
{
        static const struct {
                const char *name, *text, *kind, *says;
        } rows[] = {
                {"MemoryMax",      "12Q",   "BadValue",         "12Q"                     },
                { "MemoryMax",     "-5",    "BadValue",         "-5"                      },
                { "MemoryMax",     "",      "BadValue",         "MemoryMax"               },
                { "MemoryMx",      "1G",    "UnknownAttribute", "did you mean 'MemoryMax'"},
                { "CPUWeight",     "0",     "BadValue",         "10000"                   },
                { "CPUWeight",     "10001", "BadValue",         "10000"                   },
                { "CPUWeight",     "high",  "BadValue",         "high"                    },
                { "MemoryCurrent", "1",     "ReadOnly",         "MemoryCurrent"           },
                { "Processes",     "1",     "ReadOnly",         "Move"                    },
        };
        Env *env = *state;

        env_start_daemon(env, NULL);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                env_call_fails(env, rows[i].kind, rows[i].says, "SetProperties", "sa{sv}a{sv}",
                               "/web", 2, "MemoryHigh", "s", "1M", rows[i].name, "s", rows[i].text,
                               0);
        env_call_fails(env, "BadValue", "CPUWeight", "SetProperties", "sa{sv}a{sv}", "/web", 1,
                       "CPUWeight", "b", 1, 0);
        env_call_fails(env, "BadValue", "CPUWeight", "SetProperties", "sa{sv}a{sv}", "/web", 1,
                       "CPUWeight", "x", (int64_t)-3, 0);
        env_call_fails(env, "BadValue", "twice", "SetProperties", "sa{sv}a{sv}", "/web", 2,
                       "TasksMax", "s", "1", "pids.max", "s", "2", 0);
        env_call_fails(env, "BadValue", "dry", "SetProperties", "sa{sv}a{sv}", "/web", 0, 1, "dry",
                       "b", 1);
        env_call_fails(env, "ControllerOff", "cpu", "SetProperties", "sa{sv}a{sv}", "/db", 2,
                       "MemoryHigh", "s", "1M", "CPUWeight", "s", "50", 0);
        env_call_fails(env, "NoSuchGroup", "/none", "SetProperties", "sa{sv}a{sv}", "/none", 1,
                       "TasksMax", "s", "1", 0);
        expect_file(env, "/web", "memory.high", "max");
        expect_file(env, "/web", "pids.max", "max");
        expect_file(env, "/db", "memory.high", "max");
}

static void test_create_is_whole(void **state)
{
        Env *env = *state;

        env_start_daemon(env, NULL);
        /* a plain directory has no memory.max: as if the kernel did not know it */
        env_call_fails(env, "NotSupported", "memory.max", "CreateGroup", "sa{sv}a{sv}", "/n/e/w", 1,
                       "MemoryMax", "s", "1G", 1, "parents", "b", 1);
        assert_false(fake_exists(env->fake, "/n"));
        env_call_fails(env, "BadValue", "1X", "CreateGroup", "sa{sv}a{sv}", "/n", 1, "MemoryMax",
                       "s", "1X", 0);
        assert_false(fake_exists(env->fake, "/n"));
}

static void test_get(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL, *all = NULL, *one = NULL;
        Env *env = *state;
        const char *name;
        uint64_t value;
        size_t n = 0, n_get_all = 0;

        env_start_daemon(env, NULL);
        reply = env_call(env, "GetProperties", "sas", "/web", 2, "MemoryMax", "memory.current");
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(reply, "{sv}", &name, "t", &value) > 0);
        assert_string_equal(name, "MemoryMax");
        assert_true(value == UINT64_MAX);
        assert_true(sd_bus_message_read(reply, "{sv}", &name, "t", &value) > 0);
        assert_string_equal(name, "MemoryCurrent");
        assert_int_equal(value, 1048576);
        all = env_call(env, "GetProperties", "sas", "/web", 0);
        assert_true(sd_bus_message_enter_container(all, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(all, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(all, "s", &name) > 0 &&
                            sd_bus_message_skip(all, "v") > 0);
                assert_true(sd_bus_message_exit_container(all) > 0);
                n++;
        }
        assert_in_range(n, 30, 200);
        one = env_object_call(env, WEB, PROPERTIES, "GetAll", "s", CH_BUS_GROUP_INTERFACE);
        assert_true(sd_bus_message_enter_container(one, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(one, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(one, "s", &name) > 0 &&
                            sd_bus_message_skip(one, "v") > 0);
                assert_true(sd_bus_message_exit_container(one) > 0);
                n_get_all++;
        }
        assert_int_equal(n_get_all, n + 7); /* Path, Id, Uid, Managed, Populated, Frozen, Charged */
        env_call_fails(env, "UnknownAttribute", "did you mean 'MemoryMax'", "GetProperties", "sas",
                       "/web", 1, "MemoryMx");
        env_call_fails(env, "ControllerOff", "cpu", "GetProperties", "sas", "/db", 1, "CPUMax");
        env_call_fails(env, "NotSupported", "written only", "GetProperties", "sas", "/web", 1,
                       "memory.reclaim");
}

/* Of several, what is not there is left out; alone it is an error, and so is a name that nobody
 * knows. */
static void test_get_some(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL, *none = NULL;
        Env *env = *state;
        const char *name;
        uint64_t value;

        env_start_daemon(env, NULL);
        reply = env_call(env, "GetProperties", "sas", "/db", 3, "CPUMax", "MemoryCurrent",
                         "cpu.weight");
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(reply, "{sv}", &name, "t", &value) > 0);
        assert_string_equal(name, "MemoryCurrent");
        assert_int_equal(sd_bus_message_at_end(reply, 0), 1);
        none = env_call(env, "GetProperties", "sas", "/db", 2, "CPUMax", "CPUWeight");
        assert_true(sd_bus_message_enter_container(none, 'a', "{sv}") > 0);
        assert_int_equal(sd_bus_message_at_end(none, 0), 1);
        env_call_fails(env, "ControllerOff", "cpu", "GetProperties", "sas", "/db", 2, "CPUMax",
                       "cpu.max");
        env_call_fails(env, "UnknownAttribute", "did you mean 'CPUMax'", "GetProperties", "sas",
                       "/db", 2, "MemoryCurrent", "CPUMx");
        env_call_fails(env, "NotSupported", "written only", "GetProperties", "sas", "/web", 2,
                       "MemoryMax", "memory.reclaim");
        env_call_fails(env, "NoSuchGroup", "/none", "GetProperties", "sas", "/none", 2, "CPUMax",
                       "MemoryMax");
}

static void test_property_interface(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        uint64_t value;

        env_start_daemon(env, NULL);
        sd_bus_message_unref(env_object_call(env, WEB, PROPERTIES, "Set", "ssv",
                                             CH_BUS_GROUP_INTERFACE, "MemoryMax", "t",
                                             (uint64_t)8192));
        expect_file(env, "/web", "memory.max", "8192");
        reply = env_object_call(env, WEB, PROPERTIES, "Get", "ss", CH_BUS_GROUP_INTERFACE,
                                "MemoryMax");
        assert_true(sd_bus_message_read(reply, "v", "t", &value) > 0);
        assert_int_equal(value, 8192);
        env_object_fails(env, CH_BUS_ERROR_PREFIX "BadValue", WEB, PROPERTIES, "Set", "ssv",
                         CH_BUS_GROUP_INTERFACE, "MemoryMax", "s", "lots");
        env_object_fails(env, CH_BUS_ERROR_PREFIX "ReadOnly", WEB, PROPERTIES, "Set", "ssv",
                         CH_BUS_GROUP_INTERFACE, "MemoryCurrent", "t", (uint64_t)1);
        env_object_fails(env, CH_BUS_ERROR_PREFIX "UnknownAttribute", WEB, PROPERTIES, "Set", "ssv",
                         CH_BUS_GROUP_INTERFACE, "Path", "s", "/x");
        env_object_fails(env, CH_BUS_ERROR_PREFIX "ControllerOff", CH_BUS_GROUP_PREFIX "/_2fdb",
                         PROPERTIES, "Get", "ss", CH_BUS_GROUP_INTERFACE, "CPUWeight");
        sd_bus_message_unref(env_object_call(env, WEB, CH_BUS_GROUP_INTERFACE, "SetProperties",
                                             "a{sv}", 1, "MemoryMax", "s", "12K"));
        expect_file(env, "/web", "memory.max", "12288");
}

/* What the signals of one group say, joined. */
static int has_said(Env *env, const char *path, const char *text)
{
        for (size_t i = 0; i < env->n_signals; i++)
                if (streq(env->signals[i].path, path) && strstr(env->signals[i].all, text))
                        return 1;
        return 0;
}

static int populated_was_said(Env *env, void *userdata)
{
        return has_said(env, API, userdata);
}

static void test_change_signals(void **state)
{
        Env *env = *state;
        size_t n;

        env_start_daemon(env, NULL);
        fake_set(env->fake, "/web/api", "cgroup.events", "populated 1\nfrozen 0\n");
        env_wait(env, populated_was_said, (void *)"Populated 1");
        env_settle(env);
        n = env_count(env, "PropertiesChanged", CH_BUS_GROUP_INTERFACE);
        assert_in_range(n, 1, 2); /* the test's write is a truncation and a write */
        /* the same content again is no change */
        fake_set(env->fake, "/web/api", "cgroup.events", "populated 1\nfrozen 0\n");
        env_settle(env);
        assert_false(has_said(env, API, "Frozen"));
        fake_set(env->fake, "/web/api", "cgroup.events", "populated 1\nfrozen 1\n");
        env_wait(env, populated_was_said, (void *)"Frozen 1");
}

static void test_oom_signals(void **state)
{
        Env *env = *state;

        fake_set(env->fake, "/web/api", "memory.events.local", NULL);
        fake_set(env->fake, "/web/api", "memory.events",
                 "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n");
        env_start_daemon(env, NULL);
        env_settle(env);
        assert_int_equal(env_count(env, "GroupOom", NULL), 0); /* those were before our time */
        fake_set(env->fake, "/web/api", "memory.events",
                 "low 0\nhigh 0\nmax 4\noom 2\noom_kill 5\n");
        env_wait_signal(env, "GroupOom", "/web/api", 1);
        fake_set(env->fake, "/web/api", "memory.events",
                 "low 0\nhigh 7\nmax 4\noom 2\noom_kill 5\n");
        env_settle(env);
        assert_int_equal(env_count(env, "GroupOom", NULL), 1);
}

/* The kernel never says "frozen" here: the call ends at its deadline, and what it did is undone. */
static void test_freeze_deadline(void **state)
{
        Env *env = *state;
        char path[128];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/conf", env->dir);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs("[Daemon]\nRequestTimeout=3s\n", file) >= 0 && fclose(file) == 0);
        (void)snprintf(path, sizeof(path), "--config=%s/conf", env->dir);
        env_start_daemon(env, path, NULL);
        env_call_fails(env, "TimedOut", "/web/api", "Freeze", "s", "/web/api");
        expect_file(env, "/web/api", "cgroup.freeze", "0");
        sd_bus_message_unref(env_call(env, "Thaw", "s", "/web/api"));
        fake_set(env->fake, "/web/api", "cgroup.events", "populated 0\nfrozen 1\n");
        sd_bus_message_unref(env_object_call(env, API, CH_BUS_GROUP_INTERFACE, "Freeze", NULL));
        expect_file(env, "/web/api", "cgroup.freeze", "1");
        env_call_fails(env, "BadValue", "signal", "Kill", "si", "/web/api", 0);
        env_call_fails(env, "BadValue", "signal", "Kill", "si", "/web/api", 4711);
        sd_bus_message_unref(env_call(env, "Kill", "si", "/web/api", 15));
}

const struct CMUnitTest property_tests[] = {
        cmocka_unit_test_setup_teardown(test_set, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_set_errors, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_create_is_whole, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_get, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_get_some, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_property_interface, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_change_signals, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_oom_signals, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_freeze_deadline, env_setup, env_teardown),
};
const size_t n_property_tests = ELEMENTSOF(property_tests);
