/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told to everybody: on the bus and to the peers of the private socket, one message for
 * all. */

#include "log.h"
#include "util.h"
#include "face.h"
#include "private.h"
#include "systemd1-names.h"
#include "vtables.h"

/* Clients of the bus that called Subscribe(). Belongs to one connection and dies with it. */
struct Subscriber {
        sd_bus_track *track;
};

static int someone_subscribed(const Face *face)
{
        return face->subscribers && sd_bus_track_count(face->subscribers->track) > 0;
}

/* JobRemoved goes out always: who waits for it may never have subscribed. */
static int someone_listens(const Face *face)
{
        return someone_subscribed(face) || private_n_peers(face->private_) > 0;
}

/* *ret NULL: nobody is there. */
static int new_signal(const Face *face, const char *path, const char *interface, const char *member,
                      sd_bus_message **ret)
{
        sd_bus *bus = link_has_name(face->link) ? link_get_bus(face->link)
                                                : private_get_bus(face->private_);
        int r;

        *ret = NULL;
        if (!bus)
                return 0;
        r = sd_bus_message_new_signal(bus, ret, path, interface, member);
        /* peers want to know the sender by its name; a bus puts its own in */
        if (r >= 0)
                r = sd_bus_message_set_sender(*ret, SD1_BUS_NAME);
        return r;
}

static void send_signal(const Face *face, sd_bus_message *signal, int to_bus)
{
        int r = 0;

        if (to_bus && link_has_name(face->link))
                r = sd_bus_send(link_get_bus(face->link), signal, NULL);
        private_send_all(face->private_, signal);
        if (r < 0 && r != -ENOTCONN)
                log_warning("%s could not be sent to the bus: %s",
                            sd_bus_message_get_member(signal), strerror(-r));
}

static void emit_unit(const Face *face, const char *member, const Unit *unit)
{
        _cleanup_(message_unrefp) sd_bus_message *signal = NULL;
        _cleanup_(freep) char *object = NULL;

        if (!someone_listens(face) || !(object = unit_name_to_object(unit->name)))
                return;
        if (new_signal(face, SD1_PATH, SD1_MANAGER_INTERFACE, member, &signal) >= 0 && signal &&
            sd_bus_message_append(signal, "so", unit->name, object) >= 0)
                send_signal(face, signal, someone_subscribed(face));
}

void face_emit_unit_new(Face *face, const Unit *unit)
{
        emit_unit(face, "UnitNew", unit);
}

void face_emit_unit_removed(Face *face, const Unit *unit)
{
        emit_unit(face, "UnitRemoved", unit);
}

void face_emit_job_new(Face *face, const UnitJob *job)
{
        _cleanup_(message_unrefp) sd_bus_message *signal = NULL;
        char path[UNIT_JOB_PATH_MAX];

        if (!someone_listens(face))
                return;
        if (new_signal(face, SD1_PATH, SD1_MANAGER_INTERFACE, "JobNew", &signal) >= 0 && signal &&
            sd_bus_message_append(signal, "uos", job->id, unit_job_path(job->id, path),
                                  job->unit->name) >= 0)
                send_signal(face, signal, someone_subscribed(face));
}

void face_emit_job_removed(Face *face, uint32_t id, const char *unit, const char *result)
{
        _cleanup_(message_unrefp) sd_bus_message *signal = NULL;
        char path[UNIT_JOB_PATH_MAX];

        if (new_signal(face, SD1_PATH, SD1_MANAGER_INTERFACE, "JobRemoved", &signal) >= 0 &&
            signal &&
            sd_bus_message_append(signal, "uoss", id, unit_job_path(id, path), unit, result) >= 0)
                send_signal(face, signal, 1);
}

static void emit_changed(const Face *face, const char *object, const char *interface,
                         const void *what,
                         int (*append)(sd_bus_message *, const char *, const void *))
{
        _cleanup_(message_unrefp) sd_bus_message *signal = NULL;
        int r;

        r = new_signal(face, object, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                       &signal);
        if (r < 0 || !signal)
                return;
        r = sd_bus_message_append(signal, "s", interface);
        if (r >= 0)
                r = sd_bus_message_open_container(signal, 'a', "{sv}");
        if (r >= 0)
                r = append(signal, interface, what);
        if (r >= 0)
                r = sd_bus_message_close_container(signal);
        if (r >= 0)
                r = sd_bus_message_append(signal, "as", 0);
        if (r >= 0)
                send_signal(face, signal, someone_subscribed(face));
}

void face_emit_unit_changed(Face *face, const Unit *unit)
{
        _cleanup_(freep) char *object = NULL;

        if (!someone_listens(face) || !(object = unit_name_to_object(unit->name)))
                return;
        if (unit->kind != UNIT_SLICE) /* a slice has nothing there that would be told */
                emit_changed(face, object, unit_interface_of(unit->kind), unit,
                             unit_append_changed);
        emit_changed(face, object, SD1_UNIT_INTERFACE, unit, unit_append_changed);
}

void face_emit_job_changed(Face *face, const UnitJob *job)
{
        char path[UNIT_JOB_PATH_MAX];

        if (someone_listens(face))
                emit_changed(face, unit_job_path(job->id, path), SD1_JOB_INTERFACE, job,
                             job_append_changed);
}

/* ---- Subscribe, Unsubscribe ---- */

void face_forget_subscribers(Face *face)
{
        if (face->subscribers)
                sd_bus_track_unref(face->subscribers->track);
        free(face->subscribers);
        face->subscribers = NULL;
}

static int get_track(Face *face, sd_bus *bus, sd_bus_track **ret)
{
        int r;

        /* that of a connection that was lost */
        if (face->subscribers && sd_bus_track_get_bus(face->subscribers->track) != bus)
                face_forget_subscribers(face);
        if (!face->subscribers) {
                face->subscribers = calloc(1, sizeof(*face->subscribers));
                if (!face->subscribers)
                        return -ENOMEM;
                r = sd_bus_track_new(bus, &face->subscribers->track, NULL, NULL);
                if (r < 0) {
                        face_forget_subscribers(face);
                        return r;
                }
        }
        *ret = face->subscribers->track;
        return 0;
}

/* Peers of the private socket get everything anyway. */
int method_subscribe(Request *request)
{
        Face *face = face_of(request);
        sd_bus *bus = request->client->bus;
        sd_bus_track *track;
        int r;

        if (sd_bus_is_bus_client(bus) <= 0)
                return request_reply(request, NULL);
        r = get_track(face, bus, &track);
        if (r < 0)
                return r;
        if (sd_bus_track_count_name(track, request->client->name) > 0)
                return face_fail(request, SD1_ERROR_SUBSCRIBED, "Client is already subscribed.");
        if (request->client->gone)
                return 0;
        r = sd_bus_track_add_name(track, request->client->name);
        return r < 0 ? r : request_reply(request, NULL);
}

int method_unsubscribe(Request *request)
{
        Face *face = face_of(request);
        sd_bus *bus = request->client->bus;
        sd_bus_track *track;
        int r;

        if (sd_bus_is_bus_client(bus) <= 0)
                return request_reply(request, NULL);
        r = get_track(face, bus, &track);
        if (r >= 0)
                r = sd_bus_track_remove_name(track, request->client->name);
        if (r == 0)
                return face_fail(request, SD1_ERROR_NOT_SUBSCRIBED, "Client is not subscribed.");
        return r < 0 ? r : request_reply(request, NULL);
}
