/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses a group and claims the room in it, as one thing. */

#include <json-c/json.h>
#include <stdio.h>

#include "access.h"
#include "claim.h"
#include "error.h"
#include "placement.h"
#include "plan.h"
#include "util.h"

/* Somebody else was faster for every candidate that had room: so often all is read again. With
 * processes that takes a charge map. */
enum { ROUNDS_MAX = 64, ROUNDS_WITH_PROCESSES = 4 };

/* What one round knows. */
typedef struct Round {
        ch_place_report *report;
        ch_place_facts *facts; /* a copy: what the caller may not use is refused in it */
        ch_place_score *scores;
        ch_error **refusals; /* the caller's rights, by candidate */
        size_t n;
} Round;

static void round_done(Round *round)
{
        for (size_t i = 0; round->refusals && i < round->n; i++)
                ch_error_free(round->refusals[i]);
        free(round->refusals);
        free(round->facts);
        free(round->scores);
        ch_place_report_free(round->report);
        *round = (Round){ 0 };
}

static int add_processes(const Placement *placement, ch_procset *set, ch_error **err)
{
        const ch_move_request *what = placement->what;
        ch_group *group;
        int r = 0;

        if (what->group) {
                r = ch_tree_open_group(placement->tree, what->group, &group, err);
                if (r < 0)
                        return r;
                r = ch_procset_add_group(set, group, 0, err);
                ch_group_unref(group);
                return r;
        }
        for (size_t i = 0; r >= 0 && i < what->n_pids; i++) {
                pid_t pid = what->pids[i];

                /* the tree of init would be the whole host */
                r = what->with_tree && pid != 1 ? ch_procset_add_tree(set, pid, err)
                                                : ch_procset_add_pid(set, pid, err);
        }
        return r;
}

/* Who may not look at the processes is told nothing about where their memory is. */
static int read_processes(const Placement *placement, ch_procset **ret, ch_error **err)
{
        const ch_move_request *what = placement->what;
        _cleanup_(ch_procset_freep) ch_procset *set = NULL;
        int r = 0;

        if (what->group)
                r = access_check_group(placement->tree, what->group, placement->uid, err);
        if (r >= 0)
                r = ch_procset_new(&set);
        if (r >= 0)
                r = add_processes(placement, set, err);
        if (r >= 0 && placement->inside_only)
                r = access_check_inside(placement->tree, set, err);
        if (r >= 0)
                r = access_check_processes(set, placement->uid, err);
        if (r >= 0 && !placement->dry_run && ch_procset_find(set, getpid()))
                r = error_set(err, CH_ERROR_BAD_PROCESS, 0, NULL,
                              "process %d is chargehandd itself: it does not move itself",
                              (int)getpid());
        if (r < 0)
                return r;
        *ret = TAKE_PTR(set);
        return 0;
}

static int is_candidate(const Placement *placement, const char *path)
{
        for (size_t i = 0; i < placement->candidates.n; i++)
                if (streq(placement->candidates.paths[i], path))
                        return 1;
        return 0;
}

/* Asked from each candidate up: what is claimed for that one itself, or for a group above it, is
 * there for whom it is given to. */
static uint64_t claimed_by_others(const char *path, void *userdata)
{
        const Placement *placement = userdata;

        if (is_candidate(placement, path))
                claims_act_for(path);
        return claims_claimed_as_read(path, placement->claims);
}

/* What the library does not know of: the caller's rights, and that charges may be told to stay. */
static int adapt_facts(const Placement *placement, const ch_procset *set, Round *round)
{
        const ch_place_facts *facts = ch_place_report_get_facts(round->report, &round->n);

        round->facts = calloc(round->n + 1, sizeof(*round->facts));
        round->scores = calloc(round->n + 1, sizeof(*round->scores));
        round->refusals = calloc(round->n + 1, sizeof(ch_error *));
        if (!round->facts || !round->scores || !round->refusals)
                return -ENOMEM;
        for (size_t i = 0; i < round->n; i++) {
                ch_place_facts *own = &round->facts[i];
                int r;

                *own = facts[i];
                r = set ? access_check_move(placement->tree, set, own->group, placement->uid,
                                            &round->refusals[i])
                        : access_check_group(placement->tree, own->group, placement->uid,
                                             &round->refusals[i]);
                if (r < 0 && !own->refused)
                        own->refused = ch_error_get_cause(round->refusals[i]);
                if (set && placement->options->policy == CH_POLICY_STAY) {
                        own->left_bytes += own->movable_bytes;
                        own->movable_bytes = own->extra_bytes = 0;
                }
        }
        return 0;
}

