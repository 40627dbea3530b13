/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides who may act on groups and processes. */

#include <fcntl.h>
#include <sys/stat.h>

#include "access.h"
#include "auth.h"
#include "error.h"
#include "util.h"

/* 1 the uid owns the directory, 0 it does not, or there is no such group. */
static int owns_one(ch_tree *tree, const char *path, uint32_t uid, uint32_t *ret_owner)
{
        struct stat st;
        ch_group *group;
        int r;

        if (ch_tree_open_group(tree, path, &group, NULL) < 0)
                return 0;
        r = fstat(ch_group_get_fd(group), &st);
        ch_group_unref(group);
        if (r < 0)
                return 0;
        if (*ret_owner == UINT32_MAX)
                *ret_owner = st.st_uid;
        return st.st_uid == uid;
}

/* The parent's path in place; 0 when it was the root. */
static int cut_last(char *path)
{
        char *slash = strrchr(path, '/');

        if (streq(path, "/"))
                return 0;
        slash[slash == path] = '\0';
        return 1;
}

/* Does the uid own the group or one above it? The owner of the nearest that exists, for the
 * message. */
static int owns(ch_tree *tree, const char *path, uint32_t uid, uint32_t *ret_owner)
{
        _cleanup_(freep) char *at = strdup(path);

        *ret_owner = UINT32_MAX;
        if (!at)
                return 0;
        do {
                if (owns_one(tree, at, uid, ret_owner))
                        return 1;
        } while (cut_last(at));
        return 0;
}

int access_check_group(ch_tree *tree, const char *path, uint32_t uid, ch_error **err)
{
        uint32_t owner;

        if (uid_is_master(uid) || owns(tree, path, uid, &owner))
                return 0;
        return error_set(err, CH_ERROR_NOT_PERMITTED, 0, path,
                         "belongs to uid %u: only root and the owner of it or of a group above it "
                         "may do this, not uid %u",
                         owner, uid);
}

int access_check_settings(ch_tree *tree, const char *path, const ch_setting *settings, size_t n,
                          uint32_t uid, ch_error **err)
{
        _cleanup_(freep) char *above = strdup(path);
        uint32_t owner;
        ch_group *group;
        int r;

        if (uid_is_master(uid) || (above && cut_last(above) && owns(tree, above, uid, &owner)))
                return 0;
        r = ch_tree_open_group(tree, path, &group, err);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct stat st;

                if (fstatat(ch_group_get_fd(group), settings[i].attr->file, &st,
                            AT_SYMLINK_NOFOLLOW) >= 0 &&
                    st.st_uid == uid)
                        continue;
                r = error_set(err, CH_ERROR_NOT_PERMITTED, 0, path,
                              "%s belongs to who delegated the group: only root "
                              "and the owner of a group above it may set it, not uid %u",
                              settings[i].attr->name, uid);
        }
        ch_group_unref(group);
        return r;
}

int access_check_processes(const ch_procset *set, uint32_t uid, ch_error **err)
{
        if (uid_is_master(uid))
                return 0;
        for (size_t i = 0; i < ch_procset_size(set); i++) {
                const ch_process *process = ch_procset_get(set, i);

                if (process->uid != uid && !(process->flags & CH_PROCESS_EXITED))
                        return error_set(err, CH_ERROR_NOT_PERMITTED, 0, NULL,
                                         "process %d (%s) runs as uid %u: only root "
                                         "and that uid may do this, not uid %u",
                                         (int)process->pid, process->comm, process->uid, uid);
        }
        return 0;
}

int access_check_members(ch_tree *tree, const char *path, uint32_t uid, ch_error **err)
{
        ch_procset *set = NULL;
        ch_group *group = NULL;
        int r;

        if (uid_is_master(uid))
                return 0;
        r = ch_tree_open_group(tree, path, &group, err);
        if (r >= 0)
                r = ch_procset_new(&set);
        if (r >= 0)
                r = ch_procset_add_group(set, group, 1, err);
        if (r >= 0)
                r = access_check_processes(set, uid, err);
        ch_procset_free(set);
        ch_group_unref(group);
        return r;
}

int access_check_inside(ch_tree *tree, const ch_procset *set, ch_error **err)
{
        for (size_t i = 0; i < ch_procset_size(set); i++) {
                _cleanup_(freep) char *path = NULL;
                pid_t pid = ch_procset_get(set, i)->pid;

                if (ch_tree_path_of_pid(tree, pid, &path, NULL) == -EXDEV)
                        return error_set(err, CH_ERROR_FOREIGN, 0, NULL,
                                         "process %d is outside the delegated subtree: "
                                         "its own manager must hand it over first",
                                         (int)pid);
        }
        return 0;
}

int access_check_move(ch_tree *tree, const ch_procset *set, const char *target, uint32_t uid,
                      ch_error **err)
{
        int r;

        if (uid_is_master(uid))
                return 0;
        r = access_check_group(tree, target, uid, err);
        if (r >= 0)
                r = access_check_processes(set, uid, err);
        for (size_t i = 0; r >= 0 && i < ch_procset_size(set); i++) {
                const ch_process *process = ch_procset_get(set, i);
                _cleanup_(freep) char *path = NULL, *common = NULL;
                uint32_t owner;

                r = ch_tree_path_of_pid(tree, process->pid, &path, err);
                if (r == -ESRCH) {
                        r = 0;
                        continue;
                }
                if (r >= 0)
                        r = ch_path_lca(path, target, &common);
                if (r >= 0 && !owns(tree, common, uid, &owner))
                        r = error_set(err, CH_ERROR_NOT_PERMITTED, 0, path,
                                      "process %d is to leave it for '%s': that takes "
                                      "the owner of '%s', the group above both (uid %u), or root, "
                                      "not uid %u",
                                      (int)process->pid, target, common, owner, uid);
        }
        return r;
}
