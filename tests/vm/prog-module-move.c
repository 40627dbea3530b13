/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves memory of every kind from one group to another and back, and holds the kernel's accounts
 * against what the module says it did:
 *
 *     prog-module-move [SHAPE…]
 *
 *     /m ─┬─ a ── a holder's memory ──▶ b ──▶ a
 *         ├─ b
 *         └─ poke   makes the kernel add its counts up
 *
 * The holder is idle, so all is exact: each count of memory.stat that leaves one group comes to
 * the other, and the parent's do not change.
 */

#include "prog-module.h"

enum {
        NOTHING = -1,
        NOISE_BYTES = 1 << 20, /* of the program and its libraries */
        TRIPS = 5,
};

typedef struct Scenario {
        const char *shape;
        uint64_t bytes;
        int moved;      /* CHARGEHAND_KIND_*: all of it moves as that, or NOTHING */
        int left;       /* CHARGEHAND_LEFT_*: all of it stays for that reason, or NOTHING */
        uint32_t flags; /* of MOVE */
        int oldest;     /* kernel */
} Scenario;

/* Half of it moves, half stays: given by both. */
static const Scenario scenarios[] = {
        { "small",          16 * MIB, CHARGEHAND_KIND_ANON,     NOTHING,                 0, 601 },
        { "huge",           16 * MIB, CHARGEHAND_KIND_ANON_THP, NOTHING,                 0, 601 },
        { "remapped",       8 * MIB,  CHARGEHAND_KIND_ANON,     NOTHING,                 0, 601 },
        { "protected",      8 * MIB,  NOTHING,                  NOTHING,                 0, 601 },
        { "partial",        8 * MIB,  CHARGEHAND_KIND_ANON,     NOTHING,                 0, 601 },
        { "mthp",           8 * MIB,  CHARGEHAND_KIND_ANON,     NOTHING,                 0, 612 },
        { "locked",         16 * MIB, NOTHING,                  NOTHING,                 0, 601 },
        { "pinned",         4 * MIB,  CHARGEHAND_KIND_ANON,     NOTHING,                 0, 601 },
        { "pinned-huge",    4 * MIB,  NOTHING,                  CHARGEHAND_LEFT_PINNED,  0, 601 },
        { "forked",         8 * MIB,  NOTHING,                  CHARGEHAND_LEFT_SHARED,  0, 601 },
        { "forked",         8 * MIB,  CHARGEHAND_KIND_ANON,     NOTHING,
          CHARGEHAND_MOVE_SHARED,                                                           601 },
        { "forked-huge",    8 * MIB,  NOTHING,                  CHARGEHAND_LEFT_SHARED,
          CHARGEHAND_MOVE_SHARED,                                                           601 },
        { "forked-written", 8 * MIB,  CHARGEHAND_KIND_ANON,     CHARGEHAND_LEFT_SHARED,  0, 601 },
        { "memfd",          8 * MIB,  CHARGEHAND_KIND_SHMEM,    NOTHING,                 0, 601 },
        { "memfd-huge",     8 * MIB,  CHARGEHAND_KIND_SHMEM,    NOTHING,                 0, 601 },
        { "memfd-twice",    4 * MIB,  CHARGEHAND_KIND_SHMEM,    NOTHING,
          CHARGEHAND_MOVE_SHARED,                                                           601 },
        { "shared-anon",    8 * MIB,  CHARGEHAND_KIND_SHMEM,    NOTHING,                 0, 601 },
        { "file",           4 * MIB,  NOTHING,                  NOTHING,                 0, 601 },
        { "file-dirty",     4 * MIB,  NOTHING,                  CHARGEHAND_LEFT_DIRTY,   0, 601 },
        { "ksm",            4 * MIB,  NOTHING,                  CHARGEHAND_LEFT_KSM,     0, 601 },
        { "swap",           8 * MIB,  CHARGEHAND_KIND_SWAP,     NOTHING,                 0, 601 },
        { "swapcache",      8 * MIB,  NOTHING,                  NOTHING,                 0, 601 },
        { "sparse",         64 * MIB, NOTHING,                  NOTHING,                 0, 601 },
        { "zero",           4 * MIB,  NOTHING,                  NOTHING,                 0, 601 },
};

typedef struct Run {
        Stage *stage;
        int device;
        uint32_t kinds;
        const Scenario *scenario;
        Holder holder;
} Run;

/* from[2], to[2], parent[2]: before and after */
typedef struct Accounts {
        Picture from[2], to[2], parent[2];
} Accounts;

static void look(Run *run, const Group *from, const Group *to, Accounts *accounts, int when)
{
        stage_picture(run->stage, from, &accounts->from[when]);
        stage_picture(run->stage, to, &accounts->to[when]);
        stage_picture(run->stage, &run->stage->parent, &accounts->parent[when]);
}

static int64_t came(const Accounts *accounts, Count count)
{
        return accounts->to[1].bytes[count] - accounts->to[0].bytes[count];
}

