/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_PLACE_H
#define CHARGEHAND_PLACE_H

/*
 * Placement: which of several groups should take a process tree, or a program that is about to start, judged by where memory is
 * charged. Facts about the candidates are gathered from the kernel (ch_place_read()) or from a model (the
 * simulator); choosing is pure.
 *
 * A candidate that lacks room is never chosen, whatever its score. Scores go from 0 to 10,000 (permyriad); each is the weighted mean
 * of the terms below, which are told with it, so that a person can see why.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/error.h>
#include <chargehand/move.h>
#include <chargehand/process.h>
#include <chargehand/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;

/*   id           word            what 10,000 means */
#define CH_PLACE_TERMS(X)                                                                          \
        X(HEADROOM,   "headroom",     "no limit along its ancestors leaves less than 1 PiB after the request") \
        X(FULLNESS,   "fullness",     "the request fills what is free exactly (for packing)")      \
        X(CHARGES,    "charges",      "all of the request's charges can be here: none is left behind on another account") \
        X(SHARING,    "sharing",      "all address spaces and shared memory that the request shares with others are here") \
        X(PRESSURE,   "pressure",     "nobody waits for memory, CPU or IO")                        \
        X(CPU,        "cpu",          "the CPUs asked for are free within its limits")             \
        X(NODES,      "nodes",        "all of the request's pages, and all nodes it wants, are nodes that it may use")
typedef enum ch_place_term {
#define CH_PLACE_TERM_ENUM_(id, word, doc) CH_PLACE_TERM_##id,
        CH_PLACE_TERMS(CH_PLACE_TERM_ENUM_)
#undef CH_PLACE_TERM_ENUM_
        CH_PLACE_TERM_MAX_
} ch_place_term;
const char *ch_place_term_to_string(ch_place_term term);

/*   id        word         what it prefers; its weights are a row of a table in lib/place.c */
#define CH_PLACE_POLICIES(X)                                                                       \
        X(SPREAD,   "spread",   "the most room after the request")                                 \
        X(PACK,     "pack",     "the least room that suffices")                                    \
        X(AFFINITY, "affinity", "where what it shares is charged, then the most room")
typedef enum ch_place_policy {
#define CH_PLACE_POLICY_ENUM_(id, word, doc) CH_PLACE_POLICY_##id,
        CH_PLACE_POLICIES(CH_PLACE_POLICY_ENUM_)
#undef CH_PLACE_POLICY_ENUM_
        CH_PLACE_POLICY_MAX_
} ch_place_policy;
const char *ch_place_policy_to_string(ch_place_policy policy);
int ch_place_policy_from_string(const char *word, ch_place_policy *ret); /* -EINVAL */

/* Weight of each term; all 0: those of the policy. */
typedef struct ch_place_weights {
        uint32_t weight[CH_PLACE_TERM_MAX_]; /* 0 to 10,000 */
} ch_place_weights;
/* "headroom:3 sharing:10", divided by blanks or commas: terms left out get 0; empty: all 0. -EINVAL, and the word in the
 * error: unknown or named twice, over 10,000, or nothing but zeros. */
int ch_place_weights_parse(const char *text, ch_place_weights *ret, ch_error **err);
/* Those that are used: as given, or the row of the policy. */
void ch_place_weights_get(const ch_place_weights *weights, ch_place_policy policy, ch_place_weights *ret);

/* NUMA nodes as bits, as the kernel lists them: "0-1,3" is 0xb; "" is 0. -EINVAL unreadable, -ERANGE a node over 63. */
int ch_place_nodes_parse(const char *text, uint64_t *ret);
enum { CH_PLACE_NODES_FORMAT_MAX = 192 };
const char *ch_place_nodes_format(uint64_t nodes, char buffer[CH_PLACE_NODES_FORMAT_MAX]);

/* What is to be placed. Bytes are what it will charge in all; with processes: what they have charged now is added. */
typedef struct ch_place_request {
        uint64_t bytes;         /* that it will need */
        uint32_t cpus_milli;    /* thousandths of a CPU; 0: not asked */
        uint64_t nodes;         /* NUMA nodes it wants, as bits; 0: any */
        ch_place_policy policy;
        ch_place_weights weights;
        const ch_move_options *move; /* how processes would be moved: backends, growth, policy; NULL: the defaults */
} ch_place_request;

#define CH_PLACE_NODES 64

/* Where the request's memory is now. */
typedef struct ch_place_source {
        uint64_t resident_bytes;
        uint64_t node_bytes[CH_PLACE_NODES];
        uint64_t shared_bytes;  /* of mms and shared memory that processes outside the request use too */
} ch_place_source;

/* The room of the machine itself, above all groups; in the place of a path. */
#define CH_PLACE_MACHINE "the machine"

/* One limit along a candidate's ancestors. */
typedef struct ch_place_level {
        const char *path;       /* of the group, or CH_PLACE_MACHINE */
        const char *limit;      /* file of the limit, "memory.max"; may be NULL */
        uint64_t limit_bytes;   /* UINT64_MAX: none */
        uint64_t used_bytes;    /* memory.current */
        uint64_t cache_bytes;   /* of it: page cache that the kernel would give up first. Speaks for the candidate, makes no room */
        uint64_t claimed_bytes; /* set aside there by others */
        uint64_t already_bytes; /* of movable_bytes: on this account already, so that no room is needed for them */
} ch_place_level;

