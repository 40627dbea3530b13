/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a container runtime waits for, measured at org.freedesktop.systemd1 whoever offers it:
 *
 *     bench-runtimes [--bus ADDRESS | --peer ADDRESS] CASE ARG…
 *
 *     units EXISTING N           beside EXISTING scopes: N starts back to back, then N stops, and
 * CPU of the daemon for both; the same CPU for scopes that last; and N scopes that are stopped as
 * soon as they are started (at_once_…) memory N                   private memory of the daemon with
 * N scopes and after them, per scope attach N REPEAT            AttachProcessesToUnit of N
 * processes, back and forth raw N REPEAT DIR           the same by writes of cgroup.procs in DIR/0
 * and DIR/1, no bus call REPEAT                Ping and a property, beside a bare service on the
 * same bus count N                    system calls of the daemon and messages from and to it, per
 * start and stop storm ROUNDS N CLIENTS     N starts and stops at once by so many clients: fds and
 * memory after each round deaths ROUNDS N            N scopes whose processes end by themselves,
 * some at once: how long until no unit is left run REPEAT COMMAND ARG… [--- COMMAND ARG…] programs
 * from fork to their end, in turns; @ in an argument is the number of the run; no bus
 *
 * Without an address it is the system bus. Prints lines `NAME VALUE`; times are medians in µs.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench-runtimes.h"

/* So few starts between stops that "beside 0 scopes" is nearly true, and enough that most are back
 * to back. */
#define ROUND   8
#define WARM_UP 64
#define WINDOW  64
/* Scopes that live for more than a moment, and their number */
#define LASTING 64

