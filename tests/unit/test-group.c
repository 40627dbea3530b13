/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups on a fake hierarchy: attributes, several at once, controllers, state, and a group that is
 * gone. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <chargehand/tree.h>

#include "error.h"
#include "fake-cgroup.h"
#include "group.h"
#include "util.h"
#include "value.h"

typedef struct Fixture {
        FakeCgroup *fake;
        ch_tree *tree;
        ch_group *group; /* /web */
} Fixture;

static int setup(void **state)
{
        Fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->fake = fake_new("cpu hugetlb io memory pids");
        fake_add(fixture->fake, "/web", "cpu hugetlb io memory");
        assert_int_equal(
                ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS, &fixture->tree, NULL), 0);
        assert_int_equal(ch_tree_open_group(fixture->tree, "/web", &fixture->group, NULL), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        Fixture *fixture = *state;

        ch_group_unref(fixture->group);
        ch_tree_unref(fixture->tree);
        fake_free(fixture->fake);
        free(fixture);
        return 0;
}

static void assert_file(Fixture *fixture, const char *file, const char *text)
{
        _cleanup_(freep) char *content = fake_get(fixture->fake, "/web", file);

        assert_non_null(content);
        assert_string_equal(content, text);
}

static ch_setting setting(const char *name, const char *text)
{
        ch_setting s = { .attr = ch_attr_find(name) };

        assert_int_equal(ch_value_parse_human(s.attr, text, &s.value, NULL), 0);
        return s;
}

static void settings_done(ch_setting *settings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                ch_value_done(&settings[i].value);
}

static void test_read_and_write(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
        const ch_attr *max = ch_attr_find("MemoryMax");

        assert_int_equal(ch_group_read(fixture->group, max, &value, NULL), 0);
        assert_int_equal(value.number, CH_LIMIT_MAX);
        value.number = 4096;
        assert_int_equal(ch_group_write(fixture->group, max, &value, 1, NULL), 0);
        assert_file(fixture, "memory.max", "4096");
}

static void test_template(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(value_donep) ch_value limits = CH_VALUE_INIT;
        _cleanup_(value_donep) ch_value events = CH_VALUE_INIT;
        uint64_t number;
        ch_setting change = setting("HugetlbMax", "2MB 4M");

        assert_int_equal(ch_group_read(fixture->group, ch_attr_find("HugetlbMax"), &limits, NULL),
                         0);
        assert_int_equal(limits.nested[0].n_entries, 2);
        assert_string_equal(limits.nested[0].entries[0].key, "1GB");
        assert_int_equal(ch_value_flat_get(&limits, "2MB", &number), 0);
        assert_int_equal(number, CH_LIMIT_MAX);
        assert_int_equal(
                ch_group_read(fixture->group, ch_attr_find("HugetlbEvents"), &events, NULL), 0);
        assert_int_equal(nested_find(value_find_nested(&events, "2MB"), "max")->value, 0);

        assert_int_equal(ch_group_write(fixture->group, change.attr, &change.value, 0, NULL), 0);
        assert_file(fixture, "hugetlb.2MB.max", "4194304");
        assert_file(fixture, "hugetlb.1GB.max", "1073741824\n");
        settings_done(&change, 1);
}

static void test_write_refuses(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *range = NULL;
        _cleanup_(error_freep) ch_error *read_only = NULL;
        ch_value value = { .type = CH_ATTR_NUMBER, .number = 20000 };

        assert_int_equal(
                ch_group_write(fixture->group, ch_attr_find("CPUWeight"), &value, 0, &range),
                -ERANGE);
        assert_int_equal(ch_error_get_kind(range), CH_ERROR_BAD_VALUE);
        assert_int_equal(
                ch_group_write(fixture->group, ch_attr_find("MemoryPeak"), &value, 0, &read_only),
                -EROFS);
        assert_file(fixture, "cpu.weight", "100\n");
}

