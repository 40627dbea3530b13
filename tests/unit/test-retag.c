/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The module backend over a model of the module: what a plan says, what a move does, and what a rollback brings back. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "error.h"
#include "fake-cgroup.h"
#include "fake-module.h"
#include "group.h"
#include "move.h"
#include "retag.h"
#include "util.h"

#define PAGE UINT64_C(4096)
#define HUGE_BYTES (512 * PAGE)
#define BASE (UINT64_C(1) << 32)
#define MANY 64

/* A hierarchy with the groups /from, /other and /to, this process as what is moved, and its memory as the model has it. */
typedef struct Stage {
        FakeCgroup *cgroup;
        FakePage pages[MANY];
        FakeModule fake;
        ch_plan *plan;
        ch_move *move;
        uint64_t from, other, to;
        int by_id; /* groups are not to be opened */
} Stage;

static uint64_t id_of(ch_tree *tree, const char *path)
{
        _cleanup_(ch_group_unrefp) ch_group *group = NULL;

        assert_int_equal(ch_tree_open_group(tree, path, &group, NULL), 0);
        return ch_group_get_id(group);
}

static void stage_start(Stage *s, ch_policy policy)
{
        static const ch_move_options defaults = CH_MOVE_OPTIONS_INIT;
        ch_plan *plan = calloc(1, sizeof(*plan));

        *s = (Stage){ .fake = FAKE_MODULE_INIT, .cgroup = fake_new("memory"), .plan = plan };
        s->fake.pages = s->pages;
        fake_put_memory(s->cgroup, "/from", "max", 1 << 30);
        fake_put_memory(s->cgroup, "/other", "max", 1 << 30);
        fake_put_memory(s->cgroup, "/to", "max", 0);
        assert_int_equal(ch_tree_open(fake_root(s->cgroup), CH_TREE_ANY_FS, &plan->tree, NULL), 0);
        assert_int_equal(ch_tree_open_group(plan->tree, "/to", &plan->target, NULL), 0);
        assert_int_equal(ch_procset_new(&plan->set), 0);
        assert_true(ch_procset_add_pid(plan->set, getpid(), NULL) > 0);
        s->from = id_of(plan->tree, "/from");
        s->other = id_of(plan->tree, "/other");
        s->to = plan->target_memcg_id = id_of(plan->tree, "/to");
        plan->options = defaults;
        plan->options.policy = policy;
        plan->charges = (Charges)CHARGES_INIT;
        plan->lca = strdup("/");
        assert_int_equal(fake_module_open(&s->fake, &plan->own_module, NULL), 0);
        plan->module = plan->own_module;
        plan->module_sought = 1;
        assert_int_equal(ch_move_new(plan, NULL, &s->move, NULL), 0);
}

static void stage_end(Stage *s)
{
        ch_move_free(s->move); /* and the plan */
        fake_free(s->cgroup);
}

/* n pages of one kind, behind those that are there. */
static void add(Stage *s, size_t n, uint64_t group_id, uint32_t kind, uint32_t flags)
{
        uint64_t bytes = kind == CHARGEHAND_KIND_ANON_THP ? HUGE_BYTES : PAGE;

        for (size_t i = 0; i < n; i++) {
                const FakePage *last = s->fake.n ? &s->pages[s->fake.n - 1] : NULL;

                assert_true(s->fake.n < MANY);
                s->pages[s->fake.n++] = (FakePage){
                        .address = last ? last->address + HUGE_BYTES : BASE,
                        .bytes = bytes,
                        .group_id = group_id,
                        .kind = kind,
                        .flags = flags,
                };
        }
}

static int open_group(uint64_t id, void *userdata)
{
        return plan_open_memcg(userdata, id);
}

/* As plan_scan_charges() does for one address space. */
static int scan(Stage *s, Charges *c, uint64_t dest_id)
{
        RetagScan scan = {
                .module = s->plan->module,
                .charges = c,
                .open_group = s->by_id ? NULL : open_group,
                .userdata = s->plan,
                .with_shared = s->plan->options.with_shared,
        };
        const ChargeMm mm = { .pid = getpid(), .dest_id = dest_id, .home_id = s->from };
        _cleanup_(closep) int to_fd = plan_open_memcg(s->plan, dest_id);
        int r;

        c->backends = s->plan->options.backends;
        r = retag_scan(&scan, &mm, 1, to_fd, NULL);
        if (r >= 0)
                r = retag_finish(&scan, NULL);
        retag_scan_done(&scan);
        return r < 0 ? r : charges_choose(c, 100);
}

