/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.chargehand1.Job: one object per job. */

#include <stdio.h>

#include "bus.h"
#include "json-bus.h"
#include "methods.h"
#include "names.h"

char *job_bus_path(uint32_t id)
{
        char *path;

        return asprintf(&path, CH_BUS_JOB_PREFIX "/%u", id) < 0 ? NULL : path;
}

/* The object's job; NULL for other paths below the prefix. */
static Job *job_of_path(const Bus *bus, const char *path)
{
        uint64_t id;

        if (strncmp(path, CH_BUS_JOB_PREFIX "/", strlen(CH_BUS_JOB_PREFIX) + 1) != 0 ||
            parse_u64(path + strlen(CH_BUS_JOB_PREFIX) + 1, &id, NULL) < 0 || id > UINT32_MAX)
                return NULL;
        return jobs_get(bus->manager->jobs, (uint32_t)id);
}

static int find_job(sd_bus *connection, const char *path, const char *interface, void *userdata,
                    void **ret, sd_bus_error *error)
{
        *ret = job_of_path(userdata, path);
        return *ret != NULL;
}

/* Before the vtable: a job that is unknown or forgotten says so. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *path = sd_bus_message_get_path(message);

        if (streq(path, CH_BUS_JOB_PREFIX) || job_of_path(userdata, path) ||
            sd_bus_message_is_method_call(message, NULL, NULL) <= 0)
                return 0;
        (void)sd_bus_reply_method_errorf(message, CH_BUS_ERROR_PREFIX "NoSuchJob",
                                         "%s: there is no such job, or it ended long ago", path);
        return 1;
}

static int on_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Job *job = userdata;
        char id[16];

        snprintf(id, sizeof(id), "%u", job->id);
        return request_start(job->jobs->options.observer.userdata, message, method_cancel_job, id);
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Job *job = userdata;
        const char *text = streq(property, "Type")    ? job->type
                           : streq(property, "Group") ? job->group
                           : streq(property, "Step")
                                   ? ch_step_to_string((ch_step)atomic_load(&job->step))
                                   : job_state_to_string(job->state);

        return sd_bus_message_append(reply, "s", text);
}

static int get_id(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Job *job = userdata;

        return sd_bus_message_append(reply, "u", streq(property, "Id") ? job->id : job->uid);
}

static int get_bytes(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Job *job = userdata;
        uint64_t bytes = streq(property, "BytesDone") ? atomic_load(&job->bytes_done)
                                                      : atomic_load(&job->bytes_total);

        return sd_bus_message_append(reply, "t", bytes);
}

/* The worker writes the result until the job has ended. */
static int get_result(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Job *job = userdata;

        return json_bus_append(reply, job_state_is_end(job->state) ? job->result : NULL);
}

/* clang-format off */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Cancel", NULL, NULL, on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Group", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Step", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("BytesDone", "t", get_bytes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("BytesTotal", "t", get_bytes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Uid", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Result", "a{sv}", get_result, 0, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        SD_BUS_VTABLE_END
};
/* clang-format on */

void job_bus_emit_changed(Bus *bus, const Job *job)
{
        _cleanup_(freep) char *object = bus_has_name(bus) ? job_bus_path(job->id) : NULL;

        if (!object)
                return;
        if (job_state_is_end(job->state))
                (void)sd_bus_emit_properties_changed(bus->bus, object, CH_BUS_JOB_INTERFACE,
                                                     "State", "Step", "BytesDone", "BytesTotal",
                                                     "Result", NULL);
        else
                (void)sd_bus_emit_properties_changed(bus->bus, object, CH_BUS_JOB_INTERFACE,
                                                     "State", "Step", "BytesDone", "BytesTotal",
                                                     NULL);
}

static int enumerate(sd_bus *connection, const char *prefix, void *userdata, char ***ret,
                     sd_bus_error *error)
{
        const Bus *bus = userdata;
        size_t n = 0, i = 0;
        char **paths;

        for (const Job *job = bus->manager->jobs->first; job; job = job->next)
                n++;
        paths = calloc(n + 1, sizeof(char *));
        for (const Job *job = bus->manager->jobs->first; paths && job; job = job->next) {
                paths[i] = job_bus_path(job->id);
                if (!paths[i++])
                        break;
        }
        *ret = paths;
        return paths ? 1 : -ENOMEM;
}

int job_bus_add(Bus *bus)
{
        int r;

        r = sd_bus_add_fallback(bus->bus, NULL, CH_BUS_JOB_PREFIX, on_message, bus);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus->bus, NULL, CH_BUS_JOB_PREFIX, enumerate, bus);
        if (r < 0)
                return r;
        return sd_bus_add_fallback_vtable(bus->bus, NULL, CH_BUS_JOB_PREFIX, CH_BUS_JOB_INTERFACE,
                                          vtable, find_job, bus);
}
