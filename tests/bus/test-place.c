/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Placements over the bus: dry and for real, refused with nothing left, and many at once. */

#include <fcntl.h>
#include <poll.h>
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
#include "real-env.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

/* /ci/a, /ci/b, /ci/c: each with a limit of 10 MiB, of which 1, 2 and 3 are in use */
static void add_groups(Env *env)
{
        static const char *const groups[] = { "/ci/a", "/ci/b", "/ci/c" };

        for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                char used[32];

                (void)snprintf(used, sizeof(used), "%llu\n", (unsigned long long)((i + 1) * MIB));
                fake_add(env->fake, groups[i], "cpu memory pids");
                fake_set(env->fake, groups[i], "memory.max", "10485760\n");
                fake_set(env->fake, groups[i], "memory.current", used);
        }
}

static void start(Env *env, const char *conf)
{
        char path[128], argument[160];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/conf", env->dir);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(conf, file) >= 0 && fclose(file) == 0);
        (void)snprintf(argument, sizeof(argument), "--config=%s", path);
        env_start_daemon(env, argument, NULL);
}

/* Many calls at once take their time under a sanitizer on a busy machine. */
static const char pools[] = "[Daemon]\nRequestTimeout=55s\n"
                            "[Pool ci]\nGroups=/ci/*\nPolicy=spread\n"
                            "[Pool packed]\nGroups=/ci/[ab]\nPolicy=pack\n"
                            "[Pool nested]\nGroups=/ci /ci/a\n"
                            "[Pool gone]\nGroups=/gone /ci/x*\n";

/* Positions the message after the key of the a{sv} that begins here: 1 it is there, and its variant
 * is next. */
static int find_key(sd_bus_message *m, const char *want)
{
        const char *key;

        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &key) > 0);
                if (streq(key, want))
                        return 1;
                assert_true(sd_bus_message_skip(m, "v") > 0);
                assert_true(sd_bus_message_exit_container(m) > 0);
        }
        return 0;
}

/* "" where there is none */
static const char *text_of(sd_bus_message *m, const char *key)
{
        const char *text;

        assert_true(sd_bus_message_rewind(m, 1) >= 0);
        if (!find_key(m, key))
                return "";
        assert_true(sd_bus_message_read(m, "v", streq(key, "object") ? "o" : "s", &text) > 0);
        return text;
}

/* "GROUP=SCORE;" in their order: all that the candidates have of one key, a text or number. */
static char *column_of(sd_bus_message *m, const char *key)
{
        char *text = strdup("");

        assert_true(sd_bus_message_rewind(m, 1) >= 0);
        assert_true(find_key(m, "candidates"));
        assert_true(sd_bus_message_enter_container(m, 'v', "aa{sv}") > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "a{sv}") > 0);
        while (sd_bus_message_at_end(m, 0) == 0) {
                const char *name, *value = "", *signature;
                char number[32], *longer;

                assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(m, "s", &name) > 0);
                        assert_true(sd_bus_message_peek_type(m, NULL, &signature) > 0);
                        if (!streq(name, key)) {
                                assert_true(sd_bus_message_skip(m, "v") > 0);
                        } else if (streq(signature, "s")) {
                                assert_true(sd_bus_message_read(m, "v", "s", &value) > 0);
                        } else if (streq(signature, "b")) {
                                int truth;

                                assert_true(sd_bus_message_read(m, "v", "b", &truth) > 0);
                                value = truth ? "yes" : "no";
                        } else {
                                uint64_t whole;

                                assert_true(sd_bus_message_read(m, "v", "t", &whole) > 0);
                                (void)snprintf(number, sizeof(number), "%llu",
                                               (unsigned long long)whole);
                                value = number;
                        }
                        assert_true(sd_bus_message_exit_container(m) > 0);
                }
                assert_true(sd_bus_message_exit_container(m) > 0);
                assert_true(asprintf(&longer, "%s%s;", text, value) >= 0);
                free(text);
                text = longer;
        }
        return text;
}

static void expect_column(sd_bus_message *m, const char *key, const char *want)
{
        _cleanup_(freep) char *got = column_of(m, key);

        assert_string_equal(got, want);
}

/* The lease of an answer, a copy; -EBADF where there is none. */
static int lease_of(sd_bus_message *m)
{
        int fd = -EBADF;

        assert_true(sd_bus_message_rewind(m, 1) >= 0);
        assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "h") > 0);
        if (sd_bus_message_read(m, "h", &fd) <= 0)
                return -EBADF;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        return fd;
}

