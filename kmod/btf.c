// SPDX-License-Identifier: GPL-2.0-only
/* What the running kernel says of itself: its own BTF, as it lies in memory. */

#include <linux/mm.h>
#include <linux/slab.h>

#include "btf-blob.h"
#include "chargehand.h"

static struct chargehand_blob blob;

int chargehand_btf_open(void)
{
	unsigned long start = chargehand_symbol_address("__start_BTF");
	unsigned long stop = chargehand_symbol_address("__stop_BTF");
	u32 *offsets, *hashes;
	int r;

	if (!start || stop <= start)
		return -ENOENT;
	r = chargehand_blob_open(&blob, (const void *)start, stop - start);
	if (r < 0)
		return r;
	offsets = kvmalloc_array(blob.n_types, sizeof(*offsets), GFP_KERNEL);
	hashes = kvmalloc_array(blob.n_types, sizeof(*hashes), GFP_KERNEL);
	if (!offsets || !hashes) {
		kvfree(offsets);
		kvfree(hashes);
		return -ENOMEM;
	}
	chargehand_blob_index(&blob, offsets, hashes);
	return 0;
}

void chargehand_btf_close(void)
{
	kvfree(blob.offsets);
	kvfree(blob.hashes);
	blob = (struct chargehand_blob){};
}

int chargehand_btf_prototype(const char *name, char text[CHARGEHAND_BTF_TEXT])
{
	return chargehand_blob_prototype(&blob, name, text);
}

int chargehand_btf_member(const char *type, const char *member, u32 *offset, u32 *size)
{
	return chargehand_blob_member(&blob, type, member, offset, size);
}

int chargehand_btf_enum(const char *type, const char *name, s64 *value)
{
	return chargehand_blob_enum(&blob, type, name, value);
}
