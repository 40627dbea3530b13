/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several planners at once on one ledger of claims: each thread reads the facts, chooses, claims,
 * and releases older claims, without a lock; so its facts are out of date whenever another was
 * faster. However it goes, no group's claims may ever be more than its room: a thread that does
 * nothing else looks at all accounts all the time.
 */

#include <pthread.h>

#include "placement.h"
#include "util.h"

enum { KEPT_CLAIMS = 64 };

typedef struct Kept {
        ch_bucket *bucket;
        uint64_t bytes;
} Kept;

typedef struct Match {
        const Contest *contest;
        const Trace *trace;
        World *world;
        uint32_t n_running; /* atomic */
} Match;

typedef struct Worker {
        Match *match;
        pthread_t thread;
        ch_slot *slot;
        ch_place_facts *facts;
        ch_place_level *levels;
        ch_place_score *scores;
        uint32_t *candidates;
        Random random;
        Kept kept[KEPT_CLAIMS];
        ContestResult result;
} Worker;

/* Half of each leaf is used already, by charges that do not change: what is left is for claims. */
static void fill_world(World *world, ch_bucket **buckets)
{
        const Trace *trace = world->trace;

        for (uint32_t i = 0; i < trace->n_groups; i++)
                world_add_group(world, i);
        for (uint32_t i = 0; i < trace->n_groups; i++) {
                if (trace->groups[i].pool == NO_INDEX)
                        continue;
                must(ch_bucket_new(world->groups[i].usage, &buckets[i]), "a bucket");
                must(ch_bucket_charge_bulk(NULL, buckets[i], PAGE_BYTES,
                                           trace->groups[i].limit_bytes / 4 / PAGE_BYTES, NULL),
                     "a charge");
        }
        for (uint32_t i = 0; i < trace->n_groups; i++)
                ch_account_set_max(world->groups[i].claims,
                                   sub_u64(trace->groups[i].limit_bytes, world_used(world, i)) /
                                           PAGE_BYTES);
}

static void empty_world(World *world, ch_bucket **buckets)
{
        for (uint32_t i = 0; i < world->trace->n_groups; i++) {
                if (!buckets[i])
                        continue;
                must(ch_bucket_uncharge_bulk(NULL, buckets[i], PAGE_BYTES,
                                             world->trace->groups[i].limit_bytes / 4 / PAGE_BYTES),
                     "an uncharge");
                (void)ch_bucket_unref(buckets[i]);
        }
}

static int claim_best(Worker *worker, const ch_place_request *request, size_t n, Kept *ret)
{
        World *world = worker->match->world;
        Ask ask = { .segment = NO_INDEX, .bytes = request->bytes };
        int r;

        for (size_t i = 0; i < n; i++)
                world_facts(world, &ask, worker->candidates[i], false,
                            &worker->levels[i * LEVELS_MAX], &worker->facts[i]);
        r = ch_place_choose(request, NULL, worker->facts, n, worker->scores);
        for (size_t i = 0; r >= 0 && i < n && worker->scores[i].fits; i++) {
                ch_bucket *bucket;

                worker->result.tries++;
                must(ch_bucket_new(
                             world->groups[worker->candidates[worker->scores[i].index]].claims,
                             &bucket),
                     "a bucket");
                r = ch_bucket_charge_bulk(worker->slot, bucket, PAGE_BYTES,
                                          request->bytes / PAGE_BYTES, NULL);
                if (r >= 0) {
                        *ret = (Kept){ .bucket = bucket, .bytes = request->bytes };
                        return 0;
                }
                (void)ch_bucket_unref(bucket);
                if (r != -ENOSPC)
                        must(r, "a claim");
                r = 0;
        }
        return -ENOSPC;
}

static void release(Worker *worker, Kept *kept)
{
        if (!kept->bucket)
                return;
        must(ch_bucket_uncharge_bulk(worker->slot, kept->bucket, PAGE_BYTES,
                                     kept->bytes / PAGE_BYTES),
             "a release");
        kept->bucket = ch_bucket_unref(kept->bucket);
}

