/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of units: what is one, the groups and objects that belong to them, there and back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/systemd1/name.h"
#include "util.h"

static const struct {
        const char *name;
        int result; /* of unit_name_to_kind() */
        UnitKind kind;
} kinds[] = {
        { "a.scope",                   0,           UNIT_SCOPE   },
        { "libpod-0f.scope",           0,           UNIT_SCOPE   },
        { "a-b-c.slice",               0,           UNIT_SLICE   },
        { "-.slice",                   0,           UNIT_SLICE   },
        { "a_b.c.slice",               0,           UNIT_SLICE   },
        { "user@1000.service",         0,           UNIT_SERVICE },
        { "a@b@c.service",             0,           UNIT_SERVICE },
        { "a\\x2db:c.scope",           0,           UNIT_SCOPE   },
        { "x.timer",                   -EOPNOTSUPP, UNIT_SCOPE   },
        { "sys-devices.device",        -EOPNOTSUPP, UNIT_SCOPE   },
        { "a@.service",                -EINVAL,     UNIT_SCOPE   },
        { "@b.service",                -EINVAL,     UNIT_SCOPE   },
        { "a@b.slice",                 -EINVAL,     UNIT_SCOPE   },
        { "-a.slice",                  -EINVAL,     UNIT_SCOPE   },
        { "a-.slice",                  -EINVAL,     UNIT_SCOPE   },
        { "a--b.slice",                -EINVAL,     UNIT_SCOPE   },
        { "--.slice",                  -EINVAL,     UNIT_SCOPE   },
        { ".scope",                    -EINVAL,     UNIT_SCOPE   },
        { "scope",                     -EINVAL,     UNIT_SCOPE   },
        { "a.",                        -EINVAL,     UNIT_SCOPE   },
        { "a.scopes",                  -EINVAL,     UNIT_SCOPE   },
        { "a b.scope",                 -EINVAL,     UNIT_SCOPE   },
        { "a/b.scope",                 -EINVAL,     UNIT_SCOPE   },
        { "\xc3\xa4.scope",            -EINVAL,     UNIT_SCOPE   },
        { "",                          -EINVAL,     UNIT_SCOPE   },
};

static void test_kinds(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                UnitKind kind = UNIT_KIND_MAX_;
                int r = unit_name_to_kind(kinds[i].name, &kind);

                if (r != kinds[i].result || (r == 0 && kind != kinds[i].kind))
                        fail_msg("%s: %d, kind %d", kinds[i].name, r, kind);
        }
}

static void test_length(void **state)
{
        char name[300];

        memset(name, 'a', sizeof(name));
        memcpy(name + 249, ".scope", sizeof(".scope"));
        assert_true(unit_name_is_valid(name)); /* 255 bytes */
        memcpy(name + 249, "a.scope", sizeof("a.scope"));
        assert_false(unit_name_is_valid(name));
}

static const struct {
        const char *name, *slice, *path;
} groups[] = {
        { "-.slice",           NULL,          "/"                                                   },
        { "a.slice",           NULL,          "/a.slice"                                            },
        { "a-b.slice",         NULL,          "/a.slice/a-b.slice"                                  },
        { "a-b-c.slice",       NULL,          "/a.slice/a-b.slice/a-b-c.slice"                      },
        { "a.b-c.slice",       NULL,          "/a.b.slice/a.b-c.slice"                              },
        { "x.scope",           "-.slice",     "/x.scope"                                            },
        { "x.scope",           "a-b.slice",   "/a.slice/a-b.slice/x.scope"                          },
        { "user@1000.service", "user-1000.slice", "/user.slice/user-1000.slice/user@1000.service"   },
        { "cpu.slice",         NULL,          "/_cpu.slice"                                         },
        { "memory.scope",      "a.slice",     "/a.slice/_memory.scope"                              },
        { "_x.scope",          "a.slice",     "/a.slice/__x.scope"                                  },
        { "cgroup.x.scope",    "-.slice",     "/_cgroup.x.scope"                                    },
        { "cpu-x.scope",       "-.slice",     "/cpu-x.scope"                                        },
        { "tasks.scope",       "-.slice",     "/tasks.scope"                                        },
};

