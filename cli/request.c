/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move request: read from the command line, handed to the library or the bus. */

#include <fcntl.h>

#include "bus.h"
#include "request.h"

int request_add_pid(Cli *cli, MoveSpec *spec, const char *word)
{
        Target target;
        int r = target_parse(cli, word, &target);

        if (r != CTL_OK)
                return r;
        if (!target.pid)
                return cli_fail(
                        cli, CTL_USAGE, word,
                        "a group where a pid is expected; to move a group's processes: --group=%s",
                        word);
        spec->pids[spec->n_pids++] = target.pid;
        return CTL_OK;
}

int request_parse(Cli *cli, int argc, char **argv, MoveSpec *ret)
{
        const Options *o = &cli->options;
        MoveSpec spec = { .group = o->group, .with_tree = o->tree };
        int r;

        if (argc < 1 || strspn(argv[argc - 1], "0123456789") == strlen(argv[argc - 1]))
                return cli_fail(cli, CTL_USAGE, cli->verb->name,
                                "the target group is missing; usage: chargectl %s %s",
                                cli->verb->name, cli->verb->args);
        spec.target = argv[argc - 1];
        r = group_check(cli, spec.target);
        if (r == CTL_OK && spec.group)
                r = group_check(cli, spec.group);
        if (r != CTL_OK)
                return r;
        if (spec.group && (argc > 1 || o->pids.n))
                return cli_fail(cli, CTL_USAGE, NULL, "pids and --group exclude each other");
        if (!spec.group && argc == 1 && o->pids.n == 0)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "say what to %s: chargectl %s PID… %s, or --group=SOURCE",
                                cli->verb->name, cli->verb->name, spec.target);
        if (spec.group && spec.with_tree)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--tree goes with pids; --group takes all members of the group");
        spec.pids = calloc((size_t)argc + o->pids.n, sizeof(*spec.pids));
        if (!spec.pids)
                return cli_fail_memory(cli);
        for (int i = 0; r == CTL_OK && i < argc - 1; i++)
                r = request_add_pid(cli, &spec, argv[i]);
        for (size_t i = 0; r == CTL_OK && i < o->pids.n; i++)
                r = request_add_pid(cli, &spec, o->pids.items[i]);
        *ret = spec;
        return r;
}

void request_done(MoveSpec *spec)
{
        free(spec->pids);
        *spec = (MoveSpec){ 0 };
}

static int check_policy(Cli *cli, ch_policy *ret)
{
        if (cli->options.policy && ch_policy_from_string(cli->options.policy, ret) < 0)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--policy=%s: unknown; there are reserve, stay, lazy and partial",
                                cli->options.policy);
        return CTL_OK;
}

static int check_backends(Cli *cli, uint32_t *ret)
{
        const StringList *names = &cli->options.backends;
        uint32_t bits = 0;

        for (size_t i = 0; i < names->n; i++) {
                ch_backend backend;

                if (ch_backend_from_string(names->items[i], &backend) < 0)
                        return cli_fail(cli, CTL_USAGE, NULL,
                                        "--backend=%s: unknown; there are module, recharge, collapse and refault",
                                        names->items[i]);
                bits |= 1u << backend;
        }
        if (bits)
                *ret = bits;
        return CTL_OK;
}

int request_options(Cli *cli, ch_move_options *options)
{
        const Options *o = &cli->options;
        int r = check_policy(cli, &options->policy);

        if (r == CTL_OK)
                r = check_backends(cli, &options->backends);
        options->with_shared = o->with_shared;
        if (o->given & GIVEN_GROWTH)
                options->max_growth_permyriad = (uint32_t)o->max_growth_permyriad;
        if (o->given & GIVEN_RATE)
                options->rate_bytes_per_sec = o->rate_bytes_per_sec;
        if (o->given & GIVEN_TIMEOUT)
                options->timeout_usec = o->timeout_usec;
        return r;
}

static int append_pids(sd_bus_message *m, const MoveSpec *spec)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "pids");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "au");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'u', spec->pids,
                                                spec->n_pids * sizeof(uint32_t));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_backends(sd_bus_message *m, const StringList *names)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "backends");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < names->n; i++)
                r = sd_bus_message_append(m, "s", names->items[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int request_append_entries(const Options *o, const MoveSpec *spec, sd_bus_message *m)
{
        int r = 0;

        if (spec->target)
                r = sd_bus_message_append(m, "{sv}", "target", "s", spec->target);
        if (r >= 0 && spec->group)
                r = sd_bus_message_append(m, "{sv}", "group", "s", spec->group);
        if (r >= 0 && spec->n_pids)
                r = append_pids(m, spec);
        if (r >= 0 && spec->with_tree)
                r = sd_bus_message_append(m, "{sv}", "tree", "b", 1);
        if (r >= 0 && o->policy)
                r = sd_bus_message_append(m, "{sv}", "policy", "s", o->policy);
        if (r >= 0 && o->backends.n)
                r = append_backends(m, &o->backends);
        if (r >= 0 && o->with_shared)
                r = sd_bus_message_append(m, "{sv}", "with_shared", "b", 1);
        if (r >= 0 && (o->given & GIVEN_GROWTH))
                r = sd_bus_message_append(m, "{sv}", "max_growth_permyriad", "u",
                                          (uint32_t)o->max_growth_permyriad);
        if (r >= 0 && (o->given & GIVEN_RATE))
                r = sd_bus_message_append(m, "{sv}", "rate_bytes_per_sec", "t",
                                          o->rate_bytes_per_sec);
        if (r >= 0 && (o->given & GIVEN_TIMEOUT))
                r = sd_bus_message_append(m, "{sv}", "timeout_usec", "t", o->timeout_usec);
        if (r >= 0 && (o->given & GIVEN_LEASE))
                r = sd_bus_message_append(m, "{sv}", "lease", "h", (int)o->lease);
        return r;
}

int request_append(Cli *cli, const MoveSpec *spec, sd_bus_message *m)
{
        ch_move_options checked = CH_MOVE_OPTIONS_INIT;
        int r = request_options(cli, &checked);

        if (r != CTL_OK)
                return r;
        if ((cli->options.given & GIVEN_LEASE) &&
            (cli->options.lease > INT32_MAX || fcntl((int)cli->options.lease, F_GETFD) < 0))
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--lease=%llu: no open file descriptor of that number; 'chargectl "
                                "reserve GROUP BYTES -- COMMAND' hands one to the command, as "
                                "$CHARGEHAND_LEASE",
                                (unsigned long long)cli->options.lease);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = request_append_entries(&cli->options, spec, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? bus_fail_errno(cli, r, "building the request") : CTL_OK;
}
