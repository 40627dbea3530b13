/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_ROWS_H
#define CHARGEHAND_ROWS_H

/* The rows of a map while it is made: see rows.c. */

#include "chargehand.h"

struct chargehand_rows {
	struct chargehand_map_row *rows;
	u32 *slots;	/* a hash by (group, kind, unknown or not): number of the row + 1; 0 none */
	u32 n, room;	/* rows */
	u32 n_slots;	/* a power of two, more than twice the room */
};

/* Have room for so many new rows. May sleep. -ENOMEM. */
int chargehand_rows_reserve(struct chargehand_rows *rows, u32 more);
/* The row of a group and kind, made if need be; there must be room. Where it is holds until the next reserve. */
struct chargehand_map_row *chargehand_rows_get(struct chargehand_rows *rows, u64 group_id, u32 kind, u32 flags);
void chargehand_rows_done(struct chargehand_rows *rows);

#endif
