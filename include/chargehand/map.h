/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_MAP_H
#define CHARGEHAND_MAP_H

/*
 * The charge map: for a process, a set of processes or a group, bytes by (group charged, kind of memory).
 *
 * Source: /proc/PID/pagemap (PFN of each page), /proc/kpagecgroup (inode number of the memcg each page is
 * charged to), /proc/kpageflags where compound tails must be attributed to their head, smaps for swap. Where the kernel module is
 * loaded (chargehand/module.h) it reads the address spaces instead: the same rows, faster, and swap by who pays for it (but on 7.2).
 * Within one map a page counts once, however often it is mapped by the processes added (unique pages);
 * `bytes_mapped` counts each mapping.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/module.h>
#include <chargehand/process.h>
#include <chargehand/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;
typedef struct ch_map ch_map;

/*   id         word         what it is */
#define CH_KINDS(X)                                                                                \
        X(ANON,     "anon",      "private anonymous memory in small pages")                        \
        X(ANON_THP, "anon_thp",  "private anonymous memory in huge pages")                         \
        X(SHMEM,    "shmem",     "tmpfs, memfd, SysV and shared anonymous memory")                 \
        X(FILE,     "file",      "page cache of files that is mapped")                             \
        X(HUGETLB,  "hugetlb",   "hugetlbfs pages: not charged to the memory controller here")     \
        X(SWAP,     "swap",      "swapped out; the swap record says who pays, which only the kernel module can read") \
        X(UNCHARGED,"uncharged", "zero page, device memory and pages of no group")

typedef enum ch_kind {
#define CH_KIND_ENUM_(id, word, doc) CH_KIND_##id,
        CH_KINDS(CH_KIND_ENUM_)
#undef CH_KIND_ENUM_
        CH_KIND_MAX_
} ch_kind;

const char *ch_kind_to_string(ch_kind kind);

enum {
        CH_GROUP_ID_NONE = 0,   /* not charged, or not to be told (swap) */
};
#define CH_GROUP_ID_ANY UINT64_MAX
#define CH_KIND_ANY CH_KIND_MAX_

typedef struct ch_map_row {
        uint64_t group_id;      /* inode number of the group charged; 0 none */
        ch_kind kind;
        uint64_t bytes;         /* unique */
        uint64_t bytes_mapped;  /* once per mapping */
        uint64_t bytes_shared;  /* of `bytes`: also mapped elsewhere (page not exclusive to one mapping) */
} ch_map_row;

/* `tree` names the groups (may be NULL: ids only). The module's device is open as long as the map lives. -ENOTSUP without pagemap or kpagecgroup (cause says which),
 * -EPERM without CAP_SYS_ADMIN. */
int ch_map_new(ch_tree *tree, ch_map **ret, ch_error **err);
ch_map *ch_map_free(ch_map *map);
/* Before anything is added: read by this module, which must outlive the map and be used for nothing else meanwhile; NULL: from /proc in any
 * case, errors as ch_map_new(). -EBUSY: too late. */
int ch_map_use_module(ch_map *map, ch_module *module, ch_error **err);

/* Add one process's memory, one mm once. Reads its whole address space: about 0.2 ms per MiB-thousand of 4 KiB pages natively;
 * linear in resident pages where PAGEMAP_SCAN exists, else in mapped size. Returns 0, or -ESRCH when it is gone
 * (nothing is added). */
int ch_map_add_process(ch_map *map, const ch_process *process, ch_error **err);
/* Add all live processes of a set, each mm once (calls ch_procset_find_mms() if that was not done). Those that exit
 * meanwhile are counted in ch_map_n_exited(). */
int ch_map_add_set(ch_map *map, ch_procset *set, ch_error **err);
/* Add a group: its members (and below), and what its memory.stat and memory.current say: fills
 * ch_map_get_group_figures(). */
int ch_map_add_group(ch_map *map, ch_group *group, ch_error **err);

/* Rows in order of bytes, largest first. Valid until the next add. */
size_t ch_map_n_rows(const ch_map *map);
const ch_map_row *ch_map_get_row(const ch_map *map, size_t index);
/* Sum over rows; CH_GROUP_ID_ANY and CH_KIND_ANY match all. */
uint64_t ch_map_sum(const ch_map *map, uint64_t group_id, ch_kind kind);
size_t ch_map_n_exited(const ch_map *map);
/* "/web/api", "(removed 1234)" for an id without a live group (rare: the kernel tells a removed group's pages as those of
 * its nearest live ancestor, mm/memcontrol.c:page_cgroup_ino()), "(outside /abs/path)" for one outside the tree, "-" for
 * none, "(id 1234)" in a map without a tree. Caller frees. */
int ch_map_name_group(ch_map *map, uint64_t group_id, char **ret);

typedef struct ch_group_figures {
        uint64_t current_bytes;     /* memory.current */
        uint64_t anon_bytes, file_bytes, shmem_bytes, kernel_bytes, swap_bytes;    /* memory.stat, memory.swap.current */
        uint64_t own_bytes;         /* charged to it and mapped by its own members */
        uint64_t elsewhere_bytes;   /* its members' pages that are charged to other groups */
        uint64_t left_behind_bytes; /* anon + shmem charged to it that no member maps */
} ch_group_figures;
int ch_map_get_group_figures(const ch_map *map, ch_group_figures *ret); /* -ENODATA if no group was added */

/* total_bytes is what is resident (unique), without swap_bytes.
 * {target, processes, mms, exited, rows:[{group, group_id, kind, bytes, bytes_mapped, bytes_shared}], total_bytes,
 * swap_bytes, figures:{…}} */
int ch_map_to_json(ch_map *map, struct json_object **ret);

#ifdef __cplusplus
}
#endif
#endif
