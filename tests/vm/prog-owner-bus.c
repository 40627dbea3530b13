/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What chargehandd says of owners, and moves by it. */

#include <systemd/sd-bus.h>

#include "prog-owner.h"

#define NAME      "org.chargehand1"
#define PATH      "/org/chargehand1"
#define INTERFACE "org.chargehand1.Manager"
#define CHANGES   256

typedef struct Change {
        uint32_t from, to;
        char cause[16];
} Change;

static sd_bus *bus;
static Change changes[CHANGES];
static size_t n_changes;

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *group, *cause;
        Change change;
        uint64_t mm;

        if (sd_bus_message_read(message, "uutss", &change.from, &change.to, &mm, &group, &cause) <
            0)
                die("OwnerChanged has other arguments than it should");
        (void)snprintf(change.cause, sizeof(change.cause), "%s", cause);
        changes[n_changes++ % CHANGES] = change;
        return 0;
}

void bus_open(void)
{
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NAME, PATH, INTERFACE, "OwnerChanged",
                                        on_changed, NULL);
        if (r < 0)
                die("the bus: %s", strerror(-r));
}

static void take_entry(const char *key, sd_bus_message *reply, Answer *answer)
{
        const char *text;
        uint32_t pid;

        if (streq(key, "owner") && sd_bus_message_read(reply, "v", "u", &pid) >= 0)
                answer->owner = (pid_t)pid;
        else if (streq(key, "group") && sd_bus_message_read(reply, "v", "s", &text) >= 0)
                (void)snprintf(answer->group, sizeof(answer->group), "%s", text);
        else if (streq(key, "source") && sd_bus_message_read(reply, "v", "s", &text) >= 0)
                (void)snprintf(answer->source, sizeof(answer->source), "%s", text);
        else
                (void)sd_bus_message_skip(reply, "v");
}

static void ask(pid_t pid, Answer *ret)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *key;

        *ret = (Answer){ 0 };
        if (sd_bus_call_method(bus, NAME, PATH, INTERFACE, "GetOwner", &error, &reply, "u",
                               (uint32_t)pid) < 0) {
                (void)snprintf(ret->group, sizeof(ret->group), "%s",
                               error.name ? error.name : "no answer");
                sd_bus_error_free(&error);
                return;
        }
        if (sd_bus_message_enter_container(reply, 'a', "{sv}") >= 0)
                while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                        if (sd_bus_message_read(reply, "s", &key) >= 0)
                                take_entry(key, reply, ret);
                        (void)sd_bus_message_exit_container(reply);
                }
        sd_bus_message_unref(reply);
}

void bus_owner(pid_t pid, const char *group, Answer *ret)
{
        uint64_t end = now_usec() + WAIT_USEC;

        do
                ask(pid, ret);
        while (!streq(ret->group, group) && now_usec() < end && usleep(20000) == 0);
}

void bus_move(pid_t pid, const char *group)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        uint64_t end = now_usec() + WAIT_USEC;
        const char *object;
        char *state = NULL;
        uint32_t job;

        if (sd_bus_call_method(bus, NAME, PATH, INTERFACE, "Move", &error, &reply, "a{sv}", 3,
                               "pids", "au", 1, (uint32_t)pid, "target", "s", group, "policy", "s",
                               "stay") < 0)
                die("Move of %d to %s: %s", (int)pid, group, error.message);
        if (sd_bus_message_read(reply, "uo", &job, &object) < 0)
                die("Move has other results than it should");
        do {
                free(TAKE_PTR(state));
                if (sd_bus_get_property_string(bus, NAME, object, NAME ".Job", "State", &error,
                                               &state) < 0)
                        die("State of %s: %s", object, error.message);
        } while (!streq(state, "finished") && now_usec() < end && usleep(20000) == 0);
        if (!streq(state, "finished"))
                die("the move of %d to %s is %s", (int)pid, group, state);
        free(state);
        sd_bus_message_unref(reply);
}

int bus_saw_change(pid_t from, pid_t to, const char *cause)
{
        uint64_t end = now_usec() + WAIT_USEC;

        do {
                while (sd_bus_process(bus, NULL) > 0)
                        ;
                for (size_t i = 0; i < n_changes && i < CHANGES; i++)
                        if (changes[i].from == (uint32_t)from && changes[i].to == (uint32_t)to &&
                            streq(changes[i].cause, cause))
                                return 1;
        } while (now_usec() < end && sd_bus_wait(bus, 100000) >= 0);
        return 0;
}
