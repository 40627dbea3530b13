/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits, budgets and ranges of MOVE: what does not fit stays, to the page, and nobody hears of it.
 *
 *     /m ─┬─ a ── 16 MiB ──▶ b   memory.max 8 MiB, and other obstacles
 *         └─ x (memory.max) ─ b  the limit is an ancestor's
 */

#include <sys/mman.h>
#include <sys/stat.h>

#include "prog-module.h"

enum {
        CALLS_MAX = 10000,
};

typedef struct Run {
        Stage stage;
        int device;
        uint32_t kinds;
        Holder holder;
        Picture from[2], to[2], parent[2];
} Run;

static void start(Run *run, const char *shape, uint64_t bytes)
{
        stage_open(&run->stage, "/m");
        run->kinds = move_kinds(run->device);
        if (holder_start(&run->holder, &run->stage.a, shape, bytes) < 0)
                die("no memory of shape '%s'", shape);
        holder_step(&run->holder);
        group_add(&run->stage.poke, run->holder.pid);
}

static void look(Run *run, const Group *from, const Group *to, int when)
{
        stage_picture(&run->stage, from, &run->from[when]);
        stage_picture(&run->stage, to, &run->to[when]);
        stage_picture(&run->stage, &run->stage.parent, &run->parent[when]);
}

static void finish(Run *run, const char *what)
{
        holder_check(&run->holder, what);
        holder_stop(&run->holder);
        expect_empty(&run->stage, &run->stage.a, what);
        expect_empty(&run->stage, &run->stage.b, what);
        stage_close(&run->stage);
        (void)printf("-- %s: done, %u failures so far\n", what, failures());
        (void)fflush(stdout);
}

static struct chargehand_move request(Run *run)
{
        return move_new(run->holder.pidfd, run->stage.a.fd, run->stage.b.fd, run->kinds);
}

static void expect_move(Run *run, const char *what, struct chargehand_move *move, uint32_t stop)
{
        int r = device_move(run->device, move);

        if (r < 0)
                failed("%s: MOVE: %s", what, strerror(-r));
        move_print(what, move);
        if (r == 0 && move->stop != stop)
                failed("%s: MOVE stopped by %u, want %u", what, move->stop, stop);
}

static void expect_value(const char *what, const char *figure, uint64_t got, uint64_t want)
{
        if (got != want)
                failed("%s: %s: %llu bytes, want %llu", what, figure, (unsigned long long)got,
                       (unsigned long long)want);
}

/* All or nothing, in a target of half the size. */
static void all_or_nothing(Run *run, const char *shape)
{
        struct chargehand_move move;

        start(run, shape, 16 * MIB);
        move = request(run);
        move.flags = CHARGEHAND_MOVE_ALL;
        move.chunk_pages = 512;
        group_set_bytes(&run->stage.b, "memory.max", 8 * MIB);
        look(run, &run->stage.a, &run->stage.b, 0);
        expect_move(run, shape, &move, CHARGEHAND_STOP_NO_ROOM);
        look(run, &run->stage.a, &run->stage.b, 1);
        expect_same(shape, run->from);
        expect_same(shape, run->to);
        expect_same(shape, run->parent);
        expect_value(shape, "moved", sum_moved(&move), 0);
        if (move.returned == 0)
                failed("%s: nothing was moved back: it did not begin", shape);
        group_set(&run->stage.b, "memory.max", "max");
        /* with room enough the same call moves all */
        move = request(run);
        move.flags = CHARGEHAND_MOVE_ALL;
        expect_move(run, shape, &move, CHARGEHAND_STOP_DONE);
        look(run, &run->stage.a, &run->stage.b, 1);
        expect_transfer(shape, run->from, run->to, run->parent);
        expect_value(shape, "anon left", (uint64_t)run->from[1].bytes[COUNT_ANON], 0);
        finish(run, "all or nothing");
}

/* The same obstacle: what fits moves, to the page. `limit` is the group's whose memory.max it is. */
static void what_fits(Run *run, const char *what, const Group *limit, const Group *target,
                      uint64_t unit)
{
        const uint64_t room = 9 * MIB + 5 * PAGE;
        struct chargehand_move move = request(run);
        uint64_t free_bytes;

        move.to_fd = target->fd;
        group_set_bytes(limit, "memory.max", room);
        look(run, &run->stage.a, target, 0);
        free_bytes = room - group_get(limit, "memory.current", NULL);
        expect_move(run, what, &move, CHARGEHAND_STOP_NO_ROOM);
        look(run, &run->stage.a, target, 1);
        expect_transfer(what, run->from, run->to, run->parent);
        if (sum_moved(&move) > free_bytes || sum_moved(&move) + unit <= free_bytes)
                failed("%s: %llu bytes moved where %llu are free", what,
                       (unsigned long long)sum_moved(&move), (unsigned long long)free_bytes);
        if (move.left[CHARGEHAND_LEFT_NO_ROOM] == 0)
                failed("%s: nothing was left for want of room", what);
        group_set(limit, "memory.max", "max");
}

