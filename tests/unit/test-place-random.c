/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold for any candidates: who lacks room never wins, the order they are named in does not
 * matter, and more room never makes a candidate worse. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "place.h"
#include "util.h"

/* A small generator of our own, so that a failure can be repeated. */
static uint64_t next_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static uint64_t random_bytes(uint64_t *state)
{
        static const uint64_t corners[] = { 0, 1, 4096, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63 };
        uint64_t choice = next_random(state) % 16;

        if (choice < ELEMENTSOF(corners))
                return corners[choice];
        return next_random(state) >> next_random(state) % 64;
}

enum { RANDOM_GROUPS = 8, RANDOM_LEVELS = 3, RANDOM_SETS = 10000 };

typedef struct RandomSet {
        ch_place_request request;
        ch_place_source source;
        ch_place_facts facts[RANDOM_GROUPS];
        ch_place_level levels[RANDOM_GROUPS][RANDOM_LEVELS];
        size_t n;
} RandomSet;

static void fill_facts(RandomSet *set, size_t i, uint64_t *state)
{
        static const char *const names[RANDOM_GROUPS] = { "/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h" };
        ch_place_facts *facts = &set->facts[i];

        *facts = (ch_place_facts){
                .group = names[i],
                .limit_bytes = random_bytes(state),
                .used_bytes = random_bytes(state),
                .claimed_bytes = random_bytes(state),
                .already_bytes = random_bytes(state),
                .slack_bytes = random_bytes(state),
                .here_bytes = random_bytes(state),
                .movable_bytes = random_bytes(state),
                .extra_bytes = random_bytes(state),
                .left_bytes = random_bytes(state),
                .shared_here_bytes = random_bytes(state),
                .shared_apart_bytes = random_bytes(state),
                .cpus_milli = (uint32_t)random_bytes(state),
                .cpus_used_milli = (uint32_t)random_bytes(state),
                .nodes = random_bytes(state),
                .refused = next_random(state) % 16 ? NULL : "is a test",
        };
        for (size_t k = 0; k < 3; k++)
                facts->pressure_permyriad[k] = (uint32_t)(next_random(state) % 10500);
        for (size_t k = 0; k < RANDOM_LEVELS; k++)
                set->levels[i][k] = (ch_place_level){
                        .path = names[k],
                        .limit_bytes = random_bytes(state),
                        .used_bytes = random_bytes(state),
                        .cache_bytes = random_bytes(state),
                        .claimed_bytes = random_bytes(state),
                        .already_bytes = random_bytes(state),
                };
        if (next_random(state) % 2)
                return;
        facts->levels = set->levels[i];
        facts->n_levels = next_random(state) % (RANDOM_LEVELS + 1);
}

static void fill_set(RandomSet *set, uint64_t *state)
{
        set->n = next_random(state) % RANDOM_GROUPS + 1;
        set->request = (ch_place_request){
                .bytes = random_bytes(state),
                .cpus_milli = (uint32_t)random_bytes(state),
                .nodes = random_bytes(state),
                .policy = (ch_place_policy)(next_random(state) % CH_PLACE_POLICY_MAX_),
        };
        for (size_t i = 0; i < CH_PLACE_TERM_MAX_ && next_random(state) % 4 == 0; i++)
                set->request.weights.weight[i] = (uint32_t)(next_random(state) % 10001);
        set->source = (ch_place_source){ .resident_bytes = random_bytes(state),
                                         .shared_bytes = random_bytes(state) };
        for (size_t i = 0; i < 4; i++)
                set->source.node_bytes[i] = random_bytes(state);
        for (size_t i = 0; i < set->n; i++)
                fill_facts(set, i, state);
}

static int lacks_at(const ch_place_request *request, const ch_place_facts *facts, uint64_t limit,
                    uint64_t used, uint64_t claimed, uint64_t already)
{
        uint64_t coming = sub_u64(facts->movable_bytes, already), room = limit;
        const uint64_t parts[] = { used, claimed, request->bytes, coming, coming ? facts->extra_bytes : 0 };

        for (size_t i = 0; i < ELEMENTSOF(parts) && limit != UINT64_MAX; i++) {
                /* what is over the limit already hurts only who asks for more */
                if (i >= 2 && parts[i] > room)
                        return 1;
                room = sub_u64(room, parts[i]);
        }
        return 0;
}

