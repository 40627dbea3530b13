/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory claimed for groups over the bus: shown, refused with nothing left, kept over a restart,
 * gone with the group. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

static void set_room(Env *env)
{
        fake_set(env->fake, "/web", "memory.max", "10485760\n");
        fake_set(env->fake, "/web", "memory.current", "1048576\n");
}

static void claim(Env *env, const char *path, uint64_t bytes)
{
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", path, 0, 2, "claim", "t",
                                      bytes, "exist_ok", "b", 1));
}

static void refused(Env *env, const char *path, uint64_t bytes)
{
        env_call_fails(env, "NoRoom", "/web: memory.max is 10.0 MiB", "CreateGroup", "sa{sv}a{sv}",
                       path, 0, 1, "claim", "t", bytes);
        assert_false(fake_exists(env->fake, path));
}

/* "GROUP BYTES;" of each row of Status that is no job's */
static char *claims_of_status(Env *env)
{
        _cleanup_(reply_freep) sd_bus_message *reply = env_call(env, "Status", NULL);
        char *text = strdup("");
        const char *key, *group;
        uint64_t bytes;

        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                if (!streq(key, "claims")) {
                        assert_true(sd_bus_message_skip(reply, "v") > 0);
                        assert_true(sd_bus_message_exit_container(reply) > 0);
                        continue;
                }
                if (sd_bus_message_enter_container(reply, 'v', "aa{sv}") < 0)
                        return text; /* an empty array is one of strings */
                assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
                while (sd_bus_message_read(reply, "a{sv}", 2, &key, "s", &group, &key, "t",
                                           &bytes) > 0) {
                        char *longer;

                        assert_true(asprintf(&longer, "%s%s %llu;", text, group,
                                             (unsigned long long)bytes) >= 0);
                        free(text);
                        text = longer;
                }
                return text;
        }
        fail_msg("Status has no claims");
        return text;
}

static void expect_claims(Env *env, const char *want)
{
        _cleanup_(freep) char *got = claims_of_status(env);

        assert_string_equal(got, want);
}

static void test_claims(void **state)
{
        Env *env = *state;

        env_start_daemon(env, NULL);
        set_room(env);
        expect_claims(env, "");
        claim(env, "/web/c", 8 * MIB);
        expect_claims(env, "/web/c 8388608;");
        refused(env, "/web/d", 2 * MIB);
        env_call_fails(env, "NoRoom", "claimed by other groups", "CreateGroup", "sa{sv}a{sv}",
                       "/web/d", 0, 2, "claim", "t", 2 * MIB, "dry_run", "b", 1);
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", "/web/d", 0, 2, "claim",
                                      "t", MIB, "dry_run", "b", 1));
        assert_false(fake_exists(env->fake, "/web/d"));
        claim(env, "/web/d", MIB);
        expect_claims(env, "/web/c 8388608;/web/d 1048576;");
        /* changed, ended, gone with the group */
        claim(env, "/web/c", 0);
        expect_claims(env, "/web/d 1048576;");
        claim(env, "/web/c", 7 * MIB);
        sd_bus_message_unref(env_call(env, "RemoveGroup", "sa{sv}", "/web/d", 0));
        expect_claims(env, "/web/c 7340032;");
        claim(env, "/web/e", 2 * MIB);
}

/* A group that cannot be set as a whole keeps the claim it had. */
static void test_taken_back(void **state)
{
        Env *env = *state;

        env_start_daemon(env, NULL);
        set_room(env);
        claim(env, "/web/api", MIB);
        fake_set(env->fake, "/web/api", "pids.max", NULL);
        env_call_fails(env, "NotSupported", "pids", "CreateGroup", "sa{sv}a{sv}", "/web/api", 1,
                       "TasksMax", "t", UINT64_C(5), 2, "claim", "t", 3 * MIB, "exist_ok", "b", 1);
        expect_claims(env, "/web/api 1048576;");
}

static void test_root_only(void **state)
{
        Env *env = *state;
        char error[128], path[384];

        env_start_daemon(env, NULL);
        set_room(env);
        (void)snprintf(path, sizeof(path), "%s/web", env->root);
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        assert_int_equal(env_call_as(env, 65534, error, "CreateGroup", "sa{sv}a{sv}", "/web/mine",
                                     0, 1, "claim", "t", MIB),
                         1);
        assert_non_null(strstr(error, "NotPermitted"));
        assert_false(fake_exists(env->fake, "/web/mine"));
}

static void test_restart_keeps(void **state)
{
        Env *env = *state;
        char path[384];

        env_start_daemon(env, NULL);
        set_room(env);
        claim(env, "/web/c", 8 * MIB);
        (void)snprintf(path, sizeof(path), "%s/web/c", env->root);
        if (getxattr(path, "trusted.chargehand.claim", NULL, 0) < 0 &&
            getxattr(path, "user.chargehand.claim", NULL, 0) < 0)
                skip(); /* this file system keeps no extended attributes */
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        env_start_daemon(env, NULL);
        expect_claims(env, "/web/c 8388608;");
        refused(env, "/web/d", 2 * MIB);
}

/* Who owns a directory can write "user." attributes there: that claims nothing. */
static void test_forged(void **state)
{
        Env *env = *state;
        char path[384];

        env_start_daemon(env, NULL);
        set_room(env);
        (void)snprintf(path, sizeof(path), "%s/web/forged", env->root);
        assert_int_equal(mkdir(path, 0755), 0);
        if (setxattr(path, "user.chargehand.managed", "2", 1, 0) < 0 ||
            setxattr(path, "user.chargehand.claim", "99999999999", 11, 0) < 0)
                skip();
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        env_start_daemon(env, NULL);
        expect_claims(env, "");
        claim(env, "/web/real", MIB);
        expect_claims(env, "/web/real 1048576;");
}

const struct CMUnitTest claim_tests[] = {
        cmocka_unit_test_setup_teardown(test_claims, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_taken_back, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_root_only, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_restart_keeps, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_forged, env_setup, env_teardown),
};
const size_t n_claim_tests = ELEMENTSOF(claim_tests);
