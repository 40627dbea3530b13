/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_SPAWN_CHILD_H
#define CH_LIB_SPAWN_CHILD_H

/* Parent and child of ch_spawn(). The child shares no memory with the parent, but may be the copy of one thread of
 * many: it does nothing but system calls on what was prepared for it. */

#include <chargehand/spawn.h>

typedef enum SpawnStep {
        SPAWN_ALIVE, /* not a failure: the kernel lets the child run */
        SPAWN_GROUP,
        SPAWN_FDS,
        SPAWN_SESSION,
        SPAWN_IDS,
        SPAWN_CWD,
        SPAWN_EXEC,
} SpawnStep;

/* What the child writes to the pipe, which closes by itself when it becomes the program. */
typedef struct SpawnReport {
        int step, error;
        size_t index; /* SPAWN_FDS: of options->fds; SPAWN_EXEC: of files */
} SpawnReport;

typedef struct SpawnStart {
        int group_fd;
        int procs_fd; /* cgroup.procs, for a child that is not in the group yet; else -EBADF */
        int status_fd;
        char **files; /* to be tried in order */
        size_t n_files;
        char *const *argv;
        const ch_spawn_options *options;
        ch_spawn_fd *fds; /* a copy of options->fds for the child to work on */
} SpawnStart;

_Noreturn void spawn_child(SpawnStart *start);

#endif
