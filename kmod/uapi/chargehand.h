/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR LGPL-2.1-or-later */
#ifndef _UAPI_CHARGEHAND_H
#define _UAPI_CHARGEHAND_H

/*
 * /dev/chargehand: moves charges of resident pages between memory cgroups in place, tells where pages
 * are charged, and who owns an address space. This header is the specification.
 *
 * Three commands: MOVE, MAP, INFO. The device is 0600; open() and each command want CAP_SYS_ADMIN in
 * the initial user namespace (-EPERM).
 *
 * Every argument is a struct whose first field is its size as the caller knows it. The kernel side may
 * know a longer or shorter one:
 *  - shorter than CHARGEHAND_*_SIZE_VER0, or longer than a page: -EINVAL;
 *  - longer than what the module knows: what is beyond must be zero, else -E2BIG;
 *  - shorter than what the module knows: fields that the caller does not know are taken as zero, and
 *    not written back.
 * Fields and flag bits that are not described here must be zero: -EINVAL. Fields marked [out] are
 * written on success, and on the errors that say so; what they hold at entry is ignored.
 *
 * All sizes are bytes, all times nanoseconds of the monotonic clock, all addresses those of the address
 * space (mm) in question. Group ids are the 64-bit ids of cgroup v2 directories: what name_to_handle_at()
 * tells, and what st_ino is on 64-bit kernels.
 *
 * Errors that every command knows:
 *  -EPERM     no CAP_SYS_ADMIN in the initial user namespace
 *  -EFAULT    a pointer cannot be read or written
 *  -EINVAL    size, flags, reserved fields, ranges; a kernel thread, which has no address space
 *  -E2BIG     the struct is longer than the module knows, and not zero there
 *  -EBADF     a fd is not open, or not a pidfd
 *  -ESRCH     the process has exited, or has no address space any more
 *  -ENOTTY    no such command
 *  -EINTR     a signal came; what was done is told in [out] (MOVE)
 *  -ENOMEM    no memory for the work itself; nothing was changed
 */

#include <linux/ioctl.h>
#include <linux/types.h>

#define CHARGEHAND_DEVICE "/dev/chargehand"
#define CHARGEHAND_ABI 1

#define CHARGEHAND_IOC_MOVE _IO(0xCE, 1) /* struct chargehand_move */
#define CHARGEHAND_IOC_MAP _IO(0xCE, 2)  /* struct chargehand_map */
#define CHARGEHAND_IOC_INFO _IO(0xCE, 3) /* struct chargehand_info */

/* In a field that holds a pidfd: the address space of the caller. */
#define CHARGEHAND_SELF (-1)

/* Kinds of memory. */
enum {
	CHARGEHAND_KIND_ANON = 0,	/* private anonymous, small pages, or large ones mapped by pages */
	CHARGEHAND_KIND_ANON_THP = 1,	/* private anonymous, huge pages mapped whole (PMD) */
	CHARGEHAND_KIND_SHMEM = 2,	/* tmpfs, memfd, SysV, shared anonymous; small or huge */
	CHARGEHAND_KIND_FILE = 3,	/* page cache of other files, as far as it is mapped */
	CHARGEHAND_KIND_SWAP = 4,	/* swap entries in page tables: the swap record, not a page */
	CHARGEHAND_KIND_KSM = 5,	/* merged by KSM; told by MAP, never moved */
	CHARGEHAND_KIND_HUGETLB = 6,	/* told by MAP, never moved */
	CHARGEHAND_KIND_OTHER = 7,	/* zero page, device memory, pages of no group; told by MAP, never moved */
	CHARGEHAND_KINDS = 8,
};
#define CHARGEHAND_KIND_BIT(kind) (1u << (kind))
/* What MOVE can be asked for. */
#define CHARGEHAND_MOVE_KINDS                                                                      \
	(CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON) | CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON_THP) | \
	 CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SHMEM) | CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_FILE) |   \
	 CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SWAP))

