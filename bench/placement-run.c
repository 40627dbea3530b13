/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays a trace for one planner, and measures what comes of it. */

#include <math.h>
#include <time.h>

#include "placement.h"
#include "util.h"

#define SAMPLE_USEC (10 * USEC_PER_SEC)

typedef struct Run {
        const Trace *trace;
        const Planner *planner;
        World *world;
        Desk desk;
        Measures *measures;
        double imbalance_sum;
        uint64_t n_samples;
        size_t next_held; /* event: requests before it hold their claims no longer */
} Run;

static uint64_t now_nsec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int decide(Run *run, const Ask *ask, uint32_t *ret_group, ch_bucket **ret_claim)
{
        uint64_t begin = now_nsec();
        int r = planner_place(run->planner, &run->desk, ask, ret_group, ret_claim);

        run->measures->decision_nsec += now_nsec() - begin;
        run->measures->decisions++;
        if (r < 0 && r != -ENOSPC)
                must(r, "placing");
        return r;
}

static void on_mkdir(Run *run, const Event *event)
{
        world_add_group(run->world, event->index);
}

static void on_request(Run *run, const Event *event)
{
        Ask ask = ask_of_member(run->world, event->index);
        ch_bucket *claim;
        uint32_t group;

        run->measures->requests++;
        if (decide(run, &ask, &group, &claim) < 0) {
                run->measures->refused++;
                run->measures->refused_with_room += world_had_room(run->world, &ask);
                return;
        }
        run->measures->placed++;
        world_enter(run->world, event->index, group, claim, claim ? ask.bytes : 0);
}

/* Who was refused, or has gone, is not heard of again. */
static bool is_placed(const Run *run, const Event *event)
{
        return run->world->members[event->index].group != NO_INDEX;
}

static void on_grow(Run *run, const Event *event)
{
        if (is_placed(run, event))
                world_grow(run->world, event->index, event->bytes);
}

static void on_touch(Run *run, const Event *event)
{
        if (is_placed(run, event))
                world_touch(run->world, event->index, event->bytes);
}

static void on_exit_(Run *run, const Event *event)
{
        if (!is_placed(run, event))
                return;
        world_leave(run->world, event->index);
        world_end_claim(run->world, event->index);
        world_gone(run->world, event->index);
}

typedef struct Evacuee {
        uint32_t member;
        uint64_t private_bytes; /* that it had */
        uint64_t bytes;         /* that it needs: what it had, and what it has asked for beyond */
} Evacuee;

typedef struct Evacuation {
        Evacuee *evacuees;
        size_t n, allocated;
} Evacuation;

/* Those of the application of the first of them come first. Returns how many. */
static size_t gather_app(const World *world, Evacuee *evacuees, size_t n)
{
        uint32_t app = world->members[evacuees[0].member].trace->app;
        size_t found = 1;

        for (size_t i = 1; i < n; i++)
                if (world->members[evacuees[i].member].trace->app == app) {
                        Evacuee kept = evacuees[found];

                        evacuees[found++] = evacuees[i];
                        evacuees[i] = kept;
                }
        return found;
}

/* The one claim becomes one for each, so that each can end his. */
static void settle(Run *run, const Evacuee *evacuees, size_t n, uint32_t group, ch_bucket *claim,
                   uint64_t claim_bytes)
{
        if (claim)
                world_unclaim(run->world, claim, claim_bytes);
        for (size_t i = 0; i < n; i++) {
                ch_bucket *own = NULL;

                if (claim)
                        must(world_claim(run->world, group, evacuees[i].bytes, &own),
                             "a part of a claim");
                world_enter(run->world, evacuees[i].member, group, own,
                            own ? evacuees[i].bytes : 0);
        }
        for (size_t i = 0; i < n; i++)
                world_grow(run->world, evacuees[i].member, evacuees[i].private_bytes);
}

/*
 * The processes of one application in a group that went away are asked for again, together and with
 * what they have. Their memory comes along whoever chooses (the same mover for all): private
 * memory, and shared memory that nobody elsewhere uses. What others use too stays behind, as the
 * parent's.
 */
static void evacuate(Run *run, Evacuee *evacuees, size_t n, uint64_t carried_bytes)
{
        Ask ask = ask_of_member(run->world, evacuees[0].member);
        ch_bucket *claim;
        uint32_t group;

        evacuees[0].bytes += carried_bytes;
        ask.bytes = 0;
        ask.peak_bytes = carried_bytes;
        for (size_t i = 0; i < n; i++) {
                ask.bytes += evacuees[i].bytes;
                ask.peak_bytes += ask_of_member(run->world, evacuees[i].member).peak_bytes;
        }
        run->measures->drained += n;
        if (decide(run, &ask, &group, &claim) < 0) {
                run->measures->evicted += n;
        } else {
                settle(run, evacuees, n, group, claim, ask.bytes);
                if (carried_bytes)
                        world_put_segment(run->world, evacuees[0].member, carried_bytes);
        }
        for (size_t i = 0; i < n; i++)
                world_gone(run->world, evacuees[i].member);
}

static void list_evacuees(Run *run, uint32_t group, Evacuation *ret)
{
        for (size_t i = 0; i < run->trace->n_members; i++) {
                const Member *member = &run->world->members[i];
                uint64_t asked;

                if (member->group != group)
                        continue;
                asked = ask_of_member(run->world, (uint32_t)i).bytes;
                must(array_reserve(&ret->evacuees, &ret->allocated, ret->n + 1,
                                   sizeof(*ret->evacuees)),
                     "members");
                ret->evacuees[ret->n++] = (Evacuee){
                        .member = (uint32_t)i,
                        .private_bytes = member->private_bytes,
                        .bytes = asked > member->private_bytes ? asked : member->private_bytes,
                };
        }
}

