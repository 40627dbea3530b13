/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon uses and says while bench-runtimes keeps it busy: CPU, memory, fds, system calls,
 * messages; and the bare service that it is compared with. */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench-runtimes.h"

static volatile sig_atomic_t ended;

static void on_signal(int signo)
{
        (void)signo;
        ended = 1;
}

uint64_t cpu_nsec(pid_t pid)
{
        struct timespec ts;
        clockid_t clock;

        must(-clock_getcpuclockid(pid, &clock), "CPU clock of the daemon");
        must(clock_gettime(clock, &ts) < 0 ? -errno : 0, "CPU clock of the daemon");
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The sum that the kernel makes here is exact; RssAnon of status lags by what each CPU has not yet
 * added. */
uint64_t anonymous_bytes(pid_t pid)
{
        char path[64], line[256];
        uint64_t kib = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
        file = fopen(path, "re");
        must(file ? 0 : -errno, path);
        while (fgets(line, sizeof(line), file))
                if (strncmp(line, "Anonymous:", 10) == 0)
                        kib = strtoull(line + 10, NULL, 10);
        fclose(file);
        return kib * 1024;
}

size_t open_fds(pid_t pid)
{
        char path[64];
        size_t n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        dir = opendir(path);
        must(dir ? 0 : -errno, path);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n - 2; /* . and .. */
}

void settle(pid_t pid)
{
        uint64_t before, after = cpu_nsec(pid);

        for (int i = 0; i < 100; i++) {
                before = after;
                usleep(100000);
                after = cpu_nsec(pid);
                if (after - before < 100000)
                        return;
        }
}

/* Forked for a time: ends by SIGTERM with a summary in the file. SIGCHLD is ignored here, so
 * waitpid waits for all. */
static void wait_for_end(Tracer *tracer, int signo)
{
        (void)kill(tracer->pid, signo);
        while (kill(tracer->pid, 0) == 0)
                usleep(1000);
}

static pid_t tracer_of(pid_t pid)
{
        char path[64], line[256];
        pid_t tracer = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        must(file ? 0 : -errno, path);
        while (fgets(line, sizeof(line), file))
                if (strncmp(line, "TracerPid:", 10) == 0)
                        tracer = (pid_t)strtol(line + 10, NULL, 10);
        fclose(file);
        return tracer;
}

/* Prints the lines of "COUNT NAME" that the file has, per cycle, and their sum. */
static void print_counts(const Tracer *tracer, const char *what, size_t cycles)
{
        FILE *file = fopen(tracer->path, "re");
        char line[256], name[128];
        unsigned long long count, total = 0;

        must(file ? 0 : -errno, tracer->path);
        while (fgets(line, sizeof(line), file)) {
                if (sscanf(line, "%llu %127s", &count, name) != 2 || strcmp(name, "total") == 0)
                        continue;
                total += count;
                printf("%s %s %.2f\n", what, name, (double)count / (double)cycles);
        }
        printf("%ss %.1f\n", what, (double)total / (double)cycles);
        fclose(file);
        (void)unlink(tracer->path);
}

static void tracer_path(Tracer *tracer)
{
        int fd;

        snprintf(tracer->path, sizeof(tracer->path), "/tmp/bench-runtimes-XXXXXX");
        fd = mkstemp(tracer->path);
        must(fd < 0 ? -errno : 0, tracer->path);
        close(fd);
}

void strace_begin(Tracer *tracer, pid_t pid)
{
        char number[16];

        tracer_path(tracer);
        snprintf(number, sizeof(number), "%d", (int)pid);
        tracer->pid = fork();
        must(tracer->pid < 0 ? -errno : 0, "fork");
        if (tracer->pid == 0) {
                (void)signal(SIGCHLD, SIG_DFL);
                execlp("strace", "strace", "-qq", "-f", "-c", "-U", "calls,name", "-o",
                       tracer->path, "-p", number, NULL);
                must(-errno, "strace");
        }
        while (tracer_of(pid) == 0) {
                must(kill(tracer->pid, 0) < 0 ? -errno : 0, "strace");
                usleep(10000);
        }
}

void strace_end(Tracer *tracer, size_t cycles)
{
        wait_for_end(tracer, SIGINT);
        print_counts(tracer, "syscall", cycles);
}

typedef struct Count {
        char name[128];
        size_t n;
} Count;

static void count(Count *counts, size_t n_counts, sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m);
        char name[128];
        uint8_t type;

        (void)sd_bus_message_get_type(m, &type);
        snprintf(name, sizeof(name), "%s",
                 type == SD_BUS_MESSAGE_METHOD_RETURN  ? "reply"
                 : type == SD_BUS_MESSAGE_METHOD_ERROR ? "error"
                 : member                              ? member
                                                       : "unknown");
        for (Count *slot = counts; slot < counts + n_counts; slot++)
                if (slot->n == 0 || strcmp(slot->name, name) == 0) {
                        snprintf(slot->name, sizeof(slot->name), "%s", name);
                        slot->n++;
                        return;
                }
}

