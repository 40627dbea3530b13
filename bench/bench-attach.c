/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call that moves N processes, timed from the call to the end of the job, against chargehandd or systemd:
 *
 *     bench-attach systemd N REPEAT              AttachProcessesToUnit over /run/systemd/private
 *     bench-attach chargehand N REPEAT ADDRESS   Move, policy stay, until JobRemoved
 *     bench-attach raw N REPEAT DIR              bare writes of cgroup.procs into DIR/0 and DIR/1
 *
 * The processes go back and forth between two groups; each result is a line with microseconds.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

typedef struct Bench {
        sd_bus *bus;
        const char *place;      /* bus address, or directory */
        uint32_t *pids;
        size_t n;
        int done;               /* jobs seen to end */
} Bench;

typedef struct Peer {
        const char *name;
        const char *fixed_place;
        int (*prepare)(Bench *bench);
        int (*move)(Bench *bench, int to); /* to: 0 or 1 */
} Peer;

static uint64_t now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int open_bus(Bench *bench, int is_client)
{
        int r = sd_bus_new(&bench->bus);

        if (r >= 0)
                r = sd_bus_set_address(bench->bus, bench->place);
        if (r >= 0)
                r = sd_bus_set_bus_client(bench->bus, is_client);
        return r < 0 ? r : sd_bus_start(bench->bus);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bench *bench = userdata;
        const char *object, *unit, *result;
        uint32_t id;
        int r = sd_bus_message_read(m, "uoss", &id, &object, &unit, &result);

        (void)error;
        /* systemd names the unit, chargehandd the type of the job; others' jobs are not counted */
        if (r >= 0 && (strncmp(unit, "bench-", 6) == 0 || strcmp(unit, "move") == 0))
                bench->done++;
        return 0;
}

static int wait_for_jobs(Bench *bench, int wanted)
{
        while (bench->done < wanted) {
                int r = sd_bus_process(bench->bus, NULL);

                if (r == 0)
                        r = sd_bus_wait(bench->bus, 30 * 1000000);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int call(Bench *bench, sd_bus_message *m)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call(bench->bus, m, 60 * 1000000ull, &error, NULL);

        if (r < 0)
                fprintf(stderr, "bench-attach: %s: %s\n", sd_bus_message_get_member(m),
                        error.message ? error.message : strerror(-r));
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return r;
}

#define SYSTEMD "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

static pid_t fork_sleeper(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the benchmark */
                for (;;)
                        pause();
        }
        return pid;
}

static int systemd_prepare(Bench *bench)
{
        int r = open_bus(bench, 0);

        if (r >= 0)
                r = sd_bus_match_signal(bench->bus, NULL, NULL, NULL, "org.freedesktop.systemd1.Manager",
                                        "JobRemoved", on_job_removed, bench);
        if (r >= 0)
                r = sd_bus_call_method(bench->bus, SYSTEMD, "Subscribe", NULL, NULL, NULL);
        for (int i = 0; r >= 0 && i < 2; i++) {
                sd_bus_message *m;
                char name[64];

                /* a scope needs one process to begin with */
                snprintf(name, sizeof(name), "bench-%d-%d.scope", (int)getpid(), i);
                r = sd_bus_message_new_method_call(bench->bus, &m, SYSTEMD, "StartTransientUnit");
                if (r >= 0)
                        r = sd_bus_message_append(m, "ssa(sv)a(sa(sv))", name, "fail", 2, "Delegate", "b", 1,
                                                  "PIDs", "au", 1, (uint32_t)fork_sleeper(), 0);
                if (r >= 0)
                        r = call(bench, m);
        }
        return r < 0 ? r : wait_for_jobs(bench, 2);
}

static int systemd_move(Bench *bench, int to)
{
        sd_bus_message *m;
        char name[64];
        int r;

        snprintf(name, sizeof(name), "bench-%d-%d.scope", (int)getpid(), to);
        r = sd_bus_message_new_method_call(bench->bus, &m, SYSTEMD, "AttachProcessesToUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", name, "");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'u', bench->pids, bench->n * sizeof(uint32_t));
        return r < 0 ? r : call(bench, m);
}

