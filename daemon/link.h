/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_LINK_H
#define CHD_LINK_H

/* One connection to a bus and the name on it: made, lost, made again with a back-off. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include <chargehand/error.h>

typedef struct Clients Clients;
typedef struct Link Link;

typedef struct LinkOptions {
        const char *address; /* "system", "session" or a D-Bus address; outlives the link */
        const char *name;    /* to own, such as org.chargehand1 */
        const char *policy;  /* file that allows it, for the message: "org.chargehand1.conf" */
        Clients *clients;
        sd_event *event;
        int (*add_objects)(sd_bus *bus, void *userdata); /* on each new connection */
        void (*named)(void *userdata);                   /* the name is ours */
        void (*refused)(void *userdata);                 /* it never will be; was logged */
        void (*client_gone)(const char *client, void *userdata); /* may be NULL */
        void *userdata;
} LinkOptions;

/* Connects; where that fails and `patient`, it is tried again later. */
int link_new(const LinkOptions *options, int patient, Link **ret, ch_error **err);
Link *link_free(Link *link);
sd_bus *link_get_bus(const Link *link); /* NULL while the bus is gone */
int link_has_name(const Link *link);
/* 1 when nothing is left to be sent. */
int link_is_flushed(const Link *link);
/* From now on a lost bus stays lost. */
void link_stop(Link *link);

#endif
