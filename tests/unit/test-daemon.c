/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pieces of the daemon without a bus: the hash, the model of the tree, the journal, the workers. */

#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "../../daemon/group.h"
#include "../../daemon/journal.h"
#include "../../daemon/log.h"
#include "../../daemon/rescan.h"
#include "../../daemon/worker.h"
#include "fake-cgroup.h"
#include "util.h"

static void test_hash(void **state)
{
        Hash hash = HASH_INIT;
        static char values[5000];
        size_t position = 0, n = 0;

        for (uint64_t i = 0; i < ELEMENTSOF(values); i++)
                assert_int_equal(hash_put(&hash, i * 7919, &values[i]), 0);
        for (uint64_t i = 0; i < ELEMENTSOF(values); i += 3)
                assert_ptr_equal(hash_remove(&hash, i * 7919), &values[i]);
        for (uint64_t i = 0; i < ELEMENTSOF(values); i++)
                assert_ptr_equal(hash_get(&hash, i * 7919), i % 3 ? &values[i] : NULL);
        while (hash_next(&hash, &position))
                n++;
        assert_int_equal(n, hash.n);
        assert_null(hash_get(&hash, 1));
        hash_done(&hash);
}

typedef struct Seen {
        unsigned added, removed, changed, oom;
} Seen;

static void on_added(Group *group, void *userdata)
{
        ((Seen *)userdata)->added++;
}

static void on_removed(Group *group, void *userdata)
{
        ((Seen *)userdata)->removed++;
}

static void on_changed(Groups *groups, void *userdata)
{
        ((Seen *)userdata)->changed++;
}

static void on_oom(Group *group, uint64_t count, void *userdata)
{
        ((Seen *)userdata)->oom++;
}

typedef struct Rescanned {
        int met, ended;
} Rescanned;

static void on_met(Group *group, void *userdata)
{
        ((Rescanned *)userdata)->met++;
}

static void on_rescan_ended(int r, const ch_error *error, void *userdata)
{
        assert_int_equal(r, 0);
        ((Rescanned *)userdata)->ended++;
}

/* Asked for three times: the one under way, and one more for both that came meanwhile. */
static void rescan_twice(Groups *groups)
{
        Rescanned seen = { 0 };
        RescanObserver observer = { on_met, on_rescan_ended, &seen };
        sd_event *event;
        Rescan *rescan;

        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(rescan_new(event, groups, &observer, &rescan), 0);
        for (int i = 0; i < 3; i++)
                assert_true(rescan_start(rescan) >= 0);
        while (rescan_is_running(rescan))
                assert_true(sd_event_run(event, 10000000) > 0);
        assert_int_equal(seen.ended, 2);
        assert_int_equal(rescan_count(rescan), 2);
        assert_int_equal(seen.met, 2 * (int)groups->n);
        assert_int_equal(rescan_free(rescan), 1);
        sd_event_unref(event);
}

static void test_model(void **state)
{
        _cleanup_(fake_freep) FakeCgroup *fake = fake_new("memory");
        Seen seen = { 0 };
        GroupsObserver observer = { on_added, on_removed, on_changed, on_oom, &seen };
        Group *group;
        Groups *groups;
        char path[256];
        ch_tree *tree;
        uint32_t bits;
        int n = 0;

        fake_add(fake, "/b/z", "memory");
        fake_add(fake, "/b/a", "memory");
        fake_add(fake, "/a", "memory");
        assert_int_equal(ch_tree_open(fake_root(fake), CH_TREE_ANY_FS, &tree, NULL), 0);
        assert_int_equal(groups_new(tree, &observer, &groups), 0);
        assert_int_equal(groups_scan(groups, "/", SIZE_MAX, NULL), 0);
        assert_int_equal(groups->n, 5);
        /* one that nobody told us of, with an ancestor that is new too; order stays by name */
        fake_add(fake, "/b/m/n", "memory");
        assert_non_null(groups_get(groups, "/b/m/n"));
        for (group = groups->root; group; group = group_next(groups->root, group, 0)) {
                static const char *const want[] = { "/",    "/a",     "/b",  "/b/a",
                                                    "/b/m", "/b/m/n", "/b/z" };

                assert_string_equal(group->path, want[n++]);
        }
        assert_int_equal(seen.added, 7);
        /* changes are told once */
        fake_set(fake, "/a", "cgroup.events", "populated 1\nfrozen 0\n");
        group = groups_find(groups, "/a");
        assert_int_equal(groups_refresh(groups, group), 0);
        assert_int_equal(groups_refresh(groups, group), 0);
        assert_int_equal(seen.changed, 1);
        assert_ptr_equal(groups_pop_changed(groups, &bits), group);
        assert_int_equal(bits, GROUP_CHANGED_POPULATED);
        assert_null(groups_pop_changed(groups, &bits));
        /* a scan with a bound stops there */
        fake_add(fake, "/c/d", "memory");
        assert_int_equal(groups_scan(groups, "/c", 1, NULL), -E2BIG);
        assert_int_equal(groups->n, 8);
        /* gone and come in between: reading again notices, with all below, and tells once */
        (void)snprintf(path, sizeof(path), "cd %s && mkdir e && rm -r b && mv e b",
                       fake_root(fake)); /* with an inode number of its own */
        assert_int_equal(system(path), 0);
        fake_set(fake, "/a", "cgroup.events", "populated 0\nfrozen 1\n");
        rescan_twice(groups);
        assert_int_equal(groups->n, 5);
        assert_int_equal(seen.removed, 5);
        assert_int_equal(seen.added, 10);
        assert_ptr_equal(groups_pop_changed(groups, &bits), group);
        assert_int_equal(bits, GROUP_CHANGED_POPULATED | GROUP_CHANGED_FROZEN);
        assert_null(groups_pop_changed(groups, &bits));
        assert_null(groups_get(groups, "/b/a"));
        groups_free(groups);
        ch_tree_unref(tree);
}

