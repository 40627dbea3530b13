/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values: the first byte picks the row, the rest is what the kernel or a person wrote. */

#include <stdlib.h>

#include <json-c/json.h>

#include "fuzz.h"
#include "util.h"
#include "value.h"

static void round_trip(const ch_attr *attr, const ch_value *value)
{
        _cleanup_(value_donep) ch_value again = CH_VALUE_INIT;
        _cleanup_(freep) char *text = NULL;
        struct json_object *json = NULL;

        if (ch_value_format(attr, value, &text) < 0 || ch_value_to_json(attr, value, &json) < 0)
                abort();
        json_object_put(json);
        /* what we write, we read back */
        if (ch_value_parse(attr, text, &again, NULL) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(value_donep) ch_value kernel = CH_VALUE_INIT;
        _cleanup_(value_donep) ch_value human = CH_VALUE_INIT;
        _cleanup_(freep) char *text = NULL;
        const ch_attr *attr;
        ch_error *error = NULL;

        if (size == 0)
                return 0;
        attr = ch_attr_get(data[0] % ch_attr_count());
        text = strndup((const char *)data + 1, size - 1);
        if (!text)
                return 0;
        if (ch_value_parse(attr, text, &kernel, NULL) >= 0)
                round_trip(attr, &kernel);
        if (ch_value_parse_human(attr, text, &human, &error) >= 0) {
                round_trip(attr, &human);
                if (ch_value_check(attr, &human, NULL) < 0)
                        abort();
        } else if (!*ch_error_get_cause(error)) {
                abort();
        }
        ch_error_free(error);
        return 0;
}
