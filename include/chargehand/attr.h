/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_ATTR_H
#define CHARGEHAND_ATTR_H

/*
 * The vocabulary: every interface file of cgroup v2 is one row of lib/attr.def, and everything about
 * an attribute (parser, range check, D-Bus property, ini key, column, completion) is made from it.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*   id       D-Bus  what the file holds */
#define CH_ATTR_TYPES(X)                                                                       \
        X(NUMBER, "t",          "one unsigned number")                                         \
        X(SIGNED, "x",          "one signed number")                                           \
        X(LIMIT,  "t",          "a number or \"max\" (UINT64_MAX)")                            \
        X(BOOL,   "b",          "0 or 1")                                                      \
        X(ENUM,   "s",          "one word of a fixed set")                                     \
        X(TEXT,   "s",          "free text, such as a CPU list")                               \
        X(LIST,   "as",         "words separated by spaces or newlines")                       \
        X(PAIR,   "(tt)",       "two numbers, the first may be \"max\": cpu.max")              \
        X(FLAT,   "a{st}",      "lines of KEY VALUE; \"max\" is UINT64_MAX")                   \
        X(NESTED, "a{sa{st}}",  "lines of KEY SUB=VALUE…")                                     \
        X(PSI,    "a{sa{st}}",  "pressure: some/full with avg10, avg60, avg300 in 1/10,000 and total in µs")

typedef enum ch_attr_type {
#define CH_ATTR_TYPE_ENUM_(id, sig, doc) CH_ATTR_##id,
        CH_ATTR_TYPES(CH_ATTR_TYPE_ENUM_)
#undef CH_ATTR_TYPE_ENUM_
        CH_ATTR_TYPE_MAX_
} ch_attr_type;

typedef enum ch_attr_unit {
        CH_UNIT_NONE, CH_UNIT_BYTES, CH_UNIT_PAGES, CH_UNIT_USEC, CH_UNIT_WEIGHT, CH_UNIT_COUNT,
        CH_UNIT_PERMYRIAD,
} ch_attr_unit;

typedef enum ch_attr_access { CH_ACCESS_R, CH_ACCESS_W, CH_ACCESS_RW } ch_attr_access;

enum {
        CH_ATTR_VOLATILE   = 1 << 0, /* changes all the time or unheard: no change signal */
        CH_ATTR_NOT_ROOT   = 1 << 1, /* not in the hierarchy's root */
        CH_ATTR_BLOCKS     = 1 << 2, /* a write may reclaim or wait: done by a worker */
        CH_ATTR_EVENTS     = 1 << 3, /* the kernel notifies changes of this file */
        CH_ATTR_PERKEY     = 1 << 4, /* FLAT/NESTED that is written one line (key) at a time: io.max */
        CH_ATTR_PLACEMENT  = 1 << 5, /* moves processes or changes the tree: never by SetProperties */
        CH_ATTR_TEMPLATE   = 1 << 6, /* file name has %s (hugetlb.%s.max): one file per size */
        CH_ATTR_KEYEDMAX   = 1 << 7, /* FLAT whose values may be "max" */
        CH_ATTR_ROOT_ONLY  = 1 << 8, /* in the hierarchy's root only */
};

typedef struct ch_attr {
        const char *id;         /* "MEMORY_HIGH" */
        const char *file;       /* "memory.high" */
        const char *name;       /* D-Bus and ini name: "MemoryHigh" */
        const char *controller; /* "memory"; "cgroup" for the core */
        ch_attr_type type;
        ch_attr_unit unit;
        ch_attr_access access;
        uint32_t flags;
        int64_t min;            /* of NUMBER, LIMIT, SIGNED, BOOL, the first of PAIR, each number of a FLAT */
        uint64_t max;
        const char *values;     /* ENUM: words separated by '|' */
        const char *since;      /* first kernel that has it: "5.2" */
        const char *doc;        /* one sentence */
} ch_attr;

typedef struct ch_entry { char *key; uint64_t value; } ch_entry;
typedef struct ch_nested { char *key; ch_entry *entries; size_t n_entries; } ch_nested;

/* A typed value. Which member holds it follows from the type. Initialise with CH_VALUE_INIT. */
typedef struct ch_value {
        ch_attr_type type;
        uint64_t number;        /* NUMBER, LIMIT, BOOL; first of PAIR */
        uint64_t second;        /* second of PAIR */
        int64_t snumber;        /* SIGNED */
        char *text;             /* ENUM, TEXT */
        char **words;           /* LIST */
        size_t n_words;
        ch_nested *nested;      /* NESTED, PSI; FLAT uses one element with key NULL */
        size_t n_nested;
} ch_value;

#define CH_VALUE_INIT { 0 }
#define CH_LIMIT_MAX UINT64_MAX

/*
 * A TEMPLATE row (one file per huge page size) is read into one value with the size as the key: FLAT
 * { "2MB": … } or NESTED { "2MB": { … } }; it is written by such a FLAT value, one file per key.
 */

/* The table. Rows live for ever. */
size_t ch_attr_count(void);
const ch_attr *ch_attr_get(size_t index);            /* NULL past the end */
const ch_attr *ch_attr_find(const char *name_or_file);/* "MemoryHigh" or "memory.high"; NULL if unknown */
const char *ch_attr_suggest(const char *name);       /* nearest name by edit distance, NULL if none near */
const char *ch_attr_type_signature(ch_attr_type type);

/* Parse what the kernel wrote. Errors: -EINVAL (malformed). Does not block. */
int ch_value_parse(const ch_attr *attr, const char *text, ch_value *ret, ch_error **err);
/* Parse what a person wrote: also "512M", "1.5GiB", "50%" (only where the unit is a permyriad),
 * "max"/"infinity", yes/no; checks the range of the row. Errors: -ERANGE, -EINVAL, -EROFS, each naming the
 * attribute, the value and what would be accepted. */
int ch_value_parse_human(const ch_attr *attr, const char *text, ch_value *ret, ch_error **err);
/* Is the value (e.g. from the bus) within the row's range and writable? -ERANGE, -EROFS. */
int ch_value_check(const ch_attr *attr, const ch_value *value, ch_error **err);
/* The text for the kernel (no newline at the end). Caller frees. */
int ch_value_format(const ch_attr *attr, const ch_value *value, char **ret);
/* The number at `key` of a FLAT value; -ENOENT where absent. */
int ch_value_flat_get(const ch_value *value, const char *key, uint64_t *ret);
int ch_value_equal(const ch_value *a, const ch_value *b); /* 1, 0 */
void ch_value_done(ch_value *value);

struct json_object;
/* Plain JSON: numbers, strings, arrays, objects; LIMIT at its maximum is the string "max". */
int ch_value_to_json(const ch_attr *attr, const ch_value *value, struct json_object **ret);

#ifdef __cplusplus
}
#endif
#endif
