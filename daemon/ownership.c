/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that feeds the registry of address spaces, and those who ask it. */

#include <json-c/json.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "error.h"
#include "log.h"
#include "ownership.h"
#include "util.h"

enum {
        BATCH = 256, /* events between two looks at who else wants the registry */
        /* After a wake-up more is waited for: a wake-up for each event costs more than the event. Who asks does
         * not wait for it. */
        GATHER_USEC = 1000,
};

typedef struct PidList {
        pid_t *items;
        size_t n, allocated;
} PidList;

typedef struct IdList {
        uint64_t *items;
        size_t n, allocated;
} IdList;

struct Ownership {
        OwnershipOptions options;
        pthread_t thread;
        int has_thread;
        int thread_fd; /* wakes the thread */
        int loop_fd;   /* wakes the loop */
        sd_event_source *io;

        pthread_mutex_t lock; /* of the registry; held while it reads all processes */
        ch_registry *registry;
        ch_feed *feed;
        uint64_t next_resync_usec;

        pthread_mutex_t box; /* of what follows; never held for long */
        int stopping;
        int tracking;
        char *reason; /* why not */
        PidList moved;
        IdList gone;
        OwnerChange changes[OWNERSHIP_CHANGES_MAX]; /* a ring */
        size_t first_change, n_changes;
        uint64_t dropped, told_dropped;
        uint64_t corrected; /* times that an owner was elsewhere than was known */
        ch_registry_figures figures;
};

static void wake(int fd)
{
        uint64_t one = 1;

        /* full only when 2^64 are waiting */
        (void)!write(fd, &one, sizeof(one));
}

static void drain(int fd)
{
        uint64_t count;

        (void)!read(fd, &count, sizeof(count));
}

/* ---- owners that change ---- */

/* With the registry's lock: on the thread, or on a worker that asks. */
static void on_owner(const ch_mm_info *mm, pid_t from, pid_t to, ch_owner_cause cause,
                     void *userdata)
{
        Ownership *ownership = userdata;
        OwnerChange change = { .from = from, .to = to, .mm = mm->id, .cause = cause };
        size_t at;

        change.group = strdup(mm->group ? mm->group : "");
        pthread_mutex_lock(&ownership->box);
        if (!change.group || ownership->n_changes == OWNERSHIP_CHANGES_MAX) {
                free(change.group);
                ownership->dropped++;
        } else {
                at = (ownership->first_change + ownership->n_changes) % OWNERSHIP_CHANGES_MAX;
                ownership->changes[at] = change;
                ownership->n_changes++;
        }
        pthread_mutex_unlock(&ownership->box);
        wake(ownership->loop_fd);
}

/* 0: none waits. */
static int take_change(Ownership *ownership, OwnerChange *ret)
{
        int found;

        pthread_mutex_lock(&ownership->box);
        found = ownership->n_changes > 0;
        if (found) {
                *ret = ownership->changes[ownership->first_change];
                ownership->first_change = (ownership->first_change + 1) % OWNERSHIP_CHANGES_MAX;
                ownership->n_changes--;
        }
        pthread_mutex_unlock(&ownership->box);
        return found;
}

static void tell_dropped(Ownership *ownership)
{
        uint64_t dropped;

        pthread_mutex_lock(&ownership->box);
        dropped = ownership->dropped - ownership->told_dropped;
        ownership->told_dropped = ownership->dropped;
        pthread_mutex_unlock(&ownership->box);
        if (dropped)
                log_warning("%llu changes of owners came faster than they could be told: nobody "
                            "was told of them",
                            (unsigned long long)dropped);
}

static int on_changes(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Ownership *ownership = userdata;
        OwnerChange change;

        drain(fd);
        while (take_change(ownership, &change)) {
                ownership->options.changed(&change, ownership->options.userdata);
                free(change.group);
        }
        tell_dropped(ownership);
        return 0;
}

/* ---- what the registry is told; with its lock ---- */

