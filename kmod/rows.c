// SPDX-License-Identifier: GPL-2.0-only
/* Rows of a map: sums by (group charged, kind), found by a hash. Rows are made under page-table locks, where
 * nothing can be allocated, so room for them is made before. */

#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "rows.h"

static u32 *find_slot(const struct chargehand_rows *rows, u64 group_id, u32 kind, u32 unknown)
{
	u32 at = hash_64(group_id * CHARGEHAND_KINDS + kind, ilog2(rows->n_slots));

	for (;; at = (at + 1) & (rows->n_slots - 1)) {
		const struct chargehand_map_row *row;

		if (!rows->slots[at])
			return &rows->slots[at];
		row = &rows->rows[rows->slots[at] - 1];
		if (row->group_id == group_id && row->kind == kind &&
		    (row->flags & CHARGEHAND_ROW_UNKNOWN) == unknown)
			return &rows->slots[at];
	}
}

int chargehand_rows_reserve(struct chargehand_rows *rows, u32 more)
{
	struct chargehand_rows grown = { .n = rows->n };
	u32 i;

	if (rows->n + more <= rows->room)
		return 0;
	grown.room = roundup_pow_of_two(rows->n + more);
	grown.n_slots = grown.room * 4;
	grown.rows = kvcalloc(grown.room, sizeof(*grown.rows), GFP_KERNEL_ACCOUNT);
	grown.slots = kvcalloc(grown.n_slots, sizeof(*grown.slots), GFP_KERNEL_ACCOUNT);
	if (!grown.rows || !grown.slots) {
		chargehand_rows_done(&grown);
		return -ENOMEM;
	}
	for (i = 0; i < rows->n; i++) {
		const struct chargehand_map_row *row = &rows->rows[i];

		grown.rows[i] = *row;
		*find_slot(&grown, row->group_id, row->kind, row->flags & CHARGEHAND_ROW_UNKNOWN) = i + 1;
	}
	chargehand_rows_done(rows);
	*rows = grown;
	return 0;
}

struct chargehand_map_row *chargehand_rows_get(struct chargehand_rows *rows, u64 group_id, u32 kind, u32 flags)
{
	u32 *slot = find_slot(rows, group_id, kind, flags & CHARGEHAND_ROW_UNKNOWN);
	struct chargehand_map_row *row;

	if (!*slot) {
		row = &rows->rows[rows->n];
		row->group_id = group_id;
		row->kind = kind;
		*slot = ++rows->n;
	}
	row = &rows->rows[*slot - 1];
	/* a group may have been removed since the row was made */
	row->flags |= flags;
	return row;
}

void chargehand_rows_done(struct chargehand_rows *rows)
{
	kvfree(rows->rows);
	kvfree(rows->slots);
	*rows = (struct chargehand_rows){};
}
