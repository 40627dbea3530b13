/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_USER_H
#define CHD_SYSTEMD1_USER_H

/*
 * chargehandd --user: a user's own instance in the subtree that the system's instance gave him,
 * user@UID.service. What lives outside of it (sessions, say) he may not move himself: the kernel
 * wants the common ancestor to be his. The system's instance does it for him.
 *
 *   user_enter()            before all else: find the subtree, be put into it
 *   user_attach_outside()   Face.attach_outside
 */

#include "../conf.h"
#include "face.h"

/* What differs from the system's instance, for what the file does not set. */
int user_conf_defaults(Conf *conf, ch_error **err);
/* The user's configuration file; NULL in *ret: there is none. Caller frees. */
int user_conf_file(char **ret);
/* Blocks; sets Root= where it was not given. */
int user_enter(Conf *conf, ch_error **err);
int user_attach_outside(Face *face, const char *path, const pid_t *pids, size_t n,
                        void (*done)(int r, void *userdata), void *userdata);
/* Whoever waits is told that nothing will come. */
void user_done(void);

#endif
