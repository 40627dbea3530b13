/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and times: what people write is read, what cannot be meant is refused, what is printed is rounded but right. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "units.h"
#include "util.h"

static const struct {
        const char *text;
        int result;
        uint64_t value;
} byte_rows[] = {
        { "0", 0, 0 },
        { "4096", 0, 4096 },
        { "12KiB", 0, 12288 },
        { "1.5G", 0, 1610612736 },
        { "1.5gib", 0, 1610612736 },
        { "12B", 0, 12 },
        { "max", 0, UINT64_MAX },
        { "infinity", 0, UINT64_MAX },
        { "18446744073709551614", 0, UINT64_MAX - 1 },
        { "18446744073709551615", -ERANGE, 0 },
        { "99999999999T", -ERANGE, 0 },
        { "1.5", -EINVAL, 0 },
        { "1.", -EINVAL, 0 },
        { "12Q", -EINVAL, 0 },
        { "12Mx", -EINVAL, 0 },
        { "12 KiB", -EINVAL, 0 },
        { "12M 3K", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "nan", -EINVAL, 0 },
};

static const struct {
        const char *text;
        uint64_t plain;
        int result;
        uint64_t value;
} usec_rows[] = {
        { "20s", 1000000, 0, 20000000 },
        { "2", 1000000, 0, 2000000 },
        { "2", 1, 0, 2 },
        { "2.5", 1000000, 0, 2500000 },
        { "1min 30s", 1000000, 0, 90000000 },
        { "250ms", 1000000, 0, 250000 },
        { "7µs", 1000000, 0, 7 },
        { "1h", 1000000, 0, 3600000000 },
        { "2 apples", 1000000, -EINVAL, 0 },
        { "", 1000000, -EINVAL, 0 },
};

static void test_bytes_are_read(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(byte_rows); i++) {
                uint64_t value = 0;

                assert_int_equal(ch_parse_bytes(byte_rows[i].text, &value), byte_rows[i].result);
                assert_true(value == byte_rows[i].value);
        }
}

static void test_times_are_read(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(usec_rows); i++) {
                uint64_t value = 0;

                assert_int_equal(ch_parse_usec(usec_rows[i].text, usec_rows[i].plain, &value), usec_rows[i].result);
                assert_true(value == usec_rows[i].value);
        }
}

static void test_percentages_are_read(void **state)
{
        uint64_t value;

        assert_int_equal(ch_parse_permyriad("1.5%", &value), 0);
        assert_int_equal(value, 150);
        assert_int_equal(ch_parse_permyriad("2", &value), 0);
        assert_int_equal(value, 200);
        assert_int_equal(ch_parse_permyriad("nan", &value), -EINVAL);
        assert_int_equal(ch_parse_permyriad("1% of it", &value), -EINVAL);
}

static void test_bytes_are_printed(void **state)
{
        char buffer[CH_FORMAT_MAX];

        assert_string_equal(ch_format_bytes(1023, buffer), "1023 B");
        assert_string_equal(ch_format_bytes(1024, buffer), "1.0 KiB");
        assert_string_equal(ch_format_bytes(1048575, buffer), "1.0 MiB");
        assert_string_equal(ch_format_bytes(438304768, buffer), "418.0 MiB");
        assert_string_equal(ch_format_bytes(UINT64_MAX, buffer), "max");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_are_read),
                cmocka_unit_test(test_times_are_read),
                cmocka_unit_test(test_percentages_are_read),
                cmocka_unit_test(test_bytes_are_printed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
