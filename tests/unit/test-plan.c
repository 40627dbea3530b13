/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room below limits, the words of moves, and requests that name nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"
#include "plan.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

static void test_room(void **state)
{
        static const struct {
                uint64_t limit, current, claimed, needed, free_bytes, short_bytes;
        } cases[] = {
                { 100 * MIB, 40 * MIB, 0, 50 * MIB, 60 * MIB, 0 },
                { 100 * MIB, 40 * MIB, 20 * MIB, 50 * MIB, 40 * MIB, 10 * MIB },
                { 100 * MIB, 140 * MIB, 0, 50 * MIB, 0, 50 * MIB },             /* over memory.high already */
                { 100 * MIB, 90 * MIB, 20 * MIB, 1, 0, 1 },                     /* claimed beyond the limit */
                { UINT64_MAX, 40 * MIB, 20 * MIB, 50 * MIB, UINT64_MAX, 0 },
                { 0, 0, 0, 0, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Room room = {
                        .limit_bytes = cases[i].limit, .current_bytes = cases[i].current,
                        .claimed_bytes = cases[i].claimed, .needed_bytes = cases[i].needed,
                };

                room_compute(&room);
                assert_int_equal(room.free_bytes, cases[i].free_bytes);
                assert_int_equal(room.short_bytes, cases[i].short_bytes);
        }
}

/* /a pays for 30, a removed group for 5; what is below the common ancestor needs room for what it does not pay yet. */
static void test_needed_room_by_ancestor(void **state)
{
        char path[] = "/g/a";
        Payer payers[] = { { .id = 1, .bytes = 30 * MIB, .path = path }, { .id = 2, .bytes = 5 * MIB } };
        ch_plan plan = { .payers = payers, .n_payers = 2, .charges = CHARGES_INIT };
        uint64_t slack = room_slack_bytes(&plan.charges);

        plan.charges.growth_bytes = MIB;
        assert_true(slack >= 2 * MIB);
        assert_int_equal(room_needed_bytes(&plan, "/g/b"), 36 * MIB + slack);
        assert_int_equal(room_needed_bytes(&plan, "/g"), 6 * MIB + slack);
        plan.n_payers = 1;
        assert_int_equal(room_needed_bytes(&plan, "/g"), 0);
        assert_int_equal(room_needed_bytes(&plan, "/"), 0);
        plan.n_payers = 0;
        assert_int_equal(room_needed_bytes(&plan, "/g/b"), 0);
}

static void test_room_error_says_what_to_do(void **state)
{
        _cleanup_(error_freep) ch_error *err = NULL;
        char group[] = "/g/b";
        Room room = {
                .group = group, .limit = "memory.max", .limit_bytes = 32, .current_bytes = 30, .claimed_bytes = 1,
                .needed_bytes = 10,
        };

        room_compute(&room);
        assert_int_equal(room_error(&room, &err), -ENOSPC);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_NO_ROOM);
        assert_string_equal(ch_error_get_path(err), "/g/b");
        assert_non_null(strstr(ch_error_get_cause(err), "memory.max is 32"));
        assert_non_null(strstr(ch_error_get_cause(err), "(9 bytes) short; raise memory.max by that"));
}

static void test_words(void **state)
{
        ch_policy policy;
        ch_backend backend;
        ch_step step;

        for (int i = 0; i < CH_POLICY_MAX_; i++) {
                assert_int_equal(ch_policy_from_string(ch_policy_to_string((ch_policy)i), &policy), 0);
                assert_int_equal(policy, i);
        }
        for (int i = 0; i < CH_BACKEND_MAX_; i++) {
                assert_int_equal(ch_backend_from_string(ch_backend_to_string((ch_backend)i), &backend), 0);
                assert_int_equal(backend, i);
        }
        for (int i = 0; i < CH_STEP_MAX_; i++) {
                assert_int_equal(step_from_string(ch_step_to_string((ch_step)i), &step), 0);
                assert_int_equal(step, i);
        }
        for (int i = 0; i < CH_REASON_MAX_; i++)
                assert_string_not_equal(ch_reason_to_string((ch_reason)i), "?");
        for (int i = 0; i < CH_OUTCOME_MAX_; i++)
                assert_string_not_equal(ch_outcome_to_string((ch_outcome)i), "?");
        assert_int_equal(ch_policy_from_string("Reserve", &policy), -EINVAL);
        assert_int_equal(ch_backend_from_string("", &backend), -EINVAL);
        assert_string_equal(ch_policy_to_string((ch_policy)99), "?");
        assert_string_equal(ch_step_to_string((ch_step)-1), "?");
}

static void test_every_reason_that_can_be_helped_says_how(void **state)
{
        static const ch_reason hopeless[] = { CH_REASON_PINNED, CH_REASON_HUGETLB, CH_REASON_KSM };

        for (int i = 0; i < CH_REASON_MAX_; i++) {
                int helpless = 0;

                for (size_t k = 0; k < ELEMENTSOF(hopeless); k++)
                        helpless |= hopeless[k] == (ch_reason)i;
                assert_int_equal(reason_get_advice((ch_reason)i) == NULL, helpless);
        }
}

static void test_requests_that_name_nothing(void **state)
{
        static const pid_t pids[] = { 1 };
        static const ch_move_request requests[] = {
                { .pids = pids, .n_pids = 1 },
                { .target = "/x" },
                { .target = "/x", .group = "/y", .pids = pids, .n_pids = 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                _cleanup_(error_freep) ch_error *err = NULL;
                ch_plan *plan = NULL;

                assert_int_equal(ch_plan_new(NULL, &requests[i], NULL, &plan, &err), -EINVAL);
                assert_null(plan);
                assert_true(strlen(ch_error_get_cause(err)) > 10);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_room),
                cmocka_unit_test(test_needed_room_by_ancestor),
                cmocka_unit_test(test_room_error_says_what_to_do),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_every_reason_that_can_be_helped_says_how),
                cmocka_unit_test(test_requests_that_name_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
