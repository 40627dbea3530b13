/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The module's BTF reader: what it says of a blob made here, of broken ones, and of the kernel this runs on. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "btf-blob.h"
#include "util.h"

enum { BLOB_BYTES = 8192, HEADER_BYTES = 24, BLOB_MAX_BYTES = 32 << 20 };

typedef struct Made {
        uint32_t types[BLOB_BYTES / 4];
        char strings[BLOB_BYTES];
        uint32_t n_words, n_chars, n_types;
} Made;

typedef struct Opened {
        struct chargehand_blob blob;
        uint32_t *data, *offsets, *hashes;
} Opened;

static uint32_t made_string(Made *made, const char *text)
{
        uint32_t at = made->n_chars;

        memcpy(made->strings + at, text, strlen(text) + 1);
        made->n_chars += (uint32_t)strlen(text) + 1;
        return at;
}

static void made_word(Made *made, uint32_t word)
{
        made->types[made->n_words++] = word;
}

/* Returns its id; its elements follow by made_word(). */
static uint32_t made_type(Made *made, const char *name, uint32_t kind, uint32_t vlen, uint32_t size_or_type)
{
        made_word(made, *name ? made_string(made, name) : 0);
        made_word(made, kind << 24 | vlen);
        made_word(made, size_or_type);
        return ++made->n_types;
}

static void made_member(Made *made, const char *name, uint32_t type, uint32_t bits)
{
        made_word(made, *name ? made_string(made, name) : 0);
        made_word(made, type);
        made_word(made, bits);
}

static uint32_t made_int(Made *made, const char *name, uint32_t size)
{
        uint32_t id = made_type(made, name, BTF_KIND_INT, 0, size);

        made_word(made, size * 8);
        return id;
}

static void opened_done(Opened *opened)
{
        free(opened->data);
        free(opened->offsets);
        free(opened->hashes);
}

/* A blob of its own, in memory of just its size. */
static int opened_init(Opened *opened, const void *data, size_t size)
{
        int r;

        *opened = (Opened){ .data = malloc(size ? size : 1) };
        assert_non_null(opened->data);
        memcpy(opened->data, data, size);
        r = chargehand_blob_open(&opened->blob, opened->data, size);
        if (r < 0)
                return r;
        opened->offsets = calloc(opened->blob.n_types, sizeof(uint32_t));
        opened->hashes = calloc(opened->blob.n_types, sizeof(uint32_t));
        assert_true(opened->offsets && opened->hashes);
        chargehand_blob_index(&opened->blob, opened->offsets, opened->hashes);
        return 0;
}

static size_t made_bytes(const Made *made, uint8_t bytes[3 * BLOB_BYTES])
{
        struct {
                uint16_t magic;
                uint8_t version, flags;
                uint32_t length, type_off, type_len, str_off, str_len;
        } header = { BTF_MAGIC, BTF_VERSION, 0, HEADER_BYTES, 0, made->n_words * 4, made->n_words * 4, made->n_chars };

        memcpy(bytes, &header, HEADER_BYTES);
        memcpy(bytes + HEADER_BYTES, made->types, made->n_words * 4);
        memcpy(bytes + HEADER_BYTES + made->n_words * 4, made->strings, made->n_chars);
        return HEADER_BYTES + made->n_words * 4 + made->n_chars;
}

static void made_open(const Made *made, Opened *opened)
{
        static uint8_t bytes[3 * BLOB_BYTES];
        size_t size = made_bytes(made, bytes);

        assert_int_equal(opened_init(opened, bytes, size), 0);
}

static void assert_prototype(const Opened *opened, const char *name, const char *expected)
{
        char text[CHARGEHAND_BTF_TEXT];

        assert_int_equal(chargehand_blob_prototype(&opened->blob, name, text), 0);
        assert_string_equal(text, expected);
}

/* Ids of what the functions below are made of. */
typedef struct Basics {
        uint32_t i, ul, c, s, p_s, p_cs, cp_c, pp_c;
} Basics;

