/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of chargectl: one table, and the parser that reads it. */

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include <chargehand/units.h>

#include "cli.h"
#include "suggest.h"

#define MOVERS "move plan place"

static const Option options[] = {
#define AT(member) .offset = offsetof(Options, member)
        { "help",      'h', .kind = OPTION_FLAG, AT(help), .help = "Show help, of the verb if there is one" },
        { "version",   0,   .kind = OPTION_FLAG, AT(version), .help = "Show the version" },
        { "no-pager",  0,   .kind = OPTION_FLAG, AT(no_pager), .help = "Do not pipe long output into a pager" },
        { "no-legend", 0,   .kind = OPTION_FLAG, AT(no_legend), .help = "No header and no footer on tables" },
        { "full",      'l', .kind = OPTION_FLAG, AT(full), .help = "Do not shorten cells on a terminal" },
        { "all",       'a', .kind = OPTION_FLAG, AT(all),
          .help = "More: columns, processes in the tree, empty properties" },
        { "quiet",     'q', .kind = OPTION_FLAG, AT(quiet), .help = "Say nothing where all goes well" },
        { "json",      0,   "MODE", OPTION_JSON, AT(json), .words = "short|pretty|off",
          .help = "Print JSON: short (one line), pretty or off" },
        { NULL,        'j', .kind = OPTION_JSON_AUTO, AT(json),
          .help = "As --json=pretty on a terminal, else --json=short" },
        { "raw",       0,   .kind = OPTION_FLAG, AT(raw), .help = "Sizes in bytes, times in µs, users as numbers" },
        { "property",  'p', "NAME", OPTION_STRINGS, AT(properties), .verbs = "show", .words = "@attribute",
          .help = "Only this property; may be repeated, or NAME,NAME" },
        { "property",  'p', "NAME=VALUE", OPTION_STRINGS, AT(properties), .verbs = "run", .words = "@setting",
          .help = "Set this property of the group before the program starts; may be repeated" },
        { "value",     0,   .kind = OPTION_FLAG, AT(value), .verbs = "show get-property",
          .help = "Only the value, without the name or type" },
        { "dry-run",   0,   .kind = OPTION_FLAG, AT(dry_run),
          .verbs = "move plan create remove set-property freeze thaw kill cancel run reserve place",
          .help = "Check and say what would be done; change nothing" },
        { "tree",      0,   .kind = OPTION_FLAG, AT(tree), .verbs = "map move plan place",
          .help = "The processes with all their descendants" },
        { "group",     0,   "GROUP", OPTION_STRING, AT(group), .verbs = MOVERS, .words = "@group",
          .help = "Move all processes of this group" },
        { "group",     0,   "GROUP", OPTION_STRING, AT(group), .verbs = "run", .words = "@group",
          .help = "Run in this group, made if there is none (default: one of its own, /run-PID-…)" },
        { "pid",       0,   "PID", OPTION_STRINGS, AT(pids), .verbs = MOVERS,
          .help = "A process to move; the same as naming it before the target" },
        { "policy",    0,   "POLICY", OPTION_STRING, AT(policy), .verbs = MOVERS,
          .words = "reserve|stay|lazy|partial", .help = "What becomes of the memory (default reserve)" },
        { "backend",   0,   "NAME", OPTION_STRINGS, AT(backends), .verbs = MOVERS, .words = "module|recharge|collapse|refault",
          .help = "How memory may be moved; may be repeated (default all)" },
        { "with-shared", 0, .kind = OPTION_FLAG, AT(with_shared), .verbs = MOVERS,
          .help = "Also shared memory, and pages that others map too (needs the kernel module)" },
        { "max-growth", 0,  "PERCENT", OPTION_PERMYRIAD, AT(max_growth_permyriad), GIVEN_GROWTH, MOVERS,
          .help = "How much the resident memory may grow (default 1%)" },
        { "rate",      0,   "BYTES", OPTION_BYTES, AT(rate_bytes_per_sec), GIVEN_RATE, MOVERS,
          .help = "Move at most so many bytes a second, e.g. 200M" },
        { "timeout",   0,   "TIME", OPTION_USEC, AT(timeout_usec), GIVEN_TIMEOUT,
          .help = "Give up after this time, e.g. 30s" },
        { "lease",     0,   "FD", OPTION_NUMBER, AT(lease), GIVEN_LEASE, "move plan",
          .help = "Use the room that this open file descriptor holds ($CHARGEHAND_LEASE, from 'reserve')" },
        { "note",      0,   "TEXT", OPTION_STRING, AT(note), .verbs = "reserve place",
          .help = "What it is for, shown by 'claims'; at most 128 bytes" },
        { "parents",   0,   .kind = OPTION_FLAG, AT(parents), .verbs = "create run",
          .help = "Make missing parents too" },
        { "exist-ok",  0,   .kind = OPTION_FLAG, AT(exist_ok), .verbs = "create",
          .help = "A group that is there already is no error" },
        { "uid",       0,   "USER", OPTION_USER, AT(uid), GIVEN_UID, "create",
          .help = "Give the group to this user (root only)" },
        { "gid",       0,   "GROUP", OPTION_GROUP, AT(gid), GIVEN_GID, "create",
          .help = "Give the group to this Unix group (root only)" },
        { "uid",       0,   "USER", OPTION_USER, AT(uid), GIVEN_UID, "run place",
          .help = "Run the program as this user, with its Unix groups (root only)" },
        { "gid",       0,   "GROUP", OPTION_GROUP, AT(gid), GIVEN_GID, "run place",
          .help = "Run the program under this Unix group (root only)" },
        { "bytes",     0,   "BYTES", OPTION_BYTES, AT(bytes), GIVEN_BYTES, "place",
          .help = "Memory that the program will need, or the processes beside what they have" },
        { "cpus",      0,   "N", OPTION_MILLI, AT(cpus_milli), .verbs = "place", .help = "CPUs that will be needed, e.g. 1.5" },
        { "nodes",     0,   "LIST", OPTION_STRING, AT(nodes), .verbs = "place", .help = "NUMA nodes that are wanted, e.g. 0-1,3" },
        { "pool",      0,   "NAME", OPTION_STRING, AT(pool), .verbs = "place", .words = "@pool",
          .help = "Choose among the groups of this pool of the daemon's configuration" },
        { "candidates", 0,  "GROUP", OPTION_STRINGS, AT(candidates), .verbs = "place", .words = "@group",
          .help = "Choose among these groups; may be repeated, or GROUP,GROUP" },
        { "placement", 0,   "POLICY", OPTION_STRING, AT(placement), .verbs = "place", .words = "spread|pack|affinity",
          .help = "What to prefer: the most room, the least that suffices, or where shared memory is (default: the pool's, else spread)" },
        { "weights",   0,   "TERM:N", OPTION_STRINGS, AT(weights), .verbs = "place",
          .help = "Weights of the terms of the score, e.g. headroom:3,sharing:10; those left out do not count" },
        { "hold",      0,   "TIME", OPTION_USEC, AT(hold_usec), GIVEN_HOLD, "place",
          .help = "Keep the room so long (default: 3min from the start of the program; without one until Ctrl-C or the end of a pipe)" },
        { "claim",     0,   "BYTES", OPTION_BYTES, AT(claim_bytes), GIVEN_CLAIM, "create run",
          .help = "Set so much memory aside for the group that is made; refused where there is no room (root only)" },
        { "cwd",       0,   "DIR", OPTION_STRING, AT(cwd), .verbs = "run place",
          .help = "Working directory of the program" },
        { "keep",      0,   .kind = OPTION_FLAG, AT(keep), .verbs = "run",
          .help = "Leave the group that was made; else it is removed if it is empty in the end" },
        { "verbose",   'v', .kind = OPTION_FLAG, AT(verbose), .verbs = "run place",
          .help = "Say on the standard error what is made, started, how, and removed" },
        { "recursive", 'r', .kind = OPTION_FLAG, AT(recursive), .verbs = "remove", .help = "The groups below too" },
        { "signal",    's', "SIGNAL", OPTION_STRING, AT(signal), .verbs = "kill",
          .words = "TERM|KILL|HUP|INT|USR1|USR2|STOP|CONT", .help = "The signal to send (default TERM)" },
        { "depth",     0,   "N", OPTION_NUMBER, AT(depth), GIVEN_DEPTH, "list tree",
          .help = "Go down this many levels only" },
        { "direct",    0,   .kind = OPTION_FLAG, AT(direct),
          .help = "Read the kernel's files directly, even if the daemon is there" },
        { "address",   0,   "ADDRESS", OPTION_STRING, AT(address),
          .help = "Bus address of the daemon (default: the system bus)" },
        { "root",      0,   "DIR", OPTION_STRING, AT(root),
          .help = "Read this hierarchy directly; implies --direct" },
        { "no-ask-password", 0, .kind = OPTION_FLAG, AT(no_ask_password),
          .help = "Never ask for authorisation interactively" },
        { "any-fs",    0,   .kind = OPTION_FLAG, AT(any_fs),
          .help = NULL /* hidden: --root may be a plain directory, for tests */ },
#undef AT
};

