/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls to the daemon, and what their errors mean to a person. */

#include "bus.h"

enum { DEFAULT_TIMEOUT_USEC = 90 * 1000000 };

#define START_IT "start it with 'systemctl start chargehandd', or run 'chargehandd' as root"

/* Errors of the bus itself; ours are in include/chargehand/error.h. */
static const struct {
        const char *name;
        int code;
        const char *cause;
} bus_errors[] = {
        { SD_BUS_ERROR_SERVICE_UNKNOWN, CTL_TRY_AGAIN, "the daemon is not running; " START_IT },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, CTL_TRY_AGAIN, "the daemon is not running; " START_IT },
        { "org.freedesktop.DBus.Error.Spawn.ChildExited", CTL_TRY_AGAIN,
          "the bus could not start the daemon; run 'chargehandd' as root to see why" },
        { SD_BUS_ERROR_NO_REPLY, CTL_TRY_AGAIN, "no answer in time, or the daemon went away; see 'chargectl jobs', or give --timeout" },
        { SD_BUS_ERROR_TIMEOUT, CTL_TRY_AGAIN, "no answer in time; give more with --timeout" },
        { SD_BUS_ERROR_IO_ERROR, CTL_TRY_AGAIN, "the bus closed the connection; does its configuration let this user in?" },
        { SD_BUS_ERROR_DISCONNECTED, CTL_TRY_AGAIN, "the bus went away" },
        { SD_BUS_ERROR_ACCESS_DENIED, CTL_NOT_PERMITTED, "the bus policy does not let you talk to the daemon; try as root" },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTL_NOT_PERMITTED, "needs authorisation; try as root" },
        { SD_BUS_ERROR_UNKNOWN_OBJECT, CTL_NOTHING, "no such object" },
        { SD_BUS_ERROR_UNKNOWN_METHOD, CTL_USAGE, NULL },
        { SD_BUS_ERROR_UNKNOWN_INTERFACE, CTL_USAGE, NULL },
        { SD_BUS_ERROR_UNKNOWN_PROPERTY, CTL_USAGE, NULL },
        { SD_BUS_ERROR_INVALID_ARGS, CTL_USAGE, NULL },
        { SD_BUS_ERROR_INVALID_SIGNATURE, CTL_USAGE, NULL },
};

int bus_fail(Cli *cli, const sd_bus_error *error, int r)
{
        ch_error_kind kind;

        if (!error || !error->name)
                return bus_fail_errno(cli, r, "the call");
        if (strncmp(error->name, CH_BUS_ERROR_PREFIX, strlen(CH_BUS_ERROR_PREFIX)) == 0 &&
            ch_error_kind_from_name(error->name, &kind) >= 0)
                return cli_fail(cli, ch_error_kind_to_exit(kind), NULL, "%s", error->message);
        for (size_t i = 0; i < ELEMENTSOF(bus_errors); i++)
                if (streq(bus_errors[i].name, error->name))
                        return cli_fail(cli, bus_errors[i].code, NULL, "%s",
                                    bus_errors[i].cause ? bus_errors[i].cause : error->message);
        return cli_fail(cli, CTL_FAILED, NULL, "%s (%s)",
                        error->message ? error->message : "failed", error->name);
}

int bus_fail_errno(Cli *cli, int r, const char *what)
{
        if (r == -ENOMEM)
                return cli_fail_memory(cli);
        if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE)
                return cli_fail(cli, CTL_TRY_AGAIN, NULL, "the bus went away");
        if (r == -ETIMEDOUT)
                return cli_fail(cli, CTL_TRY_AGAIN, NULL,
                                "no answer in time; give more with --timeout");
        return cli_fail(cli, CTL_FAILED, NULL, "%s failed: %s", what, strerror(-r));
}

static int open_bus(const char *address, sd_bus **ret)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        if (!address)
                return sd_bus_open_system(ret);
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, 1);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

const char *bus_address(Cli *cli)
{
        const char *variable = getenv("CHARGEHAND_ADDRESS");

        if (cli->options.address)
                return cli->options.address;
        return variable && variable[0] ? variable : NULL;
}

int bus_connect(Cli *cli, int quiet)
{
        const char *address = bus_address(cli);
        int r;

        r = open_bus(address, &cli->bus);
        if (r >= 0)
                return CTL_OK;
        if (quiet)
                return CTL_TRY_AGAIN;
        return cli_fail(cli, CTL_TRY_AGAIN, address ? address : "system bus",
                    "cannot connect: %s; is the bus running? --address= names another one", strerror(-r));
}

int bus_has_daemon(Cli *cli)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(cli->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetNameOwner", NULL, &reply, "s",
                               CH_BUS_NAME);
        return r >= 0;
}

int bus_new_call_at(Cli *cli, const char *path, const char *interface, const char *method,
                    sd_bus_message **ret)
{
        int r = sd_bus_message_new_method_call(cli->bus, ret, CH_BUS_NAME, path, interface, method);

        if (r == -EINVAL)
                return cli_fail(cli, CTL_USAGE, NULL,
                                "'%s' at '%s' cannot be called: no such names can exist", method,
                                path);
        if (r < 0)
                return bus_fail_errno(cli, r, method);
        if (!cli->options.no_ask_password)
                (void)sd_bus_message_set_allow_interactive_authorization(*ret, 1);
        return CTL_OK;
}

int bus_new_call(Cli *cli, const char *method, sd_bus_message **ret)
{
        return bus_new_call_at(cli, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, method, ret);
}

int bus_call(Cli *cli, sd_bus_message *call, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t timeout = cli->options.given & GIVEN_TIMEOUT ? cli->options.timeout_usec
                                                              : DEFAULT_TIMEOUT_USEC;
        int r = sd_bus_call(cli->bus, call, timeout, &error, ret_reply);

        return r < 0 ? bus_fail(cli, &error, r) : CTL_OK;
}

int bus_call_report(Cli *cli, sd_bus_message *call, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = bus_call(cli, call, &reply);

        if (r != CTL_OK)
                return r;
        r = json_from_message(reply, FORM_PLAIN, ret);
        return r < 0 ? bus_fail_errno(cli, r, "reading the answer") : CTL_OK;
}

int bus_get_all(Cli *cli, const char *path, const char *interface, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_new_call_at(cli, path, "org.freedesktop.DBus.Properties", "GetAll", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "s", interface);
        return r < 0 ? bus_fail_errno(cli, r, "GetAll") : bus_call_report(cli, call, ret);
}

char *bus_group_object(const char *path)
{
        char *object = NULL;

        return sd_bus_path_encode(CH_BUS_GROUP_PREFIX, path, &object) < 0 ? NULL : object;
}
