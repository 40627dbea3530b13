/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the groups that the processes of a set are in, reading each group once. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "group.h"
#include "members.h"
#include "procset.h"
#include "util.h"

enum {
        PROCS_MAX_BYTES = 64 << 20, /* cgroup.procs: some 8 million processes */
};

int procs_read(int dir_fd, pid_t **ret, size_t *ret_n)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n = 0, allocated = 0;
        const char *p;
        uint64_t pid;
        int r;

        if (dir_fd < 0)
                return -ENODEV;
        r = read_file_at(dir_fd, "cgroup.procs", PROCS_MAX_BYTES, &text, NULL);
        if (r < 0)
                return r;
        for (p = text; *p; p += *p == '\n') {
                if (parse_u64(p, &pid, &p) < 0)
                        return -EINVAL;
                if (pid == 0)
                        continue;
                if (array_reserve(&pids, &allocated, n + 1, sizeof(*pids)) < 0)
                        return -ENOMEM;
                pids[n++] = (pid_t)pid;
        }
        *ret = TAKE_PTR(pids);
        *ret_n = n;
        return 0;
}

int memcg_id_of(int dir_fd, uint64_t *ret)
{
        _cleanup_(closep) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st, up_st;

        if (fd < 0)
                return errno == ENOENT ? -ENODEV : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        /* the root of the hierarchy has no memory.current and is the end: above it is another file
         * system */
        while (faccessat(fd, "memory.current", F_OK, 0) < 0) {
                int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (up < 0)
                        return errno == ENOENT ? -ENODEV : -errno;
                if (fstat(up, &up_st) < 0 || up_st.st_dev != st.st_dev ||
                    up_st.st_ino == st.st_ino) {
                        (void)safe_close(up);
                        break;
                }
                (void)safe_close(fd);
                fd = up;
                st = up_st;
        }
        *ret = st.st_ino;
        return 0;
}

/* Directory of a group as /proc/PID/cgroup names it, that is not in the tree but in the same mount.
 */
