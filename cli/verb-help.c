/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl help: all of it made from the tables of verbs, options, attributes and errors. */

#include "cli.h"

static const Column attribute_columns[] = {
        { "name",       "PROPERTY", UNIT_TEXT },
        { "file",       "FILE",     UNIT_TEXT },
        { "signature",  "TYPE",     UNIT_TEXT },
        { "access",     "ACCESS",   UNIT_TEXT },
        { "since",      "SINCE",    UNIT_TEXT },
        { "doc",        "WHAT IT IS", UNIT_TEXT, COLUMN_ELIDE },
};

static const Column error_columns[] = {
        { "name",  "ERROR", UNIT_TEXT },
        { "exit",  "EXIT",  UNIT_NUMBER },
        { "doc",   "MEANING", UNIT_TEXT, COLUMN_ELIDE },
};

static const struct {
        const char *title;
        const char *first; /* the verb the section starts with */
} sections[] = {
        { "Look", "list" }, { "Change", "move" }, { "Watch and talk to the daemon", "jobs" }, { "Help", "help" },
};

static const struct {
        int code;
        const char *doc;
} exit_codes[] = {
#define EXIT_ROW(id, number, text) { number, text },
        CTL_EXIT_CODES(EXIT_ROW)
#undef EXIT_ROW
};

/* "  left    right", the right part folded at spaces to fit the terminal. */
static void print_indented(Cli *cli, const char *left, int width, const char *right)
{
        int pad = width - text_width(left), room = cli->style.columns - width - 4;

        printf("  %s%*s  ", left, pad > 0 ? pad : 0, "");
        while (cli->style.columns && room > 20 && (int)strlen(right) > room) {
                const char *fold = right + room;

                while (fold > right && *fold != ' ')
                        fold--;
                if (fold == right)
                        break;
                printf("%.*s\n%*s", (int)(fold - right), right, width + 4, "");
                right = fold + 1;
        }
        puts(right);
}

static void print_option(Cli *cli, const Option *option)
{
        char left[64];

        snprintf(left, sizeof(left), "%c%c%s%s%s%s%s", option->letter ? '-' : ' ',
                 option->letter ? option->letter : ' ',
                 option->name ? (option->letter ? " " : "  ") : "", option->name ? "--" : "",
                 option->name ? option->name : "", option->arg ? "=" : "",
                 option->arg ? option->arg : "");
        print_indented(cli, left, 24, option->help);
}

/* Those that are for all verbs (`verb` NULL), or only those of one verb that are not for all. */
static void print_options(Cli *cli, const char *verb)
{
        size_t n, printed = 0;
        const Option *options = option_table(&n);

        for (size_t i = 0; i < n; i++) {
                if (!options[i].help || !options[i].verbs != !verb)
                        continue;
                if (verb && !option_is_for(&options[i], verb))
                        continue;
                if (!printed++)
                        printf("\n%s%s:%s\n", paint_bold(&cli->style),
                               verb ? "Its options" : "Options", paint_off(&cli->style));
                print_option(cli, &options[i]);
        }
}

static void print_exit_codes(Cli *cli)
{
        printf("\n%sExit codes:%s\n", paint_bold(&cli->style), paint_off(&cli->style));
        for (size_t i = 0; i < ELEMENTSOF(exit_codes); i++) {
                char code[8];

                snprintf(code, sizeof(code), "%2d", exit_codes[i].code);
                print_indented(cli, code, 4, exit_codes[i].doc);
        }
}

/* [{verb, arguments, help, needs_daemon, changes}] */
static int help_as_json(Cli *cli)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();
        size_t n;
        const Verb *verbs = verb_table(&n);

        for (size_t i = 0; rows && i < n; i++) {
                struct json_object *row = json_object_new_object();

                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return cli_fail_memory(cli);
                }
                if (jadd(row, "verb", json_object_new_string(verbs[i].name)) < 0 ||
                    jadd(row, "arguments", json_object_new_string(verbs[i].args)) < 0 ||
                    jadd(row, "help", json_object_new_string(verbs[i].help)) < 0 ||
                    jadd(row, "needs_daemon",
                         json_object_new_boolean((verbs[i].flags & VERB_DAEMON) != 0)) < 0 ||
                    jadd(row, "changes",
                         json_object_new_boolean((verbs[i].flags & VERB_CHANGES) != 0)) < 0)
                        return cli_fail_memory(cli);
        }
        return rows && print_json(cli, rows) ? CTL_OK : cli_fail_memory(cli);
}

static int help_overview(Cli *cli)
{
        size_t n;
        const Verb *verbs = verb_table(&n);

        if (cli->options.json != JSON_OFF)
                return help_as_json(cli);
        pager_start(cli);
        puts("chargectl [OPTION…] VERB [ARGUMENT…]\n\n"
             "Look into and change cgroup v2 groups, and move processes with their memory.");
        for (size_t i = 0; i < n; i++) {
                char left[64];

                if (verbs[i].flags & VERB_HIDDEN)
                        continue;
                for (size_t s = 0; s < ELEMENTSOF(sections); s++)
                        if (streq(sections[s].first, verbs[i].name))
                                printf("\n%s%s:%s\n", paint_bold(&cli->style), sections[s].title,
                                       paint_off(&cli->style));
                snprintf(left, sizeof(left), "%s %s", verbs[i].name,
                         strlen(verbs[i].name) + strlen(verbs[i].args) > 22 ? "…" : verbs[i].args);
                print_indented(cli, left, 24, verbs[i].help);
        }
        print_options(cli, NULL);
        print_exit_codes(cli);
        puts("\nGroups are named by their path from the hierarchy's root, such as /web/api. "
             "'chargectl help VERB' says more.");
        return CTL_OK;
}

