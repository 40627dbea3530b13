/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves memory to and fro between two groups beside everything else that the kernel does with memory:
 *
 *     prog-module-stress SECONDS [SEED [shared-huge]]
 *
 *     /s ─┬─ a ◀── workers' memory, moved by MOVERS at once ──▶ b
 *         ├─ c…     a target that is removed in mid-move, again and again
 *         └─ poke
 *
 * Workers and movers are killed in mid-move. At the end all memory held what it should, every count
 * of both groups is 0, no removed group is left.
 *
 * With "shared-huge" shared memory is collapsed to huge pages as well. Until 6.12 the kernel leaves
 * shmem and file of the small pages with the group they were charged to, and takes them off the one that
 * is charged for the huge page: only the sum of the groups is right then, with or without the module.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "prog-module-stress.h"

enum {
        TURN_USEC = 20000,
        KILL_EVERY = 10, /* turns */
};

typedef struct Play {
        Stage stage;
        Shared *shared;
        int shared_fd, device;
        uint32_t kinds;
        uint64_t random;
        pid_t movers[MOVERS], disturber;
        uint32_t workers_died;
} Play;

/* ---- movers ---- */

static void note_result(Shared *shared, const struct chargehand_move *move, int r)
{
        count(&shared->calls, 1);
        count(&shared->errors[-r < ERRNOS ? -r : ERRNOS - 1], 1);
        if (r < 0 && r != -EINTR)
                return;
        count(&shared->stops[move->stop < OUTCOMES ? move->stop : OUTCOMES - 1], 1);
        count(&shared->returned, move->returned);
        for (int i = 0; i < CHARGEHAND_KINDS; i++)
                count(&shared->moved[i], move->moved[i]);
        for (int i = 0; i < CHARGEHAND_LEFTS; i++)
                count(&shared->left[i], move->left[i]);
        if (move->lock_max_nsec > shared->lock_max_nsec)
                shared->lock_max_nsec = move->lock_max_nsec;
}

static int is_expected(int r, int target_may_go)
{
        return r == 0 || r == -ESRCH || r == -EINTR || (target_may_go && r == -ENODEV);
}

static void random_options(Play *play, struct chargehand_move *move)
{
        uint64_t *random = &play->random;

        if (random_below(random, 2))
                move->flags |= CHARGEHAND_MOVE_SHARED;
        if (random_below(random, 4) == 0)
                move->flags |= CHARGEHAND_MOVE_ALL;
        if (random_below(random, 16) == 0)
                move->flags |= CHARGEHAND_MOVE_DRY;
        if (random_below(random, 3) == 0)
                move->kinds &= (uint32_t)random_below(random, CHARGEHAND_MOVE_KINDS) | 1;
        if (random_below(random, 2))
                move->chunk_pages = 512 + (uint32_t)random_below(random, 1024);
        if (random_below(random, 8) == 0)
                move->max_bytes = PAGE + random_below(random, 4 * MIB);
        if (random_below(random, 8) == 0)
                move->max_nsec = random_below(random, 10000000);
}

/* A new group, which somebody else removes while memory moves there; and back from where that went. */
static void move_to_removed(Play *play, int pidfd, int number)
{
        char path[64];
        struct chargehand_move move;
        Group c;
        pid_t remover;
        int r;

        (void)snprintf(path, sizeof(path), "/s/c%d", number);
        c = group_new(path);
        remover = fork();
        if (remover == 0) {
                (void)usleep((useconds_t)random_below(&play->random, 20000));
                (void)rmdir(c.path);
                _exit(0);
        }
        move = move_new(pidfd, play->stage.a.fd, c.fd, play->kinds);
        random_options(play, &move);
        r = device_move(play->device, &move);
        note_result(play->shared, &move, r);
        if (!is_expected(r, 1))
                failed("MOVE to a group that is removed: %s", strerror(-r));
        (void)waitpid(remover, NULL, 0);
        move = move_new(pidfd, -1, play->stage.a.fd, play->kinds);
        move.from_id = c.id;
        r = device_move(play->device, &move);
        if (!is_expected(r, 0) && r != -ENOENT)
                failed("MOVE from a removed group: %s", strerror(-r));
        (void)close(c.fd);
}

