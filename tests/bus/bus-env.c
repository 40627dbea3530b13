/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private bus, a fake hierarchy and chargehandd for tests. */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "bus-env.h"
#include "names.h"
#include "util.h"

#define WAIT_USEC 60000000ULL /* only what is in vain waits so long */

const char *env_kind, *env_program;

static const char config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
        "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig><auth>EXTERNAL</auth><listen>%s</listen>\n"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow "
        "send_destination=\"*\"/>\n"
        "<allow send_type=\"signal\"/><allow receive_sender=\"*\"/></policy></busconfig>\n";

static pid_t spawn(char *const argv[], int output_fd)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (output_fd >= 0) {
                (void)dup2(output_fd, STDOUT_FILENO);
                (void)dup2(output_fd, STDERR_FILENO);
        }
        execv(argv[0], argv);
        _exit(127);
}

static int can_connect(Env *env)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", env->socket);
        r = connect(fd, (struct sockaddr *)&address, sizeof(address));
        (void)close(fd);
        return r >= 0;
}

static void start_dbus_daemon(Env *env)
{
        char path[128], argument[160];
        char *argv[] = { (char *)"/usr/bin/dbus-daemon", argument, (char *)"--nofork",
                         (char *)"--nopidfile", NULL };
        uint64_t deadline = now_usec() + WAIT_USEC;
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/bus.conf", env->dir);
        (void)snprintf(argument, sizeof(argument), "--config-file=%s", path);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fprintf(file, config, env->address) > 0);
        assert_int_equal(fclose(file), 0);
        env->bus = spawn(argv, -1);
        while (!can_connect(env)) {
                assert_true(now_usec() < deadline);
                (void)poll(NULL, 0, 5);
        }
}

/* What dbus-broker wants to hear about who may do what: everybody everything. */
#define BATCH  "bta(btbs)a(btssssuutt)a(btssssuutt)"
#define POLICY "a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs"

static void append_policy(sd_bus_message *m)
{
        assert_true(sd_bus_message_open_container(m, 'v', "(" POLICY ")") >= 0);
        assert_true(sd_bus_message_open_container(m, 'r', POLICY) >= 0);
        assert_true(sd_bus_message_append(m, "a(u(" BATCH "))", 1, UINT32_MAX, 1, (uint64_t)1, 1, 1,
                                          (uint64_t)1, 1, "", 1, 1, (uint64_t)1, "", "", "", "", 0U,
                                          0U, (uint64_t)0, UINT64_MAX, 1, 1, (uint64_t)1, "", "",
                                          "", "", 0U, 0U, (uint64_t)0, UINT64_MAX) >= 0);
        assert_true(sd_bus_message_append(m, "a(buu(" BATCH "))a(ss)bs", 0, 0, 0, "system") >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
}

static int listen_at(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        (void)unlink(path);
        assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) >= 0 &&
                    listen(fd, 64) >= 0);
        assert_int_equal(chmod(path, 0666), 0);
        return fd;
}

static void start_dbus_broker(Env *env)
{
        char number[16];
        char *argv[] = { (char *)"/usr/bin/dbus-broker",
                         (char *)"--controller",
                         number,
                         (char *)"--machine-id",
                         (char *)"0123456789abcdef0123456789abcdef",
                         NULL };
        _cleanup_(reply_freep) sd_bus_message *m = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int pair[2], fd = listen_at(env->socket);

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(fcntl(pair[0], F_SETFD, FD_CLOEXEC), 0);
        (void)snprintf(number, sizeof(number), "%d", pair[1]);
        env->bus = spawn(argv, -1);
        (void)close(pair[1]);
        assert_true(sd_bus_new(&env->controller) >= 0);
        assert_true(sd_bus_set_fd(env->controller, pair[0], pair[0]) >= 0);
        assert_true(sd_bus_start(env->controller) >= 0);
        assert_true(sd_bus_message_new_method_call(env->controller, &m, NULL,
                                                   "/org/bus1/DBus/Broker", "org.bus1.DBus.Broker",
                                                   "AddListener") >= 0);
        assert_true(sd_bus_message_append(m, "oh", "/org/bus1/DBus/Listener/0", fd) >= 0);
        append_policy(m);
        if (sd_bus_call(env->controller, m, WAIT_USEC, &error, NULL) < 0)
                fail_msg("dbus-broker: %s", error.message);
        (void)close(fd);
}

