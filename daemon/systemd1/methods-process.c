/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetUnitProcesses: who is in a unit, and by what command line. Read on a worker: command lines lie
 * in the memory of others, who may hold the lock on it. */

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

#define COMMAND_MAX   4096
#define COMMANDS_MAX  (16U << 20) /* bytes of all together; then only names are told */
#define PROCESSES_MAX 65536
#define PROCS_MAX     (16U << 20) /* bytes of one cgroup.procs */
#define KTHREADD      2

typedef struct Process {
        char *path; /* of the group; shared by neighbours: the first one owns it */
        char *command;
        uint32_t pid;
        int owns_path;
} Process;

typedef struct Processes {
        Process *items;
        size_t n, allocated, command_bytes;
} Processes;

static void processes_free(void *data)
{
        Processes *processes = data;

        for (size_t i = 0; i < processes->n; i++) {
                if (processes->items[i].owns_path)
                        free(processes->items[i].path);
                free(processes->items[i].command);
        }
        free(processes->items);
        free(processes);
}

/* ---- command lines ---- */

/* Bytes of the UTF-8 character at `text`, or 0: it is none. */
static size_t character_size(const char *text, size_t max)
{
        const uint8_t *at = (const uint8_t *)text;
        size_t size = at[0] < 0x80                     ? 1
                      : (at[0] & 0xe0) == 0xc0         ? 2
                      : (at[0] & 0xf0) == 0xe0         ? 3
                      : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                       : 0;
        uint32_t value = size > 1 ? at[0] & (0x7fU >> size) : at[0];

        if (!size || size > max)
                return 0;
        for (size_t i = 1; i < size; i++) {
                if ((at[i] & 0xc0) != 0x80)
                        return 0;
                value = value << 6 | (at[i] & 0x3f);
        }
        if ((size == 2 && value < 0x80) || (size == 3 && value < 0x800) ||
            (size == 4 && (value < 0x10000 || value > 0x10ffff)) ||
            (value >= 0xd800 && value < 0xe000))
                return 0;
        return size;
}

/* One argument as a shell would read it; what no terminal should get becomes "?". */
static char *put_argument(char *to, const char *from, size_t size)
{
        int quote = size == 0;

        for (size_t i = 0; i < size && !quote; i++)
                quote = isspace((unsigned char)from[i]) ||
                        (from[i] && strchr("\"'\\`$*?[]{}()<>|&;!#~", from[i]));
        if (quote)
                *to++ = '"';
        while (size > 0) {
                size_t n = character_size(from, size);

                if (n == 1 && strchr("\"\\`$", *from))
                        *to++ = '\\';
                if (n == 0 || (n == 1 && ((uint8_t)*from < ' ' || *from == 0x7f)))
                        *to++ = '?';
                else
                        to = mempcpy(to, from, n);
                from += n ? n : 1;
                size -= n ? n : 1;
        }
        if (quote)
                *to++ = '"';
        return to;
}

static char *join_arguments(const char *text, size_t size)
{
        /* each byte may get a backslash, each argument two quotes and a blank */
        char *command = malloc(size * 5 + 1), *to = command, *fitting;

        for (size_t at = 0, n; command && at < size; at += n + 1) {
                n = strnlen(text + at, size - at);
                if (at > 0)
                        *to++ = ' ';
                to = put_argument(to, text + at, n);
        }
        if (!command)
                return NULL;
        *to++ = '\0';
        fitting = realloc(command, (size_t)(to - command));
        return fitting ? fitting : command;
}

