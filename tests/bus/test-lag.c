/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model when inotify cannot tell all: events lost, watches short. Then the tree is read again,
 * beside the loop, and everything is told once. */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "util.h"

#define EVENTS_MAX 100000 /* more are not made */
#define N_TOLD     500    /* groups that inotify tells of before it loses events */
#define N          3000   /* groups in all */

typedef struct WatchState {
        int complete, scanning;
        uint64_t active, rescans, groups;
} WatchState;

static void read_member(sd_bus_message *m, WatchState *ret)
{
        const char *key;

        assert_true(sd_bus_message_read(m, "s", &key) > 0);
        if (streq(key, "complete"))
                assert_true(sd_bus_message_read(m, "v", "b", &ret->complete) > 0);
        else if (streq(key, "scanning"))
                assert_true(sd_bus_message_read(m, "v", "b", &ret->scanning) > 0);
        else if (streq(key, "rescans"))
                assert_true(sd_bus_message_read(m, "v", "t", &ret->rescans) > 0);
        else if (streq(key, "active"))
                assert_true(sd_bus_message_read(m, "v", "t", &ret->active) > 0);
        else
                assert_true(sd_bus_message_skip(m, "v") > 0);
}

static void read_watches(sd_bus_message *m, WatchState *ret)
{
        assert_true(sd_bus_message_enter_container(m, 'v', "a{sv}") > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                read_member(m, ret);
                assert_true(sd_bus_message_exit_container(m) > 0);
        }
        assert_true(sd_bus_message_exit_container(m) > 0 && sd_bus_message_exit_container(m) > 0);
}

/* Status.watches and Status.groups */
static WatchState get_watches(Env *env)
{
        _cleanup_(reply_freep) sd_bus_message *m = env_call(env, "Status", NULL);
        WatchState state = { .complete = -1, .scanning = -1, .rescans = UINT64_MAX };
        const char *key;

        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &key) > 0);
                if (streq(key, "watches"))
                        read_watches(m, &state);
                else if (streq(key, "groups"))
                        assert_true(sd_bus_message_read(m, "v", "t", &state.groups) > 0);
                else
                        assert_true(sd_bus_message_skip(m, "v") > 0);
                assert_true(sd_bus_message_exit_container(m) > 0);
        }
        assert_true(state.complete >= 0 && state.scanning >= 0 && state.rescans != UINT64_MAX);
        return state;
}

/* As many events as the kernel keeps: of what comes after, none is told. 0 if that is too many to
 * make. */
static int fill_queue(const Env *env)
{
        _cleanup_(freep) char *text = NULL;
        char path[384];
        uint64_t max;

        assert_int_equal(
                read_file_at(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", 64, &text, NULL),
                0);
        assert_int_equal(parse_u64(text, &max, NULL), 0);
        if (max > EVENTS_MAX)
                return 0;
        for (uint64_t i = 0; i < max + 2; i++) {
                /* in turns: the same event twice on end is one */
                (void)snprintf(path, sizeof(path), "%s/%s", env->root, i % 2 ? "web" : "db");
                assert_int_equal(chmod(path, 0755), 0);
        }
        return 1;
}

static void name_of(const Env *env, unsigned i, char ret[384])
{
        (void)snprintf(ret, 384, "%s/many/g%u", env->root, i);
}

static void pause_daemon(const Env *env)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)env->daemon);
        assert_int_equal(kill(env->daemon, SIGSTOP), 0);
        for (;;) {
                _cleanup_(freep) char *text = NULL;

                assert_int_equal(read_file_at(AT_FDCWD, path, 4096, &text, NULL), 0);
                if (strstr(text, ") T "))
                        return;
        }
}

static int knows_as_many(Env *env, void *userdata)
{
        return get_watches(env).groups == *(uint64_t *)userdata;
}

/* Until the tree has been read again; how often Status was answered while it was. */
static unsigned wait_rescans(Env *env, uint64_t n)
{
        unsigned answered = 0;
        WatchState state;
        uint64_t deadline = now_usec() + 60000000;

        do {
                state = get_watches(env);
                answered += state.scanning != 0;
                assert_true(now_usec() < deadline);
                (void)poll(NULL, 0, 1);
        } while (state.rescans < n || state.scanning);
        return answered;
}

/* Each of the groups was told of exactly once, and no other but /many. */
static void expect_each_once(Env *env, const char *member)
{
        unsigned char told[N] = { 0 };
        unsigned i;

        (void)env_count(env, member, NULL); /* takes in what has come */
        for (size_t at = 0; at < env->n_signals; at++) {
                if (!streq(env->signals[at].member, member) ||
                    sscanf(env->signals[at].first, "/many/g%u", &i) != 1)
                        continue;
                assert_true(i < N);
                if (told[i]++)
                        fail_msg("%s(%s) came twice", member, env->signals[at].first);
        }
        for (i = 0; i < N; i++)
                if (!told[i])
                        fail_msg("%s(/many/g%u) did not come", member, i);
}

static void change(const Env *env, unsigned from, unsigned to, int make)
{
        char path[384];

        for (unsigned i = from; i < to; i++) {
                name_of(env, i, path);
                assert_int_equal(make ? mkdir(path, 0755) : rmdir(path), 0);
        }
}

/* N groups while the daemon sleeps, most of them when the queue is full. */
static int change_unseen(const Env *env, int make)
{
        int filled;

        pause_daemon(env);
        change(env, 0, N_TOLD, make);
        filled = fill_queue(env);
        change(env, N_TOLD, N, make);
        assert_int_equal(kill(env->daemon, SIGCONT), 0);
        return filled;
}

