/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units: found by name and by path, made, loaded on demand, and dropped when nothing holds them. */

#include <malloc.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "face.h"
#include "hash-string.h"
#include "util.h"

/* of one unit */
#define REFS_MAX 1024
/* After so many have gone, what they took is given back to the system. */
#define TRIM_AFTER 256

struct Units {
        Face *face;
        Unit *first, *last;
        Unit **by_name, **by_path;
        size_t n, n_buckets;
        Unit *changed;
        size_t n_gone; /* since memory was given back */
        Hash clients;  /* hash of a client's name → number of its references */
        Hash owners;   /* uid → number of its units; root's are not counted */
        int freeing;
};

static const char *const state_names[UNIT_STATE_MAX_][2] = {
        [UNIT_DEAD] = {"inactive",      "dead"        },
        [UNIT_STARTING] = { "activating",   "start-chown" },
        [UNIT_RUNNING] = { "active",       "running"     },
        [UNIT_ABANDONED] = { "active",       "abandoned"   },
        [UNIT_STOP_SIGTERM] = { "deactivating", "stop-sigterm"},
        [UNIT_STOP_SIGKILL] = { "deactivating", "stop-sigkill"},
        [UNIT_FAILED] = { "failed",       "failed"      },
};

const char *unit_active_state(const Unit *unit)
{
        /* a slice is there or it is not */
        if (unit->kind == UNIT_SLICE)
                return unit->state == UNIT_DEAD || unit->state == UNIT_STARTING ? "inactive"
                                                                                : "active";
        return state_names[unit->state][0];
}

const char *unit_sub_state(const Unit *unit)
{
        if (unit->kind == UNIT_SLICE)
                return unit_is_active(unit) ? "active" : "dead";
        return state_names[unit->state][1];
}

const char *unit_load_state(const Unit *unit)
{
        return "loaded";
}

const char *unit_result_to_string(UnitResult result)
{
        static const char *const names[UNIT_RESULT_MAX_] = {
                [UNIT_SUCCESS] = "success",
                [UNIT_RESOURCES] = "resources",
                [UNIT_TIMED_OUT] = "timeout",
                [UNIT_OOM_KILL] = "oom-kill",
        };

        return names[result];
}

int unit_is_active(const Unit *unit)
{
        return unit->state != UNIT_DEAD && unit->state != UNIT_STARTING &&
               unit->state != UNIT_FAILED;
}

/* ---- look-ups ---- */

static Unit **bucket(Unit **buckets, const Units *units, uint64_t hash)
{
        return &buckets[hash & (units->n_buckets - 1)];
}

Unit *units_find(const Units *units, const char *name)
{
        uint64_t hash = hash_string(name);

        if (!units->n_buckets)
                return NULL;
        for (Unit *unit = *bucket(units->by_name, units, hash); unit; unit = unit->name_next)
                if (unit->name_hash == hash && streq(unit->name, name))
                        return unit;
        return NULL;
}

Unit *units_find_by_path(const Units *units, const char *path)
{
        uint64_t hash = hash_string(path);

        if (!units->n_buckets)
                return NULL;
        for (Unit *unit = *bucket(units->by_path, units, hash); unit; unit = unit->path_next)
                if (unit->path_hash == hash && streq(unit->path, path))
                        return unit;
        return NULL;
}

Unit *units_find_above(const Units *units, const char *path)
{
        _cleanup_(freep) char *at = strdup(path);

        while (at && at[1]) {
                Unit *unit = units_find_by_path(units, at);
                char *slash = strrchr(at, '/');

                if (unit)
                        return unit;
                slash[slash == at] = '\0';
        }
        return at ? units_find_by_path(units, "/") : NULL;
}

size_t units_count(const Units *units)
{
        return units->n;
}

Unit *units_first(const Units *units)
{
        return units->first;
}

static void put_in_buckets(Units *units, Unit *unit)
{
        Unit **name = bucket(units->by_name, units, unit->name_hash);
        Unit **path = bucket(units->by_path, units, unit->path_hash);

        unit->name_next = *name;
        *name = unit;
        unit->path_next = *path;
        *path = unit;
}

