/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors: the first wins, kinds and names agree, a NULL error is readable. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"
#include "util.h"

static void test_first_error_wins(void **state)
{
        _cleanup_(error_freep) ch_error *error = NULL;

        assert_int_equal(error_set(&error, CH_ERROR_NO_ROOM, 0, "/web", "needs %d more", 7), -ENOSPC);
        assert_int_equal(error_set(&error, CH_ERROR_BUSY, 0, "/other", "later"), -EAGAIN);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NO_ROOM);
        assert_string_equal(ch_error_get_path(error), "/web");
        assert_string_equal(ch_error_get_cause(error), "needs 7 more");
}

static void test_null_error_is_readable(void **state)
{
        assert_int_equal(error_set(NULL, CH_ERROR_NO_SUCH_GROUP, 0, "/x", "gone"), -ENODEV);
        assert_string_equal(ch_error_get_cause(NULL), "");
        assert_int_equal(ch_error_get_errno(NULL), EIO);
        ch_error_free(NULL);
}

static void test_every_kind_has_a_name_and_back(void **state)
{
        for (int kind = 0; kind < CH_ERROR_KIND_MAX_; kind++) {
                ch_error_kind back = CH_ERROR_KIND_MAX_;
                char full[128] = "org.chargehand1.Error.";

                strncat(full, ch_error_kind_to_name(kind), sizeof(full) - strlen(full) - 1);
                assert_int_equal(ch_error_kind_from_name(full, &back), 0);
                assert_int_equal(back, kind);
                assert_true(ch_error_kind_to_exit(kind) > 0);
        }
}

static void test_errno_picks_the_kind(void **state)
{
        _cleanup_(error_freep) ch_error *error = NULL;

        assert_int_equal(error_errno(&error, EACCES, "/g/memory.max", "write"), -EACCES);
        assert_int_equal(ch_error_get_kind(error), CH_ERROR_NOT_PERMITTED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_error_wins),
                cmocka_unit_test(test_null_error_is_readable),
                cmocka_unit_test(test_every_kind_has_a_name_and_back),
                cmocka_unit_test(test_errno_picks_the_kind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
