/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The placement simulator: the real planner and the real ledger in a made-up or recorded world,
 * beside what others do.
 *
 *     bench-placement [--planner NAME]… [--groups N] [--seed N] …    one line of JSON for each
 * planner bench-placement --decisions                                    µs per decision by number
 * of candidates bench-placement --contest                                      several threads on
 * one ledger bench-placement --self-test                                    a few seconds of all
 * that, with every check
 *
 * docs/placement.md tells what the figures mean. Exit: 0, 1 when an invariant of ledger, planner or
 * simulator does not hold, 2 usage.
 */

#include <getopt.h>
#include <inttypes.h>

#include "placement.h"
#include "util.h"

typedef struct Options {
        Workload workload;
        const char *record, *replay;
        const Planner *planners[32];
        size_t n_asked;
        uint32_t check_every;
        enum { MODE_RUN, MODE_DECISIONS, MODE_CONTEST, MODE_SELF_TEST, MODE_LIST } mode;
} Options;

static const Workload workload_default = {
        .seed = 1,
        .n_leaves = 1000,
        .pool_leaves = 20,
        .seconds = 1800,
        .load_permyriad = 8000,
};

static void print_measures(const char *name, uint64_t seed, const Measures *m)
{
        (void)printf("{\"planner\": \"%s\", \"seed\": %" PRIu64 ", \"requests\": %" PRIu64
                     ", \"placed\": %" PRIu64 ", \"refused\": %" PRIu64
                     ", \"refused_with_room\": %" PRIu64 ", \"drained\": %" PRIu64
                     ", \"evicted\": %" PRIu64 ", \"over_events\": %" PRIu64
                     ", \"over_mib_s\": %.0f",
                     name, seed, m->requests, m->placed, m->refused, m->refused_with_room,
                     m->drained, m->evicted, m->over_events, m->over_mib_seconds);
        (void)printf(", \"strayed_mib_s\": %.0f, \"apart_mib_s\": %.0f, \"remote_mib_s\": %.0f, "
                     "\"used_mib_s\": %.0f"
                     ", \"imbalance\": %.4f, \"tries\": %" PRIu64 ", \"decision_usec\": %.3f}\n",
                     m->strayed_mib_seconds, m->apart_mib_seconds, m->remote_mib_seconds,
                     m->used_mib_seconds, m->imbalance, m->tries,
                     m->decisions ? (double)m->decision_nsec / 1000 / (double)m->decisions : 0);
        (void)fflush(stdout);
}

static void make_trace(const Options *options, Trace *trace)
{
        if (options->replay)
                trace_read(trace, options->replay);
        else
                workload_generate(&options->workload, trace);
        if (options->record)
                trace_write(trace, options->record);
}

static int mode_run(const Options *options)
{
        Trace trace = {};

        make_trace(options, &trace);
        for (size_t i = 0; i < n_planners; i++) {
                const Planner *planner = options->n_asked ? options->planners[i] : &planners[i];
                Measures measures;

                if (options->n_asked && i == options->n_asked)
                        break;
                run_trace(&trace, planner, options->check_every, &measures);
                print_measures(planner->name, options->workload.seed, &measures);
        }
        trace_done(&trace);
        return 0;
}

/* The same requests with 10, 100, … candidates each. */
static int mode_decisions(const Options *options)
{
        static const uint32_t sizes[] = { 10, 100, 1000, 5000 };
        static const char *const names[] = { "spread", "least" };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Workload workload = options->workload;
                Trace trace = {};

                workload.n_leaves = 5000;
                workload.pool_leaves = sizes[i];
                workload.seconds = 120;
                workload.n_requests = sizes[i] >= 1000 ? 1500 : 10000;
                workload_generate(&workload, &trace);
                for (size_t j = 0; j < ELEMENTSOF(names); j++) {
                        Measures measures;

                        run_trace(&trace, planner_find(names[j]), 0, &measures);
                        (void)printf("{\"planner\": \"%s\", \"candidates\": %" PRIu32
                                     ", \"decision_usec\": %.3f}\n",
                                     names[j], sizes[i],
                                     (double)measures.decision_nsec / 1000 /
                                             (double)measures.decisions);
                }
                trace_done(&trace);
        }
        return 0;
}

