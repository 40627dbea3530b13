/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model of the tree: finds, adds, removes and refreshes groups. */

#include <fcntl.h>
#include <sys/stat.h>

#include "error.h"
#include "group.h"
#include "hash-string.h"
#include "mark.h"
#include "util.h"

enum { EVENTS_MAX = 256 };

int groups_new(ch_tree *tree, const GroupsObserver *observer, Groups **ret)
{
        Groups *groups = calloc(1, sizeof(*groups));

        if (!groups)
                return -ENOMEM;
        groups->tree = ch_tree_ref(tree);
        groups->observer = *observer;
        *ret = groups;
        return 0;
}

Groups *groups_free(Groups *groups)
{
        if (!groups)
                return NULL;
        for (size_t i = 0; i < groups->n_buckets; i++)
                while (groups->buckets[i]) {
                        Group *group = groups->buckets[i];

                        groups->buckets[i] = group->hash_next;
                        free(group);
                }
        free(groups->buckets);
        ch_tree_unref(groups->tree);
        free(groups);
        return NULL;
}

static Group **bucket_of(const Groups *groups, uint64_t hash)
{
        return &groups->buckets[hash & (groups->n_buckets - 1)];
}

Group *groups_find(const Groups *groups, const char *path)
{
        uint64_t hash = hash_string(path);

        if (!groups->n_buckets)
                return NULL;
        for (Group *group = *bucket_of(groups, hash); group; group = group->hash_next)
                if (group->hash == hash && streq(group->path, path))
                        return group;
        return NULL;
}

static int grow_buckets(Groups *groups)
{
        size_t n = groups->n_buckets ? groups->n_buckets * 2 : 64;
        Group **old = groups->buckets, **buckets = calloc(n, sizeof(Group *));
        size_t n_old = groups->n_buckets;

        if (!buckets)
                return -ENOMEM;
        groups->buckets = buckets;
        groups->n_buckets = n;
        for (size_t i = 0; i < n_old; i++)
                while (old[i]) {
                        Group *group = old[i], **bucket = bucket_of(groups, group->hash);

                        old[i] = group->hash_next;
                        group->hash_next = *bucket;
                        *bucket = group;
                }
        free(old);
        return 0;
}

const char *group_name(const Group *group)
{
        return strrchr(group->path, '/') + 1;
}

uint32_t group_list_flags(const Group *group)
{
        return (group->flags & (GROUP_MANAGED | GROUP_POPULATED | GROUP_FROZEN)) |
               (group->first_child ? 8 : 0);
}

static void link_child(Group *parent, Group *group)
{
        group->parent = parent;
        group->prev = parent->last_child;
        if (group->prev) {
                group->prev->next = group;
                if (strcmp(group_name(group->prev), group_name(group)) > 0)
                        parent->flags |= GROUP_UNSORTED;
        } else {
                parent->first_child = group;
        }
        parent->last_child = group;
}

static void unlink_child(Group *group)
{
        Group *parent = group->parent;

        if (!parent)
                return;
        *(group->prev ? &group->prev->next : &parent->first_child) = group->next;
        *(group->next ? &group->next->prev : &parent->last_child) = group->prev;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(group_name(*(Group *const *)a), group_name(*(Group *const *)b));
}

/* Sorted only when somebody lists: adding stays O(1). */
static void sort_children(Group *parent)
{
        _cleanup_(freep) Group **array = NULL;
        size_t n = 0;

        for (Group *child = parent->first_child; child; child = child->next)
                n++;
        array = calloc(n + 1, sizeof(Group *));
        if (!array)
                return;
        n = 0;
        for (Group *child = parent->first_child; child; child = child->next)
                array[n++] = child;
        qsort(array, n, sizeof(Group *), compare_names);
        for (size_t i = 0; i < n; i++) {
                array[i]->prev = i ? array[i - 1] : NULL;
                array[i]->next = array[i + 1];
        }
        parent->first_child = array[0];
        parent->last_child = array[n - 1];
        parent->flags &= ~(uint32_t)GROUP_UNSORTED;
}

Group *group_next(Group *start, Group *group, int skip)
{
        if (group->first_child && !skip) {
                if (group->flags & GROUP_UNSORTED)
                        sort_children(group);
                return group->first_child;
        }
        for (; group != start; group = group->parent)
                if (group->next)
                        return group->next;
        return NULL;
}

/* The number behind "KEY " in the lines of a flat file; -ENOENT where there is none. */
static int flat_get(const char *text, const char *key, uint64_t *ret)
{
        size_t length = strlen(key);
        const char *rest;

        for (const char *line = text; line && *line;
             line = strchr(line, '\n'), line += line ? 1 : 0)
                if (!strncmp(line, key, length) && line[length] == ' ')
                        return parse_u64(line + length + 1, ret, &rest);
        return -ENOENT;
}

