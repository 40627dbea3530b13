/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the tree again beside the loop, and corrects the model piece by piece. */

#include "rescan.h"
#include "util.h"
#include "worker.h"

/* of the loop, before others have their turn */
#define PIECE_USEC 3000

typedef struct Row {
        size_t path; /* in Picture.text */
        uint64_t id, oom_kills;
        GroupFacts facts;
} Row;

typedef struct Picture {
        Row *rows;
        size_t n, rows_allocated;
        char *text;
        size_t text_size, text_allocated;
        Hash by_id; /* → index of the row + 1 */
        ch_error *error;
        int result;
} Picture;

struct Rescan {
        Task task; /* the first member: the task is the rescan */
        Groups *groups;
        Pool *pool; /* one thread: calls that hang in the kernel do not hold it up */
        sd_event_source *compare;
        RescanObserver observer;
        Picture picture;    /* the thread's until its task is done, then the loop's */
        size_t bucket, row; /* of the comparison */
        uint64_t n_ended;
        int running, again, stopping;
};

static void picture_done(Picture *picture)
{
        hash_done(&picture->by_id);
        ch_error_free(picture->error);
        free(picture->rows);
        free(picture->text);
        *picture = (Picture){ 0 };
}

static int take_one(const ch_walk_entry *entry, void *userdata)
{
        Rescan *rescan = userdata;
        Picture *picture = &rescan->picture;
        size_t size = strlen(entry->path) + 1;
        Row *row;

        if (atomic_load(&rescan->task.cancelled))
                return -ECANCELED;
        if (array_reserve(&picture->rows, &picture->rows_allocated, picture->n + 1, sizeof(Row)) <
                    0 ||
            array_reserve(&picture->text, &picture->text_allocated, picture->text_size + size, 1) <
                    0)
                return -ENOMEM;
        row = &picture->rows[picture->n];
        *row = (Row){ .path = picture->text_size, .id = entry->id };
        memcpy(picture->text + picture->text_size, entry->path, size);
        group_facts_read(entry->fd, &row->facts);
        (void)group_oom_kills_read(entry->fd, &row->oom_kills);
        picture->text_size += size;
        return hash_put(&picture->by_id, row->id, (void *)(uintptr_t)++picture->n);
}

static void take_picture(Task *task)
{
        Rescan *rescan = (Rescan *)task;
        Picture *picture = &rescan->picture;

        picture->result =
                ch_tree_walk(rescan->groups->tree, "/", take_one, rescan, &picture->error);
}

static void rescan_end(Rescan *rescan, int r)
{
        rescan->running = 0;
        rescan->n_ended++;
        rescan->observer.ended(r, rescan->picture.error, rescan->observer.userdata);
        picture_done(&rescan->picture);
        if (!rescan->again)
                return;
        r = rescan_start(rescan);
        if (r < 0)
                rescan->observer.ended(r, NULL, rescan->observer.userdata);
}

static void on_picture(Task *task)
{
        Rescan *rescan = (Rescan *)task;
        int r = rescan->picture.result;

        rescan->bucket = rescan->row = 0;
        if (r >= 0 && !rescan->stopping)
                r = sd_event_source_set_enabled(rescan->compare, SD_EVENT_ON);
        if (r < 0 || rescan->stopping)
                rescan_end(rescan, r);
}

static int is_in_picture(const Picture *picture, const Group *group)
{
        uintptr_t index = (uintptr_t)hash_get(&picture->by_id, group->id);

        /* the path too: other file systems than cgroupfs use inode numbers again */
        return index && streq(picture->text + picture->rows[index - 1].path, group->path);
}

/*
 * Removes one group that is gone from a bucket of the model: 1; 0 when none is left there. From the
 * bottom up, since a whole subtree at once may take long.
 */
static int sweep_one(Rescan *rescan)
{
        Groups *groups = rescan->groups;

        for (Group *group = groups->buckets[rescan->bucket]; group; group = group->hash_next) {
                Group *leaf = group;

                if (is_in_picture(&rescan->picture, group))
                        continue;
                while (leaf->first_child)
                        leaf = leaf->first_child;
                if (leaf != groups->root && groups_refresh(groups, leaf) == -ENODEV)
                        return 1;
        }
        return 0;
}

static int look_at(Rescan *rescan, const Row *row)
{
        const char *path = rescan->picture.text + row->path;
        Group *group = groups_find(rescan->groups, path);
        int r = 0;

        if (!group || group->id != row->id)
                r = groups_add(rescan->groups, path, &group);
        else if (group_facts_differ(group, &row->facts))
                r = groups_refresh(rescan->groups, group);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        if (row->oom_kills > group->oom_kills)
                groups_refresh_memory(rescan->groups, group);
        rescan->observer.met(group, rescan->observer.userdata);
        return 0;
}

/* One step; 0 when all is compared. A model that grows between pieces splits its buckets upwards:
 * those that are done stay done. */
static int step(Rescan *rescan)
{
        int r;

        if (rescan->bucket < rescan->groups->n_buckets) {
                if (!sweep_one(rescan))
                        rescan->bucket++;
                return 1;
        }
        if (rescan->row >= rescan->picture.n)
                return 0;
        r = look_at(rescan, &rescan->picture.rows[rescan->row++]);
        return r < 0 ? r : 1;
}

static int on_compare(sd_event_source *source, void *userdata)
{
        Rescan *rescan = userdata;
        uint64_t end = now_usec() + PIECE_USEC;
        int r;

        do
                r = rescan->stopping ? 0 : step(rescan);
        while (r > 0 && now_usec() < end);
        if (r > 0)
                return 0;
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        rescan_end(rescan, r);
        return 0;
}

int rescan_start(Rescan *rescan)
{
        int r;

        rescan->again = rescan->running;
        if (rescan->running || rescan->stopping)
                return 0;
        rescan->task.run = take_picture;
        rescan->task.done = on_picture;
        r = pool_submit(rescan->pool, &rescan->task);
        rescan->running = r >= 0;
        return r;
}

void rescan_stop(Rescan *rescan)
{
        rescan->stopping = 1;
        task_cancel(&rescan->task);
}

int rescan_is_running(const Rescan *rescan)
{
        return rescan->running;
}

uint64_t rescan_count(const Rescan *rescan)
{
        return rescan->n_ended;
}

int rescan_new(sd_event *event, Groups *groups, const RescanObserver *observer, Rescan **ret)
{
        Rescan *rescan = calloc(1, sizeof(*rescan));
        int r;

        if (!rescan)
                return -ENOMEM;
        rescan->groups = groups;
        rescan->observer = *observer;
        r = pool_new(event, 1, &rescan->pool);
        if (r >= 0)
                r = sd_event_add_defer(event, &rescan->compare, on_compare, rescan);
        if (r >= 0)
                r = sd_event_source_set_enabled(rescan->compare, SD_EVENT_OFF);
        /* calls and events first; with the same rank as the telling of changes, in turns with it */
        if (r >= 0)
                r = sd_event_source_set_priority(rescan->compare, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r < 0) {
                (void)rescan_free(rescan);
                return r;
        }
        *ret = rescan;
        return 0;
}

int rescan_free(Rescan *rescan)
{
        if (!rescan)
                return 1;
        if (!pool_free(rescan->pool))
                return 0;
        sd_event_source_unref(rescan->compare);
        picture_done(&rescan->picture);
        free(rescan);
        return 1;
}
