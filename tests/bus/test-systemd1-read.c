/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the face tells: properties, lists, look-ups, signals; on the bus and by the private socket.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "bus-tests.h"
#include "systemd1-env.h"
#include "systemd1-names.h"
#include "util.h"

#define UNIT_X      SD1_UNIT_PREFIX "/x_2escope"
#define PROPERTIES  "org.freedesktop.DBus.Properties"
#define WAIT_USEC   10000000ULL
#define ANY_SERVICE "a(ssssssouso)"

/* ---- properties ---- */

static char *get_text(sd_bus *bus, const char *path, const char *interface, const char *property)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *text = NULL;

        if (sd_bus_get_property_string(bus, SD1_BUS_NAME, path, interface, property, &error,
                                       &text) < 0)
                fail_msg("%s.%s of %s: %s", interface, property, path, error.message);
        return text;
}

static void expect_text(Env *env, const char *path, const char *interface, const char *property,
                        const char *want)
{
        _cleanup_(freep) char *text = get_text(env->client, path, interface, property);

        if (!streq(text, want))
                fail_msg("%s of %s is '%s', not '%s'", property, path, text, want);
}

static void property_fails(Env *env, const char *path, const char *interface, const char *property,
                           const char *want)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r;

        r = property ? sd_bus_get_property(env->client, SD1_BUS_NAME, path, interface, property,
                                           &error, &reply, "s")
                     : sd_bus_call_method(env->client, SD1_BUS_NAME, path, PROPERTIES, "GetAll",
                                          &error, &reply, "s", interface);
        assert_true(r < 0);
        assert_string_equal(error.name, want);
        sd_bus_error_free(&error);
}

/* How many entries GetAll has; fails where one of the names is missing. */
static size_t count_all(sd_bus *bus, const char *path, const char *interface, const char *must)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *name;
        size_t n = 0;
        int found = 0;

        if (sd_bus_call_method(bus, SD1_BUS_NAME, path, PROPERTIES, "GetAll", &error, &reply, "s",
                               interface) < 0)
                fail_msg("GetAll(%s) of %s: %s", interface, path, error.message);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &name) > 0);
                assert_true(sd_bus_message_skip(reply, "v") >= 0);
                assert_true(sd_bus_message_exit_container(reply) >= 0);
                found |= streq(name, must);
                n++;
        }
        if (!found)
                fail_msg("%s is not among the %zu properties of %s", must, n, interface);
        return n;
}

static void test_manager(void **state)
{
        Env *env = *state;
        _cleanup_(freep) char *version = NULL;
        const char *group;

        if (!sd1_start(env, "DefaultTimeoutStop=7s\n"))
                skip();
        version = get_text(env->client, SD1_PATH, SD1_MANAGER_INTERFACE, "Version");
        assert_int_equal(strncmp(version, "255 (chargehand ", 16), 0);
        group = strrchr(env->root, '/');
        expect_text(env, SD1_PATH, SD1_MANAGER_INTERFACE, "ControlGroup", group);
        expect_text(env, SD1_PATH, SD1_MANAGER_INTERFACE, "SystemState", "running");
        assert_true(count_all(env->client, SD1_PATH, SD1_MANAGER_INTERFACE, "NJobs") > 80);
        {
                uint64_t patience = 0;

                assert_true(sd_bus_get_property_trivial(
                                    env->client, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                    "DefaultTimeoutStopUSec", NULL, 't', &patience) >= 0);
                assert_int_equal(patience, 7000000);
        }
        sd1_fails(env, SD_BUS_ERROR_UNKNOWN_METHOD, NULL, "Reload", NULL);
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit foo.service not found.", "StartUnit", "ss",
                  "foo.service", "replace");
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit foo.timer not found.", "RestartUnit", "ss",
                  "foo.timer", "replace");
        sd1_end(env);
}

