/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is there room for the charges in the target and in every ancestor that does not pay for them yet?
 */

#include <stdio.h>

#include "error.h"
#include "group.h"
#include "path.h"
#include "plan.h"
#include "units.h"
#include "util.h"

enum {
        THIN_BATCH = 32,  /* blocks that are filled at the same time before they are split again */
};

static const char *const limit_files[] = { "memory.max", "memory.high" };

int group_file_u64(int dir_fd, const char *file, uint64_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        int r;

        r = read_file_at(dir_fd, file, 256, &text, NULL);
        if (r < 0)
                return r;
        if (strncmp(text, "max", 3) == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        return parse_u64(text, ret, NULL);
}

void room_compute(Room *room)
{
        if (room->limit_bytes == UINT64_MAX)
                room->free_bytes = UINT64_MAX;
        else
                room->free_bytes = sub_u64(sub_u64(room->limit_bytes, room->current_bytes),
                                           room->claimed_bytes);
        room->short_bytes = sub_u64(room->needed_bytes, room->free_bytes);
}

uint64_t room_slack_bytes(const Charges *c)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        /* the module needs no second copy, not even for a moment */
        return (c->n_retags && !c->n_blocks ? 0 : c->huge_bytes) +
               (uint64_t)(cpus > 0 ? cpus : 1) * STOCK_PAGES * c->page_bytes;
}

static int payer_add(ch_plan *plan, uint64_t id, uint64_t bytes)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        Payer payer = { .id = id, .bytes = bytes };

        for (size_t i = 0; i < plan->n_payers; i++)
                if (plan->payers[i].id == id) {
                        plan->payers[i].bytes += bytes;
                        return 0;
                }
        if (array_reserve(&plan->payers, &plan->n_payers_allocated, plan->n_payers + 1,
                          sizeof(*plan->payers)) < 0)
                return -ENOMEM;
        if (ch_tree_open_group_by_id(plan->tree, id, &group, NULL) >= 0) {
                payer.path = strdup(ch_group_get_path(group));
                if (!payer.path)
                        return -ENOMEM;
        }
        plan->payers[plan->n_payers++] = payer;
        return 0;
}

