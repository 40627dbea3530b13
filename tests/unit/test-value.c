/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values: each row parses what it formats, what people write, what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <json-c/json.h>

#include <chargehand/attr.h>

#include "error.h"
#include "fake-cgroup.h"
#include "util.h"
#include "value.h"

static const char *template_sample(const ch_attr *attr)
{
        return attr->type == CH_ATTR_NESTED ? "2MB max=0\n1GB max=3\n" : "2MB 0\n1GB 1073741824\n";
}

/* kernel's text → value → text → the same value; JSON can be made of it */
static void test_rows_parse_what_they_format(void **state)
{
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
                _cleanup_(value_donep) ch_value again = CH_VALUE_INIT;
                _cleanup_(freep) char *text = NULL;
                struct json_object *json = NULL;
                const char *sample = attr->flags & CH_ATTR_TEMPLATE ? template_sample(attr)
                                                                    : fake_sample(attr->file);

                if (attr->access == CH_ACCESS_W)
                        sample = "1\n";
                assert_non_null(sample);
                assert_int_equal(ch_value_parse(attr, sample, &value, NULL), 0);
                assert_int_equal(ch_value_format(attr, &value, &text), 0);
                /* what the kernel shows but for the newline at the end */
                if (strncmp(sample, text, strlen(text)) != 0 || !strchr("\n", sample[strlen(text)]))
                        fail_msg("%s: '%s' came back as '%s'", attr->file, sample, text);
                assert_int_equal(ch_value_parse(attr, text, &again, NULL), 0);
                assert_true(ch_value_equal(&value, &again));
                assert_int_equal(ch_value_to_json(attr, &value, &json), 0);
                json_object_put(json);
        }
}

typedef struct Human {
        const char *name, *text, *kernel; /* kernel: what is written; NULL: refused */
} Human;

static const Human humans[] = {
        { "MemoryMax", "512M", "536870912" },
        { "MemoryMax", "1.5GiB", "1610612736" },
        { "MemoryMax", "2g", "2147483648" },
        { "MemoryMax", "4096", "4096" },
        { "MemoryMax", "1K", "1024" },
        { "MemoryMax", "3T", "3298534883328" },
        { "MemoryMax", "0.25P", "281474976710656" },
        { "MemoryMax", "16383.99P", "18446732814710483189" },
        { "MemoryMax", "77B", "77" },
        { "MemoryMax", "max", "max" },
        { "MemoryMax", "infinity", "max" },
        { "MemoryMax", "0", "0" },
        { "MemoryMax", "512MB", NULL },
        { "MemoryMax", "512 M", NULL },
        { "MemoryMax", "1.5", NULL },
        { "MemoryMax", "1.M", NULL },
        { "MemoryMax", "-1", NULL },
        { "MemoryMax", "", NULL },
        { "MemoryMax", "18446744073709551615", NULL },
        { "MemoryMax", "99999999999999999999", NULL },
        { "MemoryMax", "16384P", NULL },
        { "MemoryMax", "50%", NULL },
        { "MemoryMax", "0x10", NULL },
        { "MemoryReclaim", "64M", "67108864" },
        { "MemoryReclaim", "max", NULL },
        { "MemoryOOMGroup", "yes", "1" },
        { "MemoryOOMGroup", "Off", "0" },
        { "MemoryOOMGroup", "TRUE", "1" },
        { "MemoryOOMGroup", "2", NULL },
        { "MemoryOOMGroup", "maybe", NULL },
        { "CPUWeight", "100", "100" },
        { "CPUWeight", "0", NULL },
        { "CPUWeight", "10001", NULL },
        { "CPUWeight", "1K", NULL },
        { "CPUWeightNice", "-20", "-20" },
        { "CPUWeightNice", "20", NULL },
        { "CPUWeightNice", "--2", NULL },
        { "CPUMax", "50%", "50000 100000" },
        { "CPUMax", "250%", "250000 100000" },
        { "CPUMax", "12.5% 20ms", "2500 20000" },
        { "CPUMax", "max", "max 100000" },
        { "CPUMax", "max 50000", "max 50000" },
        { "CPUMax", "20000 50000", "20000 50000" },
        { "CPUMax", "20ms 1s", "20000 1000000" },
        { "CPUMax", "0.5%", NULL },
        { "CPUMax", "50% 2s", NULL },
        { "CPUMax", "50000 100000 1", NULL },
        { "CPUMax", "500", NULL },
        { "CPUMax", "%", NULL },
        { "CPUMaxBurst", "10ms", "10000" },
        { "CPUMaxBurst", "1.5s", "1500000" },
        { "CPUMaxBurst", "3d", NULL },
        { "CPUUclampMin", "12.5%", "12.50" },
        { "CPUUclampMin", "30", "30.00" },
        { "CPUUclampMax", "max", "max" },
        { "CPUUclampMax", "101", NULL },
        { "CPUPartition", "isolated", "isolated" },
        { "CPUPartition", "islated", NULL },
        { "CPUPartition", "member|root", NULL },
        { "CPUPartition", "", NULL },
        { "AllowedCPUs", "0-3,8", "0-3,8" },
        { "AllowedCPUs", "", "" },
        { "AllowedCPUs", "0\n1", NULL },
        { "TasksMax", "4194304", "4194304" },
        { "TasksMax", "4194305", NULL },
        { "TasksMax", "max", "max" },
        { "IOWeight", "200", "default 200" },
        { "IOWeight", "8:0 300", "8:0 300" },
        { "IOWeight", "default 50 8:0 60", "default 50\n8:0 60" },
        { "IOWeight", "8:0", NULL },
        { "IOWeight", "0", NULL },
        { "IOWeight", "default max", NULL },
        { "IOMax", "8:0 rbps=1M wbps=max riops=120", "8:0 rbps=1048576 wbps=max riops=120" },
        { "IOMax", "8:0 rbps=1 8:16 wbps=2K", "8:0 rbps=1\n8:16 wbps=2048" },
        { "IOMax", "8:0 riops=1K", NULL },
        { "IOMax", "8:0", NULL },
        { "IOMax", "rbps=1M", NULL },
        { "IOMax", "8:0 =1M", NULL },
        { "IOMax", "", NULL },
        { "IODeviceLatencyTarget", "8:0 target=75ms", "8:0 target=75000" },
        { "HugetlbMax", "2MB 1G", "2MB 1073741824" },
        { "HugetlbMax", "2MB max", "2MB max" },
        { "HugetlbMax", "../../x 1", NULL },
        { "Freeze", "yes", "1" },
        { "Kill", "1", "1" },
        { "Kill", "0", NULL },
};

