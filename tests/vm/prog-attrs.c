/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attribute table and the group functions against a real kernel: prog-attrs CHECK, see checks[]
 * below. */

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <chargehand/probe.h>
#include <chargehand/tree.h>

#include "error.h"
#include "group.h"
#include "util.h"
#include "value.h"

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        fail(__LINE__, #condition);                                                \
        } while (0)

static ch_tree *tree;
static ch_error *error;

static void fail(int line, const char *text)
{
        printf("FAIL: line %d: %s (last error: %s: %s)\n", line, text, ch_error_get_path(error),
               ch_error_get_cause(error));
        exit(1);
}

static ch_error **fresh_error(void)
{
        ch_error_free(error);
        error = NULL;
        return &error;
}

static int cause_has(const char *part)
{
        return strstr(ch_error_get_cause(error), part) != NULL;
}

static ch_group *create(const char *path, uint64_t flags)
{
        ch_group *group = NULL;

        CHECK(ch_tree_create_group(tree, path, flags | CH_CREATE_PARENTS | CH_CREATE_EXIST_OK,
                                   &group, fresh_error()) >= 0);
        return group;
}

static ch_setting setting(const char *name, const char *text)
{
        ch_setting s = { .attr = ch_attr_find(name) };

        CHECK(ch_value_parse_human(s.attr, text, &s.value, fresh_error()) == 0);
        return s;
}

static int file_is(ch_group *group, const char *file, const char *want)
{
        _cleanup_(freep) char *text = NULL;
        int same;

        CHECK(ch_group_read_file(group, file, &text, NULL, fresh_error()) == 0);
        text[strcspn(text, "\n")] = '\0';
        same = streq(text, want);
        if (!same)
                printf("%s is '%s', not '%s'\n", file, text, want);
        return same;
}

static unsigned version_of(const char *text)
{
        unsigned major = 0, minor = 0;

        (void)sscanf(text, "%u.%u", &major, &minor);
        return major * 1000 + minor;
}

/* Files that Debian's cloud kernels do without, and why. */
static const struct {
        const char *prefix, *reason;
} absent_rows[] = {
        { "cpu.uclamp.", "CONFIG_UCLAMP_TASK_GROUP is off" },
        { "io.latency", "CONFIG_BLK_CGROUP_IOLATENCY is off" },
        { "io.prio.class", "CONFIG_BLK_CGROUP_IOPRIO is off" },
        { "io.bfq.weight", "the bfq scheduler is a module" },
        { "irq.pressure", "CONFIG_IRQ_TIME_ACCOUNTING is off" },
        { "memory.zswap.", "CONFIG_ZSWAP is off" },
        { "dmem.", "CONFIG_CGROUP_DMEM is off" },
};

static const char *absent_reason(const ch_attr *attr)
{
        struct utsname name;

        (void)uname(&name);
        if (version_of(attr->since) > version_of(name.release))
                return "newer than this kernel";
        for (size_t i = 0; i < ELEMENTSOF(absent_rows); i++)
                if (strncmp(attr->file, absent_rows[i].prefix, strlen(absent_rows[i].prefix)) == 0)
                        return absent_rows[i].reason;
        return NULL;
}

/* Reads, parses, formats and parses again; 0 if the file is absent for a reason that is known. */
static int check_row(ch_group *group, const ch_attr *attr)
{
        ch_value value = CH_VALUE_INIT, again = CH_VALUE_INIT;
        struct utsname name;
        char *text = NULL;
        int r = ch_group_read(group, attr, &value, fresh_error());

        if (r == -EOPNOTSUPP) {
                const char *reason = absent_reason(attr);

                printf("%-36s absent: %s\n", attr->file,
                       reason ? reason : ch_error_get_cause(error));
                CHECK(reason);
                return 0;
        }
        CHECK(r == 0);
        (void)uname(&name);
        CHECK(version_of(attr->since) <= version_of(name.release));
        CHECK(ch_value_format(attr, &value, &text) == 0);
        CHECK(ch_value_parse(attr, text, &again, fresh_error()) == 0);
        CHECK(ch_value_equal(&value, &again));
        /* what a fresh group has must be a value that one may write */
        if (attr->access == CH_ACCESS_RW &&
            !(attr->flags & (CH_ATTR_PLACEMENT | CH_ATTR_ROOT_ONLY)))
                CHECK(ch_value_check(attr, &value, fresh_error()) == 0);
        free(text);
        ch_value_done(&value);
        ch_value_done(&again);
        return 1;
}

