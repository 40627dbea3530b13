/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What threads of the stress do, as a table of operations and how often. */

#include <errno.h>
#include <string.h>

#include "ledger-stress.h"
#include "util.h"

uint64_t random_below(Worker *worker, uint64_t n)
{
        uint64_t x = worker->random;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        worker->random = x;
        return (x >> 11) % n;
}

static int one_in(Worker *worker, uint64_t n)
{
        return random_below(worker, n) == 0;
}

/* The worker's, or none: the other way through everything. */
static ch_slot *some_slot(Worker *worker)
{
        return one_in(worker, 16) ? NULL : worker->slot;
}

/* Read-locked and with something in it, or NULL. */
static Place *enter_place(Worker *worker)
{
        Place *place = &worker->world->places[random_below(worker, PLACES)];

        if (pthread_rwlock_tryrdlock(&place->lock) != 0)
                return NULL;
        if (place->account)
                return place;
        (void)pthread_rwlock_unlock(&place->lock);
        return NULL;
}

static void leave_place(Place *place)
{
        (void)pthread_rwlock_unlock(&place->lock);
}

static uint64_t random_bytes(Worker *worker)
{
        static const uint64_t most[] = { 64, 64, 64, 256, 4096, 3 * 4096, 1 << 18 };

        return 1 + random_below(worker, most[random_below(worker, ELEMENTSOF(most))]);
}

static void note_refusal(Worker *worker, ch_account *refused)
{
        if (!refused)
                fail("nobody refused the charge", 0, 1);
        worker->n_refused++;
        ch_account_unref(refused);
}

/* Objects */

static void charge_some(Worker *worker, uint64_t n)
{
        Place *place = worker->n_objects < OBJECTS_MAX ? enter_place(worker) : NULL;
        Object *object = &worker->objects[worker->n_objects];
        ch_account *refused = NULL;
        int r;

        if (!place)
                return;
        *object = (Object){ .bucket = place->bucket,
                            .bytes = n > 1 ? 1 + random_below(worker, 200) : random_bytes(worker),
                            .n = n };
        if (n > 1)
                r = ch_bucket_charge_bulk(some_slot(worker), object->bucket, object->bytes, n,
                                          &refused);
        else
                r = ch_bucket_charge(some_slot(worker), object->bucket, object->bytes, &refused);
        if (r == -ENOSPC)
                note_refusal(worker, refused);
        else if (r < 0)
                fail("charge", r, 0);
        else
                worker->n_objects++;
        leave_place(place);
}

void uncharge_object(Worker *worker, Object *object)
{
        int r = 0;

        if (object->n > 1 && one_in(worker, 2)) /* charged in bulk, uncharged one by one */
                for (; r == 0 && object->n > 1; object->n--)
                        r = ch_bucket_uncharge(some_slot(worker), object->bucket, object->bytes);
        if (r == 0)
                r = ch_bucket_uncharge_bulk(some_slot(worker), object->bucket, object->bytes,
                                            object->n);
        if (r < 0)
                fail("uncharge", r, 0);
}

static void op_charge(Worker *worker)
{
        charge_some(worker, 1);
}

static void op_charge_bulk(Worker *worker)
{
        charge_some(worker, 2 + random_below(worker, 30));
}

static void op_uncharge(Worker *worker)
{
        unsigned at;

        if (worker->n_objects == 0)
                return;
        at = (unsigned)random_below(worker, worker->n_objects);
        uncharge_object(worker, &worker->objects[at]);
        worker->objects[at] = worker->objects[--worker->n_objects];
}

static void op_release_orphan(Worker *worker)
{
        World *world = worker->world;
        Object orphan = { 0 };

        (void)pthread_mutex_lock(&world->orphans_lock);
        if (world->n_orphans > 0)
                orphan = world->orphans[--world->n_orphans];
        (void)pthread_mutex_unlock(&world->orphans_lock);
        if (orphan.bucket)
                uncharge_object(worker, &orphan);
}

/* Nothing that was not charged can be uncharged: no bucket has as much as this. */
static void op_uncharge_too_much(Worker *worker)
{
        Place *place = enter_place(worker);

        if (!place)
                return;
        if (ch_bucket_uncharge(some_slot(worker), place->bucket, (uint64_t)1 << 50) != -ERANGE)
                fail("uncharge of more than charged", 0, -ERANGE);
        leave_place(place);
}

/* Pages */

