/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes pagemap entries: which group is charged for each page, what kind it is, whole huge pages
 * at once. */

#include "pages-decode.h"
#include "util.h"

#define PAGE_BYTES (UINT64_C(1) << PAGE_SHIFT_4K)
#define HUGE_BYTES (PAGE_BYTES * HUGE_PAGES)

/* A folio of the page cache or anonymous memory is no larger than this; hugetlb may be, and is not
 * charged here. */
#define FOLIO_PAGES_MAX 512

/* Swap entry: type in the low 5 bits, offset above (include/linux/swap.h, MAX_SWAPFILES_SHIFT). */
enum {
        SWAP_TYPE_BITS = 5,
        SWAP_TYPE_SPECIAL = 22, /* from here on: migration, hwpoison, device memory; never so many
                                   swap devices */
        SWAP_TYPE_MARKER = 31,  /* userfaultfd and guard markers: there is no page */
};

int decoder_init(PageDecoder *decoder, const PageSource *source)
{
        *decoder = (PageDecoder){ .source = *source, .pmd_mapped = -1 };
        decoder->ids = reallocarray(NULL, WINDOW_PAGES, sizeof(uint64_t));
        return decoder->ids ? 0 : -ENOMEM;
}

void decoder_done(PageDecoder *decoder)
{
        free(decoder->ids);
        free(decoder->flags);
        decoder->ids = decoder->flags = NULL;
}

void decoder_start(PageDecoder *decoder, uint32_t mapping_flags, pagerun_func func, void *userdata)
{
        decoder->mapping_flags = mapping_flags;
        decoder->func = func;
        decoder->userdata = userdata;
        decoder->run = (PageRun){};
        decoder->run_key = 0;
}

int decoder_finish(PageDecoder *decoder)
{
        PageRun run = decoder->run;

        decoder->run = (PageRun){};
        return run.end > run.start ? decoder->func(&run, decoder->userdata) : 0;
}

/* Begin a new run with this one, or prolong the present one by it. */
static int emit(PageDecoder *decoder, const PageRun *run)
{
        PageRun *last = &decoder->run;
        int want = decoder->want_pfns, r;
        uint64_t step;

        if (last->end == run->start && last->group_id == run->group_id && last->kind == run->kind &&
            last->flags == run->flags &&
            (decoder->run_step == 0 ||
             last->pfn + ((last->end - last->start) >> PAGE_SHIFT_4K) == run->pfn)) {
                last->end = run->end;
                return 0;
        }
        r = decoder_finish(decoder);
        step = want == PFNS_ALL || (want == PFNS_SHARED && !(run->flags & PAGERUN_EXCLUSIVE));
        decoder->run = *run;
        decoder->run_step = step;
        return r;
}

static int read_one(const PageDecoder *decoder, PageTable table, uint64_t pfn, uint64_t *ret)
{
        return decoder->source.read(table, pfn, 1, ret, decoder->source.userdata);
}

/* Shared memory on a file system that the mount table does not show: its pages are swap-backed. */
static int resolve_unsure(PageDecoder *decoder, uint64_t pfn)
{
        uint64_t flags;
        int r;

        r = read_one(decoder, TABLE_FLAGS, pfn, &flags);
        if (r < 0)
                return r;
        decoder->mapping_flags &= ~MAPPING_UNSURE;
        decoder->mapping_flags |= flags & KPF_SWAPBACKED ? MAPPING_SHMEM : 0;
        return 0;
}

/* Of a page that has a group. */
static ch_kind kind_of(const PageDecoder *decoder, uint64_t entry, int huge)
{
        if (decoder->mapping_flags & MAPPING_HUGETLB)
                return CH_KIND_HUGETLB;
        if (entry & PM_FILE)
                return decoder->mapping_flags & MAPPING_SHMEM ? CH_KIND_SHMEM : CH_KIND_FILE;
        return huge ? CH_KIND_ANON_THP : CH_KIND_ANON;
}

