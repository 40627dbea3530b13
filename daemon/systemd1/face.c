/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The face that container runtimes know as org.freedesktop.systemd1: its life, and helpers of all
 * of its methods. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "face.h"
#include "error.h"
#include "life.h"
#include "log.h"
#include "private.h"
#include "setup.h"
#include "start.h"
#include "stop.h"
#include "systemd1-names.h"
#include "user.h"
#include "util.h"
#include "vtables.h"

#define PRIVATE_SOCKET "/run/systemd/private"

int face_fail(Request *request, const char *name, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&text, format, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        sd_bus_error_free(&request->bus_error);
        (void)sd_bus_error_set(&request->bus_error, name, text);
        return -EINVAL;
}

char *face_control_group_of(const Face *face, const char *path)
{
        char *text;

        if (streq(path, "/"))
                return strdup(face->control_group);
        return asprintf(&text, "%s%s", face->control_group, path) < 0 ? NULL : text;
}

Unit *face_unit_of_pid(Face *face, pid_t pid)
{
        _cleanup_(freep) char *path = NULL;
        Unit *unit;

        if (pid <= 0 || ch_tree_path_of_pid(face->manager->tree, pid, &path, NULL) < 0)
                return NULL;
        unit = units_find_above(face->units, path);
        /* what is in no unit is not in all of them */
        return unit && !streq(unit->path, "/") ? unit : NULL;
}

/* ---- what the manager tells ---- */

static void on_client_gone(const char *client, void *userdata)
{
        Face *face = userdata;

        if (link_get_bus(face->link))
                clients_drop(face->manager->clients, link_get_bus(face->link), client);
        life_client_gone(face, client);
}

/* Whoever waits for a job is told that it will not end in this life. */
static void on_stopping(void *userdata)
{
        Face *face = userdata;

        face->stopping = 1;
        while (unit_jobs_first(face->jobs))
                unit_job_end(unit_jobs_first(face->jobs), UNIT_JOB_CANCELED);
        link_stop(face->link);
}

static int is_busy(void *userdata)
{
        const Face *face = userdata;

        return !link_is_flushed(face->link) ||
               (face->private_ && !private_is_flushed(face->private_));
}

static int is_ready(void *userdata)
{
        const Face *face = userdata;

        return face->private_ || face->refused || link_has_name(face->link);
}

static void on_free(void *userdata)
{
        face_free(userdata);
}

static int on_changes(sd_event_source *source, void *userdata)
{
        units_flush(((Face *)userdata)->units);
        return 0;
}

/* ---- the bus ---- */

static int add_objects(sd_bus *bus, void *userdata)
{
        return face_add_objects(userdata, bus);
}

static void on_named(void *userdata)
{
        Face *face = userdata;

        units_drop_bus_clients(face->units); /* a new bus gives their names to others */
        unit_jobs_tell_stale(face->jobs);
        manager_tell_ready(face->manager);
}

/* The private socket serves those who know it. */
static void on_refused(void *userdata)
{
        Face *face = userdata;

        face->refused = 1;
        if (!face->private_)
                manager_stop(face->manager, EXIT_FAILURE);
        else
                manager_tell_ready(face->manager);
}

static int connect_bus(Face *face, ch_error **err)
{
        LinkOptions options = {
                .address = face->manager->conf->bus,
                .name = SD1_BUS_NAME,
                .policy = "org.chargehand1.systemd1.conf",
                .clients = face->manager->clients,
                .event = face->manager->event,
                .add_objects = add_objects,
                .named = on_named,
                .refused = on_refused,
                .userdata = face,
        };

        return link_new(&options, face->private_ != NULL, &face->link, err);
}

static int listen_private(Face *face, ch_error **err)
{
        const char *wanted = face->manager->conf->private_socket, *runtime;
        _cleanup_(freep) char *path = NULL;
        int r;

        if (streq(wanted, "no"))
                return 0;
        if (!streq(wanted, "auto"))
                path = strdup(wanted);
        else if (!face->is_user && streq(face->manager->conf->bus, "system"))
                path = strdup(PRIVATE_SOCKET);
        else if (!face->is_user || !(runtime = getenv("XDG_RUNTIME_DIR")))
                return 0; /* a bus of one's own has no place that clients would look at */
        else if (asprintf(&path, "%s/systemd/private", runtime) < 0)
                path = NULL;
        if (!path)
                return -ENOMEM;
        r = private_new(face, path, &face->private_, err);
        face->manager->without_bus = r >= 0;
        return r;
}

/* ---- life ---- */

