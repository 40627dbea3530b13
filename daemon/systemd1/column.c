/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a unit tells of itself beside the values it was given. */

#include <stdio.h>
#include <time.h>

#include "column.h"
#include "systemd1-names.h"
#include "util.h"

#define APPEND(function)                                                                           \
        static int function(sd_bus_message *reply, const Subject *subject, const Column *column)

APPEND(append_name)
{
        return sd_bus_message_append(reply, "s", subject->name);
}

APPEND(append_names)
{
        return sd_bus_message_append(reply, "as", 1, subject->name);
}

static const struct {
        const char *name, *description;
} known_slices[] = {
        {"-.slice",           "Root Slice"                         },
        { "system.slice",     "System Slice"                       },
        { "user.slice",       "User and Session Slice"             },
        { "machine.slice",    "Virtual Machine and Container Slice"},
        { "app.slice",        "User Application Slice"             },
        { "background.slice", "User Background Tasks Slice"        },
        { "session.slice",    "User Core Session Slice"            },
};

const char *unit_description(const Unit *unit)
{
        static char text[sizeof("Slice ") + 4096];
        const char *given = property_get_text(&unit->properties, PROP_DESCRIPTION), *at;
        int size = (int)strlen(unit->name), end = -1;
        unsigned uid;
        size_t n;

        if (*given)
                return given;
        if (sscanf(unit->name, "user-%u.slice%n", &uid, &end) == 1 && end == size)
                (void)snprintf(text, sizeof(text), "User Slice of UID %u", uid);
        else if (sscanf(unit->name, "user@%u.service%n", &uid, &end) == 1 && end == size)
                (void)snprintf(text, sizeof(text), "User Manager for UID %u", uid);
        if (end == size)
                return text;
        if (unit->kind != UNIT_SLICE)
                return unit->name;
        for (size_t i = 0; i < ELEMENTSOF(known_slices); i++)
                if (streq(known_slices[i].name, unit->name))
                        return known_slices[i].description;
        /* "a-b.slice" is "Slice /a/b" */
        n = (size_t)snprintf(text, sizeof(text), "Slice /");
        for (at = unit->name; *at && !streq(at, ".slice"); at++)
                text[n++] = *at == '-' ? '/' : *at;
        text[n] = '\0';
        return text;
}

APPEND(append_description)
{
        return sd_bus_message_append(
                reply, "s", subject->unit ? unit_description(subject->unit) : subject->name);
}

APPEND(append_load_state)
{
        return sd_bus_message_append(reply, "s",
                                     subject->unit ? unit_load_state(subject->unit) : "not-found");
}

APPEND(append_load_error)
{
        _cleanup_(freep) char *text = NULL;

        if (subject->unit)
                return sd_bus_message_append(reply, "(ss)", "", "");
        if (asprintf(&text, "Unit %s not found.", subject->name) < 0)
                return -ENOMEM;
        return sd_bus_message_append(reply, "(ss)", SD1_ERROR_NO_SUCH_UNIT, text);
}

APPEND(append_active_state)
{
        return sd_bus_message_append(reply, "s",
                                     subject->unit ? unit_active_state(subject->unit) : "inactive");
}

APPEND(append_sub_state)
{
        return sd_bus_message_append(reply, "s",
                                     subject->unit ? unit_sub_state(subject->unit) : "dead");
}

APPEND(append_freezer_state)
{
        return sd_bus_message_append(reply, "s",
                                     subject->unit ? unit_freezer_state(subject->unit) : "running");
}

APPEND(append_file_state)
{
        return sd_bus_message_append(
                reply, "s",
                subject->unit && (subject->unit->flags & UNIT_TRANSIENT) ? "transient" : "");
}

APPEND(append_job)
{
        const UnitJob *job = subject->unit ? subject->unit->job : NULL;
        char path[UNIT_JOB_PATH_MAX];

        if (!job)
                return sd_bus_message_append(reply, "(uo)", 0U, "/");
        return sd_bus_message_append(reply, "(uo)", job->id, unit_job_path(job->id, path));
}

/* Flags of the unit, by column->number. */
APPEND(append_flag)
{
        return sd_bus_message_append(reply, "b",
                                     subject->unit && (subject->unit->flags & column->number) != 0);
}

APPEND(append_exists)
{
        return sd_bus_message_append(reply, "b", subject->unit != NULL);
}

