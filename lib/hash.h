/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_HASH_H
#define CH_HASH_H

/* A map from 64-bit keys to pointers: open addressing, 16 bytes a slot. Values must not be NULL. */

#include <stddef.h>
#include <stdint.h>

typedef struct HashSlot {
        uint64_t key;
        void *value;
} HashSlot;

typedef struct Hash {
        HashSlot *slots;
        size_t n, n_slots;
} Hash;

#define HASH_INIT                                                                                  \
        {                                                                                          \
                0                                                                                  \
        }

void *hash_get(const Hash *hash, uint64_t key);
/* Replaces what was there. -ENOMEM. */
int hash_put(Hash *hash, uint64_t key, void *value);
void *hash_remove(Hash *hash, uint64_t key); /* what was there, or NULL */
void hash_done(Hash *hash);
/* Any order: next value after *position (0 at first), NULL at the end. No changes meanwhile. */
void *hash_next(const Hash *hash, size_t *position);

/* Spreads a key over all 64 bits. */
uint64_t hash_mix(uint64_t key);

#endif
