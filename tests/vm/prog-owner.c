/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays a script about who pays for the memory of address spaces that are shared:
 *
 *     prog-owner [--bus] SCRIPT
 *
 * One line for each question: SCENARIO, STEP, what was expected, what the kernel did, and with
 * --bus what the daemon said (group, owner, source). Ends with 1 where any of them differ.
 * owner-scenarios.txt tells the language.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "prog-owner.h"

#define MAX_WORDS    8
#define STEP_SECONDS 180

typedef struct Actor {
        pid_t pid, tid;
        int owes; /* an answer that comes later: of who waits for its vfork child */
} Actor;

typedef struct Words {
        char *items[MAX_WORDS];
        size_t n, at;
} Words;

typedef struct Verb {
        const char *name;
        void (*play)(Words *words);
} Verb;

static Actor actors[N_ACTORS];
static pid_t last_pids[N_ACTORS]; /* also of those that have gone */
static char scenario[64], step[256];
static int with_bus;
static unsigned n_wrong, n_asked;

void die(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        (void)fprintf(stderr, "prog-owner: %s: %s: ", scenario, step);
        (void)vfprintf(stderr, format, args);
        (void)fputc('\n', stderr);
        va_end(args);
        exit(2);
}

/* --- talking to actors ---- */

static const char *next(Words *words)
{
        if (words->at == words->n)
                die("a word is missing");
        return words->items[words->at++];
}

/* Actors are named A to F. */
static int next_slot(Words *words)
{
        const char *word = next(words);

        if (word[0] < 'A' || word[0] >= 'A' + N_ACTORS || word[1])
                die("no actor '%s'", word);
        return word[0] - 'A';
}

static int receive(int slot)
{
        Reply reply;

        if (read(channels[slot].reply[0], &reply, sizeof(reply)) != sizeof(reply))
                die("actor %c is gone", 'A' + slot);
        if (reply.r < 0)
                die("actor %c: %s", 'A' + slot, strerror(-reply.r));
        actors[slot].pid = reply.pid;
        actors[slot].tid = reply.tid;
        return 0;
}

static void send_command(int slot, const Command *command)
{
        if (actors[slot].owes)
                actors[slot].owes = receive(slot);
        if (write(channels[slot].command[1], command, sizeof(*command)) != sizeof(*command))
                die("actor %c cannot be told", 'A' + slot);
}

static uint64_t order(int slot, Op op)
{
        Command command = { .op = op };
        Reply reply;

        send_command(slot, &command);
        if (read(channels[slot].reply[0], &reply, sizeof(reply)) != sizeof(reply))
                die("actor %c is gone", 'A' + slot);
        if (reply.r < 0)
                die("actor %c: %s", 'A' + slot, strerror(-reply.r));
        return reply.address;
}

