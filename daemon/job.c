/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs moves and recoveries as jobs. */

#include <json-c/json.h>
#include <signal.h>

#include "claim.h"
#include "error.h"
#include "job.h"
#include "journal.h"
#include "log.h"
#include "names.h"
#include "plan.h"
#include "util.h"

static const struct {
        const char *word;
        int end;
} states[] = {
#define ROW(id, text, is_end, doc) [JOB_##id] = { .word = text, .end = is_end },
        CH_JOB_STATES(ROW)
#undef ROW
};

const char *job_state_to_string(JobState state)
{
        return states[state].word;
}

int job_state_is_end(JobState state)
{
        return states[state].end;
}

int jobs_new(const JobsOptions *options, Jobs **ret)
{
        Jobs *jobs = calloc(1, sizeof(*jobs));

        if (!jobs)
                return -ENOMEM;
        jobs->options = *options;
        jobs->next_id = 1;
        pthread_mutex_init(&jobs->lock, NULL);
        pthread_mutex_init(&jobs->membership, NULL);
        *ret = jobs;
        return 0;
}

static Job *job_free(Job *job)
{
        if (!job)
                return NULL;
        ch_move_free(job->move);
        json_object_put(job->record);
        json_object_put(job->result);
        ch_error_free(job->error);
        free(job->pids);
        free(job->group);
        free(job);
        return NULL;
}

static void unlink_job(Jobs *jobs, Job *job)
{
        pthread_mutex_lock(&jobs->lock);
        *(job->prev ? &job->prev->next : &jobs->first) = job->next;
        *(job->next ? &job->next->prev : &jobs->last) = job->prev;
        pthread_mutex_unlock(&jobs->lock);
        hash_remove(&jobs->by_id, job->id);
}

Jobs *jobs_free(Jobs *jobs)
{
        if (!jobs || jobs->n_live > 0)
                return NULL;
        while (jobs->first) {
                Job *job = jobs->first;

                unlink_job(jobs, job);
                job_free(job);
        }
        hash_done(&jobs->by_id);
        pthread_mutex_destroy(&jobs->lock);
        pthread_mutex_destroy(&jobs->membership);
        free(jobs);
        return NULL;
}

Job *jobs_get(const Jobs *jobs, uint32_t id)
{
        return hash_get(&jobs->by_id, id);
}

static void forget_oldest(Jobs *jobs)
{
        Job *job, *next;

        for (job = jobs->first; job && jobs->n_ended > jobs->options.history; job = next) {
                next = job->next;
                if (!job_state_is_end(job->state))
                        continue;
                jobs->options.observer.forgotten(job, jobs->options.observer.userdata);
                unlink_job(jobs, job);
                job_free(job);
                jobs->n_ended--;
        }
}

/* Only one membership write is in flight, unless the mount has favordynmods: the others would wait
 * in the kernel anyway. */
static void hold_membership(Job *job, ch_step step)
{
        int wants = step == CH_STEP_PROCESSES || step == CH_STEP_ROLLBACK_PROCESSES;

        if (job->jobs->options.parallel_writes || wants == job->in_membership)
                return;
        job->in_membership = wants;
        if (wants)
                pthread_mutex_lock(&job->jobs->membership);
        else
                pthread_mutex_unlock(&job->jobs->membership);
}

/* On the worker, before each step. */
static int on_journal(ch_step step, json_object *record, void *userdata)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        Job *job = userdata;
        Jobs *jobs = job->jobs;
        int r = 0;

        if (step == CH_STEP_DONE)
                hold_membership(job, step);
        else
                r = journal_write(jobs->options.state_fd, job->id, job->uid, step, record, &error);
        if (r < 0)
                log_failure(LOG_ERR, "writing the journal of a move", error);
        if (jobs->options.kill_at_step &&
            atomic_fetch_add(&jobs->n_journalled, 1) + 1 == jobs->options.kill_at_step)
                (void)raise(SIGKILL);
        atomic_store(&job->step, (int)step);
        pool_wake(jobs->options.pool);
        if (r >= 0)
                hold_membership(job, step);
        return r;
}

/* What is charged by now is taken off the lease first. */
static void tell_claims(Job *job, uint64_t bytes_done)
{
        Claims *claims = job->jobs->options.claims;
        uint64_t of_lease = min_u64(bytes_done, job->lease_bytes);

        if (job->lease)
                claims_set_done(claims, job->lease, of_lease);
        if (job->below_lease)
                claims_set_done(claims, job->below_lease, of_lease);
        if (job->claim)
                claims_set_done(claims, job->claim, bytes_done - of_lease);
}