static int emit_swapped(PageDecoder *decoder, uint64_t entry, uint64_t address)
{
        uint64_t swap = entry & PM_PFN_MASK, type = swap & ((1 << SWAP_TYPE_BITS) - 1);
        PageRun run = { .start = address, .end = address + PAGE_BYTES };

        if ((entry & PM_GUARD) || type == SWAP_TYPE_MARKER)
                return 0;
        run.kind = CH_KIND_UNCHARGED;
        if (type < SWAP_TYPE_SPECIAL) {
                run.kind = CH_KIND_SWAP;
                run.flags = PAGERUN_SWAPPED;
                run.pfn = (swap >> SWAP_TYPE_BITS) | type << 50;
        }
        return emit(decoder, &run);
}

/* The head of the folio that a tail is part of: back over tails to the first that is none. */
static int find_head(PageDecoder *decoder, uint64_t pfn, uint64_t *ret)
{
        uint64_t flags[64];
        uint64_t at = pfn, limit = pfn > FOLIO_PAGES_MAX ? pfn - FOLIO_PAGES_MAX : 0;

        while (at > limit) {
                size_t n = min_u64(ELEMENTSOF(flags), at - limit);
                int r = decoder->source.read(TABLE_FLAGS, at - n, n, flags,
                                             decoder->source.userdata);

                if (r < 0)
                        return r;
                for (size_t i = n; i > 0; i--)
                        if (!(flags[i - 1] & KPF_COMPOUND_TAIL)) {
                                *ret = at - n + i - 1;
                                return flags[i - 1] & KPF_COMPOUND_HEAD ? 1 : 0;
                        }
                at -= n;
        }
        return 0;
}

/*
 * A page that no group pays for, as it seems: a tail (up to 6.1 at least only heads carry the id),
 * hugetlb, the zero page, or really none. Fills the run's group, kind and flags.
 */
static int resolve_uncharged(PageDecoder *decoder, uint64_t entry, PageRun *run)
{
        uint64_t pfn = run->pfn, flags, head = 0;
        int r;

        run->group_id = CH_GROUP_ID_NONE;
        run->kind = CH_KIND_UNCHARGED;
        if (pfn == decoder->zero_pfn)
                return 0;
        if (!decoder->flags) {
                decoder->flags = reallocarray(NULL, WINDOW_PAGES, sizeof(uint64_t));
                if (!decoder->flags)
                        return -ENOMEM;
        }
        if (!decoder->have_flags) {
                r = decoder->source.read(TABLE_FLAGS, decoder->low, decoder->n_window,
                                         decoder->flags, decoder->source.userdata);
                if (r < 0)
                        return r;
                decoder->have_flags = 1;
        }
        flags = decoder->flags[pfn - decoder->low];
        if (flags & KPF_ZERO_PAGE)
                decoder->zero_pfn = flags & KPF_THP ? decoder->zero_pfn : pfn;
        if (flags & KPF_HUGE)
                run->kind = CH_KIND_HUGETLB;
        if ((flags & (KPF_ZERO_PAGE | KPF_HUGE)) || !(flags & KPF_COMPOUND_TAIL))
                return 0;
        r = find_head(decoder, pfn, &head);
        if (r > 0)
                r = read_one(decoder, TABLE_GROUP, head, &run->group_id);
        if (r < 0)
                return r;
        run->flags |= PAGERUN_COMPOUND;
        if (run->group_id != CH_GROUP_ID_NONE)
                run->kind = kind_of(decoder, entry, 0);
        return 0;
}

