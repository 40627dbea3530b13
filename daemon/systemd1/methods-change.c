/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smaller methods that change something: reset, kill, abandon, references, jobs. */

#include <signal.h>
#include <stdio.h>

#include "access.h"
#include "error.h"
#include "life.h"
#include "log.h"
#include "start.h"
#include "stop.h"
#include "systemd1-names.h"
#include "util.h"

/* ---- which unit ---- */

static int find_own(Request *request, Unit **ret)
{
        *ret = face_unit_of_pid(face_of(request), request->client->pid);
        return *ret ? 0
                    : face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Client not member of any unit.");
}

static int not_loaded(Request *request, const char *name)
{
        return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not loaded.", name);
}

int method_find_unit(Request *request, Unit **ret)
{
        Face *face = face_of(request);
        const char *name = request->path;
        int r = 0;

        if (!name)
                r = sd_bus_message_read(request->message, "s", &name);
        if (r < 0)
                return r;
        if (!*name)
                return find_own(request, ret);
        *ret = units_find(face->units, name);
        return *ret ? 0 : not_loaded(request, name);
}

int method_load_existing(Request *request, const char *name, Unit **ret)
{
        Face *face = face_of(request);
        int r;

        if (!*name)
                return find_own(request, ret);
        r = units_load(face->units, name, ret);
        if (r == -ENOENT || r == -EOPNOTSUPP)
                return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not found.", name);
        if (r == -EINVAL)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Unit name %s is not valid.",
                                 name);
        return r;
}

int face_deny(Request *request)
{
        return face_fail(
                request, SD_BUS_ERROR_ACCESS_DENIED, "%s%s%s", ch_error_get_path(request->error),
                *ch_error_get_path(request->error) ? ": " : "", ch_error_get_cause(request->error));
}

/* Those that are root's alone. */
static int require_master(Request *request)
{
        return uid_is_master(request->uid)
                       ? 0
                       : face_fail(request, SD_BUS_ERROR_ACCESS_DENIED,
                                   "Only root may do this, not uid %u", request->uid);
}

int method_require_owner(Request *request, const Unit *unit)
{
        if (uid_is_master(request->uid) || unit->owner == request->uid)
                return 0;
        return face_fail(request, SD_BUS_ERROR_ACCESS_DENIED,
                         "Unit %s belongs to another user: only root and that user may do this, "
                         "not uid %u",
                         unit->name, request->uid);
}

/* ---- failed units ---- */

static void reset(Unit *unit)
{
        if (unit->state != UNIT_FAILED)
                return;
        unit_set_state(unit, UNIT_DEAD, UNIT_SUCCESS);
        unit->result = UNIT_SUCCESS;
        unit_flush(unit);
        lingering_remove(unit->face->lingering, unit->name);
        unit_collect(unit); /* the name is free before the reply */
}

int method_reset_failed_unit(Request *request)
{
        Face *face = face_of(request);
        const char *name = request->path;
        Unit *unit;
        int r = name ? 0 : sd_bus_message_read(request->message, "s", &name);

        if (r < 0)
                return r;
        unit = units_find(face->units, name);
        if (!unit) {
                if (uid_is_master(request->uid))
                        lingering_remove(face->lingering, name);
                return not_loaded(request, name);
        }
        r = method_require_owner(request, unit);
        if (r < 0)
                return r;
        reset(unit);
        return request_reply(request, NULL);
}

int method_reset_failed(Request *request)
{
        Face *face = face_of(request);
        int r = require_master(request);

        if (r < 0)
                return r;
        for (Unit *unit = units_first(face->units), *next; unit; unit = next) {
                next = unit->next;
                reset(unit);
        }
        return request_reply(request, NULL);
}

/* ---- signals ---- */

typedef struct KillCall {
        int signal;
        int must_hit;
        char *name, *path;
} KillCall;

static void kill_call_free(void *data)
{
        KillCall *call = data;

        free(call->name);
        free(call->path);
        free(call);
}

static int kill_work(Request *request)
{
        const KillCall *call = request->data;
        ch_tree *tree = request->manager->tree;
        ch_group *group;
        int n = 0, r = 0;

        if (!uid_is_master(request->uid))
                r = access_check_group(tree, call->path, request->uid, &request->error);
        if (r >= 0 && !uid_is_master(request->uid))
                r = access_check_members(tree, call->path, request->uid, &request->error);
        if (r < 0)
                return face_deny(request);
        if (ch_tree_open_group(tree, call->path, &group, NULL) >= 0) {
                n = stop_signal_tree(ch_group_get_fd(group), call->signal);
                ch_group_unref(group);
        }
        if (n > 0 || !call->must_hit)
                return 0;
        return face_fail(request, SD1_ERROR_NO_SUCH_PROCESS, "No matching processes to kill");
}

enum { WHOM_MAIN = 1 << 0, WHOM_CONTROL = 1 << 1, WHOM_MUST_HIT = 1 << 2 };

static const struct {
        const char *whom;
        unsigned flags;
} whoms[] = {
        {"all",           0                           },
        { "all-fail",     WHOM_MUST_HIT               },
        { "main",         WHOM_MAIN                   },
        { "main-fail",    WHOM_MAIN | WHOM_MUST_HIT   },
        { "control",      WHOM_CONTROL                },
        { "control-fail", WHOM_CONTROL | WHOM_MUST_HIT},
};