static void test_unit_properties(void **state)
{
        Env *env = *state;
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        char group[256];
        const void *id;
        size_t size;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "x.scope", "a-b.slice", pid);
        (void)snprintf(group, sizeof(group), "%s/a.slice/a-b.slice/x.scope",
                       strrchr(env->root, '/'));
        expect_text(env, UNIT_X, SD1_SCOPE_INTERFACE, "ControlGroup", group);
        expect_text(env, UNIT_X, SD1_SCOPE_INTERFACE, "Slice", "a-b.slice");
        expect_text(env, UNIT_X, SD1_SCOPE_INTERFACE, "Result", "success");
        expect_text(env, UNIT_X, SD1_UNIT_INTERFACE, "Id", "x.scope");
        expect_text(env, UNIT_X, SD1_UNIT_INTERFACE, "Description", "x.scope");
        expect_text(env, UNIT_X, SD1_UNIT_INTERFACE, "ActiveState", "active");
        expect_text(env, UNIT_X, SD1_UNIT_INTERFACE, "SubState", "running");
        expect_text(env, UNIT_X, SD1_UNIT_INTERFACE, "LoadState", "loaded");
        expect_text(env, SD1_UNIT_PREFIX "/a_2db_2eslice", SD1_UNIT_INTERFACE, "Description",
                    "Slice /a/b");
        expect_text(env, SD1_UNIT_PREFIX "/a_2db_2eslice", SD1_SLICE_INTERFACE, "Slice", "a.slice");
        expect_text(env, SD1_UNIT_PREFIX "/_2d_2eslice", SD1_UNIT_INTERFACE, "SubState", "active");
        assert_true(count_all(env->client, UNIT_X, SD1_SCOPE_INTERFACE, "MemoryMax") > 100);
        assert_true(count_all(env->client, UNIT_X, SD1_UNIT_INTERFACE, "InvocationID") > 80);
        /* without an interface: all of them */
        assert_true(count_all(env->client, UNIT_X, "", "MemoryMax") > 180);
        assert_true(sd_bus_get_property(env->client, SD1_BUS_NAME, UNIT_X, SD1_UNIT_INTERFACE,
                                        "InvocationID", NULL, &reply, "ay") >= 0);
        assert_true(sd_bus_message_read_array(reply, 'y', &id, &size) > 0);
        assert_int_equal(size, 16);

        property_fails(env, UNIT_X, SD1_SLICE_INTERFACE, NULL, SD_BUS_ERROR_UNKNOWN_INTERFACE);
        property_fails(env, UNIT_X, SD1_UNIT_INTERFACE, "Nonsense", SD_BUS_ERROR_UNKNOWN_PROPERTY);
        property_fails(env, SD1_UNIT_PREFIX "/nosuffix", SD1_UNIT_INTERFACE, "Id",
                       SD_BUS_ERROR_UNKNOWN_OBJECT);
        sd1_stop(env, "x.scope");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_end(env);
}

/* Whoever asks for a unit that is not there gets what one would have. */
static void test_missing_units(void **state)
{
        static const struct {
                const char *path, *interface;
        } rows[] = {
                {SD1_UNIT_PREFIX "/gone_2escope",    SD1_SCOPE_INTERFACE  },
                { SD1_UNIT_PREFIX "/gone_2eservice", SD1_SERVICE_INTERFACE},
        };
        Env *env = *state;

        if (!sd1_start(env, NULL))
                skip();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                expect_text(env, rows[i].path, SD1_UNIT_INTERFACE, "LoadState", "not-found");
                expect_text(env, rows[i].path, SD1_UNIT_INTERFACE, "ActiveState", "inactive");
                expect_text(env, rows[i].path, rows[i].interface, "ControlGroup", "");
                assert_true(count_all(env->client, rows[i].path, rows[i].interface, "TasksMax") >
                            100);
        }
        /* a slice needs nothing to be loaded */
        expect_text(env, SD1_UNIT_PREFIX "/gone_2eslice", SD1_UNIT_INTERFACE, "LoadState",
                    "loaded");
        expect_text(env, SD1_UNIT_PREFIX "/gone_2eslice", SD1_UNIT_INTERFACE, "ActiveState",
                    "inactive");
        expect_text(env, SD1_UNIT_PREFIX "/gone_2etimer", SD1_UNIT_INTERFACE, "LoadState",
                    "not-found");
        sd1_end(env);
}

/* ---- look-ups ---- */

static void expect_object(Env *env, const char *want, const char *member, const char *types, ...)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *reply = NULL;
        const char *object;
        va_list args;

        assert_true(sd_bus_message_new_method_call(env->client, &m, SD1_BUS_NAME, SD1_PATH,
                                                   SD1_MANAGER_INTERFACE, member) >= 0);
        va_start(args, types);
        assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        va_end(args);
        if (sd_bus_call(env->client, m, WAIT_USEC, &error, &reply) < 0)
                fail_msg("%s: %s", member, error.message);
        assert_true(sd_bus_message_read(reply, "o", &object) > 0);
        assert_string_equal(object, want);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
}

