/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The world of the simulator: groups with an account each in two real ledgers, the processes in
 * them and what they share. The first ledger stands for the kernel's memory controller: it charges
 * what is used, to whoever touches it first, and refuses nothing (a real kernel would reclaim or
 * kill there; here it is counted how far a limit would be passed and for how long). The second is
 * the manager's own: claims, with limits.
 */

#include "placement.h"
#include "util.h"

enum { SLOTS = 16 };

static ch_ledger *make_ledger(void)
{
        ch_ledger_options options = { .page_bytes = PAGE_BYTES, .max_slots = SLOTS };
        ch_ledger *ledger;

        must(ch_ledger_new(&options, &ledger), "a ledger");
        return ledger;
}

World *world_new(const Trace *trace)
{
        World *world = must_alloc(calloc(1, sizeof(*world)));

        world->trace = trace;
        world->kernel = make_ledger();
        world->claims = make_ledger();
        must(ch_slot_get(world->claims, &world->claims_slot), "a slot");
        world->groups = must_alloc(calloc(trace->n_groups + 1, sizeof(*world->groups)));
        world->members = must_alloc(calloc(trace->n_members + 1, sizeof(*world->members)));
        world->segments =
                must_alloc(calloc((size_t)trace->n_segments + 1, sizeof(*world->segments)));
        world->pools = must_alloc(calloc((size_t)trace->n_pools + 1, sizeof(*world->pools)));
        for (size_t i = 0; i < trace->n_groups; i++) {
                Pool *pool = &world->pools[min_u64(trace->groups[i].pool, trace->n_pools)];

                world->groups[i].trace = &trace->groups[i];
                if (trace->groups[i].pool == NO_INDEX)
                        continue;
                must(array_reserve(&pool->groups, &pool->allocated, pool->n + 1,
                                   sizeof(*pool->groups)),
                     "a pool");
                pool->groups[pool->n++] = (uint32_t)i;
        }
        for (size_t i = 0; i < trace->n_members; i++)
                world->members[i] = (Member){ .trace = &trace->members[i], .group = NO_INDEX };
        return world;
}

static void free_ledger(ch_ledger *ledger, const char *whose)
{
        ch_account_figures figures;

        ch_ledger_drain(ledger, NULL);
        ch_account_get_figures(ch_ledger_get_root(ledger), &figures);
        if (figures.usage_pages != 0)
                wrong("%s: %llu pages are still charged at the end", whose,
                      (unsigned long long)figures.usage_pages);
        if (ch_ledger_get_n_errors(ledger) != 0)
                wrong("%s: more was uncharged than charged", whose);
        must(ch_ledger_free(ledger), whose);
}

World *world_free(World *world)
{
        const Trace *trace = world->trace;

        /* children come after their parents */
        for (size_t i = trace->n_groups; i > 0; i--)
                world_remove_group(world, (uint32_t)i - 1);
        world->claims_slot = ch_slot_put(world->claims_slot);
        free_ledger(world->kernel, "the kernel's ledger");
        free_ledger(world->claims, "the ledger of claims");
        for (size_t i = 0; i < trace->n_segments; i++) {
                free(world->segments[i].parts);
                free(world->segments[i].users);
        }
        for (size_t i = 0; i < (size_t)trace->n_pools + 1; i++)
                free(world->pools[i].groups);
        free(world->groups);
        free(world->members);
        free(world->segments);
        free(world->pools);
        free(world);
        return NULL;
}

static void gauge_advance(Gauge *gauge, double seconds)
{
        gauge->byte_seconds += (double)gauge->bytes * seconds;
}

void world_advance(World *world, uint64_t usec)
{
        double seconds = (double)(usec - world->now_usec) / USEC_PER_SEC;

        gauge_advance(&world->used, seconds);
        gauge_advance(&world->over, seconds);
        gauge_advance(&world->strayed, seconds);
        gauge_advance(&world->apart, seconds);
        gauge_advance(&world->remote, seconds);
        world->now_usec = usec;
}

