/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_MOVE_KEYS_BUS_H
#define CHD_MOVE_KEYS_BUS_H

/* The keys that requests about processes and their memory have in common: which processes, and how their memory is to be moved.
 * For Move, PlanMove and Place. */

#include <chargehand/move.h>

#include "conf.h"
#include "options-bus.h"

typedef struct MoveKeys {
        Numbers pids, pidfds;
        char *group, *policy;
        char **backends;
        uint32_t max_growth_permyriad;
        uint64_t rate_bytes_per_sec, timeout_usec;
        int tree, with_shared;

        ch_move_options options;
        pid_t *targets; /* of pids and pidfds */
        size_t n_targets;
} MoveKeys;

/* Rows of an OptionRow table, for a struct that has MoveKeys as a member; `how_given` is the offset of an int that becomes 1 when
 * any key is there that says how to move, 0: nobody asks */
/* clang-format off */
#define MOVE_KEYS_ROWS(type, member, how_given)                                                    \
        { "pids",                 "au", offsetof(type, member.pids)                           },   \
        { "pidfds",               "ah", offsetof(type, member.pidfds)                         },   \
        { "group",                "s",  offsetof(type, member.group)                          },   \
        { "tree",                 "b",  offsetof(type, member.tree),                 how_given },  \
        { "policy",               "s",  offsetof(type, member.policy),               how_given },  \
        { "backends",             "as", offsetof(type, member.backends),             how_given },  \
        { "with_shared",          "b",  offsetof(type, member.with_shared),          how_given },  \
        { "max_growth_permyriad", "u",  offsetof(type, member.max_growth_permyriad), how_given },  \
        { "rate_bytes_per_sec",   "t",  offsetof(type, member.rate_bytes_per_sec),   how_given },  \
        { "timeout_usec",         "t",  offsetof(type, member.timeout_usec),         how_given }
/* clang-format on */

/* What holds where a key is left out; before options_read(). */
void move_keys_init(MoveKeys *keys, const Conf *conf);
void move_keys_done(MoveKeys *keys);
/* After options_read(): checks what was read, fills `options` (but for claims) and `targets`. The processes must be named in
 * exactly one way. `uid`: the caller. */
int move_keys_check(MoveKeys *keys, const Conf *conf, uint32_t uid, ch_error **err);
/* The pidfds still live after all was read by pid: the pids were theirs all the time. */
int move_keys_check_pidfds(const MoveKeys *keys, ch_error **err);

#endif
