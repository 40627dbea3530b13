/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connects to a bus, takes a name, and comes back after the bus was gone. */

#include <stdio.h>

#include "auth.h"
#include "error.h"
#include "link.h"
#include "log.h"
#include "util.h"

#define RETRY_FIRST_USEC 100000ULL
#define RETRY_MAX_USEC   10000000ULL

struct Link {
        LinkOptions options;
        sd_bus *bus; /* NULL while the bus is gone */
        sd_event_source *retry;
        uint64_t retry_usec;
        int named, stopping;
        unsigned n_names; /* how often the name became ours */
};

static int connect_bus(Link *link, ch_error **err);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Link *link = userdata;

        if (link->stopping || connect_bus(link, &error) >= 0)
                return 0;
        log_debug("the bus is not back yet: %s", ch_error_get_cause(error));
        link->retry_usec = min_u64(link->retry_usec * 2, RETRY_MAX_USEC);
        (void)sd_event_source_set_time_relative(source, link->retry_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int schedule_retry(Link *link)
{
        link->retry_usec = RETRY_FIRST_USEC;
        if (link->retry) {
                (void)sd_event_source_set_time_relative(link->retry, link->retry_usec);
                return sd_event_source_set_enabled(link->retry, SD_EVENT_ONESHOT);
        }
        return sd_event_add_time_relative(link->options.event, &link->retry, CLOCK_MONOTONIC,
                                          link->retry_usec, 0, on_retry, link);
}

/* What is under way goes on; only the answers have nobody to go to. */
static void drop_connection(Link *link)
{
        if (!link->bus)
                return;
        clients_drop_bus(link->options.clients, link->bus);
        link->named = 0;
        sd_bus_detach_event(link->bus);
        link->bus = sd_bus_close_unref(link->bus);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Link *link = userdata;

        if (link->stopping)
                return 0;
        log_warning("the bus is gone (%s): what is under way goes on, calls are taken again when "
                    "it is back",
                    link->options.name);
        drop_connection(link);
        (void)schedule_retry(link);
        return 0;
}

static int on_name_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Link *link = userdata;
        const char *name;

        if (sd_bus_message_read(message, "s", &name) >= 0 && *name == ':')
                link->options.client_gone(name, link->options.userdata);
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
        Link *link = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        uint32_t result = 0;

        if (!error)
                (void)sd_bus_message_read(reply, "u", &result);
        if (result == 1 || result == 4) {
                link->named = 1;
                if (link->n_names++ > 0)
                        log_info("back on the bus as %s", link->options.name);
                link->options.named(link->options.userdata);
                return 0;
        }
        if (error)
                log_error("the bus refuses the name %s: %s; is %s in the bus's system.d?",
                          link->options.name, error->message, link->options.policy);
        else
                log_error("somebody else owns the name %s on this bus: end it first, or use "
                          "another bus (--bus=)",
                          link->options.name);
        link->options.refused(link->options.userdata);
        return 0;
}

static int add_objects(Link *link)
{
        int r;

        r = link->options.add_objects(link->bus, link->options.userdata);
        if (r >= 0)
                r = sd_bus_match_signal(link->bus, NULL, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_disconnected, link);
        if (r >= 0 && link->options.client_gone)
                r = sd_bus_add_match_async(
                        link->bus, NULL,
                        "type='signal',sender='org.freedesktop.DBus',"
                        "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                        "member='NameOwnerChanged',arg2=''",
                        on_name_lost, on_match_added, link);
        return r < 0 ? r
                     : sd_bus_request_name_async(link->bus, NULL, link->options.name, 0,
                                                 on_name_requested, link);
}

static int set_address(sd_bus *bus, const char *where)
{
        const char *address = where;
        char text[256];

        if (streq(where, "system")) {
                address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
                address = address ? address : "unix:path=/run/dbus/system_bus_socket";
        } else if (streq(where, "session")) {
                const char *runtime = getenv("XDG_RUNTIME_DIR");

                address = getenv("DBUS_SESSION_BUS_ADDRESS");
                if (!address && !runtime)
                        return -ENOMEDIUM;
                (void)snprintf(text, sizeof(text), "unix:path=%s/bus", runtime ? runtime : "");
                address = address ? address : text;
        }
        return sd_bus_set_address(bus, address);
}

static int connect_bus(Link *link, ch_error **err)
{
        const char *where = link->options.address;
        int r;

        r = sd_bus_new(&link->bus);
        if (r >= 0)
                r = set_address(link->bus, where);
        if (r >= 0)
                r = sd_bus_set_bus_client(link->bus, 1);
        if (r >= 0)
                r = sd_bus_negotiate_fds(link->bus, 1);
        if (r >= 0)
                r = sd_bus_start(link->bus);
        if (r >= 0)
                r = sd_bus_attach_event(link->bus, link->options.event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = add_objects(link);
        if (r < 0) {
                link->bus = sd_bus_close_unref(link->bus);
                return error_set(err, CH_ERROR_FAILED, -r, where,
                                 r == -ENOMEDIUM ? "no bus: neither DBUS_SESSION_BUS_ADDRESS nor "
                                                   "XDG_RUNTIME_DIR is set"
                                                 : "no connection to the bus (%s): start "
                                                   "dbus-daemon or dbus-broker, or "
                                                   "give another with --bus=",
                                 strerror(-r));
        }
        return 0;
}

int link_new(const LinkOptions *options, int patient, Link **ret, ch_error **err)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Link *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return error_errno(err, ENOMEM, NULL, "connecting to the bus");
        link->options = *options;
        r = connect_bus(link, &error);
        if (r < 0 && patient) {
                log_info("%s: trying again in the background", ch_error_get_cause(error));
                r = schedule_retry(link);
        }
        if (r < 0) {
                link_free(link);
                if (err)
                        *err = TAKE_PTR(error);
                return r;
        }
        *ret = link;
        return 0;
}

Link *link_free(Link *link)
{
        if (!link)
                return NULL;
        drop_connection(link);
        sd_event_source_disable_unref(link->retry);
        free(link);
        return NULL;
}

sd_bus *link_get_bus(const Link *link)
{
        return link ? link->bus : NULL;
}

int link_has_name(const Link *link)
{
        return link && link->bus && link->named;
}

int link_is_flushed(const Link *link)
{
        uint64_t queued = 0;

        return !link || !link->bus || sd_bus_get_n_queued_write(link->bus, &queued) < 0 ||
               queued == 0;
}

void link_stop(Link *link)
{
        if (link)
                link->stopping = 1;
}
