/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The face on a real hierarchy, for tests. */

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

#include "names.h"
#include "systemd1-env.h"
#include "systemd1-names.h"
#include "util.h"

#define UNIFIED   "/sys/fs/cgroup/unified"
#define WAIT_USEC 10000000ULL

static char root[128], config[160];

int sd1_start(Env *env, const char *runtime)
{
        static unsigned serial;
        char path[128];
        FILE *file;

        (void)snprintf(root, sizeof(root), UNIFIED "/chargehand-test-%d-%u", (int)getpid(),
                       serial++);
        if (getuid() != 0 || mkdir(root, 0755) < 0)
                return 0;
        env->root = root;
        (void)snprintf(path, sizeof(path), "%s/runtime.conf", env->dir);
        (void)snprintf(config, sizeof(config), "--config=%s", path);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fprintf(file, "[Runtime]\nSystemd1=yes\nPrivateSocket=no\n%s",
                            runtime ? runtime : "") > 0);
        assert_int_equal(fclose(file), 0);
        env_listen(env, SD1_BUS_NAME);
        env_start_daemon(env, config, NULL);
        return 1;
}

void sd1_start_again(Env *env)
{
        env_start_daemon(env, config, NULL);
}

void sd1_end(Env *env)
{
        char command[256];

        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
        (void)snprintf(command, sizeof(command), "find %s -depth -type d -exec rmdir {} \\;", root);
        assert_int_equal(system(command), 0);
        env->root = fake_root(env->fake);
}

const char *sd1_path(Env *env, const char *group)
{
        static char buffers[4][512];
        static unsigned next;
        char *buffer = buffers[next++ % 4];

        (void)snprintf(buffer, sizeof(buffers[0]), "%s%s", env->root, group);
        return buffer;
}

int sd1_exists(Env *env, const char *group)
{
        return access(sd1_path(env, group), F_OK) == 0;
}

char *sd1_read(Env *env, const char *file)
{
        char *text = NULL;

        return read_file_at(AT_FDCWD, sd1_path(env, file), 1 << 20, &text, NULL) < 0 ? NULL : text;
}

static sd_bus_message *new_call(Env *env, const char *member, const char *types, va_list args)
{
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(env->client, &m, SD1_BUS_NAME, SD1_PATH,
                                                   SD1_MANAGER_INTERFACE, member) >= 0);
        if (types)
                assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        return m;
}

static sd_bus_message *answer(Env *env, sd_bus_message *m)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;

        if (sd_bus_call(env->client, m, WAIT_USEC, &error, &reply) < 0)
                fail_msg("%s: %s: %s", sd_bus_message_get_member(m), error.name, error.message);
        sd_bus_message_unref(m);
        return reply;
}

sd_bus_message *sd1_call(Env *env, const char *member, const char *types, ...)
{
        sd_bus_message *m;
        va_list args;

        va_start(args, types);
        m = new_call(env, member, types, args);
        va_end(args);
        return answer(env, m);
}

void sd1_do(Env *env, const char *member, const char *types, ...)
{
        sd_bus_message *m;
        va_list args;

        va_start(args, types);
        m = new_call(env, member, types, args);
        va_end(args);
        sd_bus_message_unref(answer(env, m));
}

void sd1_fails(Env *env, const char *name, const char *text, const char *member, const char *types,
               ...)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m;
        va_list args;

        va_start(args, types);
        m = new_call(env, member, types, args);
        va_end(args);
        if (sd_bus_call(env->client, m, WAIT_USEC, &error, NULL) >= 0)
                fail_msg("%s did not fail with %s", member, name);
        assert_string_equal(error.name, name);
        if (text)
                assert_string_equal(error.message, text);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
}

/* In a process of its own: what it says goes to the pipe. */
static void call_as(Env *env, uid_t uid, int fd, const char *member, const char *types,
                    va_list args)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        sd_bus *bus = NULL;
        const char *said = "done";

        if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 || sd_bus_new(&bus) < 0 ||
            sd_bus_set_address(bus, env->address) < 0 || sd_bus_set_bus_client(bus, 1) < 0 ||
            sd_bus_start(bus) < 0 ||
            sd_bus_message_new_method_call(bus, &m, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                           member) < 0 ||
            (types && sd_bus_message_appendv(m, types, args) < 0))
                said = "no call could be made";
        else if (sd_bus_call(bus, m, WAIT_USEC, &error, NULL) < 0)
                said = error.name;
        (void)!write(fd, said, strlen(said));
}

