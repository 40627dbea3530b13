/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A user's instance: how it comes into its subtree, and whom it asks for what it may not do. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "log.h"
#include "setup.h"
#include "systemd1-names.h"
#include "user.h"
#include "util.h"

#define LEAF      "/init.scope"
#define CALL_USEC 25000000ULL
#define ASK_ADMIN                                                                                  \
        "have the administrator set Systemd1=yes and Users= with this user in [Runtime] "          \
        "of " CONF_FILE_DEFAULT

/* ---- configuration ---- */

int user_conf_defaults(Conf *conf, ch_error **err)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        _cleanup_(freep) char *state = NULL;
        const struct {
                const char *section, *key, *value;
        } defaults[] = {
                {"Daemon",   "Mode",     "delegated"},
                { "Daemon",  "Bus",      "session"  },
                { "Runtime", "Systemd1", "yes"      },
        };
        int r = 0;

        if (geteuid() == 0)
                return error_set(err, CH_ERROR_BAD_VALUE, 0, NULL,
                                 "--user is for users: root has the system's instance");
        if (!runtime || *runtime != '/')
                return error_set(err, CH_ERROR_BAD_VALUE, 0, NULL,
                                 "XDG_RUNTIME_DIR is not set: --user needs it for its state and "
                                 "its socket (a login session sets it; else a directory of mode "
                                 "0700 that belongs to the user)");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(defaults); i++)
                r = conf_set(conf, defaults[i].section, defaults[i].key, defaults[i].value, err);
        if (r >= 0 && asprintf(&state, "%s/chargehand", runtime) < 0)
                r = -ENOMEM;
        return r < 0 ? r : conf_set(conf, "Daemon", "StateDirectory", state, err);
}

int user_conf_file(char **ret)
{
        const char *directory = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        _cleanup_(freep) char *path = NULL;
        int r;

        *ret = NULL;
        if (directory && *directory == '/')
                r = asprintf(&path, "%s/chargehand/chargehand.conf", directory);
        else if (home && *home == '/')
                r = asprintf(&path, "%s/.config/chargehand/chargehand.conf", home);
        else
                return 0;
        if (r < 0)
                return -ENOMEM;
        if (access(path, F_OK) == 0)
                *ret = TAKE_PTR(path);
        return 0;
}

/* ---- into the subtree ---- */

static int open_system_bus(sd_bus **ret, ch_error **err)
{
        const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
        sd_bus *bus = NULL;
        int r;

        address = address ? address : "unix:path=/run/dbus/system_bus_socket";
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, 1);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0) {
                *ret = bus;
                return 0;
        }
        sd_bus_close_unref(bus);
        return error_set(err, CH_ERROR_FAILED, -r, address,
                         "no connection to the system bus (%s): --user needs the system's "
                         "chargehandd on it; " ASK_ADMIN,
                         strerror(-r));
}

static int fail_call(ch_error **err, const char *unit, const sd_bus_error *error)
{
        return error_set(err, CH_ERROR_FAILED, 0, unit,
                         "the system's instance does not help (%s: %s); " ASK_ADMIN, error->name,
                         error->message);
}

static char *unit_name(void)
{
        char *name;

        return asprintf(&name, "user@%u.service", geteuid()) < 0 ? NULL : name;
}

/* Path below the cgroup2 mount that the system's instance has for us. */
static int ask_for_group(sd_bus *bus, const char *unit, char **ret, ch_error **err)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *object = unit_name_to_object(unit);
        int r;

        if (!object)
                return -ENOMEM;
        r = sd_bus_get_property_string(bus, SD1_BUS_NAME, object, SD1_SERVICE_INTERFACE,
                                       "ControlGroup", &error, ret);
        if (r < 0) {
                r = fail_call(err, unit, &error);
                sd_bus_error_free(&error);
                return r;
        }
        if (**ret != '/' || !(*ret)[1])
                return error_set(err, CH_ERROR_NO_SUCH_GROUP, 0, unit,
                                 "the system's instance has no subtree for uid %u; " ASK_ADMIN,
                                 geteuid());
        return 0;
}

static int ask_to_be_moved(sd_bus *bus, const char *unit, ch_error **err)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                               "AttachProcessesToUnit", &error, NULL, "ssau", unit, LEAF, 1,
                               (uint32_t)getpid());
        if (r < 0)
                r = fail_call(err, unit, &error);
        sd_bus_error_free(&error);
        return r;
}

/* The end of the path of the user's unit in ours: "/user.slice/…/user@1000.service", or 0. */
static size_t find_unit_in(const char *path, const char *unit)
{
        size_t size = strlen(unit);

        for (const char *at = strstr(path, unit); at; at = strstr(at + 1, unit))
                if (at > path && at[-1] == '/' && (at[size] == '/' || !at[size]))
                        return (size_t)(at - path) + size;
        return 0;
}

static int make_leaf(const char *root, ch_error **err)
{
        _cleanup_(freep) char *path = NULL;

        if (asprintf(&path, "%s" LEAF, root) < 0)
                return -ENOMEM;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return error_set(err, CH_ERROR_FAILED, errno, path,
                                 "mkdir: %s; the subtree must belong to uid %u: " ASK_ADMIN,
                                 strerror(errno), geteuid());
        return 0;
}

/* Within the subtree one may move about by oneself. */
static int move_to_leaf(const char *root, ch_error **err)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = -EBADF;

        if (asprintf(&path, "%s" LEAF "/cgroup.procs", root) < 0)
                return -ENOMEM;
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0)
                return error_errno(err, errno, path, "moving into the leaf of the subtree");
        return 0;
}

