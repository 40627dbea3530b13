/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* StartTransientUnit: all that can be wrong is found before the reply, the rest is a worker's. */

#include <stdio.h>
#include <sys/stat.h>

#include "access.h"
#include "conf-parse.h"
#include "error.h"
#include "life.h"
#include "log.h"
#include "start.h"
#include "stop.h"
#include "systemd1-names.h"
#include "util.h"

/* Directories of slices that are kept open */
#define DIRECTORIES_MAX 512
/* Of users other than root */
#define UNITS_PER_USER 4096

typedef struct StartCall {
        char *name;
        UnitKind kind;
        PropertyChanges changes;
        char *path; /* of the group, for the check of who may */
} StartCall;

static void start_call_free(void *data)
{
        StartCall *call = data;

        property_changes_done(&call->changes);
        free(call->name);
        free(call->path);
        free(call);
}

/* ---- the task and its end ---- */

static void keep_directory(Start *start)
{
        Face *face = start->face;
        Unit *unit = start->unit, *slice;

        slice = unit->slice ? units_find(face->units, unit->slice) : NULL;
        if (!slice || (!slice->directory && face->n_directories >= DIRECTORIES_MAX))
                return;
        face->n_directories += !slice->directory;
        unit_dir_unref(slice->directory);
        slice->directory = unit_dir_new(TAKE_FD(start->slice_fd), start->controllers);
        face->n_directories -= !slice->directory;
}

static int on_runtime_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        Unit *unit = userdata;

        unit->timer = sd_event_source_disable_unref(unit->timer);
        log_info("%s: has run as long as RuntimeMaxUSec= allows", unit->name);
        stop_unit(unit, UNIT_TIMED_OUT);
        return 0;
}

void start_arm_runtime(Unit *unit)
{
        uint64_t usec = property_get_number(&unit->properties, PROP_RUNTIME_MAX_USEC);

        if (unit->kind == UNIT_SCOPE && usec != UINT64_MAX)
                (void)sd_event_add_time_relative(unit->face->manager->event, &unit->timer,
                                                 CLOCK_MONOTONIC, usec, 0, on_runtime_over, unit);
}

static void end_job(Unit *unit, UnitJobResult result)
{
        if (unit->job && unit->job->type == UNIT_JOB_START)
                unit_job_end(unit->job, result);
}

static void start_end(Start *start)
{
        Unit *unit = start->unit;
        int stop = (unit->job && unit->job->type == UNIT_JOB_STOP) || (unit->flags & UNIT_CANCELED);

        unit->n_tasks--;
        unit->flags &= ~(uint32_t)UNIT_CANCELED;
        unit->oom_kills = start->oom_kills;
        if (start->uid != UINT32_MAX)
                unit->uid = start->uid;
        if (start->result < 0 && unit->kind != UNIT_SLICE) {
                unit_set_state(unit, UNIT_FAILED, UNIT_RESOURCES);
                end_job(unit, UNIT_JOB_FAILED);
        } else {
                if (start->result >= 0 || unit->state != UNIT_RUNNING)
                        unit_set_state(unit, start->result < 0 ? UNIT_DEAD : UNIT_RUNNING,
                                       UNIT_SUCCESS);
                end_job(unit, start->result < 0 ? UNIT_JOB_FAILED : UNIT_JOB_DONE);
        }
        if (start->result >= 0)
                life_group_made(unit);
        else
                stop_tell_slices(unit);
        unit_check(unit);
        if (stop) {
                stop_unit(unit, UNIT_SUCCESS);
        } else if (start->result >= 0 && unit->kind == UNIT_SCOPE) {
                start_arm_runtime(unit);
                life_group_filled(unit); /* the unit may be gone afterwards */
        }
        unit_dir_unref(start->slice);
        start_free(start);
}

static void on_attached_outside(int r, void *userdata)
{
        Start *start = userdata;

        if (r < 0)
                log_warning("%s: the system's manager did not move its processes: %s",
                            start->unit->name, strerror(-r));
        if (r < 0 && start->n_attached == 0)
                start->result = r;
        start_end(start);
}

static void start_done(Task *task)
{
        Start *start = (Start *)task;
        Face *face = start->face;
        int r = -ENOSYS;

        if (start->walked)
                keep_directory(start);
        if (start->result >= 0 && start->n_outside > 0) {
                r = face->attach_outside(face, start->unit->path, start->outside, start->n_outside,
                                         on_attached_outside, start);
                if (r >= 0)
                        return;
                start->result = start->n_attached ? 0 : r;
        }
        start_end(start);
}

