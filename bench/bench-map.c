/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The charge map of one process against its floor, the bare pread loops over pagemap and
 * kpagecgroup of the same addresses, in turns on the same process:
 *
 *     bench-map [REPEAT]
 *
 * One line of JSON per case: the medians in µs and their ratio. The floor reads each entry of
 * pagemap and, for each run of consecutive page frames, the entries of kpagecgroup; it sums nothing
 * up.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <chargehand/map.h>

#include "bench-pagemap.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)
#define HUGE_BYTES (2 * MIB)

enum { REPEAT_MAX = 101 };

typedef struct Case {
        const char *name;
        uint64_t bytes;
        int advice;
        uint64_t stride_bytes;  /* one page is touched in so many bytes; 0 all */
} Case;

typedef struct Subject {
        pid_t pid;
        uint64_t start, end;
} Subject;

static void die(const char *what)
{
        (void)fprintf(stderr, "bench-map: %s: %s\n", what, strerror(errno));
        exit(1);
}

static _Noreturn void be_subject(const Case *c, int fd)
{
        uint64_t stride = c->stride_bytes ? c->stride_bytes : 4096, start;
        char *area;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        area = mmap(NULL, c->bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
                die("mmap");
        start = ((uint64_t)(uintptr_t)area + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
        (void)madvise((void *)(uintptr_t)start, c->bytes, c->advice);
        for (uint64_t at = 0; at < c->bytes; at += stride)
                *(volatile char *)(uintptr_t)(start + at) = 1;
        if (write(fd, &start, sizeof(start)) != sizeof(start))
                die("write");
        for (;;)
                (void)pause();
}

static Subject start_subject(const Case *c)
{
        Subject subject;
        int fds[2];

        if (pipe(fds) < 0)
                die("pipe");
        subject.pid = fork();
        if (subject.pid < 0)
                die("fork");
        if (subject.pid == 0)
                be_subject(c, fds[1]);
        (void)close(fds[1]);
        if (read(fds[0], &subject.start, sizeof(subject.start)) != sizeof(subject.start))
                die("the subject process ended");
        (void)close(fds[0]);
        subject.end = subject.start + c->bytes;
        return subject;
}

static uint64_t time_ours(const ch_process *process, uint64_t want_bytes)
{
        uint64_t begin, spent;
        ch_error *err = NULL;
        ch_map *map;

        if (ch_map_new(NULL, &map, &err) < 0)
                die(ch_error_get_cause(err));
        begin = now_usec();
        if (ch_map_add_process(map, process, &err) < 0)
                die(ch_error_get_cause(err));
        spent = now_usec() - begin;
        if (ch_map_sum(map, CH_GROUP_ID_ANY, CH_KIND_ANY) < want_bytes)
                die("the map misses memory");
        (void)ch_map_free(map);
        return spent;
}

static int compare_u64(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static uint64_t median(uint64_t *values, size_t n)
{
        qsort(values, n, sizeof(*values), compare_u64);
        return values[n / 2];
}

static void run_case(const Case *c, size_t repeat)
{
        uint64_t ours[REPEAT_MAX], reference[REPEAT_MAX], ours_median, reference_median, pages;
        Subject subject = start_subject(c);
        Pagemap *pagemap = pagemap_new(subject.pid);
        ch_procset *set;

        if (!pagemap || ch_procset_new(&set) < 0 || ch_procset_add_pid(set, subject.pid, NULL) < 0)
                die("pagemap and kpagecgroup of the subject");
        pages = c->bytes / (c->stride_bytes ? c->stride_bytes : 4096);
        for (size_t i = 0; i < repeat; i++) {
                reference[i] = pagemap_time(pagemap, subject.start, subject.end);
                if (reference[i] == 0)
                        die("pread");
                ours[i] = time_ours(ch_procset_get(set, 0), pages * 4096);
        }
        ours_median = median(ours, repeat);
        reference_median = median(reference, repeat);
        (void)printf(
                "{\"bench\": \"map\", \"case\": \"%s\", \"size\": \"%llu MiB\", \"ours\": %llu, "
                "\"reference\": %llu, \"reference_name\": \"pread of pagemap and kpagecgroup\", "
                "\"ratio\": %.3f, \"unit\": \"µs\"}\n",
                c->name, (unsigned long long)(c->bytes / MIB), (unsigned long long)ours_median,
                (unsigned long long)reference_median,
                (double)ours_median / (double)reference_median);
        (void)fflush(stdout);
        pagemap_free(pagemap);
        (void)ch_procset_free(set);
        (void)kill(subject.pid, SIGKILL);
        (void)waitpid(subject.pid, NULL, 0);
}

static const Case cases[] = {
        { "small pages", 64 * MIB, MADV_NOHUGEPAGE, 0 },
        { "small pages", 256 * MIB, MADV_NOHUGEPAGE, 0 },
        { "small pages", 1024 * MIB, MADV_NOHUGEPAGE, 0 },
        { "huge pages", 64 * MIB, MADV_HUGEPAGE, 0 },
        { "huge pages", 256 * MIB, MADV_HUGEPAGE, 0 },
        { "huge pages", 1024 * MIB, MADV_HUGEPAGE, 0 },
        { "one page in 2 MiB", 1024 * MIB, MADV_NOHUGEPAGE, HUGE_BYTES },
};

int main(int argc, char **argv)
{
        size_t repeat = argc > 1 ? strtoul(argv[1], NULL, 10) : 11;

        if (repeat == 0 || repeat > REPEAT_MAX)
                die("usage: bench-map [REPEAT], at most 101");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                run_case(&cases[i], repeat);
        return 0;
}
