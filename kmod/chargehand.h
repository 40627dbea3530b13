/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_H
#define CHARGEHAND_H

/* What the parts of chargehand.ko know of each other. The face to user space is uapi/chargehand.h. */

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/types.h>

#include "uapi/chargehand.h"

#include "btf-blob.h"
#include "compat.h"
#include "symbols.h"
#include "compat-calls.h"

#undef pr_fmt
#define pr_fmt(fmt) "chargehand: " fmt

/* ---- gate.c: may we act on this kernel? ---- */

/* Resolves symbols, compares prototypes, layouts and values with the kernel's BTF, tries a move of our own
 * pages. < 0: do not load. Says why, and what can be done about it. */
int chargehand_gate_init(void);
/* CHARGEHAND_MODE_* */
u32 chargehand_mode(void);
/* CHARGEHAND_KIND_BIT()s that MOVE can do here; 0 when read-only. */
u32 chargehand_move_kinds(void);
/* Swap records can be read. */
bool chargehand_knows_swap(void);
/* Before the first page of a caller is moved: 0 or -EROFS. Runs the self-test if that could not be done at
 * load, for want of a second group. May sleep; no lock is held. */
int chargehand_gate_move(void);

/* ---- btf.c: what the kernel says of itself; btf-blob.h tells the errors ---- */

/* Open the running kernel's BTF. -ENOENT: it has none; -EINVAL, -EOPNOTSUPP: none that can be read. */
int chargehand_btf_open(void);
void chargehand_btf_close(void);
/* The prototype of a function as C text without names, such as
 * "int (struct mm_struct *, unsigned long, unsigned long, const struct mm_walk_ops *, void *)". */
int chargehand_btf_prototype(const char *name, char text[CHARGEHAND_BTF_TEXT]);
/* Where a member is; members of unnamed structs and unions inside count as the struct's own, "a.b" goes
 * into a named one. */
int chargehand_btf_member(const char *type, const char *member, u32 *offset, u32 *size);
int chargehand_btf_enum(const char *type, const char *name, s64 *value);

/* ---- selftest.c ---- */

/*
 * Pages of our own go from one account to another and back. 0: as they should; 1: that could not be tried
 * now, *why says why; < 0: they did not, *why says what went wrong, and nothing may be moved.
 */
int chargehand_selftest(const char **why);

/* ---- target.c: fds of user space to objects of ours ---- */

/* The address space, with a reference (mmput()). -EBADF, -ESRCH, -EINVAL (kernel thread). */
int chargehand_mm_get(int pidfd, struct mm_struct **mm);
/* The memory cgroup of a cgroup v2 directory, with a css reference. -EBADF, -EINVAL (v1), -ENODEV (being
 * removed), -ENOENT (no memory controller of its own). */
int chargehand_memcg_get(int fd, struct mem_cgroup **memcg);
/* The same by id. -ENOENT also for one that was removed, and for one outside of the caller's cgroup namespace. */
int chargehand_memcg_get_by_id(u64 id, struct mem_cgroup **memcg);
void chargehand_memcg_put(struct mem_cgroup *memcg);
/* Check and copy ranges: sorted, not overlapping, whole pages, inside of the address space. NULL and 0 for
 * none. Free with kvfree(). */
int chargehand_ranges_get(u64 user, u32 n, struct chargehand_range **ranges);
/* Copy a sized struct in and out: the rules of uapi/chargehand.h. */
int chargehand_struct_in(void *to, size_t known, size_t ver0, const void __user *from);
int chargehand_struct_out(void __user *to, const void *from, size_t known);

static inline u64 chargehand_memcg_id(struct mem_cgroup *memcg)
{
	return cgroup_id(memcg->css.cgroup);
}

static inline bool chargehand_memcg_is_root(struct mem_cgroup *memcg)
{
	return !memcg->css.parent;
}

static inline bool chargehand_memcg_is_online(struct mem_cgroup *memcg)
{
	return memcg->css.flags & CSS_ONLINE && !css_is_dying(&memcg->css);
}

/* ---- kind.c: what is at a page table entry ---- */

/* CHARGEHAND_KIND_* of a mapped page; OTHER also for what has no struct page of the usual sort. Whether it is
 * charged to anybody is another question. */
u32 chargehand_kind_of(struct folio *folio, bool pmd_mapped);
/* More than one mapping, by whomever. A look, not a promise: of a huge page that is mapped whole here and by
 * pages elsewhere only the former is seen. */
bool chargehand_page_shared(struct page *page, bool pmd_mapped);

/* ---- room.c: page counters ---- */

struct chargehand_room {
	struct mem_cgroup *from, *to;
	struct page_counter *common; /* the lowest that both charge, NULL if none */
	unsigned long reserved;	     /* pages charged to `to` in advance */
	bool forced;		     /* past every limit: on the way back */
};

void chargehand_room_init(struct chargehand_room *room, struct mem_cgroup *from, struct mem_cgroup *to,
			  bool forced);
/* Have up to `want` pages in reserve, at least one page more than none if there is room at all. Returns
 * what is there. */
unsigned long chargehand_room_reserve(struct chargehand_room *room, unsigned long want);
/* `pages` of the reserve are now those of folios that carry `to`'s tag; take the `counted` ones of them off
 * `from`. */
void chargehand_room_commit(struct chargehand_room *room, unsigned long pages, unsigned long counted);
/* Pages that a group may charge before it or an ancestor is at its limit. */
unsigned long chargehand_room_free(struct mem_cgroup *memcg);
/* Give back what is left of the reserve. */
void chargehand_room_done(struct chargehand_room *room);

/* ---- retag.c: folios on their way ---- */

