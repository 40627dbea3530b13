/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_BUS_TESTS_H
#define CH_TESTS_BUS_TESTS_H

/* The tests by subject, for main() in test-bus.c. */

#include <stddef.h>

struct CMUnitTest;

extern const struct CMUnitTest group_tests[], property_tests[], life_tests[], contract_tests[],
        systemd1_unit_tests[], systemd1_read_tests[], systemd1_bad_tests[], systemd1_user_tests[],
        move_tests[], lag_tests[], claim_tests[], lease_tests[], place_tests[], owner_tests[];
extern const size_t n_systemd1_unit_tests, n_systemd1_read_tests, n_systemd1_bad_tests,
        n_systemd1_user_tests, n_group_tests, n_property_tests, n_life_tests, n_contract_tests,
        n_move_tests, n_lag_tests, n_claim_tests, n_owner_tests,
        n_lease_tests, n_place_tests;

#endif
