/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: options anywhere, values, mistakes with a way out, and that the tables agree
 * with each other. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli.h"
#include "suggest.h"

typedef struct Parsed {
        Options options;
        char *args[16];
        size_t n_args;
        char *why;
        char *copies[16];
} Parsed;

/* Parses words up to a NULL; the copies can be written to, as argv can. */
static int parse(Parsed *parsed, const char *const *words)
{
        char *argv[16] = { (char *)"chargectl" };
        int argc = 1;

        *parsed = (Parsed){ .why = NULL };
        for (; words[argc - 1]; argc++)
                argv[argc] = parsed->copies[argc] = strdup(words[argc - 1]);
        return options_parse(argc, argv, &parsed->options, parsed->args, &parsed->n_args,
                             &parsed->why);
}

static void parsed_done(Parsed *parsed)
{
        options_done(&parsed->options);
        free(parsed->why);
        for (size_t i = 0; i < ELEMENTSOF(parsed->copies); i++)
                free(parsed->copies[i]);
}

#define WORDS(...) (const char *const[]){ __VA_ARGS__, NULL }

static void test_options_stand_anywhere(void **state)
{
        _cleanup_(parsed_done) Parsed p;

        assert_int_equal(parse(&p, WORDS("-q", "move", "--rate=200M", "12", "--policy", "lazy",
                                         "/web", "--json")),
                         CTL_OK);
        assert_int_equal(p.n_args, 3);
        assert_string_equal(p.args[0], "move");
        assert_string_equal(p.args[2], "/web");
        assert_int_equal(p.options.quiet, 1);
        assert_int_equal(p.options.json, JSON_SHORT);
        assert_string_equal(p.options.policy, "lazy");
        assert_int_equal(p.options.rate_bytes_per_sec, 200 << 20);
        assert_true(p.options.given & GIVEN_RATE);
}

static void test_lists_clusters_and_the_end_of_options(void **state)
{
        _cleanup_(parsed_done) Parsed p;

        assert_int_equal(parse(&p, WORDS("show", "-p", "A,B", "-pC", "-la", "--", "-x")), CTL_OK);
        assert_int_equal(p.options.properties.n, 3);
        assert_string_equal(p.options.properties.items[1], "B");
        assert_string_equal(p.options.properties.items[2], "C");
        assert_true(p.options.full && p.options.all);
        assert_string_equal(p.args[1], "-x");
}

