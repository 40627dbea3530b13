/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties as clients give them: what is taken and refused, with which words, and what is written. */

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake-cgroup.h"
#include "systemd1-call.h"
#include "util.h"

#define INVALID  "org.freedesktop.DBus.Error.InvalidArgs: "
#define FAILED   "Failed to set unit properties: "
#define RANGE(n) INVALID "Value specified in " n " is out of range"
#define MAX      UINT64_MAX

static void set_donep(PropertySet *set)
{
        property_set_done(set);
}

static void changes_donep(PropertyChanges *changes)
{
        property_changes_done(changes);
}

static void writes_donep(FileWrites *writes)
{
        file_writes_done(writes);
}

/* "file=text file=text", in order */
static void assert_writes(const PropertySet *set, const PropertySet *changes, const char *expected)
{
        _cleanup_(writes_donep) FileWrites writes = { 0 };
        char text[2048] = "";

        assert_int_equal(property_file_writes(set, changes, &writes), 0);
        for (size_t i = 0; i < writes.n; i++)
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s=%s",
                               i ? "; " : "", writes.items[i].attr->file, writes.items[i].text);
        assert_string_equal(text, expected);
}

/* Reads the call as for a live scope, merges it and compares what is to be written. */
static void assert_set(Call *call, PropertySet *set, const char *writes)
{
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };

        if (call_read(call, UNIT_SCOPE, 0, &changes) < 0)
                fail_msg("refused: %s", call_error(call));
        assert_int_equal(property_set_merge(set, &changes), 0);
        assert_writes(set, &changes.set, writes);
}

static void assert_refused(Call *call, UnitKind kind, int is_new, const char *error)
{
        PropertyChanges changes = { 0 };

        assert_true(call_read(call, kind, is_new, &changes) < 0);
        assert_string_equal(call_error(call), error);
        assert_int_equal(changes.set.n, 0);
        assert_null(changes.pids);
}

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
        { "ManagedOOMMemoryPressureDurationUSec", "t", 7, "", NULL },
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

/* ---- what is refused ---- */

static void test_device_errors(void **state)
{
        static const struct {
                const char *name, *path;
                uint64_t value;
                const char *error;
        } rows[] = {
                { "IODeviceWeight",       "7:250",         0,     INVALID "IODeviceWeight= value out of range"                                         },
                { "IODeviceWeight",       "7:250",         10001, INVALID "IODeviceWeight= value out of range"                                         },
                { "IODeviceWeight",       "7:250",         MAX,   INVALID "IODeviceWeight= value out of range"                                         },
                { "IODeviceWeight",       "/dev/../sda",   100,   INVALID "Path '/dev/../sda' specified in IODeviceWeight= is not normalized."       },
                { "IOReadBandwidthMax",   "/dev//sda",     100,   INVALID "Path '/dev//sda' specified in IOReadBandwidthMax= is not normalized."     },
                { "BlockIODeviceWeight",  "7:250",         9,     INVALID "BlockIODeviceWeight= out of range"                                          },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(call_freep) Call *call = call_new();

                call_add(call, rows[i].name, "a(st)", 1, rows[i].path, rows[i].value);
                assert_refused(call, UNIT_SCOPE, 0, rows[i].error);
        }
}

#define EINVAL_TEXT INVALID FAILED "Invalid argument"

