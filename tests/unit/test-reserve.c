/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims that are no group's: leases, placements and jobs on the ledger, beside each other and beside those of groups. */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "../../daemon/claim.h"
#include "error.h"
#include "fake-cgroup.h"
#include "../../lib/group.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

typedef struct Fixture {
        FakeCgroup *fake;
        ch_tree *tree;
        Claims *claims;
        unsigned n_changed;
} Fixture;

static void count_change(void *userdata)
{
        ((Fixture *)userdata)->n_changed++;
}

static void put(Fixture *fixture, const char *path, const char *max, uint64_t current)
{
        fake_put_memory(fixture->fake, path, max, current);
}

/* /pod may have 100 MiB, of which it uses 20: those of /pod/old */
static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));
        ClaimsOptions options = { .changed = count_change, .userdata = fixture };

        fixture->fake = fake_new("memory");
        assert_int_equal(
                ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS, &fixture->tree, NULL), 0);
        put(fixture, "/pod", "104857600\n", 20 * MIB);
        put(fixture, "/pod/old", "max\n", 20 * MIB);
        put(fixture, "/pod/a", "max\n", 0);
        put(fixture, "/pod/a/x", "max\n", 0);
        put(fixture, "/pod/b", "max\n", 0);
        options.tree = fixture->tree;
        assert_int_equal(claims_new(&options, &fixture->claims), 0);
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

static uint64_t reserve(Fixture *fixture, const char *path, uint64_t bytes)
{
        ClaimRequest request = { .group = path, .bytes = bytes, .kind = CLAIM_PLACEMENT };
        uint64_t id = 0;

        assert_int_equal(claims_reserve(fixture->claims, &request, &id, NULL), 0);
        assert_true(id > 0);
        return id;
}

static void refused(Fixture *fixture, const char *path, uint64_t bytes, const char *by,
                    const char *said)
{
        ClaimRequest request = { .group = path, .bytes = bytes, .kind = CLAIM_PLACEMENT };
        _cleanup_(error_freep) ch_error *error = NULL;
        uint64_t id;

        assert_int_equal(claims_reserve(fixture->claims, &request, &id, &error), -ENOSPC);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NO_ROOM);
        assert_string_equal(ch_error_get_path(error), by);
        if (!strstr(ch_error_get_cause(error), said))
                fail_msg("'%s' is not in '%s'", said, ch_error_get_cause(error));
}

static uint64_t claimed(Fixture *fixture, const char *path)
{
        return claims_claimed(path, fixture->claims);
}

static void take(Fixture *fixture, const char *path, uint64_t bytes)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;

        assert_int_equal(ch_tree_open_group(fixture->tree, path, &group, NULL), 0);
        assert_int_equal(claims_take(fixture->claims, group, bytes, NULL, NULL, NULL), 0);
}

static void test_sums(void **state)
{
        Fixture *fixture = *state;
        uint64_t x, b;

        x = reserve(fixture, "/pod/a/x", 30 * MIB);
        b = reserve(fixture, "/pod/b", 20 * MIB);
        assert_int_equal(claimed(fixture, "/pod/a/x"), 30 * MIB);
        assert_int_equal(claimed(fixture, "/pod/a"), 30 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 50 * MIB);
        assert_int_equal(claimed(fixture, "/"), 50 * MIB);
        assert_int_equal(claimed(fixture, "/pod/old"), 0);
        refused(fixture, "/pod/b", 31 * MIB, "/pod",
                "memory.max is 100.0 MiB, 20.0 MiB are in use");
        refused(fixture, "/pod/b", 31 * MIB, "/pod", "50.0 MiB are claimed by other groups");
        refused(fixture, "/pod/b", 31 * MIB, "/pod", "1.0 MiB (1048576 bytes) too big");
        refused(fixture, "/pod/b", 31 * MIB, "/pod", "stock of the CPUs");
        assert_int_equal(claims_release(fixture->claims, b), 0);
        assert_int_equal(claims_release(fixture->claims, b), -ENOENT);
        assert_int_equal(claimed(fixture, "/pod"), 30 * MIB);
        (void)reserve(fixture, "/pod", 50 * MIB);
        assert_int_equal(claims_release(fixture->claims, x), 0);
        assert_int_equal(claimed(fixture, "/pod"), 50 * MIB);
        assert_int_equal(fixture->n_changed, 5);
}

