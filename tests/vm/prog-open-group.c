/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A runtime that starts processes itself, with no library of ours: asks the daemon for the
 * directory of a group, and clones into it.
 *
 *     prog-open-group GROUP PROGRAM [ARGUMENT…]
 *
 * Ends with the program's code; 100 and a line "OpenGroup: ERROR" where the daemon refuses, 101 and
 * "clone3: ERRNO" where the kernel does.
 */

#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "util.h"

/* The fd lives as long as the reply. */
static int open_group(sd_bus *bus, const char *group, sd_bus_message **ret_reply)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int fd, r;

        r = sd_bus_call_method(bus, "org.chargehand1", "/org/chargehand1",
                               "org.chargehand1.Manager", "OpenGroup", &error, ret_reply, "s",
                               group);
        if (r >= 0)
                r = sd_bus_message_read(*ret_reply, "h", &fd);
        if (r < 0) {
                (void)printf("OpenGroup: %s: %s\n", error.name ? error.name : strerror(-r),
                             error.message ? error.message : "");
                sd_bus_error_free(&error);
                exit(100);
        }
        return fd;
}

int main(int argc, char **argv)
{
        sd_bus_message *reply = NULL;
        struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
        sd_bus *bus = NULL;
        int status;
        long pid;

        if (argc < 3 || sd_bus_open_system(&bus) < 0) {
                (void)fprintf(
                        stderr,
                        "usage: prog-open-group GROUP PROGRAM [ARGUMENT…], with a system bus\n");
                return 2;
        }
        args.cgroup = (uint64_t)open_group(bus, argv[1], &reply);
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0) {
                (void)execvp(argv[2], argv + 2);
                _exit(127);
        }
        if (pid < 0) {
                (void)printf("clone3: %s\n", strerrorname_np(errno));
                return 101;
        }
        sd_bus_message_unref(reply);
        sd_bus_unref(bus);
        if (waitpid((pid_t)pid, &status, 0) < 0)
                return 2;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
