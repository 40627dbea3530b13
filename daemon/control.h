/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CONTROL_H
#define CHD_CONTROL_H

/* Kill, freeze and thaw groups. All wait for the kernel to say that it happened, until a deadline:
 * on a worker. */

#include <stdint.h>

#include <chargehand/tree.h>

/*
 * Signal all processes of the group and of those below. `only_uid` UINT32_MAX: all, by cgroup.kill
 * for SIGKILL; else one by one those that run under the uid, NotPermitted if another is met. After
 * SIGKILL waits until the group is no longer populated. BadValue: no such signal. BadTarget: the
 * daemon itself is in there. TimedOut.
 */
int control_kill(ch_tree *tree, const char *path, int signum, uint32_t only_uid,
                 uint64_t timeout_usec, ch_error **err);
/* cgroup.freeze; a freeze that is not done in time is taken back. BadTarget, TimedOut. */
int control_freeze(ch_tree *tree, const char *path, int freeze, uint64_t timeout_usec,
                   ch_error **err);
/* Is the daemon in that group or below? BadTarget if so. */
int control_check_not_self(ch_tree *tree, const char *path, const char *verb, ch_error **err);

#endif
