/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random threads on one ledger, and the sums that must come out:
 *
 *     ledger-stress [--ops N] [--seed N] [--threads N] [--forced]
 *
 * Prints the seed first. While it runs: no usage is ever negative or over its limit. When the
 * threads have ended and their objects are still there: each account's usage is what is charged
 * below it, and at most the documented slack more; each kind's sum on each account is what its
 * items own. When all is released: everything is zero and the ledger can be freed.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ledger-stress.h"
#include "util.h"

_Noreturn void fail(const char *what, int64_t is, int64_t expected)
{
        (void)fprintf(stderr, "ledger-stress: %s: %" PRId64 ", expected %" PRId64 "\n", what, is,
                      expected);
        abort();
}

static void must(const char *what, int r)
{
        if (r < 0)
                fail(what, r, 0);
}

static void expect(const char *what, int64_t is, int64_t expected)
{
        if (is != expected)
                fail(what, is, expected);
}

/* A life of a worker: until it has nothing more to do, or dies and leaves its objects to whoever
 * comes by. */
static void leave_objects(Worker *worker)
{
        World *world = worker->world;

        (void)pthread_mutex_lock(&world->orphans_lock);
        while (worker->n_objects > 0 && world->n_orphans < ORPHANS_MAX)
                world->orphans[world->n_orphans++] = worker->objects[--worker->n_objects];
        (void)pthread_mutex_unlock(&world->orphans_lock);
}

static void *live(void *userdata)
{
        Worker *worker = userdata;

        must("slot", ch_slot_get(worker->world->ledger, &worker->slot));
        for (worker->dying = 0; worker->ops_left > 0 && !worker->dying; worker->ops_left--)
                operate(worker);
        if (worker->dying)
                leave_objects(worker);
        worker->slot = ch_slot_put(worker->slot);
        return NULL;
}

/* A new thread takes over when one has died. */
static void *relive(void *userdata)
{
        Worker *worker = userdata;
        pthread_t thread;

        while (worker->ops_left > 0) {
                if (pthread_create(&thread, NULL, live, worker) != 0)
                        fail("thread", -EAGAIN, 0);
                (void)pthread_join(thread, NULL);
        }
        return NULL;
}

/* Sums of what is held, over accounts that are there. */

typedef struct Sum {
        ch_account *account;
        uint64_t bytes;
        int64_t own[THREADS_MAX];
} Sum;

typedef struct Sums {
        Sum sums[PLACES + 1];
        unsigned n;
} Sums;

static Sum *find_sum(Sums *sums, const ch_account *account)
{
        for (unsigned i = 0; i < sums->n; i++)
                if (sums->sums[i].account == account)
                        return &sums->sums[i];
        fail("an account that should be gone has charges", 1, 0);
}

static void add_bytes(Sums *sums, ch_account *account, uint64_t bytes)
{
        for (; account; account = ch_account_get_parent(account))
                find_sum(sums, account)->bytes += bytes;
}

static void add_object(Sums *sums, const Object *object)
{
        ch_account *account = ch_bucket_get_account(object->bucket);

        add_bytes(sums, account, object->bytes * object->n);
        ch_account_unref(account);
}

static int is_known(const Sums *sums, const ch_account *account)
{
        for (unsigned i = 0; i < sums->n; i++)
                if (sums->sums[i].account == account)
                        return 1;
        return 0;
}

/* Page charges of removed accounts are their parents'. */
static void add_charge(Sums *sums, const World *world, const Charge *charge)
{
        ch_account *account = charge->account;

        while (!is_known(sums, account))
                account = ch_account_get_parent(account);
        add_bytes(sums, account, charge->pages * world->page_bytes);
}

static void collect(World *world, Worker *workers, Sums *sums)
{
        sums->sums[sums->n++].account = ch_ledger_get_root(world->ledger);
        for (unsigned i = 0; i < PLACES; i++)
                if (world->places[i].account && !world->places[i].removed)
                        sums->sums[sums->n++].account = world->places[i].account;
        for (unsigned t = 0; t < world->n_threads; t++) {
                for (unsigned i = 0; i < workers[t].n_objects; i++)
                        add_object(sums, &workers[t].objects[i]);
                for (unsigned i = 0; i < workers[t].n_charges; i++)
                        add_charge(sums, world, &workers[t].charges[i]);
        }
        for (unsigned i = 0; i < world->n_orphans; i++)
                add_object(sums, &world->orphans[i]);
        for (unsigned i = 0; i < ITEMS; i++) {
                Sum *sum = find_sum(sums, ch_item_get_account(&world->items[i].item));

                add_object(sums, &world->items[i].anchor);
                for (unsigned k = 0; k < world->n_threads; k++)
                        sum->own[k] += world->items[i].own[k];
        }
}

