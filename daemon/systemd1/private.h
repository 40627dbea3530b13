/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_PRIVATE_H
#define CHD_SYSTEMD1_PRIVATE_H

/*
 * /run/systemd/private: D-Bus without a bus daemon. Peers must be root or the daemon's own uid; no
 * Hello; AddMatch and the like are answered; all signals go to every peer. A peer that does not
 * read is cut off when its queue is full, and harms nobody else.
 */

#include "face.h"

/* `path` is made with its directory (0755), the socket 0700. What another live daemon listens on is
 * refused (-EADDRINUSE); a dead socket is replaced. */
int private_new(Face *face, const char *path, Private **ret, ch_error **err);
Private *private_free(Private *private_);
size_t private_n_peers(const Private *private_);
/* Any peer's connection, for making a signal where there is no bus; NULL: no peers. */
sd_bus *private_get_bus(const Private *private_);
/* The signal goes to every peer. */
void private_send_all(Private *private_, sd_bus_message *signal);
/* Nothing is left to be sent. */
int private_is_flushed(Private *private_);
/* A peer that has left several answers unread; it gets no long ones. */
int private_is_slow(sd_bus *bus);

#endif
