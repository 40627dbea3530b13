/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom the kernel charges: by page (kpagecgroup), and by memory.current of the groups. */

#include <fcntl.h>
#include <sys/stat.h>

#include "prog-owner.h"

#define TOP        "/sys/fs/cgroup"
#define PAGE       UINT64_C(4096)
#define PFN_MASK   ((UINT64_C(1) << 55) - 1)
#define PAGE_IS_IN (UINT64_C(1) << 63)

const char *const group_names[N_GROUPS] = { "root", "a", "b", "c", "d", "e" };
static uint64_t ids[N_GROUPS];

static const char *group_path(int group, const char *file, char *buffer, size_t size)
{
        (void)snprintf(buffer, size, group == 0 ? TOP "/%s%s" : TOP "/o/%s/%s",
                       group == 0 ? "" : group_names[group], file);
        return buffer;
}

int group_find(const char *name)
{
        for (int i = 0; i < N_GROUPS; i++)
                if (name && streq(group_names[i], name))
                        return i;
        die("no group '%s'", name ? name : "");
}

void groups_make(void)
{
        for (int i = 0; i < N_GROUPS; i++) {
                char path[128];
                struct stat st;

                if (i > 0 && mkdir(group_path(i, "", path, sizeof(path)), 0755) < 0 &&
                    errno != EEXIST)
                        die("%s: %s", path, strerror(errno));
                if (stat(group_path(i, "", path, sizeof(path)), &st) < 0)
                        die("%s: %s", path, strerror(errno));
                ids[i] = st.st_ino;
        }
}

int group_open(int group)
{
        char path[128];
        int fd =
                open(group_path(group, "", path, sizeof(path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                die("%s: %s", path, strerror(errno));
        return fd;
}

void group_attach(int group, pid_t pid)
{
        char path[128], text[16];
        int fd = open(group_path(group, "cgroup.procs", path, sizeof(path)), O_WRONLY | O_CLOEXEC);
        int n = snprintf(text, sizeof(text), "%d", (int)pid);

        if (fd < 0 || write(fd, text, (size_t)n) != n)
                die("%s: %s", path, strerror(errno));
        (void)close(fd);
}

void groups_read(uint64_t ret[N_GROUPS])
{
        for (int i = 0; i < N_GROUPS; i++) {
                _cleanup_(freep) char *text = NULL;
                char path[128];

                ret[i] = 0;
                if (i > 0 &&
                    (read_file_at(AT_FDCWD, group_path(i, "memory.current", path, sizeof(path)), 64,
                                  &text, NULL) < 0 ||
                     parse_u64(text, &ret[i], NULL) < 0))
                        die("%s: cannot be read", path);
        }
}

static uint64_t read_entry(int fd, uint64_t index)
{
        uint64_t entry = 0;

        if (pread(fd, &entry, sizeof(entry), (off_t)(index * sizeof(entry))) != sizeof(entry))
                die("kpagecgroup or pagemap: %s", strerror(errno));
        return entry;
}

int pages_payer(pid_t tid, uint64_t address, uint64_t bytes)
{
        _cleanup_(closep) int groups_fd = open("/proc/kpagecgroup", O_RDONLY | O_CLOEXEC);
        uint64_t counts[N_GROUPS] = { 0 }, n = bytes / PAGE;
        _cleanup_(closep) int fd = -EBADF;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)tid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || groups_fd < 0)
                die("%s: %s", path, strerror(errno));
        for (uint64_t i = 0; i < n; i++) {
                uint64_t page = read_entry(fd, address / PAGE + i), id;

                id = page & PAGE_IS_IN ? read_entry(groups_fd, page & PFN_MASK) : 0;
                for (int j = 0; j < N_GROUPS; j++)
                        counts[j] += ids[j] == id;
        }
        for (int j = 0; j < N_GROUPS; j++)
                if (counts[j] * 10 >= n * 9)
                        return j;
        return -1;
}

int growth_payer(const uint64_t before[N_GROUPS], const uint64_t after[N_GROUPS], uint64_t bytes)
{
        int found = 0;

        for (int i = 1; i < N_GROUPS; i++) {
                uint64_t grown = sub_u64(after[i], before[i]);

                if (grown * 2 < bytes)
                        continue;
                if (found)
                        return -1;
                found = i;
        }
        return found;
}
