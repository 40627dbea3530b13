/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks chargehand.ko what it sees, MAP and INFO, and compares the former with the map that the library makes of
 * pagemap and kpagecgroup:
 *
 *     prog-module-look map [-u] PID…          row GROUP KIND BYTES MAPPED SHARED [dying] [unknown]; resident; lock
 *     prog-module-look compare [-u] [-d ID] PID…   the processes are stopped meanwhile; 1 if the two maps differ.
 *                                             -d: pages of removed groups are told as those of group ID by the library
 *     prog-module-look info PID [ROOM]        KEY VALUE lines
 *     prog-module-look seen-from-below PID    the same from a pid namespace in which the process is not
 *     prog-module-look group PATH             the id of a group
 *
 * -u: each page once, over all processes together. A process is named by its pid; `self` is the caller.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chargehand/map.h>

#include "kmod/uapi/chargehand.h"
#include "util.h"

enum { ROWS_MAX = 4096, PIDS_MAX = 64 };

typedef struct Rows {
        size_t n;
        struct chargehand_map_row rows[ROWS_MAX];
        uint64_t resident, lock_max_nsec;
} Rows;

static int device_fd = -EBADF;

static _Noreturn void die(const char *what, int error)
{
        (void)fprintf(stderr, "prog-module-look: %s: %s\n", what, strerror(error));
        exit(2);
}

static pid_t pid_of(const char *name)
{
        return streq(name, "self") ? getpid() : (pid_t)strtol(name, NULL, 10);
}

static int pidfd_of(const char *name)
{
        int fd;

        if (streq(name, "self"))
                return CHARGEHAND_SELF;
        fd = (int)syscall(SYS_pidfd_open, pid_of(name), 0);
        if (fd < 0)
                die(name, errno);
        return fd;
}

static const char *const kind_words[CHARGEHAND_KINDS] = {
        [CHARGEHAND_KIND_ANON] = "anon",   [CHARGEHAND_KIND_ANON_THP] = "anon_thp",
        [CHARGEHAND_KIND_SHMEM] = "shmem", [CHARGEHAND_KIND_FILE] = "file",
        [CHARGEHAND_KIND_SWAP] = "swap",   [CHARGEHAND_KIND_KSM] = "ksm",
        [CHARGEHAND_KIND_HUGETLB] = "hugetlb", [CHARGEHAND_KIND_OTHER] = "other",
};

/* ---- MAP ---- */

static void add_row(Rows *rows, const struct chargehand_map_row *row)
{
        struct chargehand_map_row *to = NULL;

        for (size_t i = 0; i < rows->n && !to; i++)
                if (rows->rows[i].group_id == row->group_id && rows->rows[i].kind == row->kind &&
                    rows->rows[i].flags == row->flags)
                        to = &rows->rows[i];
        if (!to) {
                if (rows->n == ROWS_MAX)
                        die("too many rows", ENOBUFS);
                rows->rows[rows->n] = *row;
                rows->n++;
                return;
        }
        to->bytes += row->bytes;
        to->bytes_mapped += row->bytes_mapped;
        to->bytes_shared += row->bytes_shared;
}

/* First with room for one row, which is too little for any process: a call that fails must change nothing. */
static void map_one(Rows *rows, const char *name, uint32_t flags)
{
        static struct chargehand_map_row room[ROWS_MAX];
        struct chargehand_map map = { .size = sizeof(map), .flags = flags, .n_rows = 1 };

        map.rows = (uintptr_t)room;
        map.pidfd = pidfd_of(name);
        if (ioctl(device_fd, CHARGEHAND_IOC_MAP, &map) == 0 || errno != ENOSPC)
                die("MAP with room for one row", errno);
        if (map.n_rows < 2 || map.n_rows > ROWS_MAX)
                die("n_rows after ENOSPC", ERANGE);
        map.n_rows = ROWS_MAX;
        if (ioctl(device_fd, CHARGEHAND_IOC_MAP, &map) < 0)
                die("MAP", errno);
        for (size_t i = 0; i < map.n_rows; i++)
                add_row(rows, &room[i]);
        rows->resident += map.resident;
        if (map.lock_max_nsec > rows->lock_max_nsec)
                rows->lock_max_nsec = map.lock_max_nsec;
        if (map.pidfd >= 0)
                (void)close(map.pidfd);
}

static void map_all(Rows *rows, char **names, int unique)
{
        *rows = (Rows){};
        for (size_t i = 0; names[i]; i++) {
                uint32_t flags = unique ? CHARGEHAND_MAP_UNIQUE : 0;

                if (unique && i > 0)
                        flags |= CHARGEHAND_MAP_CONTINUE;
                map_one(rows, names[i], flags);
        }
}

