/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_REGISTRY_H
#define CH_LIB_REGISTRY_H

/* Inside of the mm registry, shared by registry*.c and feed.c. The public face is
 * include/chargehand/registry.h. */

#include <chargehand/registry.h>

#include "hash.h"

typedef struct Group Group;
typedef struct Mm Mm;
typedef struct Process Process;

/* A group that a process is in or that an mm was attached to last. Forgotten: id 0 and no path. */
struct Group {
        uint64_t id;
        char *path;
        size_t n_refs;
};

struct Mm {
        uint64_t id;
        uint64_t key;           /* of the source; 0 not known */
        Process *owner;         /* one of the users */
        Process *users, *last_user; /* oldest first, as for_each_process() of the kernel */
        Mm *key_next, *key_prev;/* with the same key */
        Group *last_group;      /* holds a reference; NULL outside */
        uint64_t claim;         /* resync: how well the best class of processes fits */
        uint32_t n_users, claim_class;
};

struct Process {
        pid_t pid;
        uint32_t epoch;         /* of the resync that saw it last */
        uint64_t start_ticks;
        uint64_t born;          /* order of appearance: of who started in one tick, the lower is older */
        uint64_t linked;        /* order in the parent's list of children */
        Process *parent;        /* NULL: none, or not known */
        Process *children, *last_child, *next_sibling, *prev_sibling;
        Mm *mm;                 /* NULL for kernel threads */
        Process *next_user, *prev_user;
        Group *group;           /* holds a reference; NULL outside */
        uint8_t has_threads;    /* it has or may have more than one: see registry_thread_exit() */
        uint8_t leader_exited;  /* and the first of them is no more */
        uint8_t by_thread;      /* its parent's first thread is not the one that forked it */
};

struct ch_registry {
        ch_process_source source;
        struct ProcSource *proc; /* behind `source` if that is the kernel */
        ch_owner_func owner_changed;
        void *userdata;
        /* From 6.11 on the kernel looks at the other threads of a sibling, and so at those of the process itself, where
         * before it looked at the first ones only. */
        int threads_are_siblings;
        Hash processes;         /* pid → Process */
        Hash groups;            /* id → Group */
        Hash mms_by_key;        /* key → first Mm */
        uint64_t last_id, last_born, last_linked;
        uint32_t epoch;
        uint64_t n_mms, n_shared, path_bytes;
        ch_registry_figures counts; /* of what happened; the rest is filled in when asked for */
};

/* registry-source.c: /proc and kcmp(). */
typedef struct ProcSource ProcSource;
int proc_source_new(ch_tree *tree, ProcSource **ret, ch_error **err);
ProcSource *proc_source_free(ProcSource *source);
ch_process_source proc_source_get(ProcSource *source);
/* Is this kernel of that release or a later one? */
int proc_source_is_since(unsigned major, unsigned minor);

/* registry-group.c */
/* With a reference for the caller; *ret is NULL for 0, outside. -ENOMEM. */
int group_intern(ch_registry *registry, uint64_t id, const char *path, Group **ret);
Group *group_unref_interned(ch_registry *registry, Group *group);
void group_forget(ch_registry *registry, uint64_t id);
static inline Group *group_ref_interned(Group *group)
{
        if (group)
                group->n_refs++;
        return group;
}

/* registry-process.c: processes, and who is whose child. */
Process *process_find(const ch_registry *registry, pid_t pid);
/* Takes the reference of the group over when it succeeds. */
int process_new(ch_registry *registry, pid_t pid, const ch_process_facts *facts, Group *group,
                Process **ret);
/* It has left its mm, its parent and its children before. */
void process_free(ch_registry *registry, Process *process);
/* As the last child of another parent, NULL none. */
void process_set_parent(ch_registry *registry, Process *process, Process *parent);
/* All children go to the end of the other's, in their order; NULL: they have no parent. */
void process_give_children(ch_registry *registry, Process *process, Process *to);
/* Takes the reference over. The mm remembers it if that is a change. */
void process_set_group(ch_registry *registry, Process *process, Group *group);
/* Was `a` made before `b`? */
int process_is_older(const Process *a, const Process *b);

/* registry-mm.c: address spaces and their owners. */
/* A new one of which the process is the owner; it has none. -ENOMEM. */
int mm_new(ch_registry *registry, Process *process, uint64_t key);
void mm_join(ch_registry *registry, Mm *mm, Process *process);
/* Passes the duty of an owner on; frees the mm when nobody is left. */
void mm_leave(ch_registry *registry, Process *process, ch_owner_cause cause);
/*
 * The first thread of the process exited, others live. To the kernel, which knows tasks and not processes, that
 * is the exit of an owner like any other: another process that shares may take over.
 */
void mm_leader_left(ch_registry *registry, Process *process, ch_owner_cause cause);
/* The one user becomes that of a new mm. */
int mm_renew(ch_registry *registry, Mm *mm, uint64_t key);
int mm_set_key(ch_registry *registry, Mm *mm, uint64_t key);
Mm *mm_find_key(const ch_registry *registry, uint64_t key);
void mm_set_last_group(ch_registry *registry, Mm *mm, Group *group);
void mm_describe(const Mm *mm, ch_mm_info *ret);

/* registry-event.c */
int registry_read(ch_registry *registry, pid_t pid, ch_process_facts *ret);
void facts_done(ch_process_facts *facts);
/* ch_registry_fork(), by the thread of that number. */
int registry_fork(ch_registry *registry, pid_t parent, pid_t parent_tid, pid_t child);
/* A thread was made in the process. */
void registry_thread_fork(ch_registry *registry, pid_t pid);
/* A thread of the process exited: if no other lives, that was the end of the process, which is asked only where it is open. */
int registry_thread_exit(ch_registry *registry, pid_t pid, pid_t tid);

#endif
