/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_PLACETABLE_H
#define CTL_PLACETABLE_H

/* Placements as tables: ch_place_to_json(), with `refusal` where nobody can hold what is to be placed. */

#include "cli.h"

int place_print(Cli *cli, struct json_object *placement); /* 0 or -ENOMEM */
/* That of the refusal; CTL_OK where a group was chosen. */
int place_exit(struct json_object *placement);

#endif