void env_start_bus(Env *env)
{
        if (env->is_broker)
                start_dbus_broker(env);
        else
                start_dbus_daemon(env);
}

void env_stop_bus(Env *env)
{
        env->client = sd_bus_close_unref(env->client);
        if (env->bus > 0) {
                (void)kill(env->bus, SIGKILL);
                (void)waitpid(env->bus, NULL, 0);
        }
        env->bus = 0;
        env->controller = sd_bus_close_unref(env->controller);
        (void)unlink(env->socket);
}

static void append_text(char **text, const char *piece)
{
        char *joined;

        assert_true(asprintf(&joined, "%s%s%s", *text ? *text : "", *text ? " " : "", piece) >= 0);
        free(*text);
        *text = joined;
}

/* All basic values of a message in order, also those inside containers, as text. */
static void collect(sd_bus_message *m, Signal *signal)
{
        const char *contents;
        char type, text[32];

        while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
                union {
                        uint32_t u;
                        uint64_t t;
                        int b;
                        const char *s;
                        uint8_t y;
                        double d;
                } v;

                if (strchr("aver(", type)) {
                        assert_true(sd_bus_message_enter_container(m, type == '(' ? 'r' : type,
                                                                   contents) >= 0);
                        collect(m, signal);
                        assert_true(sd_bus_message_exit_container(m) >= 0);
                        continue;
                }
                assert_true(sd_bus_message_read_basic(m, type, &v) > 0);
                (void)snprintf(text, sizeof(text), "%llu",
                               (unsigned long long)(strchr("tx", type) ? v.t
                                                    : type == 'b'      ? (uint64_t)v.b
                                                                       : v.u));
                append_text(&signal->all, strchr("sog", type) ? v.s : text);
                if (!signal->first)
                        signal->first = strdup(strchr("sog", type) ? v.s : text);
        }
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Env *env = userdata;
        Signal *signal;

        assert_true(array_reserve(&env->signals, &env->signals_allocated, env->n_signals + 1,
                                  sizeof(Signal)) >= 0);
        signal = &env->signals[env->n_signals++];
        *signal = (Signal){ .member = strdup(sd_bus_message_get_member(m)),
                            .path = strdup(sd_bus_message_get_path(m)) };
        collect(m, signal);
        return 0;
}

static sd_bus *open_bus(const Env *env)
{
        sd_bus *bus;

        if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, env->address) < 0 ||
            sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_negotiate_fds(bus, 1) < 0 ||
            sd_bus_start(bus) < 0)
                return NULL;
        return bus;
}

void env_connect(Env *env)
{
        env->client = open_bus(env);
        assert_non_null(env->client);
        assert_true(sd_bus_match_signal(env->client, NULL, CH_BUS_NAME, NULL, NULL, NULL, on_signal,
                                        env) >= 0);
}

/* Which names a sender has is unknown here: what the bus sends us for this match, on_signal() gets
 * by the other one. */
void env_listen(Env *env, const char *name)
{
        char rule[128];

        (void)snprintf(rule, sizeof(rule), "type='signal',sender='%s'", name);
        assert_true(sd_bus_call_method(env->client, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "AddMatch", NULL, NULL, "s",
                                       rule) >= 0);
}

static void fill_arguments(Env *env, char *argv[32], va_list args)
{
        char *text;
        size_t n = 0;

        argv[n++] = (char *)env_program;
        assert_true(asprintf(&argv[n++], "--root=%s", env->root) >= 0);
        assert_true(asprintf(&argv[n++], "--state=%s/state", env->dir) >= 0);
        assert_true(asprintf(&argv[n++], "--bus=%s", env->address) >= 0);
        argv[n++] = strdup("--mode=private");
        if (env->root == fake_root(env->fake))
                argv[n++] = strdup("--any-fs");
        while ((text = va_arg(args, char *)))
                argv[n++] = strdup(text);
        argv[n] = NULL;
}

static void free_arguments(char *argv[32])
{
        for (char **arg = argv + 1; *arg; arg++)
                free(*arg);
}

