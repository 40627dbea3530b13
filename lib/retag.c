/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the module what is charged where, and what of it would move. */

#include "error.h"
#include "retag.h"
#include "util.h"

static const ch_reason reasons[CHARGEHAND_LEFTS] = {
        [CHARGEHAND_LEFT_NOT_ASKED] = CH_REASON_MAX_, /* is asked for by itself */
        [CHARGEHAND_LEFT_SHARED] = CH_REASON_SHARED,
        [CHARGEHAND_LEFT_PINNED] = CH_REASON_PINNED,
        [CHARGEHAND_LEFT_BUSY] = CH_REASON_BUSY,
        [CHARGEHAND_LEFT_SWAP] = CH_REASON_SWAPPED,
        [CHARGEHAND_LEFT_KSM] = CH_REASON_MAX_, /* the map has told of it */
        [CHARGEHAND_LEFT_LARGE] = CH_REASON_LARGE,
        [CHARGEHAND_LEFT_DIRTY] = CH_REASON_DIRTY,
        [CHARGEHAND_LEFT_NO_ROOM] = CH_REASON_NO_ROOM,
        [CHARGEHAND_LEFT_OTHER] = CH_REASON_PINNED,
        [CHARGEHAND_LEFT_NOT_REACHED] = CH_REASON_NOT_REACHED,
        [CHARGEHAND_LEFT_NOT_REACHED + 1] = CH_REASON_MAX_,
};

ch_reason retag_reason(unsigned left)
{
        return left < ELEMENTSOF(reasons) ? reasons[left] : CH_REASON_FAILED;
}

uint32_t retag_kinds(const ch_module *module, int with_shared)
{
        uint32_t kinds = ch_module_get_kinds(module);

        return with_shared ? kinds : kinds & ~CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SHMEM);
}

/* Why the module is not asked for bytes of a kind; _MAX_ if it is. */
static ch_reason kind_reason(const RetagScan *scan, const struct chargehand_map_row *row)
{
        static const ch_reason by_kind[CHARGEHAND_KINDS] = {
                [CHARGEHAND_KIND_ANON] = CH_REASON_BACKEND,  [CHARGEHAND_KIND_ANON_THP] = CH_REASON_BACKEND,
                [CHARGEHAND_KIND_SHMEM] = CH_REASON_SHMEM,   [CHARGEHAND_KIND_FILE] = CH_REASON_BACKEND,
                [CHARGEHAND_KIND_SWAP] = CH_REASON_SWAPPED,  [CHARGEHAND_KIND_KSM] = CH_REASON_KSM,
                [CHARGEHAND_KIND_HUGETLB] = CH_REASON_HUGETLB,
        };

        if (retag_kinds(scan->module, scan->with_shared) & CHARGEHAND_KIND_BIT(row->kind))
                return CH_REASON_MAX_;
        return by_kind[row->kind];
}

static int get_retag(Charges *c, uint64_t group_id, Retag **ret)
{
        ChargeMm *mm = &c->mms[c->n_mms - 1];

        for (size_t i = mm->first_retag; i < c->n_retags; i++)
                if (c->retags[i].group_id == group_id) {
                        *ret = &c->retags[i];
                        return 0;
                }
        if (array_reserve(&c->retags, &c->retags_allocated, c->n_retags + 1, sizeof(*c->retags)) < 0)
                return -ENOMEM;
        c->retags[c->n_retags] = (Retag){ .group_id = group_id, .mm = (uint32_t)(c->n_mms - 1) };
        *ret = &c->retags[c->n_retags++];
        mm->n_retags++;
        return 0;
}

/* Whoever pays for swap cannot be told on 7.2: it stays. */
static int is_wanted(const Charges *c, const ChargeMm *mm, const struct chargehand_map_row *row)
{
        if (row->group_id == CH_GROUP_ID_NONE)
                return row->kind == CHARGEHAND_KIND_SWAP;
        return row->group_id != mm->dest_id && (!c->only_from_id || row->group_id == c->only_from_id);
}

