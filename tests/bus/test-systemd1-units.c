/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units over the bus: started, found, stopped, dead, failed, adopted again; each job told once. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "bus-tests.h"
#include "systemd1-env.h"
#include "systemd1-names.h"
#include "util.h"

#define SYSTEM "system.slice"
/* A uid that the user database knows */
#define USER_     1
#define USER_TEXT "1"
#define HIS_UNIT  "user@1.service"
#define HIS_GROUP "/user.slice/user-1.slice/user@1.service"

static void test_start_and_stop(void **state)
{
        Env *env = *state;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "x.scope", "a-b.slice", pid);
        sd1_expect_group(env, pid, "/a.slice/a-b.slice/x.scope");
        sd1_expect_state(env, "x.scope", "active running");
        sd1_expect_state(env, "a-b.slice", "active active");
        sd1_expect_state(env, "a.slice", "active active");
        sd1_fails(env, SD1_ERROR_UNIT_EXISTS,
                  "Unit x.scope was already loaded or has a fragment file.", "StartTransientUnit",
                  SD1_START, "x.scope", "fail", 1, "PIDs", "au", 1, (uint32_t)pid, 0);
        sd1_stop(env, "x.scope");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        /* all is gone before JobRemoved */
        assert_false(sd1_exists(env, "/a.slice/a-b.slice/x.scope"));
        sd1_expect_state(env, "x.scope", "");
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit x.scope not loaded.", "StopUnit", "ss",
                  "x.scope", "replace");
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit x.scope not loaded.", "ResetFailedUnit", "s",
                  "x.scope");
        sd1_end(env);
}

static void test_refusals(void **state)
{
        static const struct {
                const char *unit, *mode, *error, *text;
        } rows[] = {
                {"x.scope",     "wrong",   SD_BUS_ERROR_INVALID_ARGS,   "Job mode wrong is invalid."},
                { "x",          "fail",    SD_BUS_ERROR_INVALID_ARGS,   "Invalid unit name or type."},
                { "x.thing",    "fail",    SD_BUS_ERROR_INVALID_ARGS,   "Invalid unit name or type."},
                { "x.service",  "fail",    SD_BUS_ERROR_INVALID_ARGS,
                 "Unit type service does not support transient units."                              },
                { "a--b.slice", "fail",    SD_BUS_ERROR_INVALID_ARGS,   "Invalid unit name or type."},
                { "x.scope",    "fail",    SD_BUS_ERROR_FILE_NOT_FOUND,
                 "Unit x.scope failed to load properly, please adjust/correct and reload service "
                  "manager: No such file or directory"                                              },
                { "x.scope",    "isolate", SD1_BUS_NAME ".NoIsolation",
                 "Operation refused, unit may not be isolated."                                     },
        };
        Env *env = *state;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                sd1_fails(env, rows[i].error, rows[i].text, "StartTransientUnit", SD1_START,
                          rows[i].unit, rows[i].mode, 0, 0);
        pid = sd1_sleeper(0);
        sd1_fails(env, SD1_ERROR_READ_ONLY, "Cannot set property Foo, or unknown property.",
                  "StartTransientUnit", SD1_START, "x.scope", "fail", 2, "PIDs", "au", 1,
                  (uint32_t)pid, "Foo", "s", "x", 0);
        sd1_fails(env, SD_BUS_ERROR_INVALID_ARGS, "Value specified in TasksMax is out of range",
                  "StartTransientUnit", SD1_START, "x.scope", "fail", 2, "PIDs", "au", 1,
                  (uint32_t)pid, "TasksMax", "t", (uint64_t)0, 0);
        sd1_reap(pid);
        sd1_fails(env, SD1_ERROR_PID_UNKNOWN, NULL, "StartTransientUnit", SD1_START, "x.scope",
                  "fail", 1, "PIDs", "au", 1, (uint32_t)pid, 0);
        sd1_expect_state(env, "x.scope", "");
        assert_false(sd1_exists(env, "/" SYSTEM "/x.scope"));
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, "Unit no.scope not found.", "SetUnitProperties",
                  "sba(sv)", "no.scope", 1, 0);
        sd1_fails(env, SD1_ERROR_JOB_TYPE, NULL, "StopUnit", "ss", "-.slice", "replace");
        sd1_end(env);
}

