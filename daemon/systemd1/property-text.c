/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets as text, one line "Name value" for each property, to be kept in an extended attribute.
 *
 * A value is words in the order of its signature: numbers in decimal, bytes together in
 * hexadecimal, strings with %XX for what would not be a word; an empty word is "%". Inner arrays
 * begin with their count; the outermost goes to the end of the line.
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "path.h"
#include "property-row.h"
#include "util.h"

/* ---- to text ---- */

static void print_string(FILE *file, const char *text)
{
        (void)fputc(' ', file);
        if (!*text)
                (void)fputc('%', file);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                (void)fprintf(file, *p <= ' ' || *p == '%' || *p == 0x7f ? "%%%02x" : "%c", *p);
}

static void print_bytes(FILE *file, Cursor *cursor, size_t size)
{
        (void)fputs(size > 0 ? " " : " %", file);
        for (; size > 0; size--)
                (void)fprintf(file, "%02x", *cursor->p++);
}

static void print_any(FILE *file, const char *signature, int outermost, Cursor *cursor)
{
        size_t length = signature_first(signature);
        uint64_t n = UINT64_MAX;

        if (number_size(*signature)) {
                (void)fprintf(file, strchr("nix", *signature) ? " %" PRId64 : " %" PRIu64,
                              cursor_number(cursor, *signature));
        } else if (*signature == 'a') {
                if (!outermost)
                        n = cursor_number(cursor, 'u');
                if (signature[1] == 'y') {
                        print_bytes(file, cursor,
                                    outermost ? (size_t)(cursor->end - cursor->p) : (size_t)n);
                        return;
                }
                if (!outermost)
                        (void)fprintf(file, " %" PRIu64, n);
                for (; n > 0 && (!outermost || cursor_has(cursor)); n--)
                        print_any(file, signature + 1, 0, cursor);
        } else if (*signature == '(') {
                for (size_t i = 1; i + 1 < length; i += signature_first(signature + i))
                        print_any(file, signature + i, 0, cursor);
        } else {
                print_string(file, cursor_text(cursor));
        }
}

static void print_value(FILE *file, const Property *row, const PropertyValue *value)
{
        const char *signature = property_given(row);
        Cursor cursor = cursor_of(value);

        (void)fputs(row->name, file);
        if (property_is_number(row))
                (void)fprintf(file, strchr("nix", *signature) ? " %" PRId64 : " %" PRIu64,
                              value->number);
        else
                print_any(file, signature, 1, &cursor);
        (void)fputc('\n', file);
}