static int mode_contest(const Options *options)
{
        for (uint32_t n = 1; n <= 4; n *= 2) {
                Contest contest = {
                        .n_threads = n,
                        .n_leaves = 100,
                        .n_candidates = 20,
                        .n_decisions = 100000 / n,
                        .seed = options->workload.seed,
                };
                ContestResult result;

                run_contest(&contest, &result);
                (void)printf("{\"threads\": %" PRIu32 ", \"placed\": %" PRIu64
                             ", \"refused\": %" PRIu64 ", \"tries\": %" PRIu64
                             ", \"decisions_per_second\": %.0f}\n",
                             n, result.placed, result.refused, result.tries,
                             (double)(result.placed + result.refused) * 1e6 /
                                     (double)(result.usec ? result.usec : 1));
        }
        return 0;
}

/* Where all ask for what they will use, claims keep every group within its limits: by the count of
 * a ledger that knows none. */
static void test_exact(uint64_t seed)
{
        Workload workload = {
                .seed = seed,
                .n_leaves = 40,
                .pool_leaves = 10,
                .seconds = 300,
                .load_permyriad = 30000,
                .exact = true,
        };
        Trace trace = {};

        workload_generate(&workload, &trace);
        for (size_t i = 0; i < n_planners; i++) {
                Measures m;

                run_trace(&trace, &planners[i], 50, &m);
                if (m.requests == 0 || m.placed + m.refused != m.requests)
                        wrong("%s: %" PRIu64 " placed and %" PRIu64 " refused are not %" PRIu64
                              " requests",
                              planners[i].name, m.placed, m.refused, m.requests);
                if (planners[i].claims != CLAIMS_NONE && !planners[i].hold_seconds &&
                    m.over_events != 0)
                        wrong("%s: %" PRIu64
                              " times over a limit, though nobody used more than he had claimed",
                              planners[i].name, m.over_events);
                if (planners[i].claims != CLAIMS_NONE && m.refused == 0)
                        wrong("%s: a load of 300 %% was placed as a whole", planners[i].name);
        }
        trace_done(&trace);
}

/* What is written is read back as what it was. */
static void test_replay(void)
{
        Workload workload = {
                .seed = 7, .n_leaves = 30, .pool_leaves = 10, .seconds = 200, .load_permyriad = 9000
        };
        char path[] = "/tmp/bench-placement.XXXXXX";
        int fd = mkstemp(path);
        Trace trace = {}, again = {};
        Measures first, second;

        must(fd, path);
        (void)close(fd);
        workload_generate(&workload, &trace);
        trace_write(&trace, path);
        trace_read(&again, path);
        (void)unlink(path);
        run_trace(&trace, planner_find("affinity"), 20, &first);
        run_trace(&again, planner_find("affinity"), 20, &second);
        if (first.placed != second.placed || first.refused != second.refused ||
            first.over_events != second.over_events || first.tries != second.tries)
                wrong("a trace that was written and read gives another result");
        trace_done(&trace);
        trace_done(&again);
}

static int mode_self_test(const Options *options)
{
        Contest contest = { .n_threads = 3,
                            .n_leaves = 20,
                            .n_candidates = 10,
                            .n_decisions = 4000,
                            .is_watched = true };
        ContestResult result;

        for (uint64_t seed = 1; seed <= 2; seed++)
                test_exact(seed);
        test_replay();
        run_contest(&contest, &result);
        if (result.placed + result.refused != (uint64_t)contest.n_threads * contest.n_decisions ||
            result.placed == 0 || result.refused == 0)
                wrong("of the contest's decisions %" PRIu64 " were placed and %" PRIu64 " refused",
                      result.placed, result.refused);
        (void)printf("self-test passed; in the contest %" PRIu64 " placed, %" PRIu64
                     " refused, %" PRIu64 " tries\n",
                     result.placed, result.refused, result.tries);
        return 0;
}

static int mode_list(const Options *options)
{
        for (size_t i = 0; i < n_planners; i++)
                (void)printf("%-20s %s\n", planners[i].name, planners[i].stands_for);
        return 0;
}

enum {
        OPTION_PLANNER = 256,
        OPTION_GROUPS,
        OPTION_POOL,
        OPTION_SEED,
        OPTION_SECONDS,
        OPTION_LOAD,
        OPTION_CHECK,
        OPTION_RECORD,
        OPTION_REPLAY,
        OPTION_EXACT,
        OPTION_DECISIONS,
        OPTION_CONTEST,
        OPTION_SELF_TEST,
        OPTION_LIST,
        OPTION_HELP,
};

