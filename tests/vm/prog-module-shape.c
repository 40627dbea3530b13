/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that hold memory of a known kind and know what is in it. A holder is this program
 * again, executed inside its group, so that every private page of it is charged there. It is told by
 * single letters on its standard input: s the shape's second step, c check, and answers with one.
 */

#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "prog-module.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* ---- inside the holder ---- */

static Regions held;
static int all_pages_equal; /* for KSM */

typedef struct Stamp {
        volatile uint64_t first;
        uint64_t between[PAGE / 8 - 2];
        volatile uint64_t last;
} Stamp;

static uint64_t stamp_of(uint64_t at)
{
        return all_pages_equal ? 42 : at * 3 + 1;
}

static void hold(char *start, uint64_t bytes)
{
        held.region[held.n++] = (Region){ .start = (uintptr_t)start, .bytes = bytes };
}

static void fill(char *start, uint64_t bytes)
{
        for (uint64_t at = 0; at < bytes; at += PAGE) {
                Stamp *stamp = (Stamp *)(start + at);

                stamp->first = stamp_of((uintptr_t)stamp);
                stamp->last = ~stamp->first;
        }
}

static int is_intact(void)
{
        for (uint32_t i = 0; i < held.n; i++)
                for (uint64_t at = 0; at < held.region[i].bytes; at += PAGE) {
                        const Stamp *stamp = (const Stamp *)(held.region[i].start + at);

                        if (stamp->first != stamp_of((uintptr_t)stamp) || stamp->last != ~stamp->first)
                                return 0;
                }
        return 1;
}

