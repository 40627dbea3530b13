/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of chargehand.ko: commands to /dev/chargehand, with errors that a person can act on. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "error.h"
#include "module.h"
#include "util.h"

enum {
        MAP_ROWS = 1024, /* groups times kinds in one address space: mostly a handful */
        MAP_ROWS_MAX = 65536,
};

struct ch_module {
        const ModuleOps *ops;
        void *userdata;
        uint32_t mode, kinds;
        char *reason;
};

static int device_command(void *userdata, unsigned long command, void *argument)
{
        int fd = (int)(intptr_t)userdata;

        return ioctl(fd, command, argument) < 0 ? -errno : 0;
}

static void device_close(void *userdata)
{
        (void)safe_close((int)(intptr_t)userdata);
}

static const ModuleOps device_ops = {
        .command = device_command,
        .close = device_close,
};

/* What an errno of a command means, where it is not plain; kmod/uapi/chargehand.h. */
static const struct {
        int errnum;
        ch_error_kind kind;
        const char *text;
} refusals[] = {
        { EPERM, CH_ERROR_NOT_PERMITTED,
          "needs CAP_SYS_ADMIN in the initial user namespace: ask chargehandd, or run as root of the host" },
        { ESRCH, CH_ERROR_NO_SUCH_PROCESS, "the process has exited, or has no address space" },
        { ENODEV, CH_ERROR_NO_SUCH_GROUP, "the target group is being removed" },
        { ENOENT, CH_ERROR_CONTROLLER_OFF,
          "a group has no memory controller of its own: enable it in cgroup.subtree_control of its parent" },
        { EROFS, CH_ERROR_NOT_SUPPORTED, "it is read-only, because it does not know this kernel" },
        { ENOTTY, CH_ERROR_NOT_SUPPORTED, "it knows no such command: load the module of this release" },
        { E2BIG, CH_ERROR_NOT_SUPPORTED, "it is older than this library: load the module of this release" },
};

static int refused(const ch_module *module, int r, const char *what, ch_error **err)
{
        int is_mode = r == -EROFS && *module->reason;

        for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
                if (r == -refusals[i].errnum)
                        return error_set(err, refusals[i].kind, -r, CHARGEHAND_DEVICE, "%s: %s%s%s%s", what,
                                         refusals[i].text, is_mode ? " (" : "", is_mode ? module->reason : "",
                                         is_mode ? ")" : "");
        return error_errno(err, r, CHARGEHAND_DEVICE, what);
}

_public_ int ch_module_move(ch_module *module, struct chargehand_move *move, ch_error **err)
{
        int r;

        move->size = sizeof(*move);
        r = module->ops->command(module->userdata, CHARGEHAND_IOC_MOVE, move);
        return r < 0 ? refused(module, r, "moving charges", err) : 0;
}

_public_ int ch_module_map(ch_module *module, struct chargehand_map *map, ch_error **err)
{
        int r;

        map->size = sizeof(*map);
        r = module->ops->command(module->userdata, CHARGEHAND_IOC_MAP, map);
        return r < 0 ? refused(module, r, "mapping charges", err) : 0;
}

_public_ int ch_module_info(ch_module *module, struct chargehand_info *info, ch_error **err)
{
        int r;

        info->size = sizeof(*info);
        r = module->ops->command(module->userdata, CHARGEHAND_IOC_INFO, info);
        return r < 0 ? refused(module, r, "asking for an address space", err) : 0;
}

/* What it can do is asked about ourselves, who always have an address space. */
static int ask_mode(ch_module *module, ch_error **err)
{
        struct chargehand_info info = { .pidfd = CHARGEHAND_SELF };
        int r;

        r = ch_module_info(module, &info, err);
        if (r < 0)
                return r;
        if (info.abi != CHARGEHAND_ABI)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENOTSUP, CHARGEHAND_DEVICE,
                                 "the module speaks version %u, this library version %d: install and load the module of "
                                 "this release",
                                 info.abi, CHARGEHAND_ABI);
        module->mode = info.mode;
        module->kinds = info.mode == CHARGEHAND_MODE_MOVE ? info.move_kinds : 0;
        return 0;
}

int module_new(const ModuleOps *ops, void *userdata, const char *reason, ch_module **ret, ch_error **err)
{
        _cleanup_(freep) ch_module *module = calloc(1, sizeof(*module));
        _cleanup_(freep) char *copy = strdup(reason);
        int r;

        if (!module || !copy)
                return error_errno(err, ENOMEM, CHARGEHAND_DEVICE, "open");
        module->ops = ops;
        module->userdata = userdata;
        module->reason = copy;
        r = ask_mode(module, err);
        if (r < 0)
                return r;
        (void)TAKE_PTR(copy);
        *ret = TAKE_PTR(module);
        return 0;
}

