/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_PLAN_H
#define CH_PLAN_H

/* Inside of a plan, shared by plan*.c and the mover. The public face is include/chargehand/move.h.
 */

#include <chargehand/move.h>

#include "charges.h"
#include "members.h"
#include "module.h"

enum {
        STOCK_PAGES = 64, /* per CPU and group: MEMCG_CHARGE_BATCH of mm/memcontrol.c */
};

/* One limit on the way from the target to the lowest common ancestor. */
typedef struct Room {
        char *group;
        const char *limit; /* "memory.max" or "memory.high" */
        uint64_t limit_bytes, current_bytes, claimed_bytes, free_bytes, needed_bytes, short_bytes;
} Room;

/* Who pays for part of what moves: its path, NULL for a removed or foreign group. */
typedef struct Payer {
        uint64_t id, bytes;
        char *path;
} Payer;

struct ch_plan {
        ch_tree *tree;
        ch_group *target;
        uint64_t target_memcg_id;
        ch_move_options options;
        char *group; /* of a group move */
        int with_tree;
        uint64_t made_ticks; /* processes that started later were forked since */
        int charges_on; /* charges are part of the move: not STAY, and there is a memory controller
                         */
        ch_procset *set;
        Members members;
        char *lca;
        Charges charges;
        ch_module *module;     /* in use; NULL: none */
        ch_module *own_module; /* that was opened for this plan */
        int module_sought;
        Room *rooms;
        size_t n_rooms, n_rooms_allocated;
        Payer *payers;
        size_t n_payers, n_payers_allocated;
        uint64_t reclaim_bytes;
        ch_error *refusal;
        char **warnings;
        size_t n_warnings, n_warnings_allocated;
};

int plan_warn(ch_plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Everything that speaks against the move and needs no map. Fills plan->refusal; < 0 only out of
 * memory and the like. */
int plan_check(ch_plan *plan, ch_error **err);
/* BAD_TARGET: the group is threaded, or has controllers on for the groups below. */
int group_check_takes_processes(const char *path, const ch_group_state *state, ch_error **err);
/* Is there a memory controller in this hierarchy at all? On a host with cgroup v1 it may be
 * elsewhere. */
int memory_is_on(const ch_tree *tree);
/* The lowest common ancestor of target and sources. */
int plan_find_lca(ch_plan *plan);

/* The module, if it is allowed, there, and moves charges; NULL: without it from now on. */
ch_module *plan_get_module(ch_plan *plan);
/* A pidfd of a live process of the set, to be closed. -ESRCH */
int plan_open_process(const ch_plan *plan, pid_t pid, int *ret);
/* The directory of a group by id. -ENODEV */
int plan_open_memcg(const ch_plan *plan, uint64_t id);

/* Map the set's charges; the destination is the target, or with `back` each process's source (which needs members). */
int plan_scan_charges(ch_plan *plan, int back, Charges *charges, ch_error **err);
/* The group that pays for what this process owns. */
int memcg_of_pid(const ch_tree *tree, pid_t pid, uint64_t *ret);

/* Who pays now for what is movable, by name. */
int plan_find_payers(ch_plan *plan);
/* What fits: fills rooms, reclaim_bytes, and the refusal. */
int plan_find_room(ch_plan *plan, ch_error **err);
/* Read all limits again; *ret is the room that is shortest, NULL if none is short. */
int plan_read_rooms(ch_plan *plan, const Room **ret, ch_error **err);
/* NO_ROOM with the figures and the way out. */
int room_error(const Room *room, ch_error **err);
/* free = limit - current - claimed, short = needed - free. Pure. */
void room_compute(Room *room);
/* More than a huge page is charged for a moment before the old pages are freed (but by the module), and
 * each CPU may keep 64 pages in stock. */
uint64_t room_slack_bytes(const Charges *charges);
/* What comes for a while beyond the charges themselves: holes that are filled, a huge page on its way, stocks. Pure. */
uint64_t room_extra_bytes(const Charges *charges);
/* The file cache in the text of memory.stat. Pure. */
uint64_t stat_file_cache(const char *stat);
/* A number or "max" (UINT64_MAX) in an interface file. */
int group_file_u64(int dir_fd, const char *file, uint64_t *ret);
/* What comes to a group that does not pay for it yet, and what it takes to get it there; 0 for
 * common ancestors. Pure. */
uint64_t room_needed_bytes(const ch_plan *plan, const char *group);
/* The least free bytes among the groups from the target up to below the LCA, as the kernel says
 * now; UINT64_MAX without limits. *ret names that group; caller frees. */
int plan_read_free(const ch_plan *plan, uint64_t *ret_free, char **ret);

struct json_object;
/* "backend": the names of those in the bits. */
int json_add_backends(struct json_object *object, uint32_t backends);
/* "backends": {BACKEND: {KIND: bytes}}, without those that are 0. */
int json_add_backend_sums(struct json_object *root, uint64_t sums[CH_BACKEND_MAX_][CH_KIND_MAX_]);
/* "staying" of a plan or of a result. */
int charges_staying_to_json(const Charges *charges, struct json_object *root);

static inline void ch_plan_freep(ch_plan **plan)
{
        (void)ch_plan_free(*plan);
}

static inline void ch_procset_freep(ch_procset **set)
{
        (void)ch_procset_free(*set);
}

#endif