static sd_bus_message *place_bytes(Env *env, const char *pool, uint64_t bytes, int dry_run)
{
        return env_call(env, "Place", "a{sv}", 3, "pool", "s", pool, "bytes", "t", bytes, "dry_run",
                        "b", dry_run);
}

static size_t count_claims(Env *env)
{
        _cleanup_(reply_freep) sd_bus_message *m = env_call(env, "ListClaims", NULL);
        size_t n = 0;

        assert_true(sd_bus_message_enter_container(m, 'a', "a{sv}") > 0);
        for (; sd_bus_message_at_end(m, 0) == 0; n++)
                assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
        return n;
}

typedef struct ClaimCount {
        size_t want;
} ClaimCount;

static int has_claims(Env *env, void *userdata)
{
        return count_claims(env) == ((ClaimCount *)userdata)->want;
}

static void wait_claims(Env *env, size_t n)
{
        env_wait(env, has_claims, &(ClaimCount){ n });
}

/* Nothing is set aside by asking; the answer is the whole table, the best first. */
static void test_dry_run(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *spread = NULL, *pack = NULL, *none = NULL;
        Env *env = *state;

        add_groups(env);
        start(env, pools);
        spread = place_bytes(env, "ci", 4 * MIB, 1);
        assert_string_equal(text_of(spread, "chosen"), "/ci/a");
        expect_column(spread, "group", "/ci/a;/ci/b;/ci/c;");
        expect_column(spread, "fits", "yes;yes;yes;");
        expect_column(spread, "free_bytes", "9437184;8388608;7340032;");
        assert_int_equal(lease_of(spread), -EBADF);
        pack = place_bytes(env, "packed", 4 * MIB, 1);
        assert_string_equal(text_of(pack, "chosen"), "/ci/b");
        expect_column(pack, "group", "/ci/b;/ci/a;");
        /* a policy of the call goes before the pool's */
        sd_bus_message_unref(pack);
        pack = env_call(env, "Place", "a{sv}", 4, "pool", "s", "packed", "bytes", "t", 4 * MIB,
                        "placement", "s", "spread", "dry_run", "b", 1);
        assert_string_equal(text_of(pack, "chosen"), "/ci/a");
        none = place_bytes(env, "ci", 64 * MIB, 1);
        assert_string_equal(text_of(none, "chosen"), "");
        expect_column(none, "fits", "no;no;no;");
        assert_int_equal(count_claims(env), 0);
}

/* For real: a lease on the group chosen, which others see, and which ends with the fd. */
static void test_lease(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *first = NULL, *second = NULL, *dry = NULL;
        Env *env = *state;
        int lease;

        add_groups(env);
        start(env, pools);
        first = place_bytes(env, "ci", 8 * MIB, 0);
        assert_string_equal(text_of(first, "chosen"), "/ci/a");
        lease = lease_of(first);
        assert_true(lease >= 0);
        assert_int_equal(count_claims(env), 1);
        second = place_bytes(env, "ci", 8 * MIB, 1);
        assert_string_equal(text_of(second, "chosen"), "/ci/b");
        expect_column(second, "claimed_bytes", "0;0;8388608;");
        env_call_fails(env, "NoRoom", "/ci/", "Place", "a{sv}", 2, "candidates", "as", 2, "/ci/a",
                       "/ci/c", "bytes", "t", 8 * MIB);
        assert_int_equal(count_claims(env), 1);
        (void)close(lease);
        first = sd_bus_message_unref(first); /* has a copy */
        wait_claims(env, 0);
        dry = place_bytes(env, "ci", 8 * MIB, 1);
        assert_string_equal(text_of(dry, "chosen"), "/ci/a");
}

/* What was claimed for a group is there for what is placed in it, and for nobody else. */
static void test_own_claim(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *dry = NULL, *m = NULL;
        Env *env = *state;

        add_groups(env);
        start(env, pools);
        sd_bus_message_unref(env_call(env, "CreateGroup", "sa{sv}a{sv}", "/ci/b", 0, 2, "claim",
                                      "t", 8 * MIB, "exist_ok", "b", 1));
        dry = env_call(env, "Place", "a{sv}", 3, "candidates", "as", 1, "/ci/b", "bytes", "t",
                       6 * MIB, "dry_run", "b", 1);
        assert_string_equal(text_of(dry, "chosen"), "/ci/b");
        m = env_call(env, "Place", "a{sv}", 2, "candidates", "as", 1, "/ci/b", "bytes", "t",
                     6 * MIB);
        assert_string_equal(text_of(m, "chosen"), "/ci/b");
        /* but once */
        env_call_fails(env, "NoRoom", "/ci/b", "Place", "a{sv}", 2, "candidates", "as", 1, "/ci/b",
                       "bytes", "t", 6 * MIB);
}