static int by_value(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Prints the median and the least of what was measured. */
static void print_times(const char *name, uint64_t *nsec, size_t n)
{
        qsort(nsec, n, sizeof(*nsec), by_value);
        printf("%s %.1f\n%s_min %.1f\n", name, (double)nsec[n / 2] / 1000, name,
               (double)nsec[0] / 1000);
}

static uint64_t *new_times(size_t n)
{
        uint64_t *times = calloc(n, sizeof(uint64_t));

        must(times ? 0 : -ENOMEM, "times");
        return times;
}

static size_t number(const char *text)
{
        char *end;
        unsigned long value = strtoul(text, &end, 10);

        if (!*text || *end) {
                fprintf(stderr, "bench-runtimes: '%s' is not a number\n", text);
                exit(2);
        }
        return value;
}

static void cycle(Client *client, size_t first, size_t n, size_t window)
{
        client_prepare(client, first, n);
        client_jobs(client, JOB_START, first, n, window);
        client_jobs(client, JOB_STOP, first, n, window);
}

/* N times the client's units beyond the existing ones, ROUND at a time */
static void measure_rounds(Client *client, size_t existing, size_t n, size_t round,
                           const char *names[2])
{
        uint64_t *times[2] = { new_times(n), new_times(n) };

        for (size_t done = 0; done < n; done += round) {
                client_prepare(client, existing, round);
                for (JobKind kind = JOB_START; kind <= JOB_STOP; kind++) {
                        client_jobs(client, kind, existing, round, 1);
                        for (size_t i = 0; i < round; i++)
                                times[kind][done + i] = client->units[existing + i].took;
                }
        }
        for (JobKind kind = JOB_START; kind <= JOB_STOP; kind++) {
                print_times(names[kind], times[kind], n);
                free(times[kind]);
        }
}

static double cpu_usec_since(Client *client, uint64_t begin)
{
        settle(client->daemon);
        return (double)(cpu_nsec(client->daemon) - begin) / 1000;
}

static void measure_units(Client *client, char *argv[])
{
        size_t existing = number(argv[0]), n = (number(argv[1]) + ROUND - 1) / ROUND * ROUND;
        uint64_t cpu;

        client_reserve(client, existing + LASTING);
        client_prepare(client, 0, existing);
        client_jobs(client, JOB_START, 0, existing, WINDOW);
        for (int i = 0; i < 4; i++)
                cycle(client, existing, ROUND, 1);
        settle(client->daemon);
        cpu = cpu_nsec(client->daemon);
        measure_rounds(client, existing, n, ROUND, (const char *[]){ "start", "stop" });
        printf("cpu %.1f\n", cpu_usec_since(client, cpu) / (double)n);
        cpu = cpu_nsec(client->daemon);
        client_prepare(client, existing, LASTING);
        client_jobs(client, JOB_START, existing, LASTING, 1);
        settle(client->daemon);
        client_jobs(client, JOB_STOP, existing, LASTING, 1);
        printf("cpu_lasting %.1f\n", cpu_usec_since(client, cpu) / LASTING);
        measure_rounds(client, existing, n, 1, (const char *[]){ "at_once_start", "at_once_stop" });
        client_jobs(client, JOB_STOP, 0, existing, WINDOW);
}

static void measure_memory(Client *client, char *argv[])
{
        size_t n = number(argv[0]);
        uint64_t before, during, after;

        client_reserve(client, n);
        cycle(client, 0, n < WARM_UP ? n : WARM_UP, WINDOW);
        settle(client->daemon);
        before = anonymous_bytes(client->daemon);
        client_prepare(client, 0, n);
        client_jobs(client, JOB_START, 0, n, WINDOW);
        settle(client->daemon);
        during = anonymous_bytes(client->daemon);
        client_jobs(client, JOB_STOP, 0, n, WINDOW);
        settle(client->daemon);
        after = anonymous_bytes(client->daemon);
        printf("before %llu\n", (unsigned long long)before);
        printf("per_scope %.1f\n", ((double)during - (double)before) / (double)n);
        printf("kept_per_scope %.1f\n", ((double)after - (double)before) / (double)n);
}

static void measure_attach(Client *client, char *argv[])
{
        size_t n = number(argv[0]), repeat = number(argv[1]);
        uint32_t *pids = calloc(n + 1, sizeof(uint32_t));
        uint64_t *times = new_times(repeat);

        must(pids ? 0 : -ENOMEM, "pids");
        client_reserve(client, 2);
        client_prepare(client, 0, 2);
        client_jobs(client, JOB_START, 0, 2, 1);
        for (size_t i = 0; i < n; i++)
                pids[i] = (uint32_t)fork_sleeper();
        for (size_t i = 0; i < repeat; i++) {
                sd_bus_message *m;
                char name[64];

                unit_name(&client->units[i & 1], name, sizeof(name));
                times[i] = now_nsec();
                must(sd_bus_message_new_method_call(client->bus, &m, SYSTEMD,
                                                    "AttachProcessesToUnit"),
                     "message");
                must(sd_bus_message_append(m, "ss", name, ""), "message");
                must(sd_bus_message_append_array(m, 'u', pids, n * sizeof(uint32_t)), "message");
                sd_bus_message_unref(client_call(client, m));
                times[i] = now_nsec() - times[i];
        }
        print_times("attach", times, repeat);
        client_jobs(client, JOB_STOP, 0, 2, 1);
        free(pids);
        free(times);
}

static void write_pids(const char *directory, int to, const uint32_t *pids, size_t n)
{
        char text[4096];
        int fd;

        snprintf(text, sizeof(text), "%s/%d/cgroup.procs", directory, to);
        fd = open(text, O_WRONLY | O_CLOEXEC);
        must(fd < 0 ? -errno : 0, text);
        for (size_t i = 0; i < n; i++) {
                int len = snprintf(text, sizeof(text), "%u", pids[i]);

                must(write(fd, text, (size_t)len) < 0 ? -errno : 0, directory);
        }
        close(fd);
}

static void measure_raw(Client *client, char *argv[])
{
        size_t n = number(argv[0]), repeat = number(argv[1]);
        uint32_t *pids = calloc(n + 1, sizeof(uint32_t));
        uint64_t *times = new_times(repeat);

        (void)client;
        must(pids ? 0 : -ENOMEM, "pids");
        for (size_t i = 0; i < n; i++)
                pids[i] = (uint32_t)fork_sleeper();
        for (size_t i = 0; i < repeat; i++) {
                times[i] = now_nsec();
                write_pids(argv[2], (int)(i & 1), pids, n);
                times[i] = now_nsec() - times[i];
        }
        print_times("raw", times, repeat);
        free(pids);
        free(times);
}

typedef struct Question {
        const char *what;
        const char *destination, *path, *interface, *member;
        const char *arguments[2];
} Question;

static uint64_t ask(Client *client, const Question *question)
{
        sd_bus_message *m;
        uint64_t begin = now_nsec();

        must(sd_bus_message_new_method_call(client->bus, &m, question->destination, question->path,
                                            question->interface, question->member),
             "message");
        for (size_t i = 0; i < 2 && question->arguments[i]; i++)
                must(sd_bus_message_append(m, "s", question->arguments[i]), "message");
        sd_bus_message_unref(client_call(client, m));
        return now_nsec() - begin;
}

static void measure_call(Client *client, char *argv[])
{
        size_t repeat = number(argv[0]);
        char echo[64];
        const Question questions[] = {
                {"get",
                 SYSTEMD_NAME,  SYSTEMD_PATH,
                 "org.freedesktop.DBus.Properties",                   "Get",
                 { SYSTEMD_MANAGER, "Version" }                                                     },
                { "ping",
                 SYSTEMD_NAME,  SYSTEMD_PATH,
                 "org.freedesktop.DBus.Peer",                         "Ping",
                 { NULL }                                                                           },
                { "echo", echo, "/",          "org.chargehand.Bench", "Echo", { "257.13-1~deb13u1" }},
        };
        enum { N = sizeof(questions) / sizeof(questions[0]) };
        uint64_t *times[N];
        pid_t pid = echo_begin(client, echo, sizeof(echo));

        for (size_t q = 0; q < N; q++)
                times[q] = new_times(repeat);
        /* in turns, so that what else runs here hits all alike */
        for (size_t i = 0; i < repeat; i++)
                for (size_t q = 0; q < N; q++)
                        times[q][i] = ask(client, &questions[q]);
        for (size_t q = 0; q < N; q++) {
                print_times(questions[q].what, times[q], repeat);
                free(times[q]);
        }
        (void)kill(pid, SIGKILL);
}

static void measure_count(Client *client, char *argv[])
{
        size_t n = number(argv[0]);
        Tracer tracer;

        client_reserve(client, ROUND);
        cycle(client, 0, ROUND, 1);
        settle(client->daemon);
        if (!client->is_peer) {
                monitor_begin(&tracer, client);
                for (size_t i = 0; i < n; i++)
                        cycle(client, 0, 1, 1);
                settle(client->daemon);
                monitor_end(&tracer, n);
        }
        strace_begin(&tracer, client->daemon);
        for (size_t i = 0; i < n; i++)
                cycle(client, 0, 1, 1);
        settle(client->daemon);
        strace_end(&tracer, n);
}

/* One client of the storm, with a connection of its own as every runtime has */
static _Noreturn void storm_client(const Client *parent, size_t n)
{
        Client client = { .address = parent->address, .is_peer = parent->is_peer };

        client_open(&client);
        client_reserve(&client, n);
        cycle(&client, 0, n, n);
        _exit(client.failed || client.repeated ? EXIT_FAILURE : EXIT_SUCCESS);
}

static size_t storm_round(const Client *client, size_t n, size_t clients)
{
        size_t failed = 0;

        for (size_t i = 0; i < clients; i++) {
                pid_t pid = fork();

                must(pid < 0 ? -errno : 0, "fork");
                if (pid == 0)
                        storm_client(client, n / clients);
        }
        for (size_t i = 0; i < clients; i++) {
                int status;

                must(wait(&status) < 0 ? -errno : 0, "wait");
                failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        }
        return failed;
}

static void measure_storm(Client *client, char *argv[])
{
        size_t rounds = number(argv[0]), n = number(argv[1]), clients = number(argv[2]);

        (void)signal(SIGCHLD, SIG_DFL);
        client->failed = storm_round(client, n, clients);
        for (size_t i = 0; i <= rounds; i++) {
                uint64_t begin = now_nsec();

                if (i > 0)
                        client->failed += storm_round(client, n, clients);
                printf("round%zu_ms %.1f\n", i, (double)(now_nsec() - begin) / 1e6);
                settle(client->daemon);
                printf("round%zu_fds %zu\n", i, open_fds(client->daemon));
                printf("round%zu_anonymous %llu\n", i,
                       (unsigned long long)anonymous_bytes(client->daemon));
        }
        printf("failed %zu\n", client->failed);
}

static size_t count_units(Client *client)
{
        sd_bus_message *m, *reply;
        size_t n = 0;
        int r;

        must(sd_bus_message_new_method_call(client->bus, &m, SYSTEMD, "ListUnitsByPatterns"),
             "message");
        must(sd_bus_message_append(m, "asas", 1, "active", 1, "bench-*.scope"), "message");
        reply = client_call(client, m);
        must(sd_bus_message_enter_container(reply, 'a', "(ssssssouso)"), "list");
        while ((r = sd_bus_message_skip(reply, "(ssssssouso)")) > 0)
                n++;
        must(r == -ENXIO ? 0 : r, "list");
        sd_bus_message_unref(reply);
        return n;
}

static void measure_deaths(Client *client, char *argv[])
{
        size_t rounds = number(argv[0]), n = number(argv[1]);

        client_reserve(client, n);
        for (size_t i = 0; i < rounds; i++) {
                uint64_t begin;

                client_prepare(client, 0, n);
                for (size_t first = 0; first < n; first += ROUND) {
                        size_t some = n - first < ROUND ? n - first : ROUND;

                        client_jobs(client, JOB_START, first, some, ROUND);
                        usleep((useconds_t)(first * 7919 % 40000)); /* new ones, and ones that have
                                                                       been here for a while */
                        for (size_t u = first; u < first + some; u++)
                                (void)kill(client->units[u].pid, SIGKILL);
                }
                begin = now_nsec();
                while (count_units(client) > 0) {
                        must(now_nsec() - begin < 60 * UINT64_C(1000000000) ? 0 : -ETIMEDOUT,
                             "units that never end");
                        usleep(2000);
                }
                printf("deaths%zu_ms %.1f\n", i, (double)(now_nsec() - begin) / 1e6);
        }
}

static void run_once(char *argv[], size_t turn)
{
        static char texts[64][256];
        char *copy[65] = { NULL };
        pid_t pid;
        int status;

        for (size_t i = 0; argv[i] && i < 64; i++) {
                const char *at = strchr(argv[i], '@');

                copy[i] = argv[i];
                if (!at)
                        continue;
                snprintf(texts[i], sizeof(texts[i]), "%.*s%zu%s", (int)(at - argv[i]), argv[i],
                         turn, at + 1);
                copy[i] = texts[i];
        }
        pid = fork();
        must(pid < 0 ? -errno : 0, "fork");
        if (pid == 0) {
                execvp(copy[0], copy);
                must(-errno, copy[0]);
        }
        must(waitpid(pid, &status, 0) < 0 ? -errno : 0, "waitpid");
        must(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO, copy[0]);
}

static void measure_run(Client *client, char *argv[])
{
        enum { MAX = 4, WARM = 3 };
        size_t repeat = number(argv[0]), n = 0, turn = 0;
        uint64_t *times[MAX];
        char **commands[MAX], name[32];

        (void)client;
        (void)signal(SIGCHLD, SIG_DFL);
        commands[n++] = argv + 1;
        for (char **arg = argv + 1; *arg; arg++)
                if (strcmp(*arg, "---") == 0 && n < MAX) {
                        *arg = NULL;
                        commands[n++] = ++arg;
                }
        for (size_t c = 0; c < n; c++)
                times[c] = new_times(repeat + WARM);
        for (size_t i = 0; i < repeat + WARM; i++)
                for (size_t c = 0; c < n; c++) {
                        times[c][i] = now_nsec();
                        run_once(commands[c], turn++);
                        times[c][i] = now_nsec() - times[c][i];
                }
        for (size_t c = 0; c < n; c++) {
                snprintf(name, sizeof(name), "run%zu", c + 1);
                print_times(name, times[c] + WARM, repeat);
                free(times[c]);
        }
}

static const struct Case {
        const char *name;
        int n_arguments; /* at least */
        bool no_bus;
        void (*measure)(Client *client, char *argv[]);
} cases[] = {
        {"units",   2, false, measure_units },
        { "memory", 1, false, measure_memory},
        { "attach", 2, false, measure_attach},
        { "raw",    3, true,  measure_raw   },
        { "call",   1, false, measure_call  },
        { "count",  1, false, measure_count },
        { "storm",  3, false, measure_storm },
        { "deaths", 2, false, measure_deaths},
        { "run",    2, true,  measure_run   },
};

static int usage(void)
{
        fprintf(stderr, "usage: bench-runtimes [--bus ADDRESS | --peer ADDRESS] CASE ARG…; cases:");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                fprintf(stderr, " %s", cases[i].name);
        fprintf(stderr, "\n");
        return 2;
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                {"bus",   required_argument, NULL, 'b'},
                { "peer", required_argument, NULL, 'p'},
                { NULL,   0,                 NULL, 0  },
        };
        Client client = { 0 };
        int c;

        while ((c = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
                if (c != 'b' && c != 'p')
                        return usage();
                client.address = optarg;
                client.is_peer = c == 'p';
        }
        if (optind >= argc)
                return usage();
        for (const struct Case *one = cases; one < cases + sizeof(cases) / sizeof(cases[0]);
             one++) {
                if (strcmp(one->name, argv[optind]) != 0)
                        continue;
                if (argc - optind - 1 < one->n_arguments)
                        return usage();
                /* in a pid namespace that was entered, a group from outside would look like a
                 * kernel thread's */
                (void)setpgid(0, 0);
                if (!one->no_bus)
                        client_open(&client);
                else
                        (void)signal(SIGCHLD, SIG_IGN);
                one->measure(&client, argv + optind + 1);
                sd_bus_flush_close_unref(client.bus);
                free(client.units);
                return client.failed || client.repeated ? EXIT_FAILURE : EXIT_SUCCESS;
        }
        return usage();
}
