/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts about processes as the kernel tells them: /proc/PID/stat, /proc/PID/cgroup and kcmp(). */

#include <fcntl.h>
#include <stdio.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "error.h"
#include "group.h"
#include "hash.h"
#include "mm.h"
#include "procstat.h"
#include "registry.h"
#include "util.h"

struct ProcSource {
        ch_tree *tree;
        int proc_fd;
        /* Processes whose first thread has exited while others live: pid → a thread that has the
         * mm, which can neither be read nor compared by the pid any more. */
        Hash deputies;
};

/* Which thread speaks for the process; itself as a rule. */
static pid_t deputy_of(const ProcSource *source, pid_t pid)
{
        void *deputy = hash_get(&source->deputies, (uint64_t)pid);

        return deputy ? (pid_t)(intptr_t)deputy : pid;
}

typedef struct TaskScan {
        int proc_fd;
        pid_t pid, found;
        ProcStat stat;
} TaskScan;

static int scan_task(pid_t tid, void *userdata)
{
        TaskScan *scan = userdata;

        /* /proc/TID is there for any thread, though not listed */
        if (tid == scan->pid || procstat_read(scan->proc_fd, tid, &scan->stat) < 0 ||
            scan->stat.vsize_bytes == 0 || procstat_is_zombie(&scan->stat))
                return 0;
        scan->found = tid;
        return 1;
}

/* The first thread is a zombie: a living one in its place, or -ESRCH. start_ticks stays that of the
 * process. */
static int read_deputy(ProcSource *source, pid_t pid, ProcStat *stat)
{
        TaskScan scan = { .proc_fd = source->proc_fd, .pid = pid };
        char path[PROC_PATH_MAX];
        int r;

        if (stat->n_threads <= 1)
                return -ESRCH;
        r = proc_foreach_pid(source->proc_fd, proc_path(path, pid, "/task"), scan_task, &scan);
        if (r < 0)
                return r;
        if (!scan.found)
                return -ESRCH;
        if (hash_put(&source->deputies, (uint64_t)pid, (void *)(intptr_t)scan.found) < 0)
                return -ENOMEM;
        scan.stat.start_ticks = stat->start_ticks;
        *stat = scan.stat;
        return 0;
}

/* All three are 0 or 1 where we may not look. */
static uint64_t key_of(const ProcStat *stat)
{
        if (stat->start_code <= 1 && stat->start_stack == 0)
                return 0;
        return hash_mix(stat->start_stack + hash_mix(stat->start_code + hash_mix(stat->end_code)));
}

/* One read: it is done for each fork. Longer texts, of hosts with many hierarchies or very long
 * paths, go the other way. */
static int read_path(const ProcSource *source, pid_t pid, char **ret)
{
        char file[PROC_PATH_MAX], text[2048];
        const char *path;
        ssize_t n;
        int r, fd = openat(source->proc_fd, proc_path(file, pid, "/cgroup"), O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, text, sizeof(text));
        (void)close(fd);
        if (n <= 0)
                return -ESRCH;
        if (n == (ssize_t)sizeof(text))
                return ch_tree_path_of_pid(source->tree, pid, ret, NULL);
        text[n] = '\0';
        r = tree_path_in_text(source->tree, pid, text, &path, NULL);
        if (r < 0)
                return r;
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

/* Where its group is, unless it is outside of the tree, which is no error. */
static int read_group(const ProcSource *source, pid_t pid, ch_process_facts *facts)
{
        _cleanup_(freep) char *path = NULL;
        struct stat st;
        int r;

        if (!source->tree)
                return 0;
        r = read_path(source, pid, &path);
        if (r == -ENOMEM || r == -ESRCH)
                return r;
        /* ENOENT: it has been moved since, and the group was removed; the next event or resync will
         * see */
        if (r < 0 ||
            fstatat(source->tree->fd, path[1] ? path + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        facts->group_id = st.st_ino;
        facts->group = TAKE_PTR(path);
        return 0;
}

static int proc_read(pid_t pid, ch_process_facts *ret, void *userdata)
{
        ProcSource *source = userdata;
        ProcStat stat;
        int leader_exited, r;

        if (source->deputies.n > 0)
                (void)hash_remove(&source->deputies, (uint64_t)pid);
        r = procstat_read(source->proc_fd, pid, &stat);
        if (r < 0)
                return r;
        leader_exited = procstat_is_zombie(&stat);
        if (leader_exited) {
                r = read_deputy(source, pid, &stat);
                if (r < 0)
                        return r;
        }
        *ret = (ch_process_facts){
                .ppid = stat.ppid,
                .start_ticks = stat.start_ticks,
                .leader_exited = leader_exited,
                .has_mm = stat.vsize_bytes > 0 && !procstat_is_kthread(&stat),
        };
        if (ret->has_mm)
                ret->mm_key = key_of(&stat);
        return read_group(source, pid, ret);
}

static int proc_compare_mm(pid_t a, pid_t b, void *userdata)
{
        const ProcSource *source = userdata;

        return mm_compare(deputy_of(source, a), deputy_of(source, b));
}

static int proc_list(int (*each)(pid_t pid, void *arg), void *arg, void *userdata)
{
        return proc_foreach_pid(((ProcSource *)userdata)->proc_fd, ".", each, arg);
}

static int may_ptrace(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

        return syscall(SYS_capget, &header, data) == 0 &&
               data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective & CAP_TO_MASK(CAP_SYS_PTRACE);
}

/* Single processes may still be kept from us, by more capabilities than ours or by a security
 * module: of these it cannot be told, and they count as sharing with nobody. */
static int check_kcmp(ch_error **err)
{
        int r = mm_compare(getpid(), getpid());

        if (r == -ENOSYS)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, 0, NULL,
                                 "this kernel has no kcmp(): who shares an address space cannot be "
                                 "told without CONFIG_KCMP");
        if (r < 0 || !may_ptrace())
                return error_set(err, CH_ERROR_NOT_PERMITTED, 0, NULL,
                                 "not allowed to compare address spaces of others: run as root or "
                                 "with CAP_SYS_PTRACE");
        return 0;
}

int proc_source_new(ch_tree *tree, ProcSource **ret, ch_error **err)
{
        ProcSource *source;
        int r = check_kcmp(err);

        if (r < 0)
                return r;
        source = calloc(1, sizeof(*source));
        if (!source)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        source->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (source->proc_fd < 0) {
                r = error_errno(err, errno, "/proc", "open");
                free(source);
                return r;
        }
        source->tree = ch_tree_ref(tree);
        *ret = source;
        return 0;
}

ProcSource *proc_source_free(ProcSource *source)
{
        if (!source)
                return NULL;
        (void)safe_close(source->proc_fd);
        ch_tree_unref(source->tree);
        hash_done(&source->deputies);
        free(source);
        return NULL;
}

ch_process_source proc_source_get(ProcSource *source)
{
        return (ch_process_source){ .read = proc_read,
                                    .compare_mm = proc_compare_mm,
                                    .list = proc_list,
                                    .userdata = source };
}

int proc_source_is_since(unsigned major, unsigned minor)
{
        unsigned is_major, is_minor;
        struct utsname name;

        if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &is_major, &is_minor) != 2)
                return 0;
        return is_major > major || (is_major == major && is_minor >= minor);
}
