/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: the shipped file shows the table, values parse, what is wrong is a warning. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "conf.h"
#include "conf-parse.h"
#include "error.h"
#include "util.h"

/* Does "[SECTION]" … "#KEY=VALUE" stand in the file, in that order and within one section? */
static int is_shown(const char *text, const ConfRow *row)
{
        char section[64], line[256];
        const char *start, *end, *at;

        (void)snprintf(section, sizeof(section), "\n[%s]\n", row->section);
        (void)snprintf(line, sizeof(line), "\n#%s=%s\n", row->key, row->value);
        start = strstr(text, section);
        if (!start)
                return 0;
        end = strstr(start + 1, "\n[");
        at = strstr(start, line);
        return at && (!end || at < end);
}

static void test_shipped_file(void **state)
{
        _cleanup_(freep) char *text = NULL;
        size_t n_shown = 0;

        assert_int_equal(read_file_at(AT_FDCWD, CONF_SHIPPED, 1 << 20, &text, NULL), 0);
        for (size_t i = 0; i < conf_n_rows(); i++)
                if (!is_shown(text, conf_get_row(i)))
                        fail_msg("[%s] #%s=%s is not in %s", conf_get_row(i)->section,
                                 conf_get_row(i)->key, conf_get_row(i)->value, CONF_SHIPPED);
        /* and no key that the table does not have: before the example group each "#Key=" is one */
        for (const char *p = text, *end = strstr(text, "#[Group");
             (p = strstr(p, "\n#")) && p < end; p++)
                n_shown +=
                        p[2] >= 'A' && p[2] <= 'Z' && strcspn(p + 2, "=") < strcspn(p + 2, " \n");
        assert_int_equal(n_shown, conf_n_rows());
}

static void test_shipped_file_reads(void **state)
{
        _cleanup_(conf_freep) Conf *conf = NULL;

        assert_int_equal(conf_new(&conf), 0);
        assert_int_equal(conf_read(conf, CONF_SHIPPED, NULL), 0);
        assert_int_equal(conf->n_warnings, 0);
        assert_int_equal(conf->n_groups, 0);
        assert_int_equal(conf->workers, 8);
        assert_int_equal(conf->max_growth_permyriad, 100);
        assert_int_equal(conf->timeout_usec, 0);
        assert_string_equal(conf->state_directory, "/run/chargehand");
        assert_null(conf->root);
}