/* Nobody stops it: its last process ends. The name is free at once, the directory a little later.
 */
static void test_death(void **state)
{
        Env *env = *state;
        pid_t pid;

        if (!sd1_start(env, "ScopeLinger=200ms\n"))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "d.scope", SYSTEM, pid);
        sd1_reap(pid);
        sd1_wait_state(env, "d.scope", "");
        /* the directory is used again */
        pid = sd1_sleeper(0);
        sd1_scope(env, "d.scope", SYSTEM, pid);
        sd1_expect_group(env, pid, "/" SYSTEM "/d.scope");
        sd1_reap(pid);
        sd1_wait_state(env, "d.scope", "");
        for (int i = 0; sd1_exists(env, "/" SYSTEM "/d.scope"); i++) {
                assert_true(i < 1000);
                env_settle(env);
        }
        sd1_end(env);
}

static void test_linger(void **state)
{
        Env *env = *state;
        pid_t pid;

        if (!sd1_start(env, "ScopeLinger=1h\n"))
                skip();
        for (int i = 0; i < 2; i++) {
                pid = sd1_sleeper(0);
                sd1_scope(env, "l.scope", i ? "other.slice" : SYSTEM, pid);
                sd1_reap(pid);
                sd1_wait_state(env, "l.scope", "");
                assert_true(sd1_exists(env, i ? "/other.slice/l.scope" : "/" SYSTEM "/l.scope"));
        }
        sd1_fails(env, SD1_ERROR_NO_SUCH_UNIT, NULL, "StopUnit", "ss", "l.scope", "replace");
        for (int i = 0; sd1_exists(env, "/other.slice/l.scope"); i++) {
                assert_true(i < 1000);
                env_settle(env);
        }
        assert_false(sd1_exists(env, "/" SYSTEM "/l.scope"));
        sd1_end(env);
}

/* SIGTERM is ignored: SIGKILL after TimeoutStopUSec, and the unit stays failed until it is reset.
 */
static void test_timeout(void **state)
{
        Env *env = *state;
        uint32_t id;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(1);
        id = sd1_job(env, "StartTransientUnit", SD1_START, "t.scope", "replace", 2, "PIDs", "au", 1,
                     (uint32_t)pid, "TimeoutStopUSec", "t", (uint64_t)300000, 0);
        sd1_expect_job(env, id, "t.scope", "done");
        id = sd1_job(env, "StopUnit", "ss", "t.scope", "replace");
        sd1_expect_state(env, "t.scope", "deactivating stop-sigterm");
        assert_int_equal(sd1_ended(pid), 0);
        /* a second one joins the first */
        assert_int_equal(sd1_job(env, "StopUnit", "ss", "t.scope", "replace"), id);
        sd1_expect_job(env, id, "t.scope", "done");
        assert_int_equal(sd1_ended(pid), SIGKILL);
        sd1_expect_state(env, "t.scope", "failed failed");
        pid = sd1_sleeper(0);
        sd1_fails(env, SD1_ERROR_UNIT_EXISTS, NULL, "StartTransientUnit", SD1_START, "t.scope",
                  "fail", 1, "PIDs", "au", 1, (uint32_t)pid, 0);
        sd1_do(env, "ResetFailedUnit", "s", "t.scope");
        sd1_scope(env, "t.scope", SYSTEM, pid);
        sd1_stop(env, "t.scope");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_end(env);
}

