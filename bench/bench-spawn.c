/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program started in a group: ch_spawn() beside posix_spawn() in no group, which is the floor,
 * and beside fork and a write to cgroup.procs, which is what everybody else does:
 *
 *     bench-spawn GROUP-DIRECTORY GAP-MS REPEAT
 *
 * In turns, GAP-MS apart (a write to cgroup.procs waits for a grace period of the kernel if none
 * was just now). From the call until the program runs. One line of JSON per reference with medians
 * in µs.
 */

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include <chargehand/spawn.h>

#include "util.h"

enum { REPEAT_MAX = 1001, WAYS = 3 };

extern char **environ;

static int group_fd;
static char *const argv_true[] = { (char *)"/bin/true", NULL };

static void die(const char *what, const ch_error *error)
{
        (void)fprintf(stderr, "bench-spawn: %s: %s\n", what,
                      error ? ch_error_get_cause(error) : strerror(errno));
        exit(1);
}

static pid_t by_library(uint64_t flags)
{
        ch_spawn_options options = CH_SPAWN_OPTIONS_INIT;
        ch_error *error = NULL;
        ch_spawned spawned;

        options.flags = flags;
        if (ch_spawn(group_fd, argv_true[0], argv_true, &options, &spawned, &error) < 0)
                die("ch_spawn", error);
        if (!flags && spawned.clone_errno)
                die("no clone3 into the group here", NULL);
        (void)close(spawned.pidfd);
        return spawned.pid;
}

static pid_t in_the_group(void)
{
        return by_library(0);
}

static pid_t by_write(void)
{
        return by_library(CH_SPAWN_NO_CLONE);
}

static pid_t in_no_group(void)
{
        pid_t pid;

        if (posix_spawn(&pid, argv_true[0], NULL, NULL, argv_true, environ) != 0)
                die("posix_spawn", NULL);
        return pid;
}

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, size_t n)
{
        qsort(values, n, sizeof(*values), compare);
        return values[n / 2];
}

static void row(const char *gap, uint64_t ours, uint64_t reference, const char *name)
{
        (void)printf(
                "{\"bench\":\"spawn\",\"case\":\"start until it runs\",\"size\":\"%s ms apart\","
                "\"ours\":%llu,\"reference\":%llu,\"reference_name\":\"%s\",\"ratio\":%.3f,"
                "\"unit\":\"µs\"}\n",
                gap, (unsigned long long)ours, (unsigned long long)reference, name,
                (double)ours / (double)reference);
}

int main(int argc, char **argv)
{
        static pid_t (*const ways[WAYS])(void) = { in_the_group, in_no_group, by_write };
        static uint64_t usec[WAYS][REPEAT_MAX];
        size_t repeat = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

        if (repeat < 1 || repeat > REPEAT_MAX) {
                (void)fprintf(stderr, "usage: bench-spawn GROUP-DIRECTORY GAP-MS REPEAT\n");
                return 2;
        }
        group_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group_fd < 0)
                die(argv[1], NULL);
        for (size_t i = 0; i < repeat * WAYS; i++) {
                uint64_t start;
                pid_t pid;

                (void)usleep((useconds_t)strtoul(argv[2], NULL, 10) * 1000);
                start = now_usec();
                pid = ways[i % WAYS]();
                usec[i % WAYS][i / WAYS] = now_usec() - start;
                if (waitpid(pid, NULL, 0) != pid)
                        die("waitpid", NULL);
        }
        row(argv[2], median(usec[0], repeat), median(usec[1], repeat), "posix_spawn, in no group");
        row(argv[2], median(usec[0], repeat), median(usec[2], repeat),
            "fork and a write to cgroup.procs");
        return 0;
}
