/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places through the library, for the cases; prints the placement as JSON:
 *
 *     prog-place [OPTIONS] CANDIDATE…
 *
 *     --pid PID (any number) --tree     what is to be placed
 *     --bytes N --cpus MILLI --nodes LIST
 *     --policy P --weights TEXT
 *     --claim GROUP=BYTES (any number)  set aside there and in every ancestor
 *
 * Exit code: 0 chosen, 3 refused, 4 failed; the error's kind and cause on stderr.
 */

#include <getopt.h>
#include <stdio.h>

#include <json-c/json.h>

#include <chargehand/place.h>
#include <chargehand/units.h>

#include "util.h"

enum {
        CLAIMS_MAX = 16,
};

typedef struct Claim {
        char *group;
        uint64_t bytes;
} Claim;

typedef struct Run {
        ch_place_request request;
        ch_procset *set;
        int with_tree;
        Claim claims[CLAIMS_MAX];
        size_t n_claims;
} Run;

static int tell(const ch_error *err, int code)
{
        (void)fprintf(stderr, "%s: %s: %s\n", ch_error_kind_to_name(ch_error_get_kind(err)),
                      ch_error_get_path(err), ch_error_get_cause(err));
        return code;
}

static _Noreturn void bad(const char *what)
{
        (void)fprintf(stderr, "prog-place: '%s' cannot be read\n", what);
        exit(2);
}

static uint64_t claimed(const char *group, void *userdata)
{
        const Run *run = userdata;
        uint64_t bytes = 0;

        for (size_t i = 0; i < run->n_claims; i++)
                if (ch_path_is_below(run->claims[i].group, group))
                        bytes += run->claims[i].bytes;
        return bytes;
}

static void add_pid(Run *run, const char *text)
{
        ch_error *err = NULL;
        pid_t pid = (pid_t)strtol(text, NULL, 10);
        int r;

        if (!run->set && ch_procset_new(&run->set) < 0)
                bad(text);
        r = run->with_tree ? ch_procset_add_tree(run->set, pid, &err)
                           : ch_procset_add_pid(run->set, pid, &err);
        if (r < 0)
                exit(tell(err, 4));
}

static void add_claim(Run *run, char *text)
{
        char *bytes = strchr(text, '=');
        Claim *claim = &run->claims[run->n_claims];

        if (!bytes || run->n_claims == CLAIMS_MAX || ch_parse_bytes(bytes + 1, &claim->bytes) < 0)
                bad(text);
        *bytes = '\0';
        claim->group = text;
        run->n_claims++;
}

static void parse(Run *run, int argc, char **argv)
{
        static const struct option options[] = {
                {"tree",     no_argument,       NULL, 't'},
                { "pid",     required_argument, NULL, 'p'},
                { "bytes",   required_argument, NULL, 'b'},
                { "cpus",    required_argument, NULL, 'c'},
                { "nodes",   required_argument, NULL, 'n'},
                { "policy",  required_argument, NULL, 'y'},
                { "weights", required_argument, NULL, 'w'},
                { "claim",   required_argument, NULL, 'l'},
                { NULL,      0,                 NULL, 0  },
        };
        ch_place_request *request = &run->request;
        ch_error *err = NULL;

        for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
                if (c == 't')
                        run->with_tree = 1;
                else if (c == 'p')
                        add_pid(run, optarg);
                else if (c == 'c')
                        request->cpus_milli = (uint32_t)strtoul(optarg, NULL, 10);
                else if (c == 'l')
                        add_claim(run, optarg);
                else if ((c == 'b' && ch_parse_bytes(optarg, &request->bytes) < 0) ||
                         (c == 'n' && ch_place_nodes_parse(optarg, &request->nodes) < 0) ||
                         (c == 'y' && ch_place_policy_from_string(optarg, &request->policy) < 0))
                        bad(optarg);
                else if (c == 'w' && ch_place_weights_parse(optarg, &request->weights, &err) < 0)
                        exit(tell(err, 2));
                else if (c == '?')
                        exit(2);
        }
}

static int place(Run *run, ch_tree *tree, const char *const *groups, size_t n)
{
        ch_place_score *scores = calloc(n + 1, sizeof(*scores));
        ch_place_report *report = NULL;
        struct json_object *json = NULL;
        const ch_place_facts *facts;
        ch_error *err = NULL;
        int r;

        r = ch_place_read(tree, &run->request, run->set, groups, n, claimed, run, &report, &err);
        if (r < 0 || !scores)
                return tell(err, 4);
        facts = ch_place_report_get_facts(report, &n);
        r = ch_place_choose(&run->request, ch_place_report_get_source(report), facts, n, scores);
        if (ch_place_to_json(&run->request, report, scores, &json) < 0)
                return tell(NULL, 4);
        (void)printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY));
        (void)json_object_put(json);
        if (r < 0)
                r = ch_place_refuse(&run->request, scores, n, &err);
        (void)ch_place_report_free(report);
        free(scores);
        return r < 0 ? tell(err, 3) : 0;
}

int main(int argc, char **argv)
{
        Run run = { 0 };
        ch_tree *tree;
        ch_error *err = NULL;
        int r;

        parse(&run, argc, argv);
        if (ch_tree_open(NULL, 0, &tree, &err) < 0)
                return tell(err, 4);
        r = place(&run, tree, (const char *const *)(argv + optind), (size_t)(argc - optind));
        (void)ch_procset_free(run.set);
        (void)ch_tree_unref(tree);
        return r;
}
