/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of properties, the rare ones too, and what is kept over a restart. */

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>

#include "fake-cgroup.h"
#include "systemd1-call.h"
#include "util.h"

/* ---- the rare ones: checked by type, kept and told as they were given ---- */

static void test_rare_ones_are_told(void **state)
{
        static const unsigned ids[] = { PROP_IP_ADDRESS_ALLOW, PROP_SOCKET_BIND_ALLOW,
                                        PROP_RESTRICT_NETWORK_INTERFACES, PROP_NFT_SET,
                                        PROP_DOCUMENTATION, PROP_BPF_PROGRAM };
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };

        call_add_rare(call);
        if (call_read(call, UNIT_SCOPE, 1, &changes) < 0)
                fail_msg("%s", call_error(call));
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                const Property *row = property_get(ids[i]);
                PropertyValue again = { .row = (uint16_t)ids[i] };
                const PropertyValue *value = property_set_find(&changes.set, ids[i]);

                assert_int_equal(property_append(call_reply(call), row, &changes.set, -1), 0);
                assert_int_equal(
                        value_read(call_reply_read(call), property_signature(row), &again), 0);
                assert_int_equal(again.size, value->size);
                assert_memory_equal(again.data, value->data, value->size);
                property_value_done(&again);
        }
}

static void test_conditions_are_told(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        sd_bus_message *reply;
        const char *type, *parameter;
        int trigger, negate, result;

        call_add_rare(call);
        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        assert_int_equal(property_append(call_reply(call), property_get(PROP_CONDITIONS),
                                         &changes.set, -1),
                         0);
        reply = call_reply_read(call);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(sbbsi)") > 0);
        assert_true(sd_bus_message_read(reply, "(sbbsi)", &type, &trigger, &negate, &parameter,
                                        &result) > 0);
        assert_string_equal(type, "ConditionPathExists");
        assert_int_equal(trigger, 0);
        assert_int_equal(negate, 1);
        assert_string_equal(parameter, "/etc");
        assert_int_equal(result, 0);
}

/* ---- as text, for a restart of the daemon ---- */

static void test_text_there_and_back(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        _cleanup_(set_donep) PropertySet again = { 0 };
        _cleanup_(freep) char *text = NULL, *second = NULL;

        call_add_rare(call);
        call_add(call, "AddRef", "b", 1);
        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        assert_int_equal(property_set_to_text(&changes.set, &text), 0);
        assert_null(strstr(text, "AddRef"));
        assert_non_null(strstr(text, "Description two%0alines%20100%25\n"));
        assert_int_equal(property_set_from_text(text, &again), 0);
        assert_int_equal(property_set_to_text(&again, &second), 0);
        assert_string_equal(text, second);
        assert_int_equal(again.n, changes.set.n);
}

/* What a newer Chargehand wrote, or nobody. */
static void test_text_that_is_strange(void **state)
{
        _cleanup_(set_donep) PropertySet set = { 0 };

        assert_int_equal(property_set_from_text("Unknown 1\nMemoryMax x\nMemoryHigh\nKillMode nix\n\n   \n"
                                                "DeviceAllow /dev/null\nIPAddressAllow 2 zz 1\n"
                                                "SocketBindAllow 1 1 1\nRestrictNetworkInterfaces 1 9999999999\n"
                                                "MemoryMax 0\nAllowedCPUs 0\nMemoryMaxScale 5\n"
                                                "TasksMax 7\nDescription %zz\nDescription %00",
                                                &set),
                         0);
        assert_int_equal(set.n, 1);
        assert_int_equal(property_get_number(&set, PROP_TASKS_MAX), 7);
}

/* ---- told ---- */

static const struct {
        const char *name;
        uint64_t number;
        const char *text;
} defaults[] = {
        { "MemoryMax",                  MAX,      NULL            },
        { "MemoryLow",                  0,        NULL            },
        { "CPUWeight",                  MAX,      NULL            },
        { "CPUQuotaPerSecUSec",         MAX,      NULL            },
        { "TasksMax",                   MAX,      NULL            },
        { "TimeoutStopUSec",            90000000, NULL            },
        { "RuntimeMaxUSec",             MAX,      NULL            },
        { "KillSignal",                 15,       NULL            },
        { "RestartKillSignal",          15,       NULL            },
        { "SendSIGKILL",                1,        NULL            },
        { "DefaultDependencies",        1,        NULL            },
        { "Delegate",                   0,        NULL            },
        { "MemoryCurrent",              MAX,      NULL            },
        { "MemoryAvailable",            MAX,      NULL            },
        { "CPUUsageNSec",               MAX,      NULL            },
        { "IOReadBytes",                MAX,      NULL            },
        { "IPIngressBytes",             MAX,      NULL            },
        { "EffectiveMemoryMax",         MAX,      NULL            },
        { "ControlGroupId",             0,        NULL            },
        { "KillMode",                   0,        "control-group" },
        { "OOMPolicy",                  0,        "stop"          },
        { "DevicePolicy",               0,        "auto"          },
        { "CollectMode",                0,        "inactive"      },
        { "ManagedOOMPreference",       0,        "none"          },
        { "Description",                0,        ""              },
};