static int emit_page(PageDecoder *decoder, uint64_t entry, uint64_t address)
{
        PageRun run = { .start = address, .end = address + PAGE_BYTES, .pfn = entry & PM_PFN_MASK };
        int r;

        run.flags = entry & PM_EXCLUSIVE ? PAGERUN_EXCLUSIVE : 0;
        run.group_id = decoder->ids[run.pfn - decoder->low];
        if ((entry & PM_FILE) && (decoder->mapping_flags & MAPPING_UNSURE)) {
                r = resolve_unsure(decoder, run.pfn);
                if (r < 0)
                        return r;
        }
        if (run.group_id != CH_GROUP_ID_NONE) {
                run.kind = kind_of(decoder, entry, 0);
        } else {
                r = resolve_uncharged(decoder, entry, &run);
                if (r < 0)
                        return r;
        }
        r = emit(decoder, &run);
        /* only what is told by the entry and the id alone may be prolonged without a closer look */
        if (run.kind != CH_KIND_UNCHARGED && !(run.flags & PAGERUN_COMPOUND))
                decoder->run_key = entry & PM_KEY_MASK;
        return r;
}

/* Do 512 entries from an aligned address on show 512 consecutive pages from an aligned PFN on,
 * alike in everything? */
static int looks_huge(const uint64_t *entries, size_t n, uint64_t address)
{
        uint64_t differs = 0;

        if ((address & (HUGE_BYTES - 1)) || n < HUGE_PAGES || !(entries[0] & PM_PRESENT) ||
            (entries[0] & (HUGE_PAGES - 1)) ||
            entries[HUGE_PAGES - 1] != entries[0] + HUGE_PAGES - 1)
                return 0;
        for (size_t i = 1; i < HUGE_PAGES; i++)
                differs |= entries[i] ^ (entries[0] + i);
        return differs == 0;
}

/*
 * One entry each of kpageflags and kpagecgroup stands for all 512: folios are aligned to their
 * size, so if the page in the middle is a tail, the folio begins at the first page or before. 1
 * emitted, 0 it is made of smaller folios.
 */
static int emit_huge(PageDecoder *decoder, uint64_t entry, uint64_t address)
{
        PageRun run = { .start = address, .end = address + HUGE_BYTES, .pfn = entry & PM_PFN_MASK };
        uint64_t flags;
        int r;

        r = read_one(decoder, TABLE_FLAGS, run.pfn + HUGE_PAGES / 2, &flags);
        if (r < 0)
                return r;
        if (!(flags & KPF_COMPOUND_TAIL))
                return 0;
        r = read_one(decoder, TABLE_GROUP, run.pfn, &run.group_id);
        if (r < 0)
                return r;
        if ((entry & PM_FILE) && (decoder->mapping_flags & MAPPING_UNSURE)) {
                r = resolve_unsure(decoder, run.pfn);
                if (r < 0)
                        return r;
        }
        run.flags = PAGERUN_COMPOUND | (entry & PM_EXCLUSIVE ? PAGERUN_EXCLUSIVE : 0);
        run.flags |= decoder->pmd_mapped != 0 ? PAGERUN_HUGE : 0;
        if (flags & KPF_HUGE)
                run.kind = CH_KIND_HUGETLB;
        else if ((flags & KPF_ZERO_PAGE) || run.group_id == CH_GROUP_ID_NONE)
                run.kind = CH_KIND_UNCHARGED;
        else
                run.kind = kind_of(decoder, entry, decoder->pmd_mapped != 0);
        decoder->run_key = 0;
        r = emit(decoder, &run);
        return r < 0 ? r : 1;
}

/* Would the window still be worth its read with this PFN in it? Then it is. */
static int widen_window(uint64_t *low, uint64_t *high, uint64_t pfn)
{
        if (pfn + WINDOW_GAP < *low || pfn > *high + WINDOW_GAP)
                return 0;
        if (pfn < *low ? *high - pfn > WINDOW_PAGES : pfn + 1 - *low > WINDOW_PAGES)
                return 0;
        if (pfn < *low)
                *low = pfn;
        else
                *high = pfn + 1;
        return 1;
}