/* Counts what the daemon gets and sends until SIGTERM. A monitor is told everything and may say
 * nothing. */
static _Noreturn void monitor(const char *path, const char *address, const char *owner, int ready)
{
        Count counts[64] = { { .n = 0 } };
        sd_bus *bus;
        FILE *file;

        (void)signal(SIGTERM, on_signal);
        must(sd_bus_new(&bus), "monitor");
        must(sd_bus_set_address(bus, address), "monitor");
        must(sd_bus_set_bus_client(bus, 1), "monitor");
        must(sd_bus_set_monitor(bus, 1), "monitor");
        must(sd_bus_start(bus), "monitor");
        must(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus.Monitoring", "BecomeMonitor", NULL, NULL,
                                "asu", 0, 0),
             "BecomeMonitor");
        must(write(ready, "1", 1) < 0 ? -errno : 0, "pipe");
        while (!ended) {
                sd_bus_message *m = NULL;
                int r = sd_bus_process(bus, &m);

                must(r, "monitor");
                if (m) {
                        const char *from = sd_bus_message_get_sender(m),
                                   *to = sd_bus_message_get_destination(m);

                        if ((from && strcmp(from, owner) == 0) ||
                            (to && (strcmp(to, owner) == 0 || strcmp(to, SYSTEMD_NAME) == 0)))
                                count(counts, sizeof(counts) / sizeof(counts[0]), m);
                        sd_bus_message_unref(m);
                } else if (r == 0)
                        (void)sd_bus_wait(bus, 100000);
        }
        file = fopen(path, "we");
        must(file ? 0 : -errno, path);
        for (Count *slot = counts; slot->n; slot++)
                fprintf(file, "%zu %s\n", slot->n, slot->name);
        fclose(file);
        _exit(EXIT_SUCCESS);
}

void monitor_begin(Tracer *tracer, Client *client)
{
        sd_bus_creds *creds;
        const char *owner, *address;
        int ready[2];
        char byte;

        tracer_path(tracer);
        must(sd_bus_get_name_creds(client->bus, SYSTEMD_NAME, SD_BUS_CREDS_UNIQUE_NAME, &creds),
             SYSTEMD_NAME);
        must(sd_bus_creds_get_unique_name(creds, &owner), "unique name");
        must(sd_bus_get_address(client->bus, &address), "address");
        must(pipe(ready) < 0 ? -errno : 0, "pipe");
        tracer->pid = fork();
        must(tracer->pid < 0 ? -errno : 0, "fork");
        if (tracer->pid == 0)
                monitor(tracer->path, address, owner, ready[1]);
        close(ready[1]);
        must(read(ready[0], &byte, 1) == 1 ? 0 : -EIO, "the monitor");
        close(ready[0]);
        sd_bus_creds_unref(creds);
}

void monitor_end(Tracer *tracer, size_t cycles)
{
        wait_for_end(tracer, SIGTERM);
        print_counts(tracer, "message", cycles);
}

static int on_echo(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        (void)userdata;
        (void)error;
        return r < 0 ? r : sd_bus_reply_method_return(m, "s", text);
}

static const sd_bus_vtable echo_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Echo", "s", "s", on_echo, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static _Noreturn void serve_echo(const char *address, int ready)
{
        const char *name;
        sd_bus *bus;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        must(sd_bus_new(&bus), "echo");
        must(sd_bus_set_address(bus, address), "echo");
        must(sd_bus_set_bus_client(bus, 1), "echo");
        must(sd_bus_start(bus), "echo");
        must(sd_bus_add_object_vtable(bus, NULL, "/", "org.chargehand.Bench", echo_vtable, NULL),
             "echo");
        must(sd_bus_get_unique_name(bus, &name), "echo");
        must(write(ready, name, strlen(name) + 1) < 0 ? -errno : 0, "pipe");
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                must(r, "echo");
                if (r == 0)
                        must(sd_bus_wait(bus, UINT64_MAX), "echo");
        }
}

pid_t echo_begin(Client *client, char *name, size_t size)
{
        const char *address;
        int ready[2];
        pid_t pid;

        must(sd_bus_get_address(client->bus, &address), "address");
        must(pipe(ready) < 0 ? -errno : 0, "pipe");
        pid = fork();
        must(pid < 0 ? -errno : 0, "fork");
        if (pid == 0)
                serve_echo(address, ready[1]);
        close(ready[1]);
        must(read(ready[0], name, size) > 0 ? 0 : -EIO, "the echo service");
        close(ready[0]);
        return pid;
}
