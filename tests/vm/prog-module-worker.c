/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that does with its memory all that the kernel knows, and knows what must be in it:
 *
 *     private   huge pages and small ones; forked, advised, locked, protected, remapped, merged, paged out
 *     shared    a memfd: holes, truncation, collapse
 *     file      dirty and clean page cache
 *     thread    written by a thread all the time, and left alone otherwise
 *
 * Exits with WORKER_BAD if a page holds what it should not.
 */

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "prog-module-stress.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
        PRIVATE_PAGES = 2048,
        SHARED_PAGES = 1024,
        FILE_PAGES = 256,
        THREAD_PAGES = 512,
        UFFD_PAGES = 64,
        SPAN_PAGES = 128,
        KIDS_MAX = 3,
        PIPE_PAGES = 16,
        ROUNDS_PER_LIFE = 3000, /* on average, before it executes itself or exits */
};
#define SEQ_SAME  UINT32_C(0x7fffffff) /* pages that KSM can merge */
#define SEQ_EITHER UINT32_C(0x80000000) /* given back by MADV_FREE: zero, or as it was */

typedef struct Stamp {
        volatile uint64_t first;
        uint64_t between[PAGE / 8 - 2];
        volatile uint64_t last;
} Stamp;

/* Memory, and what must be in it: 0 is a page of zeros. */
typedef struct Area {
        Stamp *pages;
        uint32_t *seq;
        uint32_t n;
} Area;

typedef struct Worker {
        uint64_t random;
        Area private, shared, file;
        char *scratch; /* address space for mremap */
        int memfd, pipe[2], pipe_fill;
        int nodes;
        pid_t kids[KIDS_MAX];
} Worker;

static Worker me;
static Shared *shared_figures;
static int shared_fd;
static Stamp *thread_pages;

static uint64_t below(uint64_t n)
{
        return random_below(&me.random, n);
}

/* ---- contents ---- */

static uint64_t stamp_of(uint32_t page, uint32_t seq)
{
        return seq == SEQ_SAME ? 42 : ((uint64_t)seq << 32 | page) * 0x9e3779b97f4a7c15ull;
}

static void write_page(Area *area, uint32_t page, uint32_t seq)
{
        Stamp *stamp = &area->pages[page];

        area->seq[page] = seq;
        stamp->first = stamp_of(page, seq);
        stamp->last = ~stamp->first;
}

static _Noreturn void bad_page(const Area *area, uint32_t page)
{
        const Stamp *stamp = &area->pages[page];

        (void)fprintf(stderr, "FAIL: worker %d: page %u of %s at %p is %#llx %#llx, want sequence %#x\n",
                      (int)getpid(), page,
                      area == &me.private ? "private" : (area == &me.shared ? "shared" : "file"),
                      (const void *)stamp, (unsigned long long)stamp->first,
                      (unsigned long long)stamp->last, area->seq[page]);
        _exit(WORKER_BAD);
}

static void check_page(Area *area, uint32_t page)
{
        const Stamp *stamp = &area->pages[page];
        uint32_t seq = area->seq[page] & ~SEQ_EITHER;
        int zero = stamp->first == 0 && stamp->last == 0;

        if (seq == 0 || (area->seq[page] & SEQ_EITHER && zero)) {
                if (!zero)
                        bad_page(area, page);
                return;
        }
        if (stamp->first != stamp_of(page, seq) || stamp->last != ~stamp->first)
                bad_page(area, page);
}

typedef struct Span {
        uint32_t page, n;
} Span;

static Span random_span(const Area *area, uint32_t most)
{
        Span span = { .n = 1 + (uint32_t)below(most) };

        span.page = (uint32_t)below(area->n - span.n + 1);
        return span;
}

static uint32_t next_seq(const Area *area, uint32_t page)
{
        uint32_t seq = area->seq[page] & ~SEQ_EITHER;

        return seq == SEQ_SAME || seq > 0x70000000 ? 1 : seq + 1;
}

static void write_span(Area *area, Span span)
{
        for (uint32_t i = span.page; i < span.page + span.n; i++)
                write_page(area, i, next_seq(area, i));
}

static void check_span(Area *area, Span span)
{
        for (uint32_t i = span.page; i < span.page + span.n; i++)
                check_page(area, i);
        count(&shared_figures->pages_checked, span.n);
}

