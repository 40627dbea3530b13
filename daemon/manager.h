/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_MANAGER_H
#define CHD_MANAGER_H

/* The root of the daemon: what there is, and its life. All on the loop's thread; workers get the
 * tree, the probe and the configuration's [Move] values only, which do not change while they are
 * used. */

#include <systemd/sd-event.h>

#include <chargehand/probe.h>
#include <chargehand/tree.h>

#include "conf.h"
#include "group.h"
#include "job.h"
#include "tidy.h"
#include "watch.h"
#include "worker.h"

typedef struct Bus Bus;
typedef struct Claims Claims;
typedef struct Clients Clients;
typedef struct Leases Leases;
typedef struct Manager Manager;
typedef struct Ownership Ownership;
typedef struct Strays Strays;

typedef struct ManagerOptions {
        const char *conf_file;                           /* NULL: the default place */
        const char *root, *mode, *bus, *state_directory; /* override the file; NULL: not given */
        int any_fs;                                      /* tests: the root need not be cgroup2 */
        int is_user;                                     /* a user's own instance */
} ManagerOptions;

/* Somebody else who wants to know what becomes of groups and clients; on the loop. Any may be NULL. */
typedef struct ManagerObserver {
        void (*group_added)(Group *group, void *userdata);
        void (*group_removed)(Group *group, void *userdata); /* still whole; freed afterwards */
        /* it came and went before the model knew of it */
        void (*group_missed)(const char *path, void *userdata);
        void (*group_changed)(Group *group, uint32_t bits, void *userdata); /* GROUP_CHANGED_… */
        void (*group_oom)(Group *group, uint64_t count, void *userdata);
        void (*client_gone)(const char *client, void *userdata);
        void (*stopping)(void *userdata); /* the end has begun */
        int (*is_busy)(void *userdata);   /* something is still to be done or said before the end */
        int (*is_ready)(void *userdata);  /* 0: READY=1 has to wait; call manager_tell_ready() then */
        void (*free)(void *userdata);     /* before all else of the manager goes */
        void *userdata;
} ManagerObserver;
#define MANAGER_OBSERVERS_MAX 4

struct Manager {
        ManagerOptions options;
        Conf *conf;
        sd_event *event;
        ch_tree *tree;
        ch_probe probe;
        Groups *groups;
        Watches *watches;
        Tidy *tidy;
        Jobs *jobs;
        Claims *claims;
        Leases *leases;
        Pool *workers; /* calls */
        Pool *movers;  /* jobs */
        Clients *clients;
        Bus *bus;
        sd_event_source
                *changes; /* deferred: tells the bus of changes at the end of the loop turn */
        sd_event_source *stop_timer;
        Strays *strays;  /* processes moved lately */
        Ownership *ownership; /* who owns address spaces */
        ManagerObserver observers[MANAGER_OBSERVERS_MAX];
        size_t n_observers;
        int inside_only; /* mode delegated: processes outside the tree are left alone */
        int state_fd;    /* StateDirectory */
        int lock_fd, root_lock_fd;
        uint64_t scan_usec; /* the first scan of the tree took */
        int stopping, exit_code;
        int configured; /* the groups of the configuration are there */
        int without_bus; /* an observer offers a way to us beside the bus, which may come later */
        int ready;       /* READY=1 was sent */
};

/* Reads the configuration with the command line over it; logs its warnings. */
int manager_load_conf(const ManagerOptions *options, Conf **ret, ch_error **err);
int manager_new(const ManagerOptions *options, Conf *conf, Manager **ret,
                ch_error **err); /* takes conf on success */
Manager *manager_free(Manager *manager);
/* Locks, tree, controllers, first scan, configured groups, bus, jobs of an earlier life. */
int manager_start(Manager *manager, ch_error **err);
/* Until the end; the exit code. */
int manager_run(Manager *manager);
/* Begins the end: jobs are cancelled, then the loop exits. */
void manager_stop(Manager *manager, int exit_code);
/* Reads the configuration again. The old one stays where the new one cannot be read. */
int manager_reload(Manager *manager, ch_error **err);
/* After the model and before the bus. */
void manager_add_observer(Manager *manager, const ManagerObserver *observer);
void manager_client_gone(Manager *manager, const char *client);
/* READY=1, once the name is ours and the configured groups are there. */
void manager_tell_ready(Manager *manager);
const char *manager_version(void);

static inline void manager_freep(Manager **manager)
{
        manager_free(*manager);
}

#endif