static void look_at(Ownership *ownership, pid_t pid)
{
        _cleanup_(freep) char *path = NULL;
        ch_tree *tree = ownership->options.tree;
        ch_group *group = NULL;
        int r;

        r = ch_tree_path_of_pid(tree, pid, &path, NULL);
        if (r == -EXDEV)
                (void)ch_registry_attach(ownership->registry, pid, NULL, 0);
        if (r < 0 || ch_tree_open_group(tree, path, &group, NULL) < 0)
                return;
        (void)ch_registry_attach(ownership->registry, pid, path, ch_group_get_id(group));
        ch_group_unref(group);
}

static void take_messages(Ownership *ownership)
{
        PidList moved;
        IdList gone;

        pthread_mutex_lock(&ownership->box);
        moved = ownership->moved;
        gone = ownership->gone;
        ownership->moved = (PidList){ 0 };
        ownership->gone = (IdList){ 0 };
        pthread_mutex_unlock(&ownership->box);
        for (size_t i = 0; i < moved.n; i++)
                look_at(ownership, moved.items[i]);
        for (size_t i = 0; i < gone.n; i++)
                (void)ch_registry_forget_group(ownership->registry, gone.items[i]);
        free(moved.items);
        free(gone.items);
}

static void keep_figures(Ownership *ownership)
{
        ch_registry_figures figures;

        ch_registry_get_figures(ownership->registry, &figures);
        pthread_mutex_lock(&ownership->box);
        ownership->figures = figures;
        pthread_mutex_unlock(&ownership->box);
}

static void give_up(Ownership *ownership, const char *cause)
{
        pthread_mutex_lock(&ownership->box);
        ownership->tracking = 0;
        free(ownership->reason);
        ownership->reason = strdup(cause);
        ownership->figures = (ch_registry_figures){ 0 };
        pthread_mutex_unlock(&ownership->box);
        ownership->feed = ch_feed_free(ownership->feed);
        ownership->registry = ch_registry_free(ownership->registry);
}

/* Takes in at most one batch: how many, or < 0 when nothing is tracked any more. */
static int take_events(Ownership *ownership)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        int r;

        if (!ownership->feed)
                return -ENOTCONN;
        r = ch_feed_process(ownership->feed, BATCH, &error);
        if (r >= 0)
                return r;
        log_failure(LOG_WARNING, "owners of address spaces are no longer tracked", error);
        give_up(ownership, ch_error_get_cause(error));
        return r;
}

static int resync(Ownership *ownership)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        uint64_t begin = now_usec(), took;
        int r;

        r = ch_registry_resync(ownership->registry, &error);
        if (r < 0) {
                log_failure(LOG_WARNING, "owners of address spaces are no longer tracked", error);
                give_up(ownership, ch_error_get_cause(error));
                return r;
        }
        took = now_usec() - begin;
        ownership->next_resync_usec = begin + took;
        ownership->next_resync_usec +=
                ownership->options.resync_usec > took * OWNERSHIP_RESYNC_SHARE
                        ? ownership->options.resync_usec
                        : took * OWNERSHIP_RESYNC_SHARE;
        return 0;
}

/* ---- the thread ---- */

/* One turn: how many events were taken, < 0 to end. */
static int turn(Ownership *ownership)
{
        int r = 0;

        pthread_mutex_lock(&ownership->lock);
        if (!ownership->feed)
                r = -ENOTCONN;
        else if (now_usec() >= ownership->next_resync_usec)
                r = resync(ownership);
        if (r >= 0) {
                take_messages(ownership);
                r = take_events(ownership);
        }
        if (r >= 0)
                keep_figures(ownership);
        pthread_mutex_unlock(&ownership->lock);
        return r;
}

static int is_stopping(Ownership *ownership)
{
        int stopping;

        pthread_mutex_lock(&ownership->box);
        stopping = ownership->stopping;
        pthread_mutex_unlock(&ownership->box);
        return stopping;
}