static int read_whom(Request *request, const Unit *unit, const char *whom, KillCall *call)
{
        size_t i = 0;

        while (i < ELEMENTSOF(whoms) && !streq(whoms[i].whom, *whom ? whom : "all"))
                i++;
        if (i == ELEMENTSOF(whoms))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Invalid who argument: %s",
                                 whom);
        if (call->signal < 1 || call->signal > SIGRTMAX)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Signal number out of range.");
        if (whoms[i].flags & (WHOM_MAIN | WHOM_CONTROL))
                return face_fail(request, SD1_ERROR_NO_SUCH_PROCESS,
                                 "%s units have no %s processes", unit_kind_to_string(unit->kind),
                                 whoms[i].flags & WHOM_MAIN ? "main" : "control");
        call->must_hit = (whoms[i].flags & WHOM_MUST_HIT) != 0;
        return 0;
}

int method_kill_unit(Request *request)
{
        KillCall *call = calloc(1, sizeof(*call));
        const char *whom;
        Unit *unit;
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = kill_call_free;
        r = method_find_unit(request, &unit);
        if (r >= 0)
                r = sd_bus_message_read(request->message, "si", &whom, &call->signal);
        if (r >= 0)
                r = read_whom(request, unit, whom, call);
        if (r < 0)
                return r;
        if (streq(unit->path, "/"))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Signals to everything are refused.");
        call->name = strdup(unit->name);
        call->path = strdup(unit->path);
        return call->name && call->path ? request_defer(request, kill_work, request_finish_empty)
                                        : -ENOMEM;
}

/* ---- scopes ---- */

static int abandon_work(Request *request)
{
        ch_group *group;

        if (ch_tree_open_group(request->manager->tree, request->path, &group, NULL) < 0)
                return 0;
        (void)unit_mark_write(ch_group_get_fd(group), request->data, request->path);
        ch_group_unref(group);
        return 0;
}

int method_abandon_scope(Request *request)
{
        Unit *unit;
        int r = method_find_unit(request, &unit);

        if (r >= 0)
                r = method_require_owner(request, unit);
        if (r < 0)
                return r;
        if (unit->kind != UNIT_SCOPE)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Unit %s is not a scope.",
                                 unit->name);
        if (unit->state != UNIT_RUNNING && unit->state != UNIT_ABANDONED)
                return face_fail(request, SD1_ERROR_SCOPE_NOT_RUNNING,
                                 "Scope %s is not running, cannot abandon.", unit->name);
        unit->flags |= UNIT_WAS_ABANDONED;
        unit_set_state(unit, UNIT_ABANDONED, UNIT_SUCCESS);
        request->data = start_make_text(unit);
        request->free_data = free;
        free(request->path);
        request->path = strdup(unit->path);
        if (!request->data || !request->path)
                return -ENOMEM;
        return request_defer(request, abandon_work, request_finish_empty);
}

/* ---- references ---- */

int method_ref_unit(Request *request)
{
        const char *name = request->path;
        Unit *unit;
        int r = name ? 0 : sd_bus_message_read(request->message, "s", &name);

        if (r >= 0)
                r = method_load_existing(request, name, &unit);
        if (r >= 0)
                r = method_require_owner(request, unit);
        if (r < 0 || request->client->gone)
                return r;
        r = unit_ref(unit, request->client->name);
        if (r == -ENOBUFS)
                return face_fail(request, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "Unit %s has too many references.", unit->name);
        return r < 0 ? r : request_reply(request, NULL);
}

int method_unref_unit(Request *request)
{
        Unit *unit;
        int r = method_find_unit(request, &unit);

        if (r < 0)
                return r;
        if (unit_unref(unit, request->client->name) < 0)
                return face_fail(request, SD1_ERROR_NOT_REFERENCED,
                                 "Unit has not been referenced yet.");
        unit_check(unit);
        return request_reply(request, NULL);
}

/* ---- jobs ---- */

/* A start that is at work is undone when it is done; a stop goes on, since the signals are sent. */
static void cancel(UnitJob *job)
{
        Unit *unit = job->unit;
        int starting = job->type == UNIT_JOB_START;

        unit_job_end(job, UNIT_JOB_CANCELED);
        if (starting && unit->state == UNIT_STARTING)
                unit->flags |= UNIT_CANCELED;
        else if (unit->state == UNIT_STARTING)
                stop_tell_slices(unit); /* it will run: they go on without it */
}

int method_cancel_unit_job(Request *request)
{
        Face *face = face_of(request);
        uint32_t id = 0;
        UnitJob *job;
        int r = 0;

        if (request->path)
                id = (uint32_t)strtoul(request->path, NULL, 10);
        else
                r = sd_bus_message_read(request->message, "u", &id);
        if (r < 0)
                return r;
        job = unit_jobs_find(face->jobs, id);
        if (!job)
                return face_fail(request, SD1_ERROR_NO_SUCH_JOB, "Job %u does not exist.", id);
        r = method_require_owner(request, job->unit);
        if (r < 0)
                return r;
        cancel(job);
        return request_reply(request, NULL);
}

int method_clear_jobs(Request *request)
{
        Face *face = face_of(request);
        int r = require_master(request);

        if (r < 0)
                return r;
        while (unit_jobs_first(face->jobs))
                cancel(unit_jobs_first(face->jobs));
        return request_reply(request, NULL);
}
