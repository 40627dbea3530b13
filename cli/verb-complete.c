/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl complete: the words that may stand where the cursor is, each with a description, for
 * the shells' glue. */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "access.h"
#include "bus.h"

typedef struct Completion {
        Cli *cli;
        const char *word;       /* what is typed so far */
        const char *prefix;     /* put before each candidate: "--json=" */
} Completion;

static void offer(const Completion *c, const char *candidate, const char *description)
{
        _cleanup_(freep) char *full = NULL, *safe = NULL;

        if (asprintf(&full, "%s%s", c->prefix, candidate) < 0 ||
            strncmp(full, c->word, strlen(c->word)) != 0)
                return;
        safe = text_escape(full);
        if (safe)
                printf("%s\t%s\n", safe, description ? description : "");
}

static void offer_verbs(const Completion *c)
{
        size_t n;
        const Verb *verbs = verb_table(&n);

        for (size_t i = 0; i < n; i++)
                if (!(verbs[i].flags & VERB_HIDDEN))
                        offer(c, verbs[i].name, verbs[i].help);
}

static void offer_topics(const Completion *c)
{
        offer_verbs(c);
        offer(c, "attributes", "All properties of groups");
        offer(c, "options", "All options");
        offer(c, "errors", "Errors and exit codes");
}

/* Errors are nobody's business while a word is being typed. */
static int open_quietly(Cli *cli)
{
        int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC), r;

        if (saved < 0 || null < 0)
                return CTL_FAILED;
        (void)dup2(null, STDERR_FILENO);
        cli->options.timeout_usec = 2000000;
        cli->options.given |= GIVEN_TIMEOUT;
        r = cli->access ? CTL_OK : cli_open(cli);
        close(saved);
        close(null);
        return r;
}

static void offer_groups(const Completion *c)
{
        _cleanup_(json_putp) struct json_object *rows = NULL;

        if (open_quietly(c->cli) != CTL_OK || c->cli->access->list(c->cli, "/", 0, &rows) != CTL_OK)
                return;
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);

                offer(c, jtext(row, "path"),
                      jbool(row, "frozen")      ? "frozen"
                      : jbool(row, "populated") ? ""
                                                : "empty");
        }
}

static void offer_pids(const Completion *c)
{
        DIR *proc = opendir("/proc");
        struct dirent *entry;

        while (proc && (entry = readdir(proc))) {
                char path[64], comm[64] = "";
                FILE *f;

                if (!isdigit((unsigned char)entry->d_name[0]) ||
                    strncmp(entry->d_name, c->word, strlen(c->word)) != 0)
                        continue;
                snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
                f = fopen(path, "re");
                if (f && fgets(comm, sizeof(comm), f))
                        comm[strcspn(comm, "\n")] = '\0';
                if (f)
                        fclose(f);
                offer(c, entry->d_name, comm);
        }
        if (proc)
                closedir(proc);
}

/* Programs of $PATH; nothing for an empty word, as they are thousands. */
static void offer_commands(const Completion *c)
{
        const char *path = getenv("PATH");
        _cleanup_(freep) char *copy = strdup(path ? path : "");
        char *save = NULL;

        if (!copy || !c->word[0])
                return;
        for (char *name = strtok_r(copy, ":", &save); name; name = strtok_r(NULL, ":", &save)) {
                DIR *dir = opendir(name);
                struct dirent *entry;

                while (dir && (entry = readdir(dir)))
                        if (strncmp(entry->d_name, c->word, strlen(c->word)) == 0 &&
                            faccessat(dirfd(dir), entry->d_name, X_OK, 0) == 0)
                                offer(c, entry->d_name, name);
                if (dir)
                        closedir(dir);
        }
}

static void offer_attributes(const Completion *c)
{
        for (size_t i = 0; i < ch_attr_count(); i++)
                if (ch_attr_get(i)->access != CH_ACCESS_W)
                        offer(c, ch_attr_get(i)->name, ch_attr_get(i)->doc);
}

/* Words separated by '|' */
static void offer_words(const Completion *c, const char *words)
{
        _cleanup_(freep) char *copy = strdup(words);
        char *save = NULL;

        for (char *word = copy ? strtok_r(copy, "|", &save) : NULL; word;
             word = strtok_r(NULL, "|", &save))
                offer(c, word, NULL);
}

static void offer_setting_values(const Completion *c, const ch_attr *attr)
{
        if (attr->type == CH_ATTR_ENUM && attr->values)
                offer_words(c, attr->values);
        else if (attr->type == CH_ATTR_BOOL)
                offer_words(c, "yes|no");
        else if (attr->type == CH_ATTR_LIMIT)
                offer_words(c, "max");
}

static void offer_settings(const Completion *c)
{
        const char *equals = strchr(c->word, '=');
        _cleanup_(freep) char *name = NULL, *prefix = NULL;

        if (equals) {
                Completion values = *c;
                const ch_attr *attr;

                name = strndup(c->word, (size_t)(equals - c->word));
                prefix = strndup(c->word, (size_t)(equals - c->word) + 1);
                attr = name ? ch_attr_find(name) : NULL;
                values.prefix = prefix;
                if (attr && prefix)
                        offer_setting_values(&values, attr);
                return;
        }
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                _cleanup_(freep) char *candidate = NULL;

                if (attr->access != CH_ACCESS_R && !(attr->flags & CH_ATTR_PLACEMENT) &&
                    asprintf(&candidate, "%s=", attr->name) >= 0)
                        offer(c, candidate, attr->doc);
        }
}

