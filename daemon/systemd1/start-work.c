/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of a start that runs on a worker: directories, controllers, files, processes. */

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "claim.h"
#include "error.h"
#include "log.h"
#include "mark.h"
#include "ownership.h"
#include "start.h"
#include "util.h"

/* What the original enables for units (CGROUP_MASK_V2); others are the runtimes' own affair. */
static const char *const controllers[] = { "cpu", "cpuset", "io", "memory", "pids" };
#define ALL_CONTROLLERS ((1U << ELEMENTSOF(controllers)) - 1)

enum { GROUP_MODE = 0755, ATTEMPTS = 4, LINE_MAX_ = 512 };

/* What a delegatee must own, where the kernel does not say it itself */
#define DELEGATE_FILES "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n"

/* ---- controllers ---- */

static int read_words(int dir_fd, const char *file, uint32_t *ret)
{
        char text[LINE_MAX_];
        _cleanup_(closep) int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        char *rest = text, *word;

        *ret = 0;
        if (n < 0)
                return -errno;
        text[n] = '\0';
        while ((word = strsep(&rest, " \n")))
                for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                        if (streq(word, controllers[i]))
                                *ret |= 1U << i;
        return 0;
}

static int write_words(int dir_fd, uint32_t mask)
{
        _cleanup_(closep) int fd = openat(dir_fd, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
        char text[LINE_MAX_] = "";
        int length = 0;

        for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                if (mask & (1U << i))
                        length += snprintf(text + length, sizeof(text) - (size_t)length, "%s+%s",
                                           length ? " " : "", controllers[i]);
        return fd < 0 || write(fd, text, (size_t)length) < 0 ? -errno : 0;
}

/* Enables in a directory what it has; never disables. What stays off (in use by v1, processes in
 * the group itself) is no error. Returns those that are on. */
static uint32_t enable_controllers(int dir_fd)
{
        uint32_t enabled, available;

        if (read_words(dir_fd, "cgroup.subtree_control", &enabled) < 0 ||
            enabled == ALL_CONTROLLERS || read_words(dir_fd, "cgroup.controllers", &available) < 0)
                return enabled;
        available &= ~enabled;
        if (available && write_words(dir_fd, available) < 0)
                for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                        if (available & (1U << i))
                                (void)write_words(dir_fd, 1U << i);
        (void)read_words(dir_fd, "cgroup.subtree_control", &enabled);
        return enabled;
}

/* ---- directories ---- */

/* The name came through unit_name_is_valid(): one component, not "..". */
static int enter(int parent_fd, const char *name, int *ret_made)
{
        int fd;

        *ret_made = mkdirat(parent_fd, name, GROUP_MODE) >= 0;
        if (!*ret_made && errno != EEXIST)
                return -errno;
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

/* Down the tree to the directory that holds the group; slices that are missing are made. */
static int walk(Start *start)
{
        _cleanup_(closep) int fd =
                fcntl(ch_tree_get_fd(start->face->manager->tree), F_DUPFD_CLOEXEC, 3);
        _cleanup_(freep) char *copy = NULL;
        char *name, *slash;

        if (fd < 0)
                return -errno;
        copy = strdup(start->unit->path);
        if (!copy)
                return -ENOMEM;
        for (name = copy + 1; (slash = strchr(name, '/')); name = slash + 1) {
                int made, next;

                *slash = '\0';
                (void)enable_controllers(fd);
                next = enter(fd, name, &made);
                if (next < 0)
                        return next;
                (void)(made ? mark_set_new(next) : mark_set_managed(next));
                safe_close(fd);
                fd = next;
        }
        start->controllers = enable_controllers(fd);
        safe_close(start->slice_fd);
        start->slice_fd = TAKE_FD(fd);
        start->walked = 1;
        return start->slice_fd;
}

static const char *directory_name(const Start *start)
{
        return strrchr(start->unit->path, '/') + 1;
}

/*
 * A scope's directory may still be there from one that died: its limits and counters are not the
 * new one's, so it is made anew. One that somebody lives in is taken as it is.
 */
static int enter_new(const Start *start, int parent_fd, int *ret_made)
{
        int fd = enter(parent_fd, directory_name(start), ret_made);

        if (fd < 0 || *ret_made || start->unit->kind != UNIT_SCOPE ||
            unlinkat(parent_fd, directory_name(start), AT_REMOVEDIR) < 0)
                return fd;
        safe_close(fd);
        return enter(parent_fd, directory_name(start), ret_made);
}

/* The group itself: its fd. */
static int make_group(Start *start, int *ret_made)
{
        int parent_fd, fd;

        *ret_made = 0;
        if (streq(start->unit->path, "/"))
                return fcntl(ch_tree_get_fd(start->face->manager->tree), F_DUPFD_CLOEXEC, 3);
        parent_fd = start->slice && !start->walked ? start->slice->fd : walk(start);
        if (parent_fd < 0)
                return parent_fd;
        fd = enter_new(start, parent_fd, ret_made);
        if (fd != -ENOENT && fd != -ENODEV)
                return fd;
        /* somebody removed the slice meanwhile */
        parent_fd = walk(start);
        return parent_fd < 0 ? parent_fd : enter_new(start, parent_fd, ret_made);
}

int start_remove_group(ch_tree *tree, const char *path)
{
        int r;

        if (unlinkat(ch_tree_get_fd(tree), path + 1, AT_REMOVEDIR) >= 0 || errno == ENOENT ||
            errno == ENODEV)
                return 0;
        r = ch_tree_remove_group(tree, path, CH_REMOVE_RECURSIVE, NULL);
        return r == -ENODEV ? 0 : r;
}

/* ---- setting it up ---- */

static int find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
        struct passwd entry, *found = NULL;
        char buffer[4096];
        uint64_t number;

        if (parse_u64(name, &number, NULL) >= 0 && number < UINT32_MAX) {
                *ret_uid = (uid_t)number;
                (void)getpwuid_r((uid_t)number, &entry, buffer, sizeof(buffer), &found);
                *ret_gid = found ? found->pw_gid : (gid_t)number;
                return 0;
        }
        (void)getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
        if (!found)
                return -ESRCH;
        *ret_uid = found->pw_uid;
        *ret_gid = found->pw_gid;
        return 0;
}

static int find_group(const char *name, gid_t *ret)
{
        struct group entry, *found = NULL;
        char buffer[4096];
        uint64_t number;

        if (parse_u64(name, &number, NULL) >= 0 && number < UINT32_MAX) {
                *ret = (gid_t)number;
                return 0;
        }
        (void)getgrnam_r(name, &entry, buffer, sizeof(buffer), &found);
        if (!found)
                return -ESRCH;
        *ret = found->gr_gid;
        return 0;
}

static int chown_one(int fd, const char *name, uid_t uid, gid_t gid)
{
        if (fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) >= 0 ||
            errno == ENOENT) /* of a controller that is off */
                return 0;
        return -errno;
}

