/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps the charges of all address spaces of a set, and says who pays for each. */

#include <fcntl.h>
#include <sys/syscall.h>

#include "collapse.h"
#include "error.h"
#include "group.h"
#include "plan.h"
#include "procset.h"
#include "recharge.h"
#include "retag.h"
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

        if (!process || (size_t)(process - ch_procset_get(plan->set, 0)) >= plan->members.n)
                return NULL;
        member = &plan->members.items[process - ch_procset_get(plan->set, 0)];
        return member->source == SOURCE_NONE ? NULL : &plan->members.sources[member->source];
}

static void describe_mm(ch_plan *plan, const ch_mm *mm, int back, ChargeMm *ret)
{
        const Source *source = source_of(plan, mm->owner_inside ? mm->owner : mm->pid);
        uint64_t paying;

        *ret = (ChargeMm){ .pid = mm->pid, .dest_id = plan->target_memcg_id };
        if (source)
                ret->home_id = source->memcg_id;
        if (source && back)
                ret->dest_id = source->memcg_id;
        if (mm->owner && !mm->owner_inside)
                ret->foreign_owner =
                        memcg_of_pid(plan->tree, mm->owner, &paying) < 0 || paying != ret->dest_id;
}

static void find_traits(ch_plan *plan, Charges *c)
{
        const ch_mm *mm = ch_procset_get_mm(plan->set, 0);
        const ch_process *process = mm ? ch_procset_find(plan->set, mm->pid) : NULL;

        if (process && (c->backends & 1u << CH_BACKEND_RECHARGE) && !c->recharge)
                c->recharge = recharge_is_known(process->pidfd) ? 1 : -1;
        if (!(c->backends & 1u << CH_BACKEND_COLLAPSE) || !process || c->traits.sought)
                return;
        collapse_find_traits(process->pidfd, c->huge_bytes, c->page_bytes, &c->traits);
        c->traits.sought = 1;
}

ch_module *plan_get_module(ch_plan *plan)
{
        if (plan->module_sought)
                return plan->module;
        plan->module_sought = 1;
        if (!(plan->options.backends & 1u << CH_BACKEND_MODULE))
                return NULL;
        plan->module = plan->options.module;
        if (!plan->module && ch_module_open(&plan->own_module, NULL) >= 0)
                plan->module = plan->own_module;
        if (plan->module && ch_module_get_mode(plan->module) != CH_MODULE_STATE_MOVE)
                plan->module = NULL;
        return plan->module;
}

int plan_open_process(const ch_plan *plan, pid_t pid, int *ret)
{
        const ch_process *process = ch_procset_find(plan->set, pid);
        int fd;

        if (!process || !ch_process_is_alive(process))
                return -ESRCH;
        fd = process->pidfd >= 0 ? fcntl(process->pidfd, F_DUPFD_CLOEXEC, 3)
                                 : (int)syscall(SYS_pidfd_open, process->pid, 0);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

int plan_open_memcg(const ch_plan *plan, uint64_t id)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;
        int fd;

        if (ch_tree_open_group_by_id(plan->tree, id, &group, NULL) < 0)
                return -ENODEV;
        fd = fcntl(ch_group_get_fd(group), F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
}

/* Where several processes share an address space the kernel's own mm->owner is better than the best guess. */
static void ask_owner(ch_plan *plan, ch_mm *mm)
{
        struct chargehand_info info = { 0 };
        _cleanup_(closep) int fd = -EBADF;

        if (!plan->module || mm->n_inside + mm->n_outside < 2 || plan_open_process(plan, mm->pid, &fd) < 0)
                return;
        info.pidfd = fd;
        if (ch_module_info(plan->module, &info, NULL) < 0 || info.owner_pid == 0)
                return;
        mm->owner = (pid_t)info.owner_pid;
        mm->owner_inside = procset_find_slot(plan->set, mm->owner) >= 0;
}

static int open_group(uint64_t id, void *userdata)
{
        return plan_open_memcg(userdata, id);
}

static int open_mm(const ChargeMm *mm, int *ret_pidfd, int *ret_to_fd, void *userdata)
{
        const ch_plan *plan = userdata;
        int r = plan_open_process(plan, mm->pid, ret_pidfd);

        if (r < 0)
                return r;
        *ret_to_fd = plan_open_memcg(plan, mm->dest_id);
        return *ret_to_fd < 0 ? *ret_to_fd : 0;
}

/* 1: the module has read it; 0: it cannot be used for it, for instance where the target is not below our root. -ESRCH. */
static int scan_by_module(ch_plan *plan, RetagScan *scan, const ChargeMm *mm)
{
        _cleanup_(closep) int pidfd = -EBADF, to_fd = -EBADF;
        int r;

        if (!scan->module)
                return 0;
        r = open_mm(mm, &pidfd, &to_fd, plan);
        if (r >= 0)
                r = retag_scan(scan, mm, pidfd, to_fd, NULL);
        if (r == -ESRCH || r == -ENOMEM)
                return r;
        return r >= 0;
}

static int scan_mm(ch_plan *plan, RetagScan *scan, const ChargeMm *mm, ch_error **err)
{
        _cleanup_(error_freep) ch_error *reason = NULL;
        int r;

        r = scan_by_module(plan, scan, mm);
        if (r == 0) {
                find_traits(plan, scan->charges);
                r = charges_scan(scan->charges, mm, &reason);
        }
        if (r < 0 && r != -ESRCH)
                return reason ? error_copy(err, reason) : error_errno(err, r, NULL, "planning");
        return 0;
}

int plan_scan_charges(ch_plan *plan, int back, Charges *c, ch_error **err)
{
        RetagScan scan = { .charges = c,
                           .module = plan_get_module(plan),
                           .open = open_mm,
                           .open_group = open_group,
                           .userdata = plan,
                           .with_shared = plan->options.with_shared };
        int r;

        r = ch_procset_find_mms(plan->set, err);
        if (r < 0)
                return r;
        fill_sizes(c);
        c->backends = plan->options.backends;
        c->with_shared = plan->options.with_shared;
        c->only_from_id = back ? plan->target_memcg_id : 0;
        for (size_t i = 0; i < ch_procset_n_mms(plan->set) && r >= 0; i++) {
                ChargeMm mm;

                ask_owner(plan, &plan->set->mms[i]);
                describe_mm(plan, ch_procset_get_mm(plan->set, i), back, &mm);
                r = scan_mm(plan, &scan, &mm, err);
        }
        if (r >= 0 && scan.n_mapped)
                r = retag_finish(&scan, err);
        retag_scan_done(&scan);
        return r;
}