static void test_kill_modes(void **state)
{
        static const struct {
                const char *mode;
                int ended;
        } rows[] = {
                {"control-group", SIGTERM},
                { "mixed",        SIGKILL},
                { "process",      0      },
                { "none",         0      },
        };
        Env *env = *state;

        if (!sd1_start(env, "ScopeLinger=1ms\n"))
                skip();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                pid_t pid = sd1_sleeper(0);
                uint32_t id =
                        sd1_job(env, "StartTransientUnit", SD1_START, "k.scope", "replace", 2,
                                "PIDs", "au", 1, (uint32_t)pid, "KillMode", "s", rows[i].mode, 0);

                sd1_expect_job(env, id, "k.scope", "done");
                sd1_stop(env, "k.scope");
                sd1_expect_state(env, "k.scope", "");
                assert_int_equal(sd1_ended(pid), rows[i].ended);
                if (!rows[i].ended)
                        sd1_reap(pid);
                /* what was left behind goes when it is empty */
                for (int n = 0; sd1_exists(env, "/" SYSTEM "/k.scope"); n++) {
                        assert_true(n < 1000);
                        env_settle(env);
                }
        }
        sd1_end(env);
}

/* More than are watched at a time, in groups below too. */
static void test_many_processes(void **state)
{
        enum { N = 40 };
        Env *env = *state;
        pid_t pids[N];

        if (!sd1_start(env, NULL))
                skip();
        pids[0] = sd1_sleeper(0);
        sd1_scope(env, "m.scope", SYSTEM, pids[0]);
        assert_int_equal(mkdir(sd1_path(env, "/" SYSTEM "/m.scope/in"), 0755), 0);
        for (int i = 1; i < N; i++) {
                pids[i] = sd1_sleeper(0);
                sd1_do(env, "AttachProcessesToUnit", "ssau", "m.scope", i % 2 ? "/in" : "", 1,
                       (uint32_t)pids[i]);
                sd1_expect_group(env, pids[i],
                                 i % 2 ? "/" SYSTEM "/m.scope/in" : "/" SYSTEM "/m.scope");
        }
        sd1_fails(env, SD_BUS_ERROR_FILE_NOT_FOUND, NULL, "AttachProcessesToUnit", "ssau",
                  "m.scope", "/none", 1, (uint32_t)pids[0]);
        sd1_fails(env, SD_BUS_ERROR_INVALID_ARGS, NULL, "AttachProcessesToUnit", "ssau", "m.scope",
                  "in", 1, (uint32_t)pids[0]);
        sd1_stop(env, "m.scope");
        for (int i = 0; i < N; i++)
                assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
        assert_false(sd1_exists(env, "/" SYSTEM "/m.scope"));
        sd1_end(env);
}

static void test_slices(void **state)
{
        Env *env = *state;
        uint32_t id;
        pid_t a, b;

        if (!sd1_start(env, NULL))
                skip();
        for (int i = 0; i < 2; i++) {
                id = sd1_job(env, "StartTransientUnit", SD1_START, "pod-x.slice", "replace", 2,
                             "Wants", "as", 1, "pod.slice", "CPUAccounting", "b", 1, 0);
                sd1_expect_job(env, id, "pod-x.slice", "done");
                sd1_fails(env, SD1_ERROR_UNIT_EXISTS, NULL, "StartTransientUnit", SD1_START,
                          "pod-x.slice", "replace", 0, 0);
                a = sd1_sleeper(0);
                b = sd1_sleeper(0);
                sd1_scope(env, "a.scope", "pod-x.slice", a);
                sd1_scope(env, "b.scope", "pod-x-y.slice", b);
                sd1_expect_group(env, b, "/pod.slice/pod-x.slice/pod-x-y.slice/b.scope");
                /* somebody else's group below does no harm while it is empty */
                assert_int_equal(mkdir(sd1_path(env, "/pod.slice/pod-x.slice/foreign"), 0755), 0);
                sd1_stop(env, "pod-x.slice");
                assert_int_equal(waitpid(a, NULL, 0), a);
                assert_int_equal(waitpid(b, NULL, 0), b);
                assert_false(sd1_exists(env, "/pod.slice/pod-x.slice"));
                sd1_expect_state(env, "a.scope", "");
                sd1_expect_state(env, "pod-x.slice", "");
        }
        /* one that was never there */
        sd1_stop(env, "nobody.slice");
        /* an implicit one may be started */
        a = sd1_sleeper(0);
        sd1_scope(env, "i.scope", "implicit.slice", a);
        id = sd1_job(env, "StartTransientUnit", SD1_START, "implicit.slice", "replace", 0, 0);
        sd1_expect_job(env, id, "implicit.slice", "done");
        sd1_stop(env, "implicit.slice");
        assert_int_equal(waitpid(a, NULL, 0), a);
        sd1_end(env);
}