static void offer_jobs(const Completion *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *type, *state;
        uint32_t id;

        if (open_quietly(c->cli) != CTL_OK || !c->cli->bus ||
            sd_bus_call_method(c->cli->bus, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                               "ListJobs", NULL, &reply, NULL) < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(uosss)") < 0)
                return;
        while (sd_bus_message_read(reply, "(uosss)", &id, NULL, &type, &state, NULL) > 0) {
                char number[16], what[64];

                snprintf(number, sizeof(number), "%" PRIu32, id);
                snprintf(what, sizeof(what), "%s, %s", type, state);
                offer(c, number, what);
        }
}

static void offer_pools(const Completion *c)
{
        _cleanup_(json_putp) struct json_object *status = NULL;
        struct json_object *pools;

        if (open_quietly(c->cli) != CTL_OK || c->cli->access->status(c->cli, &status) != CTL_OK)
                return;
        pools = jget(status, "pools");
        for (size_t i = 0; i < jcount(status, "pools"); i++) {
                struct json_object *pool = json_object_array_get_idx(pools, i);

                offer(c, jtext(pool, "name"), jtext(pool, "policy"));
        }
}

static const struct {
        const char *kind;
        void (*offer)(const Completion *c);
} kinds[] = {
        { "group", offer_groups },     { "pid", offer_pids },   { "attribute", offer_attributes },
        { "setting", offer_settings }, { "job", offer_jobs },   { "topic", offer_topics },
        { "command", offer_commands }, { "pool", offer_pools },
};

/* "pid/group": each of them */
static void offer_kinds(const Completion *c, const char *names, size_t length)
{
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                const char *at = memmem(names, length, kinds[i].kind, strlen(kinds[i].kind));

                if (at)
                        kinds[i].offer(c);
        }
}

/* Argument `position` (from 0) of a verb. */
static void offer_argument(const Completion *c, const Verb *verb, size_t position)
{
        const char *kind = verb->complete;

        while (position-- > 0 && strchr(kind, ' '))
                kind = strchr(kind, ' ') + 1;
        offer_kinds(c, kind, strcspn(kind, " "));
}

static void offer_option_values(const Completion *c, const Option *option)
{
        if (option->words && option->words[0] == '@')
                offer_kinds(c, option->words + 1, strlen(option->words + 1));
        else if (option->words)
                offer_words(c, option->words);
}

static void offer_options(const Completion *c, const Verb *verb)
{
        size_t n;
        const Option *options = option_table(&n);

        for (size_t i = 0; i < n; i++) {
                const Option *o = &options[i];
                _cleanup_(freep) char *candidate = NULL;

                if (!o->name || !o->help || (verb && !option_is_for(o, verb->name)) ||
                    (!verb && o->verbs))
                        continue;
                if (asprintf(&candidate, "--%s%s", o->name, o->arg ? "=" : "") >= 0)
                        offer(c, candidate, o->help);
        }
}

/* The option whose value the last word is: "--json=sh", or after "--policy" or "-p"; or NULL. */
static const Option *option_before(const char *word, const char *previous)
{
        size_t n, length = strcspn(word, "=");
        const Option *options = option_table(&n);

        for (size_t i = 0; i < n; i++) {
                const Option *o = &options[i];

                if (!o->arg)
                        continue;
                if (o->name && strncmp(word, "--", 2) == 0 && word[length] == '=' &&
                    strlen(o->name) == length - 2 && strncmp(word + 2, o->name, length - 2) == 0)
                        return o;
                if (previous && previous[0] == '-' && o->kind != OPTION_JSON &&
                    ((o->name && previous[1] == '-' && streq(previous + 2, o->name)) ||
                     (o->letter && previous[1] == o->letter && !previous[2])))
                        return o;
        }
        return NULL;
}

int verb_complete(Cli *cli, int argc, char **argv)
{
        _cleanup_(freep) char *why = NULL, *prefix = NULL, *word = NULL;
        char **words = calloc((size_t)argc + 2, sizeof(char *)),
             **args = calloc((size_t)argc + 2, sizeof(char *));
        const Option *option;
        const char *previous;
        size_t n_args = 0;
        int first = argc > 0 && streq(argv[0], "--"), n;

        n = argc - first;
        word = strdup(n > 0 ? argv[argc - 1] : "");
        previous = n > 1 ? argv[argc - 2] : NULL;
        if (!words || !args || !word)
                return cli_fail_memory(cli);
        option = option_before(word, previous);
        for (int i = 0; i + 1 < n - (option && word[0] != '-'); i++)
                words[i + 1] = argv[first + i]; /* words[0] stands for the program */
        (void)options_parse(n > 0 ? n - (option && word[0] != '-') : 0, words, &cli->options, args,
                            &n_args, &why);
        cli->options.json = JSON_OFF;
        cli->verb = n_args ? verb_find(args[0]) : NULL;

        Completion c = { .cli = cli, .word = word, .prefix = "" };
        if (option) {
                if (cli->verb && option_of_verb(option, cli->verb->name))
                        option = option_of_verb(option, cli->verb->name);
                if (word[0] == '-')
                        prefix = strndup(word, strcspn(word, "=") + 1);
                if (prefix)
                        c.prefix = prefix;
                if (!cli->verb)
                        cli->verb = verb_find("list");
                offer_option_values(&c, option);
        } else if (word[0] == '-') {
                offer_options(&c, cli->verb);
        } else if (!n_args) {
                offer_verbs(&c);
        } else if (cli->verb) {
                offer_argument(&c, cli->verb, n_args - 1);
        }
        free(words);
        free(args);
        return CTL_OK;
}