static void test_look_ups(void **state)
{
        Env *env = *state;
        char group[256];
        int pidfd;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "x.scope", "a-b.slice", pid);
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        assert_true(pidfd >= 0);
        (void)snprintf(group, sizeof(group), "%s/a.slice/a-b.slice/x.scope/some/where",
                       strrchr(env->root, '/'));
        expect_object(env, UNIT_X, "GetUnit", "s", "x.scope");
        expect_object(env, UNIT_X, "LoadUnit", "s", "x.scope");
        expect_object(env, SD1_UNIT_PREFIX "/gone_2escope", "LoadUnit", "s", "gone.scope");
        expect_object(env, UNIT_X, "GetUnitByPID", "u", (uint32_t)pid);
        expect_object(env, UNIT_X, "GetUnitByPIDFD", "h", pidfd);
        expect_object(env, UNIT_X, "GetUnitByControlGroup", "s", group);
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit gone.scope not loaded.", "GetUnit", "s",
                  "gone.scope");
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit a/b not loaded.", "GetUnit", "s", "a/b");
        sd1_fails(env, SD_BUS_ERROR_INVALID_ARGS, "Unit name a/b is not valid.", "LoadUnit", "s",
                  "a/b");
        sd1_fails(env, SD_BUS_ERROR_INVALID_ARGS, NULL, "GetUnitByPID", "u", UINT32_MAX);
        sd1_fails(env, SD1_ERROR_NO_UNIT_FOR_PID, "PID 1 does not belong to any loaded unit.",
                  "GetUnitByPID", "u", 1);
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, NULL, "GetUnitByControlGroup", "s", "/elsewhere");
        sd1_fails(env, SD1_ERROR_NO_SUCH_JOB, "Job 12345 does not exist.", "GetJob", "u", 12345);
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_fails(env, SD1_ERROR_NO_SUCH_PROCESS, NULL, "GetUnitByPIDFD", "h", pidfd);
        (void)close(pidfd);
        sd1_wait_state(env, "x.scope", "");
        sd1_end(env);
}

/* Who is in a unit may ask for it as "self", before he is known and after. */
static void test_self(void **state)
{
        Env *env = *state;
        pid_t pid;
        int status;

        if (!sd1_start(env, NULL))
                skip();
        property_fails(env, SD1_UNIT_PREFIX "/self", SD1_UNIT_INTERFACE, "Id",
                       SD_BUS_ERROR_UNKNOWN_OBJECT);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                _cleanup_(freep) char *id = NULL;
                sd_bus *bus;

                (void)raise(SIGSTOP);
                if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, env->address) < 0 ||
                    sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0)
                        _exit(2);
                id = get_text(bus, SD1_UNIT_PREFIX "/self", SD1_UNIT_INTERFACE, "Id");
                if (!streq(id, "x.scope") ||
                    count_all(bus, SD1_UNIT_PREFIX "/self", SD1_SCOPE_INTERFACE, "TasksMax") < 100)
                        _exit(3);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        sd1_scope(env, "x.scope", "a.slice", pid);
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        sd1_wait_state(env, "x.scope", "");
        sd1_end(env);
}

static void test_processes(void **state)
{
        Env *env = *state;
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        const char *group, *command;
        char want[256], mark[] = "a b\"\xff";
        uint32_t number;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                execl("/bin/sh", "sh", "-c", "kill -STOP $$; :", mark, "", NULL);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
        sd1_scope(env, "x.scope", "a.slice", pid);
        reply = sd1_call(env, "GetUnitProcesses", "s", "a.slice");
        assert_true(sd_bus_message_enter_container(reply, 'a', "(sus)") > 0);
        assert_true(sd_bus_message_read(reply, "(sus)", &group, &number, &command) > 0);
        (void)snprintf(want, sizeof(want), "%s/a.slice/x.scope", strrchr(env->root, '/'));
        assert_string_equal(group, want);
        assert_int_equal(number, pid);
        assert_string_equal(command, "sh -c \"kill -STOP \\$\\$; :\" \"a b\\\"?\"");
        assert_int_equal(sd_bus_message_read(reply, "(sus)", &group, &number, &command), 0);
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit y.scope not loaded.", "GetUnitProcesses", "s",
                  "y.scope");
        sd1_reap(pid);
        sd1_wait_state(env, "x.scope", "");
        sd1_end(env);
}