static const struct {
        const char *name, *value, *error; /* NULL: taken */
} strings[] = {
        { "Slice",                    "a-b.slice",           NULL                                                            },
        { "Slice",                    "a.scope",             INVALID "Unit name 'a.scope' is not a slice"                    },
        { "Slice",                    "a.timer",             INVALID "Unit name 'a.timer' is not a slice"                    },
        { "Slice",                    "nothing",             INVALID "Invalid unit name 'nothing'"                           },
        { "Slice",                    "",                    INVALID "Invalid unit name ''"                                  },
        { "Slice",                    "a@b.slice",           INVALID "Invalid unit name 'a@b.slice'"                         },
        { "Slice",                    "a--b.slice",          INVALID "Unit name a--b.slice is not valid."                    },
        { "Description",              "anything \xc3\xa4",   NULL                                                            },
        { "CollectMode",              "inactive-or-failed",  NULL                                                            },
        { "CollectMode",              "never",               INVALID "Invalid CollectMode setting: never"                    },
        { "KillMode",                 "mixed",               NULL                                                            },
        { "KillMode",                 "",                    INVALID "Invalid KillMode setting: "                            },
        { "KillMode",                 "mix",                 INVALID "Invalid KillMode setting: mix"                         },
        { "OOMPolicy",                "kill",                NULL                                                            },
        { "OOMPolicy",                "die",                 INVALID "Invalid OOMPolicy setting: die"                        },
        { "DevicePolicy",             "strict",              NULL                                                            },
        { "DevicePolicy",             "open",                EINVAL_TEXT                                                     },
        { "ManagedOOMSwap",           "kill",                NULL                                                            },
        { "ManagedOOMSwap",           "",                    EINVAL_TEXT                                                     },
        { "ManagedOOMPreference",     "omit",                NULL                                                            },
        { "ManagedOOMPreference",     "kill",                EINVAL_TEXT                                                     },
        { "MemoryPressureWatch",      "",                    NULL                                                            },
        { "MemoryPressureWatch",      "maybe",               EINVAL_TEXT                                                     },
        { "DelegateSubgroup",         "init.scope",          NULL                                                            },
        { "DelegateSubgroup",         "",                    NULL                                                            },
        { "DelegateSubgroup",         "memory.max",          INVALID "Invalid control group name: memory.max"                },
        { "DelegateSubgroup",         "_x",                  INVALID "Invalid control group name: _x"                        },
        { "SourcePath",               "/etc/x",              NULL                                                            },
        { "SourcePath",               "x",                   INVALID "Invalid SourcePath setting: x"                         },
        { "User",                     "nobody",              NULL                                                            },
        { "User",                     "a/b",                 INVALID "Invalid User setting: a/b"                             },
        { "Controller",               "a.b",                 NULL                                                            },
        { "Controller",               "a b",                 INVALID "Controller 'a b' is not a valid bus name."             },
        { "StartLimitAction",         "reboot",              NULL                                                            },
        { "StartLimitAction",         "explode",             INVALID "Invalid StartLimitAction setting: explode"             },
        { "OnFailureJobMode",         "isolate",             NULL                                                            },
        { "OnFailureJobMode",         "x",                   INVALID "Invalid OnFailureJobMode setting: x"                   },
};

static void test_strings(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };

                call_add(call, strings[i].name, "s", strings[i].value);
                if (strings[i].error) {
                        assert_refused(call, UNIT_SCOPE, 1, strings[i].error);
                        continue;
                }
                assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
                assert_string_equal(
                        property_get_text(&changes.set,
                                          property_id(property_find(strings[i].name))),
                        strings[i].value);
        }
}

static const struct {
        const char *name, *value, *error;
} lists[] = {
        { "Wants",                "a.slice",      NULL                                                                   },
        { "After",                "crio.service", NULL                                                                   },
        { "After",                "a@b.timer",    NULL                                                                   },
        { "After",                "crio",         INVALID "Invalid unit name crio"                                       },
        { "RequiresOverridable",  "a.scope",      NULL                                                                   },
        { "WantedBy",             "a.scope",      INVALID "Dependency type WantedBy may not be created transiently."     },
        { "DelegateControllers",  "cpu",          NULL                                                                   },
        { "DelegateControllers",  "net",          INVALID "Unknown cgroup controller 'net'"                              },
        { "DisableControllers",   "io",           NULL                                                                   },
        { "Documentation",        "man:x(1)",     NULL                                                                   },
        { "Documentation",        "x",            INVALID "Invalid URL in Documentation: x"                              },
        { "RequiresMountsFor",    "/srv",         NULL                                                                   },
        { "RequiresMountsFor",    "srv",          INVALID "Path specified in RequiresMountsFor is not absolute: srv"     },
        { "RequiresMountsFor",    "/a/../b",      INVALID "Path specified in RequiresMountsFor is not normalized: /a/../b" },
        { "IPIngressFilterPath",  "/sys/fs/bpf/x", NULL                                                                  },
        { "IPIngressFilterPath",  "x",            INVALID "IPIngressFilterPath= expects a normalized absolute path."     },
        { "Markers",              "needs-reload", NULL                                                                   },
        { "Markers",              "x",            "org.freedesktop.systemd1.BadUnitSetting: Unknown marker \"x\"."      },
};

static void test_lists(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };

                call_add(call, lists[i].name, "as", 1, lists[i].value);
                if (lists[i].error)
                        assert_refused(call, UNIT_SCOPE, 1, lists[i].error);
                else
                        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        }
}

