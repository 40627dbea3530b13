/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a set's memory can be moved: blocks, budget, reasons. Runs of pages are made up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "charges.h"
#include "util.h"

#define PAGE UINT64_C(4096)
#define HUGE_BYTES (512 * PAGE)
#define BASE (UINT64_C(64) << 30)

enum { HERE = 10, THERE = 20, THIRD = 30 };

static void start(Charges *c, uint32_t flags, uint64_t begin, uint64_t end)
{
        const Mapping mapping = { .start = begin, .end = end, .flags = flags };

        *c = (Charges) CHARGES_INIT;
        c->backends = ~0u;
        c->traits = (CollapseTraits) { .available = 1 };
        assert_int_equal(array_reserve(&c->mms, &c->mms_allocated, 1, sizeof(*c->mms)), 0);
        c->mms[0] = (ChargeMm) { .pid = 1, .dest_id = THERE };
        c->n_mms = 1;
        assert_int_equal(charges_add_mapping(c, &mapping), 0);
}

static void add(Charges *c, uint64_t page, uint64_t n, uint64_t group, ch_kind kind, uint32_t flags)
{
        const PageRun run = {
                .start = BASE + page * PAGE, .end = BASE + (page + n) * PAGE, .group_id = group, .kind = kind, .flags = flags,
        };

        assert_int_equal(charges_add_run(c, &run), 0);
}

static void test_edges_are_small(void **state)
{
        _cleanup_(charges_donep) Charges c;

        /* two whole blocks between half a block and half a block */
        start(&c, MAPPING_WRITABLE, BASE + HUGE_BYTES / 2, BASE + 3 * HUGE_BYTES + HUGE_BYTES / 2);
        add(&c, 256, 1536, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 100), 0);
        assert_int_equal(c.n_blocks, 2);
        assert_int_equal(c.movable_bytes, 2 * HUGE_BYTES);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_SMALL], HUGE_BYTES);
        assert_int_equal(c.anon_bytes, 3 * HUGE_BYTES);
        assert_int_equal(c.rows[0].movable_bytes, 2 * HUGE_BYTES);
}

static void test_what_is_there_already(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE, BASE, BASE + 2 * HUGE_BYTES);
        add(&c, 0, 512, THERE, CH_KIND_ANON_THP, PAGERUN_EXCLUSIVE | PAGERUN_HUGE);
        add(&c, 512, 500, THERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        add(&c, 1012, 12, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 0), 0);
        assert_int_equal(c.already_bytes, 1012 * PAGE);
        assert_int_equal(c.movable_bytes, 12 * PAGE);
        assert_false(c.blocks[0].flags & BLOCK_CHOSEN);
        assert_true(c.blocks[1].flags & BLOCK_CHOSEN);
}

/* Ten full blocks and three with holes: a budget of 1 % of the resident pages pays for the one with the fewest only. */
static void test_budget_goes_to_the_fewest_holes(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE, BASE, BASE + 13 * HUGE_BYTES);
        add(&c, 0, 412, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);          /* 100 holes */
        add(&c, 512, 482, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);        /* 30 holes */
        add(&c, 1024, 1, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);         /* 511 holes */
        add(&c, 1536, 5120, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 100), 0);
        assert_true(c.blocks[1].flags & BLOCK_CHOSEN);
        assert_false(c.blocks[0].flags & BLOCK_CHOSEN);
        assert_false(c.blocks[2].flags & BLOCK_CHOSEN);
        assert_int_equal(c.growth_bytes, 30 * PAGE);
        assert_true(c.growth_bytes <= c.resident_bytes / 100);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_SPARSE], 413 * PAGE);
        assert_int_equal(c.movable_bytes, 5602 * PAGE);
        assert_int_equal(c.movable_bytes + c.staying_bytes, c.resident_bytes);
}

/* A kernel that gives holes back moves such blocks too, but not for a page or two. */
static void test_thin_blocks(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE, BASE, BASE + 2 * HUGE_BYTES);
        c.traits.gives_back = 1;
        add(&c, 0, 256, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        add(&c, 512, 8, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 100), 0);
        assert_true(c.blocks[0].flags & BLOCK_THIN);
        assert_false(c.blocks[1].flags & BLOCK_CHOSEN);
        assert_int_equal(c.growth_bytes, 0);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_SPARSE], 8 * PAGE);
}

