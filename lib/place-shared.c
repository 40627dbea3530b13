/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a set shares with processes outside of it, and where that is charged: address spaces, shared
 * memory, shared file mappings, pages shared by fork. */

#include <fcntl.h>

#include "error.h"
#include "place-report.h"
#include "util.h"

enum {
        CHUNK_BITS = 15,
        CHUNK_PAGES = 1 << CHUNK_BITS,
        COUNT_MAX = 0x3fff,   /* mappings of one page within the set that are counted */
        COUNT_WORTH = 0x4000, /* not only program text: to share it is a reason to be together */
        COUNT_SHMEM = 0x8000,
        OWNERS_MAX = 0xffff,
};

/* How often the set maps each page of a stretch of memory, and who pays for it. */
typedef struct Chunk {
        uint64_t number;  /* PFN >> CHUNK_BITS */
        uint16_t *counts; /* NULL: free slot. COUNT_* */
        uint16_t *owners; /* index into SharedScan.owners */
} Chunk;

/* A group that pays for something that is shared. */
typedef struct Owner {
        uint64_t id;
        int has_member;        /* a process of the set is in it */
        uint64_t shared_bytes; /* with processes outside of the set */
        uint64_t twice_bytes;  /* mappings within the set beyond the first of each page */
} Owner;

typedef struct SharedScan {
        Chunk *chunks; /* open addressing */
        size_t n_chunks, n_chunks_allocated;
        Owner *owners;
        size_t n_owners, n_owners_allocated;
        /* of the mapping that is being read */
        int is_private; /* pages that are mapped once are its own */
        int is_text;
} SharedScan;

static void scan_done(SharedScan *scan)
{
        for (size_t i = 0; i < scan->n_chunks_allocated; i++) {
                free(scan->chunks[i].counts);
                free(scan->chunks[i].owners);
        }
        free(scan->chunks);
        free(scan->owners);
}

static int find_owner(SharedScan *scan, uint64_t id, size_t *ret)
{
        for (size_t i = 0; i < scan->n_owners; i++)
                if (scan->owners[i].id == id) {
                        *ret = i;
                        return 0;
                }
        /* beyond that many groups the last one stands for all others */
        if (scan->n_owners == OWNERS_MAX) {
                *ret = OWNERS_MAX - 1;
                return 0;
        }
        if (array_reserve(&scan->owners, &scan->n_owners_allocated, scan->n_owners + 1,
                          sizeof(*scan->owners)) < 0)
                return -ENOMEM;
        scan->owners[scan->n_owners] = (Owner){ .id = id };
        *ret = scan->n_owners++;
        return 0;
}

