/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model of chargehand.ko for unit tests. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "fake-module.h"
#include "util.h"

static uint64_t id_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

static int in_ranges(const struct chargehand_move *move, const FakePage *page)
{
        const struct chargehand_range *ranges = (const void *)(uintptr_t)move->ranges;

        for (uint32_t i = 0; i < move->n_ranges; i++)
                if (page->address >= ranges[i].start && page->address + page->bytes <= ranges[i].end)
                        return 1;
        return move->n_ranges == 0;
}

/* Why a page stays; _LEFTS if it moves. */
static unsigned left_of(const FakeModule *fake, const struct chargehand_move *move, FakePage *page)
{
        int dry = move->flags & CHARGEHAND_MOVE_DRY;

        if (!(move->kinds & CHARGEHAND_KIND_BIT(page->kind)))
                return page->kind == CHARGEHAND_KIND_KSM ? CHARGEHAND_LEFT_KSM : CHARGEHAND_LEFT_NOT_ASKED;
        if ((page->flags & FAKE_SHARED) && !(move->flags & CHARGEHAND_MOVE_SHARED))
                return CHARGEHAND_LEFT_SHARED;
        if (!dry && (page->flags & FAKE_PINNED))
                return CHARGEHAND_LEFT_PINNED;
        if (!dry && page->busy > 0) {
                page->busy--;
                return CHARGEHAND_LEFT_BUSY;
        }
        return CHARGEHAND_LEFTS;
}

static void check_move(const FakeModule *fake, const struct chargehand_move *move)
{
        assert_int_equal(move->size, sizeof(*move));
        assert_int_equal(move->flags & ~CHARGEHAND_MOVE_FLAGS, 0);
        assert_int_equal(move->kinds & ~CHARGEHAND_MOVE_KINDS, 0);
        assert_int_not_equal(move->kinds, 0);
        assert_true((move->from_fd >= 0) != (move->from_id != 0));
        assert_true((move->n_ranges == 0) == (move->ranges == 0));
        assert_true(move->n_ranges <= 4096);
        for (uint32_t i = 0; i < move->n_ranges; i++) {
                const struct chargehand_range *r = (const void *)(uintptr_t)move->ranges;

                assert_true(r[i].start < r[i].end && (i == 0 || r[i - 1].end <= r[i].start));
        }
}

static void clear_out(struct chargehand_move *move)
{
        move->stop = CHARGEHAND_STOP_DONE;
        move->chunks = 1;
        memset(move->moved, 0, sizeof(move->moved));
        memset(move->left, 0, sizeof(move->left));
        move->already = move->elsewhere = move->returned = 0;
}

/* 1: it was looked at; 0: the call ends here. */
static int look(FakeModule *fake, struct chargehand_move *move, FakePage *page, uint64_t from, uint64_t to, uint64_t *done)
{
        int dry = (move->flags & CHARGEHAND_MOVE_DRY) != 0, forced = (move->flags & CHARGEHAND_MOVE_FORCE) != 0;
        unsigned left;

        if (page->group_id != from) {
                *(page->group_id == to ? &move->already : &move->elsewhere) += page->bytes;
                return 1;
        }
        left = left_of(fake, move, page);
        if (left < CHARGEHAND_LEFTS) {
                move->left[left] += page->bytes;
                return 1;
        }
        if (!dry && move->max_bytes && *done + page->bytes > move->max_bytes) {
                move->stop = CHARGEHAND_STOP_BYTES;
                return 0;
        }
        if (!dry && !forced && page->bytes > fake->room_bytes) {
                move->stop = CHARGEHAND_STOP_NO_ROOM;
                move->left[CHARGEHAND_LEFT_NO_ROOM] += page->bytes;
                return 0;
        }
        move->moved[page->kind] += page->bytes;
        *done += page->bytes;
        if (dry)
                return 1;
        page->group_id = to;
        if (!forced && fake->room_bytes != UINT64_MAX)
                fake->room_bytes -= page->bytes;
        if (!fake->slice_bytes || *done < fake->slice_bytes)
                return 1;
        move->stop = CHARGEHAND_STOP_TIME;
        move->resume = page->address + page->bytes;
        return 0;
}

/* Who is known by id only is looked for among the pages. */
static int is_payer(const FakeModule *fake, const struct chargehand_move *move)
{
        for (size_t i = 0; i < fake->n; i++)
                if (fake->pages[i].group_id == move->from_id && in_ranges(move, &fake->pages[i]))
                        return 1;
        return 0;
}

