/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small verbs for JSON objects, so that those who build reports need not check every allocation
 * twice. */

#include <errno.h>

#include "json-build.h"

int json_add(json_object *object, const char *key, json_object *value)
{
        if (!object || !value || json_object_object_add(object, key, value) < 0) {
                (void)json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

int json_add_u64(json_object *object, const char *key, uint64_t value)
{
        return json_add(object, key, json_object_new_uint64(value));
}

int json_add_string(json_object *object, const char *key, const char *value)
{
        return json_add(object, key, json_object_new_string(value));
}

int json_add_bool(json_object *object, const char *key, int value)
{
        return json_add(object, key, json_object_new_boolean(value));
}

int json_add_limit(json_object *object, const char *key, uint64_t value)
{
        return value == UINT64_MAX ? json_add_string(object, key, "max")
                                   : json_add_u64(object, key, value);
}

int json_add_error(json_object *object, const char *key, const ch_error *error)
{
        json_object *inner = json_object_new_object();

        if (json_add(object, key, inner) < 0 ||
            json_add_string(inner, "kind", ch_error_kind_to_name(ch_error_get_kind(error))) < 0 ||
            json_add_string(inner, "path", ch_error_get_path(error)) < 0)
                return -ENOMEM;
        return json_add_string(inner, "cause", ch_error_get_cause(error));
}

json_object *json_add_array(json_object *object, const char *key)
{
        json_object *array = json_object_new_array();

        return json_add(object, key, array) < 0 ? NULL : array;
}

static json_object *append(json_object *array, json_object *value)
{
        if (!array || !value || json_object_array_add(array, value) < 0) {
                (void)json_object_put(value);
                return NULL;
        }
        return value;
}

json_object *json_append_object(json_object *array)
{
        return append(array, json_object_new_object());
}

int json_append_string(json_object *array, const char *value)
{
        return append(array, json_object_new_string(value)) ? 0 : -ENOMEM;
}

static json_object *get(json_object *object, const char *key, json_type type)
{
        json_object *value;

        if (!object || !json_object_object_get_ex(object, key, &value))
                return NULL;
        return json_object_is_type(value, type) ? value : NULL;
}

const char *json_get_string(json_object *object, const char *key)
{
        json_object *value = get(object, key, json_type_string);

        return value ? json_object_get_string(value) : NULL;
}

uint64_t json_get_u64(json_object *object, const char *key)
{
        json_object *value = get(object, key, json_type_int);

        return value ? json_object_get_uint64(value) : 0;
}

json_object *json_get_array(json_object *object, const char *key)
{
        return get(object, key, json_type_array);
}