static uint64_t read_basic(sd_bus_message *message, const char **ret_text)
{
        char type;
        union {
                int b;
                int32_t i;
                uint32_t u;
                uint64_t t;
                const char *s;
        } value;

        assert_true(sd_bus_message_peek_type(message, &type, NULL) > 0);
        assert_true(sd_bus_message_read_basic(message, type, &value) > 0);
        *ret_text = type == 's' ? value.s : NULL;
        return type == 't' ? value.t : type == 'i' ? (uint64_t)value.i : type == 's' ? 0 : value.u;
}

static uint64_t tell(Call *call, const char *name, const PropertySet *set, int group_fd,
                     const char **ret_text)
{
        const char *text;
        uint64_t number;

        assert_int_equal(property_append(call_reply(call), property_find(name), set, group_fd), 0);
        number = read_basic(call_reply_read(call), &text);
        if (ret_text)
                *ret_text = text;
        return number;
}

static void test_defaults_are_told(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        PropertySet none = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(defaults); i++) {
                const char *text;

                assert_int_equal(tell(call, defaults[i].name, &none, -1, &text),
                                 defaults[i].number);
                if (defaults[i].text)
                        assert_string_equal(text, defaults[i].text);
        }
}

/* Every row, with and without a value, is told with the signature that it claims. */
static void test_signatures(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        PropertySet none = { 0 };

        call_add_rare(call);
        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        for (size_t i = 0; i < property_count(); i++)
                for (unsigned given = 0; given < 2; given++) {
                        const Property *row = property_get(i);

                        if (property_flags(row) & PROPERTY_SECRET)
                                continue;
                        assert_int_equal(property_append(call_reply(call), row,
                                                         given ? &changes.set : &none, -1),
                                         0);
                        assert_string_equal(
                                sd_bus_message_get_signature(call_reply_read(call), 1),
                                property_signature(row));
                }
}

/* Made to look like a group with its files */
static void test_files_are_told(void **state)
{
        _cleanup_(fake_freep) FakeCgroup *fake = fake_new("cpu cpuset io memory pids");
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(closep) int fd = -EBADF;
        char path[4096];
        PropertySet none = { 0 };
        const void *bytes;
        size_t size;

        fake_add(fake, "/a.slice/x.scope", "cpu cpuset io memory pids");
        (void)snprintf(path, sizeof(path), "%s/a.slice/x.scope", fake_root(fake));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fake_set(fake, "/a.slice/x.scope", "memory.current", "8192\n");
        fake_set(fake, "/a.slice/x.scope", "memory.max", "max\n");
        fake_set(fake, "/a.slice/x.scope", "memory.high", "20480\n");
        fake_set(fake, "/a.slice", "memory.current", "9000\n");
        fake_set(fake, "/a.slice", "memory.max", "12000\n");
        fake_set(fake, "/a.slice", "pids.max", "33\n");
        fake_set(fake, "/a.slice/x.scope", "pids.max", "44\n");
        fake_set(fake, "/a.slice/x.scope", "pids.current", "3\n");
        fake_set(fake, "/a.slice/x.scope", "memory.peak", NULL);
        fake_set(fake, "/a.slice/x.scope", "cpu.stat", "usage_usec 1234\nuser_usec 99\n");
        fake_set(fake, "/a.slice/x.scope", "cpuset.cpus.effective", "0-2,9\n");
        fake_set(fake, "/a.slice/x.scope", "io.stat",
                 "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"
                 "8:16 rbytes=5 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n");

        assert_int_equal(tell(call, "MemoryCurrent", &none, fd, NULL), 8192);
        assert_int_equal(tell(call, "MemoryPeak", &none, fd, NULL), MAX);
        assert_int_equal(tell(call, "MemoryAvailable", &none, fd, NULL), 3000);
        assert_int_equal(tell(call, "EffectiveMemoryMax", &none, fd, NULL), 12000);
        assert_int_equal(tell(call, "EffectiveMemoryHigh", &none, fd, NULL), 20480);
        assert_int_equal(tell(call, "EffectiveTasksMax", &none, fd, NULL), 33);
        assert_int_equal(tell(call, "TasksCurrent", &none, fd, NULL), 3);
        assert_int_equal(tell(call, "CPUUsageNSec", &none, fd, NULL), 1234000);
        assert_int_equal(tell(call, "IOReadBytes", &none, fd, NULL), 15);
        assert_int_equal(tell(call, "IOWriteBytes", &none, fd, NULL), 27);
        assert_int_equal(tell(call, "IOReadOperations", &none, fd, NULL), 2);
        assert_int_equal(tell(call, "IOWriteOperations", &none, fd, NULL), 3);
        assert_true(tell(call, "ControlGroupId", &none, fd, NULL) > 0);
        /* limits are those that were given, whatever stands in the files */
        assert_int_equal(tell(call, "MemoryHigh", &none, fd, NULL), MAX);

        assert_int_equal(property_append(call_reply(call), property_find("EffectiveCPUs"), &none, fd), 0);
        assert_int_equal(sd_bus_message_read_array(call_reply_read(call), 'y', &bytes, &size), 1);
        assert_int_equal(size, 8);
        assert_memory_equal(bytes, "\x07\x02\0\0\0\0\0\0", 8);
}

