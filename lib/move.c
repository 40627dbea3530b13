/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carries a plan out, step by step, and undoes it where the policy says so. */

#include "error.h"
#include "group.h"
#include "move.h"
#include "units.h"
#include "util.h"

enum {
        PROGRESS_USEC = 50000,
        VERIFY_TRIES = 10,
        VERIFY_PAUSE_USEC = 1000, /* doubles: a second in all */
        SLEEP_SLICE_USEC = 20000,
        ROLLBACK_DEADLINE_USEC = 60000000, /* and four times what the way there took */
        FAILED_PERMYRIAD =
                500, /* more than this share of the plan refused by the kernel: no success */
};

int move_interrupted(const ch_move *m)
{
        if (!m->uncancellable && atomic_load_explicit(&m->cancelled, memory_order_relaxed))
                return -ECANCELED;
        return m->deadline_usec && now_usec() >= m->deadline_usec ? -ETIMEDOUT : 0;
}

int move_sleep(const ch_move *m, uint64_t usec)
{
        uint64_t until = now_usec() + usec, now;
        int r;

        while ((r = move_interrupted(m)) >= 0 && (now = now_usec()) < until)
                (void)usleep((useconds_t)min_u64(until - now, SLEEP_SLICE_USEC));
        return r;
}

void move_progress(ch_move *m, uint64_t done, uint64_t total, int force)
{
        uint64_t now = now_usec();

        if (!m->hooks.progress || (!force && now - m->progress_usec < PROGRESS_USEC))
                return;
        m->progress_usec = now;
        m->hooks.progress(m->step, done, total, m->hooks.userdata);
}

int move_enter(ch_move *m, ch_step step, ch_error **err)
{
        int r;

        m->step = step;
        if (!m->hooks.journal)
                return 0;
        r = record_update(m);
        if (r >= 0)
                r = m->hooks.journal(step, m->record, m->hooks.userdata);
        if (r >= 0)
                return 0;
        return error_set(err, CH_ERROR_FAILED, -r, ch_group_get_path(m->plan->target),
                         "the journal could not record the step '%s': %s", ch_step_to_string(step),
                         strerror(-r));
}

_public_ int ch_move_new(ch_plan *plan, const ch_move_hooks *hooks, ch_move **ret, ch_error **err)
{
        ch_move *m;

        if (plan->refusal) {
                (void)error_copy(err, plan->refusal);
                return -EINVAL;
        }
        m = calloc(1, sizeof(*m));
        if (!m)
                return error_errno(err, ENOMEM, ch_group_get_path(plan->target),
                                   "preparing the move");
        m->plan = plan;
        if (hooks)
                m->hooks = *hooks;
        m->charges = m->rest = m->back = m->after = (Charges)CHARGES_INIT;
        m->planned_bytes = plan->charges.movable_bytes;
        m->state = MOVE_FAILED;
        *ret = m;
        return 0;
}

_public_ ch_move *ch_move_free(ch_move *m)
{
        if (!m)
                return NULL;
        if (m->plan)
                (void)move_thaw(m);
        charges_done(&m->charges);
        charges_done(&m->rest);
        charges_done(&m->back);
        charges_done(&m->after);
        (void)json_object_put(m->record);
        free(m->strangers);
        free(m->trails);
        ch_error_free(m->error);
        (void)ch_plan_free(m->plan);
        free(m);
        return NULL;
}

_public_ void ch_move_cancel(ch_move *m)
{
        atomic_store_explicit(&m->cancelled, 1, memory_order_relaxed);
}

/* Up to here nothing has been touched. */
static int prepare(ch_move *m, ch_error **err)
{
        int r;

        r = move_note_strangers(m, err);
        if (r >= 0)
                r = move_enter(m, CH_STEP_INTENT, err);
        if (r >= 0)
                r = move_interrupted(m);
        if (r < 0 || m->plan->reclaim_bytes == 0)
                return r;
        r = move_enter(m, CH_STEP_ROOM, err);
        return r < 0 ? r : move_make_room(m, err);
}

static int strayed(const ch_move *m, ch_error **err)
{
        for (size_t i = 0; i < m->plan->members.n; i++) {
                const Member *member = &m->plan->members.items[i];

                if (member->outcome == CH_OUTCOME_REFUSED && member->found)
                        return error_set(err, CH_ERROR_FAILED, EBUSY,
                                         ch_group_get_path(m->plan->target),
                                         "process %d was written there and is in %s: someone else "
                                         "moves it too",
                                         (int)ch_procset_get(m->plan->set, i)->pid, member->found);
        }
        return error_set(err, CH_ERROR_FAILED, EBUSY, ch_group_get_path(m->plan->target),
                         "processes are missing there, and it cannot be told where they are");
}

