/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects charged through a bucket while its account is removed: stocks in slots, draining by claim and barrier, reparenting.
 *
 * Account C below P; one bucket, made on C. Two threads with a slot each charge and uncharge objects of one byte (whoever's: the
 * one may release what the other charged), a thread without a slot charges whole pages, one removes C and drains. A page has
 * two bytes, a batch two pages. In the end, when all objects are uncharged and the stocks are flushed, all totals must be
 * exact and the bucket gone, which nobody may look at from then on; no usage may ever be negative or over the limit; and
 * C may not be charged or uncharged once its removal has finished.
 *
 * | here           | lib/ledger                                                                          |
 * |----------------|-------------------------------------------------------------------------------------|
 * | hold, let      | slot_enter(), slot_exit() in slot.h                                                  |
 * | charge         | ch_bucket_charge() in bucket.c: charge_from_stock(), then try_once(), drain, try_once() |
 * | uncharge       | ch_bucket_uncharge(): uncharge_to_stock(), uncharge_slow()                           |
 * | get_stock      | stock_get_bytes() in stock.c                                                         |
 * | take_page      | stock_take_pages(), take_batch()                                                     |
 * | put_pages      | stock_put_pages(), flush_pages()                                                     |
 * | climb, fall    | counter_charge(), counter_uncharge() in counter.c; a level is one compare-and-swap     |
 * | drain, flush   | ledger_drain() in ledger.c, stock_flush()                                            |
 * | Slotless       | charge_slotless(), uncharge_slotless()                                               |
 * | Remover        | ch_account_remove() in account.c                                                     |
 * | rcu            | rcu_enter() … rcu_exit() of rcu.h, for who has no slot; rcu_wait()                   |
 * | charged, holders | ch_bucket.state, one word: charged pages, the maker and the stocks keep the bucket |
 *
 * Loads and stores of a stock are steps of their own, because two may be at it: its owner and who drains it. A slot's
 * announcement waits in its store buffer until a barrier (see on-move.pml); liburcu is taken to keep its word.
 *
 * tools/model.sh reads these lines:
 * @right two slots and a removal:
 * @right a slot, a thread without one, and a removal: -DSLOTLESS
 * @right two slots, no room, no removal: -DMAX=2 -DNO_REMOVAL
 * @right two slots, no room, a removal: -DMAX=1
 * @wrong no grace period before the drain: -DSLOTLESS -DNO_GRACE_PERIOD
 * @wrong stocks are drained before the bucket is re-pointed: -DDRAIN_FIRST
 * @wrong stocks are not drained: -DNO_DRAIN
 * @wrong drain does not wait for the owner: -DNO_WAIT
 * @wrong owner does not look whether its slot is claimed: -DNO_RECHECK
 * @wrong claim without membarrier: -DNO_MEMBARRIER
 * @wrong refused charge is not undone: -DMAX=1 -DNO_REMOVAL -DNO_UNDO
 * @wrong last page is given up before its account is read: -DSLOTLESS -DEARLY_FREE
 * @wrong room is looked at before it is taken: -DMAX=2 -DNO_REMOVAL -DNO_CAS
 */

#define C     0
#define P     1
#define PAGE  2
#define BATCH 2
#ifndef MAX
#define MAX 8
#endif
#ifdef SLOTLESS
#define SLOTS 1
#else
#define SLOTS 2
#endif
#define PROCESSES 3

byte usage[2];
bit detached; /* C: its removal has finished */

/* the bucket */
byte account = C;
byte charged, rest;
byte holders = 1; /* the maker */
byte charges;     /* to come, with the maker's leave */
bit gone;

/* the slots */
bit reading[2], pending[2], slot_lock[2];
byte claimed[2];
bit has_bucket[2];
byte stock_bytes[2];
byte stock_pages[2], stock_account[2];

bit rcu[PROCESSES];
byte live; /* objects of one byte that somebody may uncharge */
byte finished;

#define LOOK assert(!gone)

inline take_charged(n)
{
        atomic { LOOK; assert(charged >= n); charged = charged - n; gone = (charged + holders == 0) }
}

inline drop_holder()
{
        atomic { LOOK; assert(holders > 0); holders = holders - 1; gone = (charged + holders == 0) }
}

