/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices as clients name them, and the disks that the io controller counts them by. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "property-row.h"
#include "util.h"

int device_path_is_normal(const char *path)
{
        if (!*path || strlen(path) >= 4096)
                return 0;
        for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/') {
                size_t length = strcspn(p, "/");

                if ((length == 0 && p != path) || (length == 1 && p[0] == '.') ||
                    (length == 2 && p[0] == '.' && p[1] == '.'))
                        return 0;
        }
        return 1;
}

int device_pattern_is_valid(const char *pattern)
{
        static const char *const prefixes[] = { "block-", "char-" };
        static const char *const directories[] = { "/dev/", "/run/systemd/inaccessible/" };

        if (strpbrk(pattern, " \t\n\r"))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(pattern, prefixes[i], strlen(prefixes[i])) == 0)
                        return 1;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                if (strncmp(pattern, directories[i], strlen(directories[i])) == 0)
                        return device_path_is_normal(pattern);
        return 0;
}

/* "8:16", nothing behind it */
static int parse_numbers(const char *text, unsigned *ret_major, unsigned *ret_minor)
{
        const char *end;
        uint64_t major_, minor_;

        if (parse_u64(text, &major_, &end) < 0 || *end != ':' || strchr(end, '\n') ||
            parse_u64(end + 1, &minor_, NULL) < 0 || major_ >= 1 << 12 || minor_ >= 1 << 20)
                return -EINVAL;
        *ret_major = (unsigned)major_;
        *ret_minor = (unsigned)minor_;
        return 0;
}

static int read_numbers(int dir_fd, const char *path, unsigned *ret_major, unsigned *ret_minor)
{
        _cleanup_(freep) char *text = NULL;
        int r = read_file_at(dir_fd, path, 64, &text, NULL);

        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        return parse_numbers(text, ret_major, ret_minor);
}

/* The one entry of "slaves"; -ENOENT: none, or several. */
static int only_slave(int disk_fd, unsigned *major_, unsigned *minor_)
{
        char path[300];
        struct dirent *entry;
        DIR *dir;
        int fd = openat(disk_fd, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;

        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                (void)safe_close(fd);
                return -ENOMEM;
        }
        while ((entry = readdir(dir)) != NULL)
                if (entry->d_name[0] != '.' && n++ == 0)
                        (void)snprintf(path, sizeof(path), "slaves/%s/dev", entry->d_name);
        (void)closedir(dir);
        return n == 1 ? read_numbers(disk_fd, path, major_, minor_) : -ENOENT;
}

/* A mapped device with one device below it stands for that one, a partition for its disk. */
static void find_disk(unsigned *major_, unsigned *minor_)
{
        enum { LAYERS_MAX = 8 };

        for (unsigned layer = 0; layer < LAYERS_MAX; layer++) {
                char path[64];
                _cleanup_(closep) int fd = -EBADF;
                int r;

                (void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", *major_, *minor_);
                fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0)
                        return;
                if (faccessat(fd, "partition", F_OK, 0) == 0)
                        r = read_numbers(fd, "../dev", major_, minor_);
                else
                        r = only_slave(fd, major_, minor_);
                if (r < 0)
                        return;
        }
}

int device_number(const char *name, unsigned *ret_major, unsigned *ret_minor)
{
        static const char block[] = "/dev/block/";
        const char *numbers =
                strncmp(name, block, strlen(block)) == 0 ? name + strlen(block) : name;
        unsigned major_ = 0, minor_ = 0;
        struct stat st;

        if (parse_numbers(numbers, &major_, &minor_) < 0) {
                dev_t dev;

                if (stat(name, &st) < 0)
                        return -errno;
                if (S_ISCHR(st.st_mode))
                        return -ENOTBLK;
                dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
                major_ = major(dev);
                minor_ = minor(dev);
                if (major_ == 0)
                        return -ENODEV; /* a file system without a disk of its own */
        }
        find_disk(&major_, &minor_);
        *ret_major = major_;
        *ret_minor = minor_;
        return 0;
}
