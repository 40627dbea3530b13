/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets memory aside for groups, and counts what is set aside. */

#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>

#include <chargehand/units.h>

#include "claim.h"
#include "error.h"
#include "manager.h"
#include "mark.h"
#include "plan.h"
#include "util.h"

typedef struct Claim {
        char *path;
        uint64_t id; /* inode number: another group of the same name has no claim */
        uint64_t bytes;
        uint64_t used; /* memory.current, when it was last read */
} Claim;

struct Claims {
        ClaimsOptions options;
        pthread_mutex_t lock; /* of what follows; never held while files are read */
        Claim *items;         /* each followed by those below it */
        size_t n, allocated;
};

/* A group on the way up, and what it has. */
typedef struct Level {
        char *path;
        uint64_t max, current; /* the machine's own: what is available, and 0 */
        uint64_t moves;
        int is_machine;
} Level;

typedef struct Levels {
        Level *items;
        size_t n, allocated;
} Levels;

static _Thread_local const char *acts_for;

void claims_act_for(const char *path)
{
        acts_for = path;
}

int claims_new(const ClaimsOptions *options, Claims **ret)
{
        Claims *claims = calloc(1, sizeof(*claims));

        if (!claims)
                return -ENOMEM;
        claims->options = *options;
        pthread_mutex_init(&claims->lock, NULL);
        *ret = claims;
        return 0;
}

Claims *claims_free(Claims *claims)
{
        if (!claims)
                return NULL;
        for (size_t i = 0; i < claims->n; i++)
                free(claims->items[i].path);
        free(claims->items);
        pthread_mutex_destroy(&claims->lock);
        free(claims);
        return NULL;
}

static uint64_t add_u64(uint64_t a, uint64_t b)
{
        return a + b < a ? UINT64_MAX : a + b;
}

/* The '/' before all other bytes, so that a group's descendants follow it without a gap. */
static int compare_paths(const char *a, const char *b)
{
        while (*a && *a == *b) {
                a++;
                b++;
        }
        return (*a == '/' ? 1 : (unsigned char)*a) - (*b == '/' ? 1 : (unsigned char)*b);
}

