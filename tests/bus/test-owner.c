/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetOwner and OwnerChanged, with real processes of this host: their groups are not in the fake
 * hierarchy, who shares what with whom is true. */

#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "util.h"

typedef struct Owner {
        uint32_t pid, owner, users[8];
        size_t n_users;
        uint64_t mm;
        char source[16];
        unsigned n_keys;
} Owner;

/* Two processes with one address space. */
typedef struct Pair {
        pid_t first, second; /* second is a CLONE_VM child of first */
} Pair;

static char stack[65536] __attribute__((aligned(64)));

/* Until the test program has gone: only it has the other end. */
static int lifeline[2] = { -1, -1 };

static int wait_main(void *userdata)
{
        char byte;

        (void)syscall(SYS_read, lifeline[0], &byte, 1);
        (void)syscall(SYS_exit_group, 0);
        return 0;
}

static void make_pair(Pair *ret)
{
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_true(lifeline[0] >= 0 || pipe(lifeline) == 0);
        ret->first = fork();
        if (ret->first == 0) {
                pid_t pid;

                (void)close(lifeline[1]);
                pid = clone(wait_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
                if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
                        _exit(1);
                (void)wait_main(NULL);
        }
        assert_true(ret->first > 0);
        assert_int_equal(read(fds[0], &ret->second, sizeof(pid_t)), sizeof(pid_t));
        assert_true(ret->second > 0);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void end_process(pid_t pid)
{
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
}

static void read_users(sd_bus_message *reply, Owner *owner)
{
        const uint32_t *users;
        size_t size;

        assert_true(sd_bus_message_enter_container(reply, 'v', "au") > 0);
        assert_true(sd_bus_message_read_array(reply, 'u', (const void **)&users, &size) >= 0);
        owner->n_users = size / sizeof(*users);
        assert_true(owner->n_users <= ELEMENTSOF(owner->users));
        memcpy(owner->users, users, size);
        assert_true(sd_bus_message_exit_container(reply) > 0);
}

static void read_key(sd_bus_message *reply, const char *key, Owner *owner)
{
        const char *text;

        if (streq(key, "pid"))
                assert_true(sd_bus_message_read(reply, "v", "u", &owner->pid) > 0);
        else if (streq(key, "owner"))
                assert_true(sd_bus_message_read(reply, "v", "u", &owner->owner) > 0);
        else if (streq(key, "mm"))
                assert_true(sd_bus_message_read(reply, "v", "t", &owner->mm) > 0);
        else if (streq(key, "users"))
                read_users(reply, owner);
        else {
                assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
                assert_true(streq(key, "group") || streq(key, "last_group") ||
                            streq(key, "own_group") || streq(key, "source"));
                if (streq(key, "source"))
                        (void)snprintf(owner->source, sizeof(owner->source), "%s", text);
        }
        owner->n_keys++;
}

static void get_owner(Env *env, pid_t pid, Owner *ret)
{
        _cleanup_(reply_freep) sd_bus_message *reply =
                env_call(env, "GetOwner", "u", (uint32_t)pid);
        const char *key;

        *ret = (Owner){ 0 };
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                read_key(reply, key, ret);
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        assert_int_equal(ret->n_keys, 8);
        assert_int_equal(ret->pid, pid);
}

static int is_tracked(Env *env)
{
        Owner owner;

        get_owner(env, getpid(), &owner);
        assert_true(streq(owner.source, "registry") || streq(owner.source, "kernel"));
        return streq(owner.source, "registry");
}

static void expect_pair(Env *env, const Pair *pair)
{
        Owner first, second;

        get_owner(env, pair->first, &first);
        get_owner(env, pair->second, &second);
        assert_int_equal(first.owner, pair->first);
        assert_int_equal(second.owner, pair->first);
        assert_int_equal(first.n_users, 2);
        assert_int_equal(second.n_users, 2);
        assert_true(first.mm == second.mm);
}

static void test_alone(void **state)
{
        Env *env = *state;
        Owner owner;

        env_start_daemon(env, NULL);
        get_owner(env, getpid(), &owner);
        assert_int_equal(owner.owner, getpid());
        assert_int_equal(owner.n_users, 1);
        assert_int_equal(owner.users[0], getpid());
}

static void test_errors(void **state)
{
        Env *env = *state;
        pid_t zombie;

        env_start_daemon(env, NULL);
        env_call_fails(env, "NoSuchProcess", "no process has pid 0", "GetOwner", "u", 0);
        env_call_fails(env, "NoSuchProcess", "no process has pid", "GetOwner", "u", 4194305);
        env_call_fails(env, "NoSuchProcess", "no process has pid", "GetOwner", "u", UINT32_MAX);
        zombie = fork();
        if (zombie == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t)zombie, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
        env_call_fails(env, "BadProcess", "no address space of its own", "GetOwner", "u", (uint32_t)zombie);
        (void)waitpid(zombie, NULL, 0);
        env_call_fails(env, "NoSuchProcess", "no process has pid", "GetOwner", "u",
                       (uint32_t)zombie);
}

/* The pair is there before the daemon, and another one comes later. */
static void test_shared(void **state)
{
        Env *env = *state;
        Pair before, after;

        make_pair(&before);
        env_start_daemon(env, NULL);
        expect_pair(env, &before);
        make_pair(&after);
        expect_pair(env, &after);
        end_process(before.second);
        end_process(before.first);
        end_process(after.second);
        end_process(after.first);
}

static void test_changed(void **state)
{
        Env *env = *state;
        char first[16], *all = NULL;
        Owner owner;
        Pair pair;

        env_start_daemon(env, NULL);
        if (!is_tracked(env)) {
                print_message("no process events here: nothing is tracked\n");
                skip();
        }
        make_pair(&pair);
        expect_pair(env, &pair);
        end_process(pair.first);
        (void)snprintf(first, sizeof(first), "%d", (int)pair.first);
        env_wait_signal(env, "OwnerChanged", first, 1);
        get_owner(env, pair.second, &owner);
        assert_int_equal(owner.owner, pair.second);
        assert_int_equal(owner.n_users, 1);
        assert_true(asprintf(&all, "%d %d %llu", (int)pair.first, (int)pair.second,
                             (unsigned long long)owner.mm) > 0);
        for (size_t i = 0; i < env->n_signals; i++)
                if (streq(env->signals[i].member, "OwnerChanged") &&
                    streq(env->signals[i].first, first)) {
                        assert_non_null(strstr(env->signals[i].all, all));
                        assert_non_null(strstr(env->signals[i].all, "exit"));
                }
        free(all);
        assert_int_equal(env_count(env, "OwnerChanged", first), 1);
        (void)kill(pair.second, SIGKILL);
}

/* Nothing is tracked: all is read when somebody asks, and the answer is the same. */
static void test_untracked(void **state)
{
        char path[128], argument[160];
        Env *env = *state;
        FILE *file;
        Pair pair;

        (void)snprintf(path, sizeof(path), "%s/no-tracking.conf", env->dir);
        (void)snprintf(argument, sizeof(argument), "--config=%s", path);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs("[Ownership]\nTrack=no\n", file) >= 0);
        assert_int_equal(fclose(file), 0);
        env_start_daemon(env, argument, NULL);
        assert_false(is_tracked(env));
        make_pair(&pair);
        expect_pair(env, &pair);
        end_process(pair.second);
        end_process(pair.first);
}

const struct CMUnitTest owner_tests[] = {
        cmocka_unit_test_setup_teardown(test_alone, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_errors, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_shared, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_changed, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_untracked, env_setup, env_teardown),
};
const size_t n_owner_tests = ELEMENTSOF(owner_tests);
