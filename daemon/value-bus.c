/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns attribute values into D-Bus values and back. */

#include "error.h"
#include "util.h"
#include "value-bus.h"

/* A bus message cannot carry more than 128 MiB; this is what one call may set. */
#define SETTINGS_MAX 256
#define WORDS_MAX    4096

static int append_entries(sd_bus_message *message, const ch_nested *nested)
{
        int r = sd_bus_message_open_container(message, 'a', "{st}");

        for (size_t i = 0; r >= 0 && nested && i < nested->n_entries; i++)
                r = sd_bus_message_append(message, "{st}", nested->entries[i].key,
                                          nested->entries[i].value);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_nested(sd_bus_message *message, const ch_value *value)
{
        int r = sd_bus_message_open_container(message, 'a', "{sa{st}}");

        for (size_t i = 0; r >= 0 && i < value->n_nested; i++) {
                r = sd_bus_message_open_container(message, 'e', "sa{st}");
                if (r >= 0)
                        r = sd_bus_message_append(message, "s",
                                                  value->nested[i].key ? value->nested[i].key : "");
                if (r >= 0)
                        r = append_entries(message, &value->nested[i]);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_words(sd_bus_message *message, const ch_value *value)
{
        int r = sd_bus_message_open_container(message, 'a', "s");

        for (size_t i = 0; r >= 0 && i < value->n_words; i++)
                r = sd_bus_message_append(message, "s", value->words[i]);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int value_bus_append(sd_bus_message *message, const ch_attr *attr, const ch_value *value)
{
        switch (attr->type) {
        case CH_ATTR_NUMBER:
        case CH_ATTR_LIMIT:
                return sd_bus_message_append(message, "t", value->number);
        case CH_ATTR_SIGNED:
                return sd_bus_message_append(message, "x", value->snumber);
        case CH_ATTR_BOOL:
                return sd_bus_message_append(message, "b", value->number != 0);
        case CH_ATTR_ENUM:
        case CH_ATTR_TEXT:
                return sd_bus_message_append(message, "s", value->text ? value->text : "");
        case CH_ATTR_LIST:
                return append_words(message, value);
        case CH_ATTR_PAIR:
                return sd_bus_message_append(message, "(tt)", value->number, value->second);
        case CH_ATTR_FLAT:
                return append_entries(message, value->n_nested ? &value->nested[0] : NULL);
        case CH_ATTR_NESTED:
        case CH_ATTR_PSI:
                return append_nested(message, value);
        default:
                return -EINVAL;
        }
}

static int read_entries(sd_bus_message *message, ch_nested *nested)
{
        size_t allocated = 0;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{st}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "st")) > 0) {
                ch_entry *entry;
                const char *key;

                if (nested->n_entries >= WORDS_MAX)
                        return -E2BIG;
                if (array_reserve(&nested->entries, &allocated, nested->n_entries + 1,
                                  sizeof(*entry)) < 0)
                        return -ENOMEM;
                entry = &nested->entries[nested->n_entries];
                r = sd_bus_message_read(message, "st", &key, &entry->value);
                if (r < 0)
                        return r;
                entry->key = strdup(key);
                if (!entry->key)
                        return -ENOMEM;
                nested->n_entries++;
                r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_flat(sd_bus_message *message, ch_value *value)
{
        value->nested = calloc(1, sizeof(ch_nested));
        if (!value->nested)
                return -ENOMEM;
        value->n_nested = 1;
        return read_entries(message, &value->nested[0]);
}

static int read_nested(sd_bus_message *message, ch_value *value)
{
        size_t allocated = 0;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sa{st}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sa{st}")) > 0) {
                ch_nested *nested;
                const char *key;

                if (value->n_nested >= WORDS_MAX)
                        return -E2BIG;
                if (array_reserve(&value->nested, &allocated, value->n_nested + 1,
                                  sizeof(*nested)) < 0)
                        return -ENOMEM;
                nested = &value->nested[value->n_nested++];
                *nested = (ch_nested){ 0 };
                r = sd_bus_message_read(message, "s", &key);
                nested->key = r < 0 ? NULL : strdup(key);
                r = r < 0 ? r : nested->key ? read_entries(message, nested) : -ENOMEM;
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_words(sd_bus_message *message, ch_value *value)
{
        size_t allocated = 0;
        const char *word;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(message, "s", &word)) > 0) {
                if (value->n_words >= WORDS_MAX)
                        return -E2BIG;
                if (array_reserve(&value->words, &allocated, value->n_words + 1, sizeof(char *)) <
                    0)
                        return -ENOMEM;
                value->words[value->n_words] = strdup(word);
                if (!value->words[value->n_words++])
                        return -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_typed(sd_bus_message *message, const ch_attr *attr, ch_value *value)
{
        const char *text;
        int r, truth;

        value->type = attr->type;
        switch (attr->type) {
        case CH_ATTR_NUMBER:
        case CH_ATTR_LIMIT:
                return sd_bus_message_read(message, "t", &value->number);
        case CH_ATTR_SIGNED:
                return sd_bus_message_read(message, "x", &value->snumber);
        case CH_ATTR_BOOL:
                r = sd_bus_message_read(message, "b", &truth);
                value->number = r > 0 && truth;
                return r;
        case CH_ATTR_ENUM:
        case CH_ATTR_TEXT:
                r = sd_bus_message_read(message, "s", &text);
                value->text = r < 0 ? NULL : strdup(text);
                return r < 0 ? r : value->text ? 0 : -ENOMEM;
        case CH_ATTR_LIST:
                return read_words(message, value);
        case CH_ATTR_PAIR:
                return sd_bus_message_read(message, "(tt)", &value->number, &value->second);
        case CH_ATTR_FLAT:
                return read_flat(message, value);
        default:
                return read_nested(message, value);
        }
}

int value_bus_read_whole(sd_bus_message *message, const char *signature, uint64_t *ret,
                         int *ret_negative)
{
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
        } v;
        int64_t number;
        int r;

        if (strlen(signature) != 1 || !strchr("ynqiuxt", *signature))
                return -EINVAL;
        r = sd_bus_message_read_basic(message, *signature, &v);
        if (r < 0)
                return r;
        number = *signature == 'y'   ? v.y
                 : *signature == 'n' ? v.n
                 : *signature == 'q' ? v.q
                 : *signature == 'i' ? v.i
                 : *signature == 'u' ? (int64_t)v.u
                                     : v.x;
        *ret = (uint64_t)number;
        *ret_negative = *signature != 't' && number < 0;
        return 0;
}

static int read_number(sd_bus_message *message, const ch_attr *attr, const char *signature,
                       ch_value *value, ch_error **err)
{
        uint64_t number;
        int is_negative, r;

        r = value_bus_read_whole(message, signature, &number, &is_negative);
        if (r < 0)
                return r;
        value->type = attr->type;
        if (attr->type == CH_ATTR_SIGNED) {
                if (!is_negative && number > INT64_MAX)
                        return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, attr->name,
                                         "%llu is too large", (unsigned long long)number);
                value->snumber = (int64_t)number;
                return 0;
        }
        if (is_negative)
                return error_set(err, CH_ERROR_BAD_VALUE, ERANGE, attr->name, "%lld is below 0",
                                 (long long)number);
        value->number = number;
        return 0;
}

static int is_numeric(const ch_attr *attr)
{
        return attr->type == CH_ATTR_NUMBER || attr->type == CH_ATTR_LIMIT ||
               attr->type == CH_ATTR_SIGNED;
}

/* The contents of a variant that has been entered. */
static int read_contents(sd_bus_message *message, const ch_attr *attr, const char *signature,
                         ch_value *value, ch_error **err)
{
        const char *wanted = ch_attr_type_signature(attr->type), *text;
        int r;

        if (streq(signature, "s")) {
                r = sd_bus_message_read(message, "s", &text);
                return r < 0 ? r : ch_value_parse_human(attr, text, value, err);
        }
        if (is_numeric(attr) && strlen(signature) == 1 && strchr("ynqiuxt", *signature))
                r = read_number(message, attr, signature, value, err);
        else if (streq(signature, wanted))
                r = read_typed(message, attr, value);
        else
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, attr->name,
                                 "a value of D-Bus type '%s' will not do: it takes '%s', or text",
                                 signature, wanted);
        if (r == -E2BIG)
                return error_set(err, CH_ERROR_BAD_VALUE, E2BIG, attr->name, "more than %d entries",
                                 WORDS_MAX);
        return r < 0 ? r : ch_value_check(attr, value, err);
}

int value_bus_read(sd_bus_message *message, const ch_attr *attr, ch_value *ret, ch_error **err)
{
        ch_value value = CH_VALUE_INIT;
        const char *signature;
        char type;
        int r;

        r = sd_bus_message_peek_type(message, &type, &signature);
        if (r <= 0 || type != 'v')
                return r < 0 ? r : -EINVAL;
        r = sd_bus_message_enter_container(message, 'v', signature);
        if (r < 0)
                return r;
        r = read_contents(message, attr, signature, &value, err);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0) {
                ch_value_done(&value);
                return r;
        }
        *ret = value;
        return 0;
}

