/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_OPTIONS_BUS_H
#define CHD_OPTIONS_BUS_H

/* The a{sv} options of calls, read by a table into a struct. */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include <chargehand/error.h>

typedef struct Numbers {
        uint32_t *items;
        size_t n, allocated;
} Numbers;

typedef struct OptionRow {
        const char *name;
        const char *type; /* b → int, u → uint32_t, t → uint64_t, s → char *, h (a fd, duplicated) → int,
                             a fd or -EBADF before; au, ah (fds, duplicated) → Numbers,
                             as → char **, a{su} → char * ("key:1 other:2") */
        size_t offset;
        size_t given; /* of an int that becomes 1 when the option is there; 0: nobody asks */
} OptionRow;

/* Numbers of any whole type are taken for u and t. BadValue: an unknown name, a wrong type. */
int options_read(sd_bus_message *message, const OptionRow *rows, size_t n_rows, void *options,
                 ch_error **err);

#endif
