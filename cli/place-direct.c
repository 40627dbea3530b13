/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A place chosen without the daemon: what it has set aside for others is not known. */

#include "place-request.h"

static int add_processes(Cli *cli, const MoveSpec *what, ch_procset *set, ch_error **err)
{
        _cleanup_(group_unrefp) ch_group *group = NULL;
        int r = 0;

        if (what->group) {
                r = ch_tree_open_group(cli->tree, what->group, &group, err);
                return r < 0 ? r : ch_procset_add_group(set, group, 0, err);
        }
        for (size_t i = 0; r >= 0 && i < what->n_pids; i++)
                r = what->with_tree ? ch_procset_add_tree(set, what->pids[i], err)
                                    : ch_procset_add_pid(set, what->pids[i], err);
        return r;
}

static int add_refusal(struct json_object *placement, const ch_error *error)
{
        struct json_object *refusal = json_object_new_object();

        if (!refusal ||
            jadd(refusal, "kind", jstring(ch_error_kind_to_name(ch_error_get_kind(error)))) < 0 ||
            jadd(refusal, "path", jstring(ch_error_get_path(error))) < 0 ||
            jadd(refusal, "cause", jstring(ch_error_get_cause(error))) < 0) {
                json_object_put(refusal);
                return -ENOMEM;
        }
        return jadd(placement, "refusal", refusal);
}

static int choose(const PlaceSpec *spec, const ch_place_report *report, struct json_object **ret)
{
        _cleanup_(error_freep) ch_error *refusal = NULL;
        size_t n;
        const ch_place_facts *facts = ch_place_report_get_facts(report, &n);
        _cleanup_(freep) ch_place_score *scores = calloc(n + 1, sizeof(*scores));
        int fits, r;

        if (!scores)
                return -ENOMEM;
        fits = ch_place_choose(&spec->request, ch_place_report_get_source(report), facts, n,
                               scores);
        r = ch_place_to_json(&spec->request, report, scores, ret);
        if (r < 0 || fits >= 0)
                return r;
        (void)ch_place_refuse(&spec->request, scores, n, &refusal);
        return add_refusal(*ret, refusal);
}

/* As the daemon: one that was named and is not there is a mistake, not a candidate that is refused.
 */
static int check_candidates(Cli *cli, const StringList *groups, ch_error **err)
{
        int r = ch_place_check_candidates(groups->items, groups->n, err);

        for (size_t i = 0; r >= 0 && i < groups->n; i++) {
                _cleanup_(group_unrefp) ch_group *group = NULL;

                r = ch_tree_open_group(cli->tree, groups->items[i], &group, err);
        }
        return r;
}

int place_directly(Cli *cli, const PlaceSpec *spec, struct json_object **ret)
{
        const StringList *groups = &cli->options.candidates;
        _cleanup_(procset_freep) ch_procset *set = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;
        ch_place_report *report = NULL;
        int r = 0;

        if (cli->options.pool)
                return cli_fail(
                        cli, CTL_USAGE, NULL,
                        "--pool=%s: pools are kept by the daemon, which is not asked here; name "
                        "--candidates=GROUP,GROUP",
                        cli->options.pool);
        if (place_has_processes(spec)) {
                r = ch_procset_new(&set);
                if (r >= 0)
                        r = add_processes(cli, &spec->move, set, &error);
        }
        if (r >= 0)
                r = check_candidates(cli, groups, &error);
        if (r >= 0)
                r = ch_place_read(cli->tree, &spec->request, set, groups->items, groups->n, NULL,
                                  NULL, &report, &error);
        if (r >= 0)
                r = choose(spec, report, ret);
        ch_place_report_free(report);
        return r < 0 ? cli_fail_error(cli, error) : CTL_OK;
}