/* "[comm]" of a process without a command line. *ret NULL: a kernel thread, or gone. */
static int read_name(uint32_t pid, char **ret)
{
        char path[48], text[512], name[160] = "[";
        const char *open, *close;
        uint32_t parent = 0;
        ssize_t n;
        int fd;

        *ret = NULL;
        (void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
        fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        safe_close(fd);
        text[n > 0 ? n : 0] = '\0';
        open = strchr(text, '(');
        close = strrchr(text, ')');
        if (!open || !close || close - open > 64 || sscanf(close + 1, " %*c %u", &parent) != 1 ||
            pid == KTHREADD || parent == KTHREADD)
                return 0;
        *put_argument(name + 1, open + 1, (size_t)(close - open - 1)) = '\0';
        return asprintf(ret, "%s]", name) < 0 ? -ENOMEM : 0;
}

static int read_command(uint32_t pid, char **ret)
{
        char path[48], text[COMMAND_MAX];
        ssize_t n = 0;
        int fd;

        (void)snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
                n = read(fd, text, sizeof(text));
        safe_close(fd);
        while (n > 0 && text[n - 1] == '\0')
                n--;
        if (n <= 0)
                return read_name(pid, ret);
        *ret = join_arguments(text, (size_t)n);
        return *ret ? 0 : -ENOMEM;
}

/* ---- the walk ---- */

static int add_process(Processes *processes, const char *path, uint32_t pid)
{
        Process *last = processes->n ? &processes->items[processes->n - 1] : NULL;
        Process process = { .pid = pid, .path = last ? last->path : NULL };
        int r = processes->command_bytes < COMMANDS_MAX ? read_command(pid, &process.command)
                                                        : read_name(pid, &process.command);

        if (r < 0 || !process.command)
                return r;
        processes->command_bytes += strlen(process.command) + 1;
        if (!process.path || !streq(process.path, path)) {
                process.path = strdup(path);
                process.owns_path = 1;
        }
        r = process.path ? array_reserve(&processes->items, &processes->allocated, processes->n + 1,
                                         sizeof(Process))
                         : -ENOMEM;
        if (r < 0) {
                if (process.owns_path)
                        free(process.path);
                free(process.command);
                return r;
        }
        processes->items[processes->n++] = process;
        return 0;
}

static int on_group(const ch_walk_entry *entry, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        Processes *processes = userdata;
        const char *at;
        uint64_t pid;
        int r = 0;

        /* a threaded group does not tell; its domain does */
        if (read_file_at(entry->fd, "cgroup.procs", PROCS_MAX, &text, NULL) < 0)
                return 0;
        for (at = text; r >= 0 && processes->n < PROCESSES_MAX && parse_u64(at, &pid, &at) >= 0;
             at += *at == '\n')
                if (pid > 0) /* 0: of another pid namespace */
                        r = add_process(processes, entry->path, (uint32_t)pid);
        return r;
}

static int work(Request *request)
{
        return ch_tree_walk(request->manager->tree, request->path, on_group, request->data,
                            &request->error);
}

static int finish(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *group = NULL;
        const Processes *processes = request->data;
        int r = request_new_reply(request, &reply);

        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(sus)");
        for (size_t i = 0; r >= 0 && i < processes->n; i++) {
                const Process *process = &processes->items[i];

                if (process->owns_path || !group) {
                        free(group);
                        group = face_control_group_of(face_of(request), process->path);
                }
                r = group ? sd_bus_message_append(reply, "(sus)", *group ? group : "/",
                                                  process->pid, process->command)
                          : -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

int method_get_unit_processes(Request *request)
{
        const char *name = request->path;
        const Unit *unit;
        char *path;
        int r = name ? 0 : sd_bus_message_read(request->message, "s", &name);

        if (r < 0)
                return request_bad_arguments(request, r, "name");
        unit = *name ? units_find_active(face_of(request), name)
                     : face_unit_of_pid(face_of(request), request->client->pid);
        if (!unit && !*name)
                return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Client not member of any unit.");
        if (!unit)
                return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not loaded.", name);
        if (unit->state == UNIT_DEAD)
                return request_reply(request, "a(sus)", 0);
        path = strdup(unit->path);
        request->data = calloc(1, sizeof(Processes));
        if (request->data)
                request->free_data = processes_free;
        free(request->path);
        request->path = path;
        request->flags |= REQUEST_READ_ONLY | REQUEST_WAITS;
        return path && request->data ? request_defer(request, work, finish) : -ENOMEM;
}
