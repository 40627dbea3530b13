/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gathers the facts of a placement from the kernel. */

#include <stdio.h>

#include "error.h"
#include "group.h"
#include "place.h"
#include "place-report.h"
#include "util.h"

/* "avg10" of the line "some"; 0 where it is not told (no CONFIG_PSI, cgroup.pressure 0). */
static int some_avg10(ch_group *group, const char *file, uint32_t *ret)
{
        ch_value value = CH_VALUE_INIT;
        int r;

        r = ch_group_read(group, ch_attr_find(file), &value, NULL);
        if (r < 0)
                return r;
        r = -ENODATA;
        for (size_t i = 0; i < value.n_nested; i++) {
                const ch_nested *line = &value.nested[i];

                for (size_t k = 0; streq(line->key, "some") && k < line->n_entries; k++) {
                        if (!streq(line->entries[k].key, "avg10"))
                                continue;
                        *ret = (uint32_t)min_u64(line->entries[k].value, PERMYRIAD);
                        r = 0;
                }
        }
        ch_value_done(&value);
        return r;
}

static void read_pressure(ch_group *group, ch_place_facts *facts)
{
        static const char *const files[] = { "memory.pressure", "cpu.pressure", "io.pressure" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                if (some_avg10(group, files[i], &facts->pressure_permyriad[i]) < 0)
                        facts->pressure_unknown = 1;
}

static int refuse(ch_place_report *report, size_t i, const char *why)
{
        char *text = strdup(why);

        if (!text)
                return -ENOMEM;
        report->candidates[i].refused = text;
        report->facts[i].refused = text;
        return 0;
}

/* A group without an account of its own cannot be charged, only an ancestor. */
static int check_account(ch_group *group, ch_error **why)
{
        ch_tree *tree = ch_group_get_tree(group);
        const char *path = ch_group_get_path(group);
        _cleanup_(error_freep) ch_error *off = NULL;

        if (path[1] == '\0' || !memory_is_on(tree) ||
            faccessat(ch_group_get_fd(group), "memory.current", F_OK, 0) == 0)
                return 0;
        (void)error_controller_off(tree, path, "memory", &off);
        return error_set(why, CH_ERROR_CONTROLLER_OFF, 0, path, "has no account of its own: %s",
                         ch_error_get_cause(off));
}

static int check_candidate(ch_group *group, ch_error **why)
{
        ch_group_state state = { 0 };
        int r;

        r = ch_group_read_state(group, &state, why);
        if (r < 0)
                return r;
        r = group_check_takes_processes(ch_group_get_path(group), &state, why);
        if (r >= 0 && state.frozen)
                r = error_set(why, CH_ERROR_BAD_TARGET, EBUSY, ch_group_get_path(group),
                              "is frozen and would stop the processes; thaw it first "
                              "(cgroup.freeze)");
        ch_group_state_done(&state);
        return r < 0 ? r : check_account(group, why);
}

static int read_candidate(ch_place_report *report, size_t i, ch_tree *tree)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        _cleanup_(error_freep) ch_error *why = NULL;
        int r;

        r = ch_tree_open_group(tree, report->facts[i].group, &group, &why);
        if (r >= 0)
                r = check_candidate(group, &why);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return refuse(report, i, ch_error_get_cause(why));
        read_pressure(group, &report->facts[i]);
        (void)memcg_id_of(ch_group_get_fd(group), &report->candidates[i].memcg_id);
        return 0;
}

/* One that is gone is passed over; where none is there the request was wrong. */
static int check_any_is_there(const ch_place_report *report, ch_tree *tree, ch_error **err)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;

        for (size_t i = 0; i < report->n; i++)
                if (place_find_node(report, report->facts[i].group)->errnum != ENODEV)
                        return 0;
        return ch_tree_open_group(tree, report->facts[0].group, &group, err);
}

static int read_set(ch_place_report *report, ch_tree *tree, const ch_place_request *request,
                    ch_procset *set, ch_error **err)
{
        static const ch_move_options defaults = CH_MOVE_OPTIONS_INIT;
        int r;

        if (!memory_is_on(tree))
                return 0;
        r = place_read_charges(report, tree, request->move ? request->move : &defaults, set, err);
        if (r < 0)
                return r;
        r = place_read_shared(report, tree, set, err);
        return r < 0 ? r : place_read_nodes(report, set);
}

/* The tightest limit once more by itself, for those who look at one only. */
static void fill_tightest(ch_place_report *report, const ch_place_request *request)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        for (size_t i = 0; i < report->n; i++) {
                ch_place_facts *facts = &report->facts[i];
                PlaceRoom room;

                place_find_room(request, facts, &room);
                facts->limit_bytes = room.level.limit_bytes;
                facts->used_bytes = room.level.used_bytes;
                facts->claimed_bytes = room.level.claimed_bytes;
                facts->limited_by = room.level.path;
                facts->already_bytes = room.level.already_bytes;
                facts->slack_bytes = (uint64_t)(cpus > 0 ? cpus : 1) * STOCK_PAGES *
                                     (uint64_t)sysconf(_SC_PAGESIZE);
        }
}

static int gather(ch_place_report *report, ch_tree *tree, const ch_place_request *request,
                  ch_procset *set, ch_error **err)
{
        int r = 0;

        for (size_t i = 0; i < report->n && r >= 0; i++)
                r = read_candidate(report, i, tree);
        if (r < 0)
                return error_errno(err, r, NULL, "reading candidates");
        r = check_any_is_there(report, tree, err);
        if (r >= 0 && set)
                r = read_set(report, tree, request, set, err);
        if (r < 0)
                return r;
        fill_tightest(report, request);
        return 0;
}

static void report_freep(ch_place_report **report)
{
        (void)ch_place_report_free(*report);
}

static ch_place_report *report_new(size_t n)
{
        ch_place_report *report = calloc(1, sizeof(*report));

        if (!report)
                return NULL;
        report->n = n;
        report->facts = calloc(n, sizeof(*report->facts));
        report->candidates = calloc(n, sizeof(*report->candidates));
        return report->facts && report->candidates ? report : ch_place_report_free(report);
}

_public_ int ch_place_read(ch_tree *tree, const ch_place_request *request, ch_procset *set,
                           const char *const *groups, size_t n, ch_place_claimed_func claimed,
                           void *userdata, ch_place_report **ret, ch_error **err)
{
        _cleanup_(report_freep) ch_place_report *report = NULL;
        int r;

        r = ch_place_check_candidates(groups, n, err);
        if (r < 0)
                return r;
        report = report_new(n);
        if (!report)
                return error_errno(err, ENOMEM, NULL, "placing");
        r = place_read_levels(report, tree, groups, n, claimed, userdata, err);
        if (r >= 0)
                r = gather(report, tree, request, set, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(report);
        return 0;
}

_public_ ch_place_report *ch_place_report_free(ch_place_report *report)
{
        if (!report)
                return NULL;
        for (size_t i = 0; report->candidates && i < report->n; i++) {
                free(report->candidates[i].levels);
                free(report->candidates[i].refused);
        }
        for (size_t i = 0; i < report->n_nodes; i++)
                free(report->nodes[i].path);
        free(report->nodes);
        free(report->candidates);
        free(report->facts);
        free(report);
        return NULL;
}

_public_ const ch_place_source *ch_place_report_get_source(const ch_place_report *report)
{
        return &report->source;
}

_public_ const ch_place_facts *ch_place_report_get_facts(const ch_place_report *report,
                                                         size_t *ret_n)
{
        *ret_n = report->n;
        return report->facts;
}
