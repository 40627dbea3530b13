/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The planners: ours in its policies, with and without claims, and what others do. The others are
 * given what their kind has to go by, fresh, and check what their kind checks.
 */

#include "placement.h"
#include "util.h"

void desk_done(Desk *desk)
{
        free(desk->candidates);
        free(desk->facts);
        free(desk->levels);
        free(desk->scores);
        *desk = (Desk){};
}

/* The groups of the pool that are there now. */
static void find_candidates(Desk *desk, const Ask *ask)
{
        const Pool *pool = &desk->world->pools[ask->pool];

        if (pool->n > desk->allocated) {
                desk->candidates =
                        must_alloc(realloc(desk->candidates, pool->n * sizeof(*desk->candidates)));
                desk->facts = must_alloc(realloc(desk->facts, pool->n * sizeof(*desk->facts)));
                desk->levels = must_alloc(
                        realloc(desk->levels, pool->n * LEVELS_MAX * sizeof(*desk->levels)));
                desk->scores = must_alloc(realloc(desk->scores, pool->n * sizeof(*desk->scores)));
                desk->allocated = pool->n;
        }
        desk->n_candidates = 0;
        for (size_t i = 0; i < pool->n; i++)
                if (desk->world->groups[pool->groups[i]].is_live)
                        desk->candidates[desk->n_candidates++] = pool->groups[i];
}

/* ch_place_choose() on the facts; then the claim, and where somebody was faster the next best. */
static int place_ours(Desk *desk, const Planner *planner, const Ask *ask, uint32_t *ret_group,
                      ch_bucket **ret_claim)
{
        ch_place_request request = { .bytes = ask->bytes,
                                     .nodes = ask->nodes,
                                     .policy = planner->policy };
        ch_place_source source;
        int r;

        world_source(desk->world, ask, &source);
        for (size_t i = 0; i < desk->n_candidates; i++) {
                world_facts(desk->world, ask, desk->candidates[i], planner->view == VIEW_STALE,
                            &desk->levels[i * LEVELS_MAX], &desk->facts[i]);
        }
        r = ch_place_choose(&request, &source, desk->facts, desk->n_candidates, desk->scores);
        if (r < 0)
                return r;
        for (size_t i = 0; i < desk->n_candidates && desk->scores[i].fits; i++) {
                *ret_group = desk->candidates[desk->scores[i].index];
                if (planner->claims == CLAIMS_NONE)
                        return 0;
                desk->tries++;
                r = world_claim(desk->world, *ret_group, ask->bytes, ret_claim);
                if (r != -ENOSPC)
                        return r;
        }
        return -ENOSPC;
}

/*
 * A launcher that reads memory.current and memory.max of each candidate and takes the emptiest that
 * has room. It knows neither what the last ones it started will still grow to, nor the limits
 * above.
 */
static int place_least(Desk *desk, const Planner *planner, const Ask *ask, uint32_t *ret_group,
                       ch_bucket **ret_claim)
{
        double least = 2;

        for (size_t i = 0; i < desk->n_candidates; i++) {
                uint64_t limit = desk->world->groups[desk->candidates[i]].trace->limit_bytes;
                uint64_t used = world_used(desk->world, desk->candidates[i]);
                double fullness = (double)used / (double)limit;

                if (ask->bytes > sub_u64(limit, used) || fullness >= least)
                        continue;
                least = fullness;
                *ret_group = desk->candidates[i];
        }
        return least > 1 ? -ENOSPC : 0;
}

/* One after the other, but for those that say themselves that they are full: a plain pool of
 * workers. */
static int place_round_robin(Desk *desk, const Planner *planner, const Ask *ask,
                             uint32_t *ret_group, ch_bucket **ret_claim)
{
        Pool *pool = &desk->world->pools[ask->pool];

        for (size_t i = 0; i < desk->n_candidates; i++) {
                uint32_t group = desk->candidates[pool->next++ % desk->n_candidates];

                if (ask->bytes > sub_u64(desk->world->groups[group].trace->limit_bytes,
                                         world_used(desk->world, group)))
                        continue;
                *ret_group = group;
                return 0;
        }
        return -ENOSPC;
}

/* A unit file with Slice=: each application has its place, and all its processes are there. Nobody
 * is ever refused. */
