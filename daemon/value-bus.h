/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_VALUE_BUS_H
#define CHD_VALUE_BUS_H

/* Attribute values as D-Bus types: which one follows from the attribute's row. */

#include <systemd/sd-bus.h>

#include <chargehand/tree.h>

/* The bare value, without a variant around it. */
int value_bus_append(sd_bus_message *message, const ch_attr *attr, const ch_value *value);
/*
 * Reads a variant: of the row's type, any whole number for a number, or text as a person writes it.
 * Checks range and access. Errors: BadValue, ReadOnly.
 */
int value_bus_read(sd_bus_message *message, const ch_attr *attr, ch_value *ret, ch_error **err);
/*
 * A whole number of any bus type: clients in dynamic languages send what type they like. A negative
 * one is in *ret as two's complement. -EINVAL: the signature is that of something else.
 */
int value_bus_read_whole(sd_bus_message *message, const char *signature, uint64_t *ret,
                         int *ret_negative);

/* The settings of a call: a{sv} */
typedef struct Settings {
        ch_setting *items;
        size_t n, allocated;
} Settings;
/* Unknown names fail with UnknownAttribute and the nearest one. */
int settings_read(sd_bus_message *message, Settings *settings, ch_error **err);
/* One of a name, from a variant. */
int settings_read_one(sd_bus_message *message, const char *name, Settings *settings,
                      ch_error **err);
void settings_done(Settings *settings);

#endif
