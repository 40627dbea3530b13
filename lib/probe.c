/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this kernel and this caller can do, found by trying. */

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <chargehand/probe.h>
#include <json-c/json.h>

#include "group.h"
#include "mount.h"
#include "util.h"

/* Newer than the headers of Debian 12. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

typedef int (*ProbeFunc)(ch_tree *tree);

static int file_readable(const char *path, size_t bytes)
{
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint64_t buffer;

        return fd >= 0 && (bytes == 0 || pread(fd, &buffer, bytes, 0) == (ssize_t)bytes);
}

static int probe_cgroup2(ch_tree *tree)
{
        _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };

        return cgroup_mount_find(NULL, NULL, &mount) >= 0;
}

/* The words of the root's cgroup.controllers; without a tree, of the mount found. */
static int probe_memcg(ch_tree *tree)
{
        _cleanup_(ch_tree_unrefp) ch_tree *own = NULL;
        _cleanup_(freep) char *words = NULL;

        if (!tree && ch_tree_open(NULL, CH_TREE_READ_ONLY, &own, NULL) < 0)
                return 0;
        return tree_read_file(tree ? tree : own, "/", "cgroup.controllers", &words) >= 0 &&
               words_contain(words, "memory");
}

typedef struct FileSearch {
        const char *name;
        int found;
} FileSearch;

static int find_file(const ch_walk_entry *entry, void *userdata)
{
        FileSearch *search = userdata;

        if (faccessat(entry->fd, search->name, F_OK, 0) == 0) {
                search->found = 1;
                return -ECANCELED;
        }
        return 0;
}

/* The root has few files: the first group that has it will do. In an empty hierarchy it is not
 * known; a kernel with cgroup.pressure or a later file of the core is not asked, as nothing depends
 * on such a group. */
static int file_in_any_group(ch_tree *tree, const char *name)
{
        _cleanup_(ch_tree_unrefp) ch_tree *own = NULL;
        FileSearch search = { .name = name };

        if (!tree && ch_tree_open(NULL, CH_TREE_READ_ONLY, &own, NULL) < 0)
                return 0;
        (void)ch_tree_walk(tree ? tree : own, "/", find_file, &search, NULL);
        return search.found;
}

static int kernel_at_least(unsigned want_major, unsigned want_minor)
{
        struct utsname name;
        unsigned major, minor;

        if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
                return 0;
        return major > want_major || (major == want_major && minor >= want_minor);
}

/* Without any group below the root the release is all there is to go by. */
static int probe_cgroup_kill(ch_tree *tree)
{
        return file_in_any_group(tree, "cgroup.kill") ||
               (probe_cgroup2(tree) && kernel_at_least(5, 14));
}

static int probe_reclaim(ch_tree *tree)
{
        return file_in_any_group(tree, "memory.reclaim") ||
               (probe_memcg(tree) && kernel_at_least(5, 19));
}

static int open_own_pidfd(void)
{
        return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int probe_pidfd(ch_tree *tree)
{
        _cleanup_(closep) int fd = open_own_pidfd();

        return fd >= 0;
}

static int probe_openat2(ch_tree *tree)
{
        _cleanup_(closep) int fd = open_beneath(AT_FDCWD, ".", O_PATH);

        return fd != -ENOSYS;
}

/* A page of our own that is resident, or MAP_FAILED. */
static char *map_page(size_t bytes)
{
        char *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page != MAP_FAILED)
                *(volatile char *)page = 1;
        return page;
}

/* Anyone may read the file, but without CAP_SYS_ADMIN page frame numbers read 0: looks at a
 * resident page. */
static int probe_pagemap(ch_tree *tree)
{
        size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
        _cleanup_(closep) int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        char *page = map_page(page_bytes);
        uint64_t entry = 0;
        ssize_t n = -1;

        if (page == MAP_FAILED)
                return 0;
        if (fd >= 0)
                n = pread(fd, &entry, sizeof(entry),
                          (off_t)((uintptr_t)page / page_bytes * sizeof(entry)));
        (void)munmap(page, page_bytes);
        return n == sizeof(entry) && (entry & ((1ULL << 55) - 1)) != 0;
}

static int probe_kpagecgroup(ch_tree *tree)
{
        return file_readable("/proc/kpagecgroup", sizeof(uint64_t));
}

