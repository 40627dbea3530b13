/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads pagemap, kpagecgroup and kpageflags of one address space in large batches, passing over
 * holes. */

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "error.h"
#include "pages-decode.h"
#include "procstat.h"
#include "util.h"

#define PAGE_BYTES (UINT64_C(1) << PAGE_SHIFT_4K)

enum {
        BATCH_PAGES = 8192,  /* entries read at once: 64 KiB for 32 MiB of addresses */
        SCAN_REGIONS = 256,  /* that PAGEMAP_SCAN returns at once */
        SCAN_GAP_PAGES = 64, /* holes up to this are read over: cheaper than another system call */
        SCAN_MIN_PAGES = 1024, /* smaller mappings are read as they are */
};

/* linux/fs.h of 6.7 and later; bookworm's headers are older */
typedef struct ScanRegion {
        uint64_t start, end, categories;
} ScanRegion;

typedef struct ScanArgument {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} ScanArgument;

#define IOCTL_PAGEMAP_SCAN   _IOWR('f', 16, ScanArgument)
#define SCAN_PAGE_IS_PRESENT (1 << 3)
#define SCAN_PAGE_IS_SWAPPED (1 << 4)
#define SCAN_PAGE_IS_HUGE    (1 << 6)

struct PageReader {
        pid_t pid;
        int pagemap_fd, group_fd, flags_fd;
        int has_scan;           /* PAGEMAP_SCAN: 1, 0, -1 not tried yet */
        uint64_t *entries;      /* BATCH_PAGES */
        PageDecoder decoder;
};

/* Entries past the end of memory are not there to be read: no page, no group. */
static int read_table(PageTable table, uint64_t pfn, size_t n, uint64_t *ret, void *userdata)
{
        const PageReader *reader = userdata;
        int fd = table == TABLE_GROUP ? reader->group_fd : reader->flags_fd;
        size_t done = 0, size = n * sizeof(uint64_t);

        while (done < size) {
                ssize_t got = pread(fd, (char *)ret + done, size - done,
                                    (off_t)(pfn * sizeof(uint64_t) + done));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                done += (size_t)got;
        }
        memset((char *)ret + done, 0, size - done);
        return 0;
}

static int open_table(const char *path, const char *lost, int *ret, ch_error **err)
{
        *ret = open(path, O_RDONLY | O_CLOEXEC);
        if (*ret >= 0)
                return 0;
        if (errno == ENOENT)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENOTSUP, path,
                                 "%s: the kernel lacks CONFIG_MEMCG or CONFIG_PROC_PAGE_MONITOR",
                                 lost);
        if (errno == EACCES || errno == EPERM)
                return error_set(err, CH_ERROR_NOT_PERMITTED, EPERM, path,
                                 "%s: needs root with CAP_SYS_ADMIN", lost);
        return error_errno(err, errno, path, "open");
}

static int open_pagemap(PageReader *reader, ch_error **err)
{
        char path[PROC_PATH_MAX + 8] = "/proc/";

        (void)proc_path(path + 6, reader->pid, "/pagemap");
        reader->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (reader->pagemap_fd >= 0)
                return 0;
        if (errno == ENOENT && kill(reader->pid, 0) < 0 && errno == ESRCH)
                errno = ESRCH;
        if (errno == ESRCH)
                return error_set(err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, path, "process %d is gone",
                                 reader->pid);
        if (errno == ENOENT)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENOTSUP, path,
                                 "no charge map: the kernel lacks CONFIG_PROC_PAGE_MONITOR");
        if (errno == EACCES || errno == EPERM)
                return error_set(
                        err, CH_ERROR_NOT_PERMITTED, EPERM, path,
                        "no ptrace access to process %d: run as root or with CAP_SYS_PTRACE",
                        reader->pid);
        return error_errno(err, errno, path, "open");
}

static void pagereader_freep(PageReader **reader)
{
        (void)pagereader_free(*reader);
}

int pagereader_new(pid_t pid, PageReader **ret, ch_error **err)
{
        _cleanup_(pagereader_freep) PageReader *reader = calloc(1, sizeof(*reader));
        PageSource source = { .read = read_table, .userdata = reader };
        int r;

        if (!reader)
                return -ENOMEM;
        if (sysconf(_SC_PAGESIZE) != (long)PAGE_BYTES)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENOTSUP, NULL,
                                 "no charge map: pages of %ld bytes, only 4096 is supported",
                                 sysconf(_SC_PAGESIZE));
        reader->pid = pid;
        reader->pagemap_fd = reader->group_fd = reader->flags_fd = -EBADF;
        reader->has_scan = -1;
        reader->entries = reallocarray(NULL, BATCH_PAGES, sizeof(uint64_t));
        if (!reader->entries || decoder_init(&reader->decoder, &source) < 0)
                return -ENOMEM;
        r = open_pagemap(reader, err);
        if (r >= 0)
                r = open_table("/proc/kpagecgroup", "no charge map", &reader->group_fd, err);
        if (r >= 0)
                r = open_table("/proc/kpageflags", "no charge map", &reader->flags_fd, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reader);
        return 0;
}

PageReader *pagereader_free(PageReader *reader)
{
        if (!reader)
                return NULL;
        (void)safe_close(reader->pagemap_fd);
        (void)safe_close(reader->group_fd);
        (void)safe_close(reader->flags_fd);
        decoder_done(&reader->decoder);
        free(reader->entries);
        free(reader);
        return NULL;
}

void pagereader_want_pfns(PageReader *reader, int want)
{
        reader->decoder.want_pfns = want;
}

static int process_gone(const PageReader *reader, ch_error **err)
{
        return error_set(err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, NULL, "process %d is gone",
                         reader->pid);
}