static int fits_template(const char *file)
{
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const char *template = ch_attr_get(i)->file, *percent = strstr(template, "%s");
                size_t length = strlen(file), after = percent ? strlen(percent + 2) : 0;

                if (percent && strncmp(file, template, (size_t)(percent - template)) == 0 &&
                    length > after && streq(file + length - after, percent + 2))
                        return 1;
        }
        return 0;
}

/* The other way round: no file of the kernel is missing from the table. */
static void check_no_unknown_files(ch_group *group)
{
        DIR *dir =
                fdopendir(openat(ch_group_get_fd(group), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct dirent *entry;
        int n_unknown = 0;

        CHECK(dir);
        while ((entry = readdir(dir))) {
                if (entry->d_type != DT_REG || ch_attr_find(entry->d_name) ||
                    fits_template(entry->d_name))
                        continue;
                printf("%s/%s is not in the table\n", ch_group_get_path(group), entry->d_name);
                n_unknown++;
        }
        (void)closedir(dir);
        CHECK(n_unknown == 0);
}

static void check_table(void)
{
        ch_group *group = create("/attrs/child", CH_CREATE_CONTROLLERS), *root = NULL;
        int n = 0, n_present = 0;

        CHECK(ch_tree_open_group(tree, "/", &root, fresh_error()) == 0);
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);

                n++;
                if (attr->access == CH_ACCESS_W)
                        n_present += faccessat(ch_group_get_fd(group), attr->file, W_OK, 0) == 0;
                else
                        n_present +=
                                check_row(attr->flags & CH_ATTR_ROOT_ONLY ? root : group, attr);
        }
        printf("%d of %d attributes are here\n", n_present, n);
        CHECK(n_present >= 55);
        check_no_unknown_files(group);
        check_no_unknown_files(root);
        ch_group_unref(group);
        ch_group_unref(root);
}

