/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves of N processes through the library against their floor, a bare loop of cgroup.procs writes
 * by one kept fd, in turns on the same processes:
 *
 *     bench-move DIR [REPEAT]
 *
 * DIR is an empty group (made by the caller); groups "0" and "1" are made in it and removed. One
 * line of JSON per case: medians in µs and their ratio. "writes" is the step that writes, until a
 * scan finds nothing left; "whole job" has the processes resolved (pids given, or the tree of their
 * parent), the plan made and each process verified as well.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <json-c/json.h>

#include <chargehand/move.h>

#include "util.h"

enum { REPEAT_MAX = 201, N_MAX = 4096 };

typedef struct Bench {
        ch_tree *tree;
        int procs_fds[2];
        pid_t pids[N_MAX];
        size_t n;
        unsigned where; /* group they are in */
        uint64_t raw[REPEAT_MAX], writes[REPEAT_MAX], job[REPEAT_MAX], tree_job[REPEAT_MAX];
} Bench;

static _Noreturn void die(const char *what)
{
        (void)fprintf(stderr, "bench-move: %s: %s\n", what, strerror(errno));
        exit(1);
}

static _Noreturn void die_error(const ch_error *err)
{
        (void)fprintf(stderr, "bench-move: %s: %s\n", ch_error_get_path(err),
                      ch_error_get_cause(err));
        exit(1);
}

static void spawn(Bench *b, size_t n)
{
        for (b->n = 0; b->n < n; b->n++) {
                pid_t pid = fork();

                if (pid < 0)
                        die("fork");
                if (pid == 0) {
                        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (;;)
                                (void)pause();
                }
                b->pids[b->n] = pid;
        }
}

static void reap(Bench *b)
{
        for (size_t i = 0; i < b->n; i++)
                (void)kill(b->pids[i], SIGKILL);
        while (wait(NULL) > 0)
                ;
}

static void write_all(Bench *b, unsigned to)
{
        char text[16];

        for (size_t i = 0; i < b->n; i++) {
                int n = snprintf(text, sizeof(text), "%d", (int)b->pids[i]);

                if (write(b->procs_fds[to], text, (size_t)n) < 0)
                        die("writing cgroup.procs");
        }
        b->where = to;
}

static uint64_t move_all(Bench *b, uint64_t *ret_writes)
{
        ch_move_request request = { .pids = b->pids,
                                    .n_pids = b->n,
                                    .target = b->where ? "/0" : "/1" };
        ch_move_options options = CH_MOVE_OPTIONS_INIT;
        struct json_object *json = NULL;
        uint64_t started = now_usec(), usec;
        ch_error *err = NULL;
        ch_move *move = NULL;
        ch_plan *plan = NULL;

        options.policy = CH_POLICY_STAY;
        request.with_tree = !ret_writes;
        if (ch_plan_new(b->tree, &request, &options, &plan, &err) < 0 ||
            ch_move_new(plan, NULL, &move, &err) < 0 || ch_move_run(move, &err) != 0)
                die_error(err);
        usec = now_usec() - started;
        b->where = !b->where;
        if (ch_move_to_json(move, &json) < 0)
                die("JSON");
        if (json_object_get_uint64(json_object_object_get(json, "moved")) != b->n)
                die("not all have moved");
        if (ret_writes)
                *ret_writes =
                        json_object_get_uint64(json_object_object_get(json, "processes_usec"));
        (void)json_object_put(json);
        (void)ch_move_free(move);
        return usec;
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static uint64_t median(uint64_t *values, size_t n)
{
        qsort(values, n, sizeof(*values), compare);
        return values[n / 2];
}

static void row(const char *name, size_t n, uint64_t ours, uint64_t reference)
{
        (void)printf("{\"bench\": \"move\", \"case\": \"%s\", \"size\": \"%zu processes\", "
                     "\"ours\": %llu, "
                     "\"reference\": %llu, \"reference_name\": \"bare writes of cgroup.procs\", "
                     "\"ratio\": %.3f, "
                     "\"unit\": \"µs\"}\n",
                     name, n, (unsigned long long)ours, (unsigned long long)reference,
                     (double)ours / (double)reference);
}

static void run(Bench *b, size_t n, size_t repeat)
{
        uint64_t raw;

        spawn(b, n);
        write_all(b, 0);
        for (size_t i = 0; i < repeat; i++) {
                uint64_t started;

                started = now_usec();
                write_all(b, !b->where);
                b->raw[i] = now_usec() - started;
                b->job[i] = move_all(b, &b->writes[i]);
                b->tree_job[i] = move_all(b, NULL);
        }
        reap(b);
        raw = median(b->raw, repeat);
        row("writes", n, median(b->writes, repeat), raw);
        row("whole job, pids given", n, median(b->job, repeat), raw);
        row("whole job, a tree each", n, median(b->tree_job, repeat), raw);
}

static int make_group(int dir_fd, const char *name)
{
        char path[64];
        int fd;

        if (mkdirat(dir_fd, name, 0755) < 0 && errno != EEXIST)
                die("mkdir");
        (void)snprintf(path, sizeof(path), "%s/cgroup.procs", name);
        fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                die("opening cgroup.procs");
        return fd;
}

int main(int argc, char **argv)
{
        static const size_t sizes[] = { 100, 1000 };
        static Bench b;
        struct rlimit limit;
        ch_error *err = NULL;
        size_t repeat = argc > 2 ? (size_t)atoi(argv[2]) : 31;

        if (argc < 2 || repeat == 0 || repeat > REPEAT_MAX)
                return 2;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (ch_tree_open(argv[1], 0, &b.tree, &err) < 0)
                die_error(err);
        b.procs_fds[0] = make_group(ch_tree_get_fd(b.tree), "0");
        b.procs_fds[1] = make_group(ch_tree_get_fd(b.tree), "1");
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                run(&b, sizes[i], repeat);
        (void)unlinkat(ch_tree_get_fd(b.tree), "0", AT_REMOVEDIR);
        (void)unlinkat(ch_tree_get_fd(b.tree), "1", AT_REMOVEDIR);
        (void)ch_tree_unref(b.tree);
        return 0;
}
