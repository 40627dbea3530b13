/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a job of the daemon: progress, Ctrl-C, the end. */

#include <signal.h>

#include "job.h"
#include "progress.h"

enum { POLL_USEC = 150 * 1000 };

/* Set by the signal handler: how often Ctrl-C was pressed. */
static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal)
{
        interrupts++;
}

static void catch_interrupts(void)
{
        /* no SA_RESTART: waiting ends at once */
        struct sigaction action = { .sa_handler = on_interrupt };

        interrupts = 0;
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
}

int job_watch_begin(Cli *cli)
{
        int r = sd_bus_match_signal(cli->bus, NULL, CH_BUS_NAME, CH_BUS_PATH,
                                    CH_BUS_MANAGER_INTERFACE, "JobRemoved", NULL, NULL);

        return r < 0 ? bus_fail_errno(cli, r, "listening for jobs") : CTL_OK;
}

static int state_is_end(const char *state)
{
#define IS_END(id, word, end, doc)                                                                 \
        if (end && streq(state, word))                                                             \
                return 1;
        CH_JOB_STATES(IS_END)
#undef IS_END
        return 0;
}

/* Ask for the job's properties; what came is in *ret. Silent: a job may be gone. */
static int read_job(Cli *cli, const char *object, struct json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(cli->bus, CH_BUS_NAME, object, "org.freedesktop.DBus.Properties",
                                   "GetAll", &error, &reply, "s", CH_BUS_JOB_INTERFACE);

        return r < 0 ? r : json_from_message(reply, FORM_PLAIN, ret);
}

static int ask_to_end(Cli *cli, uint32_t id, Progress *progress)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        progress_end(progress);
        fprintf(stderr, "Cancelling; waiting until what was done is undone. Once more Ctrl-C "
                        "leaves that to the daemon.\n");
        r = sd_bus_call_method(cli->bus, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                               "CancelJob", &error, NULL, "u", id);
        return r < 0 ? bus_fail(cli, &error, r) : CTL_OK;
}

/* Let the bus deliver what came, or wait a moment. */
static int pass_time(Cli *cli)
{
        int r;

        while ((r = sd_bus_process(cli->bus, NULL)) > 0)
                ;
        if (r >= 0)
                r = sd_bus_wait(cli->bus, POLL_USEC);
        return r == -EINTR ? 0 : r;
}

static int gone(Cli *cli, uint32_t id)
{
        return cli_fail(
                cli, CTL_TRY_AGAIN, NULL,
                "job %u: the daemon went away; when it is back it finishes the job or rolls it "
                "back by its journal: see 'chargectl jobs'",
                id);
}

static int job_poll(Cli *cli, uint32_t id, const char *object, Progress *progress, JobEnd *end)
{
        _cleanup_(json_putp) struct json_object *job = NULL;
        const char *state;
        int r = read_job(cli, object, &job);

        if (r == -EINTR)
                return CTL_OK; /* Ctrl-C: the next turn asks again */
        if (r < 0)
                return gone(cli, id);
        state = jtext(job, "State");
        if (state_is_end(state)) {
                snprintf(end->state, sizeof(end->state), "%s", state);
                end->result = jget(job, "Result") ? json_object_get(jget(job, "Result")) : NULL;
                return CTL_OK;
        }
        progress_update(progress, jtext(job, "Step")[0] ? jtext(job, "Step") : state,
                        jnumber(job, "BytesDone"), jnumber(job, "BytesTotal"));
        return CTL_OK;
}

int job_wait(Cli *cli, uint32_t id, const char *object, JobEnd *ret)
{
        JobEnd end = { .state = "" };
        Progress progress;
        int told = 0, r = CTL_OK;

        catch_interrupts();
        progress_init(&progress, &cli->style, cli->options.quiet || cli->options.json != JSON_OFF);
        while (!end.state[0] && r == CTL_OK) {
                if (interrupts > told) {
                        if (told++) {
                                r = cli_fail(cli, CTL_TRY_AGAIN, NULL,
                                             "job %u goes on being cancelled; see 'chargectl jobs'",
                                             id);
                                break;
                        }
                        end.interrupted = 1;
                        (void)ask_to_end(cli, id, &progress);
                }
                r = job_poll(cli, id, object, &progress, &end);
                if (r == CTL_OK && !end.state[0] && pass_time(cli) < 0)
                        r = gone(cli, id);
        }
        progress_end(&progress);
        *ret = end;
        return r;
}

void job_end_done(JobEnd *end)
{
        json_object_put(end->result);
        end->result = NULL;
}
