/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of a property: what was given, its default, or what the group's files say now. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "property-row.h"
#include "util.h"

enum { FILE_MAX = 1 << 20 };

typedef int (*Append)(sd_bus_message *reply, const Property *row, const PropertySet *set,
                      int group_fd);

/* ---- the machine ---- */

uint64_t physical_memory(void)
{
        return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Whole pages, rounded down; UINT64_MAX never. */
uint64_t memory_scale(uint32_t part)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        unsigned __int128 pages = physical_memory() / page;

        return (uint64_t)(pages * part / UINT32_MAX) * page;
}

static uint64_t number_in(const char *path)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t number = UINT64_MAX;

        if (read_file_at(AT_FDCWD, path, 64, &text, NULL) >= 0)
                (void)parse_u64(text, &number, NULL);
        return number;
}

uint64_t tasks_scale(uint32_t part)
{
        enum { TASKS_MAX = 4194303 };
        uint64_t tasks = TASKS_MAX;

        tasks = min_u64(tasks, number_in("/proc/sys/kernel/pid_max"));
        tasks = min_u64(tasks, number_in("/proc/sys/kernel/threads-max"));
        tasks = tasks * part / UINT32_MAX;
        return tasks > 0 ? tasks : 1;
}

/* ---- files of the group ---- */

static char *read_attr(int group_fd, unsigned attr)
{
        char *text = NULL;

        if (group_fd < 0 ||
            read_file_at(group_fd, ch_attr_get(attr - 1)->file, FILE_MAX, &text, NULL) < 0)
                return NULL;
        return text;
}

/* UINT64_MAX: "max", or no such file. */
static uint64_t read_number(int group_fd, unsigned attr)
{
        _cleanup_(freep) char *text = read_attr(group_fd, attr);
        uint64_t number;

        return text && parse_u64(text, &number, NULL) >= 0 ? number : UINT64_MAX;
}

/* The number behind " KEY=" or, at the start of a line, "KEY ". */
static int find_key(const char *text, const char *key, char before, char behind, uint64_t *ret)
{
        size_t length = strlen(key);

        for (const char *p = strstr(text, key); p; p = strstr(p + 1, key))
                if ((p == text || p[-1] == before) && p[length] == behind)
                        return parse_u64(p + length + 1, ret, &(const char *){ NULL });
        return -ENOENT;
}

