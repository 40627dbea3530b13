/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides which blocks are recharged or collapsed: arithmetic on what charges.c counted, nothing else. */

#include "charges.h"
#include "util.h"

enum {
        /* A thin block is copied whole for what is in it: below a sixteenth the price is too high.
         */
        THIN_FRACTION = 16,
};

static uint32_t block_pages(const Charges *c)
{
        return (uint32_t)(c->huge_bytes / c->page_bytes);
}

static uint32_t block_resident(const Block *b)
{
        return b->there + b->elsewhere + b->unknown;
}

uint32_t block_cost(const Charges *c, const Block *b)
{
        if (b->flags & BLOCK_RECHARGE)
                return 0;
        /* swapped pages are no longer holes once they are swapped in; shared ones are copied */
        return block_pages(c) - (uint32_t)min_u64(block_resident(b), block_pages(c)) + b->shared;
}

/* Why a block cannot be collapsed whatever its holes; _MAX_ if it can. */
static ch_reason block_reason(const Charges *c, const Block *b)
{
        const Mapping *m = &c->mappings[b->mapping];

        if (m->flags & MAPPING_SHMEM)
                return CH_REASON_SHMEM;
        if (!block_is_whole(c, b) || (m->flags & (MAPPING_FILE | MAPPING_SHARED)))
                return b->shared ? CH_REASON_SHARED : CH_REASON_SMALL;
        if (!c->traits.available || !(c->backends & 1u << CH_BACKEND_COLLAPSE))
                return CH_REASON_BACKEND;
        if (c->mms[b->mm].forbids_huge || (m->flags & MAPPING_NOHUGEPAGE))
                return CH_REASON_FORBIDDEN;
        /* MADV_COLD, which splits, is refused for mlocked memory; small mlocked pages collapse */
        if ((m->flags & MAPPING_LOCKED) && (b->flags & BLOCK_HUGE))
                return CH_REASON_LOCKED;
        /* the kernel splits only huge pages that have one mapper */
        if ((b->flags & BLOCK_HUGE) && b->shared)
                return CH_REASON_SHARED;
        if (!(m->flags & MAPPING_WRITABLE) && !c->traits.read_only)
                return CH_REASON_BACKEND;
        return CH_REASON_MAX_;
}

static ch_reason costly_reason(const Charges *c, const Block *b)
{
        uint32_t holes =
                block_pages(c) - (uint32_t)min_u64(block_resident(b) + b->swapped, block_pages(c));

        if (b->shared > holes && b->shared >= b->swapped)
                return CH_REASON_SHARED;
        return b->swapped > holes ? CH_REASON_SWAPPED : CH_REASON_SPARSE;
}

static int thin_is_possible(const Charges *c, const Block *b)
{
        return c->traits.gives_back && b->shared == 0 && b->swapped == 0 &&
               b->elsewhere >= block_pages(c) / THIN_FRACTION;
}

typedef struct Candidate {
        uint32_t cost, index;
} Candidate;

static int compare_cost(const void *a, const void *b)
{
        const Candidate *x = a, *y = b;

        if (x->cost != y->cost)
                return x->cost < y->cost ? -1 : 1;
        return x->index < y->index ? -1 : x->index > y->index;
}

/* In order of cost, until the budget is used up. */
static void spend(Charges *c, const Candidate *candidates, size_t n)
{
        uint64_t left = c->growth_limit_bytes / c->page_bytes;

        for (size_t i = 0; i < n; i++) {
                Block *b = &c->blocks[candidates[i].index];
                uint32_t cost = candidates[i].cost;

                if (cost <= left) {
                        left -= cost;
                        b->flags |= BLOCK_CHOSEN;
                        c->growth_bytes += cost * c->page_bytes;
                } else if (thin_is_possible(c, b)) {
                        b->flags |= BLOCK_CHOSEN | BLOCK_THIN;
                        c->thin_bytes += cost * c->page_bytes;
                } else {
                        b->reason = costly_reason(c, b);
                }
        }
}

static ChargeRow *find_row(Charges *c, uint64_t group_id, ch_kind kind)
{
        for (size_t i = 0; i < c->n_rows; i++)
                if (c->rows[i].group_id == group_id && c->rows[i].kind == kind)
                        return &c->rows[i];
        return NULL;
}

static ch_backend block_backend(const Block *b)
{
        return b->flags & BLOCK_RECHARGE ? CH_BACKEND_RECHARGE : CH_BACKEND_COLLAPSE;
}

