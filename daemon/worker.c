/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool of threads whose results come back to the event loop. */

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "util.h"
#include "worker.h"

typedef struct TaskList {
        Task *first, *last;
        size_t n;
} TaskList;

struct Pool {
        pthread_mutex_t lock; /* of what follows */
        TaskList queues[TASK_LANE_MAX_], ended;
        size_t n_idle, n_threads, n_queued;
        size_t n_waits; /* threads that are at a task that waits */
        int stopping;

        sem_t work; /* idle threads wait here; a condition would cost two more system calls a task
                     */
        size_t n_active; /* the loop's own */
        unsigned max_threads;
        int event_fd;
        sd_event_source *io;
        void (*wake)(void *userdata);
        void *wake_userdata;
        pthread_t threads[];
};

static void list_push(TaskList *list, Task *task)
{
        task->next = NULL;
        *(list->last ? &list->last->next : &list->first) = task;
        list->last = task;
        list->n++;
}

static Task *list_pop(TaskList *list)
{
        Task *task = list->first;

        if (!task)
                return NULL;
        list->first = task->next;
        if (!list->first)
                list->last = NULL;
        list->n--;
        return task;
}

void pool_wake(Pool *pool)
{
        uint64_t one = 1;

        /* full only when 2^64 are waiting */
        (void)!write(pool->event_fd, &one, sizeof(one));
}

static Task *take_task(Pool *pool)
{
        static const unsigned parts[TASK_LANE_MAX_] = {
                [TASK_WORKS] = 1, [TASK_WAITS] = 2, [TASK_WAITS_FOR_USER] = 4
        };

        for (unsigned i = 0; i < TASK_LANE_MAX_; i++) {
                size_t may_wait = (pool->max_threads + parts[i] - 1) / parts[i];

                if (!pool->queues[i].first || (i != TASK_WORKS && pool->n_waits >= may_wait))
                        continue;
                pool->n_waits += i != TASK_WORKS;
                pool->n_queued--;
                return list_pop(&pool->queues[i]);
        }
        return NULL;
}

static void *thread_main(void *userdata)
{
        Pool *pool = userdata;
        int was_empty;
        Task *task;

        pthread_mutex_lock(&pool->lock);
        for (;;) {
                while (!(task = take_task(pool)) && !pool->stopping) {
                        pool->n_idle++;
                        pthread_mutex_unlock(&pool->lock);
                        (void)sem_wait(&pool->work); /* for nothing now and then: no harm */
                        pthread_mutex_lock(&pool->lock);
                        pool->n_idle--;
                }
                if (!task)
                        break;
                pthread_mutex_unlock(&pool->lock);
                if (!atomic_load(&task->cancelled))
                        task->run(task);
                pthread_mutex_lock(&pool->lock);
                pool->n_waits -= task->lane != TASK_WORKS;
                was_empty = !pool->ended.first;
                list_push(&pool->ended, task);
                /* the loop takes all that it finds; woken without the lock it need not wait for it
                 */
                if (was_empty) {
                        pthread_mutex_unlock(&pool->lock);
                        pool_wake(pool);
                        pthread_mutex_lock(&pool->lock);
                }
        }
        pthread_mutex_unlock(&pool->lock);
        return NULL;
}

static int on_ended(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Pool *pool = userdata;
        uint64_t count;
        Task *task;

        (void)!read(fd, &count, sizeof(count));
        if (pool->wake)
                pool->wake(pool->wake_userdata);
        for (;;) {
                pthread_mutex_lock(&pool->lock);
                task = list_pop(&pool->ended);
                pthread_mutex_unlock(&pool->lock);
                if (!task)
                        return 0;
                pool->n_active--;
                task->done(task);
        }
}

int pool_new(sd_event *event, unsigned max_threads, Pool **ret)
{
        Pool *pool = calloc(1, sizeof(*pool) + max_threads * sizeof(pthread_t));
        pthread_mutexattr_t attributes;
        int r;

        if (!pool)
                return -ENOMEM;
        pool->max_threads = max_threads;
        /* held for a moment only: whoever meets it tries again before it sleeps */
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
        pthread_mutex_init(&pool->lock, &attributes);
        pthread_mutexattr_destroy(&attributes);
        (void)sem_init(&pool->work, 0, 0);
        pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = pool->event_fd < 0
                    ? -errno
                    : sd_event_add_io(event, &pool->io, pool->event_fd, EPOLLIN, on_ended, pool);
        if (r < 0) {
                (void)pool_free(pool);
                return r;
        }
        *ret = pool;
        return 0;
}

/* Signals are the loop's: a worker must not be interrupted in a write. */
static int start_thread(Pool *pool)
{
        sigset_t all, old;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&pool->threads[pool->n_threads], NULL, thread_main, pool);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r == 0)
                pool->n_threads++;
        return -r;
}

int pool_submit(Pool *pool, Task *task)
{
        int is_idle, r = 0;

        pthread_mutex_lock(&pool->lock);
        is_idle = pool->n_idle > 0;
        if (pool->n_idle <= pool->n_queued && pool->n_threads < pool->max_threads)
                r = start_thread(pool);
        if (pool->n_threads > 0) {
                list_push(&pool->queues[task->lane], task);
                pool->n_queued++;
                pool->n_active++;
                r = 0;
        }
        pthread_mutex_unlock(&pool->lock);
        /* those at work, and new ones, look before they wait */
        if (r >= 0 && is_idle)
                (void)sem_post(&pool->work);
        return r;
}

void task_cancel(Task *task)
{
        atomic_store(&task->cancelled, 1);
}

void pool_set_wake(Pool *pool, void (*wake)(void *userdata), void *userdata)
{
        pool->wake = wake;
        pool->wake_userdata = userdata;
}

size_t pool_n_threads(const Pool *pool)
{
        return pool->n_threads;
}

size_t pool_n_active(const Pool *pool)
{
        return pool->n_active;
}

size_t pool_n_queued(Pool *pool)
{
        size_t n;

        pthread_mutex_lock(&pool->lock);
        n = pool->n_queued;
        pthread_mutex_unlock(&pool->lock);
        return n;
}

int pool_free(Pool *pool)
{
        if (!pool)
                return 1;
        if (pool->n_active > 0)
                return 0;
        pthread_mutex_lock(&pool->lock);
        pool->stopping = 1;
        pthread_mutex_unlock(&pool->lock);
        for (size_t i = 0; i < pool->n_threads; i++)
                (void)sem_post(&pool->work);
        for (size_t i = 0; i < pool->n_threads; i++)
                (void)pthread_join(pool->threads[i], NULL);
        sd_event_source_unref(pool->io);
        safe_close(pool->event_fd);
        (void)sem_destroy(&pool->work);
        pthread_mutex_destroy(&pool->lock);
        free(pool);
        return 1;
}
