/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_MOVE_H
#define CHARGEHAND_MOVE_H

/*
 * Moving processes with their memory: the plan (a dry run that can be printed), the mover, and
 * recovery after a crash.
 *
 * Policies, after Kamezawa 2008, "memcg: Move Usage at Task Move": count, make room, move, roll back.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/map.h>
#include <chargehand/module.h>
#include <chargehand/process.h>
#include <chargehand/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;
typedef struct ch_plan ch_plan;
typedef struct ch_move ch_move;

/*   id        word        what it does */
#define CH_POLICIES(X)                                                                             \
        X(RESERVE, "reserve", "room is set aside first; a failure brings everything back")         \
        X(STAY,    "stay",    "processes move, charges stay where they are")                       \
        X(LAZY,    "lazy",    "processes move at once, charges follow in the background, again until they are there") \
        X(PARTIAL, "partial", "what can be moved is moved and kept; no rollback")
typedef enum ch_policy {
#define CH_POLICY_ENUM_(id, word, doc) CH_POLICY_##id,
        CH_POLICIES(CH_POLICY_ENUM_)
#undef CH_POLICY_ENUM_
        CH_POLICY_MAX_
} ch_policy;
const char *ch_policy_to_string(ch_policy policy);
int ch_policy_from_string(const char *word, ch_policy *ret); /* -EINVAL */

/*   id        word        what it does */
#define CH_BACKENDS(X)                                                                             \
        X(MODULE,   "module",   "the kernel module charges pages otherwise where they are: to the page, nothing is copied") \
        X(RECHARGE, "recharge", "a patched kernel charges pages to the process's group where they are (MADV_RECHARGE)") \
        X(COLLAPSE, "collapse", "MADV_COLLAPSE copies whole 2 MiB ranges onto the account of the process's group") \
        X(REFAULT,  "refault",  "clean file pages are dropped and come back on the account of who reads them next")
typedef enum ch_backend {
#define CH_BACKEND_ENUM_(id, word, doc) CH_BACKEND_##id,
        CH_BACKENDS(CH_BACKEND_ENUM_)
#undef CH_BACKEND_ENUM_
        CH_BACKEND_MAX_
} ch_backend;
const char *ch_backend_to_string(ch_backend backend);
int ch_backend_from_string(const char *word, ch_backend *ret);

/*   id           word             why bytes stay where they are */
#define CH_REASONS(X)                                                                              \
        X(SMALL,     "small",          "no whole 2 MiB-aligned range of one mapping")              \
        X(SPARSE,    "sparse",         "the range has holes that collapsing would fill: memory would grow") \
        X(FORBIDDEN, "huge pages forbidden", "the program forbids huge pages (PR_SET_THP_DISABLE or MADV_NOHUGEPAGE)") \
        X(SHARED,    "shared",         "pages shared with another address space (fork, files that others map)") \
        X(FOREIGN_OWNER, "other owner", "another process outside the move owns the address space and pays") \
        X(SHMEM,     "shared memory",  "shared memory follows no process")                  \
        X(PINNED,    "pinned",         "pinned, device or special pages")                          \
        X(LOCKED,    "locked",         "mlocked")                                                  \
        X(SWAPPED,   "swapped",        "in swap: charged by the swap record")                      \
        X(DIRTY,     "dirty",          "dirty, or in use by others: cannot be dropped")            \
        X(HUGETLB,   "hugetlb",        "hugetlb pages")                                            \
        X(BACKEND,   "no backend",     "no backend for this kind is available or allowed")         \
        X(KSM,       "KSM",            "merged by KSM: belongs to nobody")                         \
        X(LARGE,     "large page",     "part of a large page that is not mapped as a whole here")  \
        X(BUSY,      "busy",           "locked, under writeback, or on its way through a list just then") \
        X(NO_ROOM,   "no room",        "a limit of the target or of an ancestor is reached")       \
        X(FAILED,    "failed",         "the kernel refused (no free huge page, limit reached, busy)") \
        X(NOT_REACHED,"not reached",   "the job ended before its turn: cancelled or out of time")
typedef enum ch_reason {
#define CH_REASON_ENUM_(id, word, doc) CH_REASON_##id,
        CH_REASONS(CH_REASON_ENUM_)
#undef CH_REASON_ENUM_
        CH_REASON_MAX_
} ch_reason;
const char *ch_reason_to_string(ch_reason reason);

/*   id           word             what became of a process */
#define CH_OUTCOMES(X)                                                                             \
        X(PENDING,   "pending",        "not yet")                                                  \
        X(MOVED,     "moved",          "in the target, verified")                                  \
        X(ALREADY,   "already there",  "was in the target before")                                 \
        X(EXITED,    "exited",         "exited meanwhile")                                         \
        X(ZOMBIE,    "zombie",         "a zombie: nothing to move")                                \
        X(KTHREAD,   "kernel thread",  "cannot be moved")                                          \
        X(REFUSED,   "refused",        "the kernel refused the write")                             \
        X(RETURNED,  "returned",       "brought back to where it was")
