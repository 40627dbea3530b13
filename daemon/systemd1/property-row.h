/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_PROPERTY_ROW_H
#define CHD_SYSTEMD1_PROPERTY_ROW_H

/* What a row of property.def is made of, and what the files of property*.c share. */

#include "property.h"

/* Rows of lib/attr.def by name: ch_attr_get(ATTR_X - 1); 0 is none. */
enum {
        ATTR_NONE,
#define ATTR(id, ...) ATTR_##id,
#include "attr.def"
#undef ATTR
};

enum {
        PROPERTY_VALUE_CLEAR = 1 << 0,  /* an empty list came first: what was there before goes */
        PROPERTY_LISTS_MAX = 64 * 1024, /* bytes that one list may hold */
        PROPERTY_DISKS_MAX = 128,       /* in one list of limits: each is looked for in the others */
        PROPERTY_CALL_MAX = 4096,       /* properties that one call may give */
        PROPERTY_PIDS_MAX = 65536,
};

typedef enum PropertyCheck {
        CHECK_ANY,
        CHECK_WORDS,          /* of .words, else -EINVAL */
        CHECK_WATCH,          /* .words, a truth value, or nothing */
        CHECK_SETTING,        /* of .words, else "Invalid NAME setting: TEXT" */
        CHECK_RANGE,          /* .min to .max, or UINT64_MAX */
        CHECK_TASKS_SCALE,
        CHECK_QUOTA,
        CHECK_A_SECOND,       /* or more */
        CHECK_CPUS,
        CHECK_EXIT_STATUS,
        CHECK_SIGNAL,
        CHECK_PATH,
        CHECK_USER,
        CHECK_BUS_NAME,
        CHECK_SLICE,
        CHECK_DELEGATE,
        CHECK_SUBGROUP,
        CHECK_CONTROLLERS,
        CHECK_NOT_TRANSIENT,
        CHECK_UNITS,
        CHECK_URLS,
        CHECK_MOUNTS,
        CHECK_PATHS,
        CHECK_MARKERS,
        CHECK_CONDITIONS,
        CHECK_DEVICES,
        CHECK_DEVICE_WEIGHT,
        CHECK_DEVICE_ALLOW,
        CHECK_PROGRAMS,
        CHECK_ADDRESSES,
        CHECK_PORTS,
        CHECK_NFT_SETS,
        CHECK_MAX_,
} PropertyCheck;

/* How the file's text is made (property-write.c) */
typedef enum PropertyConvert {
        CONVERT_NONE,
        CONVERT_LIMIT,
        CONVERT_BOOL,
        CONVERT_CPUS,
        CONVERT_CPU_WEIGHT,
        CONVERT_CPU_MAX,
        CONVERT_IO_WEIGHT,
        CONVERT_IO_DEVICE_WEIGHT,
        CONVERT_IO_MAX,
        CONVERT_IO_LATENCY,
        CONVERT_MEMORY_LIMIT,
        CONVERT_OOM_GROUP,
        CONVERT_OOM_PREFERENCE,
        CONVERT_MAX_,
} PropertyConvert;

/* Where a told value comes from (property-read.c) */
typedef enum PropertySource {
        FROM_SET,
        FROM_CONDITIONS,     /* the set, with one more member each */
        FROM_DELEGATE,       /* the set, or all controllers */
        FROM_INTERFACES,     /* the set; the empty one is (false, []) */
        FROM_DEVICE_ALLOW,   /* the set, newest first, letters in order */
        FROM_MASK,           /* the set, in words of eight bytes */
        FROM_RESTART_SIGNAL, /* the set, else KillSignal */
        FROM_NUMBER,         /* from here on: the group's files */
        FROM_CPU_USAGE,
        FROM_CPUS,
        FROM_IO_STAT,
        FROM_LOWEST,         /* of the group and all above it */
        FROM_AVAILABLE,
        FROM_GROUP_ID,
        FROM_MAX_,
} PropertySource;

typedef enum PropertyMerge {
        MERGE_REPLACE,
        MERGE_ADD,     /* an empty list clears, else what is not there yet is added */
        MERGE_UNITS,   /* the same, but nothing clears */
        MERGE_DEVICES, /* the first member is the key: the same key replaces; an empty list clears */
} PropertyMerge;

typedef enum PropertyScale { SCALE_NONE, SCALE_MEMORY, SCALE_TASKS } PropertyScale;

