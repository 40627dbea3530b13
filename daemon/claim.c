/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets memory aside, and counts what is set aside. */

#include <time.h>

#include "claim-internal.h"
#include "error.h"
#include "plan.h"
#include "util.h"

static const char *const kind_words[] = {
#define ROW(id, word, doc) [CLAIM_##id] = word,
        CLAIM_KINDS(ROW)
#undef ROW
};

const char *claim_kind_to_string(ClaimKind kind)
{
        return kind_words[kind];
}

static _Thread_local ClaimActor actor;

void claims_act_for(const char *path)
{
        actor.target = path;
}

void claims_act_with(uint64_t lease, uint64_t own)
{
        actor.lease = lease;
        actor.own = own;
}

int claims_new(const ClaimsOptions *options, Claims **ret)
{
        Claims *claims = calloc(1, sizeof(*claims));
        int r;

        if (!claims)
                return -ENOMEM;
        claims->options = *options;
        claims->next_id = 1;
        r = claim_nodes_init(&claims->nodes, CLAIM_STATS);
        if (r < 0) {
                free(claims);
                return r;
        }
        pthread_mutex_init(&claims->lock, NULL);
        *ret = claims;
        return 0;
}

Claims *claims_free(Claims *claims)
{
        if (!claims)
                return NULL;
        claims->options.changed = NULL;
        while (claims->first) {
                Claim *claim = claims->first;

                if (claim->kind == CLAIM_GROUP)
                        (void)group_claim_set(claims, claim->node, 0);
                else
                        claim_end(claims, claim);
        }
        claim_nodes_done(&claims->nodes);
        for (size_t i = 0; i < claims->n_changes; i++)
                free(claims->changes[i].group);
        free(claims->changes);
        hash_done(&claims->by_id);
        pthread_mutex_destroy(&claims->lock);
        free(claims);
        return NULL;
}

static uint64_t boottime_usec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

Claim *claim_free(Claim *claim)
{
        if (!claim)
                return NULL;
        for (size_t i = 0; i < claim->n_inside; i++)
                free((char *)claim->inside[i].group);
        free(claim->inside);
        free(claim->made_for);
        free(claim->note);
        free(claim);
        return NULL;
}

static int copy_inside(Claim *claim, const ClaimRequest *request)
{
        claim->inside = calloc(request->n_inside + 1, sizeof(ClaimInside));
        for (size_t i = 0; claim->inside && i < request->n_inside; i++) {
                char *group = strdup(request->inside[i].group);

                if (!group)
                        return -ENOMEM;
                claim->inside[claim->n_inside++] =
                        (ClaimInside){ .group = group, .bytes = request->inside[i].bytes };
        }
        return claim->inside ? 0 : -ENOMEM;
}

Claim *claim_new(Claims *claims, const ClaimRequest *request, uint64_t id)
{
        Claim *claim = calloc(1, sizeof(*claim));

        if (!claim)
                return NULL;
        claim->id = id ? id : claims->next_id;
        claim->kind = request->kind;
        claim->bytes = request->bytes;
        claim->uid = request->uid;
        claim->pid = request->pid;
        claim->job = request->job;
        claim->since_usec = boottime_usec();
        claim->made_for = strdup(request->group);
        claim->note = strdup(request->note ? request->note : "");
        if (!claim->made_for || !claim->note || copy_inside(claim, request) < 0)
                return claim_free(claim);
        return claim;
}

static int is_partial(const Claim *claim)
{
        return claim->kind != CLAIM_GROUP && (claim->n_inside > 0 || claim->told_done > 0);
}

void claim_count(Claims *claims, Claim *claim, int is_there)
{
        uint32_t number = CLAIM_STAT_NUMBER(claim->kind), bytes = CLAIM_STAT_BYTES(claim->kind);
        int64_t *counted = claim->counted;
        ch_slot *slot = claims->nodes.slot;
        /* statistics are signed; one that is larger is refused by any machine in the end */
        int64_t size = (int64_t)min_u64(claim->bytes, INT64_MAX / 2);

        ch_stat_update(slot, &claim->item, number, is_there - counted[number], &counted[number]);
        ch_stat_update(slot, &claim->item, bytes, (is_there ? size : 0) - counted[bytes],
                       &counted[bytes]);
}

void claim_set_kind(Claims *claims, Claim *claim, ClaimKind kind)
{
        claim_count(claims, claim, 0);
        claim->kind = kind;
        claim_count(claims, claim, 1);
}

