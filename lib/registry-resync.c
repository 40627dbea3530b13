/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything read again: after lost events, and for attaches by others. */

#include "error.h"
#include "registry.h"
#include "util.h"

/* One process as it is now. */
typedef struct Entry {
        pid_t pid;
        uint32_t class; /* which mm; NO_CLASS none */
        ch_process_facts facts;
        Process *process;
} Entry;

/* Those that share one mm now: a run of the entries once these are sorted by class. */
typedef struct Class {
        size_t first,
                n; /* entries; while classes are sought, `first` is where the first of them is */
        Mm *mm;    /* what the registry knows it as */
} Class;

typedef struct Resync {
        ch_registry *registry;
        Entry *entries;
        size_t n, n_allocated;
        Class *classes;
        size_t n_classes, n_classes_allocated;
        uint32_t *order; /* of the classes of one key, as they compare */
        Process **gone;
        size_t n_gone, n_gone_allocated;
} Resync;

#define NO_CLASS UINT32_MAX

static void resync_done(Resync *resync)
{
        for (size_t i = 0; i < resync->n; i++)
                facts_done(&resync->entries[i].facts);
        free(resync->entries);
        free(resync->classes);
        free(resync->order);
        free(resync->gone);
}

static int read_one(pid_t pid, void *userdata)
{
        Resync *resync = userdata;
        Entry *entry;
        int r;

        if (array_reserve(&resync->entries, &resync->n_allocated, resync->n + 1, sizeof(Entry)) < 0)
                return -ENOMEM;
        entry = &resync->entries[resync->n];
        *entry = (Entry){ .pid = pid, .class = NO_CLASS };
        r = registry_read(resync->registry, pid, &entry->facts);
        if (r == -ESRCH)
                return 0;
        if (r < 0)
                return r;
        resync->n++;
        return 0;
}

static int compare_u64(uint64_t a, uint64_t b)
{
        return a < b ? -1 : a > b;
}

static int by_key(const void *a, const void *b)
{
        const Entry *x = a, *y = b;
        int r = compare_u64(x->facts.mm_key, y->facts.mm_key);

        return r ? r : compare_u64((uint64_t)x->pid, (uint64_t)y->pid);
}

/* Parents before children as a rule; of the same tick, those with the lower pid. */
static int by_age(const void *a, const void *b)
{
        const Entry *x = a, *y = b;
        int r = compare_u64(x->facts.start_ticks, y->facts.start_ticks);

        return r ? r : compare_u64((uint64_t)x->pid, (uint64_t)y->pid);
}

static int by_class(const void *a, const void *b)
{
        const Entry *x = a, *y = b;
        int r = compare_u64(x->class, y->class);

        return r ? r : by_age(a, b);
}

/* As ch_process_source.compare_mm, by whichever process of the class is still there. */
static int compare_class(const Resync *resync, uint32_t class, pid_t pid)
{
        const ch_process_source *source = &resync->registry->source;
        int r = -ESRCH;

        for (size_t i = resync->classes[class].first; i < resync->n && r == -ESRCH; i++) {
                const Entry *entry = &resync->entries[i];

                if (entry->facts.mm_key !=
                    resync->entries[resync->classes[class].first].facts.mm_key)
                        break;
                if (entry->class == class)
                        r = source->compare_mm(entry->pid, pid, source->userdata);
        }
        return r;
}

/* Without an order there is no searching by halves. */
static int find_class_slowly(const Resync *resync, size_t n, pid_t pid, size_t *ret)
{
        for (size_t i = 0; i < n; i++) {
                if (compare_class(resync, resync->order[i], pid))
                        continue;
                *ret = i;
                return 1;
        }
        *ret = n;
        return 0;
}

/* Among `n` classes in order: 1 found at *ret, 0 to be inserted there. */
static int find_class(const Resync *resync, size_t n, pid_t pid, size_t *ret)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = compare_class(resync, resync->order[middle], pid);

                if (r == 0) {
                        *ret = middle;
                        return 1;
                }
                if (r < 0 || r > 2)
                        return find_class_slowly(resync, n, pid, ret);
                if (r == 1)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret = low;
        return 0;
}