static uint64_t account_bytes(const ch_account *account)
{
        ch_account_figures figures;

        ch_account_get_figures(account, &figures);
        return figures.usage_pages * PAGE_BYTES;
}

uint64_t world_used(const World *world, uint32_t group)
{
        return account_bytes(world->groups[group].usage);
}

uint64_t world_claimed(const World *world, uint32_t group)
{
        return account_bytes(world->groups[group].claims);
}

void world_add_group(World *world, uint32_t group)
{
        Group *g = &world->groups[group];
        Group *parent = g->trace->parent == NO_INDEX ? NULL : &world->groups[g->trace->parent];

        if (g->is_live)
                return;
        must(ch_account_new(parent ? parent->usage : ch_ledger_get_root(world->kernel), &g->usage),
             "an account");
        must(ch_account_new(parent ? parent->claims : ch_ledger_get_root(world->claims),
                            &g->claims),
             "an account");
        g->is_live = true;
        g->stale_usec = UINT64_MAX;
}

/* Whether groups are above their limits; an event each time one comes to be. */
static void look_at_limits(World *world, uint32_t group)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent) {
                Group *g = &world->groups[group];
                uint64_t used = world_used(world, group),
                         over = sub_u64(used, g->trace->limit_bytes);

                if (over && !g->over_bytes)
                        world->over_events++;
                world->over.bytes = world->over.bytes - g->over_bytes + over;
                g->over_bytes = over;
        }
}

static void add_peak(World *world, uint32_t group, uint64_t plus, uint64_t minus)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent)
                world->groups[group].peak_bytes += plus - minus;
}

static void add_asked(World *world, uint32_t group, uint64_t plus, uint64_t minus)
{
        for (; group != NO_INDEX; group = world->groups[group].trace->parent)
                world->groups[group].asked_bytes += plus - minus;
}

/*
 * The kernel's charge goes past the limits: the account has none. Without a slot nothing is kept in
 * stock, so what the account says is exact: a real kernel goes past its stocks before it refuses.
 */
static void charge(World *world, ch_bucket *bucket, uint32_t group, uint64_t bytes)
{
        if (bytes == 0)
                return;
        must(ch_bucket_charge_bulk(NULL, bucket, PAGE_BYTES, bytes / PAGE_BYTES, NULL), "a charge");
        world->used.bytes += bytes;
        look_at_limits(world, group);
}

static void uncharge(World *world, ch_bucket *bucket, uint32_t group, uint64_t bytes)
{
        if (bytes == 0)
                return;
        must(ch_bucket_uncharge_bulk(NULL, bucket, PAGE_BYTES, bytes / PAGE_BYTES), "an uncharge");
        world->used.bytes -= bytes;
        look_at_limits(world, group);
}

/* Segments. Each group's share of the bytes is as its share of the users; what is charged to it
 * beyond that has strayed. */
static uint64_t charged_to(const Segment *segment, uint32_t group)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < segment->n_parts; i++)
                if (segment->parts[i].group == group)
                        bytes += segment->parts[i].bytes;
        return bytes;
}

static size_t users_in(const World *world, const Segment *segment, uint32_t group)
{
        size_t n = 0;

        for (size_t i = 0; i < segment->n_users; i++)
                n += world->members[segment->users[i]].group == group;
        return n;
}

static void look_at_segment(World *world, Segment *segment)
{
        uint64_t strayed = 0, apart = 0;

        for (size_t i = 0; i < segment->n_parts; i++) {
                uint32_t group = segment->parts[i].group;
                size_t here = users_in(world, segment, group), earlier = 0;

                while (segment->parts[earlier].group != group)
                        earlier++;
                if (earlier < i || segment->n_users == 0)
                        continue;
                strayed += sub_u64(charged_to(segment, group),
                                   segment->bytes / segment->n_users * here);
        }
        if (segment->n_users &&
            users_in(world, segment, world->members[segment->users[0]].group) < segment->n_users)
                apart = segment->bytes;
        world->strayed.bytes = world->strayed.bytes - segment->strayed_bytes + strayed;
        world->apart.bytes = world->apart.bytes - segment->apart_bytes + apart;
        segment->strayed_bytes = strayed;
        segment->apart_bytes = apart;
}

