/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Against fork storms: freezes groups that are wholly part of a move while their processes are
 * moved out. */

#include <fcntl.h>

#include "error.h"
#include "group.h"
#include "move.h"
#include "util.h"

enum {
        FREEZE_DEADLINE_USEC = 2000000,
        FREEZE_POLL_USEC = 1000,
};

static int write_freeze(const Source *source, const char *text)
{
        _cleanup_(closep) int fd = openat(source->dir_fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, 1) < 0)
                return -errno;
        return 0;
}

static int events_have(const Source *source, const char *line)
{
        _cleanup_(freep) char *events = NULL;

        return read_file_at(source->dir_fd, "cgroup.events", 4096, &events, NULL) >= 0 &&
               strstr(events, line);
}

static int has_children(const Source *source)
{
        _cleanup_(freep) char *stat = NULL;

        return read_file_at(source->dir_fd, "cgroup.stat", 4096, &stat, NULL) < 0 ||
               !strstr(stat, "nr_descendants 0\n");
}

/* Only where nobody else is stopped: no other members, no groups below, the target not among them.
 */
static int may_freeze(const ch_move *m, const Source *source)
{
        if (source->outside || source->n_inside == 0 || source->frozen_by_us)
                return 0;
        if (!source_is_whole(source) && !(m->plan->group && streq(m->plan->group, source->path)))
                return 0;
        return !has_children(source) && !events_have(source, "frozen 1");
}

/* Processes in the kernel may take their time; whoever is not stopped by then is moved running. */
static void wait_frozen(const Source *source)
{
        uint64_t deadline = now_usec() + FREEZE_DEADLINE_USEC;

        while (!events_have(source, "frozen 1") && now_usec() < deadline)
                (void)usleep(FREEZE_POLL_USEC);
}

int move_freeze(ch_move *m, ch_error **err)
{
        Members *ms = &m->plan->members;
        size_t n = 0;
        int r;

        if (!m->plan->options.freeze_on_storm)
                return 0;
        for (size_t i = SOURCE_TARGET + 1; i < ms->n_sources; i++) {
                if (!may_freeze(m, &ms->sources[i]))
                        continue;
                ms->sources[i].frozen_by_us = 1;
                n++;
        }
        if (n == 0)
                return 0;
        r = move_enter(m, m->step, err);
        if (r < 0)
                return r;
        for (size_t i = SOURCE_TARGET + 1; i < ms->n_sources; i++)
                if (ms->sources[i].frozen_by_us)
                        (void)write_freeze(&ms->sources[i], "1");
        for (size_t i = SOURCE_TARGET + 1; i < ms->n_sources; i++)
                if (ms->sources[i].frozen_by_us)
                        wait_frozen(&ms->sources[i]);
        return 0;
}

int move_thaw(ch_move *m)
{
        Members *ms = &m->plan->members;
        int result = 0;

        for (size_t i = SOURCE_TARGET + 1; i < ms->n_sources; i++) {
                int r = ms->sources[i].frozen_by_us ? write_freeze(&ms->sources[i], "0") : 0;

                if (r < 0 && r != -ENODEV && r != -ENOENT) {
                        result = r;
                        continue;
                }
                ms->sources[i].frozen_by_us = 0;
        }
        return result;
}
