/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of bench-runtimes: a connection, processes to put into scopes, jobs and their ends. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench-runtimes.h"

#define CALL_USEC (120 * UINT64_C(1000000))
/* Nothing at all heard for so long: a signal is lost. */
#define LOST_NSEC (60 * UINT64_C(1000000000))

void must(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "bench-runtimes: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

uint64_t now_nsec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

pid_t fork_sleeper(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the benchmark */
                (void)syscall(SYS_close_range, 3, ~0u, 0);
                for (;;)
                        pause();
        }
        must(pid < 0 ? -errno : 0, "fork");
        return pid;
}

void unit_name(const Unit *unit, char *ret, size_t size)
{
        snprintf(ret, size, "bench-%u-%u-%u.scope", (unsigned)getpid(), unit->generation,
                 unit->index);
}

sd_bus_message *client_call(Client *client, sd_bus_message *m)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r = sd_bus_call(client->bus, m, CALL_USEC, &error, &reply);

        if (r < 0)
                fprintf(stderr, "bench-runtimes: %s: %s: %s\n", sd_bus_message_get_member(m),
                        error.name, error.message);
        must(r, "call");
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return reply;
}

static void unit_check(Unit *unit)
{
        if (unit->finished || !unit->job || unit->job != unit->removed)
                return;
        unit->finished = true;
        unit->took = now_nsec() - unit->begin;
        unit->client->finished++;
}

static void unit_fail(Unit *unit, const char *why)
{
        char name[64];

        unit_name(unit, name, sizeof(name));
        if (unit->client->failed++ == 0)
                fprintf(stderr, "bench-runtimes: %s: %s\n", name, why);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *failure = sd_bus_message_get_error(m);
        const char *object = "";
        Unit *unit = userdata;

        (void)error;
        if (failure) {
                unit_fail(unit, failure->message ? failure->message : failure->name);
                unit->finished = true;
                unit->client->finished++;
                return 0;
        }
        must(sd_bus_message_read(m, "o", &object), "reading a reply");
        unit->job = (uint32_t)strtoul(strrchr(object, '/') + 1, NULL, 10);
        unit_check(unit);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *object, *name, *result;
        Client *client = userdata;
        uint32_t id, pid, generation, index;
        Unit *unit;

        (void)error;
        must(sd_bus_message_read(m, "uoss", &id, &object, &name, &result), "reading JobRemoved");
        if (sscanf(name, "bench-%u-%u-%u.scope", &pid, &generation, &index) != 3 ||
            pid != (uint32_t)getpid() || index >= client->n_units)
                return 0; /* somebody else's */
        unit = &client->units[index];
        if (unit->generation != generation || unit->removed == id) {
                client->repeated++;
                return 0;
        }
        unit->removed = id;
        if (strcmp(result, "done") != 0)
                unit_fail(unit, result);
        unit_check(unit);
        return 0;
}

static void find_daemon(Client *client)
{
        sd_bus_creds *creds;

        if (client->is_peer)
                must(sd_bus_get_owner_creds(client->bus, SD_BUS_CREDS_PID, &creds),
                     "the daemon's pid");
        else
                must(sd_bus_get_name_creds(client->bus, SYSTEMD_NAME, SD_BUS_CREDS_PID, &creds),
                     SYSTEMD_NAME);
        must(sd_bus_creds_get_pid(creds, &client->daemon), "the daemon's pid");
        sd_bus_creds_unref(creds);
}

void client_open(Client *client)
{
        const char *sender = client->is_peer ? NULL : SYSTEMD_NAME;

        /* those of the sleepers that end are nobody's worry */
        (void)signal(SIGCHLD, SIG_IGN);
        if (client->address) {
                must(sd_bus_new(&client->bus), "sd_bus_new");
                must(sd_bus_set_address(client->bus, client->address), client->address);
                must(sd_bus_set_bus_client(client->bus, !client->is_peer), "sd_bus_set_bus_client");
                must(sd_bus_start(client->bus), client->address);
        } else
                must(sd_bus_open_system(&client->bus), "the system bus");
        must(sd_bus_match_signal(client->bus, NULL, sender, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                 "JobRemoved", on_job_removed, client),
             "match of JobRemoved");
        find_daemon(client);
}

void client_reserve(Client *client, size_t n)
{
        client->units = calloc(n, sizeof(Unit));
        must(client->units ? 0 : -ENOMEM, "units");
        client->n_units = n;
        for (size_t i = 0; i < n; i++)
                client->units[i] = (Unit){ .index = (uint32_t)i, .client = client };
}

void client_prepare(Client *client, size_t first, size_t n)
{
        for (Unit *unit = client->units + first; unit < client->units + first + n; unit++) {
                unit->generation++;
                unit->pid = fork_sleeper();
        }
}

static void submit(Client *client, JobKind kind, Unit *unit)
{
        sd_bus_message *m;
        char name[64];

        unit_name(unit, name, sizeof(name));
        unit->job = 0;
        unit->removed = 0;
        unit->finished = false;
        unit->begin = now_nsec();
        must(sd_bus_message_new_method_call(client->bus, &m, SYSTEMD,
                                            kind == JOB_START ? "StartTransientUnit" : "StopUnit"),
             "message");
        if (kind == JOB_START)
                must(sd_bus_message_append(m, "ssa(sv)a(sa(sv))", name, "fail", 4, "PIDs", "au", 1,
                                           (uint32_t)unit->pid, "Delegate", "b", 1, "MemoryMax",
                                           "t", UINT64_C(1) << 30, "TasksMax", "t", UINT64_C(1000),
                                           0),
                     "StartTransientUnit");
        else
                must(sd_bus_message_append(m, "ss", name, "replace"), "StopUnit");
        must(sd_bus_call_async(client->bus, NULL, m, on_reply, unit, CALL_USEC), "sending");
        sd_bus_message_unref(m);
}

void client_jobs(Client *client, JobKind kind, size_t first, size_t n, size_t window)
{
        uint64_t heard = now_nsec();
        size_t sent = 0;

        client->finished = 0;
        while (client->finished < n) {
                int r;

                for (; sent < n && sent - client->finished < window; sent++)
                        submit(client, kind, &client->units[first + sent]);
                r = sd_bus_process(client->bus, NULL);
                must(r, "the bus");
                if (r > 0) {
                        heard = now_nsec();
                        continue;
                }
                if (now_nsec() - heard > LOST_NSEC) {
                        fprintf(stderr, "bench-runtimes: %zu of %zu jobs never ended\n",
                                n - client->finished, n);
                        exit(EXIT_FAILURE);
                }
                must(sd_bus_wait(client->bus, 1000000), "the bus");
        }
}
