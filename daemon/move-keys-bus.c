/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the keys that requests about processes have in common. */

#include <poll.h>

#include "auth.h"
#include "error.h"
#include "move-keys-bus.h"
#include "util.h"

void move_keys_init(MoveKeys *keys, const Conf *conf)
{
        keys->max_growth_permyriad = conf->max_growth_permyriad;
        keys->rate_bytes_per_sec = conf->rate_bytes_per_sec;
        keys->timeout_usec = conf->timeout_usec;
}

void move_keys_done(MoveKeys *keys)
{
        for (size_t i = 0; i < keys->pidfds.n; i++)
                safe_close((int)keys->pidfds.items[i]);
        for (char **word = keys->backends; word && *word; word++)
                free(*word);
        free(keys->backends);
        free(keys->pids.items);
        free(keys->pidfds.items);
        free(keys->group);
        free(keys->policy);
        free(keys->targets);
}

static int read_policy(MoveKeys *keys, const Conf *conf, ch_error **err)
{
        ch_policy policy = conf->policy;

        if (keys->policy && ch_policy_from_string(keys->policy, &policy) < 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, keys->policy,
                                 "no such policy: reserve, stay, lazy or partial");
        keys->options.policy = policy;
        return 0;
}

static int read_backends(MoveKeys *keys, const Conf *conf, ch_error **err)
{
        uint32_t bits = 0;

        for (char **word = keys->backends; word && *word; word++) {
                ch_backend backend;

                if (ch_backend_from_string(*word, &backend) < 0)
                        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, *word,
                                         "no such backend: module, recharge, collapse or refault");
                bits |= 1U << backend;
        }
        keys->options.backends = keys->backends ? bits : conf->backends;
        return 0;
}

/* What a pidfd stands for, as a pid; that it was not reused is checked when the plan is made. */
static int resolve_pidfd(int fd, pid_t *ret, ch_error **err)
{
        ch_procset *set;
        int r;

        r = ch_procset_new(&set);
        if (r < 0)
                return r;
        r = ch_procset_add_pidfd(set, fd, err);
        if (r >= 0)
                *ret = ch_procset_get(set, 0)->pid;
        ch_procset_free(set);
        return r;
}

static int read_processes(MoveKeys *keys, ch_error **err)
{
        int sources = (keys->pids.n > 0) + (keys->pidfds.n > 0) + (keys->group != NULL), r = 0;

        if (sources != 1)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, NULL,
                                 "exactly one of pids, pidfds and group is needed (%d given)",
                                 sources);
        keys->targets = calloc(keys->pids.n + keys->pidfds.n + 1, sizeof(pid_t));
        if (!keys->targets)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < keys->pids.n; i++) {
                if (keys->pids.items[i] == 0 || keys->pids.items[i] > INT32_MAX)
                        r = error_set(err, CH_ERROR_BAD_PROCESS, 0, NULL, "pid %u is no process",
                                      keys->pids.items[i]);
                else
                        keys->targets[keys->n_targets++] = (pid_t)keys->pids.items[i];
        }
        for (size_t i = 0; r >= 0 && i < keys->pidfds.n; i++)
                r = resolve_pidfd((int)keys->pidfds.items[i], &keys->targets[keys->n_targets++],
                                  err);
        return r;
}

/* What others share would come onto the caller's account, below the caller's limits. */
static int check_shared(const MoveKeys *keys, uint32_t uid, ch_error **err)
{
        if (!keys->with_shared || uid_is_master(uid))
                return 0;
        return error_set(err, CH_ERROR_NOT_PERMITTED, 0, "with_shared",
                         "only root may move memory that others share, not uid %u", uid);
}

int move_keys_check(MoveKeys *keys, const Conf *conf, uint32_t uid, ch_error **err)
{
        int r;

        keys->options = (ch_move_options)CH_MOVE_OPTIONS_INIT;
        keys->options.max_growth_permyriad = keys->max_growth_permyriad;
        keys->options.with_shared = keys->with_shared;
        keys->options.rate_bytes_per_sec = keys->rate_bytes_per_sec;
        keys->options.timeout_usec = keys->timeout_usec;
        keys->options.reclaim_bytes = conf->reclaim_bytes;
        r = check_shared(keys, uid, err);
        if (r >= 0 && keys->group)
                r = ch_path_check(keys->group, err);
        if (r >= 0)
                r = read_policy(keys, conf, err);
        if (r >= 0)
                r = read_backends(keys, conf, err);
        return r < 0 ? r : read_processes(keys, err);
}

int move_keys_check_pidfds(const MoveKeys *keys, ch_error **err)
{
        for (size_t i = 0; i < keys->pidfds.n; i++) {
                struct pollfd p = { .fd = (int)keys->pidfds.items[i], .events = POLLIN };

                if (poll(&p, 1, 0) != 0)
                        return error_set(err, CH_ERROR_NO_SUCH_PROCESS, 0, NULL,
                                         "process %d has exited", (int)keys->targets[i]);
        }
        return 0;
}