static int daemon_is_up(Env *env, void *userdata)
{
        _cleanup_(reply_freep) sd_bus_message *reply = NULL;

        if (waitpid(env->daemon, NULL, WNOHANG) != 0)
                fail_msg("chargehandd ended at start: see %s/log", env->dir);
        return sd_bus_call_method(env->client, CH_BUS_NAME, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE,
                                  "ListJobs", NULL, &reply, NULL) >= 0;
}

void env_start_daemon(Env *env, ...)
{
        char *argv[32], path[128];
        va_list args;
        int fd;

        va_start(args, env);
        fill_arguments(env, argv, args);
        va_end(args);
        (void)snprintf(path, sizeof(path), "%s/log", env->dir);
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        env->daemon = spawn(argv, fd);
        (void)close(fd);
        free_arguments(argv);
        env_wait(env, daemon_is_up, NULL);
}

int env_run_daemon(Env *env, char **ret_said, ...)
{
        char *argv[32];
        int fd = open(env->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), status;
        char text[4096] = "";
        va_list args;
        pid_t pid;

        assert_true(fd >= 0);
        va_start(args, ret_said);
        fill_arguments(env, argv, args);
        va_end(args);
        pid = spawn(argv, fd);
        free_arguments(argv);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
        (void)close(fd);
        *ret_said = strdup(text);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int env_stop_daemon(Env *env, int signum)
{
        uint64_t deadline = now_usec() + WAIT_USEC;
        int status;

        assert_int_equal(kill(env->daemon, signum), 0);
        while (waitpid(env->daemon, &status, WNOHANG) == 0) {
                assert_true(now_usec() < deadline);
                (void)poll(NULL, 0, 5);
        }
        env->daemon = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static sd_bus_message *new_call(const Env *env, sd_bus *bus, const char *path,
                                const char *interface, const char *member, const char *types,
                                va_list args)
{
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(bus, &m, CH_BUS_NAME, path, interface, member) >=
                    0);
        if (types)
                assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        return m;
}

static sd_bus_message *expect_reply(Env *env, sd_bus_message *m)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;

        if (sd_bus_call(env->client, m, WAIT_USEC, &error, &reply) < 0)
                fail_msg("%s failed: %s: %s", sd_bus_message_get_member(m), error.name,
                         error.message);
        sd_bus_message_unref(m);
        return reply;
}

static void expect_error(Env *env, sd_bus_message *m, const char *name, const char *text)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call(env->client, m, WAIT_USEC, &error, NULL) >= 0)
                fail_msg("%s did not fail with %s", sd_bus_message_get_member(m), name);
        assert_string_equal(error.name, name);
        if (text && !strstr(error.message, text))
                fail_msg("%s: '%s' is not in '%s'", sd_bus_message_get_member(m), text,
                         error.message);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
}

sd_bus_message *env_call(Env *env, const char *member, const char *types, ...)
{
        sd_bus_message *m;
        va_list args;

        va_start(args, types);
        m = new_call(env, env->client, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, member, types, args);
        va_end(args);
        return expect_reply(env, m);
}

sd_bus_message *env_object_call(Env *env, const char *path, const char *interface,
                                const char *member, const char *types, ...)
{
        sd_bus_message *m;
        va_list args;

        va_start(args, types);
        m = new_call(env, env->client, path, interface, member, types, args);
        va_end(args);
        return expect_reply(env, m);
}

void env_call_fails(Env *env, const char *kind, const char *text, const char *member,
                    const char *types, ...)
{
        sd_bus_message *m;
        char name[128];
        va_list args;

        va_start(args, types);
        m = new_call(env, env->client, CH_BUS_PATH, CH_BUS_MANAGER_INTERFACE, member, types, args);
        va_end(args);
        (void)snprintf(name, sizeof(name), CH_BUS_ERROR_PREFIX "%s", kind);
        expect_error(env, m, name, text);
}

void env_object_fails(Env *env, const char *error, const char *path, const char *interface,
                      const char *member, const char *types, ...)
{
        sd_bus_message *m;
        va_list args;

        va_start(args, types);
        m = new_call(env, env->client, path, interface, member, types, args);
        va_end(args);
        expect_error(env, m, error, NULL);
}

