/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections of the script's player: calls, and a listener for the ends of jobs. */

#include "prog-systemd1.h"

typedef struct Named {
        char *name;
        sd_bus *bus;
} Named;

static Named named[MAX_CONNECTIONS];
static struct {
        Removed *items;
        size_t n, allocated;
} removed;

const char *bus_destination(void)
{
        return options.private_socket ? NULL : NAME;
}

sd_bus *bus_open(void)
{
        char address[256];
        sd_bus *bus = NULL;
        int r;

        if (!options.private_socket) {
                r = sd_bus_open_system(&bus);
        } else {
                (void)snprintf(address, sizeof(address), "unix:path=%s", options.private_socket);
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, address);
                if (r >= 0)
                        r = sd_bus_negotiate_fds(bus, 1);
                if (r >= 0)
                        r = sd_bus_start(bus);
        }
        if (r < 0) {
                say("cannot connect: %s", strerror(-r));
                bus = sd_bus_unref(bus);
        } else {
                (void)sd_bus_set_method_call_timeout(bus, options.wait_usec);
        }
        return bus;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *job, *unit, *result;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0) {
                say("JobRemoved with the wrong types");
                return 0;
        }
        if (array_reserve(&removed.items, &removed.allocated, removed.n + 1, sizeof(Removed)) < 0)
                give_up("out of memory");
        removed.items[removed.n++] = (Removed){ strdup(job), strdup(unit), strdup(result) };
        return 0;
}

/* As go-systemd does it: a second connection that has a match and calls nothing. */
void bus_setup(void)
{
        sd_bus *listener = bus_named("listener");
        int r;

        if (!bus_named("") || !listener)
                give_up("nobody to talk to");
        r = sd_bus_add_match(listener, NULL,
                             "type='signal',interface='" MANAGER "',member='JobRemoved'",
                             on_removed, NULL);
        if (r < 0)
                give_up("AddMatch: %s", strerror(-r));
}

sd_bus *bus_named(const char *name)
{
        for (size_t i = 0; i < MAX_CONNECTIONS; i++)
                if (named[i].name && streq(named[i].name, name))
                        return named[i].bus;
        for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
                if (named[i].name)
                        continue;
                named[i].bus = bus_open();
                named[i].name = named[i].bus ? strdup(name) : NULL;
                return named[i].bus;
        }
        give_up("too many connections");
}

void bus_after_fork(void)
{
        memset(named, 0, sizeof(named));
}

void bus_close_named(const char *name)
{
        for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
                if (!named[i].name || !streq(named[i].name, name))
                        continue;
                named[i].bus = sd_bus_flush_close_unref(named[i].bus);
                free(TAKE_PTR(named[i].name));
        }
}

void say_error(const sd_bus_error *error)
{
        _cleanup_(freep) char *text = normalise(error->message ? error->message : "");

        if (strncmp(text, "Rejected send message", 21) == 0)
                strcpy(text, "Rejected by the bus");
        say("error %s: %s", error->name, text);
}

sd_bus_message *bus_call(sd_bus *bus, sd_bus_message *m)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;

        if (sd_bus_call(bus, m, 0, &error, &reply) < 0) {
                say_error(&error);
                return NULL;
        }
        return reply;
}

/* --- the listener ---- */

static int dispatch(sd_bus *bus, uint64_t usec)
{
        int r;

        while ((r = sd_bus_process(bus, NULL)) > 0)
                ;
        if (r < 0)
                give_up("the listener lost its connection: %s", strerror(-r));
        return usec > 0 ? sd_bus_wait(bus, usec) : 0;
}

void listener_sync(void)
{
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
        sd_bus *bus = bus_named("listener");

        (void)sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, "org.freedesktop.DBus.Peer",
                                 "Ping", NULL, &reply, NULL);
        (void)dispatch(bus, 0);
}

static const Removed *find_removed(const char *job)
{
        for (size_t i = 0; i < removed.n; i++)
                if (streq(removed.items[i].job, job))
                        return &removed.items[i];
        return NULL;
}

size_t listener_count(const char *job)
{
        size_t n = 0;

        for (size_t i = 0; i < removed.n; i++)
                n += (size_t)streq(removed.items[i].job, job);
        return n;
}

const Removed *listener_wait(const char *job)
{
        uint64_t end = now_usec() + options.wait_usec;
        sd_bus *bus = bus_named("listener");
        const Removed *found;

        while (!(found = find_removed(job)) && now_usec() < end)
                (void)dispatch(bus, 100000);
        return found;
}

void listener_forget(void)
{
        while (removed.n > 0) {
                Removed *last = &removed.items[--removed.n];

                free(last->job);
                free(last->unit);
                free(last->result);
        }
}

/* --- units ---- */

uint64_t default_tasks_max(void)
{
        static uint64_t value;
        static int known;

        if (!known) {
                known = 1;
                if (sd_bus_get_property_trivial(bus_named("listener"), bus_destination(),
                                                MANAGER_PATH, MANAGER, "DefaultTasksMax", NULL, 't',
                                                &value) < 0)
                        value = UINT64_MAX;
        }
        return value;
}

char *unit_object(const char *name)
{
        char *path = NULL;

        if (sd_bus_path_encode(MANAGER_PATH "/unit", name, &path) < 0)
                give_up("no object path for '%s'", name);
        return path;
}

static char *unit_string(const char *object, const char *property)
{
        char *value = NULL;

        if (sd_bus_get_property_string(bus_named("listener"), bus_destination(), object,
                                       NAME ".Unit", property, NULL, &value) < 0)
                return strdup("?");
        return value;
}

int unit_state(const char *name, char **ret_active, char **ret_sub)
{
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
        sd_bus *bus = bus_named("listener");
        const char *object;

        if (sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, MANAGER, "GetUnit", NULL,
                               &reply, "s", name) < 0 ||
            sd_bus_message_read(reply, "o", &object) < 0)
                return 0;
        *ret_active = unit_string(object, "ActiveState");
        *ret_sub = unit_string(object, "SubState");
        return 1;
}
