/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The groups in which something is claimed, as accounts of a ledger. */

#include <assert.h>

#include "claim-node.h"
#include "util.h"

/* Claims are few and last long: they are charged without a slot, so no stock blurs the figures. The slot is for statistics. */

static ClaimNode *node_free(ClaimNode *node)
{
        if (!node)
                return NULL;
        ch_bucket_unref(node->bucket);
        free(node->path);
        free(node);
        return NULL;
}

static ClaimNode *node_new(ClaimNode *parent, ch_account *account, const char *path, size_t length)
{
        ClaimNode *node = calloc(1, sizeof(*node));

        if (!node)
                return NULL;
        node->parent = parent;
        node->path = strndup(path, length);
        if (!node->path || (!account && ch_account_new(parent->account, &account) < 0))
                return node_free(node);
        node->account = account;
        if (ch_bucket_new(account, &node->bucket) < 0) {
                if (parent)
                        (void)ch_account_remove(account);
                return node_free(node);
        }
        return node;
}

int claim_nodes_init(ClaimNodes *nodes, uint32_t n_kinds)
{
        const ch_ledger_options options = { .max_slots = 1, .n_kinds = n_kinds };
        int r;

        r = ch_ledger_new(&options, &nodes->ledger);
        if (r < 0)
                return r;
        (void)ch_slot_get(nodes->ledger, &nodes->slot);
        nodes->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        nodes->machine = node_new(NULL, ch_ledger_get_root(nodes->ledger), "", 0);
        if (!nodes->machine) {
                ch_slot_put(nodes->slot);
                (void)ch_ledger_free(nodes->ledger);
                return -ENOMEM;
        }
        return 0;
}

void claim_nodes_done(ClaimNodes *nodes)
{
        int r;

        while (nodes->machine->children) {
                ClaimNode *node = nodes->machine->children;

                while (node->children)
                        node = node->children;
                claim_node_remove(node);
        }
        nodes->machine = node_free(nodes->machine);
        nodes->slot = ch_slot_put(nodes->slot);
        r = ch_ledger_free(nodes->ledger);
        assert(r == 0);
        (void)r;
}

/* Among the children of `parent`: the link to the one of that path, or to where it would be. */
static ClaimNode **position_of(ClaimNode *parent, const char *path, size_t length)
{
        ClaimNode **at = &parent->children;

        while (*at && strncmp((*at)->path, path, length) < 0)
                at = &(*at)->next;
        return at;
}

static ClaimNode *get_child(ClaimNode *parent, const char *path, size_t length, int make)
{
        ClaimNode **at = position_of(parent, path, length), *child;

        if (*at && strncmp((*at)->path, path, length) == 0 && (*at)->path[length] == '\0')
                return *at;
        child = make ? node_new(parent, NULL, path, length) : NULL;
        if (child) {
                child->next = *at;
                *at = child;
        }
        return child;
}

static ClaimNode *get(ClaimNode *machine, const char *path, int make)
{
        ClaimNode *node = machine;
        size_t length = 1;

        if (*path)
                node = get_child(node, path, length, make);
        while (node && path[0] && path[length]) {
                length += length > 1; /* past the '/' */
                length += strcspn(path + length, "/");
                node = get_child(node, path, length, make);
        }
        return node;
}

ClaimNode *claim_node_find(const ClaimNodes *nodes, const char *path)
{
        return get(nodes->machine, path, 0);
}

ClaimNode *claim_node_get(ClaimNodes *nodes, const char *path)
{
        return get(nodes->machine, path, 1);
}

void claim_node_remove(ClaimNode *node)
{
        ClaimNode **at = &node->parent->children;
        int r;

        while (*at != node)
                at = &(*at)->next;
        *at = node->next;
        r = ch_account_remove(node->account);
        assert(r == 0);
        (void)r;
        node_free(node);
}

ClaimNode *claim_node_next(const ClaimNode *top, ClaimNode *node)
{
        if (node->children)
                return node->children;
        while (node != top && !node->next)
                node = node->parent;
        return node == top ? NULL : node->next;
}

uint64_t claim_node_get_usage(const ClaimNodes *nodes, const ClaimNode *node)
{
        ch_account_figures figures;

        ch_account_get_figures(node->account, &figures);
        return figures.usage_pages * nodes->page_bytes;
}

uint64_t claim_node_round(const ClaimNodes *nodes, uint64_t bytes)
{
        return (bytes + nodes->page_bytes - 1) / nodes->page_bytes * nodes->page_bytes;
}

void claim_node_set_max(const ClaimNodes *nodes, ClaimNode *node, uint64_t bytes)
{
        ch_account_set_max(node->account,
                           bytes == UINT64_MAX ? CH_PAGES_MAX : bytes / nodes->page_bytes);
}

void claim_node_lift(ClaimNode *node)
{
        for (; node; node = node->parent)
                ch_account_set_max(node->account, CH_PAGES_MAX);
}

static ClaimNode *find_account(ClaimNode *node, const ch_account *account)
{
        while (node && node->account != account)
                node = node->parent;
        return node;
}

int claim_node_charge(ClaimNode *node, uint64_t bytes, ch_bucket **ret_bucket,
                      ClaimNode **ret_refused)
{
        ch_account *refused;
        int r = 0;

        if (bytes > 0)
                r = ch_bucket_charge(NULL, node->bucket, bytes, &refused);
        if (r == -ENOSPC) {
                if (ret_refused)
                        *ret_refused = find_account(node, refused);
                ch_account_unref(refused);
        }
        if (r >= 0)
                *ret_bucket = node->bucket;
        return r;
}

void claim_node_uncharge(ch_bucket *bucket, uint64_t bytes)
{
        int r = bytes > 0 ? ch_bucket_uncharge(NULL, bucket, bytes) : 0;

        assert(r == 0);
        (void)r;
}