static int do_move(FakeModule *fake, struct chargehand_move *move)
{
        uint64_t to = id_of(move->to_fd), from = move->from_id ? move->from_id : id_of(move->from_fd), done = 0;
        size_t i;

        check_move(fake, move);
        if (!(move->flags & CHARGEHAND_MOVE_DRY)) {
                fake->n_moves++;
                fake->n_forced += (move->flags & CHARGEHAND_MOVE_FORCE) != 0;
                fake->dest_id = to;
                if (fake->fail_move)
                        return -fake->fail_move;
        } else {
                fake->n_dry++;
        }
        if (to == from)
                return -EINVAL;
        if (move->from_id && !is_payer(fake, move))
                return -ENOENT;
        clear_out(move);
        for (i = 0; i < fake->n; i++) {
                FakePage *page = &fake->pages[i];

                if (page->address < move->resume || !in_ranges(move, page))
                        continue;
                if (!look(fake, move, page, from, to, &done)) {
                        if (move->stop != CHARGEHAND_STOP_TIME)
                                move->resume = page->address;
                        break;
                }
        }
        if (fake->on_move && !(move->flags & CHARGEHAND_MOVE_DRY))
                fake->on_move(fake->userdata);
        if (fake->signals > 0 && done) {
                fake->signals--;
                move->stop = CHARGEHAND_STOP_SIGNAL;
                if (i == fake->n)
                        move->resume = fake->pages[fake->n - 1].address + fake->pages[fake->n - 1].bytes;
                return -EINTR;
        }
        return 0;
}

static int do_map(FakeModule *fake, struct chargehand_map *map)
{
        struct chargehand_map_row *rows = (void *)(uintptr_t)map->rows;
        uint32_t n = 0, room = map->n_rows;

        assert_int_equal(map->size, sizeof(*map));
        assert_true(map->flags & CHARGEHAND_MAP_UNIQUE);
        fake->n_maps++;
        for (size_t i = 0; i < fake->n; i++) {
                FakePage *page = &fake->pages[i];
                uint32_t k = 0;

                if (!(map->flags & CHARGEHAND_MAP_CONTINUE))
                        page->flags &= ~(uint32_t)FAKE_COUNTED;
                while (k < n && (rows[k].group_id != page->group_id || rows[k].kind != page->kind))
                        k++;
                if (k == room)
                        return -ENOSPC;
                if (k == n)
                        rows[n++] = (struct chargehand_map_row){ .group_id = page->group_id, .kind = page->kind };
                rows[k].bytes_mapped += page->bytes;
                if (page->flags & FAKE_COUNTED)
                        continue;
                rows[k].bytes += page->bytes;
                rows[k].bytes_shared += page->flags & FAKE_SHARED ? page->bytes : 0;
                if (page->flags & FAKE_SHARED)
                        page->flags |= FAKE_COUNTED;
        }
        map->n_rows = n;
        return 0;
}

static int do_info(const FakeModule *fake, struct chargehand_info *info)
{
        assert_int_equal(info->size, sizeof(*info));
        info->abi = fake->abi;
        info->mode = fake->mode;
        info->move_kinds = fake->mode == CHARGEHAND_MODE_MOVE ? fake->kinds : 0;
        info->owner_pid = (uint32_t)fake->owner;
        return 0;
}

static int command(void *userdata, unsigned long number, void *argument)
{
        FakeModule *fake = userdata;

        switch (number) {
        case CHARGEHAND_IOC_MOVE:
                return fake->mode == CHARGEHAND_MODE_MOVE ? do_move(fake, argument) : -EROFS;
        case CHARGEHAND_IOC_MAP:
                return do_map(fake, argument);
        case CHARGEHAND_IOC_INFO:
                return do_info(fake, argument);
        default:
                return -ENOTTY;
        }
}

static void close_it(void *userdata)
{
        ((FakeModule *)userdata)->closed++;
}

int fake_module_open(FakeModule *fake, ch_module **ret, ch_error **err)
{
        static const ModuleOps ops = { .command = command, .close = close_it };

        return module_new(&ops, fake, "a model", ret, err);
}

uint64_t fake_module_sum(const FakeModule *fake, uint64_t group_id)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < fake->n; i++)
                bytes += fake->pages[i].group_id == group_id ? fake->pages[i].bytes : 0;
        return bytes;
}