/* Foreign processes below a slice are left alone, and the job is done. */
static void test_foreign(void **state)
{
        Env *env = *state;
        pid_t pid;
        FILE *file;

        if (!sd1_start(env, NULL))
                skip();
        sd1_expect_job(env,
                       sd1_job(env, "StartTransientUnit", SD1_START, "f.slice", "replace", 0, 0),
                       "f.slice", "done");
        pid = sd1_sleeper(0);
        assert_int_equal(mkdir(sd1_path(env, "/f.slice/sandbox"), 0755), 0);
        file = fopen(sd1_path(env, "/f.slice/sandbox/cgroup.procs"), "we");
        assert_non_null(file);
        assert_true(fprintf(file, "%d", (int)pid) > 0);
        assert_int_equal(fclose(file), 0);
        sd1_stop(env, "f.slice");
        assert_int_equal(sd1_ended(pid), 0);
        sd1_expect_group(env, pid, "/f.slice/sandbox");
        sd1_reap(pid);
        sd1_end(env);
}

/* The daemon is killed: scopes are there again, jobs are told, stops work. */
static void test_restart(void **state)
{
        _cleanup_(freep) char *text = NULL;
        Env *env = *state;
        pid_t pid, deaf, dead;
        uint32_t id;

        if (!sd1_start(env, "ScopeLinger=1ms\n"))
                skip();
        pid = sd1_sleeper(0);
        deaf = sd1_sleeper(1);
        dead = sd1_sleeper(0);
        id = sd1_job(env, "StartTransientUnit", SD1_START, "r.scope", "replace", 3, "PIDs", "au", 1,
                     (uint32_t)pid, "Description", "s", "a \"b\"\nc", "Delegate", "b", 1, 0);
        sd1_expect_job(env, id, "r.scope", "done");
        sd1_scope(env, "deaf.scope", SYSTEM, deaf);
        sd1_scope(env, "dead.scope", SYSTEM, dead);
        id = sd1_job(env, "StopUnit", "ss", "deaf.scope", "replace");
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        sd1_reap(dead);
        sd1_start_again(env);
        sd1_expect_job(env, id, "deaf.scope", "canceled");
        sd1_expect_state(env, "r.scope", "active running");
        sd1_wait_state(env, "dead.scope", "");
        assert_true(sd_bus_get_property_string(env->client, SD1_BUS_NAME,
                                               SD1_UNIT_PREFIX "/r_2escope", SD1_UNIT_INTERFACE,
                                               "Description", NULL, &text) >= 0);
        assert_string_equal(text, "a \"b\"\nc");
        sd1_do(env, "AttachProcessesToUnit", "ssau", "r.scope", "/", 1, (uint32_t)deaf);
        sd1_expect_group(env, deaf, "/" SYSTEM "/r.scope");
        sd1_wait_state(env, "deaf.scope", "");
        sd1_reap(deaf);
        /* numbers go on */
        assert_true(sd1_job(env, "StopUnit", "ss", "r.scope", "replace") > id);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_wait_state(env, "r.scope", "");
        sd1_end(env);
}

