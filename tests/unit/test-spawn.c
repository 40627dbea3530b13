/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs started in a group that is a plain directory: by fork and write there. Arguments,
 * descriptors, signals, and every error with its kind. The way by clone3 is
 * tests/vm/cases/run.sh's. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include <chargehand/spawn.h>

#include "error.h"
#include "fake-cgroup.h"
#include "util.h"

typedef struct Fixture {
        FakeCgroup *fake;
        int group_fd;
        char dir[64];
} Fixture;

static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));
        char path[4096];

        fixture->fake = fake_new("memory");
        fake_add(fixture->fake, "/g", "memory");
        (void)snprintf(path, sizeof(path), "%s/g", fake_root(fixture->fake));
        fixture->group_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fixture->group_fd >= 0);
        (void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/test-spawn-XXXXXX");
        assert_non_null(mkdtemp(fixture->dir));
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        Fixture *fixture = *state;
        char command[128];

        (void)snprintf(command, sizeof(command), "rm -rf %s", fixture->dir);
        assert_int_equal(system(command), 0);
        (void)close(fixture->group_fd);
        fake_free(fixture->fake);
        free(fixture);
        return 0;
}

#define ARGV(...) ((char *const[]){ __VA_ARGS__, NULL })

/* What the program wrote to its standard output; its wait status in *ret_status. */
static char *output_of(const Fixture *fixture, ch_spawn_options *options, char *const argv[],
                       int *ret_status)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        char *text = calloc(1, 4096);
        ch_spawned spawned;
        int pipe_fds[2];
        size_t n = 0;
        ssize_t got;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        ch_spawn_fd fds[8] = {
                {.from = pipe_fds[1], .to = 1}
        };
        for (size_t i = 0; i < options->n_fds; i++)
                fds[i + 1] = options->fds[i];
        options->fds = fds;
        options->n_fds++;
        if (ch_spawn(fixture->group_fd, argv[0], argv, options, &spawned, &error) < 0)
                fail_msg("%s: %s", ch_error_get_path(error), ch_error_get_cause(error));
        (void)close(pipe_fds[1]);
        while ((got = read(pipe_fds[0], text + n, 4095 - n)) > 0)
                n += (size_t)got;
        (void)close(pipe_fds[0]);
        assert_int_equal(waitpid(spawned.pid, ret_status, 0), spawned.pid);
        assert_int_not_equal(spawned.clone_errno, 0);
        (void)close(spawned.pidfd);
        return text;
}

static void test_started_in_the_group(void **state)
{
        Fixture *fixture = *state;
        ch_spawn_options options = CH_SPAWN_OPTIONS_INIT;
        _cleanup_(freep) char *text = NULL, *procs = NULL;
        int status;

        options.cwd = "/";
        options.envp = ARGV((char *)"WORD=hello");
        text = output_of(fixture, &options,
                         ARGV((char *)"sh", (char *)"-c", (char *)"echo $WORD $1; pwd; exit 7",
                              (char *)"sh", (char *)"a b"),
                         &status);
        assert_string_equal(text, "hello a b\n/\n");
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
        procs = fake_get(fixture->fake, "/g", "cgroup.procs");
        assert_int_equal(procs[0], '0'); /* the child wrote itself, before it was the program */
}