inline climb(from, n)
{
        ok = 1;
        if
        :: from == C -> atomic { assert(!detached); usage[C] = usage[C] + n }
        :: else
        fi;
#ifdef NO_CAS
        ok = (usage[P] + n <= MAX);
        if
        :: ok -> usage[P] = usage[P] + n
        :: else
        fi;
#else
        atomic {
                if
                :: usage[P] + n <= MAX -> usage[P] = usage[P] + n
                :: else -> ok = 0
                fi
        }
#endif
        assert(usage[P] <= MAX);
        if
#ifndef NO_UNDO
        :: !ok && from == C -> atomic { assert(!detached && usage[C] >= n); usage[C] = usage[C] - n }
#endif
        :: else
        fi
}

inline fall(from, n)
{
        if
        :: n > 0 ->
                if
                :: from == C -> atomic { assert(!detached && usage[C] >= n); usage[C] = usage[C] - n }
                :: else
                fi;
                atomic { assert(usage[P] >= n); usage[P] = usage[P] - n }
        :: else
        fi
}

inline hold(s)
{
        pending[s] = 1;
        held = 0;
#ifndef NO_RECHECK
        if
        :: claimed[s] > 0 ->
                atomic { pending[s] = 0; reading[s] = 0 }
                atomic { !slot_lock[s] -> slot_lock[s] = 1; held = 1 }
        :: else
        fi
#endif
}

inline let(s)
{
        if
        :: held -> atomic { slot_lock[s] = 0; held = 0 }
        :: else -> atomic { pending[s] = 0; reading[s] = 0 }
        fi
}

inline get_stock(s)
{
        if
        :: !has_bucket[s] ->
                atomic { LOOK; holders = holders + 1 }
                atomic { t = rest; rest = 0 }
                stock_bytes[s] = t;
                has_bucket[s] = 1
        :: else
        fi
}

/* The stock is made one of account a: what it has of another goes back. */
inline install(s)
{
        if
        :: stock_account[s] != a ->
                atomic { n = stock_pages[s]; stock_pages[s] = 0 }
                fall(stock_account[s], n);
                atomic { stock_account[s] = a; n = 0 }
        :: else
        fi
}

inline take_page(s)
{
        n = (stock_account[s] == a -> stock_pages[s] : 0);
        if
        :: n > 0 -> atomic { stock_pages[s] = n - 1; n = 0; ok = 1 }
        :: else ->
                ok = 0;
                if
                :: !exact -> climb(a, BATCH)
                :: else
                fi;
                if
                :: ok ->
                        install(s);
                        n = stock_pages[s];
                        atomic { stock_pages[s] = n + BATCH - 1; n = 0 }
                :: else -> climb(a, 1)
                fi
        fi
}

/* One page; three are too many, and only one stays. */
inline put_page(s)
{
        install(s);
        n = stock_pages[s] + 1;
        if
        :: n > BATCH ->
                atomic { stock_pages[s] = 1; n = n - 1 }
                fall(a, n)
        :: else -> stock_pages[s] = n
        fi;
        n = 0
}

/* By whoever has the slot's lock. */
inline flush(s, top)
{
        a = (has_bucket[s] -> account : P);
        if
        :: has_bucket[s] && (top == P || a == C) ->
                LOOK;
                t = stock_bytes[s];
                stock_bytes[s] = 0;
                atomic { n = t / PAGE; t = t % PAGE; has_bucket[s] = 0 }
                rest = rest + t;
                atomic { n = n + rest / PAGE; rest = rest % PAGE; t = 0 }
                if
                :: n > 0 -> take_charged(n); a = account
                :: else
                fi;
                fall(a, n);
                drop_holder();
                n = 0
        :: else
        fi;
        if
        :: stock_pages[s] > 0 && (top == P || stock_account[s] == C) ->
                n = stock_pages[s];
                stock_pages[s] = 0;
                fall(stock_account[s], n)
        :: else
        fi;
        atomic { a = 0; n = 0 }
}

inline drain(top)
{
        atomic { claimed[0] = claimed[0] + 1; claimed[1] = claimed[1] + 1 }
#ifndef NO_MEMBARRIER
        atomic {
                reading[0] = reading[0] | pending[0];
                reading[1] = reading[1] | pending[1];
                pending[0] = 0;
                pending[1] = 0
        }
#endif
        do
        :: i < SLOTS ->
#ifndef NO_WAIT
                !reading[i];
#endif
                atomic { !slot_lock[i] -> slot_lock[i] = 1 }
                flush(i, top);
                atomic { slot_lock[i] = 0; claimed[i] = claimed[i] - 1; i++ }
        :: else -> break
        od;
        atomic { i = 0; if :: SLOTS == 1 -> claimed[1] = claimed[1] - 1 :: else fi }
}

