/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a program inside a group: what the parent does. The child is in spawn-child.c. */

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chargehand/spawn.h>

#include "error.h"
#include "spawn-child.h"
#include "util.h"

static const ch_spawn_options no_options = CH_SPAWN_OPTIONS_INIT;

static void start_done(SpawnStart *start)
{
        for (size_t i = 0; i < start->n_files; i++)
                free(start->files[i]);
        free(start->files);
        free(start->fds);
        (void)safe_close(start->status_fd);
        (void)safe_close(start->procs_fd);
}

static int add_file(SpawnStart *start, const char *dir, size_t length, const char *file)
{
        char **files = reallocarray(start->files, start->n_files + 1, sizeof(char *));

        if (!files)
                return -ENOMEM;
        start->files = files;
        if (length == 0)
                files[start->n_files] = strdup(file);
        else if (asprintf(&files[start->n_files], "%.*s/%s", (int)length, dir, file) < 0)
                files[start->n_files] = NULL;
        if (!files[start->n_files])
                return -ENOMEM;
        start->n_files++;
        return 0;
}

/* The places where the file may be, in order; an empty word of $PATH is the working directory. */
static int find_files(SpawnStart *start, const char *file)
{
        const char *path = strchr(file, '/') ? "" : getenv("PATH");
        int r;

        if (!path)
                path = "/bin:/usr/bin";
        for (;;) {
                size_t length = strcspn(path, ":");

                r = add_file(start, path, length, file);
                if (r < 0 || !path[length])
                        return r;
                path += length + 1;
        }
}

static int start_init(SpawnStart *start, const char *file, const ch_spawn_options *options,
                      ch_error **err)
{
        int r;

        r = find_files(start, file);
        if (r >= 0 && options->n_fds) {
                start->fds = reallocarray(NULL, options->n_fds, sizeof(*start->fds));
                r = start->fds ? 0 : -ENOMEM;
        }
        if (r < 0)
                return error_errno(err, r, file, "starting");
        for (size_t i = 0; i < options->n_fds; i++)
                start->fds[i] = options->fds[i];
        return 0;
}

/* Absolute path of the group's directory, for messages. */
static const char *group_name(int group_fd, char *buffer, size_t size)
{
        char link[64];
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", group_fd);
        n = readlink(link, buffer, size - 1);
        buffer[n > 0 ? n : 0] = '\0';
        return buffer;
}

