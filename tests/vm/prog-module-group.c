/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups of the module's tests, and their accounts to the page. */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>

#include "prog-module.h"

#define TREE "/sys/fs/cgroup"
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
        /* Faults of one poke. The kernel adds counts up when 64 changes a CPU have come together. */
        POKE_PAGES = 4096,
        POKE_TRIES = 20,
        STOCK_PAGES = 64, /* a CPU and group */
        RECLAIMS = 100,
        WAIT_USEC = 60000000,
        POLL_USEC = 20000,
};

const char *const count_names[COUNTS] = {
        [COUNT_ANON] = "anon",
        [COUNT_ANON_THP] = "anon_thp",
        [COUNT_FILE] = "file",
        [COUNT_FILE_MAPPED] = "file_mapped",
        [COUNT_FILE_DIRTY] = "file_dirty",
        [COUNT_SHMEM] = "shmem",
        [COUNT_SHMEM_THP] = "shmem_thp",
        [COUNT_FILE_THP] = "file_thp",
        [COUNT_SWAPCACHED] = "swapcached",
        [COUNT_ANON_LRU] = "inactive_anon + active_anon",
        [COUNT_FILE_LRU] = "inactive_file + active_file",
        [COUNT_UNEVICTABLE] = "unevictable",
        [COUNT_SWAP] = "memory.swap.current",
        [COUNT_CURRENT] = "memory.current",
};

/* What is added up for a count. */
static const struct {
        Count count;
        const char *key;
} stat_keys[] = {
        { COUNT_ANON,         "anon"          },
        { COUNT_ANON_THP,     "anon_thp"      },
        { COUNT_FILE,         "file"          },
        { COUNT_FILE_MAPPED,  "file_mapped"   },
        { COUNT_FILE_DIRTY,   "file_dirty"    },
        { COUNT_SHMEM,        "shmem"         },
        { COUNT_SHMEM_THP,    "shmem_thp"     },
        { COUNT_FILE_THP,     "file_thp"      },
        { COUNT_SWAPCACHED,   "swapcached"    },
        { COUNT_ANON_LRU,     "inactive_anon" },
        { COUNT_ANON_LRU,     "active_anon"   },
        { COUNT_FILE_LRU,     "inactive_file" },
        { COUNT_FILE_LRU,     "active_file"   },
        { COUNT_UNEVICTABLE,  "unevictable"   },
};

/* ---- one group ---- */

static void enable_memory(const char *dir)
{
        char path[256];

        (void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
        write_text(path, "+memory");
}

Group group_new(const char *path)
{
        Group group = { .fd = -EBADF };
        struct stat st;

        (void)snprintf(group.path, sizeof(group.path), TREE "%s", path);
        for (char *slash = group.path + sizeof(TREE); (slash = strchr(slash, '/')); slash++) {
                *slash = 0;
                (void)mkdir(group.path, 0755);
                enable_memory(group.path);
                *slash = '/';
        }
        if (mkdir(group.path, 0755) < 0 && errno != EEXIST)
                die("mkdir %s: %s", group.path, strerror(errno));
        group.fd = open(group.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group.fd < 0 || fstat(group.fd, &st) < 0)
                die("%s: %s", group.path, strerror(errno));
        group.id = st.st_ino;
        return group;
}

int group_remove(Group *group)
{
        uint64_t limit = now_usec() + WAIT_USEC;
        int r;

        /* -EBUSY: what was killed is not gone yet. */
        while ((r = rmdir(group->path) < 0 ? -errno : 0) == -EBUSY && now_usec() < limit)
                (void)usleep(POLL_USEC);
        group->fd = safe_close(group->fd);
        return r;
}

void group_set(const Group *group, const char *file, const char *value)
{
        int fd = openat(group->fd, file, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, value, strlen(value)) < 0)
                die("'%s' to %s/%s: %s", value, group->path, file, strerror(errno));
        (void)safe_close(fd);
}

void group_set_bytes(const Group *group, const char *file, uint64_t value)
{
        char text[32];

        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        group_set(group, file, text);
}

