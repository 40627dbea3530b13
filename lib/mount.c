/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the cgroup2 mount, and the cgroup v1 hierarchies that stand in its way. */

#include <libcgroup.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "mount.h"
#include "util.h"

typedef struct MountLine {
        char *root;
        char *point;
        char *type;
        char *options;
} MountLine;

/* mountinfo writes blanks and backslashes of paths in octal: "\040" */
static void unescape(char *text)
{
        char *out = text;

        for (char *p = text; *p; out++) {
                if (p[0] == '\\' && p[1] && p[2] && p[3]) {
                        *out = (char)(((p[1] & 7) << 6) | ((p[2] & 7) << 3) | (p[3] & 7));
                        p += 4;
                } else {
                        *out = *p++;
                }
        }
        *out = '\0';
}

/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS [OPTIONAL…] - TYPE SOURCE SUPER-OPTIONS", cut in place. */
static int split_line(char *line, MountLine *ret)
{
        char *rest = NULL, *word = strtok_r(line, " ", &rest);

        *ret = (MountLine){ 0 };
        for (unsigned field = 0; word; field++, word = strtok_r(NULL, " ", &rest)) {
                if (field == 3)
                        ret->root = word;
                if (field == 4)
                        ret->point = word;
                if (field >= 6 && streq(word, "-"))
                        break;
        }
        ret->type = strtok_r(NULL, " ", &rest);
        if (!word || !ret->point || !ret->type || !strtok_r(NULL, " ", &rest))
                return -EINVAL;
        ret->options = strtok_r(NULL, " \n", &rest);
        unescape(ret->root);
        unescape(ret->point);
        return 0;
}

static int is_within(const char *path, const char *point)
{
        size_t length = strlen(point);

        return streq(point, "/") ||
               (strncmp(path, point, length) == 0 && (!path[length] || path[length] == '/'));
}

/* For a path the longest mount point wins, and of equals the last, which hides those before.
 * Without one: the whole hierarchy before a part of it, then the shortest mount point. */
static int is_better(const MountLine *line, const char *path, const CgroupMount *best)
{
        if (path)
                return is_within(path, line->point) &&
                       (!best->point || strlen(line->point) >= strlen(best->point));
        if (!best->point)
                return 1;
        if (streq(line->root, "/") != streq(best->root, "/"))
                return streq(line->root, "/");
        return strlen(line->point) < strlen(best->point);
}

static int mount_set(CgroupMount *mount, const MountLine *line)
{
        CgroupMount copy = {
                .point = strdup(line->point),
                .root = strdup(line->root),
                .options = strdup(line->options ? line->options : ""),
        };

        if (!copy.point || !copy.root || !copy.options) {
                cgroup_mount_done(&copy);
                return -ENOMEM;
        }
        cgroup_mount_done(mount);
        *mount = copy;
        return 0;
}

void cgroup_mount_done(CgroupMount *mount)
{
        free(mount->point);
        free(mount->root);
        free(mount->options);
        *mount = (CgroupMount){ 0 };
}

int cgroup_mount_find(const char *mountinfo, const char *path, CgroupMount *ret)
{
        _cleanup_(cgroup_mount_donep) CgroupMount best = { 0 };
        _cleanup_(freep) char *line = NULL;
        size_t size = 0;
        FILE *file = fopen(mountinfo ? mountinfo : "/proc/self/mountinfo", "re");
        int r = 0;

        if (!file)
                return -errno;
        while (r >= 0 && getline(&line, &size, file) > 0) {
                MountLine parts;

                if (split_line(line, &parts) < 0 || !streq(parts.type, "cgroup2"))
                        continue;
                if (is_better(&parts, path, &best))
                        r = mount_set(&best, &parts);
        }
        (void)fclose(file);
        if (r < 0)
                return r;
        if (!best.point)
                return -ENODEV;
        *ret = best;
        best = (CgroupMount){ 0 };
        return 0;
}

/* libcgroup keeps its list of mounts in globals: one caller at a time. */
static pthread_mutex_t libcgroup_lock = PTHREAD_MUTEX_INITIALIZER;

/* Mount point of the v1 hierarchy that has the controller, or NULL. Caller frees. */
static char *find_v1_mount(const char *controller)
{
        _cleanup_(freep) char *point = NULL;
        _cleanup_(cgroup_mount_donep) CgroupMount unified = { 0 };
        int r;

        pthread_mutex_lock(&libcgroup_lock);
        r = cgroup_init();
        if (r == 0)
                r = cgroup_get_subsys_mount_point(streq(controller, "io") ? "blkio" : controller,
                                                  &point);
        pthread_mutex_unlock(&libcgroup_lock);
        if (r != 0 || !point)
                return NULL;
        /* libcgroup answers for v2 as well */
        if (cgroup_mount_find(NULL, point, &unified) == 0 && streq(unified.point, point))
                return NULL;
        return TAKE_PTR(point);
}

int cgroup_v1_advice(const char *controller, char **ret)
{
        _cleanup_(freep) char *point = find_v1_mount(controller);
        int n;

        if (point)
                n = asprintf(
                        ret,
                        "this is a cgroup v1 host, controller '%s' is on the v1 hierarchy %s: boot "
                        "with cgroup_no_v1=%s (with systemd: systemd.unified_cgroup_hierarchy=1)",
                        controller, point, controller);
        else
                n = asprintf(ret,
                             "controller '%s' is on no hierarchy: it may be missing from the "
                             "kernel or switched off on the command line (cgroup_disable=)",
                             controller);
        return n < 0 ? -ENOMEM : point != NULL;
}
