/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl create, remove, set-property, freeze, thaw, kill: changes to a group. */

#include <ctype.h>
#include <signal.h>

#include "access.h"
#include "bus.h"
#include "setting.h"

/* Say what was done, or would be: one line, or {group, action, dry_run, changed}. */
static int done(Cli *cli, const char *group, const char *what, int64_t changed)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();

        if (!object || jadd(object, "group", jstring(group)) < 0 ||
            jadd(object, "action", json_object_new_string(what)) < 0 ||
            jadd(object, "dry_run", json_object_new_boolean(cli->options.dry_run)) < 0 ||
            (changed >= 0 && jadd(object, "changed", json_object_new_int64(changed)) < 0))
                return cli_fail_memory(cli);
        if (print_json(cli, object) || cli->options.quiet)
                return CTL_OK;
        if (cli->options.dry_run)
                printf("%s: would be %s\n", group, what);
        else if (changed >= 0)
                printf("%s: %zu file%s changed\n", group, PLURAL(changed));
        else
                printf("%s: %s\n", group, what);
        return CTL_OK;
}

/* A call of that method with the group and the settings of the words: METHOD(s a{sv} …). */
static int new_settings_call(Cli *cli, const char *method, int argc, char **argv,
                             sd_bus_message **ret)
{
        _cleanup_(setting_list_done) SettingList settings = SETTING_LIST_INIT;
        int r = group_check(cli, argv[0]);

        if (r == CTL_OK)
                r = setting_list_parse(cli, (const char *const *)argv + 1, (size_t)argc - 1,
                                       &settings);
        return r == CTL_OK ? setting_list_new_call(&settings, cli, method, argv[0], ret) : r;
}

int verb_set_property(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        uint32_t changed = 0;
        int r = new_settings_call(cli, "SetProperties", argc, argv, &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "a{sv}", 1, "dry_run", "b", cli->options.dry_run);
        if (r < 0)
                return bus_fail_errno(cli, r, "building the request");
        r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        (void)sd_bus_message_read(reply, "u", &changed);
        return done(cli, argv[0], "set", changed);
}

static int append_create_options(const Options *o, sd_bus_message *m)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "parents", "b", o->parents);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "exist_ok", "b", o->exist_ok);
        if (r >= 0 && (o->given & GIVEN_UID))
                r = sd_bus_message_append(m, "{sv}", "uid", "u", (uint32_t)o->uid);
        if (r >= 0 && (o->given & GIVEN_GID))
                r = sd_bus_message_append(m, "{sv}", "gid", "u", (uint32_t)o->gid);
        if (r >= 0 && (o->given & GIVEN_CLAIM))
                r = sd_bus_message_append(m, "{sv}", "claim", "t", o->claim_bytes);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "dry_run", "b", o->dry_run);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int verb_create(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = new_settings_call(cli, "CreateGroup", argc, argv, &call);

        if (r != CTL_OK)
                return r;
        r = append_create_options(&cli->options, call);
        if (r < 0)
                return bus_fail_errno(cli, r, "building the request");
        r = bus_call(cli, call, NULL);
        return r == CTL_OK ? done(cli, argv[0], "created", -1) : r;
}

int verb_remove(Cli *cli, int argc, char **argv)
{
        int r = CTL_OK;

        for (int i = 0; i < argc && r == CTL_OK; i++)
                r = group_check(cli, argv[i]);
        for (int i = 0; i < argc && r == CTL_OK; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;

                r = bus_new_call(cli, "RemoveGroup", &call);
                if (r != CTL_OK)
                        return r;
                r = sd_bus_message_append(call, "sa{sv}", argv[i], 2, "recursive", "b",
                                          cli->options.recursive, "dry_run", "b",
                                          cli->options.dry_run);
                if (r < 0)
                        return bus_fail_errno(cli, r, "building the request");
                r = bus_call(cli, call, NULL);
                if (r == CTL_OK)
                        r = done(cli, argv[i], "removed", -1);
        }
        return r;
}

/* Freeze and Thaw: a group each. Their dry run is that the group is there. */
static int each_group(Cli *cli, int argc, char **argv, const char *method, const char *what)
{
        int r = CTL_OK;

        for (int i = 0; i < argc && r == CTL_OK; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
                _cleanup_(json_putp) struct json_object *group = NULL;

                r = group_check(cli, argv[i]);
                if (r == CTL_OK)
                        r = cli->options.dry_run ? access_group(cli, argv[i], &group)
                                                 : bus_new_call(cli, method, &call);
                if (r == CTL_OK && call) {
                        r = sd_bus_message_append(call, "s", argv[i]);
                        r = r < 0 ? bus_fail_errno(cli, r, method) : bus_call(cli, call, NULL);
                }
                if (r == CTL_OK)
                        r = done(cli, argv[i], what, -1);
        }
        return r;
}

int verb_freeze(Cli *cli, int argc, char **argv)
{
        return each_group(cli, argc, argv, "Freeze", "frozen");
}

int verb_thaw(Cli *cli, int argc, char **argv)
{
        return each_group(cli, argc, argv, "Thaw", "thawed");
}

/* "TERM", "SIGTERM", "15" → 15, 0 if there is none */
static int signal_parse(const char *text)
{
        char *end = NULL;
        long number = strtol(text, &end, 10);

        if (end != text && !*end)
                return number > 0 && number < NSIG ? (int)number : 0;
        if (strncasecmp(text, "SIG", 3) == 0)
                text += 3;
        for (int i = 1; i < NSIG; i++)
                if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), text) == 0)
                        return i;
        return 0;
}

int verb_kill(Cli *cli, int argc, char **argv)
{
        const char *name = cli->options.signal ? cli->options.signal : "TERM";
        int number = signal_parse(name);
        char what[64];
        int r = CTL_OK;

        if (!number)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--signal=%s: no such signal; use a name such as TERM or a number",
                                name);
        snprintf(what, sizeof(what), "sent SIG%s",
                 sigabbrev_np(number) ? sigabbrev_np(number) : name);
        for (int i = 0; i < argc && r == CTL_OK; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
                _cleanup_(json_putp) struct json_object *group = NULL;

                r = group_check(cli, argv[i]);
                if (r == CTL_OK)
                        r = cli->options.dry_run ? access_group(cli, argv[i], &group)
                                                 : bus_new_call(cli, "Kill", &call);
                if (r == CTL_OK && call) {
                        r = sd_bus_message_append(call, "si", argv[i], number);
                        r = r < 0 ? bus_fail_errno(cli, r, "Kill") : bus_call(cli, call, NULL);
                }
                if (r == CTL_OK)
                        r = done(cli, argv[i], what, -1);
        }
        return r;
}
