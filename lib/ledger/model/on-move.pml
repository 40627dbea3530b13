/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statistics while accounts move: updates take no lock unless the account is marked ON_MOVE.
 *
 * One item on account A, two updaters (one kind and one slot each, as the contract has it), two movers that both want to take
 * the item from A to B, or one mover and the removal of A, whose parent is P. In the end every update must be
 * counted exactly once, and on the account that the item is on.
 *
 * | here           | lib/ledger                                                                          |
 * |----------------|-------------------------------------------------------------------------------------|
 * | Updater        | ch_stat_update() in stat.c; the part under the lock is update_locked()               |
 * | resolve        | settle() in stat.c: where a removed account's statistics land                        |
 * | mark, unmark   | ch_stat_begin_move(), ch_stat_end_move()                                             |
 * | Mover's middle | ch_stat_move()                                                                       |
 * | Remover        | ch_account_remove(): stat_mark_removed(), the grace period, stat_reparent()           |
 * | reading        | ch_slot.reading: slot_read_enter(), slot_read_exit() in slot.h                        |
 * | grace_period   | ledger_synchronize() in slot.c                                                       |
 * | account, own   | ch_item.account_; what the holder keeps beside the item                              |
 * | on_move        | the mark in the account's line of each slot                                          |
 * | lines_gone     | the account's lines are replaced by those that are marked for good                    |
 *
 * Every shared load and store is a step of its own, but where a single writer adds to what is its own. Memory is
 * sequentially consistent but for one thing: a reader's announcement waits in its store buffer while it reads on, which is
 * what x86 and all others do and why a grace period begins with membarrier(). All else that a reader writes is
 * published by its leaving, or by the item's lock.
 *
 * -DAS_POSTED is the protocol of the patch of 2010: it takes the mark away without a grace period. An updater that has
 * read the old account and not yet the mark then finds none, and counts on the account that the item has left.
 *
 * tools/model.sh reads these lines. "right": no error in the whole state space; "wrong": an error must be found.
 * @right two movers:
 * @right a mover and a removal: -DREMOVE
 * @wrong as posted in 2010, no grace period before the mark is taken away: -DAS_POSTED
 * @wrong no grace period after the mark: -DNO_GRACE_PERIOD
 * @wrong no grace period at the removal: -DREMOVE -DNO_GRACE_PERIOD
 * @wrong grace period without membarrier: -DNO_MEMBARRIER
 * @wrong account not read again under the lock: -DNO_RECHECK
 * @wrong removed account not seen under the lock: -DREMOVE -DNO_RECHECK
 * @wrong mark is a flag, not a count: -DNO_COUNT
 * @wrong slots are marked after the grace period: -DMARK_LATE
 * @wrong mover takes no lock: -DNO_MOVER_LOCK
 * @wrong item is forwarded while a mover is about: -DREMOVE -DFORWARD_EARLY
 * @wrong updates under the lock go by the lines that lockless ones see: -DREMOVE -DLOCKED_LINES
 * @wrong sums are taken before the grace period: -DREMOVE -DSUM_EARLY
 */

#define UPDATERS 2
#define READERS  4 /* two updaters, two movers; each has a slot */
#define A        0
#define B        1
#define P        2

/* What happens in the slot of a reader on an account of a kind; each element has one writer. */
#define STAT(account, reader, kind) stat[((account) * READERS + (reader)) * 2 + (kind)]
#define UPDATES(me)                 (2 - (me)) /* the first updater does two, the second one */

short stat[24];
short landed[2]; /* P's sums for what is reparented */
short own[2];    /* the item's contribution to each kind */
byte account = A;
bit item_lock;
bit mark_lock;
byte on_move[UPDATERS]; /* A's, in each slot */
byte movers;            /* on A */
bit removed;            /* A */
bit lines_gone;         /* A's */
bit freed;              /* A's lines */

bit pending[UPDATERS]; /* announcement in the store buffer; movers empty theirs by taking the item's lock */
bit reading[READERS];  /* inside a section, as others see it */
byte finished;

inline announce(who)
{
        if
        :: pending[who] -> pending[who] = 0; reading[who] = 1
        :: else
        fi
}

inline lock(it)
{
        atomic { it == 0 -> it = 1 }
}

inline grace_period(me)
{
#ifndef NO_GRACE_PERIOD
#ifndef NO_MEMBARRIER
        d_step { announce(0); announce(1) }
#endif
        i = 0;
        do
        :: i < READERS ->
                atomic { i == me || !reading[i] -> i++ }
        :: else -> break
        od;
        i = 0
#else
        skip
#endif
}

/* Under the item's lock: the account that statistics of `a` land on, and the item is put there for good. */
inline resolve()
{
        if
        :: a == A && removed ->
                a = P;
#ifdef FORWARD_EARLY
                account = P
#else
                if
                :: movers == 0 -> account = P
                :: else
                fi
#endif
        :: else
        fi
}

