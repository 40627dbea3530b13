/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A user's own instance beside the system's: into its subtree, and what lives outside of it. */

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

#include "bus-tests.h"
#include "systemd1-env.h"
#include "systemd1-names.h"
#include "util.h"

#define ALICE     1000
#define SUBTREE   "/user.slice/user-1000.slice/user@1000.service"
#define WAIT_USEC 10000000ULL

static char runtime[128], socket_path[160];

/* In the child: the user, with the environment of his login. Not on the bus of the system: one name
 * has one owner there, and the private socket does as well. */
static void become(Env *env, uid_t uid)
{
        char log[160];
        int fd;

        (void)snprintf(log, sizeof(log), "%s/user.log", env->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || setenv("XDG_RUNTIME_DIR", runtime, 1) < 0 ||
            setenv("HOME", runtime, 1) < 0 || unsetenv("XDG_CONFIG_HOME") < 0 ||
            unsetenv("DBUS_SESSION_BUS_ADDRESS") < 0 ||
            setenv("DBUS_SYSTEM_BUS_ADDRESS", env->address, 1) < 0 ||
            setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                _exit(99);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static pid_t start_user(Env *env, uid_t uid)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                become(env, uid);
                execl(env_program, "chargehandd", "--user", NULL);
                _exit(98);
        }
        return pid;
}

static int start(Env *env, const char *line)
{
        (void)snprintf(runtime, sizeof(runtime), "%s/run", env->dir);
        (void)snprintf(socket_path, sizeof(socket_path), "%s/systemd/private", runtime);
        if (!sd1_start(env, line))
                return 0;
        assert_int_equal(mkdir(runtime, 0700), 0);
        assert_int_equal(chown(runtime, ALICE, ALICE), 0);
        return 1;
}

/* It must end, and say this. */
static void expect_refusal(Env *env, uid_t uid, const char *text)
{
        _cleanup_(freep) char *said = NULL;
        char log[160], command[160];
        int status;
        pid_t pid;

        assert_int_equal(chown(runtime, uid, uid), 0);
        pid = start_user(env, uid);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void)snprintf(command, sizeof(command), "rm -rf %s/*", runtime);
        assert_int_equal(system(command), 0);
        assert_int_equal(chown(runtime, ALICE, ALICE), 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 98) {
                sd1_end(env);
                skip(); /* the program lies where others may not go */
        }
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        (void)snprintf(log, sizeof(log), "%s/user.log", env->dir);
        assert_true(read_file_at(AT_FDCWD, log, 1 << 16, &said, NULL) >= 0);
        if (!strstr(said, text))
                fail_msg("'%s' is not in '%s'", text, said);
}

static int is_up(Env *env, void *userdata)
{
        return access(socket_path, F_OK) == 0;
}

static int is_in_group(Env *env, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        char path[64], line[512];
        pid_t pid = *(pid_t *)userdata;

        (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
        (void)snprintf(line, sizeof(line), "%s" SUBTREE "/app.slice/x.scope\n",
                       strrchr(env->root, '/'));
        return read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL) >= 0 && strstr(text, line);
}

static int is_active(Env *env, void *userdata)
{
        _cleanup_(freep) char *text = NULL;

        assert_true(sd_bus_get_property_string(userdata, SD1_BUS_NAME, SD1_UNIT_PREFIX "/x_2escope",
                                               SD1_UNIT_INTERFACE, "ActiveState", NULL,
                                               &text) >= 0);
        return streq(text, "active");
}

static sd_bus *open_user_socket(void)
{
        char address[192];
        sd_bus *bus;

        (void)snprintf(address, sizeof(address), "unix:path=%s", socket_path);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, address) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static void user_calls(sd_bus *bus, const char *member, const char *types, ...)
{
        _cleanup_(reply_freep) sd_bus_message *m = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list args;

        assert_true(sd_bus_message_new_method_call(bus, &m, SD1_BUS_NAME, SD1_PATH,
                                                   SD1_MANAGER_INTERFACE, member) >= 0);
        va_start(args, types);
        assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        va_end(args);
        if (sd_bus_call(bus, m, WAIT_USEC, &error, NULL) < 0)
                fail_msg("%s: %s", member, error.message);
}

/* A process of the user somewhere else in the tree. */
static pid_t session_process(void)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(ALICE, ALICE, ALICE) < 0 || setresuid(ALICE, ALICE, ALICE) < 0)
                        _exit(1);
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)raise(SIGSTOP);
                for (;;)
                        (void)pause();
        }
        assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
        assert_int_equal(kill(pid, SIGCONT), 0);
        return pid;
}

static void test_missing(void **state)
{
        Env *env = *state;

        if (!start(env, NULL))
                skip();
        expect_refusal(env, ALICE, "Users=");
        expect_refusal(env, 0, "root has the system's instance");
        sd1_end(env);
}

static void test_outside(void **state)
{
        _cleanup_(freep) char *group = NULL;
        Env *env = *state;
        pid_t pid, first, second, other;
        char want[512];
        sd_bus *bus;

        if (!start(env, "Users=1000\n"))
                skip();
        expect_refusal(env, ALICE + 1, "Users=");
        pid = start_user(env, ALICE);
        env_wait(env, is_up, NULL);
        bus = open_user_socket();
        assert_true(sd_bus_get_property_string(bus, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                               "ControlGroup", NULL, &group) >= 0);
        (void)snprintf(want, sizeof(want), "%s" SUBTREE, strrchr(env->root, '/'));
        assert_string_equal(group, want);
        sd1_expect_group(env, pid, SUBTREE "/init.scope");

        first = session_process();
        second = session_process();
        other = sd1_sleeper(0); /* root's */
        user_calls(bus, "StartTransientUnit", SD1_START, "x.scope", "fail", 2, "PIDs", "au", 1,
                   (uint32_t)first, "Delegate", "b", 1, 0);
        env_wait(env, is_in_group, &first);
        env_wait(env, is_active, bus);
        user_calls(bus, "AttachProcessesToUnit", "ssau", "x.scope", "", 1, (uint32_t)second);
        sd1_expect_group(env, second, SUBTREE "/app.slice/x.scope");
        {
                sd_bus_error error = SD_BUS_ERROR_NULL;

                assert_true(sd_bus_call_method(bus, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                               "AttachProcessesToUnit", &error, NULL, "ssau",
                                               "x.scope", "", 1, (uint32_t)other) < 0);
                assert_string_equal(error.name, SD_BUS_ERROR_ACCESS_DENIED);
                sd_bus_error_free(&error);
                assert_false(is_in_group(env, &other));
        }
        user_calls(bus, "StopUnit", "ss", "x.scope", "replace");
        assert_int_equal(waitpid(first, NULL, 0), first);
        assert_int_equal(waitpid(second, NULL, 0), second);
        sd1_reap(other);
        sd_bus_close_unref(bus);
        {
                int status;

                assert_int_equal(kill(pid, SIGTERM), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), 0);
        }
        assert_true(access(socket_path, F_OK) < 0);
        sd1_end(env);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, env_setup, env_teardown)

const struct CMUnitTest systemd1_user_tests[] = { TEST(test_missing), TEST(test_outside) };
const size_t n_systemd1_user_tests = ELEMENTSOF(systemd1_user_tests);
