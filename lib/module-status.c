/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why the kernel module can or cannot be used on this host, and the way out. */

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "error.h"
#include "module.h"
#include "util.h"

static const char *const state_words[] = {
#define WORD(id, word, doc) [CH_MODULE_STATE_##id] = word,
        CH_MODULE_STATES(WORD)
#undef WORD
};

_public_ const char *ch_module_state_to_string(ch_module_state state)
{
        return (unsigned)state < ELEMENTSOF(state_words) ? state_words[state] : "?";
}

/* The ways out of what needs no figures. */
static const char *const advices[CH_MODULE_STATE_MAX_] = {
        [CH_MODULE_STATE_READ_ONLY] =
                "moves fall back to huge pages; a newer chargehand-dkms may know this kernel, docs/kmod.md says how one is "
                "reviewed",
        [CH_MODULE_STATE_UNKNOWN] =
                "load the module of this release: 'rmmod chargehand', then 'modprobe chargehand'",
        [CH_MODULE_STATE_NOT_LOADED] =
                "'modprobe chargehand'; what it has against this kernel is in 'dmesg'",
        [CH_MODULE_STATE_REFUSED] =
                "enrol the key that DKMS signs with ('mokutil --import /var/lib/dkms/mok.pub', then reboot), then 'modprobe "
                "chargehand'; docs/kmod.md, Secure Boot",
        [CH_MODULE_STATE_ABSENT] =
                "install chargehand-dkms and the headers of this kernel; it is built for 6.1, 6.12 and 7.2. Without it moves "
                "are by huge pages",
};

void module_read_line(const char *sys, const char *file, char *buffer, size_t size)
{
        _cleanup_(freep) char *text = NULL;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s/%s", sys, file);
        *buffer = '\0';
        if (read_file_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
                return;
        text[strcspn(text, "\n")] = '\0';
        (void)snprintf(buffer, size, "%s", text);
}

/* Where DKMS, packages and people put modules. Looked at name by name: modules.dep is long, and who asks may not wait. */
static int is_installed(const ModulePaths *paths)
{
        static const char *const places[] = { "updates/dkms", "updates", "extra", "kernel/extra", "kernel/misc", "." };
        static const char *const suffixes[] = { "", ".xz", ".zst", ".gz" };
        char path[256];

        for (size_t i = 0; i < ELEMENTSOF(places) * ELEMENTSOF(suffixes); i++) {
                (void)snprintf(path, sizeof(path), "%s/%s/chargehand.ko%s", paths->modules,
                               places[i / ELEMENTSOF(suffixes)], suffixes[i % ELEMENTSOF(suffixes)]);
                if (access(path, F_OK) == 0)
                        return 1;
        }
        return 0;
}

/* Does the kernel take signed modules only? Fills in what makes it so. */
static int wants_signature(const ModulePaths *paths, char *reason, size_t size)
{
        char enforce[64], lockdown[128], *word;

        module_read_line(paths->sys, "module/module/parameters/sig_enforce", enforce, sizeof(enforce));
        if (*enforce == 'Y' || *enforce == '1') {
                (void)snprintf(reason, size, "module.sig_enforce is on: an unsigned module is refused (%s)",
                               "Key was rejected by service");
                return 1;
        }
        module_read_line(paths->sys, "kernel/security/lockdown", lockdown, sizeof(lockdown));
        word = strchr(lockdown, '[');
        if (!word || strncmp(word, "[none]", 6) == 0)
                return 0;
        (void)snprintf(reason, size, "kernel lockdown is '%.*s': an unsigned module is refused (Operation not permitted)",
                       (int)strcspn(word + 1, "]"), word + 1);
        return 1;
}

static void find_unloaded(const ModulePaths *paths, ch_module_status *ret)
{
        if (!is_installed(paths)) {
                ret->state = CH_MODULE_STATE_ABSENT;
                (void)snprintf(ret->reason, sizeof(ret->reason), "no chargehand.ko in %s", paths->modules);
                return;
        }
        ret->state = wants_signature(paths, ret->reason, sizeof(ret->reason)) ? CH_MODULE_STATE_REFUSED
                                                                               : CH_MODULE_STATE_NOT_LOADED;
}

static void find_unusable(const ModulePaths *paths, int r, const ch_error *error, ch_module_status *ret)
{
        ret->state = r == -ENOTSUP || r == -ENOTTY || r == -E2BIG ? CH_MODULE_STATE_UNKNOWN
                                                                    : CH_MODULE_STATE_NO_ACCESS;
        (void)snprintf(ret->reason, sizeof(ret->reason), "%s: %s", paths->device,
                       r == -ENOENT ? "there is no such device file" : ch_error_get_cause(error));
        if (ret->state == CH_MODULE_STATE_NO_ACCESS)
                (void)snprintf(ret->advice, sizeof(ret->advice), "%s",
                               r == -ENOENT ? "mount devtmpfs on /dev, or let udev make it; in a container, pass the device in"
                                            : "run chargehandd as root of the host, with CAP_SYS_ADMIN");
}

void module_find_status(const ModulePaths *paths, ch_module_status *ret)
{
        _cleanup_(ch_module_freep) ch_module *module = NULL;
        _cleanup_(error_freep) ch_error *error = NULL;
        char path[256];
        int r;

        *ret = (ch_module_status){ 0 };
        r = module_open_path(paths, &module, &error);
        (void)snprintf(path, sizeof(path), "%s/module/chargehand", paths->sys);
        if (r >= 0) {
                ret->state = ch_module_get_mode(module);
                (void)snprintf(ret->reason, sizeof(ret->reason), "%s", ch_module_get_reason(module));
        } else if (access(path, F_OK) < 0 && r == -ENOENT) {
                find_unloaded(paths, ret);
        } else {
                find_unusable(paths, r, error, ret);
        }
        if (!*ret->advice && advices[ret->state])
                (void)snprintf(ret->advice, sizeof(ret->advice), "%s", advices[ret->state]);
}

_public_ void ch_module_get_status(ch_module_status *ret)
{
        ModulePaths paths = { .device = CHARGEHAND_DEVICE, .sys = "/sys" };
        char modules[128];
        struct utsname name;

        if (uname(&name) < 0)
                name.release[0] = '\0';
        (void)snprintf(modules, sizeof(modules), "/lib/modules/%s", name.release);
        paths.modules = modules;
        module_find_status(&paths, ret);
}

_public_ int ch_module_status_to_json(const ch_module_status *status, struct json_object **ret)
{
        struct json_object *object = json_object_new_object();

        if (!object)
                return -ENOMEM;
        json_object_object_add(object, "state", json_object_new_string(ch_module_state_to_string(status->state)));
        json_object_object_add(object, "reason", json_object_new_string(status->reason));
        json_object_object_add(object, "advice", json_object_new_string(status->advice));
        *ret = object;
        return 0;
}
