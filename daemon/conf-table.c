/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of chargehand.conf: one row each, with default, parser and what it accepts. */

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <syslog.h>

#include <chargehand/units.h>

#include "conf.h"
#include "conf-parse.h"
#include "ownership.h"
#include "util.h"

/* Bare numbers are seconds. */
static int parse_seconds(const char *text, uint64_t *ret)
{
        return ch_parse_usec(text, 1000000, ret);
}

int conf_parse_owner(const char *text, int is_group, uint32_t *ret)
{
        struct passwd *user;
        struct group *group;
        uint64_t value;

        if (parse_u64(text, &value, NULL) >= 0 && value < UINT32_MAX) {
                *ret = (uint32_t)value;
                return 0;
        }
        user = is_group ? NULL : getpwnam(text);
        group = is_group ? getgrnam(text) : NULL;
        if (!user && !group)
                return -EINVAL;
        *ret = user ? user->pw_uid : group->gr_gid;
        return 0;
}

static int parse_text(const ConfRow *row, const char *text, void *member)
{
        char **ret = member, *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

static int parse_path(const ConfRow *row, const char *text, void *member)
{
        char **ret = member;

        if (*text && *text != '/')
                return -EINVAL;
        if (*text)
                return parse_text(row, text, member);
        free(*ret);
        *ret = NULL;
        return 0;
}

static int parse_bus(const ConfRow *row, const char *text, void *member)
{
        if (!streq(text, "system") && !streq(text, "session") && !strchr(text, ':'))
                return -EINVAL;
        return parse_text(row, text, member);
}

static int parse_count(const ConfRow *row, const char *text, void *member)
{
        uint64_t value;

        if (parse_u64(text, &value, NULL) < 0 || value < row->min || value > row->max)
                return -EINVAL;
        *(unsigned *)member = (unsigned)value;
        return 0;
}

static int parse_span(const ConfRow *row, const char *text, void *member)
{
        uint64_t value;

        if (parse_seconds(text, &value) < 0 || value < row->min || value > row->max)
                return -EINVAL;
        *(uint64_t *)member = value;
        return 0;
}

static int parse_bool(const ConfRow *row, const char *text, void *member)
{
        static const char *const words[] = { "no", "yes", "false", "true", "0", "1", "off", "on" };

        for (unsigned i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i], text)) {
                        *(unsigned *)member = i & 1;
                        return 0;
                }
        return -EINVAL;
}

static int parse_place(const ConfRow *row, const char *text, void *member)
{
        if (*text != '/' && !streq(text, "auto") && !streq(text, "no"))
                return -EINVAL;
        return parse_text(row, text, member);
}

static int parse_slice(const ConfRow *row, const char *text, void *member)
{
        const char *dot = strrchr(text, '.');

        if (!streq(text, "auto") && (!dot || dot == text || !streq(dot, ".slice")))
                return -EINVAL;
        return parse_text(row, text, member);
}

static int parse_users(const ConfRow *row, const char *text, void *member)
{
        _cleanup_(freep) char *copy = strdup(text);
        char *rest = copy, *word;
        uint32_t uid;

        while (copy && (word = strsep(&rest, " ,\t")))
                if (*word && conf_parse_owner(word, 0, &uid) < 0)
                        return -EINVAL;
        return parse_text(row, text, member);
}

static int parse_span_or_never(const ConfRow *row, const char *text, void *member)
{
        uint64_t value;

        if (parse_seconds(text, &value) < 0 || value == 0)
                return -EINVAL;
        *(uint64_t *)member = value;
        return 0;
}

/* 0 is how the library says "none" */
static int parse_span_or_none(const ConfRow *row, const char *text, void *member)
{
        uint64_t value;

        if (parse_seconds(text, &value) < 0 || value == 0)
                return -EINVAL;
        *(uint64_t *)member = value == UINT64_MAX ? 0 : value;
        return 0;
}

static int parse_size(const ConfRow *row, const char *text, void *member)
{
        return ch_parse_bytes(text, member);
}

static int parse_rate(const ConfRow *row, const char *text, void *member)
{
        uint64_t value;

        if (ch_parse_bytes(text, &value) < 0 || value == 0)
                return -EINVAL;
        *(uint64_t *)member = value == UINT64_MAX ? 0 : value;
        return 0;
}

static int parse_percent(const ConfRow *row, const char *text, void *member)
{
        uint64_t value;

        if (!strchr(text, '%') || ch_parse_permyriad(text, &value) < 0 || value > row->max)
                return -EINVAL;
        *(unsigned *)member = (unsigned)value;
        return 0;
}

static const char *const mode_words[] = {
        [MODE_ROOT] = "root",
        [MODE_DELEGATED] = "delegated",
        [MODE_PRIVATE] = "private",
};

const char *mode_to_string(Mode mode)
{
        return mode_words[mode];
}

