/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The simulator's workloads, small, on a real kernel:
 *
 *     bench-placement-kernel ROOT SEED PLANNER…
 *
 * ROOT is an empty group of the hierarchy with the memory controller on. One line of JSON for each
 * planner.
 */

#include "placement-stage.h"
#include "util.h"

/* 8 groups of 32 to 128 MiB below two services and a tenant; about 200 processes of 1 to 20 MiB. */
static const Workload workload = {
        .n_leaves = 8,
        .service_leaves = 4,
        .pool_leaves = 8,
        .seconds = 150,
        .load_permyriad = 9000,
};

enum { SCALE = 8 };

static void print_measures(const char *name, unsigned long seed, const StageMeasures *m)
{
        (void)printf("{\"planner\": \"%s\", \"seed\": %lu, \"requests\": %llu, \"refused\": %llu, "
                     "\"killed\": %llu, "
                     "\"max_events\": %llu, \"oom_kills\": %llu, \"strayed_mib_s\": %.0f, "
                     "\"used_mib_s\": %.0f, "
                     "\"decision_usec\": %.1f}\n",
                     name, seed, (unsigned long long)m->requests, (unsigned long long)m->refused,
                     (unsigned long long)m->killed, (unsigned long long)m->max_events,
                     (unsigned long long)m->oom_kills, m->strayed_mib_seconds, m->used_mib_seconds,
                     (double)m->decision_usec / (double)m->requests);
        (void)fflush(stdout);
}

int main(int argc, char **argv)
{
        Workload with_seed = workload;
        Trace trace = {};

        if (argc < 4) {
                (void)fprintf(stderr, "usage: bench-placement-kernel ROOT SEED PLANNER…\n");
                return 2;
        }
        with_seed.seed = strtoul(argv[2], NULL, 10);
        workload_generate(&with_seed, &trace);
        for (int i = 3; i < argc; i++) {
                const StagePlanner *planner = stage_planner_find(argv[i]);
                StageMeasures measures;

                if (!planner) {
                        (void)fprintf(stderr, "bench-placement-kernel: no planner '%s'\n", argv[i]);
                        return 2;
                }
                stage_play(&trace, planner, argv[1], SCALE, &measures);
                print_measures(argv[i], (unsigned long)with_seed.seed, &measures);
        }
        trace_done(&trace);
        return 0;
}
