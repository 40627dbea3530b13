/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel module beside what user space can do alone, in turns on the same processes:
 *
 *     bench-kmod DIR [REPEAT]
 *
 * DIR is an empty group (made by the caller); groups "0" and "1" are made in it and removed. One line of JSON per case.
 *
 *  move   MOVE between the two groups, there and back, against MADV_COLLAPSE of the same addresses by
 *         process_madvise(), once, after the process itself was moved (huge pages are split before it, by MADV_COLD)
 *  map    MAP, each page once, against bare reads of pagemap and kpagecgroup
 *  lock   how long mmap_lock is held in one go, and how much of that is waiting for RCU
 *
 * The CPU's caches are filled with something else before each: a small process moved to and fro would be in them whole.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kmod/uapi/chargehand.h"

#include "bench-pagemap.h"
#include "util.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define MIB (UINT64_C(1) << 20)
#define HUGE_BYTES (2 * MIB)

enum { REPEAT_MAX = 33, IOV_STEP = 512, CACHE_LINE = 64 };
#define CHILL_BYTES (64 * MIB)

typedef struct Case {
        const char *pages;
        uint64_t bytes;
        int huge;
} Case;

static const Case cases[] = {
        { "small pages", 64 * MIB, 0 },  { "small pages", 512 * MIB, 0 },
        { "small pages", 2048 * MIB, 0 }, { "huge pages", 64 * MIB, 1 },
        { "huge pages", 512 * MIB, 1 },   { "huge pages", 2048 * MIB, 1 },
};

static const uint32_t chunks[] = { 512, 1024, 2048, 8192, 16384 };

enum { SMALL, LARGE, SORTS };

typedef struct Bench {
        const char *dir;
        int device_fd, group_fds[2];
        size_t repeat;
        double usec_per_mib[SORTS]; /* of the first case of each sort */
} Bench;

typedef struct Subject {
        pid_t pid;
        int pidfd;
        uint64_t start, end;
} Subject;

/* What some moves took in all. */
typedef struct Moves {
        uint64_t usec[2 * REPEAT_MAX], lock_max_nsec, lock_total_nsec, grace_nsec, chunks;
        size_t n;
} Moves;

static _Noreturn void die(const char *what)
{
        (void)fprintf(stderr, "bench-kmod: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void group_path(const Bench *b, unsigned group, const char *file, char *path, size_t size)
{
        (void)snprintf(path, size, "%s/%u%s", b->dir, group, file);
}

/* pid 0: the caller */
static void join(const Bench *b, unsigned group, pid_t pid)
{
        char path[4096], text[16];
        int fd, n;

        group_path(b, group, "/cgroup.procs", path, sizeof(path));
        n = snprintf(text, sizeof(text), "%d", (int)pid);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, (size_t)n) != n)
                die(path);
        (void)close(fd);
}

