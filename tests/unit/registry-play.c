/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests of the mm registry do in their world, tell the registry, and compare. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "registry-play.h"
#include "util.h"

static void on_owner(const ch_mm_info *mm, pid_t from, pid_t to, ch_owner_cause cause,
                     void *userdata)
{
        Fixture *f = userdata;

        assert_int_equal(mm->owner, to);
        assert_true(f->n_changes < WORLD_LOG);
        f->changes[f->n_changes++] = (WorldChange){ from, to, cause };
}

int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        ch_process_source source;
        ch_registry_options options = { .source = &source,
                                        .owner_changed = on_owner,
                                        .userdata = f };

        world_init(&f->world);
        source = world_source(&f->world);
        assert_int_equal(ch_registry_new(&options, &f->registry, NULL), 0);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
        f->random = 1;
        *state = f;
        return 0;
}

int teardown(void **state)
{
        Fixture *f = *state;

        assert_null(ch_registry_free(f->registry));
        free(f);
        return 0;
}

/* Begin anew in the same test. */
void restart(Fixture *f, uint64_t seed)
{
        ch_process_source source;
        ch_registry_options options = { .source = &source,
                                        .owner_changed = on_owner,
                                        .userdata = f };

        (void)ch_registry_free(f->registry);
        *f = (Fixture){ .random = seed * 0x9e3779b97f4a7c15ULL + 1 };
        world_init(&f->world);
        source = world_source(&f->world);
        assert_int_equal(ch_registry_new(&options, &f->registry, NULL), 0);
        assert_int_equal(ch_registry_resync(f->registry, NULL), 0);
}

static void tell(Fixture *f, Event event)
{
        int r = 0;

        switch (event.kind) {
        case EVENT_FORK:
                r = ch_registry_fork(f->registry, event.parent, event.pid);
                break;
        case EVENT_EXEC:
                r = ch_registry_exec(f->registry, event.pid);
                break;
        case EVENT_EXIT:
                r = ch_registry_exit(f->registry, event.pid);
                break;
        }
        assert_int_equal(r, 0);
}

void tell_all(Fixture *f)
{
        for (size_t i = 0; i < f->n_queue; i++)
                tell(f, f->queue[i]);
        f->n_queue = 0;
}

static void queue(Fixture *f, Event event)
{
        assert_true(f->n_queue < EVENTS_MAX);
        f->queue[f->n_queue++] = event;
}

/* In the world, and in the queue of events. */
pid_t do_fork(Fixture *f, pid_t forker, int flags, uint64_t group)
{
        pid_t pid = world_fork(&f->world, forker, flags, group);

        if (pid)
                queue(f, (Event){ EVENT_FORK, pid, f->world.processes[pid].parent });
        return pid;
}

void do_exec(Fixture *f, pid_t pid, uint64_t key)
{
        world_exec(&f->world, pid, key);
        queue(f, (Event){ EVENT_EXEC, pid, 0 });
}

void do_exit(Fixture *f, pid_t pid)
{
        world_exit(&f->world, pid);
        queue(f, (Event){ EVENT_EXIT, pid, 0 });
}

void do_attach(Fixture *f, pid_t pid, uint64_t group)
{
        char path[16];

        world_attach(&f->world, pid, group);
        (void)snprintf(path, sizeof(path), "/g%u", (unsigned)group);
        assert_int_equal(ch_registry_attach(f->registry, pid, path, group), 0);
}

/* What is told of the process, and that it is the same as asked of the world. */
ch_mm_info info_of(Fixture *f, pid_t pid)
{
        ch_mm_info info;

        assert_int_equal(ch_registry_get_mm(f->registry, pid, &info), 0);
        return info;
}

static void check_users(Fixture *f, pid_t pid)
{
        pid_t users[WORLD_PIDS];
        ssize_t n = ch_registry_get_users(f->registry, pid, users, WORLD_PIDS);

        assert_int_equal(n, world_mm(&f->world, pid)->n_users);
        for (ssize_t i = 0; i < n; i++)
                assert_int_equal(f->world.processes[users[i]].mm, f->world.processes[pid].mm);
}

/* Who shares what, and in which group each is: what any resync must find. */
void check_sharing(Fixture *f)
{
        ch_registry_figures figures;

        for (pid_t pid = 1; pid <= WORLD_PIDS; pid++) {
                ch_mm_info info;

                if (!f->world.processes[pid].lives) {
                        assert_int_equal(ch_registry_get_mm(f->registry, pid, &info), -ESRCH);
                        continue;
                }
                info = info_of(f, pid);
                check_users(f, pid);
                assert_int_equal(f->world.processes[info.owner].mm, f->world.processes[pid].mm);
                assert_int_equal(info.group_id, f->world.processes[info.owner].group_id);
        }
        ch_registry_get_figures(f->registry, &figures);
        assert_int_equal(figures.processes, f->world.n);
}

/* And who owns it, by what name, and who was attached last. */
void check_exactly(Fixture *f, int with_ids)
{
        check_sharing(f);
        for (size_t i = 0; i < f->world.n; i++) {
                WorldMm *mm = world_mm(&f->world, f->world.all[i]);
                ch_mm_info info = info_of(f, f->world.all[i]);

                assert_int_equal(info.owner, mm->owner);
                if (!with_ids)
                        continue;
                assert_int_equal(info.last_group_id, mm->last_group_id);
                if (!mm->registry_id)
                        mm->registry_id = info.id;
                assert_int_equal(info.id, mm->registry_id);
        }
}

void check_changes(Fixture *f)
{
        assert_int_equal(f->n_changes, f->world.n_changes);
        for (size_t i = 0; i < f->n_changes; i++) {
                assert_int_equal(f->changes[i].from, f->world.changes[i].from);
                assert_int_equal(f->changes[i].to, f->world.changes[i].to);
                assert_int_equal(f->changes[i].cause, f->world.changes[i].cause);
        }
        f->n_changes = f->world.n_changes = 0;
}

void settle(Fixture *f)
{
        tell_all(f);
        check_exactly(f, 1);
        check_changes(f);
}
