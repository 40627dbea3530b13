/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_SESSION_H
#define CHARGEHAND_SESSION_H

/* What MAP remembers on an open file between calls: see session.c. */

#include <linux/mutex.h>
#include <linux/xarray.h>

#include "chargehand.h"

struct chargehand_session {
	struct mutex lock; /* one MAP with UNIQUE at a time */
	struct xarray pages; /* by page frame number */
	struct xarray slots; /* by swp_entry_t */
	void *scratch; /* map.c's */
};

/* Begin anew. */
void chargehand_session_forget(struct chargehand_session *session);
/* Add numbers; how many are new. -ENOMEM: some may have been added. */
long chargehand_set_add(struct xarray *set, unsigned long first, unsigned long n);
/* The call is over: what it added counts from now on, or never did. */
void chargehand_session_settle(struct chargehand_session *session, bool keep);

#endif
