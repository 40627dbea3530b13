/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns inotify events of cgroupfs into changes of the model. */

#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "error.h"
#include "hash-string.h"
#include "log.h"
#include "rescan.h"
#include "util.h"
#include "watch.h"

/* Groups that one event may add on the spot */
#define SUBTREE_MAX 64
/* How long a directory is new, and how many of them are taken in at a turn */
#define YOUNG_USEC 20000
#define YOUNG_MAX  64
/* Events that come thick and fast are read together: so many readings in so long. */
#define READINGS_USEC 4000
#define READINGS_MAX  3

/* A directory that is not in the model yet */
typedef struct Young {
        struct Young *prev, *next; /* by age */
        uint64_t key;
        char path[];
} Young;

struct Watches {
        sd_event_source *io, *timer; /* the timer: while some group is not watched, or after a
                                        failure */
        Rescan *rescan;
        Groups *groups;
        Hash by_descriptor; /* → Group, the kind in the two lowest bits */
        Hash young_by_path;
        Young *young, *youngest;
        sd_event_source *growth; /* the timer for these */
        uint64_t rescan_usec;
        int fd;
        int incomplete;
};

static const struct {
        const char *file;
        uint32_t mask;
} kinds[WATCH_MAX_] = {
        [WATCH_DIRECTORY] = {".",              IN_CREATE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR},
        [WATCH_EVENTS] = { "cgroup.events", IN_MODIFY                                     },
        [WATCH_MEMORY] = { "memory.events", IN_MODIFY                                     },
};

size_t watches_count(const Watches *watches)
{
        return watches->by_descriptor.n;
}

int watches_is_complete(const Watches *watches)
{
        return !watches->incomplete;
}

int watches_is_scanning(const Watches *watches)
{
        return rescan_is_running(watches->rescan);
}

uint64_t watches_count_rescans(const Watches *watches)
{
        return rescan_count(watches->rescan);
}

static void start_timer(Watches *watches)
{
        (void)sd_event_source_set_time_relative(watches->timer, watches->rescan_usec);
        (void)sd_event_source_set_enabled(watches->timer, SD_EVENT_ONESHOT);
}

static void rescan(Watches *watches)
{
        if (rescan_start(watches->rescan) < 0)
                start_timer(watches);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        rescan(userdata);
        return 0;
}

static void on_met(Group *group, void *userdata)
{
        Watches *watches = userdata;

        if (watches->incomplete && !group->watches[WATCH_MEMORY])
                groups_refresh_memory(watches->groups, group);
}

static void on_rescan_ended(int r, const ch_error *error, void *userdata)
{
        Watches *watches = userdata;

        if (r < 0 && r != -ECANCELED)
                log_failure(LOG_WARNING, "reading the tree again", error);
        if (r < 0 || watches->incomplete)
                start_timer(watches);
}

static void fall_back(Watches *watches, int errnum)
{
        if (watches->incomplete)
                return;
        watches->incomplete = 1;
        log_warning("inotify watches ran out after %zu (%s): the tree is read every %llu s "
                    "instead; raise fs.inotify.max_user_watches to 3 per group and start "
                    "chargehandd again",
                    watches_count(watches), strerror(errnum),
                    (unsigned long long)(watches->rescan_usec / 1000000));
        start_timer(watches);
}

static void add_one(Watches *watches, Group *group, int group_fd, unsigned kind)
{
        char path[64];
        int descriptor;

        /*
         * by the fd: the group's path may be longer than PATH_MAX, and may be another group by now
         */
        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", group_fd, kinds[kind].file);
        descriptor = inotify_add_watch(watches->fd, path, kinds[kind].mask);
        if (descriptor < 0 && (errno == ENOSPC || errno == ENOMEM))
                fall_back(watches, errno);
        if (descriptor < 0)
                return;
        if (hash_put(&watches->by_descriptor, (uint64_t)descriptor, (char *)group + kind) < 0) {
                (void)inotify_rm_watch(watches->fd, descriptor);
                return;
        }
        group->watches[kind] = descriptor;
}

