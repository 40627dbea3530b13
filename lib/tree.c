/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a hierarchy and finds groups in it: by path, by id, by process. */

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "error.h"
#include "group.h"
#include "mount.h"
#include "path.h"
#include "util.h"

enum { FILE_HANDLE_KERNFS = 0xfe, FILE_MAX_BYTES = 4 << 20 };

int open_beneath(int dir_fd, const char *name, uint64_t flags)
{
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                           RESOLVE_NO_XDEV,
        };
        long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

        return fd < 0 ? -errno : (int)fd;
}

int error_gone(ch_error **err, const char *path)
{
        return error_set(err, CH_ERROR_NO_SUCH_GROUP, ENODEV, path,
                         "no such group, or it has been removed");
}

static int error_open(ch_error **err, int errnum, const char *path)
{
        switch (errnum) {
        case ENOENT:
        case ENODEV:
        case ENOTDIR:
                return error_gone(err, path);
        case ELOOP:
                return error_set(err, CH_ERROR_BAD_PATH, ELOOP, path,
                                 "a symbolic link is in the way; groups are directories");
        case EXDEV:
                return error_set(
                        err, CH_ERROR_BAD_PATH, EXDEV, path,
                        "another file system is mounted there, or the path leaves the hierarchy");
        case ENOSYS:
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENOSYS, path,
                                 "the kernel has no openat2(): Linux 5.6 or later is needed");
        default:
                return error_errno(err, errnum, path, "open");
        }
}

int tree_open_dir(const ch_tree *tree, const char *path, ch_error **err)
{
        int fd = open_beneath(tree->fd, path[1] ? path + 1 : ".", 0);

        return fd < 0 ? error_open(err, -fd, path) : fd;
}

int group_is_gone(const ch_tree *tree, int fd)
{
        struct stat st;

        if (!(tree->flags & CH_TREE_ANY_FS))
                return faccessat(fd, "cgroup.procs", F_OK, 0) < 0 &&
                       (errno == ENOENT || errno == ENODEV);
        return fstat(fd, &st) < 0 || st.st_nlink == 0;
}

int tree_check_writable(const ch_tree *tree, const char *path, ch_error **err)
{
        if (!(tree->flags & CH_TREE_READ_ONLY))
                return 0;
        return error_set(err, CH_ERROR_READ_ONLY, EROFS, path,
                         "the hierarchy was opened for reading only");
}

/* Name of the file behind an fd as the kernel gives it. Caller frees. */
static int fd_get_path(int fd, char **ret)
{
        char link[64], buffer[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, buffer, sizeof(buffer));
        if (n < 0)
                return -errno;
        if ((size_t)n >= sizeof(buffer))
                return -ENAMETOOLONG;
        *ret = strndup(buffer, (size_t)n);
        return *ret ? 0 : -ENOMEM;
}

/* What cannot be a hierarchy is told apart, with the way to one. */
static int check_cgroup2(int fd, const char *root, ch_error **err)
{
        _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };
        _cleanup_(freep) char *advice = NULL;
        struct statfs fs;
        int r;

        if (fstatfs(fd, &fs) < 0)
                return error_errno(err, errno, root, "statfs");
        if (fs.f_type == CGROUP2_SUPER_MAGIC)
                return 0;
        if (cgroup_mount_find(NULL, NULL, &mount) >= 0)
                return error_set(
                        err, CH_ERROR_NOT_SUPPORTED, EINVAL, root, "%s; cgroup2 is mounted at %s",
                        fs.f_type == CGROUP_SUPER_MAGIC ? "this is a cgroup v1 hierarchy"
                                                        : "this is not a cgroup2 file system",
                        mount.point);
        r = cgroup_v1_advice("memory", &advice);
        if (r < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, root, "out of memory");
        return error_set(err, CH_ERROR_NOT_SUPPORTED, EINVAL, root,
                         "this is not a cgroup2 file system and none is mounted: mount one with "
                         "'mount -t cgroup2 none DIRECTORY'%s%s",
                         r > 0 ? "; " : "", r > 0 ? advice : "");
}

static int find_root(char **ret, ch_error **err)
{
        _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };
        _cleanup_(freep) char *advice = NULL;
        int r = cgroup_mount_find(NULL, NULL, &mount);

        if (r >= 0) {
                *ret = TAKE_PTR(mount.point);
                return 0;
        }
        if (r != -ENODEV)
                return error_errno(err, -r, "/proc/self/mountinfo", "open");
        r = cgroup_v1_advice("memory", &advice);
        if (r < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        return error_set(err, CH_ERROR_NOT_SUPPORTED, ENODEV, NULL,
                         "no cgroup2 file system is mounted: mount one with 'mount -t cgroup2 none "
                         "/sys/fs/cgroup'%s%s",
                         r > 0 ? "; " : "", r > 0 ? advice : "");
}

/* Where our root lies below its mount, and how /proc/PID/cgroup, which counts from the root of our
 * cgroup namespace, names it. */
