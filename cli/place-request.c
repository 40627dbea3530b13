/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request for a place: read from the command line, handed to the library or the bus. */

#include <ctype.h>

#include "bus.h"
#include "place-request.h"
#include "request.h"

int place_has_processes(const PlaceSpec *spec)
{
        return spec->move.n_pids || spec->move.group;
}

static int is_number(const char *text)
{
        return *text && strspn(text, "0123456789") == strlen(text);
}

/* Words of a list, in one text as the library parses it; caller frees. */
static char *join(const StringList *list)
{
        char *text = strdup("");

        for (size_t i = 0; text && i < list->n; i++) {
                char *longer;

                if (asprintf(&longer, "%s%s%s", text, i ? " " : "", list->items[i]) < 0)
                        longer = NULL;
                free(text);
                text = longer;
        }
        return text;
}

static int parse_how(Cli *cli, ch_place_request *ret)
{
        _cleanup_(freep) char *weights = join(&cli->options.weights);
        _cleanup_(error_freep) ch_error *error = NULL;
        const Options *o = &cli->options;

        if (!weights)
                return cli_fail_memory(cli);
        if (o->placement && ch_place_policy_from_string(o->placement, &ret->policy) < 0)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--placement=%s: unknown; there are spread, pack and affinity",
                                o->placement);
        if (o->weights.n && ch_place_weights_parse(weights, &ret->weights, &error) < 0)
                return cli_fail(cli, CTL_USAGE, NULL, "--weights=%s: %s%s%s", weights,
                                ch_error_get_path(error), *ch_error_get_path(error) ? ": " : "",
                                ch_error_get_cause(error));
        if (o->nodes && ch_place_nodes_parse(o->nodes, &ret->nodes) < 0)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--nodes=%s: no list of NUMA nodes from 0 to 63, such as 0-1,3",
                                o->nodes);
        ret->cpus_milli = (uint32_t)o->cpus_milli;
        ret->bytes = o->bytes;
        return CTL_OK;
}

static int parse_where(Cli *cli)
{
        const Options *o = &cli->options;
        int r = CTL_OK;

        if ((o->pool != NULL) + (o->candidates.n > 0) != 1)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "say where: --pool=NAME ('chargectl pools' lists them), or "
                                "--candidates=GROUP,GROUP");
        for (size_t i = 0; r == CTL_OK && i < o->candidates.n; i++)
                r = group_check(cli, o->candidates.items[i]);
        return r;
}

/* Whether something goes with something else */
static int check(Cli *cli, const PlaceSpec *spec)
{
        const Options *o = &cli->options;

        if (spec->move.group && spec->move.n_pids)
                return cli_fail(cli, CTL_USAGE, NULL, "pids and --group exclude each other");
        if (spec->move.group && spec->move.with_tree)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--tree goes with pids; --group takes all members of the group");
        if (!place_has_processes(spec) && !(o->given & GIVEN_BYTES))
                return cli_fail(cli, CTL_USAGE, NULL,
                                "say what is to be placed: PID…, --group=SOURCE, or --bytes=N that "
                                "a program will need");
        if ((o->given & GIVEN_BYTES) && o->bytes == 0)
                return cli_fail(cli, CTL_USAGE, NULL, "--bytes=0: needs no place");
        if (o->bytes > UINT64_C(1) << 63)
                return cli_fail(cli, CTL_USAGE, NULL, "--bytes: more than 2^63");
        if (place_has_processes(spec) && spec->command)
                return cli_fail(cli, CTL_USAGE, spec->command[0],
                                "processes are placed, or a program is started; not both");
        if (place_has_processes(spec) && (o->given & GIVEN_HOLD))
                return cli_fail(
                        cli, CTL_USAGE, NULL,
                        "--hold goes with --bytes: the room for processes is held while they are "
                        "moved");
        if (!place_has_processes(spec) &&
            (o->tree || o->policy || o->backends.n || o->with_shared || (o->given & (GIVEN_GROWTH | GIVEN_RATE))))
                return cli_fail(cli, CTL_USAGE, NULL,
                                "--tree, --policy, --backend, --with-shared, --max-growth and --rate go with "
                                "processes");
        return CTL_OK;
}

