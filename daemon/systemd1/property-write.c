/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From properties to the text of files, as the original writes it; and the writing. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "log.h"
#include "property-row.h"
#include "util.h"

enum { TEXT_MAX = 160, WEIGHT_DEFAULT = 100 };

typedef struct Writer {
        const PropertySet *set;
        const PropertySet *changes; /* NULL: all that is set */
        FileWrites *writes;
        unsigned once; /* 1 << PROPERTY_CONVERT: done, for those that several rows share */
} Writer;

typedef int (*Convert)(Writer *writer, const Property *row);

void file_writes_done(FileWrites *writes)
{
        for (size_t i = 0; i < writes->n; i++)
                free(writes->items[i].text);
        free(writes->items);
        *writes = (FileWrites){ 0 };
}

static int add_write(Writer *writer, unsigned attr, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static int add_write(Writer *writer, unsigned attr, const char *format, ...)
{
        FileWrites *writes = writer->writes;
        va_list ap;
        char *text;
        int r = array_reserve(&writes->items, &writes->allocated, writes->n + 1,
                              sizeof(*writes->items));

        if (r < 0)
                return r;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        writes->items[writes->n++] = (FileWrite){ ch_attr_get(attr - 1), NULL, text };
        return 0;
}

/* "N" or "max" */
static const char *format_limit(uint64_t limit, char buffer[static 24])
{
        if (limit == UINT64_MAX)
                return "max";
        (void)snprintf(buffer, 24, "%" PRIu64, limit);
        return buffer;
}

static int done_once(Writer *writer, const Property *row)
{
        unsigned bit = 1u << row->convert;
        int done = (writer->once & bit) != 0;

        writer->once |= bit;
        return done;
}

static int write_limit(Writer *writer, const Property *row)
{
        char buffer[24];

        return add_write(writer, row->attr, "%s",
                         format_limit(property_get_number(writer->set, property_id(row)), buffer));
}

static int write_bool(Writer *writer, const Property *row)
{
        return add_write(writer, row->attr, "%d", property_get_bool(writer->set, property_id(row)));
}

/* "0-3,8" of a mask, low bits first. Caller frees. */
static char *format_mask(const PropertyValue *mask)
{
        const uint8_t *bytes = mask->data;
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);
        const char *comma = "";

        if (!file)
                return NULL;
        for (unsigned i = 0; i < mask->size * 8; i++) {
                unsigned first = i;

                while (i < mask->size * 8 && (bytes[i / 8] >> i % 8) & 1)
                        i++;
                if (i == first)
                        continue;
                (void)fprintf(file, i - first > 1 ? "%s%u-%u" : "%s%u", comma, first, i - 1);
                comma = ",";
        }
        if (fclose(file) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static int write_cpus(Writer *writer, const Property *row)
{
        const PropertyValue *mask = property_set_find(writer->set, property_id(row));
        _cleanup_(freep) char *text = format_mask(mask);

        return text ? add_write(writer, row->attr, "%s", text) : -ENOMEM;
}

/* cpu.idle goes first: a weight is refused while the group is idle. */
static int write_cpu_weight(Writer *writer, const Property *row)
{
        uint64_t weight = property_get_number(writer->set, PROP_CPU_WEIGHT);
        uint64_t shares = property_get_number(writer->set, PROP_CPU_SHARES);
        int r;

        if (done_once(writer, row))
                return 0;
        r = add_write(writer, ATTR_CPU_IDLE, "%d", weight == 0);
        if (r < 0 || weight == 0)
                return r;
        if (weight == UINT64_MAX && shares != UINT64_MAX) {
                weight = shares * 100 / 1024;
                weight = weight < 1 ? 1 : min_u64(weight, 10000);
        }
        return add_write(writer, ATTR_CPU_WEIGHT, "%" PRIu64,
                         weight == UINT64_MAX ? WEIGHT_DEFAULT : weight);
}

/* The kernel takes periods of 1 ms to 1 s, and no quota below 1 ms. */
static int write_cpu_max(Writer *writer, const Property *row)
{
        enum { PERIOD_DEFAULT = 100000, PERIOD_MIN = 1000, QUOTA_MIN = 1000 };
        const uint64_t second = 1000000;
        uint64_t quota = property_get_number(writer->set, PROP_CPU_QUOTA_PER_SEC_USEC);
        uint64_t period = property_get_number(writer->set, PROP_CPU_QUOTA_PERIOD_USEC);
        uint64_t needed;
        unsigned __int128 text;

        if (done_once(writer, row))
                return 0;
        if (quota == UINT64_MAX)
                return add_write(writer, ATTR_CPU_MAX, "max %d", PERIOD_DEFAULT);
        if (period == UINT64_MAX)
                period = PERIOD_DEFAULT;
        needed = QUOTA_MIN * second / quota;
        period = period > PERIOD_MIN ? period : PERIOD_MIN;
        period = min_u64(period > needed ? period : needed, second);
        text = (unsigned __int128)quota * period / second;
        if (text < QUOTA_MIN)
                text = QUOTA_MIN;
        if (text >= UINT64_MAX)
                text = UINT64_MAX - 1;
        return add_write(writer, ATTR_CPU_MAX, "%" PRIu64 " %" PRIu64, (uint64_t)text, period);
}

/* ---- io ---- */

/* cgroup v1's names count only where nothing of v2's was given. */
static int uses_block_io(const PropertySet *set)
{
        if (property_get_bool(set, PROP_IO_ACCOUNTING))
                return 0;
        for (unsigned id = PROP_IO_WEIGHT; id <= PROP_IO_DEVICE_LATENCY_TARGET_USEC; id++)
                if (property_is_set(set, id))
                        return 0;
        return 1;
}

static int is_block_io(const Property *row)
{
        return property_id(row) >= PROP_BLOCK_IO_ACCOUNTING;
}

static uint64_t block_io_weight(uint64_t weight)
{
        weight = weight * 100 / 500;
        return weight < 1 ? 1 : min_u64(weight, 10000);
}

/* bfq knows 1 to 1000, with 100 in the middle as io.weight has it. */
static uint64_t bfq_weight(uint64_t weight)
{
        return weight <= 100 ? 100 - (100 - weight) * 99 / 99 : 100 + (weight - 100) * 900 / 9900;
}

static int write_io_weight(Writer *writer, const Property *row)
{
        uint64_t weight = property_get_number(writer->set, property_id(row));
        int r;

        if (is_block_io(row) && !uses_block_io(writer->set))
                return 0;
        if (weight == UINT64_MAX)
                weight = WEIGHT_DEFAULT;
        else if (is_block_io(row))
                weight = block_io_weight(weight);
        r = add_write(writer, ATTR_IO_WEIGHT, "default %" PRIu64, weight);
        return r < 0 ? r : add_write(writer, ATTR_IO_BFQ_WEIGHT, "%" PRIu64, bfq_weight(weight));
}

/* The entries of a row that have to be written. */
static Cursor named_entries(const Writer *writer, const Property *row)
{
        const PropertyValue *change =
                writer->changes ? property_set_find(writer->changes, property_id(row)) : NULL;

        if (!change || (change->flags & PROPERTY_VALUE_CLEAR))
                return cursor_of(property_set_find(writer->set, property_id(row)));
        return cursor_of(change);
}

static int resolve(const Property *row, const char *path, char number[static 32])
{
        unsigned major_, minor_;
        int r = device_number(path, &major_, &minor_);

        if (r == -ENOTBLK)
                log_warning("%s: %s is no block device; left out", row->name, path);
        else if (r < 0)
                log_warning("%s: %s: %s; left out", row->name, path, strerror(-r));
        else
                (void)snprintf(number, 32, "%u:%u", major_, minor_);
        return r;
}

static int write_device_weight(Writer *writer, const Property *row)
{
        Cursor cursor = named_entries(writer, row);
        int r = 0;

        if (is_block_io(row) && !uses_block_io(writer->set))
                return 0;
        while (r >= 0 && cursor_has(&cursor)) {
                const char *path = cursor_text(&cursor);
                uint64_t weight = cursor_number(&cursor, 't');
                char number[32];

                if (resolve(row, path, number) < 0)
                        continue;
                if (weight == UINT64_MAX) {
                        r = add_write(writer, ATTR_IO_WEIGHT, "%s default", number);
                        if (r >= 0)
                                r = add_write(writer, ATTR_IO_BFQ_WEIGHT, "%s default", number);
                        continue;
                }
                if (is_block_io(row))
                        weight = block_io_weight(weight);
                r = add_write(writer, ATTR_IO_WEIGHT, "%s %" PRIu64, number, weight);
                if (r >= 0)
                        r = add_write(writer, ATTR_IO_BFQ_WEIGHT, "%s %" PRIu64, number,
                                      bfq_weight(weight));
        }
        return r;
}

/* A list of limits with its disks looked up, once. */
typedef struct Disk {
        const char *path;
        uint64_t limit;
        char number[24]; /* "": there is no such disk */
} Disk;
typedef struct Disks {
        Disk *items;
        size_t n, allocated;
} Disks;

static int look_up_disks(const PropertySet *set, unsigned id, Disks *ret)
{
        Cursor cursor = cursor_of(property_set_find(set, id));

        while (cursor_has(&cursor)) {
                unsigned major_, minor_;
                Disk *disk;
                int r = array_reserve(&ret->items, &ret->allocated, ret->n + 1,
                                      sizeof(*ret->items));

                if (r < 0)
                        return r;
                disk = &ret->items[ret->n++];
                disk->path = cursor_text(&cursor);
                disk->limit = cursor_number(&cursor, 't');
                disk->number[0] = '\0';
                if (device_number(disk->path, &major_, &minor_) >= 0)
                        (void)snprintf(disk->number, sizeof(disk->number), "%u:%u", major_, minor_);
        }
        return 0;
}

/* What is said of a disk, by whatever names. */
static uint64_t limit_of(const Disks *disks, const char *number)
{
        uint64_t limit = UINT64_MAX;

        for (size_t i = 0; i < disks->n; i++)
                if (streq(disks->items[i].number, number))
                        limit = min_u64(limit, disks->items[i].limit);
        return limit;
}

static int has_write(const Writer *writer, unsigned attr, const char *number)
{
        const ch_attr *wanted = ch_attr_get(attr - 1);
        size_t length = strlen(number);

        for (size_t i = 0; i < writer->writes->n; i++) {
                const FileWrite *write = &writer->writes->items[i];

                if (write->attr == wanted && write->text &&
                    strncmp(write->text, number, length) == 0 && write->text[length] == ' ')
                        return 1;
        }
        return 0;
}

enum { N_LIMITS = 4 }; /* rbps, wbps, riops, wiops */

static int write_limits(Writer *writer, const Property *row, const Disks disks[static N_LIMITS])
{
        Cursor cursor = named_entries(writer, row);
        int r = 0;

        while (r >= 0 && cursor_has(&cursor)) {
                const char *path = cursor_text(&cursor), *texts[N_LIMITS];
                char number[32], buffers[N_LIMITS][24];

                (void)cursor_number(&cursor, 't');
                if (resolve(row, path, number) < 0 || has_write(writer, ATTR_IO_MAX, number))
                        continue;
                for (size_t i = 0; i < N_LIMITS; i++)
                        texts[i] = format_limit(limit_of(&disks[i], number), buffers[i]);
                r = add_write(writer, ATTR_IO_MAX, "%s rbps=%s wbps=%s riops=%s wiops=%s", number,
                              texts[0], texts[1], texts[2], texts[3]);
        }
        return r;
}

/* All four keys each time: what was not given is "max". */
static int write_io_max(Writer *writer, const Property *row)
{
        static const unsigned v2[N_LIMITS] = { PROP_IO_READ_BANDWIDTH_MAX,
                                               PROP_IO_WRITE_BANDWIDTH_MAX, PROP_IO_READ_IOPS_MAX,
                                               PROP_IO_WRITE_IOPS_MAX };
        static const unsigned v1[] = { PROP_BLOCK_IO_READ_BANDWIDTH,
                                       PROP_BLOCK_IO_WRITE_BANDWIDTH };
        const unsigned *ids = is_block_io(row) ? v1 : v2;
        Disks disks[N_LIMITS] = { 0 };
        int r = 0;

        if (is_block_io(row) && !uses_block_io(writer->set))
                return 0;
        for (size_t i = 0; r >= 0 && i < (is_block_io(row) ? ELEMENTSOF(v1) : N_LIMITS); i++)
                r = look_up_disks(writer->set, ids[i], &disks[i]);
        if (r >= 0)
                r = write_limits(writer, row, disks);
        for (size_t i = 0; i < N_LIMITS; i++)
                free(disks[i].items);
        return r;
}

static int write_io_latency(Writer *writer, const Property *row)
{
        Cursor cursor = named_entries(writer, row);
        int r = 0;

        while (r >= 0 && cursor_has(&cursor)) {
                const char *path = cursor_text(&cursor);
                uint64_t target = cursor_number(&cursor, 't');
                char number[32], buffer[24];

                if (resolve(row, path, number) >= 0)
                        r = add_write(writer, row->attr, "%s target=%s", number,
                                      format_limit(target, buffer));
        }
        return r;
}

/* ---- memory ---- */

static int write_memory_limit(Writer *writer, const Property *row)
{
        static const unsigned others[] = { PROP_MEMORY_MIN,      PROP_MEMORY_LOW,
                                           PROP_MEMORY_HIGH,     PROP_MEMORY_MAX,
                                           PROP_MEMORY_SWAP_MAX, PROP_MEMORY_ZSWAP_MAX };

        /* any of them that says something comes first; one that was taken back does not */
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (property_get_number(writer->set, others[i]) != property_get(others[i])->number)
                        return 0;
        return write_limit(writer, row);
}

static int write_oom_group(Writer *writer, const Property *row)
{
        return add_write(writer, row->attr, "%d",
                         streq(property_get_text(writer->set, PROP_OOM_POLICY), "kill"));
}

/* What systemd-oomd and others look at; no file knows it. */
static int write_oom_preference(Writer *writer, const Property *row)
{
        static const char *const words[][2] = {
                {"avoid", "user.oomd_avoid"},
                { "omit", "user.oomd_omit" }
        };
        const char *preference = property_get_text(writer->set, property_id(row));
        FileWrites *writes = writer->writes;

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                int r = add_write(writer, row->attr, "1");

                if (r < 0)
                        return r;
                writes->items[writes->n - 1].xattr = words[i][1];
                if (!streq(preference, words[i][0])) {
                        free(writes->items[writes->n - 1].text);
                        writes->items[writes->n - 1].text = NULL;
                }
        }
        return 0;
}

static const Convert converts[] = {
        [CONVERT_LIMIT] = write_limit,
        [CONVERT_BOOL] = write_bool,
        [CONVERT_CPUS] = write_cpus,
        [CONVERT_CPU_WEIGHT] = write_cpu_weight,
        [CONVERT_CPU_MAX] = write_cpu_max,
        [CONVERT_IO_WEIGHT] = write_io_weight,
        [CONVERT_IO_DEVICE_WEIGHT] = write_device_weight,
        [CONVERT_IO_MAX] = write_io_max,
        [CONVERT_IO_LATENCY] = write_io_latency,
        [CONVERT_MEMORY_LIMIT] = write_memory_limit,
        [CONVERT_OOM_GROUP] = write_oom_group,
        [CONVERT_OOM_PREFERENCE] = write_oom_preference,
};
_Static_assert(ELEMENTSOF(converts) == CONVERT_MAX_, "a function for each PropertyConvert");

int property_file_writes(const PropertySet *set, const PropertySet *changes, FileWrites *ret)
{
        FileWrites writes = { 0 };
        Writer writer = { .set = set, .changes = changes, .writes = &writes };
        const PropertySet *named = changes ? changes : set;
        int r = 0;

        for (unsigned id = 0; id < PROP_MAX_ && r >= 0; id++) {
                const Property *row = property_get(id);

                if (row->convert != CONVERT_NONE && property_is_set(named, id))
                        r = converts[row->convert](&writer, row);
        }
        if (r < 0)
                file_writes_done(&writes);
        else
                *ret = writes;
        return r;
}

/* ---- writing ---- */

static int write_xattr(const FileWrite *write_, int group_fd)
{
        int r = write_->text
                        ? fsetxattr(group_fd, write_->xattr, write_->text, strlen(write_->text), 0)
                        : fremovexattr(group_fd, write_->xattr);

        return r < 0 && errno != ENODATA ? -errno : 0;
}

static int write_file(const FileWrite *write_, int group_fd)
{
        const char *text = *write_->text ? write_->text : "\n"; /* nothing would not be written */
        _cleanup_(closep) int fd =
                openat(group_fd, write_->attr->file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        do
                n = write(fd, text, strlen(text));
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

/* Files that some kernels have not, or that are there for one scheduler only, and a controller that
 * is off, are told of once; each group would say the same. */
static int level_of(const FileWrite *write_, int error)
{
        static atomic_uchar told[256];
        static const char *const optional[] = { "cpu.idle", "io.weight", "io.bfq.weight" };
        size_t row = (size_t)(write_->attr - ch_attr_get(0));

        if (error != -ENOENT && error != -EROFS && error != -EACCES && error != -EPERM)
                return LOG_WARNING;
        for (size_t i = 0; i < ELEMENTSOF(optional); i++)
                if (streq(write_->attr->file, optional[i]))
                        return LOG_DEBUG;
        return row < ELEMENTSOF(told) && !atomic_exchange(&told[row], 1) ? LOG_WARNING : LOG_DEBUG;
}

static const char *way_out(const FileWrite *write_, int error, char buffer[static 128])
{
        buffer[0] = '\0';
        if (error == -ENOENT)
                (void)snprintf(buffer, 128,
                               " (needs the %s controller in the cgroup.subtree_control above, and "
                               "Linux %s)",
                               write_->attr->controller, write_->attr->since);
        return buffer;
}

int file_writes_apply(const FileWrites *writes, int group_fd, const char *unit)
{
        const ch_attr *logged = NULL;
        int failed = 0;

        for (size_t i = 0; i < writes->n; i++) {
                const FileWrite *write_ = &writes->items[i];
                int r = write_->xattr ? write_xattr(write_, group_fd)
                                      : write_file(write_, group_fd);
                char buffer[128];

                if (r >= 0)
                        continue;
                failed++;
                if (write_->attr != logged)
                        log_at(level_of(write_, r), "%s: cannot write '%s' to %s: %s%s", unit,
                               write_->text ? write_->text : "",
                               write_->xattr ? write_->xattr : write_->attr->file, strerror(-r),
                               way_out(write_, r, buffer));
                logged = write_->attr;
        }
        return failed;
}