static Chunk *find_slot(const SharedScan *scan, uint64_t number)
{
        size_t mask = scan->n_chunks_allocated - 1;
        size_t at = (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;

        while (scan->chunks[at].counts && scan->chunks[at].number != number)
                at = (at + 1) & mask;
        return &scan->chunks[at];
}

static int grow(SharedScan *scan)
{
        SharedScan grown = *scan;

        grown.n_chunks_allocated = scan->n_chunks_allocated ? 2 * scan->n_chunks_allocated : 64;
        grown.chunks = calloc(grown.n_chunks_allocated, sizeof(*grown.chunks));
        if (!grown.chunks)
                return -ENOMEM;
        for (size_t i = 0; i < scan->n_chunks_allocated; i++)
                if (scan->chunks[i].counts)
                        *find_slot(&grown, scan->chunks[i].number) = scan->chunks[i];
        free(scan->chunks);
        *scan = grown;
        return 0;
}

static Chunk *get_chunk(SharedScan *scan, uint64_t number)
{
        Chunk *slot;

        if (2 * (scan->n_chunks + 1) > scan->n_chunks_allocated && grow(scan) < 0)
                return NULL;
        slot = find_slot(scan, number);
        if (slot->counts)
                return slot;
        *slot = (Chunk){ .number = number };
        slot->owners = calloc(CHUNK_PAGES, sizeof(*slot->owners));
        slot->counts = slot->owners ? calloc(CHUNK_PAGES, sizeof(*slot->counts)) : NULL;
        if (!slot->counts) {
                free(slot->owners);
                *slot = (Chunk){ 0 };
                return NULL;
        }
        scan->n_chunks++;
        return slot;
}

static int add_pages(SharedScan *scan, const PageRun *run, size_t owner)
{
        uint64_t pfn = run->pfn, end = run->pfn + (run->end - run->start) / 4096;

        while (pfn < end) {
                Chunk *chunk = get_chunk(scan, pfn >> CHUNK_BITS);
                uint64_t stop = min_u64(end, (pfn | (CHUNK_PAGES - 1)) + 1);

                if (!chunk)
                        return -ENOMEM;
                for (; pfn < stop; pfn++) {
                        uint16_t *count = &chunk->counts[pfn & (CHUNK_PAGES - 1)];

                        if ((*count & COUNT_MAX) < COUNT_MAX)
                                (*count)++;
                        *count |= (uint16_t)((scan->is_text ? 0 : COUNT_WORTH) |
                                             (run->kind == CH_KIND_SHMEM ? COUNT_SHMEM : 0));
                        chunk->owners[pfn & (CHUNK_PAGES - 1)] = (uint16_t)owner;
                }
        }
        return 0;
}

static int on_run(const PageRun *run, void *userdata)
{
        SharedScan *scan = userdata;
        size_t owner;
        int r;

        if (run->flags & PAGERUN_SWAPPED || run->group_id == CH_GROUP_ID_NONE || run->pfn == 0 ||
            run->kind == CH_KIND_UNCHARGED || run->kind == CH_KIND_HUGETLB)
                return 0;
        if (scan->is_private && (run->flags & PAGERUN_EXCLUSIVE))
                return 0;
        r = find_owner(scan, run->group_id, &owner);
        return r < 0 ? r : add_pages(scan, run, owner);
}

static int is_mapped_shared(const Mapping *m)
{
        return !!(m->flags & (MAPPING_SHARED | MAPPING_SHMEM));
}

/* Program text and libraries are mapped privately by nearly everybody: they are page cache, which
 * belongs to nobody for long, and no reason to be together. */
static int is_text(const Mapping *m)
{
        return (m->flags & MAPPING_FILE) && !is_mapped_shared(m);
}

static int is_of_interest(const Mapping *m)
{
        if (m->flags & (MAPPING_VDSO | MAPPING_SPECIAL | MAPPING_HUGETLB) || m->rss_bytes == 0)
                return 0;
        return is_mapped_shared(m) || m->shared_bytes > 0;
}

static int scan_pages(SharedScan *scan, pid_t pid, const Mapping *mappings, size_t n,
                      ch_error **err)
{
        PageReader *reader = NULL;
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const Mapping *m = &mappings[i];

                if (!is_of_interest(m))
                        continue;
                if (!reader) {
                        r = pagereader_new(pid, &reader, err);
                        if (r < 0)
                                break;
                        pagereader_want_pfns(reader, PFNS_ALL);
                }
                scan->is_private = !is_mapped_shared(m);
                scan->is_text = is_text(m);
                r = pagereader_walk(reader, m, m->start, m->end, on_run, scan, err);
        }
        (void)pagereader_free(reader);
        return r;
}

/* All of an address space that somebody outside has as well is shared with the group he is in. */
static int add_whole(SharedScan *scan, const ch_tree *tree, const ch_mm *mm,
                     const Mapping *mappings, size_t n)
{
        uint64_t id = CH_GROUP_ID_NONE, bytes = 0;
        size_t owner;
        int r;

        for (size_t i = 0; i < n; i++) {
                const Mapping *m = &mappings[i];

                bytes += is_text(m) ? m->anon_bytes : m->rss_bytes;
        }
        (void)memcg_of_pid(tree, mm->outside_pid, &id);
        r = find_owner(scan, id, &owner);
        if (r >= 0)
                scan->owners[owner].shared_bytes += bytes;
        return r;
}

static int scan_mm(SharedScan *scan, const ch_tree *tree, const ch_mm *mm, ch_error **err)
{
        _cleanup_(freep) Mapping *mappings = NULL;
        size_t n, owner;
        uint64_t id;
        int r;

        r = mappings_read(mm->pid, &mappings, &n, err);
        if (r < 0)
                return r;
        if (memcg_of_pid(tree, mm->pid, &id) >= 0) {
                r = find_owner(scan, id, &owner);
                if (r < 0)
                        return r;
                scan->owners[owner].has_member = 1;
        }
        return mm->n_outside ? add_whole(scan, tree, mm, mappings, n)
                             : scan_pages(scan, mm->pid, mappings, n, err);
}