static int read_round(Placement *placement, ch_procset *set, Round *round, ch_error **err)
{
        int r;

        claims_refresh(placement->claims);
        r = ch_place_read(placement->tree, &placement->request, set,
                          (const char *const *)placement->candidates.paths, placement->candidates.n,
                          claimed_by_others, placement, &round->report, err);
        claims_act_for(NULL);
        if (r >= 0)
                r = adapt_facts(placement, set, round);
        if (r < 0)
                return error_errno(err, r, NULL, "reading the candidates");
        return ch_place_choose(&placement->request, ch_place_report_get_source(round->report),
                               round->facts, round->n, round->scores);
}

static int tell(Placement *placement, const Round *round, ch_error **err)
{
        int r;

        r = ch_place_to_json(&placement->request, round->report, round->scores, &placement->json);
        return r < 0 ? error_errno(err, r, NULL, "telling the placement") : 0;
}

static int add_refusal(const Placement *placement, const ch_error *error)
{
        json_object *refusal = json_object_new_object();

        if (!refusal)
                return -ENOMEM;
        json_object_object_add(
                refusal, "kind",
                json_object_new_string(ch_error_kind_to_name(ch_error_get_kind(error))));
        json_object_object_add(refusal, "path", json_object_new_string(ch_error_get_path(error)));
        json_object_object_add(refusal, "cause", json_object_new_string(ch_error_get_cause(error)));
        return json_object_object_add(placement->json, "refusal", refusal);
}

/* The caller may use none of them: that is not a question of room. */
static const ch_error *find_no_right(const Round *round)
{
        for (size_t i = 0; i < round->n; i++)
                if (!round->refusals[i])
                        return NULL;
        return round->refusals[0];
}

/* Nobody fits: an error, or the answer of a dry run. */
static int refuse(Placement *placement, const Round *round, ch_error **err)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        const ch_error *no_right = find_no_right(round);
        int r;

        r = no_right ? error_copy(&error, no_right)
                     : ch_place_refuse(&placement->request, round->scores, round->n, &error);
        if (!placement->dry_run)
                return error_copy(err, error);
        r = tell(placement, round, err);
        return r < 0 ? r : add_refusal(placement, error);
}

/* Another candidate may do where this one does not. */
static int is_about_candidate(const ch_error *error)
{
        static const ch_error_kind kinds[] = { CH_ERROR_NO_ROOM, CH_ERROR_BAD_TARGET,
                                               CH_ERROR_CONTROLLER_OFF, CH_ERROR_NO_SUCH_GROUP,
                                               CH_ERROR_NOT_PERMITTED };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (ch_error_get_kind(error) == kinds[i])
                        return 1;
        return 0;
}