typedef enum ch_outcome {
#define CH_OUTCOME_ENUM_(id, word, doc) CH_OUTCOME_##id,
        CH_OUTCOMES(CH_OUTCOME_ENUM_)
#undef CH_OUTCOME_ENUM_
        CH_OUTCOME_MAX_
} ch_outcome;
const char *ch_outcome_to_string(ch_outcome outcome);

/* Bytes that somebody else has set aside below a group (claims); asked per group on the way up. */
typedef uint64_t (*ch_claimed_func)(const char *group_path, void *userdata);

/*
 * MODULE, where chargehand.ko is loaded and moves, goes first. It moves anonymous memory, small and huge, swap records (not on 7.2) and clean
 * file pages, to the page and where they are, so that huge pages need not be allowed, nothing grows, and pages may be mlocked. Pages that
 * several processes map go if all of those are in the move (their map counts tell), else they stay ("shared"); shared memory
 * follows no process. `with_shared` moves both. What the module leaves that others can move is left to them, by kind.
 * RECHARGE, on kernels with kmod/patches, moves anonymous memory likewise; a 2 MiB block with pages that others map is left to COLLAPSE,
 * and goes with `with_shared`, as shared memory does.
 * COLLAPSE (6.1 and newer) moves whole 2 MiB blocks of private anonymous memory. Holes of a block are filled, so blocks are taken in
 * order of their holes until the growth allowed is used up; where splitting a huge page gives its holes back (6.12 and newer) blocks
 * that are at least a sixteenth full are moved beyond that, at no growth. Small mlocked pages move too, huge ones do not.
 * REFAULT drops clean file pages that only the moved processes map: they are read again, on the new account, when next needed.
 */
typedef struct ch_move_options {
        ch_policy policy;
        uint32_t backends;              /* bits 1 << CH_BACKEND_x; default all */
        uint32_t max_growth_permyriad;  /* how much the resident set may grow by filling holes; default 100 = 1 % */
        uint64_t rate_bytes_per_sec;    /* 0 = no limit; kept by steps of a tenth of a second, or of one huge page */
        uint64_t timeout_usec;          /* of the whole move; 0 = none */
        uint64_t reclaim_bytes;         /* at most this much may be reclaimed in the target to make room; default
                                           UINT64_MAX */
        uint32_t max_rounds;            /* scans of the process tree until it must have converged; default 1000 */
        int freeze_on_storm;            /* freeze the source when forks outrun us and it is wholly part of the move; default 1 */
        ch_claimed_func claimed;        /* may be NULL */
        void *claimed_userdata;
        int with_shared;                /* MODULE: shared memory and pages that others outside of the move map go as well */
        ch_module *module;              /* for MODULE; NULL: it is opened when needed, and closed with the plan. Must outlive
                                           plan and move, and be used by nobody else meanwhile */
} ch_move_options;
#define CH_MOVE_OPTIONS_INIT                                                                       \
        { .policy = CH_POLICY_RESERVE, .backends = ~0u, .max_growth_permyriad = 100,               \
          .reclaim_bytes = UINT64_MAX, .max_rounds = 1000, .freeze_on_storm = 1 }

/*
 * What is to be moved. Exactly one of pids/tree/group: `pids` as they are; `with_tree` adds their
 * descendants; `group` moves all members of a group (not of groups below it).
 */
typedef struct ch_move_request {
        const pid_t *pids;
        size_t n_pids;
        int with_tree;
        const char *group;
        const char *target;
} ch_move_request;

/*
 * Make a plan: resolve the set, find shared address spaces, map the charges (not for STAY), ask which backend
 * can move what, and look for room in the target and in every ancestor below the lowest common one
 * (limit - current - claims, memory.max and memory.high). Changes nothing.
 *
 * A plan that cannot be carried out is still returned (0), with ch_plan_get_refusal() saying why. < 0 only
 * where no plan can be made: -ESRCH, -ENODEV, -EINVAL bad path. Blocks as long as the charge map takes.
 */
int ch_plan_new(ch_tree *tree, const ch_move_request *request, const ch_move_options *options, ch_plan **ret,
                ch_error **err);
