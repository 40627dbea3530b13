/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_SYSTEMD1_ENV_H
#define CH_TESTS_SYSTEMD1_ENV_H

/* chargehandd with its face as org.freedesktop.systemd1, on a real hierarchy without controllers,
 * and what container runtimes do with it. */

#include "bus-env.h"

/* 0: there is no cgroup v2 to be had at /sys/fs/cgroup/unified, or we are not root: skip. `runtime`
 * (may be NULL): lines for [Runtime]. */
int sd1_start(Env *env, const char *runtime);
/* Ends the daemon and takes the groups away; what it left behind fails the test. */
void sd1_end(Env *env);
/* After env_stop_daemon(). */
void sd1_start_again(Env *env);
/* Full path of a group, in a buffer that the next call but three reuses. */
const char *sd1_path(Env *env, const char *group);
int sd1_exists(Env *env, const char *group);
char *sd1_read(Env *env, const char *file); /* NULL: not there; to be freed */

/* Calls of the Manager */
sd_bus_message *sd1_call(Env *env, const char *member, const char *types, ...);
void sd1_do(Env *env, const char *member, const char *types, ...); /* no answer is looked at */
void sd1_fails(Env *env, const char *error, const char *text, const char *member, const char *types,
               ...);
/* As another uid: it must fail with that error; NULL: it must work. */
void sd1_as(Env *env, uid_t uid, const char *error, const char *member, const char *types, ...);
/* A call that answers with a job: its number. */
uint32_t sd1_job(Env *env, const char *member, const char *types, ...);
/* JobRemoved of that job comes, once, for that unit and with that result. */
void sd1_expect_job(Env *env, uint32_t id, const char *unit, const char *result);
#define SD1_START "ssa(sv)a(sa(sv))"
/* Starts a scope with that process in it and waits for the job: "done". */
void sd1_scope(Env *env, const char *name, const char *slice, pid_t pid);
void sd1_stop(Env *env, const char *name);

/* ActiveState and SubState of a unit: "active running"; "" when it is not loaded. To be freed. */
char *sd1_state(Env *env, const char *name);
void sd1_expect_state(Env *env, const char *name, const char *want);
/* Waits for it. */
void sd1_wait_state(Env *env, const char *name, const char *want);

/* A process that waits; `deaf`: SIGTERM does nothing to it. */
pid_t sd1_sleeper(int deaf);
pid_t sd1_sleeper_of(uid_t uid);
void sd1_reap(pid_t pid); /* SIGKILL, and waits for the end */
int sd1_ended(pid_t pid); /* the signal that ended it; 0: it lives */
void sd1_expect_group(Env *env, pid_t pid, const char *want);

#endif
