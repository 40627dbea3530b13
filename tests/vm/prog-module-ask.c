/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One command of the module, for shell scripts:
 *
 *     prog-module-ask move PID FROM TO [all] [shared] [dry] [forever]   groups as /web/a
 *     prog-module-ask map PID GROUP      private anonymous bytes of the group's, and in all
 *     prog-module-ask info PID           mode and kinds
 *     prog-module-ask open               holds the device open until killed
 *
 * `forever` moves to and fro until it is killed. Prints "NAME VALUE" lines. Exit code 1 when the
 * command fails, 2 when there is no device.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "prog-module.h"

static Group group_at(const char *path)
{
        Group group = { .fd = -EBADF };
        struct stat st;

        (void)snprintf(group.path, sizeof(group.path), "/sys/fs/cgroup%s", path);
        group.fd = open(group.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group.fd < 0 || fstat(group.fd, &st) < 0)
                die("%s: %s", group.path, strerror(errno));
        group.id = st.st_ino;
        return group;
}

static int has(char **words, const char *word)
{
        for (; *words; words++)
                if (streq(*words, word))
                        return 1;
        return 0;
}

static void print_result(const struct chargehand_move *move)
{
        const struct {
                const char *name;
                uint64_t value;
        } rows[] = {
                { "stop",       move->stop                                   },
                { "chunks",     move->chunks                                 },
                { "moved",      sum_moved(move)                              },
                { "anon",       move->moved[CHARGEHAND_KIND_ANON]            },
                { "thp",        move->moved[CHARGEHAND_KIND_ANON_THP]        },
                { "left",       sum_left(move)                               },
                { "busy",       move->left[CHARGEHAND_LEFT_BUSY]             },
                { "shared",     move->left[CHARGEHAND_LEFT_SHARED]           },
                { "no_room",    move->left[CHARGEHAND_LEFT_NO_ROOM]          },
                { "already",    move->already                                },
                { "returned",   move->returned                               },
                { "lock_max",   move->lock_max_nsec                          },
                { "lock_total", move->lock_total_nsec                        },
                { "grace",      move->grace_total_nsec                       },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                (void)printf("%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
}

static int do_move(int device, char **argv)
{
        const int pidfd = pidfd_of((pid_t)strtol(argv[0], NULL, 10));
        const int forever = has(argv + 3, "forever");
        Group groups[2] = { group_at(argv[1]), group_at(argv[2]) };
        struct chargehand_move move;
        uint64_t begin;
        int r, turn = 0;

        do {
                move = move_new(pidfd, groups[turn & 1].fd, groups[~turn & 1].fd, move_kinds(device));
                move.flags = (has(argv + 3, "all") ? CHARGEHAND_MOVE_ALL : 0) |
                             (has(argv + 3, "shared") ? CHARGEHAND_MOVE_SHARED : 0) |
                             (has(argv + 3, "dry") ? CHARGEHAND_MOVE_DRY : 0);
                begin = now_usec();
                r = device_move(device, &move);
                turn++;
        } while (forever && r == 0);
        if (r < 0)
                die("MOVE: %s", strerror(-r));
        (void)printf("usec %llu\n", (unsigned long long)(now_usec() - begin));
        print_result(&move);
        return 0;
}

static int do_map(int device, char **argv)
{
        const int pidfd = pidfd_of((pid_t)strtol(argv[0], NULL, 10));

        (void)printf("group %llu\nall %llu\n",
                     (unsigned long long)map_bytes(device, pidfd, group_at(argv[1]).id, ANON_KINDS),
                     (unsigned long long)map_bytes(device, pidfd, ANY_GROUP, ANON_KINDS));
        return 0;
}

static int do_info(int device, char **argv)
{
        struct chargehand_info info = { .size = sizeof(info),
                                        .pidfd = pidfd_of((pid_t)strtol(argv[0], NULL, 10)) };
        int r = device_info(device, &info);

        if (r < 0)
                die("INFO: %s", strerror(-r));
        (void)printf("mode %u\nkinds %#x\ntasks %u\ngroup %llu\n", info.mode, info.move_kinds, info.tasks,
                     (unsigned long long)info.group_id);
        return 0;
}

int main(int argc, char **argv)
{
        const int device = open(CHARGEHAND_DEVICE, O_RDWR | O_CLOEXEC);

        if (device < 0)
                return 2;
        if (argc >= 5 && streq(argv[1], "move"))
                return do_move(device, argv + 2);
        if (argc == 4 && streq(argv[1], "map"))
                return do_map(device, argv + 2);
        if (argc == 3 && streq(argv[1], "info"))
                return do_info(device, argv + 2);
        if (argc == 2 && streq(argv[1], "open"))
                for (;;)
                        (void)pause();
        return 2;
}