static int make_systemd_directory(Face *face)
{
        _cleanup_(closep) int fd = -EBADF;

        if (!face->manager->conf->systemd_directory)
                return 0;
        if (mkdir("/run/systemd", 0755) < 0 && errno != EEXIST)
                return -errno;
        if (mkdir(SYSTEMD_DIRECTORY, 0755) < 0) {
                if (errno != EEXIST)
                        return -errno;
                face->directory_made = access(SYSTEMD_DIRECTORY_MARK, F_OK) == 0;
                return 0;
        }
        face->directory_made = 1;
        fd = open(SYSTEMD_DIRECTORY_MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
        return fd < 0 ? -errno : 0;
}

static int add_perpetual(Face *face, const char *name)
{
        Unit *unit;
        int r = units_load(face->units, name, &unit);

        if (r < 0)
                return r;
        unit->flags |= UNIT_PERPETUAL;
        unit_set_state(unit, UNIT_RUNNING, UNIT_SUCCESS);
        return 0;
}

static int start_model(Face *face)
{
        const char *slice = face->manager->conf->default_slice;
        int r;

        if (streq(slice, "auto"))
                slice = face->is_user ? "app.slice" : "system.slice";
        face->default_slice = strdup(slice);
        face->control_group = strdup(ch_tree_get_prefix(face->manager->tree));
        if (!face->default_slice || !face->control_group)
                return -ENOMEM;
        property_set_default(PROP_TIMEOUT_STOP_USEC,
                             face->manager->conf->default_timeout_stop_usec);
        r = units_new(face, &face->units);
        if (r >= 0)
                r = unit_jobs_new(face, face->manager->state_fd, &face->jobs);
        if (r >= 0)
                r = lingering_new(face, &face->lingering);
        if (r >= 0)
                r = sd_event_add_defer(face->manager->event, &face->changes, on_changes, face);
        if (r >= 0)
                r = sd_event_source_set_enabled(face->changes, SD_EVENT_OFF);
        /* after what the model has to tell */
        if (r >= 0)
                r = sd_event_source_set_priority(face->changes, SD_EVENT_PRIORITY_NORMAL + 11);
        if (r >= 0)
                r = add_perpetual(face, "-.slice");
        if (r >= 0)
                r = add_perpetual(face, face->default_slice);
        return r < 0 ? r : life_adopt(face);
}

static void observe(Face *face)
{
        ManagerObserver observer = {
                .group_added = life_group_added,
                .group_removed = life_group_removed,
                .group_missed = life_group_missed,
                .group_changed = life_group_changed,
                .group_oom = life_group_oom,
                .client_gone = on_client_gone,
                .stopping = on_stopping,
                .is_busy = is_busy,
                .is_ready = is_ready,
                .free = on_free,
                .userdata = face,
        };

        manager_add_observer(face->manager, &observer);
}

Face *face_of(const Request *request)
{
        const Manager *manager = request->manager;

        for (size_t i = 0; i < manager->n_observers; i++)
                if (manager->observers[i].free == on_free)
                        return manager->observers[i].userdata;
        return NULL; /* nobody calls us before we are there */
}

int face_new(Manager *manager, Face **ret, ch_error **err)
{
        Face *face = calloc(1, sizeof(*face));
        int r;

        if (!face)
                return error_errno(err, ENOMEM, NULL, "starting the systemd1 face");
        face->manager = manager;
        face->is_user = geteuid() != 0;
        if (manager->options.is_user)
                face->attach_outside = user_attach_outside;
        r = start_model(face);
        if (r >= 0)
                r = listen_private(face, err);
        if (r >= 0)
                r = connect_bus(face, err);
        if (r >= 0)
                r = make_systemd_directory(face);
        if (r < 0) {
                face_free(face);
                return err && !*err ? error_errno(err, r, NULL, "starting the systemd1 face") : r;
        }
        observe(face);
        start_slice(face, face->default_slice);
        start_users(face);
        if (ret)
                *ret = face;
        return 0;
}

Face *face_free(Face *face)
{
        if (!face)
                return NULL;
        if (face->directory_made) {
                (void)unlink(SYSTEMD_DIRECTORY_MARK);
                (void)rmdir(SYSTEMD_DIRECTORY);
        }
        face->link = link_free(face->link);
        face->private_ = private_free(face->private_);
        vtables_done(face);
        if (face->attach_outside)
                user_done();
        /* work that hangs in the kernel keeps what it uses until the process ends */
        if (pool_n_active(face->manager->workers) > 0)
                return NULL;
        lingering_free(face->lingering);
        for (Unit *unit = face->units ? units_first(face->units) : NULL; unit; unit = unit->next)
                stop_free(unit->stop);
        unit_jobs_free(face->jobs);
        units_free(face->units);
        sd_event_source_disable_unref(face->changes);
        free(face->default_slice);
        free(face->control_group);
        free(face);
        return NULL;
}
