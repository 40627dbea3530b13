/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of units and jobs. A long one is made in pieces, each a turn of the loop, from names that
 * were noted at its start: units come and go meanwhile.
 */

#include <fnmatch.h>

#include "column.h"
#include "private.h"
#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

#define AT_ONCE   256 /* rows */
#define LISTS_MAX 4   /* long ones under way for one client */
#define WORDS_MAX 256 /* states and patterns: each is tried for each unit */
#define NAMES_MAX 16384
#define ROW       "ssssssouso"

typedef struct List {
        struct List *before, *after; /* under way */
        Face *face;
        sd_bus_message *call, *reply;
        sd_event_source *next;
        char **states, **patterns;
        char **names;
        size_t n_names, position;
        int only_named; /* names that no unit has are listed too */
} List;

static List *under_way;

static char **strv_free(char **strings)
{
        for (size_t i = 0; strings && strings[i]; i++)
                free(strings[i]);
        free(strings);
        return NULL;
}

static List *list_free(List *list)
{
        if (!list)
                return NULL;
        if (list->next) {
                *(list->before ? &list->before->after : &under_way) = list->after;
                if (list->after)
                        list->after->before = list->before;
        }
        sd_event_source_disable_unref(list->next);
        sd_bus_message_unref(list->call);
        sd_bus_message_unref(list->reply);
        strv_free(list->states);
        strv_free(list->patterns);
        for (size_t i = 0; i < list->n_names; i++)
                free(list->names[i]);
        free(list->names);
        free(list);
        return NULL;
}

static void list_freep(List **list)
{
        list_free(*list);
}

/* ---- rows ---- */

static int has_state(char **states, const Unit *unit)
{
        if (!states || !*states)
                return 1;
        for (; *states; states++)
                if (streq(*states, unit_load_state(unit)) ||
                    streq(*states, unit_active_state(unit)) || streq(*states, unit_sub_state(unit)))
                        return 1;
        return 0;
}

static int has_pattern(char **patterns, const char *name)
{
        if (!patterns || !*patterns)
                return 1;
        for (; *patterns; patterns++)
                if (fnmatch(*patterns, name, FNM_NOESCAPE) == 0)
                        return 1;
        return 0;
}

static int append_unit(sd_bus_message *reply, const Unit *unit)
{
        _cleanup_(freep) char *object = unit_name_to_object(unit->name);
        const UnitJob *job = unit->job;
        char path[UNIT_JOB_PATH_MAX];

        if (!object)
                return -ENOMEM;
        return sd_bus_message_append(reply, "(" ROW ")", unit->name, unit_description(unit),
                                     unit_load_state(unit), unit_active_state(unit),
                                     unit_sub_state(unit), "", object, job ? job->id : 0U,
                                     job ? unit_job_type_to_string(job->type) : "",
                                     job ? unit_job_path(job->id, path) : "/");
}

static int append_missing(sd_bus_message *reply, const char *name)
{
        _cleanup_(freep) char *object = unit_name_to_object(name);

        return object ? sd_bus_message_append(reply, "(" ROW ")", name, name, "not-found",
                                              "inactive", "dead", "", object, 0U, "", "/")
                      : -ENOMEM;
}

static int append_names(List *list, size_t max)
{
        size_t end = list->n_names - list->position > max ? list->position + max : list->n_names;
        int r = 0;

        for (; r >= 0 && list->position < end; list->position++) {
                const char *name = list->names[list->position];
                Unit *unit = NULL;

                if (list->only_named)
                        (void)units_load(list->face->units, name, &unit);
                else
                        unit = units_find(list->face->units, name);
                if (unit && has_state(list->states, unit))
                        r = append_unit(list->reply, unit);
                else if (!unit && list->only_named && unit_name_is_valid(name))
                        r = append_missing(list->reply, name);
        }
        return r;
}

static int append_all(List *list)
{
        int r = 0;

        for (const Unit *unit = units_first(list->face->units); r >= 0 && unit; unit = unit->next)
                if (has_pattern(list->patterns, unit->name) && has_state(list->states, unit))
                        r = append_unit(list->reply, unit);
        return r;
}

/* ---- in pieces ---- */

static int finish(List *list)
{
        int r = sd_bus_message_close_container(list->reply);

        return r < 0 ? r : sd_bus_send(NULL, list->reply, NULL);
}

static int on_next(sd_event_source *source, void *userdata)
{
        List *list = userdata;
        int r = append_names(list, AT_ONCE);

        if (r >= 0 && list->position < list->n_names)
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (r >= 0)
                r = finish(list);
        if (r < 0 && r != -ENOTCONN)
                (void)sd_bus_reply_method_errno(list->call, r, NULL);
        list_free(list);
        return 0;
}