static Basics made_basics(Made *made)
{
        Basics b = { 0 };
        uint32_t cs, cc;

        *made = (Made){ .n_chars = 1 };
        b.i = made_int(made, "int", 4);
        b.ul = made_int(made, "long unsigned int", 8);
        b.c = made_int(made, "char", 1);
        b.s = made_type(made, "mm_struct", BTF_KIND_FWD, 0, 0);
        b.p_s = made_type(made, "", BTF_KIND_PTR, 0, b.s);
        cs = made_type(made, "", BTF_KIND_CONST, 0, b.s);
        b.p_cs = made_type(made, "", BTF_KIND_PTR, 0, cs);
        cc = made_type(made, "", BTF_KIND_CONST, 0, b.c);
        b.cp_c = made_type(made, "", BTF_KIND_CONST, 0, made_type(made, "", BTF_KIND_PTR, 0, cc));
        b.pp_c = made_type(made, "", BTF_KIND_PTR, 0, b.cp_c);
        return b;
}

static uint32_t made_proto(Made *made, uint32_t ret, const uint32_t *args, uint32_t n)
{
        uint32_t id = made_type(made, "", BTF_KIND_FUNC_PROTO, n, ret);

        for (uint32_t i = 0; i < n; i++) {
                made_word(made, 0);
                made_word(made, args[i]);
        }
        return id;
}

static void test_prototypes(void **state)
{
        Made made;
        Basics b = made_basics(&made);
        uint32_t callback, pointer, tagged;
        Opened opened;

        made_type(&made, "plain", BTF_KIND_FUNC, 1, made_proto(&made, 0, NULL, 0));
        made_type(&made, "many", BTF_KIND_FUNC, 1,
                made_proto(&made, b.i, (uint32_t[]){ b.p_s, b.ul, b.p_cs, b.cp_c, b.pp_c, 0 }, 6));
        callback = made_proto(&made, b.p_s, (uint32_t[]){ b.i }, 1);
        pointer = made_type(&made, "", BTF_KIND_PTR, 0, callback);
        tagged = made_type(&made, "", BTF_KIND_PTR, 0, made_type(&made, "user", BTF_KIND_TYPE_TAG, 0, b.c));
        made_type(&made, "callback", BTF_KIND_FUNC, 1, made_proto(&made, b.p_s, (uint32_t[]){ pointer, tagged }, 2));
        /* of one name and alike: as one; not alike: as none */
        made_type(&made, "twice", BTF_KIND_FUNC, 1, made_proto(&made, b.i, NULL, 0));
        made_type(&made, "twice", BTF_KIND_FUNC, 1, made_proto(&made, b.i, NULL, 0));
        made_type(&made, "differs", BTF_KIND_FUNC, 1, made_proto(&made, b.i, NULL, 0));
        made_type(&made, "differs", BTF_KIND_FUNC, 1, made_proto(&made, b.ul, NULL, 0));
        made_open(&made, &opened);

        assert_prototype(&opened, "plain", "void (void)");
        assert_prototype(&opened, "many",
                "int (struct mm_struct *, unsigned long, const struct mm_struct *, const char *const, "
                "const char *const *, ...)");
        assert_prototype(&opened, "callback", "struct mm_struct * (struct mm_struct * (*)(int), char *)");
        assert_prototype(&opened, "twice", "int (void)");
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "differs", (char[CHARGEHAND_BTF_TEXT]){ 0 }), -ENOTUNIQ);
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "none", (char[CHARGEHAND_BTF_TEXT]){ 0 }), -ENOENT);
        /* the name of a type is not that of a function */
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "int", (char[CHARGEHAND_BTF_TEXT]){ 0 }), -ENOENT);
        opened_done(&opened);
}

static void test_long_prototype(void **state)
{
        Made made;
        Basics b = made_basics(&made);
        uint32_t args[32];
        char text[CHARGEHAND_BTF_TEXT];
        Opened opened;

        for (size_t i = 0; i < ELEMENTSOF(args); i++)
                args[i] = b.p_cs;
        made_type(&made, "long", BTF_KIND_FUNC, 1, made_proto(&made, b.i, args, ELEMENTSOF(args)));
        made_open(&made, &opened);
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "long", text), -ENOSPC);
        opened_done(&opened);
}

typedef struct Place {
        const char *type, *member;
        int result;
        uint32_t offset, size;
} Place;