_public_ ch_module *ch_module_free(ch_module *module)
{
        if (!module)
                return NULL;
        if (module->ops->close)
                module->ops->close(module->userdata);
        free(module->reason);
        free(module);
        return NULL;
}

/* "move", or "read-only: REASON". */
static void read_reason(char *buffer, size_t size)
{
        static const char prefix[] = "read-only: ";
        char line[256];
        int has_reason;

        module_read_line("/sys", "module/chargehand/parameters/mode", line, sizeof(line));
        has_reason = strncmp(line, prefix, strlen(prefix)) == 0;
        (void)snprintf(buffer, size, "%s", has_reason ? line + strlen(prefix) : "");
}

_public_ int ch_module_open_fd(int fd, ch_module **ret, ch_error **err)
{
        char reason[256];

        read_reason(reason, sizeof(reason));
        return module_new(&device_ops, (void *)(intptr_t)fd, reason, ret, err);
}

int module_open_path(const ModulePaths *paths, ch_module **ret, ch_error **err)
{
        _cleanup_(closep) int fd = open(paths->device, O_RDWR | O_CLOEXEC);
        int r;

        if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
                return error_set(err, CH_ERROR_NOT_SUPPORTED, ENOENT, paths->device,
                                 "the module chargehand is not loaded: 'modprobe chargehand'; 'chargectl status' says more");
        if (fd < 0 && (errno == EACCES || errno == EPERM))
                return error_set(err, CH_ERROR_NOT_PERMITTED, EACCES, paths->device,
                                 "only root with CAP_SYS_ADMIN in the initial user namespace may open it: ask chargehandd");
        if (fd < 0)
                return error_errno(err, errno, paths->device, "open");
        r = ch_module_open_fd(fd, ret, err);
        if (r >= 0)
                (void)TAKE_FD(fd);
        return r;
}

_public_ int ch_module_open(ch_module **ret, ch_error **err)
{
        static const ModulePaths paths = { .device = CHARGEHAND_DEVICE };

        return module_open_path(&paths, ret, err);
}

_public_ ch_module_state ch_module_get_mode(const ch_module *module)
{
        return module->mode == CHARGEHAND_MODE_MOVE ? CH_MODULE_STATE_MOVE : CH_MODULE_STATE_READ_ONLY;
}

_public_ const char *ch_module_get_reason(const ch_module *module)
{
        return module->reason;
}

_public_ uint32_t ch_module_get_kinds(const ch_module *module)
{
        return module->kinds;
}

int module_map(ch_module *module, int pidfd, int go_on, ModuleRows *rows, ch_error **err)
{
        struct chargehand_map map = {
                .flags = CHARGEHAND_MAP_UNIQUE | (go_on ? CHARGEHAND_MAP_CONTINUE : 0),
                .pidfd = pidfd,
        };
        size_t want = MAP_ROWS;
        int r;

        do {
                if (array_reserve(&rows->items, &rows->n_allocated, want, sizeof(*rows->items)) < 0)
                        return error_errno(err, ENOMEM, CHARGEHAND_DEVICE, "mapping charges");
                map.rows = (uint64_t)(uintptr_t)rows->items;
                map.n_rows = (uint32_t)min_u64(rows->n_allocated, MAP_ROWS_MAX);
                r = module->ops->command(module->userdata, CHARGEHAND_IOC_MAP,
                                         (map.size = sizeof(map), &map));
                want = map.n_rows;
        } while (r == -ENOSPC && want > rows->n_allocated && want <= MAP_ROWS_MAX);
        if (r < 0)
                return refused(module, r, "mapping charges", err);
        rows->n = map.n_rows;
        return 0;
}

void module_rows_done(ModuleRows *rows)
{
        free(rows->items);
        *rows = (ModuleRows){ 0 };
}

static const ch_kind kinds[CHARGEHAND_KINDS] = {
        [CHARGEHAND_KIND_ANON] = CH_KIND_ANON,       [CHARGEHAND_KIND_ANON_THP] = CH_KIND_ANON_THP,
        [CHARGEHAND_KIND_SHMEM] = CH_KIND_SHMEM,     [CHARGEHAND_KIND_FILE] = CH_KIND_FILE,
        [CHARGEHAND_KIND_SWAP] = CH_KIND_SWAP,       [CHARGEHAND_KIND_KSM] = CH_KIND_ANON,
        [CHARGEHAND_KIND_HUGETLB] = CH_KIND_HUGETLB, [CHARGEHAND_KIND_OTHER] = CH_KIND_UNCHARGED,
};

ch_kind module_kind(uint32_t kind)
{
        return kind < ELEMENTSOF(kinds) ? kinds[kind] : CH_KIND_UNCHARGED;
}
