/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a program inside of a group and waits for it. */

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bus.h"
#include "program.h"

int program_open_group(Cli *cli, const char *group, int *ret_fd)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        int r = bus_new_call(cli, "OpenGroup", &call), fd;

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "s", group);
        if (r < 0)
                return bus_fail_errno(cli, r, "OpenGroup");
        r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return bus_fail_errno(cli, r, "OpenGroup");
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? bus_fail_errno(cli, -errno, "OpenGroup") : CTL_OK;
}

/* Those of the user, whose name may be unknown. */
static int find_ids(Cli *cli, ch_spawn_options *spawn, gid_t *groups, int n_max)
{
        const Options *o = &cli->options;
        const struct passwd *user = NULL;
        int n = n_max;

        if (o->given & GIVEN_UID) {
                spawn->uid = (uint32_t)o->uid;
                user = getpwuid((uid_t)o->uid);
                if (user)
                        spawn->gid = user->pw_gid;
                else if (!(o->given & GIVEN_GID))
                        return cli_fail(cli, CTL_USAGE, NULL,
                                        "--uid=%llu: no user of that number is known, so --gid is "
                                        "needed too",
                                        (unsigned long long)o->uid);
        }
        if (o->given & GIVEN_GID)
                spawn->gid = (uint32_t)o->gid;
        if (user && getgrouplist(user->pw_name, spawn->gid, groups, &n) >= 0) {
                spawn->groups = groups;
                spawn->n_groups = (size_t)n;
        }
        return CTL_OK;
}

void program_block_signals(sigset_t *ret)
{
        static const int signals[] = {
                SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2
        };

        sigemptyset(ret);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(ret, signals[i]);
        (void)sigprocmask(SIG_BLOCK, ret, NULL);
        (void)signal(SIGCHLD, SIG_DFL); /* where it is ignored there is nothing to wait for */
}

/* Ctrl-C and Ctrl-\ go to all in the foreground: the program has got them from the terminal itself.
 */
static int is_from_terminal(const siginfo_t *info)
{
        return info->si_code == SI_KERNEL &&
               (info->si_signo == SIGINT || info->si_signo == SIGQUIT);
}

static uint64_t monotonic_usec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* As sigwaitinfo(), but until then at the longest: -EAGAIN. */
static int wait_signal(const sigset_t *set, uint64_t until_usec, siginfo_t *ret)
{
        uint64_t now = until_usec == UINT64_MAX ? 0 : monotonic_usec();
        uint64_t left = until_usec > now ? until_usec - now : 0;
        struct timespec time = { .tv_sec = (time_t)(left / 1000000),
                                 .tv_nsec = (long)(left % 1000000) * 1000 };
        int r = until_usec == UINT64_MAX ? sigwaitinfo(set, ret) : sigtimedwait(set, ret, &time);

        return r < 0 ? -errno : r;
}

int program_wait(pid_t pid, const sigset_t *blocked, uint64_t until_usec, int *ret_status)
{
        int status;

        for (;;) {
                siginfo_t info;
                int signum = wait_signal(blocked, until_usec, &info);

                if (signum == -EAGAIN)
                        return 0;
                if (signum == SIGCHLD && waitpid(pid, &status, WNOHANG) == pid)
                        break;
                if (signum > 0 && signum != SIGCHLD && !is_from_terminal(&info))
                        (void)kill(pid, signum);
        }
        *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return 1;
}

static void tell_started(Cli *cli, const char *group, const ch_spawned *spawned)
{
        char why[128] = "by clone3 into it";

        if (spawned->clone_errno)
                (void)snprintf(why, sizeof(why), "by fork and a write to cgroup.procs (clone3: %s)",
                               spawned->clone_errno == EOWNERDEAD
                                       ? "killed by a flaw of this kernel"
                                       : strerror(spawned->clone_errno));
        note(cli, "%s: pid %d started %s", group, (int)spawned->pid, why);
}

int program_start(Cli *cli, const char *group, int group_fd, char **argv, pid_t *ret_pid)
{
        ch_spawn_options options = CH_SPAWN_OPTIONS_INIT;
        _cleanup_(error_freep) ch_error *error = NULL;
        gid_t groups[256];
        ch_spawned spawned;
        int r;

        options.flags = CH_SPAWN_KEEP_IGNORED;
        options.cwd = cli->options.cwd;
        r = find_ids(cli, &options, groups, ELEMENTSOF(groups));
        if (r != CTL_OK)
                return r;
        if (ch_spawn(group_fd, argv[0], argv, &options, &spawned, &error) < 0)
                return cli_fail_error(cli, error);
        if (cli->options.verbose)
                tell_started(cli, group, &spawned);
        if (spawned.pidfd >= 0)
                (void)close(spawned.pidfd);
        *ret_pid = spawned.pid;
        return CTL_OK;
}