/* Less than a page is a page, and many of them never come to less than their sum. */
static void test_small(void **state)
{
        Fixture *fixture = *state;
        uint64_t ids[64];

        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                ids[i] = reserve(fixture, "/pod/b", 1000 + i);
        assert_true(claimed(fixture, "/pod") >= 64 * 1000);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                assert_int_equal(claims_release(fixture->claims, ids[i]), 0);
        assert_int_equal(claimed(fixture, "/pod"), 0);
        assert_int_equal(claimed(fixture, "/"), 0);
}

static void test_beside_groups(void **state)
{
        Fixture *fixture = *state;
        uint64_t id;

        take(fixture, "/pod/a", 40 * MIB);
        id = reserve(fixture, "/pod/a/x", 30 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 70 * MIB);
        refused(fixture, "/pod/b", 11 * MIB, "/pod", "70.0 MiB are claimed");
        /* what the group comes to use is no longer open, the lease is in full */
        put(fixture, "/pod/a", "max\n", 15 * MIB);
        put(fixture, "/pod", "104857600\n", 35 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 55 * MIB);
        refused(fixture, "/pod/b", 11 * MIB, "/pod", "55.0 MiB are claimed");
        (void)reserve(fixture, "/pod/b", 10 * MIB);
        claims_act_for("/pod/a");
        assert_int_equal(claimed(fixture, "/pod"), 40 * MIB);
        claims_act_with(id, 0);
        assert_int_equal(claimed(fixture, "/pod"), 10 * MIB);
        claims_act_with(0, 0);
        claims_act_for(NULL);
}

/* A group that goes leaves what was claimed in it to its parent; its own claim ends. */
static void test_reparented(void **state)
{
        Fixture *fixture = *state;
        uint64_t deep, id;

        take(fixture, "/pod/a", 10 * MIB);
        take(fixture, "/pod/a/x", 5 * MIB);
        deep = reserve(fixture, "/pod/a/x", 30 * MIB);
        id = reserve(fixture, "/pod/a", 1);
        assert_int_equal(claimed(fixture, "/pod"), 40 * MIB + 4096);
        claims_drop(fixture->claims, "/pod/a", 0);
        claims_drop(fixture->claims, "/pod/a", 0);
        assert_int_equal(claimed(fixture, "/pod/a"), 0);
        assert_int_equal(claimed(fixture, "/pod"), 30 * MIB + 4096);
        refused(fixture, "/pod/b", 50 * MIB, "/pod", "claimed");
        assert_int_equal(claims_release(fixture->claims, id), 0);
        (void)reserve(fixture, "/pod/b", 50 * MIB);
        claims_drop(fixture->claims, "/pod", 0);
        assert_int_equal(claimed(fixture, "/"), 80 * MIB);
        assert_int_equal(claims_release(fixture->claims, deep), 0);
        assert_int_equal(claimed(fixture, "/"), 50 * MIB);
}

/* Word of a group's end that comes late does nothing to another one that has its name by now. */
static void test_made_anew(void **state)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        Fixture *fixture = *state;
        uint64_t id;

        assert_int_equal(ch_tree_open_group(fixture->tree, "/pod/a", &group, NULL), 0);
        id = ch_group_get_id(group);
        assert_true(id > 0);
        take(fixture, "/pod/a", 10 * MIB);
        claims_drop(fixture->claims, "/pod/a", id + 1);
        assert_int_equal(claimed(fixture, "/pod/a"), 10 * MIB);
        claims_drop(fixture->claims, "/pod/a", id);
        assert_int_equal(claimed(fixture, "/pod/a"), 0);
        assert_int_equal(claimed(fixture, "/pod"), 0);
}

static void expect_stats(Fixture *fixture, const char *group, const char *want)
{
        json_object *object;

        assert_int_equal(claims_stats_to_json(fixture->claims, group, &object), 0);
        assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), want);
        json_object_put(object);
}

