/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/self/mountinfo as any mount namespace may have it. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "mount.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(cgroup_mount_donep) CgroupMount any = { 0 };
        _cleanup_(cgroup_mount_donep) CgroupMount one = { 0 };
        _cleanup_(closep) int fd = memfd_create("mountinfo", MFD_CLOEXEC);
        char name[64];

        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                return 0;
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (cgroup_mount_find(name, NULL, &any) >= 0 && (!any.point || !any.root || !any.options))
                abort();
        if (cgroup_mount_find(name, "/sys/fs/cgroup/x", &one) >= 0 && !any.point)
                abort();
        return 0;
}
