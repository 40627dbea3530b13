/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_WORKER_H
#define CHD_WORKER_H

/*
 * Threads for what may block in the kernel. A task runs on one of them; its end comes back to the
 * loop through an eventfd. A thread that hangs in the kernel cannot be stopped: who waits must have
 * a deadline of its own, and the task ends when it ends.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <systemd/sd-event.h>

typedef struct Pool Pool;
typedef struct Task Task;

/*
 * Tasks that wait for what others do, who may never do it, hold up nobody but each other: they get
 * half of the threads, and those that are not root's a quarter.
 */
typedef enum TaskLane { TASK_WORKS, TASK_WAITS, TASK_WAITS_FOR_USER, TASK_LANE_MAX_ } TaskLane;

struct Task {
        void (*run)(Task *task);  /* on a worker */
        void (*done)(Task *task); /* on the loop, once, whatever happened; may free the task */
        atomic_int cancelled; /* run() looks at it between steps; set before start: run() is left
                                 out */
        TaskLane lane;        /* set before pool_submit() */
        Task *next;
};

/* Threads are started when needed, at most `max_threads`. */
int pool_new(sd_event *event, unsigned max_threads, Pool **ret);
/* -ENOMEM, -EAGAIN when not one thread can be had; done() is not called then. */
int pool_submit(Pool *pool, Task *task);
void task_cancel(Task *task);
/* Any thread: have `wake` called on the loop soon (progress of a task). */
void pool_wake(Pool *pool);
void pool_set_wake(Pool *pool, void (*wake)(void *userdata), void *userdata);
size_t pool_n_threads(const Pool *pool);
size_t pool_n_queued(Pool *pool);
size_t pool_n_active(const Pool *pool); /* submitted and not done */
/* Ends idle threads. While tasks are active the pool cannot go: it is left to the end of the
 * process, and the return is 0. */
int pool_free(Pool *pool);

#endif