static int advise(const Area *area, Span span, int advice)
{
        return madvise(&area->pages[span.page], (size_t)span.n * PAGE, advice) < 0 ? -errno : 0;
}

/* ---- actions on private memory; < 0: the kernel would not ---- */

static int do_write(void)
{
        write_span(&me.private, random_span(&me.private, SPAN_PAGES));
        return 0;
}

static int do_check(void)
{
        check_span(&me.private, random_span(&me.private, SPAN_PAGES));
        return 0;
}

static int do_same(void)
{
        Span span = random_span(&me.private, 32);

        for (uint32_t i = span.page; i < span.page + span.n; i++) {
                memset((void *)&me.private.pages[i], 0, PAGE);
                write_page(&me.private, i, SEQ_SAME);
        }
        return advise(&me.private, span, MADV_MERGEABLE);
}

static int do_unmerge(void)
{
        return advise(&me.private, random_span(&me.private, 512), MADV_UNMERGEABLE);
}

static int do_cold(void)
{
        return advise(&me.private, random_span(&me.private, 16), MADV_COLD);
}

static int do_pageout(void)
{
        return advise(&me.private, random_span(&me.private, 512), MADV_PAGEOUT);
}

static int do_collapse(void)
{
        Span span = { .page = (uint32_t)below(PRIVATE_PAGES / 512) * 512, .n = 512 };

        return advise(&me.private, span, MADV_COLLAPSE);
}

static int do_hugepage(void)
{
        return advise(&me.private, (Span){ 0, PRIVATE_PAGES }, MADV_HUGEPAGE);
}

static int do_nohugepage(void)
{
        return advise(&me.private, random_span(&me.private, 512), MADV_NOHUGEPAGE);
}

static void mark_either(Span span)
{
        for (uint32_t i = span.page; i < span.page + span.n; i++)
                if (me.private.seq[i] != 0)
                        me.private.seq[i] |= SEQ_EITHER;
}

/* A locked part makes it fail, with what is before that part gone. */
static int do_dontneed(void)
{
        Span span = random_span(&me.private, below(4) ? 16 : 600);
        int r = advise(&me.private, span, MADV_DONTNEED);

        if (r < 0)
                mark_either(span);
        else
                memset(&me.private.seq[span.page], 0, span.n * sizeof(uint32_t));
        return r;
}

static int do_free(void)
{
        Span span = random_span(&me.private, 64);
        int r = advise(&me.private, span, MADV_FREE);

        mark_either(span);
        return r;
}

static int do_mlock(void)
{
        Span span = random_span(&me.private, 600);

        return mlock(&me.private.pages[span.page], (size_t)span.n * PAGE) < 0 ? -errno : 0;
}

static int do_munlock(void)
{
        return munlock(me.private.pages, (size_t)PRIVATE_PAGES * PAGE) < 0 ? -errno : 0;
}

static int do_mprotect(void)
{
        Span span = random_span(&me.private, 64);
        char *start = (char *)&me.private.pages[span.page];

        if (mprotect(start, (size_t)span.n * PAGE, PROT_READ) < 0)
                return -errno;
        check_span(&me.private, span);
        if (mprotect(start, (size_t)span.n * PAGE, PROT_READ | PROT_WRITE) < 0)
                _exit(1);
        return 0;
}

/* Away and back. Only what is one mapping can go. */
static int do_mremap(void)
{
        Span span = below(2) ? random_span(&me.private, 64)
                             : (Span){ (uint32_t)below(PRIVATE_PAGES / 512) * 512, 512 };
        const size_t size = (size_t)span.n * PAGE;
        char *start = (char *)&me.private.pages[span.page];

        if (mremap(start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, me.scratch) == MAP_FAILED)
                return -errno;
        (void)usleep((useconds_t)below(200));
        if (mremap(me.scratch, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, start) == MAP_FAILED) {
                perror("mremap back");
                _exit(1);
        }
        check_span(&me.private, span);
        return 0;
}

/* What is given to a pipe is pinned until it is read. */
static int do_pin(void)
{
        Span span = random_span(&me.private, PIPE_PAGES);
        struct iovec {
                void *base;
                size_t length;
        } vector = { &me.private.pages[span.page], (size_t)span.n * PAGE };
        static char sink[PIPE_PAGES * PAGE];

        if (me.pipe_fill) {
                me.pipe_fill = 0;
                return read(me.pipe[0], sink, sizeof(sink)) < 0 ? -errno : 0;
        }
        if (syscall(SYS_vmsplice, me.pipe[1], &vector, 1, 0) < 0)
                return -errno;
        me.pipe_fill = 1;
        return 0;
}