/* Scopes start once, with StartTransientUnit. */
APPEND(append_can_start)
{
        return sd_bus_message_append(reply, "b",
                                     subject->unit && subject->unit->kind == UNIT_SLICE);
}

APPEND(append_was_started)
{
        return sd_bus_message_append(reply, "b",
                                     subject->unit && subject->unit->inactive_exit_usec > 0);
}

APPEND(append_time)
{
        const uint64_t *time =
                subject->unit ? (const uint64_t *)(const void *)((const char *)subject->unit +
                                                                 column->offset)
                              : NULL;

        return sd_bus_message_append(reply, "t", time ? *time : (uint64_t)0);
}

/* As far from now as the other clock says. */
APPEND(append_time_monotonic)
{
        const uint64_t *time =
                subject->unit ? (const uint64_t *)(const void *)((const char *)subject->unit +
                                                                 column->offset)
                              : NULL;
        struct timespec real, monotonic;
        uint64_t now, up;

        if (!time || !*time)
                return sd_bus_message_append(reply, "t", (uint64_t)0);
        (void)clock_gettime(CLOCK_REALTIME, &real);
        (void)clock_gettime(CLOCK_MONOTONIC, &monotonic);
        now = (uint64_t)real.tv_sec * 1000000 + (uint64_t)real.tv_nsec / 1000;
        up = (uint64_t)monotonic.tv_sec * 1000000 + (uint64_t)monotonic.tv_nsec / 1000;
        return sd_bus_message_append(reply, "t", sub_u64(up, sub_u64(now, *time)));
}

APPEND(append_invocation_id)
{
        static const uint8_t none[16];
        const Unit *unit = subject->unit;
        size_t size =
                unit && memcmp(unit->invocation_id, none, sizeof(none)) != 0 ? sizeof(none) : 0;

        return sd_bus_message_append_array(reply, 'y', size ? unit->invocation_id : none, size);
}

APPEND(append_refs)
{
        return sd_bus_message_append_strv(reply, subject->unit ? subject->unit->refs : NULL);
}

APPEND(append_nothing)
{
        int r = sd_bus_message_open_container(reply, 'a', column->signature + 1);

        return r < 0 ? r : sd_bus_message_close_container(reply);
}

APPEND(append_text)
{
        return sd_bus_message_append(reply, "s", column->text);
}

APPEND(append_number)
{
        switch (*column->signature) {
        case 't':
                return sd_bus_message_append(reply, "t", column->number);
        default: /* these go as int */
                return sd_bus_message_append(reply, column->signature, (int)column->number);
        }
}

APPEND(append_slice)
{
        const Unit *unit = subject->unit;

        return sd_bus_message_append(reply, "s", unit && unit->slice ? unit->slice : "");
}

/* "/" is the root of the whole hierarchy, "" a unit without a group. */
APPEND(append_control_group)
{
        const Unit *unit = subject->unit;
        _cleanup_(freep) char *path = NULL;

        if (!unit || unit->state == UNIT_DEAD)
                return sd_bus_message_append(reply, "s", "");
        path = face_control_group_of(subject->face, unit->path);
        if (!path)
                return -ENOMEM;
        return sd_bus_message_append(reply, "s", *path ? path : "/");
}

APPEND(append_result)
{
        return sd_bus_message_append(
                reply, "s",
                unit_result_to_string(subject->unit ? subject->unit->result : UNIT_SUCCESS));
}

APPEND(append_uid)
{
        return sd_bus_message_append(reply, "u",
                                     subject->unit ? subject->unit->uid : (uint32_t)UINT32_MAX);
}

/* clang-format off */
#define UNIT      (1U << TELL_UNIT)
#define SERVICE   (1U << TELL_SERVICE)
#define SCOPE     (1U << TELL_SCOPE)
#define GROUPS    (SCOPE | SERVICE | 1U << TELL_SLICE)
#define CONST     PROPERTY_CONST
#define EMITS     PROPERTY_EMITS
#define TIME(name, field)                                                                          \
        { name, "t", UNIT, EMITS, append_time, .offset = offsetof(Unit, field) },                  \
        { name "Monotonic", "t", UNIT, EMITS, append_time_monotonic, .offset = offsetof(Unit, field) }
#define TEXT(name, where, flags, value)   { name, "s", where, flags, append_text, .text = value }
#define NUMBER(name, type, where, flags, value) { name, type, where, flags, append_number, .number = value }
#define NOTHING(name, type, where)        { name, type, where, CONST, append_nothing }

