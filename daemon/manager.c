/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's life: start, reload, changes to the bus, end. */

#include <assert.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "auth.h"
#include "bus.h"
#include "claim.h"
#include "configured.h"
#include "error.h"
#include "journal.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "ownership.h"
#include "setup.h"
#include "stray.h"
#include "systemd1/face.h"
#include "systemd1/user.h"
#include "util.h"

#ifndef CHARGEHAND_VERSION
#error "the build defines CHARGEHAND_VERSION"
#endif

/* Calls `member` of each observer that has it with `arguments`, such as (group,
 * OBSERVER->userdata). */
#define OBSERVER (&manager->observers[observer_])
#define OBSERVE(member, arguments)                                                                 \
        do {                                                                                       \
                for (size_t observer_ = 0; observer_ < manager->n_observers; observer_++)          \
                        if (OBSERVER->member)                                                      \
                                OBSERVER->member arguments;                                        \
        } while (0)

const char *manager_version(void)
{
        return CHARGEHAND_VERSION;
}

int manager_load_conf(const ManagerOptions *options, Conf **ret, ch_error **err)
{
        const struct {
                const char *key, *value;
        } overrides[] = {
                {"Root",            options->root           },
                { "Mode",           options->mode           },
                { "Bus",            options->bus            },
                { "StateDirectory", options->state_directory},
        };
        _cleanup_(conf_freep) Conf *conf = NULL;
        _cleanup_(freep) char *own_file = NULL;
        const char *file = options->conf_file;
        int r;

        r = conf_new(&conf);
        if (r >= 0 && options->is_user && !file)
                r = user_conf_file(&own_file);
        if (r < 0)
                return error_errno(err, r, NULL, "reading the configuration");
        if (options->is_user)
                r = user_conf_defaults(conf, err);
        if (r >= 0 && !(options->is_user && !file && !own_file))
                r = conf_read(conf, file ? file : own_file, err);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(overrides); i++)
                if (overrides[i].value)
                        r = conf_set(conf, "Daemon", overrides[i].key, overrides[i].value, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < conf->n_warnings; i++)
                log_warning("%s", conf->warnings[i]);
        *ret = TAKE_PTR(conf);
        return 0;
}

int manager_new(const ManagerOptions *options, Conf *conf, Manager **ret, ch_error **err)
{
        Manager *manager = calloc(1, sizeof(*manager));
        int r;

        if (!manager)
                return error_errno(err, ENOMEM, NULL, "starting");
        *manager = (Manager){
                .options = *options, .state_fd = -EBADF, .lock_fd = -EBADF, .root_lock_fd = -EBADF
        };
        log_set_max_level((int)conf->log_level);
        r = sd_event_new(&manager->event);
        if (r >= 0)
                r = clients_new(&manager->clients);
        if (r >= 0)
                r = pool_new(manager->event, conf->workers, &manager->workers);
        if (r >= 0)
                r = pool_new(manager->event, conf->jobs, &manager->movers);
        if (r < 0) {
                manager_free(manager);
                return error_errno(err, r, NULL, "starting");
        }
        manager->conf = conf;
        manager->inside_only = conf->mode == MODE_DELEGATED;
        *ret = manager;
        return 0;
}

Manager *manager_free(Manager *manager)
{
        if (!manager)
                return NULL;
        manager->stopping = 1;
        OBSERVE(free, (OBSERVER->userdata));
        manager->n_observers = 0;
        bus_free(manager->bus);
        strays_free(manager->strays);
        /* work that hangs in the kernel keeps what it uses until the process ends */
        if (!pool_free(manager->movers) || !pool_free(manager->workers) ||
            !watches_free(manager->watches))
                return NULL;
        ownership_free(manager->ownership);
        jobs_free(manager->jobs);
        leases_free(manager->leases);
        claims_free(manager->claims);
        groups_free(manager->groups);
        tidy_free(manager->tidy);
        clients_free(manager->clients);
        ch_tree_unref(manager->tree);
        conf_free(manager->conf);
        sd_event_source_unref(manager->changes);
        sd_event_source_unref(manager->stop_timer);
        sd_event_unref(manager->event);
        safe_close(manager->lock_fd);
        safe_close(manager->root_lock_fd);
        safe_close(manager->state_fd);
        free(manager);
        return NULL;
}

static void on_group_opened(Group *group, int fd, void *userdata)
{
        watches_add_open(((Manager *)userdata)->watches, group, fd);
}