static int is_directory(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int error_exec(const SpawnStart *start, const SpawnReport *report, ch_error **err)
{
        const char *file = start->files[report->index];
        const char *last = start->files[start->n_files - 1];
        const char *name = strrchr(last, '/') && start->n_files > 1 ? strrchr(last, '/') + 1 : last;
        int errnum = report->error;

        if ((errnum == ENOENT || errnum == ENOTDIR) && start->n_files > 1)
                return error_set(err, CH_ERROR_NO_PROGRAM, ENOENT, name,
                                 "no such program in $PATH: give its path, or install it");
        if (errnum == ENOENT && faccessat(AT_FDCWD, file, F_OK, 0) == 0)
                return error_set(err, CH_ERROR_BAD_PROGRAM, ENOENT, file,
                                 "the interpreter or loader that it names is not there");
        if (errnum == ENOENT || errnum == ENOTDIR)
                return error_set(err, CH_ERROR_NO_PROGRAM, ENOENT, file, "no such program");
        if (errnum == EACCES && is_directory(file))
                return error_set(err, CH_ERROR_BAD_PROGRAM, EACCES, file,
                                 "is a directory, not a program");
        if (errnum == EACCES)
                return error_set(err, CH_ERROR_BAD_PROGRAM, EACCES, file,
                                 "may not be executed: 'chmod +x' makes it executable, unless its "
                                 "file system is mounted noexec or a directory above is closed");
        if (errnum == ENOEXEC)
                return error_set(err, CH_ERROR_BAD_PROGRAM, ENOEXEC, file,
                                 "no program of this machine, nor a script that begins with '#!'");
        return error_set(err, CH_ERROR_BAD_PROGRAM, errnum, file, "cannot be executed: %s",
                         strerror(errnum));
}

/* What the kernel says to a clone into a group, or to a write to its cgroup.procs. */
static const struct {
        int errnum, as;
        ch_error_kind kind;
        const char *cause;
} group_errors[] = {
        {EACCES,      EACCES,     CH_ERROR_NOT_PERMITTED,
         "takes the right to write cgroup.procs of it, and of the group above both it and the "
          "caller's own: "
          "start from inside the delegated subtree, or as root"                                     },
        { EPERM,      EACCES,     CH_ERROR_NOT_PERMITTED,
         "takes the right to write its cgroup.procs: start as its owner, or as root"                },
        { ENODEV,     ENODEV,     CH_ERROR_NO_SUCH_GROUP, "the group is gone"                       },
        { ENOENT,     ENODEV,     CH_ERROR_NO_SUCH_GROUP, "not a group, or the group is gone"       },
        { ENOTDIR,    ENODEV,     CH_ERROR_NO_SUCH_GROUP,
         "not a group: a directory of a cgroup2 mount is needed"                                    },
        { EBUSY,      EBUSY,      CH_ERROR_BAD_TARGET,
         "controllers are enabled for the groups below it (cgroup.subtree_control), so it cannot "
          "hold processes "
          "itself: take a group below"                                                              },
        { EAGAIN,     EAGAIN,     CH_ERROR_LIMIT_REACHED,
         "no more processes: pids.max of it or of a group above is reached, or RLIMIT_NPROC"        },
        { ENOMEM,     ENOMEM,     CH_ERROR_NO_MEMORY,     "no memory for a process"                 },
        { EOWNERDEAD, EOWNERDEAD, CH_ERROR_FAILED,        "the child was killed before it could run"},
};

static int error_group(int group_fd, int errnum, ch_error **err)
{
        _cleanup_(freep) char *type = NULL;
        char name[4096];

        (void)group_name(group_fd, name, sizeof(name));
        if (errnum == EOPNOTSUPP && read_file_at(group_fd, "cgroup.type", 64, &type, NULL) >= 0)
                return error_set(err, CH_ERROR_BAD_TARGET, EOPNOTSUPP, name,
                                 "its cgroup.type is '%.*s': it cannot hold processes from outside "
                                 "its threaded subtree; take a group of type 'domain'",
                                 (int)strcspn(type, "\n"), type);
        for (size_t i = 0; i < ELEMENTSOF(group_errors); i++)
                if (group_errors[i].errnum == errnum)
                        return error_set(err, group_errors[i].kind, group_errors[i].as, name, "%s",
                                         group_errors[i].cause);
        return error_errno(err, errnum, name, "starting a process in it");
}

static int error_report(const SpawnStart *start, const SpawnReport *report, ch_error **err)
{
        const ch_spawn_options *options = start->options;

        switch ((SpawnStep)report->step) {
        case SPAWN_GROUP:
                return error_group(start->group_fd, report->error, err);
        case SPAWN_FDS:
                return error_set(err, CH_ERROR_BAD_VALUE, report->error, NULL,
                                 "file descriptor %d cannot become %d: %s",
                                 options->fds[report->index].from, options->fds[report->index].to,
                                 strerror(report->error));
        case SPAWN_IDS:
                return error_set(err, CH_ERROR_NOT_PERMITTED, report->error, start->files[0],
                                 "cannot run as uid %u, gid %u: %s; that takes root",
                                 options->uid == UINT32_MAX ? geteuid() : options->uid,
                                 options->gid == UINT32_MAX ? getegid() : options->gid,
                                 strerror(report->error));
        case SPAWN_CWD:
                return error_set(err, CH_ERROR_BAD_VALUE, report->error, options->cwd,
                                 "cannot be the working directory: %s", strerror(report->error));
        case SPAWN_EXEC:
                return error_exec(start, report, err);
        default:
                return error_set(err, CH_ERROR_FAILED, report->error, start->files[0],
                                 "starting it failed: %s", strerror(report->error));
        }
}

/* The process, in the group already. -1 with errno; 0 in the child. */
static pid_t clone_into(int group_fd, int *ret_pidfd)
{
        struct clone_args args = {
                .flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
                .pidfd = (uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t)group_fd,
        };

        return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static pid_t fork_beside(int *ret_pidfd)
{
        pid_t pid = fork();

        if (pid > 0) {
                *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
                if (*ret_pidfd < 0)
                        *ret_pidfd = -EBADF;
        }
        return pid;
}

/* Until the child is the program (the pipe closes by itself) or says why not. 1 it said
 * SPAWN_ALIVE. */
static int read_reports(int fd, SpawnReport *ret_failure)
{
        SpawnReport report;
        int alive = 0;

        *ret_failure = (SpawnReport){ .step = SPAWN_ALIVE };
        for (;;) {
                ssize_t n = read(fd, &report, sizeof(report));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n != sizeof(report))
                        return alive;
                alive = 1;
                if (report.step != SPAWN_ALIVE)
                        *ret_failure = report;
        }
}

static void reap(pid_t pid)
{
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

/*
 * One try. 0 it runs; -errno with nothing left of it: `ret_failure` has what the child said, or
 * step SPAWN_ALIVE for what the clone itself said; -EOWNERDEAD the child never came to run.
 */
static int try_start(SpawnStart *start, ch_spawned *ret, SpawnReport *ret_failure)
{
        sigset_t all, before;
        int pipe_fds[2], pidfd = -EBADF, alive, errnum;
        pid_t pid;

        *ret_failure = (SpawnReport){ .step = SPAWN_ALIVE };
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        start->status_fd = pipe_fds[1];
        /* the caller's handlers must not run in the child */
        sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        pid = start->procs_fd < 0 ? clone_into(start->group_fd, &pidfd) : fork_beside(&pidfd);
        if (pid == 0)
                spawn_child(start);
        errnum = errno;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        start->status_fd = safe_close(start->status_fd);
        if (pid < 0) {
                (void)safe_close(pipe_fds[0]);
                return -errnum;
        }
        alive = read_reports(pipe_fds[0], ret_failure);
        (void)safe_close(pipe_fds[0]);
        if (alive && ret_failure->step == SPAWN_ALIVE) {
                *ret = (ch_spawned){ .pid = pid, .pidfd = pidfd };
                return 0;
        }
        reap(pid);
        (void)safe_close(pidfd);
        return alive ? -ret_failure->error : -EOWNERDEAD;
}

/* May the way by cgroup.procs do better? EBADF: a directory that is no group, as tests have. */
static int is_worth_a_write(int errnum)
{
        static const int errnums[] = { ENOSYS,     EINVAL, E2BIG,      EPERM,    EACCES,
                                       EOPNOTSUPP, EBADF,  EOWNERDEAD, ECANCELED };

        for (size_t i = 0; i < ELEMENTSOF(errnums); i++)
                if (errnums[i] == errnum)
                        return 1;
        return 0;
}

static int start_by_write(SpawnStart *start, int clone_errno, ch_spawned *ret,
                          SpawnReport *ret_failure)
{
        int r;

        start->procs_fd = openat(start->group_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (start->procs_fd < 0)
                return -errno;
        r = try_start(start, ret, ret_failure);
        if (r >= 0)
                ret->clone_errno = clone_errno;
        return r;
}

static int check_arguments(int group_fd, const char *file, char *const argv[],
                           const ch_spawn_options *options, ch_error **err)
{
        static const uint64_t known = CH_SPAWN_KEEP_IGNORED | CH_SPAWN_CLOSE_OTHERS |
                                      CH_SPAWN_NEW_SESSION | CH_SPAWN_NO_CLONE;

        if (!file || !*file)
                return error_set(err, CH_ERROR_NO_PROGRAM, ENOENT, NULL, "the program has no name");
        if (!argv || !argv[0])
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, file, "argv[0] is missing");
        if (options->flags & ~known)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, file, "unknown flags 0x%llx",
                                 (unsigned long long)(options->flags & ~known));
        for (size_t i = 0; i < options->n_fds; i++)
                if (options->fds[i].from < 0 || options->fds[i].to < 0)
                        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, file,
                                         "file descriptor %d cannot become %d",
                                         options->fds[i].from, options->fds[i].to);
        if (group_fd < 0 || fcntl(group_fd, F_GETFD) < 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EBADF, NULL,
                                 "file descriptor %d is not open: that of a group's directory is "
                                 "needed",
                                 group_fd);
        return 0;
}

_public_ int ch_spawn(int group_fd, const char *file, char *const argv[],
                      const ch_spawn_options *options, ch_spawned *ret, ch_error **err)
{
        _cleanup_(start_done) SpawnStart start = {
                .group_fd = group_fd,
                .procs_fd = -EBADF,
                .status_fd = -EBADF,
                .argv = argv,
                .options = options ? options : &no_options,
        };
        SpawnReport failure = { .step = SPAWN_ALIVE };
        ch_spawned spawned;
        int r;

        r = check_arguments(group_fd, file, argv, start.options, err);
        if (r >= 0)
                r = start_init(&start, file, start.options, err);
        if (r < 0)
                return r;
        r = start.options->flags & CH_SPAWN_NO_CLONE ? -ECANCELED
                                                     : try_start(&start, &spawned, &failure);
        if (r < 0 && failure.step == SPAWN_ALIVE && is_worth_a_write(-r))
                r = start_by_write(&start, -r, &spawned, &failure);
        if (r < 0 && failure.step == SPAWN_ALIVE)
                return error_group(group_fd, -r, err);
        if (r < 0)
                return error_report(&start, &failure, err);
        *ret = spawned;
        return 0;
}
