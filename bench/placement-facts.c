/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The world as a manager sees it: facts for the planner as ch_place_read() would gather them, and
 * claims on the ledger. */

#include "placement.h"
#include "util.h"

Ask ask_of_member(const World *world, uint32_t index)
{
        const Member *member = &world->members[index];

        return (Ask){
                .app = member->trace->app,
                .pool = member->trace->pool,
                .segment = member->trace->segment,
                .bytes = sub_u64(member->trace->bytes, member->touched_bytes),
                .peak_bytes = member->trace->peak_bytes +
                              sub_u64(member->trace->touch_bytes, member->touched_bytes),
                .nodes = member->trace->nodes,
        };
}

/* What is charged does not change within a moment; claims do. */
static uint64_t claimed_bytes(const World *world, uint32_t group, bool is_stale)
{
        const Group *g = &world->groups[group];

        return is_stale && g->stale_usec == world->now_usec ? g->stale_claimed_bytes
                                                            : world_claimed(world, group);
}

/* All limits along the ancestors; the tightest besides. */
static void facts_of_room(const World *world, uint32_t group, bool is_stale, ch_place_level *levels,
                          ch_place_facts *ret)
{
        uint64_t least = UINT64_MAX;

        ret->limit_bytes = UINT64_MAX;
        ret->levels = levels;
        for (; group != NO_INDEX; group = world->groups[group].trace->parent) {
                const Group *g = &world->groups[group];
                ch_place_level *level = &levels[ret->n_levels++];
                uint64_t room;

                *level = (ch_place_level){
                        .path = g->trace->path,
                        .limit = "memory.max",
                        .limit_bytes = g->trace->limit_bytes,
                        .used_bytes = world_used(world, group),
                        .claimed_bytes = claimed_bytes(world, group, is_stale),
                };
                room = sub_u64(level->limit_bytes, level->used_bytes + level->claimed_bytes);
                if (level->limit_bytes == UINT64_MAX || (ret->limited_by && room >= least))
                        continue;
                least = room;
                ret->limit_bytes = level->limit_bytes;
                ret->used_bytes = level->used_bytes;
                ret->claimed_bytes = level->claimed_bytes;
                ret->limited_by = level->path;
        }
}

/* As PSI would tell it: nobody waits below the limits; who is a tenth above waits all the time. */
static uint32_t memory_pressure(const World *world, uint32_t group)
{
        uint64_t most = 0;

        for (; group != NO_INDEX; group = world->groups[group].trace->parent) {
                const Group *g = &world->groups[group];

                uint64_t pressure = g->over_bytes / (g->trace->limit_bytes / 100000 + 1);

                most = pressure > most ? pressure : most;
        }
        return (uint32_t)min_u64(most, 10000);
}

static uint64_t shared_here(const World *world, uint32_t segment, uint32_t group)
{
        const Segment *s = &world->segments[segment];
        uint64_t bytes = 0;

        for (size_t i = 0; i < s->n_parts; i++)
                if (s->parts[i].group == group)
                        bytes += s->parts[i].bytes;
        return bytes;
}

static uint64_t shared_apart(const World *world, uint32_t segment, uint32_t group)
{
        const Segment *s = &world->segments[segment];

        for (size_t i = 0; i < s->n_users; i++)
                if (world->members[s->users[i]].group != group)
                        return s->bytes;
        return 0;
}

void world_facts(const World *world, const Ask *ask, uint32_t group, bool is_stale,
                 ch_place_level *levels, ch_place_facts *ret)
{
        *ret = (ch_place_facts){
                .group = world->groups[group].trace->path,
                .pressure_permyriad = { memory_pressure(world, group) },
                .cpus_milli = UINT32_MAX,
                .nodes = world->groups[group].trace->nodes,
        };
        facts_of_room(world, group, is_stale, levels, ret);
        if (ask->segment == NO_INDEX)
                return;
        ret->shared_here_bytes = shared_here(world, ask->segment, group);
        ret->shared_apart_bytes = shared_apart(world, ask->segment, group);
}

void world_source(const World *world, const Ask *ask, ch_place_source *ret)
{
        *ret = (ch_place_source){};
        if (ask->segment != NO_INDEX)
                ret->shared_bytes = world->segments[ask->segment].bytes;
}

/* The limits of the ledger follow what the kernel has charged: what is left of them is for claims.
 */
