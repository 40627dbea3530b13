/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Baselines of bench-ledger, each in functions of their own: the ledger's are called, so these are.
 */

#include "bench-ledger-base.h"

#include <stddef.h>
#include <sys/rseq.h>

#include "ledger/stat.h"

#if defined(__x86_64__)

static struct rseq *own_rseq(void)
{
        return (struct rseq *)(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

int has_rseq(void)
{
        return __rseq_size > 0 && own_rseq()->cpu_id < BASE_CPUS;
}

/* Returns 0 if the thread left `cpu` before the addition was done. */
static inline int try_add(int64_t *value, int64_t delta, uint32_t cpu)
{
        struct rseq *rseq = own_rseq();

        __asm__ goto(".pushsection __rseq_cs, \"aw\"\n\t"
                     ".balign 32\n\t"
                     "3: .long 0, 0\n\t"
                     ".quad 1f, 2f - 1f, 4f\n\t"
                     ".popsection\n\t"
                     "leaq 3b(%%rip), %%rax\n\t"
                     "movq %%rax, %[area]\n\t"
                     "1: cmpl %[cpu], %[now]\n\t"
                     "jnz %l[left]\n\t"
                     "addq %[delta], %[value]\n\t"
                     "2:\n\t"
                     ".pushsection __rseq_failure, \"ax\"\n\t"
                     ".byte 0x0f, 0xb9, 0x3d\n\t" /* RSEQ_SIG stands before the way out, as part of
                                                     an instruction */
                     ".long 0x53053053\n\t"
                     "4: jmp %l[left]\n\t"
                     ".popsection\n\t"
                     :
                     : [area] "m"(rseq->rseq_cs), [cpu] "r"(cpu), [now] "m"(rseq->cpu_id),
                       [delta] "er"(delta), [value] "m"(*value)
                     : "memory", "cc", "rax"
                     : left);
        return 1;
left:
        return 0;
}

void percpu_add(PerCpu *percpu, int64_t delta)
{
        uint32_t cpu;

        do {
                cpu = __atomic_load_n(&own_rseq()->cpu_id_start, __ATOMIC_RELAXED);
        } while (!try_add(&percpu->cpu[cpu].value, delta, cpu));
}

#else

int has_rseq(void)
{
        return 0;
}

void percpu_add(PerCpu *percpu, int64_t delta)
{
        (void)__atomic_fetch_add(&percpu->cpu[0].value, delta, __ATOMIC_RELAXED);
}

#endif

void own_add(int64_t *value, int64_t delta)
{
        __atomic_store_n(value, __atomic_load_n(value, __ATOMIC_RELAXED) + delta, __ATOMIC_RELAXED);
}

void bit_locked_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own)
{
        while (__atomic_fetch_or(&item->lock_, 1, __ATOMIC_ACQUIRE) & 1)
                while (__atomic_load_n(&item->lock_, __ATOMIC_RELAXED) & 1)
                        ;
        stat_add(stat_get_line(item->account_, slot), kind, delta);
        *own += delta;
        (void)__atomic_fetch_and(&item->lock_, ~1U, __ATOMIC_RELEASE);
}

void locked_update(ch_slot *slot, ch_item *item, uint32_t kind, int64_t delta, int64_t *own)
{
        while (__atomic_exchange_n(&item->lock_, 1, __ATOMIC_ACQUIRE))
                while (__atomic_load_n(&item->lock_, __ATOMIC_RELAXED))
                        ;
        stat_add(stat_get_line(item->account_, slot), kind, delta);
        *own += delta;
        __atomic_store_n(&item->lock_, 0, __ATOMIC_RELEASE);
}

void naive_update(Naive *naive, int64_t delta, int64_t *own)
{
        (void)pthread_mutex_lock(&naive->lock);
        naive->sum += delta;
        *own += delta;
        (void)pthread_mutex_unlock(&naive->lock);
}
