/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.chargehand1.Manager: the table of methods, and those that answer at once. */

#include <fcntl.h>

#include "access.h"
#include "bus.h"
#include "methods.h"
#include "names.h"

int method_read_path(Request *request)
{
        const char *path;
        int r;

        if (request->path)
                return 0;
        r = sd_bus_message_read(request->message, "s", &path);
        if (r < 0)
                return request_bad_arguments(request, r, "path");
        r = ch_path_check(path, &request->error);
        if (r < 0)
                return r;
        request->path = strdup(path);
        return request->path ? 0 : -ENOMEM;
}

int method_find_group(Request *request, Group **ret)
{
        int r;

        r = method_read_path(request);
        if (r < 0)
                return r;
        *ret = groups_get(request->manager->groups, request->path);
        if (!*ret)
                return error_set(&request->error, CH_ERROR_NO_SUCH_GROUP, 0, request->path,
                                 "no such group");
        return 0;
}

static int reply_object(Request *request, const char *path, int with_path)
{
        _cleanup_(freep) char *object = group_bus_path(path);

        if (!object)
                return -ENOMEM;
        return with_path ? request_reply(request, "so", path, object)
                         : request_reply(request, "o", object);
}

int method_get_group(Request *request)
{
        Group *group;
        int r;

        r = method_find_group(request, &group);
        return r < 0 ? r : reply_object(request, group->path, 0);
}

static int reply_group_of(Request *request, pid_t pid)
{
        _cleanup_(freep) char *path = NULL;
        int r;

        r = ch_tree_path_of_pid(request->manager->tree, pid, &path, &request->error);
        if (r < 0)
                return r;
        (void)groups_get(request->manager->groups, path);
        return reply_object(request, path, 1);
}

int method_get_group_by_pid(Request *request)
{
        uint32_t pid;
        int r;

        r = sd_bus_message_read(request->message, "u", &pid);
        if (r < 0)
                return request_bad_arguments(request, r, "pid");
        if (pid == 0 || pid > INT32_MAX)
                return error_set(&request->error, CH_ERROR_NO_SUCH_PROCESS, 0, NULL,
                                 "no process has pid %u", pid);
        return reply_group_of(request, (pid_t)pid);
}

int method_get_group_by_pidfd(Request *request)
{
        ch_procset *set;
        int fd, r;

        r = sd_bus_message_read(request->message, "h", &fd);
        if (r < 0)
                return request_bad_arguments(request, r, "pidfd");
        r = ch_procset_new(&set);
        if (r < 0)
                return r;
        r = ch_procset_add_pidfd(set, fd, &request->error);
        if (r >= 0)
                r = reply_group_of(request, ch_procset_get(set, 0)->pid);
        ch_procset_free(set);
        return r;
}

static int append_group(sd_bus_message *reply, const Group *group)
{
        _cleanup_(freep) char *object = group_bus_path(group->path);

        if (!object)
                return -ENOMEM;
        return sd_bus_message_append(reply, "(sotuu)", group->path, object, group->id, group->uid,
                                     group_list_flags(group));
}