static void test_controller_off_names_the_file(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(error_freep) ch_error *deeper = NULL;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        ch_value value = CH_VALUE_INIT;

        /* pids is there, but the root enables it for nobody */
        fake_set(fixture->fake, "/", "cgroup.subtree_control", "cpu io memory\n");
        assert_int_equal(ch_group_read(fixture->group, ch_attr_find("TasksMax"), &value, &error),
                         -EOPNOTSUPP);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_CONTROLLER_OFF);
        assert_string_equal(ch_error_get_path(error), "/web");
        assert_string_equal(ch_error_get_cause(error), "controller 'pids' is not enabled for /web: "
                                                       "write +pids to /cgroup.subtree_control");

        fake_add(fixture->fake, "/web/api", "");
        assert_int_equal(ch_tree_open_group(fixture->tree, "/web/api", &group, NULL), 0);
        assert_int_equal(ch_group_read(group, ch_attr_find("MemoryMax"), &value, &deeper),
                         -EOPNOTSUPP);
        assert_string_equal(ch_error_get_cause(deeper),
                            "controller 'memory' is not enabled for /web/api: write +memory to "
                            "/web/cgroup.subtree_control");
}

static void test_older_kernel(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(error_freep) ch_error *pressure = NULL;
        _cleanup_(error_freep) ch_error *write_only = NULL;
        _cleanup_(error_freep) ch_error *root_only = NULL;
        ch_value value = CH_VALUE_INIT;

        fake_set(fixture->fake, "/web", "memory.peak", NULL);
        assert_int_equal(ch_group_read(fixture->group, ch_attr_find("MemoryPeak"), &value, &error),
                         -EOPNOTSUPP);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NOT_SUPPORTED);
        assert_non_null(strstr(ch_error_get_cause(error), "no memory.peak: it needs Linux 5.19"));
        fake_set(fixture->fake, "/web", "cpu.pressure", NULL);
        assert_int_equal(
                ch_group_read(fixture->group, ch_attr_find("CPUPressure"), &value, &pressure),
                -EOPNOTSUPP);
        assert_non_null(strstr(ch_error_get_cause(pressure), "psi=1"));
        assert_int_equal(
                ch_group_read(fixture->group, ch_attr_find("MemoryReclaim"), &value, &write_only),
                -EINVAL);
        assert_int_equal(
                ch_group_read(fixture->group, ch_attr_find("IOCostQoS"), &value, &root_only),
                -EOPNOTSUPP);
        assert_non_null(strstr(ch_error_get_cause(root_only), "root of the hierarchy only"));
}

static void test_gone_is_always_the_same(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *read = NULL;
        _cleanup_(error_freep) ch_error *write = NULL;
        _cleanup_(error_freep) ch_error *status = NULL;
        ch_value value = { .type = CH_ATTR_LIMIT, .number = 1 };
        ch_group_state group_state;
        char *text = NULL;
        pid_t *pids = NULL;
        size_t n;

        assert_int_equal(ch_tree_remove_group(fixture->tree, "/web", 0, NULL), 0);
        assert_int_equal(ch_group_read(fixture->group, ch_attr_find("MemoryMax"), &value, &read),
                         -ENODEV);
        assert_int_equal(ch_error_get_kind(read), CH_ERROR_NO_SUCH_GROUP);
        assert_string_equal(ch_error_get_path(read), "/web");
        assert_int_equal(ch_group_read(fixture->group, ch_attr_find("HugetlbMax"), &value, NULL),
                         -ENODEV);
        assert_int_equal(
                ch_group_write(fixture->group, ch_attr_find("MemoryMax"), &value, 0, &write),
                -ENODEV);
        assert_int_equal(ch_error_get_kind(write), CH_ERROR_NO_SUCH_GROUP);
        assert_int_equal(ch_group_read_state(fixture->group, &group_state, &status), -ENODEV);
        assert_int_equal(ch_group_read_file(fixture->group, "cgroup.procs", &text, NULL, NULL),
                         -ENODEV);
        assert_int_equal(ch_group_write_file(fixture->group, "cgroup.procs", "1", NULL), -ENODEV);
        assert_int_equal(ch_group_read_procs(fixture->group, &pids, &n, NULL), -ENODEV);
}

