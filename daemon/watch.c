/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns inotify events of cgroupfs into changes of the model. */

#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "error.h"
#include "log.h"
#include "rescan.h"
#include "util.h"
#include "watch.h"

/* Groups that one event may add on the spot */
#define SUBTREE_MAX 64

struct Watches {
        sd_event_source *io, *timer; /* the timer: while some group is not watched, or after a
                                        failure */
        Rescan *rescan;
        Groups *groups;
        Hash by_descriptor; /* → Group, the kind in the two lowest bits */
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

void watches_add(Watches *watches, Group *group)
{
        ch_group *opened;

        if (ch_tree_open_group(watches->groups->tree, group->path, &opened, NULL) < 0)
                return;
        for (unsigned kind = 0; kind < WATCH_MAX_; kind++)
                if (!group->watches[kind] && !(watches->incomplete && kind == WATCH_MEMORY))
                        add_one(watches, group, ch_group_get_fd(opened), kind);
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

static void on_child(Watches *watches, Group *parent, const struct inotify_event *event)
{
        _cleanup_(freep) char *path = NULL;
        Group *group;

        if (!(event->mask & IN_ISDIR))
                return;
        if (asprintf(&path, "%s/%s", parent->parent ? parent->path : "", event->name) < 0)
                return;
        group = groups_find(watches->groups, path);
        if (event->mask & IN_DELETE) {
                /* it may be there again: only what the tree says counts */
                if (group)
                        (void)groups_refresh(watches->groups, group);
                return;
        }
        /* groups below may have been made before it was watched */
        if (ch_path_check(path, NULL) >= 0 &&
            groups_scan(watches->groups, path, SUBTREE_MAX, NULL) == -E2BIG)
                rescan(watches);
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
        } else if (groups_refresh(watches->groups, group) >= 0 && !group->watches[WATCH_MEMORY]) {
                watches_add(watches, group); /* the memory controller may have been enabled */
        }
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Watches *watches = userdata;
        _Alignas(struct inotify_event) char buffer[4096]; /* some 100 events a turn */
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
                r = sd_event_add_time(event, &watches->timer, CLOCK_MONOTONIC, UINT64_MAX, 0,
                                      on_timer, watches);
        if (r >= 0)
                r = sd_event_source_set_enabled(watches->timer, SD_EVENT_OFF);
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
        hash_done(&watches->by_descriptor);
        safe_close(watches->fd);
        free(watches);
        return 1;
}
