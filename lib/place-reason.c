/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a candidate has the score it has, in a sentence. Pure. */

#include <stdio.h>

#include "place.h"
#include "units.h"
#include "util.h"

enum {
        PATH_SHOWN_BYTES = 64, /* of a longer path the end, which tells it from its siblings */
        PRESSURE_TOLD_PERMYRIAD = 100,
        SHARE_TOLD_PERMYRIAD =
                5000, /* what is left of another limit, below which it is worth a word */
};

typedef struct Sentence {
        char *text;
        size_t size, length;
} Sentence;

/* A clause that does not fit is left out as a whole; so are those after it, which matter less. */
__attribute__((format(printf, 2, 3))) static void say(Sentence *s, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(s->text + s->length, s->size - s->length, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < s->size - s->length) {
                s->length += (size_t)n;
                return;
        }
        s->text[s->length] = '\0';
        s->size = s->length + 1;
}

typedef struct ShortPath {
        char text[PATH_SHOWN_BYTES + 8];
} ShortPath;

static const char *shorten(const char *path, ShortPath *buffer)
{
        size_t length = strlen(path);
        const char *tail = path;

        if (length > PATH_SHOWN_BYTES) {
                tail = path + length - PATH_SHOWN_BYTES;
                while (((unsigned char)*tail & 0xc0) == 0x80)
                        tail++;
        }
        (void)snprintf(buffer->text, sizeof(buffer->text), "%s%s", tail == path ? "" : "…", tail);
        return buffer->text;
}

/* As much of a sentence of others as there is room for, cut between characters. */
static void say_shortened(Sentence *s, const char *text)
{
        size_t room = s->size - s->length - sizeof("…"), length = strlen(text);

        if (length > room) {
                length = room;
                while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
                        length--;
        }
        say(s, "%.*s%s", (int)length, text, text[length] ? "…" : "");
}

static void say_level(Sentence *s, const ch_place_level *level)
{
        char limit[CH_FORMAT_MAX], used[CH_FORMAT_MAX], cache[CH_FORMAT_MAX],
                claimed[CH_FORMAT_MAX];
        int has_cache = level->cache_bytes && level->cache_bytes >= level->used_bytes / 10;

        say(s, " (%s %s, %s used%s%s%s%s%s)",
            level->limit && *level->limit ? level->limit : "limit",
            ch_format_bytes(level->limit_bytes, limit), ch_format_bytes(level->used_bytes, used),
            has_cache ? ", of it " : "",
            has_cache ? ch_format_bytes(level->cache_bytes, cache) : "", has_cache ? " cache" : "",
            level->claimed_bytes ? ", claimed " : "",
            level->claimed_bytes ? ch_format_bytes(level->claimed_bytes, claimed) : "");
}

static void say_at(Sentence *s, const ch_place_level *level)
{
        ShortPath path = { "" };

        if (level->path)
                say(s, " at %s", shorten(level->path, &path));
        say_level(s, level);
}

static void say_lack(Sentence *s, const ch_place_facts *facts, const ch_place_score *score)
{
        char lacks[CH_FORMAT_MAX], needed[CH_FORMAT_MAX], slack[CH_FORMAT_MAX];

        say(s, "lacks %s of %s", ch_format_bytes(score->short_bytes, lacks),
            ch_format_bytes(score->needed_bytes, needed));
        say_at(s, &score->level);
        if (score->short_bytes <= facts->slack_bytes)
                say(s, "; up to %s of the use may be stocks of the CPUs",
                    ch_format_bytes(facts->slack_bytes, slack));
}

static void say_room(Sentence *s, const PlaceRoom *room, const ch_place_score *score)
{
        char left[CH_FORMAT_MAX];
        ShortPath path = { "" };

        if (score->level.limit_bytes == UINT64_MAX) {
                say(s, "fits: there is no limit above it");
                return;
        }
        say(s, "fits: %s free after it", ch_format_bytes(room->left_bytes, left));
        say_at(s, &score->level);
        if (room->tightest && room->level.path && room->left_permyriad < SHARE_TOLD_PERMYRIAD &&
            !streq(room->tightest, room->level.path))
                say(s, ", %u %% of %s", room->left_permyriad / 100, shorten(room->tightest, &path));
}

static void say_pressure(Sentence *s, const ch_place_facts *facts)
{
        static const char *const words[] = { "memory", "CPU", "IO" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (facts->pressure_permyriad[i] >= PRESSURE_TOLD_PERMYRIAD)
                        say(s, "; waits for %s %u %% of the time", words[i],
                            facts->pressure_permyriad[i] / 100);
        if (facts->pressure_unknown)
                say(s, "; its pressure is not told by the kernel");
}

/* A hundredth of what there is, and less, is not worth a word: everything shares and leaves a few
 * pages. */
static void say_memory(Sentence *s, const ch_place_source *source, const ch_place_facts *facts)
{
        const struct {
                const char *before, *after;
                uint64_t bytes;
        } rows[] = {
                {"; shares ",  " with processes there",              facts->shared_here_bytes },
                { "; ",        " would be shared with other groups", facts->shared_apart_bytes},
                { "; leaves ", " on other accounts",                 facts->left_bytes        },
        };
        char bytes[CH_FORMAT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].bytes > source->resident_bytes / 100)
                        say(s, "%s%s%s", rows[i].before, ch_format_bytes(rows[i].bytes, bytes),
                            rows[i].after);
}

static void say_limits(Sentence *s, const ch_place_request *request, const ch_place_score *score,
                       const ch_place_facts *facts)
{
        char list[CH_PLACE_NODES_FORMAT_MAX];

        if (score->terms[CH_PLACE_TERM_NODES] < PERMYRIAD)
                say(s, "; may use nodes %s only", ch_place_nodes_format(facts->nodes, list));
        if (score->terms[CH_PLACE_TERM_CPU] < PERMYRIAD)
                say(s, "; %llu.%02u of %u.%02u CPUs are free",
                    (unsigned long long)(sub_u64(facts->cpus_milli, facts->cpus_used_milli) / 1000),
                    (unsigned)(sub_u64(facts->cpus_milli, facts->cpus_used_milli) % 1000 / 10),
                    request->cpus_milli / 1000, request->cpus_milli % 1000 / 10);
}

void place_explain(const ch_place_request *request, const ch_place_source *source,
                   const ch_place_facts *facts, const PlaceRoom *room, ch_place_score *score)
{
        Sentence s = { .text = score->reason, .size = sizeof(score->reason) };

        s.text[0] = '\0';
        if (facts->refused) {
                say_shortened(&s, facts->refused);
                return;
        }
        if (!score->fits) {
                say_lack(&s, facts, score);
                return;
        }
        say_room(&s, room, score);
        say_memory(&s, source, facts);
        say_limits(&s, request, score, facts);
        say_pressure(&s, facts);
}
