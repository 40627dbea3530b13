/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The charge map: pages of processes summed up by group charged and kind, each page once. */

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "map.h"
#include "mm.h"
#include "procstat.h"
#include "util.h"

/* Pages of one process that others may map as well: marked only once all of the process has been
 * read. */
typedef struct SharedRun {
        uint64_t first;         /* PFN or swap slot */
        uint32_t n;
        uint32_t row;           /* of the batch */
} SharedRun;

/* What one process adds; dropped as a whole if it exits meanwhile. */
typedef struct MapBatch {
        ch_map rows;            /* only its rows are used */
        SharedRun *shared;
        size_t n_shared, n_shared_allocated;
} MapBatch;

static const char *const kind_words[] = {
#define WORD(id, word, doc) [CH_KIND_##id] = word,
        CH_KINDS(WORD)
#undef WORD
};

_public_ const char *ch_kind_to_string(ch_kind kind)
{
        return (unsigned)kind < ELEMENTSOF(kind_words) ? kind_words[kind] : "unknown";
}

_public_ int ch_map_new(ch_tree *tree, ch_map **ret, ch_error **err)
{
        PageReader *reader = NULL;
        ch_map *map;
        int r;

        map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;
        map_find_module(map);
        /* tells early, and for all, what the kernel or the caller lacks */
        r = map->module ? 0 : pagereader_new(getpid(), &reader, err);
        if (r < 0) {
                (void)ch_map_free(map);
                return r;
        }
        (void)pagereader_free(reader);
        map->tree = tree ? ch_tree_ref(tree) : NULL;
        *ret = map;
        return 0;
}

_public_ ch_map *ch_map_free(ch_map *map)
{
        if (!map)
                return NULL;
        for (size_t i = 0; i < map->n_names; i++)
                free(map->names[i].name);
        free(map->names);
        free(map->rows);
        free(map->members);
        free(map->target);
        (void)ch_module_free(map->own_module);
        module_rows_done(&map->module_rows);
        pfnset_done(&map->pages);
        pfnset_done(&map->swaps);
        if (map->tree)
                (void)ch_tree_unref(map->tree);
        free(map);
        return NULL;
}

