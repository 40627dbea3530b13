/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plans, carries out and recovers moves through the library, for the cases:
 *
 *     prog-move [OPTIONS] TARGET [PID…]      prints the plan (--plan) or the result as JSON
 *
 *     --plan --policy P --tree --group G --growth PERMYRIAD --rate BYTES --timeout USEC
 *     --collapse-only --with-shared
 *     --cancel-at PERCENT      of the bytes
 *     --at PERCENT FILE TEXT   write TEXT to FILE then
 *     --journal FILE           keep the record there, as the daemon would
 *     --die-at STEP            be killed just after STEP was recorded; at 'charges+' in the middle
 *                              of it
 *     --fail-at STEP           the journal refuses that step
 *     --recover FILE
 *
 * A move that is to be met on its way has a middle: unless --rate says otherwise it is held to
 * PACE, that is two blocks a tenth of a second, and each step or every other one is told of. A
 * cancel at 99 comes with the last block.
 *
 * Exit code: 0 done, 1 partly, 3 refused, 4 failed, cancelled or rolled back, 5 it was never met
 * on its way; the error's kind and cause on stderr.
 */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include <json-c/json.h>

#include <chargehand/move.h>

#include "util.h"

enum {
        PIDS_MAX = 4096,
        PACE = 40 << 20, /* bytes per second */
};

typedef struct Run {
        ch_move *move;
        const char *journal, *die_at, *fail_at, *at_file, *at_text;
        unsigned cancel_percent, at_percent;
        int plan_only;
        int met; /* what was to happen on the way did */
} Run;

static void save_record(const char *path, struct json_object *record)
{
        char temporary[4096];

        (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
        if (json_object_to_file(temporary, record) < 0 || rename(temporary, path) < 0)
                perror(path);
}

static int on_journal(ch_step step, struct json_object *record, void *userdata)
{
        const Run *run = userdata;

        if (run->journal)
                save_record(run->journal, record);
        if (run->die_at && streq(run->die_at, ch_step_to_string(step)))
                (void)raise(SIGKILL);
        return run->fail_at && streq(run->fail_at, ch_step_to_string(step)) ? -EIO : 0;
}

static void write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                perror(path);
        (void)safe_close(fd);
}

/* Is this the first call on the way at or past so much of it? From 99 % on the end counts as well:
 * some kilobytes may be left then, or none. */
static int reached(const Run *run, uint64_t done, uint64_t total, unsigned percent)
{
        return !run->met && (done < total || percent >= 99) && done * 100 >= total * percent;
}

static void on_progress(ch_step step, uint64_t done, uint64_t total, void *userdata)
{
        Run *run = userdata;

        if (step != CH_STEP_CHARGES || total == 0)
                return;
        if (run->die_at && streq(run->die_at, "charges+") && reached(run, done, total, 33))
                (void)raise(SIGKILL);
        if (run->at_file && reached(run, done, total, run->at_percent)) {
                write_text(run->at_file, run->at_text);
                run->met = 1;
        }
        if (run->cancel_percent && reached(run, done, total, run->cancel_percent)) {
                ch_move_cancel(run->move);
                run->met = 1;
        }
}

static int wants_middle(const Run *run)
{
        return run->cancel_percent || run->at_file ||
               (run->die_at && streq(run->die_at, "charges+"));
}

static void print(struct json_object *object)
{
        (void)puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
        (void)json_object_put(object);
        (void)fflush(stdout);
}

static void error_done(ch_error **err)
{
        ch_error_free(*err);
}

static void tree_done(ch_tree **tree)
{
        (void)ch_tree_unref(*tree);
}

static void plan_done(ch_plan **plan)
{
        (void)ch_plan_free(*plan);
}

static int complain(const ch_error *err, int code)
{
        (void)fprintf(stderr, "%s %s: %s\n", ch_error_kind_to_name(ch_error_get_kind(err)),
                      ch_error_get_path(err), ch_error_get_cause(err));
        return code;
}

static int recover(ch_tree *tree, const char *path, Run *run)
{
        const ch_move_hooks hooks = { .journal = on_journal,
                                      .progress = on_progress,
                                      .userdata = run };
        struct json_object *record = json_object_from_file(path), *result = NULL;
        _cleanup_(error_done) ch_error *err = NULL;
        int r;

        run->journal = path;
        r = ch_move_recover(tree, record, &hooks, &result, &err);
        if (result)
                print(result);
        (void)json_object_put(record);
        return r < 0 ? complain(err, 4) : r;
}

