/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties as clients give them: the text that is written for each, alone and together. */

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fake-cgroup.h"
#include "systemd1-call.h"
#include "util.h"

/* ---- single numbers: the file's text, or the error ---- */

static const struct {
        const char *name, *signature;
        uint64_t value;
        const char *writes, *error;
} numbers[] = {
        { "CPUWeight", "t", 1, "cpu.idle=0; cpu.weight=1", NULL },
        { "CPUWeight", "t", 10000, "cpu.idle=0; cpu.weight=10000", NULL },
        { "CPUWeight", "t", 0, "cpu.idle=1", NULL },
        { "CPUWeight", "t", MAX, "cpu.idle=0; cpu.weight=100", NULL },
        { "CPUWeight", "t", 10001, NULL, RANGE("CPUWeight") },
        { "StartupCPUWeight", "t", 50, "", NULL },
        { "StartupCPUWeight", "t", 10001, NULL, RANGE("StartupCPUWeight") },
        { "CPUShares", "t", 2, "cpu.idle=0; cpu.weight=1", NULL },
        { "CPUShares", "t", 1024, "cpu.idle=0; cpu.weight=100", NULL },
        { "CPUShares", "t", 2048, "cpu.idle=0; cpu.weight=200", NULL },
        { "CPUShares", "t", 262144, "cpu.idle=0; cpu.weight=10000", NULL },
        { "CPUShares", "t", 1, NULL, RANGE("CPUShares") },
        { "CPUShares", "t", 262145, NULL, RANGE("CPUShares") },
        { "CPUQuotaPerSecUSec", "t", 1500000, "cpu.max=150000 100000", NULL },
        { "CPUQuotaPerSecUSec", "t", MAX, "cpu.max=max 100000", NULL },
        { "CPUQuotaPerSecUSec", "t", 10000, "cpu.max=1000 100000", NULL },
        { "CPUQuotaPerSecUSec", "t", 1000, "cpu.max=1000 1000000", NULL },
        { "CPUQuotaPerSecUSec", "t", 1, "cpu.max=1000 1000000", NULL },
        { "CPUQuotaPerSecUSec", "t", 0, NULL, INVALID "CPUQuotaPerSecUSec= value out of range" },
        { "CPUQuotaPeriodUSec", "t", 50000, "cpu.max=max 100000", NULL },
        { "CPUQuotaPeriodUSec", "t", 0, "cpu.max=max 100000", NULL },
        { "MemoryMin", "t", 0, "memory.min=0", NULL },
        { "MemoryMin", "t", MAX, "memory.min=max", NULL },
        { "MemoryLow", "t", 1048577, "memory.low=1048577", NULL },
        { "MemoryHigh", "t", 1, "memory.high=1", NULL },
        { "MemoryHigh", "t", 0, NULL, RANGE("MemoryHigh") },
        { "MemoryMax", "t", MAX - 1, "memory.max=18446744073709551614", NULL },
        { "MemoryMax", "t", MAX, "memory.max=max", NULL },
        { "MemoryMax", "t", 0, NULL, RANGE("MemoryMax") },
        { "MemorySwapMax", "t", 0, "memory.swap.max=0", NULL },
        { "MemoryZSwapMax", "t", MAX, "memory.zswap.max=max", NULL },
        { "MemoryLimit", "t", 4096, "memory.max=4096", NULL },
        { "MemoryLimit", "t", 0, NULL, RANGE("MemoryLimit") },
        { "DefaultMemoryLow", "t", 7, "", NULL },
        { "StartupMemoryMax", "t", 7, "", NULL },
        { "StartupMemoryMax", "t", 0, NULL, RANGE("StartupMemoryMax") },
        { "MemoryMinScale", "u", 0, "memory.min=0", NULL },
        { "MemoryMaxScale", "u", 0, NULL, RANGE("MemoryMaxScale") },
        { "MemoryHighScale", "u", 0, NULL, RANGE("MemoryHighScale") },
        { "MemoryLimitScale", "u", 0, NULL, RANGE("MemoryLimitScale") },
        { "TasksMax", "t", 1, "pids.max=1", NULL },
        { "TasksMax", "t", MAX, "pids.max=max", NULL },
        { "TasksMax", "t", 0, NULL, RANGE("TasksMax") },
        { "TasksMaxScale", "u", 0, NULL, RANGE("TasksMaxScale") },
        { "TasksMaxScale", "u", UINT32_MAX, NULL, RANGE("TasksMaxScale") },
        { "IOWeight", "t", 1, "io.weight=default 1; io.bfq.weight=1", NULL },
        { "IOWeight", "t", 100, "io.weight=default 100; io.bfq.weight=100", NULL },
        { "IOWeight", "t", 500, "io.weight=default 500; io.bfq.weight=136", NULL },
        { "IOWeight", "t", 10000, "io.weight=default 10000; io.bfq.weight=1000", NULL },
        { "IOWeight", "t", MAX, "io.weight=default 100; io.bfq.weight=100", NULL },
        { "IOWeight", "t", 0, NULL, RANGE("IOWeight") },
        { "IOWeight", "t", 10001, NULL, RANGE("IOWeight") },
        { "BlockIOWeight", "t", 10, "io.weight=default 2; io.bfq.weight=2", NULL },
        { "BlockIOWeight", "t", 1000, "io.weight=default 200; io.bfq.weight=109", NULL },
        { "BlockIOWeight", "t", 9, NULL, RANGE("BlockIOWeight") },
        { "BlockIOWeight", "t", 1001, NULL, RANGE("BlockIOWeight") },
        { "MemoryZSwapWriteback", "b", 0, "memory.zswap.writeback=0", NULL },
        { "MemoryZSwapWriteback", "b", 1, "memory.zswap.writeback=1", NULL },
        { "MemoryAccounting", "b", 1, "", NULL },
        { "IPAccounting", "b", 1, "", NULL },
        { "ManagedOOMMemoryPressureLimit", "u", 7, "", NULL },
        { "ManagedOOMMemoryPressureDurationUSec", "t", 1000000, "", NULL },
        { "ManagedOOMMemoryPressureDurationUSec", "t", 999000, NULL,
          INVALID "ManagedOOMMemoryPressureDurationUSec= must be at least 1s, got 999ms" },
        { "ManagedOOMMemoryPressureDurationUSec", "t", 1999, NULL,
          INVALID "ManagedOOMMemoryPressureDurationUSec= must be at least 1s, got 1ms" },
        { "ManagedOOMMemoryPressureDurationUSec", "t", 0, NULL,
          INVALID "ManagedOOMMemoryPressureDurationUSec= must be at least 1s, got 0" },
};