int method_list_groups(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        uint32_t max_depth, depth = 0;
        Group *start, *group, *next;
        int r;

        watches_settle(request->manager->watches);
        r = method_find_group(request, &start);
        if (r < 0)
                return r;
        r = sd_bus_message_read(request->message, "u", &max_depth);
        if (r < 0)
                return request_bad_arguments(request, r, "max_depth");
        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(sotuu)");
        for (group = start; r >= 0 && group; group = next) {
                r = append_group(reply, group);
                next = group_next(start, group, max_depth && depth >= max_depth);
                if (next && next->parent == group)
                        depth++;
                else
                        for (Group *at = group; next && at->parent != next->parent; at = at->parent)
                                depth--;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

int method_open_group(Request *request)
{
        ch_group *group;
        int r;

        r = method_read_path(request);
        if (r >= 0)
                r = ch_tree_open_group(request->manager->tree, request->path, &group,
                                       &request->error);
        if (r < 0)
                return r;
        r = access_check_group(request->manager->tree, request->path, request->uid,
                               &request->error);
        if (r >= 0)
                r = request_reply(request, "h", ch_group_get_fd(group));
        ch_group_unref(group);
        return r;
}

int method_list_jobs(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(uosss)");
        for (Job *job = request->manager->jobs->first; r >= 0 && job; job = job->next) {
                _cleanup_(freep) char *object = job_bus_path(job->id);

                r = object ? sd_bus_message_append(reply, "(uosss)", job->id, object, job->type,
                                                   job_state_to_string(job->state), job->group)
                           : -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

static int find_job(Request *request, Job **ret)
{
        uint32_t id;
        int r;

        r = sd_bus_message_read(request->message, "u", &id);
        if (r < 0)
                return request_bad_arguments(request, r, "job");
        *ret = jobs_get(request->manager->jobs, id);
        if (!*ret)
                return error_set(&request->error, CH_ERROR_NO_SUCH_JOB, 0, NULL,
                                 "there is no job %u, or it ended long ago", id);
        return 0;
}

int method_get_job(Request *request)
{
        _cleanup_(freep) char *object = NULL;
        Job *job;
        int r;

        r = find_job(request, &job);
        if (r < 0)
                return r;
        object = job_bus_path(job->id);
        return object ? request_reply(request, "o", object) : -ENOMEM;
}

/* Of the Job interface the job is the object: request->path is its number. */
int method_cancel_job(Request *request)
{
        Job *job = request->path ? jobs_get(request->manager->jobs,
                                            (uint32_t)strtoul(request->path, NULL, 10))
                                 : NULL;
        int r = job ? 0 : find_job(request, &job);

        if (r < 0)
                return r;
        if (!uid_is_master(request->uid) && job->uid != request->uid)
                return error_set(&request->error, CH_ERROR_NOT_PERMITTED, 0, NULL,
                                 "job %u was started by uid %u: only root and that uid may cancel "
                                 "it, not uid %u",
                                 job->id, job->uid, request->uid);
        (void)job_cancel(job);
        return request_reply(request, NULL);
}

static const struct {
        const char *member;
        request_func begin;
} methods[] = {
        {"CreateGroup",      method_create_group      },
        { "RemoveGroup",     method_remove_group      },
        { "GetGroup",        method_get_group         },
        { "GetGroupByPID",   method_get_group_by_pid  },
        { "GetGroupByPIDFD", method_get_group_by_pidfd},
        { "ListGroups",      method_list_groups       },
        { "OpenGroup",       method_open_group        },
        { "PlanMove",        method_plan_move         },
        { "Move",            method_move              },
        { "ChargeMap",       method_charge_map        },
        { "GetOwner",        method_get_owner         },
        { "Place",           method_place             },
        { "Kill",            method_kill              },
        { "Freeze",          method_freeze            },
        { "Thaw",            method_thaw              },
        { "SetProperties",   method_set_properties    },
        { "GetProperties",   method_get_properties    },
        { "Snapshot",        method_snapshot          },
        { "Reload",          method_reload            },
        { "Reserve",         method_reserve           },
        { "Release",         method_release           },
        { "ListClaims",      method_list_claims       },
        { "ListJobs",        method_list_jobs         },
        { "GetJob",          method_get_job           },
        { "CancelJob",       method_cancel_job        },
        { "Status",          method_status            },
};

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *member = sd_bus_message_get_member(message);
        Bus *bus = userdata;

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(methods[i].member, member))
                        return request_start(bus->manager, message, methods[i].begin, NULL);
        return 0;
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Manager *manager = ((Bus *)userdata)->manager;
        const char *text = *property == 'V'   ? manager_version()
                           : *property == 'R' ? ch_tree_get_root(manager->tree)
                                              : mode_to_string(manager->conf->mode);

        return sd_bus_message_append(reply, "s", text);
}

static int get_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Manager *manager = ((Bus *)userdata)->manager;

        return sd_bus_message_append(reply, "u",
                                     streq(property, "NJobs") ? manager->jobs->n_live
                                                              : (uint32_t)manager->groups->n);
}

/* clang-format off */
#define METHOD(member, in, in_names, out, out_names)                                               \
        SD_BUS_METHOD_WITH_NAMES(member, in, in_names, out, out_names, on_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define N SD_BUS_PARAM

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("CreateGroup", "sa{sv}a{sv}", N(path) N(properties) N(options), "o", N(group)),
        METHOD("RemoveGroup", "sa{sv}", N(path) N(options), NULL,),
        METHOD("GetGroup", "s", N(path), "o", N(group)),
        METHOD("GetGroupByPID", "u", N(pid), "so", N(path) N(group)),
        METHOD("GetGroupByPIDFD", "h", N(pidfd), "so", N(path) N(group)),
        METHOD("ListGroups", "su", N(below) N(max_depth), "a(sotuu)", N(groups)),
        METHOD("OpenGroup", "s", N(path), "h", N(directory)),
        METHOD("PlanMove", "a{sv}", N(request), "a{sv}", N(plan)),
        METHOD("Move", "a{sv}", N(request), "uo", N(job) N(object)),
        METHOD("ChargeMap", "a{sv}", N(what), "a{sv}", N(map)),
        METHOD("GetOwner", "u", N(pid), "a{sv}", N(owner)),
        METHOD("Place", "a{sv}", N(request), "a{sv}ah", N(placement) N(lease)),
        METHOD("Kill", "si", N(group) N(signal), NULL,),
        METHOD("Freeze", "s", N(group), NULL,),
        METHOD("Thaw", "s", N(group), NULL,),
        METHOD("SetProperties", "sa{sv}a{sv}", N(group) N(properties) N(options), "u", N(changed)),
        METHOD("GetProperties", "sas", N(group) N(names), "a{sv}", N(properties)),
        METHOD("Snapshot", NULL,, "a{sv}", N(snapshot)),
        METHOD("Reload", NULL,, "as", N(warnings)),
        METHOD("Reserve", "sta{sv}", N(group) N(bytes) N(options), "tah", N(claim) N(lease)),
        METHOD("Release", "h", N(lease), NULL,),
        METHOD("ListClaims", NULL,, "aa{sv}", N(claims)),
        METHOD("ListJobs", NULL,, "a(uosss)", N(jobs)),
        METHOD("GetJob", "u", N(job), "o", N(object)),
        METHOD("CancelJob", "u", N(job), NULL,),
        METHOD("Status", NULL,, "a{sv}", N(status)),
        SD_BUS_SIGNAL_WITH_NAMES("GroupNew", "so", N(path) N(group), 0),
        SD_BUS_SIGNAL_WITH_NAMES("GroupRemoved", "so", N(path) N(group), 0),
        SD_BUS_SIGNAL_WITH_NAMES("JobNew", "uos", N(job) N(object) N(type), 0),
        SD_BUS_SIGNAL_WITH_NAMES("JobRemoved", "uoss", N(job) N(object) N(type) N(result), 0),
        SD_BUS_SIGNAL_WITH_NAMES("ClaimNew", "tsts", N(claim) N(group) N(bytes) N(kind), 0),
        SD_BUS_SIGNAL_WITH_NAMES("ClaimRemoved", "tsts", N(claim) N(group) N(bytes) N(kind), 0),
        SD_BUS_SIGNAL_WITH_NAMES("ProcessStrayed", "uss", N(pid) N(expected) N(found), 0),
        SD_BUS_SIGNAL_WITH_NAMES("GroupOom", "st", N(path) N(count), 0),
        SD_BUS_SIGNAL_WITH_NAMES("OwnerChanged", "uutss", N(from) N(to) N(mm) N(group) N(cause), 0),
        SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Root", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mode", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("NGroups", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("NJobs", "u", get_count, 0, 0),
        SD_BUS_VTABLE_END
};
/* clang-format on */

int manager_bus_add(Bus *bus)
{
        return sd_bus_add_object_vtable(bus->bus, NULL, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                        vtable, bus);
}
