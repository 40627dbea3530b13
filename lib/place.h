/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_PLACE_H
#define CH_LIB_PLACE_H

/* Inside of a placement, shared by place*.c. The public face is include/chargehand/place.h. */

#include <chargehand/place.h>

enum {
        PERMYRIAD = 10000,
};

/* The limits of a candidate taken together. */
typedef struct PlaceRoom {
        ch_place_level level; /* where most is lacking, else where least would be left; limit_bytes
                                 UINT64_MAX: none */
        uint64_t free_bytes, needed_bytes, short_bytes, left_bytes; /* there */
        uint64_t
                easy_left_bytes; /* the least that would be left anywhere if page cache made room */
        const char *tightest;    /* where the least share of the limit would be left */
        uint32_t left_permyriad; /* that share */
        uint32_t next_permyriad; /* the same of the next tightest; PERMYRIAD without one */
} PlaceRoom;

/* part / whole in hundredths of a percent, at most PERMYRIAD; nothing of nothing is all of it. */
uint32_t place_share(uint64_t part, uint64_t whole);
void place_find_room(const ch_place_request *request, const ch_place_facts *facts, PlaceRoom *ret);
/* One term, 0 to PERMYRIAD. */
uint32_t place_term(ch_place_term term, const ch_place_request *request,
                    const ch_place_source *source, const ch_place_facts *facts,
                    const PlaceRoom *room);
/* Fills score->reason from the rest of it and the facts. */
void place_explain(const ch_place_request *request, const ch_place_source *source,
                   const ch_place_facts *facts, const PlaceRoom *room, ch_place_score *score);

#endif
