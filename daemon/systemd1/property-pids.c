/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pids that clients hand over: alive, and none that must stay where it is. */

#include <fcntl.h>
#include <stdio.h>

#include "hash.h"
#include "property-row.h"
#include "util.h"

/* Kernel threads have no process group; nor have, seen from here, processes whose group leader
 * lives in an outer pid namespace: so this is only asked where the group is 0. */
static int is_kernel_thread(pid_t pid)
{
        enum { PF_KTHREAD = 0x00200000 };
        char path[48];
        _cleanup_(freep) char *stat = NULL;
        const char *p;
        unsigned long flags;
        int r;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        r = read_file_at(AT_FDCWD, path, 4096, &stat, NULL);
        if (r == -ENOENT || r == -ESRCH)
                return -ESRCH;
        if (r < 0)
                return r;
        p = strrchr(stat, ')'); /* the name may hold anything */
        if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1)
                return -EIO;
        return (flags & PF_KTHREAD) != 0;
}

static int check_pid(pid_t pid, sd_bus_error *error)
{
        pid_t group;
        int r = 0;

        if (pid == 1 || pid == getpid())
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Process %d is a manager process, refusing.", (int)pid);
        group = pid > 0 ? getpgid(pid) : -1;
        if (group < 0 && (pid < 0 || errno == ESRCH))
                r = -ESRCH;
        else if (group == 0)
                r = is_kernel_thread(pid);
        if (r == -ESRCH)
                return sd_bus_error_setf(error, SD_BUS_ERROR_UNIX_PROCESS_ID_UNKNOWN,
                                         "Process with ID %d does not exist.", (int)pid);
        if (r < 0)
                return sd_bus_error_set_errnof(
                        error, -r, "Failed to determine whether process %d is a kernel thread: %m",
                        (int)pid);
        if (r > 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Process %d is a kernel thread, refusing.", (int)pid);
        return 0;
}

typedef struct Pids {
        pid_t *items;
        size_t n, allocated;
        Hash seen;
} Pids;

static int pids_put(Pids *pids, pid_t pid, sd_bus_error *error)
{
        int r = 0;

        if (hash_get(&pids->seen, (uint64_t)pid))
                return 0;
        if (pids->n >= PROPERTY_PIDS_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "More than %d processes in one call.", PROPERTY_PIDS_MAX);
        r = array_reserve(&pids->items, &pids->allocated, pids->n + 1, sizeof(*pids->items));
        if (r >= 0)
                r = hash_put(&pids->seen, (uint64_t)pid, pids);
        if (r >= 0)
                pids->items[pids->n++] = pid;
        return r;
}

/* Returns how many the list held. */
static int read_pids(sd_bus_message *message, pid_t caller, Pids *pids, sd_bus_error *error)
{
        const uint32_t *list;
        size_t size;
        int r = sd_bus_message_read_array(message, 'u', (const void **)&list, &size);

        for (size_t i = 0; r >= 0 && i < size / sizeof(*list); i++) {
                pid_t pid = list[i] > 0 ? (pid_t)list[i] : caller;

                if (list[i] == 0 && caller <= 0)
                        return -ENODATA; /* the bus does not say who calls */
                r = check_pid(pid, error);
                if (r >= 0)
                        r = pids_put(pids, pid, error);
        }
        return r < 0 ? r : (int)(size / sizeof(*list));
}

int pids_read(sd_bus_message *message, pid_t caller, pid_t **ret, size_t *ret_n,
              sd_bus_error *error)
{
        Pids pids = { 0 };
        int r = read_pids(message, caller, &pids, error);

        hash_done(&pids.seen);
        if (r < 0) {
                free(pids.items);
                return r;
        }
        *ret = pids.items;
        *ret_n = pids.n;
        return 0;
}

/* Takes what was given before, to go on with. */
static int pids_begin(PropertyChanges *changes, Pids *ret)
{
        *ret = (Pids){ .n = changes->n_pids, .allocated = changes->pids_allocated };
        ret->items = TAKE_PTR(changes->pids);
        for (size_t i = 0; i < ret->n; i++) {
                int r = hash_put(&ret->seen, (uint64_t)ret->items[i], ret);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void pids_end(PropertyChanges *changes, Pids *pids)
{
        hash_done(&pids->seen);
        changes->pids = pids->items;
        changes->n_pids = pids->n;
        changes->pids_allocated = pids->allocated;
        changes->has_pids = 1;
}

int pids_add(PropertyChanges *changes, sd_bus_message *message, pid_t caller, sd_bus_error *error)
{
        Pids pids;
        int r = pids_begin(changes, &pids);

        if (r >= 0)
                r = read_pids(message, caller, &pids, error);
        if (r == 0)
                r = -EINVAL;
        pids_end(changes, &pids);
        return r < 0 ? r : 0;
}

/* -ESRCH: it is dead and gone */
static int pid_of_pidfd(int pidfd, pid_t *ret)
{
        char path[48];
        _cleanup_(freep) char *info = NULL;
        const char *line;
        int pid, r;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        r = read_file_at(AT_FDCWD, path, 4096, &info, NULL);
        if (r < 0)
                return r;
        line = strstr(info, "\nPid:");
        if (!line || sscanf(line, "\nPid: %d", &pid) != 1)
                return -EBADF; /* no pidfd */
        if (pid <= 0)
                return pid < 0 ? -ESRCH : -EREMOTE; /* 0: of a pid namespace that we cannot see */
        *ret = pid;
        return 0;
}

static int keep_pidfd(PropertyChanges *changes, int pidfd)
{
        int *fds = realloc(changes->pidfds, (changes->n_pidfds + 1) * sizeof(*fds));

        if (!fds)
                return -ENOMEM;
        changes->pidfds = fds;
        fds[changes->n_pidfds] = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        if (fds[changes->n_pidfds] < 0)
                return -errno;
        changes->n_pidfds++;
        return 0;
}

int pidfds_add(PropertyChanges *changes, sd_bus_message *message, sd_bus_error *error)
{
        Pids pids;
        size_t n = 0;
        int pidfd, r = pids_begin(changes, &pids);

        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'a', "h");
        while (r >= 0 && (r = sd_bus_message_read_basic(message, 'h', &pidfd)) > 0) {
                pid_t pid = 0;

                n++;
                r = pid_of_pidfd(pidfd, &pid);
                if (r >= 0)
                        r = check_pid(pid, error);
                if (r >= 0)
                        r = keep_pidfd(changes, pidfd);
                if (r >= 0)
                        r = pids_put(&pids, pid, error);
        }
        pids_end(changes, &pids);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : (n > 0 ? 0 : -EINVAL);
}
