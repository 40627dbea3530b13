/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs of the script. */

#include <inttypes.h>
#include <sys/wait.h>

#include "prog-systemd1.h"

#define TESTER   1000
#define MAX_KEPT 16

static char *last_job;          /* of the last reply that was one */
static char *under_test;        /* the unit of `prop` */
static char *kept[MAX_KEPT][2]; /* name, job path */

int wait_until(int (*condition)(void *), void *data)
{
        uint64_t end = now_usec() + options.wait_usec;
        int r;

        while (!(r = condition(data)) && now_usec() < end)
                (void)usleep(10000);
        return r;
}

static void remember_job(sd_bus_message *reply)
{
        const char *object;

        const char *signature = sd_bus_message_get_signature(reply, 1);
        uint32_t id;
        int r = -ENXIO;

        if (streq(signature, "o"))
                r = sd_bus_message_read(reply, "o", &object);
        else if (strncmp(signature, "uoso", 4) == 0) /* EnqueueUnitJob */
                r = sd_bus_message_read(reply, "uo", &id, &object);
        if (r > 0 && strncmp(object, JOB_PATH, strlen(JOB_PATH)) == 0) {
                free(last_job);
                last_job = strdup(object);
        }
        (void)sd_bus_message_rewind(reply, 1);
}

/* The rest of the words: SIGNATURE VALUE… */
static int call_and_say(sd_bus *bus, sd_bus_message *m, Words *w)
{
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *call = m, *reply = NULL;
        const char *signature = words_next(w);
        _cleanup_(freep) char *text = NULL;

        if (signature)
                message_append_words(call, signature, w);
        reply = bus_call(bus, call);
        if (!reply)
                return 0;
        remember_job(reply);
        message_mask_jobs(streq(sd_bus_message_get_member(call), "EnqueueUnitJob"));
        text = message_to_text(reply);
        message_mask_jobs(0);
        say("reply%s%s", *text ? " " : "", text);
        return 1;
}

/* call [@CONNECTION] METHOD [SIGNATURE VALUE…] */
static void verb_call(Words *w)
{
        sd_bus *bus = words_connection(w);

        (void)call_and_say(bus, new_call(bus, MANAGER_PATH, MANAGER, words_need(w, "a method")), w);
}

/* on [@CONNECTION] UNIT|OBJECT INTERFACE METHOD [SIGNATURE VALUE…] */
static void verb_on(Words *w)
{
        sd_bus *bus = words_connection(w);
        _cleanup_(freep) char *object = object_of(words_need(w, "a unit"));
        const char *interface = interface_of(words_need(w, "an interface"));

        (void)call_and_say(bus, new_call(bus, object, interface, words_need(w, "a method")), w);
}

static void say_job_end(const char *job)
{
        const Removed *end = listener_wait(job);

        if (end)
                say("job %s %s", end->unit, end->result);
        else
                say("job without an end");
        listener_sync();
        if (listener_count(job) > 1)
                say("job ended %zu times", listener_count(job));
}

/* The directory of a dead unit may go a moment after the unit. */
static int is_cleared(void *data)
{
        return !group_lies_about(data);
}

/* Job path in the reply, then its end, then what the groups look like. */
static int run_job(sd_bus *bus, sd_bus_message *m, const char *stopped)
{
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = bus_call(bus, m);

        sd_bus_message_unref(m);
        if (reply) {
                remember_job(reply);
                say_job_end(last_job);
                if (stopped)
                        (void)wait_until(is_cleared, (char *)stopped);
        }
        files_look(1);
        return reply != NULL;
}

/* start [@CONNECTION] UNIT MODE [; NAME SIGNATURE VALUE…]… */
static void verb_start(Words *w)
{
        sd_bus *bus = words_connection(w);
        sd_bus_message *m = new_call(bus, MANAGER_PATH, MANAGER, "StartTransientUnit");

        (void)sd_bus_message_append_basic(m, 's', words_need(w, "a unit"));
        (void)sd_bus_message_append_basic(m, 's', words_need(w, "a mode"));
        message_append_properties(m, w);
        (void)sd_bus_message_append(m, "a(sa(sv))", 0);
        (void)run_job(bus, m, NULL);
}

/* stop UNIT [MODE] */
static void verb_stop(Words *w)
{
        sd_bus *bus = words_connection(w);
        sd_bus_message *m = new_call(bus, MANAGER_PATH, MANAGER, "StopUnit");
        const char *unit = words_need(w, "a unit"), *mode = words_next(w);

        (void)sd_bus_message_append(m, "ss", unit, mode ? mode : "replace");
        (void)run_job(bus, m, unit);
}

