/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of D-Bus messages from and to text. */

#include <ctype.h>
#include <inttypes.h>
#include <sys/syscall.h>

#include "prog-systemd1.h"

/* --- from text ---- */

/* Length of the first complete type of a signature. */
static size_t type_length(const char *signature)
{
        size_t depth = 0, i = 0;

        while (signature[i] == 'a')
                i++;
        do {
                if (strchr("({", signature[i]))
                        depth++;
                else if (strchr(")}", signature[i]))
                        depth--;
                i++;
        } while (depth > 0 && signature[i]);
        return i;
}

static const char *need_word(Words *w, const char *what)
{
        const char *word = words_next(w);

        if (!word)
                give_up("a value of type '%s' is missing", what);
        return word;
}

static uint64_t need_number(Words *w, char type)
{
        char what[2] = { type, 0 }, *end;
        const char *word = need_word(w, what);
        uint64_t value;

        if (streq(word, "max"))
                return type == 'u' ? UINT32_MAX : UINT64_MAX;
        value = word[0] == '-' ? (uint64_t)strtoll(word, &end, 10) : strtoull(word, &end, 10);
        if (*end || !*word)
                give_up("'%s' is no number", word);
        return value;
}

static int open_pidfd(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        if (fd < 0)
                give_up("pidfd of %d: %s", pid, strerror(errno));
        return fd;
}

static int append_number(sd_bus_message *m, char type, Words *w)
{
        uint64_t value = need_number(w, type);
        uint8_t byte = (uint8_t)value;
        int32_t i32 = (int32_t)value;
        uint32_t u32 = (uint32_t)value;
        int16_t i16 = (int16_t)value;
        uint16_t u16 = (uint16_t)value;
        double real = (double)value;
        _cleanup_(closep) int fd = -EBADF;

        switch (type) {
        case 'y':
                return sd_bus_message_append_basic(m, type, &byte);
        case 'n':
                return sd_bus_message_append_basic(m, type, &i16);
        case 'q':
                return sd_bus_message_append_basic(m, type, &u16);
        case 'i':
                return sd_bus_message_append_basic(m, type, &i32);
        case 'u':
                return sd_bus_message_append_basic(m, type, &u32);
        case 'd':
                return sd_bus_message_append_basic(m, type, &real);
        case 'h':
                fd = open_pidfd((pid_t)value);
                return sd_bus_message_append_basic(m, type, &fd);
        default:
                return sd_bus_message_append_basic(m, type, &value);
        }
}

static int append_basic(sd_bus_message *m, char type, Words *w)
{
        char what[2] = { type, 0 };
        const char *word;
        int truth;

        if (!strchr("sogb", type))
                return append_number(m, type, w);
        word = need_word(w, what);
        if (type != 'b')
                return sd_bus_message_append_basic(m, type, word);
        truth = streq(word, "true");
        if (!truth && !streq(word, "false"))
                give_up("'%s' is neither true nor false", word);
        return sd_bus_message_append_basic(m, type, &truth);
}

static void append_one(sd_bus_message *m, const char *type, size_t length, Words *w);

static void append_array(sd_bus_message *m, const char *type, size_t length, Words *w)
{
        uint64_t n = need_number(w, 'n');
        char contents[64];

        (void)snprintf(contents, sizeof(contents), "%.*s", (int)length - 1, type + 1);
        if (sd_bus_message_open_container(m, 'a', contents) < 0)
                give_up("bad signature '%s'", contents);
        while (n-- > 0)
                append_one(m, contents, strlen(contents), w);
        (void)sd_bus_message_close_container(m);
}

static void append_struct(sd_bus_message *m, const char *type, size_t length, Words *w)
{
        char contents[64];

        (void)snprintf(contents, sizeof(contents), "%.*s", (int)length - 2, type + 1);
        if (sd_bus_message_open_container(m, type[0] == '(' ? 'r' : 'e', contents) < 0)
                give_up("bad signature '%s'", contents);
        message_append_words(m, contents, w);
        (void)sd_bus_message_close_container(m);
}

static void append_variant(sd_bus_message *m, Words *w)
{
        const char *contents = need_word(w, "v");

        if (sd_bus_message_open_container(m, 'v', contents) < 0)
                give_up("bad signature '%s'", contents);
        message_append_words(m, contents, w);
        (void)sd_bus_message_close_container(m);
}