/* All or nothing: the third write is refused by the kernel, not by the table. */
static void check_rollback(void)
{
        ch_group *group = create("/attrs/child", CH_CREATE_CONTROLLERS);
        ch_setting bad[] = {
                setting("MemoryHigh", "512M"), setting("CPUMax", "50%"),
                setting("TasksMax", "77"),     setting("AllowedCPUs", "0-9999"),
                setting("CPUWeight", "7"),
        };
        ch_setting good[] = { bad[0], bad[1], bad[2] };

        CHECK(ch_group_write_all(group, bad, ELEMENTSOF(bad), fresh_error()) < 0);
        printf("%s\n", ch_error_get_cause(error));
        CHECK(ch_error_get_kind(error) == CH_ERROR_BAD_VALUE);
        CHECK(cause_has("AllowedCPUs") && cause_has("0-9999") && cause_has("put back"));
        CHECK(file_is(group, "memory.high", "max") && file_is(group, "cpu.max", "max 100000"));
        CHECK(file_is(group, "pids.max", "max") && file_is(group, "cpu.weight", "100"));

        CHECK(ch_group_write_all(group, good, ELEMENTSOF(good), fresh_error()) == 3);
        CHECK(file_is(group, "memory.high", "536870912") &&
              file_is(group, "cpu.max", "50000 100000"));
        CHECK(ch_group_write_all(group, good, ELEMENTSOF(good), fresh_error()) == 0);
        CHECK(ch_group_write(group, good[0].attr, &good[0].value, 1, fresh_error()) == 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ch_value_done(&bad[i].value);
        ch_group_unref(group);
}

/* "259:0" of the first disk. */
static void find_disk(char *buffer, size_t size)
{
        DIR *dir = opendir("/sys/block");
        struct dirent *entry;

        CHECK(dir);
        while ((entry = readdir(dir))) {
                _cleanup_(freep) char *text = NULL;
                char path[300];

                snprintf(path, sizeof(path), "/sys/block/%s/dev", entry->d_name);
                if (strncmp(entry->d_name, "nvme", 4) != 0 ||
                    read_file_at(AT_FDCWD, path, 64, &text, NULL) < 0)
                        continue;
                snprintf(buffer, size, "%.*s", (int)strcspn(text, "\n"), text);
                break;
        }
        (void)closedir(dir);
        CHECK(*buffer);
}

/* io.max takes one device at a time; what is put back is "no limit". */
static void check_keyed(void)
{
        ch_group *group = create("/attrs/child", CH_CREATE_CONTROLLERS);
        char disk[32] = "", text[128], want[128];
        ch_setting settings[2];

        find_disk(disk, sizeof(disk));
        snprintf(text, sizeof(text), "%s rbps=1M wiops=120", disk);
        settings[0] = setting("IOMax", text);
        settings[1] = setting("AllowedCPUs", "0-9999");
        CHECK(ch_group_write_all(group, settings, 2, fresh_error()) < 0);
        CHECK(file_is(group, "io.max", ""));
        CHECK(ch_group_write_all(group, settings, 1, fresh_error()) == 1);
        snprintf(want, sizeof(want), "%s rbps=1048576 wbps=max riops=max wiops=120", disk);
        CHECK(file_is(group, "io.max", want));
        CHECK(ch_group_write_all(group, settings, 1, fresh_error()) == 0);

        ch_value_done(&settings[0].value);
        settings[0] = setting("IOMax", "4095:7 rbps=1M");
        CHECK(ch_group_write_all(group, settings, 1, fresh_error()) == -EINVAL);
        CHECK(cause_has("no such device"));
        ch_value_done(&settings[0].value);
        ch_value_done(&settings[1].value);
        ch_group_unref(group);
}

static void check_id(void)
{
        ch_group *group = create("/attrs/by/id", 0), *again = NULL, *self = NULL;
        uint64_t id = ch_group_get_id(group), file_id;
        ch_tree *part = NULL;
        struct stat st;

        CHECK(ch_tree_open_group_by_id(tree, id, &again, fresh_error()) == 0);
        CHECK(streq(ch_group_get_path(again), "/attrs/by/id") && ch_group_get_id(again) == id);
        again = ch_group_unref(again);

        /* a tree that is a part of the hierarchy: its own paths, and nothing from outside */
        CHECK(ch_tree_open("/sys/fs/cgroup/attrs/by", 0, &part, fresh_error()) == 0);
        CHECK(streq(ch_tree_get_prefix(part), "/attrs/by"));
        CHECK(ch_tree_open_group_by_id(part, id, &again, fresh_error()) == 0);
        CHECK(streq(ch_group_get_path(again), "/id"));
        again = ch_group_unref(again);
        CHECK(fstat(ch_tree_get_fd(tree), &st) == 0);
        CHECK(ch_tree_open_group_by_id(part, st.st_ino, &again, fresh_error()) == -ENODEV);
        CHECK(ch_tree_open_group_of_pid(part, getpid(), &self, fresh_error()) == -EXDEV);
        CHECK(cause_has("outside /sys/fs/cgroup/attrs/by"));

        CHECK(fstatat(ch_group_get_fd(group), "cgroup.procs", &st, 0) == 0);
        file_id = st.st_ino;
        CHECK(ch_tree_open_group_by_id(tree, file_id, &again, fresh_error()) == -ENODEV);
        CHECK(ch_tree_remove_group(tree, "/attrs/by/id", 0, fresh_error()) == 0);
        CHECK(ch_tree_open_group_by_id(tree, id, &again, fresh_error()) == -ENODEV);
        CHECK(ch_tree_open_group_by_id(tree, 987654321987, &again, fresh_error()) == -ENODEV);
        CHECK(ch_error_get_kind(error) == CH_ERROR_NO_SUCH_GROUP);
        ch_group_unref(group);
        ch_tree_unref(part);
}

static void check_gone(void)
{
        ch_group *group = create("/attrs/gone", CH_CREATE_CONTROLLERS), *other = NULL;
        ch_setting change = setting("MemoryMax", "1G");
        ch_value value = CH_VALUE_INIT;
        ch_group_state state;
        pid_t *pids = NULL;
        char *text = NULL;
        size_t n;

        CHECK(ch_tree_remove_group(tree, "/attrs/gone", 0, fresh_error()) == 0);
        for (size_t i = 0; i < ch_attr_count(); i++) {
                const ch_attr *attr = ch_attr_get(i);

                if (attr->access == CH_ACCESS_W)
                        continue;
                CHECK(ch_group_read(group, attr, &value, fresh_error()) == -ENODEV);
                CHECK(ch_error_get_kind(error) == CH_ERROR_NO_SUCH_GROUP);
        }
        CHECK(ch_group_write(group, change.attr, &change.value, 0, fresh_error()) == -ENODEV);
        CHECK(ch_error_get_kind(error) == CH_ERROR_NO_SUCH_GROUP);
        CHECK(ch_group_write_all(group, &change, 1, fresh_error()) == -ENODEV);
        CHECK(ch_group_write_file(group, "cgroup.procs", "0", fresh_error()) == -ENODEV);
        CHECK(ch_group_read_file(group, "cgroup.procs", &text, NULL, fresh_error()) == -ENODEV);
        CHECK(ch_group_read_procs(group, &pids, &n, fresh_error()) == -ENODEV);
        CHECK(ch_group_read_state(group, &state, fresh_error()) == -ENODEV);
        CHECK(ch_group_enable_controller(group, "memory", fresh_error()) >=
              0); /* its parents are there */
        CHECK(ch_tree_open_group(tree, "/attrs/gone", &other, fresh_error()) == -ENODEV);
        CHECK(ch_tree_remove_group(tree, "/attrs/gone", 0, fresh_error()) == -ENODEV);
        CHECK(ch_error_get_kind(error) == CH_ERROR_NO_SUCH_GROUP);

        /* the same name again is another group */
        other = create("/attrs/gone", CH_CREATE_CONTROLLERS);
        CHECK(ch_group_read(group, change.attr, &value, fresh_error()) == -ENODEV);
        CHECK(ch_group_get_id(other) != ch_group_get_id(group));
        ch_value_done(&change.value);
        ch_group_unref(group);
        ch_group_unref(other);
}

/* The half that could be made before the limit was met is removed again. */
static void check_limits(void)
{
        ch_group *group = create("/attrs/limits", 0);

        CHECK(ch_group_write_file(group, "cgroup.max.depth", "2", fresh_error()) == 0);
        CHECK(ch_tree_create_group(tree, "/attrs/limits/a/b/c/d", CH_CREATE_PARENTS, NULL,
                                   fresh_error()) == -EAGAIN);
        CHECK(cause_has("cgroup.max.depth of /attrs/limits"));
        CHECK(faccessat(ch_group_get_fd(group), "a", F_OK, 0) < 0);
        CHECK(ch_group_write_file(group, "cgroup.max.depth", "max", fresh_error()) == 0);
        CHECK(ch_group_write_file(group, "cgroup.max.descendants", "1", fresh_error()) == 0);
        CHECK(ch_tree_create_group(tree, "/attrs/limits/a/b", CH_CREATE_PARENTS, NULL,
                                   fresh_error()) == -EAGAIN);
        CHECK(cause_has("cgroup.max.descendants of /attrs/limits"));
        CHECK(faccessat(ch_group_get_fd(group), "a", F_OK, 0) < 0);
        ch_group_unref(group);
}

static void check_controllers(void)
{
        ch_group *group = create("/attrs/off/child", 0), *parent = NULL;
        ch_value value = CH_VALUE_INIT;
        ch_group_state state;

        CHECK(ch_group_read(group, ch_attr_find("MemoryMax"), &value, fresh_error()) ==
              -EOPNOTSUPP);
        CHECK(ch_error_get_kind(error) == CH_ERROR_CONTROLLER_OFF);
        printf("%s\n", ch_error_get_cause(error));
        CHECK(cause_has("write +memory to /attrs/off/cgroup.subtree_control") ||
              cause_has("write +memory to /attrs/cgroup.subtree_control"));
        CHECK(ch_group_enable_controller(group, "memory", fresh_error()) == 0);
        CHECK(ch_group_read(group, ch_attr_find("MemoryMax"), &value, fresh_error()) == 0);
        CHECK(ch_group_enable_controller(group, "nonesuch", fresh_error()) == -EOPNOTSUPP);
        CHECK(cause_has("'nonesuch' is not available"));

        /* a group with processes of its own cannot enable a domain controller */
        CHECK(ch_tree_open_group(tree, "/attrs/off/child", &parent, fresh_error()) == 0);
        CHECK(ch_group_write_file(parent, "cgroup.procs", "0", fresh_error()) == 0);
        CHECK(ch_group_read_state(parent, &state, fresh_error()) == 0);
        CHECK(state.populated && !state.is_root && !state.has_children);
        ch_group_state_done(&state);
        ch_group_unref(group);
        group = create("/attrs/off/child/leaf", 0);
        CHECK(ch_group_enable_controller(group, "memory", fresh_error()) == -EBUSY);
        CHECK(cause_has("processes of its own"));
        printf("%s\n", ch_error_get_cause(error));
        CHECK(ch_tree_remove_group(tree, "/attrs/off", CH_REMOVE_RECURSIVE, fresh_error()) ==
              -EBUSY);
        CHECK(cause_has("processes are left"));
        CHECK(ch_tree_remove_group(tree, "/attrs/off/child", 0, fresh_error()) == -EBUSY);
        CHECK(cause_has("1 process is left in it"));
        ch_group_unref(group);
        ch_group_unref(parent);
}

/* The same mount, read-only: every write says so. */
static void check_read_only(void)
{
        ch_setting change = setting("MemoryMax", "1G");
        ch_group *group = NULL;
        ch_tree *ro = NULL;

        (void)mkdir("ro", 0755);
        CHECK(mount("/sys/fs/cgroup", "ro", NULL, MS_BIND, NULL) == 0);
        CHECK(mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
        group = create("/attrs/child", CH_CREATE_CONTROLLERS);
        ch_group_unref(group);
        _cleanup_(freep) char *path = realpath("ro", NULL);
        CHECK(ch_tree_open(path, 0, &ro, fresh_error()) == 0);
        CHECK(ch_tree_open_group(ro, "/attrs/child", &group, fresh_error()) == 0);
        CHECK(ch_tree_create_group(ro, "/attrs/no", 0, NULL, fresh_error()) == -EROFS);
        CHECK(cause_has("mounted read-only") && ch_error_get_kind(error) == CH_ERROR_READ_ONLY);
        CHECK(ch_tree_remove_group(ro, "/attrs/child", 0, fresh_error()) == -EROFS);
        CHECK(cause_has("mounted read-only"));
        CHECK(ch_group_write(group, change.attr, &change.value, 0, fresh_error()) == -EROFS);
        CHECK(cause_has("mounted read-only"));
        CHECK(ch_group_write_all(group, &change, 1, fresh_error()) == -EROFS);
        CHECK(ch_group_write_file(group, "cgroup.procs", "0", fresh_error()) == -EROFS);
        ch_value_done(&change.value);
        ch_group_unref(group);
        ch_tree_unref(ro);
        CHECK(umount("ro") == 0);
}

static int count(const ch_walk_entry *entry, void *userdata)
{
        struct stat st;

        CHECK(fstat(entry->fd, &st) == 0 && st.st_ino == entry->id);
        (*(int *)userdata)++;
        return 0;
}

static void check_walk(void)
{
        char path[64];
        int n = 0;

        for (int i = 0; i < 50; i++) {
                snprintf(path, sizeof(path), "/attrs/walk/%d/x", i);
                ch_group_unref(create(path, 0));
        }
        CHECK(ch_tree_walk(tree, "/attrs/walk", count, &n, fresh_error()) == 0);
        CHECK(n == 101);
        CHECK(ch_tree_remove_group(tree, "/attrs/walk", 0, fresh_error()) == -EBUSY);
        CHECK(ch_tree_remove_group(tree, "/attrs/walk", CH_REMOVE_RECURSIVE, fresh_error()) == 0);
        CHECK(ch_tree_walk(tree, "/attrs/walk", count, &n, fresh_error()) == -ENODEV);
}

/* Groups that come and go as fast as they can, for as long as the parent lives. */
static void be_storm(void)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0;; i++) {
                char path[64];

                snprintf(path, sizeof(path), "/attrs/storm/%u/below", i % 7);
                CHECK(ch_tree_create_group(tree, path, CH_CREATE_PARENTS, NULL, fresh_error()) == 1);
                *strrchr(path, '/') = '\0';
                CHECK(ch_tree_remove_group(tree, path, CH_REMOVE_RECURSIVE, fresh_error()) == 0);
        }
}

