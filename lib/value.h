/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_VALUE_H
#define CH_LIB_VALUE_H

/* How values are built up. The public face is include/chargehand/attr.h. */

#include <chargehand/attr.h>

/* The period of cpu.max in µs: what the kernel allows, and what it starts with. */
enum {
        CPU_PERIOD_MIN_USEC = 1000,
        CPU_PERIOD_MAX_USEC = 1000000,
        CPU_PERIOD_DEFAULT_USEC = 100000
};

/* An empty value of a type; FLAT gets its one element. -ENOMEM. */
int value_init(ch_value *value, ch_attr_type type);
/* Append; `length` bytes of the text are copied. `index` is that of value->nested. -ENOMEM. */
int value_add_word(ch_value *value, const char *word, size_t length);
int value_add_nested(ch_value *value, const char *key, size_t length);
int value_add_entry(ch_value *value, size_t index, const char *key, size_t length, uint64_t number);
/* The element of that key, or NULL. */
const ch_nested *value_find_nested(const ch_value *value, const char *key);
const ch_entry *nested_find(const ch_nested *nested, const char *key);

/* A sentence's end on what a row takes: "a size in bytes, K, M, G or T, or max". Fits any row in
 * 160 bytes. */
void value_describe(const ch_attr *attr, char *buffer, size_t size);
/* The file can be written. -EROFS names it. */
int value_check_writable(const ch_attr *attr, ch_error **err);

/* "12.34" → 1234 hundredths; *ret_end as parse_u64. Further digits are cut off. */
int parse_hundredths(const char *text, uint64_t *ret, const char **ret_end);

static inline void value_donep(ch_value *value)
{
        ch_value_done(value);
}

#endif