static void test_shared_and_swapped_cost(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE, BASE, BASE + 3 * HUGE_BYTES);
        add(&c, 0, 512, HERE, CH_KIND_ANON, 0);                          /* copies would be made */
        add(&c, 512, 212, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        add(&c, 724, 300, 0, CH_KIND_SWAP, PAGERUN_SWAPPED);             /* would be swapped in */
        add(&c, 1024, 512, HERE, CH_KIND_ANON_THP, PAGERUN_HUGE);        /* shared: cannot be split */
        assert_int_equal(charges_choose(&c, 100), 0);
        assert_int_equal(c.movable_bytes, 0);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_SHARED], HUGE_BYTES);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_SWAPPED], 212 * PAGE);
        assert_int_equal(c.staying[CH_KIND_SWAP][CH_REASON_SWAPPED], 300 * PAGE);
        assert_int_equal(c.staying[CH_KIND_ANON_THP][CH_REASON_SHARED], HUGE_BYTES);
}

/* In place: edges, holes, forbidden huge pages and private copies of file pages are no matter, pages that others map are. */
static void test_recharged_blocks(void **state)
{
        const Mapping copies = { .start = BASE + 4 * HUGE_BYTES, .end = BASE + 5 * HUGE_BYTES, .flags = MAPPING_FILE | MAPPING_WRITABLE };
        uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_] = { 0 };
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE | MAPPING_NOHUGEPAGE, BASE + HUGE_BYTES / 2, BASE + 3 * HUGE_BYTES + HUGE_BYTES / 2);
        c.recharge = 1;
        add(&c, 256, 10, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);         /* an edge */
        add(&c, 512, 512, HERE, CH_KIND_ANON_THP, PAGERUN_EXCLUSIVE | PAGERUN_HUGE);
        add(&c, 1024, 2, HERE, CH_KIND_ANON, 0);                         /* somebody else maps them */
        add(&c, 1536, 256, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);       /* the other edge */
        assert_int_equal(charges_add_mapping(&c, &copies), 0);
        add(&c, 2048, 7, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 0), 0);
        assert_int_equal(c.n_blocks, 5);
        assert_int_equal(c.blocks[0].start, BASE + HUGE_BYTES / 2);
        assert_int_equal(block_end(&c, &c.blocks[0]), BASE + HUGE_BYTES);
        assert_int_equal(block_end(&c, &c.blocks[3]), BASE + 3 * HUGE_BYTES + HUGE_BYTES / 2);
        assert_false(c.blocks[2].flags & BLOCK_CHOSEN);
        assert_int_equal(c.movable_bytes, (10 + 512 + 256 + 7) * PAGE);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_FORBIDDEN], 2 * PAGE);
        assert_int_equal(c.growth_bytes, 0);
        charges_sum_backends(&c, sums);
        assert_int_equal(sums[CH_BACKEND_RECHARGE][CH_KIND_ANON], (10 + 256 + 7) * PAGE);
        assert_int_equal(sums[CH_BACKEND_RECHARGE][CH_KIND_ANON_THP], HUGE_BYTES);
        assert_int_equal(sums[CH_BACKEND_COLLAPSE][CH_KIND_ANON], 0);
}

/* Shared memory, and pages of others, only if they are asked for. */
static void test_recharged_shared(void **state)
{
        for (int with_shared = 0; with_shared < 2; with_shared++) {
                _cleanup_(charges_donep) Charges c;

                start(&c, MAPPING_WRITABLE | MAPPING_SHARED | MAPPING_SHMEM, BASE, BASE + HUGE_BYTES);
                c.recharge = 1;
                c.with_shared = with_shared;
                add(&c, 0, 100, HERE, CH_KIND_SHMEM, 0);
                assert_int_equal(charges_choose(&c, 0), 0);
                assert_int_equal(c.movable_bytes, with_shared ? 100 * PAGE : 0);
                assert_int_equal(c.staying[CH_KIND_SHMEM][CH_REASON_SHMEM], with_shared ? 0 : 100 * PAGE);
        }
}

typedef struct WholeCase {
        uint32_t mapping, run;
        ch_kind kind;
        int forbids, foreign, no_backend;
        ch_reason reason;
} WholeCase;

