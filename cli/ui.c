/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Talking to the person: errors, notes, JSON, the look of the terminal, the pager. */

#include <fcntl.h>
#include <langinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

static int terminal_columns(void)
{
        const char *columns = getenv("COLUMNS");
        struct winsize size = { 0 };
        int n = columns ? atoi(columns) : 0;

        if (n > 0)
                return n;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                return size.ws_col;
        return 80;
}

void style_init(Style *style, const Options *options)
{
        int terminal = isatty(STDOUT_FILENO);
        const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

        *style = (Style){
                .columns = terminal ? terminal_columns() : 0,
                .colour = terminal && !(no_colour && no_colour[0]) && term && !streq(term, "dumb"),
                .no_legend = options->no_legend,
                .full = options->full,
                .raw = options->raw,
                .utf8 = streq(nl_langinfo(CODESET), "UTF-8"),
        };
}

int cli_fail(Cli *cli, int code, const char *path, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL, *safe_path = NULL, *safe_text = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        safe_path = path && path[0] ? text_escape(path) : NULL;
        safe_text = text ? text_escape(text) : NULL;
        if (cli->hush) {
                free(cli->hushed);
                cli->hushed = TAKE_PTR(safe_text);
                return code;
        }
        fflush(stdout);
        fprintf(stderr, "chargectl: %s%s%s\n", safe_path ? safe_path : "", safe_path ? ": " : "",
                safe_text ? safe_text : "out of memory");
        return code;
}

int cli_fail_error(Cli *cli, const ch_error *error)
{
        return cli_fail(cli, ch_error_kind_to_exit(ch_error_get_kind(error)),
                        ch_error_get_path(error), "%s",
                        ch_error_get_cause(error)[0] ? ch_error_get_cause(error)
                                                     : strerror(ch_error_get_errno(error)));
}

int cli_fail_memory(Cli *cli)
{
        return cli_fail(cli, CTL_FAILED, NULL, "out of memory");
}

void note(Cli *cli, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL, *safe = NULL;
        va_list args;

        if (cli->options.quiet)
                return;
        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        safe = text ? text_escape(text) : NULL;
        fflush(stdout);
        fprintf(stderr, "note: %s\n", safe ? safe : "");
}

int print_json(Cli *cli, struct json_object *object)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

        if (cli->options.json == JSON_OFF)
                return 0;
        if (cli->options.json == JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        puts(json_object_to_json_string_ext(object, flags));
        return 1;
}

/* The child that becomes the pager; never returns. */
static void pager_exec(int read_fd)
{
        const char *pager = getenv("CHARGECTL_PAGER");

        (void)dup2(read_fd, STDIN_FILENO);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        /* R: colours, F: quit if it fits, X: leave it on the screen, M: say where, K: end on Ctrl-C */
        (void)setenv("LESS", "FRXMK", 0);
        (void)setenv("LESSCHARSET", streq(nl_langinfo(CODESET), "UTF-8") ? "utf-8" : "latin1", 0);
        if (!pager || !pager[0])
                pager = getenv("PAGER");
        if (pager && pager[0])
                execlp("sh", "sh", "-c", pager, (char *)NULL);
        execlp("less", "less", (char *)NULL);
        execlp("more", "more", (char *)NULL);
        execlp("cat", "cat", (char *)NULL);
        _exit(127);
}

void pager_start(Cli *cli)
{
        int fds[2];
        pid_t pid;

        if (cli->options.no_pager || cli->options.json != JSON_OFF || !isatty(STDOUT_FILENO) ||
            cli->pager_pid > 0)
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                pager_exec(fds[0]);
        close(fds[0]);
        if (pid > 0 && dup2(fds[1], STDOUT_FILENO) >= 0) {
                cli->pager_pid = pid;
                (void)signal(SIGPIPE, SIG_IGN); /* who leaves the pager early has seen enough */
        }
        close(fds[1]);
}

int output_end(Cli *cli)
{
        int broken = fflush(stdout) != 0 || ferror(stdout);

        if (cli->pager_pid <= 0 && broken)
                return cli_fail(cli, CTL_FAILED, "standard output", "cannot write: %s",
                                strerror(errno));
        if (cli->pager_pid <= 0)
                return CTL_OK;
        fclose(stdout); /* the pager sees the end */
        while (waitpid(cli->pager_pid, NULL, 0) < 0 && errno == EINTR)
                ;
        cli->pager_pid = 0;
        return CTL_OK;
}

int group_check(Cli *cli, const char *path)
{
        _cleanup_(error_freep) ch_error *error = NULL;

        return ch_path_check(path, &error) < 0 ? cli_fail_error(cli, error) : CTL_OK;
}

int target_parse(Cli *cli, const char *text, Target *ret)
{
        char *end = NULL;
        long pid;

        *ret = (Target){ 0 };
        if (text[0] == '/') {
                ret->group = text;
                return group_check(cli, text);
        }
        errno = 0;
        pid = strtol(text, &end, 10);
        if (errno || end == text || *end)
                return cli_fail(cli, CTL_USAGE, text,
                                "neither a pid nor a group path; group paths start with '/'");
        if (pid <= 0 || pid > 4194304)
                return cli_fail(cli, CTL_USAGE, text, "not a pid: pids are 1 … 4194304");
        ret->pid = (pid_t)pid;
        return CTL_OK;
}