static void check_sums(World *world, Worker *workers)
{
        Sums sums = { 0 };
        uint64_t slack = ch_ledger_get_slack_bytes(world->ledger);

        collect(world, workers, &sums);
        for (unsigned i = 0; i < sums.n; i++) {
                const Sum *sum = &sums.sums[i];
                ch_account_figures figures;
                uint64_t usage;

                ch_account_get_figures(sum->account, &figures);
                usage = figures.usage_pages * world->page_bytes;
                if (usage < sum->bytes)
                        fail("usage below what is charged", (int64_t)usage, (int64_t)sum->bytes);
                if (usage > sum->bytes + slack)
                        fail("usage over what is charged and the slack", (int64_t)usage,
                             (int64_t)(sum->bytes + slack));
                for (unsigned k = 0; k < world->n_threads; k++)
                        expect("sum of a kind", ch_stat_read(sum->account, k, 0), sum->own[k]);
        }
}

static void release(World *world, Worker *workers)
{
        Worker *first = &workers[0];

        must("slot", ch_slot_get(world->ledger, &first->slot));
        for (unsigned i = 0; i < ITEMS; i++)
                uncharge_object(first, &world->items[i].anchor);
        for (unsigned t = 0; t < world->n_threads; t++) {
                while (workers[t].n_objects > 0)
                        uncharge_object(first, &workers[t].objects[--workers[t].n_objects]);
                while (workers[t].n_charges > 0)
                        uncharge_pages(first, &workers[t].charges[--workers[t].n_charges]);
        }
        while (world->n_orphans > 0)
                uncharge_object(first, &world->orphans[--world->n_orphans]);
        first->slot = ch_slot_put(first->slot);
}

/* Leaves first: in rounds, until all can go. */
static void remove_all(World *world)
{
        for (int left = 1; left > 0;) {
                left = 0;
                for (unsigned i = 0; i < PLACES; i++) {
                        Place *place = &world->places[i];
                        int r = place->account && !place->removed
                                        ? ch_account_remove(place->account)
                                        : 0;

                        if (r < 0 && r != -EBUSY)
                                fail("removal", r, 0);
                        left += r == -EBUSY;
                        place->removed = r == 0;
                }
        }
        for (unsigned i = 0; i < PLACES; i++) {
                world->places[i].bucket = ch_bucket_unref(world->places[i].bucket);
                world->places[i].account = ch_account_unref(world->places[i].account);
        }
}

static void check_zero(World *world)
{
        ch_account *root = ch_ledger_get_root(world->ledger);
        ch_account_figures figures;

        ch_ledger_drain(world->ledger, NULL);
        for (unsigned i = 0; i < PLACES; i++) {
                if (!world->places[i].account || world->places[i].removed)
                        continue;
                ch_account_get_figures(world->places[i].account, &figures);
                expect("usage in the end", (int64_t)figures.usage_pages, 0);
        }
        remove_all(world);
        ch_ledger_drain(world->ledger, NULL);
        ch_account_get_figures(root, &figures);
        expect("the root's usage in the end", (int64_t)figures.usage_pages, 0);
        expect("slack in the end", (int64_t)ch_ledger_get_slack_bytes(world->ledger), 0);
        expect("errors found late", (int64_t)ch_ledger_get_n_errors(world->ledger), 0);
        for (unsigned k = 0; k < world->n_threads; k++) {
                int64_t own = 0;

                for (unsigned i = 0; i < ITEMS; i++)
                        own += world->items[i].own[k];
                expect("sum of all of a kind", ch_stat_read(root, k, 1), own);
        }
        must("end of the ledger", ch_ledger_free(world->ledger));
}