/* Layout of the kernel's struct pm_scan_arg (6.7), not in the headers of Debian 12. */
struct scan_arg {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

static int probe_pagemap_scan(ch_tree *tree)
{
        enum { PAGE_IS_PRESENT_BIT = 1 << 3 };
        size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
        _cleanup_(closep) int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        char *page = map_page(page_bytes);
        uint64_t region[3];
        struct scan_arg arg = {
                .size = sizeof(arg),
                .start = (uintptr_t)page,
                .end = (uintptr_t)page + page_bytes,
                .vec = (uintptr_t)region,
                .vec_len = 1,
                .category_mask = PAGE_IS_PRESENT_BIT,
                .return_mask = PAGE_IS_PRESENT_BIT,
        };
        int n;

        if (page == MAP_FAILED)
                return 0;
        n = fd < 0 ? -1 : ioctl(fd, _IOWR('f', 16, struct scan_arg), &arg);
        (void)munmap(page, page_bytes);
        return n == 1;
}

static int probe_kcmp(ch_tree *tree)
{
        return syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) == 0;
}

/* Effective, as the kernel asks for on the address space of another process. */
static int has_sys_nice(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { 0 };

        return syscall(SYS_capget, &header, data) == 0 && (data[0].effective >> CAP_SYS_NICE & 1);
}

/*
 * Tried on nothing, so that nothing happens. madvise() looks at the advice before it looks at an
 * empty range; EINVAL is therefore "unknown advice". process_madvise() takes fewer kinds of advice
 * than madvise() and is asked with an empty list; from 6.13 on it takes all of them for the caller
 * itself.
 */
static int knows_advice(int advice)
{
        _cleanup_(closep) int fd = open_own_pidfd();
        struct iovec none = { 0 };

        return fd >= 0 && has_sys_nice() && madvise(NULL, 0, advice) == 0 &&
               syscall(SYS_process_madvise, fd, &none, 0UL, advice, 0U) >= 0;
}

static int probe_collapse(ch_tree *tree)
{
        return file_readable("/sys/kernel/mm/transparent_hugepage/enabled", 0) &&
               knows_advice(MADV_COLLAPSE);
}

static int probe_pageout(ch_tree *tree)
{
        return knows_advice(MADV_PAGEOUT);
}

static int probe_swap(ch_tree *tree)
{
        _cleanup_(freep) char *text = NULL;
        char *newline;

        if (read_file_at(AT_FDCWD, "/proc/swaps", 1 << 20, &text, NULL) < 0)
                return 0;
        newline = strchr(text, '\n'); /* behind the headline */
        return newline && newline[1] != '\0';
}

static int probe_favordynmods(ch_tree *tree)
{
        _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };

        return cgroup_mount_find(NULL, tree ? tree->real_root : NULL, &mount) >= 0 &&
               strstr(mount.options, "favordynmods") != NULL;
}

static int probe_proc_children(ch_tree *tree)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
        return file_readable(path, 0);
}

static pid_t clone_into(int group_fd)
{
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t)group_fd,
        };

        return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* A kernel that knows the flag looks at the fd, which nobody has. */
static int probe_clone_into(ch_tree *tree)
{
        return clone_into(INT_MAX) < 0 && errno == EBADF;
}

/* Does a child in the killed group live long enough to end by itself? */
static int survives_in(int group_fd)
{
        int status = 0;
        pid_t pid = clone_into(group_fd);

        if (pid == 0)
                _exit(0);
        while (pid > 0 && waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return 0;
        return pid > 0 && WIFEXITED(status);
}

static int probe_clone_killed(ch_tree *tree)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        char path[64];
        int r = 1;

        if (!tree || (tree->flags & (CH_TREE_READ_ONLY | CH_TREE_ANY_FS)))
                return 0;
        (void)snprintf(path, sizeof(path), "/chargehand-probe-%d", (int)getpid());
        if (ch_tree_create_group(tree, path, 0, &group, NULL) < 0)
                return 0;
        /* the flaw compares with our own group, which may have seen one kill too, but not both one
         * and two */
        for (int i = 0; r && i < 2; i++)
                r = ch_group_write_file(group, "cgroup.kill", "1", NULL) >= 0 &&
                    survives_in(ch_group_get_fd(group));
        (void)ch_tree_remove_group(tree, path, 0, NULL);
        return r;
}

static const struct {
        const char *name;
        const char *advice;
} features[] = {
#define ROW(id, word, text) [CH_FEATURE_##id] = { .name = word, .advice = text },
        CH_FEATURES(ROW)
#undef ROW
};

