/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory set aside for whoever holds a lease: released however the holder lets go, kept over the end of the daemon. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "names.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

static void set_room(Env *env)
{
        fake_set(env->fake, "/web", "memory.max", "10485760\n");
        fake_set(env->fake, "/web", "memory.current", "1048576\n");
}

static void start(Env *env)
{
        env_start_daemon(env, NULL);
        set_room(env);
}

/* The fd; the number in *ret_claim (may be NULL). */
static int reserve(Env *env, const char *group, uint64_t bytes, uint64_t *ret_claim)
{
        _cleanup_(reply_freep) sd_bus_message *reply =
                env_call(env, "Reserve", "sta{sv}", group, bytes, 1, "note", "s", "a test");
        uint64_t claim;
        int fd;

        assert_true(sd_bus_message_read(reply, "tah", &claim, 1, &fd) > 0);
        assert_true(claim > 0);
        if (ret_claim)
                *ret_claim = claim;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        return fd;
}

static void refused(Env *env, uint64_t bytes)
{
        env_call_fails(env, "NoRoom", "/web: memory.max is 10.0 MiB", "Reserve", "sta{sv}",
                       "/web/api", bytes, 0);
}

typedef struct Row {
        const char *kind, *group, *made_for, *note; /* of the reply */
        uint64_t claim, bytes, open_bytes;
        uint32_t uid;
} Row;

/* How many there are; the last one in *ret, whose text lives as long as *ret_reply. */
static size_t list(Env *env, Row *ret, sd_bus_message **ret_reply)
{
        sd_bus_message *reply = env_call(env, "ListClaims", NULL);
        size_t n = 0;

        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'a', "{sv}") > 0) {
                const char *key, *text;
                uint64_t number;

                while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                        if (sd_bus_message_read(reply, "v", "t", &number) > 0) {
                                ret->claim = streq(key, "claim") ? number : ret->claim;
                                ret->bytes = streq(key, "bytes") ? number : ret->bytes;
                                ret->open_bytes = streq(key, "open_bytes") ? number
                                                                           : ret->open_bytes;
                                ret->uid = streq(key, "uid") ? (uint32_t)number : ret->uid;
                        } else {
                                assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
                                ret->kind = streq(key, "kind") ? text : ret->kind;
                                ret->group = streq(key, "group") ? text : ret->group;
                                ret->made_for = streq(key, "made_for") ? text : ret->made_for;
                                ret->note = streq(key, "note") ? text : ret->note;
                        }
                        assert_true(sd_bus_message_exit_container(reply) > 0);
                }
                assert_true(sd_bus_message_exit_container(reply) > 0);
                n++;
        }
        *ret_reply = reply;
        return n;
}

static size_t count(Env *env)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Row row = { 0 };

        return list(env, &row, &reply);
}

static int has_n(Env *env, void *userdata)
{
        return count(env) == *(size_t *)userdata;
}

static void wait_count(Env *env, size_t n)
{
        env_wait(env, has_n, &n);
}

static void test_closed(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        Row row = { 0 };
        uint64_t claim;
        int fd, copy;

        start(env);
        fd = reserve(env, "/web/api", 8 * MIB, &claim);
        env_wait_signal(env, "ClaimNew", NULL, 1);
        assert_int_equal(list(env, &row, &reply), 1);
        assert_int_equal(row.claim, claim);
        assert_string_equal(row.kind, "lease");
        assert_string_equal(row.group, "/web/api");
        assert_string_equal(row.made_for, "/web/api");
        assert_string_equal(row.note, "a test");
        assert_int_equal(row.bytes, 8 * MIB);
        assert_int_equal(row.open_bytes, 8 * MIB);
        assert_int_equal(row.uid, geteuid());
        refused(env, 2 * MIB);
        env_call_fails(env, "NoRoom", "8.0 MiB are claimed by other groups, leases and moves",
                       "CreateGroup", "sa{sv}a{sv}", "/web/d", 0, 1, "claim", "t", 2 * MIB);
        /* the last copy counts, whatever was written */
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_int_equal(write(copy, "x", 1), 1);
        assert_int_equal(close(fd), 0);
        refused(env, 2 * MIB);
        assert_int_equal(close(copy), 0);
        env_wait_signal(env, "ClaimRemoved", NULL, 1);
        assert_int_equal(close(reserve(env, "/web/api", 9 * MIB, NULL)), 0);
        env_wait_signal(env, "ClaimRemoved", NULL, 2);
        assert_int_equal(count(env), 0);
}

