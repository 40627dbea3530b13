/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the tables of the program as parts of man pages; fill.py puts them in when the project is
 * built. */

#include <stdio.h>

#include <chargehand/place.h>

#include "cli.h"

/* Characters that scdoc would take for markup. */
static void print_escaped(const char *text)
{
        for (; *text; text++) {
                if (strchr("\\_*#~<", *text))
                        putchar('\\');
                putchar(*text);
        }
}

static void print_term(const char *before, const char *bold, const char *rest)
{
        fputs(before, stdout);
        putchar('*');
        print_escaped(bold);
        fputs("*", stdout);
        if (rest[0])
                putchar(' ');
        print_escaped(rest);
        putchar('\n');
}

static void print_body(const char *text)
{
        putchar('\t');
        print_escaped(text);
        fputs(".\n", stdout);
}

static void verbs(void)
{
        size_t n, n_options;
        const Verb *table = verb_table(&n);
        const Option *options = option_table(&n_options);

        for (size_t i = 0; i < n; i++) {
                const char *separator = " Options: ";

                if (table[i].flags & VERB_HIDDEN)
                        continue;
                print_term("", table[i].name, table[i].args);
                putchar('\t');
                print_escaped(table[i].help);
                putchar('.');
                for (size_t j = 0; j < n_options; j++)
                        if (options[j].help && options[j].name && options[j].verbs &&
                            option_is_for(&options[j], table[i].name)) {
                                printf("%s*--%s*", separator, options[j].name);
                                separator = ", ";
                        }
                fputs(streq(separator, ", ") ? ".\n\n" : "\n\n", stdout);
        }
}

static void options(void)
{
        size_t n;
        const Option *table = option_table(&n);

        for (size_t i = 0; i < n; i++) {
                const Option *o = &table[i];

                if (!o->help)
                        continue;
                if (o->letter)
                        printf("*-%c*%s", o->letter, o->name ? ", " : "");
                if (o->name)
                        printf("*--%s*", o->name);
                if (o->arg)
                        printf("=_%s_", o->arg);
                putchar('\n');
                print_body(o->help);
                if (o->words && o->words[0] != '@') {
                        fputs("\tOne of ", stdout);
                        print_escaped(o->words);
                        fputs(".\n", stdout);
                }
                putchar('\n');
        }
}

static void exit_codes(void)
{
#define CODE_ROW(id, code, doc)                                                                    \
        print_term("", #code, "");                                                                 \
        print_body(doc);                                                                           \
        putchar('\n');
        CTL_EXIT_CODES(CODE_ROW)
#undef CODE_ROW
}

static void errors(void)
{
#define ERROR_ROW(id, name, errnum, code, doc)                                                     \
        print_term("", "org.chargehand1.Error." name, "");                                         \
        print_body(doc);                                                                           \
        putchar('\n');
        CH_ERROR_KINDS(ERROR_ROW)
#undef ERROR_ROW
}

static void attributes(void)
{
        static const char *const access[] = {
                [CH_ACCESS_R] = "read only",
                [CH_ACCESS_W] = "write only",
                [CH_ACCESS_RW] = "read, write",
        };

        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);

                printf("*%s* (", attr->name);
                print_escaped(attr->file);
                printf(", type %s, %s, Linux %s)\n", ch_attr_type_signature(attr->type),
                       access[attr->access], attr->since);
                print_body(attr->doc);
                if (attr->values) {
                        fputs("\tOne of ", stdout);
                        print_escaped(attr->values);
                        fputs(".\n", stdout);
                }
                putchar('\n');
        }
}

static void words(const char *word, const char *doc)
{
        print_term("", word, "");
        print_body(doc);
        putchar('\n');
}

static void policies(void)
{
#define WORD_ROW(id, word, doc) words(word, doc);
        CH_POLICIES(WORD_ROW)
}

static void backends(void)
{
        CH_BACKENDS(WORD_ROW)
}

static void reasons(void)
{
        CH_REASONS(WORD_ROW)
}

static void placements(void)
{
        CH_PLACE_POLICIES(WORD_ROW)
}

static void terms(void)
{
        CH_PLACE_TERMS(WORD_ROW)
}

static void kinds(void)
{
        CH_KINDS(WORD_ROW)
#undef WORD_ROW
}

static const struct {
        const char *name;
        void (*print)(void);
} tables[] = {
        { "verbs", verbs },           { "options", options },   { "exit-codes", exit_codes },
        { "errors", errors },         { "policies", policies }, { "backends", backends },
        { "attributes", attributes }, { "reasons", reasons },   { "kinds", kinds },
        { "placements", placements }, { "terms", terms },
};

int main(int argc, char **argv)
{
        for (size_t i = 0; argc == 2 && i < ELEMENTSOF(tables); i++)
                if (streq(tables[i].name, argv[1])) {
                        tables[i].print();
                        return 0;
                }
        fprintf(stderr, "usage: %s TABLE\n", argv[0]);
        return 1;
}