static const struct {
        const char *name, *first, *second, *error;
} pairs[] = {
        { "DeviceAllow", "/dev/null",                  "rw",   NULL                                                                           },
        { "DeviceAllow", "/dev/char/1:3",              "",     NULL                                                                           },
        { "DeviceAllow", "char-*",                     "m",    NULL                                                                           },
        { "DeviceAllow", "block-8",                    "rwm",  NULL                                                                           },
        { "DeviceAllow", "/run/systemd/inaccessible/chr", "rwm", NULL                                                                         },
        { "DeviceAllow", "null",                       "rw",   INVALID "DeviceAllow= requires device node or pattern"                         },
        { "DeviceAllow", "/dev/nu ll",                 "rw",   INVALID "DeviceAllow= requires device node or pattern"                         },
        { "DeviceAllow", "/dev/../x",                  "rw",   INVALID "DeviceAllow= requires device node or pattern"                         },
        { "DeviceAllow", "/dev/null",                  "rx",   INVALID "DeviceAllow= requires combination of rwm flags"                       },
        { "BPFProgram",  "device",                     "/sys/fs/bpf/crun/x_scope", NULL                                                       },
        { "BPFProgram",  "egress",                     "/sys/fs/bpf/x", NULL                                                                  },
        { "BPFProgram",  "devices",                    "/sys/fs/bpf/x", INVALID "BPFProgram expects a valid BPF attach type, got 'devices'."   },
        { "BPFProgram",  "device",                     "x",    INVALID "BPFProgram= expects a normalized absolute path."                      },
        { "BPFProgram",  "device",                     "/a/./x", INVALID "BPFProgram= expects a normalized absolute path."                    },
};

static void test_pairs(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };

                call_add(call, pairs[i].name, "a(ss)", 1, pairs[i].first, pairs[i].second);
                if (pairs[i].error)
                        assert_refused(call, UNIT_SCOPE, 1, pairs[i].error);
                else
                        assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
        }
}

static const struct {
        const char *name;
        int value;
        const char *error;
} integers[] = {
        { "KillSignal",              13,  NULL                                                                        },
        { "KillSignal",              0,   INVALID "Invalid KillSignal setting: 0"                                     },
        { "FinalKillSignal",         65,  INVALID "Invalid FinalKillSignal setting: 65"                               },
        { "WatchdogSignal",          -1,  INVALID "Invalid WatchdogSignal setting: -1"                                },
        { "FailureActionExitStatus", 255, NULL                                                                        },
        { "FailureActionExitStatus", -1,  NULL                                                                        },
        { "SuccessActionExitStatus", 256, INVALID "Exit status must be in range 0…255 or negative."                   },
};

static void test_integers(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(integers); i++) {
                _cleanup_(call_freep) Call *call = call_new();
                _cleanup_(changes_donep) PropertyChanges changes = { 0 };

                call_add(call, integers[i].name, "i", integers[i].value);
                if (integers[i].error) {
                        assert_refused(call, UNIT_SCOPE, 1, integers[i].error);
                        continue;
                }
                assert_int_equal(call_read(call, UNIT_SCOPE, 1, &changes), 0);
                assert_int_equal((int)property_get_number(
                                         &changes.set, property_id(property_find(integers[i].name))),
                                 integers[i].value);
        }
}

#define READ_ONLY(n)                                                                               \
        "org.freedesktop.DBus.Error.PropertyReadOnly: Cannot set property " n                      \
        ", or unknown property."

