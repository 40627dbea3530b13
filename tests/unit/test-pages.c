/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decoding of pagemap entries over made-up tables: runs, compound pages, zero pages, swap, huge
 * pages; sets of PFNs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pages-decode.h"
#include "pfnset.h"
#include "util.h"

enum { N_PFNS = 8192, N_RUNS = 64, GROUP_A = 1001, GROUP_B = 1002 };

#define BASE UINT64_C(0x7f0000000000)

/* Memory as the kernel would show it. */
typedef struct Fake {
        uint64_t groups[N_PFNS], flags[N_PFNS];
        PageRun runs[N_RUNS];
        size_t n_runs;
        int n_reads[2];         /* by table */
        PageDecoder decoder;
} Fake;

static int fake_read(PageTable table, uint64_t pfn, size_t n, uint64_t *ret, void *userdata)
{
        Fake *fake = userdata;

        assert_true(pfn + n <= N_PFNS);
        assert_true(n <= WINDOW_PAGES);
        memcpy(ret, (table == TABLE_GROUP ? fake->groups : fake->flags) + pfn, n * sizeof(*ret));
        fake->n_reads[table]++;
        return 0;
}

static int collect(const PageRun *run, void *userdata)
{
        Fake *fake = userdata;

        assert_true(fake->n_runs < N_RUNS);
        fake->runs[fake->n_runs++] = *run;
        return 0;
}

static int setup(void **state)
{
        Fake *fake = calloc(1, sizeof(*fake));
        PageSource source = { .read = fake_read, .userdata = fake };

        *state = fake;
        return decoder_init(&fake->decoder, &source);
}

static int teardown(void **state)
{
        Fake *fake = *state;

        decoder_done(&fake->decoder);
        free(fake);
        return 0;
}

static void decode(Fake *fake, uint32_t mapping_flags, const uint64_t *entries, size_t n,
                   uint64_t address)
{
        fake->n_runs = 0;
        fake->n_reads[TABLE_GROUP] = fake->n_reads[TABLE_FLAGS] = 0;
        decoder_start(&fake->decoder, mapping_flags, collect, fake);
        assert_int_equal(decoder_feed(&fake->decoder, entries, n, address), 0);
        assert_int_equal(decoder_finish(&fake->decoder), 0);
}

static void assert_run(const Fake *fake, size_t i, uint64_t first_page, uint64_t n_pages,
                       uint64_t group, ch_kind kind, uint32_t flags)
{
        assert_true(i < fake->n_runs);
        assert_int_equal(fake->runs[i].start, BASE + first_page * 4096);
        assert_int_equal(fake->runs[i].end, BASE + (first_page + n_pages) * 4096);
        assert_int_equal(fake->runs[i].group_id, group);
        assert_int_equal(fake->runs[i].kind, kind);
        assert_int_equal(fake->runs[i].flags, flags);
}

static uint64_t anon(uint64_t pfn)
{
        return PM_PRESENT | PM_EXCLUSIVE | pfn;
}

static void test_runs_by_group(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(10), anon(11), anon(12),  anon(13),
                                     0,        anon(14), anon(300), anon(301) };

        for (int i = 10; i < 15; i++)
                fake->groups[i] = i < 12 ? GROUP_A : GROUP_B;
        fake->groups[300] = fake->groups[301] = GROUP_B;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 3);
        assert_run(fake, 0, 0, 2, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_run(fake, 1, 2, 2, GROUP_B, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_run(fake, 2, 5, 3, GROUP_B, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        /* 10–14 in one read, 300 and 301 in another; nothing was uncharged, so no flags */
        assert_int_equal(fake->n_reads[TABLE_GROUP], 2);
        assert_int_equal(fake->n_reads[TABLE_FLAGS], 0);
}

static void test_descending_and_shuffled_pfns_take_one_read(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(105), anon(104), anon(103), anon(110),
                                     anon(101), anon(102), anon(120) };

        for (int i = 100; i < 130; i++)
                fake->groups[i] = GROUP_A;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 1);
        assert_run(fake, 0, 0, 7, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(fake->n_reads[TABLE_GROUP], 1);
}

static void test_split_by_pfn_as_wanted(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(10), anon(12), PM_PRESENT | 20, PM_PRESENT | 21,
                                     PM_PRESENT | 23 };

        for (int i = 10; i < 24; i++)
                fake->groups[i] = GROUP_A;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 2);

        fake->decoder.want_pfns = PFNS_SHARED;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 3);
        assert_run(fake, 0, 0, 2, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_run(fake, 1, 2, 2, GROUP_A, CH_KIND_ANON, 0);
        assert_int_equal(fake->runs[1].pfn, 20);
        assert_int_equal(fake->runs[2].pfn, 23);

        fake->decoder.want_pfns = PFNS_ALL;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 4);
        assert_int_equal(fake->runs[1].pfn, 12);
}