static void add_number(Call *call, const char *name, const char *signature, uint64_t value)
{
        if (*signature == 't')
                call_add(call, name, signature, value);
        else
                call_add(call, name, signature, (unsigned)value);
}

static void test_numbers(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(set_donep) PropertySet set = { 0 };

                add_number(call, numbers[i].name, numbers[i].signature, numbers[i].value);
                if (numbers[i].error)
                        assert_refused(call, UNIT_SLICE, 0, numbers[i].error);
                else
                        assert_set(call, &set, numbers[i].writes);
        }
}

static void test_scales(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), memory = physical_memory(), half, tasks;

        call_add(call, "MemoryMaxScale", "u", UINT32_MAX / 2);
        call_add(call, "MemorySwapMaxScale", "u", UINT32_MAX);
        call_add(call, "TasksMaxScale", "u", UINT32_MAX / 2);
        assert_int_equal(call_read(call, UNIT_SCOPE, 0, &changes), 0);
        half = property_get_number(&changes.set, PROP_MEMORY_MAX);
        assert_int_equal(half % page, 0);
        assert_in_range(half, memory / 2 - 2 * page, memory / 2);
        assert_int_equal(property_get_number(&changes.set, PROP_MEMORY_SWAP_MAX), memory);
        tasks = property_get_number(&changes.set, PROP_TASKS_MAX);
        assert_in_range(tasks, 1, 4194303 / 2);
}

/* ---- numbers that count together ---- */

static void test_cpu_quota_and_period(void **state)
{
        static const struct {
                uint64_t quota, period;
                const char *text;
        } rows[] = {
                { 1500000, 100000,  "cpu.max=150000 100000"    },
                { 500000,  50000,   "cpu.max=25000 50000"      },
                { 500000,  MAX,     "cpu.max=50000 100000"     },
                { 2000000, 100,     "cpu.max=2000 1000"        },
                { 100000,  5000,    "cpu.max=1000 10000"       },
                { 1000000, 9000000, "cpu.max=1000000 1000000"  },
                { MAX,     50000,   "cpu.max=max 100000"       },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(set_donep) PropertySet set = { 0 };

                call_add(call, "CPUQuotaPeriodUSec", "t", rows[i].period);
                call_add(call, "CPUQuotaPerSecUSec", "t", rows[i].quota);
                assert_set(call, &set, rows[i].text);
        }
}