static void set_properties(const char *unit, Words *w)
{
        sd_bus *bus = bus_named("");
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *m =
                new_call(bus, MANAGER_PATH, MANAGER, "SetUnitProperties");

        (void)sd_bus_message_append(m, "sb", unit, 1);
        message_append_properties(m, w);
        reply = bus_call(bus, m);
        if (reply)
                say("ok");
        files_look(1);
}

/* set UNIT [; NAME SIGNATURE VALUE…]… */
static void verb_set(Words *w)
{
        const char *unit = words_need(w, "a unit");

        set_properties(unit, w);
}

/* use UNIT: what `prop` is about */
static void verb_use(Words *w)
{
        free(under_test);
        under_test = strdup(words_need(w, "a unit"));
}

/* prop NAME SIGNATURE VALUE…: set alone, with what it did to files, and how it is told */
static void verb_prop(Words *w)
{
        char *name, *copy[MAX_WORDS] = { (char *)";" };
        Words with = { .items = copy, .n = w->n - w->at + 1 };

        memcpy(copy + 1, w->items + w->at, (w->n - w->at) * sizeof(*copy));
        name = (char *)words_need(w, "a property");
        set_properties(under_test, &with);
        say_property(under_test, name);
        w->at = w->n;
}

static int unit_is_gone(void *data)
{
        _cleanup_(freep) char *active = NULL, *sub = NULL;

        return !unit_state(data, &active, &sub);
}

static void wait_gone(const char *unit)
{
        _cleanup_(freep) char *active = NULL, *sub = NULL;

        if (!wait_until(unit_is_gone, (char *)unit) && unit_state(unit, &active, &sub))
                say("unit %s stays %s/%s", unit, active, sub);
}

/* new NAME SIGNATURE VALUE… [; …]: a scope that is started with it, looked at and stopped again */
static void verb_new(Words *w)
{
        static const char unit[] = "zznew.scope";
        sd_bus *bus = bus_named("");
        char *words[MAX_WORDS] = { (char *)";", (char *)"PIDs", (char *)"au",
                                   (char *)"1", NULL,           (char *)";" };
        Words with = { .items = words, .n = w->n - w->at + 6 };
        char pid[32], *name = w->items[w->at];
        sd_bus_message *m = new_call(bus, MANAGER_PATH, MANAGER, "StartTransientUnit");

        memcpy(words + 6, w->items + w->at, (w->n - w->at) * sizeof(*words));
        w->at = w->n;
        (void)snprintf(pid, sizeof(pid), "%d", process_spawn("new", "plain"));
        words[4] = pid;
        (void)sd_bus_message_append(m, "ss", unit, "fail");
        message_append_properties(m, &with);
        (void)sd_bus_message_append(m, "a(sa(sv))", 0);
        if (run_job(bus, m, NULL))
                say_property(unit, name);
        clean_up();
        files_look(0);
}

/* gone UNIT…: waits until it is not loaded any more */
static void verb_gone(Words *w)
{
        const char *unit;

        while ((unit = words_next(w))) {
                wait_gone(unit);
                (void)wait_until(is_cleared, (char *)unit);
        }
        listener_sync();
        files_look(1);
}

typedef struct Wanted {
        const char *unit, *sub;
} Wanted;

static int has_state(void *data)
{
        const Wanted *wanted = data;
        _cleanup_(freep) char *active = NULL, *sub = NULL;

        return unit_state(wanted->unit, &active, &sub) && streq(sub, wanted->sub);
}

/* state UNIT [SUBSTATE]: waits for it if given; tells ActiveState/SubState */
static void verb_state(Words *w)
{
        _cleanup_(freep) char *active = NULL, *sub = NULL;
        Wanted wanted = { words_need(w, "a unit"), words_next(w) };

        if (wanted.sub)
                (void)wait_until(has_state, &wanted);
        if (unit_state(wanted.unit, &active, &sub))
                say("state %s/%s", active, sub);
        else
                say("not loaded");
}

/* keep NAME: the job of the last reply is $NAME from now on */
static void verb_keep(Words *w)
{
        const char *name = words_need(w, "a name");

        for (size_t i = 0; i < MAX_KEPT; i++) {
                if (kept[i][0] && !streq(kept[i][0], name))
                        continue;
                free(kept[i][0]);
                free(kept[i][1]);
                kept[i][0] = strdup(name);
                kept[i][1] = strdup(last_job ? last_job : JOB_PATH "0");
                return;
        }
}