/* Room, reckoned in another way than place_find_room() does. */
static int lacks_room(const ch_place_request *request, const ch_place_facts *facts)
{
        int lacks = 0;

        if (!facts->levels)
                return lacks_at(request, facts, facts->limit_bytes, facts->used_bytes, facts->claimed_bytes,
                                facts->already_bytes);
        for (size_t i = 0; i < facts->n_levels; i++)
                lacks |= lacks_at(request, facts, facts->levels[i].limit_bytes, facts->levels[i].used_bytes,
                                  facts->levels[i].claimed_bytes, facts->levels[i].already_bytes);
        return lacks;
}

static void check_scores(const RandomSet *set, const ch_place_score *scores, int r)
{
        int n_fit = 0;

        for (size_t i = 0; i < set->n; i++) {
                const ch_place_score *score = &scores[i];
                const ch_place_facts *facts = &set->facts[score->index];

                assert_ptr_equal(score->group, facts->group);
                assert_int_equal(score->fits, !facts->refused && !lacks_room(&set->request, facts));
                assert_true(score->score <= 10000);
                for (size_t k = 0; k < CH_PLACE_TERM_MAX_; k++)
                        assert_true(score->terms[k] <= 10000);
                assert_true(strlen(score->reason) > 8);
                n_fit += score->fits;
                if (i == 0)
                        continue;
                assert_true(scores[i - 1].fits >= score->fits);
                if (scores[i - 1].fits && score->fits)
                        assert_true(scores[i - 1].score >= score->score);
        }
        assert_int_equal(r, n_fit ? 0 : -ENOSPC);
}

static void check_permutation(const RandomSet *set, const ch_place_score *scores, uint64_t *state)
{
        ch_place_score again[RANDOM_GROUPS];
        RandomSet mixed = *set;

        for (size_t i = mixed.n - 1; i > 0; i--) {
                size_t k = next_random(state) % (i + 1);
                ch_place_facts facts = mixed.facts[i];

                mixed.facts[i] = mixed.facts[k];
                mixed.facts[k] = facts;
        }
        (void)ch_place_choose(&mixed.request, &mixed.source, mixed.facts, mixed.n, again);
        for (size_t i = 0; i < set->n; i++) {
                assert_ptr_equal(again[i].group, scores[i].group);
                assert_int_equal(again[i].score, scores[i].score);
                assert_string_equal(again[i].reason, scores[i].reason);
        }
}

/* Less use, fewer claims or more that is there already never make a candidate worse off for room, nor lower its headroom. */
static void check_monotone(const RandomSet *set, const ch_place_score *scores, uint64_t *state)
{
        size_t place = next_random(state) % set->n, index = scores[place].index;
        ch_place_score better[RANDOM_GROUPS];
        RandomSet eased = *set;

        for (size_t k = 0; k < RANDOM_LEVELS; k++) {
                ch_place_level *level = &eased.levels[index][k];

                if (next_random(state) % 2)
                        level->claimed_bytes -= min_u64(level->claimed_bytes, random_bytes(state));
                if (next_random(state) % 2)
                        level->used_bytes -= min_u64(level->used_bytes, random_bytes(state));
                if (next_random(state) % 2 && level->already_bytes < UINT64_MAX / 2)
                        level->already_bytes += random_bytes(state) / 2;
        }
        if (eased.facts[index].levels)
                eased.facts[index].levels = eased.levels[index];
        eased.facts[index].used_bytes /= 2;
        (void)ch_place_choose(&eased.request, &eased.source, eased.facts, eased.n, better);
        for (size_t i = 0; i < set->n; i++) {
                if (better[i].index != index)
                        continue;
                assert_true(better[i].fits >= scores[place].fits);
                assert_true(better[i].short_bytes <= scores[place].short_bytes);
                assert_true(better[i].terms[CH_PLACE_TERM_HEADROOM] >= scores[place].terms[CH_PLACE_TERM_HEADROOM]);
                assert_true(better[i].terms[CH_PLACE_TERM_FULLNESS] <= scores[place].terms[CH_PLACE_TERM_FULLNESS]);
        }
}

static void test_random_candidates(void **state)
{
        uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
        ch_place_score scores[RANDOM_GROUPS];
        static RandomSet set;

        for (size_t i = 0; i < RANDOM_SETS; i++) {
                int r;

                fill_set(&set, &random);
                r = ch_place_choose(&set.request, &set.source, set.facts, set.n, scores);
                check_scores(&set, scores, r);
                check_permutation(&set, scores, &random);
                check_monotone(&set, scores, &random);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_candidates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
