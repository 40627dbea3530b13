/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Group paths: what is accepted can be taken apart and put together again. */

#include <stdlib.h>

#include <chargehand/tree.h>

#include "fuzz.h"
#include "path.h"
#include "util.h"

/* A good path is its parent and its last name, and has itself as common ancestor with itself. */
static void take_apart(const char *path)
{
        _cleanup_(freep) char *parent = NULL;
        _cleanup_(freep) char *again = NULL;
        _cleanup_(freep) char *lca = NULL;
        _cleanup_(freep) char *upper = NULL;

        if (path_parent(path, &parent) < 0 || path_join(parent, strrchr(path, '/') + 1, &again) < 0 ||
            ch_path_lca(path, path, &lca) < 0 || ch_path_lca(path, parent, &upper) < 0)
                abort();
        if (!streq(again, path) || !streq(lca, path) || !streq(upper, parent))
                abort();
        if (!ch_path_is_below(path, parent) || !ch_path_is_below(path, "/") ||
            ch_path_check(parent, NULL) < 0 || strstr(path, "/../"))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *path = strndup((const char *)data, size);
        ch_error *error = NULL;

        if (!path)
                return 0;
        if (ch_path_check(path, &error) >= 0)
                take_apart(path);
        else if (!*ch_error_get_cause(error))
                abort();
        ch_error_free(error);
        return 0;
}