static void read_text(const Group *group, const char *file, char *text, size_t size)
{
        int fd = openat(group->fd, file, O_RDONLY | O_CLOEXEC);
        size_t length = 0;
        ssize_t n;

        while (fd >= 0 && length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
                length += (size_t)n;
        text[length] = 0;
        (void)safe_close(fd);
}

static int find_key(const char *text, const char *key, uint64_t *ret)
{
        size_t length = strlen(key);

        for (const char *line = text; line && *line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, length) != 0 || line[length] != ' ')
                        continue;
                *ret = strtoull(line + length, NULL, 10);
                return 0;
        }
        return -ENOENT;
}

uint64_t group_get(const Group *group, const char *file, const char *key)
{
        static char text[1 << 16];
        uint64_t value = 0;

        read_text(group, file, text, sizeof(text));
        if (key)
                (void)find_key(text, key, &value);
        else
                value = strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
        return value;
}

void group_add(const Group *group, pid_t pid)
{
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", (int)pid);
        group_set(group, "cgroup.procs", text);
}

void group_add_all(const Group *group, const Group *from)
{
        static char text[1 << 16];
        char *line = text, *end;

        read_text(from, "cgroup.procs", text, sizeof(text));
        for (; (end = strchr(line, '\n')); line = end + 1)
                group_add(group, (pid_t)strtol(line, NULL, 10));
}

