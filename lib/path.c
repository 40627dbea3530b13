/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Group paths: what is one, ancestors, the lowest common ancestor. Pure text, no files. */

#include <stdio.h>
#include <string.h>

#include <chargehand/tree.h>

#include "error.h"
#include "path.h"
#include "util.h"

enum { PATH_MAX_BYTES = 4095, COMPONENT_MAX_BYTES = 255 };

unsigned utf8_length(const unsigned char *p)
{
        static const struct {
                unsigned char mask, lead; /* of the first byte */
                unsigned char low, high;  /* of the second */
                unsigned char length;
        } forms[] = {
                { 0xff, 0xe0, 0xa0, 0xbf, 3 }, { 0xff, 0xed, 0x80, 0x9f, 3 },
                { 0xf0, 0xe0, 0x80, 0xbf, 3 }, { 0xff, 0xf0, 0x90, 0xbf, 4 },
                { 0xff, 0xf4, 0x80, 0x8f, 4 }, { 0xfc, 0xf0, 0x80, 0xbf, 4 },
                { 0xe0, 0xc0, 0x80, 0xbf, 2 },
        };

        if (p[0] < 0x80)
                return 1;
        if (p[0] < 0xc2)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                if ((p[0] & forms[i].mask) != forms[i].lead)
                        continue;
                if (p[1] < forms[i].low || p[1] > forms[i].high)
                        return 0;
                for (unsigned j = 2; j < forms[i].length; j++)
                        if ((p[j] & 0xc0) != 0x80)
                                return 0;
                return forms[i].length;
        }
        return 0;
}

static int check_text(const char *path, ch_error **err)
{
        const unsigned char *p = (const unsigned char *)path;

        while (*p) {
                unsigned length = utf8_length(p);

                if (length == 0)
                        return error_set(err, CH_ERROR_BAD_PATH, EINVAL, NULL,
                                         "a group path must be valid UTF-8; byte %zu is not",
                                         (size_t)(p - (const unsigned char *)path));
                if (*p < ' ' || *p == 0x7f)
                        return error_set(
                                err, CH_ERROR_BAD_PATH, EINVAL, NULL,
                                "a group path must not have control characters; byte %zu is one",
                                (size_t)(p - (const unsigned char *)path));
                p += length;
        }
        return 0;
}

/* Interface files are CONTROLLER.NAME: a later kernel may want the name. */
int path_is_reserved(const char *component, size_t length)
{
        const char *dot = memchr(component, '.', length);
        size_t prefix = dot ? (size_t)(dot - component) + 1 : 0;

        for (size_t i = 0; prefix > 1 && i < ch_attr_count(); i++)
                if (strncmp(ch_attr_get(i)->file, component, prefix) == 0)
                        return 1;
        return 0;
}

static int check_component(const char *path, const char *component, size_t length, ch_error **err)
{
        int shown = (int)min_u64(length, 60);

        if (length == 0)
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, path,
                                 "a group path must not have '//' or end in '/'");
        if (length == 1 && component[0] == '.')
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, path,
                                 "a group path must not have '.'");
        if (length == 2 && component[0] == '.' && component[1] == '.')
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, path,
                                 "a group path must not have '..': give the path from the root, "
                                 "such as /web/api");
        if (length > COMPONENT_MAX_BYTES)
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, path,
                                 "'%.*s…' is %zu bytes long; a name has at most %d", shown,
                                 component, length, COMPONENT_MAX_BYTES);
        if (path_is_reserved(component, length))
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, path,
                                 "'%.*s' is reserved: names beginning with a controller and a dot "
                                 "belong to the kernel",
                                 shown, component);
        return 0;
}

_public_ int ch_path_check(const char *path, ch_error **err)
{
        size_t length = path ? strlen(path) : 0;
        int r;

        if (length == 0)
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, NULL,
                                 "a group path must not be empty; the root is /");
        if (length > PATH_MAX_BYTES)
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, NULL,
                                 "a group path of %zu bytes is too long; at most %d", length,
                                 PATH_MAX_BYTES);
        r = check_text(path, err);
        if (r < 0)
                return r;
        if (path[0] != '/')
                return error_set(err, CH_ERROR_BAD_PATH, EINVAL, path,
                                 "a group path begins with '/', such as /%.60s", path);
        if (length == 1)
                return 0;
        for (const char *p = path; *p;) {
                size_t n = strcspn(p + 1, "/");

                r = check_component(path, p + 1, n, err);
                if (r < 0)
                        return r;
                p += n + 1;
        }
        return 0;
}

_public_ int ch_path_is_below(const char *path, const char *ancestor)
{
        size_t length = strlen(ancestor);

        if (streq(ancestor, "/"))
                return path[0] == '/';
        return strncmp(path, ancestor, length) == 0 &&
               (path[length] == '\0' || path[length] == '/');
}

_public_ int ch_path_lca(const char *a, const char *b, char **ret)
{
        size_t common = 0;
        char *copy;

        for (size_t i = 0;; i++) {
                int a_ends = a[i] == '/' || a[i] == '\0';
                int b_ends = b[i] == '/' || b[i] == '\0';

                if (a_ends && b_ends)
                        common = i;
                if (a[i] != b[i] || a[i] == '\0')
                        break;
        }
        copy = common ? strndup(a, common) : strdup("/");
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int path_parent(const char *path, char **ret)
{
        const char *slash = strrchr(path, '/');
        char *copy = slash && slash != path ? strndup(path, (size_t)(slash - path)) : strdup("/");

        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int path_join(const char *parent, const char *name, char **ret)
{
        return asprintf(ret, "%s/%s", streq(parent, "/") ? "" : parent, name) < 0 ? -ENOMEM : 0;
}
