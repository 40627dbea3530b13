/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random and mutated requests to the three commands, about the caller's own memory and that of others:
 *
 *     prog-module-fuzz SECONDS [SEED]
 *
 * Every pointer leads into an arena with nothing mapped for a gigabyte around it, so that what is written
 * to a wrong one hits nothing else. Afterwards all memory holds what it should, and the accounts are
 * empty. The same seed gives the same requests.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "prog-module.h"

#define ARENA_AT    UINT64_C(0x200000000000)
#define ARENA_SPACE (UINT64_C(1) << 30)

enum {
        FUZZERS = 3,
        ARENA_PAGES = 16,
        OWN_PAGES = 1024,
        ERRNOS = 200,
        TICK_USEC = 20000,
};

typedef struct Fuzz {
        Stage stage;
        int device, closed_fd, file_fd, root_fd;
        Holder holders[2];
        uint64_t random;
        char *arena;
        uint64_t *own;
} Fuzz;

typedef struct Tally {
        uint64_t calls, moved;
        uint64_t errors[ERRNOS];
} Tally;

static Tally *tallies;

static uint64_t below(Fuzz *fuzz, uint64_t n)
{
        return (next_random(&fuzz->random) >> 16) % n;
}

/* Inside, at the edges, outside, nowhere. */
static uint64_t random_pointer(Fuzz *fuzz)
{
        const uint64_t size = (uint64_t)ARENA_PAGES * PAGE, arena = (uintptr_t)fuzz->arena;

        switch (below(fuzz, 8)) {
        case 0:
                return 0;
        case 1:
                return arena + size - below(fuzz, 256);
        case 2:
                return arena - below(fuzz, 256);
        case 3:
                return UINT64_MAX - below(fuzz, 1 << 20);
        case 4:
                return arena + below(fuzz, size);
        default:
                return arena + PAGE * 2 + below(fuzz, size / 2) / 8 * 8;
        }
}

/* The root is a target only: what is charged to it is the text of this very program, and the groups are to be
 * emptied at the end. */
static int32_t random_fd(Fuzz *fuzz, int good)
{
        const int32_t fds[] = { CHARGEHAND_SELF,      fuzz->holders[0].pidfd, fuzz->holders[1].pidfd,
                                fuzz->stage.a.fd,     fuzz->stage.b.fd,       fuzz->stage.parent.fd,
                                fuzz->stage.poke.fd,  fuzz->device,           fuzz->closed_fd,
                                fuzz->file_fd };

        if (below(fuzz, 8))
                return good;
        return below(fuzz, 16) ? fds[below(fuzz, ELEMENTSOF(fds))]
                               : (int32_t)next_random(&fuzz->random);
}

static int random_process(Fuzz *fuzz)
{
        uint64_t which = below(fuzz, 3);

        return which == 2 ? CHARGEHAND_SELF : fuzz->holders[which].pidfd;
}

/* Ranges in the arena; mostly such as are accepted. */
static void put_ranges(Fuzz *fuzz, struct chargehand_range *ranges, uint64_t n)
{
        uint64_t at = below(fuzz, 2) ? fuzz->holders[below(fuzz, 2)].regions.region[0].start
                                     : (uintptr_t)fuzz->own;

        for (uint64_t i = 0; i < n; i++) {
                at += below(fuzz, 16) * PAGE;
                ranges[i].start = at;
                at += (1 + below(fuzz, 512)) * PAGE;
                ranges[i].end = at;
        }
        if (n && below(fuzz, 8) == 0)
                *(&ranges[below(fuzz, n)].start + below(fuzz, 2)) = next_random(&fuzz->random);
}

static void random_move(Fuzz *fuzz, struct chargehand_move *move)
{
        const int forward = (int)below(fuzz, 2);
        const Group *a = &fuzz->stage.a, *b = &fuzz->stage.b;

        *move = move_new(random_fd(fuzz, random_process(fuzz)),
                         random_fd(fuzz, forward ? a->fd : b->fd),
                         random_fd(fuzz, forward ? b->fd : a->fd),
                         (uint32_t)below(fuzz, CHARGEHAND_MOVE_KINDS + 1));
        if (below(fuzz, 32) == 0)
                move->to_fd = fuzz->root_fd;
        move->flags = (uint32_t)below(fuzz, CHARGEHAND_MOVE_FLAGS + 1);
        if (below(fuzz, 8) == 0) {
                move->from_fd = -1;
                move->from_id = below(fuzz, 4) ? a->id : next_random(&fuzz->random) >> 40;
        }
        if (below(fuzz, 2)) {
                move->n_ranges = (uint32_t)below(fuzz, 64);
                move->ranges = (uintptr_t)fuzz->arena + 4L * PAGE;
                put_ranges(fuzz, (void *)(uintptr_t)move->ranges, move->n_ranges);
                if (move->n_ranges == 0 && below(fuzz, 2))
                        move->ranges = 0;
        }
        if (below(fuzz, 4) == 0)
                move->chunk_pages = (uint32_t)below(fuzz, 20000);
        if (below(fuzz, 4) == 0)
                move->max_bytes = below(fuzz, 8 * MIB);
        if (below(fuzz, 4) == 0)
                move->max_nsec = below(fuzz, 2000000);
        if (below(fuzz, 8) == 0)
                move->resume = fuzz->holders[0].regions.region[0].start + below(fuzz, 4096) * PAGE;
}