static void expect_bytes(const char *what, const char *figure, int64_t got, uint64_t want)
{
        if (got != (int64_t)want)
                failed("%s: %s: %lld bytes by the accounts, %llu by the module", what, figure,
                       (long long)got, (unsigned long long)want);
}

/* The accounts say what the module says. */
static void expect_accounts(const char *what, const Accounts *accounts,
                            const struct chargehand_move *move)
{
        const __u64 *moved = move->moved;
        uint64_t resident = sum_moved(move) - moved[CHARGEHAND_KIND_SWAP];

        /* A page that is mapped in part moves wholly, and counts in "anon" as far as it is mapped. */
        if (!strstr(what, "partial"))
                expect_bytes(what, "anon", came(accounts, COUNT_ANON),
                             moved[CHARGEHAND_KIND_ANON] + moved[CHARGEHAND_KIND_ANON_THP]);
        expect_bytes(what, "anon_thp", came(accounts, COUNT_ANON_THP), moved[CHARGEHAND_KIND_ANON_THP]);
        expect_bytes(what, "shmem", came(accounts, COUNT_SHMEM), moved[CHARGEHAND_KIND_SHMEM]);
        expect_bytes(what, "file", came(accounts, COUNT_FILE),
                     moved[CHARGEHAND_KIND_SHMEM] + moved[CHARGEHAND_KIND_FILE]);
        expect_bytes(what, "all lists",
                     came(accounts, COUNT_ANON_LRU) + came(accounts, COUNT_FILE_LRU) +
                             came(accounts, COUNT_UNEVICTABLE),
                     resident);
        expect_bytes(what, "swap", came(accounts, COUNT_SWAP), moved[CHARGEHAND_KIND_SWAP]);
}

/* Pages that have their place in swap give it up when they move: the sum of both groups falls by
 * that much, and nothing else may. */
static void allow_swap_given_up(Accounts *accounts)
{
        static const Count counts[] = { COUNT_SWAP, COUNT_SWAPCACHED };

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                accounts->from[1].bytes[counts[i]] = accounts->from[0].bytes[counts[i]];
                accounts->to[1].bytes[counts[i]] = accounts->to[0].bytes[counts[i]];
                accounts->parent[1].bytes[counts[i]] = accounts->parent[0].bytes[counts[i]];
        }
}

static struct chargehand_move do_move(Run *run, const Group *from, const Group *to, uint32_t flags)
{
        struct chargehand_move move = move_new(run->holder.pidfd, from->fd, to->fd, run->kinds);
        int r;

        move.flags = run->scenario->flags | flags;
        r = device_move(run->device, &move);
        if (r < 0)
                failed("%s: MOVE: %s", run->scenario->shape, strerror(-r));
        else if (move.stop != CHARGEHAND_STOP_DONE)
                failed("%s: MOVE stopped by %u", run->scenario->shape, move.stop);
        return move;
}

/* What the scenario promises of the first move. */
static void expect_promise(const Run *run, const struct chargehand_move *move)
{
        const Scenario *s = run->scenario;
        const int half = s->moved != NOTHING && s->left != NOTHING;
        const uint64_t want = half ? s->bytes / 2 : s->bytes;
        uint64_t noise = 0;

        if (s->moved != NOTHING && !(run->kinds & CHARGEHAND_KIND_BIT(s->moved))) {
                /* a kernel that does not know how: it must say so */
                if (s->moved == CHARGEHAND_KIND_SWAP && move->left[CHARGEHAND_LEFT_SWAP] == 0)
                        failed("%s: not a word about the swap that stays", s->shape);
                return;
        }
        if (s->moved != NOTHING && (move->moved[s->moved] < want - (s->moved == CHARGEHAND_KIND_SWAP ? want / 8 : 0) ||
                                    move->moved[s->moved] > want + NOISE_BYTES))
                failed("%s: %llu bytes moved, want %llu", s->shape,
                       (unsigned long long)move->moved[s->moved], (unsigned long long)want);
        for (int i = 0; i < CHARGEHAND_LEFTS; i++) {
                if (i != s->left)
                        noise += move->left[i];
                else if (move->left[i] + PAGE < want ||
                         move->left[i] > want + NOISE_BYTES)
                        failed("%s: %llu bytes left for that reason, want %llu", s->shape,
                               (unsigned long long)move->left[i], (unsigned long long)want);
        }
        if (noise > (s->moved == NOTHING ? s->bytes + NOISE_BYTES : NOISE_BYTES / 2))
                failed("%s: %llu bytes left for other reasons", s->shape, (unsigned long long)noise);
}

/* What is mapped of the target's by the module's own MAP. */
static void expect_map(const Run *run, const Group *to, const struct chargehand_move *move)
{
        const uint32_t kinds = ANON_KINDS | CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SHMEM);
        uint64_t got = map_bytes(run->device, run->holder.pidfd, to->id, kinds);
        uint64_t want = move->moved[CHARGEHAND_KIND_ANON] + move->moved[CHARGEHAND_KIND_ANON_THP] +
                        move->moved[CHARGEHAND_KIND_SHMEM];

        /* What was there before, and what it touched since it came, such as its stack. */
        if (got < want || got > want + move->already + 16 * PAGE)
                failed("%s: MAP says %llu bytes of the target's, MOVE %llu", run->scenario->shape,
                       (unsigned long long)got, (unsigned long long)want);
}