static void test_what_people_write(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(humans); i++) {
                const ch_attr *attr = ch_attr_find(humans[i].name);
                _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
                _cleanup_(error_freep) ch_error *error = NULL;
                _cleanup_(freep) char *text = NULL;
                int r = ch_value_parse_human(attr, humans[i].text, &value, &error);

                if ((r >= 0) != (humans[i].kernel != NULL))
                        fail_msg("%s=%s: %d %s", humans[i].name, humans[i].text, r,
                                 ch_error_get_cause(error));
                if (r < 0) {
                        assert_true(r == -EINVAL || r == -ERANGE);
                        assert_int_equal(ch_error_get_kind(error), CH_ERROR_BAD_VALUE);
                        assert_non_null(strstr(ch_error_get_cause(error), humans[i].name));
                        assert_non_null(strstr(ch_error_get_cause(error), "give "));
                        continue;
                }
                assert_int_equal(ch_value_format(attr, &value, &text), 0);
                assert_string_equal(text, humans[i].kernel);
        }
}

static void test_refusals_say_what_is_accepted(void **state)
{
        static const struct {
                const char *name, *text, *cause;
        } rows[] = {
                { "MemoryMax", "512Q",
                  "MemoryMax cannot be '512Q': give a size in bytes, or with K, M, G or T (powers "
                  "of 1024), or max" },
                { "CPUWeight", "0",
                  "CPUWeight cannot be '0': give a whole number from 1 to 10000" },
                { "CPUPartition", "x",
                  "CPUPartition cannot be 'x': give one of member, root, isolated" },
                { "MemoryOOMGroup", "x",
                  "MemoryOOMGroup cannot be 'x': give yes or no, on or off, 1 or 0" },
                { "IOWeight", "0",
                  "IOWeight cannot be 'default 0': give a weight from 1 to 10000, or MAJOR:MINOR "
                  "WEIGHT for a device" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(error_freep) ch_error *error = NULL;
                ch_value value = CH_VALUE_INIT;

                assert_true(ch_value_parse_human(ch_attr_find(rows[i].name), rows[i].text, &value,
                                                 &error) < 0);
                assert_string_equal(ch_error_get_cause(error), rows[i].cause);
        }
}

static void test_read_only_is_refused(void **state)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_value value = { .type = CH_ATTR_NUMBER, .number = 1 };

        assert_int_equal(ch_value_check(ch_attr_find("MemoryCurrent"), &value, &error), -EROFS);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_READ_ONLY);
        assert_int_equal(ch_value_parse_human(ch_attr_find("MemoryCurrent"), "1", &value, NULL),
                         -EROFS);
}

static void test_wrong_type_is_refused(void **state)
{
        ch_value value = { .type = CH_ATTR_BOOL, .number = 1 };

        assert_int_equal(ch_value_check(ch_attr_find("MemoryMax"), &value, NULL), -EINVAL);
        value = (ch_value){ .type = CH_ATTR_FLAT };
        assert_int_equal(ch_value_check(ch_attr_find("IOWeight"), &value, NULL), -ERANGE);
}

