/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terms of a placement's score, each from 0 to 10,000; docs/placement.md tells why they are as
 * they are. Pure. */

#include "place.h"
#include "util.h"

enum {
        LEFT_PAGE_SHIFT = 12, /* what would be left counts in 4 KiB */
        LEFT_BITS = 38,       /* 2^38 of them, 1 PiB, are as good as no limit */
        LEFT_FRACTION = 10,   /* bits of its logarithm behind the point */
};

static uint64_t add_u64(uint64_t a, uint64_t b)
{
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

uint32_t place_share(uint64_t part, uint64_t whole)
{
        if (part >= whole)
                return PERMYRIAD;
        if (part <= UINT64_MAX / PERMYRIAD)
                return (uint32_t)(part * PERMYRIAD / whole);
        return (uint32_t)min_u64(part / (whole / PERMYRIAD), PERMYRIAD);
}

static uint64_t needed_at(const ch_place_request *request, const ch_place_facts *facts,
                          const ch_place_level *level)
{
        uint64_t coming = sub_u64(facts->movable_bytes, level->already_bytes);

        return add_u64(request->bytes, coming ? add_u64(coming, facts->extra_bytes) : 0);
}

static uint64_t free_at(const ch_place_level *level, uint64_t used_bytes)
{
        if (level->limit_bytes == UINT64_MAX)
                return UINT64_MAX;
        return sub_u64(sub_u64(level->limit_bytes, used_bytes), level->claimed_bytes);
}

/* What would be left without the page cache: it is use as well, but the kernel gives it up before
 * it refuses anybody. Which share of the limit that is tells how tight it is. */
static void enter_easy(const ch_place_level *level, uint64_t needed_bytes, int lacks,
                       PlaceRoom *room)
{
        uint64_t kept_bytes = sub_u64(level->used_bytes, level->cache_bytes);
        uint64_t easy = lacks ? 0 : sub_u64(free_at(level, kept_bytes), needed_bytes);
        uint32_t left = level->limit_bytes ? place_share(easy, level->limit_bytes) : 0;

        room->easy_left_bytes = min_u64(room->easy_left_bytes, easy);
        if (left < room->left_permyriad || room->level.limit_bytes == UINT64_MAX) {
                room->next_permyriad = room->left_permyriad;
                room->left_permyriad = left;
                room->tightest = level->path;
        } else if (left < room->next_permyriad) {
                room->next_permyriad = left;
        }
}

/* How much would be left, or is lacking, tells what can be had there. */
static void enter_level(const ch_place_request *request, const ch_place_facts *facts,
                        const ch_place_level *level, PlaceRoom *room)
{
        uint64_t needed = needed_at(request, facts, level);
        uint64_t free_bytes = free_at(level, level->used_bytes);
        uint64_t short_bytes = sub_u64(needed, free_bytes);
        uint64_t left_bytes = sub_u64(free_bytes, needed);

        if (level->limit_bytes == UINT64_MAX)
                return;
        enter_easy(level, needed, short_bytes > 0, room);
        if (room->level.limit_bytes != UINT64_MAX && short_bytes <= room->short_bytes &&
            left_bytes >= room->left_bytes)
                return;
        room->level = *level;
        room->free_bytes = free_bytes;
        room->needed_bytes = needed;
        room->short_bytes = short_bytes;
        room->left_bytes = left_bytes;
}

void place_find_room(const ch_place_request *request, const ch_place_facts *facts, PlaceRoom *ret)
{
        const ch_place_level only = {
                .path = facts->limited_by,
                .limit_bytes = facts->limit_bytes,
                .used_bytes = facts->used_bytes,
                .claimed_bytes = facts->claimed_bytes,
                .already_bytes = facts->already_bytes,
        };
        const ch_place_level *levels = facts->levels ? facts->levels : &only;
        size_t n = facts->levels ? facts->n_levels : 1;

        *ret = (PlaceRoom){
                .level = { .limit_bytes = UINT64_MAX },
                .free_bytes = UINT64_MAX,
                .needed_bytes = needed_at(request, facts, &only),
                .left_bytes = UINT64_MAX,
                .easy_left_bytes = UINT64_MAX,
                .left_permyriad = PERMYRIAD,
                .next_permyriad = PERMYRIAD,
        };
        for (size_t i = 0; i < n; i++)
                enter_level(request, facts, &levels[i], ret);
}

/* log2(n) with LEFT_FRACTION bits behind the point, straight between powers of 2; n > 0. */
static uint32_t log2_fixed(uint64_t n)
{
        uint32_t bits = 0;
        uint64_t fraction;

        for (uint64_t rest = n; rest > 1; rest >>= 1)
                bits++;
        fraction = n - (UINT64_C(1) << bits);
        fraction = bits > LEFT_FRACTION ? fraction >> (bits - LEFT_FRACTION)
                                        : fraction << (LEFT_FRACTION - bits);
        return (bits << LEFT_FRACTION) + (uint32_t)fraction;
}

/* What is left, from 0 to PERMYRIAD; each doubling is as good as the next. */
static uint32_t roominess(uint64_t left_bytes)
{
        const uint32_t top = LEFT_BITS << LEFT_FRACTION;
        uint32_t left = log2_fixed((left_bytes >> LEFT_PAGE_SHIFT) + 1);

        return left >= top ? PERMYRIAD : (uint32_t)((uint64_t)left * PERMYRIAD / top);
}

/* By bytes: by their share of the limit a small empty group would be taken before a large one that
 * has far more, and those who belong together would be parted when it is full. A tenth goes by the
 * share that is left at the next tightest limit: without that all groups would be equal below an
 * ancestor that is fuller than they are. */
static uint32_t headroom(const PlaceRoom *room)
{
        return roominess(room->easy_left_bytes) * (9u * PERMYRIAD + room->next_permyriad) /
               (10u * PERMYRIAD);
}

/* By the logarithm as well: a share of the limit would make big groups look full, a share of what
 * is free would make small requests look alike. Cache that may go leaves holes that others may
 * fill. */
static uint32_t fullness(const PlaceRoom *room)
{
        return PERMYRIAD - roominess(room->left_bytes);
}

static uint32_t charges(const ch_place_facts *facts)
{
        uint64_t here = add_u64(facts->here_bytes, facts->movable_bytes);

        return place_share(here, add_u64(here, facts->left_bytes));
}

/* Against all that the request has: what little nearly everything shares must not decide. */
static uint32_t sharing(const ch_place_source *source, const ch_place_facts *facts)
{
        uint64_t apart = facts->shared_apart_bytes;
        uint64_t shared = max_u64(add_u64(facts->shared_here_bytes, apart), source->shared_bytes);

        return apart ? PERMYRIAD - place_share(apart, max_u64(shared, source->resident_bytes))
                     : PERMYRIAD;
}

/* The share of time in which nobody waits for any of them, as if they came independently. */
static uint32_t pressure(const ch_place_facts *facts)
{
        uint64_t calm = PERMYRIAD;

        for (size_t i = 0; i < ELEMENTSOF(facts->pressure_permyriad); i++)
                calm = calm * (PERMYRIAD - min_u64(facts->pressure_permyriad[i], PERMYRIAD)) /
                       PERMYRIAD;
        return (uint32_t)calm;
}

static uint32_t cpu(const ch_place_request *request, const ch_place_facts *facts)
{
        if (request->cpus_milli == 0 || facts->cpus_milli == UINT32_MAX)
                return PERMYRIAD;
        return place_share(sub_u64(facts->cpus_milli, facts->cpus_used_milli), request->cpus_milli);
}

static uint32_t nodes(const ch_place_request *request, const ch_place_source *source,
                      const ch_place_facts *facts)
{
        uint64_t allowed = facts->nodes ? facts->nodes : UINT64_MAX;
        uint64_t near = 0, all = 0;
        uint32_t wanted, pages;

        for (unsigned i = 0; i < CH_PLACE_NODES; i++) {
                uint64_t bytes = source->node_bytes[i];

                all = add_u64(all, bytes);
                near = add_u64(near, allowed >> i & 1 ? bytes : 0);
        }
        pages = place_share(near, all);
        wanted = place_share((uint64_t)__builtin_popcountll(request->nodes & allowed),
                             (uint64_t)__builtin_popcountll(request->nodes));
        return wanted < pages ? wanted : pages;
}

uint32_t place_term(ch_place_term term, const ch_place_request *request,
                    const ch_place_source *source, const ch_place_facts *facts,
                    const PlaceRoom *room)
{
        switch (term) {
        case CH_PLACE_TERM_HEADROOM:
                return headroom(room);
        case CH_PLACE_TERM_FULLNESS:
                return fullness(room);
        case CH_PLACE_TERM_CHARGES:
                return charges(facts);
        case CH_PLACE_TERM_SHARING:
                return sharing(source, facts);
        case CH_PLACE_TERM_PRESSURE:
                return pressure(facts);
        case CH_PLACE_TERM_CPU:
                return cpu(request, facts);
        case CH_PLACE_TERM_NODES:
                return nodes(request, source, facts);
        case CH_PLACE_TERM_MAX_:
                break;
        }
        return 0;
}