int claim_link(Claims *claims, Claim *claim)
{
        if (hash_get(&claims->by_id, claim->id))
                return -EEXIST;
        if (hash_put(&claims->by_id, claim->id, claim) < 0)
                return -ENOMEM;
        claim->prev = claims->last;
        *(claims->last ? &claims->last->next : &claims->first) = claim;
        claims->last = claim;
        claims->n_partial += is_partial(claim);
        ch_item_init(&claim->item, claim->node->account);
        claim_count(claims, claim, 1);
        if (claim->id >= claims->next_id)
                claims->next_id = claim->id + 1;
        return 0;
}

static void push_change(Claims *claims, const Claim *claim, int is_new)
{
        ClaimChange change = {
                .id = claim->id, .bytes = claim->bytes, .kind = claim->kind, .is_new = is_new
        };

        if (!claims->options.changed || array_reserve(&claims->changes, &claims->changes_allocated,
                                                      claims->n_changes + 1, sizeof(change)) < 0)
                return;
        change.group = strdup(claim->node->path);
        if (!change.group)
                return;
        claims->changes[claims->n_changes++] = change;
        claims->options.changed(claims->options.userdata);
}

void claim_tell(Claims *claims, Claim *claim)
{
        if (claim->told)
                return;
        claim->told = 1;
        push_change(claims, claim, 1);
}

int claims_pop_change(Claims *claims, ClaimChange *ret)
{
        int r = 0;

        pthread_mutex_lock(&claims->lock);
        if (claims->n_changes > 0) {
                *ret = claims->changes[0];
                memmove(claims->changes, claims->changes + 1,
                        --claims->n_changes * sizeof(*claims->changes));
                r = 1;
        }
        pthread_mutex_unlock(&claims->lock);
        return r;
}

void claim_end(Claims *claims, Claim *claim)
{
        claim_count(claims, claim, 0); /* first: the charge keeps what it is counted on */
        if (claim->bucket)
                claim_node_uncharge(claim->bucket, claim->bytes);
        claims->n_partial -= is_partial(claim);
        *(claim->prev ? &claim->prev->next : &claims->first) = claim->next;
        *(claim->next ? &claim->next->prev : &claims->last) = claim->prev;
        (void)hash_remove(&claims->by_id, claim->id);
        if (claim->told) {
                claims->ended_bytes += claim->bytes;
                push_change(claims, claim, 0);
        }
        claim_free(claim);
}

static int is_at(const ClaimNode *below, const ClaimNode *node)
{
        while (below && below != node)
                below = below->parent;
        return below != NULL;
}

uint64_t claim_open_at(const Claim *claim, const ClaimNode *node, int exact)
{
        uint64_t paid = exact ? claim->done : 0;

        for (size_t i = 0; i < claim->n_inside; i++)
                if (!*node->path || ch_path_is_below(claim->inside[i].group, node->path))
                        paid += claim->inside[i].bytes;
        return sub_u64(claim->bytes, paid);
}

const ClaimActor *claims_get_actor(void)
{
        return &actor;
}

static int may_use(const ClaimActor *who, const Claim *claim)
{
        return who && (claim->id == who->lease || claim->id == who->own ||
                       (who->own && claim->kind == CLAIM_JOB && claim->id > who->own));
}

uint64_t claims_discount(const Claims *claims, const ClaimNode *node, int exact,
                         const ClaimActor *who)
{
        int differs = exact || (who && who->target);
        uint64_t sum = differs ? node->total - group_claims_open(node, exact, who) : 0;
        int any = claims->n_partial > 0 || (who && (who->lease || who->own));

        for (const Claim *claim = any ? claims->first : NULL; claim; claim = claim->next)
                if (claim->kind != CLAIM_GROUP && is_at(claim->node, node))
                        sum += may_use(who, claim)
                                       ? claim->bytes
                                       : claim->bytes - claim_open_at(claim, node, exact);
        return sum;
}

uint64_t claims_sum(const Claims *claims, const ClaimNode *node, int exact, const ClaimActor *who)
{
        return sub_u64(claim_node_get_usage(&claims->nodes, node),
                       claims_discount(claims, node, exact, who));
}

uint64_t claims_claimed_as_read(const char *group_path, void *userdata)
{
        Claims *claims = userdata;
        const ClaimNode *node;
        uint64_t sum;

        pthread_mutex_lock(&claims->lock);
        node = claim_node_find(&claims->nodes, group_path);
        sum = node ? claims_sum(claims, node, 1, &actor) : 0;
        pthread_mutex_unlock(&claims->lock);
        return sum;
}

void claims_refresh(Claims *claims)
{
        _cleanup_(claim_uses_done) ClaimUses uses = { 0 };

        claim_uses_read(claims, &uses);
        pthread_mutex_lock(&claims->lock);
        claim_uses_apply(claims, &uses);
        pthread_mutex_unlock(&claims->lock);
}

