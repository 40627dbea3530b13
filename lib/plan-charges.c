/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps the charges of all address spaces of a set, and says who pays for each. */

#include <fcntl.h>

#include "collapse.h"
#include "error.h"
#include "group.h"
#include "plan.h"
#include "util.h"

#define HUGE_SIZE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

static void fill_sizes(Charges *c)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t huge;

        c->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        if (read_file_at(AT_FDCWD, HUGE_SIZE_FILE, 64, &text, NULL) >= 0 &&
            parse_u64(text, &huge, NULL) >= 0)
                c->huge_bytes = huge;
}

/* Who pays for the mm when its owner is not one of us. */
int memcg_of_pid(const ch_tree *tree, pid_t pid, uint64_t *ret)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = -EBADF;
        int r;

        r = ch_tree_path_of_pid((ch_tree *)tree, pid, &path, NULL);
        if (r < 0)
                return r;
        fd = tree_open_dir(tree, path, NULL);
        return fd < 0 ? fd : memcg_id_of(fd, ret);
}

static const Source *source_of(const ch_plan *plan, pid_t pid)
{
        const ch_process *process = ch_procset_find(plan->set, pid);
        const Member *member;

        if (!process)
                return NULL;
        member = &plan->members.items[process - ch_procset_get(plan->set, 0)];
        return member->source == SOURCE_NONE ? NULL : &plan->members.sources[member->source];
}

static void describe_mm(ch_plan *plan, const ch_mm *mm, int back, ChargeMm *ret)
{
        const Source *source =
                back ? source_of(plan, mm->owner_inside ? mm->owner : mm->pid) : NULL;
        uint64_t paying;

        *ret = (ChargeMm){ .pid = mm->pid, .dest_id = plan->target_memcg_id };
        if (source)
                ret->dest_id = source->memcg_id;
        if (mm->owner && !mm->owner_inside)
                ret->foreign_owner =
                        memcg_of_pid(plan->tree, mm->owner, &paying) < 0 || paying != ret->dest_id;
}

static void find_traits(ch_plan *plan, Charges *c)
{
        const ch_mm *mm = ch_procset_get_mm(plan->set, 0);
        const ch_process *process = mm ? ch_procset_find(plan->set, mm->pid) : NULL;

        c->backends = plan->options.backends;
        if (!(c->backends & 1u << CH_BACKEND_COLLAPSE) || !process)
                return;
        collapse_find_traits(process->pidfd, c->huge_bytes, c->page_bytes, &c->traits);
}

int plan_scan_charges(ch_plan *plan, int back, Charges *c, ch_error **err)
{
        int r;

        r = ch_procset_find_mms(plan->set, err);
        if (r < 0)
                return r;
        fill_sizes(c);
        find_traits(plan, c);
        c->only_from_id = back ? plan->target_memcg_id : 0;
        for (size_t i = 0; i < ch_procset_n_mms(plan->set); i++) {
                _cleanup_(error_freep) ch_error *reason = NULL;
                ChargeMm mm;

                describe_mm(plan, ch_procset_get_mm(plan->set, i), back, &mm);
                r = charges_scan(c, &mm, &reason);
                if (r < 0 && r != -ESRCH)
                        return error_copy(err, reason);
        }
        return 0;
}
