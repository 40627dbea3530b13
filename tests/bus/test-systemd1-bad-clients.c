/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients of the private socket and of the bus that send garbage, flood, leave in the middle, or
 * never read: the others do not notice.
 */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "bus-tests.h"
#include "systemd1-env.h"
#include "systemd1-names.h"
#include "util.h"

#define WAIT_USEC 20000000ULL
#define PEERS_MAX 1024
#ifdef __SANITIZE_ADDRESS__ /* it keeps what was freed for a while */
#define KEPT_KIB (512 << 10)
#else
#define KEPT_KIB (32 << 10)
#endif

static char path[128];

static int start(Env *env)
{
        char line[160];

        (void)snprintf(path, sizeof(path), "%s/private", env->dir);
        (void)snprintf(line, sizeof(line), "PrivateSocket=%s\n", path);
        return sd1_start(env, line);
}

/* -errno where the socket does not take us */
static int try_connect(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        assert_true(strlen(path) < sizeof(address.sun_path));
        memcpy(address.sun_path, path, strlen(path));
        r = connect(fd, (struct sockaddr *)&address, sizeof(address));
        if (r >= 0)
                return fd;
        r = -errno;
        (void)close(fd);
        return r;
}

static int raw(void)
{
        int fd = try_connect();

        assert_true(fd >= 0);
        return fd;
}

static sd_bus *peer(void)
{
        char address[160];
        sd_bus *bus;

        (void)snprintf(address, sizeof(address), "unix:path=%s", path);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, address) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

/* The daemon answers, here and there. */
static void expect_service(Env *env)
{
        _cleanup_(freep) char *there = NULL, *here = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = peer();

        if (sd_bus_get_property_string(bus, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                       "Version", &error, &there) < 0)
                fail_msg("private socket: %s", error.message);
        if (sd_bus_get_property_string(env->client, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                       "Version", &error, &here) < 0)
                fail_msg("bus: %s", error.message);
        assert_string_equal(here, there);
        sd_bus_close_unref(bus);
}

/* The other side hangs up. */
static void expect_end(int fd)
{
        uint64_t end = now_usec() + WAIT_USEC;
        char text[4096];

        for (;;) {
                ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);

                if (n == 0 || (n < 0 && errno == ECONNRESET))
                        break;
                assert_true(n > 0 || errno == EAGAIN);
                assert_true(now_usec() < end);
                if (n < 0)
                        (void)poll(NULL, 0, 5);
        }
        (void)close(fd);
}

static void put(int fd, const void *data, size_t size)
{
        /* it may have been enough already */
        if (send(fd, data, size, MSG_NOSIGNAL) < 0)
                assert_true(errno == EPIPE || errno == ECONNRESET);
}

/* What a peer says before its first message. */
static int authenticated(void)
{
        static const char hello[] = "\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        char text[512] = "";
        size_t n = 0;
        int fd = raw();

        put(fd, hello, sizeof(hello) - 1);
        while (!strstr(text, "AGREE_UNIX_FD")) {
                ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);

                assert_true(got > 0);
                n += (size_t)got;
                text[n] = '\0';
        }
        return fd;
}

static void test_garbage(void **state)
{
        static const char *const starts[] = {
                "GET / HTTP/1.1\r\n\r\n",
                "AUTH EXTERNAL 31303030\r\n", /* a uid that is not his */
                "\r\n\r\n\r\n",
        };
        static const struct {
                const char *bytes;
                size_t size;
        } messages[] = {
                {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",   16},
 /* four gigabytes of body are announced */
                { "l\1\0\1\xff\xff\xff\xff\1\0\0\0\xff\xff\xff\xff",                   16},
 /* a header array of nonsense: libsystemd drops the message and reads on */
                { "l\1\0\1\0\0\0\0\1\0\0\0\x08\0\0\0\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 24},
        };
        Env *env = *state;

        if (!start(env))
                skip();
        for (size_t i = 0; i < ELEMENTSOF(starts); i++) {
                int fd = raw();

                put(fd, "", 1);
                put(fd, starts[i], strlen(starts[i]));
                (void)shutdown(fd, SHUT_WR);
                expect_end(fd);
        }
        for (size_t i = 0; i < ELEMENTSOF(messages); i++) {
                int fd = authenticated();

                put(fd, messages[i].bytes, messages[i].size);
                if (i < 2)
                        expect_end(fd);
                else
                        (void)close(fd);
        }
        expect_service(env);
        sd1_end(env);
}

/* Parts of messages and of handshakes, and then nothing, or the end. */
static void test_silence(void **state)
{
        Env *env = *state;
        int fds[64];

        if (!start(env))
                skip();
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = i % 2 ? raw() : authenticated();
                if (i % 4 == 1)
                        put(fds[i], "\0AUTH", 5);
                if (i % 4 == 2)
                        put(fds[i], "l\1\0\1\0\0", 6);
        }
        expect_service(env);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void)close(fds[i]);
        expect_service(env);
        sd1_end(env);
}

