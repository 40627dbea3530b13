/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads an address space and sorts its pages by who pays and by what could move them. */

#include <fcntl.h>
#include <stdio.h>

#include "charges.h"
#include "error.h"
#include "util.h"

typedef struct Scan {
        Charges *charges;
        Block *measured; /* only this block is counted */
} Scan;

static uint64_t pages_of(const Charges *c, uint64_t bytes)
{
        return bytes / c->page_bytes;
}

int charges_get_row(Charges *c, uint64_t group_id, ch_kind kind, ChargeRow **ret)
{
        for (size_t i = 0; i < c->n_rows; i++)
                if (c->rows[i].group_id == group_id && c->rows[i].kind == kind) {
                        *ret = &c->rows[i];
                        return 0;
                }
        if (array_reserve(&c->rows, &c->rows_allocated, c->n_rows + 1, sizeof(*c->rows)) < 0)
                return -ENOMEM;
        c->rows[c->n_rows] = (ChargeRow){ .group_id = group_id, .kind = kind };
        *ret = &c->rows[c->n_rows++];
        return 0;
}

/* Why nothing of a whole mapping can be moved in place; _MAX_ if it depends on the pages. */
static ch_reason mapping_reason(const Mapping *m)
{
        if (m->flags & MAPPING_HUGETLB)
                return CH_REASON_HUGETLB;
        if (m->flags & (MAPPING_SPECIAL | MAPPING_VDSO))
                return CH_REASON_PINNED;
        return CH_REASON_MAX_;
}

uint64_t block_end(const Charges *c, const Block *block)
{
        return min_u64((block->start & ~(c->huge_bytes - 1)) + c->huge_bytes, c->mappings[block->mapping].end);
}

int block_is_whole(const Charges *c, const Block *block)
{
        return block_end(c, block) - block->start == c->huge_bytes;
}

/* Is this kind of mapping recharged in place, if need be in pieces of blocks? */
static int can_recharge(const Charges *c, const Mapping *m, ch_kind kind)
{
        int is_shared = kind == CH_KIND_SHMEM || (m->flags & MAPPING_SHMEM);

        return c->recharge > 0 && (!is_shared || c->with_shared);
}

/* The current block of the last mapping, or a new one. */
static int block_at(Charges *c, uint64_t start, Block **ret)
{
        ChargeMm *mm = &c->mms[c->n_mms - 1];
        Block *last = mm->n_blocks ? &c->blocks[c->n_blocks - 1] : NULL;

        if (last && last->start == start && last->mapping == c->n_mappings - 1) {
                *ret = last;
                return 0;
        }
        if (array_reserve(&c->blocks, &c->blocks_allocated, c->n_blocks + 1, sizeof(*c->blocks)) <
            0)
                return -ENOMEM;
        c->blocks[c->n_blocks] = (Block){
                .start = start,
                .mm = (uint32_t)(c->n_mms - 1),
                .mapping = (uint32_t)(c->n_mappings - 1),
                .first_share = (uint32_t)c->n_shares,
                .reason = CH_REASON_MAX_,
        };
        *ret = &c->blocks[c->n_blocks++];
        mm->n_blocks++;
        return 0;
}

static int share_add(Charges *c, Block *block, uint64_t group_id, ch_kind kind, uint32_t pages)
{
        for (uint32_t i = 0; i < block->n_shares; i++) {
                Share *share = &c->shares[block->first_share + i];

                if (share->group_id == group_id && share->kind == kind) {
                        share->pages += pages;
                        return 0;
                }
        }
        if (array_reserve(&c->shares, &c->shares_allocated, c->n_shares + 1, sizeof(*c->shares)) <
            0)
                return -ENOMEM;
        c->shares[c->n_shares++] = (Share){ .group_id = group_id, .kind = kind, .pages = pages };
        block->n_shares++;
        return 0;
}

static void block_count(Block *block, const PageRun *run, uint64_t dest_id, uint32_t pages)
{
        if (run->flags & PAGERUN_SWAPPED || run->kind == CH_KIND_SWAP) {
                block->swapped += pages;
                return;
        }
        if (run->flags & PAGERUN_HUGE)
                block->flags |= BLOCK_HUGE;
        if (!(run->flags & PAGERUN_EXCLUSIVE))
                block->shared += pages;
        if (run->group_id == dest_id)
                block->there += pages;
        else if (run->group_id == CH_GROUP_ID_NONE)
                block->unknown += pages;
        else
                block->elsewhere += pages;
}

static int is_swap(const PageRun *run)
{
        return (run->flags & PAGERUN_SWAPPED) || run->kind == CH_KIND_SWAP;
}

static void stay(Charges *c, ch_kind kind, ch_reason reason, uint64_t bytes)
{
        c->staying[kind][reason] += bytes;
}

/* Is this what the move is about? Swap counts: who pays for it cannot be told. */
static int is_wanted(const Charges *c, const PageRun *run, uint64_t dest_id)
{
        if (is_swap(run))
                return 1;
        if (run->group_id == dest_id || run->group_id == CH_GROUP_ID_NONE)
                return 0;
        return !c->only_from_id || run->group_id == c->only_from_id;
}