void sd1_as(Env *env, uid_t uid, const char *error, const char *member, const char *types, ...)
{
        char said[128] = "";
        int pipe_fds[2];
        va_list args;
        pid_t pid;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                va_start(args, types);
                call_as(env, uid, pipe_fds[1], member, types, args);
                va_end(args);
                _exit(0);
        }
        (void)close(pipe_fds[1]);
        assert_true(read(pipe_fds[0], said, sizeof(said) - 1) > 0);
        (void)close(pipe_fds[0]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_string_equal(said, error ? error : "done");
}

uint32_t sd1_job(Env *env, const char *member, const char *types, ...)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        sd_bus_message *m;
        const char *path;
        va_list args;
        uint32_t id;

        va_start(args, types);
        m = new_call(env, member, types, args);
        va_end(args);
        reply = answer(env, m);
        assert_true(sd_bus_message_read(reply, "o", &path) > 0);
        assert_int_equal(sscanf(path, SD1_JOB_PREFIX "/%u", &id), 1);
        return id;
}

void sd1_expect_job(Env *env, uint32_t id, const char *unit, const char *result)
{
        char number[16], want[512];

        (void)snprintf(number, sizeof(number), "%u", id);
        (void)snprintf(want, sizeof(want), "%u " SD1_JOB_PREFIX "/%u %s %s", id, id, unit, result);
        env_wait_signal(env, "JobRemoved", number, 1);
        assert_int_equal(env_count(env, "JobRemoved", number), 1);
        for (size_t i = 0; i < env->n_signals; i++)
                if (streq(env->signals[i].member, "JobRemoved") &&
                    streq(env->signals[i].first, number))
                        assert_string_equal(env->signals[i].all, want);
}

void sd1_scope(Env *env, const char *name, const char *slice, pid_t pid)
{
        uint32_t id = sd1_job(env, "StartTransientUnit", SD1_START, name, "fail", 3, "PIDs", "au",
                              1, (uint32_t)pid, "Slice", "s", slice, "Delegate", "b", 1, 0);

        sd1_expect_job(env, id, name, "done");
}

void sd1_stop(Env *env, const char *name)
{
        sd1_expect_job(env, sd1_job(env, "StopUnit", "ss", name, "replace"), name, "done");
}

char *sd1_state(Env *env, const char *name)
{
        _cleanup_(reply_freep) sd_bus_message *reply =
                sd1_call(env, "ListUnitsByPatterns", "asas", 0, 1, name);
        const char *active, *sub;
        char *text;

        assert_true(sd_bus_message_enter_container(reply, 'a', "(ssssssouso)") > 0);
        if (sd_bus_message_read(reply, "(ssssssouso)", NULL, NULL, NULL, &active, &sub, NULL, NULL,
                                NULL, NULL, NULL) <= 0)
                return strdup("");
        assert_true(asprintf(&text, "%s %s", active, sub) >= 0);
        return text;
}

void sd1_expect_state(Env *env, const char *name, const char *want)
{
        _cleanup_(freep) char *state = sd1_state(env, name);

        assert_string_equal(state, want);
}

void sd1_wait_state(Env *env, const char *name, const char *want)
{
        uint64_t deadline = now_usec() + WAIT_USEC;

        for (;;) {
                _cleanup_(freep) char *state = sd1_state(env, name);

                if (streq(state, want))
                        return;
                if (now_usec() >= deadline)
                        fail_msg("%s is '%s', not '%s'", name, state, want);
                (void)poll(NULL, 0, 5);
        }
}

static pid_t start_sleeper(int deaf, uid_t uid)
{
        int is_up[2];
        char c;
        pid_t pid;

        assert_int_equal(pipe2(is_up, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (uid && (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
                            prctl(PR_SET_DUMPABLE, 1) < 0))
                        _exit(1);
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (deaf)
                        (void)signal(SIGTERM, SIG_IGN);
                (void)!write(is_up[1], "", 1);
                for (;;)
                        (void)pause();
        }
        (void)close(is_up[1]);
        assert_int_equal(read(is_up[0], &c, 1), 1);
        (void)close(is_up[0]);
        return pid;
}

pid_t sd1_sleeper(int deaf)
{
        return start_sleeper(deaf, 0);
}

pid_t sd1_sleeper_of(uid_t uid)
{
        return start_sleeper(0, uid);
}

void sd1_reap(pid_t pid)
{
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int sd1_ended(pid_t pid)
{
        int status;

        if (waitpid(pid, &status, WNOHANG) != pid)
                return 0;
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

void sd1_expect_group(Env *env, pid_t pid, const char *want)
{
        _cleanup_(freep) char *text = NULL;
        char path[64], line[512];

        (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
        (void)snprintf(line, sizeof(line), "0::%s%s\n", env->root + strlen(UNIFIED), want);
        assert_true(read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL) >= 0);
        if (!strstr(text, line))
                fail_msg("%s is not in %s", line, text);
}
