/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs of chargectl: dispatch, usage, help, completion and the man page are made from this table. */

#include "cli.h"

static const Verb verbs[] = {
        { "list", "[GROUP]", 0, 1, VERB_READS, "group", "List groups: state, processes, memory, limit (the default verb)",
          verb_list, "chargectl list\nchargectl list /web --json=pretty" },
        { "tree", "[GROUP]", 0, 1, VERB_READS, "group", "Show groups as a tree, with --all also their processes",
          verb_tree, "chargectl tree\nchargectl tree /web --all" },
        { "status", "[GROUP|PID]", 0, 1, VERB_READS, "group/pid",
          "Show the daemon and host, a group or a process, for a person to read", verb_status,
          "chargectl status\nchargectl status /web\nchargectl status 1234" },
        { "map", "PID|GROUP", 1, 1, VERB_READS, "pid/group", "Show on which group's account memory is, by kind", verb_map,
          "chargectl map 1234\nchargectl map 1234 --tree\nchargectl map /web" },
        { "explain", "PID", 1, 1, VERB_READS, "pid",
          "Say why a process is where it is, what limits it and who pays for its memory", verb_explain,
          "chargectl explain 1234" },
        { "owner", "PID", 1, 1, VERB_READS, "pid",
          "Show who shares the address space of a process, who owns it, and which group pays", verb_owner,
          "chargectl owner 1234\nchargectl owner 1234 --json=pretty" },
        { "show", "[GROUP]", 0, 1, VERB_READS, "group", "Show properties of a group as NAME=VALUE, for programs", verb_show,
          "chargectl show /web\nchargectl show /web -p MemoryMax --value" },
        { "get-property", "GROUP PROPERTY…", 2, ANY_ARGS, VERB_READS, "group attribute",
          "Get properties of a group, with their D-Bus types", verb_get_property,
          "chargectl get-property /web MemoryMax\nchargectl get-property /web MemoryMax --json=short" },
        { "plan", "PID… TARGET | --group=SOURCE TARGET", 1, ANY_ARGS, VERB_READS, "pid/group",
          "Say what a move would do: what moves how, what stays and why, the room there is", verb_plan,
          "chargectl plan 1234 /web\nchargectl plan --group=/old /new --policy=partial" },
        { "probe", "", 0, 0, VERB_READS, "", "Say what this kernel can do, and what to do about what it cannot", verb_probe,
          "chargectl probe" },

        { "move", "PID… TARGET | --group=SOURCE TARGET", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "pid/group",
          "Move processes with their memory; Ctrl-C undoes it", verb_move,
          "chargectl move 1234 1235 /web\nchargectl move 1234 --tree /web\nchargectl move --group=/old /new --rate=200M" },
        { "create", "GROUP [NAME=VALUE…]", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group setting",
          "Make a group", verb_create, "chargectl create /web MemoryMax=2G\nchargectl create /ci/job --parents --uid=ci" },
        { "remove", "GROUP…", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group", "Remove empty groups", verb_remove,
          "chargectl remove /web\nchargectl remove /ci --recursive" },
        { "set-property", "GROUP NAME=VALUE…", 2, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group setting",
          "Set properties of a group, all or nothing", verb_set_property,
          "chargectl set-property /web MemoryMax=512M CPUWeight=50" },
        { "freeze", "GROUP…", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group", "Stop all processes of groups, and below",
          verb_freeze, "chargectl freeze /web" },
        { "thaw", "GROUP…", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group", "Let them go on", verb_thaw,
          "chargectl thaw /web" },
        { "kill", "GROUP…", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group",
          "Send a signal to all processes of groups, and below", verb_kill, "chargectl kill /web --signal=KILL" },
        { "run", "[--] PROGRAM [ARGUMENT…]", 1, ANY_ARGS, VERB_READS | VERB_CHANGES | VERB_COMMAND, "command word",
          "Run a program inside a group, which is made for it and removed afterwards if need be", verb_run,
          "chargectl run -p MemoryMax=1G -p CPUWeight=20 -- make -j8\nchargectl run --group=/ci/job --keep ./test.sh" },
        { "place", "[PID…] [-- PROGRAM [ARGUMENT…]]", 0, ANY_ARGS, VERB_READS | VERB_CHANGES, "pid",
          "Choose one of several groups by where memory is charged; move processes there, or start a program", verb_place,
          "chargectl place 1234 --tree --pool=web --dry-run\nchargectl place --group=/old --candidates=/a,/b --placement=affinity\n"
          "chargectl place --bytes=2G --pool=ci -- make -j8" },
        { "reserve", "GROUP BYTES [-- COMMAND…]", 2, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "group word command word",
          "Set memory aside in a group while a command runs, or until Ctrl-C or the end of a pipe", verb_reserve,
          "chargectl reserve /web 2G -- ./start-worker\nchargectl reserve /web 2G --note=upgrade\n"
          "chargectl reserve /db 1G -- sh -c 'chargectl move 1234 /db --lease=$CHARGEHAND_LEASE'" },
        { "pools", "[POOL]", 0, 1, VERB_DAEMON, "pool", "List the pools that 'place' may choose from, and the room in their groups",
          verb_pools, "chargectl pools" },
        { "claims", "[GROUP]", 0, 1, VERB_DAEMON, "group", "List the memory that is set aside, by whom and for what",
          verb_claims, "chargectl claims\nchargectl claims /web --json" },

        { "jobs", "", 0, 0, VERB_DAEMON, "", "List jobs, also those that ended lately", verb_jobs, "chargectl jobs" },
        { "cancel", "JOB…", 1, ANY_ARGS, VERB_DAEMON | VERB_CHANGES, "job", "End jobs; what they did is undone", verb_cancel,
          "chargectl cancel 3" },
        { "monitor", "[GROUP]", 0, 1, VERB_DAEMON, "group", "Print every signal of the daemon as it comes", verb_monitor,
          "chargectl monitor\nchargectl monitor /web --json=short" },
        { "snapshot", "", 0, 0, VERB_DAEMON, "", "Print all groups with what is set in them, and the jobs, as JSON",
          verb_snapshot, "chargectl snapshot > before.json" },
        { "reload", "", 0, 0, VERB_DAEMON, "", "Let the daemon read its configuration again", verb_reload, "chargectl reload" },
        { "introspect", "[GROUP|OBJECT]", 0, 1, VERB_DAEMON, "group", "Show methods, properties and signals of an object",
          verb_introspect, "chargectl introspect\nchargectl introspect /web\nchargectl introspect job/3" },
        { "call", "[GROUP|OBJECT] METHOD [SIGNATURE [VALUE…]]", 1, ANY_ARGS, VERB_DAEMON, "group",
          "Call a method; values as busctl takes them", verb_call,
          "chargectl call GetGroupByPID u 1234\nchargectl call /web Freeze\nchargectl call job/3 Cancel" },

        { "help", "[VERB|TOPIC]", 0, 1, 0, "topic", "Show help: of a verb, or about attributes, options, errors", verb_help,
          "chargectl help move\nchargectl help attributes" },
        { "complete", "[--] WORD…", 0, ANY_ARGS, VERB_HIDDEN | VERB_OWN_ARGS, "", "Words that may follow, for shells",
          verb_complete, NULL },
};

const Verb *verb_table(size_t *ret_n)
{
        *ret_n = ELEMENTSOF(verbs);
        return verbs;
}

const Verb *verb_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        return &verbs[i];
        return NULL;
}
