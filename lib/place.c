/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses among candidate groups by their facts. Pure: the kernel is read by place-read.c. */

#include <stdio.h>

#include "error.h"
#include "place.h"
#include "util.h"

static const char *const term_words[] = {
#define WORD(id, word, doc) [CH_PLACE_TERM_##id] = word,
        CH_PLACE_TERMS(WORD)
#undef WORD
};

static const char *const policy_words[] = {
#define WORD(id, word, doc) [CH_PLACE_POLICY_##id] = word,
        CH_PLACE_POLICIES(WORD)
#undef WORD
};

/* clang-format off */
static const ch_place_weights policy_weights[] = {
        [CH_PLACE_POLICY_SPREAD] = { .weight = {
                [CH_PLACE_TERM_HEADROOM] = 100,
                [CH_PLACE_TERM_PRESSURE] = 40,
                [CH_PLACE_TERM_CHARGES]  = 5,
                [CH_PLACE_TERM_SHARING]  = 15,
                [CH_PLACE_TERM_CPU]      = 5,
                [CH_PLACE_TERM_NODES]    = 15,
        } },
        [CH_PLACE_POLICY_PACK] = { .weight = {
                [CH_PLACE_TERM_FULLNESS] = 200,
                [CH_PLACE_TERM_PRESSURE] = 40,
                [CH_PLACE_TERM_CHARGES]  = 10,
                [CH_PLACE_TERM_SHARING]  = 40,
                [CH_PLACE_TERM_CPU]      = 5,
                [CH_PLACE_TERM_NODES]    = 40,
        } },
        [CH_PLACE_POLICY_AFFINITY] = { .weight = {
                [CH_PLACE_TERM_SHARING]  = 200,
                [CH_PLACE_TERM_CHARGES]  = 20,
                [CH_PLACE_TERM_HEADROOM] = 30,
                [CH_PLACE_TERM_NODES]    = 20,
                [CH_PLACE_TERM_PRESSURE] = 5,
                [CH_PLACE_TERM_CPU]      = 5,
        } },
};
/* clang-format on */

_public_ const char *ch_place_term_to_string(ch_place_term term)
{
        return (unsigned)term < ELEMENTSOF(term_words) ? term_words[term] : "?";
}

_public_ const char *ch_place_policy_to_string(ch_place_policy policy)
{
        return (unsigned)policy < ELEMENTSOF(policy_words) ? policy_words[policy] : "?";
}

_public_ int ch_place_policy_from_string(const char *word, ch_place_policy *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(policy_words); i++)
                if (streq(policy_words[i], word)) {
                        *ret = (ch_place_policy)i;
                        return 0;
                }
        return -EINVAL;
}

_public_ void ch_place_weights_get(const ch_place_weights *weights, ch_place_policy policy,
                                   ch_place_weights *ret)
{
        static const ch_place_weights none;

        if ((unsigned)policy >= ELEMENTSOF(policy_weights))
                policy = CH_PLACE_POLICY_SPREAD;
        *ret = memcmp(weights, &none, sizeof(none)) != 0 ? *weights : policy_weights[policy];
}

static uint32_t weigh(const ch_place_weights *weights, const uint32_t *terms)
{
        uint64_t sum = 0, whole = 0;

        for (size_t i = 0; i < CH_PLACE_TERM_MAX_; i++) {
                uint64_t weight = min_u64(weights->weight[i], PERMYRIAD);

                sum += weight * terms[i];
                whole += weight;
        }
        return whole ? (uint32_t)(sum / whole) : 0;
}

static void score_one(const ch_place_request *request, const ch_place_weights *weights,
                      const ch_place_source *source, const ch_place_facts *facts,
                      ch_place_score *ret)
{
        PlaceRoom room;

        place_find_room(request, facts, &room);
        *ret = (ch_place_score){
                .group = facts->group,
                .fits = room.short_bytes == 0 && !facts->refused,
                .short_bytes = room.short_bytes,
                .level = room.level,
                .free_bytes = room.free_bytes,
                .needed_bytes = room.needed_bytes,
                .refused = facts->refused,
        };
        for (size_t i = 0; i < CH_PLACE_TERM_MAX_; i++)
                ret->terms[i] = place_term((ch_place_term)i, request, source, facts, &room);
        ret->score = weigh(weights, ret->terms);
        place_explain(request, source, facts, &room, ret);
}

/* 0 fits, 1 lacks room, 2 cannot take processes */
static int rank(const ch_place_score *score)
{
        return score->fits ? 0 : score->refused ? 2 : 1;
}

static int compare_scores(const void *a, const void *b)
{
        const ch_place_score *x = a, *y = b;

        if (rank(x) != rank(y))
                return rank(x) - rank(y);
        if (!x->fits && x->short_bytes != y->short_bytes)
                return x->short_bytes < y->short_bytes ? -1 : 1;
        if (x->score != y->score)
                return x->score > y->score ? -1 : 1;
        return strcmp(x->group, y->group);
}

_public_ int ch_place_choose(const ch_place_request *request, const ch_place_source *source,
                             const ch_place_facts *facts, size_t n, ch_place_score *scores)
{
        static const ch_place_source nothing;
        ch_place_weights weights;

        ch_place_weights_get(&request->weights, request->policy, &weights);
        for (size_t i = 0; i < n; i++) {
                score_one(request, &weights, source ? source : &nothing, &facts[i], &scores[i]);
                scores[i].index = i;
        }
        if (n > 1)
                qsort(scores, n, sizeof(*scores), compare_scores);
        return n > 0 && scores[0].fits ? 0 : -ENOSPC;
}

static const char *no_candidate(size_t n)
{
        return n == 1 ? "the only candidate" : "the closest candidate";
}

_public_ int ch_place_refuse(const ch_place_request *request, const ch_place_score *scores,
                             size_t n, ch_error **err)
{
        const ch_place_level *level;
        const char *path;

        if (n == 0)
                return ch_place_check_candidates(NULL, 0, err);
        if (scores->refused)
                return error_set(err, CH_ERROR_BAD_TARGET, EBUSY, scores->group,
                                 "none of %zu candidates can take processes; %s, %s: %s", n,
                                 no_candidate(n), scores->group, scores->reason);
        level = &scores->level;
        path = level->path ? level->path : scores->group;
        return error_set(err, CH_ERROR_NO_ROOM, ENOSPC, path,
                         "none of %zu candidates has room; %s, %s, %s: %llu bytes more are needed "
                         "there; free memory or claims, raise %s, ask for less, or name more "
                         "candidates",
                         n, no_candidate(n), scores->group, scores->reason,
                         (unsigned long long)scores->short_bytes,
                         level->limit && *level->limit ? level->limit : "the limit");
}
