/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sparse sets of page frame numbers: a hash of bitmaps. */

#include "pfnset.h"
#include "util.h"

enum {
        CHUNK_BITS = 15,
        CHUNK_WORDS = (1 << CHUNK_BITS) / 64,
};

static PfnChunk *find_slot(const PfnSet *set, uint64_t number)
{
        size_t at = (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (set->n_allocated - 1);

        while (set->chunks[at].bits && set->chunks[at].number != number)
                at = (at + 1) & (set->n_allocated - 1);
        return &set->chunks[at];
}

static int grow(PfnSet *set)
{
        PfnSet grown = { .n = set->n, .n_allocated = set->n_allocated ? 2 * set->n_allocated : 64 };

        grown.chunks = calloc(grown.n_allocated, sizeof(*grown.chunks));
        if (!grown.chunks)
                return -ENOMEM;
        for (size_t i = 0; i < set->n_allocated; i++)
                if (set->chunks[i].bits)
                        *find_slot(&grown, set->chunks[i].number) = set->chunks[i];
        free(set->chunks);
        *set = grown;
        return 0;
}

static uint64_t *get_bits(PfnSet *set, uint64_t number)
{
        PfnChunk *slot;

        if (2 * (set->n + 1) > set->n_allocated && grow(set) < 0)
                return NULL;
        slot = find_slot(set, number);
        if (slot->bits)
                return slot->bits;
        slot->bits = calloc(CHUNK_WORDS, sizeof(uint64_t));
        if (!slot->bits)
                return NULL;
        slot->number = number;
        set->n++;
        return slot->bits;
}

int pfnset_add(PfnSet *set, uint64_t first, uint64_t n, uint64_t *ret_new)
{
        uint64_t n_new = 0;

        while (n > 0) {
                uint64_t bit = first & ((1 << CHUNK_BITS) - 1);
                uint64_t *word, mask, span = min_u64(n, 64 - bit % 64);

                word = get_bits(set, first >> CHUNK_BITS);
                if (!word)
                        return -ENOMEM;
                word += bit / 64;
                mask = (span == 64 ? UINT64_MAX : (UINT64_C(1) << span) - 1) << bit % 64;
                n_new += (uint64_t)__builtin_popcountll(mask & ~*word);
                *word |= mask;
                first += span;
                n -= span;
        }
        *ret_new = n_new;
        return 0;
}

void pfnset_done(PfnSet *set)
{
        for (size_t i = 0; i < set->n_allocated; i++)
                free(set->chunks[i].bits);
        free(set->chunks);
        *set = (PfnSet){};
}