static void test_malformed_kernel_text(void **state)
{
        static const struct {
                const char *name, *text;
        } rows[] = {
                { "MemoryMax", "12x\n" },
                { "MemoryMax", "" },
                { "MemoryMax", "maxi\n" },
                { "MemoryCurrent", "max\n" },
                { "Freeze", "2\n" },
                { "CPUMax", "max\n" },
                { "CPUMax", "max x\n" },
                { "MemoryStat", "anon\n" },
                { "MemoryStat", "anon x\n" },
                { "MemoryStat", " 5\n" },
                { "MemoryStat", "anon max\n" },
                { "IOMax", "8:0 rbps=x\n" },
                { "IOMax", "8:0 =1\n" },
                { "CPUPressure", "some avg10=x\n" },
                { "CPUWeightNice", "-\n" },
                { "CPUWeightNice", "9223372036854775808\n" },
                { "MemoryCurrent", "18446744073709551616\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ch_value value = CH_VALUE_INIT;
                int r = ch_value_parse(ch_attr_find(rows[i].name), rows[i].text, &value, NULL);

                if (r != -EINVAL)
                        fail_msg("%s '%s': %d", rows[i].name, rows[i].text, r);
        }
}

static void test_pressure_is_in_permyriad(void **state)
{
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;

        assert_int_equal(ch_value_parse(ch_attr_find("cpu.pressure"), fake_sample("cpu.pressure"),
                                        &value, NULL),
                         0);
        assert_int_equal(value.n_nested, 2);
        assert_int_equal(nested_find(value_find_nested(&value, "some"), "avg60")->value, 125);
        assert_int_equal(nested_find(value_find_nested(&value, "some"), "total")->value, 123456);
        assert_int_equal(nested_find(value_find_nested(&value, "full"), "avg60")->value, 10000);
}

/* Some kernels print a device without figures and no newline; the cost model prints decimals. */
static void test_io_stat_quirks(void **state)
{
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;

        assert_int_equal(ch_value_parse(ch_attr_find("io.stat"),
                                        "259:0 253:0 rbytes=7 cost.vrate=99.50\n8:0 wbytes=1\n",
                                        &value, NULL),
                         0);
        assert_int_equal(value.n_nested, 3);
        assert_int_equal(value.nested[0].n_entries, 0);
        assert_int_equal(nested_find(&value.nested[1], "rbytes")->value, 7);
        assert_int_equal(nested_find(&value.nested[1], "cost.vrate")->value, 99);
}

static void test_hugetlb_without_a_limit(void **state)
{
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
        uint64_t number;

        assert_int_equal(ch_value_parse(ch_attr_find("HugetlbMax"),
                                        "2MB 9223372036854771712\n1GB 1073741824\n", &value, NULL),
                         0);
        assert_int_equal(ch_value_flat_get(&value, "2MB", &number), 0);
        assert_true(number == CH_LIMIT_MAX);
        assert_int_equal(ch_value_flat_get(&value, "1GB", &number), 0);
        assert_int_equal(number, 1073741824);
}

static void test_flat_get(void **state)
{
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
        uint64_t number = 0;

        assert_int_equal(
                ch_value_parse(ch_attr_find("MemoryStat"), "anon 5\nfile 6\n", &value, NULL), 0);
        assert_int_equal(ch_value_flat_get(&value, "file", &number), 0);
        assert_int_equal(number, 6);
        assert_int_equal(ch_value_flat_get(&value, "fil", &number), -ENOENT);
}

static void test_json(void **state)
{
        static const struct {
                const char *name, *text, *json;
        } rows[] = {
                { "MemoryMax", "max\n", "\"max\"" },
                { "MemoryMax", "4096\n", "4096" },
                { "MemoryCurrent", "18446744073709551614\n", "18446744073709551614" },
                { "Freeze", "1\n", "true" },
                { "CPUWeightNice", "-5\n", "-5" },
                { "CPUMax", "max 100000\n", "[\"max\",100000]" },
                { "AllowedCPUs", "0-1\n", "\"0-1\"" },
                { "Controllers", "cpu memory\n", "[\"cpu\",\"memory\"]" },
                { "Controllers", "\n", "[]" },
                { "MiscMax", "sev max\nsev_es 4\n", "{\"sev\":\"max\",\"sev_es\":4}" },
                { "IOMax", "8:0 rbps=1 wbps=max\n", "{\"8:0\":{\"rbps\":1,\"wbps\":\"max\"}}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const ch_attr *attr = ch_attr_find(rows[i].name);
                _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
                struct json_object *json = NULL;

                assert_int_equal(ch_value_parse(attr, rows[i].text, &value, NULL), 0);
                assert_int_equal(ch_value_to_json(attr, &value, &json), 0);
                assert_string_equal(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN),
                                    rows[i].json);
                json_object_put(json);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows_parse_what_they_format),
                cmocka_unit_test(test_what_people_write),
                cmocka_unit_test(test_refusals_say_what_is_accepted),
                cmocka_unit_test(test_read_only_is_refused),
                cmocka_unit_test(test_wrong_type_is_refused),
                cmocka_unit_test(test_malformed_kernel_text),
                cmocka_unit_test(test_pressure_is_in_permyriad),
                cmocka_unit_test(test_io_stat_quirks),
                cmocka_unit_test(test_hugetlb_without_a_limit),
                cmocka_unit_test(test_flat_get),
                cmocka_unit_test(test_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
