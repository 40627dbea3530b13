/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the properties of a call as a whole: each is known, of its type and good, or the call
 * fails. */

#include "property-row.h"
#include "util.h"

void property_changes_done(PropertyChanges *changes)
{
        property_set_done(&changes->set);
        free(changes->pids);
        for (size_t i = 0; i < changes->n_pidfds; i++)
                (void)safe_close(changes->pidfds[i]);
        free(changes->pidfds);
        *changes = (PropertyChanges){ 0 };
}

/* Of this kind of unit, and at this time? */
static int may_set(const Property *row, UnitKind kind, int is_new)
{
        uint32_t where = PROPERTY_UNIT | (kind == UNIT_SLICE ? PROPERTY_SLICE : PROPERTY_SCOPE);

        return (row->flags & where) && (row->flags & (is_new ? PROPERTY_NEW : PROPERTY_LIVE));
}

/* The value as it is kept: of the row that this one stands for; truth in one spelling. */
static int normalize(const Property *row, PropertyValue *value)
{
        if (row->check == CHECK_WATCH && text_to_truth(value->data) >= 0) {
                char *word = strdup(text_to_truth(value->data) ? "yes" : "no");

                if (!word)
                        return -ENOMEM;
                free(value->data);
                value->data = word;
                value->size = (uint32_t)strlen(word) + 1;
        }
        if (row->target < 0)
                return 0;
        if (row->scale == SCALE_MEMORY)
                value->number = memory_scale((uint32_t)value->number);
        else if (row->scale == SCALE_TASKS)
                value->number = tasks_scale((uint32_t)value->number);
        value->row = (uint16_t)row->target;
        return 0;
}

/*
 * Delegate=yes means all controllers, whatever list comes with it; a list alone means delegation of
 * those; an empty list after all takes them back.
 */
static int put_delegation(PropertySet *set, PropertyValue *value)
{
        PropertyValue yes = { .row = PROP_DELEGATE, .number = 1 };
        int all = property_get_bool(set, PROP_DELEGATE) &&
                  !property_is_set(set, PROP_DELEGATE_CONTROLLERS);

        if (value->row == PROP_DELEGATE && property_is_set(set, PROP_DELEGATE_CONTROLLERS))
                property_set_drop(set, PROP_DELEGATE_CONTROLLERS);
        if (value->row != PROP_DELEGATE_CONTROLLERS)
                return property_set_put(set, value);
        if (all && value->size > 0) {
                property_value_done(value);
                return 0;
        }
        (void)property_set_put(set, &yes);
        return property_set_put(set, value);
}

static int read_value(sd_bus_message *message, const Property *row, UnitKind kind,
                      PropertyChanges *changes, sd_bus_error *error)
{
        PropertyValue value = { .row = (uint16_t)property_id(row) };
        int r = property_check_kind(row, kind, error);

        if (r >= 0 && row->check == CHECK_BUS_NAME &&
            sd_bus_is_bus_client(sd_bus_message_get_bus(message)) <= 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                         "Sorry, %s= logic only supported via the bus.",
                                         row->name);
        if (r >= 0)
                r = value_read(message, property_given(row), &value);
        if (r >= 0 && value.size == 0 && row->merge != MERGE_REPLACE && row->merge != MERGE_UNITS)
                value.flags = PROPERTY_VALUE_CLEAR;
        if (r >= 0)
                r = property_check(row, &value, error);
        if (r >= 0)
                r = normalize(row, &value);
        if (r >= 0)
                r = put_delegation(&changes->set, &value);
        if (r < 0)
                property_value_done(&value);
        return r;
}

static int read_one(sd_bus_message *message, UnitKind kind, int is_new, pid_t caller,
                    PropertyChanges *changes, sd_bus_error *error)
{
        const Property *row;
        const char *name;
        int r = sd_bus_message_read_basic(message, 's', &name);

        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'v', NULL);
        if (r < 0)
                return r;
        row = property_find(name);
        if (!row || !may_set(row, kind, is_new))
                return sd_bus_error_setf(error, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                         "Cannot set property %s, or unknown property.", name);
        if (row == property_get(PROP_PIDS))
                r = pids_add(changes, message, caller, error);
        else if (row == property_get(PROP_PIDFDS))
                r = pidfds_add(changes, message, error);
        else
                r = read_value(message, row, kind, changes, error);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_all(sd_bus_message *message, UnitKind kind, int is_new, pid_t caller,
                    PropertyChanges *changes, sd_bus_error *error)
{
        size_t n = 0;
        int r = sd_bus_message_enter_container(message, 'a', "(sv)");

        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'r', "sv")) > 0) {
                if (++n > PROPERTY_CALL_MAX)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                 "More than %d properties in one call.",
                                                 PROPERTY_CALL_MAX);
                r = read_one(message, kind, is_new, caller, changes, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

int property_fail_size(sd_bus_error *error)
{
        return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "Failed to set unit properties: a list takes %d bytes, of devices "
                                 "with limits %d: leave some out, or make it anew with an empty "
                                 "list before.",
                                 PROPERTY_LISTS_MAX, PROPERTY_DISKS_MAX);
}

int property_changes_read(sd_bus_message *message, UnitKind kind, int is_new, pid_t caller,
                          PropertyChanges *ret, sd_bus_error *error)
{
        PropertyChanges changes = { 0 };
        int r = read_all(message, kind, is_new, caller, &changes, error);

        if (r >= 0) {
                *ret = changes;
                return 0;
        }
        property_changes_done(&changes);
        if (sd_bus_error_is_set(error))
                return r;
        if (r == -E2BIG)
                return property_fail_size(error);
        return sd_bus_error_set_errnof(
                error, -r,
                r == -ENXIO ? "Failed to set unit properties: Unexpected message contents"
                            : "Failed to set unit properties: %m");
}