static void test_fits(Run *run)
{
        start(run, "small", 16 * MIB);
        what_fits(run, "small pages that fit", &run->stage.b, &run->stage.b, PAGE);
        finish(run, "what fits, small");
        start(run, "huge", 16 * MIB);
        what_fits(run, "huge pages that fit", &run->stage.b, &run->stage.b, HUGE_BYTES);
        finish(run, "what fits, huge");
}

static void test_ancestor(Run *run)
{
        Group x, target;

        start(run, "small", 16 * MIB);
        x = group_new("/m/x");
        target = group_new("/m/x/b");
        what_fits(run, "an ancestor's limit", &x, &target, PAGE);
        holder_check(&run->holder, "an ancestor's limit");
        holder_stop(&run->holder);
        expect_empty(&run->stage, &target, "an ancestor's limit");
        if (group_remove(&target) < 0 || group_remove(&x) < 0)
                failed("cannot remove %s", target.path);
        expect_empty(&run->stage, &run->stage.a, "an ancestor's limit");
        stage_close(&run->stage);
}

/* The parent of both is full to the page: nothing of it is in the way, and it does not hear of it. */
static void test_full_parent(Run *run)
{
        struct chargehand_move move;
        uint64_t max, low, high;

        start(run, "small", 16 * MIB);
        look(run, &run->stage.a, &run->stage.b, 0);
        max = group_get(&run->stage.parent, "memory.current", NULL);
        low = group_get(&run->stage.parent, "memory.peak", NULL);
        group_set_bytes(&run->stage.parent, "memory.max", max);
        move = request(run);
        move.flags = CHARGEHAND_MOVE_ALL;
        expect_move(run, "a full parent", &move, CHARGEHAND_STOP_DONE);
        high = group_get(&run->stage.parent, "memory.peak", NULL);
        if (high > low && high > max + 2 * MIB)
                failed("a full parent: its peak was %llu bytes above its limit",
                       (unsigned long long)(high - max));
        group_set(&run->stage.parent, "memory.max", "max");
        look(run, &run->stage.a, &run->stage.b, 1);
        expect_transfer("a full parent", run->from, run->to, run->parent);
        expect_value("a full parent", "anon left", (uint64_t)run->from[1].bytes[COUNT_ANON], 0);
        finish(run, "a full parent");
}

/* memory.high is not looked at, and nobody is throttled or told. */
static void test_high(Run *run)
{
        struct chargehand_move move;

        start(run, "small", 16 * MIB);
        group_set_bytes(&run->stage.b, "memory.high", 4 * MIB);
        look(run, &run->stage.a, &run->stage.b, 0);
        move = request(run);
        expect_move(run, "memory.high", &move, CHARGEHAND_STOP_DONE);
        look(run, &run->stage.a, &run->stage.b, 1);
        expect_transfer("memory.high", run->from, run->to, run->parent);
        group_set(&run->stage.b, "memory.high", "max");
        finish(run, "memory.high");
}

/* A limit on swap stops swap records, and only those. */
static void test_swap_max(Run *run)
{
        struct chargehand_move move;

        start(run, "swap", 8 * MIB);
        if (run->kinds & CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SWAP)) {
                group_set(&run->stage.b, "memory.swap.max", "0");
                look(run, &run->stage.a, &run->stage.b, 0);
                move = request(run);
                expect_move(run, "memory.swap.max", &move, CHARGEHAND_STOP_DONE);
                look(run, &run->stage.a, &run->stage.b, 1);
                expect_transfer("memory.swap.max", run->from, run->to, run->parent);
                expect_value("memory.swap.max", "swap moved", move.moved[CHARGEHAND_KIND_SWAP], 0);
                if (move.left[CHARGEHAND_LEFT_SWAP] < 7 * MIB)
                        failed("memory.swap.max: %llu bytes left for it",
                               (unsigned long long)move.left[CHARGEHAND_LEFT_SWAP]);
                group_set(&run->stage.b, "memory.swap.max", "max");
        }
        finish(run, "memory.swap.max");
}

