/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_SPAWN_H
#define CHARGEHAND_SPAWN_H

/*
 * Starts a program straight inside a group: clone3(CLONE_INTO_CGROUP) makes the process there, so it never
 * was anywhere else, all it uses is charged to the group from its first instruction on, and nothing waits
 * for the kernel's migration lock (on an idle host 60 µs instead of 16 ms). Where the kernel cannot do
 * that, a forked child writes itself to the group's cgroup.procs before it becomes the program.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <chargehand/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* File descriptor `from` of the caller becomes `to` in the program, without O_CLOEXEC. */
typedef struct ch_spawn_fd {
        int from, to;
} ch_spawn_fd;

enum {
        CH_SPAWN_KEEP_IGNORED = 1 << 0, /* signals that the caller ignores stay ignored (nohup); else all signals
                                           have their default action. The signal mask is empty in any case */
        CH_SPAWN_CLOSE_OTHERS = 1 << 1, /* only 0, 1, 2 and those of `fds` stay open; else what is not O_CLOEXEC */
        CH_SPAWN_NEW_SESSION  = 1 << 2, /* setsid(2) */
        CH_SPAWN_NO_CLONE     = 1 << 3, /* fork and write, also where the kernel can do better */
};

typedef struct ch_spawn_options {
        uint64_t flags;         /* CH_SPAWN_*; unknown ones are -EINVAL */
        const char *cwd;        /* working directory; NULL: the caller's */
        char *const *envp;      /* environment, ended by NULL; NULL: the caller's */
        const ch_spawn_fd *fds; /* may exchange numbers with each other */
        size_t n_fds;
        uint32_t uid, gid;      /* to run as; UINT32_MAX: the caller's */
        const gid_t *groups;    /* supplementary groups; NULL: the caller's, none where a uid is given */
        size_t n_groups;
} ch_spawn_options;

#define CH_SPAWN_OPTIONS_INIT { .uid = UINT32_MAX, .gid = UINT32_MAX }

typedef struct ch_spawned {
        pid_t pid;              /* a child of the caller, who must wait for it */
        int pidfd;              /* O_CLOEXEC, the caller closes it; -EBADF where the kernel has none (before 5.3) */
        int clone_errno;        /* 0: made in the group by clone3. Else why it was a fork and a write: ENOSYS, EINVAL
                                   (kernel before 5.7), EPERM (seccomp), ECANCELED (asked for, by CH_SPAWN_NO_CLONE),
                                   EOWNERDEAD (the kernel killed the clone: see below), … */
} ch_spawned;

/*
 * Start `file` (looked up in the caller's $PATH if it has no slash; no shell is tried for a file without an
 * interpreter line) with `argv`, ended by NULL, in the group whose directory `group_fd` is: ch_group_get_fd(),
 * what OpenGroup of the bus gave, any fd of the directory. `options` may be NULL.
 *
 * Returns 0 once the program runs: what goes wrong up to and including execve(2) is an error of this call, and
 * no child is left then. Blocks as long as execve does, for the fork and write up to some tens of ms, and in a
 * frozen group until somebody thaws it. Any
 * thread; needs no state of the caller's but that nobody else waits for the child (wait(-1), SIGCHLD ignored:
 * then errors are still told, but the pid may be gone).
 *
 * Errors, on which nothing has changed (negative errno, kind, path):
 *   -ENOENT   NO_PROGRAM, file: no such program
 *   -EACCES, -ENOEXEC, -ENOENT…  BAD_PROGRAM, file: there, but cannot be executed; its interpreter is missing
 *   -ENOTDIR, -ENOENT, -EACCES   BAD_VALUE, cwd: not a directory that the program may enter
 *   -EBADF    BAD_VALUE: an fd of `fds` is not open, or `group_fd` is not
 *   -EPERM    NOT_PERMITTED: uid, gid or groups without the right to take them on
 *   -EACCES   NOT_PERMITTED, the group: cgroup.procs of it, or of the group above both it and the caller's own,
 *             belongs to somebody else
 *   -ENODEV   NO_SUCH_GROUP: it is gone, or the fd is no group
 *   -EBUSY    BAD_TARGET: controllers are enabled for its children, so it cannot hold processes
 *   -EOPNOTSUPP BAD_TARGET: it is 'domain invalid' or threaded (cgroup.type)
 *   -EAGAIN   LIMIT_REACHED: pids.max of the group or of one above, or RLIMIT_NPROC
 *   -EINVAL   BAD_VALUE: an unknown flag, no argv[0], a negative fd
 *
 * On some kernels (6.18.44 seen) a clone into a group that saw another number of cgroup.kill than the caller's
 * own group is killed before it runs. That is noticed, and done again by fork and write (EOWNERDEAD).
 */
int ch_spawn(int group_fd, const char *file, char *const argv[], const ch_spawn_options *options,
             ch_spawned *ret, ch_error **err);

#ifdef __cplusplus
}
#endif
#endif