int mode_from_string(const char *word, Mode *ret)
{
        for (unsigned i = 0; i < MODE_MAX_; i++)
                if (streq(mode_words[i], word)) {
                        *ret = (Mode)i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_mode(const ConfRow *row, const char *text, void *member)
{
        return mode_from_string(text, member);
}

static int parse_policy(const ConfRow *row, const char *text, void *member)
{
        ch_policy policy;

        if (ch_policy_from_string(text, &policy) < 0)
                return -EINVAL;
        *(unsigned *)member = policy;
        return 0;
}

static int parse_backends(const ConfRow *row, const char *text, void *member)
{
        _cleanup_(freep) char *copy = strdup(text);
        unsigned bits = 0;
        char *rest = copy, *word;

        while (copy && (word = strsep(&rest, " ,\t"))) {
                ch_backend backend;

                if (!*word)
                        continue;
                if (ch_backend_from_string(word, &backend) < 0)
                        return -EINVAL;
                bits |= 1U << backend;
        }
        if (!bits)
                return -EINVAL;
        *(unsigned *)member = bits;
        return 0;
}

static int parse_track(const ConfRow *row, const char *text, void *member)
{
        static const char *const words[] = {
                [TRACK_AUTO] = "auto", [TRACK_YES] = "yes", [TRACK_NO] = "no"
        };

        for (unsigned i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i], text)) {
                        *(unsigned *)member = i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_level(const ConfRow *row, const char *text, void *member)
{
        static const char *const words[] = {
                [LOG_ERR] = "error",
                [LOG_WARNING] = "warning",
                [LOG_INFO] = "info",
                [LOG_DEBUG] = "debug",
        };

        for (unsigned i = 0; i < ELEMENTSOF(words); i++)
                if (words[i] && streq(words[i], text)) {
                        *(unsigned *)member = i;
                        return 0;
                }
        return -EINVAL;
}

/* clang-format off */
#define ROW(sec, name, func, field, def, ...)                                                      \
        { .section = sec, .key = name, .parse = func, .offset = offsetof(Conf, field), .value = def, __VA_ARGS__ }
#define COUNT(lo, hi) .min = lo, .max = hi, .accepts = "a number from " #lo " to " #hi
#define SECONDS(lo, hi)                                                                            \
        .min = lo * 1000000ULL, .max = hi * 1000000ULL, .accepts = "a time from " #lo "s to " #hi "s"

static const ConfRow rows[] = {
        ROW("Daemon", "Root", parse_path, root, "", .accepts = "an absolute path",
            .doc = "Directory that the group path / stands for. Empty: the cgroup2 mount (Mode=root), the daemon's own "
                   "group (delegated); private needs it."),
        ROW("Daemon", "Mode", parse_mode, mode, "root", .accepts = "root, delegated or private",
            .doc = "root: the whole hierarchy, on hosts without systemd. delegated: beside systemd, in the service's own "
                   "subtree (Delegate=yes). private: any directory."),
        ROW("Daemon", "StateDirectory", parse_path, state_directory, "/run/chargehand", .accepts = "an absolute path",
            .doc = "Lock, journal of moves in flight, leases. Need not outlive a reboot; must outlive the daemon."),
        ROW("Daemon", "Bus", parse_bus, bus, "system", .accepts = "system, session or a D-Bus address",
            .doc = "Where to offer org.chargehand1."),
        ROW("Daemon", "Controllers", parse_text, controllers, "all", .accepts = "all, none or names",
            .doc = "Controllers to enable for the groups below the root: all that it has, none, or names. None is ever "
                   "disabled."),
        ROW("Daemon", "Workers", parse_count, workers, "8", COUNT(1, 64),
            .doc = "Threads for calls that may block in the kernel, started when needed."),
        ROW("Daemon", "Jobs", parse_count, jobs, "4", COUNT(1, 64),
            .doc = "Moves at work at the same time; more wait."),
        ROW("Daemon", "RequestsPerClient", parse_count, requests_per_client, "64", COUNT(1, 4096),
            .doc = "Calls of one connection that may be unanswered."),
        ROW("Daemon", "RequestsPerUser", parse_count, requests_per_user, "256", COUNT(1, 65536),
            .doc = "Calls of one uid that may be unanswered. Root is exempt."),
        ROW("Daemon", "JobsPerUser", parse_count, jobs_per_user, "16", COUNT(1, 4096),
            .doc = "Jobs of one uid that have not ended. Root may have ten times as many."),
        ROW("Daemon", "JobHistory", parse_count, job_history, "64", COUNT(1, 4096),
            .doc = "Ended jobs whose object can still be read."),
        ROW("Daemon", "RequestTimeout", parse_span, request_timeout_usec, "20s", SECONDS(1, 3600),
            .doc = "A call not done by then is answered with TimedOut. D-Bus clients mostly give up after 25s."),
        ROW("Daemon", "StopTimeout", parse_span, stop_timeout_usec, "10s", SECONDS(1, 3600),
            .doc = "How long to wait at the end for jobs to undo what they did; the next start does the rest."),
        ROW("Daemon", "RescanInterval", parse_span, rescan_usec, "5s", SECONDS(1, 3600),
            .doc = "How often to read the tree where inotify watches do not suffice (fs.inotify.max_user_watches)."),
        ROW("Daemon", "StrayInterval", parse_span, stray_usec, "10s", SECONDS(1, 3600),
            .doc = "How often to look whether processes that were moved are still where they were moved to."),
        ROW("Daemon", "LogLevel", parse_level, log_level, "info", .accepts = "error, warning, info or debug",
            .doc = "What to log."),
        ROW("Move", "Policy", parse_policy, policy, "reserve", .accepts = "reserve, stay, lazy or partial",
            .doc = "reserve: room is set aside first, a failure brings everything back. stay: charges stay. lazy: charges "
                   "follow later. partial: what can be moved is moved and kept."),
        ROW("Move", "Backends", parse_backends, backends, "module recharge collapse refault",
            .accepts = "module, recharge, collapse, refault or several",
            .doc = "How charges may be moved: by the kernel module where it is loaded, by the others what it leaves."),
        ROW("Move", "MaxGrowth", parse_percent, max_growth_permyriad, "1%", .max = 10000,
            .accepts = "a percentage from 0% to 100%",
            .doc = "How much the resident set may grow by filling holes."),
        ROW("Move", "Rate", parse_rate, rate_bytes_per_sec, "infinity", .accepts = "bytes such as 200M, or infinity",
            .doc = "Bytes recharged per second."),
        ROW("Move", "Timeout", parse_span_or_none, timeout_usec, "infinity", .accepts = "a time such as 30s, or infinity",
            .doc = "A move not done by then ends as its policy says."),
        ROW("Move", "MaxReclaim", parse_size, reclaim_bytes, "infinity", .accepts = "bytes such as 200M, or infinity",
            .doc = "How much may be reclaimed in a target to make room."),
        ROW("Claims", "PerUser", parse_count, claims_per_user, "64", COUNT(1, 4096),
            .doc = "Leases of one uid (Reserve, Place) at the same time. Root may have ten times as many."),
        ROW("Runtime", "Systemd1", parse_bool, systemd1, "no", .accepts = "yes or no",
            .doc = "Offer org.freedesktop.systemd1 to container runtimes: for hosts where systemd is not PID 1."),
        ROW("Runtime", "PrivateSocket", parse_place, private_socket, "auto", .accepts = "auto, no or an absolute path",
            .doc = "Socket for clients without a bus. auto: /run/systemd/private for root on the system bus, "
                   "$XDG_RUNTIME_DIR/systemd/private for a user instance."),
        ROW("Runtime", "SystemdDirectory", parse_bool, systemd_directory, "no", .accepts = "yes or no",
            .doc = "Make /run/systemd/system, by which runc, containerd and others tell that systemd runs. Other software "
                   "believes it too: see docs/runtimes.md."),
        ROW("Runtime", "DefaultSlice", parse_slice, default_slice, "auto", .accepts = "auto or the name of a slice",
            .doc = "Slice of scopes that name none. auto: system.slice, app.slice for a user instance."),
        ROW("Runtime", "ScopeLinger", parse_span, scope_linger_usec, "10s", SECONDS(0, 3600),
            .doc = "How long the group of a dead scope is kept for those who read its memory.events. Its name is free at "
                   "once."),
        ROW("Runtime", "DefaultTimeoutStop", parse_span_or_never, default_timeout_stop_usec, "90s",
            .accepts = "a time such as 90s, or infinity",
            .doc = "From SIGTERM to SIGKILL when a scope is stopped."),
        ROW("Runtime", "Users", parse_users, users, "", .accepts = "names or numbers of users that exist",
            .doc = "Users who get a subtree of their own, /user.slice/user-UID.slice/user@UID.service, for chargehandd "
                   "--user."),
        ROW("Ownership", "Track", parse_track, track, "auto", .accepts = "auto, yes or no",
            .doc = "Keep track of which process owns which address space, by the kernel's process events. auto: where they "
                   "can be had. yes: the same, and a warning where not. no: processes are read when somebody asks."),
        ROW("Debug", "KillAtStep", parse_count, kill_at_step, "0", COUNT(0, 1000000),
            .doc = "For tests of recovery: end by SIGKILL when a move writes its journal for the Nth time. 0: never."),
        ROW("Debug", "EventBuffer", parse_count, feed_buffer, "0", COUNT(0, 1073741824),
            .doc = "For tests of lost process events: bytes of the socket that they come by. 0: as is good."),
};
/* clang-format on */

size_t conf_n_rows(void)
{
        return ELEMENTSOF(rows);
}

const ConfRow *conf_get_row(size_t index)
{
        return index < ELEMENTSOF(rows) ? &rows[index] : NULL;
}