/* ---- before the task ---- */

static int copy_text(const Unit *unit, unsigned id, char **ret)
{
        const char *text = property_get_text(&unit->properties, id);

        if (!text || !*text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int fill_start(Start *start, Unit *unit)
{
        int r;

        if (unit->kind == UNIT_SERVICE) {
                start->delegate = 1;
                return asprintf(&start->user, "%u", unit->uid) < 0 ? -ENOMEM : 0;
        }
        start->delegate = property_get_bool(&unit->properties, PROP_DELEGATE);
        start->claim_bytes = property_get_number(&unit->properties, PROP_CLAIM);
        start->text = start_make_text(unit);
        /* the worker must not look at a set that the next call changes */
        r = property_set_copy(&unit->properties, &start->set);
        if (r >= 0 && start->delegate)
                r = copy_text(unit, PROP_DELEGATE_SUBGROUP, &start->subgroup);
        if (r >= 0 && unit->kind == UNIT_SCOPE)
                r = copy_text(unit, PROP_USER, &start->user);
        if (r >= 0 && unit->kind == UNIT_SCOPE)
                r = copy_text(unit, PROP_GROUP, &start->group);
        return r;
}

static int submit_start(Unit *unit, PropertyChanges *changes)
{
        Face *face = unit->face;
        Start *start = calloc(1, sizeof(*start));
        Unit *slice = unit->slice ? units_find(face->units, unit->slice) : NULL;
        int r = -ENOMEM;

        if (!start)
                return r;
        *start = (Start){
                .task = {.run = start_run, .done = start_done},
                .face = face,
                .unit = unit,
                .slice_fd = -EBADF,
                .uid = UINT32_MAX,
                .can_ask = face->attach_outside != NULL
        };
        r = fill_start(start, unit);
        if (r >= 0 && changes) {
                start->n_pids = changes->n_pids;
                start->pids = TAKE_PTR(changes->pids);
                changes->n_pids = changes->pids_allocated = 0;
        }
        start->slice = slice ? unit_dir_ref(slice->directory) : NULL;
        if (r >= 0)
                r = pool_submit(face->manager->workers, &start->task);
        if (r < 0) {
                unit_dir_unref(start->slice);
                start_free(start);
                return r;
        }
        unit->n_tasks++;
        return 0;
}

/* The slices above appear with the unit, and stay as long as it does. */
static int load_slices(Face *face, Unit *unit)
{
        Unit *slice;
        int r;

        for (; unit->slice; unit = slice) {
                r = units_load(face->units, unit->slice, &slice);
                if (r < 0)
                        return r;
                if (slice->state == UNIT_DEAD && !property_set_is_empty(&slice->properties))
                        start_slice(face, slice->name); /* what it was given before applies now */
                if (!(unit->flags & UNIT_COUNTED))
                        slice->n_children++;
                unit->flags |= UNIT_COUNTED;
                if (slice->state == UNIT_RUNNING) /* then those above it are there too */
                        return 0;
        }
        return 0;
}

void start_slice(Face *face, const char *name)
{
        Unit *unit;
        int r = units_load(face->units, name, &unit);

        if (r >= 0 && (unit->kind != UNIT_SLICE || unit->n_tasks > 0 ||
                       groups_find(face->manager->groups, unit->path)))
                return;
        if (r >= 0)
                r = load_slices(face, unit);
        if (r >= 0)
                r = submit_start(unit, NULL);
        if (r < 0)
                log_warning("%s: its group cannot be made: %s", name, strerror(-r));
}

static void start_user(Face *face, uint32_t uid)
{
        char name[32], slice[32];
        Unit *unit;
        int r = 0;

        (void)snprintf(name, sizeof(name), "user@%u.service", uid);
        (void)snprintf(slice, sizeof(slice), "user-%u.slice", uid);
        unit = units_find(face->units, name);
        if (!unit)
                r = units_add(face->units, name, UNIT_SERVICE, slice, &unit);
        if (r >= 0) {
                unit->flags |= UNIT_PERPETUAL;
                unit->uid = uid;
                unit_set_state(unit, UNIT_STARTING, UNIT_SUCCESS);
                r = load_slices(face, unit);
        }
        if (r >= 0)
                r = submit_start(unit, NULL);
        if (r < 0)
                log_warning("%s: the user's subtree cannot be made: %s", name, strerror(-r));
}

void start_users(Face *face)
{
        _cleanup_(freep) char *copy = strdup(face->manager->conf->users);
        char *rest = copy, *word;
        uint32_t uid;

        while (copy && (word = strsep(&rest, " ,\t")))
                if (*word && conf_parse_owner(word, 0, &uid) >= 0)
                        start_user(face, uid);
}

/* Of what a unit asks for, slices can be had. */
static void start_wanted(Unit *unit)
{
        static const unsigned ids[] = { PROP_WANTS, PROP_REQUIRES, PROP_BINDS_TO, PROP_UPHOLDS };

        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                const char *name;
                size_t position = 0;
                UnitKind kind;

                while (property_next_text(&unit->properties, ids[i], &position, &name) > 0)
                        if (unit_name_to_kind(name, &kind) >= 0 && kind == UNIT_SLICE)
                                start_slice(unit->face, name);
        }
}

/* ---- the call ---- */

int method_check_mode(Request *request, const char *mode, UnitJobType type)
{
        static const char *const modes[] = { "fail",
                                             "replace",
                                             "replace-irreversibly",
                                             "isolate",
                                             "flush",
                                             "ignore-dependencies",
                                             "ignore-requirements",
                                             "triggering",
                                             "restart-dependencies" };
        size_t i = 0;

        while (i < ELEMENTSOF(modes) && !streq(modes[i], mode))
                i++;
        if (i == ELEMENTSOF(modes))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Job mode %s is invalid.",
                                 mode);
        if (type == UNIT_JOB_STOP && streq(mode, "isolate"))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Isolate is only valid for start.");
        if (type == UNIT_JOB_START && streq(mode, "isolate"))
                return face_fail(request, SD1_BUS_NAME ".NoIsolation",
                                 "Operation refused, unit may not be isolated.");
        if (type == UNIT_JOB_START && streq(mode, "triggering"))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "--job-mode=triggering is only valid for stop.");
        if (type == UNIT_JOB_STOP && streq(mode, "restart-dependencies"))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "--job-mode=restart-dependencies is only valid for start.");
        return 0;
}

