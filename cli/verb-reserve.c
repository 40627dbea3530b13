/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl reserve and claims: memory that is set aside, and what there is of it. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chargehand/units.h>

#include "bus.h"

/* How long to wait before asking again whether a claim is still there, while the daemon is not. */
#define LOOK_AGAIN_MSEC 200

typedef struct Reserve {
        Cli *cli;
        const char *group;
        uint64_t bytes;
        uint64_t claim;
        int lease;
} Reserve;

static int append_options(const Options *o, sd_bus_message *m)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0 && o->note)
                r = sd_bus_message_append(m, "{sv}", "note", "s", o->note);
        if (r >= 0 && o->dry_run)
                r = sd_bus_message_append(m, "{sv}", "dry_run", "b", 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int read_lease(Reserve *reserve, sd_bus_message *reply)
{
        int fd, r;

        r = sd_bus_message_read(reply, "t", &reserve->claim);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "h");
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd);
        if (r > 0) {
                reserve->lease = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                r = reserve->lease < 0 ? -errno : 0;
        }
        return r;
}

static int reserve_room(Reserve *reserve)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        Cli *cli = reserve->cli;
        int r = bus_new_call(cli, "Reserve", &call);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(call, "st", reserve->group, reserve->bytes);
        if (r >= 0)
                r = append_options(&cli->options, call);
        if (r < 0)
                return bus_fail_errno(cli, r, "building the request");
        r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = read_lease(reserve, reply);
        return r < 0 ? bus_fail_errno(cli, r, "reading the answer") : CTL_OK;
}

/* One line, or one object; beside a command's own output on the standard error. */
static int tell(const Reserve *reserve, int has_command)
{
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        _cleanup_(freep) char *bytes = format_bytes(&reserve->cli->style, reserve->bytes);
        Cli *cli = reserve->cli;

        if (!object || !bytes || jadd(object, "claim", json_object_new_uint64(reserve->claim)) < 0 ||
            jadd(object, "group", jstring(reserve->group)) < 0 ||
            jadd(object, "bytes", json_object_new_uint64(reserve->bytes)) < 0 ||
            jadd(object, "dry_run", json_object_new_boolean(cli->options.dry_run)) < 0)
                return cli_fail_memory(cli);
        if (has_command)
                note(cli, "claim %llu: %s in %s", (unsigned long long)reserve->claim, bytes,
                     reserve->group);
        else if (!print_json(cli, object) && !cli->options.quiet && cli->options.dry_run)
                printf("%s in %s would be granted\n", bytes, reserve->group);
        else if (cli->options.json == JSON_OFF && !cli->options.quiet)
                printf("claim %llu: %s in %s\n", (unsigned long long)reserve->claim, bytes,
                       reserve->group);
        return fflush(stdout) ? CTL_FAILED : CTL_OK;
}

static void block_signals(sigset_t *set, sigset_t *before)
{
        static const int signals[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP };

        sigemptyset(set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(set, signals[i]);
        (void)sigprocmask(SIG_BLOCK, set, before);
        (void)signal(SIGCHLD, SIG_DFL);
}

/* 1 it is there, 0 it is not, < 0 nobody can tell: the daemon is away. */
static int is_listed(Reserve *reserve)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(json_putp) struct json_object *rows = NULL;
        Cli *cli = reserve->cli;
        int r;

        if (bus_new_call(cli, "ListClaims", &call) != CTL_OK)
                return -EIO;
        cli->hush++;
        r = bus_call(cli, call, &reply);
        cli->hush--;
        if (r != CTL_OK || json_from_message(reply, FORM_PLAIN, &rows) < 0)
                return -EIO;
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                if (jnumber(json_object_array_get_idx(rows, i), "claim") == reserve->claim)
                        return 1;
        return 0;
}

/* A pipe or a socket that ends is somebody who is done; a terminal, a file and /dev/null say nothing. */
static int stdin_may_end(void)
{
        struct stat st;

        return fstat(STDIN_FILENO, &st) >= 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* What comes is read away. */
static int stdin_has_ended(void)
{
        char buffer[4096];
        ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));

        return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/* Until a signal, the end of the standard input, or of the claim. */
static int hold(Reserve *reserve, const sigset_t *set)
{
        struct pollfd fds[] = {
                { .fd = signalfd(-1, set, SFD_CLOEXEC), .events = POLLIN },
                { .fd = stdin_may_end() ? STDIN_FILENO : -1, .events = POLLIN },
                { .fd = reserve->lease },
        };
        int timeout = -1;

        if (fds[0].fd < 0)
                return cli_fail(reserve->cli, CTL_FAILED, NULL, "signalfd: %s", strerror(errno));
        for (;;) {
                int r = poll(fds, ELEMENTSOF(fds), timeout);

                if (r < 0 && errno != EINTR)
                        break;
                if (r > 0 && (fds[0].revents || (fds[1].revents && stdin_has_ended())))
                        break;
                timeout = -1;
                fds[2].fd = reserve->lease;
                if (!(r > 0 && fds[2].revents))
                        continue;
                /* nobody reads the other end: it was released, or the daemon is being started again */
                if (is_listed(reserve) == 0) {
                        note(reserve->cli, "claim %llu has been released",
                             (unsigned long long)reserve->claim);
                        break;
                }
                timeout = LOOK_AGAIN_MSEC;
                fds[2].fd = -1;
        }
        (void)close(fds[0].fd);
        return CTL_OK;
}

extern char **environ;