/* Calls with one budget until all is done; returns how many. */
static unsigned in_portions(Run *run, const char *what, struct chargehand_move *move, uint32_t stop,
                            uint64_t low, uint64_t *ret_sum)
{
        unsigned calls = 0;

        for (*ret_sum = 0; calls < CALLS_MAX; calls++) {
                const uint64_t at = move->resume;
                int r = device_move(run->device, move);

                if (r < 0) {
                        failed("%s: MOVE: %s", what, strerror(-r));
                        break;
                }
                *ret_sum += sum_moved(move);
                if (move->stop == CHARGEHAND_STOP_DONE)
                        break;
                if (move->stop != stop || move->resume <= at) {
                        failed("%s: stopped by %u, from %#llx to %#llx", what, move->stop,
                               (unsigned long long)at, (unsigned long long)move->resume);
                        break;
                }
                if (move->max_bytes && (sum_moved(move) > move->max_bytes ||
                                        sum_moved(move) + low <= move->max_bytes))
                        failed("%s: a portion of %llu bytes, %llu were asked for", what,
                               (unsigned long long)sum_moved(move),
                               (unsigned long long)move->max_bytes);
        }
        return calls + 1;
}

static void test_budget(Run *run, const char *shape, uint64_t max_bytes, uint64_t max_nsec,
                        uint64_t unit)
{
        struct chargehand_move move;
        unsigned calls;
        uint64_t sum;

        start(run, shape, 16 * MIB);
        look(run, &run->stage.a, &run->stage.b, 0);
        move = request(run);
        move.max_bytes = max_bytes;
        move.max_nsec = max_nsec;
        move.chunk_pages = 512;
        calls = in_portions(run, shape, &move,
                            max_bytes ? CHARGEHAND_STOP_BYTES : CHARGEHAND_STOP_TIME, unit, &sum);
        look(run, &run->stage.a, &run->stage.b, 1);
        expect_transfer(shape, run->from, run->to, run->parent);
        (void)printf("   %s in portions: %u calls, %llu KiB\n", shape, calls,
                     (unsigned long long)sum / 1024);
        expect_value(shape, "anon of the target in portions",
                     (uint64_t)(run->to[1].bytes[COUNT_ANON] - run->to[0].bytes[COUNT_ANON]),
                     (uint64_t)run->from[0].bytes[COUNT_ANON]);
        if (calls < (max_bytes ? 16 * MIB / max_bytes : 3))
                failed("%s: all of it in %u calls", shape, calls);
        finish(run, "budgets");
}

/* Only what is in the ranges; the rest is not even counted. */
static void test_ranges(Run *run, const char *shape, uint64_t unit)
{
        struct chargehand_range ranges[2];
        struct chargehand_move move;
        uint64_t start_at;

        start(run, shape, 16 * MIB);
        start_at = run->holder.regions.region[0].start;
        ranges[0] = (struct chargehand_range){ start_at + 2 * MIB, start_at + 4 * MIB };
        ranges[1] = (struct chargehand_range){ start_at + 8 * MIB, start_at + 8 * MIB + unit };
        look(run, &run->stage.a, &run->stage.b, 0);
        move = request(run);
        move.ranges = (uintptr_t)ranges;
        move.n_ranges = 2;
        expect_move(run, shape, &move, CHARGEHAND_STOP_DONE);
        look(run, &run->stage.a, &run->stage.b, 1);
        expect_transfer(shape, run->from, run->to, run->parent);
        expect_value(shape, "moved in ranges", sum_moved(&move), 2 * MIB + unit);
        expect_value(shape, "left in ranges", sum_left(&move), 0);

        /* half of a huge page cannot move, and does not take the other half along */
        ranges[0] = (struct chargehand_range){ start_at + 12 * MIB + PAGE, start_at + 13 * MIB };
        move = request(run);
        move.ranges = (uintptr_t)ranges;
        move.n_ranges = 1;
        expect_move(run, shape, &move, CHARGEHAND_STOP_DONE);
        expect_value(shape, "moved of a part", sum_moved(&move), unit == PAGE ? MIB - PAGE : 0);
        finish(run, "ranges");
}

