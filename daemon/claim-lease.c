/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The claims that are leases, as lease.c and jobs see them. */

#include "claim-internal.h"
#include "error.h"
#include "util.h"

static Claim *find(Claims *claims, uint64_t id)
{
        Claim *claim = hash_get(&claims->by_id, id);

        return claim && claim->kind != CLAIM_GROUP ? claim : NULL;
}

void claim_record_done(ClaimRecord *record)
{
        free(record->group);
        free(record->made_for);
        free(record->note);
        *record = (ClaimRecord){ 0 };
}

int claims_get_record(Claims *claims, uint64_t id, ClaimRecord *ret)
{
        ClaimRecord record = { 0 };
        const Claim *claim;
        int r = -ENOENT;

        pthread_mutex_lock(&claims->lock);
        claim = find(claims, id);
        if (claim) {
                record = (ClaimRecord){
                        .id = claim->id,
                        .bytes = claim->bytes,
                        .group_id = claim->node->group_id,
                        .since_usec = claim->since_usec,
                        .group = strdup(claim->node->path),
                        .made_for = strdup(claim->made_for),
                        .note = strdup(claim->note),
                        .uid = claim->uid,
                        .pid = claim->pid,
                };
                r = record.group && record.made_for && record.note ? 0 : -ENOMEM;
        }
        pthread_mutex_unlock(&claims->lock);
        if (r < 0)
                claim_record_done(&record);
        else
                *ret = record;
        return r;
}

int claims_make_lease(Claims *claims, uint64_t id, uint64_t dev, uint64_t ino)
{
        Claim *claim;

        pthread_mutex_lock(&claims->lock);
        claim = find(claims, id);
        if (claim) {
                claim_set_kind(claims, claim, CLAIM_LEASE);
                claim->dev = dev;
                claim->ino = ino;
        }
        pthread_mutex_unlock(&claims->lock);
        return claim ? 0 : -ENOENT;
}

/* The group of that id, or the nearest above where it was that is still there. */
static void find_group(ch_tree *tree, const ClaimRecord *record, char *path, uint64_t *ret_id)
{
        uint64_t want = record->group_id;

        for (;;) {
                ch_group *group;
                uint64_t id = 0;

                if (ch_tree_open_group(tree, path, &group, NULL) >= 0) {
                        id = ch_group_get_id(group);
                        ch_group_unref(group);
                }
                if (streq(path, "/") || (id && (!want || id == want))) {
                        *ret_id = id;
                        return;
                }
                want = 0;
                path[strrchr(path, '/') == path ? 1 : strrchr(path, '/') - path] = '\0';
        }
}

int claims_load_lease(Claims *claims, const ClaimRecord *record, uint64_t dev, uint64_t ino)
{
        _cleanup_(freep) char *path = strdup(record->group);
        ClaimRequest request = { .group = record->made_for,
                                 .bytes = record->bytes,
                                 .kind = CLAIM_LEASE,
                                 .uid = record->uid,
                                 .pid = record->pid,
                                 .note = record->note };
        uint64_t group_id;
        Claim *claim;
        int r = 0;

        if (!path)
                return -ENOMEM;
        find_group(claims->options.tree, record, path, &group_id);
        pthread_mutex_lock(&claims->lock);
        claim = claim_new(claims, &request, record->id);
        if (claim) {
                claim->since_usec = record->since_usec;
                claim->dev = dev;
                claim->ino = ino;
                claim->moved = !streq(path, record->group);
                claim->node = claims_get_node(claims, path, group_id);
        }
        r = claim && claim->node ? claim_link(claims, claim) : -ENOMEM;
        if (r < 0) {
                claim_free(claim);
        } else {
                claim_node_lift(claim->node);
                r = claim_node_charge(claim->node, claim->bytes, &claim->bucket, NULL);
                if (r < 0)
                        claim_end(claims, claim);
                else
                        claim_tell(claims, claim);
        }
        pthread_mutex_unlock(&claims->lock);
        return r;
}

int claims_find_lease(Claims *claims, uint64_t dev, uint64_t ino, uint64_t *ret_id)
{
        int r = -ENOENT;

        pthread_mutex_lock(&claims->lock);
        for (const Claim *claim = claims->first; claim && r < 0; claim = claim->next)
                if (claim->kind == CLAIM_LEASE && claim->ino == ino && claim->dev == dev) {
                        *ret_id = claim->id;
                        r = 0;
                }
        pthread_mutex_unlock(&claims->lock);
        return r;
}

int claims_use_lease(Claims *claims, uint64_t id, const char *target, uint32_t job,
                     uint64_t *ret_bytes, char **ret_group, ch_error **err)
{
        char *group = NULL;
        Claim *claim;
        int r = 0;

        pthread_mutex_lock(&claims->lock);
        claim = find(claims, id);
        if (!claim || claim->kind != CLAIM_LEASE) {
                r = error_set(err, CH_ERROR_NO_SUCH_CLAIM, 0, target,
                              "the lease has been released");
        } else if (claim->job) {
                r = error_set(err, CH_ERROR_BUSY, 0, target,
                              "claim %llu is being used by job %u: wait for its end, or cancel it",
                              (unsigned long long)id, claim->job);
        } else if (ret_group && !(group = strdup(claim->node->path))) {
                r = error_errno(err, ENOMEM, target, "using a lease");
        } else {
                claim->job = job;
                *ret_bytes = ch_path_is_below(target, claim->node->path) ? claim->bytes : 0;
        }
        pthread_mutex_unlock(&claims->lock);
        if (r >= 0 && ret_group)
                *ret_group = group;
        return r;
}

void claims_unuse_lease(Claims *claims, uint64_t id)
{
        Claim *claim;

        claims_set_done(claims, id, 0);
        pthread_mutex_lock(&claims->lock);
        claim = find(claims, id);
        if (claim && claim->kind == CLAIM_LEASE)
                claim->job = 0;
        else if (claim)
                claim_end(claims, claim); /* its holder has let go meanwhile */
        pthread_mutex_unlock(&claims->lock);
}

void claims_end_lease(Claims *claims, uint64_t id)
{
        Claim *claim;

        pthread_mutex_lock(&claims->lock);
        claim = find(claims, id);
        if (claim && claim->job) {
                claim_set_kind(claims, claim, CLAIM_JOB);
                claim->dev = claim->ino = 0;
        } else if (claim) {
                claim_end(claims, claim);
        }
        pthread_mutex_unlock(&claims->lock);
}

uint64_t claims_pop_moved_lease(Claims *claims)
{
        uint64_t id = 0;

        pthread_mutex_lock(&claims->lock);
        for (Claim *claim = claims->first; claim && !id; claim = claim->next)
                if (claim->kind == CLAIM_LEASE && claim->moved) {
                        claim->moved = 0;
                        id = claim->id;
                }
        pthread_mutex_unlock(&claims->lock);
        return id;
}