/* They may exchange their numbers, and nothing else comes along. */
static void test_descriptors(void **state)
{
        Fixture *fixture = *state;
        ch_spawn_options options = CH_SPAWN_OPTIONS_INIT;
        _cleanup_(freep) char *text = NULL;
        char a[96], b[96], script[512];
        int fd_a, fd_b, stray, status;

        (void)snprintf(a, sizeof(a), "%s/a", fixture->dir);
        (void)snprintf(b, sizeof(b), "%s/b", fixture->dir);
        fd_a = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        fd_b = open(b, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        stray = open("/dev/null", O_RDONLY);
        assert_true(fd_a >= 0 && fd_b >= 0 && stray >= 0);
        options.flags = CH_SPAWN_CLOSE_OTHERS;
        options.fds = (ch_spawn_fd[]){
                {fd_a,  fd_b},
                { fd_b, fd_a}
        };
        options.n_fds = 2;
        (void)snprintf(
                script, sizeof(script),
                "readlink /proc/$$/fd/%d /proc/$$/fd/%d; test -e /proc/$$/fd/%d && echo stray; :",
                fd_a, fd_b, stray);
        text = output_of(fixture, &options, ARGV((char *)"sh", (char *)"-c", script), &status);
        (void)snprintf(script, sizeof(script), "%s\n%s\n", b, a);
        assert_string_equal(text, script);
        (void)close(fd_a);
        (void)close(fd_b);
        (void)close(stray);
}

static uint64_t ignored_signals(const char *status)
{
        const char *at = strstr(status, "SigIgn:");

        assert_non_null(at);
        return strtoull(at + strlen("SigIgn:"), NULL, 16);
}

static void test_signals(void **state)
{
        Fixture *fixture = *state;
        ch_spawn_options options = CH_SPAWN_OPTIONS_INIT, keep = CH_SPAWN_OPTIONS_INIT;
        _cleanup_(freep) char *reset = NULL, *kept = NULL;
        char *const argv[] = { (char *)"cat", (char *)"/proc/self/status", NULL };
        sigset_t blocked, before;
        int status;

        (void)signal(SIGHUP, SIG_IGN);
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        (void)sigprocmask(SIG_BLOCK, &blocked, &before);
        keep.flags = CH_SPAWN_KEEP_IGNORED;
        reset = output_of(fixture, &options, argv, &status);
        kept = output_of(fixture, &keep, argv, &status);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        (void)signal(SIGHUP, SIG_DFL);
        assert_int_equal(ignored_signals(reset) & 1, 0);
        assert_int_equal(ignored_signals(kept) & 1, 1);
        assert_non_null(strstr(kept, "SigBlk:\t0000000000000000"));
}

static void expect_error(const Fixture *fixture, const char *file, const ch_spawn_options *options,
                         int r, ch_error_kind kind, const char *path)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_spawned spawned = { .pid = -1 };

        assert_int_equal(
                ch_spawn(fixture->group_fd, file, ARGV((char *)"x"), options, &spawned, &error), r);
        assert_int_equal(ch_error_get_kind(error), kind);
        assert_string_equal(ch_error_get_path(error), path);
        assert_true(strlen(ch_error_get_cause(error)) > 0);
        assert_int_equal(spawned.pid, -1);
        /* nobody is left */
        assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void put_file(const Fixture *fixture, const char *name, const char *text, mode_t mode,
                     char *ret_path, size_t size)
{
        int fd;

        (void)snprintf(ret_path, size, "%s/%s", fixture->dir, name);
        fd = open(ret_path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        (void)close(fd);
}

static void test_errors_of_the_program(void **state)
{
        Fixture *fixture = *state;
        char plain[96], garbage[96], no_shell[96], missing[96];

        put_file(fixture, "plain", "#!/bin/sh\n", 0644, plain, sizeof(plain));
        put_file(fixture, "garbage", "garbage", 0755, garbage, sizeof(garbage));
        put_file(fixture, "no-shell", "#!/nowhere/sh\n", 0755, no_shell, sizeof(no_shell));
        (void)snprintf(missing, sizeof(missing), "%s/missing", fixture->dir);
        expect_error(fixture, "no-such-program-here", NULL, -ENOENT, CH_ERROR_NO_PROGRAM,
                     "no-such-program-here");
        expect_error(fixture, missing, NULL, -ENOENT, CH_ERROR_NO_PROGRAM, missing);
        expect_error(fixture, plain, NULL, -EACCES, CH_ERROR_BAD_PROGRAM, plain);
        expect_error(fixture, fixture->dir, NULL, -EACCES, CH_ERROR_BAD_PROGRAM, fixture->dir);
        expect_error(fixture, garbage, NULL, -ENOEXEC, CH_ERROR_BAD_PROGRAM, garbage);
        expect_error(fixture, no_shell, NULL, -ENOENT, CH_ERROR_BAD_PROGRAM, no_shell);
        assert_int_equal(ch_error_kind_to_exit(CH_ERROR_NO_PROGRAM), 127);
        assert_int_equal(ch_error_kind_to_exit(CH_ERROR_BAD_PROGRAM), 126);
}

static void test_other_errors(void **state)
{
        Fixture *fixture = *state;
        ch_spawn_options options = CH_SPAWN_OPTIONS_INIT, no_cwd = CH_SPAWN_OPTIONS_INIT,
                         no_fd = CH_SPAWN_OPTIONS_INIT;
        char group[4096];
        int fd = fixture->group_fd;

        options.flags = 1ULL << 40;
        expect_error(fixture, "true", &options, -EINVAL, CH_ERROR_BAD_VALUE, "true");
        no_cwd.cwd = "/no/such/directory";
        expect_error(fixture, "true", &no_cwd, -ENOENT, CH_ERROR_BAD_VALUE, no_cwd.cwd);
        no_fd.fds = &(ch_spawn_fd){ .from = 999, .to = 5 };
        no_fd.n_fds = 1;
        expect_error(fixture, "true", &no_fd, -EBADF, CH_ERROR_BAD_VALUE, "");
        (void)snprintf(group, sizeof(group), "%s/g", fake_root(fixture->fake));
        fake_set(fixture->fake, "/g", "cgroup.procs", NULL);
        expect_error(fixture, "true", NULL, -ENODEV, CH_ERROR_NO_SUCH_GROUP, group);
        fixture->group_fd = 999;
        expect_error(fixture, "true", NULL, -EBADF, CH_ERROR_BAD_VALUE, "");
        fixture->group_fd = fd;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_started_in_the_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
                cmocka_unit_test_setup_teardown(test_errors_of_the_program, setup, teardown),
                cmocka_unit_test_setup_teardown(test_other_errors, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
