/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_TIDY_H
#define CHD_TIDY_H

/* Gives memory back to the kernel when many groups have gone: free() alone mostly keeps it. */

#include <systemd/sd-event.h>

typedef struct Tidy Tidy;

int tidy_new(sd_event *event, Tidy **ret);
Tidy *tidy_free(Tidy *tidy);
/* A group is gone. */
void tidy_count(Tidy *tidy);

#endif
