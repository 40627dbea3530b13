/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves of real processes between real groups, as far as the host lets us. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "real-env.h"
#include "util.h"

#define UNIFIED "/sys/fs/cgroup/unified"

int real_start(Env *env, char root[128], const char *argument)
{
        (void)snprintf(root, 128, UNIFIED "/chargehand-test-%d", (int)getpid());
        if (getuid() != 0 || mkdir(root, 0755) < 0)
                return 0;
        env->root = root;
        env_start_daemon(env, argument, NULL);
        return 1;
}

void real_end(Env *env, const char *root)
{
        char command[256];

        assert_int_equal(env_stop_daemon(env, SIGTERM), 0);
        (void)snprintf(command, sizeof(command), "find %s -depth -type d -exec rmdir {} \\;", root);
        assert_int_equal(system(command), 0);
        env->root = fake_root(env->fake);
}

pid_t real_sleeper(const char *root, const char *group, uid_t uid)
{
        char path[256], c;
        int is_up[2];
        pid_t pid;
        FILE *file;

        assert_int_equal(pipe2(is_up, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                        _exit(1);
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)!write(is_up[1], "", 1);
                for (;;)
                        (void)pause();
        }
        (void)close(is_up[1]);
        assert_int_equal(read(is_up[0], &c, 1), 1);
        (void)close(is_up[0]);
        (void)snprintf(path, sizeof(path), "%s%s/cgroup.procs", root, group);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fprintf(file, "%d", (int)pid) > 0);
        assert_int_equal(fclose(file), 0);
        return pid;
}

void real_create(Env *env, const char *path)
{
        sd_bus_message_unref(
                env_call(env, "CreateGroup", "sa{sv}a{sv}", path, 0, 1, "parents", "b", 1));
}

void real_expect_group(Env *env, pid_t pid, const char *want)
{
        _cleanup_(reply_freep) sd_bus_message *reply =
                env_call(env, "GetGroupByPID", "u", (uint32_t)pid);
        const char *path;

        assert_true(sd_bus_message_read(reply, "s", &path) > 0);
        assert_string_equal(path, want);
}

void real_kill(pid_t pid)
{
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}