static void test_dry_run(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        uint64_t claim;

        start(env);
        reply = env_call(env, "Reserve", "sta{sv}", "/web", 9 * MIB, 1, "dry_run", "b", 1);
        assert_true(sd_bus_message_read(reply, "t", &claim) > 0);
        assert_int_equal(claim, 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "h") > 0);
        assert_int_equal(sd_bus_message_at_end(reply, 0), 1);
        env_call_fails(env, "NoRoom", "1048576 bytes", "Reserve", "sta{sv}", "/web", 10 * MIB, 1,
                       "dry_run", "b", 1);
        assert_int_equal(count(env), 0);
        assert_int_equal(env_count(env, "ClaimNew", NULL), 0);
}

static pid_t start_holder(Env *env, uint64_t bytes)
{
        int fds[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                sd_bus_message *reply = NULL;
                sd_bus *bus;

                (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where the test fails */
                if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, env->address) < 0 ||
                    sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_negotiate_fds(bus, 1) < 0 ||
                    sd_bus_start(bus) < 0 ||
                    sd_bus_call_method(bus, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                       "Reserve", NULL, &reply, "sta{sv}", "/web", bytes, 0) < 0 ||
                    write(fds[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        (void)pause();
        }
        (void)close(fds[1]);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        (void)close(fds[0]);
        return pid;
}

static void test_killed_holder(void **state)
{
        Env *env = *state;
        pid_t pid;

        start(env);
        pid = start_holder(env, 9 * MIB);
        refused(env, MIB);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        wait_count(env, 0);
        assert_int_equal(close(reserve(env, "/web", 9 * MIB, NULL)), 0);
}

/* An answer that nobody takes ends the lease by itself. */
static void test_undelivered(void **state)
{
        Env *env = *state;

        start(env);
        for (int i = 0; i < 20; i++) {
                sd_bus_message *m = NULL;
                sd_bus *bus;

                assert_true(sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, env->address) >= 0 &&
                            sd_bus_set_bus_client(bus, 1) >= 0 && sd_bus_start(bus) >= 0);
                assert_true(sd_bus_message_new_method_call(bus, &m, CH_BUS_NAME, CH_BUS_PATH,
                                                           CH_BUS_MANAGER_INTERFACE,
                                                           "Reserve") >= 0);
                assert_true(sd_bus_message_append(m, "sta{sv}", "/web", MIB, 0) >= 0);
                assert_true(sd_bus_send(bus, m, NULL) >= 0);
                sd_bus_message_unref(m);
                sd_bus_flush_close_unref(bus);
        }
        env_settle(env);
        wait_count(env, 0);
        assert_int_equal(close(reserve(env, "/web", 9 * MIB, NULL)), 0);
}

static size_t count_files(Env *env)
{
        char command[200], text[32];
        FILE *pipe;

        (void)snprintf(command, sizeof(command), "ls %s/state/claims | wc -l", env->dir);
        pipe = popen(command, "re");
        assert_non_null(pipe);
        assert_non_null(fgets(text, sizeof(text), pipe));
        (void)pclose(pipe);
        return strtoul(text, NULL, 10);
}

static void test_restart(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        Env *env = *state;
        Row row = { 0 };
        uint64_t kept, next;
        int held, closed, fd;
        char junk[5000];

        start(env);
        closed = reserve(env, "/web", 2 * MIB, NULL);
        held = reserve(env, "/web/api", 6 * MIB, &kept);
        memset(junk, 'x', sizeof(junk));
        assert_int_equal(write(held, junk, sizeof(junk)), sizeof(junk));
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        assert_int_equal(close(closed), 0);
        env_start_daemon(env, NULL);
        assert_int_equal(list(env, &row, &reply), 1);
        assert_int_equal(row.claim, kept);
        assert_string_equal(row.group, "/web/api");
        assert_string_equal(row.note, "a test");
        assert_int_equal(count_files(env), 2);
        refused(env, 4 * MIB);
        fd = reserve(env, "/web", 3 * MIB, &next);
        assert_true(next > kept);
        /* an end in peace keeps it as well */
        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
        env_start_daemon(env, NULL);
        assert_int_equal(count(env), 2);
        assert_int_equal(close(held), 0);
        wait_count(env, 1);
        sd_bus_message_unref(env_call(env, "Release", "h", fd));
        assert_int_equal(count(env), 0);
        assert_int_equal(count_files(env), 0);
        assert_int_equal(close(fd), 0);
}

/* What is not a lease, not any more, or not of this daemon. */
static void test_release(void **state)
{
        int fds[2], held, copy, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        char path[200], command[200];
        Env *env = *state;

        start(env);
        held = reserve(env, "/web", 9 * MIB, NULL);
        copy = fcntl(held, F_DUPFD_CLOEXEC, 3);
        sd_bus_message_unref(env_call(env, "Release", "h", copy));
        assert_int_equal(close(reserve(env, "/web", 9 * MIB, NULL)), 0);
        env_call_fails(env, "NoSuchClaim", "released", "Release", "h", held);
        env_call_fails(env, "NoSuchClaim", "released", "Release", "h", copy);
        env_call_fails(env, "NoSuchClaim", "no lease", "Release", "h", null);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        env_call_fails(env, "NoSuchClaim", "no lease", "Release", "h", fds[1]);
        (void)snprintf(path, sizeof(path), "%s/fifo", env->dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(dup2(open(path, O_RDWR | O_CLOEXEC), fds[0]), fds[0]);
        env_call_fails(env, "NoSuchClaim", "no lease", "Release", "h", fds[0]);
        env_call_fails(env, "NoSuchClaim", "no lease", "PlanMove", "a{sv}", 3, "pids", "au", 1,
                       getpid(), "target", "s", "/db", "lease", "h", fds[0]);
        assert_int_equal(close(held), 0);
        /* of a life that this one knows nothing of */
        held = reserve(env, "/web", 9 * MIB, NULL);
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        (void)snprintf(command, sizeof(command), "rm -r %s/state/claims", env->dir);
        assert_int_equal(system(command), 0);
        env_start_daemon(env, NULL);
        env_call_fails(env, "NoSuchClaim", "no lease", "Release", "h", held);
        assert_int_equal(count(env), 0);
}

/* Records that are of no use are put away, and do no harm. */
static void test_bad_records(void **state)
{
        static const char *const records[] = {
                "",
                "[]",
                "{",
                "{\"boot_id\":\"another\",\"claim\":904,\"bytes\":1,\"group\":\"/web\"}",
                "{\"claim\":905}",
        };
        char path[200];
        Env *env = *state;
        int held;

        start(env);
        held = reserve(env, "/web", MIB, NULL);
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        for (unsigned i = 0; i < ELEMENTSOF(records); i++) {
                FILE *file;

                (void)snprintf(path, sizeof(path), "%s/state/claims/%u", env->dir, 901 + i);
                assert_int_equal(mkfifo(path, 0600), 0);
                (void)snprintf(path, sizeof(path), "%s/state/claims/%u.json", env->dir, 901 + i);
                file = fopen(path, "we");
                assert_non_null(file);
                assert_true(fputs(records[i], file) >= 0);
                assert_int_equal(fclose(file), 0);
        }
        (void)snprintf(path, sizeof(path), "%s/state/claims/77", env->dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        (void)snprintf(path, sizeof(path), "%s/state/claims/78.json", env->dir);
        assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
        env_start_daemon(env, NULL);
        assert_int_equal(count(env), 1);
        assert_int_equal(count_files(env), 2);
        assert_int_equal(close(held), 0);
        wait_count(env, 0);
}

static void test_bad_values(void **state)
{
        char note[200];
        Env *env = *state;

        start(env);
        memset(note, 'n', sizeof(note) - 1);
        note[sizeof(note) - 1] = '\0';
        env_call_fails(env, "BadValue", "0 bytes", "Reserve", "sta{sv}", "/web", UINT64_C(0), 0);
        env_call_fails(env, "BadValue", "2^63", "Reserve", "sta{sv}", "/web",
                       (UINT64_C(1) << 63) + 1, 0);
        env_call_fails(env, "BadValue", "2^63", "Reserve", "sta{sv}", "/web", UINT64_MAX, 0);
        env_call_fails(env, "NoRoom", "too big", "Reserve", "sta{sv}", "/db", UINT64_C(1) << 63, 0);
        env_call_fails(env, "NoSuchGroup", "/none", "Reserve", "sta{sv}", "/none", MIB, 0);
        env_call_fails(env, "BadPath", "", "Reserve", "sta{sv}", "web", MIB, 0);
        env_call_fails(env, "BadValue", "note", "Reserve", "sta{sv}", "/web", MIB, 1, "note", "s",
                       note);
        env_call_fails(env, "BadValue", "nonsense", "Reserve", "sta{sv}", "/web", MIB, 1,
                       "nonsense", "b", 1);
        fake_set(env->fake, "/db", "memory.current", NULL);
        env_call_fails(env, "ControllerOff", "memory", "Reserve", "sta{sv}", "/db", MIB, 0);
        assert_int_equal(count(env), 0);
        assert_int_equal(count_files(env), 0);
}

static void test_who_may(void **state)
{
        char error[128], path[384];
        Env *env = *state;

        start(env);
        assert_int_equal(
                env_call_as(env, 65534, error, "Reserve", "sta{sv}", "/web/api", MIB, 0), 1);
        assert_non_null(strstr(error, "NotPermitted"));
        (void)snprintf(path, sizeof(path), "%s/web", env->root);
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        assert_int_equal(
                env_call_as(env, 65534, error, "Reserve", "sta{sv}", "/web/api", MIB, 0), 0);
        assert_int_equal(env_call_as(env, 65534, error, "Reserve", "sta{sv}", "/", MIB, 0), 1);
        wait_count(env, 0);
}

static void start_with_conf(Env *env, const char *text)
{
        char path[100], argument[120];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/claims.conf", env->dir);
        (void)snprintf(argument, sizeof(argument), "--config=%s", path);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        env_start_daemon(env, argument, NULL);
}

/* Root may have ten times as many. */
static void test_limit(void **state)
{
        Env *env = *state;
        int fds[10];

        start_with_conf(env, "[Claims]\nPerUser=1\n");
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = reserve(env, "/web", 4096, NULL);
        env_call_fails(env, "LimitReached", "PerUser=", "Reserve", "sta{sv}", "/web",
                       UINT64_C(4096), 0);
        assert_int_equal(close(fds[3]), 0);
        wait_count(env, 9);
        fds[3] = reserve(env, "/web", 4096, NULL);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                assert_int_equal(close(fds[i]), 0);
        wait_count(env, 0);
}

static void test_many(void **state)
{
        enum { N = 500 };
        Env *env = *state;
        int fds[N];

        start(env);
        for (size_t i = 0; i < N; i++)
                fds[i] = reserve(env, i % 2 ? "/web" : "/web/api", 16384, NULL);
        assert_int_equal(count(env), N);
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        for (size_t i = 0; i < N; i += 2)
                assert_int_equal(close(fds[i]), 0);
        env_start_daemon(env, NULL);
        assert_int_equal(count(env), N / 2);
        /* 9 MiB less 250 of 16 KiB are 5216 KiB */
        refused(env, 5217 << 10);
        assert_int_equal(close(reserve(env, "/web/api", 5216 << 10, NULL)), 0);
        for (size_t i = 1; i < N; i += 2)
                assert_int_equal(close(fds[i]), 0);
        wait_count(env, 0);
        assert_int_equal(count_files(env), 0);
}

static void make_group(Env *env, const char *path, const char *file, const char *text)
{
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", path, 0, 1, "parents", "b",
                                      1));
        fake_set(env->fake, path, file, text);
}

static void remove_group(Env *env, const char *path)
{
        char directory[400];

        fake_set(env->fake, path, "memory.current", NULL);
        (void)snprintf(directory, sizeof(directory), "%s%s", env->root, path);
        assert_int_equal(rmdir(directory), 0);
        env_wait_signal(env, "GroupRemoved", path, 1);
}

/* The claims of groups, which are found again in the groups, and those of leases do not get in each other's way. */
static void test_restart_beside_groups(void **state)
{
        Env *env = *state;
        int held;

        start(env);
        held = reserve(env, "/web", 2 * MIB, NULL);
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", "/web/claims", 0, 1,
                                      "claim", "t", 3 * MIB));
        assert_int_equal(count(env), 2);
        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
        env_start_daemon(env, NULL);
        assert_int_equal(count(env), 2);
        refused(env, 5 * MIB);
        sd_bus_message_unref(env_call(env, "Release", "h", held));
        assert_int_equal(count(env), 1);
        assert_int_equal(close(held), 0);
}

