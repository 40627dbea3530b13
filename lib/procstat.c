/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parser of /proc/PID/stat and the walk over numeric directories of /proc, with few system calls. */

#include <fcntl.h>
#include <sys/syscall.h>

#include "procstat.h"
#include "util.h"

enum {
        FIELD_STATE = 3,
        FIELD_PPID,
        FIELD_PGRP,
        FIELD_SESSION,
        FIELD_FLAGS = 9,
        FIELD_N_THREADS = 20,
        FIELD_START = 22,
        FIELD_VSIZE,
        FIELD_START_CODE = 26,
        FIELD_END_CODE,
        FIELD_START_STACK,
        FIELD_END_,
};

/* include/linux/sched.h; part of what /proc/PID/stat shows since 2.6 */
#define PF_EXITING 0x00000004u
#define PF_KTHREAD 0x00200000u

/* From linux/dirent.h, which user space headers do not export. */
typedef struct Dirent64 {
        uint64_t ino;
        int64_t off;
        uint16_t reclen;
        uint8_t type;
        char name[];
} Dirent64;

/* Numbers from field 4 on, blank separated; the sign of the few signed ones does not matter to us.
 */
static int parse_fields(const char *p, const char *end, uint64_t values[FIELD_END_])
{
        for (int field = FIELD_PPID; field < FIELD_END_; field++) {
                uint64_t value = 0;

                while (p < end && (*p == ' ' || *p == '-'))
                        p++;
                if (p >= end || *p < '0' || *p > '9')
                        return -EINVAL;
                for (; p < end && *p >= '0' && *p <= '9'; p++)
                        value = value * 10 + (uint64_t)(*p - '0');
                values[field] = value;
        }
        return 0;
}

int procstat_parse(const char *text, size_t size, ProcStat *ret)
{
        uint64_t v[FIELD_END_] = {};
        const char *open = memchr(text, '(', size), *close, *rest;
        ProcStat stat = {};
        uint64_t pid;
        size_t n;

        /* comm is free text and may hold brackets: the last one closes it */
        close = memrchr(text, ')', size);
        if (!open || !close || close < open || close + 4 > text + size)
                return -EINVAL;
        if (parse_u64(text, &pid, &rest) < 0 || parse_fields(close + 3, text + size, v) < 0)
                return -EINVAL;

        n = (size_t)(close - open - 1);
        memcpy(stat.comm, open + 1, n < sizeof(stat.comm) - 1 ? n : sizeof(stat.comm) - 1);
        stat.pid = (pid_t)pid;
        stat.state = close[2];
        stat.ppid = (pid_t)v[FIELD_PPID];
        stat.pgrp = (pid_t)v[FIELD_PGRP];
        stat.session = (pid_t)v[FIELD_SESSION];
        stat.flags = (uint32_t)v[FIELD_FLAGS];
        stat.n_threads = (uint32_t)v[FIELD_N_THREADS];
        stat.start_ticks = v[FIELD_START];
        stat.vsize_bytes = v[FIELD_VSIZE];
        stat.start_code = v[FIELD_START_CODE];
        stat.end_code = v[FIELD_END_CODE];
        stat.start_stack = v[FIELD_START_STACK];
        *ret = stat;
        return 0;
}

int procstat_read(int proc_fd, pid_t pid, ProcStat *ret)
{
        char path[PROC_PATH_MAX], text[1024];
        ssize_t n;
        int fd, r;

        fd = openat(proc_fd, proc_path(path, pid, "/stat"), O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, text, sizeof(text));
        r = n < 0 ? -errno : procstat_parse(text, (size_t)n, ret);
        (void)close(fd);
        return n == 0 ? -ESRCH : r;
}

int procstat_is_kthread(const ProcStat *stat)
{
        return (stat->flags & PF_KTHREAD) != 0;
}

int procstat_is_zombie(const ProcStat *stat)
{
        return stat->state == 'Z' || stat->state == 'X';
}

int procstat_is_exiting(const ProcStat *stat)
{
        return procstat_is_zombie(stat) || (stat->flags & PF_EXITING && stat->n_threads <= 1);
}

static char *append_number(char *p, uint64_t value)
{
        char digits[24];
        int n = 0;

        do {
                digits[n++] = (char)('0' + value % 10);
                value /= 10;
        } while (value);
        while (n > 0)
                *p++ = digits[--n];
        return p;
}

const char *proc_path(char buffer[PROC_PATH_MAX], pid_t pid, const char *suffix)
{
        char *p = append_number(buffer, (uint64_t)pid);

        (void)stpncpy(p, suffix, (size_t)(buffer + PROC_PATH_MAX - p));
        buffer[PROC_PATH_MAX - 1] = '\0';
        return buffer;
}

const char *proc_task_path(char buffer[PROC_PATH_MAX], pid_t pid, pid_t tid, const char *suffix)
{
        char *p = append_number(buffer, (uint64_t)pid);

        p = append_number(stpcpy(p, "/task/"), (uint64_t)tid);
        (void)stpncpy(p, suffix, (size_t)(buffer + PROC_PATH_MAX - p));
        buffer[PROC_PATH_MAX - 1] = '\0';
        return buffer;
}

static int foreach_entry(const char *buffer, size_t size, pid_func func, void *userdata)
{
        for (size_t at = 0; at < size;) {
                const Dirent64 *entry = (const Dirent64 *)(buffer + at);
                uint64_t pid;
                int r;

                at += entry->reclen;
                if (parse_u64(entry->name, &pid, NULL) < 0)
                        continue;
                r = func((pid_t)pid, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

int proc_foreach_pid(int proc_fd, const char *directory, pid_func func, void *userdata)
{
        _cleanup_(closep) int fd = -EBADF;
        char buffer[32768] __attribute__((aligned(8)));

        fd = openat(proc_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        for (;;) {
                long n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
                int r;

                if (n < 0)
                        return errno == ENOENT ? -ESRCH : -errno;
                if (n == 0)
                        return 0;
                r = foreach_entry(buffer, (size_t)n, func, userdata);
                if (r != 0)
                        return r;
        }
}