static void set_one(PropertySet *set, const char *name, uint64_t value, const char *writes)
{
        _cleanup_(call_freep) Call *call = call_new();

        add_number(call, name, "t", value);
        assert_set(call, set, writes);
}

/* Only what a call named is written, from all that is known by then. */
static void test_calls_add_up(void **state)
{
        _cleanup_(set_donep) PropertySet set = { 0 };

        set_one(&set, "CPUShares", 2048, "cpu.idle=0; cpu.weight=200");
        set_one(&set, "CPUWeight", 50, "cpu.idle=0; cpu.weight=50");
        set_one(&set, "CPUShares", 512, "cpu.idle=0; cpu.weight=50");
        set_one(&set, "CPUWeight", MAX, "cpu.idle=0; cpu.weight=50"); /* 512 shares */
        set_one(&set, "CPUQuotaPerSecUSec", 2000000, "cpu.max=200000 100000");
        set_one(&set, "CPUQuotaPeriodUSec", 50000, "cpu.max=100000 50000");
        set_one(&set, "MemoryLimit", 4096, "memory.max=4096");
        set_one(&set, "MemoryMax", 8192, "memory.max=8192");
        set_one(&set, "MemoryLimit", 1024, "");
        set_one(&set, "TasksMax", 10, "pids.max=10");
        assert_writes(&set, NULL,
                      "cpu.idle=0; cpu.weight=50; cpu.max=100000 50000; memory.max=8192; pids.max=10");
}

static void test_last_one_wins(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(set_donep) PropertySet set = { 0 };

        call_add(call, "MemoryMax", "t", UINT64_C(1));
        call_add(call, "MemoryMaxScale", "u", 0x80000000u);
        call_add(call, "MemoryMax", "t", UINT64_C(3));
        assert_set(call, &set, "memory.max=3");
}

/* ---- masks ---- */

static const struct {
        uint8_t bytes[4];
        size_t size;
        const char *text;
} masks[] = {
        { { 0x0f, 0x01 },          2, "0-3,8"        },
        { { 0x01 },                1, "0"            },
        { { 0x03 },                1, "0-1"          },
        { { 0x00, 0x80, 0x01 },    3, "15-16"        },
        { { 0xaa },                1, "1,3,5,7"      },
        { { 0xff, 0xff, 0, 0x80 }, 4, "0-15,31"      },
        { { 0 },                   1, ""             },
        { { 0 },                   0, ""             },
};

static void test_masks(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(masks); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(set_donep) PropertySet set = { 0 };
                char expected[64];

                call_add_bytes(call, "AllowedCPUs", masks[i].bytes, masks[i].size);
                call_add_bytes(call, "AllowedMemoryNodes", masks[i].bytes, masks[i].size);
                call_add_bytes(call, "StartupAllowedCPUs", masks[i].bytes, masks[i].size);
                (void)snprintf(expected, sizeof(expected), "cpuset.cpus=%s; cpuset.mems=%s",
                               masks[i].text, masks[i].text);
                assert_set(call, &set, expected);
        }
}

static void test_mask_of_too_many(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        uint8_t bytes[1025] = { 0 };

        bytes[1024] = 1;
        call_add_bytes(call, "AllowedCPUs", bytes, sizeof(bytes));
        assert_refused(call, UNIT_SCOPE, 0,
                       "System.Error.ERANGE: " FAILED "Numerical result out of range");
}

/* ---- devices ---- */

static void test_io_limits(void **state)
{
        _cleanup_(set_donep) PropertySet set = { 0 };
        _cleanup_(call_freep) Call *first = call_new(), *second = call_new(), *third = call_new(),
                                   *fourth = call_new();

        call_add(first, "IOReadBandwidthMax", "a(st)", 2, "/dev/block/7:250", UINT64_C(1000),
                 "7:251", UINT64_C(2000));
        call_add(first, "IOWriteIOPSMax", "a(st)", 1, "7:250", UINT64_C(9));
        assert_set(first, &set,
                   "io.max=7:250 rbps=1000 wbps=max riops=max wiops=9; "
                   "io.max=7:251 rbps=2000 wbps=max riops=max wiops=max");
        call_add(second, "IOWriteBandwidthMax", "a(st)", 1, "7:251", UINT64_C(5));
        assert_set(second, &set, "io.max=7:251 rbps=2000 wbps=5 riops=max wiops=max");
        /* an empty list takes this limit away, and no other */
        call_add(third, "IOReadBandwidthMax", "a(st)", 0);
        assert_set(third, &set,
                   "io.max=7:250 rbps=max wbps=max riops=max wiops=9; "
                   "io.max=7:251 rbps=max wbps=5 riops=max wiops=max");
        call_add(fourth, "IOReadBandwidthMax", "a(st)", 1, "7:252", UINT64_C(1));
        assert_set(fourth, &set, "io.max=7:252 rbps=1 wbps=max riops=max wiops=max");
}

