/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the seeds of fuzz-value from the attribute table: what each row formats. make-seeds DIRECTORY */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <chargehand/attr.h>

#include "util.h"

/* One text of the kernel for each type, and one of a person. */
static const struct {
        const char *kernel, *human;
} texts[CH_ATTR_TYPE_MAX_] = {
        [CH_ATTR_NUMBER] = { "4096\n", "64M" },
        [CH_ATTR_SIGNED] = { "-20\n", "19" },
        [CH_ATTR_LIMIT] = { "max\n", "1.5GiB" },
        [CH_ATTR_BOOL] = { "1\n", "yes" },
        [CH_ATTR_ENUM] = { "member\n", "isolated" },
        [CH_ATTR_TEXT] = { "0-3,8\n", "0" },
        [CH_ATTR_LIST] = { "cpu memory pids\n", "12,13" },
        [CH_ATTR_PAIR] = { "max 100000\n", "12.5% 20ms" },
        [CH_ATTR_FLAT] = { "default 100\n8:0 200\n", "8:0 300" },
        [CH_ATTR_NESTED] = { "8:0 rbps=1 wbps=max\n8:16 riops=3\n", "8:0 rbps=1M wbps=max" },
        [CH_ATTR_PSI] = { "some avg10=0.00 avg60=1.25 avg300=0.07 total=123\n", "full total=1" },
};

static int write_seed(int dir_fd, const char *kind, size_t index, const char *text)
{
        const ch_attr *attr = ch_attr_get(index);
        char name[128];
        FILE *file;
        int fd;

        snprintf(name, sizeof(name), "%s-%s", attr->id, kind);
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        file = fd < 0 ? NULL : fdopen(fd, "w");
        if (!file) {
                fprintf(stderr, "cannot write %s\n", name);
                return -EIO;
        }
        fputc((int)index, file);
        fputs(text, file);
        return fclose(file) == 0 ? 0 : -EIO;
}

int main(int argc, char **argv)
{
        _cleanup_(closep) int fd = -EBADF;

        if (argc != 2)
                return 2;
        (void)mkdir(argv[1], 0755);
        fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ch_attr_count(); i++) {
                ch_attr_type type = ch_attr_get(i)->type;

                if (fd < 0 || write_seed(fd, "kernel", i, texts[type].kernel) < 0 ||
                    write_seed(fd, "human", i, texts[type].human) < 0)
                        return 1;
        }
        return 0;
}