/* Bare numbers are seconds. */
int parse_usec(const char *text, uint64_t *ret)
{
        int r = ch_parse_usec(text, 1000000, ret);

        return r < 0 || *ret == UINT64_MAX ? -EINVAL : 0;
}

static int parse_number(const char *text, uint64_t *ret)
{
        char *end = NULL;

        if (!isdigit((unsigned char)text[0]))
                return -EINVAL;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno || *end ? -EINVAL : 0;
}

static int parse_milli(const char *text, uint64_t *ret)
{
        uint64_t whole, part = 0, scale = 1000;
        char *end = NULL;

        if (!isdigit((unsigned char)text[0]))
                return -EINVAL;
        errno = 0;
        whole = strtoull(text, &end, 10);
        if (errno || whole > UINT32_MAX / 1000 - 1)
                return -EINVAL;
        if (*end == '.')
                for (end++; isdigit((unsigned char)*end) && scale > 1; end++) {
                        scale /= 10;
                        part += scale * (uint64_t)(*end - '0');
                }
        *ret = whole * 1000 + part;
        return *end ? -EINVAL : 0;
}

static int parse_user(const char *text, uint64_t *ret)
{
        const struct passwd *pw = getpwnam(text);

        if (!pw)
                return parse_number(text, ret);
        *ret = pw->pw_uid;
        return 0;
}

