/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger's figures: charges from stock beside climbs and beside bare additions, two threads,
 * updates of statistics beside the locks that they do without, reparenting by number of objects,
 * switches and sizes.
 *
 *     bench-ledger [ROUNDS]
 *
 * One line of JSON per case. Each figure is the median of rounds in which ours and the reference
 * take turns; a round is at least a millisecond of the thread's CPU time (of the clock where
 * threads run side by side). Threads are pinned.
 */

#include "bench-ledger-base.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ledger/ledger.h"
#include "ledger/stat.h"
#include "util.h"

enum {
        ROUNDS_MAX = 1001,
        LEVELS = 1 + 6,
        PAGES = 1 << 18,
        BUCKETS = 64,
        KINDS = 4,
        OBJECT = 64,
        BULK = 64,
        PATCH_PAGES = 8192 /* the 32 MiB that the patch of 2010 was measured with */
};
#define ROUND_NSEC 1000000

/* What holds an item: a line, as struct page is one. */
typedef struct Page {
        ch_item item;
        int64_t own[KINDS];
} __attribute__((aligned(64))) Page;

typedef struct Bench {
        unsigned rounds;
        ch_ledger *ledger;
        ch_account *line[LEVELS]; /* the root first */
        ch_account *leaf;
        ch_slot *slot;
        ch_bucket *bucket[BUCKETS];
        Page *pages;
        uint64_t bytes;   /* of an object */
        size_t n_buckets; /* taken in turn */
        size_t n_pages;
        PerCpu percpu;
        Naive naive;
        int64_t bare __attribute__((aligned(128)));
        int64_t levels[LEVELS][16] __attribute__((
                aligned(128))); /* a counter and nothing else, each on lines of its own */
} Bench;

typedef void (*Body)(Bench *bench, uint64_t n);

static void die(const char *what, int r)
{
        (void)fprintf(stderr, "bench-ledger: %s: %s\n", what, strerror(-r));
        exit(1);
}

static void must(const char *what, int r)
{
        if (r < 0)
                die(what, r);
}

static uint64_t now_nsec(clockid_t clock)
{
        struct timespec ts;

        (void)clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static cpu_set_t allowed; /* before anything was pinned */

static int pin(unsigned index)
{
        cpu_set_t one;
        unsigned seen = 0;

        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &allowed) && seen++ == index) {
                        CPU_ZERO(&one);
                        CPU_SET(cpu, &one);
                        return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
                }
        return -ENODEV;
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
        qsort(values, n, sizeof(*values), by_size);
        return values[n / 2];
}

static void print(const char *name, const char *size, double ours, double reference,
                  const char *reference_name, const char *unit)
{
        printf("{\"bench\": \"ledger\", \"case\": \"%s\", \"size\": \"%s\", \"ours\": %.3f, "
               "\"reference\": %.3f, "
               "\"reference_name\": \"%s\", \"ratio\": %.3f, \"unit\": \"%s\"}\n",
               name, size, ours, reference, reference_name, ours / reference, unit);
        (void)fflush(stdout);
}

/* ns per turn of the body */
static double time_body(Bench *bench, Body body, uint64_t n)
{
        uint64_t start = now_nsec(CLOCK_THREAD_CPUTIME_ID);

        body(bench, n);
        return (double)(now_nsec(CLOCK_THREAD_CPUTIME_ID) - start) / (double)n;
}

static uint64_t calibrate(Bench *bench, Body body)
{
        uint64_t n = 16;

        while (time_body(bench, body, n) * (double)n < ROUND_NSEC)
                n *= 2;
        return n;
}

static void compare(Bench *bench, const char *name, const char *size, Body ours, Body reference,
                    const char *reference_name)
{
        double a[ROUNDS_MAX], b[ROUNDS_MAX];
        uint64_t n_ours = calibrate(bench, ours), n_reference = calibrate(bench, reference);

        for (unsigned i = 0; i < bench->rounds; i++) {
                a[i] = time_body(bench, ours, n_ours);
                b[i] = time_body(bench, reference, n_reference);
        }
        print(name, size, median(a, bench->rounds), median(b, bench->rounds), reference_name, "ns");
}

