/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages that several address spaces map, all of them in the move: fork-shared ones, and files that only these programs map. The module
 * moves a page that is mapped more than once only if it is told to, and cannot know whose the other mappings are. Here the mappings of each page
 * are counted over all address spaces of the move: if they are as many as the kernel says that there are (/proc/kpagecount), nobody else
 * maps it, and nobody else minds.
 */

#include <fcntl.h>

#include "error.h"
#include "hash.h"
#include "retag.h"
#include "util.h"

enum {
        PAGES_MAX = 4 << 20, /* 128 MiB of memory for 16 GiB that is shared; beyond that it stays */
        COUNTS = 512,        /* read at once */
};

#define TAKEN ((uintptr_t)UINTPTR_MAX)

struct SharedPages {
        Hash counts; /* PFN → mappings seen, or TAKEN */
};

int sharedpages_new(SharedPages **ret)
{
        SharedPages *pages = calloc(1, sizeof(*pages));

        if (!pages)
                return -ENOMEM;
        *ret = pages;
        return 0;
}

SharedPages *sharedpages_free(SharedPages *pages)
{
        if (!pages)
                return NULL;
        hash_done(&pages->counts);
        free(pages);
        return NULL;
}

static void sharedpages_freep(SharedPages **pages)
{
        (void)sharedpages_free(*pages);
}

int sharedpages_count(SharedPages *pages, uint64_t pfn)
{
        uintptr_t n = (uintptr_t)hash_get(&pages->counts, pfn);

        if (n == 0 && pages->counts.n >= PAGES_MAX)
                return -E2BIG;
        return hash_put(&pages->counts, pfn, (void *)(n + 1));
}

int sharedpages_take(SharedPages *pages, uint64_t pfn, uint64_t mapcount)
{
        uintptr_t n = (uintptr_t)hash_get(&pages->counts, pfn);

        if (n == 0 || n == TAKEN || mapcount == 0 || n < mapcount)
                return 0;
        return hash_put(&pages->counts, pfn, (void *)TAKEN) < 0 ? 0 : 1;
}

typedef struct SharedWalk {
        Charges *charges;
        ChargeMm *mm;
        SharedPages *pages;
        int count_fd; /* /proc/kpagecount; -EBADF: counting */
} SharedWalk;

static int is_candidate(const SharedWalk *walk, const PageRun *run)
{
        if (run->flags & (PAGERUN_EXCLUSIVE | PAGERUN_HUGE | PAGERUN_SWAPPED))
                return 0;
        return (run->kind == CH_KIND_ANON || run->kind == CH_KIND_FILE) && run->group_id != CH_GROUP_ID_NONE &&
               run->group_id != walk->mm->dest_id;
}

static int add_page(SharedWalk *walk, uint64_t address, uint64_t page_bytes)
{
        Charges *c = walk->charges;
        struct chargehand_range *last = walk->mm->n_ranges ? &c->ranges[c->n_ranges - 1] : NULL;

        if (last && last->end == address) {
                last->end += page_bytes;
                return 0;
        }
        if (array_reserve(&c->ranges, &c->ranges_allocated, c->n_ranges + 1, sizeof(*c->ranges)) < 0)
                return -ENOMEM;
        c->ranges[c->n_ranges++] = (struct chargehand_range){ .start = address, .end = address + page_bytes };
        walk->mm->n_ranges++;
        return 0;
}

static int take_run(SharedWalk *walk, const PageRun *run)
{
        uint64_t counts[COUNTS], page_bytes = walk->charges->page_bytes;
        uint64_t n = (run->end - run->start) / page_bytes;

        for (uint64_t at = 0; at < n; at += COUNTS) {
                size_t want = (size_t)min_u64(COUNTS, n - at) * sizeof(uint64_t);

                if (pread(walk->count_fd, counts, want, (off_t)((run->pfn + at) * sizeof(uint64_t))) != (ssize_t)want)
                        return 0;
                for (uint64_t i = 0; i < want / sizeof(uint64_t); i++)
                        if (sharedpages_take(walk->pages, run->pfn + at + i, counts[i]) &&
                            add_page(walk, run->start + (at + i) * page_bytes, page_bytes) < 0)
                                return -ENOMEM;
        }
        return 0;
}

static int on_run(const PageRun *run, void *userdata)
{
        SharedWalk *walk = userdata;
        uint64_t n = (run->end - run->start) / walk->charges->page_bytes;
        int r = 0;

        if (!is_candidate(walk, run))
                return 0;
        if (walk->count_fd >= 0)
                return take_run(walk, run);
        for (uint64_t i = 0; i < n && r >= 0; i++)
                r = sharedpages_count(walk->pages, run->pfn + i);
        return r;
}

static int walk_mm(SharedWalk *walk, ch_error **err)
{
        _cleanup_(freep) Mapping *mappings = NULL;
        PageReader *reader = NULL;
        size_t n;
        int r;

        r = mappings_read(walk->mm->pid, &mappings, &n, err);
        if (r >= 0)
                r = pagereader_new(walk->mm->pid, &reader, err);
        if (r < 0)
                return r;
        pagereader_want_pfns(reader, PFNS_SHARED);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (mappings[i].shared_bytes && !(mappings[i].flags & (MAPPING_VDSO | MAPPING_SPECIAL | MAPPING_SHMEM)))
                        r = pagereader_walk(reader, &mappings[i], mappings[i].start, mappings[i].end, on_run, walk, err);
        (void)pagereader_free(reader);
        return r;
}

static int walk_all(SharedWalk *walk, ch_error **err)
{
        Charges *c = walk->charges;

        for (size_t i = 0; i < c->n_mms; i++) {
                int r;

                walk->mm = &c->mms[i];
                if (!walk->mm->by_module || walk->mm->foreign_owner)
                        continue;
                walk->mm->first_range = (uint32_t)c->n_ranges;
                r = walk_mm(walk, err);
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        return 0;
}

int retag_find_shared(Charges *c, ch_error **err)
{
        _cleanup_(sharedpages_freep) SharedPages *pages = NULL;
        _cleanup_(closep) int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
        SharedWalk walk = { .charges = c, .count_fd = -EBADF };
        int r;

        if (fd < 0)
                return 0; /* it stays, as shared */
        if (sharedpages_new(&pages) < 0)
                return error_errno(err, ENOMEM, NULL, "planning");
        walk.pages = pages;
        r = walk_all(&walk, NULL);
        if (r >= 0) {
                walk.count_fd = fd;
                r = walk_all(&walk, NULL);
        }
        return r == -ENOMEM ? error_errno(err, r, NULL, "planning") : 0;
}
