/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of the kernel module: what it says of refusals, and what people are told where there is no module. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <sys/stat.h>

#include "error.h"
#include "fake-cgroup.h"
#include "fake-module.h"
#include "map.h"
#include "util.h"

static void test_open(void **state)
{
        _cleanup_(error_freep) ch_error *err = NULL;
        FakeModule fake = FAKE_MODULE_INIT;
        ch_module *module = NULL;

        assert_int_equal(fake_module_open(&fake, &module, NULL), 0);
        assert_int_equal(ch_module_get_mode(module), CH_MODULE_STATE_MOVE);
        assert_int_equal(ch_module_get_kinds(module), CHARGEHAND_MOVE_KINDS);
        assert_string_equal(ch_module_get_reason(module), "a model");
        module = ch_module_free(module);
        assert_int_equal(fake.closed, 1);

        fake.mode = CHARGEHAND_MODE_READ_ONLY;
        assert_int_equal(fake_module_open(&fake, &module, NULL), 0);
        assert_int_equal(ch_module_get_mode(module), CH_MODULE_STATE_READ_ONLY);
        assert_int_equal(ch_module_get_kinds(module), 0);
        module = ch_module_free(module);

        fake.abi = 7;
        assert_int_equal(fake_module_open(&fake, &module, &err), -ENOTSUP);
        assert_null(module);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_NOT_SUPPORTED);
        assert_non_null(strstr(ch_error_get_cause(err), "version 7"));
        assert_int_equal(fake.closed, 2); /* who failed to open it keeps it */
        assert_null(ch_module_free(NULL));
}

/* errno, kind, and a word of the way out */
static const struct {
        int errnum;
        ch_error_kind kind;
        const char *word;
} refusals[] = {
        { EPERM, CH_ERROR_NOT_PERMITTED, "CAP_SYS_ADMIN" },
        { ESRCH, CH_ERROR_NO_SUCH_PROCESS, "exited" },
        { ENODEV, CH_ERROR_NO_SUCH_GROUP, "being removed" },
        { ENOENT, CH_ERROR_CONTROLLER_OFF, "cgroup.subtree_control" },
        { ENOTTY, CH_ERROR_NOT_SUPPORTED, "of this release" },
        { E2BIG, CH_ERROR_NOT_SUPPORTED, "older" },
        { EINVAL, CH_ERROR_BAD_VALUE, "" },
        { ENOMEM, CH_ERROR_NO_MEMORY, "" },
};

static void test_refusals(void **state)
{
        FakeModule fake = FAKE_MODULE_INIT;
        ch_module *module;

        assert_int_equal(fake_module_open(&fake, &module, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
                _cleanup_(error_freep) ch_error *err = NULL;
                struct chargehand_move move = { .from_fd = -1, .from_id = 1, .kinds = 1 };

                fake.fail_move = refusals[i].errnum;
                assert_int_equal(ch_module_move(module, &move, &err), -refusals[i].errnum);
                assert_int_equal(ch_error_get_kind(err), refusals[i].kind);
                assert_string_equal(ch_error_get_path(err), "/dev/chargehand");
                assert_non_null(strstr(ch_error_get_cause(err), refusals[i].word));
        }
        ch_module_free(module);
}

static void test_read_only_says_why(void **state)
{
        _cleanup_(error_freep) ch_error *err = NULL;
        FakeModule fake = FAKE_MODULE_INIT;
        struct chargehand_move move = { .from_fd = -1, .from_id = 1, .kinds = 1 };
        ch_module *module;

        fake.mode = CHARGEHAND_MODE_READ_ONLY;
        assert_int_equal(fake_module_open(&fake, &module, NULL), 0);
        assert_int_equal(ch_module_move(module, &move, &err), -EROFS);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_NOT_SUPPORTED);
        assert_non_null(strstr(ch_error_get_cause(err), "a model"));
        ch_module_free(module);
}

/* What a process maps: 2 MiB and a page of two groups, swap of one, a page merged by KSM. */
static FakePage pages[] = {
        { .address = 1 << 21, .bytes = 2 << 20, .group_id = 5, .kind = CHARGEHAND_KIND_ANON_THP },
        { .address = 2 << 21, .bytes = 4096, .group_id = 6, .kind = CHARGEHAND_KIND_ANON, .flags = FAKE_SHARED },
        { .address = 3 << 21, .bytes = 8192, .group_id = 5, .kind = CHARGEHAND_KIND_SWAP },
        { .address = 4 << 21, .bytes = 4096, .group_id = 6, .kind = CHARGEHAND_KIND_KSM, .flags = FAKE_SHARED },
        { .address = 5 << 21, .bytes = 4096, .group_id = 0, .kind = CHARGEHAND_KIND_OTHER },
};