/* Bodies: charges */

static void charge_pairs(Bench *bench, uint64_t n)
{
        for (size_t at = 0; n-- > 0; at = at + 1 == bench->n_buckets ? 0 : at + 1) {
                ch_bucket *bucket = bench->bucket[at];

                must("charge", ch_bucket_charge(bench->slot, bucket, bench->bytes, NULL));
                must("uncharge", ch_bucket_uncharge(bench->slot, bucket, bench->bytes));
        }
}

static void climb_pairs(Bench *bench, uint64_t n)
{
        uint64_t pages = (bench->bytes + bench->ledger->page_bytes - 1) / bench->ledger->page_bytes;
        Counter *refused;

        while (n-- > 0) {
                must("climb",
                     counter_charge(&bench->leaf->counter, pages, COUNTER_LIMITED, &refused));
                must("climb", counter_uncharge(&bench->leaf->counter, pages));
        }
}

/* The least that a climb can be: no limit, no watermark, no protection. */
static void atomic_pairs(Bench *bench, uint64_t n)
{
        while (n-- > 0) {
                for (size_t i = 0; i < LEVELS; i++)
                        (void)__atomic_add_fetch(&bench->levels[i][0], 1, __ATOMIC_RELAXED);
                for (size_t i = 0; i < LEVELS; i++)
                        (void)__atomic_sub_fetch(&bench->levels[i][0], 1, __ATOMIC_RELAXED);
        }
}

static void bulk_pairs(Bench *bench, uint64_t n)
{
        while (n-- > 0) {
                must("charge", ch_bucket_charge_bulk(bench->slot, bench->bucket[0], bench->bytes,
                                                     BULK, NULL));
                must("uncharge",
                     ch_bucket_uncharge_bulk(bench->slot, bench->bucket[0], bench->bytes, BULK));
        }
}

static void single_pairs(Bench *bench, uint64_t n)
{
        while (n-- > 0) {
                for (int i = 0; i < BULK; i++)
                        must("charge",
                             ch_bucket_charge(bench->slot, bench->bucket[0], bench->bytes, NULL));
                for (int i = 0; i < BULK; i++)
                        must("uncharge",
                             ch_bucket_uncharge(bench->slot, bench->bucket[0], bench->bytes));
        }
}

static void one_bucket(Bench *bench, uint64_t n)
{
        size_t all = bench->n_buckets;

        bench->n_buckets = 1;
        charge_pairs(bench, n);
        bench->n_buckets = all;
}

static void percpu_adds(Bench *bench, uint64_t n)
{
        while (n-- > 0)
                percpu_add(&bench->percpu, 1);
}

static void percpu_pairs(Bench *bench, uint64_t n)
{
        while (n-- > 0) {
                percpu_add(&bench->percpu, 1);
                percpu_add(&bench->percpu, -1);
        }
}

static void own_adds(Bench *bench, uint64_t n)
{
        while (n-- > 0)
                own_add(&bench->bare, 1);
}

static void own_pairs(Bench *bench, uint64_t n)
{
        while (n-- > 0) {
                own_add(&bench->bare, 1);
                own_add(&bench->bare, -1);
        }
}

/* Bodies: statistics. Pages are taken in turn. */

#define EACH_PAGE(i) for (size_t i = 0; n-- > 0; i = i + 1 == bench->n_pages ? 0 : i + 1)

static void stat_updates(Bench *bench, uint64_t n)
{
        EACH_PAGE(i)
        ch_stat_update(bench->slot, &bench->pages[i].item, 1, 1, &bench->pages[i].own[1]);
}

