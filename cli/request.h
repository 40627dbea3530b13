/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

/* What is to be moved where and how: from the command line, for the library or the bus. */

#include "access.h"

/* "PID… TARGET", or --group=SOURCE and "TARGET". Returns an exit code. */
int request_parse(Cli *cli, int argc, char **argv, MoveSpec *ret);
void request_done(MoveSpec *spec);
/* One more, into spec->pids, which has the room. */
int request_add_pid(Cli *cli, MoveSpec *spec, const char *word);
/* Policy, backends, growth, rate and time limit as given; what is not given keeps its default. */
int request_options(Cli *cli, ch_move_options *options);
/* As the a{sv} of PlanMove and Move: only what was given; the rest is the daemon's to choose. */
/* Only the entries, into an a{sv} that is open; nothing is checked. 0 or -errno. */
int request_append_entries(const Options *o, const MoveSpec *spec, sd_bus_message *m);
int request_append(Cli *cli, const MoveSpec *spec, sd_bus_message *m);

#endif
