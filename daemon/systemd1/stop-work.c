/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of a stop that runs on a worker: signals, a short wait for those that end at once, and
 * the removal of the group. */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "start.h"
#include "stop.h"
#include "util.h"

/* How long a worker waits itself; most processes are gone by then. */
#define WAIT_MSEC 3

enum { DEPTH_MAX = 64, EVENTS_MAX = 256, PROCS_MAX = 2048, LINE_BYTES = 16 };

typedef struct Members {
        int signal, then; /* 0: none */
        int n;            /* were met */
        int *pidfds;      /* room for STOP_PIDFDS_MAX; NULL: not wanted */
        unsigned n_pidfds;
} Members;

/* By the pidfd, where there is one: the number may be another process's by now. */
static void send_one(int pidfd, pid_t pid, int signal)
{
        if (signal && pidfd >= 0)
                (void)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
        else if (signal)
                (void)kill(pid, signal);
}

static void take_one(Members *members, pid_t pid)
{
        int fd = -EBADF;

        if (pid <= 0 || pid == getpid())
                return;
        members->n++;
        if (members->pidfds && members->n_pidfds < STOP_PIDFDS_MAX) {
                fd = (int)syscall(SYS_pidfd_open, pid, 0);
                if (fd >= 0)
                        members->pidfds[members->n_pidfds++] = fd;
        }
        send_one(fd, pid, members->signal);
        send_one(fd, pid, members->then);
}

static void take_text(Members *members, const char *text)
{
        uint64_t pid;

        while (*text && parse_u64(text, &pid, &text) >= 0) {
                take_one(members, (pid_t)pid);
                text += *text == '\n';
        }
}

/* One pass over cgroup.procs. Most come whole with one read: the kernel fills the buffer as far as
 * lines fit. */
static int take_procs(Members *members, int dir_fd)
{
        _cleanup_(closep) int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        _cleanup_(freep) char *whole = NULL;
        char text[PROCS_MAX];
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        int r;

        if (n < 0)
                return -errno;
        text[n] = '\0';
        if ((size_t)n < sizeof(text) - 1 - LINE_BYTES) {
                take_text(members, text);
                return 0;
        }
        r = read_file_at(dir_fd, "cgroup.procs", 4 << 20, &whole, NULL);
        if (r >= 0)
                take_text(members, whole);
        return r;
}

static int take_tree(Members *members, int dir_fd, unsigned depth);

static void take_children(Members *members, int dir_fd, unsigned depth)
{
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!directory) {
                safe_close(fd);
                return;
        }
        while ((entry = readdir(directory))) {
                _cleanup_(closep) int child = -EBADF;

                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (child >= 0)
                        (void)take_tree(members, child, depth + 1);
        }
        (void)closedir(directory);
}

/* Groups without children, which are most, show it in their link count: no directory to be read. */
static int take_tree(Members *members, int dir_fd, unsigned depth)
{
        struct stat st;
        int r = take_procs(members, dir_fd);

        if (depth < DEPTH_MAX && fstat(dir_fd, &st) >= 0 && st.st_nlink != 2)
                take_children(members, dir_fd, depth);
        return r;
}

int stop_signal_tree(int group_fd, int signal)
{
        Members members = { .signal = signal };
        int r = take_tree(&members, group_fd, 0);

        return r < 0 ? r : members.n;
}

static int write_file(int dir_fd, const char *file, const char *text)
{
        _cleanup_(closep) int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);

        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* What cannot be read is gone. */
