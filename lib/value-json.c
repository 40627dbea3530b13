/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values as plain JSON; a limit at its maximum is the string "max". */

#include <json-c/json.h>

#include "util.h"
#include "value.h"

static struct json_object *number_new(uint64_t number, int max_allowed)
{
        if (max_allowed && number == CH_LIMIT_MAX)
                return json_object_new_string("max");
        return json_object_new_uint64(number);
}

static struct json_object *entries_new(const ch_nested *nested, int max_allowed)
{
        struct json_object *object = json_object_new_object();

        for (size_t i = 0; object && nested && i < nested->n_entries; i++)
                json_object_object_add(object, nested->entries[i].key,
                                       number_new(nested->entries[i].value, max_allowed));
        return object;
}

static struct json_object *nested_new(const ch_value *value)
{
        struct json_object *object = json_object_new_object();

        for (size_t i = 0; object && i < value->n_nested; i++)
                json_object_object_add(
                        object, value->nested[i].key,
                        entries_new(&value->nested[i], value->type == CH_ATTR_NESTED));
        return object;
}

static struct json_object *list_new(const ch_value *value)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < value->n_words; i++)
                json_object_array_add(array, json_object_new_string(value->words[i]));
        return array;
}

static struct json_object *pair_new(const ch_value *value)
{
        struct json_object *array = json_object_new_array();

        if (!array)
                return NULL;
        json_object_array_add(array, number_new(value->number, 1));
        json_object_array_add(array, json_object_new_uint64(value->second));
        return array;
}

static struct json_object *value_new(const ch_attr *attr, const ch_value *value)
{
        switch (attr->type) {
        case CH_ATTR_BOOL:
                return json_object_new_boolean(value->number != 0);
        case CH_ATTR_SIGNED:
                return json_object_new_int64(value->snumber);
        case CH_ATTR_ENUM:
        case CH_ATTR_TEXT:
                return json_object_new_string(value->text ? value->text : "");
        case CH_ATTR_LIST:
                return list_new(value);
        case CH_ATTR_PAIR:
                return pair_new(value);
        case CH_ATTR_FLAT:
                return entries_new(value->n_nested ? &value->nested[0] : NULL,
                                   (attr->flags & CH_ATTR_KEYEDMAX) != 0);
        case CH_ATTR_NESTED:
        case CH_ATTR_PSI:
                return nested_new(value);
        default:
                return number_new(value->number, attr->type == CH_ATTR_LIMIT);
        }
}

_public_ int ch_value_to_json(const ch_attr *attr, const ch_value *value, struct json_object **ret)
{
        struct json_object *object = value_new(attr, value);

        if (!object)
                return -ENOMEM;
        *ret = object;
        return 0;
}
