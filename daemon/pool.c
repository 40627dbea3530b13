/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools of groups: what the configuration says of them, and which groups they are now. */

#include <fnmatch.h>
#include <json-c/json.h>
#include <stdio.h>

#include "error.h"
#include "group.h"
#include "pool.h"
#include "util.h"

enum { POOL_NAME_MAX = 64 };

static void pool_done(ConfPool *pool)
{
        for (size_t i = 0; i < pool->n_patterns; i++)
                free(pool->patterns[i]);
        free(pool->patterns);
        free(pool->name);
}

void conf_pools_done(ConfPools *pools)
{
        for (size_t i = 0; i < pools->n; i++)
                pool_done(&pools->items[i]);
        free(pools->items);
        *pools = (ConfPools){ 0 };
}

static ConfPool *find(const ConfPools *pools, const char *name)
{
        for (size_t i = 0; i < pools->n; i++)
                if (streq(pools->items[i].name, name))
                        return &pools->items[i];
        return NULL;
}

const ConfPool *conf_pools_find(const ConfPools *pools, const char *name)
{
        return find(pools, name);
}

ConfPool *conf_pools_add(ConfPools *pools, const char *name)
{
        ConfPool *pool = find(pools, name);

        if (pool)
                return pool;
        if (array_reserve(&pools->items, &pools->allocated, pools->n + 1, sizeof(*pool)) < 0)
                return NULL;
        pool = &pools->items[pools->n];
        *pool = (ConfPool){ .name = strdup(name), .policy = CH_PLACE_POLICY_SPREAD };
        if (!pool->name)
                return NULL;
        pools->n++;
        return pool;
}

char *conf_pools_names(const ConfPools *pools)
{
        char *names = strdup("");

        for (size_t i = 0; names && i < pools->n; i++) {
                char *longer;

                if (asprintf(&longer, "%s%s%s", names, i ? ", " : "", pools->items[i].name) < 0)
                        longer = NULL;
                free(names);
                names = longer;
        }
        return names;
}

int pool_check_name(const char *name)
{
        size_t length = strlen(name);

        if (length == 0 || length > POOL_NAME_MAX)
                return -EINVAL;
        return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                               length
                       ? 0
                       : -EINVAL;
}

static int is_pattern(const char *text, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if (strchr("*?[\\", text[i]))
                        return 1;
        return 0;
}

static int say(char **ret_why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int say(char **ret_why, const char *format, ...)
{
        va_list args;
        int r;

        free(*ret_why);
        va_start(args, format);
        r = vasprintf(ret_why, format, args);
        va_end(args);
        if (r >= 0)
                return -EINVAL;
        *ret_why = NULL;
        return -ENOMEM;
}

static int add_pattern(ConfPool *pool, const char *word)
{
        char *copy = strdup(word);

        if (!copy || array_reserve(&pool->patterns, &pool->patterns_allocated, pool->n_patterns + 1,
                                   sizeof(char *)) < 0) {
                free(copy);
                return -ENOMEM;
        }
        pool->patterns[pool->n_patterns++] = copy;
        return 0;
}

/* The later file wins: what was there before goes, unless all that is new is wrong. */
static int set_groups(ConfPool *pool, const char *text, char **ret_why)
{
        _cleanup_(freep) char *copy = strdup(text);
        ConfPool fresh = { 0 };
        char *rest = copy, *word;
        int r = copy ? 0 : -ENOMEM, bad = 0;

        while (r >= 0 && (word = strsep(&rest, " ,\t"))) {
                _cleanup_(error_freep) ch_error *error = NULL;

                if (!*word)
                        continue;
                if (ch_path_check(word, &error) >= 0)
                        r = add_pattern(&fresh, word);
                else
                        bad = say(ret_why, "group '%s' skipped: %s", word,
                                  ch_error_get_cause(error));
        }
        if (r >= 0 && fresh.n_patterns == 0 && !bad)
                bad = say(ret_why, "'Groups=%s' skipped: no group is named", text);
        if (r >= 0 && fresh.n_patterns) {
                fresh.name = pool->name;
                fresh.policy = pool->policy;
                fresh.weights = pool->weights;
                pool->name = NULL;
                pool_done(pool);
                *pool = fresh;
                return bad;
        }
        pool_done(&fresh);
        return r < 0 ? r : bad;
}

static int set_policy(ConfPool *pool, const char *text, char **ret_why)
{
        if (ch_place_policy_from_string(text, &pool->policy) >= 0)
                return 0;
        return say(ret_why, "'Policy=%s' is not spread, pack or affinity; '%s' stays", text,
                   ch_place_policy_to_string(pool->policy));
}

static int set_weights(ConfPool *pool, const char *text, char **ret_why)
{
        _cleanup_(error_freep) ch_error *error = NULL;

        if (ch_place_weights_parse(text, &pool->weights, &error) >= 0)
                return 0;
        return say(ret_why, "'Weights=%s' skipped: %s%s%s", text, ch_error_get_path(error),
                   *ch_error_get_path(error) ? ": " : "", ch_error_get_cause(error));
}

static const struct {
        const char *key;
        int (*set)(ConfPool *pool, const char *text, char **ret_why);
} keys[] = {
        {"Groups",   set_groups },
        { "Policy",  set_policy },
        { "Weights", set_weights},
};

int pool_set_key(ConfPool *pool, const char *key, const char *text, char **ret_why)
{
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].key, key))
                        return keys[i].set(pool, text, ret_why);
        return -ENOENT;
}

