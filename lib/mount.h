/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_MOUNT_H
#define CH_LIB_MOUNT_H

/* Where cgroup v2 is mounted, and what to tell the users of a cgroup v1 host. */

#include <chargehand/error.h>

typedef struct CgroupMount {
        char *point; /* where: "/sys/fs/cgroup" */
        char *root;  /* which part of the hierarchy: "/" mostly; "/.." seen from a cgroup namespace
                        below it */
        char *options; /* of the superblock: "rw,nsdelegate,favordynmods" */
} CgroupMount;

/* The mount that holds an absolute path, or the best one for NULL (that of the whole hierarchy, the
 * shortest mount point). -ENODEV where there is none. Reads the file given, /proc/self/mountinfo
 * for NULL. */
int cgroup_mount_find(const char *mountinfo, const char *path, CgroupMount *ret);
void cgroup_mount_done(CgroupMount *mount);
/* Why a controller is not on cgroup2, and the boot parameters that help. Returns 1 if a cgroup v1
 * hierarchy has it ("this is a cgroup v1 host…"), 0 if none has. Caller frees. -ENOMEM. */
int cgroup_v1_advice(const char *controller, char **ret);

static inline void cgroup_mount_donep(CgroupMount *mount)
{
        cgroup_mount_done(mount);
}

#endif
