/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small readers and builders of JSON objects. */

#include "cli.h"

struct json_object *jget(struct json_object *object, const char *key)
{
        return json_object_is_type(object, json_type_object) ? json_object_object_get(object, key)
                                                             : NULL;
}

uint64_t jnumber(struct json_object *object, const char *key)
{
        return json_object_get_uint64(jget(object, key));
}

const char *jtext(struct json_object *object, const char *key)
{
        struct json_object *value = jget(object, key);
        const char *text = value ? json_object_get_string(value) : NULL;

        return text ? text : "";
}

int jbool(struct json_object *object, const char *key)
{
        return json_object_get_boolean(jget(object, key));
}

size_t jcount(struct json_object *object, const char *key)
{
        struct json_object *value = jget(object, key);

        return json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
}

int jadd(struct json_object *object, const char *key, struct json_object *value)
{
        if (!value)
                return -ENOMEM;
        if (json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

struct json_object *jstring(const char *text)
{
        _cleanup_(freep) char *safe = text_escape(text);

        return safe ? json_object_new_string(safe) : NULL;
}
