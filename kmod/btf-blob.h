/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_BTF_BLOB_H
#define CHARGEHAND_BTF_BLOB_H

/*
 * Reads a BTF blob: prototypes, places of members, values of enumerators. No allocation, no kernel: the
 * same file is compiled into the unit test and the fuzzer. What is in the blob is believed in nothing:
 * every id, offset and length is checked, and no question takes more than a bounded number of steps.
 */

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#include <uapi/linux/btf.h>
#else
#include <errno.h>
#include <linux/btf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
#endif

struct chargehand_blob {
	const u8 *types;
	u32 types_size;
	const char *strings;
	u32 strings_size;
	u32 n_types;	/* ids are 1 … n_types - 1; 0 is void */
	u32 *offsets;	/* by id: where in `types` it begins */
	u32 *hashes;	/* by id: of its name */
};

/* The longest prototype told, with its end. */
#define CHARGEHAND_BTF_TEXT 256

/* Check header and records and count the types. `data` is aligned to 4 bytes and must outlive the blob.
 * -EINVAL: no BTF, or broken; -EOPNOTSUPP: records of a kind that is not known, whose length is not either. */
int chargehand_blob_open(struct chargehand_blob *blob, const void *data, size_t size);
/* Give it its two indexes, of n_types elements each, before anything is asked. */
void chargehand_blob_index(struct chargehand_blob *blob, u32 *offsets, u32 *hashes);

/*
 * The questions of chargehand.h, of one blob. All of them: -ENOENT: nothing of that name; -ENOTUNIQ: several
 * that differ; -EINVAL: the blob is broken there, or (member) it is a bit field; -ENOSPC: the text is longer
 * than CHARGEHAND_BTF_TEXT.
 */
int chargehand_blob_prototype(const struct chargehand_blob *blob, const char *name,
			      char text[CHARGEHAND_BTF_TEXT]);
int chargehand_blob_member(const struct chargehand_blob *blob, const char *type, const char *member,
			   u32 *offset, u32 *size);
int chargehand_blob_enum(const struct chargehand_blob *blob, const char *type, const char *name, s64 *value);

#endif
