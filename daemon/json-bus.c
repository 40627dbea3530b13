/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns JSON objects into D-Bus variants. */

#include <json-c/json.h>

#include "json-bus.h"
#include "util.h"

static int append_variant(sd_bus_message *message, json_object *value);

int json_bus_append_entries(sd_bus_message *message, json_object *object)
{
        int r = 0;

        json_object_object_foreach(object, key, value)
        {
                if (!value)
                        continue;
                r = sd_bus_message_open_container(message, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(message, "s", key);
                if (r >= 0)
                        r = append_variant(message, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
                if (r < 0)
                        return r;
        }
        return r;
}

int json_bus_append(sd_bus_message *message, json_object *object)
{
        int r;

        if (object && !json_object_is_type(object, json_type_object))
                return -EINVAL;
        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0 && object)
                r = json_bus_append_entries(message, object);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int all_of(json_object *array, json_type type)
{
        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (!json_object_is_type(json_object_array_get_idx(array, i), type))
                        return 0;
        return 1;
}

static int append_element(sd_bus_message *message, json_object *element, const char *contents)
{
        if (*contents == 's')
                return sd_bus_message_append(message, "s", json_object_get_string(element));
        if (*contents == 'a')
                return json_bus_append(message, element);
        return append_variant(message, element);
}

static int append_array(sd_bus_message *message, json_object *array)
{
        const char *contents = all_of(array, json_type_string)   ? "s"
                               : all_of(array, json_type_object) ? "a{sv}"
                                                                 : "v";
        char signature[8] = "a";
        int r;

        strcat(signature, contents);
        r = sd_bus_message_open_container(message, 'v', signature);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', contents);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(array); i++) {
                json_object *element = json_object_array_get_idx(array, i);

                if (element)
                        r = append_element(message, element, contents);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_integer(sd_bus_message *message, json_object *value)
{
        int64_t number = json_object_get_int64(value);

        /* above INT64_MAX json-c keeps an unsigned one, and get_int64 clips it */
        if (number < 0)
                return sd_bus_message_append(message, "v", "x", number);
        return sd_bus_message_append(message, "v", "t", json_object_get_uint64(value));
}

static int append_variant(sd_bus_message *message, json_object *value)
{
        int r;

        switch (json_object_get_type(value)) {
        case json_type_object:
                r = sd_bus_message_open_container(message, 'v', "a{sv}");
                if (r >= 0)
                        r = json_bus_append(message, value);
                return r < 0 ? r : sd_bus_message_close_container(message);
        case json_type_array:
                return append_array(message, value);
        case json_type_int:
                return append_integer(message, value);
        case json_type_boolean:
                return sd_bus_message_append(message, "v", "b", json_object_get_boolean(value));
        case json_type_double:
                return sd_bus_message_append(message, "v", "d", json_object_get_double(value));
        default:
                return sd_bus_message_append(message, "v", "s", json_object_get_string(value));
        }
}
