/* PID 1 of the test guest: sets the machine up, runs the planned cases, reports on the second serial
 * port and leaves through isa-debug-exit.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Linked statically and unpacked from the payload disk, so that changing it does not rebuild the
 * guest's image. What it prints on ttyS1 is read by tools/vm.sh:
 *
 *   BOOT <uptime in seconds> <kernel release>
 *   START <case>
 *   | <one line of the case's output>
 *   CASE <case> ok|fail|skip|timeout <exit code> <seconds>
 *   VERDICT ok|fail
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD "/run/payload"
#define BUS_SOCKET "/run/dbus/system_bus_socket"
#define CGROUP "/sys/fs/cgroup"
#define EXIT_PORT 0xf4
#define SKIPPED 77
#define TIMED_OUT 124

typedef struct Case {
        char name[128];
        int timeout_sec;
} Case;

static int report_fd = -1;
static int kmsg_fd = -1;
static bool may_exit; /* asked for at the start: a case may have locked the kernel down by the end */
static bool under_systemd; /* run as a service by the guest's real systemd, for the one case of this boot */

static double now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static void write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n <= 0)
                        return;
                data += n;
                size -= (size_t) n;
        }
}

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...) {
        char line[4096];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        if (n > (int) sizeof(line) - 1)
                n = sizeof(line) - 1;
        write_all(report_fd >= 0 ? report_fd : 2, line, (size_t) n);
}

/* Leaves QEMU with (code << 1 | 1). Serial output must have left the guest before. */
static void leave(int code) {
        sync();
        if (report_fd >= 0)
                tcdrain(report_fd);
        tcdrain(1);
        if (may_exit)
                outb((unsigned char) code, EXIT_PORT);
        for (;;)
                pause();
}

static int write_file(const char *path, const char *value) {
        int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

        if (fd < 0)
                return -errno;
        if (write(fd, value, strlen(value)) < 0)
                r = -errno;
        close(fd);
        return r;
}

static int create_file(const char *path, const char *value) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0)
                return -errno;
        close(fd);
        return write_file(path, value);
}

static ssize_t read_file(const char *path, char *buf, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, buf, size - 1);
        close(fd);
        if (n < 0)
                return -errno;
        buf[n] = 0;
        return n;
}

/* Every process but ours goes, so that no case sees what another one left. */
static void kill_everyone(void) {
        double deadline = now() + 10;

        kill(-1, SIGKILL);
        while (now() < deadline) {
                pid_t pid = waitpid(-1, NULL, WNOHANG);

                if (pid < 0 && errno == ECHILD)
                        return;
                if (pid == 0) {
                        kill(-1, SIGKILL);
                        usleep(2000);
                }
        }
        report("| init: some process does not die\n");
}

static int remove_group(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        if (type == FTW_DP && ftw->level > 0)
                (void) rmdir(path);
        return 0;
}

static int count_group(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return type == FTW_D && ftw->level > 0;
}

/* All controllers on for the children of the root, as a manager would find them at boot. */
static void enable_controllers(void) {
        char have[512], want[64], *save = NULL;

        if (read_file(CGROUP "/cgroup.controllers", have, sizeof(have)) < 0)
                return;
        for (char *c = strtok_r(have, " \n", &save); c; c = strtok_r(NULL, " \n", &save)) {
                snprintf(want, sizeof(want), "+%s", c);
                (void) write_file(CGROUP "/cgroup.subtree_control", want);
        }
}

static void reset_groups(void) {
        double deadline = now() + 10;

        /* A group is busy until its last zombie is gone. */
        do {
                (void) nftw(CGROUP, remove_group, 32, FTW_DEPTH | FTW_PHYS);
                if (nftw(CGROUP, count_group, 32, FTW_PHYS) == 0)
                        break;
                usleep(5000);
        } while (now() < deadline);
        enable_controllers();
}

/* A chargehandd that stood in for systemd and was killed leaves these. */
static void forget_systemd(void) {
        (void) unlink("/run/systemd/private");
        (void) unlink("/run/systemd/system/made-by-chargehandd");
        (void) rmdir("/run/systemd/system");
}

/* The host may add variables of its own: one NAME=value a line. */
static void add_environment(const char *path) {
        FILE *f = fopen(path, "re");
        char line[1024], *eq;

        while (f && fgets(line, sizeof(line), f)) {
                line[strcspn(line, "\n")] = 0;
                eq = strchr(line, '=');
                if (!eq)
                        continue;
                *eq = 0;
                setenv(line, eq + 1, 1);
        }
        if (f)
                fclose(f);
}

