/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes share an address space, inside the set and with others of the host, and who of
 * them pays. */

#include <linux/kcmp.h>
#include <sys/syscall.h>

#include "error.h"
#include "mm.h"
#include "procset.h"
#include "util.h"

typedef struct MmEntry {
        MmKey key;
        uint64_t start_ticks;
        pid_t pid, ppid;
        ssize_t slot;           /* in the set, -1 outside */
} MmEntry;

typedef struct MmScan {
        ch_procset *set;
        MmEntry *entries;
        size_t n, n_allocated;
        ch_error **err;
} MmScan;

/* Processes of which nothing can be compared. */
#define NO_MM_FLAGS (CH_PROCESS_KTHREAD | CH_PROCESS_ZOMBIE | CH_PROCESS_EXITED | CH_PROCESS_NO_MM)

/* One address space of a bucket while it is being sorted out. */
typedef struct MmClass {
        size_t first;           /* entry that stands for it in comparisons */
        size_t last;            /* end of its chain */
        int inside;             /* one of its entries is in the set */
} MmClass;

typedef struct MmBucket {
        const MmEntry *entries; /* of one key */
        size_t n;
        size_t *next;           /* chain of the entries of one class; SIZE_MAX ends it */
        MmClass *classes;       /* in kcmp order */
        size_t n_classes;
} MmBucket;

int mm_compare(pid_t a, pid_t b)
{
        long r = syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);

        return r < 0 ? -errno : (int)r;
}

static int add_entry(MmScan *scan, const MmEntry *entry)
{
        if (array_reserve(&scan->entries, &scan->n_allocated, scan->n + 1,
                          sizeof(*scan->entries)) < 0)
                return -ENOMEM;
        scan->entries[scan->n++] = *entry;
        return 0;
}

/* Without ptrace access the kernel shows 1 and 0 in place of addresses. */
static int is_hidden(const MmKey *key)
{
        return key->start_code <= 1 && key->start_stack == 0;
}

static int scan_outside(pid_t pid, void *userdata)
{
        MmScan *scan = userdata;
        MmEntry entry = { .pid = pid, .slot = -1 };
        ssize_t slot = procset_find_slot(scan->set, pid);
        ProcStat stat;

        if (slot >= 0 && !(scan->set->items[slot].flags & CH_PROCESS_EXITED))
                return 0;
        if (procstat_read(scan->set->proc_fd, pid, &stat) < 0)
                return 0;
        if (stat.vsize_bytes == 0 || procstat_is_kthread(&stat) || procstat_is_zombie(&stat))
                return 0;
        entry.key = (MmKey){ .start_stack = stat.start_stack, .start_code = stat.start_code,
                             .end_code = stat.end_code };
        entry.start_ticks = stat.start_ticks;
        entry.ppid = stat.ppid;
        return is_hidden(&entry.key) ? 0 : add_entry(scan, &entry);
}

/* By what /proc/PID/stat said when they were added: reading it again would double the cost of large
 * sets. Who has executed another program since is told from its former relatives by kcmp all the
 * same. */
