/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to processes: fork, exec, exit, attach; told in order, but perhaps late. */

#include "registry.h"
#include "util.h"

enum {
        /* Address spaces of one key that are compared when the parent does not share its own. */
        KEY_TRIES = 16,
        /* Unknown ancestors of an unknown process that are read. */
        ANCESTORS_MAX = 64,
};

int registry_read(ch_registry *registry, pid_t pid, ch_process_facts *ret)
{
        *ret = (ch_process_facts){};
        return registry->source.read(pid, ret, registry->source.userdata);
}

void facts_done(ch_process_facts *facts)
{
        free(facts->group);
        facts->group = NULL;
}

/* An event about who is gone already, or cannot be told: passed over. */
static int pass_over(int r)
{
        return r == -ESRCH ? 0 : r;
}

static int compare(const ch_registry *registry, pid_t a, pid_t b)
{
        return registry->source.compare_mm(a, b, registry->source.userdata);
}

/* Does `pid` share this mm? Users whose exit is still to be told cannot be compared: then another
 * is asked. */
static int is_shared(const ch_registry *registry, const Mm *mm, pid_t pid)
{
        for (const Process *user = mm->users; user; user = user->next_user) {
                int r;

                if (user->pid == pid)
                        continue;
                r = compare(registry, user->pid, pid);
                if (r != -ESRCH)
                        return r == 0;
        }
        return 0;
}

/* The forking task is the parent, or with CLONE_PARENT one of its children. */
static Mm *find_shared(const ch_registry *registry, const Process *parent, pid_t pid, uint64_t key)
{
        Mm *own = parent ? parent->mm : NULL;
        int n = 0;

        if (own && is_shared(registry, own, pid))
                return own;
        /* also where the parent's has the same key: who forks without exec hands it on to all */
        for (Mm *mm = mm_find_key(registry, key); mm && n < KEY_TRIES; mm = mm->key_next, n++)
                if (mm != own && is_shared(registry, mm, pid))
                        return mm;
        return NULL;
}

static int give_mm(ch_registry *registry, Process *process, const ch_process_facts *facts)
{
        Mm *mm;

        if (!facts->has_mm)
                return 0;
        mm = find_shared(registry, process->parent, process->pid, facts->mm_key);
        if (!mm)
                return mm_new(registry, process, facts->mm_key);
        mm_join(registry, mm, process);
        return 0;
}

/* The reaper that the kernel chose is the same for all children: the first that can still be read
 * tells. */
static Process *find_reaper(ch_registry *registry, const Process *process)
{
        Process *reaper = NULL;

        for (const Process *child = process->children; child; child = child->next_sibling) {
                ch_process_facts facts;

                if (registry_read(registry, child->pid, &facts) < 0)
                        continue;
                facts_done(&facts);
                reaper = facts.ppid == process->pid ? NULL : process_find(registry, facts.ppid);
                break;
        }
        if (!reaper)
                reaper = process_find(registry, 1);
        return reaper == process ? NULL : reaper;
}

static void end(ch_registry *registry, Process *process)
{
        mm_leave(registry, process, CH_OWNER_CAUSE_EXIT);
        if (process->children)
                process_give_children(registry, process, find_reaper(registry, process));
        process_set_parent(registry, process, NULL);
        process_free(registry, process);
}

static int add(ch_registry *registry, pid_t pid, const ch_process_facts *facts, Process *parent,
               Process **ret)
{
        Process *process;
        Group *group;
        int r;

        r = group_intern(registry, facts->group_id, facts->group, &group);
        if (r < 0)
                return r;
        r = process_new(registry, pid, facts, group, &process);
        if (r < 0) {
                (void)group_unref_interned(registry, group);
                return r;
        }
        process_set_parent(registry, process, parent);
        r = give_mm(registry, process, facts);
        if (r < 0) {
                process_set_parent(registry, process, NULL);
                process_free(registry, process);
                return r;
        }
        *ret = process;
        return 0;
}

/*
 * A process whose fork was not told, with those of its ancestors that were not told either, the
 * oldest first. 1 with *ret, 0 gone.
 */
static int adopt(ch_registry *registry, pid_t pid, Process **ret)
{
        ch_process_facts facts[ANCESTORS_MAX];
        pid_t pids[ANCESTORS_MAX];
        Process *process = NULL;
        int n = 0, r = 0;

        for (pid_t next = pid; next > 0 && n < ANCESTORS_MAX; next = facts[n++].ppid) {
                process = process_find(registry, next);
                if (process)
                        break;
                r = registry_read(registry, next, &facts[n]);
                if (r < 0)
                        break;
                pids[n] = next;
        }
        r = pass_over(r);
        while (n-- > 0) {
                if (r == 0)
                        r = add(registry, pids[n], &facts[n], process, &process);
                if (r == 0) {
                        process->has_threads = 1;
                        process->leader_exited = facts[n].leader_exited != 0;
                }
                facts_done(&facts[n]);
        }
        if (r < 0 || !process || process->pid != pid)
                return r;
        *ret = process;
        return 1;
}

/* The group as it was read just now: others attach too. */
static int refresh_group(ch_registry *registry, Process *process, const ch_process_facts *facts)
{
        Group *group;
        int r;

        if (facts->group_id == (process->group ? process->group->id : 0))
                return 0;
        r = group_intern(registry, facts->group_id, facts->group, &group);
        if (r < 0)
                return r;
        process_set_group(registry, process, group);
        return 0;
}

