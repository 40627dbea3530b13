// SPDX-License-Identifier: GPL-2.0-only
/* INFO: who an address space is, who uses it, and which group pays for it. */

#include <linux/once.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/siphash.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "chargehand.h"

/* Processes that share one address space, as the caller's pid namespace calls them. */
struct sharers {
	struct pid_namespace *ns;
	u32 *pids;
	u32 n, room;	/* of processes; n may be more than the room */
	u32 tasks;
};

/* Addresses are no business of user space; their hashes with a key of this load are. */
static u64 mm_id(const struct mm_struct *mm)
{
	static siphash_key_t key;

	get_random_once(&key, sizeof(key));
	return siphash_1u64((unsigned long)mm, &key);
}

static u32 count_threads(struct task_struct *process, const struct mm_struct *mm)
{
	struct task_struct *thread;
	u32 n = 0;

	/* a kernel thread may borrow an address space for a while; it is no user of it */
	if (process->flags & PF_KTHREAD)
		return 0;
	for_each_thread(process, thread)
		n += READ_ONCE(thread->mm) == mm;
	return n;
}

static void add_process(struct sharers *sharers, struct task_struct *process, u32 threads)
{
	if (sharers->n < sharers->room)
		sharers->pids[sharers->n] = task_tgid_nr_ns(process, sharers->ns);
	sharers->n++;
	sharers->tasks += threads;
}

/*
 * All of them, as RCU shows them. Nearly always the owner's process is the only one, and its threads account for
 * all references but ours: then the other processes need not be looked at.
 */
static void find_sharers(struct sharers *sharers, struct mm_struct *mm)
{
	struct task_struct *owner, *process;
	u32 threads;

	sharers->n = sharers->tasks = 0;
	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	threads = owner ? count_threads(owner, mm) : 0;
	if (threads > 0 && threads + 1 == atomic_read(&mm->mm_users)) {
		add_process(sharers, owner, threads);
		rcu_read_unlock();
		return;
	}
	for_each_process(process) {
		threads = count_threads(process, mm);
		if (threads > 0)
			add_process(sharers, process, threads);
	}
	rcu_read_unlock();
}

static int compare_pids(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/* Which pids are lowest is known only when all are: room for all, however many the caller wants. */
static int list_sharers(struct sharers *sharers, struct mm_struct *mm)
{
	do {
		u32 room = sharers->n + 16;

		kvfree(sharers->pids);
		sharers->pids = kvmalloc_array(room, sizeof(u32), GFP_KERNEL_ACCOUNT);
		if (!sharers->pids)
			return -ENOMEM;
		sharers->room = room;
		find_sharers(sharers, mm);
		if (signal_pending(current))
			return -EINTR;
	} while (sharers->n > sharers->room);
	sort(sharers->pids, sharers->n, sizeof(u32), compare_pids, NULL);
	return 0;
}

static u32 owner_of(struct mm_struct *mm, struct pid_namespace *ns)
{
	struct task_struct *owner;
	u32 pid;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	pid = owner ? task_tgid_nr_ns(owner, ns) : 0;
	rcu_read_unlock();
	return pid;
}

static u64 group_of(struct mm_struct *mm)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm);
	u64 id = memcg ? chargehand_memcg_id(memcg) : 0;

	chargehand_memcg_put(memcg);
	return id;
}

static int fill(struct chargehand_info *info, struct mm_struct *mm)
{
	struct sharers sharers = { .ns = task_active_pid_ns(current) };
	u32 n_listed;
	int ret;

	ret = list_sharers(&sharers, mm);
	if (ret < 0)
		goto out;
	n_listed = min(info->n_pids, sharers.n);
	if (copy_to_user(u64_to_user_ptr(info->pids), sharers.pids, n_listed * sizeof(u32))) {
		ret = -EFAULT;
		goto out;
	}
	info->abi = CHARGEHAND_ABI;
	info->mode = chargehand_mode();
	info->move_kinds = chargehand_move_kinds();
	info->mm_id = mm_id(mm);
	info->owner_pid = owner_of(mm, sharers.ns);
	info->group_id = group_of(mm);
	info->n_pids = sharers.n;
	info->tasks = sharers.tasks;
out:
	kvfree(sharers.pids);
	return ret;
}

long chargehand_info(void __user *arg)
{
	struct chargehand_info info;
	struct mm_struct *mm;
	int ret;

	ret = chargehand_struct_in(&info, sizeof(info), CHARGEHAND_INFO_SIZE_VER0, arg);
	if (ret < 0)
		return ret;
	if (info.flags || info.reserved || !info.pids != !info.n_pids)
		return -EINVAL;
	ret = chargehand_mm_get(info.pidfd, &mm);
	if (ret < 0)
		return ret;
	ret = fill(&info, mm);
	mmput(mm);
	return ret < 0 ? ret : chargehand_struct_out(arg, &info, sizeof(info));
}
