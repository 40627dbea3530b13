/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROG_MODULE_STRESS_H
#define PROG_MODULE_STRESS_H

/*
 *     prog-module-stress.c    who starts, kills and buries all of them; the movers
 *     prog-module-worker.c    a process that does with its memory all that the kernel knows, and
 *                             knows what must be in it
 *     prog-module-disturb.c   what is done to the machine meanwhile
 */

#include "prog-module.h"

enum {
        WORKERS = 4,
        MOVERS = 3,
        ACTIONS = 64,
        OUTCOMES = 16,
        ERRNOS = 140,
        WORKER_BAD = 9, /* exit code: memory holds what it should not */
};

/* What all of them tell; shared memory of nobody's group. */
typedef struct Shared {
        volatile int stop;
        int shared_huge; /* also huge pages of shared memory */
        volatile pid_t workers[WORKERS];
        volatile uint64_t worker_actions[ACTIONS], worker_ignored[ACTIONS];
        volatile uint64_t disturb_actions[ACTIONS], disturb_ignored[ACTIONS];
        volatile uint64_t stops[OUTCOMES], left[CHARGEHAND_LEFTS], moved[CHARGEHAND_KINDS];
        volatile uint64_t errors[ERRNOS];
        volatile uint64_t calls, returned, lock_max_nsec, pages_checked, kills;
        volatile unsigned failures; /* of children */
} Shared;

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
        return (next_random(state) >> 16) % n;
}

static inline void count(volatile uint64_t *counter, uint64_t n)
{
        (void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Never returns; the program is "--worker SEED SHARED_FD". */
_Noreturn void worker_main(uint64_t seed, int shared_fd);
const char *worker_action_name(size_t i); /* NULL: no more */

/* One action upon the machine or the stage. */
void disturb(const Stage *stage, Shared *shared, uint64_t *random);
/* All as it was. */
void disturb_end(const Stage *stage);
const char *disturb_action_name(size_t i);

#endif