/* One disk, whatever it is called; the lower of two limits counts. */
static void test_disk_of_many_names(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(set_donep) PropertySet set = { 0 };

        call_add(call, "IOReadBandwidthMax", "a(st)", 2, "7:250", UINT64_C(1000), "/dev/block/7:250",
                 UINT64_C(500));
        call_add(call, "IOWriteIOPSMax", "a(st)", 1, "/dev/block/7:250", UINT64_C(9));
        assert_set(call, &set, "io.max=7:250 rbps=500 wbps=max riops=max wiops=9");
}

static void test_device_weights(void **state)
{
        _cleanup_(set_donep) PropertySet set = { 0 };
        _cleanup_(call_freep) Call *first = call_new(), *second = call_new(), *third = call_new();

        call_add(first, "IODeviceWeight", "a(st)", 1, "7:250", UINT64_C(200));
        call_add(first, "IODeviceWeight", "a(st)", 1, "/dev/block/7:251", UINT64_C(10));
        call_add(first, "IODeviceLatencyTargetUSec", "a(st)", 2, "7:250", UINT64_C(75), "7:251", MAX);
        assert_set(first, &set,
                   "io.weight=7:250 200; io.bfq.weight=7:250 109; "
                   "io.weight=7:251 10; io.bfq.weight=7:251 10; "
                   "io.latency=7:250 target=75; io.latency=7:251 target=max");
        call_add(second, "IODeviceWeight", "a(st)", 1, "7:250", UINT64_C(300));
        assert_set(second, &set, "io.weight=7:250 300; io.bfq.weight=7:250 118");
        call_add(third, "IODeviceWeight", "a(st)", 0);
        assert_set(third, &set,
                   "io.weight=7:250 default; io.bfq.weight=7:250 default; "
                   "io.weight=7:251 default; io.bfq.weight=7:251 default");
}

/* cgroup v1's names do nothing beside those of v2, as in the original. */
static void test_block_io(void **state)
{
        _cleanup_(set_donep) PropertySet set = { 0 };
        _cleanup_(call_freep) Call *first = call_new(), *second = call_new();

        call_add(first, "BlockIOReadBandwidth", "a(st)", 1, "7:250", UINT64_C(1000));
        call_add(first, "BlockIODeviceWeight", "a(st)", 1, "7:250", UINT64_C(500));
        assert_set(first, &set,
                   "io.weight=7:250 100; io.bfq.weight=7:250 100; "
                   "io.max=7:250 rbps=1000 wbps=max riops=max wiops=max");
        call_add(second, "IOAccounting", "b", 1);
        call_add(second, "BlockIOWeight", "t", UINT64_C(500));
        call_add(second, "BlockIOWriteBandwidth", "a(st)", 1, "7:250", UINT64_C(1));
        assert_set(second, &set, "");
}

static void test_device_numbers(void **state)
{
        unsigned major_ = 0, minor_ = 0;

        assert_int_equal(device_number("8:0", &major_, &minor_), 0);
        assert_int_equal(major_, 8);
        assert_int_equal(minor_, 0);
        assert_int_equal(device_number("/dev/block/253:17", &major_, &minor_), 0);
        assert_int_equal(major_, 253);
        assert_int_equal(device_number("/dev/null", &major_, &minor_), -ENOTBLK);
        assert_int_equal(device_number("/dev/no-such-device", &major_, &minor_), -ENOENT);
        assert_int_equal(device_number("/proc/self/status", &major_, &minor_), -ENODEV);
        assert_int_equal(device_number("8:", &major_, &minor_), -ENOENT);
}

