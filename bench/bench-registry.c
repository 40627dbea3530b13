/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mm registry: an owner's exit as the host grows, beside the search through all processes that
 * the kernel does; who pays, beside reading it; memory per process; and events of the process
 * connector, beside taking them and no more:
 *
 *     bench-registry [ROUNDS]
 *
 * Processes are a model, so that it is the registry that is measured; only the events are real. One
 * line of JSON per case, medians of CPU time.
 */

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <chargehand/registry.h>

#include "util.h"

enum {
        BATCH = 64, /* exits that are timed at once */
        ROUNDS = 201,
        ROUNDS_MAX = 1001,
        LOOKUPS = 4096,
        SEARCHES = 4,
        RESYNCS = 5,
        EVICT_BYTES = 32 << 20,
        EVENT_FORKS = 2000,
        EVENT_ROUNDS = 7,
        ROW_GROUPS = 100, /* processes to a group, and to a parent */
};

static const unsigned sizes[] = { 100, 10000, 100000 };
enum { N_SIZES = 3 };

/* A process of the model, and as the kernel's lists would have it for the search. */
typedef struct Task {
        uint64_t mm; /* 0: none lives by that pid */
        uint64_t start_ticks;
        pid_t parent;
        unsigned group;
        struct Task *next, *prev; /* of all, by age */
        char rest[96]; /* a task's lists are not side by side */
} Task;

typedef struct Host {
        unsigned n;   /* processes that are there all the time */
        Task **tasks; /* by pid */
        Task *first, *last;
        pid_t n_pids, next_pid;
        uint64_t last_mm, last_ticks;
        ch_registry *registry;
        double heap_bytes; /* that the registry took to know them */
        double exits[ROUNDS_MAX], cold_exits[ROUNDS_MAX], searches[ROUNDS_MAX], lookups[ROUNDS_MAX],
                reads[ROUNDS_MAX], resyncs[RESYNCS];
} Host;

static void die(const char *what, int r)
{
        (void)fprintf(stderr, "bench-registry: %s: %s\n", what, strerror(-r));
        exit(1);
}

static void must(const char *what, int r)
{
        if (r < 0)
                die(what, r);
}

static uint64_t cpu_nsec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
        qsort(values, n, sizeof(*values), by_value);
        return values[n / 2];
}

static void print(const char *name, const char *size, double ours, double reference,
                  const char *reference_name, const char *unit)
{
        printf("{\"bench\": \"ledger\", \"case\": \"%s\", \"size\": \"%s\", \"ours\": %.3f, "
               "\"reference\": %.3f, "
               "\"reference_name\": \"%s\", \"ratio\": %.5g, \"unit\": \"%s\"}\n",
               name, size, ours, reference, reference_name, ours / reference, unit);
        (void)fflush(stdout);
}

static Task *task_of(const Host *host, pid_t pid)
{
        return pid > 0 && pid < host->n_pids ? host->tasks[pid] : NULL;
}

static int read_facts(pid_t pid, ch_process_facts *ret, void *userdata)
{
        const Task *task = task_of(userdata, pid);
        char path[32];

        if (!task)
                return -ESRCH;
        (void)snprintf(path, sizeof(path), "/bench/g%u", task->group);
        *ret = (ch_process_facts){ .ppid = task->parent,
                                   .start_ticks = task->start_ticks,
                                   .group_id = task->group,
                                   .group = strdup(path),
                                   .has_mm = 1,
                                   .mm_key = task->mm };
        return ret->group ? 0 : -ENOMEM;
}

static int compare_mm(pid_t a, pid_t b, void *userdata)
{
        const Task *x = task_of(userdata, a), *y = task_of(userdata, b);

        if (!x || !y)
                return -ESRCH;
        return x->mm == y->mm ? 0 : x->mm < y->mm ? 1 : 2;
}

static int list(int (*each)(pid_t pid, void *arg), void *arg, void *userdata)
{
        const Host *host = userdata;
        int r = 0;

        for (pid_t pid = 1; pid < host->n_pids && r == 0; pid++)
                if (host->tasks[pid])
                        r = each(pid, arg);
        return r;
}

