/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a program inside a group: what the child does on its way to execve(). System calls only;
 * where libc would do more than the call (setuid() talks to all threads, of which there is only one
 * here) the call itself. */

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "spawn-child.h"
#include "util.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2) /* kernel 5.11 */
#endif

/* 16-bit ids on some 32-bit machines, where these are the real ones */
#ifdef SYS_setresuid32
#define SET_UIDS   SYS_setresuid32
#define SET_GIDS   SYS_setresgid32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_UIDS   SYS_setresuid
#define SET_GIDS   SYS_setresgid
#define SET_GROUPS SYS_setgroups
#endif

extern char **environ;

static void tell(const SpawnStart *start, SpawnStep step, int error, size_t index)
{
        SpawnReport report = { .step = step, .error = error, .index = index };

        while (write(start->status_fd, &report, sizeof(report)) < 0 && errno == EINTR)
                ;
}

static _Noreturn void fail(const SpawnStart *start, SpawnStep step, size_t index)
{
        tell(start, step, errno, index);
        _exit(127);
}

static void close_others(void)
{
        struct rlimit limit = { .rlim_cur = 1024 };

        if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
                return;
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        for (int fd = 3; (rlim_t)fd < limit.rlim_cur; fd++)
                (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* First all are copied above the highest number that is asked for, then each goes to its place: in
 * whatever order, none overwrites another. */
static void place_fds(SpawnStart *start)
{
        int above = 3;

        for (size_t i = 0; i < start->options->n_fds; i++)
                if (start->fds[i].to >= above)
                        above = start->fds[i].to + 1;
        if (start->status_fd < above) {
                int fd = fcntl(start->status_fd, F_DUPFD_CLOEXEC, above);

                if (fd < 0)
                        fail(start, SPAWN_FDS, 0);
                start->status_fd = fd;
        }
        for (size_t i = 0; i < start->options->n_fds; i++) {
                start->fds[i].from = fcntl(start->fds[i].from, F_DUPFD_CLOEXEC, above);
                if (start->fds[i].from < 0)
                        fail(start, SPAWN_FDS, i);
        }
        if (start->options->flags & CH_SPAWN_CLOSE_OTHERS)
                close_others();
        for (size_t i = 0; i < start->options->n_fds; i++)
                if (dup2(start->fds[i].from, start->fds[i].to) < 0)
                        fail(start, SPAWN_FDS, i);
}

static void take_ids(const SpawnStart *start)
{
        const ch_spawn_options *o = start->options;
        int groups = o->groups || o->uid != UINT32_MAX;

        if ((groups && syscall(SET_GROUPS, o->groups ? o->n_groups : 0, o->groups) < 0) ||
            (o->gid != UINT32_MAX && syscall(SET_GIDS, o->gid, o->gid, o->gid) < 0) ||
            (o->uid != UINT32_MAX && syscall(SET_UIDS, o->uid, o->uid, o->uid) < 0))
                fail(start, SPAWN_IDS, 0);
}

/* execve() gives every handler up by itself; what is ignored would stay so. */
static void reset_signals(const SpawnStart *start)
{
        struct sigaction action = { .sa_handler = SIG_DFL };
        int keep = (start->options->flags & CH_SPAWN_KEEP_IGNORED) != 0;
        sigset_t none;

        for (int i = 1; i < NSIG; i++) {
                struct sigaction now;

                if (sigaction(i, NULL, &now) < 0 || now.sa_handler == SIG_DFL ||
                    (keep && now.sa_handler == SIG_IGN))
                        continue;
                (void)sigaction(i, &action, NULL);
        }
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As a shell: the first that can be executed; a file that may not be executed is worth more telling
 * than one that is not there. */
static _Noreturn void become_program(const SpawnStart *start)
{
        char *const *envp = start->options->envp ? start->options->envp : environ;
        size_t denied = SIZE_MAX;

        for (size_t i = 0; i < start->n_files; i++) {
                (void)execve(start->files[i], start->argv, envp);
                if (errno == EACCES && start->n_files > 1) {
                        if (denied == SIZE_MAX)
                                denied = i;
                } else if (errno != ENOENT && errno != ENOTDIR) {
                        fail(start, SPAWN_EXEC, i);
                }
        }
        if (denied != SIZE_MAX)
                errno = EACCES;
        fail(start, SPAWN_EXEC, denied != SIZE_MAX ? denied : start->n_files - 1);
}

void spawn_child(SpawnStart *start)
{
        if (start->procs_fd >= 0 && write(start->procs_fd, "0", 1) != 1)
                fail(start, SPAWN_GROUP, 0);
        tell(start, SPAWN_ALIVE, 0, 0);
        if (start->options->flags & CH_SPAWN_NEW_SESSION && setsid() < 0)
                fail(start, SPAWN_SESSION, 0);
        place_fds(start);
        take_ids(start);
        if (start->options->cwd && chdir(start->options->cwd) < 0)
                fail(start, SPAWN_CWD, 0);
        reset_signals(start);
        become_program(start);
}