static int parse_unix_group(const char *text, uint64_t *ret)
{
        const struct group *gr = getgrnam(text);

        if (!gr)
                return parse_number(text, ret);
        *ret = gr->gr_gid;
        return 0;
}

static int parse_json_mode(const char *text, int *ret)
{
        static const char *const words[] = {
                [JSON_OFF] = "off", [JSON_SHORT] = "short", [JSON_PRETTY] = "pretty"
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i], text)) {
                        *ret = (int)i;
                        return 0;
                }
        return -EINVAL;
}

static const struct {
        int (*parse)(const char *text, uint64_t *ret);
        const char *expected;
} number_kinds[] = {
        [OPTION_BYTES]     = { ch_parse_bytes,   "a size such as 512M or 1.5GiB" },
        [OPTION_PERMYRIAD] = { ch_parse_permyriad, "a percentage such as 1%" },
        [OPTION_USEC]      = { parse_usec,       "a time such as 30s, 500ms or 2min" },
        [OPTION_NUMBER]    = { parse_number,     "a whole number" },
        [OPTION_MILLI]     = { parse_milli,      "a number such as 2 or 1.5" },
        [OPTION_USER]      = { parse_user,       "a user name or number" },
        [OPTION_GROUP]     = { parse_unix_group, "a Unix group's name or number" },
};

const Option *option_table(size_t *ret_n)
{
        *ret_n = ELEMENTSOF(options);
        return options;
}

int option_is_for(const Option *option, const char *verb)
{
        size_t length = strlen(verb);
        const char *at = option->verbs;

        if (!at)
                return 1;
        while ((at = strstr(at, verb))) {
                int starts = at == option->verbs || at[-1] == ' ';

                if (starts && (at[length] == ' ' || at[length] == '\0'))
                        return 1;
                at += length;
        }
        return 0;
}

const Option *option_of_verb(const Option *option, const char *verb)
{
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                const Option *o = &options[i];
                int same = option->name ? o->name && streq(o->name, option->name)
                                        : o->letter == option->letter;

                if (same && option_is_for(o, verb))
                        return o;
        }
        return NULL;
}

static int usage(char **ret_why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int usage(char **ret_why, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        if (vasprintf(ret_why, format, args) < 0)
                *ret_why = NULL;
        va_end(args);
        return CTL_USAGE;
}

static const Option *find_long(const char *name, size_t length)
{
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (options[i].name && strlen(options[i].name) == length &&
                    strncmp(options[i].name, name, length) == 0)
                        return &options[i];
        return NULL;
}

static const Option *find_letter(char letter)
{
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (options[i].letter && options[i].letter == letter)
                        return &options[i];
        return NULL;
}

static int unknown_option(const char *name, size_t length, char **ret_why)
{
        _cleanup_(freep) char *typed = strndup(name, length);
        Suggest suggest;

        if (!typed)
                return CTL_FAILED;
        suggest = suggest_begin(typed);
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (options[i].name && options[i].help)
                        suggest_offer(&suggest, options[i].name);
        if (suggest.best)
                return usage(ret_why, "--%s: unknown option; did you mean '--%s'?", typed,
                             suggest.best);
        return usage(ret_why, "--%s: unknown option; see 'chargectl help'", typed);
}

static int list_add(StringList *list, const char *item)
{
        const char **items = realloc(list->items, (list->n + 1) * sizeof(*items));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n++] = item;
        return 0;
}

/* Splits at commas, in place: argv is ours. */
static int list_add_words(StringList *list, char *value)
{
        char *save = NULL;

        if (strchr(value, '='))
                return list_add(list, value);
        for (char *word = strtok_r(value, ",", &save); word; word = strtok_r(NULL, ",", &save))
                if (list_add(list, word) < 0)
                        return -ENOMEM;
        return 0;
}

