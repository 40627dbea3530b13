/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_MAPTABLE_H
#define CTL_MAPTABLE_H

/* The charge map as tables, for map, status and explain. 0 or -ENOMEM. */

#include "cli.h"

int map_print_rows(Cli *cli, struct json_object *map);
int map_print_figures(Cli *cli, struct json_object *figures);

#endif
