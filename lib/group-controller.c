/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Controllers: enabling them from the root down, and saying where one is missing. */

#include <stdio.h>

#include "error.h"
#include "group.h"
#include "mount.h"
#include "path.h"
#include "util.h"

static int error_unavailable(const ch_tree *tree, const char *path, const char *controller,
                             ch_error **err)
{
        _cleanup_(freep) char *advice = NULL;

        if (*tree->proc_prefix)
                return error_set(
                        err, CH_ERROR_CONTROLLER_OFF, EOPNOTSUPP, path,
                        "controller '%s' is not enabled for %s: whoever owns its parent has to "
                        "write +%s to cgroup.subtree_control there (systemd: Delegate=yes)",
                        controller, tree->root, controller);
        if (cgroup_v1_advice(controller, &advice) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, path, "out of memory");
        return error_set(err, CH_ERROR_CONTROLLER_OFF, EOPNOTSUPP, path,
                         "controller '%s' is not available in this hierarchy: %s", controller,
                         advice);
}

/* 1 if the group at `path` has the word in the file; an unreadable file has none. */
static int file_has_word(const ch_tree *tree, const char *path, const char *file, const char *word)
{
        _cleanup_(freep) char *text = NULL;

        return tree_read_file(tree, path, file, &text) >= 0 && words_contain(text, word);
}

/* Calls func for each ancestor of `path`, from the root down to the parent. < 0 stops. */
static int for_each_ancestor(const ch_tree *tree, const char *path, const char *controller,
                             int (*func)(const ch_tree *, const char *, const char *, ch_error **),
                             ch_error **err)
{
        _cleanup_(freep) char *copy = NULL;
        int r;

        if (streq(path, "/"))
                return 0;
        copy = strdup(path);
        if (!copy)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, path, "out of memory");
        r = func(tree, "/", controller, err);
        for (char *slash = strchr(copy + 1, '/'); slash && r >= 0; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                r = func(tree, copy, controller, err);
                *slash = '/';
        }
        return r;
}

static int check_ancestor(const ch_tree *tree, const char *ancestor, const char *controller,
                          ch_error **err)
{
        if (file_has_word(tree, ancestor, "cgroup.subtree_control", controller))
                return 0;
        return error_set(err, CH_ERROR_CONTROLLER_OFF, EOPNOTSUPP, ancestor,
                         "controller '%s' is not enabled for the groups in %s: write +%s to "
                         "%s%scgroup.subtree_control",
                         controller, ancestor, controller, ancestor, ancestor[1] ? "/" : "");
}

int error_controller_off(const ch_tree *tree, const char *path, const char *controller,
                         ch_error **err)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        int r;

        /* finding the words costs more than all the rest: only for those who want them */
        if (!err || *err)
                return -EOPNOTSUPP;
        if (!file_has_word(tree, "/", "cgroup.controllers", controller))
                return error_unavailable(tree, path, controller, err);
        r = for_each_ancestor(tree, path, controller, check_ancestor, &error);
        if (r >= 0)
                return error_set(err, CH_ERROR_CONTROLLER_OFF, EOPNOTSUPP, path,
                                 "controller '%s' is off", controller);
        if (r != -EOPNOTSUPP)
                return error_copy(err, error);
        return error_set(
                err, CH_ERROR_CONTROLLER_OFF, EOPNOTSUPP, path,
                "controller '%s' is not enabled for %s: write +%s to %s%scgroup.subtree_control",
                controller, path, controller, ch_error_get_path(error),
                ch_error_get_path(error)[1] ? "/" : "");
}

static int error_enable(int errnum, const char *ancestor, const char *controller, ch_error **err)
{
        const char *slash = ancestor[1] ? "/" : "";

        switch (errnum) {
        case EBUSY:
                return error_set(err, CH_ERROR_CONTROLLER_OFF, EBUSY, ancestor,
                                 "controller '%s' cannot be enabled in %s%scgroup.subtree_control: "
                                 "%s has processes of its own, or the controller is in use "
                                 "elsewhere: move them to a group below first",
                                 controller, ancestor, slash, ancestor);
        case EOPNOTSUPP:
                return error_set(err, CH_ERROR_CONTROLLER_OFF, EOPNOTSUPP, ancestor,
                                 "controller '%s' cannot be enabled in %s%scgroup.subtree_control: "
                                 "%s is threaded",
                                 controller, ancestor, slash, ancestor);
        case EROFS:
                return error_set(err, CH_ERROR_READ_ONLY, EROFS, ancestor,
                                 "the cgroup2 file system is mounted read-only: remount it with -o "
                                 "remount,rw");
        case EACCES:
        case EPERM:
                return error_set(err, CH_ERROR_NOT_PERMITTED, EACCES, ancestor,
                                 "%s%scgroup.subtree_control is not writable by this user",
                                 ancestor, slash);
        default:
                return error_errno(err, errnum, ancestor, "write of cgroup.subtree_control");
        }
}

