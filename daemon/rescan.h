/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_RESCAN_H
#define CHD_RESCAN_H

/*
 * Brings the model in line with the whole tree without holding up the loop: a thread of its own
 * takes a picture of the tree, the loop compares it with the model a few milliseconds at a time.
 * The picture only says where to look: what the model learns is read from the tree at that moment,
 * so that what inotify told meanwhile is never undone by something older.
 */

#include <systemd/sd-event.h>

#include <chargehand/error.h>

#include "group.h"

typedef struct Rescan Rescan;

typedef struct RescanObserver {
        void (*met)(Group *group, void *userdata); /* each group of the picture that is there */
        void (*ended)(int r, const ch_error *error, void *userdata); /* < 0: the model may lag */
        void *userdata;
} RescanObserver;

int rescan_new(sd_event *event, Groups *groups, const RescanObserver *observer, Rescan **ret);
/* 0 and nothing is freed while the thread is at work: it is left to the end of the process. */
int rescan_free(Rescan *rescan);
/* One at a time; asked for while one is under way, another follows it. */
int rescan_start(Rescan *rescan);
/* For the end: the picture under way is given up, no other is begun. */
void rescan_stop(Rescan *rescan);
int rescan_is_running(const Rescan *rescan);
uint64_t rescan_count(const Rescan *rescan); /* that came to their end */

#endif