static int give_away(Start *start, int fd)
{
        _cleanup_(freep) char *text = NULL;
        uid_t uid = (uid_t)-1;
        gid_t gid = (gid_t)-1;
        char *rest, *name;
        int r = 0;

        if (!start->user && !start->group)
                return 0;
        if (start->user)
                r = find_user(start->user, &uid, &gid);
        if (r >= 0 && start->group)
                r = find_group(start->group, &gid);
        if (r < 0) {
                log_warning("%s: no such user or group: %s%s%s", start->unit->name,
                            start->user ? start->user : "", start->user && start->group ? ":" : "",
                            start->group ? start->group : "");
                return r;
        }
        if (read_file_at(AT_FDCWD, "/sys/kernel/cgroup/delegate", 4096, &text, NULL) < 0)
                text = strdup(DELEGATE_FILES);
        r = text ? chown_one(fd, "", uid, gid) : -ENOMEM;
        for (rest = text; r >= 0 && (name = strsep(&rest, "\n"));)
                r = *name ? chown_one(fd, name, uid, gid) : 0;
        if (r < 0)
                log_warning("%s: chown of the group: %s", start->unit->name, strerror(-r));
        start->uid = uid;
        return r;
}

/* A file that was refused may be one whose controller somebody has switched off above us. */
static int write_files(Start *start, int fd)
{
        FileWrites files = { 0 };
        uint32_t available = 0;
        int r = property_file_writes(&start->set, NULL, &files);

        if (r >= 0 && files.n > 0 && file_writes_apply(&files, fd, start->unit->name) > 0 &&
            !start->walked && start->slice &&
            read_words(fd, "cgroup.controllers", &available) >= 0 &&
            (start->slice->controllers & ~available) != 0 && walk(start) >= 0)
                (void)file_writes_apply(&files, fd, start->unit->name);
        file_writes_done(&files);
        return r < 0 ? r : 0;
}

static int claim(const Start *start)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        int r = claim_check_and_set(start->face->manager, start->unit->path, start->claim_bytes,
                                    &error);

        return r < 0 ? log_failure(LOG_WARNING, start->unit->name, error) : 0;
}

static int set_up(Start *start, int fd, int made)
{
        int r;

        /* without extended attributes the unit is forgotten when the daemon ends */
        (void)(made ? mark_set_new(fd) : mark_set_managed(fd));
        if (start->text)
                (void)unit_mark_write(fd, start->text, start->unit->name);
        if (start->delegate) {
                (void)fsetxattr(fd, "trusted.delegate", "1", 1, 0);
                (void)fsetxattr(fd, "user.delegate", "1", 1, 0);
        }
        r = start->delegate ? give_away(start, fd) : 0;
        if (r < 0)
                return r;
        r = write_files(start, fd);
        if (r < 0)
                return r;
        if (start->claim_bytes && (r = claim(start)) < 0)
                return r;
        if (!made || property_is_set(&start->set, PROP_DEVICE_POLICY) ||
            property_is_set(&start->set, PROP_DEVICE_ALLOW))
                (void)property_attach_devices(&start->set, NULL, fd, start->unit->name);
        return property_attach_programs(&start->set, fd, start->unit->name);
}

