/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes, adopts, delegates and removes groups. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "create.h"
#include "control.h"
#include "error.h"
#include "mark.h"
#include "util.h"

/* What a delegatee must own, where the kernel does not say it itself. */
#define DELEGATE_FILES "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n"

static int chown_one(int dir_fd, const char *name, uint32_t uid, uint32_t gid)
{
        uid_t to_uid = uid == UINT32_MAX ? (uid_t)-1 : uid;
        gid_t to_gid = gid == UINT32_MAX ? (gid_t)-1 : gid;

        return fchownat(dir_fd, name, to_uid, to_gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0
                       ? -errno
                       : 0;
}

static int delegate(ch_group *group, uint32_t uid, uint32_t gid, ch_error **err)
{
        _cleanup_(freep) char *text = NULL;
        int fd = ch_group_get_fd(group), r;
        char *rest, *name;

        if (read_file_at(AT_FDCWD, "/sys/kernel/cgroup/delegate", 4096, &text, NULL) < 0)
                text = strdup(DELEGATE_FILES);
        r = text ? chown_one(fd, "", uid, gid) : -ENOMEM;
        for (rest = text; r >= 0 && (name = strsep(&rest, "\n"));) {
                r = *name ? chown_one(fd, name, uid, gid) : 0;
                if (r == -ENOENT)
                        r = 0; /* of a controller that is off */
        }
        return r < 0 ? error_errno(err, r, ch_group_get_path(group), "chown") : 0;
}

/* As if the uid had made the group itself: all files are its own. */
static int give_all(ch_group *group, uint32_t uid, ch_error **err)
{
        int fd = openat(ch_group_get_fd(group), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!directory) {
                r = -errno;
                safe_close(fd);
                return error_errno(err, r, ch_group_get_path(group), "open");
        }
        while (r >= 0 && (entry = readdir(directory)))
                if (entry->d_type == DT_REG)
                        r = chown_one(fd, entry->d_name, uid, UINT32_MAX);
        if (r >= 0)
                r = chown_one(fd, "", uid, UINT32_MAX);
        (void)closedir(directory);
        return r < 0 ? error_errno(err, r, ch_group_get_path(group), "chown") : 0;
}

int create_apply(ch_group *group, const ch_setting *settings, size_t n, int dry_run, ch_error **err)
{
        int r;

        for (size_t i = 0; i < n; i++) {
                r = ch_value_check(settings[i].attr, &settings[i].value, err);
                if (r < 0)
                        return r;
        }
        if (dry_run || n == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                const char *controller = settings[i].attr->controller;

                if (streq(controller, "cgroup") ||
                    faccessat(ch_group_get_fd(group), settings[i].attr->file, F_OK, 0) >= 0)
                        continue;
                /* whether it worked is seen at the write, whose error names the file */
                (void)ch_group_enable_controller(group, controller, NULL);
        }
        return ch_group_write_all(group, settings, n, err);
}

/* What the settings make of memory.max; NULL: nothing. */
static const uint64_t *find_max(const ch_setting *settings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (streq(settings[i].attr->id, "MEMORY_MAX"))
                        return &settings[i].value.number;
        return NULL;
}

static int set_up(ch_group *group, const CreateOptions *options, const ch_setting *settings,
                  size_t n, ch_error **err)
{
        uint64_t claimed_before = 0;
        int r = 0;

        /* first, as it can be taken back */
        if (options->claims)
                r = claims_take(options->claims, group, options->claim_bytes,
                                find_max(settings, n), &claimed_before, err);
        if (r < 0)
                return r;
        /* without extended attributes the mark lives in nothing: the group counts as foreign after
         * a restart */
        (void)mark_set_managed(ch_group_get_fd(group));
        r = create_apply(group, settings, n, 0, err);
        if (r >= 0 && options->owner != UINT32_MAX)
                r = give_all(group, options->owner, err);
        if (r >= 0 && (options->uid != UINT32_MAX || options->gid != UINT32_MAX))
                r = delegate(group, options->uid, options->gid, err);
        if (r < 0 && options->claims)
                claims_put_back(options->claims, group, claimed_before);
        return r;
}

static int check_only(ch_tree *tree, const char *path, const CreateOptions *options,
                      const ch_setting *settings, size_t n, ch_error **err)
{
        _cleanup_(freep) char *parent = NULL;
        ch_group *group;
        int r;

        for (size_t i = 0; i < n; i++) {
                r = ch_value_check(settings[i].attr, &settings[i].value, err);
                if (r < 0)
                        return r;
        }
        if (options->claims) {
                r = claims_check(options->claims, path, options->claim_bytes,
                                 find_max(settings, n), err);
                if (r < 0)
                        return r;
        }
        if (ch_tree_open_group(tree, path, &group, NULL) >= 0) {
                ch_group_unref(group);
                return options->exist_ok
                               ? 0
                               : error_set(err, CH_ERROR_GROUP_EXISTS, 0, path, "is there already");
        }
        if (options->parents)
                return 1;
        parent = strndup(path, (size_t)(strrchr(path, '/') - path));
        r = ch_tree_open_group(tree, parent && *parent ? parent : "/", &group, err);
        if (r < 0)
                return r;
        ch_group_unref(group);
        return 1;
}

/* Length of the shortest leading part of the path that is no group yet; the whole length where only
 * the last is missing or none. */
static size_t first_missing(ch_tree *tree, const char *path)
{
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                _cleanup_(freep) char *part = strndup(path, (size_t)(slash - path));
                ch_group *group;

                if (part && ch_tree_open_group(tree, part, &group, NULL) < 0)
                        return (size_t)(slash - path);
                if (part)
                        ch_group_unref(group);
        }
        return strlen(path);
}

