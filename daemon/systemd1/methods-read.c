/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods of the manager that look one thing up. */

#include <stdio.h>

#include <chargehand/process.h>

#include "error.h"
#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

static int reply_unit(Request *request, const Unit *unit)
{
        _cleanup_(freep) char *object = unit_name_to_object(unit->name);

        return object ? request_reply(request, "o", object) : -ENOMEM;
}

static int fail_pid(Request *request, pid_t pid)
{
        return face_fail(request, SD1_ERROR_NO_UNIT_FOR_PID,
                         "PID %d does not belong to any loaded unit.", pid);
}

static int bad_name(Request *request, const char *name)
{
        return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Unit name %s is not valid.", name);
}

/* A slice that is there counts, also when nobody looked at it yet. */
Unit *units_find_active(Face *face, const char *name)
{
        Unit *unit = units_find(face->units, name);

        if (!unit && units_load(face->units, name, &unit) >= 0 && !unit_is_active(unit))
                unit = NULL; /* dropped at the end of the turn */
        return unit;
}

/* The unit that is named by the first argument; "" is the caller's. `name` is the argument. */
static int read_unit(Request *request, const char **ret_name, Unit **ret)
{
        Face *face = face_of(request);
        const char *name = request->path;
        int r = name ? 0 : sd_bus_message_read(request->message, "s", &name);

        if (r < 0)
                return request_bad_arguments(request, r, "name");
        *ret_name = name;
        *ret = *name ? units_find_active(face, name) : face_unit_of_pid(face, request->client->pid);
        if (!*ret && !*name)
                return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Client not member of any unit.");
        return 0;
}

int method_get_unit(Request *request)
{
        const char *name = "";
        Unit *unit = NULL;
        int r = read_unit(request, &name, &unit);

        if (r < 0)
                return r;
        return unit ? reply_unit(request, unit)
                    : face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not loaded.", name);
}

/* Any valid name has an object, which tells whether there is such a unit. */
int method_load_unit(Request *request)
{
        _cleanup_(freep) char *object = NULL;
        const char *name = "";
        Unit *unit = NULL;
        int r = read_unit(request, &name, &unit);

        if (r < 0)
                return r;
        if (!unit && !unit_name_is_valid(name))
                return bad_name(request, name);
        object = unit_name_to_object(unit ? unit->name : name);
        return object ? request_reply(request, "o", object) : -ENOMEM;
}

/* Where it belongs now; a slice that only has foreign groups below counts as well. */
int method_get_unit_by_pid(Request *request)
{
        uint32_t number;
        pid_t pid;
        Unit *unit = NULL;
        int r = sd_bus_message_read(request->message, "u", &number);

        if (r < 0)
                return request_bad_arguments(request, r, "pid");
        if (number > INT32_MAX)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Invalid PID %d", (int)number);
        pid = number ? (pid_t)number : request->client->pid;
        unit = face_unit_of_pid(face_of(request), pid);
        return unit ? reply_unit(request, unit) : fail_pid(request, pid);
}

int method_get_unit_by_pidfd(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *object = NULL;
        ch_procset *set;
        const Unit *unit;
        pid_t pid = 0;
        int fd, r = sd_bus_message_read(request->message, "h", &fd);

        if (r < 0)
                return request_bad_arguments(request, r, "pidfd");
        r = ch_procset_new(&set);
        if (r < 0)
                return r;
        r = ch_procset_add_pidfd(set, fd, &request->error);
        if (r >= 0)
                pid = ch_procset_get(set, 0)->pid;
        ch_procset_free(set);
        if (r < 0)
                return face_fail(
                        request,
                        r == -ESRCH ? SD1_ERROR_NO_SUCH_PROCESS : SD_BUS_ERROR_INVALID_ARGS,
                        "Failed to get PID from PIDFD: %s", ch_error_get_cause(request->error));
        unit = face_unit_of_pid(face_of(request), pid);
        if (!unit)
                return fail_pid(request, pid);
        object = unit_name_to_object(unit->name);
        r = object ? request_new_reply(request, &reply) : -ENOMEM;
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_append(reply, "os", object, unit->name);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', unit->invocation_id,
                                                sizeof(unit->invocation_id));
        return r < 0 ? r : request_send(request, reply);
}

