/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_STATEFILE_H
#define CHD_STATEFILE_H

/* Files below StateDirectory: N.json, each one JSON object that says of which boot it is. Any thread. */

#include <stdint.h>

struct json_object;

typedef enum StatefileSync {
        STATEFILE_KEPT,   /* need not be on the disk before the next boot */
        STATEFILE_SYNCED, /* is on the disk when this returns */
} StatefileSync;

/* Notes the boot in the object. */
void statefile_stamp(struct json_object *object);
/* Is it of this boot? */
int statefile_is_current(struct json_object *object);
/* Whole, or as it was before: written as N.tmp, then renamed. */
int statefile_write(int dir_fd, uint64_t number, struct json_object *object, StatefileSync sync);

#endif
