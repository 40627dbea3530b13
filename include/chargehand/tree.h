/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_TREE_H
#define CHARGEHAND_TREE_H

/*
 * A cgroup v2 hierarchy (or the subtree that is ours) and its groups. A group is held as a directory
 * fd and named by its path from the tree's root, "/" or "/web/api". All look-ups are done with
 * openat2(RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV) from the root's fd.
 *
 * Thread rule: a ch_tree is immutable after open and may be used from several threads; a ch_group has an
 * atomic reference count, its functions may be called from any thread.
 * A group that is gone is always -ENODEV (CH_ERROR_NO_SUCH_GROUP), an ordinary result.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <chargehand/attr.h>
#include <chargehand/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ch_tree ch_tree;
typedef struct ch_group ch_group;

enum {
        CH_TREE_ANY_FS    = 1 << 0, /* do not insist on cgroup2: tests on a plain directory; the groups of
                                       processes are still those of the real hierarchy */
        CH_TREE_READ_ONLY = 1 << 1, /* refuse all writes with CH_ERROR_READ_ONLY */
};

/* Open a hierarchy by the absolute path of its root directory; NULL looks the cgroup2 mount up
 * (libcgroup, /proc/self/mountinfo). Errors: -ENODEV no cgroup2 mount (the cause says whether this is a
 * cgroup v1 host and which mount option helps), -ENOTDIR, -EINVAL not cgroup2, -EACCES. */
int ch_tree_open(const char *root, uint64_t flags, ch_tree **ret, ch_error **err);
ch_tree *ch_tree_ref(ch_tree *tree);
ch_tree *ch_tree_unref(ch_tree *tree);
int ch_tree_get_fd(const ch_tree *tree);                /* directory fd, not to be closed */
const char *ch_tree_get_root(const ch_tree *tree);      /* absolute path of the root directory */
uint64_t ch_tree_get_flags(const ch_tree *tree);
/* Path of this tree's root below the cgroup2 mount, "" when it is the mount itself. */
const char *ch_tree_get_prefix(const ch_tree *tree);

/* Is the text a group path? Refuses relative, empty, "..", "//", over 4,095 bytes or a component over
 * 255, control characters, invalid UTF-8, and names that cgroupfs reserves ("cgroup.x", "memory.x"…).
 * -EINVAL with the reason. Pure. */
int ch_path_check(const char *path, ch_error **err);
/* 1 if `path` is `ancestor` or below it, else 0. Pure. */
int ch_path_is_below(const char *path, const char *ancestor);
/* Lowest common ancestor of two group paths, caller frees. */
int ch_path_lca(const char *a, const char *b, char **ret);

/* Open a group. -ENODEV where there is none, -EINVAL bad path, -ELOOP/-EXDEV symlink or mount out. */
int ch_tree_open_group(ch_tree *tree, const char *path, ch_group **ret, ch_error **err);
/* By the id that kpagecgroup shows (inode number): open_by_handle_at, O(1); -ENODEV where no live group
 * of this tree has it (CH_TREE_ANY_FS: searched). */
int ch_tree_open_group_by_id(ch_tree *tree, uint64_t id, ch_group **ret, ch_error **err);
/* The group of a process (/proc/PID/cgroup). -ESRCH, -EXDEV when outside this tree, -ENODEV for a zombie
 * that outlived its group. */
int ch_tree_open_group_of_pid(ch_tree *tree, pid_t pid, ch_group **ret, ch_error **err);
/* The path of a process's group within the tree, without opening it. Caller frees. Same errors. */
int ch_tree_path_of_pid(ch_tree *tree, pid_t pid, char **ret, ch_error **err);

enum {
        CH_CREATE_PARENTS  = 1 << 0, /* make missing ancestors */
        CH_CREATE_EXIST_OK = 1 << 1, /* an existing group is no error; returns 0 instead of 1 */
        CH_CREATE_CONTROLLERS = 1 << 2, /* enable in every ancestor all controllers that the tree's root has
                                           enabled or can enable; failures to enable are not errors */
};
/* mkdir. Returns 1 created, 0 was there (EXIST_OK). -EEXIST, -ENODEV parent missing, -EROFS, -EACCES,
 * -EAGAIN (cgroup.max.descendants or depth reached: names the file; CH_ERROR_LIMIT_REACHED). A creation that fails half-way removes
 * what it made. */
