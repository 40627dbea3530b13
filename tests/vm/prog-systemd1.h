/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROG_SYSTEMD1_H
#define PROG_SYSTEMD1_H

/*
 * Plays a script of D-Bus calls to whoever owns org.freedesktop.systemd1 and prints what came of
 * each, free of numbers that differ from run to run: systemd1-calls.txt tells the language.
 *
 *     prog-systemd1-bus.c      connections, values from and to text, signals
 *     prog-systemd1-files.c    what the groups' files say, and what changed
 *     prog-systemd1-process.c  processes to be put into scopes
 *     prog-systemd1-value.c    values of messages from and to text
 *     prog-systemd1-signals.c  the subscriber
 *     prog-systemd1-look.c     the verbs that only look
 *     prog-systemd1-verbs.c    the verbs of the script, a table
 *     prog-systemd1.c          reading the script, scenarios
 */

#include <stdio.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "util.h"

#define NAME            "org.freedesktop.systemd1"
#define MANAGER         NAME ".Manager"
#define MANAGER_PATH    "/org/freedesktop/systemd1"
#define JOB_PATH        MANAGER_PATH "/job/"
#define UNIT_PATH       MANAGER_PATH "/unit/"
#define OUR_UNITS       "zz" /* every unit of the script begins so, all others are somebody else's */
#define MAX_WORDS       512
#define MAX_PROCESSES   32
#define MAX_CONNECTIONS 8

/* --- what all share (one run, one script) ---- */
typedef struct Options {
        const char *private_socket; /* NULL: system bus */
        const char *root;           /* of the manager's tree, such as /sys/fs/cgroup */
        uint64_t wait_usec;         /* deadline of each condition */
} Options;
extern Options options;

/* Words of a step; `at` is the next one. */
typedef struct Words {
        char **items;
        size_t n, at;
} Words;
const char *words_next(Words *w); /* NULL: none left */

/* Prints "text" where it may go on; the observations of a step. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* 1: from now on the lines are kept back; 0: they are told, sorted. */
void say_sorted(int on);
/* Ends the run: the script or the surroundings are wrong, nothing was observed. */
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- prog-systemd1-bus.c ---- */
typedef struct Removed { /* one JobRemoved that the listener got */
        char *job, *unit, *result;
} Removed;

sd_bus *bus_open(void);
/* By its name in the script: "" is the usual one, "listener" hears of JobRemoved. */
sd_bus *bus_named(const char *name);
void bus_close_named(const char *name);

void bus_setup(void);
void bus_after_fork(void); /* the parent's connections are not ours */
/* "org.freedesktop.systemd1", NULL on the private socket */
const char *bus_destination(void);
/* Appends the words as values of the signature. */
void message_append_words(sd_bus_message *m, const char *signature, Words *w);
/* a(sv) from "; NAME SIGNATURE VALUE… ; …" up to the end of the words. */
void message_append_properties(sd_bus_message *m, Words *w);
/* Numbers of type u that are those of known jobs are told as N from now on (or not). */
void message_mask_jobs(int on);
/* All that is left of the message (or of the container), as text; caller frees. */
char *message_to_text(sd_bus_message *m);
/* Calls; on failure prints the error. Returns the reply or NULL. */
sd_bus_message *bus_call(sd_bus *bus, sd_bus_message *m);
void say_error(const sd_bus_error *error);
/* The text with pids, job numbers and the root replaced; caller frees. */
char *normalise(const char *text);
/* What systemd takes for infinite tasks, a share of what the machine can have; UINT64_MAX: none. */
uint64_t default_tasks_max(void);
/* All signals that were sent before this are in. */
void listener_sync(void);
/* Waits; NULL: it did not come in time. */
const Removed *listener_wait(const char *job);
void listener_forget(void);
size_t listener_count(const char *job);
/* The subscriber: a connection of its own. */
void subscriber_start(void);
void subscriber_wait(const char *member, const char *unit);
void subscriber_say(void);
void subscriber_forget(void);
/* The object path of a unit; caller frees. */
char *unit_object(const char *name);
/* ActiveState and SubState; 0 if it is not loaded. */
int unit_state(const char *name, char **ret_active, char **ret_sub);

/* --- prog-systemd1-files.c ---- */
void files_look(int print);   /* remembers; prints what changed since the last look */
void files_in_shares(int on); /* numbers are told as shares of the machine */
void files_forget(void);
void files_disable(void); /* in a child that may not look */
int group_exists(const char *path);
int group_lies_about(const char *name); /* an empty one, whose last part is that */
void groups_remove_ours(void);
int group_write(const char *path, const char *file, const char *text);

/* --- prog-systemd1-process.c ---- */
int process_be(int argc, char **argv); /* the child's main */
pid_t process_spawn(const char *name, const char *kind);
pid_t process_pid(const char *name); /* 0: no such */
const char *process_name(pid_t pid); /* NULL: none of ours */
void process_kill(const char *name, int signal);
void process_say_end(const char *name);
void process_say_signals(const char *name);
void process_say_group(const char *name);
void process_forget_all(void); /* kills and reaps */

/* --- prog-systemd1-look.c ---- */
const char *words_need(Words *w, const char *what);
sd_bus *words_connection(Words *w); /* "@NAME": another one than the usual */
sd_bus_message *new_call(sd_bus *bus, const char *path, const char *interface, const char *method);
char *object_of(const char *word); /* of a unit, or an object's path as it is; caller frees */
const char *interface_of(const char *word); /* "Unit" in full */
void say_property(const char *unit, const char *name);
void verb_get(Words *w);
void verb_getall(Words *w);
void verb_list(Words *w);
void verb_introspect(Words *w);

/* --- prog-systemd1-verbs.c ---- */
typedef struct Verb {
        const char *name;
        void (*run)(Words *w);
        const char *usage;
} Verb;
extern const Verb verbs[];
const Verb *verb_find(const char *name);
/* Value of $NAME for the script; caller frees, NULL: unknown. */
char *variable_get(const char *name);
void variables_forget(void);
int is_job_number(uint32_t number); /* of the last job or of a kept one */
void clean_up(void);                /* no unit, process or group of ours is left */
int wait_until(int (*condition)(void *), void *data);

static inline void sd_bus_message_unrefp_(sd_bus_message **m)
{
        (void)sd_bus_message_unref(*m);
}

#endif