/* ---- lists ---- */

static size_t count_rows(sd_bus_message *reply, const char *name)
{
        const char *unit, *description;
        size_t n = 0, found = 0;

        assert_true(sd_bus_message_enter_container(reply, 'a', "(ssssssouso)") > 0);
        while (sd_bus_message_read(reply, "(ssssssouso)", &unit, &description, NULL, NULL, NULL,
                                   NULL, NULL, NULL, NULL, NULL) > 0) {
                n++;
                found += name && streq(unit, name);
        }
        if (name)
                assert_int_equal(found, 1);
        sd_bus_message_unref(reply);
        return n;
}

/* More than fit in one turn of the loop: all of them, once, while the daemon answers others. */
static void test_lists(void **state)
{
        enum { N = 700 };
        Env *env = *state;
        char name[64];

        if (!sd1_start(env, NULL))
                skip();
        assert_int_equal(count_rows(sd1_call(env, "ListUnits", NULL), "system.slice"), 2);
        for (int i = 0; i < N; i++) {
                (void)snprintf(name, sizeof(name), "n%d.slice", i);
                /* what a slice was given keeps it */
                sd1_do(env, "SetUnitProperties", "sba(sv)", name, 1, 1, "Description", "s", "mine");
        }
        assert_int_equal(count_rows(sd1_call(env, "ListUnits", NULL), "n500.slice"), N + 2);
        assert_int_equal(
                count_rows(sd1_call(env, "ListUnitsFiltered", "as", 1, "active"), "system.slice"),
                2);
        assert_int_equal(count_rows(sd1_call(env, "ListUnitsByPatterns", "asas", 0, 2, "n1*.slice",
                                             "n?.slice"),
                                    "n100.slice"),
                         111 + 9);
        assert_int_equal(count_rows(sd1_call(env, "ListUnitsByPatterns", "asas", 1, "active", 1,
                                             "n1*.slice"),
                                    NULL),
                         0);
        assert_int_equal(count_rows(sd1_call(env, "ListUnitsByNames", "as", 3, "n5.slice",
                                             "gone.scope", "not valid"),
                                    "gone.scope"),
                         2);
        sd_bus_message_unref(sd1_call(env, "ListJobs", NULL));
        sd1_end(env);
}

/* Each pattern is tried for each unit: there is a bound. */
static void test_lists_too_long(void **state)
{
        enum { N = 257 };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *patterns[N + 1] = { NULL };
        char any[] = "*";
        Env *env = *state;
        sd_bus_message *call;

        for (int i = 0; i < N; i++)
                patterns[i] = any;
        if (!sd1_start(env, NULL))
                skip();
        assert_true(sd_bus_message_new_method_call(env->client, &call, SD1_BUS_NAME, SD1_PATH,
                                                   SD1_MANAGER_INTERFACE,
                                                   "ListUnitsByPatterns") >= 0);
        assert_true(sd_bus_message_append(call, "as", 0) >= 0);
        assert_true(sd_bus_message_append_strv(call, patterns) >= 0);
        assert_true(sd_bus_call(env->client, call, 0, &error, NULL) < 0);
        assert_string_equal(error.name, SD_BUS_ERROR_LIMITS_EXCEEDED);
        assert_string_equal(error.message,
                            "257 words in a list that takes 256: ask in several calls.");
        sd_bus_error_free(&error);
        sd_bus_message_unref(call);
        sd1_end(env);
}

/* ---- Subscribe ---- */

