/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to the machine while memory moves: reclaim, compaction, khugepaged, KSM, swap. */

#include <fcntl.h>
#include <sys/swap.h>

#include "prog-module-stress.h"

#define THP  "/sys/kernel/mm/transparent_hugepage/"
#define KSM  "/sys/kernel/mm/ksm/"
#define SWAP "/dev/zram0"

enum {
        SWAP_PRIORITY = 0,
};

typedef struct Disturb {
        const Stage *stage;
        const Shared *shared;
        uint64_t *random;
} Disturb;

static int try_write(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        int r = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

        (void)safe_close(fd);
        return r;
}

static int try_group(const Disturb *d, const char *file, const char *text)
{
        const Group *groups[] = { &d->stage->a, &d->stage->b, &d->stage->parent };
        char path[256];

        (void)snprintf(path, sizeof(path), "%s/%s", groups[random_below(d->random, 3)]->path, file);
        return try_write(path, text);
}

static void high_max(const Stage *stage)
{
        group_set(&stage->a, "memory.high", "max");
        group_set(&stage->b, "memory.high", "max");
        group_set(&stage->parent, "memory.high", "max");
}

static int do_reclaim(const Disturb *d)
{
        return try_group(d, "memory.reclaim", random_below(d->random, 2) ? "1M" : "6M");
}

/* For a moment: whoever allocates beyond it is put to sleep for long. */
static int do_high(const Disturb *d)
{
        int r = try_group(d, "memory.high", "8M");

        (void)usleep((useconds_t)random_below(d->random, 20000));
        high_max(d->stage);
        return r;
}

static int do_compact(const Disturb *d)
{
        return try_write("/proc/sys/vm/compact_memory", "1");
}

static int do_drop_caches(const Disturb *d)
{
        return try_write("/proc/sys/vm/drop_caches", random_below(d->random, 2) ? "1" : "3");
}

static int do_thp(const Disturb *d)
{
        static const char *const words[] = { "always", "madvise", "never", "always" };

        return try_write(THP "enabled", words[random_below(d->random, ELEMENTSOF(words))]);
}

static int do_thp_small(const Disturb *d)
{
        static const char *const words[] = { "always", "madvise", "never" };

        return try_write(THP "hugepages-64kB/enabled",
                         words[random_below(d->random, ELEMENTSOF(words))]);
}

static int do_shmem_thp(const Disturb *d)
{
        static const char *const words[] = { "always", "advise", "never" };

        if (!d->shared->shared_huge)
                return -EOPNOTSUPP;
        return try_write(THP "shmem_enabled", words[random_below(d->random, ELEMENTSOF(words))]);
}

static int do_khugepaged(const Disturb *d)
{
        const int fast = (int)random_below(d->random, 2);

        (void)try_write(THP "khugepaged/pages_to_scan", "8192");
        (void)try_write(THP "khugepaged/alloc_sleep_millisecs", "10");
        return try_write(THP "khugepaged/scan_sleep_millisecs", fast ? "10" : "100000");
}

static int do_ksm(const Disturb *d)
{
        static const char *const words[] = { "1", "1", "0", "2" };

        (void)try_write(KSM "pages_to_scan", "2000");
        (void)try_write(KSM "sleep_millisecs", "10");
        return try_write(KSM "run", words[random_below(d->random, ELEMENTSOF(words))]);
}

static int do_swapoff(const Disturb *d)
{
        return swapoff(SWAP) < 0 ? -errno : 0;
}

static int do_swapon(const Disturb *d)
{
        return swapon(SWAP, SWAP_PRIORITY) < 0 ? -errno : 0;
}

static int do_lru_gen(const Disturb *d)
{
        return try_write("/sys/kernel/mm/lru_gen/enabled", random_below(d->random, 2) ? "y" : "n");
}

static int do_stat(const Disturb *d)
{
        (void)group_get(&d->stage->parent, "memory.stat", "anon");
        return 0;
}

/* More often what is quick. */
static const struct {
        const char *name;
        int (*run)(const Disturb *d);
        unsigned weight;
} actions[] = {
        { "reclaim",     do_reclaim,     20 },
        { "high",        do_high,        4  },
        { "compact",     do_compact,     3  },
        { "drop caches", do_drop_caches, 1  },
        { "thp",         do_thp,         4  },
        { "thp 64k",     do_thp_small,   3  },
        { "shmem thp",   do_shmem_thp,   3  },
        { "khugepaged",  do_khugepaged,  4  },
        { "ksm",         do_ksm,         4  },
        { "swapoff",     do_swapoff,     2  },
        { "swapon",      do_swapon,      6  },
        { "lru_gen",     do_lru_gen,     1  },
        { "stat",        do_stat,        6  },
};

void disturb(const Stage *stage, Shared *shared, uint64_t *random)
{
        const Disturb d = { .stage = stage, .shared = shared, .random = random };
        unsigned sum = 0;
        uint64_t pick;

        for (size_t i = 0; i < ELEMENTSOF(actions); i++)
                sum += actions[i].weight;
        pick = random_below(random, sum);
        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                if (pick < actions[i].weight) {
                        count(actions[i].run(&d) < 0 ? &shared->disturb_ignored[i]
                                                     : &shared->disturb_actions[i],
                              1);
                        return;
                }
                pick -= actions[i].weight;
        }
}

void disturb_end(const Stage *stage)
{
        high_max(stage);
        (void)try_write(THP "enabled", "madvise");
        (void)try_write(THP "shmem_enabled", "never");
        (void)try_write(THP "hugepages-64kB/enabled", "never");
        (void)try_write(THP "khugepaged/scan_sleep_millisecs", "10000");
        (void)try_write(KSM "run", "2");
        (void)try_write(KSM "run", "0");
        /* per-CPU caches of swap entries keep removed groups (6.1, 6.12) */
        (void)swapoff(SWAP);
}

const char *disturb_action_name(size_t i)
{
        return i < ELEMENTSOF(actions) ? actions[i].name : NULL;
}