/* clang-format off */
static const struct option option_rows[] = {
        { "planner", required_argument, NULL, OPTION_PLANNER },
        { "groups", required_argument, NULL, OPTION_GROUPS },
        { "pool", required_argument, NULL, OPTION_POOL },
        { "seed", required_argument, NULL, OPTION_SEED },
        { "seconds", required_argument, NULL, OPTION_SECONDS },
        { "load", required_argument, NULL, OPTION_LOAD },
        { "check", required_argument, NULL, OPTION_CHECK },
        { "record", required_argument, NULL, OPTION_RECORD },
        { "replay", required_argument, NULL, OPTION_REPLAY },
        { "exact", no_argument, NULL, OPTION_EXACT },
        { "decisions", no_argument, NULL, OPTION_DECISIONS },
        { "contest", no_argument, NULL, OPTION_CONTEST },
        { "self-test", no_argument, NULL, OPTION_SELF_TEST },
        { "list", no_argument, NULL, OPTION_LIST },
        { "help", no_argument, NULL, OPTION_HELP },
        {},
};
/* clang-format on */

static _Noreturn void usage(int code)
{
        (void)fputs("usage: bench-placement [--planner NAME]… [options]\n"
                    "  --groups N    leaves of the tree (1000)     --pool N      candidates of a "
                    "request (20)\n"
                    "  --seconds N   of the model (1800)           --load PCT    of what the "
                    "limits allow (80)\n"
                    "  --seed N      (1)                           --exact       all ask for what "
                    "they will use\n"
                    "  --record F    keep the trace                --replay F    play a trace that "
                    "was kept\n"
                    "  --check N     compare accounts and members after every N events\n"
                    "  --decisions, --contest, --self-test, --list: see the head of "
                    "bench/bench-placement.c\n",
                    code ? stderr : stdout);
        exit(code);
}

static uint32_t number_of(const char *text, uint64_t least, uint64_t most)
{
        uint64_t value;

        if (parse_u64(text, &value, NULL) >= 0 && value >= least && value <= most)
                return (uint32_t)value;
        (void)fprintf(stderr,
                      "bench-placement: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n",
                      text, least, most);
        exit(2);
}

static const Planner *planner_of(const char *name)
{
        const Planner *planner = planner_find(name);

        if (planner)
                return planner;
        (void)fprintf(stderr, "bench-placement: no planner '%s'; --list names them\n", name);
        exit(2);
}

static void take_option(Options *options, int option)
{
        Workload *workload = &options->workload;

        switch (option) {
        case OPTION_PLANNER:
                if (options->n_asked < n_planners)
                        options->planners[options->n_asked++] = planner_of(optarg);
                break;
        case OPTION_GROUPS:
                workload->n_leaves = number_of(optarg, 1, 90000);
                break;
        case OPTION_POOL:
                workload->pool_leaves = number_of(optarg, 1, 90000);
                break;
        case OPTION_SEED:
                workload->seed = number_of(optarg, 0, UINT32_MAX);
                break;
        case OPTION_SECONDS:
                workload->seconds = number_of(optarg, 1, 86400);
                break;
        case OPTION_LOAD:
                workload->load_permyriad = number_of(optarg, 1, 1000) * 100;
                break;
        case OPTION_CHECK:
                options->check_every = number_of(optarg, 1, UINT32_MAX);
                break;
        case OPTION_RECORD:
                options->record = optarg;
                break;
        case OPTION_REPLAY:
                options->replay = optarg;
                break;
        case OPTION_EXACT:
                workload->exact = true;
                break;
        case OPTION_DECISIONS:
                options->mode = MODE_DECISIONS;
                break;
        case OPTION_CONTEST:
                options->mode = MODE_CONTEST;
                break;
        case OPTION_SELF_TEST:
                options->mode = MODE_SELF_TEST;
                break;
        case OPTION_LIST:
                options->mode = MODE_LIST;
                break;
        case OPTION_HELP:
                usage(0);
        default:
                usage(2);
        }
}

int main(int argc, char **argv)
{
        static int (*const modes[])(const Options *options) = {
                [MODE_RUN] = mode_run,         [MODE_DECISIONS] = mode_decisions,
                [MODE_CONTEST] = mode_contest, [MODE_SELF_TEST] = mode_self_test,
                [MODE_LIST] = mode_list,
        };
        Options options = { .workload = workload_default };
        int option;

        while ((option = getopt_long(argc, argv, "", option_rows, NULL)) >= 0)
                take_option(&options, option);
        if (optind < argc)
                usage(2);
        return modes[options.mode](&options);
}