static int open_outside(const ch_tree *tree, const char *path)
{
        _cleanup_(freep) char *full = NULL;
        size_t below = strlen(tree->prefix), mount_root = strlen(tree->proc_prefix) - below;
        int fd;

        if (strlen(path) < mount_root || strncmp(path, tree->proc_prefix, mount_root) != 0)
                return -EXDEV;
        if (asprintf(&full, "%.*s%s", (int)(strlen(tree->real_root) - below), tree->real_root,
                     path + mount_root) < 0)
                return -ENOMEM;
        fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static int source_add(Members *ms, const char *path, int outside, int *dir_fd, uint32_t *ret)
{
        Source source = { .path = strdup(path), .procs_fd = -EBADF, .outside = outside };
        struct stat st;

        if (!source.path)
                return -ENOMEM;
        if (array_reserve(&ms->sources, &ms->n_sources_allocated, ms->n_sources + 1,
                          sizeof(*ms->sources)) < 0 ||
            fstat(*dir_fd, &st) < 0 || memcg_id_of(*dir_fd, &source.memcg_id) < 0) {
                free(source.path);
                return -ENODEV;
        }
        source.id = st.st_ino;
        source.dir_fd = TAKE_FD(*dir_fd);
        ms->sources[ms->n_sources] = source;
        *ret = (uint32_t)ms->n_sources++;
        return 0;
}

static uint32_t source_find(const Members *ms, const char *path)
{
        for (size_t i = 0; i < ms->n_sources; i++)
                if (streq(ms->sources[i].path, path))
                        return (uint32_t)i;
        return SOURCE_NONE;
}

int members_add_source(Members *ms, ch_tree *tree, const char *path, uint32_t *ret, ch_error **err)
{
        _cleanup_(closep) int fd = -EBADF;
        uint32_t found = source_find(ms, path);
        int r;

        if (found != SOURCE_NONE) {
                *ret = found;
                return 0;
        }
        fd = tree_open_dir(tree, path, err);
        if (fd < 0)
                return fd;
        r = source_add(ms, path, 0, &fd, ret);
        return r < 0 ? error_gone(err, path) : 0;
}

int members_add_past_source(Members *ms, ch_tree *tree, const char *path, int outside,
                            uint32_t *ret, ch_error **err)
{
        _cleanup_(closep) int fd = -EBADF;
        uint32_t found = source_find(ms, path);
        Source gone = { .dir_fd = -EBADF, .procs_fd = -EBADF, .outside = outside };

        if (found != SOURCE_NONE) {
                *ret = found;
                return 0;
        }
        fd = outside ? open_outside(tree, path) : tree_open_dir(tree, path, NULL);
        if (fd >= 0 && source_add(ms, path, outside, &fd, ret) >= 0)
                return 0;
        gone.path = strdup(path);
        if (!gone.path || array_reserve(&ms->sources, &ms->n_sources_allocated, ms->n_sources + 1,
                                        sizeof(*ms->sources)) < 0) {
                free(gone.path);
                return error_errno(err, ENOMEM, path, "recovering");
        }
        *ret = (uint32_t)ms->n_sources;
        ms->sources[ms->n_sources++] = gone;
        return 0;
}

/* The group of a process, in the tree or outside. */
static int source_of_pid(Members *ms, ch_tree *tree, pid_t pid, uint32_t *ret, ch_error **err)
{
        _cleanup_(error_freep) ch_error *reason = NULL;
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *path = NULL;
        const char *outside = NULL;
        uint32_t found;
        int r;

        r = ch_tree_path_of_pid(tree, pid, &path, &reason);
        if (r == -EXDEV)
                outside = ch_error_get_path(reason);
        else if (r < 0)
                return r == -ESRCH ? r : error_copy(err, reason);
        found = source_find(ms, outside ? outside : path);
        if (found != SOURCE_NONE) {
                *ret = found;
                return 0;
        }
        fd = outside ? open_outside(tree, outside) : tree_open_dir(tree, path, NULL);
        if (fd < 0)
                return outside ? error_copy(err, reason) : -EAGAIN;
        r = source_add(ms, outside ? outside : path, !!outside, &fd, ret);
        return r == -ENODEV ? -EAGAIN : r;
}

/* All members that are in the group, and how many others. */
static int source_read(Members *ms, uint32_t index, const ch_procset *set)
{
        _cleanup_(freep) pid_t *pids = NULL;
        Source *source = &ms->sources[index];
        size_t n;
        int r;

        r = procs_read(source->dir_fd, &pids, &n);
        if (r < 0)
                return r;
        source->n_others = 0;
        for (size_t i = 0; i < n; i++) {
                ssize_t slot = procset_find_slot(set, pids[i]);

                if (slot < 0) {
                        source->n_others++;
                } else if (ms->items[slot].source == SOURCE_NONE) {
                        ms->items[slot].source = index;
                        source->n_inside++;
                }
        }
        return 0;
}

static int member_init(Members *ms, const ch_process *process)
{
        Member member = { .source = SOURCE_NONE, .outcome = CH_OUTCOME_PENDING };

        if (array_reserve(&ms->items, &ms->n_allocated, ms->n + 1, sizeof(*ms->items)) < 0)
                return -ENOMEM;
        if (process->flags & CH_PROCESS_KTHREAD)
                member.outcome = CH_OUTCOME_KTHREAD;
        else if (process->flags & CH_PROCESS_EXITED)
                member.outcome = CH_OUTCOME_EXITED;
        else if (process->flags & CH_PROCESS_ZOMBIE)
                member.outcome = CH_OUTCOME_ZOMBIE;
        ms->items[ms->n++] = member;
        return 0;
}

static int member_resolve(Members *ms, size_t slot, ch_tree *tree, const ch_procset *set,
                          ch_error **err)
{
        const ch_process *process = ch_procset_get(set, slot);
        Member *member = &ms->items[slot];
        uint32_t index;
        int r, tries = 0;

        /* -EAGAIN: its group went away while we looked, so it is in another one by now */
        do
                r = source_of_pid(ms, tree, process->pid, &index, err);
        while (r == -EAGAIN && tries++ < 10);
        if (r == -ESRCH || r == -EAGAIN || !ch_process_is_alive(process)) {
                member->outcome = CH_OUTCOME_EXITED;
                return 0;
        }
        if (r < 0)
                return r;
        (void)source_read(ms, index, set);
        /* a leader that has exited while its threads live on is not in the list */
        if (member->source == SOURCE_NONE) {
                member->source = index;
                ms->sources[index].n_inside++;
        }
        return 0;
}

int members_append(Members *ms, const ch_procset *set)
{
        while (ms->n < ch_procset_size(set)) {
                int r = member_init(ms, ch_procset_get(set, ms->n));

                if (r < 0)
                        return r;
        }
        return 0;
}

int members_sync(Members *ms, ch_tree *tree, const ch_procset *set, ch_error **err)
{
        size_t first = ms->n;
        int r;

        r = members_append(ms, set);
        if (r < 0)
                return error_errno(err, r, NULL, "listing processes");
        for (size_t i = first; i < ms->n; i++) {
                if (ms->items[i].outcome != CH_OUTCOME_PENDING ||
                    ms->items[i].source != SOURCE_NONE)
                        continue;
                r = member_resolve(ms, i, tree, set, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int source_is_whole(const Source *source)
{
        return source->n_others == 0;
}

int source_open_procs(Source *source, ch_error **err)
{
        if (source->procs_fd >= 0)
                return source->procs_fd;
        if (source->dir_fd < 0)
                return error_gone(err, source->path);
        source->procs_fd = openat(source->dir_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (source->procs_fd < 0 && (errno == ENOENT || errno == ENODEV))
                return error_gone(err, source->path);
        if (source->procs_fd < 0)
                return error_errno(err, errno, source->path, "opening cgroup.procs");
        return source->procs_fd;
}

void members_done(Members *ms)
{
        for (size_t i = 0; i < ms->n; i++)
                free(ms->items[i].found);
        for (size_t i = 0; i < ms->n_sources; i++) {
                free(ms->sources[i].path);
                (void)safe_close(ms->sources[i].dir_fd);
                (void)safe_close(ms->sources[i].procs_fd);
        }
        free(ms->items);
        free(ms->sources);
        *ms = (Members){ 0 };
}
