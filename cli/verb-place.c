/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl place: choose a group by charge for processes, or for a program that is about to start.
 */

#include <unistd.h>

#include "job.h"
#include "lease.h"
#include "movetable.h"
#include "place-request.h"
#include "placetable.h"
#include "program.h"

static inline void fd_closep(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}

/* For real. The lease is -EBADF for processes. */
static int call_place(Cli *cli, const PlaceSpec *spec, struct json_object **ret, int *ret_lease)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        int r = bus_new_call(cli, "Place", &call);

        if (r == CTL_OK)
                r = place_request_append(cli, spec, 0, call);
        if (r == CTL_OK)
                r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = json_from_message(reply, FORM_PLAIN, ret);
        return r < 0 ? bus_fail_errno(cli, r, "reading the answer")
                     : lease_read(cli, reply, ret_lease);
}

static int print_placement(Cli *cli, struct json_object *placement)
{
        if (print_json(cli, placement) || cli->options.quiet)
                return CTL_OK;
        return place_print(cli, placement) < 0 ? cli_fail_memory(cli) : CTL_OK;
}

static int place_dry(Cli *cli, const PlaceSpec *spec)
{
        _cleanup_(json_putp) struct json_object *placement = NULL;
        int r = cli->access->place(cli, spec, &placement);

        if (r == CTL_OK)
                r = print_placement(cli, placement);
        return r == CTL_OK ? place_exit(placement) : r;
}

/* With --json one object: the placement, and what became of the move as its `result`. */
static int print_moved(Cli *cli, struct json_object *placement, const JobEnd *end)
{
        if (end->result && jadd(placement, "result", json_object_get(end->result)) < 0)
                return cli_fail_memory(cli);
        if (print_json(cli, placement) || cli->options.quiet)
                return CTL_OK;
        if (place_print(cli, placement) < 0)
                return cli_fail_memory(cli);
        putchar('\n');
        return move_print(cli, end) < 0 ? cli_fail_memory(cli) : CTL_OK;
}

static int place_processes(Cli *cli, const PlaceSpec *spec)
{
        _cleanup_(json_putp) struct json_object *placement = NULL;
        _cleanup_(job_end_done) JobEnd end = { .state = "" };
        _cleanup_(fd_closep) int lease = -EBADF;
        int r = job_watch_begin(cli);

        if (r == CTL_OK)
                r = call_place(cli, spec, &placement, &lease);
        if (r == CTL_OK)
                r = job_wait(cli, (uint32_t)jnumber(placement, "job"), jtext(placement, "object"),
                             &end);
        if (r == CTL_OK)
                r = print_moved(cli, placement, &end);
        return r == CTL_OK ? move_end_code(cli, &end) : r;
}

/* By then most programs have what they need, and memory.current tells of it; a lease beside it counts
 * the same memory twice (docs/placement.md, Simulation). */
#define HOLD_USEC ((uint64_t)180 * 1000000)

/* The lease is closed when it is time, not when the program is at its end. */
static int run_program(Cli *cli, const char *group, char **argv, const sigset_t *set, int *lease)
{
        uint64_t until =
                lease_until(cli->options.given & GIVEN_HOLD ? cli->options.hold_usec : HOLD_USEC);
        int group_fd = -EBADF, status = CTL_FAILED, r;
        pid_t pid = -1;

        r = program_open_group(cli, group, &group_fd);
        if (r == CTL_OK) {
                r = program_start(cli, group, group_fd, argv, &pid);
                (void)close(group_fd);
        }
        if (r != CTL_OK)
                return r;
        if (!program_wait(pid, set, until, &status)) {
                (void)close(*lease);
                *lease = -EBADF;
                (void)program_wait(pid, set, UINT64_MAX, &status);
        }
        return status;
}

static int place_bytes(Cli *cli, const PlaceSpec *spec)
{
        _cleanup_(json_putp) struct json_object *placement = NULL;
        _cleanup_(fd_closep) int lease = -EBADF;
        const char *group;
        sigset_t set;
        int r;

        program_block_signals(&set); /* so that none ends us before the program is told */
        r = call_place(cli, spec, &placement, &lease);
        if (r != CTL_OK)
                return r;
        group = jtext(placement, "chosen");
        if (spec->command) {
                if (cli->options.verbose)
                        note(cli, "%s: chosen, %s", group,
                             jtext(json_object_array_get_idx(jget(placement, "candidates"), 0),
                                   "reason"));
                return run_program(cli, group, spec->command, &set, &lease);
        }
        r = print_placement(cli, placement);
        if (fflush(stdout) == EOF || r != CTL_OK)
                return r == CTL_OK ? CTL_FAILED : r;
        lease_hold(cli->options.given & GIVEN_HOLD ? lease_until(cli->options.hold_usec)
                                                   : UINT64_MAX);
        return CTL_OK;
}

int verb_place(Cli *cli, int argc, char **argv)
{
        _cleanup_(place_request_done) PlaceSpec spec = { 0 };
        int r = place_request_parse(cli, argc, argv, &spec);

        if (r != CTL_OK)
                return r;
        if (cli->options.dry_run)
                return place_dry(cli, &spec);
        if (!cli->bus)
                return cli_fail(
                        cli, CTL_USAGE, NULL,
                        "'place' needs the daemon, or --dry-run: only the daemon keeps room for "
                        "somebody; start it with 'systemctl start chargehandd' or 'chargehandd'");
        return place_has_processes(&spec) ? place_processes(cli, &spec) : place_bytes(cli, &spec);
}