static void random_map(Fuzz *fuzz, struct chargehand_map *map)
{
        *map = (struct chargehand_map){
                .size = sizeof(*map),
                .flags = (uint32_t)below(fuzz, CHARGEHAND_MAP_FLAGS + 1),
                .pidfd = random_fd(fuzz, random_process(fuzz)),
                .n_rows = (uint32_t)below(fuzz, 32),
                .rows = random_pointer(fuzz),
        };
        if (below(fuzz, 2)) {
                map->n_ranges = (uint32_t)below(fuzz, 64);
                map->ranges = (uintptr_t)fuzz->arena + 4L * PAGE;
                put_ranges(fuzz, (void *)(uintptr_t)map->ranges, map->n_ranges);
        }
}

static void random_info(Fuzz *fuzz, struct chargehand_info *info)
{
        *info = (struct chargehand_info){
                .size = sizeof(*info),
                .pidfd = random_fd(fuzz, random_process(fuzz)),
                .n_pids = (uint32_t)below(fuzz, 32),
                .pids = random_pointer(fuzz),
        };
}

/* Bits, bytes, words. Pointers may become anything: they hit nothing. */
static void mutate(Fuzz *fuzz, unsigned char *bytes, size_t size)
{
        for (uint64_t n = below(fuzz, 4); n > 0; n--) {
                size_t at = below(fuzz, size);

                switch (below(fuzz, 4)) {
                case 0:
                        bytes[at] ^= (unsigned char)(1u << below(fuzz, 8));
                        break;
                case 1:
                        bytes[at] = (unsigned char)next_random(&fuzz->random);
                        break;
                case 2:
                        memset(bytes + at, below(fuzz, 2) ? 0 : 0xff, min_u64(8, size - at));
                        break;
                default:
                        *(uint32_t *)bytes = (uint32_t)below(fuzz, 2 * size);
                        break;
                }
        }
}

static int is_promised(int error)
{
        static const int promised[] = { 0,      EINVAL, E2BIG, EFAULT, EBADF, ESRCH,
                                        ENOTTY, EINTR,  ENOMEM, ENODEV, ENOENT, ENOSPC };

        for (size_t i = 0; i < ELEMENTSOF(promised); i++)
                if (promised[i] == error)
                        return 1;
        return 0;
}

static void one_call(Fuzz *fuzz, Tally *tally)
{
        static const unsigned long commands[] = { CHARGEHAND_IOC_MOVE, CHARGEHAND_IOC_MAP,
                                                  CHARGEHAND_IOC_INFO };
        static const size_t sizes[] = { sizeof(struct chargehand_move), sizeof(struct chargehand_map),
                                        sizeof(struct chargehand_info) };
        const uint64_t which = below(fuzz, 8) < 5 ? 0 : 1 + below(fuzz, 2);
        unsigned long command = commands[which];
        unsigned char *argument = (unsigned char *)fuzz->arena;
        int error;

        memset(argument, 0, PAGE);
        if (which == 0)
                random_move(fuzz, (struct chargehand_move *)argument);
        else if (which == 1)
                random_map(fuzz, (struct chargehand_map *)argument);
        else
                random_info(fuzz, (struct chargehand_info *)argument);
        if (below(fuzz, 2))
                mutate(fuzz, argument, sizes[which]);
        if (below(fuzz, 64) == 0)
                command = next_random(&fuzz->random) & 0xffffffff;
        if (below(fuzz, 64) == 0)
                argument = (unsigned char *)(uintptr_t)random_pointer(fuzz);
        error = ioctl(fuzz->device, command, argument) < 0 ? errno : 0;
        tally->calls++;
        tally->errors[error < ERRNOS ? error : 0]++;
        if (error == 0 && which == 0 && argument == (unsigned char *)fuzz->arena)
                tally->moved += sum_moved((struct chargehand_move *)argument);
        if (!is_promised(error)) {
                failed("call %llu: command %#lx: %s", (unsigned long long)tally->calls, command,
                       strerror(error));
                _exit(1);
        }
}