static const WholeCase whole_cases[] = {
        { MAPPING_WRITABLE, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .forbids = 1, .reason = CH_REASON_FORBIDDEN },
        { MAPPING_WRITABLE | MAPPING_NOHUGEPAGE, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .reason = CH_REASON_FORBIDDEN },
        { MAPPING_WRITABLE, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .foreign = 1, .reason = CH_REASON_FOREIGN_OWNER },
        { MAPPING_WRITABLE, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .no_backend = 1, .reason = CH_REASON_BACKEND },
        { 0, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .reason = CH_REASON_BACKEND },    /* read-only, on 6.1 */
        { MAPPING_WRITABLE | MAPPING_LOCKED, PAGERUN_EXCLUSIVE | PAGERUN_HUGE, CH_KIND_ANON_THP,
          .reason = CH_REASON_LOCKED },
        { MAPPING_WRITABLE | MAPPING_SHMEM | MAPPING_SHARED, PAGERUN_EXCLUSIVE, CH_KIND_SHMEM, .reason = CH_REASON_SHMEM },
        { MAPPING_WRITABLE | MAPPING_HUGETLB, PAGERUN_EXCLUSIVE, CH_KIND_HUGETLB, .reason = CH_REASON_HUGETLB },
        { MAPPING_WRITABLE | MAPPING_SPECIAL, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .reason = CH_REASON_PINNED },
        { MAPPING_FILE, 0, CH_KIND_FILE, .reason = CH_REASON_SHARED },
        { MAPPING_FILE | MAPPING_LOCKED, PAGERUN_EXCLUSIVE, CH_KIND_FILE, .reason = CH_REASON_LOCKED },
        { MAPPING_FILE | MAPPING_SHARED | MAPPING_WRITABLE, PAGERUN_EXCLUSIVE, CH_KIND_FILE, .reason = CH_REASON_DIRTY },
        { MAPPING_FILE, PAGERUN_EXCLUSIVE, CH_KIND_FILE, .no_backend = 1, .reason = CH_REASON_BACKEND },
        { MAPPING_FILE | MAPPING_WRITABLE, PAGERUN_EXCLUSIVE, CH_KIND_ANON, .reason = CH_REASON_SMALL },
};

static void test_reasons(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(whole_cases); i++) {
                const WholeCase *w = &whole_cases[i];
                _cleanup_(charges_donep) Charges c;

                start(&c, w->mapping, BASE, BASE + HUGE_BYTES);
                c.mms[0].forbids_huge = w->forbids;
                c.mms[0].foreign_owner = w->foreign;
                if (w->no_backend)
                        c.backends = 0;
                add(&c, 0, 512, HERE, w->kind, w->run);
                assert_int_equal(charges_choose(&c, 100), 0);
                assert_int_equal(c.movable_bytes, 0);
                assert_int_equal(c.staying[w->kind][w->reason], HUGE_BYTES);
        }
}

static void test_file_pages_are_dropped(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_FILE, BASE, BASE + HUGE_BYTES);
        add(&c, 0, 8, HERE, CH_KIND_FILE, PAGERUN_EXCLUSIVE);
        add(&c, 8, 8, HERE, CH_KIND_FILE, PAGERUN_EXCLUSIVE);
        add(&c, 16, 8, THERE, CH_KIND_FILE, PAGERUN_EXCLUSIVE);
        add(&c, 24, 8, THIRD, CH_KIND_FILE, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 100), 0);
        assert_int_equal(c.n_drops, 2);
        assert_int_equal(c.drops[0].end - c.drops[0].start, 16 * PAGE);
        assert_int_equal(c.movable_bytes, 24 * PAGE);
        assert_int_equal(charges_sum_from(&c, HERE), 16 * PAGE);
        assert_int_equal(charges_sum_from(&c, THIRD), 8 * PAGE);
        assert_int_equal(c.growth_bytes, 0);
}

/* On the way back only what the target pays for is touched. */
static void test_only_from_one_group(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE, BASE, BASE + 2 * HUGE_BYTES);
        c.only_from_id = HERE;
        add(&c, 0, 512, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        add(&c, 512, 512, THIRD, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(charges_choose(&c, 100), 0);
        assert_int_equal(c.movable_bytes, HUGE_BYTES);
        assert_false(c.blocks[1].flags & BLOCK_CHOSEN);
}

static void test_uncharged_pages_are_holes(void **state)
{
        _cleanup_(charges_donep) Charges c;

        start(&c, MAPPING_WRITABLE, BASE, BASE + HUGE_BYTES);
        add(&c, 0, 500, HERE, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        add(&c, 500, 12, 0, CH_KIND_UNCHARGED, 0);
        assert_int_equal(block_cost(&c, &c.blocks[0]), 12);
        assert_int_equal(c.resident_bytes, 500 * PAGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_edges_are_small),
                cmocka_unit_test(test_recharged_blocks),
                cmocka_unit_test(test_recharged_shared),
                cmocka_unit_test(test_what_is_there_already),
                cmocka_unit_test(test_budget_goes_to_the_fewest_holes),
                cmocka_unit_test(test_thin_blocks),
                cmocka_unit_test(test_shared_and_swapped_cost),
                cmocka_unit_test(test_reasons),
                cmocka_unit_test(test_file_pages_are_dropped),
                cmocka_unit_test(test_only_from_one_group),
                cmocka_unit_test(test_uncharged_pages_are_holes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
