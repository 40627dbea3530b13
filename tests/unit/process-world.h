/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TEST_PROCESS_WORLD_H
#define CH_TEST_PROCESS_WORLD_H

/*
 * A small world of processes that does as the kernel does, with lists that it walks from end to end: what the mm registry
 * must say, and the source it reads. Processes are named by pid; pid 1 is there from the start.
 */

#include <sched.h>

#include <chargehand/registry.h>

enum { WORLD_PIDS = 128, WORLD_GROUPS = 8, WORLD_LOG = 4096 };

typedef struct WorldMm {
        pid_t owner;            /* 0: free */
        unsigned n_users;
        uint64_t key, last_group_id;
        uint64_t registry_id;   /* what the registry calls it; 0 not asked yet */
} WorldMm;

typedef struct WorldProcess {
        int lives, is_reaper;
        pid_t parent;
        pid_t children[WORLD_PIDS]; /* in the order of the kernel's list */
        size_t n_children;
        uint64_t start_ticks, group_id;
        int mm;                 /* index; -1 a kernel thread */
} WorldProcess;

typedef struct WorldChange {
        pid_t from, to;
        ch_owner_cause cause;
} WorldChange;

typedef struct World {
        WorldProcess processes[WORLD_PIDS + 1];
        pid_t all[WORLD_PIDS];  /* in the order of for_each_process() */
        size_t n;
        WorldMm mms[WORLD_PIDS + 1];
        pid_t last_pid;
        uint64_t last_ticks, last_key;
        unsigned per_tick, in_tick; /* processes that start within one tick */
        WorldChange changes[WORLD_LOG]; /* of owners */
        size_t n_changes;
        unsigned n_reads, n_compares;
} World;

void world_init(World *world);
ch_process_source world_source(World *world);

/* CLONE_VM, CLONE_PARENT; group_id other than 0 is CLONE_INTO_CGROUP. The pid, 0 if all are taken. */
pid_t world_fork(World *world, pid_t forker, int flags, uint64_t group_id);
/* With `key` 0 a program where nobody else has it. */
void world_exec(World *world, pid_t pid, uint64_t key);
void world_exit(World *world, pid_t pid);
void world_attach(World *world, pid_t pid, uint64_t group_id);

static inline WorldMm *world_mm(World *world, pid_t pid)
{
        return &world->mms[world->processes[pid].mm];
}

#endif
