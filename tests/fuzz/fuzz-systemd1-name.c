/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of units, paths of groups and of objects: what is accepted leads there and back. */

#include <stdlib.h>

#include "../../daemon/systemd1/name.h"
#include "fuzz.h"
#include "util.h"

/* A name has a group and an object, and they have that name. */
static void there_and_back(const char *name, UnitKind kind)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(freep) char *again = NULL;
        _cleanup_(freep) char *slice = NULL;
        _cleanup_(freep) char *object = unit_name_to_object(name);
        _cleanup_(freep) char *third = NULL;

        int r = unit_name_to_group(name, kind == UNIT_SLICE ? NULL : "a-b.slice", &path);

        if (r == -ENAMETOOLONG && kind == UNIT_SLICE)
                return; /* many dashes make a deep path */
        if (r < 0 || unit_name_from_group(path, &again, &slice) < 0 || !streq(name, again))
                abort();
        if (kind != UNIT_SLICE && !streq(slice, "a-b.slice"))
                abort();
        if (!streq(path, "/") && unit_group_of_path(path) != strlen(path))
                abort();
        if (!object || unit_name_from_object(object, &third) < 0 || !streq(name, third))
                abort();
}

static void from_path(const char *text)
{
        _cleanup_(freep) char *name = NULL;
        _cleanup_(freep) char *slice = NULL;
        _cleanup_(freep) char *path = NULL;
        size_t length = unit_group_of_path(text);

        if (length > strlen(text) || (text[length] != '\0' && text[length] != '/' && length > 0))
                abort();
        if (unit_name_from_group(text, &name, &slice) < 0)
                return;
        if (unit_name_to_group(name, slice, &path) < 0 || !streq(path, text))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *text = strndup((const char *)data, size);
        _cleanup_(freep) char *name = NULL;
        _cleanup_(freep) char *parent = NULL;
        UnitKind kind;

        if (!text)
                return 0;
        if (unit_name_to_kind(text, &kind) >= 0) {
                if (!unit_name_is_valid(text))
                        abort();
                there_and_back(text, kind);
        }
        if (unit_name_parent_slice(text, &parent) >= 0 && unit_name_to_kind(parent, &kind) < 0)
                abort();
        from_path(text);
        (void)unit_name_from_object(text, &name);
        return 0;
}