static int answers(Env *env, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        sd_bus *bus = peer();
        int r = sd_bus_get_property_string(bus, SD1_BUS_NAME, SD1_PATH, SD1_MANAGER_INTERFACE,
                                           "Version", NULL, &text);

        sd_bus_close_unref(bus);
        return r >= 0;
}

/* As many as may come. Those who say nothing make room; of those who have said who they are none
 * has to go: the next one is turned away, and may come when another has gone. */
static void test_too_many(void **state)
{
        struct rlimit limit;
        Env *env = *state;
        int *fds;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < PEERS_MAX + 256)
                skip();
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (!start(env))
                skip();
        fds = calloc(PEERS_MAX, sizeof(int));
        assert_non_null(fds);
        for (size_t i = 0; i < PEERS_MAX; i++)
                fds[i] = raw();
        expect_service(env);
        for (size_t i = 0; i < PEERS_MAX; i++) {
                (void)close(fds[i]);
                fds[i] = authenticated();
        }
        expect_end(raw());
        /* those of the bus do not notice */
        sd1_expect_state(env, "system.slice", "active active");
        for (size_t i = 0; i < PEERS_MAX; i++)
                (void)close(fds[i]);
        free(fds);
        env_wait(env, answers, NULL);
        sd1_end(env);
}

/* The caller has gone when his unit is started: the unit is there, and its job is told to others.
 */
static void test_leaves_in_call(void **state)
{
        Env *env = *state;
        pid_t pids[20];
        char name[32];

        if (!start(env))
                skip();
        for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                _cleanup_(reply_freep) sd_bus_message *m = NULL;
                sd_bus *bus = peer();

                pids[i] = sd1_sleeper(0);
                (void)snprintf(name, sizeof(name), "left-%zu.scope", i);
                assert_true(sd_bus_message_new_method_call(bus, &m, SD1_BUS_NAME, SD1_PATH,
                                                           SD1_MANAGER_INTERFACE,
                                                           "StartTransientUnit") >= 0);
                assert_true(sd_bus_message_append(m, SD1_START, name, "fail", 1, "PIDs", "au", 1,
                                                  (uint32_t)pids[i], 0) >= 0);
                assert_true(sd_bus_send(bus, m, NULL) >= 0);
                assert_true(sd_bus_flush(bus) >= 0);
                sd_bus_close_unref(bus);
        }
        env_wait_signal(env, "JobRemoved", NULL, ELEMENTSOF(pids));
        for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                (void)snprintf(name, sizeof(name), "left-%zu.scope", i);
                sd1_expect_state(env, name, "active running");
                sd1_reap(pids[i]);
                sd1_wait_state(env, name, "");
        }
        expect_service(env);
        sd1_end(env);
}

/* What a peer may leave unread is bounded: afterwards it is cut off. */
static void test_never_reads(void **state)
{
        Env *env = *state;
        struct pollfd poll_fd = { .events = 0 };
        char name[64];
        int size = 4096;
        unsigned i;

        if (!start(env))
                skip();
        poll_fd.fd = authenticated();
        (void)setsockopt(poll_fd.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        for (i = 0; i < 20000 && !(poll_fd.revents & (POLLHUP | POLLERR)); i++) {
                _cleanup_(freep) char *text = NULL;

                /* a slice that is looked at comes and goes: two signals */
                (void)snprintf(name, sizeof(name), SD1_UNIT_PREFIX "/s%u_2eslice", i);
                assert_true(sd_bus_get_property_string(env->client, SD1_BUS_NAME, name,
                                                       SD1_UNIT_INTERFACE, "Id", NULL, &text) >= 0);
                assert_true(poll(&poll_fd, 1, 0) >= 0);
        }
        assert_true(poll_fd.revents & (POLLHUP | POLLERR));
        assert_true(i > 100);
        expect_end(poll_fd.fd);
        expect_service(env);
        sd1_end(env);
}

static size_t resident_kib(pid_t pid)
{
        _cleanup_(freep) char *text = NULL;
        char name[64];
        const char *at;

        (void)snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
        assert_true(read_file_at(AT_FDCWD, name, 1 << 16, &text, NULL) >= 0);
        at = strstr(text, "VmRSS:");
        assert_non_null(at);
        return strtoul(at + 6, NULL, 10);
}

/* Calls, calls, and not one answer taken. */
static void test_flood(void **state)
{
        enum { SLICES = 400, CALLS = 20000 };
        Env *env = *state;
        size_t before;
        char name[64];
        sd_bus *bus;
        int r = 0;

        if (!start(env))
                skip();
        for (int i = 0; i < SLICES; i++) {
                (void)snprintf(name, sizeof(name), "n%d.slice", i);
                sd1_do(env, "SetUnitProperties", "sba(sv)", name, 1, 1, "Description", "s", "mine");
        }
        before = resident_kib(env->daemon);
        bus = peer();
        for (int i = 0; r >= 0 && i < CALLS; i++) {
                _cleanup_(reply_freep) sd_bus_message *m = NULL;

                assert_true(sd_bus_message_new_method_call(bus, &m, SD1_BUS_NAME, SD1_PATH,
                                                           SD1_MANAGER_INTERFACE,
                                                           i % 2 ? "ListUnits" : "GetUnit") >= 0);
                if (i % 2 == 0)
                        assert_true(sd_bus_message_append(m, "s", "gone.scope") >= 0);
                r = sd_bus_send(bus, m, NULL);
                if (r >= 0 && i % 64 == 0)
                        r = sd_bus_flush(bus);
                if (i % 2000 == 0)
                        sd1_expect_state(env, "system.slice", "active active");
        }
        /* it was cut off, or its socket is full: what is kept for it is bounded either way */
        sd1_expect_state(env, "system.slice", "active active");
        assert_true(resident_kib(env->daemon) < before + KEPT_KIB);
        sd_bus_close_unref(bus);
        expect_service(env);
        sd1_end(env);
}

/* The mode keeps others out; where it is changed, their uid does. */
static void test_other_user(void **state)
{
        Env *env = *state;
        int status, r;
        pid_t pid;

        if (!start(env))
                skip();
        for (int open = 0; open < 2; open++) {
                if (open)
                        assert_int_equal(chmod(path, 0777), 0);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        char c;

                        if (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0)
                                _exit(99);
                        r = try_connect();
                        if (r < 0)
                                _exit(r == -EACCES ? 1 : 98);
                        _exit(recv(r, &c, 1, 0) == 0 ? 2 : 97);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), open + 1);
        }
        expect_service(env);
        sd1_end(env);
}