typedef struct Storm {
        int n_stable, n_read, n_gone;
} Storm;

/* A group is there or it is gone: there is no third result. */
static int read_in_storm(const ch_walk_entry *entry, void *userdata)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        _cleanup_(value_donep) ch_value value = CH_VALUE_INIT;
        ch_group_state state = { 0 };
        Storm *storm = userdata;
        int r;

        storm->n_stable += strstr(entry->path, "stable") != NULL;
        r = storm->n_read % 2 ? ch_tree_open_group(tree, entry->path, &group, fresh_error())
                              : ch_tree_open_group_by_id(tree, entry->id, &group, fresh_error());
        storm->n_read++;
        if (r >= 0)
                r = ch_group_read(group, ch_attr_find("MemoryStat"), &value, fresh_error());
        if (r >= 0)
                r = ch_group_read_state(group, &state, fresh_error());
        ch_group_state_done(&state);
        /* before its controllers are on, a new group has no memory.stat */
        CHECK(r >= 0 || r == -ENODEV || (r == -EOPNOTSUPP && !strstr(entry->path, "stable")));
        storm->n_gone += r == -ENODEV;
        return 0;
}

static void check_storm(void)
{
        Storm storm = { 0 };
        pid_t pid;

        for (int i = 0; i < 20; i++) {
                char path[64];

                snprintf(path, sizeof(path), "/attrs/storm/stable%d", i);
                ch_group_unref(create(path, CH_CREATE_CONTROLLERS));
        }
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                be_storm();
        for (int i = 0; i < 50; i++)
                CHECK(ch_tree_walk(tree, "/attrs/storm", read_in_storm, &storm, fresh_error()) == 0);
        CHECK(waitpid(pid, NULL, WNOHANG) == 0);
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        printf("%d groups read, %d gone meanwhile\n", storm.n_read, storm.n_gone);
        CHECK(storm.n_stable == 20 * 50);
}

