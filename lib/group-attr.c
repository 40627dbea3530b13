/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes attributes of a group through the table; errors of the kernel become causes. */

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "group.h"
#include "group-template.h"
#include "util.h"
#include "value.h"

enum { FILE_MAX_BYTES = 4 << 20 };

static int error_attr(ch_group *group, const ch_attr *attr, int errnum, const char *text,
                      ch_error **err)
{
        char want[160];

        switch (errnum) {
        case ENOENT:
                return error_file_missing(group, attr, err);
        case EROFS:
                return error_set(err, CH_ERROR_READ_ONLY, EROFS, group->path,
                                 "%s: the cgroup2 file system is mounted read-only: remount it "
                                 "with -o remount,rw",
                                 attr->file);
        case EACCES:
        case EPERM:
                return error_set(err, CH_ERROR_NOT_PERMITTED, EACCES, group->path,
                                 "%s may not be accessed by this user", attr->file);
        case EOPNOTSUPP:
                return error_set(err, CH_ERROR_NOT_SUPPORTED, EOPNOTSUPP, group->path,
                                 "the kernel does not support %s for this group now", attr->file);
        case ENODEV: /* the group is there: io.* say this of a device */
        case EINVAL:
        case ERANGE:
        case ENOSPC:
                value_describe(attr, want, sizeof(want));
                return error_set(err, CH_ERROR_BAD_VALUE, errnum == ENODEV ? EINVAL : errnum,
                                 group->path, "the kernel refused '%.80s' for %s (%s): give %s",
                                 text ? text : "", attr->name,
                                 errnum == ENODEV ? "no such device" : strerror(errnum), want);
        case EAGAIN:
                return error_set(err, CH_ERROR_BUSY, EAGAIN, group->path,
                                 "the kernel could not do all of '%.80s' for %s now: try again",
                                 text ? text : "", attr->name);
        default:
                return error_set(err, CH_ERROR_FAILED, errnum, group->path, "%s: %s", attr->file,
                                 strerror(errnum));
        }
}

static int error_access(ch_group *group, const ch_attr *attr, int errnum, const char *text,
                        ch_error **err)
{
        /* A read says ENODEV of a file that is being taken away: the group's removal has begun, although its directory may
         * still be seen for a moment. Of a write it may mean a device. */
        if ((errnum == ENODEV && !text) ||
            ((errnum == ENODEV || errnum == ENOENT) && group_is_gone(group->tree, group->fd)))
                return error_gone(err, group->path);
        return error_attr(group, attr, errnum, text, err);
}

_public_ int ch_group_read(ch_group *group, const ch_attr *attr, ch_value *ret, ch_error **err)
{
        _cleanup_(freep) char *text = NULL;
        int r;

        if (attr->access == CH_ACCESS_W)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, group->path,
                                 "%s can only be written", attr->name);
        if (attr->flags & CH_ATTR_TEMPLATE)
                r = template_read(group->fd, attr, &text);
        else
                r = read_file_at(group->fd, attr->file, FILE_MAX_BYTES, &text, NULL);
        if (r < 0)
                return error_access(group, attr, -r, NULL, err);
        return ch_value_parse(attr, text, ret, err);
}

/* One write per line: keyed files take one key at a time. A plain file takes all at once. */
static int write_lines(int fd, const char *text, int by_line)
{
        do {
                size_t length = by_line ? strcspn(text, "\n") : strlen(text);
                /* an empty text still has to reach the kernel: it clears cpuset.cpus */
                ssize_t n = length ? write(fd, text, length) : write(fd, "\n", 1);

                if (n < 0)
                        return -errno;
                text += length + (text[length] == '\n');
        } while (*text);
        return 0;
}

static int write_text(ch_group *group, const ch_attr *attr, const char *file, const char *text,
                      int nonblock)
{
        int any_fs = (group->tree->flags & CH_TREE_ANY_FS) != 0;
        _cleanup_(closep) int fd = -EBADF;

        fd = openat(group->fd, file,
                    O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (nonblock ? O_NONBLOCK : 0) |
                            (any_fs ? O_TRUNC : 0));
        if (fd < 0)
                return -errno;
        return write_lines(fd, text, (attr->flags & CH_ATTR_PERKEY) && !any_fs);
}

