/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CLAIM_INTERNAL_H
#define CHD_CLAIM_INTERNAL_H

/*
 * Inside of claims, shared by claim*.c.
 *
 * What the ledger has charged at a node is what is claimed there and below, as if nobody had used anything of it yet. What of it is
 * in use already (memory.current of groups with a claim, the progress of jobs, charges that a move finds inside) is the
 * discount of that node; the two make the figure. So granting a claim is: set the limits of the nodes on the way up to what is free
 * there plus the discount, and charge.
 */

#include <pthread.h>

#include "claim-node.h"
#include "claim.h"
#include "hash.h"

/* Of each account: how many claims there are of a kind, and their bytes. */
#define CLAIM_STAT_NUMBER(kind) ((uint32_t)(kind)*2)
#define CLAIM_STAT_BYTES(kind) ((uint32_t)(kind)*2 + 1)
#define CLAIM_STATS (CLAIM_KIND_MAX_ * 2)

struct Claim {
        uint64_t id;
        ClaimKind kind;
        ClaimNode *node;   /* where it counts */
        ch_bucket *bucket; /* that holds the charge; NULL: nothing is charged */
        uint64_t bytes;
        uint64_t done;     /* of it in use: as of the reading that the decision under way is based on */
        uint64_t told_done; /* as the job said last */
        ClaimInside *inside;
        size_t n_inside;
        char *made_for, *note;
        uint64_t since_usec;
        uint32_t uid, pid, job;
        ch_item item; /* counted where the bucket is */
        int64_t counted[CLAIM_STATS];
        uint64_t dev, ino; /* of the FIFO of a lease */
        int moved;         /* to another group since the record was written */
        int told;
        Claim *prev, *next;
};

struct Claims {
        ClaimsOptions options;
        pthread_mutex_t lock; /* of what follows; never held while files are read */
        ClaimNodes nodes;
        Claim *first, *last;
        Hash by_id;
        uint64_t next_id;
        uint64_t ended_bytes; /* of claims that were there, since the start; wraps */
        size_t n_groups;  /* claims of groups */
        size_t n_partial; /* claims that are not, and may have something done or inside */
        ClaimChange *changes;
        size_t n_changes, changes_allocated;
};

/* What a thread may use. */
typedef struct ClaimActor {
        const char *target;
        uint64_t lease, own;
} ClaimActor;

/* Locked. */

Claim *claim_new(Claims *claims, const ClaimRequest *request, uint64_t id); /* not charged yet */
/* In the lists from now on. -ENOMEM. */
int claim_link(Claims *claims, Claim *claim);
/* Counted as what it is by now; 0: not at all. Around each change of kind or bytes. */
void claim_count(Claims *claims, Claim *claim, int is_there);
void claim_set_kind(Claims *claims, Claim *claim, ClaimKind kind);
void claim_tell(Claims *claims, Claim *claim); /* that it is there, once */
void claim_end(Claims *claims, Claim *claim);  /* uncharged, freed; told if it was told before */
Claim *claim_free(Claim *claim);
/* What of a claim that is not a group's counts at the node: it is there or below. */
uint64_t claim_open_at(const Claim *claim, const ClaimNode *node, int exact);
const ClaimActor *claims_get_actor(void); /* this thread's */
/* Figures at a node. `exact`: less what groups use of theirs. */
uint64_t claims_discount(const Claims *claims, const ClaimNode *node, int exact,
                         const ClaimActor *actor);
uint64_t claims_sum(const Claims *claims, const ClaimNode *node, int exact, const ClaimActor *actor);

/* claim-group.c */

/* What of the claims of groups is open at the node and below. */
uint64_t group_claims_open(const ClaimNode *node, int exact, const ClaimActor *actor);
/* The group's own claim becomes so much, charged past all limits. */
int group_claim_set(Claims *claims, ClaimNode *node, uint64_t bytes);
/* Another group than the one with that id was at the path before: it has gone. */
void claims_drop_stale(Claims *claims, const char *path, uint64_t group_id);
/* The node of the group with that id. NULL: out of memory. */
ClaimNode *claims_get_node(Claims *claims, const char *path, uint64_t group_id);

/* claim-read.c: what groups use of their claims, read outside of the lock, put in force under it. */

typedef struct ClaimUse {
        uint64_t id, group_id, used;
        char *path; /* NULL: no group's */
        int gone;
} ClaimUse;
typedef struct ClaimUses {
        ClaimUse *items;
        size_t n;
} ClaimUses;
/* Takes the lock for a moment. Where memory is short nothing counts as used, which is on the safe side. */
void claim_uses_read(Claims *claims, ClaimUses *ret);
void claim_uses_apply(Claims *claims, const ClaimUses *uses); /* locked */
void claim_uses_done(ClaimUses *uses);

/* claim-room.c */

typedef struct Grant {
        const char *path;
        uint64_t group_id; /* 0: there is no such group yet */
        uint64_t bytes;
        uint64_t used; /* a group's: memory.current */
        const uint64_t *own_max;
        const ClaimRequest *request; /* NULL: the own claim of the group is set */
        int keep;                    /* else it is a check only */
        uint64_t id;                 /* of the claim that was made for the request */
} Grant;
/* Charges it if it fits everywhere. Reads files; takes the lock. */
int claims_grant(Claims *claims, Grant *grant, ch_error **err);

#endif
