/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the limits along the ancestors of all candidates, each group once, up to the machine. */

#include <fcntl.h>

#include "error.h"
#include "group.h"
#include "path.h"
#include "place-report.h"
#include "util.h"

static int compare_nodes(const void *a, const void *b)
{
        const PlaceNode *x = a, *y = b;

        return strcmp(x->path, y->path);
}

const PlaceNode *place_find_node(const ch_place_report *report, const char *path)
{
        const PlaceNode key = { .path = (char *)path };

        return bsearch(&key, report->nodes, report->n_nodes, sizeof(key), compare_nodes);
}

static int add_node(ch_place_report *report, const char *path)
{
        PlaceNode *node;

        if (array_reserve(&report->nodes, &report->n_nodes_allocated, report->n_nodes + 1,
                          sizeof(*report->nodes)) < 0)
                return -ENOMEM;
        node = &report->nodes[report->n_nodes];
        *node = (PlaceNode){ .path = strdup(path),
                             .level.limit_bytes = UINT64_MAX,
                             .cpus_milli = UINT32_MAX };
        if (!node->path)
                return -ENOMEM;
        report->n_nodes++;
        return 0;
}

/* The path with all its ancestors. */
static int add_chain(ch_place_report *report, const char *group)
{
        _cleanup_(freep) char *path = strdup(group);

        if (!path)
                return -ENOMEM;
        for (;;) {
                char *up;
                int r = add_node(report, path);

                if (r < 0 || path[1] == '\0')
                        return r;
                r = path_parent(path, &up);
                if (r < 0)
                        return r;
                free(path);
                path = up;
        }
}

static void sort_nodes(ch_place_report *report)
{
        size_t last = 0;

        qsort(report->nodes, report->n_nodes, sizeof(*report->nodes), compare_nodes);
        for (size_t i = 1; i < report->n_nodes; i++) {
                if (streq(report->nodes[i].path, report->nodes[last].path))
                        free(report->nodes[i].path);
                else
                        report->nodes[++last] = report->nodes[i];
        }
        report->n_nodes = last + 1;
}

int cpu_list_count(const char *text, uint32_t *ret)
{
        uint64_t count = 0;
        const char *p = text;

        while (*p && *p != '\n') {
                uint64_t first, last;

                if (parse_u64(p, &first, &p) < 0)
                        return -EINVAL;
                last = first;
                if (*p == '-' && parse_u64(p + 1, &last, &p) < 0)
                        return -EINVAL;
                if (last < first || last > 1 << 20 || (*p && *p != ',' && *p != '\n'))
                        return -EINVAL;
                count += last - first + 1;
                p += *p == ',';
        }
        *ret = (uint32_t)min_u64(count, UINT32_MAX);
        return 0;
}

int cpu_max_parse(const char *text, uint32_t *ret)
{
        uint64_t quota, period;
        const char *end;

        if (strncmp(text, "max", 3) == 0) {
                *ret = UINT32_MAX;
                return 0;
        }
        if (parse_u64(text, &quota, &end) < 0 || *end != ' ' ||
            parse_u64(end + 1, &period, NULL) < 0 || period == 0 || quota > UINT64_MAX / 1000)
                return -EINVAL;
        *ret = (uint32_t)min_u64(quota * 1000 / period, UINT32_MAX - 1);
        return 0;
}

int meminfo_parse(const char *text, uint64_t *ret_total, uint64_t *ret_used)
{
        static const char *const keys[] = { "MemTotal:", "MemAvailable:" };
        uint64_t kib[ELEMENTSOF(keys)];

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *at = strstr(text, keys[i]), *end;

                if (!at)
                        return -EINVAL;
                at += strlen(keys[i]);
                if (parse_u64(at + strspn(at, " "), &kib[i], &end) < 0 ||
                    kib[i] > UINT64_MAX / 1024)
                        return -EINVAL;
        }
        *ret_total = kib[0] * 1024;
        *ret_used = sub_u64(kib[0], kib[1]) * 1024;
        return 0;
}

/* 1 read, 0 there is no such file or group; what cannot be read must not pass for "no limit". */
static int read_figure(int dir_fd, const char *file, uint64_t *ret)
{
        int r = group_file_u64(dir_fd, file, ret);

        return r >= 0 ? 1 : r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* memory.max or memory.high, whichever is lower: beyond the one nothing is given, beyond the other
 * everybody is slowed down. */
static int read_limit(PlaceNode *node, int dir_fd)
{
        static const char *const files[] = { "memory.max", "memory.high" };
        _cleanup_(freep) char *stat = NULL;
        ch_place_level *level = &node->level;
        int r;

        r = read_figure(dir_fd, "memory.current", &level->used_bytes);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                uint64_t limit;

                r = read_figure(dir_fd, files[i], &limit);
                if (r < 0)
                        return r;
                if (r == 0 || limit >= level->limit_bytes)
                        continue;
                level->limit_bytes = limit;
                level->limit = files[i];
        }
        if (level->limit_bytes != UINT64_MAX &&
            read_file_at(dir_fd, "memory.stat", 64 << 10, &stat, NULL) >= 0)
                level->cache_bytes = min_u64(stat_file_cache(stat), level->used_bytes);
        return 0;
}