int method_get_unit_by_control_group(Request *request)
{
        Face *face = face_of(request);
        size_t size = strlen(face->control_group);
        const char *path;
        const Unit *unit = NULL;
        int r = sd_bus_message_read(request->message, "s", &path);

        if (r < 0)
                return request_bad_arguments(request, r, "cgroup");
        if (*path != '/')
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Control group path is not absolute: %s", path);
        if (ch_path_check(path, NULL) < 0)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Control group path is not normalized: %s", path);
        if (strncmp(path, face->control_group, size) == 0 && (path[size] == '/' || !path[size]))
                unit = units_find_above(face->units, path[size] ? path + size : "/");
        /* what is in no unit is not in the root's */
        return unit && !streq(unit->path, "/")
                       ? reply_unit(request, unit)
                       : face_fail(
                                 request, SD1_ERROR_NO_SUCH_UNIT,
                                 "Control group '%s' is not valid or not managed by this instance",
                                 path);
}

static Unit *find_invocation(const Face *face, const uint8_t *id)
{
        for (Unit *unit = units_first(face->units); unit; unit = unit->next)
                if (memcmp(unit->invocation_id, id, sizeof(unit->invocation_id)) == 0)
                        return unit;
        return NULL;
}

/* An empty id, or zeroes, is the caller's unit. */
int method_get_unit_by_invocation_id(Request *request)
{
        static const uint8_t none[16];
        Face *face = face_of(request);
        char text[2 * sizeof(none) + 1] = "";
        const void *id;
        const Unit *unit;
        size_t size;
        int r = sd_bus_message_read_array(request->message, 'y', &id, &size);

        if (r < 0)
                return request_bad_arguments(request, r, "invocation_id");
        if (size != 0 && size != sizeof(none))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Invalid invocation ID");
        if (size == 0 || memcmp(id, none, sizeof(none)) == 0) {
                unit = face_unit_of_pid(face, request->client->pid);
                return unit ? reply_unit(request, unit)
                            : face_fail(request, SD1_ERROR_NO_SUCH_UNIT,
                                        "Client %d not member of any unit.", request->client->pid);
        }
        unit = find_invocation(face, id);
        for (size_t i = 0; i < size; i++)
                (void)snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
        return unit ? reply_unit(request, unit)
                    : face_fail(request, SD1_ERROR_NO_UNIT_FOR_INVOCATION,
                                "No unit with the specified invocation ID %s known.", text);
}

/* ---- jobs ---- */

static int find_job(Request *request, UnitJob **ret)
{
        uint32_t id;
        int r = request->path ? 0 : sd_bus_message_read(request->message, "u", &id);

        if (r < 0)
                return request_bad_arguments(request, r, "id");
        if (request->path)
                id = (uint32_t)strtoul(request->path, NULL, 10);
        *ret = unit_jobs_find(face_of(request)->jobs, id);
        return *ret ? 0 : face_fail(request, SD1_ERROR_NO_SUCH_JOB, "Job %u does not exist.", id);
}

int method_get_unit_job(Request *request)
{
        char path[UNIT_JOB_PATH_MAX];
        UnitJob *job;
        int r = find_job(request, &job);

        return r < 0 ? r : request_reply(request, "o", unit_job_path(job->id, path));
}

int method_get_job_neighbours(Request *request)
{
        UnitJob *job;
        int r = find_job(request, &job);

        return r < 0 ? r : request_reply(request, "a(usssoo)", 0);
}

/* ---- what is asked for and is not here ---- */

int method_refuse_start(Request *request)
{
        Face *face = face_of(request);
        const char *name = request->path;
        const Unit *unit;
        int r = name ? 0 : sd_bus_message_read(request->message, "s", &name);

        if (r < 0)
                return request_bad_arguments(request, r, "name");
        if (!unit_name_is_valid(name))
                return bad_name(request, name);
        unit = units_find(face->units, name);
        if (!unit)
                return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not found.", name);
        return face_fail(request, SD1_ERROR_JOB_TYPE,
                         "%s can only be started by StartTransientUnit: this is chargehand, which "
                         "has no unit files.",
                         name);
}