/* The group above, or -ENOENT at the top of the hierarchy. */
static int open_above(int group_fd)
{
        struct stat here, above;
        int fd = openat(group_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (fstat(group_fd, &here) < 0 || fstat(fd, &above) < 0 || here.st_dev != above.st_dev ||
            here.st_ino == above.st_ino || faccessat(fd, "cgroup.controllers", F_OK, 0) < 0) {
                (void)safe_close(fd);
                return -ENOENT;
        }
        return fd;
}

/* ---- rows that come from what was given ---- */

static int append_default(sd_bus_message *reply, const Property *row)
{
        PropertyValue value = { .row = (uint16_t)property_id(row), .number = row->number };

        if (*row->signature == 's')
                return sd_bus_message_append_basic(reply, 's', row->text);
        return value_append(reply, row->signature, &value);
}

/* a(st) without what is "no limit" */
static int append_limits(sd_bus_message *reply, const PropertyValue *value)
{
        Cursor cursor = cursor_of(value);
        int r = sd_bus_message_open_container(reply, 'a', "(st)");

        while (r >= 0 && cursor_has(&cursor)) {
                const char *path = cursor_text(&cursor);
                uint64_t limit = cursor_number(&cursor, 't');

                if (limit != UINT64_MAX)
                        r = sd_bus_message_append(reply, "(st)", path, limit);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_set(sd_bus_message *reply, const Property *row, const PropertySet *set,
                      int group_fd)
{
        unsigned id = property_id(row);
        const PropertyValue *value;

        if (row->bool_bit)
                return sd_bus_message_append_basic(reply, 'b',
                                                   &(int){ property_get_bool(set, id) });
        if (*row->signature == 's')
                return sd_bus_message_append_basic(reply, 's', property_get_text(set, id));
        value = property_set_find(set, id);
        if (!value)
                return append_default(reply, row);
        if (row->convert != CONVERT_NONE && row->merge == MERGE_DEVICES)
                return append_limits(reply, value);
        return value_append(reply, row->signature, value);
}

/* "rwm" in the original's order, whatever was given */
static int append_device(sd_bus_message *reply, Cursor device)
{
        const char *path = cursor_text(&device), *what = cursor_text(&device);
        char text[4] = "", *to = text;

        for (const char *p = "rwm"; *p; p++)
                if (!*what || strchr(what, *p))
                        *to++ = *p;
        return sd_bus_message_append(reply, "(ss)", path, text);
}

/* The newest first, as in the original */
static int append_devices(sd_bus_message *reply, const Property *row, const PropertySet *set,
                          int group_fd)
{
        Cursor cursor = cursor_of(property_set_find(set, property_id(row)));
        _cleanup_(freep) Cursor *devices = NULL;
        size_t n = 0, allocated = 0;
        int r = sd_bus_message_open_container(reply, 'a', "(ss)");

        while (r >= 0 && cursor_has(&cursor)) {
                r = array_reserve(&devices, &allocated, n + 1, sizeof(*devices));
                if (r >= 0)
                        devices[n++] = cursor;
                cursor_skip(&cursor, "(ss)");
        }
        while (r >= 0 && n > 0)
                r = append_device(reply, devices[--n]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* In whole words of 64 CPUs; none at all is no word. */
static int append_bits(sd_bus_message *reply, const uint8_t *bytes, size_t size)
{
        enum { WORD = 8 };
        uint8_t *to;
        void *array;
        size_t words;
        int r;

        while (size > 0 && bytes[size - 1] == 0)
                size--;
        words = (size + WORD - 1) / WORD * WORD;
        r = sd_bus_message_append_array_space(reply, 'y', words, &array);
        if (r < 0 || words == 0)
                return r;
        to = array;
        memset(to, 0, words);
        memcpy(to, bytes, size);
        return 0;
}

static int append_mask(sd_bus_message *reply, const Property *row, const PropertySet *set,
                       int group_fd)
{
        const PropertyValue *mask = property_set_find(set, property_id(row));

        return append_bits(reply, mask ? mask->data : NULL, mask ? mask->size : 0);
}

/* Nothing is tested here: the last member is 0. */
static int append_conditions(sd_bus_message *reply, const Property *row, const PropertySet *set,
                             int group_fd)
{
        Cursor cursor = cursor_of(property_set_find(set, property_id(row)));
        int r = sd_bus_message_open_container(reply, 'a', "(sbbsi)");

        while (r >= 0 && cursor_has(&cursor)) {
                const char *type = cursor_text(&cursor), *parameter;
                int trigger = (int)cursor_number(&cursor, 'b');
                int negate = (int)cursor_number(&cursor, 'b');

                parameter = cursor_text(&cursor);
                r = sd_bus_message_append(reply, "(sbbsi)", type, trigger, negate, parameter, 0);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* All that the original knows, where Delegate=yes came without a list. */
static int append_delegate(sd_bus_message *reply, const Property *row, const PropertySet *set,
                           int group_fd)
{
        if (!property_get_bool(set, PROP_DELEGATE))
                return sd_bus_message_append(reply, "as", 0);
        if (property_is_set(set, PROP_DELEGATE_CONTROLLERS))
                return append_set(reply, row, set, group_fd);
        return sd_bus_message_append(reply, "as", 13, "cpu", "cpuacct", "cpuset", "io", "blkio",
                                     "memory", "devices", "pids", "bpf-firewall", "bpf-devices",
                                     "bpf-foreign", "bpf-socket-bind",
                                     "bpf-restrict-network-interfaces");
}

static int append_interfaces(sd_bus_message *reply, const Property *row, const PropertySet *set,
                             int group_fd)
{
        if (property_is_set(set, property_id(row)))
                return append_set(reply, row, set, group_fd);
        return sd_bus_message_append(reply, "(bas)", 0, 0);
}

static int append_restart_signal(sd_bus_message *reply, const Property *row, const PropertySet *set,
                                 int group_fd)
{
        unsigned id = property_is_set(set, property_id(row)) ? property_id(row)
                                                             : (unsigned)PROP_KILL_SIGNAL;

        return append_set(reply, property_get(id), set, group_fd);
}

/* ---- rows that come from files ---- */

static int append_u64(sd_bus_message *reply, uint64_t number)
{
        return sd_bus_message_append_basic(reply, 't', &number);
}

static int append_number(sd_bus_message *reply, const Property *row, const PropertySet *set,
                         int group_fd)
{
        return append_u64(reply, read_number(group_fd, row->attr));
}

static int append_cpu_usage(sd_bus_message *reply, const Property *row, const PropertySet *set,
                            int group_fd)
{
        _cleanup_(freep) char *text = read_attr(group_fd, row->attr);
        uint64_t usec;

        if (!text || find_key(text, "usage_usec", '\n', ' ', &usec) < 0)
                return append_u64(reply, UINT64_MAX);
        return append_u64(reply, usec * 1000);
}

/* Lines of "MAJ:MIN key=N key=N …" */
static int append_io_stat(sd_bus_message *reply, const Property *row, const PropertySet *set,
                          int group_fd)
{
        _cleanup_(freep) char *text = read_attr(group_fd, row->attr);
        uint64_t sum = 0, number;

        if (!text)
                return append_u64(reply, UINT64_MAX);
        for (char *save, *line = strtok_r(text, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save))
                if (find_key(line, row->key, ' ', '=', &number) >= 0)
                        sum += number;
        return append_u64(reply, sum);
}

/* "0-3,8" as a mask */
static int append_cpus(sd_bus_message *reply, const Property *row, const PropertySet *set,
                       int group_fd)
{
        enum { CPUS_MAX = 8192 };
        _cleanup_(freep) char *text = read_attr(group_fd, row->attr);
        uint8_t mask[CPUS_MAX / 8] = { 0 };
        const char *p = text ? text : "";
        uint64_t first, last;

        while (parse_u64(p, &first, &p) >= 0) {
                last = first;
                if (*p == '-' && parse_u64(p + 1, &last, &p) < 0)
                        break;
                for (uint64_t i = first; i <= last && i < CPUS_MAX; i++)
                        mask[i / 8] |= (uint8_t)(1 << i % 8);
                p += *p == ',';
        }
        return append_bits(reply, mask, sizeof(mask));
}

/* The lowest limit of the group and those above it; memory also ends where the machine's does. */
static int append_lowest(sd_bus_message *reply, const Property *row, const PropertySet *set,
                         int group_fd)
{
        uint64_t lowest = group_fd < 0 ? UINT64_MAX : read_number(group_fd, row->attr);
        int above, fd = group_fd < 0 ? -EBADF : open_above(group_fd);

        if (group_fd >= 0 && row->attr != ATTR_PIDS_MAX)
                lowest = min_u64(lowest, physical_memory());
        for (; fd >= 0; fd = above) {
                lowest = min_u64(lowest, read_number(fd, row->attr));
                above = open_above(fd);
                (void)safe_close(fd);
        }
        return append_u64(reply, lowest);
}

/* MemAvailable of /proc/meminfo, in bytes */
static uint64_t machine_available(void)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t kib;
        const char *p;

        if (read_file_at(AT_FDCWD, "/proc/meminfo", FILE_MAX, &text, NULL) < 0)
                return UINT64_MAX;
        p = strstr(text, "MemAvailable:");
        if (!p)
                return UINT64_MAX;
        p += strlen("MemAvailable:");
        return parse_u64(p + strspn(p, " "), &kib, &p) < 0 ? UINT64_MAX : kib * 1024;
}

/* How much more may be used before a limit is met, here, above, or the machine's own. */
static int append_available(sd_bus_message *reply, const Property *row, const PropertySet *set,
                            int group_fd)
{
        uint64_t available;
        int above, fd;

        if (group_fd < 0 || read_number(group_fd, ATTR_MEMORY_CURRENT) == UINT64_MAX)
                return append_u64(reply, UINT64_MAX);
        available = machine_available();
        fd = fcntl(group_fd, F_DUPFD_CLOEXEC, 3);
        for (; fd >= 0; fd = above) {
                uint64_t limit = min_u64(read_number(fd, ATTR_MEMORY_MAX),
                                         read_number(fd, ATTR_MEMORY_HIGH));
                uint64_t current = read_number(fd, ATTR_MEMORY_CURRENT);

                if (limit != UINT64_MAX && current != UINT64_MAX)
                        available = min_u64(available, sub_u64(limit, current));
                above = open_above(fd);
                (void)safe_close(fd);
        }
        return append_u64(reply, available);
}

static int append_group_id(sd_bus_message *reply, const Property *row, const PropertySet *set,
                           int group_fd)
{
        struct stat st;

        /* the inode number is the id, where the kernel is a 64-bit one */
        return append_u64(reply, group_fd >= 0 && fstat(group_fd, &st) >= 0 ? st.st_ino : 0);
}

static const Append appends[] = {
        [FROM_SET] = append_set,
        [FROM_CONDITIONS] = append_conditions,
        [FROM_DELEGATE] = append_delegate,
        [FROM_INTERFACES] = append_interfaces,
        [FROM_DEVICE_ALLOW] = append_devices,
        [FROM_MASK] = append_mask,
        [FROM_RESTART_SIGNAL] = append_restart_signal,
        [FROM_NUMBER] = append_number,
        [FROM_CPU_USAGE] = append_cpu_usage,
        [FROM_CPUS] = append_cpus,
        [FROM_IO_STAT] = append_io_stat,
        [FROM_LOWEST] = append_lowest,
        [FROM_AVAILABLE] = append_available,
        [FROM_GROUP_ID] = append_group_id,
};
_Static_assert(ELEMENTSOF(appends) == FROM_MAX_, "a function for each PropertySource");

int property_append(sd_bus_message *reply, const Property *row, const PropertySet *set,
                    int group_fd)
{
        int r = appends[row->source](reply, row, set, group_fd);

        return r < 0 ? r : 0;
}