#define CHARGEHAND "org.chargehand1", "/org/chargehand1", "org.chargehand1.Manager"

static int chargehand_prepare(Bench *bench)
{
        int r = open_bus(bench, 1);

        if (r >= 0)
                r = sd_bus_match_signal(bench->bus, NULL, "org.chargehand1", NULL, "org.chargehand1.Manager",
                                        "JobRemoved", on_job_removed, bench);
        for (int i = 0; r >= 0 && i < 2; i++)
                r = sd_bus_call_method(bench->bus, CHARGEHAND, "CreateGroup", NULL, NULL, "sa{sv}a{sv}",
                                       i ? "/bench-1" : "/bench-0", 0, 1, "exist_ok", "b", 1);
        return r;
}

static int chargehand_move(Bench *bench, int to)
{
        int wanted = bench->done + 1;
        sd_bus_message *m;
        int r = sd_bus_message_new_method_call(bench->bus, &m, CHARGEHAND, "Move");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "target", "s", to ? "/bench-1" : "/bench-0", "policy", "s",
                                          "stay", "tree", "b", 1);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "pids");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "au");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'u', bench->pids, bench->n * sizeof(uint32_t));
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = call(bench, m);
        return r < 0 ? r : wait_for_jobs(bench, wanted);
}

static int raw_prepare(Bench *bench)
{
        (void)bench;
        return 0;
}

static int raw_move(Bench *bench, int to)
{
        char text[4096];
        int fd, r = 0;

        snprintf(text, sizeof(text), "%s/%d/cgroup.procs", bench->place, to);
        fd = open(text, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (size_t i = 0; r >= 0 && i < bench->n; i++) {
                int len = snprintf(text, sizeof(text), "%u", bench->pids[i]);

                if (write(fd, text, (size_t)len) < 0)
                        r = -errno;
        }
        close(fd);
        return r;
}

static const Peer peers[] = {
        { .name = "systemd", .fixed_place = "unix:path=/run/systemd/private", .prepare = systemd_prepare,
          .move = systemd_move },
        { .name = "chargehand", .prepare = chargehand_prepare, .move = chargehand_move },
        { .name = "raw", .prepare = raw_prepare, .move = raw_move },
};

static const Peer *find_peer(const char *name)
{
        for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
                if (strcmp(peers[i].name, name) == 0)
                        return &peers[i];
        return NULL;
}

static int run(const Peer *peer, Bench *bench, int repeat)
{
        int r = peer->prepare(bench);

        for (int i = 0; r >= 0 && i < repeat; i++) {
                uint64_t begin = now_usec();

                r = peer->move(bench, i & 1);
                if (r >= 0)
                        printf("%llu\n", (unsigned long long)(now_usec() - begin));
        }
        return r;
}

int main(int argc, char *argv[])
{
        const Peer *peer = argc > 3 ? find_peer(argv[1]) : NULL;
        Bench bench = { 0 };
        int r;

        if (!peer || argc != (peer->fixed_place ? 4 : 5)) {
                fprintf(stderr, "usage: bench-attach systemd|chargehand|raw N REPEAT [ADDRESS|DIR]\n");
                return 2;
        }
        bench.place = peer->fixed_place ? peer->fixed_place : argv[4];
        bench.n = (size_t)atoi(argv[2]);
        bench.pids = calloc(bench.n + 1, sizeof(uint32_t));
        if (!bench.pids)
                return EXIT_FAILURE;
        for (size_t i = 0; i < bench.n; i++)
                bench.pids[i] = (uint32_t)fork_sleeper();
        r = run(peer, &bench, atoi(argv[3]));
        if (r < 0)
                fprintf(stderr, "bench-attach: %s: %s\n", peer->name, strerror(-r));
        free(bench.pids);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