static void on_group_added(Group *group, void *userdata)
{
        Manager *manager = userdata;

        bus_emit_group(manager->bus, "GroupNew", group);
        OBSERVE(group_added, (group, OBSERVER->userdata));
}

static void on_group_removed(Group *group, void *userdata)
{
        Manager *manager = userdata;

        watches_remove(manager->watches, group);
        tidy_count(manager->tidy);
        claims_drop(manager->claims, group->path, group->id);
        ownership_forget_group(manager->ownership, group->id);
        leases_save_moved(manager->leases);
        bus_emit_group(manager->bus, "GroupRemoved", group);
        OBSERVE(group_removed, (group, OBSERVER->userdata));
}

static void on_group_missed(const char *path, void *userdata)
{
        Manager *manager = userdata;

        claims_drop(manager->claims, path, 0);
        leases_save_moved(manager->leases);
        OBSERVE(group_missed, (path, OBSERVER->userdata));
}

static void on_group_changed(Groups *groups, void *userdata)
{
        Manager *manager = userdata;

        (void)sd_event_source_set_enabled(manager->changes, SD_EVENT_ONESHOT);
}

static void on_group_oom(Group *group, uint64_t count, void *userdata)
{
        Manager *manager = userdata;

        log_warning("%s: the kernel killed for lack of memory (oom_kill %llu)", group->path,
                    (unsigned long long)count);
        bus_emit_oom(manager->bus, group, count);
        OBSERVE(group_oom, (group, count, OBSERVER->userdata));
}

/* At the end of the loop turn: one signal per group, however often it changed. */
static int on_changes(sd_event_source *source, void *userdata)
{
        Manager *manager = userdata;
        uint32_t bits;
        Group *group;

        while ((group = groups_pop_changed(manager->groups, &bits))) {
                group_bus_emit_changed(manager->bus, group, bits);
                OBSERVE(group_changed, (group, bits, OBSERVER->userdata));
        }
        return 0;
}

void manager_add_observer(Manager *manager, const ManagerObserver *observer)
{
        assert(manager->n_observers < MANAGER_OBSERVERS_MAX);
        manager->observers[manager->n_observers++] = *observer;
}

void manager_client_gone(Manager *manager, const char *client)
{
        if (bus_has_name(manager->bus))
                clients_drop(manager->clients, link_get_bus(manager->bus->link), client);
        OBSERVE(client_gone, (client, OBSERVER->userdata));
}

static void on_job_added(Job *job, void *userdata)
{
        bus_emit_job_new(((Manager *)userdata)->bus, job);
}

static void on_job_progressed(Job *job, void *userdata)
{
        job_bus_emit_changed(((Manager *)userdata)->bus, job);
}

static void on_job_ended(Job *job, void *userdata)
{
        Manager *manager = userdata;

        ownership_look_at(manager->ownership, job->pids, job->n_pids);
        job_bus_emit_changed(manager->bus, job);
        bus_emit_job_removed(manager->bus, job);
        if (job->state == JOB_FINISHED || job->state == JOB_PARTLY_DONE)
                strays_watch(manager->strays, job->result, job->group);
        if (job->state == JOB_FINISHED && job->lease)
                (void)leases_end(manager->leases, job->lease);
}

static void on_job_forgotten(Job *job, void *userdata)
{
        log_debug("job %u is forgotten", job->id);
}

static void on_movers_wake(void *userdata)
{
        jobs_check_progress(((Manager *)userdata)->jobs);
}

static int start_jobs(Manager *manager)
{
        JobsOptions options = {
                .tree = manager->tree,
                .pool = manager->movers,
                .claims = manager->claims,
                .state_fd = manager->state_fd,
                .history = manager->conf->job_history,
                .kill_at_step = manager->conf->kill_at_step,
                .parallel_writes = ch_probe_has(&manager->probe, CH_FEATURE_FAVORDYNMODS),
                .observer = {.added = on_job_added,
                             .progressed = on_job_progressed,
                             .ended = on_job_ended,
                             .forgotten = on_job_forgotten,
                             .userdata = manager},
        };
        int r;

        r = jobs_new(&options, &manager->jobs);
        if (r >= 0)
                pool_set_wake(manager->movers, on_movers_wake, manager);
        return r;
}

/* Any thread */
static void on_claims_changed(void *userdata)
{
        pool_wake(((Manager *)userdata)->workers);
}

