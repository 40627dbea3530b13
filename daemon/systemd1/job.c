/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs of units, and the mapped file of those that are live. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "face.h"
#include "hash.h"
#include "log.h"
#include "systemd1-names.h"
#include "util.h"

#define FILE_NAME  "systemd1-jobs"
#define MAGIC      0x31624a6453486843ULL /* "ChHSdJb1" */
#define NAME_MAX_  256
#define SLOTS_STEP 256

typedef struct Slot {
        uint32_t id; /* 0: free */
        char unit[NAME_MAX_];
} Slot;

typedef struct File {
        uint64_t magic;
        uint32_t last_id, n_slots;
        uint64_t total;
        Slot slots[];
} File;

struct UnitJobs {
        Face *face;
        UnitJob *first, *last;
        size_t n;
        uint64_t total;
        uint32_t last_id;
        Hash by_id;
        int fd;
        File *file;           /* NULL: no file, the rest works without */
        uint32_t *free_slots; /* a stack */
        size_t n_free, free_allocated;
        uint32_t *stale; /* slots with jobs of an earlier life */
        size_t n_stale, stale_allocated;
};

const char *unit_job_type_to_string(unsigned type)
{
        static const char *const names[UNIT_JOB_TYPE_MAX_] = { "start", "stop" };

        return names[type];
}

const char *unit_job_result_to_string(unsigned result)
{
        static const char *const names[UNIT_JOB_RESULT_MAX_] = { "done", "canceled", "timeout",
                                                                 "failed", "skipped" };

        return names[result];
}

const char *unit_job_path(uint32_t id, char buffer[static UNIT_JOB_PATH_MAX])
{
        (void)snprintf(buffer, UNIT_JOB_PATH_MAX, SD1_JOB_PREFIX "/%u", id);
        return buffer;
}

/* ---- the file ---- */

static size_t file_size(uint32_t n_slots)
{
        return sizeof(File) + n_slots * sizeof(Slot);
}

static int map_file(UnitJobs *jobs, uint32_t n_slots)
{
        void *mapped;
        /* a hole would be a SIGBUS when the disk is full */
        int r = posix_fallocate(jobs->fd, 0, (off_t)file_size(n_slots));

        if (r > 0)
                return -r;
        mapped = mmap(NULL, file_size(n_slots), PROT_READ | PROT_WRITE, MAP_SHARED, jobs->fd, 0);
        if (mapped == MAP_FAILED)
                return -errno;
        if (jobs->file)
                (void)munmap(jobs->file, file_size(jobs->file->n_slots));
        jobs->file = mapped;
        return 0;
}

static int push_free(UnitJobs *jobs, uint32_t slot)
{
        if (array_reserve(&jobs->free_slots, &jobs->free_allocated, jobs->n_free + 1,
                          sizeof(uint32_t)) < 0)
                return -ENOMEM; /* one slot less */
        jobs->free_slots[jobs->n_free++] = slot;
        return 0;
}

static int add_slots(UnitJobs *jobs)
{
        uint32_t old = jobs->file->n_slots, n = old + SLOTS_STEP;
        int r = map_file(jobs, n);

        if (r < 0)
                return r;
        jobs->file->n_slots = n;
        while (n-- > old)
                (void)push_free(jobs, n);
        return 0;
}

static int keep_stale(UnitJobs *jobs, uint32_t slot)
{
        if (array_reserve(&jobs->stale, &jobs->stale_allocated, jobs->n_stale + 1,
                          sizeof(uint32_t)) < 0)
                return -ENOMEM;
        jobs->file->slots[slot].unit[NAME_MAX_ - 1] = '\0';
        jobs->stale[jobs->n_stale++] = slot;
        return 0;
}

/* Those that were live when the daemon before us ended stay in the file until they were told. */
static int read_file(UnitJobs *jobs, uint64_t size)
{
        File head;
        int r;

        if (size < sizeof(File) || pread(jobs->fd, &head, sizeof(head), 0) != sizeof(head) ||
            head.magic != MAGIC || head.n_slots > (1U << 20) || size < file_size(head.n_slots)) {
                if (ftruncate(jobs->fd, 0) < 0)
                        return -errno;
                r = map_file(jobs, SLOTS_STEP);
                if (r >= 0)
                        *jobs->file = (File){ .magic = MAGIC, .n_slots = SLOTS_STEP };
        } else {
                r = map_file(jobs, head.n_slots);
        }
        if (r < 0)
                return r;
        jobs->last_id = jobs->file->last_id;
        for (uint32_t i = jobs->file->n_slots; r >= 0 && i-- > 0;)
                r = jobs->file->slots[i].id ? keep_stale(jobs, i) : push_free(jobs, i);
        return r;
}

