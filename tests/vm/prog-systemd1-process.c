/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes for the scopes: known by their names in the script, telling which signals they got. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "prog-systemd1.h"

#define HOG_BYTES (UINT64_C(96) << 20)
#define TESTER    1000
/* The highest of those that are told: pending ones are delivered by number. */
#define MARK_SIGNAL 40

typedef struct Process {
        char *name;
        pid_t pid;
        int from; /* a byte for each signal it got */
        int status;
        int ended;
} Process;

static Process processes[MAX_PROCESSES];

/* --- the child ---- */

static volatile sig_atomic_t hog_asked;
static int tell_fd = 3;

static void on_any(int signal)
{
        unsigned char byte = (unsigned char)signal;

        (void)!write(tell_fd, &byte, 1);
        hog_asked |= signal == SIGUSR1;
}

static const int told[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGUSR1, SIGUSR2,    SIGPIPE,
                            SIGTERM, SIGCONT, SIGWINCH, 34,      MARK_SIGNAL };

static void eat_memory(void)
{
        char *area =
                mmap(NULL, HOG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (area != MAP_FAILED)
                memset(area, 1, HOG_BYTES);
}

/* plain: ends by signals as usual; telling: tells and goes on; user: plain, another uid; leaving:
 * tells and ends at SIGTERM; hog: as telling, and takes memory at SIGUSR1 */
int process_be(int argc, char **argv)
{
        const char *kind = argc > 2 ? argv[2] : "";
        struct sigaction action = { .sa_handler = on_any };

        (void)sigfillset(&action.sa_mask); /* one at a time */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (streq(kind, "user") &&
            (setresgid(TESTER, TESTER, TESTER) < 0 || setresuid(TESTER, TESTER, TESTER) < 0))
                return 1;
        if (!streq(kind, "plain") && !streq(kind, "user"))
                for (size_t i = 0; i < ELEMENTSOF(told); i++)
                        if (!(streq(kind, "leaving") && told[i] == SIGTERM))
                                (void)sigaction(told[i], &action, NULL);
        on_any(0);
        for (;;) {
                (void)pause();
                if (hog_asked && streq(kind, "hog"))
                        eat_memory();
        }
}

/* --- the parent ---- */

static Process *find(const char *name)
{
        for (size_t i = 0; i < MAX_PROCESSES; i++)
                if (processes[i].name && streq(processes[i].name, name))
                        return &processes[i];
        return NULL;
}

static Process *need(const char *name)
{
        Process *p = find(name);

        if (!p)
                give_up("there is no process '%s'", name);
        return p;
}

pid_t process_pid(const char *name)
{
        Process *p = find(name);

        return p ? p->pid : 0;
}

const char *process_name(pid_t pid)
{
        for (size_t i = 0; i < MAX_PROCESSES; i++)
                if (processes[i].name && processes[i].pid == pid)
                        return processes[i].name;
        return pid == getpid() ? "self" : NULL;
}

static pid_t spawn_child(const char *kind, int to)
{
        char *arguments[] = { (char *)"zz-process", (char *)"--be", (char *)kind, NULL };
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        if (to == 3)
                (void)fcntl(to, F_SETFD, 0);
        else
                (void)dup2(to, 3);
        (void)execv("/proc/self/exe", arguments);
        _exit(127);
}

pid_t process_spawn(const char *name, const char *kind)
{
        Process *p = processes;
        unsigned char byte;
        int ends[2];

        if (find(name))
                give_up("there is a process '%s' already", name);
        while (p < processes + MAX_PROCESSES && p->name)
                p++;
        if (p == processes + MAX_PROCESSES || pipe2(ends, O_CLOEXEC) < 0)
                give_up("too many processes");
        *p = (Process){ .name = strdup(name), .from = ends[0] };
        p->pid = spawn_child(kind, ends[1]);
        (void)close(ends[1]);
        if (p->pid < 0 || read(p->from, &byte, 1) != 1)
                give_up("process '%s' does not come up", name);
        return p->pid;
}

static int has_ended(void *data)
{
        Process *p = data;

        if (!p->ended)
                p->ended = waitpid(p->pid, &p->status, WNOHANG) == p->pid;
        return p->ended;
}

void process_kill(const char *name, int signal)
{
        Process *p = need(name);

        if (!p->ended)
                (void)kill(p->pid, signal);
}

void process_say_end(const char *name)
{
        Process *p = need(name);

        if (!wait_until(has_ended, p))
                say("process %s lives", name);
        else if (WIFSIGNALED(p->status))
                say("process %s ended by signal %d", name, WTERMSIG(p->status));
        else
                say("process %s ended with code %d", name, WEXITSTATUS(p->status));
}

/* One byte, if there is one before the deadline; 0: the process is gone. */
static unsigned char read_signal(const Process *p)
{
        struct pollfd poll_fd = { .fd = p->from, .events = POLLIN };
        unsigned char byte = 0;

        if (poll(&poll_fd, 1, (int)(options.wait_usec / 1000)) <= 0)
                say("process %s does not run", p->name);
        else if (read(p->from, &byte, 1) != 1)
                byte = 0;
        return byte;
}

/* As a set: the kernel delivers pending signals by number, not by time. The last one is our own:
 * what was sent before it has been told when it is. */
void process_say_signals(const char *name)
{
        Process *p = need(name);
        char got[65] = "", text[512] = "";
        unsigned char byte;

        if (!p->ended)
                (void)kill(p->pid, MARK_SIGNAL);
        while ((byte = read_signal(p)) && byte != MARK_SIGNAL)
                got[byte & 63] = 1;
        for (int i = 1; i < 64; i++)
                if (got[i])
                        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s",
                                       sigabbrev_np(i) ? sigabbrev_np(i) : "RT");
        say("process %s got%s", name, *text ? text : " nothing");
}

void process_say_group(const char *name)
{
        Process *p = find(name);
        char path[64], line[4096] = "";
        size_t prefix = strlen(options.root) - strlen("/sys/fs/cgroup");
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", p ? p->pid : getpid());
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f) && strncmp(line, "0::", 3) != 0)
                ;
        if (f)
                (void)fclose(f);
        line[strcspn(line, "\n")] = 0;
        say("process %s is in %s", name, strlen(line) > 3 + prefix ? line + 3 + prefix : "nothing");
}

void process_forget_all(void)
{
        for (Process *p = processes; p < processes + MAX_PROCESSES; p++) {
                if (!p->name)
                        continue;
                if (!p->ended) {
                        (void)kill(p->pid, SIGKILL);
                        (void)waitpid(p->pid, NULL, 0);
                }
                (void)close(p->from);
                free(TAKE_PTR(p->name));
        }
}
