/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many groups: the walk over all of them beside the bare openat/getdents recursion, an attribute of
 * each beside the bare openat/read/close, and how the time per group grows with their number:
 *
 *     bench-groups [REPEAT]
 *
 * Makes /bench-groups with 1,000 and then 10,000 groups, 100 to a parent, with all controllers that
 * can be had, and removes it. One line of JSON per case with medians of CPU time in µs.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <chargehand/tree.h>

#include "util.h"

#define TOP "/bench-groups"

enum { FANOUT = 100, REPEAT_MAX = 101, DIRENTS_BYTES = 64 << 10 };

struct linux_dirent64 {
        uint64_t d_ino;
        int64_t d_off;
        unsigned short d_reclen;
        unsigned char d_type;
        char d_name[];
};

typedef struct Bench {
        ch_tree *tree;
        int top_fd;
        const ch_attr *attr;
        size_t n_seen;
} Bench;

static void die(const char *what, const ch_error *error)
{
        (void)fprintf(stderr, "bench-groups: %s: %s\n", what,
                      error ? ch_error_get_cause(error) : strerror(errno));
        exit(1);
}

/* CPU time: nothing here waits, and a walk of 10,000 would be charged with the neighbours' time
 * slices. */
static uint64_t cpu_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* The floor: every directory is opened and listed, nothing is sorted, named or kept. */
static size_t bare_walk(int fd)
{
        _Alignas(struct linux_dirent64) char buffer[DIRENTS_BYTES];
        size_t n = 1;
        long size;

        while ((size = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
                for (long at = 0; at < size;) {
                        const struct linux_dirent64 *entry = (const void *)(buffer + at);
                        int child;

                        at += entry->d_reclen;
                        if (entry->d_type != 4 /* DT_DIR */ || entry->d_name[0] == '.')
                                continue;
                        child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        if (child < 0)
                                continue;
                        n += bare_walk(child);
                        (void)close(child);
                }
        return n;
}

static uint64_t time_bare_walk(Bench *bench)
{
        uint64_t start = cpu_usec();
        int fd = openat(bench->top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                die("open", NULL);
        bench->n_seen = bare_walk(fd);
        (void)close(fd);
        return cpu_usec() - start;
}

static int count(const ch_walk_entry *entry, void *userdata)
{
        ((Bench *)userdata)->n_seen++;
        return 0;
}

static uint64_t time_walk(Bench *bench)
{
        uint64_t start = cpu_usec();

        bench->n_seen = 0;
        if (ch_tree_walk(bench->tree, TOP, count, bench, NULL) < 0)
                die("walk", NULL);
        return cpu_usec() - start;
}

static ch_group *held;

static int read_bare(Bench *bench)
{
        char buffer[4096];
        int fd = openat(ch_group_get_fd(held), bench->attr->file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));

        (void)close(fd);
        return n > 0 ? 0 : -EIO;
}

static int read_parsed(Bench *bench)
{
        ch_value value = CH_VALUE_INIT;
        int r = ch_group_read(held, bench->attr, &value, NULL);

        ch_value_done(&value);
        return r;
}

/* µs for 1,000 reads */
static uint64_t time_reads(Bench *bench, int (*func)(Bench *))
{
        uint64_t start = cpu_usec();

        for (int i = 0; i < 1000; i++)
                if (func(bench) < 0)
                        die("read", NULL);
        return cpu_usec() - start;
}

static uint64_t time_reads_bare(Bench *bench)
{
        return time_reads(bench, read_bare);
}

static uint64_t time_reads_parsed(Bench *bench)
{
        return time_reads(bench, read_parsed);
}

static int by_size(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

typedef struct Medians {
        uint64_t ours, floor;
} Medians;

/* In turns, so that both see the same machine. */
static Medians compare(Bench *bench, unsigned repeat, uint64_t (*ours)(Bench *),
                       uint64_t (*bare)(Bench *))
{
        uint64_t a[REPEAT_MAX], b[REPEAT_MAX];

        for (unsigned i = 0; i < repeat; i++) {
                a[i] = ours(bench);
                b[i] = bare(bench);
        }
        qsort(a, repeat, sizeof(a[0]), by_size);
        qsort(b, repeat, sizeof(b[0]), by_size);
        return (Medians){ a[repeat / 2], b[repeat / 2] };
}

static void print(const char *name, size_t size, double ours, double reference,
                  const char *reference_name, const char *unit)
{
        printf("{\"bench\": \"groups\", \"case\": \"%s\", \"size\": %zu, \"ours\": %.3f, "
               "\"reference\": %.3f, "
               "\"reference_name\": \"%s\", \"ratio\": %.3f, \"unit\": \"%s\"}\n",
               name, size, ours, reference, reference_name, reference > 0 ? ours / reference : 0,
               unit);
        (void)fflush(stdout);
}

/* Fills up to n groups below TOP, the parents counted. */
static void make_groups(Bench *bench, size_t from, size_t n)
{
        ch_error *error = NULL;
        char path[64];

        for (size_t i = from; i < n; i++) {
                size_t parent = i / FANOUT, child = i % FANOUT;

                if (child == 0)
                        snprintf(path, sizeof(path), TOP "/p%zu", parent);
                else
                        snprintf(path, sizeof(path), TOP "/p%zu/c%zu", parent, child);
                /* controllers are enabled once per parent, by its first child */
                if (ch_tree_create_group(bench->tree, path, child <= 1 ? CH_CREATE_CONTROLLERS : 0,
                                         NULL, &error) < 0)
                        die(path, error);
        }
}

static void remove_top(Bench *bench)
{
        ch_error *error = NULL;
        int r = ch_tree_remove_group(bench->tree, TOP, CH_REMOVE_RECURSIVE, &error);

        if (r < 0 && r != -ENODEV)
                die("removal", error);
        ch_error_free(error);
}

/* Returns µs per group. */
static double measure(Bench *bench, size_t n, unsigned repeat)
{
        Medians walk = compare(bench, repeat, time_walk, time_bare_walk);

        if (bench->n_seen != n + 1)
                die("the floor saw another number of groups", NULL);
        print("walk", n, (double)walk.ours / (double)n, (double)walk.floor / (double)n,
              "openat and getdents", "µs per group");
        return (double)walk.ours / (double)n;
}

static void measure_reads(Bench *bench, unsigned repeat)
{
        static const char *const files[] = { "cgroup.events", "memory.current", "memory.stat" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                ch_value value = CH_VALUE_INIT;
                Medians reads;

                bench->attr = ch_attr_find(files[i]);
                if (ch_group_read(held, bench->attr, &value, NULL) < 0)
                        continue; /* no memory controller here */
                ch_value_done(&value);
                reads = compare(bench, repeat, time_reads_parsed, time_reads_bare);
                print(files[i], 1, (double)reads.ours / 1000, (double)reads.floor / 1000,
                      "openat, read and close", "µs");
        }
}

int main(int argc, char **argv)
{
        unsigned repeat = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 11;
        Bench bench = { 0 };
        ch_error *error = NULL;
        ch_group *top = NULL;
        double small, big;

        if (repeat == 0 || repeat > REPEAT_MAX)
                repeat = 11;
        if (ch_tree_open(NULL, 0, &bench.tree, &error) < 0)
                die("the hierarchy", error);
        remove_top(&bench);
        if (ch_tree_create_group(bench.tree, TOP, CH_CREATE_CONTROLLERS, &top, &error) < 0)
                die(TOP, error);
        bench.top_fd = ch_group_get_fd(top);
        make_groups(&bench, 0, 1000);
        if (ch_tree_open_group(bench.tree, TOP "/p0/c1", &held, &error) < 0)
                die("a group", error);
        small = measure(&bench, 1000, repeat);
        measure_reads(&bench, repeat);
        make_groups(&bench, 1000, 10000);
        big = measure(&bench, 10000, repeat);
        print("growth of the walk", 10000, big, small, "the same with 1,000 groups",
              "µs per group");
        held = ch_group_unref(held);
        ch_group_unref(top);
        remove_top(&bench);
        ch_tree_unref(bench.tree);
        return 0;
}
