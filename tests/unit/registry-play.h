/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TEST_REGISTRY_PLAY_H
#define CH_TEST_REGISTRY_PLAY_H

/* A registry and the world that it is told of, played side by side and compared. */

#include "process-world.h"

enum { EVENTS_MAX = 4096 };

typedef enum EventKind { EVENT_FORK, EVENT_EXEC, EVENT_EXIT } EventKind;

typedef struct Event {
        EventKind kind;
        pid_t pid, parent;
} Event;

typedef struct Fixture {
        World world;
        ch_registry *registry;
        WorldChange changes[WORLD_LOG]; /* as told by the callback */
        size_t n_changes;
        Event queue[EVENTS_MAX]; /* not told yet */
        size_t n_queue;
        uint64_t random;
} Fixture;

int setup(void **state);
int teardown(void **state);
/* Begin anew in the same test. */
void restart(Fixture *f, uint64_t seed);
/* All that is in the queue, to the registry. */
void tell_all(Fixture *f);
/* In the world, and in the queue of events. */
pid_t do_fork(Fixture *f, pid_t forker, int flags, uint64_t group);
void do_exec(Fixture *f, pid_t pid, uint64_t key);
void do_exit(Fixture *f, pid_t pid);
/* In the world, and told at once. */
void do_attach(Fixture *f, pid_t pid, uint64_t group);
ch_mm_info info_of(Fixture *f, pid_t pid);
/* Who shares what, and in which group each is: what any resync must find. */
void check_sharing(Fixture *f);
/* And who owns it; with ids also by what name, and who was attached last. */
void check_exactly(Fixture *f, int with_ids);
/* The callback told what happened, and nothing else. */
void check_changes(Fixture *f);
/* Tell all, and look at everything. */
void settle(Fixture *f);

#endif