/* A device that there is not is left out, and is no error. */
static void test_missing_devices_are_left_out(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(set_donep) PropertySet set = { 0 };

        call_add(call, "IOReadBandwidthMax", "a(st)", 2, "/dev/no-such-device", UINT64_C(1), "7:250",
                 UINT64_C(2));
        assert_set(call, &set, "io.max=7:250 rbps=2 wbps=max riops=max wiops=max");
}

/* ---- lists add up ---- */

static char *list_of(const PropertySet *set, unsigned id)
{
        static char text[1024];
        const char *word;
        size_t position = 0;

        text[0] = '\0';
        while (property_next_text(set, id, &position, &word))
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", word);
        return text;
}

static void test_lists_add_up(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };

        call_add(call, "DeviceAllow", "a(ss)", 1, "/dev/null", "rw");
        call_add(call, "DeviceAllow", "a(ss)", 0);
        call_add(call, "DeviceAllow", "a(ss)", 2, "/dev/zero", "r", "char-*", "m");
        call_add(call, "DeviceAllow", "a(ss)", 1, "/dev/zero", "w");
        call_add(call, "After", "as", 2, "a.scope", "b.scope");
        call_add(call, "After", "as", 0);
        call_add(call, "After", "as", 2, "b.scope", "c.scope");
        call_add(call, "RequiresOverridable", "as", 1, "a.scope");
        call_add(call, "Requires", "as", 1, "b.scope");
        call_add(call, "BPFProgram", "a(ss)", 1, "device", "/x");
        call_add(call, "BPFProgram", "a(ss)", 1, "device", "/x");
        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        assert_string_equal(list_of(&changes.set, PROP_DEVICE_ALLOW), "/dev/zero w char-* m ");
        assert_string_equal(list_of(&changes.set, PROP_AFTER), "a.scope b.scope c.scope ");
        assert_string_equal(list_of(&changes.set, PROP_REQUIRES), "a.scope b.scope ");
        assert_string_equal(list_of(&changes.set, PROP_BPF_PROGRAM), "device /x ");
}

/* Lists beyond the length up to which they are searched from end to end */
static void test_long_lists(void **state)
{
        _cleanup_(set_donep) PropertySet set = { 0 };

        for (unsigned round = 0; round < 2; round++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };
                size_t position = 0, n = 0;
                const char *word;

                for (unsigned i = 0; i < 500; i++) {
                        char path[32];

                        (void)snprintf(path, sizeof(path), "/dev/x%u", i % 250);
                        call_add(call, "DeviceAllow", "a(ss)", 1, path, round ? "r" : "w");
                }
                assert_int_equal(call_read(call, UNIT_SCOPE, 0, &changes), 0);
                assert_int_equal(property_set_merge(&set, &changes), 0);
                for (; property_next_text(&set, PROP_DEVICE_ALLOW, &position, &word); n++)
                        if (n % 2)
                                assert_string_equal(word, round ? "r" : "w");
                assert_int_equal(n, 2 * 250);
        }
}

static void test_delegation(void **state)
{
        static const struct {
                const char *steps, *controllers; /* 1 Delegate=yes, 0 no, c [cpu], e [] */
                int delegate;
        } rows[] = {
                { "1",   "", 1 },
                { "c",   "cpu ", 1 },
                { "1c",  "", 1 }, /* all */
                { "c1",  "", 1 },
                { "ce",  "", 1 },
                { "c0",  "", 0 },
                { "0c",  "cpu ", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };

                for (const char *p = rows[i].steps; *p; p++)
                        if (*p == '0' || *p == '1')
                                call_add(call, "Delegate", "b", *p == '1');
                        else if (*p == 'c')
                                call_add(call, "DelegateControllers", "as", 1, "cpu");
                        else
                                call_add(call, "DelegateControllers", "as", 0);
                assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
                assert_int_equal(property_get_bool(&changes.set, PROP_DELEGATE), rows[i].delegate);
                assert_string_equal(list_of(&changes.set, PROP_DELEGATE_CONTROLLERS),
                                    rows[i].controllers);
        }
}

static void test_markers(void **state)
{
        static const struct {
                const char *first, *second, *list;
        } steps[] = {
                { "needs-reload",   NULL,             "needs-reload "               },
                { "+needs-restart", "+needs-reload",  "needs-reload needs-restart " },
                { "-needs-reload",  "+needs-restart", "needs-restart "              },
                { "-needs-restart", NULL,             ""                            },
                { "+needs-reload",  NULL,             "needs-reload "               },
                { "needs-restart",  NULL,             "needs-restart "              },
                { NULL,             NULL,             "needs-restart "              },
        };
        _cleanup_(set_donep) PropertySet set = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                _cleanup_(call_freep) Call *call = call_new();

                call_add(call, "Markers", "as", !!steps[i].first + !!steps[i].second,
                         steps[i].first, steps[i].second);
                assert_set(call, &set, "");
                assert_string_equal(list_of(&set, PROP_MARKERS), steps[i].list);
        }
}