static void op_charge_pages(Worker *worker)
{
        Place *place = worker->n_charges < CHARGES_MAX ? enter_place(worker) : NULL;
        Charge *charge = &worker->charges[worker->n_charges];
        ch_account *refused = NULL;
        int r;

        if (!place)
                return;
        charge->pages = 1 + random_below(worker, 12);
        if (worker->world->forced && one_in(worker, 4))
                r = ch_account_charge(some_slot(worker), place->account, charge->pages);
        else
                r = ch_account_try_charge(some_slot(worker), place->account, charge->pages,
                                          &refused);
        if (r == -ENOSPC)
                note_refusal(worker, refused);
        else if (r < 0 && r != -ESTALE)
                fail("page charge", r, 0);
        if (r == 0) {
                charge->account = ch_account_ref(place->account);
                worker->n_charges++;
        }
        leave_place(place);
}

void uncharge_pages(Worker *worker, Charge *charge)
{
        int r = ch_account_uncharge(some_slot(worker), charge->account, charge->pages);

        if (r < 0)
                fail("page uncharge", r, 0);
        ch_account_unref(charge->account);
}

static void op_uncharge_pages(Worker *worker)
{
        unsigned at;

        if (worker->n_charges == 0)
                return;
        at = (unsigned)random_below(worker, worker->n_charges);
        uncharge_pages(worker, &worker->charges[at]);
        worker->charges[at] = worker->charges[--worker->n_charges];
}

/* Accounts */

static void fill(Worker *worker, Place *place, ch_account *parent)
{
        ch_account *account;
        int r = ch_account_new(parent, &account);

        if (r == -ESTALE)
                return; /* the parent was removed just now */
        if (r < 0)
                fail("new account", r, 0);
        place->max_pages = one_in(worker, 2) ? 50 + random_below(worker, 400) : CH_PAGES_MAX;
        ch_account_set_max(account, place->max_pages);
        ch_account_set_protection(account, random_below(worker, 100), random_below(worker, 100));
        r = ch_bucket_new(account, &place->bucket);
        if (r < 0)
                fail("new bucket", r, 0);
        place->account = ch_account_ref(account);
        __atomic_store_n(&place->removed, 0, __ATOMIC_RELAXED);
}

/* Makes an account where there is none, or forgets a removed one: its objects live on. */
static void op_renew(Worker *worker)
{
        World *world = worker->world;
        Place *place = &world->places[random_below(worker, PLACES)], *above = NULL;

        if (one_in(worker, 4) || !(above = enter_place(worker)))
                above = NULL;
        if (above != place && pthread_rwlock_trywrlock(&place->lock) == 0) {
                if (place->account && __atomic_load_n(&place->removed, __ATOMIC_RELAXED)) {
                        place->bucket = ch_bucket_unref(place->bucket);
                        place->account = ch_account_unref(place->account);
                }
                if (!place->account)
                        fill(worker, place,
                             above ? above->account : ch_ledger_get_root(world->ledger));
                leave_place(place);
        }
        if (above)
                leave_place(above);
}

/* A second bucket takes the place of the first one, whose objects hold it. */
static void op_rebucket(Worker *worker)
{
        Place *place = &worker->world->places[random_below(worker, PLACES)];
        ch_bucket *bucket;
        int r;

        if (pthread_rwlock_trywrlock(&place->lock) != 0)
                return;
        if (place->account) {
                r = ch_bucket_new(place->account, &bucket);
                if (r < 0 && r != -ESTALE)
                        fail("new bucket", r, 0);
                if (r == 0) {
                        ch_bucket_unref(place->bucket);
                        place->bucket = bucket;
                }
        }
        leave_place(place);
}

/* Under the read lock: others go on charging there. */
static void op_remove(Worker *worker)
{
        Place *place = enter_place(worker);
        int r;

        if (!place)
                return;
        r = ch_account_remove(place->account);
        if (r == 0)
                __atomic_store_n(&place->removed, 1, __ATOMIC_RELAXED);
        else if (r != -EBUSY && r != -EALREADY)
                fail("removal", r, 0);
        leave_place(place);
}

static void op_drain(Worker *worker)
{
        Place *place = enter_place(worker);

        ch_ledger_drain(worker->world->ledger, place ? place->account : NULL);
        if (place)
                leave_place(place);
}

