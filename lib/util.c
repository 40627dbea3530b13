/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small functions used all over the library: growing arrays, whole files, numbers, the clock. */

#include <fcntl.h>
#include <time.h>

#include "util.h"

int array_reserve(void *array, size_t *allocated, size_t need, size_t size)
{
        void **base = array;
        size_t n = *allocated ? *allocated : 8;
        void *grown;

        if (need <= *allocated)
                return 0;
        while (n < need)
                n *= 2;
        grown = reallocarray(*base, n, size);
        if (!grown)
                return -ENOMEM;
        *base = grown;
        *allocated = n;
        return 0;
}

int read_file_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_(freep) char *buffer = NULL;
        _cleanup_(closep) int fd = -EBADF;
        size_t size = 0, allocated = 0;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (;;) {
                ssize_t n;

                /* 4 KiB at first: nearly every file of cgroupfs and /proc fits */
                if (array_reserve(&buffer, &allocated, size ? size * 2 + 1 : 4096, 1) < 0)
                        return -ENOMEM;
                n = read(fd, buffer + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
                if (size > max)
                        return -EFBIG;
        }
        buffer[size] = '\0';
        *ret = TAKE_PTR(buffer);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int parse_u64(const char *text, uint64_t *ret, const char **ret_end)
{
        uint64_t value = 0;
        const char *p = text;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                unsigned digit = (unsigned)(*p - '0');

                if (value > (UINT64_MAX - digit) / 10)
                        return -ERANGE;
                value = value * 10 + digit;
        }
        if (ret_end)
                *ret_end = p;
        else if (*p != '\0' && !(*p == '\n' && p[1] == '\0'))
                return -EINVAL;
        *ret = value;
        return 0;
}

uint64_t now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}