/* Anonymous pages: cut the run at the borders of blocks; what is outside of all whole blocks is
 * small. */
static int add_anon(Charges *c, const Mapping *mapping, const PageRun *run, uint64_t dest_id)
{
        uint64_t lo = (mapping->start + c->huge_bytes - 1) & ~(c->huge_bytes - 1);
        uint64_t hi = mapping->end & ~(c->huge_bytes - 1);
        ch_kind kind = is_swap(run) ? CH_KIND_SWAP : run->kind;
        int in_place = can_recharge(c, mapping, kind);
        uint64_t next;
        int r;

        for (uint64_t at = run->start; at < run->end; at = next) {
                uint64_t start = at & ~(c->huge_bytes - 1);
                Block *block;

                next = min_u64(run->end, start + c->huge_bytes);
                if (!in_place && (start < lo || start + c->huge_bytes > hi)) {
                        if (is_wanted(c, run, dest_id))
                                stay(c, kind, is_swap(run) ? CH_REASON_SWAPPED : CH_REASON_SMALL,
                                     next - at);
                        continue;
                }
                r = block_at(c, start > mapping->start ? start : mapping->start, &block);
                if (r < 0)
                        return r;
                block_count(block, run, dest_id, (uint32_t)pages_of(c, next - at));
                if (!is_wanted(c, run, dest_id) || is_swap(run))
                        continue;
                r = share_add(c, block, run->group_id, run->kind, (uint32_t)pages_of(c, next - at));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Why pages of a file cannot be dropped; _MAX_ if they can. */
static ch_reason file_reason(const Charges *c, const Mapping *mapping, const PageRun *run)
{
        if (!(run->flags & PAGERUN_EXCLUSIVE))
                return CH_REASON_SHARED;
        if (mapping->flags & MAPPING_LOCKED)
                return CH_REASON_LOCKED;
        if ((mapping->flags & MAPPING_SHARED) && (mapping->flags & MAPPING_WRITABLE))
                return CH_REASON_DIRTY;
        if (!(c->backends & 1u << CH_BACKEND_REFAULT))
                return CH_REASON_BACKEND;
        return CH_REASON_MAX_;
}

static int add_file(Charges *c, const Mapping *mapping, const PageRun *run)
{
        ch_reason reason = file_reason(c, mapping, run);
        ChargeMm *mm = &c->mms[c->n_mms - 1];
        Drop *last = mm->n_drops ? &c->drops[c->n_drops - 1] : NULL;

        if (reason != CH_REASON_MAX_) {
                stay(c, run->kind, reason, run->end - run->start);
                return 0;
        }
        if (last && last->end == run->start && last->group_id == run->group_id) {
                last->end = run->end;
                return 0;
        }
        if (array_reserve(&c->drops, &c->drops_allocated, c->n_drops + 1, sizeof(*c->drops)) < 0)
                return -ENOMEM;
        c->drops[c->n_drops++] = (Drop){
                .start = run->start,
                .end = run->end,
                .group_id = run->group_id,
                .mm = (uint32_t)(c->n_mms - 1),
        };
        mm->n_drops++;
        return 0;
}

static int add_by_kind(Charges *c, const Mapping *mapping, const ChargeMm *mm, const PageRun *run)
{
        ch_reason reason = mm->foreign_owner ? CH_REASON_FOREIGN_OWNER : mapping_reason(mapping);
        ch_kind kind = is_swap(run) ? CH_KIND_SWAP : run->kind;

        if (reason == CH_REASON_MAX_ && (kind == CH_KIND_SHMEM || (mapping->flags & MAPPING_SHMEM)) &&
            !can_recharge(c, mapping, kind))
                reason = CH_REASON_SHMEM;
        if (reason == CH_REASON_MAX_ && kind == CH_KIND_HUGETLB)
                reason = CH_REASON_HUGETLB;
        if (reason == CH_REASON_MAX_ && kind == CH_KIND_FILE)
                return is_wanted(c, run, mm->dest_id) ? add_file(c, mapping, run) : 0;
        /* copies of private file pages: only purely anonymous mappings can be collapsed */
        if (reason == CH_REASON_MAX_ && (mapping->flags & (MAPPING_FILE | MAPPING_SHARED)) &&
            !can_recharge(c, mapping, kind))
                reason = is_swap(run) ? CH_REASON_SWAPPED : CH_REASON_SMALL;
        if (reason == CH_REASON_MAX_)
                return add_anon(c, mapping, run, mm->dest_id);
        if (is_wanted(c, run, mm->dest_id))
                stay(c, kind, reason, run->end - run->start);
        return 0;
}

int charges_add_run(Charges *c, const PageRun *run)
{
        const Mapping *mapping = &c->mappings[c->n_mappings - 1];
        const ChargeMm *mm = &c->mms[c->n_mms - 1];
        uint64_t bytes = run->end - run->start;
        ch_kind kind = is_swap(run) ? CH_KIND_SWAP : run->kind;
        ChargeRow *row;
        int r;

        if (kind == CH_KIND_UNCHARGED)
                return 0;
        r = charges_get_row(c, kind == CH_KIND_SWAP ? CH_GROUP_ID_NONE : run->group_id, kind, &row);
        if (r < 0)
                return r;
        row->bytes += bytes;
        if (kind != CH_KIND_SWAP)
                c->resident_bytes += bytes;
        if (kind == CH_KIND_ANON || kind == CH_KIND_ANON_THP)
                c->anon_bytes += bytes;
        if (kind != CH_KIND_SWAP && run->group_id == mm->dest_id)
                c->already_bytes += bytes;
        return add_by_kind(c, mapping, mm, run);
}

int charges_add_mapping(Charges *c, const Mapping *mapping)
{
        if (array_reserve(&c->mappings, &c->mappings_allocated, c->n_mappings + 1,
                          sizeof(*c->mappings)) < 0)
                return -ENOMEM;
        c->mappings[c->n_mappings++] = *mapping;
        return 0;
}

static int on_run(const PageRun *run, void *userdata)
{
        const Scan *scan = userdata;
        Block *block = scan->measured;

        if (!block)
                return charges_add_run(scan->charges, run);
        if (run->kind != CH_KIND_UNCHARGED)
                block_count(block, run, scan->charges->mms[block->mm].dest_id,
                            (uint32_t)pages_of(scan->charges, run->end - run->start));
        return 0;
}

/* The kernel says in /proc/PID/status whether the program forbids itself huge pages (since 5.0). */
static int forbids_huge(pid_t pid)
{
        _cleanup_(freep) char *text = NULL;
        char path[64];
        const char *line;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        if (read_file_at(AT_FDCWD, path, 64 << 10, &text, NULL) < 0)
                return 0;
        line = strstr(text, "\nTHP_enabled:");
        return line && strtoul(line + strlen("\nTHP_enabled:"), NULL, 10) == 0;
}

static int scan_mappings(Charges *c, PageReader *reader, const Mapping *mappings, size_t n,
                         ch_error **err)
{
        Scan scan = { .charges = c };
        int r;

        for (size_t i = 0; i < n; i++) {
                const Mapping *m = &mappings[i];

                if (m->rss_bytes == 0 && m->swap_bytes == 0 && m->hugetlb_bytes == 0)
                        continue;
                r = charges_add_mapping(c, m);
                if (r < 0)
                        return error_errno(err, r, NULL, "reading mappings");
                r = pagereader_walk(reader, m, m->start, m->end, on_run, &scan, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int charges_add_mm(Charges *c, const ChargeMm *mm)
{
        ChargeMm *added;

        if (array_reserve(&c->mms, &c->mms_allocated, c->n_mms + 1, sizeof(*c->mms)) < 0)
                return -ENOMEM;
        added = &c->mms[c->n_mms++];
        *added = *mm;
        added->first_block = (uint32_t)c->n_blocks;
        added->first_drop = (uint32_t)c->n_drops;
        added->first_retag = (uint32_t)c->n_retags;
        added->first_range = (uint32_t)c->n_ranges;
        added->n_blocks = added->n_drops = added->n_retags = added->n_ranges = 0;
        return 0;
}

int charges_scan(Charges *c, const ChargeMm *mm, ch_error **err)
{
        _cleanup_(freep) Mapping *mappings = NULL;
        PageReader *reader = NULL;
        size_t n;
        int r;

        r = mappings_read(mm->pid, &mappings, &n, err);
        if (r < 0)
                return r;
        r = pagereader_new(mm->pid, &reader, err);
        if (r < 0)
                return r;
        r = charges_add_mm(c, mm);
        if (r >= 0) {
                c->mms[c->n_mms - 1].forbids_huge = forbids_huge(mm->pid);
                r = scan_mappings(c, reader, mappings, n, err);
        }
        (void)pagereader_free(reader);
        return r;
}

int charges_measure_block(Charges *c, PageReader *reader, Block *block, ch_error **err)
{
        const Mapping *mapping = &c->mappings[block->mapping];
        Block fresh = *block;
        Scan scan = { .charges = c, .measured = &fresh };
        int r;

        fresh.there = fresh.elsewhere = fresh.unknown = fresh.shared = fresh.swapped = 0;
        fresh.flags &= ~(uint32_t)BLOCK_HUGE;
        r = pagereader_walk(reader, mapping, block->start, block_end(c, block), on_run, &scan, err);
        if (r < 0)
                return r;
        *block = fresh;
        return 0;
}

void charges_done(Charges *c)
{
        free(c->mms);
        free(c->mappings);
        free(c->blocks);
        free(c->shares);
        free(c->drops);
        free(c->retags);
        free(c->ranges);
        free(c->rows);
        *c = (Charges)CHARGES_INIT;
}
