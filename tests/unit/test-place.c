/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Placement, the pure part: terms, policies, ties, refusals, and what people write. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"
#include "place.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const ch_place_source no_source;

static uint32_t term_of(ch_place_term term, const ch_place_request *request,
                        const ch_place_source *source, const ch_place_facts *facts)
{
        ch_place_score score;

        (void)ch_place_choose(request, source, facts, 1, &score);
        return score.terms[term];
}

static void test_share(void **state)
{
        static const struct {
                uint64_t part, whole;
                uint32_t share;
        } cases[] = {
                { 0, 0, 10000 },
                { 0, 1, 0 },
                { 1, 2, 5000 },
                { 1, 3, 3333 },
                { 3, 2, 10000 },
                { UINT64_MAX, UINT64_MAX, 10000 },
                { UINT64_MAX / 2, UINT64_MAX, 5000 },
                { UINT64_MAX - 1, UINT64_MAX, 10000 },
                { UINT64_MAX / 10000, UINT64_MAX, 0 },
                { UINT64_MAX / 10000 + 1, UINT64_MAX, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(place_share(cases[i].part, cases[i].whole), cases[i].share);
}

static void test_headroom(void **state)
{
        static const struct {
                uint64_t bytes, limit, used, claimed;
                uint32_t term;
                uint64_t short_bytes;
        } cases[] = {
                { 0, 4 * GIB, 0, 0, 5263, 0 },
                { GIB, 4 * GIB, 0, 0, 5131, 0 },
                { GIB, 4 * GIB, GIB, 0, 5000, 0 },
                { GIB, 4 * GIB, GIB, GIB, 4736, 0 },
                { GIB, 4 * GIB, 2 * GIB, GIB, 0, 0 },
                { GIB, 4 * GIB, 2 * GIB, GIB + 1, 0, 1 },
                { GIB, 4 * GIB, 9 * GIB, 0, 0, GIB },
                { 0, 4 * GIB, 9 * GIB, 0, 0, 0 },
                { 0, 0, 0, 0, 0, 0 },
                { 1, 0, 0, 0, 0, 1 },
                { GIB, UINT64_MAX, 3 * GIB, GIB, 10000, 0 },
                { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 10000, 0 },
                { UINT64_MAX, UINT64_MAX - 1, 0, 0, 0, 1 },
                { UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX, 0, UINT64_MAX - 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const ch_place_request request = { .bytes = cases[i].bytes };
                const ch_place_facts facts = {
                        .group = "/a",
                        .limit_bytes = cases[i].limit,
                        .used_bytes = cases[i].used,
                        .claimed_bytes = cases[i].claimed,
                };
                ch_place_score score;
                int r = ch_place_choose(&request, &no_source, &facts, 1, &score);

                assert_int_equal(r, cases[i].short_bytes ? -ENOSPC : 0);
                assert_int_equal(score.fits, !cases[i].short_bytes);
                assert_int_equal(score.short_bytes, cases[i].short_bytes);
                assert_int_equal(score.terms[CH_PLACE_TERM_HEADROOM], cases[i].term);
        }
}

/* Charges that are on an account already need no room there; what comes along needs more than its size for a moment. */
static void test_needed(void **state)
{
        static const struct {
                uint64_t bytes, movable, already, extra, needed;
        } cases[] = {
                { 10 * MIB, 0, 0, 5 * MIB, 10 * MIB },
                { 10 * MIB, 90 * MIB, 0, 5 * MIB, 105 * MIB },
                { 10 * MIB, 90 * MIB, 80 * MIB, 5 * MIB, 25 * MIB },
                { 10 * MIB, 90 * MIB, 90 * MIB, 5 * MIB, 10 * MIB },
                { 0, 90 * MIB, 95 * MIB, 5 * MIB, 0 },
                { 1, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const ch_place_request request = { .bytes = cases[i].bytes };
                const ch_place_facts facts = {
                        .group = "/a",
                        .limit_bytes = GIB,
                        .already_bytes = cases[i].already,
                        .movable_bytes = cases[i].movable,
                        .extra_bytes = cases[i].extra,
                };
                ch_place_score score;

                (void)ch_place_choose(&request, &no_source, &facts, 1, &score);
                assert_int_equal(score.needed_bytes, cases[i].needed);
        }
}

/* The level with the least left decides; the share left at the next tightest counts a little. */
static void test_levels(void **state)
{
        const ch_place_request request = { .bytes = GIB };
        const ch_place_level levels[] = {
                { .path = "/a/b", .limit_bytes = 4 * GIB, .used_bytes = GIB },
                { .path = "/a", .limit_bytes = UINT64_MAX, .used_bytes = 30 * GIB },
                { .path = CH_PLACE_MACHINE, .limit_bytes = 64 * GIB, .used_bytes = 57 * GIB },
        };
        ch_place_facts facts = { .group = "/a/b", .levels = levels, .n_levels = 3 };
        ch_place_score score;

        assert_int_equal(ch_place_choose(&request, &no_source, &facts, 1, &score), 0);
        assert_string_equal(score.level.path, "/a/b");
        assert_int_equal(score.free_bytes, 3 * GIB);
        /* 2 GiB are 2^19 pages of 2^38; the next limit is half full: 5000 × (0.9 + 0.05) */
        assert_int_equal(score.terms[CH_PLACE_TERM_HEADROOM], 4750);
        assert_string_equal(score.reason, "fits: 2.0 GiB free after it at /a/b (limit 4.0 GiB, 1.0 GiB used), "
                                          "9 % of the machine");

        facts.n_levels = 1;
        assert_int_equal(ch_place_choose(&request, &no_source, &facts, 1, &score), 0);
        assert_int_equal(score.terms[CH_PLACE_TERM_HEADROOM], 5000);
        facts.n_levels = 0;
        assert_int_equal(ch_place_choose(&request, &no_source, &facts, 1, &score), 0);
        assert_int_equal(score.level.limit_bytes, UINT64_MAX);
        assert_int_equal(score.terms[CH_PLACE_TERM_HEADROOM], 10000);
        assert_string_equal(score.reason, "fits: there is no limit above it");
}

static void test_the_largest_lack_is_told(void **state)
{
        const ch_place_request request = { .bytes = 2 * GIB };
        const ch_place_level levels[] = {
                { .path = "/a/b", .limit = "memory.high", .limit_bytes = 4 * GIB,
                  .used_bytes = 3 * GIB, .claimed_bytes = 512 * MIB },
                { .path = "/a", .limit = "memory.max", .limit_bytes = 8 * GIB,
                  .used_bytes = 7 * GIB },
        };
        const ch_place_facts facts = { .group = "/a/b", .levels = levels, .n_levels = 2 };
        ch_place_score score;

        assert_int_equal(ch_place_choose(&request, &no_source, &facts, 1, &score), -ENOSPC);
        assert_int_equal(score.short_bytes, GIB + 512 * MIB);
        assert_string_equal(score.reason, "lacks 1.5 GiB of 2.0 GiB at /a/b (memory.high 4.0 GiB, "
                                          "3.0 GiB used, claimed 512.0 MiB)");
}

/* Below an ancestor that is fuller than they are, groups still differ. */
static void test_siblings_below_a_full_parent(void **state)
{
        const ch_place_request request = { .bytes = MIB };
        const ch_place_level parent = { .path = "/p", .limit_bytes = 100 * GIB,
                                        .used_bytes = 95 * GIB };
        const ch_place_level full[] = { { .path = "/p/full", .limit_bytes = 10 * GIB,
                                          .used_bytes = 9 * GIB }, parent };
        const ch_place_level empty[] = { { .path = "/p/empty", .limit_bytes = 10 * GIB,
                                           .used_bytes = 2 * GIB }, parent };
        const ch_place_level none[] = { parent };
        const ch_place_facts facts[] = {
                { .group = "/p/full", .levels = full, .n_levels = 2 },
                { .group = "/p/empty", .levels = empty, .n_levels = 2 },
                { .group = "/p/none", .levels = none, .n_levels = 1 },
        };
        ch_place_score scores[3];

        assert_int_equal(ch_place_choose(&request, &no_source, facts, 3, scores), 0);
        assert_string_equal(scores[0].group, "/p/none");
        assert_string_equal(scores[1].group, "/p/empty");
        assert_string_equal(scores[2].group, "/p/full");
        assert_int_equal(scores[2].index, 0);
}

static void test_cache_speaks_for_a_group_but_makes_no_room(void **state)
{
        const ch_place_level level = { .path = "/a", .limit_bytes = 4 * GIB, .used_bytes = 3 * GIB,
                                       .cache_bytes = 2 * GIB };
        const ch_place_facts facts = { .group = "/a", .levels = &level, .n_levels = 1 };
        ch_place_request request = { .bytes = GIB };
        ch_place_score score;

        assert_int_equal(ch_place_choose(&request, &no_source, &facts, 1, &score), 0);
        /* 2 GiB would be left */
        assert_int_equal(score.terms[CH_PLACE_TERM_HEADROOM], 5000);
        assert_non_null(strstr(score.reason, "3.0 GiB used, of it 2.0 GiB cache"));
        request.bytes++;
        assert_int_equal(ch_place_choose(&request, &no_source, &facts, 1, &score), -ENOSPC);
        assert_int_equal(score.short_bytes, 1);
}

static void test_fullness(void **state)
{
        static const struct {
                uint64_t bytes, limit, used;
                uint32_t low, high;
        } cases[] = {
                { GIB, 4 * GIB, 3 * GIB, 10000, 10000 },
                { GIB, 4 * GIB, 3 * GIB - 4096, 9730, 9750 },
                { GIB, 2 * GIB, 0, 5200, 5300 },
                { GIB, 3 * GIB, 0, 4900, 5100 },
                { GIB, UINT64_MAX, 0, 0, 0 },
                { 0, 0, 0, 10000, 10000 },
        };
        uint32_t before = 10000;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const ch_place_request request = { .bytes = cases[i].bytes };
                const ch_place_facts facts = { .group = "/a", .limit_bytes = cases[i].limit,
                                               .used_bytes = cases[i].used };
                uint32_t term = term_of(CH_PLACE_TERM_FULLNESS, &request, &no_source, &facts);

                assert_in_range(term, cases[i].low, cases[i].high);
        }
        /* each doubling of what is left counts the same, down to 4 KiB and up to 1 PiB */
        for (unsigned shift = 12; shift < 64; shift++) {
                const ch_place_request request = { 0 };
                const ch_place_facts facts = { .group = "/a", .limit_bytes = UINT64_C(1) << shift };
                uint32_t term = term_of(CH_PLACE_TERM_FULLNESS, &request, &no_source, &facts);

                assert_true(term < before || (term == 0 && shift > 49));
                before = term;
        }
}

static void test_charges_and_sharing(void **state)
{
        static const struct {
                uint64_t resident, shared, here, movable, left, shared_here, shared_apart;
                uint32_t charges, sharing;
        } cases[] = {
                { 0, 0, 0, 0, 0, 0, 0, 10000, 10000 },
                { 100, 0, 0, 100, 0, 0, 0, 10000, 10000 },
                { 100, 0, 0, 75, 25, 0, 0, 7500, 10000 },
                { 100, 0, 50, 25, 25, 0, 0, 7500, 10000 },
                { 100, 40, 0, 0, 100, 40, 0, 0, 10000 },
                { 100, 40, 0, 0, 100, 0, 40, 0, 6000 },
                { 100, 40, 0, 0, 100, 30, 10, 0, 9000 },
                { 0, 40, 0, 0, 0, 10, 30, 10000, 2500 },
                { 0, 0, 0, 0, 0, 0, 30, 10000, 0 },
                { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                  UINT64_MAX, 10000, 0 },
        };
        const ch_place_request request = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const ch_place_source source = { .resident_bytes = cases[i].resident,
                                                 .shared_bytes = cases[i].shared };
                const ch_place_facts facts = {
                        .group = "/a",
                        .limit_bytes = UINT64_MAX,
                        .here_bytes = cases[i].here,
                        .movable_bytes = cases[i].movable,
                        .left_bytes = cases[i].left,
                        .shared_here_bytes = cases[i].shared_here,
                        .shared_apart_bytes = cases[i].shared_apart,
                };

                assert_int_equal(term_of(CH_PLACE_TERM_CHARGES, &request, &source, &facts),
                                 cases[i].charges);
                assert_int_equal(term_of(CH_PLACE_TERM_SHARING, &request, &source, &facts),
                                 cases[i].sharing);
        }
}

static void test_pressure_cpu_and_nodes(void **state)
{
        static const struct {
                uint32_t memory, cpu, io, calm;
        } pressures[] = {
                { 0, 0, 0, 10000 },         { 1000, 0, 0, 9000 },   { 0, 0, 1000, 9000 },
                { 5000, 5000, 0, 2500 },    { 10000, 0, 0, 0 },     { UINT32_MAX, 0, 0, 0 },
                { 5000, 5000, 5000, 1250 },
        };
        static const struct {
                uint32_t asked, limit, used, term;
        } cpus[] = {
                { 0, 0, 0, 10000 },      { 1000, UINT32_MAX, 5000, 10000 }, { 1000, 2000, 0, 10000 },
                { 1000, 2000, 1500, 5000 }, { 1000, 500, 600, 0 },
        };
        static const struct {
                uint64_t wanted, allowed, node0, node1;
                uint32_t term;
        } nodes[] = {
                { 0, 0, 5, 5, 10000 }, { 0, 1, 5, 5, 5000 },  { 0, 3, 5, 5, 10000 }, { 3, 1, 0, 0, 5000 },
                { 2, 1, 5, 0, 0 },     { 2, 0, 5, 5, 10000 }, { 0, 2, 30, 10, 2500 },
        };

        for (size_t i = 0; i < ELEMENTSOF(pressures); i++) {
                const ch_place_facts facts = {
                        .group = "/a",
                        .pressure_permyriad = { pressures[i].memory, pressures[i].cpu, pressures[i].io },
                };

                assert_int_equal(term_of(CH_PLACE_TERM_PRESSURE, &(ch_place_request){ 0 }, NULL, &facts),
                                 pressures[i].calm);
        }
        for (size_t i = 0; i < ELEMENTSOF(cpus); i++) {
                const ch_place_request request = { .cpus_milli = cpus[i].asked };
                const ch_place_facts facts = { .group = "/a", .cpus_milli = cpus[i].limit,
                                               .cpus_used_milli = cpus[i].used };

                assert_int_equal(term_of(CH_PLACE_TERM_CPU, &request, NULL, &facts), cpus[i].term);
        }
        for (size_t i = 0; i < ELEMENTSOF(nodes); i++) {
                const ch_place_request request = { .nodes = nodes[i].wanted };
                const ch_place_source source = { .node_bytes = { nodes[i].node0, nodes[i].node1 } };
                const ch_place_facts facts = { .group = "/a", .nodes = nodes[i].allowed };

                assert_int_equal(term_of(CH_PLACE_TERM_NODES, &request, &source, &facts), nodes[i].term);
        }
}

/* /big has the most room, /small the least that suffices, /home what is shared. */
static void test_policies(void **state)
{
        static const struct {
                ch_place_policy policy;
                const char *group;
        } cases[] = {
                { CH_PLACE_POLICY_SPREAD, "/big" },
                { CH_PLACE_POLICY_PACK, "/small" },
                { CH_PLACE_POLICY_AFFINITY, "/home" },
        };
        const ch_place_source source = { .resident_bytes = 100 * MIB, .shared_bytes = 10 * MIB };
        const ch_place_facts facts[] = {
                { .group = "/home", .limit_bytes = 4 * GIB, .used_bytes = 3 * GIB, .shared_here_bytes = 10 * MIB },
                { .group = "/small", .limit_bytes = GIB, .used_bytes = 512 * MIB, .shared_apart_bytes = 10 * MIB },
                { .group = "/big", .limit_bytes = 8 * GIB, .used_bytes = GIB, .shared_apart_bytes = 10 * MIB },
                { .group = "/full", .limit_bytes = 8 * GIB, .used_bytes = 8 * GIB },
        };
        ch_place_score scores[4];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const ch_place_request request = { .bytes = 100 * MIB, .policy = cases[i].policy };

                assert_int_equal(ch_place_choose(&request, &source, facts, 4, scores), 0);
                assert_string_equal(scores[0].group, cases[i].group);
                assert_string_equal(scores[3].group, "/full");
                assert_false(scores[3].fits);
        }
        assert_non_null(strstr(scores[0].reason, "; shares 10.0 MiB with processes there"));
        assert_non_null(strstr(scores[1].reason, "; 10.0 MiB would be shared with other groups"));
}

/* The example of docs/placement.md: what is changed here is to be changed there. */
static void test_example_of_the_manual(void **state)
{
        static const struct {
                ch_place_policy policy;
                const char *groups[3];
                uint32_t scores[3];
        } cases[] = {
                { CH_PLACE_POLICY_SPREAD, { "/web/c", "/web/a", "/web/b" }, { 7261, 6901, 6834 } },
                { CH_PLACE_POLICY_PACK, { "/web/b", "/web/a", "/web/c" }, { 7232, 7165, 6427 } },
                { CH_PLACE_POLICY_AFFINITY, { "/web/a", "/web/c", "/web/b" }, { 9385, 9009, 8914 } },
        };
        static const uint32_t terms_of_c[CH_PLACE_TERM_MAX_] = { 5401, 4277, 9150, 9400, 9504, 10000, 10000 };
        const ch_place_level web = { .path = "/web", .limit = "memory.max", .limit_bytes = 32 * GIB,
                                     .used_bytes = 17 * GIB, .claimed_bytes = 512 * MIB };
        const ch_place_level machine = { .path = CH_PLACE_MACHINE, .limit = "memory", .limit_bytes = 64 * GIB,
                                         .used_bytes = 40 * GIB, .claimed_bytes = 512 * MIB,
                                         .already_bytes = 366 * MIB };
        const ch_place_level a[] = { { .path = "/web/a", .limit = "memory.max", .limit_bytes = 4 * GIB,
                                       .used_bytes = 2 * GIB, .claimed_bytes = 512 * MIB }, web, machine };
        const ch_place_level b[] = { { .path = "/web/b", .limit = "memory.high", .limit_bytes = 4 * GIB,
                                       .used_bytes = 3 * GIB, .cache_bytes = 512 * MIB }, web, machine };
        const ch_place_level c[] = { web, machine };
        const ch_place_source source = { .resident_bytes = 400 * MIB, .shared_bytes = 24 * MIB };
        const ch_place_facts facts[] = {
                { .group = "/web/a", .levels = a, .n_levels = 3, .movable_bytes = 366 * MIB, .left_bytes = 10 * MIB,
                  .here_bytes = 24 * MIB, .shared_here_bytes = 24 * MIB, .cpus_milli = UINT32_MAX },
                { .group = "/web/b", .levels = b, .n_levels = 3, .movable_bytes = 366 * MIB, .left_bytes = 34 * MIB,
                  .shared_apart_bytes = 24 * MIB, .cpus_milli = UINT32_MAX },
                { .group = "/web/c", .levels = c, .n_levels = 2, .movable_bytes = 366 * MIB, .left_bytes = 34 * MIB,
                  .shared_apart_bytes = 24 * MIB, .cpus_milli = UINT32_MAX, .pressure_permyriad = { 100, 400, 0 } },
        };
        ch_place_score scores[3];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const ch_place_request request = { .bytes = 146 * MIB, .policy = cases[i].policy };

                assert_int_equal(ch_place_choose(&request, &source, facts, 3, scores), 0);
                for (size_t k = 0; k < 3; k++) {
                        assert_string_equal(scores[k].group, cases[i].groups[k]);
                        assert_int_equal(scores[k].score, cases[i].scores[k]);
                        if (streq(scores[k].group, "/web/c"))
                                assert_memory_equal(scores[k].terms, terms_of_c, sizeof(terms_of_c));
                }
        }
}

