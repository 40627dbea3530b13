/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Choosing between the daemon and the kernel's files. */

#include <unistd.h>

#include "access.h"
#include "bus.h"

static int open_direct(Cli *cli)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        uint64_t flags = (cli->verb->flags & VERB_CHANGES ? 0 : CH_TREE_READ_ONLY) |
                         (cli->options.any_fs ? CH_TREE_ANY_FS : 0);

        if (ch_tree_open(cli->options.root, flags, &cli->tree, &error) < 0)
                return cli_fail_error(cli, error);
        cli->access = &access_direct;
        return CTL_OK;
}

static int open_daemon(Cli *cli)
{
        int r = bus_connect(cli, 0);

        cli->access = &access_bus;
        return r;
}

int cli_open(Cli *cli)
{
        int direct = cli->options.direct || cli->options.root;

        if (cli->verb->flags & VERB_DAEMON) {
                if (direct)
                        return cli_fail(cli, CTL_USAGE, NULL,
                                    "'%s' needs the daemon: leave out --direct and --root, and start it with "
                                    "'systemctl start chargehandd' or 'chargehandd'", cli->verb->name);
                return open_daemon(cli);
        }
        if (direct)
                return open_direct(cli);
        if (bus_address(cli)) /* who names a bus means the daemon there */
                return open_daemon(cli);
        if (bus_connect(cli, 1) == CTL_OK && bus_has_daemon(cli)) {
                cli->access = &access_bus;
                return CTL_OK;
        }
        cli->bus = sd_bus_close_unref(cli->bus);
        return open_direct(cli);
}

void cli_close(Cli *cli)
{
        cli->bus = sd_bus_flush_close_unref(cli->bus);
        cli->tree = ch_tree_unref(cli->tree);
}

int cli_open_tree_beside(Cli *cli)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *root = NULL;

        if (cli->tree)
                return 1;
        if (!cli->bus ||
            sd_bus_get_property_string(cli->bus, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                       "Root", &error, &root) < 0)
                return 0;
        return ch_tree_open(root, CH_TREE_READ_ONLY | CH_TREE_ANY_FS, &cli->tree, NULL) >= 0;
}

int access_group(Cli *cli, const char *path, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *list = NULL;
        int r = cli->access->list(cli, path, 1, &list);

        if (r != CTL_OK)
                return r;
        if (json_object_array_length(list) == 0)
                return cli_fail(cli, CTL_NO_GROUP, path,
                                "no such group; 'chargectl list' shows those there are");
        *ret = json_object_get(json_object_array_get_idx(list, 0));
        return CTL_OK;
}

int access_try_map(Cli *cli, const Target *target, struct json_object *into)
{
        struct json_object *map = NULL;
        int r;

        cli->hush++;
        r = cli->access->map(cli, target, 0, &map);
        cli->hush--;
        if (r == CTL_OK)
                return jadd(into, "map", map);
        return jadd(into, "map_error", jstring(cli->hushed ? cli->hushed : ""));
}

int access_try_owner(Cli *cli, pid_t pid, struct json_object *into)
{
        struct json_object *owner = NULL;
        int r;

        cli->hush++;
        r = cli->access->owner(cli, pid, &owner);
        cli->hush--;
        return r == CTL_OK ? jadd(into, "owner", owner) : 0;
}

struct json_object *access_try_properties(Cli *cli, const char *group, const char *const *names,
                                          size_t n)
{
        struct json_object *object = NULL;
        int r;

        cli->hush++;
        r = cli->access->properties(cli, group, names, n, &object);
        cli->hush--;
        return r == CTL_OK ? object : json_object_new_object();
}