/* Why bytes that are charged to `from` stay there. */
enum {
	CHARGEHAND_LEFT_NOT_ASKED = 0,	/* a kind that was not asked for */
	CHARGEHAND_LEFT_SHARED = 1,	/* mapped more than once, and MOVE_SHARED was not given; or a shared
					 * huge page, which is never safe to move */
	CHARGEHAND_LEFT_PINNED = 2,	/* a large page with a reference that is nobody's mapping (GUP, I/O) */
	CHARGEHAND_LEFT_BUSY = 3,	/* locked, under writeback, or not on an LRU list just now, also in
					 * later passes: another call may move it */
	CHARGEHAND_LEFT_SWAP = 4,	/* swap record of a kernel where it cannot be moved, or swap limit */
	CHARGEHAND_LEFT_KSM = 5,	/* merged by KSM: belongs to nobody */
	CHARGEHAND_LEFT_LARGE = 6,	/* a large page that is also mapped outside of the one page
					 * table that was looked at */
	CHARGEHAND_LEFT_DIRTY = 7,	/* page cache with changes that are not written yet */
	CHARGEHAND_LEFT_NO_ROOM = 8,	/* the target or an ancestor is at its limit */
	CHARGEHAND_LEFT_OTHER = 9,	/* device memory, hugetlb, poisoned pages */
	CHARGEHAND_LEFT_NOT_REACHED = 10, /* not used by the module: for callers that stop early */
	CHARGEHAND_LEFTS = 12,
};

/* Why MOVE ended. */
enum {
	CHARGEHAND_STOP_DONE = 0,	/* everything asked for was looked at */
	CHARGEHAND_STOP_BYTES = 1,	/* max_bytes were moved */
	CHARGEHAND_STOP_TIME = 2,	/* max_nsec have passed */
	CHARGEHAND_STOP_NO_ROOM = 3,	/* a limit is reached; all that fits was moved, or, with MOVE_ALL,
					 * moved back */
	CHARGEHAND_STOP_SIGNAL = 4,	/* a signal is pending; with MOVE_ALL moved back */
	CHARGEHAND_STOP_TARGET_GONE = 5, /* the target was removed meanwhile: what this call moved was moved back */
	CHARGEHAND_STOP_EXIT = 6,	/* the address space has lost its last user */
	CHARGEHAND_STOP_REST = 7,	/* only with MOVE_ALL: something asked for could not be moved, all moved back */
};

/* [start, end), multiples of the page size, start < end. */
struct chargehand_range {
	__u64 start;
	__u64 end;
};

/*
 * MOVE: charge pages of one address space, which are charged to `from`, to `to`.
 *
 * Works in chunks: mmap_lock is taken for reading for one chunk, and dropped between chunks. Room in the
 * target is taken before each chunk, by page counters alone: nothing is reclaimed, nobody is OOM-killed,
 * memory.events does not change, memory.high is not looked at. Make room first (memory.reclaim). For a
 * moment up to one chunk (64 MiB by default, less where less is free, and never more than `from` has) more
 * than what is moved is charged to the target; memory.peak sees that. Ancestors that both groups have in
 * common need no room: at their limit they are passed by at most 2 MiB for that moment.
 * Nothing is copied and no mapping changes; programs keep running; data is never touched.
 * Blocks: lru_add_drain_all() once to three times a call, an expedited RCU grace period a chunk. Any
 * pending signal ends it within one chunk.
 *
 * Returns 0 if it ran, also when not all was moved: [out] says what and why. Moreover:
 *  -EINVAL    kinds, ranges (not sorted, overlapping, beyond the address space); `from` is `to`; `to` or
 *             `from` is not a cgroup v2 directory; `to` is the root, which has no account
 *  -EBADF     from_fd or to_fd is not open, or is no cgroup directory
 *  -ENODEV    `to` is being removed
 *  -ENOENT    `to` or `from` has no memory controller of its own (cgroup.subtree_control of its parent)
 *  -EROFS     the module loaded read-only: this kernel was not reviewed (parameters/mode says why)
 *  -EINTR     a signal came; [out] is written
 */
