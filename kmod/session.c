// SPDX-License-Identifier: GPL-2.0-only
/* Which pages MAP has counted already on an open file: sets of numbers, page frames and swap slots, in which
 * what a call adds can be taken back. */

#include <linux/bitmap.h>
#include <linux/slab.h>

#include "session.h"

enum {
	BLOCK_SHIFT = 9,
	BLOCK_BITS = 1 << BLOCK_SHIFT,
};

struct block {
	DECLARE_BITMAP(counted, BLOCK_BITS);
	DECLARE_BITMAP(fresh, BLOCK_BITS); /* by the call that is under way */
};

struct chargehand_session *chargehand_session_new(void)
{
	struct chargehand_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);

	if (!session)
		return NULL;
	mutex_init(&session->lock);
	xa_init(&session->pages);
	xa_init(&session->slots);
	return session;
}

static void forget_all(struct xarray *set)
{
	struct block *block;
	unsigned long index;

	xa_for_each(set, index, block)
		kfree(block);
	xa_destroy(set);
}

void chargehand_session_forget(struct chargehand_session *session)
{
	forget_all(&session->pages);
	forget_all(&session->slots);
}

void chargehand_session_free(struct chargehand_session *session)
{
	if (!session)
		return;
	chargehand_session_forget(session);
	mutex_destroy(&session->lock);
	kvfree(session->scratch);
	kfree(session);
}

static struct block *get_block(struct xarray *set, unsigned long index)
{
	struct block *block = xa_load(set, index);
	int ret;

	if (block)
		return block;
	block = kzalloc(sizeof(*block), GFP_KERNEL_ACCOUNT);
	if (!block)
		return NULL;
	ret = xa_err(xa_store(set, index, block, GFP_KERNEL_ACCOUNT));
	if (ret < 0) {
		kfree(block);
		return NULL;
	}
	return block;
}

long chargehand_set_add(struct xarray *set, unsigned long first, unsigned long n)
{
	unsigned long at = first;
	long added = 0;

	while (at < first + n) {
		unsigned int low = at & (BLOCK_BITS - 1);
		unsigned int bits = min(first + n - at, (unsigned long)BLOCK_BITS - low), i;
		struct block *block = get_block(set, at >> BLOCK_SHIFT);

		if (!block)
			return -ENOMEM;
		for (i = low; i < low + bits; i++)
			if (!test_bit(i, block->counted) && !__test_and_set_bit(i, block->fresh))
				added++;
		at += bits;
	}
	return added;
}

static void settle_set(struct xarray *set, bool keep)
{
	struct block *block;
	unsigned long index;

	xa_for_each(set, index, block) {
		if (keep)
			bitmap_or(block->counted, block->counted, block->fresh, BLOCK_BITS);
		bitmap_zero(block->fresh, BLOCK_BITS);
	}
}

void chargehand_session_settle(struct chargehand_session *session, bool keep)
{
	settle_set(&session->pages, keep);
	settle_set(&session->slots, keep);
}
