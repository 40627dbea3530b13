/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl run: a program inside a group, from its first instruction on. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include "bus.h"
#include "program.h"
#include "setting.h"

typedef struct Run {
        Cli *cli;
        char *group;
        SettingList settings;
        int group_fd;
        int made; /* the group, for this program */
} Run;

/* All return an exit code; what went wrong was told. */
typedef struct RunWay {
        int (*open)(Run *run); /* CTL_NO_GROUP: there is none */
        int (*create)(Run *run);
        int (*set)(Run *run);
        int (*remove)(Run *run);
} RunWay;

static int bus_open(Run *run)
{
        return program_open_group(run->cli, run->group, &run->group_fd);
}

static int append_options(const Options *o, sd_bus_message *m)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "parents", "b", o->parents);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "dry_run", "b", o->dry_run);
        if (r >= 0 && (o->given & GIVEN_CLAIM))
                r = sd_bus_message_append(m, "{sv}", "claim", "t", o->claim_bytes);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int bus_create(Run *run)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = setting_list_new_call(&run->settings, run->cli, "CreateGroup", run->group, &call);

        if (r != CTL_OK)
                return r;
        r = append_options(&run->cli->options, call);
        return r < 0 ? bus_fail_errno(run->cli, r, "CreateGroup") : bus_call(run->cli, call, NULL);
}

static int bus_set(Run *run)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = setting_list_new_call(&run->settings, run->cli, "SetProperties", run->group, &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "a{sv}", 1, "dry_run", "b", run->cli->options.dry_run);
        return r < 0 ? bus_fail_errno(run->cli, r, "SetProperties")
                     : bus_call(run->cli, call, NULL);
}

static int bus_remove(Run *run)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call(run->cli, "RemoveGroup", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "sa{sv}", run->group, 0);
        return r < 0 ? bus_fail_errno(run->cli, r, "RemoveGroup") : bus_call(run->cli, call, NULL);
}

static int direct_open(Run *run)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(group_unrefp) ch_group *group = NULL;

        if (ch_tree_open_group(run->cli->tree, run->group, &group, &error) < 0)
                return cli_fail_error(run->cli, error);
        run->group_fd = fcntl(ch_group_get_fd(group), F_DUPFD_CLOEXEC, 3);
        return run->group_fd < 0 ? cli_fail(run->cli, CTL_FAILED, run->group, "cannot open: %s",
                                            strerror(errno))
                                 : CTL_OK;
}

static int apply(ch_group *group, const SettingList *settings, ch_error **err)
{
        for (size_t i = 0; i < settings->n; i++) {
                const ch_attr *attr = settings->items[i].attr;

                /* whether it worked is seen at the write, whose error names the file */
                if (!streq(attr->controller, "cgroup") &&
                    faccessat(ch_group_get_fd(group), attr->file, F_OK, 0) < 0)
                        (void)ch_group_enable_controller(group, attr->controller, NULL);
        }
        return ch_group_write_all(group, settings->items, settings->n, err);
}

static int direct_set(Run *run)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(group_unrefp) ch_group *group = NULL;
        int r;

        if (run->cli->options.dry_run)
                return CTL_OK; /* the values were checked when they were read */
        r = ch_tree_open_group(run->cli->tree, run->group, &group, &error);
        if (r >= 0)
                r = apply(group, &run->settings, &error);
        return r < 0 ? cli_fail_error(run->cli, error) : CTL_OK;
}

/* Is there nobody in it but those who have been waited for, and leave it a little later (from 7.0
 * on)? */
static int is_deserted(Run *run)
{
        _cleanup_(group_unrefp) ch_group *group = NULL;
        pid_t *pids = NULL;
        size_t n = 0, living = 0;

        if (ch_tree_open_group(run->cli->tree, run->group, &group, NULL) < 0 ||
            ch_group_read_procs(group, &pids, &n, NULL) < 0)
                return 0;
        for (size_t i = 0; i < n; i++)
                living += kill(pids[i], 0) >= 0 || errno != ESRCH;
        free(pids);
        return living == 0;
}

enum { REMOVE_TRIES = 100, REMOVE_PAUSE_MSEC = 10 };

static int direct_remove(Run *run)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        int r;

        for (unsigned i = 0; i < REMOVE_TRIES; i++) {
                ch_error_free(TAKE_PTR(error));
                r = ch_tree_remove_group(run->cli->tree, run->group, 0, &error);
                if (r != -EBUSY || !is_deserted(run))
                        break;
                (void)poll(NULL, 0, REMOVE_PAUSE_MSEC);
        }
        return r < 0 ? cli_fail_error(run->cli, error) : CTL_OK;
}