/* Packing small requests goes on filling the fullest, also where others are larger by far. */
static void test_pack_small_requests(void **state)
{
        const ch_place_request request = { .bytes = MIB, .policy = CH_PLACE_POLICY_PACK };
        const ch_place_facts facts[] = {
                { .group = "/a", .limit_bytes = 4 * GIB, .used_bytes = 100 * MIB },
                { .group = "/b", .limit_bytes = 4 * GIB, .used_bytes = 3 * GIB, .pressure_permyriad = { 50, 100, 0 } },
                { .group = "/c", .limit_bytes = 400 * GIB, .used_bytes = 390 * GIB },
        };
        ch_place_score scores[3];

        assert_int_equal(ch_place_choose(&request, NULL, facts, 3, scores), 0);
        assert_string_equal(scores[0].group, "/b");
        assert_string_equal(scores[1].group, "/a");
}

static void test_ties_go_by_name(void **state)
{
        const ch_place_request request = { .bytes = 1 };
        const ch_place_facts facts[] = {
                { .group = "/c", .limit_bytes = GIB }, { .group = "/a", .limit_bytes = GIB },
                { .group = "/b", .limit_bytes = GIB },
        };
        ch_place_score scores[3];

        assert_int_equal(ch_place_choose(&request, NULL, facts, 3, scores), 0);
        assert_string_equal(scores[0].group, "/a");
        assert_string_equal(scores[1].group, "/b");
        assert_string_equal(scores[2].group, "/c");
        assert_int_equal(scores[0].index, 1);
}

