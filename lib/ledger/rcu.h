/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LEDGER_RCU_H
#define CH_LEDGER_RCU_H

/*
 * Two kinds of reader, as the kernel has two:
 *
 * - rcu_enter() … rcu_exit(): any thread, with or without a slot. Protects bucket → account, and the climb from there.
 *   liburcu in its "bulletproof" flavour: threads that a library did not start register by themselves. The
 *   library starts no threads, so there is no call_rcu(): who must wait calls rcu_wait().
 * - slot_read_enter() … slot_read_exit() (slot.h): the thread that uses a slot, what preempt_disable() is to a per-CPU
 *   variable. Two plain stores, no thread-local storage, and ledger_synchronize() waits for those.
 *
 * liburcu is not built for ThreadSanitizer, which therefore sees no order between a reader and the one who
 * waited for it. The annotations say what rcu_wait() guarantees: all that readers did before. (The slots' own sections are
 * plain C11 atomics; they need none.)
 */

#define _LGPL_SOURCE /* the inlined readers of liburcu; Chargehand is LGPL */
#include <urcu/urcu-bp.h>
#include <urcu/list.h>
#undef _LGPL_SOURCE

#if defined(__SANITIZE_THREAD__)
#define CH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CH_TSAN 1
#endif
#endif

#ifdef CH_TSAN
#include <sanitizer/tsan_interface.h>
#define rcu_tsan_release() __tsan_release(&urcu_bp_gp)
#define rcu_tsan_acquire() __tsan_acquire(&urcu_bp_gp)
#else
#define rcu_tsan_release() ((void)0)
#define rcu_tsan_acquire() ((void)0)
#endif

static inline void rcu_enter(void)
{
        urcu_bp_read_lock();
}

static inline void rcu_exit(void)
{
        rcu_tsan_release();
        urcu_bp_read_unlock();
}

/* Returns when everybody who was between rcu_enter() and rcu_exit() has left. Not from in between. */
static inline void rcu_wait(void)
{
        urcu_bp_synchronize_rcu();
        rcu_tsan_acquire();
}

#endif