static void set_room(World *world, uint32_t group)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent) {
                Group *g = &world->groups[group];
                uint64_t limit = g->trace->limit_bytes;

                ch_account_set_max(g->claims,
                                   limit == UINT64_MAX
                                           ? CH_PAGES_MAX
                                           : sub_u64(limit, world_used(world, group)) / PAGE_BYTES);
                if (g->stale_usec != world->now_usec) {
                        g->stale_usec = world->now_usec;
                        g->stale_claimed_bytes = world_claimed(world, group);
                }
        }
}

static void check_room(const World *world, uint32_t group)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent) {
                uint64_t used = world_used(world, group), claimed = world_claimed(world, group);
                uint64_t limit = world->groups[group].trace->limit_bytes;

                if (used + claimed > limit)
                        wrong("%s is overcommitted by a claim: %llu used, %llu claimed, limit %llu",
                              world->groups[group].trace->path, (unsigned long long)used,
                              (unsigned long long)claimed, (unsigned long long)limit);
        }
}

int world_claim(World *world, uint32_t group, uint64_t bytes, ch_bucket **ret)
{
        ch_bucket *bucket;
        int r = 0;

        set_room(world, group);
        must(ch_bucket_new(world->groups[group].claims, &bucket), "a bucket of claims");
        if (bytes)
                r = ch_bucket_charge_bulk(world->claims_slot, bucket, PAGE_BYTES,
                                          bytes / PAGE_BYTES, NULL);
        if (r < 0) {
                (void)ch_bucket_unref(bucket);
                return r;
        }
        check_room(world, group);
        *ret = bucket;
        return 0;
}

void world_unclaim(World *world, ch_bucket *claim, uint64_t bytes)
{
        if (bytes)
                must(ch_bucket_uncharge_bulk(world->claims_slot, claim, PAGE_BYTES,
                                             bytes / PAGE_BYTES),
                     "ending a claim");
        (void)ch_bucket_unref(claim);
}

static bool has_room_in_truth(const World *world, uint32_t group, uint64_t bytes)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent)
                if (world->groups[group].peak_bytes + bytes >
                    world->groups[group].trace->limit_bytes)
                        return false;
        return true;
}

bool world_had_room(const World *world, const Ask *ask)
{
        const Pool *pool = &world->pools[ask->pool];

        for (size_t i = 0; i < pool->n; i++)
                if (world->groups[pool->groups[i]].is_live &&
                    has_room_in_truth(world, pool->groups[i], ask->peak_bytes))
                        return true;
        return false;
}

/* Sums over all members and segments, beside the accounts. */
void world_check(const World *world)
{
        const Trace *trace = world->trace;
        uint64_t *used = must_alloc(calloc(trace->n_groups + 1, sizeof(*used)));
        uint64_t *open = must_alloc(calloc(trace->n_groups + 1, sizeof(*open)));

        for (size_t i = 0; i < trace->n_members; i++)
                if (world->members[i].group != NO_INDEX) {
                        used[world->members[i].group] += world->members[i].private_bytes;
                        open[world->members[i].group] += world->members[i].open_bytes;
                }
        for (size_t i = 0; i < trace->n_segments; i++)
                for (size_t j = 0; j < world->segments[i].n_parts; j++)
                        used[world->segments[i].parts[j].group] +=
                                world->segments[i].parts[j].bytes;
        for (size_t i = trace->n_groups; i-- > 0;) {
                uint32_t parent = trace->groups[i].parent;

                if (!world->groups[i].is_live)
                        continue;
                if (world_used(world, (uint32_t)i) != used[i])
                        wrong("%s: the account says %llu, its members and those below use %llu",
                              trace->groups[i].path,
                              (unsigned long long)world_used(world, (uint32_t)i),
                              (unsigned long long)used[i]);
                if (sub_u64(world_claimed(world, (uint32_t)i), open[i]) >
                            ch_ledger_get_slack_bytes(world->claims) ||
                    open[i] > world_claimed(world, (uint32_t)i))
                        wrong("%s: the account says %llu claimed, the claims add up to %llu",
                              trace->groups[i].path,
                              (unsigned long long)world_claimed(world, (uint32_t)i),
                              (unsigned long long)open[i]);
                if (parent != NO_INDEX) {
                        used[parent] += used[i];
                        open[parent] += open[i];
                }
        }
        free(used);
        free(open);
}
