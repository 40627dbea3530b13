/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the groups of our units say: which there are, their settings, their extended attributes. */

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "prog-systemd1.h"

/* A file that is not there says what it says at first: it makes no difference to anybody's limits
 * whether a controller is on. Which are on is in cgroup.controllers, looked at by the verb for it.
 */
typedef struct File {
        const char *name, *initial;
} File;

static const File files[] = {
        {"cgroup.freeze",           "0"          },
        { "cgroup.max.depth",       "max"        },
        { "cgroup.max.descendants", "max"        },
        { "cgroup.subtree_control", ""           },
        { "cgroup.type",            "domain"     },
        { "cpu.idle",               "0"          },
        { "cpu.max",                "max 100000" },
        { "cpu.max.burst",          "0"          },
        { "cpu.uclamp.max",         "max"        },
        { "cpu.uclamp.min",         "0.00"       },
        { "cpu.weight",             "100"        },
        { "cpuset.cpus",            ""           },
        { "cpuset.cpus.exclusive",  ""           },
        { "cpuset.cpus.partition",  "member"     },
        { "cpuset.mems",            ""           },
        { "io.bfq.weight",          "default 100"},
        { "io.latency",             ""           },
        { "io.max",                 ""           },
        { "io.prio.class",          "no-change"  },
        { "io.weight",              "default 100"},
        { "memory.high",            "max"        },
        { "memory.low",             "0"          },
        { "memory.max",             "max"        },
        { "memory.min",             "0"          },
        { "memory.oom.group",       "0"          },
        { "memory.swap.high",       "max"        },
        { "memory.swap.max",        "max"        },
        { "memory.zswap.max",       "max"        },
        { "memory.zswap.writeback", "1"          },
        { "pids.max",               "max"        },
};

/* The first is no extended attribute. */
static const char *const attributes[] = {
        "owner", "trusted.delegate", "user.delegate", "user.oomd_avoid", "user.oomd_omit",
};

#define N_SETTINGS (ELEMENTSOF(files) + ELEMENTSOF(attributes))

typedef struct Group {
        char *path;
        char *values[N_SETTINGS];
} Group;

typedef struct Groups {
        Group *items;
        size_t n, allocated;
} Groups;

static Groups seen, found; /* at the last look, at this one */
static int disabled, shares;

void files_in_shares(int on)
{
        shares = on;
}

static void groups_done(Groups *groups)
{
        for (size_t i = 0; i < groups->n; i++) {
                free(groups->items[i].path);
                for (size_t k = 0; k < N_SETTINGS; k++)
                        free(groups->items[i].values[k]);
        }
        free(groups->items);
        *groups = (Groups){};
}

/* Which disk is the first one differs from boot to boot. */
static void mask_disk(char *text)
{
        for (char *p = text; (p = strstr(p, "259:")); p += 4)
                for (char *d = p + 4; *d >= '0' && *d <= '9'; d++)
                        *d = 'N';
}

/* systemd gives all units a limit of its own, a share of what the machine can have: none that
 * anybody asked for. */
static void mask_default(char **text)
{
        char number[32];

        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)default_tasks_max());
        if (!streq(*text, number))
                return;
        free(*text);
        *text = strdup("max");
}

/* One line for all of the file */
static char *read_setting(int dir_fd, const File *file)
{
        char *text = NULL;
        size_t size;

        if (read_file_at(dir_fd, file->name, 65536, &text, &size) < 0)
                return strdup(file->initial);
        while (size > 0 && strchr("\n ", text[size - 1]))
                text[--size] = 0;
        for (size_t i = 0; i < size; i++)
                if (text[i] == '\n')
                        text[i] = '|';
        mask_disk(text);
        if (streq(file->name, "pids.max"))
                mask_default(&text);
        return text;
}

static char *read_attribute(const char *path, const char *name)
{
        char value[128];
        struct stat st;
        ssize_t n;

        if (streq(name, "owner")) {
                if (stat(path, &st) < 0 || (st.st_uid == 0 && st.st_gid == 0))
                        return strdup("");
                (void)snprintf(value, sizeof(value), "%u:%u", st.st_uid, st.st_gid);
                return strdup(value);
        }
        n = getxattr(path, name, value, sizeof(value) - 1);

        if (n < 0)
                return strdup("");
        value[n] = 0;
        return strdup(value);
}

static void add_group(const char *path)
{
        _cleanup_(closep) int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        Group *group;

        if (fd < 0)
                return;
        if (array_reserve(&found.items, &found.allocated, found.n + 1, sizeof(Group)) < 0)
                give_up("out of memory");
        group = &found.items[found.n++];
        *group = (Group){ .path = strdup(path + strlen(options.root)) };
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                group->values[i] = read_setting(fd, &files[i]);
        for (size_t i = 0; i < ELEMENTSOF(attributes); i++)
                group->values[ELEMENTSOF(files) + i] = read_attribute(path, attributes[i]);
}