inline count_one(me)
{
        d_step {
                assert(!(a == A && freed));
                STAT(a, me, me) = STAT(a, me, me) + 1
        }
        own[me] = own[me] + 1
}

proctype Updater(byte me)
{
        byte n, a;
        bit marked;

        do
        :: n == UPDATES(me) -> break
        :: else ->
                pending[me] = 1; /* enter */
                a = account;
                marked = (a == A && lines_gone);
                if
                :: a == A && !marked -> marked = (on_move[me] > 0)
                :: else
                fi;
                if
                :: marked ->
                        d_step { item_lock == 0 -> item_lock = 1; announce(me) } /* a locked instruction empties the buffer */
#ifndef NO_RECHECK
                        a = account;
                        resolve();
#endif
#ifdef LOCKED_LINES
                        assert(!(a == A && lines_gone));
#endif
                        count_one(me);
                        item_lock = 0
                :: else -> count_one(me)
                fi;
                d_step { pending[me] = 0; reading[me] = 0; n++; a = 0; marked = 0 } /* leave */
        od;
        finished++
}

#ifdef NO_COUNT
#define MARK(slot)   on_move[slot] = 1
#define UNMARK(slot) on_move[slot] = 0
#else
#define MARK(slot)   on_move[slot] = on_move[slot] + 1
#define UNMARK(slot) on_move[slot] = on_move[slot] - 1
#endif

inline mark()
{
        lock(mark_lock);
        if
        :: removed -> mark_lock = 0; goto done /* -ESTALE */
        :: else
        fi;
        movers++;
        MARK(0);
        MARK(1);
        mark_lock = 0
}

inline unmark()
{
        lock(mark_lock);
        movers--;
        UNMARK(0);
        UNMARK(1);
        mark_lock = 0
}

inline take_along(kind)
{
        d_step {
                assert(!(a == A && freed));
                STAT(a, me, kind) = STAT(a, me, kind) - own[kind];
                STAT(B, me, kind) = STAT(B, me, kind) + own[kind]
        }
}

proctype Mover(byte me)
{
        byte i, a, raw;

#ifdef MARK_LATE
        grace_period(me);
        mark();
#else
        mark();
        grace_period(me);
#endif
        if
        :: goto end_move /* had nothing to move after all */
        :: skip
        fi;
        reading[me] = 1; /* enter */
#ifndef NO_MOVER_LOCK
        lock(item_lock);
#endif
        a = account;
        raw = a;
        resolve();
        if
        :: raw == A ->
                take_along(0);
                take_along(1);
                account = B
        :: else /* not there any more: -EINVAL */
        fi;
#ifndef NO_MOVER_LOCK
        item_lock = 0;
#endif
        reading[me] = 0; /* leave */
end_move:
#ifndef AS_POSTED
        grace_period(me);
#endif
        unmark();
done:
        finished++
}

inline sum(kind)
{
        d_step { landed[kind] = landed[kind] + STAT(A, 0, kind) + STAT(A, 1, kind) + STAT(A, 2, kind) + STAT(A, 3, kind) }
}

proctype Remover(byte me)
{
        byte i;

        lock(mark_lock); /* the ledger's tree lock */
        removed = 1;
        lines_gone = 1;
        mark_lock = 0;
#ifdef SUM_EARLY
        sum(0);
        sum(1);
        grace_period(me);
#else
        grace_period(me);
        sum(0);
        sum(1);
#endif
        freed = 1;
        finished++
}

/* Store buffers empty themselves whenever they like. */
active proctype Hardware()
{
end:
        do
        :: d_step { pending[0] -> announce(0) }
        :: d_step { pending[1] -> announce(1) }
        od
}

#define TOTAL(where, kind) (STAT(where, 0, kind) + STAT(where, 1, kind) + STAT(where, 2, kind) + STAT(where, 3, kind))

init
{
        byte k, where;

        atomic {
                run Updater(0);
                run Updater(1);
                run Mover(2);
#ifdef REMOVE
                run Remover(3)
#else
                run Mover(3)
#endif
        }
        finished == READERS;
        d_step {
                where = (account == A && removed -> P : account);
                do
                :: k < 2 ->
                        assert(own[k] == UPDATES(k));
                        assert(TOTAL(B, k) == (where == B -> own[k] : 0));
                        assert(TOTAL(P, k) + landed[k] == (where == P -> own[k] : 0));
                        assert(removed || TOTAL(A, k) == (where == A -> own[k] : 0));
                        k++
                :: else -> break
                od;
                assert(movers == 0 && (removed || (on_move[0] == 0 && on_move[1] == 0)))
        }
}