static void plan(Stage *s)
{
        assert_int_equal(scan(s, &s->plan->charges, s->to), 0);
        assert_int_equal(plan_find_payers(s->plan), 0);
        assert_int_equal(scan(s, &s->move->charges, s->to), 0);
}

static uint64_t staying(const Charges *c, ch_kind kind, ch_reason reason)
{
        return c->staying[kind][reason];
}

static void test_plan_says_what_moves_and_what_stays(void **state)
{
        const Charges *c;
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 10, s.from, CHARGEHAND_KIND_ANON, 0);
        add(&s, 2, s.from, CHARGEHAND_KIND_ANON_THP, 0);
        add(&s, 3, s.from, CHARGEHAND_KIND_ANON, FAKE_SHARED);
        add(&s, 4, s.from, CHARGEHAND_KIND_SHMEM, 0);
        add(&s, 5, s.from, CHARGEHAND_KIND_SWAP, 0);
        add(&s, 2, s.from, CHARGEHAND_KIND_KSM, FAKE_SHARED);
        add(&s, 1, s.to, CHARGEHAND_KIND_ANON, 0);
        add(&s, 6, s.other, CHARGEHAND_KIND_FILE, 0);
        add(&s, 1, 0, CHARGEHAND_KIND_OTHER, 0);
        plan(&s);
        c = &s.plan->charges;
        assert_int_equal(c->movable_bytes, 2 * HUGE_BYTES + (10 + 5 + 6) * PAGE);
        assert_int_equal(staying(c, CH_KIND_ANON, CH_REASON_SHARED), 3 * PAGE);
        assert_int_equal(staying(c, CH_KIND_SHMEM, CH_REASON_SHMEM), 4 * PAGE);
        assert_int_equal(staying(c, CH_KIND_ANON, CH_REASON_KSM), 2 * PAGE);
        assert_int_equal(c->staying_bytes, 9 * PAGE);
        assert_int_equal(c->already_bytes, PAGE);
        /* swap is not resident */
        assert_int_equal(c->resident_bytes, 2 * HUGE_BYTES + (10 + 3 + 4 + 2 + 1 + 6) * PAGE);
        assert_int_equal(c->movable_bytes + c->staying_bytes + c->already_bytes, c->resident_bytes + 5 * PAGE);
        /* no huge page is needed for a moment */
        assert_true(room_extra_bytes(c) < HUGE_BYTES);
        assert_int_equal(s.fake.n_moves, 0);
        assert_true(s.fake.n_dry > 0);
        assert_int_equal(charges_sum_from(c, s.other), 6 * PAGE);
        stage_end(&s);
}

static void test_shared_when_asked(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        s.plan->options.with_shared = 1;
        add(&s, 3, s.from, CHARGEHAND_KIND_ANON, FAKE_SHARED);
        add(&s, 4, s.from, CHARGEHAND_KIND_SHMEM, FAKE_SHARED);
        plan(&s);
        assert_int_equal(s.plan->charges.movable_bytes, 7 * PAGE);
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 7 * PAGE);
        stage_end(&s);
}

/* What this kernel's module cannot move stays, and says so. */
static void test_kinds_that_it_lacks(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        s.fake.kinds &= ~CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SWAP);
        s.plan->own_module = s.plan->module = ch_module_free(s.plan->module);
        assert_int_equal(fake_module_open(&s.fake, &s.plan->own_module, NULL), 0);
        s.plan->module = s.plan->own_module;
        add(&s, 2, s.from, CHARGEHAND_KIND_ANON, 0);
        add(&s, 3, 0, CHARGEHAND_KIND_SWAP, 0);
        plan(&s);
        assert_int_equal(s.plan->charges.movable_bytes, 2 * PAGE);
        assert_int_equal(staying(&s.plan->charges, CH_KIND_SWAP, CH_REASON_SWAPPED), 3 * PAGE);
        stage_end(&s);
}

/* A group that was removed, or is outside of the tree: it has an id, and no directory. What has gone meanwhile is no error. */
static void test_payers_without_a_directory(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        s.by_id = 1;
        add(&s, 3, UINT64_C(1) << 40, CHARGEHAND_KIND_ANON, 0);
        add(&s, 2, s.from, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        assert_int_equal(s.plan->charges.movable_bytes, 5 * PAGE);
        for (size_t i = 0; i < 2; i++)
                s.pages[i].group_id = s.from;
        s.pages[2].group_id = s.to;
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 5 * PAGE);
        assert_false(s.move->charges.module_failed);
        stage_end(&s);
}