/* await [NAME]: the end of that job, or of the last one */
static void verb_await(Words *w)
{
        const char *name = words_next(w);
        _cleanup_(freep) char *number = name ? variable_get(name) : NULL;
        char path[128];

        if (name && !number)
                give_up("no job '%s'", name);
        (void)snprintf(path, sizeof(path), JOB_PATH "%s", number ? number : "0");
        if (number || last_job)
                say_job_end(number ? path : last_job);
        files_look(1);
}

static void verb_spawn(Words *w)
{
        const char *name = words_need(w, "a name"), *kind = words_next(w);

        (void)process_spawn(name, kind ? kind : "plain");
}

/* dead NAME: a pid of nobody any more */
static void verb_dead(Words *w)
{
        const char *name = words_need(w, "a name");

        (void)process_spawn(name, "plain");
        process_kill(name, SIGKILL);
        process_say_end(name);
}

static void verb_kill(Words *w)
{
        const char *name = words_need(w, "a name");

        process_kill(name, atoi(words_need(w, "a signal")));
}

static void verb_end(Words *w)
{
        const char *name;

        while ((name = words_next(w)))
                process_say_end(name);
}

static void verb_signals(Words *w)
{
        const char *name;

        while ((name = words_next(w)))
                process_say_signals(name);
}

static void verb_where(Words *w)
{
        const char *name;

        while ((name = words_next(w)))
                process_say_group(name);
}

static void verb_open(Words *w)
{
        (void)bus_named(words_need(w, "a name"));
}

static void verb_close(Words *w)
{
        bus_close_named(words_need(w, "a name"));
}

static void verb_subscribe(Words *w)
{
        subscriber_start();
}

/* events MEMBER UNIT: waits for that one, then tells all */
static void verb_events(Words *w)
{
        const char *member = words_need(w, "a signal"), *unit = words_need(w, "a unit");

        subscriber_wait(member, unit);
        listener_sync();
        subscriber_say();
}

/* mkdir GROUP…, write GROUP FILE TEXT: done by somebody else than the manager */
static void verb_mkdir(Words *w)
{
        int r = group_write(words_need(w, "a group"), NULL, NULL);

        if (r < 0)
                say("mkdir: %s", strerror(-r));
}

static void verb_write(Words *w)
{
        const char *group = words_need(w, "a group"), *file = words_need(w, "a file");
        int r = group_write(group, file, words_need(w, "a text"));

        if (r < 0)
                say("write: %s", strerror(-r));
}

static int group_is_gone(void *data)
{
        return !group_exists(data);
}

/* nogroup GROUP: waits until it is away */
static void verb_nogroup(Words *w)
{
        const char *group = words_need(w, "a group");

        if (!wait_until(group_is_gone, (char *)group))
                say("group %s stays", group);
        files_look(1);
}

static void verb_files(Words *w)
{
        files_look(1);
}

/* as STEP…: by the unprivileged user, over a connection of its own */
static void verb_as(Words *w)
{
        const Verb *verb = verb_find(words_need(w, "a verb"));
        pid_t pid;

        if (!verb)
                give_up("no such verb");
        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                bus_after_fork();
                files_disable();
                if (setresgid(TESTER, TESTER, TESTER) < 0 || setresuid(TESTER, TESTER, TESTER) < 0)
                        give_up("cannot become %d", TESTER);
                verb->run(w);
                (void)fflush(stdout);
                _exit(0);
        }
        (void)waitpid(pid, NULL, 0);
        w->at = w->n;
}

char *variable_get(const char *name)
{
        char text[32];
        pid_t pid = streq(name, "self") ? getpid() : process_pid(name);

        for (size_t i = 0; i < MAX_KEPT; i++)
                if (kept[i][0] && streq(kept[i][0], name))
                        return strdup(kept[i][1] + strlen(JOB_PATH));
        if (pid <= 0)
                return NULL;
        (void)snprintf(text, sizeof(text), "%d", pid);
        return strdup(text);
}

int is_job_number(uint32_t number)
{
        char text[128];

        (void)snprintf(text, sizeof(text), JOB_PATH "%u", number);
        for (size_t i = 0; i < MAX_KEPT; i++)
                if (kept[i][1] && streq(kept[i][1], text))
                        return 1;
        return last_job && streq(last_job, text);
}

void variables_forget(void)
{
        for (size_t i = 0; i < MAX_KEPT; i++)
                for (size_t k = 0; k < 2; k++)
                        free(TAKE_PTR(kept[i][k]));
        free(TAKE_PTR(last_job));
        free(TAKE_PTR(under_test));
}

/* --- between scenarios ---- */

