/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_PLACE_REQUEST_H
#define CTL_PLACE_REQUEST_H

/* What is to be placed, among which groups and how: from the command line, for the library or the bus. */

#include <chargehand/place.h>

#include "access.h"

struct PlaceSpec { /* typedef in access.h */
        MoveSpec move;           /* processes, without a target; none: a program that needs --bytes */
        char **command;          /* to be run in the group chosen; NULL: none */
        ch_place_request request;
};

/* "PID…", --group=SOURCE or --bytes=N, and a command line after "--". Returns an exit code. */
int place_request_parse(Cli *cli, int argc, char **argv, PlaceSpec *ret);
void place_request_done(PlaceSpec *spec);
int place_has_processes(const PlaceSpec *spec);
/* As the a{sv} of Place. */
int place_request_append(Cli *cli, const PlaceSpec *spec, int dry_run, sd_bus_message *m);
/* Access.place without the daemon. */
int place_directly(Cli *cli, const PlaceSpec *spec, struct json_object **ret);

#endif
