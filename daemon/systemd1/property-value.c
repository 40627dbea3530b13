/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values in compact form: from messages, to messages, to text and back. Any signature. */

#include <stdio.h>

#include "property-row.h"
#include "util.h"

static const struct {
        char type;
        uint8_t size;
} numbers[] = {
        { 'y', 1 },
        { 'b', 1 },
        { 'n', 2 },
        { 'q', 2 },
        { 'i', 4 },
        { 'u', 4 },
        { 'x', 8 },
        { 't', 8 },
};

size_t number_size(char type)
{
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (numbers[i].type == type)
                        return numbers[i].size;
        return 0;
}

size_t signature_first(const char *signature)
{
        unsigned depth = 0;
        size_t i = 0;

        while (signature[i] == 'a')
                i++;
        do {
                depth += signature[i] == '(';
                depth -= signature[i] == ')';
                i++;
        } while (depth > 0 && signature[i]);
        return i;
}

/* ---- cursors ---- */

int cursor_has(const Cursor *cursor)
{
        return cursor->p < cursor->end;
}

const char *cursor_text(Cursor *cursor)
{
        const char *text = (const char *)cursor->p;

        cursor->p += strlen(text) + 1;
        return text;
}

uint64_t cursor_number(Cursor *cursor, char type)
{
        size_t size = number_size(type);
        uint64_t number = 0;
        int16_t n;
        int32_t i;

        memcpy(&number, cursor->p, size); /* the low bytes; the file is no exchange format */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        number >>= 64 - 8 * size;
#endif
        if (type == 'n') {
                memcpy(&n, cursor->p, size);
                number = (uint64_t)(int64_t)n;
        } else if (type == 'i') {
                memcpy(&i, cursor->p, size);
                number = (uint64_t)(int64_t)i;
        }
        cursor->p += size;
        return number;
}

void cursor_skip(Cursor *cursor, const char *signature)
{
        size_t length = signature_first(signature);

        if (number_size(*signature)) {
                cursor->p += number_size(*signature);
        } else if (*signature == 'a') {
                for (uint64_t n = cursor_number(cursor, 'u'); n > 0; n--)
                        cursor_skip(cursor, signature + 1);
        } else if (*signature == '(') {
                for (size_t i = 1; i + 1 < length; i += signature_first(signature + i))
                        cursor_skip(cursor, signature + i);
        } else {
                (void)cursor_text(cursor);
        }
}

/* ---- writing the compact form ---- */

int value_put(ValueBuffer *buffer, const void *data, size_t size)
{
        int r;

        if (buffer->n + size > PROPERTY_LISTS_MAX)
                return -E2BIG;
        r = array_reserve(&buffer->data, &buffer->allocated, buffer->n + size, 1);
        if (r < 0)
                return r;
        memcpy(buffer->data + buffer->n, data, size);
        buffer->n += size;
        return 0;
}

int value_put_number(ValueBuffer *buffer, char type, uint64_t number)
{
        uint8_t y = (uint8_t)number;
        uint16_t q = (uint16_t)number;
        uint32_t u = (uint32_t)number;

        switch (number_size(type)) {
        case 1:
                return value_put(buffer, &y, 1);
        case 2:
                return value_put(buffer, &q, 2);
        case 4:
                return value_put(buffer, &u, 4);
        default:
                return value_put(buffer, &number, 8);
        }
}

int value_put_count(ValueBuffer *buffer, size_t *ret_place)
{
        uint32_t none = 0;

        *ret_place = buffer->n;
        return value_put(buffer, &none, sizeof(none));
}

void value_finish(ValueBuffer *buffer, const char *signature, PropertyValue *ret)
{
        Cursor cursor = { buffer->data, NULL };
        uint8_t *data;

        if (signature[1] == '\0' && number_size(*signature)) {
                ret->number = cursor_number(&cursor, *signature);
                ret->size = 0;
                free(buffer->data);
                return;
        }
        data = buffer->n > 0 ? realloc(buffer->data, buffer->n) : NULL;
        if (buffer->n == 0)
                free(buffer->data);
        ret->data = data ? data : (buffer->n > 0 ? buffer->data : NULL);
        ret->size = (uint32_t)buffer->n;
}

/* ---- from a message ---- */

static int read_any(sd_bus_message *message, const char *signature, int outermost,
                    ValueBuffer *buffer);

static int read_number(sd_bus_message *message, char type, ValueBuffer *buffer)
{
        union {
                uint8_t y;
                uint16_t q;
                uint32_t u;
                uint64_t t;
                int b;
        } value;
        uint64_t number;
        int r = sd_bus_message_read_basic(message, type, &value);

        if (r < 0)
                return r;
        if (type == 'b')
                number = value.b != 0;
        else if (number_size(type) == 1)
                number = value.y;
        else if (number_size(type) == 2)
                number = value.q;
        else
                number = number_size(type) == 4 ? value.u : value.t;
        return value_put_number(buffer, type, number);
}