static Part *part_of(World *world, Segment *segment, uint32_t group)
{
        Part *part;

        for (size_t i = 0; i < segment->n_parts; i++)
                if (segment->parts[i].group == group)
                        return &segment->parts[i];
        must(array_reserve(&segment->parts, &segment->parts_allocated, segment->n_parts + 1,
                           sizeof(*segment->parts)),
             "a segment");
        part = &segment->parts[segment->n_parts++];
        *part = (Part){ .group = group };
        must(ch_bucket_new(world->groups[group].usage, &part->bucket), "a bucket");
        return part;
}

static void free_segment(World *world, Segment *segment)
{
        for (size_t i = 0; i < segment->n_parts; i++) {
                Part *part = &segment->parts[i];

                uncharge(world, part->bucket, part->group, part->bytes);
                add_peak(world, part->group, 0, part->bytes);
                (void)ch_bucket_unref(part->bucket);
        }
        segment->n_parts = 0;
        segment->bytes = 0;
        look_at_segment(world, segment);
}

/* Parts charged to a group that is going are the parent's; the ledger re-points their buckets by
 * itself. */
static void reparent_parts(World *world, uint32_t group)
{
        uint32_t parent = world->groups[group].trace->parent;

        for (size_t i = 0; i < world->trace->n_segments; i++) {
                Segment *segment = &world->segments[i];

                for (size_t j = 0; j < segment->n_parts; j++)
                        if (segment->parts[j].group == group)
                                segment->parts[j].group = parent;
                if (segment->n_parts)
                        look_at_segment(world, segment);
        }
}

void world_remove_group(World *world, uint32_t group)
{
        Group *g = &world->groups[group];

        if (!g->is_live)
                return;
        reparent_parts(world, group);
        must(ch_account_remove(TAKE_PTR(g->usage)), "removing an account");
        must(ch_account_remove(TAKE_PTR(g->claims)), "removing an account of claims");
        world->over.bytes -= g->over_bytes;
        g->over_bytes = 0;
        g->peak_bytes = 0;
        g->asked_bytes = 0;
        g->is_live = false;
}

/* Members. */
static bool is_remote(const World *world, const Member *member)
{
        uint64_t nodes = world->groups[member->group].trace->nodes;

        return nodes && member->trace->nodes && !(nodes & member->trace->nodes);
}

/* What it will use yet, or has used of its own. */
static uint64_t future_bytes(const Member *member)
{
        return member->trace->peak_bytes +
               sub_u64(member->trace->touch_bytes, member->touched_bytes);
}

void world_enter(World *world, uint32_t index, uint32_t group, ch_bucket *claim,
                 uint64_t claim_bytes)
{
        Member *member = &world->members[index];
        Segment *segment;

        member->group = group;
        member->claim = claim;
        member->open_bytes = claim_bytes;
        must(ch_bucket_new(world->groups[group].usage, &member->usage), "a bucket");
        add_peak(world, group, future_bytes(member), 0);
        add_asked(world, group, member->trace->bytes, 0);
        if (member->trace->segment == NO_INDEX)
                return;
        segment = &world->segments[member->trace->segment];
        must(array_reserve(&segment->users, &segment->users_allocated, segment->n_users + 1,
                           sizeof(*segment->users)),
             "a segment");
        segment->users[segment->n_users++] = index;
        look_at_segment(world, segment);
}

