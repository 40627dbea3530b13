/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Made-up workloads: applications of one or more processes that arrive by chance, grow towards what
 * they need, share memory, and go; bursts of requests at once; groups that are removed and made
 * again. What they ask for is mostly too much and sometimes too little, as people's guesses are.
 */

#include <inttypes.h>
#include <math.h>

#include "placement.h"
#include "util.h"

/* Shapes of chance. Sizes and times are lognormal: most are small, a few are large. */
static const struct {
        double private_mib, private_sigma, private_most_mib;
        double segment_mib, segment_sigma, segment_most_mib;
        double asked_factor, asked_sigma; /* of what is really needed: 23 % ask too little */
        double single_permyriad, sharing_permyriad, leaves_early_permyriad, wants_node_permyriad;
        double more_members, most_members;
        double member_gap_seconds, life_seconds, burst_life_seconds, ramp_seconds, ramp_sigma;
} shape = {
        .private_mib = 24,
        .private_sigma = 0.9,
        .private_most_mib = 160,
        .segment_mib = 48,
        .segment_sigma = 0.7,
        .segment_most_mib = 160,
        .asked_factor = 1.25,
        .asked_sigma = 0.3,
        .single_permyriad = 5000,
        .sharing_permyriad = 7000,
        .leaves_early_permyriad = 3000,
        .wants_node_permyriad = 2000,
        .more_members = 4,
        .most_members = 12,
        .member_gap_seconds = 5,
        .life_seconds = 600,
        .burst_life_seconds = 120,
        .ramp_seconds = 60,
        .ramp_sigma = 0.8,
};

