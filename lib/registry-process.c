/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes of the mm registry, and who is whose child, in the order of the kernel's lists. */

#include "registry.h"
#include "util.h"

Process *process_find(const ch_registry *registry, pid_t pid)
{
        return hash_get(&registry->processes, (uint64_t)pid);
}

int process_new(ch_registry *registry, pid_t pid, const ch_process_facts *facts, Group *group,
                Process **ret)
{
        Process *process = malloc(sizeof(*process));

        if (!process || hash_put(&registry->processes, (uint64_t)pid, process) < 0) {
                free(process);
                return -ENOMEM;
        }
        *process = (Process){
                .pid = pid,
                .epoch = registry->epoch,
                .start_ticks = facts->start_ticks,
                .born = ++registry->last_born,
                .group = group,
        };
        *ret = process;
        return 0;
}

void process_free(ch_registry *registry, Process *process)
{
        if (process_find(registry, process->pid) == process)
                (void)hash_remove(&registry->processes, (uint64_t)process->pid);
        (void)group_unref_interned(registry, process->group);
        free(process);
}

static void unlink_from_parent(Process *process)
{
        Process *parent = process->parent;

        if (!parent)
                return;
        *(process->prev_sibling ? &process->prev_sibling->next_sibling : &parent->children) =
                process->next_sibling;
        *(process->next_sibling ? &process->next_sibling->prev_sibling : &parent->last_child) =
                process->prev_sibling;
        process->parent = process->next_sibling = process->prev_sibling = NULL;
}

void process_set_parent(ch_registry *registry, Process *process, Process *parent)
{
        unlink_from_parent(process);
        if (!parent)
                return;
        process->parent = parent;
        process->linked = ++registry->last_linked;
        process->prev_sibling = parent->last_child;
        *(parent->last_child ? &parent->last_child->next_sibling : &parent->children) = process;
        parent->last_child = process;
}

void process_give_children(ch_registry *registry, Process *process, Process *to)
{
        while (process->children) {
                process->children->by_thread =
                        0; /* what is left of the other is its first thread, or is counted so */
                process_set_parent(registry, process->children, to);
        }
}

void process_set_group(ch_registry *registry, Process *process, Group *group)
{
        Group *before = process->group;

        process->group = group;
        if (group != before && process->mm)
                mm_set_last_group(registry, process->mm, group);
        (void)group_unref_interned(registry, before);
}

int process_is_older(const Process *a, const Process *b)
{
        if (a->start_ticks != b->start_ticks)
                return a->start_ticks < b->start_ticks;
        return a->born < b->born;
}