/* Who may be set when, and on what. */
static const struct {
        const char *name, *signature;
        UnitKind kind;
        int is_new;
        const char *error;
} times[] = {
        { "NoSuchThing",     "s", UNIT_SCOPE, 1, READ_ONLY("NoSuchThing")                                },
        { "memorymax",       "s", UNIT_SCOPE, 1, READ_ONLY("memorymax")                                  },
        { "",                "s", UNIT_SCOPE, 1, READ_ONLY("")                                           },
        { "MemoryCurrent",   "s", UNIT_SCOPE, 1, READ_ONLY("MemoryCurrent")                              },
        { "Delegate",        "b", UNIT_SCOPE, 0, READ_ONLY("Delegate")                                   },
        { "Slice",           "s", UNIT_SCOPE, 0, READ_ONLY("Slice")                                      },
        { "PIDs",            "s", UNIT_SCOPE, 0, READ_ONLY("PIDs")                                       },
        { "BPFProgram",      "s", UNIT_SCOPE, 0, READ_ONLY("BPFProgram")                                 },
        { "KillMode",        "s", UNIT_SLICE, 1, READ_ONLY("KillMode")                                   },
        { "PIDs",            "s", UNIT_SLICE, 1, READ_ONLY("PIDs")                                       },
        { "Delegate",        "b", UNIT_SLICE, 1, INVALID "Delegation not available for unit type"        },
        { "DelegateSubgroup", "s", UNIT_SLICE, 1, INVALID "Delegation not available for unit type"       },
        { "Slice",           "s", UNIT_SLICE, 1, INVALID "Slice may not be set for slice units."         },
        { "MemoryMax",       "s", UNIT_SCOPE, 1, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "PIDs",            "s", UNIT_SCOPE, 1, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "Wants",           "s", UNIT_SLICE, 1, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "AllowedCPUs",     "s", UNIT_SLICE, 0, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "DeviceAllow",     "s", UNIT_SLICE, 0, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "RestrictNetworkInterfaces", "s", UNIT_SLICE, 0, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "Description",     "i", UNIT_SLICE, 0, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
        { "KillSignal",      "u", UNIT_SCOPE, 1, "System.Error.ENXIO: " FAILED "Unexpected message contents" },
};

static void test_times_and_types(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                _cleanup_(call_freep) Call *call = call_new();

                call_add(call, "Description", "s", "a good one first");
                if (*times[i].signature == 's')
                        call_add(call, times[i].name, "s", "x");
                else
                        call_add(call, times[i].name, times[i].signature, 1);
                assert_refused(call, times[i].kind, times[i].is_new, times[i].error);
        }
}

static void test_empty_call(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(set_donep) PropertySet set = { 0 };

        assert_set(call, &set, "");
}

static void test_too_many(void **state)
{
        _cleanup_(call_freep) Call *many = call_new(), *large = call_new();

        for (unsigned i = 0; i <= PROPERTY_CALL_MAX; i++)
                call_add(many, "CPUAccounting", "b", 1);
        assert_refused(many, UNIT_SCOPE, 0,
                       "org.freedesktop.DBus.Error.LimitsExceeded: More than 4096 properties in one call.");
        for (unsigned i = 0; i < 3000; i++) {
                char path[64];

                (void)snprintf(path, sizeof(path), "/dev/a-rather-long-name-for-a-device-%u", i);
                call_add(large, "DeviceAllow", "a(ss)", 1, path, "rw");
        }
        assert_refused(large, UNIT_SCOPE, 0,
                       "System.Error.E2BIG: " FAILED "Argument list too long");
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

/* ---- pids ---- */

static pid_t dead_pid(void)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        return pid;
}

static void test_pids(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        pid_t child = fork();

        if (child == 0) {
                pause();
                _exit(0);
        }
        call_add(call, "PIDs", "au", 3, 0, (unsigned)child, (unsigned)child);
        call_add(call, "PIDs", "au", 2, (unsigned)child, (unsigned)getppid());
        if (call_read(call, UNIT_SCOPE, 1, &changes) < 0)
                fail_msg("%s", call_error(call));
        assert_int_equal(changes.has_pids, 1);
        assert_int_equal(changes.n_pids, 2);
        assert_int_equal(changes.pids[0], getppid());
        assert_int_equal(changes.pids[1], child);
        assert_false(property_is_set(&changes.set, PROP_PIDS));
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
}

static void refuse_pid(unsigned pid, const char *error)
{
        _cleanup_(call_freep) Call *call = call_new();

        call_add(call, "PIDs", "au", 2, (unsigned)getppid(), pid);
        assert_refused(call, UNIT_SCOPE, 1, error);
}

static void test_bad_pids(void **state)
{
        _cleanup_(call_freep) Call *empty = call_new();
        char text[128];
        pid_t dead = dead_pid();

        refuse_pid(1, INVALID "Process 1 is a manager process, refusing.");
        (void)snprintf(text, sizeof(text), INVALID "Process %d is a manager process, refusing.",
                       (int)getpid());
        refuse_pid((unsigned)getpid(), text);
        (void)snprintf(text, sizeof(text),
                       "org.freedesktop.DBus.Error.UnixProcessIdUnknown: Process with ID %d does not exist.",
                       (int)dead);
        refuse_pid((unsigned)dead, text);
        refuse_pid(0xffffffff,
                   "org.freedesktop.DBus.Error.UnixProcessIdUnknown: Process with ID -1 does not exist.");
        call_add(empty, "PIDs", "au", 0);
        assert_refused(empty, UNIT_SCOPE, 1, EINVAL_TEXT);
}

