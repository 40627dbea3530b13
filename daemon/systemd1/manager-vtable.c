/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.freedesktop.systemd1.Manager: the table of its methods, and those of its properties that have
 * something to tell. */

#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

/* ---- methods ---- */

static const struct {
        const char *member;
        request_func begin;
} methods[] = {
        {"StartTransientUnit",      method_start_transient_unit     },
        { "StopUnit",               method_stop_unit                },
        { "ResetFailedUnit",        method_reset_failed_unit        },
        { "SetUnitProperties",      method_set_unit_properties      },
        { "AttachProcessesToUnit",  method_attach_processes         },
        { "GetUnit",                method_get_unit                 },
        { "LoadUnit",               method_load_unit                },
        { "GetUnitByPID",           method_get_unit_by_pid          },
        { "GetUnitByPIDFD",         method_get_unit_by_pidfd        },
        { "GetUnitByControlGroup",  method_get_unit_by_control_group},
        { "GetUnitByInvocationID",  method_get_unit_by_invocation_id},
        { "GetUnitProcesses",       method_get_unit_processes       },
        { "ListUnits",              method_list_units               },
        { "ListUnitsFiltered",      method_list_units_filtered      },
        { "ListUnitsByPatterns",    method_list_units_by_patterns   },
        { "ListUnitsByNames",       method_list_units_by_names      },
        { "ListJobs",               method_list_unit_jobs           },
        { "GetJob",                 method_get_unit_job             },
        { "GetJobAfter",            method_get_job_neighbours       },
        { "GetJobBefore",           method_get_job_neighbours       },
        { "CancelJob",              method_cancel_unit_job          },
        { "ClearJobs",              method_clear_jobs               },
        { "ResetFailed",            method_reset_failed             },
        { "KillUnit",               method_kill_unit                },
        { "FreezeUnit",             method_freeze_unit              },
        { "ThawUnit",               method_thaw_unit                },
        { "AbandonScope",           method_abandon_scope            },
        { "RefUnit",                method_ref_unit                 },
        { "UnrefUnit",              method_unref_unit               },
        { "Subscribe",              method_subscribe                },
        { "Unsubscribe",            method_unsubscribe              },
        { "StartUnit",              method_refuse_start             },
        { "ReloadUnit",             method_refuse_start             },
        { "RestartUnit",            method_refuse_start             },
        { "TryRestartUnit",         method_refuse_start             },
        { "ReloadOrRestartUnit",    method_refuse_start             },
        { "ReloadOrTryRestartUnit", method_refuse_start             },
};

static request_func find_method(const char *member)
{
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(methods[i].member, member))
                        return methods[i].begin;
        return NULL;
}

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const Face *face = userdata;

        return request_start(face->manager, message,
                             find_method(sd_bus_message_get_member(message)), NULL);
}

/* Before the vtable: what is not here is told in words that lead somewhere. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *interface = sd_bus_message_get_interface(message);
        const char *member = sd_bus_message_get_member(message);

        if (!interface || !member || !streq(interface, SD1_MANAGER_INTERFACE) ||
            find_method(member) || sd_bus_message_is_method_call(message, NULL, NULL) <= 0)
                return 0;
        return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_UNKNOWN_METHOD,
                                          "Unknown method %s: this is chargehand, which has scopes "
                                          "and slices, but no unit files and no services.",
                                          member);
}

/* ---- properties ---- */

#define GETTER(name)                                                                               \
        static int name(sd_bus *bus, const char *path, const char *interface,                      \
                        const char *property, sd_bus_message *reply, void *userdata,               \
                        sd_bus_error *error)

GETTER(get_version)
{
        char text[64];

        (void)snprintf(text, sizeof(text), "255 (chargehand %s)", manager_version());
        return sd_bus_message_append(reply, "s", text);
}

GETTER(get_features)
{
        return sd_bus_message_append(reply, "s", "default-hierarchy=unified");
}

GETTER(get_architecture)
{
        static const char *const names[][2] = {
                {"x86_64",       "x86-64"     },
                { "i686",        "x86"        },
                { "i586",        "x86"        },
                { "i386",        "x86"        },
                { "aarch64",     "arm64"      },
                { "armv7l",      "arm"        },
                { "armv6l",      "arm"        },
                { "ppc64le",     "ppc64-le"   },
                { "loongarch64", "loongarch64"},
        };
        struct utsname uts;

        if (uname(&uts) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i][0], uts.machine))
                        return sd_bus_message_append(reply, "s", names[i][1]);
        return sd_bus_message_append(reply, "s", uts.machine);
}