int candidates_append(Candidates *candidates, const char *path)
{
        char *copy;

        if (candidates->n == CANDIDATES_MAX)
                return -E2BIG;
        copy = strdup(path);
        if (!copy || array_reserve(&candidates->paths, &candidates->allocated, candidates->n + 1,
                                   sizeof(char *)) < 0) {
                free(copy);
                return -ENOMEM;
        }
        candidates->paths[candidates->n++] = copy;
        return 0;
}

int candidates_add(Candidates *candidates, const char *path)
{
        for (size_t i = 0; i < candidates->n; i++)
                if (streq(candidates->paths[i], path))
                        return 0;
        return candidates_append(candidates, path);
}

void candidates_done(Candidates *candidates)
{
        for (size_t i = 0; i < candidates->n; i++)
                free(candidates->paths[i]);
        free(candidates->paths);
        *candidates = (Candidates){ 0 };
}

/* The children of `group` that match the first component of `rest`, and so on below them. */
static int match_below(Group *group, const char *rest, Candidates *candidates)
{
        size_t length = strcspn(rest, "/");
        const char *after = rest[length] ? rest + length + 1 : NULL;
        _cleanup_(freep) char *pattern = strndup(rest, length);
        int r = pattern ? 0 : -ENOMEM;

        for (Group *child = group->first_child; r >= 0 && child; child = child->next) {
                if (fnmatch(pattern, group_name(child), FNM_PERIOD) != 0)
                        continue;
                r = after ? match_below(child, after, candidates)
                          : candidates_add(candidates, child->path);
        }
        return r;
}

/* Down to the last component before the first that is a pattern nothing is compared. */
static int match_one(Groups *groups, const char *pattern, Candidates *candidates)
{
        _cleanup_(freep) char *start = strdup(pattern);
        size_t at = strlen(pattern), meta = 0;
        Group *group;

        if (!start)
                return -ENOMEM;
        while (pattern[meta] && !is_pattern(pattern + meta, 1))
                meta++;
        if (pattern[meta]) {
                for (at = meta; pattern[at] != '/'; at--)
                        ;
                start[at ? at : 1] = '\0';
        }
        group = groups_get(groups, start);
        if (!group)
                return 0;
        return pattern[meta] ? match_below(group, pattern + at + 1, candidates)
                             : candidates_add(candidates, group->path);
}

int pool_match(const ConfPool *pool, Groups *groups, Candidates *candidates, ch_error **err)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < pool->n_patterns; i++)
                r = match_one(groups, pool->patterns[i], candidates);
        if (r == -E2BIG)
                return error_set(err, CH_ERROR_BAD_VALUE, E2BIG, pool->name,
                                 "more than %d groups match [Pool %s]: name fewer in Groups=",
                                 CANDIDATES_MAX, pool->name);
        if (r < 0)
                return error_errno(err, r, pool->name, "matching the groups of a pool");
        if (candidates->n)
                return 0;
        if (!pool->n_patterns)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, pool->name,
                                 "[Pool %s] has no Groups=: name some, such as /ci/*", pool->name);
        return error_set(
                err, CH_ERROR_NO_SUCH_GROUP, 0, pool->patterns[0],
                "no group is there that [Pool %s] names (%zu in Groups=): make one, or mend "
                "Groups=",
                pool->name, pool->n_patterns);
}

static json_object *texts_to_json(char *const *texts, size_t n)
{
        json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < n; i++)
                (void)json_object_array_add(array, json_object_new_string(texts[i]));
        return array;
}

static json_object *weights_to_json(const ConfPool *pool)
{
        json_object *object = json_object_new_object();
        ch_place_weights weights;

        ch_place_weights_get(&pool->weights, pool->policy, &weights);
        for (size_t i = 0; object && i < CH_PLACE_TERM_MAX_; i++)
                if (weights.weight[i])
                        (void)json_object_object_add(object,
                                                     ch_place_term_to_string((ch_place_term)i),
                                                     json_object_new_uint64(weights.weight[i]));
        return object;
}

int pools_to_json(const ConfPools *pools, Groups *groups, json_object **ret)
{
        json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < pools->n; i++) {
                const ConfPool *pool = &pools->items[i];
                Candidates members = { 0 };
                json_object *row = json_object_new_object();

                (void)pool_match(pool, groups, &members, NULL);
                (void)json_object_object_add(row, "name", json_object_new_string(pool->name));
                (void)json_object_object_add(row, "patterns",
                                             texts_to_json(pool->patterns, pool->n_patterns));
                (void)json_object_object_add(
                        row, "policy",
                        json_object_new_string(ch_place_policy_to_string(pool->policy)));
                (void)json_object_object_add(row, "weights", weights_to_json(pool));
                (void)json_object_object_add(row, "groups",
                                             texts_to_json(members.paths, members.n));
                (void)json_object_array_add(array, row);
                candidates_done(&members);
        }
        *ret = array;
        return array ? 0 : -ENOMEM;
}
