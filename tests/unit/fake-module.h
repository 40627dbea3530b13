/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_FAKE_MODULE_H
#define CH_TESTS_FAKE_MODULE_H

/*
 * The kernel module for unit tests: one address space of made-up pages behind a ch_module, which answers MOVE, MAP and INFO as
 * kmod/uapi/chargehand.h says. Groups are told from fds by their inode number. Checks of arguments that every command must pass end the test.
 */

#include "module.h"

enum {
        FAKE_SHARED = 1 << 0,  /* others map it too */
        FAKE_PINNED = 1 << 1,  /* seen only by a move that is not dry */
        FAKE_COUNTED = 1 << 2, /* by an earlier MAP */
};

typedef struct FakePage {
        uint64_t address, bytes, group_id;
        uint32_t kind, flags;
        int busy; /* so many moves find it busy */
} FakePage;

typedef struct FakeModule {
        FakePage *pages; /* in order of addresses */
        size_t n;
        uint32_t mode, kinds, abi;
        uint64_t room_bytes;   /* free in every target */
        uint64_t slice_bytes;  /* a call ends by time after so many; 0: never */
        int fail_move;         /* errno of MOVE that is not dry */
        int signals;           /* so many moves end with -EINTR, the next ones go on */
        pid_t owner;
        uint64_t dest_id;      /* last target that was moved to */
        unsigned n_moves, n_dry, n_maps, n_forced;
        int closed;
        void (*on_move)(void *userdata); /* after each move that is not dry */
        void *userdata;
} FakeModule;

#define FAKE_MODULE_INIT                                                                           \
        { .mode = CHARGEHAND_MODE_MOVE, .kinds = CHARGEHAND_MOVE_KINDS, .abi = CHARGEHAND_ABI, .room_bytes = UINT64_MAX }

int fake_module_open(FakeModule *fake, ch_module **ret, ch_error **err);
/* Bytes that a group pays for. */
uint64_t fake_module_sum(const FakeModule *fake, uint64_t group_id);

#endif