static void locked_updates(Bench *bench, uint64_t n)
{
        EACH_PAGE(i)
        locked_update(bench->slot, &bench->pages[i].item, 1, 1, &bench->pages[i].own[1]);
}

static void bit_locked_updates(Bench *bench, uint64_t n)
{
        EACH_PAGE(i)
        bit_locked_update(bench->slot, &bench->pages[i].item, 1, 1, &bench->pages[i].own[1]);
}

static void naive_updates(Bench *bench, uint64_t n)
{
        EACH_PAGE(i)
        naive_update(&bench->naive, 1, &bench->pages[i].own[1]);
}

/* Cases */

#define CLIMB     "climbing an account and its 6 ancestors with the counter's own code, no stock"
#define CLIMB_ADD "7 bare atomic additions up and 7 down"
#define RSEQ      "a per-CPU addition: a restartable sequence"
#define RSEQ_PAIR "a per-CPU addition and a subtraction: restartable sequences"
#define LOCK      "the lock path: a bit of the item's flags, as lock_page_cgroup()"
#define WORD_LOCK "the lock path with a lock of its own word"
#define OWN       "a plain addition to the thread's own line, called"
#define OWN_PAIR  "a plain addition to and a subtraction from the thread's own line, called"

static void bench_hits(Bench *bench)
{
        compare(bench, "charge and uncharge, stock hit", "64 B", charge_pairs, climb_pairs, CLIMB);
        compare(bench, "charge and uncharge, stock hit", "64 B", charge_pairs, atomic_pairs,
                CLIMB_ADD);
        if (has_rseq()) {
                compare(bench, "charge and uncharge, stock hit", "64 B", charge_pairs, percpu_adds,
                        RSEQ);
                compare(bench, "charge and uncharge, stock hit", "64 B", charge_pairs, percpu_pairs,
                        RSEQ_PAIR);
        }
        compare(bench, "charge and uncharge, stock hit", "64 B", charge_pairs, own_adds, OWN);
        compare(bench, "charge and uncharge, stock hit", "64 B", charge_pairs, own_pairs, OWN_PAIR);
}

static void bench_sizes(Bench *bench)
{
        static const struct {
                uint64_t bytes;
                const char *name;
        } sizes[] = {
                {4096 + 64, "4 KiB + 64 B"},
                { 1 << 20,  "1 MiB"       }
        };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                bench->bytes = sizes[i].bytes;
                compare(bench, "charge and uncharge", sizes[i].name, charge_pairs, climb_pairs,
                        CLIMB);
        }
        bench->bytes = OBJECT;
        compare(bench, "charge and uncharge in bulk", "64 × 64 B", bulk_pairs, single_pairs,
                "the same one by one");
}

static void bench_switches(Bench *bench)
{
        static const size_t counts[] = { 2, 8, BUCKETS };
        char size[32];

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                bench->n_buckets = counts[i];
                (void)snprintf(size, sizeof(size), "%zu buckets", counts[i]);
                compare(bench, "charge and uncharge, buckets in turn", size, charge_pairs,
                        one_bucket, "one bucket");
                compare(bench, "charge and uncharge, buckets in turn", size, charge_pairs,
                        climb_pairs, CLIMB);
        }
        bench->n_buckets = 1;
}

/* Pages that do not fit the caches cost what memory costs: beside an addition that touches none
 * that says nothing. */
static void bench_stats(Bench *bench, const char *name, size_t n_pages, int beside_bare)
{
        char size[32];

        bench->n_pages = n_pages;
        (void)snprintf(size, sizeof(size), "%zu item%s", n_pages, n_pages > 1 ? "s" : "");
        compare(bench, name, size, stat_updates, bit_locked_updates, LOCK);
        compare(bench, name, size, stat_updates, locked_updates, WORD_LOCK);
        compare(bench, name, size, stat_updates, naive_updates, "a mutex per account");
        if (!beside_bare)
                return;
        if (has_rseq())
                compare(bench, name, size, stat_updates, percpu_adds, RSEQ);
        compare(bench, name, size, stat_updates, own_adds, OWN);
}

