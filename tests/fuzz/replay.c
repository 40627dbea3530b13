/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer over the files of a directory, each whole and cut short at every byte: replay DIRECTORY. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "fuzz.h"
#include "util.h"

enum { INPUT_MAX_BYTES = 1 << 20, CUT_MAX_BYTES = 4096 };

static int replay(int dir_fd, const char *name)
{
        _cleanup_(freep) char *data = NULL;
        size_t size;
        int r = read_file_at(dir_fd, name, INPUT_MAX_BYTES, &data, &size);

        if (r < 0)
                return r;
        for (size_t n = 0; n <= size; n = n < CUT_MAX_BYTES ? n + 1 : size + (n == size)) {
                /* a copy of just that size: a sanitizer sees who reads on */
                _cleanup_(freep) uint8_t *input = malloc(n ? n : 1);

                if (!input)
                        return -ENOMEM;
                memcpy(input, data, n);
                (void)LLVMFuzzerTestOneInput(input, n);
        }
        return 0;
}

int main(int argc, char **argv)
{
        DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
        struct dirent *entry;
        unsigned n = 0;

        if (!dir) {
                fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
                return 2;
        }
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                if (replay(dirfd(dir), entry->d_name) < 0) {
                        fprintf(stderr, "cannot read %s\n", entry->d_name);
                        return 1;
                }
                n++;
        }
        (void)closedir(dir);
        printf("%u inputs\n", n);
        return n > 0 ? 0 : 1;
}