static void test_statistics(void **state)
{
        Fixture *fixture = *state;
        uint64_t x = reserve(fixture, "/pod/a/x", 100), y = reserve(fixture, "/pod/a/x", 200);

        take(fixture, "/pod/a", 4096);
        take(fixture, "/pod/a", 8192);
        expect_stats(fixture, "/pod",
                     "{\"group\":{\"number\":1,\"bytes\":8192},"
                     "\"placement\":{\"number\":2,\"bytes\":300}}");
        assert_int_equal(claims_make_lease(fixture->claims, x, 1, 2), 0);
        expect_stats(fixture, "/pod/a/x",
                     "{\"lease\":{\"number\":1,\"bytes\":100},"
                     "\"placement\":{\"number\":1,\"bytes\":200}}");
        claims_drop(fixture->claims, "/pod/a", 0);
        assert_int_equal(claims_give_to_job(fixture->claims, y, 3), 0);
        expect_stats(fixture, "/pod",
                     "{\"lease\":{\"number\":1,\"bytes\":100},\"job\":{\"number\":1,\"bytes\":200}}");
        assert_int_equal(claims_release(fixture->claims, x), 0);
        assert_int_equal(claims_release(fixture->claims, y), 0);
        expect_stats(fixture, "", "{}");
}

/* What is charged below a group already needs no room there. */
static void test_inside(void **state)
{
        Fixture *fixture = *state;
        ClaimInside inside = { .group = "/pod/old", .bytes = 15 * MIB };
        ClaimRequest request = { .group = "/pod/b",
                                 .bytes = 90 * MIB,
                                 .inside = &inside,
                                 .n_inside = 1,
                                 .kind = CLAIM_PLACEMENT };
        uint64_t id;

        assert_int_equal(claims_reserve(fixture->claims, &request, &id, NULL), 0);
        assert_int_equal(claimed(fixture, "/pod/b"), 90 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 75 * MIB);
        refused(fixture, "/pod/a", 6 * MIB, "/pod", "75.0 MiB are claimed");
        (void)reserve(fixture, "/pod/a", 5 * MIB);
        put(fixture, "/pod/b", "67108864\n", 0);
        assert_int_equal(claims_release(fixture->claims, id), 0);
        /* the target itself has none of it */
        assert_int_equal(claims_reserve(fixture->claims, &request, &id, NULL), -ENOSPC);
}

static uint64_t add_job(Fixture *fixture, const char *path, uint64_t bytes, uint32_t job)
{
        ClaimRequest request = { .group = path, .bytes = bytes, .kind = CLAIM_JOB, .job = job };
        uint64_t id;

        assert_int_equal(claims_add(fixture->claims, &request, &id), 0);
        return id;
}

/* Moves are seen by others whether there is room or not; of two that came one after the other the second gives way. */
static void test_jobs(void **state)
{
        Fixture *fixture = *state;
        uint64_t first = add_job(fixture, "/pod/a", 60 * MIB, 1);
        uint64_t second = add_job(fixture, "/pod/b", 60 * MIB, 2);

        assert_int_equal(claimed(fixture, "/pod"), 120 * MIB);
        refused(fixture, "/pod/b", 4096, "/pod", "120.0 MiB are claimed");
        claims_act_with(0, first);
        assert_int_equal(claimed(fixture, "/pod"), 0);
        claims_act_with(0, second);
        assert_int_equal(claimed(fixture, "/pod"), 60 * MIB);
        claims_act_with(0, 0);
        assert_int_equal(claims_release(fixture->claims, second), 0);
        claims_set_done(fixture->claims, first, 50 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 10 * MIB);
        (void)reserve(fixture, "/pod/b", 70 * MIB);
        claims_set_done(fixture->claims, first, 80 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 70 * MIB);
        assert_int_equal(claims_release(fixture->claims, first), 0);
        assert_int_equal(claimed(fixture, "/pod"), 70 * MIB);
}

static void test_lease_of_a_job(void **state)
{
        Fixture *fixture = *state;
        uint64_t id = reserve(fixture, "/pod/a", 40 * MIB), found, bytes;
        _cleanup_(error_freep) ch_error *error = NULL;

        assert_int_equal(claims_make_lease(fixture->claims, id, 5, 6), 0);
        assert_int_equal(claims_find_lease(fixture->claims, 5, 7, &found), -ENOENT);
        assert_int_equal(claims_find_lease(fixture->claims, 5, 6, &found), 0);
        assert_int_equal(found, id);
        assert_int_equal(claims_use_lease(fixture->claims, id, "/pod/a/x", 1, &bytes, NULL, NULL), 0);
        assert_int_equal(bytes, 40 * MIB);
        assert_true(claims_use_lease(fixture->claims, id, "/pod/b", 2, &bytes, NULL, &error) < 0);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_BUSY);
        claims_unuse_lease(fixture->claims, id);
        assert_int_equal(claims_use_lease(fixture->claims, id, "/pod/b", 2, &bytes, NULL, NULL), 0);
        assert_int_equal(bytes, 0);
        /* its holder lets go: it is the job's until that ends */
        claims_end_lease(fixture->claims, id);
        assert_int_equal(claims_find_lease(fixture->claims, 5, 6, &found), -ENOENT);
        assert_int_equal(claimed(fixture, "/pod"), 40 * MIB);
        claims_unuse_lease(fixture->claims, id);
        assert_int_equal(claimed(fixture, "/pod"), 0);
}

