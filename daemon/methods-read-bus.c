/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetProperties, and GetAll of a group: attributes are read on a worker, since memory.stat may have
 * to collect from all CPUs. */

#include "bus.h"
#include "methods.h"
#include "value-bus.h"

/* An attribute is asked for once: a list longer than the table repeats itself. */
typedef struct ReadItem {
        const ch_attr *attr;
        ch_value value;
        int have;
} ReadItem;

typedef struct ReadCall {
        ReadItem *items;
        size_t n;
        int all;        /* everything that can be read */
        int with_fixed; /* also Path, Id, … of the Group interface */
} ReadCall;

static void read_call_free(void *data)
{
        ReadCall *call = data;

        for (size_t i = 0; i < call->n; i++)
                ch_value_done(&call->items[i].value);
        free(call->items);
        free(call);
}

/* Of several, those whose file is not there are left out; of all, also those that cannot be read.
 */
static int may_leave_out(const ReadCall *call, int r)
{
        return call->all ? r != -ENOMEM : call->n > 1 && r == -EOPNOTSUPP;
}

static int read_work(Request *request)
{
        ReadCall *call = request->data;
        ch_group *group;
        int r;

        r = ch_tree_open_group(request->manager->tree, request->path, &group, &request->error);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < call->n; i++) {
                ReadItem *item = &call->items[i];

                _cleanup_(error_freep) ch_error *error = NULL;

                r = ch_group_read(group, item->attr, &item->value, &error);
                item->have = r >= 0;
                if (r < 0 && may_leave_out(call, r))
                        r = 0;
                else if (r < 0)
                        request->error = TAKE_PTR(error);
        }
        ch_group_unref(group);
        return r;
}

static int append_row(sd_bus_message *reply, const ReadItem *item)
{
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", item->attr->name);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v',
                                                  ch_attr_type_signature(item->attr->type));
        if (r >= 0)
                r = value_bus_append(reply, item->attr, &item->value);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* What the Group interface has beside attributes. */
static int append_fixed(sd_bus_message *reply, const ReadCall *call, const Group *group)
{
        int r;

        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}", "Path", "s", group->path, "Id",
                                  "t", group->id, "Uid", "u", group->uid, "Managed", "b",
                                  (group->flags & GROUP_MANAGED) != 0, "Populated", "b",
                                  (group->flags & GROUP_POPULATED) != 0, "Frozen", "b",
                                  (group->flags & GROUP_FROZEN) != 0);
        for (size_t i = 0; r >= 0 && i < call->n; i++)
                if (call->items[i].have && streq(call->items[i].attr->id, "MEMORY_CURRENT"))
                        r = sd_bus_message_append(reply, "{sv}", "Charged", "t",
                                                  call->items[i].value.number);
        return r;
}

static int read_finish(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        const ReadCall *call = request->data;
        const Group *group;
        int r;

        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        group = groups_get(request->manager->groups, request->path);
        if (!group)
                return error_set(&request->error, CH_ERROR_NO_SUCH_GROUP, 0, request->path,
                                 "no such group");
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0 && call->with_fixed)
                r = append_fixed(reply, call, group);
        for (size_t i = 0; r >= 0 && i < call->n; i++)
                if (call->items[i].have)
                        r = append_row(reply, &call->items[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}

static int read_call_new(Request *request, ReadCall **ret)
{
        ReadCall *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        request->data = call;
        request->free_data = read_call_free;
        request->flags |= REQUEST_READ_ONLY;
        call->items = calloc(ch_attr_count(), sizeof(ReadItem));
        *ret = call;
        return call->items ? 0 : -ENOMEM;
}

static void want_all(ReadCall *call)
{
        call->all = 1;
        for (size_t i = 0; i < ch_attr_count(); i++)
                if (ch_attr_get(i)->access != CH_ACCESS_W)
                        call->items[call->n++].attr = ch_attr_get(i);
}

static int want_one(Request *request, ReadCall *call, const char *name)
{
        const ch_attr *attr = ch_attr_find(name);
        const char *near = attr ? NULL : ch_attr_suggest(name);

        if (!attr)
                return error_set(&request->error, CH_ERROR_UNKNOWN_ATTRIBUTE, 0, name,
                                 "no attribute of that name%s%s%s", near ? "; did you mean '" : "",
                                 near ? near : "", near ? "'?" : "");
        if (attr->access == CH_ACCESS_W)
                return error_set(&request->error, CH_ERROR_NOT_SUPPORTED, 0, request->path,
                                 "%s can be written only", attr->name);
        for (size_t i = 0; i < call->n; i++)
                if (call->items[i].attr == attr)
                        return 0;
        call->items[call->n++].attr = attr;
        return 0;
}

int method_get_properties(Request *request)
{
        const char *name;
        ReadCall *call = NULL;
        int r;

        r = method_read_path(request);
        if (r >= 0)
                r = read_call_new(request, &call);
        if (r >= 0)
                r = sd_bus_message_enter_container(request->message, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(request->message, "s", &name)) > 0)
                r = want_one(request, call, name);
        if (r < 0)
                return r;
        if (call->n == 0)
                want_all(call);
        return request_defer(request, read_work, read_finish);
}

int method_property_get_all(Request *request)
{
        ReadCall *call;
        int r;

        r = read_call_new(request, &call);
        if (r < 0)
                return r;
        want_all(call);
        call->with_fixed = 1;
        return request_defer(request, read_work, read_finish);
}
