/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leases: FIFOs whose writers hold claims. */

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "error.h"
#include "hash.h"
#include "lease-record.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "util.h"

struct Leases {
        Manager *manager;
        int dir_fd;
        Hash by_claim; /* on the loop */
        atomic_int saving;
        pthread_mutex_t save_lock; /* a record is read and written in one: the later one last */
};

struct Lease {
        Leases *leases;
        uint64_t claim;
        int read_fd, write_fd; /* ours; the holder's end until it is handed out */
        sd_event_source *source;
};

int leases_new(Manager *manager, Leases **ret, ch_error **err)
{
        Leases *leases = calloc(1, sizeof(*leases));

        if (!leases)
                return error_errno(err, ENOMEM, NULL, "starting");
        *leases = (Leases){ .manager = manager, .dir_fd = -EBADF };
        if (mkdirat(manager->state_fd, "claims", 0700) >= 0 || errno == EEXIST)
                leases->dir_fd = openat(manager->state_fd, "claims",
                                        O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (leases->dir_fd < 0) {
                int r = error_errno(err, errno, "claims", "open of the state directory");

                free(leases);
                return r;
        }
        pthread_mutex_init(&leases->save_lock, NULL);
        *ret = leases;
        return 0;
}

static Lease *close_lease(Lease *lease)
{
        sd_event_source_disable_unref(lease->source);
        safe_close(lease->read_fd);
        safe_close(lease->write_fd);
        free(lease);
        return NULL;
}

Leases *leases_free(Leases *leases)
{
        size_t position = 0;
        Lease *lease;

        if (!leases)
                return NULL;
        while ((lease = hash_next(&leases->by_claim, &position)))
                close_lease(lease);
        hash_done(&leases->by_claim);
        safe_close(leases->dir_fd);
        pthread_mutex_destroy(&leases->save_lock);
        free(leases);
        return NULL;
}

static void fifo_name(uint64_t claim, char ret[24])
{
        (void)snprintf(ret, 24, "%llu", (unsigned long long)claim);
}

static void remove_files(const Leases *leases, uint64_t claim)
{
        char name[24];

        fifo_name(claim, name);
        if (unlinkat(leases->dir_fd, name, 0) < 0 && errno != ENOENT)
                log_warning("the lease claims/%s cannot be removed: %s", name, strerror(errno));
        lease_record_remove(leases->dir_fd, claim);
}

Lease *lease_free(Lease *lease)
{
        if (!lease)
                return NULL;
        remove_files(lease->leases, lease->claim);
        (void)claims_release(lease->leases->manager->claims, lease->claim);
        return close_lease(lease);
}

/* The read end first: a writer alone cannot be opened without waiting. */
static int open_ends(const Leases *leases, Lease *lease, struct stat *ret)
{
        char name[24];

        fifo_name(lease->claim, name);
        if (mkfifoat(leases->dir_fd, name, 0600) < 0)
                return -errno;
        lease->read_fd =
                openat(leases->dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (lease->read_fd < 0)
                return -errno;
        lease->write_fd =
                openat(leases->dir_fd, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        return lease->write_fd < 0 || fstat(lease->read_fd, ret) < 0 ? -errno : 0;
}

static int save(Leases *leases, uint64_t claim)
{
        ClaimRecord record;
        char name[24];
        int r;

        fifo_name(claim, name);
        pthread_mutex_lock(&leases->save_lock);
        r = claims_get_record(leases->manager->claims, claim, &record);
        if (r >= 0) {
                r = lease_record_write(leases->dir_fd, &record);
                claim_record_done(&record);
                /* it ended meanwhile: remove_files() takes the FIFO first */
                if (faccessat(leases->dir_fd, name, F_OK, 0) < 0)
                        lease_record_remove(leases->dir_fd, claim);
        }
        pthread_mutex_unlock(&leases->save_lock);
        return r;
}

int lease_new(Leases *leases, uint64_t claim, Lease **ret, ch_error **err)
{
        Lease *lease = calloc(1, sizeof(*lease));
        struct stat st = { 0 };
        int r;

        if (!lease)
                return error_errno(err, ENOMEM, NULL, "making a lease");
        *lease = (Lease){
                .leases = leases, .claim = claim, .read_fd = -EBADF, .write_fd = -EBADF
        };
        r = open_ends(leases, lease, &st);
        if (r >= 0)
                r = claims_make_lease(leases->manager->claims, claim, st.st_dev, st.st_ino);
        if (r >= 0)
                r = save(leases, claim);
        if (r < 0) {
                lease_free(lease);
                return error_errno(err, r, "claims", "making a lease in the state directory");
        }
        *ret = lease;
        return 0;
}

int lease_get_fd(const Lease *lease)
{
        return lease->write_fd;
}

void lease_let_go(Lease *lease)
{
        lease->write_fd = safe_close(lease->write_fd);
}

/* On the loop; the claim stays where a job has it. */
static void end(Lease *lease)
{
        Leases *leases = lease->leases;

        (void)hash_remove(&leases->by_claim, lease->claim);
        claims_end_lease(leases->manager->claims, lease->claim);
        remove_files(leases, lease->claim);
        close_lease(lease);
}

static int on_hangup(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Lease *lease = userdata;

        log_debug("claim %llu: the last copy of its lease is closed",
                  (unsigned long long)lease->claim);
        end(lease);
        return 0;
}

int lease_start(Lease *lease)
{
        Leases *leases = lease->leases;
        int r;

        r = hash_put(&leases->by_claim, lease->claim, lease);
        /* no events are asked for: what is written into it is nobody's business; a hang-up is told in any case */
        if (r >= 0)
                r = sd_event_add_io(leases->manager->event, &lease->source, lease->read_fd, 0,
                                    on_hangup, lease);
        if (r < 0) {
                (void)hash_remove(&leases->by_claim, lease->claim);
                lease_free(lease);
        }
        return r;
}

int leases_end(Leases *leases, uint64_t claim)
{
        Lease *lease = hash_get(&leases->by_claim, claim);

        if (!lease)
                return -ENOENT;
        end(lease);
        return 0;
}

/* Nobody's file system is asked: one that does not answer would keep a worker for ever. */
static int read_inode(int fd, uint64_t *ret_dev, uint64_t *ret_ino)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &st) < 0 ||
            !S_ISFIFO(st.stx_mode))
                return 0;
        *ret_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
        *ret_ino = st.stx_ino;
        return 1;
}