int property_set_to_text(const PropertySet *set, char **ret)
{
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);

        if (!file)
                return -ENOMEM;
        for (unsigned id = 0; id < PROP_MAX_; id++) {
                const Property *row = property_get(id);
                PropertyValue truth = { .row = (uint16_t)id };

                if (id == PROP_ADD_REF || !property_is_set(set, id))
                        continue; /* the client is gone */
                truth.number = row->bool_bit && property_get_bool(set, id);
                print_value(file, row, row->bool_bit ? &truth : property_set_find(set, id));
        }
        if (fclose(file) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

/* ---- from text ---- */

/* The next word, cut out of the line; NULL: none. */
static char *next_word(char **line)
{
        char *word = *line + strspn(*line, " ");

        if (!*word)
                return NULL;
        *line = word + strcspn(word, " ");
        if (**line)
                *(*line)++ = '\0';
        return word;
}

static int hex_byte(const char *text)
{
        char digits[3] = { text[0], text[0] ? text[1] : '\0', '\0' };

        if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
                return -EINVAL;
        return (int)strtoul(digits, NULL, 16);
}

/* A bus takes nothing else. */
static int is_utf8(const uint8_t *text)
{
        for (unsigned length; *text; text += length) {
                length = utf8_length(text);
                if (length == 0)
                        return 0;
        }
        return 1;
}

static int scan_string(const char *word, ValueBuffer *buffer)
{
        size_t begin = buffer->n;
        int r = 0;

        if (streq(word, "%"))
                word++;
        while (*word && r >= 0) {
                int byte = *word == '%' ? hex_byte(word + 1) : (unsigned char)*word;

                if (byte <= 0)
                        return -EINVAL;
                word += *word == '%' ? 3 : 1;
                r = value_put(buffer, &(char){ (char)byte }, 1);
        }
        if (r >= 0)
                r = value_put(buffer, "", 1);
        if (r >= 0 && !is_utf8(buffer->data + begin))
                r = -EINVAL;
        return r;
}

static int scan_bytes(const char *word, int outermost, ValueBuffer *buffer)
{
        size_t place = 0, begin;
        uint32_t n;
        int r = outermost ? 0 : value_put_count(buffer, &place);

        begin = buffer->n;
        if (streq(word, "%"))
                word++;
        while (r >= 0 && *word) {
                int byte = hex_byte(word);

                if (byte < 0)
                        return byte;
                r = value_put(buffer, &(uint8_t){ (uint8_t)byte }, 1);
                word += 2;
        }
        n = (uint32_t)(buffer->n - begin);
        if (r >= 0 && !outermost)
                memcpy(buffer->data + place, &n, sizeof(n));
        return r;
}

static int scan_number(const char *word, uint64_t *ret)
{
        int negative = *word == '-';
        int r = parse_u64(word + negative, ret, NULL);

        if (r >= 0 && negative)
                *ret = -*ret;
        return r;
}

static int scan_any(char **line, const char *signature, int outermost, ValueBuffer *buffer);

static int scan_array(char **line, const char *element, int outermost, ValueBuffer *buffer)
{
        uint64_t n = UINT64_MAX;
        char *word;
        int r = 0;

        if (!outermost) {
                word = next_word(line);
                r = word ? scan_number(word, &n) : -EINVAL;
                if (r >= 0 && n > PROPERTY_LISTS_MAX)
                        r = -E2BIG;
                if (r >= 0)
                        r = value_put_number(buffer, 'u', n);
        }
        for (; r >= 0 && n > 0 && (!outermost || (*line)[strspn(*line, " ")]); n--)
                r = scan_any(line, element, 0, buffer);
        return r;
}

static int scan_any(char **line, const char *signature, int outermost, ValueBuffer *buffer)
{
        size_t length = signature_first(signature);
        uint64_t number;
        char *word;
        int r = 0;

        if (*signature == 'a' && signature[1] != 'y')
                return scan_array(line, signature + 1, outermost, buffer);
        if (*signature == '(') {
                for (size_t i = 1; r >= 0 && i + 1 < length; i += signature_first(signature + i))
                        r = scan_any(line, signature + i, 0, buffer);
                return r;
        }
        word = next_word(line);
        if (!word)
                return -EINVAL;
        if (*signature == 'a')
                return scan_bytes(word, outermost, buffer);
        if (!number_size(*signature))
                return scan_string(word, buffer);
        r = scan_number(word, &number);
        return r < 0 ? r : value_put_number(buffer, *signature, number);
}

/* A line that cannot be read is passed over: an older Chargehand may have known more. */
static int scan_line(char *line, PropertySet *set)
{
        char *name = next_word(&line);
        const Property *row = name ? property_find(name) : NULL;
        PropertyValue value = { 0 };
        ValueBuffer buffer = { 0 };
        int r;

        if (!row || row->target >= 0)
                return 0;
        value.row = (uint16_t)property_id(row);
        r = scan_any(&line, property_given(row), 1, &buffer);
        if (r < 0) {
                free(buffer.data);
                return r == -ENOMEM ? r : 0;
        }
        value_finish(&buffer, property_given(row), &value);
        if (property_check(row, &value, NULL) < 0) {
                property_value_done(&value);
                return 0;
        }
        r = property_set_put(set, &value);
        if (r < 0)
                property_value_done(&value);
        return r == -ENOMEM ? r : 0;
}

int property_set_from_text(const char *text, PropertySet *ret)
{
        _cleanup_(freep) char *copy = strdup(text);
        PropertySet set = { 0 };
        int r = copy ? 0 : -ENOMEM;

        for (char *save = NULL, *line = r < 0 ? NULL : strtok_r(copy, "\n", &save); line && r >= 0;
             line = strtok_r(NULL, "\n", &save))
                r = scan_line(line, &set);
        if (r < 0)
                property_set_done(&set);
        else
                *ret = set;
        return r;
}