static const Column columns[] = {
        { "Id", "s", UNIT, CONST, append_name },
        { "Names", "as", UNIT, CONST, append_names },
        TEXT("Following", UNIT, 0, ""),
        { "Description", "s", UNIT, CONST, append_description },
        TEXT("AccessSELinuxContext", UNIT, CONST, ""),
        { "LoadState", "s", UNIT, CONST, append_load_state },
        { "ActiveState", "s", UNIT, EMITS, append_active_state },
        { "FreezerState", "s", UNIT, EMITS, append_freezer_state },
        { "SubState", "s", UNIT, EMITS, append_sub_state },
        TEXT("FragmentPath", UNIT, CONST, ""),
        NOTHING("DropInPaths", "as", UNIT),
        { "UnitFileState", "s", UNIT, 0, append_file_state },
        TEXT("UnitFilePreset", UNIT, 0, ""),
        TIME("StateChangeTimestamp", state_change_usec),
        TIME("InactiveExitTimestamp", inactive_exit_usec),
        TIME("ActiveEnterTimestamp", active_enter_usec),
        TIME("ActiveExitTimestamp", active_exit_usec),
        TIME("InactiveEnterTimestamp", inactive_enter_usec),
        { "CanStart", "b", UNIT, CONST, append_can_start },
        { "CanStop", "b", UNIT, CONST, append_exists },
        NUMBER("CanReload", "b", UNIT, CONST, 0),
        NUMBER("CanIsolate", "b", UNIT, CONST, 0),
        NOTHING("CanClean", "as", UNIT),
        { "CanFreeze", "b", UNIT, CONST, append_exists },
        { "Job", "(uo)", UNIT, EMITS, append_job },
        NUMBER("NeedDaemonReload", "b", UNIT, 0, 0),
        { "ConditionResult", "b", UNIT, EMITS, append_was_started },
        { "AssertResult", "b", UNIT, EMITS, append_was_started },
        TIME("ConditionTimestamp", inactive_exit_usec),
        TIME("AssertTimestamp", inactive_exit_usec),
        { "LoadError", "(ss)", UNIT, CONST, append_load_error },
        { "Transient", "b", UNIT, CONST, append_flag, .number = UNIT_TRANSIENT },
        { "Perpetual", "b", UNIT, CONST, append_flag, .number = UNIT_PERPETUAL },
        { "InvocationID", "ay", UNIT, EMITS, append_invocation_id },
        { "Refs", "as", UNIT, 0, append_refs },
        NOTHING("ActivationDetails", "a(ss)", UNIT),
        { "Slice", "s", GROUPS, 0, append_slice },
        { "ControlGroup", "s", GROUPS, 0, append_control_group },
        { "Result", "s", SCOPE | SERVICE, EMITS, append_result },
        TEXT("Type", SERVICE, CONST, "simple"),
        TEXT("Restart", SERVICE, CONST, "no"),
        TEXT("NotifyAccess", SERVICE, 0, "none"),
        NUMBER("RemainAfterExit", "b", SERVICE, CONST, 1),
        NUMBER("MainPID", "u", SERVICE, EMITS, 0),
        NUMBER("ControlPID", "u", SERVICE, EMITS, 0),
        TEXT("StatusText", SERVICE, EMITS, ""),
        NUMBER("StatusErrno", "i", SERVICE, EMITS, 0),
        { "UID", "u", SERVICE, EMITS, append_uid },
        NUMBER("NRestarts", "u", SERVICE, EMITS, 0),
        NUMBER("ExecMainPID", "u", SERVICE, EMITS, 0),
        NUMBER("ExecMainCode", "i", SERVICE, EMITS, 0),
        NUMBER("ExecMainStatus", "i", SERVICE, EMITS, 0),
};
/* clang-format on */

const Column *column_get(size_t index)
{
        return index < ELEMENTSOF(columns) ? &columns[index] : NULL;
}

const Column *column_find(const char *name, unsigned where)
{
        for (size_t i = 0; i < ELEMENTSOF(columns); i++)
                if ((columns[i].where & 1U << where) && streq(columns[i].name, name))
                        return &columns[i];
        return NULL;
}

void subject_done(Subject *subject)
{
        subject->group = ch_group_unref(subject->group);
        subject->looked_for_group = 0;
}