static void on_tick(int signum)
{
        (void)signum;
}

/* Its own memory is among what is moved. */
static _Noreturn void fuzz_main(Fuzz *fuzz, int number, uint64_t until_usec, uint64_t seed)
{
        const struct itimerval tick = { { 0, TICK_USEC }, { 0, TICK_USEC } };
        struct sigaction action = { .sa_handler = on_tick };

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        group_add(&fuzz->stage.a, getpid());
        fuzz->device = device_open();
        fuzz->random = seed * 0x9e3779b97f4a7c15ull + (uint64_t)number + 1;
        fuzz->arena = mmap((void *)(ARENA_AT + (uint64_t)number * 2 * ARENA_SPACE), ARENA_SPACE, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        fuzz->own = mmap(NULL, (size_t)OWN_PAGES * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fuzz->arena == MAP_FAILED || fuzz->own == MAP_FAILED)
                _exit(2);
        fuzz->arena += ARENA_SPACE / 2;
        if (mprotect(fuzz->arena, (size_t)ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE) < 0)
                _exit(2);
        for (uint64_t i = 0; i < (uint64_t)OWN_PAGES * PAGE / 8; i += 64)
                fuzz->own[i] = i + 7;
        (void)sigaction(SIGALRM, &action, NULL);
        (void)setitimer(ITIMER_REAL, &tick, NULL);
        while (now_usec() < until_usec)
                one_call(fuzz, &tallies[number]);
        for (uint64_t i = 0; i < (uint64_t)OWN_PAGES * PAGE / 8; i += 64)
                if (fuzz->own[i] != i + 7)
                        _exit(3);
        _exit(0);
}

static void report(uint64_t seed)
{
        uint64_t calls = 0, moved = 0;

        for (int i = 0; i < FUZZERS; i++) {
                calls += tallies[i].calls;
                moved += tallies[i].moved;
        }
        (void)printf("-- %llu calls, seed %llu, %llu MiB moved;", (unsigned long long)calls,
                     (unsigned long long)seed, (unsigned long long)(moved / MIB));
        for (int error = 0; error < ERRNOS; error++) {
                uint64_t n = 0;

                for (int i = 0; i < FUZZERS; i++)
                        n += tallies[i].errors[error];
                if (n)
                        (void)printf(" %s %llu", error ? strerrorname_np(error) : "done",
                                     (unsigned long long)n);
        }
        (void)printf("\n");
        (void)fflush(stdout);
        if (moved == 0)
                failed("nothing was ever moved");
}

/* A number that no flipped bit leads to. */
static int open_root(void)
{
        int fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int far = fcntl(fd, F_DUPFD_CLOEXEC, 0x2f5);

        (void)safe_close(fd);
        return far;
}

int main(int argc, char **argv)
{
        const uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 20;
        const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : now_usec();
        static Fuzz fuzz;
        uint64_t until;

        shape_main(argc, argv);
        tallies = mmap(NULL, sizeof(Tally) * FUZZERS, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (tallies == MAP_FAILED)
                die("mmap: %s", strerror(errno));
        memset(tallies, 0, sizeof(Tally) * FUZZERS);
        (void)printf("-- seed %llu\n", (unsigned long long)seed);
        (void)close(device_open());
        stage_open(&fuzz.stage, "/m");
        if (holder_start(&fuzz.holders[0], &fuzz.stage.a, "small", 8 * MIB) < 0 ||
            holder_start(&fuzz.holders[1], &fuzz.stage.b, "huge", 8 * MIB) < 0)
                die("no memory to move");
        fuzz.closed_fd = 900;
        fuzz.file_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        fuzz.root_fd = open_root();
        until = now_usec() + seconds * 1000000;
        (void)fflush(stdout);
        for (int i = 0; i < FUZZERS; i++)
                if (fork() == 0)
                        fuzz_main(&fuzz, i, until, seed);
        for (int i = 0, status; i < FUZZERS; i++) {
                (void)wait(&status);
                if (status != 0)
                        failed("a fuzzer ended with %#x (0x300: its memory was changed)", (unsigned)status);
        }
        report(seed);
        for (size_t i = 0; i < ELEMENTSOF(fuzz.holders); i++) {
                holder_check(&fuzz.holders[i], "fuzz");
                holder_stop(&fuzz.holders[i]);
        }
        expect_empty(&fuzz.stage, &fuzz.stage.a, "fuzz");
        expect_empty(&fuzz.stage, &fuzz.stage.b, "fuzz");
        stage_close(&fuzz.stage);
        return failures() != 0;
}