/*
 * How many entries one read of ids can serve: PFNs may go up, down or to and fro, as the buddy
 * allocator gave them out, as long as the window stays small and the gaps in it too. Sets the
 * window; none present at all: n_window 0. This loop and the one of prolong() see each page of the
 * process.
 */
static size_t choose_window(PageDecoder *decoder, const uint64_t *entries, size_t n,
                            uint64_t address)
{
        uint64_t low = 0, high = 0;
        size_t i;

        for (i = 0; i < n; i++) {
                uint64_t entry = entries[i], pfn = entry & PM_PFN_MASK;

                if (!(entry & PM_PRESENT))
                        continue;
                /* let a huge page be found, but for the one that was looked at and was none */
                if ((pfn & (HUGE_PAGES - 1)) == 0 && i > 0 &&
                    looks_huge(entries + i, n - i, address + i * PAGE_BYTES))
                        break;
                if (pfn == high && high - low < WINDOW_PAGES) {
                        high++;
                        continue;
                }
                if (pfn >= low && pfn < high)
                        continue;
                if (high == 0) {
                        low = pfn;
                        high = pfn + 1;
                } else if (!widen_window(&low, &high, pfn)) {
                        break;
                }
        }
        decoder->low = low;
        decoder->n_window = (size_t)(high - low);
        decoder->have_flags = 0;
        return i;
}

/* The entries that just prolong the present run, which was made of an entry with run_key. */
static size_t prolong(PageDecoder *decoder, const uint64_t *entries, size_t n, uint64_t address)
{
        const uint64_t *ids = decoder->ids;
        const uint64_t key = decoder->run_key, low = decoder->low, group_id = decoder->run.group_id;
        const uint64_t next =
                decoder->run.pfn + ((decoder->run.end - decoder->run.start) >> PAGE_SHIFT_4K);
        size_t i = 0;

        if (decoder->run.end != address || key == 0)
                return 0;
        if (decoder->run_step)
                while (i < n && (entries[i] & (PM_KEY_MASK | PM_PFN_MASK)) == (key | (next + i)) &&
                       ids[next + i - low] == group_id)
                        i++;
        else
                while (i < n && (entries[i] & PM_KEY_MASK) == key &&
                       ids[(entries[i] & PM_PFN_MASK) - low] == group_id)
                        i++;
        decoder->run.end += i * PAGE_BYTES;
        return i;
}

static int feed_entry(PageDecoder *decoder, uint64_t entry, uint64_t address)
{
        decoder->run_key = 0;
        if (entry & PM_PRESENT)
                return emit_page(decoder, entry, address);
        return entry & PM_SWAP ? emit_swapped(decoder, entry, address) : 0;
}

static int feed_window(PageDecoder *decoder, const uint64_t *entries, size_t n, uint64_t address)
{
        int r;

        if (decoder->n_window > 0) {
                r = decoder->source.read(TABLE_GROUP, decoder->low, decoder->n_window, decoder->ids,
                                         decoder->source.userdata);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n;) {
                size_t taken = prolong(decoder, entries + i, n - i, address + i * PAGE_BYTES);

                i += taken;
                if (i == n)
                        break;
                r = feed_entry(decoder, entries[i], address + i * PAGE_BYTES);
                if (r < 0)
                        return r;
                i++;
        }
        return 0;
}

int decoder_feed(PageDecoder *decoder, const uint64_t *entries, size_t n, uint64_t address)
{
        size_t i = 0;
        int r;

        while (i < n) {
                uint64_t at = address + i * PAGE_BYTES;
                size_t taken;

                if (looks_huge(entries + i, n - i, at)) {
                        r = emit_huge(decoder, entries[i], at);
                        if (r < 0)
                                return r;
                        if (r > 0) {
                                i += HUGE_PAGES;
                                continue;
                        }
                }
                taken = choose_window(decoder, entries + i, n - i, at);
                r = feed_window(decoder, entries + i, taken, at);
                if (r < 0)
                        return r;
                i += taken;
        }
        return 0;
}
