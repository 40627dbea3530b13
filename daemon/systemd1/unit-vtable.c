/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects of units: org.freedesktop.systemd1.Unit, and Scope, Slice or Service. */

#include "column.h"
#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

#define SELF SD1_UNIT_PREFIX "/self"

typedef struct Row {
        const Column *column;     /* either of the unit itself … */
        const Property *property; /* … or of the table */
} Row;

/* One interface; its rows and vtable are made once. */
typedef struct Tell {
        const char *interface;
        uint32_t flag; /* rows of the property table that it has */
        Row *rows;
        size_t n_rows;
        sd_bus_vtable *vtable;
} Tell;

static Tell tells[TELL_MAX_] = {
        [TELL_UNIT] = {.interface = SD1_UNIT_INTERFACE,     .flag = PROPERTY_UNIT },
        [TELL_SCOPE] = { .interface = SD1_SCOPE_INTERFACE,   .flag = PROPERTY_SCOPE},
        [TELL_SLICE] = { .interface = SD1_SLICE_INTERFACE,   .flag = PROPERTY_SLICE},
        [TELL_SERVICE] = { .interface = SD1_SERVICE_INTERFACE, .flag = PROPERTY_SCOPE},
};

static const unsigned tell_of_kind[UNIT_KIND_MAX_] = {
        [UNIT_SCOPE] = TELL_SCOPE,
        [UNIT_SLICE] = TELL_SLICE,
        [UNIT_SERVICE] = TELL_SERVICE,
};

const char *unit_interface_of(UnitKind kind)
{
        return tells[tell_of_kind[kind]].interface;
}

static Tell *tell_of_interface(const char *interface)
{
        for (size_t i = 0; i < TELL_MAX_; i++)
                if (streq(tells[i].interface, interface))
                        return &tells[i];
        return NULL;
}

/* ---- who is asked for ---- */

/* What the find function hands to the handlers. One at a time: all run on the loop, and the group's
 * directory is closed at the end of the turn. */
static struct {
        Subject subject;
        char name[256];
        sd_event_source *end;
} found;

static int on_end(sd_event_source *source, void *userdata)
{
        subject_done(&found.subject);
        return 0;
}

/* 0: no unit can have that name. */
static int find_subject(Face *face, const char *name)
{
        Unit *unit = NULL;

        subject_done(&found.subject);
        if (!unit_name_is_valid(name))
                return 0;
        (void)units_load(face->units, name, &unit);
        memcpy(found.name, name, strlen(name) + 1); /* at most 255 bytes */
        found.subject = (Subject){ .face = face, .unit = unit, .name = found.name };
        return 1;
}

/* A name without a unit has the interface of its kind too: clients read a unit that may be gone. */
static int has_interface(const char *name, const char *interface)
{
        UnitKind kind;

        if (streq(interface, SD1_UNIT_INTERFACE))
                return 1;
        return unit_name_to_kind(name, &kind) >= 0 && streq(unit_interface_of(kind), interface);
}

static int find_unit(sd_bus *bus, const char *object, const char *interface, void *userdata,
                     void **ret, sd_bus_error *error)
{
        _cleanup_(freep) char *name = NULL;

        if (unit_name_from_object(object, &name) < 0 || !has_interface(name, interface) ||
            !find_subject(userdata, name))
                return 0;
        *ret = &found.subject;
        return 1;
}

static int enumerate_units(sd_bus *bus, const char *prefix, void *userdata, char ***ret,
                           sd_bus_error *error)
{
        const Face *face = userdata;
        char **paths = calloc(units_count(face->units) + 1, sizeof(char *));
        size_t n = 0;

        if (!paths)
                return -ENOMEM;
        for (const Unit *unit = units_first(face->units); unit; unit = unit->next)
                if ((paths[n] = unit_name_to_object(unit->name)))
                        n++;
        *ret = paths;
        return 0;
}

/* ---- values ---- */

