/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The script's verbs that only look: properties, lists, introspection. */

#include <inttypes.h>

#include "prog-systemd1.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

const char *words_need(Words *w, const char *what)
{
        const char *word = words_next(w);

        if (!word)
                give_up("%s is missing", what);
        return word;
}

/* "@NAME": another connection than the usual one */
sd_bus *words_connection(Words *w)
{
        if (w->at < w->n && w->items[w->at][0] == '@')
                return bus_named(words_next(w) + 1);
        return bus_named("");
}

sd_bus_message *new_call(sd_bus *bus, const char *path, const char *interface, const char *method)
{
        sd_bus_message *m = NULL;

        if (!bus ||
            sd_bus_message_new_method_call(bus, &m, bus_destination(), path, interface, method) < 0)
                give_up("cannot make a call of %s on %s", method, path);
        return m;
}

char *object_of(const char *word)
{
        return word[0] == '/' ? strdup(word) : unit_object(word);
}

const char *interface_of(const char *word)
{
        static char full[256];

        if (strchr(word, '.'))
                return word;
        (void)snprintf(full, sizeof(full), NAME ".%s", word);
        return full;
}

static const char *kind_interface(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        return dot && streq(dot, ".slice") ? NAME ".Slice" : NAME ".Scope";
}

static sd_bus_message *get_property(const char *unit, const char *interface, const char *name,
                                    sd_bus_error *error)
{
        _cleanup_(freep) char *object = object_of(unit);
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *m = NULL;
        sd_bus_message *reply = NULL;
        sd_bus *bus = bus_named("");

        m = new_call(bus, object, PROPERTIES, "Get");
        (void)sd_bus_message_append(m, "ss", interface, name);
        return sd_bus_call(bus, m, 0, error, &reply) < 0 ? NULL : reply;
}

/* Where a property is: with the unit's kind or with what all units have. */
void say_property(const char *unit, const char *name)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL,
                                                  other = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *text = NULL;

        reply = get_property(unit, kind_interface(unit), name, &error);
        if (!reply)
                reply = get_property(unit, NAME ".Unit", name, &other);
        if (!reply) {
                say("not told");
                return;
        }
        text = message_to_text(reply);
        say("told %s", text);
}

/* get UNIT|OBJECT INTERFACE NAME… */
void verb_get(Words *w)
{
        const char *unit = words_need(w, "a unit"),
                   *interface = interface_of(words_need(w, "an interface")), *name;

        while ((name = words_next(w))) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
                _cleanup_(freep) char *text = NULL;

                reply = get_property(unit, interface, name, &error);
                if (!reply) {
                        say_error(&error);
                        continue;
                }
                message_mask_jobs(streq(name, "Job") || streq(name, "Id"));
                text = message_to_text(reply);
                message_mask_jobs(0);
                say("%s %s", name, text);
        }
}

/* Values that differ from run to run: only the type is told, and whether there is one at all. */
static int is_volatile(const char *name)
{
        static const char *const parts[] = {
                "Timestamp",    "Current",         "Peak",      "CPUUsage",
                "InvocationID", "ControlGroupId",  "Bytes",     "Packets",
                "Operations",   "MemoryAvailable", "Effective",
        };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                if (strstr(name, parts[i]))
                        return 1;
        return 0;
}

static void say_one_of_all(sd_bus_message *m)
{
        const char *name = NULL, *contents = NULL;
        _cleanup_(freep) char *text = NULL;
        uint64_t number;
        char type;

        (void)sd_bus_message_read(m, "s", &name);
        message_mask_jobs(streq(name, "Job") || streq(name, "Id"));
        (void)sd_bus_message_peek_type(m, &type, &contents);
        if (!is_volatile(name)) {
                text = message_to_text(m);
                say("%s %s", name, text);
        } else if (streq(contents, "t") && sd_bus_message_read(m, "v", "t", &number) > 0) {
                say("%s  t:%s", name, number == UINT64_MAX ? "max" : "<number>");
        } else {
                say("%s  %s:<something>", name, contents);
                (void)sd_bus_message_skip(m, "v");
        }
}

/* getall UNIT|OBJECT INTERFACE */
void verb_getall(Words *w)
{
        _cleanup_(freep) char *object = object_of(words_need(w, "a unit"));
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *m = NULL, *reply = NULL;
        sd_bus *bus = bus_named("");

        m = new_call(bus, object, PROPERTIES, "GetAll");
        (void)sd_bus_message_append(m, "s", interface_of(words_need(w, "an interface")));
        reply = bus_call(bus, m);
        if (!reply || sd_bus_message_enter_container(reply, 'a', "{sv}") < 0)
                return;
        say_sorted(1);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                say_one_of_all(reply);
                (void)sd_bus_message_exit_container(reply);
        }
        say_sorted(0);
        message_mask_jobs(0);
}

