/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parsers of /proc/PID/maps and smaps, and which mappings are shared memory. */

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "mappings.h"
#include "procstat.h"
#include "util.h"

/* A field of smaps, in KiB there. Several may add up to one figure. */
typedef struct FieldRow {
        const char *name;
        size_t offset;
} FieldRow;

static const FieldRow field_rows[] = {
        { .name = "Rss:",             .offset = offsetof(Mapping, rss_bytes) },
        { .name = "Shared_Clean:",    .offset = offsetof(Mapping, shared_bytes) },
        { .name = "Shared_Dirty:",    .offset = offsetof(Mapping, shared_bytes) },
        { .name = "Anonymous:",       .offset = offsetof(Mapping, anon_bytes) },
        { .name = "AnonHugePages:",   .offset = offsetof(Mapping, anon_huge_bytes) },
        { .name = "Shared_Hugetlb:",  .offset = offsetof(Mapping, hugetlb_bytes) },
        { .name = "Private_Hugetlb:", .offset = offsetof(Mapping, hugetlb_bytes) },
        { .name = "Swap:",            .offset = offsetof(Mapping, swap_bytes) },
        { .name = "Locked:",          .offset = offsetof(Mapping, locked_bytes) },
};

/* Two-letter words of "VmFlags:" (fs/proc/task_mmu.c). */
static const struct {
        char word[3];
        uint32_t flag;
} vmflag_rows[] = {
        { "sh", MAPPING_SHARED },
        { "lo", MAPPING_LOCKED },
        { "ht", MAPPING_HUGETLB },
        { "io", MAPPING_SPECIAL },
        { "pf", MAPPING_SPECIAL },
        { "nh", MAPPING_NOHUGEPAGE },
};

/* Names that the kernel gives to objects of its own tmpfs and hugetlbfs, which no mount table
 * shows. */
static const struct {
        const char *prefix;
        uint32_t flags;
} name_rows[] = {
        { "/memfd:",         MAPPING_SHMEM },
        { "/dev/zero (del",  MAPPING_SHMEM },
        { "/SYSV",           MAPPING_SHMEM },
        { "[anon_shmem",     MAPPING_SHMEM },
        { "/anon_hugepage",  MAPPING_HUGETLB },
        { "[vdso]",          MAPPING_VDSO },
        { "[vvar",           MAPPING_VDSO },
        { "[vsyscall]",      MAPPING_VDSO },
};

static const char *line_end(const char *p, const char *end)
{
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        return newline ? newline : end;
}

static const char *parse_hex(const char *p, uint64_t *ret)
{
        uint64_t value = 0;

        for (;; p++) {
                if (*p >= '0' && *p <= '9')
                        value = value << 4 | (uint64_t)(*p - '0');
                else if (*p >= 'a' && *p <= 'f')
                        value = value << 4 | (uint64_t)(*p - 'a' + 10);
                else
                        break;
        }
        *ret = value;
        return p;
}

static uint32_t flags_of_name(const char *name, size_t n)
{
        for (size_t i = 0; i < ELEMENTSOF(name_rows); i++) {
                size_t length = strlen(name_rows[i].prefix);

                if (n >= length && memcmp(name, name_rows[i].prefix, length) == 0)
                        return name_rows[i].flags;
        }
        return 0;
}

/* The end of a path says more than its start. */
static void set_name(Mapping *mapping, const char *name, size_t n)
{
        const size_t max = sizeof(mapping->name) - 1;

        if (n > max) {
                name += n - max;
                n = max;
        }
        memcpy(mapping->name, name, n);
        mapping->name[n] = '\0';
}

/* Most processes map no file that is on no block device: the mount table is not read for them. */
static int is_tmpfs(MappingParser *parser, uint32_t major, uint32_t minor)
{
        if (major != 0)
                return 0;
        if (parser->load) {
                (void)parser->load(
                        parser); /* unknown devices are UNSURE, and looked into by their pages */
                parser->load = NULL;
        }
        for (size_t i = 0; i < parser->n_tmpfs; i++)
                if (parser->tmpfs[i].major == major && parser->tmpfs[i].minor == minor)
                        return 1;
        return 0;
}