static int set_prefixes(ch_tree *tree)
{
        _cleanup_(cgroup_mount_donep) CgroupMount mount = { 0 };
        const char *below = "", *mount_root = "";

        if (cgroup_mount_find(NULL, tree->real_root, &mount) >= 0) {
                below = tree->real_root + (streq(mount.point, "/") ? 0 : strlen(mount.point));
                mount_root = streq(mount.root, "/") ? "" : mount.root;
        }
        tree->prefix = strdup(below);
        if (!tree->prefix || asprintf(&tree->proc_prefix, "%s%s", mount_root, below) < 0)
                return -ENOMEM;
        return 0;
}

_public_ int ch_tree_open(const char *root, uint64_t flags, ch_tree **ret, ch_error **err)
{
        _cleanup_(ch_tree_unrefp) ch_tree *tree = NULL;
        int r = 0;

        if (root && root[0] != '/')
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, root,
                                 "the root of a hierarchy is given by an absolute path");
        tree = calloc(1, sizeof(*tree));
        if (!tree)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, root, "out of memory");
        *tree = (ch_tree){ .refs = 1, .fd = -EBADF, .flags = flags };
        if (root)
                tree->root = strdup(root);
        else
                r = find_root(&tree->root, err);
        if (r < 0)
                return r;
        if (!tree->root)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, root, "out of memory");

        tree->fd = open(tree->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (tree->fd < 0 && errno == ENOENT)
                return error_set(err, CH_ERROR_BAD_PATH, ENOENT, tree->root,
                                 "there is no such directory: give the root of a cgroup2 hierarchy");
        if (tree->fd < 0)
                return error_errno(err, errno, tree->root, "open");
        r = flags & CH_TREE_ANY_FS ? 0 : check_cgroup2(tree->fd, tree->root, err);
        if (r < 0)
                return r;
        r = fd_get_path(tree->fd, &tree->real_root);
        if (r < 0)
                return error_errno(err, -r, tree->root, "readlink");
        if (set_prefixes(tree) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, tree->root, "out of memory");
        *ret = TAKE_PTR(tree);
        return 0;
}

_public_ ch_tree *ch_tree_ref(ch_tree *tree)
{
        __atomic_add_fetch(&tree->refs, 1, __ATOMIC_RELAXED);
        return tree;
}

