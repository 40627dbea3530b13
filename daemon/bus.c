/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connects to the bus, takes the name, and comes back after the bus was gone. */

#include <stdio.h>

#include "bus.h"
#include "auth.h"
#include "error.h"
#include "log.h"
#include "names.h"
#include "util.h"

#define RETRY_FIRST_USEC 100000ULL
#define RETRY_MAX_USEC   10000000ULL

static int connect_bus(Bus *bus, ch_error **err);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Bus *bus = userdata;

        if (connect_bus(bus, &error) >= 0)
                return 0;
        log_debug("the bus is not back yet: %s", ch_error_get_cause(error));
        bus->retry_usec = min_u64(bus->retry_usec * 2, RETRY_MAX_USEC);
        (void)sd_event_source_set_time_relative(source, bus->retry_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int schedule_retry(Bus *bus)
{
        if (bus->retry) {
                (void)sd_event_source_set_time_relative(bus->retry, bus->retry_usec);
                return sd_event_source_set_enabled(bus->retry, SD_EVENT_ONESHOT);
        }
        return sd_event_add_time_relative(bus->manager->event, &bus->retry, CLOCK_MONOTONIC,
                                          bus->retry_usec, 0, on_retry, bus);
}

/* What is under way goes on; only the answers have nobody to go to. */
static void drop_connection(Bus *bus)
{
        if (!bus->bus)
                return;
        clients_drop_all(bus->manager->clients);
        bus->named = 0;
        sd_bus_detach_event(bus->bus);
        bus->bus = sd_bus_close_unref(bus->bus);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;

        if (bus->manager->stopping)
                return 0;
        log_warning("the bus is gone: what is under way goes on, calls are taken again when it is "
                    "back");
        drop_connection(bus);
        bus->retry_usec = RETRY_FIRST_USEC;
        (void)schedule_retry(bus);
        return 0;
}

static int on_name_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        const char *name;

        if (sd_bus_message_read(message, "s", &name) >= 0 && *name == ':')
                clients_drop(bus->manager->clients, name);
        return 0;
}

static int on_match_added(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_method_error(reply, NULL))
                log_warning("the bus does not tell when clients leave: %s",
                            sd_bus_message_get_error(reply)->message);
        return 0;
}

static int on_name_requested(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Bus *bus = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        uint32_t result = 0;

        if (!error)
                (void)sd_bus_message_read(reply, "u", &result);
        if (result == 1 || result == 4) {
                bus->named = 1;
                if (bus->n_connections > 1)
                        log_info("back on the bus");
                manager_tell_ready(bus->manager);
                return 0;
        }
        if (error)
                log_error("the bus refuses the name " CH_BUS_NAME
                          ": %s; is org.chargehand1.conf in the bus's system.d?",
                          error->message);
        else
                log_error("another chargehandd owns the name " CH_BUS_NAME
                          " on this bus: end it first, or use another "
                          "bus (--bus=)");
        manager_stop(bus->manager, EXIT_FAILURE);
        return 0;
}

static int add_objects(Bus *bus)
{
        int r;

        r = manager_bus_add(bus);
        if (r >= 0)
                r = group_bus_add(bus);
        if (r >= 0)
                r = job_bus_add(bus);
        if (r >= 0)
                r = sd_bus_match_signal(bus->bus, NULL, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_disconnected, bus);
        if (r >= 0)
                r = sd_bus_add_match_async(
                        bus->bus, NULL,
                        "type='signal',sender='org.freedesktop.DBus',"
                        "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                        "member='NameOwnerChanged',arg2=''",
                        on_name_lost, on_match_added, bus);
        return r < 0 ? r
                     : sd_bus_request_name_async(bus->bus, NULL, CH_BUS_NAME, 0, on_name_requested,
                                                 bus);
}

static int set_address(sd_bus *bus, const char *where)
{
        const char *address = where;

        if (streq(where, "system")) {
                address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
                address = address ? address : "unix:path=/run/dbus/system_bus_socket";
        } else if (streq(where, "session")) {
                address = getenv("DBUS_SESSION_BUS_ADDRESS");
                if (!address)
                        return -ENOMEDIUM;
        }
        return sd_bus_set_address(bus, address);
}

static int connect_bus(Bus *bus, ch_error **err)
{
        const char *where = bus->manager->conf->bus;
        int r;

        r = sd_bus_new(&bus->bus);
        if (r >= 0)
                r = set_address(bus->bus, where);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus->bus, 1);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus->bus, 1);
        if (r >= 0)
                r = sd_bus_start(bus->bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus->bus, bus->manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = add_objects(bus);
        if (r < 0) {
                bus->bus = sd_bus_close_unref(bus->bus);
                return error_set(err, CH_ERROR_FAILED, -r, where,
                                 r == -ENOMEDIUM ? "no bus: DBUS_SESSION_BUS_ADDRESS is not set"
                                                 : "no connection to the bus (%s): start "
                                                   "dbus-daemon or dbus-broker, or "
                                                   "give another with --bus=",
                                 strerror(-r));
        }
        bus->n_connections++;
        return 0;
}

int bus_new(Manager *manager, Bus **ret, ch_error **err)
{
        Bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return error_errno(err, ENOMEM, NULL, "connecting to the bus");
        bus->manager = manager;
        r = group_bus_make_vtable(&bus->group_vtable);
        if (r >= 0)
                r = connect_bus(bus, err);
        if (r < 0) {
                bus_free(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

Bus *bus_free(Bus *bus)
{
        if (!bus)
                return NULL;
        drop_connection(bus);
        sd_event_source_disable_unref(bus->retry);
        free(bus->group_vtable);
        free(bus);
        return NULL;
}

int bus_is_flushed(Bus *bus)
{
        uint64_t queued = 0;

        return !bus->bus || sd_bus_get_n_queued_write(bus->bus, &queued) < 0 || queued == 0;
}

int bus_has_name(const Bus *bus)
{
        return bus && bus->bus && bus->named;
}

void bus_emit_group(Bus *bus, const char *signal, const Group *group)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? group_bus_path(group->path) : NULL;

        if (object)
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, signal,
                                         "so", group->path, object);
}

void bus_emit_oom(Bus *bus, const Group *group, uint64_t count)
{
        if (bus_has_name(bus))
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "GroupOom", "st", group->path, count);
}

void bus_emit_strayed(Bus *bus, uint32_t pid, const char *expected, const char *found)
{
        if (bus_has_name(bus))
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "ProcessStrayed", "uss", pid, expected, found);
}

void bus_emit_job_new(Bus *bus, const Job *job)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? job_bus_path(job->id) : NULL;

        if (object)
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, "JobNew",
                                         "uos", job->id, object, job->type);
}

void bus_emit_job_removed(Bus *bus, const Job *job)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? job_bus_path(job->id) : NULL;

        if (object)
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "JobRemoved", "uoss", job->id, object, job->type,
                                         job_state_to_string(job->state));
}