static void drop_claims(Job *job)
{
        Claims *claims = job->jobs->options.claims;

        if (job->lease)
                claims_unuse_lease(claims, job->lease);
        if (job->claim)
                (void)claims_release(claims, job->claim);
        if (job->below_lease)
                (void)claims_release(claims, job->below_lease);
        job->claim = job->below_lease = 0;
}

static void on_progress(ch_step step, uint64_t bytes_done, uint64_t bytes_total, void *userdata)
{
        Job *job = userdata;

        atomic_store(&job->step, (int)step);
        atomic_store(&job->bytes_done, bytes_done);
        atomic_store(&job->bytes_total, bytes_total);
        tell_claims(job, bytes_done);
        pool_wake(job->jobs->options.pool);
}

/* The earliest of its own: claims of jobs that came after it are later ones. Where a lease covers
 * all of it, that is the lease. */
static uint64_t first_claim(const Job *job)
{
        if (job->below_lease)
                return job->below_lease;
        return job->claim ? job->claim : job->lease;
}

static void run_job(Task *task)
{
        Job *job = (Job *)task;
        ch_move_hooks hooks = { .journal = on_journal, .progress = on_progress, .userdata = job };

        claims_act_for(job->group);
        claims_act_with(job->lease, first_claim(job));
        atomic_store(&job->begun, 1);
        pool_wake(job->jobs->options.pool);
        if (job->record) {
                job->status = ch_move_recover(job->jobs->options.tree, job->record, &hooks,
                                              &job->result, &job->error);
        } else {
                job->status = ch_move_run(job->move, &job->error);
                (void)ch_move_to_json(job->move, &job->result);
        }
        if (job->in_membership)
                hold_membership(job, CH_STEP_DONE);
        claims_act_with(0, 0);
        claims_act_for(NULL);
}

static const char *result_state(const Job *job)
{
        json_object *state;

        return job->result && json_object_object_get_ex(job->result, "state", &state)
                       ? json_object_get_string(state)
                       : "";
}

static JobState end_state(const Job *job)
{
        ch_error_kind kind = ch_error_get_kind(job->error);

        if (!atomic_load(&job->begun))
                return JOB_CANCELLED;
        if (job->status == 0)
                return streq(result_state(job), "rolled back") ? JOB_ROLLED_BACK : JOB_FINISHED;
        if (job->status > 0)
                return JOB_PARTLY_DONE;
        if (job->error && kind == CH_ERROR_CANCELLED)
                return JOB_CANCELLED;
        if (job->error && kind == CH_ERROR_ROLLED_BACK)
                return JOB_ROLLED_BACK;
        return streq(result_state(job), "rolled back") ? JOB_ROLLED_BACK : JOB_FAILED;
}

/* A result always says how it ended, also when the library gave none. */
static void complete_result(Job *job)
{
        json_object *error;

        if (!job->result)
                job->result = json_object_new_object();
        if (!job->result)
                return;
        if (!json_object_object_get_ex(job->result, "state", NULL))
                json_object_object_add(job->result, "state",
                                       json_object_new_string(job_state_to_string(job->state)));
        if (!job->error || json_object_object_get(job->result, "error"))
                return;
        error = json_object_new_object();
        json_object_object_add(
                error, "kind",
                json_object_new_string(ch_error_kind_to_name(ch_error_get_kind(job->error))));
        json_object_object_add(error, "path",
                               json_object_new_string(ch_error_get_path(job->error)));
        json_object_object_add(error, "cause",
                               json_object_new_string(ch_error_get_cause(job->error)));
        json_object_object_add(job->result, "error", error);
}

static void job_done(Task *task)
{
        Job *job = (Job *)task;
        Jobs *jobs = job->jobs;

        drop_claims(job);
        job->state = end_state(job);
        complete_result(job);
        job->move = ch_move_free(job->move);
        journal_remove(jobs->options.state_fd, job->id);
        jobs->n_live--;
        jobs->n_ended++;
        log_info("job %u (%s to %s, uid %u): %s%s%s", job->id, job->type, job->group, job->uid,
                 job_state_to_string(job->state), job->error ? ": " : "",
                 job->error ? ch_error_get_cause(job->error) : "");
        jobs->options.observer.ended(job, jobs->options.observer.userdata);
        forget_oldest(jobs);
}