enum {
        LEAVES_PER_SERVICE = 10,
        SERVICES_PER_TENANT = 5,
        GROW_STEPS = 6,
        BURST_EVERY_SECONDS = 120,
        BURST_LEAST = 10,
        BURST_MORE = 40,
        REMOVED_EVERY_SECONDS = 30, /* per 1,000 leaves */
        MADE_AGAIN_SECONDS = 60,
};

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t random_u64(Random *random)
{
        uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

uint64_t random_below(Random *random, uint64_t n)
{
        return n ? random_u64(random) % n : 0;
}

double random_unit(Random *random)
{
        return ((double)(random_u64(random) >> 11) + 1) / 9007199254740992.0;
}

static bool random_is(Random *random, double permyriad)
{
        return random_unit(random) * 10000 <= permyriad;
}

static double random_gap(Random *random, double mean)
{
        return -log(random_unit(random)) * mean;
}

static double random_lognormal(Random *random, double median, double sigma)
{
        double normal =
                sqrt(-2 * log(random_unit(random))) * cos(6.283185307179586 * random_unit(random));

        return median * exp(sigma * normal);
}

typedef struct Maker {
        const Workload *workload;
        Trace *trace;
        Random random;
        uint32_t n_apps, n_members, n_segments;
        uint64_t capacity_bytes; /* of all tenants */
} Maker;

typedef struct AppPlan {
        uint32_t app, pool, segment;
        uint64_t nodes;
        uint64_t begin_usec, end_usec;
        uint64_t segment_bytes; /* left to be touched */
} AppPlan;

static uint64_t pages_of(double bytes)
{
        uint64_t pages = (uint64_t)(bytes / (double)PAGE_BYTES) + 1;

        return pages * PAGE_BYTES;
}

static uint64_t usec_of(double seconds)
{
        return (uint64_t)(seconds * (double)USEC_PER_SEC);
}

static uint32_t make_group(Maker *maker, char *path, uint32_t parent, uint64_t limit_bytes,
                           uint64_t nodes)
{
        TraceGroup group = {
                .path = path,
                .limit_bytes = limit_bytes / PAGE_BYTES * PAGE_BYTES,
                .nodes = nodes,
                .parent = parent,
                .pool = NO_INDEX,
        };
        uint32_t index = trace_add_group(maker->trace, &group);

        trace_add(maker->trace, 0, EVENT_MKDIR, index, 0);
        return index;
}

static char *path_of(const char *parent, char letter, uint32_t number)
{
        char *path;

        must(asprintf(&path, "%s/%c%" PRIu32, parent, letter, number), "path");
        return path;
}

/* Limits as people set them: those of the children add up to more than the parent's. */
static uint64_t make_service(Maker *maker, uint32_t tenant, uint32_t *leaf)
{
        static const uint64_t leaf_mib[] = { 256, 512, 512, 1024 }, nodes[] = { 0, 0, 1, 2 };
        const Workload *workload = maker->workload;
        uint32_t n = workload->service_leaves ? workload->service_leaves : LEAVES_PER_SERVICE;
        const char *parent = maker->trace->groups[tenant].path;
        uint64_t sum = 0, mask = nodes[random_below(&maker->random, ELEMENTSOF(nodes))];
        uint32_t service = make_group(maker, path_of(parent, 's', *leaf / n), tenant, 0, mask);

        for (uint32_t i = 0; i < n && *leaf < workload->n_leaves; i++, (*leaf)++) {
                uint64_t limit = leaf_mib[random_below(&maker->random, ELEMENTSOF(leaf_mib))] * MIB;

                (void)make_group(maker, path_of(maker->trace->groups[service].path, 'g', *leaf),
                                 service, limit, mask);
                sum += limit;
        }
        maker->trace->groups[service].limit_bytes = sum * 7 / 10 / PAGE_BYTES * PAGE_BYTES;
        return maker->trace->groups[service].limit_bytes;
}

static void make_groups(Maker *maker)
{
        uint32_t leaf = 0;

        for (uint32_t n = 0; leaf < maker->workload->n_leaves; n++) {
                uint32_t tenant = make_group(maker, path_of("", 't', n), NO_INDEX, 0, 0);
                uint64_t sum = 0;

                for (uint32_t i = 0; i < SERVICES_PER_TENANT && leaf < maker->workload->n_leaves;
                     i++)
                        sum += make_service(maker, tenant, &leaf);
                maker->trace->groups[tenant].limit_bytes = sum * 8 / 10 / PAGE_BYTES * PAGE_BYTES;
                maker->capacity_bytes += maker->trace->groups[tenant].limit_bytes;
        }
}

/* The candidates of a request are below several services and tenants. */
static void make_pools(Maker *maker)
{
        uint32_t *leaves = must_alloc(calloc(maker->workload->n_leaves, sizeof(*leaves)));
        uint32_t n = 0;

        for (uint32_t i = 0; i < maker->trace->n_groups; i++)
                if (strstr(maker->trace->groups[i].path, "/g"))
                        leaves[n++] = i;
        for (uint32_t i = n; i > 1; i--) {
                uint32_t other = (uint32_t)random_below(&maker->random, i), kept = leaves[i - 1];

                leaves[i - 1] = leaves[other];
                leaves[other] = kept;
        }
        for (uint32_t i = 0; i < n; i++)
                maker->trace->groups[leaves[i]].pool = i / maker->workload->pool_leaves;
        maker->trace->n_pools =
                (n + maker->workload->pool_leaves - 1) / maker->workload->pool_leaves;
        free(leaves);
}

/* Some pools are asked for more than others. */
static uint32_t choose_pool(Maker *maker)
{
        uint64_t a = random_below(&maker->random, maker->trace->n_pools),
                 b = random_below(&maker->random, maker->trace->n_pools);

        return (uint32_t)(random_is(&maker->random, 3000) ? min_u64(a, b) : a);
}

/* From 15 % at the start to all of it, ever more slowly. */
static void make_growth(Maker *maker, uint32_t member, uint64_t begin_usec, uint64_t peak_bytes)
{
        double ramp = random_lognormal(&maker->random, shape.ramp_seconds, shape.ramp_sigma);

        trace_add(maker->trace, begin_usec + 10000, EVENT_GROW, member,
                  pages_of((double)peak_bytes * 0.15));
        for (int i = 1; i <= GROW_STEPS; i++) {
                double part = (double)i / GROW_STEPS, late = ramp * part * part;

                trace_add(maker->trace, begin_usec + 20000 + usec_of(late), EVENT_GROW, member,
                          i == GROW_STEPS ? peak_bytes
                                          : pages_of((double)peak_bytes * (0.15 + 0.8 * part)));
        }
}

/* What nobody touched before him: the first takes more than half of it. */
static uint64_t make_touches(Maker *maker, uint32_t member, AppPlan *plan, uint64_t begin_usec)
{
        uint64_t bytes;

        if (plan->segment == NO_INDEX || plan->segment_bytes == 0)
                return 0;
        bytes = min_u64(pages_of((double)plan->segment_bytes * 0.6), plan->segment_bytes);
        plan->segment_bytes -= bytes;
        trace_add(maker->trace, begin_usec + 15000, EVENT_TOUCH, member, bytes);
        return bytes;
}

/* Returns what it will really use. */
static uint64_t make_member(Maker *maker, AppPlan *plan, uint64_t begin_usec, uint64_t end_usec)
{
        uint32_t id = maker->n_members++;
        double private = random_lognormal(&maker->random, shape.private_mib, shape.private_sigma);
        double factor = random_lognormal(&maker->random, shape.asked_factor, shape.asked_sigma);
        uint64_t peak = pages_of(fmin(private, shape.private_most_mib) * (double)MIB), touched;
        TraceMember member = {
                .app = plan->app,
                .pool = plan->pool,
                .segment = plan->segment,
                .nodes = plan->nodes,
        };

        trace_add(maker->trace, begin_usec, EVENT_REQUEST, id, 0);
        make_growth(maker, id, begin_usec, peak);
        touched = make_touches(maker, id, plan, begin_usec);
        trace_add(maker->trace, end_usec > begin_usec + 30000 ? end_usec : begin_usec + 30000,
                  EVENT_EXIT, id, 0);
        member.bytes = maker->workload->exact ? peak + touched
                                              : pages_of((double)(peak + touched) * factor);
        trace_add_member(maker->trace, id, &member);
        return peak + touched;
}

static AppPlan plan_app(Maker *maker, uint64_t begin_usec, double life_seconds)
{
        return (AppPlan){
                .app = maker->n_apps++,
                .pool = choose_pool(maker),
                .segment = NO_INDEX,
                .nodes = random_is(&maker->random, shape.wants_node_permyriad)
                                 ? UINT64_C(1) << random_below(&maker->random, 2)
                                 : 0,
                .begin_usec = begin_usec,
                .end_usec = begin_usec + usec_of(random_gap(&maker->random, life_seconds)),
        };
}

/* What lasts beyond the end is no load. */
static double seconds_within(const Maker *maker, uint64_t begin_usec, uint64_t end_usec)
{
        uint64_t last = maker->workload->seconds * USEC_PER_SEC;

        return (double)sub_u64(min_u64(end_usec, last), begin_usec) / USEC_PER_SEC;
}

/* Returns byte·seconds: what it uses for how long. */
static double make_app(Maker *maker, uint64_t begin_usec)
{
        AppPlan plan = plan_app(maker, begin_usec, shape.life_seconds);
        uint32_t n = 1;
        double area = 0, at = 0;

        if (!random_is(&maker->random, shape.single_permyriad))
                n = 2 + (uint32_t)fmin(random_gap(&maker->random, shape.more_members),
                                       shape.most_members - 2);
        if (n > 1 && random_is(&maker->random, shape.sharing_permyriad)) {
                plan.segment = maker->n_segments++;
                plan.segment_bytes =
                        pages_of(fmin(random_lognormal(&maker->random, shape.segment_mib,
                                                       shape.segment_sigma),
                                      shape.segment_most_mib) *
                                 (double)MIB);
        }
        for (uint32_t i = 0; i < n; i++) {
                uint64_t begin = begin_usec + usec_of(at),
                         end = plan.end_usec > begin ? plan.end_usec : begin;
                double life = (double)(end - begin);

                if (random_is(&maker->random, shape.leaves_early_permyriad))
                        end = begin + (uint64_t)(life * random_unit(&maker->random));
                area += seconds_within(maker, begin, end) *
                        (double)make_member(maker, &plan, begin, end);
                at += random_gap(&maker->random, shape.member_gap_seconds);
        }
        return area;
}

/* As when a pipeline starts its jobs: one process each, in one pool, at the same moment. */
static double make_burst(Maker *maker, uint64_t begin_usec)
{
        uint64_t n = BURST_LEAST + random_below(&maker->random, BURST_MORE);
        uint32_t pool = choose_pool(maker);
        double area = 0;

        for (uint64_t i = 0; i < n; i++) {
                AppPlan plan = plan_app(maker, begin_usec, shape.burst_life_seconds);

                plan.pool = pool;
                area += seconds_within(maker, begin_usec, plan.end_usec) *
                        (double)make_member(maker, &plan, begin_usec, plan.end_usec);
        }
        return area;
}

static void make_removals(Maker *maker, uint64_t end_usec)
{
        double gap = REMOVED_EVERY_SECONDS * 1000.0 / maker->workload->n_leaves, at = gap;

        for (; usec_of(at) < end_usec; at += random_gap(&maker->random, gap)) {
                uint32_t group = (uint32_t)random_below(&maker->random, maker->trace->n_groups);

                if (maker->trace->groups[group].pool == NO_INDEX)
                        continue;
                trace_add(maker->trace, usec_of(at), EVENT_RMDIR, group, 0);
                trace_add(maker->trace, usec_of(at + MADE_AGAIN_SECONDS), EVENT_MKDIR, group, 0);
        }
}

/* Applications until their byte·seconds are the wanted part of what the tenants' limits allow; then
 * their arrivals are as far apart. */
static void make_arrivals(Maker *maker)
{
        const Workload *workload = maker->workload;
        double wanted = (double)maker->capacity_bytes * workload->seconds *
                        workload->load_permyriad / 10000;
        double area = 0, bursts = (double)workload->n_leaves / 100;
        uint64_t end_usec = workload->seconds * USEC_PER_SEC;

        for (double at = 0; usec_of(at) < end_usec;
             at += random_gap(&maker->random, BURST_EVERY_SECONDS / bursts))
                area += make_burst(maker, usec_of(at));
        while (area < wanted &&
               (workload->n_requests == 0 || maker->n_members < workload->n_requests))
                area += make_app(maker, usec_of(random_unit(&maker->random) * workload->seconds));
}

void workload_generate(const Workload *workload, Trace *trace)
{
        Maker maker = { .workload = workload, .trace = trace, .random = { workload->seed } };

        make_groups(&maker);
        make_pools(&maker);
        if (!workload->calm) {
                make_arrivals(&maker);
                make_removals(&maker, workload->seconds * USEC_PER_SEC);
        }
        trace_finish(trace);
}
