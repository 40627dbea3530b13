/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One group: its fd, path and id, its files as text, its state, its controllers. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "group.h"
#include "path.h"
#include "util.h"

enum { FILE_MAX_BYTES = 4 << 20 };

int group_new(ch_tree *tree, const char *path, int fd, ch_group **ret, ch_error **err)
{
        ch_group *group = calloc(1, sizeof(*group));
        char *copy = strdup(path);
        struct stat st;

        if (!group || !copy || fstat(fd, &st) < 0) {
                free(group);
                free(copy);
                (void)safe_close(fd);
                return error_set(err, CH_ERROR_NO_MEMORY, 0, path, "out of memory");
        }
        *group = (ch_group){
                .refs = 1,
                .tree = ch_tree_ref(tree),
                .path = copy,
                .fd = fd,
                .id = st.st_ino,
        };
        *ret = group;
        return 0;
}

_public_ ch_group *ch_group_ref(ch_group *group)
{
        __atomic_add_fetch(&group->refs, 1, __ATOMIC_RELAXED);
        return group;
}

_public_ ch_group *ch_group_unref(ch_group *group)
{
        if (!group || __atomic_sub_fetch(&group->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return NULL;
        (void)safe_close(group->fd);
        ch_tree_unref(group->tree);
        free(group->path);
        free(group);
        return NULL;
}

_public_ ch_tree *ch_group_get_tree(const ch_group *group)
{
        return group->tree;
}

_public_ const char *ch_group_get_path(const ch_group *group)
{
        return group->path;
}

_public_ int ch_group_get_fd(const ch_group *group)
{
        return group->fd;
}

_public_ uint64_t ch_group_get_id(const ch_group *group)
{
        return group->id;
}

/* Files are named by callers of the library: one component, nothing else. */
static int check_file_name(ch_group *group, const char *file, ch_error **err)
{
        if (*file && !strchr(file, '/') && !streq(file, ".") && !streq(file, ".."))
                return 0;
        return error_set(err, CH_ERROR_BAD_PATH, EINVAL, group->path,
                         "'%.60s' is not the name of an interface file", file);
}

static int error_file(ch_group *group, int errnum, const char *file, const char *what,
                      ch_error **err)
{
        if (errnum == ENODEV || (errnum == ENOENT && group_is_gone(group->tree, group->fd)))
                return error_gone(err, group->path);
        if (errnum == ENOENT)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, EOPNOTSUPP, group->path,
                                 "there is no file %s here", file);
        if (errnum == EROFS)
                return error_set(err, CH_ERROR_READ_ONLY, EROFS, group->path,
                                 "the cgroup2 file system is mounted read-only: remount it with -o "
                                 "remount,rw");
        return error_set(
                err, errnum == EACCES || errnum == EPERM ? CH_ERROR_NOT_PERMITTED : CH_ERROR_FAILED,
                errnum, group->path, "%s of %s failed: %s", what, file, strerror(errnum));
}

_public_ int ch_group_read_file(ch_group *group, const char *file, char **ret, size_t *ret_size,
                                ch_error **err)
{
        int r = check_file_name(group, file, err);

        if (r < 0)
                return r;
        r = read_file_at(group->fd, file, FILE_MAX_BYTES, ret, ret_size);
        return r < 0 ? error_file(group, -r, file, "read", err) : 0;
}

_public_ int ch_group_write_file(ch_group *group, const char *file, const char *text,
                                 ch_error **err)
{
        /* cgroupfs ignores O_TRUNC but spends an allocation on it; a plain file needs it */
        int truncate = group->tree->flags & CH_TREE_ANY_FS ? O_TRUNC : 0;
        _cleanup_(closep) int fd = -EBADF;
        size_t length = strlen(text);
        int r = check_file_name(group, file, err);

        if (r < 0)
                return r;
        r = tree_check_writable(group->tree, group->path, err);
        if (r < 0)
                return r;
        fd = openat(group->fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | truncate);
        if (fd < 0)
                return error_file(group, errno, file, "open", err);
        if (write(fd, text, length) < 0)
                return error_file(group, errno, file, "write", err);
        return 0;
}

_public_ int ch_group_read_procs(ch_group *group, pid_t **ret, size_t *ret_n, ch_error **err)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n = 0, allocated = 0;
        int r = ch_group_read_file(group, "cgroup.procs", &text, NULL, err);

        if (r < 0)
                return r;
        for (const char *p = text; *p; p += *p == '\n') {
                uint64_t pid;

                if (parse_u64(p, &pid, &p) < 0 || pid > INT32_MAX)
                        return error_set(err, CH_ERROR_FAILED, EIO, group->path,
                                         "cgroup.procs is unreadable");
                if (pid == 0)
                        continue;
                if (array_reserve(&pids, &allocated, n + 1, sizeof(*pids)) < 0)
                        return error_set(err, CH_ERROR_NO_MEMORY, 0, group->path, "out of memory");
                pids[n++] = (pid_t)pid;
        }
        *ret = TAKE_PTR(pids);
        *ret_n = n;
        return 0;
}

