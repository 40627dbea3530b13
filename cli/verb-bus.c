/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl introspect and call: the daemon's objects as they are on the bus. */

#include <ctype.h>

#include "bus.h"

static const Column columns[] = {
        { "name",      "NAME",      UNIT_TEXT,  COLUMN_ELIDE },
        { "type",      "TYPE",      UNIT_TEXT },
        { "signature", "SIGNATURE", UNIT_TEXT,  COLUMN_ELIDE },
        { "result",    "RESULT",    UNIT_TEXT,  COLUMN_ELIDE },
        { "access",    "ACCESS",    UNIT_TEXT },
};

/* "" or "/" or nothing → the manager; "job/3" or "/org/chargehand1/…" → that; "/web" → the group's
 * object. Caller frees. */
static char *object_of(const char *word)
{
        char *object = NULL;

        if (!word)
                return strdup(CH_BUS_PATH);
        if (strncmp(word, CH_BUS_PATH, strlen(CH_BUS_PATH)) == 0)
                return strdup(word);
        if (strncmp(word, "job/", 4) == 0)
                return asprintf(&object, CH_BUS_JOB_PREFIX "/%s", word + 4) < 0 ? NULL : object;
        return bus_group_object(word);
}

static const char *interface_of(const char *object)
{
        if (strncmp(object, CH_BUS_GROUP_PREFIX "/", strlen(CH_BUS_GROUP_PREFIX) + 1) == 0)
                return CH_BUS_GROUP_INTERFACE;
        if (strncmp(object, CH_BUS_JOB_PREFIX "/", strlen(CH_BUS_JOB_PREFIX) + 1) == 0)
                return CH_BUS_JOB_INTERFACE;
        return CH_BUS_MANAGER_INTERFACE;
}

/* The value of NAME="…" within one tag, caller frees; NULL if it has none. Introspection data needs
 * no entities. */
static char *tag_attribute(const char *tag, size_t length, const char *name)
{
        size_t name_length = strlen(name);

        for (const char *at = tag; at + name_length + 2 < tag + length; at++) {
                const char *value, *end;

                if (!isspace((unsigned char)at[0]) || strncmp(at + 1, name, name_length) != 0 ||
                    at[1 + name_length] != '=')
                        continue;
                value = at + name_length + 3;
                end = memchr(value, at[name_length + 2], (size_t)(tag + length - value));
                return end ? strndup(value, (size_t)(end - value)) : NULL;
        }
        return NULL;
}

static int tag_is(const char *tag, const char *name)
{
        size_t length = strlen(name);

        return strncmp(tag, name, length) == 0 &&
               (isspace((unsigned char)tag[length]) || strchr("/>", tag[length]));
}

/* Append text to a member of the row. */
static void extend(struct json_object *row, const char *key, const char *text)
{
        _cleanup_(freep) char *joined = NULL;

        if (asprintf(&joined, "%s%s", jtext(row, key), text) >= 0)
                (void)jadd(row, key, json_object_new_string(joined));
}

/* Reading introspection data tag by tag. */
typedef struct Scan {
        struct json_object *rows;
        struct json_object *row; /* of the method, signal or property we are in */
        char *interface;
} Scan;

static int scan_open_row(Scan *scan, const char *tag, size_t length, const char *type)
{
        _cleanup_(freep) char *name = tag_attribute(tag, length, "name");
        _cleanup_(freep) char *signature = tag_attribute(tag, length, "type");
        _cleanup_(freep) char *access = tag_attribute(tag, length, "access");
        struct json_object *row = json_object_new_object();

        if (!row || json_object_array_add(scan->rows, row) < 0) {
                json_object_put(row);
                return -ENOMEM;
        }
        scan->row = row;
        if (jadd(row, "interface", jstring(scan->interface ? scan->interface : "")) < 0 ||
            jadd(row, "name", jstring(name ? name : "")) < 0 ||
            jadd(row, "type", json_object_new_string(type)) < 0)
                return -ENOMEM;
        if (signature)
                extend(row, "signature", signature);
        if (access)
                extend(row, "access", access);
        return 0;
}

static void scan_arg(Scan *scan, const char *tag, size_t length)
{
        _cleanup_(freep) char *type = tag_attribute(tag, length, "type");
        _cleanup_(freep) char *direction = tag_attribute(tag, length, "direction");

        if (scan->row && type)
                extend(scan->row, direction && streq(direction, "out") ? "result" : "signature",
                       type);
}

