/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mm registry as its users see it: made, asked, freed. */

#include "error.h"
#include "registry.h"
#include "util.h"

_public_ int ch_registry_new(const ch_registry_options *options, ch_registry **ret, ch_error **err)
{
        ch_registry *registry;
        int r;

        if (!options->tree && !options->source)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "a registry needs a tree or another source");
        registry = calloc(1, sizeof(*registry));
        if (!registry)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        if (options->source) {
                registry->source = *options->source;
        } else {
                r = proc_source_new(options->tree, &registry->proc, err);
                if (r < 0) {
                        free(registry);
                        return r;
                }
                registry->source = proc_source_get(registry->proc);
                registry->threads_are_siblings = proc_source_is_since(6, 11);
        }
        registry->owner_changed = options->owner_changed;
        registry->userdata = options->userdata;
        *ret = registry;
        return 0;
}

/* Nobody is told: it is the registry that ends, not the processes. */
static void free_all(ch_registry *registry)
{
        Process *process;
        size_t at = 0;

        registry->owner_changed = NULL;
        while ((process = hash_next(&registry->processes, &at)))
                mm_leave(registry, process, CH_OWNER_CAUSE_EXIT);
        for (at = 0; (process = hash_next(&registry->processes, &at));) {
                (void)group_unref_interned(registry, process->group);
                free(process);
        }
}

_public_ ch_registry *ch_registry_free(ch_registry *registry)
{
        if (!registry)
                return NULL;
        free_all(registry);
        (void)proc_source_free(registry->proc);
        hash_done(&registry->processes);
        hash_done(&registry->groups);
        hash_done(&registry->mms_by_key);
        free(registry);
        return NULL;
}

static int find_mm(const ch_registry *registry, pid_t pid, const Mm **ret)
{
        const Process *process = process_find(registry, pid);

        if (!process)
                return -ESRCH;
        if (!process->mm)
                return -ENODATA;
        *ret = process->mm;
        return 0;
}

_public_ int ch_registry_get_mm(const ch_registry *registry, pid_t pid, ch_mm_info *ret)
{
        const Mm *mm;
        int r = find_mm(registry, pid, &mm);

        if (r < 0)
                return r;
        mm_describe(mm, ret);
        return 0;
}

_public_ ssize_t ch_registry_get_users(const ch_registry *registry, pid_t pid, pid_t *pids,
                                       size_t n)
{
        const Mm *mm;
        size_t i = 0;
        int r = find_mm(registry, pid, &mm);

        if (r < 0)
                return r;
        for (const Process *user = mm->users; user && i < n; user = user->next_user)
                pids[i++] = user->pid;
        return (ssize_t)mm->n_users;
}

_public_ void ch_registry_get_figures(const ch_registry *registry, ch_registry_figures *ret)
{
        *ret = registry->counts;
        ret->processes = registry->processes.n;
        ret->mms = registry->n_mms;
        ret->shared_mms = registry->n_shared;
        ret->groups = registry->groups.n;
        ret->bytes = sizeof(*registry) + ret->processes * sizeof(Process) + ret->mms * sizeof(Mm) +
                     ret->groups * sizeof(Group) + registry->path_bytes +
                     (registry->processes.n_slots + registry->groups.n_slots +
                      registry->mms_by_key.n_slots) *
                             sizeof(HashSlot);
}

static const char *const causes[] = {
#define CAUSE_WORD_(id, word, doc) [CH_OWNER_CAUSE_##id] = word,
        CH_OWNER_CAUSES(CAUSE_WORD_)
#undef CAUSE_WORD_
};

_public_ const char *ch_owner_cause_to_string(ch_owner_cause cause)
{
        return (size_t)cause < ELEMENTSOF(causes) ? causes[cause] : NULL;
}