static const Place places[] = {
        { "outer", "first",        0,         0,  4  },
        { "outer", "inside",       0,         8,  4  }, /* of an unnamed union in an unnamed struct */
        { "outer", "named",        0,         16, 8  },
        { "outer", "named.second", 0,         20, 4  },
        { "outer", "array",        0,         24, 12 },
        { "outer", "end",          0,         36, 0  },
        { "outer", "pointer",      0,         40, 8  },
        { "outer", "second",       -ENOENT,   0,  0  }, /* belongs to the named one */
        { "outer", "named.third",  -ENOENT,   0,  0  },
        { "outer", "first.second", -ENOENT,   0,  0  },
        { "outer", "",             -ENOENT,   0,  0  },
        { "none",  "first",        -ENOENT,   0,  0  },
        { "bits",  "whole",        0,         4,  4  },
        { "bits",  "few",          -EINVAL,   0,  0  },
        { "other", "moved",        -ENOTUNIQ, 0,  0  },
        { "other", "stays",        0,         0,  4  },
};

static void made_places(Made *made)
{
        Basics b = made_basics(made);
        uint32_t u, s, named, array, end, p;

        u = made_type(made, "", BTF_KIND_UNION, 1, 4);
        made_member(made, "inside", b.i, 0);
        s = made_type(made, "", BTF_KIND_STRUCT, 1, 8);
        made_member(made, "", u, 32);
        named = made_type(made, "inner", BTF_KIND_STRUCT, 2, 8);
        made_member(made, "first", b.i, 0);
        made_member(made, "second", b.i, 32);
        array = made_type(made, "", BTF_KIND_ARRAY, 0, 0);
        made_word(made, b.i);
        made_word(made, b.i);
        made_word(made, 3);
        end = made_type(made, "", BTF_KIND_ARRAY, 0, 0);
        made_word(made, b.i);
        made_word(made, b.i);
        made_word(made, 0);
        p = made_type(made, "ptr_t", BTF_KIND_TYPEDEF, 0, b.p_s);
        made_type(made, "outer", BTF_KIND_STRUCT, 6, 48);
        made_member(made, "first", b.i, 0);
        made_member(made, "", s, 4 * 8);
        made_member(made, "named", named, 16 * 8);
        made_member(made, "array", array, 24 * 8);
        made_member(made, "end", end, 36 * 8);
        made_member(made, "pointer", p, 40 * 8);
        made_type(made, "bits", BTF_KIND_STRUCT | 0x80, 2, 8);
        made_member(made, "few", b.i, 3u << 24 | 0);
        made_member(made, "whole", b.i, 32);
        for (uint32_t i = 0; i < 2; i++) {
                made_type(made, "other", BTF_KIND_STRUCT, 2, 12);
                made_member(made, "stays", b.i, 0);
                made_member(made, "moved", b.i, 32 + 32 * i);
        }
}

static void test_places(void **state)
{
        Made made;
        Opened opened;

        made_places(&made);
        made_open(&made, &opened);
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                const Place *place = &places[i];
                uint32_t offset = 0, size = 0;

                print_message("%s.%s\n", place->type, place->member);
                assert_int_equal(chargehand_blob_member(&opened.blob, place->type, place->member, &offset, &size),
                        place->result);
                if (place->result < 0)
                        continue;
                assert_int_equal(offset, place->offset);
                assert_int_equal(size, place->size);
        }
        opened_done(&opened);
}

static void test_enumerators(void **state)
{
        Made made = { .n_chars = 1 };
        Opened opened;
        int64_t value;

        made_type(&made, "item", BTF_KIND_ENUM, 2, 4);
        made_word(&made, made_string(&made, "ZERO"));
        made_word(&made, 0);
        made_word(&made, made_string(&made, "HIGH"));
        made_word(&made, 0xfffffffe);
        made_type(&made, "with_sign", BTF_KIND_ENUM | 0x80, 1, 4);
        made_word(&made, made_string(&made, "BELOW"));
        made_word(&made, 0xfffffffe);
        made_type(&made, "large", BTF_KIND_ENUM64, 1, 8);
        made_word(&made, made_string(&made, "HUGE_ONE"));
        made_word(&made, 1);
        made_word(&made, 2);
        made_open(&made, &opened);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "item", "ZERO", (void *)&value), 0);
        assert_true(value == 0);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "item", "HIGH", (void *)&value), 0);
        assert_true(value == 0xfffffffe);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "with_sign", "BELOW", (void *)&value), 0);
        assert_true(value == -2);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "large", "HUGE_ONE", (void *)&value), 0);
        assert_true(value == 0x200000001);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "item", "BELOW", (void *)&value), -ENOENT);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "none", "ZERO", (void *)&value), -ENOENT);
        opened_done(&opened);
}

