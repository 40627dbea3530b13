// SPDX-License-Identifier: GPL-2.0-only
/* What user space hands over, checked: fds become address spaces and memory cgroups, sized structs and ranges
 * are copied. The errors are those that uapi/chargehand.h promises. */

#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include "chargehand.h"

enum {
	RANGES_MAX = 4096,
};

/*
 * The address space of a process. Its first thread may have ended before the others, and has none then: look
 * at all. A process in exec() has its old one until it has the new one, under task_lock(); either is right,
 * and the reference keeps the old one if it is that. exec() and exit() cannot take what we hold.
 */
static int mm_of_process(struct task_struct *process, struct mm_struct **ret)
{
	struct task_struct *thread;
	struct mm_struct *mm = NULL;

	if (process->flags & PF_KTHREAD)
		return -EINVAL;
	rcu_read_lock();
	for_each_thread(process, thread) {
		mm = get_task_mm(thread);
		if (mm)
			break;
	}
	rcu_read_unlock();
	if (!mm)
		return -ESRCH;
	*ret = mm;
	return 0;
}

int chargehand_mm_get(int pidfd, struct mm_struct **mm)
{
	struct task_struct *task;
	unsigned int flags;
	struct pid *pid;
	int ret;

	if (pidfd == CHARGEHAND_SELF)
		return mm_of_process(current, mm);
	if (pidfd < 0)
		return -EBADF;
	pid = chargehand_call(pidfd_get_pid)(pidfd, &flags);
	if (IS_ERR(pid))
		return PTR_ERR(pid);
	/* a pidfd may be of a thread (6.9 and later), and of any pid namespace: it stands for a task, not a number */
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	ret = mm_of_process(task, mm);
	put_task_struct(task);
	return ret;
}

/* Is it a directory of the cgroup file systems, and which? The magic number cannot be forged: file systems set
 * it, not users. */
static int check_cgroup_fd(int fd)
{
	struct file *file = fget_raw(fd);
	unsigned long magic;
	bool is_dir;

	if (!file)
		return -EBADF;
	magic = file_inode(file)->i_sb->s_magic;
	is_dir = S_ISDIR(file_inode(file)->i_mode);
	fput(file);
	if (!is_dir)
		return -EBADF;
	if (magic == CGROUP_SUPER_MAGIC)
		return -EINVAL;
	return magic == CGROUP2_SUPER_MAGIC ? 0 : -EBADF;
}

/* Takes over the reference to the cgroup. */
static int memcg_of_cgroup(struct cgroup *cgroup, struct mem_cgroup **memcg)
{
	struct cgroup_subsys_state *css;
	int ret;

	/* the one in effect: an ancestor's, if the group has none of its own */
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	if (css->cgroup == cgroup)
		ret = 0;
	else /* a group on its way out loses its own first */
		ret = cgroup->self.flags & CSS_ONLINE ? -ENOENT : -ENODEV;
	cgroup_put(cgroup);
	if (ret < 0) {
		css_put(css);
		return ret;
	}
	*memcg = mem_cgroup_from_css(css);
	return 0;
}

int chargehand_memcg_get(int fd, struct mem_cgroup **memcg)
{
	struct cgroup *cgroup;
	int ret;

	ret = check_cgroup_fd(fd);
	if (ret < 0)
		return ret;
	cgroup = cgroup_get_from_fd(fd);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup) == -ENOENT ? -ENODEV : PTR_ERR(cgroup);
	return memcg_of_cgroup(cgroup, memcg);
}

int chargehand_memcg_get_by_id(u64 id, struct mem_cgroup **memcg)
{
	struct cgroup *cgroup = cgroup_get_from_id(id);

	return IS_ERR(cgroup) ? PTR_ERR(cgroup) : memcg_of_cgroup(cgroup, memcg);
}

void chargehand_memcg_put(struct mem_cgroup *memcg)
{
	if (memcg)
		css_put(&memcg->css);
}

static int check_ranges(const struct chargehand_range *ranges, u32 n)
{
	u64 low = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		const struct chargehand_range *range = &ranges[i];

		if (!PAGE_ALIGNED(range->start) || !PAGE_ALIGNED(range->end) || range->start < low ||
		    range->start >= range->end || range->end > TASK_SIZE_MAX)
			return -EINVAL;
		low = range->end;
	}
	return 0;
}

int chargehand_ranges_get(u64 user, u32 n, struct chargehand_range **ranges)
{
	struct chargehand_range *copy;
	int ret;

	*ranges = NULL;
	if (!user != !n || n > RANGES_MAX)
		return -EINVAL;
	if (!n)
		return 0;
	copy = kvmalloc_array(n, sizeof(*copy), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	ret = copy_from_user(copy, u64_to_user_ptr(user), n * sizeof(*copy)) ? -EFAULT : check_ranges(copy, n);
	if (ret < 0) {
		kvfree(copy);
		return ret;
	}
	*ranges = copy;
	return 0;
}

int chargehand_struct_in(void *to, size_t known, size_t ver0, const void __user *from)
{
	u32 size;
	int ret;

	if (get_user(size, (const u32 __user *)from))
		return -EFAULT;
	if (size < ver0 || size > PAGE_SIZE)
		return -EINVAL;
	ret = copy_struct_from_user(to, known, from, size);
	if (ret < 0)
		return ret;
	/* what was checked counts, not what another thread may have written there since */
	*(u32 *)to = size;
	return 0;
}

int chargehand_struct_out(void __user *to, const void *from, size_t known)
{
	size_t size = min_t(size_t, *(const u32 *)from, known);

	return copy_to_user(to, from, size) ? -EFAULT : 0;
}
