/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bus values to JSON, plain and lossless, and words to bus values: built into a message and read
 * back, without a bus. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "bus.h"

/* A message needs a connection to belong to, not one that anybody answers; the other end stays
 * open. */
static sd_bus_message *new_message(sd_bus **ret_bus)
{
        sd_bus_message *m = NULL;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_true(sd_bus_new(ret_bus) >= 0);
        assert_true(sd_bus_set_fd(*ret_bus, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_start(*ret_bus) >= 0);
        assert_true(sd_bus_message_new_method_call(*ret_bus, &m, "a.b", "/c", "d.e", "F") >= 0);
        return m;
}

static void check_words(const char *signature, const char *words, const char *json)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message(&bus);
        _cleanup_(json_putp) struct json_object *body = NULL;
        _cleanup_(freep) char *copy = strdup(words);
        char *list[32], *save = NULL;
        const char *why = NULL;
        size_t n = 0;

        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
                list[n++] = word;
        assert_int_equal(message_append_words(m, signature, list, n, &why), (int)n);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_int_equal(json_from_body(m, &body), 0);
        assert_string_equal(json_object_to_json_string_ext(body, JSON_C_TO_STRING_NOSLASHESCAPE),
                            json);
}

static void test_words_become_values_and_values_json(void **state)
{
        check_words("su", "/web 7", "{\"type\":\"su\",\"data\":[\"/web\",7]}");
        check_words("bxt", "yes -5 18446744073709551615",
                    "{\"type\":\"bxt\",\"data\":[true,-5,18446744073709551615]}");
        check_words("as", "2 a b", "{\"type\":\"as\",\"data\":[[\"a\",\"b\"]]}");
        check_words("as", "0", "{\"type\":\"as\",\"data\":[[]]}");
        check_words("(tt)s", "1 2 x", "{\"type\":\"(tt)s\",\"data\":[[1,2],\"x\"]}");
        check_words("a{sv}", "2 pid u 12 tree b no",
                    "{\"type\":\"a{sv}\",\"data\":[{\"pid\":{\"type\":\"u\",\"data\":12},"
                    "\"tree\":{\"type\":\"b\",\"data\":false}}]}");
        check_words("v", "as 1 z",
                    "{\"type\":\"v\",\"data\":[{\"type\":\"as\",\"data\":[\"z\"]}]}");
        check_words("ynqid", "255 -3 9 -70000 1.5",
                    "{\"type\":\"ynqid\",\"data\":[255,-3,9,-70000,1.5]}");
}

static void test_plain_form_has_no_types(void **state)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message(&bus);
        _cleanup_(json_putp) struct json_object *plain = NULL;

        assert_true(sd_bus_message_append(m, "a{sv}", 2, "MemoryMax", "t", UINT64_MAX, "Words",
                                          "as", 1, "x") >= 0);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_int_equal(json_from_message(m, FORM_PLAIN, &plain), 0);
        assert_string_equal(json_object_to_json_string_ext(plain, JSON_C_TO_STRING_PLAIN),
                            "{\"MemoryMax\":18446744073709551615,\"Words\":[\"x\"]}");
}

static void test_bad_words_are_refused_with_a_reason(void **state)
{
        static const struct {
                const char *signature, *word, *why;
        } rows[] = {
                { "u", NULL, "values are missing" },
                { "u", "seven", "not a number" },
                { "b", "maybe", "not yes or no" },
                { "as", "many", "an array starts with its number of elements" },
                { "v", "zz", "a variant's value starts with its type, such as s or t" },
                { "k", "1", "not a D-Bus signature" },
                { "(s", "1", "not a D-Bus signature" },
                { "", "1", "more values than the signature has" },
                { "h", "0", "file descriptors cannot be given in words" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message(&bus);
                char *words[] = { (char *)rows[i].word };
                const char *why = NULL;

                assert_int_equal(message_append_words(m, rows[i].signature, words,
                                                      rows[i].word ? 1 : 0, &why),
                                 -EINVAL);
                assert_string_equal(why, rows[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words_become_values_and_values_json),
                cmocka_unit_test(test_plain_form_has_no_types),
                cmocka_unit_test(test_bad_words_are_refused_with_a_reason),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