int env_call_as(Env *env, uid_t uid, char *ret_error, const char *member, const char *types, ...)
{
        int pipe_fds[2], status;
        pid_t pid;
        ssize_t n;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *m = NULL;
                sd_bus *bus;
                va_list args;
                int r;

                if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
                    !(bus = open_bus(env)) ||
                    sd_bus_message_new_method_call(bus, &m, CH_BUS_NAME, CH_BUS_PATH,
                                                   CH_BUS_MANAGER_INTERFACE, member) < 0)
                        _exit(99);
                va_start(args, types);
                if (types && sd_bus_message_appendv(m, types, args) < 0)
                        _exit(98);
                va_end(args);
                r = sd_bus_call(bus, m, WAIT_USEC, &error, NULL);
                if (r < 0)
                        (void)!write(pipe_fds[1], error.name, strlen(error.name));
                _exit(r < 0);
        }
        (void)close(pipe_fds[1]);
        n = read(pipe_fds[0], ret_error, 127);
        ret_error[n > 0 ? n : 0] = '\0';
        (void)close(pipe_fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        return WEXITSTATUS(status);
}

static void process(Env *env)
{
        while (env->client && sd_bus_process(env->client, NULL) > 0)
                ;
}

size_t env_count(Env *env, const char *member, const char *first)
{
        size_t n = 0;

        process(env);
        for (size_t i = 0; i < env->n_signals; i++)
                n += streq(env->signals[i].member, member) &&
                     (!first || (env->signals[i].first && streq(env->signals[i].first, first)));
        return n;
}

void env_wait_signal(Env *env, const char *member, const char *first, size_t n)
{
        uint64_t deadline = now_usec() + WAIT_USEC;

        while (env_count(env, member, first) < n) {
                if (now_usec() >= deadline)
                        fail_msg("%zu of %zu signals %s(%s) came", env_count(env, member, first), n,
                                 member, first ? first : "");
                (void)sd_bus_wait(env->client, 50000);
        }
}

void env_forget_signals(Env *env)
{
        process(env);
        for (size_t i = 0; i < env->n_signals; i++) {
                free(env->signals[i].member);
                free(env->signals[i].path);
                free(env->signals[i].first);
                free(env->signals[i].all);
        }
        env->n_signals = 0;
}

/* A group that is made and gone again passes through inotify after all that happened before. */
void env_settle(Env *env)
{
        static unsigned serial;
        char path[384], group[32];

        (void)snprintf(group, sizeof(group), "/settle-%u", serial++);
        (void)snprintf(path, sizeof(path), "%s%s", env->root, group);
        assert_int_equal(mkdir(path, 0755), 0);
        env_wait_signal(env, "GroupNew", group, 1);
        assert_int_equal(rmdir(path), 0);
        env_wait_signal(env, "GroupRemoved", group, 1);
}

void env_wait(Env *env, int (*func)(Env *env, void *userdata), void *userdata)
{
        uint64_t deadline = now_usec() + WAIT_USEC;

        while (!func(env, userdata)) {
                assert_true(now_usec() < deadline);
                process(env);
                (void)poll(NULL, 0, 5);
        }
}

int env_setup(void **state)
{
        Env *env = calloc(1, sizeof(*env));

        assert_non_null(env);
        env->is_broker = streq(env_kind, "dbus-broker");
        (void)snprintf(env->dir, sizeof(env->dir), "/tmp/chargehand-bus-XXXXXX");
        assert_non_null(mkdtemp(env->dir));
        assert_int_equal(chmod(env->dir, 0755), 0);
        (void)snprintf(env->socket, sizeof(env->socket), "%s/bus", env->dir);
        (void)snprintf(env->address, sizeof(env->address), "unix:path=%s", env->socket);
        env->fake = fake_new("memory pids cpu");
        fake_add(env->fake, "/web/api", "memory pids cpu");
        fake_add(env->fake, "/db", "memory pids");
        env->root = fake_root(env->fake);
        env_start_bus(env);
        env_connect(env);
        *state = env;
        return 0;
}

int env_teardown(void **state)
{
        Env *env = *state;
        char command[128];

        if (env->daemon > 0)
                (void)env_stop_daemon(env, SIGKILL);
        env_forget_signals(env);
        free(env->signals);
        env_stop_bus(env);
        fake_free(env->fake);
        (void)snprintf(command, sizeof(command), "rm -rf %s", env->dir);
        if (!getenv("KEEP_BUS_TEST"))
                (void)!system(command);
        free(env);
        return 0;
}