/* Well-formed nonsense: wrong types, objects and interfaces get an answer and keep their
 * connection. */
static void test_wrong_calls(void **state)
{
        static const struct {
                const char *path, *interface, *member, *types, *error;
        } rows[] = {
                {SD1_PATH,                           SD1_MANAGER_INTERFACE,             "Nonsense",  NULL, SD_BUS_ERROR_UNKNOWN_METHOD},
                { SD1_PATH,                          SD1_MANAGER_INTERFACE,             "StopUnit",  "u",  SD_BUS_ERROR_INVALID_ARGS  },
                { SD1_PATH,                          SD1_MANAGER_INTERFACE,             "GetUnit",   NULL, SD_BUS_ERROR_INVALID_ARGS  },
                { "/",                               SD1_MANAGER_INTERFACE,             "ListUnits", NULL, SD_BUS_ERROR_UNKNOWN_OBJECT},
                { SD1_UNIT_PREFIX "/_zz",            SD1_UNIT_INTERFACE,                "Freeze",    NULL,
                 SD_BUS_ERROR_UNKNOWN_OBJECT                                                                                          },
                { SD1_UNIT_PREFIX "/self",           SD1_UNIT_INTERFACE,                "Nonsense",  NULL,
                 SD_BUS_ERROR_UNKNOWN_METHOD                                                                                          },
                { SD1_JOB_PREFIX "/99999999999999",  SD1_JOB_INTERFACE,                 "Cancel",    NULL,
                 SD_BUS_ERROR_UNKNOWN_OBJECT                                                                                          },
                { SD1_UNIT_PREFIX "/system_2eslice", "org.freedesktop.DBus.Properties", "Get",       "s",
                 SD_BUS_ERROR_INVALID_ARGS                                                                                            },
        };
        Env *env = *state;

        if (!start(env))
                skip();
        for (size_t i = 0; i < 2 * ELEMENTSOF(rows); i++) {
                size_t row = i / 2;
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus *bus = i % 2 ? peer() : sd_bus_ref(env->client);
                sd_bus_message *m;

                assert_true(sd_bus_message_new_method_call(bus, &m, SD1_BUS_NAME, rows[row].path,
                                                           rows[row].interface,
                                                           rows[row].member) >= 0);
                if (rows[row].types && *rows[row].types == 'u')
                        assert_true(sd_bus_message_append(m, "u", 1U) >= 0);
                else if (rows[row].types)
                        assert_true(sd_bus_message_append(m, "s", "x") >= 0);
                assert_true(sd_bus_call(bus, m, WAIT_USEC, &error, NULL) < 0);
                if (!streq(error.name, rows[row].error))
                        fail_msg("%s of %s: %s, not %s", rows[row].member, rows[row].path,
                                 error.name, rows[row].error);
                sd_bus_error_free(&error);
                sd_bus_message_unref(m);
                sd_bus_unref(bus);
        }
        expect_service(env);
        sd1_end(env);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, env_setup, env_teardown)

const struct CMUnitTest systemd1_bad_tests[] = {
        TEST(test_garbage),        TEST(test_silence),     TEST(test_too_many),
        TEST(test_leaves_in_call), TEST(test_never_reads), TEST(test_flood),
        TEST(test_other_user),     TEST(test_wrong_calls),
};
const size_t n_systemd1_bad_tests = ELEMENTSOF(systemd1_bad_tests);
