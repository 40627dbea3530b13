/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_POOL_H
#define CHD_POOL_H

/*
 * Pools of groups that Place may choose from: a section [Pool NAME] of the configuration each. Their members are
 * paths and shell patterns, matched against the model whenever somebody asks.
 */

#include <stddef.h>

#include <chargehand/place.h>

typedef struct Groups Groups;
struct json_object;

/* [Pool NAME] */
typedef struct ConfPool {
        char *name;
        char **patterns; /* Groups= */
        size_t n_patterns, patterns_allocated;
        ch_place_policy policy;
        ch_place_weights weights; /* all 0: those of the policy */
} ConfPool;

typedef struct ConfPools {
        ConfPool *items;
        size_t n, allocated;
} ConfPools;

/* Groups to choose from: of a pool, or those that a caller named. */
typedef struct Candidates {
        char **paths;
        size_t n, allocated;
} Candidates;
#define CANDIDATES_MAX 1024 /* each is read, and so are the groups above it */

void conf_pools_done(ConfPools *pools);
/* The one of that name, made if there is none. NULL without memory. */
ConfPool *conf_pools_add(ConfPools *pools, const char *name);
const ConfPool *conf_pools_find(const ConfPools *pools, const char *name);
/* "ci, web": those there are; caller frees. */
char *conf_pools_names(const ConfPools *pools);
/* -EINVAL: no name for a pool. */
int pool_check_name(const char *name);
/* Sets one key. -EINVAL: *ret_why (caller frees) says what is wrong with it, and what stays. Of Groups= the words that are right are
 * taken. -ENOENT: no such key. */
int pool_set_key(ConfPool *pool, const char *key, const char *text, char **ret_why);

/* Adds one, unless it is there already. -E2BIG: more than CANDIDATES_MAX. */
int candidates_add(Candidates *candidates, const char *path);
/* The same, but twice is twice: ch_place_check_candidates() tells of it. */
int candidates_append(Candidates *candidates, const char *path);
/* The members that there are now. On the loop. NO_SUCH_GROUP: none; names the patterns. */
int pool_match(const ConfPool *pool, Groups *groups, Candidates *candidates, ch_error **err);
void candidates_done(Candidates *candidates);
/* [{name, patterns, policy, weights: {term: weight} (those that are used), groups}]: what there is now. On the loop. */
int pools_to_json(const ConfPools *pools, Groups *groups, struct json_object **ret);

#endif