/* Soft-dirty and write-protection bits make no new run, in the tight loop either. */
static void test_other_bits_do_not_matter(void **state)
{
        Fake *fake = *state;
        uint64_t entries[16];

        for (size_t i = 0; i < ELEMENTSOF(entries); i++) {
                entries[i] = anon(40 + i) | (i % 3 ? UINT64_C(1) << 55 : 0) |
                             (i % 2 ? UINT64_C(1) << 57 : 0);
                fake->groups[40 + i] = GROUP_A;
        }
        for (int want = PFNS_NONE; want <= PFNS_SHARED; want++) {
                fake->decoder.want_pfns = want;
                decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
                assert_int_equal(fake->n_runs, 1);
                assert_run(fake, 0, 0, 16, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        }
}

static void test_runs_over_two_feeds(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(10), anon(11), anon(12), anon(13) };

        for (int i = 10; i < 14; i++)
                fake->groups[i] = GROUP_A;
        decoder_start(&fake->decoder, 0, collect, fake);
        assert_int_equal(decoder_feed(&fake->decoder, entries, 2, BASE), 0);
        assert_int_equal(decoder_feed(&fake->decoder, entries + 2, 2, BASE + 2 * 4096), 0);
        assert_int_equal(decoder_finish(&fake->decoder), 0);
        assert_int_equal(fake->n_runs, 1);
        assert_run(fake, 0, 0, 4, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
}

static const struct {
        uint64_t entry;
        uint32_t mapping_flags;
        ch_kind kind;
} kind_rows[] = {
        { PM_PRESENT,                        0,                                   CH_KIND_ANON },
        { PM_PRESENT | PM_FILE,              MAPPING_FILE,                        CH_KIND_FILE },
        { PM_PRESENT | PM_EXCLUSIVE,         MAPPING_FILE,                        CH_KIND_ANON }, /* copied on write */
        { PM_PRESENT | PM_FILE,              MAPPING_FILE | MAPPING_SHMEM,        CH_KIND_SHMEM },
        { PM_PRESENT,                        MAPPING_FILE | MAPPING_SHMEM,        CH_KIND_ANON },
        { PM_PRESENT | PM_FILE,              MAPPING_FILE | MAPPING_HUGETLB,      CH_KIND_HUGETLB },
};

static void test_kinds(void **state)
{
        Fake *fake = *state;

        fake->groups[77] = GROUP_A;
        for (size_t i = 0; i < ELEMENTSOF(kind_rows); i++) {
                const uint64_t entry = kind_rows[i].entry | 77;

                decode(fake, kind_rows[i].mapping_flags, &entry, 1, BASE);
                assert_int_equal(fake->n_runs, 1);
                assert_int_equal(fake->runs[0].kind, kind_rows[i].kind);
        }
}

static void test_unsure_mapping_is_told_by_its_pages(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(70), PM_PRESENT | PM_FILE | 71,
                                     PM_PRESENT | PM_FILE | 72 };

        fake->groups[70] = fake->groups[71] = fake->groups[72] = GROUP_A;
        decode(fake, MAPPING_FILE | MAPPING_UNSURE, entries, 3, BASE);
        assert_int_equal(fake->runs[1].kind, CH_KIND_FILE);
        assert_int_equal(fake->n_reads[TABLE_FLAGS], 1);
        fake->flags[71] = KPF_SWAPBACKED;
        decode(fake, MAPPING_FILE | MAPPING_UNSURE, entries, 3, BASE);
        assert_int_equal(fake->n_runs, 2);
        assert_run(fake, 1, 1, 2, GROUP_A, CH_KIND_SHMEM, 0);
}