struct chargehand_move {
	__u32 size;		/* sizeof(struct chargehand_move) */
	__u32 flags;		/* CHARGEHAND_MOVE_* */
	__s32 pidfd;		/* whose address space: a pidfd of any of its processes; CHARGEHAND_SELF */
	__s32 from_fd;		/* cgroup directory; -1 (no other negative): see from_id */
	__s32 to_fd;		/* cgroup directory */
	__u32 kinds;		/* CHARGEHAND_KIND_BIT() of CHARGEHAND_MOVE_KINDS, at least one */
	__u64 from_id;		/* if from_fd is -1: id of the group, which may have been removed already; if no
				 * page here is charged to it, nothing is moved (STOP_DONE). Else 0 */
	__u64 ranges;		/* pointer to n_ranges struct chargehand_range, sorted, not overlapping; 0: all */
	__u32 n_ranges;		/* 0 … 4096; 0 if and only if ranges is 0 */
	__u32 chunk_pages;	/* page table entries in one chunk, 512 … 16384; 0: 4096. A huge page counts 1
				 * here; a chunk spans at most 1 GiB of addresses */
	__u64 max_bytes;	/* stop after this much was moved, to a page (or a huge page less); 0: no limit, else at
				 * least a page */
	__u64 max_nsec;		/* stop after this time, seen between chunks: there is at least one; 0: no limit */
	__u64 resume;		/* [in/out] address to begin at, 0: the beginning; where it ended. The next call
				 * with it goes on there */

	__u32 stop;		/* [out] CHARGEHAND_STOP_* */
	__u32 chunks;		/* [out] */
	/* What is charged of a large page is all of it, though only a part may be mapped: `moved` counts the
	 * whole, all others (and `moved` of a dry run) what is mapped. */
	__u64 moved[CHARGEHAND_KINDS]; /* [out] bytes that went from `from` to `to`, and have not come back */
	__u64 left[CHARGEHAND_LEFTS];  /* [out] bytes seen that are charged to `from` still, by reason */
	__u64 already;		/* [out] bytes seen that were charged to `to` before */
	__u64 elsewhere;	/* [out] bytes seen that are charged to other groups */
	__u64 returned;		/* [out] bytes moved back (MOVE_ALL, TARGET_GONE) */
	__u64 lock_max_nsec;	/* [out] longest time mmap_lock was held in one go */
	__u64 lock_total_nsec;	/* [out] */
	__u64 grace_total_nsec; /* [out] of that, waiting for RCU */
};
#define CHARGEHAND_MOVE_SIZE_VER0 sizeof(struct chargehand_move)

/* All or nothing: unless all that was asked for can be moved (but BUSY, KSM, OTHER and NOT_ASKED), what was
 * moved is charged to `from` again, past its limit if need be. Sums are exact; a page that the program
 * replaced meanwhile goes with its address. */
#define CHARGEHAND_MOVE_ALL (1u << 0)
/* Also small pages that other address spaces map too (fork, shared files). */
#define CHARGEHAND_MOVE_SHARED (1u << 1)
/* Change nothing: `moved` tells what would be moved, as far as that can be seen (PINNED, NO_ROOM and
 * BUSY may still come). */
#define CHARGEHAND_MOVE_DRY (1u << 2)
/* Charge past the limits of `to`: to bring back what an earlier call has moved, never for anything else. */
#define CHARGEHAND_MOVE_FORCE (1u << 3)
#define CHARGEHAND_MOVE_FLAGS                                                                      \
	(CHARGEHAND_MOVE_ALL | CHARGEHAND_MOVE_SHARED | CHARGEHAND_MOVE_DRY | CHARGEHAND_MOVE_FORCE)

