/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the tests of one subject over one kind of bus: test-bus dbus-daemon|dbus-broker SUBJECT
 * CHARGEHANDD */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "util.h"

int main(int argc, char **argv)
{
        char path[64];

        if (argc != 4) {
                (void)fprintf(stderr,
                              "usage: test-bus dbus-daemon|dbus-broker SUBJECT CHARGEHANDD\n");
                return EXIT_FAILURE;
        }
        env_kind = argv[1];
        env_program = argv[3];
        (void)snprintf(path, sizeof(path), "/usr/bin/%s", env_kind);
        if (access(path, X_OK) < 0) {
                (void)printf("%s is not installed\n", path);
                return 77;
        }
        if (streq(argv[2], "groups"))
                return _cmocka_run_group_tests("groups", group_tests, n_group_tests, NULL, NULL);
        if (streq(argv[2], "properties"))
                return _cmocka_run_group_tests("properties", property_tests, n_property_tests, NULL,
                                               NULL);
        if (streq(argv[2], "lag"))
                return _cmocka_run_group_tests("lag", lag_tests, n_lag_tests, NULL, NULL);
        if (streq(argv[2], "claims"))
                return _cmocka_run_group_tests("claims", claim_tests, n_claim_tests, NULL, NULL);
        if (streq(argv[2], "owner"))
                return _cmocka_run_group_tests("owner", owner_tests, n_owner_tests, NULL, NULL);
        if (streq(argv[2], "leases"))
                return _cmocka_run_group_tests("leases", lease_tests, n_lease_tests, NULL, NULL);
        if (streq(argv[2], "place"))
                return _cmocka_run_group_tests("place", place_tests, n_place_tests, NULL, NULL);
        if (streq(argv[2], "life"))
                return _cmocka_run_group_tests("life", life_tests, n_life_tests, NULL, NULL);
        if (streq(argv[2], "contract"))
                return _cmocka_run_group_tests("contract", contract_tests, n_contract_tests, NULL,
                                               NULL);
        if (streq(argv[2], "systemd1-read"))
                return _cmocka_run_group_tests("systemd1-read", systemd1_read_tests,
                                               n_systemd1_read_tests, NULL, NULL);
        if (streq(argv[2], "systemd1-bad-clients"))
                return _cmocka_run_group_tests("systemd1-bad-clients", systemd1_bad_tests,
                                               n_systemd1_bad_tests, NULL, NULL);
        if (streq(argv[2], "systemd1-user"))
                return _cmocka_run_group_tests("systemd1-user", systemd1_user_tests,
                                               n_systemd1_user_tests, NULL, NULL);
        if (streq(argv[2], "systemd1-units"))
                return _cmocka_run_group_tests("systemd1-units", systemd1_unit_tests,
                                               n_systemd1_unit_tests, NULL, NULL);
        return _cmocka_run_group_tests("moves", move_tests, n_move_tests, NULL, NULL);
}