int map_set_target(ch_map *map, const char *format, ...)
{
        va_list args;
        char *text;
        int r;

        va_start(args, format);
        r = vasprintf(&text, format, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        free(map->target);
        map->target = text;
        return 0;
}

ch_map_row *map_get_row(ch_map *map, uint64_t group_id, ch_kind kind)
{
        for (size_t i = map->n_rows; i > 0; i--)
                if (map->rows[i - 1].group_id == group_id && map->rows[i - 1].kind == kind)
                        return &map->rows[i - 1];
        if (array_reserve(&map->rows, &map->n_rows_allocated, map->n_rows + 1,
                          sizeof(*map->rows)) < 0)
                return NULL;
        map->rows[map->n_rows] = (ch_map_row){ .group_id = group_id, .kind = kind };
        return &map->rows[map->n_rows++];
}

static int compare_rows(const void *a, const void *b)
{
        const ch_map_row *x = a, *y = b;

        if (x->bytes != y->bytes)
                return x->bytes > y->bytes ? -1 : 1;
        if (x->group_id != y->group_id)
                return x->group_id < y->group_id ? -1 : 1;
        return (int)x->kind - (int)y->kind;
}

void map_sort(ch_map *map)
{
        if (map->n_rows > 1)
                qsort(map->rows, map->n_rows, sizeof(*map->rows), compare_rows);
}

static void batch_done(MapBatch *batch)
{
        free(batch->rows.rows);
        free(batch->shared);
}

/* Runs longer than 2^32 pages do not occur: a batch of the reader is far smaller. */
static int batch_add_shared(MapBatch *batch, uint64_t first, uint64_t n, size_t row)
{
        SharedRun *last = batch->n_shared ? &batch->shared[batch->n_shared - 1] : NULL;

        if (last && last->row == row && last->first + last->n == first &&
            last->n + n <= UINT32_MAX) {
                last->n += (uint32_t)n;
                return 0;
        }
        if (array_reserve(&batch->shared, &batch->n_shared_allocated, batch->n_shared + 1,
                          sizeof(*batch->shared)) < 0)
                return -ENOMEM;
        batch->shared[batch->n_shared++] =
                (SharedRun){ .first = first, .n = (uint32_t)n, .row = (uint32_t)row };
        return 0;
}

static int batch_add_run(const PageRun *run, void *userdata)
{
        MapBatch *batch = userdata;
        uint64_t bytes = run->end - run->start;
        ch_map_row *row;

        row = map_get_row(&batch->rows, run->group_id, run->kind);
        if (!row)
                return -ENOMEM;
        row->bytes_mapped += bytes;
        if (!(run->flags & PAGERUN_EXCLUSIVE))
                return batch_add_shared(batch, run->pfn, bytes / 4096,
                                        (size_t)(row - batch->rows.rows));
        row->bytes += bytes;
        return 0;
}

static int batch_commit(const MapBatch *batch, ch_map *map)
{
        for (size_t i = 0; i < batch->rows.n_rows; i++) {
                const ch_map_row *from = &batch->rows.rows[i];
                ch_map_row *to = map_get_row(map, from->group_id, from->kind);

                if (!to)
                        return -ENOMEM;
                to->bytes += from->bytes;
                to->bytes_mapped += from->bytes_mapped;
        }
        for (size_t i = 0; i < batch->n_shared; i++) {
                const SharedRun *run = &batch->shared[i];
                const ch_map_row *from = &batch->rows.rows[run->row];
                ch_map_row *to = map_get_row(map, from->group_id, from->kind);
                int is_swap = from->kind == CH_KIND_SWAP;
                uint64_t n_new;

                if (!to ||
                    pfnset_add(is_swap ? &map->swaps : &map->pages, run->first, run->n, &n_new) < 0)
                        return -ENOMEM;
                to->bytes += n_new * 4096;
                /* whether a swap slot is shared cannot be seen */
                to->bytes_shared += is_swap ? 0 : n_new * 4096;
        }
        return 0;
}

static int batch_read(MapBatch *batch, pid_t pid, ch_error **err)
{
        _cleanup_(freep) Mapping *mappings = NULL;
        PageReader *reader = NULL;
        size_t n;
        int r;

        r = mappings_read_fast(pid, &mappings, &n, err);
        if (r < 0)
                return r;
        r = pagereader_new(pid, &reader, err);
        if (r < 0)
                return r;
        pagereader_want_pfns(reader, PFNS_SHARED);
        for (size_t i = 0; i < n && r >= 0; i++) {
                if (mappings[i].flags & MAPPING_VDSO)
                        continue;
                r = pagereader_walk(reader, &mappings[i], mappings[i].start, mappings[i].end,
                                    batch_add_run, batch, err);
        }
        (void)pagereader_free(reader);
        return r;
}

/* Was this address space added by way of another process? Compared by kcmp only where the stacks
 * agree. */
static int is_known_mm(const ch_map *map, const ProcStat *stat)
{
        for (size_t i = 0; i < map->n_members; i++) {
                const MapMember *member = &map->members[i];

                if (member->start_stack != stat->start_stack)
                        continue;
                if (member->pid == stat->pid ? member->start_ticks == stat->start_ticks
                                             : mm_compare(member->pid, stat->pid) == 0)
                        return 1;
        }
        return 0;
}

static int remember_mm(ch_map *map, const ProcStat *stat)
{
        if (array_reserve(&map->members, &map->n_members_allocated, map->n_members + 1,
                          sizeof(*map->members)) < 0)
                return -ENOMEM;
        map->members[map->n_members++] = (MapMember){
                .pid = stat->pid,
                .start_ticks = stat->start_ticks,
                .start_stack = stat->start_stack,
        };
        return 0;
}

static int process_gone(const ch_process *process, ch_error **err)
{
        return error_set(err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, NULL, "process %d is gone",
                         process->pid);
}

static int read_stat(const ch_process *process, ProcStat *ret)
{
        int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), r;

        if (proc_fd < 0)
                return -errno;
        r = procstat_read(proc_fd, process->pid, ret);
        (void)safe_close(proc_fd);
        if (r >= 0 && ret->start_ticks != process->start_ticks)
                return -ESRCH;
        return r;
}