/* With the lease as an open fd, which $CHARGEHAND_LEASE names. */
static int start(Reserve *reserve, char **argv, const sigset_t *mask, pid_t *ret)
{
        posix_spawnattr_t attributes;
        char number[16];
        int r;

        (void)snprintf(number, sizeof(number), "%d", reserve->lease);
        if (fcntl(reserve->lease, F_SETFD, 0) < 0 || setenv("CHARGEHAND_LEASE", number, 1) < 0)
                return cli_fail_memory(reserve->cli);
        r = posix_spawnattr_init(&attributes);
        if (r)
                return cli_fail_memory(reserve->cli);
        (void)posix_spawnattr_setsigmask(&attributes, mask);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        r = posix_spawnp(ret, argv[0], NULL, &attributes, argv, environ);
        (void)posix_spawnattr_destroy(&attributes);
        if (r)
                return cli_fail(reserve->cli, r == ENOENT ? CTL_NO_PROGRAM : CTL_BAD_PROGRAM,
                                argv[0], "cannot be started: %s", strerror(r));
        return CTL_OK;
}

/* Ctrl-C and Ctrl-\ from the terminal go to the command by themselves. */
static int wait_for_end(pid_t pid, const sigset_t *set)
{
        int status;

        for (;;) {
                siginfo_t info;
                int signum = sigwaitinfo(set, &info);

                if (signum == SIGCHLD && waitpid(pid, &status, WNOHANG) == pid)
                        break;
                if (signum > 0 && signum != SIGCHLD &&
                    !(info.si_code == SI_KERNEL && (signum == SIGINT || signum == SIGQUIT)))
                        (void)kill(pid, signum);
        }
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int verb_reserve(Cli *cli, int argc, char **argv)
{
        Reserve reserve = { .cli = cli, .group = argv[0], .lease = -EBADF };
        int r = group_check(cli, argv[0]);
        sigset_t set, before;
        pid_t pid;

        if (r != CTL_OK)
                return r;
        if (ch_parse_bytes(argv[1], &reserve.bytes) < 0 || reserve.bytes == UINT64_MAX)
                return cli_fail(cli, CTL_USAGE, argv[1], "not a size such as 512M or 1.5GiB");
        block_signals(&set, &before); /* before anything is held */
        r = reserve_room(&reserve);
        if (r == CTL_OK)
                r = tell(&reserve, argc > 2 && !cli->options.dry_run);
        if (r == CTL_OK && !cli->options.dry_run && argc > 2) {
                r = start(&reserve, argv + 2, &before, &pid);
                if (r == CTL_OK)
                        r = wait_for_end(pid, &set);
        } else if (r == CTL_OK && !cli->options.dry_run) {
                r = hold(&reserve, &set);
        }
        if (reserve.lease >= 0)
                (void)close(reserve.lease);
        return r;
}

static const Column columns[] = {
        { "claim",      "CLAIM",    UNIT_NUMBER },
        { "kind",       "KIND",     UNIT_TEXT },
        { "group",      "GROUP",    UNIT_TEXT,  COLUMN_MIDDLE },
        { "moved_from", "MADE FOR", UNIT_TEXT,  COLUMN_MIDDLE | COLUMN_HIDE_EMPTY },
        { "bytes",      "SIZE",     UNIT_BYTES },
        { "open_bytes", "OPEN",     UNIT_BYTES },
        { "uid",        "USER",     UNIT_USER },
        { "pid",        "PID",      UNIT_NUMBER },
        { "age_usec",   "AGE",      UNIT_USEC },
        { "job",        "JOB",      UNIT_NUMBER, COLUMN_HIDE_EMPTY },
        { "note",       "NOTE",     UNIT_TEXT,  COLUMN_ELIDE | COLUMN_HIDE_EMPTY },
};

/* Those in the group and below; 0 and "" become nothing, for the table. */
static struct json_object *choose(struct json_object *all, const char *group, int for_table)
{
        struct json_object *rows = json_object_new_array();

        for (size_t i = 0; rows && i < json_object_array_length(all); i++) {
                struct json_object *row = json_object_array_get_idx(all, i);
                const char *made_for = jtext(row, "made_for");

                if (group && !ch_path_is_below(jtext(row, "group"), group))
                        continue;
                if (for_table && !streq(made_for, jtext(row, "group")))
                        (void)jadd(row, "moved_from", jstring(made_for));
                if (for_table && jnumber(row, "job") == 0)
                        json_object_object_del(row, "job");
                if (for_table && jnumber(row, "pid") == 0)
                        json_object_object_del(row, "pid");
                (void)json_object_array_add(rows, json_object_get(row));
        }
        return rows;
}

int verb_claims(Cli *cli, int argc, char **argv)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(json_putp) struct json_object *all = NULL, *rows = NULL;
        const char *group = argc ? argv[0] : NULL;
        uint64_t sum = 0;
        int r = group ? group_check(cli, group) : CTL_OK;

        if (r == CTL_OK)
                r = bus_new_call(cli, "ListClaims", &call);
        if (r == CTL_OK)
                r = bus_call(cli, call, &reply);
        if (r != CTL_OK)
                return r;
        r = json_from_message(reply, FORM_PLAIN, &all);
        if (r < 0)
                return bus_fail_errno(cli, r, "reading the answer");
        rows = choose(all, group, cli->options.json == JSON_OFF);
        if (!rows)
                return cli_fail_memory(cli);
        if (print_json(cli, rows))
                return CTL_OK;
        if (json_object_array_length(rows) == 0) {
                if (!cli->options.quiet)
                        puts("Nothing is claimed.");
                return CTL_OK;
        }
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                sum += jnumber(json_object_array_get_idx(rows, i), "open_bytes");
        if (TABLE(cli, columns, rows) < 0)
                return cli_fail_memory(cli);
        {
                _cleanup_(freep) char *text = format_bytes(&cli->style, sum);

                table_footer(stdout, &cli->style, "%zu claim%s, %s open.",
                             PLURAL(json_object_array_length(rows)), text ? text : "");
        }
        return CTL_OK;
}
