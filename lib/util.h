/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_UTIL_H
#define CH_UTIL_H

/* The house's helper macros (these and no more) and a few small functions used all over. */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _public_ __attribute__((visibility("default")))
#define TAKE_PTR(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define TAKE_FD(fd) ({ int taken_ = (fd); (fd) = -EBADF; taken_; })
#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

static inline void freep(void *p)
{
        free(*(void **)p);
}

/* Closes, keeps errno, returns -EBADF: fd = safe_close(fd). */
static inline int safe_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                (void)close(fd);
                errno = saved;
        }
        return -EBADF;
}

static inline void closep(int *fd)
{
        (void)safe_close(*fd);
}

static inline int streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* a - b, not below 0 */
static inline uint64_t sub_u64(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* Grow *array to hold `need` elements of `size`; doubles. -ENOMEM leaves it as it was. */
int array_reserve(void *array, size_t *allocated, size_t need, size_t size);
/* Whole file below a directory fd, NUL-terminated, at most `max` bytes (-EFBIG). Caller frees. */
int read_file_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size);
/* Decimal uint64 at the start of the text; the rest in *ret_end (may be NULL: then nothing may follow but a newline). */
int parse_u64(const char *text, uint64_t *ret, const char **ret_end);
/* CLOCK_MONOTONIC in µs */
uint64_t now_usec(void);

#endif
