/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes the mark of managed groups. */

#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "mark.h"
#include "util.h"

static const char *const marks[] = { "trusted.chargehand.managed", "user.chargehand.managed" };
static const char *const claims[] = { "trusted.chargehand.claim", "user.chargehand.claim" };

int mark_counts(int group_fd, size_t name)
{
        struct stat st;

        return name == 0 || (fstat(group_fd, &st) >= 0 && st.st_uid == geteuid());
}

/* "1", or "2" of a group that has a claim: most have none, and are not asked for it. */
int mark_is_managed(int group_fd)
{
        char value[8];

        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                if (fgetxattr(group_fd, marks[i], value, sizeof(value)) > 0 &&
                    mark_counts(group_fd, i))
                        return value[0] == '2' ? MARK_CLAIMED : 1;
        return 0;
}

static int set_first(int group_fd, const char *const names[2], const char *value)
{
        int r = -ENOTSUP;

        for (size_t i = 0; i < 2; i++) {
                if (fsetxattr(group_fd, names[i], value, strlen(value), 0) >= 0)
                        return 0;
                r = -errno;
        }
        return r;
}

int mark_set_managed(int group_fd)
{
        return mark_is_managed(group_fd) ? 0 : set_first(group_fd, marks, "1");
}

int mark_set_new(int group_fd)
{
        return set_first(group_fd, marks, "1");
}

void mark_clear_managed(int group_fd)
{
        if (mark_is_managed(group_fd) != 1)
                return;
        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                (void)fremovexattr(group_fd, marks[i]);
}

int mark_set_claim(int group_fd, uint64_t bytes)
{
        char value[32];
        int r;

        if (bytes == 0) {
                if (mark_is_managed(group_fd) != MARK_CLAIMED)
                        return 0;
                for (size_t i = 0; i < ELEMENTSOF(claims); i++)
                        (void)fremovexattr(group_fd, claims[i]);
                return set_first(group_fd, marks, "1");
        }
        (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
        r = set_first(group_fd, claims, value);
        return r < 0 ? r : set_first(group_fd, marks, "2");
}

int mark_get_claim(int group_fd, uint64_t *ret)
{
        char value[32];

        for (size_t i = 0; i < ELEMENTSOF(claims); i++) {
                ssize_t n = fgetxattr(group_fd, claims[i], value, sizeof(value) - 1);

                if (n <= 0 || !mark_counts(group_fd, i))
                        continue;
                value[n] = '\0';
                return parse_u64(value, ret, NULL);
        }
        return -ENODATA;
}