static void test_pressure_watch(void **state)
{
        static const char *const rows[][2] = {
                { "auto", "auto" }, { "on", "yes" }, { "no", "no" }, { "f", "no" }, { "", "" }, { "skip", "skip" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };

                call_add(call, "MemoryPressureWatch", "s", rows[i][0]);
                assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
                assert_string_equal(property_get_text(&changes.set, PROP_MEMORY_PRESSURE_WATCH),
                                    rows[i][1]);
        }
}

static void test_oom_preference(void **state)
{
        static const char *const rows[][2] = {
                { "avoid", "user.oomd_avoid=1; user.oomd_omit=none"    },
                { "omit",  "user.oomd_avoid=none; user.oomd_omit=1"    },
                { "none",  "user.oomd_avoid=none; user.oomd_omit=none" },
        };
        _cleanup_(set_donep) PropertySet set = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(call_freep) Call *call = call_new();

                call_add(call, "ManagedOOMPreference", "s", rows[i][0]);
                assert_set(call, &set, rows[i][1]);
        }
}

static void test_oom_policy(void **state)
{
        _cleanup_(call_freep) Call *call = call_new(), *again = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 }, more = { 0 };
        PropertySet none = { 0 };

        assert_string_equal(property_get_text(&none, PROP_OOM_POLICY), "stop");
        call_add(call, "Delegate", "b", 1);
        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        assert_string_equal(property_get_text(&changes.set, PROP_OOM_POLICY), "continue");
        assert_writes(&changes.set, NULL, "");
        call_add(again, "OOMPolicy", "s", "kill");
        assert_int_equal(call_read(again, UNIT_SCOPE, 1, &more), 0);
        assert_writes(&more.set, NULL, "memory.oom.group=1");
}

static void test_writing(void **state)
{
        _cleanup_(fake_freep) FakeCgroup *fake = fake_new("cpuset memory");
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        _cleanup_(writes_donep) FileWrites writes = { 0 };
        _cleanup_(closep) int fd = -EBADF;
        char path[4096];
        static const struct {
                const char *file, *text;
        } expected[] = { { "memory.max", "5" }, { "cpuset.cpus", "\n" } };

        fake_add(fake, "/x.scope", "cpuset memory");
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                fake_set(fake, "/x.scope", expected[i].file, "");
        (void)snprintf(path, sizeof(path), "%s/x.scope", fake_root(fake));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        call_add(call, "MemoryMax", "t", UINT64_C(5));
        call_add(call, "TasksMax", "t", UINT64_C(5)); /* no such file */
        call_add_bytes(call, "AllowedCPUs", NULL, 0);
        assert_int_equal(call_read(call, UNIT_SCOPE, 0, &changes), 0);
        assert_int_equal(property_file_writes(&changes.set, NULL, &writes), 0);
        assert_int_equal(file_writes_apply(&writes, fd, "x.scope"), 1);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                _cleanup_(freep) char *text = fake_get(fake, "/x.scope", expected[i].file);

                assert_string_equal(text, expected[i].text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_scales),
                cmocka_unit_test(test_cpu_quota_and_period),
                cmocka_unit_test(test_calls_add_up),
                cmocka_unit_test(test_last_one_wins),
                cmocka_unit_test(test_masks),
                cmocka_unit_test(test_mask_of_too_many),
                cmocka_unit_test(test_io_limits),
                cmocka_unit_test(test_disk_of_many_names),
                cmocka_unit_test(test_device_weights),
                cmocka_unit_test(test_block_io),
                cmocka_unit_test(test_device_numbers),
                cmocka_unit_test(test_missing_devices_are_left_out),
                cmocka_unit_test(test_lists_add_up),
                cmocka_unit_test(test_long_lists),
                cmocka_unit_test(test_delegation),
                cmocka_unit_test(test_markers),
                cmocka_unit_test(test_pressure_watch),
                cmocka_unit_test(test_oom_preference),
                cmocka_unit_test(test_oom_policy),
                cmocka_unit_test(test_writing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