static uint64_t read_number(ch_group *group, const char *name)
{
        ch_value value = CH_VALUE_INIT;

        CHECK(ch_group_read(group, ch_attr_find(name), &value, fresh_error()) == 0);
        return value.number;
}

/* A child in the group with so much memory, that sleeps. */
static pid_t start_child(ch_group *group, size_t bytes)
{
        int ready[2];
        char byte;
        pid_t pid;

        CHECK(pipe2(ready, O_CLOEXEC) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                char *memory;

                CHECK(ch_group_write_file(group, "cgroup.procs", "0", fresh_error()) == 0);
                memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
                CHECK(memory != MAP_FAILED && write(ready[1], "", 1) == 1);
                for (;;)
                        pause();
        }
        CHECK(read(ready[0], &byte, 1) == 1);
        (void)close(ready[0]);
        (void)close(ready[1]);
        return pid;
}

/* A lower memory.high reclaims within the write; with O_NONBLOCK not, from Linux 6.16 on. */
static void check_nonblock(void)
{
        ch_group *group = create("/attrs/nonblock", CH_CREATE_CONTROLLERS);
        ch_setting low = setting("MemoryHigh", "8M");
        pid_t pid = start_child(group, 64 << 20);
        struct utsname name;
        uint64_t before = read_number(group, "MemoryCurrent");

        (void)uname(&name);
        CHECK(before >= 64 << 20);
        CHECK(ch_group_write(group, low.attr, &low.value, 1, fresh_error()) == 0);
        printf("memory.current %llu → %llu\n", (unsigned long long)before,
               (unsigned long long)read_number(group, "MemoryCurrent"));
        if (version_of(name.release) >= 6016)
                CHECK(read_number(group, "MemoryCurrent") >= before / 100 * 95);
        else
                CHECK(read_number(group, "MemoryCurrent") < before / 2);
        CHECK(ch_group_write(group, low.attr, &low.value, 0, fresh_error()) == 0);
        CHECK(read_number(group, "MemoryCurrent") < before / 2);
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        ch_value_done(&low.value);
        ch_group_unref(group);
}

