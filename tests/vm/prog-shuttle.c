/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves a process tree, or a group, to and fro and looks after each move that nothing stayed
 * behind:
 *
 *     prog-shuttle N tree|group A B PID
 *
 * Prints moves, rounds, processes that were moved, and how often anything was found where it should
 * not be. Exit code 1 if that happened.
 */

#include <fcntl.h>
#include <stdio.h>

#include <json-c/json.h>

#include <chargehand/move.h>

#include "procstat.h"
#include "util.h"

typedef struct Shuttle {
        ch_tree *tree;
        const char *groups[2];
        pid_t pid;
        int by_group;
        uint64_t moved, rounds, most_rounds, left, failed;
} Shuttle;

static int complain(const char *what, const ch_error *err)
{
        (void)fprintf(stderr, "%s: %s %s: %s\n", what,
                      ch_error_kind_to_name(ch_error_get_kind(err)), ch_error_get_path(err),
                      ch_error_get_cause(err));
        return -1;
}

static uint64_t number(struct json_object *object, const char *key)
{
        return json_object_get_uint64(json_object_object_get(object, key));
}

/* Live processes in a group; some kernels list those that are just exiting, too. */
static size_t count(Shuttle *s, const char *path)
{
        ch_group *group = NULL;
        pid_t *pids = NULL;
        size_t n = 0, n_live = 0;
        int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        ProcStat stat;

        if (ch_tree_open_group(s->tree, path, &group, NULL) >= 0)
                (void)ch_group_read_procs(group, &pids, &n, NULL);
        for (size_t i = 0; i < n; i++) {
                if (procstat_read(proc_fd, pids[i], &stat) < 0 || procstat_is_exiting(&stat))
                        continue;
                (void)fprintf(stderr, "%s has %d: parent %d, started %llu, flags %x\n", path,
                              pids[i], stat.ppid, (unsigned long long)stat.start_ticks, stat.flags);
                n_live++;
        }
        (void)safe_close(proc_fd);
        free(pids);
        (void)ch_group_unref(group);
        return n_live;
}

static int move_once(Shuttle *s, int to)
{
        ch_move_request request = { .target = s->groups[to] };
        ch_move_options options = CH_MOVE_OPTIONS_INIT;
        struct json_object *json = NULL;
        ch_error *err = NULL;
        ch_move *move = NULL;
        ch_plan *plan = NULL;
        int r;

        options.policy = CH_POLICY_STAY;
        if (s->by_group) {
                request.group = s->groups[!to];
        } else {
                request.pids = &s->pid;
                request.n_pids = 1;
                request.with_tree = 1;
        }
        if (ch_plan_new(s->tree, &request, &options, &plan, &err) < 0)
                return complain("plan", err);
        if (ch_plan_get_refusal(plan))
                return complain("refused", ch_plan_get_refusal(plan));
        if (ch_move_new(plan, NULL, &move, &err) < 0)
                return complain("new", err);
        r = ch_move_run(move, &err);
        s->failed += r != 0;
        if (ch_move_to_json(move, &json) >= 0) {
                if (r != 0)
                        (void)fprintf(stderr, "run: %d %s\n", r, json_object_to_json_string(json));
                s->moved += number(json, "moved");
                s->rounds += number(json, "rounds");
                if (number(json, "rounds") > s->most_rounds)
                        s->most_rounds = number(json, "rounds");
                (void)json_object_put(json);
        }
        (void)ch_move_free(move);
        return 0;
}

int main(int argc, char **argv)
{
        Shuttle s = { 0 };
        ch_error *err = NULL;
        int n;

        if (argc < 6)
                return 2;
        n = atoi(argv[1]);
        s.by_group = streq(argv[2], "group");
        s.groups[0] = argv[3];
        s.groups[1] = argv[4];
        s.pid = (pid_t)atoi(argv[5]);
        if (ch_tree_open(NULL, 0, &s.tree, &err) < 0)
                return complain("tree", err), 1;
        for (int i = 0; i < n; i++) {
                int to = (i + 1) % 2;
                size_t left;

                if (move_once(&s, to) < 0)
                        return 1;
                left = count(&s, s.groups[!to]);
                if (left)
                        (void)fprintf(stderr, "move %d: %zu left in %s\n", i, left, s.groups[!to]);
                s.left += left;
        }
        (void)printf("moves %d rounds %llu processes %llu left %llu failed %llu most_rounds %llu\n",
                     n, (unsigned long long)s.rounds, (unsigned long long)s.moved,
                     (unsigned long long)s.left, (unsigned long long)s.failed,
                     (unsigned long long)s.most_rounds);
        return s.left || s.failed;
}
