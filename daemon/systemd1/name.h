/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_SYSTEMD1_NAME_H
#define CHD_SYSTEMD1_NAME_H

/* Names of units, their object paths, and the groups that belong to them. Pure functions. */

#include <stddef.h>

typedef enum UnitKind { UNIT_SCOPE, UNIT_SLICE, UNIT_SERVICE, UNIT_KIND_MAX_ } UnitKind;
const char *unit_kind_to_string(UnitKind kind); /* "scope" */

/* 1 for a name of at most 255 bytes of [0-9A-Za-z:_.\-@] with any suffix that the original knows
 * (.scope, .slice, .service, .timer, …); an instance only in the place where one may be. */
int unit_name_is_valid(const char *name);
/* Of the kinds that there are here; -EOPNOTSUPP: a unit type that does not exist here, -EINVAL: no
 * unit name; for slices also: no leading, trailing or double dash. */
int unit_name_to_kind(const char *name, UnitKind *ret);
/* The slice above a slice: "a-b.slice" → "a.slice" → "-.slice" → NULL (-ENOENT). Caller frees. */
int unit_name_parent_slice(const char *name, char **ret);
/* Directory of a unit within its slice: "_" before names that cgroupfs would take for its own. */
int unit_name_to_directory(const char *name, char **ret);
/* Group path within the tree: "a-b.slice" → "/a.slice/a-b.slice", "-.slice" → "/";
 * for others `slice` is the slice's name: "/a.slice/a-b.slice/x.scope". -ENAMETOOLONG: slices nest so
 * deep that the path has more than 4,095 bytes. Caller frees. */
int unit_name_to_group(const char *name, const char *slice, char **ret);
/* The other way: name of the unit whose group `path` is, and of its slice (may be NULL); -ENOENT where
 * the path is no unit's own group (its slices must nest as their names say). Caller frees both. */
int unit_name_from_group(const char *path, char **ret_name, char **ret_slice);
/* The deepest group on the way of `path` that is a unit's own: "/a.slice/x.scope/container" →
 * length of "/a.slice/x.scope"; 0: none but the root. */
size_t unit_group_of_path(const char *path);

/* "/org/freedesktop/systemd1/unit/" + the name, every byte but [A-Za-z0-9] and a leading digit as
 * _xx. Caller frees; NULL: out of memory. */
char *unit_name_to_object(const char *name);
/* From the whole object path; -EINVAL. Caller frees. */
int unit_name_from_object(const char *object, char **ret);

#endif
