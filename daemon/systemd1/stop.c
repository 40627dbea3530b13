/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* StopUnit: the sequence of signals, who is waited for, and slices with all that is in them. */

#include <signal.h>

#include "access.h"
#include "life.h"
#include "log.h"
#include "start.h"
#include "stop.h"
#include "systemd1-names.h"
#include "util.h"

/* Nobody to watch although somebody is there (a process of another pid namespace): look again */
#define LOOK_AGAIN_USEC 20000

struct UnitStop {
        Task task; /* the first member: the task is the stop */
        Unit *unit;
        Face *face;
        StopWork work;
        int at_work, orphan; /* orphan: the unit did not wait for the task */
        int look_again;      /* something happened while the task was at work */
        int kill_next;       /* so did the end of patience */
        sd_event_source *watched[STOP_PIDFDS_MAX];
        int watched_fds[STOP_PIDFDS_MAX];
        unsigned n_watched, n_left;
        sd_event_source *again;
        size_t n_units;      /* a slice: units below it that are being stopped */
        uint64_t begin_usec; /* of the phase */
        int armed;           /* its timer runs */
};

static void submit(UnitStop *stop);
static void finish(Unit *unit, UnitResult result, LifeGroup group);

/* ---- whom we wait for ---- */

static void unwatch(UnitStop *stop)
{
        for (unsigned i = 0; i < stop->n_watched; i++) {
                sd_event_source_disable_unref(stop->watched[i]);
                safe_close(stop->watched_fds[i]);
        }
        stop->n_watched = stop->n_left = 0;
        stop->again = sd_event_source_disable_unref(stop->again);
}

UnitStop *stop_free(UnitStop *stop)
{
        if (!stop)
                return NULL;
        unwatch(stop);
        while (stop->work.n_pidfds > 0)
                safe_close(stop->work.pidfds[--stop->work.n_pidfds]);
        free(stop);
        return NULL;
}

static void look(UnitStop *stop)
{
        if (stop->at_work) {
                stop->look_again = 1;
                return;
        }
        unwatch(stop);
        stop->work.signal = 0;
        submit(stop);
}

void stop_look(Unit *unit)
{
        if (unit->stop && unit->kind != UNIT_SLICE)
                look(unit->stop);
}

/* Empty it can be only when all of them are gone. */
static int on_ended(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        UnitStop *stop = userdata;

        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (--stop->n_left == 0)
                look(stop);
        return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        look(userdata);
        return 0;
}

static void arm_timer(UnitStop *stop);

static void watch(UnitStop *stop)
{
        sd_event *event = stop->face->manager->event;

        arm_timer(stop);
        for (unsigned i = 0; i < stop->work.n_pidfds; i++) {
                unsigned n = stop->n_watched;

                if (sd_event_add_io(event, &stop->watched[n], stop->work.pidfds[i], EPOLLIN,
                                    on_ended, stop) < 0) {
                        safe_close(stop->work.pidfds[i]);
                        continue;
                }
                stop->watched_fds[n] = stop->work.pidfds[i];
                stop->n_watched++;
        }
        stop->work.n_pidfds = 0;
        stop->n_left = stop->n_watched;
        if (stop->n_left == 0)
                (void)sd_event_add_time_relative(event, &stop->again, CLOCK_MONOTONIC,
                                                 LOOK_AGAIN_USEC, 0, on_again, stop);
}

/* ---- the sequence ---- */

static int kills_all(const Unit *unit, int last)
{
        const char *mode = property_get_text(&unit->properties, PROP_KILL_MODE);

        return streq(mode, "control-group") || (last && streq(mode, "mixed"));
}

static void set_signals(UnitStop *stop, int last)
{
        const PropertySet *set = &stop->unit->properties;

        if (!kills_all(stop->unit, last)) {
                stop->work.signal = 0;
                return;
        }
        stop->work.signal =
                (int)property_get_number(set, last ? PROP_FINAL_KILL_SIGNAL : PROP_KILL_SIGNAL);
        stop->work.hang_up =
                !last && property_get_bool(set, PROP_SEND_SIGHUP) && stop->work.signal != SIGHUP;
        stop->work.use_kill = last;
}

static void next_phase(UnitStop *stop, UnitResult result)
{
        Unit *unit = stop->unit;

        unit_set_state(unit, UNIT_STOP_SIGKILL, result);
        if (stop->at_work) {
                stop->kill_next = 1;
                return;
        }
        unwatch(stop);
        set_signals(stop, 1);
        if (!stop->work.signal)
                finish(unit, UNIT_SUCCESS, LIFE_GROUP_LEFT);
        else
                submit(stop);
}

