/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of units: what is one, the group that belongs to it, its object path, and back. Pure. */

#include <stdio.h>

#include "name.h"
#include "path.h"
#include "util.h"

#define VALID_CHARS   "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\"
#define OBJECT_PREFIX "/org/freedesktop/systemd1/unit/"
#define ROOT_SLICE    "-.slice"

enum { NAME_MAX_BYTES = 255, PATH_MAX_BYTES = 4095 };

/* All that clients may name; those that have a kind can be here. */
static const struct {
        const char *suffix;
        int kind;
} types[] = {
        { "scope",     UNIT_SCOPE  },
        { "slice",     UNIT_SLICE  },
        { "service",   UNIT_SERVICE },
        { "socket",    -1          },
        { "target",    -1          },
        { "device",    -1          },
        { "mount",     -1          },
        { "automount", -1          },
        { "swap",      -1          },
        { "timer",     -1          },
        { "path",      -1          },
};

/* Names that cgroupfs has, or had in version 1, and the original's own controllers: the directories
 * must be called as the clients that work their paths out themselves expect them. */
static const char *const reserved_names[] = { "tasks", "notify_on_release", "release_agent" };
static const char *const reserved_prefixes[] = {
        "cgroup.",
        "cpu.",
        "cpuacct.",
        "cpuset.",
        "io.",
        "blkio.",
        "memory.",
        "devices.",
        "pids.",
        "bpf-firewall.",
        "bpf-devices.",
        "bpf-foreign.",
        "bpf-socket-bind.",
        "bpf-restrict-network-interfaces.",
};

const char *unit_kind_to_string(UnitKind kind)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (types[i].kind == (int)kind)
                        return types[i].suffix;
        return "unit";
}

/* The row of `types`; -1 for no valid name. */
static int find_type(const char *name)
{
        size_t length = strnlen(name, NAME_MAX_BYTES + 1);
        const char *dot = strrchr(name, '.');
        const char *at;

        if (length > NAME_MAX_BYTES || !dot || dot == name)
                return -1;
        for (const char *p = name; p < dot; p++)
                if (!strchr("@" VALID_CHARS, *p))
                        return -1;
        at = memchr(name, '@', (size_t)(dot - name));
        if (at && (at == name || at + 1 == dot))
                return -1; /* no name before, or a template: that is no unit */
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(types[i].suffix, dot + 1))
                        return (int)i;
        return -1;
}

int unit_name_is_valid(const char *name)
{
        return find_type(name) >= 0;
}

/* No leading, trailing or double dash, no instance. */
static int slice_is_valid(const char *name)
{
        const char *dot = strrchr(name, '.');

        if (streq(name, ROOT_SLICE))
                return 1;
        if (strchr(name, '@') || name[0] == '-' || dot[-1] == '-')
                return 0;
        return !strstr(name, "--");
}

int unit_name_to_kind(const char *name, UnitKind *ret)
{
        int type = find_type(name);

        if (type < 0)
                return -EINVAL;
        if (types[type].kind < 0)
                return -EOPNOTSUPP;
        if (types[type].kind == UNIT_SLICE && !slice_is_valid(name))
                return -EINVAL;
        *ret = (UnitKind)types[type].kind;
        return 0;
}

int unit_name_parent_slice(const char *name, char **ret)
{
        UnitKind kind;
        const char *dash;
        char *parent;

        if (unit_name_to_kind(name, &kind) < 0 || kind != UNIT_SLICE)
                return -EINVAL;
        if (streq(name, ROOT_SLICE))
                return -ENOENT;
        dash = strrchr(name, '-');
        if (!dash)
                parent = strdup(ROOT_SLICE);
        else if (asprintf(&parent, "%.*s.slice", (int)(dash - name), name) < 0)
                parent = NULL;
        if (!parent)
                return -ENOMEM;
        *ret = parent;
        return 0;
}

static int needs_underscore(const char *name)
{
        if (name[0] == '_' || name[0] == '.')
                return 1;
        for (size_t i = 0; i < ELEMENTSOF(reserved_names); i++)
                if (streq(name, reserved_names[i]))
                        return 1;
        for (size_t i = 0; i < ELEMENTSOF(reserved_prefixes); i++)
                if (strncmp(name, reserved_prefixes[i], strlen(reserved_prefixes[i])) == 0)
                        return 1;
        return path_is_reserved(name, strlen(name));
}

int unit_name_to_directory(const char *name, char **ret)
{
        char *directory;

        if (asprintf(&directory, "%s%s", needs_underscore(name) ? "_" : "", name) < 0)
                return -ENOMEM;
        *ret = directory;
        return 0;
}

/* Appends "/" and the directory of the unit `name`, `length` bytes long and `suffix` behind it. */
static int append_directory(char *path, size_t *used, const char *name, size_t length,
                            const char *suffix)
{
        char unit[NAME_MAX_BYTES + sizeof(".slice")];
        int n;

        (void)snprintf(unit, sizeof(unit), "%.*s%s", (int)length, name, suffix);
        n = snprintf(path + *used, PATH_MAX_BYTES + 1 - *used, "/%s%s",
                     needs_underscore(unit) ? "_" : "", unit);
        if (n < 0 || (size_t)n > PATH_MAX_BYTES - *used)
                return -ENAMETOOLONG;
        *used += (size_t)n;
        return 0;
}

/* "a-b-c.slice": one directory for each part of the name. */
static int append_slice(char *path, size_t *used, const char *slice)
{
        size_t length = strlen(slice) - strlen(".slice");
        int r = 0;

        if (streq(slice, ROOT_SLICE))
                return 0;
        for (size_t i = 1; i <= length && r >= 0; i++)
                if (i == length || slice[i] == '-')
                        r = append_directory(path, used, slice, i, ".slice");
        return r;
}