static int read_array(sd_bus_message *message, const char *element, int outermost,
                      ValueBuffer *buffer)
{
        char contents[32];
        size_t length = signature_first(element), place = 0;
        uint32_t n = 0;
        int r = 0;

        if (!outermost)
                r = value_put_count(buffer, &place);
        if (r >= 0 && *element == 'y') {
                const void *bytes;
                size_t size;

                r = sd_bus_message_read_array(message, 'y', &bytes, &size);
                if (r >= 0 && size > 0)
                        r = value_put(buffer, bytes, size);
                n = r >= 0 ? (uint32_t)size : 0;
        } else if (r >= 0) {
                (void)snprintf(contents, sizeof(contents), "%.*s", (int)length, element);
                r = sd_bus_message_enter_container(message, 'a', contents);
                if (r == 0)
                        r = -ENXIO;
                while (r >= 0 && (r = sd_bus_message_at_end(message, 0)) == 0) {
                        r = read_any(message, element, 0, buffer);
                        n++;
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r >= 0 && !outermost)
                memcpy(buffer->data + place, &n, sizeof(n));
        return r;
}

static int read_struct(sd_bus_message *message, const char *signature, ValueBuffer *buffer)
{
        char contents[32];
        size_t length = signature_first(signature);
        int r;

        (void)snprintf(contents, sizeof(contents), "%.*s", (int)length - 2, signature + 1);
        r = sd_bus_message_enter_container(message, 'r', contents);
        if (r == 0)
                r = -ENXIO;
        for (size_t i = 1; r >= 0 && i + 1 < length; i += signature_first(signature + i))
                r = read_any(message, signature + i, 0, buffer);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_any(sd_bus_message *message, const char *signature, int outermost,
                    ValueBuffer *buffer)
{
        const char *text;
        int r;

        if (*signature == 'a')
                return read_array(message, signature + 1, outermost, buffer);
        if (*signature == '(')
                return read_struct(message, signature, buffer);
        if (number_size(*signature))
                return read_number(message, *signature, buffer);
        r = sd_bus_message_read_basic(message, *signature, &text);
        if (r == 0)
                r = -ENXIO;
        return r < 0 ? r : value_put(buffer, text, strlen(text) + 1);
}

int value_read(sd_bus_message *message, const char *signature, PropertyValue *ret)
{
        ValueBuffer buffer = { 0 };
        int r = read_any(message, signature, 1, &buffer);

        if (r < 0)
                free(buffer.data);
        else
                value_finish(&buffer, signature, ret);
        return r < 0 ? r : 0;
}

/* ---- to a message ---- */

static int append_number(sd_bus_message *reply, char type, uint64_t number)
{
        uint8_t y = (uint8_t)number;
        uint16_t q = (uint16_t)number;
        uint32_t u = (uint32_t)number;
        int b = number != 0;

        if (type == 'b')
                return sd_bus_message_append_basic(reply, 'b', &b);
        switch (number_size(type)) {
        case 1:
                return sd_bus_message_append_basic(reply, type, &y);
        case 2:
                return sd_bus_message_append_basic(reply, type, &q);
        case 4:
                return sd_bus_message_append_basic(reply, type, &u);
        default:
                return sd_bus_message_append_basic(reply, type, &number);
        }
}

static int append_any(sd_bus_message *reply, const char *signature, int outermost, Cursor *cursor);

static int append_array(sd_bus_message *reply, const char *element, int outermost, Cursor *cursor)
{
        char contents[32];
        uint64_t n = outermost ? UINT64_MAX : cursor_number(cursor, 'u');
        int r;

        if (*element == 'y') {
                size_t size = outermost ? (size_t)(cursor->end - cursor->p) : (size_t)n;

                r = sd_bus_message_append_array(reply, 'y', cursor->p, size);
                if (size > 0)
                        cursor->p += size;
                return r;
        }
        (void)snprintf(contents, sizeof(contents), "%.*s", (int)signature_first(element), element);
        r = sd_bus_message_open_container(reply, 'a', contents);
        for (; r >= 0 && n > 0 && (!outermost || cursor_has(cursor)); n--)
                r = append_any(reply, element, 0, cursor);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_any(sd_bus_message *reply, const char *signature, int outermost, Cursor *cursor)
{
        size_t length = signature_first(signature);
        char contents[32];
        int r;

        if (*signature == 'a')
                return append_array(reply, signature + 1, outermost, cursor);
        if (number_size(*signature))
                return append_number(reply, *signature, cursor_number(cursor, *signature));
        if (*signature != '(')
                return sd_bus_message_append_basic(reply, *signature, cursor_text(cursor));
        (void)snprintf(contents, sizeof(contents), "%.*s", (int)length - 2, signature + 1);
        r = sd_bus_message_open_container(reply, 'r', contents);
        for (size_t i = 1; r >= 0 && i + 1 < length; i += signature_first(signature + i))
                r = append_any(reply, signature + i, 0, cursor);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int value_append(sd_bus_message *reply, const char *signature, const PropertyValue *value)
{
        Cursor cursor = cursor_of(value);

        if (signature[1] == '\0' && number_size(*signature))
                return append_number(reply, *signature, value->number);
        return append_any(reply, signature, 1, &cursor);
}