static void set_flag(Groups *groups, Group *group, uint32_t flag, int on, uint32_t changed)
{
        uint32_t flags = on ? group->flags | flag : group->flags & ~flag;

        if (flags == group->flags)
                return;
        group->flags = flags;
        if (groups->quiet)
                return;
        if (!(group->flags & GROUP_CHANGED)) {
                group->changed_next = groups->changed;
                groups->changed = group;
                groups->observer.changed(groups, groups->observer.userdata);
        }
        group->flags |= changed;
}

static void flag_from(const char *text, const char *key, uint32_t flag, GroupFacts *facts)
{
        uint64_t value;

        if (flat_get(text, key, &value) < 0)
                return;
        facts->known |= flag;
        if (value)
                facts->flags |= flag;
}

/* The root has none. It comes whole with one read. */
static void events_read(int fd, GroupFacts *ret)
{
        _cleanup_(closep) int events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        char text[EVENTS_MAX];
        ssize_t n = events_fd < 0 ? -1 : read(events_fd, text, sizeof(text) - 1);

        if (n < 0)
                return;
        text[n] = '\0';
        flag_from(text, "populated", GROUP_POPULATED, ret);
        flag_from(text, "frozen", GROUP_FROZEN, ret);
}

void group_facts_read(int fd, GroupFacts *ret)
{
        struct stat st;
        int mark;

        *ret = (GroupFacts){ .known = GROUP_MANAGED };
        events_read(fd, ret);
        mark = mark_is_managed(fd);
        if (mark)
                ret->flags |= mark == MARK_CLAIMED ? GROUP_MANAGED | GROUP_CLAIMED : GROUP_MANAGED;
        ret->has_uid = fstat(fd, &st) >= 0;
        if (ret->has_uid)
                ret->uid = st.st_uid;
}

int group_facts_differ(const Group *group, const GroupFacts *facts)
{
        return ((group->flags ^ facts->flags) & facts->known) != 0 ||
               (facts->has_uid && group->uid != facts->uid);
}

