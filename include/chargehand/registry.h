/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_REGISTRY_H
#define CHARGEHAND_REGISTRY_H

/*
 * The mm registry: which processes share which address space (mm), who owns each, and which group pays for it,
 * all kept up to date by events, so that asking is O(1) and no exit searches all processes.
 *
 * Sources: Singh 2008, "Add an owner to the mm_struct" (an owner; the next one is sought among children, siblings, everyone; a
 * callback); Biederman 2018, "memcg: Replace mm->owner with mm->memcg" (the group kept on the mm, updated at attach, fork and exec; fork
 * charges the forking task's group). Where the two differ from what the running kernel does, the kernel's
 * behaviour is what ch_mm_info.group says: it charges the group of the mm's owner (mm/memcontrol.c:get_mem_cgroup_from_mm()).
 *
 * Thread rule: one thread at a time per registry, unless said. Events come from a ch_feed (below) or from the caller.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <chargehand/error.h>
#include <chargehand/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ch_registry ch_registry;
typedef struct ch_feed ch_feed;

/* Why an owner changed. */
/*   id        word */
#define CH_OWNER_CAUSES(X)                                                                         \
        X(EXIT,    "exit",    "the owner exited")                                                  \
        X(EXEC,    "exec",    "the owner executed another program and left the address space")     \
        X(RESYNC,  "resync",  "found while reading /proc again after lost events")
typedef enum ch_owner_cause {
#define CH_OWNER_CAUSE_ENUM_(id, word, doc) CH_OWNER_CAUSE_##id,
        CH_OWNER_CAUSES(CH_OWNER_CAUSE_ENUM_)
#undef CH_OWNER_CAUSE_ENUM_
        CH_OWNER_CAUSE_MAX_
} ch_owner_cause;
const char *ch_owner_cause_to_string(ch_owner_cause cause);

typedef struct ch_mm_info {
        uint64_t id;            /* of this registry; never used again */
        pid_t owner;            /* whose group pays */
        uint32_t n_users;       /* processes that share it */
        /* The group that the owner is in, by inode number as in the charge map; 0 unknown (outside the tree). Where the memory
         * controller is not enabled for it, the account is that of the nearest ancestor that has it. */
        uint64_t group_id;
        const char *group;      /* its path in the tree, "" outside; valid until the next event */
        /* Biederman's mm->memcg: of whichever sharer was forked into it or attached last; the same but for CLONE_VM */
        uint64_t last_group_id;
        const char *last_group;
} ch_mm_info;

/* The owner of an mm changed; `from` has exited (or its first thread has, which to the kernel is the same, while others live) or executed.
 * Called from within the event: ask the registry, tell it nothing. */
typedef void (*ch_owner_func)(const ch_mm_info *mm, pid_t from, pid_t to, ch_owner_cause cause, void *userdata);

/* Where facts about processes come from: the kernel (NULL in the options), or a model in tests and benchmarks. */
typedef struct ch_process_facts {
        pid_t ppid;             /* real parent; 0 none or outside of the pid namespace */
        uint64_t start_ticks;
        uint64_t group_id;      /* 0: outside the tree */
        char *group;            /* malloc'd path; NULL outside */
        int has_mm;             /* 0 for kernel threads and for who is about to exit */
        int leader_exited;      /* its first thread is a zombie, others live */
        uint64_t mm_key;        /* processes with different keys do not share an mm; 0: cannot be told */
} ch_process_facts;
typedef struct ch_process_source {
        /* 0; -ESRCH: gone, or a zombie without living threads; other errors are passed on */
        int (*read)(pid_t pid, ch_process_facts *ret, void *userdata);
        /* As kcmp(KCMP_VM): 0 the same mm, 1 and 2 an order of the two that lasts as long as they, 3 different without order;
         * < 0 cannot be told, with -ESRCH if one of them is gone */
        int (*compare_mm)(pid_t a, pid_t b, void *userdata);
        /* Every process once, in any order; passes on what `each` returns if it is not 0 */
        int (*list)(int (*each)(pid_t pid, void *arg), void *arg, void *userdata);
        void *userdata;
} ch_process_source;