/* Up to 6.1 only the head of a compound page has an id; these pages are mapped one by one, and not
 * from the head on. */
static void test_tails_belong_to_their_head(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(1000 + 70), anon(1000 + 71), anon(1000 + 72),
                                     anon(2000) };

        fake->groups[1000] = GROUP_A;
        fake->flags[1000] = KPF_COMPOUND_HEAD | KPF_THP;
        for (int i = 1001; i < 1512; i++)
                fake->flags[i] = KPF_COMPOUND_TAIL | KPF_THP;
        fake->groups[2000] = GROUP_B;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 2);
        assert_run(fake, 0, 0, 3, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE | PAGERUN_COMPOUND);
        assert_run(fake, 1, 3, 1, GROUP_B, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
}

static void test_tail_without_head_is_uncharged(void **state)
{
        Fake *fake = *state;
        const uint64_t entry = anon(1000);

        for (int i = 0; i < N_PFNS; i++)
                fake->flags[i] = KPF_COMPOUND_TAIL;
        decode(fake, 0, &entry, 1, BASE);
        assert_run(fake, 0, 0, 1, CH_GROUP_ID_NONE, CH_KIND_UNCHARGED,
                   PAGERUN_EXCLUSIVE | PAGERUN_COMPOUND);
}

static void test_pages_of_no_group(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = { anon(50), anon(51), anon(52) };

        fake->groups[50] = fake->groups[52] = GROUP_A; /* 51 is in a per-CPU batch */
        decode(fake, 0, entries, 3, BASE);
        assert_int_equal(fake->n_runs, 3);
        assert_run(fake, 1, 1, 1, CH_GROUP_ID_NONE, CH_KIND_UNCHARGED, PAGERUN_EXCLUSIVE);
        assert_run(fake, 2, 2, 1, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
}

static void test_zero_page(void **state)
{
        Fake *fake = *state;
        uint64_t entries[40];

        fake->flags[9] = KPF_ZERO_PAGE;
        for (size_t i = 0; i < ELEMENTSOF(entries); i++)
                entries[i] = PM_PRESENT | 9;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 1);
        assert_run(fake, 0, 0, 40, CH_GROUP_ID_NONE, CH_KIND_UNCHARGED, 0);
        assert_int_equal(fake->n_reads[TABLE_FLAGS], 1);
}

static void fill_huge(Fake *fake, uint64_t *entries, uint64_t pfn, uint64_t flags)
{
        for (uint64_t i = 0; i < HUGE_PAGES; i++) {
                entries[i] = anon(pfn + i);
                fake->flags[pfn + i] = flags | (i ? KPF_COMPOUND_TAIL : KPF_COMPOUND_HEAD);
        }
}

static void test_huge_page_at_once(void **state)
{
        Fake *fake = *state;
        uint64_t entries[2 * HUGE_PAGES];

        fill_huge(fake, entries, 1024, KPF_THP);
        fill_huge(fake, entries + HUGE_PAGES, 2048, KPF_THP);
        fake->groups[1024] = GROUP_A;
        fake->groups[2048] = GROUP_B;
        decode(fake, 0, entries, 2 * HUGE_PAGES, BASE);
        assert_int_equal(fake->n_runs, 2);
        assert_run(fake, 0, 0, 512, GROUP_A, CH_KIND_ANON_THP,
                   PAGERUN_HUGE | PAGERUN_COMPOUND | PAGERUN_EXCLUSIVE);
        assert_run(fake, 1, 512, 512, GROUP_B, CH_KIND_ANON_THP,
                   PAGERUN_HUGE | PAGERUN_COMPOUND | PAGERUN_EXCLUSIVE);
        assert_int_equal(fake->n_reads[TABLE_GROUP], 2);
        assert_int_equal(fake->n_reads[TABLE_FLAGS], 2);

        /* PAGEMAP_SCAN may know that it is mapped page by page */
        fake->decoder.pmd_mapped = 0;
        decode(fake, 0, entries, HUGE_PAGES, BASE);
        assert_run(fake, 0, 0, 512, GROUP_A, CH_KIND_ANON, PAGERUN_COMPOUND | PAGERUN_EXCLUSIVE);
}

