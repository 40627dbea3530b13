/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kills, freezes and thaws groups, and waits until the kernel says so. */

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include <chargehand/process.h>

#include "control.h"
#include "error.h"
#include "util.h"

/* The kernel announces changes of cgroup.events at most every 10 ms and file; in between we look
 * ourselves. */
#define LOOK_AGAIN_MSEC 10

int control_check_not_self(ch_tree *tree, const char *path, const char *verb, ch_error **err)
{
        _cleanup_(freep) char *own = NULL;

        if (ch_tree_path_of_pid(tree, getpid(), &own, NULL) < 0 || !ch_path_is_below(own, path))
                return 0;
        return error_set(err, CH_ERROR_BAD_TARGET, 0, path,
                         "chargehandd itself is in '%s': it will not %s itself", own, verb);
}

typedef int (*reached_func)(const ch_group_state *state);

static int is_empty(const ch_group_state *state)
{
        return !state->populated;
}

static int is_frozen(const ch_group_state *state)
{
        return state->frozen;
}

static int is_thawed(const ch_group_state *state)
{
        return !state->frozen;
}

/* 1 reached, 0 the time is over. A group that is gone meanwhile is an error for the caller to
 * judge. */
static int wait_for(ch_group *group, reached_func reached, uint64_t deadline_usec, ch_error **err)
{
        for (;;) {
                ch_group_state state = { 0 };
                int r, done;

                r = ch_group_read_state(group, &state, err);
                if (r < 0)
                        return r;
                done = reached(&state);
                ch_group_state_done(&state);
                if (done)
                        return 1;
                if (now_usec() >= deadline_usec)
                        return 0;
                (void)poll(NULL, 0, LOOK_AGAIN_MSEC);
        }
}

static int signal_one(const ch_process *process, int signum)
{
        if (process->flags & (CH_PROCESS_ZOMBIE | CH_PROCESS_EXITED))
                return 0;
        if (process->pidfd >= 0)
                return (int)syscall(SYS_pidfd_send_signal, process->pidfd, signum, NULL, 0) < 0
                               ? -errno
                               : 0;
        if (!ch_process_is_alive(process))
                return 0;
        return kill(process->pid, signum) < 0 ? -errno : 0;
}

/* One pass over the members: how many were there, or an error. */
static int signal_members(ch_group *group, int signum, uint32_t only_uid, ch_error **err)
{
        ch_procset *set = NULL;
        int n = 0, r;

        r = ch_procset_new(&set);
        if (r >= 0)
                r = ch_procset_add_group(set, group, 1, err);
        for (size_t i = 0; r >= 0 && i < ch_procset_size(set); i++) {
                const ch_process *process = ch_procset_get(set, i);

                if (only_uid != UINT32_MAX && process->uid != only_uid)
                        r = error_set(err, CH_ERROR_NOT_PERMITTED, 0, ch_group_get_path(group),
                                      "process %d (%s) runs as uid %u: only root may signal it",
                                      (int)process->pid, process->comm, process->uid);
                else
                        r = signal_one(process, signum);
                if (r == -ESRCH)
                        r = 0;
                n++;
        }
        ch_procset_free(set);
        return r < 0 ? r : n;
}

static int kill_all(ch_group *group, uint32_t only_uid, uint64_t deadline_usec, ch_error **err)
{
        int r = -ENOENT;

        if (only_uid == UINT32_MAX)
                r = ch_group_write_file(group, "cgroup.kill", "1", NULL);
        if (r < 0) {
                /* forks outrun a single pass */
                do {
                        r = signal_members(group, SIGKILL, only_uid, err);
                        if (r > 0)
                                (void)poll(NULL, 0, 1);
                } while (r > 0 && now_usec() < deadline_usec);
                if (r < 0)
                        return r;
        }
        r = wait_for(group, is_empty, deadline_usec, err);
        if (r == -ENODEV)
                return 0;
        if (r != 0)
                return r < 0 ? r : 0;
        return error_set(err, CH_ERROR_TIMED_OUT, 0, ch_group_get_path(group),
                         "killed, but processes are still there: they wait in the kernel, or their "
                         "parents do not reap them");
}

int control_kill(ch_tree *tree, const char *path, int signum, uint32_t only_uid,
                 uint64_t timeout_usec, ch_error **err)
{
        uint64_t deadline_usec = now_usec() + timeout_usec;
        ch_group *group;
        int r;

        if (signum < 1 || signum > SIGRTMAX)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, path, "signal %d: takes 1 to %d",
                                 signum, SIGRTMAX);
        r = control_check_not_self(tree, path, "signal", err);
        if (r >= 0)
                r = ch_tree_open_group(tree, path, &group, err);
        if (r < 0)
                return r;
        if (signum == SIGKILL)
                r = kill_all(group, only_uid, deadline_usec, err);
        else
                r = signal_members(group, signum, only_uid, err);
        ch_group_unref(group);
        return r < 0 ? r : 0;
}

int control_freeze(ch_tree *tree, const char *path, int freeze, uint64_t timeout_usec,
                   ch_error **err)
{
        uint64_t deadline_usec = now_usec() + timeout_usec;
        ch_group *group;
        int r;

        r = freeze ? control_check_not_self(tree, path, "freeze", err) : 0;
        if (r >= 0)
                r = ch_tree_open_group(tree, path, &group, err);
        if (r < 0)
                return r;
        r = ch_group_write_file(group, "cgroup.freeze", freeze ? "1" : "0", err);
        if (r >= 0)
                r = wait_for(group, freeze ? is_frozen : is_thawed, deadline_usec, err);
        if (r == 0 && freeze) {
                (void)ch_group_write_file(group, "cgroup.freeze", "0", NULL);
                r = error_set(err, CH_ERROR_TIMED_OUT, 0, path,
                              "not all processes stopped in time (some wait in the kernel): thawed "
                              "again");
        } else if (r == 0) {
                r = error_set(err, CH_ERROR_TIMED_OUT, 0, path,
                              "still frozen: thaw the group above that is frozen");
        }
        ch_group_unref(group);
        return r < 0 ? r : 0;
}
