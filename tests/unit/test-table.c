/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables: units, empty cells, alignment, shortening, escapes; and the progress bar. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>

#include "common.h"
#include "progress.h"
#include "table.h"

static const Column columns[] = {
        { "path", "GROUP", UNIT_TEXT, COLUMN_MIDDLE },
        { "state", "STATE", UNIT_TEXT, COLUMN_PAINT },
        { "bytes", "SIZE", UNIT_BYTES },
        { "max", "MAX", UNIT_LIMIT },
        { "id", "ID", UNIT_NUMBER, COLUMN_MORE },
        { "managed", "MANAGED", UNIT_YES, COLUMN_HIDE_EMPTY },
};

static char *render(const Style *style, const char *json, int all)
{
        _cleanup_(json_putp) struct json_object *rows = json_tokener_parse(json);
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(rows);
        assert_non_null(f);
        assert_int_equal(table_print(f, style, columns, ELEMENTSOF(columns), rows, all), 0);
        fclose(f);
        return text;
}

static void test_cells_are_aligned_and_empty_ones_are_dashes(void **state)
{
        Style style = { 0 };
        _cleanup_(freep) char *text = render(&style,
                "[{\"path\":\"/web\",\"state\":\"frozen\",\"bytes\":1536,\"max\":\"max\",\"id\":7},"
                " {\"path\":\"/\",\"bytes\":512,\"max\":18446744073709551615}]", 0);

        assert_string_equal(text, "GROUP  STATE      SIZE  MAX\n"
                                  "/web   frozen  1.5 KiB  max\n"
                                  "/      -         512 B  max\n");
}

static void test_all_and_raw_and_no_legend(void **state)
{
        Style style = { .raw = 1, .no_legend = 1 };
        _cleanup_(freep) char *text = render(&style,
                "[{\"path\":\"/web\",\"state\":\"empty\",\"bytes\":1536,\"max\":2048,\"id\":7,\"managed\":true}]", 1);

        assert_string_equal(text, "/web  empty  1536  2048  7  yes\n");
}

static void test_paths_are_shortened_in_the_middle_to_fit(void **state)
{
        Style style = { .columns = 40 };
        _cleanup_(freep) char *text = render(&style,
                "[{\"path\":\"/machine/very-long-name-of-a-container/leaf\",\"state\":\"empty\",\"bytes\":1,\"max\":2}]", 0);
        char *line = strchr(text, '\n') + 1;

        assert_int_equal(strcspn(line, "\n"), 40);
        assert_non_null(strstr(line, "/machine"));
        assert_non_null(strstr(line, "~"));
        assert_non_null(strstr(line, "/leaf "));

        style.full = 1;
        _cleanup_(freep) char *full = render(&style,
                "[{\"path\":\"/machine/very-long-name-of-a-container/leaf\",\"state\":\"empty\",\"bytes\":1,\"max\":2}]", 0);
        assert_non_null(strstr(full, "/machine/very-long-name-of-a-container/leaf"));
}

static void test_control_characters_cannot_reach_the_terminal(void **state)
{
        _cleanup_(freep) char *safe = text_escape("a\x1b[31mb\nc\xff" "d");

        assert_string_equal(safe, "a\\x1b[31mb\\x0ac\\xffd");
}

static void test_colours_only_when_asked(void **state)
{
        Style plain = { 0 }, colour = { .colour = 1 };

        assert_string_equal(paint_word(&plain, "failed"), "");
        assert_string_equal(paint_word(&colour, "failed"), "\x1b[31m");
        assert_string_equal(paint_word(&colour, "some other word"), "");
}

static void test_sizes_and_times(void **state)
{
        static const struct {
                uint64_t number;
                const char *bytes, *usec;
        } rows[] = {
                { 0, "0 B", "0 µs" },
                { 1023, "1023 B", "1.0 ms" },
                { 1024, "1.0 KiB", "1.0 ms" },
                { 1048575, "1.0 MiB", "1.05 s" },
                { 1536000000, "1.4 GiB", "25min 36s" },
                { UINT64_MAX, "max", NULL },
        };
        Style style = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(freep) char *bytes = format_bytes(&style, rows[i].number);
                _cleanup_(freep) char *usec = format_usec(&style, rows[i].number);

                assert_string_equal(bytes, rows[i].bytes);
                if (rows[i].usec)
                        assert_string_equal(usec, rows[i].usec);
        }
}

static void test_wide_text_takes_its_columns(void **state)
{
        assert_int_equal(text_width("abc"), 3);
        assert_int_equal(text_width("├─x"), 3);
        assert_int_equal(text_width("\xff"), 1);
}

static void test_progress_bar(void **state)
{
        Style style = { 0 };
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        progress_draw(f, &style, "charges", 50 << 20, 100 << 20, 2500000);
        fclose(f);
        assert_string_equal(text,
                            "charges    ############............  50%  50.0 MiB of 100.0 MiB  2 s");
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cells_are_aligned_and_empty_ones_are_dashes),
                cmocka_unit_test(test_all_and_raw_and_no_legend),
                cmocka_unit_test(test_paths_are_shortened_in_the_middle_to_fit),
                cmocka_unit_test(test_control_characters_cannot_reach_the_terminal),
                cmocka_unit_test(test_colours_only_when_asked),
                cmocka_unit_test(test_sizes_and_times),
                cmocka_unit_test(test_wide_text_takes_its_columns),
                cmocka_unit_test(test_progress_bar),
        };

        setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