static void wait_kid(int i, int flags)
{
        int status;

        if (me.kids[i] <= 0 || waitpid(me.kids[i], &status, flags) != me.kids[i])
                return;
        me.kids[i] = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
                _exit(WEXITSTATUS(status));
        if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
                _exit(100 + WTERMSIG(status));
}

/* Reads, writes its own copy, and goes. */
static _Noreturn void kid_main(void)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        me.random ^= (uint64_t)getpid() << 20;
        for (int i = 0; i < 4; i++) {
                check_span(&me.private, random_span(&me.private, SPAN_PAGES));
                write_span(&me.private, random_span(&me.private, 32));
                check_span(&me.private, random_span(&me.private, SPAN_PAGES));
                (void)usleep((useconds_t)below(3000));
        }
        _exit(0);
}

static int do_fork(void)
{
        int i = (int)below(KIDS_MAX);

        wait_kid(i, below(2) ? 0 : WNOHANG);
        if (me.kids[i])
                return -EAGAIN;
        me.kids[i] = fork();
        if (me.kids[i] == 0)
                kid_main();
        return me.kids[i] < 0 ? -errno : 0;
}

static int do_migrate(void)
{
        void *pages[16];
        int nodes[16], status[16];
        Span span = random_span(&me.private, ELEMENTSOF(pages));

        if (me.nodes < 2)
                return -EOPNOTSUPP;
        for (uint32_t i = 0; i < span.n; i++) {
                pages[i] = &me.private.pages[span.page + i];
                nodes[i] = (int)below((uint64_t)me.nodes);
        }
        return syscall(SYS_move_pages, 0, (long)span.n, pages, nodes, status, 2) < 0 ? -errno : 0;
}

/* ---- shared memory and page cache ---- */

static int do_shared_write(void)
{
        write_span(&me.shared, random_span(&me.shared, SPAN_PAGES));
        return 0;
}

static int do_shared_check(void)
{
        check_span(&me.shared, random_span(&me.shared, SPAN_PAGES));
        return 0;
}

static int do_punch(void)
{
        Span span = random_span(&me.shared, below(4) ? 16 : 600);

        if (fallocate(me.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)span.page * PAGE,
                      (off_t)span.n * PAGE) < 0)
                return -errno;
        memset(&me.shared.seq[span.page], 0, span.n * sizeof(uint32_t));
        return 0;
}

static int do_truncate(void)
{
        uint32_t from = SHARED_PAGES - 1 - (uint32_t)below(128);

        if (ftruncate(me.memfd, (off_t)from * PAGE) < 0 ||
            ftruncate(me.memfd, (off_t)SHARED_PAGES * PAGE) < 0)
                return -errno;
        memset(&me.shared.seq[from], 0, (SHARED_PAGES - from) * sizeof(uint32_t));
        return 0;
}

static int do_shared_collapse(void)
{
        Span span = { .page = (uint32_t)below(SHARED_PAGES / 512) * 512, .n = 512 };

        return shared_figures->shared_huge ? advise(&me.shared, span, MADV_COLLAPSE) : -EOPNOTSUPP;
}

static int do_shared_pageout(void)
{
        return advise(&me.shared, random_span(&me.shared, 256), MADV_PAGEOUT);
}

static int do_shared_huge(void)
{
        return advise(&me.shared, (Span){ 0, SHARED_PAGES }, MADV_HUGEPAGE);
}

/* Another mapping of the same, for a moment. */
static int do_shared_again(void)
{
        const size_t size = (size_t)SHARED_PAGES * PAGE;
        char *again = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, me.memfd, 0);

        if (again == MAP_FAILED)
                return -errno;
        (void)usleep((useconds_t)below(2000));
        (void)munmap(again, size);
        return 0;
}

static int do_file_write(void)
{
        write_span(&me.file, random_span(&me.file, 32));
        return 0;
}

static int do_file_sync(void)
{
        Span span = random_span(&me.file, 64);

        check_span(&me.file, span);
        return msync(&me.file.pages[span.page], (size_t)span.n * PAGE, MS_SYNC) < 0 ? -errno : 0;
}

