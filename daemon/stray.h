/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_STRAY_H
#define CHD_STRAY_H

/* Looks now and then whether processes that a job moved are still where it left them
 * (StrayInterval=). Of the latest 1,024. */

#include <stdint.h>

struct json_object;
typedef struct Manager Manager;
typedef struct Strays Strays;

int strays_new(Manager *manager, Strays **ret);
Strays *strays_free(Strays *strays);
/* `result` of a job: its processes that were moved to `group`. */
void strays_watch(Strays *strays, struct json_object *result, const char *group);

#endif
