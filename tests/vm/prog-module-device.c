/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The three commands of /dev/chargehand as the tests use them, and what all of them need. */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "prog-module.h"

enum {
        ROWS = 4096,
};

static unsigned n_failures;

_Noreturn void die(const char *format, ...)
{
        va_list ap;

        (void)printf("FAIL: ");
        va_start(ap, format);
        (void)vprintf(format, ap);
        va_end(ap);
        (void)printf("\n");
        (void)fflush(stdout);
        exit(1);
}

void failed(const char *format, ...)
{
        va_list ap;

        n_failures++;
        (void)printf("FAIL: ");
        va_start(ap, format);
        (void)vprintf(format, ap);
        va_end(ap);
        (void)printf("\n");
        (void)fflush(stdout);
}

unsigned failures(void)
{
        return n_failures;
}

int kernel_version(void)
{
        struct utsname name;
        unsigned major = 0, minor = 0;

        if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
                die("uname: %s", strerror(errno));
        return (int)(major * 100 + minor);
}

uint64_t next_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

void write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                (void)!write(fd, text, strlen(text));
        (void)safe_close(fd);
}

int device_open(void)
{
        int fd = open(CHARGEHAND_DEVICE, O_RDWR | O_CLOEXEC);

        if (fd < 0)
                die("%s: %s; is the module loaded?", CHARGEHAND_DEVICE, strerror(errno));
        return fd;
}

int pidfd_of(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

int device_move(int device, struct chargehand_move *move)
{
        return ioctl(device, CHARGEHAND_IOC_MOVE, move) < 0 ? -errno : 0;
}

int device_map(int device, struct chargehand_map *map)
{
        return ioctl(device, CHARGEHAND_IOC_MAP, map) < 0 ? -errno : 0;
}

int device_info(int device, struct chargehand_info *info)
{
        return ioctl(device, CHARGEHAND_IOC_INFO, info) < 0 ? -errno : 0;
}

uint32_t move_kinds(int device)
{
        struct chargehand_info info = { .size = sizeof(info), .pidfd = CHARGEHAND_SELF };
        int r = device_info(device, &info);

        if (r < 0)
                die("INFO of the caller: %s", strerror(-r));
        if (info.mode != CHARGEHAND_MODE_MOVE)
                die("the module is read-only, see /sys/module/chargehand/parameters/mode");
        return info.move_kinds;
}

struct chargehand_move move_new(int pidfd, int from_fd, int to_fd, uint32_t kinds)
{
        return (struct chargehand_move){
                .size = sizeof(struct chargehand_move),
                .pidfd = pidfd,
                .from_fd = from_fd,
                .to_fd = to_fd,
                .kinds = kinds,
        };
}

uint64_t sum_moved(const struct chargehand_move *move)
{
        uint64_t sum = 0;

        for (int i = 0; i < CHARGEHAND_KINDS; i++)
                sum += move->moved[i];
        return sum;
}

uint64_t sum_left(const struct chargehand_move *move)
{
        uint64_t sum = 0;

        for (int i = 0; i < CHARGEHAND_LEFTS; i++)
                sum += move->left[i];
        return sum;
}

void move_print(const char *what, const struct chargehand_move *move)
{
        static const char *const kinds[CHARGEHAND_KINDS] = { "anon", "thp", "shmem",   "file",
                                                             "swap", "ksm", "hugetlb", "other" };
        static const char *const lefts[CHARGEHAND_LEFTS] = {
                "not-asked", "shared", "pinned", "busy",  "swap",        "ksm",
                "large",     "dirty",  "room",   "other", "not-reached", "?",
        };

        (void)printf("   %s: stop %u chunks %u moved", what, move->stop, move->chunks);
        for (int i = 0; i < CHARGEHAND_KINDS; i++)
                if (move->moved[i])
                        (void)printf(" %s %llu", kinds[i], (unsigned long long)move->moved[i] / 1024);
        (void)printf(" left");
        for (int i = 0; i < CHARGEHAND_LEFTS; i++)
                if (move->left[i])
                        (void)printf(" %s %llu", lefts[i], (unsigned long long)move->left[i] / 1024);
        (void)printf(" already %llu elsewhere %llu returned %llu KiB; lock %llu/%llu us grace %llu us\n",
                     (unsigned long long)move->already / 1024,
                     (unsigned long long)move->elsewhere / 1024,
                     (unsigned long long)move->returned / 1024,
                     (unsigned long long)move->lock_max_nsec / 1000,
                     (unsigned long long)move->lock_total_nsec / 1000,
                     (unsigned long long)move->grace_total_nsec / 1000);
        (void)fflush(stdout);
}

uint64_t map_bytes(int device, int pidfd, uint64_t group_id, uint32_t kinds)
{
        static struct chargehand_map_row rows[ROWS];
        struct chargehand_map map = { .size = sizeof(map),
                                      .flags = CHARGEHAND_MAP_UNIQUE,
                                      .pidfd = pidfd,
                                      .n_rows = ROWS,
                                      .rows = (uintptr_t)rows };
        int r = device_map(device, &map);
        uint64_t sum = 0;

        if (r < 0)
                die("MAP: %s", strerror(-r));
        for (uint32_t i = 0; i < map.n_rows; i++)
                if ((group_id == ANY_GROUP || rows[i].group_id == group_id) &&
                    kinds & CHARGEHAND_KIND_BIT(rows[i].kind))
                        sum += rows[i].bytes;
        return sum;
}