/* pid 2 is kthreadd wherever kernel threads can be seen at all */
static void test_kernel_threads(void **state)
{
        if (getpgid(2) != 0)
                skip();
        refuse_pid(2, INVALID "Process 2 is a kernel thread, refusing.");
}

static void test_pidfds(void **state)
{
        _cleanup_(call_freep) Call *call = call_new(), *bad = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        int pidfd = (int)syscall(SYS_pidfd_open, getppid(), 0);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(pidfd >= 0 && null >= 0);
        call_add(call, "PIDFDs", "ah", 1, pidfd);
        if (call_read(call, UNIT_SCOPE, 1, &changes) < 0)
                fail_msg("%s", call_error(call));
        assert_int_equal(changes.n_pids, 1);
        assert_int_equal(changes.pids[0], getppid());
        assert_int_equal(changes.n_pidfds, 1);
        assert_true(fcntl(changes.pidfds[0], F_GETFD) & FD_CLOEXEC);
        call_add(bad, "PIDFDs", "ah", 1, null);
        assert_refused(bad, UNIT_SCOPE, 1, "System.Error.EBADF: " FAILED "Bad file descriptor");
        (void)safe_close(pidfd);
        (void)safe_close(null);
}

/* ---- the rare ones: checked by type, kept and told as they were given ---- */

static void add_rare(Call *call)
{
        call_add(call, "Conditions", "a(sbbs)", 2, "ConditionPathExists", 0, 1, "/etc", "ConditionHost", 1,
                 0, "a b");
        call_add(call, "Asserts", "a(sbbs)", 0);
        call_add(call, "IPAddressAllow", "a(iayu)", 1, 2, 4, 10, 0, 0, 1, 8);
        call_add(call, "IPAddressDeny", "a(iayu)", 0);
        call_add(call, "SocketBindAllow", "a(iiqq)", 2, 0, 0, 0, 0, 2, 6, 1, 80);
        call_add(call, "RestrictNetworkInterfaces", "(bas)", 1, 2, "lo", "eth0");
        call_add(call, "NFTSet", "a(iiss)", 1, 1, 1, "filter", "a_set");
        call_add(call, "Documentation", "as", 2, "man:a(1)", "http://b c%");
        call_add(call, "BPFProgram", "a(ss)", 1, "device", "/sys/fs/bpf/x");
        call_add(call, "IODeviceLatencyTargetUSec", "a(st)", 1, "7:250", UINT64_C(9));
        call_add(call, "AllowedCPUs", "ay", 2, 0x0f, 0x00);
        call_add(call, "KillSignal", "i", 13);
        call_add(call, "FailureActionExitStatus", "i", -1);
        call_add(call, "Description", "s", "two\nlines 100%");
        call_add(call, "Delegate", "b", 1);
        call_add(call, "SendSIGKILL", "b", 0);
        call_add(call, "MemoryMax", "t", UINT64_MAX);
}

static void test_rare_ones_are_told(void **state)
{
        static const unsigned ids[] = { PROP_IP_ADDRESS_ALLOW, PROP_SOCKET_BIND_ALLOW,
                                        PROP_RESTRICT_NETWORK_INTERFACES, PROP_NFT_SET,
                                        PROP_DOCUMENTATION, PROP_BPF_PROGRAM };
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };

        add_rare(call);
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

        add_rare(call);
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

static void refuse_rare(const char *error, const char *name, const char *signature, ...)
{
        _cleanup_(call_freep) Call *call = call_new();
        va_list ap;

        va_start(ap, signature);
        call_addv(call, name, signature, ap);
        va_end(ap);
        assert_refused(call, UNIT_SCOPE, 1, error);
}