static int place_static(Desk *desk, const Planner *planner, const Ask *ask, uint32_t *ret_group,
                        ch_bucket **ret_claim)
{
        Random name = { ask->app };

        if (desk->n_candidates == 0)
                return -ENOSPC;
        *ret_group = desk->candidates[random_below(&name, desk->n_candidates)];
        return 0;
}

static bool fits_requests(const World *world, uint32_t group, uint64_t bytes)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent)
                if (world->groups[group].asked_bytes + bytes >
                    world->groups[group].trace->limit_bytes)
                        return false;
        return true;
}

/*
 * A scheduler by requests, as Kubernetes' (LeastAllocated, node affinity, quotas at each level):
 * what was asked for counts for as long as a process lives, what it uses counts for nothing. It is
 * the only writer, so its own books are never stale.
 */
static int place_requests(Desk *desk, const Planner *planner, const Ask *ask, uint32_t *ret_group,
                          ch_bucket **ret_claim)
{
        double least = 2;

        for (size_t i = 0; i < desk->n_candidates; i++) {
                const Group *g = &desk->world->groups[desk->candidates[i]];
                double fullness = (double)g->asked_bytes / (double)g->trace->limit_bytes;

                if (fullness >= least ||
                    !fits_requests(desk->world, desk->candidates[i], ask->bytes) ||
                    (ask->nodes && g->trace->nodes && !(ask->nodes & g->trace->nodes)))
                        continue;
                least = fullness;
                *ret_group = desk->candidates[i];
        }
        return least > 1 ? -ENOSPC : 0;
}

int planner_place(const Planner *planner, Desk *desk, const Ask *ask, uint32_t *ret_group,
                  ch_bucket **ret_claim)
{
        find_candidates(desk, ask);
        *ret_claim = NULL;
        return desk->n_candidates ? planner->place(desk, planner, ask, ret_group, ret_claim)
                                  : -ENOSPC;
}

const Planner *planner_find(const char *name)
{
        for (size_t i = 0; i < n_planners; i++)
                if (streq(planners[i].name, name))
                        return &planners[i];
        return NULL;
}

enum { HOLD_SECONDS = 180 };

/* clang-format off */
const Planner planners[] = {
        { .name = "spread", .stands_for = "ours: policy spread",
          .place = place_ours, .policy = CH_PLACE_POLICY_SPREAD, .claims = CLAIMS_OPEN },
        { .name = "pack", .stands_for = "ours: policy pack",
          .place = place_ours, .policy = CH_PLACE_POLICY_PACK, .claims = CLAIMS_OPEN },
        { .name = "affinity", .stands_for = "ours: policy affinity",
          .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY, .claims = CLAIMS_OPEN },
        { .name = "spread-stale", .stands_for = "ours: requests at once see the claims from before them",
          .place = place_ours, .policy = CH_PLACE_POLICY_SPREAD, .claims = CLAIMS_OPEN, .view = VIEW_STALE },
        { .name = "spread-hold", .stands_for = "ours: policy spread, claims end three minutes after the start",
          .place = place_ours, .policy = CH_PLACE_POLICY_SPREAD, .claims = CLAIMS_OPEN, .hold_seconds = HOLD_SECONDS },
        { .name = "affinity-hold", .stands_for = "ours: policy affinity, the same",
          .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY, .claims = CLAIMS_OPEN, .hold_seconds = HOLD_SECONDS },
        { .name = "affinity-full", .stands_for = "ours: policy affinity, leases count in full while they are held",
          .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY, .claims = CLAIMS_IN_FULL },
        { .name = "affinity-full-hold", .stands_for = "ours: the same, held for three minutes",
          .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY, .claims = CLAIMS_IN_FULL, .hold_seconds = HOLD_SECONDS },
        { .name = "spread-no-claims", .stands_for = "ours: policy spread without claims",
          .place = place_ours, .policy = CH_PLACE_POLICY_SPREAD, .claims = CLAIMS_NONE },
        { .name = "affinity-no-claims", .stands_for = "ours: policy affinity without claims",
          .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY, .claims = CLAIMS_NONE },
        { .name = "least", .stands_for = "least memory.current",
          .place = place_least },
        { .name = "round-robin", .stands_for = "round robin",
          .place = place_round_robin },
        { .name = "static", .stands_for = "a fixed slice by name, as with systemd",
          .place = place_static },
        { .name = "requests", .stands_for = "sums of requests, as in Kubernetes",
          .place = place_requests },
};
/* clang-format on */
const size_t n_planners = ELEMENTSOF(planners);