/* Mapped more often than by the set; or shared memory that a group none of us is in has made. */
static int is_shared(uint16_t count, uint64_t n_mapped, const Owner *owner)
{
        if (!(count & COUNT_WORTH))
                return 0;
        return n_mapped > (count & COUNT_MAX) || ((count & COUNT_SHMEM) && !owner->has_member);
}

static void resolve_page(uint16_t count, uint64_t n_mapped, Owner *owner)
{
        unsigned n_inside = count & COUNT_MAX;

        if (is_shared(count, n_mapped, owner))
                owner->shared_bytes += 4096;
        if (n_inside > 1)
                owner->twice_bytes += (n_inside - 1) * UINT64_C(4096);
}

static int resolve_chunk(SharedScan *scan, const Chunk *chunk, int fd, uint64_t *mapped)
{
        size_t size = CHUNK_PAGES * sizeof(*mapped);
        ssize_t got = pread(fd, mapped, size, (off_t)(chunk->number * size));

        if (got < 0)
                return -errno;
        for (size_t k = 0; k < (size_t)got / sizeof(*mapped); k++)
                if (chunk->counts[k])
                        resolve_page(chunk->counts[k], mapped[k], &scan->owners[chunk->owners[k]]);
        return 0;
}

static int resolve(SharedScan *scan)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) uint64_t *mapped = NULL;

        fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        mapped = calloc(CHUNK_PAGES, sizeof(*mapped));
        if (!mapped)
                return -ENOMEM;
        for (size_t i = 0; i < scan->n_chunks_allocated; i++) {
                int r = scan->chunks[i].counts ? resolve_chunk(scan, &scan->chunks[i], fd, mapped)
                                               : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

static const Owner *owner_by_id(const SharedScan *scan, uint64_t id)
{
        static const Owner nobody;

        for (size_t i = 0; id && i < scan->n_owners; i++)
                if (scan->owners[i].id == id)
                        return &scan->owners[i];
        return &nobody;
}

/* The planner's map counts each mapping; who weighs a set of processes wants each page once. Next
 * to none of those that are mapped several times can be moved, so they are here or left. */
static void fill_facts(ch_place_report *report, const SharedScan *scan)
{
        ch_place_source *source = &report->source;
        uint64_t twice = 0;

        for (size_t i = 0; i < scan->n_owners; i++) {
                source->shared_bytes += scan->owners[i].shared_bytes;
                twice += scan->owners[i].twice_bytes;
        }
        source->resident_bytes = sub_u64(source->resident_bytes, twice);
        for (size_t i = 0; i < report->n; i++) {
                const Owner *here = owner_by_id(scan, report->candidates[i].memcg_id);
                ch_place_facts *facts = &report->facts[i];

                facts->shared_here_bytes = here->shared_bytes;
                facts->shared_apart_bytes = sub_u64(source->shared_bytes, here->shared_bytes);
                facts->here_bytes = sub_u64(facts->here_bytes, here->twice_bytes);
                facts->left_bytes = sub_u64(facts->left_bytes, twice - here->twice_bytes);
        }
}

int place_read_shared(ch_place_report *report, ch_tree *tree, ch_procset *set, ch_error **err)
{
        _cleanup_(scan_done) SharedScan scan = { 0 };
        int r;

        for (size_t i = 0; i < ch_procset_n_mms(set); i++) {
                _cleanup_(error_freep) ch_error *reason = NULL;

                r = scan_mm(&scan, tree, ch_procset_get_mm(set, i), &reason);
                if (r < 0 && r != -ESRCH)
                        return reason ? error_copy(err, reason)
                                      : error_errno(err, r, NULL, "looking for shared memory");
        }
        r = resolve(&scan);
        if (r < 0)
                return error_errno(err, r, "/proc/kpagecount", "reading");
        fill_facts(report, &scan);
        return 0;
}