uint64_t dying_groups(void)
{
        Group root = { .path = TREE, .fd = open(TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        uint64_t n = group_get(&root, "cgroup.stat", "nr_dying_descendants");

        (void)safe_close(root.fd);
        return n;
}

int wait_dying(uint64_t want)
{
        uint64_t limit = now_usec() + WAIT_USEC;

        while (dying_groups() > want) {
                if (now_usec() > limit)
                        return -ETIMEDOUT;
                (void)usleep(POLL_USEC);
        }
        return 0;
}

/* ---- the poke ---- */

/* MADV_COLLAPSE empties the lists that CPUs gather pages in, before it finds that there is nothing to
 * collapse. Faults are events of the group like any other: enough of them and the next reader of
 * memory.stat gets all changes of all CPUs. */
static void poke(char *small, char *huge)
{
        uint64_t sum = 0;

        (void)madvise(huge, HUGE_BYTES, MADV_COLLAPSE);
        for (uint64_t at = 0; at < (uint64_t)POKE_PAGES * PAGE; at += PAGE)
                sum += *(volatile uint64_t *)(small + at);
        (void)madvise(small, (uint64_t)POKE_PAGES * PAGE, MADV_DONTNEED);
        if (sum)
                _exit(1);
}

static _Noreturn void poke_main(const Group *group, int in, int out)
{
        char *small = mmap(NULL, (uint64_t)POKE_PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                           -1, 0);
        char *huge = mmap(NULL, 3 * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
        char c, *aligned;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (small == MAP_FAILED || huge == MAP_FAILED)
                _exit(1);
        group_add(group, getpid());
        (void)madvise(small, (uint64_t)POKE_PAGES * PAGE, MADV_NOHUGEPAGE);
        (void)madvise(huge, 3 * HUGE_BYTES, MADV_NOHUGEPAGE);
        /* A mapping that has never been touched is not looked at. */
        *(volatile char *)huge = 1;
        aligned = (char *)(((uintptr_t)huge + (uintptr_t)HUGE_BYTES) & ~((uintptr_t)HUGE_BYTES - 1));
        (void)madvise(aligned, HUGE_BYTES, MADV_HUGEPAGE);
        while (read(in, &c, 1) == 1) {
                poke(small, aligned);
                if (write(out, &c, 1) != 1)
                        break;
        }
        _exit(0);
}

static void start_poke(Stage *stage)
{
        int in[2], out[2];

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                die("pipe: %s", strerror(errno));
        stage->poke_pid = fork();
        if (stage->poke_pid == 0)
                poke_main(&stage->poke, in[0], out[1]);
        (void)close(in[0]);
        (void)close(out[1]);
        stage->poke_in = in[1];
        stage->poke_out = out[0];
}

void stage_settle(Stage *stage)
{
        char c = 'p';

        if (write(stage->poke_in, &c, 1) != 1 || read(stage->poke_out, &c, 1) != 1)
                die("the poking process is gone");
        (void)group_get(&stage->parent, "memory.stat", "anon");
}

/* ---- pictures ---- */

static void read_picture(const Group *group, Picture *ret)
{
        static char text[1 << 16];
        uint64_t kernel = 0;

        *ret = (Picture){ 0 };
        read_text(group, "memory.stat", text, sizeof(text));
        for (size_t i = 0; i < ELEMENTSOF(stat_keys); i++) {
                uint64_t value = 0;

                (void)find_key(text, stat_keys[i].key, &value);
                ret->bytes[stat_keys[i].count] += (int64_t)value;
        }
        (void)find_key(text, "kernel", &kernel);
        ret->kernel = (int64_t)kernel;
        ret->bytes[COUNT_SWAP] = (int64_t)group_get(group, "memory.swap.current", NULL);
        ret->bytes[COUNT_CURRENT] = (int64_t)group_get(group, "memory.current", NULL);
        read_text(group, "memory.events", ret->events, sizeof(ret->events));
}

static int pictures_differ(const Picture *a, const Picture *b)
{
        return memcmp(a->bytes, b->bytes, sizeof(a->bytes[0]) * COUNT_CURRENT) != 0;
}

void stage_picture(Stage *stage, const Group *group, Picture *ret)
{
        Picture first;

        stage_settle(stage);
        read_picture(group, &first);
        for (int i = 0; i < POKE_TRIES; i++) {
                stage_settle(stage);
                read_picture(group, ret);
                if (!pictures_differ(&first, ret))
                        return;
                first = *ret;
        }
        failed("the accounts of %s do not come to rest", group->path);
}

int64_t stock_bytes(void)
{
        return sysconf(_SC_NPROCESSORS_ONLN) * STOCK_PAGES * PAGE;
}

static int64_t change(const Picture picture[2], int count)
{
        return picture[1].bytes[count] - picture[0].bytes[count];
}

void expect_transfer(const char *what, const Picture from[2], const Picture to[2],
                     const Picture parent[2])
{
        int64_t slack = 3 * stock_bytes();

        for (int i = 0; i < COUNT_CURRENT; i++) {
                if (change(from, i) != -change(to, i))
                        failed("%s: %s: %lld bytes left the source, %lld came to the target", what,
                               count_names[i], (long long)-change(from, i),
                               (long long)change(to, i));
                if (change(parent, i) != 0)
                        failed("%s: %s of the parent changed by %lld bytes", what, count_names[i],
                               (long long)change(parent, i));
        }
        if (llabs(change(from, COUNT_CURRENT) + change(to, COUNT_CURRENT)) > slack ||
            llabs(change(parent, COUNT_CURRENT)) > slack)
                failed("%s: memory.current changed by %lld in the source, %lld in the target, %lld in the parent",
                       what, (long long)change(from, COUNT_CURRENT),
                       (long long)change(to, COUNT_CURRENT), (long long)change(parent, COUNT_CURRENT));
        if (!streq(from[0].events, from[1].events) || !streq(to[0].events, to[1].events) ||
            !streq(parent[0].events, parent[1].events))
                failed("%s: memory.events changed", what);
}

void expect_same(const char *what, const Picture picture[2])
{
        for (int i = 0; i < COUNT_CURRENT; i++)
                if (change(picture, i) != 0)
                        failed("%s: %s changed from %lld to %lld", what, count_names[i],
                               (long long)picture[0].bytes[i], (long long)picture[1].bytes[i]);
        if (!streq(picture[0].events, picture[1].events))
                failed("%s: memory.events changed", what);
}

/* CPUs keep swap entries that were given back (6.1, 6.12), until the device goes. */
static void renew_swap(void)
{
        FILE *swaps = fopen("/proc/swaps", "re");
        char line[512], path[256];

        while (swaps && fgets(line, sizeof(line), swaps))
                if (sscanf(line, "%255s", path) == 1 && path[0] == '/' && swapoff(path) == 0)
                        (void)swapon(path, 0);
        if (swaps)
                (void)fclose(swaps);
}

/* memory.max 0 takes the page cache and what CPUs have in stock. What remains is on the books wrongly, but
 * for the kernel's own objects, which have a figure of their own. */
void expect_empty(Stage *stage, const Group *group, const char *what)
{
        uint64_t limit = now_usec() + WAIT_USEC / 2;
        Picture picture;

        while (group_get(group, "cgroup.events", "populated") && now_usec() < limit)
                (void)usleep(POLL_USEC);
        for (;;) {
                int empty = 1;

                /* again each time: what is freed late goes into stock */
                group_set(group, "memory.max", "0");
                stage_settle(stage);
                read_picture(group, &picture);
                picture.bytes[COUNT_CURRENT] -= picture.kernel;
                for (int i = 0; i < COUNTS; i++)
                        empty &= picture.bytes[i] == 0;
                if (empty || now_usec() > limit)
                        break;
                if (picture.bytes[COUNT_SWAP] != 0)
                        renew_swap();
                (void)usleep(POLL_USEC);
        }
        group_set(group, "memory.max", "max");
        for (int i = 0; i < COUNTS; i++)
                if (picture.bytes[i] != 0)
                        failed("%s: %s of %s is %lld with nobody in it", what, count_names[i],
                               group->path, (long long)picture.bytes[i]);
}

/* ---- the stage ---- */

static Group child(const char *path, const char *name)
{
        char child_path[200];

        (void)snprintf(child_path, sizeof(child_path), "%s/%s", path, name);
        return group_new(child_path);
}

void stage_open(Stage *stage, const char *path)
{
        *stage = (Stage){ .dying = dying_groups() };
        stage->parent = group_new(path);
        stage->a = child(path, "a");
        stage->b = child(path, "b");
        stage->poke = child(path, "poke");
        start_poke(stage);
        stage_settle(stage);
}

/* The sum of all that were below: what is wrong by as much in two groups is not seen here. */
static void expect_shared_gone(Stage *stage)
{
        static const Count counts[] = { COUNT_ANON,    COUNT_ANON_THP, COUNT_FILE_MAPPED, COUNT_SHMEM,
                                        COUNT_SHMEM_THP, COUNT_ANON_LRU, COUNT_UNEVICTABLE };
        uint64_t limit = now_usec() + WAIT_USEC / 4;
        Picture picture;
        int rest;

        do {
                rest = 0;
                (void)usleep(POLL_USEC);
                read_picture(&stage->parent, &picture);
                for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                        rest |= picture.bytes[counts[i]] != 0;
        } while (rest && now_usec() < limit);
        for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                if (picture.bytes[counts[i]] != 0)
                        failed("%s of %s is %lld with nothing below it", count_names[counts[i]],
                               stage->parent.path, (long long)picture.bytes[counts[i]]);
}

void stage_close(Stage *stage)
{
        Group *const groups[] = { &stage->a, &stage->b, &stage->poke };
        char path[256];
        int64_t rest;

        (void)kill(stage->poke_pid, SIGKILL);
        (void)waitpid(stage->poke_pid, NULL, 0);
        (void)close(stage->poke_in);
        (void)close(stage->poke_out);
        for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                int r = group_remove(groups[i]);

                if (r < 0)
                        failed("rmdir %s: %s", groups[i]->path, strerror(-r));
        }
        expect_shared_gone(stage);
        /* Until 7.0 page cache keeps a removed group, for as long as anybody maps it: it must go. */
        for (int i = 0; i < RECLAIMS && dying_groups() > stage->dying; i++) {
                (void)snprintf(path, sizeof(path), "%s/memory.reclaim", stage->parent.path);
                write_text(path, "64M");
                (void)usleep(POLL_USEC);
        }
        if (wait_dying(stage->dying) < 0)
                failed("%llu removed groups are still there, %llu at the start",
                       (unsigned long long)dying_groups(), (unsigned long long)stage->dying);
        rest = (int64_t)group_get(&stage->parent, "memory.current", NULL);
        if (rest > 2 * stock_bytes())
                failed("%lld bytes are on the parent's account with no child left",
                       (long long)rest);
        if (group_remove(&stage->parent) < 0)
                failed("rmdir %s: %s", stage->parent.path, strerror(errno));
}