/* ---- pages that a handler fills ---- */

#ifndef UFFDIO_MOVE
struct uffdio_move {
        uint64_t dst, src, len, mode;
        int64_t move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

static void fill_and_check(int fd, Stamp *to, Stamp *from)
{
        for (uint32_t i = 0; i < UFFD_PAGES; i++) {
                struct uffdio_copy copy = { .dst = (uintptr_t)&to[i],
                                            .src = (uintptr_t)&from[i],
                                            .len = PAGE };
                struct uffdio_move move = { .dst = copy.dst, .src = copy.src, .len = PAGE };
                struct uffdio_zeropage zero = { .range = { .start = copy.dst, .len = PAGE } };

                from[i].first = i + 1;
                if (i % 4 == 0)
                        (void)ioctl(fd, UFFDIO_ZEROPAGE, &zero);
                else if (i % 2 == 0 || ioctl(fd, UFFDIO_MOVE, &move) < 0)
                        (void)ioctl(fd, UFFDIO_COPY, &copy);
        }
        for (uint32_t i = 0; i < UFFD_PAGES; i++)
                if (to[i].first != (i % 4 ? i + 1 : 0)) {
                        (void)fprintf(stderr, "FAIL: worker: page %u of userfaultfd is %llu\n", i,
                                      (unsigned long long)to[i].first);
                        _exit(WORKER_BAD);
                }
}

static int do_uffd(void)
{
        const size_t size = (size_t)UFFD_PAGES * PAGE;
        int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
        char *map = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register reg = { .range = { .start = (uintptr_t)map, .len = size },
                                       .mode = UFFDIO_REGISTER_MODE_MISSING };
        int r = 0;

        if (fd < 0 || map == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0 ||
            ioctl(fd, UFFDIO_REGISTER, &reg) < 0)
                r = -errno;
        else
                fill_and_check(fd, (Stamp *)map, (Stamp *)(map + size));
        (void)safe_close(fd);
        if (map != MAP_FAILED)
                (void)munmap(map, 2 * size);
        return r;
}

/* ---- its life ---- */

static int do_hop(void)
{
        (void)usleep((useconds_t)below(5000));
        return 0;
}

static const struct {
        const char *name;
        int (*run)(void);
        unsigned weight;
} actions[] = {
        { "write",           do_write,           40 },
        { "check",           do_check,           40 },
        { "same",            do_same,            6  },
        { "unmerge",         do_unmerge,         1  },
        { "cold",            do_cold,            6  },
        { "pageout",         do_pageout,         4  },
        { "collapse",        do_collapse,        6  },
        { "hugepage",        do_hugepage,        3  },
        { "nohugepage",      do_nohugepage,      1  },
        { "dontneed",        do_dontneed,        6  },
        { "free",            do_free,            6  },
        { "mlock",           do_mlock,           4  },
        { "munlock",         do_munlock,         4  },
        { "mprotect",        do_mprotect,        6  },
        { "mremap",          do_mremap,          6  },
        { "pin",             do_pin,             8  },
        { "fork",            do_fork,            8  },
        { "migrate",         do_migrate,         6  },
        { "shared write",    do_shared_write,    20 },
        { "shared check",    do_shared_check,    20 },
        { "punch",           do_punch,           5  },
        { "truncate",        do_truncate,        4  },
        { "shared collapse", do_shared_collapse, 4  },
        { "shared pageout",  do_shared_pageout,  4  },
        { "shared huge",     do_shared_huge,     1  },
        { "shared again",    do_shared_again,    4  },
        { "file write",      do_file_write,      6  },
        { "file sync",       do_file_sync,       6  },
        { "userfaultfd",     do_uffd,            3  },
        { "sleep",           do_hop,             6  },
};

const char *worker_action_name(size_t i)
{
        return i < ELEMENTSOF(actions) ? actions[i].name : NULL;
}

static void one_action(void)
{
        unsigned sum = 0;
        uint64_t pick;

        for (size_t i = 0; i < ELEMENTSOF(actions); i++)
                sum += actions[i].weight;
        pick = below(sum);
        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                if (pick < actions[i].weight) {
                        count(actions[i].run() < 0 ? &shared_figures->worker_ignored[i]
                                                   : &shared_figures->worker_actions[i],
                              1);
                        return;
                }
                pick -= actions[i].weight;
        }
}

