/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed values: building, comparing, checking against their row, freeing. */

#include <inttypes.h>
#include <stdio.h>

#include "error.h"
#include "util.h"
#include "value.h"

/* Arrays grow by doubling; the size allocated follows from the number of elements. */
static int grow(void *array, size_t n, size_t element_size)
{
        void **base = array;
        void *grown;

        if (n & (n - 1) || (n > 0 && n < 4))
                return 0;
        grown = reallocarray(*base, n ? n * 2 : 4, element_size);
        if (!grown)
                return -ENOMEM;
        *base = grown;
        return 0;
}

int value_add_word(ch_value *value, const char *word, size_t length)
{
        if (grow(&value->words, value->n_words, sizeof(*value->words)) < 0)
                return -ENOMEM;
        value->words[value->n_words] = strndup(word, length);
        if (!value->words[value->n_words])
                return -ENOMEM;
        value->n_words++;
        return 0;
}

int value_add_nested(ch_value *value, const char *key, size_t length)
{
        char *copy = NULL;

        if (grow(&value->nested, value->n_nested, sizeof(*value->nested)) < 0)
                return -ENOMEM;
        if (key) {
                copy = strndup(key, length);
                if (!copy)
                        return -ENOMEM;
        }
        value->nested[value->n_nested++] = (ch_nested){ .key = copy };
        return 0;
}

int value_add_entry(ch_value *value, size_t index, const char *key, size_t length, uint64_t number)
{
        ch_nested *nested = &value->nested[index];
        char *copy;

        if (grow(&nested->entries, nested->n_entries, sizeof(*nested->entries)) < 0)
                return -ENOMEM;
        copy = strndup(key, length);
        if (!copy)
                return -ENOMEM;
        nested->entries[nested->n_entries++] = (ch_entry){ .key = copy, .value = number };
        return 0;
}

int value_init(ch_value *value, ch_attr_type type)
{
        *value = (ch_value){ .type = type };
        return type == CH_ATTR_FLAT ? value_add_nested(value, NULL, 0) : 0;
}

const ch_entry *nested_find(const ch_nested *nested, const char *key)
{
        for (size_t i = 0; i < nested->n_entries; i++)
                if (streq(nested->entries[i].key, key))
                        return &nested->entries[i];
        return NULL;
}

const ch_nested *value_find_nested(const ch_value *value, const char *key)
{
        for (size_t i = 0; i < value->n_nested; i++)
                if (value->nested[i].key && streq(value->nested[i].key, key))
                        return &value->nested[i];
        return NULL;
}

static int text_equal(const char *a, const char *b)
{
        return streq(a ? a : "", b ? b : "");
}

static int words_equal(const ch_value *a, const ch_value *b)
{
        if (a->n_words != b->n_words)
                return 0;
        for (size_t i = 0; i < a->n_words; i++)
                if (!streq(a->words[i], b->words[i]))
                        return 0;
        return 1;
}

/* The order of keys does not matter: the kernel lists devices as it pleases. */
static int entries_equal(const ch_nested *a, const ch_nested *b)
{
        if (a->n_entries != b->n_entries)
                return 0;
        for (size_t i = 0; i < a->n_entries; i++) {
                const ch_entry *other = nested_find(b, a->entries[i].key);

                if (!other || other->value != a->entries[i].value)
                        return 0;
        }
        return 1;
}

static int nested_equal(const ch_value *a, const ch_value *b)
{
        if (a->n_nested != b->n_nested)
                return 0;
        for (size_t i = 0; i < a->n_nested; i++) {
                const ch_nested *element = &a->nested[i];
                const ch_nested *other =
                        element->key ? value_find_nested(b, element->key) : &b->nested[i];

                if (!other || !entries_equal(element, other))
                        return 0;
        }
        return 1;
}

_public_ int ch_value_equal(const ch_value *a, const ch_value *b)
{
        return a->type == b->type && a->number == b->number && a->second == b->second &&
               a->snumber == b->snumber && text_equal(a->text, b->text) && words_equal(a, b) &&
               nested_equal(a, b);
}

_public_ int ch_value_flat_get(const ch_value *value, const char *key, uint64_t *ret)
{
        const ch_entry *entry = value->n_nested ? nested_find(&value->nested[0], key) : NULL;

        if (!entry)
                return -ENOENT;
        *ret = entry->value;
        return 0;
}

_public_ void ch_value_done(ch_value *value)
{
        if (!value)
                return;
        free(value->text);
        for (size_t i = 0; i < value->n_words; i++)
                free(value->words[i]);
        free(value->words);
        for (size_t i = 0; i < value->n_nested; i++) {
                for (size_t j = 0; j < value->nested[i].n_entries; j++)
                        free(value->nested[i].entries[j].key);
                free(value->nested[i].entries);
                free(value->nested[i].key);
        }
        free(value->nested);
        *value = (ch_value)CH_VALUE_INIT;
}
