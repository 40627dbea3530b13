/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Holds memory of a kind for the charge map cases, until it is killed:
 *
 *     prog-memory READY MODE [MIB…]
 *
 * Appends a line to the file READY after each step, with the pids that take part; SIGUSR1 asks for
 * the next step.
 */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util.h"

#define MIB (UINT64_C(1) << 20)
#define HUGE_BYTES (2 * MIB)

static const char *ready_path;
static uint64_t sizes[4];
static char *path_argument;

static _Noreturn void die(const char *what)
{
        (void)fprintf(stderr, "prog-memory: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void step_done(const char *line)
{
        int fd = open(ready_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line) ||
            write(fd, "\n", 1) != 1)
                die(ready_path);
        (void)close(fd);
}

/* Blocked from the start, so that none is lost. */
static void wait_step(void)
{
        sigset_t set;
        int signal;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGUSR1);
        if (sigwait(&set, &signal) != 0)
                die("sigwait");
}

static _Noreturn void rest(void)
{
        for (;;)
                (void)pause();
}

/* Aligned to 2 MiB, each page touched with a different content unless `same`. */
static char *touch(uint64_t bytes, int advice, int same)
{
        char *area = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *start;

        if (area == MAP_FAILED)
                die("mmap");
        start = (char *)(((uintptr_t)area + (uintptr_t)HUGE_BYTES - 1) &
                         ~((uintptr_t)HUGE_BYTES - 1));
        if (bytes && madvise(start, bytes, advice) < 0)
                die("madvise");
        for (uint64_t at = 0; at < bytes; at += 4096)
                *(volatile uint64_t *)(start + at) = same ? 1 : at + 1;
        return start;
}

static void mode_anon(void)
{
        (void)touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);
        (void)touch(sizes[1] * MIB, MADV_HUGEPAGE, 0);
        step_done("touched");
        wait_step();
        (void)touch(sizes[2] * MIB, MADV_NOHUGEPAGE, 0);
        step_done("more");
}

/* Only reads: the zero page, and the huge zero page. */
static void mode_zero(void)
{
        char *small = mmap(NULL, sizes[0] * MIB + HUGE_BYTES, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *huge = mmap(NULL, sizes[0] * MIB + HUGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
        uint64_t sum = 0;

        (void)madvise(small, sizes[0] * MIB, MADV_NOHUGEPAGE);
        (void)madvise(huge, sizes[0] * MIB + HUGE_BYTES, MADV_HUGEPAGE);
        for (uint64_t at = 0; at < sizes[0] * MIB; at += 4096)
                sum += *(volatile uint64_t *)(small + at) + *(volatile uint64_t *)(huge + at);
        step_done(sum == 0 ? "read" : "not zero");
}

static void touch_memfd(int fd, uint64_t bytes)
{
        char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (area == MAP_FAILED)
                die("mmap");
        for (uint64_t at = 0; at < bytes; at += 4096)
                *(volatile uint64_t *)(area + at) = at + 1;
}

/* The parent maps all of it twice, the child once. */
static void mode_memfd(void)
{
        int fd = memfd_create("shared", MFD_CLOEXEC), go[2];
        char c = 0;

        if (fd < 0 || ftruncate(fd, (off_t)(sizes[0] * MIB)) < 0 || pipe(go) < 0)
                die("memfd");
        if (fork() == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (read(go[0], &c, 1) == 1)
                        touch_memfd(fd, sizes[0] * MIB);
                step_done("child");
                rest();
        }
        touch_memfd(fd, sizes[0] * MIB);
        touch_memfd(fd, sizes[0] * MIB);
        step_done("parent");
        if (write(go[1], "x", 1) != 1)
                die("pipe");
}

static int sharer(void *unused)
{
        char line[32];

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)snprintf(line, sizeof(line), "%d", (int)syscall(SYS_getpid));
        step_done(line);
        rest();
        return 0;
}

static void mode_clone_vm(void)
{
        (void)touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);
        if (clone(sharer, touch(MIB, MADV_NOHUGEPAGE, 0) + MIB, CLONE_VM | SIGCHLD, NULL) < 0)
                die("clone");
}

/* As vfork: the child has the parent's memory until it executes something, and the parent waits for
 * that. */
static void mode_vfork(void)
{
        (void)touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);
        if (clone(sharer, touch(MIB, MADV_NOHUGEPAGE, 0) + MIB, CLONE_VM | CLONE_VFORK | SIGCHLD,
                  NULL) < 0)
                die("clone");
}

