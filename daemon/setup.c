/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts in place what the daemon needs: limits, locks, the hierarchy, controllers. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "error.h"
#include "log.h"
#include "setup.h"
#include "util.h"

/* The group of the daemon itself below a delegated subtree */
#define LEAF "/chargehandd"

void setup_raise_nofile(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                log_warning("RLIMIT_NOFILE cannot be raised to %llu: %s",
                            (unsigned long long)limit.rlim_max, strerror(errno));
}

static int make_directories(const char *path)
{
        _cleanup_(freep) char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return mkdir(copy, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int setup_state(Manager *manager, ch_error **err)
{
        const char *path = manager->conf->state_directory;
        int r;

        if (!path)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL, "StateDirectory= is empty");
        r = make_directories(path);
        if (r < 0)
                return error_errno(err, r, path, "making the state directory");
        manager->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (manager->state_fd < 0)
                return error_errno(err, errno, path, "open of the state directory");
        manager->lock_fd =
                openat(manager->state_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (manager->lock_fd < 0)
                return error_errno(err, errno, path, "open of the lock");
        if (flock(manager->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(err, CH_ERROR_BUSY, 0, path,
                                 "another chargehandd uses this state directory: end it first, or "
                                 "give another with --state");
        return 0;
}

static int find_delegated_root(char **ret, ch_error **err)
{
        _cleanup_(freep) char *path = NULL;
        ch_tree *mount;
        size_t length;
        int r;

        r = ch_tree_open(NULL, 0, &mount, err);
        if (r < 0)
                return r;
        r = ch_tree_path_of_pid(mount, getpid(), &path, err);
        if (r >= 0) {
                length = strlen(path);
                if (length > strlen(LEAF) && streq(path + length - strlen(LEAF), LEAF))
                        path[length - strlen(LEAF)] = '\0';
                if (streq(path, "/") || streq(path, ""))
                        r = error_set(err, CH_ERROR_BAD_VALUE, EINVAL, "/",
                                      "mode 'delegated' needs a group of its own, and "
                                      "chargehandd is in the root: start it as a service with "
                                      "Delegate=yes, or use mode 'root'");
                else
                        r = asprintf(ret, "%s%s", ch_tree_get_root(mount), path) < 0 ? -ENOMEM : 0;
        }
        ch_tree_unref(mount);
        return r;
}

static int find_root(const Conf *conf, char **ret, ch_error **err)
{
        *ret = NULL;
        if (conf->root) {
                *ret = strdup(conf->root);
                return *ret ? 0 : -ENOMEM;
        }
        if (conf->mode == MODE_PRIVATE)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "mode 'private' needs a directory: Root= or --root");
        if (conf->mode == MODE_DELEGATED)
                return find_delegated_root(ret, err);
        if (access(SYSTEMD_DIRECTORY, F_OK) == 0 && access(SYSTEMD_DIRECTORY_MARK, F_OK) < 0)
                return error_set(err, CH_ERROR_FOREIGN, 0, "/",
                                 "systemd runs here and owns the hierarchy: use mode "
                                 "'delegated' (the shipped unit does), or name a subtree that is "
                                 "yours with --root");
        return 0;
}

int setup_tree(Manager *manager, ch_error **err)
{
        _cleanup_(freep) char *root = NULL;
        int r;

        r = find_root(manager->conf, &root, err);
        if (r >= 0)
                r = ch_tree_open(root, manager->options.any_fs ? CH_TREE_ANY_FS : 0, &manager->tree,
                                 err);
        if (r < 0)
                return r;
        /* flock is per open file: not on the tree's own fd, which is shared with nobody but lives
         * by reference */
        manager->root_lock_fd =
                open(ch_tree_get_root(manager->tree), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (manager->root_lock_fd < 0)
                return error_errno(err, errno, ch_tree_get_root(manager->tree), "open");
        if (flock(manager->root_lock_fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(err, CH_ERROR_BUSY, 0, ch_tree_get_root(manager->tree),
                                 "another chargehandd owns this hierarchy: end it first, or give "
                                 "another with --root");
        return 0;
}

static int leave_root(Manager *manager, ch_error **err)
{
        _cleanup_(freep) char *path = NULL;
        ch_group *leaf;
        char pid[16];
        int r;

        if (manager->conf->mode != MODE_DELEGATED ||
            ch_tree_path_of_pid(manager->tree, getpid(), &path, NULL) < 0 || !streq(path, "/"))
                return 0;
        r = ch_tree_create_group(manager->tree, LEAF, CH_CREATE_EXIST_OK, &leaf, err);
        if (r < 0)
                return r;
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        r = ch_group_write_file(leaf, "cgroup.procs", pid, err);
        ch_group_unref(leaf);
        return r;
}

static int has_word(const char *list, const char *word, size_t length)
{
        for (const char *p = list; p && *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (n == length && strncmp(p, word, n) == 0)
                        return 1;
                p += n;
        }
        return 0;
}

static void enable(ch_group *root, const char *word, size_t length)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        char text[64];

        snprintf(text, sizeof(text), "+%.*s", (int)length, word);
        if (ch_group_write_file(root, "cgroup.subtree_control", text, &error) < 0)
                log_warning("controller '%.*s' cannot be enabled for the groups below %s: %s",
                            (int)length, word, ch_tree_get_root(ch_group_get_tree(root)),
                            ch_error_get_cause(error));
}

int setup_controllers(Manager *manager, ch_error **err)
{
        const char *wanted = manager->conf->controllers;
        ch_group_state state = { 0 };
        ch_group *root;
        int r;

        r = leave_root(manager, err);
        if (r >= 0)
                r = ch_tree_open_group(manager->tree, "/", &root, err);
        if (r < 0)
                return r;
        r = ch_group_read_state(root, &state, err);
        for (const char *p = state.controllers; r >= 0 && p && *p && !streq(wanted, "none");
             p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if ((streq(wanted, "all") || has_word(wanted, p, n)) &&
                    !has_word(state.subtree_control, p, n))
                        enable(root, p, n);
                p += n;
        }
        ch_group_state_done(&state);
        ch_group_unref(root);
        return r;
}

void setup_tell_missing(const Manager *manager)
{
        for (int i = 0; i < CH_FEATURE_MAX_; i++)
                if (!ch_probe_has(&manager->probe, (ch_feature)i))
                        log_info("not available here: %s: %s", ch_feature_to_name((ch_feature)i),
                                 ch_feature_get_advice((ch_feature)i));
}