int lease_find(Claims *claims, int fd, uint64_t *ret_claim, ch_error **err)
{
        uint64_t dev, ino;

        if (read_inode(fd, &dev, &ino) && claims_find_lease(claims, dev, ino, ret_claim) >= 0)
                return 0;
        return error_set(err, CH_ERROR_NO_SUCH_CLAIM, 0, "lease",
                         "the file descriptor is no lease of this chargehandd, or it has been "
                         "released; 'chargectl claims' lists what there is");
}

/* Does anybody hold the other end? What they wrote is read away; more than fits into the FIFO was written just now. */
static int has_writer(int fd)
{
        int64_t left = fcntl(fd, F_GETPIPE_SZ);
        char buffer[4096];
        ssize_t n;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)) {
                left -= n > 0 ? n : 0;
                if (left < 0)
                        return 1;
        }
        return n < 0 && errno == EAGAIN;
}

static int load_one(Leases *leases, ClaimRecord *record)
{
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;
        Lease *lease;
        char name[24];
        int r;

        fifo_name(record->id, name);
        fd = openat(leases->dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || !has_writer(fd))
                return 0;
        lease = calloc(1, sizeof(*lease));
        if (!lease)
                return -ENOMEM;
        r = claims_load_lease(leases->manager->claims, record, st.st_dev, st.st_ino);
        if (r < 0) {
                free(lease);
                return r;
        }
        *lease = (Lease){ .leases = leases,
                          .claim = record->id,
                          .read_fd = TAKE_FD(fd),
                          .write_fd = -EBADF };
        r = lease_start(lease);
        return r < 0 ? r : 1;
}

static int is_fifo_name(const struct dirent *entry)
{
        return entry->d_name[strspn(entry->d_name, "0123456789")] == '\0';
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
        unsigned long long x = strtoull((*a)->d_name, NULL, 10), y = strtoull((*b)->d_name, NULL, 10);

        return (x > y) - (x < y);
}

void leases_load(Leases *leases)
{
        struct dirent **entries = NULL;
        unsigned kept = 0, ended = 0;
        int n;

        n = scandirat(leases->dir_fd, ".", &entries, is_fifo_name, by_number);
        for (int i = 0; i < n; i++) {
                uint64_t claim = strtoull(entries[i]->d_name, NULL, 10);
                ClaimRecord record = { 0 };
                int r;

                r = lease_record_read(leases->dir_fd, claim, &record);
                if (r >= 0)
                        r = load_one(leases, &record);
                if (r == -ESTALE) /* the holder went with that boot */
                        r = 0;
                if (r < 0)
                        log_warning("claims/%s is of no use and removed: %s", entries[i]->d_name,
                                    strerror(-r));
                if (r <= 0)
                        remove_files(leases, claim);
                kept += r > 0;
                ended += r == 0;
                claim_record_done(&record);
                free(entries[i]);
        }
        free(entries);
        lease_record_tidy(leases->dir_fd);
        if (kept + ended > 0)
                log_info("%u leases of an earlier life are still held, %u were let go", kept, ended);
        leases_save_moved(leases);
}

typedef struct SaveTask {
        Task task;
        Leases *leases;
} SaveTask;

static void run_save(Task *task)
{
        Leases *leases = ((SaveTask *)task)->leases;
        uint64_t claim;

        atomic_store(&leases->saving, 0);
        while ((claim = claims_pop_moved_lease(leases->manager->claims)))
                if (save(leases, claim) < 0)
                        log_warning("the record of claim %llu still names the group that is gone",
                                    (unsigned long long)claim);
}

static void save_done(Task *task)
{
        free(task);
}

void leases_save_moved(Leases *leases)
{
        SaveTask *save_task;

        if (leases->by_claim.n == 0 || atomic_exchange(&leases->saving, 1))
                return;
        save_task = calloc(1, sizeof(*save_task));
        if (save_task) {
                save_task->task = (Task){ .run = run_save, .done = save_done };
                save_task->leases = leases;
                if (pool_submit(leases->manager->workers, &save_task->task) >= 0)
                        return;
                free(save_task);
        }
        atomic_store(&leases->saving, 0);
}