static void test_control(void **state)
{
        _cleanup_(freep) char *events = NULL;
        Env *env = *state;
        uint32_t id;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "c.scope", SYSTEM, pid);
        sd1_do(env, "FreezeUnit", "s", "c.scope");
        events = sd1_read(env, "/" SYSTEM "/c.scope/cgroup.events");
        assert_non_null(events);
        assert_non_null(strstr(events, "frozen 1"));
        /* a frozen one can be stopped */
        sd1_stop(env, "c.scope");
        assert_int_equal(waitpid(pid, NULL, 0), pid);

        pid = sd1_sleeper(0);
        sd1_scope(env, "c.scope", SYSTEM, pid);
        sd1_fails(env, SD_BUS_ERROR_INVALID_ARGS, "Invalid who argument: nobody", "KillUnit", "ssi",
                  "c.scope", "nobody", SIGTERM);
        sd1_fails(env, SD_BUS_ERROR_INVALID_ARGS, "Signal number out of range.", "KillUnit", "ssi",
                  "c.scope", "all", 1000);
        sd1_fails(env, SD1_ERROR_NO_SUCH_PROCESS, NULL, "KillUnit", "ssi", "c.scope", "main",
                  SIGTERM);
        sd1_do(env, "AbandonScope", "s", "c.scope");
        sd1_expect_state(env, "c.scope", "active abandoned");
        sd1_do(env, "SetUnitProperties", "sba(sv)", "c.scope", 1, 0);
        sd1_do(env, "SetUnitProperties", "sba(sv)", "c.scope", 1, 1, "Description", "s", "new");
        sd1_do(env, "KillUnit", "ssi", "c.scope", "all", SIGTERM);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_wait_state(env, "c.scope", "");

        pid = sd1_sleeper(0);
        id = sd1_job(env, "StartTransientUnit", SD1_START, "c.scope", "fail", 2, "PIDs", "au", 1,
                     (uint32_t)pid, "RuntimeMaxUSec", "t", (uint64_t)100000, 0);
        sd1_expect_job(env, id, "c.scope", "done");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_wait_state(env, "c.scope", "failed failed");
        sd1_do(env, "ResetFailed", NULL);
        sd1_expect_state(env, "c.scope", "");
        sd1_end(env);
}

/* A reference keeps what is dead until it is given back, or its client leaves. */
static void test_references(void **state)
{
        Env *env = *state;
        sd_bus *other = NULL;
        pid_t pid;

        if (!sd1_start(env, NULL))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "ref.scope", SYSTEM, pid);
        sd1_do(env, "RefUnit", "s", "ref.scope");
        assert_true(sd_bus_new(&other) >= 0 && sd_bus_set_address(other, env->address) >= 0 &&
                    sd_bus_set_bus_client(other, 1) >= 0 && sd_bus_start(other) >= 0);
        assert_true(sd_bus_call_method(other, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                       "RefUnit", NULL, NULL, "s", "ref.scope") >= 0);
        sd1_reap(pid);
        sd1_wait_state(env, "ref.scope", "inactive dead");
        sd1_do(env, "UnrefUnit", "s", "ref.scope");
        sd1_fails(env, SD1_ERROR_NOT_REFERENCED, NULL, "UnrefUnit", "s", "ref.scope");
        sd1_expect_state(env, "ref.scope", "inactive dead");
        sd_bus_flush_close_unref(other);
        sd1_wait_state(env, "ref.scope", "");
        sd1_end(env);
}

/* Many at once: no job is lost, nothing is left. */
static void test_burst(void **state)
{
        enum { N = 100 };
        Env *env = *state;
        uint32_t ids[N];
        pid_t pids[N];
        char name[32];

        if (!sd1_start(env, NULL))
                skip();
        for (int i = 0; i < N; i++) {
                pids[i] = sd1_sleeper(0);
                (void)snprintf(name, sizeof(name), "b%d.scope", i);
                ids[i] = sd1_job(env, "StartTransientUnit", SD1_START, name, "fail", 3, "PIDs",
                                 "au", 1, (uint32_t)pids[i], "Slice", "s", "burst-one.slice",
                                 "Delegate", "b", 1, 0);
                /* a stop cancels a start that is still under way */
                if (i % 10 == 0)
                        sd1_do(env, "StopUnit", "ss", name, "replace");
        }
        for (int i = 0; i < N; i++) {
                char number[16];

                (void)snprintf(number, sizeof(number), "%u", ids[i]);
                env_wait_signal(env, "JobRemoved", number, 1);
                assert_int_equal(env_count(env, "JobRemoved", number), 1);
        }
        sd1_stop(env, "burst.slice");
        for (int i = 0; i < N; i++)
                assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
        assert_false(sd1_exists(env, "/burst.slice"));
        sd1_expect_state(env, "b*.scope", "");
        sd1_end(env);
}