static void test_moves_in_slices(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 20, s.from, CHARGEHAND_KIND_ANON, 0);
        add(&s, 5, s.other, CHARGEHAND_KIND_ANON, 0);
        add(&s, 1, s.other, CHARGEHAND_KIND_ANON_THP, 0);
        s.fake.slice_bytes = 3 * PAGE;
        s.fake.signals = 2;
        plan(&s);
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 25 * PAGE + HUGE_BYTES);
        assert_int_equal(charges_moved_bytes(&s.move->charges), 25 * PAGE + HUGE_BYTES);
        assert_int_equal(charges_left_bytes(&s.move->charges), 0);
        assert_int_equal(s.move->moved_by[CH_BACKEND_MODULE][CH_KIND_ANON], 25 * PAGE);
        assert_int_equal(s.move->moved_by[CH_BACKEND_MODULE][CH_KIND_ANON_THP], HUGE_BYTES);
        assert_true(s.fake.n_moves >= 9);
        assert_int_equal(s.fake.n_forced, 0);
        stage_end(&s);
}

static void test_busy_pages_are_tried_again(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 6, s.from, CHARGEHAND_KIND_ANON, 0);
        s.pages[1].busy = 2;
        s.pages[2].busy = 100;
        s.pages[3].flags = FAKE_PINNED;
        plan(&s);
        assert_int_equal(s.plan->charges.movable_bytes, 6 * PAGE);
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 4 * PAGE);
        assert_int_equal(charges_left_bytes(&s.move->charges), 2 * PAGE);
        assert_int_equal(s.fake.n_moves, 5);
        stage_end(&s);
}

static void test_no_room(void **state)
{
        _cleanup_(error_freep) ch_error *err = NULL;
        Stage s;

        stage_start(&s, CH_POLICY_PARTIAL);
        add(&s, 10, s.from, CHARGEHAND_KIND_ANON, 0);
        s.fake.room_bytes = 4 * PAGE;
        plan(&s);
        assert_int_equal(move_charges(s.move, &s.move->charges, &err), -ENOSPC);
        assert_int_equal(ch_error_get_kind(err), CH_ERROR_NO_ROOM);
        assert_string_equal(ch_error_get_path(err), "/to");
        assert_int_equal(fake_module_sum(&s.fake, s.to), 4 * PAGE);
        stage_end(&s);
}

/* The module does not look at memory.high: we do, to the page. */
static void test_memory_high_is_kept(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_PARTIAL);
        fake_set(s.cgroup, "/to", "memory.high", "28672\n");
        add(&s, 10, s.from, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        s.fake.slice_bytes = 0;
        /* the model's memory.current does not move: the first slice may be as large as what is free */
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_true(s.fake.n_moves >= 2);
        fake_set(s.cgroup, "/to", "memory.current", "28672\n");
        add(&s, 1, s.from, CHARGEHAND_KIND_ANON, 0);
        charges_done(&s.move->charges);
        assert_int_equal(scan(&s, &s.move->charges, s.to), 0);
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), -ENOSPC);
        assert_int_equal(fake_module_sum(&s.fake, s.from), PAGE);
        stage_end(&s);
}

static void cancel(void *userdata)
{
        ch_move_cancel(userdata);
}

static void back(Stage *s)
{
        s->move->uncancellable = 1;
        s->move->back.only_from_id = s->to;
        assert_int_equal(scan(s, &s->move->back, s->from), 0);
        assert_int_equal(move_charges(s->move, &s->move->back, NULL), 0);
}

static void test_cancel_and_back(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 30, s.from, CHARGEHAND_KIND_ANON, 0);
        s.fake.slice_bytes = 4 * PAGE;
        plan(&s);
        s.fake.on_move = cancel;
        s.fake.userdata = s.move;
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), -ECANCELED);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 4 * PAGE);
        /* there is no room where it came from any more: it is brought back all the same */
        s.fake.room_bytes = 0;
        s.fake.on_move = NULL;
        back(&s);
        assert_int_equal(fake_module_sum(&s.fake, s.from), 30 * PAGE);
        assert_int_equal(charges_moved_bytes(&s.move->back), 4 * PAGE);
        assert_true(s.fake.n_forced > 0);
        /* told is what was moved there */
        assert_int_equal(s.move->moved_by[CH_BACKEND_MODULE][CH_KIND_ANON], 4 * PAGE);
        stage_end(&s);
}

/* Whose pages need not be remembered: those that the process's own group alone paid for. */
static void test_needs_trail(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        plan(&s);
        assert_false(move_needs_trail(&s.plan->charges, &s.plan->charges.mms[0]));
        stage_end(&s);

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 3, s.from, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        assert_false(move_needs_trail(&s.plan->charges, &s.plan->charges.mms[0]));
        stage_end(&s);

        /* it had been moved without its memory before */
        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 3, s.other, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        assert_true(move_needs_trail(&s.plan->charges, &s.plan->charges.mms[0]));
        stage_end(&s);

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 3, s.from, CHARGEHAND_KIND_ANON, 0);
        add(&s, 1, s.to, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        assert_true(move_needs_trail(&s.plan->charges, &s.plan->charges.mms[0]));
        stage_end(&s);
}

