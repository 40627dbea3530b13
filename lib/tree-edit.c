/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Creates and removes groups; what goes wrong half-way is undone or told. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "group.h"
#include "path.h"
#include "util.h"

enum { GROUP_MODE = 0755, PROCS_MAX_BYTES = 4 << 20 };

/* mkdir says EAGAIN when cgroup.max.depth or cgroup.max.descendants of an ancestor is reached:
 * finds which. */
static int limit_reached(const ch_tree *tree, const char *ancestor, const char *file, uint64_t now)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t limit;

        if (tree_read_file(tree, ancestor, file, &text) < 0 || parse_u64(text, &limit, NULL) < 0)
                return 0;
        return now >= limit;
}

static uint64_t count_descendants(const ch_tree *tree, const char *path)
{
        static const char key[] = "nr_descendants ";
        _cleanup_(freep) char *text = NULL;
        uint64_t number;

        if (tree_read_file(tree, path, "cgroup.stat", &text) < 0 ||
            strncmp(text, key, sizeof(key) - 1) != 0)
                return 0;
        return parse_u64(text + sizeof(key) - 1, &number, &(const char *){ NULL }) < 0 ? 0 : number;
}

static int error_limit(const ch_tree *tree, const char *path, ch_error **err)
{
        _cleanup_(freep) char *ancestor = NULL;
        uint64_t depth = 0;

        if (path_parent(path, &ancestor) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, path, "out of memory");
        for (;;) {
                _cleanup_(freep) char *next = NULL;
                const char *file = NULL;

                if (limit_reached(tree, ancestor, "cgroup.max.depth", depth))
                        file = "cgroup.max.depth";
                else if (limit_reached(tree, ancestor, "cgroup.max.descendants",
                                       count_descendants(tree, ancestor)))
                        file = "cgroup.max.descendants";
                if (file)
                        return error_set(err, CH_ERROR_LIMIT_REACHED, EAGAIN, path,
                                         "%s of %s is reached: raise it, or remove groups", file,
                                         ancestor);
                if (!ancestor[1] || path_parent(ancestor, &next) < 0)
                        return error_set(err, CH_ERROR_LIMIT_REACHED, EAGAIN, path,
                                         "cgroup.max.depth or cgroup.max.descendants of an "
                                         "ancestor is reached");
                free(ancestor);
                ancestor = TAKE_PTR(next);
                depth++;
        }
}

static int error_mkdir(const ch_tree *tree, int errnum, const char *path, ch_error **err)
{
        switch (errnum) {
        case EEXIST:
                return error_set(err, CH_ERROR_GROUP_EXISTS, EEXIST, path,
                                 "the group exists already");
        case EAGAIN:
                return error_limit(tree, path, err);
        case ENOENT:
        case ENODEV:
                return error_set(err, CH_ERROR_NO_SUCH_GROUP, ENODEV, path,
                                 "its parent does not exist: create it first, or ask for parents");
        case EROFS:
                return error_set(err, CH_ERROR_READ_ONLY, EROFS, path,
                                 "the cgroup2 file system is mounted read-only: remount it with -o "
                                 "remount,rw");
        case EACCES:
        case EPERM:
                return error_set(err, CH_ERROR_NOT_PERMITTED, EACCES, path,
                                 "the parent's directory is not writable by this user");
        default:
                return error_errno(err, errnum, path, "mkdir");
        }
}

/* What a creation made so far. */
typedef struct Made {
        unsigned levels; /* directories made, one below the other */
        size_t length;   /* of the path down to the last of them */
        int target;      /* the group itself is new */
} Made;

/* Leaves alone what others have put into the new directories meanwhile. */
static void undo_create(const ch_tree *tree, const char *path, const Made *made)
{
        _cleanup_(freep) char *copy = strndup(path, made->length);

        for (unsigned i = 0; copy && i < made->levels; i++) {
                (void)unlinkat(tree->fd, copy + 1, AT_REMOVEDIR);
                *strrchr(copy, '/') = '\0';
        }
}

