/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of bench-runtimes share: a client of org.freedesktop.systemd1 on whatever bus it is given, so that one
 * program measures systemd and chargehandd alike.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <systemd/sd-bus.h>

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER

typedef enum JobKind { JOB_START, JOB_STOP } JobKind;

/* A scope with one process. Replies and signals may come in any order. */
typedef struct Unit {
        uint32_t index, generation;     /* in its name, with the pid of the client: no name is used twice */
        pid_t pid;
        uint32_t job, removed;          /* from the reply; from JobRemoved; 0: not there yet */
        bool finished;
        uint64_t begin, took;           /* nanoseconds */
        struct Client *client;
} Unit;

typedef struct Client {
        sd_bus *bus;
        const char *address;            /* NULL: the system bus */
        bool is_peer;                   /* a private socket: no bus daemon, no Hello */
        pid_t daemon;
        Unit *units;
        size_t n_units;
        size_t finished, failed, repeated; /* of the jobs at hand: ended, badly; signals that came twice */
} Client;

/* bench-runtimes-client.c */
void must(int r, const char *what);     /* ends the program when r < 0 */
uint64_t now_nsec(void);
void client_open(Client *client);
void client_reserve(Client *client, size_t n);

/* Forks the processes for units first … first + n, and gives the units new names. */
void client_prepare(Client *client, size_t first, size_t n);

/* One job for each of the units, at most window of them at a time; ends when JobRemoved was seen for each. */
void client_jobs(Client *client, JobKind kind, size_t first, size_t n, size_t window);

void unit_name(const Unit *unit, char *ret, size_t size);
pid_t fork_sleeper(void);
sd_bus_message *client_call(Client *client, sd_bus_message *m);

/* bench-runtimes-probe.c: what a process uses, and what it says */
uint64_t cpu_nsec(pid_t pid);           /* of all threads, the ended ones too */
uint64_t anonymous_bytes(pid_t pid);
size_t open_fds(pid_t pid);
void settle(pid_t pid);                 /* until the process has nothing more to do */

typedef struct Tracer {
        pid_t pid;
        char path[64];
} Tracer;

void strace_begin(Tracer *tracer, pid_t pid);
void strace_end(Tracer *tracer, size_t cycles); /* prints `syscall NAME COUNT` and `syscalls COUNT`, per cycle */

void monitor_begin(Tracer *tracer, Client *client);
void monitor_end(Tracer *tracer, size_t cycles); /* prints `message NAME COUNT` and `messages COUNT`, per cycle */

/* A bare service on the same bus that answers Echo(s) → s; its unique name in name. */
pid_t echo_begin(Client *client, char *name, size_t size);