typedef struct ch_registry_options {
        ch_tree *tree;                  /* names groups; may be NULL with a source */
        const ch_process_source *source;/* NULL: /proc and kcmp(KCMP_VM) */
        ch_owner_func owner_changed;    /* may be NULL */
        void *userdata;
} ch_registry_options;

/* Knows no process yet: ch_feed_new() or ch_registry_resync() follows. Without a source: -ENOTSUP no kcmp() in this kernel, -EACCES
 * without CAP_SYS_PTRACE. -EINVAL neither tree nor source. */
int ch_registry_new(const ch_registry_options *options, ch_registry **ret, ch_error **err);
ch_registry *ch_registry_free(ch_registry *registry);

/*
 * Events, in the order in which they happened, however late: what a process shares is asked of the source as it is now, and what is known
 * already (after a resync) does no harm when it comes again. A process that is not known (its fork was lost) is read from the source; one
 * that is gone already is passed over. 0, or -ENOMEM, or what the source said.
 */
int ch_registry_fork(ch_registry *registry, pid_t parent, pid_t child); /* processes; threads are not told */
int ch_registry_exec(ch_registry *registry, pid_t pid);
int ch_registry_exit(ch_registry *registry, pid_t pid); /* the whole process, not a thread; its owner's duty passes on */
/* It was written to cgroup.procs of that group. NULL or "" and 0: to one outside the tree. Attaches by others are noticed when the process
 * executes or forks next, and by a resync. */
int ch_registry_attach(ch_registry *registry, pid_t pid, const char *group, uint64_t group_id);
/* A group is gone (its members have left it before): nothing of it is kept. */
int ch_registry_forget_group(ch_registry *registry, uint64_t group_id);
/* Read everything again and make the registry agree: after lost events, and now and then for attaches by others. Linear in the
 * processes of the host (n log n in those that were forked off one program). Owners that exist still stay owners. Who took over from
 * an owner that exited unseen cannot be read anywhere: it is sought as the kernel would have now. */
int ch_registry_resync(ch_registry *registry, ch_error **err);

/* O(1). -ESRCH: not known; -ENODATA: known, without an mm. */
int ch_registry_get_mm(const ch_registry *registry, pid_t pid, ch_mm_info *ret);
/* The processes that share the mm of `pid`, at most n; returns how many there are. */
ssize_t ch_registry_get_users(const ch_registry *registry, pid_t pid, pid_t *pids, size_t n);

typedef struct ch_registry_figures {
        uint64_t processes, mms, shared_mms, groups;
        uint64_t forks, execs, exits, attaches, owner_changes, resyncs, lost; /* since it was made; lost: times that events were lost */
        uint64_t searched;      /* processes looked at to find next owners, in all */
        uint64_t bytes;         /* memory it uses */
} ch_registry_figures;
void ch_registry_get_figures(const ch_registry *registry, ch_registry_figures *ret);

/*
 * The process connector (CONFIG_PROC_EVENTS, netlink): fork, exec and exit of the whole host. Listens first and then reads all processes into the
 * registry (ch_registry_resync), so that nothing falls between. -ENOTSUP kernel without it, or a network, pid or user
 * namespace that does not get them; -EPERM without CAP_NET_ADMIN (before Linux 6.6). Blocks for less than a second. The registry must live
 * longer than its feed.
 */
int ch_feed_new(ch_registry *registry, ch_feed **ret, ch_error **err);
ch_feed *ch_feed_free(ch_feed *feed);
int ch_feed_get_fd(const ch_feed *feed); /* poll for reading */
/* Take at most `max` events into the registry without waiting; returns how many, 0 none. Lost events (ENOBUFS; a gap in
 * the sequence numbers of a CPU where the kernel, before 6.6, cannot filter: later ones count what they do not send) are made good by
 * ch_registry_resync() within the call, once at most. */
int ch_feed_process(ch_feed *feed, unsigned max, ch_error **err);

#ifdef __cplusplus
}
#endif
#endif