/* ---- processes ---- */

static int remember_outside(Start *start, pid_t pid)
{
        if (array_reserve(&start->outside, &start->outside_allocated, start->n_outside + 1,
                          sizeof(pid_t)) < 0)
                return -ENOMEM;
        start->outside[start->n_outside++] = pid;
        return 0;
}

int start_read_uid(pid_t pid, uid_t *ret)
{
        struct stat st;
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        if (stat(path, &st) < 0)
                return -ESRCH;
        *ret = st.st_uid;
        return 0;
}

int start_may_move(uint32_t caller, pid_t pid)
{
        uid_t uid;

        return uid_is_master(caller) || (start_read_uid(pid, &uid) >= 0 && uid == caller);
}

/* 0; -ENODEV: the group was removed under us. */
static int attach_one(Start *start, int procs_fd, pid_t pid)
{
        char text[16];
        int length = snprintf(text, sizeof(text), "%d\n", (int)pid);

        if (!start_may_move(start->unit->owner, pid))
                return 0;
        if (write(procs_fd, text, (size_t)length) >= 0) {
                start->n_attached++;
                return 0;
        }
        if (errno == ENODEV)
                return -ENODEV;
        if (errno == ESRCH) {
                log_debug("%s: process %d is gone already", start->unit->name, (int)pid);
                return 0;
        }
        if ((errno == EACCES || errno == EPERM || errno == ENOENT) && start->can_ask)
                return remember_outside(start, pid);
        log_info("%s: process %d cannot be moved into its group: %s", start->unit->name, (int)pid,
                 strerror(errno));
        if (start->result >= 0)
                start->result = -errno;
        return 0;
}

static int attach_all(Start *start, int fd)
{
        /* on a plain directory interface files are files */
        int flags = ch_tree_get_flags(start->face->manager->tree) & CH_TREE_ANY_FS
                            ? O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC
                            : O_WRONLY | O_CLOEXEC;
        _cleanup_(closep) int below = -EBADF, procs_fd = -EBADF;
        int made, r = 0;

        if (start->n_pids == 0)
                return 0;
        if (start->subgroup) {
                below = enter(fd, start->subgroup, &made);
                if (below < 0)
                        return below;
                if (made && start->uid != UINT32_MAX)
                        (void)give_away(start, below);
                fd = below;
        }
        procs_fd = openat(fd, "cgroup.procs", flags, 0644);
        if (procs_fd < 0)
                return errno == ENOENT ? -ENODEV : -errno;
        for (size_t i = 0; r >= 0 && i < start->n_pids; i++)
                r = attach_one(start, procs_fd, start->pids[i]);
        ownership_look_at(start->face->manager->ownership, start->pids, start->n_pids);
        return r;
}

/* What was killed in a group of that name before does not count for this unit. */
static uint64_t count_oom_kills(int fd)
{
        _cleanup_(freep) char *text = NULL;
        const char *found;
        uint64_t n;

        if (read_file_at(fd, "memory.events", 4096, &text, NULL) < 0 ||
            !(found = strstr(text, "oom_kill ")) ||
            parse_u64(found + strlen("oom_kill "), &n, &(const char *){ NULL }) < 0)
                return 0;
        return n;
}

static int try_start(Start *start, int *ret_made)
{
        _cleanup_(closep) int fd = make_group(start, ret_made);
        int r;

        if (fd < 0)
                return fd;
        start->oom_kills = *ret_made ? 0 : count_oom_kills(fd);
        start->n_attached = start->n_outside = 0;
        r = set_up(start, fd, *ret_made);
        return r < 0 ? r : attach_all(start, fd);
}

void start_run(Task *task)
{
        Start *start = (Start *)task;
        int made = 0, r = -ENODEV;

        /* the directory of one that died before may be taken away under us */
        for (unsigned i = 0; i < ATTEMPTS && r == -ENODEV; i++)
                r = try_start(start, &made);
        if (r < 0) {
                log_warning("%s: its group cannot be set up: %s", start->unit->name, strerror(-r));
                start->result = r;
        } else if (start->result >= 0 && start->n_pids > 0 && start->n_attached == 0 &&
                   start->n_outside == 0) {
                log_info("%s: no process is left to put in", start->unit->name);
                start->result = -ESRCH;
        }
        if (start->result < 0 && made && start->unit->kind == UNIT_SCOPE)
                (void)start_remove_group(start->face->manager->tree, start->unit->path);
}

void start_free(Start *start)
{
        if (!start)
                return;
        safe_close(start->slice_fd);
        property_set_done(&start->set);
        free(start->text);
        free(start->user);
        free(start->group);
        free(start->subgroup);
        free(start->pids);
        free(start->outside);
        free(start);
}