/* Steps into `name`, making it if need be: *made is set then. Returns the fd. */
static int enter(int dir_fd, const char *name, int may_make, int *made)
{
        int fd = open_beneath(dir_fd, name, 0);

        if (fd != -ENOENT || !may_make)
                return fd;
        if (mkdirat(dir_fd, name, GROUP_MODE) == 0)
                *made = 1;
        else if (errno != EEXIST)
                return -errno;
        return open_beneath(dir_fd, name, 0);
}

/* Walks down the path. Returns the last directory's fd. */
static int make_levels(const ch_tree *tree, const char *path, uint64_t flags, Made *ret_made)
{
        _cleanup_(closep) int fd = fcntl(tree->fd, F_DUPFD_CLOEXEC, 3);
        _cleanup_(freep) char *copy = NULL;
        char *rest = NULL, *name;

        if (fd < 0)
                return -errno;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        name = strtok_r(copy, "/", &rest);
        while (name) {
                char *next_name = strtok_r(NULL, "/", &rest);
                int made = 0;
                int next = enter(fd, name, !next_name || (flags & CH_CREATE_PARENTS), &made);

                if (made) {
                        ret_made->levels++;
                        ret_made->length = (size_t)(name - copy) + strlen(name);
                }
                ret_made->target = made;
                if (next < 0)
                        return next;
                /* someone else's below ours: no longer ours to undo */
                if (!made)
                        ret_made->levels = 0;
                (void)safe_close(fd);
                fd = next;
                name = next_name;
        }
        return TAKE_FD(fd);
}

_public_ int ch_tree_create_group(ch_tree *tree, const char *path, uint64_t flags, ch_group **ret,
                                  ch_error **err)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        Made made = { 0 };
        int fd, r;

        r = ch_path_check(path, err);
        if (r < 0)
                return r;
        r = tree_check_writable(tree, path, err);
        if (r < 0)
                return r;
        fd = make_levels(tree, path, flags, &made);
        if (fd < 0) {
                /* the words first: they look at what is there */
                r = error_mkdir(tree, -fd, path, err);
                undo_create(tree, path, &made);
                return r;
        }
        if (!made.target && !(flags & CH_CREATE_EXIST_OK)) {
                (void)safe_close(fd);
                return error_mkdir(tree, EEXIST, path, err);
        }
        r = group_new(tree, path, fd, &group, err);
        if (r < 0) {
                undo_create(tree, path, &made);
                return r;
        }
        if (flags & CH_CREATE_CONTROLLERS)
                tree_enable_all(tree, path);
        if (ret)
                *ret = TAKE_PTR(group);
        return made.target;
}

/* Numbers for the message; a group that cannot be read counts as empty. */
static int error_not_empty(ch_tree *tree, const char *path, ch_error **err)
{
        _cleanup_(freep) char *procs = NULL, *events = NULL;
        size_t n = 0;

        (void)tree_read_file(tree, path, "cgroup.procs", &procs);
        (void)tree_read_file(tree, path, "cgroup.events", &events);
        for (const char *p = procs ? procs : ""; *p; p++)
                n += *p == '\n';
        if (n > 0)
                return error_set(err, CH_ERROR_NOT_EMPTY, EBUSY, path,
                                 "%zu process%s left in it (%.*s%s): move or kill them first", n,
                                 n == 1 ? " is" : "es are", (int)strcspn(procs, "\n"), procs,
                                 n > 1 ? ", …" : "");
        if (events && strstr(events, "populated 1"))
                return error_set(err, CH_ERROR_NOT_EMPTY, EBUSY, path,
                                 "processes are left in groups below it: move or kill them first");
        return error_set(
                err, CH_ERROR_NOT_EMPTY, EBUSY, path,
                "there are groups below it: remove them first, or ask for a recursive removal");
}

typedef struct PathList {
        char **paths;
        size_t n, allocated;
        ch_tree *tree;
} PathList;

static void path_list_done(PathList *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->paths[i]);
        free(list->paths);
}

static int collect_path(const ch_walk_entry *entry, void *userdata)
{
        PathList *list = userdata;

        if (array_reserve(&list->paths, &list->allocated, list->n + 1, sizeof(char *)) < 0)
                return -ENOMEM;
        list->paths[list->n] = strdup(entry->path);
        if (!list->paths[list->n])
                return -ENOMEM;
        list->n++;
        return 0;
}

