/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_PROGRAM_H
#define CTL_PROGRAM_H

/* Programs that are started inside of a group and waited for. All functions return an exit code and
 * tell what went wrong, unless said. */

#include <signal.h>

#include "cli.h"

/* Signals that are passed on, and the program's end. To be blocked before anything is made, so that
 * none ends us with something left behind. */
void program_block_signals(sigset_t *ret);
/* The group's directory from the daemon; CTL_NO_GROUP. */
int program_open_group(Cli *cli, const char *group, int *ret_fd);
/* Start it in the group, as --uid, --gid and --cwd say. */
int program_start(Cli *cli, const char *group, int group_fd, char **argv, pid_t *ret_pid);
/* Until it ends or CLOCK_MONOTONIC has come to `until_usec` (UINT64_MAX: never); signals go on to
 * it. 1 it has ended, with that exit status as a shell tells it; 0 the time is over. */
int program_wait(pid_t pid, const sigset_t *blocked, uint64_t until_usec, int *ret_status);

#endif