static void test_refused(void **state)
{
        Env *env = *state;
        char note[130] = "";

        add_groups(env);
        start(env, pools);
        /* nobody can hold it: the closest, and what it lacks */
        env_call_fails(env, "NoRoom", "/ci/a", "Place", "a{sv}", 2, "pool", "s", "ci", "bytes", "t",
                       64 * MIB);
        env_call_fails(env, "NoRoom", "57671680", "Place", "a{sv}", 2, "pool", "s", "ci", "bytes",
                       "t", 64 * MIB);
        /* candidates */
        env_call_fails(env, "BadValue", "/ci/a", "Place", "a{sv}", 2, "bytes", "t", MIB,
                       "candidates", "as", 2, "/ci/a", "/ci/a");
        env_call_fails(env, "BadValue", "/ci/a", "Place", "a{sv}", 2, "bytes", "t", MIB,
                       "candidates", "as", 3, "/ci/b", "/ci/a", "/ci");
        env_call_fails(env, "BadValue", "/ci/a", "Place", "a{sv}", 2, "bytes", "t", MIB, "pool",
                       "s", "nested");
        env_call_fails(env, "BadValue", NULL, "Place", "a{sv}", 2, "bytes", "t", MIB, "candidates",
                       "as", 0);
        env_call_fails(env, "BadValue", "exactly one of candidates and pool", "Place", "a{sv}", 1,
                       "bytes", "t", MIB);
        env_call_fails(env, "BadValue", "exactly one of candidates and pool", "Place", "a{sv}", 3,
                       "bytes", "t", MIB, "pool", "s", "ci", "candidates", "as", 1, "/ci/a");
        env_call_fails(env, "NoSuchGroup", "/none", "Place", "a{sv}", 2, "bytes", "t", MIB,
                       "candidates", "as", 2, "/ci/a", "/none");
        env_call_fails(env, "BadPath", NULL, "Place", "a{sv}", 2, "bytes", "t", MIB, "candidates",
                       "as", 1, "ci");
        env_call_fails(env, "BadValue", "there are ci, packed, nested, gone", "Place", "a{sv}", 2,
                       "bytes", "t", MIB, "pool", "s", "web");
        env_call_fails(env, "NoSuchGroup", "[Pool gone]", "Place", "a{sv}", 2, "bytes", "t", MIB,
                       "pool", "s", "gone");
        /* what */
        env_call_fails(env, "BadValue", "what is to be placed", "Place", "a{sv}", 1, "pool", "s",
                       "ci");
        env_call_fails(env, "BadValue", "0 bytes", "Place", "a{sv}", 2, "pool", "s", "ci", "bytes",
                       "t", UINT64_C(0));
        env_call_fails(env, "BadValue", "2^63", "Place", "a{sv}", 2, "pool", "s", "ci", "bytes",
                       "t", (UINT64_C(1) << 63) + 1);
        env_call_fails(env, "BadValue", "2^63", "Place", "a{sv}", 2, "pool", "s", "ci", "bytes",
                       "t", UINT64_MAX);
        env_call_fails(env, "NoRoom", NULL, "Place", "a{sv}", 2, "pool", "s", "ci", "bytes", "t",
                       UINT64_C(1) << 63);
        env_call_fails(env, "BadValue", "go with processes", "Place", "a{sv}", 3, "pool", "s", "ci",
                       "bytes", "t", MIB, "policy", "s", "stay");
        env_call_fails(env, "BadValue", "go with processes", "Place", "a{sv}", 3, "pool", "s", "ci",
                       "bytes", "t", MIB, "tree", "b", 1);
        env_call_fails(env, "BadValue", "exactly one of pids", "Place", "a{sv}", 3, "pool", "s",
                       "ci", "pids", "au", 1, getpid(), "group", "s", "/web");
        env_call_fails(env, "BadValue", "tree", "Place", "a{sv}", 3, "pool", "s", "ci", "tree", "b",
                       1, "group", "s", "/web");
        env_call_fails(env, "NoSuchProcess", NULL, "Place", "a{sv}", 2, "pool", "s", "ci", "pids",
                       "au", 1, 4194311);
        env_call_fails(env, "NoSuchGroup", "/none", "Place", "a{sv}", 2, "pool", "s", "ci", "group",
                       "s", "/none");
        env_call_fails(env, "BadValue", "target", "Place", "a{sv}", 3, "pool", "s", "ci", "bytes",
                       "t", MIB, "target", "s", "/ci/a");
        /* how */
        env_call_fails(env, "BadValue", "spread, pack or affinity", "Place", "a{sv}", 3, "pool",
                       "s", "ci", "bytes", "t", MIB, "placement", "s", "fastest");
        env_call_fails(env, "BadValue", "colour", "Place", "a{sv}", 3, "pool", "s", "ci", "bytes",
                       "t", MIB, "weights", "a{su}", 1, "colour", 3);
        env_call_fails(env, "BadValue", "'a{su}'", "Place", "a{sv}", 3, "pool", "s", "ci", "bytes",
                       "t", MIB, "weights", "s", "headroom:3");
        env_call_fails(env, "BadValue", "0-64", "Place", "a{sv}", 3, "pool", "s", "ci", "bytes",
                       "t", MIB, "nodes", "s", "0-64");
        memset(note, 'n', sizeof(note) - 1);
        env_call_fails(env, "BadValue", "note", "Place", "a{sv}", 3, "pool", "s", "ci", "bytes",
                       "t", MIB, "note", "s", note);
        assert_int_equal(count_claims(env), 0);
}