/*
 * MAP: bytes by (group charged, kind) of one address space. Only looks; drops mmap_lock every 1 GiB of
 * addresses or 16384 entries, so a changing program gives a picture of no single moment.
 *
 *  -ENOSPC    n_rows was too small; [out] n_rows says how many there are, nothing was stored
 */
struct chargehand_map_row {
	__u64 group_id;		/* whose account; 0: nobody's */
	__u32 kind;		/* CHARGEHAND_KIND_* */
	__u32 flags;		/* CHARGEHAND_ROW_* */
	__u64 bytes;		/* with MAP_UNIQUE each page once, else as bytes_mapped */
	__u64 bytes_mapped;	/* once per mapping seen */
	__u64 bytes_shared;	/* of `bytes`: mapped more than once, by whomever */
};
#define CHARGEHAND_ROW_DYING (1u << 0)	 /* the group was removed and lives on by its charges only */
#define CHARGEHAND_ROW_UNKNOWN (1u << 1) /* swap of a kernel where the record cannot be read: group_id is 0 */

struct chargehand_map {
	__u32 size;		/* sizeof(struct chargehand_map) */
	__u32 flags;		/* CHARGEHAND_MAP_* */
	__s32 pidfd;		/* CHARGEHAND_SELF: the caller */
	__u32 n_rows;		/* [in/out] room in rows; rows stored, in no order. At most 65536 */
	__u64 rows;		/* pointer to struct chargehand_map_row */
	__u64 ranges;		/* as in struct chargehand_move */
	__u32 n_ranges;
	__u32 reserved;
	__u64 resident;		/* [out] bytes_mapped of all rows but SWAP */
	__u64 lock_max_nsec;	/* [out] */
};
#define CHARGEHAND_MAP_SIZE_VER0 sizeof(struct chargehand_map)

/* Count a page once, however often it is mapped here. */
#define CHARGEHAND_MAP_UNIQUE (1u << 0)
/* With UNIQUE: also leave out pages that earlier calls on this open file have counted: the map of several
 * address spaces is the sum of calls on one file, of which the first is without this flag and begins anew. */
#define CHARGEHAND_MAP_CONTINUE (1u << 1)
#define CHARGEHAND_MAP_FLAGS (CHARGEHAND_MAP_UNIQUE | CHARGEHAND_MAP_CONTINUE)

/*
 * INFO: who an address space is, and who pays for it.
 * Pids are as seen from the caller's pid namespace; 0: not to be seen from there.
 */
struct chargehand_info {
	__u32 size;		/* sizeof(struct chargehand_info) */
	__u32 flags;		/* 0 */
	__s32 pidfd;		/* CHARGEHAND_SELF: the caller */
	__u32 n_pids;		/* [in/out] room in pids; how many processes share this mm (may be more than
				 * the room) */
	__u64 pids;		/* pointer to __u32: thread group leaders that share it, lowest first; 0 if
				 * n_pids is 0 */

	__u32 abi;		/* [out] CHARGEHAND_ABI of the module */
	__u32 mode;		/* [out] CHARGEHAND_MODE_* */
	__u64 mm_id;		/* [out] equal for two processes if and only if they share an address space now; means
				 * nothing otherwise, and nothing after a reload */
	__u32 owner_pid;	/* [out] mm->owner, whose group pays; 0: none left, or not to be seen */
	__u32 tasks;		/* [out] threads that use it */
	__u64 group_id;		/* [out] the memory cgroup that pays for what it allocates now */
	__u32 move_kinds;	/* [out] CHARGEHAND_KIND_BIT() of what MOVE can do on this kernel; 0 when read-only */
	__u32 reserved;
};
#define CHARGEHAND_INFO_SIZE_VER0 sizeof(struct chargehand_info)

enum {
	CHARGEHAND_MODE_READ_ONLY = 0,	/* MAP and INFO only */
	CHARGEHAND_MODE_MOVE = 1,
};

#endif
