/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_REAL_ENV_H
#define CH_TESTS_REAL_ENV_H

/* chargehandd on a group of our own of the host's cgroup v2, without controllers, where there is one. */

#include "bus-env.h"

/* 0: there is none at /sys/fs/cgroup/unified, or we are not root. `argument` may be NULL. */
int real_start(Env *env, char root[128], const char *argument);
void real_end(Env *env, const char *root);
/* A process that does nothing, in the group. */
pid_t real_sleeper(const char *root, const char *group, uid_t uid);
void real_create(Env *env, const char *path);
/* The process is in that group, as the daemon sees it. */
void real_expect_group(Env *env, pid_t pid, const char *want);
void real_kill(pid_t pid);

#endif