static void test_nobody_fits(void **state)
{
        _cleanup_(error_freep) ch_error *err = NULL;
        const ch_place_request request = { .bytes = GIB };
        const ch_place_facts facts[] = {
                { .group = "/x", .limit_bytes = GIB, .used_bytes = GIB, .limited_by = "/x" },
                { .group = "/y", .limit_bytes = GIB, .used_bytes = 300 * MIB, .limited_by = "/y", .slack_bytes = GIB },
                { .group = "/z", .limit_bytes = UINT64_MAX, .refused = "frozen: would stop the processes" },
        };
        ch_place_score scores[3];

        assert_int_equal(ch_place_choose(&request, NULL, facts, 3, scores), -ENOSPC);
        assert_string_equal(scores[0].group, "/y");
        assert_string_equal(scores[1].group, "/x");
        assert_string_equal(scores[2].group, "/z");
        assert_string_equal(scores[2].reason, "frozen: would stop the processes");
        assert_int_equal(ch_place_refuse(&request, scores, 3, &err), -ENOSPC);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_NO_ROOM);
        assert_string_equal(ch_error_get_path(err), "/y");
        assert_non_null(strstr(ch_error_get_cause(err),
                               "the closest candidate, /y, lacks 300.0 MiB of 1.0 GiB at /y"));
        assert_non_null(strstr(ch_error_get_cause(err), "314572800 bytes more are needed there"));
        assert_non_null(strstr(ch_error_get_cause(err), "stocks of the CPUs"));
}

