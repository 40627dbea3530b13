/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's life: start, second daemon, limits, configuration, a bus that goes and comes back.
 */

#include <fcntl.h>
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

static void write_file(const Env *env, const char *name, const char *text)
{
        char path[160];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/%s", env->dir, name);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static char *config_argument(const Env *env)
{
        static char argument[160];

        (void)snprintf(argument, sizeof(argument), "--config=%s/conf", env->dir);
        return argument;
}

static void expect_refusal(Env *env, const char *text, const char *argument)
{
        _cleanup_(freep) char *said = NULL;

        assert_int_equal(env_run_daemon(env, &said, argument, NULL), 1);
        if (!strstr(said, text))
                fail_msg("'%s' is not in '%s'", text, said);
}

static void test_second_daemon(void **state)
{
        Env *env = *state;
        char other_state[128], other_root[128];

        env_start_daemon(env, NULL);
        (void)snprintf(other_state, sizeof(other_state), "--state=%s/other", env->dir);
        expect_refusal(env, "uses this state directory", NULL);
        expect_refusal(env, "owns this hierarchy", other_state);
        (void)snprintf(other_root, sizeof(other_root), "%s/root", env->dir);
        assert_int_equal(mkdir(other_root, 0755), 0);
        env->root = other_root;
        {
                _cleanup_(freep) char *said = NULL;

                assert_int_equal(env_run_daemon(env, &said, other_state, "--any-fs", NULL), 1);
                assert_non_null(strstr(said, "owns the name org.chargehand1"));
        }
        env->root = fake_root(env->fake);
        sd_bus_message_unref(env_call(env, "Status", NULL));
}

static void test_start_errors(void **state)
{
        Env *env = *state;
        _cleanup_(freep) char *said = NULL;

        expect_refusal(env, "no connection to the bus", "--bus=unix:path=/nonexistent/bus");
        expect_refusal(env, "Mode takes root, delegated or private", "--mode=sideways");
        expect_refusal(env, "/nonexistent", "--root=/nonexistent");
        expect_refusal(env, "/nonexistent", "--config=/nonexistent");
        assert_int_equal(env_run_daemon(env, &said, "--version", NULL), 0);
        assert_non_null(strstr(said, "chargehandd 0."));
}

static int db_is_12(Env *env, void *userdata)
{
        _cleanup_(freep) char *limit = fake_get(env->fake, "/db", "pids.max");

        return strncmp(limit, "12", 2) == 0;
}

static void test_configuration(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        _cleanup_(freep) char *said = NULL, *limit = NULL;
        const char *warning;
        size_t n = 0;

        write_file(env, "conf",
                   "[Daemon]\nWorkers=many\nColour=red\nLogLevel=debug\n[Nonsense]\nA=1\nB=2\n"
                   "no equals sign\n[Move]\nPolicy=partial\n[Group "
                   "/db]\nTasksMax=12\nMemoryMax=2X\nMemoryMx=1\n"
                   "[Group ../up]\nTasksMax=1\n");
        assert_int_equal(env_run_daemon(env, &said, config_argument(env), "--check-config", NULL),
                         1);
        assert_non_null(
                strstr(said, "/conf:2: 'Workers=many' is not a number from 1 to 64; '8' stays"));
        assert_non_null(strstr(said, "/conf:3: unknown key 'Colour' in [Daemon]"));
        assert_non_null(strstr(said, "/conf:6: unknown section [Nonsense]"));
        assert_null(strstr(said, "/conf:7:"));
        assert_non_null(strstr(said, "/conf:8: neither"));
        assert_non_null(strstr(said, "/conf:13: 'MemoryMax=2X' skipped"));
        assert_non_null(strstr(said, "/conf:14: unknown key 'MemoryMx' in [Group /db], skipped; "
                                     "did you mean 'MemoryMax'?"));
        assert_non_null(strstr(said, "/conf:15: section [Group ../up] skipped"));

        env_start_daemon(env, config_argument(env), NULL);
        env_wait(env, db_is_12, NULL);
        write_file(env, "conf", "[Group /web]\nTasksMax=34\n[Group /new]\n");
        reply = env_call(env, "Reload", NULL);
        assert_true(sd_bus_message_enter_container(reply, 'a', "s") > 0);
        while (sd_bus_message_read(reply, "s", &warning) > 0)
                n++;
        assert_int_equal(n, 0);
        limit = fake_get(env->fake, "/web", "pids.max");
        assert_true(strncmp(limit, "34", 2) == 0);
        assert_true(fake_exists(env->fake, "/new"));
        env_wait_signal(env, "GroupNew", "/new", 1);
}

static int web_is_56(Env *env, void *userdata)
{
        _cleanup_(freep) char *limit = fake_get(env->fake, "/web", "pids.max");

        return strncmp(limit, "56", 2) == 0;
}

static void test_dropins_and_hangup(void **state)
{
        Env *env = *state;
        char path[128];

        write_file(env, "conf", "[Group /web]\nTasksMax=34\n");
        env_start_daemon(env, config_argument(env), NULL);
        (void)snprintf(path, sizeof(path), "%s/conf.d", env->dir);
        assert_int_equal(mkdir(path, 0755), 0);
        write_file(env, "conf.d/90-b.conf", "[Group /web]\nTasksMax=56\n");
        write_file(env, "conf.d/10-a.conf", "[Group /web]\nTasksMax=55\n");
        write_file(env, "conf.d/95-c.conf~", "[Group /web]\nTasksMax=57\n");
        assert_int_equal(kill(env->daemon, SIGHUP), 0);
        env_wait(env, web_is_56, NULL);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        unsigned *counts = userdata;

        counts[!e                                                   ? 0
               : streq(e->name, CH_BUS_ERROR_PREFIX "LimitReached") ? 1
               : streq(e->name, CH_BUS_ERROR_PREFIX "TimedOut")     ? 2
                                                                    : 3]++;
        return 0;
}

static int all_answered(Env *env, void *userdata)
{
        const unsigned *counts = userdata;

        return counts[0] + counts[1] + counts[2] + counts[3] == 12;
}

/* Twelve calls that the fake kernel never completes: eight may wait, four are refused at once, and
 * another client is served. */
static void test_limits(void **state)
{
        Env *env = *state;
        unsigned counts[4] = { 0 };
        char error[128];

        write_file(env, "conf", "[Daemon]\nRequestsPerClient=8\nRequestTimeout=5s\nWorkers=8\n");
        env_start_daemon(env, config_argument(env), NULL);
        for (unsigned i = 0; i < 12; i++)
                assert_true(sd_bus_call_method_async(env->client, NULL, CH_BUS_NAME, CH_BUS_PATH,
                                                     CH_BUS_MANAGER_INTERFACE, "Freeze", on_answer,
                                                     counts, "s", "/web/api") >= 0);
        env_wait(env, all_answered, counts);
        assert_int_equal(counts[1], 4);
        assert_int_equal(counts[2], 8);
        sd_bus_message_unref(env_call(env, "Status", NULL));
        if (getuid() == 0)
                assert_int_equal(env_call_as(env, 65534, error, "ListGroups", "su", "/", 0), 0);
}

static int is_back(Env *env, void *userdata)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;

        return sd_bus_call_method(env->client, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                  "ListJobs", NULL, &reply, NULL) >= 0;
}