static void make_world(World *world)
{
        ch_ledger_options options = {
                .page_bytes = 4096,
                .batch_pages = 4 + (uint32_t)(world->seed % 61),
                .max_slots = world->n_threads > 2 ? world->n_threads - 1
                                                  : world->n_threads, /* somebody waits */
                .n_kinds = world->n_threads,
        };
        ch_bucket *bucket;

        world->page_bytes = options.page_bytes;
        must("ledger", ch_ledger_new(&options, &world->ledger));
        (void)pthread_mutex_init(&world->orphans_lock, NULL);
        world->orphans = calloc(ORPHANS_MAX, sizeof(*world->orphans));
        if (!world->orphans)
                fail("memory", -ENOMEM, 0);
        for (unsigned i = 0; i < PLACES; i++)
                (void)pthread_rwlock_init(&world->places[i].lock, NULL);
        must("bucket", ch_bucket_new(ch_ledger_get_root(world->ledger), &bucket));
        for (unsigned i = 0; i < ITEMS; i++) {
                Item *item = &world->items[i];

                item->anchor = (Object){ .bucket = bucket, .bytes = 1, .n = 1 };
                must("charge", ch_bucket_charge(NULL, bucket, 1, NULL));
                ch_item_init(&item->item, ch_ledger_get_root(world->ledger));
                (void)pthread_mutex_init(&item->moving, NULL);
        }
        (void)ch_bucket_unref(bucket);
}

static void report(const World *world, const Worker *workers, double seconds)
{
        uint64_t refused = 0;

        for (unsigned t = 0; t < world->n_threads; t++)
                refused += workers[t].n_refused;
        printf("exact: %" PRIu64 " operations in %.1f s, %" PRIu64 " charges refused", world->ops,
               seconds, refused);
        for (unsigned i = 0; operation_name(i); i++) {
                uint64_t done = 0;

                for (unsigned t = 0; t < world->n_threads; t++)
                        done += workers[t].done[i];
                printf(", %s %" PRIu64, operation_name(i), done);
        }
        printf("\n");
}

static void parse(World *world, int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                const char *value = i + 1 < argc ? argv[i + 1] : "";

                if (strcmp(argv[i], "--forced") == 0) {
                        world->forced = 1;
                        continue;
                }
                if (strcmp(argv[i], "--ops") == 0)
                        world->ops = strtoull(value, NULL, 0);
                else if (strcmp(argv[i], "--seed") == 0)
                        world->seed = strtoull(value, NULL, 0);
                else if (strcmp(argv[i], "--threads") == 0)
                        world->n_threads = (unsigned)strtoul(value, NULL, 0);
                else
                        fail("arguments: --ops N, --seed N, --threads N, --forced", i, 0);
                i++;
        }
        if (world->n_threads == 0 || world->n_threads > THREADS_MAX ||
            world->ops < world->n_threads)
                fail("threads or operations out of range", world->n_threads, THREADS_MAX);
}

static double now_seconds(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
        static World world = { .ops = 1000000, .n_threads = 4 };
        Worker *workers;
        double start = now_seconds();

        world.seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
        parse(&world, argc, argv);
        printf("ledger-stress --seed %" PRIu64 " --ops %" PRIu64 " --threads %u%s\n", world.seed,
               world.ops, world.n_threads, world.forced ? " --forced" : "");
        (void)fflush(stdout);
        workers = calloc(world.n_threads, sizeof(*workers));
        if (!workers)
                fail("memory", -ENOMEM, 0);
        make_world(&world);
        for (unsigned t = 0; t < world.n_threads; t++) {
                workers[t] = (Worker){ .world = &world,
                                       .index = t,
                                       .ops_left = world.ops / world.n_threads,
                                       .random = (world.seed + t + 1) * 0x9e3779b97f4a7c15u | 1 };
                if (pthread_create(&workers[t].thread, NULL, relive, &workers[t]) != 0)
                        fail("thread", -EAGAIN, 0);
        }
        for (unsigned t = 0; t < world.n_threads; t++)
                (void)pthread_join(workers[t].thread, NULL);
        check_sums(&world, workers);
        ch_ledger_drain(world.ledger, NULL);
        check_sums(&world, workers);
        release(&world, workers);
        check_zero(&world);
        report(&world, workers, now_seconds() - start);
        free(world.orphans);
        free(workers);
        return 0;
}
