/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_CLI_H
#define CTL_CLI_H

/*
 * chargectl: the verb table and what every verb finds. Start reading at main.c; each verb is in
 * verb-*.c, where the data comes from is in access.h, how it is printed in table.h.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common.h"
#include "options.h"
#include "table.h"

typedef struct Cli Cli;
typedef struct Verb Verb;
struct Access;

enum {
        VERB_READS    = 1 << 0, /* works with the daemon, or without it on the kernel's files */
        VERB_DAEMON   = 1 << 1, /* needs the daemon */
        VERB_CHANGES  = 1 << 2, /* changes something: --dry-run exists */
        VERB_HIDDEN   = 1 << 3, /* not in the help */
        VERB_OWN_ARGS = 1 << 4, /* words after it are its own, also those with dashes */
        VERB_COMMAND  = 1 << 5, /* its first argument begins a command line, which has options of its own */
};

#define ANY_ARGS 65535u

struct Verb {
        const char *name;
        const char *args;       /* "PID… GROUP", for the usage line */
        unsigned min_args, max_args;
        uint32_t flags;
        const char *complete;   /* kind of each argument, '|' between; the last one repeats:
                                   "group|setting" */
        const char *help;       /* one line */
        int (*run)(Cli *cli, int argc, char **argv); /* returns an exit code */
        const char *examples;   /* lines, may be NULL */
};

struct Cli {
        Options options;
        Style style;
        const Verb *verb;
        const struct Access *access; /* where data comes from, after cli_open() */
        sd_bus *bus;            /* set when the daemon is used */
        ch_tree *tree;          /* set when the kernel's files are read directly */
        int pager_pid;
        int hush;               /* cli_fail() keeps what it says in `hushed`: what is tried may fail */
        char *hushed;
};

/* verbs.c */
const Verb *verb_table(size_t *ret_n);
const Verb *verb_find(const char *name);

/* run.c: run one command line; returns the exit code. */
int cli_main(int argc, char **argv);

/* ui.c */
void style_init(Style *style, const Options *options);
/* Say "chargectl: PATH: cause" on stderr and return the exit code. `path` may be NULL. */
int cli_fail(Cli *cli, int code, const char *path, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* The same from an error of the library; the code is its kind's. */
int cli_fail_error(Cli *cli, const ch_error *error);
int cli_fail_memory(Cli *cli);
/* "note: …" on stderr, not with --quiet. */
void note(Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* With --json print the object and return 1, else 0. */
int print_json(Cli *cli, struct json_object *object);
/* Pipe what follows into a pager if stdout is a terminal. */
void pager_start(Cli *cli);
/* Write out what is left and wait for the pager. Returns CTL_FAILED where it cannot be written. */
int output_end(Cli *cli);
/* "1 group", "2 groups" */
#define PLURAL(n) (size_t)(n), (n) == 1 ? "" : "s"

/* json.c: small readers of objects; a missing member reads as 0, "" or NULL. */
struct json_object *jget(struct json_object *object, const char *key);
uint64_t jnumber(struct json_object *object, const char *key);
const char *jtext(struct json_object *object, const char *key);
int jbool(struct json_object *object, const char *key);
size_t jcount(struct json_object *object, const char *key); /* length of the array, 0 if none */
/* Add a member; takes the value. -ENOMEM where the value is NULL. */
int jadd(struct json_object *object, const char *key, struct json_object *value);
struct json_object *jstring(const char *text); /* escapes what is no UTF-8 */

/* What a person names: a process or a group. */
typedef struct Target {
        pid_t pid;              /* 0 = it is a group */
        const char *group;
} Target;
/* "1234" or "/web"; anything else is told and CTL_USAGE. */
int target_parse(Cli *cli, const char *text, Target *ret);
/* CTL_OK if the text is a group path, else says why not. */
int group_check(Cli *cli, const char *path);

#define TABLE(cli, columns, rows)                                                                  \
        table_print(stdout, &(cli)->style, columns, ELEMENTSOF(columns), rows, (cli)->options.all)

/* The verbs: verb-NAME.c */
int verb_list(Cli *cli, int argc, char **argv);
int verb_tree(Cli *cli, int argc, char **argv);
int verb_status(Cli *cli, int argc, char **argv);
int verb_show(Cli *cli, int argc, char **argv);
int verb_get_property(Cli *cli, int argc, char **argv);
int verb_set_property(Cli *cli, int argc, char **argv);
int verb_map(Cli *cli, int argc, char **argv);
int verb_owner(Cli *cli, int argc, char **argv);
int verb_plan(Cli *cli, int argc, char **argv);
int verb_move(Cli *cli, int argc, char **argv);
int verb_place(Cli *cli, int argc, char **argv);
int verb_pools(Cli *cli, int argc, char **argv);
int verb_create(Cli *cli, int argc, char **argv);
int verb_remove(Cli *cli, int argc, char **argv);
int verb_freeze(Cli *cli, int argc, char **argv);
int verb_thaw(Cli *cli, int argc, char **argv);
int verb_run(Cli *cli, int argc, char **argv);
int verb_kill(Cli *cli, int argc, char **argv);
int verb_jobs(Cli *cli, int argc, char **argv);
int verb_cancel(Cli *cli, int argc, char **argv);
int verb_reserve(Cli *cli, int argc, char **argv);
int verb_claims(Cli *cli, int argc, char **argv);
int verb_explain(Cli *cli, int argc, char **argv);
int verb_introspect(Cli *cli, int argc, char **argv);
int verb_call(Cli *cli, int argc, char **argv);
int verb_monitor(Cli *cli, int argc, char **argv);
int verb_probe(Cli *cli, int argc, char **argv);
int verb_snapshot(Cli *cli, int argc, char **argv);
int verb_reload(Cli *cli, int argc, char **argv);
int verb_help(Cli *cli, int argc, char **argv);
int verb_complete(Cli *cli, int argc, char **argv);
int verb_usage(Cli *cli, const Verb *verb); /* help of one verb */

#endif
