/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The same workloads as the simulator's, played by real processes in real groups. */

#include <sys/types.h>

#include <chargehand/process.h>
#include <chargehand/tree.h>

#include "placement.h"

/* placement-actor.c: a process that allocates what it is told */
typedef struct Actor {
        pid_t pid;      /* 0: none */
        int fd;
} Actor;

/* Started where the caller is, with the segment mapped and what others have touched of it read. segment_fd < 0: none. */
void actor_start(Actor *actor, int segment_fd, uint64_t touched_bytes);
/* -ESRCH: the kernel has killed it. */
int actor_grow(Actor *actor, uint64_t private_bytes);
int actor_touch(Actor *actor, uint64_t from_bytes, uint64_t to_bytes); /* of the segment */
void actor_end(Actor *actor);

/* placement-stage.c */
typedef struct Place {
        ch_group *group;
        ch_account *claims;
        uint64_t asked_bytes; /* as the simulator's Group */
} Place;

typedef struct Player {
        Actor actor;
        uint32_t group;         /* NO_INDEX: not placed, or gone */
        ch_bucket *claim;
        uint64_t open_bytes, private_bytes, touched_bytes;
} Player;

typedef struct Prop {
        int fd;                 /* memfd */
        uint64_t touched_bytes;
} Prop;

typedef struct Stage {
        const Trace *trace;
        uint64_t scale;         /* all sizes are divided by it */
        ch_tree *tree;
        ch_group *launch;       /* where processes are before they have a place */
        Place *places;          /* by group of the trace */
        Player *players;
        Prop *props;            /* by segment */
        const char **paths;     /* of the pool's groups */
        uint32_t *candidates;   /* their indexes */
        size_t n_candidates, next;
        ch_ledger *ledger;      /* of claims */
        ch_slot *slot;
} Stage;

typedef struct StageMeasures {
        uint64_t requests, refused, killed, max_events, oom_kills, decision_usec;
        double strayed_mib_seconds, used_mib_seconds;
} StageMeasures;

uint64_t stage_bytes(const Stage *stage, uint64_t bytes);       /* scaled, in whole pages */
uint64_t stage_read(ch_group *group, const char *file);         /* a number, "max" is UINT64_MAX; ends the program when it cannot */
uint64_t stage_claimed(const Stage *stage, uint32_t group);

/* placement-stage-planner.c */
typedef struct StagePlanner {
        const char *name;
        int (*place)(Stage *stage, const struct StagePlanner *planner, uint32_t player, uint32_t *ret_group);
        ch_place_policy policy;
        enum { STAGE_NO_CLAIMS, STAGE_CLAIMS } claims;
} StagePlanner;
const StagePlanner *stage_planner_find(const char *name); /* NULL */

/* In an empty directory of the hierarchy; leaves it empty again. */
void stage_play(const Trace *trace, const StagePlanner *planner, const char *root, uint64_t scale, StageMeasures *ret);