static int option_apply(const Option *option, char *value, Options *ret, char **ret_why)
{
        void *member = (char *)ret + option->offset;

        switch (option->kind) {
        case OPTION_FLAG:
                *(int *)member = 1;
                return CTL_OK;
        case OPTION_JSON_AUTO:
                *(int *)member = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
                return CTL_OK;
        case OPTION_STRING:
                *(const char **)member = value;
                return CTL_OK;
        case OPTION_STRINGS:
                return list_add_words(member, value) < 0 ? CTL_FAILED : CTL_OK;
        case OPTION_JSON:
                if (parse_json_mode(value, member) < 0)
                        return usage(ret_why, "--json=%s: unknown mode; use short, pretty or off",
                                     value);
                return CTL_OK;
        default:
                if (number_kinds[option->kind].parse(value, member) < 0)
                        return usage(ret_why, "--%s=%s: not %s", option->name, value,
                                     number_kinds[option->kind].expected);
                ret->given |= option->given;
                return CTL_OK;
        }
}

/* One "--name", "--name=value" or "--name value"; *i is moved past what was used. */
static int parse_long(int argc, char **argv, int *i, Options *ret, char **ret_why)
{
        const char *name = argv[*i] + 2;
        size_t length = strcspn(name, "=");
        const Option *option = find_long(name, length);
        char *value = name[length] == '=' ? argv[*i] + 2 + length + 1 : NULL;
        char default_mode[] = "short";

        if (!option)
                return unknown_option(name, length, ret_why);
        if (!option->arg) {
                if (value)
                        return usage(ret_why, "--%s: takes no value", option->name);
                return option_apply(option, NULL, ret, ret_why);
        }
        if (!value && option->kind == OPTION_JSON)
                value = default_mode; /* never takes the next word: "map --json 123" */
        if (!value && *i + 1 < argc)
                value = argv[++*i];
        if (!value)
                return usage(ret_why, "--%s: needs a value: --%s=%s", option->name, option->name,
                             option->arg);
        return option_apply(option, value, ret, ret_why);
}

/* A cluster of letters, "-qj"; the last may take a value: "-pNAME" or "-p NAME". */
static int parse_letters(int argc, char **argv, int *i, Options *ret, char **ret_why)
{
        for (char *at = argv[*i] + 1; *at; at++) {
                const Option *option = find_letter(*at);
                char *value = NULL;
                int r;

                if (!option)
                        return usage(ret_why, "-%c: unknown option; see 'chargectl help'", *at);
                if (option->arg) {
                        if (at[1])
                                value = at + 1;
                        else if (*i + 1 < argc)
                                value = argv[++*i];
                        else
                                return usage(ret_why, "-%c: needs a value: -%c %s", *at, *at,
                                             option->arg);
                }
                r = option_apply(option, value, ret, ret_why);
                if (r != CTL_OK || value)
                        return r;
        }
        return CTL_OK;
}

/* Do these first words make all that follows a command line of another program? */
static int is_command(char **args, size_t n)
{
        const Verb *verb = n == 2 ? verb_find(args[0]) : NULL;

        return verb && (verb->flags & VERB_COMMAND);
}

int options_parse(int argc, char **argv, Options *ret, char **args, size_t *ret_n_args,
                  char **ret_why)
{
        size_t n = 0;
        int only_args = 0;

        for (int i = 1; i < argc; i++) {
                int r = CTL_OK;

                if (only_args || argv[i][0] != '-' || argv[i][1] == '\0') {
                        args[n++] = argv[i];
                        only_args = only_args || is_command(args, n);
                }
                else if (streq(argv[i], "--"))
                        only_args = 1;
                else if (argv[i][1] == '-')
                        r = parse_long(argc, argv, &i, ret, ret_why);
                else
                        r = parse_letters(argc, argv, &i, ret, ret_why);
                if (r != CTL_OK)
                        return r;
        }
        args[n] = NULL;
        *ret_n_args = n;
        return CTL_OK;
}

const Option *options_find_stray(int argc, char **argv, const char *verb, const char *command)
{
        for (int i = 1; i < argc && argv[i] != command && !streq(argv[i], "--"); i++) {
                const Option *option = NULL;

                if (argv[i][0] != '-' || argv[i][1] == '\0')
                        continue;
                if (argv[i][1] == '-')
                        option = find_long(argv[i] + 2, strcspn(argv[i] + 2, "="));
                else
                        option = find_letter(argv[i][1]);
                if (option && !option_of_verb(option, verb))
                        return option;
        }
        return NULL;
}

void options_done(Options *o)
{
        free(o->properties.items);
        free(o->backends.items);
        free(o->pids.items);
        free(o->candidates.items);
        free(o->weights.items);
        *o = (Options){ 0 };
}
