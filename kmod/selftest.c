// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does this kernel behave as it was read? Tried on what is our own and nobody else's: page counters that no
 * group owns, and pages mapped into the address space of whoever loads the module, by the same code that
 * moves those of others. They go from the loader's group to another one and back, and are then freed. For
 * some milliseconds the other group is charged for 256 KiB, or a huge page, if that much is free in it:
 * nothing is reclaimed for that, and no event counted.
 *
 * Without a second group (the root alone has a memory controller) there is nothing to move between, and
 * nothing that could be moved wrongly: then the test runs before the first MOVE, which names two groups.
 */

#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "job.h"

enum {
	PAGES = 64, /* more than a CPU keeps in stock for a group, so that a lost round shows */
	TRIES = 8,  /* reclaim, compaction and others may get in the way */
};

enum {
	PASSED = 0,
	NOT_NOW = 1,
	FAILED = -EIO,
};

/* ---- page counters of our own ---- */

struct counters {
	struct page_counter parent, child;
};

static bool counted(const struct counters *counters, long pages)
{
	return atomic_long_read(&counters->child.usage) == pages &&
	       atomic_long_read(&counters->parent.usage) == pages;
}

static bool counters_work(struct counters *counters)
{
	struct page_counter *parent = &counters->parent, *child = &counters->child, *full = NULL;

	parent->max = PAGE_COUNTER_MAX;
	child->max = 10;
	child->parent = parent;
	if (!chargehand_call(page_counter_try_charge)(child, 8, &full) || !counted(counters, 8))
		return false;
	if (chargehand_call(page_counter_try_charge)(child, 3, &full) || full != child || !counted(counters, 8))
		return false;
	child->max = PAGE_COUNTER_MAX;
	parent->max = 10;
	if (chargehand_call(page_counter_try_charge)(child, 3, &full) || full != parent || !counted(counters, 8))
		return false;
	chargehand_call(page_counter_charge)(child, 4);
	if (!counted(counters, 12))
		return false;
	chargehand_call(page_counter_uncharge)(child, 12);
	return counted(counters, 0);
}

/* ---- two groups ---- */

struct groups {
	struct mem_cgroup *own, *other; /* with a reference each */
};

/* The parent, which the own group's pages are charged to anyway; else the first that is found. */
static struct mem_cgroup *other_group(struct mem_cgroup *own)
{
	struct cgroup_subsys_state *root = &own->css, *css = NULL;
	struct mem_cgroup *found = NULL;

	rcu_read_lock();
	if (own->css.parent && own->css.parent->parent && css_tryget_online(own->css.parent)) {
		found = mem_cgroup_from_css(own->css.parent);
		rcu_read_unlock();
		return found;
	}
	while (root->parent)
		root = root->parent;
	while (!found && (css = css_next_descendant_pre(css, root)))
		if (css->parent && css != &own->css && css_tryget_online(css))
			found = mem_cgroup_from_css(css);
	rcu_read_unlock();
	return found;
}

static bool groups_get(struct groups *groups)
{
	groups->own = get_mem_cgroup_from_mm(current->mm);
	groups->other = other_group(groups->own);
	return groups->other;
}

static void groups_put(struct groups *groups)
{
	css_put(&groups->own->css);
	if (groups->other)
		css_put(&groups->other->css);
}

/* ---- pages of our own ---- */

/* Each has its number in it. */
static bool pages_fill(unsigned long addr, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (put_user((unsigned long)i, (unsigned long __user *)(addr + i * PAGE_SIZE)))
			return false;
	return true;
}

static bool pages_intact(unsigned long addr, unsigned int n)
{
	unsigned long value;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (get_user(value, (unsigned long __user *)(addr + i * PAGE_SIZE)) || value != i)
			return false;
	return true;
}

/* How many of them are charged to a group. */
static unsigned int pages_of(struct mem_cgroup *memcg, unsigned long addr, unsigned int n)
{
	unsigned int i, found = 0;
	struct page *page;

	for (i = 0; i < n; i++) {
		if (get_user_pages_fast(addr + i * PAGE_SIZE, 1, 0, &page) != 1)
			continue;
		rcu_read_lock();
		found += chargehand_folio_memcg(page_folio(page)) == memcg;
		rcu_read_unlock();
		put_page(page);
	}
	return found;
}

/* ---- the way there and back ---- */

/* Moves what is in [addr, end) between two groups by the same steps as MOVE. Pages moved, or < 0. */
static long shift(struct mem_cgroup *from, struct mem_cgroup *to, unsigned long addr, unsigned long end)
{
	struct chargehand_range range = { .start = addr, .end = end };
	struct chargehand_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	bool to_root = chargehand_memcg_is_root(to);
	long r = -ENOMEM;

	if (!job)
		return r;
	job->mm = current->mm;
	job->from = from;
	job->to = to;
	job->ranges = &range;
	job->n_ranges = 1;
	job->batch = (struct chargehand_batch){
		.mm = job->mm,
		.from = from,
		.to = to,
		.kinds = CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON) | CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON_THP),
		.chunk = CHARGEHAND_CHUNK_MIN,
		.retag = &job->retag,
	};
	chargehand_room_init(&job->room, from, to, to_root);
	job->batch.items = kvmalloc_array(job->batch.chunk, sizeof(*job->batch.items), GFP_KERNEL);
	if (job->batch.items)
		r = chargehand_retag_init(&job->retag, from, to);
	if (!r)
		r = chargehand_job_run(job);
	if (!r)
		r = chargehand_job_moved(job) >> PAGE_SHIFT;
	kvfree(job->batch.items);
	chargehand_job_done(job);
	kfree(job);
	return r;
}

