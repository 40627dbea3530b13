/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes small JSON files whole or not at all, and tells of which boot they are. */

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>

#include "statefile.h"
#include "util.h"

#define BOOT_ID_SIZE 64

/* "" where it cannot be read. */
static void read_boot_id(char ret[BOOT_ID_SIZE])
{
        _cleanup_(freep) char *text = NULL;

        ret[0] = '\0';
        if (read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_ID_SIZE - 1, &text,
                         NULL) < 0)
                return;
        text[strcspn(text, "\n")] = '\0';
        (void)snprintf(ret, BOOT_ID_SIZE, "%s", text);
}

void statefile_stamp(json_object *object)
{
        char boot_id[BOOT_ID_SIZE];

        read_boot_id(boot_id);
        json_object_object_add(object, "boot_id", json_object_new_string(boot_id));
}

int statefile_is_current(json_object *object)
{
        char boot_id[BOOT_ID_SIZE];
        json_object *value;

        read_boot_id(boot_id);
        return json_object_object_get_ex(object, "boot_id", &value) &&
               json_object_is_type(value, json_type_string) &&
               streq(json_object_get_string(value), boot_id);
}

static int write_all(int fd, const char *text)
{
        size_t left = strlen(text);

        while (left > 0) {
                ssize_t n = write(fd, text, left);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        text += n;
                        left -= (size_t)n;
                }
        }
        return 0;
}

static int write_file(int dir_fd, const char *name, const char *text, StatefileSync sync)
{
        _cleanup_(closep) int fd =
                openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = fd < 0 ? -errno : write_all(fd, text);

        if (r >= 0 && sync == STATEFILE_SYNCED && fsync(fd) < 0)
                r = -errno;
        return r;
}

int statefile_write(int dir_fd, uint64_t number, json_object *object, StatefileSync sync)
{
        char name[32], temporary[32];
        int r;

        (void)snprintf(name, sizeof(name), "%llu.json", (unsigned long long)number);
        (void)snprintf(temporary, sizeof(temporary), "%llu.tmp", (unsigned long long)number);
        r = write_file(dir_fd, temporary,
                       json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), sync);
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(dir_fd, temporary, 0);
        else if (sync == STATEFILE_SYNCED)
                (void)fsync(dir_fd);
        return r;
}