static void test_mistakes_name_the_word_and_the_way_out(void **state)
{
        static const struct {
                const char *words[3];
                const char *why;
        } rows[] = {
                { { "--jsn" }, "--jsn: unknown option; did you mean '--json'?" },
                { { "--zzzzzzzz" }, "--zzzzzzzz: unknown option; see 'chargectl help'" },
                { { "-Z" }, "-Z: unknown option; see 'chargectl help'" },
                { { "--json=long" }, "--json=long: unknown mode; use short, pretty or off" },
                { { "--rate=fast" }, "--rate=fast: not a size such as 512M or 1.5GiB" },
                { { "--rate=-5" }, "--rate=-5: not a size such as 512M or 1.5GiB" },
                { { "--timeout=3fortnights" },
                  "--timeout=3fortnights: not a time such as 30s, 500ms or 2min" },
                { { "--quiet=yes" }, "--quiet: takes no value" },
                { { "--policy" }, "--policy: needs a value: --policy=POLICY" },
                { { "-p" }, "-p: needs a value: -p NAME" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(parsed_done) Parsed p;

                assert_int_equal(parse(&p, rows[i].words), CTL_USAGE);
                assert_string_equal(p.why, rows[i].why);
        }
}

static void test_numbers_with_units(void **state)
{
        uint64_t n = 0;

        assert_int_equal(parse_usec("500ms", &n), 0);
        assert_int_equal(n, 500000);
        assert_int_equal(parse_usec("infinity", &n), -EINVAL);
}

static void test_thousandths(void **state)
{
        static const struct {
                const char *text;
                uint64_t want;
        } rows[] = {
                {"2",         2000 },
                { "1.5",      1500 },
                { "0.125",    125  },
                { "1.",       1000 },
                { "0.12599",  0    }, /* finer than it can be told */
                { ".5",       0    },
                { "1.5x",     0    },
                { "-1",       0    },
                { "99999999", 0    },
                { "",         0    },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(parsed_done) Parsed p;
                int r = parse(&p, WORDS("place", "--cpus", rows[i].text));

                assert_int_equal(r, rows[i].want ? CTL_OK : CTL_USAGE);
                if (rows[i].want)
                        assert_int_equal(p.options.cpus_milli, rows[i].want);
                else
                        assert_non_null(strstr(p.why, "a number such as 2 or 1.5"));
        }
}

static void test_options_of_other_verbs_are_strays(void **state)
{
        char *argv[] = { (char *)"chargectl", (char *)"list", (char *)"--policy=lazy", NULL };

        assert_string_equal(options_find_stray(3, argv, "list", NULL)->name, "policy");
        assert_null(options_find_stray(3, argv, "move", NULL));
        assert_null(options_find_stray(3, argv, "plan", NULL));
}

/* The command's options are its own. */
static void test_options_end_with_a_command(void **state)
{
        _cleanup_(parsed_done) Parsed p;
        char *argv[] = { (char *)"chargectl", (char *)"run", (char *)"-v", (char *)"list",
                         (char *)"--policy=lazy", NULL };

        assert_int_equal(parse(&p, WORDS("-v", "run", "-p", "AllowedCPUs=0,2", "-pA=1", "ls", "-l",
                                         "--", "--keep")),
                         CTL_OK);
        assert_int_equal(p.n_args, 5);
        assert_string_equal(p.args[2], "-l");
        assert_string_equal(p.args[4], "--keep");
        assert_int_equal(p.options.full, 0);
        assert_int_equal(p.options.keep, 0);
        assert_int_equal(p.options.verbose, 1);
        assert_int_equal(p.options.properties.n, 2);
        assert_string_equal(p.options.properties.items[0], "AllowedCPUs=0,2");
        assert_null(options_find_stray(5, argv, "run", argv[3]));
        assert_string_equal(options_find_stray(5, argv, "run", NULL)->name, "policy");
        assert_string_equal(options_find_stray(5, argv, "list", argv[3])->name, "verbose");
}

/* Rows of one option are for different verbs, and read alike. */
static void check_pair(const Option *a, const Option *b)
{
        _cleanup_(freep) char *verbs = a->verbs && b->verbs ? strdup(a->verbs) : NULL;
        char *save = NULL;
        int same_name = a->name && b->name && streq(a->name, b->name);

        if (!same_name && !(a->letter && a->letter == b->letter))
                return;
        assert_true(same_name && verbs);
        assert_true(a->letter == b->letter && a->kind == b->kind && a->offset == b->offset &&
                    a->given == b->given && !a->arg == !b->arg);
        for (char *name = strtok_r(verbs, " ", &save); name; name = strtok_r(NULL, " ", &save))
                assert_false(option_is_for(b, name));
}

/* Every verb named in the option table exists, and no name or letter means two things to one. */
static void test_the_tables_agree(void **state)
{
        size_t n, n_verbs;
        const Option *options = option_table(&n);

        (void)verb_table(&n_verbs);
        assert_true(n_verbs > 20);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) char *names = options[i].verbs ? strdup(options[i].verbs) : NULL;
                char *save = NULL;

                for (char *name = names ? strtok_r(names, " ", &save) : NULL; name;
                     name = strtok_r(NULL, " ", &save))
                        assert_non_null(verb_find(name));
                for (size_t j = i + 1; j < n; j++)
                        check_pair(&options[i], &options[j]);
        }
}

/* Who changes something has a dry run; who is told to need arguments says which. */
static void test_every_verb_keeps_the_promises(void **state)
{
        size_t n, n_options;
        const Verb *verbs = verb_table(&n);
        const Option *options = option_table(&n_options);

        for (size_t i = 0; i < n; i++) {
                assert_non_null(verbs[i].run);
                assert_true(verbs[i].help[0]);
                assert_true(verbs[i].max_args >= verbs[i].min_args);
                if (verbs[i].min_args)
                        assert_true(verbs[i].args[0]);
                if (!(verbs[i].flags & VERB_CHANGES))
                        continue;
                for (size_t j = 0; j < n_options; j++)
                        if (options[j].name && streq(options[j].name, "dry-run"))
                                assert_true(option_is_for(&options[j], verbs[i].name));
        }
}

static void test_the_nearest_word(void **state)
{
        Suggest suggest = suggest_begin("mvoe");

        suggest_offer(&suggest, "monitor");
        suggest_offer(&suggest, "move");
        suggest_offer(&suggest, "remove");
        assert_string_equal(suggest.best, "move");

        suggest = suggest_begin("frobnicate");
        suggest_offer(&suggest, "list");
        assert_null(suggest.best);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options_stand_anywhere),
                cmocka_unit_test(test_lists_clusters_and_the_end_of_options),
                cmocka_unit_test(test_mistakes_name_the_word_and_the_way_out),
                cmocka_unit_test(test_numbers_with_units),
                cmocka_unit_test(test_thousandths),
                cmocka_unit_test(test_options_of_other_verbs_are_strays),
                cmocka_unit_test(test_options_end_with_a_command),
                cmocka_unit_test(test_the_tables_agree),
                cmocka_unit_test(test_every_verb_keeps_the_promises),
                cmocka_unit_test(test_the_nearest_word),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