static void test_nobody_takes_processes(void **state)
{
        _cleanup_(error_freep) ch_error *err = NULL, *none = NULL;
        const ch_place_request request = { .bytes = GIB };
        const ch_place_facts facts = { .group = "/z", .limit_bytes = UINT64_MAX, .refused = "frozen" };
        ch_place_score score;

        assert_int_equal(ch_place_choose(&request, NULL, &facts, 1, &score), -ENOSPC);
        assert_int_equal(ch_place_refuse(&request, &score, 1, &err), -EBUSY);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_BAD_TARGET);
        assert_int_equal(ch_place_choose(&request, NULL, NULL, 0, NULL), -ENOSPC);
        assert_int_equal(ch_place_refuse(&request, NULL, 0, &none), -EINVAL);
        assert_non_null(strstr(ch_error_get_cause(none), "there is no candidate"));
}

/* However long the path, the reason is a whole sentence in valid UTF-8. */
static void test_reason_of_a_long_path(void **state)
{
        char path[1024];
        const ch_place_request request = { .bytes = GIB };
        const ch_place_facts facts = {
                .group = path, .limited_by = path, .limit_bytes = 4 * GIB, .used_bytes = GIB, .claimed_bytes = GIB,
                .left_bytes = 5 * MIB, .shared_here_bytes = MIB, .shared_apart_bytes = MIB,
                .pressure_permyriad = { 200, 300, 400 },
        };
        ch_place_score score;

        for (size_t start = 0; start < 3; start++) {
                memset(path, 'x', start);
                for (size_t i = start; i + 3 < sizeof(path); i += 3)
                        memcpy(path + i, "€", 4);
                path[0] = '/';
                assert_int_equal(ch_place_choose(&request, NULL, &facts, 1, &score), 0);
                assert_non_null(strstr(score.reason, "…€"));
                assert_true(strlen(score.reason) < sizeof(score.reason));
                assert_non_null(strstr(score.reason, "claimed 1.0 GiB)"));
        }
}

