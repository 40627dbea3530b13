/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes room in the target before anything is moved there: memory.reclaim, in pieces. */

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "move.h"
#include "util.h"

enum {
        CHUNK_BYTES = 16 << 20, /* between two looks at whether the move was cancelled */
        FRUITLESS_MAX = 5,      /* chunks that changed nothing */
};

/* -EAGAIN: the kernel could not reclaim all of it. */
static int reclaim(int fd, uint64_t bytes)
{
        char text[32];
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);

        return pwrite(fd, text, (size_t)n, 0) < 0 ? -errno : 0;
}

int move_make_room(ch_move *m, ch_error **err)
{
        const Source *target = &m->plan->members.sources[SOURCE_TARGET];
        _cleanup_(closep) int fd = openat(target->dir_fd, "memory.reclaim", O_WRONLY | O_CLOEXEC);
        uint64_t before = UINT64_MAX, budget = m->plan->options.reclaim_bytes;
        unsigned fruitless = 0;
        const Room *worst;
        int r;

        if (fd < 0)
                return error_errno(err, errno, target->path, "opening memory.reclaim");
        for (;;) {
                r = move_interrupted(m);
                if (r >= 0)
                        r = plan_read_rooms(m->plan, &worst, err);
                if (r < 0 || !worst)
                        return r;
                fruitless = worst->short_bytes < before ? 0 : fruitless + 1;
                before = worst->short_bytes;
                if (fruitless >= FRUITLESS_MAX || budget == 0)
                        return room_error(worst, err);
                r = reclaim(fd, min_u64(min_u64(CHUNK_BYTES, worst->short_bytes), budget));
                if (r < 0 && r != -EAGAIN && r != -EINTR)
                        return error_errno(err, r, target->path, "writing memory.reclaim");
                budget -= min_u64(budget, CHUNK_BYTES);
        }
}
