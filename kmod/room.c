// SPDX-License-Identifier: GPL-2.0-only
/*
 * Room in the target: charging page counters ahead of the folios, and settling afterwards.
 *
 * Only page counters are touched: nothing is reclaimed, no event is counted, nobody is killed. Pages in
 * reserve are charged to the target and all its ancestors, so for a moment the ancestors that both groups
 * share carry them twice. If those are what is full, the reserve is charged by force, in small pieces.
 */

#include "chargehand.h"

enum {
	FORCED_PAGES = HPAGE_PMD_NR, /* at most this much past a common ancestor's limit */
};

/* The lowest counter that is above (or is) both. */
static struct page_counter *common_counter(struct mem_cgroup *from, struct mem_cgroup *to)
{
	struct page_counter *a, *b;

	for (a = &from->memory; a; a = a->parent)
		for (b = &to->memory; b; b = b->parent)
			if (a == b)
				return a;
	return NULL;
}

void chargehand_room_init(struct chargehand_room *room, struct mem_cgroup *from, struct mem_cgroup *to,
			  bool forced)
{
	*room = (struct chargehand_room){
		.from = from,
		.to = to,
		.common = common_counter(from, to),
		.forced = forced,
	};
}

static bool is_at_or_above(struct page_counter *counter, struct page_counter *base)
{
	for (; base; base = base->parent)
		if (base == counter)
			return true;
	return false;
}

/* Free pages of every level below `end`. */
static unsigned long free_below(struct page_counter *counter, struct page_counter *end)
{
	unsigned long least = ULONG_MAX;

	for (; counter && counter != end; counter = counter->parent) {
		unsigned long usage = atomic_long_read(&counter->usage), max = READ_ONCE(counter->max);

		least = min(least, usage < max ? max - usage : 0);
	}
	return least;
}

unsigned long chargehand_room_free(struct mem_cgroup *memcg)
{
	return free_below(&memcg->memory, NULL);
}

static unsigned long try_reserve(struct chargehand_room *room, unsigned long want)
{
	struct page_counter *full;
	unsigned long free;

	for (; want; want /= 2) {
		if (chargehand_call(page_counter_try_charge)(&room->to->memory, want, &full))
			return want;
		free = free_below(&room->to->memory, room->common);
		if (is_at_or_above(full, room->common)) {
			/* What comes here leaves there: no more in the end than is there now. */
			want = min3(want, free, FORCED_PAGES - min(room->reserved, (unsigned long)FORCED_PAGES));
			if (!want)
				return 0;
			chargehand_call(page_counter_charge)(&room->to->memory, want);
			return want;
		}
		if (free && free < want && chargehand_call(page_counter_try_charge)(&room->to->memory, free, &full))
			return free;
	}
	return 0;
}

unsigned long chargehand_room_reserve(struct chargehand_room *room, unsigned long want)
{
	unsigned long more;

	if (room->reserved >= want)
		return room->reserved;
	more = want - room->reserved;
	if (chargehand_memcg_is_root(room->to))
		; /* back to where it came from: the root counts nothing */
	else if (room->forced)
		chargehand_call(page_counter_charge)(&room->to->memory, more);
	else
		more = try_reserve(room, more);
	room->reserved += more;
	return room->reserved;
}

void chargehand_room_commit(struct chargehand_room *room, unsigned long pages, unsigned long counted)
{
	if (WARN_ON_ONCE(pages > room->reserved))
		pages = room->reserved;
	room->reserved -= pages;
	if (counted)
		chargehand_call(page_counter_uncharge)(&room->from->memory, counted);
}

void chargehand_room_done(struct chargehand_room *room)
{
	if (room->reserved && !chargehand_memcg_is_root(room->to))
		chargehand_call(page_counter_uncharge)(&room->to->memory, room->reserved);
	room->reserved = 0;
}