int verb_usage(Cli *cli, const Verb *verb)
{
        printf("chargectl %s %s\n\n%s.\n", verb->name, verb->args, verb->help);
        if (verb->flags & VERB_DAEMON)
                puts("Needs the daemon, chargehandd.");
        if (verb->flags & VERB_READS)
                printf("Asks the daemon if it is running, else (or with --direct) %s the kernel's "
                       "files itself.\n",
                       verb->flags & VERB_CHANGES ? "works on" : "reads");
        print_options(cli, verb->name);
        if (verb->examples) {
                _cleanup_(freep) char *copy = strdup(verb->examples);
                char *save = NULL;

                printf("\n%sExamples:%s\n", paint_bold(&cli->style), paint_off(&cli->style));
                for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
                     line = strtok_r(NULL, "\n", &save))
                        printf("  %s\n", line);
        }
        puts("\nOptions for all verbs: 'chargectl help options'.");
        return CTL_OK;
}

static const char *access_word(const ch_attr *attr)
{
        static const char *const words[] = {
                [CH_ACCESS_R] = "r", [CH_ACCESS_W] = "w", [CH_ACCESS_RW] = "rw"
        };

        return words[attr->access];
}

static int help_attributes(Cli *cli)
{
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();

        for (size_t i = 0; rows && i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);
                struct json_object *row = json_object_new_object();

                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return cli_fail_memory(cli);
                }
                if (jadd(row, "name", json_object_new_string(attr->name)) < 0 ||
                    jadd(row, "file", json_object_new_string(attr->file)) < 0 ||
                    jadd(row, "controller", json_object_new_string(attr->controller)) < 0 ||
                    jadd(row, "signature",
                         json_object_new_string(ch_attr_type_signature(attr->type))) < 0 ||
                    jadd(row, "access", json_object_new_string(access_word(attr))) < 0 ||
                    jadd(row, "since", json_object_new_string(attr->since)) < 0 ||
                    jadd(row, "doc", json_object_new_string(attr->doc)) < 0)
                        return cli_fail_memory(cli);
        }
        if (print_json(cli, rows))
                return CTL_OK;
        pager_start(cli);
        return !rows || TABLE(cli, attribute_columns, rows) < 0 ? cli_fail_memory(cli) : CTL_OK;
}

static int help_errors(Cli *cli)
{
        static const char *const docs[] = {
#define DOC_ROW(id, name, num, code, text) [CH_ERROR_##id] = text,
                CH_ERROR_KINDS(DOC_ROW)
#undef DOC_ROW
        };
        _cleanup_(json_putp) struct json_object *rows = json_object_new_array();

        for (size_t i = 0; rows && i < ELEMENTSOF(docs); i++) {
                struct json_object *row = json_object_new_object();

                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return cli_fail_memory(cli);
                }
                if (jadd(row, "name",
                         json_object_new_string(ch_error_kind_to_name((ch_error_kind)i))) < 0 ||
                    jadd(row, "exit",
                         json_object_new_int(ch_error_kind_to_exit((ch_error_kind)i))) < 0 ||
                    jadd(row, "doc", json_object_new_string(docs[i])) < 0)
                        return cli_fail_memory(cli);
        }
        if (print_json(cli, rows))
                return CTL_OK;
        if (!rows || TABLE(cli, error_columns, rows) < 0)
                return cli_fail_memory(cli);
        print_exit_codes(cli);
        return CTL_OK;
}

static int help_options(Cli *cli)
{
        size_t n;
        const Option *options = option_table(&n);

        print_options(cli, NULL);
        printf("\n%sOptions of some verbs:%s\n", paint_bold(&cli->style), paint_off(&cli->style));
        for (size_t i = 0; i < n; i++)
                if (options[i].help && options[i].verbs) {
                        print_option(cli, &options[i]);
                        printf("  %*s  %s(%s)%s\n", 24, "", paint_dim(&cli->style),
                               options[i].verbs, paint_off(&cli->style));
                }
        return CTL_OK;
}

static const struct {
        const char *topic;
        int (*print)(Cli *cli);
} topics[] = {
        { "attributes", help_attributes },
        { "options", help_options },
        { "errors", help_errors },
};

int verb_help(Cli *cli, int argc, char **argv)
{
        const Verb *verb;

        if (argc == 0)
                return help_overview(cli);
        for (size_t i = 0; i < ELEMENTSOF(topics); i++)
                if (streq(topics[i].topic, argv[0]))
                        return topics[i].print(cli);
        verb = verb_find(argv[0]);
        if (!verb || (verb->flags & VERB_HIDDEN))
                return cli_fail(
                        cli, CTL_USAGE, argv[0],
                        "neither a verb nor a topic; topics are attributes, options and errors");
        return verb_usage(cli, verb);
}
