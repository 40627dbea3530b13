/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims of groups: nested, kept in the group. */

#include <time.h>

#include "claim-internal.h"
#include "error.h"
#include "manager.h"
#include "mark.h"
#include "plan.h"
#include "util.h"

uint64_t group_claims_open(const ClaimNode *node, int exact, const ClaimActor *actor)
{
        uint64_t nested = 0, own = 0;

        for (const ClaimNode *child = node->children; child; child = child->next)
                if (child->total)
                        nested += group_claims_open(child, exact, actor);
        if (node->own && !(actor && actor->target && ch_path_is_below(actor->target, node->path)))
                own = sub_u64(node->own->bytes, exact ? node->own->done : 0);
        return own > nested ? own : nested;
}

/* The totals from the node up. */
static void update_totals(ClaimNode *node)
{
        for (; node; node = node->parent) {
                uint64_t own = node->own ? node->own->bytes : 0, before = node->total;

                node->total = own > node->nested ? own : node->nested;
                if (node->parent)
                        node->parent->nested += node->total - before;
        }
}

/* Charges for each claim on the way up what it adds to those below it; past all limits. */
static void charge_own(ClaimNode *node)
{
        claim_node_lift(node);
        for (; node; node = node->parent) {
                uint64_t adds = node->total - node->nested;

                if (!node->own || adds == node->charged)
                        continue;
                claim_node_uncharge(node->own->bucket, node->charged);
                node->charged = adds;
                (void)claim_node_charge(node, adds, &node->own->bucket, NULL);
        }
}

static void end_own(Claims *claims, ClaimNode *node)
{
        Claim *claim = node->own;

        claims->n_groups--;
        node->own = NULL;
        claim_count(claims, claim, 0);
        claim_node_uncharge(claim->bucket, node->charged);
        node->charged = 0;
        claim->bucket = NULL;
        claim_end(claims, claim);
}

int group_claim_set(Claims *claims, ClaimNode *node, uint64_t bytes)
{
        ClaimRequest request = { .group = node->path, .kind = CLAIM_GROUP };

        if (!node->own && bytes == 0)
                return 0;
        if (!node->own) {
                node->own = claim_new(claims, &request, 0);
                if (!node->own)
                        return -ENOMEM;
                node->own->node = node;
                node->own->bucket = node->bucket;
                node->own->bytes = bytes;
                if (claim_link(claims, node->own) < 0) {
                        node->own = claim_free(node->own);
                        return -ENOMEM;
                }
                claims->n_groups++;
        }
        if (bytes == 0) {
                end_own(claims, node);
        } else {
                node->own->bytes = bytes;
                claim_count(claims, node->own, 1);
        }
        update_totals(node);
        charge_own(node);
        return 0;
}

/* With all below it. */
static void drop_node(Claims *claims, ClaimNode *node)
{
        ClaimNode *parent = node->parent;

        while (node->children)
                drop_node(claims, node->children);
        (void)group_claim_set(claims, node, 0);
        for (Claim *claim = claims->first; claim; claim = claim->next)
                if (claim->node == node) {
                        claim->node = parent;
                        claim->moved = 1;
                }
        claim_node_remove(node);
}

void claims_drop_stale(Claims *claims, const char *path, uint64_t group_id)
{
        ClaimNode *node = claim_node_find(&claims->nodes, path);

        if (node && group_id && node->group_id && node->group_id != group_id)
                drop_node(claims, node);
}

ClaimNode *claims_get_node(Claims *claims, const char *path, uint64_t group_id)
{
        ClaimNode *node;

        claims_drop_stale(claims, path, group_id);
        node = claim_node_get(&claims->nodes, path);
        if (node && group_id)
                node->group_id = group_id;
        return node;
}

int claims_check(Claims *claims, const char *path, uint64_t bytes, const uint64_t *own_max,
                 ch_error **err)
{
        Grant grant = { .path = path, .bytes = bytes, .own_max = own_max };
        ch_group *group;

        if (ch_tree_open_group(claims->options.tree, path, &group, NULL) >= 0) {
                grant.group_id = ch_group_get_id(group);
                (void)group_file_u64(ch_group_get_fd(group), "memory.current", &grant.used);
                ch_group_unref(group);
        }
        return claims_grant(claims, &grant, err);
}

static uint64_t claim_of(Claims *claims, ch_group *group)
{
        uint64_t bytes = 0;
        const ClaimNode *node;

        pthread_mutex_lock(&claims->lock);
        node = claim_node_find(&claims->nodes, ch_group_get_path(group));
        if (node && node->own && node->group_id == ch_group_get_id(group))
                bytes = node->own->bytes;
        pthread_mutex_unlock(&claims->lock);
        return bytes;
}

int claims_take(Claims *claims, ch_group *group, uint64_t bytes, const uint64_t *own_max,
                uint64_t *ret_before, ch_error **err)
{
        Grant grant = { .path = ch_group_get_path(group),
                        .group_id = ch_group_get_id(group),
                        .bytes = bytes,
                        .own_max = own_max,
                        .keep = 1 };
        uint64_t before = claim_of(claims, group);
        int fd = ch_group_get_fd(group), r = 0;

        if (bytes && group_file_u64(fd, "memory.current", &grant.used) < 0)
                r = ch_group_enable_controller(group, "memory", err);
        if (r >= 0)
                r = claims_grant(claims, &grant, err);
        if (r < 0)
                return r;
        /* without extended attributes the claim ends with the daemon */
        (void)mark_set_claim(fd, bytes);
        if (ret_before)
                *ret_before = before;
        return 0;
}

static void set(Claims *claims, ch_group *group, uint64_t bytes)
{
        ClaimNode *node;

        pthread_mutex_lock(&claims->lock);
        node = claims_get_node(claims, ch_group_get_path(group), ch_group_get_id(group));
        if (node && bytes <= CLAIM_BYTES_MAX && group_claim_set(claims, node, bytes) >= 0 &&
            node->own)
                claim_tell(claims, node->own);
        pthread_mutex_unlock(&claims->lock);
}

void claims_put_back(Claims *claims, ch_group *group, uint64_t bytes)
{
        set(claims, group, bytes);
        (void)mark_set_claim(ch_group_get_fd(group), bytes);
}

void claims_load(Claims *claims, const char *path)
{
        ch_group *group;
        uint64_t bytes;

        if (ch_tree_open_group(claims->options.tree, path, &group, NULL) < 0)
                return;
        if (mark_get_claim(ch_group_get_fd(group), &bytes) >= 0)
                set(claims, group, bytes);
        ch_group_unref(group);
}

void claims_drop(Claims *claims, const char *path, uint64_t group_id)
{
        ClaimNode *node;

        pthread_mutex_lock(&claims->lock);
        node = streq(path, "/") ? NULL : claim_node_find(&claims->nodes, path);
        if (node && (!group_id || !node->group_id || node->group_id == group_id))
                drop_node(claims, node);
        pthread_mutex_unlock(&claims->lock);
}

int claim_check_and_set(Manager *manager, const char *path, uint64_t bytes, ch_error **err)
{
        ch_group *group;
        int r;

        r = ch_tree_open_group(manager->tree, path, &group, err);
        if (r < 0)
                return r;
        r = claims_take(manager->claims, group, bytes, NULL, NULL, err);
        ch_group_unref(group);
        return r;
}