static int note_names(List *list)
{
        list->names = calloc(units_count(list->face->units), sizeof(char *));
        if (!list->names)
                return -ENOMEM;
        for (const Unit *unit = units_first(list->face->units); unit; unit = unit->next) {
                if (!has_pattern(list->patterns, unit->name))
                        continue;
                list->names[list->n_names] = strdup(unit->name);
                if (!list->names[list->n_names++])
                        return -ENOMEM;
        }
        return 0;
}

/* Of the client that sent the message. */
static unsigned count_lists(sd_bus_message *call)
{
        const char *client = client_name_of(call);
        unsigned n = 0;

        for (const List *list = under_way; list; list = list->after)
                n += sd_bus_message_get_bus(list->call) == sd_bus_message_get_bus(call) &&
                     streq(client_name_of(list->call), client);
        return n;
}

static int go_on_later(Request *request, List *list)
{
        sd_event *event = request->manager->event;
        int r = list->only_named ? 0 : note_names(list);

        if (r >= 0 && count_lists(request->message) >= LISTS_MAX)
                return face_fail(request, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "%d long lists are being made for this connection: wait for some.",
                                 LISTS_MAX);
        if (r >= 0)
                r = sd_event_add_defer(event, &list->next, on_next, list);
        if (r < 0)
                return r;
        list->after = under_way;
        if (list->after)
                list->after->before = list;
        under_way = list;
        /* behind what others wait for */
        (void)sd_event_source_set_priority(list->next, SD_EVENT_PRIORITY_NORMAL + 5);
        (void)sd_event_source_set_enabled(list->next, SD_EVENT_ONESHOT);
        list->call = sd_bus_message_ref(request->message);
        request_drop_message(request);
        return 0;
}

static int list_units(Request *request, List *list)
{
        size_t n = list->only_named ? list->n_names : units_count(list->face->units);
        int r;

        if (private_is_slow(request->client->bus))
                return face_fail(request, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "Earlier answers were not read yet: read them first.");
        r = request_new_reply(request, &list->reply);
        if (r < 0 || !list->reply)
                return r;
        r = sd_bus_message_open_container(list->reply, 'a', "(" ROW ")");
        if (r < 0)
                return r;
        if (n > AT_ONCE) {
                r = go_on_later(request, list);
                return r < 0 ? r : 1; /* the list is its own now */
        }
        r = list->only_named ? append_names(list, n) : append_all(list);
        if (r >= 0)
                r = sd_bus_message_close_container(list->reply);
        if (r >= 0)
                r = request_send(request, list->reply);
        return r < 0 ? r : 0;
}

void lists_drop(void)
{
        while (under_way)
                list_free(under_way);
}

/* ---- the methods ---- */

static int list_new(Request *request, List **ret)
{
        *ret = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        (*ret)->face = face_of(request);
        return 0;
}

static int read_words(Request *request, size_t max, char ***ret, size_t *ret_n)
{
        int r = sd_bus_message_read_strv(request->message, ret);

        *ret_n = 0;
        while (r >= 0 && *ret && (*ret)[*ret_n])
                ++*ret_n;
        return *ret_n <= max
                       ? r
                       : face_fail(request, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                   "%zu words in a list that takes %zu: ask in several calls.",
                                   *ret_n, max);
}

static int list_filtered(Request *request, int has_states, int has_patterns)
{
        _cleanup_(list_freep) List *list = NULL;
        int r = list_new(request, &list);
        size_t n;

        if (r >= 0 && has_states)
                r = read_words(request, WORDS_MAX, &list->states, &n);
        if (r >= 0 && has_patterns)
                r = read_words(request, WORDS_MAX, &list->patterns, &n);
        if (r >= 0)
                r = list_units(request, list);
        if (r > 0)
                list = NULL;
        return r;
}

int method_list_units(Request *request)
{
        return list_filtered(request, 0, 0);
}

int method_list_units_filtered(Request *request)
{
        return list_filtered(request, 1, 0);
}

int method_list_units_by_patterns(Request *request)
{
        return list_filtered(request, 1, 1);
}

int method_list_units_by_names(Request *request)
{
        _cleanup_(list_freep) List *list = NULL;
        int r = list_new(request, &list);

        if (r >= 0)
                r = read_words(request, NAMES_MAX, &list->names, &list->n_names);
        if (r < 0)
                return r;
        list->only_named = 1;
        r = list_units(request, list);
        if (r > 0)
                list = NULL;
        return r;
}

int method_list_unit_jobs(Request *request)
{
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = request_new_reply(request, &reply);
        if (r < 0 || !reply)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(usssoo)");
        for (const UnitJob *job = unit_jobs_first(face_of(request)->jobs); r >= 0 && job;
             job = job->next) {
                _cleanup_(freep) char *object = unit_name_to_object(job->unit->name);
                char path[UNIT_JOB_PATH_MAX];

                r = object ? sd_bus_message_append(reply, "(usssoo)", job->id, job->unit->name,
                                                   unit_job_type_to_string(job->type),
                                                   job->running ? "running" : "waiting",
                                                   unit_job_path(job->id, path), object)
                           : -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : request_send(request, reply);
}
