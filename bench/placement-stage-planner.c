/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The planners on the stage: ours reads the kernel through the library, the others their files. As
 * in placement-planner.c. */

#include "placement-stage.h"
#include "util.h"

static uint64_t asked(const Stage *stage, uint32_t player)
{
        return stage_bytes(stage, stage->trace->members[player].bytes);
}

static uint64_t claimed_of_path(const char *path, void *userdata)
{
        const Stage *stage = userdata;
        ch_account_figures figures;

        for (uint32_t i = 0; i < stage->trace->n_groups; i++)
                if (streq(stage->trace->groups[i].path, path))
                        return stage_claimed(stage, i);
        if (!streq(path, "/"))
                return 0;
        ch_account_get_figures(ch_ledger_get_root(stage->ledger), &figures);
        return figures.usage_pages * PAGE_BYTES;
}

/* As the daemon does it: the limits of the ledger follow memory.max and memory.current. */
static int take_claim(Stage *stage, uint32_t player, uint32_t group)
{
        uint64_t bytes = asked(stage, player);
        ch_bucket *claim;
        int r;

        for (uint32_t i = group; i != NO_INDEX; i = stage->trace->groups[i].parent) {
                ch_group *g = stage->places[i].group;
                uint64_t limit = stage_read(g, "memory.max");

                ch_account_set_max(stage->places[i].claims,
                                   limit == UINT64_MAX
                                           ? CH_PAGES_MAX
                                           : sub_u64(limit, stage_read(g, "memory.current")) /
                                                     PAGE_BYTES);
        }
        must(ch_bucket_new(stage->places[group].claims, &claim), "a bucket of claims");
        r = ch_bucket_charge_bulk(stage->slot, claim, PAGE_BYTES, bytes / PAGE_BYTES, NULL);
        if (r < 0) {
                (void)ch_bucket_unref(claim);
                return r;
        }
        stage->players[player].claim = claim;
        stage->players[player].open_bytes = bytes;
        return 0;
}

static int claim_best(Stage *stage, const StagePlanner *planner, uint32_t player,
                      const ch_place_score *scores, uint32_t *ret_group)
{
        for (size_t i = 0; i < stage->n_candidates && scores[i].fits; i++) {
                int r = 0;

                *ret_group = stage->candidates[scores[i].index];
                if (planner->claims == STAGE_CLAIMS)
                        r = take_claim(stage, player, *ret_group);
                if (r != -ENOSPC)
                        return r;
        }
        return -ENOSPC;
}

static int place_ours(Stage *stage, const StagePlanner *planner, uint32_t player,
                      uint32_t *ret_group)
{
        ch_place_request request = { .bytes = asked(stage, player), .policy = planner->policy };
        bool has_claims = planner->claims == STAGE_CLAIMS;
        const ch_place_facts *facts;
        ch_place_report *report;
        ch_place_score *scores;
        ch_error *err = NULL;
        ch_procset *set;
        size_t n;
        int r;

        must(ch_procset_new(&set), "a set of processes");
        must(ch_procset_add_pid(set, stage->players[player].actor.pid, NULL), "a process");
        r = ch_place_read(stage->tree, &request, set, stage->paths, stage->n_candidates,
                          has_claims ? claimed_of_path : NULL, stage, &report, &err);
        if (r < 0)
                wrong("reading the facts: %s", ch_error_get_cause(err));
        facts = ch_place_report_get_facts(report, &n);
        scores = must_alloc(calloc(n, sizeof(*scores)));
        r = ch_place_choose(&request, ch_place_report_get_source(report), facts, n, scores);
        if (r >= 0)
                r = claim_best(stage, planner, player, scores, ret_group);
        free(scores);
        (void)ch_place_report_free(report);
        (void)ch_procset_free(set);
        return r;
}

static int place_least(Stage *stage, const StagePlanner *planner, uint32_t player,
                       uint32_t *ret_group)
{
        double least = 2;

        for (size_t i = 0; i < stage->n_candidates; i++) {
                ch_group *g = stage->places[stage->candidates[i]].group;
                uint64_t limit = stage_read(g, "memory.max"),
                         used = stage_read(g, "memory.current");
                double fullness = (double)used / (double)limit;

                if (asked(stage, player) > sub_u64(limit, used) || fullness >= least)
                        continue;
                least = fullness;
                *ret_group = stage->candidates[i];
        }
        return least > 1 ? -ENOSPC : 0;
}

static int place_round_robin(Stage *stage, const StagePlanner *planner, uint32_t player,
                             uint32_t *ret_group)
{
        for (size_t i = 0; i < stage->n_candidates; i++) {
                uint32_t group = stage->candidates[stage->next++ % stage->n_candidates];
                ch_group *g = stage->places[group].group;

                if (asked(stage, player) >
                    sub_u64(stage_read(g, "memory.max"), stage_read(g, "memory.current")))
                        continue;
                *ret_group = group;
                return 0;
        }
        return -ENOSPC;
}

static int place_static(Stage *stage, const StagePlanner *planner, uint32_t player,
                        uint32_t *ret_group)
{
        Random name = { stage->trace->members[player].app };

        *ret_group = stage->candidates[random_below(&name, stage->n_candidates)];
        return 0;
}

static bool fits_requests(const Stage *stage, uint32_t group, uint64_t bytes)
{
        for (; group != NO_INDEX; group = stage->trace->groups[group].parent)
                if (stage->places[group].asked_bytes + bytes >
                    stage_bytes(stage, stage->trace->groups[group].limit_bytes))
                        return false;
        return true;
}

static int place_requests(Stage *stage, const StagePlanner *planner, uint32_t player,
                          uint32_t *ret_group)
{
        double least = 2;

        for (size_t i = 0; i < stage->n_candidates; i++) {
                uint32_t group = stage->candidates[i];
                double fullness =
                        (double)stage->places[group].asked_bytes /
                        (double)stage_bytes(stage, stage->trace->groups[group].limit_bytes);

                if (fullness >= least || !fits_requests(stage, group, asked(stage, player)))
                        continue;
                least = fullness;
                *ret_group = group;
        }
        return least > 1 ? -ENOSPC : 0;
}

/* clang-format off */
static const StagePlanner stage_planners[] = {
        { .name = "spread", .place = place_ours, .policy = CH_PLACE_POLICY_SPREAD, .claims = STAGE_CLAIMS },
        { .name = "pack", .place = place_ours, .policy = CH_PLACE_POLICY_PACK, .claims = STAGE_CLAIMS },
        { .name = "affinity", .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY, .claims = STAGE_CLAIMS },
        { .name = "affinity-no-claims", .place = place_ours, .policy = CH_PLACE_POLICY_AFFINITY },
        { .name = "least", .place = place_least },
        { .name = "round-robin", .place = place_round_robin },
        { .name = "static", .place = place_static },
        { .name = "requests", .place = place_requests },
};
/* clang-format on */

const StagePlanner *stage_planner_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(stage_planners); i++)
                if (streq(stage_planners[i].name, name))
                        return &stage_planners[i];
        return NULL;
}
