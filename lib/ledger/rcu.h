/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_RCU_H
#define CH_LEDGER_RCU_H

/*
 * Two kinds of reader may look at bucket → account and climb from there, as two kinds may in the
 * kernel:
 *
 * - who holds a slot (slot.h), as its owner or while it is claimed: what preempt_disable() is
 * there. Two plain stores, no thread-local storage.
 * - who has no slot: rcu_enter() … rcu_exit(). liburcu in its "bulletproof" flavour, where threads
 * that a library did not start register by themselves. It starts no threads itself, so there is no
 * call_rcu(): who must wait, waits.
 *
 * Whoever changes the pointer waits for both: rcu_wait(), and then every slot (ledger_drain(),
 * ledger_synchronize()).
 *
 * liburcu is not built for ThreadSanitizer, which therefore sees no order between a reader and the
 * one who waited for it. The annotations say what rcu_wait() guarantees: all that readers did
 * before. (The slots' own sections are plain C11 atomics; they need none.)
 */

/* Not inlined, though the licence would allow it: liburcu 0.13 aligns its readers less than it
 * declares, UBSan complains, and no hit of a stock comes by here. */
#include <stdint.h>

#include <urcu/list.h>
#include <urcu/urcu-bp.h>

#if defined(__SANITIZE_THREAD__)
#define CH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CH_TSAN 1
#endif
#endif

#ifdef CH_TSAN
#include <sanitizer/tsan_interface.h>
/* any address that all agree upon */
#define rcu_tsan_release() __tsan_release((void *)(uintptr_t)&urcu_bp_synchronize_rcu)
#define rcu_tsan_acquire() __tsan_acquire((void *)(uintptr_t)&urcu_bp_synchronize_rcu)
#else
#define rcu_tsan_release() ((void)0)
#define rcu_tsan_acquire() ((void)0)
#endif

static inline void full_fence(void)
{
#ifdef CH_TSAN /* knows no fences */
        static uint32_t any;

        (void)__atomic_add_fetch(&any, 1, __ATOMIC_SEQ_CST);
#else
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline void rcu_enter(void)
{
        urcu_bp_read_lock();
}

static inline void rcu_exit(void)
{
        rcu_tsan_release();
        urcu_bp_read_unlock();
}

/* Returns when everybody who was between rcu_enter() and rcu_exit() has left. Not from in between.
 */
static inline void rcu_wait(void)
{
        urcu_bp_synchronize_rcu();
        rcu_tsan_acquire();
}

#endif