void watches_add_open(Watches *watches, Group *group, int fd)
{
        for (unsigned kind = 0; kind < WATCH_MAX_; kind++)
                if (!group->watches[kind] && !(watches->incomplete && kind == WATCH_MEMORY))
                        add_one(watches, group, fd, kind);
}

void watches_add(Watches *watches, Group *group)
{
        ch_group *opened;

        if (ch_tree_open_group(watches->groups->tree, group->path, &opened, NULL) < 0)
                return;
        watches_add_open(watches, group, ch_group_get_fd(opened));
        ch_group_unref(opened);
}

void watches_remove(Watches *watches, Group *group)
{
        for (unsigned kind = 0; kind < WATCH_MAX_; kind++) {
                if (!group->watches[kind])
                        continue;
                hash_remove(&watches->by_descriptor, (uint64_t)group->watches[kind]);
                /* fails where the kernel has dropped it with the directory */
                (void)inotify_rm_watch(watches->fd, group->watches[kind]);
                group->watches[kind] = 0;
        }
}

/* ---- new directories ---- */

static void drop_young(Watches *watches, Young *young)
{
        *(young->prev ? &young->prev->next : &watches->young) = young->next;
        *(young->next ? &young->next->prev : &watches->youngest) = young->prev;
        if (hash_get(&watches->young_by_path, young->key) == young)
                (void)hash_remove(&watches->young_by_path, young->key);
        free(young);
}

static Young *find_young(const Watches *watches, const char *path)
{
        Young *young = hash_get(&watches->young_by_path, hash_string(path));

        return young && streq(young->path, path) ? young : NULL;
}

/* Groups below may have been made before it was watched; somebody may have been killed in it. */
static void take_in(Watches *watches, const char *path)
{
        const GroupsObserver *observer = &watches->groups->observer;
        Group *group = groups_find(watches->groups, path);
        int was_known = group != NULL;

        if (ch_path_check(path, NULL) < 0)
                return;
        if (groups_scan(watches->groups, path, SUBTREE_MAX, NULL) == -E2BIG)
                rescan(watches);
        group = groups_find(watches->groups, path);
        if (!group)
                observer->missed(path, observer->userdata);
        else if (!was_known && group->oom_kills > 0)
                observer->oom(group, group->oom_kills, observer->userdata);
}

static void take_in_oldest(Watches *watches)
{
        _cleanup_(freep) char *path = strdup(watches->young->path);

        drop_young(watches, watches->young);
        if (path)
                take_in(watches, path);
}

void watches_settle(Watches *watches)
{
        while (watches->young)
                take_in_oldest(watches);
}