/* Its address space is given up before it is a zombie. */
static void wait_dead(pid_t pid)
{
        uint64_t end = now_usec() + WAIT_USEC;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        while (now_usec() < end) {
                _cleanup_(freep) char *text = NULL;
                const char *state;

                (void)waitpid(-1, NULL, WNOHANG);
                if (read_file_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
                        return;
                state = strrchr(text, ')');
                if (!state || state[2] == 'Z' || state[2] == 'X')
                        return;
                (void)usleep(2000);
        }
        die("process %d does not end", (int)pid);
}

static void make_channels(void)
{
        for (int i = 0; i < N_ACTORS; i++)
                if (pipe(channels[i].command) < 0 || pipe(channels[i].reply) < 0)
                        die("pipe: %s", strerror(errno));
}

static void end_scenario(void)
{
        for (int i = 0; i < N_ACTORS; i++)
                if (actors[i].pid)
                        (void)kill(actors[i].pid, SIGKILL);
        for (int i = 0; i < N_ACTORS; i++) {
                if (actors[i].pid)
                        wait_dead(actors[i].pid);
                if (*scenario) {
                        (void)close(channels[i].command[0]);
                        (void)close(channels[i].command[1]);
                        (void)close(channels[i].reply[0]);
                        (void)close(channels[i].reply[1]);
                }
                actors[i] = (Actor){ 0 };
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

/* --- questions ---- */

static const char *name_of(int group)
{
        return group < 0 ? "several" : group_names[group];
}

static void tell(int want, int got, const char *daemon, int daemon_is_right)
{
        int wrong = want != got || !daemon_is_right;

        (void)printf("%-4s %-18s %-22s expected %-5s kernel %-7s %s\n", wrong ? "BAD" : "ok",
                     scenario, step, name_of(want), name_of(got), daemon);
        (void)fflush(stdout);
        n_asked++;
        n_wrong += (unsigned)wrong;
}

static void ask_daemon(int slot, int kernel, int want)
{
        char group[64], text[160];
        Answer answer;

        if (!with_bus) {
                tell(want, kernel, "", 1);
                return;
        }
        (void)snprintf(group, sizeof(group), kernel > 0 ? "/o/%s" : "/", name_of(kernel));
        bus_owner(actors[slot].pid, group, &answer);
        (void)snprintf(text, sizeof(text), "daemon %s owner %d %s", answer.group, (int)answer.owner,
                       answer.source);
        tell(want, kernel, text, streq(answer.group, group));
}

/* "c", or "c 6.11:a" for another from that kernel on. */
static int next_payer(Words *words)
{
        int group = group_find(next(words));
        unsigned major, minor, our_major, our_minor;
        struct utsname kernel;
        char other[16];

        if (words->at == words->n)
                return group;
        if (uname(&kernel) < 0 || sscanf(kernel.release, "%u.%u", &our_major, &our_minor) != 2 ||
            sscanf(next(words), "%u.%u:%15s", &major, &minor, other) != 3)
                die("not VERSION:GROUP");
        return our_major > major || (our_major == major && our_minor >= minor) ? group_find(other)
                                                                               : group;
}

/* Fresh memory of an actor: by page, and by the group's own account. */
static void play_touch(Words *words)
{
        uint64_t before[N_GROUPS], after[N_GROUPS], address;
        int slot = next_slot(words), want = next_payer(words), pages, growth;

        (void)order(slot, OP_CLEAR);
        groups_read(before);
        address = order(slot, OP_TOUCH);
        groups_read(after);
        pages = pages_payer(actors[slot].tid, address, TOUCH_BYTES);
        growth = growth_payer(before, after, TOUCH_BYTES);
        if (pages != growth)
                (void)printf("     pages say %s, memory.current says %s\n", name_of(pages),
                             name_of(growth));
        ask_daemon(slot, pages == growth ? pages : -1, want);
}

/* Where memory that it has already is charged. */
static void play_look(Words *words)
{
        int slot = next_slot(words), want = group_find(next(words));

        tell(want, pages_payer(actors[slot].tid, order(slot, OP_AREA), TOUCH_BYTES), "", 1);
}

/* Copies on write. */
static void play_write(Words *words)
{
        int slot = next_slot(words), want = group_find(next(words));
        uint64_t address = order(slot, OP_WRITE);

        ask_daemon(slot, pages_payer(actors[slot].tid, address, TOUCH_BYTES), want);
}

static void play_pin(Words *words)
{
        int slot = next_slot(words);

        (void)order(slot, OP_CLEAR);
        (void)order(slot, OP_TOUCH);
        (void)order(slot, OP_PIN);
}

static void play_sparse(Words *words)
{
        (void)order(next_slot(words), OP_SPARSE);
}

/* --- what changes ---- */

static void play_scenario(Words *words)
{
        end_scenario();
        (void)snprintf(scenario, sizeof(scenario), "%s", next(words));
        make_channels();
}

/* A child of ours, with an address space of its own. */
static void play_start(Words *words)
{
        int slot = next_slot(words), group = group_find(next(words));
        pid_t pid = fork();

        if (pid == 0) {
                group_attach(group, getpid());
                _exit(actor_main(&slot));
        }
        (void)receive(slot);
}

static Kind next_kind(Words *words)
{
        static const char *const kinds[KIND_MAX_] = { "fork",     "into",  "child", "sibling",
                                                      "stranger", "vfork", "thread" };
        const char *word = next(words);

        for (int i = 0; i < KIND_MAX_; i++)
                if (streq(kinds[i], word))
                        return (Kind)i;
        die("no kind '%s'", word);
}

static void clone_actor(int slot, int to, Kind kind, Words *words)
{
        Command command = { .op = OP_CLONE, .kind = kind, .slot = to };
        Reply reply;

        if (kind == KIND_INTO)
                command.group = group_find(next(words));
        send_command(slot, &command);
        (void)receive(to);
        if (kind == KIND_VFORK) {
                actors[slot].owes = 1;
                return;
        }
        if (read(channels[slot].reply[0], &reply, sizeof(reply)) != sizeof(reply) || reply.r < 0)
                die("actor %c cannot clone", 'A' + slot);
}

static void play_clone(Words *words)
{
        int slot = next_slot(words), to = next_slot(words);

        clone_actor(slot, to, next_kind(words), words);
}

/* Who pays for the page tables that fork copies: the growth of the groups is all there is to be
 * seen. */
static void play_grows(Words *words)
{
        uint64_t before[N_GROUPS], after[N_GROUPS];
        int slot = next_slot(words), to = next_slot(words), want = group_find(next(words));
        Kind kind = next_kind(words);

        groups_read(before);
        clone_actor(slot, to, kind, words);
        groups_read(after);
        tell(want, growth_payer(before, after, SPARSE_PAGES * UINT64_C(4096)), "", 1);
}

static void play_move(Words *words)
{
        int slot = next_slot(words), group = group_find(next(words));
        char path[64];

        (void)snprintf(path, sizeof(path), "/o/%s", group_names[group]);
        if (with_bus)
                bus_move(actors[slot].pid, path);
        else
                group_attach(group, actors[slot].pid);
}

/* Moved by somebody who does not tell the daemon. */
static void play_steal(Words *words)
{
        int slot = next_slot(words);

        group_attach(group_find(next(words)), actors[slot].pid);
}

static void play_exec(Words *words)
{
        Command command = { .op = OP_EXEC };
        int slot = next_slot(words);

        send_command(slot, &command);
        (void)receive(slot);
}

static void play_exit(Words *words)
{
        Command command = { .op = OP_EXIT };
        int slot = next_slot(words);

        send_command(slot, &command);
        wait_dead(actors[slot].pid);
        actors[slot].pid = 0;
}

/* The thread only; of a leader a zombie remains, and its pid is still that of the process. */
static void play_leave(Words *words)
{
        Command command = { .op = OP_LEAVE };
        int slot = next_slot(words);

        send_command(slot, &command);
        wait_dead(actors[slot].tid);
}

static void play_owner(Words *words)
{
        int slot = next_slot(words), owner = next_slot(words);
        uint64_t end = now_usec() + WAIT_USEC;
        Answer answer = { 0 };
        char text[64];

        if (!with_bus)
                return;
        do
                bus_owner(actors[slot].pid, answer.group, &answer);
        while (answer.owner != actors[owner].pid && now_usec() < end && usleep(20000) == 0);
        (void)snprintf(text, sizeof(text), "daemon owner %d, want %d", (int)answer.owner,
                       (int)actors[owner].pid);
        tell(0, 0, text, answer.owner == actors[owner].pid);
}

static void play_changed(Words *words)
{
        int from = next_slot(words), to = next_slot(words), saw;
        const char *cause = next(words);
        char text[96];

        if (!with_bus)
                return;
        saw = bus_saw_change(last_pids[from], last_pids[to], cause);
        (void)snprintf(text, sizeof(text), "OwnerChanged %d %d %s%s", (int)last_pids[from],
                       (int)last_pids[to], cause, saw ? "" : " did not come");
        tell(0, 0, text, saw);
}

static const Verb verbs[] = {
        {"scenario", play_scenario},
        { "start",   play_start   },
        { "clone",   play_clone   },
        { "move",    play_move    },
        { "steal",   play_steal   },
        { "exec",    play_exec    },
        { "exit",    play_exit    },
        { "leave",   play_leave   },
        { "touch",   play_touch   },
        { "write",   play_write   },
        { "look",    play_look    },
        { "pin",     play_pin     },
        { "sparse",  play_sparse  },
        { "grows",   play_grows   },
        { "owner",   play_owner   },
        { "changed", play_changed },
};

/* An actor that does not answer: says which step it was. */
static void on_alarm(int signum)
{
        (void)!write(STDERR_FILENO, step, strlen(step));
        (void)!write(STDERR_FILENO, ": no answer\n", 12);
        _exit(2);
}

static void play_line(char *line)
{
        Words words = { 0 };
        const char *verb;

        line[strcspn(line, "#\n")] = '\0';
        for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
                line[n - 1] = '\0';
        (void)snprintf(step, sizeof(step), "%s", line);
        for (char *rest = line, *word; (word = strsep(&rest, " \t"));)
                if (*word && words.n < MAX_WORDS)
                        words.items[words.n++] = word;
        if (words.n == 0)
                return;
        verb = next(&words);
        (void)alarm(STEP_SECONDS);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, verb)) {
                        verbs[i].play(&words);
                        for (int j = 0; j < N_ACTORS; j++)
                                last_pids[j] = actors[j].pid ? actors[j].pid : last_pids[j];
                        return;
                }
        die("no verb '%s'", verb);
}

static int become_actor(char **argv)
{
        int slot = atoi(argv[2]);

        if (slot < 0 || slot >= N_ACTORS)
                return 2;
        channels[slot].command[0] = atoi(argv[3]);
        channels[slot].reply[1] = atoi(argv[4]);
        return actor_main(&slot);
}

int main(int argc, char **argv)
{
        char line[256];
        FILE *script;

        if (argc == 5 && streq(argv[1], "--actor"))
                return become_actor(argv);
        with_bus = argc == 3 && streq(argv[1], "--bus");
        script = argc == 2 + with_bus ? fopen(argv[1 + with_bus], "re") : NULL;
        if (!script) {
                (void)fprintf(stderr, "usage: prog-owner [--bus] SCRIPT\n");
                return 2;
        }
        (void)signal(SIGALRM, on_alarm);
        groups_make();
        if (with_bus)
                bus_open();
        while (fgets(line, sizeof(line), script))
                play_line(line);
        end_scenario();
        (void)fclose(script);
        (void)printf("%u questions, %u wrong\n", n_asked, n_wrong);
        return n_wrong > 0;
}