static _Noreturn void be_subject(const Bench *b, const Case *c, int fd)
{
        uint64_t start;
        char *area;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        join(b, 0, 0);
        area = mmap(NULL, c->bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
                die("mmap");
        start = ((uint64_t)(uintptr_t)area + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
        /* small pages: left to the system's setting, so that they can be collapsed later */
        if (c->huge)
                (void)madvise((void *)(uintptr_t)start, c->bytes, MADV_HUGEPAGE);
        for (uint64_t at = 0; at < c->bytes; at += 4096)
                *(volatile uint64_t *)(uintptr_t)(start + at) = at + 1;
        if (write(fd, &start, sizeof(start)) != sizeof(start))
                die("write");
        for (;;)
                (void)pause();
}

static Subject start_subject(const Bench *b, const Case *c)
{
        Subject subject;
        int fds[2];

        if (pipe(fds) < 0)
                die("pipe");
        subject.pid = fork();
        if (subject.pid < 0)
                die("fork");
        if (subject.pid == 0)
                be_subject(b, c, fds[1]);
        (void)close(fds[1]);
        if (read(fds[0], &subject.start, sizeof(subject.start)) != sizeof(subject.start))
                die("the subject process ended");
        (void)close(fds[0]);
        subject.end = subject.start + c->bytes;
        subject.pidfd = (int)syscall(SYS_pidfd_open, subject.pid, 0);
        if (subject.pidfd < 0)
                die("pidfd_open");
        return subject;
}

static void end_subject(Subject *subject)
{
        (void)close(subject->pidfd);
        (void)kill(subject->pid, SIGKILL);
        (void)waitpid(subject->pid, NULL, 0);
}

/* ---- what is measured ---- */

/* Work on other memory, so that what is measured does not find its own in the caches. */
static void chill(void)
{
        static volatile char *other;

        if (!other)
                other = mmap(NULL, CHILL_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (other == MAP_FAILED)
                die("mmap");
        for (uint64_t at = 0; at < CHILL_BYTES; at += CACHE_LINE)
                other[at]++;
}

static void move_once(const Bench *b, const Subject *subject, unsigned to, uint32_t chunk, Moves *moves)
{
        struct chargehand_range range = { .start = subject->start, .end = subject->end };
        struct chargehand_move move = {
                .size = sizeof(move),
                .pidfd = subject->pidfd,
                .from_fd = b->group_fds[!to],
                .to_fd = b->group_fds[to],
                .kinds = CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON) |
                         CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON_THP),
                .ranges = (uintptr_t)&range,
                .n_ranges = 1,
                .chunk_pages = chunk,
        };
        uint64_t begin, bytes;

        chill();
        begin = now_usec();
        if (ioctl(b->device_fd, CHARGEHAND_IOC_MOVE, &move) < 0)
                die("MOVE");
        moves->usec[moves->n++] = now_usec() - begin;
        bytes = move.moved[CHARGEHAND_KIND_ANON] + move.moved[CHARGEHAND_KIND_ANON_THP];
        if (bytes < (subject->end - subject->start) / 100 * 99)
                die("MOVE left more than 1 %");
        if (move.lock_max_nsec > moves->lock_max_nsec)
                moves->lock_max_nsec = move.lock_max_nsec;
        moves->lock_total_nsec += move.lock_total_nsec;
        moves->grace_nsec += move.grace_total_nsec;
        moves->chunks += move.chunks;
}

static void move_to_and_fro(const Bench *b, const Subject *subject, uint32_t chunk, Moves *moves)
{
        move_once(b, subject, 1, chunk, moves);
        move_once(b, subject, 0, chunk, moves);
}

static struct chargehand_map_row rows[4096];

static uint64_t time_map(const Bench *b, const Subject *subject, uint32_t *ret_n)
{
        struct chargehand_range range = { .start = subject->start, .end = subject->end };
        struct chargehand_map map = {
                .size = sizeof(map),
                .flags = CHARGEHAND_MAP_UNIQUE,
                .pidfd = subject->pidfd,
                .rows = (uintptr_t)rows,
                .n_rows = ELEMENTSOF(rows),
                .ranges = (uintptr_t)&range,
                .n_ranges = 1,
        };
        uint64_t begin;

        chill();
        begin = now_usec();
        if (ioctl(b->device_fd, CHARGEHAND_IOC_MAP, &map) < 0)
                die("MAP");
        *ret_n = map.n_rows;
        return now_usec() - begin;
}

static uint64_t bytes_in(const Bench *b, const Subject *subject, unsigned group)
{
        uint64_t sum = 0;
        struct stat st;
        uint32_t n;

        if (fstat(b->group_fds[group], &st) < 0)
                die("fstat");
        (void)time_map(b, subject, &n);
        for (uint32_t i = 0; i < n; i++)
                sum += rows[i].group_id == st.st_ino ? rows[i].bytes : 0;
        return sum;
}

/* One page of each huge page marked cold: that splits it. */
static void split_all(const Subject *subject)
{
        struct iovec pages[IOV_STEP];
        size_t n = 0;

        for (uint64_t at = subject->start; at < subject->end; at += HUGE_BYTES) {
                pages[n++] = (struct iovec){ .iov_base = (void *)(uintptr_t)at, .iov_len = 4096 };
                if (n < ELEMENTSOF(pages) && at + HUGE_BYTES < subject->end)
                        continue;
                if (syscall(SYS_process_madvise, subject->pidfd, pages, n, MADV_COLD, 0) < 0)
                        die("MADV_COLD");
                n = 0;
        }
}

/* What it returns says little: it goes on where it can, and what counts is where the pages are charged then. */
static uint64_t time_collapse(const Bench *b, const Subject *subject, int huge)
{
        struct iovec area = { .iov_base = (void *)(uintptr_t)subject->start,
                              .iov_len = subject->end - subject->start };
        uint64_t begin, usec;

        join(b, 1, subject->pid);
        begin = now_usec();
        if (huge)
                split_all(subject);
        (void)syscall(SYS_process_madvise, subject->pidfd, &area, 1, MADV_COLLAPSE, 0);
        usec = now_usec() - begin;
        if (bytes_in(b, subject, 1) < area.iov_len / 100 * 80)
                die("MADV_COLLAPSE left more than a fifth");
        return usec;
}

/* ---- rows ---- */

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

static void row(const char *name, const Case *c, double ours, double reference, const char *reference_name,
                const char *unit)
{
        (void)printf("{\"bench\": \"kmod\", \"case\": \"%s, %s\", \"size\": \"%llu MiB\", \"ours\": %.3f, "
                     "\"reference\": %.3f, \"reference_name\": \"%s\", \"ratio\": %.4f, "
                     "\"unit\": \"%s\"}\n",
                     name, c->pages, (unsigned long long)(c->bytes / MIB), ours, reference,
                     reference_name, reference > 0 ? ours / reference : 0, unit);
        (void)fflush(stdout);
}

static void run_case(Bench *b, const Case *c)
{
        uint64_t map[REPEAT_MAX], pagemap_usec[REPEAT_MAX], move_usec, collapse_usec;
        double *first = &b->usec_per_mib[c->huge ? LARGE : SMALL];
        Subject subject = start_subject(b, c);
        Pagemap *pagemap = pagemap_new(subject.pid);
        Moves moves = {};
        uint32_t n;

        if (!pagemap)
                die("pagemap and kpagecgroup");
        for (size_t i = 0; i < b->repeat; i++) {
                move_to_and_fro(b, &subject, 0, &moves);
                map[i] = time_map(b, &subject, &n);
                chill();
                pagemap_usec[i] = pagemap_time(pagemap, subject.start, subject.end);
                if (pagemap_usec[i] == 0)
                        die("reading pagemap and kpagecgroup");
        }
        pagemap_free(pagemap);
        collapse_usec = time_collapse(b, &subject, c->huge);
        end_subject(&subject);

        move_usec = median(moves.usec, moves.n);
        row("move", c, (double)move_usec, (double)collapse_usec, "MADV_COLLAPSE", "µs");
        row("map", c, (double)median(map, b->repeat), (double)median(pagemap_usec, b->repeat),
            "pread of pagemap and kpagecgroup", "µs");
        if (*first == 0)
                *first = (double)(move_usec * MIB) / (double)c->bytes;
        row("move, for each MiB", c, (double)(move_usec * MIB) / (double)c->bytes, *first,
            "the same at 64 MiB", "µs");
        row("mmap_lock in one go, longest", c, (double)moves.lock_max_nsec / 1000,
            (double)moves.lock_total_nsec / 1000 / (double)moves.chunks, "the mean of all chunks", "µs");
        row("RCU grace periods", c, (double)moves.grace_nsec / 1000, (double)moves.lock_total_nsec / 1000,
            "mmap_lock held in all", "µs");
}

/* Smaller and larger chunks than the default. */
static void run_chunks(const Bench *b)
{
        const Case *c = &cases[1];
        Subject subject = start_subject(b, c);
        Moves usual = {};
        uint64_t reference;

        for (size_t i = 0; i < b->repeat; i++)
                move_to_and_fro(b, &subject, 0, &usual);
        reference = median(usual.usec, usual.n);
        for (size_t k = 0; k < ELEMENTSOF(chunks); k++) {
                Moves moves = {};
                char name[64];

                for (size_t i = 0; i < b->repeat; i++)
                        move_to_and_fro(b, &subject, chunks[k], &moves);
                (void)snprintf(name, sizeof(name), "move, chunks of %u entries", chunks[k]);
                row(name, c, (double)median(moves.usec, moves.n), (double)reference,
                    "the same by chunks of 4096 entries", "µs");
                (void)snprintf(name, sizeof(name), "mmap_lock, chunks of %u entries", chunks[k]);
                row(name, c, (double)moves.lock_max_nsec / 1000, (double)usual.lock_max_nsec / 1000,
                    "the same by chunks of 4096 entries", "µs");
        }
        end_subject(&subject);
}

static void open_groups(Bench *b)
{
        char path[4096];

        for (unsigned i = 0; i < 2; i++) {
                group_path(b, i, "", path, sizeof(path));
                if (mkdir(path, 0755) < 0)
                        die(path);
                b->group_fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (b->group_fds[i] < 0)
                        die(path);
        }
}

static void remove_groups(const Bench *b)
{
        char path[4096];

        for (unsigned i = 0; i < 2; i++) {
                group_path(b, i, "", path, sizeof(path));
                (void)close(b->group_fds[i]);
                (void)rmdir(path);
        }
}

int main(int argc, char **argv)
{
        Bench b = { .dir = argc > 1 ? argv[1] : NULL, .repeat = 3 };

        if (argc > 2)
                b.repeat = strtoul(argv[2], NULL, 10);
        if (!b.dir || b.repeat == 0 || b.repeat > REPEAT_MAX) {
                (void)fprintf(stderr, "usage: bench-kmod DIR [REPEAT], at most %d\n", REPEAT_MAX);
                return 2;
        }
        b.device_fd = open(CHARGEHAND_DEVICE, O_RDWR | O_CLOEXEC);
        if (b.device_fd < 0)
                die(CHARGEHAND_DEVICE);
        open_groups(&b);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                run_case(&b, &cases[i]);
        run_chunks(&b);
        remove_groups(&b);
        return 0;
}