/* The one record there is names that group: a worker writes it when it has the time. */
static int is_recorded_in(Env *env, void *userdata)
{
        char command[300];

        (void)snprintf(command, sizeof(command), "grep -qE '\"group\": *\"%s\"' %s/state/claims/*.json",
                       (const char *)userdata, env->dir);
        return system(command) == 0;
}

/* What was claimed in a group that goes counts in its parent, also for the next life. */
static void test_reparented(void **state)
{
        Env *env = *state;
        int fd;

        start(env);
        make_group(env, "/web/deep", "memory.current", "0\n");
        make_group(env, "/web/deep/er", "memory.current", "0\n");
        fd = reserve(env, "/web/deep/er", 8 * MIB, NULL);
        remove_group(env, "/web/deep/er");
        remove_group(env, "/web/deep");
        for (int life = 0; life < 2; life++) {
                _cleanup_(reply_freep) sd_bus_message *reply = NULL;
                Row row = { 0 };

                assert_int_equal(list(env, &row, &reply), 1);
                assert_string_equal(row.group, "/web");
                assert_string_equal(row.made_for, "/web/deep/er");
                refused(env, 2 * MIB);
                if (life == 0) {
                        env_wait(env, is_recorded_in, (void *)"\\\\?/web");
                        /* Another group of that name has nothing to do with it. (Groups of cgroupfs are told apart by
                         * their ids; this file system uses those again.) */
                        make_group(env, "/web/deep/er", "memory.current", "0\n");
                        assert_int_equal(env_stop_daemon(env, SIGKILL), -SIGKILL);
                        env_start_daemon(env, NULL);
                }
        }
        assert_int_equal(close(fd), 0);
        wait_count(env, 0);
        assert_int_equal(close(reserve(env, "/web", 9 * MIB, NULL)), 0);
}

const struct CMUnitTest lease_tests[] = {
        cmocka_unit_test_setup_teardown(test_closed, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_dry_run, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_killed_holder, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_undelivered, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_restart, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_release, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_bad_records, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_bad_values, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_who_may, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_limit, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_many, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_reparented, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_restart_beside_groups, env_setup, env_teardown),
};
const size_t n_lease_tests = ELEMENTSOF(lease_tests);