static int enter(Conf *conf, const char *unit, const char *mount, const char *own, ch_error **err)
{
        _cleanup_(freep) char *group = NULL, *root = NULL;
        size_t inside = find_unit_in(own, unit);
        sd_bus *bus = NULL;
        int r = 0;

        if (inside) {
                group = strndup(own, inside);
                r = group ? 0 : -ENOMEM;
        } else {
                r = open_system_bus(&bus, err);
                if (r >= 0)
                        r = ask_for_group(bus, unit, &group, err);
        }
        if (r >= 0 && asprintf(&root, "%s%s", mount, group) < 0)
                r = -ENOMEM;
        if (r >= 0)
                r = make_leaf(root, err);
        if (r >= 0)
                r = inside ? move_to_leaf(root, err) : ask_to_be_moved(bus, unit, err);
        if (r >= 0 && !conf->root)
                r = conf_set(conf, "Daemon", "Root", root, err);
        sd_bus_close_unref(bus);
        return r;
}

int user_enter(Conf *conf, ch_error **err)
{
        _cleanup_(freep) char *own = NULL, *unit = unit_name();
        ch_tree *mount;
        int r;

        if (!unit)
                return -ENOMEM;
        if (!conf->root && access(SYSTEMD_DIRECTORY, F_OK) == 0 &&
            access(SYSTEMD_DIRECTORY_MARK, F_OK) < 0)
                return error_set(err, CH_ERROR_FOREIGN, 0, unit,
                                 "systemd runs here and has an instance of its own for each user");
        r = ch_tree_open(NULL, 0, &mount, err);
        if (r < 0)
                return r;
        r = ch_tree_path_of_pid(mount, getpid(), &own, err);
        if (r >= 0)
                r = enter(conf, unit, ch_tree_get_root(mount), own, err);
        ch_tree_unref(mount);
        return r;
}

/* ---- processes of outside ---- */

typedef struct Asking {
        struct Asking *prev, *next;
        sd_bus_slot *slot;
        char *path;
        size_t n;
        void (*done)(int r, void *userdata);
        void *userdata;
} Asking;

static struct {
        sd_bus *bus; /* to the system's instance, once it was needed */
        Asking *first;
} outside;

static void end_asking(Asking *asking, int r)
{
        *(asking->prev ? &asking->prev->next : &outside.first) = asking->next;
        if (asking->next)
                asking->next->prev = asking->prev;
        asking->done(r, asking->userdata);
        sd_bus_slot_unref(asking->slot);
        free(asking->path);
        free(asking);
}

static int on_attached(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        Asking *asking = userdata;

        if (error)
                log_warning(
                        "%s: the system's instance did not put in %zu processes from outside of "
                        "%s: %s",
                        asking->path, asking->n, "the user's subtree", error->message);
        end_asking(asking, error ? -sd_bus_error_get_errno(error) : 0);
        return 0;
}

static int get_bus(Face *face, sd_bus **ret)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        int r;

        if (outside.bus && sd_bus_is_open(outside.bus) <= 0) { /* the system bus was restarted */
                while (outside.first)                          /* not all may have been told */
                        end_asking(outside.first, -ENOTCONN);
                outside.bus = sd_bus_close_unref(outside.bus);
        }
        if (!outside.bus) {
                r = open_system_bus(&outside.bus, &error);
                if (r < 0) {
                        (void)log_failure(LOG_WARNING, "asking the system's instance", error);
                        return r;
                }
                r = sd_bus_attach_event(outside.bus, face->manager->event,
                                        SD_EVENT_PRIORITY_NORMAL);
                if (r < 0) {
                        outside.bus = sd_bus_close_unref(outside.bus);
                        return r;
                }
        }
        *ret = outside.bus;
        return 0;
}

/* Where the group is below the user's unit, which may be above our root. */
static int path_below_unit(const Face *face, const char *path, char **ret)
{
        _cleanup_(freep) char *unit = unit_name();
        size_t size = unit ? find_unit_in(face->control_group, unit) : 0;

        if (!unit)
                return -ENOMEM;
        if (!size)
                return -EPERM;
        return asprintf(ret, "%s%s", face->control_group + size, path) < 0 ? -ENOMEM : 0;
}

static int send_call(sd_bus *bus, Asking *asking, const pid_t *pids)
{
        _cleanup_(message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, SD1_BUS_NAME, SD1_PATH,
                                           SD1_MANAGER_INTERFACE, "AttachProcessesToUnit");
        /* "" is the unit of who asks */
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", "", asking->path);
        if (r >= 0)
                r = sd_bus_message_append_array(call, 'u', pids, asking->n * sizeof(pid_t));
        return r < 0 ? r
                     : sd_bus_call_async(bus, &asking->slot, call, on_attached, asking, CALL_USEC);
}

int user_attach_outside(Face *face, const char *path, const pid_t *pids, size_t n,
                        void (*done)(int r, void *userdata), void *userdata)
{
        Asking *asking;
        sd_bus *bus = NULL;
        int r;

        r = get_bus(face, &bus);
        if (r < 0)
                return r;
        asking = calloc(1, sizeof(*asking));
        if (!asking)
                return -ENOMEM;
        *asking = (Asking){ .n = n, .done = done, .userdata = userdata };
        r = path_below_unit(face, path, &asking->path);
        if (r >= 0)
                r = send_call(bus, asking, pids);
        if (r < 0) {
                free(asking->path);
                free(asking);
                return r;
        }
        asking->next = outside.first;
        if (asking->next)
                asking->next->prev = asking;
        outside.first = asking;
        return 0;
}

void user_done(void)
{
        while (outside.first)
                end_asking(outside.first, -ECANCELED);
        outside.bus = sd_bus_close_unref(outside.bus);
}
