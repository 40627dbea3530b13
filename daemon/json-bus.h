/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_JSON_BUS_H
#define CHD_JSON_BUS_H

/*
 * The library's JSON objects as D-Bus variants, generically: object a{sv}, array of objects aa{sv},
 * array of strings (or empty) as, other arrays av, number t or x or d, text s, truth b; null is
 * left out.
 */

#include <systemd/sd-bus.h>

struct json_object;

/* Appends an a{sv}; `object` NULL: an empty one. -EINVAL if it is no object. */
int json_bus_append(sd_bus_message *message, struct json_object *object);
/* Only its entries: the caller has opened the a{sv}, and may add others. */
int json_bus_append_entries(sd_bus_message *message, struct json_object *object);

#endif