/* Consecutive and aligned, but 512 small pages: fresh memory often looks so. */
static void test_small_pages_that_look_huge(void **state)
{
        Fake *fake = *state;
        uint64_t entries[HUGE_PAGES + 1];

        for (uint64_t i = 0; i <= HUGE_PAGES; i++) {
                entries[i] = anon(1024 + i);
                fake->groups[1024 + i] = i < 100 ? GROUP_A : GROUP_B;
        }
        decode(fake, 0, entries, HUGE_PAGES + 1, BASE);
        assert_int_equal(fake->n_runs, 2);
        assert_run(fake, 0, 0, 100, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_run(fake, 1, 100, 413, GROUP_B, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
}

/* Two folios of 1 MiB: the middle page is a head, not a tail. */
static void test_large_folios_below_2_mib(void **state)
{
        Fake *fake = *state;
        uint64_t entries[HUGE_PAGES];

        fill_huge(fake, entries, 1024, KPF_THP);
        fake->flags[1024 + 256] = KPF_COMPOUND_HEAD | KPF_THP;
        for (int i = 0; i < HUGE_PAGES; i++)
                fake->groups[1024 + i] =
                        i < 256 ? GROUP_A : GROUP_B; /* 7.2 shows the id of tails, too */
        decode(fake, 0, entries, HUGE_PAGES, BASE);
        assert_int_equal(fake->n_runs, 2);
        assert_run(fake, 0, 0, 256, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_run(fake, 1, 256, 256, GROUP_B, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
}

static void test_huge_page_in_the_middle_of_small_ones(void **state)
{
        Fake *fake = *state;
        uint64_t entries[HUGE_PAGES + 4] = {};

        /* small pages right before it, physically too: the window must not swallow the huge page */
        entries[0] = anon(1022);
        entries[1] = anon(1023);
        fill_huge(fake, entries + 2, 1024, KPF_THP);
        entries[HUGE_PAGES + 2] = anon(30);
        fake->groups[1022] = fake->groups[1023] = fake->groups[30] = fake->groups[1024] = GROUP_A;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE - 2 * 4096);
        assert_int_equal(fake->n_runs, 3);
        assert_run(fake, 1, 0, 512, GROUP_A, CH_KIND_ANON_THP,
                   PAGERUN_HUGE | PAGERUN_COMPOUND | PAGERUN_EXCLUSIVE);
}

static void test_huge_zero_page_and_hugetlb(void **state)
{
        Fake *fake = *state;
        uint64_t entries[HUGE_PAGES];

        fill_huge(fake, entries, 1024, KPF_ZERO_PAGE | KPF_THP);
        decode(fake, 0, entries, HUGE_PAGES, BASE);
        assert_int_equal(fake->n_runs, 1);
        assert_int_equal(fake->runs[0].kind, CH_KIND_UNCHARGED);
        fill_huge(fake, entries, 1024, KPF_HUGE);
        decode(fake, 0, entries, HUGE_PAGES, BASE);
        assert_int_equal(fake->n_runs, 1);
        assert_int_equal(fake->runs[0].kind, CH_KIND_HUGETLB);
        /* a part of it, so that the whole cannot be seen */
        decode(fake, 0, entries + 1, 7, BASE + 4096);
        assert_int_equal(fake->n_runs, 1);
        assert_int_equal(fake->runs[0].kind, CH_KIND_HUGETLB);
}

static void test_swap(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[] = {
                PM_SWAP | 100 << 5 | 1, PM_SWAP | 101 << 5 | 1, PM_SWAP | 500 << 5 | 1,
                PM_SWAP | 9 << 5 | 31,                  /* a marker: no page at all */
                PM_SWAP | 9 << 5 | 27,                  /* under migration */
                PM_SWAP | PM_GUARD | 9 << 5 | 3,        /* guard region */
                PM_SWAP | 502 << 5 | 1,
        };

        fake->decoder.want_pfns = PFNS_SHARED;
        decode(fake, 0, entries, ELEMENTSOF(entries), BASE);
        assert_int_equal(fake->n_runs, 4);
        assert_run(fake, 0, 0, 2, CH_GROUP_ID_NONE, CH_KIND_SWAP, PAGERUN_SWAPPED);
        assert_run(fake, 1, 2, 1, CH_GROUP_ID_NONE, CH_KIND_SWAP, PAGERUN_SWAPPED);
        assert_run(fake, 2, 4, 1, CH_GROUP_ID_NONE, CH_KIND_UNCHARGED, 0);
        assert_run(fake, 3, 6, 1, CH_GROUP_ID_NONE, CH_KIND_SWAP, PAGERUN_SWAPPED);
        assert_int_equal(fake->runs[1].pfn, fake->runs[0].pfn + 400);
        assert_int_equal(fake->n_reads[TABLE_GROUP], 0);
}

static void test_windows_are_bounded(void **state)
{
        Fake *fake = *state;
        uint64_t *entries = reallocarray(NULL, N_PFNS - 1, sizeof(*entries));

        for (uint64_t i = 0; i < N_PFNS - 1; i++) {
                entries[i] = anon(N_PFNS - 1 - i); /* downwards */
                fake->groups[i + 1] = GROUP_A;
        }
        decode(fake, 0, entries, N_PFNS - 1, BASE);
        assert_int_equal(fake->n_runs, 1);
        assert_run(fake, 0, 0, N_PFNS - 1, GROUP_A, CH_KIND_ANON, PAGERUN_EXCLUSIVE);
        assert_int_equal(fake->n_reads[TABLE_GROUP], 2);
        free(entries);
}

static void test_nothing(void **state)
{
        Fake *fake = *state;
        const uint64_t entries[300] = {};

        decode(fake, 0, entries, 300, BASE);
        assert_int_equal(fake->n_runs, 0);
        assert_int_equal(fake->n_reads[TABLE_GROUP], 0);
}

static void test_pfnset(void **state)
{
        PfnSet set = {};
        uint64_t n;

        assert_int_equal(pfnset_add(&set, 60, 10, &n), 0);
        assert_int_equal(n, 10);
        assert_int_equal(pfnset_add(&set, 64, 200, &n), 0);
        assert_int_equal(n, 194);
        assert_int_equal(pfnset_add(&set, 0, 264, &n), 0);
        assert_int_equal(n, 60);
        assert_int_equal(pfnset_add(&set, 32700, 32768 * 3, &n), 0);
        assert_int_equal(n, 32768 * 3);
        assert_int_equal(pfnset_add(&set, 32700, 32768 * 3, &n), 0);
        assert_int_equal(n, 0);
        for (uint64_t i = 1; i < 500; i++) {
                assert_int_equal(pfnset_add(&set, i << 40, 1, &n), 0);
                assert_int_equal(n, 1);
        }
        for (uint64_t i = 1; i < 500; i++) {
                assert_int_equal(pfnset_add(&set, i << 40, 2, &n), 0);
                assert_int_equal(n, 1);
        }
        pfnset_done(&set);
}

#define ON_FAKE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_FAKE(test_runs_by_group),
                ON_FAKE(test_descending_and_shuffled_pfns_take_one_read),
                ON_FAKE(test_split_by_pfn_as_wanted),
                ON_FAKE(test_other_bits_do_not_matter),
                ON_FAKE(test_runs_over_two_feeds),
                ON_FAKE(test_kinds),
                ON_FAKE(test_unsure_mapping_is_told_by_its_pages),
                ON_FAKE(test_tails_belong_to_their_head),
                ON_FAKE(test_tail_without_head_is_uncharged),
                ON_FAKE(test_pages_of_no_group),
                ON_FAKE(test_zero_page),
                ON_FAKE(test_huge_page_at_once),
                ON_FAKE(test_small_pages_that_look_huge),
                ON_FAKE(test_large_folios_below_2_mib),
                ON_FAKE(test_huge_page_in_the_middle_of_small_ones),
                ON_FAKE(test_huge_zero_page_and_hugetlb),
                ON_FAKE(test_swap),
                ON_FAKE(test_windows_are_bounded),
                ON_FAKE(test_nothing),
                cmocka_unit_test(test_pfnset),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