static const ch_attr *find_attr(const char *name, ch_error **err)
{
        const ch_attr *attr = ch_attr_find(name);
        const char *near;

        if (attr)
                return attr;
        near = ch_attr_suggest(name);
        error_set(err, CH_ERROR_UNKNOWN_ATTRIBUTE, 0, name, "no attribute of that name%s%s%s",
                  near ? "; did you mean '" : "; see chargectl help properties", near ? near : "",
                  near ? "'?" : "");
        return NULL;
}

int settings_read_one(sd_bus_message *message, const char *name, Settings *settings, ch_error **err)
{
        ch_value value = CH_VALUE_INIT;
        const ch_attr *attr;
        int r;

        attr = find_attr(name, err);
        if (!attr)
                return -ENOENT;
        for (size_t i = 0; i < settings->n; i++)
                if (settings->items[i].attr == attr)
                        return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, attr->name,
                                         "given twice");
        if (settings->n >= SETTINGS_MAX)
                return error_set(err, CH_ERROR_BAD_VALUE, E2BIG, NULL,
                                 "more than %d properties in one call", SETTINGS_MAX);
        if (array_reserve(&settings->items, &settings->allocated, settings->n + 1,
                          sizeof(ch_setting)) < 0)
                return -ENOMEM;
        r = value_bus_read(message, attr, &value, err);
        if (r < 0)
                return r;
        if (attr->flags & CH_ATTR_PLACEMENT) {
                ch_value_done(&value);
                return error_set(
                        err, CH_ERROR_READ_ONLY, 0, attr->name,
                        "moves processes or changes the tree: not a property to set; see Move");
        }
        settings->items[settings->n++] = (ch_setting){ .attr = attr, .value = value };
        return 0;
}

int settings_read(sd_bus_message *message, Settings *settings, ch_error **err)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = sd_bus_message_read(message, "s", &name);
                if (r >= 0)
                        r = settings_read_one(message, name, settings, err);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

void settings_done(Settings *settings)
{
        for (size_t i = 0; i < settings->n; i++)
                ch_value_done(&settings->items[i].value);
        free(settings->items);
        *settings = (Settings){ 0 };
}