int place_request_parse(Cli *cli, int argc, char **argv, PlaceSpec *ret)
{
        const Options *o = &cli->options;
        PlaceSpec spec = {
                .move = {.group = o->group, .with_tree = o->tree}
        };
        int i = 0, r;

        spec.move.pids = calloc((size_t)argc + o->pids.n + 1, sizeof(*spec.move.pids));
        if (!spec.move.pids)
                return cli_fail_memory(cli);
        *ret = spec; /* so that it is freed */
        r = spec.move.group ? group_check(cli, spec.move.group) : CTL_OK;
        for (; r == CTL_OK && i < argc && is_number(argv[i]); i++)
                r = request_add_pid(cli, &spec.move, argv[i]);
        for (size_t j = 0; r == CTL_OK && j < o->pids.n; j++)
                r = request_add_pid(cli, &spec.move, o->pids.items[j]);
        spec.command = i < argc ? argv + i : NULL;
        if (r == CTL_OK)
                r = parse_where(cli);
        if (r == CTL_OK)
                r = check(cli, &spec);
        if (r == CTL_OK)
                r = parse_how(cli, &spec.request);
        *ret = spec;
        return r;
}

void place_request_done(PlaceSpec *spec)
{
        request_done(&spec->move);
        *spec = (PlaceSpec){ 0 };
}

static int append_words(sd_bus_message *m, const char *key, const StringList *words)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < words->n; i++)
                r = sd_bus_message_append(m, "s", words->items[i]);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

/* Only what was given: the rest is the daemon's to choose. */
static int append_weights(sd_bus_message *m, const ch_place_weights *weights)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "weights");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{su}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{su}");
        for (size_t i = 0; r >= 0 && i < CH_PLACE_TERM_MAX_; i++)
                if (weights->weight[i])
                        r = sd_bus_message_append(m, "{su}", ch_place_term_to_string(i),
                                                  weights->weight[i]);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_where(sd_bus_message *m, const Options *o)
{
        int r = o->pool ? sd_bus_message_append(m, "{sv}", "pool", "s", o->pool)
                        : append_words(m, "candidates", &o->candidates);

        if (r >= 0 && o->placement)
                r = sd_bus_message_append(m, "{sv}", "placement", "s", o->placement);
        return r;
}

static int append(sd_bus_message *m, const Options *o, const PlaceSpec *spec, int dry_run)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = place_has_processes(spec) ? request_append_entries(o, &spec->move, m) : 0;
        if (r >= 0 && spec->request.bytes)
                r = sd_bus_message_append(m, "{sv}", "bytes", "t", spec->request.bytes);
        if (r >= 0 && spec->request.cpus_milli)
                r = sd_bus_message_append(m, "{sv}", "cpus_milli", "u", spec->request.cpus_milli);
        if (r >= 0 && o->nodes)
                r = sd_bus_message_append(m, "{sv}", "nodes", "s", o->nodes);
        if (r >= 0 && o->note)
                r = sd_bus_message_append(m, "{sv}", "note", "s", o->note);
        if (r >= 0)
                r = append_where(m, o);
        if (r >= 0 && o->weights.n)
                r = append_weights(m, &spec->request.weights);
        if (r >= 0 && dry_run)
                r = sd_bus_message_append(m, "{sv}", "dry_run", "b", 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int place_request_append(Cli *cli, const PlaceSpec *spec, int dry_run, sd_bus_message *m)
{
        ch_move_options checked = CH_MOVE_OPTIONS_INIT;
        int r = request_options(cli, &checked);

        if (r != CTL_OK)
                return r;
        r = append(m, &cli->options, spec, dry_run);
        return r < 0 ? bus_fail_errno(cli, r, "building the request") : CTL_OK;
}
