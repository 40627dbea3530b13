/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes and sets the groups of the configuration. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "configured.h"
#include "create.h"
#include "error.h"
#include "log.h"
#include "util.h"

/* Workers are several, and the newest configuration is to have the last word: one is applied at a
 * time, and none that is outdated. */
static pthread_mutex_t applying = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_fast64_t newest;

int configured_new(Manager *manager, Configured **ret)
{
        Configured *configured = calloc(1, sizeof(*configured));

        if (!configured)
                return -ENOMEM;
        configured->conf = conf_ref(manager->conf);
        configured->tree = ch_tree_ref(manager->tree);
        configured->serial = atomic_fetch_add(&newest, 1) + 1;
        *ret = configured;
        return 0;
}

Configured *configured_free(Configured *configured)
{
        if (!configured)
                return NULL;
        for (size_t i = 0; i < configured->n_warnings; i++)
                free(configured->warnings[i]);
        free(configured->warnings);
        conf_free(configured->conf);
        ch_tree_unref(configured->tree);
        free(configured);
        return NULL;
}

static void warn(Configured *configured, const ConfGroup *group, const ch_error *error)
{
        char *line;

        if (array_reserve(&configured->warnings, &configured->warnings_allocated,
                          configured->n_warnings + 1, sizeof(char *)) < 0 ||
            asprintf(&line, "[Group %s]: %s", group->path, ch_error_get_cause(error)) < 0)
                return;
        configured->warnings[configured->n_warnings++] = line;
}

int configured_apply(Configured *configured)
{
        const Conf *conf = configured->conf;

        (void)pthread_mutex_lock(&applying);
        for (size_t i = 0; i < conf->n_groups && configured->serial == atomic_load(&newest); i++) {
                _cleanup_(error_freep) ch_error *error = NULL;
                const ConfGroup *group = &conf->groups[i];
                CreateOptions options = {
                        .parents = 1,
                        .exist_ok = 1,
                        .uid = group->uid,
                        .gid = group->gid,
                        .owner = UINT32_MAX,
                        .controllers = !streq(conf->controllers, "none"),
                };

                if (create_group(configured->tree, group->path, &options, group->settings,
                                 group->n_settings, &error) < 0)
                        warn(configured, group, error);
        }
        (void)pthread_mutex_unlock(&applying);
        return 0;
}

void configured_finish(Manager *manager, Configured *configured)
{
        for (size_t i = 0; i < configured->conf->n_groups; i++) {
                Group *group = groups_get(manager->groups, configured->conf->groups[i].path);

                if (group && groups_refresh(manager->groups, group) >= 0)
                        watches_add(manager->watches, group);
        }
        for (size_t i = 0; i < configured->n_warnings; i++)
                log_warning("%s", configured->warnings[i]);
}

typedef struct Start {
        Task task;
        Manager *manager;
        Configured *configured;
        void (*done)(Manager *manager);
} Start;

static void start_run(Task *task)
{
        (void)configured_apply(((Start *)task)->configured);
}

static void start_done(Task *task)
{
        Start *start = (Start *)task;

        configured_finish(start->manager, start->configured);
        start->done(start->manager);
        configured_free(start->configured);
        free(start);
}

int configured_start(Manager *manager, void (*done)(Manager *manager))
{
        Start *start = calloc(1, sizeof(*start));
        int r;

        if (!start)
                return -ENOMEM;
        *start = (Start){
                .task = {.run = start_run, .done = start_done},
                  .manager = manager, .done = done
        };
        r = configured_new(manager, &start->configured);
        if (r >= 0)
                r = pool_submit(manager->workers, &start->task);
        if (r < 0) {
                configured_free(start->configured);
                free(start);
        }
        return r;
}