static int direct_create(Run *run)
{
        const Options *o = &run->cli->options;
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(group_unrefp) ch_group *group = NULL;
        int r;

        if (o->given & GIVEN_CLAIM)
                return cli_fail(run->cli, CTL_USAGE, NULL,
                                "--claim: is kept by the daemon, which is not asked here; leave it "
                                "out, or start chargehandd");
        if (o->dry_run)
                return CTL_OK;
        r = ch_tree_create_group(run->cli->tree, run->group, o->parents ? CH_CREATE_PARENTS : 0,
                                 &group, &error);
        if (r < 0)
                return cli_fail_error(run->cli, error);
        r = apply(group, &run->settings, &error);
        if (r >= 0)
                return CTL_OK;
        (void)ch_tree_remove_group(run->cli->tree, run->group, 0, NULL);
        return cli_fail_error(run->cli, error);
}

static const RunWay over_bus = { bus_open, bus_create, bus_set, bus_remove };
static const RunWay directly = { direct_open, direct_create, direct_set, direct_remove };

static const RunWay *way_of(const Run *run)
{
        return run->cli->bus ? &over_bus : &directly;
}

/* As fn(run), but what goes wrong is not told: it is in cli->hushed. */
static int quietly(Run *run, int (*fn)(Run *run))
{
        int r;

        run->cli->hush++;
        r = fn(run);
        run->cli->hush--;
        return r;
}

static int name_group(Run *run)
{
        const Options *o = &run->cli->options;
        uint32_t number = 0;

        if (o->group) {
                run->group = strdup(o->group);
                return run->group ? group_check(run->cli, o->group) : cli_fail_memory(run->cli);
        }
        (void)!getrandom(&number, sizeof(number), 0);
        return asprintf(&run->group, "/run-%d-%08x", (int)getpid(), number) < 0
                       ? cli_fail_memory(run->cli)
                       : CTL_OK;
}

/* A group that is there, with the properties set; else one that is made. */
static int prepare_group(Run *run)
{
        const RunWay *way = way_of(run);
        Cli *cli = run->cli;
        int r = cli->options.group ? quietly(run, way->open) : CTL_NO_GROUP;

        if (r == CTL_OK && (cli->options.given & GIVEN_CLAIM))
                return cli_fail(cli, CTL_USAGE, run->group,
                                "is there already: --claim is for a group that is made");
        if (r == CTL_OK)
                return run->settings.n ? way->set(run) : CTL_OK;
        if (r != CTL_NO_GROUP)
                return cli_fail(cli, r, NULL, "%s", cli->hushed ? cli->hushed : "");
        r = way->create(run);
        if (r != CTL_OK || cli->options.dry_run)
                return r;
        run->made = 1;
        if (cli->options.verbose)
                note(cli, "%s: made", run->group);
        return way->open(run);
}

/* What was made goes again, if nobody is left in it. */
static void finish_group(Run *run, int failed)
{
        Cli *cli = run->cli;

        if (!run->made || (cli->options.keep && !failed))
                return;
        if (quietly(run, way_of(run)->remove) != CTL_OK)
                note(cli, "the group stays: %s", cli->hushed ? cli->hushed : run->group);
        else if (cli->options.verbose)
                note(cli, "%s: removed", run->group);
}

static int run_program(Run *run, char **argv)
{
        sigset_t set;
        pid_t pid = -1;
        int r;

        program_block_signals(&set);
        r = prepare_group(run);
        if (r == CTL_OK && run->cli->options.dry_run) {
                printf("%s: would be run in %s\n", argv[0], run->group);
                return CTL_OK;
        }
        if (r == CTL_OK)
                r = program_start(run->cli, run->group, run->group_fd, argv, &pid);
        if (r != CTL_OK) {
                finish_group(run, 1);
                return r;
        }
        (void)program_wait(pid, &set, UINT64_MAX, &r);
        finish_group(run, 0);
        return r;
}

int verb_run(Cli *cli, int argc, char **argv)
{
        Run run = { .cli = cli, .settings = SETTING_LIST_INIT, .group_fd = -EBADF };
        int r = name_group(&run);

        if (r == CTL_OK)
                r = setting_list_parse(cli, cli->options.properties.items,
                                       cli->options.properties.n, &run.settings);
        if (r == CTL_OK)
                r = run_program(&run, argv);
        setting_list_done(&run.settings);
        if (run.group_fd >= 0)
                (void)close(run.group_fd);
        free(run.group);
        return r;
}
