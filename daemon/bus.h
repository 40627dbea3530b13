/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_BUS_H
#define CHD_BUS_H

/* org.chargehand1 on the bus: the objects, and what is told to everybody. */

#include <systemd/sd-bus.h>

#include "claim.h"
#include "link.h"
#include "manager.h"
#include "ownership.h"

struct Bus {
        Manager *manager;
        Link *link;
        sd_bus *bus; /* of the link; to be used only while bus_has_name() */
        sd_bus_vtable *group_vtable; /* made from the attribute table, once */
};

/* Connects. Fails only here where there is no bus, and not where `patient`; later losses are mended
 * with a back-off. */
int bus_new(Manager *manager, int patient, Bus **ret, ch_error **err);
Bus *bus_free(Bus *bus);
int bus_has_name(const Bus *bus);
/* 1 when nothing is left to be sent. */
int bus_is_flushed(Bus *bus);

/* Each adds its objects to a new connection. */
int manager_bus_add(Bus *bus);
int group_bus_add(Bus *bus);
int job_bus_add(Bus *bus);
int group_bus_make_vtable(sd_bus_vtable **ret);

/* Signals; nothing happens while there is no bus. */
void bus_emit_group(Bus *bus, const char *signal, const Group *group);
void bus_emit_oom(Bus *bus, const Group *group, uint64_t count);
void bus_emit_strayed(Bus *bus, uint32_t pid, const char *expected, const char *found);
/* ownership-bus.c */
void bus_emit_owner_changed(Bus *bus, const OwnerChange *change);
void bus_emit_claim(Bus *bus, const ClaimChange *change);
void bus_emit_job_new(Bus *bus, const Job *job);
void bus_emit_job_removed(Bus *bus, const Job *job);
/* PropertiesChanged */
void group_bus_emit_changed(Bus *bus, const Group *group, uint32_t bits);
void job_bus_emit_changed(Bus *bus, const Job *job);

/* Object paths; caller frees. NULL: out of memory. */
char *group_bus_path(const char *path);
char *job_bus_path(uint32_t id);

#endif
