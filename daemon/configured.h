/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CONFIGURED_H
#define CHD_CONFIGURED_H

/* The groups of the configuration: made and set at start and on reload, on a worker since limits
 * may reclaim. */

#include "manager.h"

typedef struct Configured {
        Conf *conf; /* a reference */
        ch_tree *tree;
        uint64_t serial; /* of its making: an outdated one is not applied any further */
        char **warnings; /* a group that could not be made or set */
        size_t n_warnings, warnings_allocated;
} Configured;

int configured_new(Manager *manager, Configured **ret);
Configured *configured_free(Configured *configured);
/* On a worker. A group that fails is a warning. */
int configured_apply(Configured *configured);
/* On the loop: the model is told, warnings are logged. */
void configured_finish(Manager *manager, Configured *configured);
/* All of this by itself; `done` is called on the loop. */
int configured_start(Manager *manager, void (*done)(Manager *manager));

#endif