/* Nobody in particular: what is not theirs is refused in words, an id is found by searching. */
static void check_unprivileged(void)
{
        ch_group *group = create("/attrs/theirs", CH_CREATE_CONTROLLERS), *again = NULL;
        ch_setting change = setting("MemoryMax", "1G");
        ch_probe probe;

        CHECK(seteuid(65534) == 0);
        CHECK(ch_tree_create_group(tree, "/attrs/mine", 0, NULL, fresh_error()) == -EACCES);
        CHECK(cause_has("not writable") && ch_error_get_kind(error) == CH_ERROR_NOT_PERMITTED);
        CHECK(ch_group_write(group, change.attr, &change.value, 0, fresh_error()) == -EACCES);
        CHECK(cause_has("memory.max may not be accessed by this user"));
        CHECK(ch_group_write_all(group, &change, 1, fresh_error()) == -EACCES);
        CHECK(ch_tree_remove_group(tree, "/attrs/theirs", 0, fresh_error()) < 0);
        CHECK(ch_error_get_kind(error) == CH_ERROR_NOT_PERMITTED);
        CHECK(ch_group_enable_controller(group, "memory", fresh_error()) >= 0); /* it is enabled */
        CHECK(ch_tree_open_group_by_id(tree, ch_group_get_id(group), &again, fresh_error()) == 0);
        CHECK(streq(ch_group_get_path(again), "/attrs/theirs"));
        CHECK(ch_probe_run(tree, &probe) == 0);
        CHECK(!ch_probe_has(&probe, CH_FEATURE_PAGEMAP) &&
              !ch_probe_has(&probe, CH_FEATURE_KPAGECGROUP) &&
              !ch_probe_has(&probe, CH_FEATURE_COLLAPSE));
        CHECK(seteuid(0) == 0);
        ch_value_done(&change.value);
        ch_group_unref(again);
        ch_group_unref(group);
}