static int on_growth(sd_event_source *source, uint64_t usec, void *userdata)
{
        Watches *watches = userdata;

        for (unsigned i = 0; watches->young && i < YOUNG_MAX; i++)
                take_in_oldest(watches);
        if (watches->young) {
                (void)sd_event_source_set_time_relative(source, 0);
                (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        return 0;
}

void watches_expect(Watches *watches, const char *path)
{
        size_t size = strlen(path) + 1;
        Young *young;

        if (find_young(watches, path))
                return;
        young = malloc(sizeof(*young) + size);
        if (!young) {
                take_in(watches, path);
                return;
        }
        *young = (Young){ .prev = watches->youngest, .key = hash_string(path) };
        memcpy(young->path, path, size);
        *(young->prev ? &young->prev->next : &watches->young) = young;
        watches->youngest = young;
        (void)hash_put(&watches->young_by_path, young->key, young);
        if (young->prev)
                return;
        (void)sd_event_source_set_time_relative(watches->growth, YOUNG_USEC);
        (void)sd_event_source_set_enabled(watches->growth, SD_EVENT_ONESHOT);
}

/* ---- events ---- */

static void on_child(Watches *watches, Group *parent, const struct inotify_event *event)
{
        _cleanup_(freep) char *path = NULL;
        Young *young;
        Group *group;

        if (!(event->mask & IN_ISDIR))
                return;
        if (asprintf(&path, "%s/%s", parent->parent ? parent->path : "", event->name) < 0)
                return;
        if (event->mask & IN_CREATE) {
                watches_expect(watches, path);
                return;
        }
        young = find_young(watches, path);
        if (young) {
                drop_young(watches, young);
                watches->groups->observer.missed(path, watches->groups->observer.userdata);
        }
        /* it may be there again: only what the tree says counts */
        group = groups_find(watches->groups, path);
        if (group)
                (void)groups_refresh(watches->groups, group);
}

/* The memory controller may have been enabled before somebody came in. */
static void on_changed(Watches *watches, Group *group, unsigned kind)
{
        int r = kind == WATCH_EVENTS ? groups_refresh_events(watches->groups, group)
                                     : groups_refresh(watches->groups, group);

        if (r >= 0 && !group->watches[WATCH_MEMORY] &&
            (kind == WATCH_DIRECTORY || group->flags & GROUP_POPULATED))
                watches_add(watches, group);
}

static void on_one(Watches *watches, const struct inotify_event *event)
{
        uintptr_t tagged = (uintptr_t)hash_get(&watches->by_descriptor, (uint64_t)event->wd);
        unsigned kind = tagged & 3;
        Group *group = (Group *)(tagged - kind);

        if (event->mask & IN_Q_OVERFLOW) {
                log_info("inotify lost events: reading the tree again");
                rescan(watches);
                return;
        }
        if (!tagged)
                return;
        if (event->mask & IN_IGNORED) {
                hash_remove(&watches->by_descriptor, (uint64_t)event->wd);
                group->watches[kind] = 0;
        } else if (event->mask & (IN_CREATE | IN_DELETE)) {
                on_child(watches, group, event);
        } else if (kind == WATCH_MEMORY) {
                groups_refresh_memory(watches->groups, group);
        } else if (event->len == 0) { /* of a child or a file: the child's own watch tells it too */
                on_changed(watches, group, kind);
        }
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Watches *watches = userdata;
        _Alignas(struct inotify_event) char buffer[16384]; /* some 400 events a turn */
        ssize_t n;

        n = read(fd, buffer, sizeof(buffer));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        for (char *p = buffer; p < buffer + n;) {
                const struct inotify_event *event = (const struct inotify_event *)p;

                on_one(watches, event);
                p += sizeof(*event) + event->len;
        }
        return 0;
}

static int start_sources(Watches *watches, sd_event *event)
{
        RescanObserver observer = { .met = on_met, .ended = on_rescan_ended, .userdata = watches };
        int r;

        watches->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (watches->fd < 0)
                return -errno;
        r = sd_event_add_io(event, &watches->io, watches->fd, EPOLLIN, on_events, watches);
        if (r >= 0)
                r = sd_event_source_set_ratelimit(watches->io, READINGS_USEC, READINGS_MAX);
        if (r >= 0)
                r = sd_event_add_time(event, &watches->timer, CLOCK_MONOTONIC, UINT64_MAX, 0,
                                      on_timer, watches);
        if (r >= 0)
                r = sd_event_source_set_enabled(watches->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &watches->growth, CLOCK_MONOTONIC, UINT64_MAX, 0,
                                      on_growth, watches);
        if (r >= 0)
                r = sd_event_source_set_enabled(watches->growth, SD_EVENT_OFF);
        if (r >= 0)
                r = rescan_new(event, watches->groups, &observer, &watches->rescan);
        return r;
}

int watches_new(sd_event *event, Groups *groups, uint64_t rescan_usec, Watches **ret)
{
        Watches *watches = calloc(1, sizeof(*watches));
        int r;

        if (!watches)
                return -ENOMEM;
        watches->groups = groups;
        watches->rescan_usec = rescan_usec;
        r = start_sources(watches, event);
        if (r < 0) {
                (void)watches_free(watches);
                return r;
        }
        *ret = watches;
        return 0;
}

void watches_stop(Watches *watches)
{
        rescan_stop(watches->rescan);
}

int watches_free(Watches *watches)
{
        if (!watches)
                return 1;
        if (!rescan_free(watches->rescan))
                return 0;
        sd_event_source_unref(watches->io);
        sd_event_source_unref(watches->timer);
        sd_event_source_unref(watches->growth);
        while (watches->young)
                drop_young(watches, watches->young);
        hash_done(&watches->young_by_path);
        hash_done(&watches->by_descriptor);
        safe_close(watches->fd);
        free(watches);
        return 1;
}