static int job_new(Jobs *jobs, uint32_t id, uint32_t uid, const char *type, const char *group,
                   Job **ret)
{
        Job *job = calloc(1, sizeof(*job));

        if (!job)
                return -ENOMEM;
        *job = (Job){
                .task = {.run = run_job, .done = job_done},
                .jobs = jobs,
                .id = id,
                .uid = uid,
                .type = type,
                .group = strdup(group),
                .told_step = -1,
        };
        if (!job->group) {
                job_free(job);
                return -ENOMEM;
        }
        *ret = job;
        return 0;
}

/* From here on the job is the model's. */
static int job_start(Job *job, ch_error **err)
{
        Jobs *jobs = job->jobs;
        int r;

        if (hash_put(&jobs->by_id, job->id, job) < 0)
                return -ENOMEM;
        pthread_mutex_lock(&jobs->lock);
        job->prev = jobs->last;
        *(jobs->last ? &jobs->last->next : &jobs->first) = job;
        jobs->last = job;
        pthread_mutex_unlock(&jobs->lock);
        r = pool_submit(jobs->options.pool, &job->task);
        if (r < 0) {
                unlink_job(jobs, job);
                return error_errno(err, r, job->group, "starting a worker");
        }
        jobs->n_live++;
        jobs->options.observer.added(job, jobs->options.observer.userdata);
        return 0;
}

static const Job *find_by_pid(const Jobs *jobs, pid_t pid)
{
        for (const Job *job = jobs->first; job; job = job->next)
                for (size_t i = 0; !job_state_is_end(job->state) && i < job->n_pids; i++)
                        if (job->pids[i] == pid)
                                return job;
        return NULL;
}

/* Two jobs must not pull at one process. */
static int take_processes(Job *job, const ch_procset *set, ch_error **err)
{
        size_t n = ch_procset_size(set);

        job->pids = calloc(n + 1, sizeof(pid_t));
        if (!job->pids)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const ch_process *process = ch_procset_get(set, i);
                const Job *other = find_by_pid(job->jobs, process->pid);

                if (other)
                        return error_set(err, CH_ERROR_BUSY, 0, job->group,
                                         "process %d (%s) is being moved to '%s' by "
                                         "job %u: wait for its end, or cancel it",
                                         (int)process->pid, process->comm, other->group, other->id);
                job->pids[job->n_pids++] = process->pid;
        }
        return 0;
}

static uint32_t new_id(Jobs *jobs)
{
        while (jobs->next_id == 0 || jobs_get(jobs, jobs->next_id))
                jobs->next_id++;
        return jobs->next_id++;
}

/* Of what a job will charge to its target, in the order of those who pay for it now. */
typedef struct Part {
        uint64_t skip, bytes;
        const char *lease_group; /* where a lease has room for it already; NULL: none */
} Part;

/* What is charged below a group above the target already needs no room there. */
static size_t find_inside(const ch_plan *plan, const Part *part, ClaimInside *ret)
{
        uint64_t skip = part->skip, left = part->bytes;
        size_t n = 0;

        for (size_t i = 0; i < plan->n_payers; i++) {
                const Payer *payer = &plan->payers[i];
                uint64_t passed = min_u64(skip, payer->bytes);
                uint64_t bytes = min_u64(payer->bytes - passed, left);

                skip -= passed;
                left -= bytes;
                if (bytes && payer->path)
                        ret[n++] = (ClaimInside){ .group = payer->path, .bytes = bytes };
        }
        if (part->lease_group)
                ret[n++] = (ClaimInside){ .group = part->lease_group, .bytes = part->bytes };
        return n;
}

/* Seen by others from now on, whether there is room or not: that is looked at when it begins. */
static int add_claim(Job *job, const ch_plan *plan, const Part *part, uint64_t *ret)
{
        ClaimRequest request = { .group = job->group,
                                 .bytes = part->bytes,
                                 .kind = CLAIM_JOB,
                                 .uid = job->uid,
                                 .job = job->id };
        ClaimInside *inside = calloc(plan->n_payers + 1, sizeof(*inside));
        int r;

        if (!inside)
                return -ENOMEM;
        request.n_inside = find_inside(plan, part, inside);
        request.inside = inside;
        r = claims_add(job->jobs->options.claims, &request, ret);
        free(inside);
        return r;
}

/* The room of a lease counts in its group and above. Where the target is further down, what is
 * going to be charged there has to be seen as well. */