static void set_environment(void) {
        clearenv();
        setenv("PATH", PAYLOAD "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
        setenv("HOME", "/root", 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        setenv("BIN", PAYLOAD "/bin", 1);
        setenv("TESTS", PAYLOAD "/tests", 1);
        setenv("OUT", "/run/out", 1);
        setenv("LD_LIBRARY_PATH", PAYLOAD "/bin", 1);
        setenv("ASAN_OPTIONS", "halt_on_error=1:detect_leaks=1", 1);
        setenv("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1", 1);
        add_environment(PAYLOAD "/env");
}

/* Runs a program in a session of its own; out_fd becomes its stdout and stderr. */
static pid_t spawn(char *const argv[], const char *dir, int out_fd) {
        pid_t pid = fork();
        int null;

        if (pid != 0)
                return pid;
        setsid();
        null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        if (out_fd >= 0) {
                dup2(out_fd, 1);
                dup2(out_fd, 2);
        }
        for (int fd = 3; fd < 64; fd++)
                close(fd);
        if (dir && chdir(dir) < 0)
                _exit(126);
        execvp(argv[0], argv);
        fprintf(stderr, "init: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
}

static int run_quietly(char *const argv[]) {
        pid_t pid = spawn(argv, NULL, -1);
        int status = -1;

        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool bus_answers(void) {
        struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = BUS_SOCKET };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool ok = fd >= 0 && connect(fd, (struct sockaddr *) &addr, sizeof(addr)) == 0;

        close(fd);
        return ok;
}

static void start_bus(void) {
        double deadline = now() + 20;
        int log;

        mkdir("/run/dbus", 0755);
        unlink(BUS_SOCKET);
        log = open("/run/bus.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        (void) spawn((char *[]) { "dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog", NULL },
                     "/", log);
        close(log);
        while (!bus_answers()) {
                if (now() > deadline) {
                        report("| init: the system bus does not come up, see /run/bus.log\n");
                        return;
                }
                usleep(5000);
        }
}

static void mount_or_warn(const char *type, const char *where, unsigned long flags, const char *data) {
        mkdir(where, 0755);
        if (mount(type, where, type, flags, data) < 0 && errno != EBUSY)
                fprintf(stderr, "init: cannot mount %s on %s: %s\n", type, where, strerror(errno));
}

static void mount_all(void) {
        mount_or_warn("devtmpfs", "/dev", MS_NOSUID, NULL);
        mount_or_warn("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666");
        mount_or_warn("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777,size=75%");
        mount_or_warn("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777,size=75%");
        mount_or_warn("cgroup2", CGROUP, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        (void) mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
        (void) mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
        (void) mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
        (void) symlink("/proc/self/fd", "/dev/fd");
        (void) symlink("/proc/self/fd/0", "/dev/stdin");
        (void) symlink("/proc/self/fd/1", "/dev/stdout");
        (void) symlink("/proc/self/fd/2", "/dev/stderr");
        mkdir("/lib/modules", 0755);
        (void) mount(PAYLOAD "/lib/modules", "/lib/modules", NULL, MS_BIND, NULL);
        (void) mount(PAYLOAD "/system.d", "/etc/dbus-1/system.d", NULL, MS_BIND, NULL);
        mkdir("/run/out", 0755);
}

static void loopback_up(void) {
        struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void) ioctl(fd, SIOCSIFFLAGS, &ifr);
        close(fd);
}

static void start_swap(const char *size) {
        (void) run_quietly((char *[]) { "modprobe", "-q", "zram", NULL });
        if (write_file("/sys/block/zram0/disksize", size) < 0 ||
            run_quietly((char *[]) { "sh", "-c", "mkswap /dev/zram0 >/dev/null", NULL }) != 0 ||
            swapon("/dev/zram0", 0) < 0)
                fprintf(stderr, "init: no zram swap: %s\n", strerror(errno));
}

/* The guest's own systemd becomes PID 1 and starts this program again, as a service after basic.target. */
static void become_systemd(void) {
        static const char target[] = "[Unit]\n"
                                     "Description=One case\n"
                                     "Requires=basic.target chargehand-case.service\n"
                                     "AllowIsolate=yes\n";
        static const char service[] = "[Unit]\n"
                                      "Description=Runs one case\n"
                                      "Requires=dbus.service\n"
                                      "After=basic.target dbus.service\n"
                                      "[Service]\n"
                                      "ExecStart=" PAYLOAD "/init\n"
                                      "Delegate=yes\n"
                                      "TasksMax=infinity\n"
                                      "OOMPolicy=continue\n";

        mkdir("/run/systemd", 0755);
        mkdir("/run/systemd/system", 0755);
        if (create_file("/run/systemd/system/chargehand-case.target", target) < 0 ||
            create_file("/run/systemd/system/chargehand-case.service", service) < 0)
                fprintf(stderr, "init: cannot write the units of the case: %s\n", strerror(errno));
        mkdir("/lib/modules", 0755);
        (void) mount(PAYLOAD "/lib/modules", "/lib/modules", NULL, MS_BIND, NULL);
        (void) unlink(PAYLOAD "/system.d/org.freedesktop.systemd1.conf"); /* systemd has its own */
        (void) mount(PAYLOAD "/system.d", "/etc/dbus-1/system.d", NULL, MS_BIND, NULL);
        execl("/lib/systemd/systemd", "systemd", "--unit=chargehand-case.target", "--show-status=no", NULL);
        fprintf(stderr, "init: no systemd in this image: %s\n", strerror(errno));
}

static void set_up(void) {
        struct rlimit files = { 1024, 1048576 };

        if (under_systemd)
                mkdir("/run/out", 0755);
        else {
                mount_all();
                (void) sethostname("chargehand-vm", 13);
                loopback_up();
        }
        (void) setrlimit(RLIMIT_NOFILE, &files);
        set_environment();
        start_swap("512M");
        if (!under_systemd)
                enable_controllers();
        kmsg_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (kmsg_fd >= 0)
                (void) lseek(kmsg_fd, 0, SEEK_END);
}

/* Whether the kernel complained since the last look. A case in which it did has failed. */
static bool kernel_complained(void) {
        static const char *const bad[] = { "WARNING: ", "BUG: ", "Oops", "general protection", "INFO: task ",
                                           "INFO: trying", "INFO: rcu", "UBSAN: ", "kmemleak: " };
        char record[8192];
        bool found = false;
        ssize_t n;

        while (kmsg_fd >= 0 && ((n = read(kmsg_fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE)) {
                char *text;

                if (n <= 0)
                        continue;
                record[n] = 0;
                text = strchr(record, ';');
                if (!text || record[0] < '0' || (atoi(record) & ~7) != 0) /* facility 0: the kernel */
                        continue;
                text[1 + strcspn(text + 1, "\n")] = 0;
                for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                        if (strstr(text, bad[i])) {
                                report("| kernel: %s\n", text + 1);
                                found = true;
                                break;
                        }
        }
        return found;
}

/* Passes what the case prints on, line by line, each marked with a bar. */
static void pass_on(const char *data, size_t size, bool *line_open) {
        for (size_t i = 0; i < size;) {
                const char *nl = memchr(data + i, '\n', size - i);
                size_t len = nl ? (size_t) (nl - (data + i)) + 1 : size - i;

                if (!*line_open)
                        write_all(report_fd, "| ", 2);
                write_all(report_fd, data + i, len);
                *line_open = !nl;
                i += len;
        }
}

/* Reads the pipe until the case ends or its time is up; returns its wait status or -ETIMEDOUT. */
static int watch(pid_t pid, int pipe_fd, double deadline, bool *line_open) {
        char buf[4096];
        int status, result = -ETIMEDOUT;
        bool running = true;

        while (running && now() < deadline) {
                struct pollfd p = { .fd = pipe_fd, .events = POLLIN };
                pid_t got;

                (void) poll(&p, 1, 20);
                if (p.revents & POLLIN) {
                        ssize_t n = read(pipe_fd, buf, sizeof(buf));
                        if (n > 0)
                                pass_on(buf, (size_t) n, line_open);
                } else if (p.revents & POLLHUP)
                        usleep(2000);
                while ((got = waitpid(-1, &status, WNOHANG)) > 0)
                        if (got == pid) {
                                result = status;
                                running = false;
                        }
        }
        return result;
}

/* Returns the exit code as a shell would see it. */
static int run_case(const Case *c) {
        char script[256], dir[256], buf[4096];
        bool line_open = false;
        int fds[2], status;
        pid_t pid;
        ssize_t n;

        snprintf(script, sizeof(script), PAYLOAD "/tests/cases/%s.sh", c->name);
        snprintf(dir, sizeof(dir), "/tmp/%s", c->name);
        mkdir(dir, 0777);
        setenv("CASE", c->name, 1);
        setenv("TMPDIR", dir, 1);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return 126;
        pid = spawn((char *[]) { "sh", "-eu", script, NULL }, dir, fds[1]);
        close(fds[1]);
        status = watch(pid, fds[0], now() + c->timeout_sec, &line_open);
        if (status == -ETIMEDOUT)
                (void) run_quietly((char *[]) { "sh", "-c",
                        "ps -eo pid,ppid,stat,wchan:24,args --no-headers >/dev/ttyS0", NULL });
        if (!under_systemd)
                kill_everyone();
        (void) fcntl(fds[0], F_SETFL, O_NONBLOCK);
        while ((n = read(fds[0], buf, sizeof(buf))) > 0)
                pass_on(buf, (size_t) n, &line_open);
        close(fds[0]);
        if (line_open)
                write_all(report_fd, "\n", 1);
        if (status == -ETIMEDOUT)
                return TIMED_OUT;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What the cases left in $OUT goes to the host as a tar on the disk with the serial number "out". Done
 * after each case that left something, so that a guest that dies later does not take it along. */
static void save_out(void) {
        static char script[] =
                "for c in /sys/class/nvme/nvme*; do"
                " [ \"$(tr -d ' ' <$c/serial)\" = out ] || continue;"
                " tar -cf /dev/${c##*/}n1 -C /run/out . && sync;"
                "done";

        if (rmdir("/run/out") == 0)
                mkdir("/run/out", 0755);
        else if (run_quietly((char *[]) { "sh", "-c", script, NULL }) != 0)
                report("| init: $OUT does not fit on its disk\n");
}

/* No case has to do with the module that another one loaded. */
static bool unload_module(void) {
        double deadline = now() + 10;

        while (syscall(SYS_delete_module, "chargehand", O_NONBLOCK) < 0) {
                if (errno == ENOENT || errno == ENOSYS)
                        return true;
                if (now() > deadline) {
                        report("| init: chargehand.ko cannot be unloaded: %s\n", strerror(errno));
                        return false;
                }
                usleep(5000);
        }
        return true;
}

static bool run_and_report(const Case *c) {
        const char *word;
        double begin;
        int code;

        report("START %s\n", c->name);
        if (!under_systemd)
                start_bus();
        begin = now();
        code = run_case(c);
        if (!unload_module() && code == 0)
                code = 1;
        if (kernel_complained() && code == 0)
                code = 1;
        word = code == 0 ? "ok" : code == SKIPPED ? "skip" : code == TIMED_OUT ? "timeout" : "fail";
        save_out();
        report("CASE %s %s %d %.2f\n", c->name, word, code, now() - begin);
        if (!under_systemd) {
                (void) swapon("/dev/zram0", 0);
                reset_groups();
                forget_systemd();
        }
        return code == 0 || code == SKIPPED;
}

static int run_plan(void) {
        FILE *plan = fopen(PAYLOAD "/plan", "re");
        bool all_ok = plan != NULL;
        Case c;

        while (plan && fscanf(plan, "%127s %d", c.name, &c.timeout_sec) == 2)
                all_ok &= run_and_report(&c);
        report("VERDICT %s\n", all_ok ? "ok" : "fail");
        return all_ok ? 0x10 : 0x11;
}

static void run_shell(void) {
        pid_t pid;

        start_bus();
        pid = fork();
        if (pid == 0) {
                int fd;

                setsid();
                fd = open("/dev/ttyS0", O_RDWR);
                (void) ioctl(fd, TIOCSCTTY, 1);
                dup2(fd, 0);
                dup2(fd, 1);
                dup2(fd, 2);
                setenv("TERM", "linux", 1);
                setenv("PS1", "guest:\\w# ", 1);
                printf("\nThe system bus runs, binaries are in $BIN, cases in $TESTS. Leave with `exit`.\n");
                fflush(stdout);
                (void) chdir("/root");
                execl("/bin/bash", "bash", "--norc", "-i", NULL);
                _exit(127);
        }
        while (waitpid(-1, NULL, 0) != pid)
                ;
        report("VERDICT ok\n");
}

int main(void) {
        char cmdline[4096] = "", release[256] = "?";
        struct termios raw;
        int code = 0x10;

        may_exit = ioperm(EXIT_PORT, 4, 1) == 0;
        (void) read_file("/proc/cmdline", cmdline, sizeof(cmdline));
        if (strstr(cmdline, "chargehand.systemd")) {
                if (getpid() == 1) {
                        become_systemd();
                        return 1;
                }
                under_systemd = true;
        }
        set_up();
        report_fd = open("/dev/ttyS1", O_WRONLY | O_NOCTTY | O_CLOEXEC);
        if (report_fd >= 0 && tcgetattr(report_fd, &raw) == 0) {
                cfmakeraw(&raw);
                (void) cfsetospeed(&raw, B115200);
                (void) tcsetattr(report_fd, TCSANOW, &raw);
        }
        (void) read_file("/proc/sys/kernel/osrelease", release, sizeof(release));
        report("BOOT %.2f %s", now(), release);
        if (strstr(cmdline, "chargehand.shell"))
                run_shell();
        else
                code = run_plan();
        leave(code);
}
