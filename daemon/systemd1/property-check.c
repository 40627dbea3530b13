/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What values must be, with the words of the original for what they must not. */

#include <ctype.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "property-row.h"
#include "util.h"

typedef int (*Check)(const Property *row, const PropertyValue *value, sd_bus_error *error);

#define BAD_UNIT_SETTING "org.freedesktop.systemd1.BadUnitSetting"

enum { CPUS_MAX = 8192 }; /* also of memory nodes */

/* As the original names them, with those that are none in cgroup v2. */
#define CONTROLLERS                                                                                \
        "cpu|cpuacct|cpuset|io|blkio|memory|devices|pids|bpf-firewall|bpf-devices|bpf-foreign|"    \
        "bpf-socket-bind|bpf-restrict-network-interfaces"
/* What may follow "Condition" or "Assert"; those after ";" take a path. */
#define CONDITIONS                                                                                 \
        "Architecture|Firmware|Virtualization|Host|KernelCommandLine|KernelVersion|Version|"       \
        "Credential|Security|Capability|ACPower|Memory|CPUFeature|CPUs|Environment|OSRelease|"     \
        "MemoryPressure|CPUPressure|IOPressure|User|Group|ControlGroupController|FirstBoot|"       \
        "KernelModuleLoaded|NeedsUpdate"
#define PATH_CONDITIONS                                                                            \
        "PathExists|PathExistsGlob|PathIsDirectory|PathIsSymbolicLink|PathIsMountPoint|"           \
        "PathIsReadWrite|PathIsEncrypted|PathIsSocket|DirectoryNotEmpty|FileNotEmpty|"             \
        "FileIsExecutable"

static int is_word(const char *words, const char *text)
{
        size_t length = strlen(text);

        for (const char *p = words; *p; p += strcspn(p, "|"), p += *p == '|')
                if (strcspn(p, "|") == length && strncmp(p, text, length) == 0)
                        return 1;
        return 0;
}

static const char *text_of(const PropertyValue *value)
{
        return value->data ? value->data : "";
}

static int check_any(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return 0;
}

static int check_words(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return is_word(row->words, text_of(value)) ? 0 : -EINVAL;
}

int text_to_truth(const char *text)
{
        static const char *const words[] = { "0|no|n|false|f|off", "1|yes|y|true|t|on" };

        for (int i = 0; i < 2; i++)
                if (is_word(words[i], text))
                        return i;
        return -EINVAL;
}

static int check_watch(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        if (!*text_of(value) || text_to_truth(text_of(value)) >= 0)
                return 0;
        return check_words(row, value, error);
}

static int invalid_setting(const Property *row, const char *text, sd_bus_error *error)
{
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid %s setting: %s",
                                 row->name, text);
}

static int check_setting(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return is_word(row->words, text_of(value)) ? 0
                                                   : invalid_setting(row, text_of(value), error);
}

static int out_of_range(const Property *row, sd_bus_error *error)
{
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "Value specified in %s is out of range", row->name);
}

static int check_range(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        uint64_t number = value->number;

        if (row->scale == SCALE_MEMORY)
                number = memory_scale((uint32_t)number);
        if (number == UINT64_MAX)
                return row->scale == SCALE_NONE ? 0 : out_of_range(row, error);
        return number < row->min || number > row->max ? out_of_range(row, error) : 0;
}

static int check_tasks_scale(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return value->number < 1 || value->number >= UINT32_MAX ? out_of_range(row, error) : 0;
}

static int check_quota(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        if (value->number > 0)
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s= value out of range",
                                 row->name);
}

static int check_a_second(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        unsigned usec = (unsigned)value->number;
        char text[32] = "0";

        if (value->number >= 1000000)
                return 0;
        if (usec >= 1000)
                (void)snprintf(text, sizeof(text), "%ums", usec / 1000);
        else if (usec > 0)
                (void)snprintf(text, sizeof(text), "%uus", usec);
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "%s= must be at least 1s, got %s", row->name, text);
}

static int check_cpus(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        const uint8_t *bytes = value->data;

        for (uint32_t i = CPUS_MAX / 8; i < value->size; i++)
                if (bytes[i])
                        return -ERANGE;
        return 0;
}