static void *thread_main(void *userdata)
{
        Ownership *ownership = userdata;
        struct pollfd fds[2] = {
                {.fd = ch_feed_get_fd(ownership->feed), .events = POLLIN},
                { .fd = ownership->thread_fd,           .events = POLLIN},
        };
        int r;

        while (!is_stopping(ownership) && (r = turn(ownership)) >= 0) {
                uint64_t left = sub_u64(ownership->next_resync_usec, now_usec());

                if (r == BATCH)
                        continue;
                if (poll(fds, ELEMENTSOF(fds), (int)(left / 1000) + 1) <= 0)
                        continue;
                if (fds[1].revents)
                        drain(ownership->thread_fd);
                else
                        (void)usleep(GATHER_USEC);
        }
        return NULL;
}

/* Signals are the loop's. */
static int start_thread(Ownership *ownership)
{
        sigset_t all, old;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&ownership->thread, NULL, thread_main, ownership);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        ownership->has_thread = r == 0;
        return -r;
}

/* ---- those who ask and tell ---- */

void ownership_look_at(Ownership *ownership, const pid_t *pids, size_t n)
{
        PidList *moved;

        if (!ownership || n == 0)
                return;
        moved = &ownership->moved;
        pthread_mutex_lock(&ownership->box);
        if (ownership->tracking &&
            array_reserve(&moved->items, &moved->allocated, moved->n + n, sizeof(pid_t)) >= 0) {
                memcpy(moved->items + moved->n, pids, n * sizeof(pid_t));
                moved->n += n;
        }
        pthread_mutex_unlock(&ownership->box);
        wake(ownership->thread_fd);
}

void ownership_forget_group(Ownership *ownership, uint64_t id)
{
        IdList *gone;

        if (!ownership)
                return;
        gone = &ownership->gone;
        pthread_mutex_lock(&ownership->box);
        if (ownership->tracking &&
            array_reserve(&gone->items, &gone->allocated, gone->n + 1, sizeof(*gone->items)) >= 0)
                gone->items[gone->n++] = id;
        pthread_mutex_unlock(&ownership->box);
        wake(ownership->thread_fd);
}

void owner_answer_done(OwnerAnswer *answer)
{
        free(answer->group);
        free(answer->last_group);
        free(answer->own_group);
        free(answer->users);
        *answer = (OwnerAnswer){ 0 };
}

static int fill_users(const ch_registry *registry, pid_t pid, OwnerAnswer *answer)
{
        ssize_t n = ch_registry_get_users(registry, pid, NULL, 0);

        if (n < 0)
                return (int)n;
        answer->users = reallocarray(NULL, (size_t)n + 1, sizeof(pid_t));
        if (!answer->users)
                return -ENOMEM;
        (void)ch_registry_get_users(registry, pid, answer->users, (size_t)n);
        answer->n_users = (size_t)n;
        return 0;
}

static int fill_answer(const ch_registry *registry, pid_t pid, OwnerAnswer *answer)
{
        ch_mm_info mm;
        int r;

        r = ch_registry_get_mm(registry, pid, &mm);
        if (r < 0)
                return r;
        answer->pid = pid;
        answer->owner = mm.owner;
        answer->mm = mm.id;
        answer->group = strdup(mm.group ? mm.group : "");
        answer->last_group = strdup(mm.last_group ? mm.last_group : "");
        return answer->group && answer->last_group ? fill_users(registry, pid, answer) : -ENOMEM;
}

static int fill_own_group(ch_tree *tree, OwnerAnswer *answer)
{
        if (ch_tree_path_of_pid(tree, answer->pid, &answer->own_group, NULL) < 0)
                answer->own_group = strdup("");
        return answer->own_group ? 0 : -ENOMEM;
}

static int fail(ch_error **err, pid_t pid, int r)
{
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        /* the registry does not keep those that have exited, and threads are not processes */
        if (r == -ESRCH && access(path, F_OK) >= 0)
                r = -ENODATA;
        if (r == -ENODATA)
                return error_set(err, CH_ERROR_BAD_PROCESS, 0, path,
                                 "process %d has no address space of its own: a kernel thread, a "
                                 "zombie, or a thread of another process",
                                 (int)pid);
        if (r == -ESRCH)
                return error_set(err, CH_ERROR_NO_SUCH_PROCESS, 0, path, "no process has pid %d",
                                 (int)pid);
        return error_errno(err, r, path, "looking for the owner");
}