/* What is known of one candidate. */
typedef struct ch_place_facts {
        const char *group;
        /* room along its ancestors, itself included: the tightest one. What is needed there: the request's bytes
         * and movable_bytes without already_bytes */
        uint64_t limit_bytes;   /* UINT64_MAX: none */
        uint64_t used_bytes;    /* memory.current there */
        uint64_t claimed_bytes; /* set aside there by others */
        uint64_t slack_bytes;   /* stocks that may be charged and unused: told, not counted */
        const char *limited_by; /* path of that one; NULL: none */
        uint64_t already_bytes; /* as ch_place_level.already_bytes */
        const ch_place_level *levels; /* all of them, also those that are not the tightest; may be NULL: the one above is all */
        size_t n_levels;
        /* the request's memory, as it would be after the move */
        uint64_t here_bytes;    /* charged to this group already */
        uint64_t movable_bytes; /* would come along */
        uint64_t extra_bytes;   /* room that it takes to bring them beyond their size: holes that are filled, a huge page */
        uint64_t left_bytes;    /* would be left behind on other groups' accounts */
        uint64_t shared_here_bytes;  /* of ch_place_source.shared_bytes: charged here */
        uint64_t shared_apart_bytes; /* would then be shared across groups */
        uint32_t pressure_permyriad[3]; /* PSI some avg10: memory, cpu, io */
        int pressure_unknown;   /* at least one of them is not told by the kernel, and 0 */
        uint32_t cpus_milli;    /* its CPU limit along the ancestors; UINT32_MAX none */
        uint32_t cpus_used_milli;
        uint64_t nodes;         /* cpuset.mems.effective as bits; 0: all */
        const char *refused;    /* cannot take processes at all: why; NULL: it can */
} ch_place_facts;

typedef struct ch_place_score {
        const char *group;
        size_t index;           /* of its facts */
        int fits;
        uint64_t short_bytes;   /* how much room it lacks */
        uint32_t score;         /* 0 to 10,000 */
        uint32_t terms[CH_PLACE_TERM_MAX_];
        ch_place_level level;   /* the limit that decides: where most is lacking, else where least would be left;
                                   limit_bytes UINT64_MAX: there is none */
        uint64_t free_bytes;    /* there, before the request; UINT64_MAX without a limit */
        uint64_t needed_bytes;  /* there */
        const char *refused;    /* as in the facts */
        char reason[200];       /* a sentence */
} ch_place_score;

/*
 * Score all candidates; sorted best first: those that fit before those that do not, these by what they lack, then those that cannot take
 * processes; equal scores by name, so that the same facts give the same answer. Pure. 0, or -ENOSPC where nobody fits
 * (scores are filled all the same; the first is the closest). docs/placement.md tells how each term is reckoned.
 */
int ch_place_choose(const ch_place_request *request, const ch_place_source *source, const ch_place_facts *facts, size_t n,
                    ch_place_score *scores);
/* -EINVAL with both names where two candidates are the same or one is above another, where one is no path (NULL, "x"), or where there
 * is none. Pure. */
int ch_place_check_candidates(const char *const *groups, size_t n, ch_error **err);
/* NO_ROOM, -ENOSPC: names the closest candidate and what it lacks; BAD_TARGET, -EBUSY, where none can take processes. `scores` as
 * ch_place_choose() left them. */
int ch_place_refuse(const ch_place_request *request, const ch_place_score *scores, size_t n, ch_error **err);

/* What was read of the kernel. */
typedef struct ch_place_report ch_place_report;
typedef uint64_t (*ch_place_claimed_func)(const char *group_path, void *userdata);
/*
 * Gather the facts for a request: `set` (may be NULL) is what moves. Candidates that cannot take processes (not there, threaded, with
 * controllers on for the groups below, frozen, without an account) are in the report as `refused`; -ENODEV only where none of them is there.
 * Blocks as long as a charge map of the set takes, once, and once more for each candidate that pays for part of the set now.
 * cpus_used_milli stays 0: to know it takes two looks with time between; the CPU pressure tells how busy a group is.
 * -EINVAL as ch_place_check_candidates(); with a set -EPERM, -ENOTSUP where its charges cannot be mapped. `claimed` may be NULL; it is
 * asked for each candidate and then for its ancestors up to "/", which also stands for the machine, for one candidate after the other: so
 * that claims made for a candidate itself may be left out.
 */
int ch_place_read(ch_tree *tree, const ch_place_request *request, ch_procset *set, const char *const *groups, size_t n,
                  ch_place_claimed_func claimed, void *userdata, ch_place_report **ret, ch_error **err);
ch_place_report *ch_place_report_free(ch_place_report *report);
const ch_place_source *ch_place_report_get_source(const ch_place_report *report);
const ch_place_facts *ch_place_report_get_facts(const ch_place_report *report, size_t *ret_n);
/* {request:{bytes, cpus_milli, nodes, policy, weights:{…}}, resident_bytes, shared_bytes, chosen (path or null), candidates:[{group, fits,
 *  score, terms:{…}, reason, short_bytes, limited_by (path, "the machine", or ""), limit, limit_bytes, used_bytes, cache_bytes, claimed_bytes,
 *  free_bytes, needed_bytes, here_bytes, movable_bytes, left_bytes, shared_here_bytes, shared_apart_bytes, pressure:{memory, cpu, io},
 *  cpus_milli, nodes}]}; best first. Limits without end are "max", nodes are "0-1,3" ("" any or all), pressure in hundredths of a percent. */
int ch_place_to_json(const ch_place_request *request, const ch_place_report *report, const ch_place_score *scores,
                     struct json_object **ret);

#ifdef __cplusplus
}
#endif
#endif
