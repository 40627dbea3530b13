/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that keeps writing to its memory and knows what must be in it:
 *
 *     prog-writer READY MODE MIB [STEP]
 *
 * Each page it touches holds a number and its complement, bumped in turn. "ready" is appended to
 * READY once all is touched. On SIGUSR1 it checks all pages, also those it never touched, and
 * appends "checked ROUNDS ERRORS". To be run with transparent_hugepage at madvise. Modes: small,
 * huge, locked, nohuge, disabled (prctl), quiet (small, not written any more). STEP: only every
 * STEPth page.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "util.h"

#define HUGE_BYTES (UINT64_C(2) << 20)

typedef struct Page {
        volatile uint64_t number, complement;
} Page;

static volatile sig_atomic_t check_asked;
static uint64_t bytes, step = 1;
static char *area;

static void on_signal(int signal)
{
        check_asked = 1;
}

static void tell(const char *path, const char *line)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, line, strlen(line)) < 0)
                exit(1);
        (void)close(fd);
}

static int mode_is(const char *mode, const char *word)
{
        return streq(mode, word);
}

static void map_area(const char *mode)
{
        char *map;

        if (mode_is(mode, "disabled"))
                (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        map = mmap(NULL, bytes + 2 * HUGE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
                exit(1);
        area = (char *)(((uintptr_t)map + (uintptr_t)HUGE_BYTES - 1) &
                         ~((uintptr_t)HUGE_BYTES - 1));
        if (mode_is(mode, "huge") && madvise(area, bytes, MADV_HUGEPAGE) < 0)
                exit(1);
        if (mode_is(mode, "nohuge") && madvise(area, bytes, MADV_NOHUGEPAGE) < 0)
                exit(1);
        for (uint64_t at = 0; at < bytes; at += 4096 * step)
                *(Page *)(area + at) = (Page){ .number = at, .complement = ~at };
        if (mode_is(mode, "locked") && mlock(area, bytes) < 0)
                exit(1);
}

static uint64_t count_errors(uint64_t rounds)
{
        uint64_t errors = 0;

        for (uint64_t at = 0; at < bytes; at += 4096) {
                const Page *page = (const Page *)(area + at);
                int touched = (at / 4096) % step == 0;

                if (touched ? page->number != ~page->complement || page->number != at + rounds
                            : page->number != 0 || page->complement != 0)
                        errors++;
        }
        return errors;
}

int main(int argc, char **argv)
{
        const char *ready = argv[1], *mode = argv[2];
        struct sigaction action = { .sa_handler = on_signal };
        uint64_t rounds = 0;
        char line[64];

        if (argc < 4)
                return 2;
        bytes = strtoull(argv[3], NULL, 10) << 20;
        if (argc > 4)
                step = strtoull(argv[4], NULL, 10);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sigaction(SIGUSR1, &action, NULL);
        map_area(mode);
        tell(ready, "ready\n");
        for (;;) {
                if (!check_asked && mode_is(mode, "quiet"))
                        (void)pause();
                if (check_asked) {
                        check_asked = 0;
                        (void)snprintf(line, sizeof(line), "checked %llu %llu\n",
                                       (unsigned long long)rounds,
                                       (unsigned long long)count_errors(rounds));
                        tell(ready, line);
                        continue;
                }
                for (uint64_t at = 0; at < bytes; at += 4096 * step) {
                        Page *page = (Page *)(area + at);

                        page->number++;
                        page->complement = ~page->number;
                }
                rounds++;
        }
}
