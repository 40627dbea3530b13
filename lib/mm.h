/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_MM_H
#define CH_MM_H

/* Comparing address spaces. */

#include <sys/types.h>

/* kcmp(KCMP_VM): 0 the same mm, 1 and 2 an order that holds until reboot, 3 different without
 * order, -errno. */
int mm_compare(pid_t a, pid_t b);

#endif