static void on_rmdir(Run *run, const Event *event)
{
        Evacuation all = {};
        uint64_t *carried;

        if (!run->world->groups[event->index].is_live)
                return;
        list_evacuees(run, event->index, &all);
        carried = must_alloc(calloc(all.n + 1, sizeof(*carried)));
        for (size_t i = 0; i < all.n; i += gather_app(run->world, &all.evacuees[i], all.n - i))
                carried[i] = world_take_segment(run->world, all.evacuees[i].member);
        for (size_t i = 0; i < all.n; i++)
                world_leave(run->world, all.evacuees[i].member);
        /* the claims of those who were in it are the parent's for a moment */
        world_remove_group(run->world, event->index);
        for (size_t i = 0; i < all.n; i++)
                world_end_claim(run->world, all.evacuees[i].member);
        for (size_t i = 0, n; i < all.n; i += n) {
                n = gather_app(run->world, &all.evacuees[i], all.n - i);
                evacuate(run, &all.evacuees[i], n, carried[i]);
        }
        free(carried);
        free(all.evacuees);
}

/* How unlike each other the leaves are filled. */
static void sample(Run *run)
{
        double sum = 0, squares = 0, n = 0;

        for (uint32_t i = 0; i < run->trace->n_groups; i++) {
                const Group *g = &run->world->groups[i];
                double fullness;

                if (!g->is_live || g->trace->pool == NO_INDEX)
                        continue;
                fullness = (double)world_used(run->world, i) / (double)g->trace->limit_bytes;
                sum += fullness;
                squares += fullness * fullness;
                n++;
        }
        if (n == 0)
                return;
        run->imbalance_sum += sqrt(fmax(0, squares / n - sum / n * sum / n));
        run->n_samples++;
}

/* Claims that are held for a while after the start. */
static void end_held(Run *run, uint64_t usec)
{
        uint64_t hold_usec = run->planner->hold_seconds * USEC_PER_SEC;

        for (; hold_usec; run->next_held++) {
                const Event *event = &run->trace->events[run->next_held];

                if (run->next_held == run->trace->n_events || event->usec + hold_usec > usec)
                        break;
                if (event->kind == EVENT_REQUEST)
                        world_end_claim(run->world, event->index);
        }
}

static void (*const on_event[EVENT_KIND_MAX_])(Run *run, const Event *event) = {
        [EVENT_MKDIR] = on_mkdir, [EVENT_RMDIR] = on_rmdir, [EVENT_REQUEST] = on_request,
        [EVENT_GROW] = on_grow,   [EVENT_TOUCH] = on_touch, [EVENT_EXIT] = on_exit_,
};

static double mib_seconds(const Gauge *gauge)
{
        return gauge->byte_seconds / (double)MIB;
}

static void finish(Run *run)
{
        Measures *measures = run->measures;
        const World *world = run->world;

        measures->tries = run->desk.tries;
        measures->over_events = world->over_events;
        measures->over_mib_seconds = mib_seconds(&world->over);
        measures->strayed_mib_seconds = mib_seconds(&world->strayed);
        measures->apart_mib_seconds = mib_seconds(&world->apart);
        measures->remote_mib_seconds = mib_seconds(&world->remote);
        measures->used_mib_seconds = mib_seconds(&world->used);
        measures->imbalance = run->n_samples ? run->imbalance_sum / (double)run->n_samples : 0;
}

/* Processes that a recorded trace does not end, end with it. */
static void end_all(Run *run)
{
        for (uint32_t i = 0; i < run->trace->n_members; i++)
                on_exit_(run, &(Event){ .index = i });
        if (run->world->used.bytes || run->world->over.bytes || run->world->strayed.bytes ||
            run->world->apart.bytes || run->world->remote.bytes)
                wrong("bytes are left when all have gone");
}

void run_trace(const Trace *trace, const Planner *planner, uint32_t check_every, Measures *ret)
{
        Run run = {
                .trace = trace, .planner = planner, .measures = ret, .world = world_new(trace)
        };
        uint64_t next_sample = SAMPLE_USEC, last_request = 0;

        *ret = (Measures){};
        run.desk.world = run.world;
        run.world->claims_in_full = planner->claims == CLAIMS_IN_FULL;
        for (size_t i = 0; i < trace->n_events; i++)
                if (trace->events[i].kind == EVENT_REQUEST)
                        last_request = trace->events[i].usec;
        for (size_t i = 0; i < trace->n_events; i++) {
                const Event *event = &trace->events[i];

                /* when nobody comes any more the groups run empty, and nothing is to be learnt */
                if (event->usec > last_request && ret->used_mib_seconds == 0)
                        finish(&run);
                for (; next_sample <= event->usec && next_sample <= last_request;
                     next_sample += SAMPLE_USEC) {
                        world_advance(run.world, next_sample);
                        sample(&run);
                }
                world_advance(run.world, event->usec);
                end_held(&run, event->usec);
                on_event[event->kind](&run, event);
                if (check_every && i % check_every == 0)
                        world_check(run.world);
        }
        if (ret->used_mib_seconds == 0)
                finish(&run);
        end_all(&run);
        run.world = world_free(run.world);
        desk_done(&run.desk);
}