static void append_one(sd_bus_message *m, const char *type, size_t length, Words *w)
{
        if (type[0] == 'a')
                append_array(m, type, length, w);
        else if (type[0] == '(' || type[0] == '{')
                append_struct(m, type, length, w);
        else if (type[0] == 'v')
                append_variant(m, w);
        else if (append_basic(m, type[0], w) < 0)
                give_up("a value of type '%c' cannot be sent", type[0]);
}

void message_append_words(sd_bus_message *m, const char *signature, Words *w)
{
        while (*signature) {
                size_t length = type_length(signature);

                append_one(m, signature, length, w);
                signature += length;
        }
}

void message_append_properties(sd_bus_message *m, Words *w)
{
        const char *word;

        (void)sd_bus_message_open_container(m, 'a', "(sv)");
        while ((word = words_next(w))) {
                if (!streq(word, ";"))
                        give_up("'%s' where a ; was expected", word);
                (void)sd_bus_message_open_container(m, 'r', "sv");
                (void)sd_bus_message_append_basic(m, 's', need_word(w, "s"));
                append_variant(m, w);
                (void)sd_bus_message_close_container(m);
        }
        (void)sd_bus_message_close_container(m);
}

/* --- to text ---- */

static int mask_jobs;

void message_mask_jobs(int on)
{
        mask_jobs = on;
}

static void print_text(FILE *f, const char *text)
{
        _cleanup_(freep) char *normal = normalise(text);

        (void)fprintf(f, "\"%s\"", normal);
}

static void print_number(FILE *f, uint64_t value)
{
        if (value > 1000 && value != UINT64_MAX && value == default_tasks_max())
                (void)fputs("<DefaultTasksMax>", f);
        else if (value == UINT64_MAX)
                (void)fputs("max", f);
        else
                (void)fprintf(f, "%" PRIu64, value);
}

/* Of type u: a pid, the number of a job, or just a number */
static void print_u32(FILE *f, uint32_t value)
{
        const char *name = value <= INT32_MAX ? process_name((pid_t)value) : NULL;

        if (mask_jobs && is_job_number(value))
                (void)fputc('N', f);
        else if (value == UINT32_MAX)
                (void)fputs("max", f);
        else if (name)
                (void)fprintf(f, "$%s", name);
        else
                (void)fprintf(f, "%" PRIu32, value);
}

static void print_basic(FILE *f, sd_bus_message *m, char type)
{
        union {
                const char *s;
                uint64_t t;
                int64_t x;
                uint32_t u;
                int32_t i;
                uint16_t q;
                int16_t n;
                uint8_t y;
                double d;
        } value = {};

        (void)sd_bus_message_read_basic(m, type, &value);
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                print_text(f, value.s);
                return;
        case 'b':
                (void)fputs(value.i ? "true" : "false", f);
                return;
        case 't':
                print_number(f, value.t);
                return;
        case 'u':
                print_u32(f, value.u);
                return;
        case 'x':
                (void)fprintf(f, "%" PRIi64, value.x);
                return;
        case 'i':
                (void)fprintf(f, "%" PRIi32, value.i);
                return;
        case 'd':
                (void)fprintf(f, "%g", value.d);
                return;
        case 'h':
                (void)fputs("<fd>", f);
                return;
        default:
                (void)fprintf(f, "%u", type == 'y' ? value.y : value.q);
        }
}

static void print_rest(FILE *f, sd_bus_message *m);

/* Bytes as one word of hexadecimal digits */
static int print_bytes(FILE *f, sd_bus_message *m)
{
        const uint8_t *bytes;
        size_t n;

        if (sd_bus_message_read_array(m, 'y', (const void **)&bytes, &n) < 0)
                return 0;
        (void)fputc('<', f);
        if (n == 16)
                (void)fputs("16 bytes", f); /* an id */
        for (size_t i = 0; n != 16 && i < n; i++)
                (void)fprintf(f, "%02x", bytes[i]);
        (void)fputc('>', f);
        return 1;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names are a set: systemd tells them in the order of a hash table. */
static void print_names(FILE *f, sd_bus_message *m)
{
        char **names = NULL;
        size_t n = 0;

        if (sd_bus_message_read_strv(m, &names) < 0)
                give_up("cannot read names");
        while (names && names[n])
                n++;
        if (n > 1)
                qsort(names, n, sizeof(*names), by_name);
        (void)fputc('[', f);
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        (void)fputc(' ', f);
                print_text(f, names[i]);
                free(names[i]);
        }
        (void)fputc(']', f);
        free(names);
}