/* A child is in its parent's group as a rule; if not, someone may have moved the parent. */
static int check_parent_group(ch_registry *registry, Process *parent, const ch_process_facts *child)
{
        ch_process_facts facts;
        int r = 0;

        if (!parent || child->group_id == (parent->group ? parent->group->id : 0))
                return 0;
        if (registry_read(registry, parent->pid, &facts) < 0)
                return 0;
        if (facts.start_ticks == parent->start_ticks)
                r = refresh_group(registry, parent, &facts);
        facts_done(&facts);
        return r;
}

static int add_child(ch_registry *registry, pid_t parent_pid, pid_t pid,
                     const ch_process_facts *facts)
{
        Process *parent = process_find(registry, parent_pid), *process;
        int r = 0;

        if (!parent)
                r = adopt(registry, parent_pid, &parent);
        if (r == 0 && !parent) {
                parent = process_find(registry, facts->ppid);
                if (!parent)
                        r = adopt(registry, facts->ppid, &parent);
        }
        if (r < 0)
                return r;
        r = check_parent_group(registry, parent, facts);
        return r < 0 ? r : add(registry, pid, facts, parent, &process);
}

int registry_fork(ch_registry *registry, pid_t parent, pid_t parent_tid, pid_t child)
{
        ch_process_facts facts;
        Process *known;
        int r;

        registry->counts.forks++;
        r = registry_read(registry, child, &facts);
        if (r < 0)
                return pass_over(r);
        known = process_find(registry, child);
        if (known && known->start_ticks != facts.start_ticks) {
                end(registry, known);
                known = NULL;
        }
        r = known ? 0 : add_child(registry, parent, child, &facts);
        facts_done(&facts);
        if (r < 0 || known)
                return r;
        process_find(registry, child)->by_thread = parent_tid != parent;
        return 0;
}

_public_ int ch_registry_fork(ch_registry *registry, pid_t parent, pid_t child)
{
        return registry_fork(registry, parent, parent, child);
}

/*
 * It gave its mm up for a new one. Told late, after a resync that saw it already and perhaps a
 * child that shares the new one, nothing changes: nobody can come to share an mm again that he
 * left.
 */
static int renew_mm(ch_registry *registry, Process *process, uint64_t key)
{
        Mm *mm = process->mm;

        if (mm && mm->n_users == 1)
                return mm_renew(registry, mm, key);
        if (mm && is_shared(registry, mm, process->pid))
                return 0;
        mm_leave(registry, process, CH_OWNER_CAUSE_EXEC);
        return mm_new(registry, process, key);
}

_public_ int ch_registry_exec(ch_registry *registry, pid_t pid)
{
        Process *process = process_find(registry, pid);
        ch_process_facts facts = {};
        int r;

        registry->counts.execs++;
        if (process)
                process->leader_exited = 0; /* whichever thread it was leads now */
        r = process ? registry_read(registry, pid, &facts) : adopt(registry, pid, &process);
        if (!process || (r < 0 && r != -ESRCH))
                return pass_over(r);
        /* adopted just now: as it is after it */
        if (r == 1)
                return 0;
        if (r == 0 && facts.start_ticks != process->start_ticks) {
                end(registry, process);
                r = pass_over(adopt(registry, pid, &process));
        } else {
                r = r == 0 ? refresh_group(registry, process, &facts) : 0;
                if (r == 0)
                        r = renew_mm(registry, process, facts.mm_key);
        }
        facts_done(&facts);
        return r < 0 ? r : 0;
}

/*
 * Told of who still lives: by a thread that is not the last, or late, of who had the pid before.
 * Only where that can be: of a process that was seen to start and has no threads it is the end.
 */
static int still_lives(ch_registry *registry, const Process *process)
{
        ch_process_facts facts;
        int r;

        if (!process->has_threads)
                return 0;
        r = registry_read(registry, process->pid, &facts);
        if (r < 0)
                return r == -ESRCH ? 0 : r;
        facts_done(&facts);
        return facts.start_ticks == process->start_ticks;
}

_public_ int ch_registry_exit(ch_registry *registry, pid_t pid)
{
        Process *process = process_find(registry, pid);
        int r = process ? still_lives(registry, process) : 0;

        if (r < 0)
                return r;
        if (r == 0)
                registry->counts.exits++;
        if (r == 0 && process)
                end(registry, process);
        return 0;
}

_public_ int ch_registry_attach(ch_registry *registry, pid_t pid, const char *path,
                                uint64_t group_id)
{
        ch_process_facts facts = { .group_id = group_id, .group = (char *)path };
        Process *process = process_find(registry, pid);
        int r;

        registry->counts.attaches++;
        r = process ? 0 : adopt(registry, pid, &process);
        if (r < 0 || !process)
                return r;
        return refresh_group(registry, process, &facts);
}

_public_ int ch_registry_forget_group(ch_registry *registry, uint64_t group_id)
{
        group_forget(registry, group_id);
        return 0;
}

void registry_thread_fork(ch_registry *registry, pid_t pid)
{
        Process *process = process_find(registry, pid);

        if (process)
                process->has_threads = 1;
}

int registry_thread_exit(ch_registry *registry, pid_t pid, pid_t tid)
{
        Process *process = process_find(registry, pid);
        int was_led, r;

        if (!process)
                return 0;
        was_led = !process->leader_exited;
        if (tid == pid)
                process->leader_exited = 1;
        if (!process->leader_exited)
                return 0;
        r = ch_registry_exit(registry, pid);
        process = process_find(registry, pid);
        if (r >= 0 && was_led && process)
                mm_leader_left(registry, process, CH_OWNER_CAUSE_EXIT);
        return r;
}
