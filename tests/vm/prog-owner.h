/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROG_OWNER_H
#define PROG_OWNER_H

/*
 * Plays owner-scenarios.txt: processes that share address spaces in every way that clone(2) knows,
 * moved, exiting and executing, and after each step the question of who pays for the next page. The
 * kernel's answer is where fresh pages are charged; with --bus the daemon's GetOwner is asked
 * beside it, and must say the same.
 *
 *     prog-owner-actor.c   the processes: each does as it is told through a pipe
 *     prog-owner-look.c    whom the kernel charges: kpagecgroup and memory.current
 *     prog-owner-bus.c     what the daemon says
 *     prog-owner.c         the script: a table of verbs
 */

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "util.h"

#define TOUCH_BYTES  (UINT64_C(8) << 20)
#define SPARSE_PAGES 1024 /* each in a page table of its own: 4 MiB of tables */
#define N_ACTORS     6
#define N_GROUPS     6
#define WAIT_USEC    (UINT64_C(60) * 1000000)

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- prog-owner-actor.c ---- */
typedef enum Op {
        OP_CLEAR,
        OP_TOUCH,
        OP_WRITE,
        OP_PIN,
        OP_SPARSE,
        OP_AREA,
        OP_CLONE,
        OP_EXEC,
        OP_EXIT,
        OP_LEAVE
} Op;
typedef enum Kind {
        KIND_FORK,
        KIND_INTO,
        KIND_CHILD,
        KIND_SIBLING,
        KIND_STRANGER,
        KIND_VFORK,
        KIND_THREAD,
        KIND_MAX_
} Kind;
typedef struct Command {
        Op op;
        Kind kind;       /* OP_CLONE */
        int slot, group; /* OP_CLONE: who it becomes, and where for KIND_INTO */
} Command;
typedef struct Reply {
        int r; /* -errno */
        pid_t pid, tid;
        uint64_t address; /* of the area */
} Reply;
/* Ends of the pipes of an actor. */
typedef struct Channel {
        int command[2], reply[2];
} Channel;
extern Channel channels[N_ACTORS];
int actor_main(void *slot);

/* --- prog-owner-look.c ---- */
extern const char *const group_names[N_GROUPS]; /* "root", then groups below /o */
int group_find(const char *name);               /* ends the program where there is none */
void groups_make(void);
int group_open(int group);
void group_attach(int group, pid_t pid);
/* memory.current of each; 0 of the root, which has none. */
void groups_read(uint64_t ret[N_GROUPS]);
/* The group that at least nine tenths of the pages are charged to; -1: none. `tid` may be a thread.
 */
int pages_payer(pid_t tid, uint64_t address, uint64_t bytes);
/* Which grew by most of `bytes` between the two; 0, the root: none below it did. -1: several. */
int growth_payer(const uint64_t before[N_GROUPS], const uint64_t after[N_GROUPS], uint64_t bytes);

/* --- prog-owner-bus.c ---- */
typedef struct Answer {
        pid_t owner;
        char group[64], source[16];
} Answer;
void bus_open(void);
/* Asks until the group is the one wanted, or the time is over; what was said last. */
void bus_owner(pid_t pid, const char *group, Answer *ret);
void bus_move(pid_t pid, const char *group);
/* Waits for the signal; 0 where it does not come. */
int bus_saw_change(pid_t from, pid_t to, const char *cause);

#endif
