/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_PATH_H
#define CH_LIB_PATH_H

/* Small verbs on group paths that have passed ch_path_check(). The public ones are in
 * chargehand/tree.h. */

#include <stddef.h>

/* "/web/api" → "/web", "/web" → "/"; the root's parent is the root. Caller frees. -ENOMEM. */
int path_parent(const char *path, char **ret);
/* The file or group `name` in `parent`: "/" + "x" → "/x". Caller frees. -ENOMEM. */
int path_join(const char *parent, const char *name, char **ret);
/* 1 for names that belong to the kernel: a controller of the table and a dot, as "memory.x". */
int path_is_reserved(const char *component, size_t length);
/* Length of the UTF-8 sequence at p, 0 if it is none; overlong forms and surrogates are none. */
unsigned utf8_length(const unsigned char *p);

#endif