/* There and back once; what cannot be moved just now is not moved, but what is said must be so. */
static int there_and_back(const struct groups *groups, unsigned long addr, unsigned int n, const char **why)
{
	unsigned long end = addr + n * PAGE_SIZE;
	long moved, back = 0, r;
	int i;

	*why = "a page that is charged to another group than the one named was moved";
	if (shift(groups->other, groups->own, addr, end) > 0 || pages_of(groups->own, addr, n) != n)
		return FAILED;
	moved = shift(groups->own, groups->other, addr, end);
	*why = "no page could be moved; the other group may be full";
	if (moved <= 0)
		return NOT_NOW;
	*why = "pages that were moved are not charged to the group they went to";
	if (pages_of(groups->other, addr, n) != moved || pages_of(groups->own, addr, n) != n - moved)
		return FAILED;
	*why = "pages that were moved could not be moved back";
	for (i = 0; i < TRIES && back < moved; i++) {
		r = shift(groups->other, groups->own, addr, end);
		if (r < 0)
			return r == -ENOMEM ? NOT_NOW : FAILED;
		back += r;
		if (pages_of(groups->other, addr, n) != moved - back ||
		    pages_of(groups->own, addr, n) != n - moved + back)
			return FAILED;
	}
	if (back < moved)
		return NOT_NOW;
	*why = "data changed while it was moved";
	return pages_intact(addr, n) ? PASSED : FAILED;
}

/* ---- do the counters come back? ---- */

struct usage {
	long own, other;
};

static struct usage usage_of(const struct groups *groups)
{
	return (struct usage){
		/* The root's counter is the sum of all, and not what its own pages are charged to. */
		.own = chargehand_memcg_is_root(groups->own) ? 0 : atomic_long_read(&groups->own->memory.usage),
		.other = atomic_long_read(&groups->other->memory.usage),
	};
}

/* Which of the two went up (bits 0, 2) or down (1, 3) by more than half of what was moved. */
static unsigned int drift_since(const struct groups *groups, const struct usage *before, unsigned int n)
{
	struct usage now = usage_of(groups);
	long own = now.own - before->own, other = now.other - before->other, much = n / 2;

	return (own >= much) | (own <= -much) << 1 | (other >= much) << 2 | (other <= -much) << 3;
}

/* The drift when nothing is moved, in the same time and with the same walks. */
static unsigned int drift_at_rest(const struct groups *groups, unsigned long addr, unsigned int n, u64 nsec)
{
	struct usage before = usage_of(groups);
	u64 begun = ktime_get_ns();

	do {
		(void)shift(groups->other, groups->own, addr, addr + n * PAGE_SIZE);
	} while (ktime_get_ns() - begun < nsec);
	return drift_since(groups, &before, n);
}

/*
 * Others charge and free in the same groups meanwhile. A round that loses pages does so every time and always to
 * the same side: so one quiet round is proof that none are lost, and it takes all rounds to one side, while at
 * rest none goes there, to prove that some are. In between nothing can be told, and nothing is held against
 * the kernel.
 */
static int round_trip(const struct groups *groups, unsigned long addr, unsigned int n, const char **why)
{
	unsigned int moving = ~0u, resting = 0, drift;
	struct usage before;
	u64 begun;
	int i, r = NOT_NOW;

	for (i = 0; i < TRIES && pages_of(groups->own, addr, n) == n; i++) {
		before = usage_of(groups);
		begun = ktime_get_ns();
		r = there_and_back(groups, addr, n, why);
		if (r < 0)
			return r;
		drift = drift_since(groups, &before, n);
		if (r == PASSED && !drift)
			return PASSED;
		moving &= drift;
		resting |= drift_at_rest(groups, addr, n, ktime_get_ns() - begun);
	}
	if (r == PASSED && moving & ~resting) {
		*why = "page counters do not come back to where they were";
		return FAILED;
	}
	return r;
}

/* n pages in a mapping of their own. */
static int with_pages(const struct groups *groups, unsigned int n, unsigned long align, const char **why)
{
	unsigned long size = n * PAGE_SIZE + align - PAGE_SIZE;
	unsigned long start = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	unsigned long addr = ALIGN(start, align);
	int r = NOT_NOW;

	*why = "no memory for it";
	if (IS_ERR_VALUE(start))
		return r;
	if (pages_fill(addr, n)) {
		*why = "our own pages are not charged to our own group";
		r = round_trip(groups, addr, n, why);
	}
	vm_munmap(start, size);
	return r;
}

int chargehand_selftest(const char **why)
{
	struct counters *counters = kzalloc(sizeof(*counters), GFP_KERNEL);
	struct groups groups;
	bool works;
	int r = NOT_NOW;

	*why = "no memory for it";
	if (!counters)
		return r;
	works = counters_work(counters);
	kfree(counters);
	*why = "page counters do not count as they did";
	if (!works)
		return FAILED;
	*why = "it takes a process";
	if (!current->mm)
		return r;
	*why = "the root is the only group with a memory controller";
	if (groups_get(&groups))
		r = with_pages(&groups, PAGES, PAGE_SIZE, why);
	/* What is aligned like this becomes a huge page where there are any. If that much is not to be had,
	 * the small ones are enough: tags, counters and lists have been tried with them. */
	if (r == PASSED && with_pages(&groups, HPAGE_PMD_NR, HPAGE_PMD_SIZE, why) < 0)
		r = FAILED;
	groups_put(&groups);
	return r;
}
