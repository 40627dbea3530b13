/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SetUnitProperties: only what the call named is written; what a file refuses is only logged. */

#include <fcntl.h>

#include "access.h"
#include "life.h"
#include "log.h"
#include "start.h"
#include "systemd1-names.h"
#include "util.h"

typedef struct SetCall {
        char *name;
        PropertyChanges changes;
        PropertySet set; /* a copy of all that the unit was given: the worker's */
        char *text, *path;
} SetCall;

static void set_call_free(void *data)
{
        SetCall *call = data;

        property_changes_done(&call->changes);
        property_set_done(&call->set);
        free(call->name);
        free(call->text);
        free(call->path);
        free(call);
}

/* A controller may be off because nothing was ever limited by it. */
static void enable_controllers(const FileWrites *files, ch_group *group)
{
        for (size_t i = 0; i < files->n; i++) {
                const ch_attr *attr = files->items[i].attr;

                if (!streq(attr->controller, "cgroup") &&
                    faccessat(ch_group_get_fd(group), attr->file, F_OK, 0) < 0)
                        (void)ch_group_enable_controller(group, attr->controller, NULL);
        }
}

/* Names of devices are looked up here, on the worker: a file system may not answer. */
static int write_all(const SetCall *call, ch_group *group)
{
        FileWrites files = { 0 };
        int fd = ch_group_get_fd(group);
        int r = property_file_writes(&call->set, &call->changes.set, &files);

        if (r >= 0) {
                enable_controllers(&files, group);
                (void)file_writes_apply(&files, fd, call->name);
                (void)property_attach_devices(&call->set, &call->changes.set, fd, call->name);
                if (call->text)
                        (void)unit_mark_write(fd, call->text, call->name);
        }
        file_writes_done(&files);
        return r < 0 ? r : 0;
}

static int set_work(Request *request)
{
        SetCall *call = request->data;
        ch_group *group;
        int r;

        /* a slice that is not there yet gets them when it comes; the root has no limits */
        if (streq(call->path, "/") ||
            ch_tree_open_group(request->manager->tree, call->path, &group, NULL) < 0)
                return 0;
        r = write_all(call, group);
        ch_group_unref(group);
        return r;
}

static int set_commit(Request *request)
{
        Face *face = face_of(request);
        SetCall *call = request->data;
        Unit *unit;
        int r;

        r = units_load(face->units, call->name, &unit);
        if (r < 0)
                return face_fail(request, SD1_ERROR_NO_SUCH_UNIT, "Unit %s not found.", call->name);
        if (property_set_is_empty(&call->changes.set))
                return request_reply(request, NULL);
        r = property_set_merge(&unit->properties, &call->changes);
        if (r == -E2BIG)
                return property_fail_size(&request->bus_error);
        if (r >= 0)
                r = property_set_copy(&unit->properties, &call->set);
        if (r < 0)
                return r;
        unit_changed(unit);
        call->text = unit->flags & UNIT_TRANSIENT ? start_make_text(unit) : NULL;
        call->path = strdup(unit->path);
        return call->path ? request_defer(request, set_work, request_finish_empty) : -ENOMEM;
}

/* The limits of a delegated group belong to who delegated it: one must own a group above. */
static int set_check_work(Request *request)
{
        char *slash = strrchr(request->path, '/');
        int r;

        slash[slash == request->path] = '\0';
        r = access_check_group(request->manager->tree, request->path, request->uid,
                               &request->error);
        return r < 0 ? face_deny(request) : 0;
}

int method_set_unit_properties(Request *request)
{
        SetCall *call = calloc(1, sizeof(*call));
        _cleanup_(freep) char *object = TAKE_PTR(request->path);
        const char *name = object;
        int runtime, r = 0;
        Unit *unit;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = set_call_free;
        if (!name)
                r = sd_bus_message_read(request->message, "s", &name);
        if (r < 0)
                return r;
        call->name = strdup(name);
        r = call->name ? method_load_existing(request, name, &unit) : -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_read(request->message, "b", &runtime);
        if (r >= 0)
                r = property_changes_read(request->message, unit->kind, 0, request->client->pid,
                                          &call->changes, &request->bus_error);
        if (r < 0)
                return r;
        if (uid_is_master(request->uid))
                return set_commit(request);
        request->path = strdup(unit->path);
        return request->path ? request_defer(request, set_check_work, set_commit) : -ENOMEM;
}
