/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grants claims: is there room in the group and in each above? */

#include <fcntl.h>

#include <chargehand/units.h>

#include "claim-internal.h"
#include "error.h"
#include "plan.h"
#include "util.h"

/* A group on the way up that has a limit, and what it has. */
typedef struct Level {
        char *path;            /* "": the machine */
        uint64_t max, current; /* the machine's own: what is available, and 0 */
        uint64_t before;       /* the sum of claims, before the new one */
} Level;

typedef struct Levels {
        Level *items;
        size_t n, allocated;
} Levels;

/* So often the levels are read again because claims ended meanwhile, before that counts against the new one. */
enum { READ_AGAIN_MAX = 16 };

/* What was found to be too small, for the message. */
typedef struct Refusal {
        const Level *level;
        uint64_t wanted; /* of it by all claims, with the new one */
        uint64_t own;    /* by the new one alone */
} Refusal;

static void levels_done(Levels *levels)
{
        for (size_t i = 0; i < levels->n; i++)
                free(levels->items[i].path);
        free(levels->items);
        *levels = (Levels){ 0 };
}

static int add_level(Levels *levels, const char *path, uint64_t max, uint64_t current)
{
        Level level = { .path = strdup(path), .max = max, .current = current };

        if (!level.path || array_reserve(&levels->items, &levels->allocated, levels->n + 1,
                                         sizeof(Level)) < 0) {
                free(level.path);
                return -ENOMEM;
        }
        levels->items[levels->n++] = level;
        return 0;
}

static int read_level(Claims *claims, const char *path, const uint64_t *own_max, Levels *levels)
{
        uint64_t max = UINT64_MAX, current = 0;
        ch_group *group;

        if (ch_tree_open_group(claims->options.tree, path, &group, NULL) >= 0) {
                int fd = ch_group_get_fd(group);

                if (group_file_u64(fd, "memory.max", &max) < 0 ||
                    group_file_u64(fd, "memory.current", &current) < 0)
                        max = UINT64_MAX;
                ch_group_unref(group);
        }
        if (own_max)
                max = *own_max;
        return max == UINT64_MAX ? 0 : add_level(levels, path, max, current);
}

/* MemAvailable of /proc/meminfo */
static int read_machine(Levels *levels)
{
        _cleanup_(freep) char *text = NULL;
        const char *at, *rest;
        uint64_t kib;

        if (read_file_at(AT_FDCWD, "/proc/meminfo", 16384, &text, NULL) < 0)
                return 0;
        at = strstr(text, "\nMemAvailable:");
        if (!at)
                return 0;
        at += strlen("\nMemAvailable:");
        if (parse_u64(at + strspn(at, " "), &kib, &rest) < 0)
                return 0;
        return add_level(levels, "", kib * 1024, 0);
}

/* Those that have a limit, from the group itself up. */
static int read_levels(Claims *claims, const char *path, const uint64_t *own_max, Levels *levels)
{
        _cleanup_(freep) char *at = strdup(path);
        int r = at ? 0 : -ENOMEM;

        while (r >= 0) {
                char *slash = strrchr(at, '/');

                r = read_level(claims, at, own_max, levels);
                own_max = NULL;
                if (r < 0 || streq(at, "/"))
                        break;
                slash[slash == at] = '\0';
        }
        return r < 0 ? r : read_machine(levels);
}

static uint64_t stock_bytes(void)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        return (uint64_t)(cpus > 0 ? cpus : 1) * STOCK_PAGES * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int refuse(const Refusal *refusal, const Grant *grant, ch_error **err)
{
        char max[CH_FORMAT_MAX], current[CH_FORMAT_MAX], others[CH_FORMAT_MAX],
                claim[CH_FORMAT_MAX], missing[CH_FORMAT_MAX], stock[CH_FORMAT_MAX];
        const Level *level = refusal->level;
        uint64_t short_bytes = sub_u64(refusal->wanted, sub_u64(level->max, level->current));

        ch_format_bytes(level->max, max);
        ch_format_bytes(level->current, current);
        ch_format_bytes(sub_u64(refusal->wanted, refusal->own), others);
        ch_format_bytes(grant->bytes, claim);
        ch_format_bytes(short_bytes, missing);
        ch_format_bytes(stock_bytes(), stock);
        if (!*level->path)
                return error_set(err, CH_ERROR_NO_ROOM, ENOSPC, grant->path,
                                 "the machine has %s of memory available and %s are claimed by "
                                 "other groups, leases and moves: the claim of %s is %s (%llu "
                                 "bytes) too big; claim less, or end something",
                                 max, others, claim, missing, (unsigned long long)short_bytes);
        return error_set(err, CH_ERROR_NO_ROOM, ENOSPC, level->path,
                         "memory.max is %s, %s are in use (up to %s of it may be stock of the "
                         "CPUs) and %s are claimed by other groups, leases and moves: the claim of "
                         "%s for '%s' is %s (%llu bytes) too big; raise memory.max there, free "
                         "memory there, or claim less",
                         max, current, stock, others, claim, grant->path, missing,
                         (unsigned long long)short_bytes);
}