static void move_worker(Play *play, int number)
{
        const Stage *stage = &play->stage;
        const pid_t pid = play->shared->workers[random_below(&play->random, WORKERS)];
        const int forward = (int)random_below(&play->random, 2);
        const Group *from = forward ? &stage->a : &stage->b, *to = forward ? &stage->b : &stage->a;
        struct chargehand_move move;
        int pidfd, r;

        pidfd = pid > 0 ? pidfd_of(pid) : -1;
        if (pidfd < 0)
                return;
        if (random_below(&play->random, 4) == 0) {
                char path[256], text[16];

                (void)snprintf(path, sizeof(path), "%s/cgroup.procs", to->path);
                (void)snprintf(text, sizeof(text), "%d", (int)pid);
                write_text(path, text);
        }
        if (random_below(&play->random, 8) == 0) {
                move_to_removed(play, pidfd, number);
                (void)close(pidfd);
                return;
        }
        move = move_new(pidfd, from->fd, to->fd, play->kinds);
        random_options(play, &move);
        r = device_move(play->device, &move);
        note_result(play->shared, &move, r);
        if (!is_expected(r, 0))
                failed("MOVE: %s", strerror(-r));
        (void)close(pidfd);
}

static void look_at_worker(Play *play)
{
        const pid_t pid = play->shared->workers[random_below(&play->random, WORKERS)];
        int pidfd = pid > 0 ? pidfd_of(pid) : -1;
        static struct chargehand_map_row rows[512];
        struct chargehand_map map = { .size = sizeof(map),
                                      .flags = (uint32_t)random_below(&play->random, 2),
                                      .pidfd = pidfd,
                                      .n_rows = ELEMENTSOF(rows),
                                      .rows = (uintptr_t)rows };
        int r;

        if (pidfd < 0)
                return;
        r = device_map(play->device, &map);
        if (r < 0 && r != -ESRCH && r != -EINTR)
                failed("MAP: %s", strerror(-r));
        (void)close(pidfd);
}

static pid_t start_child(Play *play, void (*run)(Play *play, int number), int number)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        play->random ^= (uint64_t)getpid() * 0x9e3779b97f4a7c15ull;
        play->device = device_open();
        while (!play->shared->stop)
                run(play, number);
        _exit(failures() ? 1 : 0);
}

static void mover_turn(Play *play, int number)
{
        if (random_below(&play->random, 8) == 0)
                look_at_worker(play);
        move_worker(play, number);
        if (failures())
                _exit(1);
}

static void disturber_turn(Play *play, int number)
{
        (void)number;
        disturb(&play->stage, play->shared, &play->random);
        (void)usleep((useconds_t)random_below(&play->random, 50000));
}

/* ---- workers ---- */

static void start_worker(Play *play, int i)
{
        const Group *group = random_below(&play->random, 2) ? &play->stage.a : &play->stage.b;
        char texts[2][32];
        pid_t pid;

        (void)snprintf(texts[0], sizeof(texts[0]), "%llu",
                       (unsigned long long)next_random(&play->random));
        (void)snprintf(texts[1], sizeof(texts[1]), "%d", play->shared_fd);
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                group_add(group, getpid());
                (void)execl("/proc/self/exe", "prog-module-stress", "--worker", texts[0], texts[1],
                            NULL);
                _exit(1);
        }
        play->shared->workers[i] = pid;
}

static int find_worker(const Play *play, pid_t pid)
{
        for (int i = 0; i < WORKERS; i++)
                if (play->shared->workers[i] == pid)
                        return i;
        return -ENOENT;
}

static int was_killed(int status)
{
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void expect_end(pid_t pid, int status)
{
        if (status != 0 && !was_killed(status))
                failed("process %d ended with %#x (%x00: its memory was changed)", (int)pid,
                       (unsigned)status, WORKER_BAD);
}

/* Who died is started anew; who failed is told of. */
static void reap(Play *play)
{
        int status, i;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                expect_end(pid, status);
                i = find_worker(play, pid);
                if (i >= 0) {
                        play->workers_died++;
                        start_worker(play, i);
                }
                for (i = 0; i < MOVERS; i++)
                        if (play->movers[i] == pid)
                                play->movers[i] = start_child(play, mover_turn, i);
        }
}

static void wait_for(pid_t pid)
{
        int status;

        if (pid > 0 && waitpid(pid, &status, 0) == pid)
                expect_end(pid, status);
}

static void wait_for_all(Play *play)
{
        for (int i = 0; i < WORKERS; i++)
                wait_for(play->shared->workers[i]);
        for (int i = 0; i < MOVERS; i++)
                wait_for(play->movers[i]);
        wait_for(play->disturber);
}

static void kill_somebody(Play *play)
{
        pid_t pid;

        if (random_below(&play->random, 2))
                pid = play->movers[random_below(&play->random, MOVERS)];
        else
                pid = play->shared->workers[random_below(&play->random, WORKERS)];
        if (pid > 0 && kill(pid, SIGKILL) == 0)
                count(&play->shared->kills, 1);
}

/* ---- the play ---- */