/* Name, description, load state, active state, substate, following, object, job */
static int say_unit_row(sd_bus_message *m)
{
        const char *s[6], *unit_path, *job_type, *job_path;
        _cleanup_(freep) char *job = NULL;
        uint32_t id;

        if (sd_bus_message_read(m, "(ssssssouso)", &s[0], &s[1], &s[2], &s[3], &s[4], &s[5],
                                &unit_path, &id, &job_type, &job_path) <= 0)
                return 0;
        job = normalise(job_path);
        if (strncmp(s[0], OUR_UNITS, strlen(OUR_UNITS)) == 0)
                say("row %s \"%s\" %s %s %s \"%s\" %s %s \"%s\" %s", s[0], s[1], s[2], s[3], s[4],
                    s[5], unit_path, id ? "N" : "0", job_type, job);
        return 1;
}

/* Unit, type, state, object */
static int say_job_row(sd_bus_message *m)
{
        const char *s[3], *unit_path, *job_path;
        uint32_t id;

        if (sd_bus_message_read(m, "(usssoo)", &id, &s[0], &s[1], &s[2], &job_path, &unit_path) <=
            0)
                return 0;
        if (strncmp(s[0], OUR_UNITS, strlen(OUR_UNITS)) == 0)
                say("row %s %s %s %s", s[0], s[1], s[2], unit_path);
        return 1;
}

/* list METHOD [SIGNATURE VALUE…]: rows about units (or jobs) of ours */
void verb_list(Words *w)
{
        sd_bus *bus = words_connection(w);
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *m = NULL, *reply = NULL;
        const char *method = words_need(w, "a method"), *signature = words_next(w);
        int jobs = streq(method, "ListJobs");

        m = new_call(bus, MANAGER_PATH, MANAGER, method);
        if (signature)
                message_append_words(m, signature, w);
        reply = bus_call(bus, m);
        if (!reply ||
            sd_bus_message_enter_container(reply, 'a', jobs ? "(usssoo)" : "(ssssssouso)") < 0)
                return;
        say_sorted(1);
        while (jobs ? say_job_row(reply) : say_unit_row(reply))
                ;
        say_sorted(0);
}

/* --- introspection ---- */

/* Value of an attribute of the tag at `tag`, which ends at the next '>'. */
static void attribute(const char *tag, const char *name, char *value, size_t size)
{
        char key[32];
        const char *end = strchr(tag, '>'), *p;
        size_t n = 0;

        (void)snprintf(key, sizeof(key), " %s=\"", name);
        p = strstr(tag, key);
        *value = 0;
        if (!p || !end || p > end)
                return;
        for (p += strlen(key); p[n] && p[n] != '"' && n + 1 < size; n++)
                value[n] = p[n];
        value[n] = 0;
}

static int is_tag(const char *p, const char *name)
{
        size_t n = strlen(name);

        return *p == '<' && strncmp(p + 1, name, n) == 0 && strchr(" >/", p[n + 1]);
}

/* A method or a signal: its name and its arguments' types, "in → out" */
static const char *say_member(const char *p, const char *kind)
{
        char name[128], type[64], direction[16], in[256] = "", out[256] = "", end[32];
        const char *close = strchr(p, '>'), *stop;

        attribute(p, "name", name, sizeof(name));
        (void)snprintf(end, sizeof(end), "</%s>", kind);
        stop = close && close[-1] == '/' ? close : strstr(p, end);
        for (const char *a = p; stop && (a = strstr(a, "<arg ")) && a < stop; a++) {
                attribute(a, "type", type, sizeof(type));
                attribute(a, "direction", direction, sizeof(direction));
                if (streq(direction, "out"))
                        (void)strncat(out, type, sizeof(out) - strlen(out) - 1);
                else
                        (void)strncat(in, type, sizeof(in) - strlen(in) - 1);
        }
        say("%s %s (%s)%s%s", kind, name, in, *out ? " = " : "", out);
        return stop ? stop : p + 1;
}

static void say_interface(const char *p)
{
        char name[128], type[64], access[32];

        for (; *p && strncmp(p, "</interface>", 12) != 0; p++) {
                if (is_tag(p, "method"))
                        p = say_member(p, "method");
                else if (is_tag(p, "signal"))
                        p = say_member(p, "signal");
                if (!is_tag(p, "property"))
                        continue;
                attribute(p, "name", name, sizeof(name));
                attribute(p, "type", type, sizeof(type));
                attribute(p, "access", access, sizeof(access));
                say("property %s %s %s", name, type, access);
        }
}

/* introspect UNIT|OBJECT INTERFACE */
void verb_introspect(Words *w)
{
        _cleanup_(freep) char *object = object_of(words_need(w, "a unit"));
        const char *interface = interface_of(words_need(w, "an interface")), *xml;
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
        char name[128];

        reply = bus_call(bus_named(""),
                         new_call(bus_named(""), object, "org.freedesktop.DBus.Introspectable",
                                  "Introspect"));
        if (!reply || sd_bus_message_read(reply, "s", &xml) <= 0)
                return;
        say_sorted(1);
        for (const char *p = strstr(xml, "<interface "); p; p = strstr(p + 1, "<interface ")) {
                attribute(p, "name", name, sizeof(name));
                if (streq(name, interface))
                        say_interface(p);
        }
        say_sorted(0);
}
