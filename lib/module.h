/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_LIB_MODULE_H
#define CH_LIB_MODULE_H

/* Inside of the module's client. The public face is include/chargehand/module.h. */

#include <chargehand/map.h>
#include <chargehand/module.h>

#include "uapi/chargehand.h"

/* Where commands go: the device, or a model of it in tests. */
typedef struct ModuleOps {
        int (*command)(void *userdata, unsigned long command, void *argument); /* 0 or -errno */
        void (*close)(void *userdata);                                         /* may be NULL */
} ModuleOps;
int module_new(const ModuleOps *ops, void *userdata, const char *reason, ch_module **ret, ch_error **err);

/* Rows of a map, in a buffer that is used again. */
typedef struct ModuleRows {
        struct chargehand_map_row *items;
        size_t n, n_allocated;
} ModuleRows;
/* Bytes of one address space by (group, kind), each page once; with `go_on` also leaving out what the map before has counted. -ESRCH:
 * gone, nothing is counted. */
int module_map(ch_module *module, int pidfd, int go_on, ModuleRows *rows, ch_error **err);
void module_rows_done(ModuleRows *rows);

/* The library's word for a kind and a reason of the module's. */
ch_kind module_kind(uint32_t kind);

/* Where module_find_status() looks. */
typedef struct ModulePaths {
        const char *device;  /* /dev/chargehand */
        const char *sys;     /* /sys */
        const char *modules; /* /lib/modules/RELEASE */
        const char *release;
} ModulePaths;
void module_find_status(const ModulePaths *paths, ch_module_status *ret);
/* The first line of a file below `sys`, without its newline; "" where there is none. */
void module_read_line(const char *sys, const char *file, char *buffer, size_t size);
int module_open_path(const ModulePaths *paths, ch_module **ret, ch_error **err);

static inline void ch_module_freep(ch_module **module)
{
        (void)ch_module_free(*module);
}

#endif