int plan_find_payers(ch_plan *plan)
{
        for (size_t i = 0; i < plan->charges.n_rows; i++) {
                const ChargeRow *row = &plan->charges.rows[i];
                int r = row->movable_bytes ? payer_add(plan, row->group_id, row->movable_bytes) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

uint64_t room_extra_bytes(const Charges *c)
{
        return c->growth_bytes + min_u64(c->thin_bytes, THIN_BATCH * c->huge_bytes) +
               room_slack_bytes(c);
}

uint64_t room_needed_bytes(const ch_plan *plan, const char *group)
{
        const Charges *c = &plan->charges;
        uint64_t needed = 0;

        for (size_t i = 0; i < plan->n_payers; i++) {
                const Payer *payer = &plan->payers[i];

                /* a removed group's pages may hang below any ancestor: reckon with the worst */
                if (!payer->path || !ch_path_is_below(payer->path, group))
                        needed += payer->bytes;
        }
        return needed ? needed + room_extra_bytes(c) : 0;
}

static int room_add(ch_plan *plan, const char *path, const Room *template)
{
        Room room = *template;

        if (array_reserve(&plan->rooms, &plan->n_rooms_allocated, plan->n_rooms + 1,
                          sizeof(*plan->rooms)) < 0)
                return -ENOMEM;
        room.group = strdup(path);
        if (!room.group)
                return -ENOMEM;
        room_compute(&room);
        plan->rooms[plan->n_rooms++] = room;
        return 0;
}

/* The limits of one group; those that are "max" leave a row as well, so that the plan shows what
 * was looked at. */
static int rooms_of_group(ch_plan *plan, const char *path, int dir_fd)
{
        ch_claimed_func claimed = plan->options.claimed;
        Room room = { .needed_bytes = room_needed_bytes(plan, path) };
        int r;

        if (room.needed_bytes == 0 || faccessat(dir_fd, "memory.current", F_OK, 0) < 0)
                return 0;
        /* first: what others use of their claims meanwhile counts twice rather than not at all */
        if (claimed)
                room.claimed_bytes = claimed(path, plan->options.claimed_userdata);
        if (group_file_u64(dir_fd, "memory.current", &room.current_bytes) < 0)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(limit_files); i++) {
                room.limit = limit_files[i];
                if (group_file_u64(dir_fd, room.limit, &room.limit_bytes) < 0)
                        continue;
                r = room_add(plan, path, &room);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* From the target up to the root of the tree. < 0 from func stops. */
static int foreach_ancestor(const ch_plan *plan,
                            int (*func)(const char *path, int dir_fd, void *userdata),
                            void *userdata)
{
        _cleanup_(freep) char *path = strdup(ch_group_get_path(plan->target));

        if (!path)
                return -ENOMEM;
        for (;;) {
                _cleanup_(closep) int fd = tree_open_dir(plan->tree, path, NULL);
                char *up;
                int r;

                r = fd < 0 ? fd : func(path, fd, userdata);
                if (r < 0)
                        return r;
                if (path[1] == '\0')
                        return 0;
                r = path_parent(path, &up);
                if (r < 0)
                        return r;
                free(path);
                path = up;
        }
}

static int add_ancestor(const char *path, int dir_fd, void *userdata)
{
        return rooms_of_group(userdata, path, dir_fd);
}

uint64_t stat_file_cache(const char *stat)
{
        static const char *const keys[] = { "\ninactive_file ", "\nactive_file " };
        uint64_t bytes = 0, value;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *at = strstr(stat, keys[i]);

                if (at && parse_u64(at + strlen(keys[i]), &value, &at) >= 0)
                        bytes += value;
        }
        return bytes;
}

/* What memory.reclaim could get out of the target: its file cache, and anonymous memory as far as
 * it may be swapped. */
static uint64_t read_reclaimable(int dir_fd)
{
        _cleanup_(freep) char *stat = NULL;
        uint64_t bytes, swap_max = 0, swap_current = 0, value;
        const char *at;

        if (read_file_at(dir_fd, "memory.stat", 64 << 10, &stat, NULL) < 0)
                return 0;
        bytes = stat_file_cache(stat);
        if (group_file_u64(dir_fd, "memory.swap.max", &swap_max) >= 0 &&
            group_file_u64(dir_fd, "memory.swap.current", &swap_current) >= 0 &&
            strncmp(stat, "anon ", 5) == 0 && parse_u64(stat + 5, &value, &at) >= 0)
                bytes += min_u64(value, sub_u64(swap_max, swap_current));
        return bytes;
}

static const Room *find_shortest(const ch_plan *plan)
{
        const Room *worst = NULL;

        for (size_t i = 0; i < plan->n_rooms; i++)
                if (plan->rooms[i].short_bytes > (worst ? worst->short_bytes : 0))
                        worst = &plan->rooms[i];
        return worst;
}

int room_error(const Room *room, ch_error **err)
{
        char limit[CH_FORMAT_MAX], current[CH_FORMAT_MAX], claimed[CH_FORMAT_MAX],
                needed[CH_FORMAT_MAX], missing[CH_FORMAT_MAX];

        return error_set(err, CH_ERROR_NO_ROOM, ENOSPC, room->group,
                         "%s is %s, %s are in use%s%s%s and %s are needed: %s (%llu bytes) short; "
                         "raise %s by that, free "
                         "memory there, or move with policy 'partial', 'lazy' or 'stay'",
                         room->limit, ch_format_bytes(room->limit_bytes, limit),
                         ch_format_bytes(room->current_bytes, current),
                         room->claimed_bytes ? ", " : "",
                         room->claimed_bytes ? ch_format_bytes(room->claimed_bytes, claimed) : "",
                         room->claimed_bytes ? " are claimed by others" : "",
                         ch_format_bytes(room->needed_bytes, needed),
                         ch_format_bytes(room->short_bytes, missing),
                         (unsigned long long)room->short_bytes, room->limit);
}

int plan_read_rooms(ch_plan *plan, const Room **ret, ch_error **err)
{
        int r;

        for (size_t i = 0; i < plan->n_rooms; i++)
                free(plan->rooms[i].group);
        plan->n_rooms = 0;
        r = foreach_ancestor(plan, add_ancestor, plan);
        if (r < 0)
                return error_errno(err, r, ch_group_get_path(plan->target), "reading limits");
        *ret = find_shortest(plan);
        return 0;
}

int plan_find_room(ch_plan *plan, ch_error **err)
{
        int target_fd = ch_group_get_fd(plan->target);
        const Room *worst;
        int r;

        r = plan_read_rooms(plan, &worst, err);
        if (r < 0 || !worst)
                return r;
        if (plan->options.policy != CH_POLICY_RESERVE) {
                char missing[CH_FORMAT_MAX];

                r = plan_warn(plan, "%s of %s is %s short: only part of the charges will fit",
                              worst->limit, worst->group,
                              ch_format_bytes(worst->short_bytes, missing));
                return r < 0 ? error_errno(err, r, NULL, "planning") : 0;
        }
        /* only the target's own memory is pushed out for the move, never its siblings' */
        if (worst->short_bytes <=
                    min_u64(read_reclaimable(target_fd), plan->options.reclaim_bytes) &&
            faccessat(target_fd, "memory.reclaim", F_OK, 0) == 0) {
                plan->reclaim_bytes = worst->short_bytes;
                return 0;
        }
        (void)room_error(worst, &plan->refusal);
        return 0;
}

typedef struct Least {
        const ch_plan *plan;
        uint64_t free_bytes;
        char *group;
} Least;

static int compare_ancestor(const char *path, int dir_fd, void *userdata)
{
        Least *least = userdata;
        Room room = { 0 };

        if (room_needed_bytes(least->plan, path) == 0 ||
            group_file_u64(dir_fd, "memory.current", &room.current_bytes) < 0)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(limit_files); i++) {
                if (group_file_u64(dir_fd, limit_files[i], &room.limit_bytes) < 0)
                        continue;
                room_compute(&room);
                if (room.free_bytes >= least->free_bytes)
                        continue;
                least->free_bytes = room.free_bytes;
                free(least->group);
                least->group = strdup(path);
                if (!least->group)
                        return -ENOMEM;
        }
        return 0;
}

int plan_read_free(const ch_plan *plan, uint64_t *ret_free, char **ret)
{
        Least least = { .plan = plan, .free_bytes = UINT64_MAX };
        int r;

        r = foreach_ancestor(plan, compare_ancestor, &least);
        if (r < 0) {
                free(least.group);
                return r;
        }
        *ret_free = least.free_bytes;
        *ret = least.group;
        return 0;
}
