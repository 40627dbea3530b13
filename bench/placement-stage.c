/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays a trace with real processes: each request is a process that waits in /launch to be placed,
 * then allocates and shares as the trace says. Only the order of events counts, not their distance;
 * what has a duration is weighed with the time of the trace. The kernel itself says what came of
 * it: refusals and kills at the limits, who is charged for what.
 */

#include <stdio.h>
#include <sys/mman.h>

#include <chargehand/map.h>

#include "placement-stage.h"
#include "util.h"

#define LAUNCH "/launch"

enum { LOOK_EVERY = 100 }; /* events between two looks at who is charged */

typedef struct Play {
        Stage stage;
        const StagePlanner *planner;
        StageMeasures *measures;
        uint64_t looked_usec;
        double strayed_mib, used_mib; /* when it was looked */
} Play;

uint64_t stage_bytes(const Stage *stage, uint64_t bytes)
{
        return (bytes / stage->scale + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

uint64_t stage_read(ch_group *group, const char *file)
{
        _cleanup_(freep) char *text = NULL;
        ch_error *err = NULL;
        uint64_t value;

        if (ch_group_read_file(group, file, &text, NULL, &err) < 0)
                wrong("%s", ch_error_get_cause(err));
        if (strncmp(text, "max", 3) == 0)
                return UINT64_MAX;
        must(parse_u64(text, &value, NULL), file);
        return value;
}

uint64_t stage_claimed(const Stage *stage, uint32_t group)
{
        ch_account_figures figures;

        ch_account_get_figures(stage->places[group].claims, &figures);
        return figures.usage_pages * PAGE_BYTES;
}

static ch_group *make_group(Stage *stage, const char *path)
{
        ch_error *err = NULL;
        ch_group *group;

        if (ch_tree_create_group(stage->tree, path,
                                 CH_CREATE_PARENTS | CH_CREATE_EXIST_OK | CH_CREATE_CONTROLLERS,
                                 &group, &err) < 0)
                wrong("%s: %s", path, ch_error_get_cause(err));
        return group;
}

static void write_file(ch_group *group, const char *file, const char *text)
{
        ch_error *err = NULL;

        if (ch_group_write_file(group, file, text, &err) < 0)
                wrong("%s of %s: %s", file, ch_group_get_path(group), ch_error_get_cause(err));
}

static void make_place(Stage *stage, uint32_t index)
{
        const TraceGroup *trace = &stage->trace->groups[index];
        Place *place = &stage->places[index];
        char text[32];

        place->group = make_group(stage, trace->path);
        (void)snprintf(text, sizeof(text), "%llu",
                       (unsigned long long)stage_bytes(stage, trace->limit_bytes));
        write_file(place->group, "memory.max", text);
        must(ch_account_new(trace->parent == NO_INDEX ? ch_ledger_get_root(stage->ledger)
                                                      : stage->places[trace->parent].claims,
                            &place->claims),
             "an account");
        if (trace->pool == NO_INDEX)
                return;
        stage->paths[stage->n_candidates] = trace->path;
        stage->candidates[stage->n_candidates++] = index;
}

static void stage_open(Stage *stage, const char *root)
{
        ch_ledger_options options = { .page_bytes = PAGE_BYTES };
        const Trace *trace = stage->trace;
        ch_error *err = NULL;

        if (ch_tree_open(root, 0, &stage->tree, &err) < 0)
                wrong("%s: %s", root, ch_error_get_cause(err));
        must(ch_ledger_new(&options, &stage->ledger), "a ledger");
        must(ch_slot_get(stage->ledger, &stage->slot), "a slot");
        stage->launch = make_group(stage, LAUNCH);
        write_file(stage->launch, "cgroup.procs", "0");
        stage->places = must_alloc(calloc(trace->n_groups, sizeof(*stage->places)));
        stage->paths = must_alloc(calloc(trace->n_groups, sizeof(*stage->paths)));
        stage->candidates = must_alloc(calloc(trace->n_groups, sizeof(*stage->candidates)));
        stage->players = must_alloc(calloc(trace->n_members + 1, sizeof(*stage->players)));
        stage->props = must_alloc(calloc((size_t)trace->n_segments + 1, sizeof(*stage->props)));
        for (size_t i = 0; i < trace->n_members; i++)
                stage->players[i].group = NO_INDEX;
        for (uint32_t i = 0; i < trace->n_groups; i++)
                make_place(stage, i);
        for (uint32_t i = 0; i < trace->n_segments; i++) {
                stage->props[i].fd = memfd_create("segment", MFD_CLOEXEC);
                must(stage->props[i].fd, "memfd_create");
                must(ftruncate(stage->props[i].fd, 256 << 20), "ftruncate");
        }
}

static void end_claim(Stage *stage, Player *player)
{
        if (!player->claim)
                return;
        if (player->open_bytes)
                must(ch_bucket_uncharge_bulk(stage->slot, player->claim, PAGE_BYTES,
                                             player->open_bytes / PAGE_BYTES),
                     "ending a claim");
        player->claim = ch_bucket_unref(player->claim);
        player->open_bytes = 0;
}

static void use_claim(Stage *stage, Player *player, uint64_t bytes)
{
        uint64_t used = min_u64(bytes, player->open_bytes);

        if (used == 0)
                return;
        must(ch_bucket_uncharge_bulk(stage->slot, player->claim, PAGE_BYTES, used / PAGE_BYTES),
             "using a claim");
        player->open_bytes -= used;
}

static void add_asked(Stage *stage, const Player *player, uint64_t plus, uint64_t minus)
{
        for (uint32_t i = player->group; i != NO_INDEX; i = stage->trace->groups[i].parent)
                stage->places[i].asked_bytes += plus - minus;
}

static void leave(Stage *stage, uint32_t index)
{
        Player *player = &stage->players[index];

        if (player->group == NO_INDEX)
                return;
        actor_end(&player->actor);
        add_asked(stage, player, 0, stage_bytes(stage, stage->trace->members[index].bytes));
        end_claim(stage, player);
        player->group = NO_INDEX;
}

static uint64_t users_in(const Stage *stage, uint32_t segment, uint32_t group)
{
        uint64_t n = 0;

        for (uint32_t i = 0; i < stage->trace->n_members; i++)
                n += stage->players[i].group != NO_INDEX &&
                     stage->trace->members[i].segment == segment &&
                     (group == NO_INDEX || stage->players[i].group == group);
        return n;
}

/* The charge map of this program while it has nothing but the segment as shared memory. To read
 * what is there already charges nobody. */
static void map_segment(const Stage *stage, uint32_t segment, ch_map **ret)
{
        const Prop *prop = &stage->props[segment];
        const volatile char *area;
        ch_error *err = NULL;
        ch_procset *set;
        char sum = 0;

        area = mmap(NULL, prop->touched_bytes, PROT_READ, MAP_SHARED, prop->fd, 0);
        if (area == MAP_FAILED)
                wrong("mmap: %s", strerror(errno));
        for (uint64_t at = 0; at < prop->touched_bytes; at += PAGE_BYTES)
                sum = (char)(sum ^ area[at]);
        (void)sum;
        must(ch_procset_new(&set), "a set of processes");
        must(ch_procset_add_pid(set, getpid(), NULL), "this process");
        if (ch_map_new(stage->tree, ret, &err) < 0 ||
            ch_map_add_process(*ret, ch_procset_get(set, 0), &err) < 0)
                wrong("a charge map: %s", ch_error_get_cause(err));
        (void)ch_procset_free(set);
        (void)munmap((void *)(uintptr_t)area, prop->touched_bytes);
}

/* What a segment's pages are charged to, as the kernel tells it, beside the share of its users in
 * each group. */
static uint64_t strayed_of(const Stage *stage, uint32_t segment)
{
        uint64_t strayed = 0, bytes, users = users_in(stage, segment, NO_INDEX);
        ch_map *map;

        if (users < 2 || stage->props[segment].touched_bytes == 0)
                return 0;
        map_segment(stage, segment, &map);
        bytes = ch_map_sum(map, CH_GROUP_ID_ANY, CH_KIND_SHMEM);
        for (size_t i = 0; i < stage->n_candidates; i++) {
                uint32_t group = stage->candidates[i];
                uint64_t charged =
                        ch_map_sum(map, ch_group_get_id(stage->places[group].group), CH_KIND_SHMEM);

                strayed += sub_u64(charged, bytes / users * users_in(stage, segment, group));
        }
        (void)ch_map_free(map);
        return strayed;
}

static uint64_t used_bytes(const Stage *stage)
{
        uint64_t sum = 0;

        for (uint32_t i = 0; i < stage->trace->n_groups; i++)
                if (stage->trace->groups[i].parent == NO_INDEX)
                        sum += stage_read(stage->places[i].group, "memory.current");
        return sum;
}

static void look(Play *play, uint64_t usec)
{
        double seconds = (double)(usec - play->looked_usec) / USEC_PER_SEC;
        uint64_t strayed = 0;

        play->measures->strayed_mib_seconds += play->strayed_mib * seconds;
        play->measures->used_mib_seconds += play->used_mib * seconds;
        for (uint32_t i = 0; i < play->stage.trace->n_segments; i++)
                strayed += strayed_of(&play->stage, i);
        play->strayed_mib = (double)strayed / (double)MIB;
        play->used_mib = (double)used_bytes(&play->stage) / (double)MIB;
        play->looked_usec = usec;
}

static void on_request(Play *play, uint32_t index)
{
        Stage *stage = &play->stage;
        Player *player = &stage->players[index];
        uint32_t segment = stage->trace->members[index].segment, group;
        char text[16];
        uint64_t begin;
        int r;

        play->measures->requests++;
        actor_start(&player->actor, segment == NO_INDEX ? -1 : stage->props[segment].fd,
                    segment == NO_INDEX ? 0 : stage->props[segment].touched_bytes);
        begin = now_usec();
        r = play->planner->place(stage, play->planner, index, &group);
        play->measures->decision_usec += now_usec() - begin;
        if (r < 0) {
                if (r != -ENOSPC)
                        must(r, "placing");
                play->measures->refused++;
                actor_end(&player->actor);
                return;
        }
        (void)snprintf(text, sizeof(text), "%d", player->actor.pid);
        write_file(stage->places[group].group, "cgroup.procs", text);
        player->group = group;
        add_asked(stage, player, stage_bytes(stage, stage->trace->members[index].bytes), 0);
}

/* A claim that is used is no longer open before the kernel charges, so that nothing counts twice.
 */
static void on_grow(Play *play, const Event *event)
{
        Player *player = &play->stage.players[event->index];
        uint64_t bytes = stage_bytes(&play->stage, event->bytes);

        if (player->group == NO_INDEX)
                return;
        use_claim(&play->stage, player, sub_u64(bytes, player->private_bytes));
        player->private_bytes = bytes;
        if (actor_grow(&player->actor, bytes) < 0) {
                play->measures->killed++;
                leave(&play->stage, event->index);
        }
}

static void on_touch(Play *play, const Event *event)
{
        Stage *stage = &play->stage;
        Player *player = &stage->players[event->index];
        Prop *prop = &stage->props[stage->trace->members[event->index].segment];
        uint64_t bytes = stage_bytes(stage, event->bytes);

        if (player->group == NO_INDEX)
                return;
        use_claim(stage, player, bytes);
        if (actor_touch(&player->actor, prop->touched_bytes, prop->touched_bytes + bytes) < 0) {
                play->measures->killed++;
                leave(stage, event->index);
                return;
        }
        prop->touched_bytes += bytes;
}

static void on_exit_(Play *play, const Event *event)
{
        Stage *stage = &play->stage;
        uint32_t segment = stage->trace->members[event->index].segment;

        if (stage->players[event->index].group == NO_INDEX)
                return;
        /* whom the kernel killed while another one grew */
        if (actor_grow(&stage->players[event->index].actor,
                       stage->players[event->index].private_bytes) < 0)
                play->measures->killed++;
        leave(stage, event->index);
        if (segment == NO_INDEX)
                return;
        for (uint32_t i = 0; i < stage->trace->n_members; i++)
                if (stage->players[i].group != NO_INDEX &&
                    stage->trace->members[i].segment == segment)
                        return;
        /* nobody has it mapped: its pages go, as those of a memfd whose last user has gone */
        must(ftruncate(stage->props[segment].fd, 0), "ftruncate");
        must(ftruncate(stage->props[segment].fd, 256 << 20), "ftruncate");
        stage->props[segment].touched_bytes = 0;
}

static void play_event(Play *play, const Event *event)
{
        switch (event->kind) {
        case EVENT_REQUEST:
                on_request(play, event->index);
                break;
        case EVENT_GROW:
                on_grow(play, event);
                break;
        case EVENT_TOUCH:
                on_touch(play, event);
                break;
        case EVENT_EXIT:
                on_exit_(play, event);
                break;
        case EVENT_MKDIR: /* all groups are there from the start … */
        case EVENT_RMDIR: /* … to the end */
        case EVENT_KIND_MAX_:
                break;
        }
}

static uint64_t count_events(ch_group *group, const char *key)
{
        _cleanup_(freep) char *text = NULL;
        size_t length = strlen(key);
        uint64_t value = 0;

        must(ch_group_read_file(group, "memory.events.local", &text, NULL, NULL),
             "memory.events.local");
        for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, key, length) == 0 && line[length] == ' ')
                        (void)parse_u64(line + length + 1, &value, (const char *[]){ NULL });
        return value;
}