static void test_write_all(void **state)
{
        Fixture *fixture = *state;
        ch_setting settings[] = {
                setting("MemoryHigh", "512M"),
                setting("MemoryMax", "max"),
                setting("CPUWeight", "50"),
                setting("CPUMax", "50%"),
        };

        /* memory.max is "max" already: not written */
        assert_int_equal(ch_group_write_all(fixture->group, settings, ELEMENTSOF(settings), NULL),
                         3);
        assert_file(fixture, "memory.high", "536870912");
        assert_file(fixture, "memory.max", "max\n");
        assert_file(fixture, "cpu.weight", "50");
        assert_file(fixture, "cpu.max", "50000 100000");
        assert_int_equal(ch_group_write_all(fixture->group, settings, ELEMENTSOF(settings), NULL),
                         0);
        assert_int_equal(ch_group_write_all(fixture->group, NULL, 0, NULL), 0);
        settings_done(settings, ELEMENTSOF(settings));
}

/* The third file is a symlink: it can be read, but the library never writes through one. */
static void test_write_all_puts_back(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_setting settings[] = {
                setting("MemoryHigh", "512M"),
                setting("CPUWeight", "50"),
                setting("MemoryLow", "1M"),
        };
        int fd = ch_group_get_fd(fixture->group);

        assert_int_equal(renameat(fd, "memory.low", fd, "real"), 0);
        assert_int_equal(symlinkat("real", fd, "memory.low"), 0);
        assert_int_equal(ch_group_write_all(fixture->group, settings, ELEMENTSOF(settings), &error),
                         -ELOOP);
        assert_file(fixture, "memory.high", "max");
        assert_file(fixture, "cpu.weight", "100");
        assert_file(fixture, "real", "0\n");
        assert_non_null(
                strstr(ch_error_get_cause(error), "memory.low: Too many levels of symbolic links; "
                                                  "the settings before it were put back"));
        settings_done(settings, ELEMENTSOF(settings));
}

static void test_write_all_checks_first(void **state)
{
        Fixture *fixture = *state;
        ch_setting good = setting("MemoryHigh", "512M");
        ch_setting out_of_range[] = { good,
                                      { ch_attr_find("CPUWeight"), { .type = CH_ATTR_NUMBER } } };
        ch_setting placement[] = { good, setting("Kill", "1") };
        ch_setting absent[] = { good, setting("TasksMax", "5") };
        _cleanup_(error_freep) ch_error *error = NULL;

        assert_int_equal(ch_group_write_all(fixture->group, out_of_range, 2, NULL), -ERANGE);
        assert_int_equal(ch_group_write_all(fixture->group, placement, 2, &error), -EINVAL);
        assert_non_null(strstr(ch_error_get_cause(error), "Kill is not a setting"));
        assert_int_equal(ch_group_write_all(fixture->group, absent, 2, NULL), -EOPNOTSUPP);
        assert_file(fixture, "memory.high", "max\n");
        settings_done(&good, 1);
}

static void test_keyed_settings_that_are_set(void **state)
{
        Fixture *fixture = *state;
        /* the sample has rbps=2097152 and wiops=120 for 8:0, nothing for 8:16: no limit */
        ch_setting settings[] = { setting("IOMax", "8:0 rbps=2M 8:16 wbps=max"),
                                  setting("IOWeight", "100") };

        assert_int_equal(ch_group_write_all(fixture->group, settings, 2, NULL), 0);
        settings_done(settings, 2);
}

static void test_enable_controller(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        _cleanup_(freep) char *written = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;

        fake_add(fixture->fake, "/web/api", "");
        assert_int_equal(ch_tree_open_group(fixture->tree, "/web/api", &group, NULL), 0);
        assert_int_equal(ch_group_enable_controller(group, "memory", NULL), 0);
        written = fake_get(fixture->fake, "/web", "cgroup.subtree_control");
        assert_string_equal(written, "+memory");
        assert_int_equal(ch_group_enable_controller(group, "mem\nory", NULL), -EINVAL);
        assert_int_equal(ch_group_enable_controller(group, "rdma", &error), -EOPNOTSUPP);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_CONTROLLER_OFF);
        assert_non_null(strstr(ch_error_get_cause(error), "'rdma' is not available"));
}

