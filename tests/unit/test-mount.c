/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cgroup2 mount in mountinfo files as hosts of several kinds have them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <chargehand/probe.h>
#include <json-c/json.h>

#include "mount.h"
#include "util.h"

static const char unified[] = "22 28 0:21 / /proc rw,nosuid - proc proc rw\n"
                              "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "
                              "rw,nsdelegate,favordynmods\n";
static const char hybrid[] = "29 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
                             "30 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                             "31 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
static const char legacy[] = "29 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
                             "30 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
static const char container[] =
        "29 23 0:26 /docker/1a /mnt/part rw - cgroup2 cgroup2 rw\n"
        "30 23 0:26 / /long/way/to/it/with\\040blank rw master:4 - cgroup2 cgroup2 rw\n"
        "31 23 0:26 / /other rw - cgroup2 cgroup2 rw\n"
        "32 23 0:26 /docker /other/hidden rw - cgroup2 cgroup2 rw\n"
        "33 broken line\n";

static int find(const char *mountinfo, const char *path, CgroupMount *ret)
{
        char name[] = "/tmp/mountinfo-XXXXXX";
        int fd = mkstemp(name), r;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, mountinfo, strlen(mountinfo)), strlen(mountinfo));
        (void)safe_close(fd);
        r = cgroup_mount_find(name, path, ret);
        (void)unlink(name);
        return r;
}

static void test_find(void **state)
{
        static const struct {
                const char *mountinfo, *path, *point, *root;
        } rows[] = {
                { unified, NULL, "/sys/fs/cgroup", "/" },
                { unified, "/sys/fs/cgroup/web", "/sys/fs/cgroup", "/" },
                { unified, "/sys/fs/cgroup2", NULL, NULL },
                { hybrid, NULL, "/sys/fs/cgroup/unified", "/" },
                { legacy, NULL, NULL, NULL },
                { "", NULL, NULL, NULL },
                { container, NULL, "/other", "/" },
                { container, "/long/way/to/it/with blank/x", "/long/way/to/it/with blank", "/" },
                { container, "/mnt/part", "/mnt/part", "/docker/1a" },
                { container, "/other/hidden/x", "/other/hidden", "/docker" },
                { container, "/other/hiddenx", "/other", "/" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };
                int r = find(rows[i].mountinfo, rows[i].path, &mount);

                assert_int_equal(r, rows[i].point ? 0 : -ENODEV);
                if (r < 0)
                        continue;
                assert_string_equal(mount.point, rows[i].point);
                assert_string_equal(mount.root, rows[i].root);
        }
}

static void test_options(void **state)
{
        _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };

        assert_int_equal(find(unified, NULL, &mount), 0);
        assert_string_equal(mount.options, "rw,nsdelegate,favordynmods");
        assert_int_equal(cgroup_mount_find("/does/not/exist", NULL, &mount), -ENOENT);
}

static void test_advice_names_the_controller(void **state)
{
        _cleanup_(freep) char *advice = NULL;

        assert_int_equal(cgroup_v1_advice("nonesuch", &advice), 0); /* on no v1 hierarchy */
        assert_non_null(strstr(advice, "controller 'nonesuch' is on no hierarchy"));
}

/* Whatever the host: the probe never fails, and every feature has a name and a way out. */
static void test_probe(void **state)
{
        struct json_object *json = NULL, *features = NULL;
        ch_probe probe;

        assert_int_equal(ch_probe_run(NULL, &probe), 0);
        assert_true(*probe.kernel && probe.page_bytes >= 4096 && probe.cpus >= 1);
        assert_true(ch_probe_has(&probe, CH_FEATURE_OPENAT2) &&
                    ch_probe_has(&probe, CH_FEATURE_PIDFD));
        assert_false(ch_probe_has(&probe, CH_FEATURE_MAX_));
        assert_int_equal(ch_probe_to_json(&probe, &json), 0);
        assert_true(json_object_object_get_ex(json, "features", &features));
        assert_int_equal(json_object_object_length(features), CH_FEATURE_MAX_);
        for (int i = 0; i < CH_FEATURE_MAX_; i++) {
                assert_true(*ch_feature_to_name((ch_feature)i));
                assert_true(*ch_feature_get_advice((ch_feature)i));
        }
        json_object_put(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_advice_names_the_controller),
                cmocka_unit_test(test_probe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
