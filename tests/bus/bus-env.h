/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_BUS_ENV_H
#define CH_TESTS_BUS_ENV_H

/*
 * A private message bus (dbus-daemon or dbus-broker), a fake hierarchy, chargehandd on both, and a
 * client. Every failure ends the test (cmocka). Waits poll a condition with a deadline.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "fake-cgroup.h"

typedef struct Signal {
        char *member;
        char *path;  /* of the object that sent it */
        char *first; /* first argument as text */
        char *all;   /* all strings and numbers of the message, separated by blanks */
} Signal;

typedef struct Env {
        int is_broker;
        char dir[64]; /* readable for everybody */
        char socket[96], address[128];
        pid_t bus, daemon;
        sd_bus *controller; /* of dbus-broker */
        FakeCgroup *fake;
        const char *root; /* of the hierarchy: the fake one's, or set by the test */
        sd_bus *client;
        Signal *signals;
        size_t n_signals, signals_allocated;
} Env;

/* The kind is what the test program was called with: "dbus-daemon" or "dbus-broker". */
int env_setup(
        void **state); /* for cmocka: bus, fake root with /web, /web/api, /db; daemon; client */
int env_teardown(void **state);
extern const char *env_kind, *env_program; /* set by main() */

void env_start_bus(Env *env);
void env_stop_bus(Env *env);
/* chargehandd with these arguments more; NULL-terminated. Waited for until it owns the name. */
void env_start_daemon(Env *env, ...) __attribute__((sentinel));
/* A run that is to fail at start: its exit code; what it said in *ret_said, to be freed. Also for
 * --version and the like. */
int env_run_daemon(Env *env, char **ret_said, ...) __attribute__((sentinel));
/* Its exit code; -signal when a signal ended it. */
int env_stop_daemon(Env *env, int signum);
void env_connect(Env *env);
/* Signals of another name too, for env_count() and the like. */
void env_listen(Env *env, const char *name);

/* Calls of the manager. `types` as sd_bus_message_append(); the reply must be freed. */
sd_bus_message *env_call(Env *env, const char *member, const char *types, ...);
/* The call must fail with that org.chargehand1.Error and a message that holds `text`. */
void env_call_fails(Env *env, const char *kind, const char *text, const char *member,
                    const char *types, ...);
/* The same, of any object and interface; the full error name. */
void env_object_fails(Env *env, const char *error, const char *path, const char *interface,
                      const char *member, const char *types, ...);
sd_bus_message *env_object_call(Env *env, const char *path, const char *interface,
                                const char *member, const char *types, ...);
/* As another uid, from a process of its own: 0 it worked, else the kind's words in `ret_error` (128
 * bytes). */
int env_call_as(Env *env, uid_t uid, char *ret_error, const char *member, const char *types, ...);

/* Signals that came so far. `first` NULL: any. */
size_t env_count(Env *env, const char *member, const char *first);
/* Until `n` of them have come; fails after some seconds. */
void env_wait_signal(Env *env, const char *member, const char *first, size_t n);
void env_forget_signals(Env *env);
/* A round trip through the daemon and its inotify: what was to come has come. */
void env_settle(Env *env);
/* Polls until func() returns != 0; fails after some seconds. */
void env_wait(Env *env, int (*func)(Env *env, void *userdata), void *userdata);

static inline void reply_freep(sd_bus_message **reply)
{
        sd_bus_message_unref(*reply);
}

#endif
