/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bare reads of /proc/PID/pagemap and /proc/kpagecgroup. */

#include <fcntl.h>
#include <stdio.h>

#include "bench-pagemap.h"
#include "util.h"

enum { BATCH = 32768 };

struct Pagemap {
        int pagemap_fd, group_fd;
        uint64_t entries[BATCH], ids[BATCH];
};

Pagemap *pagemap_new(pid_t pid)
{
        Pagemap *pagemap = calloc(1, sizeof(*pagemap));
        char path[64];

        if (!pagemap)
                return NULL;
        (void)snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
        pagemap->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
        pagemap->group_fd = open("/proc/kpagecgroup", O_RDONLY | O_CLOEXEC);
        if (pagemap->pagemap_fd >= 0 && pagemap->group_fd >= 0)
                return pagemap;
        pagemap_free(pagemap);
        return NULL;
}

void pagemap_free(Pagemap *pagemap)
{
        if (!pagemap)
                return;
        (void)safe_close(pagemap->pagemap_fd);
        (void)safe_close(pagemap->group_fd);
        free(pagemap);
}

static int read_entries(int fd, uint64_t *buffer, uint64_t first, uint64_t n)
{
        return pread(fd, buffer, n * 8, (off_t)(first * 8)) == (ssize_t)(n * 8);
}

static int read_groups(Pagemap *pagemap, uint64_t n)
{
        const uint64_t mask = (UINT64_C(1) << 55) - 1, present = UINT64_C(1) << 63;
        const uint64_t *entries = pagemap->entries;

        for (uint64_t i = 0, j; i < n; i = j) {
                j = i + 1;
                if (!(entries[i] & present))
                        continue;
                while (j < n && (entries[j] & (present | mask)) ==
                                        (entries[i] & (present | mask)) + j - i)
                        j++;
                if (!read_entries(pagemap->group_fd, pagemap->ids, entries[i] & mask, j - i))
                        return 0;
        }
        return 1;
}

uint64_t pagemap_time(Pagemap *pagemap, uint64_t start, uint64_t end)
{
        uint64_t begin = now_usec(), n;

        for (uint64_t page = start / 4096; page < end / 4096; page += n) {
                n = min_u64(BATCH, end / 4096 - page);
                if (!read_entries(pagemap->pagemap_fd, pagemap->entries, page, n) ||
                    !read_groups(pagemap, n))
                        return 0;
        }
        return now_usec() - begin;
}