/* Two payers, and a page that the target paid for before: each gets back what was its own. */
static void test_back_to_each_payer(void **state)
{
        Stage s;
        pid_t pid = getpid();

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 3, s.from, CHARGEHAND_KIND_ANON, 0);
        add(&s, 2, s.to, CHARGEHAND_KIND_ANON, 0);
        add(&s, 4, s.other, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        /* what move_keep_trail() reads of a real process */
        s.move->trails = calloc(2, sizeof(Trail));
        s.move->n_trails = 2;
        s.move->trails[0] = (Trail){ pid, s.other, { s.pages[5].address, s.pages[8].address + PAGE } };
        s.move->trails[1] = (Trail){ pid, s.from, { s.pages[0].address, s.pages[2].address + PAGE } };
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 9 * PAGE);
        back(&s);
        assert_int_equal(fake_module_sum(&s.fake, s.from), 3 * PAGE);
        assert_int_equal(fake_module_sum(&s.fake, s.other), 4 * PAGE);
        assert_int_equal(fake_module_sum(&s.fake, s.to), 2 * PAGE);
        stage_end(&s);
}

/* The map said yes, the move says no: the other backends are to do it. */
static void test_refused_after_all(void **state)
{
        Stage s;

        stage_start(&s, CH_POLICY_RESERVE);
        add(&s, 3, s.from, CHARGEHAND_KIND_ANON, 0);
        plan(&s);
        s.fake.fail_move = EROFS;
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_true(s.move->charges.module_failed);
        s.fake.fail_move = ENODEV;
        s.move->charges.module_failed = 0;
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), -ENODEV);
        s.fake.fail_move = ESRCH;
        assert_int_equal(move_charges(s.move, &s.move->charges, NULL), 0);
        assert_false(s.move->charges.module_failed);
        stage_end(&s);
}

/* A page counts as the move's own when all its mappings were seen, and is given to one address space only. */
static void test_who_maps_a_page(void **state)
{
        SharedPages *pages;

        assert_int_equal(sharedpages_new(&pages), 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(sharedpages_count(pages, 100), 0);
        assert_int_equal(sharedpages_count(pages, 200), 0);
        assert_int_equal(sharedpages_take(pages, 100, 4), 0); /* one is outside */
        assert_int_equal(sharedpages_take(pages, 100, 3), 1);
        assert_int_equal(sharedpages_take(pages, 100, 3), 0);
        assert_int_equal(sharedpages_take(pages, 200, 0), 0); /* gone */
        assert_int_equal(sharedpages_take(pages, 300, 1), 0); /* never seen */
        assert_null(sharedpages_free(pages));
}

/* Reasons come once per mapping; no more than the map has may stay. */
static void test_settle(void **state)
{
        Charges c = CHARGES_INIT;
        Retag retag = { .group_id = 1 };

        retag.bytes[CH_KIND_ANON] = 10 * PAGE;
        retag.movable[CH_KIND_ANON] = 4 * PAGE;
        retag.left[CH_KIND_ANON][CH_REASON_SHARED] = 9 * PAGE;
        retag.left[CH_KIND_ANON][CH_REASON_LARGE] = 2 * PAGE;
        c.retags = &retag;
        c.n_retags = 1;
        retag_settle(&c);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_LARGE], 2 * PAGE);
        assert_int_equal(c.staying[CH_KIND_ANON][CH_REASON_SHARED], 4 * PAGE);

        for (unsigned i = 0; i < CHARGEHAND_LEFTS; i++)
                assert_int_not_equal(retag_reason(i), CH_REASON_FAILED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plan_says_what_moves_and_what_stays),
                cmocka_unit_test(test_shared_when_asked),
                cmocka_unit_test(test_kinds_that_it_lacks),
                cmocka_unit_test(test_payers_without_a_directory),
                cmocka_unit_test(test_moves_in_slices),
                cmocka_unit_test(test_busy_pages_are_tried_again),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_memory_high_is_kept),
                cmocka_unit_test(test_cancel_and_back),
                cmocka_unit_test(test_needs_trail),
                cmocka_unit_test(test_back_to_each_payer),
                cmocka_unit_test(test_refused_after_all),
                cmocka_unit_test(test_who_maps_a_page),
                cmocka_unit_test(test_settle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