int words_contain(const char *words, const char *word)
{
        size_t length = strlen(word);

        for (const char *p = words; *p; p += strcspn(p, " \n"), p += strspn(p, " \n"))
                if (strcspn(p, " \n") == length && strncmp(p, word, length) == 0)
                        return 1;
        return 0;
}

/* One line without its newline; "" where the file is absent. */
static int read_line(ch_group *group, const char *file, char **ret)
{
        char *text = NULL;
        int r = read_file_at(group->fd, file, FILE_MAX_BYTES, &text, NULL);

        if (r == -ENOENT && !group_is_gone(group->tree, group->fd)) {
                text = strdup("");
                r = text ? 0 : -ENOMEM;
        }
        if (r < 0)
                return r == -ENOENT ? -ENODEV : r;
        text[strcspn(text, "\n")] = '\0';
        *ret = text;
        return 0;
}

static int count_child(const ch_walk_entry *entry, void *userdata)
{
        (*(int *)userdata)++;
        return entry->depth == 0 ? 0 : -ECANCELED;
}

static int has_children(ch_group *group)
{
        struct stat st;
        int n = 0;

        if (!(group->tree->flags & CH_TREE_ANY_FS))
                return fstat(group->fd, &st) == 0 && st.st_nlink > 2;
        (void)ch_tree_walk(group->tree, group->path, count_child, &n, NULL);
        return n > 1;
}

_public_ int ch_group_read_state(ch_group *group, ch_group_state *ret, ch_error **err)
{
        _cleanup_(ch_group_state_done) ch_group_state state = { 0 };
        _cleanup_(freep) char *events = NULL, *type = NULL;
        int r;

        r = read_file_at(group->fd, "cgroup.events", FILE_MAX_BYTES, &events, NULL);
        if (r == -ENOENT && !group_is_gone(group->tree, group->fd))
                r = 0;
        if (r >= 0)
                r = read_line(group, "cgroup.type", &type);
        if (r >= 0)
                r = read_line(group, "cgroup.controllers", &state.controllers);
        if (r >= 0)
                r = read_line(group, "cgroup.subtree_control", &state.subtree_control);
        if (r < 0)
                return error_file(group, -r, "cgroup.events", "read", err);
        /* the root of the whole hierarchy has neither file, and always has processes */
        state.is_root = !*type && !(group->tree->flags & CH_TREE_ANY_FS);
        state.populated = state.is_root || (events && strstr(events, "populated 1"));
        state.frozen = events && strstr(events, "frozen 1");
        state.threaded = streq(type, "threaded") || streq(type, "domain invalid");
        state.has_children = has_children(group);
        *ret = state;
        state = (ch_group_state){ 0 };
        return 0;
}

_public_ void ch_group_state_done(ch_group_state *state)
{
        if (!state)
                return;
        free(state->controllers);
        free(state->subtree_control);
        *state = (ch_group_state){ 0 };
}
