/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_JOURNAL_H
#define CHD_JOURNAL_H

/*
 * The journal of moves in flight: one file per move, StateDirectory/moves/N.json, replaced as a
 * whole before each step: {job, uid, boot_id, step, record}. A file that is there at start is a
 * move that a crash interrupted.
 */

#include <stdint.h>

#include <chargehand/move.h>

struct json_object;

/* Any thread. On the disk when it returns (write, fsync, rename, fsync of the directory). */
int journal_write(int state_fd, uint32_t job, uint32_t uid, ch_step step,
                  struct json_object *record, ch_error **err);
void journal_remove(int state_fd, uint32_t job);

typedef int (*journal_func)(uint32_t job, uint32_t uid, struct json_object *record, void *userdata);
/* Calls `func` for each move of this boot. Those of an earlier boot (their processes are gone) and
 * what cannot be read are put aside as N.json.old with a warning. Returns how many were given. */
int journal_read_all(int state_fd, journal_func func, void *userdata, ch_error **err);

#endif