static uint64_t patience(const Unit *unit)
{
        return property_is_set(&unit->properties, PROP_TIMEOUT_STOP_USEC)
                       ? property_get_number(&unit->properties, PROP_TIMEOUT_STOP_USEC)
                       : unit->face->manager->conf->default_timeout_stop_usec;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata);

/* Only when it is not over at once: most stops need no timer. */
static void arm_timer(UnitStop *stop)
{
        Unit *unit = stop->unit;
        uint64_t usec = patience(unit);

        if (stop->armed || usec == UINT64_MAX)
                return;
        stop->armed = 1;
        usec = usec > UINT64_MAX - stop->begin_usec ? UINT64_MAX : stop->begin_usec + usec;
        unit->timer = sd_event_source_disable_unref(unit->timer);
        (void)sd_event_add_time(unit->face->manager->event, &unit->timer, CLOCK_MONOTONIC, usec, 0,
                                on_timeout, unit);
}

static void begin_patience(UnitStop *stop)
{
        stop->begin_usec = now_usec();
        stop->armed = 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Unit *unit = userdata;

        if (unit->state == UNIT_STOP_SIGKILL) {
                log_warning("%s: still around after SIGKILL: ignoring it", unit->name);
                finish(unit, UNIT_TIMED_OUT, LIFE_GROUP_LEFT);
        } else if (!property_get_bool(&unit->properties, PROP_SEND_SIGKILL)) {
                log_warning("%s: stopping timed out; SendSIGKILL=no", unit->name);
                finish(unit, UNIT_TIMED_OUT, LIFE_GROUP_LEFT);
        } else {
                log_warning("%s: stopping timed out: killing", unit->name);
                begin_patience(unit->stop);
                next_phase(unit->stop, UNIT_TIMED_OUT);
        }
        return 0;
}

static void finish(Unit *unit, UnitResult result, LifeGroup group)
{
        UnitStop *stop = unit->stop;

        unit->stop = NULL;
        if (stop->at_work)
                stop->orphan = 1; /* the unit is held until the task is done */
        else
                stop_free(stop);
        life_unit_ended(unit, result, group);
}

static void on_run(Task *task)
{
        stop_work_run(&((UnitStop *)task)->work);
}

static void on_done(Task *task)
{
        UnitStop *stop = (UnitStop *)task;
        Unit *unit = stop->unit;
        int was_signal = stop->work.signal;

        unit->n_tasks--;
        stop->at_work = 0;
        if (stop->orphan) {
                unit_check(unit);
                stop_free(stop);
        } else if (stop->work.empty) {
                finish(unit, UNIT_SUCCESS,
                       stop->work.removed ? LIFE_GROUP_REMOVED
                       : stop->work.keep  ? LIFE_GROUP_LINGERS
                                          : LIFE_GROUP_LEFT);
        } else if (stop->kill_next) {
                stop->kill_next = 0;
                while (stop->work.n_pidfds > 0)
                        safe_close(stop->work.pidfds[--stop->work.n_pidfds]);
                next_phase(stop, UNIT_SUCCESS);
        } else if (was_signal && !stop->work.killed) {
                /* nobody to wait for, and yet not empty: members that we cannot see */
                watch(stop);
        } else if (stop->look_again) {
                stop->look_again = 0;
                while (stop->work.n_pidfds > 0)
                        safe_close(stop->work.pidfds[--stop->work.n_pidfds]);
                look(stop);
        } else {
                watch(stop);
        }
}

static void submit(UnitStop *stop)
{
        if (pool_submit(stop->face->manager->workers, &stop->task) < 0) {
                (void)sd_event_add_time_relative(stop->face->manager->event, &stop->again,
                                                 CLOCK_MONOTONIC, LOOK_AGAIN_USEC, 0, on_again,
                                                 stop);
                return;
        }
        stop->at_work = 1;
        stop->look_again = 0;
        stop->unit->n_tasks++;
}

static UnitStop *stop_new(Unit *unit)
{
        UnitStop *stop = calloc(1, sizeof(*stop));

        if (stop)
                *stop = (UnitStop){
                        .task = {.run = on_run,                      .done = on_done   },
                        .unit = unit,
                        .face = unit->face,
                        .work = { .tree = unit->face->manager->tree, .path = unit->path}
                };
        return stop;
}

/* ---- slices ---- */

static void slice_remove(UnitStop *stop)
{
        Unit *unit = stop->unit;

        lingering_forget_below(unit->face->lingering, unit->path);
        stop->work.only_remove = 1;
        submit(stop);
        if (!stop->at_work)
                finish(unit, UNIT_SUCCESS, LIFE_GROUP_LEFT);
}

/* A bit for a slice by its depth in the tree */
static uint64_t level_of(const Unit *slice)
{
        unsigned depth = 0;

        for (const char *p = slice->path; *p; p++)
                depth += *p == '/';
        return 1ULL << (depth < 63 ? depth : 63);
}