static void test_bus_gone_and_back(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        const char *object;

        env_start_daemon(env, NULL);
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", "/before", 0, 0));
        env_wait_signal(env, "GroupNew", "/before", 1);
        for (int i = 0; i < 2; i++) {
                env_stop_bus(env);
                env_forget_signals(env);
                fake_add(env->fake, i ? "/meanwhile2" : "/meanwhile1", "");
                env_start_bus(env);
                env_connect(env);
                env_wait(env, is_back, NULL);
        }
        reply = env_call(env, "GetGroup", "s", "/meanwhile1");
        assert_true(sd_bus_message_read(reply, "o", &object) > 0);
        env_settle(env);
        assert_int_equal(env_count(env, "GroupNew", "/before"), 0);
        assert_int_equal(env_count(env, "GroupNew", "/meanwhile1"), 0);
        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
}

/* A journal entry of another boot, or that is none, is put aside; the daemon starts. */
static void test_bad_journal(void **state)
{
        Env *env = *state;
        char path[160];

        (void)snprintf(path, sizeof(path), "%s/state", env->dir);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof(path), "%s/state/moves", env->dir);
        assert_int_equal(mkdir(path, 0700), 0);
        write_file(env, "state/moves/7.json",
                   "{\"job\":7,\"uid\":0,\"boot_id\":\"other\",\"record\":{}}");
        write_file(env, "state/moves/8.json", "{\"job\":");
        write_file(env, "state/moves/9.tmp", "half");
        env_start_daemon(env, NULL);
        (void)snprintf(path, sizeof(path), "%s/state/moves/7.json.old", env->dir);
        assert_int_equal(access(path, F_OK), 0);
        (void)snprintf(path, sizeof(path), "%s/state/moves/8.json.old", env->dir);
        assert_int_equal(access(path, F_OK), 0);
        env_call_fails(env, "NoSuchJob", "7", "GetJob", "u", 7);
}

const struct CMUnitTest life_tests[] = {
        cmocka_unit_test_setup_teardown(test_second_daemon, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_start_errors, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_configuration, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_dropins_and_hangup, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_limits, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_bus_gone_and_back, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_bad_journal, env_setup, env_teardown),
};
const size_t n_life_tests = ELEMENTSOF(life_tests);
