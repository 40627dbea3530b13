/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The charge map where the kernel module is loaded: it walks the page tables itself, and knows who pays for swap. */

#include <fcntl.h>
#include <sys/syscall.h>

#include "error.h"
#include "map.h"
#include "util.h"

void map_find_module(ch_map *map)
{
        if (ch_module_open(&map->own_module, NULL) >= 0)
                map->module = map->own_module;
}

_public_ int ch_map_use_module(ch_map *map, ch_module *module, ch_error **err)
{
        PageReader *reader = NULL;
        int r;

        if (map->n_members)
                return error_set(err, CH_ERROR_BAD_VALUE, EBUSY, NULL,
                                 "the map has begun already: choose what reads it before the first process is added");
        if (!module) {
                r = pagereader_new(getpid(), &reader, err);
                if (r < 0)
                        return r;
                (void)pagereader_free(reader);
        }
        map->own_module = ch_module_free(map->own_module);
        map->module = module;
        return 0;
}

static int open_pidfd(const ch_process *process)
{
        int fd = process->pidfd >= 0 ? fcntl(process->pidfd, F_DUPFD_CLOEXEC, 3)
                                     : (int)syscall(SYS_pidfd_open, process->pid, 0);

        return fd < 0 ? -errno : fd;
}

static int add_row(ch_map *map, const struct chargehand_map_row *row)
{
        ch_kind kind = module_kind(row->kind);
        ch_map_row *to = map_get_row(map, kind == CH_KIND_UNCHARGED ? CH_GROUP_ID_NONE : row->group_id, kind);

        if (!to)
                return -ENOMEM;
        to->bytes += row->bytes;
        to->bytes_mapped += row->bytes_mapped;
        /* whether a swap slot is shared cannot be seen */
        to->bytes_shared += kind == CH_KIND_SWAP ? 0 : row->bytes_shared;
        return 0;
}

int map_add_by_module(ch_map *map, const ch_process *process, ch_error **err)
{
        _cleanup_(error_freep) ch_error *reason = NULL;
        _cleanup_(closep) int pidfd = open_pidfd(process);
        int r;

        r = pidfd < 0 ? error_errno(&reason, pidfd, NULL, "pidfd_open")
                      : module_map(map->module, pidfd, map->n_members > 0, &map->module_rows, &reason);
        if (r == -ESRCH)
                return error_set(err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, NULL, "process %d is gone", process->pid);
        /* nothing was counted by it yet: the map can still be read from /proc */
        if (r < 0 && map->n_members == 0 && ch_map_use_module(map, NULL, NULL) >= 0)
                return -EOPNOTSUPP;
        if (r < 0)
                return error_copy(err, reason);
        for (size_t i = 0; i < map->module_rows.n && r >= 0; i++)
                r = add_row(map, &map->module_rows.items[i]);
        return r;
}