/* In a cgroup namespace: a mount made inside counts from its root, one from outside cannot be told. */
static void check_namespace(void)
{
        _cleanup_(freep) char *point = NULL;
        _cleanup_(freep) char *path = NULL;
        ch_group *group = create("/attrs/ns/inner", 0), *self = NULL;
        ch_tree *inner = NULL;

        CHECK(ch_group_write_file(group, "cgroup.procs", "0", fresh_error()) == 0);
        ch_group_unref(group);
        CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(ch_tree_open("/sys/fs/cgroup", 0, &inner, fresh_error()) == 0);
        CHECK(ch_tree_path_of_pid(inner, getpid(), &path, fresh_error()) == -EXDEV);
        CHECK(cause_has("outside of this cgroup namespace"));
        inner = ch_tree_unref(inner);

        (void)mkdir("ns", 0755);
        CHECK(mount("none", "ns", "cgroup2", 0, NULL) == 0);
        point = realpath("ns", NULL);
        CHECK(ch_tree_open(point, 0, &inner, fresh_error()) == 0);
        CHECK(streq(ch_tree_get_prefix(inner), ""));
        CHECK(ch_tree_open_group_of_pid(inner, getpid(), &self, fresh_error()) == 0);
        CHECK(streq(ch_group_get_path(self), "/"));
        CHECK(ch_tree_path_of_pid(inner, getppid(), &path, fresh_error()) == -EXDEV);
        CHECK(ch_tree_create_group(inner, "/below", 0, NULL, fresh_error()) == 1);
        CHECK(ch_tree_open_group(tree, "/attrs/ns/inner/below", &group, fresh_error()) == 0);
        ch_group_unref(group);
        ch_group_unref(self);
        ch_tree_unref(inner);
}

