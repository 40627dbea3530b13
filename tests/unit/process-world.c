/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model of the kernel's processes, for the mm registry to be compared with. */

#include <assert.h>
#include <stdio.h>

#include "process-world.h"
#include "util.h"

static WorldProcess *get(World *world, pid_t pid)
{
        return &world->processes[pid];
}

static int new_mm(World *world, pid_t owner, uint64_t key)
{
        for (int i = 0; i <= WORLD_PIDS; i++) {
                if (world->mms[i].n_users)
                        continue;
                world->mms[i] = (WorldMm){ .owner = owner,
                                           .n_users = 1,
                                           .key = key,
                                           .last_group_id = get(world, owner)->group_id };
                return i;
        }
        abort();
}

static void remove_pid(pid_t *list, size_t *n, pid_t pid)
{
        for (size_t i = 0; i < *n; i++) {
                if (list[i] != pid)
                        continue;
                memmove(list + i, list + i + 1, (--*n - i) * sizeof(*list));
                return;
        }
}

void world_init(World *world)
{
        *world = (World){ .last_pid = 1, .last_ticks = 1, .last_key = 1000, .per_tick = 1, .n = 1 };
        world->all[0] = 1;
        world->processes[1] = (WorldProcess){ .lives = 1, .start_ticks = 1, .group_id = 1 };
        world->processes[1].mm = new_mm(world, 1, world->last_key);
}

static pid_t next_pid(World *world)
{
        for (int i = 0; i < WORLD_PIDS; i++) {
                world->last_pid = world->last_pid % WORLD_PIDS + 1;
                if (!get(world, world->last_pid)->lives)
                        return world->last_pid;
        }
        return 0;
}

pid_t world_fork(World *world, pid_t forker, int flags, uint64_t group_id)
{
        pid_t pid = next_pid(world);
        pid_t parent = flags & CLONE_PARENT ? get(world, forker)->parent : forker;
        WorldProcess *process;

        if (!pid)
                return 0;
        if (world->in_tick++ % world->per_tick == 0)
                world->last_ticks++;
        process = get(world, pid);
        *process = (WorldProcess){
                .lives = 1,
                .parent = parent,
                .start_ticks = world->last_ticks,
                .group_id = group_id ? group_id : get(world, forker)->group_id,
                .mm = get(world, forker)->mm,
        };
        get(world, parent)->children[get(world, parent)->n_children++] = pid;
        world->all[world->n++] = pid;
        if (flags & CLONE_VM) {
                world_mm(world, pid)->n_users++;
                world_mm(world, pid)->last_group_id = process->group_id;
        } else {
                process->mm = new_mm(world, pid, world_mm(world, forker)->key);
        }
        return pid;
}

static pid_t first_with(World *world, const pid_t *list, size_t n, int mm)
{
        for (size_t i = 0; i < n; i++)
                if (get(world, list[i])->mm == mm)
                        return list[i];
        return 0;
}

/* mm_update_next_owner() of kernel/exit.c, as it stands in 6.1 and after. */
static void leave(World *world, pid_t pid, ch_owner_cause cause)
{
        WorldProcess *process = get(world, pid), *parent = get(world, process->parent);
        int mm = process->mm;
        pid_t next;

        process->mm = -1;
        if (--world->mms[mm].n_users == 0 || world->mms[mm].owner != pid)
                return;
        next = first_with(world, process->children, process->n_children, mm);
        if (!next && process->parent)
                next = first_with(world, parent->children, parent->n_children, mm);
        if (!next)
                next = first_with(world, world->all, world->n, mm);
        assert(next && world->n_changes < WORLD_LOG);
        world->mms[mm].owner = next;
        world->changes[world->n_changes++] = (WorldChange){ pid, next, cause };
}

void world_exec(World *world, pid_t pid, uint64_t key)
{
        leave(world, pid, CH_OWNER_CAUSE_EXEC);
        get(world, pid)->mm = new_mm(world, pid, key ? key : ++world->last_key);
}

static pid_t reaper_of(World *world, pid_t pid)
{
        pid_t reaper = get(world, pid)->parent;

        while (reaper > 1 && !get(world, reaper)->is_reaper)
                reaper = get(world, reaper)->parent;
        return reaper ? reaper : 1;
}

void world_exit(World *world, pid_t pid)
{
        WorldProcess *process = get(world, pid), *reaper = get(world, reaper_of(world, pid));

        leave(world, pid, CH_OWNER_CAUSE_EXIT);
        for (size_t i = 0; i < process->n_children; i++) {
                get(world, process->children[i])->parent = (pid_t)(reaper - world->processes);
                reaper->children[reaper->n_children++] = process->children[i];
        }
        remove_pid(get(world, process->parent)->children, &get(world, process->parent)->n_children,
                   pid);
        remove_pid(world->all, &world->n, pid);
        process->lives = 0;
}

void world_attach(World *world, pid_t pid, uint64_t group_id)
{
        WorldProcess *process = get(world, pid);

        if (process->group_id == group_id)
                return;
        process->group_id = group_id;
        world_mm(world, pid)->last_group_id = group_id;
}

static int read_facts(pid_t pid, ch_process_facts *ret, void *userdata)
{
        World *world = userdata;
        const WorldProcess *process = get(world, pid);

        world->n_reads++;
        if (pid < 1 || pid > WORLD_PIDS || !process->lives)
                return -ESRCH;
        *ret = (ch_process_facts){
                .ppid = process->parent,
                .start_ticks = process->start_ticks,
                .group_id = process->group_id,
                .has_mm = process->mm >= 0,
                .mm_key = process->mm >= 0 ? world->mms[process->mm].key : 0,
        };
        return asprintf(&ret->group, "/g%u", (unsigned)process->group_id) < 0 ? -ENOMEM : 0;
}

/* Any order will do that lasts; the reverse of that of the slots is as good as the kernel's. */
static int compare_mm(pid_t a, pid_t b, void *userdata)
{
        World *world = userdata;
        const WorldProcess *x = get(world, a), *y = get(world, b);

        world->n_compares++;
        if (!x->lives || !y->lives)
                return -ESRCH;
        if (x->mm == y->mm)
                return 0;
        return x->mm > y->mm ? 1 : 2;
}

static int list(int (*each)(pid_t pid, void *arg), void *arg, void *userdata)
{
        World *world = userdata;
        int r = 0;

        for (pid_t pid = 1; pid <= WORLD_PIDS && r == 0; pid++)
                if (get(world, pid)->lives)
                        r = each(pid, arg);
        return r;
}

ch_process_source world_source(World *world)
{
        return (ch_process_source){
                .read = read_facts, .compare_mm = compare_mm, .list = list, .userdata = world
        };
}