static void stage_close(Stage *stage, StageMeasures *measures)
{
        const Trace *trace = stage->trace;
        ch_error *err = NULL;

        for (uint32_t i = 0; i < trace->n_members; i++)
                leave(stage, i);
        for (uint32_t i = 0; i < trace->n_segments; i++)
                (void)close(stage->props[i].fd);
        for (size_t i = trace->n_groups; i-- > 0;) {
                measures->max_events += count_events(stage->places[i].group, "max");
                measures->oom_kills += count_events(stage->places[i].group, "oom_kill");
                (void)ch_group_unref(stage->places[i].group);
                must(ch_account_remove(stage->places[i].claims), "removing an account");
                if (ch_tree_remove_group(stage->tree, trace->groups[i].path, 0, &err) < 0)
                        wrong("%s: %s", trace->groups[i].path, ch_error_get_cause(err));
        }
        (void)ch_slot_put(stage->slot);
        ch_ledger_drain(stage->ledger, NULL);
        must(ch_ledger_free(stage->ledger), "the ledger of claims");
        (void)ch_group_unref(stage->launch);
        (void)ch_tree_unref(stage->tree);
        free(stage->places);
        free(stage->paths);
        free(stage->candidates);
        free(stage->players);
        free(stage->props);
}

void stage_play(const Trace *trace, const StagePlanner *planner, const char *root, uint64_t scale,
                StageMeasures *ret)
{
        Play play = {
                .stage = {.trace = trace, .scale = scale},
                  .planner = planner, .measures = ret
        };

        *ret = (StageMeasures){};
        stage_open(&play.stage, root);
        for (size_t i = 0; i < trace->n_events; i++) {
                play_event(&play, &trace->events[i]);
                if (i % LOOK_EVERY == 0)
                        look(&play, trace->events[i].usec);
        }
        stage_close(&play.stage, ret);
}