static pid_t add(Host *host, pid_t parent, uint64_t mm, unsigned group)
{
        pid_t pid = host->next_pid++;
        Task *task = calloc(1, sizeof(*task));

        if (!task || pid >= host->n_pids)
                die("a process of the model", -ENOMEM);
        *task = (Task){ .mm = mm ? mm : ++host->last_mm,
                        .start_ticks = ++host->last_ticks / 10,
                        .parent = parent,
                        .group = group,
                        .prev = host->last };
        *(host->last ? &host->last->next : &host->first) = task;
        host->last = task;
        host->tasks[pid] = task;
        return pid;
}

static void drop(Host *host, pid_t pid)
{
        Task *task = host->tasks[pid];

        *(task->prev ? &task->prev->next : &host->first) = task->next;
        *(task->next ? &task->next->prev : &host->last) = task->prev;
        host->tasks[pid] = NULL;
        free(task);
}

static pid_t fork_task(Host *host, pid_t parent, uint64_t mm, unsigned group)
{
        pid_t pid = add(host, parent, mm, group);

        must("fork", ch_registry_fork(host->registry, parent, pid));
        return pid;
}

static void host_init(Host *host, unsigned n)
{
        ch_process_source source = {
                .read = read_facts, .compare_mm = compare_mm, .list = list, .userdata = host
        };
        ch_registry_options options = { .source = &source };
        size_t before;

        host->n = n;
        host->n_pids = (pid_t)(n + 3 * BATCH + 16);
        host->next_pid = 1;
        host->tasks = calloc((size_t)host->n_pids, sizeof(Task *));
        if (!host->tasks)
                die("the model", -ENOMEM);
        for (unsigned i = 0; i < n; i++)
                (void)add(host, i ? (pid_t)(1 + i / ROW_GROUPS) : 0, 0, 1 + i / ROW_GROUPS);
        before = mallinfo2().uordblks + mallinfo2().hblkhd;
        must("registry", ch_registry_new(&options, &host->registry, NULL));
        must("resync", ch_registry_resync(host->registry, NULL));
        host->heap_bytes = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before);
}

/* The search of mm_update_next_owner() for a sharer that is neither child nor sibling: every
 * process of the host. */
static const Task *search(const Host *host, const Task *owner)
{
        for (const Task *task = host->first; task; task = task->next)
                if (task != owner && __atomic_load_n(&task->mm, __ATOMIC_RELAXED) == owner->mm)
                        return task;
        return NULL;
}

/*
 * Owners whose address space is shared by a grandchild alone: what the kernel thread complained of.
 * They are made, and then their exits are timed, at once or when nothing of them is in a cache any
 * more.
 */
static char evicted[EVICT_BYTES];

static void time_exits(Host *host, double *ret, int is_cold)
{
        pid_t owners[BATCH], others[BATCH], sharers[BATCH];
        uint64_t start;

        host->next_pid = (pid_t)host->n + 1;
        for (unsigned i = 0; i < BATCH; i++) {
                owners[i] = fork_task(host, 1, 0, 1);
                others[i] = fork_task(host, owners[i], 0, 1);
                sharers[i] = fork_task(host, others[i], task_of(host, owners[i])->mm, 2);
        }
        for (unsigned i = 0; i < BATCH; i++) {
                host->tasks[others[i]]->parent = 1;
                drop(host, owners[i]);
        }
        if (is_cold)
                memset(evicted, (int)sharers[0], sizeof(evicted));
        start = cpu_nsec();
        for (unsigned i = 0; i < BATCH; i++)
                (void)ch_registry_exit(host->registry, owners[i]);
        *ret = (double)(cpu_nsec() - start) / BATCH / 1000;
        for (unsigned i = 0; i < BATCH; i++) {
                ch_mm_info info;

                must("owner", ch_registry_get_mm(host->registry, sharers[i], &info));
                if (info.owner != sharers[i] || info.group_id != 2)
                        die("owner", -EINVAL);
                drop(host, others[i]);
                drop(host, sharers[i]);
                must("exit", ch_registry_exit(host->registry, others[i]));
                must("exit", ch_registry_exit(host->registry, sharers[i]));
        }
}