static void test_state(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_group_state_done) ch_group_state before = { 0 };
        _cleanup_(ch_group_state_done) ch_group_state after = { 0 };

        assert_int_equal(ch_group_read_state(fixture->group, &before, NULL), 0);
        assert_false(before.populated || before.frozen || before.threaded || before.has_children ||
                     before.is_root);
        assert_string_equal(before.controllers, "cpu hugetlb io memory");
        assert_string_equal(before.subtree_control, "");

        fake_set(fixture->fake, "/web", "cgroup.events", "populated 1\nfrozen 1\n");
        fake_set(fixture->fake, "/web", "cgroup.type", "domain invalid\n");
        fake_add(fixture->fake, "/web/api", "");
        assert_int_equal(ch_group_read_state(fixture->group, &after, NULL), 0);
        assert_true(after.populated && after.frozen && after.threaded && after.has_children);
}

static void test_procs(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(freep) pid_t *pids = NULL;
        pid_t *none = NULL;
        size_t n;

        fake_set(fixture->fake, "/web", "cgroup.procs", "12\n0\n4194304\n");
        assert_int_equal(ch_group_read_procs(fixture->group, &pids, &n, NULL), 0);
        assert_int_equal(n, 2);
        assert_int_equal(pids[0], 12);
        assert_int_equal(pids[1], 4194304);
        fake_set(fixture->fake, "/web", "cgroup.procs", "12x\n");
        assert_int_equal(ch_group_read_procs(fixture->group, &none, &n, NULL), -EIO);
        assert_null(none);
}

static void test_files_stay_in_the_group(void **state)
{
        Fixture *fixture = *state;
        char *text = NULL;

        assert_int_equal(ch_group_read_file(fixture->group, "../cgroup.procs", &text, NULL, NULL),
                         -EINVAL);
        assert_int_equal(ch_group_read_file(fixture->group, "..", &text, NULL, NULL), -EINVAL);
        assert_int_equal(ch_group_write_file(fixture->group, "api/cgroup.procs", "1", NULL),
                         -EINVAL);
        assert_int_equal(ch_group_write_file(fixture->group, "", "1", NULL), -EINVAL);
        assert_int_equal(ch_group_write_file(fixture->group, "memory.none", "1", NULL),
                         -EOPNOTSUPP);
}

static void test_read_only_tree(void **state)
{
        Fixture *fixture = *state;
        _cleanup_(ch_tree_unrefp) ch_tree *tree = NULL;
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        ch_setting change = setting("MemoryMax", "1G");

        assert_int_equal(ch_tree_open(fake_root(fixture->fake), CH_TREE_ANY_FS | CH_TREE_READ_ONLY,
                                      &tree, NULL),
                         0);
        assert_int_equal(ch_tree_open_group(tree, "/web", &group, NULL), 0);
        assert_int_equal(ch_group_write(group, change.attr, &change.value, 0, NULL), -EROFS);
        assert_int_equal(ch_group_write_all(group, &change, 1, NULL), -EROFS);
        assert_int_equal(ch_group_write_file(group, "cgroup.procs", "1", NULL), -EROFS);
        assert_int_equal(ch_group_enable_controller(group, "memory", NULL), -EROFS);
        settings_done(&change, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_read_and_write, setup, teardown),
                cmocka_unit_test_setup_teardown(test_template, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write_refuses, setup, teardown),
                cmocka_unit_test_setup_teardown(test_controller_off_names_the_file, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_older_kernel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_gone_is_always_the_same, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write_all, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write_all_puts_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write_all_checks_first, setup, teardown),
                cmocka_unit_test_setup_teardown(test_keyed_settings_that_are_set, setup, teardown),
                cmocka_unit_test_setup_teardown(test_enable_controller, setup, teardown),
                cmocka_unit_test_setup_teardown(test_state, setup, teardown),
                cmocka_unit_test_setup_teardown(test_procs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_files_stay_in_the_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_read_only_tree, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