/* The first that is not before `path`. */
static size_t position_of(const Claims *claims, const char *path)
{
        size_t low = 0, high = claims->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare_paths(claims->items[middle].path, path) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static Claim *find(const Claims *claims, const char *path)
{
        size_t at = position_of(claims, path);

        return at < claims->n && streq(claims->items[at].path, path) ? &claims->items[at] : NULL;
}

static void remove_claim(Claims *claims, Claim *claim)
{
        size_t at = (size_t)(claim - claims->items);

        free(claim->path);
        memmove(claim, claim + 1, (claims->n - at - 1) * sizeof(*claim));
        claims->n--;
}

/* 0 bytes remove. */
static int set_claim(Claims *claims, const char *path, uint64_t id, uint64_t bytes)
{
        Claim *claim = find(claims, path);
        size_t at = position_of(claims, path);
        char *copy;

        if (claim && bytes == 0) {
                remove_claim(claims, claim);
                return 0;
        }
        if (bytes == 0)
                return 0;
        if (claim) {
                claim->used = claim->id == id ? claim->used : 0;
                claim->id = id;
                claim->bytes = bytes;
                return 0;
        }
        copy = strdup(path);
        if (!copy || array_reserve(&claims->items, &claims->allocated, claims->n + 1,
                                   sizeof(*claims->items)) < 0) {
                free(copy);
                return -ENOMEM;
        }
        memmove(claims->items + at + 1, claims->items + at, (claims->n - at) * sizeof(Claim));
        claims->items[at] = (Claim){ .path = copy, .id = id, .bytes = bytes };
        claims->n++;
        return 0;
}

/* What is open at `below` and in the groups under it, from *at on. Without `exact` as if nothing
 * were in use: never too little. */
static uint64_t sum_open(const Claims *claims, const char *below, size_t *at, int exact)
{
        uint64_t sum = 0;

        while (*at < claims->n && ch_path_is_below(claims->items[*at].path, below)) {
                const Claim *claim = &claims->items[(*at)++];
                uint64_t own = sub_u64(claim->bytes, exact ? claim->used : 0);
                uint64_t nested = sum_open(claims, claim->path, at, exact);

                if (acts_for && ch_path_is_below(acts_for, claim->path))
                        own = 0;
                sum = add_u64(sum, own > nested ? own : nested);
        }
        return sum;
}

static uint64_t open_below(const Claims *claims, const char *path, int exact)
{
        size_t at = position_of(claims, path);

        return sum_open(claims, path, &at, exact);
}

/* memory.current of a group that has that id; -ENODEV. */
static int read_used(ch_tree *tree, const char *path, uint64_t id, uint64_t *ret)
{
        ch_group *group;
        int r;

        r = ch_tree_open_group(tree, path, &group, NULL);
        if (r < 0)
                return -ENODEV;
        r = ch_group_get_id(group) == id ? 0 : -ENODEV;
        if (r >= 0 && group_file_u64(ch_group_get_fd(group), "memory.current", ret) < 0)
                *ret = 0;
        ch_group_unref(group);
        return r;
}

static void note_used(Claims *claims, const Claim *copy, int r)
{
        Claim *claim = find(claims, copy->path);

        if (!claim || claim->id != copy->id)
                return;
        claim->used = copy->used;
        if (r == -ENODEV) /* the group went, and nobody told yet */
                remove_claim(claims, claim);
}

/* Reads what each claimed group uses. Where memory is short nothing counts as used, which is on the
 * safe side. */
static void refresh(Claims *claims)
{
        Claim *copies;
        size_t n = 0;

        pthread_mutex_lock(&claims->lock);
        copies = calloc(claims->n + 1, sizeof(*copies));
        for (size_t i = 0; copies && i < claims->n; i++) {
                copies[n] = claims->items[i];
                copies[n].path = strdup(claims->items[i].path);
                n += copies[n].path != NULL;
                claims->items[i].used = 0;
        }
        pthread_mutex_unlock(&claims->lock);
        for (size_t i = 0; i < n; i++) {
                int r = read_used(claims->options.tree, copies[i].path, copies[i].id,
                                  &copies[i].used);

                pthread_mutex_lock(&claims->lock);
                note_used(claims, &copies[i], r);
                pthread_mutex_unlock(&claims->lock);
                free(copies[i].path);
        }
        free(copies);
}

static int count_claims(Claims *claims)
{
        int any;

        pthread_mutex_lock(&claims->lock);
        any = claims->n > 0;
        pthread_mutex_unlock(&claims->lock);
        return any;
}

uint64_t claims_claimed(const char *group_path, void *userdata)
{
        Claims *claims = userdata;
        uint64_t sum = claims->options.moves
                               ? claims->options.moves(group_path, claims->options.userdata)
                               : 0;

        if (!count_claims(claims))
                return sum;
        refresh(claims);
        pthread_mutex_lock(&claims->lock);
        sum = add_u64(sum, open_below(claims, group_path, 1));
        pthread_mutex_unlock(&claims->lock);
        return sum;
}

static void levels_done(Levels *levels)
{
        for (size_t i = 0; i < levels->n; i++)
                free(levels->items[i].path);
        free(levels->items);
}

static int add_level(Claims *claims, Levels *levels, const char *path, const Level *template)
{
        Level level = *template;

        if (array_reserve(&levels->items, &levels->allocated, levels->n + 1, sizeof(Level)) < 0)
                return -ENOMEM;
        level.path = strdup(path);
        if (!level.path)
                return -ENOMEM;
        if (claims->options.moves)
                level.moves = claims->options.moves(path, claims->options.userdata);
        levels->items[levels->n++] = level;
        return 0;
}

static int read_level(Claims *claims, const char *path, const uint64_t *own_max, Levels *levels)
{
        Level level = { 0 };
        ch_group *group;
        int r = 0;

        if (ch_tree_open_group(claims->options.tree, path, &group, NULL) >= 0) {
                int fd = ch_group_get_fd(group);

                if (group_file_u64(fd, "memory.max", &level.max) < 0 ||
                    group_file_u64(fd, "memory.current", &level.current) < 0)
                        level = (Level){ .max = UINT64_MAX };
                ch_group_unref(group);
        } else {
                level.max = UINT64_MAX;
        }
        if (own_max)
                level.max = *own_max;
        if (level.max != UINT64_MAX)
                r = add_level(claims, levels, path, &level);
        return r;
}

/* MemAvailable of /proc/meminfo */
static int read_machine(Claims *claims, Levels *levels)
{
        _cleanup_(freep) char *text = NULL;
        Level level = { .is_machine = 1 };
        const char *at, *rest;

        if (read_file_at(AT_FDCWD, "/proc/meminfo", 16384, &text, NULL) < 0)
                return 0;
        at = strstr(text, "\nMemAvailable:");
        if (!at)
                return 0;
        at += strlen("\nMemAvailable:");
        if (parse_u64(at + strspn(at, " "), &level.max, &rest) < 0)
                return 0;
        level.max *= 1024;
        return add_level(claims, levels, "/", &level);
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
        return r < 0 ? r : read_machine(claims, levels);
}

static int refuse(const Level *level, const Claim *new, uint64_t wanted, ch_error **err)
{
        char max[CH_FORMAT_MAX], current[CH_FORMAT_MAX], others[CH_FORMAT_MAX],
                claim[CH_FORMAT_MAX], missing[CH_FORMAT_MAX];
        uint64_t free_bytes = sub_u64(level->max, level->current);
        uint64_t taken = add_u64(sub_u64(wanted, sub_u64(new->bytes, new->used)), level->moves);
        uint64_t short_bytes = sub_u64(add_u64(wanted, level->moves), free_bytes);

        ch_format_bytes(level->max, max);
        ch_format_bytes(level->current, current);
        ch_format_bytes(taken, others);
        ch_format_bytes(new->bytes, claim);
        ch_format_bytes(short_bytes, missing);
        if (level->is_machine)
                return error_set(err, CH_ERROR_NO_ROOM, ENOSPC, new->path,
                                 "the machine has %s of memory available and %s are claimed by "
                                 "other groups and "
                                 "moves: the claim of %s is %s (%llu bytes) too big; claim less, "
                                 "or end something",
                                 max, others, claim, missing, (unsigned long long)short_bytes);
        return error_set(err, CH_ERROR_NO_ROOM, ENOSPC, level->path,
                         "memory.max is %s, %s are in use and %s are claimed by other groups and "
                         "moves: the claim of "
                         "%s for '%s' is %s (%llu bytes) too big; raise memory.max there, free "
                         "memory there, or "
                         "claim less",
                         max, current, others, claim, new->path, missing,
                         (unsigned long long)short_bytes);
}

static int fits(const Level *level, uint64_t wanted)
{
        return add_u64(wanted, level->moves) <= sub_u64(level->max, level->current);
}

/* With the new claim (its group uses claim->used already) in place of an earlier one: the first
 * group that cannot hold all of it, unless it was as much before. Locked. */
static const Level *find_tight(Claims *claims, const Levels *levels, const Claim *claim, int exact,
                               uint64_t *ret_wanted)
{
        const Claim *found = find(claims, claim->path);
        Claim before = found ? *found : (Claim){ 0 };
        const Level *tight = NULL;

        for (size_t i = 0; i < levels->n && !tight; i++) {
                const Level *level = &levels->items[i];
                uint64_t without = open_below(claims, level->path, exact), wanted;

                if (set_claim(claims, claim->path, claim->id, claim->bytes) < 0)
                        return level;
                find(claims, claim->path)->used = claim->used;
                wanted = open_below(claims, level->path, exact);
                (void)set_claim(claims, claim->path, before.id, before.bytes);
                if (found)
                        find(claims, claim->path)->used = before.used;
                if (fits(level, wanted) || (exact && wanted <= without))
                        continue;
                tight = level;
                *ret_wanted = wanted;
        }
        return tight;
}

/* `set`: and keep it. First as if no claim were used at all, which takes no reading; only where
 * that does not fit, exactly. */
static int check(Claims *claims, const Claim *claim, const uint64_t *own_max, int set,
                 ch_error **err)
{
        _cleanup_(levels_done) Levels levels = { 0 };
        const Level *tight = NULL;
        uint64_t wanted = 0;
        int r;

        r = claim->bytes ? read_levels(claims, claim->path, own_max, &levels) : 0;
        if (r < 0)
                return error_errno(err, r, claim->path, "claiming memory");
        for (int exact = 0; exact < 2; exact++) {
                if (exact)
                        refresh(claims);
                pthread_mutex_lock(&claims->lock);
                tight = find_tight(claims, &levels, claim, exact, &wanted);
                if (!tight && set)
                        r = set_claim(claims, claim->path, claim->id, claim->bytes);
                pthread_mutex_unlock(&claims->lock);
                if (!tight)
                        return r < 0 ? error_errno(err, r, claim->path, "claiming memory") : 0;
        }
        return refuse(tight, claim, wanted, err);
}

int claims_check(Claims *claims, const char *path, uint64_t bytes, const uint64_t *own_max,
                 ch_error **err)
{
        Claim claim = { .path = (char *)path, .id = UINT64_MAX, .bytes = bytes };
        ch_group *group;

        if (ch_tree_open_group(claims->options.tree, path, &group, NULL) >= 0) {
                claim.id = ch_group_get_id(group);
                (void)group_file_u64(ch_group_get_fd(group), "memory.current", &claim.used);
                ch_group_unref(group);
        }
        return check(claims, &claim, own_max, 0, err);
}

static uint64_t claim_of(Claims *claims, ch_group *group)
{
        uint64_t bytes = 0;
        const Claim *claim;

        pthread_mutex_lock(&claims->lock);
        claim = find(claims, ch_group_get_path(group));
        if (claim && claim->id == ch_group_get_id(group))
                bytes = claim->bytes;
        pthread_mutex_unlock(&claims->lock);
        return bytes;
}

int claims_take(Claims *claims, ch_group *group, uint64_t bytes, const uint64_t *own_max,
                uint64_t *ret_before, ch_error **err)
{
        Claim claim = { .path = (char *)ch_group_get_path(group),
                        .id = ch_group_get_id(group),
                        .bytes = bytes };
        uint64_t before = claim_of(claims, group);
        int fd = ch_group_get_fd(group), r = 0;

        if (bytes && group_file_u64(fd, "memory.current", &claim.used) < 0)
                r = ch_group_enable_controller(group, "memory", err);
        if (r >= 0)
                r = check(claims, &claim, own_max, 1, err);
        if (r < 0)
                return r;
        /* without extended attributes the claim ends with the daemon */
        (void)mark_set_claim(fd, bytes);
        if (ret_before)
                *ret_before = before;
        return 0;
}

void claims_put_back(Claims *claims, ch_group *group, uint64_t bytes)
{
        pthread_mutex_lock(&claims->lock);
        (void)set_claim(claims, ch_group_get_path(group), ch_group_get_id(group), bytes);
        pthread_mutex_unlock(&claims->lock);
        (void)mark_set_claim(ch_group_get_fd(group), bytes);
}

void claims_load(Claims *claims, const char *path)
{
        ch_group *group;
        uint64_t bytes;

        if (ch_tree_open_group(claims->options.tree, path, &group, NULL) < 0)
                return;
        if (mark_get_claim(ch_group_get_fd(group), &bytes) >= 0) {
                pthread_mutex_lock(&claims->lock);
                (void)set_claim(claims, path, ch_group_get_id(group), bytes);
                pthread_mutex_unlock(&claims->lock);
        }
        ch_group_unref(group);
}

void claims_drop(Claims *claims, const char *path)
{
        Claim *claim;

        pthread_mutex_lock(&claims->lock);
        claim = find(claims, path);
        if (claim)
                remove_claim(claims, claim);
        pthread_mutex_unlock(&claims->lock);
}

int claims_append_json(Claims *claims, json_object *array)
{
        int r = 0;

        pthread_mutex_lock(&claims->lock);
        for (size_t i = 0; r >= 0 && i < claims->n; i++) {
                json_object *row = json_object_new_object();

                json_object_object_add(row, "group", json_object_new_string(claims->items[i].path));
                json_object_object_add(row, "bytes",
                                       json_object_new_uint64(claims->items[i].bytes));
                r = json_object_array_add(array, row) < 0 ? -ENOMEM : 0;
        }
        pthread_mutex_unlock(&claims->lock);
        return r;
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
