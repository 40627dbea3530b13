/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of the placement simulator share: the trace (what happens, the same for every planner), the world (groups
 * with accounts in two real ledgers, one as the kernel's memory controller, one for the manager's claims), the
 * planners, and what is measured. docs/placement.md tells what is modelled and what is not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <chargehand/ledger.h>
#include <chargehand/place.h>

#define PAGE_BYTES UINT64_C(4096)       /* of the model, on every machine */
#define MIB (UINT64_C(1) << 20)
#define USEC_PER_SEC UINT64_C(1000000)
#define NO_INDEX UINT32_MAX
#define LEVELS_MAX 8                    /* groups in a path */
#define INDEX_MAX (UINT32_C(1) << 22)   /* ids in a trace are below */

/* placement-trace.c: what happens */
typedef enum EventKind {
        EVENT_MKDIR,
        EVENT_RMDIR,
        EVENT_REQUEST,  /* a process wants a place; what has the same time is asked at once, on the same facts */
        EVENT_GROW,     /* its private memory is `bytes` now */
        EVENT_TOUCH,    /* it is the first to touch so many more bytes of its segment */
        EVENT_EXIT,
        EVENT_KIND_MAX_
} EventKind;

typedef struct Event {
        uint64_t usec;
        uint64_t bytes;
        uint32_t index;         /* of the group or the member */
        uint32_t order;         /* as it came, among those of the same time */
        EventKind kind;
} Event;

typedef struct TraceGroup {
        char *path;
        uint64_t limit_bytes;   /* UINT64_MAX: none */
        uint64_t nodes;         /* 0: all */
        uint32_t parent;        /* NO_INDEX: the topmost */
        uint32_t pool;          /* NO_INDEX: takes no processes */
} TraceGroup;

typedef struct TraceMember {
        uint32_t app;           /* of which it is a process; NO_INDEX: no request with this id */
        uint32_t pool;
        uint32_t segment;       /* shared memory; NO_INDEX: none */
        uint64_t bytes;         /* that it says it will need: private and of the segment */
        uint64_t nodes;         /* that it wants; 0: any */
        uint64_t peak_bytes;    /* what it will really use: most private bytes … */
        uint64_t touch_bytes;   /* … and all that it will touch first of the segment */
} TraceMember;

typedef struct Trace {
        TraceGroup *groups;
        TraceMember *members;
        Event *events;
        size_t n_groups, n_members, n_events;
        size_t groups_allocated, members_allocated, events_allocated;
        uint32_t n_pools, n_segments;
} Trace;

uint32_t trace_add_group(Trace *trace, const TraceGroup *group);        /* takes the path */
void trace_add_member(Trace *trace, uint32_t id, const TraceMember *member);
void trace_add(Trace *trace, uint64_t usec, EventKind kind, uint32_t index, uint64_t bytes);
void trace_finish(Trace *trace); /* sorts, and finds what each member will really use */
void trace_done(Trace *trace);
void trace_read(Trace *trace, const char *path);  /* ends the program with path, line and cause when it is bad */
void trace_write(const Trace *trace, const char *path);

/* placement-workload.c: made-up traces; the same options give the same trace on every machine */
typedef struct Workload {
        uint64_t seed;
        uint32_t n_leaves;
        uint32_t pool_leaves;           /* candidates for a request */
        uint32_t seconds;
        uint32_t load_permyriad;        /* real need of all that is asked for, to what the limits allow */
        uint32_t n_requests;            /* at most; 0: what load and seconds make */
        bool exact;                     /* all ask for just what they will use */
        bool calm;                      /* groups only, nothing happens */
        uint32_t service_leaves;        /* below one service; 0: 10 */
} Workload;

void workload_generate(const Workload *workload, Trace *trace);

typedef struct Random {
        uint64_t state;
} Random;
uint64_t random_u64(Random *random);
uint64_t random_below(Random *random, uint64_t n);
double random_unit(Random *random);     /* above 0, at most 1 */

/* placement-world.c: the truth */
typedef struct Gauge {
        uint64_t bytes;         /* now */
        double byte_seconds;
} Gauge;

typedef struct Group {
        const TraceGroup *trace;
        bool is_live;
        ch_account *usage, *claims;
        uint64_t over_bytes;            /* above its limit, now */
        uint64_t peak_bytes;            /* that those who are in it will use at most, with all below */
        uint64_t asked_bytes;           /* that those who are in it have asked for, with all below */
        uint64_t stale_usec, stale_claimed_bytes; /* claims as they were when this moment began */
} Group;

typedef struct Member {
        const TraceMember *trace;
        uint32_t group;                 /* NO_INDEX: not placed, or gone */
        ch_bucket *usage, *claim;
        uint64_t private_bytes, touched_bytes;
        uint64_t open_bytes;            /* of the claim, not used yet */
} Member;

typedef struct Part {
        uint32_t group;
        uint64_t bytes;
        ch_bucket *bucket;
} Part;

/* Shared memory: each part is charged to who touched it first, and stays when he goes, until the last user has gone. */
typedef struct Segment {
        Part *parts;
        uint32_t *users;                /* members */
        size_t n_parts, n_users, parts_allocated, users_allocated;
        uint64_t bytes;
        uint64_t strayed_bytes;         /* charged to groups above their users' share */
        uint64_t apart_bytes;           /* all of it when users are in several groups */
} Segment;

