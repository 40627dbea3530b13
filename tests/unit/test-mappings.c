/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings: smaps of two kernels, headers of all shapes, what counts as shared memory. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "mappings.h"
#include "util.h"

typedef struct Parsed {
        MappingParser parser;
        Mapping *mappings;
        size_t n;
} Parsed;

static void parsed_done(Parsed *parsed)
{
        mapping_parser_done(&parsed->parser);
        free(parsed->mappings);
}

static void parse(Parsed *parsed, const char *text)
{
        assert_int_equal(
                mappings_parse(&parsed->parser, text, strlen(text), &parsed->mappings, &parsed->n),
                0);
}

static void parse_fixture(Parsed *parsed, const char *name)
{
        _cleanup_(freep) char *text = NULL;
        char path[512];

        (void)snprintf(path, sizeof(path), "%s/%s", FIXTURES, name);
        assert_int_equal(read_file_at(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        parse(parsed, text);
}

static const Mapping *find_by_name(const Parsed *parsed, const char *name)
{
        for (size_t i = 0; i < parsed->n; i++)
                if (streq(parsed->mappings[i].name, name))
                        return &parsed->mappings[i];
        return NULL;
}

/* The sums are those that awk finds in the files. */
static void assert_fixture(const char *name, size_t n, uint64_t rss_kib, uint64_t anon_kib)
{
        _cleanup_(parsed_done) Parsed parsed = {};
        uint64_t rss_bytes = 0, anon_bytes = 0;
        const Mapping *stack, *vdso, *program;
        int n_nohugepage = 0;

        parse_fixture(&parsed, name);
        assert_int_equal(parsed.n, n);
        for (size_t i = 0; i < parsed.n; i++) {
                rss_bytes += parsed.mappings[i].rss_bytes;
                anon_bytes += parsed.mappings[i].anon_bytes;
                n_nohugepage += !!(parsed.mappings[i].flags & MAPPING_NOHUGEPAGE);
                assert_true(parsed.mappings[i].flags & MAPPING_FIGURES);
        }
        assert_int_equal(rss_bytes, rss_kib * 1024);
        assert_int_equal(anon_bytes, anon_kib * 1024);
        assert_int_equal(n_nohugepage, 1);

        stack = find_by_name(&parsed, "[stack]");
        assert_non_null(stack);
        assert_true(stack->flags & MAPPING_WRITABLE);
        assert_false(stack->flags & (MAPPING_FILE | MAPPING_SHARED | MAPPING_SHMEM));
        vdso = find_by_name(&parsed, "[vdso]");
        assert_non_null(vdso);
        assert_true(vdso->flags & MAPPING_VDSO);
        program = find_by_name(&parsed, "/run/payload/bin/prog-memory");
        assert_non_null(program);
        assert_true(program->flags & MAPPING_FILE);
        assert_true(program->flags &
                    MAPPING_UNSURE); /* on a device of major 0, and no mount table was given */
}

static void test_smaps_of_6_1(void **state)
{
        assert_fixture("smaps-6.1.txt", 24, 1244, 92);
}

static void test_smaps_of_7_2(void **state)
{
        assert_fixture("smaps-7.2.txt", 25, 1184, 92);
}

#define HEADER "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n"

static void test_figures_and_flags(void **state)
{
        _cleanup_(parsed_done) Parsed parsed = {};
        const Mapping *mapping;

        parse(&parsed, HEADER "Rss:                2048 kB\nShared_Clean:          4 "
                              "kB\nShared_Dirty:          8 kB\n"
                              "Anonymous:          2000 kB\nAnonHugePages:      1024 "
                              "kB\nShared_Hugetlb:       16 kB\n"
                              "Private_Hugetlb:      32 kB\nSwap:                 12 kB\nSwapPss:  "
                              "            99 kB\n"
                              "Locked:                1 kB\nTHPeligible:           1\nVmFlags: rd "
                              "wr lo ht io nh sh \n");
        assert_int_equal(parsed.n, 1);
        mapping = &parsed.mappings[0];
        assert_int_equal(mapping->start, 0x7f0000000000);
        assert_int_equal(mapping->end, 0x7f0000200000);
        assert_int_equal(mapping->rss_bytes, 2048 << 10);
        assert_int_equal(mapping->shared_bytes, 12 << 10);
        assert_int_equal(mapping->anon_bytes, 2000 << 10);
        assert_int_equal(mapping->anon_huge_bytes, 1024 << 10);
        assert_int_equal(mapping->hugetlb_bytes, 48 << 10);
        assert_int_equal(mapping->swap_bytes, 12 << 10);
        assert_int_equal(mapping->locked_bytes, 1 << 10);
        assert_int_equal(mapping->flags, MAPPING_FIGURES | MAPPING_WRITABLE | MAPPING_LOCKED |
                                                 MAPPING_HUGETLB | MAPPING_SPECIAL |
                                                 MAPPING_NOHUGEPAGE | MAPPING_SHARED |
                                                 MAPPING_THP_OK);
}

/* Two letters at a time: "mr mw" hides no "rm", and "nl" is not "lo". */
static void test_vmflags_are_whole_words(void **state)
{
        _cleanup_(parsed_done) Parsed parsed = {};

        parse(&parsed, HEADER "VmFlags: rd mr mw me gh tl nl oo \n");
        assert_int_equal(parsed.mappings[0].flags, MAPPING_FIGURES | MAPPING_WRITABLE);
}

static const struct {
        const char *line;
        uint32_t flags;
        const char *name;
} header_rows[] = {
        { "1000-2000 rw-p 00000000 00:00 0 \n", MAPPING_WRITABLE, "" },
        { "1000-2000 rw-p 00000000 00:00 0                  [heap]\n", MAPPING_WRITABLE, "[heap]" },
        { "1000-2000 r-xp 00001000 fd:01 77                 /usr/bin/my prog\n", MAPPING_FILE, "/usr/bin/my prog" },
        { "1000-2000 rw-s 00000000 00:01 2057               /memfd:x (deleted)\n",
          MAPPING_WRITABLE | MAPPING_SHARED | MAPPING_FILE | MAPPING_SHMEM, "/memfd:x (deleted)" },
        { "1000-2000 rw-s 00000000 00:01 5                  /dev/zero (deleted)\n",
          MAPPING_WRITABLE | MAPPING_SHARED | MAPPING_FILE | MAPPING_SHMEM, "/dev/zero (deleted)" },
        { "1000-2000 rw-p 00000000 00:05 5                  /dev/zero\n",
          MAPPING_WRITABLE | MAPPING_FILE | MAPPING_UNSURE, "/dev/zero" },
        { "1000-2000 rw-s 00000000 00:01 9                  /SYSV00000000 (deleted)\n",
          MAPPING_WRITABLE | MAPPING_SHARED | MAPPING_FILE | MAPPING_SHMEM, "/SYSV00000000 (deleted)" },
        { "1000-2000 rw-s 00000000 00:01 9                  [anon_shmem:cache]\n",
          MAPPING_WRITABLE | MAPPING_SHARED | MAPPING_FILE | MAPPING_SHMEM, "[anon_shmem:cache]" },
        { "1000-2000 rw-s 00000000 00:2a 3                  /dev/shm/queue\n",
          MAPPING_WRITABLE | MAPPING_SHARED | MAPPING_FILE | MAPPING_SHMEM, "/dev/shm/queue" },
        { "1000-2000 r--s 00000000 00:2b 3                  /mnt/overlay/file\n",
          MAPPING_SHARED | MAPPING_FILE | MAPPING_UNSURE, "/mnt/overlay/file" },
        { "1000-2000 rw-p 00000000 00:0f 8                  /anon_hugepage (deleted)\n",
          MAPPING_WRITABLE | MAPPING_FILE | MAPPING_HUGETLB, "/anon_hugepage (deleted)" },
        { "1000-2000 r--p 00000000 00:00 0                  [vvar_vclock]\n", MAPPING_VDSO, "[vvar_vclock]" },
        { "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n", MAPPING_VDSO, "[vsyscall]" },
};

static const char mountinfo[] =
        "22 1 103:01 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        "23 22 0:42 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw\n"
        "24 22 0:43 / /mnt/overlay rw - overlay tmpfs rw,lowerdir=/a - tmpfs \n"
        "garbage\n\n"
        "25 22 0:44 / /run rw - tmpfs none rw";

static void test_headers(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(header_rows); i++) {
                _cleanup_(parsed_done) Parsed parsed = {};

                assert_int_equal(
                        mappings_parse_mounts(&parsed.parser, mountinfo, strlen(mountinfo)), 0);
                assert_int_equal(parsed.parser.n_tmpfs, 2);
                parse(&parsed, header_rows[i].line);
                assert_int_equal(parsed.n, 1);
                assert_string_equal(parsed.mappings[0].name, header_rows[i].name);
                assert_int_equal(parsed.mappings[0].flags, header_rows[i].flags);
        }
}

static void test_long_names_keep_their_end(void **state)
{
        _cleanup_(parsed_done) Parsed parsed = {};

        parse(&parsed, "1000-2000 r--p 0 fd:01 9 "
                       "/a/very/long/path/that/does/not/fit/into/the/name/at/all/library.so.1\n");
        assert_int_equal(strlen(parsed.mappings[0].name), sizeof(parsed.mappings[0].name) - 1);
        assert_string_equal(parsed.mappings[0].name + strlen(parsed.mappings[0].name) - 12,
                            "library.so.1");
}

static void test_malformed(void **state)
{
        static const char *const texts[] = {
                "Rss: 4 kB\n",
                "1000 2000 rw-p 0 00:00 0\n",
                "1000-1000 rw-p 0 00:00 0\n",
                "2000-1000 rw-p 0 00:00 0\n",
                "1000-2000 rw-p\n",
                "1000-2000 rw-p 0 00:00\n",
                "1000-2000 rw-p 0 0000 0\n",
                "1000-2000",
                "-",
                "1000-2000 ",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                MappingParser parser = {};
                Mapping *mappings;
                size_t n;

                assert_int_equal(mappings_parse(&parser, texts[i], strlen(texts[i]), &mappings, &n),
                                 -EINVAL);
        }
}

static void test_own_mappings(void **state)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(freep) Mapping *full = NULL, *fast = NULL;
        uint64_t rss_bytes = 0;
        size_t n_full, n_fast;

        assert_int_equal(mappings_read(getpid(), &full, &n_full, NULL), 0);
        assert_int_equal(mappings_read_fast(getpid(), &fast, &n_fast, NULL), 0);
        assert_true(n_full > 5 && n_fast > 5);
        assert_int_equal(full[0].start, fast[0].start);
        for (size_t i = 0; i < n_full; i++)
                rss_bytes += full[i].rss_bytes;
        assert_true(rss_bytes > 0);
        assert_int_equal(fast[0].rss_bytes, 0);
        assert_int_equal(mappings_read(0x7ffffff0, &(Mapping *){ NULL }, &n_full, &error), -ESRCH);
        assert_non_null(strstr(ch_error_get_cause(error), "2147483632"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_smaps_of_6_1),
                cmocka_unit_test(test_smaps_of_7_2),
                cmocka_unit_test(test_figures_and_flags),
                cmocka_unit_test(test_vmflags_are_whole_words),
                cmocka_unit_test(test_headers),
                cmocka_unit_test(test_long_names_keep_their_end),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_own_mappings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