uint64_t claims_claimed(const char *group_path, void *userdata)
{
        claims_refresh(userdata);
        return claims_claimed_as_read(group_path, userdata);
}

static int check_request(const ClaimRequest *request, ch_error **err)
{
        if (request->bytes == 0 || request->bytes > CLAIM_BYTES_MAX)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, request->group,
                                 "%llu bytes cannot be claimed: 1 to 2^63",
                                 (unsigned long long)request->bytes);
        if (request->note && strlen(request->note) > CLAIM_NOTE_MAX)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, request->group,
                                 "the note is longer than %d bytes", CLAIM_NOTE_MAX);
        return 0;
}

int claims_reserve(Claims *claims, const ClaimRequest *request, uint64_t *ret_id, ch_error **err)
{
        Grant grant = { .path = request->group,
                        .bytes = request->bytes,
                        .request = request,
                        .keep = !request->dry_run };
        ch_group *group;
        int r;

        r = check_request(request, err);
        if (r >= 0)
                r = ch_tree_open_group(claims->options.tree, request->group, &group, err);
        if (r < 0)
                return r;
        grant.group_id = ch_group_get_id(group);
        /* the root of a mount has no such file, and what is claimed there is claimed of the machine
         */
        if (!streq(request->group, "/") &&
            faccessat(ch_group_get_fd(group), "memory.current", F_OK, 0) < 0)
                r = error_set(err, CH_ERROR_CONTROLLER_OFF, 0, request->group,
                              "memory is not accounted there: enable the controller 'memory' in "
                              "cgroup.subtree_control of the group above");
        ch_group_unref(group);
        if (r >= 0)
                r = claims_grant(claims, &grant, err);
        if (r < 0)
                return r;
        *ret_id = grant.id;
        /* gone meanwhile, and told before the claim was there: then it is the parent's */
        if (ch_tree_open_group(claims->options.tree, request->group, &group, NULL) >= 0)
                ch_group_unref(group);
        else
                claims_drop(claims, request->group, grant.group_id);
        return 0;
}

/* Locked. */
static int add(Claims *claims, const ClaimRequest *request, uint64_t id, Claim **ret)
{
        Claim *claim = claim_new(claims, request, id);
        int r = claim ? 0 : -ENOMEM;

        if (r >= 0)
                claim->node = claims_get_node(claims, request->group, 0);
        if (r >= 0)
                r = claim->node ? claim_link(claims, claim) : -ENOMEM;
        if (r < 0) {
                claim_free(claim);
                return r;
        }
        claim_node_lift(claim->node);
        r = claim_node_charge(claim->node, claim->bytes, &claim->bucket, NULL);
        if (r < 0) {
                claim_end(claims, claim);
                return r;
        }
        claim_tell(claims, claim);
        *ret = claim;
        return 0;
}

int claims_add(Claims *claims, const ClaimRequest *request, uint64_t *ret_id)
{
        Claim *claim;
        int r;

        r = check_request(request, NULL);
        if (r < 0)
                return r;
        pthread_mutex_lock(&claims->lock);
        r = add(claims, request, 0, &claim);
        if (r >= 0)
                *ret_id = claim->id;
        pthread_mutex_unlock(&claims->lock);
        return r;
}

/* Of a claim that is not a group's, with the lock taken in any case. */
static Claim *lock_claim(Claims *claims, uint64_t id)
{
        Claim *claim;

        pthread_mutex_lock(&claims->lock);
        claim = hash_get(&claims->by_id, id);
        return claim && claim->kind != CLAIM_GROUP ? claim : NULL;
}

int claims_release(Claims *claims, uint64_t id)
{
        Claim *claim = lock_claim(claims, id);
        int r = claim ? 0 : -ENOENT;

        if (claim)
                claim_end(claims, claim);
        pthread_mutex_unlock(&claims->lock);
        return r;
}

int claims_give_to_job(Claims *claims, uint64_t id, uint32_t job)
{
        Claim *claim = lock_claim(claims, id);
        int r = claim ? 0 : -ENOENT;

        if (claim) {
                claim_set_kind(claims, claim, CLAIM_JOB);
                claim->job = job;
                claim->dev = claim->ino = 0;
        }
        pthread_mutex_unlock(&claims->lock);
        return r;
}

static void set_done(Claims *claims, Claim *claim, uint64_t bytes)
{
        claims->n_partial -= is_partial(claim);
        claim->told_done = min_u64(bytes, claim->bytes);
        claims->n_partial += is_partial(claim);
}

void claims_set_done(Claims *claims, uint64_t id, uint64_t bytes)
{
        Claim *claim = lock_claim(claims, id);

        if (claim)
                set_done(claims, claim, bytes);
        pthread_mutex_unlock(&claims->lock);
}
