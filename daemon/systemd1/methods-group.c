/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods that act on a unit's group as it is: put processes in, freeze, thaw. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "control.h"
#include "error.h"
#include "life.h"
#include "ownership.h"
#include "start.h"
#include "systemd1-names.h"
#include "util.h"

/* ---- AttachProcessesToUnit ---- */

typedef struct AttachCall {
        Face *face;
        char *path;  /* of the unit's group */
        char *below; /* within it, "" or "/x" */
        uint32_t owner;
        pid_t *pids, *outside;
        size_t n_pids, n_outside;
        Request *request; /* while somebody else is asked */
} AttachCall;

static void attach_call_free(void *data)
{
        AttachCall *call = data;

        free(call->path);
        free(call->below);
        free(call->pids);
        free(call->outside);
        free(call);
}

static int fail_attach(Request *request, int r)
{
        errno = -r;
        (void)sd_bus_error_set_errnof(&request->bus_error, -r,
                                      "Failed to attach processes to control group: %m");
        return r;
}

/* A caller who is not root may move what is his into what is his. */
static int check_owner(Request *request, const AttachCall *call, pid_t pid)
{
        uid_t uid;

        if (start_read_uid(pid, &uid) < 0)
                return face_fail(request, SD_BUS_ERROR_UNIX_PROCESS_ID_UNKNOWN,
                                 "Process with ID %d does not exist.", (int)pid);
        if (uid != request->uid)
                return face_fail(request, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Process %d not owned by client's UID. Refusing.", (int)pid);
        if (call->owner != request->uid)
                return face_fail(request, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Process %d not owned by target unit's UID. Refusing.", (int)pid);
        return 0;
}

/* -ENOENT where the group is not there; its cgroup.procs. */
static int open_procs(const Request *request, const AttachCall *call)
{
        _cleanup_(freep) char *path = NULL;
        ch_group *group;
        int fd, r;

        if (asprintf(&path, "%s%s", call->path, call->below) < 0)
                return -ENOMEM;
        r = ch_tree_open_group(request->manager->tree, path, &group, NULL);
        if (r < 0)
                return r == -ENODEV ? -ENOENT : r;
        fd = openat(ch_group_get_fd(group), "cgroup.procs", O_WRONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd;
        ch_group_unref(group);
        return r;
}

/* Sorted out on the way: those that somebody else has to move. */
static int write_pids(const Request *request, AttachCall *call, int procs_fd)
{
        int r = 0;

        for (size_t i = 0; i < call->n_pids; i++) {
                char text[16];
                int length = snprintf(text, sizeof(text), "%d\n", (int)call->pids[i]);

                if (!start_may_move(request->uid, call->pids[i]))
                        continue;
                if (write(procs_fd, text, (size_t)length) >= 0 || errno == ESRCH)
                        continue;
                if (call->outside && (errno == EACCES || errno == EPERM || errno == ENOENT))
                        call->outside[call->n_outside++] = call->pids[i];
                else if (r >= 0)
                        r = -errno;
        }
        ownership_look_at(request->manager->ownership, call->pids, call->n_pids);
        return r;
}

static int attach_work(Request *request)
{
        AttachCall *call = request->data;
        _cleanup_(closep) int fd = -EBADF;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < call->n_pids && !uid_is_master(request->uid); i++)
                r = check_owner(request, call, call->pids[i]);
        if (r < 0)
                return r;
        fd = open_procs(request, call);
        r = fd < 0 ? fd : write_pids(request, call, fd);
        return r < 0 ? fail_attach(request, r) : 0;
}

static void on_attached(int r, void *userdata)
{
        AttachCall *call = userdata;
        Request *request = call->request;

        call->request = NULL;
        request_resolve(request, r < 0 ? fail_attach(request, r) : request_reply(request, NULL));
}

static int attach_finish(Request *request)
{
        AttachCall *call = request->data;
        _cleanup_(freep) char *path = NULL;
        int r;

        if (call->n_outside == 0)
                return request_reply(request, NULL);
        if (asprintf(&path, "%s%s", call->path, call->below) < 0)
                return -ENOMEM;
        call->request = request;
        r = call->face->attach_outside(call->face, path, call->outside, call->n_outside,
                                       on_attached, call);
        if (r < 0)
                return fail_attach(request, r);
        request_hold(request);
        return 0;
}

/* Without slashes at the end */
static size_t length_of(const char *below)
{
        size_t length = strlen(below);

        while (length > 0 && below[length - 1] == '/')
                length--;
        return length;
}

static int check_below(Request *request, const char *below)
{
        _cleanup_(freep) char *trimmed = strndup(below, length_of(below));

        if (*below && *below != '/')
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Control group path is not absolute: %s", below);
        if (!trimmed)
                return -ENOMEM;
        if (*trimmed && ch_path_check(trimmed, NULL) < 0)
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Control group path is not normalized: %s", below);
        return 0;
}

static int check_target(Request *request, const Unit *unit)
{
        if (unit->kind != UNIT_SERVICE && !property_get_bool(&unit->properties, PROP_DELEGATE))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Process migration not available on non-delegated units.");
        if (!unit_is_active(unit))
                return face_fail(request, SD_BUS_ERROR_INVALID_ARGS,
                                 "Unit is not active, refusing.");
        return 0;
}

int method_attach_processes(Request *request)
{
        AttachCall *call = calloc(1, sizeof(*call));
        Face *face = face_of(request);
        const char *below;
        Unit *unit;
        int r;

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = attach_call_free;
        r = method_find_unit(request, &unit);
        if (r >= 0)
                r = sd_bus_message_read(request->message, "s", &below);
        if (r >= 0)
                r = check_below(request, below);
        if (r >= 0)
                r = check_target(request, unit);
        if (r >= 0)
                r = pids_read(request->message, request->client->pid, &call->pids, &call->n_pids,
                              &request->bus_error);
        if (r < 0)
                return r;
        call->face = face;
        call->owner = unit->uid;
        call->path = strdup(unit->path);
        call->below = strndup(below, length_of(below));
        if (face->attach_outside)
                call->outside = calloc(call->n_pids + 1, sizeof(pid_t));
        if (!call->path || !call->below || (face->attach_outside && !call->outside))
                return -ENOMEM;
        return request_defer(request, attach_work, attach_finish);
}

/* ---- FreezeUnit, ThawUnit: the reply comes when the kernel says that it is so ---- */

static int freezer_error(Request *request, int r)
{
        if (r == -EOPNOTSUPP || r == -ENOENT)
                return face_fail(request, SD_BUS_ERROR_NOT_SUPPORTED,
                                 "Unit does not support freeze/thaw");
        if (r == -ENODEV)
                return face_fail(request, SD1_ERROR_UNIT_INACTIVE, "Unit is not active");
        return face_fail(request, SD_BUS_ERROR_FAILED, "%s", ch_error_get_cause(request->error));
}

static int freeze_work(Request *request)
{
        int r = control_freeze(request->manager->tree, request->path, 1, request->wait_usec,
                               &request->error);

        return r < 0 ? freezer_error(request, r) : 0;
}

static int thaw_work(Request *request)
{
        int r = control_freeze(request->manager->tree, request->path, 0, request->wait_usec,
                               &request->error);

        return r < 0 ? freezer_error(request, r) : 0;
}

/* The model before the reply: who asks for FreezerState then sees it. */
static int freezer_finish(Request *request)
{
        Groups *groups = request->manager->groups;
        Group *group = groups_find(groups, request->path);
        Unit *unit = units_find_by_path(face_of(request)->units, request->path);

        if (group)
                (void)groups_refresh(groups, group);
        if (unit && request->work == freeze_work)
                unit->flags |= UNIT_FROZEN | UNIT_FREEZE;
        else if (unit)
                unit->flags &= ~(uint32_t)(UNIT_FROZEN | UNIT_FREEZE);
        return request_reply(request, NULL);
}

static int freezer(Request *request, request_func work)
{
        Unit *unit;
        int r = method_find_unit(request, &unit);

        if (r < 0)
                return r;
        if (!uid_is_master(request->uid))
                return face_fail(request, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Only root may do this, not uid %u", request->uid);
        if (unit->flags & UNIT_PERPETUAL && streq(unit->path, "/"))
                return face_fail(request, SD_BUS_ERROR_NOT_SUPPORTED,
                                 "Unit does not support freeze/thaw");
        if (work == thaw_work && unit_is_frozen_above(unit))
                return face_fail(request, SD1_BUS_NAME ".FrozenByParent",
                                 "Unit is frozen by a parent slice");
        if (unit->job)
                return face_fail(request, SD1_ERROR_UNIT_BUSY, "Unit has a pending job");
        if (!unit_is_active(unit))
                return face_fail(request, SD1_ERROR_UNIT_INACTIVE, "Unit is not active");
        free(request->path);
        request->path = strdup(unit->path);
        request->flags |= REQUEST_WAITS;
        return request->path ? request_defer(request, work, freezer_finish) : -ENOMEM;
}

int method_freeze_unit(Request *request)
{
        return freezer(request, freeze_work);
}

int method_thaw_unit(Request *request)
{
        return freezer(request, thaw_work);
}
