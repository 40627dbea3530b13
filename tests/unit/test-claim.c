/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory set aside for groups: what fits, what is open of it, nesting, the group that it ends with,
 * and a restart. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "../../daemon/claim.h"
#include "../../daemon/mark.h"
#include "error.h"
#include "fake-cgroup.h"
#include "../../lib/group.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

typedef struct Fixture {
        FakeCgroup *fake;
        ch_tree *tree;
        Claims *claims;
} Fixture;

static void start(Fixture *fixture)
{
        ClaimsOptions options = { .tree = fixture->tree };

        assert_int_equal(claims_new(&options, &fixture->claims), 0);
}

static void put(Fixture *fixture, const char *path, const char *max, uint64_t current)
{
        fake_put_memory(fixture->fake, path, max, current);
}

/* /pod may have 100 MiB, of which it uses 20: those of /pod/old */
static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->fake = fake_new("memory");
        assert_int_equal(
                ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS, &fixture->tree, NULL), 0);
        put(fixture, "/pod", "104857600\n", 20 * MIB);
        put(fixture, "/pod/old", "max\n", 20 * MIB);
        put(fixture, "/pod/a", "max\n", 0);
        put(fixture, "/pod/a/x", "max\n", 0);
        put(fixture, "/pod/a-b", "max\n", 0);
        start(fixture);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        Fixture *fixture = *state;

        claims_free(fixture->claims);
        ch_tree_unref(fixture->tree);
        fake_free(fixture->fake);
        free(fixture);
        return 0;
}

static int take(Fixture *fixture, const char *path, uint64_t bytes, ch_error **err)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;

        assert_int_equal(ch_tree_open_group(fixture->tree, path, &group, NULL), 0);
        return claims_take(fixture->claims, group, bytes, NULL, NULL, err);
}

/* Refused, because of the group named, with this many bytes short. */
static void refused(Fixture *fixture, const char *path, uint64_t bytes, const char *by,
                    uint64_t missing)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        char text[64];

        assert_int_equal(take(fixture, path, bytes, &error), -ENOSPC);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NO_ROOM);
        assert_string_equal(ch_error_get_path(error), by);
        (void)snprintf(text, sizeof(text), "(%llu bytes) too big", (unsigned long long)missing);
        if (!strstr(ch_error_get_cause(error), text))
                fail_msg("'%s' is not in '%s'", text, ch_error_get_cause(error));
}

static uint64_t claimed(Fixture *fixture, const char *path)
{
        return claims_claimed(path, fixture->claims);
}

static void test_room_of_the_groups_above(void **state)
{
        Fixture *fixture = *state;

        refused(fixture, "/pod/a", 81 * MIB, "/pod", MIB);
        assert_int_equal(claimed(fixture, "/pod"), 0);
        assert_int_equal(take(fixture, "/pod/a", 50 * MIB, NULL), 0);
        assert_int_equal(claimed(fixture, "/pod"), 50 * MIB);
        assert_int_equal(claimed(fixture, "/"), 50 * MIB);
        assert_int_equal(claimed(fixture, "/pod/a-b"), 0);
        refused(fixture, "/pod/a-b", 31 * MIB, "/pod", MIB);
        /* its own, made bigger: only what is more counts */
        assert_int_equal(take(fixture, "/pod/a", 80 * MIB, NULL), 0);
        refused(fixture, "/pod/a", 82 * MIB, "/pod", 2 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 80 * MIB);
        assert_int_equal(take(fixture, "/pod/a", 0, NULL), 0);
        assert_int_equal(claimed(fixture, "/pod"), 0);
}

static void test_own_limit(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        uint64_t to_be = 10 * MIB;

        put(fixture, "/pod/a", "33554432\n", 0);
        refused(fixture, "/pod/a", 33 * MIB, "/pod/a", MIB);
        assert_int_equal(ch_tree_open_group(fixture->tree, "/pod/a", &group, NULL), 0);
        /* what memory.max is going to be counts, not what it is */
        assert_int_equal(claims_take(fixture->claims, group, 11 * MIB, &to_be, NULL, NULL),
                         -ENOSPC);
        assert_int_equal(claims_check(fixture->claims, "/pod/new/below", 11 * MIB, &to_be, NULL),
                         -ENOSPC);
        assert_int_equal(claims_check(fixture->claims, "/pod/new/below", 10 * MIB, &to_be, NULL),
                         0);
        assert_int_equal(claims_check(fixture->claims, "/pod/new/below", 81 * MIB, NULL, NULL),
                         -ENOSPC);
        assert_int_equal(claimed(fixture, "/pod"), 0);
}

