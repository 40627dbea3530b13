/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a placement reads of a hierarchy: limits along the ancestors, claims, pressure, CPUs, nodes, and who cannot take processes. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <chargehand/tree.h>

#include "error.h"
#include "fake-cgroup.h"
#include "group.h"
#include "json-build.h"
#include "place-report.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

static void report_freep(ch_place_report **report)
{
        (void)ch_place_report_free(*report);
}

static void test_cpu_lists(void **state)
{
        static const struct {
                const char *text;
                int ret;
                uint32_t count;
        } lists[] = {
                { "0-3\n", 0, 4 }, { "0", 0, 1 }, { "0-1,4,8-11", 0, 7 }, { "\n", 0, 0 }, { "", 0, 0 },
                { "x", -EINVAL, 0 }, { "3-1", -EINVAL, 0 }, { "1 2", -EINVAL, 0 }, { "0-99999999999", -EINVAL, 0 },
        };
        static const struct {
                const char *text;
                int ret;
                uint32_t milli;
        } limits[] = {
                { "max 100000\n", 0, UINT32_MAX }, { "50000 100000\n", 0, 500 }, { "1000 3000\n", 0, 333 },
                { "18446744073709551615 1", -EINVAL, 0 }, { "18446744073709551 1", 0, UINT32_MAX - 1 },
                { "1 0", -EINVAL, 0 }, { "1", -EINVAL, 0 }, { "", -EINVAL, 0 },
        };
        uint32_t value;

        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                assert_int_equal(cpu_list_count(lists[i].text, &value), lists[i].ret);
                if (lists[i].ret == 0)
                        assert_int_equal(value, lists[i].count);
        }
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                assert_int_equal(cpu_max_parse(limits[i].text, &value), limits[i].ret);
                if (limits[i].ret == 0)
                        assert_int_equal(value, limits[i].milli);
        }
}

static void test_meminfo_and_numa_maps(void **state)
{
        static const char line[] = "7f2a3c000000 default anon=12 dirty=12 active=0 N0=8 N3=4 kernelpagesize_kB=4";
        static const char huge[] = "7f2a3c000000 default file=/N7=9 anon=2 N1=2 kernelpagesize_kB=2048";
        uint64_t bytes[CH_PLACE_NODES] = { 0 };
        uint64_t total, used;

        assert_int_equal(meminfo_parse("MemTotal:  2000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\n", &total, &used), 0);
        assert_int_equal(total, 2000 * 1024);
        assert_int_equal(used, 1500 * 1024);
        assert_int_equal(meminfo_parse("MemTotal:  2000 kB\n", &total, &used), -EINVAL);
        assert_int_equal(meminfo_parse("MemTotal: x\nMemAvailable: 1 kB\n", &total, &used), -EINVAL);
        numa_maps_add_line(line, strlen(line), bytes);
        numa_maps_add_line(huge, strlen(huge), bytes);
        numa_maps_add_line("7f N99=5 N=1 N1=", 16, bytes);
        assert_int_equal(bytes[0], 8 * 4096);
        assert_int_equal(bytes[1], 2 * 2 * MIB);
        assert_int_equal(bytes[3], 4 * 4096);
        assert_int_equal(bytes[7], 0);
}

/* A pool below /web, whose limit is tighter than those of /web/a and /web/b; /web/c has none. */
static FakeCgroup *new_pool(void)
{
        FakeCgroup *fake = fake_new("cpu cpuset memory");

        fake_add(fake, "/web/a", "cpu cpuset memory");
        fake_add(fake, "/web/b", "cpu cpuset memory");
        fake_add(fake, "/web/c", "cpu cpuset memory");
        fake_set(fake, "/web", "memory.max", "8388608\n");
        fake_set(fake, "/web", "memory.current", "5242880\n");
        fake_set(fake, "/web/a", "memory.max", "7340032\n");
        fake_set(fake, "/web/a", "memory.high", "6291456\n");
        fake_set(fake, "/web/a", "memory.current", "1048576\n");
        fake_set(fake, "/web/a", "memory.stat", "anon 0\nfile 524288\ninactive_file 300000\nactive_file 200000\n");
        fake_set(fake, "/web/b", "memory.max", "4194304\n");
        fake_set(fake, "/web/b", "memory.current", "3145728\n");
        return fake;
}

static ch_tree *open_tree(const FakeCgroup *fake)
{
        ch_tree *tree;

        assert_int_equal(ch_tree_open(fake_root(fake), CH_TREE_ANY_FS, &tree, NULL), 0);
        return tree;
}