static int enable_in(const ch_tree *tree, const char *ancestor, const char *controller,
                     ch_error **err)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;
        char text[64];
        int fd, r;

        if (file_has_word(tree, ancestor, "cgroup.subtree_control", controller))
                return 0;
        if (!file_has_word(tree, ancestor, "cgroup.controllers", controller))
                return error_controller_off(tree, ancestor, controller, err);
        fd = tree_open_dir(tree, ancestor, err);
        if (fd < 0)
                return fd;
        r = group_new((ch_tree *)tree, ancestor, fd, &group, err);
        if (r < 0)
                return r;
        snprintf(text, sizeof(text), "+%s", controller);
        r = ch_group_write_file(group, "cgroup.subtree_control", text, &error);
        if (r == -ENODEV)
                return error_copy(err, error);
        return r < 0 ? error_enable(-r, ancestor, controller, err) : 0;
}

static int enable_all_in(const ch_tree *tree, const char *ancestor, const char *unused,
                         ch_error **err)
{
        _cleanup_(freep) char *have = NULL;
        _cleanup_(freep) char *enabled = NULL;
        char *rest = NULL;

        if (tree_read_file(tree, ancestor, "cgroup.controllers", &have) < 0 ||
            tree_read_file(tree, ancestor, "cgroup.subtree_control", &enabled) < 0)
                return 0;
        for (char *word = strtok_r(have, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
                if (!words_contain(enabled, word))
                        (void)enable_in(tree, ancestor, word, NULL);
        return 0;
}

void tree_enable_all(const ch_tree *tree, const char *path)
{
        (void)for_each_ancestor(tree, path, NULL, enable_all_in, NULL);
}

static int is_controller_name(const char *name)
{
        size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789");

        return length > 0 && length < 32 && name[length] == '\0';
}

_public_ int ch_group_enable_controller(ch_group *group, const char *controller, ch_error **err)
{
        int r;

        if (!is_controller_name(controller))
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, group->path,
                                 "'%.40s' is not a controller's name", controller);
        r = tree_check_writable(group->tree, group->path, err);
        return r < 0 ? r : for_each_ancestor(group->tree, group->path, controller, enable_in, err);
}

static const char *missing_hint(const ch_attr *attr)
{
        if (attr->type == CH_ATTR_PSI || streq(attr->file, "cgroup.pressure"))
                return ", CONFIG_PSI, and psi=1 on the command line where pressure is off by "
                       "default";
        return " built with what it takes";
}

int error_file_missing(ch_group *group, const ch_attr *attr, ch_error **err)
{
        _cleanup_(freep) char *controllers = NULL;
        int is_root;

        if (group_is_gone(group->tree, group->fd))
                return error_gone(err, group->path);
        if (!streq(attr->controller, "cgroup") &&
            read_file_at(group->fd, "cgroup.controllers", 4096, &controllers, NULL) >= 0 &&
            !words_contain(controllers, attr->controller))
                return error_controller_off(group->tree, group->path, attr->controller, err);
        /* the root of the whole hierarchy alone has no cgroup.type */
        is_root = streq(group->path, "/") && faccessat(group->fd, "cgroup.type", F_OK, 0) < 0;
        if (is_root && (attr->flags & CH_ATTR_NOT_ROOT))
                return error_set(
                        err, CH_ERROR_NOT_SUPPORTED, EOPNOTSUPP, group->path,
                        "the root of the hierarchy has no %s: it exists in groups below only",
                        attr->file);
        if (!is_root && (attr->flags & CH_ATTR_ROOT_ONLY))
                return error_set(err, CH_ERROR_NOT_SUPPORTED, EOPNOTSUPP, group->path,
                                 "%s exists in the root of the hierarchy only", attr->file);
        return error_set(err, CH_ERROR_NOT_SUPPORTED, EOPNOTSUPP, group->path,
                         "this kernel has no %s: it needs Linux %s or later%s", attr->file,
                         attr->since, missing_hint(attr));
}