/* What the group uses is no longer open, and never less than nothing. */
static void test_used(void **state)
{
        Fixture *fixture = *state;

        assert_int_equal(take(fixture, "/pod/a", 50 * MIB, NULL), 0);
        put(fixture, "/pod/a", "max\n", 30 * MIB);
        put(fixture, "/pod", "104857600\n", 50 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 20 * MIB);
        refused(fixture, "/pod/a-b", 31 * MIB, "/pod", MIB);
        assert_int_equal(take(fixture, "/pod/a-b", 30 * MIB, NULL), 0);
        put(fixture, "/pod/a", "max\n", 70 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 30 * MIB);
}

/* What is claimed below comes out of the claim above. */
static void test_nested(void **state)
{
        Fixture *fixture = *state;

        assert_int_equal(take(fixture, "/pod/a", 60 * MIB, NULL), 0);
        assert_int_equal(take(fixture, "/pod/a/x", 40 * MIB, NULL), 0);
        assert_int_equal(claimed(fixture, "/pod"), 60 * MIB);
        assert_int_equal(take(fixture, "/pod/a/x", 70 * MIB, NULL), 0);
        assert_int_equal(claimed(fixture, "/pod"), 70 * MIB);
        refused(fixture, "/pod/a/x", 81 * MIB, "/pod", MIB);
        refused(fixture, "/pod/a-b", 11 * MIB, "/pod", MIB);
        assert_int_equal(take(fixture, "/pod/a-b", 10 * MIB, NULL), 0);
}

/* Moves claim too; and a claim does not stand in the way of what it is for. */
static void test_moves(void **state)
{
        Fixture *fixture = *state;

        ClaimRequest move = { .group = "/pod/old", .bytes = 30 * MIB, .kind = CLAIM_JOB, .job = 7 };
        uint64_t id;

        assert_int_equal(claims_add(fixture->claims, &move, &id), 0);
        refused(fixture, "/pod/a", 51 * MIB, "/pod", MIB);
        assert_int_equal(take(fixture, "/pod/a", 50 * MIB, NULL), 0);
        assert_int_equal(claimed(fixture, "/pod"), 80 * MIB);
        claims_act_for("/pod/a/x");
        assert_int_equal(claimed(fixture, "/pod"), 30 * MIB);
        claims_act_for("/pod/a-b");
        assert_int_equal(claimed(fixture, "/pod"), 80 * MIB);
        claims_act_for(NULL);
}

static void test_machine(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *error = NULL;

        put(fixture, "/free", "max\n", 0);
        assert_int_equal(take(fixture, "/free", UINT64_C(1) << 50, &error), -ENOSPC);
        assert_non_null(strstr(ch_error_get_cause(error), "the machine has"));
}

/* A group of the same name that was made afterwards has none. */
static void test_ends_with_the_group(void **state)
{
        Fixture *fixture = *state;
        json_object *rows = json_object_new_array();
        char command[4200];

        assert_int_equal(take(fixture, "/pod/a", 50 * MIB, NULL), 0);
        assert_int_equal(take(fixture, "/pod/a-b", 20 * MIB, NULL), 0);
        (void)snprintf(command, sizeof(command), "mv %s/pod/a %s/kept", fake_root(fixture->fake),
                       fake_root(fixture->fake));
        assert_int_equal(system(command), 0);
        put(fixture, "/pod/a", "max\n", 0);
        assert_int_equal(claimed(fixture, "/pod"), 20 * MIB);
        claims_drop(fixture->claims, "/pod/a-b", 0);
        claims_drop(fixture->claims, "/pod/a-b", 0);
        assert_int_equal(claimed(fixture, "/pod"), 0);
        assert_int_equal(claims_append_json(fixture->claims, rows), 0);
        assert_int_equal(json_object_array_length(rows), 0);
        json_object_put(rows);
}

static void test_restart(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;

        assert_int_equal(ch_tree_open_group(fixture->tree, "/pod/a", &group, NULL), 0);
        assert_int_equal(take(fixture, "/pod/a", 50 * MIB, NULL), 0);
        if (mark_is_managed(ch_group_get_fd(group)) != MARK_CLAIMED)
                skip(); /* this file system keeps no extended attributes */
        assert_int_equal(mark_set_managed(ch_group_get_fd(group)), 0);
        assert_int_equal(mark_is_managed(ch_group_get_fd(group)), MARK_CLAIMED);
        claims_free(fixture->claims);
        start(fixture);
        assert_int_equal(claimed(fixture, "/pod"), 0);
        claims_load(fixture->claims, "/pod/a");
        claims_load(fixture->claims, "/pod/a-b");
        claims_load(fixture->claims, "/nowhere");
        assert_int_equal(claimed(fixture, "/pod"), 50 * MIB);
        claims_put_back(fixture->claims, group, 0);
        assert_int_equal(mark_is_managed(ch_group_get_fd(group)), 1);
        assert_int_equal(claimed(fixture, "/pod"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_room_of_the_groups_above, setup, teardown),
                cmocka_unit_test_setup_teardown(test_own_limit, setup, teardown),
                cmocka_unit_test_setup_teardown(test_used, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nested, setup, teardown),
                cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
                cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ends_with_the_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