static void read_cpus(PlaceNode *node, int dir_fd)
{
        _cleanup_(freep) char *quota = NULL;
        _cleanup_(freep) char *cpus = NULL;
        _cleanup_(freep) char *mems = NULL;
        uint32_t count;

        if (read_file_at(dir_fd, "cpu.max", 256, &quota, NULL) >= 0)
                (void)cpu_max_parse(quota, &node->cpus_milli);
        if (read_file_at(dir_fd, "cpuset.cpus.effective", 64 << 10, &cpus, NULL) >= 0 &&
            cpu_list_count(cpus, &count) >= 0 && count > 0)
                node->cpus_milli = (uint32_t)min_u64(node->cpus_milli, UINT64_C(1000) * count);
        if (read_file_at(dir_fd, "cpuset.mems.effective", 64 << 10, &mems, NULL) >= 0)
                (void)ch_place_nodes_parse(mems, &node->nodes);
}

static int read_node(PlaceNode *node, const ch_tree *tree, ch_error **err)
{
        _cleanup_(closep) int fd = tree_open_dir(tree, node->path, NULL);
        int r;

        node->level.path = node->path;
        if (fd == -ENODEV) {
                node->errnum = ENODEV;
                return 0;
        }
        r = fd < 0 ? fd : read_limit(node, fd);
        if (r < 0)
                return error_errno(err, r, node->path, "reading limits");
        read_cpus(node, fd);
        return 0;
}

/* Above all groups: what the kernel says could be had without swapping. */
static void read_machine(ch_place_report *report)
{
        _cleanup_(freep) char *text = NULL;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        report->machine = (ch_place_level){ .path = CH_PLACE_MACHINE,
                                            .limit = "memory",
                                            .limit_bytes = UINT64_MAX };
        report->machine_cpus_milli = 1000 * (uint32_t)(cpus > 0 ? cpus : 1);
        if (read_file_at(AT_FDCWD, "/proc/meminfo", 64 << 10, &text, NULL) < 0)
                return;
        if (meminfo_parse(text, &report->machine.limit_bytes, &report->machine.used_bytes) < 0)
                report->machine.limit_bytes = UINT64_MAX;
}

/* Levels without a limit are left out, but claims are asked for at each: what is set aside may
 * depend on who asks, so that is asked anew from each candidate on. */
static int fill_candidate(ch_place_report *report, size_t i, ch_place_claimed_func claimed,
                          void *userdata)
{
        ch_place_facts *facts = &report->facts[i];
        ch_place_level level;
        const PlaceNode *node = place_find_node(report, facts->group);
        ch_place_level *levels;
        size_t depth = 2;

        for (const char *p = facts->group; *p; p++)
                depth += *p == '/';
        levels = reallocarray(NULL, depth, sizeof(*levels));
        if (!levels)
                return -ENOMEM;
        report->candidates[i].levels = levels;
        facts->levels = levels;
        facts->cpus_milli = report->machine_cpus_milli;
        for (;;) {
                char *up;

                level = node->level;
                level.claimed_bytes = claimed ? claimed(node->path, userdata) : 0;
                if (level.limit_bytes != UINT64_MAX)
                        levels[facts->n_levels++] = level;
                facts->cpus_milli = (uint32_t)min_u64(facts->cpus_milli, node->cpus_milli);
                if (!facts->nodes)
                        facts->nodes = node->nodes;
                if (node->path[1] == '\0')
                        break;
                if (path_parent(node->path, &up) < 0)
                        return -ENOMEM;
                node = place_find_node(report, up);
                free(up);
        }
        if (report->machine.limit_bytes == UINT64_MAX)
                return 0;
        levels[facts->n_levels] = report->machine;
        levels[facts->n_levels++].claimed_bytes = level.claimed_bytes;
        return 0;
}

int place_read_levels(ch_place_report *report, ch_tree *tree, const char *const *groups, size_t n,
                      ch_place_claimed_func claimed, void *userdata, ch_error **err)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = add_chain(report, groups[i]);
        if (r >= 0)
                sort_nodes(report);
        read_machine(report);
        for (size_t i = 0; i < report->n_nodes && r >= 0; i++)
                r = read_node(&report->nodes[i], tree, err);
        for (size_t i = 0; i < n && r >= 0; i++) {
                report->facts[i].group = place_find_node(report, groups[i])->path;
                r = fill_candidate(report, i, claimed, userdata);
        }
        return r < 0 ? error_errno(err, r, NULL, "reading limits") : 0;
}
