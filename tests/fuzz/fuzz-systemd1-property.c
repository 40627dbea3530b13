/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of properties. The input is lines "Name signature words…": each becomes a property of a call,
 * with values of that type, right or wrong. What is taken is merged, told, written and kept as text.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../../daemon/log.h"
#include "../../daemon/systemd1/property-row.h"
#include "fuzz.h"
#include "util.h"

static sd_bus *bus;

static void must(int good)
{
        if (!good)
                abort();
}

/* A bus that nobody is at, to make messages with. */
static void make_bus(void)
{
        int pair[2];

        if (bus)
                return;
        log_set_max_level(LOG_EMERG);
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        must(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, pair[0], pair[0]) >= 0 &&
             sd_bus_start(bus) >= 0);
}

/* Words become what the signature asks for; where they end, zeros and empty strings go on. */
static int append_any(sd_bus_message *message, const char *signature, char **words)
{
        size_t length = signature_first(signature);
        char contents[64], *word;
        uint64_t number;
        uint32_t u;
        uint16_t q;
        uint8_t y;
        unsigned n;
        int r = 0;

        if (*signature == 'a' || *signature == '(') {
                (void)snprintf(contents, sizeof(contents), "%.*s",
                               (int)length - (*signature == 'a' ? 1 : 2), signature + 1);
                word = *signature == 'a' ? strsep(words, " ") : NULL;
                n = word ? (unsigned)strtoul(word, NULL, 0) % 8 : *signature == '(';
                r = sd_bus_message_open_container(message, *signature == 'a' ? 'a' : 'r', contents);
                for (; r >= 0 && n > 0; n--)
                        for (size_t i = 0; r >= 0 && contents[i]; i += signature_first(contents + i))
                                r = append_any(message, contents + i, words);
                return r < 0 ? r : sd_bus_message_close_container(message);
        }
        word = strsep(words, " ");
        if (strchr("sog", *signature))
                return sd_bus_message_append_basic(message, *signature, word ? word : "");
        number = word ? strtoull(word, NULL, 0) : 0;
        y = (uint8_t)number;
        q = (uint16_t)number;
        u = (uint32_t)number;
        return sd_bus_message_append_basic(message, *signature,
                                           number_size(*signature) == 8   ? (void *)&number
                                           : number_size(*signature) == 2 ? (void *)&q
                                           : *signature == 'y'            ? (void *)&y
                                                                          : (void *)&u);
}

static int append_line(sd_bus_message *message, char *line)
{
        char *words = line, *name = strsep(&words, " "), *signature = strsep(&words, " ");
        int r = sd_bus_message_open_container(message, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(message, 's', name);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', signature);
        if (r >= 0)
                r = append_any(message, signature, &words);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

/* One complete type that can be made from words, and a name. */
static int line_is_good(const char *line)
{
        const char *signature = strchr(line, ' ');
        size_t length;
        sd_bus_message *probe = NULL;
        char text[32];
        int r;

        if (!signature)
                return 0;
        signature++;
        length = strcspn(signature, " ");
        if (length == 0 || length >= sizeof(text) ||
            strspn(signature, "abynqiuxtsog()") < length)
                return 0;
        memcpy(text, signature, length);
        text[length] = '\0';
        must(sd_bus_message_new_method_call(bus, &probe, NULL, "/", "a.b", "C") >= 0);
        r = sd_bus_message_open_container(probe, 'v', text);
        sd_bus_message_unref(probe);
        return r >= 0;
}

static sd_bus_message *make_call(char *text)
{
        sd_bus_message *message = NULL;
        int r;

        must(sd_bus_message_new_method_call(bus, &message, NULL, "/", "a.b", "C") >= 0);
        r = sd_bus_message_open_container(message, 'a', "(sv)");
        for (char *line; r >= 0 && (line = strsep(&text, "\n"));)
                if (line_is_good(line))
                        r = append_line(message, line);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r >= 0)
                r = sd_bus_message_seal(message, 1, 0);
        if (r >= 0)
                r = sd_bus_message_rewind(message, 1);
        return r < 0 ? sd_bus_message_unref(message) : message;
}

static void use(const PropertySet *set)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) char *second = NULL;
        PropertySet again = { 0 };
        FileWrites writes = { 0 };
        sd_bus_message *reply = NULL;

        must(property_file_writes(set, NULL, &writes) >= 0);
        file_writes_done(&writes);
        must(sd_bus_message_new_method_call(bus, &reply, NULL, "/", "a.b", "C") >= 0);
        for (size_t i = 0; i < property_count(); i++)
                if (!(property_flags(property_get(i)) & PROPERTY_SECRET))
                        must(property_append(reply, property_get(i), set, -1) >= 0);
        sd_bus_message_unref(reply);
        must(property_set_to_text(set, &text) >= 0);
        must(property_set_from_text(text, &again) >= 0);
        must(property_set_to_text(&again, &second) >= 0);
        must(streq(text, second));
        property_set_done(&again);
}

/* Twice: the second time on top of what is there. */
static void run(const uint8_t *data, size_t size, UnitKind kind, PropertySet *set, int is_new)
{
        _cleanup_(freep) char *text = strndup((const char *)data, size);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        PropertyChanges changes = { 0 };
        FileWrites writes = { 0 };
        sd_bus_message *message = text ? make_call(text) : NULL;

        if (message && property_changes_read(message, kind, is_new, 0, &changes, &error) < 0)
                must(sd_bus_error_is_set(&error) && *error.message && changes.set.n == 0);
        must(property_set_merge(set, &changes) >= 0);
        must(property_file_writes(set, &changes.set, &writes) >= 0);
        file_writes_done(&writes);
        property_changes_done(&changes);
        sd_bus_error_free(&error);
        sd_bus_message_unref(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PropertySet set = { 0 }, strange = { 0 };
        _cleanup_(freep) char *text = strndup((const char *)data, size);
        UnitKind kind;

        make_bus();
        if (!text || size == 0)
                return 0;
        kind = data[0] & 1 ? UNIT_SCOPE : UNIT_SLICE;
        run(data + 1, size - 1, kind, &set, 1);
        run(data + 1, size - 1, kind, &set, 0);
        use(&set);
        property_set_done(&set);
        must(property_set_from_text(text, &strange) >= 0);
        use(&strange);
        property_set_done(&strange);
        return 0;
}
