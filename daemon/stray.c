/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notices processes that left the group they were moved to. */

#include <json-c/json.h>
#include <poll.h>
#include <sys/syscall.h>

#include "bus.h"
#include "log.h"
#include "stray.h"
#include "util.h"

#define WATCHED_MAX 1024

typedef struct Watched {
        pid_t pid;
        int pidfd;
        char *group;
} Watched;

struct Strays {
        Manager *manager;
        sd_event_source *timer;
        Watched items[WATCHED_MAX];
        size_t n, next; /* a ring: the oldest is replaced */
};

static void forget(Watched *watched)
{
        watched->pidfd = safe_close(watched->pidfd);
        free(watched->group);
        watched->group = NULL;
}

static void look(Strays *strays, Watched *watched)
{
        struct pollfd p = { .fd = watched->pidfd, .events = POLLIN };
        _cleanup_(freep) char *found = NULL;
        int r;

        if (!watched->group)
                return;
        r = poll(&p, 1, 0) == 0
                    ? ch_tree_path_of_pid(strays->manager->tree, watched->pid, &found, NULL)
                    : -ESRCH;
        if (r >= 0 && streq(found, watched->group))
                return;
        if (r >= 0 || r == -EXDEV) {
                log_info("process %d left '%s', where it was moved to, for '%s'", (int)watched->pid,
                         watched->group, found ? found : "outside");
                bus_emit_strayed(strays->manager->bus, (uint32_t)watched->pid, watched->group,
                                 found ? found : "");
        }
        forget(watched);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Strays *strays = userdata;
        size_t live = 0;

        for (size_t i = 0; i < strays->n; i++) {
                look(strays, &strays->items[i]);
                live += strays->items[i].group != NULL;
        }
        if (live == 0) {
                strays->n = strays->next = 0;
                return 0;
        }
        (void)sd_event_source_set_time_relative(source, strays->manager->conf->stray_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void add(Strays *strays, pid_t pid, const char *group)
{
        Watched *watched = &strays->items[strays->next];
        Watched new = { .pid = pid,
                        .pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
                        .group = strdup(group) };

        if (new.pidfd < 0 || !new.group) {
                forget(&new);
                return;
        }
        if (strays->next < strays->n) {
                forget(watched);
        } else {
                strays->n++;
        }
        *watched = new;
        strays->next = (strays->next + 1) % WATCHED_MAX;
}

/* The next move of the same process may go elsewhere. */
static void forget_pid(Strays *strays, pid_t pid)
{
        for (size_t i = 0; i < strays->n; i++)
                if (strays->items[i].group && strays->items[i].pid == pid)
                        forget(&strays->items[i]);
}

void strays_watch(Strays *strays, json_object *result, const char *group)
{
        json_object *array, *value;

        if (!result || !json_object_object_get_ex(result, "processes", &array) ||
            !json_object_is_type(array, json_type_array))
                return;
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                json_object *row = json_object_array_get_idx(array, i);
                pid_t pid = json_object_object_get_ex(row, "pid", &value)
                                    ? json_object_get_int(value)
                                    : 0;

                if (pid <= 0)
                        continue;
                forget_pid(strays, pid);
                if (json_object_object_get_ex(row, "outcome", &value) &&
                    streq(json_object_get_string(value), "moved"))
                        add(strays, pid, group);
        }
        (void)sd_event_source_set_time_relative(strays->timer, strays->manager->conf->stray_usec);
        (void)sd_event_source_set_enabled(strays->timer,
                                          strays->n ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

int strays_new(Manager *manager, Strays **ret)
{
        Strays *strays = calloc(1, sizeof(*strays));
        int r;

        if (!strays)
                return -ENOMEM;
        strays->manager = manager;
        for (size_t i = 0; i < WATCHED_MAX; i++)
                strays->items[i].pidfd = -EBADF;
        r = sd_event_add_time_relative(manager->event, &strays->timer, CLOCK_MONOTONIC,
                                       manager->conf->stray_usec, 0, on_timer, strays);
        if (r < 0) {
                free(strays);
                return r;
        }
        (void)sd_event_source_set_enabled(strays->timer, SD_EVENT_OFF);
        *ret = strays;
        return 0;
}

Strays *strays_free(Strays *strays)
{
        if (!strays)
                return NULL;
        for (size_t i = 0; i < strays->n; i++)
                forget(&strays->items[i]);
        sd_event_source_disable_unref(strays->timer);
        free(strays);
        return NULL;
}