static int is_populated(int group_fd)
{
        char text[EVENTS_MAX];
        _cleanup_(closep) int fd = openat(group_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        if (n < 0)
                return 0;
        text[n] = '\0';
        return strstr(text, "populated 1") != NULL;
}

static uint64_t now_nsec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Until some of them end, or for so long; those that have ended are let go. */
static void wait_for_some(StopWork *work, uint64_t nsec)
{
        struct timespec limit = { .tv_nsec = (long)nsec };
        struct pollfd polls[STOP_PIDFDS_MAX];
        unsigned n = 0;

        for (unsigned i = 0; i < work->n_pidfds; i++)
                polls[i] = (struct pollfd){ .fd = work->pidfds[i], .events = POLLIN };
        if (ppoll(polls, work->n_pidfds, &limit, NULL) <= 0)
                return;
        for (unsigned i = 0; i < work->n_pidfds; i++) {
                if (polls[i].revents)
                        safe_close(work->pidfds[i]);
                else
                        work->pidfds[n++] = work->pidfds[i];
        }
        work->n_pidfds = n;
}

/* The kernel refuses while somebody is left: mostly that is all there is to ask. */
static int try_remove(StopWork *work, int group_fd)
{
        int fd = ch_tree_get_fd(work->tree);

        if (work->keep)
                return work->empty = !is_populated(group_fd);
        if (unlinkat(fd, work->path + 1, AT_REMOVEDIR) >= 0 || errno == ENOENT || errno == ENODEV) {
                work->empty = work->removed = 1;
                return 1;
        }
        if (is_populated(group_fd))
                return 0;
        /* groups below it */
        work->empty = 1;
        work->removed = start_remove_group(work->tree, work->path) >= 0;
        return 1;
}

/*
 * More than we hold pidfds of may be there: when those are gone, others are taken. From Linux 7.2
 * on a process that has ended is shown as a member for a moment more.
 */
static void wait_and_remove(StopWork *work, int group_fd)
{
        uint64_t deadline = now_nsec() + WAIT_MSEC * 1000000ULL, pause = 200000, now;

        for (;;) {
                now = now_nsec();
                while (work->n_pidfds > 0 && now < deadline) {
                        wait_for_some(work, deadline - now);
                        now = now_nsec();
                }
                if (work->n_pidfds > 0 || try_remove(work, group_fd) || now >= deadline)
                        return;
                wait_for_some(work, pause);
                pause += pause;
                if (is_populated(group_fd)) {
                        Members members = { .pidfds = work->pidfds };

                        (void)take_tree(&members, group_fd, 0);
                        work->n_pidfds = members.n_pidfds;
                }
        }
}

static void signal_all(StopWork *work, int group_fd)
{
        Members members = { .signal = work->signal,
                            .then = work->hang_up ? SIGHUP : 0,
                            .pidfds = work->pidfds };

        if (work->signal && work->signal != SIGKILL && work->signal != SIGCONT && !members.then)
                members.then = SIGCONT;
        /* cgroup.kill leaves nobody out who forks meanwhile; the pass finds whom to wait for */
        if (work->signal == SIGKILL && work->use_kill &&
            write_file(group_fd, "cgroup.kill", "1") >= 0)
                members.signal = members.then = 0;
        (void)take_tree(&members, group_fd, 0);
        if (work->hang_up && work->signal != SIGKILL)
                (void)stop_signal_tree(group_fd, SIGCONT);
        work->killed = members.n > 0;
        work->n_pidfds = members.n_pidfds;
}

void stop_work_run(StopWork *work)
{
        _cleanup_(closep) int fd = openat(ch_tree_get_fd(work->tree), work->path + 1,
                                          O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        work->n_pidfds = 0;
        work->killed = work->empty = work->removed = 0;
        if (fd < 0) {
                work->empty = work->removed = errno == ENOENT || errno == ENODEV;
                return;
        }
        if (work->only_remove) {
                work->removed = start_remove_group(work->tree, work->path) >= 0;
                work->empty = 1;
                if (!work->removed) /* what others have in it stays, and is theirs */
                        unit_mark_clear(fd);
                return;
        }
        if (work->thaw)
                (void)write_file(fd, "cgroup.freeze", "0");
        signal_all(work, fd);
        wait_and_remove(work, fd);
}