static void test_candidates(void **state)
{
        static const struct {
                const char *groups[3];
                size_t n;
                int ret;
                const char *cause;
        } cases[] = {
                { { "/a", "/b", "/c" }, 3, 0, NULL },
                { { "/a", "/a-b", "/ab" }, 3, 0, NULL },
                { { "/a/b", "/a-", "/a" }, 3, -EINVAL, "'/a/b' is below candidate '/a'" },
                { { "/a/b/c/d", "/b", "/a/b" }, 3, -EINVAL, "'/a/b/c/d' is below candidate '/a/b'" },
                { { "/a", "/" }, 2, -EINVAL, "'/a' is below candidate '/'" },
                { { "/a", "/b", "/a" }, 3, -EINVAL, "'/a' is a candidate twice" },
                { { "/" }, 1, 0, NULL },
                { { "a" }, 1, -EINVAL, NULL },
                { { "/a/../b" }, 1, -EINVAL, NULL },
                { { NULL }, 1, -EINVAL, "candidate 1 has no name" },
                { { NULL }, 0, -EINVAL, "there is no candidate" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(error_freep) ch_error *err = NULL;

                assert_int_equal(ch_place_check_candidates(cases[i].groups, cases[i].n, &err), cases[i].ret);
                assert_int_equal(err != NULL, cases[i].ret < 0);
                if (cases[i].cause)
                        assert_non_null(strstr(ch_error_get_cause(err), cases[i].cause));
        }
}

static void test_weights(void **state)
{
        static const struct {
                const char *text;
                int ret;
                const char *cause;
                uint32_t headroom, sharing;
        } cases[] = {
                { "headroom:3 sharing:10", 0, NULL, 3, 10 },
                { "  sharing:10,headroom:3,", 0, NULL, 3, 10 },
                { "headroom:10000", 0, NULL, 10000, 0 },
                { "", 0, NULL, 0, 0 },
                { "headroom", -EINVAL, "'headroom': there is no ':'", 0, 0 },
                { "headroom:", -EINVAL, "not a number", 0, 0 },
                { "headroom:x", -EINVAL, "not a number", 0, 0 },
                { "headroom:-1", -EINVAL, "not a number", 0, 0 },
                { "headroom:1x sharing:2", -EINVAL, "'headroom:1x'", 0, 0 },
                { "headroom:10001", -EINVAL, "over 10000", 0, 0 },
                { "headroom:99999999999999999999999", -EINVAL, "not a number", 0, 0 },
                { "headroom:1 headroom:2", -EINVAL, "already", 0, 0 },
                { "head:1", -EINVAL, "no term of that name", 0, 0 },
                { ":1", -EINVAL, "no term of that name", 0, 0 },
                { "headroom:0", -EINVAL, "all weights are 0", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(error_freep) ch_error *err = NULL;
                ch_place_weights weights = { .weight = { 77 } };

                assert_int_equal(ch_place_weights_parse(cases[i].text, &weights, &err), cases[i].ret);
                if (cases[i].ret < 0) {
                        assert_int_equal(weights.weight[0], 77);
                        assert_non_null(strstr(ch_error_get_cause(err), cases[i].cause));
                        continue;
                }
                assert_int_equal(weights.weight[CH_PLACE_TERM_HEADROOM], cases[i].headroom);
                assert_int_equal(weights.weight[CH_PLACE_TERM_SHARING], cases[i].sharing);
        }
}

/* Weights that are given count alone; without them the policy's. */
static void test_weights_override_the_policy(void **state)
{
        ch_place_request request = { .bytes = MIB, .policy = CH_PLACE_POLICY_SPREAD };
        const ch_place_facts facts[] = {
                { .group = "/a", .limit_bytes = GIB },
                { .group = "/b", .limit_bytes = GIB, .used_bytes = 900 * MIB },
        };
        ch_place_score scores[2];
        ch_place_weights weights;

        assert_int_equal(ch_place_choose(&request, NULL, facts, 2, scores), 0);
        assert_string_equal(scores[0].group, "/a");
        request.weights.weight[CH_PLACE_TERM_FULLNESS] = 1;
        assert_int_equal(ch_place_choose(&request, NULL, facts, 2, scores), 0);
        assert_string_equal(scores[0].group, "/b");
        assert_int_equal(scores[0].score, scores[0].terms[CH_PLACE_TERM_FULLNESS]);
        ch_place_weights_get(&request.weights, request.policy, &weights);
        assert_memory_equal(&weights, &request.weights, sizeof(weights));
        for (int i = 0; i < CH_PLACE_POLICY_MAX_; i++) {
                ch_place_weights_get(&(ch_place_weights){ 0 }, (ch_place_policy)i, &weights);
                assert_true(weights.weight[CH_PLACE_TERM_SHARING] > 0);
        }
}

static void test_words_and_nodes(void **state)
{
        static const struct {
                const char *text;
                int ret;
                uint64_t nodes;
                const char *shown;
        } cases[] = {
                { "0", 0, 1, "0" },
                { "0-1,3\n", 0, 0xb, "0-1,3" },
                { "", 0, 0, "" },
                { "\n", 0, 0, "" },
                { "3,0-1", 0, 0xb, "0-1,3" },
                { "0-63", 0, UINT64_MAX, "0-63" },
                { "63", 0, UINT64_C(1) << 63, "63" },
                { "64", -ERANGE, 0, NULL },
                { "0-64", -ERANGE, 0, NULL },
                { "3-1", -EINVAL, 0, NULL },
                { "1,", -EINVAL, 0, NULL },
                { "1 2", -EINVAL, 0, NULL },
                { "1-", -EINVAL, 0, NULL },
                { "x", -EINVAL, 0, NULL },
                { "1\n2", -EINVAL, 0, NULL },
        };
        char buffer[CH_PLACE_NODES_FORMAT_MAX];
        ch_place_policy policy;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t nodes = 77;

                assert_int_equal(ch_place_nodes_parse(cases[i].text, &nodes), cases[i].ret);
                assert_int_equal(nodes, cases[i].ret < 0 ? 77 : cases[i].nodes);
                if (cases[i].shown)
                        assert_string_equal(ch_place_nodes_format(nodes, buffer), cases[i].shown);
        }
        /* the longest list there is */
        assert_int_equal(strlen(ch_place_nodes_format(UINT64_C(0x5555555555555555), buffer)), 5 + 27 * 2 + 31);
        for (int i = 0; i < CH_PLACE_POLICY_MAX_; i++) {
                assert_int_equal(ch_place_policy_from_string(ch_place_policy_to_string((ch_place_policy)i), &policy), 0);
                assert_int_equal(policy, i);
        }
        assert_int_equal(ch_place_policy_from_string("Spread", &policy), -EINVAL);
        assert_string_equal(ch_place_term_to_string(CH_PLACE_TERM_SHARING), "sharing");
        assert_string_equal(ch_place_term_to_string((ch_place_term)99), "?");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_share),
                cmocka_unit_test(test_headroom),
                cmocka_unit_test(test_needed),
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_the_largest_lack_is_told),
                cmocka_unit_test(test_siblings_below_a_full_parent),
                cmocka_unit_test(test_cache_speaks_for_a_group_but_makes_no_room),
                cmocka_unit_test(test_fullness),
                cmocka_unit_test(test_charges_and_sharing),
                cmocka_unit_test(test_pressure_cpu_and_nodes),
                cmocka_unit_test(test_policies),
                cmocka_unit_test(test_example_of_the_manual),
                cmocka_unit_test(test_pack_small_requests),
                cmocka_unit_test(test_ties_go_by_name),
                cmocka_unit_test(test_nobody_fits),
                cmocka_unit_test(test_nobody_takes_processes),
                cmocka_unit_test(test_reason_of_a_long_path),
                cmocka_unit_test(test_candidates),
                cmocka_unit_test(test_weights),
                cmocka_unit_test(test_weights_override_the_policy),
                cmocka_unit_test(test_words_and_nodes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