static void test_rare_errors(void **state)
{
        refuse_rare(INVALID "IPAddressAllow= expects IPv4 or IPv6 addresses only.", "IPAddressAllow",
                    "a(iayu)", 1, 1, 0, 0);
        refuse_rare(INVALID "IP address has wrong size for family (AF_INET6, expected 16, got 1)",
                    "IPAddressDeny", "a(iayu)", 1, 10, 1, 0, 0);
        refuse_rare(INVALID "Prefix length 33 too large for address family AF_INET.",
                    "IPAddressDeny", "a(iayu)", 1, 2, 4, 1, 2, 3, 4, 33);
        refuse_rare(INVALID "SocketBindDeny= expects INET or INET6 family, if specified.",
                    "SocketBindDeny", "a(iiqq)", 1, 1, 0, 0, 0);
        refuse_rare(INVALID "SocketBindDeny= expects TCP or UDP protocol, if specified.",
                    "SocketBindDeny", "a(iiqq)", 1, 2, 1, 0, 0);
        refuse_rare(INVALID "SocketBindDeny= expects maximum port value lesser than 65536.",
                    "SocketBindDeny", "a(iiqq)", 1, 2, 6, 2, 65535);
        refuse_rare(INVALID "SocketBindDeny= expects port range starting with positive value.",
                    "SocketBindDeny", "a(iiqq)", 1, 2, 6, 2, 0);
        refuse_rare(INVALID "Invalid source 9.", "NFTSet", "a(iiss)", 1, 9, 1, "a", "b");
        refuse_rare(INVALID "Invalid protocol 4.", "NFTSet", "a(iiss)", 1, 1, 4, "a", "b");
        refuse_rare(INVALID "Invalid NFT table name 1.", "NFTSet", "a(iiss)", 1, 1, 1, "1", "b");
        refuse_rare(INVALID "Invalid NFT set name .", "NFTSet", "a(iiss)", 1, 1, 1, "a", "");
        refuse_rare(INVALID "Invalid condition type: AssertHost", "Conditions", "a(sbbs)", 1, "AssertHost",
                    0, 0, "x");
        refuse_rare(INVALID "Condition parameter in ConditionHost is empty", "Conditions", "a(sbbs)",
                    1, "ConditionHost", 0, 0, "");
        refuse_rare(INVALID "Path in condition AssertPathExists is not absolute: x", "Asserts",
                    "a(sbbs)", 1, "AssertPathExists", 0, 0, "x");
}

/* ---- as text, for a restart of the daemon ---- */

static void test_text_there_and_back(void **state)
{
        _cleanup_(call_freep) Call *call = call_new();
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };
        _cleanup_(set_donep) PropertySet again = { 0 };
        _cleanup_(freep) char *text = NULL, *second = NULL;

        add_rare(call);
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

        add_rare(call);
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
        assert_int_equal(size, 2);
        assert_memory_equal(bytes, "\x07\x02", 2);
}

static void test_limits_without_a_limit_are_not_told(void **state)
{
        _cleanup_(call_freep) Call *call = call_new(), *clear = call_new();
        _cleanup_(set_donep) PropertySet set = { 0 };
        sd_bus_message *reply;

        call_add(call, "IOReadBandwidthMax", "a(st)", 1, "7:250", UINT64_C(1000));
        call_add(call, "DeviceAllow", "a(ss)", 1, "/dev/null", "mr");
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
        assert_true(sd_bus_message_read(reply, "(ss)", &(const char *){ NULL }, &(const char *){ NULL }) > 0);
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
                cmocka_unit_test(test_device_weights),
                cmocka_unit_test(test_block_io),
                cmocka_unit_test(test_device_numbers),
                cmocka_unit_test(test_missing_devices_are_left_out),
                cmocka_unit_test(test_device_errors),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_integers),
                cmocka_unit_test(test_times_and_types),
                cmocka_unit_test(test_empty_call),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_lists_add_up),
                cmocka_unit_test(test_long_lists),
                cmocka_unit_test(test_delegation),
                cmocka_unit_test(test_oom_policy),
                cmocka_unit_test(test_pids),
                cmocka_unit_test(test_bad_pids),
                cmocka_unit_test(test_kernel_threads),
                cmocka_unit_test(test_pidfds),
                cmocka_unit_test(test_rare_ones_are_told),
                cmocka_unit_test(test_conditions_are_told),
                cmocka_unit_test(test_rare_errors),
                cmocka_unit_test(test_text_there_and_back),
                cmocka_unit_test(test_text_that_is_strange),
                cmocka_unit_test(test_defaults_are_told),
                cmocka_unit_test(test_signatures),
                cmocka_unit_test(test_files_are_told),
                cmocka_unit_test(test_limits_without_a_limit_are_not_told),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_a_typical_scope_is_small),
                cmocka_unit_test(test_writing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