static int add_by_reading(ch_map *map, const ch_process *process, const ProcStat *stat, ch_error **err)
{
        _cleanup_(batch_done) MapBatch batch = {};
        int r;

        r = batch_read(&batch, process->pid, err);
        if (r < 0)
                return r;
        /* an exec or exit in between would have us add up parts of two address spaces */
        if (!ch_process_is_alive(process))
                return process_gone(process, err);
        if (remember_mm(map, stat) < 0)
                return -ENOMEM;
        return batch_commit(&batch, map);
}

/* Adds without sorting. 1 added, 0 has no address space or was added. */
static int add_process(ch_map *map, const ch_process *process, ch_error **err)
{
        ProcStat stat;
        int r;

        r = read_stat(process, &stat);
        if (r == -ESRCH)
                return process_gone(process, err);
        if (r < 0)
                return error_errno(err, r, "/proc", "reading a process");
        if (stat.vsize_bytes == 0 || is_known_mm(map, &stat))
                return 0;
        r = map->module ? map_add_by_module(map, process, err) : -EOPNOTSUPP;
        if (r == -EOPNOTSUPP)
                r = add_by_reading(map, process, &stat, err);
        else if (r >= 0)
                r = remember_mm(map, &stat); /* the module reads one address space whole, or nothing */
        return r < 0 ? r : 1;
}

_public_ int ch_map_add_process(ch_map *map, const ch_process *process, ch_error **err)
{
        int r;

        r = add_process(map, process, err);
        if (r < 0)
                return r;
        map->n_processes++;
        map_sort(map);
        return map->target ? 0 : map_set_target(map, "%d", process->pid);
}

/* Of those that share the mm the first that is still there to be read. */
static int add_mm(ch_map *map, const ch_procset *set, uint32_t mm, ch_error **err)
{
        for (size_t i = 0; i < ch_procset_size(set); i++) {
                const ch_process *process = ch_procset_get(set, i);
                int r;

                if (process->mm != mm)
                        continue;
                r = add_process(map, process, NULL);
                if (r >= 0)
                        return 0;
                if (r != -ESRCH)
                        return add_process(map, process, err);
        }
        return -ESRCH;
}

_public_ int ch_map_add_set(ch_map *map, ch_procset *set, ch_error **err)
{
        const ch_process *first = ch_procset_get(set, 0);
        int r;

        if (ch_procset_n_mms(set) == 0) {
                r = ch_procset_find_mms(set, err);
                if (r < 0)
                        return r;
        }
        for (uint32_t mm = 0; mm < ch_procset_n_mms(set); mm++) {
                const ch_process *process = ch_procset_find(set, ch_procset_get_mm(set, mm)->pid);

                r = process ? add_process(map, process, NULL) : -ESRCH;
                if (r < 0)
                        r = add_mm(map, set, mm, err);
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        map->n_processes += ch_procset_size(set);
        map->n_exited += ch_procset_size(set) - (size_t)ch_procset_update(set);
        map_sort(map);
        if (!map->target && first)
                return map_set_target(map, "%d", first->pid);
        return 0;
}

_public_ size_t ch_map_n_rows(const ch_map *map)
{
        return map->n_rows;
}

_public_ const ch_map_row *ch_map_get_row(const ch_map *map, size_t index)
{
        return index < map->n_rows ? &map->rows[index] : NULL;
}

_public_ uint64_t ch_map_sum(const ch_map *map, uint64_t group_id, ch_kind kind)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < map->n_rows; i++) {
                if (group_id != CH_GROUP_ID_ANY && map->rows[i].group_id != group_id)
                        continue;
                if (kind == CH_KIND_ANY || map->rows[i].kind == kind)
                        sum += map->rows[i].bytes;
        }
        return sum;
}

_public_ size_t ch_map_n_exited(const ch_map *map)
{
        return map->n_exited;
}