/* Without CAP_SYS_ADMIN at the opening the kernel shows 0 in place of PFNs. */
static int check_pfns(const uint64_t *entries, size_t n, ch_error **err)
{
        for (size_t i = 0; i < n; i++) {
                if (!(entries[i] & PM_PRESENT))
                        continue;
                if (entries[i] & PM_PFN_MASK)
                        return 0;
                return error_set(err, CH_ERROR_NOT_PERMITTED, EPERM, "/proc/PID/pagemap",
                                 "the kernel hides page frame numbers: needs CAP_SYS_ADMIN");
        }
        return 0;
}

/* The end of the file is the end of the address space, or of the process. */
static int read_entries(const PageReader *reader, uint64_t start, size_t n, ch_error **err)
{
        size_t done = 0, size = n * sizeof(uint64_t);
        off_t offset = (off_t)((start >> PAGE_SHIFT_4K) * sizeof(uint64_t));

        while (done < size) {
                ssize_t got = pread(reader->pagemap_fd, (char *)reader->entries + done, size - done,
                                    offset + (off_t)done);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got == 0 || (got < 0 && errno == ESRCH))
                        return process_gone(reader, err);
                if (got < 0)
                        return error_errno(err, errno, "/proc/PID/pagemap", "read");
                done += (size_t)got;
        }
        return check_pfns(reader->entries, n, err);
}

static int walk_all(PageReader *reader, uint64_t start, uint64_t end, ch_error **err)
{
        for (uint64_t at = start; at < end;) {
                size_t n = (size_t)min_u64(BATCH_PAGES, (end - at) >> PAGE_SHIFT_4K);
                int r;

                r = read_entries(reader, at, n, err);
                if (r >= 0)
                        r = decoder_feed(&reader->decoder, reader->entries, n, at);
                if (r < 0)
                        return r;
                at += n * PAGE_BYTES;
        }
        return 0;
}

/* Number of regions, *ret_end how far it got. -ENOTTY from kernels before 6.7. */
static int scan_regions(const PageReader *reader, uint64_t start, uint64_t end, ScanRegion *regions,
                        uint64_t *ret_end)
{
        ScanArgument argument = {
                .size = sizeof(argument),
                .start = start,
                .end = end,
                .vec = (uint64_t)(uintptr_t)regions,
                .vec_len = SCAN_REGIONS,
                .category_anyof_mask = SCAN_PAGE_IS_PRESENT | SCAN_PAGE_IS_SWAPPED,
                .return_mask = SCAN_PAGE_IS_HUGE,
        };
        int n;

        n = ioctl(reader->pagemap_fd, IOCTL_PAGEMAP_SCAN, &argument);
        if (n < 0)
                return -errno;
        *ret_end = argument.walk_end;
        return n;
}

/* Regions that are alike and near each other are read as one. */
static size_t merge_regions(ScanRegion *regions, size_t n)
{
        size_t last = 0;

        if (n == 0)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if (regions[i].categories == regions[last].categories &&
                    regions[i].start - regions[last].end <= SCAN_GAP_PAGES * PAGE_BYTES)
                        regions[last].end = regions[i].end;
                else
                        regions[++last] = regions[i];
        }
        return last + 1;
}

static int walk_regions(PageReader *reader, const ScanRegion *regions, size_t n, ch_error **err)
{
        for (size_t i = 0; i < n; i++) {
                int r;

                reader->decoder.pmd_mapped = regions[i].categories & SCAN_PAGE_IS_HUGE ? 1 : 0;
                r = walk_all(reader, regions[i].start, regions[i].end, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* 0 done; -ENOTTY the kernel has no PAGEMAP_SCAN. */
static int walk_scanned(PageReader *reader, uint64_t start, uint64_t end, ch_error **err)
{
        ScanRegion regions[SCAN_REGIONS];

        while (start < end) {
                uint64_t walk_end = end;
                int n, r;

                n = scan_regions(reader, start, end, regions, &walk_end);
                if (n == -ENOTTY || n == -EINVAL)
                        return -ENOTTY;
                if (n == -ESRCH)
                        return process_gone(reader, err);
                if (n < 0)
                        return error_errno(err, n, "/proc/PID/pagemap", "PAGEMAP_SCAN");
                r = walk_regions(reader, regions, merge_regions(regions, (size_t)n), err);
                if (r < 0)
                        return r;
                if (walk_end <= start)
                        break;
                start = walk_end;
        }
        return 0;
}

static int walk_range(PageReader *reader, uint64_t start, uint64_t end, ch_error **err)
{
        int r;

        reader->decoder.pmd_mapped = -1;
        if (reader->has_scan != 0 && (end - start) >> PAGE_SHIFT_4K >= SCAN_MIN_PAGES) {
                r = walk_scanned(reader, start, end, err);
                reader->has_scan = r != -ENOTTY;
                if (r != -ENOTTY)
                        return r;
        }
        return walk_all(reader, start, end, err);
}

int pagereader_walk(PageReader *reader, const Mapping *mapping, uint64_t start, uint64_t end,
                    pagerun_func func, void *userdata, ch_error **err)
{
        int r;

        if ((mapping->flags & MAPPING_FIGURES) &&
            mapping->rss_bytes + mapping->swap_bytes + mapping->hugetlb_bytes == 0)
                return 0; /* empty: spares reading terabytes of holes on kernels without
                             PAGEMAP_SCAN */
        decoder_start(&reader->decoder, mapping->flags, func, userdata);
        r = walk_range(reader, start, end, err);
        return r < 0 ? r : decoder_finish(&reader->decoder);
}