/* The text of ch_value_format() or of a put-back, to its file or files. */
static int write_attr(ch_group *group, const ch_attr *attr, const char *text, int nonblock,
                      ch_error **err)
{
        int r;

        if (attr->flags & CH_ATTR_TEMPLATE)
                r = template_write(group->fd, attr, text);
        else
                r = write_text(group, attr, attr->file, text, nonblock);
        return r < 0 ? error_access(group, attr, -r, text, err) : 0;
}

_public_ int ch_group_write(ch_group *group, const ch_attr *attr, const ch_value *value,
                            int nonblock, ch_error **err)
{
        _cleanup_(freep) char *text = NULL;
        int r = tree_check_writable(group->tree, group->path, err);

        if (r < 0)
                return r;
        r = ch_value_check(attr, value, err);
        if (r < 0)
                return r;
        if (ch_value_format(attr, value, &text) < 0)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, group->path, "out of memory");
        return write_attr(group, attr, text, nonblock, err);
}

/* What a keyed file had for the keys that are about to be written; a device that is not listed has
 * no limit, or the default weight. One line per key. */
static int format_old_keys(const ch_attr *attr, const ch_value *value, const ch_value *old,
                           FILE *out)
{
        for (size_t i = 0; attr->type == CH_ATTR_NESTED && i < value->n_nested; i++) {
                const ch_nested *element = &value->nested[i],
                                *before = value_find_nested(old, element->key);

                fprintf(out, "%s%s", i ? "\n" : "", element->key);
                for (size_t j = 0; j < element->n_entries; j++) {
                        const char *key = element->entries[j].key;
                        const ch_entry *entry = before ? nested_find(before, key) : NULL;

                        if (entry && entry->value != CH_LIMIT_MAX)
                                fprintf(out, " %s=%llu", key, (unsigned long long)entry->value);
                        else
                                fprintf(out, " %s=max", key);
                }
        }
        for (size_t i = 0; attr->type == CH_ATTR_FLAT && i < value->nested[0].n_entries; i++) {
                const char *key = value->nested[0].entries[i].key;
                uint64_t number;

                fprintf(out, "%s%s ", i ? "\n" : "", key);
                if (ch_value_flat_get(old, key, &number) < 0)
                        fputs(attr->unit == CH_UNIT_WEIGHT ? "default" : "max", out);
                else if (number == CH_LIMIT_MAX)
                        fputs("max", out);
                else
                        fprintf(out, "%llu", (unsigned long long)number);
        }
        return 0;
}