/* The group is the kernel's word, not the registry's memory: somebody may have moved the owner. */
static int check_owner_group(Ownership *ownership, pid_t pid, OwnerAnswer *answer)
{
        _cleanup_(freep) char *path = NULL;
        int r = ch_tree_path_of_pid(ownership->options.tree, answer->owner, &path, NULL);

        if ((r < 0 && r != -EXDEV) || streq(path ? path : "", answer->group))
                return 0;
        look_at(ownership, answer->owner);
        pthread_mutex_lock(&ownership->box);
        ownership->corrected++;
        pthread_mutex_unlock(&ownership->box);
        owner_answer_done(answer);
        return fill_answer(ownership->registry, pid, answer);
}

/* -ENOTCONN: nothing is tracked. */
static int get_tracked(Ownership *ownership, pid_t pid, OwnerAnswer *answer)
{
        int r;

        if (!ownership->registry)
                return -ENOTCONN;
        take_messages(ownership);
        do
                r = take_events(ownership);
        while (r == BATCH);
        if (r < 0)
                return -ENOTCONN;
        r = fill_answer(ownership->registry, pid, answer);
        if (r >= 0)
                r = check_owner_group(ownership, pid, answer);
        answer->tracked = 1;
        return r;
}

/* All processes are read, for this one question. */
static int get_untracked(ch_tree *tree, pid_t pid, OwnerAnswer *answer, ch_error **err)
{
        ch_registry_options options = { .tree = tree };
        ch_registry *registry;
        int r;

        r = ch_registry_new(&options, &registry, err);
        if (r < 0)
                return r;
        r = ch_registry_resync(registry, err);
        if (r >= 0)
                r = fill_answer(registry, pid, answer);
        ch_registry_free(registry);
        answer->mm = 0;
        return r;
}

int ownership_get(Ownership *ownership, pid_t pid, OwnerAnswer *ret, ch_error **err)
{
        OwnerAnswer answer = { 0 };
        int r;

        pthread_mutex_lock(&ownership->lock);
        r = get_tracked(ownership, pid, &answer);
        pthread_mutex_unlock(&ownership->lock);
        if (r == -ENOTCONN) {
                owner_answer_done(&answer);
                r = get_untracked(ownership->options.tree, pid, &answer, err);
        }
        if (r >= 0)
                r = fill_own_group(ownership->options.tree, &answer);
        if (r < 0) {
                owner_answer_done(&answer);
                return err && *err ? r : fail(err, pid, r);
        }
        *ret = answer;
        return 0;
}

static const struct {
        const char *key;
        size_t offset;
} figure_rows[] = {
        {"processes",      offsetof(ch_registry_figures, processes)    },
        { "mms",           offsetof(ch_registry_figures, mms)          },
        { "shared",        offsetof(ch_registry_figures, shared_mms)   },
        { "forks",         offsetof(ch_registry_figures, forks)        },
        { "execs",         offsetof(ch_registry_figures, execs)        },
        { "exits",         offsetof(ch_registry_figures, exits)        },
        { "attaches",      offsetof(ch_registry_figures, attaches)     },
        { "owner_changes", offsetof(ch_registry_figures, owner_changes)},
        { "searched",      offsetof(ch_registry_figures, searched)     },
        { "lost",          offsetof(ch_registry_figures, lost)         },
        { "resyncs",       offsetof(ch_registry_figures, resyncs)      },
        { "bytes",         offsetof(ch_registry_figures, bytes)        },
};

