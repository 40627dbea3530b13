/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own name on the bus, its objects, and what is told to everybody. */

#include <stdio.h>

#include "bus.h"
#include "auth.h"
#include "error.h"
#include "names.h"
#include "util.h"

static int add_objects(sd_bus *connection, void *userdata)
{
        Bus *bus = userdata;
        int r;

        bus->bus = connection;
        r = manager_bus_add(bus);
        if (r >= 0)
                r = group_bus_add(bus);
        if (r >= 0)
                r = job_bus_add(bus);
        return r;
}

static void on_named(void *userdata)
{
        manager_tell_ready(((Bus *)userdata)->manager);
}

static void on_refused(void *userdata)
{
        manager_stop(((Bus *)userdata)->manager, EXIT_FAILURE);
}

static void on_client_gone(const char *client, void *userdata)
{
        manager_client_gone(((Bus *)userdata)->manager, client);
}

int bus_new(Manager *manager, int patient, Bus **ret, ch_error **err)
{
        Bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return error_errno(err, ENOMEM, NULL, "connecting to the bus");
        bus->manager = manager;
        r = group_bus_make_vtable(&bus->group_vtable);
        if (r >= 0) {
                LinkOptions options = {
                        .address = manager->conf->bus,
                        .name = CH_BUS_NAME,
                        .policy = "org.chargehand1.conf",
                        .clients = manager->clients,
                        .event = manager->event,
                        .add_objects = add_objects,
                        .named = on_named,
                        .refused = on_refused,
                        .client_gone = on_client_gone,
                        .userdata = bus,
                };

                r = link_new(&options, patient, &bus->link, err);
        }
        if (r < 0) {
                bus_free(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

Bus *bus_free(Bus *bus)
{
        if (!bus)
                return NULL;
        link_free(bus->link);
        free(bus->group_vtable);
        free(bus);
        return NULL;
}

int bus_is_flushed(Bus *bus)
{
        return link_is_flushed(bus->link);
}

int bus_has_name(const Bus *bus)
{
        return bus && link_has_name(bus->link);
}

void bus_emit_group(Bus *bus, const char *signal, const Group *group)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? group_bus_path(group->path) : NULL;

        if (object)
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, signal,
                                         "so", group->path, object);
}

void bus_emit_oom(Bus *bus, const Group *group, uint64_t count)
{
        if (bus_has_name(bus))
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "GroupOom", "st", group->path, count);
}

void bus_emit_strayed(Bus *bus, uint32_t pid, const char *expected, const char *found)
{
        if (bus_has_name(bus))
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "ProcessStrayed", "uss", pid, expected, found);
}

void bus_emit_claim(Bus *bus, const ClaimChange *change)
{
        if (bus_has_name(bus))
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         change->is_new ? "ClaimNew" : "ClaimRemoved", "tsts",
                                         change->id, change->group, change->bytes,
                                         claim_kind_to_string(change->kind));
}

void bus_emit_job_new(Bus *bus, const Job *job)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? job_bus_path(job->id) : NULL;

        if (object)
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, "JobNew",
                                         "uos", job->id, object, job->type);
}

void bus_emit_job_removed(Bus *bus, const Job *job)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? job_bus_path(job->id) : NULL;

        if (object)
                (void)sd_bus_emit_signal(bus->bus, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                         "JobRemoved", "uoss", job->id, object, job->type,
                                         job_state_to_string(job->state));
}