static void stop_child(UnitStop *stop, Unit *child)
{
        UnitJob *job;

        if (!(child->awaited & level_of(stop->unit)))
                stop->n_units++;
        child->awaited |= level_of(stop->unit);
        if (!child->job || child->job->type != UNIT_JOB_STOP)
                (void)unit_job_add(child, UNIT_JOB_STOP, &job);
        stop_unit(child, UNIT_SUCCESS);
}

static int is_stoppable(const Unit *unit)
{
        return unit && unit->kind == UNIT_SCOPE && unit_is_active(unit);
}

/* All units below are stopped first: those that the model shows, and those that are being started.
 */
static void stop_children(UnitStop *stop)
{
        Face *face = stop->face;
        Group *top, *next;

        watches_settle(face->manager->watches);
        top = groups_find(face->manager->groups, stop->unit->path);
        for (Group *group = top ? group_next(top, top, 0) : NULL; group; group = next) {
                Unit *unit = units_find_by_path(face->units, group->path);

                next = group_next(top, group, unit && unit->kind == UNIT_SCOPE);
                if (is_stoppable(unit))
                        stop_child(stop, unit);
        }
        for (UnitJob *job = unit_jobs_first(face->jobs), *after; job; job = after) {
                after = job->next;
                if (job->type == UNIT_JOB_START && job->unit->state == UNIT_STARTING &&
                    ch_path_is_below(job->unit->path, stop->unit->path))
                        stop_child(stop, job->unit);
        }
}

static void stop_slice(Unit *unit)
{
        UnitStop *stop = unit->stop;

        if (stop)
                return;
        stop = unit->stop = stop_new(unit);
        if (!stop) {
                if (unit->job)
                        unit_job_end(unit->job, UNIT_JOB_FAILED);
                return;
        }
        unit_set_state(unit, UNIT_STOP_SIGTERM, UNIT_SUCCESS);
        stop->n_units = 1; /* ours, so that those that end at once do not end it */
        stop_children(stop);
        if (--stop->n_units == 0)
                slice_remove(stop);
}

void stop_tell_slices(Unit *unit)
{
        Face *face = unit->face;
        uint64_t awaited = unit->awaited;
        const Unit *at = unit;

        unit->awaited = 0;
        while (awaited && at && at->slice) {
                Unit *slice = units_find(face->units, at->slice);

                if (slice && slice->stop && (awaited & level_of(slice)) &&
                    slice->stop->n_units > 0 && --slice->stop->n_units == 0)
                        slice_remove(slice->stop);
                at = slice;
        }
}

/* ---- units ---- */

static void end_inactive(Unit *unit)
{
        if (unit->job && unit->job->type == UNIT_JOB_STOP)
                unit_job_end(unit->job, UNIT_JOB_DONE);
        lingering_remove(unit->face->lingering, unit->name);
        if (unit->kind == UNIT_SCOPE)
                stop_tell_slices(unit);
        else
                life_slice_ended(unit);
        unit_check(unit);
}

/* Controller= wants to end its scope itself: it is asked to. 1 it was. */
static int request_stop(const Unit *unit)
{
        const char *controller = property_get_text(&unit->properties, PROP_CONTROLLER);
        _cleanup_(message_unrefp) sd_bus_message *signal = NULL;
        _cleanup_(freep) char *object = NULL;
        sd_bus *bus = link_get_bus(unit->face->link);

        if (!controller || !*controller || !bus || !(object = unit_name_to_object(unit->name)))
                return 0;
        return sd_bus_message_new_signal(bus, &signal, object, SD1_SCOPE_INTERFACE,
                                         "RequestStop") >= 0 &&
               sd_bus_send_to(bus, signal, controller, NULL) >= 0;
}

void stop_unit(Unit *unit, UnitResult result)
{
        UnitStop *stop;

        if (unit->state == UNIT_STARTING && unit->n_tasks > 0)
                return; /* when the start is done */
        if (unit->kind == UNIT_SLICE && unit_is_active(unit)) {
                stop_slice(unit);
                return;
        }
        if (!unit_is_active(unit)) {
                end_inactive(unit);
                return;
        }
        if (unit->stop) {
                unit_set_state(unit, unit->state, result);
                if (unit->job && !unit->stop->at_work)
                        unit->stop->work.keep = 0;
                return;
        }
        stop = stop_new(unit);
        if (!stop) {
                if (unit->job)
                        unit_job_end(unit->job, UNIT_JOB_FAILED);
                return;
        }
        unit->stop = stop;
        stop->work.keep = !unit->job; /* nobody asked: who reads memory.events does not know yet */
        stop->work.thaw = (unit->flags & UNIT_FROZEN) != 0;
        unit->timer = sd_event_source_disable_unref(unit->timer);
        begin_patience(stop);
        unit_set_state(unit, UNIT_STOP_SIGTERM, result);
        if (request_stop(unit)) {
                submit(stop);
                return;
        }
        set_signals(stop, 0);
        if (stop->work.signal)
                submit(stop);
        else
                next_phase(stop, UNIT_SUCCESS);
}