static void op_look(Worker *worker)
{
        Place *place = enter_place(worker);
        ch_account_figures figures;
        ch_account *parent;

        if (!place)
                return;
        ch_account_get_figures(place->account, &figures);
        if (figures.usage_pages >> 62)
                fail("negative usage", (int64_t)figures.usage_pages, 0);
        if (!worker->world->forced && !__atomic_load_n(&place->removed, __ATOMIC_RELAXED) &&
            figures.usage_pages > place->max_pages)
                fail("usage over the limit", (int64_t)figures.usage_pages,
                     (int64_t)place->max_pages);
        ch_account_get_protection(place->account, NULL, &figures.min_pages, &figures.low_pages);
        parent = ch_account_get_parent(place->account);
        ch_account_get_figures(parent, &figures);
        if (figures.usage_pages >> 62)
                fail("negative usage above", (int64_t)figures.usage_pages, 0);
        (void)ch_stat_read(place->account, (uint32_t)random_below(worker, worker->world->n_threads),
                           1);
        leave_place(place);
}

/* Statistics */

static void op_update(Worker *worker)
{
        Item *item = &worker->world->items[random_below(worker, ITEMS)];

        ch_stat_update(worker->slot, &item->item, worker->index,
                       (int64_t)random_below(worker, 9) - 3, &item->own[worker->index]);
}

/* What the item is held by changes with its account; the old hold goes when no update can be under
 * way there any more. */
static void move_item(Worker *worker, Item *item, Place *place)
{
        Object anchor = { .bucket = place->bucket, .bytes = 1, .n = 1 };
        ch_account *refused = NULL, *to = ch_bucket_get_account(place->bucket),
                   *from = ch_item_get_account(&item->item);
        int r = ch_bucket_charge(worker->slot, anchor.bucket, anchor.bytes, &refused);

        if (r == -ENOSPC)
                note_refusal(worker, refused);
        else if (r < 0)
                fail("charge", r, 0);
        if (r == 0 && ch_stat_begin_move(from) == 0) {
                r = ch_stat_move(worker->slot, &item->item, to, item->own);
                if (r < 0)
                        fail("move", r, 0);
                ch_stat_end_move(from);
                uncharge_object(worker, &item->anchor);
                item->anchor = anchor;
        } else if (r == 0) {
                uncharge_object(worker, &anchor); /* removed before the move began */
        }
        ch_account_unref(to);
}

static void op_move(Worker *worker)
{
        Item *item = &worker->world->items[random_below(worker, ITEMS)];
        Place *place = enter_place(worker);

        if (!place)
                return;
        if (pthread_mutex_trylock(&item->moving) == 0) {
                move_item(worker, item, place);
                (void)pthread_mutex_unlock(&item->moving);
        }
        leave_place(place);
}

/* Threads */

static void op_change_slot(Worker *worker)
{
        int r;

        worker->slot = ch_slot_put(worker->slot);
        r = ch_slot_get(worker->world->ledger, &worker->slot);
        if (r < 0)
                fail("slot", r, 0);
}

static void op_die(Worker *worker)
{
        worker->dying = 1;
}

static const struct {
        const char *name;
        void (*func)(Worker *worker);
        unsigned weight;
} operations[] = {
        {"charge",                op_charge,            30000},
        { "uncharge",             op_uncharge,          33000},
        { "charge in bulk",       op_charge_bulk,       4000 },
        { "release of another's", op_release_orphan,    2000 },
        { "uncharge of too much", op_uncharge_too_much, 50   },
        { "page charge",          op_charge_pages,      4000 },
        { "page uncharge",        op_uncharge_pages,    4200 },
        { "update",               op_update,            22000},
        { "move",                 op_move,              60   },
        { "look",                 op_look,              500  },
        { "renew",                op_renew,             120  },
        { "rebucket",             op_rebucket,          200  },
        { "remove",               op_remove,            60   },
        { "drain",                op_drain,             6    },
        { "change slot",          op_change_slot,       50   },
        { "die",                  op_die,               4    },
};

const char *operation_name(unsigned index)
{
        return index < ELEMENTSOF(operations) ? operations[index].name : NULL;
}

void operate(Worker *worker)
{
        static const unsigned total = 100000;
        uint64_t at = random_below(worker, total);
        unsigned i = 0;

        while (i + 1 < ELEMENTSOF(operations) && at >= operations[i].weight)
                at -= operations[i++].weight;
        if (at >= operations[i].weight)
                i = 0;
        operations[i].func(worker);
        worker->done[i]++;
}
