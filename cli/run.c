/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One command line: parse it, find the verb, run it. */

#include "access.h"
#include "suggest.h"

static int unknown_verb(Cli *cli, const char *word)
{
        Suggest suggest = suggest_begin(word);
        size_t n;
        const Verb *verbs = verb_table(&n);

        for (size_t i = 0; i < n; i++)
                if (!(verbs[i].flags & VERB_HIDDEN))
                        suggest_offer(&suggest, verbs[i].name);
        if (suggest.best)
                return cli_fail(cli, CTL_USAGE, word, "unknown verb; did you mean '%s'?",
                                suggest.best);
        return cli_fail(cli, CTL_USAGE, word, "unknown verb; 'chargectl help' lists them");
}

static int check_args(Cli *cli, int argc, char **argv, unsigned n_args, char **args)
{
        const Verb *verb = cli->verb;
        const char *command = verb->flags & VERB_COMMAND && n_args ? args[0] : NULL;
        const Option *stray = options_find_stray(argc, argv, verb->name, command);

        if (stray)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--%s: is no option of '%s'; see 'chargectl help %s'", stray->name,
                                verb->name, verb->name);
        if (n_args < verb->min_args || n_args > verb->max_args)
                return cli_fail(cli, CTL_USAGE, verb->name, "%s; usage: chargectl %s%s%s",
                                n_args < verb->min_args ? "something is missing" : "too many words",
                                verb->name, verb->args[0] ? " " : "", verb->args);
        return CTL_OK;
}

static int run_verb(Cli *cli, int argc, char **argv, int n_args, char **args)
{
        int r;

        if (cli->options.help)
                return verb_usage(cli, cli->verb);
        r = check_args(cli, argc, argv, (unsigned)n_args, args);
        if (r != CTL_OK)
                return r;
        if (cli->verb->flags & (VERB_READS | VERB_DAEMON)) {
                r = cli_open(cli);
                if (r != CTL_OK)
                        return r;
        }
        return cli->verb->run(cli, n_args, args);
}

static int run(Cli *cli, int argc, char **argv, char **args)
{
        _cleanup_(freep) char *why = NULL;
        size_t n_args = 0;
        int r;

        r = options_parse(argc, argv, &cli->options, args, &n_args, &why);
        style_init(&cli->style, &cli->options);
        if (r != CTL_OK)
                return cli_fail(cli, r, NULL, "%s", why ? why : "out of memory");
        if (cli->options.version) {
                puts("chargectl " CTL_VERSION);
                return CTL_OK;
        }
        if (n_args == 0 && cli->options.help)
                return verb_help(cli, 0, args);
        cli->verb = verb_find(n_args ? args[0] : "list");
        if (!cli->verb)
                return unknown_verb(cli, args[0]);
        return run_verb(cli, argc, argv, n_args ? (int)n_args - 1 : 0, n_args ? args + 1 : args);
}

int cli_main(int argc, char **argv)
{
        Cli cli = { 0 };
        const Verb *verb = argc > 1 ? verb_find(argv[1]) : NULL;
        char **args = calloc((size_t)argc + 1, sizeof(char *));
        int r, written;

        if (!args)
                return cli_fail_memory(&cli);
        if (verb && (verb->flags & VERB_OWN_ARGS)) {
                cli.verb = verb;
                r = verb->run(&cli, argc - 2, argv + 2);
        } else {
                r = run(&cli, argc, argv, args);
        }
        written = output_end(&cli);
        cli_close(&cli);
        options_done(&cli.options);
        free(cli.hushed);
        free(args);
        return r == CTL_OK ? written : r;
}