static int add_members(MmScan *scan)
{
        const ch_procset *set = scan->set;

        for (size_t i = 0; i < set->n; i++) {
                const ch_process *process = &set->items[i];
                MmEntry entry = { .key = set->notes[i].key, .start_ticks = process->start_ticks,
                                  .pid = process->pid, .ppid = process->ppid, .slot = (ssize_t)i };
                char path[PROC_PATH_MAX];

                if (process->flags & NO_MM_FLAGS)
                        continue;
                if (is_hidden(&entry.key))
                        return error_set(scan->err, CH_ERROR_NOT_PERMITTED, EPERM,
                                         proc_path(path, process->pid, ""),
                                         "no ptrace access to process %d: run as root or with "
                                         "CAP_SYS_PTRACE",
                                         process->pid);
                if (add_entry(scan, &entry) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int compare_key_only(const MmEntry *a, const MmEntry *b)
{
        return memcmp(&a->key, &b->key, sizeof(a->key));
}

static int compare_key(const void *a, const void *b)
{
        const MmEntry *x = a, *y = b;
        int r = compare_key_only(x, y);

        if (r)
                return r;
        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* A process that died has no mm to compare; any kcmp with it says -ESRCH. */
static int is_gone(pid_t pid)
{
        return mm_compare(pid, pid) == -ESRCH;
}

/*
 * Where is this entry's address space among the classes? 1 found at *ret, 0 to be inserted at *ret,
 * -ESRCH the process is gone. A class whose first entry died meanwhile hands over to the next of
 * its chain or is dropped.
 */
static int find_class(MmBucket *bucket, const MmEntry *entry, size_t *ret)
{
        size_t low = 0, high = bucket->n_classes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                MmClass *class = &bucket->classes[middle];
                int order = mm_compare(bucket->entries[class->first].pid, entry->pid);

                if (order == -ESRCH) {
                        if (is_gone(entry->pid))
                                return -ESRCH;
                        class->first = bucket->next[class->first];
                        if (class->first == SIZE_MAX) {
                                memmove(class, class + 1,
                                        (--bucket->n_classes - middle) * sizeof(*class));
                                high--;
                        }
                        continue;
                }
                if (order < 0)
                        return order;
                if (order == 0) {
                        *ret = middle;
                        return 1;
                }
                if (order == 1)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret = low;
        return 0;
}

static int classify(MmBucket *bucket, size_t i)
{
        const MmEntry *entry = &bucket->entries[i];
        MmClass *class;
        size_t at;
        int r;

        r = find_class(bucket, entry, &at);
        if (r == -ESRCH)
                return 0;
        if (r < 0)
                return r;
        class = &bucket->classes[at];
        bucket->next[i] = SIZE_MAX;
        if (r > 0) {
                bucket->next[class->last] = i;
        } else {
                memmove(class + 1, class, (bucket->n_classes++ - at) * sizeof(*class));
                *class = (MmClass){ .first = i };
        }
        class->last = i;
        class->inside |= entry->slot >= 0;
        return 0;
}

/*
 * Does `a` rather own the mm than `b`? The kernel's owner is the one for which the mm was made, by
 * fork or exec: nobody who shares it is older; started within one tick, the parent is. After its
 * exit the kernel seeks among children, siblings, then all: the oldest is the best guess there.
 */
static int owns_rather(const MmEntry *a, const MmEntry *b)
{
        if (a->start_ticks != b->start_ticks)
                return a->start_ticks < b->start_ticks;
        if (b->ppid == a->pid)
                return 1;
        if (a->ppid == b->pid)
                return 0;
        return a->pid < b->pid;
}

static void describe_class(const MmBucket *bucket, const MmClass *class, ch_procset *set,
                           ch_mm *ret)
{
        const MmEntry *owner = NULL, *inside = NULL;
        ch_mm mm = {};

        for (size_t i = class->first; i != SIZE_MAX; i = bucket->next[i]) {
                const MmEntry *entry = &bucket->entries[i];

                if (!owner || owns_rather(entry, owner))
                        owner = entry;
                if (entry->slot < 0) {
                        mm.n_outside++;
                        mm.outside_pid = entry->pid;
                        continue;
                }
                mm.n_inside++;
                set->items[entry->slot].mm = (uint32_t)set->n_mms;
                if (!inside || owns_rather(entry, inside))
                        inside = entry;
        }
        mm.owner = owner ? owner->pid : 0;
        mm.owner_inside = owner && owner->slot >= 0;
        mm.pid = inside ? inside->pid : 0;
        *ret = mm;
}

static int emit_classes(const MmBucket *bucket, ch_procset *set)
{
        for (size_t i = 0; i < bucket->n_classes; i++) {
                if (!bucket->classes[i].inside)
                        continue;
                if (array_reserve(&set->mms, &set->n_mms_allocated, set->n_mms + 1,
                                  sizeof(*set->mms)) < 0)
                        return -ENOMEM;
                describe_class(bucket, &bucket->classes[i], set, &set->mms[set->n_mms]);
                if (set->mms[set->n_mms].n_inside > 0)
                        set->n_mms++;
        }
        return 0;
}

static int resolve_bucket(MmScan *scan, const MmEntry *entries, size_t n)
{
        _cleanup_(freep) MmClass *classes = NULL;
        _cleanup_(freep) size_t *next = NULL;
        MmBucket bucket = { .entries = entries, .n = n };
        int n_inside = 0, r;

        for (size_t i = 0; i < n; i++)
                n_inside += entries[i].slot >= 0;
        if (n_inside == 0)
                return 0;
        bucket.classes = classes = reallocarray(NULL, n, sizeof(*classes));
        bucket.next = next = reallocarray(NULL, n, sizeof(*next));
        if (!classes || !next)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = classify(&bucket, i);
                if (r < 0)
                        return r;
        }
        return emit_classes(&bucket, scan->set);
}

static int resolve_all(MmScan *scan)
{
        for (size_t i = 0, j; i < scan->n; i = j) {
                int r;

                for (j = i + 1; j < scan->n; j++)
                        if (compare_key_only(&scan->entries[i], &scan->entries[j]) != 0)
                                break;
                r = resolve_bucket(scan, scan->entries + i, j - i);
                if (r == -EPERM || r == -EACCES)
                        return error_set(scan->err, CH_ERROR_NOT_PERMITTED, EPERM, NULL,
                                         "kcmp refused: run as root or with CAP_SYS_PTRACE");
                if (r == -ENOSYS)
                        return error_set(scan->err, CH_ERROR_NOT_SUPPORTED, 0, NULL,
                                         "shared address spaces cannot be told apart: the kernel "
                                         "lacks CONFIG_KCMP");
                if (r < 0)
                        return error_errno(scan->err, r, NULL, "kcmp");
        }
        return 0;
}

_public_ int ch_procset_find_mms(ch_procset *set, ch_error **err)
{
        MmScan scan = { .set = set, .err = err };
        int r;

        set->n_mms = 0;
        for (size_t i = 0; i < set->n; i++)
                set->items[i].mm = CH_MM_NONE;
        (void)ch_procset_update(set);
        r = add_members(&scan);
        if (r >= 0)
                r = proc_foreach_pid(set->proc_fd, ".", scan_outside, &scan);
        if (r >= 0) {
                qsort(scan.entries, scan.n, sizeof(*scan.entries), compare_key);
                r = resolve_all(&scan);
        } else {
                r = error_errno(err, r, "/proc", "scanning processes");
        }
        free(scan.entries);
        return r < 0 ? r : 0;
}

_public_ size_t ch_procset_n_mms(const ch_procset *set)
{
        return set->n_mms;
}

_public_ const ch_mm *ch_procset_get_mm(const ch_procset *set, size_t index)
{
        return index < set->n_mms ? &set->mms[index] : NULL;
}