static uint32_t flags_of_file(MappingParser *parser, uint64_t major, uint64_t minor,
                              uint32_t name_flags)
{
        if (name_flags & (MAPPING_SHMEM | MAPPING_HUGETLB))
                return MAPPING_FILE;
        if (is_tmpfs(parser, (uint32_t)major, (uint32_t)minor))
                return MAPPING_FILE | MAPPING_SHMEM;
        /* no block device: a tmpfs of another mount namespace, or overlay, btrfs, NFS … the pages
         * will tell */
        return MAPPING_FILE | (major == 0 ? MAPPING_UNSURE : 0);
}

/* "START-END rwxp OFFSET MAJ:MIN INODE   NAME" */
static int parse_header(MappingParser *parser, const char *p, const char *end, Mapping *ret)
{
        uint64_t major, minor, inode, ignored;
        Mapping mapping = {};
        const char *perms;

        p = parse_hex(p, &mapping.start);
        if (*p++ != '-')
                return -EINVAL;
        p = parse_hex(p, &mapping.end);
        if (*p++ != ' ' || end - p < 5 || mapping.end <= mapping.start)
                return -EINVAL;
        perms = p;
        p = parse_hex(p + 5, &ignored);
        p = parse_hex(p + (*p == ' '), &major);
        if (*p++ != ':')
                return -EINVAL;
        p = parse_hex(p, &minor);
        if (*p++ != ' ' || parse_u64(p, &inode, &p) < 0)
                return -EINVAL;
        while (p < end && *p == ' ')
                p++;
        mapping.flags = flags_of_name(p, (size_t)(end - p));
        mapping.flags |= perms[1] == 'w' ? MAPPING_WRITABLE : 0;
        mapping.flags |= perms[3] == 's' ? MAPPING_SHARED : 0;
        if (inode != 0)
                mapping.flags |= flags_of_file(parser, major, minor, mapping.flags);
        set_name(&mapping, p, (size_t)(end - p));
        *ret = mapping;
        return 0;
}

static void parse_vmflags(const char *p, const char *end, Mapping *mapping)
{
        for (; p + 2 <= end; p++) {
                if (*p == ' ')
                        continue;
                for (size_t i = 0; i < ELEMENTSOF(vmflag_rows); i++)
                        if (memcmp(p, vmflag_rows[i].word, 2) == 0)
                                mapping->flags |= vmflag_rows[i].flag;
                p += 2;
        }
}

static void parse_field(const char *p, const char *end, Mapping *mapping)
{
        const char *colon = memchr(p, ':', (size_t)(end - p)), *rest;
        size_t n = colon ? (size_t)(colon - p) + 1 : 0;
        uint64_t value;

        if (!colon)
                return;
        if (n == 8 && memcmp(p, "VmFlags:", 8) == 0) {
                parse_vmflags(colon + 1, end, mapping);
                return;
        }
        for (p = colon + 1; p < end && *p == ' '; p++)
                ;
        if (p == end || parse_u64(p, &value, &rest) < 0 || value == 0)
                return; /* most figures are 0 */
        p = colon + 1 - n;
        if (n == 12 && memcmp(p, "THPeligible:", 12) == 0) {
                mapping->flags |= MAPPING_THP_OK;
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(field_rows); i++) {
                if (strncmp(field_rows[i].name, p, n) == 0 && field_rows[i].name[n] == '\0')
                        *(uint64_t *)((char *)mapping + field_rows[i].offset) += value * 1024;
        }
}

int mappings_parse(MappingParser *parser, const char *text, size_t size, Mapping **ret,
                   size_t *ret_n)
{
        _cleanup_(freep) Mapping *mappings = NULL;
        size_t n = 0, allocated = 0;
        const char *end = text + size;

        for (const char *p = text, *next; p < end; p = next + 1) {
                next = line_end(p, end);
                if (next == p)
                        continue;
                if (*p >= 'A' && *p <= 'Z') {
                        if (n == 0)
                                return -EINVAL;
                        mappings[n - 1].flags |= MAPPING_FIGURES;
                        parse_field(p, next, &mappings[n - 1]);
                        continue;
                }
                if (array_reserve(&mappings, &allocated, n + 1, sizeof(*mappings)) < 0)
                        return -ENOMEM;
                if (parse_header(parser, p, next, &mappings[n]) < 0)
                        return -EINVAL;
                n++;
        }
        *ret = TAKE_PTR(mappings);
        *ret_n = n;
        return 0;
}

