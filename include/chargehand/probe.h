/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_PROBE_H
#define CHARGEHAND_PROBE_H

/*
 * What this kernel and this caller can do, found by trying and not by version numbers, and what to
 * do about what is missing.
 */

#include <stdint.h>

#include <chargehand/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;

/*   id               how it is called      what is lost without it, and the way out */
#define CH_FEATURES(X)                                                                             \
        X(CGROUP2,        "cgroup2",        "nothing works: mount it with 'mount -t cgroup2 none /sys/fs/cgroup'") \
        X(MEMCG,          "memory",         "no memory accounting: free the memory controller from cgroup v1 (cgroup_no_v1=memory), CONFIG_MEMCG") \
        X(CGROUP_KILL,    "cgroup.kill",    "kill falls back to signals, one by one; needs kernel 5.14") \
        X(PIDFD,          "pidfd",          "pid reuse is excluded by start time only; needs kernel 5.3") \
        X(OPENAT2,        "openat2",        "nothing works: needs kernel 5.6")                     \
        X(PAGEMAP,        "pagemap",        "no charge map: needs CAP_SYS_ADMIN, CONFIG_PROC_PAGE_MONITOR") \
        X(KPAGECGROUP,    "kpagecgroup",    "no charge map: needs CONFIG_MEMCG, CONFIG_PROC_PAGE_MONITOR and CAP_SYS_ADMIN") \
        X(PAGEMAP_SCAN,   "pagemap_scan",   "sparse mappings are read the slow way; needs kernel 6.7") \
        X(KCMP,           "kcmp",           "address spaces shared by CLONE_VM are not seen: needs CONFIG_KCMP and ptrace access") \
        X(COLLAPSE,       "madv_collapse",  "no 'collapse' backend: needs kernel 6.1, CONFIG_TRANSPARENT_HUGEPAGE, CAP_SYS_NICE and ptrace access") \
        X(PAGEOUT,        "madv_pageout",   "no 'refault' backend: needs kernel 5.10 and CAP_SYS_NICE")             \
        X(SWAP,           "swap",           "anonymous memory cannot be paged out: no swap is on") \
        X(RECLAIM,        "memory.reclaim", "no room can be made in a target before a move: needs kernel 5.19") \
        X(FAVORDYNMODS,   "favordynmods",   "each spaced-out move of a process waits for an RCU grace period (about 8 ms): mount with -o favordynmods (kernel 6.0)") \
        X(PROC_CHILDREN,  "task_children",  "process trees are found by scanning /proc: needs CONFIG_PROC_CHILDREN") \
        X(CLONE_INTO,     "clone_into_cgroup", "programs are started by fork and a write to cgroup.procs, which waits for the kernel (about 15 ms): needs kernel 5.7") \
        X(CLONE_KILLED,   "clone_after_kill", "what is cloned into a group that saw cgroup.kill more or less often than the caller's own is killed at once (a flaw of some kernels, 6.18 for instance): fork and write take over then; tried only where the hierarchy may be written")

typedef enum ch_feature {
#define CH_FEATURE_ENUM_(id, name, doc) CH_FEATURE_##id,
        CH_FEATURES(CH_FEATURE_ENUM_)
#undef CH_FEATURE_ENUM_
        CH_FEATURE_MAX_
} ch_feature;

typedef struct ch_probe {
        uint64_t have;          /* bit 1 << CH_FEATURE_x */
        char kernel[65];        /* uname release */
        char thp[16];           /* /sys/kernel/mm/transparent_hugepage/enabled: "always", "madvise", "never", "" */
        uint64_t huge_page_bytes;/* hpage_pmd_size, 0 without THP */
        uint64_t page_bytes;
        uint32_t cpus;
} ch_probe;

struct ch_tree;
/* Try everything; `tree` (may be NULL) for the features of the hierarchy. Takes some milliseconds; makes a
 * scratch group for a moment in a tree that may be written, none elsewhere. Never fails for a missing feature. */
int ch_probe_run(struct ch_tree *tree, ch_probe *ret);
int ch_probe_has(const ch_probe *probe, ch_feature feature);
const char *ch_feature_to_name(ch_feature feature);
const char *ch_feature_get_advice(ch_feature feature);
/* {kernel, thp, huge_page_bytes, page_bytes, cpus, features: {name: {available, advice}}} */
int ch_probe_to_json(const ch_probe *probe, struct json_object **ret);

#ifdef __cplusplus
}
#endif
#endif
