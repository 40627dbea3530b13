/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a set's charges would come along to each candidate, and what would be left behind: the
 * planner's own map. */

#include "error.h"
#include "group.h"
#include "place-report.h"
#include "util.h"

static void plan_done(ch_plan *plan)
{
        for (size_t i = 0; i < plan->n_payers; i++)
                free(plan->payers[i].path);
        free(plan->payers);
        charges_done(&plan->charges);
        (void)ch_module_free(plan->own_module);
}

/* A plan as far as it can be made without a target: for a destination that pays for `dest_id`. */
static int map_charges(ch_plan *plan, uint64_t dest_id, ch_error **err)
{
        int r;

        plan->target_memcg_id = dest_id;
        plan->charges = (Charges)CHARGES_INIT;
        r = plan_scan_charges(plan, 0, &plan->charges, err);
        if (r < 0)
                return r;
        r = charges_choose(&plan->charges, plan->options.max_growth_permyriad);
        if (r >= 0)
                r = plan_find_payers(plan);
        return r < 0 ? error_errno(err, r, NULL, "mapping charges") : 0;
}

static uint64_t already_at(const ch_plan *plan, const char *path)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < plan->n_payers; i++) {
                const Payer *payer = &plan->payers[i];

                /* what moves within the machine was on it before, whoever pays */
                if (streq(path, CH_PLACE_MACHINE) ||
                    (payer->path && ch_path_is_below(payer->path, path)))
                        bytes += payer->bytes;
        }
        return bytes;
}

static void fill_facts(ch_place_report *report, size_t i, const ch_plan *plan)
{
        ch_place_facts *facts = &report->facts[i];
        const Charges *c = &plan->charges;

        facts->here_bytes = c->already_bytes;
        facts->movable_bytes = c->movable_bytes;
        facts->left_bytes = c->staying_bytes;
        facts->extra_bytes = c->movable_bytes ? room_extra_bytes(c) : 0;
        for (size_t k = 0; k < facts->n_levels; k++) {
                ch_place_level *level = &report->candidates[i].levels[k];

                level->already_bytes = already_at(plan, level->path);
        }
}

/* Does this group pay for anything of the set, or for what one of its mms will touch? */
static int pays(const ch_plan *plan, uint64_t id)
{
        for (size_t i = 0; i < plan->charges.n_rows; i++)
                if (plan->charges.rows[i].group_id == id)
                        return 1;
        for (size_t i = 0; i < ch_procset_n_mms(plan->set); i++) {
                const ch_mm *mm = ch_procset_get_mm(plan->set, i);
                uint64_t paying;

                if (mm->owner && !mm->owner_inside &&
                    memcg_of_pid(plan->tree, mm->owner, &paying) >= 0 && paying == id)
                        return 1;
        }
        return 0;
}

/* One map serves all candidates that pay for nothing of the set: to them everything is elsewhere.
 * The few that do are mapped for themselves, as the plan of the move will be. */
int place_read_charges(ch_place_report *report, ch_tree *tree, const ch_move_options *options,
                       ch_procset *set, ch_error **err)
{
        _cleanup_(plan_done) ch_plan all = { .tree = tree, .set = set, .options = *options };
        int r;

        if (options->policy == CH_POLICY_STAY)
                all.options.backends = 0;
        r = map_charges(&all, CH_GROUP_ID_ANY, err);
        if (r < 0)
                return r;
        report->source.resident_bytes = all.charges.resident_bytes;
        for (size_t i = 0; i < report->n; i++) {
                _cleanup_(plan_done)
                        ch_plan own = { .tree = tree, .set = set, .options = all.options };
                uint64_t id = report->candidates[i].memcg_id;
                int is_own = id && pays(&all, id);

                r = is_own ? map_charges(&own, id, err) : 0;
                if (r < 0)
                        return r;
                fill_facts(report, i, is_own ? &own : &all);
        }
        return 0;
}