static void bench_moves(Bench *bench)
{
        static const char still[] = "statistics update, no move under way";

        bench_stats(bench, still, 1, 1);
        bench_stats(bench, still, PATCH_PAGES, 1);
        bench_stats(bench, still, PAGES, 0);
        must("begin", ch_stat_begin_move(bench->leaf));
        bench_stats(bench, "statistics update, a move under way", PATCH_PAGES, 0);
        ch_stat_end_move(bench->leaf);
}

/* Two threads */

typedef struct Runner {
        Bench bench; /* its own slot and buckets, the same ledger */
        unsigned cpu;
        uint64_t n;
        pthread_barrier_t *start;
        pthread_t thread;
        uint64_t begin, end;
} Runner;

static void *run(void *userdata)
{
        Runner *runner = userdata;

        must("pin", pin(runner->cpu));
        must("slot", ch_slot_get(runner->bench.ledger, &runner->bench.slot));
        charge_pairs(&runner->bench, 64);
        (void)pthread_barrier_wait(runner->start);
        runner->begin = now_nsec(CLOCK_MONOTONIC);
        charge_pairs(&runner->bench, runner->n);
        runner->end = now_nsec(CLOCK_MONOTONIC);
        runner->bench.slot = ch_slot_put(runner->bench.slot);
        return NULL;
}

/* Millions of pairs in a second, all threads together. */
static double rate(Runner *runners, unsigned n_runners, uint64_t n)
{
        pthread_barrier_t start;
        uint64_t begin = UINT64_MAX, end = 0;

        (void)pthread_barrier_init(&start, NULL, n_runners);
        for (unsigned i = 0; i < n_runners; i++) {
                runners[i].n = n;
                runners[i].cpu = i;
                runners[i].start = &start;
                must("thread", -pthread_create(&runners[i].thread, NULL, run, &runners[i]));
        }
        for (unsigned i = 0; i < n_runners; i++) {
                (void)pthread_join(runners[i].thread, NULL);
                begin = runners[i].begin < begin ? runners[i].begin : begin;
                end = runners[i].end > end ? runners[i].end : end;
        }
        (void)pthread_barrier_destroy(&start);
        return (double)n * n_runners * 1000 / (double)(end - begin);
}

static void bench_threads(Bench *bench)
{
        Runner *runners = aligned_alloc(128, 2 * sizeof(*runners));
        double one[ROUNDS_MAX], same[ROUNDS_MAX], apart[ROUNDS_MAX];
        uint64_t n = 4 * calibrate(bench, charge_pairs);

        if (!runners)
                die("memory", -ENOMEM);
        for (unsigned i = 0; i < 2; i++)
                runners[i] = (Runner){
                        .bench = {.ledger = bench->ledger,
                                  .bytes = OBJECT,
                                  .n_buckets = 1,
                                  .bucket = { bench->bucket[0] }}
                };
        for (unsigned i = 0; i < bench->rounds; i++) {
                one[i] = rate(runners, 1, n);
                runners[1].bench.bucket[0] = bench->bucket[0];
                same[i] = rate(runners, 2, n);
                runners[1].bench.bucket[0] = bench->bucket[1];
                apart[i] = rate(runners, 2, n);
        }
        free(runners);
        print("rate of charges and uncharges, 2 threads", "one bucket", median(same, bench->rounds),
              median(one, bench->rounds), "the rate of one thread", "million/s");
        print("rate of charges and uncharges, 2 threads", "two buckets",
              median(apart, bench->rounds), median(one, bench->rounds), "the rate of one thread",
              "million/s");
}

/* Reparenting */

