/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_MOVETABLE_H
#define CTL_MOVETABLE_H

/* What became of a move, for verbs that begin one. */

#include "job.h"

int move_print(Cli *cli, const JobEnd *end); /* 0 or -ENOMEM */
/* Says the error of a job that did not finish, and returns the exit code. */
int move_end_code(Cli *cli, const JobEnd *end);

#endif
