/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_JSON_BUILD_H
#define CH_JSON_BUILD_H

/* Building and reading JSON objects. What is added is always consumed: 0 or -ENOMEM, NULL objects
 * included. */

#include <stdint.h>

#include <json-c/json.h>

#include <chargehand/error.h>

int json_add(json_object *object, const char *key, json_object *value);
int json_add_u64(json_object *object, const char *key, uint64_t value);
int json_add_string(json_object *object, const char *key, const char *value);
int json_add_bool(json_object *object, const char *key, int value);
/* UINT64_MAX is the string "max". */
int json_add_limit(json_object *object, const char *key, uint64_t value);
/* {kind, path, cause} */
int json_add_error(json_object *object, const char *key, const ch_error *error);
/* A new array or object inside; owned by the parent, NULL out of memory. */
json_object *json_add_array(json_object *object, const char *key);
json_object *json_append_object(json_object *array);
int json_append_string(json_object *array, const char *value);

/* NULL, 0 where it is absent or of another type. */
const char *json_get_string(json_object *object, const char *key);
uint64_t json_get_u64(json_object *object, const char *key);
json_object *json_get_array(json_object *object, const char *key);

static inline void json_putp(json_object **object)
{
        (void)json_object_put(*object);
}

#endif