static int add_row(RetagScan *scan, const struct chargehand_map_row *row)
{
        Charges *c = scan->charges;
        ChargeMm *mm = &c->mms[c->n_mms - 1];
        ch_kind kind = module_kind(row->kind);
        ch_reason reason;
        ChargeRow *sum;
        Retag *retag;

        if (kind == CH_KIND_UNCHARGED)
                return 0;
        if (charges_get_row(c, row->group_id, kind, &sum) < 0)
                return -ENOMEM;
        sum->bytes += row->bytes;
        if (kind != CH_KIND_SWAP)
                c->resident_bytes += row->bytes;
        if (kind == CH_KIND_ANON || kind == CH_KIND_ANON_THP)
                c->anon_bytes += row->bytes;
        if (row->group_id == mm->dest_id) {
                mm->already_bytes += row->bytes;
                c->already_bytes += kind == CH_KIND_SWAP ? 0 : row->bytes;
        }
        if (!is_wanted(c, mm, row))
                return 0;
        reason = mm->foreign_owner ? CH_REASON_FOREIGN_OWNER : kind_reason(scan, row);
        if (reason == CH_REASON_MAX_ && row->group_id == CH_GROUP_ID_NONE)
                reason = CH_REASON_SWAPPED;
        if (reason != CH_REASON_MAX_) {
                c->staying[kind][reason] += row->bytes;
                return 0;
        }
        if (get_retag(c, row->group_id, &retag) < 0)
                return -ENOMEM;
        retag->bytes[kind] += row->bytes;
        return 0;
}

static void take_figures(Retag *retag, ch_kind kind, const struct chargehand_move *move)
{
        for (unsigned i = 0; i < CHARGEHAND_KINDS; i++)
                retag->movable[kind] += move->moved[i];
        for (unsigned i = 0; i < CHARGEHAND_LEFTS; i++)
                if (retag_reason(i) != CH_REASON_MAX_)
                        retag->left[kind][retag_reason(i)] += move->left[i];
}

/* One kind at a time: the module says why bytes stay, but not of which kind they are. A signal does not end it. */
static int ask_kind(const RetagScan *scan, Retag *retag, struct chargehand_move *move, uint32_t kind, ch_error **err)
{
        move->flags |= CHARGEHAND_MOVE_DRY;
        move->kinds = CHARGEHAND_KIND_BIT(kind);
        move->resume = 0;
        for (;;) {
                _cleanup_(error_freep) ch_error *reason = NULL;
                int r = ch_module_move(scan->module, move, &reason);

                if (retag_is_nothing(move, r))
                        return 0;
                if (r >= 0 || r == -EINTR)
                        take_figures(retag, module_kind(kind), move);
                if (r != -EINTR)
                        return r < 0 ? error_copy(err, reason) : 0;
        }
}

void retag_set_from(struct chargehand_move *move, int from_fd, uint64_t id)
{
        move->from_fd = from_fd < 0 ? -1 : from_fd;
        move->from_id = from_fd < 0 ? id : 0;
}

int retag_is_nothing(const struct chargehand_move *move, int r)
{
        return r == -ENOENT && move->from_id;
}

static int ask(const RetagScan *scan, Retag *retag, struct chargehand_move *move, uint32_t kinds, ch_error **err)
{
        _cleanup_(closep) int from_fd = scan->open_group ? scan->open_group(retag->group_id, scan->userdata) : -EBADF;
        int r = 0;

        retag_set_from(move, from_fd, retag->group_id);
        kinds &= retag_kinds(scan->module, scan->with_shared);
        for (uint32_t kind = 0; kind < CHARGEHAND_KINDS && r >= 0; kind++)
                if ((kinds & CHARGEHAND_KIND_BIT(kind)) && retag->bytes[module_kind(kind)])
                        r = ask_kind(scan, retag, move, kind, err);
        return r;
}

/* As if it had never been read. Rows of groups that nothing is left of do no harm. */
static void forget_last(Charges *c, const ModuleRows *rows)
{
        const ChargeMm *mm = &c->mms[c->n_mms - 1];

        for (size_t i = 0; i < rows->n; i++) {
                ch_kind kind = module_kind(rows->items[i].kind);
                ChargeRow *sum;

                if (kind != CH_KIND_UNCHARGED && charges_get_row(c, rows->items[i].group_id, kind, &sum) >= 0)
                        sum->bytes -= min_u64(sum->bytes, rows->items[i].bytes);
        }
        c->n_retags = mm->first_retag;
        c->n_mms--;
}