/* µs that the removal takes. The clock's: it waits. */
static double time_remove(Bench *bench, uint64_t objects)
{
        ch_account *account;
        ch_bucket *bucket;
        uint64_t start, end;

        must("account", ch_account_new(bench->leaf, &account));
        must("bucket", ch_bucket_new(account, &bucket));
        for (uint64_t i = 0; i < objects; i++)
                must("charge", ch_bucket_charge(bench->slot, bucket, OBJECT, NULL));
        start = now_nsec(CLOCK_MONOTONIC);
        must("removal", ch_account_remove(account));
        end = now_nsec(CLOCK_MONOTONIC);
        for (uint64_t i = 0; i < objects; i++)
                must("uncharge", ch_bucket_uncharge(bench->slot, bucket, OBJECT));
        (void)ch_bucket_unref(bucket);
        return (double)(end - start) / 1000;
}

static void bench_reparent(Bench *bench)
{
        static const uint64_t counts[] = { 1, 1000, 1000000 };
        double usec[ELEMENTSOF(counts)][ROUNDS_MAX];
        char size[32];

        for (unsigned i = 0; i < bench->rounds; i++)
                for (size_t k = 0; k < ELEMENTSOF(counts); k++)
                        usec[k][i] = time_remove(bench, counts[k]);
        for (size_t k = 0; k < ELEMENTSOF(counts); k++) {
                (void)snprintf(size, sizeof(size), "%llu object%s", (unsigned long long)counts[k],
                               counts[k] > 1 ? "s" : "");
                print("removal of a group, its bucket reparented", size,
                      median(usec[k], bench->rounds), median(usec[0], bench->rounds),
                      "the same with 1 object", "µs");
        }
}

static void setup(Bench *bench)
{
        ch_ledger_options options = { .n_kinds = KINDS };

        must("ledger", ch_ledger_new(&options, &bench->ledger));
        bench->line[0] = ch_ledger_get_root(bench->ledger);
        for (size_t i = 1; i < LEVELS; i++) {
                must("account", ch_account_new(bench->line[i - 1], &bench->line[i]));
                ch_account_set_max(bench->line[i], (uint64_t)1 << 40);
        }
        bench->leaf = bench->line[LEVELS - 1];
        must("slot", ch_slot_get(bench->ledger, &bench->slot));
        for (size_t i = 0; i < BUCKETS; i++)
                must("bucket", ch_bucket_new(bench->leaf, &bench->bucket[i]));
        bench->pages = aligned_alloc(sizeof(Page), PAGES * sizeof(Page));
        if (!bench->pages)
                die("memory", -ENOMEM);
        memset(bench->pages, 0, PAGES * sizeof(Page));
        for (size_t i = 0; i < PAGES; i++)
                ch_item_init(&bench->pages[i].item, bench->leaf);
        (void)pthread_mutex_init(&bench->naive.lock, NULL);
        bench->bytes = OBJECT;
        bench->n_buckets = 1;
}

/* Measured on something that adds up, or not at all. */
static void finish(Bench *bench)
{
        for (size_t i = 0; i < BUCKETS; i++)
                bench->bucket[i] = ch_bucket_unref(bench->bucket[i]);
        bench->slot = ch_slot_put(bench->slot);
        ch_ledger_drain(bench->ledger, NULL);
        for (size_t i = LEVELS; i-- > 1;)
                must("removal", ch_account_remove(bench->line[i]));
        if (ch_ledger_get_n_errors(bench->ledger) > 0)
                die("errors in the ledger", -ERANGE);
        must("end", ch_ledger_free(bench->ledger));
        free(bench->pages);
}

int main(int argc, char **argv)
{
        static Bench bench;

        bench.rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 51;
        if (bench.rounds == 0 || bench.rounds > ROUNDS_MAX)
                bench.rounds = 51;
        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                die("affinity", -errno);
        must("pin", pin(0));
        setup(&bench);
        bench_hits(&bench);
        bench_threads(&bench);
        bench_moves(&bench);
        bench_reparent(&bench);
        bench_switches(&bench);
        bench_sizes(&bench);
        finish(&bench);
        return 0;
}