/* What the processor says of the hypervisor below it; elsewhere nothing is told. */
static const char *find_virtualization(void)
{
#if defined(__x86_64__) || defined(__i386__)
        static const char *const names[][2] = {
                {"KVMKVMKVM",     "kvm"      },
                { "TCGTCGTCGTCG", "qemu"     },
                { "VMwareVMware", "vmware"   },
                { "Microsoft Hv", "microsoft"},
                { "XenVMMXenVMM", "xen"      },
        };
        unsigned eax, ebx, ecx, edx;
        char text[13] = "";

        if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & 1U << 31))
                return "";
        __cpuid(0x40000000, eax, ebx, ecx, edx);
        memcpy(text, &ebx, 4);
        memcpy(text + 4, &ecx, 4);
        memcpy(text + 8, &edx, 4);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i][0], text))
                        return names[i][1];
        return "vm-other";
#else
        return "";
#endif
}

GETTER(get_virtualization)
{
        return sd_bus_message_append(reply, "s", find_virtualization());
}

GETTER(get_control_group)
{
        return sd_bus_message_append(reply, "s", ((const Face *)userdata)->control_group);
}

static uint32_t count_failed(const Face *face)
{
        uint32_t n = 0;

        for (const Unit *unit = units_first(face->units); unit; unit = unit->next)
                n += unit->state == UNIT_FAILED;
        return n;
}

GETTER(get_system_state)
{
        const Face *face = userdata;

        return sd_bus_message_append(reply, "s",
                                     face->manager->stopping ? "stopping"
                                     : count_failed(face)    ? "degraded"
                                                             : "running");
}

GETTER(get_count)
{
        const Face *face = userdata;
        size_t n = streq(property, "NNames")           ? units_count(face->units)
                   : streq(property, "NJobs")          ? unit_jobs_count(face->jobs)
                   : streq(property, "NInstalledJobs") ? unit_jobs_total(face->jobs)
                   : streq(property, "NFailedUnits")   ? count_failed(face)
                                                       : 0;

        return sd_bus_message_append(reply, "u", (uint32_t)n);
}

