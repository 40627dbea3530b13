/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces: what happens in a simulation, in memory and as a text that can be kept (docs/placement.md
 * has the format). */

#include <inttypes.h>
#include <search.h>

#include "placement.h"
#include "util.h"

#define TRACE_HEADER "chargehand-placement 1"

#define BYTES_MAX (UINT64_C(1) << 38)

enum { FIELDS_MAX = 8 };

uint32_t trace_add_group(Trace *trace, const TraceGroup *group)
{
        must(array_reserve(&trace->groups, &trace->groups_allocated, trace->n_groups + 1,
                           sizeof(*trace->groups)),
             "groups");
        trace->groups[trace->n_groups] = *group;
        if (group->pool != NO_INDEX && group->pool >= trace->n_pools)
                trace->n_pools = group->pool + 1;
        return (uint32_t)trace->n_groups++;
}

void trace_add_member(Trace *trace, uint32_t id, const TraceMember *member)
{
        size_t before = trace->n_members;

        if (id >= before) {
                must(array_reserve(&trace->members, &trace->members_allocated, (size_t)id + 1,
                                   sizeof(*trace->members)),
                     "members");
                trace->n_members = (size_t)id + 1;
                for (size_t i = before; i < trace->n_members; i++)
                        trace->members[i] = (TraceMember){ .app = NO_INDEX };
        }
        trace->members[id] = *member;
        if (member->segment != NO_INDEX && member->segment >= trace->n_segments)
                trace->n_segments = member->segment + 1;
}

void trace_add(Trace *trace, uint64_t usec, EventKind kind, uint32_t index, uint64_t bytes)
{
        must(array_reserve(&trace->events, &trace->events_allocated, trace->n_events + 1,
                           sizeof(*trace->events)),
             "events");
        trace->events[trace->n_events] = (Event){ .usec = usec,
                                                  .bytes = bytes,
                                                  .index = index,
                                                  .order = (uint32_t)trace->n_events,
                                                  .kind = kind };
        trace->n_events++;
}