static int group_fd_of(Subject *subject)
{
        const Unit *unit = subject->unit;
        sd_event *event = subject->face->manager->event;

        if (!subject->looked_for_group) {
                subject->looked_for_group = 1;
                if (unit && unit->state != UNIT_DEAD)
                        (void)ch_tree_open_group(subject->face->manager->tree, unit->path,
                                                 &subject->group, NULL);
                if (!found.end && sd_event_add_defer(event, &found.end, on_end, NULL) >= 0)
                        (void)sd_event_source_set_floating(found.end, 0);
                (void)sd_event_source_set_enabled(found.end, SD_EVENT_ONESHOT);
        }
        return subject->group ? ch_group_get_fd(subject->group) : -EBADF;
}

static int append_row(sd_bus_message *reply, const Row *row, Subject *subject)
{
        static const PropertySet none;

        if (row->column)
                return row->column->append(reply, subject, row->column);
        return property_append(reply, row->property,
                               subject->unit ? &subject->unit->properties : &none,
                               group_fd_of(subject));
}

static const char *row_signature(const Row *row)
{
        return row->column ? row->column->signature : property_signature(row->property);
}

static const char *row_name(const Row *row)
{
        return row->column ? row->column->name : property_name(row->property);
}

static uint32_t row_flags(const Row *row)
{
        return row->column ? row->column->flags : property_flags(row->property);
}

static int append_entry(sd_bus_message *m, const Row *row, Subject *subject)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", row_name(row));
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', row_signature(row));
        if (r >= 0)
                r = append_row(m, row, subject);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int unit_append_changed(sd_bus_message *signal, const char *interface, const void *what)
{
        const Unit *unit = what;
        const Tell *tell = tell_of_interface(interface);
        Subject subject = { .face = unit->face, .unit = unit, .name = unit->name };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < tell->n_rows; i++)
                if (row_flags(&tell->rows[i]) & PROPERTY_EMITS)
                        r = append_entry(signal, &tell->rows[i], &subject);
        subject_done(&subject);
        return r;
}

/* ---- methods ---- */

static const struct {
        const char *interface, *member;
        request_func begin;
} methods[] = {
        {SD1_UNIT_INTERFACE,     "Stop",               method_stop_unit          },
        { SD1_UNIT_INTERFACE,    "Kill",               method_kill_unit          },
        { SD1_UNIT_INTERFACE,    "ResetFailed",        method_reset_failed_unit  },
        { SD1_UNIT_INTERFACE,    "SetProperties",      method_set_unit_properties},
        { SD1_UNIT_INTERFACE,    "Ref",                method_ref_unit           },
        { SD1_UNIT_INTERFACE,    "Unref",              method_unref_unit         },
        { SD1_UNIT_INTERFACE,    "Freeze",             method_freeze_unit        },
        { SD1_UNIT_INTERFACE,    "Thaw",               method_thaw_unit          },
        { SD1_UNIT_INTERFACE,    "Start",              method_refuse_start       },
        { SD1_UNIT_INTERFACE,    "Reload",             method_refuse_start       },
        { SD1_UNIT_INTERFACE,    "Restart",            method_refuse_start       },
        { SD1_UNIT_INTERFACE,    "TryRestart",         method_refuse_start       },
        { SD1_UNIT_INTERFACE,    "ReloadOrRestart",    method_refuse_start       },
        { SD1_UNIT_INTERFACE,    "ReloadOrTryRestart", method_refuse_start       },
        { SD1_SCOPE_INTERFACE,   "Abandon",            method_abandon_scope      },
        { SD1_SCOPE_INTERFACE,   "GetProcesses",       method_get_unit_processes },
        { SD1_SCOPE_INTERFACE,   "AttachProcesses",    method_attach_processes   },
        { SD1_SLICE_INTERFACE,   "GetProcesses",       method_get_unit_processes },
        { SD1_SLICE_INTERFACE,   "AttachProcesses",    method_attach_processes   },
        { SD1_SERVICE_INTERFACE, "GetProcesses",       method_get_unit_processes },
        { SD1_SERVICE_INTERFACE, "AttachProcesses",    method_attach_processes   },
};

/* A call without an interface means any that has the member. */
static request_func find_method(const char *interface, const char *member)
{
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(methods[i].member, member) &&
                    (!interface || streq(methods[i].interface, interface)))
                        return methods[i].begin;
        return NULL;
}

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const Subject *subject = userdata;

        return request_start(subject->face->manager, message,
                             find_method(sd_bus_message_get_interface(message),
                                         sd_bus_message_get_member(message)),
                             subject->name);
}

