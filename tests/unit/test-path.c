/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Group paths: each kind of bad one is refused with its reason. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <chargehand/tree.h>

#include "error.h"
#include "path.h"
#include "util.h"

static const struct {
        const char *path, *cause; /* cause: a part of it; NULL: a good path */
} paths[] = {
        { "/", NULL },
        { "/web", NULL },
        { "/web/api", NULL },
        { "/a.b/c-d_e:f@g", NULL },
        { "/größe/日本/𝔘", NULL },
        { "/...", NULL },
        { "/memory", NULL },
        { "/memoryx.max", NULL },
        { "/.memory.max", NULL },
        { "", "must not be empty" },
        { "web", "begins with '/', such as /web" },
        { "/web/", "end in '/'" },
        { "//web", "'//'" },
        { "/a//b", "'//'" },
        { "/..", "'..'" },
        { "/a/../b", "'..'" },
        { "/a/.", "'.'" },
        { "/a\nb", "control characters; byte 2" },
        { "/a\x7f", "control characters" },
        { "/memory.max", "reserved" },
        { "/a/cgroup.procs", "'cgroup.procs' is reserved" },
        { "/io.anything", "reserved" },
        { "/\xff", "UTF-8; byte 1" },
        { "/\xc0\xaf", "UTF-8" },         /* overlong '/' */
        { "/\xe0\x80\xaf", "UTF-8" },     /* overlong */
        { "/\xed\xa0\x80", "UTF-8" },     /* surrogate */
        { "/\xf4\x90\x80\x80", "UTF-8" }, /* above U+10FFFF */
        { "/\xe6\x97", "UTF-8" },         /* cut off */
        { "/\xf0\x9d\x94", "UTF-8" },
        { "/a\x80", "UTF-8; byte 2" },
};

static void test_paths(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_(error_freep) ch_error *error = NULL;
                int r = ch_path_check(paths[i].path, &error);

                assert_int_equal(r, paths[i].cause ? -EINVAL : 0);
                if (r == 0)
                        continue;
                assert_int_equal(ch_error_get_kind(error), CH_ERROR_BAD_PATH);
                if (!strstr(ch_error_get_cause(error), paths[i].cause))
                        fail_msg("'%s': '%s'", paths[i].path, ch_error_get_cause(error));
        }
}

static void test_too_long(void **state)
{
        _cleanup_(error_freep) ch_error *component = NULL;
        _cleanup_(error_freep) ch_error *whole = NULL;
        char path[5000];

        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[256] = '\0';
        assert_int_equal(ch_path_check(path, NULL), 0);
        path[256] = 'x';
        path[257] = '\0';
        assert_int_equal(ch_path_check(path, &component), -EINVAL);
        assert_non_null(
                strstr(ch_error_get_cause(component), "is 256 bytes long; a name has at most 255"));

        for (size_t i = 0; i < sizeof(path); i++)
                path[i] = i % 2 ? 'x' : '/';
        path[4094] = '\0';
        assert_int_equal(ch_path_check(path, NULL), 0);
        path[4094] = '/';
        path[4096] = '\0';
        assert_int_equal(ch_path_check(path, &whole), -EINVAL);
        assert_non_null(strstr(ch_error_get_cause(whole), "4096 bytes is too long; at most 4095"));
}

static void test_below(void **state)
{
        assert_int_equal(ch_path_is_below("/a/b", "/a"), 1);
        assert_int_equal(ch_path_is_below("/a", "/a"), 1);
        assert_int_equal(ch_path_is_below("/ab", "/a"), 0);
        assert_int_equal(ch_path_is_below("/a", "/a/b"), 0);
        assert_int_equal(ch_path_is_below("/a", "/"), 1);
        assert_int_equal(ch_path_is_below("/", "/"), 1);
        assert_int_equal(ch_path_is_below("/", "/a"), 0);
}

static void test_lca(void **state)
{
        static const struct {
                const char *a, *b, *lca;
        } rows[] = {
                { "/", "/", "/" },
                { "/a", "/", "/" },
                { "/a", "/b", "/" },
                { "/a", "/ab", "/" },
                { "/a", "/a", "/a" },
                { "/a/b", "/a", "/a" },
                { "/a/b", "/a/c", "/a" },
                { "/a/bc/d", "/a/b/d", "/a" },
                { "/a/b/c", "/a/b/d", "/a/b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(freep) char *one = NULL;
                _cleanup_(freep) char *other = NULL;

                assert_int_equal(ch_path_lca(rows[i].a, rows[i].b, &one), 0);
                assert_int_equal(ch_path_lca(rows[i].b, rows[i].a, &other), 0);
                assert_string_equal(one, rows[i].lca);
                assert_string_equal(other, rows[i].lca);
        }
}

static void test_parent_and_join(void **state)
{
        _cleanup_(freep) char *parent = NULL;
        _cleanup_(freep) char *root = NULL;
        _cleanup_(freep) char *joined = NULL;

        assert_int_equal(path_parent("/a/b", &parent), 0);
        assert_string_equal(parent, "/a");
        assert_int_equal(path_parent("/a", &root), 0);
        assert_string_equal(root, "/");
        assert_int_equal(path_join(root, "x", &joined), 0);
        assert_string_equal(joined, "/x");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths),           cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_below),           cmocka_unit_test(test_lca),
                cmocka_unit_test(test_parent_and_join),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