static int grow(Units *units)
{
        size_t n = units->n_buckets ? units->n_buckets * 2 : 64;
        Unit **by_name = calloc(n, sizeof(Unit *)), **by_path = calloc(n, sizeof(Unit *));

        if (!by_name || !by_path) {
                free(by_name);
                free(by_path);
                return -ENOMEM;
        }
        free(units->by_name);
        free(units->by_path);
        units->by_name = by_name;
        units->by_path = by_path;
        units->n_buckets = n;
        for (Unit *unit = units->first; unit; unit = unit->next)
                put_in_buckets(units, unit);
        return 0;
}

static void take_from_buckets(Units *units, Unit *unit)
{
        Unit **link = bucket(units->by_name, units, unit->name_hash);

        while (*link != unit)
                link = &(*link)->name_next;
        *link = unit->name_next;
        link = bucket(units->by_path, units, unit->path_hash);
        while (*link != unit)
                link = &(*link)->path_next;
        *link = unit->path_next;
}

static int count(Hash *hash, uint64_t key, int by)
{
        uintptr_t n = (uintptr_t)hash_get(hash, key);

        if (by > 0)
                return hash_put(hash, key, (void *)(n + 1));
        if (n > 1)
                return hash_put(hash, key, (void *)(n - 1));
        (void)hash_remove(hash, key);
        return 0;
}

void unit_set_owner(Unit *unit, uint32_t uid)
{
        Hash *owners = &unit->face->units->owners;

        if (unit->owner)
                (void)count(owners, unit->owner, -1);
        unit->owner = uid;
        if (uid && count(owners, uid, 1) < 0)
                unit->owner = 0; /* out of memory: root's */
}

size_t units_count_owned(const Units *units, uint32_t uid)
{
        return (uintptr_t)hash_get(&units->owners, uid);
}

/* ---- life ---- */

int units_new(Face *face, Units **ret)
{
        Units *units = calloc(1, sizeof(*units));

        if (!units)
                return -ENOMEM;
        units->face = face;
        *ret = units;
        return 0;
}

static void forget_change(Units *units, Unit *unit)
{
        Unit **link = &units->changed;

        if (!(unit->flags & UNIT_QUEUED))
                return;
        while (*link != unit)
                link = &(*link)->changed_next;
        *link = unit->changed_next;
        unit->flags &= ~(uint32_t)UNIT_QUEUED;
}

static void drop_refs(Unit *unit)
{
        for (char **ref = unit->refs; ref && *ref; ref++)
                free(*ref);
        free(unit->refs);
        unit->refs = NULL;
}

void unit_close(Unit *unit)
{
        if (unit->directory)
                unit->face->n_directories--;
        unit->directory = unit_dir_unref(unit->directory);
}

static void unit_free(Unit *unit)
{
        drop_refs(unit);
        property_set_done(&unit->properties);
        sd_event_source_disable_unref(unit->timer);
        unit_close(unit);
        free(unit->slice);
        free(unit->path);
        free(unit);
}

Units *units_free(Units *units)
{
        if (!units)
                return NULL;
        while (units->first) {
                Unit *unit = units->first;

                units->first = unit->next;
                unit_free(unit);
        }
        hash_done(&units->clients);
        hash_done(&units->owners);
        free(units->by_name);
        free(units->by_path);
        free(units);
        return NULL;
}

static int set_place(Unit *unit, const char *slice)
{
        int r = 0;

        if (unit->kind == UNIT_SLICE)
                r = unit_name_parent_slice(unit->name, &unit->slice);
        else if (slice && !(unit->slice = strdup(slice)))
                r = -ENOMEM;
        if (r == -ENOENT) /* -.slice */
                r = 0;
        return r < 0 ? r : unit_name_to_group(unit->name, unit->slice, &unit->path);
}

int units_add(Units *units, const char *name, UnitKind kind, const char *slice, Unit **ret)
{
        size_t size = strlen(name) + 1;
        Unit *unit;
        int r;

        if (units->n >= units->n_buckets && grow(units) < 0)
                return -ENOMEM;
        unit = calloc(1, sizeof(*unit) + size);
        if (!unit)
                return -ENOMEM;
        memcpy(unit->name, name, size);
        unit->face = units->face;
        unit->kind = kind;
        unit->uid = UINT32_MAX;
        r = set_place(unit, slice);
        if (r < 0) {
                unit_free(unit);
                return r;
        }
        unit->name_hash = hash_string(unit->name);
        unit->path_hash = hash_string(unit->path);
        put_in_buckets(units, unit);
        unit->prev = units->last;
        *(unit->prev ? &unit->prev->next : &units->first) = unit;
        units->last = unit;
        units->n++;
        face_emit_unit_new(units->face, unit);
        *ret = unit;
        return 0;
}