static void test_map(void **state)
{
        FakeModule fake = FAKE_MODULE_INIT;
        ch_procset *set;
        ch_module *module;
        ch_map map = { 0 };

        fake.pages = pages;
        fake.n = ELEMENTSOF(pages);
        assert_int_equal(ch_procset_new(&set), 0);
        assert_true(ch_procset_add_pid(set, getpid(), NULL) > 0);
        assert_int_equal(fake_module_open(&fake, &module, NULL), 0);
        assert_int_equal(ch_map_use_module(&map, module, NULL), 0);
        assert_int_equal(ch_map_add_process(&map, ch_procset_get(set, 0), NULL), 0);
        assert_int_equal(ch_map_sum(&map, 5, CH_KIND_ANON_THP), 2 << 20);
        assert_int_equal(ch_map_sum(&map, 5, CH_KIND_SWAP), 8192);
        assert_int_equal(ch_map_sum(&map, 6, CH_KIND_ANON), 8192);
        assert_int_equal(ch_map_sum(&map, 0, CH_KIND_UNCHARGED), 4096);
        assert_int_equal(ch_map_n_rows(&map), 4);
        /* the same address space once */
        assert_int_equal(ch_map_add_process(&map, ch_procset_get(set, 0), NULL), 0);
        assert_int_equal(fake.n_maps, 1);
        assert_int_equal(ch_map_use_module(&map, NULL, NULL), -EBUSY);
        free(map.rows);
        free(map.members);
        free(map.target);
        module_rows_done(&map.module_rows);
        ch_procset_free(set);
        ch_module_free(module);
}

/* A host: what is in /sys, /lib/modules and /dev, and what is said of it. */
typedef struct Host {
        const char *module;   /* directory of chargehand.ko below /lib/modules/RELEASE */
        const char *enforce, *lockdown;
        int loaded, has_device;
        ch_module_state state;
        const char *reason, *advice;
} Host;

static const Host hosts[] = {
        { .state = CH_MODULE_STATE_ABSENT, .reason = "no chargehand.ko in", .advice = "chargehand-dkms" },
        { .module = "updates/dkms", .state = CH_MODULE_STATE_NOT_LOADED, .reason = "", .advice = "modprobe chargehand" },
        { .module = "extra", .enforce = "N\n", .lockdown = "[none] integrity confidentiality\n",
          .state = CH_MODULE_STATE_NOT_LOADED, .reason = "", .advice = "dmesg" },
        { .module = "updates/dkms", .enforce = "Y\n", .state = CH_MODULE_STATE_REFUSED, .reason = "sig_enforce",
          .advice = "mokutil" },
        { .module = ".", .enforce = "N\n", .lockdown = "none [integrity] confidentiality\n", .state = CH_MODULE_STATE_REFUSED,
          .reason = "'integrity'", .advice = "docs/kmod.md" },
        { .loaded = 1, .state = CH_MODULE_STATE_NO_ACCESS, .reason = "no such device file", .advice = "devtmpfs" },
        { .loaded = 1, .has_device = 1, .state = CH_MODULE_STATE_UNKNOWN, .reason = "no such command", .advice = "rmmod" },
};

static void put(FakeCgroup *fake, const char *dir, const char *file, const char *text)
{
        fake_add(fake, dir, "");
        fake_set(fake, dir, file, text);
}

static void check_host(const Host *host)
{
        _cleanup_(fake_freep) FakeCgroup *fake = fake_new("");
        _cleanup_(freep) char *sys = NULL, *modules = NULL, *device = NULL, *dir = NULL;
        ch_module_status status;
        ModulePaths paths;

        assert_true(asprintf(&sys, "%s/sys", fake_root(fake)) > 0);
        assert_true(asprintf(&modules, "%s/modules", fake_root(fake)) > 0);
        assert_true(asprintf(&device, "%s/dev/chargehand", fake_root(fake)) > 0);
        paths = (ModulePaths){ .device = device, .sys = sys, .modules = modules };
        if (host->module) {
                assert_true(asprintf(&dir, "/modules/%s", streq(host->module, ".") ? "x" : host->module) > 0);
                put(fake, streq(host->module, ".") ? "/modules" : dir, "chargehand.ko", "");
        }
        if (host->enforce)
                put(fake, "/sys/module/module/parameters", "sig_enforce", host->enforce);
        if (host->lockdown)
                put(fake, "/sys/kernel/security", "lockdown", host->lockdown);
        if (host->loaded)
                put(fake, "/sys/module/chargehand/parameters", "mode", "move\n");
        if (host->has_device)
                put(fake, "/dev", "chargehand", "");
        module_find_status(&paths, &status);
        assert_string_equal(ch_module_state_to_string(status.state), ch_module_state_to_string(host->state));
        assert_non_null(strstr(status.reason, host->reason));
        assert_non_null(strstr(status.advice, host->advice));
}

static void test_status(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(hosts); i++)
                check_host(&hosts[i]);
}

static void test_status_as_json(void **state)
{
        ch_module_status status;
        json_object *json, *word;

        ch_module_get_status(&status);
        assert_int_equal(ch_module_status_to_json(&status, &json), 0);
        assert_true(json_object_object_get_ex(json, "state", &word));
        assert_string_equal(json_object_get_string(word), ch_module_state_to_string(status.state));
        assert_true(status.state == CH_MODULE_STATE_MOVE || *status.advice);
        json_object_put(json);
        assert_string_equal(ch_module_state_to_string((ch_module_state)99), "?");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_read_only_says_why),
                cmocka_unit_test(test_map),
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_status_as_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
