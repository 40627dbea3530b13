/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_GROUP_TEMPLATE_H
#define CH_LIB_GROUP_TEMPLATE_H

/* Attributes with one file per size ("hugetlb.%s.max") as one keyed text. */

#include <chargehand/attr.h>

/* "2MB 0\n1GB max" for FLAT, "2MB max=0" for NESTED: what ch_value_parse() takes. -ENOENT: no such
 * file. Caller frees. */
int template_read(int dir_fd, const ch_attr *attr, char **ret);
/* Writes each "KEY VALUE" line to the file of its key. */
int template_write(int dir_fd, const ch_attr *attr, const char *text);

#endif