static int plan_move(Placement *placement, const char *target, ch_plan **ret, ch_error **err)
{
        _cleanup_(ch_plan_freep) ch_plan *plan = NULL;
        ch_move_request what = *placement->what;
        const ch_procset *set;
        int r;

        what.target = target;
        claims_act_for(target);
        r = ch_plan_new(placement->tree, &what, placement->options, &plan, err);
        claims_act_for(NULL);
        if (r < 0)
                return r;
        if (ch_plan_get_refusal(plan))
                return error_copy(err, ch_plan_get_refusal(plan));
        /* who forked since the facts were read is part of the plan */
        set = ch_plan_get_processes(plan);
        r = access_check_move(placement->tree, set, target, placement->uid, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(plan);
        return 0;
}

/* Where a move's charges are now needs no room for them, nor do the groups above. */
static int list_inside(const ch_plan *plan, ClaimInside **ret, size_t *ret_n)
{
        ClaimInside *inside = calloc(plan->n_payers + 1, sizeof(*inside));
        size_t n = 0;

        if (!inside)
                return -ENOMEM;
        for (size_t i = 0; i < plan->n_payers; i++)
                if (plan->payers[i].path)
                        inside[n++] = (ClaimInside){ .group = plan->payers[i].path,
                                                     .bytes = plan->payers[i].bytes };
        *ret = inside;
        *ret_n = n;
        return 0;
}

static int claim_room(Placement *placement, const char *group, const ch_plan *plan, ch_error **err)
{
        _cleanup_(freep) ClaimInside *inside = NULL;
        ClaimRequest claim = {
                .group = group,
                .bytes = placement->request.bytes + (plan ? ch_plan_get_movable_bytes(plan) : 0),
                .kind = CLAIM_PLACEMENT,
                .uid = placement->uid,
                .pid = placement->pid,
                .note = placement->note,
                .max_per_uid = plan ? 0 : placement->max_claims, /* moves are limited as jobs are */
        };
        int r = 0;

        if (claim.bytes == 0)
                return 0;
        if (plan)
                r = list_inside(plan, &inside, &claim.n_inside);
        if (r < 0)
                return r;
        claim.inside = inside;
        claims_act_for(group);
        r = claims_reserve(placement->claims, &claim, &placement->claim, err);
        claims_act_for(NULL);
        return r;
}

/* 0 it is the caller's; < 0 and the error is about the candidate, or about all of it. */
static int take(Placement *placement, const char *group, ch_error **err)
{
        _cleanup_(ch_plan_freep) ch_plan *plan = NULL;
        int r = 0;

        if (placement->what)
                r = plan_move(placement, group, &plan, err);
        if (r >= 0)
                r = claim_room(placement, group, plan, err);
        if (r < 0)
                return r;
        placement->chosen = strdup(group);
        placement->plan = TAKE_PTR(plan);
        return placement->chosen ? 0 : -ENOMEM;
}

/* The one that was taken comes first: it is the one chosen. */
static void put_first(Round *round, size_t index)
{
        ch_place_score score = round->scores[index];

        memmove(round->scores + 1, round->scores, index * sizeof(score));
        round->scores[0] = score;
}

/* 1 somebody was faster everywhere. */
static int take_best(Placement *placement, Round *round, ch_error **ret_last, ch_error **err)
{
        for (size_t i = 0; i < round->n && round->scores[i].fits; i++) {
                _cleanup_(error_freep) ch_error *error = NULL;
                ch_place_score *score = &round->scores[i];
                int r = take(placement, score->group, &error);

                if (r >= 0) {
                        put_first(round, i);
                        return tell(placement, round, err);
                }
                if (!is_about_candidate(error))
                        return error ? error_copy(err, error) : r;
                score->fits = 0;
                (void)snprintf(score->reason, sizeof(score->reason), "%s",
                               ch_error_get_cause(error));
                ch_error_free(*ret_last);
                *ret_last = TAKE_PTR(error);
        }
        return 1;
}

/* 1: again. */
static int work_round(Placement *placement, ch_procset *set, ch_error **ret_last, ch_error **err)
{
        _cleanup_(round_done) Round round = { 0 };
        int r;

        r = read_round(placement, set, &round, err);
        if (r == -ENOSPC)
                return refuse(placement, &round, err);
        if (r < 0)
                return error_errno(err, r, NULL, "choosing a group");
        return placement->dry_run ? tell(placement, &round, err)
                                  : take_best(placement, &round, ret_last, err);
}

int placement_work(Placement *placement, ch_error **err)
{
        _cleanup_(ch_procset_freep) ch_procset *set = NULL;
        _cleanup_(error_freep) ch_error *last = NULL;
        int rounds = placement->what ? ROUNDS_WITH_PROCESSES : ROUNDS_MAX, r;

        r = placement->what ? read_processes(placement, &set, err) : 0;
        if (r < 0)
                return r;
        for (int round = 0; round < rounds; round++) {
                r = work_round(placement, set, &last, err);
                if (r <= 0)
                        return r;
        }
        return error_copy(err, last);
}

void placement_done(Placement *placement)
{
        if (placement->claim)
                (void)claims_release(placement->claims, placement->claim);
        placement->claim = 0;
        candidates_done(&placement->candidates);
        json_object_put(placement->json);
        placement->json = NULL;
        free(placement->chosen);
        placement->chosen = NULL;
        placement->plan = ch_plan_free(placement->plan);
}
