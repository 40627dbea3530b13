/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects of jobs. */

#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

static int find_job(sd_bus *bus, const char *object, const char *interface, void *userdata,
                    void **ret, sd_bus_error *error)
{
        const Face *face = userdata;
        uint64_t id;

        if (strncmp(object, SD1_JOB_PREFIX "/", strlen(SD1_JOB_PREFIX) + 1) != 0 ||
            parse_u64(object + strlen(SD1_JOB_PREFIX) + 1, &id, NULL) < 0 || id > UINT32_MAX)
                return 0;
        *ret = unit_jobs_find(face->jobs, (uint32_t)id);
        return *ret != NULL;
}

static int enumerate_jobs(sd_bus *bus, const char *prefix, void *userdata, char ***ret,
                          sd_bus_error *error)
{
        const Face *face = userdata;
        char **paths = calloc(unit_jobs_count(face->jobs) + 1, sizeof(char *));
        char path[UNIT_JOB_PATH_MAX];
        size_t n = 0;

        if (!paths)
                return -ENOMEM;
        for (const UnitJob *job = unit_jobs_first(face->jobs); job; job = job->next)
                if ((paths[n] = strdup(unit_job_path(job->id, path))))
                        n++;
        *ret = paths;
        return 0;
}

static int get_id(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "u", ((const UnitJob *)userdata)->id);
}

static int get_unit(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const UnitJob *job = userdata;
        _cleanup_(freep) char *object = unit_name_to_object(job->unit->name);

        return object ? sd_bus_message_append(reply, "(so)", job->unit->name, object) : -ENOMEM;
}

static int get_type(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s",
                                     unit_job_type_to_string(((const UnitJob *)userdata)->type));
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s",
                                     ((const UnitJob *)userdata)->running ? "running" : "waiting");
}

static int get_details(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "a(ss)", 0);
}

int job_append_changed(sd_bus_message *signal, const char *interface, const void *job)
{
        return sd_bus_message_append(signal, "{sv}", "State", "s",
                                     ((const UnitJob *)job)->running ? "running" : "waiting");
}

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const UnitJob *job = userdata;
        char id[16];

        (void)snprintf(id, sizeof(id), "%u", job->id);
        return request_start(job->unit->face->manager, message,
                             streq(sd_bus_message_get_member(message), "Cancel")
                                     ? method_cancel_unit_job
                                     : method_get_job_neighbours,
                             id);
}

/* clang-format off */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Cancel", NULL, NULL, on_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("GetAfter", NULL,, "a(usssoo)", SD_BUS_PARAM(jobs), on_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("GetBefore", NULL,, "a(usssoo)", SD_BUS_PARAM(jobs), on_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Unit", "(so)", get_unit, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("JobType", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ActivationDetails", "a(ss)", get_details, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END
};
/* clang-format on */

int job_vtable_add(Face *face, sd_bus *bus)
{
        int r = sd_bus_add_fallback_vtable(bus, NULL, SD1_JOB_PREFIX, SD1_JOB_INTERFACE, vtable,
                                           find_job, face);

        return r < 0 ? r
                     : sd_bus_add_node_enumerator(bus, NULL, SD1_JOB_PREFIX, enumerate_jobs, face);
}