static int print_map(char **names, int unique)
{
        static Rows rows;

        map_all(&rows, names, unique);
        for (size_t i = 0; i < rows.n; i++) {
                const struct chargehand_map_row *row = &rows.rows[i];

                (void)printf("row %llu %s %llu %llu %llu%s%s\n", row->group_id,
                             kind_words[row->kind], row->bytes, row->bytes_mapped, row->bytes_shared,
                             row->flags & CHARGEHAND_ROW_DYING ? " dying" : "",
                             row->flags & CHARGEHAND_ROW_UNKNOWN ? " unknown" : "");
        }
        (void)printf("resident %llu\nlock %llu\n", (unsigned long long)rows.resident,
                     (unsigned long long)rows.lock_max_nsec);
        return 0;
}

/* ---- the same by pagemap and kpagecgroup ---- */

/* The library knows no KSM, no group of swapped pages, and shows removed groups as an ancestor. */
static const uint32_t kinds_of_library[CH_KIND_MAX_] = {
        [CH_KIND_ANON] = CHARGEHAND_KIND_ANON,       [CH_KIND_ANON_THP] = CHARGEHAND_KIND_ANON_THP,
        [CH_KIND_SHMEM] = CHARGEHAND_KIND_SHMEM,     [CH_KIND_FILE] = CHARGEHAND_KIND_FILE,
        [CH_KIND_HUGETLB] = CHARGEHAND_KIND_HUGETLB, [CH_KIND_SWAP] = CHARGEHAND_KIND_SWAP,
        [CH_KIND_UNCHARGED] = CHARGEHAND_KIND_OTHER,
};

static void blur(const Rows *from, Rows *to, uint64_t dying_as)
{
        *to = (Rows){};
        for (size_t i = 0; i < from->n; i++) {
                struct chargehand_map_row row = from->rows[i];

                if (row.kind == CHARGEHAND_KIND_KSM)
                        row.kind = CHARGEHAND_KIND_ANON;
                if (row.kind == CHARGEHAND_KIND_SWAP)
                        row.group_id = 0;
                else if (row.flags & CHARGEHAND_ROW_DYING)
                        row.group_id = dying_as;
                row.flags = 0;
                add_row(to, &row);
        }
}

/* Unique by itself: without -u each process is a map of its own. */
static void map_by_library(Rows *rows, char **names)
{
        ch_error *err = NULL;
        ch_procset *set;
        ch_map *map;

        if (ch_procset_new(&set) < 0 || ch_map_new(NULL, &map, &err) < 0)
                die("the library's map", EIO);
        /* left to itself it would ask the module as well */
        if (ch_map_use_module(map, NULL, &err) < 0)
                die(ch_error_get_cause(err), EIO);
        for (size_t i = 0; names[i]; i++)
                if (ch_procset_add_pid(set, pid_of(names[i]), &err) < 0)
                        die(ch_error_get_cause(err), EIO);
        if (ch_map_add_set(map, set, &err) < 0)
                die(ch_error_get_cause(err), EIO);
        for (size_t i = 0; i < ch_map_n_rows(map); i++) {
                const ch_map_row *row = ch_map_get_row(map, i);

                add_row(rows, &(struct chargehand_map_row){
                                      .group_id = row->group_id,
                                      .kind = kinds_of_library[row->kind],
                                      .bytes = row->bytes,
                                      .bytes_mapped = row->bytes_mapped,
                                      .bytes_shared = row->bytes_shared,
                              });
        }
        (void)ch_map_free(map);
        (void)ch_procset_free(set);
}

static void stop(const char *name)
{
        char path[64], state = 0;

        if (kill(pid_of(name), SIGSTOP) < 0)
                die(name, errno);
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid_of(name));
        while (state != 'T') {
                FILE *file = fopen(path, "re");

                if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
                        die(path, errno);
                (void)fclose(file);
        }
}

static const struct chargehand_map_row *find_row(const Rows *rows, const struct chargehand_map_row *like)
{
        static const struct chargehand_map_row none;

        for (size_t i = 0; i < rows->n; i++)
                if (rows->rows[i].group_id == like->group_id && rows->rows[i].kind == like->kind)
                        return &rows->rows[i];
        return &none;
}

/* Pages of [vdso], which the library leaves out, are mapped by everybody and charged to nobody. */
static int is_close(uint64_t ours, uint64_t theirs, uint32_t kind, size_t n_processes)
{
        uint64_t slack = kind == CHARGEHAND_KIND_OTHER ? n_processes * 4 * 4096 : 0;

        return ours >= theirs && ours - theirs <= slack;
}