/* Types that lead to themselves end in an error, not in a loop. */
static void test_circles(void **state)
{
        Made made = { .n_chars = 1 };
        Opened opened;
        char text[CHARGEHAND_BTF_TEXT];
        uint32_t offset, size, id;

        made_type(&made, "", BTF_KIND_TYPE_TAG, 0, 2);
        made_type(&made, "", BTF_KIND_TYPE_TAG, 0, 1);
        id = made_proto(&made, 1, NULL, 0);
        made_type(&made, "of_tags", BTF_KIND_FUNC, 1, id);
        id = made_proto(&made, made.n_types + 2, NULL, 0); /* returns a pointer to itself */
        made_type(&made, "", BTF_KIND_PTR, 0, id);
        made_type(&made, "of_itself", BTF_KIND_FUNC, 1, id);
        id = made_type(&made, "ring", BTF_KIND_STRUCT, 2, 8);
        made_member(&made, "", id, 0);
        made_member(&made, "", id, 0);
        made_type(&made, "far", BTF_KIND_FUNC, 1, 0xffffffff);
        made_open(&made, &opened);
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "of_tags", text), -EINVAL);
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "of_itself", text), -EINVAL);
        assert_int_equal(chargehand_blob_prototype(&opened.blob, "far", text), -EINVAL);
        assert_int_equal(chargehand_blob_member(&opened.blob, "ring", "none", &offset, &size), -EINVAL);
        opened_done(&opened);
}

/* Cut short anywhere, or with any one byte changed: refused or answered, and nothing is read outside. */
static void test_garbage(void **state)
{
        static uint8_t bytes[3 * BLOB_BYTES];
        Made made;
        size_t size;
        unsigned refused = 0;

        made_places(&made);
        size = made_bytes(&made, bytes);
        for (size_t i = 0; i < 2 * size; i++) {
                uint8_t *byte = &bytes[i % size], was = *byte;
                uint32_t offset, bytes_of;
                Opened opened;

                *byte = i < size ? was : (uint8_t)~was;
                refused += opened_init(&opened, bytes, i < size ? i : size) < 0;
                if (opened.hashes)
                        for (size_t p = 0; p < ELEMENTSOF(places); p++)
                                (void)chargehand_blob_member(&opened.blob, places[p].type, places[p].member, &offset,
                                        &bytes_of);
                opened_done(&opened);
                *byte = was;
        }
        assert_true(refused >= size); /* every shorter one */
}

/* The kernel this runs on, if it has BTF: what no kernel has otherwise. */
static void test_this_kernel(void **state)
{
        _cleanup_(freep) char *data = NULL;
        uint32_t offset = 1, size = 0;
        Opened opened;
        size_t length;
        int64_t value;

        if (read_file_at(AT_FDCWD, "/sys/kernel/btf/vmlinux", BLOB_MAX_BYTES, &data, &length) < 0)
                skip();
        assert_int_equal(opened_init(&opened, data, length), 0);
        assert_true(opened.blob.n_types > 10000);
        assert_prototype(&opened, "kallsyms_lookup_name", "unsigned long (const char *)");
        assert_int_equal(chargehand_blob_member(&opened.blob, "list_head", "prev", &offset, &size), 0);
        assert_int_equal(offset, 8);
        assert_int_equal(size, 8);
        assert_int_equal(chargehand_blob_enum(&opened.blob, "pid_type", "PIDTYPE_PID", (void *)&value), 0);
        assert_true(value == 0);
        opened_done(&opened);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_prototypes),  cmocka_unit_test(test_long_prototype),
                cmocka_unit_test(test_places),      cmocka_unit_test(test_enumerators),
                cmocka_unit_test(test_circles),     cmocka_unit_test(test_garbage),
                cmocka_unit_test(test_this_kernel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