static void test_subscribe(void **state)
{
        Env *env = *state;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(0);
        sd1_fails(env, SD1_ERROR_NOT_SUBSCRIBED, NULL, "Unsubscribe", NULL);
        sd1_scope(env, "x.scope", "a.slice", pid);
        assert_int_equal(env_count(env, "UnitNew", NULL), 0);
        sd1_do(env, "Subscribe", NULL);
        sd1_fails(env, SD1_ERROR_SUBSCRIBED, NULL, "Subscribe", NULL);
        sd1_stop(env, "x.scope");
        env_wait_signal(env, "UnitRemoved", "x.scope", 1);
        assert_int_equal(env_count(env, "JobNew", NULL), 1);
        /* what became of it is told before its job is */
        assert_true(env_count(env, "PropertiesChanged", SD1_UNIT_INTERFACE) > 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_do(env, "Unsubscribe", NULL);
        pid = sd1_sleeper(0);
        sd1_scope(env, "y.scope", "a.slice", pid);
        assert_int_equal(env_count(env, "UnitNew", "y.scope"), 0);
        sd1_stop(env, "y.scope");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_end(env);
}

/* ---- the private socket ---- */

static sd_bus *open_private(const char *path)
{
        char address[160];
        sd_bus *bus;

        (void)snprintf(address, sizeof(address), "unix:path=%s", path);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, address) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_signal(m, SD1_MANAGER_INTERFACE, "JobRemoved") > 0) {
                assert_string_equal(sd_bus_message_get_sender(m), SD1_BUS_NAME);
                (*(int *)userdata)++;
        }
        return 0;
}

static void driver_answers(sd_bus *bus, const char *member, const char *types, const char *argument)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", member, &error, NULL, types, argument) < 0)
                fail_msg("%s: %s", member, error.message);
}

static void test_private(void **state)
{
        Env *env = *state;
        char path[128], line[160];
        sd_bus *calls, *signals;
        _cleanup_(freep) char *version = NULL;
        struct stat st;
        int n = 0;
        pid_t pid;

        (void)snprintf(path, sizeof(path), "%s/deep/private", env->dir);
        (void)snprintf(line, sizeof(line), "PrivateSocket=%s\n", path);
        if (!sd1_start(env, line))
                skip();
        assert_true(stat(path, &st) >= 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        calls = open_private(path);
        signals = open_private(path);
        driver_answers(signals, "AddMatch", "s", "type='signal',member='JobRemoved'");
        driver_answers(signals, "GetNameOwner", "s", SD1_BUS_NAME);
        driver_answers(signals, "Hello", NULL, NULL);
        assert_true(sd_bus_call_method(signals, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "RequestName", NULL, NULL, "su",
                                       "a.b", 0U) == -EBADR);
        assert_true(sd_bus_add_filter(signals, NULL, on_signal, &n) >= 0);
        version = get_text(calls, SD1_PATH, SD1_MANAGER_INTERFACE, "Version");
        assert_int_equal(strncmp(version, "255", 3), 0);
        assert_true(sd_bus_call_method(calls, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                       "Subscribe", NULL, NULL, NULL) >= 0);
        pid = sd1_sleeper(0);
        assert_true(sd_bus_call_method(calls, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                       "StartTransientUnit", NULL, NULL, SD1_START, "x.scope",
                                       "fail", 1, "PIDs", "au", 1, (uint32_t)pid, 0) >= 0);
        env_wait_signal(env, "JobRemoved", NULL, 1); /* on the bus as well */
        for (uint64_t end = now_usec() + WAIT_USEC; n == 0 && now_usec() < end;)
                if (sd_bus_process(signals, NULL) == 0)
                        (void)sd_bus_wait(signals, 50000);
        assert_int_equal(n, 1);
        sd1_reap(pid);
        sd_bus_close_unref(calls);
        sd_bus_close_unref(signals);
        sd1_wait_state(env, "x.scope", "");

        /* after a daemon that was killed its socket is in nobody's way */
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        assert_true(stat(path, &st) >= 0);
        sd1_start_again(env);
        calls = open_private(path);
        free(version);
        version = get_text(calls, SD1_PATH, SD1_MANAGER_INTERFACE, "Version");
        sd_bus_close_unref(calls);
        sd1_end(env);
        assert_true(stat(path, &st) < 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, env_setup, env_teardown)

const struct CMUnitTest systemd1_read_tests[] = {
        TEST(test_manager),       TEST(test_unit_properties),
        TEST(test_missing_units), TEST(test_look_ups),
        TEST(test_self),          TEST(test_processes),
        TEST(test_lists),         TEST(test_lists_too_long),
        TEST(test_subscribe),     TEST(test_private),
};
const size_t n_systemd1_read_tests = ELEMENTSOF(systemd1_read_tests);
