/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Forks and exits as fast as it can, on three levels, from several threads of each process:
 *
 *     prog-storm FANOUT THREADS [runner]
 *
 *     first (THREADS threads) ─▶ FANOUT long-lived (likewise) ─▶ short-lived ─▶ orphaned
 * shorter-lived, orphaned
 *
 *     runner: each of FANOUT forks one child and ends: always as many processes, with ever new pids
 *
 * Runs until it is killed.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "util.h"

static int n_threads;

/* A child that forks once more and goes: the grandchild is an orphan from then on. */
static void fork_twice(void)
{
        pid_t child = fork();

        if (child == 0) {
                if (fork() == 0)
                        (void)usleep(500);
                _exit(0);
        }
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
}

static void *storm(void *unused)
{
        for (;;)
                fork_twice();
        return NULL;
}

static _Noreturn void run_threads(void)
{
        for (int i = 1; i < n_threads; i++) {
                pthread_t thread;

                if (pthread_create(&thread, NULL, storm, NULL) != 0)
                        break;
        }
        (void)storm(NULL);
        _exit(0);
}

static _Noreturn void run_away(void)
{
        for (;;)
                if (fork() > 0)
                        _exit(0);
}

int main(int argc, char **argv)
{
        int fanout;

        if (argc < 3)
                return 2;
        fanout = atoi(argv[1]);
        n_threads = atoi(argv[2]);
        for (int i = 0; argc > 3 && i < fanout; i++)
                if (fork() == 0)
                        run_away();
        if (argc > 3)
                return 0;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < fanout; i++)
                if (fork() == 0) {
                        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                        run_threads();
                }
        run_threads();
}
