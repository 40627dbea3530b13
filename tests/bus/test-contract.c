/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects introspect as the XML in dbus/ says, and survive what nobody should send. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "bus-env.h"
#include "bus-tests.h"
#include "names.h"
#include "util.h"

typedef struct Lines {
        char **items;
        size_t n, allocated;
} Lines;

static void lines_add(Lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void lines_add(Lines *lines, const char *format, ...)
{
        va_list args;

        assert_true(array_reserve(&lines->items, &lines->allocated, lines->n + 1, sizeof(char *)) >=
                    0);
        va_start(args, format);
        assert_true(vasprintf(&lines->items[lines->n++], format, args) >= 0);
        va_end(args);
}

static void lines_done(Lines *lines)
{
        for (size_t i = 0; i < lines->n; i++)
                free(lines->items[i]);
        free(lines->items);
}

/* The value of an attribute of the tag at `tag`, "" if it has none. */
static void attribute(const char *tag, const char *name, char ret[128])
{
        const char *end = strchr(tag, '>'), *at;
        char pattern[40];

        *ret = '\0';
        (void)snprintf(pattern, sizeof(pattern), " %s=\"", name);
        at = strstr(tag, pattern);
        if (at && at < end)
                (void)snprintf(ret, 128, "%.*s", (int)strcspn(at + strlen(pattern), "\""),
                               at + strlen(pattern));
}

/*
 * One line per method, signal, property and argument of an interface, whatever the order of
 * attributes and the comments: that is all that the two documents must have in common.
 */
static void parse_xml(const char *xml, const char *interface, Lines *lines)
{
        char member[128] = "", name[128], type[128], more[128], value[128];
        int inside = 0;

        for (const char *p = strchr(xml, '<'); p; p = strchr(p + 1, '<')) {
                if (strncmp(p, "<!--", 4) == 0) {
                        p = strstr(p, "-->");
                        continue;
                }
                attribute(p, "name", name);
                attribute(p, "type", type);
                attribute(p, "direction", more);
                attribute(p, "value", value);
                if (strncmp(p, "<interface", 10) == 0)
                        inside = streq(name, interface);
                else if (inside && (!strncmp(p, "<method", 7) || !strncmp(p, "<signal", 7)))
                        lines_add(lines, "%.7s %s", p + 1, strcpy(member, name));
                else if (inside && !strncmp(p, "<arg", 4))
                        lines_add(lines, "%s(%s %s %s)", member, *more ? more : "out", type, name);
                else if (inside && !strncmp(p, "<property", 9)) {
                        attribute(p, "access", more);
                        lines_add(lines, "property %s %s %s", strcpy(member, name), type, more);
                } else if (inside && !strncmp(p, "<annotation", 11) &&
                           strstr(name, "EmitsChangedSignal"))
                        lines_add(lines, "%s changes %s", member, value);
        }
}

static int compare_lines(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void compare_with_file(Env *env, const char *object, const char *interface, const char *file)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *want_xml = NULL;
        Lines want = { 0 }, got = { 0 };
        const char *xml;

        assert_int_equal(read_file_at(AT_FDCWD, file, 1 << 20, &want_xml, NULL), 0);
        reply = env_object_call(env, object, "org.freedesktop.DBus.Introspectable", "Introspect",
                                NULL);
        assert_true(sd_bus_message_read(reply, "s", &xml) > 0);
        parse_xml(want_xml, interface, &want);
        parse_xml(xml, interface, &got);
        assert_true(want.n > 5);
        qsort(want.items, want.n, sizeof(char *), compare_lines);
        qsort(got.items, got.n, sizeof(char *), compare_lines);
        for (size_t i = 0; i < want.n && i < got.n; i++)
                assert_string_equal(got.items[i], want.items[i]);
        assert_int_equal(got.n, want.n);
        lines_done(&want);
        lines_done(&got);
}

/* A journal of this boot that says nothing: its recovery is a job, which fails and stays readable.
 */
static void leave_journal(const Env *env, unsigned id)
{
        _cleanup_(freep) char *boot = NULL;
        char path[160];
        FILE *file;

        assert_int_equal(read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot, NULL),
                         0);
        boot[strcspn(boot, "\n")] = '\0';
        (void)snprintf(path, sizeof(path), "%s/state", env->dir);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof(path), "%s/state/moves", env->dir);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof(path), "%s/state/moves/%u.json", env->dir, id);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fprintf(file, "{\"job\":%u,\"uid\":0,\"boot_id\":\"%s\",\"record\":{}}", id,
                            boot) > 0);
        assert_int_equal(fclose(file), 0);
}

