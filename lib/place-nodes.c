/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* On which NUMA nodes the pages of a set are: /proc/PID/numa_maps, where there is more than one
 * node. */

#include <fcntl.h>

#include "place-report.h"
#include "procstat.h"
#include "util.h"

enum {
        NUMA_MAPS_MAX_BYTES = 64 << 20,
};

/* The word after `key` in the line, as a number. */
static int find_number(const char *line, size_t length, const char *key, uint64_t *ret)
{
        const char *at = memmem(line, length, key, strlen(key));

        return at ? parse_u64(at + strlen(key), ret, &at) : -ENOENT;
}

/* "7f… default anon=12 dirty=12 N0=8 N1=4 kernelpagesize_kB=4" (fs/proc/task_mmu.c) */
void numa_maps_add_line(const char *line, size_t length, uint64_t bytes[CH_PLACE_NODES])
{
        uint64_t page_kib = 4;

        (void)find_number(line, length, " kernelpagesize_kB=", &page_kib);
        for (const char *p = line, *end = line + length; p < end; p++) {
                uint64_t node, pages;
                const char *rest;

                if (p[0] != ' ' || p[1] != 'N' || parse_u64(p + 2, &node, &rest) < 0 ||
                    *rest != '=' || parse_u64(rest + 1, &pages, &rest) < 0)
                        continue;
                if (node < CH_PLACE_NODES)
                        bytes[node] += pages * page_kib * 1024;
        }
}

static void add_process(ch_place_report *report, pid_t pid)
{
        _cleanup_(freep) char *text = NULL;
        char path[PROC_PATH_MAX + 8] = "/proc/";
        size_t size;

        (void)proc_path(path + 6, pid, "/numa_maps");
        if (read_file_at(AT_FDCWD, path, NUMA_MAPS_MAX_BYTES, &text, &size) < 0)
                return;
        for (const char *p = text, *end = text + size; p < end;) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                size_t length = (size_t)((newline ? newline : end) - p);

                numa_maps_add_line(p, length, report->source.node_bytes);
                p += length + 1;
        }
}

/* Nodes that have memory; 1 (node 0) on kernels without NUMA. */
static uint64_t read_memory_nodes(void)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t nodes;

        if (read_file_at(AT_FDCWD, "/sys/devices/system/node/has_memory", 4096, &text, NULL) < 0 ||
            ch_place_nodes_parse(text, &nodes) < 0 || nodes == 0)
                return 1;
        return nodes;
}

int place_read_nodes(ch_place_report *report, const ch_procset *set)
{
        uint64_t nodes = read_memory_nodes();

        if ((nodes & (nodes - 1)) == 0) {
                report->source.node_bytes[__builtin_ctzll(nodes)] = report->source.resident_bytes;
                return 0;
        }
        for (size_t i = 0; i < ch_procset_n_mms(set); i++)
                add_process(report, ch_procset_get_mm(set, i)->pid);
        return 0;
}