/* Plain directories only, where interface files are files and have to go before their group. What
 * the kernel would refuse is refused here. */
static int remove_fake_files(ch_tree *tree, const char *path)
{
        _cleanup_(freep) char *procs = NULL;
        int fd = tree_open_dir(tree, path, NULL);
        struct dirent *entry;
        DIR *dir;

        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (!dir) {
                (void)safe_close(fd);
                return -errno;
        }
        if (read_file_at(fd, "cgroup.procs", PROCS_MAX_BYTES, &procs, NULL) >= 0 && *procs) {
                (void)closedir(dir);
                return -EBUSY;
        }
        while ((entry = readdir(dir)))
                if (path_is_reserved(entry->d_name, strlen(entry->d_name)))
                        (void)unlinkat(fd, entry->d_name, 0);
        (void)closedir(dir);
        return 0;
}

static int count_entry(const ch_walk_entry *entry, void *userdata)
{
        (*(size_t *)userdata)++;
        return entry->depth > 0;
}

static int has_children(ch_tree *tree, const char *path)
{
        size_t n = 0;

        return ch_tree_walk(tree, path, count_entry, &n, NULL) >= 0 && n > 1;
}

static int remove_one(ch_tree *tree, const char *path, ch_error **err)
{
        _cleanup_(freep) char *parent = NULL;
        _cleanup_(closep) int fd = -EBADF;

        if (path_parent(path, &parent) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, path, "out of memory");
        fd = tree_open_dir(tree, parent, err);
        if (fd < 0)
                return fd;
        if ((tree->flags & CH_TREE_ANY_FS) &&
            (has_children(tree, path) || remove_fake_files(tree, path) == -EBUSY))
                return error_not_empty(tree, path, err);
        if (unlinkat(fd, strrchr(path, '/') + 1, AT_REMOVEDIR) == 0)
                return 0;
        switch (errno) {
        case ENOENT:
        case ENODEV:
        case ENOTDIR:
                return error_gone(err, path);
        case EBUSY:
        case ENOTEMPTY:
                return error_not_empty(tree, path, err);
        case EROFS:
                return error_set(err, CH_ERROR_READ_ONLY, EROFS, path,
                                 "the cgroup2 file system is mounted read-only: remount it with -o "
                                 "remount,rw");
        default:
                return error_errno(err, errno, path, "rmdir");
        }
}

/* 1 if processes live in the group or below it; then nothing at all is removed. */
static int is_populated(const ch_tree *tree, const char *path)
{
        _cleanup_(freep) char *events = NULL;

        return tree_read_file(tree, path, "cgroup.events", &events) >= 0 &&
               strstr(events, "populated 1") != NULL;
}

static int remove_recursive(ch_tree *tree, const char *path, ch_error **err)
{
        _cleanup_(path_list_done) PathList list = { 0 };
        int r = ch_tree_walk(tree, path, collect_path, &list, err);

        /* pre-order read backwards: children before their parents */
        for (size_t i = list.n; r >= 0 && i-- > 0;) {
                _cleanup_(error_freep) ch_error *error = NULL;

                r = remove_one(tree, list.paths[i], &error);
                if (r == -ENODEV && i > 0)
                        r = 0;
                else if (r < 0)
                        (void)error_copy(err, error);
        }
        return r;
}

_public_ int ch_tree_remove_group(ch_tree *tree, const char *path, uint64_t flags, ch_error **err)
{
        _cleanup_(closep) int fd = -EBADF;
        int r = ch_path_check(path, err);

        if (r < 0)
                return r;
        if (streq(path, "/"))
                return error_set(err, CH_ERROR_NOT_EMPTY, EBUSY, path,
                                 "the root cannot be removed");
        r = tree_check_writable(tree, path, err);
        if (r < 0)
                return r;
        fd = tree_open_dir(tree, path, err);
        if (fd < 0)
                return fd;
        if (is_populated(tree, path))
                return error_not_empty(tree, path, err);
        if (flags & CH_REMOVE_RECURSIVE)
                return remove_recursive(tree, path, err);
        return remove_one(tree, path, err);
}
