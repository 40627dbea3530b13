/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads what groups use of what they have claimed. */

#include "claim-internal.h"
#include "plan.h"
#include "util.h"

/* memory.current of a group that has that id; -ENODEV. */
static int read_used(ch_tree *tree, const ClaimUse *use, uint64_t *ret)
{
        ch_group *group;
        int r;

        r = ch_tree_open_group(tree, use->path, &group, NULL);
        if (r < 0)
                return -ENODEV;
        r = ch_group_get_id(group) == use->group_id ? 0 : -ENODEV;
        if (r >= 0 && group_file_u64(ch_group_get_fd(group), "memory.current", ret) < 0)
                *ret = 0;
        ch_group_unref(group);
        return r;
}

static void copy(Claims *claims, ClaimUses *uses)
{
        uses->items = calloc(claims->n_groups + claims->n_partial + 1, sizeof(ClaimUse));
        for (const Claim *claim = claims->first; uses->items && claim; claim = claim->next) {
                ClaimUse use = { .id = claim->id, .used = claim->told_done };

                if (claim->kind == CLAIM_GROUP) {
                        use.group_id = claim->node->group_id;
                        use.path = strdup(claim->node->path);
                        use.used = 0;
                        if (!use.path)
                                continue;
                } else if (claim->told_done == 0) {
                        continue;
                }
                uses->items[uses->n++] = use;
        }
}

void claim_uses_read(Claims *claims, ClaimUses *ret)
{
        *ret = (ClaimUses){ 0 };
        pthread_mutex_lock(&claims->lock);
        if (claims->n_groups + claims->n_partial > 0)
                copy(claims, ret);
        pthread_mutex_unlock(&claims->lock);
        for (size_t i = 0; i < ret->n; i++)
                if (ret->items[i].path)
                        ret->items[i].gone = read_used(claims->options.tree, &ret->items[i],
                                                       &ret->items[i].used) == -ENODEV;
}

void claim_uses_apply(Claims *claims, const ClaimUses *uses)
{
        for (Claim *claim = claims->first; claim && claims->n_groups + claims->n_partial > 0;
             claim = claim->next)
                claim->done = 0;
        for (size_t i = 0; i < uses->n; i++) {
                const ClaimUse *use = &uses->items[i];
                Claim *claim = hash_get(&claims->by_id, use->id);

                if (!claim || (use->path && claim->node->group_id != use->group_id))
                        continue;
                claim->done = min_u64(use->used, claim->bytes);
                if (use->gone) /* the group went, and nobody told yet */
                        (void)group_claim_set(claims, claim->node, 0);
        }
}

void claim_uses_done(ClaimUses *uses)
{
        for (size_t i = 0; i < uses->n; i++)
                free(uses->items[i].path);
        free(uses->items);
        *uses = (ClaimUses){ 0 };
}
