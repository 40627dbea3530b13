/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_ACCESS_H
#define CTL_ACCESS_H

/*
 * Where data comes from: the daemon (access-bus.c), or the kernel's files through libchargehand
 * (access-direct.c). Both give the same JSON. All functions return an exit code and tell what went
 * wrong.
 *
 * The rule: verbs that change something need the daemon. Verbs that read, and 'run', ask the daemon if it is on
 * the bus, else they work directly; --direct and --root work directly in any case.
 */

#include "cli.h"

/* The charge options that were given on the command line, and what is to be moved. */
typedef struct MoveSpec {
        pid_t *pids;
        size_t n_pids;
        const char *group;
        const char *target;
        int with_tree;
} MoveSpec;

typedef struct PlaceSpec PlaceSpec; /* place-request.h */

typedef struct Access {
        /* [{path, id, uid, managed, populated, frozen, has_children}] in the order of the tree;
         * depth 0 = all. `managed` is null where nobody can tell. */
        int (*list)(Cli *cli, const char *below, unsigned depth, struct json_object **ret);
        /* {MemoryMax: "max", …}; none named = all that can be read. Values as ch_value_to_json(). A
         * single name that cannot be read is an error, of several those are left out (and others
         * may come along). */
        int (*properties)(Cli *cli, const char *group, const char *const *names, size_t n,
                          struct json_object **ret);
        int (*group_of_pid)(Cli *cli, pid_t pid, char **ret);
        int (*map)(Cli *cli, const Target *target, int with_tree,
                   struct json_object **ret); /* ch_map_to_json() */
        /* {pid, mm, owner, group, last_group, own_group, users, source}: as GetOwner of the bus */
        int (*owner)(Cli *cli, pid_t pid, struct json_object **ret);
        int (*plan)(Cli *cli, const MoveSpec *spec,
                    struct json_object **ret); /* ch_plan_to_json() */
        /* ch_place_to_json() of a dry run, with `refusal` {kind, path, cause} where nobody can hold it */
        int (*place)(Cli *cli, const PlaceSpec *spec, struct json_object **ret);
        /* {version, pid, root, mode, kernel: ch_probe_to_json(), groups, jobs, …}; version and pid
         * only with the daemon */
        int (*status)(Cli *cli, struct json_object **ret);
} Access;

extern const Access access_bus, access_direct;

/* Connect or open, by the rule above, for cli->verb. */
int cli_open(Cli *cli);
void cli_close(Cli *cli);
/* Open the hierarchy for reading beside the daemon, for figures that it does not send (processes,
 * bytes in use). 0 or 1; silent. */
int cli_open_tree_beside(Cli *cli);
/* One line of access->list() for exactly this group. */
int access_group(Cli *cli, const char *path, struct json_object **ret);
/* The charge map as member `map` of the object; where none can be made (no right, no kernel
 * support) the reason as `map_error`. */
int access_try_map(Cli *cli, const Target *target, struct json_object *into);
/* access->owner() as member `owner` of the object; nothing where it cannot be told. */
int access_try_owner(Cli *cli, pid_t pid, struct json_object *into);
/* Properties, quietly: an empty object where they cannot be read. */
struct json_object *access_try_properties(Cli *cli, const char *group, const char *const *names,
                                          size_t n);

#endif