/* Aligned to a huge page, with room for one at both ends. */
static char *map_aligned(uint64_t bytes, int advice, int flags, int fd)
{
        char *map = mmap(NULL, bytes + 2 * HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *start;

        if (map == MAP_FAILED)
                die("mmap: %s", strerror(errno));
        start = (char *)(((uintptr_t)map + 2 * HUGE_BYTES - 1) & ~((uintptr_t)HUGE_BYTES - 1));
        if (mmap(start, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
                die("mmap: %s", strerror(errno));
        (void)madvise(start, bytes, advice);
        return start;
}

static char *hold_small(uint64_t bytes)
{
        char *start = map_aligned(bytes, MADV_NOHUGEPAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

        fill(start, bytes);
        hold(start, bytes);
        return start;
}

/* Kilobytes of a line of smaps_rollup. */
static uint64_t smaps_bytes(const char *key)
{
        FILE *file = fopen("/proc/self/smaps_rollup", "re");
        char line[256];
        uint64_t bytes = 0;

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0)
                        bytes = strtoull(line + strlen(key), NULL, 10) * 1024;
        if (file)
                (void)fclose(file);
        return bytes;
}

static char *hold_huge(uint64_t bytes)
{
        char *start = map_aligned(bytes, MADV_HUGEPAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

        fill(start, bytes);
        if (smaps_bytes("AnonHugePages:") < bytes)
                (void)madvise(start, bytes, MADV_COLLAPSE);
        hold(start, bytes);
        return start;
}

static int build_small(uint64_t bytes)
{
        (void)hold_small(bytes);
        return 0;
}

static int build_huge(uint64_t bytes)
{
        (void)hold_huge(bytes);
        return smaps_bytes("AnonHugePages:") < bytes ? -EOPNOTSUPP : 0;
}

/* A page of each huge page is protected: the huge page is mapped by small entries from then on, in three
 * mappings, or in one again. */
static int protect_some(uint64_t bytes, int again)
{
        char *start = hold_huge(bytes);

        for (uint64_t at = 0; at < bytes; at += HUGE_BYTES) {
                char *page = start + at + HUGE_BYTES / 2;

                if (mprotect(page, PAGE, PROT_READ) < 0 ||
                    (again && mprotect(page, PAGE, PROT_READ | PROT_WRITE) < 0))
                        die("mprotect: %s", strerror(errno));
        }
        return 0;
}

static int build_remapped(uint64_t bytes)
{
        return protect_some(bytes, 1);
}

static int build_protected(uint64_t bytes)
{
        return protect_some(bytes, 0);
}

/* Half of each huge page is unmapped. */
static int build_partial(uint64_t bytes)
{
        char *start = hold_huge(bytes);

        held.n = 0;
        for (uint64_t at = 0; at < bytes; at += HUGE_BYTES) {
                if (munmap(start + at, HUGE_BYTES / 2) < 0)
                        die("munmap: %s", strerror(errno));
                if (held.n < REGIONS)
                        hold(start + at + HUGE_BYTES / 2, HUGE_BYTES / 2);
        }
        return 0;
}

static int build_mthp(uint64_t bytes)
{
        static const char sizes[] = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";
        char *start;

        if (access(sizes, W_OK) < 0)
                return -EOPNOTSUPP;
        write_text(sizes, "always");
        start = map_aligned(bytes, MADV_NORMAL, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        fill(start, bytes);
        hold(start, bytes);
        write_text(sizes, "never");
        return 0;
}

static int build_locked(uint64_t bytes)
{
        char *small = hold_small(bytes / 2), *huge = hold_huge(bytes / 2);

        if (mlock(small, bytes / 2) < 0 || mlock(huge, bytes / 2) < 0)
                die("mlock: %s", strerror(errno));
        return 0;
}

/* As a program does that gives its buffers to the kernel for good. */
static int pin(char *start, uint64_t bytes)
{
        struct io_uring_params params = { 0 };
        struct iovec {
                void *base;
                size_t length;
        } vector = { start, bytes };
        int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

        if (ring < 0)
                return -EOPNOTSUPP;
        if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1) < 0)
                die("IORING_REGISTER_BUFFERS: %s", strerror(errno));
        return 0;
}

static int build_pinned(uint64_t bytes)
{
        return pin(hold_small(bytes), bytes);
}

static int build_pinned_huge(uint64_t bytes)
{
        return pin(hold_huge(bytes), bytes);
}

/* A child that has the same pages and does nothing. */
static void fork_sleeper(void)
{
        pid_t pid = fork();

        if (pid < 0)
                die("fork: %s", strerror(errno));
        if (pid > 0)
                return;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
                (void)pause();
}

static int build_forked(uint64_t bytes)
{
        (void)hold_small(bytes);
        fork_sleeper();
        return 0;
}

static int build_forked_huge(uint64_t bytes)
{
        (void)hold_huge(bytes);
        fork_sleeper();
        return 0;
}

/* Half of the pages are written by the one that forked: its own again. */
static int build_forked_written(uint64_t bytes)
{
        char *start = hold_small(bytes);

        fork_sleeper();
        fill(start, bytes / 2);
        return 0;
}

static char *hold_memfd(uint64_t bytes, int advice, int *ret_fd)
{
        int fd = memfd_create("held", MFD_CLOEXEC);
        char *start;

        if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
                die("memfd: %s", strerror(errno));
        start = map_aligned(bytes, advice, MAP_SHARED, fd);
        fill(start, bytes);
        hold(start, bytes);
        if (ret_fd)
                *ret_fd = fd;
        return start;
}

static int build_memfd(uint64_t bytes)
{
        (void)hold_memfd(bytes, MADV_NOHUGEPAGE, NULL);
        return 0;
}

static int build_memfd_huge(uint64_t bytes)
{
        char *start = hold_memfd(bytes, MADV_HUGEPAGE, NULL);

        if (smaps_bytes("ShmemPmdMapped:") < bytes)
                (void)madvise(start, bytes, MADV_COLLAPSE);
        return smaps_bytes("ShmemPmdMapped:") < bytes ? -EOPNOTSUPP : 0;
}

/* The same pages twice in one address space. */
static int build_memfd_twice(uint64_t bytes)
{
        int fd;
        char *first = hold_memfd(bytes, MADV_NOHUGEPAGE, &fd);
        char *second = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

        return first && second != MAP_FAILED ? 0 : -EOPNOTSUPP;
}

static int build_shared_anon(uint64_t bytes)
{
        char *start = map_aligned(bytes, MADV_NOHUGEPAGE, MAP_SHARED | MAP_ANONYMOUS, -1);

        fill(start, bytes);
        hold(start, bytes);
        return 0;
}

static char *hold_file(uint64_t bytes)
{
        int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        char *start;

        if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
                return NULL;
        start = map_aligned(bytes, MADV_NORMAL, MAP_SHARED, fd);
        fill(start, bytes);
        hold(start, bytes);
        if (fsync(fd) < 0)
                die("fsync: %s", strerror(errno));
        return start;
}

static int build_file(uint64_t bytes)
{
        return hold_file(bytes) ? 0 : -EOPNOTSUPP;
}

static int build_file_dirty(uint64_t bytes)
{
        char *start = hold_file(bytes);

        if (!start)
                return -EOPNOTSUPP;
        fill(start, bytes);
        return 0;
}

static int build_ksm(uint64_t bytes)
{
        all_pages_equal = 1;
        return madvise(hold_small(bytes), bytes, MADV_MERGEABLE) < 0 ? -EOPNOTSUPP : 0;
}

static uint64_t read_number(const char *path)
{
        char text[32] = "";
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd >= 0)
                (void)!read(fd, text, sizeof(text) - 1);
        (void)safe_close(fd);
        return strtoull(text, NULL, 10);
}

static void step_ksm(void)
{
        uint64_t limit = now_usec() + 30000000;

        write_text("/sys/kernel/mm/ksm/pages_to_scan", "20000");
        write_text("/sys/kernel/mm/ksm/sleep_millisecs", "1");
        write_text("/sys/kernel/mm/ksm/run", "1");
        while (read_number("/proc/self/ksm_merging_pages") * PAGE + PAGE < held.region[0].bytes &&
               now_usec() < limit)
                (void)usleep(10000);
        write_text("/sys/kernel/mm/ksm/run", "0");
}

static void step_swap(void)
{
        for (int i = 0; i < 3; i++)
                (void)madvise((void *)held.region[0].start, held.region[0].bytes, MADV_PAGEOUT);
}

/* Out and in again, read only: the pages have their place in swap still. */
static void step_swapcache(void)
{
        step_swap();
        (void)is_intact();
}

static int build_sparse(uint64_t bytes)
{
        char *start = map_aligned(bytes, MADV_NOHUGEPAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        const uint64_t stride = bytes / REGIONS;

        for (uint64_t at = 0; at < bytes; at += stride) {
                fill(start + at + PAGE, PAGE);
                hold(start + at + PAGE, PAGE);
        }
        return 0;
}

/* Only read: the zero page, which is nobody's. */
static int build_zero(uint64_t bytes)
{
        char *start = map_aligned(bytes, MADV_NOHUGEPAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        uint64_t sum = 0;

        for (uint64_t at = 0; at < bytes; at += PAGE)
                sum += *(volatile uint64_t *)(start + at);
        return sum == 0 ? 0 : -EOPNOTSUPP;
}

static const struct {
        const char *name;
        int (*build)(uint64_t bytes);
        void (*step)(void);
} shapes[] = {
        { "small",          build_small,          NULL           },
        { "huge",           build_huge,           NULL           },
        { "remapped",       build_remapped,       NULL           },
        { "protected",      build_protected,      NULL           },
        { "partial",        build_partial,        NULL           },
        { "mthp",           build_mthp,           NULL           },
        { "locked",         build_locked,         NULL           },
        { "pinned",         build_pinned,         NULL           },
        { "pinned-huge",    build_pinned_huge,    NULL           },
        { "forked",         build_forked,         NULL           },
        { "forked-huge",    build_forked_huge,    NULL           },
        { "forked-written", build_forked_written, NULL           },
        { "memfd",          build_memfd,          NULL           },
        { "memfd-huge",     build_memfd_huge,     NULL           },
        { "memfd-twice",    build_memfd_twice,    NULL           },
        { "shared-anon",    build_shared_anon,    NULL           },
        { "file",           build_file,           NULL           },
        { "file-dirty",     build_file_dirty,     NULL           },
        { "ksm",            build_ksm,            step_ksm       },
        { "swap",           build_small,          step_swap      },
        { "swapcache",      build_small,          step_swapcache },
        { "sparse",         build_sparse,         NULL           },
        { "zero",           build_zero,           NULL           },
};

static void answer(char c)
{
        if (write(STDOUT_FILENO, &c, 1) != 1)
                _exit(1);
}

static _Noreturn void holder_main(size_t shape, uint64_t bytes)
{
        char c;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (shapes[shape].build(bytes) < 0) {
                answer('U');
                _exit(0);
        }
        (void)is_intact();
        answer('R');
        if (write(STDOUT_FILENO, &held, sizeof(held)) != sizeof(held))
                _exit(1);
        while (read(STDIN_FILENO, &c, 1) == 1) {
                if (c == 's' && shapes[shape].step)
                        shapes[shape].step();
                answer(c == 'c' && !is_intact() ? 'B' : 'G');
        }
        _exit(0);
}

void shape_main(int argc, char **argv)
{
        if (argc != 4 || !streq(argv[1], "--holder"))
                return;
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                if (streq(shapes[i].name, argv[2]))
                        holder_main(i, strtoull(argv[3], NULL, 10));
        die("no shape '%s'", argv[2]);
}

/* ---- who starts it ---- */

static _Noreturn void exec_holder(const Group *group, const char *shape, uint64_t bytes, int in, int out)
{
        char text[32];

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        group_add(group, getpid());
        (void)dup2(in, STDIN_FILENO);
        (void)dup2(out, STDOUT_FILENO);
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
        (void)execl("/proc/self/exe", "prog-module", "--holder", shape, text, NULL);
        _exit(127);
}

int holder_start(Holder *holder, const Group *group, const char *shape, uint64_t bytes)
{
        int in[2], out[2];
        char c = 0;

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                die("pipe: %s", strerror(errno));
        holder->pid = fork();
        if (holder->pid == 0)
                exec_holder(group, shape, bytes, in[0], out[1]);
        (void)close(in[0]);
        (void)close(out[1]);
        holder->in = in[1];
        holder->out = out[0];
        holder->pidfd = pidfd_of(holder->pid);
        if (holder->pidfd < 0 || read(holder->out, &c, 1) != 1)
                die("the holder of '%s' did not start", shape);
        if (c == 'U') {
                holder_stop(holder);
                return -EOPNOTSUPP;
        }
        if (c != 'R' ||
            read(holder->out, &holder->regions, sizeof(Regions)) != (ssize_t)sizeof(Regions))
                die("the holder of '%s' died", shape);
        return 0;
}

static char tell(Holder *holder, char c)
{
        if (write(holder->in, &c, 1) != 1 || read(holder->out, &c, 1) != 1)
                die("the holder %d is gone", (int)holder->pid);
        return c;
}

void holder_step(Holder *holder)
{
        (void)tell(holder, 's');
}

void holder_check(Holder *holder, const char *what)
{
        if (tell(holder, 'c') != 'G')
                failed("%s: a page of the holder has other contents", what);
}

void holder_stop(Holder *holder)
{
        (void)kill(holder->pid, SIGKILL);
        (void)waitpid(holder->pid, NULL, 0);
        holder->pidfd = safe_close(holder->pidfd);
        holder->in = safe_close(holder->in);
        holder->out = safe_close(holder->out);
}