_public_ ch_tree *ch_tree_unref(ch_tree *tree)
{
        if (!tree || __atomic_sub_fetch(&tree->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return NULL;
        (void)safe_close(tree->fd);
        free(tree->root);
        free(tree->real_root);
        free(tree->prefix);
        free(tree->proc_prefix);
        free(tree);
        return NULL;
}

_public_ int ch_tree_get_fd(const ch_tree *tree)
{
        return tree->fd;
}

_public_ const char *ch_tree_get_root(const ch_tree *tree)
{
        return tree->root;
}

_public_ uint64_t ch_tree_get_flags(const ch_tree *tree)
{
        return tree->flags;
}

_public_ const char *ch_tree_get_prefix(const ch_tree *tree)
{
        return tree->prefix;
}

int tree_read_file(const ch_tree *tree, const char *path, const char *file, char **ret)
{
        _cleanup_(closep) int fd = tree_open_dir(tree, path, NULL);

        return fd < 0 ? fd : read_file_at(fd, file, FILE_MAX_BYTES, ret, NULL);
}

_public_ int ch_tree_open_group(ch_tree *tree, const char *path, ch_group **ret, ch_error **err)
{
        int r = ch_path_check(path, err);

        if (r < 0)
                return r;
        r = tree_open_dir(tree, path, err);
        return r < 0 ? r : group_new(tree, path, r, ret, err);
}

static int error_no_id(ch_error **err, uint64_t id)
{
        return error_set(err, CH_ERROR_NO_SUCH_GROUP, ENODEV, NULL,
                         "no live group of this hierarchy has the id %llu", (unsigned long long)id);
}

typedef struct IdSearch {
        uint64_t id;
        char *path;
} IdSearch;

static int match_id(const ch_walk_entry *entry, void *userdata)
{
        IdSearch *search = userdata;

        if (entry->id != search->id)
                return 0;
        search->path = strdup(entry->path);
        return search->path ? -ECANCELED : -ENOMEM;
}

/* For file systems without handles, and callers without CAP_DAC_READ_SEARCH. */
static int search_id(ch_tree *tree, uint64_t id, ch_group **ret, ch_error **err)
{
        IdSearch search = { .id = id };
        _cleanup_(freep) char *path = NULL;
        int r = ch_tree_walk(tree, "/", match_id, &search, NULL);

        path = search.path;
        if (r == -ENOMEM)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        if (!path)
                return error_no_id(err, id);
        r = tree_open_dir(tree, path, NULL);
        return r < 0 ? error_no_id(err, id) : group_new(tree, path, r, ret, err);
}

/* Path within the tree of an open directory. -ENODEV removed or outside. */
static int path_of_fd(const ch_tree *tree, int fd, char **ret)
{
        _cleanup_(freep) char *path = NULL;
        size_t length = strlen(tree->real_root);
        int r = fd_get_path(fd, &path);

        if (r < 0)
                return r;
        if (length == 1)
                length = 0;
        if (strncmp(path, tree->real_root, length) != 0 || (path[length] && path[length] != '/'))
                return -ENODEV;
        *ret = strdup(path[length] ? path + length : "/");
        return *ret ? 0 : -ENOMEM;
}

static int open_handle(const ch_tree *tree, uint64_t id)
{
        union {
                struct file_handle handle;
                char space[sizeof(struct file_handle) + sizeof(uint64_t)];
        } u = {
                .handle = { .handle_bytes = sizeof(id), .handle_type = FILE_HANDLE_KERNFS },
        };
        int fd;

        memcpy(u.space + sizeof(struct file_handle), &id, sizeof(id));
        fd = open_by_handle_at(tree->fd, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

_public_ int ch_tree_open_group_by_id(ch_tree *tree, uint64_t id, ch_group **ret, ch_error **err)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *path = NULL;
        struct stat st;
        int r;

        if (tree->flags & CH_TREE_ANY_FS)
                return search_id(tree, id, ret, err);
        fd = open_handle(tree, id);
        if (fd == -EPERM || fd == -EOPNOTSUPP)
                return search_id(tree, id, ret, err);
        /* ENOTDIR: the id of an interface file */
        if (fd < 0 || group_is_gone(tree, fd))
                return error_no_id(err, id);
        r = path_of_fd(tree, fd, &path);
        if (r < 0)
                return error_no_id(err, id);
        /* opened anew by its path: what a handle opens need not be beneath our root */
        fd = safe_close(fd);
        fd = tree_open_dir(tree, path, NULL);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != id)
                return error_no_id(err, id);
        return group_new(tree, path, TAKE_FD(fd), ret, err);
}

/* The "0::" line of /proc/PID/cgroup, cut out in place; NULL if there is none. */
static char *find_unified_line(char *text)
{
        char *rest = NULL;

        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                if (strncmp(line, "0::", 3) == 0)
                        return line + 3;
        return NULL;
}

/* Paths of groups above the root of our cgroup namespace begin with "/..". */
static int is_ours(const char *path, const char *prefix)
{
        size_t length = strlen(prefix);

        return strncmp(path, prefix, length) == 0 && (!path[length] || path[length] == '/') &&
               !(strncmp(path + length, "/..", 3) == 0 &&
                 (!path[length + 3] || path[length + 3] == '/'));
}

/* A zombie may outlive its group. */
static int is_deleted(const char *path)
{
        static const char mark[] = " (deleted)";
        size_t length = strlen(path);

        return length >= sizeof(mark) - 1 && streq(path + length - (sizeof(mark) - 1), mark);
}

int tree_path_in_text(const ch_tree *tree, pid_t pid, char *text, const char **ret, ch_error **err)
{
        size_t length = strlen(tree->proc_prefix);
        char *path = find_unified_line(text);

        if (!path)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENODEV, "/proc/PID/cgroup",
                                 "the kernel has no cgroup2 hierarchy: CONFIG_CGROUPS is needed");
        if (strncmp(tree->proc_prefix, "/..", 3) == 0 && !is_ours(path, tree->proc_prefix))
                return error_set(err, CH_ERROR_FOREIGN, EXDEV, path,
                                 "%s is mounted from outside of this cgroup namespace, where paths "
                                 "cannot be told: mount cgroup2 anew",
                                 tree->root);
        if (!is_ours(path, tree->proc_prefix))
                return error_set(err, CH_ERROR_FOREIGN, EXDEV, path,
                                 "process %d is in a group outside %s", (int)pid, tree->root);
        if (is_deleted(path))
                return error_gone(err, path);
        *ret = path[length] ? path + length : "/";
        return 0;
}

_public_ int ch_tree_path_of_pid(ch_tree *tree, pid_t pid, char **ret, ch_error **err)
{
        _cleanup_(freep) char *text = NULL;
        const char *path;
        char file[64];
        int r;

        snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
        r = read_file_at(AT_FDCWD, file, FILE_MAX_BYTES, &text, NULL);
        if (r == -ENOENT || r == -ESRCH)
                return error_set(err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, NULL,
                                 "no process has pid %d", (int)pid);
        if (r < 0)
                return error_errno(err, -r, file, "read");
        r = tree_path_in_text(tree, pid, text, &path, err);
        if (r < 0)
                return r;
        *ret = strdup(path);
        return *ret ? 0 : error_set(err, CH_ERROR_NO_MEMORY, 0, path, "out of memory");
}

_public_ int ch_tree_open_group_of_pid(ch_tree *tree, pid_t pid, ch_group **ret, ch_error **err)
{
        _cleanup_(freep) char *path = NULL;
        int fd, r;

        r = ch_tree_path_of_pid(tree, pid, &path, err);
        if (r < 0)
                return r;
        /* not checked as a user's path: a foreign group may have any name */
        fd = tree_open_dir(tree, path, err);
        return fd < 0 ? fd : group_new(tree, path, fd, ret, err);
}