int ch_tree_create_group(ch_tree *tree, const char *path, uint64_t flags, ch_group **ret, ch_error **err);

enum { CH_REMOVE_RECURSIVE = 1 << 0 };
/* rmdir, bottom-up if recursive. May block in the kernel: call it from a worker. -EBUSY processes or
 * children are left (says how many and where), -ENODEV, -EBUSY for the root. */
int ch_tree_remove_group(ch_tree *tree, const char *path, uint64_t flags, ch_error **err);

typedef struct ch_walk_entry {
        const char *path;       /* group path within the tree */
        uint64_t id;            /* inode number = kpagecgroup id */
        int fd;                 /* directory fd, valid during the callback only */
        unsigned depth;         /* 0 for the start */
} ch_walk_entry;
/* < 0 stops the walk with that error, > 0 skips the children, 0 goes on. */
typedef int (*ch_walk_func)(const ch_walk_entry *entry, void *userdata);
/* Pre-order, siblings in byte order of their names; groups that vanish meanwhile are passed over. Linear in the
 * number of groups, holds one fd per level. */
int ch_tree_walk(ch_tree *tree, const char *start, ch_walk_func func, void *userdata, ch_error **err);

ch_group *ch_group_ref(ch_group *group);
ch_group *ch_group_unref(ch_group *group);
ch_tree *ch_group_get_tree(const ch_group *group);
const char *ch_group_get_path(const ch_group *group);
int ch_group_get_fd(const ch_group *group);
uint64_t ch_group_get_id(const ch_group *group);

/* Read and parse an attribute. -ENODEV group gone, -EOPNOTSUPP controller off (the cause names the
 * controller and the cgroup.subtree_control file of the parent that enables it) or newer than this kernel. Reading does
 * not block, but memory.stat may flush per-CPU statistics. */
int ch_group_read(ch_group *group, const ch_attr *attr, ch_value *ret, ch_error **err);
/* Write one attribute. With CH_ATTR_BLOCKS it may block for long (reclaim): O_NONBLOCK is used where the kernel
 * knows it (`nonblock` != 0). Errors as ch_group_read, and -ERANGE, -EINVAL, -EROFS, -EACCES, -EBUSY. */
int ch_group_write(ch_group *group, const ch_attr *attr, const ch_value *value, int nonblock, ch_error **err);

typedef struct ch_setting {
        const ch_attr *attr;
        ch_value value;
} ch_setting;
/* Several attributes, all or nothing (-EINVAL for CH_ATTR_PLACEMENT, which are no settings): all are checked first, old values read, written in order; if one
 * fails the ones before are put back. Returns the number of files whose content was changed (equal ones are not
 * written). The error names the attribute that failed, and those that could not be put back if any. */
int ch_group_write_all(ch_group *group, const ch_setting *settings, size_t n, ch_error **err);

/* The whole content of an interface file as text (caller frees), by file name. Bounded at 4 MiB. */
int ch_group_read_file(ch_group *group, const char *file, char **ret, size_t *ret_size, ch_error **err);
/* One write() of `text` to an interface file; raw, for cgroup.procs and the like. */
int ch_group_write_file(ch_group *group, const char *file, const char *text, ch_error **err);
/* Pids in cgroup.procs (caller frees); 0 for a process of another pid namespace is passed over. */
int ch_group_read_procs(ch_group *group, pid_t **ret, size_t *ret_n, ch_error **err);

typedef struct ch_group_state {
        int populated;          /* cgroup.events; members here or below */
        int frozen;             /* cgroup.events: really frozen */
        int threaded;           /* cgroup.type is threaded or domain invalid */
        int has_children;
        int is_root;            /* of the whole hierarchy */
        char *controllers;      /* cgroup.controllers, as one line */
        char *subtree_control;  /* cgroup.subtree_control */
} ch_group_state;
int ch_group_read_state(ch_group *group, ch_group_state *ret, ch_error **err);
void ch_group_state_done(ch_group_state *state);

/* Enable a controller for this group: writes +NAME to cgroup.subtree_control of each ancestor from the
 * tree's root down. Never disables one. -EOPNOTSUPP names the first ancestor that lacks it. */
int ch_group_enable_controller(ch_group *group, const char *controller, ch_error **err);

#ifdef __cplusplus
}
#endif
#endif