/* Group, pid, command line: in no order, either */
static void print_processes(FILE *f, sd_bus_message *m)
{
        const char *group, *command;
        char *rows[MAX_PROCESSES];
        size_t n = 0;
        uint32_t pid;

        (void)sd_bus_message_enter_container(m, 'a', "(sus)");
        while (n < MAX_PROCESSES && sd_bus_message_read(m, "(sus)", &group, &pid, &command) > 0) {
                const char *name = process_name((pid_t)pid);

                if (asprintf(&rows[n++], "%s %s%s %s", group, name ? "$" : "",
                             name ? name : "<pid>",
                             name && streq(name, "self") ? "<driver>" : command) < 0)
                        give_up("out of memory");
        }
        (void)sd_bus_message_exit_container(m);
        qsort(rows, n, sizeof(*rows), by_name);
        (void)fputc('[', f);
        for (size_t i = 0; i < n; i++) {
                (void)fprintf(f, "%s%s", i > 0 ? ", " : "", rows[i]);
                free(rows[i]);
        }
        (void)fputc(']', f);
}

static void print_container(FILE *f, sd_bus_message *m, char type, const char *contents)
{
        static const char marks[][3] = { ['a'] = "[]", ['r'] = "()", ['e'] = "{}", ['v'] = "  " };

        if (type == 'a' && streq(contents, "y") && print_bytes(f, m))
                return;
        if (type == 'a' && streq(contents, "(sus)")) {
                print_processes(f, m);
                return;
        }
        if (type == 'a' && streq(contents, "s")) {
                print_names(f, m);
                return;
        }
        if (sd_bus_message_enter_container(m, type, contents) < 0)
                give_up("cannot read a reply");
        if (type == 'v')
                (void)fprintf(f, "%s:", contents);
        else
                (void)fputc(marks[(unsigned char)type][0], f);
        print_rest(f, m);
        if (type != 'v')
                (void)fputc(marks[(unsigned char)type][1], f);
        (void)sd_bus_message_exit_container(m);
}

static void print_rest(FILE *f, sd_bus_message *m)
{
        const char *contents;
        int first = 1;
        char type;

        while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
                if (!first)
                        (void)fputc(' ', f);
                first = 0;
                if (strchr("arev", type))
                        print_container(f, m, type, contents);
                else
                        print_basic(f, m, type);
        }
}

char *message_to_text(sd_bus_message *m)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                give_up("out of memory");
        print_rest(f, m);
        (void)fclose(f);
        return text;
}

/* Length of a run of digits */
static size_t digits(const char *text)
{
        size_t n = 0;

        while (isdigit((unsigned char)text[n]))
                n++;
        return n;
}

/* A number of its own: the name of a process if it is the pid of one of ours. */
static const char *number_name(const char *text, size_t n, const char *begin)
{
        if (n == 0 || n > 9 ||
            (text > begin && (isalnum((unsigned char)text[-1]) || text[-1] == '_')))
                return NULL;
        if (isalnum((unsigned char)text[n]))
                return NULL;
        return process_name((pid_t)strtoul(text, NULL, 10));
}

char *normalise(const char *text)
{
        size_t size, root = strlen(options.root), job = strlen(JOB_PATH);
        const char *p = text, *name;
        char *out = NULL;
        FILE *f = open_memstream(&out, &size);

        if (!f)
                give_up("out of memory");
        while (*p) {
                size_t n = digits(p);

                if (strncmp(p, JOB_PATH, job) == 0 && digits(p + job) > 0) {
                        (void)fputs(JOB_PATH "N", f);
                        p += job + digits(p + job);
                } else if (strncmp(p, "Job ", 4) == 0 && digits(p + 4) > 0 && digits(p + 4) < 8) {
                        (void)fputs("Job N", f);
                        p += 4 + digits(p + 4);
                } else if (strncmp(p, ":1.", 3) == 0) {
                        (void)fputs(":1.N", f);
                        p += 3 + digits(p + 3);
                } else if (strncmp(p, options.root, root) == 0 && p[root] == '/') {
                        (void)fputs("ROOT", f);
                        p += root;
                } else if ((name = number_name(p, n, text))) {
                        (void)fprintf(f, "$%s", name);
                        p += n;
                } else {
                        n = n > 0 ? n : 1;
                        (void)fwrite(p, 1, n, f);
                        p += n;
                }
        }
        (void)fclose(f);
        return out;
}