/* The ancestors that were made along the way get mark and owner too. */
static int set_up_ancestors(ch_tree *tree, const char *path, size_t from,
                            const CreateOptions *options, ch_error **err)
{
        int r = 0;

        for (const char *slash = strchr(path + from, '/'); r >= 0 && slash;
             slash = strchr(slash + 1, '/')) {
                _cleanup_(freep) char *part = strndup(path, (size_t)(slash - path));
                CreateOptions bare = { .uid = UINT32_MAX,
                                       .gid = UINT32_MAX,
                                       .owner = options->owner };
                ch_group *group;

                r = part ? ch_tree_open_group(tree, part, &group, err) : -ENOMEM;
                if (r < 0)
                        return r;
                r = set_up(group, &bare, NULL, 0, err);
                ch_group_unref(group);
        }
        return r;
}

/* Takes away what was made: the group and its ancestors from the one of length `from` down, as far
 * as they are empty. */
static void undo(ch_tree *tree, const char *path, size_t from)
{
        _cleanup_(freep) char *at = strdup(path);

        while (at && strlen(at) >= from && ch_tree_remove_group(tree, at, 0, NULL) >= 0)
                *strrchr(at, '/') = '\0';
}

int create_group(ch_tree *tree, const char *path, const CreateOptions *options,
                 const ch_setting *settings, size_t n, ch_error **err)
{
        uint64_t flags = (options->parents ? CH_CREATE_PARENTS : 0) |
                         (options->exist_ok ? CH_CREATE_EXIST_OK : 0) |
                         (options->controllers ? CH_CREATE_CONTROLLERS : 0);
        ch_group *group;
        size_t from;
        int made, r;

        r = ch_path_check(path, err);
        if (r < 0)
                return r;
        if (options->dry_run)
                return check_only(tree, path, options, settings, n, err);
        from = first_missing(tree, path);
        made = ch_tree_create_group(tree, path, flags, &group, err);
        if (made < 0)
                return made;
        r = set_up_ancestors(tree, path, from, options, err);
        if (r >= 0)
                r = set_up(group, options, settings, n, err);
        ch_group_unref(group);
        if (r < 0 && made > 0)
                undo(tree, path, from);
        return r < 0 ? r : made;
}

/* Is the group, or one above it, ours? */
static int is_managed(ch_tree *tree, const char *path)
{
        _cleanup_(freep) char *at = strdup(path);

        while (at && !streq(at, "/")) {
                ch_group *group;
                int managed = 0;

                if (ch_tree_open_group(tree, at, &group, NULL) >= 0) {
                        managed = mark_is_managed(ch_group_get_fd(group));
                        ch_group_unref(group);
                }
                if (managed)
                        return 1;
                at[strrchr(at, '/') == at ? 1 : strrchr(at, '/') - at] = '\0';
        }
        return 0;
}

int create_remove(ch_tree *tree, const char *path, int recursive, int dry_run, ch_error **err)
{
        ch_group_state state = { 0 };
        ch_group *group;
        int r;

        r = ch_tree_open_group(tree, path, &group, err);
        if (r < 0)
                return r;
        if (streq(path, "/"))
                r = error_set(err, CH_ERROR_NOT_EMPTY, 0, path,
                              "the root of the hierarchy cannot be removed");
        else if (!is_managed(tree, path))
                r = error_set(err, CH_ERROR_FOREIGN, 0, path,
                              "was not made by Chargehand, nor was a group above it: adopt "
                              "it first (CreateGroup with exist_ok), or remove it with rmdir");
        else if (dry_run)
                r = ch_group_read_state(group, &state, err);
        if (r >= 0 && dry_run && (state.populated || (state.has_children && !recursive)))
                r = error_set(err, CH_ERROR_NOT_EMPTY, 0, path,
                              state.populated ? "processes are left in it or below"
                                              : "groups are left below it");
        ch_group_state_done(&state);
        ch_group_unref(group);
        if (r < 0 || dry_run)
                return r;
        return ch_tree_remove_group(tree, path, recursive ? CH_REMOVE_RECURSIVE : 0, err);
}