/* Processes that are just exiting are written without effect, and still show their old group: look
 * again. */
static int carry_processes(ch_move *m, ch_error **err)
{
        uint64_t started = now_usec(), pause = VERIFY_PAUSE_USEC;
        int r = 0;

        for (unsigned i = 0; i < VERIFY_TRIES && r >= 0; i++) {
                r = move_enter(m, CH_STEP_PROCESSES, err);
                if (r >= 0)
                        r = move_processes(m, err);
                m->processes_usec = now_usec() - started;
                if (r >= 0)
                        r = move_enter(m, CH_STEP_VERIFY, err);
                if (r >= 0)
                        r = move_verify(m, i == VERIFY_TRIES - 1, err);
                if (r <= 0)
                        return r;
                r = move_sleep(m, pause);
                pause *= 2;
        }
        return r < 0 ? r : strayed(m, err);
}

/* For "all or nothing" a block or two that were busy are no failure, most of the memory is. */
static int check_failed(ch_move *m, ch_error **err)
{
        char left_text[CH_FORMAT_MAX], all_text[CH_FORMAT_MAX];
        uint64_t left = move_left_bytes(m);

        m->failed_bytes = left;
        if (m->plan->options.policy != CH_POLICY_RESERVE || left <= 2 * m->charges.huge_bytes ||
            left <= m->charges.movable_bytes / 10000 * FAILED_PERMYRIAD)
                return 0;
        return error_set(err, CH_ERROR_FAILED, EIO, ch_group_get_path(m->plan->target),
                         "the kernel did not move %s of %s: %s; try again, or move with policy "
                         "'partial'",
                         ch_format_bytes(left, left_text),
                         ch_format_bytes(m->charges.movable_bytes, all_text),
                         m->charges.n_retags ? "it is pinned or was in use all the time"
                                             : "free huge pages may be scarce, or it is pinned");
}

/* Who cancels during the last batch finds everything as it was. What is to be kept is all there. */
static int cancelled_at_the_end(const ch_move *m)
{
        return m->plan->options.policy == CH_POLICY_RESERVE && move_interrupted(m) == -ECANCELED
                       ? -ECANCELED
                       : 0;
}

int move_finish_charges(ch_move *m, ch_error **err)
{
        uint64_t started = now_usec();
        int r;

        r = move_enter(m, CH_STEP_CHARGES, err);
        if (r >= 0)
                r = move_recharge(m, err);
        if (r >= 0)
                r = cancelled_at_the_end(m);
        if (r >= 0)
                r = check_failed(m, err);
        m->charges_usec = now_usec() - started;
        return r;
}

static int measure(ch_move *m, ch_error **err)
{
        int r;

        r = move_enter(m, CH_STEP_MEASURE, err);
        if (r >= 0)
                r = plan_scan_charges(m->plan, 0, &m->after, err);
        return r < 0 ? r : charges_choose(&m->after, m->plan->options.max_growth_permyriad);
}

static int carry_out(ch_move *m, ch_error **err)
{
        int r;

        r = carry_processes(m, err);
        if (r >= 0 && m->plan->charges_on)
                r = move_finish_charges(m, err);
        return r;
}

/* Bounded, but not to be cancelled. Goes on past errors: as much as possible is brought back. */
int move_roll_back(ch_move *m, int all_charges, ch_error **err)
{
        int touched = all_charges || m->step >= CH_STEP_CHARGES;
        int r;

        m->uncancellable = 1;
        m->deadline_usec = now_usec() + ROLLBACK_DEADLINE_USEC + 4 * (now_usec() - m->started_usec);
        (void)move_enter(m, CH_STEP_ROLLBACK_PROCESSES, NULL);
        (void)move_thaw(m);
        r = move_processes_back(m, err);
        if (touched && m->plan->charges_on) {
                int r2;

                (void)move_enter(m, CH_STEP_ROLLBACK_CHARGES, NULL);
                r2 = move_recharge_back(m, all_charges, err);
                if (r >= 0)
                        r = r2;
        }
        if (m->plan->charges_on && plan_scan_charges(m->plan, 0, &m->after, NULL) >= 0)
                (void)charges_choose(&m->after, m->plan->options.max_growth_permyriad);
        (void)move_enter(m, CH_STEP_DONE, NULL);
        m->state = r < 0 ? MOVE_FAILED : MOVE_ROLLED_BACK;
        return r;
}