static int is_ours(const char *path)
{
        return strstr(path + strlen(options.root), "/" OUR_UNITS) != NULL;
}

static int on_directory(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        if (type == FTW_D && is_ours(path))
                add_group(path);
        return 0;
}

static int by_path(const void *a, const void *b)
{
        return strcmp(((const Group *)a)->path, ((const Group *)b)->path);
}

static const char *setting_name(size_t i)
{
        return i < ELEMENTSOF(files) ? files[i].name : attributes[i - ELEMENTSOF(files)];
}

static uint64_t number_in(const char *path)
{
        FILE *f = fopen(path, "re");
        unsigned long long value = 0;

        if (f && fscanf(f, "%llu", &value) != 1)
                value = 0;
        if (f)
                (void)fclose(f);
        return value;
}

/* What all of a file's kind of thing is on this machine */
static uint64_t whole(const char *file)
{
        if (strncmp(file, "memory.", 7) == 0)
                return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        return min_u64(number_in("/proc/sys/kernel/pid_max"),
                       number_in("/proc/sys/kernel/threads-max"));
}

/* In a thousandth of the machine where the step speaks of a share of it */
static char *in_shares(const char *file, const char *value)
{
        char *text = NULL, *end;
        uint64_t number = strtoull(value, &end, 10);

        if (!shares || end == value || *end || number == 0 || whole(file) == 0)
                return strdup(value);
        if (asprintf(&text, "<%.0f/1000>", 1000.0 * (double)number / (double)whole(file)) < 0)
                give_up("out of memory");
        return text;
}

static void say_change(const char *group, const char *file, const char *old, const char *new)
{
        _cleanup_(freep) char *from = in_shares(file, old), *to = in_shares(file, new);

        say("file %s %s: %s -> %s", group, file, from, to);
}

static void compare_group(const Group *before, const Group *after)
{
        if (!before)
                say("group + %s", after->path);
        if (!after) {
                say("group - %s", before->path);
                return;
        }
        for (size_t i = 0; i < N_SETTINGS; i++) {
                const char *initial = i < ELEMENTSOF(files) ? files[i].initial : "";
                const char *old = before ? before->values[i] : initial;

                if (streq(setting_name(i), "cgroup.subtree_control"))
                        continue;
                if (!streq(old, after->values[i]))
                        say_change(after->path, setting_name(i), old, after->values[i]);
        }
}

static void compare_groups(void)
{
        size_t i = 0, k = 0;

        while (i < seen.n || k < found.n) {
                int r = i == seen.n    ? 1
                        : k == found.n ? -1
                                       : by_path(&seen.items[i], &found.items[k]);

                compare_group(r <= 0 ? &seen.items[i] : NULL, r >= 0 ? &found.items[k] : NULL);
                i += r <= 0;
                k += r >= 0;
        }
}

void files_disable(void)
{
        disabled = 1;
}

void files_look(int print)
{
        if (disabled)
                return;
        found = (Groups){};
        (void)nftw(options.root, on_directory, 32, FTW_PHYS);
        qsort(found.items, found.n, sizeof(Group), by_path);
        if (print)
                compare_groups();
        groups_done(&seen);
        seen = found;
}

void files_forget(void)
{
        groups_done(&seen);
}

static void full_path(char *buffer, size_t size, const char *path, const char *file)
{
        if ((size_t)snprintf(buffer, size, "%s%s%s%s", options.root, path, file ? "/" : "",
                             file ? file : "") >= size)
                give_up("a path is too long");
}

int group_exists(const char *path)
{
        char full[4096];

        full_path(full, sizeof(full), path, NULL);
        return access(full, F_OK) == 0;
}

static const char *sought;

static int is_sought(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *events = NULL;
        size_t size;

        if (type != FTW_D || !streq(path + ftw->base, sought))
                return 0;
        fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        return fd >= 0 && read_file_at(fd, "cgroup.events", 4096, &events, &size) >= 0 &&
               strstr(events, "populated 0");
}

int group_lies_about(const char *name)
{
        sought = name;
        return nftw(options.root, is_sought, 32, FTW_PHYS) > 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        if (type == FTW_DP && is_ours(path))
                (void)rmdir(path);
        return 0;
}

void groups_remove_ours(void)
{
        (void)nftw(options.root, remove_one, 32, FTW_PHYS | FTW_DEPTH);
}

/* `file` NULL: makes the group ("text" NULL) */
int group_write(const char *path, const char *file, const char *text)
{
        _cleanup_(closep) int fd = -EBADF;
        char full[4096];

        full_path(full, sizeof(full), path, file);
        if (!file)
                return mkdir(full, 0755) < 0 ? -errno : 0;
        fd = open(full, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}