static void *run_worker(void *userdata)
{
        Worker *worker = userdata;
        const Contest *contest = worker->match->contest;
        World *world = worker->match->world;

        must(ch_slot_get(world->claims, &worker->slot), "a slot");
        for (uint32_t i = 0; i < contest->n_decisions; i++) {
                const Pool *pool =
                        &world->pools[random_below(&worker->random, worker->match->trace->n_pools)];
                ch_place_request request = {
                        .bytes = (1 + random_below(&worker->random, 128)) * MIB,
                        .policy = (ch_place_policy)random_below(&worker->random,
                                                                CH_PLACE_POLICY_MAX_),
                };
                Kept *kept = &worker->kept[random_below(&worker->random, KEPT_CLAIMS)];

                memcpy(worker->candidates, pool->groups, pool->n * sizeof(*pool->groups));
                release(worker, kept);
                if (claim_best(worker, &request, pool->n, kept) < 0)
                        worker->result.refused++;
                else
                        worker->result.placed++;
        }
        for (size_t i = 0; i < KEPT_CLAIMS; i++)
                release(worker, &worker->kept[i]);
        (void)ch_slot_put(worker->slot);
        (void)__atomic_sub_fetch(&worker->match->n_running, 1, __ATOMIC_RELEASE);
        return NULL;
}

/* The counters themselves, so that nothing is missed that the manager would believe. */
static void watch(const Match *match)
{
        const World *world = match->world;

        while (__atomic_load_n(&match->n_running, __ATOMIC_ACQUIRE) > 0)
                for (uint32_t i = 0; i < match->trace->n_groups; i++) {
                        ch_account_figures figures;

                        ch_account_get_figures(world->groups[i].claims, &figures);
                        if (figures.usage_pages > figures.max_pages)
                                wrong("%s: %llu pages claimed where there is room for %llu",
                                      match->trace->groups[i].path,
                                      (unsigned long long)figures.usage_pages,
                                      (unsigned long long)figures.max_pages);
                }
}

/* The watermark is the highest there ever was between two looks. */
static void check_watermarks(const Match *match)
{
        for (uint32_t i = 0; i < match->trace->n_groups; i++) {
                ch_account_figures figures;

                ch_account_get_figures(match->world->groups[i].claims, &figures);
                if (figures.watermark_pages > figures.max_pages)
                        wrong("%s: %llu pages were claimed where there is room for %llu",
                              match->trace->groups[i].path,
                              (unsigned long long)figures.watermark_pages,
                              (unsigned long long)figures.max_pages);
        }
}

static void start_worker(Match *match, Worker *worker, uint32_t number)
{
        size_t n = match->contest->n_candidates;

        worker->match = match;
        worker->random.state = match->contest->seed + number * UINT64_C(0x9e3779b9);
        worker->facts = must_alloc(calloc(n, sizeof(*worker->facts)));
        worker->levels = must_alloc(calloc(n * LEVELS_MAX, sizeof(*worker->levels)));
        worker->scores = must_alloc(calloc(n, sizeof(*worker->scores)));
        worker->candidates = must_alloc(calloc(n, sizeof(*worker->candidates)));
        must(-pthread_create(&worker->thread, NULL, run_worker, worker), "a thread");
}

static void end_worker(Worker *worker, ContestResult *ret)
{
        must(-pthread_join(worker->thread, NULL), "a thread");
        ret->placed += worker->result.placed;
        ret->refused += worker->result.refused;
        ret->tries += worker->result.tries;
        free(worker->facts);
        free(worker->levels);
        free(worker->scores);
        free(worker->candidates);
}

void run_contest(const Contest *contest, ContestResult *ret)
{
        Workload workload = {
                .seed = contest->seed,
                .n_leaves = contest->n_leaves,
                .pool_leaves = contest->n_candidates,
                .calm = true,
        };
        Trace trace = {};
        Match match = { .contest = contest, .trace = &trace, .n_running = contest->n_threads };
        Worker *workers = must_alloc(calloc(contest->n_threads, sizeof(*workers)));
        ch_bucket **buckets;
        uint64_t begin;

        *ret = (ContestResult){};
        workload_generate(&workload, &trace);
        match.world = world_new(&trace);
        buckets = must_alloc(calloc(trace.n_groups, sizeof(*buckets)));
        fill_world(match.world, buckets);
        begin = now_usec();
        for (uint32_t i = 0; i < contest->n_threads; i++)
                start_worker(&match, &workers[i], i);
        if (contest->is_watched)
                watch(&match);
        for (uint32_t i = 0; i < contest->n_threads; i++)
                end_worker(&workers[i], ret);
        ret->usec = now_usec() - begin;
        check_watermarks(&match);
        empty_world(match.world, buckets);
        match.world = world_free(match.world);
        free(buckets);
        free(workers);
        trace_done(&trace);
}