/* What the kernel does for the exit of one of them. */
static void time_searches(Host *host, unsigned round)
{
        pid_t owner, sharer;
        const Task *found = NULL;
        uint64_t start;

        host->next_pid = (pid_t)host->n + 1;
        owner = add(host, 1, 0, 1);
        sharer = add(host, 1, task_of(host, owner)->mm, 2);
        start = cpu_nsec();
        for (unsigned i = 0; i < SEARCHES; i++)
                found = search(host, task_of(host, owner));
        host->searches[round] = (double)(cpu_nsec() - start) / SEARCHES / 1000;
        if (found != task_of(host, sharer))
                die("search", -ESRCH);
        drop(host, owner);
        drop(host, sharer);
}

/* Who pays for a process's memory, of processes all over the host. */
static void time_lookups(Host *host, unsigned round)
{
        uint64_t start = cpu_nsec(), random = round + 1, sum = 0;

        for (unsigned i = 0; i < LOOKUPS; i++) {
                ch_mm_info info;

                random = random * 6364136223846793005ULL + 1442695040888963407ULL;
                if (ch_registry_get_mm(host->registry, (pid_t)(1 + (random >> 33) % host->n),
                                       &info) == 0)
                        sum += info.group_id;
        }
        host->lookups[round] = (double)(cpu_nsec() - start) / LOOKUPS / 1000;
        if (!sum)
                die("look-up", -ENODATA);
}

/* What has to be read without it, and does not tell the owner yet. */
static void time_reads(Host *host, unsigned round)
{
        uint64_t start = cpu_nsec();

        for (unsigned i = 0; i < BATCH; i++) {
                char text[4096];
                int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

                if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
                        die("/proc/self/cgroup", -errno);
                (void)close(fd);
        }
        host->reads[round] = (double)(cpu_nsec() - start) / BATCH / 1000;
}

/* Everything read again, for each process. */
static void time_resyncs(Host *host)
{
        for (unsigned i = 0; i < RESYNCS; i++) {
                uint64_t start = cpu_nsec();

                must("resync", ch_registry_resync(host->registry, NULL));
                host->resyncs[i] = (double)(cpu_nsec() - start) / host->n / 1000;
        }
}

static void bench_model(unsigned rounds)
{
        static Host hosts[N_SIZES];
        double exits[N_SIZES], cold_exits[N_SIZES], lookups[N_SIZES], resyncs[N_SIZES];
        ch_registry_figures figures;
        char size[64];

        for (size_t i = 0; i < N_SIZES; i++) {
                host_init(&hosts[i], sizes[i]);
                time_resyncs(&hosts[i]);
                resyncs[i] = median(hosts[i].resyncs, RESYNCS);
        }
        /* in turn, so that what disturbs one disturbs all */
        for (unsigned round = 0; round < rounds; round++)
                for (size_t i = 0; i < N_SIZES; i++) {
                        time_exits(&hosts[i], &hosts[i].exits[round], 0);
                        time_exits(&hosts[i], &hosts[i].cold_exits[round], 1);
                        time_searches(&hosts[i], round);
                        time_lookups(&hosts[i], round);
                        time_reads(&hosts[i], round);
                }
        for (size_t i = 0; i < N_SIZES; i++) {
                (void)snprintf(size, sizeof(size), "%u processes", sizes[i]);
                exits[i] = median(hosts[i].exits, rounds);
                cold_exits[i] = median(hosts[i].cold_exits, rounds);
                lookups[i] = median(hosts[i].lookups, rounds);
                print("an owner's exit", size, exits[i], median(hosts[i].searches, rounds),
                      "a search of all processes", "µs");
                if (i > 0) {
                        print("an owner's exit", size, exits[i], exits[0],
                              "the same at 100 processes", "µs");
                        print("an owner's exit, cold caches", size, cold_exits[i], cold_exits[0],
                              "the same at 100 processes", "µs");
                        print("everything read again, for each process", size, resyncs[i],
                              resyncs[0], "the same at 100 processes", "µs");
                }
                print("who pays", size, lookups[i], median(hosts[i].reads, rounds),
                      "reading /proc/PID/cgroup", "µs");
                ch_registry_get_figures(hosts[i].registry, &figures);
                print("memory for a process", size,
                      (double)figures.bytes / (double)figures.processes,
                      hosts[i].heap_bytes / sizes[i], "what the heap grew by", "B");
        }
}