static void open_file(UnitJobs *jobs, int state_fd)
{
        struct stat st;
        int r;

        jobs->fd = openat(state_fd, FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        r = jobs->fd < 0 || fstat(jobs->fd, &st) < 0 ? -errno
                                                     : read_file(jobs, (uint64_t)st.st_size);
        if (r < 0)
                log_warning(FILE_NAME " in the state directory cannot be used (%s): clients that "
                                      "wait for a job are not told when chargehandd is killed",
                            strerror(-r));
}

static void take_slot(UnitJobs *jobs, UnitJob *job)
{
        Slot *slot;

        job->slot = UINT32_MAX;
        if (!jobs->file)
                return;
        jobs->file->last_id = jobs->last_id;
        if (jobs->n_free == 0 && add_slots(jobs) < 0)
                return;
        if (jobs->n_free == 0)
                return;
        job->slot = jobs->free_slots[--jobs->n_free];
        slot = &jobs->file->slots[job->slot];
        (void)snprintf(slot->unit, sizeof(slot->unit), "%s", job->unit->name);
        slot->id = job->id;
}

static void give_slot(UnitJobs *jobs, UnitJob *job)
{
        if (job->slot == UINT32_MAX)
                return;
        jobs->file->slots[job->slot].id = 0;
        (void)push_free(jobs, job->slot);
}

/* ---- jobs ---- */

int unit_jobs_new(Face *face, int state_fd, UnitJobs **ret)
{
        UnitJobs *jobs = calloc(1, sizeof(*jobs));

        if (!jobs)
                return -ENOMEM;
        jobs->face = face;
        open_file(jobs, state_fd);
        *ret = jobs;
        return 0;
}

UnitJobs *unit_jobs_free(UnitJobs *jobs)
{
        if (!jobs)
                return NULL;
        while (jobs->first) {
                UnitJob *job = jobs->first;

                /* it stays in the file: whoever waits is told at the next start */
                jobs->first = job->next;
                job->unit->job = NULL;
                free(job);
        }
        hash_done(&jobs->by_id);
        if (jobs->file)
                (void)munmap(jobs->file, file_size(jobs->file->n_slots));
        safe_close(jobs->fd);
        free(jobs->free_slots);
        free(jobs->stale);
        free(jobs);
        return NULL;
}

int unit_job_add(Unit *unit, UnitJobType type, UnitJob **ret)
{
        UnitJobs *jobs = unit->face->jobs;
        UnitJob *job = calloc(1, sizeof(*job));

        if (!job)
                return -ENOMEM;
        do
                job->id = ++jobs->last_id;
        while (job->id == 0 || hash_get(&jobs->by_id, job->id));
        if (hash_put(&jobs->by_id, job->id, job) < 0) {
                free(job);
                return -ENOMEM;
        }
        if (unit->job)
                unit_job_end(unit->job, UNIT_JOB_CANCELED);
        job->unit = unit;
        job->type = (uint8_t)type;
        job->running = 1;
        job->prev = jobs->last;
        *(job->prev ? &job->prev->next : &jobs->first) = job;
        jobs->last = job;
        jobs->n++;
        jobs->total++;
        take_slot(jobs, job);
        unit->job = job;
        unit_changed(unit);
        face_emit_job_new(jobs->face, job);
        *ret = job;
        return 0;
}

void unit_job_end(UnitJob *job, UnitJobResult result)
{
        Unit *unit = job->unit;
        UnitJobs *jobs = unit->face->jobs;

        unit->job = NULL;
        *(job->prev ? &job->prev->next : &jobs->first) = job->next;
        *(job->next ? &job->next->prev : &jobs->last) = job->prev;
        jobs->n--;
        (void)hash_remove(&jobs->by_id, job->id);
        unit_changed(unit);
        unit_flush(unit);
        face_emit_job_removed(jobs->face, job->id, unit->name, unit_job_result_to_string(result));
        give_slot(jobs, job);
        unit_check(unit);
        free(job);
}

UnitJob *unit_jobs_find(const UnitJobs *jobs, uint32_t id)
{
        return hash_get(&jobs->by_id, id);
}

UnitJob *unit_jobs_first(const UnitJobs *jobs)
{
        return jobs->first;
}

size_t unit_jobs_count(const UnitJobs *jobs)
{
        return jobs->n;
}

uint64_t unit_jobs_total(const UnitJobs *jobs)
{
        return jobs->total;
}

void unit_jobs_tell_stale(UnitJobs *jobs)
{
        while (jobs->n_stale > 0) {
                uint32_t index = jobs->stale[--jobs->n_stale];
                Slot *slot = &jobs->file->slots[index];

                log_info("%s: job %u was cut off by the end of chargehandd: its clients are told "
                         "that it is canceled",
                         slot->unit, slot->id);
                face_emit_job_removed(jobs->face, slot->id, slot->unit,
                                      unit_job_result_to_string(UNIT_JOB_CANCELED));
                slot->id = 0;
                (void)push_free(jobs, index);
        }
}