/* ---- the call ---- */

static int check_stop(Request *request, const Unit *unit, const char *mode)
{
        if (unit->flags & UNIT_PERPETUAL || unit->kind == UNIT_SERVICE)
                return face_fail(request, SD1_ERROR_JOB_TYPE,
                                 "Job type stop is not applicable for unit %s.", unit->name);
        if (unit->job && unit->job->type == UNIT_JOB_START && streq(mode, "fail"))
                return face_fail(request, SD1_ERROR_DESTRUCTIVE,
                                 "Transaction for %s/stop is destructive (%s has 'start' job "
                                 "queued, but 'stop' is included in transaction).",
                                 unit->name, unit->name);
        if (property_get_bool(&unit->properties, PROP_REFUSE_MANUAL_STOP))
                return face_fail(request, SD1_BUS_NAME ".OnlyByDependency",
                                 "Operation refused, unit %s may be requested by dependency only "
                                 "(it is configured to refuse manual start/stop).",
                                 unit->name);
        return 0;
}

typedef struct StopCall {
        char *name, *mode;
} StopCall;

static void stop_call_free(void *data)
{
        StopCall *call = data;

        free(call->name);
        free(call->mode);
        free(call);
}

static int not_loaded(Request *request, Face *face, const char *name)
{
        if (uid_is_master(request->uid))
                lingering_remove(face->lingering, name);
        return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not loaded.", name);
}

/* The members of the group were looked at, if it is still the same; else only its owner may. */
static int check_still(Request *request, const Unit *unit)
{
        if (uid_is_master(request->uid) ||
            (request->path && unit_is_active(unit) && streq(request->path, unit->path)))
                return 0;
        return method_require_owner(request, unit);
}

static int stop_commit(Request *request)
{
        const StopCall *call = request->data;
        Face *face = face_of(request);
        char path[UNIT_JOB_PATH_MAX];
        UnitJob *job;
        Unit *unit;
        int r;

        r = units_load(face->units, call->name, &unit);
        if (r == -ENOENT || r == -EOPNOTSUPP)
                return not_loaded(request, face, call->name);
        if (r < 0)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Unit name %s is not valid.",
                                 call->name);
        r = check_still(request, unit);
        if (r >= 0)
                r = check_stop(request, unit, call->mode);
        if (r < 0)
                return r;
        if (unit->job && unit->job->type == UNIT_JOB_STOP)
                return request_reply(request, "o", unit_job_path(unit->job->id, path));
        r = unit_job_add(unit, UNIT_JOB_STOP, &job);
        if (r < 0)
                return r;
        (void)request_reply(request, "o", unit_job_path(job->id, path));
        stop_unit(unit, UNIT_SUCCESS);
        return 0;
}

int method_check_members_work(Request *request)
{
        int r = access_check_group(request->manager->tree, request->path, request->uid,
                                   &request->error);

        if (r >= 0)
                r = access_check_members(request->manager->tree, request->path, request->uid,
                                         &request->error);
        if (r == -ENODEV)
                r = 0; /* it has gone meanwhile, with all that was in it */
        return r < 0 ? face_deny(request) : 0;
}

static int check_access(Request *request, const char *name)
{
        const Unit *unit = units_find(face_of(request)->units, name);

        /* without a group there are no members that would tell */
        if (uid_is_master(request->uid) || !unit || !unit_is_active(unit))
                return stop_commit(request);
        free(request->path);
        request->path = strdup(unit->path);
        return request->path ? request_defer(request, method_check_members_work, stop_commit)
                             : -ENOMEM;
}

int method_stop_unit(Request *request)
{
        StopCall *call = calloc(1, sizeof(*call));
        _cleanup_(freep) char *object = TAKE_PTR(request->path);
        const char *name = object, *mode;
        int r = 0;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = stop_call_free;
        if (!name)
                r = sd_bus_message_read(request->message, "s", &name);
        if (r >= 0)
                r = sd_bus_message_read(request->message, "s", &mode);
        if (r < 0)
                return r;
        r = method_check_mode(request, mode, UNIT_JOB_STOP);
        if (r < 0)
                return r;
        call->name = strdup(name);
        call->mode = strdup(mode);
        return call->name && call->mode ? check_access(request, call->name) : -ENOMEM;
}