ch_plan *ch_plan_free(ch_plan *plan);
/* NULL if the plan can be carried out. Owned by the plan. */
const ch_error *ch_plan_get_refusal(const ch_plan *plan);
const ch_procset *ch_plan_get_processes(const ch_plan *plan);
uint64_t ch_plan_get_movable_bytes(const ch_plan *plan); /* charges elsewhere that a backend can move to the target */
uint64_t ch_plan_get_staying_bytes(const ch_plan *plan);
uint64_t ch_plan_get_reclaim_bytes(const ch_plan *plan); /* that must be reclaimed in the target first */
/*
 * {target, lca, policy, feasible, refusal:{kind,path,cause},
 *  processes:[{pid, comm, uid, group, note}], n_processes,
 *  mms:[{pid, inside, outside, outside_pid, owner, owner_inside, pays, note}]   only those that are shared,
 *  rows:[{group, kind, bytes, movable_bytes, backend}],
 *  staying:[{kind, reason, bytes, advice}],
 *  room:[{group, limit, limit_bytes, current_bytes, claimed_bytes, free_bytes, needed_bytes, short_bytes}],
 *  backends:{BACKEND:{KIND: bytes}}   what is to be moved by which,
 *  movable_bytes, staying_bytes, already_bytes, growth_bytes, reclaim_bytes, resident_bytes, anon_bytes, warnings:[…]}
 */
int ch_plan_to_json(const ch_plan *plan, struct json_object **ret);

/*   id            word            steps of a move, in order; each is told to the journal before it begins */
#define CH_STEPS(X)                                                                                \
        X(INTENT,     "intent",     "nothing has been touched")                                    \
        X(ROOM,       "room",       "reclaiming in the target")                                    \
        X(PROCESSES,  "processes",  "writing cgroup.procs")                                        \
        X(VERIFY,     "verify",     "reading membership back")                                     \
        X(CHARGES,    "charges",    "recharging")                                                  \
        X(MEASURE,    "measure",    "mapping the charges again")                                   \
        X(ROLLBACK_PROCESSES, "rollback processes", "bringing processes back")                     \
        X(ROLLBACK_CHARGES,   "rollback charges",   "bringing charges back")                       \
        X(DONE,       "done",       "finished or rolled back")
typedef enum ch_step {
#define CH_STEP_ENUM_(id, word, doc) CH_STEP_##id,
        CH_STEPS(CH_STEP_ENUM_)
#undef CH_STEP_ENUM_
        CH_STEP_MAX_
} ch_step;
const char *ch_step_to_string(ch_step step);

typedef struct ch_move_hooks {
        /* Called from the moving thread before each step, with a record that suffices to finish or undo the move
         * after a crash (ch_move_recover()). A negative return stops the move as if the step had failed. `record`
         * is valid during the call. Called again within PROCESSES whenever new processes have joined the set. */
        int (*journal)(ch_step step, struct json_object *record, void *userdata);
        /* Progress, at most some 20 times a second. */
        void (*progress)(ch_step step, uint64_t bytes_done, uint64_t bytes_total, void *userdata);
        void *userdata;
} ch_move_hooks;

/* Takes the plan over on success. -EINVAL if the plan was refused. */
int ch_move_new(ch_plan *plan, const ch_move_hooks *hooks, ch_move **ret, ch_error **err);
ch_move *ch_move_free(ch_move *move);
/*
 * Carry it out; blocks for seconds: call it from a worker. Returns 0 done as planned; 1 partly done (the result
 * says what stayed, policy partial or lazy); < 0 failed:
 * -ECANCELED cancelled, or failed and rolled back (the error's kind tells: CANCELLED, ROLLED_BACK), -ETIMEDOUT,
 * -ENOSPC no room: nothing has changed.
 */
int ch_move_run(ch_move *move, ch_error **err);
/* From any thread: end as soon as possible; with RESERVE what was done is undone, until the step MEASURE begins. */
void ch_move_cancel(ch_move *move);
/*
 * {target, policy, state: "finished"|"partly done"|"rolled back"|"refused"|"failed", error:{kind,path,cause},
 *  processes:[{pid, comm, outcome, group, note}], moved, exited, failed,
 *  rows:[{kind, backend, before_bytes, moved_bytes, left_bytes}], staying:[{kind, reason, bytes, advice}],
 *  backends:{BACKEND:{KIND: bytes}}   what was moved by which (kinds as they were found),
 *  moved_bytes, returned_bytes, planned_bytes, resident_before_bytes, resident_after_bytes, elapsed_usec,
 *  processes_usec, charges_usec, rounds}
 */
int ch_move_to_json(const ch_move *move, struct json_object **ret);

/*
 * After a crash: `record` is the last one the journal hook was given. A move that had moved all processes (step CHARGES
 * or later, not rolling back) is finished; one that had not is rolled back. Processes that exited are passed over.
 * Idempotent: may be interrupted and repeated. `result` as ch_move_to_json(). Blocks like ch_move_run().
 */
int ch_move_recover(ch_tree *tree, struct json_object *record, const ch_move_hooks *hooks, struct json_object **result,
                    ch_error **err);

#ifdef __cplusplus
}
#endif
#endif