static void apply_facts(Groups *groups, Group *group, const GroupFacts *facts)
{
        static const struct {
                uint32_t flag, changed;
        } rows[] = {
                {GROUP_POPULATED, GROUP_CHANGED_POPULATED},
                { GROUP_FROZEN,   GROUP_CHANGED_FROZEN   },
                { GROUP_MANAGED,  GROUP_CHANGED_MANAGED  },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (facts->known & rows[i].flag)
                        set_flag(groups, group, rows[i].flag, (facts->flags & rows[i].flag) != 0,
                                 rows[i].changed);
        group->flags |= facts->flags & GROUP_CLAIMED;
        if (facts->has_uid)
                group->uid = facts->uid;
}

static void refresh_open(Groups *groups, Group *group, int fd)
{
        GroupFacts facts;

        group_facts_read(fd, &facts);
        apply_facts(groups, group, &facts);
}

/* The local file counts what was killed in this very group; before 5.2 there is only the one that
 * counts those below too. */
int group_oom_kills_read(int fd, uint64_t *ret)
{
        _cleanup_(freep) char *text = NULL;

        if (read_file_at(fd, "memory.events.local", 4096, &text, NULL) < 0 &&
            read_file_at(fd, "memory.events", 4096, &text, NULL) < 0)
                return -ENOENT;
        return flat_get(text, "oom_kill", ret);
}

static int parent_of(Groups *groups, const char *path, Group **ret)
{
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *parent = NULL;

        if (streq(path, "/")) {
                *ret = NULL;
                return 0;
        }
        parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
        if (!parent)
                return -ENOMEM;
        *ret = groups_find(groups, parent);
        return *ret ? 0 : groups_add(groups, parent, ret);
}

static int insert(Groups *groups, const char *path, uint64_t id, Group **ret)
{
        size_t size = strlen(path) + 1;
        Group *parent, *group, **bucket;
        int r;

        r = parent_of(groups, path, &parent);
        if (r < 0)
                return r;
        if (groups->n >= groups->n_buckets && grow_buckets(groups) < 0)
                return -ENOMEM;
        group = calloc(1, sizeof(*group) + size);
        if (!group)
                return -ENOMEM;
        memcpy(group->path, path, size);
        group->id = id;
        group->hash = hash_string(path);
        bucket = bucket_of(groups, group->hash);
        group->hash_next = *bucket;
        *bucket = group;
        groups->n++;
        if (parent)
                link_child(parent, group);
        else
                groups->root = group;
        *ret = group;
        return 0;
}

/* From an open directory: new, known, or another one that took the place of one that is gone. */
static int add_open(Groups *groups, const char *path, uint64_t id, int fd, Group **ret)
{
        Group *group = groups_find(groups, path);
        int r;

        if (group && group->id != id) {
                groups_remove(groups, group);
                group = NULL;
        }
        if (group) {
                *ret = group;
                return 0;
        }
        r = insert(groups, path, id, &group);
        if (r < 0)
                return r;
        if (groups->observer.opened)
                groups->observer.opened(group, fd, groups->observer.userdata);
        groups->quiet++;
        refresh_open(groups, group, fd);
        groups->quiet--;
        (void)group_oom_kills_read(fd, &group->oom_kills);
        groups->observer.added(group, groups->observer.userdata);
        *ret = group;
        return 1;
}

int groups_add(Groups *groups, const char *path, Group **ret)
{
        ch_group *opened;
        int r;

        r = ch_tree_open_group(groups->tree, path, &opened, NULL);
        if (r < 0)
                return r;
        r = add_open(groups, path, ch_group_get_id(opened), ch_group_get_fd(opened), ret);
        ch_group_unref(opened);
        return r;
}

Group *groups_get(Groups *groups, const char *path)
{
        Group *group = groups_find(groups, path);

        if (group)
                return group;
        if (ch_path_check(path, NULL) < 0 || groups_add(groups, path, &group) < 0)
                return NULL;
        return group;
}

static void forget_change(Groups *groups, Group *group)
{
        Group **link = &groups->changed;

        if (!(group->flags & GROUP_CHANGED))
                return;
        while (*link != group)
                link = &(*link)->changed_next;
        *link = group->changed_next;
        group->flags &= ~(uint32_t)GROUP_CHANGED;
}

static void remove_leaf(Groups *groups, Group *group)
{
        Group **link = bucket_of(groups, group->hash);

        groups->observer.removed(group, groups->observer.userdata);
        forget_change(groups, group);
        while (*link != group)
                link = &(*link)->hash_next;
        *link = group->hash_next;
        unlink_child(group);
        groups->n--;
        if (groups->root == group)
                groups->root = NULL;
        free(group);
}

void groups_remove(Groups *groups, Group *group)
{
        Group *at = group;

        /* bottom-up, without recursion: the depth is the client's */
        for (;;) {
                Group *parent = at->parent;

                if (at->first_child) {
                        at = at->first_child;
                        continue;
                }
                if (at == group)
                        break;
                remove_leaf(groups, at);
                at = parent;
        }
        remove_leaf(groups, group);
}

typedef struct Scan {
        Groups *groups;
        size_t n, max;
} Scan;

static int scan_one(const ch_walk_entry *entry, void *userdata)
{
        Scan *scan = userdata;
        Group *group;
        int r;

        if (scan->n++ >= scan->max)
                return -E2BIG;
        r = add_open(scan->groups, entry->path, entry->id, entry->fd, &group);
        if (r == 0)
                refresh_open(scan->groups, group, entry->fd);
        return r == -ENODEV || r >= 0 ? 0 : r;
}

int groups_scan(Groups *groups, const char *path, size_t max, ch_error **err)
{
        Scan scan = { .groups = groups, .max = max };

        return ch_tree_walk(groups->tree, path, scan_one, &scan, err);
}

static int reopen(Groups *groups, Group *group, ch_group **ret)
{
        int r = ch_tree_open_group(groups->tree, group->path, ret, NULL);

        if (r == -ENODEV || (r >= 0 && ch_group_get_id(*ret) != group->id)) {
                if (r >= 0)
                        ch_group_unref(*ret);
                if (group != groups->root)
                        groups_remove(groups, group);
                return -ENODEV;
        }
        return r;
}

int groups_refresh(Groups *groups, Group *group)
{
        ch_group *opened;
        int r = reopen(groups, group, &opened);

        if (r < 0)
                return r;
        refresh_open(groups, group, ch_group_get_fd(opened));
        ch_group_unref(opened);
        return 0;
}

int groups_refresh_events(Groups *groups, Group *group)
{
        GroupFacts facts = { 0 };
        ch_group *opened;
        int r = reopen(groups, group, &opened);

        if (r < 0)
                return r;
        events_read(ch_group_get_fd(opened), &facts);
        apply_facts(groups, group, &facts);
        ch_group_unref(opened);
        return 0;
}

void groups_refresh_memory(Groups *groups, Group *group)
{
        ch_group *opened;
        uint64_t kills = group->oom_kills;

        if (ch_tree_open_group(groups->tree, group->path, &opened, NULL) < 0)
                return;
        (void)group_oom_kills_read(ch_group_get_fd(opened), &kills);
        ch_group_unref(opened);
        if (kills > group->oom_kills)
                groups->observer.oom(group, kills, groups->observer.userdata);
        group->oom_kills = kills;
        if (!(group->flags & GROUP_CHANGED)) {
                group->changed_next = groups->changed;
                groups->changed = group;
                groups->observer.changed(groups, groups->observer.userdata);
        }
        group->flags |= GROUP_CHANGED_EVENTS;
}

Group *groups_pop_changed(Groups *groups, uint32_t *ret_bits)
{
        Group *group = groups->changed;

        if (!group)
                return NULL;
        groups->changed = group->changed_next;
        *ret_bits = group->flags & GROUP_CHANGED;
        group->flags &= ~(uint32_t)GROUP_CHANGED;
        return group;
}