typedef struct Pool {
        uint32_t *groups;
        size_t n, allocated, next;      /* next: for round robin */
} Pool;

typedef struct World {
        const Trace *trace;
        ch_ledger *kernel, *claims;
        ch_slot *claims_slot;
        Group *groups;
        Member *members;
        Segment *segments;
        Pool *pools;
        uint64_t now_usec;
        Gauge used, over, strayed, apart, remote;
        uint64_t over_events;
        bool claims_in_full;
} World;

/* A request, or a few members of one application that have to leave a group together. */
typedef struct Ask {
        uint32_t app, pool, segment;
        uint64_t bytes;                 /* to be charged in all, as it says */
        uint64_t peak_bytes;            /* … in truth */
        uint64_t nodes;
} Ask;

World *world_new(const Trace *trace);
World *world_free(World *world);        /* all must be gone, and both ledgers at zero: else it ends the program */
void world_advance(World *world, uint64_t usec);
void world_add_group(World *world, uint32_t group);
void world_remove_group(World *world, uint32_t group);  /* nobody is in it; its charges go to the parent */
uint64_t world_used(const World *world, uint32_t group);
uint64_t world_claimed(const World *world, uint32_t group);

void world_enter(World *world, uint32_t member, uint32_t group, ch_bucket *claim, uint64_t claim_bytes);
void world_leave(World *world, uint32_t member); /* its claim stays */
void world_end_claim(World *world, uint32_t member);
void world_grow(World *world, uint32_t member, uint64_t private_bytes);
void world_touch(World *world, uint32_t member, uint64_t bytes);
void world_gone(World *world, uint32_t member);  /* its segment is freed when it was the last user */
/* What is charged to the member's group of a segment that nobody elsewhere uses, and puts it down elsewhere: a move. */
uint64_t world_take_segment(World *world, uint32_t member);
void world_put_segment(World *world, uint32_t member, uint64_t bytes);

/* placement-facts.c: the world as a manager sees it */
Ask ask_of_member(const World *world, uint32_t member);
/* `levels` has room for LEVELS_MAX. `is_stale`: claims as they were when this moment began, as for requests that come at once. */
void world_facts(const World *world, const Ask *ask, uint32_t group, bool is_stale, ch_place_level *levels,
                 ch_place_facts *ret);
void world_source(const World *world, const Ask *ask, ch_place_source *ret);
/* Takes the room on the claims ledger, atomically. -ENOSPC */
int world_claim(World *world, uint32_t group, uint64_t bytes, ch_bucket **ret);
void world_unclaim(World *world, ch_bucket *claim, uint64_t bytes);
bool world_had_room(const World *world, const Ask *ask); /* in truth, for all that is still to come, in any candidate */
void world_check(const World *world);   /* that accounts are what their members sum up to; else it ends the program */

/* placement-planner.c */
typedef struct Planner Planner;

typedef struct Desk {
        World *world;
        uint32_t *candidates;           /* of the request at hand */
        ch_place_facts *facts;
        ch_place_level *levels;         /* LEVELS_MAX for each of them */
        ch_place_score *scores;
        size_t n_candidates, allocated;
        uint64_t tries;                 /* of claims */
} Desk;

struct Planner {
        const char *name;
        const char *stands_for;
        /* -ENOSPC: refused */
        int (*place)(Desk *desk, const Planner *planner, const Ask *ask, uint32_t *ret_group, ch_bucket **ret_claim);
        ch_place_policy policy;
        /* open: what is charged by now counts once; in full: as a lease whose holder does not tell */
        enum { CLAIMS_NONE, CLAIMS_OPEN, CLAIMS_IN_FULL } claims;
        enum { VIEW_FRESH, VIEW_STALE } view; /* of claims by requests of the same moment */
        uint32_t hold_seconds;          /* claims end then; 0: with who has them */
};

int planner_place(const Planner *planner, Desk *desk, const Ask *ask, uint32_t *ret_group, ch_bucket **ret_claim);

extern const Planner planners[];
extern const size_t n_planners;
const Planner *planner_find(const char *name); /* NULL */
void desk_done(Desk *desk);

/* placement-run.c */
typedef struct Measures {
        uint64_t requests, placed, refused;
        uint64_t refused_with_room;     /* though a candidate had room in truth */
        uint64_t drained, evicted;      /* asked for again because their group went away; in vain */
        uint64_t tries, decisions, decision_nsec;
        uint64_t over_events;
        double over_mib_seconds, strayed_mib_seconds, apart_mib_seconds, remote_mib_seconds, used_mib_seconds;
        double imbalance;               /* standard deviation of used / limit among the leaves, mean over time */
} Measures;

void run_trace(const Trace *trace, const Planner *planner, uint32_t check_every, Measures *ret);

/* placement-threads.c */
typedef struct Contest {
        uint32_t n_threads, n_leaves, n_candidates, n_decisions;
        uint64_t seed;
        bool is_watched;        /* by a thread more; not when the speed is measured */
} Contest;

typedef struct ContestResult {
        uint64_t placed, refused, tries, usec;
} ContestResult;
void run_contest(const Contest *contest, ContestResult *ret); /* ends the program when claims were overcommitted */

/* placement-util.c: when the simulator finds that it, the ledger or the planner is wrong; ends the program with 1 */
__attribute__((format(printf, 1, 2))) _Noreturn void wrong(const char *format, ...);
void must(int r, const char *what);
void *must_alloc(void *memory);