int ownership_to_json(Ownership *ownership, json_object **ret)
{
        json_object *object = json_object_new_object();

        if (!object)
                return -ENOMEM;
        pthread_mutex_lock(&ownership->box);
        json_object_object_add(object, "tracking", json_object_new_boolean(ownership->tracking));
        json_object_object_add(object, "reason",
                               json_object_new_string(ownership->reason ? ownership->reason : ""));
        for (size_t i = 0; i < ELEMENTSOF(figure_rows); i++) {
                uint64_t figure;

                memcpy(&figure, (const char *)&ownership->figures + figure_rows[i].offset,
                       sizeof(figure));
                json_object_object_add(object, figure_rows[i].key, json_object_new_uint64(figure));
        }
        json_object_object_add(object, "events",
                               json_object_new_uint64(ownership->figures.forks +
                                                      ownership->figures.execs +
                                                      ownership->figures.exits));
        json_object_object_add(object, "corrected", json_object_new_uint64(ownership->corrected));
        json_object_object_add(object, "dropped", json_object_new_uint64(ownership->dropped));
        pthread_mutex_unlock(&ownership->box);
        *ret = object;
        return 0;
}

/* ---- life ---- */

/* What is missing is no failure: *err says why nothing is tracked. */
static int start_tracking(Ownership *ownership, ch_error **err)
{
        ch_registry_options options = {
                .tree = ownership->options.tree,
                .owner_changed = on_owner,
                .userdata = ownership,
        };
        int bytes = (int)ownership->options.buffer_bytes, r;

        if (ownership->options.track == TRACK_NO)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, 0, NULL, "Track=no");
        r = ch_registry_new(&options, &ownership->registry, err);
        if (r >= 0)
                r = ch_feed_new(ownership->registry, &ownership->feed, err);
        if (r >= 0 && bytes)
                (void)setsockopt(ch_feed_get_fd(ownership->feed), SOL_SOCKET, SO_RCVBUF, &bytes,
                                 sizeof(bytes));
        if (r >= 0) {
                ownership->tracking = 1;
                ownership->next_resync_usec = now_usec() + ownership->options.resync_usec;
                r = start_thread(ownership);
                if (r < 0)
                        r = error_errno(err, r, NULL, "starting a thread");
        }
        return r;
}

static void tell_untracked(const Ownership *ownership, const ch_error *error)
{
        int level = ownership->options.track == TRACK_YES ? LOG_WARNING : LOG_INFO;

        if (ownership->options.track != TRACK_NO)
                log_at(level, "owners of address spaces are not tracked: %s",
                       ch_error_get_cause(error));
}

int ownership_new(const OwnershipOptions *options, Ownership **ret)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Ownership *ownership = calloc(1, sizeof(*ownership));
        int r;

        if (!ownership)
                return -ENOMEM;
        ownership->options = *options;
        ch_tree_ref(options->tree);
        (void)pthread_mutex_init(&ownership->lock, NULL);
        (void)pthread_mutex_init(&ownership->box, NULL);
        ownership->thread_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ownership->loop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = ownership->thread_fd < 0 || ownership->loop_fd < 0
                    ? -EMFILE
                    : sd_event_add_io(options->event, &ownership->io, ownership->loop_fd, EPOLLIN,
                                      on_changes, ownership);
        if (r < 0) {
                ownership_free(ownership);
                return r;
        }
        if (start_tracking(ownership, &error) < 0) {
                give_up(ownership, ch_error_get_cause(error));
                tell_untracked(ownership, error);
        }
        *ret = ownership;
        return 0;
}

Ownership *ownership_free(Ownership *ownership)
{
        OwnerChange change;

        if (!ownership)
                return NULL;
        pthread_mutex_lock(&ownership->box);
        ownership->stopping = 1;
        pthread_mutex_unlock(&ownership->box);
        if (ownership->has_thread) {
                wake(ownership->thread_fd);
                (void)pthread_join(ownership->thread, NULL);
        }
        sd_event_source_disable_unref(ownership->io);
        while (take_change(ownership, &change))
                free(change.group);
        ch_feed_free(ownership->feed);
        ch_registry_free(ownership->registry);
        free(ownership->moved.items);
        free(ownership->gone.items);
        free(ownership->reason);
        safe_close(ownership->thread_fd);
        safe_close(ownership->loop_fd);
        pthread_mutex_destroy(&ownership->box);
        pthread_mutex_destroy(&ownership->lock);
        ch_tree_unref(ownership->options.tree);
        free(ownership);
        return NULL;
}