/* A forked child shares all pages, then writes to half of them. */
static void mode_cow(void)
{
        char *area = touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);
        pid_t child;

        child = fork();
        if (child == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                step_done("forked");
                wait_step();
                for (uint64_t at = 0; at < sizes[0] * MIB / 2; at += 4096)
                        *(volatile uint64_t *)(area + at) = 0;
                step_done("written");
                rest();
        }
        wait_step();
        (void)kill(child, SIGUSR1);
}

/* Huge pages of which one small page each is given back: the rest is mapped page by page. */
static void mode_split(void)
{
        char *area = touch(sizes[0] * MIB, MADV_HUGEPAGE, 0);

        for (uint64_t at = 0; at < sizes[0] * MIB; at += HUGE_BYTES)
                if (munmap(area + at + 4096 * 7, 4096) < 0)
                        die("munmap");
        step_done("split");
}

static void mode_hugetlb(void)
{
        char *area = mmap(NULL, sizes[0] * MIB, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

        if (area == MAP_FAILED)
                die("MAP_HUGETLB");
        for (uint64_t at = 0; at < sizes[0] * MIB; at += 4096)
                *(volatile uint64_t *)(area + at) = at + 1;
        step_done("touched");
}

static void *thread(void *unused)
{
        (void)unused;
        rest();
}

/* Two threads, of which the first, by whose number the process is known, ends. */
static void mode_leaderless(void)
{
        pthread_t other;

        (void)touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);
        if (pthread_create(&other, NULL, thread, NULL) != 0)
                die("pthread_create");
        step_done("leaving");
        (void)syscall(SYS_exit, 0);
}

static int survivor(void *unused)
{
        char line[32];

        (void)snprintf(line, sizeof(line), "%d", (int)syscall(SYS_getpid));
        step_done(line);
        rest();
        return 0;
}

/* A process that shares the address space outlives the one which had it first. */
static void mode_orphan(void)
{
        (void)touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);
        if (clone(survivor, touch(MIB, MADV_NOHUGEPAGE, 0) + MIB, CLONE_VM | SIGCHLD, NULL) < 0)
                die("clone");
        wait_step();
        (void)syscall(SYS_exit_group, 0);
}

static void mode_ksm(void)
{
        if (madvise(touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 1), sizes[0] * MIB,
                    MADV_MERGEABLE) < 0) {
                step_done("no ksm");
                return;
        }
        step_done("mergeable");
}

static void mode_swap(void)
{
        char *area = touch(sizes[0] * MIB, MADV_NOHUGEPAGE, 0);

        step_done("touched");
        wait_step();
        if (madvise(area, sizes[0] * MIB, MADV_PAGEOUT) < 0)
                die("MADV_PAGEOUT");
        step_done("paged out");
        wait_step();
        for (uint64_t at = 0; at < sizes[0] * MIB; at += 4096)
                if (*(volatile uint64_t *)(area + at) != at + 1)
                        die("content changed");
        step_done("back");
}

/* Maps a file and reads all of it. */
static void mode_file(void)
{
        int fd = open(path_argument, O_RDONLY | O_CLOEXEC);
        off_t size = lseek(fd, 0, SEEK_END);
        uint64_t sum = 0;
        char *area;

        area = fd < 0 ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (area == MAP_FAILED)
                die(path_argument);
        for (off_t at = 0; at < size; at += 4096)
                sum += *(volatile uint64_t *)(area + at);
        step_done(sum == 1 ? "one" : "read");
}

static const struct {
        const char *name;
        void (*run)(void);
} modes[] = {
        { "anon", mode_anon },
        { "zero", mode_zero },
        { "memfd", mode_memfd },
        { "clone-vm", mode_clone_vm },
        { "vfork", mode_vfork },
        { "cow", mode_cow },
        { "ksm", mode_ksm },
        { "split", mode_split },
        { "hugetlb", mode_hugetlb },
        { "leaderless", mode_leaderless },
        { "orphan", mode_orphan },
        { "swap", mode_swap },
        { "file", mode_file },
};

int main(int argc, char **argv)
{
        sigset_t set;

        if (argc < 3) {
                (void)fprintf(stderr, "usage: prog-memory READY MODE [MIB…|PATH]\n");
                return 2;
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGUSR1);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        ready_path = argv[1];
        path_argument = argv[3];
        for (int i = 3; i < argc && i < 7; i++)
                sizes[i - 3] = strtoull(argv[i], NULL, 10);
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (streq(modes[i].name, argv[2]))
                        modes[i].run();
        rest();
}