/* Of the daemon's own environment only what says nothing about anybody. */
GETTER(get_environment)
{
        static const char *const names[] = { "LANG", "LC_ALL", "PATH" };
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(names); i++) {
                const char *value = getenv(names[i]);
                _cleanup_(freep) char *text = NULL;

                if (!value)
                        continue;
                r = asprintf(&text, "%s=%s", names[i], value) < 0
                            ? -ENOMEM
                            : sd_bus_message_append(reply, "s", text);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* The kernel's start, and the daemon's in place of user space. */
GETTER(get_time)
{
        static uint64_t started;
        struct timespec real, boot;
        uint64_t now, up;

        (void)clock_gettime(CLOCK_REALTIME, &real);
        (void)clock_gettime(CLOCK_MONOTONIC, &boot);
        now = (uint64_t)real.tv_sec * 1000000 + (uint64_t)real.tv_nsec / 1000;
        up = (uint64_t)boot.tv_sec * 1000000 + (uint64_t)boot.tv_nsec / 1000;
        if (!started)
                started = up;
        if (!reply)
                return 0;
        if (strstr(property, "Monotonic"))
                return sd_bus_message_append(reply, "t", *property == 'K' ? 0 : started);
        return sd_bus_message_append(reply, "t", now - up + (*property == 'K' ? 0 : started));
}

GETTER(get_zero)
{
        return sd_bus_message_append(reply, "t", (uint64_t)0);
}

GETTER(get_stop_timeout)
{
        const Face *face = userdata;

        return sd_bus_message_append(reply, "t", face->manager->conf->default_timeout_stop_usec);
}

static const struct {
        const char *property, *type;
        uint64_t number;
        const char *text;
} constants[] = {
        {"ConfirmSpawn",                   "b", 0,          NULL             },
        { "ShowStatus",                    "b", 0,          NULL             },
        { "ServiceWatchdogs",              "b", 0,          NULL             },
        { "DefaultCPUAccounting",          "b", 1,          NULL             },
        { "DefaultBlockIOAccounting",      "b", 0,          NULL             },
        { "DefaultIOAccounting",           "b", 1,          NULL             },
        { "DefaultIPAccounting",           "b", 0,          NULL             },
        { "DefaultMemoryAccounting",       "b", 1,          NULL             },
        { "DefaultTasksAccounting",        "b", 1,          NULL             },
        { "DefaultTimerAccuracyUSec",      "t", 60000000,   NULL             },
        { "DefaultTimeoutStartUSec",       "t", 90000000,   NULL             },
        { "DefaultTimeoutAbortUSec",       "t", 90000000,   NULL             },
        { "DefaultDeviceTimeoutUSec",      "t", 90000000,   NULL             },
        { "DefaultRestartUSec",            "t", 100000,     NULL             },
        { "DefaultStartLimitIntervalUSec", "t", 10000000,   NULL             },
        { "DefaultStartLimitBurst",        "u", 5,          NULL             },
        { "DefaultTasksMax",               "t", UINT64_MAX, NULL             },
        { "TimerSlackNSec",                "t", 50000,      NULL             },
        { "DefaultOOMScoreAdjust",         "i", 0,          NULL             },
        { "ExitCode",                      "y", 0,          NULL             },
        { "Tainted",                       "s", 0,          ""               },
        { "DefaultOOMPolicy",              "s", 0,          "continue"       },
        { "DefaultStandardOutput",         "s", 0,          "inherit"        },
        { "DefaultStandardError",          "s", 0,          "inherit"        },
        { "LogTarget",                     "s", 0,          "journal-or-kmsg"},
        { "LogLevel",                      "s", 0,          "info"           },
        { "CtrlAltDelBurstAction",         "s", 0,          "none"           },
};

GETTER(get_constant)
{
        size_t i = 0;

        while (!streq(constants[i].property, property))
                i++;
        switch (*constants[i].type) {
        case 's':
                return sd_bus_message_append(reply, "s", constants[i].text);
        case 't':
                return sd_bus_message_append(reply, "t", constants[i].number);
        default: /* all of these go as int */
                return sd_bus_message_append(reply, constants[i].type, (int)constants[i].number);
        }
}

GETTER(get_progress)
{
        return sd_bus_message_append(reply, "d", 1.0);
}

GETTER(get_no_strings)
{
        return sd_bus_message_append(reply, "as", 0);
}

GETTER(get_limit)
{
        static const struct {
                const char *name;
                __rlimit_resource_t resource;
        } limits[] = {
                {"CPU",         RLIMIT_CPU       },
                { "FSIZE",      RLIMIT_FSIZE     },
                { "DATA",       RLIMIT_DATA      },
                { "STACK",      RLIMIT_STACK     },
                { "CORE",       RLIMIT_CORE      },
                { "RSS",        RLIMIT_RSS       },
                { "NOFILE",     RLIMIT_NOFILE    },
                { "AS",         RLIMIT_AS        },
                { "NPROC",      RLIMIT_NPROC     },
                { "MEMLOCK",    RLIMIT_MEMLOCK   },
                { "LOCKS",      RLIMIT_LOCKS     },
                { "SIGPENDING", RLIMIT_SIGPENDING},
                { "MSGQUEUE",   RLIMIT_MSGQUEUE  },
                { "NICE",       RLIMIT_NICE      },
                { "RTPRIO",     RLIMIT_RTPRIO    },
                { "RTTIME",     RLIMIT_RTTIME    },
        };
        const char *name = property + strlen("DefaultLimit"), *soft = strstr(name, "Soft");
        size_t size = soft ? (size_t)(soft - name) : strlen(name), i = 0;
        struct rlimit limit;

        while (strlen(limits[i].name) != size || strncmp(limits[i].name, name, size) != 0)
                i++;
        if (getrlimit(limits[i].resource, &limit) < 0)
                return -errno;
        return sd_bus_message_append(reply, "t",
                                     (uint64_t)(soft ? limit.rlim_cur : limit.rlim_max));
}

/* ---- the table ---- */

/* clang-format off */
#define METHOD(member, in, in_names, out, out_names)                                               \
        SD_BUS_METHOD_WITH_NAMES(member, in, in_names, out, out_names, on_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define PLAIN(member) SD_BUS_METHOD(member, NULL, NULL, on_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define N         SD_BUS_PARAM
#define UNITS     "a(ssssssouso)"
#define JOBS      "a(usssoo)"
#define JOB_OF(member) METHOD(member, "ss", N(name) N(mode), "o", N(job))
#define FIXED     SD_BUS_VTABLE_PROPERTY_CONST
#define CONSTANT(name, type) SD_BUS_PROPERTY(name, type, get_constant, 0, FIXED)
#define LIMIT(name)                                                                                \
        SD_BUS_PROPERTY("DefaultLimit" name, "t", get_limit, 0, FIXED),                            \
        SD_BUS_PROPERTY("DefaultLimit" name "Soft", "t", get_limit, 0, FIXED)
#define TIME(name, get)                                                                            \
        SD_BUS_PROPERTY(name "Timestamp", "t", get, 0, FIXED),                                     \
        SD_BUS_PROPERTY(name "TimestampMonotonic", "t", get, 0, FIXED)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("GetUnit", "s", N(name), "o", N(unit)),
        METHOD("GetUnitByPID", "u", N(pid), "o", N(unit)),
        METHOD("GetUnitByInvocationID", "ay", N(invocation_id), "o", N(unit)),
        METHOD("GetUnitByControlGroup", "s", N(cgroup), "o", N(unit)),
        METHOD("GetUnitByPIDFD", "h", N(pidfd), "osay", N(unit) N(unit_id) N(invocation_id)),
        METHOD("LoadUnit", "s", N(name), "o", N(unit)),
        JOB_OF("StartUnit"),
        JOB_OF("StopUnit"),
        JOB_OF("ReloadUnit"),
        JOB_OF("RestartUnit"),
        JOB_OF("TryRestartUnit"),
        JOB_OF("ReloadOrRestartUnit"),
        JOB_OF("ReloadOrTryRestartUnit"),
        METHOD("KillUnit", "ssi", N(name) N(whom) N(signal), NULL,),
        METHOD("FreezeUnit", "s", N(name), NULL,),
        METHOD("ThawUnit", "s", N(name), NULL,),
        METHOD("ResetFailedUnit", "s", N(name), NULL,),
        METHOD("SetUnitProperties", "sba(sv)", N(name) N(runtime) N(properties), NULL,),
        METHOD("RefUnit", "s", N(name), NULL,),
        METHOD("UnrefUnit", "s", N(name), NULL,),
        METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", N(name) N(mode) N(properties) N(aux), "o", N(job)),
        METHOD("GetUnitProcesses", "s", N(name), "a(sus)", N(processes)),
        METHOD("AttachProcessesToUnit", "ssau", N(unit_name) N(subcgroup) N(pids), NULL,),
        METHOD("AbandonScope", "s", N(name), NULL,),
        METHOD("GetJob", "u", N(id), "o", N(job)),
        METHOD("GetJobAfter", "u", N(id), JOBS, N(jobs)),
        METHOD("GetJobBefore", "u", N(id), JOBS, N(jobs)),
        METHOD("CancelJob", "u", N(id), NULL,),
        PLAIN("ClearJobs"),
        PLAIN("ResetFailed"),
        METHOD("ListUnits", NULL,, UNITS, N(units)),
        METHOD("ListUnitsFiltered", "as", N(states), UNITS, N(units)),
        METHOD("ListUnitsByPatterns", "asas", N(states) N(patterns), UNITS, N(units)),
        METHOD("ListUnitsByNames", "as", N(names), UNITS, N(units)),
        METHOD("ListJobs", NULL,, JOBS, N(jobs)),
        PLAIN("Subscribe"),
        PLAIN("Unsubscribe"),
        SD_BUS_SIGNAL_WITH_NAMES("UnitNew", "so", N(id) N(unit), 0),
        SD_BUS_SIGNAL_WITH_NAMES("UnitRemoved", "so", N(id) N(unit), 0),
        SD_BUS_SIGNAL_WITH_NAMES("JobNew", "uos", N(id) N(job) N(unit), 0),
        SD_BUS_SIGNAL_WITH_NAMES("JobRemoved", "uoss", N(id) N(job) N(unit) N(result), 0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, FIXED),
        SD_BUS_PROPERTY("Features", "s", get_features, 0, FIXED),
        SD_BUS_PROPERTY("Virtualization", "s", get_virtualization, 0, FIXED),
        SD_BUS_PROPERTY("Architecture", "s", get_architecture, 0, FIXED),
        CONSTANT("Tainted", "s"),
        TIME("Kernel", get_time),
        TIME("Userspace", get_time),
        TIME("Finish", get_time),
        TIME("Firmware", get_zero),
        TIME("Loader", get_zero),
        TIME("InitRD", get_zero),
        CONSTANT("LogLevel", "s"),
        CONSTANT("LogTarget", "s"),
        SD_BUS_PROPERTY("NNames", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("NFailedUnits", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("NJobs", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("NInstalledJobs", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("NFailedJobs", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Progress", "d", get_progress, 0, 0),
        SD_BUS_PROPERTY("Environment", "as", get_environment, 0, 0),
        CONSTANT("ConfirmSpawn", "b"),
        CONSTANT("ShowStatus", "b"),
        SD_BUS_PROPERTY("UnitPath", "as", get_no_strings, 0, FIXED),
        CONSTANT("DefaultStandardOutput", "s"),
        CONSTANT("DefaultStandardError", "s"),
        CONSTANT("ServiceWatchdogs", "b"),
        SD_BUS_PROPERTY("ControlGroup", "s", get_control_group, 0, 0),
        SD_BUS_PROPERTY("SystemState", "s", get_system_state, 0, 0),
        CONSTANT("ExitCode", "y"),
        CONSTANT("DefaultTimerAccuracyUSec", "t"),
        CONSTANT("DefaultTimeoutStartUSec", "t"),
        SD_BUS_PROPERTY("DefaultTimeoutStopUSec", "t", get_stop_timeout, 0, FIXED),
        CONSTANT("DefaultTimeoutAbortUSec", "t"),
        CONSTANT("DefaultDeviceTimeoutUSec", "t"),
        CONSTANT("DefaultRestartUSec", "t"),
        CONSTANT("DefaultStartLimitIntervalUSec", "t"),
        CONSTANT("DefaultStartLimitBurst", "u"),
        CONSTANT("DefaultCPUAccounting", "b"),
        CONSTANT("DefaultBlockIOAccounting", "b"),
        CONSTANT("DefaultIOAccounting", "b"),
        CONSTANT("DefaultIPAccounting", "b"),
        CONSTANT("DefaultMemoryAccounting", "b"),
        CONSTANT("DefaultTasksAccounting", "b"),
        LIMIT("CPU"),
        LIMIT("FSIZE"),
        LIMIT("DATA"),
        LIMIT("STACK"),
        LIMIT("CORE"),
        LIMIT("RSS"),
        LIMIT("NOFILE"),
        LIMIT("AS"),
        LIMIT("NPROC"),
        LIMIT("MEMLOCK"),
        LIMIT("LOCKS"),
        LIMIT("SIGPENDING"),
        LIMIT("MSGQUEUE"),
        LIMIT("NICE"),
        LIMIT("RTPRIO"),
        LIMIT("RTTIME"),
        CONSTANT("DefaultTasksMax", "t"),
        CONSTANT("TimerSlackNSec", "t"),
        CONSTANT("DefaultOOMPolicy", "s"),
        CONSTANT("DefaultOOMScoreAdjust", "i"),
        CONSTANT("CtrlAltDelBurstAction", "s"),
        SD_BUS_VTABLE_END
};
/* clang-format on */

int manager_vtable_add(Face *face, sd_bus *bus)
{
        int r;

        (void)get_time(NULL, NULL, NULL, NULL, NULL, NULL, NULL); /* the start is now */
        r = sd_bus_add_object(bus, NULL, SD1_PATH, on_message, face);
        if (r < 0)
                return r;
        return sd_bus_add_object_vtable(bus, NULL, SD1_PATH, SD1_MANAGER_INTERFACE, vtable, face);
}

int face_add_objects(Face *face, sd_bus *bus)
{
        int r;

        r = manager_vtable_add(face, bus);
        if (r >= 0)
                r = unit_vtable_add(face, bus);
        return r < 0 ? r : job_vtable_add(face, bus);
}

void vtables_done(Face *face)
{
        face_forget_subscribers(face);
        lists_drop();
        unit_vtable_done();
}