static void test_introspection(void **state)
{
        Env *env = *state;

        leave_journal(env, 7);
        env_start_daemon(env, NULL);
        compare_with_file(env, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                          DBUS_SOURCE "/org.chargehand1.Manager.xml");
        compare_with_file(env, CH_BUS_GROUP_PREFIX "/_2fweb", CH_BUS_GROUP_INTERFACE,
                          DBUS_BUILD "/org.chargehand1.Group.xml");
        compare_with_file(env, CH_BUS_JOB_PREFIX "/7", CH_BUS_JOB_INTERFACE,
                          DBUS_SOURCE "/org.chargehand1.Job.xml");
}

static void test_garbage(void **state)
{
        static const char *const signatures[] = { "", "u", "ss", "as", "a{sv}", "h" };
        static const char *const members[] = { "CreateGroup",     "Move",    "ChargeMap",
                                               "SetProperties",   "Kill",    "ListGroups",
                                               "GetGroupByPIDFD", "Nonsense" };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        Env *env = *state;

        env_start_daemon(env, NULL);
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                for (size_t k = 0; k < ELEMENTSOF(signatures); k++) {
                        sd_bus_message *m = NULL;
                        int r;

                        if ((streq(members[i], "GetGroupByPIDFD") && streq(signatures[k], "h")) ||
                            ((streq(members[i], "Move") || streq(members[i], "ChargeMap")) &&
                             streq(signatures[k], "a{sv}")))
                                continue;
                        assert_true(sd_bus_message_new_method_call(
                                            env->client, &m, CH_BUS_NAME, CH_BUS_PATH,
                                            CH_BUS_MANAGER_INTERFACE, members[i]) >= 0);
                        r = k == 0   ? 0
                            : k == 1 ? sd_bus_message_append(m, "u", 7)
                            : k == 2 ? sd_bus_message_append(m, "ss", "/", "/")
                            : k == 3 ? sd_bus_message_append(m, "as", 0)
                            : k == 4 ? sd_bus_message_append(m, "a{sv}", 0)
                                     : sd_bus_message_append(m, "h", 0);
                        assert_true(r >= 0);
                        assert_true(sd_bus_call(env->client, m, 0, &error, NULL) < 0);
                        assert_non_null(strstr(error.name, streq(members[i], "Nonsense")
                                                                   ? "UnknownMethod"
                                                                   : "InvalidArgs"));
                        sd_bus_error_free(&error);
                        sd_bus_message_unref(m);
                }
        env_object_fails(env, CH_BUS_ERROR_PREFIX "NoSuchGroup", CH_BUS_GROUP_PREFIX "/_2fnone",
                         CH_BUS_GROUP_INTERFACE, "Freeze", NULL);
        env_object_fails(env, CH_BUS_ERROR_PREFIX "NoSuchJob", CH_BUS_JOB_PREFIX "/77",
                         CH_BUS_JOB_INTERFACE, "Cancel", NULL);
        env_object_fails(env, CH_BUS_ERROR_PREFIX "NoSuchJob", CH_BUS_JOB_PREFIX "/x",
                         CH_BUS_JOB_INTERFACE, "Cancel", NULL);
        env_call_fails(env, "NoSuchJob", "12", "CancelJob", "u", 12);
        sd_bus_message_unref(env_call(env, "Status", NULL));
        sd_bus_message_unref(env_call(env, "Snapshot", NULL));
}

/* Status.clients is 1 */
static int only_we_are_left(Env *env, void *userdata)
{
        _cleanup_(reply_freep) sd_bus_message *reply = env_call(env, "Status", NULL);
        const char *key;
        uint64_t n = 0;

        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                assert_true((streq(key, "clients") ? sd_bus_message_read(reply, "v", "t", &n)
                                                   : sd_bus_message_skip(reply, "v")) > 0);
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        return n == 1;
}

/* Clients that ask and leave do no harm, whatever was under way. */
static void test_leaving_clients(void **state)
{
        Env *env = *state;

        env_start_daemon(env, NULL);
        for (unsigned i = 0; i < 30; i++) {
                sd_bus *bus;

                assert_true(sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, env->address) >= 0 &&
                            sd_bus_set_bus_client(bus, 1) >= 0 && sd_bus_start(bus) >= 0);
                assert_true(sd_bus_call_method_async(
                                    bus, NULL, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                    i % 2 ? "Snapshot" : "Status", NULL, NULL, NULL) >= 0);
                assert_true(sd_bus_flush(bus) >= 0);
                sd_bus_close_unref(bus);
        }
        env_wait(env, only_we_are_left, NULL);
        assert_int_equal(env_stop_daemon(env, 15), 0);
}

const struct CMUnitTest contract_tests[] = {
        cmocka_unit_test_setup_teardown(test_introspection, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_garbage, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_leaving_clients, env_setup, env_teardown),
};
const size_t n_contract_tests = ELEMENTSOF(contract_tests);
