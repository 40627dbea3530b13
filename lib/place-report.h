/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PLACE_REPORT_H
#define CH_PLACE_REPORT_H

/* What was read of the kernel for a placement, shared by place-read.c and the files that read one
 * kind of fact each. */

#include <chargehand/place.h>

#include "plan.h"

/* A candidate, or an ancestor of one; read once however many candidates are below it. */
typedef struct PlaceNode {
        char *path;
        int errnum;           /* ENODEV: it is not there */
        ch_place_level level; /* limit_bytes UINT64_MAX: none */
        uint32_t cpus_milli;  /* UINT32_MAX: no limit of its own */
        uint64_t nodes;       /* 0: it has no cpuset of its own */
} PlaceNode;

typedef struct PlaceCandidate {
        ch_place_level *levels; /* paths are those of the nodes */
        char *refused;
        uint64_t memcg_id;
} PlaceCandidate;

struct ch_place_report {
        ch_place_source source;
        size_t n;
        ch_place_facts *facts;
        PlaceCandidate *candidates; /* parallel to facts */
        PlaceNode *nodes;           /* in byte order of their paths */
        size_t n_nodes, n_nodes_allocated;
        ch_place_level machine;
        uint32_t machine_cpus_milli;
};

/* Limits, CPUs and nodes of all candidates and their ancestors. Candidates that are not there keep
 * errnum in their node. */
int place_read_levels(ch_place_report *report, ch_tree *tree, const char *const *groups, size_t n,
                      ch_place_claimed_func claimed, void *userdata, ch_error **err);
const PlaceNode *place_find_node(const ch_place_report *report, const char *path);
/* What the set has charged, what of it would come along to each candidate, and what would be left.
 */
int place_read_charges(ch_place_report *report, ch_tree *tree, const ch_move_options *options,
                       ch_procset *set, ch_error **err);
/* What the set shares with others, and where that is charged. */
int place_read_shared(ch_place_report *report, ch_tree *tree, ch_procset *set, ch_error **err);
/* On which NUMA nodes the set's pages are. */
int place_read_nodes(ch_place_report *report, const ch_procset *set);

/* Pure, for tests. "0-3,5" → 5 in *ret; -EINVAL. */
int cpu_list_count(const char *text, uint32_t *ret);
/* "50000 100000" → 500; UINT32_MAX for "max". -EINVAL. */
int cpu_max_parse(const char *text, uint32_t *ret);
/* MemTotal and what of it is not available. -EINVAL. */
int meminfo_parse(const char *text, uint64_t *ret_total, uint64_t *ret_used);
/* One line of numa_maps, added to the bytes by node. */
void numa_maps_add_line(const char *line, size_t length, uint64_t bytes[CH_PLACE_NODES]);

#endif