static void make_parent(Env *env)
{
        char path[384];

        (void)snprintf(path, sizeof(path), "%s/many", env->root);
        assert_int_equal(mkdir(path, 0755), 0);
        env_wait_signal(env, "GroupNew", "/many", 1);
}

static void test_lost_events(void **state)
{
        Env *env = *state;
        WatchState before;
        uint64_t known;

        env_start_daemon(env, NULL);
        make_parent(env);
        before = get_watches(env);
        assert_int_equal(before.rescans, 0);
        assert_int_equal(before.complete, 1);
        if (!change_unseen(env, 1))
                skip(); /* the event queue is too long to be filled here */
        assert_true(wait_rescans(env, 1) > 0);
        known = before.groups + N;
        env_wait(env, knows_as_many, &known);
        env_settle(env);
        expect_each_once(env, "GroupNew");
        assert_int_equal(env_count(env, "GroupRemoved", "/many"), 0);

        env_forget_signals(env);
        (void)change_unseen(env, 0);
        (void)wait_rescans(env, 2);
        known = before.groups;
        env_wait(env, knows_as_many, &known);
        env_settle(env);
        expect_each_once(env, "GroupRemoved");
        assert_int_equal(get_watches(env).complete, 1);
        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
}

/* A subtree that is there at once is too much for one event: it is read beside the loop. At the
 * end, what is being read is given up. */
static void test_large_subtree(void **state)
{
        char there[384];
        Env *env = *state;
        WatchState now;
        uint64_t known;

        env_start_daemon(env, NULL);
        known = get_watches(env).groups + 1 + N;
        (void)snprintf(there, sizeof(there), "%s/many", env->root);
        pause_daemon(env);
        assert_int_equal(mkdir(there, 0755), 0);
        change(env, 0, N, 1);
        assert_int_equal(kill(env->daemon, SIGCONT), 0);
        env_wait(env, knows_as_many, &known);
        now = get_watches(env);
        (void)wait_rescans(env, now.rescans + (now.scanning != 0));
        assert_true(get_watches(env).rescans > 0);
        env_settle(env);
        expect_each_once(env, "GroupNew");

        now = get_watches(env);
        (void)change_unseen(env, 0);
        do
                known = get_watches(env).scanning;
        while (!known && get_watches(env).rescans == now.rescans);
        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
}

/* chargehandd in a user namespace of its own, where 4 watches are all there is: the model starts
 * with 4 groups of 2 or 3 each. */
static void start_with_few_watches(Env *env, const char *config)
{
        static char path[128];
        const char *program = env_program;
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/few-watches", env->dir);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fprintf(file,
                            "#!/bin/sh\nexec unshare --user --map-root-user sh -c 'echo 4 "
                            ">/proc/sys/user/max_inotify_watches && exec \"$@\"' sh %s \"$@\"\n",
                            program) > 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(path, 0755), 0);
        env_program = path;
        env_start_daemon(env, config, NULL);
        env_program = program;
}

static int may_have_user_namespace(void)
{
        return system("unshare --user --map-root-user sh -c "
                      "'echo 4 >/proc/sys/user/max_inotify_watches' 2>/dev/null") == 0;
}

static void test_few_watches(void **state)
{
        Env *env = *state;
        char path[384], config[400];
        WatchState now;
        FILE *file;

        if (!may_have_user_namespace())
                skip(); /* no user namespaces here: the limit would be everybody's */
        (void)snprintf(path, sizeof(path), "%s/conf", env->dir);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs("[Daemon]\nRescanInterval=1s\n", file) >= 0 && fclose(file) == 0);
        (void)snprintf(config, sizeof(config), "--config=%s", path);
        start_with_few_watches(env, config);
        now = get_watches(env);
        assert_int_equal(now.complete, 0);
        assert_int_equal(now.active, 4);
        /* below a group that is not watched: made, changed and removed, each told once */
        fake_set(env->fake, "/web/api", "memory.events.local", NULL);
        fake_add(env->fake, "/web/api/x/y", "memory");
        env_wait_signal(env, "GroupNew", "/web/api/x/y", 1);
        fake_set(env->fake, "/web/api/x/y", "cgroup.events", "populated 1\nfrozen 0\n");
        fake_set(env->fake, "/web/api", "memory.events", "oom 2\noom_kill 5\n");
        env_wait_signal(env, "GroupOom", "/web/api", 1);
        now = get_watches(env);
        (void)wait_rescans(env, now.rescans + 1);
        (void)snprintf(path, sizeof(path), "rm -r %s/web/api/x", env->root);
        assert_int_equal(system(path), 0);
        env_wait_signal(env, "GroupRemoved", "/web/api/x", 1);
        now = get_watches(env);
        (void)wait_rescans(env, now.rescans + 1);
        assert_int_equal(env_count(env, "GroupNew", "/web/api/x"), 1);
        assert_int_equal(env_count(env, "GroupNew", "/web/api/x/y"), 1);
        assert_int_equal(env_count(env, "GroupRemoved", "/web/api/x"), 1);
        assert_int_equal(env_count(env, "GroupRemoved", "/web/api/x/y"), 1);
        assert_int_equal(env_count(env, "GroupOom", NULL), 1);
        assert_int_equal(now.complete, 0);
        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
}

const struct CMUnitTest lag_tests[] = {
        cmocka_unit_test_setup_teardown(test_lost_events, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_large_subtree, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_few_watches, env_setup, env_teardown),
};
const size_t n_lag_tests = ELEMENTSOF(lag_tests);
