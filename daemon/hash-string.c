/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of a hash made from text that clients choose. */

#include <sys/random.h>

#include "hash-string.h"
#include "util.h"

/* FNV-1a from a random start, so that nobody can choose names that collide. */
uint64_t hash_string(const char *text)
{
        static uint64_t seed;
        uint64_t value;

        if (!seed && getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
                seed = 0xcbf29ce484222325ULL;
        value = seed;
        for (; *text; text++)
                value = (value ^ (unsigned char)*text) * 0x100000001b3ULL;
        return hash_mix(value);
}