struct chargehand_item {
	struct folio *folio;	/* locked, off the LRU, with a reference */
	unsigned long tag;	/* its memcg_data */
	unsigned long addr;	/* of its first page here */
	unsigned int first;	/* which page of the folio that is */
	unsigned int mapped;	/* page table entries that map it from there on; 0: a PMD */
	u8 kind;		/* CHARGEHAND_KIND_* */
	u8 state;		/* enum chargehand_item_state */
	bool shared;		/* others map it too, as it seemed */
	bool alone;		/* no reference is anybody else's: it went at once */
	bool counted;		/* of a moved one: the old account counted it (that of the root does not) */
};

enum chargehand_item_state {
	CHARGEHAND_ITEM_TAKEN = 0,
	CHARGEHAND_ITEM_MOVED,	/* carries the new tag */
	CHARGEHAND_ITEM_KEPT,	/* goes back as it was; counted by reason */
};

#define CHARGEHAND_DELTAS 10

/* What a batch changes on one node, until it is written to the counters in one go. */
struct chargehand_delta {
	long pages[CHARGEHAND_DELTAS]; /* rows of retag.c */
};

struct chargehand_retag {
	struct mem_cgroup *from, *to;
	struct chargehand_delta *deltas; /* by node */
	unsigned long *tags;		 /* by node: what folio->memcg_data will be, with a reference */
};

/* Everything that must exist before folios of a group may come to `to`: may sleep. */
int chargehand_retag_init(struct chargehand_retag *retag, struct mem_cgroup *from, struct mem_cgroup *to);
/*
 * Give one folio the other tag. The page tables that map it at item->addr are locked, the folio is locked
 * and off the LRU, and a grace period has passed since it was locked. 0, or why not: CHARGEHAND_LEFT_* as
 * -1 - reason.
 */
int chargehand_retag_folio(struct chargehand_retag *retag, struct chargehand_item *item);
/* Write the statistics and references of all that was retagged since the last time. */
void chargehand_retag_flush(struct chargehand_retag *retag);
void chargehand_retag_done(struct chargehand_retag *retag);

/* ---- batch.c: one chunk of a move ---- */

enum {
	CHARGEHAND_CHUNK_MIN = 512,
	CHARGEHAND_CHUNK_DEFAULT = 4096,
	CHARGEHAND_CHUNK_MAX = 16384,
};
enum {
	CHARGEHAND_CHUNK_HUGE = 4, /* a chunk with huge pages may have this times the pages of one without */
};
#define CHARGEHAND_CHUNK_SPAN (1UL << 30) /* addresses that one chunk looks at, at most */

struct chargehand_batch {
	/* for all chunks */
	struct mm_struct *mm;
	struct chargehand_retag *retag; /* NULL: only look */
	struct mem_cgroup *from, *to;	/* `from` NULL: find the group with from_id, take a reference, and stop */
	const unsigned long *from_tags; /* by node; if set, ours is what carries these, whoever pays by now */
	u64 from_id;
	u32 kinds, flags; /* of struct chargehand_move */
	bool forced;	  /* on the way back: swap limits do not count */
	bool no_room;	  /* only count what would have needed room */
	unsigned int chunk; /* page table entries to look at */
	unsigned long room;   /* pages that may be taken in this chunk: what is in reserve */
	unsigned long budget; /* pages that may be taken in this chunk: what was asked for */
	struct chargehand_item *items; /* `chunk` of them */

	/* of this chunk */
	unsigned int n_items, n_looked;
	unsigned int n_waiting; /* items that want a grace period and the second walk */
	unsigned int next_item; /* of the second walk */
	unsigned long taken;	/* pages of the items */
	unsigned long moved, counted; /* pages that changed their account; of those, counted in the old one */
	unsigned long end;	/* where the first walk stopped */
	bool full;		/* it stopped for want of room */
	bool spent;		/* it stopped at the budget */
	bool wait;		/* put back only after a grace period */

	/* sums, bytes */
	u64 moved_bytes[CHARGEHAND_KINDS];
	u64 left_bytes[CHARGEHAND_LEFTS];
	u64 already_bytes, elsewhere_bytes;
	/* Addresses that were moved, for the way back. May be NULL. -ENOMEM ends the move. */
	int (*note)(void *userdata, unsigned long start, unsigned long end);
	void *userdata;
	u64 lock_max_nsec, lock_total_nsec, grace_nsec;
};

/* First walk: take what can be moved between start and end, until the chunk is full. mmap_lock is held for
 * reading. 0, or what went wrong. */
int chargehand_batch_take(struct chargehand_batch *batch, unsigned long start, unsigned long end);
/* Second walk, after the grace period: give them the new tag. mmap_lock has been held all the time. */
int chargehand_batch_commit(struct chargehand_batch *batch);
/* Unlock and put back on the LRU whatever is still in the batch. mmap_lock is not needed. */
void chargehand_batch_release(struct chargehand_batch *batch);

/* ---- swap.c ---- */

/* Move the record of one swap entry. The page table that holds it is locked. 0; -1 - CHARGEHAND_LEFT_SWAP;
 * -ENOENT: charged to neither; 1: charged to `to` already. With `dry` only look. */
int chargehand_swap_move(swp_entry_t entry, struct mem_cgroup *from, struct mem_cgroup *to, bool forced, bool dry);
/* Id of the group charged: 0 nobody or not to be told (*known). */
u64 chargehand_swap_group(swp_entry_t entry, bool *known, bool *dying);

/* ---- the three commands ---- */

struct chargehand_session; /* pages that earlier MAP calls on an open file have counted */

long chargehand_move(void __user *arg);
long chargehand_map(struct chargehand_session *session, void __user *arg);
long chargehand_info(void __user *arg);

struct chargehand_session *chargehand_session_new(void);
void chargehand_session_free(struct chargehand_session *session);

#endif