/* A lease on a group above the target: what the job has still to charge is seen at the target as well, and above once. */
static void test_lease_above_the_target(void **state)
{
        Fixture *fixture = *state;
        uint64_t id = reserve(fixture, "/pod/a", 40 * MIB), below, bytes;
        ClaimInside inside = { .bytes = 40 * MIB };
        ClaimRequest request = { .group = "/pod/a/x",
                                 .bytes = 40 * MIB,
                                 .inside = &inside,
                                 .n_inside = 1,
                                 .kind = CLAIM_JOB,
                                 .job = 1 };
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(freep) char *group = NULL;

        put(fixture, "/pod/a/x", "41943040\n", 0);
        assert_int_equal(claims_make_lease(fixture->claims, id, 5, 6), 0);
        assert_int_equal(claims_use_lease(fixture->claims, id, "/pod/a/x", 1, &bytes, &group, NULL),
                         0);
        assert_string_equal(group, "/pod/a");
        inside.group = group;
        assert_int_equal(claims_add(fixture->claims, &request, &below), 0);
        assert_int_equal(claimed(fixture, "/pod/a/x"), 40 * MIB);
        assert_int_equal(claimed(fixture, "/pod/a"), 40 * MIB);
        assert_int_equal(claimed(fixture, "/pod"), 40 * MIB);
        request = (ClaimRequest){ .group = "/pod/a/x", .bytes = MIB, .kind = CLAIM_LEASE };
        assert_int_equal(claims_reserve(fixture->claims, &request, &bytes, &error), -ENOSPC);
        claims_set_done(fixture->claims, id, 10 * MIB);
        claims_set_done(fixture->claims, below, 10 * MIB);
        assert_int_equal(claimed(fixture, "/pod/a/x"), 30 * MIB);
        assert_int_equal(claimed(fixture, "/pod/a"), 30 * MIB);
        /* none of it stands in the way of the job itself */
        claims_act_with(id, below);
        assert_int_equal(claimed(fixture, "/pod/a/x"), 0);
        assert_int_equal(claimed(fixture, "/pod"), 0);
        claims_act_with(0, 0);
        assert_int_equal(claims_release(fixture->claims, below), 0);
        claims_unuse_lease(fixture->claims, id);
        assert_int_equal(claimed(fixture, "/pod/a"), 40 * MIB);
}

static void *reserve_90(void *data)
{
        ClaimRequest request = { .group = "/pod/a", .bytes = 90 * MIB, .kind = CLAIM_PLACEMENT };
        uint64_t id = 0;

        return claims_reserve(((Fixture *)data)->claims, &request, &id, NULL) == -ENOSPC ? data
                                                                                          : NULL;
}

/* The holder uses what it claimed and lets go, after memory.current was read and before the decision. */
static void test_ended_meanwhile(void **state)
{
        char path[300], plain[300];
        Fixture *fixture = *state;
        void *is_refused;
        pthread_t thread;
        uint64_t id;
        int fd;

        put(fixture, "/pod", "1048576000\n", 0);
        put(fixture, "/pod/a", "104857600\n", 0);
        id = reserve(fixture, "/pod/a", 80 * MIB);
        (void)snprintf(path, sizeof(path), "%s/pod/memory.current", fake_root(fixture->fake));
        (void)snprintf(plain, sizeof(plain), "%s/pod/plain", fake_root(fixture->fake));
        assert_int_equal(rename(path, plain), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(pthread_create(&thread, NULL, reserve_90, fixture), 0);
        /* opens when the thread has read /pod/a and waits for /pod */
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        put(fixture, "/pod/a", "104857600\n", 80 * MIB);
        assert_int_equal(claims_release(fixture->claims, id), 0);
        assert_int_equal(rename(plain, path), 0);
        assert_int_equal(write(fd, "0\n", 2), 2);
        assert_int_equal(close(fd), 0);
        assert_int_equal(pthread_join(thread, &is_refused), 0);
        assert_non_null(is_refused);
}

static void test_limit_of_a_user(void **state)
{
        Fixture *fixture = *state;
        ClaimRequest request = { .group = "/pod/b",
                                 .bytes = 1,
                                 .kind = CLAIM_PLACEMENT,
                                 .uid = 7,
                                 .max_per_uid = 2 };
        _cleanup_(error_freep) ch_error *error = NULL;
        uint64_t id;

        assert_int_equal(claims_reserve(fixture->claims, &request, &id, NULL), 0);
        assert_int_equal(claims_reserve(fixture->claims, &request, &id, NULL), 0);
        assert_true(claims_reserve(fixture->claims, &request, &id, &error) < 0);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_LIMIT_REACHED);
        request.uid = 8;
        assert_int_equal(claims_reserve(fixture->claims, &request, &id, NULL), 0);
}

