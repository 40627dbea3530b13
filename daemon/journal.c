/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes and reads the journal of moves in flight. */

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "journal.h"
#include "log.h"
#include "statefile.h"
#include "util.h"

#define RECORD_MAX (64U << 20)

static int open_moves(int state_fd)
{
        int fd;

        if (mkdirat(state_fd, "moves", 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(state_fd, "moves", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static int make_entry(uint32_t job, uint32_t uid, ch_step step, json_object *record,
                      json_object **ret)
{
        json_object *entry = json_object_new_object();

        if (!entry)
                return -ENOMEM;
        statefile_stamp(entry);
        json_object_object_add(entry, "job", json_object_new_uint64(job));
        json_object_object_add(entry, "uid", json_object_new_uint64(uid));
        json_object_object_add(entry, "step", json_object_new_string(ch_step_to_string(step)));
        json_object_object_add(entry, "record", json_object_get(record));
        *ret = entry;
        return 0;
}

int journal_write(int state_fd, uint32_t job, uint32_t uid, ch_step step, json_object *record,
                  ch_error **err)
{
        _cleanup_(closep) int dir_fd = open_moves(state_fd);
        json_object *entry;
        char name[32];
        int r = dir_fd;

        (void)snprintf(name, sizeof(name), "%u.json", job);
        if (r >= 0)
                r = make_entry(job, uid, step, record, &entry);
        if (r < 0)
                return error_errno(err, r, "moves", "open of the state directory");
        r = statefile_write(dir_fd, job, entry, STATEFILE_SYNCED);
        json_object_put(entry);
        return r < 0 ? error_errno(err, r, name, "write") : 0;
}

void journal_remove(int state_fd, uint32_t job)
{
        _cleanup_(closep) int dir_fd = open_moves(state_fd);
        char name[32];

        snprintf(name, sizeof(name), "%u.json", job);
        if (dir_fd >= 0 && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                log_warning("the journal entry %s cannot be removed: %s", name, strerror(errno));
}

static uint32_t get_number(json_object *entry, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(entry, key, &value)
                       ? (uint32_t)json_object_get_uint64(value)
                       : 0;
}

/* The entry of a file, or NULL with the reason why it is of no use. */
static json_object *read_entry(int dir_fd, const char *name, const char **ret_reason)
{
        _cleanup_(freep) char *text = NULL;
        json_object *entry;

        *ret_reason = "it cannot be read";
        if (read_file_at(dir_fd, name, RECORD_MAX, &text, NULL) < 0)
                return NULL;
        entry = json_tokener_parse(text);
        *ret_reason = "it is not a journal entry";
        if (entry && get_number(entry, "job") > 0 &&
            json_object_object_get_ex(entry, "record", NULL)) {
                if (statefile_is_current(entry))
                        return entry;
                *ret_reason = "it is of an earlier boot: its processes are gone";
        }
        json_object_put(entry);
        return NULL;
}

static int give_entry(int dir_fd, const char *name, journal_func func, void *userdata)
{
        _cleanup_(freep) char *aside = NULL;
        json_object *entry, *record;
        const char *reason;
        int r;

        entry = read_entry(dir_fd, name, &reason);
        if (!entry) {
                log_warning("journal entry %s is put aside: %s", name, reason);
                if (asprintf(&aside, "%s.old", name) >= 0)
                        (void)renameat(dir_fd, name, dir_fd, aside);
                return 0;
        }
        record = json_object_object_get(entry, "record");
        r = func(get_number(entry, "job"), get_number(entry, "uid"), record, userdata);
        json_object_put(entry);
        return r < 0 ? r : 1;
}

static int is_entry(const struct dirent *entry)
{
        const char *dot = strchr(entry->d_name, '.');

        return dot && streq(dot, ".json");
}

int journal_read_all(int state_fd, journal_func func, void *userdata, ch_error **err)
{
        _cleanup_(closep) int dir_fd = open_moves(state_fd);
        struct dirent **entries = NULL;
        int n, given = 0, r = dir_fd;

        if (r < 0)
                return error_errno(err, r, "moves", "open of the state directory");
        n = scandirat(dir_fd, ".", &entries, is_entry, versionsort);
        for (int i = 0; i < n; i++) {
                r = give_entry(dir_fd, entries[i]->d_name, func, userdata);
                given += r > 0;
                if (r < 0)
                        log_warning("the move of journal entry %s cannot be recovered: %s",
                                    entries[i]->d_name, strerror(-r));
                free(entries[i]);
        }
        free(entries);
        return given;
}
