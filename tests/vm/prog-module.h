/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROG_MODULE_H
#define PROG_MODULE_H

/*
 * What the programs that try the kernel module have in common:
 *
 *     prog-module-device.c   the three commands, and pidfds
 *     prog-module-group.c    groups, and exact pictures of their accounts
 *     prog-module-shape.c    processes that hold memory of a known kind and know what is in it
 *
 *     prog-module-move.c     each kind of memory there and back: accounts exact to the page
 *     prog-module-limits.c   limits, budgets, ranges
 *     prog-module-bad.c      bad input
 *     prog-module-fuzz.c     random input
 *     prog-module-stress.c   moves beside everything else that the kernel does with memory
 *     prog-module-ask.c      one command, for shell scripts
 */

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <chargehand.h>

#include "util.h"

enum {
        PAGE = 4096,
};
#define MIB        (UINT64_C(1) << 20)
#define HUGE_BYTES (2 * MIB)

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says what is wrong and goes on; main() ends with failures() != 0. */
void failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
unsigned failures(void);

/* The kernel, as 601, 612, 702. */
int kernel_version(void);
/* The same numbers again from the same seed. */
uint64_t next_random(uint64_t *state);
/* Ignores what cannot be written. */
void write_text(const char *path, const char *text);

/* --- prog-module-device.c ---- */
int device_open(void);
int pidfd_of(pid_t pid);
/* 0 or -errno */
int device_move(int device, struct chargehand_move *move);
int device_map(int device, struct chargehand_map *map);
int device_info(int device, struct chargehand_info *info);
/* All kinds this kernel can move. */
uint32_t move_kinds(int device);
struct chargehand_move move_new(int pidfd, int from_fd, int to_fd, uint32_t kinds);
uint64_t sum_moved(const struct chargehand_move *move);
uint64_t sum_left(const struct chargehand_move *move);
void move_print(const char *what, const struct chargehand_move *move);
/* Bytes of kinds (bits) of a process that are charged to a group; -1 for all groups: UNIQUE. */
uint64_t map_bytes(int device, int pidfd, uint64_t group_id, uint32_t kinds);
#define ANON_KINDS                                                                                 \
        (CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON) | CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON_THP))
#define ANY_GROUP UINT64_MAX

/* --- prog-module-group.c ---- */
typedef struct Group {
        char path[200]; /* absolute */
        int fd;
        uint64_t id;
} Group;

/* Makes it, with the memory controller on for it; path from the root of the tree: /m/a */
Group group_new(const char *path);
/* rmdir: 0 or -errno */
int group_remove(Group *group);
void group_set(const Group *group, const char *file, const char *value);
void group_set_bytes(const Group *group, const char *file, uint64_t value);
/* A file that holds one number, "max" is UINT64_MAX; or a key of a flat-keyed one. 0 when absent. */
uint64_t group_get(const Group *group, const char *file, const char *key);
void group_add(const Group *group, pid_t pid);
/* All processes of another group; their charges stay. */
void group_add_all(const Group *group, const Group *from);
/* How many removed groups there are below the root of the tree. */
uint64_t dying_groups(void);
/* Polls until that many are left; -ETIMEDOUT. */
int wait_dying(uint64_t want);

/* Exact accounts of a group. */
typedef enum Count {
        COUNT_ANON,
        COUNT_ANON_THP,
        COUNT_FILE,
        COUNT_FILE_MAPPED,
        COUNT_FILE_DIRTY,
        COUNT_SHMEM,
        COUNT_SHMEM_THP,
        COUNT_FILE_THP,
        COUNT_SWAPCACHED,
        COUNT_ANON_LRU, /* both of its lists */
        COUNT_FILE_LRU,
        COUNT_UNEVICTABLE,
        COUNT_SWAP,
        COUNT_CURRENT, /* off by what CPUs have in stock */
        COUNTS
} Count;
extern const char *const count_names[COUNTS];

typedef struct Picture {
        int64_t bytes[COUNTS];
        int64_t kernel; /* of COUNT_CURRENT, what is the kernel's own */
        char events[512];
} Picture;

/* Groups below one parent, and a process beside them that makes the kernel add its counts up. */
typedef struct Stage {
        Group parent, a, b, poke;
        int poke_in, poke_out;
        pid_t poke_pid;
        uint64_t dying; /* before it was there */
} Stage;

void stage_open(Stage *stage, const char *path);
/* Takes it down and looks at what is left: all removed groups must go. */
void stage_close(Stage *stage);
/* Empties the CPUs' lists and adds all counts of the stage up. */
void stage_settle(Stage *stage);
/* Nothing may run in the groups meanwhile. */
void stage_picture(Stage *stage, const Group *group, Picture *ret);
/* What may be in stock, in bytes, for one group. */
int64_t stock_bytes(void);
/* Fails unless all counts are 0, with `what` in the message. */
void expect_empty(Stage *stage, const Group *group, const char *what);
/* Fails unless all is as it was. */
void expect_same(const char *what, const Picture picture[2]);
/* Fails unless what left `from` came to `to`, and nothing else changed. */
void expect_transfer(const char *what, const Picture from[2], const Picture to[2],
                     const Picture parent[2]);

/* --- prog-module-shape.c ---- */
enum {
        REGIONS = 8,
};
typedef struct Region {
        uint64_t start, bytes;
} Region;
typedef struct Regions {
        uint32_t n;
        Region region[REGIONS];
} Regions;

/* A process that holds memory of a kind. */
typedef struct Holder {
        pid_t pid;
        int pidfd;
        int in, out;
        Regions regions;
} Holder;

/* Makes this program a holder if its arguments say so; called first in main(). */
void shape_main(int argc, char **argv);
/* Starts one in the group. -EOPNOTSUPP: this kernel or machine has no such memory. */
int holder_start(Holder *holder, const Group *group, const char *shape, uint64_t bytes);
/* Does the shape's second step, such as paging out. */
void holder_step(Holder *holder);
/* Fails unless all of its memory holds what it should. */
void holder_check(Holder *holder, const char *what);
void holder_stop(Holder *holder);

#endif
