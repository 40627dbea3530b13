/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The subscriber: a connection that called Subscribe and writes down every signal about our units.
 */

#include "prog-systemd1.h"

#define STATE "PropertiesChanged ActiveState="

typedef struct Event {
        char *unit, *text;
} Event;

static struct {
        Event *items;
        size_t n, allocated;
        size_t said;
} events;

/* What is told anew without having changed depends on how the manager gathers changes. */
static int is_news(const char *unit, const char *text)
{
        for (size_t i = events.n; i-- > 0;)
                if (streq(events.items[i].unit, unit) &&
                    strncmp(events.items[i].text, STATE, strlen(STATE)) == 0)
                        return !streq(events.items[i].text, text);
        return !streq(text, STATE "inactive");
}

static void add_event(const char *unit, const char *text)
{
        if (array_reserve(&events.items, &events.allocated, events.n + 1, sizeof(Event)) < 0)
                give_up("out of memory");
        events.items[events.n++] = (Event){ strdup(unit), strdup(text) };
}

/* JobNew(uos), JobRemoved(uoss), UnitNew(so), UnitRemoved(so) */
static void on_manager_signal(sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m), *unit = NULL, *result = "", *object;
        char text[256];
        uint32_t id;
        int r;

        if (streq(member, "JobRemoved"))
                r = sd_bus_message_read(m, "uoss", &id, &object, &unit, &result);
        else if (streq(member, "JobNew"))
                r = sd_bus_message_read(m, "uos", &id, &object, &unit);
        else if (streq(member, "UnitNew") || streq(member, "UnitRemoved"))
                r = sd_bus_message_read(m, "so", &unit, &object);
        else
                return;
        if (r < 0)
                say("%s with the wrong types", member);
        else if (strncmp(unit, OUR_UNITS, strlen(OUR_UNITS)) == 0) {
                (void)snprintf(text, sizeof(text), "%s%s%s", member, *result ? " " : "", result);
                add_event(unit, text);
        }
}

/* What a PropertiesChanged says of the state; the rest of it depends on how changes are gathered.
 */
static void on_properties(sd_bus_message *m)
{
        const char *interface, *name, *value, *contents;
        char *unit = NULL, text[256];
        char type;

        if (sd_bus_path_decode(sd_bus_message_get_path(m), MANAGER_PATH "/unit", &unit) <= 0)
                return;
        if (strncmp(unit, OUR_UNITS, strlen(OUR_UNITS)) == 0 &&
            sd_bus_message_read(m, "s", &interface) > 0 && streq(interface, NAME ".Unit") &&
            sd_bus_message_enter_container(m, 'a', "{sv}") > 0)
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        (void)sd_bus_message_read(m, "s", &name);
                        (void)sd_bus_message_peek_type(m, &type, &contents);
                        if (streq(name, "ActiveState") &&
                            sd_bus_message_read(m, "v", "s", &value) > 0) {
                                (void)snprintf(text, sizeof(text), STATE "%s", value);
                                if (is_news(unit, text))
                                        add_event(unit, text);
                        } else {
                                (void)sd_bus_message_skip(m, "v");
                        }
                        (void)sd_bus_message_exit_container(m);
                }
        free(unit);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *interface = sd_bus_message_get_interface(m);

        if (streq(interface, MANAGER))
                on_manager_signal(m);
        else if (streq(interface, "org.freedesktop.DBus.Properties"))
                on_properties(m);
        return 0;
}

void subscriber_start(void)
{
        sd_bus *bus = bus_named("subscriber");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!bus || sd_bus_add_match(bus, NULL,
                                     options.private_socket ? "type='signal'"
                                                            : "type='signal',sender='" NAME "'",
                                     on_signal, NULL) < 0)
                give_up("no subscriber");
        if (sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, MANAGER, "Subscribe", &error,
                               NULL, NULL) < 0)
                say_error(&error);
}

static int has_event(const char *member, const char *unit)
{
        for (size_t i = events.said; i < events.n; i++)
                if (streq(events.items[i].unit, unit) &&
                    strncmp(events.items[i].text, member, strlen(member)) == 0)
                        return 1;
        return 0;
}

static void dispatch(sd_bus *bus, uint64_t usec)
{
        int r;

        while ((r = sd_bus_process(bus, NULL)) > 0)
                ;
        if (r < 0)
                give_up("the subscriber lost its connection: %s", strerror(-r));
        if (usec > 0)
                (void)sd_bus_wait(bus, usec);
}

void subscriber_wait(const char *member, const char *unit)
{
        uint64_t end = now_usec() + options.wait_usec;
        sd_bus *bus = bus_named("subscriber");

        for (dispatch(bus, 0); !has_event(member, unit) && now_usec() < end; dispatch(bus, 0))
                dispatch(bus, 100000);
        if (!has_event(member, unit))
                say("no %s for %s", member, unit);
}

static int by_unit(const void *a, const void *b)
{
        const Event *x = *(Event *const *)a, *y = *(Event *const *)b;
        int r = strcmp(x->unit, y->unit);

        return r != 0 ? r : (x < y ? -1 : x > y);
}

/* In order for each unit: that of different ones may differ. */
void subscriber_say(void)
{
        size_t n = events.n - events.said;
        Event **order = calloc(n + 1, sizeof(*order));

        if (!order)
                give_up("out of memory");
        for (size_t i = 0; i < n; i++)
                order[i] = &events.items[events.said + i];
        qsort(order, n, sizeof(*order), by_unit);
        for (size_t i = 0; i < n; i++)
                say("signal %s %s", order[i]->unit, order[i]->text);
        free(order);
        events.said = events.n;
}

void subscriber_forget(void)
{
        while (events.n > 0) {
                events.n--;
                free(events.items[events.n].unit);
                free(events.items[events.n].text);
        }
        events.said = 0;
}