int unit_name_to_group(const char *name, const char *slice, char **ret)
{
        char path[PATH_MAX_BYTES + 1];
        size_t used = 0;
        UnitKind kind, above;
        int r = unit_name_to_kind(name, &kind);

        if (r < 0)
                return r;
        if (kind == UNIT_SLICE)
                slice = name;
        if (!slice || unit_name_to_kind(slice, &above) < 0 || above != UNIT_SLICE)
                return -EINVAL;
        r = append_slice(path, &used, slice);
        if (r >= 0 && kind != UNIT_SLICE)
                r = append_directory(path, &used, name, strlen(name), "");
        if (r < 0)
                return r;
        *ret = used > 0 ? strndup(path, used) : strdup("/");
        return *ret ? 0 : -ENOMEM;
}

/* The unit that a directory is named after: 1, and its kind; 0 if none. */
static int directory_to_name(const char *directory, size_t length,
                             char name[static NAME_MAX_BYTES + 1], UnitKind *ret_kind)
{
        int escaped = length > 0 && directory[0] == '_';

        if (escaped) {
                directory++;
                length--;
        }
        if (length == 0 || length > NAME_MAX_BYTES)
                return 0;
        memcpy(name, directory, length);
        name[length] = '\0';
        return unit_name_to_kind(name, ret_kind) >= 0 && needs_underscore(name) == escaped;
}

/* A slice lies directly in the one that its name says. */
static int slice_is_child(const char *name, const char *above)
{
        const char *dash = strrchr(name, '-');
        size_t length = dash ? (size_t)(dash - name) : 0;

        if (streq(name, ROOT_SLICE))
                return 0;
        if (streq(above, ROOT_SLICE))
                return length == 0;
        return length > 0 && strncmp(name, above, length) == 0 && streq(above + length, ".slice");
}

/*
 * Walks down as long as the directories are units' own. Returns the length of the part that is, and
 * in `slice` and `unit` (may be "") the deepest ones.
 */
static size_t walk(const char *path, char slice[static NAME_MAX_BYTES + 1],
                   char unit[static NAME_MAX_BYTES + 1])
{
        size_t good = 0;

        strcpy(slice, ROOT_SLICE);
        unit[0] = '\0';
        while (path[good] == '/' && !unit[0]) {
                const char *component = path + good + 1;
                size_t length = strcspn(component, "/");
                char name[NAME_MAX_BYTES + 1];
                UnitKind kind;

                if (!directory_to_name(component, length, name, &kind))
                        break;
                if (kind != UNIT_SLICE)
                        strcpy(unit, name);
                else if (slice_is_child(name, slice))
                        strcpy(slice, name);
                else
                        break;
                good += 1 + length;
        }
        return good;
}

int unit_name_from_group(const char *path, char **ret_name, char **ret_slice)
{
        char slice[NAME_MAX_BYTES + 1], unit[NAME_MAX_BYTES + 1];
        _cleanup_(freep) char *name = NULL;
        char *above = NULL;
        int r = 0;

        if (!streq(path, "/") && (path[0] != '/' || path[walk(path, slice, unit)]))
                return -ENOENT;
        if (streq(path, "/"))
                name = strdup(ROOT_SLICE);
        else
                name = strdup(unit[0] ? unit : slice);
        if (!name)
                return -ENOMEM;
        if (ret_slice && !streq(path, "/"))
                r = unit[0] ? ((above = strdup(slice)) ? 0 : -ENOMEM)
                            : unit_name_parent_slice(name, &above);
        if (r < 0)
                return r;
        if (ret_slice)
                *ret_slice = above;
        *ret_name = TAKE_PTR(name);
        return 0;
}

size_t unit_group_of_path(const char *path)
{
        char slice[NAME_MAX_BYTES + 1], unit[NAME_MAX_BYTES + 1];

        return walk(path, slice, unit);
}

static int is_plain(char c, int first)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9' && !first);
}

char *unit_name_to_object(const char *name)
{
        static const char digits[] = "0123456789abcdef";
        char *object = malloc(sizeof(OBJECT_PREFIX) + 3 * strlen(name) + 1);
        char *p = object;

        if (!object)
                return NULL;
        p = stpcpy(p, OBJECT_PREFIX);
        if (!*name)
                *p++ = '_';
        for (const char *c = name; *c; c++) {
                if (is_plain(*c, c == name)) {
                        *p++ = *c;
                } else {
                        *p++ = '_';
                        *p++ = digits[(unsigned char)*c >> 4];
                        *p++ = digits[*c & 15];
                }
        }
        *p = '\0';
        return object;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int unit_name_from_object(const char *object, char **ret)
{
        _cleanup_(freep) char *name = NULL;
        char *p;

        if (strncmp(object, OBJECT_PREFIX, strlen(OBJECT_PREFIX)) != 0)
                return -EINVAL;
        object += strlen(OBJECT_PREFIX);
        if (!*object || strchr(object, '/'))
                return -EINVAL;
        name = strdup(object);
        if (!name)
                return -ENOMEM;
        p = name; /* what is written is never longer than what was read */
        if (streq(object, "_"))
                object++;
        while (*object) {
                int high = object[0] == '_' ? hex_digit(object[1]) : -1;
                int low = high >= 0 ? hex_digit(object[2]) : -1;

                if (object[0] != '_') {
                        *p++ = *object++;
                } else if (low < 0 || high * 16 + low == 0) {
                        return -EINVAL;
                } else {
                        *p++ = (char)(high * 16 + low);
                        object += 3;
                }
        }
        *p = '\0';
        *ret = TAKE_PTR(name);
        return 0;
}