static uint64_t claimed(const char *group, void *userdata)
{
        (*(unsigned *)userdata)++;
        if (streq(group, "/web"))
                return MIB;
        return streq(group, "/web/a") ? MIB / 2 : 0;
}

static const ch_place_facts *facts_of(const ch_place_report *report, const char *group)
{
        size_t n;
        const ch_place_facts *facts = ch_place_report_get_facts(report, &n);

        for (size_t i = 0; i < n; i++)
                if (streq(facts[i].group, group))
                        return &facts[i];
        fail_msg("%s is not in the report", group);
        return NULL;
}

static void assert_level(const ch_place_level *level, const char *path, const char *limit, uint64_t limit_bytes,
                         uint64_t used_bytes, uint64_t claimed_bytes)
{
        assert_string_equal(level->path, path);
        assert_string_equal(level->limit, limit);
        assert_int_equal(level->limit_bytes, limit_bytes);
        assert_int_equal(level->used_bytes, used_bytes);
        assert_int_equal(level->claimed_bytes, claimed_bytes);
}

static void test_levels(void **state)
{
        static const char *const groups[] = { "/web/c", "/web/a", "/web/b" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(report_freep) ch_place_report *report = NULL;
        const ch_place_request request = { .bytes = MIB };
        const ch_place_facts *a, *c;
        unsigned n_asked = 0;

        assert_int_equal(ch_place_read(tree, &request, NULL, groups, 3, claimed, &n_asked, &report, NULL), 0);
        assert_int_equal(n_asked, 9);
        a = facts_of(report, "/web/a");
        assert_int_equal(a->n_levels, 3);
        assert_level(&a->levels[0], "/web/a", "memory.high", 6 * MIB, MIB, MIB / 2);
        assert_int_equal(a->levels[0].cache_bytes, 500000);
        assert_level(&a->levels[1], "/web", "memory.max", 8 * MIB, 5 * MIB, MIB);
        assert_string_equal(a->levels[2].path, CH_PLACE_MACHINE);
        assert_true(a->levels[2].limit_bytes > a->levels[2].used_bytes);
        assert_true(a->slack_bytes >= UINT64_C(64) * 4096);
        c = facts_of(report, "/web/c");
        assert_int_equal(c->n_levels, 2);
        assert_string_equal(c->levels[0].path, "/web");
        assert_int_equal(ch_place_report_get_source(report)->resident_bytes, 0);
}

static void test_choice_over_a_fake_hierarchy(void **state)
{
        static const char *const groups[] = { "/web/c", "/web/a", "/web/b" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(report_freep) ch_place_report *report = NULL;
        const ch_place_request request = { .bytes = 3 * MIB };
        const ch_place_facts *facts;
        ch_place_score scores[3];
        size_t n;

        assert_int_equal(ch_place_read(tree, &request, NULL, groups, 3, NULL, NULL, &report, NULL), 0);
        facts = ch_place_report_get_facts(report, &n);
        assert_int_equal(n, 3);
        assert_int_equal(ch_place_choose(&request, ch_place_report_get_source(report), facts, n, scores), 0);
        /* /web leaves nothing over: /web/c has that limit only, /web/a one of its own besides */
        assert_string_equal(scores[0].level.path, "/web");
        assert_string_equal(scores[2].group, "/web/b");
        assert_int_equal(scores[2].short_bytes, 2 * MIB);
        assert_non_null(strstr(scores[2].reason, "lacks 2.0 MiB of 3.0 MiB at /web/b (memory.max 4.0 MiB, 3.0 MiB used"));
}

static void test_pressure_cpus_and_nodes(void **state)
{
        static const char *const groups[] = { "/web/a", "/web/b" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(report_freep) ch_place_report *report = NULL;
        const ch_place_request request = { .bytes = MIB };
        const ch_place_facts *a, *b;

        fake_set(fake, "/web/a", "memory.pressure",
                 "some avg10=2.50 avg60=9.00 avg300=9.00 total=1\nfull avg10=7.00 avg60=0.00 avg300=0.00 total=0\n");
        fake_set(fake, "/web/a", "io.pressure", "some avg10=100.00 avg60=0.00 avg300=0.00 total=1\n");
        fake_set(fake, "/web/b", "cpu.pressure", NULL);
        fake_set(fake, "/web", "cpu.max", "30000 100000\n");
        fake_set(fake, "/web/a", "cpu.max", "25000 100000\n");
        fake_set(fake, "/web/a", "cpuset.mems.effective", "1,3\n");
        fake_set(fake, "/web/b", "cpuset.mems.effective", NULL);
        fake_set(fake, "/web", "cpuset.mems.effective", "0-1\n");
        assert_int_equal(ch_place_read(tree, &request, NULL, groups, 2, NULL, NULL, &report, NULL), 0);
        a = facts_of(report, "/web/a");
        b = facts_of(report, "/web/b");
        assert_int_equal(a->pressure_permyriad[0], 250);
        assert_int_equal(a->pressure_permyriad[1], 0);
        assert_int_equal(a->pressure_permyriad[2], 10000);
        assert_int_equal(a->pressure_unknown, 0);
        assert_int_equal(b->pressure_unknown, 1);
        assert_int_equal(a->cpus_milli, 250);
        assert_int_equal(b->cpus_milli, 300);
        assert_int_equal(a->nodes, 0xa);
        assert_int_equal(b->nodes, 0x3);
}

/* One that cannot take processes is told with the reason, and does not fail the others. */
static void test_refused_candidates(void **state)
{
        static const char *const groups[] = { "/web/a", "/web/b", "/web/c", "/web/d", "/web/gone" };
        static const char *const causes[] = { NULL, "threaded", "is frozen", "enables 'memory'", "no such group" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(report_freep) ch_place_report *report = NULL;
        const ch_place_request request = { .bytes = MIB };
        ch_place_score scores[5];
        const ch_place_facts *facts;
        size_t n;

        fake_add(fake, "/web/d/main", "memory");
        fake_set(fake, "/web/b", "cgroup.type", "threaded\n");
        fake_set(fake, "/web/c", "cgroup.events", "populated 1\nfrozen 1\n");
        fake_set(fake, "/web/d", "cgroup.subtree_control", "cpu memory\n");
        assert_int_equal(ch_place_read(tree, &request, NULL, groups, 5, NULL, NULL, &report, NULL), 0);
        facts = ch_place_report_get_facts(report, &n);
        for (size_t i = 0; i < n; i++) {
                assert_string_equal(facts[i].group, groups[i]);
                assert_int_equal(facts[i].refused != NULL, causes[i] != NULL);
                if (causes[i])
                        assert_non_null(strstr(facts[i].refused, causes[i]));
        }
        assert_int_equal(ch_place_choose(&request, NULL, facts, n, scores), 0);
        assert_string_equal(scores[0].group, "/web/a");
        assert_false(scores[1].fits);
}

static void test_no_account(void **state)
{
        static const char *const groups[] = { "/web/a", "/plain" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(report_freep) ch_place_report *report = NULL;

        fake_add(fake, "/plain", "cpu");
        assert_int_equal(ch_place_read(tree, &(ch_place_request){ .bytes = 1 }, NULL, groups, 2, NULL, NULL, &report, NULL), 0);
        assert_null(facts_of(report, "/web/a")->refused);
        assert_non_null(strstr(facts_of(report, "/plain")->refused, "has no account of its own: "));
}

static void test_bad_candidates(void **state)
{
        static const char *const gone[] = { "/x", "/y" }, *const nested[] = { "/web", "/web/a" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(error_freep) ch_error *err = NULL, *twice = NULL;
        const ch_place_request request = { .bytes = MIB };
        ch_place_report *report = NULL;

        assert_int_equal(ch_place_read(tree, &request, NULL, gone, 2, NULL, NULL, &report, &err), -ENODEV);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_NO_SUCH_GROUP);
        assert_string_equal(ch_error_get_path(err), "/x");
        assert_int_equal(ch_place_read(tree, &request, NULL, nested, 2, NULL, NULL, &report, &twice), -EINVAL);
        assert_non_null(strstr(ch_error_get_cause(twice), "'/web/a' is below candidate '/web'"));
        assert_int_equal(ch_place_read(tree, &request, NULL, NULL, 0, NULL, NULL, &report, NULL), -EINVAL);
        assert_null(report);
}

/* What cannot be read must not pass for "no limit". */
static void test_unreadable_limit(void **state)
{
        static const char *const groups[] = { "/web/a", "/web/c" };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(error_freep) ch_error *err = NULL;
        ch_place_report *report = NULL;

        fake_set(fake, "/web", "memory.max", "garbage\n");
        assert_int_equal(ch_place_read(tree, &(ch_place_request){ .bytes = 1 }, NULL, groups, 2, NULL, NULL, &report, &err),
                         -EINVAL);
        assert_string_equal(ch_error_get_path(err), "/web");
        assert_null(report);
}

static json_object *member(json_object *object, const char *key)
{
        json_object *value = NULL;

        if (!json_object_object_get_ex(object, key, &value))
                fail_msg("%s is missing", key);
        return value;
}

static void test_json(void **state)
{
        static const char *const groups[] = { "/web/c", "/web/a", "/web/b" };
        static const char *const keys[] = {
                "group", "fits", "score", "terms", "reason", "short_bytes", "limited_by", "limit", "limit_bytes",
                "used_bytes", "cache_bytes", "claimed_bytes", "free_bytes", "needed_bytes", "here_bytes",
                "movable_bytes", "left_bytes", "shared_here_bytes", "shared_apart_bytes", "pressure", "cpus_milli",
                "nodes",
        };
        _cleanup_(fake_freep) FakeCgroup *fake = new_pool();
        _cleanup_(ch_tree_unrefp) ch_tree *tree = open_tree(fake);
        _cleanup_(report_freep) ch_place_report *report = NULL;
        _cleanup_(json_putp) json_object *root = NULL, *none = NULL;
        ch_place_request request = { .bytes = 2 * MIB, .nodes = 3, .policy = CH_PLACE_POLICY_PACK };
        ch_place_score scores[3];
        json_object *first, *request_object;
        const ch_place_facts *facts;
        size_t n;

        assert_int_equal(ch_place_read(tree, &request, NULL, groups, 3, NULL, NULL, &report, NULL), 0);
        facts = ch_place_report_get_facts(report, &n);
        assert_int_equal(ch_place_choose(&request, NULL, facts, n, scores), 0);
        assert_int_equal(ch_place_to_json(&request, report, scores, &root), 0);
        assert_string_equal(json_get_string(root, "chosen"), scores[0].group);
        request_object = member(root, "request");
        assert_int_equal(json_get_u64(request_object, "bytes"), 2 * MIB);
        assert_string_equal(json_get_string(request_object, "nodes"), "0-1");
        assert_string_equal(json_get_string(request_object, "policy"), "pack");
        assert_true(json_get_u64(member(request_object, "weights"), "fullness") > 0);
        assert_int_equal(json_object_array_length(member(root, "candidates")), 3);
        first = json_object_array_get_idx(member(root, "candidates"), 0);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                (void)member(first, keys[i]);
        assert_int_equal(json_object_object_length(first), ELEMENTSOF(keys));
        assert_int_equal(json_get_u64(first, "score"), scores[0].score);
        assert_int_equal(json_object_object_length(member(first, "terms")), CH_PLACE_TERM_MAX_);

        request.bytes = UINT64_MAX;
        assert_int_equal(ch_place_choose(&request, NULL, facts, n, scores), -ENOSPC);
        assert_int_equal(ch_place_to_json(&request, report, scores, &none), 0);
        assert_null(member(none, "chosen"));
}

/* A large pool: claims are asked for from each candidate on, up to the root. */
static void test_many_candidates(void **state)
{
        enum { N = 24 };
        static char names[N][32];
        static const char *groups[N];
        static ch_place_score scores[N];
        _cleanup_(fake_freep) FakeCgroup *fake = fake_new("memory");
        _cleanup_(report_freep) ch_place_report *report = NULL;
        ch_tree *tree;
        unsigned n_asked = 0;
        size_t n;

        for (size_t i = 0; i < N; i++) {
                (void)snprintf(names[i], sizeof(names[i]), "/pool/p%zu/c%zu", i % 7, i);
                groups[i] = names[i];
                fake_add(fake, names[i], "memory");
                fake_set(fake, names[i], "memory.max", i == 23 ? "1073741824\n" : "2097152\n");
        }
        tree = open_tree(fake);
        assert_int_equal(ch_place_read(tree, &(ch_place_request){ .bytes = 1 }, NULL, groups, N, claimed, &n_asked,
                                       &report, NULL), 0);
        assert_int_equal(n_asked, 4 * N);
        assert_int_equal(ch_place_choose(&(ch_place_request){ .bytes = 1 }, NULL, ch_place_report_get_facts(report, &n), N,
                                         scores), 0);
        assert_string_equal(scores[0].group, groups[23]);
        ch_tree_unref(tree);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cpu_lists),
                cmocka_unit_test(test_meminfo_and_numa_maps),
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_choice_over_a_fake_hierarchy),
                cmocka_unit_test(test_pressure_cpus_and_nodes),
                cmocka_unit_test(test_refused_candidates),
                cmocka_unit_test(test_no_account),
                cmocka_unit_test(test_bad_candidates),
                cmocka_unit_test(test_unreadable_limit),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_many_candidates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