static int compare_events(const void *a, const void *b)
{
        const Event *x = a, *y = b;

        if (x->usec != y->usec)
                return x->usec < y->usec ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

void trace_finish(Trace *trace)
{
        qsort(trace->events, trace->n_events, sizeof(*trace->events), compare_events);
        for (size_t i = 0; i < trace->n_events; i++) {
                const Event *event = &trace->events[i];
                TraceMember *member;

                if (event->kind != EVENT_GROW && event->kind != EVENT_TOUCH)
                        continue;
                member = &trace->members[event->index];
                if (event->kind == EVENT_TOUCH)
                        member->touch_bytes += event->bytes;
                else if (event->bytes > member->peak_bytes)
                        member->peak_bytes = event->bytes;
        }
}

void trace_done(Trace *trace)
{
        for (size_t i = 0; i < trace->n_groups; i++)
                free(trace->groups[i].path);
        free(trace->groups);
        free(trace->members);
        free(trace->events);
        *trace = (Trace){};
}

/* Reading. A line is split into its fields, and the row of its event takes them. */
typedef struct Reader {
        Trace *trace;
        const char *path;
        size_t line;
        char *fields[FIELDS_MAX];
        size_t n_fields;
        uint64_t usec;
        struct hsearch_data groups; /* path → index + 1 */
} Reader;

static _Noreturn void bad(const Reader *reader, const char *cause, const char *value)
{
        (void)fprintf(stderr, "%s:%zu: %s: '%s'\n", reader->path, reader->line, cause, value);
        exit(2);
}

/* "-" is NO_INDEX where that is allowed. */
static uint32_t read_index(const Reader *reader, const char *text, bool is_optional)
{
        uint64_t value;

        if (is_optional && streq(text, "-"))
                return NO_INDEX;
        if (parse_u64(text, &value, NULL) < 0 || value >= INDEX_MAX)
                bad(reader, "not an id below 4,194,304", text);
        return (uint32_t)value;
}

static uint64_t read_number(const Reader *reader, const char *text)
{
        uint64_t value;

        if (parse_u64(text, &value, NULL) < 0)
                bad(reader, "not a number", text);
        return value;
}

/* Whole pages, as they are charged. So small that sums over all members do not overflow. */
static uint64_t read_bytes(const Reader *reader, const char *text)
{
        uint64_t value = read_number(reader, text);

        if (value > BYTES_MAX)
                bad(reader, "more than 256 GiB", text);
        return (value + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static uint64_t read_limit(const Reader *reader, const char *text)
{
        return streq(text, "max") ? UINT64_MAX
                                  : read_number(reader, text) / PAGE_BYTES * PAGE_BYTES;
}

static uint32_t find_group(Reader *reader, const char *path)
{
        ENTRY *found;

        if (!hsearch_r((ENTRY){ .key = (char *)path }, FIND, &found, &reader->groups))
                return NO_INDEX;
        return (uint32_t)((uintptr_t)found->data - 1);
}

static uint32_t find_parent(Reader *reader, const char *path)
{
        _cleanup_(freep) char *parent = must_alloc(strdup(path));
        char *slash = strrchr(parent, '/');

        if (streq(path, "/") || !slash)
                return NO_INDEX;
        *slash = '\0';
        return find_group(reader, slash == parent ? "/" : parent);
}

/* An upper bound: with the topmost group. */
static size_t depth_of(const char *path)
{
        size_t n = 1;

        for (; *path; path++)
                n += *path == '/';
        return n;
}

/* mkdir PATH LIMIT POOL NODES */
static void take_mkdir(Reader *reader)
{
        uint32_t index = find_group(reader, reader->fields[2]);
        TraceGroup group = {};
        ENTRY *entered;

        if (depth_of(reader->fields[2]) > LEVELS_MAX)
                bad(reader, "deeper than 8 groups", reader->fields[2]);
        if (index == NO_INDEX) {
                group.parent = find_parent(reader, reader->fields[2]);
                group.limit_bytes = read_limit(reader, reader->fields[3]);
                group.pool = read_index(reader, reader->fields[4], true);
                group.nodes = read_number(reader, reader->fields[5]);
                group.path = must_alloc(strdup(reader->fields[2]));
                index = trace_add_group(reader->trace, &group);
                if (!hsearch_r((ENTRY){ .key = reader->trace->groups[index].path,
                                        .data = (void *)((uintptr_t)index + 1) },
                               ENTER, &entered, &reader->groups))
                        bad(reader, "too many groups", reader->fields[2]);
        }
        trace_add(reader->trace, reader->usec, EVENT_MKDIR, index, 0);
}

/* rmdir PATH */
static void take_rmdir(Reader *reader)
{
        uint32_t index = find_group(reader, reader->fields[2]);

        if (index == NO_INDEX)
                bad(reader, "no mkdir of this group before", reader->fields[2]);
        if (reader->trace->groups[index].pool == NO_INDEX)
                bad(reader, "only groups of a pool can be removed", reader->fields[2]);
        trace_add(reader->trace, reader->usec, EVENT_RMDIR, index, 0);
}

/* request ID APP POOL SEGMENT BYTES NODES */
static void take_request(Reader *reader)
{
        uint32_t id = read_index(reader, reader->fields[2], false);
        TraceMember member = {
                .app = read_index(reader, reader->fields[3], false),
                .pool = read_index(reader, reader->fields[4], false),
                .segment = read_index(reader, reader->fields[5], true),
                .bytes = read_bytes(reader, reader->fields[6]),
                .nodes = read_number(reader, reader->fields[7]),
        };

        if (id < reader->trace->n_members && reader->trace->members[id].app != NO_INDEX)
                bad(reader, "a second request with this id", reader->fields[2]);
        if (member.pool >= reader->trace->n_pools)
                bad(reader, "no group of this pool before", reader->fields[4]);
        trace_add_member(reader->trace, id, &member);
        trace_add(reader->trace, reader->usec, EVENT_REQUEST, id, 0);
}

/* grow ID BYTES, touch ID BYTES, exit ID */
static void take_of_member(Reader *reader, EventKind kind)
{
        uint32_t id = read_index(reader, reader->fields[2], false);

        if (id >= reader->trace->n_members || reader->trace->members[id].app == NO_INDEX)
                bad(reader, "no request with this id before", reader->fields[2]);
        if (kind == EVENT_TOUCH && reader->trace->members[id].segment == NO_INDEX)
                bad(reader, "its request names no segment", reader->fields[2]);
        trace_add(reader->trace, reader->usec, kind, id,
                  kind == EVENT_EXIT ? 0 : read_bytes(reader, reader->fields[3]));
}

static void take_grow(Reader *reader)
{
        take_of_member(reader, EVENT_GROW);
}

static void take_touch(Reader *reader)
{
        take_of_member(reader, EVENT_TOUCH);
}

static void take_exit(Reader *reader)
{
        take_of_member(reader, EVENT_EXIT);
}

/* clang-format off */
static const struct {
        const char *word;
        size_t n_fields; /* with the time and the word */
        void (*take)(Reader *reader);
} event_rows[EVENT_KIND_MAX_] = {
        [EVENT_MKDIR]   = { "mkdir",   6, take_mkdir },
        [EVENT_RMDIR]   = { "rmdir",   3, take_rmdir },
        [EVENT_REQUEST] = { "request", 8, take_request },
        [EVENT_GROW]    = { "grow",    4, take_grow },
        [EVENT_TOUCH]   = { "touch",   4, take_touch },
        [EVENT_EXIT]    = { "exit",    3, take_exit },
};
/* clang-format on */

static void take_line(Reader *reader, char *line)
{
        char *rest = line;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
                return;
        reader->n_fields = 0;
        for (char *field; (field = strsep(&rest, "\t"));) {
                if (reader->n_fields == FIELDS_MAX)
                        bad(reader, "too many fields", field);
                reader->fields[reader->n_fields++] = field;
        }
        reader->usec = read_number(reader, reader->fields[0]);
        if (reader->n_fields < 2)
                bad(reader, "no event", line);
        for (size_t i = 0; i < EVENT_KIND_MAX_; i++)
                if (streq(event_rows[i].word, reader->fields[1])) {
                        if (reader->n_fields != event_rows[i].n_fields)
                                bad(reader, "wrong number of fields", reader->fields[1]);
                        event_rows[i].take(reader);
                        return;
                }
        bad(reader, "no such event", reader->fields[1]);
}

void trace_read(Trace *trace, const char *path)
{
        Reader reader = { .trace = trace, .path = path };
        FILE *file = fopen(path, "re");
        char *line = NULL;
        size_t allocated = 0;
        uint64_t before = 0;

        if (!file || !hcreate_r(100000, &reader.groups)) {
                (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(2);
        }
        for (; getline(&line, &allocated, file) > 0; before = reader.usec) {
                if (reader.line++ == 0) {
                        line[strcspn(line, "\n")] = '\0';
                        if (!streq(line, TRACE_HEADER))
                                bad(&reader, "does not begin with '" TRACE_HEADER "'", line);
                        continue;
                }
                take_line(&reader, line);
                if (reader.usec < before)
                        bad(&reader, "earlier than the line before", reader.fields[0]);
        }
        if (reader.line == 0)
                bad(&reader, "does not begin with '" TRACE_HEADER "'", "");
        free(line);
        (void)fclose(file);
        hdestroy_r(&reader.groups);
        trace_finish(trace);
}

/* Writing. */
static void write_index(FILE *file, uint32_t index)
{
        if (index == NO_INDEX)
                (void)fputs("\t-", file);
        else
                (void)fprintf(file, "\t%" PRIu32, index);
}

static void write_group(FILE *file, const TraceGroup *group)
{
        if (group->limit_bytes == UINT64_MAX)
                (void)fputs("\tmax", file);
        else
                (void)fprintf(file, "\t%" PRIu64, group->limit_bytes);
        write_index(file, group->pool);
        (void)fprintf(file, "\t%" PRIu64, group->nodes);
}

static void write_request(FILE *file, const TraceMember *member)
{
        write_index(file, member->app);
        write_index(file, member->pool);
        write_index(file, member->segment);
        (void)fprintf(file, "\t%" PRIu64 "\t%" PRIu64, member->bytes, member->nodes);
}

static void write_event(FILE *file, const Trace *trace, const Event *event)
{
        bool is_of_group = event->kind == EVENT_MKDIR || event->kind == EVENT_RMDIR;

        (void)fprintf(file, "%" PRIu64 "\t%s", event->usec, event_rows[event->kind].word);
        if (is_of_group)
                (void)fprintf(file, "\t%s", trace->groups[event->index].path);
        else
                write_index(file, event->index);
        if (event->kind == EVENT_MKDIR)
                write_group(file, &trace->groups[event->index]);
        if (event->kind == EVENT_REQUEST)
                write_request(file, &trace->members[event->index]);
        if (event->kind == EVENT_GROW || event->kind == EVENT_TOUCH)
                (void)fprintf(file, "\t%" PRIu64, event->bytes);
        (void)fputc('\n', file);
}

void trace_write(const Trace *trace, const char *path)
{
        FILE *file = fopen(path, "we");

        if (file) {
                (void)fputs(TRACE_HEADER "\n", file);
                for (size_t i = 0; i < trace->n_events; i++)
                        write_event(file, trace, &trace->events[i]);
        }
        if (!file || ferror(file) || fclose(file) != 0) {
                (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(2);
        }
}