static void print_actions(const char *who, const char *(*name)(size_t), volatile uint64_t *done,
                          volatile uint64_t *ignored)
{
        (void)printf("-- %s:", who);
        for (size_t i = 0; name(i); i++)
                (void)printf(" %s %llu/%llu", name(i), (unsigned long long)done[i],
                             (unsigned long long)(done[i] + ignored[i]));
        (void)printf("\n");
}

static void print_figures(const Play *play)
{
        const Shared *s = play->shared;
        uint64_t moved = 0;

        print_actions("workers", worker_action_name, play->shared->worker_actions,
                      play->shared->worker_ignored);
        print_actions("machine", disturb_action_name, play->shared->disturb_actions,
                      play->shared->disturb_ignored);
        (void)printf("-- moves: %llu; MiB by kind", (unsigned long long)s->calls);
        for (int i = 0; i < CHARGEHAND_KINDS; i++) {
                (void)printf(" %llu", (unsigned long long)(s->moved[i] / MIB));
                moved += s->moved[i];
        }
        (void)printf("; MiB left by reason");
        for (int i = 0; i < CHARGEHAND_LEFTS; i++)
                (void)printf(" %llu", (unsigned long long)(s->left[i] / MIB));
        (void)printf("; ends by reason");
        for (int i = 0; i < OUTCOMES / 2; i++)
                (void)printf(" %llu", (unsigned long long)s->stops[i]);
        (void)printf("; errors");
        for (int i = 1; i < ERRNOS; i++)
                if (s->errors[i])
                        (void)printf(" %s %llu", strerrorname_np(i), (unsigned long long)s->errors[i]);
        (void)printf("\n-- moved back %llu MiB, lock %llu us at most, %llu pages checked, %llu killed, %u workers lived\n",
                     (unsigned long long)(s->returned / MIB),
                     (unsigned long long)(s->lock_max_nsec / 1000),
                     (unsigned long long)s->pages_checked, (unsigned long long)s->kills,
                     play->workers_died);
        (void)fflush(stdout);
        if (moved == 0)
                failed("nothing was ever moved");
}

static void perform(Play *play, uint64_t seconds)
{
        const uint64_t until = now_usec() + seconds * 1000000;

        for (int i = 0; i < WORKERS; i++)
                start_worker(play, i);
        for (int i = 0; i < MOVERS; i++)
                play->movers[i] = start_child(play, mover_turn, i);
        play->disturber = start_child(play, disturber_turn, 0);
        for (uint64_t turn = 1; now_usec() < until && !failures(); turn++) {
                (void)usleep(TURN_USEC);
                reap(play);
                if (turn % KILL_EVERY == 0)
                        kill_somebody(play);
        }
        play->shared->stop = 1;
}

/* Until a movement's last children are gone: c0, c1, … must not be there any more. */
static void remove_targets(Play *play)
{
        for (int i = 0; i < MOVERS; i++) {
                char path[256];

                (void)snprintf(path, sizeof(path), "%s/c%d", play->stage.parent.path, i);
                (void)rmdir(path);
        }
}

/* Movers that were killed leave the remover behind; it is nobody's child. */
static void wait_for_removers(void)
{
        (void)usleep(100000);
}

static void expect_empty_groups(Play *play)
{
        group_set(&play->stage.a, "memory.max", "0");
        group_set(&play->stage.b, "memory.max", "0");
        if (play->shared->shared_huge && kernel_version() < 701)
                return;
        expect_empty(&play->stage, &play->stage.a, "stress");
        expect_empty(&play->stage, &play->stage.b, "stress");
}

int main(int argc, char **argv)
{
        static Play play;
        uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 40;

        if (argc == 4 && streq(argv[1], "--worker"))
                worker_main(strtoull(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10));
        play.random = argc > 2 && *argv[2] ? strtoull(argv[2], NULL, 10) : now_usec();
        (void)printf("-- seed %llu\n", (unsigned long long)play.random);
        play.shared_fd = memfd_create("figures", 0);
        if (play.shared_fd < 0 || ftruncate(play.shared_fd, sizeof(Shared)) < 0)
                die("memfd: %s", strerror(errno));
        play.shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, play.shared_fd, 0);
        if (play.shared == MAP_FAILED)
                die("mmap: %s", strerror(errno));
        memset((void *)play.shared, 0, sizeof(Shared));
        play.shared->shared_huge = argc > 3 && streq(argv[3], "shared-huge");
        play.device = device_open();
        play.kinds = move_kinds(play.device);
        stage_open(&play.stage, "/s");
        (void)fflush(stdout);
        perform(&play, seconds);
        wait_for_all(&play);
        disturb_end(&play.stage);
        wait_for_removers();
        remove_targets(&play);
        print_figures(&play);
        expect_empty_groups(&play);
        stage_close(&play.stage);
        return failures() != 0;
}