static void sum_block(Charges *c, const Block *b)
{
        int chosen = !!(b->flags & BLOCK_CHOSEN);

        for (uint32_t i = 0; i < b->n_shares; i++) {
                const Share *share = &c->shares[b->first_share + i];
                ChargeRow *row = find_row(c, share->group_id, share->kind);
                uint64_t bytes = share->pages * c->page_bytes;

                if (!chosen) {
                        c->staying[share->kind][b->reason] += bytes;
                        continue;
                }
                c->movable_bytes += bytes;
                if (row) {
                        row->movable_bytes += bytes;
                        row->backends |= 1u << block_backend(b);
                }
        }
        if (b->swapped && !chosen)
                c->staying[CH_KIND_SWAP][CH_REASON_SWAPPED] += b->swapped * c->page_bytes;
}

static void sum_drops(Charges *c)
{
        for (size_t i = 0; i < c->n_drops; i++) {
                ChargeRow *row = find_row(c, c->drops[i].group_id, CH_KIND_FILE);
                uint64_t bytes = c->drops[i].end - c->drops[i].start;

                c->movable_bytes += bytes;
                if (row) {
                        row->movable_bytes += bytes;
                        row->backends |= 1u << CH_BACKEND_REFAULT;
                }
        }
}

static void sum_retags(Charges *c)
{
        for (size_t i = 0; i < c->n_retags * CH_KIND_MAX_; i++) {
                const Retag *retag = &c->retags[i / CH_KIND_MAX_];
                ch_kind kind = (ch_kind)(i % CH_KIND_MAX_);
                ChargeRow *row = find_row(c, retag->group_id, kind);
                uint64_t bytes = retag->movable[kind];

                c->movable_bytes += bytes;
                if (row && bytes) {
                        row->movable_bytes += bytes;
                        row->backends |= 1u << CH_BACKEND_MODULE;
                }
        }
}

static void sum_staying(Charges *c)
{
        for (size_t kind = 0; kind < CH_KIND_MAX_; kind++)
                for (size_t reason = 0; reason < CH_REASON_MAX_; reason++)
                        c->staying_bytes += c->staying[kind][reason];
}

int charges_choose(Charges *c, uint32_t max_growth_permyriad)
{
        _cleanup_(freep) Candidate *candidates = NULL;
        size_t n = 0;

        candidates = malloc((c->n_blocks + 1) * sizeof(*candidates));
        if (!candidates)
                return -ENOMEM;
        c->growth_limit_bytes = c->resident_bytes / 10000 * max_growth_permyriad;
        for (size_t i = 0; i < c->n_blocks; i++) {
                Block *b = &c->blocks[i];

                b->before_there = b->there;
                if (b->n_shares && c->recharge > 0 && (c->with_shared || !b->shared)) {
                        b->flags |= BLOCK_CHOSEN | BLOCK_RECHARGE;
                        continue;
                }
                b->reason = block_reason(c, b);
                if (b->n_shares && b->reason == CH_REASON_MAX_)
                        candidates[n++] =
                                (Candidate){ .cost = block_cost(c, b), .index = (uint32_t)i };
        }
        qsort(candidates, n, sizeof(*candidates), compare_cost);
        spend(c, candidates, n);
        for (size_t i = 0; i < c->n_blocks; i++)
                sum_block(c, &c->blocks[i]);
        sum_drops(c);
        sum_retags(c);
        sum_staying(c);
        return 0;
}

void charges_sum_backends(const Charges *c, uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_])
{
        for (size_t i = 0; i < c->n_blocks; i++)
                for (uint32_t k = 0; k < c->blocks[i].n_shares && (c->blocks[i].flags & BLOCK_CHOSEN); k++) {
                        const Share *share = &c->shares[c->blocks[i].first_share + k];

                        sums[block_backend(&c->blocks[i])][share->kind] += share->pages * c->page_bytes;
                }
        for (size_t i = 0; i < c->n_drops; i++)
                sums[CH_BACKEND_REFAULT][CH_KIND_FILE] += c->drops[i].end - c->drops[i].start;
        for (size_t i = 0; i < c->n_retags * CH_KIND_MAX_; i++)
                sums[CH_BACKEND_MODULE][i % CH_KIND_MAX_] +=
                        c->retags[i / CH_KIND_MAX_].movable[i % CH_KIND_MAX_];
}

uint64_t charges_sum_from(const Charges *c, uint64_t group_id)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < c->n_rows; i++)
                if (c->rows[i].group_id == group_id)
                        sum += c->rows[i].movable_bytes;
        return sum;
}
