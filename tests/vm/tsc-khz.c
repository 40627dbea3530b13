/* Prints how many thousand TSC ticks this machine makes in a second.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An emulated guest reads the host's TSC. On a busy host it may calibrate that wrongly at boot, and its
 * clock runs fast ever after (seen once: 41 s in a guest that lived for 23 s), so it is told the figure
 * (tsc_early_khz=).
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* A reading of both clocks, the closest of some: being scheduled away between the two spoils one. */
static double read_both(unsigned long long *ret_tsc) {
        double best = 1, when = 0;

        for (int i = 0; i < 20; i++) {
                double before = now();
                unsigned long long tsc = __rdtsc();
                double after = now();

                if (after - before < best) {
                        best = after - before;
                        when = (before + after) / 2;
                        *ret_tsc = tsc;
                }
        }
        return when;
}

int main(void) {
        const struct timespec wait = { .tv_nsec = 100000000 };
        unsigned long long tsc0 = 0, tsc1 = 0;
        double t0 = read_both(&tsc0), t1;

        nanosleep(&wait, NULL);
        t1 = read_both(&tsc1);
        printf("%.0f\n", (double) (tsc1 - tsc0) / (t1 - t0) / 1000);
        return 0;
}