static void leave_segment(World *world, uint32_t index)
{
        Segment *segment = &world->segments[world->members[index].trace->segment];

        for (size_t i = 0; i < segment->n_users; i++)
                if (segment->users[i] == index) {
                        segment->users[i] = segment->users[--segment->n_users];
                        break;
                }
        look_at_segment(world, segment);
}

void world_leave(World *world, uint32_t index)
{
        Member *member = &world->members[index];

        if (is_remote(world, member))
                world->remote.bytes -= member->private_bytes;
        uncharge(world, member->usage, member->group, member->private_bytes);
        add_peak(world, member->group, 0, future_bytes(member));
        add_asked(world, member->group, 0, member->trace->bytes);
        member->usage = ch_bucket_unref(member->usage);
        member->private_bytes = 0;
        member->group = NO_INDEX;
        if (member->trace->segment != NO_INDEX)
                leave_segment(world, index);
}

void world_gone(World *world, uint32_t index)
{
        uint32_t segment = world->members[index].trace->segment;

        if (segment != NO_INDEX && world->segments[segment].n_users == 0)
                free_segment(world, &world->segments[segment]);
}

void world_end_claim(World *world, uint32_t index)
{
        Member *member = &world->members[index];

        if (!member->claim)
                return;
        world_unclaim(world, TAKE_PTR(member->claim), member->open_bytes);
        member->open_bytes = 0;
}

/* What a member uses of its claim is no longer claimed: it is charged by the kernel. */
static void use_claim(World *world, Member *member, uint64_t bytes)
{
        uint64_t used = world->claims_in_full ? 0 : min_u64(bytes, member->open_bytes);

        if (used == 0)
                return;
        must(ch_bucket_uncharge_bulk(world->claims_slot, member->claim, PAGE_BYTES,
                                     used / PAGE_BYTES),
             "using a claim");
        member->open_bytes -= used;
}

void world_grow(World *world, uint32_t index, uint64_t private_bytes)
{
        Member *member = &world->members[index];
        uint64_t before = member->private_bytes;

        use_claim(world, member, sub_u64(private_bytes, before));
        member->private_bytes = private_bytes;
        charge(world, member->usage, member->group, sub_u64(private_bytes, before));
        uncharge(world, member->usage, member->group, sub_u64(before, private_bytes));
        if (is_remote(world, member))
                world->remote.bytes += private_bytes - before;
}

void world_touch(World *world, uint32_t index, uint64_t bytes)
{
        Member *member = &world->members[index];
        Segment *segment = &world->segments[member->trace->segment];
        Part *part = part_of(world, segment, member->group);

        use_claim(world, member, bytes);
        charge(world, part->bucket, part->group, bytes);
        part->bytes += bytes;
        segment->bytes += bytes;
        member->touched_bytes += bytes;
        look_at_segment(world, segment);
}

uint64_t world_take_segment(World *world, uint32_t index)
{
        const Member *member = &world->members[index];
        uint64_t bytes = 0;
        Segment *segment;

        if (member->trace->segment == NO_INDEX)
                return 0;
        segment = &world->segments[member->trace->segment];
        if (users_in(world, segment, member->group) < segment->n_users)
                return 0;
        for (size_t i = 0; i < segment->n_parts; i++) {
                Part *part = &segment->parts[i];

                if (part->group != member->group)
                        continue;
                bytes += part->bytes;
                uncharge(world, part->bucket, part->group, part->bytes);
                add_peak(world, part->group, 0, part->bytes);
                part->bytes = 0;
        }
        segment->bytes -= bytes;
        look_at_segment(world, segment);
        return bytes;
}

void world_put_segment(World *world, uint32_t index, uint64_t bytes)
{
        Member *member = &world->members[index];
        Segment *segment = &world->segments[member->trace->segment];
        Part *part = part_of(world, segment, member->group);

        use_claim(world, member, bytes);
        charge(world, part->bucket, part->group, bytes);
        add_peak(world, part->group, bytes, 0);
        part->bytes += bytes;
        segment->bytes += bytes;
        look_at_segment(world, segment);
}