int retag_scan(RetagScan *scan, const ChargeMm *mm, int pidfd, int to_fd, ch_error **err)
{
        Charges *c = scan->charges, before = *c;
        struct chargehand_move move = { .pidfd = pidfd, .to_fd = to_fd };
        int r;

        r = module_map(scan->module, pidfd, scan->n_mapped > 0, &scan->rows, err);
        if (r < 0)
                return r;
        scan->n_mapped++;
        if (charges_add_mm(c, mm) < 0)
                return error_errno(err, ENOMEM, CHARGEHAND_DEVICE, "planning");
        c->mms[c->n_mms - 1].by_module = 1;
        move.flags = scan->with_shared ? CHARGEHAND_MOVE_SHARED : 0;
        for (size_t i = 0; i < scan->rows.n && r >= 0; i++)
                r = add_row(scan, &scan->rows.items[i]);
        if (r < 0)
                return error_errno(err, r, CHARGEHAND_DEVICE, "planning");
        for (size_t i = c->mms[c->n_mms - 1].first_retag; i < c->n_retags && r >= 0; i++)
                r = to_fd < 0 ? -EBADF : ask(scan, &c->retags[i], &move, CHARGEHAND_MOVE_KINDS, err);
        if (r >= 0)
                return 0;
        forget_last(c, &scan->rows);
        memcpy(c->staying, before.staying, sizeof(c->staying));
        c->resident_bytes = before.resident_bytes;
        c->anon_bytes = before.anon_bytes;
        c->already_bytes = before.already_bytes;
        return r;
}

static int ask_shared(const RetagScan *scan, const ChargeMm *mm, int pidfd, int to_fd, ch_error **err)
{
        Charges *c = scan->charges;
        int r = 0;

        for (uint32_t at = 0; at < mm->n_ranges && r >= 0; at += RETAG_RANGES_MAX) {
                struct chargehand_move move = {
                        .pidfd = pidfd,
                        .to_fd = to_fd,
                        .flags = CHARGEHAND_MOVE_SHARED,
                        .ranges = (uint64_t)(uintptr_t)&c->ranges[mm->first_range + at],
                        .n_ranges = (uint32_t)min_u64(RETAG_RANGES_MAX, mm->n_ranges - at),
                };

                for (uint32_t i = 0; i < mm->n_retags && r >= 0; i++)
                        r = ask(scan, &c->retags[mm->first_retag + i], &move, RETAG_SHARED_KINDS, err);
        }
        return r;
}

static uint64_t shared_bytes(const Charges *c)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < c->n_retags; i++)
                bytes += c->retags[i].left[CH_KIND_ANON][CH_REASON_SHARED] +
                         c->retags[i].left[CH_KIND_FILE][CH_REASON_SHARED];
        return bytes;
}

int retag_finish(RetagScan *scan, ch_error **err)
{
        Charges *c = scan->charges;
        int r;

        /* one address space alone shares with others */
        if (!scan->with_shared && scan->n_mapped > 1 && shared_bytes(c) > 0) {
                r = retag_find_shared(c, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < c->n_mms; i++) {
                _cleanup_(closep) int pidfd = -EBADF, to_fd = -EBADF;

                if (c->mms[i].n_ranges == 0)
                        continue;
                r = scan->open(&c->mms[i], &pidfd, &to_fd, scan->userdata);
                if (r >= 0)
                        r = ask_shared(scan, &c->mms[i], pidfd, to_fd, err);
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        retag_settle(c);
        return 0;
}

/* Of what the map has, each page once, the rest is what moves: reasons come once per mapping, and "shared" is seen from each side. */
static void settle_kind(Charges *c, Retag *retag, ch_kind kind)
{
        uint64_t rest;

        retag->movable[kind] = min_u64(retag->movable[kind], retag->bytes[kind]);
        rest = retag->bytes[kind] - retag->movable[kind];
        for (unsigned i = 0; i <= CH_REASON_MAX_; i++) {
                /* shared comes last */
                ch_reason reason = i == CH_REASON_MAX_ ? CH_REASON_SHARED : (ch_reason)i;
                uint64_t bytes = min_u64(retag->left[kind][reason], rest);

                if (i == CH_REASON_SHARED)
                        continue;
                c->staying[kind][reason] += bytes;
                rest -= bytes;
        }
}

void retag_settle(Charges *c)
{
        for (size_t i = 0; i < c->n_retags * CH_KIND_MAX_; i++)
                settle_kind(c, &c->retags[i / CH_KIND_MAX_], (ch_kind)(i % CH_KIND_MAX_));
}

void retag_scan_done(RetagScan *scan)
{
        module_rows_done(&scan->rows);
}