/* ---- "self": the caller's unit, known only once the caller is ---- */

static int reply_all(Request *request, const char *interface)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        int r = request_new_reply(request, &reply);

        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < TELL_MAX_; i++) {
                if ((*interface && !streq(tells[i].interface, interface)) ||
                    !has_interface(found.name, tells[i].interface))
                        continue;
                for (size_t k = 0; r >= 0 && k < tells[i].n_rows; k++)
                        r = append_entry(reply, &tells[i].rows[k], &found.subject);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

static int reply_one(Request *request, const char *interface, const char *property)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        const Tell *tell = tell_of_interface(interface);
        const Row *row = NULL;
        int r;

        for (size_t i = 0; tell && i < tell->n_rows; i++)
                if (streq(row_name(&tell->rows[i]), property))
                        row = &tell->rows[i];
        if (!row || !has_interface(found.name, interface))
                return face_fail(request, SD_BUS_ERROR_UNKNOWN_PROPERTY,
                                 "Unknown interface %s or property %s.", interface, property);
        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'v', row_signature(row));
        if (r >= 0)
                r = append_row(reply, row, &found.subject);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

static int method_of_self(Request *request)
{
        sd_bus_message *m = request->message;
        const Unit *unit = face_unit_of_pid(face_of(request), request->client->pid);
        const char *interface, *property;
        request_func begin;
        int r;

        if (!unit)
                return face_fail(request, SD_BUS_ERROR_UNKNOWN_OBJECT, "Unknown object '%s'.",
                                 sd_bus_message_get_path(m));
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", NULL) <= 0) {
                request->path = strdup(unit->name);
                begin = find_method(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
                return request->path ? begin(request) : -ENOMEM;
        }
        (void)find_subject(face_of(request), unit->name);
        if (sd_bus_message_is_method_call(m, NULL, "GetAll") > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                return r < 0 ? r : reply_all(request, interface);
        }
        r = sd_bus_message_read(m, "ss", &interface, &property);
        return r < 0 ? r : reply_one(request, interface, property);
}

static int on_self(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const Face *face = userdata;
        const char *interface = sd_bus_message_get_interface(message);
        const char *member = sd_bus_message_get_member(message);

        if (sd_bus_message_is_method_call(message, NULL, NULL) <= 0 || !interface)
                return 0;
        if (streq(interface, "org.freedesktop.DBus.Properties")
                    ? !streq(member, "Get") && !streq(member, "GetAll")
                    : !find_method(interface, member))
                return 0;
        return request_start(face->manager, message, method_of_self, NULL);
}

/* ---- the tables ---- */

static int get_value(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        /* with SD_BUS_VTABLE_ABSOLUTE_OFFSET this is the number of the row */
        return append_row(reply, &tell_of_interface(interface)->rows[(uintptr_t)userdata],
                          &found.subject);
}