/* One way; `ret` is what the module said. */
static void one_way(Run *run, const char *what, const Group *from, const Group *to,
                    struct chargehand_move *ret)
{
        const int swapcache = streq(run->scenario->shape, "swapcache");
        struct chargehand_move dry, again;
        Accounts accounts;

        group_add_all(to, from);
        look(run, from, to, &accounts, 0);
        dry = do_move(run, from, to, CHARGEHAND_MOVE_DRY);
        *ret = do_move(run, from, to, 0);
        look(run, from, to, &accounts, 1);
        move_print(what, ret);
        if (swapcache)
                allow_swap_given_up(&accounts);
        expect_transfer(what, accounts.from, accounts.to, accounts.parent);
        expect_accounts(what, &accounts, ret);
        again = do_move(run, from, to, 0);
        if (sum_moved(&again) != 0 && again.left[CHARGEHAND_LEFT_BUSY] == 0 &&
            ret->left[CHARGEHAND_LEFT_BUSY] == 0)
                failed("%s: the second call moved %llu bytes more", what,
                       (unsigned long long)sum_moved(&again));
        if (strstr(what, "partial"))
                return;
        expect_map(run, to, ret);
        if (sum_moved(&dry) + ret->left[CHARGEHAND_LEFT_SHARED] + ret->left[CHARGEHAND_LEFT_PINNED] +
                    ret->left[CHARGEHAND_LEFT_BUSY] + ret->left[CHARGEHAND_LEFT_LARGE] <
            sum_moved(ret))
                failed("%s: %llu bytes moved, %llu were foreseen", what,
                       (unsigned long long)sum_moved(ret), (unsigned long long)sum_moved(&dry));
        if (again.already < sum_moved(ret))
                failed("%s: %llu bytes were there already, %llu have moved", what,
                       (unsigned long long)again.already, (unsigned long long)sum_moved(ret));
}

static void there_and_back(Run *run)
{
        Group *a = &run->stage->a, *b = &run->stage->b;
        struct chargehand_move there, back;
        char what[64];

        (void)snprintf(what, sizeof(what), "%s a to b", run->scenario->shape);
        one_way(run, what, a, b, &there);
        expect_promise(run, &there);
        if (there.left[CHARGEHAND_LEFT_BUSY] != 0)
                failed("%s: %llu bytes busy in an idle process", what,
                       (unsigned long long)there.left[CHARGEHAND_LEFT_BUSY]);
        (void)snprintf(what, sizeof(what), "%s b to a", run->scenario->shape);
        one_way(run, what, b, a, &back);
        if (sum_moved(&back) < sum_moved(&there))
                failed("%s: %llu bytes came back, %llu went", what,
                       (unsigned long long)sum_moved(&back), (unsigned long long)sum_moved(&there));
}

/* A page lost per trip is found at the end, when the groups must be empty. */
static void commute(Run *run)
{
        Group *a = &run->stage->a, *b = &run->stage->b;

        for (int i = 0; i < TRIPS; i++) {
                (void)do_move(run, a, b, 0);
                (void)do_move(run, b, a, 0);
        }
        (void)do_move(run, a, b, 0); /* and dies with its account elsewhere than where it is */
}

static void run_scenario(Stage *stage, int device, const Scenario *scenario)
{
        Run run = { .stage = stage,
                    .device = device,
                    .kinds = move_kinds(device),
                    .scenario = scenario };
        unsigned before = failures();

        if (kernel_version() < scenario->oldest)
                return;
        if (holder_start(&run.holder, &stage->a, scenario->shape, scenario->bytes) < 0) {
                (void)printf("-- %s: not on this machine\n", scenario->shape);
                return;
        }
        holder_step(&run.holder);
        there_and_back(&run);
        commute(&run);
        holder_check(&run.holder, scenario->shape);
        holder_stop(&run.holder);
        expect_empty(stage, &stage->a, scenario->shape);
        expect_empty(stage, &stage->b, scenario->shape);
        (void)printf("%s %s%s\n", failures() == before ? "ok  " : "NOT ", scenario->shape,
                     scenario->flags & CHARGEHAND_MOVE_SHARED ? " (shared)" : "");
        (void)fflush(stdout);
}

static int is_wanted(const char *shape, char **names)
{
        for (; *names; names++)
                if (streq(*names, shape))
                        return 1;
        return 0;
}

int main(int argc, char **argv)
{
        int device;
        Stage stage;

        shape_main(argc, argv);
        device = device_open();
        for (size_t i = 0; i < ELEMENTSOF(scenarios); i++) {
                if (argc > 1 && !is_wanted(scenarios[i].shape, argv + 1))
                        continue;
                stage_open(&stage, "/m");
                run_scenario(&stage, device, &scenarios[i]);
                stage_close(&stage);
        }
        return failures() != 0;
}
