/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes the mark of managed groups. */

#include <sys/xattr.h>

#include "mark.h"
#include "util.h"

static const char *const names[] = { "trusted.chargehand.managed", "user.chargehand.managed" };

int mark_is_managed(int group_fd)
{
        char value[8];

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (fgetxattr(group_fd, names[i], value, sizeof(value)) > 0)
                        return 1;
        return 0;
}

int mark_set_managed(int group_fd)
{
        int r = -ENOTSUP;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (fsetxattr(group_fd, names[i], "1", 1, 0) >= 0)
                        return 0;
                r = -errno;
        }
        return r;
}