/* A claim being decided on, under the lock. */
typedef struct Trial {
        Claims *claims;
        const Grant *grant;
        const Levels *levels;
        const ClaimActor *who; /* whose room does not stand in the way; NULL: nobody's */
        int exact;
        ClaimNode *node, *existing; /* of the group; the nearest that was there before */
        Claim *claim;               /* NULL: the group's own one */
        uint64_t own_before;
} Trial;

static uint64_t add_u64(uint64_t a, uint64_t b)
{
        return a + b < a ? UINT64_MAX : a + b;
}

static void note_before(Trial *trial)
{
        for (size_t i = 0; i < trial->levels->n; i++) {
                Level *level = &trial->levels->items[i];
                const ClaimNode *node = claim_node_find(&trial->claims->nodes, level->path);

                level->before = node ? claims_sum(trial->claims, node, trial->exact, trial->who) : 0;
        }
}

/* The new claim is in place, but not charged: whatever it does not make worse may stay as it is. */
static void set_limits(const Trial *trial)
{
        for (size_t i = 0; i < trial->levels->n; i++) {
                const Level *level = &trial->levels->items[i];
                ClaimNode *node = claim_node_find(&trial->claims->nodes, level->path);
                uint64_t allowed = sub_u64(level->max, level->current);

                if (trial->exact && level->before > allowed)
                        allowed = level->before;
                allowed = add_u64(allowed,
                                  claims_discount(trial->claims, node, trial->exact, trial->who));
                claim_node_set_max(&trial->claims->nodes, node, allowed);
        }
}

static void note_refusal(const Trial *trial, const ClaimNode *refused, uint64_t charge,
                         Refusal *ret)
{
        uint64_t sum = add_u64(claim_node_get_usage(&trial->claims->nodes, refused),
                               claim_node_round(&trial->claims->nodes, charge));

        for (size_t i = 0; i < trial->levels->n; i++)
                if (streq(trial->levels->items[i].path, refused->path))
                        ret->level = &trial->levels->items[i];
        ret->wanted = sub_u64(sum, claims_discount(trial->claims, refused, trial->exact, trial->who));
        ret->own = trial->claim ? claim_open_at(trial->claim, refused, trial->exact)
                                : sub_u64(trial->grant->bytes,
                                          trial->exact ? trial->grant->used : 0);
}

/* A lease and the like. */
static int try_plain(Trial *trial, Refusal *ret)
{
        Claim *claim = claim_new(trial->claims, trial->grant->request, 0);
        ClaimNode *refused;
        int r;

        if (!claim)
                return -ENOMEM;
        claim->node = trial->node;
        r = claim_link(trial->claims, claim);
        if (r < 0) {
                claim_free(claim);
                return r;
        }
        trial->claim = claim;
        set_limits(trial);
        r = claim_node_charge(trial->node, claim->bytes, &claim->bucket, &refused);
        if (r == -ENOSPC)
                note_refusal(trial, refused, claim->bytes, ret);
        return r;
}

/* The group's own one: those above it give what it takes out of theirs. */
static int try_own(Trial *trial, Refusal *ret)
{
        ClaimNode *node = trial->node, *refused;
        uint64_t charged;
        int r;

        r = group_claim_set(trial->claims, node, trial->grant->bytes);
        if (r < 0 || !node->own)
                return r;
        node->own->done = min_u64(trial->grant->used, node->own->bytes);
        charged = node->charged;
        claim_node_uncharge(node->own->bucket, charged);
        node->charged = 0;
        set_limits(trial);
        r = claim_node_charge(node, charged, &node->own->bucket, &refused);
        if (r >= 0)
                node->charged = charged;
        else if (r == -ENOSPC)
                note_refusal(trial, refused, charged, ret);
        return r;
}

/* As if nothing had been tried. */
static void take_back(Trial *trial)
{
        Claims *claims = trial->claims;

        claim_node_lift(trial->node);
        if (trial->claim)
                claim_end(claims, trial->claim);
        else if (!trial->grant->request)
                (void)group_claim_set(claims, trial->node, trial->own_before);
        while (trial->node != trial->existing) {
                ClaimNode *parent = trial->node->parent;

                claim_node_remove(trial->node);
                trial->node = parent;
        }
}