/* Takes the plan over. */
static int carry_out(ch_plan *given, Run *run)
{
        const ch_move_hooks hooks = { .journal = on_journal,
                                      .progress = on_progress,
                                      .userdata = run };
        _cleanup_(plan_done) ch_plan *plan = given;
        _cleanup_(error_done) ch_error *err = NULL;
        struct json_object *json;
        int r;

        if (run->plan_only && ch_plan_to_json(plan, &json) >= 0)
                print(json);
        if (ch_plan_get_refusal(plan))
                return complain(ch_plan_get_refusal(plan), 3);
        if (run->plan_only)
                return 0;
        r = ch_move_new(plan, &hooks, &run->move, &err);
        if (r < 0)
                return complain(err, 4);
        (void)TAKE_PTR(plan);
        r = ch_move_run(run->move, &err);
        if (ch_move_to_json(run->move, &json) >= 0)
                print(json);
        (void)ch_move_free(run->move);
        if (wants_middle(run) && !run->met) {
                (void)fprintf(stderr, "prog-move: the move was never met on its way\n");
                return 5;
        }
        return r < 0 ? complain(err, r == -ENOSPC ? 3 : 4) : r;
}

static const struct option long_options[] = {
        {"plan",           no_argument,       NULL, 'p'},
        { "policy",        required_argument, NULL, 'P'},
        { "tree",          no_argument,       NULL, 't'},
        { "group",         required_argument, NULL, 'g'},
        { "growth",        required_argument, NULL, 'G'},
        { "rate",          required_argument, NULL, 'r'},
        { "timeout",       required_argument, NULL, 'T'},
        { "collapse-only", no_argument,       NULL, 'c'},
        { "with-shared",   no_argument,       NULL, 's'},
        { "cancel-at",     required_argument, NULL, 'C'},
        { "at",            required_argument, NULL, 'a'},
        { "journal",       required_argument, NULL, 'j'},
        { "die-at",        required_argument, NULL, 'd'},
        { "fail-at",       required_argument, NULL, 'f'},
        { "recover",       required_argument, NULL, 'R'},
        { NULL,            0,                 NULL, 0  },
};

static int set_option(int c, char **argv, Run *run, ch_move_request *request,
                      ch_move_options *options)
{
        switch (c) {
        case 'p':
                run->plan_only = 1;
                break;
        case 'P':
                return ch_policy_from_string(optarg, &options->policy);
        case 't':
                request->with_tree = 1;
                break;
        case 'g':
                request->group = optarg;
                break;
        case 'G':
                options->max_growth_permyriad = (uint32_t)atoi(optarg);
                break;
        case 'r':
                options->rate_bytes_per_sec = strtoull(optarg, NULL, 10);
                break;
        case 'T':
                options->timeout_usec = strtoull(optarg, NULL, 10);
                break;
        case 'c':
                options->backends = 1u << CH_BACKEND_COLLAPSE;
                break;
        case 's':
                options->with_shared = 1;
                break;
        case 'C':
                run->cancel_percent = (unsigned)atoi(optarg);
                break;
        case 'a':
                run->at_percent = (unsigned)atoi(optarg);
                run->at_file = argv[optind++];
                run->at_text = argv[optind++];
                break;
        case 'j':
                run->journal = optarg;
                break;
        case 'd':
                run->die_at = optarg;
                break;
        case 'f':
                run->fail_at = optarg;
                break;
        default:
                return -EINVAL;
        }
        return 0;
}

int main(int argc, char **argv)
{
        static pid_t pids[PIDS_MAX];
        ch_move_request request = { .pids = pids };
        ch_move_options options = CH_MOVE_OPTIONS_INIT;
        const char *record = NULL;
        _cleanup_(error_done) ch_error *err = NULL;
        _cleanup_(tree_done) ch_tree *tree = NULL;
        ch_plan *plan = NULL;
        Run run = { 0 };
        int c, paced = 0;

        while ((c = getopt_long(argc, argv, "+", long_options, NULL)) >= 0) {
                paced |= c == 'r';
                if (c == 'R')
                        record = optarg;
                else if (set_option(c, argv, &run, &request, &options) < 0)
                        return 2;
        }
        if (ch_tree_open(NULL, 0, &tree, &err) < 0)
                return complain(err, 4);
        if (record)
                return recover(tree, record, &run);
        if (optind >= argc)
                return 2;
        if (wants_middle(&run) && !paced)
                options.rate_bytes_per_sec = PACE;
        request.target = argv[optind++];
        for (; optind < argc && request.n_pids < PIDS_MAX; optind++)
                pids[request.n_pids++] = (pid_t)atoi(argv[optind]);
        if (ch_plan_new(tree, &request, &options, &plan, &err) < 0)
                return complain(err, 3);
        return carry_out(plan, &run);
}
