/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chargehandd: reads its arguments and configuration, checks what it needs, and runs the manager.
 */

#include <getopt.h>
#include <stdio.h>

#include "error.h"
#include "log.h"
#include "manager.h"
#include "util.h"

enum {
        ARG_CONFIG = 256,
        ARG_ROOT,
        ARG_MODE,
        ARG_BUS,
        ARG_STATE,
        ARG_CHECK_CONFIG,
        ARG_ANY_FS,
        ARG_USER,
        ARG_VERSION,
};

static const struct option arguments[] = {
        {"config",        required_argument, NULL, ARG_CONFIG      },
        { "root",         required_argument, NULL, ARG_ROOT        },
        { "mode",         required_argument, NULL, ARG_MODE        },
        { "bus",          required_argument, NULL, ARG_BUS         },
        { "state",        required_argument, NULL, ARG_STATE       },
        { "check-config", no_argument,       NULL, ARG_CHECK_CONFIG},
        { "any-fs",       no_argument,       NULL, ARG_ANY_FS      },
        { "user",         no_argument,       NULL, ARG_USER        },
        { "version",      no_argument,       NULL, ARG_VERSION     },
        { "help",         no_argument,       NULL, 'h'             },
        { NULL,           0,                 NULL, 0               },
};

static void print_help(void)
{
        printf("chargehandd [OPTION…]\n\n"
               "Owns a cgroup v2 hierarchy and moves processes with their memory, for clients on "
               "D-Bus.\n\n"
               "  --config=FILE     read FILE and FILE.d/*.conf instead of " CONF_FILE_DEFAULT "\n"
               "  --root=DIRECTORY  the hierarchy (Root=)\n"
               "  --mode=MODE       root, delegated or private (Mode=)\n"
               "  --bus=BUS         system, session or a D-Bus address (Bus=)\n"
               "  --state=DIRECTORY lock and journal (StateDirectory=)\n"
               "  --user            a user's own instance on the session bus, in the subtree that the "
               "system's\n"
               "                    instance gave him (Users=); reads\n"
               "                    ~/.config/chargehand/chargehand.conf\n"
               "  --check-config    say what is wrong with the configuration, and exit\n"
               "  --any-fs          for tests: the root may be a plain directory\n"
               "  --version         print the version\n"
               "  -h, --help        print this\n");
}

static int parse_arguments(int argc, char **argv, ManagerOptions *options, int *ret_check)
{
        for (;;) {
                switch (getopt_long(argc, argv, "h", arguments, NULL)) {
                case ARG_CONFIG:
                        options->conf_file = optarg;
                        break;
                case ARG_ROOT:
                        options->root = optarg;
                        break;
                case ARG_MODE:
                        options->mode = optarg;
                        break;
                case ARG_BUS:
                        options->bus = optarg;
                        break;
                case ARG_STATE:
                        options->state_directory = optarg;
                        break;
                case ARG_CHECK_CONFIG:
                        *ret_check = 1;
                        break;
                case ARG_ANY_FS:
                        options->any_fs = 1;
                        break;
                case ARG_USER:
                        options->is_user = 1;
                        break;
                case ARG_VERSION:
                        printf("chargehandd %s\n", manager_version());
                        return 0;
                case 'h':
                        print_help();
                        return 0;
                case -1:
                        if (optind == argc)
                                return 1;
                        fprintf(stderr, "chargehandd: unexpected argument '%s'; see --help\n",
                                argv[optind]);
                        return -EINVAL;
                default:
                        return -EINVAL;
                }
        }
}

int main(int argc, char **argv)
{
        _cleanup_(manager_freep) Manager *manager = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;
        ManagerOptions options = { 0 };
        Conf *conf;
        int check = 0, r;

        r = parse_arguments(argc, argv, &options, &check);
        if (r <= 0)
                return r < 0 ? ch_error_kind_to_exit(CH_ERROR_BAD_VALUE) : EXIT_SUCCESS;
        r = manager_load_conf(&options, &conf, &error);
        if (r >= 0 && check) {
                r = conf->n_warnings > 0;
                conf_free(conf);
                return r;
        }
        if (r >= 0) {
                r = manager_new(&options, conf, &manager, &error);
                if (r < 0)
                        conf_free(conf);
        }
        if (r >= 0)
                r = manager_start(manager, &error);
        if (r < 0) {
                log_failure(LOG_ERR, "cannot start", error);
                return EXIT_FAILURE;
        }
        return manager_run(manager);
}