/* What the cases of this kernel count on; the rest is printed. */
static void check_probe(void)
{
        static const ch_feature must[] = {
                CH_FEATURE_CGROUP2,       CH_FEATURE_MEMCG,   CH_FEATURE_CGROUP_KILL,
                CH_FEATURE_PIDFD,         CH_FEATURE_OPENAT2, CH_FEATURE_PAGEMAP,
                CH_FEATURE_KPAGECGROUP,   CH_FEATURE_KCMP,    CH_FEATURE_COLLAPSE,
                CH_FEATURE_PAGEOUT,       CH_FEATURE_SWAP,    CH_FEATURE_RECLAIM,
                CH_FEATURE_PROC_CHILDREN,
        };
        ch_probe probe;

        CHECK(ch_probe_run(tree, &probe) == 0);
        for (int i = 0; i < CH_FEATURE_MAX_; i++)
                printf("%-16s %s\n", ch_feature_to_name((ch_feature)i),
                       ch_probe_has(&probe, (ch_feature)i) ? "yes" : "no");
        for (size_t i = 0; i < ELEMENTSOF(must); i++)
                CHECK(ch_probe_has(&probe, must[i]));
        CHECK(ch_probe_has(&probe, CH_FEATURE_PAGEMAP_SCAN) == (version_of(probe.kernel) >= 6007));
        CHECK(probe.huge_page_bytes == 2 << 20);
}

/* "open-fails TEXT": there is no hierarchy to open, and the cause says TEXT. */
static int check_open_fails(const char *text)
{
        CHECK(ch_tree_open(NULL, 0, &tree, fresh_error()) == -ENODEV);
        printf("%s\n", ch_error_get_cause(error));
        CHECK(cause_has(text) && cause_has("mount -t cgroup2 none /sys/fs/cgroup"));
        return 0;
}

static const struct {
        const char *name;
        void (*check)(void);
} checks[] = {
        { "table", check_table },
        { "rollback", check_rollback },
        { "keyed", check_keyed },
        { "id", check_id },
        { "gone", check_gone },
        { "limits", check_limits },
        { "controllers", check_controllers },
        { "read-only", check_read_only },
        { "walk", check_walk },
        { "probe", check_probe },
        { "nonblock", check_nonblock },
        { "unprivileged", check_unprivileged },
        { "storm", check_storm },
        { "namespace", check_namespace },
};

int main(int argc, char **argv)
{
        setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc == 3 && streq(argv[1], "open-fails"))
                return check_open_fails(argv[2]);
        if (ch_tree_open(NULL, 0, &tree, &error) < 0)
                fail(__LINE__, "open");
        for (size_t i = 0; i < ELEMENTSOF(checks); i++)
                if (argc < 2 || streq(argv[1], checks[i].name)) {
                        printf("-- %s\n", checks[i].name);
                        checks[i].check();
                }
        fresh_error();
        ch_tree_unref(tree);
        return 0;
}