static int tell(ch_move *m, ch_error_kind kind, int errnum, const char *what, ch_error **err)
{
        _cleanup_(error_freep) ch_error *cause = TAKE_PTR(m->error);

        (void)error_set(&m->error, kind, errnum,
                        cause ? ch_error_get_path(cause) : ch_group_get_path(m->plan->target),
                        "%s%s%s", cause ? ch_error_get_cause(cause) : "", cause ? "; " : "", what);
        return error_copy(err, m->error);
}

static const struct {
        int errnum;
        ch_error_kind kind;
} interruptions[] = {
        {ECANCELED,  CH_ERROR_CANCELLED},
        { ETIMEDOUT, CH_ERROR_TIMED_OUT},
};

static int interruption_kind(int r, ch_error_kind *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(interruptions); i++)
                if (r == -interruptions[i].errnum) {
                        *ret = interruptions[i].kind;
                        return 1;
                }
        return 0;
}

/* Nothing was touched yet. */
static int end_refused(ch_move *m, int r, ch_error **err)
{
        ch_error_kind kind;

        (void)move_enter(m, CH_STEP_DONE, NULL);
        m->state = MOVE_REFUSED;
        if (interruption_kind(r, &kind))
                return tell(m, kind, -r,
                            kind == CH_ERROR_CANCELLED ? "cancelled; nothing has been changed"
                                                       : "out of time; nothing has been changed",
                            err);
        return m->error ? error_copy(err, m->error)
                        : error_errno(err, r, ch_group_get_path(m->plan->target), "moving");
}

static int end_rolled_back(ch_move *m, int r, ch_error **err)
{
        _cleanup_(error_freep) ch_error *why = NULL;
        ch_error_kind kind = CH_ERROR_ROLLED_BACK;
        int errnum = ECANCELED;

        if (move_roll_back(m, 0, &why) < 0)
                return tell(
                        m, CH_ERROR_FAILED, EIO,
                        why ? ch_error_get_cause(why)
                            : "undoing it failed: the result says where processes and charges are",
                        err);
        if (interruption_kind(r, &kind))
                errnum = -r;
        return tell(m, kind, errnum,
                    kind == CH_ERROR_TIMED_OUT   ? "out of time; everything was brought back"
                    : kind == CH_ERROR_CANCELLED ? "cancelled; everything was brought back"
                                                 : "everything was brought back",
                    err);
}

static int count_outcomes(const ch_move *m, ch_outcome outcome)
{
        int n = 0;

        for (size_t i = 0; i < m->plan->members.n; i++)
                n += m->plan->members.items[i].outcome == outcome;
        return n;
}

/* Policies that keep what was done. */
static int end_partly(ch_move *m, int r, ch_error **err)
{
        int nothing =
                count_outcomes(m, CH_OUTCOME_MOVED) + count_outcomes(m, CH_OUTCOME_ALREADY) == 0;
        ch_error_kind kind;

        if (!nothing && m->plan->charges_on)
                (void)measure(m, NULL);
        (void)move_enter(m, CH_STEP_DONE, NULL);
        m->state = nothing ? MOVE_FAILED : MOVE_PARTLY;
        if (interruption_kind(r, &kind))
                return tell(m, kind, -r, "what was done is kept", err);
        if (!nothing)
                return 1;
        return m->error ? error_copy(err, m->error)
                        : error_errno(err, r, ch_group_get_path(m->plan->target), "moving");
}

static int end_finished(ch_move *m, ch_error **err)
{
        int partly = m->failed_bytes > 0 && m->plan->options.policy != CH_POLICY_RESERVE;

        if (m->plan->charges_on)
                (void)measure(m, NULL);
        (void)move_enter(m, CH_STEP_DONE, NULL);
        m->state = partly ? MOVE_PARTLY : MOVE_FINISHED;
        return partly;
}

int move_end(ch_move *m, int result, ch_error **err)
{
        return result < 0 ? end_partly(m, result, err) : end_finished(m, err);
}

_public_ int ch_move_run(ch_move *m, ch_error **err)
{
        int r;

        m->started_usec = now_usec();
        if (m->plan->options.timeout_usec &&
            m->plan->options.timeout_usec < UINT64_MAX - m->started_usec)
                m->deadline_usec = m->started_usec + m->plan->options.timeout_usec;
        r = prepare(m, &m->error);
        if (r < 0) {
                r = end_refused(m, r, err);
        } else {
                r = carry_out(m, &m->error);
                if (r < 0 && m->plan->options.policy == CH_POLICY_RESERVE)
                        r = end_rolled_back(m, r, err);
                else
                        r = move_end(m, r, err);
        }
        m->elapsed_usec = now_usec() - m->started_usec;
        return r;
}