/* A claim of an earlier life that has no room any more, or no group, is charged in any case. */
static void test_loaded(void **state)
{
        Fixture *fixture = *state;
        ClaimRecord record = { .id = 40,
                               .bytes = 500 * MIB,
                               .group = (char *)"/pod/gone/deeper",
                               .made_for = (char *)"/pod/gone/deeper/still",
                               .note = (char *)"" };
        uint64_t id;

        assert_int_equal(claims_load_lease(fixture->claims, &record, 1, 1), 0);
        assert_int_equal(claims_load_lease(fixture->claims, &record, 1, 1), -EEXIST);
        assert_int_equal(claimed(fixture, "/pod"), 500 * MIB);
        refused(fixture, "/pod/b", 1, "/pod", "500.0 MiB are claimed");
        id = claims_pop_moved_lease(fixture->claims);
        assert_int_equal(id, 40);
        assert_int_equal(claims_pop_moved_lease(fixture->claims), 0);
        assert_int_equal(claims_release(fixture->claims, 40), 0);
        assert_true(reserve(fixture, "/pod/b", MIB) > 40);
}

typedef struct Racer {
        pthread_t thread;
        pthread_barrier_t *start;
        Fixture *fixture;
        const char *group;
        uint64_t id;
        int r;
} Racer;

static void *race(void *userdata)
{
        Racer *racer = userdata;
        ClaimRequest request = { .group = racer->group, .bytes = 50 * MIB, .kind = CLAIM_PLACEMENT };

        (void)pthread_barrier_wait(racer->start);
        racer->r = claims_reserve(racer->fixture->claims, &request, &racer->id, NULL);
        return NULL;
}

/* 80 MiB are free: of several that want 50 at the same time one gets them, whoever that is. */
static void test_race(void **state)
{
        static const char *const groups[] = { "/pod/a", "/pod/b", "/pod/a/x", "/pod" };
        Fixture *fixture = *state;

        for (int round = 0; round < 100; round++) {
                Racer racers[ELEMENTSOF(groups)];
                pthread_barrier_t start;
                unsigned n = 0;

                (void)pthread_barrier_init(&start, NULL, ELEMENTSOF(groups));
                for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                        racers[i] = (Racer){
                                .start = &start, .fixture = fixture, .group = groups[i]
                        };
                        assert_int_equal(
                                pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
                }
                for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
                        assert_true(racers[i].r == 0 || racers[i].r == -ENOSPC);
                        n += racers[i].r == 0;
                }
                for (size_t i = 0; i < ELEMENTSOF(groups); i++)
                        if (racers[i].r == 0)
                                assert_int_equal(
                                        claims_release(fixture->claims, racers[i].id), 0);
                assert_int_equal(n, 1);
                assert_int_equal(claimed(fixture, "/"), 0);
                (void)pthread_barrier_destroy(&start);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
                cmocka_unit_test_setup_teardown(test_small, setup, teardown),
                cmocka_unit_test_setup_teardown(test_beside_groups, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reparented, setup, teardown),
                cmocka_unit_test_setup_teardown(test_made_anew, setup, teardown),
                cmocka_unit_test_setup_teardown(test_statistics, setup, teardown),
                cmocka_unit_test_setup_teardown(test_inside, setup, teardown),
                cmocka_unit_test_setup_teardown(test_jobs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lease_of_a_job, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lease_above_the_target, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ended_meanwhile, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limit_of_a_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_loaded, setup, teardown),
                cmocka_unit_test_setup_teardown(test_race, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