static void test_groups_there_and_back(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                char *path = NULL, *name = NULL, *slice = NULL;

                assert_int_equal(unit_name_to_group(groups[i].name, groups[i].slice, &path), 0);
                assert_string_equal(path, groups[i].path);
                assert_int_equal(unit_name_from_group(path, &name, &slice), 0);
                assert_string_equal(name, groups[i].name);
                if (groups[i].slice)
                        assert_string_equal(slice, groups[i].slice);
                else if (streq(name, "-.slice"))
                        assert_null(slice);
                if (!streq(path, "/"))
                        assert_int_equal(unit_group_of_path(path), strlen(path));
                free(path);
                free(name);
                free(slice);
        }
}

static void test_bad_slices(void **state)
{
        char *path = NULL;

        assert_int_equal(unit_name_to_group("x.scope", "a.scope", &path), -EINVAL);
        assert_int_equal(unit_name_to_group("x.scope", "a--b.slice", &path), -EINVAL);
        assert_int_equal(unit_name_to_group("x.scope", NULL, &path), -EINVAL);
        assert_int_equal(unit_name_to_group("x.timer", "a.slice", &path), -EOPNOTSUPP);
        assert_null(path);
}

static const struct {
        const char *path;
        size_t length; /* of the unit's own group on the way */
} others[] = {
        { "/a.slice/x.scope/container",                          16 },
        { "/a.slice/b.slice",                                    8  },
        { "/a.slice/a-b.slice/kubepods",                         18 },
        { "/a-b.slice",                                          0  },
        { "/_x.scope",                                           0  },
        { "/web/a.slice",                                        0  },
        { "/a.slice/x.timer",                                    8  },
        { "/user.slice/user-1000.slice/user@1000.service/a.slice/x.scope", 45 },
        { "/",                                                   0  },
};

static void test_groups_of_others(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                char *name = NULL;

                assert_int_equal(unit_group_of_path(others[i].path), others[i].length);
                if (!streq(others[i].path, "/"))
                        assert_int_equal(unit_name_from_group(others[i].path, &name, NULL),
                                         -ENOENT);
                assert_null(name);
        }
}

static void test_parent_slices(void **state)
{
        char *parent = NULL;

        assert_int_equal(unit_name_parent_slice("a-b-c.slice", &parent), 0);
        assert_string_equal(parent, "a-b.slice");
        free(parent);
        assert_int_equal(unit_name_parent_slice("a.slice", &parent), 0);
        assert_string_equal(parent, "-.slice");
        free(parent);
        parent = NULL;
        assert_int_equal(unit_name_parent_slice("-.slice", &parent), -ENOENT);
        assert_int_equal(unit_name_parent_slice("a.scope", &parent), -EINVAL);
        assert_null(parent);
}

#define PREFIX "/org/freedesktop/systemd1/unit/"

static const struct {
        const char *name, *object;
} objects[] = {
        { "libpod-abc.scope",  PREFIX "libpod_2dabc_2escope"      },
        { "1a2.scope",         PREFIX "_31a2_2escope"             },
        { "-.slice",           PREFIX "_2d_2eslice"               },
        { "user@1000.service", PREFIX "user_401000_2eservice"     },
        { "a_b\\x.scope",      PREFIX "a_5fb_5cx_2escope"         },
};

static void test_objects_there_and_back(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(objects); i++) {
                char *object = unit_name_to_object(objects[i].name), *name = NULL;

                assert_string_equal(object, objects[i].object);
                assert_int_equal(unit_name_from_object(object, &name), 0);
                assert_string_equal(name, objects[i].name);
                free(object);
                free(name);
        }
}

static void test_bad_objects(void **state)
{
        static const char *const bad[] = { PREFIX "a_2", PREFIX "a_", PREFIX "a_zz", PREFIX "a_00",
                                           PREFIX "", "/org/freedesktop/systemd1/job/1", PREFIX "a/b", "" };
        char *name = NULL;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(unit_name_from_object(bad[i], &name), -EINVAL);
        assert_null(name);
        name = unit_name_to_object("");
        assert_string_equal(name, PREFIX "_");
        free(name);
        assert_int_equal(unit_name_from_object(PREFIX "_", &name), 0);
        assert_string_equal(name, "");
        free(name);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_length),
                cmocka_unit_test(test_groups_there_and_back),
                cmocka_unit_test(test_bad_slices),
                cmocka_unit_test(test_groups_of_others),
                cmocka_unit_test(test_parent_slices),
                cmocka_unit_test(test_objects_there_and_back),
                cmocka_unit_test(test_bad_objects),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