static void on_workers_wake(void *userdata)
{
        Manager *manager = userdata;
        ClaimChange change;

        while (manager->claims && claims_pop_change(manager->claims, &change)) {
                bus_emit_claim(manager->bus, &change);
                free(change.group);
        }
}

static int start_claims(Manager *manager, ch_error **err)
{
        ClaimsOptions options = {
                .tree = manager->tree,
                .changed = on_claims_changed,
                .userdata = manager,
        };
        int r;

        r = claims_new(&options, &manager->claims);
        if (r < 0)
                return r;
        pool_set_wake(manager->workers, on_workers_wake, manager);
        return leases_new(manager, &manager->leases, err);
}

static void on_owner_changed(const OwnerChange *change, void *userdata)
{
        bus_emit_owner_changed(((Manager *)userdata)->bus, change);
}

static int start_ownership(Manager *manager)
{
        OwnershipOptions options = {
                .event = manager->event,
                .tree = manager->tree,
                .track = (Track)manager->conf->track,
                .resync_usec = manager->conf->stray_usec,
                .buffer_bytes = manager->conf->feed_buffer,
                .changed = on_owner_changed,
                .userdata = manager,
        };

        return ownership_new(&options, &manager->ownership);
}

/* Those of an earlier life of the daemon. Leases keep their numbers, so they come first. */
static void load_claims(Manager *manager)
{
        leases_load(manager->leases);
        for (Group *group = manager->groups->root; group;
             group = group_next(manager->groups->root, group, 0))
                if (group->flags & GROUP_CLAIMED)
                        claims_load(manager->claims, group->path);
}