static void test_kinds(Run *run)
{
        struct chargehand_move move;

        start(run, "huge", 16 * MIB);
        move = request(run);
        move.kinds = CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_ANON);
        expect_move(run, "kinds", &move, CHARGEHAND_STOP_DONE);
        expect_value("kinds", "huge pages moved", move.moved[CHARGEHAND_KIND_ANON_THP], 0);
        if (move.left[CHARGEHAND_LEFT_NOT_ASKED] < 16 * MIB)
                failed("kinds: %llu bytes were not asked for",
                       (unsigned long long)move.left[CHARGEHAND_LEFT_NOT_ASKED]);
        finish(run, "kinds");
}

/* The source was removed; its pages are on its account still (to 7.0), or its parent's (from 7.1). */
static void test_removed_source(Run *run)
{
        struct chargehand_move move;
        Group source;

        stage_open(&run->stage, "/m");
        run->kinds = move_kinds(run->device);
        source = group_new("/m/s/c");
        if (holder_start(&run->holder, &source, "small", 8 * MIB) < 0)
                die("no small pages");
        group_add(&run->stage.b, run->holder.pid);
        if (group_remove(&source) < 0)
                failed("a removed source: cannot remove %s", source.path);
        if (kernel_version() >= 701) {
                const uint64_t limit = now_usec() + 30000000;

                source = group_new("/m/s");
                while (map_bytes(run->device, run->holder.pidfd, source.id, ANON_KINDS) < 8 * MIB &&
                       now_usec() < limit)
                        (void)usleep(20000);
        }
        move = move_new(run->holder.pidfd, -1, run->stage.b.fd, run->kinds);
        move.from_id = source.id;
        expect_move(run, "a removed source", &move, CHARGEHAND_STOP_DONE);
        if (sum_moved(&move) < 8 * MIB)
                failed("a removed source: %llu bytes moved", (unsigned long long)sum_moved(&move));
        if (kernel_version() < 701 && wait_dying(run->stage.dying) < 0)
                failed("a removed source: it is still there, with nothing on its account");
        source.fd = safe_close(source.fd);
        source = group_new("/m/s");
        if (group_remove(&source) < 0)
                failed("cannot remove %s", source.path);
        finish(run, "a removed source");
}

/* Between a group and its own parent. */
static void test_parent_and_child(Run *run)
{
        struct chargehand_move move;
        Picture b[2];

        start(run, "small", 16 * MIB);
        for (int up = 1; up >= 0; up--) {
                const Group *a = &run->stage.a, *parent = &run->stage.parent;

                stage_picture(&run->stage, a, &run->from[0]);
                stage_picture(&run->stage, parent, &run->parent[0]);
                stage_picture(&run->stage, &run->stage.b, &b[0]);
                move = move_new(run->holder.pidfd, (up ? a : parent)->fd, (up ? parent : a)->fd,
                                run->kinds);
                expect_move(run, up ? "to the parent" : "from the parent", &move,
                            CHARGEHAND_STOP_DONE);
                stage_picture(&run->stage, a, &run->from[1]);
                stage_picture(&run->stage, parent, &run->parent[1]);
                expect_value(up ? "to the parent" : "from the parent", "anon of both",
                             (uint64_t)run->parent[1].bytes[COUNT_ANON],
                             (uint64_t)run->parent[0].bytes[COUNT_ANON]);
                if (sum_moved(&move) < 16 * MIB)
                        failed("parent and child: %llu bytes moved",
                               (unsigned long long)sum_moved(&move));
                expect_value("parent and child", "anon of the child",
                             (uint64_t)llabs(run->from[1].bytes[COUNT_ANON] -
                                             run->from[0].bytes[COUNT_ANON]),
                             move.moved[CHARGEHAND_KIND_ANON] + move.moved[CHARGEHAND_KIND_ANON_THP]);
        }
        finish(run, "parent and child");
}

int main(int argc, char **argv)
{
        Run run = { 0 };

        shape_main(argc, argv);
        run.device = device_open();
        all_or_nothing(&run, "small");
        all_or_nothing(&run, "huge");
        test_fits(&run);
        test_ancestor(&run);
        test_full_parent(&run);
        test_high(&run);
        test_swap_max(&run);
        test_budget(&run, "small", 3 * MIB + PAGE, 0, PAGE);
        test_budget(&run, "huge", 3 * MIB + PAGE, 0, HUGE_BYTES);
        test_budget(&run, "small", 0, 1, 0);
        test_ranges(&run, "small", PAGE);
        test_ranges(&run, "huge", HUGE_BYTES);
        test_kinds(&run);
        test_removed_source(&run);
        test_parent_and_child(&run);
        return failures() != 0;
}