/* clang-format off */
#define METHOD(member, in, in_names, out, out_names)                                               \
        SD_BUS_METHOD_WITH_NAMES(member, in, in_names, out, out_names, on_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define PLAIN(member) SD_BUS_METHOD(member, NULL, NULL, on_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define N SD_BUS_PARAM
#define JOB_OF(member) METHOD(member, "s", N(mode), "o", N(job))
#define GROUP_METHODS                                                                              \
        METHOD("GetProcesses", NULL,, "a(sus)", N(processes)),                                     \
        METHOD("AttachProcesses", "sau", N(subcgroup) N(pids), NULL,)

static const sd_bus_vtable unit_methods[] = {
        SD_BUS_VTABLE_START(0),
        JOB_OF("Start"),
        JOB_OF("Stop"),
        JOB_OF("Reload"),
        JOB_OF("Restart"),
        JOB_OF("TryRestart"),
        JOB_OF("ReloadOrRestart"),
        JOB_OF("ReloadOrTryRestart"),
        METHOD("Kill", "si", N(whom) N(signal), NULL,),
        PLAIN("ResetFailed"),
        METHOD("SetProperties", "ba(sv)", N(runtime) N(properties), NULL,),
        PLAIN("Ref"),
        PLAIN("Unref"),
        PLAIN("Freeze"),
        PLAIN("Thaw"),
};

static const sd_bus_vtable scope_methods[] = {
        SD_BUS_VTABLE_START(0),
        PLAIN("Abandon"),
        GROUP_METHODS,
        SD_BUS_SIGNAL("RequestStop", NULL, 0),
};

static const sd_bus_vtable group_methods[] = {
        SD_BUS_VTABLE_START(0),
        GROUP_METHODS,
};
/* clang-format on */

static const struct {
        const sd_bus_vtable *rows;
        size_t n;
} first_rows[TELL_MAX_] = {
        [TELL_UNIT] = {unit_methods,   ELEMENTSOF(unit_methods) },
        [TELL_SCOPE] = { scope_methods, ELEMENTSOF(scope_methods)},
        [TELL_SLICE] = { group_methods, ELEMENTSOF(group_methods)},
        [TELL_SERVICE] = { group_methods, ELEMENTSOF(group_methods)},
};

static int make_rows(unsigned which)
{
        Tell *tell = &tells[which];
        const Column *column;
        size_t n = property_count();

        for (size_t i = 0; column_get(i); i++)
                n++;
        tell->rows = calloc(n, sizeof(Row));
        if (!tell->rows)
                return -ENOMEM;
        for (size_t i = 0; (column = column_get(i)); i++)
                if (column->where & 1U << which)
                        tell->rows[tell->n_rows++].column = column;
        for (size_t i = 0; i < property_count(); i++) {
                const Property *property = property_get(i);
                uint32_t flags = property_flags(property);

                if ((flags & tell->flag) && !(flags & PROPERTY_SECRET) &&
                    !column_find(property_name(property), which))
                        tell->rows[tell->n_rows++].property = property;
        }
        return 0;
}

static int make_vtable(unsigned which)
{
        Tell *tell = &tells[which];
        sd_bus_vtable *row;
        int r;

        if (tell->vtable)
                return 0;
        r = make_rows(which);
        if (r < 0)
                return r;
        row = tell->vtable = calloc(first_rows[which].n + tell->n_rows + 1, sizeof(*row));
        if (!row)
                return -ENOMEM;
        memcpy(row, first_rows[which].rows, first_rows[which].n * sizeof(*row));
        row += first_rows[which].n;
        for (size_t i = 0; i < tell->n_rows; i++) {
                uint32_t flags = row_flags(&tell->rows[i]);
                uint64_t tell_flags = (flags & PROPERTY_EMITS) ? SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
                                      : (flags & PROPERTY_CONST) ? SD_BUS_VTABLE_PROPERTY_CONST
                                                                 : 0;

                *row++ = (sd_bus_vtable)SD_BUS_PROPERTY(row_name(&tell->rows[i]),
                                                        row_signature(&tell->rows[i]), get_value, i,
                                                        SD_BUS_VTABLE_ABSOLUTE_OFFSET | tell_flags);
        }
        *row = (sd_bus_vtable)SD_BUS_VTABLE_END;
        return 0;
}

void unit_vtable_done(void)
{
        subject_done(&found.subject);
        found.end = sd_event_source_disable_unref(found.end);
        for (size_t i = 0; i < TELL_MAX_; i++) {
                free(tells[i].rows);
                free(tells[i].vtable);
                tells[i].rows = NULL;
                tells[i].vtable = NULL;
                tells[i].n_rows = 0;
        }
}

int unit_vtable_add(Face *face, sd_bus *bus)
{
        int r = sd_bus_add_object(bus, NULL, SELF, on_self, face);

        for (unsigned i = 0; r >= 0 && i < TELL_MAX_; i++) {
                r = make_vtable(i);
                if (r >= 0)
                        r = sd_bus_add_fallback_vtable(bus, NULL, SD1_UNIT_PREFIX,
                                                       tells[i].interface, tells[i].vtable,
                                                       find_unit, face);
        }
        return r < 0 ? r
                     : sd_bus_add_node_enumerator(bus, NULL, SD1_UNIT_PREFIX, enumerate_units,
                                                  face);
}
