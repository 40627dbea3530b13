/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_UNITS_H
#define CH_LIB_UNITS_H

/* A suffix of a number, for sizes and times. */

#include <chargehand/units.h>

typedef struct UnitSuffix {
        const char *word;
        uint64_t factor;
} UnitSuffix;

#endif