void units_remove(Units *units, Unit *unit)
{
        Unit *slice = unit->flags & UNIT_COUNTED ? units_find(units, unit->slice) : NULL;

        face_emit_unit_removed(units->face, unit);
        if (slice && --slice->n_children == 0)
                unit_check(slice);
        unit_set_owner(unit, 0);
        forget_change(units, unit);
        while (unit->refs)
                (void)unit_unref(unit, unit->refs[0]);
        take_from_buckets(units, unit);
        *(unit->prev ? &unit->prev->next : &units->first) = unit->next;
        *(unit->next ? &unit->next->prev : &units->last) = unit->prev;
        units->n--;
        units->n_gone++;
        unit_free(unit);
}

int units_load(Units *units, const char *name, Unit **ret)
{
        UnitKind kind;
        Unit *unit = units_find(units, name);
        const Group *group;
        int r;

        if (unit) {
                *ret = unit;
                return 0;
        }
        r = unit_name_to_kind(name, &kind);
        if (r < 0)
                return r;
        if (kind != UNIT_SLICE)
                return -ENOENT;
        r = units_add(units, name, kind, NULL, &unit);
        if (r < 0)
                return r;
        /* others' groups may have names like that; what is started in one makes it ours */
        group = groups_get(units->face->manager->groups, unit->path);
        if (group && (group->flags & GROUP_MANAGED))
                unit_set_state(unit, UNIT_RUNNING, UNIT_SUCCESS);
        unit_check(unit); /* looked at again at the end of the turn: does anything hold it? */
        *ret = unit;
        return 0;
}

/* ---- changes ---- */

static uint64_t realtime_usec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int is_over(unsigned state)
{
        return state == UNIT_DEAD || state == UNIT_FAILED;
}

static int is_up(unsigned state)
{
        return state == UNIT_RUNNING || state == UNIT_ABANDONED;
}

void unit_set_state(Unit *unit, UnitState state, UnitResult result)
{
        unsigned old = unit->state;
        uint64_t now;

        if (unit->result == UNIT_SUCCESS || is_over(old))
                unit->result = (uint8_t)result;
        if (state == old)
                return;
        now = realtime_usec();
        unit->state = (uint8_t)state;
        unit->state_change_usec = now;
        if (is_over(old) && !is_over(state)) {
                unit->inactive_exit_usec = now;
                if (getrandom(unit->invocation_id, sizeof(unit->invocation_id), GRND_NONBLOCK) < 0)
                        memcpy(unit->invocation_id, &now, sizeof(now));
        }
        if (is_up(state) && !is_up(old))
                unit->active_enter_usec = now;
        if (is_up(old) && !is_up(state))
                unit->active_exit_usec = now;
        if (is_over(state) && !is_over(old))
                unit->inactive_enter_usec = now;
        unit_changed(unit);
}

void unit_check(Unit *unit)
{
        Units *units = unit->face->units;

        if (unit->flags & UNIT_QUEUED)
                return;
        if (!units->changed && unit->face->changes)
                (void)sd_event_source_set_enabled(unit->face->changes, SD_EVENT_ONESHOT);
        unit->flags |= UNIT_QUEUED;
        unit->changed_next = units->changed;
        units->changed = unit;
}

void unit_changed(Unit *unit)
{
        unit->flags |= UNIT_CHANGED;
        unit_check(unit);
}

void unit_flush(Unit *unit)
{
        if (!(unit->flags & UNIT_CHANGED))
                return;
        unit->flags &= ~(uint32_t)UNIT_CHANGED;
        face_emit_unit_changed(unit->face, unit);
}

void units_flush(Units *units)
{
        while (units->changed) {
                Unit *unit = units->changed;

                unit_flush(unit);
                forget_change(units, unit);
                unit_collect(unit);
        }
        if (units->n_gone < TRIM_AFTER)
                return;
        units->n_gone = 0;
        (void)malloc_trim(0);
}

