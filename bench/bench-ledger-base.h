/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_LEDGER_BASE_H
#define BENCH_LEDGER_BASE_H

/* What the ledger's fast paths are measured against: additions that are right on one CPU, and the
 * locks they replace. */

#include <pthread.h>
#include <stdint.h>

#include <chargehand/ledger.h>

/*
 * A per-CPU variable of user space: a restartable sequence, as librseq's addition. The kernel's
 * this_cpu_add() is one instruction; this is the nearest thing to it here. Without rseq (old
 * kernels, other architectures) has_rseq() is 0.
 */
enum { BASE_CPUS = 1024 };
typedef struct PerCpu {
        struct {
                int64_t value;
        } __attribute__((aligned(128))) cpu[BASE_CPUS];
} PerCpu;

int has_rseq(void);
void percpu_add(PerCpu *percpu, int64_t delta);
/* To a line that the caller says is its thread's own: not per CPU, and nobody may drain it. No
 * addition is cheaper. */
void own_add(int64_t *value, int64_t delta);

/* The way before ON_MOVE: every update takes the item's lock, which is a bit of its flags
 * (lock_page_cgroup(), a bit_spin_lock): one locked instruction to take it, one to give it back. */
void bit_locked_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own);
/* The same with a word for the lock: a plain store gives it back. */
void locked_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own);

/* One mutex and one sum per account. */
typedef struct Naive {
        pthread_mutex_t lock;
        int64_t sum;
} Naive;
void naive_update(Naive *naive, int64_t delta, int64_t *own);

#endif