static int count_entry(uint32_t job, uint32_t uid, json_object *record, void *userdata)
{
        assert_int_equal(job, 5);
        assert_int_equal(uid, 1000);
        assert_string_equal(json_object_get_string(json_object_object_get(record, "target")), "/b");
        (*(int *)userdata)++;
        return 0;
}

static void test_journal(void **state)
{
        char dir[] = "/tmp/chargehand-journal-XXXXXX", command[64];
        json_object *record = json_tokener_parse("{\"target\":\"/b\"}");
        int fd, n = 0;

        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(journal_read_all(fd, count_entry, &n, NULL), 0);
        assert_int_equal(journal_write(fd, 5, 1000, CH_STEP_INTENT, record, NULL), 0);
        assert_int_equal(journal_write(fd, 5, 1000, CH_STEP_CHARGES, record, NULL), 0);
        assert_int_equal(journal_read_all(fd, count_entry, &n, NULL), 1);
        assert_int_equal(n, 1);
        journal_remove(fd, 5);
        assert_int_equal(journal_read_all(fd, count_entry, &n, NULL), 0);
        json_object_put(record);
        (void)close(fd);
        (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
        assert_int_equal(system(command), 0);
}

typedef struct Sum {
        Task task;
        atomic_int *ran;
        int *done;
        sd_event *event;
} Sum;

static void run_sum(Task *task)
{
        atomic_fetch_add(((Sum *)task)->ran, 1);
}

static void done_sum(Task *task)
{
        Sum *sum = (Sum *)task;

        if (++*sum->done == 100)
                (void)sd_event_exit(sum->event, 0);
        free(sum);
}

static void test_workers(void **state)
{
        sd_event *event;
        atomic_int ran = 0;
        int done = 0;
        Pool *pool;

        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(pool_new(event, 4, &pool), 0);
        for (int i = 0; i < 100; i++) {
                Sum *sum = calloc(1, sizeof(*sum));

                *sum = (Sum){
                        .task = {.run = run_sum, .done = done_sum},
                        .ran = &ran,
                        .done = &done,
                        .event = event
                };
                if (i == 99)
                        task_cancel(&sum->task); /* not run, but done */
                assert_int_equal(pool_submit(pool, &sum->task), 0);
        }
        assert_int_equal(sd_event_loop(event), 0);
        assert_int_equal(ran, 99);
        assert_int_equal(done, 100);
        assert_int_equal(pool_n_active(pool), 0);
        assert_in_range(pool_n_threads(pool), 1, 4);
        assert_int_equal(pool_free(pool), 1);
        sd_event_unref(event);
}

/* Until there is something to read. */
typedef struct Wait {
        Task task;
        int fd, *done;
        atomic_int *begun;
        sd_event *event;
} Wait;

enum { N_WAITS = 12, N_THREADS = 8 };

static void run_wait(Task *task)
{
        Wait *wait = (Wait *)task;
        char byte;

        atomic_fetch_add(wait->begun, 1);
        (void)!read(wait->fd, &byte, 1);
}

static void done_wait(Task *task)
{
        Wait *wait = (Wait *)task;

        if (++*wait->done == N_WAITS)
                (void)sd_event_exit(wait->event, 0);
}

/* Those that wait see no end before this one is done. */
static void done_work(Task *task)
{
        Wait *work = (Wait *)task;

        assert_int_equal(*work->done, 0);
        assert_in_range(atomic_load(work->begun), 0, N_THREADS / 2);
        for (int i = 0; i < N_WAITS; i++)
                assert_int_equal(write(work->fd, "", 1), 1);
}

static void run_nothing(Task *task)
{
}

/* However many wait, work is done. */
static void test_workers_that_wait(void **state)
{
        Wait waits[N_WAITS], work;
        atomic_int begun = 0;
        int pipe_fds[2], done = 0;
        sd_event *event;
        Pool *pool;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(pool_new(event, N_THREADS, &pool), 0);
        for (int i = 0; i < N_WAITS; i++) {
                waits[i] =
                        (Wait){ .fd = pipe_fds[0], .done = &done, .begun = &begun, .event = event };
                waits[i].task.run = run_wait;
                waits[i].task.done = done_wait;
                waits[i].task.lane = i % 2 ? TASK_WAITS : TASK_WAITS_FOR_USER;
                assert_int_equal(pool_submit(pool, &waits[i].task), 0);
        }
        work = (Wait){ .fd = pipe_fds[1], .done = &done, .begun = &begun };
        work.task.run = run_nothing;
        work.task.done = done_work;
        assert_int_equal(pool_submit(pool, &work.task), 0);
        assert_int_equal(sd_event_loop(event), 0);
        assert_int_equal(begun, N_WAITS);
        assert_int_equal(done, N_WAITS);
        assert_int_equal(pool_free(pool), 1);
        sd_event_unref(event);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hash),
                cmocka_unit_test(test_model),
                cmocka_unit_test(test_journal),
                cmocka_unit_test(test_workers),
                cmocka_unit_test(test_workers_that_wait),
        };

        log_set_max_level(LOG_ERR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