static int check_exit_status(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        if ((int64_t)value->number <= 255)
                return 0;
        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                "Exit status must be in range 0…255 or negative.");
}

static int check_signal(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        int64_t number = (int64_t)value->number;

        if (number > 0 && number <= SIGRTMAX)
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid %s setting: %d",
                                 row->name, (int)number);
}

static int check_path(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        const char *text = text_of(value);

        return !*text || *text == '/' ? 0 : invalid_setting(row, text, error);
}

/* A name or a number; who it is shows when it is used. */
static int check_user(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        const char *text = text_of(value);
        int good = strlen(text) < 256 && *text != '-' && !streq(text, ".") && !streq(text, "..") &&
                   text[strspn(text, " ")] == *text;

        for (const char *p = text; *p && good; p++)
                good = !strchr(":/", *p) && !iscntrl((unsigned char)*p);
        return good || !*text ? 0 : invalid_setting(row, text, error);
}

static int check_bus_name(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        const char *text = text_of(value);

        if (!*text || sd_bus_service_name_is_valid(text) > 0)
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "%s '%s' is not a valid bus name.", row->name, text);
}

static int check_slice(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        const char *name = text_of(value), *dot = strrchr(name, '.');
        UnitKind kind;

        if (!unit_name_is_valid(name) || strchr(name, '@'))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid unit name '%s'",
                                         name);
        if (!streq(dot, ".slice"))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Unit name '%s' is not a slice", name);
        if (unit_name_to_kind(name, &kind) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Unit name %s is not valid.", name);
        return 0;
}

/* A name that the directory could not have as it is */
static int check_subgroup(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        const char *text = text_of(value);
        _cleanup_(freep) char *directory = NULL;

        if (!*text)
                return 0;
        if (!strchr(text, '/') && strlen(text) < 256 &&
            unit_name_to_directory(text, &directory) >= 0 && streq(directory, text))
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid control group name: %s",
                                 text);
}

/* ---- lists of strings ---- */

typedef int (*CheckText)(const Property *row, const char *text, sd_bus_error *error);

static int check_each(const Property *row, const PropertyValue *value, CheckText check,
                      sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);
        int r = 0;

        while (r >= 0 && cursor_has(&cursor))
                r = check(row, cursor_text(&cursor), error);
        return r;
}

static int is_controller(const Property *row, const char *text, sd_bus_error *error)
{
        if (is_word(CONTROLLERS, text))
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Unknown cgroup controller '%s'",
                                 text);
}

static int check_controllers(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return check_each(row, value, is_controller, error);
}

static int is_unit(const Property *row, const char *text, sd_bus_error *error)
{
        if (unit_name_is_valid(text))
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid unit name %s", text);
}

static int check_units(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return check_each(row, value, is_unit, error);
}

static int is_url(const Property *row, const char *text, sd_bus_error *error)
{
        static const char *const schemes[] = { "http://", "https://", "file:/", "info:", "man:" };

        for (size_t i = 0; i < ELEMENTSOF(schemes); i++)
                if (strncmp(text, schemes[i], strlen(schemes[i])) == 0 &&
                    text[strlen(schemes[i])] != '\0')
                        return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid URL in %s: %s",
                                 row->name, text);
}

static int check_urls(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return check_each(row, value, is_url, error);
}

static int is_mount(const Property *row, const char *text, sd_bus_error *error)
{
        const char *what = *text != '/'                   ? "is not absolute"
                           : strlen(text) >= 4096         ? "has invalid length"
                           : !device_path_is_normal(text) ? "is not normalized"
                                                          : NULL;

        if (!what)
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Path specified in %s %s: %s",
                                 row->name, what, text);
}

static int check_mounts(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return check_each(row, value, is_mount, error);
}

static int is_path(const Property *row, const char *text, sd_bus_error *error)
{
        if (*text == '/' && device_path_is_normal(text))
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "%s= expects a normalized absolute path.", row->name);
}

static int check_paths(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return check_each(row, value, is_path, error);
}

