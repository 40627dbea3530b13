/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bus values to JSON, plain or lossless, and words of a command line to bus values. */

#include <inttypes.h>

#include "bus.h"

static int read_value(sd_bus_message *m, JsonForm form, struct json_object **ret);

static int read_basic(sd_bus_message *m, char type, struct json_object **ret)
{
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } v = { .t = 0 };
        struct json_object *value = NULL;
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r < 0)
                return r;
        switch (type) {
        case 'y': value = json_object_new_uint64(v.y); break;
        case 'b': value = json_object_new_boolean(v.b); break;
        case 'n': value = json_object_new_int64(v.n); break;
        case 'q': value = json_object_new_uint64(v.q); break;
        case 'i':
        case 'h': value = json_object_new_int64(v.i); break;
        case 'u': value = json_object_new_uint64(v.u); break;
        case 'x': value = json_object_new_int64(v.x); break;
        case 't': value = json_object_new_uint64(v.t); break;
        case 'd': value = json_object_new_double(v.d); break;
        case 's':
        case 'o':
        case 'g': value = json_object_new_string(v.s); break;
        default:
                return -EBADMSG;
        }
        if (!value)
                return -ENOMEM;
        *ret = value;
        return 0;
}

static int read_array(sd_bus_message *m, JsonForm form, struct json_object *array)
{
        int r;

        while ((r = sd_bus_message_at_end(m, 0)) == 0) {
                struct json_object *element = NULL;

                r = read_value(m, form, &element);
                if (r < 0)
                        return r;
                if (json_object_array_add(array, element) < 0) {
                        json_object_put(element);
                        return -ENOMEM;
                }
        }
        return r < 0 ? r : 0;
}

static int read_dict(sd_bus_message *m, const char *entry, JsonForm form,
                     struct json_object *object)
{
        int r;