/* Processes that fork and exit, in a process of their own. */
static pid_t start_storm(int *ret_fd)
{
        int fds[2];
        pid_t pid;
        char go;

        if (pipe2(fds, O_CLOEXEC) < 0)
                die("pipe", -errno);
        pid = fork();
        if (pid < 0)
                die("fork", -errno);
        if (pid > 0) {
                (void)close(fds[0]);
                *ret_fd = fds[1];
                return pid;
        }
        (void)close(fds[1]);
        if (read(fds[0], &go, 1) != 1)
                _exit(1);
        for (unsigned i = 0; i < EVENT_FORKS; i++) {
                pid_t child = fork();

                if (child == 0)
                        _exit(0);
                (void)waitpid(child, NULL, 0);
        }
        _exit(0);
}

/* CPU time of each event; `bare`: taken from the queue, and that is all. */
static double time_events(ch_feed *feed, const ch_registry *registry, int bare)
{
        uint64_t used = 0, n = 0;
        ch_registry_figures before, after;
        int fd, status = 0, is_over = 0;
        pid_t pid;

        while (ch_feed_process(feed, 1000, NULL) > 0)
                ;
        ch_registry_get_figures(registry, &before);
        pid = start_storm(&fd);
        if (write(fd, "", 1) != 1)
                die("start", -errno);
        /* one look after its end: everything is in the queue then */
        for (int looks = 0; looks < 2; looks += is_over) {
                uint64_t start = cpu_nsec();
                int r;

                if (bare) {
                        char bytes[128];

                        for (r = 0;
                             recv(ch_feed_get_fd(feed), bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
                             r++)
                                ;
                } else {
                        r = ch_feed_process(feed, 1 << 20, NULL);
                        must("feed", r);
                }
                if (r > 0) {
                        used += cpu_nsec() - start;
                        n += (uint64_t)r;
                }
                if (!is_over)
                        is_over = waitpid(pid, &status, WNOHANG) == pid;
                if (!is_over)
                        (void)usleep(1000);
        }
        (void)close(fd);
        ch_registry_get_figures(registry, &after);
        if (after.lost != before.lost)
                (void)fprintf(stderr, "bench-registry: events were lost\n");
        if (n < 2 * EVENT_FORKS)
                die("too few events", -EIO);
        return (double)used / (double)n / 1000;
}

static void bench_events(unsigned rounds)
{
        ch_registry_options options = {};
        ch_registry *registry = NULL;
        ch_feed *feed = NULL;
        ch_error *error = NULL;
        double ours[ROUNDS_MAX], bare[ROUNDS_MAX];
        char size[64];

        if (ch_tree_open(NULL, CH_TREE_READ_ONLY, &options.tree, &error) < 0 ||
            ch_registry_new(&options, &registry, &error) < 0 ||
            ch_feed_new(registry, &feed, &error) < 0) {
                (void)fprintf(stderr, "bench-registry: no events: %s\n", ch_error_get_cause(error));
                ch_error_free(error);
                return;
        }
        for (unsigned i = 0; i < rounds; i++) {
                ours[i] = time_events(feed, registry, 0);
                bare[i] = time_events(feed, registry, 1);
        }
        (void)snprintf(size, sizeof(size), "%d × fork, exit", EVENT_FORKS);
        print("an event of the process connector", size, median(ours, rounds), median(bare, rounds),
              "recv() alone", "µs");
        (void)ch_feed_free(feed);
        (void)ch_registry_free(registry);
        (void)ch_tree_unref(options.tree);
}

int main(int argc, char **argv)
{
        uint64_t rounds = ROUNDS;

        if (argc > 1 &&
            (parse_u64(argv[1], &rounds, NULL) < 0 || rounds < 1 || rounds > ROUNDS_MAX)) {
                (void)fprintf(stderr, "usage: bench-registry [1..%d]\n", ROUNDS_MAX);
                return 2;
        }
        /* first: what forks is small yet */
        bench_events(rounds > EVENT_ROUNDS ? EVENT_ROUNDS : (unsigned)rounds);
        bench_model((unsigned)rounds);
        return 0;
}