/* "ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE OPTIONS": the device if TYPE is
 * tmpfs. */
static int parse_mount(const char *p, const char *end, MappingDevice *ret)
{
        const char *separator = memmem(p, (size_t)(end - p), " - ", 3);
        uint64_t major, minor, ignored;

        if (!separator || end - separator < 9 || memcmp(separator + 3, "tmpfs ", 6) != 0)
                return 0;
        if (parse_u64(p, &ignored, &p) < 0 || *p++ != ' ' || parse_u64(p, &ignored, &p) < 0 ||
            *p++ != ' ')
                return 0;
        if (parse_u64(p, &major, &p) < 0 || *p++ != ':' || parse_u64(p, &minor, &p) < 0)
                return 0;
        *ret = (MappingDevice){ .major = (uint32_t)major, .minor = (uint32_t)minor };
        return 1;
}

int mappings_parse_mounts(MappingParser *parser, const char *text, size_t size)
{
        const char *end = text + size;
        size_t allocated = 0;

        for (const char *p = text, *next; p < end; p = next + 1) {
                MappingDevice device;

                next = line_end(p, end);
                if (!parse_mount(p, next, &device))
                        continue;
                if (array_reserve(&parser->tmpfs, &allocated, parser->n_tmpfs + 1,
                                  sizeof(device)) < 0)
                        return -ENOMEM;
                parser->tmpfs[parser->n_tmpfs++] = device;
        }
        return 0;
}

void mapping_parser_done(MappingParser *parser)
{
        free(parser->tmpfs);
}

static int load_mounts(MappingParser *parser)
{
        _cleanup_(freep) char *text = NULL;
        char path[PROC_PATH_MAX + 8] = "/proc/";
        size_t size;
        int r;

        (void)proc_path(path + 6, parser->pid, "/mountinfo");
        r = read_file_at(AT_FDCWD, path, 1u << 26, &text, &size);
        return r < 0 ? r : mappings_parse_mounts(parser, text, size);
}

static int read_mapping_file(pid_t pid, const char *file, Mapping **ret, size_t *ret_n,
                             ch_error **err)
{
        _cleanup_(mapping_parser_done) MappingParser parser = { .load = load_mounts, .pid = pid };
        _cleanup_(freep) char *text = NULL;
        char path[PROC_PATH_MAX + 8] = "/proc/";
        size_t size;
        int r;

        /* the text may be large: some 700 bytes per mapping, 65,530 mappings by default */
        (void)proc_path(path + 6, pid, file);
        r = read_file_at(AT_FDCWD, path, 1u << 30, &text, &size);
        if (r == -ENOENT)
                r = -ESRCH;
        if (r == -ESRCH)
                return error_set(err, CH_ERROR_NO_SUCH_PROCESS, ESRCH, path, "process %d is gone",
                                 pid);
        if (r == -EACCES || r == -EPERM)
                return error_set(
                        err, CH_ERROR_NOT_PERMITTED, EPERM, path,
                        "no ptrace access to process %d: run as root or with CAP_SYS_PTRACE", pid);
        if (r < 0)
                return error_errno(err, r, path, "reading mappings");
        r = mappings_parse(&parser, text, size, ret, ret_n);
        if (r == -EINVAL)
                return error_set(err, CH_ERROR_FAILED, EIO, path,
                                 "the kernel's list of mappings is unreadable");
        return r;
}

int mappings_read(pid_t pid, Mapping **ret, size_t *ret_n, ch_error **err)
{
        return read_mapping_file(pid, "/smaps", ret, ret_n, err);
}

int mappings_read_fast(pid_t pid, Mapping **ret, size_t *ret_n, ch_error **err)
{
        return read_mapping_file(pid, "/maps", ret, ret_n, err);
}