static int check_name(Request *request, const char *name, UnitKind *ret)
{
        const char *dot = strrchr(name, '.');
        int r = unit_name_to_kind(name, ret);

        if (r == -EOPNOTSUPP || (r >= 0 && *ret == UNIT_SERVICE))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Unit type %s does not support transient units.",
                                 dot ? dot + 1 : name);
        if (r < 0)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS, "Invalid unit name or type.");
        return 0;
}

static int check_exists(Request *request, Face *face, const char *name)
{
        const Unit *unit = units_find(face->units, name);

        if (!uid_is_master(request->uid) &&
            units_count_owned(face->units, request->uid) >= UNITS_PER_USER)
                return face_fail(request, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "uid %u has %u units: stop some first", request->uid,
                                 UNITS_PER_USER);
        if (!unit || (unit->kind == UNIT_SLICE && !(unit->flags & UNIT_TRANSIENT) && !unit->job))
                return 0;
        return face_fail(request, SD1_ERROR_UNIT_EXISTS,
                         "Unit %s was already loaded or has a fragment file.", name);
}

/* What the original finds when it loads the unit, after its properties were all right. */
static int check_loads(Request *request, const StartCall *call)
{
        if (call->kind != UNIT_SCOPE || call->changes.n_pids > 0)
                return 0;
        return face_fail(request, SD_BUS_ERROR_FILE_NOT_FOUND,
                         "Unit %s failed to load properly, please adjust/correct and reload "
                         "service manager: No such file or directory",
                         call->name);
}

/* The program would be opened, the memory set aside, by us: as root. */
static int check_privileged(Request *request, const PropertySet *set)
{
        static const unsigned ids[] = { PROP_BPF_PROGRAM, PROP_CLAIM };

        for (size_t i = 0; i < ELEMENTSOF(ids) && !uid_is_master(request->uid); i++)
                if (property_is_set(set, ids[i]))
                        return face_fail(request, SD_BUS_ERROR_ACCESS_DENIED,
                                         "%s= is for root, not for uid %u",
                                         property_name(property_get(ids[i])), request->uid);
        return 0;
}

