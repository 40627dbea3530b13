/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PROCSTAT_H
#define CH_PROCSTAT_H

/* The fields of /proc/PID/stat that tell which process this is, its parent and its address space */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct ProcStat {
        pid_t pid, ppid, pgrp, session;
        char state;             /* R S D T Z X … */
        char comm[16];
        uint32_t flags;         /* PF_* of the kernel */
        uint32_t n_threads;
        uint64_t start_ticks;
        uint64_t vsize_bytes;   /* 0: no address space */
        uint64_t start_code, end_code,
                start_stack; /* 1, 1, 0 without ptrace access; fixed from exec on */
} ProcStat;

/* Pure. -EINVAL if it is not such a line. */
int procstat_parse(const char *text, size_t size, ProcStat *ret);
/* Three system calls, no stdio: it is called for each process of the host. `proc_fd` is /proc.
 * -ESRCH gone. */
int procstat_read(int proc_fd, pid_t pid, ProcStat *ret);
int procstat_is_kthread(const ProcStat *stat);
int procstat_is_zombie(const ProcStat *stat);
/* On its way out: the kernel moves it no more, but from 6.19 on its group still lists it for a while. */
int procstat_is_exiting(const ProcStat *stat);

enum { PROC_PATH_MAX = 64 };
/* "PID" SUFFIX without stdio; returns `buffer`. */
const char *proc_path(char buffer[PROC_PATH_MAX], pid_t pid, const char *suffix);
/* "PID/task/TID" SUFFIX */
const char *proc_task_path(char buffer[PROC_PATH_MAX], pid_t pid, pid_t tid, const char *suffix);

/* Calls `func` for each numeric entry of a directory such as "." or "PID/task" below `proc_fd`; a
 * return other than 0 stops and is passed on. */
typedef int (*pid_func)(pid_t pid, void *userdata);
int proc_foreach_pid(int proc_fd, const char *directory, pid_func func, void *userdata);

#endif