/* Either all are to be added or taken away ("+needs-restart"), or the list is as it shall be. */
static int check_markers(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);
        unsigned n = 0, n_signs = 0;

        while (cursor_has(&cursor)) {
                const char *text = cursor_text(&cursor);
                int sign = *text == '+' || *text == '-';

                if (!is_word("needs-reload|needs-restart", text + sign))
                        return sd_bus_error_setf(error, BAD_UNIT_SETTING,
                                                 "Unknown marker \"%s\".", text);
                n++;
                n_signs += (unsigned)sign;
        }
        if (n_signs > 0 && n_signs < n)
                return sd_bus_error_set(error, BAD_UNIT_SETTING, "Bad marker syntax.");
        return 0;
}

/* ---- lists of structures ---- */

static int check_conditions(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);
        size_t prefix = strlen(row->words);

        while (cursor_has(&cursor)) {
                const char *type = cursor_text(&cursor), *parameter;
                int known, takes_path;

                (void)cursor_number(&cursor, 'b');
                (void)cursor_number(&cursor, 'b');
                parameter = cursor_text(&cursor);
                known = strncmp(type, row->words, prefix) == 0;
                takes_path = known && is_word(PATH_CONDITIONS, type + prefix);
                if (!takes_path && (!known || !is_word(CONDITIONS, type + prefix)))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Invalid condition type: %s", type);
                if (!*parameter)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Condition parameter in %s is empty", type);
                if (takes_path && *parameter != '/')
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Path in condition %s is not absolute: %s", type,
                                                 parameter);
        }
        return 0;
}

static int check_devices(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);

        while (cursor_has(&cursor)) {
                const char *path = cursor_text(&cursor);
                uint64_t number = cursor_number(&cursor, 't');

                if (!device_path_is_normal(path))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Path '%s' specified in %s= is not normalized.",
                                                 path, row->name);
                if (number < row->min || number > row->max)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, row->words);
        }
        return 0;
}

static int check_device_allow(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);

        while (cursor_has(&cursor)) {
                const char *pattern = cursor_text(&cursor);
                const char *what = cursor_text(&cursor);

                if (!device_pattern_is_valid(pattern))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "%s= requires device node or pattern", row->name);
                if (what[strspn(what, "rwm")] != '\0')
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "%s= requires combination of rwm flags",
                                                 row->name);
        }
        return 0;
}

static int check_programs(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);
        int r = 0;

        while (r >= 0 && cursor_has(&cursor)) {
                const char *type = cursor_text(&cursor);

                if (bpf_attach_type(type) < 0)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "%s expects a valid BPF attach type, got '%s'.",
                                                 row->name, type);
                r = is_path(row, cursor_text(&cursor), error);
        }
        return r;
}

static int check_address(const Property *row, Cursor *cursor, sd_bus_error *error)
{
        uint64_t family = cursor_number(cursor, 'i'), size, prefix;
        unsigned want = family == AF_INET ? 4 : 16;
        const char *name = family == AF_INET ? "AF_INET" : "AF_INET6";

        if (family != AF_INET && family != AF_INET6)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "%s= expects IPv4 or IPv6 addresses only.", row->name);
        size = cursor_number(cursor, 'u');
        cursor->p += size;
        prefix = cursor_number(cursor, 'u');
        if (size != want)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_INVALID_ARGS,
                        "IP address has wrong size for family (%s, expected %u, got %u)", name,
                        want, (unsigned)size);
        if (prefix > want * 8u)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Prefix length %u too large for address family %s.",
                                         (unsigned)prefix, name);
        return 0;
}

static int check_addresses(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);
        int r = 0;

        while (r >= 0 && cursor_has(&cursor))
                r = check_address(row, &cursor, error);
        return r;
}

static int check_ports(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        Cursor cursor = cursor_of(value);

        while (cursor_has(&cursor)) {
                uint64_t family = cursor_number(&cursor, 'i');
                uint64_t protocol = cursor_number(&cursor, 'i');
                uint64_t n = cursor_number(&cursor, 'q'), first = cursor_number(&cursor, 'q');
                const char *what = NULL;

                if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
                        what = "INET or INET6 family, if specified.";
                else if (protocol != 0 && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
                        what = "TCP or UDP protocol, if specified.";
                else if (first + n > 1 << 16)
                        what = "maximum port value lesser than 65536.";
                else if (first == 0 && n != 0)
                        what = "port range starting with positive value.";
                if (what)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s= expects %s",
                                                 row->name, what);
        }
        return 0;
}

