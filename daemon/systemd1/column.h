/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_COLUMN_H
#define CHD_SYSTEMD1_COLUMN_H

/* What is told of a unit: rows of the property table, and columns that come from the unit itself.
 */

#include "face.h"

/* A unit, or a name that could be one's: clients may ask for either. */
typedef struct Subject {
        Face *face;
        const Unit *unit; /* NULL: there is none of that name */
        const char *name;
        ch_group *group; /* opened when first needed, if there is one */
        int looked_for_group;
} Subject;
void subject_done(Subject *subject);

enum { TELL_UNIT, TELL_SCOPE, TELL_SLICE, TELL_SERVICE, TELL_MAX_ };

typedef struct Column {
        const char *name, *signature;
        unsigned where; /* bits 1 << TELL_… */
        uint32_t flags; /* PROPERTY_CONST, PROPERTY_EMITS */
        int (*append)(sd_bus_message *reply, const Subject *subject, const struct Column *column);
        size_t offset; /* of a time in Unit */
        uint64_t number;
        const char *text;
} Column;
/* Description=, or what a unit without one is called. Valid until the next call. */
const char *unit_description(const Unit *unit);
/* NULL after the last one. */
const Column *column_get(size_t index);
const Column *column_find(const char *name, unsigned where);

#endif
