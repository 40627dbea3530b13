/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_GROUP_H
#define CH_LIB_GROUP_H

/* Trees and groups as the library holds them. The public face is include/chargehand/tree.h. */

#include <chargehand/tree.h>

struct ch_tree {
        unsigned refs; /* atomic */
        int fd;
        uint64_t flags;
        char *root;        /* as given, absolute */
        char *real_root;   /* as the kernel names it: /proc/self/fd/N */
        char *prefix;      /* below the mount, "" or "/x" */
        char *proc_prefix; /* what /proc/PID/cgroup shows for our root, "" or "/x" */
};

struct ch_group {
        unsigned refs; /* atomic */
        ch_tree *tree;
        char *path;
        int fd;
        uint64_t id;
};

/* Directory of a group path that has passed ch_path_check(), never out of the tree: the fd. */
int tree_open_dir(const ch_tree *tree, const char *path, ch_error **err);
/* The same for a name in a directory, -errno and no words. */
int open_beneath(int dir_fd, const char *name, uint64_t flags);
/* Takes the fd over, also on failure. */
int group_new(ch_tree *tree, const char *path, int fd, ch_group **ret, ch_error **err);
/* A group at this path, checked and opened; also for internal callers that hold no group. */
int tree_check_writable(const ch_tree *tree, const char *path, ch_error **err);

/* 1 if the directory behind the fd was removed. cgroupfs says ENOENT for everything in it, and
 * ENODEV for what was open. */
int group_is_gone(const ch_tree *tree, int fd);
int error_gone(ch_error **err, const char *path);

/* Where in the tree the group is that the text of /proc/PID/cgroup names; cuts the text. As ch_tree_path_of_pid(). */
int tree_path_in_text(const ch_tree *tree, pid_t pid, char *text, const char **ret, ch_error **err);

/* Words of a one-line file such as cgroup.controllers. */
int words_contain(const char *words, const char *word);
/* A file of the group at `path` (opened for the purpose); caller frees. */
int tree_read_file(const ch_tree *tree, const char *path, const char *file, char **ret);

/* Why an interface file of a controller is not there; fills the error and returns its -errno. */
int error_file_missing(ch_group *group, const ch_attr *attr, ch_error **err);
/* Enables in every ancestor of `path` what it can; a controller that cannot be (in use by v1,
 * processes in an inner group) is no error. */
void tree_enable_all(const ch_tree *tree, const char *path);
/* Names the first ancestor whose cgroup.subtree_control lacks the controller. -EOPNOTSUPP. */
int error_controller_off(const ch_tree *tree, const char *path, const char *controller,
                         ch_error **err);

static inline void ch_tree_unrefp(ch_tree **tree)
{
        ch_tree_unref(*tree);
}

static inline void ch_group_unrefp(ch_group **group)
{
        ch_group_unref(*group);
}

#endif