struct Property {
        const char *name;
        const char *signature; /* as told */
        const char *given;     /* as given; NULL: the same */
        uint32_t flags;
        uint8_t check, convert, source, merge, scale;
        uint8_t bool_bit;  /* 1 + the bit in PropertySet.bools */
        uint16_t attr;     /* ATTR_… */
        int16_t target;    /* -1: itself */
        uint64_t min, max; /* what can be given */
        uint64_t number;   /* the default */
        const char *text;  /* the same for s */
        const char *words, *key;
};

/* ---- property.c ---- */
unsigned property_id(const Property *row);
const char *property_given(const Property *row); /* signature */
/* The value given for a row; NULL: none, or a truth value. */
const PropertyValue *property_set_find(const PropertySet *set, unsigned id);
/* Adds one value to a set as the row's .merge says. `value` is emptied. -ENOMEM, -E2BIG. */
int property_set_put(PropertySet *set, PropertyValue *value);
void property_set_drop(PropertySet *set, unsigned id);
void property_value_done(PropertyValue *value);
static inline int property_is_number(const Property *row)
{
        const char *signature = property_given(row);

        return signature[1] == '\0' && strchr("btuixh", signature[0]) != NULL;
}

/* ---- property-value.c ----
 * The compact form of what is no single number: members in a row, numbers in their own size and
 * unaligned, strings with their NUL, inner arrays after a count of four bytes, the outermost array
 * without one, to its end. So lists add up by being put one behind the other. */
typedef struct Cursor {
        const uint8_t *p, *end;
} Cursor;
static inline Cursor cursor_of(const PropertyValue *value)
{
        const uint8_t *p = value ? value->data : NULL;

        return (Cursor){ p, p ? p + value->size : NULL };
}
int cursor_has(const Cursor *cursor);
const char *cursor_text(Cursor *cursor);
uint64_t cursor_number(Cursor *cursor, char type); /* i and n are sign-extended */
/* Steps over one value of the signature's first type. */
void cursor_skip(Cursor *cursor, const char *signature);
/* Length of the first complete type of a signature. */
size_t signature_first(const char *signature);
/* Reads the message's next value of this signature. -ENXIO: it is of another type, -E2BIG. */
int value_read(sd_bus_message *message, const char *signature, PropertyValue *ret);
int value_append(sd_bus_message *reply, const char *signature, const PropertyValue *value);
/* 0: a string or a container */
size_t number_size(char type);
/* Making one by hand. -E2BIG, -ENOMEM. */
typedef struct ValueBuffer {
        uint8_t *data;
        size_t n, allocated;
} ValueBuffer;
int value_put(ValueBuffer *buffer, const void *data, size_t size);
int value_put_number(ValueBuffer *buffer, char type, uint64_t number);
/* Place of an inner array's count, to be filled in when it is known. */
int value_put_count(ValueBuffer *buffer, size_t *ret_place);
/* Takes the data, with exactly as much memory as it needs: values live as long as their units. */
void value_finish(ValueBuffer *buffer, const char *signature, PropertyValue *ret);

/* ---- property-check.c ---- */
/* Both: < 0 with the error set, or a bare -errno for the general text of a failed call. */
/* What is wrong before the value is looked at. */
int property_check_kind(const Property *row, UnitKind kind, sd_bus_error *error);
int property_check(const Property *row, const PropertyValue *value, sd_bus_error *error);
/* 1, 0, or -EINVAL for no truth value */
int text_to_truth(const char *text);

/* ---- property-pids.c ---- */
int pids_add(PropertyChanges *changes, sd_bus_message *message, pid_t caller, sd_bus_error *error);
int pidfds_add(PropertyChanges *changes, sd_bus_message *message, sd_bus_error *error);

/* ---- property-read.c ---- */
uint64_t physical_memory(void); /* bytes */
uint64_t memory_scale(uint32_t part);
uint64_t tasks_scale(uint32_t part);

/* ---- device.c ---- */
/* "MAJ:MIN" of the disk behind a device node, "/dev/block/M:m", "M:m" or a file. -ENODEV, -ENOTBLK … */
int device_number(const char *name, unsigned *ret_major, unsigned *ret_minor);
/* path_is_normalized(): no "//", no "." or ".." part */
int device_path_is_normal(const char *path);
/* Pattern of DeviceAllow=: a node below /dev, "char-NAME", "block-*"… */
int device_pattern_is_valid(const char *pattern);

/* ---- bpf.c ---- */
int bpf_attach_type(const char *name); /* -EINVAL */
union bpf_attr;
int bpf_call(unsigned command, union bpf_attr *attr, size_t size); /* bpf(2); -errno */

#endif