/* clang-format off */
static const ProbeFunc probes[CH_FEATURE_MAX_] = {
        [CH_FEATURE_CGROUP2]       = probe_cgroup2,
        [CH_FEATURE_MEMCG]         = probe_memcg,
        [CH_FEATURE_CGROUP_KILL]   = probe_cgroup_kill,
        [CH_FEATURE_PIDFD]         = probe_pidfd,
        [CH_FEATURE_OPENAT2]       = probe_openat2,
        [CH_FEATURE_PAGEMAP]       = probe_pagemap,
        [CH_FEATURE_KPAGECGROUP]   = probe_kpagecgroup,
        [CH_FEATURE_PAGEMAP_SCAN]  = probe_pagemap_scan,
        [CH_FEATURE_KCMP]          = probe_kcmp,
        [CH_FEATURE_COLLAPSE]      = probe_collapse,
        [CH_FEATURE_PAGEOUT]       = probe_pageout,
        [CH_FEATURE_SWAP]          = probe_swap,
        [CH_FEATURE_RECLAIM]       = probe_reclaim,
        [CH_FEATURE_FAVORDYNMODS]  = probe_favordynmods,
        [CH_FEATURE_PROC_CHILDREN] = probe_proc_children,
        [CH_FEATURE_CLONE_INTO]    = probe_clone_into,
        [CH_FEATURE_CLONE_KILLED]  = probe_clone_killed,
};
/* clang-format on */

/* The word in brackets of "always [madvise] never". */
static void read_thp(char *buffer, size_t size)
{
        _cleanup_(freep) char *text = NULL;
        char *open_bracket;

        if (read_file_at(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", 4096, &text,
                         NULL) < 0)
                return;
        open_bracket = strchr(text, '[');
        if (open_bracket)
                snprintf(buffer, size, "%.*s", (int)strcspn(open_bracket + 1, "]"),
                         open_bracket + 1);
}

static uint64_t read_huge_page_bytes(void)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t bytes;

        if (read_file_at(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", 4096,
                         &text, NULL) < 0 ||
            parse_u64(text, &bytes, NULL) < 0)
                return 0;
        return bytes;
}

_public_ int ch_probe_run(struct ch_tree *tree, ch_probe *ret)
{
        ch_probe probe = { 0 };
        struct utsname name;

        if (uname(&name) < 0)
                return -errno;
        snprintf(probe.kernel, sizeof(probe.kernel), "%s", name.release);
        read_thp(probe.thp, sizeof(probe.thp));
        probe.huge_page_bytes = read_huge_page_bytes();
        probe.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        probe.cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
        for (int i = 0; i < CH_FEATURE_MAX_; i++)
                if (probes[i](tree))
                        probe.have |= 1ULL << i;
        *ret = probe;
        return 0;
}

_public_ int ch_probe_has(const ch_probe *probe, ch_feature feature)
{
        return (unsigned)feature < CH_FEATURE_MAX_ && (probe->have >> feature & 1);
}

_public_ const char *ch_feature_to_name(ch_feature feature)
{
        return (unsigned)feature < CH_FEATURE_MAX_ ? features[feature].name : "";
}

_public_ const char *ch_feature_get_advice(ch_feature feature)
{
        return (unsigned)feature < CH_FEATURE_MAX_ ? features[feature].advice : "";
}

static struct json_object *features_new(const ch_probe *probe)
{
        struct json_object *object = json_object_new_object();

        for (int i = 0; object && i < CH_FEATURE_MAX_; i++) {
                struct json_object *feature = json_object_new_object();

                json_object_object_add(feature, "available",
                                       json_object_new_boolean(ch_probe_has(probe, (ch_feature)i)));
                json_object_object_add(feature, "advice",
                                       json_object_new_string(features[i].advice));
                json_object_object_add(object, features[i].name, feature);
        }
        return object;
}

_public_ int ch_probe_to_json(const ch_probe *probe, struct json_object **ret)
{
        struct json_object *object = json_object_new_object();

        if (!object)
                return -ENOMEM;
        json_object_object_add(object, "kernel", json_object_new_string(probe->kernel));
        json_object_object_add(object, "thp", json_object_new_string(probe->thp));
        json_object_object_add(object, "huge_page_bytes",
                               json_object_new_uint64(probe->huge_page_bytes));
        json_object_object_add(object, "page_bytes", json_object_new_uint64(probe->page_bytes));
        json_object_object_add(object, "cpus", json_object_new_int64(probe->cpus));
        json_object_object_add(object, "features", features_new(probe));
        *ret = object;
        return 0;
}
