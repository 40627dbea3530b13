/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_PROPERTY_H
#define CHD_SYSTEMD1_PROPERTY_H

/*
 * Properties of units: one row of property.def each, with both names (the attribute's row in
 * lib/attr.def where a file of the group stands behind it), signature, when it may be set, range,
 * how it becomes the text of a file, and how it is told.
 *
 * A call's list a(sv) is read and checked as a whole first (nothing changes), then merged in order
 * into the unit's set: duplicates are legal, the last wins, lists append and an empty one clears.
 * A set holds only what was given; all else reads as the row's default, or comes from the group's
 * files (values like MemoryCurrent, and limits that nobody set through us).
 */

#include <systemd/sd-bus.h>

#include <chargehand/tree.h>

#include "name.h"

typedef struct Property Property;

enum {
        PROPERTY_SCOPE = 1 << 0, /* which interfaces have it */
        PROPERTY_SLICE = 1 << 1,
        PROPERTY_UNIT = 1 << 2,   /* org.freedesktop.systemd1.Unit */
        PROPERTY_NEW = 1 << 3,    /* by StartTransientUnit */
        PROPERTY_LIVE = 1 << 4,   /* also by SetUnitProperties */
        PROPERTY_SECRET = 1 << 5, /* set only, not told: PIDs, PIDFDs */
        PROPERTY_CONST = 1 << 6,  /* how a client is told of changes: never changes … */
        PROPERTY_EMITS = 1 << 7,  /* … in PropertiesChanged; neither: not at all */
};

/* One value given by a client, in a compact form (see property-value.c). */
typedef struct PropertyValue {
        uint16_t row;
        uint16_t flags; /* PROPERTY_VALUE_… */
        uint32_t size;  /* of data */
        union {
                uint64_t number; /* t, u, i */
                void *data;      /* all else */
        };
} PropertyValue;

/* What a unit was given, sorted by row; small: most scopes have about ten. Truth values are bits. */
typedef struct PropertySet {
        PropertyValue *items;
        uint32_t n, allocated;
        uint32_t bools_given, bools;
} PropertySet;
void property_set_done(PropertySet *set);
int property_set_is_empty(const PropertySet *set);
/* -ENOMEM leaves `ret` alone. */
int property_set_copy(const PropertySet *set, PropertySet *ret);

/* What one call gives: checked, not yet merged. */
typedef struct PropertyChanges {
        PropertySet set;
        pid_t *pids; /* PIDs and PIDFDs, 0 replaced by the caller, without duplicates */
        int *pidfds; /* of PIDFDs, owned; n_pidfds */
        size_t n_pids, pids_allocated, n_pidfds;
        int has_pids; /* PIDs was given */
} PropertyChanges;
void property_changes_done(PropertyChanges *changes);

/* The words for -E2BIG of property_set_merge(): LimitsExceeded. Returns < 0. */
int property_fail_size(sd_bus_error *error);
/*
 * Reads a(sv) at the message's position. `is_new`: StartTransientUnit (else SetUnitProperties).
 * `caller`: pid behind a 0 in PIDs. Pids are checked here: alive, no kernel thread, not 1, not the
 * daemon. Errors with the names and texts of systemd1-surface 2 and 3.9. Reads /proc for pids; does not block.
 */
int property_changes_read(sd_bus_message *message, UnitKind kind, int is_new, pid_t caller,
                          PropertyChanges *ret, sd_bus_error *error);
/* Merges copies, so that property_file_writes() can be asked afterwards what the call named;
 * -ENOMEM leaves the set as it was. */
int property_set_merge(PropertySet *set, const PropertyChanges *changes);
/*
 * The pids of an `au` at the message's position, with all the checks of PIDs, without duplicates;
 * may be none. Caller frees.
 */
int pids_read(sd_bus_message *message, pid_t caller, pid_t **ret, size_t *ret_n,
              sd_bus_error *error);
/* What is told where nothing was given: DefaultTimeoutStop= for PROP_TIMEOUT_STOP_USEC. At start. */
void property_set_default(unsigned id, uint64_t number);

/* Typed look-ups in a set; the row's default where it was not given. `id` is the row's PROP_… */
int property_get_bool(const PropertySet *set, unsigned id);
uint64_t property_get_number(const PropertySet *set, unsigned id); /* t, u, i */
const char *property_get_text(const PropertySet *set, unsigned id); /* "" default */
int property_is_set(const PropertySet *set, unsigned id);
/* 1 and the next string of an `as` value; *position 0 at first. */
int property_next_text(const PropertySet *set, unsigned id, size_t *position, const char **ret);

/* A write that has to be done to make a file of the group say what the set says. */
typedef struct FileWrite {
        const ch_attr *attr; /* attr->file is the file; template-free */
        const char *xattr;   /* an extended attribute of the group instead; attr is any of the core */
        char *text;          /* exact text, no newline; NULL: the extended attribute goes */
} FileWrite;
typedef struct FileWrites {
        FileWrite *items;
        size_t n, allocated;
} FileWrites;
void file_writes_done(FileWrites *writes);
/*
 * The writes for the properties that `changes` named (&PropertyChanges.set; NULL: for all of the
 * set), in order of the rows; one per file and key. `set` is the merged set. Reads /sys and /dev for
 * device names (stat only). Names of devices that cannot be resolved are logged and passed over.
 */
int property_file_writes(const PropertySet *set, const PropertySet *changes, FileWrites *ret);
/* Any thread: writes them below a group's directory fd. A file that refuses is logged (once per
 * call and file) and the rest goes on; returns how many failed. `unit` is for the log. */
int file_writes_apply(const FileWrites *writes, int group_fd, const char *unit);

/* Programs of BPFProgram: pairs (attach type, path); attached with BPF_F_ALLOW_MULTI. Any thread.
 * 0 if there are none; < 0 with the program's path in the log. */
int property_attach_programs(const PropertySet *set, int group_fd, const char *unit);
/*
 * The program that DevicePolicy and DeviceAllow ask for, made and attached in place of the one
 * attached before; taken away where all is allowed. `changes`: nothing happens unless it names one
 * of the two (NULL: what the set says). Any thread. A runtime's own program is left alone. What the
 * kernel refuses is logged once and is no failure: the original does the same.
 */
int property_attach_devices(const PropertySet *set, const PropertySet *changes, int group_fd,
                            const char *unit);

/* The row's value for Properties.Get: appends the bare value (no variant). `group_fd` < 0: the unit
 * has no group. Reads files of the group for those rows that come from there. Slice is what was
 * given: the unit knows better. */
int property_append(sd_bus_message *reply, const Property *row, const PropertySet *set,
                    int group_fd);

/* Rows */
size_t property_count(void);
const Property *property_get(size_t id);
const Property *property_find(const char *name);
const char *property_name(const Property *row);
const char *property_signature(const Property *row); /* as it is told */
uint32_t property_flags(const Property *row);

/* What outlives a restart of the daemon, as compact text for an extended attribute of the group:
 * Description, Delegate, KillMode, TimeoutStopUSec … and limits that were given. Caller frees. */
int property_set_to_text(const PropertySet *set, char **ret);
int property_set_from_text(const char *text, PropertySet *ret);

/* Ids: PROP_DESCRIPTION, PROP_SLICE, PROP_DELEGATE … made from property.def */
enum {
#define PROPERTY(id, ...) PROP_##id,
#include "property.def"
#undef PROPERTY
        PROP_MAX_
};

#endif