/* What holds a unit that is not there any more */
static int is_held(const Unit *unit)
{
        if (unit->job || unit->stop || unit->n_tasks || unit->n_children || unit->refs ||
            (unit->flags & UNIT_PERPETUAL))
                return 1;
        if (unit->state == UNIT_FAILED)
                return !streq(property_get_text(&unit->properties, PROP_COLLECT_MODE),
                              "inactive-or-failed");
        if (unit->state != UNIT_DEAD)
                return 1;
        /* what a slice was given before it was ever started is kept for its start */
        return unit->kind == UNIT_SLICE && !property_set_is_empty(&unit->properties);
}

void unit_collect(Unit *unit)
{
        if (!is_held(unit))
                units_remove(unit->face->units, unit);
}

int unit_is_frozen_above(const Unit *unit)
{
        while (unit && unit->slice) {
                unit = units_find(unit->face->units, unit->slice);
                if (unit && (unit->flags & UNIT_FREEZE))
                        return 1;
        }
        return 0;
}

const char *unit_freezer_state(const Unit *unit)
{
        if (!(unit->flags & UNIT_FROZEN))
                return "running";
        return !(unit->flags & UNIT_FREEZE) && unit_is_frozen_above(unit) ? "frozen-by-parent"
                                                                          : "frozen";
}

/* ---- references ---- */

static size_t count_refs(const Unit *unit)
{
        size_t n = 0;

        while (unit->refs && unit->refs[n])
                n++;
        return n;
}

/* How many references a client has, so that a client without any leaves for nothing. */
static int count_client(Units *units, const char *client, int by)
{
        return count(&units->clients, hash_string(client), by);
}

int unit_ref(Unit *unit, const char *client)
{
        size_t n = count_refs(unit);
        char **refs;

        if (n >= REFS_MAX)
                return -ENOBUFS;
        refs = realloc(unit->refs, (n + 2) * sizeof(char *));
        if (!refs)
                return -ENOMEM;
        unit->refs = refs;
        refs[n] = strdup(client);
        refs[n + 1] = NULL;
        if (refs[n] && count_client(unit->face->units, client, 1) >= 0) {
                unit->flags |= UNIT_REFERENCED;
                return 0;
        }
        free(refs[n]);
        refs[n] = NULL;
        if (n == 0)
                drop_refs(unit);
        return -ENOMEM;
}

int unit_unref(Unit *unit, const char *client)
{
        size_t n = count_refs(unit);

        for (size_t i = 0; i < n; i++) {
                if (!streq(unit->refs[i], client))
                        continue;
                (void)count_client(unit->face->units, client, -1);
                free(unit->refs[i]);
                unit->refs[i] = unit->refs[n - 1];
                unit->refs[n - 1] = NULL;
                if (n == 1) {
                        drop_refs(unit);
                        unit->flags &= ~(uint32_t)UNIT_REFERENCED;
                }
                return 0;
        }
        return -ENOENT;
}

void units_drop_client(Units *units, const char *client)
{
        if (!hash_get(&units->clients, hash_string(client)))
                return;
        for (Unit *unit = units->first, *next; unit; unit = next) {
                next = unit->next;
                while (unit_unref(unit, client) >= 0)
                        unit_check(unit); /* collected at the end of the turn */
        }
}

void units_drop_bus_clients(Units *units)
{
        for (Unit *unit = units->first; unit; unit = unit->next)
                for (size_t i = 0; unit->refs && unit->refs[i];) {
                        if (*unit->refs[i] != ':') { /* of a private peer */
                                i++;
                                continue;
                        }
                        (void)unit_unref(unit, unit->refs[i]);
                        unit_check(unit);
                }
}

UnitDir *unit_dir_new(int fd, uint32_t controllers)
{
        UnitDir *directory = calloc(1, sizeof(*directory));

        if (!directory) {
                safe_close(fd);
                return NULL;
        }
        *directory = (UnitDir){ .n_refs = 1, .fd = fd, .controllers = controllers };
        return directory;
}

UnitDir *unit_dir_ref(UnitDir *directory)
{
        if (directory)
                directory->n_refs++;
        return directory;
}

UnitDir *unit_dir_unref(UnitDir *directory)
{
        if (!directory || --directory->n_refs > 0)
                return NULL;
        safe_close(directory->fd);
        free(directory);
        return NULL;
}