/* Who is not root may do nothing with what is not his; a user of Users= puts his processes into his
 * subtree. */
static void test_other_users(void **state)
{
        static const char denied[] = SD_BUS_ERROR_ACCESS_DENIED;
        Env *env = *state;
        char sub[256];
        pid_t pid, his;

        if (!sd1_start(env, "Users=" USER_TEXT "\n"))
                skip();
        pid = sd1_sleeper(0);
        sd1_scope(env, "o.scope", SYSTEM, pid);
        his = sd1_sleeper_of(USER_);
        sd1_as(env, USER_, denied, "StopUnit", "ss", "o.scope", "replace");
        sd1_as(env, USER_, denied, "StopUnit", "ss", SYSTEM, "replace");
        sd1_as(env, USER_, denied, "KillUnit", "ssi", "o.scope", "all", SIGTERM);
        sd1_as(env, USER_, denied, "FreezeUnit", "s", "o.scope");
        sd1_as(env, USER_, denied, "AbandonScope", "s", "o.scope");
        sd1_as(env, USER_, denied, "RefUnit", "s", "o.scope");
        sd1_as(env, USER_, denied, "ResetFailedUnit", "s", "o.scope");
        sd1_as(env, USER_, denied, "ResetFailed", NULL);
        sd1_as(env, USER_, denied, "ClearJobs", NULL);
        sd1_as(env, USER_, denied, "SetUnitProperties", "sba(sv)", "o.scope", 1, 1, "TasksMax", "t",
               (uint64_t)1);
        sd1_as(env, USER_, denied, "StartTransientUnit", SD1_START, "p.scope", "fail", 1, "PIDs",
               "au", 1, (uint32_t)his, 0);
        sd1_as(env, USER_, denied, "StartTransientUnit", SD1_START, "p.slice", "fail", 0, 0);
        sd1_as(env, USER_, denied, "AttachProcessesToUnit", "ssau", "o.scope", "", 1,
               (uint32_t)his);
        sd1_expect_state(env, "o.scope", "active running");
        sd1_expect_state(env, "p.*", "");
        assert_int_equal(sd1_ended(pid), 0);

        sd1_wait_state(env, HIS_UNIT, "active running");
        (void)snprintf(sub, sizeof(sub), "%s/sub", HIS_GROUP);
        assert_int_equal(mkdir(sd1_path(env, sub), 0755), 0);
        sd1_as(env, USER_, denied, "AttachProcessesToUnit", "ssau", HIS_UNIT, "/sub", 1,
               (uint32_t)pid);
        sd1_as(env, USER_, NULL, "AttachProcessesToUnit", "ssau", HIS_UNIT, "/sub", 1,
               (uint32_t)his);
        sd1_expect_group(env, his, sub);
        sd1_fails(env, SD1_ERROR_JOB_TYPE, NULL, "StopUnit", "ss", HIS_UNIT, "replace");
        sd1_reap(his);
        sd1_stop(env, "o.scope");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        sd1_end(env);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, env_setup, env_teardown)

const struct CMUnitTest systemd1_unit_tests[] = {
        TEST(test_start_and_stop), TEST(test_refusals),    TEST(test_death),
        TEST(test_linger),         TEST(test_timeout),     TEST(test_kill_modes),
        TEST(test_many_processes), TEST(test_slices),      TEST(test_foreign),
        TEST(test_restart),        TEST(test_control),     TEST(test_references),
        TEST(test_burst),          TEST(test_other_users),
};
const size_t n_systemd1_unit_tests = ELEMENTSOF(systemd1_unit_tests);
