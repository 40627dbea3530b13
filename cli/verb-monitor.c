/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl monitor: every signal of the daemon as it comes, as lines or as lines of JSON. */

#include <sys/time.h>
#include <time.h>

#include "bus.h"

/* What the arguments of our signals are called; others are shown by position only. */
static const struct {
        const char *signal;
        const char *names[5];
} signals[] = {
        { "GroupNew",       { "group", "object" } },
        { "GroupRemoved",   { "group", "object" } },
        { "JobNew",         { "job", "object", "type" } },
        { "JobRemoved",     { "job", "object", "type", "result" } },
        { "ClaimNew",       { "claim", "group", "bytes", "kind" } },
        { "ClaimRemoved",   { "claim", "group", "bytes", "kind" } },
        { "ProcessStrayed", { "pid", "expected", "found" } },
        { "GroupOom",       { "group", "count" } },
        { "OwnerChanged",   { "from", "to", "mm", "group", "cause" } },
        { "PropertiesChanged", { "interface", "changed", "invalidated" } },
};

static const char *argument_name(const char *signal, size_t i)
{
        for (size_t s = 0; s < ELEMENTSOF(signals); s++)
                if (streq(signals[s].signal, signal) && i < ELEMENTSOF(signals[s].names))
                        return signals[s].names[i];
        return NULL;
}

/* {timestamp_usec, object, interface, signal, args: {group: …}} */
static int event_to_json(sd_bus_message *m, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *event = json_object_new_object();
        struct json_object *args = json_object_new_object();
        const char *signal = sd_bus_message_get_member(m);
        char number[24];
        struct timeval now;

        (void)gettimeofday(&now, NULL);
        if (!event ||
            jadd(event, "timestamp_usec",
                 json_object_new_int64(now.tv_sec * 1000000LL + now.tv_usec)) < 0 ||
            jadd(event, "object", jstring(sd_bus_message_get_path(m))) < 0 ||
            jadd(event, "interface", jstring(sd_bus_message_get_interface(m))) < 0 ||
            jadd(event, "signal", jstring(signal)) < 0 || jadd(event, "args", args) < 0)
                return -ENOMEM;
        for (size_t i = 0; sd_bus_message_at_end(m, 0) == 0; i++) {
                const char *name = argument_name(signal, i);
                struct json_object *value = NULL;
                int r = json_from_message(m, FORM_PLAIN, &value);

                snprintf(number, sizeof(number), "%zu", i);
                if (r >= 0)
                        r = jadd(args, name ? name : number, value);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(event);
        return 0;
}

static void print_line(Cli *cli, struct json_object *event)
{
        time_t now = (time_t)(jnumber(event, "timestamp_usec") / 1000000);
        struct tm local = { 0 };
        char clock[16] = "";

        (void)localtime_r(&now, &local);
        (void)strftime(clock, sizeof(clock), "%H:%M:%S", &local);
        printf("%s%s%s %s%s%s", paint_dim(&cli->style), clock, paint_off(&cli->style),
               paint_bold(&cli->style), jtext(event, "signal"), paint_off(&cli->style));
        json_object_object_foreach(jget(event, "args"), name, value) {
                _cleanup_(freep) char *text = NULL;

                if (streq(name, "object") ||
                    (streq(name, "invalidated") && json_object_array_length(value) == 0))
                        continue;
                text = text_escape(json_object_get_string(value));
                printf(" %s=%s", name, text ? text : "");
        }
        if (streq(jtext(event, "signal"), "PropertiesChanged"))
                printf(" object=%s", jtext(event, "object"));
        putchar('\n');
}

/* Is the event about the group, or one below it? */
static int is_about(struct json_object *event, const char *group)
{
        static const char *const names[] = { "group", "expected", "found" };
        _cleanup_(freep) char *path = NULL;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *text = jtext(jget(event, "args"), names[i]);

                if (text[0] == '/' && ch_path_is_below(text, group))
                        return 1;
        }
        return sd_bus_path_decode(jtext(event, "object"), CH_BUS_GROUP_PREFIX, &path) > 0 &&
               path[0] == '/' && ch_path_is_below(path, group);
}

typedef struct Monitor {
        Cli *cli;
        const char *group;      /* NULL = all */
} Monitor;

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Monitor *monitor = userdata;
        _cleanup_(json_putp) struct json_object *event = NULL;

        if (event_to_json(m, &event) < 0 || (monitor->group && !is_about(event, monitor->group)))
                return 0;
        if (monitor->cli->options.json == JSON_SHORT || monitor->cli->options.json == JSON_PRETTY)
                (void)print_json(monitor->cli, event);
        else
                print_line(monitor->cli, event);
        fflush(stdout);
        return 0;
}

static int on_owner_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Monitor *monitor = userdata;
        const char *name, *old, *new;

        if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        if (old[0] && !new[0])
                note(monitor->cli, "the daemon went away; waiting for it to come back");
        if (new[0] && !old[0])
                note(monitor->cli, "the daemon is there");
        return 0;
}

int verb_monitor(Cli *cli, int argc, char **argv)
{
        Monitor monitor = { .cli = cli, .group = argc ? argv[0] : NULL };
        int r = monitor.group ? group_check(cli, monitor.group) : CTL_OK;

        if (r != CTL_OK)
                return r;
        r = sd_bus_add_match(cli->bus, NULL,
                             "type='signal',sender='" CH_BUS_NAME "',path_namespace='" CH_BUS_PATH
                             "'",
                             on_signal, &monitor);
        if (r >= 0)
                r = sd_bus_add_match(cli->bus, NULL, "type='signal',sender='org.freedesktop.DBus',"
                                     "member='NameOwnerChanged',arg0='" CH_BUS_NAME "'", on_owner_change, &monitor);
        if (r < 0)
                return bus_fail_errno(cli, r, "listening");
        if (!bus_has_daemon(cli))
                note(cli, "the daemon is not running; waiting for it");
        for (;;) {
                r = sd_bus_process(cli->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(cli->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return bus_fail_errno(cli, r, "listening");
        }
}
