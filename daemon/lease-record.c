/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes the records of leases. */

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "lease-record.h"
#include "log.h"
#include "statefile.h"
#include "util.h"

#define RECORD_MAX 65536

static const struct {
        const char *key;
        size_t offset;
} numbers[] = {
        {"claim",       offsetof(ClaimRecord, id)        },
        { "bytes",      offsetof(ClaimRecord, bytes)     },
        { "group_id",   offsetof(ClaimRecord, group_id)  },
        { "since_usec", offsetof(ClaimRecord, since_usec)},
};

static const struct {
        const char *key;
        size_t offset;
} texts[] = {
        {"group",     offsetof(ClaimRecord, group)   },
        { "made_for", offsetof(ClaimRecord, made_for)},
        { "note",     offsetof(ClaimRecord, note)    },
};

static json_object *record_to_json(const ClaimRecord *record)
{
        json_object *object = json_object_new_object();

        if (!object)
                return NULL;
        statefile_stamp(object);
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                json_object_object_add(object, numbers[i].key,
                                       json_object_new_uint64(*(
                                               const uint64_t *)((const char *)record +
                                                                 numbers[i].offset)));
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                json_object_object_add(
                        object, texts[i].key,
                        json_object_new_string(
                                *(char *const *)((const char *)record + texts[i].offset)));
        json_object_object_add(object, "uid", json_object_new_uint64(record->uid));
        json_object_object_add(object, "pid", json_object_new_uint64(record->pid));
        return object;
}

int lease_record_write(int dir_fd, const ClaimRecord *record)
{
        json_object *object = record_to_json(record);
        int r;

        if (!object)
                return -ENOMEM;
        r = statefile_write(dir_fd, record->id, object, STATEFILE_KEPT);
        json_object_put(object);
        return r;
}

static uint64_t get_number(json_object *object, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

static const char *get_text(json_object *object, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(object, key, &value) &&
                               json_object_is_type(value, json_type_string)
                       ? json_object_get_string(value)
                       : "";
}

static int record_from_json(json_object *object, ClaimRecord *ret)
{
        if (!statefile_is_current(object))
                return -ESTALE;
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                *(uint64_t *)((char *)ret + numbers[i].offset) =
                        get_number(object, numbers[i].key);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                char *text = strdup(get_text(object, texts[i].key));

                if (!text)
                        return -ENOMEM;
                *(char **)((char *)ret + texts[i].offset) = text;
        }
        ret->uid = (uint32_t)get_number(object, "uid");
        ret->pid = (uint32_t)get_number(object, "pid");
        return ch_path_check(ret->group, NULL) < 0 || ch_path_check(ret->made_for, NULL) < 0 ||
                               ret->bytes == 0 || ret->bytes > CLAIM_BYTES_MAX ||
                               strlen(ret->note) > CLAIM_NOTE_MAX
                       ? -EINVAL
                       : 0;
}

int lease_record_read(int dir_fd, uint64_t claim, ClaimRecord *ret)
{
        _cleanup_(freep) char *text = NULL;
        json_object *object;
        char name[32];
        int r;

        (void)snprintf(name, sizeof(name), "%llu.json", (unsigned long long)claim);
        r = read_file_at(dir_fd, name, RECORD_MAX, &text, NULL);
        if (r < 0)
                return r;
        *ret = (ClaimRecord){ 0 };
        object = json_tokener_parse(text);
        r = json_object_is_type(object, json_type_object) ? record_from_json(object, ret) : -EINVAL;
        json_object_put(object);
        if (r >= 0 && ret->id != claim)
                r = -EINVAL;
        if (r < 0)
                claim_record_done(ret);
        return r;
}

void lease_record_remove(int dir_fd, uint64_t claim)
{
        char name[32];

        (void)snprintf(name, sizeof(name), "%llu.json", (unsigned long long)claim);
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                log_warning("the record claims/%s cannot be removed: %s", name, strerror(errno));
}

void lease_record_tidy(int dir_fd)
{
        struct dirent **entries = NULL;
        int n;

        n = scandirat(dir_fd, ".", &entries, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                const char *name = entries[i]->d_name;
                size_t digits = strspn(name, "0123456789");
                _cleanup_(freep) char *fifo = strndup(name, digits);

                if (digits > 0 && fifo &&
                    (streq(name + digits, ".tmp") ||
                     (streq(name + digits, ".json") && faccessat(dir_fd, fifo, F_OK, 0) < 0)))
                        (void)unlinkat(dir_fd, name, 0);
                free(entries[i]);
        }
        free(entries);
}