/* A candidate that the caller may not use is refused in the table; where none is left, the call is.
 */
static void test_rights(void **state)
{
        Env *env = *state;
        char error[128], path[384];

        if (getuid() != 0)
                skip();
        add_groups(env);
        start(env, pools);
        assert_int_equal(env_call_as(env, 65534, error, "Place", "a{sv}", 2, "pool", "s", "ci",
                                     "bytes", "t", MIB),
                         1);
        assert_string_equal(error, CH_BUS_ERROR_PREFIX "NotPermitted");
        (void)snprintf(path, sizeof(path), "%s/ci/c", env->root);
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        assert_int_equal(env_call_as(env, 65534, error, "Place", "a{sv}", 2, "pool", "s", "ci",
                                     "bytes", "t", MIB),
                         0);
        /* the caller has ended, and so has its lease */
        wait_claims(env, 0);
        /* processes of others are nobody's business */
        assert_int_equal(env_call_as(env, 65534, error, "Place", "a{sv}", 3, "pool", "s", "ci",
                                     "pids", "au", 1, getpid(), "dry_run", "b", 1),
                         1);
        assert_string_equal(error, CH_BUS_ERROR_PREFIX "NotPermitted");
}

/* What becomes of many calls at once. */
typedef struct Crowd {
        size_t asked, answered, granted, refused;
        uint64_t bytes_of[3]; /* granted in /ci/a, /ci/b, /ci/c */
        int leases[64];
} Crowd;

enum { CROWD = 50, MOVERS = 16 };

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        Crowd *crowd = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(m);

        crowd->answered++;
        if (error) {
                assert_string_equal(error->name, CH_BUS_ERROR_PREFIX "NoRoom");
                crowd->refused++;
                return 0;
        }
        crowd->bytes_of[text_of(m, "chosen")[4] - 'a'] += 2 * MIB;
        crowd->leases[crowd->granted] = lease_of(m);
        assert_true(crowd->leases[crowd->granted++] >= 0);
        return 0;
}

static int all_answered(Env *env, void *userdata)
{
        while (sd_bus_process(env->client, NULL) > 0)
                ;
        return ((Crowd *)userdata)->answered == ((Crowd *)userdata)->asked;
}

static void place_crowd(Env *env, Crowd *crowd)
{
        *crowd = (Crowd){ .asked = CROWD };
        for (size_t i = 0; i < CROWD; i++) {
                _cleanup_(reply_freep) sd_bus_message *m = NULL;

                assert_true(sd_bus_message_new_method_call(env->client, &m, CH_BUS_NAME,
                                                           CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                                           "Place") >= 0);
                assert_true(sd_bus_message_append(m, "a{sv}", 2, "pool", "s", "ci", "bytes", "t",
                                                  2 * MIB) >= 0);
                assert_true(sd_bus_call_async(env->client, NULL, m, on_answer, crowd,
                                              60 * 1000000ULL) >= 0);
        }
        env_wait(env, all_answered, crowd);
}

/* 9, 8 and 7 MiB are free: room for 4 + 4 + 3 of 2 MiB, not one more and not one less. */
static void test_many_at_once(void **state)
{
        Env *env = *state;
        Crowd crowd;

        add_groups(env);
        start(env, pools);
        for (int round = 0; round < 2; round++) {
                place_crowd(env, &crowd);
                assert_int_equal(crowd.granted, 11);
                assert_int_equal(crowd.refused, CROWD - 11);
                assert_int_equal(crowd.bytes_of[0], 8 * MIB);
                assert_int_equal(crowd.bytes_of[1], 8 * MIB);
                assert_int_equal(crowd.bytes_of[2], 6 * MIB);
                assert_int_equal(count_claims(env), 11);
                for (size_t i = 0; i < crowd.granted; i++)
                        (void)close(crowd.leases[i]);
                wait_claims(env, 0);
        }
}

