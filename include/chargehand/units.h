/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_UNITS_H
#define CHARGEHAND_UNITS_H

/*
 * Sizes and times as people write and read them. One reading for configuration, command line and attributes.
 * Pure functions: they neither block nor fail for any other reason than their input.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "512M", "1.5GiB", "4096": bytes. Suffixes B, K, M, G, T, P, each also with iB, powers of 1024, in any case.
 * "max" and "infinity" are UINT64_MAX. -EINVAL unreadable, -ERANGE 2^64 or more. */
int ch_parse_bytes(const char *text, uint64_t *ret);

/* "250ms", "1min 30s", "2.5s", "20": microseconds. Suffixes us (or µs), ms, s (sec), m (min), h; a bare number counts
 * `plain_usec` each. "max" and "infinity" are UINT64_MAX. -EINVAL, -ERANGE. */
int ch_parse_usec(const char *text, uint64_t plain_usec, uint64_t *ret);

/* "1%", "0.5%", "2": hundredths of a percent, so 100, 50, 200. -EINVAL, -ERANGE. */
int ch_parse_permyriad(const char *text, uint64_t *ret);

enum { CH_FORMAT_MAX = 24 };
/* "418.0 MiB", "12 B", "max" for UINT64_MAX; returns `buffer`. */
const char *ch_format_bytes(uint64_t bytes, char buffer[CH_FORMAT_MAX]);

#ifdef __cplusplus
}
#endif
#endif
