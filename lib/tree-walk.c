/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Visits all groups below one, in order, with one fd and no allocation per group. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "error.h"
#include "group.h"
#include "util.h"

/* A group directory with all controllers on has some 70 files and fits; so do 1,000 siblings. */
enum { DIRENT_BUFFER_BYTES = 64 << 10 };

/* One child as kept on the stack of names: the names of a level lie behind those of the level
 * above. */
typedef struct Child {
        uint64_t id;
        size_t name; /* offset in Walk.names */
} Child;

typedef struct Walk {
        ch_tree *tree;
        ch_walk_func func;
        void *userdata;
        ch_error **err;
        char *path;
        size_t path_length, path_allocated;
        char *names;
        size_t n_names, names_allocated;
        Child *children;
        size_t n_children, children_allocated;
        char *dirents;
} Walk;

/* The kernel's own layout; libc's readdir would cost a malloc and a DIR per group. */
struct linux_dirent64 {
        uint64_t d_ino;
        int64_t d_off;
        unsigned short d_reclen;
        unsigned char d_type;
        char d_name[];
};

static int push_child(Walk *walk, const char *name, uint64_t id)
{
        size_t length = strlen(name) + 1;

        if (array_reserve(&walk->names, &walk->names_allocated, walk->n_names + length, 1) < 0 ||
            array_reserve(&walk->children, &walk->children_allocated, walk->n_children + 1,
                          sizeof(Child)) < 0)
                return -ENOMEM;
        memcpy(walk->names + walk->n_names, name, length);
        walk->children[walk->n_children++] = (Child){ .id = id, .name = walk->n_names };
        walk->n_names += length;
        return 0;
}

static int is_child(int dir_fd, const struct linux_dirent64 *entry)
{
        struct stat st;

        if (entry->d_name[0] == '.' &&
            (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2])))
                return 0;
        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
        return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int by_name(const void *a, const void *b, void *names)
{
        return strcmp((char *)names + ((const Child *)a)->name,
                      (char *)names + ((const Child *)b)->name);
}

/* kernfs counts subdirectories in st_nlink: a leaf, as most groups are, need not be listed. */
static int is_leaf(const Walk *walk, int dir_fd)
{
        struct stat st;

        return !(walk->tree->flags & CH_TREE_ANY_FS) && fstat(dir_fd, &st) == 0 && st.st_nlink <= 2;
}

/* Pushes the children of a directory, sorted. */
static int list_children(Walk *walk, int dir_fd)
{
        size_t first = walk->n_children;

        if (is_leaf(walk, dir_fd))
                return 0;
        for (;;) {
                long n =
                        syscall(SYS_getdents64, dir_fd, walk->dirents, (size_t)DIRENT_BUFFER_BYTES);

                /* ENOENT: removed meanwhile */
                if (n == 0 || (n < 0 && (errno == ENOENT || errno == ENODEV)))
                        break;
                if (n < 0)
                        return -errno;
                for (long at = 0; at < n;) {
                        const struct linux_dirent64 *entry = (const void *)(walk->dirents + at);

                        at += entry->d_reclen;
                        if (is_child(dir_fd, entry) &&
                            push_child(walk, entry->d_name, entry->d_ino) < 0)
                                return -ENOMEM;
                }
        }
        if (walk->n_children - first > 1)
                qsort_r(walk->children + first, walk->n_children - first, sizeof(Child), by_name,
                        walk->names);
        return 0;
}

/* Appends "/name" to the path; the root's "/" is replaced. */
static int path_push(Walk *walk, const char *name)
{
        size_t length = strlen(name), at = walk->path_length == 1 ? 0 : walk->path_length;

        if (array_reserve(&walk->path, &walk->path_allocated, at + length + 2, 1) < 0)
                return -ENOMEM;
        walk->path[at] = '/';
        memcpy(walk->path + at + 1, name, length + 1);
        walk->path_length = at + 1 + length;
        return 0;
}

static void path_pop(Walk *walk, size_t length)
{
        walk->path_length = length;
        walk->path[length] = '\0';
        if (length == 1)
                walk->path[0] = '/';
}

static int visit(Walk *walk, int fd, uint64_t id, unsigned depth);

static int visit_child(Walk *walk, int dir_fd, size_t index, unsigned depth)
{
        _cleanup_(closep) int fd = -EBADF;
        size_t length = walk->path_length;
        int r;

        fd = open_beneath(dir_fd, walk->names + walk->children[index].name, 0);
        /* removed meanwhile, or no group: a symlink, a file system mounted upon it */
        if (fd == -ENOENT || fd == -ENODEV || fd == -ELOOP || fd == -EXDEV || fd == -ENOTDIR)
                return 0;
        if (fd < 0)
                return error_errno(walk->err, -fd, walk->path, "open of a child");
        r = path_push(walk, walk->names + walk->children[index].name);
        if (r < 0)
                return error_set(walk->err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        r = visit(walk, fd, walk->children[index].id, depth);
        path_pop(walk, length);
        return r;
}

/* The recursion is as deep as the tree, which a path's 4,095 bytes bound. */
static int visit(Walk *walk, int fd, uint64_t id, unsigned depth)
{
        ch_walk_entry entry = { .path = walk->path, .id = id, .fd = fd, .depth = depth };
        size_t first = walk->n_children, names = walk->n_names, end;
        int r = walk->func(&entry, walk->userdata);

        if (r != 0)
                return r < 0 ? r : 0;
        r = list_children(walk, fd);
        if (r < 0)
                return error_errno(walk->err, -r, walk->path, "listing");
        end = walk->n_children;
        for (size_t i = first; i < end && r >= 0; i++)
                r = visit_child(walk, fd, i, depth + 1);
        walk->n_children = first;
        walk->n_names = names;
        return r;
}

static void walk_done(Walk *walk)
{
        free(walk->path);
        free(walk->names);
        free(walk->children);
        free(walk->dirents);
}

_public_ int ch_tree_walk(ch_tree *tree, const char *start, ch_walk_func func, void *userdata,
                          ch_error **err)
{
        _cleanup_(walk_done) Walk walk = { .tree = tree, .func = func, .userdata = userdata };
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;
        int r = ch_path_check(start, err);

        if (r < 0)
                return r;
        walk.err = err;
        fd = tree_open_dir(tree, start, err);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, start, "stat");
        walk.dirents = malloc(DIRENT_BUFFER_BYTES);
        walk.path_length = strlen(start);
        if (!walk.dirents ||
            array_reserve(&walk.path, &walk.path_allocated, walk.path_length + 1, 1) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, start, "out of memory");
        memcpy(walk.path, start, walk.path_length + 1);
        return visit(&walk, fd, st.st_ino, 0);
}