static int start_model(Manager *manager, ch_error **err)
{
        GroupsObserver observer = {
                .added = on_group_added,
                .removed = on_group_removed,
                .changed = on_group_changed,
                .oom = on_group_oom,
                .userdata = manager,
                .opened = on_group_opened,
                .missed = on_group_missed,
        };
        int r;

        r = groups_new(manager->tree, &observer, &manager->groups);
        if (r >= 0)
                r = tidy_new(manager->event, &manager->tidy);
        if (r >= 0)
                r = watches_new(manager->event, manager->groups, manager->conf->rescan_usec,
                                &manager->watches);
        if (r >= 0)
                r = sd_event_add_defer(manager->event, &manager->changes, on_changes, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->changes, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(manager->changes, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = strays_new(manager, &manager->strays);
        if (r < 0)
                return error_errno(err, r, NULL, "starting");
        manager->scan_usec = now_usec();
        r = groups_scan(manager->groups, "/", SIZE_MAX, err);
        manager->scan_usec = now_usec() - manager->scan_usec;
        if (r >= 0)
                load_claims(manager);
        return r;
}

static int recover_one(uint32_t id, uint32_t uid, struct json_object *record, void *userdata)
{
        Manager *manager = userdata;
        Job *job;

        log_info("job %u was interrupted: finishing it, or rolling it back", id);
        return jobs_add_recovery(manager->jobs, id, uid, record, &job, NULL);
}

void manager_tell_ready(Manager *manager)
{
        if (manager->ready || !manager->configured ||
            !(bus_has_name(manager->bus) || manager->without_bus))
                return;
        for (size_t i = 0; i < manager->n_observers; i++)
                if (manager->observers[i].is_ready &&
                    !manager->observers[i].is_ready(manager->observers[i].userdata))
                        return;
        manager->ready = 1;
        log_info("%zu groups below %s, mode %s, kernel %s", manager->groups->n,
                 ch_tree_get_root(manager->tree), mode_to_string(manager->conf->mode),
                 manager->probe.kernel);
        (void)sd_notifyf(0, "READY=1\nSTATUS=%zu groups below %s", manager->groups->n,
                         ch_tree_get_root(manager->tree));
}

static void on_configured(Manager *manager)
{
        manager->configured = 1;
        manager_tell_ready(manager);
}

static void on_reconfigured(Manager *manager)
{
        (void)sd_notify(0, "READY=1");
}

int manager_reload(Manager *manager, ch_error **err)
{
        Conf *conf;
        int r;

        r = manager_load_conf(&manager->options, &conf, err);
        if (r < 0)
                return r;
        /* what is fixed for the life of the process is told as it is */
        if (!streq(conf->state_directory ? conf->state_directory : "",
                   manager->conf->state_directory) ||
            conf->mode != manager->conf->mode || !streq(conf->bus, manager->conf->bus))
                log_warning("Root=, Mode=, StateDirectory= and Bus= take effect at the next start "
                            "only");
        conf_keep_fixed(conf, manager->conf);
        log_set_max_level((int)conf->log_level);
        conf_free(manager->conf);
        manager->conf = conf;
        return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Manager *manager = userdata;

        (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_usec());
        if (manager_reload(manager, &error) < 0) {
                log_failure(LOG_ERR, "the configuration stays as it was", error);
                (void)sd_notify(0, "READY=1");
                return 0;
        }
        return configured_start(manager, on_reconfigured);
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info,
                        void *userdata)
{
        manager_stop(userdata, EXIT_SUCCESS);
        return 0;
}

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *manager = userdata;

        log_warning("%u jobs are left in mid-move (StopTimeout=): the next start recovers them",
                    manager->jobs->n_live);
        return sd_event_exit(manager->event, manager->exit_code);
}

/* After each turn of the loop, once the end has begun: is all done and said? */
static int on_stopping(sd_event_source *source, void *userdata)
{
        Manager *manager = userdata;

        if (manager->jobs->n_live > 0 || pool_n_active(manager->workers) > 0 ||
            watches_is_scanning(manager->watches) || !bus_is_flushed(manager->bus))
                return 0;
        for (size_t i = 0; i < manager->n_observers; i++)
                if (manager->observers[i].is_busy &&
                    manager->observers[i].is_busy(manager->observers[i].userdata))
                        return 0;
        return sd_event_exit(manager->event, manager->exit_code);
}

void manager_stop(Manager *manager, int exit_code)
{
        if (manager->stopping)
                return;
        manager->stopping = 1;
        manager->exit_code = exit_code;
        (void)sd_notify(0, "STOPPING=1\nSTATUS=Ending jobs");
        jobs_cancel_all(manager->jobs);
        link_stop(manager->bus ? manager->bus->link : NULL);
        OBSERVE(stopping, (OBSERVER->userdata));
        watches_stop(manager->watches);
        (void)sd_event_add_time_relative(manager->event, &manager->stop_timer, CLOCK_MONOTONIC,
                                         manager->conf->stop_timeout_usec, 0, on_stop_timeout,
                                         manager);
        (void)sd_event_add_post(manager->event, NULL, on_stopping, manager);
        (void)on_stopping(NULL, manager); /* no other source may ever wake the loop */
}

static int start_signals(Manager *manager)
{
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        r = sd_event_add_signal(manager->event, NULL, SIGTERM, on_terminate, manager);
        if (r >= 0)
                r = sd_event_add_signal(manager->event, NULL, SIGINT, on_terminate, manager);
        if (r >= 0)
                r = sd_event_add_signal(manager->event, NULL, SIGHUP, on_reload, manager);
        return r;
}

int manager_start(Manager *manager, ch_error **err)
{
        int r;

        setup_raise_nofile();
        r = start_signals(manager);
        if (r < 0)
                return error_errno(err, r, NULL, "starting");
        r = setup_state(manager, err);
        if (r >= 0 && manager->options.is_user)
                r = user_enter(manager->conf, err);
        if (r >= 0)
                r = setup_tree(manager, err);
        if (r < 0)
                return r;
        (void)ch_probe_run(manager->tree, &manager->probe);
        setup_tell_missing(manager);
        r = manager->options.any_fs ? 0 : setup_controllers(manager, err);
        if (r >= 0)
                r = start_claims(manager, err);
        if (r >= 0)
                r = start_jobs(manager);
        if (r >= 0)
                r = start_ownership(manager);
        if (r >= 0)
                r = start_model(manager, err);
        if (r >= 0 && manager->conf->systemd1)
                r = face_new(manager, NULL, err);
        if (r >= 0)
                r = bus_new(manager, manager->without_bus, &manager->bus, err);
        if (r >= 0)
                r = journal_read_all(manager->state_fd, recover_one, manager, err);
        if (r >= 0)
                r = configured_start(manager, on_configured);
        if (r < 0 && err && !*err)
                return error_errno(err, r, NULL, "starting");
        return r;
}

int manager_run(Manager *manager)
{
        int r;

        (void)sd_event_set_watchdog(manager->event, 1);
        r = sd_event_loop(manager->event);
        if (r < 0)
                log_error("the event loop failed: %s", strerror(-r));
        return r < 0 ? EXIT_FAILURE : r;
}
