/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CONF_PARSE_H
#define CHD_CONF_PARSE_H

/* What the values of configuration keys look like. */

#include <stdint.h>

/* A number, or a name of the user (of the group) database. -EINVAL. */
int conf_parse_owner(const char *text, int is_group, uint32_t *ret);

#endif