static int use_lease(Job *job, const ch_plan *plan, uint64_t lease, uint64_t bytes, ch_error **err)
{
        _cleanup_(freep) char *group = NULL;
        Part part;
        int r;

        r = claims_use_lease(job->jobs->options.claims, lease, job->group, job->id,
                             &job->lease_bytes, &group, err);
        if (r < 0)
                return r;
        job->lease = lease;
        part = (Part){ .skip = sub_u64(bytes, job->lease_bytes),
                       .bytes = min_u64(bytes, job->lease_bytes),
                       .lease_group = group };
        if (part.bytes == 0 || streq(group, job->group))
                return 0;
        r = add_claim(job, plan, &part, &job->below_lease);
        return r < 0 ? error_errno(err, r, job->group, "claiming memory") : 0;
}

static int take_claims(Job *job, const ch_plan *plan, const JobRoom *room, ch_error **err)
{
        Part part = { .bytes = ch_plan_get_movable_bytes(plan) };
        int r = 0;

        if (room && room->lease) {
                r = use_lease(job, plan, room->lease, part.bytes, err);
                if (r < 0)
                        return r;
                part.bytes = sub_u64(part.bytes, job->lease_bytes);
        }
        if (room && room->claim) {
                r = claims_give_to_job(job->jobs->options.claims, room->claim, job->id);
                job->claim = r < 0 ? 0 : room->claim;
        } else if (part.bytes > 0) {
                r = add_claim(job, plan, &part, &job->claim);
        }
        return r < 0 ? error_errno(err, r, job->group, "claiming memory") : 0;
}

int jobs_add_move(Jobs *jobs, ch_plan *plan, const char *target, uint32_t uid, const JobRoom *room,
                  Job **ret, ch_error **err)
{
        ch_move_hooks hooks = { .journal = on_journal, .progress = on_progress };
        Job *job;
        int r;

        r = job_new(jobs, new_id(jobs), uid, "move", target, &job);
        if (r < 0) {
                ch_plan_free(plan);
                return error_errno(err, r, target, "making a job");
        }
        hooks.userdata = job;
        r = take_processes(job, ch_plan_get_processes(plan), err);
        if (r >= 0)
                r = take_claims(job, plan, room, err);
        if (r >= 0)
                r = ch_move_new(plan, &hooks, &job->move, err);
        if (r < 0)
                ch_plan_free(plan);
        else
                r = job_start(job, err);
        if (r < 0) {
                drop_claims(job);
                job_free(job);
                return r;
        }
        *ret = job;
        return 0;
}

int jobs_add_recovery(Jobs *jobs, uint32_t id, uint32_t uid, json_object *record, Job **ret,
                      ch_error **err)
{
        json_object *target;
        Job *job;
        int r;

        if (jobs_get(jobs, id))
                return -EEXIST;
        r = job_new(jobs, id, uid, "recover",
                    json_object_object_get_ex(record, "target", &target)
                            ? json_object_get_string(target)
                            : "/",
                    &job);
        if (r < 0)
                return r;
        job->record = json_object_get(record);
        if (id >= jobs->next_id)
                jobs->next_id = id + 1;
        r = job_start(job, err);
        if (r < 0) {
                job_free(job);
                return r;
        }
        *ret = job;
        return 0;
}

int job_cancel(Job *job)
{
        if (job_state_is_end(job->state))
                return 0;
        if (job->record)
                return 1; /* what a crash left half done is always brought to an end */
        job->state = JOB_CANCELLING;
        task_cancel(&job->task);
        ch_move_cancel(job->move);
        jobs_check_progress(job->jobs);
        return 1;
}

void jobs_cancel_all(Jobs *jobs)
{
        for (Job *job = jobs->first; job; job = job->next)
                (void)job_cancel(job);
}

void jobs_check_progress(Jobs *jobs)
{
        for (Job *job = jobs->first; job; job = job->next) {
                int step = atomic_load(&job->step);
                uint64_t done = atomic_load(&job->bytes_done);

                if (job->state == JOB_WAITING && atomic_load(&job->begun))
                        job->state = JOB_RUNNING;
                if (job_state_is_end(job->state) ||
                    (step == job->told_step && done == job->told_done &&
                     job->state == job->told_state))
                        continue;
                jobs->options.observer.progressed(job, jobs->options.observer.userdata);
                job->told_step = step;
                job->told_done = done;
                job->told_state = job->state;
        }
}
