/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A map from 64-bit keys to pointers with linear probing and backward-shift deletion. */

#include "hash.h"
#include "util.h"

enum { SLOTS_MIN = 16 };

uint64_t hash_mix(uint64_t key)
{
        key ^= key >> 33;
        key *= 0xff51afd7ed558ccdULL;
        key ^= key >> 33;
        key *= 0xc4ceb9fe1a85ec53ULL;
        return key ^ (key >> 33);
}

static size_t home(const Hash *hash, uint64_t key)
{
        return (size_t)hash_mix(key) & (hash->n_slots - 1);
}

/* The slot of the key, or the free one where it belongs; never full. */
static HashSlot *find(const Hash *hash, uint64_t key)
{
        size_t i = home(hash, key);

        while (hash->slots[i].value && hash->slots[i].key != key)
                i = (i + 1) & (hash->n_slots - 1);
        return &hash->slots[i];
}

void *hash_get(const Hash *hash, uint64_t key)
{
        return hash->n_slots ? find(hash, key)->value : NULL;
}

static int resize(Hash *hash, size_t n_slots)
{
        Hash other = { .n = hash->n, .n_slots = n_slots };

        other.slots = calloc(n_slots, sizeof(HashSlot));
        if (!other.slots)
                return -ENOMEM;
        for (size_t i = 0; i < hash->n_slots; i++)
                if (hash->slots[i].value)
                        *find(&other, hash->slots[i].key) = hash->slots[i];
        free(hash->slots);
        *hash = other;
        return 0;
}

int hash_put(Hash *hash, uint64_t key, void *value)
{
        HashSlot *slot;

        if ((hash->n + 1) * 4 > hash->n_slots * 3 &&
            resize(hash, hash->n_slots ? hash->n_slots * 2 : SLOTS_MIN) < 0)
                return -ENOMEM;
        slot = find(hash, key);
        if (!slot->value)
                hash->n++;
        *slot = (HashSlot){ .key = key, .value = value };
        return 0;
}

void *hash_remove(Hash *hash, uint64_t key)
{
        size_t mask = hash->n_slots - 1, hole, i;
        HashSlot *slot = hash->n_slots ? find(hash, key) : NULL;
        void *value = slot ? slot->value : NULL;

        if (!value)
                return NULL;
        hole = (size_t)(slot - hash->slots);
        for (i = (hole + 1) & mask; hash->slots[i].value; i = (i + 1) & mask) {
                size_t want = home(hash, hash->slots[i].key);

                if (((i - want) & mask) < ((i - hole) & mask))
                        continue;
                hash->slots[hole] = hash->slots[i];
                hole = i;
        }
        hash->slots[hole].value = NULL;
        hash->n--;
        if (hash->n_slots > SLOTS_MIN && hash->n * 8 < hash->n_slots)
                (void)resize(hash, hash->n_slots / 2); /* without room it stays as it is */
        return value;
}

void hash_done(Hash *hash)
{
        free(hash->slots);
        *hash = (Hash)HASH_INIT;
}

void *hash_next(const Hash *hash, size_t *position)
{
        while (*position < hash->n_slots) {
                void *value = hash->slots[(*position)++].value;

                if (value)
                        return value;
        }
        return NULL;
}
