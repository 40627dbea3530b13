/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attribute table: complete rows, unique names, a sample of the kernel's text for each,
 * suggestions. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <ctype.h>
#include <cmocka.h>

#include <chargehand/attr.h>

#include "fake-cgroup.h"
#include "util.h"
#include "value.h"

static void test_rows_are_complete(void **state)
{
        assert_true(ch_attr_count() >= 80);
        assert_null(ch_attr_get(ch_attr_count()));
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                unsigned major, minor;

                assert_non_null(strchr(attr->file, '.'));
                assert_true(isupper((unsigned char)attr->name[0]));
                assert_int_equal(
                        strspn(attr->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                        strlen(attr->name));
                assert_true(isupper((unsigned char)attr->doc[0]));
                assert_int_not_equal(attr->doc[strlen(attr->doc) - 1], '.');
                assert_int_equal(sscanf(attr->since, "%u.%u", &major, &minor), 2);
                assert_int_equal(attr->type == CH_ATTR_ENUM, attr->values != NULL);
                assert_int_equal((attr->flags & CH_ATTR_TEMPLATE) != 0,
                                 strstr(attr->file, "%s") != NULL);
                /* keyed writes need keys; both kinds of root at once make no sense */
                if (attr->flags & CH_ATTR_PERKEY)
                        assert_true(attr->type == CH_ATTR_FLAT || attr->type == CH_ATTR_NESTED);
                assert_false((attr->flags & CH_ATTR_NOT_ROOT) && (attr->flags & CH_ATTR_ROOT_ONLY));
        }
}

static void test_names_and_files_are_unique_and_found(void **state)
{
        for (size_t i = 0; i < ch_attr_count(); i++) {
                assert_ptr_equal(ch_attr_find(ch_attr_get(i)->name), ch_attr_get(i));
                assert_ptr_equal(ch_attr_find(ch_attr_get(i)->file), ch_attr_get(i));
        }
        assert_null(ch_attr_find("memory.maxx"));
        assert_null(ch_attr_find(""));
}

/* A row is not done before the text of its file is known. */
static void test_every_readable_file_has_a_sample(void **state)
{
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                char file[128];

                if (attr->access == CH_ACCESS_W)
                        continue;
                snprintf(file, sizeof(file), "%s", attr->file);
                if (attr->flags & CH_ATTR_TEMPLATE)
                        snprintf(file, sizeof(file), "hugetlb.2MB%s",
                                 attr->file + strlen("hugetlb.%s"));
                if (!fake_sample(file))
                        fail_msg("no sample of %s", file);
        }
}

static void test_suggestions(void **state)
{
        assert_string_equal(ch_attr_suggest("MemoryMaxx"), "MemoryMax");
        assert_string_equal(ch_attr_suggest("memorymax"), "MemoryMax");
        assert_string_equal(ch_attr_suggest("CPUWieght"), "CPUWeight");
        assert_string_equal(ch_attr_suggest("memory.hihg"), "memory.high");
        assert_null(ch_attr_suggest("Colour"));
        assert_null(ch_attr_suggest(""));
        assert_null(ch_attr_suggest(
                "MemoryMaxMemoryMaxMemoryMaxMemoryMaxMemoryMaxMemoryMaxMemoryMaxMemoryMax"));
}

static void test_signatures(void **state)
{
        assert_string_equal(ch_attr_type_signature(CH_ATTR_LIMIT), "t");
        assert_string_equal(ch_attr_type_signature(CH_ATTR_PSI), "a{sa{st}}");
        for (int type = 0; type < CH_ATTR_TYPE_MAX_; type++)
                assert_true(*ch_attr_type_signature((ch_attr_type)type));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows_are_complete),
                cmocka_unit_test(test_names_and_files_are_unique_and_found),
                cmocka_unit_test(test_every_readable_file_has_a_sample),
                cmocka_unit_test(test_suggestions),
                cmocka_unit_test(test_signatures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
