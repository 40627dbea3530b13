/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SETUP_H
#define CHD_SETUP_H

/* What has to be in place before the daemon can work: limits, locks, the hierarchy, controllers.
 * Each failure says what to do. */

#include "manager.h"

/* Where systemd runs there is such a directory. One that chargehandd made itself (SystemdDirectory=)
 * has a mark, so that it is known again after a crash. */
#define SYSTEMD_DIRECTORY      "/run/systemd/system"
#define SYSTEMD_DIRECTORY_MARK SYSTEMD_DIRECTORY "/made-by-chargehandd"

void setup_raise_nofile(void);
/* StateDirectory and its lock, the hierarchy of the mode and its lock. */
int setup_state(Manager *manager, ch_error **err);
int setup_tree(Manager *manager, ch_error **err);
/* Mode delegated: the daemon leaves the subtree's root for a leaf, so that controllers can be
 * enabled. Then Controllers=. */
int setup_controllers(Manager *manager, ch_error **err);
/* Tells in plain words what is missing, and what still works. */
void setup_tell_missing(const Manager *manager);

#endif