inline charge(s)
{
        exact = 0;
        do
        :: skip ->
                ok = 1;
                hold(s);
                t = stock_bytes[s];
                if
                :: has_bucket[s] && t > 0 && !exact ->
                        stock_bytes[s] = t - 1
                :: else ->
                        get_stock(s);
                        t = stock_bytes[s];
                        if
                        :: t > 0 -> stock_bytes[s] = t - 1
                        :: else ->
                                a = account;
                                take_page(s);
                                if
                                :: ok ->
                                        atomic { LOOK; charged = charged + 1 }
                                        stock_bytes[s] = PAGE - 1
                                :: else
                                fi
                        fi;
                        a = 0
                fi;
                t = 0;
                let(s);
                if
                :: ok -> live = live + 1; break
                :: !ok && exact -> break /* refused */
                :: else -> drain(P); exact = 1
                fi
        od;
        atomic { exact = 0; ok = 0 }
}

inline uncharge(s)
{
        hold(s);
        t = stock_bytes[s];
        if
        :: has_bucket[s] && t < PAGE ->
                stock_bytes[s] = t + 1
        :: else ->
                get_stock(s);
                t = stock_bytes[s] + 1;
                if
                :: t > PAGE ->
                        take_charged(1);
                        a = account;
                        put_page(s);
                        t = t - PAGE
                :: else
                fi;
                stock_bytes[s] = t;
                a = 0
        fi;
        t = 0;
        let(s)
}

/* The last one to charge drops the maker's hold. */
inline charged_all()
{
        atomic {
                charges = charges - 1;
                if
                :: charges == 0 -> drop_holder()
                :: else
                fi
        }
}

/* The second thread takes what there is: often the first one's. */
proctype Owner(byte me)
{
        byte a, n, t, i;
        bit ok, exact, held;

        charge(me);
        if
        :: me == 0 -> charge(me)
        :: else
        fi;
        charged_all();
        do
        :: atomic { live > 0 -> live = live - 1 }
                uncharge(me)
        :: live == 0 -> break
        od;
        finished++
}

proctype Slotless(byte me)
{
        byte a;
        bit ok;

        rcu[me] = 1;
        a = account;
        climb(a, 1);
        if
        :: ok -> atomic { LOOK; charged = charged + 1 }
        :: else
        fi;
        atomic { rcu[me] = 0; a = 0 }
        charged_all();
        if
        :: ok ->
                rcu[me] = 1;
#ifdef EARLY_FREE
                take_charged(1);
                LOOK;
                a = account;
                fall(a, 1);
#else
                a = account;
                fall(a, 1);
                take_charged(1);
#endif
                atomic { rcu[me] = 0; a = 0 }
        :: else
        fi;
        finished++
}

inline rcu_wait()
{
#ifndef NO_GRACE_PERIOD
        do
        :: i < PROCESSES -> atomic { i == me || !rcu[i] -> i++ }
        :: else -> break
        od;
        i = 0
#else
        skip
#endif
}

proctype Remover(byte me)
{
        byte a, n, t, i;

#ifndef NO_REMOVAL
#ifdef DRAIN_FIRST
        drain(C);
        account = P;
        rcu_wait();
#else
        account = P;
        rcu_wait();
#ifndef NO_DRAIN
        drain(C);
#endif
#endif
        detached = 1;
#endif
#ifdef SLOTLESS
        drain(P); /* ch_ledger_drain(): no stock keeps the bucket */
#endif
        finished++
}

/* Store buffers empty themselves whenever they like. */
active proctype Hardware()
{
end:
        do
        :: d_step { pending[0] -> pending[0] = 0; reading[0] = 1 }
        :: d_step { pending[1] -> pending[1] = 0; reading[1] = 1 }
        od
}

init
{
        byte a, n, t, i;

        atomic {
                charges = 2;
                run Owner(0);
#ifdef SLOTLESS
                run Slotless(1);
#else
                run Owner(1);
#endif
                run Remover(2)
        }
        finished == PROCESSES;
        atomic {
                /* an owner may have left before the other had charged */
                do
                :: i < SLOTS -> flush(i, P); i++
                :: else -> break
                od;
                assert(live == 0);
                assert(gone && rest == 0);
                assert(usage[P] == 0);
                assert(detached || usage[C] == 0);
                assert(!reading[0] && !reading[1] && claimed[0] == 0 && claimed[1] == 0)
        }
}
