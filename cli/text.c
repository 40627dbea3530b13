/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values as a person reads them: sizes, times, users, safe text, colours. */

#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#include <chargehand/units.h>

#include "common.h"
#include "table.h"

#define COLOUR_RED    "\x1b[31m"
#define COLOUR_GREEN  "\x1b[32m"
#define COLOUR_YELLOW "\x1b[33m"
#define COLOUR_BLUE   "\x1b[34m"
#define COLOUR_BOLD   "\x1b[1m"
#define COLOUR_DIM    "\x1b[2m"
#define COLOUR_OFF    "\x1b[0m"

static const struct {
        const char *word;
        const char *colour;
} painted_words[] = {
        { "failed",       COLOUR_RED },    { "refused",     COLOUR_RED },    { "short",       COLOUR_RED },
        { "missing",      COLOUR_RED },    { "rolled back", COLOUR_YELLOW }, { "partly done", COLOUR_YELLOW },
        { "cancelled",    COLOUR_YELLOW }, { "zombie",      COLOUR_YELLOW }, { "frozen",      COLOUR_BLUE },
        { "finished",     COLOUR_GREEN },  { "moved",       COLOUR_GREEN },  { "available",   COLOUR_GREEN },
        { "running",      COLOUR_GREEN },  { "empty",       COLOUR_DIM },    { "exited",      COLOUR_DIM },
        { "already there", COLOUR_DIM },   { "returned",    COLOUR_YELLOW },
};

const char *paint_word(const Style *style, const char *word)
{
        if (style->colour)
                for (size_t i = 0; i < ELEMENTSOF(painted_words); i++)
                        if (streq(painted_words[i].word, word))
                                return painted_words[i].colour;
        return "";
}

const char *paint_bold(const Style *style)
{
        return style->colour ? COLOUR_BOLD : "";
}

const char *paint_dim(const Style *style)
{
        return style->colour ? COLOUR_DIM : "";
}

const char *paint_off(const Style *style)
{
        return style->colour ? COLOUR_OFF : "";
}

/* Length in bytes of the character at `text`, 0 where it is no valid UTF-8; its code point in *ret.
 */
static size_t utf8_next(const char *text, uint32_t *ret)
{
        static const struct {
                unsigned char mask, lead;
                uint32_t least;
        } forms[] = { { 0x80, 0x00, 0 },
                      { 0xe0, 0xc0, 0x80 },
                      { 0xf0, 0xe0, 0x800 },
                      { 0xf8, 0xf0, 0x10000 } };
        const unsigned char *at = (const unsigned char *)text;

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                uint32_t code = at[0] & (unsigned char)~forms[i].mask;

                if ((at[0] & forms[i].mask) != forms[i].lead)
                        continue;
                for (size_t j = 1; j <= i; j++) {
                        if ((at[j] & 0xc0) != 0x80)
                                return 0;
                        code = code << 6 | (at[j] & 0x3f);
                }
                if (code < forms[i].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                        return 0;
                *ret = code;
                return i + 1;
        }
        return 0;
}

int text_width(const char *text)
{
        int width = 0;

        while (*text) {
                uint32_t code = 0;
                size_t length = utf8_next(text, &code);
                int w = length ? wcwidth((wchar_t)code) : 1;

                width += w < 0 ? 1 : w;
                text += length ? length : 1;
        }
        return width;
}

char *text_escape(const char *text)
{
        char *copy = malloc(strlen(text) * 4 + 1), *to = copy;

        if (!copy)
                return NULL;
        while (*text) {
                uint32_t code = 0;
                size_t length = utf8_next(text, &code);

                if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
                        to += sprintf(to, "\\x%02x", (unsigned char)*text);
                        text += 1;
                        continue;
                }
                memcpy(to, text, length);
                to += length;
                text += length;
        }
        *to = '\0';
        return copy;
}

static char *format(const char *how, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *how, ...)
{
        char *text = NULL;
        va_list args;

        va_start(args, how);
        if (vasprintf(&text, how, args) < 0)
                text = NULL;
        va_end(args);
        return text;
}

char *format_bytes(const Style *style, uint64_t bytes)
{
        char buffer[CH_FORMAT_MAX];

        return style->raw ? format("%" PRIu64, bytes) : format("%s", ch_format_bytes(bytes, buffer));
}

char *format_usec(const Style *style, uint64_t usec)
{
        if (style->raw)
                return format("%" PRIu64, usec);
        if (usec < 1000)
                return format("%" PRIu64 " µs", usec);
        if (usec < 1000000)
                return format("%.1f ms", (double)usec / 1e3);
        if (usec < 60000000)
                return format("%.2f s", (double)usec / 1e6);
        return format("%" PRIu64 "min %" PRIu64 "s", usec / 60000000, usec / 1000000 % 60);
}

static char *format_user(const Style *style, uint64_t uid)
{
        const struct passwd *pw = style->raw || uid >= UINT32_MAX ? NULL : getpwuid((uid_t)uid);

        return pw ? text_escape(pw->pw_name) : format("%" PRIu64, uid);
}

static char *format_words(struct json_object *array)
{
        _cleanup_(freep) char *joined = NULL;
        size_t n = json_object_array_length(array), size = 0;
        FILE *f = open_memstream(&joined, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s%s", i ? " " : "",
                        json_object_get_string(json_object_array_get_idx(array, i)));
        if (fclose(f) != 0)
                return NULL;
        return size ? text_escape(joined) : strdup("-");
}

char *cell_format(const Style *style, Unit unit, struct json_object *value)
{
        const char *text;

        if (!value || json_object_is_type(value, json_type_null))
                return strdup("-");
        if (json_object_is_type(value, json_type_array) && unit == UNIT_WORDS)
                return format_words(value);
        if (json_object_is_type(value, json_type_boolean))
                return strdup(json_object_get_boolean(value) ? "yes" : "no");
        if (json_object_is_type(value, json_type_int)) {
                uint64_t number = json_object_get_uint64(value);

                switch (unit) {
                case UNIT_LIMIT:
                        return number == UINT64_MAX ? strdup("max") : format_bytes(style, number);
                case UNIT_BYTES:
                        return format_bytes(style, number);
                case UNIT_PERMYRIAD:
                        return style->raw ? format("%" PRIu64, number)
                                          : format("%.1f%%", (double)number / 100);
                case UNIT_USEC:
                        return format_usec(style, number);
                case UNIT_USER:
                        return format_user(style, number);
                default:
                        break;
                }
        }
        text = json_object_get_string(value);
        return text[0] ? text_escape(text) : strdup("-");
}