/* Asks all that is ours to go away; 1 if nothing is. */
static int nothing_left(void *data)
{
        sd_bus *bus = bus_named("listener");
        _cleanup_(sd_bus_message_unrefp_) sd_bus_message *reply = NULL;
        const char *unit, *skipped;
        uint32_t id;
        size_t n = 0;

        if (sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, MANAGER, "ListUnitsByPatterns",
                               NULL, &reply, "asas", 0, 1, OUR_UNITS "*") < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(ssssssouso)") < 0)
                give_up("units cannot be listed");
        while (sd_bus_message_read(reply, "(ssssssouso)", &unit, &skipped, &skipped, &skipped,
                                   &skipped, &skipped, &skipped, &id, &skipped, &skipped) > 0) {
                if (strncmp(unit, OUR_UNITS, strlen(OUR_UNITS)) != 0)
                        continue;
                if (data)
                        say("unit %s is left over", unit);
                n++;
                (void)sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, MANAGER, "ThawUnit",
                                         NULL, NULL, "s", unit);
                (void)sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, MANAGER, "StopUnit",
                                         NULL, NULL, "ss", unit, "replace");
                (void)sd_bus_call_method(bus, bus_destination(), MANAGER_PATH, MANAGER,
                                         "ResetFailedUnit", NULL, NULL, "s", unit);
        }
        return n == 0;
}

void clean_up(void)
{
        process_forget_all();
        for (const char *const *name = (const char *const[]){ "a", "b", "c", "subscriber", NULL };
             *name; name++)
                bus_close_named(*name);
        if (!wait_until(nothing_left, NULL))
                (void)nothing_left((void *)1);
        groups_remove_ours();
}

const Verb verbs[] = {
        {"as",                                                                verb_as, "VERB …: by uid 1000" },
        { "await",                                            verb_await, "[NAME]: the end of a job" },
        { "call",                                                            verb_call, "[@CONNECTION] METHOD [SIGNATURE VALUE…]: of the manager" },
        { "close",                                         verb_close, "CONNECTION" },
        { "dead",                                                             verb_dead, "NAME: a process that is no more" },
        { "end",        verb_end, "NAME…: waits until the process ended; tells how" },
        { "events",                                                            verb_events,
         "MEMBER UNIT: waits for that signal; tells what the subscriber got" },
        { "files",                                                       verb_files, "what changed in the groups of our units" },
        { "get",                                                             verb_get, "UNIT|OBJECT INTERFACE NAME…: properties" },
        { "getall",                                  verb_getall, "UNIT|OBJECT INTERFACE: all properties" },
        { "gone",                                                              verb_gone, "UNIT…: waits until it is not loaded" },
        { "introspect",                verb_introspect, "UNIT|OBJECT INTERFACE" },
        { "keep",                                                           verb_keep, "NAME: of the last job" },
        { "kill", verb_kill, "NAME SIGNAL" },
        { "list",                                                            verb_list, "METHOD [SIGNATURE VALUE…]: the rows about our units" },
        { "mkdir",                          verb_mkdir, "GROUP" },
        { "new",                                                              verb_new, "NAME SIGNATURE VALUE… [; …]: a scope started with that property" },
        { "nogroup",                        verb_nogroup, "GROUP: waits until it is removed" },
        { "on",                                                           verb_on, "[@CONNECTION] UNIT|OBJECT INTERFACE METHOD [SIGNATURE VALUE…]" },
        { "open",                            verb_open, "CONNECTION" },
        { "prop",                                                             verb_prop, "NAME SIGNATURE VALUE…: by SetUnitProperties of the unit in use" },
        { "set",                            verb_set, "UNIT [; NAME SIGNATURE VALUE…]…" },
        { "signals",                                                       verb_signals, "NAME…: that the process got" },
        { "spawn",                                            verb_spawn, "NAME [plain|telling|leaving|hog|user]" },
        { "start",                                                             verb_start,
         "[@CONNECTION] UNIT MODE [; NAME SIGNATURE VALUE…]…: and waits for the job" },
        { "state",                                            verb_state, "UNIT [SUBSTATE]: waits for it" },
        { "stop",                                                             verb_stop, "[@CONNECTION] UNIT [MODE]: and waits for the job" },
        { "subscribe",                                                      verb_subscribe, "a connection that writes down every signal" },
        { "use",                                                             verb_use, "UNIT: for prop" },
        { "where",            verb_where, "NAME…: groups of processes" },
        { "write",                                                            verb_write, "GROUP FILE TEXT: past the manager" },
        {                                                             },
};

const Verb *verb_find(const char *name)
{
        for (const Verb *v = verbs; v->name; v++)
                if (streq(v->name, name))
                        return v;
        return NULL;
}