static ClaimNode *find_existing(Claims *claims, const char *path)
{
        _cleanup_(freep) char *at = strdup(path);
        ClaimNode *node = NULL;

        while (at && !(node = claim_node_find(&claims->nodes, at)) && !streq(at, "/"))
                at[strrchr(at, '/') == at ? 1 : strrchr(at, '/') - at] = '\0';
        return node ? node : claims->nodes.machine;
}

static int check_user(const Claims *claims, const Grant *grant, ch_error **err)
{
        const ClaimRequest *request = grant->request;
        unsigned n = 0;

        if (!request || !request->max_per_uid)
                return 0;
        for (const Claim *claim = claims->first; claim; claim = claim->next)
                n += (claim->kind == CLAIM_LEASE || claim->kind == CLAIM_PLACEMENT) &&
                     claim->uid == request->uid;
        if (n < request->max_per_uid)
                return 0;
        return error_set(err, CH_ERROR_LIMIT_REACHED, 0, grant->path,
                         "uid %u holds %u claims already: release some (PerUser= of [Claims])",
                         request->uid, n);
}

/* The id of the claim, 0 for a group's; -ENOSPC with the refusal. */
static int decide(Claims *claims, Grant *grant, const Levels *levels, int exact, Refusal *ret)
{
        Trial trial = { .claims = claims,
                        .grant = grant,
                        .levels = levels,
                        .who = grant->request ? claims_get_actor() : NULL,
                        .exact = exact };
        int r;

        claims_drop_stale(claims, grant->path, grant->group_id);
        trial.existing = find_existing(claims, grant->path);
        trial.node = claims_get_node(claims, grant->path, grant->group_id);
        if (!trial.node)
                return -ENOMEM;
        trial.own_before = trial.node->own ? trial.node->own->bytes : 0;
        note_before(&trial);
        r = grant->request ? try_plain(&trial, ret) : try_own(&trial, ret);
        if (r < 0 || !grant->keep) {
                take_back(&trial);
                return r;
        }
        claim_node_lift(trial.node);
        if (trial.claim)
                grant->id = trial.claim->id;
        if (trial.claim || trial.node->own)
                claim_tell(claims, trial.claim ? trial.claim : trial.node->own);
        return 0;
}

static uint64_t get_ended(Claims *claims)
{
        uint64_t ended;

        pthread_mutex_lock(&claims->lock);
        ended = claims->ended_bytes;
        pthread_mutex_unlock(&claims->lock);
        return ended;
}

/* What was claimed when the levels were read, and is not any more, may have come to be in use since. */
static uint64_t add_ended(const Claims *claims, uint64_t before, Levels *levels)
{
        uint64_t ended = claims->ended_bytes - before;

        for (size_t i = 0; i < levels->n; i++)
                levels->items[i].current = add_u64(levels->items[i].current, ended);
        return ended;
}

int claims_grant(Claims *claims, Grant *grant, ch_error **err)
{
        Refusal refusal = { 0 };
        int r = 0, rounds = 0;

        if (grant->bytes > CLAIM_BYTES_MAX)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, grant->path,
                                 "%llu bytes cannot be claimed: at most 2^63",
                                 (unsigned long long)grant->bytes);
        /* first as if nothing of the claims were in use, which takes no reading; only where that does
         * not fit, exactly */
        for (int exact = 0; exact < 2; exact++) {
                _cleanup_(levels_done) Levels levels = { 0 };
                _cleanup_(claim_uses_done) ClaimUses uses = { 0 };
                uint64_t ended = get_ended(claims);

                /* before the levels: what a group comes to use in between
                 * counts twice rather than not at all */
                if (exact)
                        claim_uses_read(claims, &uses);
                r = grant->bytes ? read_levels(claims, grant->path, grant->own_max, &levels) : 0;
                if (r < 0)
                        return error_errno(err, r, grant->path, "claiming memory");
                pthread_mutex_lock(&claims->lock);
                ended = add_ended(claims, ended, &levels);
                if (exact)
                        claim_uses_apply(claims, &uses);
                r = check_user(claims, grant, err);
                if (r >= 0)
                        r = decide(claims, grant, &levels, exact, &refusal);
                pthread_mutex_unlock(&claims->lock);
                if (r == -ENOSPC && exact && ended && rounds++ < READ_AGAIN_MAX)
                        exact = 0; /* read anew */
                else if (r == -ENOSPC && exact)
                        return refuse(&refusal, grant, err);
                if (r != -ENOSPC)
                        break;
        }
        return r < 0 ? error_errno(err, r, grant->path, "claiming memory") : 0;
}