/* Entries [first, end) have one key: only these may share. `n` counts classes of the key. */
static int classify_key(Resync *resync, size_t first, size_t end)
{
        size_t n = 0;

        for (size_t i = first; i < end; i++) {
                Entry *entry = &resync->entries[i];
                size_t at;

                if (!entry->facts.has_mm)
                        continue;
                if (n > 0 && find_class(resync, n, entry->pid, &at)) {
                        entry->class = resync->order[at];
                        continue;
                }
                if (n == 0)
                        at = 0;
                if (array_reserve(&resync->classes, &resync->n_classes_allocated,
                                  resync->n_classes + 1, sizeof(Class)) < 0)
                        return -ENOMEM;
                memmove(&resync->order[at + 1], &resync->order[at],
                        (n++ - at) * sizeof(*resync->order));
                resync->order[at] = (uint32_t)resync->n_classes;
                entry->class = (uint32_t)resync->n_classes;
                resync->classes[resync->n_classes++] = (Class){ .first = i };
        }
        return 0;
}

static int classify(Resync *resync)
{
        resync->order = calloc(resync->n + 1, sizeof(*resync->order));
        if (!resync->order)
                return -ENOMEM;
        qsort(resync->entries, resync->n, sizeof(Entry), by_key);
        for (size_t i = 0, end; i < resync->n; i = end) {
                for (end = i + 1; end < resync->n && resync->entries[end].facts.mm_key ==
                                                             resync->entries[i].facts.mm_key;)
                        end++;
                if (classify_key(resync, i, end) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Who is not there any more, or whose pid is another's now: out of the table, not yet out of the
 * rest. */
static int find_gone(Resync *resync)
{
        ch_registry *registry = resync->registry;
        Process *process;
        size_t at = 0;

        registry->epoch++;
        for (size_t i = 0; i < resync->n; i++) {
                process = process_find(registry, resync->entries[i].pid);
                if (process && process->start_ticks == resync->entries[i].facts.start_ticks)
                        process->epoch = registry->epoch;
        }
        while ((process = hash_next(&registry->processes, &at))) {
                if (process->epoch == registry->epoch)
                        continue;
                if (array_reserve(&resync->gone, &resync->n_gone_allocated, resync->n_gone + 1,
                                  sizeof(Process *)) < 0)
                        return -ENOMEM;
                resync->gone[resync->n_gone++] = process;
        }
        for (size_t i = 0; i < resync->n_gone; i++)
                (void)hash_remove(&registry->processes, (uint64_t)resync->gone[i]->pid);
        return 0;
}

/* In order of age, for those that are new get their place among the others by it. */
static int add_new(Resync *resync)
{
        ch_registry *registry = resync->registry;

        for (size_t i = 0; i < resync->n; i++) {
                Entry *entry = &resync->entries[i];
                Group *group;
                int r;

                r = group_intern(registry, entry->facts.group_id, entry->facts.group, &group);
                if (r < 0)
                        return r;
                entry->process = process_find(registry, entry->pid);
                if (entry->process)
                        process_set_group(registry, entry->process, group);
                else
                        r = process_new(registry, entry->pid, &entry->facts, group,
                                        &entry->process);
                if (r < 0) {
                        (void)group_unref_interned(registry, group);
                        return r;
                }
                entry->process->has_threads = 1;
        }
        return 0;
}

static void find_runs(Resync *resync)
{
        qsort(resync->entries, resync->n, sizeof(Entry), by_class);
        for (size_t i = 0; i < resync->n && resync->entries[i].class != NO_CLASS; i++) {
                Class *class = &resync->classes[resync->entries[i].class];

                if (i == 0 || resync->entries[i - 1].class != resync->entries[i].class)
                        *class = (Class){ .first = i };
                class->n++;
        }
}

/* The mm that the registry believed them to have. */
static Mm *known_mm(const Resync *resync, const Class *class)
{
        for (size_t i = class->first; i < class->first + class->n; i++)
                if (resync->entries[i].process->mm)
                        return resync->entries[i].process->mm;
        return NULL;
}

/*
 * How well a class fits what was known of an mm, when someone left it by exec unseen: who left
 * shows another key, except for the same program without address randomisation. Then the greater
 * number stays, then the owner.
 */
static uint64_t claim_of(const Resync *resync, const Class *class, const Mm *mm)
{
        uint64_t n = 0, has_owner = 0;

        for (size_t i = class->first; i < class->first + class->n; i++) {
                const Process *process = resync->entries[i].process;

                n += process->mm == mm;
                has_owner |= process == mm->owner;
        }
        return 1 + ((uint64_t)(mm->key == resync->entries[class->first].facts.mm_key) << 48) +
               n * 2 + has_owner;
}

static void match_mms(Resync *resync)
{
        for (size_t i = 0; i < resync->n_classes; i++) {
                const Class *class = &resync->classes[i];
                Mm *mm = known_mm(resync, class);
                uint64_t claim = mm ? claim_of(resync, class, mm) : 0;

                if (!mm || claim <= mm->claim)
                        continue;
                mm->claim = claim;
                mm->claim_class = (uint32_t)i;
        }
        for (size_t i = 0; i < resync->n_classes; i++) {
                Mm *mm = known_mm(resync, &resync->classes[i]);

                if (mm && mm->claim_class == i)
                        resync->classes[i].mm = mm;
        }
        /* all are read before any is wiped: two classes may name the same */
        for (size_t i = 0; i < resync->n_classes; i++)
                if (resync->classes[i].mm)
                        resync->classes[i].mm->claim = 0;
}

static Mm *mm_of_entry(const Resync *resync, const Entry *entry)
{
        return entry->class == NO_CLASS ? NULL : resync->classes[entry->class].mm;
}

/*
 * Those go first who do not own what they leave, so that an owner that leaves hands over to one
 * who stays; for the same reason who comes in is let in before owners leave.
 */
static void leave_others(Resync *resync)
{
        for (size_t i = 0; i < resync->n; i++) {
                Process *process = resync->entries[i].process;

                if (process->mm && process->mm->owner != process &&
                    process->mm != mm_of_entry(resync, &resync->entries[i]))
                        mm_leave(resync->registry, process, CH_OWNER_CAUSE_RESYNC);
        }
        for (size_t i = 0; i < resync->n_gone; i++)
                if (resync->gone[i]->mm && resync->gone[i]->mm->owner != resync->gone[i])
                        mm_leave(resync->registry, resync->gone[i], CH_OWNER_CAUSE_RESYNC);
}

static void join_known(Resync *resync)
{
        for (size_t i = 0; i < resync->n; i++) {
                Process *process = resync->entries[i].process;
                Mm *mm = mm_of_entry(resync, &resync->entries[i]);

                if (mm && !process->mm)
                        mm_join(resync->registry, mm, process);
        }
}

static void leave_owners(Resync *resync)
{
        for (size_t i = 0; i < resync->n; i++) {
                Process *process = resync->entries[i].process;

                if (process && process->mm &&
                    process->mm != mm_of_entry(resync, &resync->entries[i]))
                        mm_leave(resync->registry, process, CH_OWNER_CAUSE_RESYNC);
        }
        for (size_t i = 0; i < resync->n_gone; i++)
                mm_leave(resync->registry, resync->gone[i], CH_OWNER_CAUSE_RESYNC);
}

/* The owner of an mm that nobody knew is the one it was made for: none of the others is older; of
 * the same tick, the parent is. */
static const Entry *find_maker(const Entry *entries, size_t n)
{
        const Entry *maker = &entries[0];

        for (size_t i = 1; i < n && entries[i].facts.start_ticks == maker->facts.start_ticks;) {
                if (maker->facts.ppid != entries[i].pid) {
                        i++;
                        continue;
                }
                maker = &entries[i];
                i = 1;
        }
        return maker;
}

static int make_mms(Resync *resync)
{
        for (size_t i = 0; i < resync->n_classes; i++) {
                Class *class = &resync->classes[i];
                const Entry *entries = &resync->entries[class->first], *maker;
                uint64_t key = entries->facts.mm_key;
                int r;

                if (class->mm) {
                        r = mm_set_key(resync->registry, class->mm, key);
                        if (r < 0)
                                return r;
                        continue;
                }
                maker = find_maker(entries, class->n);
                r = mm_new(resync->registry, maker->process, key);
                if (r < 0)
                        return r;
                class->mm = maker->process->mm;
                for (size_t k = 0; k < class->n; k++)
                        if (!entries[k].process->mm)
                                mm_join(resync->registry, class->mm, entries[k].process);
        }
        return 0;
}

/* Whose first thread exited unseen, or before we were there. */
static void note_leaders(Resync *resync)
{
        for (size_t i = 0; i < resync->n; i++) {
                const Entry *entry = &resync->entries[i];

                if (entry->facts.leader_exited && !entry->process->leader_exited)
                        mm_leader_left(resync->registry, entry->process, CH_OWNER_CAUSE_RESYNC);
                entry->process->leader_exited = entry->facts.leader_exited != 0;
        }
}

static void free_gone(Resync *resync)
{
        for (size_t i = 0; i < resync->n_gone; i++) {
                Process *process = resync->gone[i];

                process_give_children(resync->registry, process, NULL);
                process_set_parent(resync->registry, process, NULL);
                process_free(resync->registry, process);
        }
        resync->n_gone = 0;
}

/* The parent may have exited since it was read, and may not have been listed any more: then the
 * kernel has named another. */
static Process *find_parent(const Resync *resync, const Entry *entry)
{
        Process *parent = process_find(resync->registry, entry->facts.ppid);
        ch_process_facts facts;

        if (parent || entry->facts.ppid == 0 ||
            registry_read(resync->registry, entry->pid, &facts) < 0)
                return parent;
        facts_done(&facts);
        return process_find(resync->registry, facts.ppid);
}

static void link_parents(Resync *resync)
{
        qsort(resync->entries, resync->n, sizeof(Entry), by_age);
        for (size_t i = 0; i < resync->n; i++) {
                Process *process = resync->entries[i].process;
                Process *parent = find_parent(resync, &resync->entries[i]);

                if (process->parent != parent && parent != process)
                        process_set_parent(resync->registry, process, parent);
        }
}

/* After it the registry is whole, also when memory ran out in the midst: then processes are missing
 * or have no mm until the next. */
static int apply(Resync *resync)
{
        int r;

        qsort(resync->entries, resync->n, sizeof(Entry), by_age);
        r = add_new(resync);
        if (r == 0) {
                find_runs(resync);
                match_mms(resync);
                leave_others(resync);
                join_known(resync);
        }
        leave_owners(resync);
        if (r == 0) {
                join_known(resync);
                r = make_mms(resync);
        }
        free_gone(resync);
        if (r == 0) {
                link_parents(resync);
                note_leaders(resync);
        }
        return r;
}

_public_ int ch_registry_resync(ch_registry *registry, ch_error **err)
{
        Resync resync = { .registry = registry };
        int r;

        registry->counts.resyncs++;
        r = registry->source.list(read_one, &resync, registry->source.userdata);
        if (r >= 0)
                r = classify(&resync);
        if (r >= 0)
                r = find_gone(&resync);
        if (r >= 0)
                r = apply(&resync);
        resync_done(&resync);
        if (r == -ENOMEM)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        return r < 0 ? error_errno(err, -r, "/proc", "read all processes of") : 0;
}