static int scan_tag(Scan *scan, const char *tag, size_t length)
{
        static const char *const members[] = { "method", "signal", "property" };

        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (tag_is(tag, members[i]))
                        return scan_open_row(scan, tag, length, members[i]);
        if (tag_is(tag, "interface")) {
                free(scan->interface);
                scan->interface = tag_attribute(tag, length, "name");
        } else if (tag_is(tag, "arg")) {
                scan_arg(scan, tag, length);
        }
        return 0;
}

static int scan_xml(const char *xml, struct json_object *rows)
{
        Scan scan = { .rows = rows };
        int r = 0;

        while (r >= 0 && (xml = strchr(xml, '<'))) {
                const char *end = strchr(xml, '>');

                if (!end)
                        break;
                r = scan_tag(&scan, xml + 1, (size_t)(end - xml));
                xml = end;
        }
        free(scan.interface);
        return r;
}

/* Ours only, unless --all: every object has Peer, Introspectable and Properties. */
static struct json_object *ours(struct json_object *rows)
{
        struct json_object *kept = json_object_new_array();

        for (size_t i = 0; kept && i < json_object_array_length(rows); i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);

                if (strncmp(jtext(row, "interface"), CH_BUS_NAME ".", strlen(CH_BUS_NAME) + 1) == 0)
                        (void)json_object_array_add(kept, json_object_get(row));
        }
        return kept;
}

int verb_introspect(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array(), *kept = NULL;
        _cleanup_(freep) char *object = object_of(argc ? argv[0] : NULL);
        const char *xml = NULL;
        int r;

        if (!rows || !object)
                return cli_fail_memory(cli);
        r = bus_new_call_at(cli, object, "org.freedesktop.DBus.Introspectable", "Introspect",
                            &call);
        if (r == CTL_OK)
                r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = sd_bus_message_read(reply, "s", &xml);
        if (r >= 0)
                r = scan_xml(xml, rows);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the answer");
        kept = cli->options.all ? json_object_get(rows) : ours(rows);
        if (!kept)
                return cli_fail_memory(cli);
        if (json_object_array_length(kept) == 0)
                return cli_fail(cli, CTL_NOTHING, argc ? argv[0] : object, "no such object");
        if (print_json(cli, kept))
                return CTL_OK;
        pager_start(cli);
        return TABLE(cli, columns, kept) < 0 ? cli_fail_memory(cli) : CTL_OK;
}

/* "Interface.Method" or "Method"; the interface in *ret (caller frees), returns the method. */
static const char *split_method(const char *word, const char *default_interface, char **ret)
{
        const char *dot = strrchr(word, '.');

        *ret = dot ? strndup(word, (size_t)(dot - word)) : strdup(default_interface);
        return dot ? dot + 1 : word;
}

int verb_call(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(json_putp) struct json_object *body = NULL;
        _cleanup_(freep) char *object = NULL, *interface = NULL;
        const char *method, *why = NULL;
        int has_object = argv[0][0] == '/' || strncmp(argv[0], "job/", 4) == 0;
        int r;

        if (has_object && argc < 2)
                return cli_fail(cli, CTL_USAGE, argv[0],
                                "the method is missing; 'chargectl introspect %s' lists them",
                                argv[0]);
        object = object_of(has_object ? argv[0] : NULL);
        if (!object)
                return cli_fail_memory(cli);
        argv += has_object;
        argc -= has_object;
        method = split_method(argv[0], interface_of(object), &interface);
        if (!interface)
                return cli_fail_memory(cli);
        r = bus_new_call_at(cli, object, interface, method, &call);
        if (r != CTL_OK)
                return r;
        r = message_append_words(call, argc > 1 ? argv[1] : "", argv + 2,
                                 argc > 2 ? (size_t)argc - 2 : 0, &why);
        if (r < 0)
                return cli_fail(cli, CTL_USAGE, argc > 1 ? argv[1] : method, "%s", why);
        r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        if (cli->options.quiet)
                return CTL_OK;
        r = json_from_body(reply, &body);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the answer");
        if (print_json(cli, body) || !jtext(body, "type")[0])
                return CTL_OK;
        printf("%s %s\n", jtext(body, "type"),
               json_object_to_json_string_ext(jget(body, "data"), JSON_C_TO_STRING_NOSLASHESCAPE));
        return CTL_OK;
}
