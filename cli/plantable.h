/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_PLANTABLE_H
#define CTL_PLANTABLE_H

/* Plans as tables, for plan and move. */

#include "access.h"

/* Make the plan and print it. Returns an exit code: that of the refusal where it cannot be carried
 * out. */
int plan_run(Cli *cli, const MoveSpec *spec);
int plan_print(Cli *cli, struct json_object *plan);                     /* 0 or -ENOMEM */
int plan_print_staying(Cli *cli, struct json_object *staying);          /* 0 or -ENOMEM */
int plan_exit(struct json_object *plan);

#endif
