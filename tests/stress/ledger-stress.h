/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LEDGER_STRESS_H
#define LEDGER_STRESS_H

/*
 * A random program that uses the whole ledger: its world, its threads, what they hold. Locks here
 * order only what a user of the ledger must order himself (the life of a bucket's maker, one mover
 * per item); the ledger's calls run side by side under read locks.
 */

#include <pthread.h>
#include <stdint.h>

#include <chargehand/ledger.h>

enum {
        PLACES = 24, /* accounts at a time, beside the root */
        ITEMS = 32,
        THREADS_MAX = 16,
        OBJECTS_MAX = 512, /* held by a thread */
        CHARGES_MAX = 64,
        ORPHANS_MAX = 1 << 16,
};

/* Charged together, uncharged together or one by one. */
typedef struct Object {
        ch_bucket *bucket;
        uint64_t bytes, n;
} Object;

typedef struct Charge {
        ch_account *account; /* a reference */
        uint64_t pages;
} Charge;

/* Somewhere that an account can be. Read lock: use them; write lock: put something else there. */
typedef struct Place {
        pthread_rwlock_t lock;
        ch_account *account; /* a reference; NULL: nothing here */
        ch_bucket *bucket;   /* the maker's */
        uint32_t removed;
        uint64_t max_pages; /* set before anybody else saw it, and never changed */
} Place;

/* Counted by thread i as kind i; held on its account by an object. `moving`: one mover at a time.
 */
typedef struct Item {
        ch_item item;
        pthread_mutex_t moving;
        Object anchor;
        int64_t own[THREADS_MAX];
} Item;

typedef struct World {
        uint64_t seed, ops;
        unsigned n_threads;
        int forced; /* charges past limits are made too, so limits cannot be checked */
        ch_ledger *ledger;
        uint64_t page_bytes;
        Place places[PLACES];
        Item items[ITEMS];

        pthread_mutex_t orphans_lock; /* what threads that ended have left to others */
        Object *orphans;
        unsigned n_orphans;
} World;

typedef struct Worker {
        World *world;
        unsigned index;
        uint64_t random;
        uint64_t ops_left;
        ch_slot *slot;
        int dying;
        Object objects[OBJECTS_MAX];
        unsigned n_objects;
        Charge charges[CHARGES_MAX];
        unsigned n_charges;
        uint64_t done[32]; /* by operation */
        uint64_t n_refused;
        pthread_t thread;
} Worker;

/* Ends the program: the seed was printed first. */
_Noreturn void fail(const char *what, int64_t is, int64_t expected);
uint64_t random_below(Worker *worker, uint64_t n);

/* One random operation. */
void operate(Worker *worker);
void uncharge_object(Worker *worker, Object *object);
void uncharge_pages(Worker *worker, Charge *charge);
const char *operation_name(unsigned index); /* NULL: no more */

#endif
