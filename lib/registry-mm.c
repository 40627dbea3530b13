/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Address spaces of the mm registry: their users, and who owns them next. */

#include "registry.h"
#include "util.h"

/* Where the kernel looks first: mm_update_next_owner() in kernel/exit.c. */
enum { RANK_CHILD, RANK_SIBLING, RANK_OTHER };

Mm *mm_find_key(const ch_registry *registry, uint64_t key)
{
        return key ? hash_get(&registry->mms_by_key, key) : NULL;
}

static void remove_key(ch_registry *registry, Mm *mm)
{
        if (!mm->key)
                return;
        if (mm->key_next)
                mm->key_next->key_prev = mm->key_prev;
        if (mm->key_prev)
                mm->key_prev->key_next = mm->key_next;
        else if (mm->key_next)
                (void)hash_put(&registry->mms_by_key, mm->key,
                               mm->key_next); /* replaces: no memory */
        else
                (void)hash_remove(&registry->mms_by_key, mm->key);
        mm->key = 0;
        mm->key_next = mm->key_prev = NULL;
}

int mm_set_key(ch_registry *registry, Mm *mm, uint64_t key)
{
        Mm *first;

        if (mm->key == key)
                return 0;
        remove_key(registry, mm);
        if (!key)
                return 0;
        first = mm_find_key(registry, key);
        if (!first && hash_put(&registry->mms_by_key, key, mm) < 0)
                return -ENOMEM;
        mm->key = key;
        if (!first)
                return 0;
        /* behind the first: the table need not be touched */
        mm->key_prev = first;
        mm->key_next = first->key_next;
        if (mm->key_next)
                mm->key_next->key_prev = mm;
        first->key_next = mm;
        return 0;
}

void mm_set_last_group(ch_registry *registry, Mm *mm, Group *group)
{
        Group *before = mm->last_group;

        mm->last_group = group_ref_interned(group);
        (void)group_unref_interned(registry, before);
}

/* Behind all users that are older; who joins is nearly always the youngest. */
void mm_join(ch_registry *registry, Mm *mm, Process *process)
{
        Process *after = mm->last_user;

        while (after && process_is_older(process, after))
                after = after->prev_user;
        process->mm = mm;
        process->prev_user = after;
        process->next_user = after ? after->next_user : mm->users;
        *(after ? &after->next_user : &mm->users) = process;
        *(process->next_user ? &process->next_user->prev_user : &mm->last_user) = process;
        if (++mm->n_users == 2)
                registry->n_shared++;
        mm_set_last_group(registry, mm, process->group);
}

int mm_new(ch_registry *registry, Process *process, uint64_t key)
{
        Mm *mm = calloc(1, sizeof(*mm));

        if (!mm || mm_set_key(registry, mm, key) < 0) {
                free(mm);
                return -ENOMEM;
        }
        mm->id = ++registry->last_id;
        mm->owner = process;
        registry->n_mms++;
        mm_join(registry, mm, process);
        return 0;
}

int mm_renew(ch_registry *registry, Mm *mm, uint64_t key)
{
        mm->id = ++registry->last_id;
        mm_set_last_group(registry, mm, mm->owner->group);
        return mm_set_key(registry, mm, key);
}

/* Who leaves is among the users where it is only its first thread that does; then it may keep the
 * duty, and children of its other threads are nobody's children to that thread. */
static int rank_of(const ch_registry *registry, const Process *candidate, const Process *leaver)
{
        if (candidate == leaver)
                return registry->threads_are_siblings && leaver->parent ? RANK_SIBLING : RANK_OTHER;
        if (candidate->parent == leaver)
                return candidate->by_thread && leaver->mm ? RANK_OTHER : RANK_CHILD;
        return candidate->parent && candidate->parent == leaver->parent ? RANK_SIBLING : RANK_OTHER;
}

/*
 * Children in the order of their list, then siblings in that of theirs, then the oldest: looked for
 * among those who share the mm, which are few, where the kernel looks through every process of the
 * host.
 */
static Process *next_owner(ch_registry *registry, const Mm *mm, const Process *leaver)
{
        Process *best = NULL;
        int best_rank = RANK_OTHER + 1;

        for (Process *user = mm->users; user; user = user->next_user) {
                int rank = rank_of(registry, user, leaver);

                registry->counts.searched++;
                if (rank < best_rank ||
                    (rank == best_rank && rank != RANK_OTHER && user->linked < best->linked)) {
                        best = user;
                        best_rank = rank;
                }
        }
        return best;
}

static void change_owner(ch_registry *registry, Mm *mm, Process *leaver, ch_owner_cause cause)
{
        Process *next = next_owner(registry, mm, leaver);
        ch_mm_info info;

        if (next == leaver)
                return;
        mm->owner = next;
        registry->counts.owner_changes++;
        if (!registry->owner_changed)
                return;
        mm_describe(mm, &info);
        registry->owner_changed(&info, leaver->pid, mm->owner->pid, cause, registry->userdata);
}

void mm_leader_left(ch_registry *registry, Process *process, ch_owner_cause cause)
{
        if (process->mm && process->mm->owner == process)
                change_owner(registry, process->mm, process, cause);
}

static void mm_free(ch_registry *registry, Mm *mm)
{
        remove_key(registry, mm);
        (void)group_unref_interned(registry, mm->last_group);
        registry->n_mms--;
        free(mm);
}

void mm_leave(ch_registry *registry, Process *process, ch_owner_cause cause)
{
        Mm *mm = process->mm;

        if (!mm)
                return;
        *(process->prev_user ? &process->prev_user->next_user : &mm->users) = process->next_user;
        *(process->next_user ? &process->next_user->prev_user : &mm->last_user) =
                process->prev_user;
        process->mm = NULL;
        process->next_user = process->prev_user = NULL;
        if (--mm->n_users == 1)
                registry->n_shared--;
        if (mm->n_users == 0)
                mm_free(registry, mm);
        else if (mm->owner == process)
                change_owner(registry, mm, process, cause);
}

void mm_describe(const Mm *mm, ch_mm_info *ret)
{
        const Group *group = mm->owner->group, *last = mm->last_group;

        *ret = (ch_mm_info){
                .id = mm->id,
                .owner = mm->owner->pid,
                .n_users = mm->n_users,
                .group_id = group ? group->id : 0,
                .group = group && group->path ? group->path : "",
                .last_group_id = last ? last->id : 0,
                .last_group = last && last->path ? last->path : "",
        };
}
