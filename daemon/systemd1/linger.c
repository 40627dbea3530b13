/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of dead scopes: kept for those who read memory.events after the end, then removed. */

#include "hash-string.h"
#include "life.h"
#include "start.h"
#include "util.h"

/* The oldest goes early where there are more. */
#define LINGERING_MAX 4096

typedef struct Linger Linger;

struct Linger {
        Linger *prev, *next;
        uint64_t key; /* hash of the unit's name */
        uint64_t due_usec;
        char *path;
        char name[];
};

struct Lingering {
        Face *face;
        Linger *first, *last; /* by time */
        size_t n;
        Hash by_name; /* a second one with the same hash is found by time only */
        sd_event_source *timer;
};

typedef struct Removal {
        Task task;
        Face *face;
        char **paths;
        size_t n, allocated;
} Removal;

static void removal_free(Removal *removal)
{
        for (size_t i = 0; i < removal->n; i++)
                free(removal->paths[i]);
        free(removal->paths);
        free(removal);
}

static void removal_run(Task *task)
{
        Removal *removal = (Removal *)task;

        /* one that is used again, or that its runtime has removed, is no matter */
        for (size_t i = 0; i < removal->n; i++)
                (void)start_remove_group(removal->face->manager->tree, removal->paths[i]);
}

static void removal_done(Task *task)
{
        Removal *removal = (Removal *)task;
        Groups *groups = removal->face->manager->groups;

        for (size_t i = 0; i < removal->n; i++) {
                Group *group = groups_find(groups, removal->paths[i]);

                if (group)
                        (void)groups_refresh(groups, group);
        }
        removal_free(removal);
}

/* Takes it from the list; its path belongs to the caller. */
static char *take(Lingering *lingering, Linger *linger)
{
        char *path = linger->path;

        *(linger->prev ? &linger->prev->next : &lingering->first) = linger->next;
        *(linger->next ? &linger->next->prev : &lingering->last) = linger->prev;
        if (hash_get(&lingering->by_name, linger->key) == linger)
                (void)hash_remove(&lingering->by_name, linger->key);
        lingering->n--;
        free(linger);
        return path;
}

static Linger *find(const Lingering *lingering, const char *name)
{
        Linger *linger = hash_get(&lingering->by_name, hash_string(name));

        return linger && streq(linger->name, name) ? linger : NULL;
}

static int add_to_removal(Lingering *lingering, Removal *removal, Linger *linger)
{
        if (array_reserve(&removal->paths, &removal->allocated, removal->n + 1, sizeof(char *)) < 0)
                return -ENOMEM;
        removal->paths[removal->n++] = take(lingering, linger);
        return 0;
}

static Removal *removal_new(Lingering *lingering)
{
        Removal *removal = calloc(1, sizeof(*removal));

        if (removal)
                *removal = (Removal){
                        .task = {.run = removal_run, .done = removal_done},
                        .face = lingering->face
                };
        return removal;
}

static void submit(Lingering *lingering, Removal *removal)
{
        if (removal->n == 0 || pool_submit(lingering->face->manager->workers, &removal->task) < 0)
                removal_free(removal);
}

static void start_timer(Lingering *lingering)
{
        if (!lingering->first)
                return;
        (void)sd_event_source_set_time(lingering->timer, lingering->first->due_usec);
        (void)sd_event_source_set_enabled(lingering->timer, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        Lingering *lingering = userdata;
        uint64_t now = now_usec();
        Removal *removal = removal_new(lingering);

        while (removal && lingering->first &&
               (lingering->first->due_usec <= now || lingering->n > LINGERING_MAX))
                if (add_to_removal(lingering, removal, lingering->first) < 0)
                        break;
        if (removal)
                submit(lingering, removal);
        start_timer(lingering);
        return 0;
}

int lingering_new(Face *face, Lingering **ret)
{
        Lingering *lingering = calloc(1, sizeof(*lingering));
        int r;

        if (!lingering)
                return -ENOMEM;
        lingering->face = face;
        r = sd_event_add_time(face->manager->event, &lingering->timer, CLOCK_MONOTONIC, UINT64_MAX,
                              0, on_due, lingering);
        if (r >= 0)
                r = sd_event_source_set_enabled(lingering->timer, SD_EVENT_OFF);
        if (r < 0) {
                lingering_free(lingering);
                return r;
        }
        *ret = lingering;
        return 0;
}

/* The directories stay: the next life finds and removes them. */
Lingering *lingering_free(Lingering *lingering)
{
        if (!lingering)
                return NULL;
        while (lingering->first)
                free(take(lingering, lingering->first));
        sd_event_source_disable_unref(lingering->timer);
        hash_done(&lingering->by_name);
        free(lingering);
        return NULL;
}

void lingering_add(Lingering *lingering, const char *name, const char *path)
{
        size_t size = strlen(name) + 1;
        Linger *linger = find(lingering, name);
        char *copy;

        if (linger && streq(linger->path, path))
                return;
        linger = calloc(1, sizeof(*linger) + size);
        copy = strdup(path);
        if (!linger || !copy) {
                free(linger);
                free(copy);
                return;
        }
        lingering_remove(lingering, name); /* in another slice */
        memcpy(linger->name, name, size);
        linger->path = copy;
        linger->key = hash_string(name);
        linger->due_usec = now_usec() + lingering->face->manager->conf->scope_linger_usec;
        linger->prev = lingering->last;
        *(linger->prev ? &linger->prev->next : &lingering->first) = linger;
        lingering->last = linger;
        lingering->n++;
        (void)hash_put(&lingering->by_name, linger->key, linger);
        if (lingering->n == 1)
                start_timer(lingering);
        else if (lingering->n > LINGERING_MAX)
                (void)on_due(NULL, 0, lingering);
}

void lingering_forget(Lingering *lingering, const char *name, const char *path)
{
        Linger *linger = find(lingering, name);

        if (linger && streq(linger->path, path))
                free(take(lingering, linger));
}

void lingering_remove(Lingering *lingering, const char *name)
{
        Linger *linger = find(lingering, name);
        Removal *removal = linger ? removal_new(lingering) : NULL;

        if (!removal)
                return;
        (void)add_to_removal(lingering, removal, linger);
        submit(lingering, removal);
}

void lingering_forget_below(Lingering *lingering, const char *path)
{
        for (Linger *linger = lingering->first, *next; linger; linger = next) {
                next = linger->next;
                if (ch_path_is_below(linger->path, path))
                        free(take(lingering, linger));
        }
}
