/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_PLACEMENT_H
#define CHD_PLACEMENT_H

/*
 * A placement: which of several groups takes a process tree or a program that is about to start, and the claim of the room for it.
 * Choosing and claiming is one thing: where somebody else was faster the next best is tried, and in the end all facts are read
 * again, so placements made at the same time never get the same room.
 */

#include <chargehand/move.h>
#include <chargehand/place.h>

#include "pool.h"

typedef struct Claims Claims;
struct json_object;

#define PLACEMENT_BYTES_MAX (UINT64_C(1) << 63)

typedef struct Placement {
        /* what is asked */
        ch_tree *tree;
        Claims *claims;
        uint32_t uid, pid; /* the caller's */
        int inside_only;   /* processes outside of the tree are left alone */
        unsigned max_claims; /* of the uid; 0: any number */
        ch_place_request request;
        Candidates candidates;
        const char *note; /* NULL: none */
        int dry_run;
        const ch_move_request *what; /* the processes, without a target; NULL: none, only bytes */
        const ch_move_options *options;

        /* what came of it */
        struct json_object *json;
        char *chosen;
        uint64_t claim; /* 0: none. To be handed on, or released */
        ch_plan *plan;  /* of a move to `chosen` */
} Placement;

/* On a worker. 0, or < 0: NoRoom names the closest candidate and what it lacks. With dry_run that is an answer: `chosen` is NULL. */
int placement_work(Placement *placement, ch_error **err);
/* Releases the claim if it was not handed on (set to 0). */
void placement_done(Placement *placement);

#endif