/* nftables: a letter, then letters, digits and / \ _ . */
static int is_nft_name(const char *text)
{
        size_t length = strlen(text);

        return length > 0 && length < 32 && isalpha((unsigned char)*text) &&
               strspn(text,
                      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/\\_.") ==
                       length;
}

static int check_nft_sets(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        enum { SOURCE_CGROUP = 1, SOURCE_GROUP = 3 };
        static const int8_t protocols[] = { 1, 2, 3, 5, 7, 10 }; /* inet ip arp netdev bridge ip6 */
        Cursor cursor = cursor_of(value);

        while (cursor_has(&cursor)) {
                int source = (int)cursor_number(&cursor, 'i');
                int protocol = (int)cursor_number(&cursor, 'i');
                const char *table = cursor_text(&cursor), *set = cursor_text(&cursor);

                if (source < SOURCE_CGROUP || source > SOURCE_GROUP)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Invalid source %d.", source);
                if (protocol < 0 || protocol > 10 ||
                    !memchr(protocols, protocol, sizeof(protocols)))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Invalid protocol %d.", protocol);
                if (!is_nft_name(table) || !is_nft_name(set))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Invalid NFT %s name %s.",
                                                 is_nft_name(table) ? "set" : "table",
                                                 is_nft_name(table) ? set : table);
        }
        return 0;
}

static const Check checks[] = {
        [CHECK_ANY] = check_any,
        [CHECK_WORDS] = check_words,
        [CHECK_WATCH] = check_watch,
        [CHECK_SETTING] = check_setting,
        [CHECK_RANGE] = check_range,
        [CHECK_TASKS_SCALE] = check_tasks_scale,
        [CHECK_QUOTA] = check_quota,
        [CHECK_A_SECOND] = check_a_second,
        [CHECK_CPUS] = check_cpus,
        [CHECK_EXIT_STATUS] = check_exit_status,
        [CHECK_SIGNAL] = check_signal,
        [CHECK_PATH] = check_path,
        [CHECK_USER] = check_user,
        [CHECK_BUS_NAME] = check_bus_name,
        [CHECK_SLICE] = check_slice,
        [CHECK_DELEGATE] = check_any,
        [CHECK_SUBGROUP] = check_subgroup,
        [CHECK_CONTROLLERS] = check_controllers,
        [CHECK_NOT_TRANSIENT] = check_any,
        [CHECK_UNITS] = check_units,
        [CHECK_URLS] = check_urls,
        [CHECK_MOUNTS] = check_mounts,
        [CHECK_PATHS] = check_paths,
        [CHECK_MARKERS] = check_markers,
        [CHECK_CONDITIONS] = check_conditions,
        [CHECK_DEVICES] = check_devices,
        [CHECK_DEVICE_WEIGHT] = check_devices,
        [CHECK_DEVICE_ALLOW] = check_device_allow,
        [CHECK_PROGRAMS] = check_programs,
        [CHECK_ADDRESSES] = check_addresses,
        [CHECK_PORTS] = check_ports,
        [CHECK_NFT_SETS] = check_nft_sets,
};
_Static_assert(ELEMENTSOF(checks) == CHECK_MAX_, "a check for each PropertyCheck");

int property_check_kind(const Property *row, UnitKind kind, sd_bus_error *error)
{
        int delegates = row->check == CHECK_DELEGATE || row->check == CHECK_SUBGROUP ||
                        row == property_get(PROP_DELEGATE_CONTROLLERS);

        if (row->check == CHECK_NOT_TRANSIENT)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Dependency type %s may not be created transiently.",
                                         row->name);
        if (kind != UNIT_SLICE)
                return 0;
        if (row->check == CHECK_SLICE)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "Slice may not be set for slice units.");
        return delegates ? sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                            "Delegation not available for unit type")
                         : 0;
}

int property_check(const Property *row, const PropertyValue *value, sd_bus_error *error)
{
        return checks[row->check](row, value, error);
}