static void test_limits_without_a_limit_are_not_told(void **state)
{
        _cleanup_(call_freep) Call *call = call_new(), *clear = call_new();
        _cleanup_(set_donep) PropertySet set = { 0 };
        static const char *const told[] = { "char-*", "m", "/dev/zero", "rwm", "/dev/null", "rm" };
        sd_bus_message *reply;

        call_add(call, "IOReadBandwidthMax", "a(st)", 1, "7:250", UINT64_C(1000));
        call_add(call, "DeviceAllow", "a(ss)", 3, "/dev/null", "mr", "/dev/zero", "", "char-*", "m");
        assert_set(call, &set, "io.max=7:250 rbps=1000 wbps=max riops=max wiops=max");
        call_add(clear, "IOReadBandwidthMax", "a(st)", 0);
        assert_set(clear, &set, "io.max=7:250 rbps=max wbps=max riops=max wiops=max");
        assert_int_equal(property_append(call_reply(call), property_find("IOReadBandwidthMax"), &set, -1), 0);
        reply = call_reply_read(call);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(st)") > 0);
        assert_int_equal(sd_bus_message_at_end(reply, 0), 1);
        assert_int_equal(property_append(call_reply(call), property_find("DeviceAllow"), &set, -1), 0);
        reply = call_reply_read(call);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(ss)") > 0);
        for (size_t i = 0; i < ELEMENTSOF(told); i += 2) {
                const char *path, *what;

                assert_true(sd_bus_message_read(reply, "(ss)", &path, &what) > 0);
                assert_string_equal(path, told[i]);
                assert_string_equal(what, told[i + 1]);
        }
}

/* ---- the table, memory, files ---- */

static void test_table(void **state)
{
        unsigned n_bools = 0;

        for (size_t i = 0; i < property_count(); i++) {
                const Property *row = property_get(i);

                assert_ptr_equal(property_find(property_name(row)), row);
                assert_int_equal(property_id(row), i);
                n_bools += streq(property_signature(row), "b");
                if (row->convert != CONVERT_NONE)
                        assert_true(row->attr != ATTR_NONE);
                if (row->target >= 0)
                        assert_true(property_flags(row) & PROPERTY_SECRET);
                if (row->merge == MERGE_DEVICES)
                        assert_non_null(strstr("a(st) a(ss)", property_signature(row)));
        }
        assert_in_range(n_bools, 1, 32); /* the bits of PropertySet.bools */
        assert_null(property_get(property_count()));
        assert_null(property_find("Id"));
}

static size_t bytes_of(const PropertySet *set)
{
        size_t size = malloc_usable_size(set->items);

        for (uint32_t i = 0; i < set->n; i++)
                if (!property_is_number(property_get(set->items[i].row)))
                        size += malloc_usable_size(set->items[i].data);
        return size;
}

/* What crun gives; a thousand scopes are nothing special. */
static void test_a_typical_scope_is_small(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        _cleanup_(set_donep) PropertySet set = { 0 };

        call_add(call, "Slice", "s", "machine.slice");
        call_add(call, "DefaultDependencies", "b", 0);
        call_add(call, "Description", "s", "libcrun container");
        call_add(call, "PIDs", "au", 1, 0);
        for (const char *const *name = (const char *const[]){ "Delegate", "CPUAccounting", "MemoryAccounting",
                                                             "IOAccounting", "TasksAccounting", NULL };
             *name; name++)
                call_add(call, *name, "b", 1);
        call_add(call, "MemoryMax", "t", UINT64_C(1) << 30);
        call_add(call, "MemorySwapMax", "t", UINT64_C(1) << 31);
        call_add(call, "TasksMax", "t", UINT64_C(2048));
        call_add(call, "CPUQuotaPerSecUSec", "t", UINT64_C(1500000));
        call_add(call, "CPUQuotaPeriodUSec", "t", UINT64_C(100000));
        call_add(call, "CPUWeight", "t", UINT64_C(100));
        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        assert_int_equal(property_set_merge(&set, &changes), 0);
        assert_in_range(bytes_of(&set), 1, 300);
        assert_writes(&set, NULL,
                      "cpu.idle=0; cpu.weight=100; cpu.max=150000 100000; memory.max=1073741824; "
                      "memory.swap.max=2147483648; pids.max=2048");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rare_ones_are_told),
                cmocka_unit_test(test_conditions_are_told),
                cmocka_unit_test(test_text_there_and_back),
                cmocka_unit_test(test_text_that_is_strange),
                cmocka_unit_test(test_defaults_are_told),
                cmocka_unit_test(test_signatures),
                cmocka_unit_test(test_files_are_told),
                cmocka_unit_test(test_limits_without_a_limit_are_not_told),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_a_typical_scope_is_small),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