static void test_keys(void **state)
{
        static const struct {
                const char *section, *key, *value;
                int want;
        } rows[] = {
                {"Daemon",  "Mode",      "delegated",    0      },
                { "Daemon", "Mode",      "Root",         -EINVAL},
                { "Daemon", "Root",      "/x",           0      },
                { "Daemon", "Root",      "x",            -EINVAL},
                { "Daemon", "Workers",   "0",            -EINVAL},
                { "Daemon", "Workers",   "65",           -EINVAL},
                { "Daemon", "Bus",       "unix:path=/x", 0      },
                { "Daemon", "Bus",       "sys",          -EINVAL},
                { "Move",   "MaxGrowth", "0%",           0      },
                { "Move",   "MaxGrowth", "2.5%",         0      },
                { "Move",   "MaxGrowth", "5",            -EINVAL},
                { "Move",   "MaxGrowth", "101%",         -EINVAL},
                { "Move",   "Backends",  "collapse",     0      },
                { "Move",   "Backends",  "",             -EINVAL},
                { "Move",   "Rate",      "0",            -EINVAL},
                { "Move",   "Timeout",   "30s",          0      },
        };
        _cleanup_(conf_freep) Conf *conf = NULL;

        assert_int_equal(conf_new(&conf), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (conf_set(conf, rows[i].section, rows[i].key, rows[i].value, NULL) !=
                    rows[i].want)
                        fail_msg("%s=%s", rows[i].key, rows[i].value);
        assert_int_equal(conf->max_growth_permyriad, 250);
}

/* A configuration of that text; its warnings are conf->warnings. */
static Conf *read_text(const char *text)
{
        char path[] = "/tmp/chargehand-conf-XXXXXX";
        int fd = mkstemp(path);
        Conf *conf;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        (void)close(fd);
        assert_int_equal(conf_new(&conf), 0);
        assert_int_equal(conf_read(conf, path, NULL), 0);
        assert_int_equal(unlink(path), 0);
        return conf;
}

static void test_pools(void **state)
{
        _cleanup_(conf_freep) Conf *conf = read_text("[Pool ci]\n"
                                                     "Groups=/ci/*, /web/batch\n"
                                                     "Policy=affinity\n"
                                                     "Weights=headroom:3 sharing:10\n"
                                                     "[Pool  web]\n"
                                                     "Groups=/web/[ab]\n"
                                                     "[Daemon]\n"
                                                     "Workers=3\n"
                                                     "[Pool ci]\n"
                                                     "Groups=/ci/x*\n");
        _cleanup_(freep) char *names = conf_pools_names(&conf->pools);
        const ConfPool *ci = conf_pools_find(&conf->pools, "ci");
        const ConfPool *web = conf_pools_find(&conf->pools, "web");

        assert_int_equal(conf->n_warnings, 0);
        assert_int_equal(conf->workers, 3);
        assert_string_equal(names, "ci, web");
        assert_null(conf_pools_find(&conf->pools, "db"));
        assert_non_null(ci);
        assert_non_null(web);
        /* the later section of the same name replaces what it has, and keeps the rest */
        assert_int_equal(ci->n_patterns, 1);
        assert_string_equal(ci->patterns[0], "/ci/x*");
        assert_int_equal(ci->policy, CH_PLACE_POLICY_AFFINITY);
        assert_int_equal(ci->weights.weight[CH_PLACE_TERM_SHARING], 10);
        assert_int_equal(ci->weights.weight[CH_PLACE_TERM_CPU], 0);
        assert_int_equal(web->policy, CH_PLACE_POLICY_SPREAD);
        assert_string_equal(web->patterns[0], "/web/[ab]");
}

/* Each with the line it is in, and without harm to what is right. */
static void test_bad_pools(void **state)
{
        static const char *const wants[] = {
                ":2: group 'ci' skipped: ",
                ":3: 'Policy=fastest' is not spread, pack or affinity; 'spread' stays",
                ":4: 'Weights=colour:3' skipped: ",
                (":5: unknown key 'Group' in [Pool ci], skipped; there are Groups, Policy and "
                 "Weights"),
                ":6: 'Groups=' skipped: no group is named",
                ":7: section [Pool a b] skipped: the name of a pool ",
                ":9: section [Pool ] skipped: the name of a pool ",
        };
        _cleanup_(conf_freep) Conf *conf = read_text("[Pool ci]\n"
                                                     "Groups=/ci/a ci /ci/b\n"
                                                     "Policy=fastest\n"
                                                     "Weights=colour:3\n"
                                                     "Group=/x\n"
                                                     "Groups=\n"
                                                     "[Pool a b]\n"
                                                     "Groups=/x\n"
                                                     "[Pool ]\n"
                                                     "Groups=/x\n");
        const ConfPool *ci = conf_pools_find(&conf->pools, "ci");

        for (size_t i = 0; i < ELEMENTSOF(wants); i++)
                if (i >= conf->n_warnings || !strstr(conf->warnings[i], wants[i]))
                        fail_msg("want '%s', got '%s'", wants[i],
                                 i < conf->n_warnings ? conf->warnings[i] : "nothing");
        assert_int_equal(conf->n_warnings, ELEMENTSOF(wants));
        assert_int_equal(conf->pools.n, 1);
        assert_int_equal(ci->n_patterns, 2);
        assert_string_equal(ci->patterns[1], "/ci/b");
        assert_int_equal(ci->policy, CH_PLACE_POLICY_SPREAD);
        assert_int_equal(ci->weights.weight[CH_PLACE_TERM_HEADROOM], 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shipped_file), cmocka_unit_test(test_shipped_file_reads),
                cmocka_unit_test(test_keys),         cmocka_unit_test(test_pools),
                cmocka_unit_test(test_bad_pools),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
