/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

/* The options of chargectl as one table: parsing, help and completion are made from it. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum JsonMode { JSON_OFF, JSON_SHORT, JSON_PRETTY } JsonMode;

typedef struct StringList {
        const char **items;     /* borrowed from argv */
        size_t n;
} StringList;

typedef struct Options {
        int help, version, no_pager, no_legend, full, all, quiet, value, dry_run, tree, raw, direct,
                with_shared;
        int any_fs, no_ask_password, parents, recursive, exist_ok, keep, verbose;
        int json;                       /* JsonMode */
        const char *address, *root, *policy, *group, *signal, *cwd;
        const char *pool, *placement, *nodes, *note;
        StringList properties, backends, pids, candidates, weights;
        uint64_t max_growth_permyriad, rate_bytes_per_sec, timeout_usec, depth, uid, gid, claim_bytes, lease;
        uint64_t bytes, cpus_milli, hold_usec;
        uint32_t given;                 /* GIVEN_*: numbers that were on the command line */
} Options;

enum {
        GIVEN_GROWTH  = 1 << 0,
        GIVEN_RATE    = 1 << 1,
        GIVEN_TIMEOUT = 1 << 2,
        GIVEN_DEPTH   = 1 << 3,
        GIVEN_UID     = 1 << 4,
        GIVEN_GID     = 1 << 5,
        GIVEN_CLAIM   = 1 << 6,
        GIVEN_LEASE   = 1 << 7,
        GIVEN_BYTES   = 1 << 8,
        GIVEN_HOLD    = 1 << 9,
};

typedef enum OptionKind {
        OPTION_FLAG,
        OPTION_STRING,
        OPTION_STRINGS,         /* may be repeated, and separated by commas; NAME=VALUE is one, whatever it has */
        OPTION_JSON,            /* short|pretty|off */
        OPTION_JSON_AUTO,       /* -j */
        OPTION_BYTES,           /* 100M */
        OPTION_PERMYRIAD,       /* 1% */
        OPTION_USEC,            /* 30s */
        OPTION_NUMBER,
        OPTION_MILLI,           /* 1.5 → 1500 */
        OPTION_USER,            /* a user name or uid */
        OPTION_GROUP,           /* a group name or gid */
} OptionKind;

/* An option that means different things to different verbs has a row for each, alike in all that the parser looks at. */
typedef struct Option {
        const char *name;       /* without the dashes */
        char letter;            /* 0 = none */
        const char *arg;        /* what the value is called, NULL = takes none */
        OptionKind kind;
        size_t offset;          /* in Options */
        uint32_t given;         /* bit set in Options.given, 0 = none */
        const char *verbs;      /* those that know it, separated by spaces; NULL = all */
        const char
                *words; /* values to offer, separated by '|'; "@group", "@attribute": live ones */
        const char *help;
} Option;

const Option *option_table(size_t *ret_n);
/* Is the option one of the verb's? */
int option_is_for(const Option *option, const char *verb);
/* The row of the same option that is the verb's, NULL: none. */
const Option *option_of_verb(const Option *option, const char *verb);

/*
 * Sort argv[1…] into options and the rest, which is put in order into args[] (room for argc;
 * NULL-terminated). Options may stand anywhere; all after "--" is the rest, and all from the first argument of a verb on
 * that runs a command. Returns an exit code, and on CTL_USAGE the reason in *ret_why (caller frees).
 */
int options_parse(int argc, char **argv, Options *ret, char **args, size_t *ret_n_args,
                  char **ret_why);
/* The first option given on the command line, before the word `command` (may be NULL), that the verb does not know; NULL
 * if all are fine. */
const Option *options_find_stray(int argc, char **argv, const char *verb, const char *command);
void options_done(Options *options);

/* "30s" → µs. 0 or -EINVAL. */
int parse_usec(const char *text, uint64_t *ret);

#endif