/* Counts up in each of its pages, and knows how far. */
static void *thread_main(void *unused)
{
        for (uint64_t round = 1;; round++)
                for (uint32_t i = 0; i < THREAD_PAGES; i++) {
                        if (thread_pages[i].first != round - 1 || thread_pages[i].last != ~(round - 1)) {
                                (void)fprintf(stderr,
                                              "FAIL: worker %d: page %u of the thread's is %llu in round %llu\n",
                                              (int)getpid(), i,
                                              (unsigned long long)thread_pages[i].first,
                                              (unsigned long long)round);
                                _exit(WORKER_BAD);
                        }
                        thread_pages[i].first = round;
                        thread_pages[i].last = ~round;
                        if (i % 64 == 0)
                                (void)usleep(500);
                }
        return NULL;
}

static void *map_or_exit(uint64_t at, size_t size, int prot, int flags, int fd)
{
        void *map = mmap((void *)at, size, prot, flags | (at ? MAP_FIXED : 0), fd, 0);

        if (map == MAP_FAILED) {
                perror("worker: mmap");
                _exit(1);
        }
        return map;
}

static Area area_new(uint32_t n, uint64_t at, int flags, int fd)
{
        const int rw = PROT_READ | PROT_WRITE;

        return (Area){ .pages = map_or_exit(at, (size_t)n * PAGE, rw, flags, fd),
                       .seq = map_or_exit(0, n * sizeof(uint32_t), rw, MAP_PRIVATE | MAP_ANONYMOUS, -1),
                       .n = n };
}

static void set_up(void)
{
        const int anon = MAP_PRIVATE | MAP_ANONYMOUS;
        int file = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        pthread_t thread;

        me.memfd = memfd_create("worker", MFD_CLOEXEC);
        if (me.memfd < 0 || ftruncate(me.memfd, (off_t)SHARED_PAGES * PAGE) < 0 || file < 0 ||
            ftruncate(file, (off_t)FILE_PAGES * PAGE) < 0 || pipe2(me.pipe, O_CLOEXEC) < 0) {
                perror("worker: files");
                _exit(1);
        }
        /* Places where nothing else is, aligned to huge pages. */
        me.private = area_new(PRIVATE_PAGES, UINT64_C(0x100000000000), anon, -1);
        me.shared = area_new(SHARED_PAGES, UINT64_C(0x110000000000), MAP_SHARED, me.memfd);
        me.file = area_new(FILE_PAGES, UINT64_C(0x120000000000), MAP_SHARED, file);
        me.scratch = (char *)UINT64_C(0x130000000000);
        me.nodes = access("/sys/devices/system/node/node1", F_OK) == 0 ? 2 : 1;
        thread_pages = map_or_exit(0, (size_t)THREAD_PAGES * PAGE, PROT_READ | PROT_WRITE, anon, -1);
        for (uint32_t i = 0; i < THREAD_PAGES; i++)
                thread_pages[i].last = ~UINT64_C(0);
        if (pthread_create(&thread, NULL, thread_main, NULL) != 0)
                _exit(1);
}

static _Noreturn void again(uint64_t seed)
{
        char texts[2][32];

        for (int i = 0; i < KIDS_MAX; i++)
                wait_kid(i, 0);
        (void)snprintf(texts[0], sizeof(texts[0]), "%llu", (unsigned long long)seed);
        (void)snprintf(texts[1], sizeof(texts[1]), "%d", shared_fd);
        (void)execl("/proc/self/exe", "prog-module-stress", "--worker", texts[0], texts[1], NULL);
        _exit(1);
}

_Noreturn void worker_main(uint64_t seed, int fd)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        shared_fd = fd;
        shared_figures = map_or_exit(0, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd);
        me.random = seed * 0x9e3779b97f4a7c15ull + 1;
        set_up();
        while (!shared_figures->stop) {
                one_action();
                if (below(ROUNDS_PER_LIFE) == 0) {
                        if (below(2))
                                again(next_random(&me.random));
                        _exit(0);
                }
        }
        check_span(&me.private, (Span){ 0, PRIVATE_PAGES });
        check_span(&me.shared, (Span){ 0, SHARED_PAGES });
        check_span(&me.file, (Span){ 0, FILE_PAGES });
        for (int i = 0; i < KIDS_MAX; i++)
                wait_kid(i, 0);
        _exit(0);
}