/* Makes the unit and has it told; nothing is left behind when it fails. */
static int add_unit(Request *request, Face *face, StartCall *call, Unit **ret)
{
        const char *slice = property_get_text(&call->changes.set, PROP_SLICE);
        Unit *unit = units_find(face->units, call->name);
        int r = 0;

        if (!slice || !*slice)
                slice = face->default_slice;
        if (!unit)
                r = units_add(face->units, call->name, call->kind, slice, &unit);
        if (r < 0)
                return r;
        unit_set_owner(unit, request->uid);
        r = property_set_merge(&unit->properties, &call->changes);
        if (r >= 0)
                r = load_slices(face, unit);
        if (r >= 0 && property_get_bool(&unit->properties, PROP_ADD_REF) && !request->client->gone)
                r = unit_ref(unit, request->client->name);
        if (r < 0) {
                unit_collect(unit);
                return r == -E2BIG ? property_fail_size(&request->bus_error) : r;
        }
        unit->flags |= UNIT_TRANSIENT;
        *ret = unit;
        return 0;
}

static int start_commit(Request *request)
{
        Face *face = face_of(request);
        StartCall *call = request->data;
        char path[UNIT_JOB_PATH_MAX];
        UnitJob *job = NULL;
        Unit *unit = NULL;
        int r;

        r = check_exists(request, face, call->name);
        if (r >= 0)
                r = add_unit(request, face, call, &unit);
        if (r >= 0)
                r = unit_job_add(unit, UNIT_JOB_START, &job);
        if (r < 0)
                return r;
        lingering_forget(face->lingering, unit->name, unit->path);
        if (unit->kind == UNIT_SCOPE)
                unit_set_state(unit, UNIT_STARTING, UNIT_SUCCESS);
        (void)request_reply(request, "o", unit_job_path(job->id, path));
        if (uid_is_master(
                    request->uid)) /* others have what they name in the tree checked, no more */
                start_wanted(unit);
        r = submit_start(unit, &call->changes);
        if (r < 0) {
                log_warning("%s cannot be started: %s", unit->name, strerror(-r));
                unit_set_state(unit, UNIT_FAILED, UNIT_RESOURCES);
                unit_job_end(job, UNIT_JOB_FAILED);
        }
        return 0;
}

/* On a worker: a user may start units in groups of his own, with processes of his own. */
static int start_check_work(Request *request)
{
        const StartCall *call = request->data;
        ch_procset *set = NULL;
        int r = ch_procset_new(&set);

        for (size_t i = 0; r >= 0 && i < call->changes.n_pids; i++) {
                r = ch_procset_add_pid(set, call->changes.pids[i], &request->error);
                if (r == -ESRCH)
                        r = 0;
        }
        if (r >= 0)
                r = access_check_move(request->manager->tree, set, call->path, request->uid,
                                      &request->error);
        ch_procset_free(set);
        return r < 0 ? face_deny(request) : 0;
}

static int check_access(Request *request, Face *face, StartCall *call)
{
        const char *slice = property_get_text(&call->changes.set, PROP_SLICE);
        int r;

        r = unit_name_to_group(call->name, slice && *slice ? slice : face->default_slice,
                               &call->path);
        return r < 0 ? r : request_defer(request, start_check_work, start_commit);
}

int method_start_transient_unit(Request *request)
{
        Face *face = face_of(request);
        StartCall *call = calloc(1, sizeof(*call));
        sd_bus_message *message = request->message;
        const char *name, *mode;
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = start_call_free;
        r = sd_bus_message_read(message, "ss", &name, &mode);
        if (r < 0)
                return r;
        r = method_check_mode(request, mode, UNIT_JOB_START);
        if (r >= 0)
                r = check_name(request, name, &call->kind);
        if (r >= 0)
                r = check_exists(request, face, name);
        if (r < 0)
                return r;
        call->name = strdup(name);
        if (!call->name)
                return -ENOMEM;
        r = property_changes_read(message, call->kind, 1, request->client->pid, &call->changes,
                                  &request->bus_error);
        if (r >= 0)
                r = sd_bus_message_skip(message, "a(sa(sv))");
        if (r >= 0)
                r = check_loads(request, call);
        if (r >= 0)
                r = check_privileged(request, &call->changes.set);
        if (r < 0)
                return r;
        return uid_is_master(request->uid) ? start_commit(request)
                                           : check_access(request, face, call);
}