/* The groups of a pool are those there are when somebody asks; a reload brings other pools. */
static void test_pools(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *m = NULL;
        Env *env = *state;
        char path[128];
        FILE *file;

        add_groups(env);
        start(env, pools);
        fake_add(env->fake, "/ci/d", "cpu memory pids");
        fake_set(env->fake, "/ci/d", "memory.max", "20971520\n");
        m = place_bytes(env, "ci", MIB, 1);
        assert_string_equal(text_of(m, "chosen"), "/ci/d");
        (void)snprintf(path, sizeof(path), "%s/conf", env->dir);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs("[Pool other]\nGroups=/ci/c\nPolicy=magic\n", file) >= 0 &&
                    fclose(file) == 0);
        sd_bus_message_unref(env_call(env, "Reload", NULL));
        env_call_fails(env, "BadValue", "there are other", "Place", "a{sv}", 2, "bytes", "t", MIB,
                       "pool", "s", "ci");
        sd_bus_message_unref(m);
        m = place_bytes(env, "other", MIB, 1);
        assert_string_equal(text_of(m, "chosen"), "/ci/c");
}

/* Processes are moved to the group chosen, as a job. */
static void test_real(void **state)
{
        _cleanup_(reply_freep) sd_bus_message *m = NULL, *dry = NULL;
        Env *env = *state;
        char root[128];
        pid_t pid;

        if (!real_start(env, root, NULL))
                skip(); /* no cgroup v2 at /sys/fs/cgroup/unified, or not root */
        real_create(env, "/a");
        real_create(env, "/b");
        real_create(env, "/from");
        pid = real_sleeper(root, "/from", 0);
        dry = env_call(env, "Place", "a{sv}", 4, "pids", "au", 1, (uint32_t)pid, "candidates", "as",
                       2, "/a", "/b", "policy", "s", "stay", "dry_run", "b", 1);
        assert_string_equal(text_of(dry, "chosen"), "/a");
        real_expect_group(env, pid, "/from");
        m = env_call(env, "Place", "a{sv}", 3, "pids", "au", 1, (uint32_t)pid, "candidates", "as",
                     2, "/a", "/b", "policy", "s", "stay");
        assert_string_equal(text_of(m, "chosen"), "/a");
        assert_string_equal(text_of(m, "object"), CH_BUS_JOB_PREFIX "/1");
        assert_int_equal(lease_of(m), -EBADF);
        env_wait_signal(env, "JobRemoved", NULL, 1);
        real_expect_group(env, pid, "/a");
        env_call_fails(env, "BadProcess", "chargehandd itself", "Place", "a{sv}", 3, "pids", "au",
                       1, (uint32_t)env->daemon, "candidates", "as", 1, "/b", "policy", "s",
                       "stay");
        real_kill(pid);
        real_end(env, root);
}

static int on_busy(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        Crowd *crowd = userdata;

        crowd->answered++;
        if (error)
                assert_string_equal(error->name, CH_BUS_ERROR_PREFIX "Busy");
        crowd->refused += error != NULL;
        return 0;
}

/* A placement of what is being moved already comes to no job, and gives its room back. */
static void test_busy(void **state)
{
        Crowd crowd = { .asked = MOVERS };
        Env *env = *state;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        (void)pause();
        }
        add_groups(env);
        start(env, pools);
        for (size_t i = 0; i < MOVERS; i++) {
                _cleanup_(reply_freep) sd_bus_message *m = NULL;

                assert_true(sd_bus_message_new_method_call(env->client, &m, CH_BUS_NAME,
                                                           CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                                           "Place") >= 0);
                assert_true(sd_bus_message_append(m, "a{sv}", 4, "pids", "au", 1, (uint32_t)pid,
                                                  "candidates", "as", 1, "/ci/a", "bytes", "t",
                                                  UINT64_C(4096), "policy", "s", "stay") >= 0);
                assert_true(sd_bus_call_async(env->client, NULL, m, on_busy, &crowd,
                                              60 * 1000000ULL) >= 0);
        }
        env_wait(env, all_answered, &crowd);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        wait_claims(env, 0);
}

const struct CMUnitTest place_tests[] = {
        cmocka_unit_test_setup_teardown(test_dry_run, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_lease, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_own_claim, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_refused, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_rights, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_many_at_once, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_pools, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_real, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_busy, env_setup, env_teardown),
};
const size_t n_place_tests = ELEMENTSOF(place_tests);