        while ((r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
                _cleanup_(json_putp) struct json_object *key = NULL;
                struct json_object *value = NULL;

                r = read_value(m, form, &key);
                if (r >= 0)
                        r = read_value(m, form, &value);
                if (r >= 0)
                        r = jadd(object, json_object_get_string(key), value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_variant(sd_bus_message *m, const char *contents, JsonForm form,
                        struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *typed = NULL;
        struct json_object *value = NULL;
        int r;

        if (form == FORM_PLAIN)
                return read_value(m, form, ret);
        typed = json_object_new_object();
        if (!typed)
                return -ENOMEM;
        r = jadd(typed, "type", json_object_new_string(contents));
        if (r >= 0)
                r = read_value(m, form, &value);
        if (r >= 0)
                r = jadd(typed, "data", value);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(typed);
        return 0;
}

static int read_container(sd_bus_message *m, char type, const char *contents, JsonForm form,
                          struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *value = NULL;
        _cleanup_(freep) char *inner =
                strdup(contents); /* the message's own string may go on entering */
        int r;

        if (!inner)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, type, inner);
        if (r < 0)
                return r;
        if (type == 'v') {
                r = read_variant(m, inner, form, &value);
        } else if (type == 'a' && inner[0] == '{') {
                inner[strlen(inner) - 1] = '\0';
                value = json_object_new_object();
                r = value ? read_dict(m, inner + 1, form, value) : -ENOMEM;
        } else {
                value = json_object_new_array();
                r = value ? read_array(m, form, value) : -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(value);
        return 0;
}

static int read_value(sd_bus_message *m, JsonForm form, struct json_object **ret)
{
        const char *contents = NULL;
        char type = 0;
        int r = sd_bus_message_peek_type(m, &type, &contents);

        if (r < 0)
                return r;
        if (r == 0)
                return -ENODATA;
        return strchr("avr", type) ? read_container(m, type, contents, form, ret)
                                   : read_basic(m, type, ret);
}

int json_from_message(sd_bus_message *m, JsonForm form, struct json_object **ret)
{
        return read_value(m, form, ret);
}

int json_from_body(sd_bus_message *m, struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *body = json_object_new_object();
        struct json_object *data = json_object_new_array();
        int r;

        if (!body)
                return -ENOMEM;
        r = jadd(body, "type", json_object_new_string(sd_bus_message_get_signature(m, 1)));
        if (r >= 0)
                r = jadd(body, "data", data);
        if (r >= 0)
                r = read_array(m, FORM_LOSSLESS, data);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(body);
        return 0;
}

/* Length of the first complete type of a signature, 0 where there is none. */
static size_t type_length(const char *signature)
{
        char close = signature[0] == '(' ? ')' : '}';
        size_t at = 1;

        if (signature[0] == 'a') {
                size_t inner = type_length(signature + 1);

                return inner ? inner + 1 : 0;
        }
        if (signature[0] != '(' && signature[0] != '{')
                return signature[0] && strchr("ybnqiuxtdsogvh", signature[0]) ? 1 : 0;
        while (signature[at] && signature[at] != close) {
                size_t inner = type_length(signature + at);

                if (!inner)
                        return 0;
                at += inner;
        }
        return signature[at] == close ? at + 1 : 0;
}

typedef struct Words {
        char **words;
        size_t n, used;
        const char *why;
} Words;

static const char *next_word(Words *words)
{
        if (words->used < words->n)
                return words->words[words->used++];
        words->why = "values are missing";
        return NULL;
}

static int append_integer(sd_bus_message *m, char type, const char *word, Words *words)
{
        char *end = NULL;
        uint64_t number;

        errno = 0;
        number = word[0] == '-' ? (uint64_t)strtoll(word, &end, 0) : strtoull(word, &end, 0);
        if (errno || end == word || *end) {
                words->why = "not a number";
                return -EINVAL;
        }
        switch (type) { /* sd-bus reads as many bytes as the type has; little and big endian both
                           need the right member */
        case 'y': return sd_bus_message_append_basic(m, type, &(uint8_t){ (uint8_t)number });
        case 'n':
        case 'q': return sd_bus_message_append_basic(m, type, &(uint16_t){ (uint16_t)number });
        case 'i':
        case 'h':
        case 'u': return sd_bus_message_append_basic(m, type, &(uint32_t){ (uint32_t)number });
        default:  return sd_bus_message_append_basic(m, type, &number);
        }
}

static int append_basic(sd_bus_message *m, char type, Words *words)
{
        const char *word = next_word(words);

        if (!word)
                return -EINVAL;
        if (strchr("sog", type))
                return sd_bus_message_append_basic(m, type, word);
        if (type == 'd') {
                char *end = NULL;
                double number = strtod(word, &end);

                if (end == word || *end) {
                        words->why = "not a number";
                        return -EINVAL;
                }
                return sd_bus_message_append_basic(m, type, &number);
        }
        if (type == 'b') {
                int truth = streq(word, "true") || streq(word, "yes") || streq(word, "1");

                if (!truth && !streq(word, "false") && !streq(word, "no") && !streq(word, "0")) {
                        words->why = "not yes or no";
                        return -EINVAL;
                }
                return sd_bus_message_append_basic(m, type, &truth);
        }
        if (type == 'h') {
                words->why = "file descriptors cannot be given in words";
                return -EINVAL;
        }
        return append_integer(m, type, word, words);
}

static int append_types(sd_bus_message *m, const char *signature, Words *words);

static int append_container(sd_bus_message *m, char type, const char *inner, uint64_t times,
                            Words *words)
{
        int r = sd_bus_message_open_container(m, type, inner);

        for (; r >= 0 && times > 0; times--)
                r = append_types(m, inner, words);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_one(sd_bus_message *m, const char *type, Words *words)
{
        _cleanup_(freep) char *inner = NULL;
        const char *word;
        size_t length = strlen(type);

        if (length == 1 && type[0] != 'v')
                return append_basic(m, type[0], words);
        if (type[0] == '(' || type[0] == '{') {
                inner = strndup(type + 1, length - 2);
                return inner ? append_container(m, type[0] == '(' ? 'r' : 'e', inner, 1, words)
                             : -ENOMEM;
        }
        word = next_word(words); /* of an array the number of elements, of a variant its type */
        if (!word)
                return -EINVAL;
        if (type[0] == 'v') {
                if (type_length(word) == 0 || type_length(word) != strlen(word)) {
                        words->why = "a variant's value starts with its type, such as s or t";
                        return -EINVAL;
                }
                return append_container(m, 'v', word, 1, words);
        }
        if (strspn(word, "0123456789") != strlen(word) || !word[0]) {
                words->why = "an array starts with its number of elements";
                return -EINVAL;
        }
        return append_container(m, 'a', type + 1, strtoull(word, NULL, 10), words);
}

static int append_types(sd_bus_message *m, const char *signature, Words *words)
{
        while (*signature) {
                size_t length = type_length(signature);
                _cleanup_(freep) char *type = strndup(signature, length);
                int r;

                if (!type)
                        return -ENOMEM;
                if (!length) {
                        words->why = "not a D-Bus signature";
                        return -EINVAL;
                }
                r = append_one(m, type, words);
                if (r < 0)
                        return r;
                signature += length;
        }
        return 0;
}

int message_append_words(sd_bus_message *m, const char *signature, char **words, size_t n,
                         const char **ret_why)
{
        Words w = { .words = words, .n = n, .why = "a value that D-Bus does not allow" };
        int r = append_types(m, signature, &w);

        if (r >= 0 && w.used < n) {
                w.why = "more values than the signature has";
                r = -EINVAL;
        }
        *ret_why = w.why;
        return r < 0 ? r : (int)w.used;
}
