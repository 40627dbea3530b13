/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties that are refused, with the words that clients know, and pids. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "systemd1-call.h"
#include "util.h"

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
        { "Markers",              "+x",            "org.freedesktop.systemd1.BadUnitSetting: Unknown marker \"+x\"."      },
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
        _cleanup_(call_freep) Call *many = call_new(), *large = call_new(), *disks = call_new();

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
                       SD_BUS_ERROR_LIMITS_EXCEEDED
                       ": " FAILED "a list takes 65536 bytes, of devices with limits 128: leave some "
                       "out, or make it anew with an empty list before.");
        for (unsigned i = 0; i <= PROPERTY_DISKS_MAX; i++) {
                char number[16];

                (void)snprintf(number, sizeof(number), "8:%u", i);
                call_add(disks, "IOReadIOPSMax", "a(st)", 1, number, UINT64_C(1));
        }
        assert_refused(disks, UNIT_SCOPE, 0,
                       SD_BUS_ERROR_LIMITS_EXCEEDED
                       ": " FAILED "a list takes 65536 bytes, of devices with limits 128: leave some "
                       "out, or make it anew with an empty list before.");
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_device_errors),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_integers),
                cmocka_unit_test(test_times_and_types),
                cmocka_unit_test(test_empty_call),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_pids),
                cmocka_unit_test(test_bad_pids),
                cmocka_unit_test(test_kernel_threads),
                cmocka_unit_test(test_pidfds),
                cmocka_unit_test(test_rare_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
