/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CLAIM_NODE_H
#define CHD_CLAIM_NODE_H

/*
 * The groups in which something is claimed, and all above them up to the machine, each with its account in a ledger: what is
 * charged there is what is claimed there and below. Nodes come when they are first needed and go with their group. Locked by the caller.
 */

#include <stdint.h>

#include <chargehand/ledger.h>

typedef struct Claim Claim;
typedef struct ClaimNode ClaimNode;
typedef struct ClaimNodes ClaimNodes;

struct ClaimNode {
        char *path;         /* "" is the machine, above "/" */
        uint64_t group_id;  /* inode; 0: not known yet */
        ClaimNode *parent;
        ClaimNode *children, *next; /* in the order of the tree */
        ch_account *account;
        ch_bucket *bucket; /* what is claimed for this very group */

        /* claims of groups (claim-group.c), as if nothing of them were in use */
        Claim *own;      /* of this group, or NULL */
        uint64_t nested; /* of those below */
        uint64_t total;  /* the larger of both */
        uint64_t charged; /* what the own one adds to the nested ones */
};

struct ClaimNodes {
        ch_ledger *ledger;
        ch_slot *slot; /* for statistics; whoever has the caller's lock uses it */
        uint64_t page_bytes;
        ClaimNode *machine;
};

int claim_nodes_init(ClaimNodes *nodes, uint32_t n_kinds); /* of statistics */
void claim_nodes_done(ClaimNodes *nodes); /* with nothing charged any more */

/* NULL: none, or out of memory. "" is the machine. */
ClaimNode *claim_node_find(const ClaimNodes *nodes, const char *path);
ClaimNode *claim_node_get(ClaimNodes *nodes, const char *path);
/* Of a node without children and own claim: what is charged in it is its parent's in one step. */
void claim_node_remove(ClaimNode *node);
/* What follows in the order of the tree, within `top`; NULL at the end. */
ClaimNode *claim_node_next(const ClaimNode *top, ClaimNode *node);

/* Bytes, with all below. */
uint64_t claim_node_get_usage(const ClaimNodes *nodes, const ClaimNode *node);
/* What a charge of so many bytes takes: whole pages. */
uint64_t claim_node_round(const ClaimNodes *nodes, uint64_t bytes);
/* UINT64_MAX: no limit. In force until it is lifted. */
void claim_node_set_max(const ClaimNodes *nodes, ClaimNode *node, uint64_t bytes);
void claim_node_lift(ClaimNode *node); /* of it and all above */
/* -ENOSPC with the one that refused. 0 bytes charge nothing. The bucket that was charged in *ret_bucket: uncharge from that one. */
int claim_node_charge(ClaimNode *node, uint64_t bytes, ch_bucket **ret_bucket, ClaimNode **ret_refused);
void claim_node_uncharge(ch_bucket *bucket, uint64_t bytes);

#endif