static int compare_row(const struct chargehand_map_row *a, const struct chargehand_map_row *b,
                       uint64_t group_id, uint32_t kind, int unique, size_t n_processes)
{
        int same = is_close(a->bytes_mapped, b->bytes_mapped, kind, n_processes);

        if (unique)
                same = same && is_close(a->bytes, b->bytes, kind, n_processes) &&
                       is_close(a->bytes_shared, b->bytes_shared, kind, n_processes);
        (void)printf("%s group %llu %s: module %llu %llu %llu, library %llu %llu %llu\n",
                     same ? "same" : "DIFFERENT", (unsigned long long)group_id, kind_words[kind],
                     a->bytes, a->bytes_mapped, a->bytes_shared, b->bytes, b->bytes_mapped,
                     b->bytes_shared);
        return same;
}

static int compare(char **names, int unique, uint64_t dying_as)
{
        static Rows exact, module, library;
        size_t n = 0;
        int same = 1;

        for (; names[n]; n++)
                stop(names[n]);
        /* once for nothing: what this process maps of libraries while it works, the others may map too */
        map_by_library(&library, names);
        map_all(&exact, names, unique);
        blur(&exact, &module, dying_as);
        library = (Rows){};
        map_by_library(&library, names);
        for (size_t i = 0; i < n; i++)
                (void)kill(pid_of(names[i]), SIGCONT);
        for (size_t i = 0; i < module.n; i++)
                same &= compare_row(&module.rows[i], find_row(&library, &module.rows[i]),
                                    module.rows[i].group_id, module.rows[i].kind, unique, n);
        for (size_t i = 0; i < library.n; i++)
                if (find_row(&module, &library.rows[i])->bytes_mapped == 0)
                        same &= compare_row(&(struct chargehand_map_row){}, &library.rows[i],
                                            library.rows[i].group_id, library.rows[i].kind, unique, n);
        return same ? 0 : 1;
}

/* ---- INFO ---- */

static int print_info_of(int pidfd, uint32_t room)
{
        uint32_t pids[PIDS_MAX] = {};
        struct chargehand_info info = { .size = sizeof(info), .n_pids = room };

        if (room > PIDS_MAX)
                die("room", ERANGE);
        info.pidfd = pidfd;
        info.pids = room ? (uintptr_t)pids : 0;
        if (ioctl(device_fd, CHARGEHAND_IOC_INFO, &info) < 0)
                die("INFO", errno);
        (void)printf("abi %u\nmode %u\nmove_kinds %u\nmm_id %llx\nowner %u\ntasks %u\ngroup %llu\n"
                     "n_pids %u\npids",
                     info.abi, info.mode, info.move_kinds, info.mm_id, info.owner_pid, info.tasks,
                     info.group_id, info.n_pids);
        for (uint32_t i = 0; i < info.n_pids && i < room; i++)
                (void)printf(" %u", pids[i]);
        (void)printf("\n");
        return 0;
}

static int print_info(const char *name, uint32_t room)
{
        return print_info_of(pidfd_of(name), room);
}

/* By a child in a pid namespace of its own, which has the pidfd from its parent. */
static int print_info_from_below(const char *name)
{
        int pidfd = pidfd_of(name), status;
        pid_t pid;

        if (unshare(CLONE_NEWPID) < 0)
                die("unshare", errno);
        pid = fork();
        if (pid == 0)
                exit(print_info_of(pidfd, PIDS_MAX));
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                die("fork", errno);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static int print_group(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                die(path, errno);
        (void)printf("%llu\n", (unsigned long long)st.st_ino);
        return 0;
}

int main(int argc, char **argv)
{
        const char *verb = argc > 2 ? argv[1] : "";
        uint64_t dying_as = 0;
        int unique = 0, c;

        while ((c = getopt(argc - 1, argv + 1, "ud:")) != -1) {
                unique |= c == 'u';
                if (c == 'd')
                        dying_as = strtoull(optarg, NULL, 10);
        }
        if (streq(verb, "group"))
                return print_group(argv[2]);
        device_fd = open(CHARGEHAND_DEVICE, O_RDWR | O_CLOEXEC);
        if (device_fd < 0)
                die(CHARGEHAND_DEVICE, errno);
        if (streq(verb, "map"))
                return print_map(argv + 1 + optind, unique);
        if (streq(verb, "compare"))
                return compare(argv + 1 + optind, unique, dying_as);
        if (streq(verb, "info"))
                return print_info(argv[2], argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : PIDS_MAX);
        if (streq(verb, "seen-from-below"))
                return print_info_from_below(argv[2]);
        (void)fprintf(stderr, "usage: prog-module-look map|compare|info|group …\n");
        return 2;
}
