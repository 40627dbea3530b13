/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes with one file per size ("hugetlb.%s.max") as one keyed text. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "group-template.h"
#include "util.h"

enum { TEMPLATE_FILE_MAX_BYTES = 64 << 10 };

/* Length of the size in a file name that fits the template, else 0. Sizes have no dot: "rsvd.max"
 * is no size. */
static size_t match_template(const char *template, const char *name)
{
        size_t before = strcspn(template, "%"), length = strlen(name);
        size_t after = strlen(template + before + 2), size;

        if (length <= before + after || strncmp(name, template, before) != 0 ||
            !streq(name + length - after, template + before + 2))
                return 0;
        size = length - before - after;
        return memchr(name + before, '.', size) ? 0 : size;
}

/* "max 0\nother 1\n" → " max=0 other=1"; numa_stat has its '=' already. */
static void put_nested(FILE *out, char *text)
{
        char *rest = NULL;

        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                char *space = strchr(line, '=') ? NULL : strrchr(line, ' ');

                if (space)
                        *space = '=';
                fprintf(out, " %s", line);
        }
        fputc('\n', out);
}

static int put_file(int dir_fd, const ch_attr *attr, const char *name, size_t size, FILE *out)
{
        _cleanup_(freep) char *text = NULL;
        int r = read_file_at(dir_fd, name, TEMPLATE_FILE_MAX_BYTES, &text, NULL);

        if (r < 0)
                return r;
        fprintf(out, "%.*s", (int)size, name + strcspn(attr->file, "%"));
        if (attr->type == CH_ATTR_NESTED)
                put_nested(out, text);
        else
                fprintf(out, " %s", text);
        return 0;
}

/* In the order of names: the directory's own is a hash's. */
static int put_files(int dir_fd, const ch_attr *attr, FILE *out)
{
        struct dirent **names = NULL;
        int n = scandirat(dir_fd, ".", &names, NULL, alphasort), n_files = 0, r = 0;

        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                size_t size = match_template(attr->file, names[i]->d_name);

                if (size > 0 && r >= 0) {
                        r = put_file(dir_fd, attr, names[i]->d_name, size, out);
                        n_files++;
                }
                free(names[i]);
        }
        free(names);
        return r < 0 ? r : n_files > 0 ? 0 : -ENOENT;
}

int template_read(int dir_fd, const ch_attr *attr, char **ret)
{
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        int r;

        if (!out)
                return -ENOMEM;
        r = put_files(dir_fd, attr, out);
        if (fclose(out) != 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

static int write_file(int dir_fd, const char *name, const char *text, size_t length)
{
        _cleanup_(closep) int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        return write(fd, text, length) < 0 ? -errno : 0;
}

int template_write(int dir_fd, const ch_attr *attr, const char *text)
{
        int before = (int)strcspn(attr->file, "%");

        while (*text) {
                size_t length = strcspn(text, "\n"), size = strcspn(text, " \n");
                char name[NAME_MAX + 1];
                int r;

                if (size >= length || size > NAME_MAX / 2)
                        return -EINVAL;
                snprintf(name, sizeof(name), "%.*s%.*s%s", before, attr->file, (int)size, text,
                         attr->file + before + 2);
                r = write_file(dir_fd, name, text + size + 1, length - size - 1);
                if (r < 0)
                        return r;
                text += length + (text[length] == '\n');
        }
        return 0;
}
