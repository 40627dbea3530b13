/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays scripts of D-Bus calls to org.freedesktop.systemd1 and prints what came of them:
 *
 *     prog-systemd1 [--private SOCKET] [--root DIRECTORY] [--slow FACTOR] [--only SCENARIO] SCRIPT…
 *
 * SCRIPT "-" is stdin. systemd1-calls.txt tells the language. Exit code 0 says that all was played,
 * not that anything was right: that is told by comparing with what systemd did.
 */

#include <ctype.h>
#include <signal.h>

#include "prog-systemd1.h"

#define MAX_LINE 8192

Options options = { .root = "/sys/fs/cgroup", .wait_usec = 20000000 };

static const char *only, *scenario = "";
static char step[MAX_LINE];
static int wanted;

static struct {
        char **items;
        size_t n, allocated;
        int on;
} kept_back;

void say(const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                give_up("out of memory");
        va_end(ap);
        if (!kept_back.on) {
                (void)printf("  %s\n", text);
                (void)fflush(stdout);
                return;
        }
        if (array_reserve(&kept_back.items, &kept_back.allocated, kept_back.n + 1, sizeof(char *)) <
            0)
                give_up("out of memory");
        kept_back.items[kept_back.n++] = TAKE_PTR(text);
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void say_sorted(int on)
{
        kept_back.on = on;
        if (on)
                return;
        qsort(kept_back.items, kept_back.n, sizeof(char *), by_text);
        for (size_t i = 0; i < kept_back.n; i++) {
                say("%s", kept_back.items[i]);
                free(kept_back.items[i]);
        }
        kept_back.n = 0;
}

void give_up(const char *format, ...)
{
        va_list ap;

        (void)fflush(stdout);
        (void)fprintf(stderr, "prog-systemd1: %s: '%s': ", scenario, step);
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fputc('\n', stderr);
        exit(1);
}

const char *words_next(Words *w)
{
        return w->at < w->n ? w->items[w->at++] : NULL;
}

/* The word up to a blank, or what is between two quotation marks; cuts the line. */
static char *cut_word(char **line)
{
        char *word, *p = *line;

        while (isblank((unsigned char)*p))
                p++;
        if (!*p)
                return NULL;
        word = p;
        if (*p == '"') {
                word = ++p;
                p += strcspn(p, "\"");
        } else {
                p += strcspn(p, " \t");
        }
        *line = *p ? p + 1 : p;
        *p = 0;
        return word;
}

/* "$NAME" anywhere in a word is what it stands for. */
static char *expand(const char *word)
{
        char *out = NULL;
        size_t size;
        FILE *f = open_memstream(&out, &size);

        while (f && *word) {
                char name[64] = "";
                size_t n = 0;

                if (*word != '$') {
                        (void)fputc(*word++, f);
                        continue;
                }
                for (word++; isalnum((unsigned char)word[n]) && n + 1 < sizeof(name); n++)
                        name[n] = word[n];
                {
                        _cleanup_(freep) char *value = variable_get(name);

                        if (!value)
                                give_up("there is no $%s", name);
                        (void)fputs(value, f);
                }
                word += n;
        }
        if (f)
                (void)fclose(f);
        return out;
}

static void run_step(const char *text)
{
        char line[MAX_LINE], *rest = line, *word, *items[MAX_WORDS];
        const Verb *verb;
        Words w = { .items = items };

        (void)snprintf(step, sizeof(step), "%s", text);
        (void)printf("> %s\n", text);
        (void)fflush(stdout);
        (void)snprintf(line, sizeof(line), "%s", text);
        word = cut_word(&rest);
        verb = verb_find(word);
        if (!verb)
                give_up("no such verb");
        while ((word = cut_word(&rest)) && w.n < MAX_WORDS - 8)
                items[w.n++] = expand(word);
        files_in_shares(strstr(text, "Scale ") != NULL);
        verb->run(&w);
        if (w.at < w.n)
                give_up("'%s' is too much", items[w.at]);
        for (size_t i = 0; i < w.n; i++)
                free(items[i]);
}

/* each WORD… | STEP with % in it: once for each word */
static void run_each(char *line)
{
        char *bar = strstr(line, " | "), *word, text[MAX_LINE];

        if (!bar)
                give_up("'each' without |");
        *bar = 0;
        while ((word = cut_word(&line))) {
                char *out = text;

                for (const char *p = bar + 3; *p && out + strlen(word) + 2 < text + sizeof(text);
                     p++) {
                        if (*p == '%')
                                out = stpcpy(out, word);
                        else
                                *out++ = *p;
                }
                *out = 0;
                run_step(text);
        }
}

static void end_scenario(void)
{
        if (wanted)
                clean_up();
        wanted = 0;
}

static void begin_scenario(const char *name)
{
        end_scenario();
        wanted = !only || strncmp(name, only, strlen(only)) == 0;
        if (!wanted)
                return;
        scenario = strdup(name);
        (void)printf("= %s\n", name);
        listener_sync();
        listener_forget();
        subscriber_forget();
        variables_forget();
        files_forget();
        files_look(0);
}

static void run_script(const char *path)
{
        FILE *f = streq(path, "-") ? stdin : fopen(path, "re");
        char line[MAX_LINE];

        if (!f)
                give_up("no script at %s", path);
        while (fgets(line, sizeof(line), f)) {
                char *p = line;

                line[strcspn(line, "\n")] = 0;
                while (isblank((unsigned char)*p))
                        p++;
                if (*p == '#' || !*p)
                        continue;
                if (*p == '=')
                        begin_scenario(p + 1 + strspn(p + 1, " "));
                else if (wanted && strncmp(p, "each ", 5) == 0)
                        run_each(p + 5);
                else if (wanted)
                        run_step(p);
        }
        end_scenario();
        if (f != stdin)
                (void)fclose(f);
}

/* Our own group beside the manager's units, the same for whoever the manager is. */
static void leave_units(void)
{
        int r = group_write("/driver", NULL, NULL);

        if (r < 0 && r != -EEXIST)
                give_up("no group of our own: %s", strerror(-r));
        r = group_write("/driver", "cgroup.procs", "0");
        if (r < 0)
                give_up("cannot move into a group of our own: %s", strerror(-r));
}

static int usage(void)
{
        (void)fprintf(stderr,
                      "usage: prog-systemd1 [--private SOCKET] [--root DIRECTORY] [--slow FACTOR]"
                      " [--only SCENARIO] SCRIPT…\nverbs of a script:\n"
                      "  each WORD… | STEP with %% in it\n");
        for (const Verb *v = verbs; v->name; v++)
                (void)fprintf(stderr, "  %s %s\n", v->name, v->usage);
        return 2;
}

int main(int argc, char **argv)
{
        if (argc > 1 && streq(argv[1], "--be"))
                return process_be(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        for (argv++; *argv && strncmp(*argv, "--", 2) == 0; argv += 2) {
                if (!argv[1])
                        return usage();
                if (streq(*argv, "--private"))
                        options.private_socket = argv[1];
                else if (streq(*argv, "--root"))
                        options.root = argv[1];
                else if (streq(*argv, "--slow"))
                        options.wait_usec = (uint64_t)((double)options.wait_usec * atof(argv[1]));
                else if (streq(*argv, "--only"))
                        only = argv[1];
                else
                        return usage();
        }
        if (!*argv)
                return usage();
        leave_units();
        bus_setup();
        for (; *argv; argv++)
                run_script(*argv);
        return 0;
}