static int format_old(const ch_attr *attr, const ch_value *value, const ch_value *old, int any_fs,
                      char **ret)
{
        size_t size = 0;
        FILE *out;

        if (!(attr->flags & CH_ATTR_PERKEY) || any_fs)
                return ch_value_format(attr, old, ret);
        out = open_memstream(ret, &size);
        if (!out)
                return -ENOMEM;
        format_old_keys(attr, value, old, out);
        return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int nested_is_set(const ch_value *value, const ch_value *now)
{
        for (size_t i = 0; i < value->n_nested; i++) {
                const ch_nested *before = value_find_nested(now, value->nested[i].key);

                for (size_t j = 0; j < value->nested[i].n_entries; j++) {
                        const ch_entry *want = &value->nested[i].entries[j];
                        const ch_entry *entry = before ? nested_find(before, want->key) : NULL;

                        if ((entry ? entry->value : CH_LIMIT_MAX) != want->value)
                                return 0;
                }
        }
        return 1;
}

/* 1 if a write of `value` would change nothing. Of a keyed file only the keys given count. */
static int is_set(const ch_attr *attr, const ch_value *value, const ch_value *now)
{
        if (!(attr->flags & CH_ATTR_PERKEY))
                return ch_value_equal(value, now);
        if (attr->type == CH_ATTR_NESTED)
                return nested_is_set(value, now);
        for (size_t i = 0; i < value->nested[0].n_entries; i++) {
                uint64_t number;

                if (ch_value_flat_get(now, value->nested[0].entries[i].key, &number) < 0 ||
                    number != value->nested[0].entries[i].value)
                        return 0;
        }
        return 1;
}

/* Puts the first `n` settings back, the last first. Names of those that stay changed are appended
 * to *lost. */
static void put_back(ch_group *group, const ch_setting *settings, char *const *old, size_t n,
                     char **lost)
{
        while (n-- > 0) {
                _cleanup_(freep) char *before = *lost;

                if (!old[n] || write_attr(group, settings[n].attr, old[n], 1, NULL) >= 0) {
                        before = NULL;
                        continue;
                }
                if (asprintf(lost, "%s%s%s", before ? before : "", before ? ", " : "",
                             settings[n].attr->name) < 0)
                        *lost = NULL;
        }
}

/* Keeps the kind, path and errno of what failed; says what became of the rest. */
static int error_rolled_back(ch_error **err, const ch_error *why, size_t n_done, const char *lost)
{
        if (n_done == 0)
                return error_copy(err, why);
        return error_set(err, ch_error_get_kind(why), ch_error_get_errno(why),
                         ch_error_get_path(why), "%s; %s%s", ch_error_get_cause(why),
                         lost ? "these could not be put back: "
                              : "the settings before it were put back",
                         lost ? lost : "");
}

static int check_settings(ch_group *group, const ch_setting *settings, size_t n, ch_error **err)
{
        for (size_t i = 0; i < n; i++) {
                int r = ch_value_check(settings[i].attr, &settings[i].value, err);

                if (r < 0)
                        return r;
                if ((settings[i].attr->flags & CH_ATTR_PLACEMENT) ||
                    settings[i].attr->access == CH_ACCESS_W)
                        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, group->path,
                                         "%s is not a setting: it has a verb of its own",
                                         settings[i].attr->name);
        }
        return 0;
}

/* Fills old[i] with the text that undoes setting i; NULL where nothing has to be written. */
static int read_old(ch_group *group, const ch_setting *settings, size_t n, char **old,
                    ch_error **err)
{
        int any_fs = (group->tree->flags & CH_TREE_ANY_FS) != 0;

        for (size_t i = 0; i < n; i++) {
                _cleanup_(value_donep) ch_value now = CH_VALUE_INIT;
                int r = ch_group_read(group, settings[i].attr, &now, err);

                if (r < 0)
                        return r;
                if (is_set(settings[i].attr, &settings[i].value, &now))
                        continue;
                if (format_old(settings[i].attr, &settings[i].value, &now, any_fs, &old[i]) < 0)
                        return error_set(err, CH_ERROR_NO_MEMORY, 0, group->path, "out of memory");
        }
        return 0;
}

static int write_changed(ch_group *group, const ch_setting *settings, size_t n, char *const *old,
                         ch_error **err)
{
        size_t n_changed = 0;

        for (size_t i = 0; i < n; i++) {
                _cleanup_(error_freep) ch_error *why = NULL;
                _cleanup_(freep) char *lost = NULL;
                int r;

                if (!old[i])
                        continue;
                r = ch_group_write(group, settings[i].attr, &settings[i].value, 0, &why);
                if (r < 0) {
                        /* a keyed file may have taken some of its keys: it is put back as well */
                        int keyed = (settings[i].attr->flags & CH_ATTR_PERKEY) != 0;

                        put_back(group, settings, old, i + (keyed && r != -ENODEV), &lost);
                        return error_rolled_back(err, why, n_changed, lost);
                }
                n_changed++;
        }
        return (int)n_changed;
}

_public_ int ch_group_write_all(ch_group *group, const ch_setting *settings, size_t n,
                                ch_error **err)
{
        char **old;
        int r = tree_check_writable(group->tree, group->path, err);

        if (r >= 0)
                r = check_settings(group, settings, n, err);
        if (r < 0)
                return r;
        old = calloc(n ? n : 1, sizeof(*old));
        if (!old)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, group->path, "out of memory");
        r = read_old(group, settings, n, old, err);
        if (r >= 0)
                r = write_changed(group, settings, n, old, err);
        for (size_t i = 0; i < n; i++)
                free(old[i]);
        free(old);
        return r;
}
