/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_HASH_STRING_H
#define CHD_HASH_STRING_H

/* Keys of a hash made from text that clients choose. */

#include "hash.h"

uint64_t hash_string(const char *text);

#endif
