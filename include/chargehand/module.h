/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_MODULE_H
#define CHARGEHAND_MODULE_H

/*
 * The client of the kernel module chargehand.ko: what /dev/chargehand can do, and why it is not there where it is not.
 *
 * Plans, moves and charge maps use the module by themselves: they open the device when they need it and close it with the object, so that
 * rmmod works whenever none is under way. This is for callers that want to hold the device themselves (it was opened for them by someone
 * with the right to it), to ask it for something else, or to tell people about it. The commands, their structs and their errors are
 * specified in kmod/uapi/chargehand.h, installed as <chargehand/uapi/chargehand.h>.
 *
 * Thread rule: one thread at a time per handle.
 */

#include <stdint.h>

#include <chargehand/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;
struct chargehand_move;
struct chargehand_map;
struct chargehand_info;
typedef struct ch_module ch_module;

/*   id           word             what it means */
#define CH_MODULE_STATES(X)                                                                        \
        X(MOVE,       "move",          "it is loaded, moves charges and maps them")                \
        X(READ_ONLY,  "read-only",     "it is loaded and maps charges, but moves none: it does not know this kernel well enough") \
        X(NO_ACCESS,  "no access",     "it is loaded, but its device cannot be used from here")    \
        X(UNKNOWN,    "unknown version", "it is loaded, and speaks another version than this library") \
        X(NOT_LOADED, "not loaded",    "it is installed for this kernel, and not loaded")          \
        X(REFUSED,    "refused",       "it is installed, and this kernel takes modules only that are signed by a key it trusts") \
        X(ABSENT,     "not installed", "it is not installed for this kernel")

typedef enum ch_module_state {
#define CH_MODULE_STATE_ENUM_(id, word, doc) CH_MODULE_STATE_##id,
        CH_MODULE_STATES(CH_MODULE_STATE_ENUM_)
#undef CH_MODULE_STATE_ENUM_
        CH_MODULE_STATE_MAX_
} ch_module_state;
const char *ch_module_state_to_string(ch_module_state state);

/*
 * Open the device and ask what it can do. -ENOENT not there (not loaded), -EACCES no right to it (root with CAP_SYS_ADMIN in the initial
 * user namespace), -ENOTSUP another version; the error says which of them, and the way out. While a handle is
 * open the module cannot be unloaded. Does not block.
 */
int ch_module_open(ch_module **ret, ch_error **err);
/* The same on an open file of the device, which is taken over on success. */
int ch_module_open_fd(int fd, ch_module **ret, ch_error **err);
ch_module *ch_module_free(ch_module *module);

ch_module_state ch_module_get_mode(const ch_module *module); /* MOVE or READ_ONLY */
/* Why it is read-only, as the module itself says (/sys/module/chargehand/parameters/mode); "" where it is not, or that cannot be read. Owned
 * by the handle. */
const char *ch_module_get_reason(const ch_module *module);
uint32_t ch_module_get_kinds(const ch_module *module); /* bits of what it moves: CHARGEHAND_KIND_BIT(); 0 when read-only */

/*
 * The three commands, as kmod/uapi/chargehand.h has them; `size` is filled in by these functions, everything else by the caller. 0, or the
 * errno there, negative: NotPermitted, NoSuchProcess, NoSuchGroup, ControllerOff (-ENOENT), NotSupported
 * (-EROFS, -ENOTTY), BadValue. -EINTR of a move is an ordinary result: [out] is filled.
 * Block as long as the command takes: give `max_nsec` to a move.
 */
int ch_module_move(ch_module *module, struct chargehand_move *move, ch_error **err);
int ch_module_map(ch_module *module, struct chargehand_map *map, ch_error **err);
int ch_module_info(ch_module *module, struct chargehand_info *info, ch_error **err);

typedef struct ch_module_status {
        ch_module_state state;
        char reason[256];       /* what the module or the kernel says; may be empty */
        char advice[320];       /* the way out; empty where nothing is amiss */
} ch_module_status;
/* What is the matter with the module on this host; opens the device for a moment. Reads some files of /sys and /lib/modules; never
 * fails. */
void ch_module_get_status(ch_module_status *ret);
/* {state, reason, advice} */
int ch_module_status_to_json(const ch_module_status *status, struct json_object **ret);

#ifdef __cplusplus
}
#endif
#endif
